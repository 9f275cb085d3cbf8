# SPDX-License-Identifier: GPL-2.0-only
"""Queues on one CPU may share an interrupt: vmq/coalesce_shared."""

import pytest

from tests.e2e.link.lib import VM_QUEUES, describe_stream, say
from tests.e2e.placement.lib import Vms, irqs_raised, served
from tests.vm.wire import eth

CPU = 1


def light(h, vms, macs, rounds):
    """One frame for each of the macs at a time, and a pause; interrupts per round of the queues' vectors."""
    irqs = {h.read(h.rxq(n, "irq")) for n in vms.queues}
    before = irqs_raised(h, irqs)
    with h.taps(*vms.names) as t:
        for r in range(rounds):
            for n, mac in enumerate(macs):
                h.wire.send(eth(mac, "52:54:00:00:99:01", serial=r * len(macs) + n))
            t.wait((r + 1) * len(macs), 10)
    after = irqs_raised(h, irqs)
    for n, mac in enumerate(macs):
        name = vms.names[vms.macs.index(mac)]
        wrong = describe_stream(list(range(n, rounds * len(macs), len(macs))), t.serials(name))
        assert wrong is None, f"{name}: {wrong}"
    spent = {cpu: b - a for cpu, (a, b) in enumerate(zip(before, after, strict=True)) if b != a}
    assert set(spent) == {CPU}, spent
    return spent[CPU] / rounds


@pytest.mark.scenario("A20")
def test_shared(host, count):
    """Seven lightly loaded queues on one CPU interrupt about as often as one of them does, and all are served."""
    h, rounds = host, count(2000)
    switch = f"{h.vmq}/coalesce_shared"
    vms = Vms(h, len(VM_QUEUES))
    vms.pin(dict.fromkeys(vms.queues, CPU))
    assert h.read(switch) == "0" and len(set(vms.files("irq").values())) == len(VM_QUEUES)
    one = light(h, vms, vms.macs[:1], rounds)
    apart = light(h, vms, vms.macs, rounds)
    h.must([switch, "1"])
    irqs = vms.files("irq")
    with served(h) as table:
        together = light(h, vms, vms.macs, rounds)
    say(f"interrupts a round: one queue {one:.2f}, seven apart {apart:.2f}, seven that share {together:.2f}")
    assert len(set(irqs.values())) == 1, irqs
    assert dict(table) == {(n, CPU): rounds for n in vms.queues}
    assert together <= 2 * one < apart / 2
    # One that goes elsewhere has an interrupt of its own again, and so have all in the end.
    h.pin(vms.queues[2], 3)
    irqs = vms.files("irq")
    assert len(set(irqs.values())) == 2 and list(irqs.values()).count(irqs[vms.queues[2]]) == 1
    with served(h) as table, vms.stream(rate=2000) as s:
        s.wait_sent(700)
        h.pin(vms.queues[2], CPU)
        s.wait_sent(700)
        h.must([switch, "0"])
        s.wait_sent(700)
    vms.check(s)
    assert {cpu for n, cpu in table if n != vms.queues[2]} <= {CPU}
    assert len(set(vms.files("irq").values())) == len(VM_QUEUES)


def test_shared_changes(host, count):
    """Under streams the switch goes on and off, and queues come to the shared interrupt and leave it: nothing is lost."""
    h, rounds = host, count(200)
    switch = f"{h.vmq}/coalesce_shared"
    vms = Vms(h, 4)
    vms.pin(dict.fromkeys(vms.queues, CPU))
    flaps = h.read(f"/sys/class/net/{h.dev}/carrier_changes")
    with vms.stream(rate=2000) as s:
        for r in range(rounds):
            h.must([switch, "1"], [h.rxq(vms.queues[r % 4], "cpu"), "2"])
            s.wait_sent(40)
            h.must([h.rxq(vms.queues[r % 4], "cpu"), str(CPU)])
            s.wait_sent(40)
            h.must([switch, "0"])
            s.wait_sent(40)
    vms.check(s)
    assert h.read(f"/sys/class/net/{h.dev}/carrier_changes") == flaps
    assert vms.effective() == dict.fromkeys(vms.queues, str(CPU))
