# SPDX-License-Identifier: GPL-2.0-only
"""Every allocation of every operation on queues and filters fails once: refused with a reason and nothing
changed, or done; what cannot fail by design does not."""

import pytest

from tests.e2e.link.faults import FEW_DENSE, FEW_STRIDE, sweep
from tests.e2e.link.lib import Host, clean, differences, say, vm_mac
from tests.e2e.link.test_scenarios import running_queue
from tests.vm import topology

A, B, C, D = (vm_mac(n) for n in range(1, 5))
GROUP = "01:00:5e:00:00:17"
# The kernel's own allocations differ from one attempt to the next, so that a sweep may
# miss the driver's, which are two at times: how often to try.
SWEEPS = 4
# The kernel has to copy what is written, to keep track of an ioctl, or to carry a
# message: it refuses before the driver has been asked. By kind of request.
KERNEL_ALONE = {"write": 1, "rule": 1, "unrule": 1, "fdb": 4, "vlan": 4}


def there_and_back(name, back_name, do, undo, ready=(), certain=False, back_certain=True):
    """A request, and the one that takes it back, which as a rule cannot fail. `ready`: what has to follow the
    second one before the first can be made again."""
    yield {"name": name, "do": do, "undo": [undo, *ready], "after": [undo, *ready], "certain": certain}
    yield {"name": back_name, "do": undo, "undo": [*ready, do], "before": [do], "after": ready, "certain": back_certain}


def operations(h):
    """Queue 1 is port vm1's; 2 is running with a filter for B; 3 is allocated; 4 is paused; 5 is undefined."""

    def write(n, file, text):
        return ["write", h.rxq(n, file), text]

    def filters(name, n, text):
        return there_and_back(f"filter_add {name}", f"filter_del {name}",
                              write(n, "filter_add", text), write(n, "filter_del", text))

    allocate, commit, free = (write(5, "state", word) for word in ("allocate", "commit", "free"))
    mode, enabled = f"{h.vmq}/vlan_filtering", f"{h.vmq}/enabled"
    yield from filters("MAC", 2, C)
    yield from filters("any", 2, f"{C} any")
    # Which the NIC can only do by comparing VLANs from then on.
    yield from filters("vlan, VLAN filtering comes on", 4, f"{B} vlan 20")
    # A ring more takes its frames.
    yield from filters("group", 2, GROUP)
    yield from there_and_back("ethtool -N, a whole queue", "ethtool -N delete",
                              ["rule", D, 0, 5, 100], ["unrule", 100], [free])
    yield from there_and_back("allocate", "free an allocated queue", allocate, free, certain=True)
    yield from there_and_back("vmq/allocate", "free what it gave", ["write", f"{h.vmq}/allocate", "another"], free,
                              certain=True)
    yield {"name": "commit with a filter", "do": commit,
           "before": [allocate, write(5, "filter_add", D)],
           "undo": [write(5, "filter_del", D), free, allocate, write(5, "filter_add", D)],
           "after": [write(5, "filter_del", D), free]}
    yield {"name": "free a committed queue", "do": free, "before": [allocate, commit],
           "undo": [allocate, commit], "certain": True}
    # Both ways another ring is made, and may find no memory: the old one stays.
    for wanted, back in (("128", "auto"), ("auto", "128")):
        yield {"name": f"buffers {wanted}", "before": [write(2, "buffers", back)], "do": write(2, "buffers", wanted),
               "undo": [write(2, "buffers", back)], "after": [write(2, "buffers", "auto")]}
    yield from there_and_back("count_hits 1", "count_hits 0", ["write", f"{h.vmq}/count_hits", "1"],
                              ["write", f"{h.vmq}/count_hits", "0"], certain=True)
    yield from there_and_back("vlan_filtering on", "vlan_filtering auto",
                              ["write", mode, "on"], ["write", mode, "auto"], certain=True)
    yield {"name": "enabled 0", "do": ["write", enabled, "0"], "undo": [["write", enabled, "1"]],
           "after": [["write", enabled, "1"]], "certain": True}
    # A queue that finds no memory stays without rings until it is committed, and last_error says so.
    yield {"name": "enabled 1", "before": [["write", enabled, "0"]], "do": ["write", enabled, "1"],
           "undo": [*[["perhaps", write(n, "state", "commit")] for n in (2, 4)], ["write", enabled, "0"]],
           "partly": True}
    yield from there_and_back("bridge fdb add", "bridge fdb del", ["fdb", "add", "vm1", D], ["fdb", "del", "vm1", D])
    yield from there_and_back("bridge fdb add, a group", "bridge fdb del, a group",
                              ["fdb", "add", "vm1", GROUP], ["fdb", "del", "vm1", GROUP])
    yield {"name": "vm_name", "do": write(2, "vm_name", "db"), "undo": [write(2, "vm_name", "queue-2")],
           "after": [write(2, "vm_name", "queue-2")], "certain": True}


def check_operation(h, name, certain=False, ports=("vm1",), alone=KERNEL_ALONE, **o):
    """Fails each of its allocations once; whether one of them was the driver's. `alone`: how many may be
    refused without a reason."""
    r = sweep(h.g, "request", name, uplink=h.dev, ports=ports, **{"dense": FEW_DENSE, "stride": FEW_STRIDE, **o})
    for reason, attempts in r["refusals"].items():
        say(f"    {reason}: at {attempts}")
        assert "no memory" in reason, f"{name}: {reason}"
    assert not (certain and r["refusals"]), f"{name} must not fail"
    say(f"    no reason given: at {r['silent']}")
    assert len(r["silent"]) <= alone[o["do"][0]], f"{name}: refused without a reason at {r['silent']}"
    return bool(r["refusals"])


@pytest.mark.kernel("debug")
def test_operations(faulty):
    """Filters, groups, rules, queues, buffers, VLAN filtering, VMQ off and on, fdb, names: each allocation fails in turn."""
    g = faulty
    h = Host(g)
    # Fewer buffers to fill, which are all alike.
    g.run(f"ethtool -G {h.dev} rx 64 tx 128")
    h.port("vm1", A)
    running_queue(h, 2, B)
    running_queue(h, 4)
    h.must([h.rxq(3, "state"), "allocate"])
    # The interrupt of a queue that has run once is seen from then on.
    h.must([f"{h.vmq}/allocate", "last"], [h.rxq(5, "state"), "commit"], [h.rxq(5, "state"), "free"])
    before = h.dump()
    for o in operations(h):
        for _ in range(SWEEPS):
            if check_operation(h, **o) or o.get("certain"):
                break
        else:
            pytest.fail(f"{o['name']}: nothing of the driver's failed")
    assert not differences(before, h.dump())
    with h.taps("vm1", (h.dev, 2)) as t:
        h.send(A, range(20))
        h.send(B, range(20, 40))
        t.wait(40)
    assert t.serials("vm1") == list(range(20)) and t.serials((h.dev, 2)) == list(range(20, 40))
    g.run(f"ethtool -G {h.dev} rx 512 tx 512")
    clean(g)
    topology.unload(g)
