# SPDX-License-Identifier: GPL-2.0-only
"""Traffic inside a guest, with receipts: host side of tests/vm/guesttools.

    with sniff(g, "vm1", netns="ns1") as s:     # listening when the block begins
        g.wire(0).send_paced(...)
        s.wait_frames()                          # optional: until it was silent for a moment
    s.frames        # after the block: [Frame(serial dev vlan pcp pkttype dst src ok)]
    s.serials       # their serials in order of arrival (checksum verified)

    blast(g, "vm1", dst, 1000, netns="ns1", vlan=100)        # numbered frames out of vm1
    transfer(g, "10.0.0.2", server_ns="peer", client_ns="ns1", size=100 << 20)
    missing, doubled, swapped = compare(sent_serials, s.serials)

pkttype: 0 host, 1 broadcast, 2 multicast, 3 otherhost.
"""

import collections
import itertools
import json
import time

from .guest import GuestError

Frame = collections.namedtuple("Frame", "serial dev vlan pcp pkttype dst src ok")
PORTS = itertools.count(5001)


def in_netns(netns, command):
    return f"ip netns exec {netns} {command}" if netns else command


def wait_ready(job, what, timeout=60):
    end = time.monotonic() + timeout
    while "ready" not in job.stdout:
        if job.poll() is not None or time.monotonic() > end:
            raise GuestError(f"{what} did not get ready: {job.stderr}")
        time.sleep(0.05)


class Sniffer:
    def __init__(self, guest, dev, netns):
        self.guest, self.dev, self.netns = guest, dev, netns
        self.frames = None

    def __enter__(self):
        tool = f"exec {in_netns(self.netns, f'{self.guest.tools}/sniff.py {self.dev}')}"
        self.job = self.guest.spawn(tool)
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

    def wait_frames(self, silence=0.5, timeout=60):
        """Until the interface's receive counter stands still for `silence` seconds."""
        path = f"cat /sys/class/net/{self.dev}/statistics/rx_packets"
        command = in_netns(self.netns, path)
        end = time.monotonic() + timeout
        last = None
        while (now := self.guest.out(command)) != last:
            if time.monotonic() > end:
                raise GuestError(f"{self.dev} still receives after {timeout} s")
            last = now
            time.sleep(silence)


def sniff(guest, dev, netns=None):
    """Context: writes down the numbered frames that dev receives."""
    return Sniffer(guest, dev, netns)


def blast(guest, dev, dst, count, netns=None, timeout=300, **options):
    """Sends numbered frames out of dev and waits until they are sent; options
    as in guesttools/blast.py: src, vlan, size, first, burst, gap."""
    words = " ".join(f"--{k} {v}" for k, v in options.items() if v is not None)
    guest.run(in_netns(netns, f"{guest.tools}/blast.py {dev} {dst} {count} {words}"), timeout)


def transfer(guest, addr, server_ns=None, client_ns=None, size=1 << 20, udp=False, reverse=False, mtu=1500, timeout=600):
    """Moves size bytes to addr (on the server's side) and verifies them; raises
    CommandFailed if one is missing or wrong. UDP fills a packet of `mtu`."""
    port = next(PORTS)
    server = guest.spawn("exec " + in_netns(server_ns, f"{guest.tools}/transfer.py server {addr} {port}"))
    try:
        wait_ready(server, "transfer server")
        words = f"--bytes {size}" + (" --reverse" if reverse else "")
        if udp:
            words += f" --udp --size {mtu - (48 if ':' in addr else 28)}"
        client = f"{guest.tools}/transfer.py client {addr} {port} {words}"
        return json.loads(guest.out(in_netns(client_ns, client), timeout))
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
