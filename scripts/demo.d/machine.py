# SPDX-License-Identifier: GPL-2.0-only
"""The guest of the demo: typing commands in it, reading what it says, and the
receivers that run in it."""

import os
import time

from ledger import Receipt
from plan import CPUS, HOST
from tests.vm import topology
from tests.vm.guest import TOP, Guest, GuestError

STATION = os.path.join(os.path.dirname(os.path.abspath(__file__)), "station.py")
QUEUES = 8


class Station:
    """A receiver in the guest (station.py) and what it wrote so far."""

    def __init__(self, guest, place, command):
        self.place = place
        self.job = guest.spawn("exec " + command)
        self.at = 0
        self.ready = False
        self.dropped = None

    def receipts(self):
        """The new ones."""
        with open(self.job.base + ".out", "rb") as f:
            f.seek(self.at)
            data = f.read()
        data = data[: data.rfind(b"\n") + 1]
        self.at += len(data)
        found = []
        for line in data.decode().splitlines():
            words = line.split()
            if words[0] == "ready":
                self.ready = True
            elif words[0] == "dropped":
                self.dropped = int(words[1])
            else:
                serial, dst, src, vlan, via = words
                found.append(Receipt(int(serial), dst, src, int(vlan), int(via)))
        return found

    def check(self):
        if self.job.poll() is not None and self.dropped is None:
            raise GuestError(f"the receiver at {self.place} died: {self.job.stderr.strip()}")

    def stop(self):
        self.job.stop()


class Machine:
    def __init__(self, say, append):
        self.say = say
        self.guest = Guest(kernel="stock", smp=CPUS, nics=[{"wire": "dgram"}], append=append, name="demo")
        self.stations = []
        self.uplink = None

    def type(self, command):
        """Runs a command that the user is meant to see, with what it prints."""
        self.say(f"  guest# {command}")
        done = self.guest.run(f"cd {TOP} && {command}", check=False)
        for line in (done.stdout + done.stderr).splitlines():
            if line.strip():
                self.say(f"         {line}")
        if done.rc:
            raise GuestError(f"status {done.rc}: {command}")
        return done.stdout.strip()

    def quiet_ipv6(self, netns=None):
        """Keeps the kernel's own IPv6 messages out of what is counted."""
        prefix = f"ip netns exec {netns} " if netns else ""
        self.guest.run(f"{prefix}sh -c 'echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6'")

    def bind(self):
        """From the in-tree igb to vmq_igb, as on any host."""
        self.quiet_ipv6()
        self.type("modprobe igb")
        name = topology.wait_netdev(self.guest, 0)
        self.guest.run(f"ln -s {self.guest.mods} /run/vmq")
        self.type(f"VMQ_MODULES=/run/vmq scripts/vmq-bind {name}")
        self.uplink = topology.wait_netdev(self.guest, 0)
        self.type("insmod /run/vmq/vmq_vswitch.ko")
        self.type(f"ip link set {self.uplink} up")
        topology.wait_carrier(self.guest, self.uplink)

    def add_port(self, vm):
        self.type(f"ip netns add {vm.name}")
        self.quiet_ipv6(vm.name)
        where = f"link {self.uplink} name {vm.name} netns {vm.name}"
        self.type(f"ip link add {where} address {vm.mac} type vmq")
        if vm.second:
            mac, vid = vm.second
            self.type(f"bridge -n {vm.name} fdb add {mac} vlan {vid} dev {vm.name} self")
        self.type(f"ip -n {vm.name} link set {vm.name} up")
        topology.wait_carrier(self.guest, vm.name, vm.name)
        queue = self.type(self.show_port_file(vm, "queue"))
        vm.queue = int(queue) if queue.isdigit() else 0
        if not vm.queue:
            self.type(self.show_port_file(vm, "reason"))

    def add_queue(self, vm, queue, cpu):
        """A VM queue by ethtool alone, and its CPU by hand."""
        where = f"flow-type ether dst {vm.mac} vlan {vm.vlan} m 0xf000"
        self.type(f"ethtool -N {self.uplink} {where} action {queue}")
        self.type(f"echo {cpu} >{self.queue_path(queue)}/cpu")
        vm.queue = queue

    def allocate_rest(self):
        """Takes the queues that are left, as the admin; how many."""
        taken = 0
        while int(self.uplink_file("queues_free")):
            self.type(f"echo spare-{taken + 1} >/sys/class/net/{self.uplink}/vmq/allocate")
            taken += 1
            if taken > QUEUES:
                raise GuestError("queues_free does not go down")
        return taken

    # What the guest says

    def queue_path(self, queue):
        return f"/sys/class/net/{self.uplink}/queues/rx-{queue}/vmq"

    def queue_file(self, queue, name):
        return self.guest.read(f"{self.queue_path(queue)}/{name}")

    def queue_number(self, queue, name):
        """Of a file that holds a number, or a word when there is none: -1."""
        text = self.queue_file(queue, name)
        return int(text) if text.isdigit() else -1

    def uplink_file(self, name):
        return self.guest.read(f"/sys/class/net/{self.uplink}/vmq/{name}")

    def show_port_file(self, vm, name):
        return f"ip netns exec {vm.name} cat /sys/class/net/{vm.name}/vmq/{name}"

    def port_number(self, vm, name):
        return int(self.guest.out(self.show_port_file(vm, name)))

    def interrupts(self, irqs):
        """{queue: [count on each CPU]} of {queue: interrupt number}, once the
        interrupts of what was sent before are over."""
        counts = None
        for _ in range(20):
            last, counts = counts, self.count_interrupts(irqs)
            if counts == last:
                break
            time.sleep(0.05)
        return counts

    def count_interrupts(self, irqs):
        rows = {}
        for line in self.guest.get("/proc/interrupts").decode().splitlines():
            words = line.split()
            if words and words[0].rstrip(":").isdigit():
                rows[int(words[0].rstrip(":"))] = words[1 : 1 + CPUS]
        missing = [q for q, irq in irqs.items() if irq not in rows]
        if missing:
            raise GuestError(f"/proc/interrupts does not list the interrupt of queue {missing[0]}")
        return {q: [int(n) for n in rows[irq]] for q, irq in irqs.items()}

    # Receivers

    def start_stations(self, vms):
        run = f"/usr/bin/python3 -B {STATION}"
        self.stations = [Station(self.guest, HOST, f"{run} {self.uplink} queue")]
        for vm in vms:
            self.stations.append(Station(self.guest, vm.name, f"ip netns exec {vm.name} {run} {vm.name} cpu"))
        end = time.monotonic() + 60
        for station in self.stations:
            while not station.ready:
                station.receipts()
                station.check()
                if time.monotonic() > end:
                    raise GuestError(f"the receiver at {station.place} does not start")
                time.sleep(0.05)
