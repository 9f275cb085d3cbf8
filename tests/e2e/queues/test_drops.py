# SPDX-License-Identifier: GPL-2.0-only
"""Every dropped frame is counted under its cause at its queue, and freed with the kernel's reason for it."""

import collections
import re

import pytest

from tests.e2e.link.lib import BROADCAST, OUTSIDE, POOLS, Host, delta, say, tool, vm_mac, wait_for
from tests.e2e.link.test_scenarios import running_queue
from tests.e2e.vswitch.test_forwarding import fence, on_wire, send_from, watching
from tests.vm import topology

A, B, C = vm_mac(1), vm_mac(2), vm_mac(3)
N = 20
CAUSES = {"rx": ("bad", "long", "nomem", "stopped"), "tx": ("full", "invalid", "nomem", "stopped")}
TRACING = "/sys/kernel/tracing/instances/drops"
# Freed by us, or by the kernel's helper for those who may have interrupts off.
TOLD = re.compile(r"kfree_skb: .* location=(?:\S*dev_kfree_skb_any_reason\S*|\S+ \[vmq\w*\]) reason: (\w+)")
# Registers: interrupts masked, transmit control, a ring's buffers (its size in KB is the low bits).
EIMC, TCTL, TCTL_EN = 0x1528, 0x400, 2


def srrctl(queue):
    return 0xC00C + 0x40 * queue


class Drops:
    """What was dropped while the context lasts: .reasons, {reason: frames}; .queues, {queue: {counter:
    frames}}. Fails unless sums, sysfs, ethtool -S and the statistics of the device agree."""

    def __init__(self, h):
        self.h = h

    def numbers(self):
        h, uplink = self.h, f"/sys/class/net/{self.h.dev}/statistics/"
        found = h.files(*[h.rxq(n, f"{d}_dropped*") for n in range(POOLS) for d in CAUSES],
                        *[f"{uplink}{d}_dropped" for d in CAUSES])
        return h.counters(), {path: int(text) for path, text in found.items()}

    def so_far(self, queue, name):
        path = self.h.rxq(queue, name)
        return int(self.h.read(path)) - self.before[1][path]

    def __enter__(self):
        self.before = self.numbers()
        self.h.g.run(f"mkdir -p {TRACING} && echo >{TRACING}/trace && echo 1 >{TRACING}/events/skb/kfree_skb/enable")
        return self

    def __exit__(self, kind, *_):
        trace = f"echo 0 >{TRACING}/events/skb/kfree_skb/enable; grep 'kfree_skb:' {TRACING}/trace; rmdir {TRACING}"
        lines = self.h.g.out(trace).splitlines()
        if kind:
            return
        self.reasons = collections.Counter(m[1] for m in map(TOLD.search, lines) if m)
        after = self.numbers()
        ethtool, sysfs = (delta(b, a) for b, a in zip(self.before, after, strict=True))
        self.queues = {n: self.of_queue(n, ethtool, sysfs) for n in range(POOLS)}
        for d in CAUSES:
            total = sum(q.get(f"{d}_dropped", 0) for q in self.queues.values())
            assert sysfs.get(f"/sys/class/net/{self.h.dev}/statistics/{d}_dropped", 0) == total
        self.queues = {n: q for n, q in self.queues.items() if q}
        say(f"reasons {dict(self.reasons)}, queues {self.queues}")

    def of_queue(self, n, ethtool, sysfs):
        moved = {}
        for d, causes in CAUSES.items():
            for name in ("dropped", *(f"dropped_{cause}" for cause in causes)):
                frames = sysfs.get(self.h.rxq(n, f"{d}_{name}"), 0)
                assert ethtool.get(f"{d}_queue_{n}_{name}", 0) == frames, f"{d}_{name} of queue {n}"
                if frames:
                    moved[f"{d}_{name}"] = frames
            parts = sum(moved.get(f"{d}_dropped_{cause}", 0) for cause in causes)
            assert moved.get(f"{d}_dropped", 0) == parts, f"queue {n}: {moved}"
        return moved


def mmio(h, offset, **options):
    return tool(h.g, "mmio", bdf=h.g.pci(0), offset=offset, **options)


def test_switch(host):
    """Reflected, to itself, to a port that is down, link-local: each has its reason, and its counter at the port."""
    h = host
    h.ports([A, B, C])
    h.g.run("ip link set vm3 down")
    ports = {p: h.port_counters(p) for p in ("vm1", "vm3")}
    with watching(h, "vm1", "vm2") as (t, out), Drops(h) as d:
        h.send(BROADCAST, range(N), src=A)
        send_from(h, "vm1", A, A, list(range(100, 101 + N)))
        h.send(C, range(200, 202 + N))
        send_from(h, "vm1", C, A, list(range(300, 303 + N)))
        send_from(h, "vm1", "01:80:c2:00:00:03", A, list(range(400, 404 + N)))
        fence(h, out, "vm1", A)
    assert not t.frames and not on_wire(out) and not d.queues
    assert d.reasons == {"LOCAL_MAC": N, "NO_TX_TARGET": N + 1, "DEV_READY": 2 * N + 5, "UNHANDLED_PROTO": N + 4}
    moved = {p: delta(before, h.port_counters(p)) for p, before in ports.items()}
    assert moved["vm1"]["tx_dropped"] == 2 * N + 5 and moved["vm1"]["reflected"] == N
    assert moved["vm3"]["rx_dropped"] == 2 * N + 5


def test_full_ring(host):
    """What a port without a qdisc sends into a full ring is dropped there; the rest is on the wire."""
    h, many = host, 2000
    try:
        h.g.run(f"ethtool -G {h.dev} tx 128")
        h.up()
        h.port("vm1", A)
        n = h.port_queue("vm1")
        # Interrupts this far apart: the ring fills up in between.
        h.g.run(f"ethtool -Q {h.dev} queue_mask {1 << n:#x} --coalesce rx-usecs 8191")
        before = h.port_counters("vm1")
        with watching(h) as (_, out), Drops(h) as d:
            tool(h.g, "send", interface="vm1", burst=many,
                 frames=[{"dst": OUTSIDE, "src": A, "serial": 0, "count": many}])
            lost = delta(before, h.port_counters("vm1"))["tx_dropped"]
            assert h.wire.wait_captured(out, many - lost, 30)
        say(f"{lost} of {many} found the ring full")
        assert lost and len(set(on_wire(out))) == many - lost
        assert d.queues == {n: {"tx_dropped": lost, "tx_dropped_full": lost}} and d.reasons == {"FULL_RING": lost}
    finally:
        h.moderation_back()
        h.g.run(f"ethtool -G {h.dev} tx 512")
        h.up()


def test_invalid(host):
    """A VM asks for segments longer than the NIC can send: dropped as too big; shorter ones go out."""
    h = host
    h.port("vm1", A)
    n, frame = h.port_queue("vm1"), {"interface": "vm1", "dst": OUTSIDE, "src": A, "count": N}
    with Drops(h) as d:
        tool(h.g, "segments", size=12000, segment=10000, **frame)
    assert d.queues == {n: {"tx_dropped": N, "tx_dropped_invalid": N}} and d.reasons == {"PKT_TOO_BIG": N}
    with h.wire.capture(lambda f: f[12:14] == b"\x08\0") as out, Drops(h) as d:
        tool(h.g, "segments", size=12000, segment=1400, **frame)
        assert h.wire.wait_captured(out, 9 * N)
    assert not d.queues and not d.reasons


# A stock kernel lets nobody at the registers of a driver.
@pytest.mark.kernel("debug")
def test_stopped_with_frames(faulty):
    """What is in the rings when they stop is counted and, if there is a packet, freed as purged; not what was sent."""
    h = Host(faulty)
    h.port("vm1", A)
    n = h.port_queue("vm1")
    before = h.counters()[f"rx_queue_{n}_nic_packets"]
    with watching(h, "vm1") as (t, out), Drops(h) as d:
        # From here on nobody looks into the rings.
        mmio(h, EIMC, value=1 << (n + 1))
        h.send(A, range(N))
        wait_for("the NIC has put all into the ring", lambda: h.counters()[f"rx_queue_{n}_nic_packets"] - before == N, 10)
        send_from(h, "vm1", OUTSIDE, A, list(range(100, 100 + N)))
        assert h.wire.wait_captured(out, N)
        # From here on the NIC sends nothing.
        mmio(h, TCTL, clear=TCTL_EN)
        send_from(h, "vm1", OUTSIDE, A, list(range(200, 203 + N)))
        h.down_and_up()
        topology.wait_carrier(h.g, "vm1")
    assert not t.frames and on_wire(out) == list(range(100, 100 + N))
    assert d.queues == {
        n: {"rx_dropped": N, "rx_dropped_stopped": N, "tx_dropped": N + 3, "tx_dropped_stopped": N + 3}
    }
    assert d.reasons == {"QUEUE_PURGE": N + 3}
    with h.taps("vm1") as t:
        h.send(A, range(N))
        t.wait(N)
    assert t.serials("vm1") == list(range(N))


def test_no_carrier(host):
    """What a port sends before it knows that the uplink lost its carrier: the device is not ready."""
    h = host
    h.port("vm1", A)
    n, lost = h.port_queue("vm1"), 0
    for _ in range(30):
        before = h.port_counters("vm1")
        job = h.g.spawn(
            "/usr/bin/python3 -c 'import socket, time; s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW);"
            f' s.bind(("vm1", 0)); f = bytes.fromhex("{(OUTSIDE + A).replace(":", "")}88b5" + "00" * 46);'
            " end = time.monotonic() + 60;\nwhile time.monotonic() < end: s.send(f)'"
        )
        try:
            wait_for("frames are sent", lambda b=before: delta(b, h.port_counters("vm1")).get("tx_packets", 0) > 100)
            with Drops(h) as d:
                h.g.qmp("set_link", name="nic0", up=False)
                wait_for("the port has no carrier", lambda: h.read("/sys/class/net/vm1/carrier") == "0", poll=0.02)
                job.stop()
        finally:
            job.stop()
            h.g.qmp("set_link", name="nic0", up=True)
            topology.wait_carrier(h.g, h.dev)
            topology.wait_carrier(h.g, "vm1")
        stopped = d.queues.get(n, {}).get("tx_dropped_stopped", 0)
        assert d.reasons["DEV_READY"] == stopped
        lost += stopped
        if lost:
            break
    assert lost, "the port was always told before it sent"


@pytest.mark.kernel("debug")
def test_bad_descriptor(faulty):
    """A NIC that fills more than a buffer may hold: the frame is dropped as bad, the next one is not."""
    h = Host(faulty)
    mtu = h.read(f"/sys/class/net/{h.dev}/mtu")
    try:
        h.g.run(f"ip link set {h.dev} mtu 9000")
        running_queue(h, 2, A)
        # 3600 bytes are more than the 3 KB that the NIC was told, and no more than the page has.
        old = mmio(h, srrctl(2))[0]
        with h.taps((h.dev, 2)) as t, Drops(h) as d:
            mmio(h, srrctl(2), value=old + 1)
            h.send(A, range(N), size=3600)
            wait_for("all are dropped", lambda: d.so_far(2, "rx_dropped") == N, 10)
            mmio(h, srrctl(2), value=old)
            h.send(A, range(100, 100 + N), size=3600)
            t.wait(N)
        assert t.serials((h.dev, 2)) == list(range(100, 100 + N))
        assert d.queues == {2: {"rx_dropped": N, "rx_dropped_bad": N}}
    finally:
        h.g.run(f"ip link set {h.dev} mtu {mtu}")


@pytest.mark.kernel("debug")
def test_no_memory(faulty):
    """No memory for the packet header of a frame: dropped under that name, and later ones come."""
    h, many = Host(faulty), 200
    running_queue(h, 2, A)
    slab = "/sys/kernel/slab/skbuff_head_cache/failslab"
    fail = "/sys/kernel/debug/failslab"
    with h.taps((h.dev, 2)) as t, Drops(h) as d:
        h.g.run(f"cd {fail} && echo 1 >cache-filter && echo 1 >{slab} && echo -1 >times && echo 100 >probability")
        try:
            h.send(A, range(many))
            wait_for("some are dropped", lambda: d.so_far(2, "rx_dropped_nomem"), 10)
        finally:
            h.g.run(f"cd {fail} && echo 0 >probability && echo 0 >cache-filter && echo 0 >{slab}")
        h.send(A, range(1000, 1000 + N))
        wait_for("later ones come", lambda: t.count() >= N, 10)
    lost = many + N - len(t.serials((h.dev, 2)))
    assert lost and d.queues == {2: {"rx_dropped": lost, "rx_dropped_nomem": lost}}
    assert t.serials((h.dev, 2))[-N:] == list(range(1000, 1000 + N))
