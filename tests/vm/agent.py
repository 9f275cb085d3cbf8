#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""The guest's end of tests.vm.guest: sets the guest up and does what the host asks.

Runs on the guest's /usr/bin/python3, standard library only. Requests and
answers are JSON objects behind a 4-byte big-endian length on the virtio-serial
port "vmq.agent"; every request has an "id" that its answer repeats, so that
many can be under way at once. Operations: see the do_* functions.
"""

import base64
import contextlib
import ctypes
import fcntl
import glob
import importlib.util
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import traceback

PORT = "vmq.agent"
SHARED = "/run/out"
ENV = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
    "OUT": SHARED,
    "PYTHONDONTWRITEBYTECODE": "1",
}
# More than this of a command's output is cut: it belongs in a file.
OUTPUT_MAX = 16 << 20
CLONE_NEWNET = 0x40000000
# A line for each file that guests open all the time.
WARM = SHARED + "/.warm"
SIOCSIFFLAGS = 0x8914
IFF_UP = 1
MS_BIND = 0x1000

libc = ctypes.CDLL(None, use_errno=True)


def check(status, what):
    if status:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def mount(source, target, kind=None, flags=0):
    words = [w and w.encode() for w in (source, target, kind)]
    check(libc.mount(*words, ctypes.c_ulong(flags), None), f"mount {source} {target}")


def up(name):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sH22x", name.encode(), IFF_UP))


def warm():
    """Opening a file of the host's takes several round trips to it, and bash opens twenty
    before it does a thing. What was opened for writing, or a link whose owner was set (to
    what it is), is in the guest's memory."""
    with open(WARM) as f:
        for path in f.read().splitlines():
            # A program that runs stays where it is.
            with contextlib.suppress(OSError):
                if os.path.islink(path):
                    os.lchown(path, -1, -1)
                else:
                    os.close(os.open(path, os.O_WRONLY))


def set_up():
    """Mount what tests look at; name the guest; no network but lo. No program is
    started for it, which takes a guest that has just booted seconds."""
    options = dict(w.split("=", 1) for w in open("/proc/cmdline").read().split() if "=" in w)
    mounts = [
        ("debugfs", "/sys/kernel/debug"),
        ("tracefs", "/sys/kernel/tracing"),
        ("bpf", "/sys/fs/bpf"),
        ("cgroup2", "/sys/fs/cgroup"),
    ]
    known = open("/proc/filesystems").read().split()
    for kind, where in mounts:
        if kind in known and os.path.isdir(where):
            mount(kind, where, kind)
    modules = options.get("hmods")
    if modules:
        where = "/lib/modules/" + os.uname().release
        os.makedirs(where, exist_ok=True)
        mount(modules, where, flags=MS_BIND)
    # devtmpfs has none of these; bash's <(...) needs the first.
    for link, target in (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        if not os.path.lexists("/dev/" + link):
            os.symlink(target, "/dev/" + link)
    socket.sethostname(options.get("hname", "guest"))
    up("lo")
    warm()


def open_port():
    base = "/sys/class/virtio-ports"
    for _ in range(100):
        for port in os.listdir(base) if os.path.isdir(base) else []:
            if open(f"{base}/{port}/name").read().strip() == PORT:
                return os.open("/dev/" + port, os.O_RDWR)
        time.sleep(0.1)
    sys.exit(f"agent: no virtio-serial port {PORT}")


def is_over(pid, timeout):
    """Waits until our child has ended, at most so long; whether it has. Leaves its status."""
    fd = os.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        return bool(poll.poll(timeout * 1000))
    finally:
        os.close(fd)


class Command:
    """A bash command."""

    def __init__(self, cmd, env, stdin, out, err):
        self.process = subprocess.Popen(
            ["/bin/bash", "-c", cmd],
            env={**ENV, **(env or {})},
            cwd="/root",
            stdin=stdin,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
        self.pid = self.process.pid

    def status(self):
        return self.process.wait()


class Tool:
    """A Python program in a fork of the agent: starting Python and
    importing takes seconds in an emulated CPU, once is enough."""

    modules = {}
    importing = threading.Lock()

    def __init__(self, path, argv, netns, out, err):
        module = self.module(path)
        self.pid = os.fork()
        if not self.pid:
            self.child(module, argv, netns, out, err)

    @classmethod
    def module(cls, path):
        """Requests are threads: two may want the same program for the first time."""
        with cls.importing:
            if path not in cls.modules:
                spec = importlib.util.spec_from_file_location(os.path.basename(path).removesuffix(".py"), path)
                module = importlib.util.module_from_spec(spec)
                spec.loader.exec_module(module)
                cls.modules[path] = module
            return cls.modules[path]

    @classmethod
    def child(cls, *args):
        """Does not return: what the agent would do next is not for its child."""
        status = 1
        try:
            status = cls.main(*args)
        except SystemExit as e:
            if isinstance(e.code, str):
                print(e.code, file=sys.stderr)
            status = e.code if isinstance(e.code, int) else int(e.code is not None)
        except BaseException:
            traceback.print_exc()
        finally:
            with contextlib.suppress(OSError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit((status or 0) & 0xFF)

    @staticmethod
    def main(module, argv, netns, out, err):
        os.setsid()
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)
        if netns:
            with open("/run/netns/" + netns) as f:
                check(libc.setns(f.fileno(), CLONE_NEWNET), f"cannot enter namespace {netns}")
        sys.argv = [module.__file__, *argv]
        return module.main()

    def status(self):
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def memory():
    """A file that nobody else sees."""
    return open(os.memfd_create("output"), "w+b")


class Agent:
    def __init__(self, fd):
        self.fd = fd
        self.lock = threading.Lock()
        self.spawned = {}

    def read(self, n):
        data = b""
        while len(data) < n:
            part = os.read(self.fd, n - len(data))
            if not part:
                sys.exit("agent: the host closed the port")
            data += part
        return data

    def answer(self, message):
        data = json.dumps(message).encode()
        data = struct.pack(">I", len(data)) + data
        with self.lock:
            while data:
                data = data[os.write(self.fd, data) :]

    def serve(self):
        self.answer({"id": 0, "release": os.uname().release})
        while True:
            (length,) = struct.unpack(">I", self.read(4))
            request = json.loads(self.read(length))
            threading.Thread(target=self.handle, args=(request,), daemon=True).start()

    def handle(self, request):
        try:
            result = getattr(self, "do_" + request["op"])(**request.get("args", {}))
        except Exception as e:  # the host raises it where the request was made
            result = {"error": f"{type(e).__name__}: {e}"}
        self.answer({"id": request["id"], **result})

    def do_run(self, cmd, timeout, env=None, stdin=None):
        """Files, not pipes, take the output: a background child that keeps
        them open must not keep the command from being over."""
        with memory() as out, memory() as err, memory() as given:
            given.write((stdin or "").encode())
            given.seek(0)
            child = Command(cmd, env, given, out, err)
            timed_out = not is_over(child.pid, timeout)
            if timed_out:
                os.killpg(child.pid, signal.SIGKILL)
            rc = child.status()
            texts = {}
            for name, f in (("stdout", out), ("stderr", err)):
                f.seek(0)
                texts[name] = f.read(OUTPUT_MAX).decode(errors="replace")
        return {"rc": rc, "timed_out": timed_out, **texts}

    def do_spawn(self, name, cmd=None, env=None, tool=None, argv=(), netns=None):
        """A bash command or a tool, in the background. Its output goes straight
        to files on the share, where the host reads it."""
        base = f"{SHARED}/spawn/{name}"
        os.makedirs(os.path.dirname(base), exist_ok=True)
        with open(base + ".out", "wb") as out, open(base + ".err", "wb") as err:
            if tool:
                child = Tool(tool, argv, netns, out, err)
            else:
                child = Command(cmd, env, subprocess.DEVNULL, out, err)
        self.spawned[child.pid] = child
        return {"pid": child.pid}

    def do_wait(self, pid, timeout):
        """The status, which the host keeps."""
        if not is_over(pid, timeout):
            return {"rc": None}
        return {"rc": self.spawned.pop(pid).status()}

    def do_kill(self, pid, sig):
        try:
            os.killpg(pid, sig)
        except ProcessLookupError:
            # Over, or a fork that has not got its own group yet.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sig)
        return {}

    def do_put(self, path, data, mode):
        os.makedirs(os.path.dirname(path) or "/", exist_ok=True)
        with open(path, "wb") as f:
            f.write(base64.b64decode(data))
        os.chmod(path, mode)
        return {}

    def do_get(self, path):
        with open(path, "rb") as f:
            return {"data": base64.b64encode(f.read()).decode()}

    def do_files(self, patterns):
        """{path: text} of all that match; none of a directory or what cannot be read."""
        found = {}
        for path in sorted(p for pattern in patterns for p in glob.glob(pattern)):
            found[path] = ""
            with contextlib.suppress(OSError), open(path, errors="replace") as f:
                found[path] = f.read().rstrip("\n")
        return {"files": found}

    def do_await(self, pattern, text, timeout):
        """Waits until a file that matches is there or, if given, has this text."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            for path, now in self.do_files([pattern])["files"].items():
                if text is None or now == text:
                    return {"path": path}
            time.sleep(0.02)
        return {"path": None}

    def do_mark(self, text):
        """A line in the kernel log: all that was logged before it is on the
        console when it is (level 4, so that it gets there)."""
        with open("/dev/kmsg", "w") as f:
            f.write(f"<4>vmq-mark: {text}\n")
        return {}


if __name__ == "__main__":
    os.environ.update(ENV)
    set_up()
    Agent(open_port()).serve()
