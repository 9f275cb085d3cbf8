# SPDX-License-Identifier: GPL-2.0-only
"""What filters, exactness and hit counters cost a frame, in guest instructions.

    with Guest(**MACHINE, plugin=plugin()) as g:
        results = Cost(g).measure(CASES, rounds=9)      # {case: Result}
        print_table(results); over(results)

Frames of each case come by its own queue and die at the same place: all queues
interrupt one CPU, which has nothing else to do, nobody consumes them but the
stack, and no protocol there wants their ethertype. What is measured is the
difference to queue 0 without a filter, which gets the same frames in the same
bursts, in turn with the other cases.
"""

import collections
import dataclasses
import statistics

from tests.bench.counter import KERNEL, Counter
from tests.e2e.link.lib import OUTSIDE, Host, load, say, vm_mac
from tests.vm import topology
from tests.vm.wire import eth

# Processes, other interrupts and callbacks stay away from the CPU of the queues. What
# mitigations add to calls and returns is the same for all, and hides what is not.
QUIET = "isolcpus=1 irqaffinity=0 rcu_nocbs=1 nowatchdog mitigations=off"
MACHINE = {"name": "cost", "smp": 2, "nics": [{"wire": "dgram"}], "append": QUIET}
CPU = 1
# Less than half a ring, and three full polls.
BURST = 192
BURSTS = 15
FRAMES = BURST * BURSTS
# One interrupt for the first frame and one for the rest, as a busy NIC has them.
RX_USECS = 4000
# A function that is called for fewer frames than one in so many works for an
# interrupt or a poll.
FRAMES_A_CALL = 32
OURS = ("vmq", "vmq_igb")
EXACT_LIMIT, COMPARED_LIMIT = 10, 40


@dataclasses.dataclass(frozen=True)
class Case:
    """Frames to `to`, in turn, which are queue `queue`'s by these filters; limit:
    instructions a frame that these may cost."""

    name: str
    queue: int
    filters: tuple
    to: tuple
    exact: bool = True
    count_hits: bool = False
    limit: int | None = None

    @property
    def compared(self):
        return self.count_hits or not self.exact


def macs(first, n):
    return tuple(vm_mac(first + i) for i in range(n))


def any_vlan(addresses):
    return tuple(f"{mac} any" for mac in addresses)


ONE, FOUR, CMP_ONE, CMP_FOUR, MIXED, EIGHT = macs(1, 1), macs(2, 4), macs(6, 1), macs(7, 4), macs(11, 4), macs(15, 8)
BASE = Case("queue 0, no filter", 0, (), (vm_mac(200),))
CASES = (
    BASE,
    Case("exact, 1 filter", 1, any_vlan(ONE), ONE, limit=EXACT_LIMIT),
    Case("exact, 4 filters", 2, any_vlan(FOUR), FOUR, limit=EXACT_LIMIT),
    Case("not exact, 1 filter", 3, CMP_ONE, CMP_ONE, exact=False, limit=COMPARED_LIMIT),
    Case("not exact, 4 filters, one address", 4, CMP_FOUR, CMP_FOUR[:1], exact=False, limit=COMPARED_LIMIT),
    Case("not exact, 4 filters in turn", 4, CMP_FOUR, CMP_FOUR, exact=False, limit=COMPARED_LIMIT),
    Case("not exact, 2 of 4 for any VLAN, in turn", 5, (*MIXED[:2], *any_vlan(MIXED[2:])), MIXED, exact=False,
         limit=COMPARED_LIMIT),
    Case("not exact, 8 filters in turn", 6, EIGHT, EIGHT, exact=False),
    Case("exact, 1 filter, count_hits", 1, any_vlan(ONE), ONE, count_hits=True, limit=COMPARED_LIMIT),
    Case("exact, 4 filters, count_hits", 2, any_vlan(FOUR), FOUR, count_hits=True,
         limit=COMPARED_LIMIT),
)


@dataclasses.dataclass
class Result:
    """Instructions a frame, more than the base: `cost` of the functions that work for
    frames, `low` and `high` the same of single rounds; `ours` of our modules alone,
    `everything` of all that the CPU did. functions: the largest differences."""

    cost: float
    low: float
    high: float
    ours: float
    everything: float
    poll: float
    functions: list


class Cost:
    def __init__(self, guest):
        topology.reserve(guest, 0)
        # Without the switch queue 0 hands over to the stack, as a queue without a
        # port does: where frames end is the same.
        load(guest, "vmq", "vmq_igb")
        self.g, self.h = guest, Host(guest)
        self.h.out(f"ethtool -K {self.h.dev} gro off; ethtool -C {self.h.dev} rx-usecs {RX_USECS}")
        self.h.pin(0, CPU)
        self.counter = Counter(guest)
        self.made = set()

    def make(self, case):
        """The queue of a case, with its filters."""
        if not case.queue or case.queue in self.made:
            return
        self.made.add(case.queue)
        self.h.must([self.h.rxq(case.queue, "state"), "allocate"], [self.h.rxq(case.queue, "state"), "commit"],
                    *[[self.h.rxq(case.queue, "filter_add"), text] for text in case.filters])
        self.h.pin(case.queue, CPU)

    def numbers(self, case):
        """What tells that the frames came by the queue, were compared or not, and died."""
        names = [self.h.rxq(case.queue, name) for name in ("rx_packets", "rx_checked", "rx_mismatch")]
        names.append(f"/sys/class/net/{self.h.dev}/statistics/rx_dropped")
        files = self.h.files(*names)
        return [int(files[name]) for name in names]

    def window(self, case):
        """One series of bursts: what the queues' CPU did."""
        self.h.must([f"{self.h.vmq}/count_hits", str(int(case.count_hits))])
        assert self.h.read(self.h.rxq(case.queue, "exact")) == str(int(case.exact)), case.name
        frames = [eth(case.to[n % len(case.to)], OUTSIDE, serial=n) for n in range(BURST)]
        before = self.numbers(case)
        self.counter.settle(CPU)
        for burst in range(1, BURSTS + 1):
            for frame in frames:
                self.h.wire.send(frame)
            # A ring that is never full loses nothing, however slow the guest is.
            self.g.await_file(self.h.rxq(case.queue, "rx_packets"), str(before[0] + burst * BURST))
        work = self.counter.settle(CPU)
        numbers = [b - a for a, b in zip(before, self.numbers(case), strict=True)]
        wanted = [FRAMES, FRAMES * case.compared, 0, FRAMES]
        assert numbers == wanted, f"{case.name}: frames that came, were compared, mismatched, died: {numbers}"
        return work

    def measure(self, cases, rounds):
        """Round after round, all cases in turn; the first round fills caches and is left out."""
        for case in cases:
            self.make(case)
        works = collections.defaultdict(list)
        for n in range(rounds + 1):
            for case in cases:
                work = self.window(case)
                if n:
                    works[case].append(work)
        self.counter.close()
        return {case: compare(works[case], works[BASE]) for case in cases}


def per_frame(works, kind):
    """{function: median of the rounds} of a kind of number of Work."""
    numbers = [getattr(work, kind) for work in works]
    names = {name for n in numbers for name in n}
    return {name: statistics.median(n[name] for n in numbers) / FRAMES for name in names}


def compare(works, base):
    """The Result of a case; works, base: a Work a round."""
    mine, theirs = per_frame(works, "insns"), per_frame(base, "insns")
    calls, base_calls = per_frame(works, "calls"), per_frame(base, "calls")
    names = mine.keys() | theirs.keys()
    more = {n: mine.get(n, 0) - theirs.get(n, 0) for n in names}
    ours = {n for n in names if n[1] in OURS}
    kept = ours | {n for n in names if max(calls.get(n, 0), base_calls.get(n, 0)) * FRAMES_A_CALL >= 1}
    rounds = list(zip(works, base, strict=True))
    single = [sum(w.insns[n] - b.insns[n] for n in kept) / FRAMES for w, b in rounds]
    return Result(
        cost=sum(more[n] for n in kept),
        low=min(single),
        high=max(single),
        ours=sum(more[n] for n in ours),
        everything=statistics.median(w.total() - b.total() for w, b in rounds) / FRAMES,
        poll=1 / calls["igbq_rx_poll", "vmq_igb"],
        functions=sorted(((more[n], n) for n in kept if abs(more[n]) >= 0.5), key=lambda f: -abs(f[0])),
    )


def over(results):
    """The cases that cost more than they may."""
    return [case for case, r in results.items() if case.limit is not None and r.cost > case.limit]


def print_table(results):
    say(f"{'instructions a frame, more than the first':42} limit   cost  single rounds    ours     all  frames a poll")
    for case, r in results.items():
        limit = "-" if case.limit is None else case.limit
        say(f"{case.name:42} {limit:>5} {r.cost:6.1f} {r.low:6.1f}..{r.high:<6.1f} {r.ours:6.1f} {r.everything:7.1f}"
            f" {r.poll:14.0f}")


def print_functions(results):
    """Where the instructions are that a case costs."""
    for case, r in results.items():
        shown = ", ".join(f"{n:+.1f} {name}" + (f" [{module}]" if module != KERNEL else "")
                          for n, (name, module) in r.functions[:8])
        if shown:
            say(f"{case.name}: {shown}")
