#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which LUKS2 headers are taken and which refused: our reader beside the installed cryptsetup, case by case.

usage: tests/luks2/test_verdicts.py [NAME...]     (from the repository's root, after make)

The cases are made here: rules of the format broken one at a time, and mutations drawn with a fixed seed
(KEYHOLT_VERDICTS=N for another number of them, default 400). The judge is `cryptsetup luksDump`. What is well-formed
and yet refused by us with its name is no quarrel: a required feature that neither knows, which luksDump lists, and
objects with numbers that no tool makes, which neither opens.
"""
import copy
import json
import os
import random
import subprocess
import sys

sys.dont_write_bytecode = True
from lab import HDR, TOOL, main, reason, seal, set_text

SIZE = 1 << 20
DEL = object()


def luksdump(image):
    p = subprocess.run(['cryptsetup', 'luksDump', '--disable-locks', image], capture_output=True, timeout=180)
    assert p.returncode in (0, 1), f'cryptsetup: exit {p.returncode}'
    return p.returncode == 0


def ours(image):
    """Taken? None where it is refused by name."""
    p = subprocess.run([TOOL, 'show', image], capture_output=True, text=True, timeout=180)
    assert p.returncode in (0, 1), f'luks2_tool: exit {p.returncode}: {p.stderr}'
    if 'a feature that is not known here' in p.stderr:
        return True
    return None if 'of a number that is not known here' in p.stderr else p.returncode == 0


def base(work):
    """JSON of a volume with keyslots of several kinds, tokens, a digest for each key."""
    image = work.new('base', '--luks2-keyslots-size', '768k', '--key-size', '256', '--sector-size', '512',
                     '--offset', '2048', size=SIZE + (1 << 20))
    with open(image, 'rb') as f:
        data = bytearray(f.read(2 * HDR))
    meta = json.loads(data[4096:HDR].split(b'\0')[0])
    slot = meta['keyslots']['0']
    meta['keyslots']['1'] = copy.deepcopy(slot)
    meta['keyslots']['1']['area']['offset'] = '163840'
    meta['keyslots']['1']['kdf'] = {'type': 'argon2id', 'time': 4, 'memory': 1024, 'cpus': 2,
                                    'salt': slot['kdf']['salt']}
    meta['keyslots']['7'] = {'type': 'foreign', 'key_size': 16,
                             'area': {'type': 'none', 'offset': '294912', 'size': '4096'}}
    meta['digests']['0']['keyslots'] = ['0', '1']
    meta['tokens'] = {'0': {'type': 'other', 'keyslots': ['0', '1'], 'deep': {'a': [1, -2.5e3, None, True, {}]}}}
    meta['config']['flags'] = ['allow-discards']
    return data, meta


def reencrypting(meta):
    """The same while a re-encryption runs."""
    m = copy.deepcopy(meta)
    segment = m['segments']['0']
    off = int(segment['offset'])
    m['segments'] = {'0': dict(segment, size='65536'), '1': dict(segment, offset=str(off + 65536)),
                     '2': dict(segment, flags=['backup-final']), '3': dict(segment, flags=['backup-previous'])}
    m['keyslots']['2'] = {'type': 'reencrypt', 'key_size': 1, 'mode': 'reencrypt', 'direction': 'forward',
                          'area': {'type': 'checksum', 'hash': 'sha256', 'sector_size': 512, 'offset': '303104',
                                   'size': '4096'}}
    m['digests']['0'].update(keyslots=['0'], segments=['1', '3'])
    m['digests']['1'] = dict(m['digests']['0'], keyslots=['1'], segments=['0', '2'])
    m['digests']['2'] = dict(m['digests']['0'], keyslots=['2'], segments=[])
    m['config']['requirements'] = {'mandatory': ['online-reencrypt-v2']}
    return m


class Judge:
    """Asks both; collects what they do not agree on."""

    def __init__(self, work):
        self.work, self.n, self.taken, self.apart = work, 0, 0, []
        self.bin, self.meta = base(work)
        self.image = work.write('case', size=SIZE + (1 << 20))

    def ask_bytes(self, name, data):
        with open(self.image, 'r+b') as f:
            f.write(data)
        want, got = luksdump(self.image), ours(self.image)
        self.n += 1
        self.taken += want
        if got is not None and want != got:
            self.apart.append(f"{name}: cryptsetup {'takes' if want else 'refuses'} it")

    def ask_text(self, name, text):
        data = bytearray(self.bin)
        for off in (0, HDR):
            set_text(data, off, text)
        self.ask_bytes(name, data)

    def ask(self, name, meta):
        self.ask_text(name, json.dumps(meta, separators=(',', ':')).encode())

    def close(self, least):
        assert not self.apart, '\n'.join(self.apart[:20])
        assert self.n >= least and 0 < self.taken < self.n, (self.n, self.taken)
        print(f'        {self.n} cases, {self.taken} taken by both, {self.n - self.taken} refused by both')


def places(node, path=()):
    """Every path in a JSON value."""
    yield path
    if isinstance(node, (dict, list)):
        for key in (node if isinstance(node, dict) else range(len(node))):
            yield from places(node[key], path + (key,))


def put(meta, path, value):
    m = copy.deepcopy(meta)
    at = m
    for step in path[:-1]:
        at = at[step]
    if value is DEL:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return m


def get(meta, path):
    for step in path:
        meta = meta[step]
    return meta


NUMBERS = [0, 1, -1, 512, 513, 4096, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1, 1.5, 512.0]
DECIMALS = ['', '0', '00', '512', '0512', '513', '4096', '12288', '28672', '32768', '1048576', '67108864',
            '18446744073709551104', '18446744073709551615', '18446744073709551616', '-512', '+512', ' 512', '512 ',
            '0x200', '5.12', 'dynamic', 'Dynamic', '134217728', '134221824']
OTHERS = [None, True, [], {}, ['0'], {'0': {}}, 'crypt', 'luks2', 'reencrypt', 'backup-x']


def test_every_member(work):
    """Each member of the JSON taken away, and given values of other types."""
    for make in (lambda m: m, reencrypting):
        judge = Judge(work)
        meta = make(judge.meta)
        judge.ask('untouched', meta)
        for path in list(places(meta))[1:]:
            judge.ask(f'{path} gone', put(meta, path, DEL))
            for value in (None, [], {}, '', 'x', 5):
                if type(value) is not type(get(meta, path)) or value in ('', {}, []):
                    judge.ask(f'{path} = {value!r}', put(meta, path, value))
        judge.close(500)


def test_numbers(work):
    """Sizes, offsets and counts at and beyond their limits."""
    for make in (lambda m: m, reencrypting):
        judge = Judge(work)
        meta = make(judge.meta)
        for path in places(meta):
            old = get(meta, path)
            numeric = isinstance(old, str) and (old.isdigit() or old == 'dynamic') and 'keyslots' != path[-2]
            for value in NUMBERS if isinstance(old, int) and not isinstance(old, bool) else DECIMALS if numeric else []:
                judge.ask(f'{path} = {value!r}', put(meta, path, value))
        judge.close(300)


def rename(meta, section, old, new):
    m = copy.deepcopy(meta)
    m[section] = {new if k == old else k: v for k, v in m[section].items()}
    return m


def test_numbering(work):
    """Names of objects and the references to them."""
    judge = Judge(work)
    for section in 'keyslots', 'segments', 'digests', 'tokens':
        for new in '', '00', '01', '1', '9', '31', 'a', '-1', '1.', ' 1', '4294967296', '99999999999999999999':
            old = '7' if section == 'keyslots' else '0'
            judge.ask(f'{section} {old} -> {new!r}', rename(judge.meta, section, old, new))
    for section, member in ('digests', 'keyslots'), ('digests', 'segments'), ('tokens', 'keyslots'):
        for value in ([], ['0'], ['0', '0'], ['0', '1'], ['1'], ['7'], ['0', '1', '7'], ['2'], ['00'], [0], [None],
                      [['0']], ['0', '1', '31'], ['x'], ['']):
            judge.ask(f'{section} {member} = {value}', put(judge.meta, (section, '0', member), value))
    second = copy.deepcopy(judge.meta['digests']['0'])
    for keyslots in [], ['0'], ['7'], ['1']:
        judge.ask(f'a second digest of {keyslots}', put(judge.meta, ('digests', '1'), dict(second, keyslots=keyslots)))
    judge.close(80)


def areas(meta, pairs):
    m = copy.deepcopy(meta)
    for slot, (off, size) in pairs.items():
        m['keyslots'][slot]['area'].update(offset=str(off), size=str(size))
    return m


def test_areas_and_segments(work):
    judge = Judge(work)
    end = 2 * HDR + 768 * 1024
    for off, size in ((32768, 131072), (32767, 131072), (0, 512), (32768, 131073), (32768, 0), (163839, 1), (163840, 1),
                      (163841, 1), (163840 + 131072, 1), (end - 1, 1), (end, 1), (end - 512, 513), (2**64 - 1, 2),
                      (40000, 2**64 - 40000), (294911, 2)):
        judge.ask(f'area {off} {size}', areas(judge.meta, {'0': (off, size)}))
    segment = judge.meta['segments']['0']
    first = int(segment['offset'])
    rows = [[(0, 'dynamic')], [(end, 'dynamic')], [(end - 512, 'dynamic')], [(512, 'dynamic')], [(first, 512)],
            [(first, 512), (first + 512, 'dynamic')], [(first, 1024), (first + 512, 'dynamic')],
            [(first, 'dynamic'), (first + 512, 512)], [(first + 512, 512), (first, 512)],
            [(first + 512, 'dynamic'), (first, 512)], [(first, 512), (first, 512)], [(first, 512), (0, 512)],
            [(0, 512), (first, 512)], [(first, 2**64 - 512), (first + 512, 512)], [(2**64 - 512, 1024)],
            [(2**64 - 512, 512), (first, 512)], [(first, 2**64 - 512)], [(first + i * 512, 512) for i in range(32)]]
    for row in rows:
        m = copy.deepcopy(judge.meta)
        m['segments'] = {str(i): dict(segment, offset=str(o), size=str(s)) for i, (o, s) in enumerate(row)}
        m['digests']['0']['segments'] = list(m['segments'])
        judge.ask(f'segments {row[:3]}', m)
        m['segments'] = {k: dict(s, type='linear') for k, s in m['segments'].items()}
        judge.ask(f'linear {row[:3]}', m)
    for flags in (['backup-x'], ['backup-final'], [], ['x'], 'backup-x', [1], [None], ['in-reencryption'], ['backup-']):
        for n in '0', '1', '2':
            m = put(judge.meta, ('segments', n), dict(segment, flags=flags, offset=str(first + int(n) * 512)))
            m['digests']['0']['segments'] = list(m['segments'])
            m['segments']['0'].setdefault('size', '512')
            judge.ask(f'segment {n} flags {flags}', m)
    judge.close(70)


def test_requirements(work):
    judge = Judge(work)
    running = reencrypting(judge.meta)
    for names in ([], ['offline-reencrypt'], ['online-reencrypt'], ['online-reencrypt-v2'], ['online-reencrypt-v3'],
                  ['online-reencrypt-v4'], ['online-reencrypt-v'], ['online-reencrypt-vx'], ['online-reencrypt-v2x'],
                  ['online-reencrypt-v2', 'online-reencrypt-v3'], ['online-reencrypt-v2', 'online-reencrypt-v2'],
                  ['online-reencrypt-v02'], ['online-reencrypt-v99', 'online-reencrypt'], ['opal'],
                  ['opal', 'offline-reencrypt'], [''], [1], [None], 'opal', {}, None, ['x' * 3000]):
        for meta in judge.meta, running:
            judge.ask(f'mandatory {names}', put(meta, ('config', 'requirements'), {'mandatory': names}))
            judge.ask(f'optional {names}', put(meta, ('config', 'requirements'), {'optional': names}))
    judge.close(80)


def test_kdf_left_overs(work):
    judge = Judge(work)
    for slot in '0', '1':
        for member in 'type', 'salt', 'hash', 'iterations', 'time', 'memory', 'cpus', 'extra':
            judge.ask(f'{slot} + {member}', put(judge.meta, ('keyslots', slot, 'kdf', member), 7))
            judge.ask(f'{slot} + {member}', put(judge.meta, ('keyslots', slot, 'kdf', member), 'pbkdf2'))
    for kdf in ({'type': 'x'}, {'type': ''}, {'type': 'pbkdf2'}, {'type': 'argon2i', 'time': 1}, {'type': 'PBKDF2'},
                {'type': 'argon2', 'salt': 3}, {}):
        judge.ask(f'kdf {kdf}', put(judge.meta, ('keyslots', '0', 'kdf'), kdf))
    judge.close(30)


def test_text(work):
    """Before, in and behind the JSON text."""
    judge = Judge(work)
    text = json.dumps(judge.meta, separators=(',', ':')).encode()
    room = HDR - 4096
    pad = b'{"tokens":' + text[text.index(b'"tokens":') + 9:]
    for name, t in (('as it is', text), ('nothing', b''), ('a brace', b'{'), ('two braces', b'{}'), ('a list', b'[]'),
                    ('space before', b' ' + text), ('space behind', text + b' '), ('newline behind', text + b'\n'),
                    ('a second text', text + text), ('zero and more', text + b'\0x'), ('text of a section only', pad),
                    ('the last byte of the area', text.ljust(room - 1, b'\0') + b'x'),
                    ('space within', text.replace(b',', b' ,\n\t ')), ('cut', text[:-1]),
                    ('a tail of zeros', text + b'\0\0'), ('a zero within', text.replace(b'"0"', b'"\0"', 1)),
                    ('a type that begins with a zero character', text.replace(b'"other"', b'"\\u0000other"')),
                    ('escapes', text.replace(b'"luks2"', b'"l\\u0075ks2"').replace(b'"512"', b'"51\\u0032"')),
                    ('an escaped name', text.replace(b'"keyslots":{', b'"key\\u0073lots":{', 1)),
                    ('a section twice', text[:-1] + b',"tokens":{}}'),
                    ('a section twice, the last one wrong', text[:-1] + b',"tokens":[]}'),
                    ('a section twice, the first one wrong', b'{"tokens":[],' + text[1:]),
                    ('a keyslot twice', text.replace(b'"7":{', b'"7":[],"7":{', 1)),
                    ('a token twice', text.replace(b'"tokens":{', b'"tokens":{"0":{},', 1)),
                    ('full to the last but one', text[:-1] + b',"x":"' + b'y' * (room - len(text) - 8) + b'"}'),
                    ('full', text[:-1] + b',"x":"' + b'y' * (room - len(text) - 7) + b'"}')):
        judge.ask_text(name, t)
    for depth in range(24, 40):
        for left, inner, right in ((b'[', b'', b']'), (b'[', b'0', b']'), (b'{"a":', b'0', b'}'),
                                   (b'{"a":', b'{}', b'}')):
            deep = left * depth + inner + right * depth
            judge.ask_text(f'{left} {depth} deep', text[:-1] + b',"x":' + deep + b'}')
    judge.close(40)


def test_lenient_json(work):
    """What cryptsetup's JSON parser takes beyond RFC 8259, and we do not: known, and to be told when it changes."""
    judge = Judge(work)
    text = json.dumps(judge.meta, separators=(',', ':')).encode()
    for name, value in (('a comment', b'/*c*/1'), ('a line comment', b'1//c\n'), ('single quotes', b"'1'"), ('NaN', b'NaN'),
                        ('Infinity', b'-Infinity'), ('capitals', b'True'), ('a comma too many', b'[1,]'),
                        ('a control character', b'"a\x01"'), ('a zero in front', b'01'), ('no fraction', b'1.'),
                        ('no exponent', b'1e')):
        judge.ask_text(name, text[:-1] + b',"x":' + value + b'}')
        assert judge.apart == [f'{name}: cryptsetup takes it'], (name, judge.apart)
        assert reason(judge.image)[0] == 'FORMAT' and 'not JSON' in reason(judge.image)[1], name
        judge.apart.clear()


def test_binary(work):
    """The binary headers, each field of either copy, with and without a right checksum; sequence numbers."""
    judge = Judge(work)
    text = json.dumps(judge.meta, separators=(',', ':')).encode()
    good = bytearray(judge.bin)
    for off in (0, HDR):
        set_text(good, off, text)
    changes = [(0, b'SUKL\xba\xbe'), (0, b'SKUL\xba\xbe'), (0, b'LUKS\xba\xbe'), (0, bytes(6)), (6, b'\0\0'), (6, b'\0\3'),
               (6, b'\1\2'), (8, bytes(8)), (8, (8192).to_bytes(8, 'big')), (8, (20480).to_bytes(8, 'big')),
               (8, (32768).to_bytes(8, 'big')), (8, (4 << 20).to_bytes(8, 'big')), (8, (8 << 20).to_bytes(8, 'big')),
               (8, b'\xff' * 8), (16, bytes(8)), (16, b'\xff' * 8), (24, b'x' * 48), (72, b'sha512\0'), (72, b'x' * 32),
               (72, bytes(32)), (72, b'sha1\0\0'), (104, b'y' * 64), (168, b'z' * 40), (168, bytes(40)), (208, b's' * 48),
               (256, bytes(8)), (256, (16384).to_bytes(8, 'big')), (256, b'\1'), (448, b'\1' * 32), (490, b'\1'),
               (512, b'\1'), (4095, b'\1'), (4096, b'x'), (4096 + len(text), b'x'), (HDR - 1, b'x')]
    for at, value in changes:
        for copies in (0,), (HDR,), (0, HDR):
            for again in False, True:
                data = bytearray(good)
                for off in copies:
                    data[off + at:off + at + len(value)] = value
                    if again:
                        seal(data, off)
                judge.ask_bytes(f'{at}: {value[:8]!r} in {copies} sealed {again}', data)
    bad = json.dumps(put(judge.meta, ('tokens',), DEL)).encode()
    for first, second in ((1, 1), (1, 2), (2, 1), (0, 2**64 - 1), (2**64 - 1, 0), (2**63, 1)):
        for wrong in (), (0,), (HDR,), (0, HDR):
            data = bytearray(good)
            for off, seqid in ((0, first), (HDR, second)):
                data[off + 16:off + 24] = seqid.to_bytes(8, 'big')
                set_text(data, off, bad if off in wrong else text)
            judge.ask_bytes(f'sequence {first}, {second}, malformed {wrong}', data)
    judge.close(200)


def test_sizes(work):
    """Every place of the second copy, alone and beside a first one."""
    judge = Judge(work)
    for kib in (16 << n for n in range(9)):
        size = kib << 10
        meta = put(judge.meta, ('config', 'json_size'), str(size - 4096))
        for n, slot in enumerate(('0', '1', '7')):
            meta['keyslots'][slot]['area']['offset'] = str(2 * size + n * 131072)
        meta['segments']['0']['offset'] = str(2 * size + (768 << 10))
        text = json.dumps(meta).encode()
        for keep in (0, 1), (0,), (1,), ():
            data = bytearray(2 * size)
            for i in keep:
                off = i * size
                data[off:off + 512] = judge.bin[i * HDR:i * HDR + 512]
                data[off + 8:off + 16] = size.to_bytes(8, 'big')
                data[off + 256:off + 264] = off.to_bytes(8, 'big')
                set_text(data, off, text, size)
            os.truncate(judge.image, 0)
            os.truncate(judge.image, 2 * size + (1 << 20))
            judge.ask_bytes(f'{kib} KiB, copies {keep}', data)
            os.truncate(judge.image, 2 * size + (768 << 10) - 1)
            judge.ask_bytes(f'{kib} KiB, copies {keep}, a byte too short', data)
    judge.close(70)


def test_other_signatures(work):
    """A disk that something else was put on, while the second copy is still there."""
    judge = Judge(work)
    text = json.dumps(judge.meta).encode()
    good = bytearray(judge.bin)
    for off in (0, HDR):
        set_text(good, off, text)
    good[:4096] = bytes(4096)
    judge.ask_bytes('zeros', good)
    with open(judge.image, 'rb') as f:
        rest = f.read()[len(good):]
    for command in (['mkswap'], ['mkfs.ext4', '-q', '-F']):
        other = work.write('other', size=SIZE + (1 << 20))
        if subprocess.run(['sh', '-c', f'PATH=$PATH:/sbin:/usr/sbin; {" ".join(command)} {other}'],
                          capture_output=True).returncode != 0:
            return f'no {command[0]} here'
        with open(other, 'rb') as f:
            judge.ask_bytes(command[0], f.read(4096) + bytes(good[4096:]) + rest)
    shared = 'build/data/luks2/blkid-luks2-pv.img'
    if not os.path.exists(shared):
        return 'no shared image of an LVM physical volume over LUKS2'
    with open(shared, 'rb') as f:
        judge.ask_bytes('pvcreate', f.read())
    judge.close(4)


def mutated(rng, meta):
    """A few random changes that keep it JSON."""
    m = copy.deepcopy(meta)
    for _ in range(rng.randint(1, 3)):
        paths = [p for p in places(m) if p]
        path, kind = rng.choice(paths), rng.randrange(5)
        if kind == 0:
            m = put(m, path, DEL)
        elif kind == 1:
            m = put(m, path, copy.deepcopy(get(m, rng.choice(paths))))
        else:
            m = put(m, path, rng.choice((NUMBERS, DECIMALS, OTHERS)[kind - 2]))
    return m


def test_random(work):
    judge = Judge(work)
    n = int(os.environ.get('KEYHOLT_VERDICTS', '400'))
    rng = random.Random(os.environ.get('KEYHOLT_VERDICTS_SEED', 'keyholt'))
    for i in range(n):
        judge.ask(f'number {i}', mutated(rng, reencrypting(judge.meta) if i % 2 else judge.meta))
    judge.close(min(n, 100))


if __name__ == '__main__':
    main(sys.argv[1:], globals())
