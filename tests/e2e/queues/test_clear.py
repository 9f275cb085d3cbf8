# SPDX-License-Identifier: GPL-2.0-only
"""A queue that has lost its last filter keeps no frame. The ring itself says so, as the NIC sees it."""

import re
import time

import pytest

from tests.e2e.link.lib import Stream, say, vm_mac, wait_for
from tests.e2e.link.test_scenarios import running_queue

A = vm_mac(1)
QUEUE = 2
N = 40
BUFFERS = 64
ROUNDS = 100
# The CPU that the threads of NAPI share, and how long they do not get it: less than a drain waits.
BUSY = 3
SECONDS = 0.7
BUSY_LOOP = f"""
now() {{ t=${{EPOCHREALTIME/./}}; }}
echo on
now; end=$((t + {int(SECONDS * 1e6)}))
while ((t < end)); do now; done
"""
# Of the 82576: a ring's registers, a descriptor's words of 4 bytes, that of the status, its bit "done".
RINGS, STRIDE, BASE_LOW, BASE_HIGH, LENGTH, HEAD, TAIL = 0xC000, 0x40, 0x00, 0x04, 0x08, 0x10, 0x18
WORDS, STATUS, DONE = 4, 2, 1


class Ring:
    """A receive ring, read from outside: the guest takes no part, and its kernel lets nobody at a NIC's registers."""

    def __init__(self, h, n):
        self.g = h.g
        bar = int(h.g.read(f"/sys/bus/pci/devices/{h.g.pci(h.nic)}/resource").split()[0], 16)
        self.registers = bar + RINGS + STRIDE * n
        low, high, length = (self.register(r) for r in (BASE_LOW, BASE_HIGH, LENGTH))
        self.base, self.count = high << 32 | low, length // (4 * WORDS)

    def words(self, address, n):
        text = self.g.qmp("human-monitor-command", **{"command-line": f"xp /{n}wx {address:#x}"})
        found = [int(w, 16) for w in re.findall(r"0x([0-9a-f]{8})\b", text)]
        assert len(found) == n, text
        return found

    def register(self, which):
        return self.words(self.registers + which, 1)[0]

    def done(self):
        """Positions of the frames that the NIC has put in and the driver has not taken out.

        The driver posts all descriptors but one, that at the tail, so anything else that is
        done has a frame in it; a tail that moved meanwhile is read again."""
        while True:
            tail = self.register(TAIL)
            status = self.words(self.base, self.count * WORDS)[STATUS::WORDS]
            if self.register(TAIL) == tail:
                break
        return [n for n, s in enumerate(status) if s & DONE and n != tail]

    def is_whole(self):
        """Does the NIC have all descriptors but one?"""
        return (self.register(TAIL) - self.register(HEAD)) % self.count == self.count - 1


@pytest.fixture
def slow(host):
    """lib.Host whose queues are polled by threads on one CPU, which somebody more important can have."""
    h = host
    threaded = f"/sys/class/net/{h.dev}/threaded"
    h.g.run(f"echo 1 >{threaded} && for p in $(pgrep ^napi/{h.dev}-); do taskset -pc {BUSY} $p; done")
    yield h
    h.g.run(f"echo 0 >{threaded}")


class Kept:
    """Numbered frames that wait in the ring for a poll."""

    def __init__(self, h, ring, taps):
        self.h, self.ring, self.taps = h, ring, taps
        self.sent = 0

    def send(self):
        """N more; False if a poll has come before they were seen in the ring."""
        job = self.h.g.spawn(f"exec chrt -f 50 taskset -c {BUSY} bash -c '{BUSY_LOOP}'")
        wait_for("the CPU is occupied", lambda: "on" in job.stdout, 10, 0)
        self.h.send(A, range(self.sent, self.sent + N))
        self.sent += N
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            if len(self.ring.done()) == N:
                return True
        self.taps.wait(self.sent)
        return False


def test_no_frame_is_kept(slow, count):
    """When the last filter is gone, no descriptor holds a frame; when it is back, nothing old is delivered."""
    h = slow
    running_queue(h, QUEUE, A)
    h.must([h.rxq(QUEUE, "buffers"), str(BUFFERS)])
    ring = Ring(h, QUEUE)
    add, delete = h.rxq(QUEUE, "filter_add"), h.rxq(QUEUE, "filter_del")
    with h.taps((h.dev, QUEUE), (h.dev, 0)) as t:
        frames = Kept(h, ring, t)
        for _ in range(count(ROUNDS)):
            wait_for("frames are seen in the ring", frames.send, 60, 0)
            h.must([delete, A])
            left = ring.done()
            assert not left, f"queue {QUEUE} is paused and holds frames at {left}"
            assert ring.is_whole(), "the driver holds descriptors back"
            t.wait(frames.sent)
            h.must([add, A])
            assert t.count() == frames.sent, "frames of before"
    assert t.serials((h.dev, QUEUE)) == list(range(frames.sent))


def test_no_frame_is_kept_of_a_stream(host, count):
    """The same while its frames never cease to come: from then on queue 0 has them."""
    h, rounds = host, count(ROUNDS)
    running_queue(h, QUEUE, A)
    ring = Ring(h, QUEUE)
    add, delete = h.rxq(QUEUE, "filter_add"), h.rxq(QUEUE, "filter_del")
    with h.taps((h.dev, QUEUE), (h.dev, 0)) as t, Stream(h, t, A, rate=2000) as s:
        for _ in range(rounds):
            s.wait_sent(20)
            h.must([delete, A])
            left = ring.done()
            assert not left and ring.is_whole(), f"queue {QUEUE} is paused and holds frames at {left}"
            h.must([add, A])
    mine, others = t.serials((h.dev, QUEUE)), t.serials((h.dev, 0))
    assert sorted(mine + others) == list(range(s.sent)), "frames lost or doubled"
    assert mine == sorted(mine) and others == sorted(others), "out of order"
    say(f"{rounds} rounds, {len(mine)} frames by the queue, {len(others)} by queue 0")
    assert mine and others
