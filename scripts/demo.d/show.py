# SPDX-License-Identifier: GPL-2.0-only
"""What the demo prints: lines as it goes, a table, and a sign of life."""

import threading
import time

HEARTBEAT = 20

ROW = "{:>5}  {:<6} {:<17}  {:>4}  {:>6} {:>4}  {:>6} {:>9}  {:>5} {:>5}  {:>5} {:>8}"
HEADS = (
    "                                             CPU        interrupts      to the VM      replies",
    ROW.format(
        "queue", "VM", "MAC address", "VLAN", "wanted", "now", "there", "elsewhere", "sent", "came", "asked", "came out"
    ),
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

    def step(self, text, doing):
        self(text)
        self.doing = doing

    def _live(self):
        while True:
            time.sleep(1)
            if self.doing and time.monotonic() - self.last >= HEARTBEAT:
                self(f"  ... still {self.doing}, {self.spent()} s")


def table_head(say):
    say()
    for head in HEADS:
        say(head)


def table_row(say, *cells):
    say(ROW.format(*cells).rstrip())
