# SPDX-License-Identifier: GPL-2.0-only
"""The demo: right when all is right, and not when one thing is spoiled."""

import concurrent.futures
import contextlib
import glob
import os
import random
import re
import signal
import subprocess
import time

import pytest

from tests.vm.guest import TOP, cache_dir

DEMO = os.path.join(TOP, "scripts/demo")
# What the closing line has to say went wrong, beside the VM's name.
SAYS = {
    "filter": r"interrupts of queue \d+ belong on CPU \d+, there were none",
    "pin": r"interrupts of queue \d+ belong on CPU \d+, there were \d+ on CPU \d+",
    "leak": r"came to vm\d, though not for it",
    "drop": r"did not arrive at vm\d",
}


# Two emulated machines at once keep the two cores of a small host busy.
AT_ONCE = 2


def run_demo(**environment):
    """Status and lines."""
    kept = {k: v for k, v in os.environ.items() if k not in ("SEED", "DEMO_BREAK")}
    done = subprocess.run(
        [DEMO],
        env={**kept, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    )
    return done.returncode, done.stdout.splitlines()


@pytest.fixture(scope="module")
def demos(request):
    """{kind of DEMO_BREAK or "": (seed, run)} for the tests of this file that
    were chosen; the runs go on side by side while the tests wait for theirs."""
    mine = [i for i in request.session.items if i.module is request.module and "kind" in getattr(i, "fixturenames", ())]
    kinds = [i.callspec.params["kind"] for i in mine]
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        runs = {}
        for kind in kinds:
            seed = str(random.randrange(1, 10**6))
            runs[kind] = seed, pool.submit(run_demo, SEED=seed, DEMO_BREAK=kind)
        yield runs
        for _, run in runs.values():
            run.cancel()


def result(demos, kind):
    seed, run = demos[kind]
    print(f"    SEED={seed}")
    status, lines = run.result()
    return seed, status, lines, "\n".join(lines)


@pytest.mark.parametrize("kind", [""])
def test_demo(kind, demos):
    """The demo passes, and every frame it sent is in its closing line."""
    seed, status, lines, text = result(demos, kind)
    assert status == 0, text
    closing = re.fullmatch(r"demo: PASS (\d+) frames sent, (\d+) where they belong, 0 anywhere else", lines[-1])
    assert closing and closing[1] == closing[2] and int(closing[1]) > 500, text
    assert f"SEED={seed}" in lines[0]
    # Plain text when nobody looks.
    assert "\x1b" not in text and "\r" not in text


@pytest.mark.parametrize("kind", sorted(SAYS))
def test_demo_break(kind, demos):
    """The demo notices what was spoiled, names the VM, and fails."""
    _, status, lines, text = result(demos, kind)
    assert status == 1, text
    victim = re.search(rf"DEMO_BREAK={kind}: .* to (\S+);", text)[1]
    assert re.match(rf"demo: FAIL {re.escape(victim)}\b", lines[-1]), text
    complaints = [line for line in lines if re.match(rf"  wrong: {re.escape(victim)}\b", line)]
    assert any(re.search(SAYS[kind], line) for line in complaints), text


def test_demo_usage():
    """A word that DEMO_BREAK or SEED does not know is refused before anything is done."""
    for environment in ({"DEMO_BREAK": "nonsense"}, {"SEED": "x"}):
        status, lines = run_demo(**environment)
        assert status == 2 and len(lines) == 1, lines


def test_demo_stopped():
    """Ctrl-C at any moment leaves no QEMU, no socket and no log behind."""
    delay = random.choice((0, random.uniform(0, 10)))
    print(f"    after {delay:.2f} s")
    demo = subprocess.Popen([DEMO], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, start_new_session=True)
    for line in demo.stdout:
        if "Booting" in line:
            break
    private = wait_for(lambda: private_of(demo.pid))
    logs = glob.glob(os.path.join(cache_dir(), "runs", f"*-{demo.pid}"))
    assert os.path.isdir(private) and logs
    time.sleep(delay)
    os.killpg(demo.pid, signal.SIGINT)
    rest, _ = demo.communicate(timeout=60)
    assert demo.returncode == 128 + signal.SIGINT
    assert rest.splitlines()[-1].startswith("demo: FAIL")
    assert not os.path.exists(logs[0])
    # QEMU's own guard may still be at it if we did not know QEMU yet.
    wait_for(lambda: not os.path.exists(private) and not qemu_of(private), 10)


def qemu_of(private):
    """Processes whose command line names the directory of a guest's sockets."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/cmdline") as f:
                if private in f.read():
                    found.append(int(pid))
    return found


def private_of(pid):
    """The directory of the sockets of the guest that a process has started."""
    for child in children(pid):
        with contextlib.suppress(OSError):
            with open(f"/proc/{child}/cmdline") as f:
                found = re.search(r"/tmp/vmq-[^/\0]+", f.read())
            if found and len(qemu_of(found[0])) > 1:
                return found[0]
    return None


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return f.read().split()


def wait_for(condition, timeout=60):
    end = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < end
        time.sleep(0.1)
    return value
