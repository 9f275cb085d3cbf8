# SPDX-License-Identifier: GPL-2.0-only
"""Static placement: a queue's frames are served on its own CPU, where it was put,
and a queue that is moved takes nothing with it."""

import collections
import contextlib
import itertools
import threading
import time

import pytest

from tests.e2e.link.lib import POOLS, VM_QUEUES, say
from tests.e2e.placement.lib import Vms, raised, result, say_matrix, served, spawn
from tests.e2e.placement.placetool import PERIOD
from tests.vm.wire import eth

CPUS = 4
NOBODY = "52:54:00:00:17:77"
MOVE_RATE = 2000
# Seconds of the guest's time.
LIMIT = 0.1
# Sockets whose filters make a frame cost many times what the sender needs for it.
BURDEN = 150


def check_matrix(h, vms, cpus, frames):
    """Frames for all VMs at once, and for none: each queue's are served where it is, and interrupt there."""
    macs = [*vms.macs, NOBODY]
    queues = [*vms.queues, 0]
    assert {n: int(h.read(h.rxq(n, "cpu_effective"))) for n in queues} == cpus
    before = h.interrupts()
    with served(h) as table, h.taps(*vms.names, (h.dev, 0)) as t:
        for first in range(0, len(macs) * frames, 192):
            last = min(first + 192, len(macs) * frames)
            h.wire.send_paced(eth(macs[s % len(macs)], "52:54:00:00:99:01", serial=s) for s in range(first, last))
            t.wait(last)
    say_matrix(table, queues, CPUS)
    assert table == collections.Counter({(n, cpu): frames for n, cpu in cpus.items()})
    for n, where in raised(before, h.interrupts()).items():
        assert set(where) == {cpus[n]}, f"queue {n} is on CPU {cpus[n]} and interrupted {where}"
    for n, tap in enumerate([*vms.names, (h.dev, 0)]):
        assert t.serials(tap) == list(range(n, len(macs) * frames, len(macs)))


def test_matrix(host, count):
    """Queue by CPU of all frames that are served is diagonal, as placed and after all queues were moved."""
    h, frames = host, count(2000)
    vms = Vms(h, len(VM_QUEUES))
    chosen = {n: int(h.read(h.rxq(n, "cpu"))) for n in range(POOLS)}
    # Eight queues on four CPUs: the fewest queues first, so two each.
    assert sorted(collections.Counter(chosen.values()).values()) == [2] * CPUS
    check_matrix(h, vms, chosen, frames)
    moved = {n: (cpu + 1 + n % 2) % CPUS for n, cpu in chosen.items()}
    for n, cpu in moved.items():
        h.pin(n, cpu)
    check_matrix(h, vms, moved, frames)
    h.must([h.rxq(0, "cpu"), "auto"])


@pytest.mark.scenario("A19")
def test_move_under_load(host, count):
    """A loaded queue is moved: within 100 ms only its new CPU is interrupted; the other queue stays; no frame suffers."""
    h, rounds = host, count(200)
    vms = Vms(h, 3)
    n, *others = vms.queues
    vms.pin({n: 1, others[0]: 2, others[1]: 3})
    cpus = list(itertools.islice(itertools.cycle((3, 0, 2, 1)), rounds))
    irq = h.read(h.rxq(n, "irq"))
    before = h.interrupts()
    with vms.stream(rate=MOVE_RATE) as s:
        s.wait_sent(100)
        moves = result(spawn(h.g, "move", path=h.rxq(n, "cpu"), cpus=cpus, irq=irq), 60 + 2 * rounds)
    vms.check(s)
    where = raised(before, h.interrupts())
    assert all(own is not None and times > 1 for _, own, times in moves), moves
    say(f"{rounds} moves: the old CPU interrupted for {max(m[0] for m in moves) * 1e3:.0f} ms at most, the new one after"
        f" {max(m[1] for m in moves) * 1e3:.0f} ms at the latest, in {PERIOD} s {min(m[2] for m in moves)} times at least")
    assert all(other <= LIMIT and own <= LIMIT for other, own, _ in moves), moves
    for other, cpu in zip(others, (2, 3), strict=True):
        assert set(where[other]) == {cpu}, f"queue {other} was on CPU {cpu} and interrupted {where[other]}"
    assert set(where[n]) == set(range(CPUS))
    assert vms.effective() == {n: str(cpus[-1]), others[0]: "2", others[1]: "3"}


@contextlib.contextmanager
def flood(h, frame):
    """As many frames as the wire takes: the ring is never empty."""
    stopping = threading.Event()

    def send():
        while not stopping.is_set():
            h.wire.send(frame)

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


def test_move_under_flood(host):
    """A queue whose polls never end, because each takes all it may, follows its interrupt all the same."""
    h = host
    vms = Vms(h, 1)
    n = vms.queues[0]
    burden = spawn(h.g, "burden", interfaces=vms.names, sockets=BURDEN)
    with flood(h, vms.frame(0)):
        for cpu in (1, 2, 3, 1):
            h.pin(n, cpu)
            time.sleep(0.3)
            with served(h) as table:
                time.sleep(0.5)
            where = {c: frames for (queue, c), frames in table.items() if queue == n}
            say(f"moved to CPU {cpu}, served there: {where}")
            assert set(where) == {cpu}
    burden.stop()
