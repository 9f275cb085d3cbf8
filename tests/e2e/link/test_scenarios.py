# SPDX-License-Identifier: GPL-2.0-only
"""Acceptance scenarios of queues, filters and ports, seen from outside."""

import json

import pytest

from tests.e2e.link.lib import (
    BROADCAST,
    OUTSIDE,
    POOLS,
    VM_QUEUES,
    Host,
    Watch,
    delta,
    describe_stream,
    load,
    say,
    spawn_tool,
    tool,
    vm_mac,
    wait_for,
)
from tests.vm import topology
from tests.vm.wire import eth, parse

A, B = vm_mac(1), vm_mac(2)


def queue_counts(h):
    """Frames that came out of each queue's ring."""
    return {n: int(h.read(h.rxq(n, "rx_packets"))) for n in range(POOLS)}


@pytest.mark.scenario("A1")
def test_fresh_probe(link_guest):
    """A fresh probe has queue 0 alone, running, and not on CPU 0."""
    g = link_guest
    topology.unload(g)
    load(g)
    h = Host(g)
    states = [h.state(n) for n in range(POOLS)]
    say(f"states {states}")
    assert states == ["running"] + ["undefined"] * (POOLS - 1)
    assert h.read(f"{h.vmq}/default_queue") == "0"
    assert h.read(f"{h.vmq}/queues_max") == h.read(f"{h.vmq}/hw_queues") == str(len(VM_QUEUES))
    assert h.read(f"{h.vmq}/queues_free") == str(len(VM_QUEUES))
    q = h.queue(0)
    say(f"queue 0 wants CPU {q['cpu']} and has CPU {q['cpu_effective']} of {g.out('nproc')}")
    assert q["cpu"] == q["cpu_effective"] != "0"
    assert q["filters"] == "" and q["port"] == "none"
    assert h.g.out(f"ethtool -n {h.dev} | grep Filter || true") == ""


@pytest.mark.scenario("A2")
def test_allocate_all(host):
    """Queues 1 to 7 can be allocated once each; the next is refused and changes nothing."""
    h = host
    ids = []
    for n in VM_QUEUES:
        h.must([f"{h.vmq}/allocate", f"guest-{n}"])
        ids.append(int(h.read(f"{h.vmq}/allocate")))
    say(f"ids {ids}")
    assert sorted(ids) == list(VM_QUEUES)
    assert [h.queue(n)["vm_name"] for n in ids] == [f"guest-{n}" for n in VM_QUEUES]
    assert h.read(f"{h.vmq}/queues_free") == "0"
    with h.unchanged():
        error, said = h.write([[f"{h.vmq}/allocate", "one too many"]])[0]
        say(f"the eighth: {error}, {said}")
        assert error == "ENOSPC" and said.startswith("no free queue")
        assert h.put(h.rxq(3, "state"), "allocate") == "EBUSY"
        assert h.ntuple(f"flow-type ether dst {A} vlan 0 m 0xf000 action {POOLS}") == "EINVAL"
        say(f"action {POOLS}: {h.last_error()}")
        assert "the last one is 7" in h.last_error()
    h.port("vm1", A)
    assert h.port_queue("vm1") is None
    assert h.port_file("vm1", "reason") == "no free queue"
    exclusive = "/sys/class/net/vm1/vmq/exclusive"
    with h.unchanged():
        error, said = h.write([[exclusive, "1"]])[0]
        say(f"exclusive: {error}, {said}")
        assert error == "ENOSPC" and "vm1" in said and "no free queue" in said
        assert h.put(exclusive, "maybe") == "EINVAL"
    assert h.read(exclusive) == "0"
    # It works all the same, by the default queue.
    with h.taps("vm1") as t:
        h.send(A, range(50))
        t.wait(50)
    assert t.serials("vm1") == list(range(50))
    # A queue that the administrator gives back is the waiting port's.
    h.must([h.rxq(3, "state"), "free"])
    wait_for("vm1 has the queue", lambda: h.port_queue("vm1") == 3, 10)
    assert h.port_file("vm1", "reason") == ""
    h.must([exclusive, "1"])
    assert h.read(exclusive) == "1"
    h.must([exclusive, "0"])
    assert h.read(exclusive) == "0" and h.port_queue("vm1") == 3


@pytest.mark.scenario("A2")
def test_allocate_all_by_ports(host):
    """Seven ports hold the seven queues, once each; the next port has none, with the reason."""
    h = host
    names = h.ports([vm_mac(n) for n in range(1, POOLS + 1)])
    queues = [h.port_queue(n) for n in names]
    say(f"queues of the ports: {queues}")
    assert sorted(queues[:-1]) == list(VM_QUEUES) and queues[-1] is None
    assert h.port_file(names[-1], "reason") == "no free queue"
    assert all(h.port_file(n, "reason") == "" for n in names[:-1])
    for name, queue in zip(names[:-1], queues[:-1], strict=True):
        q = h.queue(queue)
        assert (q["port"], q["owner"], q["state"]) == (name, "vswitch", "running")


@pytest.mark.scenario("A3")
def test_default_queue_stays(host):
    """Queue 0 can be neither freed nor allocated, and the host's traffic goes on."""
    h = host
    with h.unchanged(), h.taps((h.dev, 0)) as t:
        h.send(h.mac, range(50))
        for word in ("free", "allocate"):
            error, said = h.write([[h.rxq(0, "state"), word]])[0]
            say(f"{word}: {error}, {said}")
            assert error == "EPERM" and "queue 0 is the default queue" in said
        h.send(h.mac, range(50, 100))
        t.wait(100)
    assert t.serials((h.dev, 0)) == list(range(100))


@pytest.mark.scenario("A4")
def test_committed_without_filter(host):
    """A VM whose queue has no filter is served by the default queue."""
    h = host
    for n in VM_QUEUES:
        h.must([h.rxq(n, "state"), "allocate"], [h.rxq(n, "state"), "commit"])
        assert h.state(n) == "paused"
    h.port("vm1", A)
    before = queue_counts(h)
    with h.taps("vm1") as t:
        h.send(A, range(100))
        t.wait(100)
    assert describe_stream(list(range(100)), t.serials("vm1")) is None
    moved = delta(before, queue_counts(h))
    say(f"frames by queue {moved}")
    assert moved == {0: 100}
    assert h.port_counters("vm1")["rx_switch_packets"] == 100


@pytest.mark.scenario("A5")
def test_states(host):
    """allocate, filter, commit: allocated, set, running; allocate, commit, filter: allocated, paused, running."""
    h = host
    seen = {}
    for n, steps in {1: ["allocate", A, "commit"], 2: ["allocate", "commit", B]}.items():
        seen[n] = []
        for step in steps:
            h.must([h.rxq(n, "filter_add" if ":" in step else "state"), step])
            seen[n].append(h.state(n))
    say(f"{seen}")
    assert seen == {1: ["allocated", "set", "running"], 2: ["allocated", "paused", "running"]}
    with h.taps((h.dev, 1), (h.dev, 2), h.dev) as t:
        h.send(A, range(50))
        h.send(B, range(100, 150))
        t.wait(200)
    assert t.serials((h.dev, 1)) == list(range(50))
    assert t.serials((h.dev, 2)) == list(range(100, 150))
    assert len(t.at(h.dev)) == 100
    # And back: the last filter gone is paused, then it may be freed.
    h.must([h.rxq(1, "filter_del"), A])
    assert h.state(1) == "paused"
    h.must([h.rxq(1, "state"), "free"])
    assert h.state(1) == "undefined"


def send_tagged(h, mac, vlans, each):
    """`each` frames of every VLAN (None: untagged); serials VLAN*1000.., None is 100000.."""
    first = {v: 100000 if v is None else v * 1000 for v in vlans}
    for v in vlans:
        h.send(mac, range(first[v], first[v] + each), vlan=v)
    return {v: list(range(first[v], first[v] + each)) for v in vlans}


@pytest.mark.scenario("A8")
def test_untagged_filter(host):
    """A filter without VLAN takes untagged and priority tagged frames; its port never sees another VLAN."""
    h = host
    h.port("vm1", A)
    n = h.port_queue("vm1")
    before = h.queue(n)
    with h.taps("vm1", h.dev) as t:
        sent = send_tagged(h, A, [None, 0, 7], 40)
        t.wait(120)
    # A packet tap sees tagged frames of a batch before untagged ones.
    assert sorted(t.serials("vm1")) == sorted(sent[None] + sent[0]), "wrong frames at the port"
    assert t.serials(h.dev) == sent[7], "frames of VLAN 7 belong to the uplink's stack, once"
    assert {f.vlan for f in t.at(h.dev)} == {7}
    moved = delta({k: int(v) for k, v in before.items() if v.isdigit()},
                  {k: int(v) for k, v in h.queue(n).items() if v.isdigit()})
    say(f"queue {n}: {moved}")
    assert moved["rx_packets"] == 120 and moved["rx_mismatch"] == 40
    assert h.port_counters("vm1")["rx_queue_packets"] == 80
    hits = h.queue(n)["filters"].split()
    assert hits[1:] == [A, "untagged", "vswitch", "80"]


@pytest.mark.scenario("A9")
def test_vlan_filter(host):
    """A filter with VLAN 7 takes VLAN 7 alone; the frame comes without tag, the tag beside it."""
    h = host
    h.port("vm1", A, (B, 7))
    n = h.port_queue("vm1")
    assert f"{B} 7 vswitch" in h.queue(n)["filters"]
    assert "rx-vlan-offload: on" in h.g.out(f"ethtool -k {h.dev}")
    with h.taps("vm1", h.dev) as t:
        sent = send_tagged(h, B, [7, None, 0], 40)
        t.wait(120)
    assert t.serials("vm1") == sent[7], "wrong frames at the port"
    assert {(f.vlan, f.tagged) for f in t.at("vm1")} == {(7, False)}
    assert sorted(t.serials(h.dev)) == sorted(sent[None] + sent[0])
    # What a VLAN device of the VM makes of it.
    h.g.run("ip link add link vm1 name vm1.7 type vlan id 7 && ip link set vm1.7 address "
            f"{B} && ip link set vm1.7 up")
    with h.taps("vm1.7") as t:
        h.send(B, range(20), vlan=7)
        h.send(B, range(500, 520))
        t.wait(20)
    assert t.serials("vm1.7") == list(range(20)) and {f.vlan for f in t.at("vm1.7")} == {None}
    h.g.run("ip link del vm1.7")


def running_queue(h, n, *filters):
    """Queue n of the administrator's with these filters."""
    h.must([h.rxq(n, "state"), "allocate"], [h.rxq(n, "state"), "commit"],
           *[[h.rxq(n, "filter_add"), text] for text in filters])


@pytest.mark.scenario("A7")
def test_cross_product(host):
    """Filters (A, 2) and (B, 3) on one queue: (A, 3) and (B, 2) are not its frames."""
    h = host
    running_queue(h, 5, f"{A} vlan 2", f"{B} vlan 3")
    before = int(h.queue(5)["rx_mismatch"])
    with h.taps((h.dev, 5), (h.dev, 0)) as t:
        for base, mac, vlan in ((0, A, 2), (100, B, 3), (200, A, 3), (300, B, 2)):
            h.send(mac, range(base, base + 40), vlan=vlan)
        t.wait(160)
    assert t.serials((h.dev, 5)) == [*range(40), *range(100, 140)]
    assert t.serials((h.dev, 0)) == [*range(200, 240), *range(300, 340)]
    assert int(h.queue(5)["rx_mismatch"]) - before == 80 and h.queue(5)["exact"] == "0"


@pytest.mark.scenario("A10")
def test_any_vlan(host):
    """A filter for any VLAN takes every tag and none, with the tag beside the frame; a VLAN of its own wins."""
    h, tags = host, [None, 0, 2, 7, 4094]
    running_queue(h, 5, f"{A} any")
    before = h.queue(5)["rx_mismatch"]
    assert f"{A} any admin" in h.queue(5)["filters"] and h.queue(5)["exact"] == "1"
    assert h.ntuple(f"flow-type ether dst {B} action 5") == ""
    assert "VLAN" not in h.g.out(f"ethtool -n {h.dev} rule 2").upper()
    with h.taps((h.dev, 5), h.dev) as t:
        sent = send_tagged(h, A, tags, 20)
        h.send(B, range(9000, 9020), vlan=9)
        t.wait(240)
    assert sorted(t.serials((h.dev, 5))) == sorted([*(s for tag in tags for s in sent[tag]), *range(9000, 9020)])
    seen = {f.serial: (f.vlan, f.tagged) for f in t.at((h.dev, 5))}
    for tag in tags:
        assert {seen[s] for s in sent[tag]} == {(tag, False)}
    assert h.queue(5)["rx_mismatch"] == before
    # VLAN 7 goes to the host: a filter of that VLAN wins wherever it is.
    h.must([h.rxq(0, "filter_add"), f"{A} vlan 7"])
    assert h.queue(5)["exact"] == "0"
    with h.taps((h.dev, 5), (h.dev, 0)) as t:
        sent = send_tagged(h, A, tags, 20)
        t.wait(100)
    assert t.serials((h.dev, 0)) == sent[7] and len(t.serials((h.dev, 5))) == 80
    h.must([h.rxq(0, "filter_del"), f"{A} vlan 7"])
    with h.taps((h.dev, 5)) as t:
        h.send(A, range(20), vlan=7)
        t.wait(20)
    assert t.serials((h.dev, 5)) == list(range(20))


@pytest.mark.scenario("A11")
def test_wrong_vlan(host):
    """Frames of a wrong VLAN in a VM's ring are counted, and go once to whom they belong."""
    h = host
    h.port("vm1", A)
    n = h.port_queue("vm1")
    # (A, 9) belongs to a port without a queue: the NIC tells addresses apart, not VLANs.
    for other in VM_QUEUES:
        if other != n:
            h.must([h.rxq(other, "state"), "allocate"])
    h.port("vm2", B, (A, 9))
    assert h.port_queue("vm2") is None
    before = int(h.read(h.rxq(n, "rx_mismatch")))
    with h.taps("vm1", "vm2", h.dev) as t:
        sent = send_tagged(h, A, [8, 9, None], 50)
        t.wait(150)
    mismatch = int(h.read(h.rxq(n, "rx_mismatch"))) - before
    say(f"{mismatch} of 100 frames of other VLANs counted as such")
    assert t.serials("vm1") == sent[None], "the VM saw frames of another VLAN"
    assert t.serials("vm2") == sent[9], "the owner of (A, 9) did not get its frames"
    assert t.serials(h.dev) == sent[8], "frames nobody claims belong to the uplink's stack"
    assert mismatch == 100


@pytest.mark.scenario("A12")
def test_duplicate_filter(host):
    """The same MAC and VLAN a second time is refused, and the first goes on."""
    h = host
    h.port("vm1", A)
    h.port("vm2", B)
    n = h.port_queue("vm1")
    free = next(i for i in VM_QUEUES if h.state(i) == "undefined")
    h.must([h.rxq(free, "state"), "allocate"], [h.rxq(free, "state"), "commit"])
    with h.unchanged(), h.taps("vm1", "vm2", h.dev) as t:
        h.send(A, range(50))
        error, said = h.write([[h.rxq(free, "filter_add"), A]])[0]
        say(f"filter_add: {error}, {said}")
        assert error == "EEXIST" and said.startswith(f"queue {n} has this filter already")
        assert h.ntuple(f"flow-type ether dst {A} vlan 0 m 0xf000 action {free}") == "EEXIST"
        r = h.g.run(f"bridge fdb add {A} dev vm2 self", check=False)
        say(f"bridge fdb add: {r.stderr.strip()}")
        assert r.rc and f"queue {n} has this filter already" in r.stderr
        r = h.g.run(f"ip link add link {h.dev} name vm3 address {A} type vmq", check=False)
        assert r.rc and f"queue {n} has this filter already" in r.stderr
        h.send(A, range(50, 100))
        t.wait(100)
    assert t.serials("vm1") == list(range(100)) and len(t.frames) == 100


@pytest.mark.scenario("A13")
def test_broadcast(host):
    """A broadcast reaches each port of its VLAN once, by the default queue, and no other port."""
    h = host
    ten, other = [vm_mac(n) for n in range(1, 11)], vm_mac(11)
    names = h.ports(ten)
    h.g.run("; ".join(f"bridge fdb add {mac} vlan 7 dev {name} self || exit" for name, mac in zip(names, ten, strict=True)))
    h.port("other", other, (other, 9))
    before = queue_counts(h)
    switched = {n: h.port_counters(n)["rx_switch_packets"] for n in [*names, "other"]}
    with h.taps(*names, "other", h.dev) as t:
        sent = send_tagged(h, BROADCAST, [7, 9], 20)
        t.wait(20 * 10 + 20 + 40)
    for name in names:
        assert describe_stream(sent[7], t.serials(name)) is None, name
    assert t.serials("other") == sent[9], "a port got a broadcast of a VLAN it is not in"
    assert sorted(t.serials(h.dev)) == sorted(sent[7] + sent[9]), "the uplink's stack gets each once"
    moved = delta(before, queue_counts(h))
    say(f"frames by queue {moved}; ten ports got {len(t.frames) - 60} copies of 20")
    assert moved == {0: 40}
    after = {n: h.port_counters(n)["rx_switch_packets"] for n in [*names, "other"]}
    assert delta(switched, after) == {n: 20 for n in [*names, "other"]}


@pytest.mark.scenario("A16")
def test_free_in_use(host):
    """A queue that has filters cannot be freed, committed or not."""
    h = host
    h.must([h.rxq(1, "state"), "allocate"], [h.rxq(1, "filter_add"), A])
    h.must([h.rxq(2, "state"), "allocate"], [h.rxq(2, "state"), "commit"], [h.rxq(2, "filter_add"), B])
    assert (h.state(1), h.state(2)) == ("set", "running")
    with h.unchanged():
        for n in (1, 2):
            error, said = h.write([[h.rxq(n, "state"), "free"]])[0]
            say(f"{h.state(n)}: {error}, {said}")
            assert error == "EBUSY" and said.startswith(f"queue {n} still has 1 filters")


# Between a request to free and the news that DMA has stopped, seconds. A millisecond or two,
# and the host may take an emulated CPU away for longer than that.
FREEING_MAX = 0.25
HELD = 64


@pytest.mark.scenario("A17")
def test_freed_while_frames_are_held(host):
    """A freed queue whose frames a reader holds says so at once, gets no frame any more, and is nobody's until he is done."""
    h, n = host, 1
    state = h.rxq(n, "state")
    running_queue(h, n, A)
    reader = spawn_tool(h.g, "hold", interface=h.dev, queue=n, frames=HELD)
    try:
        wait_for("the reader is there", lambda: "ready" in reader.stdout, 60, 0.02)
        h.send(A, range(HELD))
        wait_for("he holds the frames", lambda: "held" in reader.stdout, 60, 0.02)
        h.must([h.rxq(n, "filter_del"), A])
        assert h.state(n) == "paused"
        with Watch(h, state) as watch:
            ((number, said, began),) = tool(h.g, "write", items=[[state, "free"]], after=f"{h.vmq}/last_error")
            assert not number, said
            watch.wait_text(state, "freeing")
            took = watch.when(state, "freeing") - began
            say(f"freeing is announced after {took * 1000:.1f} ms")
            assert took < FREEING_MAX
            check_no_more_frames(h, n)
            # It is not to be had, and another one is.
            error, said = h.write([[state, "allocate"]])[0]
            assert error == "EBUSY" and said.startswith(f"queue {n} is freeing already")
            assert h.put(state, "free") == "EINVAL" and h.put(h.rxq(n, "filter_add"), A) == "EINVAL"
            assert h.read(f"{h.vmq}/queues_free") == str(len(VM_QUEUES) - 1)
            h.must([f"{h.vmq}/allocate", "another"])
            assert h.read(f"{h.vmq}/allocate") == str(n + 1)
            assert watch.texts(state)[-1] == h.state(n) == "freeing"
            reader.stop()
            watch.wait_text(state, "undefined")
    finally:
        reader.stop(9)
    # Nobody wrote into what he held.
    assert json.loads(reader.stdout.splitlines()[-1]) == [[serial, True] for serial in range(HELD)]
    assert h.read(f"{h.vmq}/queues_free") == str(len(VM_QUEUES) - 1)
    running_queue(h, n, A)
    with h.taps((h.dev, n)) as t:
        h.send(A, range(50))
        t.wait(50)
    assert t.serials((h.dev, n)) == list(range(50))


def check_no_more_frames(h, n):
    """Frames to what was the queue's address come by queue 0, and its ring gets none."""
    before = h.counters()
    with h.taps((h.dev, n), (h.dev, 0)) as t:
        h.send(A, range(1000, 1200))
        t.wait(200)
    moved = delta(before, h.counters())
    assert t.serials((h.dev, 0)) == list(range(1000, 1200)) and t.serials((h.dev, n)) == []
    assert moved["rx_queue_0_nic_packets"] == 200 and not [k for k in moved if k.startswith(f"rx_queue_{n}_")]


@pytest.mark.scenario("A33")
def test_shown_is_in_effect(host):
    """At the speed that the link has, the queues that are shown as running get their VMs' frames, and no others do."""
    h = host
    speed = h.g.out(f"ethtool {h.dev} | grep Speed")
    say(f"{speed}, {h.read(f'/sys/class/net/{h.dev}/speed')}")
    macs = dict(zip(VM_QUEUES, map(vm_mac, VM_QUEUES), strict=True))
    running_queue(h, 1, macs[1])
    h.must([h.rxq(2, "state"), "allocate"], [h.rxq(2, "filter_add"), macs[2]])
    running_queue(h, 3)
    h.must([h.rxq(4, "state"), "allocate"])
    h.port("vm1", macs[5])
    assert h.port_queue("vm1") == 5
    shown = {n: h.state(n) for n in range(POOLS)}
    assert list(shown.values()) == ["running", "running", "set", "paused", "allocated", "running", "undefined", "undefined"]
    before = h.counters()
    with h.taps("vm1", h.dev) as t:
        for n, mac in macs.items():
            h.send(mac, range(n * 1000, n * 1000 + 30))
        t.wait(30 * len(macs))
    moved = {k: v for k, v in delta(before, h.counters()).items() if k.endswith("_nic_packets")}
    say(f"shown: {' '.join(shown.values())}; came: {moved}")
    running = [n for n in VM_QUEUES if shown[n] == "running"]
    wanted = {0: 30 * (len(VM_QUEUES) - len(running)), **dict.fromkeys(running, 30)}
    assert moved == {f"rx_queue_{n}_nic_packets": frames for n, frames in wanted.items()}
    assert t.serials("vm1") == list(range(5000, 5030)) and len(t.at(h.dev)) == 30 * (len(VM_QUEUES) - 1)
    # What a queue's files say of the interrupt is what the kernel has.
    for n in VM_QUEUES:
        q = h.queue(n)
        there = h.read(f"/proc/irq/{q['irq']}/effective_affinity_list")
        rings = shown[n] in ("running", "paused")
        assert q["cpu_effective"] == (there if rings else "none"), f"queue {n} is {shown[n]}"


def take_all_queues(h):
    h.must(*[[f"{h.vmq}/allocate", f"guest-{n}"] for n in VM_QUEUES])


def take_all_slots(h):
    running_queue(h, 1, *[f"52:54:00:01:00:{n:02x}" for n in range(int(h.read(f"{h.vmq}/mac_filters_free")))])


def take_address(h):
    # The NIC could tell the two VLANs apart.
    h.must([f"{h.vmq}/vlan_filtering", "off"])
    running_queue(h, 1, f"{A} vlan 9")


# Why there is none, who makes it so, and what ends it.
REASONS = {
    "no free queue": (take_all_queues, lambda h: [h.rxq(7, "state"), "free"]),
    "filter slots full": (take_all_slots, lambda h: [h.rxq(1, "filter_del"), "52:54:00:01:00:00"]),
    "filter not exact": (take_address, lambda h: [h.rxq(1, "filter_del"), f"{A} vlan 9"]),
}


@pytest.mark.scenario("A33")
@pytest.mark.parametrize("reason", REASONS)
def test_reason(host, reason):
    """A port without a queue says why, works all the same, and has a queue and no reason when that is over."""
    h = host
    take, give = REASONS[reason]
    take(h)
    h.port("vm1", A)
    files = [f"/sys/class/net/vm1/vmq/{name}" for name in ("queue", "reason")]
    assert [h.read(f) for f in files] == ["none", reason]
    before = queue_counts(h)
    with h.taps("vm1") as t:
        h.send(A, range(30))
        t.wait(30)
    assert t.serials("vm1") == list(range(30))
    by_switch = h.port_counters("vm1")
    assert (by_switch["rx_switch_packets"], by_switch["rx_queue_packets"]) == (30, 0)
    say(f"{reason}: frames came by {delta(before, queue_counts(h))}")
    with Watch(h, *files) as watch:
        h.must(give(h))
        watch.wait_text(files[1], "")
    n = h.port_queue("vm1")
    assert n and h.queue(n)["port"] == "vm1" and h.state(n) == "running"
    with h.taps("vm1") as t:
        h.send(A, range(30, 60))
        t.wait(30)
    assert t.serials("vm1") == list(range(30, 60))
    assert h.port_counters("vm1")["rx_queue_packets"] == 30


@pytest.mark.scenario("A44")
def test_vm_to_vm(host):
    """Traffic between two VMs of one host passes neither the wire nor the NIC."""
    h = host
    h.ports([A, B])
    assert None not in (h.port_queue("vm1"), h.port_queue("vm2"))
    h.wire.clear()
    before = h.counters()
    with h.wire.capture(lambda f: parse(f).serial is not None) as out, h.taps("vm1", "vm2", h.dev) as t:
        tool(h.g, "send", interface="vm1", frames=[{"dst": B, "src": A, "serial": 0, "count": 200}])
        tool(h.g, "send", interface="vm2", frames=[{"dst": A, "src": B, "serial": 1000, "count": 200}])
        t.wait(400)
        # The wire works: a frame for somebody else leaves at once, behind all others.
        tool(h.g, "send", interface="vm1", frames=[{"dst": OUTSIDE, "src": A, "serial": 5000}])
        assert h.wire.wait_captured(out, 1)
    moved = delta(before, h.counters())
    say(f"NIC and driver counters that moved: {moved}; on the wire: {[parse(f).serial for f in out]}")
    assert t.serials("vm2") == list(range(200)) and t.serials("vm1") == list(range(1000, 1200))
    assert [parse(f).serial for f in out] == [5000]
    assert out[0][:60] == eth(OUTSIDE, A, serial=5000)
    assert not [k for k in moved if "rx" in k], "the NIC received something"
    assert sum(v for k, v in moved.items() if k.startswith("tx_queue") and k.endswith("_packets")) == 1
