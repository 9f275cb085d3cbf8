# SPDX-License-Identifier: GPL-2.0-only
"""How a test run is chosen, shown and judged.

Environment: T (a scenario such as A12, or part of a test's name), SUITE (a
folder of tests/e2e or tests), KERNEL (stock or debug: everything on that one),
FULL=1 (every loop at its full count). Last line of a run: "N passed, N failed,
N skipped"; errors count as failed. tests/lanes.py sets LANE (1 or 2: only that
lane's tests) and LANE_RESULT (the file for tests/report.py's result; the end of the
run is then not shown).

For tests: fixtures link_guest, wired_guest, one_guest, small_guest, leaks_guest,
single_guest, nomsi_guest (tests/vm/topology.py), guests shared by the tests of a run,
rebooted after a failure; boot (a function that boots a guest of the test's own); count
(the number of rounds: count(10000) is 500 in the short form); kernel (its name). All of
these fail the test on a kernel complaint. A test that fails because the emulator lost a
CPU's timer is run again, and says so. Markers: scenario("A12"), kernel("debug").
The first line of a test's docstring says what it does and is printed.
"""

import atexit
import json
import os
import shutil
import threading
import time

import pytest
from _pytest.runner import runtestprotocol

from tests import report
from tests.report import BUDGETS, FULL, say
from tests.vm import guest as vm
from tests.vm import topology

TESTS = os.path.dirname(os.path.abspath(__file__))
SHORT_FORM = 20
SHORT_LEAST = 10
HEARTBEAT = 25
# Guests kept running at the same time: 1 to 2 GiB each.
GUESTS_MAX = 2
# In one process: a second loss is bad luck, a third one is something else.
RETRIES_MAX = 2
LANE_RESULT = os.environ.get("LANE_RESULT")
# Fixtures that make memory run out: no kernel of a distribution can do that.
FAULT_INJECTION = {"faulty"}
# Fixtures that boot guests for a test alone, or for few.
OWN_GUESTS = {"boot", "demos", "one_guest", "nomsi_guest"}


def suite_of(item):
    """tests/e2e/link/test_x.py and tests/lint/test_x.py: the folder's name."""
    parts = os.path.relpath(str(item.path), TESTS).split(os.sep)
    return parts[1] if parts[0] == "e2e" else parts[0]


def own_kernel_of(item):
    marker = item.get_closest_marker("kernel")
    return marker.args[0] if marker else "stock"


def kernel_of(item):
    return os.environ.get("KERNEL") or own_kernel_of(item)


def lane_of(item):
    """1: end to end with the shared guests of the stock kernel that most use: the half of it."""
    shared = suite_of(item) in ("link", "queues", "placement", "vswitch") and OWN_GUESTS.isdisjoint(item.fixturenames)
    return "1" if shared and own_kernel_of(item) == "stock" else "2"


def impossible(item):
    """Whether KERNEL asks for a kernel that cannot run it."""
    return kernel_of(item) == "stock" and not FAULT_INJECTION.isdisjoint(item.fixturenames)


def leave_out(items):
    """Those of them that are possible; the others are told now and at the end."""
    number = sum(map(impossible, items))
    if number:
        run.left_out.append(f"{number} left out: they need fault injection, which the stock kernel does not have")
        say(run.left_out[-1])
    return [i for i in items if not impossible(i)]


def scenarios_of(item):
    return [s for m in item.iter_markers("scenario") for s in m.args]


def read_expected_skips():
    """Lines "NODEID | REASON": the only skips a run may have."""
    expected = {}
    with open(os.path.join(TESTS, "expected-skips.txt")) as f:
        for line in f:
            line = line.strip()
            if line and not line.startswith("#"):
                nodeid, _, reason = line.partition("|")
                expected[nodeid.strip()] = reason.strip()
    return expected


class Run:
    """What happened so far."""

    def __init__(self):
        self.outcome = {}
        self.reason = {}
        self.items = {}
        self.selected_all = True
        self.problems = []
        self.notes = []
        self.left_out = []
        self.logs = []
        self.times = {}
        self.current = None
        self.next_item = None
        self.started = 0
        self.suite_started = time.monotonic()

    def heartbeat(self):
        while True:
            time.sleep(1)
            current, spent = self.current, int(time.monotonic() - self.started)
            if current and spent and spent % HEARTBEAT == 0:
                say(f"    ... {current} runs for {spent} s")

    def note(self, report):
        """The worst phase is the test's outcome."""
        old = self.outcome.get(report.nodeid)
        if report.failed:
            self.outcome[report.nodeid] = "failed"
        elif report.skipped and old != "failed":
            self.outcome[report.nodeid] = "skipped"
            where = report.longrepr
            self.reason[report.nodeid] = where[2] if isinstance(where, tuple) else str(where)
        elif report.when == "call" and old is None:
            self.outcome[report.nodeid] = "passed"

    def judge_skips(self):
        expected = read_expected_skips()
        for nodeid, outcome in self.outcome.items():
            if outcome == "skipped":
                wanted = expected.get(nodeid)
                if wanted is None or wanted not in self.reason[nodeid]:
                    self.fail(nodeid, f"skipped, but not in expected-skips.txt: {self.reason[nodeid]}")
            elif outcome == "passed" and nodeid in expected:
                self.fail(nodeid, "passed, but expected-skips.txt lists it: take it out")
        if self.selected_all:
            for nodeid in expected.keys() - self.items.keys():
                self.fail(nodeid, "is in expected-skips.txt, but there is no such test")

    def fail(self, nodeid, why):
        self.outcome[nodeid] = "failed"
        self.problems.append(f"{nodeid}: {why}")

    def number(self, outcome):
        return list(self.outcome.values()).count(outcome)

    def result(self, status):
        """As tests/report.py has it."""
        return {
            "outcome": self.outcome,
            "scenarios": {n: scenarios_of(self.items[n]) for n in self.outcome if n in self.items},
            "minutes": self.times,
            "problems": self.problems,
            "notes": self.notes + self.left_out,
            "logs": self.logs,
            "status": int(status),
        }


run = Run()


class Pool:
    """The shared guests, by topology and kernel; the least used one makes room."""

    def __init__(self):
        self.guests = {}

    def get(self, name, kernel):
        key = (name, kernel)
        guest = self.guests.pop(key, None)
        if guest and (guest.failed or not guest.alive):
            guest.stop()
            guest = None
        if not guest:
            while len(self.guests) >= GUESTS_MAX:
                self.guests.pop(next(iter(self.guests))).stop()
            guest = boot_guest(kernel=kernel, name=name, **topology.TOPOLOGIES[name])
            try:
                topology.prepare(guest, name)
            except BaseException:
                guest.failed = True
                guest.stop()
                raise
        self.guests[key] = guest
        return guest

    def stop(self):
        while self.guests:
            self.guests.popitem()[1].stop()


pool = Pool()


def boot_guest(**options):
    began = time.monotonic()
    guest = vm.Guest(**options).start()
    took = time.monotonic() - began
    say(f"    booted {guest.name} ({guest.kind} kernel, {guest.smp} CPUs, {guest.mem} MiB) in {took:.0f} s")
    return guest


# Choosing


def pytest_collection_modifyitems(config, items):
    suite, text, kernel, lane = (os.environ.get(k, "") for k in ("SUITE", "T", "KERNEL", "LANE"))
    known = {suite_of(i) for i in items}
    if suite and suite not in known:
        raise pytest.UsageError(f"SUITE={suite}: no such suite; there are {', '.join(sorted(known))}")
    if kernel not in ("", "stock", "debug"):
        raise pytest.UsageError(f"KERNEL={kernel}: it is stock or debug")
    run.items = {i.nodeid: i for i in items}

    def wanted(item):
        if (suite and suite_of(item) != suite) or (lane and lane_of(item) != lane):
            return False
        return not text or text in scenarios_of(item) or text.lower() in item.nodeid.lower()

    order = list(BUDGETS)
    chosen = leave_out([i for i in items if wanted(i)])
    # Suites in order; within one, a kernel's tests stand together.
    rank = {s: order.index(s) if s in order else len(order) for s in known}
    chosen.sort(key=lambda i: (rank[suite_of(i)], suite_of(i), kernel_of(i) == "debug"))
    left_out = [i for i in items if i not in chosen]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
    run.selected_all = not (suite or text)
    items[:] = chosen


# Running

failed = pytest.StashKey[bool]()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    item.stash[failed] |= outcome.get_result().failed


def has_failed(request):
    """Whether the test has, for its fixtures' ends."""
    return request.node.stash[failed]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    """As pytest does it; but a test that lost its guest to the emulator gets another."""
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    run.next_item = nextitem
    while True:
        item.stash[failed] = False
        lost = vm.timers_lost
        reports = runtestprotocol(item, log=False, nextitem=nextitem)
        if not item.stash[failed] or lost == vm.timers_lost or len(run.notes) == RETRIES_MAX:
            break
        for r in reports:
            if r.failed:
                say(r.longreprtext)
        say("    the emulator lost the timer of an idle CPU, see tests/vm/guest.py: once more")
        run.notes.append(f"run again, for the emulator had lost a timer: {item.nodeid}")
        item._initrequest()
    for r in reports:
        item.ihook.pytest_runtest_logreport(report=r)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


# Showing


def pytest_sessionstart(session):
    vm.remove_old_runs()
    threading.Thread(target=run.heartbeat, daemon=True).start()


def pytest_runtest_logstart(nodeid, location):
    item = run.items[nodeid]
    suite = suite_of(item)
    if suite not in run.times:
        end_suite()
        run.times[suite] = None
        run.suite_started = time.monotonic()
        say(f"== {suite}")
    doc = (item.function.__doc__ or "").strip().splitlines() if hasattr(item, "function") else []
    scenarios = " ".join(scenarios_of(item))
    about = f" [{scenarios}]" if scenarios else ""
    say(f"{item.name}{about}: {doc[0] if doc else ''}".rstrip(": "))
    run.current, run.started = item.name, time.monotonic()


def pytest_runtest_logreport(report):
    run.note(report)


def pytest_runtest_logfinish(nodeid, location):
    run.current = None
    outcome = run.outcome.get(nodeid, "failed")
    reason = f": {run.reason[nodeid]}" if outcome == "skipped" else ""
    say(f"    {outcome} in {time.monotonic() - run.started:.1f} s{reason}")


def pytest_report_teststatus(report, config):
    """pytest's own marks are left out; the categories make its summary."""
    if report.failed:
        return ("failed" if report.when == "call" else "error"), "", ""
    return report.outcome, "", ""


def pytest_collectreport(report):
    if report.failed:
        run.outcome[report.nodeid] = "failed"


def end_suite():
    for suite, minutes in run.times.items():
        if minutes is None:
            run.times[suite] = minutes = (time.monotonic() - run.suite_started) / 60
            if not LANE_RESULT:
                report.say_suite(suite, minutes)


# Judging


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_sessionfinish(session, exitstatus):
    if not LANE_RESULT:
        # Whatever happens from here on, and after all that anybody still prints.
        atexit.register(lambda: report.say_sum(run.result(session.exitstatus)))
    run.current = None
    end_suite()
    run.judge_skips()
    if exitstatus == pytest.ExitCode.INTERRUPTED:
        run.problems.append("the run was interrupted")
    if run.number("failed") and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    if not run.number("passed") and session.exitstatus == pytest.ExitCode.OK:
        run.problems.append("nothing was tested")
        session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED
    # Fixtures of an interrupted test end in here and want their guests. One that
    # fails at that is the end of this function, too.
    tell_lanes(session.exitstatus)
    yield
    pool.stop()
    finish_logs(session.exitstatus)
    tell_lanes(session.exitstatus)
    if not LANE_RESULT:
        report.say_problems(run.result(session.exitstatus))


def tell_lanes(status):
    if LANE_RESULT:
        with open(LANE_RESULT, "w") as f:
            json.dump(run.result(status), f)


def finish_logs(status):
    if not vm.runs_dir.cache_info().currsize:
        return
    logs = vm.runs_dir()
    if status == pytest.ExitCode.OK and not run.notes:
        shutil.rmtree(logs, ignore_errors=True)
    elif os.path.isdir(logs):
        run.logs.append(logs)


# Fixtures


@pytest.fixture
def kernel(request):
    """Name of the kernel this test is for."""
    return kernel_of(request.node)


@pytest.fixture
def count():
    """count(n_full): rounds to do in this run, a twentieth in the short form; prints them."""

    def rounds(n_full):
        n = n_full if FULL else max(SHORT_LEAST, n_full // SHORT_FORM)
        say(f"    count: {n}" + ("" if FULL else f" (short form of {n_full})"))
        return n

    return rounds


def shared_guest(request, name):
    guest = pool.get(name, kernel_of(request.node))
    guest.check_console()
    guest.mark(request.node.name)
    for wire in guest.wires.values():
        wire.clear()
    yield guest
    # What a failed test left behind must not fail the next one.
    guest.failed |= has_failed(request)
    guest.check_console()
    if guest.kmemleak and guest.alive and not guest.failed and not uses(run.next_item, name):
        check_leaks(guest)


def uses(item, name):
    return item is not None and f"{name}_guest" in item.fixturenames


def check_leaks(guest):
    """Of all tests in a row on this guest: a scan takes half a minute, and names who allocated."""
    leaks = guest.leaks()
    assert not leaks, leaks
    say("    kmemleak finds nothing")


@pytest.fixture
def link_guest(request):
    yield from shared_guest(request, "link")


@pytest.fixture
def wired_guest(request):
    yield from shared_guest(request, "wired")


@pytest.fixture
def one_guest(request):
    yield from shared_guest(request, "one")


@pytest.fixture
def small_guest(request):
    yield from shared_guest(request, "small")


@pytest.fixture
def leaks_guest(request):
    yield from shared_guest(request, "leaks")


@pytest.fixture
def single_guest(request):
    yield from shared_guest(request, "single")


@pytest.fixture
def nomsi_guest(request):
    yield from shared_guest(request, "nomsi")


@pytest.fixture
def boot(request):
    """boot(nics=[...], ...): a running Guest on the test's kernel for this test alone."""
    guests = []

    def start(**options):
        options.setdefault("kernel", kernel_of(request.node))
        guests.append(boot_guest(**options))
        return guests[-1]

    yield start
    try:
        for guest in guests:
            guest.failed |= has_failed(request)
            if guest.alive:
                guest.check_console()
    finally:
        for guest in guests:
            guest.stop()
