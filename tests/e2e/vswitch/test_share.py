# SPDX-License-Identifier: GPL-2.0-only
"""The uplink divided among its ports by weight: how much, in which order, and when not."""

import json

import pytest

from tests.e2e.link.lib import OUTSIDE, say, spawn_tool, tool, vm_mac, wait_for
from tests.e2e.link.test_namespace import users_namespace
from tests.e2e.vswitch.test_guards import TOOL, check_made_again, dropped, port_path, put, spawn_flood, without_queues
from tests.vm import topology
from tests.vm.wire import parse

A, B = vm_mac(1), vm_mac(2)
# What a frame takes on the wire besides itself.
WIRE = 24


@pytest.fixture
def divided(host):
    yield host
    undivided(host)


@pytest.fixture
def divided_small(small_host):
    yield small_host
    undivided(small_host)


@pytest.fixture
def divided_hub(hub):
    yield hub
    undivided(hub)


def undivided(h):
    if h.g.alive and not h.g.failed:
        h.put(f"{h.vmq}/tx_max_mbps", "0")


def share(h, name):
    """Kilobit/s, or None while the uplink is not divided."""
    text = h.port_file(name, "tx_share_kbps")
    return None if text == "none" else int(text)


def shares_of(parts, each):
    """Megabit/s of each port on the wire, of all half seconds together."""
    return [sum(n[i] for n, _ in parts) * each / sum(t for _, t in parts) for i in range(len(parts[0][0]))]


def is_full(parts, each, mbps):
    """In all half seconds together, or in one: a guest that is off its CPUs for longer than a bucket is deep sends less."""
    return max(sum(shares_of(some, each)) for some in (parts, *([part] for part in parts))) >= 0.95 * mbps


def is_divided(phases, each, mbps):
    """By weights of 2:1 within 10 %, all of it within 5 %; the second gets all while the first stops."""
    both, alone, again = (shares_of(parts, each) for parts in phases)
    return (
        all(is_full(parts, each, mbps) for parts in phases)
        and all(1.8 <= one / two <= 2.2 for one, two in (both, again)) and alone[0] < 0.01 * mbps
    )


@pytest.mark.scenario("A38")
def test_two_to_one(divided_hub):
    """On a full uplink a port with a queue and one without get 2:1 of it within 10 %, all of it within 5 %, by the
    receiver's count; when one stops the other has all, and when it is back its share."""
    h, g, mbps, size = divided_hub, divided_hub.g, 20, 1514
    each = (size + WIRE) * 8 / 1e6
    h.ports([A, B])
    put(h, "vm2", queue_weight=0)
    assert h.port_queue("vm1") is not None and h.port_queue("vm2") is None
    put(h, "vm1", tx_weight=200)
    h.must([f"{h.vmq}/tx_max_mbps", str(mbps)])
    # Each has a receiver with a counter of its own.
    g.run("modprobe macvlan; ip netns exec peer ethtool -K peer0 gro off; " + "".join(
        f"ip -n peer link add link peer0 name mv{n} address 52:54:00:00:55:0{n} type macvlan && "
        f"ip -n peer link set mv{n} up || exit; " for n in (1, 2)))
    inside = g.spawn("exec ip netns exec peer sleep 1000")
    try:
        wait_for("the counters can be read", lambda: "mv2" in h.read(f"/proc/{inside.pid}/net/dev"), 30)
        for _ in range(3):
            job = g.tool(TOOL, "shares", inside.pid, 8, size, 8, "vm1", "52:54:00:00:55:01", A, "mv1",
                         "vm2", "52:54:00:00:55:02", B, "mv2")
            assert job.wait(180) == 0, job.stderr
            phases = json.loads(job.stdout)
            means = [shares_of(parts, each) for parts in phases]
            say(f"{mbps} Mb/s 2:1, then the second alone, then both: "
                f"{'; '.join(' and '.join(f'{x:.2f}' for x in mean) for mean in means)}")
            assert all(sum(mean) <= 1.05 * mbps for mean in means)
            if is_divided(phases, each, mbps):
                break
        else:
            raise AssertionError("the shares are not 2:1 of all")
    finally:
        inside.stop(9)
        g.run("ip -n peer link del mv1; ip -n peer link del mv2; ip netns exec peer ethtool -K peer0 gro on", check=False)
    assert all(h.port_counters(name)["tx_share_dropped"] for name in ("vm1", "vm2"))


def test_on_and_off(divided):
    """The uplink is divided while there is something to divide by, by the capacity that there is, and not otherwise."""
    h = divided
    h.ports([A, B])
    most = f"{h.vmq}/tx_max_mbps"
    assert (h.read(most), h.port_file("vm1", "tx_weight"), share(h, "vm1")) == ("0", "100", None)

    def settles(one, two):
        """What they are due, while both are quiet."""
        want = [None if due is None else pytest.approx(due, rel=0.03) for due in (one, two)]
        wait_for(f"the shares are {one} and {two}", lambda: [share(h, "vm1"), share(h, "vm2")] == want, 30)

    # Of the link: 1000 Mb/s, less one in a hundred.
    put(h, "vm1", tx_weight=300)
    settles(742500, 247500)
    h.must([most, "40"])
    settles(30000, 10000)
    put(h, "vm1", tx_weight=100)
    settles(20000, 20000)
    h.must([most, "10000"])
    settles(495000, 495000)
    # Without a link there is nothing to divide.
    h.out(f"ip link set {h.dev} down")
    settles(None, None)
    h.up()
    settles(495000, 495000)
    # A port that comes has its share, of one that goes the others have it.
    h.port("vm3", vm_mac(3))
    settles(330000, 330000)
    put(h, "vm3", tx_weight=10000)
    h.delete("vm3")
    settles(495000, 495000)
    h.must([most, "0"])
    settles(None, None)
    put(h, "vm2", tx_weight=1)
    settles(980198, 9802)
    # With the last port that differs.
    h.delete("vm2")
    wait_for("nothing is divided", lambda: share(h, "vm1") is None, 10)
    h.must([most, "7"])
    h.delete("vm1")
    h.port("vm1", A)
    wait_for("the wire's limit is kept", lambda: share(h, "vm1") == pytest.approx(7000, rel=0.03), 10)
    topology.unload(h.g, "vmq_vswitch")
    topology.load(h.g)
    assert h.read(most) == "0"


def test_share_refused(divided):
    """What is not a weight, nor what a wire carries, is refused and changes nothing; a container's root may not ask."""
    h = divided
    h.ports([A, B])
    put(h, "vm1", tx_weight=7)
    h.must([f"{h.vmq}/tx_max_mbps", "8"])
    wrong = [[port_path("vm1", "tx_weight"), text] for text in ("0", "10001", "-1", "x", "1.5", "\n")]
    wrong += [[f"{h.vmq}/tx_max_mbps", text] for text in ("10001", "-1", "fast", "1 2", "\n")]
    with h.unchanged():
        for item, (error, said) in zip(wrong, h.write(wrong), strict=True):
            assert error == "EINVAL" and item[0].rpartition("/")[2] in said, (item, error, said)
    with users_namespace(h.g, "tenant") as enter:
        h.g.run("ip link set vm1 netns tenant")
        out = h.g.out(f"{enter} bash -c 'mount -t sysfs none /mnt && cd /mnt/class/net/vm1/vmq && cat tx_weight && "
                      "cat tx_share_kbps 2>&1; chmod u+w tx_weight; echo 9 >tx_weight && echo WRITTEN; cat tx_weight' 2>&1")
        say(out)
        assert "tx_share_kbps: Operation not permitted" in out
        assert "WRITTEN" not in out and out.splitlines()[-1] == "7"
        # It is divided there as before.
        assert 0 < int(h.g.out("ip netns exec tenant cat /sys/class/net/vm1/vmq/tx_share_kbps")) < 8000


def test_share_keeps_order(divided):
    """Numbered frames come in order through a share that changes under way with weights, queues and link; what does
    not go to the wire is not held back."""
    h, many, step = divided, 3000, 60
    h.ports([A, B])
    most = f"{h.vmq}/tx_max_mbps"
    # Some 120 frames a second, of 500 that are sent.
    h.must([most, "1"])
    before, other = h.port_counters("vm1"), h.port_counters("vm2")
    h.wire.clear()
    with h.wire.capture(lambda f: parse(f).src == A and parse(f).serial is not None) as out:
        job = spawn_tool(h.g, "send", interface="vm1", burst=4, gap=0.008,
                         frames=[{"dst": OUTSIDE, "src": A, "serial": 0, "count": many, "size": 1000}])
        assert h.wire.wait_captured(out, step, 60)
        # To another port, of frames that are 40 times what the wire takes meanwhile.
        with h.taps("vm1") as t:
            tool(h.g, "send", interface="vm2", burst=50, gap=0.01,
                 frames=[{"dst": A, "src": B, "serial": 0, "count": 500, "size": 1000}])
            t.wait(500)
        assert t.serials("vm1") == list(range(500)) and not dropped(h, "vm2", other)
        without_queues(h)
        put(h, "vm2", tx_weight=300)
        assert h.wire.wait_captured(out, len(out) + step, 60)
        put(h, "vm2", tx_weight=100)
        # What waits goes before what comes when there is no share any more.
        h.must([most, "0"])
        h.must([most, "2"])
        h.must([f"{h.vmq}/enabled", "1"])
        wait_for("the port has a queue", lambda: h.port_queue("vm1"))
        assert h.wire.wait_captured(out, len(out) + step, 60)
        under = len(out)
        h.must([most, "0"])
        assert share(h, "vm1") is None
        assert job.wait(120) == 0, job.stderr
        lost = dropped(h, "vm1", before)
        assert h.wire.wait_captured(out, many - lost.get("tx_share_dropped", 0), 30)
    came = [parse(f).serial for f in out]
    say(f"{len(came)} of {many} came, {under} of them through a share; {lost}")
    assert came == sorted(set(came)), "out of order, or twice"
    assert len(came) + lost["tx_share_dropped"] == many
    assert lost["tx_dropped"] == lost["tx_share_dropped"] > 0


@pytest.mark.kernel("debug")
def test_share_ends(divided_small):
    """Frames wait for their share when the port is closed, deleted, or the driver goes: nothing is left of them."""
    h = divided_small
    h.ports([A, B])
    h.must([f"{h.vmq}/tx_max_mbps", "1"])
    put(h, "vm1", tx_max_mbps=4)
    job = spawn_flood(h)
    try:
        wait_for("frames wait in both queues", lambda: {"tx_rate_dropped", "tx_share_dropped"} <= {
            name for name, n in h.port_counters("vm1").items() if n}, 60)
        h.g.run("for i in 1 2 3; do ip link set vm1 down; ip link set vm1 up; done")
        h.down_and_up()
        h.delete("vm1")
    finally:
        job.stop(9)
    check_made_again(h)
    spawn_flood(h)
    topology.unload(h.g, "vmq_vswitch")
    topology.load(h.g)
