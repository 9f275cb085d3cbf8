# SPDX-License-Identifier: GPL-2.0-only
"""Who may move a queue's interrupt: cpu_policy, and irqbalance, which tries."""

import collections
import json
import re

from tests.e2e.link.lib import POOLS, VM_QUEUES, say, spawn_tool, topology, wait_for
from tests.e2e.placement.lib import Vms, raised
from tests.vm.guest import script_output


# Frames a second that keep the interrupts of two queues firing.
RATE = 600


def affinity(irq, file="smp_affinity_list"):
    return f"/proc/irq/{irq}/{file}"


def irq_of(h, n):
    return h.read(h.rxq(n, "irq"))


def serve(h, vms, frames=40):
    """Frames for each VM, so that every interrupt fires; {queue: {CPU: interrupts}} meanwhile."""
    total = frames * len(vms.names)
    before = h.interrupts()
    with h.taps(*vms.names) as t:
        h.wire.send_paced((vms.frame(s) for s in range(total)), burst=8, gap=0.005)
        t.wait(total)
    assert [t.serials(name) for name in vms.names] == [list(range(n, total, len(vms.names))) for n in range(len(vms.names))]
    return {n: where for n, where in raised(before, h.interrupts()).items() if n in vms.queues}


def await_effective(h, s, n, cpu):
    """An interrupt moves when it fires next, which the stream makes it do; from then on it is nowhere else."""
    wait_for(f"queue {n} is on CPU {cpu}", lambda: h.read(h.rxq(n, "cpu_effective")) == str(cpu), 10, 0.05)
    before = h.interrupts()
    s.wait_sent(60)
    where = raised(before, h.interrupts())[n]
    assert set(where) == {cpu}, f"queue {n} is on CPU {cpu} and interrupted {where}"


def test_strict(host):
    """A write to the affinity of a strict queue, which all are at first, is refused and moves nothing."""
    h = host
    vms = Vms(h, len(VM_QUEUES))
    queues = range(POOLS)
    assert {h.read(h.rxq(n, "cpu_policy")) for n in queues} == {"strict"}
    before = {n: h.read(h.rxq(n, "cpu_effective")) for n in queues}
    assert {n: h.read(h.rxq(n, "cpu")) for n in queues} == before
    items = []
    for n in queues:
        other = (int(before[n]) + 1) % 4
        items += [[affinity(irq_of(h, n)), str(other)], [affinity(irq_of(h, n), "smp_affinity"), f"{1 << other:x}"]]
    answers = [error for error, _ in h.write(items)]
    say(f"{len(items)} writes below /proc/irq: {sorted(set(answers))}")
    assert set(answers) == {"EPERM"}
    where = serve(h, vms)
    assert {n: set(cpus) for n, cpus in where.items()} == {n: {int(before[n])} for n in vms.queues}
    assert {n: h.read(h.rxq(n, "cpu_effective")) for n in queues} == before


def test_hint(host):
    """A hint queue is where a user puts its interrupt, through down and up and a reset, until cpu is written."""
    h, g = host, host.g
    vms = Vms(h, 2)
    n, other = vms.queues
    vms.pin({n: 1, other: 2})
    h.must([h.rxq(n, "cpu_policy"), "hint"])
    irq = irq_of(h, n)
    moved = int(h.read(h.rxq(n, "cpu_moves")))
    with vms.stream(rate=RATE) as s:
        await_effective(h, s, n, 1)
        assert int(h.read(affinity(irq, "affinity_hint")), 16) == 1 << 1
        h.must([affinity(irq), "3"])
        await_effective(h, s, n, 3)
        assert (h.read(h.rxq(n, "cpu")), h.read(h.rxq(n, "cpu_policy"))) == ("1", "hint")
        assert h.put(affinity(irq_of(h, other)), "3") == "EPERM", "the other one is strict"
    vms.check(s)
    h.out(f"ip link set {h.dev} down")
    assert h.port_file(vms.names[0], "cpu") == h.read(h.rxq(n, "cpu_effective")) == "none"
    h.up()
    pci = f"/sys/bus/pci/devices/{g.pci(h.nic)}"
    for what in ("", f"echo flr >{pci}/reset_method && echo 1 >{pci}/reset"):
        g.run(what)
        topology.wait_carrier(g, h.dev)
        with vms.stream(rate=RATE) as s:
            await_effective(h, s, n, 3)
        vms.check(s)
        say(f"still on CPU 3 after {'the reset' if what else 'down and up'}")
        assert (h.read(h.rxq(n, "cpu")), h.read(h.rxq(n, "cpu_policy"))) == ("1", "hint")
    assert int(h.read(h.rxq(n, "cpu_moves"))) == moved, "a move of somebody else's was counted"
    with vms.stream(rate=RATE) as s:
        h.must([h.rxq(n, "cpu"), "0"])
        await_effective(h, s, n, 0)
        h.must([affinity(irq), "2"])
        await_effective(h, s, n, 2)
        # Strict again: it goes where it is wanted, and stays.
        h.must([h.rxq(n, "cpu_policy"), "strict"])
        await_effective(h, s, n, 0)
    vms.check(s)
    assert h.put(affinity(irq), "2") == "EPERM"
    assert int(h.read(affinity(irq, "affinity_hint")), 16) == 0


def test_free(host):
    """A free queue has no CPU of its own: its interrupt may go to any, and a user may say where."""
    h = host
    vms = Vms(h, 2)
    n, other = vms.queues
    vms.pin({n: 1, other: 2})
    irq = irq_of(h, n)
    with vms.stream(rate=RATE) as s:
        h.must([h.rxq(n, "cpu_policy"), "free"])
        assert (h.read(h.rxq(n, "cpu")), h.read(affinity(irq))) == ("none", "0-3")
        for cpu in (3, 0):
            h.must([affinity(irq), str(cpu)])
            await_effective(h, s, n, cpu)
        for text in ("1", "auto"):
            ((error, said),) = h.write([[h.rxq(n, "cpu"), text]])
            assert error == "EINVAL" and "free" in said
        await_effective(h, s, n, 0)
        await_effective(h, s, other, 2)
        h.must([h.rxq(n, "cpu_policy"), "strict"])
        cpu = int(h.read(h.rxq(n, "cpu")))
        await_effective(h, s, n, cpu)
    vms.check(s)
    assert h.put(affinity(irq), str((cpu + 1) % 4)) == "EPERM"


def test_port_tells_the_cpu(host):
    """vmq/cpu of a port is where its frames are handed out: its queue's CPU now, or queue 0's."""
    h = host
    vms = Vms(h, len(VM_QUEUES))
    h.port("vm8", "52:54:00:00:17:70")
    assert h.port_queue("vm8") is None and h.port_file("vm8", "cpu") == h.read(h.rxq(0, "cpu_effective"))
    for n, name in zip(vms.queues, vms.names, strict=True):
        assert h.port_file(name, "cpu") == h.read(h.rxq(n, "cpu_effective"))
    for cpu in (0, 3):
        h.pin(vms.queues[2], cpu)
        assert h.port_file(vms.names[2], "cpu") == str(cpu)
    h.delete(vms.names[2])
    wait_for("the last one has a queue", lambda: h.port_queue("vm8") == vms.queues[2], 10)
    assert h.port_file("vm8", "cpu") == h.read(h.rxq(vms.queues[2], "cpu_effective"))


def check_libraries(g, program):
    missing = [line for line in g.out(f"ldd {program}").splitlines() if "not found" in line]
    assert not missing, missing


def believed(text):
    """{irq: CPUs} that irqbalance, by what it prints, put interrupts on, or the error when that failed."""
    found, cpu = collections.defaultdict(set), None
    for line in text.splitlines():
        if m := re.search(r"CPU number (\d+) ", line):
            cpu = int(m[1])
        elif re.search(r"Package \d|Cache domain", line):
            cpu = None
        elif (m := re.search(r"^\s+Interrupt (\d+) ", line)) and cpu is not None:
            found[m[1]].add(cpu)
        elif m := re.search(r"annot change irq (\d+)'?s? affinity", line, re.I):
            found[m[1]].add(line)
    return found


def test_irqbalance(host, count):
    """irqbalance runs under load and moves queues that are hints; the strict ones stay, though it tries."""
    h, g = host, host.g
    seconds = count(60)
    program = script_output("scripts/unpack", "irqbalance") + "/usr/sbin/irqbalance"
    check_libraries(g, program)
    vms = Vms(h, len(VM_QUEUES))
    strict, hints = vms.queues[:4], vms.queues[4:]
    # All on one CPU: a reason to move some.
    vms.pin(dict.fromkeys(vms.queues, 1))
    h.must(*[[h.rxq(n, "cpu_policy"), "hint"] for n in hints])
    irqs = {n: irq_of(h, n) for n in vms.queues}
    paths = [p for irq in irqs.values() for p in (affinity(irq), affinity(irq, "effective_affinity_list"))]
    before = h.interrupts()
    shows = spawn_tool(g, "shows", paths=paths, commands=[], pause=0.1)
    with vms.stream(rate=1500) as s:
        s.wait_sent(100)
        daemon = g.spawn(f"mkdir -p /run/irqbalance && exec {program} --debug --interval=2")
        g.run(f"sleep {seconds}", timeout=seconds + 60)
        assert daemon.poll() is None, f"irqbalance ended: {daemon.stdout} {daemon.stderr}"
        daemon.stop()
    shows.stop()
    vms.check(s)
    said, rounds = json.loads(shows.stdout.strip().splitlines()[-1])
    where, thinks = raised(before, h.interrupts()), believed(daemon.stdout + daemon.stderr)
    say(f"{seconds} s, looked {rounds} times; interrupts of strict queues by CPU {({n: where[n] for n in strict})}")
    say(f"of hints {({n: where[n] for n in hints})}; irqbalance had in mind {({n: thinks[irqs[n]] for n in vms.queues})}")
    for n in strict:
        assert said[affinity(irqs[n])] == said[affinity(irqs[n], "effective_affinity_list")] == ["1"]
        assert set(where[n]) == {1}
    assert any(thinks[irqs[n]] - {1} for n in strict), "it did not try"
    moved = [n for n in hints if len(said[affinity(irqs[n])]) > 1]
    assert moved and any(set(where[n]) != {1} for n in moved), said
