# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for the keeper: the frames of agent/msg.h, spoken to a real courier process."""
import os
import socket
import struct
import subprocess
import tempfile

from checks import LIBEXEC

COURIER = os.path.join(LIBEXEC, "courier")
CSR_WANTED, ENROLL_DO, SYNC_BATCH, SYNC_NOW, IDLE, CERTIFICATE = 32, 33, 34, 35, 36, 37
CSR, ENROLLED, BATCH_WANTED, SYNC_ANSWER, CERTIFICATE_KEPT = 48, 49, 50, 51, 52
DONE, OFFLINE, UNTRUSTED, REFUSED = 1, 2, 3, 4
DEVICE = bytes(range(32))

# fields in wire order: s bytes, l list of bytes, 4 u32, 8 u64
LAYOUT = {
    CSR_WANTED: [("device", "s")],
    ENROLL_DO: [("servers", "l"), ("ca", "s"), ("csr", "s"), ("token", "s"), ("spki", "s"), ("computer", "s"),
                ("time", "8"), ("signature", "s"), ("proxy", "s"), ("no_proxy", "s")],
    SYNC_BATCH: [("servers", "l"), ("ca", "s"), ("device", "s"), ("records", "l"), ("envelopes", "s"),
                 ("audit_head", "s"), ("set", "s"), ("proxy", "s"), ("no_proxy", "s"), ("policy", "8"),
                 ("last", "s"), ("packages", "s"), ("package_set", "s"), ("audit_word", "s"),
                 ("attempt", "8"), ("spki", "s"), ("proofs", "l")],
    SYNC_NOW: [("person", "4")], IDLE: [], BATCH_WANTED: [], CERTIFICATE: [("pem", "s")],
    CERTIFICATE_KEPT: [("status", "4"), ("problem", "s")],
    CSR: [("pem", "s")],
    ENROLLED: [("status", "4"), ("certificate", "s"), ("problem", "s")],
    SYNC_ANSWER: [("status", "4"), ("problem", "s"), ("receipts", "l"), ("commands", "l"), ("audit_length", "8"),
                  ("audit_hash", "s"), ("known_incarnation", "s"), ("known_sequence", "8"), ("known_name", "s"),
                  ("envelopes_match", "4"), ("retry_after_s", "8"), ("time", "8"), ("want_set", "4"),
                  ("server_envelopes", "s"), ("has_missing", "4"), ("missing", "s"), ("certificate", "s"),
                  ("policy", "s"), ("policy_sig", "s"), ("want_packages", "4"), ("server_packages", "s"),
                  ("has_missing_packages", "4"), ("missing_packages", "s"), ("audit_word", "s"), ("want_audit_word", "4"),
                  ("audit_chain", "s")],
}


def encode(kind, fields):
    def span(b):
        return struct.pack("<I", len(b)) + b
    body = struct.pack("<H", kind)
    for name, how in LAYOUT[kind]:
        v = fields[name]
        body += {"s": lambda: span(v), "l": lambda: struct.pack("<I", len(v)) + b"".join(map(span, v)),
                 "4": lambda: struct.pack("<I", v), "8": lambda: struct.pack("<Q", v)}[how]()
    return struct.pack("<I", len(body)) + body


def decode(body):
    kind, at, fields = struct.unpack_from("<H", body)[0], 2, {}

    def number(size):
        nonlocal at
        at += size
        return struct.unpack_from("<I" if size == 4 else "<Q", body, at - size)[0]

    def span():
        nonlocal at
        n = number(4)
        at += n
        return body[at - n:at]
    for name, how in LAYOUT[kind]:
        fields[name] = span() if how == "s" else [span() for _ in range(number(4))] if how == "l" else number(int(how))
    if at != len(body):
        raise ValueError(f"{len(body) - at} bytes left over in message {kind}")
    return kind, fields


class Keeper:
    """Listens where the keeper would, and starts a courier that connects."""

    def __init__(self, env=None):
        self.root = tempfile.TemporaryDirectory()
        os.makedirs(self.path("run/keyholt"))
        self.listen()
        self.log = open(self.path("courier.log"), "w+b")
        self.start(env=env)

    def start(self, env=None, **how):
        self.process = subprocess.Popen([COURIER, "--root", self.root.name], stderr=self.log,
                                        env={**os.environ, **(env or {})}, **how)
        self.accept()

    def restart(self, **how):
        self.process.terminate()
        self.process.wait(60)
        self.socket.close()
        self.start(**how)

    def path(self, *parts):
        return os.path.join(self.root.name, *parts)

    def state(self, name):
        return self.path("var/lib/keyholt/courier", name)

    def listen(self):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.settimeout(60)
        self.listener.bind(self.path("run/keyholt/courier.sock"))
        self.listener.listen(1)

    def accept(self):
        self.socket, _ = self.listener.accept()
        self.socket.settimeout(60)

    def send(self, kind, **fields):
        self.socket.sendall(encode(kind, fields))

    def receive(self):
        def exactly(n):
            data = b""
            while len(data) < n:
                more = self.socket.recv(n - len(data))
                if not more:
                    raise EOFError("the courier closed the connection: " + self.said())
                data += more
            return data
        return decode(exactly(struct.unpack("<I", exactly(4))[0]))

    def expect(self, kind):
        got, fields = self.receive()
        if got != kind:
            raise ValueError(f"expected message {kind}, got {got}: {fields}")
        return fields

    def csr(self):
        self.send(CSR_WANTED, device=DEVICE)
        return self.expect(CSR)["pem"]

    def enroll(self, servers, ca, csr, token=b"token", proxy=b"", no_proxy=b""):
        self.send(ENROLL_DO, servers=[s.encode() for s in servers], ca=ca, csr=csr, token=token, spki=b"spki" * 20,
                  computer="laptop \u00e4".encode(), time=1800000000, signature=bytes(64), proxy=proxy, no_proxy=no_proxy)
        return self.expect(ENROLLED)

    def batch(self, servers, ca, records=(b"record one", b"record two"), set=b"", proxy=b"", no_proxy=b"",
              policy=0, last=b"", packages=b"", package_set=b"", audit_word=b"",
              attempt=0, spki=b"", proofs=()):
        """The answer to BATCH_WANTED."""
        self.send(SYNC_BATCH, servers=[s.encode() for s in servers], ca=ca, device=DEVICE, records=list(records),
                  envelopes=bytes(32), audit_head=b"", set=set, proxy=proxy, no_proxy=no_proxy, policy=policy,
                  last=last, packages=packages, package_set=package_set, audit_word=audit_word,
                  attempt=attempt, spki=spki, proofs=list(proofs))

    def sync(self, servers, ca, *args, person=1, **more):
        """As an errand that was asked for: SYNC_NOW, then the batch."""
        self.send(SYNC_NOW, person=person)
        self.expect(BATCH_WANTED)
        self.batch(servers, ca, *args, **more)
        return self.expect(SYNC_ANSWER)

    def said(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def close(self):
        self.process.terminate()
        self.process.wait(60)
        self.socket.close()
        self.listener.close()
        self.log.close()
        self.root.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
