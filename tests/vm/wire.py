# SPDX-License-Identifier: GPL-2.0-only
"""The host end of a guest NIC's wire, and numbered Ethernet frames.

    w = g.wire(0)
    w.send(eth(dst, src, vlan=100, serial=7))     # blocks while the NIC's queue is full
    w.send_paced(frames)                          # 32 a burst, 1 ms between: lossless on igb
    frame = w.recv(timeout=2)                     # bytes, or None when nothing came
    frames = w.drain(0.5)                         # all that came until 0.5 s of silence
    with w.capture(lambda f: parse(f).ok) as got: # got: list of the frames that pass
        ...

    f = parse(frame)    # .dst .src .vlan (VID or None) .pcp .ethertype .serial .ok (checksum fits)

A numbered frame carries a serial number and a checksum over addresses and
serial in its payload (ethertype 0x88b5, the local experimental one), so that
receipts are counted by serial and a frame changed on its way is not counted.
MACs are text, "52:54:00:00:01:01". The wire carries no FCS and pads nothing.
One datagram on the unix sockets is one frame (QEMU's -netdev dgram).
"""

import collections
import contextlib
import os
import select
import socket
import struct
import threading
import time
import zlib

ETHERTYPE = 0x88B5
TPID = 0x8100
MAGIC = b"VMQ1"
BROADCAST = "ff:ff:ff:ff:ff:ff"
# Received frames kept for recv() and drain(); beyond it the test has lost
# count, so reading says so instead of going on with fewer.
KEEP_BYTES = 64 << 20
SNDBUF = 8 << 20

Parsed = collections.namedtuple("Parsed", "dst src vlan pcp ethertype serial ok payload")


class WireError(Exception):
    """The wire is blocked, gone, or more came than can be kept."""


def mac_bytes(mac):
    data = bytes.fromhex(mac.replace(":", ""))
    if len(data) != 6:
        raise ValueError(f"not a MAC address: {mac}")
    return data


def mac_text(data):
    return ":".join(f"{b:02x}" for b in data)


def eth(dst, src, vlan=None, ethertype=ETHERTYPE, serial=0, size=60, payload=None):
    """A frame of `size` bytes (without FCS). vlan: None, VID, or (VID, PCP).
    With payload=None it is a numbered frame, otherwise payload is carried."""
    addresses = mac_bytes(dst) + mac_bytes(src)
    tag = b""
    if vlan is not None:
        vid, pcp = vlan if isinstance(vlan, tuple) else (vlan, 0)
        tag = struct.pack(">HH", TPID, pcp << 13 | vid)
    if payload is None:
        number = struct.pack(">I", serial)
        payload = MAGIC + number + struct.pack(">I", zlib.crc32(addresses + number))
    frame = addresses + tag + struct.pack(">H", ethertype) + payload
    return frame.ljust(size, b"\0")


def parse(frame):
    """Takes a frame apart; .serial is None and .ok False if it is not numbered."""
    if len(frame) < 14:
        return Parsed("", "", None, 0, 0, None, False, b"")
    at, vlan, pcp = 12, None, 0
    (ethertype,) = struct.unpack_from(">H", frame, at)
    if ethertype == TPID and len(frame) >= 18:
        (tci,) = struct.unpack_from(">H", frame, 14)
        vlan, pcp = tci & 0xFFF, tci >> 13
        (ethertype,) = struct.unpack_from(">H", frame, 16)
        at = 16
    payload = frame[at + 2 :]
    serial, ok = None, False
    if payload[:4] == MAGIC and len(payload) >= 12:
        serial, crc = struct.unpack_from(">II", payload, 4)
        ok = crc == zlib.crc32(frame[:12] + payload[4:8])
    return Parsed(mac_text(frame[:6]), mac_text(frame[6:12]), vlan, pcp, ethertype, serial, ok, payload)


class Capture(list):
    """The frames that pass a filter, as far as there is room."""

    def __init__(self, wanted):
        super().__init__()
        self.wanted, self.room = wanted, KEEP_BYTES

    def take(self, batch):
        for frame in filter(self.wanted, batch):
            self.room -= len(frame)
            if self.room >= 0:
                self.append(frame)

    # A list equal to another one is still another capture.
    __eq__ = object.__eq__
    __hash__ = object.__hash__


class Wire:
    """Host end: receives in the background, so that the guest's transmit
    never stalls because the test is busy."""

    def __init__(self, mine, peer):
        self.peer = peer
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        # A datagram in flight is charged to the sender's buffer.
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SNDBUF)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SNDBUF)
        self.sock.bind(mine)
        self.mine = mine
        self.sent = 0
        self.received = 0
        self.frames = collections.deque()
        self.bytes = 0
        self.overflowed = False
        self.captures = []
        self.came = threading.Condition()
        self.wake_r, self.wake_w = os.pipe()
        self.closed = False
        self.thread = threading.Thread(target=self._receive, name="wire", daemon=True)
        self.thread.start()

    def _receive(self):
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        poll.register(self.wake_r, select.POLLIN)
        while not self.closed:
            poll.poll()
            batch = []
            with contextlib.suppress(BlockingIOError, ConnectionError):
                while len(batch) < 256:
                    batch.append(self.sock.recv(70000, socket.MSG_DONTWAIT))
            if batch:
                self._keep(batch)

    def _keep(self, batch):
        with self.came:
            self.received += len(batch)
            for capture in self.captures:
                capture.take(batch)
            size = sum(map(len, batch))
            if self.bytes + size > KEEP_BYTES:
                self.overflowed = True
            else:
                self.frames.extend(batch)
                self.bytes += size
            self.came.notify_all()

    def send(self, frame, timeout=10):
        """Hands one frame to QEMU; waits while its queue is full (the NIC has
        no receive descriptor, or the guest does not run)."""
        end = time.monotonic() + timeout
        while True:
            try:
                self.sock.sendto(frame, socket.MSG_DONTWAIT, self.peer)
                self.sent += 1
                return
            except BlockingIOError:
                # POLLOUT looks at our buffer, not at the peer's queue.
                if time.monotonic() > end:
                    raise WireError(f"the NIC took no frame for {timeout} s") from None
                time.sleep(0.0005)
            except OSError as e:
                raise WireError(f"wire is gone: {e}") from e

    def send_paced(self, frames, burst=32, gap=0.001, timeout=10):
        """Sends an iterable, `burst` frames at a time, `gap` seconds between;
        returns how many. A burst has to fit the receive ring."""
        n = 0
        for frame in frames:
            if n and n % burst == 0:
                time.sleep(gap)
            self.send(frame, timeout)
            n += 1
        return n

    def recv(self, timeout=None):
        """The next frame, or None after `timeout` seconds (None: wait for ever)."""
        with self.came:
            self.came.wait_for(lambda: self.frames or self.overflowed or self.closed, timeout)
            if self.overflowed:
                raise WireError(f"more than {KEEP_BYTES >> 20} MiB came unread on the wire")
            if not self.frames:
                return None
            frame = self.frames.popleft()
            self.bytes -= len(frame)
            return frame

    def drain(self, seconds=0.2):
        """Every frame that is here or comes before `seconds` of silence."""
        frames = []
        while (frame := self.recv(seconds)) is not None:
            frames.append(frame)
        return frames

    def clear(self):
        """Forgets what came so far, also that it was too much."""
        with self.came:
            self.frames.clear()
            self.bytes = 0
            self.overflowed = False

    @contextlib.contextmanager
    def capture(self, wanted=lambda frame: True):
        """A list that gets every frame for which wanted(frame) holds while the
        context lasts (wanted runs on the receiving thread: keep it short).
        recv() and drain() see the frames all the same."""
        capture = Capture(wanted)
        with self.came:
            self.captures.append(capture)
        try:
            yield capture
        finally:
            with self.came:
                self.captures.remove(capture)
        if capture.room < 0:
            raise WireError(f"more than {KEEP_BYTES >> 20} MiB were to be captured")

    def wait_captured(self, frames, n, timeout=10):
        """Waits until the capture list `frames` holds n; True if it does."""
        with self.came:
            return self.came.wait_for(lambda: len(frames) >= n, timeout)

    def close(self):
        self.closed = True
        os.write(self.wake_w, b"x")
        self.thread.join()
        self.sock.close()
        os.close(self.wake_r)
        os.close(self.wake_w)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.mine)
        with self.came:
            self.came.notify_all()
