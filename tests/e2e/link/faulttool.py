#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""What the fault tests have run inside the guest; the arguments are one JSON object.

faulttool.py sweep JSON

Repeats a system call with the n-th allocation failing, n = 1, 2, ..., until it
works with none failing. The whole of it is one process, for a shell and its
programs would allocate themselves. What is tried is one of

bind, open, port   the driver takes a PCI function, an interface goes up, a port is
                   made: all of it is undone, or nothing is
request            one request about queues or filters of an uplink that is up: the
                   state is what it was before, or what it is after one that works
"""

import array
import collections
import contextlib
import ctypes
import errno
import fcntl
import glob
import json
import mmap
import os
import re
import socket
import struct
import sys
import time

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
from guesttool import Rtnetlink  # noqa: E402

PATIENCE = 1


def nth_failing(n, action):
    """Runs action with the n-th allocation of this thread failing; its errno
    (0: worked) and whether one was made to fail."""
    fd = os.open("/proc/thread-self/fail-nth", os.O_RDWR)
    number = 0
    os.write(fd, b"%d" % n)
    try:
        action()
    except OSError as e:
        number = e.errno
    left = int(os.pread(fd, 32, 0).strip(b"\n\0") or b"0")
    os.pwrite(fd, b"0", 0)
    os.close(fd)
    return number, left == 0


class Wrong(Exception):
    """An attempt has left what it must not."""


class Action:
    """Something that is done whole, or not at all; run() raises an OSError then."""

    def settle(self):
        """Before the first attempt: it is not done yet."""
        self.undo()

    def begin(self):
        """Before each attempt."""

    def judge(self, n, number):
        """After the n-th attempt, which ended with this errno: whether it is done."""
        if number and self.done():
            raise Wrong("it is done all the same")
        return not number

    def told(self):
        """What there is to say of all attempts."""
        return {}


class BindAction(Action):
    """Hands a PCI function to the driver, and takes it back."""

    def __init__(self, bdf):
        driver = "/sys/bus/pci/drivers/vmq_igb/"
        self.bound = driver + bdf
        self.bdf = bdf.encode()
        self.bind = os.open(driver + "bind", os.O_WRONLY)
        self.unbind = os.open(driver + "unbind", os.O_WRONLY)

    def run(self):
        os.write(self.bind, self.bdf)

    def undo(self):
        if os.path.exists(self.bound):
            os.write(self.unbind, self.bdf)

    def done(self):
        return os.path.exists(self.bound)


class OpenAction(Action):
    """Sets an interface up and down by ioctl, in this very task."""

    SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1

    def __init__(self, dev):
        self.sock = socket.socket()
        self.dev = dev.encode()

    def set(self, up):
        request = array.array("B", struct.pack("16sh22x", self.dev, 0))
        fcntl.ioctl(self.sock, self.SIOCGIFFLAGS, request)
        flags = struct.unpack_from("h", request, 16)[0]
        flags = flags | self.IFF_UP if up else flags & ~self.IFF_UP
        self.request = array.array("B", struct.pack("16sh22x", self.dev, flags))
        fcntl.ioctl(self.sock, self.SIOCSIFFLAGS, self.request)

    def run(self):
        self.set(True)

    def undo(self):
        self.set(False)

    def done(self):
        request = array.array("B", struct.pack("16sh22x", self.dev, 0))
        fcntl.ioctl(self.sock, self.SIOCGIFFLAGS, request)
        return bool(struct.unpack_from("h", request, 16)[0] & self.IFF_UP)


class PortAction(Action):
    """Makes and deletes a port by rtnetlink, in this very task."""

    NAME = "fault0"

    def __init__(self, uplink):
        self.netlink, self.uplink = Rtnetlink(), uplink

    def run(self):
        try:
            number, _ = self.netlink.add_port(self.NAME, "52:54:00:fa:00:01", self.uplink)
        except OSError as e:
            # What failed may have been the answer alone.
            number = 0 if e.errno == errno.ENOBUFS and self.done() else e.errno
        if number:
            raise OSError(number, os.strerror(number))

    def undo(self):
        if self.done():
            self.netlink.del_port(self.NAME)

    def done(self):
        return os.path.exists("/sys/class/net/" + self.NAME)


class State:
    """What a user can see of queues, filters and ports, and what the NIC was told of
    them. scripts/vmq-dump shows more, and would take an emulated CPU seconds."""

    # RCTL, VFRE, VFTE; addresses; VLANs and who takes untagged frames; the rings that run.
    REGISTERS = (
        *(0x100, 0xC8C, 0xC90),
        *range(0x5400, 0x5480, 4),
        *range(0x54E0, 0x5520, 4),
        *range(0x5D00, 0x5D80, 4),
        *range(0x5AD0, 0x5AF0, 4),
        *range(0xC028, 0xC228, 0x40),
        *range(0xE028, 0xE228, 0x40),
    )
    # Counters, and what is about the past.
    PAST = re.compile(r"_(packets|bytes|dropped(_\w+)?)$|/(rx_checked|rx_mismatch|\w+_refused|lookups|reflected|last_error)$")

    def __init__(self, uplink, ports):
        self.uplink = uplink
        base = f"/sys/class/net/{uplink}"
        patterns = [f"{base}/vmq/*", f"{base}/queues/rx-*/vmq/*", *[f"/sys/class/net/{p}/vmq/*" for p in ports]]
        paths = sorted(path for pattern in patterns for path in glob.glob(pattern))
        self.files = [(p, self.open(p)) for p in paths if not self.PAST.search(p)]
        self.interrupts = os.open("/proc/interrupts", os.O_RDONLY)
        fd = os.open(f"{base}/device/resource0", os.O_RDWR | os.O_SYNC)
        window = mmap.mmap(fd, 0x20000)
        self.registers = [(at, ctypes.c_uint32.from_buffer(window, at)) for at in self.REGISTERS]

    @staticmethod
    def open(path):
        try:
            return os.open(path, os.O_RDONLY)
        except OSError:
            # It can only be written.
            return None

    @staticmethod
    def text(path, fd):
        """Without the hits of filters."""
        text = os.pread(fd, 8192, 0).decode()
        if path.endswith("/filters"):
            text = "\n".join(line.rpartition(" ")[0] for line in text.splitlines())
        return text

    def names(self):
        """Of the uplink's interrupts, as in /proc/interrupts."""
        text = b""
        while part := os.pread(self.interrupts, 65536, len(text)):
            text += part
        return sorted(w for w in text.decode().split() if w.startswith(f"{self.uplink}-"))

    def read(self):
        state = {path: self.text(path, fd) for path, fd in self.files if fd is not None}
        state.update((f"register {at:#x}", register.value) for at, register in self.registers)
        state["interrupts"] = self.names()
        return state

    @staticmethod
    def changes(old, new):
        return [f"{name}: {old[name]!r} -> {new[name]!r}" for name in old if old[name] != new[name]]


class Requests:
    """Requests about an uplink, made ready, so that nothing but the kernel allocates:

    ["write", path, text]                  into a file
    ["rule", mac, vid, queue, location]    ethtool -N ... flow-type ether dst MAC vlan VID m 0xf000
    ["unrule", location]                   ethtool -N ... delete
    ["fdb", "add" or "del", port, mac]     bridge fdb ... self
    ["perhaps", request]                   the request; that it is refused is as well
    """

    SIOCETHTOOL, SRXCLSRLDEL, SRXCLSRLINS = 0x8946, 0x31, 0x32
    ETHER_FLOW, FLOW_EXT = 0x12, 0x80000000

    def __init__(self, uplink):
        self.uplink = uplink
        self.sock = socket.socket()
        self.netlink = Rtnetlink()

    def ready(self, request):
        """A function that makes it."""
        return getattr(self, "ready_" + request[0])(*request[1:])

    def ready_write(self, path, text):
        fd, data = os.open(path, os.O_WRONLY), text.encode()
        return lambda: os.pwrite(fd, data, 0)

    def ready_rule(self, mac, vid, queue, location):
        address = bytes.fromhex(mac.replace(":", ""))
        header, mask = address + bytes(46), b"\xff" * 6 + bytes(46)
        extra, extra_mask = struct.pack(">10xH8x", vid), struct.pack(">10xH8x", 0x0FFF)
        flow = self.ETHER_FLOW | self.FLOW_EXT
        spec = struct.pack("I52s20s52s20s4xQI4x", flow, header, extra, mask, extra_mask, queue, location)
        return self.ready_ethtool(self.SRXCLSRLINS, spec)

    def ready_unrule(self, location):
        return self.ready_ethtool(self.SRXCLSRLDEL, struct.pack("160xI4x", location))

    def ready_ethtool(self, command, spec):
        info = struct.pack("IIQ168sI4x", command, 0, 0, spec, 0)

        def request():
            data = ctypes.create_string_buffer(info, len(info))
            fcntl.ioctl(self.sock, self.SIOCETHTOOL, struct.pack("16sQ16x", self.uplink.encode(), ctypes.addressof(data)))

        return request

    def ready_fdb(self, verb, port, mac):
        def request():
            number, _ = self.netlink.fdb(verb, port, mac)
            if number:
                raise OSError(number, os.strerror(number))

        return request

    def ready_perhaps(self, request):
        do = self.ready(request)

        def attempt():
            with contextlib.suppress(OSError):
                do()

        return attempt


class RequestAction(Action):
    """do: a request; undo: those that take it back; before: those that make ready;
    after: those that follow at the very end; partly: it may work in part, and says so."""

    MARK = "count_hits takes 0 or 1 (-22)"

    def __init__(self, uplink, do, undo, ports=(), before=(), after=(), partly=False):
        requests = Requests(uplink)
        self.do, self.back = requests.ready(do), [requests.ready(u) for u in undo]
        self.before, self.after = [requests.ready(r) for r in before], [requests.ready(r) for r in after]
        self.mark = requests.ready(["write", f"/sys/class/net/{uplink}/vmq/count_hits", "mark"])
        self.last_error = os.open(f"/sys/class/net/{uplink}/vmq/last_error", os.O_RDONLY)
        self.state, self.partly = State(uplink, ports), partly
        self.refusals, self.silent = collections.defaultdict(list), []
        # What the last attempt has left, as far as it was looked at.
        self.now = None

    def settle(self):
        """Learns both states."""
        for request in self.before:
            request()
        self.run()
        self.whole = self.state.read()
        for request in self.back:
            request()
        self.none = self.state.read()
        if self.whole == self.none:
            raise Wrong("it changes nothing")

    def run(self):
        self.now = None
        self.do()

    def undo(self):
        if (self.now or self.state.read()) == self.none:
            return
        for request in self.back:
            request()
        wrong = State.changes(self.none, self.settled())
        if wrong:
            raise Wrong(f"undoing it has left {wrong}")

    def begin(self):
        try:
            self.mark()
        except OSError:
            return
        raise Wrong("count_hits takes anything")

    def done(self):
        return self.state.read() == self.whole

    def settled(self):
        """The state. What comes back is offered to the ports by work of the kernel's, which may be under way."""
        end = time.monotonic() + PATIENCE
        while (now := self.state.read()) not in (self.none, self.whole) and time.monotonic() < end:
            time.sleep(0.02)
        return now

    def judge(self, n, number):
        self.now = now = self.settled()
        said = os.pread(self.last_error, 4096, 0).decode().strip()
        # An answer that found no memory is lost; what it was about may be done.
        if number == errno.ENOBUFS and now == self.whole:
            number = 0
        if not number:
            return self.judge_done(n, now, said)
        if said == self.MARK:
            self.silent.append(n)
        elif said.endswith(f"({-number})"):
            self.refusals[said].append(n)
        else:
            raise Wrong(f"the reason is {said!r}")
        wrong = State.changes(self.none, now)
        if wrong:
            raise Wrong(f"refused, and changed {wrong}")
        return False

    def judge_done(self, n, now, said):
        wrong = State.changes(self.whole, now)
        if not wrong:
            return True
        if not self.partly:
            raise Wrong(f"it is not whole: {wrong}")
        if said == self.MARK:
            raise Wrong(f"nobody said why it is not whole: {wrong}")
        self.refusals[said].append(n)
        return True

    def told(self):
        """Which attempts were refused, by reason; `silent`: those for which nobody gave one."""
        for request in self.after:
            request()
        return {"refusals": self.refusals, "silent": self.silent}


ACTIONS = {"bind": BindAction, "open": OpenAction, "port": PortAction, "request": RequestAction}


def cmd_sweep(action, dense, stride, limit=20000, **options):
    """Fails the n-th allocation of an action for n = 1, 2, ... (beyond `dense`
    every `stride`-th) until it works with none failing; then it has to work."""
    a = ACTIONS[action](**options)
    a.settle()
    tried = survived = refused = 0
    errors = collections.Counter()
    n = 1
    try:
        while n < limit:
            a.begin()
            number, injected = nth_failing(n, a.run)
            if not injected and not number:
                break
            tried += 1
            if a.judge(n, number):
                survived += 1
            else:
                refused += 1
                errors[errno.errorcode.get(number, str(number))] += 1
            a.undo()
            n += 1 if n < dense else stride
        else:
            raise Wrong("an allocation still fails")
        if not a.done():
            raise Wrong("nothing failed, and it is not done")
        a.undo()
        a.run()
        works = a.done()
        told = a.told()
    except Wrong as e:
        raise SystemExit(f"n={n}: {action} {options}: {e}") from e
    # The last n that hit anything lies within the last stride.
    sites = max(1, n - stride if n > dense else n - 1)
    print(json.dumps({"sites": sites, "tried": tried, "refused": refused, "survived": survived, "errors": errors,
                      "works": works, **told}))


def main():
    globals()["cmd_" + sys.argv[1]](**json.loads(sys.argv[2]))


if __name__ == "__main__":
    main()
