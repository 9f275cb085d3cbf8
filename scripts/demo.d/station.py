#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""station.py DEV cpu|queue: write down every numbered frame that DEV receives.

Runs in the guest, as the VM (in its network namespace) or as the host. Prints
"ready" when it listens, then a line a frame:

    SERIAL DST SRC VLAN VIA

VLAN is 0 without a tag. VIA is the CPU on which the kernel delivered the frame,
or the receive queue (of the NIC) that it was recorded with; -1: none. A socket
a value, each with a filter of two instructions, lets the kernel itself sort
them. A VM ("cpu") answers a frame whose serial has the bit QUESTION set: its
serial with REPLY set, addresses swapped, VLAN kept.

SIGTERM ends it; the last line is "dropped N", frames the sockets had no room for.
"""
import ctypes
import os
import select
import signal
import socket
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
from tests.vm.wire import eth, parse  # noqa: E402

QUESTION = 1 << 30
REPLY = 1 << 31

ETH_P_ALL = 3
SO_ATTACH_FILTER = 26
SO_RCVBUFFORCE = 33
SOL_PACKET = 263
PACKET_STATISTICS = 6
PACKET_AUXDATA = 8
PACKET_IGNORE_OUTGOING = 23
TP_STATUS_VLAN_VALID = 1 << 4
AUXDATA = struct.Struct("=IIIHHHH")
RCVBUF = 16 << 20

# Classic BPF: load what the kernel knows of a frame, compare, accept or not.
BPF_LD_ABS, BPF_JEQ, BPF_JGE, BPF_RET = 0x20, 0x15, 0x35, 0x06
SKF_AD = 0xFFFFF000
ANCILLARY = {"cpu": SKF_AD + 36, "queue": SKF_AD + 24}
VALUES = {"cpu": range(os.cpu_count()), "queue": range(8)}


def attach_filter(sock, load, jump, value):
    program = [(BPF_LD_ABS, 0, 0, load), (jump, 0, 1, value), (BPF_RET, 0, 0, 0xFFFFFFFF), (BPF_RET, 0, 0, 0)]
    code = b"".join(struct.pack("=HBBI", *i) for i in program)
    held = ctypes.create_string_buffer(code, len(code))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("@HP", len(program), ctypes.addressof(held)))


def open_socket(dev, load, jump, value):
    """Bound last: what came before the filter was there would be counted twice."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RCVBUF)
    sock.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    attach_filter(sock, load, jump, value)
    sock.bind((dev, ETH_P_ALL))
    return sock


def open_sockets(dev, by):
    """{file descriptor: (socket, via)}; between them they take every frame once."""
    load, values = ANCILLARY[by], VALUES[by]
    # The kernel records queue n as n + 1, 0 means none.
    first = 1 if by == "queue" else 0
    sockets = [(open_socket(dev, load, BPF_JEQ, v + first), v) for v in values]
    sockets.append((open_socket(dev, load, BPF_JGE, len(values) + first), -1))
    if first:
        sockets.append((open_socket(dev, load, BPF_JEQ, 0), -1))
    return {s.fileno(): (s, via) for s, via in sockets}


def receive(sock):
    """(frame, VID) or None. The NIC takes tags off; they come beside the frame."""
    try:
        data, extra, _, _ = sock.recvmsg(70000, 256, socket.MSG_DONTWAIT)
    except OSError:
        # Nothing left, or the interface went down: said once, then it goes on.
        return None
    vlan = 0
    for level, kind, value in extra:
        if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
            status, *_, tci, _ = AUXDATA.unpack(value[: AUXDATA.size])
            if status & TP_STATUS_VLAN_VALID:
                vlan = tci & 0xFFF
    return data, vlan


def answer(sock, frame, vlan):
    sock.send(eth(frame.src, frame.dst, vlan=vlan or None, serial=frame.serial | REPLY))


def note(sock, via, out, answers):
    """Writes down all that a socket holds."""
    while (got := receive(sock)) is not None:
        data, vlan = got
        frame = parse(data)
        if not frame.ok:
            continue
        vlan = vlan or frame.vlan or 0
        out.write(f"{frame.serial} {frame.dst} {frame.src} {vlan} {via}\n")
        if answers and frame.serial & QUESTION:
            answer(sock, frame, vlan)


def dropped(sock):
    return struct.unpack("=II", sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1]


def main(dev, by):
    sockets = open_sockets(dev, by)
    poll = select.poll()
    for fd in sockets:
        poll.register(fd, select.POLLIN)
    over = []
    signal.signal(signal.SIGTERM, lambda *_: over.append(True))
    print("ready", flush=True)
    while not over:
        for fd, _ in poll.poll(200):
            note(*sockets[fd], sys.stdout, by == "cpu")
        sys.stdout.flush()
    for sock, via in sockets.values():
        note(sock, via, sys.stdout, by == "cpu")
    print("dropped", sum(dropped(sock) for sock, _ in sockets.values()), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
