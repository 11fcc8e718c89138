#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The courier through real CONNECT proxies on loopback, mTLS end to end with the server behind them."""
import socket
import time

from checks import JUDGED, Checks
from keeper import BATCH_WANTED, DEVICE, DONE, IDLE, OFFLINE, UNTRUSTED, Keeper
from namespace import bind_over
from proxy import Proxy, tls_context
from scene import FOREIGN, OURS, enrolled, enroller, good
from server import Server

NAME = "keys.example.invalid"  # no resolver knows it but the proxy's
SECRET = "pass%20word%3A1"


def through(t):
    with Server(OURS, good, clients=OURS, name=f"DNS:{NAME}") as s, enrolled(Keeper()) as k:
        port = s.http.server_address[1]
        there = {NAME: ("127.0.0.1", port)}
        server = f"https://{NAME}:{port}"
        with Proxy(names=there) as p:
            a = k.sync([server], OURS.pem, proxy=p.url().encode())
            t.that("a sync through a proxy, which resolves the server's name", a["status"] == DONE, a)
            t.that("by CONNECT", [r[:2] for r in p.asked] == [("CONNECT", f"{NAME}:{port}")], p.asked)
            t.that("mTLS end to end: the server sees the courier's certificate", s.requests[-1][2] == [DEVICE.hex()])
            t.that("the proxy sees nothing of what goes through", b"/v1/sync" not in p.passed and
                   DEVICE.hex().encode() not in p.passed and len(p.passed) > 1000, len(p.passed))
            t.that("no header of ours tells the proxy more", "user-agent" not in p.asked[0][2], p.asked[0][2])
        for auth in ("Basic", "Digest"):
            with Proxy(auth, names=there) as p:
                a = k.sync([server], OURS.pem, proxy=p.url(f"laptop:{SECRET}@").encode())
                t.that(f"with user and password ({auth})", a["status"] == DONE, (a, p.asked))
                a = k.sync([server], OURS.pem, proxy=p.url("laptop:wrong-password@").encode())
                t.that("a wrong one is said", a["status"] == OFFLINE and b"407" in a["problem"], a)
        t.that("passwords stand in no log", "wrong-password" not in k.said() and SECRET not in k.said(), k.said())
        with Proxy(refuse=403, names=there) as p:
            a = k.sync([server], OURS.pem, proxy=p.url().encode())
            t.that("a proxy that refuses is named with its answer", a["status"] == OFFLINE and b"proxy" in a["problem"] and
                   b"403" in a["problem"], a)
        a = k.sync([server], OURS.pem, proxy=b"http://127.0.0.1:1")
        t.that("a proxy that is away is no server that is away", a["status"] == OFFLINE and b"proxy" in a["problem"], a)


def around(t):
    with Server(OURS, good, clients=OURS) as s, Server(FOREIGN, good) as foreign, Proxy() as p, enrolled(Keeper()) as k:
        proxy = p.url().encode()
        for exempt in (b"127.0.0.1", b"other.example, 127.0.0.1", b"127.0.0.0/8", b"*"):
            a = k.sync([s.url], OURS.pem, proxy=proxy, no_proxy=exempt)
            t.that(f"no_proxy = {exempt.decode()}", a["status"] == DONE and p.asked == [], (a, p.asked))
        a = k.sync([s.url], OURS.pem, proxy=proxy, no_proxy=b"example.org")
        t.that("others go through it", a["status"] == DONE and len(p.asked) == 1, a)
        a = k.sync([foreign.url], OURS.pem, proxy=proxy)
        t.that("a foreign server behind a proxy is refused all the same", a["status"] == UNTRUSTED and
               foreign.requests == [], a)
    with Server(OURS, good, clients=OURS) as s, Proxy() as p:
        env = {n: p.url() for n in ("http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")}
        with enrolled(Keeper(env=env)) as k:
            a = k.sync([s.url], OURS.pem)
            t.that("the environment's proxy does not count", a["status"] == DONE and p.asked == [], (a, p.asked))
    with Keeper() as k, Server(OURS, enroller) as s, Proxy() as p:
        k.expect(BATCH_WANTED)
        a = k.enroll([s.url], OURS.pem, k.csr(), proxy=p.url().encode())
        t.that("enrolment goes through it, too", a["status"] == DONE and len(p.asked) == 1, a)


def dead(t):
    with socket.socket() as silent, Server(OURS, good, clients=OURS) as s, enrolled(Keeper()) as k:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}".encode()
        start = time.monotonic()
        a = k.sync([s.url], OURS.pem, proxy=url)
        took = time.monotonic() - start
        t.that(f"a silent proxy costs {took:.2f} s", a["status"] == OFFLINE and 2.8 < took < (3.35 if JUDGED else 25), (took, a))


def over_tls(t):
    """The proxy's own certificate is judged by the system's CAs; here the system's file is the foreign one."""
    with Server(OURS, good, clients=OURS) as s, Proxy(tls=tls_context(FOREIGN)) as p, enrolled(Keeper()) as k:
        proxy = p.url(scheme="https").encode()
        a = k.sync([s.url], OURS.pem, proxy=proxy)
        t.that("a proxy over TLS that the system does not know is refused", a["status"] == OFFLINE and
               b"proxy's certificate" in a["problem"] and p.asked == [], a)
        name = "a proxy over TLS that the system knows"
        why = bind_over(k, FOREIGN.path, "/etc/ssl/certs/ca-certificates.crt")
        if why:
            t.skip(name, why)
            return
        k.expect(BATCH_WANTED)
        k.send(IDLE)
        a = k.sync([s.url], OURS.pem, proxy=proxy)
        t.that(name, a["status"] == DONE and len(p.asked) == 1 and s.requests[-1][2] == [DEVICE.hex()], a)
        with Server(FOREIGN, good) as foreign:
            a = k.sync([foreign.url], OURS.pem, proxy=proxy)
            t.that("its CA says nothing about servers", a["status"] != DONE and foreign.requests == [], a)


if __name__ == "__main__":
    Checks().run(through, around, dead, over_tls)
