# SPDX-License-Identifier: GPL-2.0-only
"""The KUnit suites in User Mode Linux: much faster, so there is more of it.

SEED=n runs the sequence n of the oracle alone, on NICs of every kind.
"""

import os
import re
import subprocess

from tests.kunit.ktap import CASES, Results
from tests.vm import uml
from tests.vm.guest import TOP, script_output

MODULES = ("vmq", "vmq_vswitch", "vmq_igb_test", "vmq_vswitch_test", "vmq_test")
ORACLE = ("vmq_oracle", "vmq_oracle_test_sequences")
SEQUENCES = 100000
# In seconds, of all of them on a busy machine.
ORACLE_TIMEOUT = 7200
# They look at CPUs, of which there is one, and at interrupts, which have no CPU.
NEED_CPUS = {
    *(("vmq_placement", f"vmq_placement_test_{case}") for case in (
        "choose", "pin", "move", "move_fails", "stale", "hint", "hint_user", "free", "cpus", "cpus_off", "hotplug",
        "hotplug_late",
    )),
    *(("vmq_dynamic", f"vmq_dynamic_test_{case}") for case in (
        "spread_and_gather", "hint_stays", "static_again", "home_leaves",
    )),
    ("vmq_vector", "vmq_vector_test_moves"),
}


def modules_for(sequences, seed):
    """Modules with so many sequences in the oracle; the shared ones are left alone."""
    env = {**os.environ, "ORACLE_SEQUENCES": str(sequences), "ORACLE_SEED": str(seed)}
    done = subprocess.run([f"{TOP}/scripts/build-modules", "uml"], env=env, stdout=subprocess.PIPE, text=True,
                          check=True, stdin=subprocess.DEVNULL)
    return done.stdout.strip()


def test_cases():
    """All cases at once, but for those that need several CPUs; no memory is lost."""
    found = Results()
    said = uml.run(script_output("scripts/build-modules", "uml"), MODULES, leaks=True)
    found.read_console(said, "uml")
    leaks = uml.leaks_in(said)
    assert not leaks, leaks
    assert not found.trouble, "\n".join(found.trouble)
    bad = found.red()
    assert not bad, "\n".join(found.text[c] + "\n" + "\n".join(found.splats.get(c, [])) for c in bad)
    assert set(found.verdict) == set(CASES)
    assert {c for c, verdict in found.verdict.items() if verdict == "skipped"} == NEED_CPUS


def test_oracle(count):
    """Random sequences on NICs of every kind meet every limit, and the model is always right."""
    seed = os.environ.get("SEED")
    mods = modules_for(1 if seed else count(SEQUENCES), seed or 1)
    found = Results()
    found.read_console(uml.run(mods, ("vmq", "vmq_test"), glob=".".join(ORACLE), timeout=ORACLE_TIMEOUT), "uml")
    assert not found.trouble, "\n".join(found.trouble)
    assert found.verdict == {ORACLE: "passed"}, found.text.get(ORACLE)
    for line in re.findall(r'(?:"\w.*" in|\d+ sequences,|ok \d+ \w).*', found.text[ORACLE]):
        print(f"    {line}")
