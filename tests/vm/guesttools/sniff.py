#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""sniff.py DEV [--count N] [--timeout S] [--silence S]: write down the frames DEV receives.

Runs in a guest; "any" is every interface of the namespace. Prints "ready" when
it listens and, at the end (count reached, timeout over, or `silence` seconds
without a frame after SIGTERM: what is under way still counts), a line for each
numbered frame (tests.vm.wire) in the order of arrival:

    SERIAL DEV VID PCP PKTTYPE DST SRC OK

VID and PCP are - without a tag (from the frame or from its metadata), PKTTYPE is
the kernel's (0 host, 1 broadcast, 2 multicast, 3 otherhost), OK is 1 if the
checksum fits. The last line is "end FRAMES DROPS": anything but 0 drops means that
the socket's buffer was full and the list is not complete. What the interface
sends is not seen.
"""

import argparse
import ctypes
import os
import select
import signal
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.abspath(os.path.join(os.path.dirname(__file__), "../../..")))
from tests.vm.wire import ETHERTYPE, TPID, parse  # noqa: E402

ETH_P_ALL = 3
SOL_PACKET = 263
PACKET_STATISTICS = 6
PACKET_AUXDATA = 8
PACKET_IGNORE_OUTGOING = 23
SO_ATTACH_FILTER = 26
SO_RCVBUFFORCE = 33
# Python in an emulated CPU falls behind a burst; a frame takes 2 to 4 KiB here.
RCVBUF = 192 << 20
TP_STATUS_VLAN_VALID = 1 << 4
AUXDATA = struct.Struct("=IIIHHHH")


def only_ours(sock):
    """A classic BPF filter on skb->protocol: a tag that was taken off the
    frame is not in its bytes any more, one that was not is our outer type."""
    load_protocol = 0xFFFFF000  # SKF_AD_OFF + SKF_AD_PROTOCOL
    program = [
        (0x28, 0, 0, load_protocol),
        (0x15, 2, 0, ETHERTYPE),
        (0x15, 1, 0, TPID),
        (0x06, 0, 0, 0),
        (0x06, 0, 0, 0x40000),
    ]
    code = b"".join(struct.pack("HBBI", *i) for i in program)
    held = ctypes.create_string_buffer(code, len(code))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", len(program), ctypes.addressof(held)))


def listen(dev):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    only_ours(sock)
    sock.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RCVBUF)
    sock.bind(("" if dev == "any" else dev, ETH_P_ALL))
    return sock


def collect(sock, count, timeout, silence):
    """Only takes what comes; looking at it waits until the traffic is over."""
    stop_r, stop_w = os.pipe()
    os.set_blocking(stop_w, False)
    signal.set_wakeup_fd(stop_w)
    signal.signal(signal.SIGTERM, lambda *_: None)
    sock.setblocking(False)
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    poll.register(stop_r, select.POLLIN)
    end = time.monotonic() + timeout
    frames = []
    stopping = False
    print("ready", flush=True)
    while len(frames) < count:
        try:
            frames.append(sock.recvmsg(64, 64))
            continue
        except BlockingIOError:
            pass
        left = silence if stopping else end - time.monotonic()
        events = poll.poll(left * 1000) if left > 0 else []
        if not events:
            break
        if any(fd == stop_r for fd, _ in events):
            stopping = True
            poll.unregister(stop_r)
    return frames


def describe(frame):
    data, ancillary, _, address = frame
    f = parse(data)
    vlan, pcp = f.vlan, f.pcp
    for level, kind, aux in ancillary:
        if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
            status, _, _, _, _, tci, _ = AUXDATA.unpack(aux)
            if status & TP_STATUS_VLAN_VALID:
                vlan, pcp = tci & 0xFFF, tci >> 13
    tag = ("-", "-") if vlan is None else (vlan, pcp)
    return (f.serial, address[0], *tag, address[2], f.dst, f.src, int(f.ok))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("dev")
    p.add_argument("--count", type=int, default=sys.maxsize)
    p.add_argument("--timeout", type=float, default=3600)
    p.add_argument("--silence", type=float, default=0.5)
    args = p.parse_args()
    sock = listen(args.dev)
    frames = collect(sock, args.count, args.timeout, args.silence)
    _, drops = struct.unpack("II", sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
    rows = [r for r in map(describe, frames) if r[0] is not None]
    lines = [" ".join(map(str, r)) for r in rows]
    print("\n".join([*lines, f"end {len(rows)} {drops}"]), flush=True)


if __name__ == "__main__":
    main()
