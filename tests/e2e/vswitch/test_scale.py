# SPDX-License-Identifier: GPL-2.0-only
"""Many ports and many addresses: what one costs does not grow with their number. In guest instructions."""

import json
import os
import re
import time

from tests.bench.cost import MACHINE, RX_USECS
from tests.bench.counter import KERNEL, Counter, plugin
from tests.e2e.link.lib import BROADCAST, OUTSIDE, Host, load, say, wait_for
from tests.report import FULL
from tests.vm import topology
from tests.vm.wire import eth

CPU = 1
# Of several rounds the cheapest counts: what else a CPU has to do only adds to it.
BURST, BURSTS, ROUNDS = 128, 4, 4
# What creating and deleting ports, in instructions, may cost against macvlans, and a
# frame with a large table against one with a small table.
# The short form runs beside other guests, which changes how many frames a poll finds.
PORTS_LIMIT, TABLE_LIMIT = (1.2, 1.05) if FULL else (1.3, 1.15)
TOOL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "vmtool.py")
OURS = ("vmq", "vmq_igb", "vmq_vswitch")
# Addresses, and how many are added and deleted to see what one costs.
SMALL, LARGE, STEP = 10, 100000, 200
# A feature that is off is a bit of a word that is looked at anyway.
OFF_LIMIT = 3
# What a port may take of memory more than a macvlan, KiB. Slabs that were there before hide a part of few.
MEMORY_LIMIT = 10 if FULL else 40
# What a change may cost with a large table against one with a small table, and a reset.
CHANGE_LIMIT = 1.3


def mac(kind, n):
    return f"52:54:{kind:02x}:{n >> 16 & 255:02x}:{n >> 8 & 255:02x}:{n & 255:02x}"


def batch(h, program, lines):
    """Many commands by one process."""
    h.g.run(f"{program} -batch -", stdin="".join(f"{line}\n" for line in lines), timeout=900)


def cost_of(h, what):
    """Instructions of all CPUs, and seconds, that it takes until all is quiet again."""
    for cpu in (0, CPU):
        h.counter.settle(cpu)
    began = time.monotonic()
    what()
    took = time.monotonic() - began
    return sum(h.counter.settle(cpu).total() for cpu in (0, CPU)), took


def links(h, kind, n):
    return [f"link add link {h.dev} name x{i} address {mac(0xaa, i)} group 7 type {kind}" for i in range(n)]


def life_of(h, kind, n):
    """Cost of making n interfaces of this kind, and of deleting them in one request."""
    lines = links(h, kind, n)
    made, gone = [], []
    for _ in range(ROUNDS):
        made.append(cost_of(h, lambda: batch(h, "ip", lines)))
        gone.append(cost_of(h, lambda: h.g.run("ip link del group 7", timeout=900)))
    return min(made), min(gone)


def check_life(h, n):
    """Ports are made and deleted about as cheaply as macvlans."""
    macvlan, port = life_of(h, "macvlan mode bridge", n), life_of(h, "vmq", n)
    for what, theirs, ours in zip(("made", "deleted"), macvlan, port, strict=True):
        say(f"{n} {what}: ports {ours[0] / n / 1000:.0f} thousand instructions each, {ours[1]:.1f} s;"
            f" macvlans {theirs[0] / n / 1000:.0f}, {theirs[1]:.1f} s; ratio {ours[0] / theirs[0]:.2f}")
    ratio = sum(cost for cost, _ in port) / sum(cost for cost, _ in macvlan)
    say(f"{n} made and deleted: ratio {ratio:.2f}")
    assert round(ratio, 2) <= PORTS_LIMIT
    assert "vmq" not in h.out("ip -o -d link show group 7; true")


def per_frame(h, *frames):
    """Instructions of queue 0's CPU a frame; of several in turn."""
    received, rounds = h.rxq(0, "rx_packets"), []
    for _ in range(ROUNDS):
        before = int(h.read(received))
        h.counter.settle(CPU)
        for burst in range(1, BURSTS + 1):
            for n in range(BURST):
                h.wire.send(frames[n % len(frames)])
            h.g.await_file(received, str(before + burst * BURST))
        rounds.append(h.counter.settle(CPU).total() / (BURST * BURSTS))
    return min(rounds)


def fdb(h, what, first, last):
    """By one process that waits for no answer, and gets none unless something is refused."""
    job = h.g.tool(TOOL, "fdb", what, "vm1", mac(0xbb, first), last - first)
    assert job.wait(900) == 0, job.stderr
    assert json.loads(job.stdout) == []


def ours_of(h, what):
    """Instructions of our modules, where processes run, that it takes."""
    h.counter.settle(0)
    what()
    return sum(n for (_, module), n in h.counter.settle(0).insns.items() if module in OURS)


def change_costs(h, last):
    """{what: instructions of ours for one} with the addresses up to this one in the table."""

    def reopen():
        h.g.run(f"ip link set {h.dev} down && ip link set {h.dev} up")

    costs = {
        "address added": ours_of(h, lambda: fdb(h, "add", last, last + STEP)) / STEP,
        "address deleted": ours_of(h, lambda: fdb(h, "del", last, last + STEP)) / STEP,
        "reset": ours_of(h, reopen),
    }
    wait_for("the uplink is back", lambda: h.read(f"/sys/class/net/{h.dev}/carrier") == "1")
    return costs


def check_lists(h, many):
    """What shows filters and addresses shows all of them, or says how many more there are."""
    *shown, rest = h.read(h.rxq(0, "filters")).splitlines()
    assert shown and len(shown) + int(re.fullmatch(r"[.]{3} (\d+) more", rest)[1]) == many + 1
    out = h.out(f"bridge fdb show dev vm1 | sort -u | wc -l; ethtool -n {h.dev} >/tmp/rules;"
                " grep ^Total /tmp/rules; grep -c ^Filter: /tmp/rules")
    assert out.split() == [str(many + 1), "Total", str(many + 1), "rules", str(many + 1)]


def check_table(h, many):
    """What a frame or a change costs is the same with 10 addresses in the table and with very many."""
    h.port("vm1", mac(0xaa, 0))
    # One address may share its place in the table with several others, by chance.
    frames = {what: [eth(mac(kind, n), OUTSIDE, serial=1) for n in range(number)]
              for what, kind, number in (("unknown", 0xcc, BURST), ("of the port", 0xbb, SMALL))}
    fdb(h, "add", 0, SMALL)
    small = {what: per_frame(h, *some) for what, some in frames.items()}
    changes = change_costs(h, SMALL)
    began = time.monotonic()
    fdb(h, "add", SMALL, many)
    say(f"{many - SMALL} addresses added in {time.monotonic() - began:.1f} s")
    for what, some in frames.items():
        large = per_frame(h, *some)
        say(f"a frame {what}: {small[what]:.0f} instructions with {SMALL} addresses, {large:.0f} with {many}:"
            f" {large / small[what]:.3f}")
        assert large / small[what] <= TABLE_LIMIT
    for what, cost in change_costs(h, many).items():
        say(f"{what}: {changes[what]:.0f} instructions of ours, {cost:.0f} with {many}: {cost / changes[what]:.2f}")
        assert cost / changes[what] <= CHANGE_LIMIT
    check_lists(h, many)
    # The last one is not for show.
    received = "/sys/class/net/vm1/statistics/rx_packets"
    before = int(h.read(received))
    h.wire.send(eth(mac(0xbb, many - 1), OUTSIDE, serial=1))
    h.g.await_file(received, str(before + 1))
    began = time.monotonic()
    h.delete("vm1")
    say(f"a port of {many} addresses deleted in {time.monotonic() - began:.1f} s")
    assert h.read(h.rxq(0, "filters")) == ""


def memory(h):
    """Kernel memory in bytes, by kind, as the kernel counts it."""
    text = h.out("echo 3 >/proc/sys/vm/drop_caches; cat /proc/meminfo")
    found = {line.split()[0][:-1]: int(line.split()[1]) * 1024 for line in text.splitlines()}
    return {kind: found[kind] for kind in ("SUnreclaim", "Percpu", "VmallocUsed")}


def check_memory(h, n):
    """A port needs little more memory than a macvlan."""
    sizes = {}
    for kind in ("macvlan mode bridge", "vmq"):
        before = memory(h)
        batch(h, "ip", links(h, kind, n))
        sizes[kind] = {k: (size - before[k]) / n / 1024 for k, size in memory(h).items()}
        h.g.run("ip link del group 7", timeout=900)
        say(f"memory of one {kind.split()[0]} of {n}, KiB: "
            + ", ".join(f"{k} {size:.1f}" for k, size in sizes[kind].items()))
    ours, theirs = (sum(sizes[kind].values()) for kind in ("vmq", "macvlan mode bridge"))
    assert ours <= theirs + MEMORY_LIMIT


def check_broadcast(h, most):
    """What a copy of a broadcast costs does not grow with the number of ports."""
    frame = eth(BROADCAST, OUTSIDE, serial=1)
    costs, made = {0: per_frame(h, frame)}, 0
    for ports in (1, 8, most):
        batch(h, "ip", [f"link add link {h.dev} name x{i} address {mac(0xaa, i)} group 7 up type vmq"
                        for i in range(made, ports)])
        wait_for("the last one has carrier", lambda n=ports: h.read(f"/sys/class/net/x{n - 1}/carrier") == "1")
        made = ports
        costs[ports] = per_frame(h, frame)
    a_copy = {n: (cost - costs[0]) / n for n, cost in costs.items() if n}
    say("instructions a copy: " + ", ".join(f"{cost:.0f} with {n} ports" for n, cost in a_copy.items()))
    assert a_copy[made] <= TABLE_LIMIT * a_copy[8]


def test_numbers(boot, count):
    """A thousand ports, a thousand addresses, broadcast to all: what one costs does not grow with their number."""
    # On the debug kernel it is not the driver that costs.
    g = boot(**{**MACHINE, "name": "scale", "mem": 2048}, kernel="stock", plugin=plugin())
    topology.reserve(g, 0)
    load(g)
    h, ports = Host(g), count(1000)
    h.out(f"ethtool -K {h.dev} gro off; ethtool -C {h.dev} rx-usecs {RX_USECS}")
    h.pin(0, CPU)
    # So that no port holds a queue: a macvlan has none either, and a frame is looked up.
    h.must([f"{h.vmq}/enabled", "0"])
    h.counter = Counter(g)
    check_table(h, count(LARGE))
    check_life(h, ports)
    check_memory(h, ports)
    check_broadcast(h, ports)
    h.counter.close()


# Every feature that looks at what a port sends, and what it may cost one frame.
FEATURES = {
    "spoof_check": ("1", 150),
    "dhcp_guard": ("1", 300),
    "router_guard": ("1", 300),
    "storm_pps": ("1000000", 400),
    "tx_max_mbps": ("10000", 900),
    "mirror_to": ("vm3", 6000),
}
OFF = {"mirror_to": "\n"}
SENT = 400


def send_cost(h, frame):
    """Instructions that a frame from vm1 takes: of the kernel, in functions that are called for each, and of the
    vswitch alone. What the NIC does with a frame for the wire is not the same each time."""
    rounds = []
    for _ in range(ROUNDS):
        h.counter.settle(CPU)
        job = h.g.tool(TOOL, "send", "vm1", CPU, SENT, frame.hex())
        assert job.wait(300) == 0, job.stderr
        work = h.counter.settle(CPU)
        kept = {name: n / SENT for name, n in work.insns.items()
                if name != ("user", KERNEL) and work.calls[name] >= SENT * 0.9}
        rounds.append((sum(kept.values()), sum(n for (_, module), n in kept.items() if module == "vmq_vswitch")))
    return [min(numbers) for numbers in zip(*rounds, strict=True)]


def test_features(boot):
    """What each guard, limit and the mirror costs a frame that a port sends; off, it costs nothing."""
    g = boot(**{**MACHINE, "name": "features"}, kernel="stock", plugin=plugin())
    topology.reserve(g, 0)
    load(g)
    h = Host(g)
    h.pin(0, CPU)
    h.must([f"{h.vmq}/enabled", "0"])
    names = h.ports([mac(0xaa, n) for n in range(3)])
    group = eth("01:00:5e:01:02:03", mac(0xaa, 0), serial=1)
    frames = {name: group if name == "storm_pps" else eth(mac(0xaa, 1), mac(0xaa, 0), serial=1) for name in FEATURES}
    h.counter = Counter(g)
    h.must([f"/sys/class/net/{names[0]}/vmq/spoof_check", "0"])
    for name, (value, limit) in FEATURES.items():
        path = f"/sys/class/net/{names[0]}/vmq/{name}"
        before, own_before = send_cost(h, frames[name])
        h.must([path, value])
        on, own_on = send_cost(h, frames[name])
        h.must([path, OFF.get(name, "0")])
        off, own_off = send_cost(h, frames[name])
        say(f"{name}: {before:.0f} instructions a frame without, {on - before:+.0f} with, {off - before:+.0f} off"
            f" again; of the vswitch {own_before:.0f}, {own_on - own_before:+.0f}, {own_off - own_before:+.0f}")
        assert abs(own_off - own_before) <= OFF_LIMIT and own_on > own_before and on - before <= limit, name
    h.counter.close()
