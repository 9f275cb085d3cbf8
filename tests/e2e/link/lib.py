# SPDX-License-Identifier: GPL-2.0-only
"""What the link tests share: the host of the VMs as its administrator sees it.

    h = Host(g)                       # modules loaded, NIC 0 up and clean
    vm = h.port("vm1", VM1)           # a VM port on NIC 0, up
    with h.taps("vm1", h.dev) as t:   # counts numbered frames, in order
        h.send(VM1, range(100))       # from outside, paced
        t.wait(100)
    t.serials("vm1") == list(range(100))
    h.write([[path, text], ...])      # [errno name or "", last_error] each
    h.dump()                          # everything a user set, comparable: scripts/vmq-dump
    h.counters(), h.interrupts()      # before and after: see delta()

Receipts are counted at packet taps in the guest, or by the host on the wire;
never by the sender, and never by the driver's own counters alone.
"""

import collections
import contextlib
import errno
import itertools
import json
import os
import re
import shlex
import threading
import time

from tests.vm import topology
from tests.vm.guest import TOP
from tests.vm.wire import eth

DUMP = os.path.join(TOP, "scripts/vmq-dump")
TOOL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "guesttool.py")
OUTSIDE = "52:54:00:00:99:01"
BROADCAST = "ff:ff:ff:ff:ff:ff"
POOLS = 8
# Of every queue after a probe: ethtool's rx-usecs.
RX_USECS = 20
VM_QUEUES = range(1, POOLS)

Frame = collections.namedtuple("Frame", "tap iface dst src vlan tagged serial ok")
numbers = itertools.count(1)


def vm_mac(n):
    return f"52:54:00:00:17:{n:02x}"


def say(text):
    print(f"    {text}", flush=True)


def errno_name(number):
    # 95 has two names on Linux.
    return errno.errorcode.get(number, str(number)).replace("ENOTSUP", "EOPNOTSUPP") if number else ""


def errno_of(text):
    """Name of the error whose message is in this text, as tools print it."""
    found = [number for number in errno.errorcode if os.strerror(number).lower() in text.lower()]
    return errno_name(found[0]) if found else ""


def spawn_tool(g, command, **options):
    """Starts a command of guesttool.py: a Job."""
    return g.tool(TOOL, command, json.dumps(options))


def tool(g, command, timeout=120, **options):
    """One command of guesttool.py; what it prints last, as a value."""
    job = spawn_tool(g, command, **options)
    rc = job.wait(timeout)
    assert rc == 0, f"guesttool {command} {options}: status {rc}: {job.stdout} {job.stderr}"
    return json.loads(job.stdout.strip().splitlines()[-1])


def wait_for(what, condition, timeout=60, poll=0.1):
    """Waits until condition() is true; its value."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout} s: {what}")
        time.sleep(poll)


def delta(before, after):
    """What changed between two dictionaries of numbers."""
    return {k: after[k] - before.get(k, 0) for k in after if after[k] != before.get(k, 0)}


class Taps:
    """Packet taps in the guest, by guesttool.py recv; a context manager.
    A tap is an interface, "NETNS/NAME", "*", or (interface, receive queue).
    With contents=True .contents says of each of .frames what it was, whole:
    (tag in the metadata or None, size, CRC-32 of the bytes)."""

    def __init__(self, g, *taps, contents=False):
        self.g = g
        self.with_contents, self.contents = contents, None
        self.names = [t for t in taps if isinstance(t, str)]
        self.queues = [list(t) for t in taps if not isinstance(t, str)]
        self.base = f"taps-{next(numbers)}"
        self.frames = None

    def __enter__(self):
        self.job = spawn_tool(
            self.g,
            "recv",
            taps=self.names,
            queues=self.queues,
            out=f"/run/out/{self.base}.json",
            progress=f"/run/out/{self.base}.count",
            contents=self.with_contents,
        )
        wait_for("packet taps are open", lambda: "ready" in self.job.stdout or self.job.poll() is not None, 60, 0.02)
        assert self.job.poll() is None, f"the taps ended with {self.job.rc}: {self.job.stderr}"
        return self

    def count(self):
        """Frames so far, at all taps; lags a little."""
        with open(f"{self.g.shared}/{self.base}.count") as f:
            return int(f.read() or 0)

    def wait(self, n, timeout=60):
        """Waits until n frames came at all taps; more may."""
        end = time.monotonic() + timeout
        while self.count() < n and time.monotonic() < end:
            time.sleep(0.01)
        return self.count()

    def __exit__(self, kind, *_):
        # The guest needs a while to write down hundreds of thousands of frames.
        rc = self.job.stop(timeout=60 + (0 if kind else self.count() // 1000))
        if kind:
            return
        assert rc == 0, f"taps ended with {rc}: {self.job.stderr}"
        with open(f"{self.g.shared}/{self.base}.json") as f:
            result = json.load(f)
        assert result["lost"] == 0, f"the packet taps lost {result['lost']} frames themselves"
        names = [f"{i}" if q is None else (i, q) for i, q in result["taps"]]
        self.frames = [Frame(names[f[0]], *f[1:]) for f in result["frames"]]
        self.contents = [tuple(c) for c in result.get("contents", [])]
        bad = [f for f in self.frames if not f.ok]
        assert not bad, f"{len(bad)} frames were changed on their way, first: {bad[0]}"

    def at(self, tap):
        return [f for f in self.frames if f.tap == tap]

    def serials(self, tap):
        """Serial numbers at a tap, in the order of arrival."""
        return [f.serial for f in self.at(tap)]


class Watch:
    """Announcements, by guesttool.py watch; a context manager."""

    def __init__(self, h, *paths):
        self.h, self.paths = h, paths

    def __enter__(self):
        self.job = spawn_tool(self.h.g, "watch", paths=self.paths)
        wait_for("the watch is set", lambda: "ready" in self.job.stdout or self.job.poll() is not None, 60, 0.02)
        assert self.job.poll() is None, f"watch: {self.job.stderr}"
        return self

    def __exit__(self, kind, *_):
        self.job.stop(timeout=60)
        assert kind or not self.job.stderr, f"watch: {self.job.stderr}"

    def events(self, kind):
        """What came, of one kind: [[...], ...]. The last line may be incomplete."""
        lines = self.job.stdout.rpartition("\n")[0].splitlines()[1:]
        return [event[1:] for event in map(json.loads, lines) if event[0] == kind]

    def texts(self, path):
        """What the file said each time that poll returned."""
        return [text for p, text, _ in self.events("poll") if p == path]

    def when(self, path, text):
        """The guest's clock when poll returned and the file first said that."""
        return next(when for p, said, when in self.events("poll") if (p, said) == (path, text))

    def wait_text(self, path, text):
        wait_for(f"poll says that {path} is {text!r}", lambda: self.texts(path)[-1:] == [text], 10, 0.02)


def describe_stream(sent, got):
    """None when got is sent, once each and in order; else what is wrong."""
    if got == sent:
        return None
    counts = collections.Counter(got)
    lost = [s for s in sent if s not in counts]
    twice = [s for s, n in counts.items() if n > 1]
    strange = sorted(counts.keys() - set(sent))
    late = sum(1 for a, b in itertools.pairwise(got) if b < a)
    return (
        f"{len(sent)} sent, {len(got)} came; lost {len(lost)} {lost[:5]}, twice {len(twice)} {twice[:5]}, "
        f"never sent {strange[:5]}, {late} steps back"
    )


class Stream:
    """Numbered frames from outside at a steady rate, from a thread, until the
    context ends. Never more than `window` frames are on their way (a receive
    ring has 512): the taps say how many came; frames that are lost for good
    are given up after `patience` seconds without any progress."""

    def __init__(self, h, taps, dst, rate=1000, window=200, patience=3, frame=None):
        self.h, self.taps, self.rate, self.window, self.patience = h, taps, rate, window, patience
        self.make = frame or (lambda serial: eth(dst, OUTSIDE, serial=serial))
        self.sent = 0
        self.given_up = 0
        self.stalls = 0
        self.stopping = threading.Event()
        self.error = None
        self.paused = threading.Event()

    def __enter__(self):
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        return self

    def run(self):
        try:
            step = max(1, self.rate // 500)
            began = time.monotonic()
            while not self.stopping.is_set():
                for _ in range(step):
                    self.h.wire.send(self.make(self.sent))
                    self.sent += 1
                began += step / self.rate
                time.sleep(max(0, began - time.monotonic()))
                self.hold_window()
                began = max(began, time.monotonic() - 0.05)
        except Exception as e:  # handed to the test, which waits in __exit__
            self.error = e

    def hold_window(self, window=None):
        """Waits until no more than that are on their way, or nothing comes any more."""
        allowed = self.window if window is None else window
        came, since = self.taps.count() + self.given_up, time.monotonic()
        while self.sent - came > allowed and not (self.stopping.is_set() and window is None):
            time.sleep(0.005)
            now = self.taps.count() + self.given_up
            if now != came:
                came, since = now, time.monotonic()
            elif time.monotonic() - since > self.patience:
                self.stalls += window is None
                self.given_up = self.sent - self.taps.count()
                return

    def wait_sent(self, n, timeout=30):
        wait_for(f"{n} more frames of the stream are sent", lambda s=self.sent: self.sent - s >= n, timeout, 0.01)

    def __exit__(self, kind, *_):
        self.stopping.set()
        self.thread.join()
        if self.error and not kind:
            raise self.error
        if not kind:
            self.hold_window(0)


class Host:
    """NIC 0 of the guest with our driver, and the ports on it."""

    def __init__(self, g, nic=0):
        self.g, self.nic = g, nic
        # Where the uplink is, if a test moved it.
        self.netns = None
        self.dev = topology.up(g, nic)
        self.mac = g.mac(nic)
        self.wire = g.wires.get(nic)

    def out(self, script):
        """Output of a script, run where the uplink is."""
        if self.netns:
            script = f"ip netns exec {self.netns} bash -c {shlex.quote(script)}"
        return self.g.out(script)

    def up(self):
        self.out(f"ip link set {self.dev} up")
        topology.wait_carrier(self.g, self.dev, netns=self.netns)

    def down_and_up(self):
        self.out(f"ip link set {self.dev} down")
        self.up()

    def moderation_back(self):
        """Every queue's interval as after a probe. A plain -C with the value that it
        shows already is sent to no driver, and leaves the queues that differ."""
        if self.g.alive and not self.g.failed:
            self.out(f"ethtool -Q {self.dev} queue_mask {(1 << POOLS) - 1:#x} --coalesce adaptive-rx off rx-usecs {RX_USECS}")

    # Files

    @property
    def vmq(self):
        return f"/sys/class/net/{self.dev}/vmq"

    def rxq(self, n, name=""):
        return f"/sys/class/net/{self.dev}/queues/rx-{n}/vmq/{name}".rstrip("/")

    def files(self, *patterns):
        """{path: text} of all files that match the shell patterns; one that
        cannot be read has no text."""
        if not self.netns:
            return self.g.files(*patterns)
        what = " ".join(patterns)
        listed, _, text = (self.out(f"ls -d {what}; echo; grep -sH '' {what}; true") + "\n").partition("\n\n")
        found = {path: [] for path in listed.split()}
        for line in text.splitlines():
            path, _, value = line.partition(":")
            found[path].append(value)
        return {path: "\n".join(lines) for path, lines in found.items()}

    def vmq_files(self):
        """All files of the uplink, its queues and its ports vm..., as files()."""
        return self.files(f"{self.vmq}/*", f"{self.rxq('*')}/*", "/sys/class/net/vm*/vmq/*")

    def read(self, path):
        return self.out(f"cat {path}") if self.netns else self.g.read(path)

    def queue(self, n):
        """{file: text} of a queue's directory."""
        return {os.path.basename(p): t for p, t in self.files(self.rxq(n) + "/*").items()}

    def state(self, n):
        return self.read(self.rxq(n, "state"))

    def port_file(self, name, file):
        return self.read(f"/sys/class/net/{name}/vmq/{file}")

    def port_queue(self, name):
        """Id of the port's queue, or None."""
        text = self.port_file(name, "queue")
        return None if text == "none" else int(text)

    # Requests

    def write(self, items):
        """[[path, text], ...] to [(errno name, last_error), ...]."""
        answer = tool(self.g, "write", items=items, after=f"{self.vmq}/last_error")
        return [(errno_name(number), text) for number, text, _ in answer]

    def put(self, path, text):
        """One write; its errno's name, "" when it was accepted."""
        return self.write([[path, text]])[0][0]

    def must(self, *items):
        """Writes that have to be accepted."""
        for (path, text), (error, said) in zip(items, self.write(list(items)), strict=True):
            assert not error, f"writing {text!r} to {path}: {error} ({said})"

    def ntuple(self, rule):
        """ethtool -N; the errno's name, "" when it was accepted."""
        r = self.g.run(f"ethtool -N {self.dev} {rule}", check=False)
        return errno_of(r.stdout + r.stderr) or ("" if r.rc == 0 else f"status {r.rc}: {r.stderr}")

    def last_error(self):
        return self.read(f"{self.vmq}/last_error")

    def port(self, name, mac, *fdb, up=True):
        """A port on the NIC; fdb: ("MAC", vid) more of its addresses."""
        self.g.run(f"ip link add link {self.dev} name {name} address {mac} type vmq")
        for address, vid in fdb:
            self.g.run(f"bridge fdb add {address} {f'vlan {vid} ' if vid else ''}dev {name} self")
        if up:
            self.g.run(f"ip link set {name} up")
            topology.wait_carrier(self.g, name)
        return name

    def ports(self, macs, prefix="vm"):
        """Ports vm1.. with these addresses, up; their names."""
        names = [f"{prefix}{n}" for n in range(1, len(macs) + 1)]
        script = "".join(
            f"ip link add link {self.dev} name {name} address {mac} type vmq && ip link set {name} up || exit\n"
            for name, mac in zip(names, macs, strict=True)
        )
        self.g.run(script)
        topology.wait_carrier(self.g, names[-1])
        return names

    def join(self, group, *names, verb="add"):
        """The ports join a group, as a program on them would, or leave it (del)."""
        self.g.run("; ".join(f"ip maddr {verb} {group} dev {n} || exit" for n in names))

    def delete(self, *names):
        self.g.run("; ".join(f"ip link del {n} || exit" for n in names))

    def pin(self, n, cpu):
        """Strict pin, and the moment it takes to be in effect."""
        self.must([self.rxq(n, "cpu"), str(cpu)])
        wait_for(f"queue {n} is on CPU {cpu}", lambda: self.read(self.rxq(n, "cpu_effective")) == str(cpu), 5, 0.05)

    # Traffic

    def taps(self, *taps, contents=False):
        return Taps(self.g, *taps, contents=contents)

    def send(self, dst, serials, vlan=None, src=OUTSIDE, size=60):
        """Numbered frames from outside, 32 a millisecond at most."""
        return self.wire.send_paced(eth(dst, src, vlan=vlan, serial=s, size=size) for s in serials)

    def send_all(self, taps, dst, frames):
        """Numbered frames from outside, less than half a ring on their way at a time."""
        for first in range(0, frames, 200):
            last = min(first + 200, frames)
            self.send(dst, range(first, last))
            taps.wait(last)

    # What there is

    def dump(self):
        """All that a user set or sees of policy: queues, filters, CPUs, ports, rings.
        No counters, no text of refusals: scripts/vmq-dump, by lines."""
        return self.out(f"{DUMP} {self.dev}").splitlines()

    def counters(self):
        """{name: number} of the NIC's and the driver's counters."""
        text = self.out(f"ethtool -S {self.dev}")
        return {k.strip(): int(v) for k, v in re.findall(r"^\s*([^:\n]+):\s*(\d+)$", text, re.M)}

    def port_counters(self, name):
        files = self.files(f"/sys/class/net/{name}/vmq/*", f"/sys/class/net/{name}/statistics/*")
        return {os.path.basename(p): int(t) for p, t in files.items() if t.isdigit()}

    def interrupts(self):
        """{queue: [count on each CPU]} of the NIC's queue vectors."""
        paths = [self.rxq(n, "irq") for n in range(POOLS)]
        found = self.files(*paths)
        irqs = [found[path] for path in paths]
        header, *lines = self.g.read("/proc/interrupts").splitlines()
        cpus, rows = len(header.split()), {}
        for line in lines:
            name, _, rest = line.strip().partition(":")
            rows[name] = rest.split()[:cpus]
        return {n: [int(c) for c in rows.get(irq, ["0"] * cpus)] for n, irq in enumerate(irqs)}

    @contextlib.contextmanager
    def unchanged(self):
        """Fails when the dump differs at the end of the context."""
        before = self.dump()
        yield
        after = self.dump()
        assert after == before, differences(before, after)


def differences(before, after):
    gone = [f"- {line}" for line in before if line not in after]
    new = [f"+ {line}" for line in after if line not in before]
    return "\n".join(["state has changed:", *gone, *new]) if before != after else ""


# Removes every port, every filter of the administrator and every queue of his.
# No program is started where bash itself will do: this runs after every test.
CLEAN = r"""
shopt -s nullglob
read -r possible </sys/devices/system/cpu/possible
for p in /sys/class/net/*/vmq/reason; do
    p=${p%/vmq/reason}
    ip link del ${p##*/}
done
for n in /run/netns/*; do
    n=${n##*/}
    while read -r _ p _; do
        p=${p%:}
        ip -n $n link del ${p%@*}
    done < <(ip -n $n -o link show type vmq)
    [ $n = peer ] || ip netns del $n
done
for f in /sys/class/net/*/vmq/enabled; do
    read -r on <$f
    [ $on = 1 ] || echo 1 >$f 2>/dev/null
done
for q in /sys/class/net/*/queues/rx-*/vmq; do
    mapfile -t filters <$q/filters
    for f in "${filters[@]}"; do
        case $f in *admin*) echo ${f%% *} >$q/filter_del;; esac
    done
    case $q in */rx-0/vmq) continue;; esac
    read -r state <$q/state
    case $state in allocated|paused) echo free >$q/state;; esac
done
for d in /sys/class/net/*/vmq; do
    [ -e $d/enabled ] || continue
    read -r mode <$d/vlan_filtering
    [ $mode = auto ] || echo auto >$d/vlan_filtering
    read -r mode <$d/count_hits
    [ $mode = 0 ] || echo 0 >$d/count_hits
    read -r mode <$d/placement_mode
    [ $mode = static ] || echo static >$d/placement_mode
    read -r mode 2>/dev/null <$d/tx_max_mbps && [ $mode != 0 ] && echo 0 >$d/tx_max_mbps
    read -r mode <$d/coalesce_shared
    [ $mode = 0 ] || echo 0 >$d/coalesce_shared
    # As after a fresh probe; also where the last test left queue 0.
    read -r mode <${d%/vmq}/queues/rx-0/vmq/cpu_policy
    [ $mode = strict ] || echo strict >${d%/vmq}/queues/rx-0/vmq/cpu_policy 2>/dev/null
    read -r mode <$d/cpus
    [ $mode = $possible ] || echo auto >$d/cpus
done
for i in {1..100}; do
    used=
    for q in /sys/class/net/*/queues/rx-[1-9]/vmq; do
        read -r state <$q/state
        [ $state = undefined ] || used+=" $q: $state"
    done
    [ "$used" ] || exit 0
    sleep 0.1
done
echo "queues are still in use:$used" >&2
exit 1
"""


def clean(g):
    r = g.run(CLEAN, check=False)
    assert r.rc == 0, f"cleaning up failed: {r.stdout[-200:]} {r.stderr}"


def load(g, *names):
    """topology.load, and no IPv6 on interfaces of the initial namespace: its
    own frames would disturb the counting. A NIC that a failed test left without
    its driver gets it back."""
    ipv6 = [f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6" for name in ("all", "default")]
    if set(g.files(*ipv6).values()) != {"1"}:
        g.run(f"for f in {' '.join(ipv6)}; do echo 1 >$f; done")
    topology.load(g, *names)
    devices = g.files("/sys/bus/pci/devices/*/driver_override", "/sys/bus/pci/devices/*/driver")
    for path, name in devices.items():
        device = os.path.dirname(path)
        if name == "vmq_igb" and f"{device}/driver" not in devices:
            g.run(f"echo {os.path.basename(device)} >/sys/bus/pci/drivers/vmq_igb/bind")
