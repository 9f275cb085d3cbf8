# SPDX-License-Identifier: GPL-2.0-only
"""README's section for real hardware, literally, and what vmq-bind refuses."""

import os
import re

import pytest

from tests.e2e.link.lib import OUTSIDE, Taps, say, wait_for
from tests.vm import topology
from tests.vm.guest import TOP
from tests.vm.wire import eth


def readme_commands():
    """The commands of README's section on real hardware, a line each."""
    with open(os.path.join(TOP, "README.md")) as f:
        text = f.read()
    section = re.search(r"^## On real hardware$(.*?)^## ", text, re.S | re.M)[1]
    blocks = re.findall(r"^```sh\n(.*?)^```", section, re.S | re.M)
    assert len(blocks) == 1, "the section has one list of commands"
    lines = [re.sub(r"\s+#.*", "", line) for line in blocks[0].splitlines()]
    return [line for line in lines if line]


@pytest.fixture
def igb_guest(one_guest):
    """NIC 0 with the in-tree igb, as on a machine that just booted."""
    g = one_guest
    topology.unload(g)
    g.run(f"echo >/sys/bus/pci/devices/{g.pci(0)}/driver_override; modprobe -r igb; modprobe igb")
    dev = topology.wait_netdev(g, 0)
    assert driver_of(g) == "igb"
    yield g, dev
    if g.alive and not g.failed:
        g.run(f"echo >/sys/bus/pci/devices/{g.pci(0)}/driver_override; ip route flush default; true")
        topology.unload(g)
        g.run("modprobe -r igb")


def driver_of(g):
    return os.path.basename(g.out(f"readlink /sys/bus/pci/devices/{g.pci(0)}/driver || true"))


# What scripts/build-modules told the compiler by W=1.
BUILT_WITH = {"KBUILD_EXTRA_WARN": "1"}


def checkout_in_guest(g):
    """This checkout, built: the directory where scripts/build-modules built it
    for the guest's kernel, completed in the guest's own layer. A build from
    nothing takes an emulated CPU many minutes; make finds this one up to date."""
    built = os.path.join(os.path.dirname(g.mods), "src")
    g.run(f"cp -a {TOP}/Makefile {TOP}/scripts {built}/")
    return built


def frames_come(g, dev, mac, vlan=None):
    wire = g.wire(0)
    with Taps(g, dev) as t:
        wire.send_paced(eth(mac, OUTSIDE, vlan=vlan, serial=n) for n in range(50))
        t.wait(50)
    return t.serials(dev) == list(range(50))


def test_readme(igb_guest):
    """README's commands for real hardware work as they stand: igb, vmq_igb, port, filter, traffic, igb."""
    g, dev = igb_guest
    g.run(f"ip link set {dev} up")
    topology.wait_carrier(g, dev)
    assert frames_come(g, dev, g.mac(0)), "the in-tree igb does not receive"
    commands = readme_commands()
    words = " ".join(commands)
    for step in ("make load", "vmq-bind eth0", "type vmq", "bridge fdb add", "--release", "make unload"):
        assert step in words, f"README does not say {step}"
    checkout = checkout_in_guest(g)
    checked = 0
    for line in commands:
        line = re.sub(r"^sudo ", "", line).replace("eth0", dev)
        r = g.run(f"cd {checkout} && {line}", timeout=600, check=False, env=BUILT_WITH)
        say(f"$ {line}: status {r.rc} {' '.join((r.stdout + r.stderr).split())[:100]}")
        assert r.rc == 0, f"{line}: {r.stdout} {r.stderr}"
        if line.startswith("make load"):
            assert driver_of(g) == "igb", "loading alone must not take a NIC"
        elif "--release" in line:
            assert driver_of(g) == "igb"
            assert r.stdout.strip() == dev
        elif line.startswith("scripts/vmq-bind"):
            assert driver_of(g) == "vmq_igb"
            assert r.stdout.strip() == dev, "it prints the interface's name"
        elif line.startswith("ip link set vm17 up"):
            topology.wait_carrier(g, "vm17")
            assert frames_come(g, "vm17", "52:54:00:00:17:01")
            checked += 1
        elif line.startswith("bridge fdb add"):
            assert frames_come(g, "vm17", "52:54:00:00:17:02", vlan=100)
            checked += 1
        elif line.startswith("cat ") and line.endswith("/queue"):
            assert r.stdout.strip() == "1"
        elif line.startswith("cat ") and line.endswith("/filters"):
            assert "52:54:00:00:17:01 untagged vswitch 50" in r.stdout
            assert "52:54:00:00:17:02 100 vswitch 50" in r.stdout
            checked += 1
    assert checked == 3
    assert driver_of(g) == "igb"
    assert g.run("ls -d /sys/module/vmq*", check=False).stdout == "", "modules are still loaded"
    g.run(f"ip link set {dev} up")
    topology.wait_carrier(g, dev)
    assert frames_come(g, dev, g.mac(0)), "the in-tree igb does not receive after the release"


def refuse(g, arguments, reason):
    r = g.run(f"VMQ_MODULES={g.mods} {TOP}/scripts/vmq-bind {arguments}", check=False)
    say(f"vmq-bind {arguments}: status {r.rc}, {r.stderr.strip()}")
    assert r.rc == 2 and reason in r.stderr, f"{r.rc}: {r.stdout} {r.stderr}"


# From the NIC upwards: the kind of each interface that stands on the one before.
STACKS = ("vlan", "macvlan", "bridge"), ("bond", "bridge", "vlan")


def stack(g, dev, kinds):
    """Builds it; the name of the uppermost."""
    below = dev
    for n, kind in enumerate(kinds):
        name = f"{kind}.{n}"  # no name that a module takes itself
        if kind in ("bond", "bridge"):
            g.run(f"ip link add {name} type {kind} && ip link set {below} down && ip link set {below} master {name}")
        else:
            g.run(f"ip link add link {below} name {name} type {kind}" + (" id 10" if kind == "vlan" else ""))
        g.run(f"ip link set {below} up && ip link set {name} up")
        below = name
    return below


def unstack(g, dev, kinds):
    for n, kind in reversed(list(enumerate(kinds))):
        g.run(f"ip link del {kind}.{n}")
    g.run(f"ip link set {dev} up")


def both_routes(g, dev):
    g.run(f"ip addr add 10.9.0.1/24 dev {dev} && ip route add default via 10.9.0.254 dev {dev} &&"
          f" ip -6 addr add fd09::1/64 dev {dev} nodad && ip -6 route add default via fd09::254 dev {dev}")


def test_vmq_bind_refuses(igb_guest):
    """vmq-bind refuses what is no supported NIC, and one with the default route unless forced."""
    g, dev = igb_guest
    bridge = next(line.split()[0] for line in g.out("cd /sys/bus/pci/devices; grep -l 0x060400 */class").splitlines())
    refuse(g, bridge.partition("/")[0], "vmq_igb supports")
    refuse(g, "lo", "no hardware")
    refuse(g, "nosuch0", "neither an interface nor a PCI address")
    refuse(g, "0000:77:00.0", "no PCI device")
    refuse(g, "", "")
    refuse(g, f"{dev} --release", "does not have")
    refuse(g, f"{dev} --sideways", "")
    g.run(f"ip link set {dev} up")
    topology.wait_carrier(g, dev)
    for family, address, gateway in (("-4", "10.9.0.1/24", "10.9.0.254"), ("-6", "fd09::1/64", "fd09::254")):
        g.run(f"ip {family} addr add {address} dev {dev} && ip {family} route add default via {gateway}")
        refuse(g, dev, "default route")
        refuse(g, g.pci(0), "default route")
        assert driver_of(g) == "igb"
        g.run(f"ip {family} route del default")
    # Both families at once, as most hosts have it; not seen once is once too often.
    g.run(f"ip addr flush dev {dev}")
    both_routes(g, dev)
    for _ in range(2):
        refuse(g, dev, "default route")
    g.run(f"ip route del default; ip -6 route del default; ip addr flush dev {dev}")
    # What stands on the NIC may carry the route as well, at any height.
    for above in STACKS:
        top = stack(g, dev, above)
        both_routes(g, top)
        refuse(g, dev, f"{top} carries the default route")
        unstack(g, dev, above)
    g.run(f"ip link add br0 type bridge && ip link set {dev} master br0 && ip link set br0 up")
    both_routes(g, "br0")
    refuse(g, dev, "default route")
    r = g.run(f"VMQ_MODULES={g.mods} {TOP}/scripts/vmq-bind --force {dev}")
    assert driver_of(g) == "vmq_igb" and r.stdout.strip() == dev
    # Once more: it has it already.
    g.run(f"{TOP}/scripts/vmq-bind --force {dev}")
    refuse(g, f"{dev}.x", "neither")
    g.run("ip link del br0")
    g.run(f"{TOP}/scripts/vmq-bind --release {g.pci(0)}")
    wait_for("igb has the NIC again", lambda: driver_of(g) == "igb")


def test_foreign_function(one_guest):
    """A function that is no NIC of ours, handed over by driver_override, is refused and left as it was."""
    g = one_guest
    topology.load(g)
    # The SMBus: nobody in this guest uses it.
    name = g.out("cd /sys/bus/pci/devices; grep -l 0x0c0500 */class").partition("/")[0]
    look = f"cd /sys/bus/pci/devices/{name}; od -An -tx1 config; cat enable resource; ls -d driver"
    before = g.run(look, check=False).stdout
    assert before and "driver" not in before
    g.run(f"dmesg --clear; echo vmq_igb >/sys/bus/pci/devices/{name}/driver_override")
    r = g.run(f"echo {name} >/sys/bus/pci/drivers/vmq_igb/bind", check=False)
    said = [line for line in g.out("dmesg --notime").splitlines() if name in line or "vmq" in line]
    g.run(f"echo >/sys/bus/pci/devices/{name}/driver_override")
    topology.unload(g)
    assert r.rc and "No such device" in r.stderr, r.stderr
    assert said == [f"vmq_igb {name}: error -ENODEV: not a NIC that vmq_igb supports"]
    assert g.run(look, check=False).stdout == before
