# SPDX-License-Identifier: GPL-2.0-only
"""Modules and devices come and go, with ports up and traffic running: silent,
and nothing is left behind."""

import json
import os
import threading
import time

import pytest

from tests.e2e.link.lib import BROADCAST, OUTSIDE, clean, load, say, vm_mac, wait_for
from tests.vm import topology
from tests.vm.wire import WireError, eth

LIFETOOL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "lifetool.py")
MACS = [vm_mac(n) for n in range(1, 4)]
# A round is two seconds on a machine that has nothing else to do.
ROUND_MAX = 60


class Noise:
    """Frames from outside to every VM and to all, whether somebody takes them or not. Under a
    hundred a second: a debug kernel on emulated CPUs is soon busy with nothing else."""

    def __init__(self, g):
        self.wire = g.wire(0)
        self.stopping = threading.Event()
        self.sent = 0

    def __enter__(self):
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        return self

    def run(self):
        while not self.stopping.is_set():
            for mac in (*MACS, BROADCAST):
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


def spawn(g, command, **options):
    return g.tool(LIFETOOL, command, json.dumps(options))


def ask(g, command, timeout=60, **options):
    """One command of lifetool.py; what it prints last, as a value."""
    job = spawn(g, command, **options)
    wait_for(f"{command} ends", lambda: job.poll() is not None, timeout, 0.2)
    assert job.rc == 0, f"{command}: {job.stdout[-400:]} {job.stderr[-2000:]}"
    return json.loads(job.stdout.splitlines()[-1])


def check_nothing_left(g):
    """No page pool, no complaint. Leaks are looked for when nobody else has the guest."""
    wait_for("page pools are gone", lambda: not ask(g, "pools"), 120, 0.5)
    g.check_console()
    say("no page pool is left")


@pytest.fixture
def bare_guest(leaks_guest):
    """A guest with NIC 0 alone, and without our modules; what they need is loaded."""
    g = leaks_guest
    topology.reserve(g, 0)
    load(g)
    clean(g)
    topology.unload(g)
    # Ends and changes wait for many grace periods.
    g.run("echo 1 >/sys/kernel/rcu_expedited")
    yield g
    if g.alive and not g.failed:
        topology.unload(g)
        g.run("echo 0 >/sys/kernel/rcu_expedited")


@pytest.mark.kernel("debug")
def test_insmod_rmmod(bare_guest, count):
    """All modules in and out, with ports up and traffic running."""
    g, rounds = bare_guest, count(50)
    g.run(f"mkdir -p /run/mods && cp {g.mods}/*.ko /run/mods")
    with Noise(g) as noise:
        sent = ask(g, "insmod", rounds * ROUND_MAX, bdf=g.pci(0), mods="/run/mods", macs=MACS, dst=OUTSIDE, count=rounds)
    say(f"{rounds} rounds, frames sent meanwhile: {noise.sent} from outside, {sent} from a port")
    check_nothing_left(g)


@pytest.mark.kernel("debug")
def test_bind_unbind(bare_guest, count):
    """The NIC is unbound and bound, with ports up and traffic running."""
    g, rounds = bare_guest, count(50)
    load(g)
    with Noise(g) as noise:
        sent = ask(g, "bind", rounds * ROUND_MAX, bdf=g.pci(0), macs=MACS, dst=OUTSIDE, count=rounds)
    say(f"{rounds} rounds, frames sent meanwhile: {noise.sent} from outside, {sent} from a port")
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
            with Noise(g) as noise:
                vms = spawn(g, "vms", bdf=g.pci(0), macs=MACS, dst=OUTSIDE)
                wait_for("frames flow", lambda v=vms: "ready" in v.stdout or v.poll() is not None, 120)
                assert vms.poll() is None, vms.stderr
                g.unplug(0, timeout=120)
            vms.stop(9)
            assert ask(g, "gone") == [], "ports have outlived their uplink"
            g.check_console()
            say(f"unplugged, {noise.sent} frames sent meanwhile")
            g.plug(0)
            behind = f"ls -d {g.behind_port(0)}"
            wait_for("the NIC is back", lambda: g.run(behind, check=False).rc == 0, 60, 0.5)
            topology.reserve(g, 0)
            g.run(f"echo {g.pci(0)} >/sys/bus/pci/drivers_probe")
    finally:
        g.run("echo 1 >/sys/bus/pci/drivers_autoprobe")
    with Noise(g):
        assert ask(g, "bind", ROUND_MAX, bdf=g.pci(0), macs=MACS, dst=OUTSIDE, count=1), "it does not work any more"
    topology.unload(g)
    check_nothing_left(g)
