# SPDX-License-Identifier: GPL-2.0-only
"""Real protocols through ports: ping and checked TCP, IPv4 and IPv6, tagged and
not, to a peer across the wire, between VMs, with the host and with a bridge."""

import contextlib

import pytest

from tests.e2e.link.lib import Host, clean, load, say, spawn_tool, tool, vm_mac, wait_for
from tests.vm import topology

A, B = vm_mac(1), vm_mac(2)
VID = 100
SIZE = 100 << 20
JUMBO_SIZE = OFFLOAD_SIZE = 20 << 20
# Inter-VM: an IPv4 and IPv6 subnet each, untagged and in VLAN 100.
NETS = {"": ("10.1.0", "fd00:1:"), f".{VID}": ("10.2.0", "fd00:2:")}


@pytest.fixture
def hub(link_guest):
    """Host of NIC 1, which is wired to NIC 2: interface peer0 of namespace peer."""
    g = link_guest
    load(g)
    clean(g)
    # What the peer remembers of the last test's machines would mislead it.
    g.run("ip -n peer addr flush dev peer0; ip -n peer neigh flush all; ip -n peer link del peer0.100; true")
    h = Host(g, 1)
    yield h
    if g.alive and not g.failed:
        clean(g)
        g.run(f"ip -n peer link del peer0.{VID}; ip -n peer addr flush dev peer0; ip addr flush dev {h.dev}", check=False)


def addresses(host_number):
    """Addresses of one machine in both VLANs."""
    return [a for v4, v6 in NETS.values() for a in (f"{v4}.{host_number}", f"{v6}:{host_number}")]


def configure(g, netns, dev, number, tagged=True):
    """Gives an interface its addresses, untagged and (as VLAN device) tagged."""
    ns = f"-n {netns}" if netns else ""
    script = f"ip {ns} link set {dev} up\n"
    if netns:
        script += f"ip {ns} link set lo up\n"
    for suffix, (v4, v6) in NETS.items():
        name = dev + suffix
        if suffix and not tagged:
            continue
        if suffix:
            script += f"ip {ns} link add link {dev} name {name} type vlan id {VID} && ip {ns} link set {name} up\n"
        enter = f"ip netns exec {netns} " if netns else ""
        script += f"{enter}sysctl -qw net.ipv6.conf.{name.replace('.', '/')}.disable_ipv6=0\n"
        script += f"ip {ns} addr add {v4}.{number}/24 dev {name} && ip {ns} -6 addr add {v6}:{number}/64 dev {name} nodad\n"
    g.run("set -e\n" + script)


def vm_in_netns(h, name, mac, number, tagged=True):
    """A VM: a port in a namespace of its own, with its VLAN filter and addresses."""
    h.port(name, mac, *([(mac, VID)] if tagged else []), up=False)
    h.g.run(f"ip netns add {name} && ip link set {name} netns {name}")
    configure(h.g, name, name, number, tagged)
    topology.wait_carrier(h.g, name, netns=name)


def check_pings(g, netns, targets, options=""):
    """Five pings to each address, none lost."""
    enter = f"ip netns exec {netns}" if netns else ""
    # The first waits for the neighbour's answer, which may take a second.
    script = "".join(
        f"{enter} ping -q -i 0.05 -c 5 -w 10 {options} {a} >/tmp/ping.{n} 2>&1 & pids[{n}]=$!\n" for n, a in enumerate(targets)
    )
    script += "rc=0; for n in ${!pids[@]}; do wait ${pids[$n]} || { rc=1; cat /tmp/ping.$n; }; done; exit $rc"
    r = g.run(script, check=False, timeout=90)
    assert r.rc == 0, f"ping from {netns or 'the host'}: {r.stdout}"
    say(f"pings from {netns or 'the host'} to {' '.join(targets)}: all answered")


@contextlib.contextmanager
def served(g, *namespaces):
    """The other end of transfers runs in each of these."""
    jobs = [spawn_tool(g, "serve", netns=n) for n in namespaces]
    try:
        for job in jobs:
            wait_for("the server listens", lambda job=job: "ready" in job.stdout or job.poll() is not None, 60, 0.05)
        yield
    finally:
        for job in jobs:
            job.stop(9)


def transfer(g, client, targets, size):
    """size bytes each way over TCP to each address; hashes of both ends agree."""
    results = tool(g, "transfer", netns=client, addresses=targets, size=size, timeout=1800)
    for address, direction, mine, theirs, seconds in results:
        assert mine == theirs, f"{direction} to {address}: {mine}, other end {theirs}"
        say(f"{size >> 10} KiB {direction} {address} in {seconds:.1f} s ({size / seconds / 1e6:.1f} MB/s), hashes agree")
    assert len(results) == 2 * len(targets)


def check_transfers(g, server, client, targets, size):
    with served(g, server):
        transfer(g, client, targets, size)


def frames_by_queue(h, name):
    return h.port_counters(name)["rx_queue_packets"]


def test_wire(hub, count):
    """VM and a peer across the wire: ping, TCP both ways, IPv4 and IPv6, tagged and not."""
    h, size = hub, count(SIZE)
    vm_in_netns(h, "vm1", A, 1)
    configure(h.g, "peer", "peer0", 2)
    check_pings(h.g, "vm1", addresses(2))
    n = h.g.out("ip netns exec vm1 cat /sys/class/net/vm1/vmq/queue")
    before = h.queue(n)
    check_pings(h.g, "peer", addresses(1))
    check_transfers(h.g, "peer", "vm1", addresses(2), size)
    # All of it came through the VM's own ring but the ARP and ND broadcasts.
    q = h.queue(n)
    say(f"queue {n}: {q['rx_packets']} frames, {q['rx_mismatch']} of them not the VM's; it sent {q['tx_packets']}")
    assert int(q["rx_packets"]) - int(before["rx_packets"]) > 4 * size // 65536
    assert int(q["tx_packets"]) - int(before["tx_packets"]) > 4 * size // 65536
    assert q["rx_mismatch"] == before["rx_mismatch"]


def test_vm_to_vm(hub, count):
    """Two VMs of one host: ping, TCP both ways, IPv4 and IPv6, tagged and not."""
    h, size = hub, count(SIZE)
    vm_in_netns(h, "vm1", A, 1)
    vm_in_netns(h, "vm2", B, 3)
    sent = h.counters()
    check_pings(h.g, "vm1", addresses(3))
    check_transfers(h.g, "vm2", "vm1", addresses(3), size)
    wire = sum(v - sent[k] for k, v in h.counters().items() if k.startswith("tx_queue") and k.endswith("_bytes"))
    say(f"{wire} bytes on the wire meanwhile (neighbour discovery)")
    assert wire < 20000


def test_host_and_vm(hub, count):
    """Host and VM: ping and TCP both ways, IPv4 and IPv6, tagged and not."""
    h, size = hub, count(SIZE)
    vm_in_netns(h, "vm1", A, 1)
    try:
        configure(h.g, "", h.dev, 4)
        check_pings(h.g, "", addresses(1))
        check_pings(h.g, "vm1", addresses(4))
        check_transfers(h.g, "vm1", "", addresses(1), size)
    finally:
        forget_host(h)


def test_jumbo(hub, count):
    """9000-byte frames: whole ones on the wire, ping unfragmented and TCP both ways."""
    h, size = hub, count(SIZE)
    try:
        h.g.run(f"ip link set {h.dev} mtu 9000 && ip -n peer link set peer0 mtu 9000")
        topology.wait_carrier(h.g, h.dev)
        topology.wait_carrier(h.g, "peer0", netns="peer")
        vm_in_netns(h, "vm1", A, 1)
        configure(h.g, "peer", "peer0", 2)
        mtu = h.g.out("ip netns exec vm1 cat /sys/class/net/vm1/mtu")
        assert mtu == "9000"
        check_pings(h.g, "vm1", [addresses(2)[0], addresses(2)[2]], "-M do -s 8972")
        check_pings(h.g, "peer", [addresses(1)[1], addresses(1)[3]], "-M do -s 8952")
        check_transfers(h.g, "peer", "vm1", addresses(2)[:2], size)
    finally:
        h.g.run(f"ip netns exec vm1 ip link del vm1; ip link set {h.dev} mtu 1500; ip -n peer link set peer0 mtu 1500",
                check=False)


def forget_host(h):
    """Takes the uplink's own addresses away again, which configure() gave it."""
    h.g.run(
        f"ip link del {h.dev}.{VID}; ip addr flush dev {h.dev}; sysctl -qw net.ipv6.conf.{h.dev}.disable_ipv6=1",
        check=False)


def check_whole_frames(g, netns, number):
    """Unfragmented pings of 9000 bytes, IPv4 and IPv6, untagged and tagged."""
    v4, v6, tagged4, tagged6 = addresses(number)
    check_pings(g, netns, [v4, tagged4], "-M do -s 8972")
    check_pings(g, netns, [v6, tagged6], "-M do -s 8952")


def test_jumbo_ports(hub, count):
    """9000-byte frames between two ports and between host and port, tagged and not."""
    h, g, size = hub, hub.g, count(JUMBO_SIZE)
    try:
        g.run(f"ip link set {h.dev} mtu 9000")
        topology.wait_carrier(g, h.dev)
        vm_in_netns(h, "vm1", A, 1)
        vm_in_netns(h, "vm2", B, 3)
        configure(g, "", h.dev, 4)
        check_whole_frames(g, "vm1", 3)
        check_whole_frames(g, "vm1", 4)
        check_whole_frames(g, "", 3)
        check_transfers(g, "vm2", "vm1", [addresses(3)[0], addresses(3)[3]], size)
        check_transfers(g, "vm1", "", [addresses(1)[1], addresses(1)[2]], size)
        # What does not fit is not sent, and no piece of it arrives.
        r = g.run(f"ip netns exec vm1 ping -q -c 1 -W 1 -M do -s 8973 {addresses(3)[0]}", check=False)
        assert r.rc and "100% packet loss" in r.stdout, r.stdout
    finally:
        forget_host(h)
        g.run(f"ip netns exec vm1 ip link del vm1; ip netns exec vm2 ip link del vm2; ip link set {h.dev} mtu 1500",
              check=False)


# What ethtool -K calls an offload, and what ethtool -k calls it.
OFFLOADS = {
    "tso": "tcp-segmentation-offload",
    "tx": "tx-checksumming",
    "sg": "scatter-gather",
    "rx": "rx-checksumming",
    "gro": "generic-receive-offload",
    "txvlan": "tx-vlan-offload",
}


class Offloads:
    """ethtool -k and -K of one device."""

    def __init__(self, g, dev, netns=""):
        self.g, self.dev = g, dev
        self.enter = f"ip netns exec {netns} " if netns else ""
        self.before = self.shown()

    def shown(self, change=""):
        """{feature: "on", "off [fixed]", ...}, after a change if there is one."""
        script = f"{self.enter}ethtool -K {self.dev} {change} >/dev/null || exit\n" if change else ""
        text = self.g.out(f"{script}{self.enter}ethtool -k {self.dev}")
        return dict(line.strip().split(": ", 1) for line in text.splitlines() if ": " in line)

    @contextlib.contextmanager
    def without(self, offload):
        name = OFFLOADS[offload]
        assert self.before[name] == "on", f"{self.dev}: {name} is {self.before[name]}"
        assert self.shown(f"{offload} off")[name] == "off"
        say(f"{self.dev}: {offload} off")
        yield
        now = self.shown(f"{offload} on")
        # "tso on" is every kind of TSO, one of them was off.
        for other in {k for k in now if now[k] != self.before[k]} - {name}:
            now = self.shown(f"{other} {self.before[other]}")
        assert now == self.before


def test_offloads(hub, count):
    """Each offload of uplink and port off in turn: TCP with the peer and the host, tagged and not."""
    h, g, size = hub, hub.g, count(OFFLOAD_SIZE)
    vm_in_netns(h, "vm1", A, 1)
    configure(g, "peer", "peer0", 2)
    try:
        configure(g, "", h.dev, 4)
        uplink, port = Offloads(g, h.dev), Offloads(g, "vm1", "vm1")
        # Tags are always taken off, and a port's frames carry theirs beside them.
        assert uplink.before["rx-vlan-offload"] == port.before["rx-vlan-offload"] == "on [fixed]"
        assert port.before["tx-vlan-offload"] == "on [fixed]"
        with served(g, "peer", ""):
            for device, offloads in ((uplink, list(OFFLOADS)), (port, list(OFFLOADS)[:-1])):
                for n, offload in enumerate(offloads):
                    with device.without(offload):
                        # IPv4 and IPv6 take turns, tagged and not are always there.
                        transfer(g, "vm1", [*addresses(2)[n % 2 :: 2], *addresses(4)[1 - n % 2 :: 2]], size)
    finally:
        forget_host(h)


def test_bridge_on_uplink(hub, count):
    """A VM on a port and a VM on a Linux bridge on the uplink reach each other, and the peer both."""
    h, g, size = hub, hub.g, count(SIZE)
    try:
        vm_in_netns(h, "vm1", A, 1, tagged=False)
        g.run(
            "ip netns add brvm && ip link add br0 type bridge && ip link add vmtap type veth peer name eth0 netns brvm"
            f" && ip link set {h.dev} master br0 && ip link set vmtap master br0"
            " && ip link set br0 up && ip link set vmtap up && ip netns exec brvm sysctl -qw net.ipv6.conf.all.disable_ipv6=0"
        )
        configure(g, "brvm", "eth0", 5, tagged=False)
        configure(g, "peer", "peer0", 2, tagged=False)
        check_pings(g, "vm1", addresses(5)[:2])
        check_pings(g, "brvm", [*addresses(1)[:2], *addresses(2)[:2]])
        check_pings(g, "peer", [*addresses(1)[:2], *addresses(5)[:2]])
        check_transfers(g, "brvm", "vm1", addresses(5)[:2], size)
        check_transfers(g, "peer", "brvm", addresses(2)[:1], size)
    finally:
        g.run(f"ip link set {h.dev} nomaster; ip link del br0; ip link del vmtap", check=False)
