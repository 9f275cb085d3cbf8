# SPDX-License-Identifier: GPL-2.0-only
"""Every allocation of probe, open and port creation fails once: all unwinds."""

import pytest

from tests.e2e.link.lib import VM_QUEUES, Host, check_leaks, clean, load, say, tool, vm_mac
from tests.report import FULL
from tests.vm import topology

# What the kernel itself says of allocations that fail on request.
SAID = r"kobject_add_internal failed for|DMA-API: cacheline tracking ENOMEM"
LEAST_SITES = 30
# The short form tries each of the first sites, then one in two hundred.
DENSE, STRIDE = (1 << 30, 1) if FULL else (20, 200)


@pytest.fixture
def faulty(single_guest):
    """A debug guest with NIC 0 alone, set up so that every kind of allocation may fail."""
    g = single_guest
    topology.reserve(g, 0)
    if g.run("test -e /sys/kernel/debug/failslab", check=False).rc:
        pytest.skip("this kernel has no fault injection")
    load(g)
    clean(g)
    g.run(
        "cd /sys/kernel/debug && for d in failslab fail_page_alloc; do"
        # 0: the stacks of failures that were asked for would look like trouble.
        " echo 0 >$d/verbose && echo N >$d/ignore-gfp-wait || exit; done;"
        " echo 0 >fail_page_alloc/min-order; echo N >fail_page_alloc/ignore-gfp-highmem;"
        # Each attempt waits for several grace periods.
        " echo 1 >/sys/kernel/rcu_expedited"
    )
    yield g
    if g.alive and not g.failed:
        g.run("echo 0 >/sys/kernel/rcu_expedited")
        clean(g)


def check_sweep(g, action, target):
    with g.allow(SAID):
        r = tool(g, "sweep", timeout=7200, action=action, target=target, dense=DENSE, stride=STRIDE)
    say(f"{action}: {r['sites']} sites, {r['tried']} tried: {r['refused']} refused {r['errors']}, {r['survived']} went on without")
    assert r["works"], f"{action} does not work after the sweep"
    assert r["refused"] >= 1
    return r


@pytest.mark.kernel("debug")
def test_probe(faulty):
    """Probe, with the n-th allocation failing, n = 1, 2, ... until none fails; then it works."""
    g, nic = faulty, f"/sys/bus/pci/devices/{faulty.pci(0)}"
    # Already enabled, the PCI core does not ask ACPI for its legacy interrupt:
    # the interpreter uses freed memory when its own allocations fail.
    g.run(f"echo {g.pci(0)} >{nic}/driver/unbind && echo 1 >{nic}/enable")
    r = check_sweep(g, "bind", g.pci(0))
    say(f"sites hit: {r['sites']}")
    assert r["sites"] >= LEAST_SITES
    g.check_console()
    h = Host(g)
    with h.taps(h.dev) as t:
        h.send(h.mac, range(20))
        t.wait(20)
    assert t.serials(h.dev) == list(range(20))
    topology.unload(g)
    g.run(f"echo 0 >{nic}/enable")
    check_leaks(g)


@pytest.mark.kernel("debug")
def test_port(faulty):
    """Creating a port, each allocation failing in turn: it is there whole, or not at all."""
    g = faulty
    h = Host(g)
    check_sweep(g, "port", h.dev)
    g.check_console()
    assert h.read(f"{h.vmq}/queues_free") == str(len(VM_QUEUES) - 1)
    g.run("ip link del fault0")
    assert h.read(f"{h.vmq}/queues_free") == str(len(VM_QUEUES))
    clean(g)
    topology.unload(g)
    check_leaks(g)


@pytest.mark.kernel("debug")
def test_open(faulty):
    """Open with all eight queues in use, each allocation failing in turn; then it works."""
    g = faulty
    h = Host(g)
    for n in VM_QUEUES:
        assert h.ntuple(f"flow-type ether dst {vm_mac(n)} vlan 0 m 0xf000 action {n}") == ""
    before = h.dump()
    # Fewer buffers to fill, which are all alike.
    g.run(f"ethtool -G {h.dev} rx 64 tx 128")
    r = check_sweep(g, "open", h.dev)
    g.run(f"ethtool -G {h.dev} rx 512 tx 512")
    say(f"sites hit: {r['sites']}")
    assert r["sites"] >= LEAST_SITES
    topology.wait_carrier(g, h.dev)
    assert h.dump() == before
    with h.taps(*[(h.dev, n) for n in VM_QUEUES]) as t:
        for n in VM_QUEUES:
            h.send(vm_mac(n), range(10))
        t.wait(70)
    assert all(t.serials((h.dev, n)) == list(range(10)) for n in VM_QUEUES)
    clean(g)
    topology.unload(g)
    check_leaks(g)
