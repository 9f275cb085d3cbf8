# SPDX-License-Identifier: GPL-2.0-only
"""Many ports and many addresses: what one costs does not grow with their number. In guest instructions."""

import time

from tests.bench.cost import MACHINE, RX_USECS
from tests.bench.counter import Counter, plugin
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
# Addresses; an uplink has 1023 filter ids.
SMALL, FILTERS = 10, 1000


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


def life_of(h, kind, n):
    """Cost of making n interfaces of this kind, and of deleting them in one request."""
    lines = [f"link add link {h.dev} name x{i} address {mac(0xaa, i)} group 7 type {kind}" for i in range(n)]
    made, gone = [], []
    for _ in range(ROUNDS):
        made.append(cost_of(h, lambda: batch(h, "ip", lines)))
        gone.append(cost_of(h, lambda: h.g.run("ip link del group 7", timeout=900)))
    return min(made), min(gone)


def check_life(h, n):
    """Ports are made and deleted about as cheaply as macvlans."""
    macvlan, port = life_of(h, "macvlan mode bridge", n), life_of(h, "vmq", n)
    for what, theirs, ours in zip(("made", "deleted"), macvlan, port, strict=True):
        ratio = ours[0] / theirs[0]
        say(f"{n} {what}: ports {ours[0] / n / 1000:.0f} thousand instructions each, {ours[1]:.1f} s;"
            f" macvlans {theirs[0] / n / 1000:.0f}, {theirs[1]:.1f} s; ratio {ratio:.2f}")
        assert ratio <= PORTS_LIMIT
    assert "vmq" not in h.out("ip -o -d link show group 7; true")


def per_frame(h, frame):
    """Instructions of queue 0's CPU a frame."""
    received, rounds = h.rxq(0, "rx_packets"), []
    for _ in range(ROUNDS):
        before = int(h.read(received))
        h.counter.settle(CPU)
        for burst in range(1, BURSTS + 1):
            for _ in range(BURST):
                h.wire.send(frame)
            h.g.await_file(received, str(before + burst * BURST))
        rounds.append(h.counter.settle(CPU).total() / (BURST * BURSTS))
    return min(rounds)


def fill(h, first, last):
    batch(h, "bridge", [f"fdb add {mac(0xbb, i)} dev vm1 self" for i in range(first, last)])


def check_table(h, many):
    """A frame that the switch looks up costs the same with 10 addresses in its table and with all that it takes."""
    h.port("vm1", mac(0xaa, 0))
    frames = {"unknown": eth(mac(0xcc, 0), OUTSIDE, serial=1), "of the port": eth(mac(0xbb, 1), OUTSIDE, serial=1)}
    fill(h, 0, SMALL)
    small = {what: per_frame(h, frame) for what, frame in frames.items()}
    began = time.monotonic()
    fill(h, SMALL, many)
    say(f"{many - SMALL} addresses added in {time.monotonic() - began:.0f} s")
    for what, frame in frames.items():
        large = per_frame(h, frame)
        say(f"a frame {what}: {small[what]:.0f} instructions with {SMALL} addresses, {large:.0f} with {many}:"
            f" {large / small[what]:.3f}")
        assert large / small[what] <= TABLE_LIMIT
    h.delete("vm1")


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
    check_life(h, ports)
    check_table(h, FILTERS)
    check_broadcast(h, ports)
    h.counter.close()
