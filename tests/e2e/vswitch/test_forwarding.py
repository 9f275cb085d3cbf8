# SPDX-License-Identifier: GPL-2.0-only
"""Who gets a frame: ports, the host and the wire, for every kind of sender."""

import contextlib

from tests.e2e.link.lib import BROADCAST, OUTSIDE, POOLS, VM_QUEUES, delta, describe_stream, say, spawn_tool, tool, vm_mac, wait_for
from tests.vm.wire import parse

A, B, C = vm_mac(1), vm_mac(2), vm_mac(3)
GROUP = "01:00:5e:01:02:03"
STRANGER = "52:54:00:00:66:01"
PAUSE = b"\x88\x08"
# Sends one frame, given in hexadecimal digits.
RAW = (
    "/usr/bin/python3 -c 'import socket, sys; s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW);"
    " s.bind((sys.argv[1], 0)); s.send(bytes.fromhex(sys.argv[2]))'"
)
N = 20


@contextlib.contextmanager
def watching(h, *taps):
    """Yields (taps, numbered frames that leave by the wire)."""
    h.wire.clear()
    with h.wire.capture(lambda f: parse(f).serial is not None) as out, h.taps(*taps) as t:
        yield t, out


def send_from(h, name, dst, src, serials, **frame):
    tool(h.g, "send", interface=name, frames=[{"dst": dst, "src": src, "serial": serials[0], "count": len(serials), **frame}])


def fence(h, out, name, src):
    """A last frame to the wire: what was sent before it is out by then."""
    send_from(h, name, OUTSIDE, src, [999999])
    assert h.wire.wait_captured(out, len(on_wire(out)) + 1)


def on_wire(out):
    return [parse(f).serial for f in out if parse(f).serial != 999999]


def test_group_of_a_port(host):
    """A port's group frame reaches each other port of its VLAN, the host and the wire once, and not itself."""
    h = host
    h.ports([A, B])
    h.port("vm3", C, (C, 7))
    h.join(GROUP, "vm1", "vm2", "vm3")
    for n, dst in enumerate((BROADCAST, GROUP)):
        serials = list(range(n * 100, n * 100 + N))
        with watching(h, "vm1", "vm2", "vm3", h.dev) as (t, out):
            send_from(h, "vm1", dst, A, serials)
            t.wait(3 * N)
            assert h.wire.wait_captured(out, N)
        assert t.serials("vm2") == t.serials("vm3") == t.serials(h.dev) == on_wire(out) == serials
        assert t.serials("vm1") == []
    serials = list(range(500, 500 + N))
    with watching(h, "vm1", "vm2", "vm3", h.dev) as (t, out):
        send_from(h, "vm1", BROADCAST, A, serials, vlan=7)
        t.wait(2 * N)
        assert h.wire.wait_captured(out, N)
    say(f"VLAN 7: {len(t.serials('vm3'))} to the port that is in it, {len(on_wire(out))} to the wire")
    assert t.serials("vm3") == t.serials(h.dev) == on_wire(out) == serials
    assert t.serials("vm1") == t.serials("vm2") == []
    assert {f.vlan for f in t.at("vm3")} == {7} and {parse(f).vlan for f in out} == {7}


def test_host_sends(host):
    """The host's frames reach the port they are for; its group frames each port of the VLAN and the wire."""
    h = host
    h.ports([A, B])
    h.g.run(f"bridge fdb add {B} vlan 7 dev vm2 self")
    with watching(h, "vm1", "vm2") as (t, out):
        send_from(h, h.dev, A, h.mac, list(range(N)))
        send_from(h, h.dev, B, h.mac, list(range(100, 100 + N)), vlan=7)
        send_from(h, h.dev, BROADCAST, h.mac, list(range(200, 200 + N)))
        send_from(h, h.dev, A, h.mac, list(range(300, 300 + N)), vlan=7)
        send_from(h, h.dev, STRANGER, h.mac, list(range(400, 400 + N)))
        t.wait(4 * N)
        fence(h, out, h.dev, h.mac)
    assert t.serials("vm1") == [*range(N), *range(200, 200 + N)]
    assert t.serials("vm2") == [*range(100, 100 + N), *range(200, 200 + N)]
    assert on_wire(out) == [*range(200, 200 + N), *range(300, 300 + N), *range(400, 400 + N)]


def test_tag_in_payload(host):
    """A tag that the sender wrote into the frame itself decides the VLAN all the same."""
    h = host
    h.ports([A, B])
    h.g.run(f"bridge fdb add {B} vlan 7 dev vm2 self")
    with watching(h, "vm2", h.dev) as (t, out):
        for n, vlan in enumerate((7, 9, 0, None)):
            send_from(h, "vm1", B, A, list(range(n * 100, n * 100 + N)), vlan=vlan)
        t.wait(3 * N)
        fence(h, out, "vm1", A)
    say(f"{len(t.frames)} to the port, {len(on_wire(out))} of VLAN 9 to the wire")
    assert t.serials("vm2") == [*range(N), *range(200, 200 + N), *range(300, 300 + N)]
    assert {f.vlan for f in t.at("vm2")} == {7, 0, None}
    assert on_wire(out) == list(range(100, 100 + N))
    assert t.serials(h.dev) == []


def test_own_address(host):
    """What a VM sends to its own address goes nowhere, and is counted."""
    h = host
    h.ports([A, B])
    before = h.port_counters("vm1")
    with watching(h, "vm1", "vm2", h.dev) as (t, out):
        send_from(h, "vm1", A, A, list(range(N)))
        fence(h, out, "vm1", A)
    assert not t.frames and not on_wire(out)
    moved = delta(before, h.port_counters("vm1"))
    assert moved["tx_dropped"] == N


def test_reflected(host):
    """A frame that a port sent and the wire brings back is dropped and counted; a stranger's is not."""
    h = host
    h.ports([A, B])
    before = int(h.port_file("vm2", "reflected"))
    with h.taps("vm1", "vm2", h.dev) as t:
        h.send(BROADCAST, range(N), src=A)
        h.send(h.mac, range(100, 100 + N), src=B)
        h.send(BROADCAST, range(200, 200 + N), src=STRANGER)
        t.wait(3 * N)
    assert t.serials("vm1") == t.serials("vm2") == t.serials(h.dev) == list(range(200, 200 + N))
    assert int(h.port_file("vm2", "reflected")) - before == 2 * N


def test_port_down(host):
    """Frames for a port that is down are dropped and counted there; they do not go up the host's stack."""
    h = host
    h.ports([A, B])
    h.g.run("ip link set vm1 down")
    before = h.port_counters("vm1")
    with watching(h, "vm2", h.dev) as (t, out):
        h.send(A, range(N))
        send_from(h, "vm2", A, B, list(range(100, 100 + N)))
        send_from(h, h.dev, A, h.mac, list(range(200, 200 + N)))
        h.send(BROADCAST, range(300, 300 + N))
        t.wait(2 * N)
        fence(h, out, "vm2", B)
    assert t.serials("vm2") == t.serials(h.dev) == list(range(300, 300 + N))
    assert not on_wire(out)
    moved = delta(before, h.port_counters("vm1"))
    say(f"counters of the port that is down: {moved}")
    assert moved["rx_dropped"] == 3 * N and "rx_packets" not in moved


def test_unknown_unicast(host):
    """Unicast of a port to a stranger goes to the wire; while the uplink is promiscuous a copy goes up its stack."""
    h = host
    h.ports([A])
    with watching(h, h.dev) as (t, out):
        send_from(h, "vm1", STRANGER, A, list(range(N)))
        fence(h, out, "vm1", A)
    assert on_wire(out) == list(range(N)) and not t.frames
    try:
        h.g.run(f"ip link set {h.dev} promisc on")
        with watching(h, h.dev) as (t, out):
            send_from(h, "vm1", STRANGER, A, list(range(100, 100 + N)))
            t.wait(N)
            fence(h, out, "vm1", A)
    finally:
        h.g.run(f"ip link set {h.dev} promisc off")
    assert on_wire(out) == list(range(100, 100 + N))
    assert [s for s in t.serials(h.dev) if s != 999999] == list(range(100, 100 + N))


def test_extra_addresses(host):
    """An address of the uplink's list is the host's; one of a port's entries is the port's, until it is deleted."""
    h = host
    h.ports([A, B])
    h.g.run(f"bridge fdb add {STRANGER} dev {h.dev} self && bridge fdb add {C} dev vm2 self")
    try:
        with watching(h, "vm1", "vm2", h.dev) as (t, out):
            send_from(h, "vm1", STRANGER, A, list(range(N)))
            send_from(h, "vm1", C, A, list(range(100, 100 + N)))
            h.send(STRANGER, range(200, 200 + N))
            h.send(C, range(300, 300 + N))
            t.wait(4 * N)
            fence(h, out, "vm1", A)
        assert t.serials(h.dev) == [*range(N), *range(200, 200 + N)]
        assert t.serials("vm2") == [*range(100, 100 + N), *range(300, 300 + N)]
        assert not on_wire(out)
        h.g.run(f"bridge fdb del {C} dev vm2 self")
        with watching(h, "vm2") as (t, out):
            send_from(h, "vm1", C, A, list(range(400, 400 + N)))
            h.send(C, range(500, 500 + N))
            fence(h, out, "vm1", A)
        assert not t.frames and on_wire(out) == list(range(400, 400 + N))
    finally:
        h.g.run(f"bridge fdb del {STRANGER} dev {h.dev} self")


def test_link_local_stays(host):
    """What only the two ends of a wire may say, such as PAUSE, leaves no port; other groups do."""
    h = host
    h.ports([A, B])
    group = "01:80:c2:00:00:10"
    h.join(group, "vm1", "vm2")
    with watching(h, "vm2") as (t, out), h.wire.capture(lambda f: f[12:14] == PAUSE) as paused:
        for n, dst in enumerate(("01:80:c2:00:00:00", "01:80:c2:00:00:01", "01:80:c2:00:00:0e")):
            send_from(h, "vm1", dst, A, list(range(100 * n, 100 * n + N)))
        send_from(h, "vm1", group, A, list(range(900, 900 + N)))
        for dst in ("01:80:c2:00:00:01", OUTSIDE):
            frame = (dst + A).replace(":", "") + PAUSE.hex() + "0001ffff" + "00" * 42
            h.g.run(f"{RAW} vm1 {frame}")
        fence(h, out, "vm1", A)
    assert t.serials("vm2") == list(range(900, 900 + N))
    assert on_wire(out) == list(range(900, 900 + N))
    assert not paused
    assert int(h.read("/sys/class/net/vm1/statistics/tx_dropped")) == 3 * N + 2


def test_full_ring_waits(host):
    """A port with a qdisc waits while its ring is full: nothing it sends is lost, nothing overtakes."""
    h, many, n = host, 3000, 0
    size = h.g.out(f"ethtool -g {h.dev} | sed -n '/Current/,$s/^TX:[[:space:]]*//p'")
    try:
        h.g.run(f"ethtool -G {h.dev} tx 128")
        h.up()
        h.ports([A])
        n = h.port_queue("vm1")
        # Interrupts this far apart, and no byte limit before the ring's own.
        h.g.run(f"ethtool -Q {h.dev} queue_mask {1 << n:#x} --coalesce rx-usecs 8191")
        h.g.run(f"echo 1000000 >/sys/class/net/{h.dev}/queues/tx-{n}/byte_queue_limits/limit_min")
        h.g.run("tc qdisc add dev vm1 root pfifo limit 10000")
        before = h.counters()
        h.wire.clear()
        with h.wire.capture(lambda f: parse(f).serial is not None) as out:
            # One thread in the guest, no pause: the ring is full again and again.
            tool(h.g, "send", interface="vm1", burst=many,
                 frames=[{"dst": OUTSIDE, "src": A, "serial": 0, "count": many}])
            assert h.wire.wait_captured(out, many, 30), f"{len(out)} of {many} came"
        moved = delta(before, h.counters())
        stops = moved.get(f"tx_queue_{n}_stops", 0)
        say(f"{many} frames in order, the ring was full {stops} times")
        assert on_wire(out) == list(range(many))
        assert stops > 0 and f"tx_queue_{n}_dropped" not in moved
    finally:
        h.moderation_back()
        h.g.run(f"ethtool -G {h.dev} tx {size}")
        h.g.run(f"echo 0 >/sys/class/net/{h.dev}/queues/tx-{n}/byte_queue_limits/limit_min")
        h.up()


def test_transmit_moves(host):
    """A port that gains a queue while it sends: its frames change rings in order, and none is lost."""
    h, many = host, 6000
    names = h.ports([vm_mac(n) for n in range(1, POOLS + 1)])
    last, mac = names[-1], vm_mac(POOLS)
    assert h.port_queue(last) is None and h.port_queue(names[0]) in VM_QUEUES
    before = h.counters()
    h.wire.clear()
    with h.wire.capture(lambda f: parse(f).src == mac and parse(f).serial is not None) as out:
        job = spawn_tool(h.g, "send", interface=last, burst=8, gap=0.002,
                         frames=[{"dst": OUTSIDE, "src": mac, "serial": 0, "count": many}])
        assert h.wire.wait_captured(out, many // 10, 60)
        h.delete(names[0])
        wait_for("the port has a queue", lambda: h.port_queue(last))
        assert job.wait(120) == 0, job.stderr
        h.wire.wait_captured(out, many, 10)
    moved = delta(before, h.counters())
    by_queue = {n: moved.get(f"tx_queue_{n}_packets", 0) for n in (0, h.port_queue(last))}
    say(f"{many} frames, by ring {by_queue}")
    assert describe_stream(list(range(many)), [parse(f).serial for f in out]) is None
    assert all(by_queue.values()) and sum(by_queue.values()) >= many
