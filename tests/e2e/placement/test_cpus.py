# SPDX-License-Identifier: GPL-2.0-only
"""Which CPUs queues may use: vmq/cpus, and CPUs that are isolated."""

import collections
import itertools

import pytest

from tests.e2e.link.lib import POOLS, VM_QUEUES, Host, load, say, wait_for
from tests.e2e.link.test_refusals import check_table
from tests.e2e.placement.lib import Vms, raised, served
from tests.vm import topology


def places(h):
    return {n: int(h.read(h.rxq(n, "cpu_effective"))) for n in range(POOLS)}


def await_places(h, cpus):
    wait_for(f"all queues are on {cpus}", lambda: set(places(h).values()) <= set(cpus), 5, 0.05)
    return places(h)


def test_cpus_live(host):
    """vmq/cpus is changed under traffic: auto queues move, pinned ones stay, no link flaps, no frame suffers."""
    h = host
    vms = Vms(h, len(VM_QUEUES))
    pinned = vms.queues[0]
    vms.pin({pinned: 3})
    flaps = f"/sys/class/net/{h.dev}/carrier_changes"
    assert h.read(f"{h.vmq}/cpus") == "0-3"
    before = {"flaps": h.read(flaps), "moves": moves(vms)}
    places_seen = [places(h)]
    with vms.stream(rate=1000) as s:
        s.wait_sent(100)
        for text, cpus in (("2-3", {2, 3}), ("0,3", {0, 3}), ("1,3", {1, 3}), ("3", {3})):
            h.must([f"{h.vmq}/cpus", text])
            there = await_places(h, cpus)
            say(f"{text}: {there}")
            places_seen.append(there)
            assert h.read(f"{h.vmq}/cpus") == text and set(there.values()) == cpus
            interrupts = h.interrupts()
            s.wait_sent(140)
            where = raised(interrupts, h.interrupts())
            assert all(set(where[n]) == {there[n]} for n in vms.queues), where
        h.must([f"{h.vmq}/cpus", "auto"])
        s.wait_sent(100)
        assert places(h) == there, "queues moved whose CPU may still be used"
    vms.check(s)
    assert h.read(f"{h.vmq}/cpus") == "0-3" and h.read(flaps) == before["flaps"]
    made = {n: after - before["moves"][n] for n, after in moves(vms).items()}
    changes = {n: sum(a[n] != b[n] for a, b in itertools.pairwise(places_seen)) for n in vms.queues}
    assert made == changes and made[pinned] == 0 and sum(made.values()) >= len(VM_QUEUES)
    h.must([h.rxq(0, "cpu"), "auto"])


def moves(vms):
    return {n: int(text) for n, text in vms.files("cpu_moves").items()}


def test_new_queues_obey(host):
    """A queue that is allocated later gets one of these CPUs, the one with the fewest queues."""
    h = host
    h.must([f"{h.vmq}/cpus", "2-3"])
    vms = Vms(h, len(VM_QUEUES))
    assert collections.Counter(places(h).values()) == {2: 4, 3: 4}
    h.must([h.rxq(vms.queues[0], "cpu"), "auto"])
    await_places(h, {2, 3})


def test_cpus_refused(host):
    """Sets of CPUs that cannot be, and CPUs outside of the set: refused, and nothing has changed."""
    h = host
    vms = Vms(h, 2)
    vms.pin({vms.queues[0]: 1})
    cpus, cpu = f"{h.vmq}/cpus", h.rxq(vms.queues[1], "cpu")
    form = "cpus takes a list of CPUs"
    h.g.run("echo 0 >/sys/devices/system/cpu/cpu3/online")
    try:
        h.must([cpus, "0-1,3"])
        check_table(h, [
            *[(cpus, text, "EINVAL", form) for text in ("x", "1-", "3-1", "-1", "0x1", "1;2", "auto 1", "4294967296")],
            (cpus, "100000", "EINVAL", form),
            (cpus, "3", "EINVAL", "none of the CPUs 3 is online"),
            (cpus, "2", "EBUSY", f"queue {vms.queues[0]} is pinned to CPU 1"),
            (cpu, "2", "EINVAL", "CPU 2 is not among those in vmq/cpus"),
            (cpu, "3", "EINVAL", "not online"),
            (h.rxq(vms.queues[1], "cpu_policy"), "loose", "EINVAL", "cpu_policy takes strict, hint or free"),
            (h.rxq(7, "cpu_policy"), "hint", "ENOENT", "not allocated"),
        ])
        assert h.read(cpus) == "0-1,3"
    finally:
        h.g.run("echo 1 >/sys/devices/system/cpu/cpu3/online")


@pytest.fixture
def isolated(boot):
    """lib.Host of a machine that keeps CPU 2 and CPU 3 for other work."""
    g = boot(smp=4, nics=[topology.HOST], name="isolated", append="isolcpus=2 nohz_full=3")
    assert (g.read("/sys/devices/system/cpu/isolated"), g.read("/sys/devices/system/cpu/nohz_full")) == ("2", "3")
    topology.reserve(g, 0)
    load(g)
    return Host(g)


def test_isolated(isolated):
    """No queue gets an isolated CPU by itself; the administrator may pin there, and name such CPUs."""
    h = isolated
    vms = Vms(h, len(VM_QUEUES))
    assert collections.Counter(places(h).values()) == {0: 4, 1: 4}
    with served(h) as table, vms.stream(rate=2000) as s:
        s.wait_sent(700)
    vms.check(s)
    assert {cpu for _, cpu in table} <= {0, 1}, table
    # By name, each kind.
    h.pin(vms.queues[0], 2)
    h.pin(vms.queues[1], 3)
    with served(h) as table, vms.stream(rate=2000) as s:
        s.wait_sent(700)
        h.must([h.rxq(vms.queues[0], "cpu"), "auto"])
        wait_for("queue leaves CPU 2", lambda: places(h)[vms.queues[0]] in (0, 1), 5, 0.05)
    vms.check(s)
    assert table[vms.queues[0], 2] and table[vms.queues[1], 3], table
    # A CPU that goes: its queues do not flee to isolated ones.
    h.g.run("echo 0 >/sys/devices/system/cpu/cpu1/online")
    wait_for("queues are on CPU 0", lambda: set(places(h).values()) == {0, 3}, 5, 0.05)
    assert places(h)[vms.queues[1]] == 3
    h.g.run("echo 1 >/sys/devices/system/cpu/cpu1/online")
    h.must([h.rxq(vms.queues[1], "cpu"), "auto"], [f"{h.vmq}/cpus", "2-3"])
    await_places(h, {2, 3})
