#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The courier's process against a real HTTPS server on loopback; the keeper is a stand-in."""
import base64
import os
import signal
import socket
import stat
import sys
import time

from checks import JUDGED, Checks
from keeper import (BATCH_WANTED, COURIER, DEVICE, DONE, IDLE, OFFLINE, REFUSED, SYNC_ANSWER, SYNC_NOW, UNTRUSTED,
                    Keeper)
from scene import ANSWER, DEAD, FOREIGN, OURS, enrolled, enroller, good
from server import Server, openssl, packed


def enrolment(t):
    with Keeper() as k, Server(OURS, enroller) as s:
        k.expect(BATCH_WANTED)
        t.that("the courier asks for work as soon as it is connected", True)
        status = open(f"/proc/{k.process.pid}/status").read()
        t.that("the courier has given up system calls it does not need", "Seccomp:\t2" in status and
               "NoNewPrivs:\t1" in status, status)
        csr = k.csr()
        text = openssl("req", "-noout", "-subject", "-verify", "-nameopt", "RFC2253", stdin=csr).decode()
        t.that("the certificate request names the device", f"CN={DEVICE.hex()}" in text, text)
        mode = stat.S_IMODE(os.stat(k.state("tls.key")).st_mode)
        t.that("only its user may read the TLS key", mode == 0o600, oct(mode))
        key = openssl("req", "-noout", "-pubkey", stdin=csr)
        t.that("the TLS key stays the same", openssl("req", "-noout", "-pubkey", stdin=k.csr()) == key)
        answer = k.enroll([s.url], OURS.pem, csr)
        t.that("enrolment brings a certificate", answer["status"] == DONE and b"BEGIN CERT" in answer["certificate"],
               answer)
        path, request, cn, headers = s.requests[0]
        t.that("the request has the fields of docs/formats.md", path == "/v1/enroll" and set(request) == {
            "token", "device_spki", "courier_csr", "computer", "time", "signature"}, request)
        t.that("fields are as the keeper gave them", request["token"] == "token" and request["time"] == 1800000000 and
               request["computer"] == "laptop \u00e4" and base64.b64decode(request["device_spki"]) == b"spki" * 20 and
               request["courier_csr"].encode() == csr, request)
        t.that("no client certificate is shown when enrolling", cn == [], cn)
        with open(k.state("tls.crt"), "rb") as f:
            t.that("the courier keeps the certificate", f.read() == answer["certificate"])

    with Keeper() as k:
        k.expect(BATCH_WANTED)
        csr = k.csr()
        other = openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                        "/dev/null", "-subj", "/CN=x")
        wrong = OURS.sign(other).decode()
        with Server(OURS, lambda *_: packed({"device": DEVICE.hex(), "certificate": wrong})) as s:
            answer = k.enroll([s.url], OURS.pem, csr)
        t.that("a certificate for another key is refused", answer["status"] == REFUSED, answer)
        t.that("and not kept", not os.path.exists(k.state("tls.crt")))
        problem = b'{"type":"about:blank","title":"Forbidden","status":403,"detail":"the token has expired\\u0007"}'
        k.send(SYNC_NOW, person=1)
        k.expect(BATCH_WANTED)
        with Server(OURS, lambda *_: (403, {"Content-Type": "application/problem+json"}, problem)) as s:
            answer = k.enroll([s.url], OURS.pem, csr)
        t.that("a refusal brings the server's sentence, without control characters", answer["status"] == REFUSED and
               b"the token has expired" in answer["problem"] and b"\x07" not in answer["problem"], answer)


def syncing(t):
    with enrolled(Keeper()) as k, Server(OURS, good, clients=OURS) as s:
        a = k.sync([s.url], OURS.pem)
        t.that("a sync succeeds", a["status"] == DONE and a["problem"] == b"", a)
        path, request, cn, headers = s.requests[0]
        t.that("with the courier's certificate", cn == [DEVICE.hex()], cn)
        t.that("the request is that of docs/formats.md", path == "/v1/sync" and request == {
            "device": DEVICE.hex()[:16], "envelopes": "00" * 8,
            "records": [base64.b64encode(r).decode() for r in (b"record one", b"record two")]}, request)
        t.that("gzip both ways", headers["Content-Encoding"] == "gzip" and "Accept-Encoding" not in headers, headers)
        t.that("the answer arrives decoded", a["receipts"] == [b"receipt"] and a["commands"] == [b"command"] and
               a["known_incarnation"] == b"\x11" * 8 and a["known_sequence"] == 7 and a["known_name"] == b"\x22" * 8 and
               a["audit_length"] == 3 and a["audit_hash"] == b"\x33" * 32 and a["envelopes_match"] == 1 and
               a["retry_after_s"] == 5400, a)
        t.that("without a signed word, when there is none", a["audit_word"] == b"" and a["want_audit_word"] == 0, a)
        big = [os.urandom(4000) for _ in range(256)]
        a = k.sync([s.url + "/"], OURS.pem, big)
        t.that("a full batch goes through", a["status"] == DONE and len(s.requests[1][1]["records"]) == 256, a["problem"])
        k.expect(BATCH_WANTED)
        t.that("and the next one is asked for at once", True)
        k.send(IDLE)
        k.send(SYNC_NOW, person=1)
        k.expect(BATCH_WANTED)
        t.that("SYNC_NOW ends idleness", True)
        k.send(IDLE)

        k.socket.close()
        k.accept()
        k.expect(BATCH_WANTED)
        t.that("a keeper that comes back is found", True)
    new = dict(ANSWER, known=None, receipts=[], commands=[])
    with enrolled(Keeper()) as k, Server(OURS, lambda *_: packed(new), clients=OURS) as s:
        a = k.sync([s.url], OURS.pem, [])
        t.that("and sends no policy", a["policy"] == a["policy_sig"] == b"", a)
        t.that("a server that knows nothing of the device", a["status"] == DONE and a["known_incarnation"] == b"", a)
    policy = {"json": base64.b64encode(b"{}").decode(), "sig": base64.b64encode(bytes(64)).decode()}
    for what, given, status in (("a policy is handed on as it is", policy, DONE), ("half a policy is none", {"json": "e30="}, None)):
        with enrolled(Keeper()) as k, Server(OURS, lambda *_: packed(dict(new, policy=given)), clients=OURS) as s:
            a = k.sync([s.url], OURS.pem, [], policy=3)
            t.that("the version in use is told", s.requests[0][1].get("policy") == 3, s.requests[0][1])
            t.that(what, (a["status"] == DONE) == (status == DONE) and
                   (a["policy"], a["policy_sig"]) == ((b"{}", bytes(64)) if status else (b"", b"")), a)


def trust(t):
    with enrolled(Keeper()) as k:
        with Server(FOREIGN, good) as s:
            a = k.sync([s.url], OURS.pem)
            t.that("a foreign CA is refused", a["status"] == UNTRUSTED and
                   b"the server's certificate is not from this organisation" in a["problem"], a)
            t.that("nothing was sent to it", s.requests == [], s.requests)
            a = k.sync([s.url, DEAD], OURS.pem)
            t.that("with the next server dead, the false certificate is what is told", a["status"] == UNTRUSTED, a)
            with Server(OURS, good, clients=OURS) as real:
                a = k.sync([s.url, real.url], OURS.pem)
                t.that("with a good server behind it, the sync succeeds", a["status"] == DONE and len(real.requests) == 1, a)
        with Server(OURS, good, name="DNS:elsewhere.example") as s:
            a = k.sync([s.url], OURS.pem)
            t.that("a certificate for another name is refused", a["status"] == UNTRUSTED and
                   b"not for this name" in a["problem"] and s.requests == [], a)
        for what, start, end in (("expired", "20100101000000Z", "20110101000000Z"),
                                 ("not yet valid", "20390101000000Z", "20400101000000Z")):
            with Server(OURS, good, clients=OURS, start=start, end=end) as s:
                a = k.sync([s.url], OURS.pem)
                t.that(f"a certificate that is {what} is accepted: clocks are wrong", a["status"] == DONE, a)
        with Server(OURS, good, tls12=True) as s:
            a = k.sync([s.url], OURS.pem)
            t.that("TLS 1.2 is refused", a["status"] == OFFLINE and s.requests == [], a)
        a = k.sync(["http" + DEAD[5:], "file:///etc/passwd"], OURS.pem)
        t.that("only https is spoken", a["status"] == OFFLINE, a)
    # the system's CAs must not count: here the foreign one is such a CA, by OpenSSL's own variables
    with enrolled(Keeper(env={"SSL_CERT_FILE": FOREIGN.path, "SSL_CERT_DIR": FOREIGN.dir.name})) as k:
        with Server(FOREIGN, good) as s:
            a = k.sync([s.url], OURS.pem)
            t.that("a CA that the system trusts is still foreign", a["status"] == UNTRUSTED and s.requests == [], a)


def outages(t):
    with enrolled(Keeper()) as k:
        a = k.sync([DEAD], OURS.pem)
        t.that("a dead server is named", a["status"] == OFFLINE and
               a["problem"].startswith(b"server not reachable: " + DEAD.encode()), a)
        a = k.sync(["https://server.invalid:8443"], OURS.pem)
        t.that("a name that does not exist is named", a["status"] == OFFLINE and b"server.invalid" in a["problem"], a)
        with Server(OURS, good, clients=OURS, name="DNS:localhost") as s:
            a = k.sync([s.url.replace("127.0.0.1", "localhost")], OURS.pem)
            t.that("a server can be named", a["status"] == DONE, a)
        silent = socket.socket()
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        with Server(OURS, good, clients=OURS) as s:
            start = time.monotonic()
            a = k.sync([url, s.url], OURS.pem)
            took = time.monotonic() - start
            t.that("a server that accepts and is silent costs at most 3 s", a["status"] == DONE and
                   2.5 < took < (4.5 if JUDGED else 25), (took, a))
        silent.close()
        answers = [(503, {"Retry-After": "120"}, b"{}")]
        with Server(OURS, lambda *_: answers[0]) as s:
            a = k.sync([s.url], OURS.pem)
            t.that("503 is not now, and when to come back is handed on", a["status"] == OFFLINE and
                   a["retry_after_s"] == 120 and b"503" in a["problem"], a)
            with Server(OURS, good, clients=OURS) as other:
                a = k.sync([s.url, other.url], OURS.pem)
                t.that("the next server is asked when one has no time", a["status"] == DONE, a)
            answers[0] = (301, {"Location": DEAD}, b"")
            a = k.sync([s.url], OURS.pem)
            t.that("redirections are not followed", a["status"] == OFFLINE and b"301" in a["problem"], a)
        said = k.said().count(DEAD)
        t.that("a failure is said on stderr, once", said == 1, k.said())


def child_of(keeper):
    """The errand under way."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with open(f"/proc/{keeper.process.pid}/task/{keeper.process.pid}/children") as f:
            pids = f.read().split()
        if pids:
            return int(pids[0])
        time.sleep(0.01)
    raise RuntimeError("no errand was started")


def is_gone(pid):
    """Within a minute; one that is dead and waits for init to look at it is gone, too."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            with open(f"/proc/{pid}/status") as f:
                if "State:\tZ" in f.read():
                    return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.01)
    return False


def errands(t):
    """Each exchange is a process of its own: confined, ended when it hangs, and not in the courier's way."""
    with enrolled(Keeper()) as k, socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        silent.settimeout(60)
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"

        def begin():
            k.send(SYNC_NOW, person=1)
            k.expect(BATCH_WANTED)
            k.batch([url], OURS.pem)
            silent.accept()
            return child_of(k)
        pid = begin()
        with open(f"/proc/{pid}/status") as f:
            status = f.read()
        t.that("an errand gives up what the courier may still do", "Seccomp_filters:\t2" in status and
               "NoNewPrivs:\t1" in status, status)
        with open(f"/proc/{pid}/cmdline") as f:
            t.that("nothing but folder and patience stands on its command line", OURS.pem.decode() not in f.read())
        k.send(SYNC_NOW, person=0)  # a new escrow, while the errand is under way
        a = k.expect(SYNC_ANSWER)
        start = time.monotonic()
        k.expect(BATCH_WANTED)
        t.that("what was new meanwhile goes out at once afterwards", a["status"] == OFFLINE and
               time.monotonic() - start < 6, a)  # a try that is due comes after 7.5 s
        k.send(IDLE)
        os.kill(begin(), signal.SIGKILL)
        a = k.expect(SYNC_ANSWER)
        t.that("an errand that dies is a failed one", a["status"] == OFFLINE and b"without an answer" in a["problem"], a)
        pid = begin()
        k.socket.close()
        k.accept()
        t.that("with the keeper gone its errand is ended", is_gone(pid))
        k.expect(BATCH_WANTED)
        k.send(IDLE)
        pid = begin()
        k.process.kill()
        k.process.wait(60)
        t.that("nor does an errand outlive the courier", is_gone(pid))
        k.start()
        k.expect(BATCH_WANTED)


def retry_after(t):
    with enrolled(Keeper()) as k, Server(OURS, lambda *_: (503, {"Retry-After": "600"}, b"{}")) as busy, \
            Server(OURS, good, clients=OURS) as s:
        a = k.sync([busy.url, s.url], OURS.pem, person=0)
        a = k.sync([busy.url, s.url], OURS.pem, person=0)
        t.that("a server that said when to come back is left alone until then", a["status"] == DONE and
               len(busy.requests) == 1 and len(s.requests) == 2, (a, len(busy.requests)))
        a = k.sync([busy.url], OURS.pem, person=0)
        t.that("with no other, nobody is asked", a["status"] == OFFLINE and b"come back in" in a["problem"] and
               len(busy.requests) == 1, a)
        k.send(SYNC_NOW, person=0)
        k.socket.settimeout(2)
        try:
            k.receive()
            t.that("nor does a new escrow change that", False)
        except TimeoutError:
            t.that("nor does a new escrow change that", True)
        k.socket.settimeout(60)
        a = k.sync([busy.url], OURS.pem, person=1)
        t.that("a person who asks gets through", a["status"] == OFFLINE and b"503" in a["problem"] and
               len(busy.requests) == 2, a)


def audit_words(t):
    said = dict(ANSWER, audit_head={"length": 4, "hash": "33" * 32, "word": "d29yZA=="}, want_audit_word=True)
    with enrolled(Keeper()) as k, Server(OURS, lambda *_: packed(said), clients=OURS) as s:
        a = k.sync([s.url], OURS.pem, audit_word=b"mine")
        t.that("a signed word goes both ways", a["audit_word"] == b"word" and a["want_audit_word"] == 1 and
               s.requests[-1][1]["audit_word"] == "bWluZQ==", a)


def bad_answers(t):
    rows = {
        "a gzip bomb": b" " * (64 << 20),
        "one byte more than 1 MiB": b'{"x":"' + b"a" * ((1 << 20) - 7) + b'"}',
        "no JSON": b"<html>",
        "an array": b"[]",
        "a doubled key": b'{"receipts":[],"receipts":[]}',
        "a missing field": dict(ANSWER, retry_after=None),
        "too deep nesting": b'{"a":' * 40 + b"1" + b"}" * 40,
        "a number for a text": dict(ANSWER, receipts=[1]),
        "broken base64": dict(ANSWER, receipts=["!!!!"]),
        "more receipts than records fit": dict(ANSWER, receipts=["AAAA"] * 257),
        "a short hash": dict(ANSWER, audit_head={"length": 1, "hash": "00"}),
        "bytes behind the object": b"{} {}",
    }
    with enrolled(Keeper()) as k:
        for what, body in rows.items():
            with Server(OURS, lambda *_, b=body: packed(b)) as s:
                a = k.sync([s.url], OURS.pem)
            t.that(f"{what} is refused with a sentence", a["status"] == REFUSED and a["problem"] and a["receipts"] == [], a)
        damaged = (200, {"Content-Encoding": "gzip"}, b"\x1f\x8b\x08\x00broken gzip broken gzip")
        with Server(OURS, lambda *_: damaged) as s:
            a = k.sync([s.url], OURS.pem)
        t.that("damaged gzip is refused", a["status"] == REFUSED, a)
        with Server(OURS, lambda *_: (200, {}, b"")) as s:
            a = k.sync([s.url], OURS.pem)
        t.that("an empty answer is refused", a["status"] == REFUSED, a)


def command_line(t):
    import subprocess
    p = subprocess.run([COURIER, "dance"], capture_output=True, text=True, timeout=60)
    t.that("usage", p.returncode == 2 and p.stderr.startswith("usage:"), p)


if not os.path.exists(COURIER):
    sys.exit(f"{COURIER} is missing: make")
Checks().run(enrolment, syncing, trust, outages, errands, retry_after, bad_answers, command_line)
