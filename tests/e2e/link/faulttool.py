#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""What the fault tests have run inside the guest; the arguments are one JSON object.

faulttool.py sweep JSON

Repeats a system call with the n-th allocation failing, n = 1, 2, ..., until it
works with none failing. The whole of it is one process, for a shell and its
programs would allocate themselves. What is tried is one of

bind, open, port   the driver takes a PCI function, an interface goes up, a port is
                   made: all of it is undone, or nothing is
request            one request about queues, filters or ports of an uplink that is up: the
                   state is what it was before, or what it is after one that works
join               a program on a port joins a group: the port hears it, and no other for long
want               one wants an address there, or does not any more, which the kernel's
                   workers do: for them allocations fail, and it is done all the same, soon
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
# Until what found no memory has been tried again.
RETRY_PATIENCE = 10


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

    def attempt(self, n):
        """With the n-th allocation failing: as nth_failing()."""
        return nth_failing(n, self.run)

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
        self.uplink, self.ports, self.netlink = uplink, ports, Rtnetlink()
        base = f"/sys/class/net/{uplink}"
        patterns = [f"{base}/vmq/*", f"{base}/queues/rx-*/vmq/*", *[f"/sys/class/net/{p}/vmq/*" for p in ports]]
        paths = sorted(path for pattern in patterns for path in glob.glob(pattern))
        files = [[p, self.open(p)] for p in paths if not self.PAST.search(p)]
        self.files = [file for file in files if file[1] is not None]
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

    def current(self, file):
        """The text; a port may have gone, and come again, since it was read last."""
        path, fd = file
        if fd is not None:
            with contextlib.suppress(OSError):
                return self.text(path, fd)
            os.close(fd)
        file[1] = self.open(path)
        return "" if file[1] is None else self.text(path, file[1])

    def fdb(self):
        """Of the ports that there are."""
        names = {Rtnetlink.index(p): p for p in self.ports if os.path.exists(f"/sys/class/net/{p}")}
        return sorted(f"{names[at]} {mac} {vid}" for at, mac, vid in self.netlink.fdb_entries() if at in names)

    def names(self):
        """Of the uplink's interrupts, as in /proc/interrupts."""
        text = b""
        while part := os.pread(self.interrupts, 65536, len(text)):
            text += part
        return sorted(w for w in text.decode().split() if w.startswith(f"{self.uplink}-"))

    def read(self):
        state = {file[0]: self.current(file) for file in self.files}
        state.update((f"register {at:#x}", register.value) for at, register in self.registers)
        state["interrupts"], state["fdb"] = self.names(), self.fdb()
        return state

    @staticmethod
    def changes(old, new):
        return [f"{name}: {old[name]!r} -> {new[name]!r}" for name in old if old[name] != new[name]]


class Requests:
    """Requests about an uplink, made ready, so that nothing but the kernel allocates:

    ["write", path, text]                  into a file
    ["rule", mac, vid, queue, location]    ethtool -N ... flow-type ether dst MAC vlan VID m 0xf000
    ["unrule", location]                   ethtool -N ... delete
    ["fdb", "add" or "del", port, mac, vid]    bridge fdb ... self; vid may be left out
    ["vlan", "add" or "del", port, first, last]    bridge vlan ... vid FIRST-LAST self
    ["port", options of Rtnetlink.add_port()]  ip link add ... type vmq
    ["unport", port]                       ip link del
    ["open", path, text]                   into a file that may have gone, and come again, since
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

    @staticmethod
    def answered(ask, *words, **options):
        def request():
            number, _ = ask(*words, **options)
            if number:
                raise OSError(number, os.strerror(number))

        return request

    def ready_fdb(self, *words):
        return self.answered(self.netlink.fdb, *words)

    def ready_vlan(self, *words):
        return self.answered(self.netlink.vlans, *words)

    def ready_port(self, options):
        return self.answered(self.netlink.add_port, link=self.uplink, **options)

    def ready_unport(self, name):
        return self.answered(self.netlink.del_port, name)

    def ready_open(self, path, text):
        data = text.encode()

        def request():
            fd = os.open(path, os.O_WRONLY)
            try:
                os.write(fd, data)
            finally:
                os.close(fd)

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
        self.uplink, self.ports, self.partly = uplink, ports, partly
        self.refusals, self.silent = collections.defaultdict(list), []
        # What the last attempt has left, as far as it was looked at.
        self.now = None

    def settle(self):
        """Learns both states."""
        for request in self.before:
            request()
        self.state = State(self.uplink, self.ports)
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


SOL_PACKET, ADD_MEMBERSHIP, DROP_MEMBERSHIP = 263, 1, 2
GROUP, UNICAST = 0, 3


class Listener:
    """A program on an interface that wants to hear an address."""

    def __init__(self, name):
        self.sock, self.index = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0), Rtnetlink.index(name)

    def change(self, how, kind, mac):
        request = struct.pack("=iHH8s", self.index, kind, 6, bytes.fromhex(mac.replace(":", "")))
        self.sock.setsockopt(SOL_PACKET, how, request)


class JoinAction(Action):
    """Joins a group on a port, which has joined others before, and never misses those. What
    it hears the next port says, by a frame to each group; who hears `other` hears all."""

    def __init__(self, port, sender, groups, other):
        *self.before, self.group = groups
        self.other, self.listener = other, Listener(port)
        self.counter = os.open(f"/sys/class/net/{port}/vmq/rx_switch_packets", os.O_RDONLY)
        self.sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.sender.bind((sender, 0))
        with open(f"/sys/class/net/{sender}/address") as f:
            self.source = bytes.fromhex(f.read().strip().replace(":", ""))
        self.all, self.joined = [], False

    def settle(self):
        for group in self.before:
            self.listener.change(ADD_MEMBERSHIP, GROUP, group)

    def heard(self):
        return int(os.pread(self.counter, 32, 0))

    def hears(self, group):
        had = self.heard()
        self.sender.send(bytes.fromhex(group.replace(":", "")) + self.source + b"\x88\xb5" + bytes(46))
        return self.heard() > had

    def run(self):
        self.listener.change(ADD_MEMBERSHIP, GROUP, self.group)
        self.joined = True

    def undo(self):
        if self.joined:
            self.listener.change(DROP_MEMBERSHIP, GROUP, self.group)
        self.joined = False

    def done(self):
        return self.hears(self.group)

    def judge(self, n, number):
        all_groups = self.hears(self.other)
        for group in self.before:
            if not self.hears(group):
                raise Wrong(f"{group}, joined before, is not heard")
        if not number and not self.done():
            raise Wrong("joined, and not heard")
        if all_groups:
            self.all.append(n)
            end = time.monotonic() + RETRY_PATIENCE
            while self.hears(self.other):
                if time.monotonic() > end:
                    raise Wrong("it hears what it has not joined, for good")
                time.sleep(0.05)
        return super().judge(n, number)

    def told(self):
        """`all`: the attempts after which the port heard all groups for a while."""
        return {"all": self.all}


class Workers:
    """The kernel's threads that do what system_wq is given; they come and go."""

    def __init__(self):
        self.fds = []
        for path in glob.glob("/proc/[0-9]*/comm"):
            with contextlib.suppress(OSError):
                with open(path) as f:
                    name = f.read()
                if re.match(r"kworker/\d+:\d+(-|$)", name):
                    self.fds.append(os.open(os.path.dirname(path) + "/fail-nth", os.O_RDWR))

    def fail(self, n):
        for fd in self.fds:
            with contextlib.suppress(OSError):
                os.pwrite(fd, b"%d" % n, 0)

    def end(self):
        """Whether an allocation of one of them was made to fail."""
        failed = False
        for fd in self.fds:
            with contextlib.suppress(OSError):
                failed |= os.pread(fd, 32, 0).strip(b"\n\0") == b"0"
        self.fail(0)
        for fd in self.fds:
            os.close(fd)
        return failed


class WantAction(Action):
    """Wants an address on a port, or with `drop` does not any more: the port's entry comes, or
    goes, by work of the kernel's, of which one allocation fails."""

    def __init__(self, uplink, port, mac, drop=False):
        self.port, self.mac, self.drop = port, mac, drop
        self.listener, self.state = Listener(port), State(uplink, [port])
        self.refused = os.open(f"/sys/class/net/{port}/vmq/addresses_refused", os.O_RDONLY)

    def change(self, drop):
        self.listener.change(DROP_MEMBERSHIP if drop else ADD_MEMBERSHIP, UNICAST, self.mac)

    def there(self):
        return f"{self.port} {self.mac} None" in self.state.fdb()

    def wait(self, there):
        end = time.monotonic() + RETRY_PATIENCE
        while self.there() != there or int(os.pread(self.refused, 32, 0)):
            if time.monotonic() > end:
                raise Wrong(f"the address is {'not ' if there else ''}there, and nobody tries again")
            time.sleep(0.02)

    def settle(self):
        if self.drop:
            self.undo()

    def run(self):
        self.change(self.drop)
        self.wait(not self.drop)

    def undo(self):
        self.change(not self.drop)
        self.wait(self.drop)

    def done(self):
        return self.there() != self.drop

    def attempt(self, n):
        workers = Workers()
        workers.fail(n)
        try:
            self.run()
        finally:
            failed = workers.end()
        return 0, failed


ACTIONS = {"bind": BindAction, "open": OpenAction, "port": PortAction, "request": RequestAction, "join": JoinAction,
           "want": WantAction}


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
            number, injected = a.attempt(n)
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
