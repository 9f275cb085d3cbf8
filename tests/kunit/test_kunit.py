# SPDX-License-Identifier: GPL-2.0-only
"""The KUnit suites, run in a guest: one test here for each KUnit case.

The cases are read from the sources, so one that did not run is a failure. The
modules are loaded once; a kernel complaint fails the case it came up in, and
the guest goes on (panic_on_warn=0) to tell the rest.
"""

import re

import pytest

from tests.kunit.ktap import CASES, Results
from tests.vm import topology
from tests.vm.guest import SPLAT, Guest, GuestError

# In this order: the long one last.
MODULES = ("vmq_igb_test", "vmq_vswitch_test", "vmq_test")
DEBUGFS = "/sys/kernel/debug/kunit"
# For a busy host; a module takes seconds.
MODULE_TIMEOUT = 600


def run_in(guest, found):
    topology.load(guest, "vmq", "vmq_vswitch")
    for module in MODULES:
        guest.run("dmesg --clear")
        guest.run(f"insmod {guest.mods}/{module}.ko", timeout=MODULE_TIMEOUT)
        found.read_log(guest.out("dmesg --notime"), module)
    for suite in guest.out(f"ls {DEBUGFS}").split():
        found.read_results(suite, guest.read(f"{DEBUGFS}/{suite}/results"))


@pytest.fixture(scope="module")
def guest():
    """KUnit is in the debug kernel alone, so KERNEL= does not count here."""
    with Guest(kernel="debug", smp=4, name="kunit", append="panic_on_warn=0") as g:
        yield g


@pytest.fixture(scope="module")
def results(guest):
    found = Results()
    try:
        run_in(guest, found)
    except GuestError as e:
        # The cases that came through have passed all the same.
        found.trouble.append(str(e))
    return found


@pytest.mark.kernel("debug")
@pytest.mark.parametrize("suite, case", CASES, ids=lambda name: re.sub(r"^.*_test_", "", name))
def test_case(results, suite, case):
    """A KUnit case."""
    verdict = results.verdict.get((suite, case))
    assert verdict is not None, "did not run: " + "\n".join(results.trouble)
    assert verdict == "passed", f"{verdict}\n" + results.text[suite, case]
    assert (suite, case) not in results.splats, "\n".join(results.splats[suite, case])


@pytest.mark.kernel("debug")
def test_all_cases(results):
    """Every case that ran is listed, and loading and running was quiet."""
    assert not results.trouble, "\n".join(results.trouble)
    assert set(results.verdict) == set(CASES)
    print(f"    {len(CASES)} cases in {len({s for s, _ in CASES})} suites")


@pytest.mark.kernel("debug")
def test_unload(results, guest):
    """After the suites the modules unload, and nobody complains (test_uml.py looks for leaks)."""
    guest.run("dmesg --clear")
    guest.run("rmmod " + " ".join(reversed(MODULES)))
    topology.unload(guest)
    assert not SPLAT.search(guest.out("dmesg --notime"))
