# SPDX-License-Identifier: GPL-2.0-only
"""Who should get each frame, and who did.

Every frame has a serial number of its own. It is right when it was received
once at each place where it belongs, as it was sent, and nowhere else. Places
are the names of the VMs' ports, "host" (the uplink's own stack) and "wire" (the
process outside the guest).
"""

import collections
import dataclasses

WIRE = "wire"
Receipt = collections.namedtuple("Receipt", "serial dst src vlan via")


@dataclasses.dataclass
class Frame:
    flow: object
    dst: str
    src: str
    vlan: int
    places: tuple
    # Of it: {place: receipts}, and how many of them were not as it was sent.
    seen: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    changed: int = 0

    def complete(self):
        return all(self.seen[p] for p in self.places)

    def elsewhere(self):
        """Receipts where it does not belong, second ones included."""
        return sum(self.seen.values()) - sum(1 for p in self.places if self.seen[p])

    def right(self):
        return self.complete() and not self.elsewhere() and not self.changed


class Ledger:
    def __init__(self):
        self.frames = {}
        self.strangers = collections.Counter()
        # {(flow, place): {via: receipts}}
        self.via = collections.defaultdict(collections.Counter)

    def expect(self, serial, flow, dst, src, vlan, places):
        self.frames[serial] = Frame(flow, dst, src, vlan, places)

    def note(self, place, receipt):
        frame = self.frames.get(receipt.serial)
        if frame is None:
            self.strangers[place] += 1
            return
        frame.seen[place] += 1
        self.via[id(frame.flow), place][receipt.via] += 1
        frame.changed += (receipt.dst, receipt.src, receipt.vlan) != (frame.dst, frame.src, frame.vlan)

    def received(self, frames, place):
        return sum(f.seen[place] for f in frames)

    def missing(self, serials):
        return sum(not self.frames[s].complete() for s in serials)

    def of(self, flow):
        return [f for f in self.frames.values() if f.flow is flow]

    def settle(self, reply):
        """A question that did not arrive cannot be answered: its reply was
        never sent, so it is not missed."""
        for serial, frame in list(self.frames.items()):
            asked = self.frames.get(serial & ~reply)
            if serial & reply and not frame.seen and not asked.complete():
                del self.frames[serial]

    def totals(self):
        """(frames, those where they belong, receipts anywhere else)"""
        frames = self.frames.values()
        elsewhere = sum(f.elsewhere() for f in frames) + sum(self.strangers.values())
        return len(frames), sum(f.right() for f in frames), elsewhere

    def problems(self, name):
        """A sentence for each way in which frames of a flow went wrong;
        name(flow): what to call its frames."""
        found = []
        groups = collections.defaultdict(list)
        for frame in self.frames.values():
            groups[id(frame.flow), frame.places].append(frame)
        for frames in groups.values():
            answers = "'s replies" if frames[0].places == (WIRE,) else ""
            found += flow_problems(name(frames[0].flow) + answers, frames)
        found += [f"{place}: {n} frames that nobody sent" for place, n in self.strangers.items()]
        return found


def flow_problems(name, frames):
    lost, extra = collections.Counter(), collections.Counter()
    for frame in frames:
        lost.update(p for p in frame.places if not frame.seen[p])
        for place, n in frame.seen.items():
            extra[place] += n - (place in frame.places and n > 0)
    found = [f"{name}: {n} of {len(frames)} did not arrive at {p}" for p, n in lost.items() if n]
    for place, n in extra.items():
        if n:
            # A second receipt where it belongs, or one where it does not.
            times = "once more" if place in frames[0].places else "though not for it"
            found.append(f"{name}: {n} came to {place}, {times}")
    changed = sum(f.changed for f in frames)
    if changed:
        found.append(f"{name}: {changed} arrived with other addresses or another VLAN than sent")
    return found
