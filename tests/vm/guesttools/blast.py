#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""blast.py DEV DST COUNT [--src MAC] [--vlan VID] [--size N] [--first SERIAL]
[--burst N] [--gap SECONDS]: send numbered frames (tests.vm.wire) out of DEV.

Runs in a guest. Paced, because a transmit ring that is full drops what comes:
`burst` frames, then `gap` seconds. Prints how many were sent.
"""

import argparse
import os
import socket
import sys
import time

sys.path.insert(0, os.path.abspath(os.path.join(os.path.dirname(__file__), "../../..")))
from tests.vm.wire import eth, mac_text  # noqa: E402


def main():
    p = argparse.ArgumentParser()
    p.add_argument("dev")
    p.add_argument("dst")
    p.add_argument("count", type=int)
    p.add_argument("--src")
    p.add_argument("--vlan", type=int)
    p.add_argument("--size", type=int, default=60)
    p.add_argument("--first", type=int, default=0)
    p.add_argument("--burst", type=int, default=32)
    p.add_argument("--gap", type=float, default=0.002)
    args = p.parse_args()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as s:
        s.bind((args.dev, 0))
        src = args.src or mac_text(s.getsockname()[4])
        frames = [
            eth(args.dst, src, vlan=args.vlan, serial=n, size=args.size)
            for n in range(args.first, args.first + args.count)
        ]
        for n, frame in enumerate(frames):
            if n and n % args.burst == 0:
                time.sleep(args.gap)
            s.send(frame)
    print(len(frames))


if __name__ == "__main__":
    main()
