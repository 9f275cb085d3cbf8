# SPDX-License-Identifier: GPL-2.0-only
"""A port's configuration moves to another uplink: scripts/vmq-port."""

import contextlib
import json
import os
import re
import signal
import subprocess

import pytest

from tests.e2e.link.lib import VM_QUEUES, Host, differences, load, say, vm_mac, wait_for
from tests.vm import topology
from tests.vm.guest import TOP

PORT = os.path.join(TOP, "scripts/vmq-port")
A, B, C, D, E = (vm_mac(n) for n in range(1, 6))
VID = 100
GROUP = "01:0c:cd:01:00:01"
ADDRESS, PEER = "10.2.0.1", "10.2.0.2"
# None of it is what a port begins with.
SETTINGS = {
    "queue_weight": "60",
    "native_vlan": str(VID),
    "vlan": f"{VID},110-111",
    "priority_trust": "0",
    "link_local": "0x4000",
    "spoof_check": "0",
    "allowed_macs": f"{D} {E}",
    "dhcp_guard": "1",
    "router_guard": "1",
    "storm_pps": "5000",
    "tx_max_mbps": "200",
    "tx_weight": "150",
    "mirror_to": "watcher",
}
# What the uplink gave the port, or is its own.
GIVEN = re.compile(r'/vmq/(queue|reason|cpu): |"link[_a-z]*":')


def policy(h, port):
    """What the dump says of the port, whatever its uplink and namespace are."""
    lines = [re.sub("^netns [^:]*: ", "", line) for line in h.dump()]
    mine = re.compile(rf"(/sys/class/net/{port}/|[a-z -]* dev {port}:)")
    return sorted(line for line in lines if mine.match(line) and not GIVEN.search(line))


def file_of(g, netns, name):
    return g.out(f"ip netns exec {netns} cat /sys/class/net/vm17/vmq/{name}")


def migrate(source, vm, target, new_vm):
    """The machine with the port vm17 stops in namespace vm and goes on in new_vm, on another host."""
    source.g.run(f"ip netns add {new_vm} && ip netns exec {vm} {PORT} export vm17 >/tmp/vm17.json")
    assert target.out(f"{PORT} import --uplink {target.dev} --down </tmp/vm17.json") == "vm17"
    target.out(f"ip link set vm17 netns {new_vm} && ip -n {new_vm} addr add {ADDRESS}/24 dev vm17")
    source.g.run(f"ip -n {vm} link del vm17 && ip -n {new_vm} link set vm17 up")
    topology.wait_carrier(source.g, "vm17", netns=new_vm)


@contextlib.contextmanager
def pinging(g, address):
    """Somebody across the wire does, once a second; fails if more than one ping is lost."""
    job = g.spawn(f"exec ip netns exec peer ping -W 5 {address}")

    def answers():
        return job.stdout.count("icmp_seq=")

    def more():
        before = answers()
        wait_for("pings are answered", lambda: answers() >= before + 3, 60)

    try:
        more()
        yield more
        more()
    finally:
        job.stop(signal.SIGINT)
    sent, came = map(int, re.search(r"(\d+) packets transmitted, (\d+) received", job.stdout).groups())
    say(f"{sent} pings sent, {came} answered")
    assert sent - came <= 1 and "DUP" not in job.stdout, job.stdout


HOLDER = """
import signal, socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("ADDRESS", 9))
print("ready", flush=True)
signal.pause()
"""


@contextlib.contextmanager
def frames_held(g, netns):
    """A program in the machine does not read what the peer sent it."""
    g.put("/tmp/holder.py", HOLDER.replace("ADDRESS", ADDRESS).encode())
    job = g.spawn(f"exec ip netns exec {netns} python3 /tmp/holder.py")
    try:
        wait_for("the program listens", lambda: "ready" in job.stdout)
        g.run(f"ip netns exec peer bash -c 'for n in 1 2 3 4; do echo >/dev/udp/{ADDRESS}/9; done'")
        waiting = f"ip netns exec {netns} cat /proc/net/udp | awk 'NR == 2 {{ print $5 }}'"
        wait_for("frames wait", lambda: not g.out(waiting).endswith(":00000000"))
        yield
    finally:
        job.stop(signal.SIGKILL)


def prepare(boot):
    """Two hosts, the second in a namespace, with a port "watcher" each that needs no queue, and the peer."""
    g = boot(name="migrate", smp=2, nics=[topology.HUB] * 3)
    topology.prepare(g, "link")
    load(g)
    here, there = Host(g, 0), Host(g, 1)
    g.run(f"ip netns add host2 && ip link set {there.dev} netns host2")
    there.netns = "host2"
    there.up()
    for h in (here, there):
        h.out(f"ip link add link {h.dev} name watcher type vmq && echo 0 >/sys/class/net/watcher/vmq/queue_weight")
    g.run(
        f"""set -e
        ip -n peer link add link peer0 name peer0.{VID} type vlan id {VID}
        ip -n peer link set peer0.{VID} up
        ip -n peer addr add {PEER}/24 dev peer0.{VID}
        """
    )
    return here, there


def configure(h):
    """The port vm17 with something of each kind set, in namespace vm-a."""
    h.g.run(f"ip link add link {h.dev} name vm17 address {A} type vmq")
    h.must(*[[f"/sys/class/net/vm17/vmq/{name}", text] for name, text in SETTINGS.items()])
    h.g.run(
        f"""set -e
        ip link set vm17 mtu 1400 alias "Joe's machine"
        bridge vlan add vid 111 untagged dev vm17 self
        bridge fdb add {B} vlan 110 dev vm17 self
        bridge fdb add {C} dev vm17 self
        bridge fdb add {GROUP} vlan 110 dev vm17 self
        ip netns add vm-a
        ip link set vm17 netns vm-a
        ip -n vm-a addr add {ADDRESS}/24 dev vm17
        ip -n vm-a link set vm17 up
        """
    )
    topology.wait_carrier(h.g, "vm17", netns="vm-a")


@pytest.mark.scenario("A32")
def test_migrate(boot):
    """To a host without free queues and back: all that was set comes along, one ping is lost at most, the queue is free."""
    here, there = prepare(boot)
    g = here.g
    there.out(f"for n in {' '.join(map(str, VM_QUEUES))}; do echo allocate >{there.rxq('$n', 'state')} || exit; done")
    configure(here)
    queue = file_of(g, "vm-a", "queue")
    before = policy(here, "vm17")
    assert all(any(text in line for line in before) for text in ("Joe", "1400", B, C, GROUP, "watcher", D))
    with pinging(g, ADDRESS) as more, frames_held(g, "vm-a"):
        migrate(here, "vm-a", there, "vm-b")
        more()
        assert here.state(queue) == "freeing"
    wait_for("the queue is free", lambda: here.state(queue) == "undefined", 10)
    after = policy(there, "vm17")
    assert after == before, differences(before, after)
    assert [file_of(g, "vm-b", name) for name in ("queue", "reason", "rx_queue_packets")] == ["none", "no free queue", "0"]

    with pinging(g, ADDRESS) as more:
        migrate(there, "vm-b", here, "vm-c")
        by_queue = int(file_of(g, "vm-c", "rx_queue_packets"))
        more()
        assert int(file_of(g, "vm-c", "rx_queue_packets")) > by_queue
    after = policy(here, "vm17")
    assert after == before, differences(before, after)
    assert file_of(g, "vm-c", "queue") == queue


def changed(config, **keys):
    return {**config, **keys}


def with_policy(config, **files):
    return changed(config, policy={**config["policy"], **files})


def malformed(config):
    """[what is no configuration, a part of the reason]."""
    entry = {"address": B, "vlan": 7}
    return [
        ["{", "Expecting property name"],
        ["[" * 100000, "recursion"],
        [[], "no configuration of a port"],
        [changed(config, **{"vmq-port": 2}), "not of format 1"],
        [{k: v for k, v in config.items() if k != "mtu"}, "has no mtu"],
        [changed(config, colour="red"), "'colour', which is unknown"],
        [changed(config, up=1), "up is of the wrong type"],
        [changed(config, mtu=True), "mtu is of the wrong type"],
        [changed(config, address=f"{A} up"), "is no address"],
        [changed(config, name="--help"), "is no name"],
        [changed(config, uplink="eth0 up"), "is no name"],
        [changed(config, fdb=[B]), "is no list of keys"],
        [changed(config, fdb=[changed(entry, vlan="7")]), "vlan is of the wrong type"],
        [changed(config, fdb=[changed(entry, address=f"{B} master")]), "is no address"],
        [changed(config, fdb=[changed(entry, dst="10.0.0.1")]), "'dst', which is unknown"],
        [changed(config, vlans=[{"vid": 4095}]), "VLAN 4095 is not one of"],
        [changed(config, vlans=[{"vid": 1, "end": 0}]), "VLAN 0 is not one of"],
        [with_policy(config, **{"../mtu": "1"}), "is no file of a port"],
        [with_policy(config, storm_pps=5), "is no text"],
    ]


def test_malformed():
    """What is no configuration of a port gets to no command, and the reason is printed."""
    policy = {"queue_weight": "100"}
    config = {"vmq-port": 1, "name": "vm17", "uplink": "lo", "address": C, "mtu": 1500, "up": True, "alias": "", "fdb": [],
              "vlans": [], "policy": policy}

    def imported(what):
        text = what if isinstance(what, str) else json.dumps(what)
        # Where no other program is found.
        return subprocess.run(["/usr/bin/python3", PORT, "import"], input=text, capture_output=True, text=True, env={"PATH": "/nowhere"})

    for what, why in malformed(config):
        done = imported(what)
        said = done.stderr.splitlines()
        assert done.returncode == 2 and len(said) == 1 and why in said[0] and not done.stdout, (what, why, done)
    assert "No such file or directory: 'ip'" in imported(config).stderr
    say(f"{len(malformed(config))} files refused")


def refusals(h, config):
    """[what the uplink does not give, options, a part of the reason]."""
    return [
        [changed(config, fdb=[{"address": B, "vlan": 7}]), "", "the port is not in VLAN 7"],
        [changed(config, fdb=[{"address": A, "vlan": 100}]), "", "has this filter already"],
        [changed(config, vlans=[{"vid": 20, "end": 10}]), "", "vlan takes a list"],
        [with_policy(config, nonsense="1"), "", "ports have no nonsense here"],
        [with_policy(config, queue="3"), "", "ports have no queue here"],
        [with_policy(config, storm_pps="much"), "", "storm_pps takes 0 (no limit) to"],
        [with_policy(config, mirror_to="nobody"), "", "no port of this name"],
        [with_policy(config, exclusive="1"), "", "gets no queue of its own: VMQ disabled"],
        [changed(config, mtu=9000), "", "the MTU is larger than the uplink's"],
        [changed(config, address=h.mac), "", "is an address of the host"],
        [changed(config, address=B), "", "has this filter already"],
        [config, "--uplink lo", "the uplink has no VMQ"],
        [config, "--uplink eth99", "Cannot find device"],
        [config, "--name vm1", "File exists"],
    ]


IMPORT = """
ls /sys/class/net >/tmp/interfaces
for f in /tmp/import-*.json; do
    read -r words <${f%.json}.words
    echo "== ${f//[!0-9]} $({tool} import $words <$f 2>&1 >/dev/null) rc=$?"
    [ -z "$(comm -3 <(ls /sys/class/net) /tmp/interfaces)" ] || { echo "left something"; ls /sys/class/net; exit; }
done
"""


def test_refusals(host):
    """What cannot be had: the reason, and nothing is left; what can is the same when it is exported again."""
    h, g = host, host.g
    h.port("vm1", A, (A, 100))
    h.port("vm2", B)
    config = json.loads(h.out(f"{PORT} export vm1"))
    config.update(name="vm17", address=C, fdb=[], vlans=[{"vid": 100, "pvid": True, "untagged": True}])
    cases = refusals(h, config)
    # Without a queue an exclusive port is none.
    h.must([f"{h.vmq}/enabled", "0"])
    for n, (what, words, _) in enumerate(cases):
        g.put(f"/tmp/import-{n}.json", json.dumps(what).encode())
        g.put(f"/tmp/import-{n}.words", f"{words}\n".encode())
    with h.unchanged():
        said = g.run(IMPORT.replace("{tool}", PORT), timeout=300).stdout
    for line in said.split("== ")[1:]:
        n, _, text = line.partition(" ")
        say(text.strip())
        assert cases[int(n)][2] in text and "Traceback" not in text and text.strip().endswith("rc=2"), cases[int(n)]
    assert said.count("== ") == len(cases), said[-200:]
    # The same file is taken where there is nothing wrong with it.
    g.put("/tmp/import.json", json.dumps(config).encode())
    assert json.loads(h.out(f"{PORT} import </tmp/import.json >/tmp/name && {PORT} export $(</tmp/name)")) == config
