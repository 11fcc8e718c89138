# SPDX-License-Identifier: GPL-3.0-or-later
"""Read and prepare OVMF's variable file (vars.fd): so that a new laptop starts with its boot entry, as if an
installer had made it, and tests can look at what the firmware keeps.

Layout: EDK II, MdeModulePkg/Include/Guid/VariableFormat.h (authenticated variables); boot entries: UEFI
specification 2.10, chapters 3.1.3 and 10.3.
"""
import struct
import uuid
from dataclasses import dataclass

GLOBAL = uuid.UUID('8be4df61-93ca-11d2-aa0d-00e098032b8c')
STORE = uuid.UUID('aaf32c78-947b-439a-a180-2e144ec37792')
HEADER = struct.Struct('<HBBIQ16sIII16s')  # start, state, -, attributes, count, time, key, name size, data size, GUID
START, ADDED, ERASED = 0x55AA, 0x3F, 0xFFFF
NV_BS_RT = 7


@dataclass
class Variable:
    name: str
    guid: uuid.UUID
    data: bytes
    attributes: int = NV_BS_RT
    live: bool = True  # False: deleted or replaced, but the flash still holds its bytes


def _store(image):
    """(first byte, end) of the variables."""
    header_len = struct.unpack_from('<H', image, 48)[0]
    if image[40:44] != b'_FVH' or image[header_len:header_len + 16] != STORE.bytes_le:
        raise ValueError('not a variable file of OVMF (4M)')
    size = struct.unpack_from('<I', image, header_len + 16)[0]
    return header_len + 28, header_len + size


def _walk(image):
    """Yield (offset behind it, Variable) for each variable; the last pair is (end of all, None)."""
    at, end = _store(image)
    while at + HEADER.size <= end:
        start, state, _, attributes, _, _, _, name_size, data_size, guid = HEADER.unpack_from(image, at)
        if start == ERASED:
            break
        body = at + HEADER.size
        if start != START or body + name_size + data_size > end:
            raise ValueError(f'damaged variable at byte {at}')
        name = image[body:body + name_size].decode('utf-16le').rstrip('\0')
        data = bytes(image[body + name_size:body + name_size + data_size])
        at = (body + name_size + data_size + 3) & ~3
        yield at, Variable(name, uuid.UUID(bytes_le=guid), data, attributes, state == ADDED)
    yield at, None


def read(path, everything=False):
    """The variables of a file; everything: those too whose bytes are only left over in the flash."""
    with open(path, 'rb') as f:
        image = f.read()
    return [v for _, v in _walk(image) if v and (v.live or everything)]


def append(path, variables):
    """Add variables to a file that does not have them yet."""
    with open(path, 'r+b') as f:
        image = f.read()
        at = [offset for offset, _ in _walk(image)][-1]
        for v in variables:
            name = v.name.encode('utf-16le') + b'\0\0'
            entry = HEADER.pack(START, ADDED, 0, v.attributes, 0, bytes(16), 0, len(name), len(v.data),
                                v.guid.bytes_le) + name + v.data
            f.seek(at)
            f.write(entry)
            at += (len(entry) + 3) & ~3


def remove(path, name, guid=GLOBAL):
    """Mark a variable as deleted; its bytes stay, as in flash."""
    with open(path, 'r+b') as f:
        image = f.read()
        start = _store(image)[0]
        for end, v in _walk(image):
            if v and v.live and (v.name, v.guid) == (name, guid):
                f.seek(start + 2)  # HEADER's state; bit 1 cleared: deleted
                f.write(bytes([ADDED & ~2]))
            start = end


def load_option(description, partition_number, partition, path):
    """The data of a Boot#### variable: a file of a GPT partition (disk.Partition)."""
    file_path = path.encode('utf-16le') + b'\0\0'
    device = (struct.pack('<BBHIQQ16sBB', 4, 1, 42, partition_number, partition.first_lba, partition.sectors,
                          partition.guid.bytes_le, 2, 2)
              + struct.pack('<BBH', 4, 4, 4 + len(file_path)) + file_path + struct.pack('<BBH', 0x7F, 0xFF, 4))
    return struct.pack('<IH', 1, len(device)) + description.encode('utf-16le') + b'\0\0' + device


def boot_entries(options):
    """Boot0000, Boot0001, … and their BootOrder, as variables."""
    return [Variable(f'Boot{n:04X}', GLOBAL, option) for n, option in enumerate(options)] + \
           [Variable('BootOrder', GLOBAL, b''.join(struct.pack('<H', n) for n in range(len(options))))]
