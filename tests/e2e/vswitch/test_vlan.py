# SPDX-License-Identifier: GPL-2.0-only
"""VLANs of a port: what its VM sends and hears, and how a user tells and sees it."""

import json

import pytest

from tests.e2e.link.lib import BROADCAST, OUTSIDE, Stream, delta, describe_stream, say, spawn_tool, tool, vm_mac, wait_for
from tests.e2e.vswitch.test_forwarding import fence, watching
from tests.vm.wire import eth, parse

A, B, C, D, E = (vm_mac(n) for n in range(1, 6))
FILES = ("vlan_mode", "vlan", "native_vlan", "isolation", "priority_trust")
END = 999999
N = 20


@pytest.fixture(params=["queue", "default"])
def either(request, host):
    """A host whose ports have queues, and one whose ports do without."""
    if request.param == "default":
        host.must([f"{host.vmq}/enabled", "0"])
    return host


def path(name, file):
    return f"/sys/class/net/{name}/vmq/{file}"


def vlan(h, *commands):
    """bridge vlan COMMAND ... self, one after the other."""
    h.g.run("set -e\n" + "\n".join(f"bridge vlan {c} self" for c in commands))


def shown(h, name, option="-compressvlans"):
    """{"7": flags, "10-20": flags} as bridge vlan shows them; None: nothing."""
    text = h.g.out(f"bridge -j {option} vlan show dev {name}")
    for dev in json.loads(text or "[]"):
        return {
            str(v["vlan"]) + (f"-{v['vlanEnd']}" if "vlanEnd" in v else ""): v.get("flags", [])
            for v in dev["vlans"]
        }
    return None


def told(h, name):
    """vlan_mode, vlan, native_vlan, isolation, priority_trust of a port."""
    files = h.files(path(name, "*"))
    return [files[path(name, file)] for file in FILES]


def access(h, *ports):
    """("vm1", A, 7), ...: ports in one VLAN each."""
    h.ports([mac for _, mac, _ in ports])
    h.must(*([path(name, "native_vlan"), str(vid)] for name, _, vid in ports))


def send_from(h, name, src, *frames, count=N):
    """count numbered frames each, in order: (destination, first serial, VID or [VID, PCP] or None)."""
    tool(h.g, "send", interface=name,
         frames=[{"dst": dst, "src": src, "serial": serial, "count": count, "vlan": tag} for dst, serial, tag in frames])


def tags_on_wire(out):
    """{serial: (VID or None, PCP)} of what left, but for the last frame."""
    return {f.serial: (f.vlan, f.pcp) for f in map(parse, out) if f.serial != END}


def spans(*starts, count=N):
    return [s for start in starts for s in range(start, start + count)]


def test_access(either):
    """An access port: its VLAN on the wire, no tag in the VM; all else is neither sent nor heard."""
    h = either
    access(h, ("vm1", A, 7))
    q = h.port_queue("vm1")
    before = h.port_counters("vm1")
    with watching(h, "vm1", h.dev) as (t, out):
        h.send(A, range(N), vlan=7)
        h.send(A, range(100, 100 + N))
        h.send(A, range(200, 200 + N), vlan=8)
        h.send(A, range(300, 300 + N), vlan=(7, 5))
        send_from(h, "vm1", A, (OUTSIDE, 400, None), (OUTSIDE, 500, [0, 5]), (OUTSIDE, 600, 8), (h.mac, 700, None))
        send_from(h, h.dev, h.mac, (A, 800, 7), (A, 900, None))
        t.wait(6 * N)
        fence(h, out, "vm1", A)
    assert sorted(t.serials("vm1")) == spans(0, 300, 800)
    assert {(f.vlan, f.tagged) for f in t.at("vm1")} == {(None, False)}
    assert sorted(t.serials(h.dev)) == spans(100, 200, 700)
    assert {f.vlan for f in t.at(h.dev) if f.serial >= 700} == {7}
    sent = tags_on_wire(out)
    assert sorted(sent) == spans(400, 500, 900)
    assert {sent[s] for s in spans(400)} == {(7, 0)} and {sent[s] for s in spans(500)} == {(7, 5)}
    assert {sent[s] for s in spans(900)} == {(None, 0)}
    moved = delta(before, h.port_counters("vm1"))
    say(f"queue {q}: {moved}")
    assert moved["tx_vlan_dropped"] == moved["tx_dropped"] == N
    assert moved.get("rx_queue_packets", 0) == (2 * N if q else 0) and "rx_dropped" not in moved


def test_trunk(either):
    """A trunk: the allowed VLANs with their tag, the native one without; a pruned one is blocked both ways."""
    h = either
    h.ports([A])
    vlan(h, "add dev vm1 vid 10-12", "add dev vm1 vid 7 pvid untagged", "del dev vm1 vid 11")
    assert told(h, "vm1")[:3] == ["trunk", "7,10,12", "7"]
    h.g.run("ip link add link vm1 name vm1.10 type vlan id 10 && ip link set vm1.10 up")
    before = h.port_counters("vm1")
    with watching(h, "vm1", h.dev) as (t, out):
        for n, tag in enumerate((7, 10, 12, 11, None, 0)):
            h.send(A, range(100 * n, 100 * n + N), vlan=tag)
        send_from(h, "vm1", A, *((OUTSIDE, 100 * n, tag) for n, tag in enumerate((None, 7, 10, 12, 11), 6)))
        # The same with the tag beside the frame.
        send_from(h, "vm1.10", A, (OUTSIDE, 1100, None))
        t.wait(6 * N)
        fence(h, out, "vm1", A)
        h.must([path("vm1", "native_vlan"), "none"])
        send_from(h, "vm1", A, (OUTSIDE, 1200, None))
        send_from(h, "vm1.10", A, (OUTSIDE, 1300, None))
        assert h.wire.wait_captured(out, 6 * N + 1)
    assert {f.serial: f.vlan for f in t.at("vm1")} == {
        s: tag for start, tag in ((0, None), (100, 10), (200, 12)) for s in spans(start)
    }
    assert sorted(t.serials(h.dev)) == spans(300, 400, 500)
    assert {s: v for s, (v, _) in tags_on_wire(out).items()} == {
        s: tag for start, tag in ((600, 7), (700, 7), (800, 10), (900, 12), (1100, 10), (1300, 10)) for s in spans(start)
    }
    assert told(h, "vm1")[:3] == ["trunk", "7,10,12", "none"]
    assert delta(before, h.port_counters("vm1"))["tx_vlan_dropped"] == 2 * N


def test_views(host):
    """What bridge vlan sets sysfs shows, and the other way round; back to plain by either."""
    h = host
    h.ports([A])
    assert told(h, "vm1") == ["plain", "none", "none", "none", "1"] and shown(h, "vm1") is None
    h.g.run(f"bridge fdb add {B} dev vm1 self")
    vlan(h, "add dev vm1 vid 10-20", "add dev vm1 vid 7 pvid untagged")
    assert shown(h, "vm1") == {"7": ["PVID", "Egress Untagged"], "10-20": []}
    assert shown(h, "vm1", "") == {"7": ["PVID", "Egress Untagged"], **{str(v): [] for v in range(10, 21)}}
    assert told(h, "vm1")[:3] == ["trunk", "7,10-20", "7"]
    # An address without a VLAN is one, however many VLANs it is claimed in.
    fdb = h.g.out("bridge fdb show dev vm1 self").splitlines()
    assert sorted(line.split()[0] for line in fdb) == [A, B] and not any("vlan" in line for line in fdb)
    vlan(h, "del dev vm1 vid 12-19")
    assert told(h, "vm1")[1] == "7,10-11,20"
    h.must([path("vm1", "vlan"), "2,7,4094"])
    assert shown(h, "vm1") == {"2": [], "7": ["PVID", "Egress Untagged"], "4094": []}
    assert len(h.queue(h.port_queue("vm1"))["filters"].splitlines()) == 6
    h.must([path("vm1", "native_vlan"), "2"])
    assert shown(h, "vm1") == {"2": ["PVID", "Egress Untagged"], "7": [], "4094": []}
    h.must([path("vm1", "native_vlan"), "0"], [path("vm1", "vlan"), "1-4094"])
    assert shown(h, "vm1") == shown(h, "vm1", "") == {"1-4094": []} and told(h, "vm1")[1] == "1-4094"
    h.must([path("vm1", "vlan_mode"), "plain"], [path("vm1", "native_vlan"), "5"])
    assert told(h, "vm1")[:3] == ["access", "5", "5"] and shown(h, "vm1") == {"5": ["PVID", "Egress Untagged"]}
    vlan(h, "del dev vm1 vid 5")
    assert told(h, "vm1") == ["plain", "none", "none", "none", "1"] and shown(h, "vm1") is None
    filters = h.queue(h.port_queue("vm1"))["filters"].splitlines()
    assert sorted(line.split()[1:3] for line in filters) == [[A, "untagged"], [B, "untagged"]]


def test_refusals(host):
    """What cannot be is refused whole, with the reason, and changes nothing."""
    h = host
    h.ports([A, B, C])
    h.g.run(f"bridge fdb add {D} vlan 9 dev vm1 self")
    vlan(h, "add dev vm1 vid 9-11", "add dev vm1 vid 7 pvid untagged")
    h.must([path("vm2", "isolation"), "isolated 100 101"])
    odd = ",".join(str(v) for v in range(1, 600, 2))
    writes = [
        ("vm1", "vlan", "0-7", "EINVAL", "the VLAN ID must be 1 to 4094"),
        ("vm1", "vlan", "7,4095", "EINVAL", "the VLAN ID must be 1 to 4094"),
        ("vm1", "vlan", "seven", "EINVAL", "vlan takes a list of VLAN IDs like 2,10-20, or none"),
        ("vm1", "vlan", "9-11", "EINVAL", "the native VLAN is not among them, write native_vlan first"),
        ("vm1", "vlan", "7,10", "EBUSY", f"the port has {D} in VLAN 9, take that off first"),
        ("vm3", "vlan", odd, "ENOSPC", "a port has at most 128 ranges of VLANs"),
        ("vm1", "native_vlan", "4095", "EINVAL", "the VLAN ID must be 1 to 4094"),
        ("vm1", "native_vlan", "x", "EINVAL", "native_vlan takes a VLAN ID, 0 or none"),
        ("vm1", "vlan_mode", "access", "EINVAL", "vlan_mode takes plain"),
        ("vm1", "isolation", "isolated 100", "EINVAL", "isolation takes none, or promiscuous"),
        ("vm1", "isolation", "isolated 100 100", "EINVAL", "the primary VLAN cannot be a secondary one, too"),
        ("vm1", "isolation", "community 100 1,2", "EINVAL", "the port needs one secondary VLAN"),
        ("vm1", "isolation", "none 100 1", "EINVAL", "isolation takes none, or promiscuous"),
        ("vm2", "vlan", "7", "EBUSY", "the port is in a private VLAN, write none to isolation first"),
        ("vm2", "vlan", "none", "EBUSY", "the port is in a private VLAN, write none to isolation first"),
        ("vm2", "native_vlan", "7", "EBUSY", "the port is in a private VLAN, write none to isolation first"),
        ("vm1", "priority_trust", "2", "EINVAL", "priority_trust takes 0 or 1"),
    ]
    # What bridge vlan del is refused for only the kernel log says.
    bridges = [
        ("vlan add dev vm1 vid 20-30 pvid self", None),
        ("vlan add dev vm1 vid 4094-4095 self", None),
        ("vlan add dev vm2 vid 7 self", "the port is in a private VLAN"),
        ("vlan del dev vm1 vid 2000 self", "No such file or directory"),
        ("vlan del dev vm1 vid 9 self", "Device or resource busy"),
        (f"fdb add {E} vlan 12 dev vm1 self", "the port is not in VLAN 12"),
        (f"fdb del {D} dev vm1 self", "the port has no such entry"),
        (f"fdb del {A} vlan 9 dev vm1 self", "the port has no such entry"),
        (f"fdb del {A} dev vm1 self", "the port's own address"),
        ("link set dev vm1 hwmode vepa", "nothing else of a bridge's"),
        ("link set dev vm1 learning on self", "nothing else of a bridge's"),
    ]
    with h.unchanged():
        answers = h.write([[path(name, file), text] for name, file, text, _, _ in writes])
        for (name, file, text, error, why), (got, said) in zip(writes, answers, strict=True):
            assert got == error and said.startswith(why), f"{text!r} to {name} {file}: {got} {said}"
        for command, why in bridges:
            r = h.g.run(f"bridge {command}", check=False)
            # iproute2 itself refuses some.
            assert r.rc and (why or "") in r.stdout + r.stderr, f"{command}: {r.stdout}{r.stderr}"
    say(f"{len(writes) + len(bridges)} requests refused")


def test_ports_talk(host):
    """Ports of a host are switched inside their VLAN, each seeing the tag that is its own to see."""
    h = host
    access(h, ("vm1", A, 7), ("vm2", B, 7), ("vm3", C, 8))
    h.must([path("vm2", "native_vlan"), "none"], [path("vm2", "vlan"), "7,8"])
    h.port("vm4", D, (D, 7))
    with watching(h, "vm1", "vm2", "vm3", "vm4", h.dev) as (t, out):
        send_from(h, "vm1", A, (B, 0, None), (C, 300, None), (D, 600, None), (BROADCAST, 700, None))
        send_from(h, "vm2", B, (A, 100, 7), (C, 200, 8), (BROADCAST, 800, 8))
        send_from(h, "vm4", D, (A, 400, 7), (A, 500, None), (BROADCAST, 900, 7))
        t.wait(13 * N)
        fence(h, out, "vm1", A)
    seen = {name: {f.serial: f.vlan for f in t.at(name)} for name in ("vm1", "vm2", "vm3", "vm4", h.dev)}
    assert {name: len(t.serials(name)) for name in seen} == {name: len(got) for name, got in seen.items()}

    def tagged(**starts):
        return {s: vid for start, vid in starts.items() for s in spans(int(start[1:]))}

    assert seen["vm1"] == tagged(s100=None, s400=None, s900=None)
    assert seen["vm2"] == tagged(s0=7, s700=7, s900=7)
    assert seen["vm3"] == tagged(s200=None, s800=None)
    assert seen["vm4"] == tagged(s600=7, s700=7)
    assert {s: v for s, v in seen[h.dev].items() if s != END} == tagged(s700=7, s800=8, s900=7)
    assert {s: v for s, (v, _) in tags_on_wire(out).items()} == tagged(s300=7, s500=None, s700=7, s800=8, s900=7)


@pytest.mark.scenario("A13")
def test_broadcast_from_wire(host):
    """A broadcast from the wire: one copy for each port of the VLAN and the host, none for the others."""
    h = host
    access(h, ("vm1", A, 7), ("vm2", B, 7), ("vm3", C, 8), ("vm4", D, 9))
    h.must([path("vm4", "native_vlan"), "none"], [path("vm4", "vlan"), "7-30"])
    h.port("vm5", E)
    with h.taps("vm1", "vm2", "vm3", "vm4", "vm5", h.dev) as t:
        for n, tag in enumerate((7, 8, None, 31)):
            h.send(BROADCAST, range(100 * n, 100 * n + N), vlan=tag)
        t.wait(10 * N)
    got = {name: [(f.serial, f.vlan) for f in t.at(name)] for name in ("vm1", "vm2", "vm3", "vm4", "vm5")}
    plain = [(s, None) for s in spans(0)]
    assert got["vm1"] == got["vm2"] == plain
    assert got["vm3"] == [(s, None) for s in spans(100)]
    assert got["vm4"] == [(s, 7) for s in spans(0)] + [(s, 8) for s in spans(100)]
    assert got["vm5"] == [(s, None) for s in spans(200)]
    assert sorted(t.serials(h.dev)) == spans(0, 100, 200, 300)


def test_many_vlans(host):
    """A trunk of 100 VLANs has one filter; what is not allowed goes to whoever owns it, or to the host, once."""
    h = host
    h.ports([A, B])
    vlan(h, "add dev vm1 vid 101-200")
    q = h.port_queue("vm1")
    assert [line.split()[1:3] for line in h.queue(q)["filters"].splitlines()] == [[A, "any"]]
    before = h.port_counters("vm1")
    with h.taps("vm1", (h.dev, 0), h.dev) as t:
        for n, tag in enumerate((101, 200, 100, 201, None, 150)):
            h.send(A, range(100 * n, 100 * n + N), vlan=tag)
        t.wait(9 * N)
    assert {f.serial: f.vlan for f in t.at("vm1")} == {
        s: tag for start, tag in ((0, 101), (100, 200), (500, 150)) for s in spans(start)
    } and len(t.serials("vm1")) == 3 * N
    assert sorted(t.serials(h.dev)) == sorted(t.serials((h.dev, 0))) == spans(200, 300, 400)
    moved = delta(before, h.port_counters("vm1"))
    say(f"queue {q}: {moved}")
    assert moved["rx_queue_packets"] == moved["rx_vlan_mismatch_packets"] == 3 * N
    # A VLAN beside them can be another port's, one of them cannot.
    r = h.g.run(f"bridge fdb add {A} vlan 150 dev vm2 self", check=False)
    assert f"another port has {A} in VLAN 150" in r.stderr
    h.g.run(f"bridge fdb add {A} vlan 100 dev vm2 self && bridge fdb add {E} vlan 150 dev vm2 self")
    r = h.g.run(f"bridge fdb add {E} dev vm1 self", check=False)
    assert f"another port has {E} in VLAN 150" in r.stderr
    with h.taps("vm1", "vm2", h.dev) as t:
        for n, tag in enumerate((101, 100, 201)):
            h.send(A, range(100 * n, 100 * n + N), vlan=tag)
        t.wait(3 * N)
    assert [t.serials(name) for name in ("vm1", "vm2", h.dev)] == [spans(0), spans(100), spans(200)]
    r = h.g.run("bridge vlan add dev vm1 vid 100 self", check=False)
    assert f"another port has {A} in VLAN 100" in r.stderr and told(h, "vm1")[1] == "101-200"


def test_without_queue_many_vlans(host):
    """The same trunk without a queue: the switch alone decides, with the same result."""
    h = host
    h.must([f"{h.vmq}/enabled", "0"])
    h.ports([A])
    vlan(h, "add dev vm1 vid 101-200", "add dev vm1 vid 150 pvid untagged")
    with watching(h, "vm1", h.dev) as (t, out):
        for n, tag in enumerate((101, 200, 100, 201, None, 150)):
            h.send(A, range(100 * n, 100 * n + N), vlan=tag)
        send_from(h, "vm1", A, (OUTSIDE, 600, None))
        send_from(h, h.dev, h.mac, (A, 700, 101), (A, 800, 99))
        t.wait(7 * N)
        fence(h, out, "vm1", A)
    assert {f.serial: f.vlan for f in t.at("vm1")} == {
        s: tag for start, tag in ((0, 101), (100, 200), (500, None), (700, 101)) for s in spans(start)
    }
    assert sorted(t.serials(h.dev)) == spans(200, 300, 400)
    assert {s: v for s, (v, _) in tags_on_wire(out).items()} == {**dict.fromkeys(spans(600), 150), **dict.fromkeys(spans(800), 99)}


def test_change_under_traffic(host):
    """While its other VLANs come and go a port loses no frame of the one that stays, in neither direction."""
    h, many = host, 4000
    access(h, ("vm1", A, 7))
    changes = [("vlan", "7,8"), ("vlan", "7-20"), ("vlan", "6-9"), ("vlan", "7,30-90"), ("vlan", "7"), ("vlan", "1-4094"), ("vlan", "7")]
    h.wire.clear()
    with h.wire.capture(lambda f: parse(f).src == A) as out, h.taps("vm1") as t:
        job = spawn_tool(h.g, "send", interface="vm1", burst=8, gap=0.02,
                         frames=[{"dst": OUTSIDE, "src": A, "serial": 0, "count": many}])
        assert h.wire.wait_captured(out, 1)
        with Stream(h, t, A, frame=lambda serial: eth(A, OUTSIDE, vlan=7, serial=serial)) as stream:
            rounds = 0
            while rounds < 2 or job.poll() is None:
                for file, text in changes:
                    h.must([path("vm1", file), text])
                    stream.wait_sent(20)
                rounds += 1
        assert job.wait(120) == 0, job.stderr
        h.wire.wait_captured(out, many, 20)
    say(f"{rounds * len(changes)} changes, {stream.sent} frames in, {len(out)} out")
    assert describe_stream(list(range(stream.sent)), t.serials("vm1")) is None
    assert {f.vlan for f in t.at("vm1")} == {None}
    assert describe_stream(list(range(many)), [parse(f).serial for f in out]) is None
    assert {parse(f).vlan for f in out} == {7}


def test_private_vlan(host):
    """Promiscuous, community and isolated ports: who hears whom, by address and by broadcast."""
    h = host
    kinds = {"vm1": "promiscuous 100 101-102", "vm2": "community 100 101", "vm3": "community 100 101",
             "vm4": "isolated 100 102", "vm5": "isolated 100 102"}
    macs = dict(zip(kinds, (A, B, C, D, E), strict=True))
    h.ports(list(macs.values()))
    h.must(*([path(name, "isolation"), text] for name, text in kinds.items()))
    assert [told(h, name)[3] for name in kinds] == list(kinds.values()) and told(h, "vm4")[0] == "private"
    assert shown(h, "vm4") == {"100": ["Egress Untagged"], "102": ["PVID", "Egress Untagged"]}
    heard = {"vm1": {*kinds}, "vm2": {"vm1", "vm3"}, "vm3": {"vm1", "vm2"}, "vm4": {"vm1"}, "vm5": {"vm1"}}
    wanted, lost = {name: [] for name in kinds}, []
    with watching(h, *kinds) as (t, out):
        for a, source in enumerate(kinds):
            frames = []
            for b, to in enumerate([*kinds, None]):
                if source == to:
                    continue
                frames.append((macs.get(to, BROADCAST), 1000 * a + 100 * b, None))
                serials = spans(1000 * a + 100 * b, count=5)
                for name in heard[source] - {source} if to is None else {to} & heard[source]:
                    wanted[name] += serials
                if to not in heard[source]:
                    lost += serials
            send_from(h, source, macs[source], *frames, count=5)
        t.wait(sum(map(len, wanted.values())))
        fence(h, out, "vm1", A)
    for name in kinds:
        assert sorted(t.serials(name)) == wanted[name], name
        assert {f.vlan for f in t.at(name)} == {None}
    # The rest is for promiscuous ports elsewhere: in the VLAN of its sender.
    sent = tags_on_wire(out)
    assert sorted(sent) == sorted(lost)
    assert {sent[s][0] for s in lost} == {100, 101, 102} and {sent[s][0] for s in lost if 1000 <= s < 3000} == {101}
    with h.taps(*kinds) as t:
        for n, tag in enumerate((100, 101, 102)):
            h.send(BROADCAST, range(100 * n, 100 * n + N), vlan=tag)
        t.wait(9 * N)
    assert [len(t.serials(name)) // N for name in kinds] == [3, 2, 2, 1, 1]
    h.must([path("vm4", "isolation"), "none"])
    assert told(h, "vm4")[:2] == ["plain", "none"]


def test_priority_trust(host):
    """priority_trust 0 clears the priority of what the VM sends, in every mode, and nothing else."""
    h = host
    h.ports([A])
    h.g.run("ip link add link vm1 name vm1.9 type vlan id 9 egress 0:3 && ip link set vm1.9 up")

    def sent():
        with watching(h) as (_, out):
            send_from(h, "vm1.9", A, (OUTSIDE, 3, None), count=1)
            send_from(h, "vm1", A, *((OUTSIDE, n, tag) for n, tag in enumerate(([9, 5], [0, 5], None))),
                      (OUTSIDE, END, None), count=1)
            assert h.wire.wait_captured(out, 5)
        return [tags_on_wire(out).get(n) for n in range(4)]

    assert sent() == [(9, 5), (0, 5), (None, 0), (9, 3)]
    h.must([path("vm1", "priority_trust"), "0"])
    assert sent() == [(9, 0), (0, 0), (None, 0), (9, 0)]
    h.must([path("vm1", "vlan"), "7,9"], [path("vm1", "native_vlan"), "7"])
    assert sent() == [(9, 0), (7, 0), (7, 0), (9, 0)]
    h.must([path("vm1", "priority_trust"), "1"])
    assert sent() == [(9, 5), (7, 5), (7, 0), (9, 3)]


def test_addresses_follow(host):
    """Every address of a port follows it into its VLANs, and a new one is claimed there; two ports share one."""
    h = host
    h.ports([A, B])
    h.g.run(f"bridge fdb add {C} dev vm1 self")
    h.must([path("vm1", "vlan"), "7,8"])
    h.g.run(f"ip link set vm1 address {D} && bridge fdb add {E} dev vm1 self")
    q = h.port_queue("vm1")
    filters = sorted(line.split()[1:3] for line in h.queue(q)["filters"].splitlines())
    assert filters == sorted([mac, vid] for mac in (C, D, E) for vid in "78")
    h.g.run(f"bridge fdb del {C} dev vm1 self")
    # The same address in another VLAN is another VM's.
    h.must([path("vm2", "native_vlan"), "9"])
    h.g.run(f"ip link set vm2 address {D}")
    with h.taps("vm1", "vm2", h.dev) as t:
        for n, (mac, tag) in enumerate(((D, 7), (E, 8), (D, 9), (C, 7), (A, 7), (D, None))):
            h.send(mac, range(100 * n, 100 * n + N), vlan=tag)
        t.wait(6 * N)
    assert sorted(t.serials("vm1")) == spans(0, 100) and t.serials("vm2") == spans(200)
    assert sorted(t.serials(h.dev)) == spans(300, 400, 500)
    h.delete("vm1", "vm2")
    wait_for("the queues are free", lambda: h.state(q) == "undefined")
