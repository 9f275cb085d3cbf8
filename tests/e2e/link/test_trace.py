# SPDX-License-Identifier: GPL-2.0-only
"""The tracepoints vmq:*: what was decided, for people who ask why."""

import collections
import contextlib
import re

from tests.e2e.link.lib import say, vm_mac
from tests.vm.wire import eth

EVENTS = "/sys/kernel/tracing/events/vmq"
EACH = 200
LINE = re.compile(r"\[(\d+)\].*: vmq_(\w+): (\S+) (.*)$")


@contextlib.contextmanager
def traced(g, *events):
    """Gives a list that holds (event, CPU, uplink, text) of each event at the end."""
    switches = [f"{EVENTS}/vmq_{e}/enable" for e in events]
    g.run(f"echo >/sys/kernel/tracing/trace; for f in {' '.join(switches)}; do echo 1 >$f || exit; done")
    found = []
    try:
        yield found
    finally:
        g.run(f"for f in {' '.join(switches)}; do echo 0 >$f; done")
        for line in g.out("cat /sys/kernel/tracing/trace").splitlines():
            if match := LINE.search(line):
                found.append((match[2], int(match[1]), match[3], match[4]))


def words(text):
    return dict(w.split("=", 1) for w in text.split() if "=" in w)


def test_batches(host):
    """Mixed traffic: each batch is of one queue, on its CPU, and names who gets it; all frames are in one."""
    h = host
    names = h.ports([vm_mac(n) for n in range(1, 5)])
    queues = {h.port_queue(name): name for name in names}
    assert len(queues) == 4 and None not in queues
    cpus = {n: int(h.read(h.rxq(n, "cpu_effective"))) for n in queues}
    with traced(h.g, "rx_batch") as events, h.taps(*names) as t:
        frames = (eth(vm_mac(1 + s % 4), "52:54:00:00:99:01", serial=s) for s in range(4 * EACH))
        h.wire.send_paced(frames)
        t.wait(4 * EACH)
    came, largest = collections.Counter(), 0
    for event, cpu, uplink, text in events:
        w = words(text)
        n = int(w["queue"])
        assert (event, uplink) == ("rx_batch", h.dev)
        if n in queues:
            assert w["consumer"] == queues[n] and int(w["cpu"]) == cpu == cpus[n], text
            came[n] += int(w["frames"])
            largest = max(largest, int(w["frames"]))
    say(f"{len(events)} batches, the largest of {largest} frames")
    assert came == dict.fromkeys(queues, EACH)
    assert [t.serials(name) for name in names] == [list(range(n, 4 * EACH, 4)) for n in range(4)]
    assert largest > 1


def test_decisions(host):
    """Queues and filters that change, and what becomes of frames on an inexact queue."""
    h, mac = host, vm_mac(1)
    with traced(h.g, "queue_state", "filter_add", "filter_move", "filter_del", "rx_check") as events:
        h.must([h.rxq(3, "state"), "allocate"], [h.rxq(3, "filter_add"), f"{mac} vlan 7"], [h.rxq(3, "state"), "commit"])
        with h.taps((h.dev, 3), (h.dev, 0)) as t:
            h.send(mac, range(10), vlan=7)
            h.send(mac, range(100, 110), vlan=8)
            t.wait(20)
        h.must([h.rxq(3, "filter_del"), f"{mac} vlan 7"], [h.rxq(3, "state"), "free"])
    texts = collections.defaultdict(list)
    for event, _, uplink, text in events:
        assert uplink == h.dev
        texts[event].append(text)
    states = [text.split(" ", 2)[2] for text in texts["queue_state"]]
    assert states == ["undefined -> allocated", "allocated -> set", "set -> running", "running -> paused",
                      "paused -> stopping", "stopping -> freeing", "freeing -> undefined"], texts["queue_state"]
    assert texts["filter_add"] == [f"filter=1 {mac} vlan=7 queue=3"]
    assert texts["filter_del"] == [f"filter=1 {mac} vlan=7 queue=3"]
    assert texts["rx_check"].count(f"queue=3 {mac} vlan=7 filter=1 claimed") == 10
    assert texts["rx_check"].count(f"queue=3 {mac} vlan=8 filter=0 mismatch") == 10
