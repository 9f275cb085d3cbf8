# SPDX-License-Identifier: GPL-2.0-only
"""A machine without MSI-X: the driver says that it has no VMQ, and is a plain
NIC whose one interrupt other devices use, too."""

import contextlib
import os
import re

import pytest

from tests.e2e.link.lib import (
    BROADCAST,
    OUTSIDE,
    Host,
    Stream,
    clean,
    describe_stream,
    load,
    say,
    spawn_tool,
    tool,
    vm_mac,
    wait_for,
)
from tests.e2e.link.test_lifecycle import Noise
from tests.e2e.link.test_traffic import addresses, check_pings, check_transfers, configure, forget_host, vm_in_netns
from tests.report import FULL
from tests.vm import topology
from tests.vm.wire import parse

A, B, C = (vm_mac(n) for n in range(1, 4))
WHY = "VMQ is not available: the NIC has no MSI-X vectors"
SIZE = 40 << 20

pytestmark = pytest.mark.scenario("A41")


@pytest.fixture
def plain(nomsi_guest):
    """lib.Host of NIC 0, with one queue."""
    g = nomsi_guest
    load(g)
    h = Host(g)
    yield h
    if g.alive and not g.failed:
        clean(g)


@pytest.fixture
def plain_hub(nomsi_guest):
    """The same of NIC 1, which is wired to peer0 of namespace peer."""
    g = nomsi_guest
    load(g)
    h = Host(g, 1)
    yield h
    if g.alive and not g.failed:
        forget_host(h)
        clean(g)
        g.run("ip -n peer link del peer0.100; ip -n peer addr flush dev peer0", check=False)


def lines_sharing(g, irq):
    """The devices on an interrupt, by their names in /proc/interrupts."""
    row = next(line for line in g.read("/proc/interrupts").splitlines() if line.strip().startswith(f"{irq}:"))
    assert "IO-APIC" in row, row
    return row.split("fasteoi")[-1].strip()


def test_plain_nic(nomsi_guest):
    """pci=nomsi: the driver loads, says that there is no VMQ and why, and shows one queue."""
    g = nomsi_guest
    topology.unload(g)
    g.run("dmesg --clear")
    load(g)
    h = Host(g)
    said = [line for line in g.out("dmesg --notime").splitlines() if h.dev in line and WHY in line]
    say(f"log: {said}")
    assert len(said) == 1
    numbers = {os.path.basename(p): t for p, t in h.files(f"{h.vmq}/*").items()}
    say(f"vmq/: {numbers}")
    for name in ("hw_queues", "hw_mac_filters", "hw_vlan_filters", "queues_max", "queues_free",
                 "mac_filters_max", "mac_filters_free", "default_queue", "allocate"):
        assert numbers[name] == "0", name
    assert g.out(f"ls /sys/class/net/{h.dev}/queues").split() == ["rx-0", "tx-0"]
    shown = g.out(f"ethtool -l {h.dev}")
    assert re.findall(r"^\w+:\s+(\d+)$", shown, re.M) == ["1", "1"], shown
    assert not [k for k in h.counters() if re.search(r"queue_[1-9]", k)]
    q = h.queue(0)
    assert (q["state"], q["cpu"], q["cpu_policy"], q["exact"]) == ("running", "none", "free", "1")
    users = lines_sharing(g, q["irq"])
    say(f"interrupt {q['irq']}: {users}")
    assert f"{h.dev}-vmq-0-default" in users
    # Which CPUs queues may use is taken, and moves nothing that is shared.
    where = g.read(f"/proc/irq/{q['irq']}/smp_affinity_list")
    assert numbers["cpus"] == "0-3"
    h.must([f"{h.vmq}/cpus", "0"])
    assert g.read(f"/proc/irq/{q['irq']}/smp_affinity_list") == where
    h.must([f"{h.vmq}/cpus", "auto"])
    # Nothing but the driver's own word keeps anybody from moving a shared line.
    g.run(f"cat /proc/irq/{q['irq']}/smp_affinity >/tmp/mask && cat /tmp/mask >/proc/irq/{q['irq']}/smp_affinity")


def test_refused(plain):
    """No queue is to be had, in whatever way it is asked for: EOPNOTSUPP and the reason."""
    h = plain
    h.port("vm1", A)
    assert (h.port_file("vm1", "queue"), h.port_file("vm1", "reason")) == ("none", "VMQ is not available")
    assert "vmq" in h.g.out("ip -d link show vm1")
    rows = [
        (f"{h.vmq}/allocate", "guest", "EOPNOTSUPP", WHY),
        (h.rxq(0, "cpu"), "1", "EOPNOTSUPP", "for other devices, too"),
        (h.rxq(0, "cpu"), "auto", "EOPNOTSUPP", "for other devices, too"),
        (h.rxq(0, "cpu_policy"), "strict", "EOPNOTSUPP", "for other devices, too"),
        (f"{h.vmq}/placement_mode", "dynamic", "EOPNOTSUPP", WHY),
        (h.rxq(0, "state"), "allocate", "EPERM", "queue 0 is the default queue"),
        (h.rxq(0, "state"), "free", "EPERM", "queue 0 is the default queue"),
        ("/sys/class/net/vm1/vmq/exclusive", "1", "EOPNOTSUPP", "vm1 gets no queue of its own: VMQ is not available"),
    ]
    with h.unchanged():
        for (path, text, error, reason), (got, told) in zip(rows, h.write([r[:2] for r in rows]), strict=True):
            say(f"{path} <- {text}: {got}, {told}")
            assert got == error and reason in told
        for queue in (1, 7):
            assert h.ntuple(f"flow-type ether dst {B} vlan 0 m 0xf000 action {queue}") == "EOPNOTSUPP"
            assert h.last_error() == f"{WHY} (-95)"


def test_filters(plain):
    """Filters on queue 0 are there, in software, and count."""
    h = plain
    h.must([h.rxq(0, "filter_add"), B])
    assert h.ntuple(f"flow-type ether dst {C} vlan 7 m 0xf000 action 0") == ""
    with h.taps((h.dev, 0)) as t:
        h.send(B, range(40))
        h.send(C, range(100, 140), vlan=7)
        t.wait(80)
    assert sorted(t.serials((h.dev, 0))) == [*range(40), *range(100, 140)]
    lines = [line.split()[1:] for line in h.queue(0)["filters"].splitlines()]
    assert lines == [[B, "untagged", "admin", "40"], [C, "7", "admin", "40"]]
    h.must([h.rxq(0, "filter_del"), B], [h.rxq(0, "filter_del"), f"{C} vlan 7"])


def check_frames(h):
    """What is for a port, for the host and for all comes, and what they send leaves."""
    with h.taps("vm1", "vm2", h.dev) as t:
        h.send(A, range(100))
        h.send(B, range(1000, 1100))
        h.send(h.mac, range(2000, 2100))
        h.send(BROADCAST, range(3000, 3020))
        t.wait(360)
    for tap, first in (("vm1", 0), ("vm2", 1000), (h.dev, 2000)):
        own, group = list(range(first, first + 100)), list(range(3000, 3020))
        assert sorted(t.serials(tap)) == own + group, f"{tap}: {describe_stream(own + group, t.serials(tap))}"
    h.wire.clear()
    with h.wire.capture(lambda f: parse(f).serial is not None) as out:
        for name, mac in (("vm1", A), (h.dev, h.mac)):
            tool(h.g, "send", interface=name, frames=[{"dst": OUTSIDE, "src": mac, "serial": 0, "count": 100}])
        assert h.wire.wait_captured(out, 200), f"{len(out)} of 200 frames left the NIC"
    assert [parse(f).serial for f in out] == [*range(100), *range(100)]


def test_ports(plain):
    """Two ports and the host by one queue; and no frame waits for another interrupt than its own."""
    h = plain
    h.ports([A, B])
    check_frames(h)
    assert h.port_counters("vm1")["rx_switch_packets"] == 120
    # One at a time: a lost interrupt would leave the frame in the ring.
    with h.taps("vm1") as t:
        for n in range(100):
            h.send(A, [n])
            assert t.wait(n + 1, timeout=5) == n + 1, f"frame {n} does not come"
    # Sending both ways at once, while the neighbours on the line interrupt.
    sender = spawn_tool(h.g, "send", interface="vm2", burst=8, gap=0.002,
                        frames=[{"dst": OUTSIDE, "src": B, "serial": 0, "count": 100000}])
    try:
        with h.taps("vm1") as t, Stream(h, t, A, rate=1000) as s:
            wait_for("5000 frames", lambda: s.sent >= 5000, 120)
    finally:
        sender.stop(9)
    assert describe_stream(list(range(s.sent)), t.serials("vm1")) is None
    assert s.stalls == 0


def test_tcp(plain_hub, count):
    """Ping and TCP, of the host and of a VM, with a peer across the wire; and of both with each other."""
    h, size = plain_hub, count(SIZE)
    configure(h.g, "peer", "peer0", 2)
    vm_in_netns(h, "vm1", A, 1)
    check_pings(h.g, "vm1", addresses(2))
    check_transfers(h.g, "peer", "vm1", addresses(2), size)
    configure(h.g, "", h.dev, 4)
    check_pings(h.g, "", addresses(2))
    check_pings(h.g, "vm1", addresses(4))
    check_transfers(h.g, "peer", "", addresses(2)[:2], size)
    check_transfers(h.g, "vm1", "", addresses(1)[:2], size)


@contextlib.contextmanager
def under_traffic(h):
    """Frames come in for vm2, and vm1 sends; afterwards the stream flows again."""
    sender = spawn_tool(h.g, "send", interface="vm1", burst=4, gap=0.01,
                        frames=[{"dst": OUTSIDE, "src": A, "serial": 0, "count": 100000}])
    try:
        with h.taps("vm2") as t, Stream(h, t, B, rate=500, patience=0.5) as s:
            s.wait_sent(100)
            yield
            topology.wait_carrier(h.g, h.dev)
            came = t.count()
            wait_for("traffic resumes", lambda: t.count() >= came + 100, 60, 0.02)
    finally:
        sender.stop(9)
    serials = t.serials("vm2")
    assert serials == sorted(set(serials)), "frames doubled or reordered"
    say(f"{s.sent} frames sent meanwhile, {len(serials)} came, traffic resumed")


def test_resets(plain):
    """Down and up, MTU, ring sizes and a pulled cable, under traffic; with FULL=1 a function level reset, too."""
    h = plain
    h.ports([A, B])
    before = h.dump()
    pci = f"/sys/bus/pci/devices/{h.g.pci(h.nic)}"
    changes = [
        f"ip link set {h.dev} down && sleep 0.5 && ip link set {h.dev} up",
        f"ip link set {h.dev} mtu 9000 && sleep 0.2 && ip link set {h.dev} mtu 1500",
        f"ethtool -G {h.dev} rx 1024 tx 256 && sleep 0.2 && ethtool -G {h.dev} rx 512 tx 512",
        f"ethtool -C {h.dev} rx-usecs 100 && ethtool -C {h.dev} rx-usecs 20",
    ]
    # On a busy host it has kept an emulated machine from answering for minutes.
    if FULL:
        changes += [f"echo flr >{pci}/reset_method && echo 1 >{pci}/reset"] * 5
    for change in changes:
        say(change)
        with under_traffic(h):
            h.g.run(change)
        check_frames(h)
    carrier = f"/sys/class/net/{h.dev}/carrier"
    with under_traffic(h):
        for up in (False, True):
            h.g.qmp("set_link", name=f"nic{h.nic}", up=up)
            wait_for("the carrier follows", lambda up=up: h.read(carrier) == str(int(up)), 20)
    check_frames(h)
    assert h.dump() == before


def test_lifecycle(plain):
    """Unbind, bind and rmmod with ports up and frames coming; then all works as before."""
    h, g = plain, plain.g
    driver = "/sys/bus/pci/drivers/vmq_igb"
    rebind = f"echo {g.pci(0)} >{driver}/unbind && echo {g.pci(0)} >{driver}/bind"
    for end in (rebind, "rmmod vmq_igb", "rmmod vmq_vswitch vmq_igb vmq"):
        h.ports([A, B])
        with Noise(g) as noise:
            wait_for("frames come", lambda n=noise: n.sent > 20 and int(h.queue(0)["rx_packets"]) > 20, 30)
            g.run(end)
        load(g)
        h = Host(g)
        assert h.read(f"{h.vmq}/hw_queues") == "0"
    h.ports([A, B])
    check_frames(h)
