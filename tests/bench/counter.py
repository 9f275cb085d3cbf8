# SPDX-License-Identifier: GPL-2.0-only
"""Guest instructions, counted by QEMU itself: tests/bench/counter.c.

    g = Guest(plugin=plugin(), ...)
    c = Counter(g)                  # after the modules are loaded: they have symbols then
    c.settle(1)                     # waits until CPU 1 is idle, and forgets what it did
    ...
    work = c.settle(1)              # what CPU 1 did since: a Work
    work.insns["vmq_queue_receive", "vmq"], work.calls[...]

A rep instruction counts once, whatever it moves. Caches, locks and registers of
the NIC cost no more here than an addition.
"""

import bisect
import collections
import hashlib
import os
import socket
import subprocess
import time

from tests.vm.guest import GuestError, cache_dir

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCES = ("counter.c", "plugin.h")
# A CPU that did nothing for so long is idle.
IDLE_SECONDS = 0.04
SETTLE_TIMEOUT = 20
# In place of a module's name.
KERNEL = ""


def plugin():
    """Path of the plugin, built from the sources as they are."""
    digest = hashlib.sha256()
    for name in SOURCES:
        with open(os.path.join(HERE, name), "rb") as f:
            digest.update(f.read())
    directory = os.path.join(cache_dir(), "bench")
    path = os.path.join(directory, f"counter-{digest.hexdigest()[:16]}.so")
    if not os.path.exists(path):
        os.makedirs(directory, exist_ok=True)
        new = f"{path}.{os.getpid()}"
        options = ["-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-pthread"]
        subprocess.run(["gcc", *options, "-o", new, os.path.join(HERE, "counter.c")], check=True)
        os.rename(new, path)
    return path


class Work:
    """What a CPU did: {(function, module or ""): number}."""

    def __init__(self):
        self.insns = collections.Counter()
        self.calls = collections.Counter()

    def total(self):
        return sum(self.insns.values())


class Counter:
    def __init__(self, guest):
        self.guest = guest
        self.symbols = self.read_symbols(guest.get("/proc/kallsyms").decode())
        self.starts = [start for start, _ in self.symbols]
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(guest.plugin_socket)
        self.answers = self.sock.makefile("r")

    @staticmethod
    def read_symbols(text):
        """[(address, (function, module)), ...] of all code, by address."""
        symbols = []
        for line in text.splitlines():
            address, kind, name, *module = line.split()
            if kind in "tTwW":
                symbols.append((int(address, 16), (name, module[0].strip("[]") if module else KERNEL)))
        return sorted(symbols)

    def read(self, cpu, into):
        """Adds to `into` what the CPU did since the last call; how much that was."""
        self.sock.send(b"?")
        before = into.total()
        for line in self.answers:
            if line == "\n":
                return into.total() - before
            where, address, insns, times = line.split()
            if int(where) == cpu:
                self.note(into, int(address, 16), int(insns), int(times))
        raise GuestError("the counting plugin is gone")

    def note(self, work, address, insns, times):
        at = bisect.bisect_right(self.starts, address) - 1
        start, symbol = self.symbols[at] if at >= 0 else (0, ("user", KERNEL))
        work.insns[symbol] += insns * times
        work.calls[symbol] += times * (address == start)

    def settle(self, cpu):
        """Waits until the CPU is idle; what it did since the last call."""
        work, end = Work(), time.monotonic() + SETTLE_TIMEOUT
        while True:
            time.sleep(IDLE_SECONDS)
            if not self.read(cpu, work):
                return work
            if time.monotonic() > end:
                raise GuestError(f"CPU {cpu} is not idle after {SETTLE_TIMEOUT} s")

    def close(self):
        self.answers.close()
        self.sock.close()
