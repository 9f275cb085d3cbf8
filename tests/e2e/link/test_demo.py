# SPDX-License-Identifier: GPL-2.0-only
"""The demo: right when all is right, and not when one thing is spoiled."""

import os
import random
import re
import subprocess

import pytest

from tests.vm.guest import TOP

DEMO = os.path.join(TOP, "scripts/demo")
# What the closing line has to say went wrong, beside the VM's name.
SAYS = {
    "filter": r"interrupts of queue \d+ belong on CPU \d+, there were none",
    "pin": r"interrupts of queue \d+ belong on CPU \d+, there were \d+ on CPU \d+",
    "leak": r"came to vm\d, though not for it",
    "drop": r"did not arrive at vm\d",
}


def run_demo(**environment):
    """Status, lines. A seed of its own, printed: a failure can be repeated."""
    kept = {k: v for k, v in os.environ.items() if k not in ("SEED", "DEMO_BREAK")}
    done = subprocess.run(
        [DEMO],
        env={**kept, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=400,
    )
    return done.returncode, done.stdout.splitlines()


@pytest.fixture
def seed():
    value = str(random.randrange(1, 10**6))
    print(f"    SEED={value}")
    return value


def test_demo(seed):
    """The demo passes, and every frame it sent is in its closing line."""
    status, lines = run_demo(SEED=seed)
    text = "\n".join(lines)
    assert status == 0, text
    closing = re.fullmatch(r"demo: PASS (\d+) frames sent, (\d+) where they belong, 0 anywhere else", lines[-1])
    assert closing and closing[1] == closing[2] and int(closing[1]) > 500, text
    assert f"SEED={seed}" in lines[0]
    # Plain text when nobody looks.
    assert "\x1b" not in text and "\r" not in text


@pytest.mark.parametrize("kind", sorted(SAYS))
def test_demo_break(kind, seed):
    """The demo notices what was spoiled, names the VM, and fails."""
    status, lines = run_demo(SEED=seed, DEMO_BREAK=kind)
    text = "\n".join(lines)
    assert status == 1, text
    victim = re.search(rf"DEMO_BREAK={kind}: .* to (\S+);", text)[1]
    closing = re.match(rf"demo: FAIL {re.escape(victim)}\b(.*)", lines[-1])
    assert closing, text
    complaints = [line for line in lines if re.match(rf"  wrong: {re.escape(victim)}\b", line)]
    assert any(re.search(SAYS[kind], line) for line in complaints), text


def test_demo_usage():
    """A word that DEMO_BREAK or SEED does not know is refused before anything is done."""
    for environment in ({"DEMO_BREAK": "nonsense"}, {"SEED": "x"}):
        status, lines = run_demo(**environment)
        assert status == 2 and len(lines) == 1, lines
