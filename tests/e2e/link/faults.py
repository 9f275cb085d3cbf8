# SPDX-License-Identifier: GPL-2.0-only
"""Sweeps over the allocations of one system call, by faulttool.py."""

import contextlib
import json
import os
import time

from tests.e2e.link.lib import say
from tests.report import FULL

TOOL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "faulttool.py")
# What the kernel itself says of allocations that fail on request.
SAID = r"kobject_add_internal failed for|DMA-API: cacheline tracking ENOMEM"
EVERY = (1 << 30, 1)
# The short form tries each of the first sites, then one in two hundred; or in ten,
# where there are no more than that.
DENSE, STRIDE = EVERY if FULL else (20, 200)
FEW_DENSE, FEW_STRIDE = EVERY if FULL else (40, 10)
PREPARE = (
    "cd /sys/kernel/debug && for d in failslab fail_page_alloc; do"
    # 0: the stacks of failures that were asked for would look like trouble.
    " echo 0 >$d/verbose && echo N >$d/ignore-gfp-wait || exit; done;"
    " echo 0 >fail_page_alloc/min-order; echo N >fail_page_alloc/ignore-gfp-highmem;"
    # Each attempt waits for several grace periods.
    " echo 1 >/sys/kernel/rcu_expedited"
)


# Of both ways to allocate only calls from between these two addresses fail.
REQUIRE = (
    "cd /sys/kernel/debug && for d in failslab fail_page_alloc; do"
    " echo {first:#x} >$d/require-start && echo {last:#x} >$d/require-end || exit; done"
)


@contextlib.contextmanager
def ours_alone(g):
    """No allocation fails but those below our modules, which lie side by side."""
    modules = [line.split() for line in g.read("/proc/modules").splitlines() if line.startswith("vmq")]
    text = [(int(m[5], 16), int(m[1])) for m in modules]
    g.run(REQUIRE.format(first=min(at for at, _ in text), last=max(at + size for at, size in text)))
    try:
        yield
    finally:
        if g.alive:
            g.run(REQUIRE.format(first=0, last=(1 << 64) - 1))


def sweep(g, action, name=None, least=1, **options):
    """Each allocation of the action fails once; what faulttool.py found. Fails unless it works in the end."""
    options = {"action": action, "dense": DENSE, "stride": STRIDE, **options}
    began = time.monotonic()
    with g.allow(SAID):
        job = g.tool(TOOL, "sweep", json.dumps(options))
        rc = job.wait(7200)
        assert rc == 0, f"{name or action}: status {rc}: {job.stdout} {job.stderr}"
    r = json.loads(job.stdout.strip().splitlines()[-1])
    say(
        f"{name or action}: {r['sites']} sites, {r['tried']} tried in {time.monotonic() - began:.0f} s: "
        f"{r['refused']} refused {r['errors']}, {r['survived']} went on without"
    )
    assert r["works"], f"{name or action} does not work after the sweep"
    assert r["tried"] >= least
    return r
