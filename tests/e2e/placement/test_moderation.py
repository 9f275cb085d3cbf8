# SPDX-License-Identifier: GPL-2.0-only
"""Interrupt moderation, a queue at a time: the NIC's own registers say which interval is in effect."""

import contextlib
import re
import statistics
import struct
import threading
import time

import pytest

from tests.e2e.link.lib import OUTSIDE, POOLS, RX_USECS, Stream, say, vm_mac, wait_for
from tests.vm import topology
from tests.vm.wire import WireError, eth, mac_bytes

A, B, C = (vm_mac(n) for n in range(1, 4))
# Of the 82576: vector n + 1 is queue n's, its register, and where that has the microseconds.
EITR, FIRST_BIT, USECS = 0x1680, 2, 0x1FFF
# The intervals that the kernel's dim library has for receive, microseconds.
STEPS = (1, 8, 64, 128, 256)


def interval(h, *queues):
    """What the NIC's registers say, read from outside: the guest takes no part."""
    bar = int(h.g.read(f"/sys/bus/pci/devices/{h.g.pci(h.nic)}/resource").split()[0], 16)
    command = f"xp /{POOLS + 1}wx {bar + EITR:#x}"
    text = h.g.qmp("human-monitor-command", **{"command-line": command})
    words = [int(w, 16) for w in re.findall(r"0x([0-9a-f]{8})\b", text)]
    assert len(words) == POOLS + 1, text
    found = [words[n + 1] >> FIRST_BIT & USECS for n in queues]
    return found if len(found) > 1 else found[0]


def shown(h):
    """{queue: (adaptive, rx-usecs)} as ethtool -Q shows them."""
    text = h.g.out(f"ethtool -Q {h.dev} queue_mask {(1 << POOLS) - 1:#x} --show-coalesce")
    pattern = r"^Queue: (\d+)$.*?^Adaptive RX: (\w+).*?^rx-usecs:\s*(\d+)$"
    return {int(n): (on, int(v)) for n, on, v in re.findall(pattern, text, re.M | re.S)}


def tell(h, n, what):
    h.g.run(f"ethtool -Q {h.dev} queue_mask {1 << n:#x} --coalesce {what}")


def reset(h):
    return f"echo 1 >/sys/bus/pci/devices/{h.g.pci(h.nic)}/reset"


@contextlib.contextmanager
def moderated(h):
    """Puts all back as it was at first."""
    try:
        yield
    finally:
        h.moderation_back()


def test_fixed(host):
    """What -C and -Q set is in the NIC's registers, exactly, also after down and up, new rings and a function reset."""
    h = host
    h.ports([A, B])
    one, two = (h.port_queue(f"vm{n}") for n in (1, 2))
    assert interval(h, 0, one, two) == [RX_USECS] * 3
    with moderated(h):
        for usecs in (0, 1, 333, 8191):
            h.g.run(f"ethtool -C {h.dev} rx-usecs {usecs}")
            assert interval(h, 0, one, two) == [usecs] * 3
        tell(h, one, "rx-usecs 0")
        tell(h, two, "rx-usecs 2000")
        assert interval(h, 0, one, two) == [8191, 0, 2000]
        # One that is not in use yet.
        free = next(n for n in range(1, POOLS) if n not in (one, two))
        tell(h, free, "rx-usecs 77")
        for change in (f"ip link set {h.dev} down && ip link set {h.dev} up", f"ethtool -G {h.dev} rx 256", reset(h)):
            h.g.run(change)
            topology.wait_carrier(h.g, h.dev)
            assert interval(h, 0, one, two) == [8191, 0, 2000], f"not kept: {change}"
            assert [shown(h)[n] for n in (0, one, two)] == [("off", 8191), ("off", 0), ("off", 2000)]
        h.g.run(f"ethtool -G {h.dev} rx 512")
        h.port("vm3", C)
        assert h.port_queue("vm3") == free and interval(h, free) == 77
    assert interval(h, 0, one, two) == [RX_USECS] * 3


class Flood:
    """Bursts of frames to an address, as many as get through, from a thread; a context manager."""

    def __init__(self, h, mac, pause=0.002):
        self.pause = pause
        self.wire, self.frames, self.sent = h.wire, [eth(mac, OUTSIDE, serial=n) for n in range(32)], 0
        self.stopping = threading.Event()

    def __enter__(self):
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        return self

    def run(self):
        # Nobody takes any while the NIC is down.
        with contextlib.suppress(WireError):
            while not self.stopping.is_set():
                self.sent += self.wire.send_paced(self.frames, timeout=60)
                time.sleep(self.pause)

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()


def test_adaptive(host):
    """An adaptive queue's interval follows the load, its neighbours' stay; off again, its own is back."""
    h = host
    h.ports([A, B])
    one, two = (h.port_queue(f"vm{n}") for n in (1, 2))
    with moderated(h):
        tell(h, one, "rx-usecs 50")
        tell(h, two, "rx-usecs 30")
        tell(h, one, "adaptive-rx on")
        assert interval(h, 0, one, two) == [RX_USECS, STEPS[0], 30]
        assert [shown(h)[n] for n in (0, one, two)] == [("off", RX_USECS), ("on", 50), ("off", 30)]

        seen, before, end = {STEPS[0]}, h.interrupts(), time.monotonic() + 8
        with Flood(h, A) as f:
            while time.monotonic() < end:
                now, *others = interval(h, one, 0, two)
                seen.add(now)
                assert others == [RX_USECS, 30], "a neighbour's interval moved"
                time.sleep(0.05)
        raised = sum(h.interrupts()[one]) - sum(before[one])
        say(f"{f.sent} frames in 8 s: intervals {sorted(seen)}, {raised} interrupts")
        # How far it grows is the library's affair; a slow machine is no faster for it.
        assert max(seen) > STEPS[0] and seen <= set(STEPS), "the interval does not follow the load"
        now = interval(h, one)
        assert h.counters()[f"rx_queue_{one}_interval"] == now, "the interval in effect is not shown"

        tell(h, one, "rx-usecs 60")
        assert interval(h, one) == now and shown(h)[one] == ("on", 60)
        for change in (f"ip link set {h.dev} down && ip link set {h.dev} up", reset(h)):
            h.g.run(change)
            topology.wait_carrier(h.g, h.dev)
            assert shown(h)[one] == ("on", 60) and interval(h, one) == STEPS[0], f"not kept: {change}"
            assert interval(h, 0, two) == [RX_USECS, 30]
        topology.wait_carrier(h.g, "vm1")
        with Flood(h, A):
            wait_for("the interval grows", lambda: interval(h, one) != STEPS[0], 10, 0.05)
            tell(h, one, "adaptive-rx off")
            assert interval(h, 0, one, two) == [RX_USECS, 60, 30] and shown(h)[one] == ("off", 60)
            time.sleep(1)
            assert interval(h, one) == 60, "somebody still writes"

        # All at once.
        h.g.run(f"ethtool -C {h.dev} adaptive-rx on rx-usecs 40")
        assert set(shown(h).values()) == {("on", 40)}
        h.g.run(f"ethtool -C {h.dev} adaptive-rx off")
        assert set(shown(h).values()) == {("off", 40)} and interval(h, 0, one, two) == [40] * 3
    with h.taps("vm1") as t:
        h.send(A, range(20))
        t.wait(20)
    assert t.serials("vm1") == list(range(20))


@pytest.mark.kernel("debug")
def test_adaptive_comes_and_goes(small_host, count):
    """Adaptive on and off, queues that are freed, down and up, under a stream: no frame lost by on and off, nothing left."""
    h = small_host
    h.port("vm1", A)
    one = h.port_queue("vm1")
    with moderated(h):
        with h.taps("vm1") as t, Stream(h, t, A, rate=500) as s:
            for _ in range(count(200)):
                tell(h, one, "adaptive-rx on")
                s.wait_sent(10)
                tell(h, one, "adaptive-rx off")
        assert t.serials("vm1") == list(range(s.sent)) and not s.given_up, "frames lost, doubled or out of order"
        h.g.run(f"ethtool -C {h.dev} adaptive-rx on")
        with Flood(h, A, pause=0.02):
            for n in range(6):
                time.sleep(0.3)
                if n % 2:
                    h.down_and_up()
                else:
                    h.delete("vm1")
                    wait_for("the queue is free", lambda: h.state(one) == "undefined", 20)
                    h.port("vm1", A)
                topology.wait_carrier(h.g, "vm1")


# Echoes: the guest's kernel answers each in the poll that took it.

FRAMES, GAP, LONG = 400, 0.002, 8000


def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def echo_request(mac, net, serial):
    """ICMP echo from station 10.NET.0.2 to 10.NET.0.1."""
    icmp = struct.pack(">BBHHH", 8, 0, 0, net, serial) + bytes(24)
    icmp = icmp[:2] + struct.pack(">H", checksum(icmp)) + icmp[4:]
    ip = struct.pack(">BBHHHBBH4B4B", 0x45, 0, 20 + len(icmp), serial, 0, 64, 1, 0, 10, net, 0, 2, 10, net, 0, 1)
    ip = ip[:10] + struct.pack(">H", checksum(ip)) + ip[12:]
    return eth(mac, OUTSIDE, ethertype=0x0800, payload=ip + icmp)


def latencies(h, mac, net):
    """Seconds from each of FRAMES echo requests to its reply, and how long all took."""
    began, ended = {}, {}

    def note(frame):
        if frame[:6] == mac_bytes(OUTSIDE) and frame[12:14] == b"\x08\0" and frame[34:35] == b"\0":
            ended.setdefault(int.from_bytes(frame[40:42], "big"), time.monotonic())
        return False

    with h.wire.capture(note):
        start = time.monotonic()
        for serial in range(FRAMES):
            time.sleep(max(0, start + serial * GAP - time.monotonic()))
            began[serial] = time.monotonic()
            h.wire.send(echo_request(mac, net, serial))
        took = time.monotonic() - start
        wait_for("all echoes are answered", lambda: len(ended) == FRAMES, 20, 0.01)
    return [ended[n] - began[n] for n in range(FRAMES)], took


@pytest.mark.scenario("A21")
def test_latency_or_rate(host):
    """One VM has each frame at once, another is interrupted seldom, both by the same NIC."""
    h = host
    h.ports([A, B])
    queues = {name: h.port_queue(name) for name in ("vm1", "vm2")}
    found = {}
    with moderated(h):
        tell(h, queues["vm1"], "rx-usecs 0")
        tell(h, queues["vm2"], f"rx-usecs {LONG}")
        for net, (name, mac) in enumerate((("vm1", A), ("vm2", B)), 17):
            n = queues[name]
            neighbour = f"ip neigh replace 10.{net}.0.2 lladdr {OUTSIDE} dev {name} nud permanent"
            h.g.run(f"ip addr add 10.{net}.0.1/24 dev {name} && {neighbour}")
            before = sum(h.interrupts()[n])
            seconds, took = latencies(h, mac, net)
            rate = (sum(h.interrupts()[n]) - before) / took
            found[name] = statistics.median(seconds), rate
            say(f"{name}: {FRAMES} echoes in {took:.2f} s, median {found[name][0] * 1e3:.2f} ms, {rate:.0f} interrupts a second")
    (soon, often), (late, seldom) = found["vm1"], found["vm2"]
    assert soon < late, "the queue without moderation is no faster"
    assert often >= 5 * seldom, "moderation does not spare interrupts"
