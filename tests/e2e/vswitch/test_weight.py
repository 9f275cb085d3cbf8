# SPDX-License-Identifier: GPL-2.0-only
"""More ports than queues: who holds one, by weight or by load, and who insists on one."""

import contextlib
import json

import pytest

from tests.e2e.link.lib import (
    BROADCAST,
    OUTSIDE,
    VM_QUEUES,
    Stream,
    Watch,
    delta,
    describe_stream,
    differences,
    errno_name,
    say,
    spawn_tool,
    tool,
    vm_mac,
    wait_for,
)
from tests.e2e.link.test_announce import links, vmq_words
from tests.e2e.link.test_churn import BETWEEN, run_churn
from tests.e2e.link.test_scenarios import running_queue
from tests.vm import topology
from tests.vm.wire import eth, parse

A, B, C = vm_mac(1), vm_mac(2), vm_mac(3)
# Frames a second, of both streams together.
RATE = 600
IFLA_VMQ_QUEUE, IFLA_VMQ_EXCLUSIVE = 1, 3
PROMOTED_WITHIN = 5


def port(name, file):
    return f"/sys/class/net/{name}/vmq/{file}"


def weights(**by_name):
    """For Host.must()."""
    return [[port(name, "queue_weight"), str(weight)] for name, weight in by_name.items()]


def leave_one_queue(h):
    """All VM queues but one are the administrator's."""
    h.must(*[[f"{h.vmq}/allocate", f"guest-{n}"] for n in VM_QUEUES[:-1]])


def holders(h, names):
    files = h.files("/sys/class/net/vm*/vmq/queue")
    return [name for name in names if files[port(name, "queue")] != "none"]


def taken(watch):
    """For whom queues were allocated, in order."""
    return [vm for _, state, vm, _ in vmq_words(watch) if state == "allocated"]


@contextlib.contextmanager
def both_ways(h, first, second, macs):
    """Numbered streams to two ports, the even numbers to the first, and one out of the
    first; at the end none of them lacks a frame, or has one twice or too late."""
    def frame(serial):
        return eth(macs[serial % 2], OUTSIDE, serial=serial)

    sent = h.port_counters(first)["tx_packets"]
    h.wire.clear()
    with h.wire.capture(lambda f: parse(f).serial is not None) as out:
        with h.taps(first, second) as t, Stream(h, t, None, rate=RATE, frame=frame) as s:
            sender = spawn_tool(h.g, "send", interface=first, burst=8, gap=0.02,
                                frames=[{"dst": OUTSIDE, "src": macs[0], "serial": 0, "count": 10**7}])
            assert h.wire.wait_captured(out, BETWEEN)
            s.wait_sent(BETWEEN)
            yield s
            s.wait_sent(BETWEEN)
            so_far = len(out)
            assert h.wire.wait_captured(out, so_far + BETWEEN)
            sender.stop(9)
        sent = h.port_counters(first)["tx_packets"] - sent
        h.wire.wait_captured(out, sent)
    assert s.stalls == 0, f"the streams stood still {s.stalls} times"
    for name, wanted, got in (
        (f"to {first}", list(range(0, s.sent, 2)), t.serials(first)),
        (f"to {second}", list(range(1, s.sent, 2)), t.serials(second)),
        (f"out of {first}", list(range(sent)), [parse(f).serial for f in out]),
    ):
        wrong = describe_stream(wanted, got)
        assert wrong is None, f"{name}: {wrong}"
        say(f"{name}: {len(got)} frames, all once and in order")


@pytest.mark.scenario("A34")
def test_heaviest_hold_queues(host):
    """20 ports with weights of 0 to 100: the 7 heaviest hold queues; one is raised and has one at once, loss-free."""
    h = host
    macs = [vm_mac(n) for n in range(1, 21)]
    names = h.ports(macs)
    assert holders(h, names) == names[:7], "of equal weight the oldest hold the queues"
    # In no order: 7 and 20 have no common factor.
    weight = {name: n * 7 % 20 * 100 // 19 for n, name in enumerate(names)}
    assert {0, 100} < set(weight.values())
    h.must(*weights(**weight))
    order = sorted(names, key=weight.get, reverse=True)
    files = h.files("/sys/class/net/vm*/vmq/reason")
    reasons = {name: files[port(name, "reason")] for name in names}
    say(f"weights {weight}; holders {holders(h, names)}")
    assert sorted(holders(h, names)) == sorted(order[:7])
    assert reasons == {name: "" if name in order[:7] else "no free queue" if weight[name] else "queue weight 0"
                       for name in names}
    up, down = order[18], order[6]
    assert 0 < weight[up] < weight[down] < 99
    paths = [port(up, "queue"), port(up, "reason"), port(down, "queue"), port(down, "reason")]
    mac = dict(zip(names, macs, strict=True))
    with both_ways(h, up, down, [mac[up], mac[down]]), Watch(h, *paths) as watch:
        ((number, said, began),) = tool(h.g, "write", items=[[port(up, "queue_weight"), "99"]],
                                        after=f"{h.vmq}/last_error")
        assert not number, said
        watch.wait_text(paths[1], "")
        watch.wait_text(paths[3], "no free queue")
        queue = h.read(paths[0])
        took = watch.when(paths[0], queue) - began
        say(f"{up} (weight {weight[up]} to 99) has queue {queue} of {down} after {took * 1000:.0f} ms")
        assert took < PROMOTED_WITHIN
        wait_for("both are told by RTM_NEWLINK", lambda: links(watch, up) and links(watch, down), 10, 0.02)
        assert links(watch, up)[-1] == [int(queue), None] and links(watch, down)[-1] == [None, "no free queue"]
    assert sorted(holders(h, names)) == sorted([*order[:6], up])


@pytest.mark.scenario("A34")
def test_changes_under_traffic(host, count):
    """A port gains and loses the queue to another over and over; streams to both and out of one lose nothing."""
    h, rounds = host, count(1000) // 2
    leave_one_queue(h)
    h.ports([A, B])
    h.must(*weights(vm1=50, vm2=40))
    q = h.port_queue("vm1")
    before = {name: h.port_counters(name) for name in ("vm1", "vm2")}
    rings = h.counters()
    with both_ways(h, "vm1", "vm2", [A, B]) as s:
        # A queue whose frames a tap still has to read changes hands after that.
        change = port("vm2", "queue_weight")
        job = spawn_tool(h.g, "churn", uplink=h.dev, watched="vm1", rounds=rounds, frames=BETWEEN,
                         writes=[[change, "60", port("vm2", "queue"), str(q)], [change, "40", port("vm1", "queue"), str(q)]])
        done = run_churn(h, s, job, 60 + rounds * 20)
    assert h.port_queue("vm1") == q and h.port_file("vm2", "reason") == "no free queue"
    say(f"{done['changes']} changes, at least {done['least']} frames to vm1 between two of them")
    assert done["changes"] == 2 * rounds and done["least"] >= BETWEEN
    for name in ("vm1", "vm2"):
        moved = delta(before[name], h.port_counters(name))
        say(f"{name}: {moved['rx_queue_packets']} by the queue, {moved['rx_switch_packets']} by the switch")
        # To vm1 so many came between each two changes, to vm2 about as many.
        assert min(moved["rx_queue_packets"], moved["rx_switch_packets"]) >= rounds * BETWEEN // 2
        assert "tx_dropped" not in moved
    moved = delta(rings, h.counters())
    by_ring = [moved[f"tx_queue_{n}_packets"] for n in (0, q)]
    say(f"vm1 sent {by_ring[0]} frames by ring 0, {by_ring[1]} by ring {q}")
    assert all(n >= rounds for n in by_ring)


@pytest.mark.scenario("A33")
def test_weight_0(host):
    """A port of weight 0 has no queue, though queues are free, and says so; it works, and has one again with weight 1."""
    h = host
    h.ports([A])
    q = h.port_queue("vm1")
    with h.taps("vm1") as t, Stream(h, t, A, rate=RATE) as s:
        s.wait_sent(BETWEEN)
        h.must(*weights(vm1=0))
        assert (h.port_queue("vm1"), h.port_file("vm1", "reason")) == (None, "queue weight 0")
        assert h.state(q) == "undefined" and h.read(f"{h.vmq}/queues_free") == str(len(VM_QUEUES))
        s.wait_sent(BETWEEN)
        h.must(*weights(vm1=1))
        assert (h.port_queue("vm1"), h.port_file("vm1", "reason")) == (q, "")
        s.wait_sent(BETWEEN)
    wrong = describe_stream(list(range(s.sent)), t.serials("vm1"))
    assert wrong is None, wrong


def test_cannot_take(host):
    """A heavier port that the NIC cannot serve takes nobody's queue for long, nor over and over; then it gets one."""
    h = host
    h.must([f"{h.vmq}/vlan_filtering", "off"])
    running_queue(h, 1, f"{B} vlan 9")
    names = h.ports([A, *(vm_mac(n) for n in range(3, 8))])
    assert holders(h, names) == names
    h.must(*weights(**dict.fromkeys(names, 50)))
    with h.taps(names[-1]) as t, Stream(h, t, vm_mac(7), rate=RATE) as s:
        s.wait_sent(BETWEEN)
        h.port("vm9", B)
        assert h.port_file("vm9", "reason") == "filter not exact"
        assert holders(h, names) == names, "a queue is nobody's, or another's"
        s.wait_sent(BETWEEN)
        with Watch(h) as watch:
            # A filter goes, and is none that helps.
            h.must([h.rxq(1, "filter_add"), C[:-2] + "77"], [h.rxq(1, "filter_del"), C[:-2] + "77"])
            wait_for("it is asked again", lambda: taken(watch), 30)
            s.wait_sent(RATE * 5, 60)
        say(f"taken after a filter went: {taken(watch)}")
        # By vm9, which cannot use it, and back.
        assert taken(watch) == ["vm9", names[-1]] and holders(h, names) == names
        # The youngest of the lightest is who gives for it.
        h.must([h.rxq(1, "filter_del"), f"{B} vlan 9"])
        wait_for("vm9 has a queue", lambda: h.port_queue("vm9"), 30)
        assert holders(h, names) == names[:-1] and h.port_file(names[-1], "reason") == "no free queue"
        s.wait_sent(BETWEEN)
    wrong = describe_stream(list(range(s.sent)), t.serials(names[-1]))
    assert wrong is None, wrong


def test_frames_are_held(host):
    """Somebody holds frames of the queue that is given: the winner waits for it, and the loser does not get it back."""
    h = host
    leave_one_queue(h)
    h.ports([A, B])
    q = h.port_queue("vm1")
    reader = spawn_tool(h.g, "hold", interface="vm1", queue=None, frames=8)
    try:
        wait_for("the reader is there", lambda: "ready" in reader.stdout, 60, 0.02)
        h.send(A, range(8))
        wait_for("he holds the frames", lambda: "held" in reader.stdout, 60, 0.02)
        h.must(*weights(vm1=50))
        assert h.state(q) == "freeing"
        h.must(*weights(vm1=40))
        assert {h.port_file(name, "reason") for name in ("vm1", "vm2")} == {"no free queue"}
        reader.stop()
        wait_for("vm2 has the queue", lambda: h.port_queue("vm2") == q, 30, 0.05)
        assert h.port_queue("vm1") is None
    finally:
        reader.stop(9)
    assert json.loads(reader.stdout.splitlines()[-1]) == [[serial, True] for serial in range(8)]


@pytest.mark.scenario("A33")
def test_exclusive_without_queue(host):
    """VMQ off: an exclusive port has no carrier, says why, and no frame passes; VMQ on: all is as before."""
    h = host
    h.ports([A, B])
    h.must([port("vm1", "exclusive"), "1"])
    before, counters = h.dump(), h.port_counters("vm1")
    carrier = [f"/sys/class/net/{name}/carrier" for name in ("vm1", "vm2")]
    with Watch(h, port("vm1", "queue"), port("vm1", "reason")) as watch:
        h.must([f"{h.vmq}/enabled", "0"])
        watch.wait_text(port("vm1", "reason"), "exclusive queue lost")
        wait_for("RTM_NEWLINK says so", lambda: links(watch, "vm1")[-1:] == [[None, "exclusive queue lost"]], 10, 0.02)
    assert [h.read(c) for c in carrier] == ["0", "1"]
    assert [h.port_file("vm2", file) for file in ("queue", "reason")] == ["none", "VMQ disabled"]
    h.wire.clear()
    with h.wire.capture(lambda f: parse(f).serial is not None) as out, h.taps("vm1", "vm2", h.dev) as t:
        h.send(A, range(30))
        h.send(BROADCAST, range(100, 130))
        for name, dst, src, first in (("vm1", OUTSIDE, A, 200), ("vm1", B, A, 300), ("vm2", A, B, 400), ("vm2", OUTSIDE, B, 500)):
            tool(h.g, "send", interface=name, frames=[{"dst": dst, "src": src, "serial": first, "count": 30}])
        t.wait(60)
        assert h.wire.wait_captured(out, 30)
    assert t.serials("vm1") == [] and t.serials("vm2") == t.serials(h.dev) == list(range(100, 130))
    assert [parse(f).serial for f in out] == list(range(500, 530))
    moved = delta(counters, h.port_counters("vm1"))
    say(f"the exclusive port's counters meanwhile: {moved}")
    assert moved.get("rx_dropped") == 60 and "rx_switch_packets" not in moved and "tx_packets" not in moved
    h.must([f"{h.vmq}/enabled", "1"])
    topology.wait_carrier(h.g, "vm1")
    assert not differences(before, h.dump())
    counters = h.port_counters("vm1")
    with h.taps("vm1") as t:
        h.send(A, range(30))
        t.wait(30)
    assert t.serials("vm1") == list(range(30)) and delta(counters, h.port_counters("vm1"))["rx_queue_packets"] == 30


def test_exclusive_gives_up(host):
    """An exclusive port that lost its queue gives the wish up: it has carrier, and works through the default queue."""
    h = host
    h.ports([A])
    h.must([port("vm1", "exclusive"), "1"], [f"{h.vmq}/enabled", "0"])
    assert h.read("/sys/class/net/vm1/carrier") == "0"
    h.must([port("vm1", "exclusive"), "0"])
    topology.wait_carrier(h.g, "vm1")
    assert h.port_file("vm1", "reason") == "VMQ disabled"
    with h.taps("vm1") as t:
        h.send(A, range(30))
        t.wait(30)
    assert t.serials("vm1") == list(range(30))


def test_exclusive_is_not_evicted(host):
    """Nobody's weight takes an exclusive port's queue, and exclusive alone takes nobody's; weight and exclusive do."""
    h = host
    names = h.ports([vm_mac(n) for n in range(1, 9)])
    wish = port("vm8", "exclusive")
    with h.unchanged():
        error, said = h.write([[wish, "1"]])[0]
        say(f"exclusive, of equal weight: {error}, {said}")
        assert error == "ENOSPC" and "port vm8 gets no queue of its own: no free queue" in said
    h.must(*[[port(name, "exclusive"), "1"] for name in names[:6]], *weights(**dict.fromkeys(names[:6], 10)))
    # vm7 is the only one that can lose its queue, and the heaviest but vm8.
    h.must(*weights(vm7=99))
    assert holders(h, names) == [*names[:6], "vm8"]
    h.must([wish, "1"])
    with h.unchanged():
        for name, file, text, wanted, reason in (
            ("vm7", "exclusive", "1", "ENOSPC", "port vm7 gets no queue of its own: no free queue"),
            ("vm1", "queue_weight", "0", "EBUSY", "port vm1 is exclusive, it is never without a queue"),
        ):
            error, said = h.write([[port(name, file), text]])[0]
            say(f"{file} <- {text}: {error}, {said}")
            assert error == wanted and reason in said
    h.must([wish, "0"], *weights(vm8=98))
    assert holders(h, names) == names[:7]


def add_port(h, name, mac, number, data):
    """(errno's name, reason) of a request for a port with an attribute."""
    request = ["add_port", {"name": name, "address": mac, "link": h.dev, "data": [number, data]}]
    number, reason = tool(h.g, "link", requests=[request])[0]
    return errno_name(number), reason


def test_exclusive_at_creation(host):
    """A port that is to be exclusive from the start is not made without a queue; with one it is, also with another's."""
    h = host
    leave_one_queue(h)
    h.port("vm1", A)
    with h.unchanged():
        for number, data, wanted, reason in (
            (IFLA_VMQ_EXCLUSIVE, "01", "ENOSPC", "port vm2 gets no queue of its own: no free queue"),
            (IFLA_VMQ_EXCLUSIVE, "02", "ERANGE", ""),
            (IFLA_VMQ_QUEUE, "05000000", "EINVAL", ""),
        ):
            error, said = add_port(h, "vm2", B, number, data)
            say(f"attribute {number} = {data}: {error}, {said}")
            assert error == wanted and reason in said
        assert not h.g.run("ls -d /sys/class/net/vm2", check=False).stdout
    assert not add_port(h, "vm3", C, IFLA_VMQ_EXCLUSIVE, "00")[0]
    assert (h.port_file("vm3", "exclusive"), h.port_file("vm3", "reason")) == ("0", "no free queue")
    h.must(*weights(vm1=99, vm3=98))
    q = h.port_queue("vm1")
    error, said = add_port(h, "vm2", B, IFLA_VMQ_EXCLUSIVE, "01")
    assert not error, said
    assert (h.port_queue("vm2"), h.port_file("vm2", "exclusive"), h.port_queue("vm1")) == (q, "1", None)
    h.g.run("ip link set vm2 up")
    topology.wait_carrier(h.g, "vm2")
    with h.taps("vm2") as t:
        h.send(B, range(30))
        t.wait(30)
    assert t.serials("vm2") == list(range(30)) and h.port_counters("vm2")["rx_queue_packets"] == 30


def test_refusals(host):
    """What is no weight and no policy is refused with the reason, and changes nothing."""
    h = host
    h.port("vm1", A)
    assert (h.port_file("vm1", "queue_weight"), h.read(f"{h.vmq}/queue_policy")) == ("100", "weight")
    with h.unchanged():
        for path, reason, texts in (
            (port("vm1", "queue_weight"), "queue_weight takes 0 to 100", ("101", "-1", "256", "5 5", "full", "")),
            (f"{h.vmq}/queue_policy", "queue_policy takes weight or load", ("busy", "weight load", "")),
            (port("vm1", "exclusive"), "exclusive takes 0 or 1", ("2", "yes")),
        ):
            for (error, said), text in zip(h.write([[path, text + "\n"] for text in texts]), texts, strict=True):
                assert error == "EINVAL" and said.startswith(reason), f"{text!r}: {error} {said}"


def test_busiest_has_queue(host):
    """queue_policy load: of equal weights the busy port gets the idle one's queue, loss-free; weight comes first."""
    h = host
    leave_one_queue(h)
    h.ports([A, B, C])
    h.must(*weights(vm3=99))
    q, policy = h.port_queue("vm1"), f"{h.vmq}/queue_policy"
    h.must([policy, "load"])
    try:
        assert h.read(policy) == "load"
        for mac, name, queues in ((C, "vm3", [q, None, None]), (B, "vm2", [None, q, None])):
            with h.taps(name) as t, Stream(h, t, mac, rate=RATE) as s:
                if name == "vm2":
                    wait_for("the busy port has the queue", lambda: h.port_queue("vm2") == q, 60)
                # Three rounds and more.
                s.wait_sent(RATE * 8, 60)
            wrong = describe_stream(list(range(s.sent)), t.serials(name))
            assert wrong is None, wrong
            assert [h.port_queue(n) for n in ("vm1", "vm2", "vm3")] == queues
            moved = h.port_counters(name)
            say(f"{name}: {moved['rx_queue_packets']} by a queue, {moved['rx_switch_packets']} by the switch")
        assert h.port_file("vm1", "reason") == "no free queue"
    finally:
        h.must([policy, "weight"])
    assert [h.port_queue(n) for n in ("vm1", "vm2", "vm3")] == [None, q, None]
