#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The LUKS2 reader beside cryptsetup, on plain files: no root, no device mapper.

usage: tests/luks2/test_open.py [NAME...]     (from the repository's root, after make)
"""
import base64
import hashlib
import json
import os
import struct
import subprocess
import sys

sys.dont_write_bytecode = True
from lab import (FAST, HASHES, TOOL, cryptsetup, flip, main, metadata, overwrite, reason, rewrite_json, show,
                 tool)


def fingerprint(image, slot):
    code, text = tool('fingerprint', image, slot)
    assert code == 0, text
    return text


def expected_fingerprint(image, slot):
    """docs/formats.md, from cryptsetup's own JSON."""
    meta = metadata(image)
    s = meta['keyslots'][str(slot)]
    d = next(d for d in meta['digests'].values() if str(slot) in d['keyslots'])
    kdf, b64 = s['kdf'], base64.b64decode
    salt, dsalt, dvalue = b64(kdf['salt']), b64(d['salt']), b64(d['digest'])
    h = hashlib.sha256(b'keyholt fingerprint v1\0')
    h.update(struct.pack('<BBIIII', {'pbkdf2': 1, 'argon2i': 2, 'argon2id': 3}[kdf['type']],
                         HASHES.get(kdf.get('hash'), 0), kdf.get('iterations', kdf.get('time', 0)),
                         kdf.get('memory', 0), kdf.get('cpus', 0), len(salt)) + salt)
    h.update(struct.pack('<BIII', HASHES[s['af']['hash']], s['af']['stripes'], s['key_size'],
                         s['area']['key_size']))
    with open(image, 'rb') as f:
        f.seek(int(s['area']['offset']))
        h.update(f.read(s['af']['stripes'] * s['key_size']))
    h.update(struct.pack('<BII', HASHES[d['hash']], d['iterations'], len(dsalt)) + dsalt)
    h.update(struct.pack('<I', len(dvalue)) + dvalue)
    return h.hexdigest()


CIPHERS = (('aes-xts-plain64', 256), ('aes-xts-plain64', 512), ('aes-xts-plain', 512),
           ('aes-cbc-essiv:sha256', 128), ('aes-cbc-essiv:sha256', 256), ('aes-cbc-plain64', 256),
           ('aes-cbc-plain', 128))


def test_every_kind_opens(work):
    """Hash of PBKDF2, AF and digest; cipher of slot and segment; sector size."""
    for i, (cipher, bits) in enumerate(CIPHERS):
        for k, hash_name in enumerate((*HASHES, 'SHA512')):
            sector = 512 << (i + k) % 4
            image = work.new('kind', '--hash', hash_name, '--cipher', cipher, '--key-size', bits, '--sector-size',
                             sector)
            cryptsetup('luksAddKey', *FAST, '-d', work.passes[0], '-S', '4', image, work.passes[1])
            cryptsetup('luksAddKey', *FAST, '-d', work.passes[0], '--hash', 'sha512', '-S', '31',
                       '--keyslot-cipher', 'aes-xts-plain64', '--keyslot-key-size', '512', image, work.passes[2])
            want = 'OK ' + work.key_hash(image)
            row = f'{hash_name} {cipher} {bits} {sector}'
            for slot, passfile in ((0, 0), (4, 1), (31, 2)):
                assert tool('open', image, slot, work.passes[passfile]) == (0, want), (row, slot)
                assert tool('any', image, work.passes[passfile]) == (0, f'{want} {slot}'), (row, slot)
            assert tool('open', image, 0, work.passes[1]) == (1, 'AUTH'), row
            assert tool('any', image, work.passes[3]) == (1, 'AUTH'), row
            assert tool('open', image, 1, work.passes[1]) == (1, 'NOT_FOUND'), row
            segment = show(image)['segments'][0]
            assert (segment['offset'], segment['sector_size'], segment['key_size'], segment['cipher_name'],
                    segment['why_not']) == (16 << 20, sector, bits // 8, cipher, ''), (row, segment)
            assert show(image)['slots']['0']['hash'] == HASHES[hash_name.lower()], row


def test_fingerprint_of_every_kind(work):
    for hash_name in HASHES:
        for bits in ('256', '512'):
            image = work.new('kind', '--hash', hash_name, '--key-size', bits)
            cryptsetup('luksAddKey', *FAST, '-d', work.passes[0], '--hash', 'sha512', '-S', '31', image,
                       work.passes[2])
            for slot in 0, 31:
                assert fingerprint(image, slot) == expected_fingerprint(image, slot), (hash_name, bits, slot)


def test_argon2(work):
    for kdf, number in (('argon2i', 2), ('argon2id', 3)):
        for lanes, memory, time in ((1, 32, 4), (2, 1024, 5), (4, 65536, 4)):
            image = work.new('argon2')
            cryptsetup('luksAddKey', '-q', '--pbkdf', kdf, '--pbkdf-force-iterations', time, '--pbkdf-memory', memory,
                       '--pbkdf-parallel', lanes, '-d', work.passes[0], '-S', '2', image, work.passes[1])
            slot = show(image)['slots']['2']
            row = kdf, lanes, memory, time, slot
            assert (slot['kdf'], slot['memory'], slot['iterations']) == (number, memory, time), row
            want = 0, 'OK ' + work.key_hash(image)
            assert tool('open', image, 2, work.passes[1]) == want, row
            assert tool('open', image, 2, work.passes[0]) == (1, 'AUTH'), row
            assert fingerprint(image, 2) == expected_fingerprint(image, 2), row


def test_argon2_without_memory(work):
    """The slot may be right: this is never AUTH."""
    image = work.new('memory')
    cryptsetup('luksAddKey', '-q', '--pbkdf', 'argon2id', '--pbkdf-force-iterations', '4', '--pbkdf-memory', '32768',
               '-d', work.passes[0], '-S', '2', image, work.passes[1])

    def more(meta):
        meta['keyslots']['2']['kdf']['memory'] = 4 << 20
    rewrite_json(image, more)
    limit = f'ulimit -v 262144; exec {TOOL} "$@"'
    p = subprocess.run(['sh', '-c', limit, 'sh', 'open', image, '2', work.passes[1]], capture_output=True, text=True)
    assert (p.returncode, p.stderr.strip()) == (1, 'NOMEM'), p


def test_other_slots_do_not_disturb(work):
    image = work.new('others')
    cryptsetup('luksAddKey', '-q', '--pbkdf', 'argon2id', '--pbkdf-force-iterations', '4', '--pbkdf-memory', '1024',
               '-d', work.passes[0], '-S', '2', image, work.passes[1])
    cryptsetup('luksAddKey', *FAST, '-d', work.passes[0], '-S', '3', '--unbound', '--key-size', '512', image,
               work.passes[3])
    seen = show(image)
    assert seen['slots']['3']['unbound'] and not seen['slots']['0']['unbound'], seen
    assert tool('open', image, 3, work.passes[3])[0] == 0
    assert tool('any', image, work.passes[3]) == (1, 'AUTH'), 'an unbound slot opens no data'
    assert tool('open', image, 0, work.passes[0]) == (0, 'OK ' + work.key_hash(image))


def test_priorities(work):
    """cryptsetup's order: prefer, then normal, never ignore."""
    image = work.new('priority')
    for slot in 1, 2, 3:
        cryptsetup('luksAddKey', *FAST, '-d', work.passes[0], '-S', slot, image, work.passes[0])
    want = 'OK ' + work.key_hash(image)
    assert tool('any', image, work.passes[0]) == (0, want + ' 0')
    cryptsetup('config', image, '--priority', 'prefer', '-S', '2')
    cryptsetup('config', image, '--priority', 'ignore', '-S', '0')
    assert [show(image)['slots'][s]['priority'] for s in '0123'] == [1, 2, 3, 2]
    assert tool('any', image, work.passes[0]) == (0, want + ' 2')
    cryptsetup('luksChangeKey', *FAST, '-d', work.passes[0], '-S', '2', image, work.passes[1])
    assert tool('any', image, work.passes[0]) == (0, want + ' 1')
    for slot in 1, 3:
        cryptsetup('luksKillSlot', '-q', '-d', work.passes[1], image, slot)
    assert tool('any', image, work.passes[0]) == (1, 'AUTH'), 'an ignored slot is opened by its number only'
    assert tool('open', image, 0, work.passes[0]) == (0, want)


def test_unknown_kinds_are_named(work):
    """What cryptsetup may open and we do not: listed with the reason, and the rest still opens."""
    for option, name in (('sha3-256', 'hash'), ('ripemd160', 'hash'), ('blake2b-512', 'hash'), ('whirlpool', 'hash'),
                         ('aes-cbc-null', 'cipher'), ('aes-xts-plain64be', 'cipher'), ('aes-cbc-essiv:sha256', '192')):
        image = work.new('unknown')
        how = ['--hash', option] if name == 'hash' else ['--keyslot-cipher', option, '--keyslot-key-size',
                                                         '192' if name == '192' else '256']
        p = subprocess.run(['cryptsetup', 'luksAddKey', *FAST, *how, '-d', work.passes[0], '-S', '1', image,
                            work.passes[1]], capture_output=True)
        if p.returncode != 0:
            return f'cryptsetup here has no {option}'
        slot = show(image)['slots']['1']
        assert option in (slot['hash_name'], slot['cipher_name']) and slot['why_not'], slot
        assert tool('open', image, 1, work.passes[1]) == (1, 'UNSUPPORTED'), option
        assert tool('open', image, 0, work.passes[0]) == (0, 'OK ' + work.key_hash(image)), option


def test_segments_are_named(work):
    def integrity(s):
        s['integrity'] = {'type': 'hmac(sha256)', 'journal_encryption': 'none', 'journal_integrity': 'none'}

    def null(s):
        s['encryption'] = 'cipher_null-ecb'

    def serpent(s):
        s['encryption'] = 'serpent-xts-plain64'

    def sectors(s):
        s['sector_size'] = 1536
    for change, field, text in ((integrity, 'integrity', 'hmac(sha256)'), (null, 'cipher_name', 'cipher_null-ecb'),
                                (serpent, 'cipher_name', 'serpent-xts-plain64'), (sectors, 'sector_size', 1536)):
        image = work.new('named')
        rewrite_json(image, lambda meta: change(meta['segments']['0']))
        segment = show(image)['segments'][0]
        assert segment[field] == text and segment['why_not'], segment
        assert tool('decrypt', image, work.passes[0], image, work.name('out')) == (1, 'UNSUPPORTED'), segment
        assert tool('open', image, 0, work.passes[0])[0] == 0, 'the keyslot opens all the same'


def test_requirements_and_flags(work):
    image = work.new('flags')
    rewrite_json(image, lambda meta: meta['config'].update(flags=['allow-discards', 'no-read-workqueue']))
    flags = show(image)['flags']
    assert flags == {'0': 'allow-discards', '1': 'no-read-workqueue', 'n': 2}, flags
    rewrite_json(image, lambda meta: meta['config'].update(requirements={'mandatory': ['offline-reencrypt']}))
    assert show(image)['requirements'] == {'0': 'offline-reencrypt', 'n': 1}
    assert tool('decrypt', image, work.passes[0], image, work.name('out')) == (1, 'UNSUPPORTED')
    for name in 'opal', 'inline-hw-tags', 'x' * 100, 'a"b\x07':
        rewrite_json(image, lambda meta: meta['config'].update(requirements={'mandatory': [name]}))
        error, why = reason(image)
        shown = name[:44] + '...' if len(name) > 47 else name.replace('"', '\\"').replace('\x07', '\\u0007')
        assert error == 'UNSUPPORTED' and f'not known here: {shown},' in why, (name, why)


def test_fingerprint_stays(work):
    image = work.new('stays')
    cryptsetup('luksAddKey', *FAST, '-d', work.passes[0], '-S', '1', image, work.passes[1])
    want = fingerprint(image, 1)
    backup = os.path.join(work.path, 'backup')
    steps = [
        ('add slot 2', ['luksAddKey', *FAST, '-d', work.passes[0], '-S', '2', image, work.passes[2]]),
        ('kill slot 2', ['luksKillSlot', '-q', '-d', work.passes[0], image, '2']),
        ('backup', ['luksHeaderBackup', image, '--header-backup-file', backup]),
        ('change key of slot 0', ['luksChangeKey', *FAST, '-d', work.passes[0], '-S', '0', image, work.passes[3]]),
        ('restore', ['luksHeaderRestore', '-q', image, '--header-backup-file', backup]),
        ('priority of slot 1', ['config', image, '--priority', 'prefer', '-S', '1']),
        ('label', ['config', image, '--label', 'other']),
        ('UUID', ['luksUUID', '-q', image, '--uuid', '99999999-2222-3333-4444-555555555555']),
    ]
    for name, command in steps:
        cryptsetup(*command)
        assert fingerprint(image, 1) == want, name
    flip(image, int(metadata(image)['keyslots']['1']['area']['offset']) + 4000 * 64)
    assert fingerprint(image, 1) == want, 'slack behind the area'


def flipped(text, i):
    raw = bytearray(base64.b64decode(text))
    raw[i] ^= 1
    return base64.b64encode(raw).decode()


def test_fingerprint_changes(work):
    image = work.new('changes')
    want = fingerprint(image, 0)
    area = int(metadata(image)['keyslots']['0']['area']['offset'])

    def edit(*path):
        def change(meta):
            o = meta
            for step in path[:-2]:
                o = o[step]
            o[path[-2]] = path[-1](o[path[-2]])
        return change

    def last(text):
        return flipped(text, -1)

    def first(text):
        return flipped(text, 0)
    edits = {
        'salt, first byte': edit('keyslots', '0', 'kdf', 'salt', first),
        'salt, last byte': edit('keyslots', '0', 'kdf', 'salt', last),
        'digest': edit('digests', '0', 'digest', last),
        'digest salt': edit('digests', '0', 'salt', first),
        'digest iterations': edit('digests', '0', 'iterations', lambda n: n + 1),
        'iterations': edit('keyslots', '0', 'kdf', 'iterations', lambda n: n + 1),
        'hash': edit('keyslots', '0', 'kdf', 'hash', lambda h: 'sha512'),
        'AF hash': edit('keyslots', '0', 'af', 'hash', lambda h: 'sha1'),
    }
    seen = {want}
    for name, change in edits.items():
        other = work.copy(image, 'changed')
        rewrite_json(other, change)
        got = fingerprint(other, 0)
        assert got not in seen, name
        seen.add(got)
        assert tool('open', other, 0, work.passes[0]) == (1, 'AUTH'), name
    for off in (0, 1, 511, 512, 127999, 255999):
        other = work.copy(image, 'changed')
        flip(other, area + off)
        got = fingerprint(other, 0)
        assert got not in seen, off
        seen.add(got)
        assert tool('open', other, 0, work.passes[0]) == (1, 'AUTH'), off


def test_tokens(work):
    image = work.new('tokens')
    token = {'type': 'keyholt', 'keyslots': ['0'], 'version': 1, 'state': 'live', 'slot': 0, 'count': 1234,
             'key_id': '3F2504E0-4F89-41D3-9A0C-0305E82C3301', 'envelope': base64.b64encode(bytes(370)).decode(),
             'fingerprint': base64.b64encode(bytes(range(32))).decode()}
    pending = dict(token, keyslots=[], state='pending', slot=1, count=2024)
    del pending['fingerprint']
    for number, t in (('0', {'type': 'other', 'keyslots': ['0']}), ('1', token), ('9', pending)):
        cryptsetup('token', 'import', '--token-id', number, image, stdin=json.dumps(t).encode())
    seen = show(image)
    assert seen['n_tokens'] == 3, seen
    assert seen['tokens'] == {
        '0': {'type': 'other', 'slots': 1, 'ours': False},
        '1': {'type': 'keyholt', 'slots': 1, 'ours': True, 'state': 2, 'slot': 0, 'assigned': True, 'count': 1234,
              'key_id': token['key_id'], 'envelope_len': 370, 'has_fingerprint': True},
        '9': {'type': 'keyholt', 'slots': 0, 'ours': True, 'state': 1, 'slot': 1, 'assigned': False, 'count': 2024,
              'key_id': token['key_id'], 'envelope_len': 370, 'has_fingerprint': False}}, seen


def test_damaged_copies(work):
    image = work.new('damaged')
    want = 0, 'OK ' + work.key_hash(image, work.passes[0])
    ways = {'flipped bit': lambda path: flip(path, 4096 + 20),
            'first 4096 bytes gone': lambda path: overwrite(path, 0, os.urandom(4096)),
            'first copy gone': lambda path: overwrite(path, 0, bytes(16384))}
    for name, damage in ways.items():
        other = work.copy(image, 'other')
        damage(other)
        assert show(other)['secondary'], name
        assert tool('open', other, 0, work.passes[0]) == want, name
        assert tool('probe', other) == (0, 'luks2'), name
        flip(other, 16384 + 4096 + 20)
        assert tool('show', other)[0] == 1, name
    flip(image, 16384 + 4096 + 20)
    assert not show(image)['secondary']
    assert tool('open', image, 0, work.passes[0]) == want


def test_other_formats(work):
    image = work.write('plain', os.urandom(1 << 20))
    assert tool('probe', image) == (0, 'not-luks')
    assert tool('show', image) == (1, 'NOT_FOUND')
    image = work.write('luks1', b'')
    os.truncate(image, 8 << 20)
    cryptsetup('luksFormat', '--type', 'luks1', '-q', '--pbkdf-force-iterations', '1000', image, work.passes[0])
    assert tool('probe', image) == (0, 'luks1')
    error, why = reason(image)
    assert error == 'VERSION' and 'LUKS1' in why and 'cryptsetup convert' in why, why


def test_detached_and_converted(work):
    header = work.write('header', b'')
    os.truncate(header, 16 << 20)
    data = work.write('data', bytes(1 << 20))
    cryptsetup('luksFormat', '--type', 'luks2', *FAST, '--header', header, data, work.passes[0])
    assert tool('open', header, 0, work.passes[0]) == (0, 'OK ' + work.key_hash(header, work.passes[0]))
    image = work.write('converted', b'')
    os.truncate(image, 8 << 20)
    cryptsetup('luksFormat', '--type', 'luks1', '-q', '--pbkdf-force-iterations', '1000', image, work.passes[0])
    want = 'OK ' + work.key_hash(image, work.passes[0])
    cryptsetup('convert', '-q', '--type', 'luks2', image)
    assert tool('open', image, 0, work.passes[0]) == (0, want)


def test_reencryption(work):
    image = work.new('reencrypt')
    os.truncate(image, 24 << 20)
    assert not show(image)['reencrypting']
    cryptsetup('reencrypt', '--init-only', *FAST, '-d', work.passes[0], '-S', '0', image)
    assert show(image)['reencrypting']


def test_metadata_sizes(work):
    for size in ('16k', '32k', '64k', '128k', '256k', '512k', '1m', '2m', '4m'):
        image = work.new('size', '--luks2-metadata-size', size, '--luks2-keyslots-size', '1m')
        assert tool('open', image, 0, work.passes[0]) == (0, 'OK ' + work.key_hash(image, work.passes[0])), size


if __name__ == '__main__':
    main(sys.argv[1:], globals())
