# SPDX-License-Identifier: GPL-2.0-only
"""The judging of a run (tests/conftest.py, lanes.py), on scratch copies with made-up tests."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from tests.vm import guest
from tests.vm.guest import TOP

PASS_AND_FAIL = """
import pytest

@pytest.mark.scenario("A1")
def test_good():
    '''Does something good.'''

@pytest.mark.scenario("A2")
def test_bad():
    assert 1 == 2

@pytest.fixture
def broken():
    yield
    raise RuntimeError("teardown broke")

@pytest.mark.scenario("A1", "A10")
def test_error(broken):
    pass
"""
SKIP = """
import pytest

def test_good():
    pass

def test_skipped():
    pytest.skip("no such hardware")
"""


@pytest.fixture
def scratch(tmp_path):
    """run(test text, expected skips, env): status and lines of a pytest run of its own."""
    for path in ("pytest.ini", "tests/__init__.py", "tests/conftest.py", "tests/report.py", "tests/lanes.py", "tests/vm"):
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if os.path.isdir(f"{TOP}/{path}"):
            shutil.copytree(f"{TOP}/{path}", target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(f"{TOP}/{path}", target)

    def run(text, skips="", other=None, module="pytest", **env):
        """other: a test file of another suite."""
        for suite, content in (("link", text), ("vm", other)):
            test = tmp_path / f"tests/e2e/{suite}/test_made_up.py"
            test.parent.mkdir(parents=True, exist_ok=True)
            test.write_text(content or "")
        (tmp_path / "tests/expected-skips.txt").write_text(skips)
        chosen = ("T", "SUITE", "KERNEL", "FULL", "LANE", "LANE_RESULT")
        clean = {k: v for k, v in os.environ.items() if k not in chosen}
        done = subprocess.run(
            [sys.executable, "-B", "-m", module],
            cwd=tmp_path,
            env={**clean, "XDG_CACHE_HOME": str(tmp_path / "cache"), **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return done.returncode, done.stdout.splitlines()

    return run


def test_closing_line(scratch):
    """Failures and errors count as failed, the scenarios are listed, the last line is the sum."""
    rc, lines = scratch(PASS_AND_FAIL)
    assert rc == 1
    assert lines[-1] == "1 passed, 2 failed, 0 skipped"
    assert "scenarios proven: none" in lines
    assert "scenarios NOT proven: A1 A2 A10" in lines
    assert "test_good [A1]: Does something good." in lines
    text = "\n".join(lines)
    assert "assert 1 == 2" in text and "teardown broke" in text and "\x1b" not in text


def test_passing_run(scratch):
    """A run without a failure exits 0; T selects by scenario or by part of the name."""
    assert scratch(PASS_AND_FAIL, T="good")[0] == 0
    rc, lines = scratch(PASS_AND_FAIL.replace('"A2"', '"A10"'), T="A1")
    assert lines[-1] == "1 passed, 1 failed, 0 skipped" and rc == 1
    rc, lines = scratch(PASS_AND_FAIL.split("@pytest.mark.scenario(\"A2\")")[0], SUITE="link")
    assert (rc, lines[-1]) == (0, "1 passed, 0 failed, 0 skipped")
    assert "scenarios proven: A1" in lines


@pytest.mark.parametrize(
    "env",
    [{"T": "nothing_like_this"}, {"SUITE": "nosuch"}, {"KERNEL": "nosuch"}],
    ids=["T", "SUITE", "KERNEL"],
)
def test_nothing_chosen(scratch, env):
    """A choice that selects nothing is not a success."""
    rc, lines = scratch(PASS_AND_FAIL, **env)
    assert rc != 0
    assert lines[-1] == "0 passed, 0 failed, 0 skipped"


def test_import_error(scratch):
    """A test file that cannot be read fails the run."""
    rc, lines = scratch("import nosuchmodule\n")
    assert rc != 0 and lines[-1] == "0 passed, 1 failed, 0 skipped"


def test_interrupted(scratch, interruptible):
    """Ctrl-C ends the run with the closing line all the same, and is no success."""
    text = PASS_AND_FAIL.replace("assert 1 == 2", "import os; os.kill(os.getpid(), 2)")
    rc, lines = scratch(text)
    assert rc == 2 and "the run was interrupted" in lines
    assert lines[-1] == "1 passed, 0 failed, 0 skipped"


def test_skips(scratch):
    """A skip has to be expected, with its reason; an expected one has to happen."""
    nodeid = "tests/e2e/link/test_made_up.py::test_skipped"
    assert scratch(SKIP, f"{nodeid} | no such hardware\n")[0] == 0
    for skips in ("", f"{nodeid} | another reason\n", "tests/e2e/link/x.py::test_gone | away\n"):
        rc, lines = scratch(SKIP, skips)
        assert rc == 1 and re.match("1 passed, [12] failed, 0 skipped", lines[-1])
    good = nodeid.replace("skipped", "good")
    rc, lines = scratch(SKIP, f"{nodeid} | no such hardware\n{good} | never\n")
    assert rc == 1 and lines[-1] == "0 passed, 1 failed, 1 skipped"


FAULTY = """
import pytest

@pytest.fixture
def faulty(kernel):
    assert kernel == "debug"

@pytest.mark.kernel("debug")
def test_out_of_memory(faulty):
    pass

def test_good():
    pass
"""
OTHER = "def test_other():\n    pass\n"


def test_stock_kernel_alone(scratch):
    """KERNEL=stock leaves out what needs fault injection, and says how many."""
    for passed, options in ((1, {"SUITE": "link"}), (2, {"other": OTHER, **LANES})):
        rc, lines = scratch(FAULTY, KERNEL="stock", **options)
        assert rc == 0 and lines[-1] == f"{passed} passed, 0 failed, 0 skipped", lines
        assert any(line.startswith("1 left out: they need fault injection") for line in lines[-5:]), lines
    rc, lines = scratch(FAULTY, SUITE="link")
    assert lines[-1] == "2 passed, 0 failed, 0 skipped" and not any("left out" in line for line in lines)


def test_counts(scratch):
    """count() is a twentieth but at least 10, and everything with FULL=1."""
    text = "def test_n(count):\n    print('got', count(10000), count(50))\n"
    assert "got 500 10" in scratch(text)[1]
    assert "got 10000 50" in scratch(text, FULL="1")[1]


LOSES_TIMER = """
from tests.vm import guest

runs = []

def test_lost():
    runs.append(1)
    guest.timers_lost += len(runs) <= {times}
    assert len(runs) > {times}
"""


def test_lost_timer(scratch):
    """A test whose guest's timer the emulator lost is run again, said aloud, twice a run at most."""
    rc, lines = scratch(LOSES_TIMER.format(times=2))
    assert rc == 0 and lines[-1] == "1 passed, 0 failed, 0 skipped"
    assert len([line for line in lines if "the emulator lost the timer" in line]) == 2
    assert len([line for line in lines if line.startswith("run again, for the emulator")]) == 2
    assert "assert 1 > 2" in "\n".join(lines), "the first failure is not shown"
    rc, lines = scratch(LOSES_TIMER.format(times=3))
    assert rc == 1 and lines[-1] == "0 passed, 1 failed, 0 skipped"
    # A failure without it is a failure.
    rc, lines = scratch(LOSES_TIMER.format(times=2).replace("timers_lost +=", "other ="))
    assert rc == 1 and not any("once more" in line for line in lines)


LANES = {"module": "tests.lanes"}


def test_lanes(scratch):
    """Two lanes: each test once, lines marked, one end for both, red if either is."""
    other = "import pytest\n\n@pytest.mark.scenario('A1')\ndef test_other():\n    assert 3 == 3\n"
    rc, lines = scratch(PASS_AND_FAIL, other=other, **LANES)
    assert rc == 1 and lines[-1] == "2 passed, 2 failed, 0 skipped"
    assert "scenarios proven: none" in lines and "scenarios NOT proven: A1 A2 A10" in lines
    assert "[1] test_good [A1]: Does something good." in lines and "[2] test_other [A1]" in lines
    rc, lines = scratch(PASS_AND_FAIL.split("@pytest.mark.scenario(\"A2\")")[0], other=other, **LANES)
    assert rc == 0 and lines[-1] == "2 passed, 0 failed, 0 skipped" and "scenarios proven: A1" in lines
    rc, lines = scratch(PASS_AND_FAIL.split("@pytest.mark.scenario(\"A2\")")[0], other=other.replace("== 3", "== 4"), **LANES)
    assert rc == 1 and lines[-1] == "1 passed, 1 failed, 0 skipped"


def test_lanes_skips(scratch):
    """A skip in either lane is judged, and one of a test that does not exist is told once."""
    skips = "tests/e2e/link/test_made_up.py::test_skipped | no such hardware\n"
    rc, lines = scratch(SKIP, skips, other=SKIP, **LANES)
    assert rc == 1 and lines[-1] == "2 passed, 1 failed, 1 skipped"
    skips += skips.replace("link", "vm")
    rc, lines = scratch(SKIP, skips, other=SKIP, **LANES)
    assert rc == 0 and lines[-1] == "2 passed, 0 failed, 2 skipped"
    rc, lines = scratch(SKIP, skips + "tests/x.py::test_gone | away\n", other=SKIP, **LANES)
    assert rc == 1 and lines[-1] == "2 passed, 1 failed, 2 skipped"
    assert len([line for line in lines if "test_gone" in line]) == 1


def test_lane_dies(scratch):
    """A lane that ends without a word fails the run."""
    other = "import os, signal\n\ndef test_dies():\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    rc, lines = scratch("def test_good():\n    pass\n", other=other, **LANES)
    assert rc == 1 and lines[-1] == "1 passed, 1 failed, 0 skipped"
    assert "lane 2 ended with status -9 and no result" in lines


def test_lane_dies_late(scratch):
    """A lane that is killed after its last test, with its result written, fails the run."""
    other = ("import os, signal, pytest\n\n@pytest.fixture(scope='session')\ndef late():\n    yield\n"
             "    os.kill(os.getpid(), signal.SIGKILL)\n\ndef test_ends_badly(late):\n    pass\n")
    rc, lines = scratch("def test_good():\n    pass\n", other=other, **LANES)
    assert rc == 1 and re.search(", 1 failed, ", lines[-1]), lines[-4:]


def test_one_lane(scratch):
    """With T or SUITE there are no lanes to tell apart."""
    rc, lines = scratch(PASS_AND_FAIL, T="good", **LANES)
    assert rc == 0 and "test_good [A1]: Does something good." in lines and lines[-1] == "1 passed, 0 failed, 0 skipped"


def test_heartbeat(scratch, tmp_path):
    """A test that is silent for long is heard of at least every 30 seconds."""
    conftest = tmp_path / "tests/conftest.py"
    text = conftest.read_text()
    assert "\nHEARTBEAT = 25\n" in text
    conftest.write_text(text.replace("\nHEARTBEAT = 25\n", "\nHEARTBEAT = 2\n"))
    lines = scratch("import time\n\ndef test_slow():\n    time.sleep(5)\n")[1]
    assert "    ... test_slow runs for 2 s" in lines and "    ... test_slow runs for 4 s" in lines


STALL = """rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:
rcu: 	2-...!: (0 ticks this GP) idle=cd18/0/0x0 softirq=14139/14139 fqs=0 (false positive?)
Call Trace:
rcu: 	Possible timer handling issue on cpu=2 timer-softirq=5571
"""


@pytest.mark.parametrize(
    "text, lost",
    [
        (STALL, True),
        (STALL.replace("/0/0x0", "/1/0x4000000000000000"), False),
        (STALL + "BUG: KASAN: slab-use-after-free in igbq_rx_poll\n", False),
        (STALL.replace("Possible timer handling issue", "kthread starved"), False),
        ("", False),
    ],
    ids=["lost", "busy", "another", "starved", "nothing"],
)
def test_lost_timer_is_told(monkeypatch, text, lost):
    """A lost timer is that of an idle CPU, with no other complaint beside it."""
    monkeypatch.setattr(guest, "timers_lost", 0)
    guest.Guest._note_lost_timer(text)
    assert guest.timers_lost == lost
