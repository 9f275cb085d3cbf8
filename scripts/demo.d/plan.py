# SPDX-License-Identifier: GPL-2.0-only
"""What a run of the demo does: who there is, and which frames are sent to whom.

Everything that could have been arranged to look well (addresses, VLANs, how
many frames of what size, who is spoiled by DEMO_BREAK) is drawn from the seed.
"""

import dataclasses
import random

HOST = "host"
BROADCAST = "ff:ff:ff:ff:ff:ff"
CPUS = 4


@dataclasses.dataclass
class Vm:
    """A VM: a port in a network namespace of its own, both with its name; or,
    with by_hand, a queue alone, whose frames come out on the host."""

    name: str
    mac: str
    vlan: int = 0
    second: tuple = None  # (MAC, VID) added by bridge fdb
    by_hand: bool = False
    expects_queue: bool = True
    # Known when it is set up:
    queue: int = 0

    @property
    def place(self):
        return HOST if self.by_hand else self.name

    def addresses(self):
        return [(self.mac, self.vlan)] + ([self.second] if self.second else [])


@dataclasses.dataclass
class Flow:
    """Frames of one kind. vlan 0: untagged. places: where each has to arrive,
    once. vm: whose ring the NIC puts them into (None: the default queue's)."""

    title: str
    dst: str
    vlan: int
    frames: int
    places: tuple
    vm: Vm = None
    questions: int = 0  # more frames, which the VM answers
    switched: bool = False  # the ring's owner did not claim it: software decides


class Plan:
    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.macs = set()
        self.outside = self.mac()
        vids = self.rng.sample(range(2, 4095), 4)
        self.vid, self.queue_vid, self.foreign, self.unused = vids
        self.vms = [Vm(f"vm{n}", self.mac()) for n in (1, 2, 3)]
        self.vms[1].second = (self.mac(), self.vid)
        self.by_hand = Vm("vm-q4", self.mac(), self.queue_vid, by_hand=True)
        self.late = Vm("vm4", self.mac(), expects_queue=False)
        self.pin = self.rng.randrange(1, CPUS)
        self.to_vms = [self.to_vm(vm, *address) for vm in self.everyone for address in vm.addresses()]
        self.to_default = self.unclaimed()
        self.size_rng = random.Random(self.rng.random())

    @property
    def everyone(self):
        return [*self.vms, self.by_hand, self.late]

    @property
    def ports(self):
        return [*self.vms, self.late]

    def mac(self):
        """A unicast address of local significance that is not in use yet."""
        while True:
            first = self.rng.randrange(256) & 0xFC | 2
            mac = ":".join(f"{b:02x}" for b in [first, *self.rng.randbytes(5)])
            if mac not in self.macs:
                self.macs.add(mac)
                return mac

    def size(self):
        return self.size_rng.choice((60, 60, 128, 512, 1514))

    def to_vm(self, vm, mac, vlan):
        questions = 0 if vm.by_hand else self.rng.randint(20, 60)
        ring = vm if vm.expects_queue else None
        return Flow(vm.name, mac, vlan, self.rng.randint(100, 250), (vm.place,), ring, questions, switched=not ring)

    def unclaimed(self):
        """What no filter claims, and so the vswitch has to deal with."""
        rng = self.rng
        one = rng.choice(self.vms)
        tagged = self.vms[1]
        ports = tuple(p.name for p in self.ports)

        def flow(title, dst, vlan, places, vm=None):
            return Flow(title, dst, vlan, rng.randint(20, 60), places, vm, switched=True)

        return [
            flow("unknown MAC", self.mac(), 0, (HOST,)),
            flow("unknown MAC, tagged", self.mac(), self.unused, (HOST,)),
            flow(f"{one.name}'s MAC, wrong VLAN", one.mac, self.foreign, (HOST,), one),
            flow(f"{tagged.name}'s 2nd MAC, no VLAN", tagged.second[0], 0, (HOST,), tagged),
            flow(f"{self.by_hand.name}'s MAC, wrong VLAN", self.by_hand.mac, self.foreign, (HOST,), self.by_hand),
            flow("broadcast", BROADCAST, 0, (*ports, HOST)),
            flow("broadcast, tagged", BROADCAST, self.vid, (tagged.name, HOST)),
        ]
