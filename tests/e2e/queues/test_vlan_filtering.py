# SPDX-License-Identifier: GPL-2.0-only
"""The NIC compares VLANs: one address on two queues, and when that is on."""

import pytest

from tests.e2e.link.lib import BROADCAST, OUTSIDE, Stream, say, spawn_tool, vm_mac
from tests.e2e.link.test_churn import check_stream, run_churn
from tests.e2e.link.test_scenarios import running_queue, send_tagged
from tests.vm import topology
from tests.vm.wire import eth

A, B, C = vm_mac(1), vm_mac(2), vm_mac(3)
VLAN_SLOTS = 32
# Frames a second of all streams together: what the guest can take while it is configured.
RATE = 400


def filtering(h):
    """What was asked for, and what is."""
    return h.read(f"{h.vmq}/vlan_filtering"), h.read(f"{h.vmq}/vlan_filtering_effective")


def moved(h, before, *queues):
    """What each of these queues counted since."""
    after = {n: h.queue(n) for n in queues}
    return {n: {k: int(after[n][k]) - int(before[n][k]) for k in ("rx_packets", "rx_checked", "rx_mismatch")} for n in queues}


def test_one_address_two_queues(host):
    """(A, untagged) on one VM's queue, (A, 20) on another's: the NIC tells them apart, no software does."""
    h = host
    running_queue(h, 1, A)
    assert filtering(h) == ("auto", "off") and h.read(f"{h.vmq}/vlan_filters_free") == str(VLAN_SLOTS)
    running_queue(h, 2, f"{A} vlan 20", f"{B} vlan 20")
    assert filtering(h) == ("auto", "on")
    # 20, and 0 for priority tags.
    assert h.read(f"{h.vmq}/vlan_filters_free") == str(VLAN_SLOTS - 2)
    before, nic = {n: h.queue(n) for n in range(3)}, h.counters()
    with h.taps((h.dev, 0), (h.dev, 1), (h.dev, 2)) as t:
        sent = send_tagged(h, A, [None, 0, 20, 30], 40)
        h.send(B, range(90000, 90040), vlan=20)
        h.send(B, range(91000, 91040))
        t.wait(240)
    assert sorted(t.serials((h.dev, 1))) == sorted(sent[None] + sent[0])
    assert t.serials((h.dev, 2)) == sent[20] + list(range(90000, 90040))
    assert sorted(t.serials((h.dev, 0))) == sorted(sent[30] + list(range(91000, 91040)))
    counts, after = moved(h, before, 0, 1, 2), h.counters()
    say(f"queues {counts}")
    for n in range(3):
        assert counts[n] == {"rx_packets": 80, "rx_checked": 0, "rx_mismatch": 0}
        assert after[f"rx_queue_{n}_nic_packets"] - nic[f"rx_queue_{n}_nic_packets"] == 80
    assert h.queue(1)["exact"] == h.queue(2)["exact"] == "1"
    # Nobody looked which of the two filters it was, unless somebody wants to know.
    assert [line.split()[-1] for line in h.queue(2)["filters"].splitlines()] == ["-", "-"]
    h.must([f"{h.vmq}/count_hits", "1"])
    with h.taps((h.dev, 2)) as t:
        h.send(A, range(20), vlan=20)
        t.wait(20)
    assert h.queue(2)["filters"].splitlines()[0].split()[-1] == "20"
    h.must([f"{h.vmq}/count_hits", "0"], [h.rxq(2, "filter_del"), f"{A} vlan 20"])
    assert filtering(h) == ("auto", "off")
    with h.taps((h.dev, 0), (h.dev, 1)) as t:
        sent = send_tagged(h, A, [None, 20], 40)
        t.wait(80)
    assert t.serials((h.dev, 1)) == sent[None] and t.serials((h.dev, 0)) == sent[20]


def test_untagged_leaves(host):
    """A queue that loses its untagged filter while the NIC compares VLANs gets no untagged frame any more."""
    h = host
    running_queue(h, 1, A, f"{A} vlan 20")
    running_queue(h, 2, f"{A} vlan 30")
    assert filtering(h) == ("auto", "on")
    h.must([h.rxq(1, "filter_del"), A])
    assert filtering(h) == ("auto", "on")
    before = {1: h.queue(1)}
    with h.taps((h.dev, 0), (h.dev, 1)) as t:
        sent = send_tagged(h, A, [None, 0, 20], 40)
        t.wait(120)
    assert sorted(t.serials((h.dev, 0))) == sorted(sent[None] + sent[0])
    assert t.serials((h.dev, 1)) == sent[20]
    assert moved(h, before, 1)[1] == {"rx_packets": 40, "rx_checked": 0, "rx_mismatch": 0}


def test_ports_take_untagged(host):
    """Two ports cannot have one address, for both take untagged frames: refused with the reason."""
    h = host
    h.port("vm1", A)
    h.port("vm2", B)
    with h.unchanged():
        r = h.g.run(f"bridge fdb add {A} vlan 20 dev vm2 self", check=False)
        say(r.stderr.strip())
        assert r.rc and f"untagged frames to {A} would go to two queues" in r.stderr


def test_changes_under_traffic(host, count):
    """A VLAN of an address comes to another queue and goes: two streams, in order and complete."""
    h, rounds = host, count(400)
    running_queue(h, 1, A)
    running_queue(h, 2)
    writes = [[h.rxq(2, f"filter_{verb}"), f"{A} vlan 20"] for verb in ("add", "del")]
    before = {2: h.queue(2)}

    def tagged(serial):
        return eth(A, OUTSIDE, vlan=20, serial=1 << 20 | serial)

    with h.taps(h.dev) as t:
        # The taps count both, so nothing holds either of them back: they are slow.
        with Stream(h, t, A, rate=RATE // 2) as plain, Stream(h, t, A, rate=RATE // 2, frame=tagged) as vlan:
            plain.wait_sent(50)
            job = spawn_tool(h.g, "churn", uplink=h.dev, watched=h.dev, rounds=rounds, frames=20, writes=writes)
            done = run_churn(h, plain, job, 60 + rounds * 3)
            assert vlan.error is None
        t.wait(plain.sent + vlan.sent)
    say(f"{done['changes']} changes, at least {done['least']} frames between two of them")
    serials = t.serials(h.dev)
    check_stream(plain, [s for s in serials if s < 1 << 20])
    check_stream(vlan, [s - (1 << 20) for s in serials if s >= 1 << 20])
    seen = {s >= 1 << 20: set() for s in serials}
    for f in t.at(h.dev):
        seen[f.serial >= 1 << 20].add(f.vlan)
    assert seen == {False: {None}, True: {20}}
    by_two = moved(h, before, 2)[2]
    say(f"by queue 2: {by_two} of {vlan.sent}")
    assert by_two["rx_packets"] >= rounds and by_two["rx_mismatch"] == 0


def test_modes(host):
    """auto, on, off; what cannot be is refused with the reason, and changes nothing."""
    h, mode = host, f"{host.vmq}/vlan_filtering"
    running_queue(h, 1, f"{A} vlan 10")
    running_queue(h, 2)
    assert h.queue(1)["exact"] == "0"
    h.must([mode, "on"])
    assert filtering(h) == ("on", "on") and h.queue(1)["exact"] == "1"
    before = {1: h.queue(1)}
    with h.taps((h.dev, 1), (h.dev, 0)) as t:
        sent = send_tagged(h, A, [10, 11, None], 30)
        t.wait(90)
    assert t.serials((h.dev, 1)) == sent[10] and sorted(t.serials((h.dev, 0))) == sorted(sent[11] + sent[None])
    assert moved(h, before, 1) == {1: {"rx_packets": 30, "rx_checked": 0, "rx_mismatch": 0}}
    assert h.queue(1)["filters"].endswith(" 30"), "the only filter of an exact queue has all its frames"
    h.must([mode, "auto"], [mode, "off"])
    assert filtering(h) == ("off", "off")
    with h.unchanged():
        for path, text, wanted, words in (
            (h.rxq(2, "filter_add"), f"{A} vlan 20", "EOPNOTSUPP", "is on another queue, and vlan_filtering is off"),
            (mode, "perhaps", "EINVAL", "vlan_filtering takes auto, on or off"),
        ):
            error, said = h.write([[path, text]])[0]
            say(f"{text}: {error}, {said}")
            assert error == wanted and words in said
    h.must([mode, "auto"], [h.rxq(2, "filter_add"), f"{A} vlan 20"])
    with h.unchanged():
        for path, text, wanted, words in (
            (mode, "off", "EOPNOTSUPP", f"{A} is on another queue"),
            (h.rxq(1, "filter_add"), f"{B} vlan 20", "EBUSY", f"frames to {A} of VLAN 20 would go to two queues"),
        ):
            error, said = h.write([[path, text]])[0]
            say(f"{text}: {error}, {said}")
            assert error == wanted and words in said


def test_slots(host):
    """As many VLANs as the NIC has slots, and not one more; then without VLAN filtering no such limit."""
    h = host
    running_queue(h, 1)
    h.must([f"{h.vmq}/vlan_filtering", "on"])
    free = int(h.read(f"{h.vmq}/vlan_filters_free"))
    say(f"{free} of {h.read(f'{h.vmq}/vlan_filters_max')} slots free")
    assert 1 <= free <= VLAN_SLOTS
    h.must(*[[h.rxq(1, "filter_add"), f"{A} vlan {100 + n}"] for n in range(free)])
    assert h.read(f"{h.vmq}/vlan_filters_free") == "0"
    with h.unchanged():
        error, said = h.write([[h.rxq(1, "filter_add"), f"{A} vlan 99"]])[0]
        say(f"one more: {error}, {said}")
        assert error == "ENOSPC" and "VLAN filter slots full" in said
    with h.taps((h.dev, 1)) as t:
        h.send(A, range(20), vlan=100 + free - 1)
        t.wait(20)
    assert t.serials((h.dev, 1)) == list(range(20))
    h.must([f"{h.vmq}/vlan_filtering", "auto"], [h.rxq(1, "filter_add"), f"{A} vlan 99"])
    # What does not fit now cannot be turned on by a filter, with the VLAN named.
    running_queue(h, 2)
    with h.unchanged():
        h.must([h.rxq(0, "filter_add"), f"{B} vlan 98"])
        error, said = h.write([[h.rxq(2, "filter_add"), f"{A} vlan 100"]])[0]
        assert error == "EEXIST"
        error, said = h.write([[h.rxq(2, "filter_add"), f"{A}"]])[0]
        say(f"a second queue: {error}, {said}")
        assert error in ("ENOSPC", "EBUSY") and ("VLAN" in said)
        h.must([h.rxq(0, "filter_del"), f"{B} vlan 98"])


def test_hosts_vlans(host):
    """A VLAN device of the host gets its unicast and its broadcast also with VLAN filtering on."""
    h = host
    h.port("vm1", A)
    h.g.run(f"ip link add link {h.dev} name {h.dev}.7 type vlan id 7 && ip link set {h.dev}.7 up")
    try:
        h.must([f"{h.vmq}/vlan_filtering", "on"])
        h.g.run(f"ip link add link {h.dev} name {h.dev}.8 type vlan id 8 && ip link set {h.dev}.8 up")
        with h.taps(f"{h.dev}.7", f"{h.dev}.8", "vm1") as t:
            for base, vlan in ((0, 7), (1000, 8)):
                h.send(h.mac, range(base, base + 20), vlan=vlan)
                h.send(BROADCAST, range(base + 20, base + 40), vlan=vlan)
            t.wait(80)
        assert t.serials(f"{h.dev}.7") == list(range(40)) and t.serials(f"{h.dev}.8") == list(range(1000, 1040))
        assert t.serials("vm1") == []
    finally:
        h.g.run(f"ip link del {h.dev}.7; ip link del {h.dev}.8", check=False)
    h.must([f"{h.vmq}/vlan_filtering", "auto"])


@pytest.mark.parametrize("how", ["down", "reset"])
def test_replay(host, how):
    """After down and up, and after a function level reset, the NIC tells the VLANs apart as before."""
    h = host
    h.port("vm1", B)
    running_queue(h, 2, A)
    running_queue(h, 3, f"{A} vlan 20")
    running_queue(h, 5, f"{C} any")
    with h.unchanged():
        if how == "down":
            h.g.run(f"ip link set {h.dev} down && ip link set {h.dev} up")
        else:
            h.g.run(f"echo 1 >/sys/bus/pci/devices/{h.g.pci(0)}/reset")
        topology.wait_carrier(h.g, h.dev)
        topology.wait_carrier(h.g, "vm1")
    before = {n: h.queue(n) for n in (1, 2, 3, 5)}
    with h.taps("vm1", h.dev) as t:
        h.send(B, range(80000, 80040))
        sent = send_tagged(h, A, [None, 0, 20], 40)
        h.send(C, range(90000, 90040))
        t.wait(200)
    assert t.serials("vm1") == list(range(80000, 80040))
    counts = moved(h, before, 1, 2, 3, 5)
    say(f"queues {counts}")
    assert {n: c["rx_packets"] for n, c in counts.items()} == {1: 40, 2: 80, 3: 40, 5: 40}
    assert len(sent) * 40 + 40 == len(t.serials(h.dev))
