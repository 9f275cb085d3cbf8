#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""What test_lifecycle.py has run inside the guest; the arguments are one JSON object.

lifetool.py COMMAND JSON:

insmod  modules in, VMs up and taking frames, modules out; over and over
bind    the same with unbind and bind of the NIC instead
vms     makes the VMs once, waits until they take frames and goes on sending from
        one of them until it is killed
gone    lists the ports that there are, and checks that nothing holds the drivers
pools   lists the kernel's page pools

Rounds are made of system calls alone: a shell and the programs that it starts
cost a debug kernel on an emulated CPU more than all the rest.
"""

import ctypes
import glob
import json
import os
import socket
import struct
import sys
import threading
import time

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
from guesttool import Rtnetlink, attributes, libc, wire, write_file  # noqa: E402

OURS = ("vmq_vswitch", "vmq_igb", "vmq")
DRIVER = "/sys/bus/pci/drivers/vmq_igb"
SYS_FINIT_MODULE, SYS_DELETE_MODULE = 313, 176
FRAMES = 5
PATIENCE = 120


def write(path, text):
    number = write_file(path, text)
    if number:
        raise SystemExit(f"{text!r} into {path}: {os.strerror(number)}")


def read(path):
    with open(path) as f:
        return f.read().strip()


def until(what, condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"not within {PATIENCE} s: {what}")
        time.sleep(0.02)


def insert(path):
    fd = os.open(path, os.O_RDONLY)
    failed = libc.syscall(SYS_FINIT_MODULE, fd, b"", 0)
    os.close(fd)
    if failed:
        raise SystemExit(f"insmod {path}: {os.strerror(ctypes.get_errno())}")


def remove(name):
    count = refcount(name)
    if count:
        raise SystemExit(f"{name} is held {count} times")
    if libc.syscall(SYS_DELETE_MODULE, name.encode(), os.O_NONBLOCK):
        raise SystemExit(f"rmmod {name}: {os.strerror(ctypes.get_errno())}")


def loaded(name):
    return os.path.isdir(f"/sys/module/{name}")


def refcount(name):
    return int(read(f"/sys/module/{name}/refcnt"))


def check_refcounts(**wanted):
    found = {name: refcount(name) for name in OURS}
    if found != wanted:
        raise SystemExit(f"module references: {found}, not {wanted}")


def ports():
    return [p.split("/")[4] for p in glob.glob("/sys/class/net/*/vmq/reason")]


def check_no_ports():
    if ports() or os.path.exists("/sys/class/net/vm1"):
        raise SystemExit(f"ports have outlived their uplink: {ports()}")


class Vms:
    """Two ports that are up, a queue with a filter of the administrator's, an allocated one."""

    def __init__(self, bdf, macs):
        self.netlink = Rtnetlink()
        until("the NIC has an interface", lambda: glob.glob(f"/sys/bus/pci/devices/{bdf}/net/*"))
        self.dev = os.path.basename(glob.glob(f"/sys/bus/pci/devices/{bdf}/net/*")[0])
        self.must(self.netlink.set_up(self.dev))
        for name, mac in zip(("vm1", "vm2"), macs[:2], strict=True):
            self.must(self.netlink.add_port(name, mac, link=self.dev))
            self.must(self.netlink.set_up(name))
        self.must(self.netlink.fdb("add", "vm2", macs[1], vid=7))
        for n, verbs in ((5, ("allocate", "commit")), (6, ("allocate",))):
            for verb in verbs:
                write(f"{self.queue(n)}/state", verb)
        write(f"{self.queue(5)}/filter_add", macs[2])

    @staticmethod
    def must(answer):
        if answer[0]:
            raise SystemExit(f"refused: {os.strerror(answer[0])}: {answer[1]}")

    def queue(self, n):
        return f"/sys/class/net/{self.dev}/queues/rx-{n}/vmq"

    def await_frames(self):
        """From outside, by a port's own queue and by the administrator's."""
        for path in ("/sys/class/net/vm1/vmq/rx_queue_packets", f"{self.queue(5)}/rx_packets"):
            until(f"{path} counts {FRAMES} frames", lambda p=path: int(read(p)) >= FRAMES)
        if not page_pools():
            raise SystemExit("rings run, and no page pool is listed")


class Sender(threading.Thread):
    """Sends out of an interface again and again, whatever becomes of it."""

    def __init__(self, name, dst):
        super().__init__(daemon=True)
        self.interface, self.frame = name, wire.eth(dst, "52:54:00:00:aa:01")
        self.sent, self.stopping = 0, False

    def run(self):
        sock = None
        while not self.stopping:
            try:
                if sock is None:
                    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
                    sock.bind((self.interface, wire.ETHERTYPE))
                for _ in range(4):
                    sock.send(self.frame)
                    self.sent += 1
            except OSError:
                sock = None
            time.sleep(0.02)

    def stop(self):
        self.stopping = True
        self.join()
        if not self.sent:
            raise SystemExit(f"nothing was sent out of {self.interface}")


def rounds(count, once):
    """Prints how each went; the frames that were sent in the guest meanwhile."""
    sent = 0
    for n in range(count):
        began = time.monotonic()
        sent += once(n)
        print(f"round {n + 1}: {time.monotonic() - began:.1f} s", flush=True)
    print(json.dumps(sent))


def cmd_insmod(bdf, mods, macs, dst, count):
    def once(n):
        for name in reversed(OURS):
            insert(f"{mods}/{name}.ko")
        vms = Vms(bdf, macs)
        sender = Sender("vm1", dst)
        sender.start()
        vms.await_frames()
        # Ports end with the NIC's driver in every other round, else with the switch.
        for name in OURS if n % 2 else ("vmq_igb", "vmq_vswitch", "vmq"):
            remove(name)
        check_no_ports()
        sender.stop()
        left = [name for name in OURS if loaded(name)]
        if left:
            raise SystemExit(f"still there: {left}")
        return sender.sent

    rounds(count, once)


def cmd_bind(bdf, macs, dst, count):
    def once(_):
        vms = Vms(bdf, macs)
        sender = Sender("vm2", dst)
        sender.start()
        vms.await_frames()
        write(f"{DRIVER}/unbind", bdf)
        check_no_ports()
        check_refcounts(vmq_vswitch=0, vmq_igb=0, vmq=2)
        write(f"{DRIVER}/bind", bdf)
        sender.stop()
        return sender.sent

    rounds(count, once)


def cmd_vms(bdf, macs, dst):
    Vms(bdf, macs).await_frames()
    Sender("vm1", dst).start()
    print("ready", flush=True)
    while True:
        time.sleep(60)


def cmd_gone():
    check_refcounts(vmq_vswitch=0, vmq_igb=0, vmq=2)
    print(json.dumps(ports()))


# Page pools, from the generic netlink family "netdev"


def generic_dump(sock, family, command, flags, payload=b""):
    """Payloads of all answers, after the generic header."""
    sock.send(struct.pack("IHHII", 20 + len(payload), family, flags, 1, 0) + struct.pack("BBxx", command, 1) + payload)
    answers = []
    while True:
        data = sock.recv(65536)
        while data:
            length, kind = struct.unpack_from("IH", data)
            if kind in (2, 3):
                # NLMSG_ERROR and NLMSG_DONE begin with an errno.
                number = -struct.unpack_from("i", data, 16)[0]
                if number:
                    raise OSError(number, os.strerror(number))
                return answers
            answers.append(data[20:length])
            data = data[(length + 3) & ~3 :]
        if not flags & 0x300:
            return answers


def page_pools():
    """[[id, ifindex, pages in flight], ...] of all page pools."""
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16)
    sock.bind((0, 0))
    name = Rtnetlink.attribute(2, b"netdev\0")
    family = struct.unpack("H", attributes(generic_dump(sock, 16, 3, 0x1, name)[0])[1])[0]
    sock.close()
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16)
    sock.bind((0, 0))
    pools = []
    for answer in generic_dump(sock, family, 5, 0x301):
        a = attributes(answer)
        number = {k: int.from_bytes(v, "little") for k, v in a.items()}
        pools.append([number.get(1), number.get(2), number.get(4)])
    return pools


def cmd_pools():
    print(json.dumps(page_pools()))


def main():
    globals()["cmd_" + sys.argv[1]](**json.loads(sys.argv[2]))


if __name__ == "__main__":
    main()
