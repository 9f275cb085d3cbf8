# SPDX-License-Identifier: GPL-2.0-only
"""Mirroring: a port gets a copy of all that another one sends and receives."""

from tests.e2e.link.lib import BROADCAST, OUTSIDE, Stream, Watch, delta, describe_stream, say, vm_mac, wait_for
from tests.e2e.link.test_traffic import check_pings, configure, served, transfer, vm_in_netns
from tests.e2e.vswitch.test_forwarding import send_from
from tests.e2e.vswitch.test_guards import both, port_path, put

A, B, C = vm_mac(1), vm_mac(2), vm_mac(3)
FOREIGN = "52:54:00:00:66:01"
N = 20


def numbers(n):
    return list(range(n * 100, n * 100 + N))


def copies(h, name="vm3"):
    return int(h.port_file(name, "rx_mirror_packets"))


def traffic(h):
    """All that vm1 sends and receives; {first serial: (destination, source, VLAN)} of what it should."""
    h.send(A, numbers(0))
    h.send(A, numbers(1), vlan=7)
    h.send(BROADCAST, numbers(2))
    cases = [("vm2", A, B), ("vm1", B, A), ("vm1", OUTSIDE, A), ("vm1", h.mac, A), (h.dev, A, h.mac), ("vm1", BROADCAST, A)]
    for n, (sender, dst, src) in enumerate(cases, 3):
        send_from(h, sender, dst, src, numbers(n))
    send_from(h, "vm1", OUTSIDE, FOREIGN, numbers(9))
    # Of others alone.
    send_from(h, "vm2", OUTSIDE, B, numbers(10))
    h.send(B, numbers(11))
    wanted = {0: (A, OUTSIDE, None), 1: (A, OUTSIDE, 7), 2: (BROADCAST, OUTSIDE, None)}
    return wanted | {n: (dst, src, None) for n, (_, dst, src) in enumerate(cases, 3)}


def test_all_frames(host):
    """Copies of every frame, of its queue, the switch and the wire, as they were; as many as the port's own count."""
    h = host
    h.ports([A, B, C])
    h.g.run(f"bridge fdb add {A} vlan 7 dev vm1 self")
    put(h, "vm1", mirror_to="vm3")
    assert h.port_file("vm1", "mirror_to") == "vm3"
    for what in both(h):
        before, had = h.port_counters("vm1"), copies(h)
        with h.taps("vm3") as t:
            wanted = traffic(h)
            # Two kinds of broadcast reach vm3 by themselves, too.
            t.wait((len(wanted) + 2) * N)
        moved = delta(before, h.port_counters("vm1"))
        say(f"{what}: {copies(h) - had} copies, {moved['tx_packets']} sent, {moved['rx_packets']} received")
        assert copies(h) - had == moved["tx_packets"] + moved["rx_packets"] == len(wanted) * N
        assert bool(moved.get("rx_queue_packets")) == (what == "with a queue")
        for n, (dst, src, vlan) in wanted.items():
            found = [f for f in t.at("vm3") if f.serial in numbers(n)]
            assert [f.serial for f in found] == sorted(numbers(n) * (2 if dst == BROADCAST else 1)), n
            assert {(f.dst, f.src, f.vlan, f.tagged) for f in found} == {(dst, src, vlan, False)}
        assert len(t.frames) == (len(wanted) + 2) * N
    put(h, "vm1", mirror_to="\n")
    had = copies(h)
    with h.taps("vm3", "vm1") as t:
        h.send(A, numbers(0))
        send_from(h, "vm1", OUTSIDE, A, numbers(1))
        t.wait(N)
    assert t.serials("vm1") == numbers(0) and not t.serials("vm3") and copies(h) == had


def test_refused_mirrors(host):
    """No loops and no chains, no strange ports; a refusal changes nothing. Two ports may share a mirror."""
    h = host
    h.ports([A, B, C])
    put(h, "vm1", mirror_to="vm2")
    wrong = [("vm2", "vm3", "EBUSY"), ("vm3", "vm1", "EBUSY"), ("vm2", "vm1", "EBUSY"), ("vm3", "vm3", "EINVAL"),
             ("vm1", "vm9", "ENOENT"), ("vm1", h.dev, "ENOENT"), ("vm1", "a" * 20, "ENOENT"), ("vm1", "vm2 vm3", "ENOENT")]
    with h.unchanged():
        for name, to, error in wrong:
            assert h.put(port_path(name, "mirror_to"), to) == error, (name, to)
    put(h, "vm3", mirror_to="vm2")
    with h.taps("vm2") as t:
        h.send(A, numbers(0))
        h.send(C, numbers(1))
        t.wait(2 * N)
    assert sorted(t.serials("vm2")) == numbers(0) + numbers(1)
    # When the last one has let go, it may be mirrored itself.
    h.delete("vm1")
    assert h.put(port_path("vm2", "mirror_to"), "vm3") == "EBUSY"
    put(h, "vm3", mirror_to="\n")
    put(h, "vm2", mirror_to="vm3")
    # One that went elsewhere keeps its copies, under the name it has there.
    h.g.run("ip netns add eye && ip link set vm3 netns eye && ip -n eye link set vm3 name watch && ip -n eye link set watch up")
    assert h.port_file("vm2", "mirror_to") == "watch"
    with h.taps("eye/watch") as t:
        h.send(B, numbers(0))
        t.wait(N)
    assert t.serials("eye/watch") == numbers(0)


def test_mirror_goes(host):
    """The mirror is deleted under traffic: that goes on whole, and the end is announced; one that is down only drops."""
    h = host
    h.ports([A, B, C])
    path = port_path("vm1", "mirror_to")
    put(h, "vm1", mirror_to="vm3")
    with h.taps("vm1") as t, Watch(h, path) as w:
        with Stream(h, t, A, rate=500) as stream:
            stream.wait_sent(200)
            h.g.run("ip link set vm3 down")
            stream.wait_sent(200)
            h.g.run("ip link set vm3 up")
            stream.wait_sent(200)
            assert copies(h)
            h.delete("vm3")
            w.wait_text(path, "")
            stream.wait_sent(200)
            # A new one of the same name is another.
            h.port("vm3", C)
            assert h.port_file("vm1", "mirror_to") == "" and copies(h) == 0
            put(h, "vm1", mirror_to="vm3")
            w.wait_text(path, "vm3")
            stream.wait_sent(200)
            wait_for("copies", lambda: copies(h), 10)
            h.g.run("ip link set vm3 down")
            stream.wait_sent(100)
    assert describe_stream(list(range(stream.sent)), t.serials("vm1")) is None
    assert int(h.read("/sys/class/net/vm3/statistics/rx_dropped")) > 0
    # Both at once, and the source first.
    h.g.run("ip link set vm1 group 7; ip link set vm3 group 7; ip link del group 7")
    assert h.put(port_path("vm2", "mirror_to"), "vm3") == "ENOENT"


def test_offloads(hub):
    """TCP with all offloads through a mirrored port, to the wire and another VM: hashes agree, nothing is copied twice."""
    h = hub
    vm_in_netns(h, "vm1", A, 1, tagged=False)
    vm_in_netns(h, "vm2", B, 3, tagged=False)
    configure(h.g, "peer", "peer0", 2, tagged=False)
    h.port("vm3", C)

    def total():
        text = h.g.out("ip netns exec vm1 bash -c 'grep vm1 /proc/net/dev'").partition(":")[2].split()
        return int(text[1]) + int(text[9])

    first = total()
    h.g.run("nsenter --net=/run/netns/vm1 bash -c 'mount -t sysfs none /mnt && echo vm3 >/mnt/class/net/vm1/vmq/mirror_to;"
            " rc=$?; umount /mnt; exit $rc'")
    second = total()
    check_pings(h.g, "vm1", ["10.1.0.2", "10.1.0.3"])
    with served(h.g, "vm1"):
        transfer(h.g, "peer", ["10.1.0.1"], 4 << 20)
        transfer(h.g, "vm2", ["10.1.0.1"], 4 << 20)
    lost = int(h.read("/sys/class/net/vm3/statistics/rx_dropped"))
    got, last = copies(h), total()
    say(f"{last - second} frames or {second - first} more, {got} copies, {lost} dropped at the mirror")
    # What came while the mirror was set may be in it or not, and while the counts were read.
    assert got >= 1000 and last - second - 10 <= got + lost and got <= last - first
