# SPDX-License-Identifier: GPL-2.0-only
"""Bad input: each refusal has its errno and its reason, and changes nothing."""

import errno
import os
import re

import pytest

from tests.e2e.link.lib import BROADCAST, POOLS, VM_QUEUES, errno_name, errno_of, say, tool, vm_mac, wait_for
from tests.vm.guest import TOP

A, B, C, D = (vm_mac(n) for n in range(1, 5))
GROUP = "01:00:5e:00:00:17"
ABI = os.path.join(TOP, "Documentation/ABI/testing/sysfs-class-net-vmq")
# Written to every file that can be written; none of it is ever valid.
GARBAGE = ["\n", " ", "\0", "nonsense", "-1", "4294967296", "0x10", "%s%n", "é", "a/b", "x" * 64, "y" * 4000, " 1", "1 2",
           "1\0", "auto\0x"]


VALID = {"cpus": (" 1", "1 2"), "vlan": (" 1", "1 2"), "link_local": ("0x10",), "allowed_macs": ("\n", " "),
         "mirror_to": ("\n", " ")}


@pytest.fixture
def busy(host):
    """Queue 1 of port vm1 (A), queue 2 of the administrator (B), queue 3 committed, 4 allocated;
    software compares VLANs."""
    h = host
    h.must([f"{h.vmq}/vlan_filtering", "off"])
    h.port("vm1", A)
    assert h.port_queue("vm1") == 1
    assert h.ntuple(f"flow-type ether dst {B} vlan 0 m 0xf000 action 2") == ""
    h.must([h.rxq(3, "state"), "allocate"], [h.rxq(3, "state"), "commit"], [h.rxq(4, "state"), "allocate"])
    return h


def check_table(h, rows):
    """rows: (path, text, errno, part of the reason). Nothing may change."""
    with h.unchanged():
        answers = h.write([[path, text] for path, text, _, _ in rows])
    wrong = []
    for (path, text, error, reason), (got, said) in zip(rows, answers, strict=True):
        where = path.partition("/net/")[2]
        shown = repr(text if len(text) < 40 else f"{text[:10]}... {len(text)} bytes")
        say(f"{where} <- {shown}: {got or 'accepted'}, {said}")
        if got != error or reason not in said or not said.endswith(f"({-number(error)})"):
            wrong.append(f"{where} <- {shown}: {got or 'accepted'} {said!r}, wanted {error} {reason!r}")
    assert not wrong, "\n".join(wrong)


def number(name):
    return getattr(errno, name)


def test_filters(busy):
    """filter_add and filter_del: malformed, duplicate, other owners', and what the NIC cannot do."""
    h = busy
    add, delete = (lambda n: h.rxq(n, "filter_add")), (lambda n: h.rxq(n, "filter_del"))
    form = "filter_add takes"
    rows = [
        *[(add(3), text, "EINVAL", form) for text in (
            "52:54:00:00:17", "52:54:00:00:17:0g", f"{C}x", f"{C}:00", f"{C} vlan", f"{C} vlan x", f"{C} vlan -1",
            f"{C} vlan 0", f"{C} vlan 4095", f"{C} vlan 4096", f"{C} vlan 65536", f"{C} vlan 5 5", f"{C} tagged",
            "vlan 5", C.replace(":", ""), f"{C} vlan 7 action 1")],
        (add(3), "00:00:00:00:00:00", "EINVAL", "zero"),
        (add(3), BROADCAST, "EINVAL", "broadcast"),
        (add(3), f"{GROUP} any", "EOPNOTSUPP", "a group can be claimed in one VLAN"),
        (add(3), f"{C} any any", "EINVAL", form),
        (add(3), B, "EEXIST", "queue 2 has this filter already"),
        (add(2), f"{B} untagged", "EEXIST", "queue 2 has this filter already"),
        (add(3), A, "EEXIST", "queue 1 has this filter already"),
        (add(0), B, "EEXIST", "queue 2 has this filter already"),
        (add(3), f"{B} vlan 7", "EOPNOTSUPP", "another queue"),
        (add(3), f"{B} any", "EOPNOTSUPP", "another queue"),
        (add(3), h.mac, "EADDRINUSE", "address of the host"),
        (add(3), f"{h.mac} vlan 5", "EADDRINUSE", "address of the host"),
        (add(1), C, "EADDRINUSE", "held by port vm1"),
        (add(5), C, "ENOENT", "not allocated"),
        (delete(2), "9999", "ENOENT", "no such filter"),
        (delete(2), "0", "ENOENT", "no such filter"),
        (delete(2), "nonsense", "EINVAL", "takes an id"),
        (delete(2), f"{B} vlan 4095", "EINVAL", "takes an id"),
        (delete(2), f"{B} vlan 9", "ENOENT", "no such filter"),
        (delete(3), B, "ENOENT", "no such filter"),
        (delete(1), A, "EADDRINUSE", "belongs to a port"),
    ]
    check_table(h, rows)


def test_states(busy):
    """Events that are not valid in a queue's state."""
    h = busy
    words = "state takes allocate, commit or free"
    state = lambda n: h.rxq(n, "state")  # noqa: E731
    rows = [
        (state(0), "allocate", "EPERM", "queue 0"),
        (state(0), "free", "EPERM", "queue 0"),
        (state(5), "commit", "ENOENT", "not allocated"),
        (state(5), "free", "ENOENT", "not allocated"),
        (state(3), "allocate", "EBUSY", "paused already"),
        (state(3), "commit", "EINVAL", "only an allocated one"),
        (state(2), "commit", "EINVAL", "only an allocated one"),
        (state(2), "free", "EBUSY", "still has 1 filters"),
        (state(1), "free", "EADDRINUSE", "held by port vm1"),
        (state(1), "allocate", "EBUSY", "running already"),
        *[(state(4), text, "EINVAL", words) for text in ("ALLOCATE", "commit now", "running", "free\n\n")],
    ]
    check_table(h, rows)


def test_cpus(busy):
    """CPUs that do not exist, and queues that do not."""
    h = busy
    cpu = lambda n: h.rxq(n, "cpu")  # noqa: E731
    h.g.run("echo 0 >/sys/devices/system/cpu/cpu3/online")
    try:
        rows = [
            (cpu(2), "4", "EINVAL", "not online"),
            (cpu(2), "3", "EINVAL", "not online"),
            (cpu(2), "100000", "EINVAL", "not online"),
            (cpu(2), "one", "EINVAL", "takes the number of a CPU"),
            (cpu(2), "-1", "EINVAL", "takes the number of a CPU"),
            (cpu(5), "1", "ENOENT", "not allocated"),
            *[(h.rxq(2, "cpu_policy"), text, "EINVAL", "cpu_policy takes strict, hint or free")
              for text in ("Strict", "hints", "free now", "\n")],
            (h.rxq(5, "cpu_policy"), "hint", "ENOENT", "not allocated"),
            *[(f"{h.vmq}/cpus", text, "EINVAL", "cpus takes a list of CPUs") for text in ("cpu1", "2-1", "0-", "100000")],
            *[(f"{h.vmq}/placement_mode", text, "EINVAL", "placement_mode takes static or dynamic") for text in ("auto", "1", "\n")],
            *[(f"{h.vmq}/coalesce_shared", text, "EINVAL", "coalesce_shared takes 0 or 1") for text in ("2", "on", "\n")],
            (f"{h.vmq}/cpus", "\n", "EINVAL", "at least one CPU"),
            (f"{h.vmq}/cpus", "3", "EINVAL", "none of the CPUs 3 is online"),
        ]
        check_table(h, rows)
    finally:
        h.g.run("echo 1 >/sys/devices/system/cpu/cpu3/online")


def test_names(busy):
    """VM and queue names have 1 to 63 printable characters, no slash, no white space at the ends."""
    h = busy
    bad = ["\n", " db", "db ", "a/b", "a\tb", "x" * 64, "caf\xe9", "a\nb", "\x7f"]
    rows = [(h.rxq(4, file), text, "EINVAL", "1 to 63 printable") for file in ("vm_name", "queue_name") for text in bad]
    rows += [(f"{h.vmq}/allocate", text, "EINVAL", "1 to 63 printable") for text in bad]
    rows += [(h.rxq(5, "vm_name"), "db", "ENOENT", "not allocated")]
    check_table(h, rows)
    longest = "n" * 62 + "!"
    h.must([h.rxq(4, "vm_name"), longest], [h.rxq(4, "queue_name"), "with a blank"])
    assert (h.queue(4)["vm_name"], h.queue(4)["queue_name"]) == (longest, "with a blank")


def test_garbage_everywhere(busy):
    """Garbage written to every writable file is refused with a reason, and every read-only file cannot be written."""
    h = busy
    find = f"find {h.vmq}/ /sys/class/net/vm1/vmq/ " + " ".join(h.rxq(n) + "/" for n in range(POOLS)) + " -type f -perm"
    writable = h.g.out(f"{find} -u+w").splitlines()
    readonly = h.g.out(f"{find} 0444").splitlines()
    say(f"{len(writable)} writable files, {len(readonly)} read-only ones, {len(GARBAGE)} kinds of garbage")
    assert len(writable) >= 6 * POOLS and len(readonly) >= 10 * POOLS
    items, expected = [], []
    for path in writable:
        # Valid for a name, as far as it goes.
        name = os.path.basename(path) in ("vm_name", "queue_name", "allocate")
        for text in GARBAGE:
            if name and text in ("nonsense", "-1", "4294967296", "0x10", "%s%n", "1 2"):
                continue
            # The kernel's lists have blanks wherever they like; nothing, or a number of 16 bits, is valid here.
            if text in VALID.get(os.path.basename(path), ()):
                continue
            items.append([path, text])
    with h.unchanged():
        answers = h.write(items)
        for path in readonly:
            expected.append([path, "1"])
        refused = h.write(expected)
    accepted = [f"{p} <- {t[:20]!r}" for (p, t), (e, _) in zip(items, answers, strict=True) if not e]
    assert not accepted, accepted
    silent = [p for (p, _), (e, said) in zip(items, answers, strict=True) if not re.search(r"\(-\d+\)$", said)]
    assert not silent, silent
    # Root may open a file without write permission; there is nothing to take it.
    assert {e for e, _ in refused} <= {"EIO", "EACCES"}, refused


def test_ntuple_rules(busy):
    """ethtool -N: rules the NIC cannot do, owners, ranges."""
    h = busy
    ok = f"dst {C} vlan 5 m 0xf000"
    rows = [
        ("flow-type tcp4 dst-port 80 action 3", "EOPNOTSUPP", "only flow-type ether"),
        ("flow-type udp6 src-port 53 action 3", "EOPNOTSUPP", "only flow-type ether"),
        ("flow-type ip4 dst-ip 10.0.0.1 action 3", "EOPNOTSUPP", "only flow-type ether"),
        (f"flow-type ether src {C} action 3", "EOPNOTSUPP", "destination MAC"),
        (f"flow-type ether src {C} {ok} action 3", "EOPNOTSUPP", "source MAC"),
        (f"flow-type ether {ok} proto 0x800 action 3", "EOPNOTSUPP", "EtherType"),
        (f"flow-type ether dst {C} m 00:00:00:00:00:ff vlan 5 m 0xf000 action 3", "EOPNOTSUPP", "whole destination MAC"),
        ("flow-type ether vlan 5 m 0xf000 action 3", "EOPNOTSUPP", "destination MAC"),
        (f"flow-type ether dst {C} vlan 5 m 0xff00 action 3", "EOPNOTSUPP", "VLAN mask"),
        (f"flow-type ether dst {C} vlan 0x2005 action 3", "EOPNOTSUPP", "priority"),
        (f"flow-type ether {ok} vlan-etype 0x88a8 action 3", "EOPNOTSUPP", "802.1Q"),
        (f"flow-type ether {ok} user-def 0x1 action 3", "EOPNOTSUPP", "user-def"),
        (f"flow-type ether {ok} action -1", "EOPNOTSUPP", "dropping"),
        (f"flow-type ether {ok} action -2", "EOPNOTSUPP", "wake-up"),
        (f"flow-type ether {ok} vf 1 queue 1", "EOPNOTSUPP", "virtual function"),
        (f"flow-type ether dst {B} action 3", "EOPNOTSUPP", "another queue"),
        (f"flow-type ether dst {GROUP} action 3", "EOPNOTSUPP", "a group can be claimed in one VLAN"),
        (f"flow-type ether dst {BROADCAST} vlan 0 m 0xf000 action 3", "EINVAL", "broadcast"),
        ("flow-type ether dst 00:00:00:00:00:00 vlan 0 m 0xf000 action 3", "EINVAL", "zero"),
        (f"flow-type ether dst {C} vlan 4095 m 0xf000 action 3", "EINVAL", "1 to 4094"),
        (f"flow-type ether {ok} action {POOLS}", "EINVAL", "there is no queue 8"),
        (f"flow-type ether {ok} action 100", "EINVAL", "there is no queue 100"),
        (f"flow-type ether {ok} action 3 loc 131072", "EINVAL", "a filter location is 1 to 131071"),
        (f"flow-type ether {ok} action 3 loc 0", "EINVAL", "location"),
        (f"flow-type ether {ok} action 1", "EADDRINUSE", "bridge fdb"),
        (f"flow-type ether dst {h.mac} vlan 0 m 0xf000 action 3", "EADDRINUSE", "address of the host"),
        (f"flow-type ether dst {B} vlan 0 m 0xf000 action 3", "EEXIST", "queue 2 has this filter already"),
        (f"flow-type ether dst {B} vlan 0 m 0xf000 action 6", "EEXIST", "queue 2 has this filter already"),
        (f"flow-type ether dst {B} vlan 7 m 0xf000 action 6", "EOPNOTSUPP", "another queue"),
        ("delete 999", "ENOENT", "no filter 999"),
    ]
    check_ethtool(h, rows)


def check_ethtool(h, rows):
    script = "".join(
        f"ethtool -N {h.dev} {rule} >/tmp/said 2>&1; echo \"$? $(tr '\\n' ' ' </tmp/said) @@ $(<{h.vmq}/last_error)\"\n"
        for rule, _, _ in rows
    )
    with h.unchanged():
        lines = h.g.out(script, timeout=120).splitlines()
    wrong = []
    for (rule, error, reason), line in zip(rows, lines, strict=True):
        said, _, last = line.partition(" @@ ")
        got = errno_of(said)
        say(f"{rule}: {got or said}, {last}")
        # ethtool's own status is 0 when the kernel refused a rule.
        if got != error or reason not in last or not last.endswith(f"({-number(error)})"):
            wrong.append(f"{rule}: {said!r} {last!r}, wanted {error} {reason!r}")
    assert not wrong, "\n".join(wrong)


def test_a_rule_refused_makes_no_queue(busy):
    """action N on a queue that does not exist yet: a refusal leaves it undefined."""
    h = busy
    check_ethtool(h, [(f"flow-type ether dst {B} vlan 0 m 0xf000 action 7", "EEXIST", "queue 2")])
    assert h.state(7) == "undefined"


def test_filter_location(busy):
    """A rule at a given location; a location that is in use is not overwritten."""
    h = busy
    assert h.ntuple(f"flow-type ether dst {C} vlan 9 m 0xf000 action 3 loc 500") == ""
    assert f"500 {C} 9 admin" in h.queue(3)["filters"]
    shown = h.g.out(f"ethtool -n {h.dev} rule 500")
    assert C.upper() in shown.upper() and "VLAN: 0x9 mask: 0xf000" in shown and "queue 3" in shown
    check_ethtool(h, [(f"flow-type ether dst {D} vlan 0 m 0xf000 action 3 loc 500", "EEXIST", "holds a filter already")])
    assert h.ntuple("delete 500") == ""
    assert h.queue(3)["filters"] == ""


def test_slots_full(host):
    """The NIC's address slots run out: the filter is refused, the counts are right, and it all comes back."""
    h = host
    total = int(h.read(f"{h.vmq}/mac_filters_max"))
    assert h.read(f"{h.vmq}/mac_filters_free") == str(total)
    h.must([h.rxq(1, "state"), "allocate"], [h.rxq(1, "state"), "commit"])
    macs = [f"52:54:00:01:00:{n:02x}" for n in range(total)]
    h.must(*[[h.rxq(1, "filter_add"), mac] for mac in macs])
    assert h.read(f"{h.vmq}/mac_filters_free") == "0"
    rows = [(h.rxq(1, "filter_add"), C, "ENOSPC", "filter slots full")]
    check_table(h, rows)
    check_ethtool(h, [(f"flow-type ether dst {C} vlan 0 m 0xf000 action 2", "ENOSPC", "filter slots full")])
    assert h.state(2) == "undefined"
    # A second VLAN of an address needs no other slot, nor does the default queue.
    h.must([h.rxq(1, "filter_add"), f"{macs[0]} vlan 5"], [h.rxq(0, "filter_add"), D])
    # A port gets a queue, but no slot: it works through the default queue.
    h.port("vm1", A)
    assert h.port_queue("vm1") is None and h.port_file("vm1", "reason") == "filter slots full"
    with h.taps("vm1", (h.dev, 1)) as t:
        h.send(A, range(20))
        h.send(macs[-1], range(100, 120))
        t.wait(40)
    assert t.serials("vm1") == list(range(20)) and t.serials((h.dev, 1)) == list(range(100, 120))
    # The next address that goes makes room for the port's.
    h.must([h.rxq(1, "filter_del"), macs[-1]])
    wait_for("the port has a queue", lambda: h.port_queue("vm1") == 2, 10)
    assert h.port_file("vm1", "reason") == "" and h.read(f"{h.vmq}/mac_filters_free") == "0"
    h.delete("vm1")
    assert h.read(f"{h.vmq}/mac_filters_free") == "1"


def test_ports(busy):
    """rtnetlink: what cannot be a port or an address of one."""
    h, g = busy, busy.g

    def port(link, address, **options):
        return "add_port", {"name": "vm9", "address": address, "link": link, **options}

    def fdb(verb, address, **options):
        return "fdb", {"verb": verb, "name": "vm1", "address": address, **options}

    rows = [
        (port("dummy0", C), "EOPNOTSUPP", "has no VMQ"),
        (port("br9", C), "EOPNOTSUPP", "has no VMQ"),
        (port("lo", C), "EOPNOTSUPP", "has no VMQ"),
        (port("vm1", C), "EOPNOTSUPP", "has no VMQ"),
        (port("bond0", C), "EOPNOTSUPP", "bond is not supported"),
        (port(None, C), "EINVAL", "needs an uplink"),
        (port(h.dev, "00:00:00:00:00:00"), "EINVAL", "neither zero nor a group"),
        (port(h.dev, GROUP), "EINVAL", "neither zero nor a group"),
        (port(h.dev, A), "EEXIST", "queue 1 has this filter already"),
        (port(h.dev, B), "EEXIST", "queue 2 has this filter already"),
        (port(h.dev, h.mac), "EADDRINUSE", "address of the host"),
        (port(h.dev, C, mtu=9000), "EINVAL", "larger than the uplink's"),
        (fdb("add", B), "EEXIST", "queue 2 has this filter already"),
        (fdb("add", A), "EEXIST", "queue 1 has this filter already"),
        (fdb("add", B, vid=7), "EOPNOTSUPP", "another queue"),
        (fdb("add", C, vid=4095), "EINVAL", "invalid vlan id"),
        (fdb("add", C, vid=4096), "EINVAL", "invalid vlan id"),
        (fdb("add", BROADCAST), "EINVAL", "broadcast"),
        (fdb("add", "00:00:00:00:00:00"), "EINVAL", "zero"),
        (fdb("add", h.mac), "EADDRINUSE", "address of the host"),
        (fdb("add", C, dst="10.0.0.1"), "EOPNOTSUPP", "nothing else"),
        (fdb("add", C, flags=0x12), "EOPNOTSUPP", "no flag but self"),
        (fdb("add", C, state=0x02), "EINVAL", "static"),
        (fdb("append", C), "EOPNOTSUPP", "one entry"),
        (fdb("del", C), "ENOENT", "no such entry"),
        (fdb("del", A), "EINVAL", "own address"),
        (("set_address", {"name": "vm1", "address": B}), "EEXIST", "queue 2 has this filter already"),
        (("set_address", {"name": "vm1", "address": h.mac}), "EADDRINUSE", "address of the host"),
        (("set_address", {"name": "vm1", "address": GROUP}), "EINVAL", "neither zero nor a group"),
        # The uplink's own: the ndo has no way to give the reason but the log.
        (("set_address", {"name": h.dev, "address": A}), "EADDRINUSE", ""),
        (("set_address", {"name": h.dev, "address": B}), "EADDRINUSE", ""),
    ]
    g.run("ip link add dummy0 type dummy; ip link add bond0 type bond; ip link add br9 type bridge")
    try:
        with h.unchanged():
            answers = tool(g, "link", requests=[request for request, _, _ in rows])
    finally:
        g.run("ip link del dummy0; ip link del bond0; ip link del br9", check=False)
    wrong = []
    for (request, error, reason), (got, said) in zip(rows, answers, strict=True):
        line = f"{request[0]} {request[1]}: {errno_name(got) or 'accepted'}, {said}"
        say(line)
        if errno_name(got) != error or reason not in said:
            wrong.append(f"{line}; wanted {error} {reason!r}")
    assert not wrong, "\n".join(wrong)


def test_port_changes_address(busy):
    """A port may change to an address nobody has, and its filter follows."""
    h, g = busy, busy.g
    g.run(f"ip link set vm1 address {D}")
    assert f"{D} untagged vswitch" in h.queue(1)["filters"] and A not in h.queue(1)["filters"]
    with h.taps("vm1", h.dev) as t:
        h.send(D, range(20))
        h.send(A, range(100, 120))
        t.wait(40)
    assert t.serials("vm1") == list(range(20)) and t.serials(h.dev) == list(range(100, 120))


def test_every_file_is_documented(host):
    """Every file in sysfs stands in Documentation/ABI/testing/sysfs-class-net-vmq, and nothing else does."""
    h = host
    h.port("vm1", A)
    places = {
        "/sys/class/net/<uplink>/vmq/": f"{h.vmq}",
        "/sys/class/net/<uplink>/queues/rx-<N>/vmq/": h.rxq(1),
        "/sys/class/net/<port>/vmq/": "/sys/class/net/vm1/vmq",
    }
    present = {where + name for where, path in places.items() for name in h.g.out(f"ls {path}").split()}
    with open(ABI) as f:
        documented = set(re.findall(r"^What:\s+(\S+)$", f.read(), re.M))
    say(f"{len(present)} files in sysfs, {len(documented)} documented")
    assert present - documented == set(), "not documented"
    assert {d for d in documented if not d.endswith("/")} - present == set(), "documented, but not there"


def test_queues_stay(busy):
    """Channel counts are fixed; ethtool -L and -X are refused."""
    h = busy
    with h.unchanged():
        for command in (f"ethtool -L {h.dev} combined 4", f"ethtool -L {h.dev} rx 1 tx 1", f"ethtool -X {h.dev} equal 2"):
            r = h.g.run(command, check=False)
            say(f"{command}: {r.stderr.strip()}")
            assert r.rc, command
        shown = h.g.out(f"ethtool -l {h.dev}").rpartition("Current")[2]
        assert re.search(rf"Combined:\s+{POOLS}$", shown, re.M), shown
    assert len(h.g.out(f"ls -d /sys/class/net/{h.dev}/queues/rx-*").split()) == len(VM_QUEUES) + 1
