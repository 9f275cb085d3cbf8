# SPDX-License-Identifier: GPL-2.0-only
"""Groups that a queue claims: the NIC gives it their frames, and everybody else has them as before."""

import pytest

from tests.e2e.link.lib import OUTSIDE, VM_QUEUES, Stream, say, spawn_tool, vm_mac, wait_for
from tests.e2e.link.test_churn import check_stream, run_churn
from tests.e2e.link.test_scenarios import running_queue, send_tagged
from tests.vm.wire import eth

A, B = vm_mac(1), vm_mac(2)
GROUP, OTHER = "01:00:5e:00:00:17", "33:33:00:00:00:17"
N = 40


def claim(h, verb, port, group=GROUP, vlan=None):
    vid = f"vlan {vlan} " if vlan else ""
    return h.g.run(f"bridge fdb {verb} {group} {vid}dev {port} self", check=False)


def by_ring(h, name):
    """Frames that the port had by its own ring, and by the switch."""
    counts = h.port_counters(name)
    return counts["rx_queue_packets"], counts["rx_switch_packets"]


def check_everybody(h, taps, first, dst=GROUP, vlan=None):
    """Each of the taps gets each of N frames once."""
    serials = list(range(first, first + N))
    with h.taps(*taps) as t:
        h.send(dst, serials, vlan=vlan)
        t.wait(N * len(taps))
    for tap in taps:
        assert t.serials(tap) == serials, tap


def test_port_claims(host):
    """A port's claim: its frames come by its own ring, once; the other port and the host have theirs."""
    h = host
    h.ports([A, B])
    everybody = ("vm1", "vm2", (h.dev, 0))
    for group in (GROUP, OTHER):
        h.join(group, "vm1", "vm2")
    assert claim(h, "add", "vm1").rc == 0
    assert f"{GROUP} self permanent" in h.g.out("bridge fdb show dev vm1")
    before, nic = [by_ring(h, vm) for vm in ("vm1", "vm2")], h.counters()
    check_everybody(h, everybody, 0)
    after = [by_ring(h, vm) for vm in ("vm1", "vm2")]
    assert after == [(before[0][0] + N, before[0][1]), (before[1][0], before[1][1] + N)]
    for n in (0, h.port_queue("vm1")):
        name = f"rx_queue_{n}_nic_packets"
        assert h.counters()[name] - nic[name] == N, "the NIC has no copy for each"
    with h.unchanged():
        r = claim(h, "add", "vm2", vlan=7)
        say(r.stderr.strip())
        assert r.rc and f"the group {GROUP} is claimed by another queue" in r.stderr
        assert claim(h, "add", "vm2").rc
    check_everybody(h, everybody, 100)
    assert claim(h, "add", "vm2", OTHER).rc == 0
    check_everybody(h, everybody, 200, OTHER)
    assert claim(h, "del", "vm1").rc == 0
    before = by_ring(h, "vm1")
    check_everybody(h, everybody, 300)
    assert by_ring(h, "vm1") == (before[0], before[1] + N)


def test_port_without_queue(host):
    """The claim of a port without a queue is the switch's; the port moves to a queue with it."""
    h = host
    for n in VM_QUEUES:
        h.must([h.rxq(n, "state"), "allocate"])
    h.ports([A])
    assert claim(h, "add", "vm1").rc == 0
    check_everybody(h, ("vm1", (h.dev, 0)), 0)
    assert by_ring(h, "vm1") == (0, N)
    h.must([h.rxq(3, "state"), "free"])
    wait_for("vm1 has the queue", lambda: h.port_queue("vm1") == 3, 10, 0.05)
    before = by_ring(h, "vm1")
    check_everybody(h, ("vm1", (h.dev, 0)), 100)
    assert by_ring(h, "vm1") == (before[0] + N, before[1])


@pytest.mark.parametrize("mode", ["auto", "on"])
def test_rule_claims(host, mode):
    """A rule by number, in one VLAN: of other VLANs the queue has none; the switch goes on as before."""
    h = host
    h.port("vm1", A, (B, 7))
    h.join(GROUP, "vm1")
    assert h.ntuple(f"flow-type ether dst {GROUP} vlan 7 m 0xf000 action 5") == ""
    h.must([f"{h.vmq}/vlan_filtering", mode])
    before = h.queue(5)
    with h.taps("vm1", (h.dev, 0), (h.dev, 5)) as t:
        sent = send_tagged(h, GROUP, [None, 7], N)
        t.wait(5 * N)
    assert t.serials((h.dev, 5)) == sent[7]
    assert t.serials("vm1") == sent[None] + sent[7]
    # The kernel gives a tap tagged frames before untagged ones of the same list.
    for vlan, serials in sent.items():
        assert [f.serial for f in t.at((h.dev, 0)) if f.vlan == vlan] == serials
    after = h.queue(5)
    mismatch = int(after["rx_mismatch"]) - int(before["rx_mismatch"])
    say(f"exact {after['exact']}, {mismatch} frames of another VLAN dropped by software")
    assert (after["exact"], mismatch) == (("0", N) if mode == "auto" else ("1", 0))
    assert after["filters"].split()[1:4] == [GROUP, "7", "admin"]
    h.must([f"{h.vmq}/vlan_filtering", "auto"])


def test_under_traffic(host, count):
    """Claimed and given up over and over: the claimant misses no frame, and nobody else gets one twice."""
    h, rounds = host, count(400)
    h.ports([A, B])
    h.join(GROUP, "vm1", "vm2")
    running_queue(h, 5)
    writes = [[h.rxq(5, f"filter_{verb}"), f"{A} vlan 9"] for verb in ("add", "del")]
    with h.taps("vm1", "vm2", (h.dev, 0)) as t:
        with Stream(h, t, GROUP, rate=100, window=300, frame=lambda n: eth(GROUP, OUTSIDE, serial=n)) as s:
            s.wait_sent(20)
            for _ in range(rounds):
                assert claim(h, "add", "vm1").rc == 0
                s.wait_sent(5)
                assert claim(h, "del", "vm1").rc == 0
                s.wait_sent(5)
            assert claim(h, "add", "vm1").rc == 0
            # VLAN filtering comes on and goes: the address of a VM is on two queues.
            job = spawn_tool(h.g, "churn", uplink=h.dev, watched="vm2", rounds=rounds, frames=2, writes=writes)
            run_churn(h, s, job, 60 + rounds * 3)
    check_stream(s, t.serials("vm2"))
    check_stream(s, t.serials((h.dev, 0)))
    mine = t.serials("vm1")
    say(f"{len(mine) - s.sent} of {s.sent} frames came twice to the claimant")
    assert set(mine) == set(range(s.sent))
    assert by_ring(h, "vm1")[0] > 2 * rounds
