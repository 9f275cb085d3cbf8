# SPDX-License-Identifier: GPL-2.0-only
"""The sources are clean, and the lint finds what it says it finds."""
import contextlib
import functools
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.mutants import catalogue
from tests.vm import guest

TOP = Path(__file__).resolve().parents[2]
LINT = TOP / "scripts/lint"


def lint(*args):
    return subprocess.run([LINT, *args], text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          check=False)


def has_debug_kernel():
    return subprocess.run([TOP / "scripts/kernel", "cached", "debug"],
                          check=False).returncode == 0


def check_names():
    result = lint("--list")
    assert result.returncode == 0, result.stderr
    names = [line.split()[0] for line in result.stdout.splitlines()]
    if not has_debug_kernel():
        # SUITE=lint alone does not wait 20 minutes for a kernel.
        print("no debug kernel in the cache: tests/kunit is not compiled here")
        names.remove("build-debug")
    return names


@pytest.mark.parametrize("check", check_names())
def test_sources_are_clean(check):
    """The sources have no finding of this check."""
    result = lint(check)
    assert result.returncode == 0, "\n" + result.stdout + result.stderr


def test_mutants_fit():
    """Each mutant of make mutants fits the sources as they are, and names tests that there are."""
    assert not catalogue.check()


C_HEAD = """// SPDX-License-Identifier: GPL-2.0-only
/* A file with one defect. */
#include <linux/module.h>

"""
C_TAIL = """
MODULE_DESCRIPTION("defect");
MODULE_LICENSE("GPL");
"""
CORE = "drivers/net/vmq/core/vmq_defect.c"
IGB = "drivers/net/vmq/igb/igb_defect.c"
VSWITCH = "drivers/net/vmq/vswitch/vswitch_defect.c"
HEADER = "include/vmq/defect.h"
ABI = "Documentation/ABI/testing/sysfs-class-net-vmq"


def c_file(body):
    return C_HEAD + body + C_TAIL


def long_function():
    return c_file("int vmq_defect(int a)\n{\n" + "\ta++;\n" * 130 +
                  "\treturn a;\n}\n")


# check, file, its text, a word of the finding expected there
TEXT_DEFECTS = {
    "kernel-doc-wrong": (
        "kernel-doc", HEADER,
        "/* SPDX-License-Identifier: GPL-2.0-only */\n/**\n"
        " * vmq_defect() - does nothing\n * @b: not there\n */\n"
        "void vmq_defect(int a);\n", "'b'"),
    "kernel-doc-missing": (
        "kernel-doc", HEADER,
        "/* SPDX-License-Identifier: GPL-2.0-only */\n"
        "void vmq_defect(int a);\n", "vmq_defect has no kernel-doc"),
    "shell": ("shell", "scripts/defect.sh",
              "#!/bin/bash\n# SPDX-License-Identifier: GPL-2.0-only\nrm $1\n",
              "SC2086"),
    "python": ("python", "tests/defect.py",
               "# SPDX-License-Identifier: GPL-2.0-only\nimport os\n",
               "imported but unused"),
    "core-includes-igb": ("includes", CORE, c_file('#include "../igb/igb.h"\n'),
                          "private header"),
    "igb-includes-switch": ("includes", IGB,
                            c_file("#include <vmq/switch.h>\n"),
                            "igb must not include"),
    "vswitch-includes-hw": ("includes", VSWITCH,
                            c_file("#include <vmq/hw.h>\n"),
                            "vswitch must not include"),
    "switch-includes-hw": (
        "includes", "include/vmq/switch.h",
        "/* SPDX-License-Identifier: GPL-2.0-only */\n"
        "#include <vmq/hw.h>\n", "must not include <vmq/hw.h>"),
    "vswitch-includes-core": ("includes", VSWITCH,
                              c_file('#include "../core/vmq_priv.h"\n'),
                              "private header"),
    "long-file": ("limits", CORE, c_file("\n" * 1200), "at most 1200"),
    "long-function": ("limits", CORE, long_function(), "at most 120"),
    "conditional": ("limits", CORE, c_file("#ifdef CONFIG_NET\n#endif\n"),
                    "conditional compilation"),
    "parameter": ("limits", CORE,
                  c_file("static int a;\nmodule_param(a, int, 0);\n"),
                  "module parameter"),
    "bug": ("limits", CORE, c_file("void vmq_defect(void) { BUG(); }\n"),
            "BUG()"),
    "mdelay": ("limits", CORE, c_file("void vmq_defect(void) { mdelay(9); }\n"),
               "mdelay()"),
    "printk": ("limits", CORE,
               c_file('void vmq_defect(void) { printk("x"); }\n'), "printk()"),
    "unfinished": ("limits", CORE, c_file("/* TO" "DO: all of it */\n"),
                   "unfinished work"),
    "no-licence": ("spdx", CORE, "int vmq_defect;\n", "no SPDX"),
    "sysfs-undocumented": (
        "abi", CORE, c_file("static DEVICE_ATTR_RO(defect_level);\n"),
        "defect_level is not in"),
    "sysfs-undocumented-by-macro": (
        "abi", CORE,
        c_file("#define DEFECT(_mode, _name) \\\n"
               "\tstatic struct device_attribute x_##_name = \\\n"
               "\t\t__ATTR(_name, _mode, NULL, NULL)\n"
               "DEFECT(0444, defect_depth);\n"), "defect_depth is not in"),
    "sysfs-gone": (
        "abi", ABI, "What:\t\t/sys/class/net/<uplink>/vmq/defect_gone\n",
        "defect_gone is documented but not created"),
}


@pytest.fixture(scope="module", name="copy")
def copy_of_sources(tmp_path_factory):
    """The sources without what was built beside them."""
    copy = tmp_path_factory.mktemp("copy")
    for folder in ("drivers", "include", "scripts", "Documentation"):
        if (TOP / folder).exists():
            shutil.copytree(TOP / folder, copy / folder, symlinks=True,
                            ignore=shutil.ignore_patterns("*.ko", "*.o",
                                                          "*.mod*", ".*.cmd"))
    return copy


@pytest.fixture(scope="module", name="findings_before")
def cached_findings(copy):
    """findings_before(check): what is reported without any defect planted."""
    @functools.cache
    def findings(check):
        return lint("--tree", copy, check).stdout.splitlines()
    return findings


@contextlib.contextmanager
def planted(copy, name, text):
    path = copy / name
    old = path.read_text() if path.exists() else None
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    yield
    if old is None:
        path.unlink()
    else:
        path.write_text(old)


@pytest.mark.parametrize("defect", TEXT_DEFECTS)
def test_planted_defect_is_found(copy, findings_before, defect):
    """A defect planted in a copy of the sources is reported."""
    check, name, text, word = TEXT_DEFECTS[defect]
    before = findings_before(check)
    with planted(copy, name, text):
        after = lint("--tree", copy, check)
    found = [line for line in after.stdout.splitlines()
             if line not in before and line.startswith(f"{name}:")
             and f" {check}: " in line and word in line]
    assert found, after.stdout + after.stderr
    assert after.returncode == 1


def test_planted_style_defect_is_found(tmp_path):
    """A defect that checkpatch can see is reported; in one file, for it is slow."""
    with planted(tmp_path, CORE, c_file("int  vmq_defect ;\n")):
        result = lint("--tree", tmp_path, "checkpatch")
    assert result.returncode == 1, result.stderr
    assert any(line.startswith(f"{CORE}:") and "SPACING" in line
               for line in result.stdout.splitlines()), result.stdout


BUILD_DEFECTS = {
    "endian": ("\nu16 vmq_defect(__le16 a);\n"
               "u16 vmq_defect(__le16 a)\n{\n\treturn a;\n}\n",
               "incorrect type in return"),
    # What W=1 alone reports: the compiler is told not to without it.
    "extra": ("\nstatic const int vmq_defect = 1;\n",
              "defined but not used [-Wunused-const-variable"),
    # What every build reports.
    "prototype": ("\nint vmq_defect(void)\n{\n\treturn 0;\n}\n",
                  "no previous prototype"),
    "modpost": ("\nint vmq_nowhere(void);\nint vmq_defect(void);\n"
                "int vmq_defect(void)\n{\n\treturn vmq_nowhere();\n}\n",
                "vmq_nowhere"),
    "syntax": ("\nint vmq_defect(void)\n", "error"),
}


def is_found(result, defect):
    """A finding with the word that belongs to it, in its own file."""
    return any(BUILD_DEFECTS[defect][1] in line and
               (line.startswith(f"drivers/{defect}.c:") or "modpost" in line)
               for line in result.stdout.splitlines())


class Checkout:
    """A project of small modules, one for each defect, with our scripts and a
    cache of its own in which the kernels are this one's."""

    def __init__(self, root):
        self.root, self.cache = root, root / "cache"
        cache = Path(guest.cache_dir())
        (self.cache / "vmq").mkdir(parents=True)
        for path in [cache / "kernels", *cache.glob("kernel-*"), *cache.glob("source-*")]:
            (self.cache / "vmq" / path.name).symlink_to(path)
        shutil.copytree(TOP / "scripts", root / "scripts")
        (root / "Kbuild").write_text("obj-m := drivers/\n")
        (root / "drivers").mkdir()

    def plant(self, *defects):
        """These and no others, and a module without. A file that stays is not touched."""
        texts = {f"{name}.c": c_file(BUILD_DEFECTS[name][0]) for name in defects}
        texts["good.c"] = c_file("")
        texts["Kbuild"] = "".join(f"obj-m += {name[:-2]}.o\n" for name in sorted(texts))
        for path in self.root.glob("drivers/*"):
            if path.name not in texts:
                path.unlink()
        for name, text in texts.items():
            path = self.root / "drivers" / name
            if not path.exists() or path.read_text() != text:
                path.write_text(text)

    def lint(self):
        return subprocess.run([self.root / "scripts/lint", "build"], text=True,
                              env={**os.environ, "XDG_CACHE_HOME": str(self.cache)},
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, check=False)


@pytest.mark.parametrize("defect", ["modpost", "syntax"])
def test_planted_build_defect_is_found(tmp_path, defect):
    """A defect with which nothing can be built is reported, also in a copy of the sources."""
    checkout = Checkout(tmp_path)
    checkout.plant(defect)
    result = lint("--tree", tmp_path, "build")
    assert result.returncode == 1, result.stderr
    assert is_found(result, defect), result.stdout


def test_modules_as_built_are_judged(tmp_path):
    """Of its own sources lint reads what their build for the tests said, and that is all of it."""
    checkout = Checkout(tmp_path)
    compiles = ["endian", "extra", "prototype"]
    checkout.plant(*compiles)
    for built in (True, False):
        result = checkout.lint()
        assert result.returncode == 1, result.stderr
        assert [d for d in compiles if not is_found(result, d)] == [], result.stdout
        assert built == ("building the modules" in result.stderr), result.stderr
    # The others are as they were, and their findings stay.
    checkout.plant("endian", "prototype")
    result = checkout.lint()
    assert result.returncode == 1, result.stderr
    assert [d for d in compiles if is_found(result, d)] == ["endian", "prototype"], result.stdout


def test_planted_unit_test_defect_is_found(tmp_path):
    """A defect in tests/kunit, which the debug kernel alone builds, is reported by its build."""
    if not has_debug_kernel():
        print("no debug kernel in the cache: tests/kunit is not compiled here")
        return
    text, word = BUILD_DEFECTS["extra"]
    with planted(tmp_path, "Kbuild",
                 "obj-$(if $(CONFIG_KUNIT),m) += tests/kunit/\n"), \
         planted(tmp_path, "tests/kunit/Kbuild", "obj-m := defect.o\n"), \
         planted(tmp_path, "tests/kunit/defect.c", c_file(text)):
        stock = lint("--tree", tmp_path, "build")
        debug = lint("--tree", tmp_path, "build-debug")
    assert stock.returncode == 0, stock.stdout + stock.stderr
    assert debug.returncode == 1, debug.stderr
    assert any(line.startswith("tests/kunit/defect.c:") and word in line
               for line in debug.stdout.splitlines()), debug.stdout
