# SPDX-License-Identifier: GPL-2.0-only
"""What a port wants to hear: groups, addresses of what stands on it, what is nobody's; and how much of it."""

import json

from tests.e2e.link.lib import OUTSIDE, Host, Stream, describe_stream, say, tool, vm_mac, wait_for
from tests.e2e.link.test_namespace import users_namespace
from tests.e2e.link.test_scenarios import running_queue
from tests.e2e.link.test_traffic import addresses, check_pings, configure, vm_in_netns
from tests.e2e.vswitch.test_attach import start
from tests.e2e.vswitch.test_forwarding import GROUP, STRANGER, fence, on_wire, send_from, watching
from tests.vm import topology
from tests.vm.wire import parse

A, B, C, D = (vm_mac(n) for n in range(1, 5))
LLDP = "01:80:c2:00:00:0e"
ON_TOP = "52:54:00:00:55:01"
MAX = 64
N = 20
LAST = 999999


def from_everywhere(h, dst, first, taps, vlan=None):
    """N frames each from the wire, port vm1 and the host to dst; {tap: serials}, sorted, and those on the wire.
    On each way a last frame to each tap follows: what came before it is there, or never will be."""
    macs = {"vm1": A, "vm2": B, "vm3": C}

    def frames(name, src, serial):
        yield {"dst": dst, "src": src, "serial": serial, "count": N, **({"vlan": vlan} if vlan else {})}
        for tap in taps:
            if tap != name:
                yield {"dst": macs[tap], "src": src, "serial": LAST - 1, "count": 1}
        yield {"dst": OUTSIDE, "src": src, "serial": LAST, "count": 1}

    with watching(h, *taps) as (t, out):
        h.send(dst, range(first, first + N), vlan=vlan)
        for tap in taps:
            h.send(macs[tap], [LAST - 1])
        for name, src, serial in (("vm1", A, first + 100), (h.dev, h.mac, first + 200)):
            tool(h.g, "send", interface=name, frames=list(frames(name, src, serial)))
        wait_for("the last frames are out", lambda: [parse(frame).serial for frame in out].count(LAST) == 2)
        lasts = 3 * len(taps) - ("vm1" in taps)
        wait_for("the last frames came", lambda: t.count() >= lasts)
        # A tap's count may be of others: it costs a second when none are to come.
        t.wait(lasts + 3 * N * len(taps), 1)
    assert sum(f.serial == LAST - 1 for f in t.frames) == lasts
    return {tap: sorted(s for s in t.serials(tap) if s < LAST - 1) for tap in taps}, on_wire(out)


def all_of(first):
    return [s for part in (0, 100, 200) for s in range(first + part, first + part + N)]


def promiscuity(h, *names):
    text = h.out("ip -d -j link show")
    found = {link["ifname"]: link["promiscuity"] for link in json.loads(text)}
    return [found[name] for name in names]


def entries(h, port):
    return [line.split()[0] for line in h.out(f"bridge fdb show dev {port}").splitlines()]


def refused(h, port):
    return int(h.port_file(port, "addresses_refused"))


def test_groups(host):
    """A group's frames reach the ports that have joined it, from wire, port and host; all-multicast has joined all."""
    h = host
    h.ports([A, B, C])
    h.join(GROUP, "vm2")
    got, wire = from_everywhere(h, GROUP, 0, ("vm1", "vm2", "vm3"))
    assert got == {"vm1": [], "vm2": all_of(0), "vm3": []}
    assert wire == [*range(100, 100 + N), *range(200, 200 + N)]
    h.g.run("ip link set vm3 allmulticast on")
    h.join(GROUP, "vm2", verb="del")
    got, _ = from_everywhere(h, GROUP, 1000, ("vm1", "vm2", "vm3"))
    assert got == {"vm1": [], "vm2": [], "vm3": all_of(1000)}
    h.g.run("ip link set vm3 allmulticast off")
    got, _ = from_everywhere(h, GROUP, 2000, ("vm2", "vm3"))
    assert got == {"vm2": [], "vm3": []}
    say("joined, not joined, left, all-multicast on and off: as the port wants")


def test_promiscuous(host):
    """A promiscuous port hears what is nobody's in its VLANs, from wire, port and host, and nothing else."""
    h = host
    h.ports([A, B, C])
    running_queue(h, 5, D)
    got, _ = from_everywhere(h, STRANGER, 0, ("vm2", "vm3"))
    assert got == {"vm2": [], "vm3": []}
    h.g.run("ip link set vm2 promisc on")
    got, wire = from_everywhere(h, STRANGER, 1000, ("vm2", "vm3"))
    assert got == {"vm2": all_of(1000), "vm3": []}
    assert wire == [*range(1100, 1100 + N), *range(1200, 1200 + N)]
    got, _ = from_everywhere(h, GROUP, 2000, ("vm2",))
    assert got["vm2"] == all_of(2000)
    # What is somebody's: another port's, the host's, a queue's by number; and another VLAN's.
    for first, dst in ((3000, C), (4000, h.mac), (5000, D)):
        got, _ = from_everywhere(h, dst, first, ("vm2",))
        assert got["vm2"] == [], dst
    h.g.run(f"bridge fdb add {B} vlan 7 dev vm2 self")
    for first, vlan, came in ((5300, 9, []), (5600, 7, all_of(5600))):
        got, _ = from_everywhere(h, STRANGER, first, ("vm2",), vlan)
        assert got["vm2"] == came, vlan
    assert promiscuity(h, h.dev, "vm1", "vm2", "vm3") == [0, 0, 1, 0]
    h.g.run("ip link set vm2 promisc off")
    got, _ = from_everywhere(h, STRANGER, 6000, ("vm2",))
    assert got["vm2"] == []


def test_passthru(host):
    """A passthru macvlan has all groups for its VM, and what is nobody's only if the port was asked for it."""
    h = host
    h.ports([A, B])
    h.g.run("ip link add link vm2 name mv0 type macvlan mode passthru && ip link set mv0 up")
    assert promiscuity(h, "vm2", h.dev) == [1, 0]
    got, _ = from_everywhere(h, GROUP, 0, ("vm2",))
    assert got["vm2"] == all_of(0)
    got, _ = from_everywhere(h, STRANGER, 1000, ("vm2",))
    assert got["vm2"] == []
    h.g.run("ip link set mv0 down && ip link set vm2 promisc on && ip link set mv0 up")
    got, _ = from_everywhere(h, STRANGER, 2000, ("vm2",))
    assert got["vm2"] == all_of(2000)


def test_macvlan(host):
    """A macvlan's address is an entry of its port while it is up, filter and all; the owner's word comes first."""
    h, g = host, host.g
    h.ports([A, B])
    g.run(f"ip link add link vm1 name mv0 address {ON_TOP} type macvlan mode bridge && ip link set mv0 up")
    wait_for("the entry is there", lambda: entries(h, "vm1") == [A, ON_TOP])
    assert [line.split()[1] for line in h.queue(h.port_queue("vm1"))["filters"].splitlines()] == [A, ON_TOP]
    with watching(h, "mv0") as (t, out):
        h.send(ON_TOP, range(N))
        send_from(h, "vm2", ON_TOP, B, list(range(100, 100 + N)))
        send_from(h, h.dev, ON_TOP, h.mac, list(range(200, 200 + N)))
        t.wait(3 * N)
        fence(h, out, "vm2", B)
    assert sorted(t.serials("mv0")) == all_of(0) and not on_wire(out)
    assert promiscuity(h, h.dev, "vm1", "vm2") == [0, 0, 0]
    r = g.run(f"bridge fdb del {ON_TOP} dev vm1 self", check=False)
    say(r.stderr.strip())
    assert r.rc and "a device on the port" in r.stderr
    # The owner's from now on: it stays when the macvlan goes.
    g.run(f"bridge fdb add {ON_TOP} dev vm1 self && ip link del mv0")
    g.run(f"ip link add link vm1 name mv1 address {C} type macvlan mode bridge && ip link set mv1 up")
    wait_for("the next entry is there", lambda: entries(h, "vm1") == [A, ON_TOP, C])
    g.run(f"bridge fdb del {ON_TOP} dev vm1 self && ip link del mv1")
    wait_for("both are gone", lambda: entries(h, "vm1") == [A])


def test_others_address(host):
    """Another port's address, wanted by a macvlan, is refused and counted, and goes on reaching that port."""
    h, g = host, host.g
    h.ports([A, B])
    with h.taps("vm1", "vm2") as t, Stream(h, t, B, rate=300) as s:
        s.wait_sent(50)
        g.run(f"ip link add link vm1 name mv0 address {B} type macvlan mode bridge && ip link set mv0 up")
        wait_for("it is refused", lambda: refused(h, "vm1") == 1)
        s.wait_sent(50)
    assert describe_stream(list(range(s.sent)), t.serials("vm2")) is None
    assert t.serials("vm1") == [] and entries(h, "vm1") == [A]
    # Its reason gone, it is had without asking again.
    h.delete("vm2")
    wait_for("vm1 has the address", lambda: entries(h, "vm1") == [A, B] and refused(h, "vm1") == 0)
    g.run("ip link del mv0")
    wait_for("and gives it back", lambda: entries(h, "vm1") == [A])


def test_limits(host):
    """Of addresses and groups a port gets 64; the rest is refused and counted, and a neighbour notices nothing."""
    h, g = host, host.g
    for n in range(1, 8):
        h.must([h.rxq(n, "state"), "allocate"])
    h.ports([A, B])
    first, group = "52:54:00:00:56:00", "33:33:00:00:56:00"
    had = h.out("ip maddr show dev vm1").count("link")
    with h.taps("vm1", "vm2") as t:
        with Stream(h, t, B, rate=300) as s:
            s.wait_sent(20)
            jobs = [start(g, "want", "vm1", "unicast", first, MAX + 1), start(g, "want", "vm1", "group", group, MAX + 1)]
            wait_for("one is refused", lambda: refused(h, "vm1") == 1)
            s.wait_sent(50)
        mine = s.sent
        for last, serial in ((MAX - 1, 10**6), (MAX, 2 * 10**6)):
            h.send(f"{first[:-2]}{last:02x}", range(serial, serial + N))
            h.send(f"{group[:-2]}{last - had - 1:02x}", range(serial + 100, serial + 100 + N))
        h.send(f"{group[:-2]}{MAX:02x}", range(3 * 10**6, 3 * 10**6 + N))
        t.wait(mine + 3 * N)
        h.send(A, [LAST])
        t.wait(mine + 3 * N + 1)
    assert describe_stream(list(range(mine)), t.serials("vm2")) is None
    assert len(entries(h, "vm1")) == MAX + 1
    count = int(h.port_file("vm1", "groups_refused"))
    say(f"64 addresses, 1 refused; {had} groups before, {count} refused")
    heard = sorted(set(s for s in t.serials("vm1") if s != LAST))
    assert heard[:N] == list(range(10**6, 10**6 + N)), "the last address"
    assert not [s for s in heard if s in range(2 * 10**6, 2 * 10**6 + N)], "an address beyond the limit"
    assert not [s for s in heard if s >= 3 * 10**6], "a group beyond the limit"
    assert count == had + 1 and [s for s in heard if s in range(10**6 + 100, 10**6 + 100 + N)], "a group within it"
    for job in jobs:
        job.stop(9)
    wait_for("all are given back", lambda: entries(h, "vm1") == [A] and refused(h, "vm1") == 0)
    assert h.port_file("vm1", "groups_refused") == "0"


def test_slots_full(host):
    """A port with a queue gets what the NIC has slots for; what it lacks comes when there is room again."""
    h, g = host, host.g
    h.ports([A, B])
    g.run(f"for mac in {C} {D}; do bridge fdb add $mac dev vm2 self || exit; done")
    free = int(h.read(f"{h.vmq}/mac_filters_free"))
    job = start(g, "want", "vm1", "unicast", "52:54:00:00:56:00", free + 2)
    wait_for("two are refused", lambda: refused(h, "vm1") == 2)
    assert len(entries(h, "vm1")) == free + 1 and h.port_queue("vm1")
    # What its neighbour does without is had, with nobody asking.
    g.run(f"for mac in {C} {D}; do bridge fdb del $mac dev vm2 self || exit; done")
    wait_for("there is room", lambda: refused(h, "vm1") == 0)
    assert len(entries(h, "vm1")) == free + 3
    job.stop(9)
    wait_for("all are given back", lambda: entries(h, "vm1") == [A])
    assert int(h.read(f"{h.vmq}/mac_filters_free")) == free + 2


def test_link_local(host):
    """LLDP passes a port that the owner lets have it, both ways, and no other; what is the link's own is never let."""
    h, path = host, "/sys/class/net/vm1/vmq/link_local"
    h.ports([A, B])
    h.join(LLDP, "vm1", "vm2")
    got, wire = from_everywhere(h, LLDP, 0, ("vm1", "vm2"))
    assert got == {"vm1": [], "vm2": []} and wire == list(range(200, 200 + N))
    assert h.read(path) == "0x0"
    for text in ("1", "2", "0x4", "0x4001", "65536", "x", " "):
        assert h.put(path, text) == "EINVAL", text
    h.must([path, "0x4000"])
    assert h.read(path) == "0x4000"
    got, wire = from_everywhere(h, LLDP, 1000, ("vm1", "vm2"))
    assert got["vm1"] == [*range(1000, 1000 + N), *range(1200, 1200 + N)] and got["vm2"] == []
    assert wire == [*range(1100, 1100 + N), *range(1200, 1200 + N)]
    h.must(["/sys/class/net/vm2/vmq/link_local", "16384"])
    got, _ = from_everywhere(h, LLDP, 2000, ("vm2",))
    assert got["vm2"] == all_of(2000)
    h.must([path, "0"])
    got, wire = from_everywhere(h, LLDP, 3000, ("vm1", "vm2"))
    assert got["vm1"] == [] and got["vm2"] == [*range(3000, 3000 + N), *range(3200, 3200 + N)]
    assert wire == list(range(3200, 3200 + N))


def test_container(host):
    """A container's root joins groups; no device on its port gets an address, and nothing that is nobody's is heard."""
    h, g = host, host.g
    h.ports([A, B])
    with users_namespace(g, "tenant") as enter:
        g.run(f"modprobe macvlan && ip link set vm2 netns tenant && {enter} ip link set vm2 up && {enter} ip maddr add {GROUP} dev vm2")
        topology.wait_carrier(g, "vm2", netns="tenant")
        g.run(f"{enter} ip link set vm2 promisc on && {enter} ip link add link vm2 name mv0 address {C} type macvlan"
              f" mode bridge && {enter} ip link set mv0 up")
        text = "mount -t sysfs none /mnt; cat /mnt/class/net/vm2/vmq/addresses_refused"
        wait_for("it is refused", lambda: g.out(f"{enter} bash -c '{text}'") == "1")
        assert C not in h.queue(h.port_queue("vm1"))["filters"] + g.out("bridge -n tenant fdb show dev vm2")
        with h.taps("tenant/vm2", h.dev) as t:
            h.send(STRANGER, range(N))
            h.send(C, range(100, 100 + N))
            send_from(h, "vm1", STRANGER, A, list(range(200, 200 + N)))
            h.send(GROUP, range(300, 300 + N))
            h.send(B, range(400, 400 + N))
            t.wait(5 * N)
        # By two rings, which keep no order among each other.
        assert sorted(t.serials("tenant/vm2")) == [*range(300, 300 + N), *range(400, 400 + N)]
        # The owner's entry is another thing.
        g.run(f"nsenter --net=/run/netns/tenant bridge fdb add {C} dev vm2 self")
        with h.taps("tenant/vm2") as t:
            h.send(C, range(N))
            t.wait(N)
        assert t.serials("tenant/vm2") == list(range(N))
    wait_for("the port goes with its namespace", lambda: not g.files("/sys/class/net/vm2"))


def test_neighbours(hub):
    """IPv6 finds by itself that an address is taken, by another VM and across the wire, and that one is not."""
    h, g = hub, hub.g
    vm_in_netns(h, "vm1", A, 1, tagged=False)
    vm_in_netns(h, "vm2", B, 3, tagged=False)
    configure(g, "peer", "peer0", 2, tagged=False)
    mine, theirs, free = (addresses(n)[1] for n in (1, 2, 77))
    g.run("; ".join(f"ip -n vm2 -6 addr add {a}/64 dev vm2 || exit" for a in (mine, theirs, free)))

    def states():
        lines = g.out("ip -n vm2 -6 -o addr show dev vm2").splitlines()
        return {a: next(line for line in lines if f" {a}/64" in line) for a in (mine, theirs, free)}

    wait_for("all are decided", lambda: all("dadfailed" in line or "tentative" not in line for line in states().values()))
    assert [a for a, line in states().items() if "dadfailed" in line] == [mine, theirs]
    check_pings(g, "vm1", [addresses(2)[1], addresses(3)[1], free])
    check_pings(g, "peer", [mine, free])
    assert promiscuity(h, h.dev) == [0]


def test_ends_while_pending(host):
    """Ports, and their uplink, go while what stands on them has just asked for addresses."""
    h, g = host, host.g
    make = (
        f"ip link add link {h.dev} name vm1 address {A} type vmq && ip link set vm1 up && ip link add link vm1 name mv0"
        f" address {ON_TOP} type macvlan mode bridge && ip link set mv0 up"
    )
    g.run(f"for i in {{1..15}}; do {make} && ip link del vm1 || exit; done", timeout=120)
    g.run(f"for i in {{1..10}}; do {make} && ip link del mv0 && ip link del vm1 || exit; done", timeout=120)
    wait_for("the queues are free", lambda: h.read(f"{h.vmq}/queues_free") == "7")
    g.run(f"{make} && echo {g.pci(0)} >/sys/bus/pci/drivers/vmq_igb/unbind")
    assert not g.files("/sys/class/net/vm1", "/sys/class/net/mv0")
    g.run(f"echo {g.pci(0)} >/sys/bus/pci/drivers/vmq_igb/bind")
    again = Host(g)
    again.ports([A, B])
    again.join(GROUP, "vm1")
    with again.taps("vm1", "vm2") as t:
        again.send(GROUP, range(N), src=OUTSIDE)
        again.send(B, range(100, 100 + N))
        t.wait(2 * N)
    assert t.serials("vm1") == list(range(N)) and t.serials("vm2") == list(range(100, 100 + N))
