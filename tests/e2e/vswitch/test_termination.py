# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own selftest of what an interface lets up: net/forwarding/local_termination.sh.

It sends from one interface to another, across the wire, and looks by tcpdump for what the
second one's filters passed: unicast, groups and PTP to the interface itself, a macvlan, a
VLAN device and a bridge on it. local_termination.txt has the outcome of each check.
"""

import os
import re
import subprocess

import pytest

from tests.e2e.link.lib import say, vm_mac
from tests.report import FULL
from tests.vm import topology
from tests.vm.guest import script_output

HERE = os.path.dirname(os.path.abspath(__file__))
EXPECTED = os.path.join(HERE, "local_termination.txt")
KINDS = ("igb", "uplink", "port")
# Those that are listed; there are three more of a VLAN above a bridge.
SECTIONS = ("standalone", "vlan_unaware_bridge", "vlan_aware_bridge", "test_vlan", "vlan_over_vlan_unaware_bridged_port")
NETNS = "forwarding"
# Its own time-outs, of which each is waited for: what a ping to nobody takes, and the links.
# The selftest leaves both ends down, and a port has no carrier while its uplink is.
RUN = """
ip -n {netns} link set {uplink} up
cd {directory} && export PATH=/run/out/mtools:$PATH SUDO_USER=root NETIF_CREATE=no \
    PING_TIMEOUT=1 WAIT_TIME=1 TESTS="{section}"
exec nsenter --net=/run/netns/{netns} ./local_termination.sh {sender} {receiver}
"""


def expected():
    """{(section, check): ({kind: outcome}, why)}."""
    found, section = {}, None
    with open(EXPECTED) as f:
        for line in f.read().splitlines():
            if line.endswith(":") and " " not in line:
                section = line[:-1]
            elif line and not line.startswith("#"):
                outcomes, check, *why = map(str.strip, line.split("|"))
                found[section, check] = (dict(zip(KINDS, outcomes.split(), strict=True)), " ".join(why))
    return found


def mtools(g):
    """The helpers that the selftest calls, into a directory of the guest."""
    directory = os.path.join(g.shared, "mtools")
    os.makedirs(directory, exist_ok=True)
    for name in ("msend", "mreceive", "mausezahn"):
        subprocess.run(["gcc", "-O1", "-Wall", "-Werror", "-o", os.path.join(directory, name), os.path.join(HERE, "mtools.c")], check=True)


@pytest.fixture
def wire(hub):
    """Both ends of a wire in a namespace: the uplink with the port vm17, and the peer's NIC, with in-tree igb."""
    h, g = hub, hub.g
    mtools(g)
    g.run(
        f"""set -e
        ip netns add {NETNS}
        ip netns exec {NETNS} sysctl -qw net.ipv6.conf.default.accept_dad=0
        ip -n peer link set peer0 netns {NETNS}
        ip link set {h.dev} netns {NETNS}
        ip -n {NETNS} link set peer0 up
        ip -n {NETNS} link set {h.dev} up
        modprobe -a vrf macvlan 8021q bridge
        """
    )
    h.netns = NETNS
    topology.wait_carrier(g, h.dev, netns=NETNS)
    h.out(f"ip link add link {h.dev} name vm17 address {vm_mac(1)} type vmq && ip link set vm17 up"
          # Peer delay requests have a link-local group.
          " && echo 0x4000 >/sys/class/net/vm17/vmq/link_local")
    yield h
    if g.alive and not g.failed:
        g.run(
            f"""set -e
            ip -n {NETNS} link del vm17
            ip -n {NETNS} link set {h.dev} netns 1
            ip link set {h.dev} up
            ip -n {NETNS} link set peer0 netns peer
            ip -n peer link set peer0 up
            ip netns del {NETNS}
            """
        )
        h.netns = None
        topology.wait_carrier(g, h.dev)


def outcomes(h, kind, section):
    """{check: outcome} of a section, as the selftest prints it."""
    receiver = {"igb": "peer0", "uplink": h.dev, "port": "vm17"}[kind]
    directory = os.path.join(script_output("scripts/kernel", "source"), "tools/testing/selftests/net/forwarding")
    sender = h.dev if kind == "igb" else "peer0"
    r = h.g.run(RUN.format(directory=directory, section=section, netns=NETNS, uplink=h.dev, sender=sender, receiver=receiver), timeout=600, check=False)
    found = re.findall(r"^TEST: (.*?)\s*\[\s*(\w+)\s*\]", r.stdout, re.M)
    assert found, f"{section} on {kind}: status {r.rc}: {r.stdout} {r.stderr}"
    return {check.replace(f"{receiver}: ", ""): outcome for check, outcome in found}


def check_section(h, kind, section, listed):
    wanted = {check: kinds[kind] for (s, check), (kinds, _) in listed.items() if s == section}
    found = outcomes(h, kind, section)
    if found != wanted:
        # A second is long, and what is late is lost for it; not on a machine that is busy.
        say(f"{kind}, {section}: once more, for {sorted(found.items() - wanted.items())}")
        found = outcomes(h, kind, section)
    number = {outcome: list(found.values()).count(outcome) for outcome in sorted(set(found.values()))}
    say(f"{kind}, {section}: " + ", ".join(f"{n} {outcome}" for outcome, n in number.items()))
    return [f"{kind}, {section}, {check}: {found.get(check)}, expected {wanted.get(check)}"
            for check in sorted(found.keys() | wanted.keys()) if found.get(check) != wanted.get(check)]


def check_list(listed):
    """Another outcome than OK is igb's as well, or there is a reason."""
    for (section, check), (kinds, why) in listed.items():
        for kind in ("uplink", "port"):
            assert kinds[kind] in ("OK", kinds["igb"]) or why, f"{section}, {check}: no reason for {kinds[kind]} on {kind}"


def test_local_termination(wire):
    """Each check has the outcome that is listed: the port by itself; with FULL=1 all of it, on uplink and igb, too."""
    h, listed = wire, expected()
    check_list(listed)
    assert {section for section, _ in listed} == set(SECTIONS)
    wrong = []
    for kind in KINDS if FULL else ("port",):
        for section in SECTIONS if FULL else SECTIONS[:1]:
            # The owner says in which VLANs the VM is.
            if (kind, section) == ("port", "test_vlan"):
                h.out("bridge vlan add vid 100 dev vm17 self")
            wrong += check_section(h, kind, section, listed)
    assert not wrong, "\n".join(wrong)
