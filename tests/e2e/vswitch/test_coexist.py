# SPDX-License-Identifier: GPL-2.0-only
"""What else may stand on an uplink that has ports: a bridge, Open vSwitch, a bond, macvlans."""

import contextlib

from tests.e2e.link.lib import say, vm_mac, wait_for
from tests.e2e.link.test_traffic import addresses, check_pings, configure, forget_host, vm_in_netns
from tests.vm import topology
from tests.vm.guest import script_output

A, B = vm_mac(1), vm_mac(2)


@contextlib.contextmanager
def behind_veth(g, name, number, attach):
    """A machine that something on the uplink serves: a namespace with eth0, whose other end `attach` takes."""
    g.run(f"ip netns add {name} && ip link add {name}tap type veth peer name eth0 netns {name}"
          f" && {attach.format(tap=f'{name}tap')} && ip link set {name}tap up")
    try:
        configure(g, name, "eth0", number, tagged=False)
        yield name
    finally:
        g.run(f"ip link del {name}tap; ip netns del {name}", check=False)


def reaches(g, netns, number):
    r = g.run(f"ip netns exec {netns} ping -q -c 3 -i 0.2 -W 2 {addresses(number)[0]}", check=False)
    return r.rc == 0


def by_queue(g):
    """Frames that the port of vm1 got by its own queue."""
    return int(g.out("ip netns exec vm1 cat /sys/class/net/vm1/vmq/rx_queue_packets"))


def check_all_reach(g, served):
    """The VM on the port (1), the machine beside it (5) and the peer across the wire (2)."""
    check_pings(g, "vm1", [*addresses(5)[:2], *addresses(2)[:2]])
    check_pings(g, served, [*addresses(1)[:2], *addresses(2)[:2]])
    check_pings(g, "peer", [*addresses(1)[:2], *addresses(5)[:2]])


def test_flood_off(hub):
    """uplink_flood 0: what a port sends to an unknown address goes to the wire alone; refusals change nothing."""
    h, g = hub, hub.g
    flood = f"{h.vmq}/uplink_flood"
    assert h.read(flood) == "1"
    for wrong in ("2", "-1", "yes", "1\0"):
        assert h.put(flood, wrong) == "EINVAL"
    assert h.read(flood) == "1"
    vm_in_netns(h, "vm1", A, 1, tagged=False)
    configure(g, "peer", "peer0", 2, tagged=False)
    try:
        g.run(f"ip link add br0 type bridge && ip link set {h.dev} master br0 && ip link set br0 up")
        with behind_veth(g, "brvm", 5, "ip link set {tap} master br0"):
            assert reaches(g, "vm1", 5)
            h.must([flood, "0"])
            assert not reaches(g, "vm1", 5)
            assert reaches(g, "vm1", 2) and reaches(g, "peer", 5)
            h.must([flood, "1"])
            assert reaches(g, "vm1", 5)
    finally:
        h.put(flood, "1")
        g.run(f"ip link set {h.dev} nomaster; ip link del br0", check=False)


def test_flood_is_kept(host):
    """uplink_flood is the uplink's: there without a port, kept from the last port to the next one."""
    h = host
    flood = f"{h.vmq}/uplink_flood"
    try:
        h.must([flood, "0"])
        h.port("vm1", A)
        h.delete("vm1")
        assert h.read(flood) == "0"
        topology.unload(h.g, "vmq_vswitch")
        assert "uplink_flood" not in h.out(f"ls {h.vmq}")
        topology.load(h.g)
        assert h.read(flood) == "1"
    finally:
        h.put(flood, "1")


class OpenVswitch:
    """Debian's own, from the cache, with its data base in the guest's memory; a context manager."""

    def __init__(self, g):
        self.g = g
        self.root = script_output("scripts/unpack", "openvswitch-switch")
        self.common = script_output("scripts/unpack", "openvswitch-common")
        self.run_dir = "/run/ovs"

    def sh(self, script, **options):
        return self.g.run(
            f"export PATH=$PATH:{self.root}/usr/bin:{self.root}/usr/sbin:{self.common}/usr/bin:{self.common}/usr/sbin"
            f" OVS_RUNDIR={self.run_dir} OVS_DBDIR={self.run_dir} OVS_LOGDIR={self.run_dir} OVS_SYSCONFDIR={self.run_dir}"
            f" OVS_PKGDATADIR={self.root}/usr/share/openvswitch\n"
            f"vsctl() {{ ovs-vsctl --db=unix:{self.run_dir}/db.sock --timeout=60 \"$@\"; }}\n" + script, **options)

    def program(self, name):
        """Where a release has it."""
        return self.g.out(f"find {self.root} {self.common} -type f -name {name} -perm -u+x | head -n 1")

    def __enter__(self):
        daemon, server = self.program("ovs-vswitchd"), self.program("ovsdb-server")
        missing = self.g.out(f"ldd {daemon} {server} | grep 'not found'; true")
        assert not missing, missing
        self.sh(f"modprobe openvswitch && mkdir -p {self.run_dir} && cd {self.run_dir} || exit\n"
                f"ovsdb-tool create conf.db $(find {self.root} {self.common} -name vswitch.ovsschema | head -n 1)")
        self.jobs = [self.g.spawn(f"OVS_RUNDIR={self.run_dir} exec {server} {self.run_dir}/conf.db"
                                  f" --remote=punix:{self.run_dir}/db.sock --unixctl={self.run_dir}/db.ctl")]
        assert self.g.await_file(f"{self.run_dir}/db.sock"), self.jobs[0].stderr
        self.sh("vsctl --no-wait init")
        self.jobs.append(self.g.spawn(f"OVS_RUNDIR={self.run_dir} exec {daemon} unix:{self.run_dir}/db.sock"
                                      f" --unixctl={self.run_dir}/vswitchd.ctl"))
        return self

    def __exit__(self, kind, *_):
        with contextlib.suppress(Exception) if kind else contextlib.nullcontext():
            self.sh("vsctl --if-exists del-br ovs0")
        for job in reversed(self.jobs):
            job.stop()
        self.g.run(f"rm -rf {self.run_dir}; modprobe -r openvswitch", check=False)


def test_openvswitch(hub):
    """Open vSwitch on the uplink: its VM, the one on a port and the peer reach each other."""
    h, g = hub, hub.g
    vm_in_netns(h, "vm1", A, 1, tagged=False)
    configure(g, "peer", "peer0", 2, tagged=False)
    with OpenVswitch(g) as ovs:
        ovs.sh(f"vsctl add-br ovs0 && vsctl add-port ovs0 {h.dev} && ip link set ovs0 up")
        with behind_veth(g, "ovsvm", 5, "true"):
            ovs.sh("vsctl add-port ovs0 ovsvmtap")
            wait_for("Open vSwitch has it all", lambda: reaches(g, "ovsvm", 2), 60, 0.5)
            before = by_queue(g)
            check_all_reach(g, "ovsvm")
            moved = by_queue(g)
            say(f"flows: {ovs.sh('ovs-appctl --target=' + ovs.run_dir + '/vswitchd.ctl dpctl/dump-flows').stdout.count('in_port')}")
            assert moved > before, "the port's queue had nothing to do"
            ovs.sh("vsctl del-port ovs0 ovsvmtap")
        ovs.sh(f"vsctl del-port ovs0 {h.dev}")
    assert h.out(f"ip -d link show {h.dev} | grep -o 'promiscuity [0-9]*'") == "promiscuity 0"
    assert reaches(g, "vm1", 2)


def test_macvlan_on_uplink(hub):
    """A macvlan on the uplink beside a port: both and the peer reach each other."""
    h, g = hub, hub.g
    vm_in_netns(h, "vm1", A, 1, tagged=False)
    configure(g, "peer", "peer0", 2, tagged=False)
    try:
        g.run(f"ip netns add mv && ip link add link {h.dev} name mv0 address {B} type macvlan mode bridge"
              " && ip link set mv0 netns mv")
        configure(g, "mv", "mv0", 5, tagged=False)
        check_all_reach(g, "mv")
        # The address is the host's now: no port gets it.
        r = g.run(f"ip link add link {h.dev} name vm2 address {B} type vmq", check=False)
        assert r.rc and "is an address of the host" in r.stderr, r.stderr
    finally:
        g.run("ip netns del mv", check=False)


def test_bond_on_uplink(hub):
    """A bond over the uplink carries the host's traffic; the port keeps its own, and its address to itself."""
    h, g = hub, hub.g
    vm_in_netns(h, "vm1", A, 1, tagged=False)
    configure(g, "peer", "peer0", 2, tagged=False)
    try:
        g.run(f"modprobe bonding max_bonds=0 && ip link add bond0 type bond mode active-backup miimon 100"
              f" && ip link set {h.dev} down && ip link set {h.dev} master bond0 && ip link set bond0 up")
        configure(g, "", "bond0", 5, tagged=False)
        topology.wait_carrier(g, "vm1", netns="vm1")
        wait_for("the bond has carrier", lambda: h.read("/sys/class/net/bond0/carrier") == "1", 60)
        check_pings(g, "vm1", [*addresses(5)[:2], *addresses(2)[:2]])
        check_pings(g, "peer", [*addresses(1)[:2], *addresses(5)[:2]])
        r = g.run("ip link add link bond0 name vm2 type vmq", check=False)
        assert r.rc and "bond" in r.stderr and "not supported" in r.stderr, r.stderr
        # The bond would take the address along to its member, where the port has it.
        g.run(f"ip link set bond0 address {A}", check=False)
        assert h.read(f"/sys/class/net/{h.dev}/address") != A, "the uplink has the port's address now"
        assert reaches(g, "vm1", 2)
    finally:
        g.run(f"ip link set {h.dev} nomaster; ip link del bond0; ip link set {h.dev} up", check=False)
        topology.wait_carrier(g, h.dev)
        forget_host(h)
