# SPDX-License-Identifier: GPL-2.0-only
"""DEMO_BREAK: spoil one thing behind the demo's back, so that one can see that
the demo notices. Nothing here tells the rest of the demo what was done.

filter  the NIC's own address filter of a VM is led to the default queue
pin     a queue's interrupt is moved after its wanted CPU was read
leak    what a VM receives is copied to another VM
drop    a VM's interface is down for a moment
"""

KINDS = ("filter", "pin", "leak", "drop")

# Run in the guest: in the NIC's registers, the pool of the entry of the receive
# address table that holds a MAC becomes pool 0. Needs iomem=relaxed.
POKE = """
import mmap, os, struct, sys
path, mac = sys.argv[1], bytes.fromhex(sys.argv[2].replace(":", ""))
with open(path + "/resource0", "r+b") as f:
    regs = mmap.mmap(f.fileno(), 0x20000)
view = memoryview(regs).cast("I")
for at in [0x5400 + 8 * n for n in range(16)] + [0x54E0 + 8 * n for n in range(8)]:
    low, high = view[at // 4], view[at // 4 + 1]
    if struct.pack("<IH", low, high & 0xFFFF) == mac and high >> 31:
        view[at // 4 + 1] = high & ~(0xFF << 18) | 1 << 18
        sys.exit(0)
sys.exit("the NIC has no such address")
"""


class Sabotage:
    """start() and end() stand around a VM's first frames."""

    def __init__(self, kind, plan):
        rng = plan.rng
        queues = [vm for vm in plan.everyone if vm.expects_queue]
        self.kind = kind
        self.victim = rng.choice(queues if kind in ("filter", "pin") else plan.ports)
        self.other = rng.choice([vm for vm in plan.ports if vm is not self.victim])
        self.shift = rng.randrange(1, 3)
        self.append = "iomem=relaxed" if kind == "filter" else ""

    def start(self, machine):
        getattr(self, self.kind)(machine)

    def end(self, machine):
        if self.kind == "drop":
            machine.guest.run(f"ip -n {self.victim.name} link set {self.victim.name} up")

    def filter(self, machine):
        g = machine.guest
        g.run(f"/usr/bin/python3 -c '{POKE}' /sys/bus/pci/devices/{g.pci(0)} {self.victim.mac}")

    def pin(self, machine):
        queue = self.victim.queue
        wanted = machine.queue_number(queue, "cpu")
        machine.guest.run(f"echo {(wanted + self.shift) % 4} >{machine.queue_path(queue)}/cpu")

    def leak(self, machine):
        """Copies leave the victim's namespace by a cable to the other's."""
        one, two = self.victim.name, self.other.name
        first = "ingress matchall action mirred"
        machine.guest.run(
            "set -e\n"
            f"ip -n {one} link add cable type veth peer name cable netns {two}\n"
            f"ip -n {one} link set cable up; ip -n {two} link set cable up\n"
            f"tc -n {one} qdisc add dev {one} clsact; tc -n {two} qdisc add dev cable clsact\n"
            f"tc -n {one} filter add dev {one} {first} egress mirror dev cable\n"
            f"tc -n {two} filter add dev cable {first} ingress redirect dev {two}\n"
        )

    def drop(self, machine):
        machine.guest.run(f"ip -n {self.victim.name} link set {self.victim.name} down")
