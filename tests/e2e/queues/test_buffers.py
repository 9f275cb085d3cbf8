# SPDX-License-Identifier: GPL-2.0-only
"""A queue's own number of receive buffers, changed while its VM receives."""

from tests.e2e.link.lib import OUTSIDE, Stream, say, vm_mac
from tests.e2e.link.test_churn import check_stream
from tests.e2e.link.test_lifecycle import ask
from tests.e2e.link.test_scenarios import running_queue
from tests.vm import topology
from tests.vm.wire import eth

A, B = vm_mac(1), vm_mac(2)
DEFAULT = 512
OTHER = 1 << 20


def pages(h):
    """Pages that the uplink's rings hold: one a descriptor, and readers hold none."""
    index = int(h.read(f"/sys/class/net/{h.dev}/ifindex"))
    return sum(inflight for _, ifindex, inflight in ask(h.g, "pools") if ifindex == index)


def file(h, n):
    return h.rxq(n, "buffers")


def numbers(h):
    return [h.read(file(h, n)) for n in range(4)]


def test_rings_have_them(host):
    """The nearest power of two, in the ring of this queue alone; kept by down and up, gone with the VM."""
    h, mine = host, file(host, 2)
    running_queue(h, 1, A)
    running_queue(h, 2, B)
    assert numbers(h) == ["512", "512", "512", "none"]
    for wanted, got in (("1000", 1024), ("1", 64), ("100", 128), ("99999", 4096), ("auto", DEFAULT), ("1024", 1024)):
        h.must([mine, wanted])
        assert numbers(h) == ["512", "512", str(got), "none"]
        with h.taps((h.dev, 2)) as t:
            h.send(B, range(40))
            t.wait(40)
    before = h.dump()
    h.down_and_up()
    assert h.dump() == before
    # A page pool that is new has no page but those in the ring.
    assert pages(h) == DEFAULT + DEFAULT + 1024
    h.must([mine, "auto"])
    h.down_and_up()
    assert pages(h) == 3 * DEFAULT
    h.must([mine, "1024"])
    h.g.run(f"ethtool -G {h.dev} rx 256")
    topology.wait_carrier(h.g, h.dev)
    assert numbers(h) == ["256", "256", "1024", "none"]
    h.g.run(f"ethtool -G {h.dev} rx 512")
    topology.wait_carrier(h.g, h.dev)
    h.must([h.rxq(2, "filter_del"), B], [h.rxq(2, "state"), "free"], [h.rxq(2, "state"), "allocate"])
    assert numbers(h) == ["512", "512", "512", "none"]


def test_refusals(host):
    """What is no number, queue 0, and a queue that nobody has: refused with the reason."""
    h = host
    running_queue(h, 1, A)
    with h.unchanged():
        for n, text, error, reason in (
            (1, "0", "EINVAL", "buffers takes a number above 0, or auto"),
            (1, "-1", "EINVAL", "buffers takes"),
            (1, "many", "EINVAL", "buffers takes"),
            (1, "4294967296", "EINVAL", "buffers takes"),
            (2, "512", "ENOENT", "queue 2 is not allocated"),
            (0, "512", "EOPNOTSUPP", "queue 0 has as many as ethtool -G says"),
        ):
            got, said = h.write([[file(h, n), text]])[0]
            say(f"queue {n} <- {text}: {got}, {said}")
            assert got == error and reason in said


def test_under_traffic(host, count):
    """Over and over, while its VM and another one receive: no frame lost, doubled or out of order."""
    h, rounds = host, count(400)
    running_queue(h, 1, A)
    running_queue(h, 2, B)
    before = {n: int(h.queue(n)["rx_packets"]) for n in (1, 2)}
    with h.taps(h.dev) as t:
        with Stream(h, t, A, rate=200) as s:
            for n in range(rounds):
                h.must([file(h, 1), str(64 << n % 5)])
                s.wait_sent(10)
        with Stream(h, t, B, rate=200, frame=lambda n: eth(B, OUTSIDE, serial=OTHER | n)) as other:
            for n in range(rounds):
                h.must([file(h, 1), str(64 << n % 5)])
                other.wait_sent(10)
        t.wait(s.sent + other.sent)
    serials = t.serials(h.dev)
    check_stream(s, [n for n in serials if n < OTHER])
    check_stream(other, [n - OTHER for n in serials if n >= OTHER])
    came = {n: int(h.queue(n)["rx_packets"]) - before[n] for n in (1, 2)}
    say(f"by queue 1: {came[1]} of {s.sent}, by queue 2: {came[2]} of {other.sent}")
    assert came[1] >= s.sent // 2 and came[2] == other.sent
