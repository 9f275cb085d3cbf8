# SPDX-License-Identifier: GPL-2.0-only
"""Documentation/attach-vm.rst: how containers, VMs and bridges use a port."""

import json
import os

from tests.e2e.link.lib import OUTSIDE, say, tool, vm_mac, wait_for
from tests.e2e.link.test_traffic import addresses, check_pings, configure, vm_in_netns
from tests.vm.wire import parse

A, B, C = vm_mac(1), vm_mac(2), vm_mac(3)
TOOL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "vmtool.py")
N = 50


def start(g, *argv, netns=None):
    job = g.tool(TOOL, *argv, netns=netns)
    wait_for("the tool is ready", lambda: "ready" in job.stdout or job.poll() is not None, 60, 0.05)
    assert job.poll() is None, job.stderr
    return job


def ask(g, netns, address, sizes):
    job = g.tool(TOOL, "ask", address, 7100, *sizes, netns=netns)
    assert job.wait(120) == 0, job.stderr
    return json.loads(job.stdout)


def test_short_datagrams(hub):
    """UDP datagrams too short for a whole frame arrive, between VM and wire, two VMs, and host."""
    h, sizes = hub, [0, 1, 2, 3, 4, 9, 10, 17, 18, 19, 40, 1472]
    vm_in_netns(h, "vm1", A, 1, tagged=False)
    vm_in_netns(h, "vm2", B, 3, tagged=False)
    configure(h.g, "peer", "peer0", 2, tagged=False)
    for server, client, address in (("peer", "vm1", 2), ("vm1", "peer", 1), ("vm2", "vm1", 3)):
        job = start(h.g, "echo", 7100, netns=server)
        try:
            answered = ask(h.g, client, addresses(address)[0], sizes)
        finally:
            job.stop(9)
        say(f"{client} to {server}: datagrams of {answered} bytes answered")
        assert answered == sizes


def test_macvtap(host):
    """A VM at a macvtap device (passthru, as QEMU and libvirt use it) has the port: frames, queue, address."""
    h = host
    h.port("vm1", A)
    h.port("vm2", B)
    h.g.run(
        "modprobe macvtap && ip link add link vm1 name vm1tap type macvtap mode passthru"
        f" && ip link set vm1tap up && ip link set vm1tap address {C}"
    )
    q = h.port_queue("vm1")
    before = int(h.queue(q)["rx_packets"])
    assert h.read("/sys/class/net/vm1/address") == C
    assert [line.split()[1] for line in h.queue(q)["filters"].splitlines()] == [C]
    job = start(h.g, "tap", "vm1tap", C, 2 * N)
    h.wire.clear()
    with h.wire.capture(lambda f: parse(f).dst == OUTSIDE) as out, h.taps("vm2") as t:
        h.send(C, range(N))
        tool(h.g, "send", interface="vm2", frames=[{"dst": C, "src": B, "serial": 1000, "count": N}])
        h.send(A, range(2000, 2000 + N))
        assert h.wire.wait_captured(out, N)
        t.wait(N)
    assert job.wait(60) == 0, job.stderr
    got = json.loads(job.stdout.splitlines()[-1])
    by_queue = int(h.queue(q)["rx_packets"]) - before
    say(f"the VM got {len(got)} frames, {by_queue} of them by queue {q}")
    assert sorted(got) == [*range(N), *range(1000, 1000 + N)]
    assert [parse(f).serial for f in out] == list(range(N))
    assert t.serials("vm2") == list(range(1000, 1000 + N))
    assert by_queue == N


def test_port_and_macvtap_end_together(host):
    """A port and the macvtap that changed its address are deleted in one request, the port first."""
    h, g = host, host.g
    h.port("vm1", A)
    q = h.port_queue("vm1")
    g.run(
        "modprobe macvtap && ip link add link vm1 name vm1tap type macvtap mode passthru"
        f" && ip link set vm1tap address {C} && ip link set vm1 group 5 && ip link set vm1tap group 5"
    )
    assert h.read("/sys/class/net/vm1/address") == C
    g.run("ip link del group 5")
    assert g.run("ip link show vm1; ip link show vm1tap", check=False).stdout == ""
    wait_for("the queue is free", lambda: h.state(q) == "undefined")
    h.port("vm1", C)
    assert h.port_queue("vm1") == q


def test_bridge_behind_port(hub):
    """Machines behind a bridge on a port speak once the port may send their addresses; by its queue with an entry."""
    h, g = hub, hub.g
    vm_in_netns(h, "vm1", A, 1, tagged=False)
    configure(g, "peer", "peer0", 2, tagged=False)
    h.port("up17", C)
    try:
        g.run(
            "ip netns add inner && ip link add br17 type bridge && ip link add leg17 type veth peer name eth0 netns inner"
            f" && ip link set up17 master br17 && ip link set leg17 master br17 && ip -n inner link set eth0 address {B}"
            " && ip link set br17 up && ip link set leg17 up"
        )
        configure(g, "inner", "eth0", 6, tagged=False)
        lost = g.run(f"ip netns exec inner ping -q -c 3 -i 0.2 -W 1 {addresses(2)[0]}", check=False)
        assert lost.rc and h.port_counters("up17")["tx_spoof_dropped"] > 0, "sent with an address that is not the port's"
        # What was asked in vain gives up in the midst of the next ping.
        g.run("echo 0 >/sys/class/net/up17/vmq/spoof_check && ip -n inner neigh flush all")
        check_pings(g, "inner", addresses(2)[:2] + addresses(1)[:2])
        check_pings(g, "peer", addresses(6)[:2])
        before = h.port_counters("up17")["rx_queue_packets"]
        g.run(f"echo 1 >/sys/class/net/up17/vmq/spoof_check && bridge fdb add {B} dev up17 self")
        check_pings(g, "inner", [addresses(2)[0], addresses(1)[0]])
        check_pings(g, "peer", [addresses(6)[0]])
        check_pings(g, "vm1", [addresses(6)[0]])
        assert before == 0 and h.port_counters("up17")["rx_queue_packets"] >= 10
    finally:
        g.run("ip link del br17; ip link del leg17", check=False)


def test_container_ends(host):
    """A container's port goes with it, traffic or not, and its queue and filters are free again."""
    h = host
    h.port("vm1", A, (A, 7), up=False)
    pid = h.g.out(
        "unshare --net sleep 1000 >/dev/null & pid=$!; sleep 0.5; ip link set vm1 netns $pid"
        " && nsenter -n -t $pid ip link set vm1 up && echo $pid"
    )
    assert h.state(1) == "running" and len(h.queue(1)["filters"].splitlines()) == 2
    h.send(A, range(N))
    h.g.run(f"kill {pid}")
    wait_for("the queue is free", lambda: h.state(1) == "undefined")
    assert "vswitch" not in h.out("cat /sys/class/net/*/queues/rx-*/vmq/filters")
    h.port("vm1", A)
    assert h.port_queue("vm1") == 1
