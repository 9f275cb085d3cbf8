# SPDX-License-Identifier: GPL-2.0-only
"""What ethtool says and sets on an uplink and a port, and that sysfs and bridge
say the same. Offloads are in test_traffic.py, refused rules in test_refusals.py."""

import os
import re
import time

import pytest

from tests.e2e.link.lib import OUTSIDE, POOLS, RX_USECS, delta, errno_of, say, tool, vm_mac, wait_for
from tests.vm import topology
from tests.vm.wire import eth

A, B, C, D, E = (vm_mac(n) for n in range(1, 6))
QUEUE_STATS = {
    **{f"{d}_{name}": f"{d}_queue_{{}}_{name}" for d in ("rx", "tx") for name in ("packets", "bytes", "dropped")},
    "rx_checked": "rx_queue_{}_checked",
    "rx_mismatch": "rx_queue_{}_mismatch",
    **{f"rx_dropped_{why}": f"rx_queue_{{}}_dropped_{why}" for why in ("bad", "long", "nomem", "stopped")},
    **{f"tx_dropped_{why}": f"tx_queue_{{}}_dropped_{why}" for why in ("full", "invalid", "nomem", "stopped")},
}
HIDDEN_STATS = tuple(f"rx_queue_{{}}_{name}" for name in ("alloc_fail", "nic_packets", "nic_missed", "interval")) + ("tx_queue_{}_stops",)
# The longest interval the NIC can be told, microseconds.
USECS_MAX = 8191


def settings(text):
    """{name: value} of ethtool's lines "name: value"."""
    return {k.strip(): v.strip() for k, _, v in (line.partition(":") for line in text.splitlines()) if v.strip()}


def refused(h, command):
    """Errno's name of an ethtool command that must not be accepted."""
    r = h.g.run(f"ethtool {command}", check=False)
    said = (r.stdout + r.stderr).strip()
    say(f"ethtool {command}: {said}")
    # ethtool's own status is 0 when the kernel refused -Q.
    assert r.rc or errno_of(said), f"ethtool {command} was accepted"
    return errno_of(said)


def check_link(h, dev, up):
    shown = settings(h.g.out(f"ethtool {dev}"))
    wanted = ("1000Mb/s", "Full", "yes") if up else ("Unknown!", "Unknown! (255)", "no")
    assert (shown["Speed"], shown["Duplex"], shown["Link detected"]) == wanted, shown
    assert shown["Auto-negotiation"] == "on" and shown["Port"] == "Twisted Pair", shown


def test_identity_and_link(host):
    """ethtool -i, link settings of uplink and port, and -r, which refuses a NIC that is down."""
    h = host
    h.port("vm1", A)
    who = settings(h.g.out(f"ethtool -i {h.dev}"))
    assert who["driver"] == "vmq_igb" and who["bus-info"] == h.g.pci(0), who
    assert who["version"] == h.g.out("uname -r"), who
    who = settings(h.g.out("ethtool -i vm1"))
    # Whose container it is in is not told of the host's NIC.
    assert who["driver"] == "vmq_vswitch" and "bus-info" not in who, who
    for dev in (h.dev, "vm1"):
        check_link(h, dev, True)

    changes = int(h.read(f"/sys/class/net/{h.dev}/carrier_down_count"))
    h.g.run(f"ethtool -r {h.dev}")
    wait_for("the link goes down to negotiate", lambda: int(h.read(f"/sys/class/net/{h.dev}/carrier_down_count")) > changes, 10)
    for dev in (h.dev, "vm1"):
        topology.wait_carrier(h.g, dev)
        check_link(h, dev, True)
    with h.taps("vm1") as t:
        h.send(A, range(20))
        t.wait(20)
    assert t.serials("vm1") == list(range(20))

    h.g.run(f"ip link set {h.dev} down")
    for dev in (h.dev, "vm1"):
        check_link(h, dev, False)
    assert refused(h, f"-r {h.dev}") == "ENETDOWN"
    assert refused(h, "-r vm1") == "EOPNOTSUPP"


GIGABIT, FAST, SLOW = "1000baseT/Full", ("100baseT/Half", "100baseT/Full"), ("10baseT/Half", "10baseT/Full")
# Registers of the PHY (IEEE 802.3, 22.2.4), and the bits that say speed, duplex, negotiation, and what is offered.
CONTROL, OFFER, GIGABIT_CONTROL = 0, 4, 9
# All that the 82576 has, as ethtool counts modes.
EVERYTHING = 0x2F
MODE, OFFERS, PAUSE, GIGABIT_OFFERS = 0x3140, 0x1E0, 0xC00, 0x300


class Phy:
    """What the PHY is told meanwhile, in QEMU's own words; a context manager."""

    def __init__(self, h):
        self.g = h.g

    def log(self, what):
        self.g.qmp("human-monitor-command", **{"command-line": f"log {what}"})

    def __enter__(self):
        self.log("trace:igb_core_mdic_write")
        self.start = self.size()
        return self

    def __exit__(self, *_):
        self.log("none")

    def size(self):
        return os.path.getsize(f"{self.g.logs}/qemu.log")

    def forget(self):
        self.start = self.size()

    def told(self):
        """{register: what was written to it last}."""
        with open(f"{self.g.logs}/qemu.log", errors="replace") as f:
            f.seek(self.start)
            said = re.findall(r"PHY\[(\d+)\] = 0x([0-9a-fA-F]+)", f.read())
        return {int(register): int(value, 16) for register, value in said}


def link_settings(h):
    """(speed, duplex, autonegotiation, set of offered modes, set of the partner's) as ethtool shows them."""
    text = h.g.out(f"ethtool {h.dev}")
    shown = settings(text)

    def modes(title):
        block = re.search(rf"^\t{title} link modes:((?:\s+\S*base\S+|\s+Not reported)+)$", text, re.M)
        return set(block[1].split()) - {"Not", "reported"} if block else set()

    ours, theirs = modes("Advertised"), modes("Link partner advertised")
    return shown["Speed"], shown["Duplex"], shown["Auto-negotiation"], ours, theirs


def flaps(h):
    return int(h.read(f"/sys/class/net/{h.dev}/carrier_changes"))


def replug(h):
    """The cable out and in again: an emulated NIC that does not negotiate looks for a link then only."""
    for up in (False, True):
        h.g.qmp("set_link", name=f"nic{h.nic}", up=up)
        wait_for(f"carrier {int(up)}", lambda up=up: h.read(f"/sys/class/net/{h.dev}/carrier") == str(int(up)), 20)


def check_frames(h):
    with h.taps("vm1") as t:
        h.send(A, range(20))
        t.wait(20)
    assert t.serials("vm1") == list(range(20))


def test_link_settings(host):
    """ethtool -s: what is offered or forced is what the PHY is told, is kept, and the link flaps for changes alone."""
    h = host
    h.port("vm1", A)
    everything = {GIGABIT, *FAST, *SLOW}
    speed, duplex, auto, ours, theirs = link_settings(h)
    assert (speed, duplex, auto, ours) == ("1000Mb/s", "Full", "on", everything)
    assert "100baseT/Full" in theirs, "the partner's modes are not shown"
    reset = f"echo 1 >/sys/bus/pci/devices/{h.g.pci(h.nic)}/reset"
    down_and_up = f"ip link set {h.dev} down && ip link set {h.dev} up"
    try:
        with Phy(h) as phy:
            check_same(h, phy, "autoneg on", f"advertise {EVERYTHING:#x}")
            check_offers(h, phy, reset, down_and_up)
            check_forced(h, phy, reset, down_and_up)
            check_same(h, phy, "autoneg off speed 100 duplex full")
        assert refused(h, f"-r {h.dev}") == "EINVAL" and h.last_error().startswith("autonegotiation is off")
    finally:
        h.g.run(f"ethtool -s {h.dev} autoneg on", check=False)
        topology.wait_carrier(h.g, h.dev)
        wait_for("negotiated", lambda: link_settings(h)[:3] == ("1000Mb/s", "Full", "on"), 20)
    wait_for("the link is back", lambda: link_settings(h) == (speed, duplex, auto, ours, theirs), 20)
    topology.wait_carrier(h.g, "vm1")
    check_frames(h)


def check_same(h, phy, *same):
    """Nothing changes, so nothing flaps, and nobody talks to the PHY."""
    before = flaps(h)
    phy.forget()
    for settings_again in same:
        h.g.run(f"ethtool -s {h.dev} {settings_again}")
    time.sleep(1.5)
    assert flaps(h) == before and not phy.told(), "the link is set up for nothing"


def check_offers(h, phy, *changes):
    """Some modes alone are offered, also after what resets the NIC."""
    for offered, wanted, bits in (("0x20", {GIGABIT}, 0), ("0x2c", {GIGABIT, *FAST}, 0x180)):
        before = flaps(h)
        phy.forget()
        h.g.run(f"ethtool -s {h.dev} autoneg on advertise {offered}")
        wait_for("the link is negotiated anew", lambda n=before: flaps(h) >= n + 2, 20)
        assert link_settings(h)[2:4] == ("on", wanted)
        check_offered(phy, bits)
    for change in changes:
        phy.forget()
        h.g.run(change)
        topology.wait_carrier(h.g, h.dev)
        assert link_settings(h)[2:4] == ("on", wanted), f"not kept: {change}"
        check_offered(phy, bits)


def check_offered(phy, bits):
    told = phy.told()
    assert told[OFFER] & (OFFERS | PAUSE) == bits and told[GIGABIT_CONTROL] & GIGABIT_OFFERS == 0x200, told
    assert told[CONTROL] & 0x1000, told


def check_forced(h, phy, *changes):
    """Speed and duplex without negotiation, also after what resets the NIC."""
    for speed, duplex, bits in (("100", "half", 0x2000), ("10", "full", 0x0100), ("10", "half", 0), ("100", "full", 0x2100)):
        phy.forget()
        h.g.run(f"ethtool -s {h.dev} autoneg off speed {speed} duplex {duplex}")
        forced = (f"{speed}Mb/s", duplex.capitalize(), "off")
        wait_for(f"{forced} is in effect", lambda f=forced: link_settings(h)[:3] == f, 10)
        wait_for("the PHY is told", lambda b=bits: phy.told().get(CONTROL, MODE) & MODE == b, 10)
    check_frames(h)
    for change in changes:
        phy.forget()
        h.g.run(change)
        assert link_settings(h)[:3] == forced, f"not kept: {change}"
        wait_for("the PHY is told", lambda: phy.told().get(CONTROL, MODE) & MODE == bits, 10)
        replug(h)
        speed, duplex, auto, _, theirs = link_settings(h)
        # With the carrier the speed is the MAC's own.
        assert (speed, duplex, auto) == forced and not theirs
    topology.wait_carrier(h.g, "vm1")
    check_frames(h)


def test_link_refusals(host):
    """What the port of the NIC cannot be set to is refused with the reason, and changes nothing; the link stays."""
    h = host
    shown, before = link_settings(h), flaps(h)
    for what, errno, reason in (
        ("autoneg off speed 1000 duplex full", "EINVAL", "1000 Mb/s needs autonegotiation"),
        ("autoneg off speed 2500 duplex full", "EINVAL", "speed is 10 or 100"),
        ("autoneg on advertise 0x30", "EINVAL", "half duplex below 1000 only"),
        ("autoneg on advertise 0x1000", "EINVAL", "offered can be 10, 100 and 1000"),
        ("autoneg on advertise 0x800000000000", "EINVAL", "offered can be 10, 100 and 1000"),
        ("autoneg on speed 1000 duplex half", "EINVAL", "no mode is left"),
        ("port fibre", "EOPNOTSUPP", "twisted pair"),
        ("mdix on", "EOPNOTSUPP", "MDI-X"),
    ):
        assert refused(h, f"-s {h.dev} {what}") == errno
        assert reason in h.last_error(), (what, h.last_error())
    time.sleep(1.5)
    assert link_settings(h) == shown and flaps(h) == before


def test_limits(host):
    """The smallest and largest rings work, one step beyond is refused; channels and RSS are fixed."""
    h = host
    h.port("vm1", A)
    rings = settings(h.g.out(f"ethtool -g {h.dev}").partition("Current")[0])
    assert rings["RX"] == rings["TX"] == "4096", rings
    try:
        for rx, tx in ((64, 128), (4096, 4096)):
            h.g.run(f"ethtool -G {h.dev} rx {rx} tx {tx}")
            topology.wait_carrier(h.g, h.dev)
            now = settings(h.g.out(f"ethtool -g {h.dev}").partition("Current")[2])
            assert (now["RX"], now["TX"]) == (str(rx), str(tx))
            before = h.counters()
            with h.taps("vm1") as t:
                # Around the ring, and never more than half of it in flight.
                step = min(rx // 2, 1024)
                for first in range(0, rx + step, step):
                    h.send(A, range(first, first + step))
                    assert t.wait(first + step) == first + step
                n = h.port_queue("vm1")
                tool(h.g, "send", interface="vm1", frames=[{"dst": OUTSIDE, "src": A, "serial": 0, "count": tx + 64}])
            moved = delta(before, h.counters())
            assert t.serials("vm1") == list(range(rx + step))
            assert moved[f"tx_queue_{n}_packets"] == tx + 64 and f"tx_queue_{n}_dropped" not in moved
        for bad in ("rx 32", "tx 64", "rx 8192", "tx 8192"):
            assert refused(h, f"-G {h.dev} {bad}") == "EINVAL"
    finally:
        h.g.run(f"ethtool -G {h.dev} rx 512 tx 512", check=False)

    channels = h.g.out(f"ethtool -l {h.dev}")
    for part in channels.partition("Current")[::2]:
        assert settings(part)["Combined"] == str(POOLS), channels
    assert refused(h, f"-L {h.dev} combined {POOLS - 1}") == "EOPNOTSUPP"
    assert refused(h, f"-x {h.dev}") == "EOPNOTSUPP"
    assert refused(h, f"-X {h.dev} equal 2") == "EOPNOTSUPP"


def usecs(h):
    """Receive interval of each queue, as ethtool -Q shows it."""
    text = h.g.out(f"ethtool -Q {h.dev} queue_mask {(1 << POOLS) - 1:#x} --show-coalesce")
    return {int(n): int(v) for n, v in re.findall(r"^Queue: (\d+)$.*?^rx-usecs:\s*(\d+)$", text, re.M | re.S)}


def interrupts_of_stream(h, name, mac, n):
    """Interrupts of queue n for a stream of single frames, and its seconds."""
    before, began = h.interrupts()[n], time.monotonic()
    with h.taps(name) as t:
        began = time.monotonic()
        for serial in range(80):
            h.wire.send(eth(mac, OUTSIDE, serial=serial))
            time.sleep(0.001)
        took = time.monotonic() - began
        t.wait(80)
    assert t.serials(name) == list(range(80))
    return sum(h.interrupts()[n]) - sum(before), took


def check_moderated(h, name, mac):
    """At most one interrupt of the port's queue in each interval of USECS_MAX."""
    n = h.port_queue(name)
    raised, took = interrupts_of_stream(h, name, mac, n)
    say(f"queue {n}: {raised} interrupts for 80 frames in {took:.3f} s")
    # The first and the last come on their own, and reading the counts takes some.
    assert raised <= took * 1e6 / USECS_MAX + 4, "the interval is not in effect"


def test_coalesce(host):
    """-C sets all queues, -Q one; the NIC keeps to it, through down and up, new rings and a function reset."""
    h = host
    h.ports([A, B])
    n = h.port_queue("vm1")
    assert set(usecs(h).values()) == {RX_USECS} and len(usecs(h)) == POOLS
    try:
        h.g.run(f"ethtool -C {h.dev} rx-usecs 50")
        assert settings(h.g.out(f"ethtool -c {h.dev}"))["rx-usecs"] == "50"
        assert usecs(h) == dict.fromkeys(range(POOLS), 50)
        h.g.run(f"ethtool -Q {h.dev} queue_mask {1 << n:#x} --coalesce rx-usecs {USECS_MAX}")
        wanted = {q: USECS_MAX if q == n else 50 for q in range(POOLS)}
        assert usecs(h) == wanted

        assert refused(h, f"-C {h.dev} rx-usecs {USECS_MAX + 1}") == "EINVAL"
        assert refused(h, f"-C {h.dev} tx-usecs 5") == "EINVAL"
        assert refused(h, f"-Q {h.dev} queue_mask 0x2 --coalesce rx-usecs {USECS_MAX + 1}") == "EINVAL"
        assert usecs(h) == wanted
        check_moderated(h, "vm1", A)

        for change in (
            f"ip link set {h.dev} down && ip link set {h.dev} up",
            f"ethtool -G {h.dev} rx 256 tx 256",
            # The one that QEMU's model forgets the intervals at.
            f"echo 1 >/sys/bus/pci/devices/{h.g.pci(h.nic)}/reset",
        ):
            h.g.run(change)
            topology.wait_carrier(h.g, h.dev)
            topology.wait_carrier(h.g, "vm1")
            assert usecs(h) == wanted, f"not kept: {change}"
            check_moderated(h, "vm1", A)
    finally:
        h.g.run(f"ethtool -G {h.dev} rx 512 tx 512", check=False)
        h.moderation_back()


def test_statistics(host):
    """ethtool -S: a line for each counter of each queue, the same as in sysfs, counting what was sent."""
    h = host
    h.port("vm1", A)
    h.must([h.rxq(5, "state"), "allocate"], [h.rxq(5, "filter_add"), B], [h.rxq(5, "state"), "commit"])
    n, before = h.port_queue("vm1"), h.counters()
    names = {s.format(q) for q in range(POOLS) for s in (*QUEUE_STATS.values(), *HIDDEN_STATS)}
    assert set(before) == {*names, "tx_timeouts", "resets"}
    uplink = f"/sys/class/net/{h.dev}/statistics"
    sums = h.files(uplink + "/*")
    with h.taps("vm1", (h.dev, 5), (h.dev, 0)) as t:
        h.send(A, range(40), size=60)
        h.send(B, range(100, 130), size=100)
        h.send(h.mac, range(200, 220), size=200)
        # To the address of a queue, but in a VLAN that nobody claims: a mismatch.
        h.send(B, range(300, 310), vlan=9, size=104)
        tool(h.g, "send", interface="vm1", frames=[{"dst": OUTSIDE, "src": A, "serial": 0, "count": 25, "size": 80}])
        t.wait(100)
    moved = delta(before, h.counters())
    wanted = {
        f"rx_queue_{n}_packets": 40, f"rx_queue_{n}_bytes": 40 * 60, f"rx_queue_{n}_checked": 40,
        f"rx_queue_{n}_nic_packets": 40, f"tx_queue_{n}_packets": 25, f"tx_queue_{n}_bytes": 25 * 80,
        "rx_queue_5_packets": 40, "rx_queue_5_bytes": 40 * 100, "rx_queue_5_checked": 40,
        "rx_queue_5_mismatch": 10, "rx_queue_5_nic_packets": 40,
        "rx_queue_0_packets": 20, "rx_queue_0_bytes": 20 * 200, "rx_queue_0_nic_packets": 20,
    }
    assert moved == wanted, differing(moved, wanted)

    now = h.counters()
    shown = {(q, name): text for q in range(POOLS) for name, text in h.queue(q).items() if name in QUEUE_STATS}
    assert shown == {(q, name): str(now[s.format(q)]) for q in range(POOLS) for name, s in QUEUE_STATS.items()}
    after = h.files(uplink + "/*")
    for name, grew in (("rx_packets", 100), ("tx_packets", 25), ("tx_bytes", 25 * 80)):
        path = f"{uplink}/{name}"
        assert int(after[path]) - int(sums[path]) == grew, name


def differing(got, wanted):
    return {k: (got.get(k), wanted.get(k)) for k in got | wanted if got.get(k) != wanted.get(k)}


def filters_in_sysfs(h):
    """{id: (MAC, VLAN, queue)}; each line has five words."""
    found = {}
    for path, text in h.files(f"/sys/class/net/{h.dev}/queues/rx-*/vmq/filters").items():
        for line in text.splitlines():
            number, mac, vlan, owner, hits = line.split(" ")
            assert owner in ("admin", "vswitch") and hits.isdigit(), line
            found[int(number)] = (mac, vlan, int(re.search(r"/rx-(\d+)/", path)[1]))
    return found


def filters_in_ethtool(h):
    """The same of ethtool -n."""
    text = h.g.out(f"ethtool -n {h.dev}")
    found = {}
    for rule in text.split("Filter: ")[1:]:
        mac, mask = re.search(r"Dest MAC addr: (\S+) mask: (\S+)", rule).groups()
        # ethtool shows what is not compared.
        assert mask == "00:00:00:00:00:00", rule
        vid = int(re.search(r"VLAN: (\S+) mask: 0xf000", rule)[1], 0)
        queue = int(re.search(r"Action: Direct to queue (\d+)", rule)[1])
        found[int(rule.split()[0])] = (mac.lower(), str(vid) if vid else "untagged", queue)
    assert int(re.search(r"Total (\d+) rules", text)[1]) == len(found)
    return found


def test_views_agree(host):
    """What ethtool -N, filter_add or bridge fdb adds or deletes, ethtool -n and filters show alike."""
    h, g = host, host.g
    h.port("vm1", A)
    port = h.port_queue("vm1")

    def check(*wanted):
        assert sorted(filters_in_sysfs(h).values()) == sorted(wanted)
        assert filters_in_ethtool(h) == filters_in_sysfs(h)

    own = (A, "untagged", port)
    check(own)
    assert h.ntuple(f"flow-type ether dst {C} vlan 7 m 0xf000 action 4") == ""
    h.must([h.rxq(4, "filter_add"), f"{C} vlan 9"], [h.rxq(4, "filter_add"), D])
    g.run(f"bridge fdb add {B} vlan 7 dev vm1 self")
    everything = [own, (C, "7", 4), (C, "9", 4), (D, "untagged", 4), (B, "7", port)]
    check(*everything)
    # The same from each side: bridge knows the port's, and nobody takes one twice.
    assert {line.split()[0] for line in g.out("bridge fdb show dev vm1").splitlines()} >= {A, B}
    assert C not in g.out("bridge fdb show")
    assert h.put(h.rxq(4, "filter_add"), f"{C} vlan 7") == "EEXIST"
    assert h.ntuple(f"flow-type ether dst {D} vlan 0 m 0xf000 action 4") == "EEXIST"
    assert g.run(f"bridge fdb add {C} vlan 9 dev vm1 self", check=False).rc
    check(*everything)

    ids = {match: number for number, match in filters_in_sysfs(h).items()}
    h.must([h.rxq(4, "filter_del"), str(ids[(C, "7", 4)])])
    assert h.ntuple(f"delete {ids[(D, 'untagged', 4)]}") == ""
    g.run(f"bridge fdb del {B} vlan 7 dev vm1 self")
    check(own, (C, "9", 4))


def test_ntuple_stays(host):
    """-K ntuple off is refused, for filters always apply: the rules stay, and their frames come by their queue."""
    h = host
    assert h.ntuple(f"flow-type ether dst {C} vlan 7 m 0xf000 action 4") == ""
    with h.unchanged():
        r = h.g.run(f"ethtool -K {h.dev} ntuple off", check=False)
        say(r.stderr.strip())
        assert r.rc and "Could not change any device features" in r.stderr
        assert "ntuple-filters: on [fixed]" in h.g.out(f"ethtool -k {h.dev}")
        assert list(filters_in_ethtool(h).values()) == [(C, "7", 4)]
    with h.taps((h.dev, 4)) as t:
        h.send(C, range(20), vlan=7)
        t.wait(20)
    assert t.serials((h.dev, 4)) == list(range(20))


@pytest.mark.parametrize("loaded", ["host", "bare_host"], ids=["switch", "bare"])
def test_action_zero(request, loaded):
    """action 0 puts an address on the default queue: counted there, the host's, and no VM can have it."""
    h = request.getfixturevalue(loaded)
    h.must([h.rxq(3, "state"), "allocate"], [h.rxq(3, "filter_add"), A], [h.rxq(3, "state"), "commit"])
    assert h.ntuple(f"flow-type ether dst {E} vlan 0 m 0xf000 action 0") == ""
    assert h.ntuple(f"flow-type ether dst {E} vlan 7 m 0xf000 action 0") == ""
    assert sorted(filters_in_ethtool(h).values()) == [(A, "untagged", 3), (E, "7", 0), (E, "untagged", 0)]
    before = h.counters()
    with h.taps((h.dev, 0), (h.dev, 3)) as t:
        h.send(E, range(30))
        h.send(E, range(100, 120), vlan=7)
        h.send(A, range(200, 210))
        t.wait(60)
    # The stack hands a tap the frames of each VLAN in order, but not of both.
    for vlan, serials in ((None, range(30)), (7, range(100, 120))):
        assert [f.serial for f in t.at((h.dev, 0)) if f.vlan == vlan] == list(serials)
    assert t.serials((h.dev, 3)) == list(range(200, 210))
    moved = delta(before, h.counters())
    assert moved["rx_queue_0_nic_packets"] == 50 and moved["rx_queue_3_nic_packets"] == 10
    hits = {line.split()[1:3][1]: line.split()[-1] for line in h.queue(0)["filters"].splitlines()}
    assert hits == {"untagged": "30", "7": "20"}

    assert h.put(h.rxq(3, "filter_add"), E) == "EEXIST"
    if loaded == "host":
        r = h.g.run(f"ip link add link {h.dev} name vm1 address {E} type vmq", check=False)
        assert r.rc and "queue 0 has this filter already" in r.stderr, r.stderr
    for number, (mac, _, _) in filters_in_sysfs(h).items():
        assert mac != E or h.ntuple(f"delete {number}") == ""
    assert h.queue(0)["filters"] == ""
    h.must([h.rxq(3, "filter_add"), E])
    with h.taps((h.dev, 3)) as t:
        h.send(E, range(10))
        t.wait(10)
    assert t.serials((h.dev, 3)) == list(range(10))
