#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rotation and resume on headers that somebody changed meanwhile: by damage, by another program at any moment, by
tokens that only look like ours, by copies. A key that opens must never go for one that does not."""
import base64
import ctypes
import fcntl
import hashlib
import json
import os
import shutil
import struct
import sys
import threading
import time
import uuid

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hand_over import add_kernel_key, drop_kernel_key, kernel_key
from machine import (FAST, KEEPER, MSG_ROTATE, PASSPHRASE, TOP, Checks, Machine, Organisation, ask, fast_folder, header, judge,
                     make_volume, opens, sh)

SHIM = f'{TOP}/build/tests/crash_shim.so'
RIVAL = f'{TOP}/build/tests/rival_shim.so'
CACHE = '/var/lib/keyholt/agent'


class Laptop(Machine):
    """A protected computer whose disk can be put back to what it was."""

    def __init__(self, c, name, org, bundle, small=False):
        super().__init__(f'{c.folder}/{name}', encrypted=False)
        self.org = org
        os.makedirs(self.path('/dev'))
        os.makedirs(self.path('/sys/class/block/sda2'))
        options = ('--luks2-keyslots-size', '2048k', '--offset', '8192') if small else ()
        self.disk = make_volume(self.path('/dev/sda2'), *options, size='5M' if small else '20M')
        self.install_org(bundle)
        self.start()
        code, o, err = self.protect()
        if code:
            raise RuntimeError(err)
        self.uuid = o['uuid']
        self.stop()
        self.save()

    def save(self):
        with open(self.disk, 'rb') as f:
            self.saved = f.read()
        shutil.rmtree(self.root + '.state', ignore_errors=True)
        shutil.copytree(self.path(CACHE), self.root + '.state')

    def restore(self):
        with open(self.disk, 'wb') as f:
            f.write(self.saved)
        shutil.rmtree(self.path(CACHE))
        shutil.copytree(self.root + '.state', self.path(CACHE))

    def protect(self, secret=PASSPHRASE):
        return self.json('protect', self.disk, '--passphrase-file', '-', data=secret)

    def rotate(self, disk=None, secret=PASSPHRASE):
        return self.json('rotate', disk or self.disk, '--passphrase-file', '-', data=secret)

    def keys(self):
        return judge(self.disk, self.org)['tokens']

    def volume(self):
        return [v for v in self.status()['volumes'] if v['uuid'] == self.uuid and v['state'] != 'copy'][0]

    def once(self):
        """One start of the keeper; what status says then."""
        self.start()
        try:
            return self.volume()
        finally:
            self.stop()

    def tokens(self):
        return {n: t for n, t in header(self.disk)['tokens'].items() if t['type'] == 'keyholt'}

    def token(self):
        return list(self.tokens().values())[0]

    def plant(self, number, token):
        sh('cryptsetup', 'token', 'import', '--token-id', str(number), '--token-replace', self.disk,
           data=json.dumps(token).encode())

    def flip(self, slot):
        at = int(header(self.disk)['keyslots'][str(slot)]['area']['offset']) + 5000
        with open(self.disk, 'r+b') as f:
            f.seek(at)
            byte = f.read(1)
            f.seek(at)
            f.write(bytes([byte[0] ^ 1]))


def good_keys(m):
    return [k for k in m.keys() if k['opens'] >= 0]


def fingerprint(image, slot):
    """As docs/formats.md says."""
    h = header(image)
    s, hashes = h['keyslots'][str(slot)], {'sha1': 1, 'sha256': 2, 'sha512': 3}
    d = [d for d in h['digests'].values() if str(slot) in d['keyslots']][0]
    salt, digest_salt, value = (base64.b64decode(x) for x in (s['kdf']['salt'], d['salt'], d['digest']))
    with open(image, 'rb') as f:
        f.seek(int(s['area']['offset']))
        area = f.read(s['af']['stripes'] * s['key_size'])
    return base64.b64encode(hashlib.sha256(
        b'keyholt fingerprint v1\0' + bytes([1, hashes[s['kdf']['hash']]]) +
        struct.pack('<IIII', s['kdf']['iterations'], 0, 0, len(salt)) + salt + bytes([hashes[s['af']['hash']]]) +
        struct.pack('<III', s['af']['stripes'], s['key_size'], s['area']['key_size']) + area + bytes([hashes[d['hash']]]) +
        struct.pack('<II', d['iterations'], len(digest_salt)) + digest_salt + struct.pack('<I', len(value)) +
        value).digest()).decode()


def rotation_killed(m, **env):
    """The answer of a rotation under a shim, None when it was killed."""
    m.start(**env)
    open(m.path('/armed'), 'w').close()
    answer = ask(m, MSG_ROTATE, m.disk.encode(), PASSPHRASE, 0)
    os.unlink(m.path('/armed'))
    m.stop()
    return answer


def test_damage_at_resume(c, org, bundle):
    """The old key is retired, its keyslot still there; then a bit of the new one flips."""
    m, found = Laptop(c, 'damage', org, bundle, small=True), False
    for at in range(1, 200):
        m.restore()
        if rotation_killed(m, LD_PRELOAD=SHIM, SHIM_IMAGE=m.disk, SHIM_STATE=m.path(CACHE), SHIM_ARM=m.path('/armed'),
                           SHIM_AT=str(at)):
            break
        keys = {k['state']: k for k in good_keys(m)}
        if sorted(keys) != ['live', 'retired']:
            continue
        found = True
        m.flip(keys['live']['slot'])
        v = m.once()
        left = good_keys(m)
        c.check([k['key_id'] for k in left] == [keys['retired']['key_id']] and left[0]['state'] == 'live',
                f'killed at {at}, then the new key damaged: the old one is in use again', m.keys())
        c.check(v['key_id'] == left[0]['key_id'] if left else False, 'and status names it', v)
    c.check(found, 'a point with a retired key that opens was met')


def test_rival_kills(c, org, bundle):
    """At every moment of a rotation, somebody removes the new keyslot."""
    m = Laptop(c, 'kill', org, bundle, small=True)
    out, before, key = m.path('/out'), m.path('/before'), m.path('/key')
    with open(key, 'wb') as f:
        f.write(PASSPHRASE)
    command = (f'cryptsetup luksDump {m.disk} | grep -cE "^  [0-9]+: luks2" >{before}; '
               f'cryptsetup luksKillSlot -q -d {key} {m.disk} 2 >/dev/null 2>&1')
    hit = 0
    for at in range(1, 200):
        m.restore()
        if os.path.exists(out):
            os.unlink(out)
        answer = rotation_killed(m, LD_PRELOAD=RIVAL, RIVAL_ARM=m.path('/armed'), RIVAL_AT=str(at), RIVAL_CMD=command,
                                 RIVAL_OUT=out)
        if not os.path.exists(out):
            break
        with open(out) as f, open(before) as g:
            killed, slots = f.read().strip() == '0', int(g.read())
        hit += killed
        good = good_keys(m)
        # with two keyslots left, his was the last recovery key: nothing of ours could have prevented that
        c.check(good or (killed and slots == 2), f'new keyslot removed at {at}: a recovery key opens', m.keys())
        c.check(answer and (answer[0] != 0 or good), f'new keyslot removed at {at}: no untrue "replaced"', answer)
        undone = answer and 'was undone' in answer[1]
        c.check(not undone or [k['state'] for k in m.keys()] == ['live'], f'new keyslot removed at {at}: what was undone is',
                m.keys())
        if killed:
            m.once()
            c.check(all(k['state'] == 'live' and k['opens'] == k['slot'] for k in m.keys()),
                    f'new keyslot removed at {at}: no dead token after the next start', m.keys())
    c.check(at > 10 and hit > 3, 'the rival came in between', (at, hit))


def test_rival_adds(c, org, bundle):
    """At every moment of a rotation, somebody adds a keyslot of his own."""
    m = Laptop(c, 'add', org, bundle, small=True)
    out, key, new = m.path('/out'), m.path('/key'), m.path('/new')
    for name, data in ((key, PASSPHRASE), (new, b'rival')):
        with open(name, 'wb') as f:
            f.write(data)
    command = f'cryptsetup luksAddKey -q {" ".join(FAST[:4])} -d {key} {m.disk} {new} >/dev/null 2>&1'
    moved = 0
    for at in range(1, 200):
        m.restore()
        if os.path.exists(out):
            os.unlink(out)
        answer = rotation_killed(m, LD_PRELOAD=RIVAL, RIVAL_ARM=m.path('/armed'), RIVAL_AT=str(at), RIVAL_CMD=command,
                                 RIVAL_OUT=out)
        if not os.path.exists(out):
            break
        with open(out) as f:
            added = f.read().strip() == '0'
        keys = m.keys()
        c.check(answer and answer[0] == 0 and len(keys) == 1 and keys[0]['opens'] == keys[0]['slot'],
                f'keyslot added at {at}: rotated all the same', (answer, keys))
        c.check(not added or opens(m.disk, b'rival'), f'keyslot added at {at}: it stays')
        moved += keys[0]['slot'] > 2
    c.check(at > 10 and moved > 0, 'the rival came in between', (at, moved))


def test_lock_held(c, org, bundle):
    """A program that hangs with the header's lock: named, and the keeper goes on."""
    m = Laptop(c, 'lock', org, bundle)
    m.start()
    with open(m.disk, 'rb') as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        start = time.monotonic()
        code, _, err = m.rotate()
        c.check(code == 4 and f'process {os.getpid()}' in err and 'nothing was changed' in err, 'a lock that is held: named',
                (code, err))
        c.check(time.monotonic() - start < 90 and m.agent('status')[0] == 0, 'and nobody waits for ever')
    code, _, err = m.rotate()
    c.check(code == 0, 'when it is gone, all is well', err)
    m.stop()


def test_never_ends(c, org, bundle):
    """Somebody changes the header before every write of ours, for ever: not now, he is named, and no key is lost."""
    m = Laptop(c, 'never-ends', org, bundle)
    key, ended = m.keys()[0], threading.Event()

    def hold():
        with open(m.disk, 'rb') as f:
            while not ended.is_set():
                fcntl.flock(f, fcntl.LOCK_EX)
                time.sleep(0.01)
                fcntl.flock(f, fcntl.LOCK_UN)
                time.sleep(0.02)
    holder = threading.Thread(target=hold)
    command = f'cryptsetup config --label x$$ {m.disk} >/dev/null 2>&1'
    holder.start()
    try:
        answer = rotation_killed(m, LD_PRELOAD=RIVAL, RIVAL_ARM=m.path('/armed'), RIVAL_AT='all', RIVAL_CMD=command,
                                 RIVAL_OUT=m.path('/out'))
    finally:
        ended.set()
        holder.join()
    c.check(answer and answer[0] == 4 and 'keeps changing the header' in answer[1] and
            f'process {os.getpid()}' in answer[1], 'who never ends is named', answer)
    c.check(key in good_keys(m), 'and the key is what it was', m.keys())
    m.start()
    code, _, err = m.rotate()
    c.check(code == 0 and len(m.keys()) == 1 and good_keys(m), 'when he is gone, all is well', err)
    m.stop()


def test_foreign_token(c, org, bundle):
    """cryptsetup token add names every keyslot, ours, too; an imported one may name ours alone."""
    m = Laptop(c, 'foreign', org, bundle)
    sh('cryptsetup', 'token', 'add', '--token-id', '9', '--key-description', 'my:key', m.disk)
    before = header(m.disk)['tokens']['9']
    old = m.keys()[0]
    c.check(str(old['slot']) in before['keyslots'], 'the foreign token names our keyslot, too', before)
    m.start()
    code, _, err = m.rotate()
    c.check(code == 0 and not opens(m.disk, old['password'].encode()), 'a token on all keyslots: rotated', err)
    after = header(m.disk)['tokens']['9']
    c.check(after == {**before, 'keyslots': ['0']}, 'it has the others as before', after)

    old = m.keys()[0]
    m.plant(10, {'type': 'somebody-else', 'keyslots': [str(old['slot'])]})
    for i in range(2):
        code, _, err = m.rotate()
        c.check(code == 1 and 'token 10 (somebody-else)' in err and 'token remove' in err, 'a token on ours alone', err)
        live = [k for k in m.keys() if k['state'] == 'live']
        c.check(len(live) == 1 and live[0]['key_id'] != old['key_id'] and len(m.keys()) == 2,
                'one new key all the same', m.keys())
    v = m.volume()
    c.check(v['key_id'] == live[0]['key_id'] and 'old recovery password still opens' in v['note'], 'status says so', v)
    sh('cryptsetup', 'token', 'remove', '--token-id', '10', m.disk)
    m.stop()
    v = m.once()
    c.check(not v['note'] and [k['key_id'] for k in m.keys()] == [live[0]['key_id']], 'without it the old key goes', v)


def test_persons_keyslot(c, org, bundle):
    """A person's keyslot, made much like ours, and tokens that claim it."""
    m = Laptop(c, 'person', org, bundle)
    key = m.path('/key')
    with open(key, 'wb') as f:
        f.write(b'a person')
    for slot, options in ((5, ()), (6, ('--keyslot-cipher', 'aes-xts-plain64', '--keyslot-key-size', '512'))):
        sh('cryptsetup', 'luksAddKey', '-q', '--key-slot', str(slot), '--pbkdf', 'pbkdf2', '--pbkdf-force-iterations',
           '1500', *options, '-d', '-', m.disk, key, data=PASSPHRASE)
    m.save()
    ours, envelope = m.token(), bytearray(base64.b64decode(m.token()['envelope']))
    new = str(uuid.uuid4()).upper()
    envelope[8:24] = uuid.UUID(new).bytes_le
    fitting = {'key_id': new, 'envelope': base64.b64encode(envelope).decode()}
    no_device = bytearray(envelope)
    no_device[40:72] = bytes(32)
    other_device = {'key_id': new, 'envelope': base64.b64encode(no_device).decode()}
    first = m.keys()[0]
    for what, slot, change in (
            ('retired, the envelope of another key', 6, {'state': 'retired', 'keyslots': ['6'], 'key_id': new}),
            ('retired, an envelope that fits', 6, {'state': 'retired', 'keyslots': ['6'], **fitting}),
            ('pending, the envelope of another key', 6, {'state': 'pending', 'keyslots': [], 'key_id': new}),
            ('pending, the envelope of another device', 6, {'state': 'pending', 'keyslots': [], **other_device}),
            ('live, an envelope that fits', 6, {'state': 'live', 'keyslots': ['6'], **fitting}),
            ('the first passphrase', 0, {'state': 'pending', 'keyslots': [], **fitting, 'count': 1500})):
        m.restore()
        m.plant(9, {**ours, 'slot': slot, 'count': 1500, **change})
        m.once()
        m.start()
        code, _, err = m.rotate()
        m.stop()
        c.check(all(opens(m.disk, b'a person', s) for s in (5, 6)) and opens(m.disk, PASSPHRASE, 0),
                f'{what}: the person\'s keyslots stay', err)
        good = [k for k in m.keys() if k['state'] == 'live' and k['opens'] >= 0]
        c.check(code == 0 and len(good) == 1 and good[0]['key_id'] != first['key_id'], f'{what}: ours is rotated', m.keys())


def test_planted_live(c, org, bundle):
    """A live token that is newer than the genuine one, in order to the last byte, on a keyslot that it cannot open."""
    m = Laptop(c, 'planted', org, bundle)
    genuine, ours = m.keys()[0], m.token()
    key = m.path('/key')
    with open(key, 'wb') as f:
        f.write(b'junk')
    sh('cryptsetup', 'luksAddKey', '-q', '--key-slot', '6', '--pbkdf', 'pbkdf2', '--pbkdf-force-iterations', '1500',
       '--keyslot-cipher', 'aes-xts-plain64', '--keyslot-key-size', '512', '-d', '-', m.disk, key, data=PASSPHRASE)
    envelope, new = bytearray(base64.b64decode(ours['envelope'])), str(uuid.uuid4()).upper()
    envelope[8:24] = uuid.UUID(new).bytes_le
    envelope[72:80] = struct.pack('<Q', 2**40)
    m.plant(9, {**ours, 'keyslots': ['6'], 'slot': 6, 'count': 1500, 'key_id': new,
                'envelope': base64.b64encode(envelope).decode(), 'fingerprint': fingerprint(m.disk, 6)})
    for when in ('first', 'second'):
        v = m.once()
        c.check([k['key_id'] for k in good_keys(m)] == [genuine['key_id']], f'{when} start: the genuine key stays', m.keys())
        c.check(v['key_id'] == genuine['key_id'] and v['verified'] and 'does not know' in v['note'],
                f'{when} start: status names it, and says what is there', v)
    m.save()
    for what, at, other in (('device', 40, bytes(32)), ('organisation', 112, bytes(64))):
        m.restore()  # with the cache lost, the newest that this computer made for this organisation stays
        strange = bytearray(envelope)
        strange[at:at + len(other)] = other
        m.plant(9, {**m.tokens()['9'], 'envelope': base64.b64encode(strange).decode()})
        shutil.rmtree(m.path(CACHE))
        shutil.copytree(m.root + '.state', m.path(CACHE), ignore=shutil.ignore_patterns('cache.db*'))
        v = m.once()
        c.check([k['key_id'] for k in m.keys()] == [genuine['key_id']] and v['verified'],
                f'cache lost, a newer key of another {what}: the genuine key stays', (m.keys(), v))
    m.restore()
    sh('cryptsetup', 'luksKillSlot', '-q', m.disk, str(genuine['slot']))
    v = m.once()
    c.check(v['key_id'] == new and not v['verified'] and v['note'], 'alone, it is not verified', v)


def test_header_restored(c, org, bundle):
    """A header backup of before a rotation is written back."""
    m = Laptop(c, 'restored', org, bundle)
    old = m.keys()[0]
    m.start()
    m.rotate()
    m.stop()
    with open(m.disk, 'wb') as f:
        f.write(m.saved)
    for when in ('first', 'second'):
        v = m.once()
        c.check(v['state'] == 'needs-unlock-secret' and not v['verified'] and 'restored' in v['note'] and
                v['key_id'] == old['key_id'], f'{when} start: not verified, to be rotated', v)
    m.start()
    code, _, err = m.rotate()
    v = m.volume()
    m.stop()
    c.check(code == 0 and v['state'] == 'protected' and v['verified'] and not v['note'] and
            not opens(m.disk, old['password'].encode()), 'rotated: all is well', (err, v))


def test_other_organisation(c, org, bundle):
    other = Organisation(c.folder + '/other')
    other.id = '8F3A2C10-5B44-4E0E-9D7C-2A1B3C4D5E6F'
    a = Laptop(c, 'theirs', other, other.bundle(c.folder + '/otherbundle'))
    b = Laptop(c, 'ours', org, bundle)
    disk = shutil.copy(a.disk, b.path('/dev/sdb1'))
    os.makedirs(b.path('/sys/class/block/sdb1'))
    b.start()
    v = [v for v in b.status()['volumes'] if v['device'] == disk][0]
    c.check(v['state'] == 'pending' and not v['verified'] and 'organisation' in v['note'], 'another organisation\'s disk', v)
    code, o, err = b.json('protect', disk, '--passphrase-file', '-', data=PASSPHRASE)
    v = [v for v in b.status()['volumes'] if v['device'] == disk][0]
    b.stop()
    ours = [k for k in judge(disk, org)['tokens'] if k['opens'] >= 0]
    c.check(code == 0 and len(ours) == 1 and v['state'] == 'protected' and v['verified'], 'is protected anew', (err, v))


def test_copies(c, org, bundle):
    """A backup made with dd has the volume's UUID and keys; what the keeper does, it does to the volume."""
    m = Laptop(c, 'copies', org, bundle)
    key = m.keys()[0]
    image = shutil.copy(m.disk, m.path('/copy.img'))
    m.start()
    code, _, err = m.rotate(image)
    c.check(code != 0 and m.disk in err and 'copy' in err and 'nothing was changed' in err, 'a copy is not rotated', err)
    code, _, err = m.json('protect', image, '--passphrase-file', '-', data=PASSPHRASE)
    c.check(code != 0 and 'copy' in err, 'nor protected', err)
    c.check(open(image, 'rb').read() == m.saved, 'nothing was changed')
    m.stop()
    backups = [shutil.copy(m.disk, m.path(f'/dev/{name}')) for name in ('aaa1', 'sdb1', 'zzz1')]
    for b in backups:
        os.makedirs(m.path('/sys/class/block/' + os.path.basename(b)))
    m.start()
    code, _, err = m.rotate()
    v = m.volume()
    m.stop()
    c.check(code == 0 and v['device'] == m.disk and sorted(v['copies']) == backups,
            'with copies plugged in, status names volume and copies', (err, v))
    c.check(v['key_id'] == m.keys()[0]['key_id'] != key['key_id'], 'and its new key', v)
    c.check(all(open(b, 'rb').read() == m.saved for b in backups), 'the copies are as they were')

    holder = m.path('/sys/class/block/sdb1/holders/dm-0/dm')  # now the copy is what runs
    os.makedirs(holder)
    with open(holder + '/uuid', 'w') as f:
        f.write('CRYPT-LUKS2-x')
    v = m.once()
    c.check(v['device'] == backups[1] and v['key_id'] == key['key_id'] and not v['verified'],
            'the one that is unlocked is the volume', v)


def test_disk_full_at_recovery(c, org, bundle):
    """The disk that holds the cache is full at a recovery boot: the used password waits in the keeper's memory."""
    for asked in ('status', 'protect'):
        disk_full_at_recovery(c, Laptop(c, 'full-' + asked, org, bundle), asked)


def disk_full_at_recovery(c, m, asked):
    key, state, ballast = m.keys()[0], m.path(CACHE), m.path(CACHE) + '/ballast'
    libc = ctypes.CDLL(None, use_errno=True)
    kept = shutil.copytree(state, m.path('/kept'))
    if libc.mount(b'tmpfs', state.encode(), b'tmpfs', 0, b'size=1m,mode=0700'):
        c.skip('disk full at a recovery boot', 'no file system can be mounted here (needs root)')
        return
    try:
        shutil.copytree(kept, state, dirs_exist_ok=True)
        fd = os.open(ballast, os.O_WRONLY | os.O_CREAT)
        try:
            while True:
                os.write(fd, bytes(4096))
        except OSError:
            os.close(fd)
        if add_kernel_key(m.uuid, key['password'].encode()) is None:
            c.skip('disk full at a recovery boot', 'this kernel gives no keyring')
            return
        m.start()
        v = m.volume()
        c.check(v['state'] == 'needs-unlock-secret' and 'full' in v['note'] and m.keys() == [key],
                'disk full: status says that the used password is not replaced', v)
        c.check(not kernel_key(m.uuid), 'the kernel key is gone all the same')
        os.unlink(ballast)
        if asked == 'protect':
            code, o, err = m.json('protect', m.disk, '--passphrase-file', '-', data=PASSPHRASE)
            c.check(code == 0 and o['key_id'] != key['key_id'], 'protect does not call a used password protected', (o, err))
        v = m.volume()
        c.check(v['state'] == 'protected' and not v['note'] and len(m.keys()) == 1 and
                not opens(m.disk, key['password'].encode()), f'with room again, it is replaced ({asked})', v)
    finally:
        drop_kernel_key(m.uuid)
        m.stop()
        libc.umount(state.encode())


def main():
    for needed in (KEEPER, SHIM, RIVAL):
        if not os.path.exists(needed):
            print(f'{needed} is not built: make')
            return 1
    c = Checks(fast_folder())
    org = Organisation(c.folder + '/org')
    bundle = org.bundle(c.folder + '/bundle')
    for test in TESTS:
        test(c, org, bundle)
    return c.close()


TESTS = (test_damage_at_resume, test_rival_kills, test_rival_adds, test_lock_held, test_never_ends, test_foreign_token,
         test_persons_keyslot,
         test_planted_live, test_header_restored, test_other_organisation,
         test_copies, test_disk_full_at_recovery)

if __name__ == '__main__':
    sys.exit(main())
