# SPDX-License-Identifier: GPL-2.0-only
"""Every allocation of every operation on ports fails once: refused with a reason and nothing changed, or done;
what has nobody to refuse it to is done all the same."""

import contextlib

import pytest

from tests.e2e.link.faults import EVERY, ours_alone, sweep
from tests.e2e.link.lib import Host, clean, differences, say, vm_mac
from tests.e2e.queues.test_faults import KERNEL_ALONE, SWEEPS, check_operation, there_and_back
from tests.report import FULL
from tests.vm import topology

A, B, C, D, E, F = (vm_mac(n) for n in range(1, 7))
GROUPS = [f"01:00:5e:00:01:{n:02x}" for n in range(4)]
OTHER = "01:00:5e:00:02:00"
PORTS = ["vm1", "vm2", "vm3", "vm4", "vm5"]
IFLA_VMQ_EXCLUSIVE = 3
# Without a reason of ours. Of a new port most of the work is the kernel's, also below our part of it.
ALONE = {**KERNEL_ALONE, "port": 1000, "open": 12, "unport": 4} if FULL else {
    **dict.fromkeys(KERNEL_ALONE, 0), "port": 1000, "open": 0, "unport": 0}
# Of a netdev's many sites one in so many; of a queue first those before its rings, which are many alike.
PORT_DENSE, PORT_STRIDE = EVERY if FULL else (6, 40)
QUEUE_DENSE, QUEUE_STRIDE = EVERY if FULL else (30, 40)


def operations(h, spare):
    """vm1 to vm3 hold queues, vm4 of weight 0 none; vm2 is in VLANs and has two addresses there;
    vm5 is made anew. One queue is free, `spare`."""

    def write(port, file, text):
        return ["write", f"/sys/class/net/{port}/vmq/{file}", text]

    def turn(port, file, text, back, back_file=None, **more):
        return there_and_back(f"{file} {text}", f"{back_file or file} {back.strip() or 'none'}",
                              write(port, file, text), write(port, back_file or file, back), **more)

    def both(*words, **more):
        return turn(*words, back_certain=False, **more)

    new = ["port", {"name": "vm5", "address": E, "mtu": 1400, "data": [IFLA_VMQ_EXCLUSIVE, "01"]}]
    netdev, queue = ({"dense": d, "stride": s} for d, s in ((PORT_DENSE, PORT_STRIDE), (QUEUE_DENSE, QUEUE_STRIDE)))
    yield from ({**o, **netdev} for o in there_and_back("ip link add, exclusive", "ip link del", new, ["unport", "vm5"]))
    yield from there_and_back("bridge fdb add, a VLAN", "bridge fdb del, a VLAN",
                              ["fdb", "add", "vm1", F, 9], ["fdb", "del", "vm1", F, 9])
    yield from there_and_back("bridge fdb add, in all VLANs", "bridge fdb del, in all VLANs",
                              ["fdb", "add", "vm2", F], ["fdb", "del", "vm2", F])
    # Of four VLANs each has its filter, of more one is for any VLAN.
    for last in (10, 200):
        yield from there_and_back(f"bridge vlan add 9-{last}", f"bridge vlan del 9-{last}",
                                  ["vlan", "add", "vm2", 9, last], ["vlan", "del", "vm2", 9, last], back_certain=False)
    yield from both("vm1", "vlan", "7,8", "none")
    yield from both("vm2", "vlan", "1-4094", "7,8")
    yield from both("vm1", "native_vlan", "7", "plain", "vlan_mode")
    yield from both("vm3", "isolation", "promiscuous 100 101-120", "none")
    yield from both("vm1", "allowed_macs", f"{E} {F}", "\n")
    yield from turn("vm1", "mirror_to", "vm2", "\n", certain=True)
    yield from turn("vm1", "tx_max_mbps", "100", "0", certain=True)
    yield from turn("vm1", "exclusive", "1", "0", certain=True)
    # What it needs stays with the port: a new one each time.
    make, end = ["port", {"name": "vm5", "address": E}], ["unport", "vm5"]
    light = ["open", "/sys/class/net/vm5/vmq/queue_weight", "0"]
    yield {"name": "storm_pps", "before": [make, light], "do": ["open", "/sys/class/net/vm5/vmq/storm_pps", "1000"],
           "undo": [end, make, light], "after": [end]}
    # Without memory it waits for a queue, and says why.
    yield {"name": "queue_weight, the free queue", "do": write("vm4", "queue_weight", "50"), "partly": True,
           "undo": [write("vm4", "queue_weight", "0")], "after": [write("vm4", "queue_weight", "0")], **queue}
    # The loser's queue is free a moment later, and taken then, by a worker.
    taken = ["write", h.rxq(spare, "state"), "allocate"]
    yield {"name": "queue_weight, another's queue", "before": [taken], "do": write("vm4", "queue_weight", "99"),
           "undo": [write("vm4", "queue_weight", "0")], "certain": True,
           "after": [write("vm4", "queue_weight", "0"), ["write", h.rxq(spare, "state"), "free"]]}


@pytest.fixture
def crowded(faulty):
    """The host with ports as operations() wants them, and the free queue."""
    g = faulty
    h = Host(g)
    # Fewer buffers to fill, which are all alike.
    g.run(f"ethtool -G {h.dev} rx 64 tx 128")
    h.must(*[[f"{h.vmq}/allocate", f"guest-{n}"] for n in range(3)])
    h.ports([A, B, C])
    h.port("vm4", D)
    spare = h.port_queue("vm4")
    # The interrupt of a queue that has run once is seen from then on.
    h.must(["/sys/class/net/vm4/vmq/queue_weight", "0"], ["/sys/class/net/vm2/vmq/vlan", "7,8"])
    with contextlib.nullcontext() if FULL else ours_alone(g):
        yield h, spare
    if g.alive and not g.failed:
        g.run(f"ethtool -G {h.dev} rx 512 tx 512")
        clean(g)
        topology.unload(g)


@pytest.mark.kernel("debug")
def test_operations(crowded):
    """Ports, addresses, VLANs, guards, limits, mirrors, weights: each allocation fails in turn."""
    h, spare = crowded
    before = h.dump()
    for o in operations(h, spare):
        # Without the kernel's own, what cannot fail has none.
        least = 1 if FULL or not o.get("certain") else 0
        for _ in range(SWEEPS):
            refused = check_operation(h, ports=PORTS, alone=ALONE, least=least, **o)
            # The short form of a queue's many sites may find those alone that it can do without.
            if refused or o.get("certain") or (o.get("partly") and not FULL):
                break
        else:
            pytest.fail(f"{o['name']}: nothing of the driver's failed")
    assert not differences(before, h.dump())
    with h.taps("vm1", "vm2") as t:
        h.send(A, range(20))
        h.send(B, range(20, 40), vlan=8)
        t.wait(40)
    assert t.serials("vm1") == list(range(20)) and t.serials("vm2") == list(range(20, 40))


@pytest.mark.kernel("debug")
def test_wishes(crowded):
    """Groups and addresses that programs on a port want, or do no more: without memory it takes a moment longer."""
    h, _ = crowded
    before = h.dump()
    joined = sweep(h.g, "join", port="vm1", sender="vm3", groups=GROUPS, other=OTHER)
    say(f"    of those all groups were heard for a while after {joined['all']}")
    # What is refused is the kernel's own: the driver goes on without.
    assert joined["survived"], "nothing of the driver's failed"
    for drop in (False, True):
        sweep(h.g, "want", "an address goes" if drop else "an address", uplink=h.dev, port="vm1", mac=F, drop=drop)
    assert not differences(before, h.dump())
