# SPDX-License-Identifier: GPL-2.0-only
"""The KUnit suites in User Mode Linux."""

from tests.kunit.ktap import CASES, Results
from tests.vm import uml
from tests.vm.guest import script_output

MODULES = ("vmq", "vmq_vswitch", "vmq_igb_test", "vmq_vswitch_test", "vmq_test")
# They look at CPUs, of which there is one, and at interrupts, which have no CPU.
NEED_CPUS = {
    ("vmq_placement", "vmq_placement_test_choose"),
    ("vmq_placement", "vmq_placement_test_pin"),
    ("vmq_placement", "vmq_placement_test_move"),
}


def test_cases():
    """All cases at once, but for those that need several CPUs."""
    found = Results()
    found.read_console(uml.run(script_output("scripts/build-modules", "uml"), MODULES), "uml")
    assert not found.trouble, "\n".join(found.trouble)
    bad = found.red()
    assert not bad, "\n".join(found.text[c] + "\n" + "\n".join(found.splats.get(c, [])) for c in bad)
    assert set(found.verdict) == set(CASES)
    assert {c for c, verdict in found.verdict.items() if verdict == "skipped"} == NEED_CPUS
