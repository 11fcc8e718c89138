#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""LUKS2 data, as our reader decrypts it, beside a second opinion and beside what cryptsetup encrypted itself.

usage: tests/luks2/test_data.py [NAME...]     (from the repository's root, after make)
"""
import json
import os
import subprocess
import sys

sys.dont_write_bytecode = True
from lab import FAST, cryptsetup, main, metadata, overwrite, rewrite_json, second_opinion, show, tool

CIPHERS = (('aes-xts-plain64', 256), ('aes-xts-plain64', 512), ('aes-xts-plain', 256), ('aes-xts-plain', 512),
           ('aes-cbc-essiv:sha256', 128), ('aes-cbc-essiv:sha256', 256), ('aes-cbc-plain64', 128),
           ('aes-cbc-plain64', 256), ('aes-cbc-plain', 256))
SECTORS = 512, 1024, 2048, 4096
DATA = 16 << 20


def read(path, off=0, size=-1):
    with open(path, 'rb') as f:
        f.seek(off)
        return f.read(size)


def sector_size(image):
    """cryptsetup chooses by what the file system below says."""
    return show(image)['segments'][0]['sector_size']


def test_every_cipher_and_sector_size(work):
    for cipher, bits in CIPHERS:
        for sector in SECTORS:
            image = work.new('volume', '--cipher', cipher, '--key-size', bits, '--sector-size', sector, size=DATA)
            with open(image, 'ab') as f:
                f.write(os.urandom(64 * 4096 + 1234))
            want = second_opinion(cipher, work.key(image), sector, read(image, DATA, 64 * 4096 + 1234 // sector * sector))
            got = work.decrypted(image)
            assert got == want, (cipher, bits, sector, len(got), len(want))


def test_any_step(work):
    """What is read does not depend on how it is cut."""
    for sector in 512, 4096:
        image = work.new('volume', '--sector-size', sector, size=DATA)
        with open(image, 'ab') as f:
            f.write(os.urandom(9 * 4096))
        want = work.decrypted(image)
        for step in 1, 511, 512, 513, 4095, 4096, 4097, 10000:
            assert work.decrypted(image, step=step) == want, (sector, step)


def test_encrypted_by_cryptsetup(work):
    """`cryptsetup reencrypt --encrypt` moves the data and encrypts it, in user space where nothing is mapped."""
    for cipher, bits in CIPHERS:
        for sector in 512, 4096:
            plain = os.urandom(300000).ljust(2 << 20, b'\0')
            image = work.write('moved', plain, size=34 << 20)
            cryptsetup('reencrypt', '--encrypt', '--type', 'luks2', *FAST, '--reduce-device-size', '32M', '--cipher',
                       cipher, '--key-size', bits, '--sector-size', sector, '-d', work.passes[0], image)
            assert work.decrypted(image)[:len(plain)] == plain, (cipher, bits, sector)


def test_iv_offset(work):
    """iv_tweak, also where it carries the number past 32 bits and past 64."""
    for cipher in 'aes-xts-plain64', 'aes-xts-plain', 'aes-cbc-essiv:sha256', 'aes-cbc-plain64', 'aes-cbc-plain':
        image = work.new('volume', '--cipher', cipher, '--key-size', '256', '--sector-size', '1024', size=DATA)
        with open(image, 'ab') as f:
            f.write(os.urandom(40960))
        for tweak in 8, 2**32 - 6, 2**40, 2**64 - 5:
            rewrite_json(image, lambda meta: meta['segments']['0'].update(iv_tweak=str(tweak)))
            want = second_opinion(cipher, work.key(image), 1024, read(image, DATA), tweak)
            assert work.decrypted(image) == want, (cipher, tweak)


def crypt(off, size, **more):
    return {'type': 'crypt', 'offset': str(off), 'size': str(size), 'iv_tweak': '0',
            'encryption': 'aes-xts-plain64', 'sector_size': 512, **more}


def test_segments(work):
    """Several segments: one behind the other in the order of their numbers, wherever they lie."""
    image = work.new('volume', size=DATA)
    data = os.urandom(40 * 4096)
    with open(image, 'ab') as f:
        f.write(data)
    segments = {'0': crypt(DATA + 8 * 4096, 3 * 512), '1': {'type': 'linear', 'offset': str(DATA), 'size': '1024'},
                '2': crypt(DATA + 4096, 2 * 4096, sector_size=4096, iv_tweak='77'),
                '3': crypt(DATA + 20 * 4096, 'dynamic', encryption='aes-cbc-essiv:sha256')}

    def change(meta):
        meta['segments'] = segments
        meta['digests']['0']['segments'] = ['0', '2', '3']
    rewrite_json(image, change)
    rows = show(image)['segments']
    assert rows[3]['why_not'], 'CBC takes no key of 64 bytes'
    del segments['3']
    rewrite_json(image, lambda meta: (change(meta), meta['digests']['0'].update(segments=['0', '2'])))
    key = work.key(image)
    want = (second_opinion('aes-xts-plain64', key, 512, data[8 * 4096:8 * 4096 + 3 * 512]) + data[:1024] +
            second_opinion('aes-xts-plain64', key, 4096, data[4096:3 * 4096], 77))
    for step in 1 << 20, 512, 700, 4096:
        assert work.decrypted(image, step=step) == want, step


def test_fixed_size(work):
    image = work.new('volume', size=DATA)
    with open(image, 'ab') as f:
        f.write(os.urandom(65536))
    rewrite_json(image, lambda meta: meta['segments']['0'].update(size='4096'))
    assert work.decrypted(image) == second_opinion('aes-xts-plain64', work.key(image), sector_size(image),
                                                     read(image, DATA, 4096))
    rewrite_json(image, lambda meta: meta['segments']['0'].update(size='131072'))
    assert tool('decrypt', image, work.passes[0], image, work.name('out')) == (1, 'FORMAT'), 'longer than the device'
    os.truncate(image, DATA)
    rewrite_json(image, lambda meta: meta['segments']['0'].update(size='dynamic'))
    assert tool('decrypt', image, work.passes[0], image, work.name('out')) == (1, 'FORMAT'), 'no data'


def test_detached_header(work):
    for options, off in (((), 0), (('--offset', '8192'), 4 << 20), (('--offset', '32768'), 16 << 20)):
        header = work.write('header', size=16 << 20)
        data = work.write('data', os.urandom(1 << 20) + bytes(off))
        cryptsetup('luksFormat', '--type', 'luks2', *FAST, '--header', header, *options, data, work.passes[0])
        assert show(header)['segments'][0]['offset'] == off
        want = second_opinion('aes-xts-plain64', work.key(header), sector_size(header), read(data, off))
        assert work.decrypted(header, data) == want, off


def test_header_sizes(work):
    for kib in (16 << n for n in range(9)):
        image = work.new('volume', '--luks2-metadata-size', f'{kib}k', '--luks2-keyslots-size', '1m')
        off = show(image)['segments'][0]['offset']
        overwrite(image, off, os.urandom(8192))
        want = second_opinion('aes-xts-plain64', work.key(image), sector_size(image), read(image, off, 8192))
        assert work.decrypted(image)[:8192] == want, kib
        assert show(image)['hdr_size'] == kib << 10, kib


def plain_volume(work, *options):
    """An encrypted volume whose content is known, and room for a new keyslot."""
    plain = os.urandom(4 << 20)
    image = work.write('volume', plain, size=36 << 20)
    cryptsetup('reencrypt', '--encrypt', '--type', 'luks2', *FAST, '--reduce-device-size', '32M', *options, '-d',
               work.passes[0], image)
    return image, work.decrypted(image, expect=plain)


def test_reencryption_not_begun(work):
    image, plain = plain_volume(work)
    cryptsetup('reencrypt', '--init-only', *FAST, '--cipher', 'aes-cbc-essiv:sha256', '--key-size', '256', '-d',
               work.passes[0], '-S', '0', image)
    assert show(image)['reencrypting']
    assert work.decrypted(image) == plain


def test_reencryption_half_done(work):
    """Both volume keys, ciphers and sector sizes side by side. The state is what cryptsetup leaves when it is
    stopped between two steps: made here from its own numbers, as no run can be stopped at a chosen place."""
    image, plain = plain_volume(work)
    cryptsetup('reencrypt', '--init-only', *FAST, '--cipher', 'aes-cbc-plain64', '--key-size', '256', '-d',
               work.passes[0], '-S', '0', image)
    half = 1 << 20
    old = read(image)
    cryptsetup('reencrypt', '--resume-only', '--force-offline-reencrypt', '-q', '-d', work.passes[0], image)
    assert not show(image)['reencrypting'] and work.decrypted(image) == plain
    new, final = read(image), metadata(image)
    off = int(final['segments']['0']['offset'])
    mixed = work.write('mixed', old[:off] + new[off:off + half] + old[off + half:])

    def change(meta):
        s = meta['segments']
        regular, backups = s['0'], [s[k] for k in sorted(s) if k != '0']
        assert all('flags' in b for b in backups), s
        done = dict(final['segments']['0'], size=str(half))
        left = dict(regular, offset=str(off + half), iv_tweak=str(half // 512))
        meta['segments'] = {str(i): v for i, v in enumerate([done, left] + backups)}
        flags = {b['flags'][0]: str(i + 2) for i, b in enumerate(backups)}
        before = next(n for n, d in meta['digests'].items() if '0' in d['segments'])
        after = next(n for n, d in meta['digests'].items() if d['segments'] and n != before)
        meta['digests'][before]['segments'] = ['1', flags['backup-previous']]
        meta['digests'][after]['segments'] = ['0', flags['backup-final']]
    rewrite_json(mixed, change)
    assert json.loads(cryptsetup('luksDump', '--dump-json-metadata', mixed))['segments']['1'], 'cryptsetup takes it'
    for step in 1 << 20, 4097:
        assert work.decrypted(mixed, step=step) == plain, step


def test_reencryption_cut_off(work):
    """Where the content of a segment is being moved, nobody may guess."""
    image, _ = plain_volume(work)
    cryptsetup('reencrypt', '--init-only', *FAST, '-d', work.passes[0], '-S', '0', image)
    rewrite_json(image, lambda meta: meta['segments']['0'].update(flags=['in-reencryption']))
    assert cryptsetup('luksDump', image)
    p = subprocess.run(['build/tests/luks2_tool', 'decrypt', image, work.passes[0], image, work.name('out')],
                       capture_output=True, text=True)
    assert p.returncode == 1 and 'cut off in the middle' in p.stderr and 'UNSUPPORTED' in p.stderr, p.stderr


if __name__ == '__main__':
    main(sys.argv[1:], globals())
