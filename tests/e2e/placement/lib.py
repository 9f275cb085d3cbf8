# SPDX-License-Identifier: GPL-2.0-only
"""What the placement tests share.

    vms = Vms(h, 7)                   # ports vm1.., a queue each
    with vms.stream(rate=2000) as s:  # numbered frames, to each VM in turn
        ...
    vms.check(s)                      # none lost, doubled or out of order
    with served(h) as table: ...      # {(queue, CPU): frames}, as the kernel counts
"""

import collections
import contextlib
import json
import os
import re

from tests.e2e.link.lib import (
    OUTSIDE,
    POOLS,
    Stream,
    describe_stream,
    say,
    vm_mac,
)
from tests.vm.wire import eth

TOOL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "placetool.py")
BATCH = "/sys/kernel/tracing/events/vmq/vmq_rx_batch"
HIST = re.compile(r"\{ queue: +(\d+), common_cpu: +(\d+) \} hitcount: +\d+ +frames: +(\d+)")


def spawn(g, command, **options):
    """Starts a command of placetool.py: a Job."""
    return g.tool(TOOL, command, json.dumps(options))


def result(job, timeout):
    """What the command says at its end."""
    rc = job.wait(timeout)
    assert rc == 0, f"placetool: status {rc}: {job.stdout} {job.stderr}"
    return json.loads(job.stdout.strip().splitlines()[-1])


class Vms:
    """Ports with a queue each, and numbered frames for them from outside: frame s is for VM s modulo n."""

    def __init__(self, h, n):
        self.h = h
        self.macs = [vm_mac(i) for i in range(1, n + 1)]
        self.names = h.ports(self.macs)
        self.queues = [h.port_queue(name) for name in self.names]
        assert None not in self.queues and len(set(self.queues)) == n

    def frame(self, serial):
        return eth(self.macs[serial % len(self.macs)], OUTSIDE, serial=serial)

    @contextlib.contextmanager
    def stream(self, **options):
        """A lib.Stream, whose .taps stay readable; check() afterwards."""
        with self.h.taps(*self.names) as t, Stream(self.h, t, None, frame=self.frame, **options) as s:
            yield s

    def check(self, s):
        """Every frame of the stream came once, in order, where it belongs, and it never stopped."""
        say(f"{s.sent} frames sent to {len(self.names)} VMs, {len(s.taps.frames)} came")
        assert s.stalls == 0, f"the stream stood still {s.stalls} times"
        for n, name in enumerate(self.names):
            wrong = describe_stream(list(range(n, s.sent, len(self.names))), s.taps.serials(name))
            assert wrong is None, f"{name}: {wrong}"

    def files(self, name):
        """{queue: text} of a file of these VMs' queues."""
        found = self.h.files(*[self.h.rxq(n, name) for n in self.queues])
        return {n: found[self.h.rxq(n, name)] for n in self.queues}

    def effective(self):
        return self.files("cpu_effective")

    def pin(self, cpus):
        """{queue: CPU}"""
        self.h.must(*[[self.h.rxq(n, "cpu"), str(cpu)] for n, cpu in cpus.items()])


@contextlib.contextmanager
def served(h):
    """Gives a Counter of {(queue, CPU): frames}, filled at the end. A histogram in the kernel: no
    buffer that is too small, and one line for each."""
    trigger = f"hist:keys=queue,common_cpu:vals=frames if uplink == \"{h.dev}\""
    h.g.run(f"echo '{trigger}' >{BATCH}/trigger")
    table = collections.Counter()
    try:
        yield table
    finally:
        text = h.g.out(f"cat {BATCH}/hist; echo '!{trigger}' >{BATCH}/trigger")
    for queue, cpu, frames in HIST.findall(text):
        table[int(queue), int(cpu)] += int(frames)


def say_matrix(table, queues, cpus):
    say("queue  " + "".join(f"{f'CPU {c}':>8}" for c in range(cpus)))
    for n in queues:
        say(f"{n:5}  " + "".join(f"{table[n, c]:8}" for c in range(cpus)))


def raised(before, after):
    """{queue: {CPU: interrupts}} between two h.interrupts()."""
    return {
        n: {cpu: b - a for cpu, (a, b) in enumerate(zip(before[n], after[n], strict=True)) if b != a}
        for n in range(POOLS)
    }


def irqs_raised(h, irqs):
    """[interrupts of all these together, on each CPU]: a shared one counts once."""
    header, *lines = h.g.read("/proc/interrupts").splitlines()
    cpus, total = len(header.split()), collections.Counter()
    for line in lines:
        name, _, rest = line.strip().partition(":")
        if name in irqs:
            total.update({cpu: int(n) for cpu, n in enumerate(rest.split()[:cpus])})
    return [total[cpu] for cpu in range(cpus)]
