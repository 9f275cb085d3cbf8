# SPDX-License-Identifier: GPL-2.0-only
"""Random frames while filters change: each arrives once and unchanged, where the oracle says, and nowhere else."""

import collections
import os
import random
import struct
import zlib

from tests.e2e.link.lib import BROADCAST, OUTSIDE, POOLS, errno_name, say, tool, vm_mac
from tests.e2e.link.test_scenarios import running_queue
from tests.e2e.queues.oracle import ANY, TOO_LONG, UNTAGGED, Oracle
from tests.report import FULL
from tests.vm.wire import eth

PORTS = {"vm1": (1, vm_mac(1)), "vm2": (2, vm_mac(2)), "vm3": (3, vm_mac(3))}
ADMIN = (4, 5)
MACS = [vm_mac(n) for n in range(1, 9)]
UNKNOWN = ["52:54:00:00:77:01", "52:54:00:00:77:02"]
GROUPS = [BROADCAST, "01:00:5e:00:00:17", "33:33:00:00:00:17"]
# Who claims a group: a port, and a queue of the administrator's.
CLAIMS = {GROUPS[1]: "vm1", GROUPS[2]: ADMIN[0]}
VIDS = [5, 7, 4094]
BUFFERS = ["256", "512", "1024", "auto"]
ETHERTYPES = [0x88B5, 0x0800, 0x0806, 0x86DD, 0x9000, 0x0100]
IP = (0x0800, 0x86DD)
# Frames of a burst: with all copies less than half a ring.
BURST = 50
# What makes a frame a numbered one; the rest of it is random.
NUMBERED = len(eth(OUTSIDE, OUTSIDE, size=0))
# Bytes of an Ethernet frame at least.
SHORTEST = 60


def random_frame(rnd, h, serial):
    """(destination, outer VLAN ID or None, size, the frame)."""
    dst = rnd.choice(MACS * 3 + UNKNOWN + GROUPS * 2 + [h.mac])
    tag = rnd.choice([None, None, 0, *VIDS, 9])
    size = rnd.choice([0, 60, 64, 200, 1000, 1514, TOO_LONG, 5000])
    ethertype = rnd.choice(ETHERTYPES)
    frame = eth(dst, OUTSIDE, serial=serial, size=size, ethertype=ethertype)
    # QEMU 10.0 believes the lengths in an IP header, and dies of some: no IP in these.
    if ethertype not in IP:
        frame = frame[:NUMBERED] + rnd.randbytes(len(frame) - NUMBERED)
    if tag is not None:
        if rnd.random() < 0.2:
            # A second tag inside the first.
            frame = frame[:12] + struct.pack(">HH", 0x8100, 77) + frame[12:]
        frame = frame[:12] + struct.pack(">HH", 0x8100, rnd.randrange(8) << 13 | tag) + frame[12:]
    return dst, tag, size, frame


def arrival(frame):
    """What a receiver has of it: the outer tag in the metadata or None, size, CRC-32 of the rest."""
    # The emulator pads as a sender's NIC does.
    frame, tci = frame.ljust(SHORTEST, b"\0"), None
    if frame[12:14] == b"\x81\0":
        (tci,) = struct.unpack_from(">H", frame, 14)
        frame = frame[:12] + frame[16:]
    return tci, len(frame), zlib.crc32(frame)


class Run:
    """The changes and frames of one seed, and what has to come of them."""

    def __init__(self, h, rnd, taps):
        self.h, self.rnd, self.taps = h, rnd, taps
        self.oracle = Oracle(h.mac, PORTS)
        self.allowed = {}
        self.about = {}
        self.arrivals = {}
        self.least = 0
        # What the change that is under way lets happen.
        self.meanwhile, self.doubled = [], ()
        self.done = collections.Counter()

    def burst(self):
        """Sends frames; what the oracle says of them now, by serial."""
        said = {}
        frames = []
        for _ in range(BURST):
            serial = len(self.arrivals)
            dst, tag, size, frame = random_frame(self.rnd, self.h, serial)
            said[serial] = (dst, tag, size)
            self.arrivals[serial] = arrival(frame)
            frames.append(frame)
        self.h.wire.send_paced(frames)
        return said

    def expect(self, said, *oracles, doubled=()):
        """One of these oracles is right about each of the frames. Those of a doubled group may
        come twice at the port that claims it."""
        for serial, frame in said.items():
            alternatives = [sorted(places, key=str) for o in oracles for places in o.places(*frame)]
            if frame[0] in doubled:
                claimants = {o.claimant(frame[0]) for o in oracles} - {None}
                alternatives += [[*places, c] for places in alternatives for c in claimants if c in places]
            self.allowed[serial] = alternatives
            self.about[serial] = frame
            self.least += min(len(places) for places in alternatives)

    def change(self):
        """One random change; the oracle's rules of it are those of the driver's yes or no."""
        self.meanwhile, self.doubled = [], ()
        kind = self.rnd.choice(["filter"] * 6 + ["entry"] * 3 + ["claim"] * 2 + ["mode", "enabled", "buffers"])
        accepted = getattr(self, f"change_{kind}")()
        self.done[kind, "accepted" if accepted else "refused"] += 1

    def write(self, path, text):
        ((number, _, _),) = tool(self.h.g, "write", items=[[path, text]])
        return errno_name(number)

    def words(self, mac, vlan):
        return f"{mac} {vlan}" if vlan in (UNTAGGED, ANY) else f"{mac} vlan {vlan}"

    def change_filter(self):
        mine = [(key, owner) for key, owner in self.oracle.filters.items()
                if not isinstance(owner, str) and key[0] not in GROUPS]
        if mine and (len(mine) > 8 or self.rnd.random() < 0.4):
            (mac, vlan), owner = self.rnd.choice(mine)
            queue = self.oracle.queue(owner)
            assert self.write(self.h.rxq(queue, "filter_del"), self.words(mac, vlan)) == ""
            self.oracle.delete(mac, vlan)
            return True
        mac, vlan = self.rnd.choice(MACS), self.rnd.choice([UNTAGGED, ANY, *VIDS])
        queue = self.rnd.choice(ADMIN)
        error = self.write(self.h.rxq(queue, "filter_add"), self.words(mac, vlan))
        taken = (mac, vlan) in self.oracle.filters
        assert (error == "EEXIST") == taken, (error, mac, vlan)
        assert error in ("", "EEXIST", "EBUSY", "EOPNOTSUPP"), error
        if not error:
            self.oracle.add(queue, mac, vlan)
        return not error

    def claim(self, group, vlan):
        """A claim of the group comes, or goes if it is there."""
        owner, there = CLAIMS[group], (group, vlan) in self.oracle.filters
        verb = "del" if there else "add"
        if isinstance(owner, str):
            vid = "" if vlan == UNTAGGED else f"vlan {vlan} "
            accepted = not self.h.g.run(f"bridge fdb {verb} {group} {vid}dev {owner} self", check=False).rc
        else:
            error = self.write(self.h.rxq(owner, f"filter_{verb}"), self.words(group, vlan))
            # One more VLAN of the queue: frames of another filter's address would have two queues.
            assert error in ("", "EBUSY"), error
            accepted = not error
        assert accepted or not there, "a claim does not go"
        if accepted and there:
            self.oracle.delete(group, vlan)
        elif accepted:
            self.oracle.add(owner, group, vlan)
        return accepted

    def change_claim(self):
        group = self.rnd.choice(list(CLAIMS))
        self.doubled = (group,)
        return self.claim(group, self.rnd.choice([UNTAGGED, 5, 7]))

    def change_enabled(self):
        """Off and on again, with frames while it is off."""
        off = self.oracle.without(*range(1, POOLS))
        self.meanwhile, self.doubled = [off], tuple(CLAIMS)
        self.h.must([f"{self.h.vmq}/enabled", "0"])
        self.expect(self.burst(), off, self.oracle, doubled=self.doubled)
        self.h.must([f"{self.h.vmq}/enabled", "1"])
        return True

    def change_buffers(self):
        """The queue's frames come by queue 0 meanwhile."""
        queue = self.rnd.choice([*ADMIN, *[queue for queue, _ in PORTS.values()]])
        self.meanwhile, self.doubled = [self.oracle.without(queue)], tuple(CLAIMS)
        error = self.write(self.h.rxq(queue, "buffers"), self.rnd.choice(BUFFERS))
        assert error in ("", "EBUSY"), error
        return not error

    def change_entry(self):
        """bridge fdb of a port, in a VLAN."""
        name = self.rnd.choice(list(PORTS))
        mac, vlan = self.rnd.choice(MACS), self.rnd.choice(VIDS)
        there = self.oracle.filters.get((mac, vlan)) == name
        verb = "del" if there else "add"
        r = self.h.g.run(f"bridge fdb {verb} {mac} vlan {vlan} dev {name} self", check=False)
        assert r.rc == 0 or not there, r.stderr
        if r.rc == 0 and there:
            self.oracle.delete(mac, vlan)
        elif r.rc == 0:
            self.oracle.add(name, mac, vlan)
        return r.rc == 0

    def change_mode(self):
        mode = self.rnd.choice(["auto", "on", "off"])
        error = self.write(f"{self.h.vmq}/vlan_filtering", mode)
        assert error in ("", "EOPNOTSUPP", "EBUSY")
        if not error:
            self.oracle.mode = mode
        return not error

    def step(self):
        """A burst that is on its way while something changes, and one after it."""
        before = self.oracle.copy()
        first = self.burst()
        self.change()
        self.expect(first, before, *self.meanwhile, self.oracle, doubled=self.doubled)
        self.expect(self.burst(), self.oracle)
        effective = self.h.read(f"{self.h.vmq}/vlan_filtering_effective")
        assert (effective == "on") == self.oracle.filtering()
        self.taps.wait(self.least, timeout=20)


def judge_contents(run, taps):
    """Each frame that came is the one that was sent, with the tag in its metadata: [what is wrong, ...]."""
    wrong = []
    for f, content in zip(taps.frames, taps.contents, strict=True):
        sent = run.arrivals.get(f.serial)
        if content != sent:
            wrong.append(f"frame {f.serial} at {f.tap}: tag, size and CRC {content}, should be {sent}")
    return wrong


def judge(run, taps):
    """Compares the receivers' logs with the oracle: [what is wrong, ...]."""
    came = collections.defaultdict(list)
    for f in taps.frames:
        came[f.serial].append(f.tap if isinstance(f.tap, str) else f.tap[1])
    wrong = []
    for serial, alternatives in run.allowed.items():
        if sorted(came[serial], key=str) not in [sorted(places, key=str) for places in alternatives]:
            wrong.append(f"frame {serial} {run.about[serial]}: came at {came[serial]}, should at {alternatives}")
    strange = came.keys() - run.allowed.keys()
    return wrong + [f"frames that nobody sent: {sorted(strange)[:5]}"] * bool(strange)


def test_random_frames(host, count):
    """Each of many random frames arrives once at exactly the places that the oracle names."""
    h, frames = host, count(100000)
    # The short form is the same each time: what fails is of the change that is tested.
    seed = int(os.environ.get("SEED") or (random.randrange(1 << 32) if FULL else 1))
    say(f"SEED={seed}")
    h.ports([mac for _, mac in PORTS.values()])
    assert [h.port_queue(name) for name in PORTS] == [queue for queue, _ in PORTS.values()]
    for group in GROUPS[1:]:
        h.join(group, *PORTS)
    for queue in ADMIN:
        running_queue(h, queue)
    with h.taps(*PORTS, *[(h.dev, n) for n in (0, *ADMIN)], contents=True) as t:
        run = Run(h, random.Random(seed), t)
        assert run.claim(GROUPS[1], UNTAGGED) and run.claim(GROUPS[2], 5)
        while len(run.allowed) < frames:
            run.step()
    say(f"{len(run.allowed)} frames, {len(t.frames)} receipts; changes: " + ", ".join(
        f"{kind} {verdict} {n}" for (kind, verdict), n in sorted(run.done.items())))
    wrong = judge(run, t) + judge_contents(run, t)
    assert not wrong, f"{len(wrong)} frames: " + "; ".join(wrong[:5])
    assert any(sum(1 for s in a if s) > 0 for a in run.allowed.values())
