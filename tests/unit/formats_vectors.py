#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints formats_vectors.h: messages made after docs/formats.md and RFC 9180 with another implementation
(Python's cryptography), so that the C code is not only checked against itself. Run by hand when a layout changes;
ECDSA signatures differ from run to run."""
import base64
import hashlib
import hmac
import struct
import sys
import uuid

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

PASSWORD = "042647-302313-590458-071500-554323-116567-412181-516978"
ORG = uuid.UUID("11223344-5566-4788-99aa-bbccddeeff00").bytes_le
KEY_ID = uuid.UUID("3fd763f9-74c7-4e90-8fa2-1f6a2e2b4e0c").bytes_le
OTHER = uuid.UUID("b9859a34-8139-4d5e-a628-412bef9ba206").bytes_le
VOLUME = uuid.UUID("e9726fab-7656-4bc5-bb9e-adf115953328").bytes_le
TIME = 1735689600


def key(n):
    return ec.derive_private_key(int.from_bytes(bytes([n]) * 32, "big"), ec.SECP256R1())


def point(k):
    return k.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )


def key_id(k):
    spki = k.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(spki).digest()


def extract(salt, ikm):
    return hmac.digest(salt or bytes(32), ikm, "sha256")


def expand(prk, info, length):
    out, block = b"", b""
    while len(out) < length:
        block = hmac.digest(prk, block + info + bytes([len(out) // 32 + 1]), "sha256")
        out += block
    return out[:length]


def hpke_seal(ephemeral, to, info, aad, plain):
    """RFC 9180 base mode: KEM 0x0010, KDF 0x0001, AEAD 0x0002."""

    def labeled_extract(suite, salt, label, ikm):
        return extract(salt, b"HPKE-v1" + suite + label + ikm)

    def labeled_expand(suite, prk, label, data, length):
        return expand(prk, struct.pack(">H", length) + b"HPKE-v1" + suite + label + data, length)

    kem, suite = b"KEM\x00\x10", b"HPKE\x00\x10\x00\x01\x00\x02"
    enc = point(ephemeral)
    dh = ephemeral.exchange(ec.ECDH(), to.public_key())
    eae = labeled_extract(kem, b"", b"eae_prk", dh)
    shared = labeled_expand(kem, eae, b"shared_secret", enc + point(to), 32)
    context = (
        b"\x00"
        + labeled_extract(suite, b"", b"psk_id_hash", b"")
        + labeled_extract(suite, b"", b"info_hash", info)
    )
    secret = labeled_extract(suite, shared, b"secret", b"")
    aead_key = labeled_expand(suite, secret, b"key", context, 32)
    nonce = labeled_expand(suite, secret, b"base_nonce", context, 12)
    return enc + AESGCM(aead_key).encrypt(nonce, plain, aad)


def envelope(device, recipients, password):
    commitment = expand(extract(KEY_ID + VOLUME, password), b"keyholt commitment v1", 32)
    header = b"KHE\x01" + bytes([1, 1, len(recipients), 0]) + KEY_ID + VOLUME + key_id(device)
    header += struct.pack("<Q", TIME) + commitment + b"".join(key_id(r) for r in recipients)
    info = b"keyholt envelope v1" + b"\x00" + b"\x01" + ORG
    return header + b"".join(hpke_seal(key(0x60 + i), r, info, header, password) for i, r in enumerate(recipients))


def signed(k, message):
    r, s = decode_dss_signature(k.sign(message, ec.ECDSA(hashes.SHA256())))
    return message + r.to_bytes(32, "big") + s.to_bytes(32, "big")


def field(tag, value):
    return struct.pack("<BH", tag, len(value)) + value


def record(device, kind, sequence, previous, body):
    head = b"KHR\x01" + bytes([kind, 0, 0, 0]) + key_id(device) + bytes(range(16))
    head += struct.pack("<Q", sequence) + previous + struct.pack("<QI", TIME, len(body))
    return signed(device, head + body)


def print_bytes(name, data):
    print(f"static const uint8_t {name}[{len(data)}] = {{")
    for i in range(0, len(data), 16):
        print("    " + " ".join(f"0x{b:02x}," for b in data[i : i + 16]))
    print("};")


def print_text(name, data):
    """A seed for tests/fuzz/fuzz_formats.c: the same bytes in base32."""
    text = base64.b32encode(data).decode().rstrip("=")
    print(f"#define {name.upper()}_TEXT \\")
    print(" \\\n".join(f'    "{text[i : i + 96]}"' for i in range(0, len(text), 96)))


def main():
    # scalars of repeated bytes: device 0x11, escrow keys 0x22 and 0x33, receipt key 0x44, audit key 0x55
    device, vault, desk, receipt, audit = (key(n) for n in (0x11, 0x22, 0x33, 0x44, 0x55))
    words = [int(g) // 11 for g in PASSWORD.split("-")]
    raw = struct.pack("<8H", *words)
    sealed = envelope(device, [vault, desk], raw)
    escrow = record(
        device, 1, 1, bytes(32), field(1, sealed) + field(2, b"laptop-7") + field(3, "größe".encode()) + field(200, b"new")
    )
    event = record(
        device, 3, 2, hashlib.sha256(escrow).digest(),
        field(16, b"\x02") + field(17, KEY_ID) + field(18, OTHER) + field(19, VOLUME)
        + field(20, b"\x01") + field(21, b"\x03") + field(22, struct.pack("<Q", TIME + 5)),
    )
    names = sorted(hashlib.sha256(r).digest() for r in (escrow, event))
    receipt_bytes = signed(
        receipt,
        b"KHC\x01" + bytes([1, 0]) + struct.pack("<HI", 2, 0) + ORG + key_id(device)
        + struct.pack("<Q", TIME) + key_id(receipt) + b"".join(names),
    )
    command = signed(
        receipt,
        b"KHO\x01" + bytes([1, 0, 0, 0]) + ORG + key_id(device) + KEY_ID + struct.pack("<Q", TIME) + key_id(receipt),
    )
    audit_head = signed(
        audit, b"KHH\x01" + ORG + bytes(range(16)) + struct.pack("<Q", 57) + hashlib.sha256(b"57").digest()
        + struct.pack("<Q", TIME) + key_id(audit),
    )
    print("#pragma once\n/* SPDX-License-Identifier: GPL-3.0-or-later */")
    print("/* Made by tests/unit/formats_vectors.py; what the bytes say stands there. */\n\n#include <stdint.h>\n")
    print(f"#define VECTOR_TIME {TIME}u\n")
    for name, data in (
        ("vector_password", raw), ("vector_org", ORG), ("vector_key_id", KEY_ID), ("vector_other_key_id", OTHER),
        ("vector_volume", VOLUME), ("vector_device", key_id(device)), ("vector_envelope", sealed),
        ("vector_escrow", escrow), ("vector_event", event), ("vector_receipt", receipt_bytes),
        ("vector_command", command), ("vector_audit_head", audit_head),
    ):
        print_bytes(name, data)
    for name, data in (
        ("vector_envelope", sealed), ("vector_event", event), ("vector_receipt", receipt_bytes),
        ("vector_command", command), ("vector_audit_head", audit_head),
    ):
        print_text(name, data)


if __name__ == "__main__":
    sys.exit(main())
