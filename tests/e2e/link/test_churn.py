# SPDX-License-Identifier: GPL-2.0-only
"""Ports and filters come and go while another VM receives a numbered stream."""

import json
import time

import pytest

from tests.e2e.link.lib import (
    OUTSIDE,
    VM_QUEUES,
    Stream,
    describe_stream,
    say,
    spawn_tool,
    vm_mac,
    wait_for,
)
from tests.vm.wire import eth, parse

A, B = vm_mac(1), vm_mac(2)
BETWEEN = 20
# Frames a second while things come and go, and the same on a debug kernel, which has
# other things to do.
RATE = 5000
DEBUG_RATE = 120


def check_stream(s, serials):
    """Every frame of the stream came once and in order, and it never stopped."""
    say(f"stream: {s.sent} frames sent, {len(serials)} came")
    assert s.stalls == 0, f"the stream stood still {s.stalls} times"
    wrong = describe_stream(list(range(s.sent)), serials)
    assert wrong is None, wrong


def run_churn(h, stream, job, timeout):
    """Waits for guesttool.py churn; what it reports."""
    wait_for("churn ends", lambda: job.poll() is not None, timeout, 0.2)
    assert job.rc == 0, f"churn failed: {job.stdout} {job.stderr}"
    assert stream.error is None, stream.error
    return json.loads(job.stdout.strip().splitlines()[-1])


@pytest.mark.kernel("debug")
def test_ports_come_and_go(small_host, count):
    """A port is created and deleted over and over; the other VM's stream is not disturbed."""
    h, rounds = small_host, count(1000)
    h.port("vm1", A)
    n = h.port_queue("vm1")
    before = h.queue(n)
    with h.taps("vm1") as t, Stream(h, t, A, rate=DEBUG_RATE) as s:
        s.wait_sent(100)
        job = spawn_tool(h.g, "churn", uplink=h.dev, watched="vm1", rounds=rounds, frames=BETWEEN)
        done = run_churn(h, s, job, 60 + rounds * 10)
    say(f"{done['changes']} changes, at least {done['least']} frames of the stream between two of them")
    assert done["changes"] == 2 * rounds and done["least"] >= BETWEEN
    check_stream(s, t.serials("vm1"))
    after = h.queue(n)
    assert int(after["rx_packets"]) - int(before["rx_packets"]) == s.sent, "frames came by another ring"
    assert all(after[lost] == before[lost] for lost in ("rx_dropped", "rx_mismatch"))
    assert h.read(f"{h.vmq}/queues_free") == str(len(VM_QUEUES) - 1)


def check_filter_moves(h, rounds, vlan, per_second):
    h.must([h.rxq(3, "state"), "allocate"], [h.rxq(3, "state"), "commit"])
    match = f"{A} vlan {vlan}" if vlan else A
    def frame(serial):
        return eth(A, OUTSIDE, vlan=vlan, serial=serial)

    ring, zero = h.rxq(3, "rx_packets"), h.rxq(0, "rx_packets")
    came = {ring: int(h.read(ring)), zero: int(h.read(zero))}
    writes = [[h.rxq(3, f"filter_{verb}"), match] for verb in ("add", "del")]
    with h.taps(h.dev) as t, Stream(h, t, A, rate=per_second, frame=frame) as s:
        s.wait_sent(50)
        began, sent = time.monotonic(), s.sent
        job = spawn_tool(h.g, "churn", uplink=h.dev, watched=h.dev, rounds=rounds, frames=BETWEEN, writes=writes)
        done = run_churn(h, s, job, 60 + rounds * 10)
        rate = (s.sent - sent) / (time.monotonic() - began)
    say(f"{done['changes']} moves, at least {done['least']} frames between two of them, {rate:.0f} a second")
    assert done["changes"] == 2 * rounds and done["least"] >= BETWEEN
    check_stream(s, t.serials(h.dev))
    came = {path: int(h.read(path)) - n for path, n in came.items()}
    say(f"by queue 3: {came[ring]}, by queue 0: {came[zero]}")
    # At least BETWEEN frames of each step must have used the ring they should.
    assert came[ring] >= rounds * BETWEEN // 2 and came[zero] >= rounds * BETWEEN // 2
    assert came[ring] + came[zero] == s.sent


@pytest.mark.scenario("A14")
def test_filter_moves(host, count):
    """A filter comes and goes: its frames change rings, Q0 to Q3 and back, in order and complete."""
    check_filter_moves(host, count(1000), None, RATE)


@pytest.mark.scenario("A14")
@pytest.mark.kernel("debug")
def test_vlan_filter_moves(small_host, count):
    """The same of a VLAN's filter, on a kernel that looks at every access and lock."""
    check_filter_moves(small_host, count(1000), 7, DEBUG_RATE)


@pytest.mark.kernel("debug")
def test_port_gains_queue(small_host, count):
    """A port without a queue gets one when another port goes: its stream moves in order, without loss."""
    h, rounds = small_host, count(200)
    for n in VM_QUEUES[:-1]:
        h.must([h.rxq(n, "state"), "allocate"])
    last = VM_QUEUES[-1]
    by_ring = 0
    for _ in range(rounds):
        h.g.run(
            f"ip link add link {h.dev} name vm2 address {B} type vmq && ip link set vm2 up &&"
            f" ip link add link {h.dev} name vm1 address {A} type vmq && ip link set vm1 up"
        )
        assert (h.port_queue("vm2"), h.port_queue("vm1")) == (last, None)
        with h.taps("vm1") as t, Stream(h, t, A, rate=DEBUG_RATE) as s:
            s.wait_sent(BETWEEN)
            h.delete("vm2")
            wait_for("vm1 has the queue", lambda: h.port_queue("vm1") == last, 60, 0.02)
            s.wait_sent(BETWEEN)
        serials = t.serials("vm1")
        wrong = describe_stream(list(range(s.sent)), serials)
        assert wrong is None, wrong
        counts = h.port_counters("vm1")
        assert counts["rx_queue_packets"] and counts["rx_switch_packets"], "the stream did not change rings"
        assert counts["rx_queue_packets"] + counts["rx_switch_packets"] == s.sent
        by_ring += counts["rx_queue_packets"]
        h.delete("vm1")
        wait_for("the queue is back", lambda: h.state(last) == "undefined", 60, 0.02)
    say(f"{rounds} promotions under traffic, {by_ring} frames by the new ring, nothing lost, doubled or reordered")


@pytest.mark.kernel("debug")
def test_transmit_while_port_churns(small_host, count):
    """What a VM sends goes out complete and in order while another port comes and goes."""
    h, rounds = small_host, count(200)
    h.port("vm1", A)
    h.wire.clear()
    total = max(4000, rounds * 100)
    with h.wire.capture(lambda f: f[:6] == bytes.fromhex(OUTSIDE.replace(":", ""))) as out:
        frames = [{"dst": OUTSIDE, "src": A, "serial": 0, "count": total}]
        sender = spawn_tool(h.g, "send", interface="vm1", frames=frames, burst=4, gap=0.002)
        changes = 0
        while sender.poll() is None:
            h.g.run(f"ip link add link {h.dev} name churn0 address {B} type vmq && ip link set churn0 up && ip link del churn0")
            changes += 2
        assert sender.rc == 0, sender.stderr
        h.wire.wait_captured(out, total)
        time.sleep(0.2)
    say(f"{len(out)} of {total} frames on the wire, {changes} changes meanwhile")
    assert changes >= 4
    wrong = describe_stream(list(range(total)), [parse(f).serial for f in out])
    assert wrong is None, wrong
