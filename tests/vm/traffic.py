# SPDX-License-Identifier: GPL-2.0-only
"""Traffic inside a guest, with receipts: host side of tests/vm/guesttools.

    with sniff(g, "vm1", netns="ns1") as s:     # listening when the block begins
        g.wire(0).send_paced(...)
        s.wait_frames()                          # optional: until the device's counter stands still
    s.frames        # after the block: [Frame(serial dev vlan pcp pkttype dst src ok)]
    s.serials       # their serials in order of arrival (checksum verified)

    feed(g, 0, "eth0", frames)                   # into NIC 0, as fast as eth0 takes them
    blast(g, "vm1", dst, 1000, netns="ns1", vlan=100)        # numbered frames out of vm1
    transfer(g, "10.0.0.2", server_ns="peer", client_ns="ns1", size=100 << 20)
    missing, doubled, swapped = compare(sent_serials, s.serials)

pkttype: 0 host, 1 broadcast, 2 multicast, 3 otherhost.
"""

import collections
import itertools
import json
import time

from .guest import CommandFailed, GuestError

Frame = collections.namedtuple("Frame", "serial dev vlan pcp pkttype dst src ok")
PORTS = itertools.count(5001)


def wait_ready(job, what, timeout=60):
    end = time.monotonic() + timeout
    while "ready" not in job.stdout:
        if job.poll() is not None or time.monotonic() > end:
            raise GuestError(f"{what} did not get ready: {job.stderr}")
        time.sleep(0.05)


class Sniffer:
    def __init__(self, guest, dev, netns, silence):
        self.guest, self.dev, self.netns, self.silence = guest, dev, netns, silence
        self.frames = None

    def __enter__(self):
        self.job = self.guest.tool("sniff", self.dev, "--silence", self.silence, netns=self.netns)
        wait_ready(self.job, f"sniffer on {self.dev}")
        return self

    def __exit__(self, kind, *exc):
        if kind is not None and not self.guest.alive:
            return
        self.job.stop(timeout=300)
        lines = self.job.stdout.splitlines()
        if len(lines) < 2 or not lines[-1].startswith("end "):
            raise GuestError(f"sniffer on {self.dev} failed: {self.job.stderr}")
        drops = int(lines[-1].split()[2])
        if drops:
            raise GuestError(f"sniffer on {self.dev} could not keep up: {drops} frames lost by it")
        self.frames = [self._frame(line.split()) for line in lines[1:-1]]

    @staticmethod
    def _frame(w):
        vlan, pcp = (None, 0) if w[2] == "-" else (int(w[2]), int(w[3]))
        return Frame(int(w[0]), w[1], vlan, pcp, int(w[4]), w[5], w[6], w[7] == "1")

    @property
    def serials(self):
        return [f.serial for f in self.frames if f.ok]

    def wait_frames(self, silence=0.3, timeout=60):
        """Until the interface's receive counter stands still for `silence` seconds."""
        end = time.monotonic() + timeout
        last = None
        while (now := rx_packets(self.guest, self.dev, self.netns)) != last:
            if time.monotonic() > end:
                raise GuestError(f"{self.dev} still receives after {timeout} s")
            last = now
            time.sleep(silence)


def rx_packets(guest, dev, netns=None):
    """The interface's own receive counter."""
    if not netns:
        return int(guest.read(f"/sys/class/net/{dev}/statistics/rx_packets"))
    links = json.loads(guest.out(f"ip -n {netns} -j -s link show {dev}"))
    return links[0]["stats64"]["rx"]["packets"]


def feed(guest, n, dev, frames, window=64, netns=None, timeout=60):
    """Sends frames to NIC n, never more than two windows ahead of dev's receive
    counter: a guest that waits for a busy host's CPU overruns its ring at any
    fixed pace. Frames other than these only make it faster. How many were sent."""
    sent, done = 0, rx_packets(guest, dev, netns)
    frames = iter(frames)
    while batch := list(itertools.islice(frames, window)):
        sent += guest.wire(n).send_paced(batch)
        end = time.monotonic() + timeout
        while rx_packets(guest, dev, netns) - done < sent - window:
            if time.monotonic() > end:
                raise GuestError(f"{dev} takes no more frames, after {sent}")
    return sent


def sniff(guest, dev, netns=None, silence=0.5):
    """Context: writes down the numbered frames that dev receives, until at the
    end of the block none has come for `silence` seconds."""
    return Sniffer(guest, dev, netns, silence)


def blast(guest, dev, dst, count, netns=None, timeout=300, **options):
    """Sends numbered frames out of dev and waits until they are sent; options
    as in guesttools/blast.py: src, vlan, size, first, burst, gap."""
    words = [w for k, v in options.items() if v is not None for w in (f"--{k}", v)]
    finish(guest.tool("blast", dev, dst, count, *words, netns=netns), timeout)


def finish(job, timeout):
    """Standard output of a tool that must succeed."""
    if job.wait(timeout):
        raise CommandFailed(f"status {job.rc}\n--- stdout\n{job.stdout}\n--- stderr\n{job.stderr}")
    return job.stdout


def transfer(guest, addr, server_ns=None, client_ns=None, size=1 << 20, udp=False, reverse=False, mtu=1500, timeout=600):
    """Moves size bytes to addr (on the server's side) and verifies them; raises
    CommandFailed if one is missing or wrong. UDP fills a packet of `mtu`."""
    port = next(PORTS)
    server = guest.tool("transfer", "server", addr, port, netns=server_ns)
    try:
        wait_ready(server, "transfer server")
        words = ["--bytes", size]
        if reverse:
            words.append("--reverse")
        if udp:
            words += ["--udp", "--size", mtu - (48 if ":" in addr else 28)]
        return json.loads(finish(guest.tool("transfer", "client", addr, port, *words, netns=client_ns), timeout))
    finally:
        if guest.alive:
            server.stop()


def compare(sent, received):
    """(serials missing, serials received more than once, serials that came
    after a higher one): three empty lists when all is well. Serials nobody
    sent raise."""
    sent, counts = set(sent), collections.Counter(received)
    strange = counts.keys() - sent
    if strange:
        raise AssertionError(f"frames nobody sent: {sorted(strange)[:10]}")
    swapped = [b for a, b in itertools.pairwise(received) if b < a]
    return sorted(sent - counts.keys()), sorted(s for s, n in counts.items() if n > 1), swapped
