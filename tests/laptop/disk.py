# SPDX-License-Identifier: GPL-3.0-or-later
"""Disk images without loop devices, root or a kernel's help: GPT, FAT by mtools.

GPT: UEFI specification 2.10, chapter 5.3. FAT: mkfs.vfat and mtools.
"""
import os
import struct
import subprocess
import uuid
import zlib
from dataclasses import dataclass

MIB = 1 << 20
SECTOR = 512
ENTRIES, ENTRY_BYTES = 128, 128
TABLE_SECTORS = ENTRIES * ENTRY_BYTES // SECTOR
TYPES = {'esp': uuid.UUID('C12A7328-F81F-11D2-BA4B-00A0C93EC93B'),
         'linux': uuid.UUID('0FC63DAF-8483-4772-8E79-3D69D8477DE4')}


@dataclass
class Partition:
    name: str
    type: str  # a key of TYPES
    start: int  # bytes, a multiple of 1 MiB
    size: int
    guid: uuid.UUID

    @property
    def first_lba(self):
        return self.start // SECTOR

    @property
    def sectors(self):
        return self.size // SECTOR


def lay_out(*parts, seed='keyholt test laptop'):
    """Partitions one behind the other from 1 MiB: (name, type, size) each. GUIDs depend on seed and name only."""
    made, at = [], MIB
    for name, kind, size in parts:
        size = -(-size // MIB) * MIB
        made.append(Partition(name, kind, at, size, uuid.uuid5(uuid.NAMESPACE_OID, f'{seed} {name}')))
        at += size
    return made


def disk_size(partitions):
    """Bytes of a disk that holds these partitions and the second GPT."""
    last = partitions[-1]
    return last.start + last.size + MIB


def _header(me, other, table_lba, sectors, disk_guid, table):
    def pack(crc):
        return struct.pack('<8sIIIIQQQQ16sQIII', b'EFI PART', 0x10000, 92, crc, 0, me, other, 2 + TABLE_SECTORS,
                           sectors - 2 - TABLE_SECTORS, disk_guid.bytes_le, table_lba, ENTRIES, ENTRY_BYTES,
                           zlib.crc32(table))
    return pack(zlib.crc32(pack(0))).ljust(SECTOR, b'\0')


def write_gpt(path, partitions, seed='keyholt test laptop'):
    """Write protective MBR and both GPTs into an existing file of disk_size() bytes; its data stays."""
    sectors = os.path.getsize(path) // SECTOR
    table = b''.join(
        struct.pack('<16s16sQQQ', TYPES[p.type].bytes_le, p.guid.bytes_le, p.first_lba, p.first_lba + p.sectors - 1, 0)
        + p.name.encode('utf-16le').ljust(72, b'\0') for p in partitions).ljust(ENTRIES * ENTRY_BYTES, b'\0')
    disk_guid = uuid.uuid5(uuid.NAMESPACE_OID, seed)
    mbr = bytes(446) + struct.pack('<B3sB3sII', 0, b'\0\2\0', 0xEE, b'\xff\xff\xff', 1,
                                   min(sectors - 1, 0xFFFFFFFF)) + bytes(48) + b'\x55\xaa'
    end_table = sectors - 1 - TABLE_SECTORS
    with open(path, 'r+b') as f:
        f.write(mbr + _header(1, sectors - 1, 2, sectors, disk_guid, table) + table)
        f.seek(end_table * SECTOR)
        f.write(table + _header(sectors - 1, 1, end_table, sectors, disk_guid, table))


def make_fat(path, size, files, label='ESP', offset=0):
    """Make a FAT32 file system of size bytes at offset of path (created if missing) and put files in it:
    {'EFI/BOOT/BOOTX64.EFI': path of a host file, or bytes}."""
    with open(path, 'ab') as f:
        if f.tell() < offset + size:
            f.truncate(offset + size)
    subprocess.run(['mkfs.vfat', '-F', '32', '-s', '1', '-n', label, f'--offset={offset // SECTOR}', path,
                    str(size // 1024)], check=True, stdout=subprocess.DEVNULL)
    for name, content in files.items():
        put_fat(path, name, content, offset)


def put_fat(path, name, content, offset=0):
    """Write one file, and the directories above it, into a FAT file system at offset of path."""
    image, parts = f'{path}@@{offset}', name.split('/')
    for depth in range(1, len(parts)):
        directory = '::' + '/'.join(parts[:depth])
        exists = subprocess.run(['mdir', '-b', '-i', image, directory], capture_output=True, stdin=subprocess.DEVNULL)
        if exists.returncode:
            subprocess.run(['mmd', '-i', image, directory], check=True, stdin=subprocess.DEVNULL)
    source = '-' if isinstance(content, bytes) else content
    subprocess.run(['mcopy', '-o', '-i', image, source, '::' + name], check=True,
                   input=content if isinstance(content, bytes) else b'')


def get_fat(path, name, offset=0):
    """Read one file of a FAT file system; FileNotFoundError if there is none."""
    done = subprocess.run(['mtype', '-i', f'{path}@@{offset}', '::' + name], capture_output=True)
    if done.returncode:
        raise FileNotFoundError(f'{name} in {path}: {done.stderr.decode(errors="replace").strip()}')
    return done.stdout


def make_overlay(path, backing, backing_format='raw'):
    """A qcow2 file that keeps the changes to an image that stays as it is. Takes 20 ms."""
    if os.path.exists(path):
        os.unlink(path)
    subprocess.run(['qemu-img', 'create', '-q', '-f', 'qcow2', '-F', backing_format, '-b', os.path.abspath(backing),
                    path], check=True)
    return path
