# SPDX-License-Identifier: GPL-2.0-only
"""VMQ off and on, live: everybody is served by queue 0 meanwhile, and gets back what was his."""

import json

import pytest

from tests.e2e.link.lib import (
    OUTSIDE,
    VM_QUEUES,
    Stream,
    delta,
    describe_stream,
    differences,
    say,
    spawn_tool,
    vm_mac,
    wait_for,
)
from tests.e2e.link.test_churn import check_stream
from tests.e2e.link.test_scenarios import queue_counts, running_queue
from tests.e2e.queues.test_vlan_filtering import RATE
from tests.vm.wire import parse

A, B, C = vm_mac(1), vm_mac(2), vm_mac(3)
CURRENT = ("queues_max", "queues_free", "mac_filters_max", "mac_filters_free", "vlan_filters_max", "vlan_filters_free")
HARDWARE = ("hw_queues", "hw_mac_filters", "hw_vlan_filters")


def numbers(h, names):
    found = h.files(*[f"{h.vmq}/{name}" for name in names])
    return [int(found[f"{h.vmq}/{name}"]) for name in names]


@pytest.fixture
def used(host):
    """Ports vm1 and vm2, the administrator's queue 5 with two filters, a name and a CPU, queue 6 allocated."""
    h = host
    h.ports([A, B])
    running_queue(h, 5, C, f"{C} vlan 7")
    h.must([h.rxq(5, "vm_name"), "db"], [h.rxq(6, "state"), "allocate"])
    h.pin(5, 2)
    return h


@pytest.mark.scenario("A28")
def test_off_and_on(used):
    """echo 0 >enabled: no queue, nothing lost, no link flap; echo 1: all is as before."""
    h, enabled = used, f"{used.vmq}/enabled"
    before, hardware, current = h.dump(), numbers(h, HARDWARE), numbers(h, CURRENT)
    flaps = h.files("/sys/class/net/*/carrier_changes")
    watch = spawn_tool(h.g, "watch", paths=[enabled])
    wait_for("the watch runs", lambda: "ready" in watch.stdout, 60, 0.05)
    h.must([enabled, "0"])
    say(f"current {numbers(h, CURRENT)}, the NIC's {numbers(h, HARDWARE)}")
    assert numbers(h, CURRENT) == [0] * 6 and numbers(h, HARDWARE) == hardware
    assert {h.state(n) for n in VM_QUEUES} == {"undefined"}
    assert [(h.port_queue(p), h.port_file(p, "reason")) for p in ("vm1", "vm2")] == [(None, "VMQ disabled")] * 2
    assert f"{C} 7 admin" in h.queue(0)["filters"], "the filters stay, in software"
    counts = queue_counts(h)
    with h.taps("vm1", "vm2", h.dev) as t:
        for base, mac, vlan in ((0, A, None), (100, B, None), (200, C, 7)):
            h.send(mac, range(base, base + 40), vlan=vlan)
        t.wait(120)
    assert t.serials("vm1") == list(range(40)) and t.serials("vm2") == list(range(100, 140))
    assert t.serials(h.dev) == list(range(200, 240))
    assert {n: c - counts[n] for n, c in queue_counts(h).items() if c != counts[n]} == {0: 120}
    for path, text, error, reason in (
        (f"{h.vmq}/allocate", "another", "EOPNOTSUPP", "VMQ is disabled"),
        (h.rxq(3, "state"), "allocate", "EOPNOTSUPP", "VMQ is disabled"),
        ("/sys/class/net/vm1/vmq/exclusive", "1", "EOPNOTSUPP", "VMQ disabled"),
        (enabled, "2", "EINVAL", "enabled takes 0 or 1"),
    ):
        got, said = h.write([[path, text]])[0]
        say(f"{path.rpartition('/')[2]} <- {text}: {got}, {said}")
        assert got == error and reason in said
    assert h.ntuple(f"flow-type ether dst {vm_mac(9)} vlan 0 m 0xf000 action 3") == "EOPNOTSUPP"
    h.must([enabled, "1"])
    assert numbers(h, CURRENT) == current and not differences(before, h.dump())
    assert h.files("/sys/class/net/*/carrier_changes") == flaps, "a link flapped"
    wait_for("both changes are told", lambda: watch.stdout.count("VMQ_ENABLED") == 2, 10)
    watch.stop()
    events = [json.loads(line) for line in watch.stdout.splitlines() if line.startswith("[")]
    told = [e[3]["VMQ_ENABLED"] for e in events if e[0] == "uevent" and "VMQ_ENABLED" in e[3]]
    assert told == ["0", "1"] and [e[2] for e in events if e[0] == "poll" and e[1] == enabled] == ["0", "1"]
    counts = queue_counts(h)
    with h.taps(h.dev) as t:
        h.send(C, range(40), vlan=7)
        t.wait(40)
    assert queue_counts(h)[5] - counts[5] == 40


@pytest.mark.scenario("A28")
def test_under_traffic(used, count):
    """Off and on, over and over, while two VMs receive: nothing lost, doubled or out of order."""
    h, rounds = used, count(200)
    before = h.dump()
    for name, mac in (("vm1", A), (h.dev, C)):
        with h.taps(name) as t, Stream(h, t, mac, rate=RATE) as s:
            s.wait_sent(20)
            for _ in range(rounds):
                h.must([f"{h.vmq}/enabled", "0"])
                s.wait_sent(20)
                h.must([f"{h.vmq}/enabled", "1"])
                s.wait_sent(20)
        check_stream(s, t.serials(name))
    assert not differences(before, h.dump())


def test_transmit_while_off_and_on(used, count):
    """What a VM sends while its queue goes and comes back goes out complete and in order, by both rings."""
    h, rounds = used, count(200)
    total = max(4000, rounds * 400)
    before = h.counters()
    h.wire.clear()
    with h.wire.capture(lambda f: parse(f).serial is not None) as out:
        frames = [{"dst": OUTSIDE, "src": A, "serial": 0, "count": total}]
        sender = spawn_tool(h.g, "send", interface="vm1", frames=frames, burst=16, gap=0.002)
        changes = 0
        while sender.poll() is None:
            h.must([f"{h.vmq}/enabled", "0"], [f"{h.vmq}/enabled", "1"])
            changes += 2
        assert sender.rc == 0, sender.stderr
        h.wire.wait_captured(out, total)
    moved = delta(before, h.counters())
    by_ring = {n: moved.get(f"tx_queue_{n}_packets", 0) for n in (0, h.port_queue("vm1"))}
    say(f"{len(out)} of {total} frames on the wire, {changes} changes meanwhile; by queue {by_ring}")
    wrong = describe_stream(list(range(total)), [parse(f).serial for f in out])
    assert wrong is None, wrong
    assert changes >= 4 and all(by_ring.values()) and sum(by_ring.values()) == total


def test_ports_while_off(used):
    """A port that comes while VMQ is off gets its queue when it is on; one that goes is gone."""
    h = used
    h.must([f"{h.vmq}/enabled", "0"])
    h.port("vm3", vm_mac(4))
    assert h.port_file("vm3", "reason") == "VMQ disabled"
    h.delete("vm2")
    h.must([f"{h.vmq}/enabled", "1"])
    assert [h.port_queue(p) for p in ("vm1", "vm3")] == [1, 2]
    with h.taps("vm3") as t:
        h.send(vm_mac(4), range(40))
        t.wait(40)
    assert t.serials("vm3") == list(range(40)) and h.port_counters("vm3")["rx_queue_packets"] == 40
