# SPDX-License-Identifier: GPL-2.0-only
"""ethtool's rules: one that is given again at its own location, with another queue, moves."""

from tests.e2e.link.lib import OUTSIDE, Stream, say, vm_mac
from tests.e2e.link.test_churn import check_stream
from tests.e2e.link.test_ethtool import filters_in_ethtool
from tests.vm.wire import eth

A, B = vm_mac(1), vm_mac(2)
VID = 7
# Queues 3 and 4 are not there before; the host's own has its turn, too.
WAY = (3, 4, 0, 4, 1)
BETWEEN = 20
ROUNDS = 100


def rule(queue, loc, mac=A, vlan=f"vlan {VID} m 0xf000"):
    return f"flow-type ether dst {mac} {vlan} action {queue} loc {loc}"


def listed(h):
    """[(location, queue), ...]"""
    return [(location, queue) for location, (_, _, queue) in filters_in_ethtool(h).items()]


def hits(h, queue):
    return int(h.queue(queue)["filters"].splitlines()[0].split()[-1])


def test_rule_moves(host, count):
    """Under traffic, from queue to queue: nothing is lost, doubled or out of order; location and hits stay."""
    h, rounds = host, count(ROUNDS)
    assert h.ntuple(rule(1, 5)) == ""
    h.must([f"{h.vmq}/count_hits", "1"])
    before = {n: int(h.read(h.rxq(n, "rx_packets"))) for n in (0, 1, 3, 4)}
    with h.taps(h.dev) as t, Stream(h, t, A, rate=500, frame=lambda n: eth(A, OUTSIDE, vlan=VID, serial=n)) as s:
        for queue in rounds * WAY:
            s.wait_sent(BETWEEN)
            assert h.ntuple(rule(queue, 5)) == "", h.last_error()
            assert listed(h) == [(5, queue)]
        s.wait_sent(BETWEEN)
    check_stream(s, t.serials(h.dev))
    came = {n: int(h.read(h.rxq(n, "rx_packets"))) - b for n, b in before.items()}
    say(f"{s.sent} frames by the queues {came}")
    assert sum(came.values()) == s.sent and all(came.values())
    assert hits(h, WAY[-1]) == s.sent


def test_rule_that_does_not_move(host):
    """Another rule at the location, a port's filter or queue, the same queue: refused, and all is as before."""
    h = host
    h.port("vm1", B)
    port = h.port_queue("vm1")
    theirs = next(location for location, queue in listed(h) if queue == port)
    assert h.ntuple(rule(3, 40)) == ""
    with h.unchanged():
        for text, error, reason in (
            (rule(3, 40), "EEXIST", "queue 3 has this filter already, id 40"),
            (rule(port, 40), "EADDRINUSE", f"queue {port} is held by port vm1"),
            (rule(3, 40, vlan="vlan 8 m 0xf000"), "EEXIST", "location 40 holds a filter already"),
            (rule(3, theirs, B, "vlan 0 m 0xf000"), "EEXIST", f"queue {port} has this filter already"),
            (rule(99, 40), "EINVAL", "there is no queue 99"),
        ):
            assert h.ntuple(text) == error and reason in h.last_error(), (text, h.last_error())
            say(h.last_error())
