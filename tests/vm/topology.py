# SPDX-License-Identifier: GPL-2.0-only
"""Machines that many tests share, and what every test on them does first.

"link": 4 CPUs; NIC 0 is wired to the host (g.wire(0)), NIC 1 to NIC 2.
NICs 0 and 1 wait for vmq_igb: no driver has them until load(g) brings ours,
which then probes both at once. NIC 2 runs on the in-tree igb as the peer across the
wire: network namespace "peer", interface "peer0", up, no address.
"wired": the same with NICs 0 and 1 on the in-tree igb, too.
"one": 4 CPUs and NIC 0 alone, wired to the host, without any driver.
"small": the same with 2 CPUs: on the debug kernel more of them only wait for each
other's locks, whose holders the host has put to sleep.
"leaks": "small" with kmemleak.
"single": the same with one CPU, for which a grace period costs nothing.
"nomsi": "link" on a machine where every device has its INTx line alone.

    load(g)                      # vmq, vmq_igb, vmq_vswitch
    load(g, "vmq", "vmq_igb")    # without the vswitch
    unload(g)                    # all of ours that are loaded
    dev = up(g, 0)               # NIC 0's interface, up and with carrier
"""

import os

from .guest import GuestError

# In the order of loading: each depends on those before it at most.
MODULES = ("vmq", "vmq_igb", "vmq_vswitch", "vmq_tap")

HOST = {"wire": "dgram"}
HUB = {"wire": "hub:0"}

TOPOLOGIES = {
    "link": {"smp": 4, "nics": [HOST, HUB, HUB]},
    "wired": {"smp": 4, "nics": [HOST, HUB, HUB]},
    "one": {"smp": 4, "nics": [HOST]},
    "small": {"smp": 2, "nics": [HOST]},
    "leaks": {"smp": 2, "nics": [HOST], "leaks": True},
    "single": {"smp": 1, "nics": [HOST], "leaks": True},
    "nomsi": {"smp": 4, "nics": [HOST, HUB, HUB], "append": "pci=nomsi"},
}


def prepare(g, topology):
    """Done once after each boot."""
    if topology in ("link", "nomsi"):
        reserve(g, 0, 1)
    if topology in ("link", "nomsi", "wired"):
        g.run("modprobe igb")
        peer = wait_netdev(g, 2)
        g.run(f"ip netns add peer && ip link set {peer} name peer0 netns peer")
        g.run("ip -n peer link set lo up && ip -n peer link set peer0 up")


def reserve(g, *nics):
    """Lets no driver but vmq_igb have these NICs."""
    for n in nics:
        g.run(f"echo vmq_igb >/sys/bus/pci/devices/{g.pci(n)}/driver_override")


INSMOD = """
for ko in {files}; do
    needs=$(modinfo -F depends $ko) || exit
    for m in ${{needs//,/ }}; do [[ $m == vmq* ]] || modprobe "$m" || exit; done
    insmod $ko || exit
done
"""


def load(g, *names):
    """insmod of our modules (default: the three of a plain set-up) and before
    it what they need of the kernel's own; those already loaded are left."""
    loaded = g.files("/sys/module/vmq*")
    names = [n for n in sorted(names or MODULES[:3], key=MODULES.index) if f"/sys/module/{n}" not in loaded]
    if names:
        g.run(INSMOD.format(files=" ".join(f"{g.mods}/{name}.ko" for name in names)), timeout=120)


def unload(g, *names):
    names = sorted(names or MODULES, key=MODULES.index, reverse=True)
    g.run(f"for m in {' '.join(names)}; do [ ! -d /sys/module/$m ] || rmmod $m || exit; done", timeout=120)


def wait_netdev(g, n, timeout=60):
    """Name of NIC n's interface, once it has one."""
    path = g.await_file(f"{g.behind_port(n)}/net/*", timeout=timeout)
    if not path:
        raise GuestError(f"NIC {n} has no interface after {timeout} s")
    return os.path.basename(path)


def wait_carrier(g, dev, netns=None, timeout=60):
    """Waits until dev, which has to be up, has carrier."""
    carrier = f"/sys/class/net/{dev}/carrier"
    if netns:
        poll = f"ip netns exec {netns} timeout {timeout} bash -c 'until [ $(<{carrier}) = 1 ]; do sleep 0.1; done'"
        there = g.run(poll, timeout + 30, check=False).rc == 0
    else:
        there = g.await_file(carrier, "1", timeout)
    if not there:
        raise GuestError(f"{dev} has no carrier after {timeout} s")


def up(g, n):
    """Sets NIC n's interface up and waits for carrier; its name."""
    dev = wait_netdev(g, n)
    g.run(f"ip link set {dev} up")
    wait_carrier(g, dev)
    return dev
