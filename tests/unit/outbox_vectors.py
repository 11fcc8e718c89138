#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints outbox_vectors.h: an outbox and its answer, made after docs/formats.md#outbox with another implementation
(Python). Run by hand when a layout changes; ECDSA signatures differ from run to run."""
import hashlib
import struct
import sys

from formats_vectors import (KEY_ID, ORG, OTHER, TIME, VOLUME, field, key, key_id, print_bytes, print_text, record,
                             signed)
from cryptography.hazmat.primitives import serialization

CSR = b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"
CERTIFICATE = b"-----BEGIN CERTIFICATE-----\nBBBB\n-----END CERTIFICATE-----\n"


def spki(k):
    return k.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def events(device):
    for n in (1, 2):
        yield record(device, 3, n, bytes(32), field(16, b"\x02") + field(17, KEY_ID) + field(18, OTHER) +
                     field(19, VOLUME) + field(20, b"\x01") + field(21, b"\x03") + field(22, struct.pack("<Q", TIME)))


ATTEMPT = 0x01020304


def receipt_of(device, receipt, records):
    names = sorted(hashlib.sha256(r).digest() for r in records)
    return signed(receipt, b"KHC\x01" + bytes([1, 0]) + struct.pack("<HI", len(names), 0) + ORG +
                  key_id(device) + struct.pack("<Q", TIME) + key_id(receipt) + b"".join(names))


def attempt(version):
    return struct.pack("<I", ATTEMPT) if version > 1 else b""


def proofs(version, proof):
    return bytes([1]) + struct.pack("<I", len(proof)) + proof if version > 1 else b""


def outbox(version, device, records, proof):
    hashes = sorted(hashlib.sha256(bytes([n])).digest() for n in range(3))
    enrollment = hashlib.sha256(b"the token").digest() + struct.pack("<Q", TIME + 1) + bytes(range(64)) + \
        bytes([8]) + b"laptop-7" + struct.pack("<H", len(CSR)) + CSR
    rest = bytes([3, 0, 0, 0]) + ORG + key_id(device) + spki(device) + struct.pack("<Q", TIME) + \
        hashlib.sha256(b"envelopes").digest() + hashlib.sha256(b"head").digest() + attempt(version) + enrollment + \
        struct.pack("<H", 3) + b"".join(hashes) + struct.pack("<H", len(records)) + \
        b"".join(struct.pack("<I", len(r)) + r for r in records) + proofs(version, proof)
    return signed(device, b"KHX" + bytes([version]) + struct.pack("<I", 8 + len(rest) + 64) + rest)


def answer(version, device, receipt, records):
    names = sorted(hashlib.sha256(r).digest() for r in records)
    receipt_bytes = receipt_of(device, receipt, records)
    command = signed(receipt, b"KHO\x01" + bytes([1, 0, 0, 0]) + ORG + key_id(device) + KEY_ID +
                     struct.pack("<Q", TIME) + key_id(receipt))
    rest = bytes([5, 0, 0, 0]) + ORG + key_id(device) + struct.pack("<QQ", TIME + 2, 7) + \
        hashlib.sha256(b"audit").digest() + bytes(range(16)) + struct.pack("<Q", 2) + names[0] + \
        hashlib.sha256(b"server").digest() + attempt(version) + struct.pack("<H", len(CERTIFICATE)) + CERTIFICATE + \
        bytes([1]) + struct.pack("<I", len(receipt_bytes)) + receipt_bytes + bytes([1]) + command + \
        struct.pack("<H", 1) + hashlib.sha256(b"\x01").digest()
    return b"KHY" + bytes([version]) + struct.pack("<I", 8 + len(rest)) + rest


def main():
    device, receipt = key(0x11), key(0x44)
    records = list(events(device))
    print("#pragma once\n/* SPDX-License-Identifier: GPL-3.0-or-later */")
    print("/* Made by tests/unit/outbox_vectors.py; what the bytes say stands there. */\n\n#include <stdint.h>\n")
    print(f"#define OUTBOX_TIME {TIME}u\n#define OUTBOX_ATTEMPT {ATTEMPT}u\n")
    proof = receipt_of(device, receipt, records)
    for name, data in (("vector_outbox", outbox(2, device, records, proof)),
                       ("vector_outbox_answer", answer(2, device, receipt, records)),
                       ("vector_outbox_1", outbox(1, device, records, proof)),
                       ("vector_outbox_answer_1", answer(1, device, receipt, records))):
        print_bytes(name, data)
        print_text(name, data)


if __name__ == "__main__":
    sys.exit(main())
