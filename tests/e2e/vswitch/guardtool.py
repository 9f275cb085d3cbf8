#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""What the tests of guards, limits and mirrors have run inside the guest.

guardtool.py raw NAME HEX..       sends these frames, in order
guardtool.py rate NAME DST SRC TIMES WHAT SIZE SEGMENTS
                                  sends without a pause, each time a TCP frame of
                                  so many segments of SIZE bytes; prints for so many
                                  half seconds the frames that came, and the time. WHAT is
                                  "tap:NAME", a packet tap there, or "net:PID:NAME",
                                  that interface's own count in PID's namespace
guardtool.py shares PID TIMES SIZE SEGMENTS {NAME DST SRC COUNTER}..
                                  the same from several ports at a time, each to a
                                  COUNTER in PID's namespace. For so many half
                                  seconds all send; then all but the first; then
                                  all. Prints for each of the three the frames of
                                  each port, and the time
"""

import itertools
import json
import os
import signal
import socket
import struct
import sys
import time

ETH_P_ALL = 3
SOL_PACKET = 263
PACKET_STATISTICS = 6
PACKET_VNET_HDR = 15
PACKET_IGNORE_OUTGOING = 23
# Ethernet, IPv4 and TCP, without options.
HEADERS = 54


def raw(name, *frames):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sock.bind((name, 0))
    for text in frames:
        sock.send(bytes.fromhex(text))
    print(json.dumps(len(frames)))


def tcp_frame(dst, src, size, segments):
    """With what PACKET_VNET_HDR has in front: cut it, and fill the checksum in."""
    payload = segments * (size - HEADERS)
    offload = struct.pack("BBHHHH", 1, 1, HEADERS, size - HEADERS, 34, 16)
    link = bytes.fromhex((dst + src).replace(":", "")) + b"\x08\0"
    addresses = socket.inet_aton("192.0.2.1") + socket.inet_aton("192.0.2.2")
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 40 + payload, 0, 0, 64, 6, 0) + addresses
    tcp = struct.pack(">HHIIBBHHH", 1000, 1001, 0, 0, 0x50, 0x10, 1024, 0, 0)
    return offload + link + ip + tcp + bytes(payload)


def send_on_and_on(name, frame, frames):
    """So many frames at a time may wait in the port, or in the NIC; then send() blocks."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sock.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    # The kernel doubles it, and counts what the frames take in memory.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, frames * (len(frame) + 1024) // 2)
    sock.bind((name, 0x800))
    while True:
        sock.send(frame)


def counter_of(pid, name):
    """A function that reads how many packets an interface has received."""

    def read():
        with open(f"/proc/{pid}/net/dev") as f:
            return next(int(line.split(":")[1].split()[1]) for line in f if line.split(":")[0].strip() == name)

    return read


def tap_of(name):
    """A function that says how many frames came to a packet tap so far."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    # Nobody reads it: what has no room is counted all the same.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    sock.bind((name, ETH_P_ALL))
    total = 0

    def read():
        nonlocal total
        total += struct.unpack("II", sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[0]
        return total

    return read


def sender(name, dst, src, size, segments, frames):
    """A process that sends until it is ended."""
    child = os.fork()
    if not child:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
        send_on_and_on(name, tcp_frame(dst, src, int(size), int(segments)), frames)
    return child


def end(*children):
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def half_seconds(read, times):
    """What came in each of them, and how long it was."""
    points = []
    # What a full bucket gives at once is not measured.
    for _ in range(times + 1):
        time.sleep(0.5)
        points.append((read(), time.monotonic()))
    return [(c - a, d - b) for (a, b), (c, d) in itertools.pairwise(points)]


def rate(name, dst, src, times, what, size, segments):
    kind, *where = what.split(":")
    read = {"tap": tap_of, "net": counter_of}[kind](*where)
    # A NIC gives back what it has sent only now and then.
    child = sender(name, dst, src, size, segments, 3 if kind == "tap" else 20)
    try:
        print(json.dumps(half_seconds(read, int(times))))
    finally:
        end(child)


class Counts(tuple):
    def __sub__(self, other):
        return [a - b for a, b in zip(self, other, strict=True)]


def shares(pid, times, size, segments, *ports):
    ports = list(zip(*[iter(ports)] * 4, strict=True))
    counters = [counter_of(pid, name) for *_, name in ports]
    children = [sender(*port[:3], size, segments, 20) for port in ports]
    result = []
    try:
        for first in (signal.SIGCONT, signal.SIGSTOP, signal.SIGCONT):
            os.kill(children[0], first)
            result.append(half_seconds(lambda: Counts(read() for read in counters), int(times)))
    finally:
        end(*children)
    print(json.dumps(result))


def main():
    {"raw": raw, "rate": rate, "shares": shares}[sys.argv[1]](*sys.argv[2:])


if __name__ == "__main__":
    main()
