# SPDX-License-Identifier: GPL-2.0-only
"""What KUnit says: verdicts, and complaints of the kernel between them."""

import re
from pathlib import Path

from tests.vm.guest import SPLAT

HERE = Path(__file__).parent

CASE = re.compile(r"\bKUNIT_CASE(?:_SLOW|_PARAM|_ATTR)?\(\s*(\w+)")
SUITE = re.compile(r"struct kunit_suite \w+ = \{\s*\.name\s*= \"(\w+)\"")
# "    ok 3 name" or "    not ok 3 name # SKIP why", below "# Subtest: suite".
RESULT = re.compile(r"^ {4}(not )?ok \d+ (\w+)(?: # (SKIP.*))?$")
SUBTEST = re.compile(r"^ {4}# Subtest: (\w+)$", re.MULTILINE)


def cases_in_sources():
    for path in sorted(HERE.glob("*_test.c")):
        text = path.read_text()
        for name in CASE.findall(text):
            yield SUITE.search(text).group(1), name


CASES = list(cases_in_sources())


class Results:
    """By suite and case: what was said, the verdict, what the kernel said meanwhile."""

    def __init__(self):
        self.text = {}
        self.verdict = {}
        self.splats = {}
        self.trouble = []

    def read_results(self, suite, text):
        """KTAP: the lines of a case stand above its result."""
        above = []
        for line in text.splitlines():
            result = RESULT.match(line)
            above.append(line)
            if result:
                fail, case, skip = result.groups()
                self.verdict[suite, case] = "failed" if fail else "skipped" if skip else "passed"
                self.text[suite, case] = "\n".join(above)
                above = []

    def read_log(self, text, module):
        """A complaint belongs to the case whose result comes next."""
        suite, bad = module, []
        for line in text.splitlines():
            subtest = SUBTEST.match(line)
            result = RESULT.match(line)
            if subtest:
                suite = subtest.group(1)
            elif result and bad:
                self.splats[suite, result.group(2)] = bad
                bad = []
            elif bad or SPLAT.search(line):
                bad.append(line)
        self.trouble += [f"{module}: {line}" for line in bad]

    def read_console(self, text, name):
        """Everything, in one."""
        self.read_log(text, name)
        parts = SUBTEST.split(text)
        for suite, part in zip(parts[1::2], parts[2::2]):
            self.read_results(suite, part)

    def red(self):
        """The cases that did not pass, or in which the kernel complained."""
        return {c for c, verdict in self.verdict.items() if verdict == "failed"} | set(self.splats)
