#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the recovery app opens: LUKS2 and BitLocker, on every kind of disk, beside hostile ones, in little memory.

Volumes made by Windows and headers made to be refused come from KEYHOLT_DATA (default ../shared/data).
"""
import configparser
import json
import os
import re
import struct
import subprocess
import sys
import uuid

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
from tests.efi import rig  # noqa: E402
from tests.efi.scene import (PLENTY, Bench, Checks, check_event, check_hand_off, go_to, key_shown,  # noqa: E402
                             next_stage, prompt, sentence, shown, stick)

DATA = os.environ.get('KEYHOLT_DATA', os.path.join(rig.ROOT, '../shared/data'))
MENDED = uuid.UUID('b0b1b2b3-c4c5-4678-9a9b-acadaeafb0b1')
OTHER_KEY = uuid.UUID('0dd0beef-1234-4321-8888-999999999999')
OTHER_PASSWORD = bytes.fromhex('112233445566778899aabbccddeeff00')
bench = None


class Windows:
    """The volumes that Windows made, and what is known of them."""

    def __init__(self, folder):
        self.folder, self.there = folder, os.path.exists(f'{DATA}/bitlk/bitlk-images.tar.xz')
        self.conf = configparser.ConfigParser()
        self.conf.read(f'{DATA}/bitlk/images.conf')
        if self.there:
            subprocess.run(['tar', '--sparse', '-xJf', f'{DATA}/bitlk/bitlk-images.tar.xz', '-C', folder], check=True)

    def path(self, name):
        return os.path.join(self.folder, name + '.img')

    def digits(self, name, which='rp'):
        return self.conf[name][which].replace('-', '')

    def key(self, name, which='rp_vmk_guid'):
        return uuid.UUID(self.conf[name][which])

    def volume(self, name):
        return uuid.UUID(self.conf[name]['guid'])


def hostile_disk(path):
    """Every header of the set in a partition of its own; (partitions, how many must be refused)."""
    folder = path + '.cases'
    os.makedirs(folder)
    subprocess.run(['tar', '--sparse', '-xJf', f'{DATA}/luks2/header-cases.tar.xz', '-C', folder], check=True)
    names = sorted(n for n in os.listdir(folder) if n.endswith('.img'))
    with open(f'{DATA}/luks2/header-cases.txt', encoding='ascii') as f:
        verdict = dict(line.split() for line in f)
    parts = rig.disk.lay_out(*((f'case {n}', 'linux', os.path.getsize(os.path.join(folder, name)))
                               for n, name in enumerate(names)), seed='hostile')
    with open(path, 'wb') as f:
        f.truncate(rig.disk.disk_size(parts))
    rig.disk.write_gpt(path, parts, seed='hostile')
    for part, name in zip(parts, names):
        subprocess.run(['dd', 'if=' + os.path.join(folder, name), 'of=' + path, 'bs=1M', 'conv=notrunc,sparse', 'status=none',
                        f'seek={part.start // rig.MIB}'], check=True)
    return len(names), sum(verdict[n] == 'refuse' for n in names)


def mbr_disk(path, volume):
    """One primary partition at 1 MiB in a DOS partition table."""
    size = os.path.getsize(volume)
    with open(path, 'wb') as f:
        f.truncate(rig.MIB + size)
        f.write(bytes(440) + b'\x78\x56\x34\x12\0\0' + struct.pack('<B3sB3sII', 0, b'\xfe\xff\xff', 0x83, b'\xfe\xff\xff',
                                                                  rig.MIB // 512, size // 512) + bytes(48) + b'\x55\xaa')
        f.seek(rig.MIB)
        with open(volume, 'rb') as source:
            f.write(source.read())
    return path


def with_files(volume):
    """The same volume with a FAT file system in it, encrypted by other code (libcryptsetup, OpenSSL)."""
    fat, key, whole = volume + '.fat', volume + '.key', volume + '.whole'
    rig.disk.make_fat(fat, 40 * rig.MIB, {'HELLO.TXT': b'hello'})
    with open(key, 'wb') as f:
        f.write(b'what the user forgot')
    with open(whole, 'wb') as f:
        f.truncate(56 * rig.MIB)
    subprocess.run([os.path.join(rig.ROOT, 'build/tests/luks_fill'), key, volume, fat, whole, '0'], check=True)
    return whole


FAT_KEY = uuid.UUID('10203040-a0a0-a0a0-a0a0-a0a0a0a0a0a0')  # bitlocker_writer.c


def to_go_with_files(path):
    """A BitLocker volume of 1 MiB with a FAT file system in it, made by the tests' own writer; (path, digits). Of the
    volumes that Windows made no file is left: only their first sectors are kept."""
    fat = path + '.fat'
    with open(fat, 'wb') as f:
        f.truncate(rig.MIB)
    subprocess.run(['mkfs.fat', '-F', '12', fat], check=True, capture_output=True)
    rig.disk.put_fat(fat, 'LETTER.TXT', b'kept by Windows')
    made = subprocess.run([os.path.join(rig.ROOT, 'build/tests/bitlocker_write'), 'to-go', path, path + '.bek', fat],
                          check=True, capture_output=True)
    return path, json.loads(made.stdout)['recovery'][0].replace('-', '')


def virtio(path, n, block=512):
    return ['-drive', f'if=none,id=more{n},format=raw,file={path}', '-device',
            f'virtio-blk-pci,drive=more{n},logical_block_size={block},physical_block_size={block}']


def nvme(path, n):
    return ['-drive', f'if=none,id=more{n},format=raw,file={path}', '-device', f'nvme,drive=more{n},serial=more{n}']


def files_in(body):
    found = {}
    for name, length, first in re.findall(r'^FILE (.*)\n(?:HOLDS (\w+) (\w*)$)?', body, re.M):
        found[name] = (int(length, 16), bytes.fromhex(first)) if length else None
    return found


def plain_volumes(text):
    """What the next stage read: {volume: (fields, first bytes, files)}; files: {name: (length, first bytes)}, folders
    {name: None}."""
    found = {}
    for part in text.split('PLAIN ')[1:]:
        head, body = part.split('\n', 1)
        fields = dict(word.split('=') for word in head.split()[1:])
        data = bytes.fromhex(''.join(re.findall(r'^  ([0-9a-f]+)$', body, re.M)))
        found[uuid.UUID(bytes_le=bytes.fromhex(head.split()[0]))] = (fields, data, files_in(body))
    return found


def open_by_key(t, laptop, windows, name, says):
    open_volume(t, laptop, name, windows.key(name), windows.digits(name), says)


def open_volume(t, laptop, name, key, digits, says):
    go_to(laptop, key)
    laptop.send_keys(digits)
    said = laptop.wait_serial(sentence('The volume is open for reading, by key ') + r'(\w+)([\s\S]*?)Enter goes on', 2 * PLENTY)
    t.equal(f'{name}: opened by the key on the screen', said.groups[0], str(key)[:8].upper())
    t.that(f'{name}: and it says what it holds', says in re.sub(r'\s+', ' ', said.groups[1]), said.groups[1])
    laptop.send_keys(['ret'])
    laptop.wait_serial(r'> _', PLENTY)


def every_kind_of_disk(t):
    """Nine disks, one of them hostile: GPT, MBR, none; virtio, NVMe, USB; 512 and 4096 bytes; Windows and Linux."""
    windows = Windows(bench.dir)
    damaged = rig.make_volume(bench.path('damaged'), label='damaged', password=OTHER_PASSWORD, key_id=OTHER_KEY,
                              volume=MENDED)
    damaged = with_files(damaged)
    with open(damaged, 'r+b') as f:
        f.write(bytes(4096))
    fat, fat_digits = to_go_with_files(bench.path('to-go'))
    hostile = bench.path('hostile')
    cases, refused = hostile_disk(hostile)
    extra = [*nvme(windows.path('bitlk-aes-xts-128'), 1), *stick(windows.path('bitlk-togo-aes-xts-128')),
             *virtio(windows.path('bitlk-aes-xts-128-4k'), 2, 4096), *virtio(hostile, 3),
             *nvme(mbr_disk(bench.path('mbr'), damaged), 4), *virtio(windows.path('bitlk-aes-cbc-elephant-128'), 5),
             *nvme(windows.path('bitlk-aes-xts-128-clearkey-only'), 6), *virtio(fat, 7)]
    with bench.laptop(extra=extra, bus='nvme') as laptop:
        head, ready_ms = prompt(laptop)
        said = re.search(r'Volume 1 of (\d+)', head)
        t.equal('every volume is found', said and int(said[1]), 8 + cases - refused)
        counted = re.search(r'(\d+)\s+volumes\s+have\s+damaged', head)
        t.that(f'{refused} malformed headers do not keep the screen from coming up ({ready_ms} ms), and are told of',
               counted and 0 < int(counted[1]) <= refused, head)
        t.equal('the system comes first', key_shown(head), '7C41D9E2')
        bench.shot(laptop, 'many-volumes-1280x800')
        open_by_key(t, laptop, windows, 'bitlk-togo-aes-xts-128', 'It holds a FAT file system')
        open_volume(t, laptop, 'to-go', FAT_KEY, fat_digits, 'It holds a FAT file system')
        for name in ('bitlk-aes-xts-128', 'bitlk-aes-xts-128-4k', 'bitlk-aes-cbc-elephant-128'):
            open_by_key(t, laptop, windows, name, 'It holds a file system (NTFS) that this firmware cannot read')
        for _ in range(30):
            laptop.send_keys(['tab'])
            if re.search(sentence('Enter opens it without any digits'), shown(laptop)):
                break
        laptop.send_keys(['ret'])
        laptop.wait_serial(sentence('The volume is open for reading'), PLENTY)
        t.that('a volume whose protection is suspended opens without digits', True)
        laptop.send_keys(['ret'])
        laptop.wait_serial(r'> _', PLENTY)
        head = go_to(laptop, OTHER_KEY)
        t.that('a damaged first header is said', re.search(sentence('The first copy of its header is damaged'), head), head)
        laptop.send_keys(''.join(rig.groups(OTHER_PASSWORD)))
        laptop.wait_serial(sentence('The volume is open for reading, by key 0DD0BEEF'), PLENTY)
        t.that('and the volume opens by its second', True)
        laptop.send_keys(['ret'])
        laptop.wait_serial(r'> _', PLENTY)
        bench.shot(laptop, 'opened-some-1280x800')
        go_to(laptop, rig.KEY_ID)
        laptop.send_keys(''.join(rig.groups(rig.PASSWORD)))
        found = next_stage(laptop)
        plain = plain_volumes(laptop.console.text)
    check_hand_off(t, found)
    check_plain(t, windows, plain)


def check_plain(t, windows, plain):
    """Read by another program of the firmware, through the Block IO that the app published."""
    togo = plain[windows.volume('bitlk-togo-aes-xts-128')]
    t.equal('To Go: FAT16, with the serial number that Windows gave it', togo[1][39:43][::-1].hex().upper(),
            windows.conf['bitlk-togo-aes-xts-128']['uuid'].replace('-', ''))
    files = [of[2] for of in plain.values() if of[2] and 'LETTER.TXT' in of[2]]
    t.equal('BitLocker: it reads them there, too', files, [{'LETTER.TXT': (15, b'kept by Windows')}])
    t.equal('LUKS2: the firmware\'s FAT driver reads its files', plain[MENDED][2], {'HELLO.TXT': (5, b'hello')})
    for name in ('bitlk-aes-xts-128', 'bitlk-aes-xts-128-4k', 'bitlk-aes-cbc-elephant-128',
                 'bitlk-aes-xts-128-clearkey-only'):
        fields, data, _ = plain[windows.volume(name)]
        t.equal(f'{name}: NTFS, with its serial number', (data[3:7], data[72:80][::-1].hex().upper()),
                (b'NTFS', windows.conf[name]['uuid']))
        t.equal(f'{name}: read only, within its bounds', (fields['write'], fields['beyond'], fields['end'], fields['read']),
                ('08', '02', '00', '00'))
    t.that('seven are offered, the system is not', len(plain) == 7, list(plain))


def luks(path, name, kib, digits):
    """A volume whose only keyslot wants this much memory and opens with the digits."""
    with open(path, 'wb') as f:
        f.truncate(24 * rig.MIB)
    rig.cryptsetup('luksFormat', '--type', 'luks2', '--label', name, '--pbkdf', 'argon2id', '--pbkdf-memory', str(kib),
                   '--pbkdf-force-iterations', '4', '--pbkdf-parallel', '1', '--key-file=-', path, key=digits.encode())
    return path


def argon2(t):
    """A slot of 1 GiB on a machine of 1 GiB says so; a small one opens; a recovery slot beside such a one opens."""
    digits = '-'.join(rig.groups(OTHER_PASSWORD))
    large = luks(bench.path('large'), 'wants a gigabyte', 1 << 20, digits)
    small = luks(bench.path('small'), 'wants little', 32 << 10, digits)
    own = rig.make_volume(bench.path('own'), envelope=bench.envelope, pbkdf_memory_kib=1 << 20)
    with bench.laptop(extra=[*virtio(large, 1), *virtio(small, 2)], memory_mb=1024, volume=own) as laptop:
        head, _ = prompt(laptop)
        t.that('volumes without a token of ours are found, too', 'Volume 1 of 3' in head, head)
        laptop.send_keys(''.join(rig.groups(OTHER_PASSWORD)))
        laptop.wait_serial(sentence('Not tried, too little memory: keyslot 0 wants 1024 MiB in one piece'), PLENTY)
        t.that('a wrong password: what could not be tried is said beside it', True)
        bench.shot(laptop, 'argon2-no-memory-1280x800')
        laptop.send_keys(['tab'])
        t.that('the digits stay for the next volume', 'wants a gigabyte' in shown(laptop))
        laptop.send_keys(['ret'])
        laptop.wait_serial(sentence('this says nothing about whether they are right'), PLENTY)
        t.that('a slot that was not tried is not called wrong', True)
        laptop.send_keys(['tab'])
        t.that('the third', 'wants little' in shown(laptop))
        laptop.send_keys(['ret'])
        laptop.wait_serial(sentence('The volume is open for reading'), 2 * PLENTY)
        t.that('an Argon2id slot of 32 MiB opens', True)
        laptop.send_keys(['ret'])
        laptop.wait_serial(r'> _', PLENTY)
        if key_shown(laptop.console.text.rsplit('disk recovery', 1)[1]) != '7C41D9E2':
            go_to(laptop, rig.KEY_ID)
        laptop.send_keys(''.join(rig.groups(rig.PASSWORD)))
        found = next_stage(laptop)
    check_hand_off(t, found)
    check_event(t, found.get('KeyholtEvent'), result=1, attempts=1, reason=1)


def eight_mebibytes(t):
    """All memory is taken but 8 MiB when the app starts, on the largest screen, with a BitLocker volume to be read."""
    windows = Windows(bench.dir)
    name = 'bitlk-aes-xts-128'
    with bench.laptop(extra=nvme(windows.path(name), 1), bus='nvme', size=(3840, 2160), launch=True,
                      files={'EFI/next/crowded': b'1'}) as laptop:
        laptop.power_on()
        free = int(laptop.wait_serial(r'CROWDED (\d+) pages free', PLENTY).groups[0])
        t.that(f'{free} pages are free when it starts, at most 8 MiB', free <= 2048)
        laptop.wait_serial(r'> _', PLENTY)
        bench.shot(laptop, 'crowded-3840x2160')
        open_by_key(t, laptop, windows, name, 'NTFS')
        laptop.send_keys(''.join(rig.groups(rig.PASSWORD)))
        found = next_stage(laptop)
        plain = plain_volumes(laptop.console.text)
    check_hand_off(t, found)
    t.equal('and the other volume can be read', plain[windows.volume(name)][1][3:7], b'NTFS')


def main():
    global bench
    if not os.path.exists(f'{DATA}/bitlk/bitlk-images.tar.xz') or not os.path.exists(f'{DATA}/luks2/header-cases.tar.xz'):
        print(f'SKIP: no test data in {DATA}\n0 passed, 0 failed, 1 skipped')
        return 0
    bench = Bench()
    wanted = sys.argv[1:]
    return Checks().run(*(s for s in (every_kind_of_disk, argon2, eight_mebibytes) if not wanted or s.__name__ in wanted))


if __name__ == '__main__':
    sys.exit(main())
