# SPDX-License-Identifier: GPL-2.0-only
"""The wire and the traffic tools, on the in-tree igb: what is sent is what arrives."""

import pytest

from tests.e2e.link.lib import OUTSIDE, Frame, Taps, describe_stream, tool
from tests.e2e.link.test_traffic import check_pings, check_transfers
from tests.vm import topology
from tests.vm.wire import BROADCAST, WireError, eth, mac_bytes, mac_text, parse

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


def test_describe_stream():
    """Lost, doubled, foreign and reordered serials are each told."""
    sent = list(range(5))
    assert describe_stream(sent, [0, 1, 2, 3, 4]) is None
    assert "lost 1 [2]" in describe_stream(sent, [0, 1, 3, 4])
    assert "twice 1 [1]" in describe_stream(sent, [0, 1, 1, 2, 3, 4])
    assert "1 steps back" in describe_stream(sent, [0, 2, 1, 3, 4])
    assert "never sent [9]" in describe_stream(sent, [0, 1, 2, 3, 4, 9])


@pytest.fixture(scope="module")
def nics():
    """Names of the three interfaces by NIC number, filled by the first test."""
    return {}


@pytest.fixture
def wired(wired_guest, nics):
    """The shared guest with all three NICs on the in-tree igb, up; 2 in netns peer."""
    g = wired_guest
    if nics.get("guest") is not g:
        for n in (0, 1):
            nics[n] = topology.up(g, n)
        g.run(f"ip addr add 10.1.0.1/24 dev {nics[1]} && ip addr add fd01::1/64 dev {nics[1]} nodad")
        g.run("ip -n peer addr add 10.1.0.2/24 dev peer0 && ip -n peer addr add fd01::2/64 dev peer0 nodad")
        nics["guest"] = g
    return g


def feed(wire, taps, frames, window=64):
    """Sends frames, never more than two windows ahead of the taps: a guest that
    waits for a busy host's CPU overruns its ring at any fixed pace."""
    for at in range(0, len(frames), window):
        wire.send_paced(frames[at : at + window])
        taps.wait(at)
    taps.wait(len(frames))


def test_host_to_guest(wired, nics, count):
    """Numbered frames from the host arrive once each, in order, and nothing else does."""
    g, n, mac = wired, count(20000), wired.mac(0)
    with Taps(g, nics[0]) as t:
        feed(g.wire(0), t, [eth(mac, OUTSIDE, serial=i) for i in range(n)])
    assert describe_stream(list(range(n)), t.serials(nics[0])) is None
    assert {f[:6] for f in t.frames} == {(nics[0], nics[0], mac, OUTSIDE, None, False)}


def test_kinds_of_frames(wired, nics):
    """Broadcast, tagged, large frames and other ethertypes are written down as they were; others are not."""
    g = wired
    g.run(f"ip link set {nics[0]} promisc on")
    try:
        with Taps(g, nics[0]) as t:
            g.wire(0).send(eth(BROADCAST, OUTSIDE, serial=1))
            g.wire(0).send(eth(g.mac(0), OUTSIDE, vlan=(100, 5), serial=2))
            g.wire(0).send(eth(OTHER, OUTSIDE, serial=3, size=1514))
            g.wire(0).send(eth(OTHER, OUTSIDE, ethertype=0x88B6, serial=4))
            g.wire(0).send(eth(OTHER, OUTSIDE, payload=b"not a number" * 4))
            g.wire(0).send(eth(OTHER, OUTSIDE, vlan=7, serial=5))
            t.wait(5)
    finally:
        g.run(f"ip link set {nics[0]} promisc off")
    # The in-tree driver spreads over its queues: no order between these.
    assert sorted(t.frames, key=lambda f: f.serial) == [
        Frame(nics[0], nics[0], BROADCAST, OUTSIDE, None, False, 1, True),
        Frame(nics[0], nics[0], g.mac(0), OUTSIDE, 100, False, 2, True),
        Frame(nics[0], nics[0], OTHER, OUTSIDE, None, False, 3, True),
        Frame(nics[0], nics[0], OTHER, OUTSIDE, None, False, 4, True),
        Frame(nics[0], nics[0], OTHER, OUTSIDE, 7, False, 5, True),
    ]


def test_changed_frame(wired, nics):
    """A frame that is not as it was sent fails the taps."""
    g = wired
    frame = bytearray(eth(BROADCAST, OUTSIDE, serial=1))
    frame[18] ^= 1
    with pytest.raises(AssertionError, match="changed on their way"):
        with Taps(g, nics[0]) as t:
            g.wire(0).send(bytes(frame))
            t.wait(1)


def test_guest_to_host(wired, nics, count):
    """Numbered frames out of the guest reach the host once each, in order; also tagged."""
    g, n, src = wired, count(20000), wired.mac(0)
    with g.wire(0).capture(lambda f: parse(f).ok) as got:
        frames = {"dst": OUTSIDE, "src": src, "serial": 5, "count": n}
        assert tool(g, "send", interface=nics[0], frames=[frames]) == n
        g.wire(0).wait_captured(got, n)
        g.wire(0).drain(0.3)
    assert describe_stream(list(range(5, n + 5)), [parse(f).serial for f in got]) is None
    with g.wire(0).capture(lambda f: parse(f).ok) as got:
        frames = {"dst": OUTSIDE, "src": src, "serial": 0, "count": 10, "vlan": 42, "size": 1000}
        tool(g, "send", interface=nics[0], frames=[frames])
        assert g.wire(0).wait_captured(got, 10)
    assert {(len(f), parse(f).vlan, parse(f).src) for f in got} == {(1000, 42, src)}


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


def test_transfer(wired):
    """Pings and checked transfers go across the hub, both ways, IPv4 and IPv6."""
    check_pings(wired, None, ["10.1.0.2", "fd01::2"])
    check_transfers(wired, "peer", None, ["10.1.0.2", "fd01::2"], 300000)


def test_failure_is_told(wired):
    """No answer, no connection, and an interface that is not there are failures."""
    g = wired
    with pytest.raises(AssertionError, match="ping from the host"):
        check_pings(g, None, ["10.1.0.99"])
    with pytest.raises(AssertionError, match="up to 10.1.0.99: failed"):
        check_transfers(g, "peer", None, ["10.1.0.99"], 1000)
    with pytest.raises(AssertionError, match="the taps ended with"):
        with Taps(g, "nosuchdev0"):
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
    with Taps(g, dev) as t:
        feed(g.wire(0), t, [eth(g.mac(0), OUTSIDE, serial=i) for i in range(100)])
    assert describe_stream(list(range(100)), t.serials(dev)) is None
