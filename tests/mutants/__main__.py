# SPDX-License-Identifier: GPL-2.0-only
"""Breaks the driver in every way of the catalogue: python3 -m tests.mutants

Works on a copy. A line for each mutant says which test noticed and how long it took;
the last line is "N killed, N survived". What survives, what does not apply and what does
not build fails the run. T=text[,text]: only mutants whose name has it; T=kunit: all but
those that need an emulated NIC.

KUnit cases run in User Mode Linux. The sources are compiled once; each mutant then costs
the files that it changes, and the one before it.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.kunit.ktap import CASES, SUBTEST, Results
from tests.mutants import catalogue
from tests.mutants.catalogue import MUTANTS
from tests.vm import uml
from tests.vm.guest import TOP, script_output

MODULES = ("vmq", "vmq_vswitch", "vmq_vswitch_test", "vmq_test")
# So many that each promise is tried, on NICs of every kind.
SEQUENCES = "600"
UML_TIMEOUT = 900
COPIED = ("Kbuild", "Makefile", "drivers", "include", "scripts", "tests", "pytest.ini")
FAILED = re.compile(r"^(?:\[\d\] )?(\d+) passed, (\d+) failed", re.MULTILINE)


class Wrong(Exception):
    """The catalogue does not fit the sources, or something else is not as it has to be."""


def say(text):
    print(text, flush=True)


class Copy:
    """The project in a directory of its own, where it may be broken."""

    def __init__(self, directory):
        self.top = Path(directory)
        for name in COPIED:
            source = Path(TOP, name)
            if source.is_dir():
                shutil.copytree(source, self.top / name, ignore=shutil.ignore_patterns(
                    "__pycache__", "*.ko", "*.o", "*.mod", "*.mod.c", ".*.cmd"))
            else:
                shutil.copy(source, self.top / name)

    def change(self, mutant):
        """The text as it was, to be put back."""
        path = self.top / mutant.path
        text = path.read_text()
        path.write_text(text.replace(mutant.old, mutant.new))
        return text

    def build(self):
        """Modules for User Mode Linux, in the copy itself. An error names what the compiler said."""
        kernel = script_output("scripts/kernel", "uml")
        done = subprocess.run(
            ["nice", "-n", "19", "make", "-C", f"{kernel}/build", f"M={self.top}", f"-j{os.cpu_count()}", "modules"],
            env={**os.environ, "ORACLE_SEQUENCES": SEQUENCES},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise Wrong("does not build:\n" + done.stdout[-2000:])
        modules = self.top / "ko"
        modules.mkdir(exist_ok=True)
        for path in [*self.top.glob("drivers/**/*.ko"), *self.top.glob("tests/**/*.ko")]:
            shutil.copy(path, modules)
        return modules

    def kunit(self):
        """The cases that are red, and how it ended early if it did."""
        found, early = Results(), False
        modules = self.build()
        try:
            text = uml.run(modules, MODULES, timeout=UML_TIMEOUT)
        except uml.Ended as e:
            text, early = e.said, True
        found.read_console(text, "uml")
        red = {case for _, case in found.red()}
        if early:
            suites = SUBTEST.findall(text)
            red |= {case for suite, case in CASES if suite in suites[-1:] and (suite, case) not in found.verdict}
        return red, found.trouble

    def make_test(self, text):
        """How many tests of "make test" passed and failed. KUnit's run on the debug kernel all the same."""
        env = {**os.environ, "T": text, "KERNEL": "stock", "PYTHONDONTWRITEBYTECODE": "1"}
        # A compiler can wait, a guest that is slow fails.
        subprocess.run(["nice", "-n", "19", self.top / "scripts/build-modules", "stock"],
                       check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        done = subprocess.run(["make", "test"], cwd=self.top, env=env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        counts = FAILED.search(done.stdout)
        if not counts or counts.group(1) == counts.group(2) == "0":
            raise Wrong(f"make test T={text} ran no test:\n" + done.stdout[-2000:])
        return int(counts.group(1)), int(counts.group(2))


def killer(copy, mutant):
    """The test that noticed, or None."""
    if mutant.make:
        return f"make test T={mutant.make}" if copy.make_test(mutant.make)[1] else None
    red, _ = copy.kunit()
    return next((case for case in mutant.tests if case in red), None) or complain(mutant, red)


def complain(mutant, red):
    """Another test than those that promise to look is no proof, but worth knowing."""
    if red:
        say(f"    {mutant.name}: none of {', '.join(mutant.tests)}, but {', '.join(sorted(red))}")


def check_unbroken(copy, mutants):
    """A test that fails anyway notices nothing."""
    if any(m.tests for m in mutants):
        red, trouble = copy.kunit()
        if red or trouble:
            raise Wrong(f"red without any mutant: {sorted(red)} {trouble}")
    for text in sorted({m.make for m in mutants if m.make}):
        if copy.make_test(text)[1]:
            raise Wrong(f"make test T={text} fails without any mutant")


def try_one(copy, mutant):
    began = time.monotonic()
    text = copy.change(mutant)
    try:
        by = killer(copy, mutant)
    finally:
        (copy.top / mutant.path).write_text(text)
    seconds = time.monotonic() - began
    verdict = f"killed by {by}" if by else f"SURVIVED: {mutant.breaks}"
    say(f"{mutant.name}: {verdict} ({seconds:.0f} s)")
    return bool(by)


def chosen(text):
    if text == "kunit":
        return [m for m in MUTANTS if m.tests]
    return [m for m in MUTANTS if any(part in m.name for part in text.split(","))]


def main():
    mutants = chosen(os.environ.pop("T", ""))
    if problems := catalogue.check(mutants):
        raise Wrong("\n".join(problems))
    killed, wrong = 0, []
    with tempfile.TemporaryDirectory(prefix="vmq-mutants-") as directory:
        copy = Copy(directory)
        say(f"{len(mutants)} mutants; first the tests without any")
        check_unbroken(copy, mutants)
        for mutant in mutants:
            try:
                killed += try_one(copy, mutant)
            except Wrong as e:
                wrong.append(mutant.name)
                say(f"{mutant.name}: {e}")
    if wrong:
        say(f"not built: {', '.join(wrong)}")
    say(f"{killed} killed, {len(mutants) - killed - len(wrong)} survived")
    return 0 if mutants and killed == len(mutants) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Wrong as error:
        sys.exit(f"mutants: {error}")
