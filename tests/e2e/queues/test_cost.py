# SPDX-License-Identifier: GPL-2.0-only
"""What filters cost a frame: the short form of "make bench"."""

from tests.bench.cost import BASE, CASES, MACHINE, Cost, over, print_functions, print_table
from tests.bench.counter import plugin

# One of each limit, and of those alike the dearest.
DEAR = ("exact, 1 filter", "not exact, 4 filters in turn")
ROUNDS = 3


def test_cost(boot):
    """Guest instructions a frame: at most 10 more by an exact queue than by queue 0, 40 by one that is compared."""
    cases = (BASE, *(case for case in CASES if case.name in DEAR))
    assert len(cases) == 1 + len(DEAR)
    # On the debug kernel it is not the driver that costs.
    g = boot(**MACHINE, kernel="stock", plugin=plugin())
    results = Cost(g).measure(cases, ROUNDS)
    print_table(results)
    print_functions(results)
    assert not over(results), ", ".join(f"{c.name}: {results[c].cost:.1f}, limit {c.limit}" for c in over(results))
