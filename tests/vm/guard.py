#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""guard.py LIFELINE_FD PRIVATE_DIR QEMU ARGS...: run QEMU, never outlive the parent.

Ends QEMU and removes PRIVATE_DIR when the other end of the lifeline (a pipe)
closes, however the parent died; exits with QEMU's status when QEMU ends.
A process of its own because the parent-death signal follows the *thread* that
forked, and a test run forks from whichever thread it likes; this one has one.
"""

import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys

PR_SET_PDEATHSIG = 1


def die_with_guard():
    if ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL):
        os._exit(126)


def main():
    lifeline, private, command = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    # The parent decides what Ctrl-C means; its death closes the lifeline.
    for sig in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(sig, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    qemu = None
    try:
        qemu = subprocess.Popen(command, preexec_fn=die_with_guard)
        poll = select.poll()
        poll.register(os.pidfd_open(qemu.pid), select.POLLIN)
        poll.register(lifeline, select.POLLIN | select.POLLHUP)
        poll.poll()
    finally:
        if qemu:
            if qemu.poll() is None:
                qemu.kill()
            qemu.wait()
        shutil.rmtree(private, ignore_errors=True)
    return qemu.returncode if qemu.returncode >= 0 else 128 - qemu.returncode


if __name__ == "__main__":
    sys.exit(main())
