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
import glob
import importlib.util
import json
import multiprocessing
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

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


def set_up():
    """Mount what tests look at; name the guest; no network but lo."""
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
            subprocess.run(["mount", "-t", kind, kind, where], env=ENV, check=True)
    modules = options.get("hmods")
    if modules:
        where = "/lib/modules/" + os.uname().release
        os.makedirs(where, exist_ok=True)
        subprocess.run(["mount", "--bind", modules, where], env=ENV, check=True)
    # devtmpfs has none of these; bash's <(...) needs the first.
    for link, target in (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        if not os.path.lexists("/dev/" + link):
            os.symlink(target, "/dev/" + link)
    socket.sethostname(options.get("hname", "guest"))
    subprocess.run(["ip", "link", "set", "lo", "up"], env=ENV, check=True)


def open_port():
    base = "/sys/class/virtio-ports"
    for _ in range(100):
        for port in os.listdir(base) if os.path.isdir(base) else []:
            if open(f"{base}/{port}/name").read().strip() == PORT:
                return os.open("/dev/" + port, os.O_RDWR)
        time.sleep(0.1)
    sys.exit(f"agent: no virtio-serial port {PORT}")


class Tool:
    """A Python program in a fork of the agent: starting Python and
    importing takes seconds in an emulated CPU, once is enough."""

    forking = multiprocessing.get_context("fork")
    modules = {}
    importing = threading.Lock()

    def __init__(self, path, argv, netns, out, err):
        module = self.module(path)
        self.process = self.forking.Process(target=self.child, args=(module, argv, netns, out, err))
        self.process.start()
        self.pid = self.process.pid

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

    @staticmethod
    def child(module, argv, netns, out, err):
        os.setsid()
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)
        if netns:
            libc = ctypes.CDLL(None, use_errno=True)
            with open("/run/netns/" + netns) as f:
                if libc.setns(f.fileno(), CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), f"cannot enter namespace {netns}")
        sys.argv = [module.__file__, *argv]
        sys.exit(module.main())

    def wait(self, timeout):
        self.process.join(timeout)
        if self.process.exitcode is None:
            raise subprocess.TimeoutExpired(self.process.name, timeout)
        return self.process.exitcode


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

    def start(self, cmd, env, stdin, out, err):
        return subprocess.Popen(
            ["/bin/bash", "-c", cmd],
            env={**ENV, **(env or {})},
            cwd="/root",
            stdin=stdin,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )

    def do_run(self, cmd, timeout, env=None, stdin=None):
        """Files, not pipes, take the output: a background child that keeps
        them open must not keep the command from being over."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as given:
            given.write((stdin or "").encode())
            given.seek(0)
            child = self.start(cmd, env, given, out, err)
            timed_out = False
            try:
                rc = child.wait(timeout)
            except subprocess.TimeoutExpired:
                timed_out = True
                os.killpg(child.pid, signal.SIGKILL)
                rc = child.wait()
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
                child = self.start(cmd, env, subprocess.DEVNULL, out, err)
        self.spawned[child.pid] = child
        return {"pid": child.pid}

    def do_wait(self, pid, timeout):
        """The status, which the host keeps: a tool holds two files until it is forgotten."""
        try:
            rc = self.spawned[pid].wait(timeout)
        except subprocess.TimeoutExpired:
            return {"rc": None}
        self.spawned.pop(pid, None)
        return {"rc": rc}

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
