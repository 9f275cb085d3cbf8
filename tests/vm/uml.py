# SPDX-License-Identifier: GPL-2.0-only
"""User Mode Linux: the kernel as a program of this machine, for KUnit.

    text = uml.run(directory_of_modules, ("vmq", "vmq_test"), glob="vmq_oracle")

loads modules and returns what the kernel said on its console. It is no emulation,
so it is many times faster than a guest; but it has one CPU, no interrupts to pin
and no NIC, so the debug kernel has the last word on every case.

Its root is this machine's, read-only. It needs no privilege, and no /dev but this.
"""

import contextlib
import functools
import os
import signal
import subprocess
import tempfile
import threading

from .guest import GuestDied, script_output

HERE = os.path.dirname(os.path.abspath(__file__))
# KASAN's shadow comes on top.
MEMORY = "512M"
DONE = "uml-init: done"
LEAKS = "uml-init: leaks:"


@functools.lru_cache(maxsize=None)
def memory_dir():
    """Where the kernel's memory is a file: it runs code out of it, and never syncs it."""
    shm = "/dev/shm"
    with contextlib.suppress(OSError):
        if os.access(shm, os.W_OK) and not os.statvfs(shm).f_flag & os.ST_NOEXEC:
            return shm
    return tempfile.gettempdir()


class Ended(GuestDied):
    """It came not to its end: a panic, or it hung and its time was over. Has what it said."""

    def __init__(self, said):
        super().__init__("User Mode Linux ended early, or not at all:\n" + said[-4000:])
        self.said = said


def end_group(pid):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def command(modules, glob, leaks, private):
    options = [
        f"mem={MEMORY}", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", f"init={HERE}/uml-init",
        f"uml_dir={private}/", "umid=vmq", "con=null", "con0=null,fd:1", "console=tty0", "printk.time=0", "panic=-1",
    ]
    if not leaks:
        options.append("kmemleak=off")
    if glob:
        options.append(f"kunit.filter_glob={glob}")
    return [os.path.join(script_output("scripts/kernel", "uml"), "linux"), *options, "--", *modules]


def leaks_in(said):
    """What kmemleak found in a run with leaks=True; empty text if nothing."""
    return said.partition(LEAKS)[2].partition(DONE)[0].strip()


def run(directory, modules, glob=None, leaks=False, timeout=600):
    """What the kernel said; raises Ended if it did not come to its end within @timeout seconds.
    leaks: the modules go again, and kmemleak's findings come last, see leaks_in()."""
    files = [os.path.join(directory, f"{m}.ko") for m in modules]
    with tempfile.TemporaryDirectory(prefix="vmq-uml-") as private:
        with subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *command(files, glob, leaks, private)],
            env={**os.environ, "TMPDIR": memory_dir()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process:
            timer = threading.Timer(timeout, end_group, (process.pid,))
            timer.start()
            try:
                said = process.communicate()[0]
            finally:
                timer.cancel()
                # Its own processes are in the group, also when it is gone.
                end_group(process.pid)
    text = said.decode(errors="replace").replace("\r", "")
    if DONE not in text or leaks and LEAKS not in text:
        raise Ended(text)
    return text
