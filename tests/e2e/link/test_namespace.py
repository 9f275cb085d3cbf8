# SPDX-License-Identifier: GPL-2.0-only
"""Network namespaces: whose a port's policy is, and who moves with whom."""

import contextlib
import json
import os
import re
import shlex

from tests.e2e.link.lib import Host, differences, errno_name, say, tool, vm_mac, wait_for
from tests.vm import topology

A, B, C, D = (vm_mac(n) for n in range(1, 5))
GROUP = "01:00:5e:00:00:17"
USER = 12345
TESTS = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# guesttool.py as a command for users who may not look into the checkout: /root is one's home, too.
TOOL, TOOL_NEEDS, COPY = "e2e/link/guesttool.py", "vm/wire.py", "/run/vmq-tests"
COMMAND = f"/usr/bin/python3 -I -S -B {COPY}/{TOOL}"


@contextlib.contextmanager
def users_namespace(g, name):
    """A network namespace that a plain user made in a user namespace of his
    own; yields the prefix that runs a command there as its root."""
    job = g.spawn(
        f"exec setpriv --reuid {USER} --regid {USER} --clear-groups unshare --user --map-root-user --net --mount sleep 1000"
    )
    try:
        wait_for("the namespace is there", lambda: g.run(
            f"cmp -s <(readlink /proc/{job.pid}/ns/net) <(readlink /proc/1/ns/net); [ $? = 1 ] &&"
            f" grep -q ' {USER} ' /proc/{job.pid}/uid_map", check=False).rc == 0)
        g.run(f"ip netns attach {name} {job.pid}")
        yield f"nsenter -t {job.pid} -U -n -m -S 0 -G 0 "
    finally:
        g.run(f"ip netns del {name}", check=False)
        job.stop(9)


def test_users_root_changes_no_policy(host):
    """Root of a user's own namespace can use its port, and change nothing that is the uplink owner's."""
    h, g = host, host.g
    h.port("vm1", A)
    h.port("vm2", B)
    n = h.port_queue("vm1")
    h.must([h.rxq(6, "state"), "allocate"], [h.rxq(6, "state"), "commit"], [h.rxq(6, "filter_add"), D])
    with users_namespace(g, "tenant") as enter:
        g.run(f"ip link set vm1 netns tenant && {enter} ip link set vm1 up && {enter} ip link set lo up")
        topology.wait_carrier(g, "vm1", netns="tenant")
        assert g.out(f"{enter} id -u") == "0"
        assert g.out(f"{enter} cat /proc/self/status | grep CapEff").endswith("ffffffff")
        uplink_files = attack_files(h, enter)
        before = owners(h)
        tried = attack_netlink(h, enter)
        attack_writes(h, enter, uplink_files)
        attack_port_files(h, enter)
        assert not differences(before, owners(h))
        say(f"{len(uplink_files)} files of the uplink and {tried} requests refused, nothing changed")
        # It is its port all the same: traffic by its own queue.
        with h.taps("tenant/vm1", h.dev) as t:
            h.send(A, range(30))
            h.send(C, range(100, 110))
            t.wait(40)
        assert t.serials("tenant/vm1") == list(range(30)) and t.serials(h.dev) == list(range(100, 110))
        assert h.queue(n)["port"] == "vm1"
        h.g.run(f"{enter} ip link set vm1 mtu 1400 && {enter} ip link set vm1 mtu 1500")
    wait_for("the port goes with its namespace", lambda: h.state(n) == "undefined")


def fail_over(g, enter, slave):
    """A user's bond with the address C that loses its active slave and goes over to this one."""
    g.run("modprobe bonding; modprobe dummy")
    script = (
        f"ip link add dummy0 address {C} type dummy && "
        "ip link add bond0 type bond mode active-backup fail_over_mac follow miimon 100 && "
        f"ip link set dummy0 master bond0 && ip link set {slave} master bond0 && "
        f"ip link set bond0 up && ip link set dummy0 up && ip link set {slave} up && sleep 1 && "
        "ip link set dummy0 carrier off && sleep 2 && ip -br link && cat /proc/net/bonding/bond0"
    )
    text = g.out(f"{enter} bash -c {shlex.quote(script)}")
    say("active slave: " + text.partition("Currently Active Slave: ")[2].partition("\n")[0])
    assert f"Currently Active Slave: {slave}" in text, "the bond did not fail over, nothing was tried"


def test_bond_of_a_user_claims_no_address(host):
    """A bond that a user's root has fail over wants to give the port a foreign address: the kernel's worker may not."""
    h, g = host, host.g
    h.port("vm1", A)
    n = h.port_queue("vm1")
    with users_namespace(g, "tenant") as enter:
        g.run("ip link set vm1 netns tenant")
        fail_over(g, enter, "vm1")
        assert g.out("ip netns exec tenant cat /sys/class/net/vm1/address") == A
        assert A in h.queue(n)["filters"] and C not in h.queue(n)["filters"]


def test_bond_over_macvlan_claims_no_address(host):
    """The port stays with the host, a macvlan on it goes to a user: its bond does not give the port an address either."""
    h, g = host, host.g
    h.port("vm1", A)
    n = h.port_queue("vm1")
    with users_namespace(g, "tenant") as enter:
        g.run("ip link add link vm1 name mv0 type macvlan mode passthru && ip link set mv0 netns tenant")
        fail_over(g, enter, "mv0")
        assert g.out("cat /sys/class/net/vm1/address") == A
        assert A in h.queue(n)["filters"] and C not in h.queue(n)["filters"]


def test_host_is_no_deputy(host):
    """What the host deletes makes a user's bond fail over, in the host's name: the port's address stays."""
    h, g = host, host.g
    h.port("vm1", A)
    n = h.port_queue("vm1")
    with users_namespace(g, "tenant") as enter:
        g.run(f"modprobe bonding; ip link add vb type veth peer name va address {C} && ip link set vb up &&"
              " ip link set va netns tenant && ip link set vm1 netns tenant")
        script = (
            "ip link add bond0 type bond mode active-backup fail_over_mac follow miimon 100 && "
            "ip link set va master bond0 && ip link set vm1 master bond0 && "
            "ip link set bond0 up && ip link set va up && ip link set vm1 up && sleep 1 && cat /proc/net/bonding/bond0"
        )
        text = g.out(f"{enter} bash -c {shlex.quote(script)}")
        assert "Currently Active Slave: va" in text, "the bond uses another slave, nothing is tried"
        with g.allow("is still in use by bond"):
            g.run("ip link del vb")
        text = g.out(f"{enter} cat /proc/net/bonding/bond0")
        assert "Currently Active Slave: vm1" in text, "the bond did not fail over, nothing was tried"
        assert g.out("ip netns exec tenant cat /sys/class/net/vm1/address") == A
        assert A in h.queue(n)["filters"] and C not in h.queue(n)["filters"]


def attack_files(h, enter):
    """Every writable file of the uplink, open to all as far as file modes go."""
    pattern = f"{h.vmq}/ {' '.join(h.rxq(q) + '/' for q in range(8))}"
    files = h.g.out(f"find {pattern} -type f -perm -u+w").splitlines()
    assert len(files) > 40
    h.g.run(f"chmod a+w {' '.join(files)}")
    return files


def attack_writes(h, enter, files):
    words = {"state": ["allocate", "commit", "free"], "cpu": ["0", "auto"], "filter_add": [C], "filter_del": [D, "1"],
             "vm_name": ["mine"], "queue_name": ["mine"], "allocate": ["mine"], "enabled": ["0"], "count_hits": ["1"],
             "vlan_filtering": ["on", "off"], "buffers": ["64", "auto"], "cpus": ["0", "auto"], "cpu_policy": ["free"],
             "coalesce_shared": ["1"], "placement_mode": ["dynamic"], "queue_policy": ["load"], "uplink_flood": ["0"],
             "tx_max_mbps": ["9"]}
    items = [(f, w) for f in files for w in words[f.rpartition("/")[2]]]
    # Its root sees the host's sysfs, mounted before it was born.
    script = "".join(f"echo {w} 2>&1 >{f} | sed 's/.*: //'; cat {h.vmq}/last_error; " for f, w in items)
    lines = h.g.out(f"{enter} bash -c {shlex.quote(script)}", timeout=120).splitlines()
    assert len(lines) == 2 * len(items), lines[:6]
    for (f, w), said, why in zip(items, lines[::2], lines[1::2], strict=True):
        assert said == "Operation not permitted", f"{f} <- {w}: {said}"
        assert why.startswith("CAP_NET_ADMIN over the uplink's network namespace"), why
    say(f"{len(items)} writes to the uplink's files: {said}; {why}")


def attack_port_files(h, enter):
    """The port's own files, in a sysfs of the namespace."""
    script = (
        "mount -t sysfs none /mnt && cd /mnt/class/net/vm1/vmq && ls && "
        "for f in *; do chmod u+w $f; for w in 0 1 none 100; do echo $w >$f && echo WRITTEN $f; done; done 2>/dev/null; true"
    )
    out = h.g.out(f"{enter} bash -c {shlex.quote(script)}")
    say(f"the port's files, as its root: {' '.join(out.split())}")
    names = "queue exclusive queue_weight vlan_mode vlan native_vlan isolation priority_trust link_local addresses_refused groups_refused"
    names += " spoof_check allowed_macs dhcp_guard router_guard storm_pps tx_max_mbps tx_weight mirror_to"
    names = names.split()
    assert set(names) <= set(out.split()) and "WRITTEN" not in out
    # What the others of the uplink do is not shown.
    script = "cd /mnt/class/net/vm1/vmq && grep . lookups reflected cpu mirror_to tx_share_kbps 2>&1; cat rx_queue_packets"
    out = h.g.out(f"{enter} bash -c {shlex.quote(script)}")
    assert out.count("Operation not permitted") == 5 and out.splitlines()[-1].isdigit(), out


def attack_netlink(h, enter):
    """fdb, addresses and VLANs by netlink. [(command, must it be refused)]"""
    commands = [
        (f"bridge fdb add {C} dev vm1 self", True),
        (f"bridge fdb add {C} vlan 7 dev vm1 self", True),
        (f"bridge fdb replace {C} dev vm1 self", True),
        (f"bridge fdb add {GROUP} dev vm1 self", True),
        (f"bridge fdb del {A} dev vm1 self", True),
        (f"ip link set vm1 address {C}", True),
        (f"ip link set vm1 address {B}", True),
        ("bridge vlan add vid 7 dev vm1 self", True),
        ("bridge vlan del vid 7 dev vm1 self", True),
        ("bridge vlan add vid 7 dev vm1 master", True),
        ("bridge link set dev vm1 hwmode vepa", True),
        (f"ip link add link vm1 name evil address {C} type vmq", True),
        ("ethtool -N vm1 flow-type ether dst 52:54:00:00:17:03 action 3", True),
        ("ethtool -L vm1 combined 2", True),
        # Its own affair, and without effect on what reaches it.
        ("ip link add link vm1 name vm1.7 type vlan id 7", False),
        (f"ip link add link vm1 name mv0 address {C} type macvlan mode passthru", False),
        ("ip link set vm1 promisc on", False),
        ("ip link set vm1 allmulticast on", False),
    ]
    for command, refused in commands:
        r = h.g.run(f"{enter} {command}", check=False)
        say(f"{command}: status {r.rc} {(r.stdout + r.stderr).strip()}")
        assert r.rc or not refused, f"{command} was allowed"
        if command.startswith(("bridge fdb", "bridge vlan add vid 7 dev vm1 self")):
            assert "uplink's owner" in r.stderr
    # Nothing of a tag, an address or a mode lets it hear what is not its own.
    with h.taps("tenant/vm1", h.dev) as t:
        h.send(C, range(20))
        h.send(A, range(100, 120), vlan=7)
        t.wait(40)
    assert t.serials("tenant/vm1") == [] and len(t.serials(h.dev)) == 40
    h.g.run(f"{enter} bash -c 'ip link del mv0; ip link del vm1.7; ip link set vm1 promisc off allmulticast off'", check=False)
    return len(commands)


def test_refusal_names_the_reason(host):
    """A user's root who changes its port's addresses gets EPERM and the reason; the uplink's owner may."""
    h, g = host, host.g
    h.port("vm1", A)
    n = h.port_queue("vm1")
    requests = [
        ["set_address", {"name": "vm1", "address": C}],
        ["fdb", {"verb": "add", "name": "vm1", "address": C}],
        ["fdb", {"verb": "del", "name": "vm1", "address": A}],
    ]
    for name in (TOOL, TOOL_NEEDS):
        g.run(f"install -D -m 644 {shlex.quote(os.path.join(TESTS, name))} {COPY}/{name}")
    with users_namespace(g, "tenant") as enter:
        g.run("ip link set vm1 netns tenant")
        text = g.out(f"{enter} {COMMAND} link {shlex.quote(json.dumps({'requests': requests}))}")
        for (method, _), (number, reason) in zip(requests, json.loads(text), strict=True):
            say(f"{method}: {errno_name(number)}, {reason}")
            assert errno_name(number) == "EPERM" and reason == "addresses of a port belong to the uplink's owner"
        g.run(f"nsenter --net=/run/netns/tenant ip link set vm1 address {C}")
        assert f"{C} untagged vswitch" in h.queue(n)["filters"] and A not in h.queue(n)["filters"]


def owners(h):
    """The dump without what a user may do with its port: flags, and devices on it."""
    own = re.compile(r'netns tenant: ip -d link .*: "(flags|promiscuity|allmulti|allmulticast)":')
    return [line for line in h.dump() if not own.match(line)]


def policy(h):
    """The dump without what another namespace names differently, or does not see."""
    uplink = f"/sys/class/net/{h.dev}/", "/proc/irq/", "ethtool "
    return [line for line in h.dump() if line.startswith(uplink)]


def test_uplink_moves(host):
    """The uplink goes to another namespace and back: ports, queues, filters, names and CPUs stay."""
    h, g = host, host.g
    h.port("vm1", A, (B, 7))
    h.must([h.rxq(5, "state"), "allocate"], [h.rxq(5, "vm_name"), "db"], [h.rxq(5, "filter_add"), D],
           [h.rxq(5, "state"), "commit"])
    h.pin(5, 2)
    before = policy(h)
    g.run("ip netns add up")
    for netns, back in (("up", ""), ("1", "ip netns exec up ")):
        g.run(f"{back}ip link set {h.dev} netns {netns}")
        h.netns = "up" if netns == "up" else None
        assert h.g.out("ls -d /sys/class/net/vm1"), "the port is gone"
        h.up()
        topology.wait_carrier(g, "vm1")
        now = policy(h)
        assert now == before, [line for line in now if line not in before]
        tap = f"{h.netns or ''}/{h.dev}".lstrip("/")
        with h.taps("vm1", (tap, 5)) as t:
            h.send(A, range(30))
            h.send(B, range(30, 60), vlan=7)
            h.send(D, range(100, 130))
            t.wait(90)
        # A packet tap sees tagged frames of a batch before untagged ones.
        assert sorted(t.serials("vm1")) == list(range(60)) and t.serials((tap, 5)) == list(range(100, 130))
        say(f"uplink in {netns}: {len(before)} lines of state as before, traffic as before")
    g.run("ip netns del up")


def test_port_in_dying_namespace(host):
    """A namespace that ends takes its port along, and the queue is free again."""
    h, g = host, host.g
    h.port("vm1", A)
    n = h.port_queue("vm1")
    g.run("ip netns add ns1 && ip link set vm1 netns ns1 && ip -n ns1 link set vm1 up && ip netns del ns1")
    wait_for("the queue is free", lambda: h.state(n) == "undefined")
    h.port("vm1", A)
    assert h.port_queue("vm1") == n


def test_ports_die_with_uplink(host):
    """Unbinding the uplink ends its ports, wherever they are, and nothing else."""
    h, g = host, host.g
    other = Host(g, 1)
    other.port("other1", vm_mac(9))
    h.port("vm1", A)
    h.port("vm2", B)
    g.run("ip netns add ns2 && ip link set vm2 netns ns2 && ip -n ns2 link set vm2 up")
    bdf = g.pci(0)
    g.run(f"echo {bdf} >/sys/bus/pci/drivers/vmq_igb/unbind")
    assert g.run("ip link show vm1", check=False).rc and g.run("ip -n ns2 link show vm2", check=False).rc
    assert other.port_queue("other1") == 1 and other.state(1) == "running"
    number, reason = tool(g, "link", requests=[["add_port", {"name": "vm3", "address": C, "link": "other1"}]])[0]
    assert errno_name(number) == "EOPNOTSUPP", reason
    g.run(f"echo {bdf} >/sys/bus/pci/drivers/vmq_igb/bind")
    again = Host(g)
    assert [again.state(n) for n in range(1, 8)] == ["undefined"] * 7
    again.port("vm1", A)
    with again.taps("vm1") as t:
        again.send(A, range(30))
        t.wait(30)
    assert t.serials("vm1") == list(range(30))
