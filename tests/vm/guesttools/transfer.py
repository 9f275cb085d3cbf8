#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""transfer.py server ADDR PORT | client ADDR PORT [--bytes N] [--udp] [--reverse]
[--size BYTES]: move bytes between two network namespaces and verify each of them.

TCP: N random bytes from client to server (--reverse: the other way); the receiver
counts and hashes them (SHA-256), the sender compares. UDP: datagrams of --size
bytes that the server echoes, up to 16 under way; each echo has to be the datagram
that was sent. The server prints "ready", serves TCP and UDP on the same port,
until it is killed. The client prints one line of JSON (bytes, seconds, lost,
ok); its status is 0 only if all arrived unchanged and, for UDP, none was lost.
"""

import argparse
import hashlib
import json
import os
import socket
import struct
import sys
import threading
import time

CHUNK = 1 << 18
WINDOW = 16
ECHO_TIMEOUT = 10
DIGEST = 32


def family(addr):
    return socket.AF_INET6 if ":" in addr else socket.AF_INET


def receive_exactly(sock, n):
    data = b""
    while len(data) < n:
        part = sock.recv(n - len(data))
        if not part:
            raise ConnectionError(f"{len(data)} of {n} bytes, then the end")
        data += part
    return data


def send_hashed(sock, size):
    """Random bytes (a block, its start changed every time: a lost, swapped or
    repeated piece changes the hash); their digest."""
    block = bytearray(os.urandom(CHUNK))
    digest = hashlib.sha256()
    number = 0
    while size > 0:
        struct.pack_into(">Q", block, 0, number)
        part = memoryview(block)[: min(size, CHUNK)]
        sock.sendall(part)
        digest.update(part)
        size -= len(part)
        number += 1
    return digest.digest()


def receive_hashed(sock, size):
    digest = hashlib.sha256()
    buffer = bytearray(CHUNK)
    while size > 0:
        n = sock.recv_into(buffer, min(size, CHUNK))
        if not n:
            raise ConnectionError(f"the end, {size} bytes too early")
        digest.update(memoryview(buffer)[:n])
        size -= n
    return digest.digest()


def serve_stream(sock):
    with sock:
        size, reverse = struct.unpack(">QB", receive_exactly(sock, 9))
        sock.sendall(send_hashed(sock, size) if reverse else receive_hashed(sock, size))


def serve_echo(sock):
    while True:
        sock.sendto(*sock.recvfrom(65536))


def serve(addr, port):
    stream = socket.socket(family(addr), socket.SOCK_STREAM)
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    stream.bind((addr, port))
    stream.listen(8)
    echo = socket.socket(family(addr), socket.SOCK_DGRAM)
    echo.bind((addr, port))
    threading.Thread(target=serve_echo, args=(echo,), daemon=True).start()
    print("ready", flush=True)
    while True:
        conn = stream.accept()[0]
        threading.Thread(target=serve_stream, args=(conn,), daemon=True).start()


def move_stream(addr, port, size, reverse):
    with socket.socket(family(addr), socket.SOCK_STREAM) as sock:
        sock.settimeout(120)
        sock.connect((addr, port))
        sock.sendall(struct.pack(">QB", size, reverse))
        mine = receive_hashed(sock, size) if reverse else send_hashed(sock, size)
        return 0, mine == receive_exactly(sock, DIGEST)


def move_echo(addr, port, total, size):
    """(datagrams without an echo, whether every echo was right)."""
    right, lost = True, 0
    with socket.socket(family(addr), socket.SOCK_DGRAM) as sock:
        sock.connect((addr, port))
        sock.settimeout(ECHO_TIMEOUT)
        count = -(-total // size)
        for first in range(0, count, WINDOW):
            waiting = {}
            for n in range(first, min(first + WINDOW, count)):
                waiting[n] = struct.pack(">Q", n) + os.urandom(size - 8)
                sock.send(waiting[n])
            try:
                while waiting:
                    data = sock.recv(65536)
                    sent = waiting.pop(struct.unpack_from(">Q", data)[0], None)
                    right &= data == sent
            except TimeoutError:
                lost += len(waiting)
    return lost, right


def main():
    p = argparse.ArgumentParser()
    p.add_argument("role", choices=("server", "client"))
    p.add_argument("addr")
    p.add_argument("port", type=int)
    p.add_argument("--bytes", type=int, default=1 << 20)
    p.add_argument("--udp", action="store_true")
    p.add_argument("--reverse", action="store_true")
    p.add_argument("--size", type=int, default=1400)
    args = p.parse_args()
    if args.role == "server":
        serve(args.addr, args.port)
    began = time.monotonic()
    if args.udp:
        lost, right = move_echo(args.addr, args.port, args.bytes, args.size)
    else:
        lost, right = move_stream(args.addr, args.port, args.bytes, args.reverse)
    seconds = round(time.monotonic() - began, 3)
    ok = right and not lost
    print(json.dumps({"bytes": args.bytes, "seconds": seconds, "lost": lost, "ok": ok}))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
