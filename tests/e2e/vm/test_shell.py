# SPDX-License-Identifier: GPL-2.0-only
"""The interactive guest of "make vm", used through a pseudo terminal."""

import os
import pty
import select
import subprocess
import sys
import time

from tests.vm.guest import TOP


def read_until(fd, text, seconds, seen=b""):
    end = time.monotonic() + seconds
    while text not in seen and (left := end - time.monotonic()) > 0:
        if select.select([fd], [], [], left)[0]:
            try:
                seen += os.read(fd, 65536)
            except OSError:
                break
    return seen


def test_shell():
    """A person gets a shell with the driver bound, and a clean end after "exit"."""
    ours, theirs = pty.openpty()
    program = subprocess.Popen(
        [sys.executable, "-B", f"{TOP}/tests/vm/shell"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "KERNEL": "stock"},
    )
    os.close(theirs)
    try:
        seen = read_until(ours, b"# ", 300)
        assert b"On vmq_igb:" in seen, seen.decode(errors="replace")
        os.write(ours, b"echo answer=$((6 * 7)); ls -d /sys/class/net/*/vmq; pwd; exit 5\n")
        seen = read_until(ours, b"nothing ends this read", 60)
        text = seen.decode(errors="replace")
        assert "answer=42" in text and "/vmq" in text and TOP in text, text
        assert program.wait(30) == 0
    finally:
        program.kill()
        program.wait()
        os.close(ours)


def test_shell_needs_a_terminal():
    """Without a terminal "make vm" says so and boots nothing."""
    done = subprocess.run(
        [sys.executable, "-B", f"{TOP}/tests/vm/shell"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 2 and "terminal" in done.stderr and not done.stdout
