# SPDX-License-Identifier: GPL-2.0-only
"""Every allocation of probe, open and port creation fails once: all unwinds."""

import pytest

from tests.e2e.link.faults import sweep
from tests.e2e.link.lib import VM_QUEUES, Host, clean, vm_mac
from tests.vm import topology

LEAST_SITES = 30


@pytest.mark.kernel("debug")
def test_probe(faulty):
    """Probe, with the n-th allocation failing, n = 1, 2, ... until none fails; then it works."""
    g, nic = faulty, f"/sys/bus/pci/devices/{faulty.pci(0)}"
    # Already enabled, the PCI core does not ask ACPI for its legacy interrupt:
    # the interpreter uses freed memory when its own allocations fail.
    g.run(f"echo {g.pci(0)} >{nic}/driver/unbind && echo 1 >{nic}/enable")
    r = sweep(g, "bind", bdf=g.pci(0))
    assert r["sites"] >= LEAST_SITES and r["refused"]
    g.check_console()
    h = Host(g)
    with h.taps(h.dev) as t:
        h.send(h.mac, range(20))
        t.wait(20)
    assert t.serials(h.dev) == list(range(20))
    topology.unload(g)
    g.run(f"echo 0 >{nic}/enable")


@pytest.mark.kernel("debug")
def test_port(faulty):
    """Creating a port, each allocation failing in turn: it is there whole, or not at all."""
    g = faulty
    h = Host(g)
    assert sweep(g, "port", uplink=h.dev)["refused"]
    g.check_console()
    assert h.read(f"{h.vmq}/queues_free") == str(len(VM_QUEUES) - 1)
    g.run("ip link del fault0")
    assert h.read(f"{h.vmq}/queues_free") == str(len(VM_QUEUES))
    clean(g)
    topology.unload(g)


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
    r = sweep(g, "open", dev=h.dev)
    g.run(f"ethtool -G {h.dev} rx 512 tx 512")
    assert r["sites"] >= LEAST_SITES and r["refused"]
    topology.wait_carrier(g, h.dev)
    assert h.dump() == before
    with h.taps(*[(h.dev, n) for n in VM_QUEUES]) as t:
        for n in VM_QUEUES:
            h.send(vm_mac(n), range(10))
        t.wait(70)
    assert all(t.serials((h.dev, n)) == list(range(10)) for n in VM_QUEUES)
    clean(g)
    topology.unload(g)
