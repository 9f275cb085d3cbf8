# SPDX-License-Identifier: GPL-2.0-only
"""Runs all tests, in two processes side by side: python3 -m tests.lanes

A guest that waits, for a link, a timer or another guest, leaves a processor idle;
one lane has the tests that share the two guests of the stock kernel that most use, the other
all else. Each line that is shown has its lane's number in front. A single suite or test is
one lane, as it is: pytest itself (see tests/conftest.py).
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time

from tests import report

LANES = ("1", "2")


def alone():
    """Whether one suite or some tests were asked for."""
    return bool(os.environ.get("T") or os.environ.get("SUITE"))


class Lane:
    def __init__(self, name, directory):
        self.name, self.file = name, os.path.join(directory, name)
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", "--", sys.executable, "-m", "pytest"],
            env={**os.environ, "LANE": name, "LANE_RESULT": self.file},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self.shower = threading.Thread(target=self.show, daemon=True)
        self.shower.start()

    def show(self):
        for line in self.process.stdout:
            report.say(f"[{self.name}] {line.rstrip()}")

    def result(self):
        """What the lane wrote; one that ended without is a failure."""
        status = self.process.wait()
        self.shower.join()
        try:
            with open(self.file) as f:
                found = json.load(f)
        except (OSError, ValueError):
            return self.failure(report.merge([]), f"ended with status {status} and no result")
        if status != found["status"]:
            return self.failure(found, f"ended with status {status}, though it said {found['status']}")
        return found

    def failure(self, result, why):
        result["outcome"][f"lane {self.name}"] = "failed"
        result["problems"].append(f"lane {self.name} {why}")
        return result | {"status": result["status"] or 1}


def results(lanes):
    """Ctrl-C reaches the lanes, too: they end by themselves and say how far they were."""
    found = []
    for lane in lanes:
        while True:
            try:
                found.append(lane.result())
                break
            except KeyboardInterrupt:
                continue
    return found


def main():
    if alone():
        os.execv(sys.executable, [sys.executable, "-m", "pytest"])
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="vmq-lanes-") as directory:
        whole = report.merge(results([Lane(name, directory) for name in LANES]))
    for suite, minutes in whole["minutes"].items():
        report.say_suite(suite, minutes)
    report.say_problems(whole)
    report.say(f"all of it took {(time.monotonic() - began) / 60:.1f} min")
    report.say_sum(whole)
    return whole["status"]


if __name__ == "__main__":
    sys.exit(main())
