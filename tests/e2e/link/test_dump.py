# SPDX-License-Identifier: GPL-2.0-only
"""scripts/vmq-dump: what it shows, to whom, and what it says of what is no uplink."""

from tests.e2e.link.lib import DUMP, Stream, say, vm_mac
from tests.vm import topology

A, B, C, D = (vm_mac(n) for n in range(1, 5))
NOBODY = "setpriv --reuid 65534 --regid 65534 --clear-groups"
# For users who may not look into the checkout.
COPY = "/run/vmq-dump"


def configure(h):
    h.port("vm1", A, (B, 7))
    h.port("vm2", C)
    assert h.ntuple(f"flow-type ether dst {D} vlan 0 m 0xf000 action 5") == ""


def test_dump_shows_each_change(host):
    """Every kind of setting is in vmq-dump: each change shows, and what is taken back shows no more."""
    h = host
    configure(h)
    # So that no queue is on CPU 0.
    h.pin(5, 1)
    usecs, cpu = h.out(f"ethtool -c {h.dev} | grep rx-usecs:").split()[1], h.read(h.rxq(5, "cpu"))
    changes = {
        "a name": (h.put, (h.rxq(5, "vm_name"), "database"), (h.rxq(5, "vm_name"), "queue-5")),
        "a CPU": (h.pin, (5, (int(cpu) + 1) % 4), (5, int(cpu))),
        "a policy": (h.put, (h.rxq(5, "cpu_policy"), "hint"), (h.rxq(5, "cpu_policy"), "strict")),
        "the CPUs": (h.put, (f"{h.vmq}/cpus", "1-3"), (f"{h.vmq}/cpus", "auto")),
        "a shared interrupt": (h.put, (f"{h.vmq}/coalesce_shared", "1"), (f"{h.vmq}/coalesce_shared", "0")),
        "a filter": (h.put, (h.rxq(5, "filter_add"), f"{D} vlan 9"), (h.rxq(5, "filter_del"), f"{D} vlan 9")),
        "a state": (h.put, (h.rxq(6, "state"), "allocate"), (h.rxq(6, "state"), "free")),
        "a port's address": (h.out, ("bridge fdb add 52:54:00:00:17:0f dev vm2 self",),
                             ("bridge fdb del 52:54:00:00:17:0f dev vm2 self",)),
        "the host's address": (h.out, (f"bridge fdb add 52:54:00:00:17:0e dev {h.dev} self",),
                               (f"bridge fdb del 52:54:00:00:17:0e dev {h.dev} self",)),
        "an MTU": (h.out, ("ip link set vm1 mtu 1400",), ("ip link set vm1 mtu 1500",)),
        "a rate": (h.out, (f"ethtool -Q {h.dev} queue_mask 0x20 --coalesce rx-usecs 99",),
                   (f"ethtool -Q {h.dev} queue_mask 0x20 --coalesce rx-usecs {usecs}",)),
        "a rate by load": (h.out, (f"ethtool -Q {h.dev} queue_mask 0x20 --coalesce adaptive-rx on",),
                           (f"ethtool -Q {h.dev} queue_mask 0x20 --coalesce adaptive-rx off",)),
        "an offer": (h.out, (f"ethtool -s {h.dev} autoneg on advertise 0x28",), (f"ethtool -s {h.dev} autoneg on",)),
        "a speed": (h.out, (f"ethtool -s {h.dev} autoneg off speed 100 duplex half",), (f"ethtool -s {h.dev} autoneg on",)),
        "a ring": (h.out, (f"ethtool -G {h.dev} rx 256",), (f"ethtool -G {h.dev} rx 512",)),
        "a port's namespace": (h.out, ("ip netns add blue && ip link set vm2 netns blue && ip -n blue link set vm2 up",),
                               ("ip -n blue link set vm2 netns 1 && ip link set vm2 up && ip netns del blue",)),
    }
    before = h.dump()
    wrong = []
    for what, (change, there, back) in changes.items():
        change(*there)
        if h.dump() == before:
            wrong.append(f"{what} does not show")
        change(*back)
        topology.wait_carrier(h.g, h.dev)
        if (now := h.dump()) != before:
            wrong.append(f"{what}: still {[line for line in now if line not in before]}")
    assert not wrong, "\n".join(wrong)
    say(f"{len(before)} lines, {len(changes)} kinds of change seen")


def test_dump_has_no_counter(host):
    """Traffic changes no byte of it; and a plain user sees what root sees."""
    h = host
    configure(h)
    before = h.dump()
    with h.taps("vm1") as t, Stream(h, t, A) as s:
        s.wait_sent(100)
        h.send(C, range(100))
        h.send(D, range(100), vlan=3)
        h.send(h.mac, range(100))
        assert h.dump() == before
    assert h.put(h.rxq(3, "filter_add"), A), "a refusal, which last_error tells of"
    assert h.dump() == before
    # Two moves that end where they began.
    cpu = h.read(h.rxq(5, "cpu"))
    made = int(h.read(h.rxq(5, "cpu_moves")))
    h.pin(5, (int(cpu) + 1) % 4)
    h.pin(5, cpu)
    assert h.dump() == before and int(h.read(h.rxq(5, "cpu_moves"))) == made + 2
    r = h.g.run(f"install -m 755 {DUMP} {COPY} && {NOBODY} {COPY} {h.dev}")
    assert r.stdout.splitlines() == before
    assert "left out ports in namespace peer" in r.stderr
    for path in (h.rxq(5, "filters"), h.rxq(5, "cpu"), "/sys/class/net/vm1/vmq/queue"):
        text = h.read(path).rsplit(" ", path.endswith("filters"))[0]
        assert f"{path}: {text}" in before
    assert f"bridge fdb show dev vm1: {B} dev vm1 vlan 7 self permanent" in before
    irq = h.queue(5)["irq"]
    assert f"/proc/irq/{irq}/effective_affinity_list: {h.read(h.rxq(5, 'cpu_effective'))}" in before


def test_dump_of_all_and_of_none(host):
    """Without a name it shows all uplinks; what is none is refused."""
    h = host
    h.port("vm1", A)
    other = topology.wait_netdev(h.g, 1)
    first, second = sorted([h.dev, other])
    assert h.out(DUMP) == h.out(f"{DUMP} {first} {second}")
    assert other in h.out(DUMP)
    for name, words in (("lo", "lo has no VMQ"), ("vm1", "vm1 has no VMQ"), ("none", "there is no interface none"),
                        ("-x", "vmq-dump [UPLINK...]")):
        r = h.g.run(f"{DUMP} {name}", check=False)
        assert r.rc == 2 and words in r.stderr and not r.stdout
