#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a dead server costs: every way to be dead, on loopback, with the times measured. The good one stands behind
it in org.json's order; what a sync takes is what the dead one costs and the few milliseconds of the good one."""
import os
import socket
import ssl
import struct
import threading
import time

from checks import JUDGED, Checks
from keeper import BATCH_WANTED, DONE, IDLE, OFFLINE, Keeper
from namespace import bind_over
from scene import DEAD, OURS, enrolled, good
from server import Server

AT_MOST = 3.0 if JUDGED else 25.0
GOOD_COSTS = 0.35 if JUDGED else 15.0  # process, handshake and answer of the good one


class Dead:
    """A listener whose connections are handed to serve(), each in a thread."""

    def __init__(self, serve=None, backlog=16):
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen(backlog)
        self.url = f"https://127.0.0.1:{self.socket.getsockname()[1]}"
        self.serve, self.kept, self.ended = serve, [], False
        if serve:
            threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while not self.ended:
            try:
                c, _ = self.socket.accept()
            except OSError:
                return
            self.kept.append(c)
            threading.Thread(target=self.one, args=(c,), daemon=True).start()

    def one(self, c):
        try:
            self.serve(c)
        except (OSError, ValueError):
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ended = True
        for s in (self.socket, *self.kept):
            s.close()


def hang(_):
    time.sleep(60)


def reset(c):
    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    c.close()


def tls_hang(c):
    """The beginning of a handshake record, and no more."""
    c.recv(4096)
    c.sendall(b"\x16\x03\x03\x00\x7a\x02\x00")
    time.sleep(60)


def tls_drip(c):
    c.recv(4096)
    for byte in b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc\x03\x03" + bytes(200):
        c.sendall(bytes([byte]))
        time.sleep(0.1)


class Tls:
    """What happens once the handshake is done."""

    def __init__(self, then):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*OURS.server_files())
        self.then = then

    def __call__(self, c):
        with self.context.wrap_socket(c, server_side=True) as s:
            self.then(s)


def read_and_hang(s):
    while s.recv(65536):
        pass


def drip_header(s):
    s.recv(65536)
    for byte in b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000:
        s.sendall(bytes([byte]))
        time.sleep(0.05)


def drip_body(s):
    s.recv(65536)
    s.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
    for _ in range(100000):
        s.sendall(b" ")
        time.sleep(0.05)


def measure(t, k, name, url, least=0.0, **more):
    with Server(OURS, good, clients=OURS) as s:
        start = time.monotonic()
        first = k.sync([url, s.url], OURS.pem, **more)
        took = time.monotonic() - start
        start = time.monotonic()
        second = k.sync([url, s.url], OURS.pem, **more)  # the one that worked goes first now
        again = time.monotonic() - start
    t.that(f"{name}: {took:.2f} s, then {again:.2f} s", first["status"] == DONE == second["status"] and
           least <= took <= AT_MOST + GOOD_COSTS and again < GOOD_COSTS, (took, again, first, second))


def each_kind(t):
    with enrolled(Keeper()) as k:
        measure(t, k, "nobody listens (RST to the SYN)", DEAD)
        with Dead(reset) as d:
            measure(t, k, "reset after accept", d.url)
        with Dead(backlog=0) as d:
            # two connections fill the queue; the kernel drops further SYNs
            fill = [socket.socket() for _ in range(2)]
            for f in fill:
                f.setblocking(False)
                f.connect_ex(d.socket.getsockname())
            measure(t, k, "black-holed SYN", d.url, least=2.8)
            for f in fill:
                f.close()
        for name, how in (("accepts and says nothing", hang), ("TLS hangs in the middle", tls_hang),
                          ("TLS drips", tls_drip), ("TLS, then never reads", Tls(hang)),
                          ("reads the request, never answers", Tls(read_and_hang)),
                          ("drips its headers", Tls(drip_header)), ("drips its body", Tls(drip_body))):
            with Dead(how) as d:
                measure(t, k, name, d.url, least=2.8)
        big = [os.urandom(4000) for _ in range(256)]
        with Dead(Tls(hang)) as d:
            start = time.monotonic()
            a = k.sync([d.url, DEAD], OURS.pem, big)
            took = time.monotonic() - start
            t.that(f"never reads a batch of 1 MiB: {took:.2f} s", a["status"] == OFFLINE and 2.8 < took <= AT_MOST + GOOD_COSTS,
                   (took, a))


def slow_line(t):
    """A large batch on a slow line is not a dead server: it reads 64 KiB every 0.7 s, 11 s in all."""
    def read_slowly(s):
        got = b""
        while b"\r\n\r\n" not in got:
            got += s.recv(4096)
        head, body = got.split(b"\r\n\r\n", 1)
        want = int([line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")][0])
        n = len(body)
        while n < want:
            time.sleep(0.7)
            step = 0
            while step < 65536 and n < want:
                part = s.recv(16384)
                if not part:
                    return
                step += len(part)
                n += len(part)
        _, _, answer = good(None, None)
        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer)
        s.recv(1)
    records = [os.urandom(4000) for _ in range(256)]
    with enrolled(Keeper()) as k, Dead() as d:
        d.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
        d.serve = Tls(read_slowly)
        threading.Thread(target=d.run, daemon=True).start()
        start = time.monotonic()
        a = k.sync([d.url], OURS.pem, records)
        took = time.monotonic() - start
        t.that(f"a slow line carries 1 MiB: {took:.1f} s", a["status"] == DONE and took > 6, (took, a["problem"]))


def all_dead(t):
    with enrolled(Keeper()) as k:
        servers = [Dead(hang) for _ in range(8)]
        start = time.monotonic()
        a = k.sync([d.url for d in servers], OURS.pem)
        took = time.monotonic() - start
        t.that(f"eight silent servers: {took:.1f} s", a["status"] == OFFLINE and took < 8 * AT_MOST + 1, (took, a))
        for d in servers:
            d.__exit__()


def dead_resolver(t):
    """The courier's resolv.conf names a server that never answers."""
    name = "a resolver that never answers"
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        silent.bind(("127.0.0.53", 53))
    except OSError as e:
        t.skip(name, f"port 53 is taken: {e}")
        return
    with enrolled(Keeper()) as k:
        conf = k.path("resolv.conf")
        with open(conf, "w") as f:
            f.write("nameserver 127.0.0.53\n")
        why = bind_over(k, conf, "/etc/resolv.conf")
        if why:
            t.skip(name, why)
            return
        k.expect(BATCH_WANTED)
        k.send(IDLE)
        measure(t, k, name, "https://keys.example.org:8443", least=2.8)
    silent.close()


if __name__ == "__main__":
    Checks().run(each_kind, *((slow_line, all_dead) if JUDGED else ()), dead_resolver)
