# SPDX-License-Identifier: GPL-2.0-only
"""A test guest: QEMU on one of our kernels, on the host's own userland.

    from tests.vm.guest import Guest
    with Guest(kernel="stock", smp=4, nics=[{"wire": "dgram"}], name="link") as g:
        r = g.run("ip -br link", timeout=60)      # .rc .stdout .stderr; check=True raises CommandFailed
        job = g.spawn("ping 10.0.0.2")            # .poll() .wait(timeout) .kill() .stdout .stderr
        job = g.tool("/abs/path.py", "word")      # the same for a Python program, much faster
        g.put("/tmp/x", b"..."); g.get("/proc/interrupts")
        g.wire(0).send(frame)                     # see tests.vm.wire
        g.check_console()                         # raises Splat on anything new that is wrong
        with g.allow("transmit queue 0 timed out"): ...   # lines provoked on purpose
        g.qmp("set_link", name="nic0", up=False)

Kernels: "stock", "debug" (scripts/kernel) or a directory as scripts/kernel
prints it. NICs: {"wire": "dgram"} has the host at the other end, {"wire":
"hub:0"} is wired to every other NIC of hub 0; more keys: "mac", "opts" (igb
properties), "plugged": False (its root port is there, the NIC comes with
plug()). NIC n has MAC 52:54:00:00:01:<n+1>, QEMU id nic<n>, and is the only
device behind the root port at 0000:00:<10+n>.0: g.pci(n), g.netdev(n).

The guest's root is the host's (read-only, under a tmpfs): paths are the same
on both sides, what the guest writes is gone with it. g.shared (host) is
/run/out (guest), writable from both. g.mods: directory of the built modules.
No driver of a NIC is loaded, no network but lo is configured.

Failures: CommandFailed, GuestTimeout (the command was killed after its
timeout), GuestDied (panic, hang; names the console log), Splat; all GuestError.
Logs are in g.logs, below the cache's runs/, and stay if the guest failed or
keep_logs is set.
"""

import atexit
import base64
import contextlib
import dataclasses
import fcntl
import functools
import glob
import itertools
import json
import os
import pwd
import queue
import re
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import weakref

from .wire import Wire

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))

# Generous: a host whose processors are taken by others boots a guest ten times
# slower, and the stall worth a retry is told by its own line.
BOOT_TIMEOUT = {"stock": 240, "debug": 600}
BOOT_RETRIES = 2
# What a command's own timeout is multiplied by.
SLOWNESS = {"stock": 1, "debug": 5}
# Added to a command's own timeout before a silent guest counts as hung.
GRACE = 60
TIMER_STALL = "Possible timer handling issue"
# How often a running guest said so: an idle emulated CPU whose timer never came.
timers_lost = 0
# QEMU 10.0 with several emulated CPUs now and then fails an assertion of its own
# (iotlb_to_section) while the guest's firmware and kernel map the devices.
QEMU_CRASHES = (signal.SIGABRT, signal.SIGSEGV)

# Of the root port above the virtio devices of a guest that sleeps.
VIRTIO_SLOT = 0x8

SPLAT = re.compile(
    r"Kernel panic|Oops:|BUG: |kernel BUG at|WARNING: |cut here \]|Call Trace:|KASAN:|KFENCE:|KCSAN:|UBSAN:"
    r"|general protection fault|unable to handle|invalid opcode|stack segment|double fault|Bad page|[Bb]ad: scheduling"
    r"|scheduling while atomic|sleeping function called|soft lockup|hard LOCKUP|INFO: task .* blocked"
    r"|rcu.*(?:stall|self-detected)|suspicious RCU|INFO: trying to register non-static key|inconsistent lock"
    r"|possible (?:recursive|circular|irq)|held lock freed|locks? held|DEBUG_LOCKS_WARN_ON|INFO: lockdep|ODEBUG:"
    r"|refcount_t:|list_(?:add|del) corruption|DMA-API: (?!preallocated|debugging|dumping)|kmemleak: \d+ new|NETDEV WATCHDOG"
    r"|transmit queue \d+ timed out|waiting for \S+ to become free|page_pool.*stalled|nobody cared"
    r"|Failed to release memory|still in use|Trying to vfree|[Oo]bjects remaining|hw csum failure|Tx Unit Hang"
    r"|debugfs: .* already present|kobject_add_internal failed"
)


class GuestError(Exception):
    """Something in or with a guest went wrong."""


class GuestDied(GuestError):
    """The guest is gone or hangs."""


class BootLost(GuestError):
    """A boot that the emulator lost; another one may get through."""


class GuestTimeout(GuestError):
    """A command did not end in time (and was killed)."""


class CommandFailed(GuestError):
    """A command ended with another status than 0."""


class Splat(GuestError):
    """The kernel complained on the console."""


@dataclasses.dataclass
class Result:
    rc: int
    stdout: str
    stderr: str


def invoker():
    """The user the run is for: the one who called sudo, or ourselves."""
    return pwd.getpwuid(int(os.environ.get("SUDO_UID") or os.getuid()))


def cache_dir():
    return os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.join(invoker().pw_dir, ".cache"), "vmq")


@functools.lru_cache(maxsize=None)
def runs_dir():
    """This process's directory of logs; private to it by its pid."""
    path = os.path.join(cache_dir(), "runs", time.strftime("%Y%m%d-%H%M%S-") + str(os.getpid()))
    os.makedirs(path)
    hold(path)
    return path


def hold(path):
    """Until this process ends, remove_old_runs() leaves the directory alone. By a lock, for
    runs in containers may share the cache, and know nothing of each other's processes."""
    fcntl.flock(os.open(path, os.O_RDONLY), fcntl.LOCK_SH)


def is_held(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def remove_old_runs(kept=20):
    """Logs of failed runs do not pile up; a running run's stay."""
    base = os.path.join(cache_dir(), "runs")
    names = sorted(os.listdir(base)) if os.path.isdir(base) else []
    for name in names[:-kept]:
        # Somebody else may remove it at the same time.
        with contextlib.suppress(FileNotFoundError):
            if not is_held(os.path.join(base, name)):
                shutil.rmtree(os.path.join(base, name), ignore_errors=True)


@functools.lru_cache(maxsize=None)
def script_output(*command):
    """The one line a script of ours prints: a directory. Its progress (stderr)
    is shown. Asked once a process."""
    done = subprocess.run([os.path.join(TOP, command[0]), *command[1:]], stdout=subprocess.PIPE, text=True)
    path = done.stdout.strip()
    if done.returncode or not os.path.isdir(path):
        raise GuestError(f"{' '.join(command)} failed (status {done.returncode}): {path}")
    return path


# Programs that tests start over and over.
WARM_PROGRAMS = ("bash", "ip", "bridge", "ethtool", "cat", "sleep", "grep", "ls")
# What they read before they do a thing: for LANG=C.UTF-8, for the user's name, for names of groups.
WARM_FILES = (
    "/etc/ld.so.cache", "/etc/nsswitch.conf", "/etc/passwd", "/etc/iproute2/*", "/usr/lib/locale/C.utf8/**",
    "/usr/share/locale/locale.alias", "/usr/lib/x86_64-linux-gnu/gconv/gconv-modules.cache",
)


def links_to(path):
    """The symbolic links that lead to a file, also those among its directories."""
    found, parts = [], path.split("/")
    for n in range(2, len(parts) + 1):
        at = "/".join(parts[:n])
        if os.path.islink(at):
            rest = [os.path.join(os.path.dirname(at), os.readlink(at)), *parts[n:]]
            return [*found, at, *links_to(os.path.normpath("/".join(rest)))]
    return found


@functools.lru_cache(maxsize=None)
def warm_files():
    """The files that a guest is to have in its own memory: the programs above, all that they
    load, what they read before they do a thing, and the links there. See tests/vm/agent.py."""
    programs = ["/bin/bash", *filter(None, map(shutil.which, WARM_PROGRAMS))]
    said = subprocess.run(["ldd", *programs], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    libraries = re.findall(r"^\t(?:\S+ => )?(/\S+)", said, re.M)
    others = [p for pattern in WARM_FILES for p in glob.glob(pattern, recursive=True)]
    paths = [p for p in {*programs, *libraries, *others} if os.path.isfile(p)]
    links = [link for p in [*paths, "/var/run"] for link in links_to(p)]
    return sorted({*map(os.path.realpath, paths), *links})


def quote_option(value):
    """QEMU option values end at a comma unless it is doubled."""
    return str(value).replace(",", ",,")


class Job:
    """A background command in the guest."""

    def __init__(self, guest, pid, base):
        self.guest, self.pid, self.base, self.rc = guest, pid, base, None

    def wait(self, timeout=60):
        """Its status; GuestTimeout (and it goes on) if it is not over by then."""
        timeout *= SLOWNESS[self.guest.kind]
        if self.rc is None:
            self.rc = self.guest.call("wait", timeout, pid=self.pid, timeout=timeout)["rc"]
        if self.rc is None:
            raise GuestTimeout(f"background command still runs after {timeout} s: {self.base}.out")
        return self.rc

    def poll(self):
        with contextlib.suppress(GuestTimeout):
            return self.wait(0)
        return None

    def kill(self, sig=signal.SIGTERM):
        """Sends sig to the command and its children; they may take a moment."""
        self.guest.call("kill", 0, pid=self.pid, sig=int(sig))

    def stop(self, sig=signal.SIGTERM, timeout=30):
        """kill and wait; its status."""
        if self.poll() is None:
            self.kill(sig)
        return self.wait(timeout)

    @property
    def stdout(self):
        with open(self.base + ".out", errors="replace") as f:
            return f.read()

    @property
    def stderr(self):
        with open(self.base + ".err", errors="replace") as f:
            return f.read()


class Guest:
    running = weakref.WeakSet()
    names = itertools.count(1)

    def __init__(
        self, kernel="stock", smp=2, mem=None, nics=(), append="", name="guest", keep_logs=False, console="file",
        sleeps=False, plugin=None, leaks=False,
    ):
        """smp: CPUs; mem: MiB (None: 1024, debug 2048); append: more kernel
        command line (the last of two equal parameters wins); console: "stdio"
        puts the serial console on our terminal, for people; sleeps: it can be
        suspended, which costs others their root file system; plugin: a QEMU plugin
        that serves a unix socket, which is then g.plugin_socket; leaks: the debug
        kernel's kmemleak is on, which doubles what all else takes, see leaks()."""
        self.kernel = kernel
        self.kind = "debug" if "debug" in os.path.basename(kernel) else "stock"
        self.smp, self.mem = smp, mem or (2048 if self.kind == "debug" else 1024)
        self.nics = [dict(n) for n in nics]
        self.append, self.name, self.keep_logs, self.console = append, name, keep_logs, console
        self.sleeps, self.plugin, self.kmemleak = sleeps, plugin, leaks and self.kind == "debug"
        self.logs = self.private = self.process = None
        self.failed = False
        self.boots = 0
        # What has to be undone at the end, the last thing first.
        self._undo = contextlib.ExitStack()
        self._allowed = []

    # Life

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.failed |= exc[0] is not None
        self.stop()

    def start(self):
        """Boots; returns self. A boot that stalls on the known timer trouble of
        emulated CPUs, says nothing at all, or in which QEMU itself crashes, is
        tried again, twice at most. One that the kernel ends is not."""
        for attempt in range(1, BOOT_RETRIES + 2):
            try:
                self.launch()
                self.release = self._await_agent()
                return self
            except BootLost as e:
                self.failed = True
                self.stop()
                if attempt > BOOT_RETRIES:
                    raise GuestDied(self._obituary(f"boot failed {attempt} times, last: {e}")) from None
                print(f"guest {self.name}: boot lost ({e}), trying again; log: {self.console_log}", flush=True)
                self.failed = False
            except BaseException:
                self.failed = True
                self.stop()
                raise

    def stop(self):
        """Ends QEMU and takes away all it left. May be repeated."""
        self._undo.close()
        self.process = None
        Guest.running.discard(self)

    def restart(self):
        self.stop()
        return self.start()

    @property
    def alive(self):
        return self.process is not None and self.process.poll() is None and not self.gone.is_set()

    def launch(self):
        """Starts QEMU and does not wait for the guest: for tests of this harness."""
        directory = self.kernel if "/" in self.kernel else script_output("scripts/kernel", self.kernel)
        subprocess.run([os.path.join(HERE, "mkinitrd"), directory], check=True)
        self.stop()
        Guest.running.add(self)
        self.boots += 1
        self.logs = os.path.join(runs_dir(), f"{self.name}-{next(Guest.names)}")
        self.shared = os.path.join(self.logs, "out")
        os.makedirs(self.shared)
        self._undo.callback(self._remove_logs)
        shutil.copy(os.path.join(HERE, "agent.py"), os.path.join(self.shared, ".agent.py"))
        with open(os.path.join(self.shared, ".warm"), "w") as f:
            f.write("".join(f"{path}\n" for path in warm_files()))
        self.console_log = os.path.join(self.logs, "console.log")
        for path in (self.console_log, self.logs + "/qemu.log"):
            open(path, "w").close()
        # Short, whatever the cache's path: a unix socket's has 108 bytes.
        self.private = tempfile.mkdtemp(prefix="vmq-", dir="/tmp")
        self._undo.callback(shutil.rmtree, self.private, ignore_errors=True)
        self.scanned = 0
        self.ids = itertools.count(1)
        self.hello = queue.SimpleQueue()
        self.answers = {0: self.hello}
        self.gone = threading.Event()
        self.send_lock = threading.Lock()
        self._qmp = None
        # The host's ends are bound before QEMU sends: an unbound one loses frames.
        self.wires = {
            n: self._undo.enter_context(contextlib.closing(Wire(f"{self.private}/h{n}", f"{self.private}/q{n}")))
            for n, nic in enumerate(self.nics)
            if nic["wire"] == "dgram"
        }
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(self.private + "/agent")
            listener.listen(1)
            self._start_qemu(self._qemu(directory))
            self.agent = self._undo.enter_context(self._accept(listener))
        self.reader = threading.Thread(target=self._read_answers, name="agent", daemon=True)
        self.reader.start()
        self._undo.callback(self.reader.join)
        self._undo.callback(self._hang_up)

    def _start_qemu(self, command):
        with open(self.logs + "/qemu.cmd", "w") as f:
            f.write(shlex.join(command) + "\n")
        end, self.lifeline = os.pipe()
        guard = [sys.executable, "-B", os.path.join(HERE, "guard.py"), str(end), self.private]
        people = self.console == "stdio"
        with open(self.logs + "/qemu.log", "wb") as log:
            self.process = subprocess.Popen(
                guard + command,
                pass_fds=[end],
                stdin=None if people else subprocess.DEVNULL,
                stdout=None if people else log,
                stderr=log,
                # A session of its own: Ctrl-C is the parent's to deal with.
                start_new_session=not people,
            )
        os.close(end)
        self._undo.callback(self.process.wait)
        self._undo.callback(os.close, self.lifeline)

    def _accept(self, listener):
        """The agent's connection: QEMU connects before the guest runs."""
        listener.settimeout(0.5)
        for _ in range(120):
            with contextlib.suppress(TimeoutError):
                return listener.accept()[0]
            if self.process.poll() is not None:
                break
        raise GuestDied(self._obituary("QEMU does not start"))

    def _hang_up(self):
        with contextlib.suppress(OSError):
            self.agent.shutdown(socket.SHUT_RDWR)

    def _remove_logs(self):
        if not (self.failed or self.keep_logs):
            shutil.rmtree(self.logs, ignore_errors=True)
            with contextlib.suppress(OSError):
                os.rmdir(os.path.dirname(self.logs))

    def _qemu(self, directory):
        accel = os.environ.get("ACCEL") or "tcg"
        # KASAN and kmemleak on an emulated CPU that shares the host's: what takes a
        # second elsewhere may take half a minute. A real lockup lasts longer.
        debug = " watchdog_thresh=30" if self.kind == "debug" else ""
        if self.kind == "debug" and not self.kmemleak:
            debug += " kmemleak=off"
        cmdline = (
            "console=ttyS0 panic=-1 panic_on_warn=1 oops=panic tsc=reliable no_timer_check nokaslr quiet loglevel=5"
            f" kunit.enable=1 rdinit=/init hmods={directory}/modules hname={self.name}{debug} {self.append}"
        )
        log = quote_option(self.console_log)
        console = f"file,id=con,path={log}" if self.console == "file" else f"stdio,id=con,signal=off,logfile={log}"
        args = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-M", "q35"]
        args += ["-accel", "tcg,thread=multi,tb-size=512" if accel == "tcg" else accel, "-cpu", "max"]
        args += ["-smp", str(self.smp), "-m", str(self.mem), "-kernel", f"{directory}/bzImage"]
        args += ["-initrd", f"{directory}/initrd.gz", "-append", cmdline.strip()]
        args += ["-chardev", console, "-serial", "chardev:con"]
        args += ["-qmp", f"unix:{self.private}/qmp,server=on,wait=off"]
        if self.sleeps:
            args += ["-device", f"pcie-root-port,id=virtio,chassis=100,slot=100,addr={VIRTIO_SLOT:#x}"]
        args += ["-device", self._virtio("virtio-serial-pci", 0)]
        args += ["-chardev", f"socket,id=agent,path={self.private}/agent"]
        args += ["-device", "virtserialport,chardev=agent,name=vmq.agent"]
        root = "local,id=root,path=/,security_model=none,readonly=on,multidevs=remap"
        out = f"local,id=out,path={quote_option(self.shared)},security_model=none"
        args += ["-fsdev", root, "-device", self._virtio("virtio-9p-pci,fsdev=root,mount_tag=hostroot", 1)]
        args += ["-fsdev", out, "-device", self._virtio("virtio-9p-pci,fsdev=out,mount_tag=out", 2)]
        if self.plugin:
            args += ["-plugin", f"file={quote_option(self.plugin)},socket={self.plugin_socket}"]
        for n, nic in enumerate(self.nics):
            args += ["-device", f"pcie-root-port,id=rp{n},chassis={n + 1},slot={n + 1},addr={0x10 + n:#x}"]
            if nic["wire"] == "dgram":
                netdev = f"dgram,id=net{n},local.type=unix,local.path={self.private}/q{n}"
                netdev += f",remote.type=unix,remote.path={self.private}/h{n}"
            else:
                netdev = f"hubport,id=net{n},hubid={nic['wire'].removeprefix('hub:')}"
            args += ["-netdev", netdev]
            if nic.get("plugged", True):
                options = ",".join(f"{k}={v}" for k, v in self._device(n).items())
                args += ["-device", options.removeprefix("driver=")]
        return args

    def _virtio(self, device, function):
        """Linux has no way to suspend a virtio file system. It leaves the device alone if
        that says that sleep does not reset it, which only an express device can say."""
        if not self.sleeps:
            return device
        several = "on" if function == 0 else "off"
        return f"{device},bus=virtio,addr=0.{function},multifunction={several},x-pcie-pm-no-soft-reset=on"

    def _device(self, n):
        nic = self.nics[n]
        device = {"driver": "igb", "id": f"nic{n}", "netdev": f"net{n}", "bus": f"rp{n}", "mac": self.mac(n)}
        device.update(o.split("=", 1) for o in nic.get("opts", "").split(",") if o)
        return device

    def _await_agent(self):
        """Waits for the agent's first message, the kernel's release."""
        limit = BOOT_TIMEOUT[self.kind]
        end = time.monotonic() + limit
        while time.monotonic() < end:
            with contextlib.suppress(queue.Empty):
                message = self.hello.get(timeout=1)
                if message is None:
                    why = self._obituary("the guest died while booting")
                    # 0: the kernel's reboot after a panic, or /init gave up.
                    # 1: QEMU refused its options. Above 128: it was a signal.
                    if (self.process.poll() or 0) - 128 in QEMU_CRASHES:
                        raise BootLost(f"QEMU crashed: {self._qemu_log().strip()[-200:]}")
                    raise GuestDied(why)
                return message["release"]
            if TIMER_STALL in self.console_text():
                raise BootLost("timer stall")
        raise BootLost(f"silent for {limit} s")

    # Requests to the agent

    def _read_answers(self):
        # ValueError: the guest died in the middle of an answer.
        with contextlib.suppress(OSError, ValueError):
            stream = self.agent.makefile("rb")
            while len(head := stream.read(4)) == 4:
                message = json.loads(stream.read(struct.unpack(">I", head)[0]))
                waiting = self.answers.pop(message["id"], None)
                if waiting:
                    waiting.put(message)
        self.gone.set()
        for waiting in list(self.answers.values()):
            waiting.put(None)

    def _require_running(self):
        if self.process is None:
            raise GuestError(f"guest {self.name} is not running")

    def call(self, op, patience, /, **args):
        """One request to the agent, answered within patience + GRACE seconds."""
        self._require_running()
        number, answer = next(self.ids), queue.SimpleQueue()
        self.answers[number] = answer
        data = json.dumps({"id": number, "op": op, "args": args}).encode()
        message = None
        with contextlib.suppress(OSError):
            with self.send_lock:
                self.agent.sendall(struct.pack(">I", len(data)) + data)
            # The reader may have seen the end before our queue was in its list.
            if self.gone.is_set():
                answer.put(None)
            try:
                message = answer.get(timeout=patience + GRACE)
            except queue.Empty:
                self.failed = True
                raise GuestDied(self._obituary(f"the guest hangs: no answer to {op} {args}")) from None
        if message is None:
            raise GuestDied(self._obituary(f"the guest died during {op} {args}"))
        if "error" in message:
            raise GuestError(f"{op} {args}: {message['error']}")
        return message

    def run(self, cmd, timeout=60, check=True, env=None, stdin=None):
        """Runs a bash command; children that it leaves go on."""
        self._note(f"run {cmd}")
        timeout *= SLOWNESS[self.kind]
        m = self.call("run", timeout, cmd=cmd, timeout=timeout, env=env, stdin=stdin)
        result = Result(m["rc"], m["stdout"], m["stderr"])
        said = f"\n--- stdout\n{result.stdout[-4000:]}\n--- stderr\n{result.stderr[-4000:]}"
        self._note(f"-> {result.rc}")
        if m["timed_out"]:
            raise GuestTimeout(f"not over after {timeout} s: {cmd}{said}")
        if check and result.rc:
            raise CommandFailed(f"status {result.rc}: {cmd}{said}")
        return result

    def out(self, cmd, timeout=60):
        """Standard output of a command that must succeed, stripped."""
        return self.run(cmd, timeout).stdout.strip()

    def spawn(self, cmd, env=None):
        """Starts a bash command in the background: a Job."""
        name = str(next(self.ids))
        self._note(f"spawn {name}: {cmd}")
        pid = self.call("spawn", 0, cmd=cmd, name=name, env=env)["pid"]
        return Job(self, pid, f"{self.shared}/spawn/{name}")

    def tool(self, path, *argv, netns=None):
        """Starts a Python program (its main() is called, with argv as sys.argv) in
        the background: a Job. Much faster than by command, for the agent forks; a
        file is imported once, so it must not change while the guest runs."""
        number = str(next(self.ids))
        argv = [str(a) for a in argv]
        self._note(f"tool {number}: {path} {' '.join(argv)}" + (f" in {netns}" if netns else ""))
        m = self.call("spawn", 0, name=number, tool=path, argv=argv, netns=netns)
        return Job(self, m["pid"], f"{self.shared}/spawn/{number}")

    def put(self, path, data, mode=0o644):
        self.call("put", 60, path=path, data=base64.b64encode(data).decode(), mode=mode)

    def get(self, path):
        return base64.b64decode(self.call("get", 60, path=path)["data"])

    def read(self, path):
        """Text of a file in the guest, stripped."""
        return self.get(path).decode(errors="replace").strip()

    def files(self, *patterns):
        """{path: text} of all that match these shell patterns; a directory, or what
        cannot be read, has no text. Costs no process, as run() does."""
        return self.call("files", 60, patterns=patterns)["files"]

    def await_file(self, pattern, text=None, timeout=60):
        """Waits until a file that matches is there or has this text; its path, or None."""
        timeout *= SLOWNESS[self.kind]
        return self.call("await", timeout, pattern=pattern, text=text, timeout=timeout)["path"]

    # Console

    def console_text(self, start=0):
        with open(self.console_log, "rb") as f:
            f.seek(start)
            return f.read().decode(errors="replace").replace("\r", "")

    def mark(self, text):
        """Puts a line into the kernel log and waits for it on the console:
        all that was logged before is then in console.log."""
        stamp = f"{text} #{next(self.ids)}"
        self.call("mark", 0, text=stamp)
        end = time.monotonic() + GRACE
        while stamp not in self.console_text(self.scanned):
            if not self.alive or time.monotonic() > end:
                raise GuestDied(self._obituary("the console is stuck"))
            time.sleep(0.02)

    def check_console(self):
        """Raises Splat if the kernel complained since the last check."""
        if self.alive:
            with contextlib.suppress(GuestDied):
                self.mark("check")
        text = self.console_text(self.scanned)
        self._note_lost_timer(text)
        self.scanned += len(text.encode(errors="replace"))
        bad = [
            line
            for line in text.splitlines()
            if SPLAT.search(line) and "vmq-mark:" not in line and not any(a.search(line) for a in self._allowed)
        ]
        if bad:
            self.failed = True
            shown = "\n".join(bad[:20])
            raise Splat(f"guest {self.name}: {len(bad)} bad console lines, log: {self.console_log}\n{shown}")

    @staticmethod
    def _note_lost_timer(text):
        """Nothing else was wrong, and the CPU that did not answer was idle: a driver
        that keeps a CPU from its interrupts looks much the same otherwise."""
        global timers_lost
        bad = [line for line in text.splitlines() if SPLAT.search(line)]
        stalls_only = all(re.search(r"rcu: |Call Trace:", line) for line in bad)
        idle = re.findall(r"idle=\w+/(\w+)/(\w+)", text)
        timers_lost += TIMER_STALL in text and stalls_only and set(idle) == {("0", "0x0")}

    @contextlib.contextmanager
    def allow(self, regex):
        """Console lines that match are no splat while the context lasts.
        (A WARN is a panic all the same unless append says panic_on_warn=0.)"""
        self.check_console()
        pattern = re.compile(regex)
        self._allowed.append(pattern)
        try:
            yield
            self.check_console()
        finally:
            self._allowed.remove(pattern)

    def leaks(self):
        """What kmemleak finds now (debug kernel); empty text if nothing.
        An object counts as leaked only when two scans agree."""
        # One that has switched itself off takes no scan.
        scan = "echo scan > /sys/kernel/debug/kmemleak || exit"
        return self.out(f"{scan}; sleep 6; {scan}; cat /sys/kernel/debug/kmemleak", timeout=300)

    def _obituary(self, why):
        self.failed = True
        if self.gone.is_set() and self.process:
            # The console's last lines are complete when QEMU is gone.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
        self._note_lost_timer(self.console_text(self.scanned))
        lines = self.console_text().splitlines()
        parts = {
            "QEMU said": self._qemu_log()[-2000:].strip(),
            "its first complaints": "\n".join([line for line in lines if SPLAT.search(line)][:3]),
            "its last lines": "\n".join(lines[-40:]),
        }
        told = "".join(f"\n--- {title}\n{text}" for title, text in parts.items() if text)
        return f"guest {self.name}: {why}\nconsole log: {self.console_log}{told}"

    def _qemu_log(self):
        with open(self.logs + "/qemu.log", errors="replace") as f:
            return f.read()

    def _note(self, line):
        """Says in commands.log what is asked of the guest, before it is."""
        self._require_running()
        with open(self.logs + "/commands.log", "a") as f:
            f.write(time.strftime("%H:%M:%S ") + line + "\n")

    # Hardware

    def wire(self, n):
        return self.wires[n]

    def mac(self, n):
        return self.nics[n].get("mac", f"52:54:00:00:01:{n + 1:02x}")

    def pci(self, n):
        """PCI address of NIC n, as in /sys/bus/pci/devices."""
        return os.path.basename(self.out(f"ls -d {self.behind_port(n)}"))

    @staticmethod
    def behind_port(n):
        """Shell pattern of NIC n's sysfs directory: its bus number is the firmware's choice."""
        return f"/sys/bus/pci/devices/0000:00:{0x10 + n:02x}.0/0000:*.0"

    def netdev(self, n):
        """Name of NIC n's network interface in the initial namespace; None if it has none."""
        return self.out(f"ls {self.behind_port(n)}/net 2>/dev/null || true") or None

    @property
    def plugin_socket(self):
        return self.private + "/plugin"

    @property
    def mods(self):
        """Directory of the modules built for this kernel (same path in the guest)."""
        return script_output("scripts/build-modules", self.kind)

    def plug(self, n):
        """Hot-plugs NIC n."""
        self.qmp("device_add", **self._device(n))

    def unplug(self, n, timeout=60):
        """Asks the guest to let NIC n go and waits until it is out."""
        self.qmp("device_del", id=f"nic{n}")
        self.qmp_event("DEVICE_DELETED", timeout, device=f"nic{n}")

    def qmp(self, execute, **arguments):
        """A QMP command's return value; GuestError if QEMU refuses it."""
        if self._qmp is None:
            self._qmp = self._undo.enter_context(socket.socket(socket.AF_UNIX))
            self._qmp.connect(self.private + "/qmp")
            self._qmp_file = self._qmp.makefile("rw")
            self._qmp_events = []
            self._qmp_next(30)
            self.qmp("qmp_capabilities")
        self._qmp_file.write(json.dumps({"execute": execute, "arguments": arguments}) + "\n")
        self._qmp_file.flush()
        while True:
            message = self._qmp_next(30)
            if "error" in message:
                raise GuestError(f"qmp {execute}: {message['error']['desc']}")
            if "return" in message:
                return message["return"]

    def qmp_event(self, name, timeout=30, **data):
        """Waits for an event whose data has these members; returns its data."""
        end = time.monotonic() + timeout
        while True:
            for event in self._qmp_events:
                if event["event"] == name and data.items() <= event.get("data", {}).items():
                    self._qmp_events.remove(event)
                    return event.get("data", {})
            self._qmp_next(max(0.1, end - time.monotonic()))

    def _qmp_next(self, timeout):
        self._qmp.settimeout(timeout)
        try:
            line = self._qmp_file.readline()
        except TimeoutError:
            raise GuestTimeout(f"QEMU said nothing for {timeout:.0f} s") from None
        if not line:
            raise GuestDied(self._obituary("QEMU closed its QMP socket"))
        message = json.loads(line)
        if "event" in message:
            self._qmp_events.append(message)
        return message


@atexit.register
def stop_all():
    for guest in list(Guest.running):
        guest.stop()
