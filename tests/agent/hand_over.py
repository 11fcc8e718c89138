# SPDX-License-Identifier: GPL-3.0-or-later
"""What a recovery boot leaves behind: kernel key and EFI variables; and reading what the agent made of it."""
import ctypes
import os
import sqlite3
import struct
import uuid

GUID = '6d2f1c8e-4b7a-4e0d-9b53-2a8e5f90c7d1'
EFIVARS = '/sys/firmware/efi/efivars'
OPENED, NOT_OPENED = 1, 2
ADD_KEY, KEYCTL = 248, 250  # x86-64
USER_KEYRING = -4
LIBC = ctypes.CDLL(None, use_errno=True)


def add_kernel_key(volume, payload):
    """Key number, or None where this kernel or container has no keyring for us."""
    key = LIBC.syscall(ADD_KEY, b'user', f'keyholt:{volume}'.encode(), payload, ctypes.c_size_t(len(payload)), USER_KEYRING)
    return key if key > 0 else None


def kernel_key(volume):
    """Is it (still) there?"""
    return LIBC.syscall(KEYCTL, 10, USER_KEYRING, b'user', f'keyholt:{volume}'.encode(), 0) > 0


def drop_kernel_key(volume):
    key = LIBC.syscall(KEYCTL, 10, USER_KEYRING, b'user', f'keyholt:{volume}'.encode(), 0)
    if key > 0:
        LIBC.syscall(KEYCTL, 9, key, USER_KEYRING)


def variable(m, name):
    return f'{m.path(EFIVARS)}/{name}-{GUID}'


def put_variable(m, name, data):
    os.makedirs(m.path(EFIVARS), exist_ok=True)
    with open(variable(m, name), 'wb') as f:
        f.write(struct.pack('<I', 7) + data)


def has_variable(m, name):
    return os.path.exists(variable(m, name))


def put_event(m, key_id, volume, result=OPENED, when=1_700_000_000):
    put_variable(m, 'KeyholtEvent', b'KHV\1' + struct.pack('<BBH', result, 2, 3) + uuid.UUID(key_id).bytes_le +
                 uuid.UUID(volume).bytes_le + struct.pack('<Q', when) + bytes(16))


def records(m):
    """The records in a stopped keeper's cache, decoded after docs/formats.md, in the order they were made."""
    db = sqlite3.connect(f'file:{m.path("/var/lib/keyholt/agent/cache.db")}?mode=ro', uri=True)
    rows = [r[0] for r in db.execute('SELECT bytes FROM record ORDER BY id')]
    db.close()
    return [decode(r) for r in rows]


def decode(b):
    kind, device, incarnation, sequence, previous, _, size = struct.unpack_from('<4xB3x32s16sQ32sQI', b)
    fields, at = {}, 108
    while at < 108 + size:
        tag, n = struct.unpack_from('<BH', b, at)
        fields[tag] = b[at + 3:at + 3 + n]
        at += 3 + n
    guid = {t: str(uuid.UUID(bytes_le=v)).upper() for t, v in fields.items() if t in (17, 18, 19)}
    return {'bytes': b, 'kind': kind, 'device': device, 'incarnation': incarnation, 'sequence': sequence,
            'previous': previous, 'envelope': fields.get(1), 'event': fields.get(16, b'\0')[0], 'key_id': guid.get(17),
            'other_key_id': guid.get(18), 'volume': guid.get(19), 'result': fields.get(20, b'\0')[0]}
