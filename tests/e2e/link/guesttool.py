#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""What the link tests have run inside the guest; the arguments are one JSON object.

guesttool.py COMMAND JSON:

recv   counts numbered frames at interfaces, in order, until SIGTERM
hold   lets numbered frames of a receive queue wait in a socket until SIGTERM
send   sends numbered frames out of interfaces
segments  sends TCP frames out of an interface that are still to be cut into segments
write  writes texts into files, an errno and the moment for each
link   rtnetlink requests about ports, an errno and the reason for each
mmio   reads or writes one 32-bit register of a PCI function
serve  hashes or generates TCP streams (see transfer)
transfer  moves checked bytes over TCP, both ways, to each address
churn  makes and deletes a port, waiting for frames between two changes
watch  prints what is announced: poll(2) on files, uevents, RTM_NEWLINK of ports
shows  reads files and runs commands over and over, until SIGTERM: all that they ever said

Interfaces are "NAME", "NETNS/NAME" or, for recv, "*": all of the namespace.
"""

import ctypes
import hashlib
import json
import mmap
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../vm"))
import wire  # noqa: E402

libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
ETH_P_ALL = 3
SOL_PACKET = 263
PACKET_STATISTICS = 6
PACKET_AUXDATA = 8
PACKET_VNET_HDR = 15
PACKET_IGNORE_OUTGOING = 23
SO_ATTACH_FILTER = 26
SO_RCVBUFFORCE = 33
TP_STATUS_VLAN_VALID = 1 << 4
RCVBUF = 96 << 20
SILENCE = 0.4
MILLISECONDS_IDLE = 20


def enter_netns(name):
    path = f"/run/netns/{name}" if name else "/proc/1/ns/net"
    fd = os.open(path, os.O_RDONLY)
    if libc.setns(fd, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), f"setns {path}")
    os.close(fd)


def split(interface):
    netns, _, name = interface.rpartition("/")
    return netns, name


def filter_numbered(queue=None):
    """Classic BPF: numbered frames, also behind one tag that is in the frame, and, if
    asked for, only those for which receive queue `queue` is recorded."""
    magic = int.from_bytes(wire.MAGIC, "big")
    accept, refuse = (0x06, 0, 0, 0xFFFF), (0x06, 0, 0, 0)
    start = [(0x20, 0, 0, 14), (0x15, 2, 0, magic), (0x20, 0, 0, 18)]
    if queue is None:
        return [*start, (0x15, 0, 1, magic), accept, refuse]
    # skb->queue_mapping is 0 without a recorded queue, else queue + 1.
    recorded = [(0x28, 0, 0, 0x100000000 - 0x1000 + 24), (0x15, 0, 1, queue + 1)]
    return [*start, (0x15, 0, 3, magic), *recorded, accept, refuse]


def attach(sock, code):
    data = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *c) for c in code))
    program = struct.pack("HL", len(code), ctypes.addressof(data))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)


def open_tap(name, queue=None):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    attach(sock, filter_numbered(queue))
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RCVBUF)
    sock.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    sock.bind(("" if name == "*" else name, ETH_P_ALL))
    sock.setblocking(False)
    return sock


class Taps:
    """taps: interfaces; queues: [interface, n]: only frames of receive queue n."""

    def __init__(self, taps, queues, progress):
        self.sources = []
        for interface, queue in [(t, None) for t in taps] + [tuple(q) for q in queues]:
            netns, name = split(interface)
            enter_netns(netns)
            self.sources.append((interface, queue, open_tap(name, queue)))
        self.frames = []
        self.progress = os.open(progress, os.O_WRONLY | os.O_CREAT, 0o644)
        self.told = -1

    def tell(self):
        if self.told != len(self.frames):
            self.told = len(self.frames)
            os.pwrite(self.progress, b"%012d" % self.told, 0)

    def read(self, source):
        """All that is there, at most 64, so that the progress stays fresh."""
        for _ in range(64):
            try:
                data, extra, _, where = self.sources[source][2].recvmsg(9300, 64)
            except BlockingIOError:
                return
            self.frames.append((source, where[0], data, extra))

    def run(self, stopped):
        poll = select.poll()
        by_fd = {}
        for n, (_, _, sock) in enumerate(self.sources):
            poll.register(sock, select.POLLIN)
            by_fd[sock.fileno()] = n
        quiet_since = None
        while True:
            ready = poll.poll(MILLISECONDS_IDLE)
            for fd, _ in ready:
                self.read(by_fd[fd])
            self.tell()
            if ready:
                quiet_since = None
            elif stopped:
                quiet_since = quiet_since or time.monotonic()
                if time.monotonic() - quiet_since > SILENCE:
                    return

    def result(self):
        lost = 0
        for _, _, sock in self.sources:
            lost += struct.unpack("II", sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1]
        return {
            "taps": [[interface, queue] for interface, queue, _ in self.sources],
            "frames": [self.describe(*f) for f in self.frames],
            "lost": lost,
        }

    @staticmethod
    def tag(extra):
        """The tag in the packet's metadata, or None."""
        for level, kind, aux in extra:
            if level == SOL_PACKET and kind == PACKET_AUXDATA:
                status, _, _, _, _, tci, _ = struct.unpack("IIIHHHH", aux[:20])
                if status & TP_STATUS_VLAN_VALID:
                    return tci
        return None

    @classmethod
    def describe(cls, source, name, data, extra):
        tci = cls.tag(extra)
        vlan = None if tci is None else tci & 0xFFF
        f = wire.parse(data)
        return [source, name, f.dst, f.src, vlan, f.vlan is not None, f.serial, f.ok]

    def contents(self):
        """[tag in the metadata, size, CRC-32 of all bytes] of each frame."""
        return [[self.tag(extra), len(data), zlib.crc32(data)] for _, _, data, extra in self.frames]


def cmd_recv(taps, out, progress, queues=(), contents=False):
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    t = Taps(taps, queues, progress)
    t.tell()
    print("ready", flush=True)
    t.run(stopped)
    result = t.result()
    if contents:
        result["contents"] = t.contents()
    # dump() would take ten times as long.
    text = json.dumps(result)
    with open(out, "w") as f:
        f.write(text)


def cmd_hold(interface, queue, frames):
    """Says "held" when so many are in the socket; at the end their [serial, unchanged]."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    netns, name = split(interface)
    enter_netns(netns)
    sock = open_tap(name, queue)
    print("ready", flush=True)
    came, end = 0, time.monotonic() + 300
    while came < frames and time.monotonic() < end:
        time.sleep(0.01)
        came += struct.unpack("II", sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[0]
    print("held", flush=True)
    signal.sigwait([signal.SIGTERM])
    parsed = [wire.parse(sock.recv(9300)) for _ in range(came)]
    sock.close()
    print(json.dumps([[f.serial, f.ok] for f in parsed]))


def cmd_send(interface, frames, burst=32, gap=0.001):
    """frames: arguments of wire.eth(), with "count": that many serials from "serial" on."""
    netns, name = split(interface)
    enter_netns(netns)
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    # Of no protocol it receives nothing, and so holds no frame of a queue.
    sock.bind((name, 0))
    sent = 0
    for options in frames:
        first, count = options.pop("serial"), options.pop("count", 1)
        if isinstance(options.get("vlan"), list):
            options["vlan"] = tuple(options["vlan"])
        for serial in range(first, first + count):
            sock.send(wire.eth(serial=serial, **options))
            sent += 1
            if sent % burst == 0:
                time.sleep(gap)
    print(json.dumps(sent))


def cmd_segments(interface, dst, src, size, segment, count):
    """Each of `size` bytes of payload, to be cut into segments of `segment`."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sock.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    sock.bind((interface, 0x800))
    # The TCP checksum at 16 of what begins at 34 is to be filled in; TCP over IPv4.
    offload = struct.pack("BBHHHH", 1, 1, 54, segment, 34, 16)
    link = bytes.fromhex((dst + src).replace(":", "")) + b"\x08\0"
    addresses = socket.inet_aton("192.0.2.1") + socket.inet_aton("192.0.2.2")
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 40 + size, 0, 0, 64, 6, 0) + addresses
    tcp = struct.pack(">HHIIBBHHH", 1000, 1001, 0, 0, 0x50, 0x10, 1024, 0, 0)
    for _ in range(count):
        sock.send(offload + link + ip + tcp + bytes(size))
    print(json.dumps(count))


def read_file(path):
    with open(path) as f:
        return f.read().strip()


def write_file(path, text):
    """Errno of one write."""
    try:
        fd = os.open(path, os.O_WRONLY)
        try:
            os.write(fd, text.encode("latin-1"))
        finally:
            os.close(fd)
    except OSError as e:
        return e.errno
    return 0


def cmd_write(items, after=None):
    """[[path, text], ...] to [[errno, text of the file "after", when it began], ...]."""
    results = []
    for path, text in items:
        began = time.monotonic()
        number = write_file(path, text)
        said = open(after).read().strip() if after else ""
        results.append([number, said, began])
    print(json.dumps(results))


def cmd_mmio(bdf, offset, value=None, clear=None):
    fd = os.open(f"/sys/bus/pci/devices/{bdf}/resource0", os.O_RDWR | os.O_SYNC)
    page = mmap.PAGESIZE
    window = mmap.mmap(fd, page, offset=offset // page * page)
    register = ctypes.c_uint32.from_buffer(window, offset % page)
    old = register.value
    if clear is not None:
        value = old & ~clear
    if value is not None:
        register.value = value
    print(json.dumps([old, register.value]))


# Checked TCP: a block of pseudo-random bytes repeated, hashed at both ends.


def block(seed):
    data = b"".join(hashlib.sha256(b"%d.%d" % (seed, n)).digest() for n in range(2048))
    return data * 4


def push(sock, size, seed):
    """Sends size bytes; their hash."""
    digest, data = hashlib.sha256(), block(seed)
    while size:
        part = data[: min(size, len(data))]
        sock.sendall(part)
        digest.update(part)
        size -= len(part)
    return digest.hexdigest()


def pull(sock, size):
    digest = hashlib.sha256()
    while size:
        part = sock.recv(min(size, 1 << 18))
        if not part:
            raise ConnectionError(f"closed with {size} bytes to come")
        digest.update(part)
        size -= len(part)
    return digest.hexdigest()


def line_from(sock):
    text = b""
    while not text.endswith(b"\n"):
        part = sock.recv(1)
        if not part:
            raise EOFError
        text += part
    return json.loads(text)


def line_to(sock, value):
    sock.sendall(json.dumps(value).encode() + b"\n")


def cmd_serve(netns, port=7000):
    """Does what each connection asks for: "up": takes bytes, "down": gives them."""
    enter_netns(netns)
    listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    print("ready", flush=True)
    while True:
        sock, _ = listener.accept()
        try:
            direction, size, seed = line_from(sock)
            line_to(sock, pull(sock, size) if direction == "up" else push(sock, size, seed))
        except (OSError, EOFError) as e:
            print(f"connection failed: {e!r}", flush=True)
        sock.close()


def cmd_transfer(netns, addresses, size, port=7000, timeout=60):
    """[[address, direction, hash here, hash there, seconds], ...]; a connection
    that fails has its reason in place of the hashes."""
    enter_netns(netns)
    results = []
    for n, address in enumerate(addresses):
        for direction in ("up", "down"):
            seed = os.getpid() * 1000 + n
            began = time.monotonic()
            try:
                sock = socket.create_connection((address, port), timeout)
                line_to(sock, [direction, size, seed])
                mine = push(sock, size, seed) if direction == "up" else pull(sock, size)
                theirs = line_from(sock)
                sock.close()
            except (OSError, EOFError) as e:
                mine, theirs = f"failed: {e!r}", ""
            results.append([address, direction, mine, theirs, time.monotonic() - began])
    print(json.dumps(results))


# Ports coming and going while another VM receives


def write_until(path, text, until=None, says=None):
    """(errno of a write, what is wrong); waits until another file says that."""
    number = write_file(path, text)
    end = time.monotonic() + 30
    while until and not number and read_file(until) != says:
        if time.monotonic() > end:
            raise SystemExit(f"{until} does not say {says!r} after {text!r} was written to {path}")
        time.sleep(0.002)
    return number, ""


def cmd_churn(uplink, watched, rounds, frames, address="52:54:00:cc:00:01", writes=None):
    """rounds times: make a port, delete it (or do each of `writes`, arguments of
    write_until()); before each change `frames` more frames must have come at `watched`.
    Prints the least number that came between two changes, and how many changes were made."""
    counter = f"/sys/class/net/{watched}/statistics/rx_packets"
    netlink = Rtnetlink()

    def make():
        return netlink.add_port("churn0", address, link=uplink)

    def delete():
        return netlink.del_port("churn0")

    steps = [lambda w=w: write_until(*w) for w in writes] if writes else [make, delete]
    least, changes = None, 0

    def count():
        with open(counter) as f:
            return int(f.read())

    last = count()
    for _ in range(rounds):
        for step in steps:
            end = time.monotonic() + 30
            while (now := count()) - last < frames:
                if time.monotonic() > end:
                    raise SystemExit(f"the stream stopped at {now}, {now - last} since the last change")
                time.sleep(0.002)
            if changes:
                least = now - last if least is None else min(least, now - last)
            number, reason = step()
            if number:
                raise SystemExit(f"change {changes}: {os.strerror(number)}: {reason}")
            last = count()
            changes += 1
    print(json.dumps({"least": least, "changes": changes}))


# Requests whose errno and reason are both wanted: ip and bridge print one of them


class Rtnetlink:
    NEWLINK, DELLINK, SETLINK, NEWNEIGH, DELNEIGH, GETNEIGH = 16, 17, 19, 28, 29, 30
    REQUEST, REPLACE, EXCL, CREATE, APPEND = 0x5, 0x100, 0x200, 0x400, 0x800
    DUMP, DONE, BRIDGE = 0x301, 3, 7
    SOL_NETLINK, CAP_ACK, EXT_ACK = 270, 10, 11

    def __init__(self):
        self.sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
        self.sock.bind((0, 0))
        for option in (self.CAP_ACK, self.EXT_ACK):
            self.sock.setsockopt(self.SOL_NETLINK, option, 1)

    @staticmethod
    def attribute(kind, data):
        return struct.pack("HH", 4 + len(data), kind) + data + b"\0" * (-len(data) % 4)

    def request(self, kind, flags, payload):
        """(errno, reason)"""
        self.sock.send(struct.pack("IHHII", 16 + len(payload), kind, flags | self.REQUEST, 1, 0) + payload)
        answer = self.sock.recv(65536)
        number = -struct.unpack_from("i", answer, 16)[0]
        reason, at = "", 36
        while at + 4 <= len(answer):
            length, kind = struct.unpack_from("HH", answer, at)
            if kind & 0x3FFF == 1:
                reason = answer[at + 4 : at + length].rstrip(b"\0").decode()
            at += (length + 3) & ~3
        return number, reason

    @staticmethod
    def index(name):
        return socket.if_nametoindex(name) if name else 0

    def add_port(self, name, address, link=None, mtu=None, kind="vmq", data=None):
        """data: [number of an IFLA_VMQ_..., its bytes in hexadecimal digits]"""
        payload = struct.pack("BxHiII", 0, 0, 0, 0, 0) + self.attribute(3, name.encode() + b"\0")
        if link:
            payload += self.attribute(5, struct.pack("i", self.index(link)))
        payload += self.attribute(1, bytes.fromhex(address.replace(":", "")))
        if mtu:
            payload += self.attribute(4, struct.pack("I", mtu))
        info = self.attribute(1, kind.encode() + b"\0")
        if data:
            info += self.attribute(2, self.attribute(data[0], bytes.fromhex(data[1])))
        payload += self.attribute(18, info)
        return self.request(self.NEWLINK, self.CREATE | self.EXCL, payload)

    def del_port(self, name):
        return self.request(self.DELLINK, 0, struct.pack("BxHiII", 0, 0, self.index(name), 0, 0))

    def set_up(self, name):
        """IFF_UP"""
        return self.request(self.SETLINK, 0, struct.pack("BxHiII", 0, 0, self.index(name), 1, 1))

    def set_address(self, name, address):
        payload = struct.pack("BxHiII", 0, 0, self.index(name), 0, 0)
        payload += self.attribute(1, bytes.fromhex(address.replace(":", "")))
        return self.request(self.SETLINK, 0, payload)

    def fdb(self, verb, name, address, vid=None, dst=None, state=0xC0, flags=0x2):
        """state: NUD_NOARP | NUD_PERMANENT; flags: NTF_SELF"""
        kind = self.DELNEIGH if verb == "del" else self.NEWNEIGH
        how = {"add": self.CREATE | self.EXCL, "append": self.CREATE | self.APPEND,
               "replace": self.CREATE | self.REPLACE, "del": 0}[verb]
        payload = struct.pack("BxxxiHBB", self.BRIDGE, self.index(name), state, flags, 0)
        payload += self.attribute(2, bytes.fromhex(address.replace(":", "")))
        if vid is not None:
            payload += self.attribute(5, struct.pack("H", vid))
        if dst:
            payload += self.attribute(1, socket.inet_aton(dst))
        return self.request(kind, how, payload)

    def vlans(self, verb, name, first, last=None):
        """bridge vlan add or del ... vid FIRST-LAST self"""
        ids = [(0x8, first), (0x10, last)] if last else [(0, first)]
        spec = self.attribute(0, struct.pack("H", 0x2))
        spec += b"".join(self.attribute(2, struct.pack("HH", *vlan)) for vlan in ids)
        payload = struct.pack("BxHiII", self.BRIDGE, 0, self.index(name), 0, 0) + self.attribute(26, spec)
        return self.request(self.DELLINK if verb == "del" else self.SETLINK, 0, payload)

    def fdb_entries(self):
        """(interface's index, address, VLAN or None) of every bridge fdb entry."""
        header = struct.pack("IHHII", 28, self.GETNEIGH, self.DUMP, 1, 0)
        self.sock.send(header + struct.pack("BxxxiHBB", self.BRIDGE, 0, 0, 0, 0))
        entries = []
        while True:
            data = self.sock.recv(65536)
            while data:
                length, kind = struct.unpack_from("IH", data)
                if kind != self.NEWNEIGH:
                    # The last one; or an error, which no dump that is whole has.
                    assert kind == self.DONE, f"a dump ends with a message of kind {kind}"
                    return entries
                told = attributes(data[28:length])
                vid = told.get(5) and int.from_bytes(told[5], "little")
                entries.append((struct.unpack_from("i", data, 20)[0], told[2].hex(":"), vid))
                data = data[(length + 3) & ~3 :]


def cmd_link(requests):
    """[[method of Rtnetlink, options], ...] to [[errno, reason], ...]."""
    netlink = Rtnetlink()
    print(json.dumps([getattr(netlink, method)(**options) for method, options in requests]))


# Announcements


def attributes(data):
    found, at = {}, 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("HH", data, at)
        found[kind & 0x3FFF] = data[at + 4 : at + length]
        at += (length + 3) & ~3
    return found


def port_told(data):
    """[name, [queue, reason]] of an RTM_NEWLINK's attributes; None: not a port's."""
    link = attributes(data)
    info = attributes(link.get(18, b""))
    if info.get(1, b"").rstrip(b"\0") != b"vmq":
        return None
    told = attributes(info.get(2, b""))
    queue, reason = told.get(1), told.get(2)
    return [
        link[3].rstrip(b"\0").decode(),
        [queue and int.from_bytes(queue, "little"), reason and reason.rstrip(b"\0").decode()],
    ]


def link_events(data):
    """The same of each RTM_NEWLINK in a datagram."""
    while data:
        length, kind = struct.unpack_from("IH", data)
        told = port_told(data[32:length]) if kind == Rtnetlink.NEWLINK else None
        if told:
            yield told
        data = data[(length + 3) & ~3 :]


def uevents(data):
    fields = dict(f.split("=", 1) for f in data.decode(errors="replace").split("\0") if "=" in f)
    yield [fields.get("ACTION"), fields.get("DEVPATH"), {k: v for k, v in fields.items() if k.startswith("VMQ_")}]


def cmd_watch(paths):
    """A line for each event, until SIGTERM: ["poll", path, text, when], ["uevent",
    action, devpath, {VMQ_...: text}], ["link", port, [queue, reason]]."""
    poll, sources = select.poll(), {}
    for protocol, kind, parse in ((15, "uevent", uevents), (0, "link", link_events)):
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
        sock.bind((0, 1))
        sources[sock.fileno()] = (sock, kind, parse)
        poll.register(sock, select.POLLIN)
    files = {os.open(path, os.O_RDONLY): path for path in paths}
    for fd in files:
        # poll(2) tells of changes since the last read.
        os.pread(fd, 4096, 0)
        poll.register(fd, select.POLLPRI)
    print("ready", flush=True)
    while True:
        ready, now = poll.poll(), time.monotonic()
        for fd, _ in ready:
            if fd in files:
                print(json.dumps(["poll", files[fd], os.pread(fd, 4096, 0).decode().strip(), now]), flush=True)
                continue
            sock, kind, parse = sources[fd]
            for event in parse(sock.recv(65536)):
                print(json.dumps([kind, *event]), flush=True)


# What is shown, all the while


def shown(path, fd):
    """The text of a file; of a queue's filters without the hits."""
    try:
        text = os.pread(fd, 8192, 0).decode()
    except OSError as e:
        return f"cannot be read: {e.strerror}"
    if path.endswith("/filters"):
        text = "\n".join(line.rpartition(" ")[0] for line in text.splitlines())
    return text.strip()


def answer(command):
    r = subprocess.run(command.split(), capture_output=True, text=True, check=False)
    return r.stdout if r.returncode == 0 else f"status {r.returncode}: {r.stderr.strip()}"


def cmd_shows(paths, commands, pause=0.02):
    """Ends with {path or command: [each text that it said, the first one first]}, and how often they were asked."""
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
    files = [(path, os.open(path, os.O_RDONLY)) for path in paths]
    said, rounds = {what: [] for what in [*paths, *commands]}, 0

    def note(what, text):
        if text not in said[what]:
            said[what].append(text)

    while not stopped:
        for path, fd in files:
            note(path, shown(path, fd))
        for command in commands:
            text = answer(command)
            # The signal is for its whole group, and ends the command.
            if not stopped:
                note(command, text)
        rounds += 1
        if rounds == 1:
            print("ready", flush=True)
        time.sleep(pause)
    print(json.dumps([said, rounds]))


def main():
    command = globals()["cmd_" + sys.argv[1]]
    options = json.loads(sys.argv[2])
    command(**options)


if __name__ == "__main__":
    main()
