# SPDX-License-Identifier: GPL-2.0-only
"""What the demo prints: lines as it goes, a table, and a sign of life."""

import threading
import time

HEARTBEAT = 20

ROW = "{:>5}  {:<7}{:<18}{:>5}  {:>6} {:>4}  {:>6} {:>5}  {:>5} {:>5}  {:>5} {:>5}"
HEADS = (
    ("", "", "", "", "CPU", "", "inter-", "rupts", "to", "VM:", "repli", "es:"),
    ("queue", "VM", "MAC address", "VLAN", "wanted", "now", "there", "else", "sent", "came", "sent", "out"),
)


class Printer:
    """Lines to stdout; when it has been silent for long, says what goes on."""

    def __init__(self):
        self.began = self.last = time.monotonic()
        self.doing = None
        threading.Thread(target=self._live, daemon=True).start()

    def __call__(self, line=""):
        self.last = time.monotonic()
        print(line, flush=True)

    def spent(self):
        return int(time.monotonic() - self.began)

    def step(self, text):
        self(text)
        self.doing = text.rstrip(".: ")

    def _live(self):
        while True:
            time.sleep(1)
            if self.doing and time.monotonic() - self.last >= HEARTBEAT:
                self(f"  ... {self.doing}: still at it after {self.spent()} s in all")


def table_head(say):
    say()
    for head in HEADS:
        say(ROW.format(*head).rstrip())


def table_row(say, *cells):
    say(ROW.format(*cells).rstrip())
