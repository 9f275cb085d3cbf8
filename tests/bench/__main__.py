# SPDX-License-Identifier: GPL-2.0-only
"""The benchmarks: python3 -m tests.bench. Exit status 1 when a limit is passed."""

import sys

from tests.bench import cost
from tests.bench.counter import plugin
from tests.vm.guest import Guest

ROUNDS = 11


def main():
    print("cost of filters, exactness and hit counters (Documentation/performance.rst)", flush=True)
    with Guest(**cost.MACHINE, plugin=plugin()) as g:
        results = cost.Cost(g).measure(cost.CASES, ROUNDS)
        g.check_console()
    cost.print_table(results)
    cost.print_functions(results)
    over = cost.over(results)
    for case in over:
        print(f"bench: {case.name}: over its limit of {case.limit}")
    print("bench: FAIL" if over else "bench: PASS")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
