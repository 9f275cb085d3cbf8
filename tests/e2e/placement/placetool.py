#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""What the placement tests have run inside the guest; the arguments are one JSON object.

placetool.py COMMAND JSON:

move     writes a queue's cpu, each of some in turn, and looks when its interrupt follows
hotplug  takes CPUs off and back, with frames coming in between, and looks where queues are
follow   says when which CPU's interrupts of each queue grow, until SIGTERM
burden   makes the receiving of each frame at some interfaces dear, until SIGTERM
"""

import ctypes
import json
import os
import signal
import socket
import struct
import sys
import time

PERIOD = 0.5
SO_ATTACH_FILTER = 26


def read(path):
    with open(path) as f:
        return f.read().strip()


def write(path, text):
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


class Interrupts:
    """Rows of /proc/interrupts."""

    def __init__(self, irqs):
        self.irqs = [str(i) for i in irqs]
        self.fd = os.open("/proc/interrupts", os.O_RDONLY)

    def rows(self):
        """[[count on each CPU], ...] in the order of irqs."""
        data = b""
        while part := os.pread(self.fd, 1 << 16, len(data)):
            data += part
        header, *lines = data.decode().splitlines()
        cpus, found = len(header.split()), {}
        for line in lines:
            name, _, rest = line.strip().partition(":")
            found[name] = rest.split()[:cpus]
        return [[int(c) for c in found.get(i, ["0"] * cpus)] for i in self.irqs]


def grown(before, after):
    return [cpu for cpu, (a, b) in enumerate(zip(before, after, strict=True)) if b > a]


def cmd_move(path, cpus, irq):
    """For each CPU [when another one was interrupted last, when it was first itself, interrupts
    there in the period], in seconds since the write began. What a sample shows has happened since the
    one before: the times are those of the samples before, so that one who is kept from looking does not
    blame the interrupt."""
    interrupts, answers = Interrupts([irq]), []
    for cpu in cpus:
        last = interrupts.rows()[0]
        began = when = time.monotonic()
        write(path, str(cpu))
        other, own, total = 0.0, None, 0
        while when - began < PERIOD:
            now, before = interrupts.rows()[0], when
            when = time.monotonic()
            for c in grown(last, now):
                if c != cpu:
                    other = before - began
                elif own is None:
                    own = before - began
            total += now[cpu] - last[cpu]
            last = now
            time.sleep(0.002)
        answers.append([other, own, total])
    print(json.dumps(answers))


class Hotplug:
    """queues: directories rx-N/vmq; ports: interfaces at which frames have to come between two changes."""

    def __init__(self, queues, ports, frames):
        self.queues, self.frames = queues, frames
        self.counts = [f"/sys/class/net/{p}/statistics/rx_packets" for p in ports]

    def effective(self):
        return [read(f"{q}/cpu_effective") for q in self.queues]

    def wanted(self):
        return [read(f"{q}/cpu") for q in self.queues]

    def await_frames(self):
        """At each of the ports."""
        first, end = [int(read(c)) for c in self.counts], time.monotonic() + 60
        while not all(int(read(c)) - n >= self.frames for c, n in zip(self.counts, first, strict=True)):
            if time.monotonic() > end:
                raise SystemExit(f"frames stopped: {first}, then {[int(read(c)) for c in self.counts]}")
            time.sleep(0.01)

    def settle(self, what, good, limit):
        """Seconds until good() is true."""
        began = time.monotonic()
        while not good():
            if time.monotonic() - began > limit:
                raise SystemExit(f"after {limit} s: {what}: wanted {self.wanted()}, effective {self.effective()}")
            time.sleep(0.005)
        return time.monotonic() - began

    def is_home(self):
        return all(w in ("auto", e) for w, e in zip(self.wanted(), self.effective(), strict=True))

    def cycle(self, cpu, pinned, limit):
        """[seconds on a CPU that is off, seconds until all are home, how many were on it]."""
        online = f"/sys/devices/system/cpu/cpu{cpu}/online"
        there = self.effective().count(str(cpu))
        write(online, "0")
        away = self.settle(f"a queue is on CPU {cpu}, which is off", lambda: str(cpu) not in self.effective(), limit)
        self.await_frames()
        if str(cpu) in self.effective():
            raise SystemExit(f"a queue came to CPU {cpu}, which is off: {self.effective()}")
        write(online, "1")
        home = self.settle(f"CPU {cpu} is on again", self.is_home, limit)
        moved = [w for w, p in zip(self.wanted(), pinned, strict=True) if p is not None and w != str(p)]
        if moved:
            raise SystemExit(f"queues that were pinned to {pinned} now want {self.wanted()}")
        self.await_frames()
        return [away, home, there]


def cmd_hotplug(queues, ports, cpus, rounds, frames, pinned, limit):
    """pinned: the CPU of each queue, or null."""
    h = Hotplug(queues, ports, frames)
    found = [h.cycle(cpus[n % len(cpus)], pinned, limit) for n in range(rounds)]
    print(json.dumps({"away": max(f[0] for f in found), "home": max(f[1] for f in found),
                      "met": sum(f[2] for f in found)}))


def cmd_follow(irqs, pause=0.1):
    """Ends with [[when, [[CPUs whose count grew since the last sample], for each irq]], ...], by the
    guest's clock; samples in which nothing grew are left out."""
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
    interrupts, found = Interrupts(irqs), []
    last = interrupts.rows()
    print("ready", flush=True)
    while not stopped:
        time.sleep(pause)
        now = interrupts.rows()
        cpus = [grown(a, b) for a, b in zip(last, now, strict=True)]
        if any(cpus):
            found.append([time.monotonic(), cpus])
        last = now
    print(json.dumps(found))


def cmd_burden(interfaces, sockets):
    """Packet sockets whose filter adds thousands of times and refuses the frame: what a filter
    may take of a socket's memory has a limit, to which adding alone adds little."""
    add, refuse = (0x04, 0, 0, 1), (0x06, 0, 0, 0)
    data = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *c) for c in [*[add] * 4000, refuse]))
    program = struct.pack("HL", 4001, ctypes.addressof(data))
    held = []
    for name in interfaces:
        for _ in range(sockets):
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
            sock.bind((name, 0x88B5))
            held.append(sock)
    print("ready", flush=True)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    signal.sigwait([signal.SIGTERM])


def main():
    command = globals()["cmd_" + sys.argv[1]]
    command(**json.loads(sys.argv[2]))


if __name__ == "__main__":
    main()
