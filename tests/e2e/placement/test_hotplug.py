# SPDX-License-Identifier: GPL-2.0-only
"""CPUs go offline and come back under traffic: queues leave them and return."""

import pytest

from tests.e2e.link.lib import Host, load, say
from tests.e2e.placement.lib import Vms, result, spawn
from tests.vm import topology

BETWEEN = 5
ONLINE = "/sys/devices/system/cpu/cpu*/online"
# Seconds that a moment may last on an emulated CPU, for the work that the driver queues.
MOMENT = {"stock": 2, "debug": 10}


def cycles(h, vms, pinned, cpus, rounds, rate):
    """rounds times one of the cpus goes and comes; nothing is lost, and all queues are back each time.
    pinned: {queue: CPU} of those that are not auto."""
    g = h.g
    vms.pin(pinned)
    home = vms.files("cpu")
    zero = h.read(h.rxq(0, "cpu"))
    limit = MOMENT[g.kind]
    try:
        with vms.stream(rate=rate, patience=10) as s:
            s.wait_sent(20, timeout=60)
            job = spawn(g, "hotplug", queues=[h.rxq(n) for n in [0, *vms.queues]], ports=vms.names, cpus=cpus,
                        rounds=rounds, frames=BETWEEN, pinned=[None, *[pinned.get(n) for n in vms.queues]], limit=limit)
            done = result(job, 60 + 10 * rounds)
    finally:
        g.run(f"for f in {ONLINE}; do [ $(<$f) = 1 ] || echo 1 >$f; done")
    vms.check(s)
    say(f"{rounds} cycles met {done['met']} queues; away from the CPU after {done['away'] * 1e3:.0f} ms at most,"
        f" home after {done['home'] * 1e3:.0f} ms")
    assert done["met"] >= rounds, "no queue was on the CPUs that went"
    assert vms.files("cpu") == vms.effective() == home
    assert h.read(h.rxq(0, "cpu")) == h.read(h.rxq(0, "cpu_effective")) == zero


@pytest.mark.kernel("debug")
def test_cycles(boot, count):
    """CPUs go and come over and over under numbered streams: nothing is lost, and every queue comes home."""
    rounds = count(100)
    g = boot(smp=3, nics=[topology.HOST], name="hotplug")
    topology.reserve(g, 0)
    load(g)
    # Ports are made with many grace periods.
    g.run("echo 1 >/sys/kernel/rcu_expedited")
    h = Host(g)
    vms = Vms(h, 5)
    # Two on each CPU that goes, one of them pinned; one that stays.
    cycles(h, vms, {vms.queues[0]: 1, vms.queues[1]: 2, vms.queues[2]: 0}, (1, 2), rounds, 150)


def test_cycles_stock(host, count):
    """The same on the stock kernel, with four CPUs and seven queues."""
    h = host
    vms = Vms(h, 7)
    cycles(h, vms, {vms.queues[0]: 3, vms.queues[1]: 3, vms.queues[2]: 1}, (3, 1, 2), count(60), 1000)


def test_all_cpus_of_the_set_go(host):
    """The CPUs that queues may use are all offline: queues work on another one, and come home later."""
    h, g = host, host.g
    vms = Vms(h, 3)
    vms.pin({vms.queues[0]: 2})
    h.must([f"{h.vmq}/cpus", "2-3"])
    home = vms.effective()
    assert set(home.values()) <= {"2", "3"}
    try:
        with vms.stream(rate=1000) as s:
            s.wait_sent(100)
            g.run("for c in 2 3; do echo 0 >/sys/devices/system/cpu/cpu$c/online; done")
            s.wait_sent(200)
            away = vms.effective()
            wanted = vms.files("cpu")
            g.run("for c in 2 3; do echo 1 >/sys/devices/system/cpu/cpu$c/online; done")
            s.wait_sent(200)
    finally:
        g.run(f"for f in {ONLINE}; do [ $(<$f) = 1 ] || echo 1 >$f; done")
    vms.check(s)
    say(f"home {home}, away {away}")
    assert set(away.values()) <= {"0", "1"} and wanted[vms.queues[0]] == "2"
    assert vms.effective()[vms.queues[0]] == "2" and set(vms.effective().values()) <= {"2", "3"}
