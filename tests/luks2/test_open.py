#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The LUKS2 reader beside cryptsetup, on plain files: no root, no device mapper.

usage: tests/luks2/test_open.py [NAME...]     (from the repository's root, after make)
"""
import base64
import hashlib
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile

TOOL = 'build/tests/luks2_tool'
FAST = ['-q', '--pbkdf', 'pbkdf2', '--pbkdf-force-iterations', '1000']
HASHES = {'sha1': 1, 'sha256': 2, 'sha512': 3}


def cryptsetup(*args, stdin=None):
    p = subprocess.run(['cryptsetup', *args], input=stdin, capture_output=True, timeout=60)
    assert p.returncode == 0, f"cryptsetup {' '.join(args)}: {p.stderr.decode()}"
    return p.stdout


def tool(*args):
    """(exit code, last line of what it says)"""
    p = subprocess.run([TOOL, *map(str, args)], capture_output=True, text=True, timeout=60)
    assert p.returncode in (0, 1), f'{args}: exit {p.returncode}: {p.stderr}'
    return p.returncode, (p.stdout or p.stderr).strip()


def show(image):
    code, text = tool('show', image)
    assert code == 0, text
    return json.loads(text)


def fingerprint(image, slot):
    code, text = tool('fingerprint', image, slot)
    assert code == 0, text
    return text


def metadata(image):
    return json.loads(cryptsetup('luksDump', '--dump-json-metadata', image))


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


class Work:
    """A folder with pass phrase files and images."""

    def __init__(self, path):
        self.path = path
        self.passes = [self.write(f'pass{i}', p) for i, p in
                       enumerate([b'first', b'second \xc3\xa4', b'x' * 500, b'fourth'])]

    def write(self, name, content):
        path = os.path.join(self.path, name)
        with open(path, 'wb') as f:
            f.write(content)
        return path

    def new(self, name, *options):
        """An image with pass phrase 0 in slot 0."""
        image = self.write(name, b'')
        os.truncate(image, 20 << 20)
        cryptsetup('luksFormat', '--type', 'luks2', *FAST, *options, image, self.passes[0])
        return image

    def copy(self, image, name):
        return shutil.copy(image, os.path.join(self.path, name))

    def key_hash(self, image, passfile):
        path = os.path.join(self.path, 'volume-key')
        if os.path.exists(path):
            os.unlink(path)
        cryptsetup('luksDump', '--dump-volume-key', '-q', '-d', passfile, '--volume-key-file', path, image)
        with open(path, 'rb') as f:
            return hashlib.sha256(f.read()).hexdigest()


def flip(image, off, bit=1):
    with open(image, 'r+b') as f:
        f.seek(off)
        byte = f.read(1)[0]
        f.seek(off)
        f.write(bytes([byte ^ bit]))


def test_every_kind_opens(work):
    for hash_name in HASHES:
        for key_size in ('256', '512'):
            for sector in ('512', '4096'):
                image = work.new('kind', '--hash', hash_name, '--key-size', key_size, '--sector-size', sector)
                cryptsetup('luksAddKey', *FAST, '-d', work.passes[0], '-S', '4', image, work.passes[1])
                cryptsetup('luksAddKey', *FAST, '-d', work.passes[0], '--hash', 'sha512', '-S', '31', image,
                           work.passes[2])
                want = 'OK ' + work.key_hash(image, work.passes[0])
                row = f'{hash_name} {key_size} {sector}'
                for slot, passfile in ((0, 0), (4, 1), (31, 2)):
                    assert tool('open', image, slot, work.passes[passfile]) == (0, want), (row, slot)
                    assert fingerprint(image, slot) == expected_fingerprint(image, slot), (row, slot)
                assert tool('open', image, 0, work.passes[1]) == (1, 'AUTH'), row
                assert tool('open', image, 1, work.passes[1]) == (1, 'NOT_FOUND'), row
                seen = show(image)
                assert seen['segment'] == {'offset': 16 << 20, 'sector_size': int(sector),
                                           'key_size': int(key_size) // 8, 'xts': True}, (row, seen)
                assert seen['slots']['0']['hash'] == HASHES[hash_name], (row, seen)


def test_other_slots_do_not_disturb(work):
    image = work.new('others')
    cryptsetup('luksAddKey', '-q', '--pbkdf', 'argon2id', '--pbkdf-force-iterations', '4', '--pbkdf-memory', '1024',
               '-d', work.passes[0], '-S', '2', image, work.passes[1])
    cryptsetup('luksAddKey', *FAST, '-d', work.passes[0], '-S', '3', '--unbound', '--key-size', '512', image,
               work.passes[3])
    seen = show(image)
    assert seen['slots']['2']['kdf'] == 3 and not seen['slots']['2']['supported'], seen
    assert not seen['slots']['3']['supported'], seen
    assert tool('open', image, 2, work.passes[1]) == (1, 'UNSUPPORTED')
    assert tool('open', image, 3, work.passes[3]) == (1, 'UNSUPPORTED')
    assert fingerprint(image, 2) == expected_fingerprint(image, 2)
    assert tool('open', image, 0, work.passes[0]) == (0, 'OK ' + work.key_hash(image, work.passes[0]))


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


def rewrite_json(image, change):
    """Apply change to the JSON of both copies and make their checksums right."""
    with open(image, 'r+b') as f:
        data = bytearray(f.read(32768))
        for off in (0, 16384):
            meta = json.loads(data[off + 4096:off + 16384].split(b'\0')[0])
            change(meta)
            text = json.dumps(meta, separators=(',', ':')).encode()
            data[off + 4096:off + 16384] = text.ljust(12288, b'\0')
            data[off + 448:off + 512] = bytes(64)
            data[off + 448:off + 480] = hashlib.sha256(data[off:off + 16384]).digest()
        f.seek(0)
        f.write(data)


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
        '1': {'state': 2, 'slot': 0, 'assigned': True, 'count': 1234, 'key_id': token['key_id'],
              'envelope_len': 370, 'has_fingerprint': True},
        '9': {'state': 1, 'slot': 1, 'assigned': False, 'count': 2024, 'key_id': token['key_id'],
              'envelope_len': 370, 'has_fingerprint': False}}, seen


def test_damaged_copies(work):
    image = work.new('damaged')
    want = 0, 'OK ' + work.key_hash(image, work.passes[0])
    ways = {'flipped bit': lambda path: flip(path, 4096 + 20),
            'first 4096 bytes gone': lambda path: overwrite(path, 0, 4096),
            'first copy gone': lambda path: overwrite(path, 0, 16384)}
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


def overwrite(path, off, size):
    with open(path, 'r+b') as f:
        f.seek(off)
        f.write(os.urandom(size))


def test_other_formats(work):
    image = work.write('plain', os.urandom(1 << 20))
    assert tool('probe', image) == (0, 'not-luks')
    assert tool('show', image) == (1, 'NOT_FOUND')
    image = work.write('luks1', b'')
    os.truncate(image, 8 << 20)
    cryptsetup('luksFormat', '--type', 'luks1', '-q', '--pbkdf-force-iterations', '1000', image, work.passes[0])
    assert tool('probe', image) == (0, 'luks1')
    assert tool('show', image) == (1, 'VERSION')


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


def main(names):
    tests = {n[5:]: t for n, t in globals().items() if n.startswith('test_')}
    failed = 0
    for name in names or tests:
        with tempfile.TemporaryDirectory() as path:
            try:
                tests[name](Work(path))
                print(f'ok      {name}')
            except (AssertionError, subprocess.TimeoutExpired) as e:
                failed += 1
                print(f'FAILED  {name}: {e!r}')
    print(f'{len(names or tests) - failed} passed, {failed} failed')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
