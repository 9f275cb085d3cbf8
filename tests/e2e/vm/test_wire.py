# SPDX-License-Identifier: GPL-2.0-only
"""The wire and the traffic tools, on the in-tree igb: what is sent is what arrives.

These tests have their own guest: NIC 0 to the host, NICs 1 and 2 to each other.
"""

import pytest

from tests.vm import topology
from tests.vm.guest import CommandFailed, GuestError
from tests.vm.traffic import Frame, blast, compare, feed, sniff, transfer
from tests.vm.wire import BROADCAST, WireError, eth, mac_bytes, mac_text, parse

OUTSIDE = "52:54:00:00:99:01"
OTHER = "52:54:00:00:99:02"


def test_frame_round_trip():
    """A numbered frame is taken apart as it was made; a changed one is noticed."""
    for vlan in (None, 0, 1, 100, 4095):
        frame = eth(OTHER, OUTSIDE, vlan=vlan, serial=77, size=128)
        f = parse(frame)
        assert (f.dst, f.src, f.vlan, f.pcp, f.serial, f.ok) == (OTHER, OUTSIDE, vlan, 0, 77, True)
        assert len(frame) == 128
    assert parse(eth(OTHER, OUTSIDE, vlan=(5, 7))).pcp == 7
    frame = bytearray(eth(OTHER, OUTSIDE, serial=1))
    for at in (0, 11, 18, 21):
        frame[at] ^= 1
        assert not parse(bytes(frame)).ok
        frame[at] ^= 1
    assert parse(bytes(frame)).ok
    assert parse(b"short").serial is None
    assert parse(eth(OTHER, OUTSIDE, payload=b"text")).serial is None
    assert mac_text(mac_bytes(OTHER)) == OTHER
    with pytest.raises(ValueError):
        mac_bytes("52:54")


def test_compare():
    """Missing, doubled and reordered serials are told apart; foreign ones raise."""
    assert compare(range(5), [0, 1, 2, 3, 4]) == ([], [], [])
    assert compare(range(5), [0, 1, 3, 4]) == ([2], [], [])
    assert compare(range(3), [0, 1, 1, 2]) == ([], [1], [])
    assert compare(range(4), [0, 2, 1, 3]) == ([], [], [1])
    with pytest.raises(AssertionError, match="nobody sent"):
        compare(range(3), [0, 1, 2, 9])


@pytest.fixture(scope="module")
def nics():
    """Names of the three interfaces by NIC number, filled by the first test."""
    return {}


@pytest.fixture
def wired(request, link_guest, nics):
    """The shared guest with all three NICs on the in-tree igb, up; 2 in netns peer."""
    g = link_guest
    if nics.get("guest") is not g:
        for n in (0, 1):
            pci = g.pci(n)
            g.run(f"echo >/sys/bus/pci/devices/{pci}/driver_override && echo {pci} >/sys/bus/pci/drivers_probe")
            nics[n] = topology.up(g, n)
        g.run(f"ip addr add 10.1.0.1/24 dev {nics[1]} && ip addr add fd01::1/64 dev {nics[1]} nodad")
        g.run("ip -n peer addr add 10.1.0.2/24 dev peer0 && ip -n peer addr add fd01::2/64 dev peer0 nodad")
        nics["guest"] = g
    return g


def test_host_to_guest(wired, nics, count):
    """Numbered frames from the host arrive once each, in order, and nothing else does."""
    g, n = wired, count(20000)
    with sniff(g, nics[0]) as s:
        mac = g.mac(0)
        assert feed(g, 0, nics[0], (eth(mac, OUTSIDE, serial=i) for i in range(n))) == n
        s.wait_frames()
    assert compare(range(n), s.serials) == ([], [], [])
    assert {(f.dev, f.dst, f.src, f.vlan, f.pkttype) for f in s.frames} == {(nics[0], mac, OUTSIDE, None, 0)}


def test_kinds_of_frames(wired, nics):
    """Broadcast, tagged and foreign frames are written down with their tag and kind."""
    g = wired
    g.run(f"ip link set {nics[0]} promisc on")
    try:
        with sniff(g, nics[0]) as s:
            g.wire(0).send(eth(BROADCAST, OUTSIDE, serial=1))
            g.wire(0).send(eth(g.mac(0), OUTSIDE, vlan=(100, 5), serial=2))
            g.wire(0).send(eth(OTHER, OUTSIDE, serial=3, size=1514))
            s.wait_frames()
    finally:
        g.run(f"ip link set {nics[0]} promisc off")
    # The in-tree driver spreads over its queues: no order between these.
    assert sorted(s.frames) == [
        Frame(1, nics[0], None, 0, 1, BROADCAST, OUTSIDE, True),
        Frame(2, nics[0], 100, 5, 0, g.mac(0), OUTSIDE, True),
        Frame(3, nics[0], None, 0, 3, OTHER, OUTSIDE, True),
    ]


def test_guest_to_host(wired, nics, count):
    """Numbered frames out of the guest reach the host once each, in order; also tagged."""
    g, n = wired, count(20000)
    with g.wire(0).capture(lambda f: parse(f).ok) as got:
        blast(g, nics[0], OUTSIDE, n, first=5)
        g.wire(0).wait_captured(got, n)
        g.wire(0).drain(0.3)
    assert compare(range(5, n + 5), [parse(f).serial for f in got]) == ([], [], [])
    with g.wire(0).capture(lambda f: parse(f).ok) as got:
        blast(g, nics[0], OUTSIDE, 10, vlan=42, size=1000)
        assert g.wire(0).wait_captured(got, 10)
    assert {(len(f), parse(f).vlan, parse(f).src) for f in got} == {(1000, 42, g.mac(0))}


def test_back_pressure(wired):
    """Sending to a guest that does not run blocks, and fails after its time."""
    g = wired
    g.qmp("stop")
    try:
        with pytest.raises(WireError, match="took no frame"):
            for i in range(10000):
                g.wire(0).send(eth(g.mac(0), OUTSIDE, serial=i), timeout=1)
    finally:
        g.qmp("cont")
    g.run("true")


def test_transfer(wired, nics):
    """A checked transfer succeeds across the hub, both ways, IPv4 and IPv6, TCP and UDP."""
    for addr in ("10.1.0.2", "fd01::2"):
        for how in ({}, {"reverse": True}, {"udp": True}):
            done = transfer(wired, addr, server_ns="peer", size=300000, **how)
            print(f"    {addr} {how}: {done}")
            assert done["ok"] and done["bytes"] == 300000


def test_transfer_notices_loss(wired, nics):
    """A transfer over a link that loses datagrams fails."""
    g = wired
    g.run("modprobe sch_netem && tc -n peer qdisc add dev peer0 root netem loss 20%")
    try:
        with pytest.raises(CommandFailed, match='"ok": false'):
            transfer(g, "10.1.0.2", server_ns="peer", size=60000, udp=True)
    finally:
        g.run("tc -n peer qdisc del dev peer0 root")


def test_sniffer_failure_is_told(wired):
    """A sniffer that cannot listen is an error, not an empty list."""
    with pytest.raises(GuestError, match="did not get ready"):
        with sniff(wired, "nosuchdev0"):
            pass


def test_unplug_and_plug(boot):
    """A NIC goes and comes back while the guest runs; a spare one comes later."""
    g = boot(name="plug", nics=[topology.HOST, {"wire": "hub:0", "plugged": False}])
    g.run("modprobe igb")
    dev = topology.up(g, 0)
    g.unplug(0)
    assert g.run(f"ip link show {dev}", check=False).rc == 1
    g.plug(0)
    g.plug(1)
    assert topology.wait_netdev(g, 0) and topology.wait_netdev(g, 1)
    dev = topology.up(g, 0)
    with sniff(g, dev) as s:
        g.wire(0).send_paced(eth(g.mac(0), OUTSIDE, serial=i) for i in range(100))
        s.wait_frames()
    assert compare(range(100), s.serials) == ([], [], [])
