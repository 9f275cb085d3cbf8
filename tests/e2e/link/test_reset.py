# SPDX-License-Identifier: GPL-2.0-only
"""What stops the NIC brings everything back: queues, filters, CPUs, ports. What there
is, vmq-dump says: the same, byte for byte, before and afterwards. Meanwhile whoever asks
is told the same, too."""

import contextlib
import json
import re
import struct

import pytest

from tests.e2e.link.lib import (
    OUTSIDE,
    Host,
    Stream,
    clean,
    delta,
    differences,
    load,
    say,
    spawn_tool,
    tool,
    vm_mac,
    wait_for,
)
from tests.report import FULL
from tests.vm import topology
from tests.vm.wire import WireError, mac_bytes, parse

A, B, C, D = (vm_mac(n) for n in range(1, 5))
VID = 7
VFTE = 0xC90
WATCHDOG = "NETDEV WATCHDOG|transmit queue \\d+ timed out"


class Vms:
    """Three VMs, one of them on an administrator's queue, with VLANs, names and pins."""

    def __init__(self, h):
        self.h = h
        h.port("vm1", A, (A, VID))
        h.port("vm2", B, (C, 0))
        assert h.ntuple(f"flow-type ether dst {D} vlan 0 m 0xf000 action 5") == ""
        self.queues = {"vm1": h.port_queue("vm1"), "vm2": h.port_queue("vm2"), "admin": 5}
        for n, cpu in zip(self.queues.values(), (3, 1, 2), strict=True):
            h.pin(n, cpu)
        h.must([h.rxq(5, "vm_name"), "database"], [h.rxq(5, "queue_name"), "db-0"])
        h.g.run(f"ethtool -Q {h.dev} queue_mask 0x20 --coalesce rx-usecs 50")
        self.cpus = {n: h.read(h.rxq(n, "cpu_effective")) for n in self.queues.values()}
        self.dump = h.dump()

    def check_same(self):
        """vmq-dump says what it said at first."""
        now = self.h.dump()
        assert now == self.dump, differences(self.dump, now)

    def check_flows(self):
        """Each VM's frames come by its own ring and CPU, and go out."""
        h = self.h
        assert {n: h.read(h.rxq(n, "cpu_effective")) for n in self.cpus} == self.cpus
        before, interrupts = h.counters(), h.interrupts()
        with h.taps("vm1", "vm2", (h.dev, 5), (h.dev, 0)) as t:
            h.send(A, range(40))
            h.send(A, range(40, 80), vlan=VID)
            h.send(B, range(100, 140))
            h.send(C, range(140, 180))
            h.send(D, range(200, 240))
            h.send(h.mac, range(300, 340))
            t.wait(240)
        assert sorted(t.serials("vm1")) == list(range(80))
        assert sorted(t.serials("vm2")) == list(range(100, 180))
        assert t.serials((h.dev, 5)) == list(range(200, 240))
        assert t.serials((h.dev, 0)) == list(range(300, 340))
        moved, after = delta(before, h.counters()), h.interrupts()
        nic = {k: v for k, v in moved.items() if k.endswith("_nic_packets")}
        wanted = {self.queues["vm1"]: 80, self.queues["vm2"]: 80, 5: 40, 0: 40}
        assert nic == {f"rx_queue_{n}_nic_packets": v for n, v in wanted.items()}
        for n, cpu in self.cpus.items():
            raised = {c: b - a for c, (a, b) in enumerate(zip(interrupts[n], after[n], strict=True)) if b != a}
            assert set(raised) == {int(cpu)}, f"queue {n}: interrupts {raised}, wanted on CPU {cpu}"
        self.check_transmit()

    def check_transmit(self):
        h = self.h
        h.wire.clear()
        with h.wire.capture(lambda f: parse(f).serial is not None) as out:
            for name, mac in (("vm1", A), ("vm2", B)):
                tool(h.g, "send", interface=name, frames=[{"dst": OUTSIDE, "src": mac, "serial": 0, "count": 20}])
            assert h.wire.wait_captured(out, 40), f"{len(out)} of 40 frames left the NIC"
        assert [parse(f).serial for f in out] == [*range(20), *range(20)]


class Pings:
    """VM 1 pings a station outside, which is this process; a context manager."""

    HERE, THERE = "10.17.0.1", "10.17.0.2"

    def __init__(self, h):
        self.h = h
        self.stack = contextlib.ExitStack()

    def answer(self, frame):
        """Echoes a request; called on the wire's own thread."""
        if frame[:6] == mac_bytes(OUTSIDE) and frame[12:14] == b"\x08\0" and frame[23] == 1 and frame[34] == 8:
            (checksum,) = struct.unpack_from(">H", frame, 36)
            checksum += 0x800
            reply = frame[6:12] + frame[:6] + frame[12:26] + frame[30:34] + frame[26:30] + b"\0\0"
            reply += struct.pack(">H", (checksum & 0xFFFF) + (checksum >> 16)) + frame[38:]
            # A NIC that is being reset takes nothing.
            with contextlib.suppress(WireError):
                self.h.wire.send(reply, timeout=0.01)
        return False

    def __enter__(self):
        g = self.h.g
        self.stack.enter_context(self.h.wire.capture(self.answer))
        g.run(f"ip addr add {self.HERE}/24 dev vm1; ip neigh replace {self.THERE} lladdr {OUTSIDE} dev vm1 nud permanent")
        self.stack.callback(g.run, f"ip addr del {self.HERE}/24 dev vm1", check=False)
        self.job = g.spawn(f"exec ping -q -i 0.2 {self.THERE}")
        self.stack.callback(self.job.stop, 9)
        return self

    def replies(self):
        """As the guest's kernel counts them."""
        counts = re.findall(r"^IcmpMsg: (.*)$", self.h.g.read("/proc/net/snmp"), re.M)
        return int(dict(zip(*(line.split() for line in counts), strict=True)).get("InType0", 0)) if counts else 0

    def await_replies(self, n):
        """n more, to the one program."""
        before = self.replies()
        wait_for(f"{n} pings are answered", lambda: self.replies() >= before + n, 60, 0.05)
        assert self.job.poll() is None, f"ping has ended: {self.job.stdout} {self.job.stderr}"

    def __exit__(self, *_):
        self.stack.close()


class Shows:
    """Each file and ethtool -n say of queues, filters and ports what they said at first, whenever
    they are asked; a context manager."""

    # Counters, what is about the past, and what can only be written.
    LEFT_OUT = re.compile(
        r"_(packets|bytes|dropped(_\w+)?)$"
        r"|/(rx_checked|rx_mismatch|lookups|reflected|last_error|filter_add|filter_del)$"
    )

    def __init__(self, h):
        self.h = h

    def __enter__(self):
        h = self.h
        paths = [path for path in h.vmq_files() if not self.LEFT_OUT.search(path)]
        self.job = spawn_tool(h.g, "shows", paths=paths, commands=[f"ethtool -n {h.dev}"])
        wait_for("all is read once", lambda: "ready" in self.job.stdout or self.job.poll() is not None, 60, 0.05)
        return self

    @staticmethod
    def allowed(what, text):
        """The effective CPU is that of an interrupt that there is; a NIC in its reset is no device for ethtool."""
        return (re.search(r"/cpu_effective$|/vm\d+/vmq/cpu$", what) and text == "none") or "No such device" in text

    def __exit__(self, kind, *_):
        rc = self.job.stop(timeout=60)
        if kind:
            return
        assert rc == 0, f"shows: status {rc}: {self.job.stderr}"
        said, rounds = json.loads(self.job.stdout.splitlines()[-1])
        others = {(what, text): texts[0] for what, texts in said.items() for text in texts[1:]}
        say(f"{len(said)} shows asked {rounds} times; else than before said {len(others)}")
        wrong = [f"{what}: {first!r}, then {text!r}" for (what, text), first in others.items()
                 if not self.allowed(what, text)]
        assert not wrong, "; ".join(wrong[:5])


def under_traffic(h, vms, change, same=True):
    """Runs change() while frames come in, VM 1 sends and pings; then waits until the stream
    and the pings flow again by themselves, and everything is as before (same: vmq-dump, too,
    and whoever asks meanwhile is told the same)."""
    sender = spawn_tool(
        h.g, "send", interface="vm1", burst=4, gap=0.01,
        frames=[{"dst": OUTSIDE, "src": A, "serial": 0, "count": 100000}],
    )
    try:
        with Pings(h) as pings, h.taps("vm2") as t, Stream(h, t, B, rate=500, patience=0.5) as s:
            s.wait_sent(100)
            pings.await_replies(2)
            with Shows(h) if same else contextlib.nullcontext():
                change()
                topology.wait_carrier(h.g, h.dev)
            came = t.count()
            wait_for("traffic resumes", lambda: t.count() >= came + 100, 60, 0.02)
            pings.await_replies(3)
    finally:
        sender.stop(9)
    serials = t.serials("vm2")
    assert serials == sorted(set(serials)), "frames doubled or reordered"
    say(f"{s.sent} frames sent meanwhile, {len(serials)} came, traffic resumed")
    if same:
        vms.check_same()
    vms.check_flows()


@pytest.fixture
def vms(host):
    yield Vms(host)
    host.moderation_back()


def test_down_up(host, vms):
    """ip link down and up, under traffic."""
    h = host

    def change():
        h.g.run(f"ip link set {h.dev} down")
        assert [h.state(n) for n in vms.queues.values()] == ["running"] * 3
        assert h.read(h.rxq(5, "cpu_effective")) == "none"
        h.g.run(f"ip link set {h.dev} up")

    for _ in range(2):
        under_traffic(h, vms, change)


def test_configured_while_down(host):
    """What is set up while the uplink is down works when it comes up."""
    h = host
    h.g.run(f"ip link set {h.dev} down")
    h.g.run(f"ip link add link {h.dev} name vm1 address {A} type vmq && ip link set vm1 up")
    h.must([h.rxq(6, "state"), "allocate"], [h.rxq(6, "filter_add"), B], [h.rxq(6, "cpu"), "3"],
           [h.rxq(6, "state"), "commit"])
    assert h.read("/sys/class/net/vm1/carrier") == "0"
    topology.up(h.g, h.nic)
    topology.wait_carrier(h.g, "vm1")
    with h.taps("vm1", (h.dev, 6)) as t:
        h.send(A, range(30))
        h.send(B, range(100, 130))
        t.wait(60)
    assert t.serials("vm1") == list(range(30)) and t.serials((h.dev, 6)) == list(range(100, 130))
    assert h.read(h.rxq(6, "cpu_effective")) == "3"
    # One of four may be chance; and an interrupt stays where it was when nobody moves it.
    for cpu in ("1", "2"):
        h.g.run(f"ip link set {h.dev} down")
        h.must([h.rxq(6, "cpu"), cpu])
        topology.up(h.g, h.nic)
        assert h.read(h.rxq(6, "cpu_effective")) == cpu


def test_mtu(host, vms):
    """MTU up to 9216 and back, under traffic."""
    h = host
    try:
        for mtu in (9216, 1500):
            under_traffic(h, vms, lambda mtu=mtu: h.g.run(f"ip link set {h.dev} mtu {mtu}"), same=mtu == 1500)
            assert h.g.out(f"cat /sys/class/net/{h.dev}/mtu") == str(mtu)
        r = h.g.run(f"ip link set {h.dev} mtu 9217", check=False)
        assert r.rc and "mtu greater than device maximum" in r.stderr
    finally:
        h.g.run(f"ip link set {h.dev} mtu 1500", check=False)


def test_ring_size(host, vms):
    """Ring sizes by ethtool -G, under traffic; what the NIC cannot do is refused and changes nothing."""
    h = host
    try:
        for rx, tx in ((1024, 256), (128, 128)):
            under_traffic(h, vms, lambda rx=rx, tx=tx: h.g.run(f"ethtool -G {h.dev} rx {rx} tx {tx}"), same=False)
            now = h.g.out(f"ethtool -g {h.dev}").rpartition("Current")[2].split()
            assert now[now.index("RX:") + 1] == str(rx) and now[now.index("TX:") + 1] == str(tx)
        for bad in ("rx 1000", "rx 8", "tx 65536", "rx-mini 64"):
            with h.unchanged():
                assert h.g.run(f"ethtool -G {h.dev} {bad}", check=False).rc, f"ethtool -G {bad} was accepted"
    finally:
        h.g.run(f"ethtool -G {h.dev} rx 512 tx 512", check=False)
    topology.wait_carrier(h.g, h.dev)
    vms.check_same()


def carriers(h):
    """Carrier of the uplink and of the two ports."""
    return h.out(f"cat /sys/class/net/{h.dev}/carrier /sys/class/net/vm[12]/carrier").split()


def test_link_loss(host, vms):
    """The cable is pulled and put back, under traffic: the ports' carriers follow, no queue changes."""
    h = host

    def change():
        h.g.qmp("set_link", name=f"nic{h.nic}", up=False)
        try:
            wait_for("all carriers are off", lambda: carriers(h) == ["0"] * 3, 20)
            assert h.out("cat /sys/class/net/vm1/operstate") == "lowerlayerdown"
            assert [h.state(n) for n in vms.queues.values()] == ["running"] * 3
            # The rings stay: interrupts, too.
            assert {n: h.read(h.rxq(n, "cpu_effective")) for n in vms.cpus} == vms.cpus
        finally:
            h.g.qmp("set_link", name=f"nic{h.nic}", up=True)
        wait_for("all carriers are back", lambda: carriers(h) == ["1"] * 3, 20)

    resets = h.counters()["resets"]
    under_traffic(h, vms, change)
    assert h.counters()["resets"] == resets


def other_interrupts(h):
    """How often the vector of link and errors was raised, on all CPUs together."""
    row = next(line for line in h.g.read("/proc/interrupts").splitlines() if line.endswith(f" {h.dev}-other"))
    return sum(int(n) for n in row.split()[1:] if n.isdigit())


def test_link_interrupt(host):
    """The NIC tells of its link by an interrupt: the carrier goes and comes at once."""
    h = host
    for up in (False, True):
        before = other_interrupts(h)
        h.g.qmp("set_link", name=f"nic{h.nic}", up=up)
        wait_for("the carrier follows", lambda up=up: h.read(f"/sys/class/net/{h.dev}/carrier") == str(int(up)), 20)
        raised = other_interrupts(h) - before
        say(f"link {'up' if up else 'down'}: {raised} interrupts")
        assert raised >= 1


@pytest.mark.scenario("A29")
def test_function_reset(host, vms):
    """A function level reset by sysfs, under traffic and while the NIC is down: all comes back."""
    h = host
    pci = f"/sys/bus/pci/devices/{h.g.pci(h.nic)}"
    assert h.read(f"{pci}/reset_method").split()[0] == "flr"

    def change():
        before = h.read(f"/sys/class/net/{h.dev}/carrier_down_count")
        h.g.run(f"echo flr >{pci}/reset_method && echo 1 >{pci}/reset")
        wait_for("the ports have carrier again", lambda: carriers(h) == ["1"] * 3, 20)
        assert h.read(f"/sys/class/net/{h.dev}/carrier_down_count") != before

    under_traffic(h, vms, change)
    h.g.run(f"ip link set {h.dev} down && echo 1 >{pci}/reset")
    assert h.out(f"cat /sys/class/net/{h.dev}/operstate") == "down"
    h.up()
    topology.wait_carrier(h.g, "vm2")
    vms.check_same()
    with h.taps("vm2", (h.dev, 5)) as t:
        h.send(B, range(20))
        h.send(D, range(100, 120))
        t.wait(40)
    assert t.serials("vm2") == list(range(20)) and t.serials((h.dev, 5)) == list(range(100, 120))


SUSPEND = """
cd /sys/power
echo 1 >/sys/module/suspend/parameters/pm_test_delay
echo {level} >pm_test && echo {state} >state
rc=$?
echo none >pm_test
exit $rc
"""


@pytest.mark.scenario("A29")
def test_suspend(boot):
    """Suspend and resume, under traffic: the devices; with FULL=1 also what the PCI bus does, and the CPUs."""
    g = boot(name="suspend", smp=4, nics=[topology.HOST], sleeps=True)
    topology.reserve(g, 0)
    load(g)
    h = Host(g)
    vms = Vms(h)
    assert "deep" in g.read("/sys/power/mem_sleep")
    successes, downs = "/sys/power/suspend_stats/success", f"/sys/class/net/{h.dev}/carrier_down_count"

    def change(level, state):
        before = int(g.read(successes)), int(g.read(downs))
        g.run("echo deep >/sys/power/mem_sleep; " + SUSPEND.format(level=level, state=state))
        say(f"{level}: came back")
        assert int(g.read(successes)) == before[0] + 1, "no suspend"
        assert int(g.read(downs)) > before[1], "the NIC did not notice"

    # On a busy host an emulated machine has stayed away at the others, one run in three.
    levels = [("devices", "freeze"), ("platform", "freeze"), ("processors", "mem")]
    for level, state in levels if FULL else levels[:1]:
        under_traffic(h, vms, lambda level=level, state=state: change(level, state))
    clean(g)


@pytest.mark.scenario("A29")
def test_transmit_timeout(boot):
    """A transmit ring that the NIC stops serving: the watchdog's reset brings everything back."""
    # The register is written behind the driver's back.
    g = boot(name="timeout", smp=4, nics=[topology.HOST], append="iomem=relaxed")
    topology.reserve(g, 0)
    load(g)
    h = Host(g)
    vms = Vms(h)
    bdf = g.pci(0)
    for n in (vms.queues["vm1"], 0):
        resets = h.counters()["resets"]
        timeouts = h.counters()["tx_timeouts"]
        hung = "vm1" if n else h.dev
        with g.allow(WATCHDOG), h.taps("vm2") as t, contextlib.ExitStack() as stack:
            stack.enter_context(Stream(h, t, B, rate=200, patience=0.5))
            pings = stack.enter_context(Pings(h))
            pings.await_replies(2)
            stack.enter_context(Shows(h))
            # Every pool: which one is queue n's is the backend's affair.
            old, new = tool(g, "mmio", bdf=bdf, offset=VFTE, clear=0xFF)
            say(f"transmit enable of the pools was {old:#x}, is {new:#x}")
            assert old & 0xFF and not new & 0xFF
            g.run(f"ip link set {hung} up; true")
            sender = spawn_tool(
                g, "send", interface=hung, burst=1, gap=0.02,
                frames=[{"dst": OUTSIDE, "src": A if n else h.mac, "serial": 0, "count": 3000}],
            )
            wait_for("the watchdog's reset", lambda: h.counters()["resets"] > resets, 60, 0.5)
            sender.stop(9)
            topology.wait_carrier(g, h.dev)
            came = t.count()
            wait_for("traffic resumes", lambda: t.count() >= came + 50, 60, 0.02)
            pings.await_replies(3)
        now = h.counters()
        say(f"queue {n}: {now['tx_timeouts'] - timeouts} timeouts, {now['resets'] - resets} resets")
        assert now["tx_timeouts"] > timeouts
        old, _ = tool(g, "mmio", bdf=bdf, offset=VFTE)
        assert old & 0xFF
        serials = t.serials("vm2")
        assert serials == sorted(set(serials))
        vms.check_same()
        vms.check_flows()
    clean(g)
