# SPDX-License-Identifier: GPL-2.0-only
"""How a run of tests ends: its result, and what is said of it.

A result is a dictionary that JSON can carry: "outcome": {node id: passed, failed
or skipped}, "scenarios": {node id: names}, "minutes": {suite: how long},
"problems": lines, "notes": lines about what is no failure but has to be known,
"logs": directories, "status": pytest's exit status.
"""

import os

# Order of running, and minutes that the short form may take.
BUDGETS = {
    "lint": 1,
    "vm": 3,
    "kunit": 2,
    "link": 4,
    "queues": 4,
    "placement": 2,
    "vswitch": 3,
}
FULL = os.environ.get("FULL", "") not in ("", "0")


def say(text=""):
    print(text, flush=True)


def merge(results):
    """The result of runs that went on side by side, each with tests of its own."""
    whole = {"outcome": {}, "scenarios": {}, "minutes": {}, "problems": [], "notes": [], "logs": [], "status": 0}
    for r in results:
        whole["outcome"].update(r["outcome"])
        whole["scenarios"].update(r["scenarios"])
        for suite, minutes in r["minutes"].items():
            whole["minutes"][suite] = whole["minutes"].get(suite, 0) + minutes
        whole["problems"] += [p for p in r["problems"] if p not in whole["problems"]]
        whole["notes"] += r["notes"]
        whole["logs"] += r["logs"]
        whole["status"] = max(whole["status"], r["status"])
    return whole


def say_suite(suite, minutes):
    budget = BUDGETS.get(suite)
    over = budget and minutes > budget and not FULL
    say(f"== {suite}: {minutes:.1f} min" + (f", OVER its budget of {budget} min" if over else ""))


def say_scenarios(result):
    """A scenario is proven if all tests of it that ran passed."""
    verdict = {}
    for nodeid, outcome in result["outcome"].items():
        for scenario in result["scenarios"].get(nodeid, []):
            verdict[scenario] = verdict.get(scenario, True) and outcome == "passed"
    names = sorted(verdict, key=lambda s: (s.rstrip("0123456789"), int("0" + s.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))))
    say("scenarios proven: " + (" ".join(s for s in names if verdict[s]) or "none"))
    if not all(verdict.values()):
        say("scenarios NOT proven: " + " ".join(s for s in names if not verdict[s]))


def say_problems(result):
    for line in result["problems"] + result["notes"]:
        say(line)
    say_scenarios(result)
    for logs in result["logs"]:
        say(f"logs: {logs}")


def say_sum(result):
    found = list(result["outcome"].values())
    say(", ".join(f"{found.count(outcome)} {outcome}" for outcome in ("passed", "failed", "skipped")))
