# SPDX-License-Identifier: GPL-2.0-only
"""Modules and devices come and go, with ports up and traffic running: silent,
and nothing is left behind."""

import threading
import time

import pytest

from tests.e2e.link.lib import OUTSIDE, Host, check_leaks, clean, load, say, spawn_tool, tool, vm_mac, wait_for
from tests.vm import topology
from tests.vm.wire import WireError, eth

A, B, C = (vm_mac(n) for n in range(1, 4))
OURS = ("vmq_vswitch", "vmq_igb", "vmq")


class Noise:
    """Frames from outside to every VM and to all, whether somebody takes them or not. Under a
    hundred a second: a debug kernel on emulated CPUs is soon busy with nothing else."""

    def __init__(self, g, *macs):
        self.wire, self.macs = g.wire(0), macs
        self.stopping = threading.Event()
        self.sent = 0

    def __enter__(self):
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        return self

    def run(self):
        while not self.stopping.is_set():
            for mac in self.macs:
                try:
                    self.wire.send(eth(mac, OUTSIDE, serial=self.sent), timeout=0.05)
                    self.sent += 1
                except WireError:
                    # A NIC without driver takes nothing.
                    time.sleep(0.02)
            time.sleep(0.05)

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()


def set_up_vms(g):
    """Two ports up, one queue by ethtool, one allocated only; frames reach the first."""
    h = Host(g)
    h.g.run(
        f"ip link add link {h.dev} name vm1 address {A} type vmq && ip link set vm1 up &&"
        f" ip link add link {h.dev} name vm2 address {B} type vmq && ip link set vm2 up &&"
        f" bridge fdb add {B} vlan 7 dev vm2 self &&"
        f" ethtool -N {h.dev} flow-type ether dst {C} vlan 0 m 0xf000 action 5 &&"
        f" echo allocate >{h.rxq(6, 'state')}",
        timeout=180,
    )
    wait_for("traffic flows", lambda: int(g.out("cat /sys/class/net/vm1/statistics/rx_packets")) >= 5, 60, 0.05)
    return h


def refcounts(g):
    return {m: int(g.out(f"cat /sys/module/{m}/refcnt")) for m in OURS}


def check_nothing_left(g):
    """No page pool, no leak, no complaint."""
    wait_for("page pools are gone", lambda: not tool(g, "pools"), 120, 0.5)
    g.check_console()
    say("no page pool is left")
    check_leaks(g)


@pytest.fixture
def bare_guest(small_guest):
    """A guest with NIC 0 alone, and without our modules."""
    g = small_guest
    if g.run("ls -d /sys/module/vmq", check=False).rc == 0:
        clean(g)
    topology.unload(g)
    topology.reserve(g, 0)
    # Ends and changes wait for many grace periods.
    g.run("echo 1 >/sys/kernel/rcu_expedited")
    yield g
    if g.alive and not g.failed:
        topology.unload(g)
        g.run("echo 0 >/sys/kernel/rcu_expedited")


# A fault sweep before this one may have made the kernel give up DMA debugging.
@pytest.mark.fresh
@pytest.mark.kernel("debug")
def test_insmod_rmmod(bare_guest, count):
    """All modules in and out, with ports up and traffic running."""
    g, rounds = bare_guest, count(50)
    with Noise(g, A, B, C, "ff:ff:ff:ff:ff:ff") as noise:
        for n in range(rounds):
            load(g)
            set_up_vms(g)
            sender = spawn_tool(g, "noise", interface="vm1", dst=OUTSIDE)
            if n % 2:
                # Ports end with the NIC's driver, else with the switch.
                g.run("rmmod vmq_igb")
            for module in OURS:
                if g.run(f"ls -d /sys/module/{module}", check=False).rc == 0:
                    g.run(f"[ $(cat /sys/module/{module}/refcnt) = 0 ] && rmmod {module}")
            assert g.run("ip -o link show type vmq; ls -d /sys/module/vmq*", check=False).stdout == ""
            sender.stop(9)
            g.check_console()
    say(f"{rounds} rounds, {noise.sent} frames sent meanwhile")
    check_nothing_left(g)


@pytest.mark.kernel("debug")
def test_bind_unbind(bare_guest, count):
    """The NIC is unbound and bound, with ports up and traffic running."""
    g, rounds = bare_guest, count(50)
    load(g)
    driver, bdf = "/sys/bus/pci/drivers/vmq_igb", g.pci(0)
    with Noise(g, A, B, C, "ff:ff:ff:ff:ff:ff") as noise:
        for _ in range(rounds):
            set_up_vms(g)
            sender = spawn_tool(g, "noise", interface="vm2", dst=OUTSIDE)
            g.run(f"echo {bdf} >{driver}/unbind")
            assert g.run("ip -o link show type vmq", check=False).stdout == ""
            counts = refcounts(g)
            assert counts == {"vmq_vswitch": 0, "vmq_igb": 0, "vmq": 2}, counts
            g.run(f"echo {bdf} >{driver}/bind")
            sender.stop(9)
            g.check_console()
    say(f"{rounds} rounds, {noise.sent} frames sent meanwhile")
    topology.unload(g)
    check_nothing_left(g)


@pytest.mark.kernel("debug")
def test_hot_unplug(bare_guest):
    """The NIC is pulled and put back, with ports up and traffic running."""
    g = bare_guest
    load(g)
    # The in-tree driver must not be quicker than driver_override.
    g.run("echo 0 >/sys/bus/pci/drivers_autoprobe")
    try:
        for _ in range(2):
            with Noise(g, A, B, C, "ff:ff:ff:ff:ff:ff") as noise:
                set_up_vms(g)
                sender = spawn_tool(g, "noise", interface="vm1", dst=OUTSIDE)
                g.unplug(0, timeout=120)
            sender.stop(9)
            assert g.run("ip -o link show type vmq", check=False).stdout == ""
            assert refcounts(g) == {"vmq_vswitch": 0, "vmq_igb": 0, "vmq": 2}
            g.check_console()
            g.plug(0)
            wait_for("the NIC is back", lambda: g.run(
                "ls -d /sys/bus/pci/devices/0000:00:10.0/0000:*.0", check=False).rc == 0, 60, 0.5)
            bdf = g.pci(0)
            topology.reserve(g, 0)
            g.run(f"echo {bdf} >/sys/bus/pci/drivers_probe")
            with Noise(g, A, B):
                set_up_vms(g)
            clean(g)
            say(f"unplugged and plugged in, {noise.sent} frames sent meanwhile")
    finally:
        g.run("echo 1 >/sys/bus/pci/drivers_autoprobe")
    topology.unload(g)
    check_nothing_left(g)
