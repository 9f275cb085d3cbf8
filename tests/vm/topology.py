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

    load(g)                      # vmq, vmq_igb, vmq_vswitch
    load(g, "vmq", "vmq_igb")    # without the vswitch
    unload(g)                    # all of ours that are loaded
    dev = up(g, 0)               # NIC 0's interface, up and with carrier
"""

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
}


def prepare(g, topology):
    """Done once after each boot."""
    if topology == "link":
        reserve(g, 0, 1)
    if topology in ("link", "wired"):
        g.run("modprobe igb")
        peer = wait_netdev(g, 2)
        g.run(f"ip netns add peer && ip link set {peer} name peer0 netns peer")
        g.run("ip -n peer link set lo up && ip -n peer link set peer0 up")


def reserve(g, *nics):
    """Lets no driver but vmq_igb have these NICs."""
    for n in nics:
        g.run(f"echo vmq_igb >/sys/bus/pci/devices/{g.pci(n)}/driver_override")


def load(g, *names):
    """insmod of our modules (default: the three of a plain set-up) and before
    it what they need of the kernel's own; those already loaded are left."""
    names = names or MODULES[:3]
    for name in sorted(names, key=MODULES.index):
        ko = f"{g.mods}/{name}.ko"
        g.run(
            f"[ -d /sys/module/{name} ] && exit 0\n"
            f"needs=$(modinfo -F depends {ko}) || exit\n"
            'for m in ${needs//,/ }; do [[ $m == vmq* ]] || modprobe "$m" || exit; done\n'
            f"insmod {ko}"
        )


def unload(g, *names):
    for name in sorted(names or MODULES, key=MODULES.index, reverse=True):
        g.run(f"[ ! -d /sys/module/{name} ] || rmmod {name}")


def wait_netdev(g, n, timeout=60):
    """Name of NIC n's interface, once it has one."""
    poll = f"until ls {g.behind_port(n)}/net 2>/dev/null | grep .; do sleep 0.1; done"
    return g.out(f"timeout {timeout} bash -c '{poll}'", timeout + 30)


def wait_carrier(g, dev, netns=None, timeout=60):
    """Waits until dev, which has to be up, has carrier."""
    prefix = f"ip netns exec {netns} " if netns else ""
    poll = f"until [ $(cat /sys/class/net/{dev}/carrier) = 1 ]; do sleep 0.1; done"
    if g.run(f"{prefix}timeout {timeout} bash -c '{poll}'", timeout + 30, check=False).rc:
        raise GuestError(f"{dev} has no carrier after {timeout} s")


def up(g, n):
    """Sets NIC n's interface up and waits for carrier; its name."""
    dev = wait_netdev(g, n)
    g.run(f"ip link set {dev} up")
    wait_carrier(g, dev)
    return dev
