# SPDX-License-Identifier: GPL-2.0-only
"""The NIC routes, not the driver: each VM's frames come by its own ring and
interrupt, on the CPU that was asked for."""

import re
import time

from tests.e2e.link.lib import VM_QUEUES, delta, describe_stream, say, vm_mac, wait_for

A, B = vm_mac(1), vm_mac(2)
TRACING = "/sys/kernel/tracing"


def cpu_for(n):
    """CPUs 1 to 3 in turn: another one than the queue had at first, mostly."""
    return 3 - n % 3


def check_vectors(before, after, n, cpu):
    """Interrupts of queue n on its CPU only; none of any other VM queue."""
    mine = [b - a for a, b in zip(before[n], after[n], strict=True)]
    assert mine[cpu] > 0, f"queue {n}: no interrupt on CPU {cpu}: {mine}"
    elsewhere = {c: i for c, i in enumerate(mine) if i and c != cpu}
    assert not elsewhere, f"queue {n} is pinned to CPU {cpu} and interrupted others: {elsewhere}"
    for other in VM_QUEUES:
        if other != n:
            assert before[other] == after[other], f"traffic of queue {n} raised queue {other}'s interrupt"
    return mine[cpu]


def check_routed(h, consumers, frames):
    """consumers: {queue: (MAC, tap)}. One VM after the other gets its frames;
    what was sent, what the NIC counted in that pool, what left the ring and
    what came to the consumer is the same number."""
    for n in consumers:
        h.pin(n, cpu_for(n))
    for n, (mac, tap) in consumers.items():
        taps = [t for _, t in consumers.values()]
        counters, interrupts = h.counters(), h.interrupts()
        with h.taps(*taps) as t:
            h.send_all(t, mac, frames)
        moved, after = delta(counters, h.counters()), h.interrupts()
        raised = check_vectors(interrupts, after, n, cpu_for(n))
        nic = {k: v for k, v in moved.items() if k.endswith("_nic_packets")}
        say(f"queue {n}: {frames} sent, NIC counted {nic}, {len(t.at(tap))} at {tap}, {raised} interrupts on CPU {cpu_for(n)}")
        assert describe_stream(list(range(frames)), t.serials(tap)) is None, describe_stream(
            list(range(frames)), t.serials(tap)
        )
        assert len(t.frames) == frames, f"frames of queue {n} at other consumers too"
        assert nic == {f"rx_queue_{n}_nic_packets": frames}
        left = {k: v for k, v in moved.items() if re.fullmatch(r"rx_queue_\d+_packets", k)}
        assert left == {f"rx_queue_{n}_packets": frames}


def test_routed_to_ports(host, count):
    """Frames for each of seven VM ports use that VM's pool, ring, interrupt and CPU, and no other."""
    h = host
    macs = [vm_mac(n) for n in VM_QUEUES]
    names = h.ports(macs)
    consumers = {h.port_queue(name): (mac, name) for name, mac in zip(names, macs, strict=True)}
    assert sorted(consumers) == list(VM_QUEUES)
    check_routed(h, consumers, count(2000))


def test_routed_without_vswitch(bare_host, count):
    """The same for queues made by ethtool alone, vmq_vswitch not loaded: the uplink's stack, rx queue recorded."""
    h = bare_host
    assert not h.g.run("ls -d /sys/module/vmq_vswitch", check=False).stdout
    for n in VM_QUEUES:
        assert h.ntuple(f"flow-type ether dst {vm_mac(n)} vlan 0 m 0xf000 action {n}") == ""
    assert [h.state(n) for n in VM_QUEUES] == ["running"] * len(VM_QUEUES)
    check_routed(h, {n: (vm_mac(n), (h.dev, n)) for n in VM_QUEUES}, count(2000))


def test_default_queue_idle(host, count):
    """While frames reach a VM with a queue, neither the vswitch looks anything up nor queue 0 counts."""
    h, frames = host, count(10000)
    h.port("vm1", A)
    h.port("vm2", B)
    n = h.port_queue("vm1")
    with h.taps("vm1", "vm2", h.dev) as t:
        lookups = h.port_file("vm1", "lookups")
        counters, interrupts = h.counters(), h.interrupts()
        h.send_all(t, A, frames)
        t.wait(frames)
        moved, after = delta(counters, h.counters()), h.interrupts()
        assert h.port_file("vm1", "lookups") == lookups, "the vswitch looked frames up"
    assert describe_stream(list(range(frames)), t.serials("vm1")) is None
    assert len(t.frames) == frames
    zero = {k: v for k, v in moved.items() if re.match(r"rx_queue_0_", k)}
    say(f"{frames} frames on queue {n}; lookups stay {lookups}; queue 0: {zero}")
    assert not zero and interrupts[0] == after[0]
    # Both counters do move when they have a reason to.
    h.send("52:54:00:00:17:77", range(10))
    wait_for("unknown frames are looked up", lambda: int(h.port_file("vm1", "lookups")) >= int(lookups) + 10)


def test_pin_moves_live(host):
    """rx-N/vmq/cpu moves a queue's interrupt at once, under traffic, and moves no other queue."""
    h = host
    h.port("vm1", A)
    h.port("vm2", B)
    n, other = h.port_queue("vm1"), h.port_queue("vm2")
    h.pin(other, 3)
    first = 0
    with h.taps("vm1") as t:
        for cpu in (1, 2, 3, 0, 2):
            # Traffic is on its way while the pin moves.
            h.send(A, range(first, first + 64))
            h.pin(n, cpu)
            t.wait(first + 64)
            before = h.interrupts()
            h.send(A, range(first + 64, first + 128))
            first += 128
            t.wait(first)
            raised = check_vectors(before, h.interrupts(), n, cpu)
            say(f"pinned to CPU {cpu}: {raised} interrupts there, none elsewhere")
        assert h.read(h.rxq(other, "cpu_effective")) == "3"
    assert describe_stream(list(range(first)), t.serials("vm1")) is None
    h.must([h.rxq(n, "cpu"), "auto"])


def test_affinity_is_strict(host):
    """Nobody outside the driver moves a pinned queue's interrupt."""
    h = host
    h.port("vm1", A)
    n = h.port_queue("vm1")
    h.pin(n, 2)
    irq = h.read(h.rxq(n, "irq"))
    for file, text in (("smp_affinity", "2"), ("smp_affinity_list", "3")):
        r = h.g.run(f"echo {text} >/proc/irq/{irq}/{file}", check=False)
        say(f"echo {text} >/proc/irq/{irq}/{file}: {r.stderr.strip().rpartition(': ')[2]}")
        assert r.rc, "moved by hand"
    assert h.read(h.rxq(n, "cpu_effective")) == "2"
    assert h.g.out(f"cat /proc/irq/{irq}/effective_affinity_list") == "2"
    assert h.read(h.rxq(n, "cpu_policy")) == "strict"


def parse_trace(text):
    """[(CPU, begin, end, {napi: work})] of every receive softirq that polled."""
    spans, open_at = [], {}
    line_re = re.compile(r"\[(\d+)\].*? (\d+\.\d+): (\w+): (.*)")
    for line in text.splitlines():
        m = line_re.search(line)
        if not m:
            continue
        cpu, when, event, rest = int(m[1]), float(m[2]), m[3], m[4]
        if event == "softirq_entry":
            open_at[cpu] = (when, {})
        elif event == "softirq_exit" and cpu in open_at:
            began, polls = open_at.pop(cpu)
            if polls:
                spans.append((cpu, began, when, polls))
        elif event == "napi_poll" and cpu in open_at:
            p = re.search(r"napi struct (?:0x)?(\w+) for device (\S+) work (\d+)", rest)
            if p and p[2] and int(p[3]):
                open_at[cpu][1][p[1]] = open_at[cpu][1].get(p[1], 0) + int(p[3])
    return spans


def overlaps(spans):
    """Pairs of spans that overlap in time, on different CPUs, for different NAPIs."""
    found = []
    for i, (cpu, began, ended, polls) in enumerate(spans):
        for cpu2, began2, ended2, polls2 in spans[i + 1 :]:
            if began2 >= ended:
                break
            if cpu2 != cpu and not polls.keys() & polls2.keys():
                found.append((cpu, cpu2, min(ended, ended2) - began2))
    return found


def test_polls_overlap(host):
    """A trace shows polls of two VMs' queues overlapping in time on two CPUs."""
    h = host
    h.port("vm1", A)
    h.port("vm2", B)
    cpus = {}
    for name, cpu in (("vm1", 1), ("vm2", 2)):
        h.pin(h.port_queue(name), cpu)
        cpus[cpu] = int(h.read(h.rxq(h.port_queue(name), "irq")))
    h.g.run(
        f"cd {TRACING} && echo 0 >tracing_on && echo mono >trace_clock && echo 8192 >buffer_size_kb && echo >trace &&"
        " echo 'vec == 3' >events/irq/softirq_entry/filter && echo 'vec == 3' >events/irq/softirq_exit/filter &&"
        f" echo 'irq == {cpus[1]} || irq == {cpus[2]}' >events/irq/irq_handler_entry/filter &&"
        f" echo 'dev_name == \"{h.dev}\"' >events/napi/napi_poll/filter;"
        " for e in irq/softirq_entry irq/softirq_exit irq/irq_handler_entry napi/napi_poll;"
        " do echo 1 >events/$e/enable || exit; done"
    )
    found, first = [], 0
    try:
        for _ in range(10):
            h.g.run(f"echo >{TRACING}/trace; echo 1 >{TRACING}/tracing_on")
            for _ in range(40):
                # Both VMs in one burst: their interrupts come at the same moment.
                for serial in range(first, first + 16):
                    h.send(A, [serial])
                    h.send(B, [serial])
                first += 16
                time.sleep(0.002)
            text = h.g.out(f"echo 0 >{TRACING}/tracing_on; cat {TRACING}/trace")
            handled = re.findall(r"\[(\d+)\].*irq_handler_entry: irq=(\d+)", text)
            assert {(int(c), int(i)) for c, i in handled} == set(cpus.items()), "an interrupt on a wrong CPU"
            spans = sorted(parse_trace(text), key=lambda s: s[1])
            found = [f for f in overlaps(spans) if {f[0], f[1]} == set(cpus)]
            if found:
                break
    finally:
        h.g.run(
            f"cd {TRACING}; for e in irq/softirq_entry irq/softirq_exit irq/irq_handler_entry napi/napi_poll;"
            " do echo 0 >events/$e/enable; echo 0 >events/$e/filter; done; echo >trace; echo 1 >tracing_on",
            check=False,
        )
    say(f"{len(spans)} polls, {len(found)} overlaps on CPUs 1 and 2, the longest {max(f[2] for f in found) * 1e6:.0f} us"
        if found else f"{len(spans)} polls, none overlap")
    assert found
