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


def main():
    {"echo": echo, "ask": ask, "tap": tap, "want": want}[sys.argv[1]](*sys.argv[2:])


if __name__ == "__main__":
    main()
