# SPDX-License-Identifier: GPL-2.0-only
"""The harness itself: what it says happened in a guest did happen."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

from tests.vm import guest as vm
from tests.vm import topology
from tests.vm.guest import CommandFailed, GuestDied, GuestError, GuestTimeout, Splat


def test_commands(one_guest):
    """Status, output, environment and input of commands come back as they were."""
    g = one_guest
    r = g.run("echo out; echo err >&2; exit 3", check=False)
    assert (r.rc, r.stdout, r.stderr) == (3, "out\n", "err\n")
    with pytest.raises(CommandFailed, match="status 3"):
        g.run("exit 3")
    assert g.run("echo $WORD; cat", env={"WORD": "a b"}, stdin="given").stdout == "a b\ngiven"
    assert g.run("kill -9 $$", check=False).rc == -signal.SIGKILL
    assert len(g.run("head -c 3000000 /dev/zero | tr '\\0' x").stdout) == 3000000
    # A child left in the background must not keep run() waiting.
    began = time.monotonic()
    g.run("sleep 1000 &")
    assert time.monotonic() - began < 30
    g.run("pkill -x sleep")


def test_timeout(one_guest):
    """A command over its time is killed with its children, and says so."""
    with pytest.raises(GuestTimeout, match="not over after 2 s"):
        one_guest.run("echo before; sleep 4321 & wait", timeout=2)
    assert one_guest.run("pgrep -f 'sleep 4321' | grep -vx $$", check=False).stdout == ""


def test_background(one_guest):
    """Background commands stream their output, run side by side and can be killed."""
    g = one_guest
    jobs = [g.spawn(f"echo started {i}; exec sleep {300 + i}") for i in range(3)]
    wait_for(lambda: all("started" in j.stdout for j in jobs))
    assert [j.stdout for j in jobs] == [f"started {i}\n" for i in range(3)]
    assert [j.poll() for j in jobs] == [None, None, None]
    assert jobs[1].stop() == -signal.SIGTERM
    assert [j.poll() for j in jobs] == [None, -signal.SIGTERM, None]
    jobs[0].kill(signal.SIGKILL)
    assert jobs[0].wait(30) == -signal.SIGKILL
    jobs[2].stop()
    assert g.spawn("exit 7").wait(30) == 7
    assert g.spawn("echo oops >&2; false").wait(30) == 1


def test_background_leaves_nothing(one_guest):
    """Of a background command or tool that is over the agent keeps nothing: one guest
    runs thousands of them, and may have 1024 files open."""
    g = one_guest
    tool = "/tmp/tool.py"
    g.put(tool, b"def main():\n    return 5\n")
    assert g.tool(tool).wait(60) == 5
    before = g.out("ls /proc/$PPID/fd")
    for _ in range(5):
        assert (g.tool(tool).wait(60), g.spawn("exit 6").wait(60)) == (5, 6)
    assert g.out("ls /proc/$PPID/fd") == before


TOOL = b"""
import os, signal, sys

def main():
    print(sys.argv[1:], flush=True)
    what = sys.argv[1]
    if what == "group":
        print(os.getpgid(0) == os.getsid(0) == os.getpid())
    elif what == "devices":
        print(sorted(os.listdir("/sys/class/net")), open("/proc/net/dev").read().count(":"))
    elif what == "raise":
        raise ValueError("of a tool")
    elif what == "exit":
        sys.exit(sys.argv[2])
    elif what == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    return 0
"""


def test_tools(one_guest):
    """A tool has its arguments, group and namespace, its output is kept, and its end is told as that of a program."""
    g = one_guest
    g.put("/tmp/ends.py", TOOL)

    def end(*words, **options):
        job = g.tool("/tmp/ends.py", *words, **options)
        return job.wait(60), job.stdout.splitlines(), job.stderr

    assert end("group") == (0, ["['group']", "True"], "")
    status, _, said = end("raise")
    assert status == 1 and "ValueError: of a tool" in said
    assert end("exit", "no more")[::2] == (1, "no more\n")
    assert end("killed")[0] == -signal.SIGKILL
    # Without the option, which systemd sets where it is, the module makes one for the initial namespace.
    g.run("modprobe dummy numdummies=0 && ip netns add empty && ip -n empty link add dummy0 type dummy")
    try:
        assert end("devices", netns="empty")[:2] == (0, ["['devices']", "['lo'] 2"])
        status, _, said = end("devices", netns="none")
        assert status == 1 and "/run/netns/none" in said
    finally:
        g.run("ip netns del empty")
    assert g.out("ps -o stat= --ppid $PPID | grep -c Z || true") == "0", "a tool that is over was not waited for"


def test_warm_files(one_guest):
    """What programs begin with is in the guest's memory, and is what the host has."""
    g = one_guest
    files = vm.warm_files()
    assert {os.path.realpath("/bin/bash"), "/etc/ld.so.cache"} < set(files) and any("libc.so" in f for f in files)
    command = ["sha256sum", *(path for path in files if not os.path.isdir(path))]
    assert g.out(" ".join(command)) == subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    links = [path for path in files if os.path.islink(path)]
    assert g.out(f"readlink {' '.join(links)}").split() == list(map(os.readlink, links))
    # The second time even what is not there is known.
    command = "bash -c :; ip link show lo; ethtool lo; cat /etc/ld.so.cache; grep -c . /proc/uptime"
    for path in (command, f"{command}; cat {vm.__file__}"):
        g.run(path)
        g.run("echo 1 >/sys/kernel/tracing/events/9p/9p_client_req/enable; echo >/sys/kernel/tracing/trace")
        g.run(path)
        g.run("echo 0 >/sys/kernel/tracing/events/9p/9p_client_req/enable")
        asked = [line for line in g.read("/sys/kernel/tracing/trace").splitlines() if "9p_client_req:" in line]
        assert bool(asked) == (path != command), asked


def test_logs_of_running_runs_stay(tmp_path, monkeypatch):
    """Old logs are removed, but for those of runs that go on, whatever container these are in."""
    monkeypatch.setattr(vm, "cache_dir", lambda: str(tmp_path))
    runs = [tmp_path / f"runs/20260101-0000{n:02}-{n + 1}" for n in range(6)]
    for path in runs:
        (path / "link-1").mkdir(parents=True)
    script = "import sys; from tests.vm import guest; guest.hold(sys.argv[1]); print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", script, runs[1]], cwd=vm.TOP, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        vm.remove_old_runs(kept=2)
        assert [p for p in runs if p.exists()] == [runs[1], *runs[4:]]
    vm.remove_old_runs(kept=2)
    assert [p for p in runs if p.exists()] == runs[4:]


def test_files(one_guest):
    """put, get and the shared directory carry bytes unchanged, both ways."""
    g = one_guest
    data = os.urandom(1 << 20)
    g.put("/tmp/some/where", data, 0o700)
    assert g.get("/tmp/some/where") == data
    g.run("test -x /tmp/some/where && cp /tmp/some/where /run/out/back")
    with open(g.shared + "/back", "rb") as f:
        assert f.read() == data
    with open(g.shared + "/there", "wb") as f:
        f.write(data[::-1])
    assert g.get("/run/out/there") == data[::-1]
    with pytest.raises(GuestError, match="FileNotFoundError"):
        g.get("/no/such/file")


def test_guest_environment(one_guest):
    """The guest has the kernel's modules, the file systems tests look at, its CPUs and no network."""
    g = one_guest
    for path in ("/sys/kernel/debug/block", "/sys/kernel/tracing/events", "/sys/fs/cgroup/cgroup.procs"):
        g.run(f"test -e {path}")
    assert g.out("nproc") == "4"
    assert g.out("uname -r") == g.release
    assert g.out("ls /lib/modules/$(uname -r)/modules.dep")
    assert g.out("echo <(true)").startswith("/dev/fd/")
    assert g.out("ls /sys/class/net") == "lo"
    # The host's files are seen, and cannot be changed.
    g.run(f"grep -q SPDX {vm.HERE}/guest.py && echo changed >{vm.HERE}/changed")
    assert not os.path.exists(vm.HERE + "/changed")


@pytest.mark.parametrize(
    "line",
    [
        "WARNING: CPU: 0 PID: 1 at drivers/x.c:1 f+0x1/0x2",
        "BUG: KASAN: slab-use-after-free in f+0x1/0x2",
        "BUG: kernel NULL pointer dereference, address: 0000000000000000",
        "Oops: 0000 [#1] PREEMPT SMP",
        "UBSAN: array-index-out-of-bounds in x.c:1:2",
        "WARNING: possible circular locking dependency detected",
        "DMA-API: vmq_igb 0000:01:00.0: device driver failed to check map error",
        "INFO: task modprobe:42 blocked for more than 120 seconds.",
        "rcu: INFO: rcu_preempt self-detected stall on CPU",
        "unregister_netdevice: waiting for vm1 to become free. Usage count = 2",
        "refcount_t: underflow; use-after-free.",
        "vmq_igb 0000:01:00.0 eth0: NETDEV WATCHDOG: CPU: 1: transmit queue 0 timed out 5000 ms",
        "page_pool_release_retry() stalled pool shutdown: id 7, 1 inflight 60 sec",
    ],
)
def test_splat_line_is_found(one_guest, line):
    """A line of this kind on the console is found once, and forgiven when allowed."""
    g = one_guest
    write = f"echo '<4>{line}' >/dev/kmsg"
    with g.allow(re.escape(line)):
        g.run(write)
    g.check_console()
    g.run(write)
    with pytest.raises(Splat, match=re.escape(g.console_log)):
        g.check_console()
    g.failed = False
    g.check_console()


def test_harmless_lines(one_guest):
    """What a healthy kernel says is no splat."""
    lines = ["e1000: link is up", "debugging is on", "warning: deprecated", "vmq_igb: 8 queues, MAC 52:54:00:00:01:01"]
    one_guest.run("; ".join(f"echo '<4>{line}' >/dev/kmsg" for line in lines))
    one_guest.check_console()


def test_panic(boot):
    """A panic raises at once, with the console log's name and last lines."""
    g = boot(name="panic")
    began = time.monotonic()
    with pytest.raises(GuestDied) as e:
        g.run("echo c >/proc/sysrq-trigger", timeout=300)
    assert time.monotonic() - began < 120
    assert g.console_log in str(e.value) and "sysrq triggered crash" in str(e.value)
    assert not g.alive
    with pytest.raises(GuestDied):
        g.run("true")
    with pytest.raises(Splat):
        g.check_console()
    g.stop()
    assert os.path.exists(g.console_log)
    g.failed = False


def test_stalled_boot(boot, monkeypatch, capfd):
    """A boot with the timer stall's line is tried again twice, which is said, and then given up."""
    # A line that every boot has stands for the stall.
    monkeypatch.setattr(vm, "TIMER_STALL", "mtrr: your CPUs")
    with pytest.raises(GuestDied, match="boot failed 3 times, last: timer stall"):
        boot(name="stalled")
    assert capfd.readouterr().out.count("boot lost (timer stall), trying again") == 2


def test_crashed_qemu(kernel, monkeypatch, capfd):
    """A boot in which QEMU itself crashes is tried again as well."""
    g = vm.Guest(kernel=kernel, name="crashed")
    launch = g.launch

    def launch_and_crash():
        launch()
        os.kill(int(children(g.process.pid)[0]), signal.SIGABRT)

    monkeypatch.setattr(g, "launch", launch_and_crash)
    with pytest.raises(GuestDied, match="boot failed 3 times, last: QEMU crashed"):
        g.start()
    assert capfd.readouterr().out.count("boot lost (QEMU crashed") == 2


def test_dead_boot(boot, capfd):
    """A boot that ends in a panic is not tried again."""
    with pytest.raises(GuestDied, match="died while booting[^$]*Kernel panic"):
        boot(name="dead", append="rdinit=/nosuchinit")
    assert "trying again" not in capfd.readouterr().out


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_killed_parent(kernel, sig, interruptible):
    """A parent killed by a signal leaves no QEMU, no socket and no directory."""
    program = (
        "from tests.vm.guest import Guest\n"
        f"g = Guest(kernel={kernel!r}, nics=[{{'wire': 'dgram'}}], name='orphan')\n"
        "g.launch()\n"
        "print(g.process.pid, g.private, flush=True)\n"
        "import time; time.sleep(600)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-B", "-c", program],
        cwd=vm.TOP,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        guard, private = parent.stdout.readline().split()
        qemu = children(guard)
        assert len(qemu) == 1
        wait_for(lambda: os.path.exists(private + "/q0"))
        assert os.path.exists(private + "/q0")
    finally:
        parent.send_signal(sig)
        parent.wait(30)
    wait_for(lambda: not (os.path.exists(private) or alive(guard) or alive(qemu[0])))
    assert not os.path.exists(private)
    assert not alive(guard)
    assert not alive(qemu[0])


def test_killed_guard(kernel):
    """QEMU does not outlive its guard either, and the guest counts as dead."""
    g = vm.Guest(kernel=kernel, name="unguarded")
    g.launch()
    try:
        qemu = children(g.process.pid)[0]
        g.process.kill()
        with pytest.raises(GuestDied):
            g.run("true")
        wait_for(lambda: not alive(qemu))
        assert not alive(qemu) and not g.alive
    finally:
        g.failed = False
        g.stop()
    assert not os.path.exists(g.private)


def test_stop_leaves_nothing(kernel):
    """stop() ends QEMU, removes its sockets and, when nothing failed, its logs."""
    g = vm.Guest(kernel=kernel, name="stopped", nics=[topology.HOST])
    g.launch()
    qemu, logs = children(g.process.pid)[0], g.logs
    assert alive(qemu) and os.path.exists(g.private) and os.path.exists(logs)
    g.stop()
    g.stop()
    assert not alive(qemu) and not os.path.exists(g.private) and not os.path.exists(logs)
    with pytest.raises(GuestError, match="not running"):
        g.run("true")


@pytest.mark.parametrize("accel, wanted", [(None, "tcg,thread=multi,tb-size=512"), ("", "tcg,thread=multi,tb-size=512"), ("kvm", "kvm")])
def test_accelerator(monkeypatch, kernel, accel, wanted):
    """QEMU emulates every CPU, on a machine with KVM, too, unless ACCEL says otherwise."""
    monkeypatch.delenv("ACCEL", raising=False)
    if accel is not None:
        monkeypatch.setenv("ACCEL", accel)
    g = vm.Guest(kernel=kernel, name="accelerator")
    g.private = g.shared = g.console_log = "/nowhere"
    command = g._qemu("/nowhere")
    assert command.count("-accel") == 1 and command[command.index("-accel") + 1] == wanted


def test_qemu_refuses(kernel):
    """If QEMU does not start, the error has what it said, at once."""
    g = vm.Guest(kernel=kernel, name="refused", nics=[{"wire": "hub:0", "opts": "nosuchoption=1"}])
    with pytest.raises(GuestError, match="nosuchoption"):
        g.start()
    assert not os.path.exists(g.private) and not g.alive


def wait_for(true, seconds=30):
    """Until true() is, or the time is over (what is asserted next fails then)."""
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.05)


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return f.read().split()


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
