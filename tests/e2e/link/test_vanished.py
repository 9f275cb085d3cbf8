# SPDX-License-Identifier: GPL-2.0-only
"""A NIC that does not answer any more, as one that was pulled without a word."""

import pytest

from tests.e2e.link.lib import Host, clean, say, wait_for
from tests.e2e.link.test_lifecycle import MACS, Noise, ask, check_nothing_left
from tests.vm import topology

# The module makes the driver read ones. A NIC that is gone writes no memory, either.
VANISH = """
insmod {mods}/igbq_vanish.ko || exit
cd /sys/bus/pci/devices/{bdf}
command=$(od -An -tu1 -j4 -N1 config)
printf "\\x$(printf %x $((command & ~6)))" | dd of=config bs=1 seek=4 conv=notrunc status=none
"""
# What an administrator may try; each comes to an end, well or not.
TRIED = (
    "ethtool {dev}",
    "ethtool -S {dev}",
    "ethtool -g {dev}",
    "echo 0 >{queue}/cpu",
    "echo 1024 >{queue}/buffers",
    "echo '52:54:00:00:17:77 untagged' >{queue}/filter_add",
    "echo 0 >{vmq}/enabled",
    "ip link add vm8 link {dev} type vmq",
    "ip link set {dev} mtu 1400",
    "ip link set {dev} down",
    "ip link set {dev} up",
    "ip link del vm2",
)


@pytest.mark.kernel("debug")
def test_vanished(faulty):
    """The NIC answers with ones from one moment to the next: that is said once, nothing hangs, and it comes back."""
    g = faulty
    h = Host(g)
    h.ports(MACS)
    queue = h.rxq(h.port_queue("vm1"))
    with Noise(g):
        g.run(VANISH.format(mods=g.mods, bdf=g.pci(0)))
        wait_for("it is noticed", lambda: h.read(f"/sys/class/net/{h.dev}/carrier") != "1", 30)
        g.run("rmmod igbq_vanish")
        for line in TRIED:
            line = line.format(dev=h.dev, vmq=h.vmq, queue=queue)
            r = g.run(line, timeout=60, check=False)
            say(f"$ {line}: status {r.rc} {(r.stderr or r.stdout).strip().splitlines()[:1]}")
        # Without a word of what they say; to be read is enough.
        assert h.vmq_files()
    assert g.out("dmesg | grep -c 'does not answer'").strip() == "1"
    g.run(f"echo {g.pci(0)} >/sys/bus/pci/drivers/vmq_igb/unbind", timeout=120)
    assert ask(g, "gone") == [], "ports have outlived their uplink"
    g.check_console()
    g.run(f"echo {g.pci(0)} >/sys/bus/pci/drivers/vmq_igb/bind")
    h = Host(g)
    h.ports(MACS)
    with h.taps("vm1") as t:
        h.send(MACS[0], range(20))
        t.wait(20)
    assert t.serials("vm1") == list(range(20))
    clean(g)
    topology.unload(g)
    check_nothing_left(g)
