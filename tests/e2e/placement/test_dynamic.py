# SPDX-License-Identifier: GPL-2.0-only
"""Dynamic placement: queues of idle VMs share few CPUs, and spread while VMs are busy."""

import time

import pytest

from tests.e2e.link.lib import say, wait_for
from tests.e2e.placement.lib import Vms, raised, result, spawn

VMS = 4
# Queue 0's beside that of the idle VMs.
FEW = 2
SPREAD_WITHIN, GATHER_WITHIN = 2.0, 10.0
MOVES_A_MINUTE = 6
# Sockets at each port, whose filters make a frame cost what a busy VM's does: without, the
# sender and the receipts take more of a small host than the queues.
BURDEN = 24


@pytest.fixture
def dynamic(host):
    """Vms of a host whose auto queues are placed by load; they have gathered."""
    h = host
    vms = Vms(h, VMS + 1)
    # At home they share that of queue 0, the lowest one there.
    vms.irqs = [h.read(h.rxq(n, "irq")) for n in (0, *auto(vms))]
    h.must([f"{h.vmq}/placement_mode", "dynamic"], [h.rxq(vms.queues[-1], "cpu"), "3"])
    return vms


def auto(vms):
    return vms.queues[:VMS]


def on(vms):
    """The CPUs that serve the auto queues."""
    effective = vms.effective()
    return {effective[n] for n in auto(vms)}


def gathered(vms):
    return len(on(vms)) <= FEW


def moves(vms):
    return {n: int(text) for n, text in vms.files("cpu_moves").items()}


@pytest.mark.scenario("A22")
def test_spread_and_gather(dynamic, count):
    """Idle VMs share few CPUs; four driven hard are served by four within 2 s, and gather again within 10 s."""
    vms = dynamic
    h, g = vms.h, vms.h.g
    seconds = count(60)
    wait_for("idle queues have gathered", lambda: gathered(vms), 30)
    say(f"idle: CPUs {sorted(on(vms))}")
    first, before = moves(vms), h.interrupts()
    began = time.monotonic()
    burden = spawn(g, "burden", interfaces=vms.names[:VMS], sockets=BURDEN)
    wait_for("the burden is there", lambda: "ready" in burden.stdout, 60, 0.02)
    follow = spawn(g, "follow", irqs=vms.irqs)
    wait_for("interrupts are followed", lambda: "ready" in follow.stdout, 60, 0.02)
    with vms.stream(rate=100000, window=160) as s:
        time.sleep(seconds)
        busy, load = on(vms), vms.files("cpu_load")
    idle = float(g.read("/proc/uptime").split()[0])
    burden.stop()
    follow.kill()
    samples = result(follow, 30)
    vms.check(s)
    loaded = next(when for when, _ in samples)
    spread = next((when - loaded for when, cpus in samples if len({c for row in cpus for c in row}) >= VMS), None)
    say(f"busy: CPUs {sorted(busy)}, load {load}; four CPUs were interrupted {spread} s after the first frame")
    assert len(busy) >= VMS and spread is not None and spread <= SPREAD_WITHIN
    wait_for("queues gather", lambda: gathered(vms), 60, 0.1)
    took = float(g.read("/proc/uptime").split()[0]) - idle
    minutes = max(1.0, (time.monotonic() - began) / 60)
    made = {n: after - first[n] for n, after in moves(vms).items()}
    say(f"gathered after {took:.1f} s; moves {made} in {minutes:.1f} min")
    assert took <= GATHER_WITHIN
    assert all(n <= MOVES_A_MINUTE * minutes for n in made.values())
    # The administrator's has not moved, nor been interrupted elsewhere.
    pinned = vms.queues[-1]
    assert made[pinned] == 0 and set(raised(before, h.interrupts())[pinned]) == {3}
    assert sum(made.values()) >= 2


def test_static_again(dynamic):
    """Back in static mode the queues are spread, and stay where they are whatever the load."""
    vms = dynamic
    h = vms.h
    wait_for("idle queues have gathered", lambda: gathered(vms), 30)
    h.must([f"{h.vmq}/placement_mode", "static"])
    cpus = [h.read(h.rxq(0, "cpu_effective")), *vms.effective().values()]
    served = [cpus.count(str(cpu)) for cpu in range(4)]
    assert max(served) - min(served) <= 1, f"not spread: {cpus}"
    there, made = vms.effective(), moves(vms)
    burden = spawn(h.g, "burden", interfaces=vms.names[:VMS], sockets=BURDEN)
    with vms.stream(rate=100000, window=160) as s:
        time.sleep(4)
    burden.stop()
    vms.check(s)
    assert (vms.effective(), moves(vms)) == (there, made)
    assert vms.files("cpu") == there
