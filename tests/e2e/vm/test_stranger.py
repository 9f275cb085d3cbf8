# SPDX-License-Identifier: GPL-2.0-only
"""What our commands say and do on a machine that is not ours.

A copy of the scripts whose absolute paths (/etc/apt, /sys ...) lead into a
scratch directory, with stand-ins first in PATH for the programs that tell what
the machine is. No guest, no network, nothing of the real configuration.
"""

import fcntl
import hashlib
import os
import pty
import re
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from tests.vm.guest import TOP

ALICE = 12345
RELEASE = "6.12.117+deb12-amd64"
VERSION = "6.12.117-1~deb12u1"
GET_KERNEL = f"apt-get install linux-image-{RELEASE} linux-headers-{RELEASE}"

# What in which script is led into the scratch directory. Each has to be there.
PATHS = {
    "common.sh": ["/etc/apt/", "/usr/sbin/policy-rc.d", "/run/vmq-setup.lock"],
    "debs.sh": ["/etc/os-release"],
    "kernel": ["/usr/bin/apt-cache"],
    "modules": ["/etc/os-release", "/lib/modules/", "/sys/firmware", "/sys/kernel/security", "/sys/module/"],
    "setup": ["/etc/apt/", "/etc/os-release", "/usr/bin/apt-get", "/usr/bin/dpkg-query", "/proc/meminfo"],
}

# The stand-ins. $M is the scratch directory.
PROGRAMS = {
    "uname": 'case $1 in -m) cat "$M/machine" ;; -r) cat "$M/release" ;; *) echo Linux ;; esac',
    "dpkg": 'cat "$M/architecture"',
    "dpkg-query": 'eval p=\\${$#}; grep -qsx -e "$p" -e all "$M/installed" && printf installed',
    "qemu-system-x86_64": 'echo \'name "e1000"\'; ! grep -qsx -e qemu-system-x86 -e all "$M/installed" || echo \'name "igb"\'',
    "getent": f'echo "alice:x:{ALICE}:{ALICE}::$M/alice:/bin/sh"',
    "df": 'echo head; echo "fs 9 9 $(cat "$M/mib_free") 9% /"',
    "insmod": "echo 'insmod: ERROR: Required key not available' >&2; exit 1",
    "modinfo": ":",
    "apt-cache": """
        case $1 in
        pkgnames) echo linux-image-RELEASE; echo linux-image-6.12.9+deb12-amd64 ;;
        madison) shift; case $* in *6.12.9*) exit ;; esac
            for p; do echo " $p | VERSION | http://deb.example/debian bookworm/main amd64 Packages"; done ;;
        policy) cat "$M/policy" || exit; cat "$M/etc/apt/sources.list.d/vmq-backports.sources" 2>/dev/null |
            sed -n 's/^Suites: \\(.*\\)/     release o=Debian,n=\\1,l=Debian Backports/p' ;;
        show) grep -qx "$2" "$M/known" ;;
        esac""".replace("RELEASE", RELEASE).replace("VERSION", VERSION),
    "apt-get": """
        echo "$*" >>"$M/apt.log"
        echo "${http_proxy-} ${https_proxy-}" >>"$M/proxies"
        parse() { /usr/bin/apt-get indextargets -o Dir::Etc="$M/etc/apt" -o Dir::State="$M/state" "$@" ; }
        case " $* " in
        *" indextargets "*) shift; parse "$@" ;;
        *" update "*) parse >/dev/null || exit 100
            . "$M/update" ;;
        *" download "*) . "$M/download" ;;
        *" install "*)
            [ ! -x "$M/usr/sbin/policy-rc.d" ] || echo policy-rc.d >>"$M/apt.log"
            [ ! -e "$M/install" ] || . "$M/install"
            for word; do
                case $word in
                Dir::Etc::preferences=*) cp "${word#*=}" "$M/preferences" ;;
                -*) ;;
                *) echo "$word" >>"$M/installed" ;;
                esac
            done ;;
        esac""",
}

NETWORK = 'echo "Hit:1 http://deb.example/debian bookworm InRelease"\n'


class Machine:
    """A Debian 12 with all packages, the kernels and the unpacked packages in alice's and root's
    cache, and a copy of the scripts in a checkout of alice's."""

    def __init__(self, root):
        self.root = root
        self.home, self.checkout, self.bin = root / "alice", root / "alice/checkout", root / "usr/bin"
        self.etc = root / "etc/apt/sources.list.d"
        for path in (self.bin, self.etc, root / "etc/apt/preferences.d", root / "state/lists/partial",
                     root / "usr/sbin", root / "run", root / "tmp"):
            path.mkdir(parents=True)
        (root / "tmp").chmod(0o1777)
        for name, value in {"machine": "x86_64", "release": RELEASE, "architecture": "amd64", "installed": "all",
                            "mib_free": "90000", "policy": "", "known": f"linux-headers-{RELEASE}", "update": NETWORK,
                            "proc/meminfo": "MemAvailable: 16000000 kB"}.items():
            self.write(name, value + "\n")
        self.write("etc/os-release", "ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n")
        self.write("etc/apt/sources.list", "deb http://deb.example/debian bookworm main\n")
        for name, text in PROGRAMS.items():
            self.write(f"usr/bin/{name}", f"#!/bin/sh\nM={root}\n{text}\n", 0o755)
        self.copy_scripts()
        for name in ("Kbuild", "drivers/x.c", "include/x.h"):
            self.write(self.checkout / name, "")
        (self.checkout / "tests/e2e/link").mkdir(parents=True)
        self.write(self.checkout / "tests/kunit/test_kunit.py", "def test_case(): pass\n")
        self.write(self.checkout / "tests/kunit/x_test.c", "KUNIT_CASE(vmq_x_test_one)\n")
        self.fill_cache()
        self.own(self.home)

    def write(self, name, text, mode=0o644):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def own(self, path):
        for p in (path, *path.rglob("*")):
            os.chown(p, ALICE, ALICE, follow_symlinks=False)

    def copy_scripts(self):
        scripts = self.checkout / "scripts"
        shutil.copytree(f"{TOP}/scripts", scripts, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(f"{TOP}/Makefile", self.checkout)
        for name, paths in PATHS.items():
            text = (scripts / name).read_text()
            for path in paths:
                text, count = re.subn(r"(?<![\w}])" + re.escape(path), f"{self.root}{path}", text)
                assert count, f"scripts/{name} has no {path}"
            (scripts / name).write_text(text)

    @property
    def cache(self):
        return self.home / ".cache/vmq"

    def fill_cache(self):
        self.stock = self.cache / f"kernels/stock-{VERSION}"
        self.debug = self.own_kernel("debug")
        (self.cache / f"source-{VERSION}").mkdir(parents=True)
        (self.cache / "kernel-bookworm").write_text(f"{RELEASE} {VERSION}\n")
        self.daemon = self.cache / "packages/bookworm/irqbalance_1.9.2-1_amd64"
        self.daemon.mkdir(parents=True)
        for package in ("openvswitch-common", "openvswitch-switch"):
            (self.daemon.parent / f"{package}_3.1.0-2_amd64").mkdir()
        for kernel in (self.stock, self.debug, self.own_kernel("uml")):
            self.write(kernel / "release", RELEASE + "\n")
            self.headers(kernel / "build")

    def own_kernel(self, kind):
        """Where one is that scripts/kernel would build."""
        recipe = self.checkout / "scripts/kernel.d"
        key = hashlib.sha256((recipe / f"{kind}.config").read_bytes() + (recipe / f"build-{kind}").read_bytes() +
                             subprocess.run(["gcc", "-dumpfullversion"], stdout=subprocess.PIPE).stdout).hexdigest()[:12]
        return self.cache / f"kernels/{kind}-{VERSION}-{key}"

    def headers(self, path):
        """A build directory of a kernel whose build is one touch."""
        self.write(path / "Makefile", "modules:\n\ttouch $(M)/drivers/vmq.ko\n")
        self.write(path / "include/config/kernel.release", RELEASE + "\n")

    def running_headers(self):
        self.headers(self.root / f"lib/modules/{RELEASE}/build")

    def environment(self, **env):
        return {"PATH": f"{self.bin}:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.home), "TMPDIR": str(self.root / "tmp"),
                "TERM": "xterm", **env}

    def make(self, *words, user=0, timeout=120, **env):
        who = {"user": user, "group": user, "extra_groups": []} if user else {}
        done = subprocess.run(["make", "-C", self.checkout, "--no-print-directory", *words], env=self.environment(**env),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, **who)
        done.text = done.stdout + done.stderr
        return done

    def refused(self, *words, **options):
        """Exit status 2, and not a line but those of ours (and make's last)."""
        done = self.make(*words, **options)
        assert done.returncode == 2, done.text
        for line in done.stderr.splitlines():
            assert re.match(r"make: \*\*\*|(setup|modules|kernel|run): |  |Makefile:\d+: |no answer from|Err:1|W: Failed", line), done.stderr
        assert not done.stdout, done.stdout
        # One text, whatever lines it is printed in.
        done.said = " ".join(re.sub(r"^\w+: ", "", line).strip() for line in done.stderr.splitlines())
        return done

    def script(self, name, *words, **env):
        return subprocess.run([self.checkout / "scripts" / name, *words], env=self.environment(**env),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)

    def prepare(self, target="demo"):
        """scripts/setup, which works; what it says."""
        done = self.script("setup", target)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def apt_calls(self):
        log = self.root / "apt.log"
        return log.read_text().splitlines() if log.exists() else []

    def files(self):
        return {str(p): p.lstat().st_mtime_ns for p in self.root.rglob("*")}


@pytest.fixture
def machine():
    root = Path(tempfile.mkdtemp(prefix="vmq-stranger.", dir="/tmp"))
    root.chmod(0o755)
    try:
        yield Machine(root)
    finally:
        shutil.rmtree(root)


@pytest.mark.parametrize("target", ["demo", "test", "mutants", "bench", "vm", "load", "unload", "install", "unsetup"])
def test_plain_user(machine, target):
    """A user without rights is told so in one line, before anything is done."""
    before = machine.files()
    done = machine.refused(target, user=ALICE)
    assert len(done.stderr.splitlines()) == 1 and f"run this as root: sudo make {target}" in done.stderr
    assert machine.files() == before


@pytest.mark.parametrize("target", ["demo", "lint"])
def test_architecture(machine, target):
    """A machine that is not amd64 is told so in a plain sentence."""
    machine.write("machine", "aarch64\n")
    assert "this needs an amd64 (x86-64) machine, and this one is aarch64" in machine.refused(target).said
    machine.write("machine", "x86_64\n")
    machine.write("architecture", "i386\n")
    assert "this needs Debian for amd64, and this one is for i386" in machine.refused(target).said
    assert not machine.apt_calls()


@pytest.mark.parametrize("target", ["demo", "test", "mutants", "bench", "vm"])
def test_accelerator(machine, target):
    """ACCEL is tcg or kvm, and anything else is refused before anything is done."""
    before = machine.files()
    assert "ACCEL is tcg or kvm, not xen" in machine.refused(target, "ACCEL=xen").said
    assert machine.files() == before


@pytest.mark.parametrize("release", ["6.1.0-44-amd64", "6.18.4-amd64", "6.120.0"])
def test_running_kernel(machine, release):
    """make and make load name the supported kernels and the command to get one."""
    machine.write("release", release + "\n")
    for words, user in ((("modules",), ALICE), (("load",), 0)):
        done = machine.refused(*words, user=user)
        assert f"kernel {release} is not supported, 6.12 is. Get one: {GET_KERNEL}, and reboot" in done.said
    machine.write("etc/os-release", "ID=debian\nVERSION_ID=\"13\"\nVERSION_CODENAME=trixie\n")
    done = machine.refused("modules", user=ALICE)
    assert "6.12 is. Get one: apt-get install linux-image-amd64 linux-headers-amd64, and reboot" in done.said


def test_headers_missing(machine):
    """Without the running kernel's headers: the command that installs them."""
    for words, user in ((("modules",), ALICE), (("load",), 0)):
        done = machine.refused(*words, user=user)
        assert f"the headers of the running kernel {RELEASE} are not installed" in done.said
        assert f"apt-get install linux-headers-{RELEASE} " in done.said + " "
    machine.write("release", "6.12.3-mine\n")
    done = machine.refused("modules", user=ALICE)
    assert "Debian has none for it" in done.said and GET_KERNEL in done.said
    assert "has no Makefile" in machine.refused("modules", "KDIR=/nowhere").said


FAILED = 'echo "Err:1 http://deb.example/debian bookworm InRelease"; echo "W: Failed to fetch http://deb.example" >&2\n'


@pytest.mark.parametrize("update", [FAILED, FAILED + "exit 100", 'echo $$ >"$M/apt.pid"; exec sleep 60'],
                         ids=["failed", "error", "silent"])
def test_offline(machine, update):
    """Neither network nor cache: what is missing, within 10 seconds."""
    shutil.rmtree(machine.cache)
    machine.write("installed", "\n".join(["bc", "make", "gcc"]) + "\n")
    machine.write("update", update + "\n")
    began = time.monotonic()
    done = machine.refused("demo")
    took = time.monotonic() - began
    assert took < 10, f"{took:.1f} s"
    assert "there is no network" in done.said
    assert re.search(r"packages missing: .*\bcpio\b.*\bqemu-system-x86\b", done.said), done.said
    assert "the kernel's stock" in done.said and not re.search(r"missing:.*\bbc\b", done.said)
    pid = machine.root / "apt.pid"
    assert not pid.exists() or not os.path.exists(f"/proc/{pid.read_text().strip()}"), "apt-get goes on"
    assert not any(" install " in f" {call} " for call in machine.apt_calls())


def test_cached_needs_nothing(machine):
    """With all there, setup asks neither the network nor apt."""
    machine.write("update", "exit 100\n")
    (machine.bin / "apt-cache").unlink()
    (machine.bin / "apt-get").unlink()
    for target in ("demo", "test", "lint"):
        assert machine.prepare(target) == ""


def test_unpacked(machine):
    """A daemon's package is fetched once, unpacked in the cache, and never installed; offline its name is said."""
    shutil.rmtree(machine.daemon)
    machine.write("update", FAILED)
    done = machine.script("setup", "test")
    assert done.returncode == 2 and f"not in {machine.cache}: the package irqbalance" in done.stderr, done.stderr
    assert "there is no network" in done.stderr and "kernel's" not in done.stderr
    machine.write("update", NETWORK)
    machine.write("deb/DEBIAN/control", "Package: irqbalance\nVersion: 1:2-3\nArchitecture: amd64\n"
                  "Maintainer: nobody <n@x.y>\nDescription: none\n")
    program = machine.write("deb/usr/sbin/irqbalance", "#!/bin/sh\n", 0o755)
    machine.write("download", 'case $* in *irqbalance*) dpkg-deb -b "$M/deb" irqbalance_1%3a2-3_amd64.deb;; esac\n')
    for said in ("downloading irqbalance", None):
        done = machine.script("setup", "test")
        assert done.returncode == 0, done.stderr
        assert (said or "") in done.stderr and bool(said) == bool(done.stderr)
    done = machine.script("unpack", "irqbalance")
    there = Path(done.stdout.strip())
    assert there.parent == machine.daemon.parent and "1%3a2-3" in there.name
    assert (there / "usr/sbin/irqbalance").read_text() == program.read_text()
    assert not any(" install " in f" {call} " for call in machine.apt_calls())
    # The demo needs none.
    shutil.rmtree(there)
    assert machine.prepare("demo") == ""


def test_no_apt(machine):
    """A machine without apt gets the list of what is missing, or of all where nobody knows."""
    (machine.bin / "apt-get").unlink()
    machine.write("installed", "gcc\n")
    done = machine.refused("demo")
    lines = done.stderr.splitlines()
    assert "there is no apt here install these yourself (names" in done.said and "  gcc" not in lines
    for package in ("pahole", "busybox-static", "qemu-system-x86 (8.0 or later)"):
        assert f"  {package}" in lines, done.stderr
    assert "linux-image" not in done.said, "the kernel is in the cache"
    # Nor dpkg; this machine's own must not be found.
    (machine.bin / "dpkg-query").unlink()
    machine.write("first/dpkg-query", "#!/bin/sh\nexit 127\n", 0o755)
    shutil.rmtree(machine.stock)
    done = machine.refused("demo", PATH=f"{machine.root}/first:{machine.environment()['PATH']}")
    assert "install all of these yourself, as far as they are missing (names" in done.said
    assert "  gcc" in done.stderr.splitlines() and "Debian's linux-image-6.12 packages are needed" in done.said


def test_room(machine):
    """Space and memory are compared with what the target needs, first."""
    machine.write("mib_free", "300\n")
    shutil.rmtree(machine.stock)
    assert "make demo needs 700 MiB in" in machine.refused("demo").said
    machine.write("mib_free", "90000\n")
    machine.write("proc/meminfo", "MemAvailable: 900000 kB\n")
    assert "make demo needs 1800 MiB of free memory, and 878 MiB are available" in machine.refused("demo").said
    assert not machine.apt_calls()


def test_no_home(machine):
    """A cache that cannot be written is one sentence."""
    done = machine.refused("lint", user=ALICE, HOME="/proc/nowhere")
    assert len(done.stderr.splitlines()) == 2, done.stderr
    assert "cannot write to /proc/nowhere/.cache/vmq" in done.said and "set XDG_CACHE_HOME" in done.said
    # Another's, where something is missing.
    shutil.rmtree(machine.stock)
    done = machine.refused("lint", user=ALICE + 1)
    assert len(done.stderr.splitlines()) == 2, done.stderr
    assert f"cannot write to {machine.cache}" in done.said


def run_tests(machine, *words, **env):
    """make test, with tests that only leave files as root."""
    machine.write(machine.checkout / "tests/lanes.py", (
        "from pathlib import Path\n"
        f"Path('{machine.checkout}/left').mkdir(exist_ok=True)\n"
        f"Path('{machine.checkout}/left/here').touch()\n"
        f"Path('{machine.cache}/left').touch()\n"))
    machine.own(machine.checkout)
    done = machine.make("test", *words, SUDO_UID=str(ALICE), SUDO_GID=str(ALICE), HOME="/root", **env)
    assert done.returncode == 0, done.text
    return done


def test_ownership(machine):
    """Under sudo all that is made, in the checkout and the cache, is the user's."""
    run_tests(machine)
    assert (machine.checkout / "left/here").exists() and (machine.cache / "left").exists()
    machine.running_headers()
    done = machine.make("modules", SUDO_UID=str(ALICE), SUDO_GID=str(ALICE), HOME="/root")
    assert done.returncode == 0 and (machine.checkout / "drivers/vmq.ko").exists(), done.text
    shutil.rmtree(machine.cache / "mods")
    done = machine.script("build-modules", "stock", SUDO_UID=str(ALICE), SUDO_GID=str(ALICE), HOME="/root")
    assert done.returncode == 0 and done.stdout.startswith(str(machine.cache)), done
    foreign = [str(p) for p in machine.home.rglob("*") if p.lstat().st_uid != ALICE]
    assert not foreign


@pytest.mark.parametrize("words, kernels", [
    ((), "debug stock uml"),
    (("KERNEL=stock",), "debug stock uml"),
    (("KERNEL=stock", "T=X_TEST_one"), "debug stock uml"),
    (("KERNEL=stock", "SUITE=link"), "stock"),
    (("KERNEL=stock", "T=A12"), "stock"),
], ids=["all", "stock", "stock-kunit", "stock-link", "stock-A12"])
def test_kernels_up_front(machine, words, kernels):
    """make test has a kernel's modules made before the tests, also for KUnit."""
    run_tests(machine, *words)
    built = sorted(p.name.partition("-")[0] for p in (machine.cache / "mods").iterdir())
    assert " ".join(built) == kernels


def test_debug_kernel_needs_room(machine):
    """KERNEL=stock without the debug kernel: its space is checked, for KUnit."""
    shutil.rmtree(machine.debug)
    machine.write("mib_free", "300\n")
    assert "make test needs 4500 MiB" in machine.refused("test", "KERNEL=stock", HOME=str(machine.home)).said
    run_tests(machine, "KERNEL=stock", "SUITE=link")


def installations(machine):
    return [f" {call} " for call in machine.apt_calls() if " install " in f" {call} "]


def test_backports(machine):
    """Debian 12: one announced file for QEMU, for QEMU alone; make unsetup removes it."""
    ours = machine.etc / "vmq-backports.sources"
    theirs = machine.write(machine.etc / "other.list", "deb http://other.example/debian bookworm main\n")
    machine.write("installed", "\n".join(["bc", "make"]) + "\n")
    said = machine.prepare()
    assert f"added {ours}" in said and '"make unsetup" removes it' in said
    assert "Suites: bookworm-backports" in ours.read_text()
    install, = installations(machine)
    assert " --no-install-recommends " in install and " qemu-system-x86 " in install and " bc " not in install
    assert "-t bookworm-backports" not in install
    pinned = re.findall(r"Package: (.*)\nPin: release n=bookworm-backports", (machine.root / "preferences").read_text())
    assert pinned == ["qemu-system-x86 qemu-system-common qemu-system-data seabios"]
    done = machine.make("unsetup")
    assert done.returncode == 0 and f"removed {ours}" in done.stderr
    assert not ours.exists() and theirs.exists()
    done = machine.make("unsetup")
    assert done.returncode == 0 and "nothing to remove" in done.stderr


def test_backports_configured(machine):
    """Backports that are configured already, in whatever form, are used as they are."""
    machine.write("policy", "     release o=Debian Backports,a=stable-backports,n=bookworm-backports,c=main\n" + "x\n" * 200000)
    machine.write("installed", "bc\n")
    assert "added" not in machine.prepare()
    assert os.listdir(machine.etc) == [] and len(installations(machine)) == 1


def test_services(machine):
    """While packages are installed no daemon may start; afterwards all is as before."""
    policy = machine.root / "usr/sbin/policy-rc.d"
    machine.write("policy", "n=bookworm-backports\n")
    machine.write("installed", "")
    machine.prepare()
    assert machine.apt_calls().count("policy-rc.d") == 1 and not policy.exists()
    # One of the machine's own stays.
    machine.write("installed", "")
    machine.write(policy, "#!/bin/sh\nexit 0\n", 0o755)
    machine.prepare()
    assert policy.read_text() == "#!/bin/sh\nexit 0\n"


def kill_setup(machine):
    """What it leaves behind when it is killed while apt-get works."""
    policy = machine.root / "usr/sbin/policy-rc.d"
    machine.write("policy", "n=bookworm-backports\n")
    machine.write("installed", "")
    machine.write("install", "kill -9 $PPID\n")
    # Without a pipe, which what it started keeps open for a second.
    status = subprocess.call([machine.checkout / "scripts/setup", "demo"], env=machine.environment(),
                             stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert status == -9 and policy.exists()
    machine.write("installed", "all\n")
    return policy


def test_setup_killed(machine):
    """What a killed setup left goes with the next one or unsetup, not while one is at work."""
    for clean_up in (machine.prepare, lambda: machine.script("unsetup").stderr):
        policy = kill_setup(machine)
        with open(machine.root / "run/vmq-setup.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            assert "removed" not in clean_up() and policy.exists()
        assert f"removed {policy}" in clean_up() and not policy.exists()
    # One of the machine's own stays.
    machine.write(policy, "#!/bin/sh\nexit 0\n", 0o755)
    assert machine.prepare() == "" and "policy-rc.d" not in machine.script("unsetup").stderr and policy.exists()


def test_proxy(machine):
    """Every apt-get gets the proxies that setup was given."""
    machine.write("policy", "n=bookworm-backports\n")
    machine.write("installed", "bc\n")
    done = machine.script("setup", "demo", http_proxy="http://proxy.example:1", https_proxy="http://proxy.example:2")
    assert done.returncode == 0 and len(installations(machine)) == 1, done.stderr
    seen = set((machine.root / "proxies").read_text().splitlines())
    assert seen == {"http://proxy.example:1 http://proxy.example:2"}


@pytest.mark.parametrize("text, update, said", [
    ("this is no source\n", NETWORK, "leaving out"),
    ("deb http://gone.example/debian bookworm main\n", NETWORK + FAILED + "exit 100\n", "going on without them"),
], ids=["unreadable", "unreachable"])
def test_broken_source(machine, text, update, said):
    """Another's package source that does not work stops nothing."""
    broken = machine.write(machine.etc / "broken.list", text)
    machine.write(machine.etc / "good.list", "deb http://good.example/debian bookworm main\n")
    machine.write("policy", "n=bookworm-backports\n")
    machine.write("installed", "bc\n")
    machine.write("update", update)
    out = machine.prepare()
    assert said in out and (said != "leaving out" or f"leaving out {broken}" in out) and "good.list" not in out
    assert len(installations(machine)) == 1 and broken.read_text() == text


def test_lists_locked(machine):
    """Another program holds apt's lock: setup says so and waits."""
    machine.write("policy", "n=bookworm-backports\n")
    machine.write("installed", "bc\n")
    machine.write("update", (
        'if [ ! -e "$M/once" ]; then\n'
        '    touch "$M/once"; echo "E: Could not get lock /var/lib/apt/lists/lock"; exit 100\n'
        f"fi\n{NETWORK}"))
    assert "another program is using apt, waiting for it up to 5 minutes" in machine.prepare()
    install, = installations(machine)
    assert " DPkg::Lock::Timeout=300 " in install


def be_impatient(machine):
    """In the copy a quiet step is heard of each second."""
    common = machine.checkout / "scripts/common.sh"
    text = common.read_text()
    assert "\nheard_every=25\n" in text
    common.write_text(text.replace("\nheard_every=25\n", "\nheard_every=1\n"))


def test_slow_setup(machine):
    """Waiting for another run, the package lists and the installation are heard of."""
    be_impatient(machine)
    machine.write("policy", "n=bookworm-backports\n")
    machine.write("installed", "bc\n")
    machine.write("update", NETWORK + "sleep 4\n")
    machine.write("install", "echo unpacking gcc; sleep 3\n")
    lock = subprocess.Popen(["flock", machine.root / "run/vmq-setup.lock", "sleep", "4"])
    said = machine.prepare()
    lock.wait(60)
    assert "another run is installing packages, waiting (1 s)" in said
    assert re.search(r"still reading the package lists \(\d s\): Hit:1", said), said
    assert re.search(r"still installing packages \(\d s\): unpacking gcc", said), said


def test_slow_build(machine):
    """So are downloads and the build of modules; what fails shows the end of its log."""
    be_impatient(machine)
    machine.write(machine.stock / "build/Makefile", "modules:\n\techo compiling; sleep 3; touch $(M)/drivers/vmq.ko\n")
    done = machine.script("build-modules", "stock")
    assert done.returncode == 0 and "still building the modules (1 s): " in done.stderr, done
    shutil.rmtree(machine.stock)
    machine.write("download", "echo E: no such file >&2; sleep 3; exit 100\n")
    done = machine.script("kernel", "stock")
    assert done.returncode == 2 and "still downloading linux-image" in done.stderr, done
    assert "\nE: no such file\n" in done.stderr and "cannot download linux-image" in done.stderr


SIGNED = {
    "Secure Boot": ("sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", "\6\0\0\0\1", "\6\0\0\0\0"),
    "lockdown": ("sys/kernel/security/lockdown", "none [integrity] confidentiality\n", "[none] integrity confidentiality\n"),
    "sig_enforce": ("sys/module/module/parameters/sig_enforce", "Y\n", "N\n"),
}


@pytest.mark.parametrize("name", SIGNED)
def test_signing(machine, name):
    """Where modules must be signed, make and a make load that fails say how."""
    path, on, off = SIGNED[name]
    machine.running_headers()
    for text, wanted in ((on, 1), (off, 0)):
        machine.write(path, text)
        done = machine.make("modules", user=ALICE)
        assert done.returncode == 0, done.text
        assert done.text.count("accepts signed modules only") == done.text.count("sign-file sha256") == wanted, done.text
        done = machine.make("load")
        assert done.returncode == 2 and "vmq was not loaded" in done.text and "Required key" in done.text, done.text
        assert done.text.count("accepts signed modules only") == done.text.count("mokutil --import") == wanted, done.text


def on_a_terminal(machine, **env):
    """What make prints there, with a compiler that has something to complain about."""
    ours, theirs = pty.openpty()
    program = subprocess.Popen(["make", "-C", machine.checkout, "--no-print-directory"], stdin=theirs, stdout=theirs,
                               stderr=theirs, env=machine.environment(**env))
    os.close(theirs)
    seen, end = b"", time.monotonic() + 60
    while time.monotonic() < end and select.select([ours], [], [], 60)[0]:
        try:
            seen += os.read(ours, 65536)
        except OSError:
            break
    os.close(ours)
    assert program.wait(60) == 0 and b"warning" in seen, seen
    return seen


def test_no_colour(machine):
    """With CI, NO_COLOR or TERM=dumb not one escape, also on a terminal."""
    machine.running_headers()
    machine.write(f"lib/modules/{RELEASE}/build/Makefile", "modules:\n\techo 'int f(void) { }' | gcc -Wall -c -xc - -o /dev/null\n")
    assert b"\x1b" in on_a_terminal(machine), "the terminal is none for gcc: this shows nothing"
    for env in ({"CI": "true"}, {"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert b"\x1b" not in on_a_terminal(machine, **env), env
