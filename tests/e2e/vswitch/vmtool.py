#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""What the vswitch tests have run inside the guest.

vmtool.py echo PORT               answers UDP datagrams until it is killed
vmtool.py ask ADDRESS PORT SIZE.. sends datagrams of these sizes; prints a JSON
                                  list of the sizes that were answered whole
vmtool.py want NAME KIND FIRST COUNT
                                  is a program that wants to hear COUNT addresses
                                  from FIRST on (KIND unicast or group) on the
                                  interface, until it is killed
vmtool.py tap NAME MAC COUNT      is the VM at a macvtap device: sends the first
                                  COUNT numbered frames for MAC back to their
                                  senders, and then sees whether there are more
vmtool.py fdb add|del NAME FIRST COUNT
                                  gives the port COUNT addresses, counted from FIRST,
                                  or takes them; prints the errors that came back
vmtool.py send NAME CPU COUNT HEX sends this frame so often, from this CPU
"""

import fcntl
import json
import os
import select
import signal
import socket
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../vm"))
import wire  # noqa: E402

SOL_PACKET, PACKET_ADD_MEMBERSHIP = 263, 1
KINDS = {"group": 0, "unicast": 3}
TUNSETIFF = 0x400454CA
NETLINK_ROUTE, NLMSG_ERROR, RTM_NEWNEIGH, RTM_DELNEIGH = 0, 2, 28, 29
NLM_F_REQUEST, NLM_F_EXCL, NLM_F_CREATE = 1, 0x200, 0x400
AF_BRIDGE, NUD_NOARP, NUD_PERMANENT, NTF_SELF, NDA_LLADDR = 7, 0x40, 0x80, 2, 2
# Messages that the kernel gets at once.
FDB_BATCH = 500
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000


def echo(port):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("", int(port)))
    print("ready", flush=True)
    while True:
        data, peer = sock.recvfrom(65536)
        sock.sendto(data, peer)


def ask(address, port, *sizes):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(3)
    sock.connect((address, int(port)))
    answered = []
    for size in map(int, sizes):
        data = bytes(n * 7 + size & 0xFF for n in range(size))
        sock.send(data)
        try:
            if sock.recv(65536) == data:
                answered.append(size)
        except TimeoutError:
            pass
    print(json.dumps(answered))


def want(name, kind, first, count):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    index, base = socket.if_nametoindex(name), int(first.replace(":", ""), 16)
    for n in range(int(count)):
        mac = (base + n).to_bytes(6, "big")
        sock.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, struct.pack("=iHH8s", index, KINDS[kind], 6, mac))
    print("ready", flush=True)
    signal.pause()


def open_tap(name):
    """The device node is made as a host's udev would: 9p and tmpfs have none."""
    with open(f"/sys/class/net/{name}/ifindex") as f:
        tap = f"tap{f.read().strip()}"
    with open(f"/sys/class/net/{name}/{tap}/dev") as f:
        major, minor = map(int, f.read().split(":"))
    node = f"/tmp/{tap}"
    os.mknod(node, 0o600 | 0o020000, os.makedev(major, minor))
    fd = os.open(node, os.O_RDWR)
    os.unlink(node)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return fd


def tap(name, mac, count):
    fd = open_tap(name)
    print("ready", flush=True)
    serials = []
    while select.select([fd], [], [], 60 if len(serials) < int(count) else 2)[0]:
        f = wire.parse(os.read(fd, 65536))
        if f.ok and f.dst == mac:
            serials.append(f.serial)
            os.write(fd, wire.eth(f.src, mac, serial=f.serial, vlan=f.vlan))
    print(json.dumps(serials), flush=True)


def fdb(what, name, first, count):
    """As bridge fdb does it, but with no answer to a request that is granted."""
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_ROUTE)
    kind, flags = {"add": (RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_EXCL), "del": (RTM_DELNEIGH, 0)}[what]
    ndm = struct.pack("=BxxxiHBB", AF_BRIDGE, socket.if_nametoindex(name), NUD_NOARP | NUD_PERMANENT, NTF_SELF, 0)
    fixed = struct.pack("=IHHII", 36 + 4, kind, NLM_F_REQUEST | flags, 0, 0) + ndm + struct.pack("=HH", 10, NDA_LLADDR)
    start, left, errors = int(first.replace(":", ""), 16), int(count), []
    while left:
        batch = min(left, FDB_BATCH)
        sock.send(b"".join(fixed + (start + n).to_bytes(6, "big") + b"\0\0" for n in range(batch)))
        start, left = start + batch, left - batch
        while select.select([sock], [], [], 0)[0]:
            answers = sock.recv(65536)
            while answers:
                length, kind_, _, _, _, error = struct.unpack_from("=IHHIIi", answers)
                assert kind_ == NLMSG_ERROR
                errors.append(-error)
                answers = answers[(length + 3) & ~3:]
    print(json.dumps(errors))


def send(name, cpu, count, text):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sock.bind((name, 0))
    frame, home = bytes.fromhex(text), os.sched_getaffinity(0)
    os.sched_setaffinity(0, {int(cpu)})
    for _ in range(int(count)):
        sock.send(frame)
    os.sched_setaffinity(0, home)
    print(json.dumps(int(count)))


def main():
    {"echo": echo, "ask": ask, "tap": tap, "want": want, "fdb": fdb, "send": send}[sys.argv[1]](*sys.argv[2:])


if __name__ == "__main__":
    main()
