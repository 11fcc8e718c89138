#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of keys on a computer whose root is encrypted: the management keyslot and unattended rotation; which keys
stay during an outage; drift and its repair; policy. The real keeper on image files."""
import contextlib
import glob
import hashlib
import json
import os
import shutil
import sqlite3
import struct
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hand_over import put_event, records
from machine import (FAST, KEEPER, OURS, PASSPHRASE, Checks, Machine, Organisation, fast_folder, header, judge, make_volume,
                     opens, sh)
from play_courier import SYNC_NOW, Asking, Courier, device_of, enrolled, receipt, rotate_order
from swtpm import Swtpm

FOREIGN = b'{"type":"somebody-else","keyslots":["0"],"note":"hands off"}'
STATE = '/var/lib/keyholt/agent'
EVENT = 3
ROTATED, DRIFT, WENT_BACK, EXPOSED = 2, 5, 6, 7
CHANGED, REMOVED, UNKNOWN, RETURNED, OLDER = 1, 2, 3, 4, 5
DAY = 86400


class Laptop(Machine):
    """A computer with one volume, which is found without the cache, too."""

    def __init__(self, c, name, org, bundle, encrypted=True, protect=True, size='20M', tpm=None, **env):
        super().__init__(f'{c.folder}/{name}', encrypted=encrypted, **env)
        self.org = org
        self.options += ['--tpm', tpm.tcti] if tpm else []
        os.makedirs(self.path('/dev'))
        os.makedirs(self.path('/sys/class/block/sda2'))
        self.disk = make_volume(self.path('/dev/sda2'), size=size)
        sh('cryptsetup', 'token', 'import', '--token-id', '5', self.disk, data=FOREIGN)
        self.install_org(bundle)
        self.foreign = self.not_ours()
        self.start()
        if protect:
            self.protect()

    def protect(self):
        code, o, err = self.json('protect', self.disk, '--passphrase-file', '-', data=PASSPHRASE)
        if code:
            raise RuntimeError(err)
        return o

    def rotate(self, secret=None):
        more = ('--passphrase-file', '-') if secret else ()
        return self.json('rotate', self.disk, *more, data=secret)

    def not_ours(self):
        h = header(self.disk)
        return h['keyslots']['0'], [t for t in h['tokens'].values() if t['type'] not in OURS]

    def keys(self):
        """The recovery keys that open, oldest first."""
        volume = self.volume()
        made = {k['key_id']: k['made'] for k in volume['keys']}
        return sorted(judge(self.disk, self.org)['tokens'], key=lambda t: made.get(t['key_id'], 0))

    def management(self):
        return [t for t in header(self.disk)['tokens'].values() if t['type'] == 'keyholt-management']

    def key_files(self):
        return glob.glob(self.path(STATE + '/management/*.key'))

    def volume(self):
        return [v for v in self.status()['volumes'] if v['device'] == self.disk][0]

    def verify(self):
        code, o, err = self.json('verify')
        return code, o['volumes'][0] if o.get('volumes') else o, err

    def flip(self, slot):
        at = int(header(self.disk)['keyslots'][str(slot)]['area']['offset']) + 5000
        with open(self.disk, 'r+b') as f:
            f.seek(at)
            byte = f.read(1)
            f.seek(at)
            f.write(bytes([byte[0] ^ 1]))

    def events(self, kind):
        """Of a stopped keeper."""
        return [r for r in records(self) if r['kind'] == EVENT and r['event'] == kind]

    def in_order(self, c, what, n_keys=1, management=True):
        """Every live key opens its keyslot, nothing is left over, and nobody else's things were touched."""
        keys = self.keys()
        c.check(len(keys) == n_keys and all(k['state'] == 'live' and k['opens'] == k['slot'] for k in keys),
                f'{what}: {n_keys} live recovery keys', keys)
        c.check(len(self.management()) == management and len(self.key_files()) == management,
                f'{what}: management keyslots', (self.management(), self.key_files()))
        c.check(len(header(self.disk)['keyslots']) == 1 + n_keys + management, f'{what}: no keyslot is left over')
        c.check(self.not_ours() == self.foreign, f'{what}: what is not ours is as it was')
        return keys


def test_management(c, org, bundle):
    m = Laptop(c, 'management', org, bundle)
    first = m.in_order(c, 'protect')[0]
    token, v = m.management()[0], m.volume()
    slot = header(m.disk)['keyslots'][str(token['slot'])]
    c.check(token['state'] == 'live' and token['keyslots'] == [str(token['slot'])] and 2025 <= token['count'] <= 3048 and
            slot['kdf']['iterations'] == token['count'] and bytes.fromhex(token['device']) == device_of(m),
            'the management token is as docs/formats.md says', token)
    c.check(v['management'] == 'file' and v['state'] == 'protected' and not v['note'], 'status: a way in, in a file', v)
    name = m.key_files()[0]
    with open(name, 'rb') as f:
        data = f.read()
    c.check(os.stat(name).st_mode & 0o777 == 0o600 and os.stat(os.path.dirname(name)).st_mode & 0o777 == 0o700 and
            data[:8] == b'KHM\1\1\0\0\0' and len(data) == 56, 'the key file is root\'s alone', data[:8])
    c.check(opens(m.disk, data[24:], token['slot']), 'its key opens the management keyslot')
    code, o, err = m.rotate()
    c.check(code == 0, 'rotate with nothing given', err)
    second = m.in_order(c, 'rotated unattended')[0]
    c.check(second['key_id'] == o['key_id'] != first['key_id'] and not opens(m.disk, first['password'].encode()),
            'the old password opens no more')
    c.check(m.management() == [token], 'the management keyslot stays as it was')
    m.stop()
    with open(name, 'rb') as f:
        c.check(f.read() == data, 'and its key')
    for place in (glob.glob(m.path(STATE + '/cache.db*')) + [m.path('/keeper.log')]):
        with open(place, 'rb') as f:
            c.check(data[24:] not in f.read(), f'the key is not in {os.path.basename(place)}')


def test_management_lost(c, org, bundle):
    """Whatever becomes of it, the recovery key stays, and a person's visit makes it again."""
    m = Laptop(c, 'lost', org, bundle)
    key = m.in_order(c, 'before')[0]

    def visit(what):
        v = m.volume()
        c.check(v['state'] == 'needs-unlock-secret' and v['management'] == 'lost' and v['verified'] and v['note'] and
                v['key_id'] == key['key_id'], f'{what}: status asks for a visit', v)
        code, _, err = m.rotate()
        c.check(code == 4 and '--passphrase-file' in err, f'{what}: no unattended rotation', (code, err))
        code, _, err = m.rotate(PASSPHRASE)
        c.check(code == 0, f'{what}: a passphrase ends that', err)
        v = m.volume()
        c.check(v['state'] == 'protected' and v['management'] == 'file' and not v['note'], f'{what}: as before', v)
        return m.in_order(c, what)[0]
    m.stop()
    os.unlink(m.key_files()[0])
    m.start().status()
    c.check(not m.management() and len(header(m.disk)['keyslots']) == 2, 'key file gone: its keyslot goes, too')
    key = visit('key file gone')
    sh('cryptsetup', 'luksKillSlot', '-q', m.disk, str(m.management()[0]['slot']))
    m.verify()
    c.check(not m.management() and not m.key_files(), 'keyslot removed by somebody: token and key go')
    key = visit('keyslot removed')
    m.flip(m.management()[0]['slot'])
    m.verify()
    key = visit('key material changed')
    m.stop()
    name = m.key_files()[0]
    os.chmod(name, 0o644)
    m.start()
    key = visit('a key file that others may read')
    # a person's keyslot in the place of ours, made much like it
    slot = m.management()[0]['slot']
    count = header(m.disk)['keyslots'][str(slot)]['kdf']['iterations']
    sh('cryptsetup', 'luksKillSlot', '-q', m.disk, str(slot))
    with open(m.path('/key'), 'wb') as f:
        f.write(b'a person\'s own')
    sh('cryptsetup', 'luksAddKey', '--pbkdf', 'pbkdf2', '--pbkdf-force-iterations', str(count), '--key-slot', str(slot),
       '-q', '-d', '-', m.disk, m.path('/key'), data=PASSPHRASE)
    m.verify()
    m.rotate(PASSPHRASE)
    c.check(opens(m.disk, b'a person\'s own', slot), 'a person\'s keyslot with our number and count stays')
    m.stop()


def test_management_claimed(c, org, bundle):
    m = Laptop(c, 'claimed', org, bundle)
    slot = m.management()[0]['slot']
    sh('cryptsetup', 'token', 'import', '--token-id', '9', m.disk,
       data=b'{"type":"somebody-else","keyslots":["%d"]}' % slot)
    m.stop()
    os.unlink(m.key_files()[0])
    m.start().status()
    c.check(str(slot) in header(m.disk)['keyslots'], 'a token of somebody\'s on our management keyslot: it stays')
    code, _, err = m.rotate(PASSPHRASE)
    c.check(code == 0 and 'token 9 (somebody-else)' in err, 'the volume is rotated all the same, and a sentence says so', err)
    m.stop()


def test_two_devices(c, org, bundle):
    """A disk that moves: the other computer's management keyslot goes only when a person opens the volume."""
    a = Laptop(c, 'first', org, bundle)
    a.stop()
    b = Laptop(c, 'second', org, bundle, protect=False)
    b.stop()
    shutil.copy(a.disk, b.disk)
    b.start()
    v = b.volume()
    c.check(len(b.management()) == 1 and v['management'] == 'lost' and v['state'] == 'needs-unlock-secret',
            'another device\'s way in is left alone, and is none here', v)
    code, _, err = b.rotate(PASSPHRASE)
    token = b.management()
    c.check(code == 0 and len(token) == 1 and bytes.fromhex(token[0]['device']) == device_of(b),
            'with a passphrase it is replaced by one of this device', (err, token))
    c.check(b.rotate()[0] == 0, 'which works')
    b.stop()


def doctor(m, check):
    return [f['text'] for f in m.json('doctor')[1]['findings'] if f['check'] == check]


def away(c, m, tpm, data):
    """A TPM that is only away: its keyslot waits for it, nothing weaker takes its place, and all goes on."""
    token, key = m.management(), m.keys()[0]

    def waits(what, state):
        v = m.verify()[1]
        with open(m.key_files()[0], 'rb') as f:
            same = f.read() == data
        c.check(v['management'] == 'away' and v['state'] == state and v['verified'] and
                'cannot be asked now' in v['note'] and 'gone' not in v['note'], f'{what}: away, not gone', v)
        c.check(same and len(m.key_files()) == 1 and m.management() == token, f'{what}: its key and keyslot wait')
    for what, tcti in (('none', 'none'), ('no device', 'device:/dev/no-such-tpm'), ('it does not answer', tpm.tcti)):
        m.stop()
        if tcti == tpm.tcti:
            tpm.stop()
        m.options[m.options.index('--tpm') + 1] = tcti
        m.start()
        waits(what, 'protected')
        said = doctor(m, 'unattended')
        c.check(any('when it is back' in t for t in said), f'{what}: doctor tells it from a lost one', said)
    code, _, err = m.rotate()
    c.check(code == 4 and 'when the TPM is back' in err, 'a rotation that is asked for is queued', (code, err))
    waits('queued', 'needs-unlock-secret')
    said = doctor(m, 'volumes')
    c.check(any('waits for the TPM' in t for t in said), 'doctor says what it waits for', said)
    tpm.start()
    m.status()  # somebody looks; a sync would do
    for _ in range(600):
        v = m.volume()
        if v['key_id'] != key['key_id'] and v['management'] == 'tpm':
            break
        time.sleep(0.1)
    c.check(v['key_id'] != key['key_id'] and v['management'] == 'tpm' and v['state'] == 'protected' and not v['note'],
            'it is back: what was queued is done by itself', v)
    tpm.stop()
    code, o, err = m.rotate(PASSPHRASE)
    c.check(code == 0 and o['recorded'] is False and 'cannot sign now' in err, 'meanwhile a passphrase rotates, which is the truth',
            (code, o, err))
    waits('rotated by a passphrase', 'protected')
    c.check(m.volume()['key_id'] == o['key_id'], 'status tells the key that opens, not the one before', m.volume())
    code, o, err = m.rotate(PASSPHRASE)
    c.check(code == 0 and not o['recorded'] and len(m.keys()) == 1 and m.keys()[0]['key_id'] == o['key_id'], 'and again', (code, o, err))
    tpm.start()
    c.check(m.rotate()[0] == 0 and m.management() == token, 'it comes back, and so does the way in')
    v = m.volume()
    c.check(v['management'] == 'tpm' and v['state'] == 'protected' and not v['note'] and not v['rotate'], 'all is as before', v)
    tpm.stop()
    other = make_volume(m.path('/away.img'))
    code, o, err = m.json('protect', other, '--no-esp', '--passphrase-file', '-', data=PASSPHRASE)
    c.check(code == 0 and 'belongs into the TPM' in err and len(m.key_files()) == 1,
            'a volume protected meanwhile gets no management key in a file', (code, o, err))
    tpm.start()
    code, o, err = m.json('rotate', other, '--passphrase-file', '-', data=PASSPHRASE)
    there = [v for v in m.status()['volumes'] if v['device'] == other]
    c.check(code == 0 and there[0]['management'] == 'tpm', 'it gets one in the TPM later', (code, err, there))
    m.stop()  # this volume was only for this
    os.unlink(other)
    for name in m.key_files():
        with open(name, 'rb') as f:
            if f.read() != data:
                os.unlink(name)
    m.start()


def test_bound_to_tpm(c, org, bundle):
    if not shutil.which('swtpm'):
        c.skip('a management key bound to a TPM', 'no swtpm here')
        return
    tpm = Swtpm(c.folder + '/tpm')
    m = Laptop(c, 'bound', org, bundle, tpm=tpm)
    try:
        m.in_order(c, 'protect with a TPM')
        with open(m.key_files()[0], 'rb') as f:
            data = f.read()
        c.check(m.volume()['management'] == 'tpm' and data[:8] == b'KHM\1\2\0\0\0' and
                not any(opens(m.disk, data[i:i + 32], m.management()[0]['slot']) for i in (24, len(data) - 32)),
                'the management key is bound to the TPM', m.volume())
        c.check(m.rotate()[0] == 0, 'it rotates unattended')
        sh('tpm2_pcrextend', '-T', tpm.tcti, *(f'{pcr}:sha256={"a5" * 32}' for pcr in range(16)))
        c.check(m.rotate()[0] == 0, 'and with every PCR changed, as by another kernel or the recovery app')
        away(c, m, tpm, data)
        key = m.in_order(c, 'the TPM is back')[0]
        m.stop()
        tpm.tool('clear')
        m.start()
        v = m.volume()
        c.check(v['management'] == 'lost' and v['state'] == 'needs-unlock-secret' and v['key_id'] == key['key_id'] and
                v['verified'], 'a cleared TPM is noticed; the recovery key is no worse for it', v)
        code, _, err = m.rotate(PASSPHRASE)
        v = m.volume()
        c.check(code == 0 and v['management'] == 'tpm' and v['state'] == 'protected', 'a visit makes it anew', (err, v))
        m.in_order(c, 'after the visit')
        c.check(m.rotate()[0] == 0, 'which works')
        given_up(c, m, bundle)
    finally:
        m.stop()
        tpm.stop()


def given_up(c, m, bundle):
    """A TPM that never comes back: somebody enrols the computer anew, and a passphrase makes all as without one."""
    m.stop()
    m.options[m.options.index('--tpm') + 1] = 'none'
    v = m.start().volume()
    c.check(v['management'] == 'away', 'a TPM that is gone for good looks as one that is away', v)
    m.agent('enroll', '--bundle', bundle)
    m.verify()
    v = m.volume()
    c.check(v['management'] == 'lost' and v['state'] == 'needs-unlock-secret' and v['verified'], 'until it is given up', v)
    code, _, err = m.rotate(PASSPHRASE)
    v = m.volume()
    c.check(code == 0 and v['management'] == 'file' and m.rotate()[0] == 0, 'then its key is in a file', (err, v))
    m.in_order(c, 'a TPM that was given up')


def test_no_place(c, org, bundle):
    m = Laptop(c, 'clear', org, bundle, encrypted=False)
    m.in_order(c, 'root in clear', management=False)
    v = m.volume()
    c.check(v['management'] == 'no-place' and v['state'] == 'protected', 'no key where the root is in clear', v)
    code, _, err = m.rotate()
    c.check(code == 4 and m.volume()['state'] == 'needs-unlock-secret', 'and no unattended rotation', err)
    # every disk below must be encrypted: LVM over two
    m.block_device('dm-1', 'CRYPT-LUKS2-00-pv1')
    m.block_device('dm-2', 'CRYPT-VERITY-00-pv2')
    m.block_device('dm-0', 'LVM-00', os.stat(m.root).st_dev, below=('dm-1', 'dm-2'))
    code, _, err = m.rotate(PASSPHRASE)
    c.check(code == 0 and m.volume()['management'] == 'no-place', 'one disk of two in clear is not enough', err)
    m.block_device('dm-2', 'CRYPT-LUKS2-00-pv2')
    code, _, err = m.rotate(PASSPHRASE)
    c.check(code == 0 and m.volume()['management'] == 'file', 'both encrypted are', err)
    m.in_order(c, 'LVM over two encrypted disks')
    m.stop()


def test_no_room(c, org, bundle):
    """The recovery key counts; where the management keyslot has no room, a sentence says so."""
    m = Laptop(c, 'room', org, bundle, protect=False)
    m.disk = make_volume(m.path('/dev/sda2'), '--luks2-keyslots-size', '512k')
    code, o, err = m.json('protect', m.disk, '--passphrase-file', '-', data=PASSPHRASE)
    c.check(code == 0 and 'keyslot area is full' in err, 'no room for a third keyslot: protected, with a sentence', err)
    c.check(m.volume()['management'] == 'none' and m.volume()['state'] == 'protected' and not m.key_files(),
            'and no key is left', m.volume())
    m.stop()


def enrolled_laptop(c, name, org, bundle, **more):
    m = Laptop(c, name, org, bundle, protect=False, **more)
    courier = enrolled(m, org, c.folder, bundle)
    m.protect()
    return m, courier


def sync(m, courier, when, klass=1, commands=(), receipts=True):
    """One sync whose server receipts everything, and the records that went out."""
    batch = courier.batch()['records']
    blob = [receipt(m.org, device_of(m), batch, when=when, klass=klass)] if batch and receipts else []
    courier.answer(receipts=blob, commands=list(commands))
    return batch


def test_escrow_receipt(c, org, bundle):
    """A courier that brings answers without the receipt, or false ones: the volume waits, and its key is there."""
    m = Laptop(c, 'receipt', org, bundle, protect=False)
    courier = enrolled(m, org, c.folder, bundle)
    text, sig = org.policy(c.folder + '/receipt-policy', version=1, escrow='receipt')
    courier.batch()
    courier.answer(policy=text, policy_sig=sig)

    def protecting(*receipts, argv=(), data=PASSPHRASE):
        """protect while the courier answers; exit code, JSON, and the records of the last batch."""
        asking = Asking(m, 'protect', '--json', '--no-esp', *(argv or (m.disk, '--passphrase-file', '-')), data=data)
        records = []
        for make in receipts:
            courier.hear(SYNC_NOW)
            records = courier.batch()['records']
            courier.answer(receipts=make(records))
        code, out, err = asking.end()
        return code, json.loads(out), records

    def none(_):
        return []

    def false(records):
        return [receipt(org, bytes(32), records), receipt(org, device_of(m), records, key='desk')]
    code, o, _ = protecting(none, false)
    v = m.volume()
    c.check(code == 4 and o['state'] == v['state'] == 'waits-for-receipt' and v['reasons'] == ['not-protected'] and
            not v['compliant'], 'no receipt, and false ones: it waits', (code, o, v))
    key = m.in_order(c, 'waiting')[0]
    m.stop()
    for name in glob.glob(m.path(STATE + '/cache.db*')):
        os.unlink(name)
    c.check(m.start().volume()['state'] == 'waits-for-receipt', 'cache lost: it still waits')
    courier = enrolled(m, org, c.folder, bundle)
    code, o, records = protecting(none, lambda r: [receipt(org, device_of(m), r)], argv=('--all',), data=b'')
    c.check(code == 0 and o['volumes'][0]['state'] == 'protected' and o['volumes'][0]['key_id'] == key['key_id'],
            '--all asks for the word alone, without a passphrase', (code, o))
    c.check(m.volume()['state'] == 'protected' and m.volume()['compliant'], 'it came', m.volume())
    asking = Asking(m, 'protect', '--json', '--no-esp', m.disk, '--passphrase-file', '-', data=PASSPHRASE)
    c.check(asking.end()[0] == 0, 'and is not asked for again')
    m.volume()
    m.stop()
    c.check(header_token(m, key)['receipted'] is True, 'the header says so')
    for name in glob.glob(m.path(STATE + '/cache.db*')):
        os.unlink(name)
    v = m.start().volume()
    c.check((v['state'], v['escrow'], v['verified'], v['compliant'], v['key_id']) ==
            ('waits-for-receipt', 'queued', True, False, key['key_id']), 'cache lost: the word of a header is no receipt', v)
    courier = enrolled(m, org, c.folder, bundle)
    sync(m, courier, 1_800_000_100)
    v = m.volume()
    c.check((v['state'], v['escrow'], v['compliant']) == ('protected', 'receipted', True), 'the next sync mends it', v)
    c.check(ids(m.in_order(c, 'nothing was rotated for it')) == [key['key_id']], 'and no key was made for it')
    code, o, err = m.rotate()
    c.check(code == 0 and m.volume()['state'] == 'protected' and m.volume()['escrow'] == 'queued',
            'a rotation waits for nothing', (code, o, err))
    m.stop()


def ids(keys):
    return [k['key_id'] for k in keys]


def test_outage(c, org, bundle):
    """R and N (DESIGN section 6)."""
    m, courier = enrolled_laptop(c, 'outage', org, bundle)
    r = m.keys()[0]
    sync(m, courier, 1_800_000_000)
    c.check(m.volume()['escrow'] == 'receipted' and header_token(m, r)['receipted'] is True,
            'a receipt is noted in the header, too', header_token(m, r))
    c.check(header_token(m, r)['cause'] == 'protect', 'as is why it was made')
    for i in range(3):
        code, _, err = m.rotate()
        keys = m.in_order(c, f'rotation {i + 1} of an outage', n_keys=2)
        c.check(code == 0 and keys[0]['key_id'] == r['key_id'], 'the receipted key stays beside the newest', (err, ids(keys)))
    n = keys[1]
    m.stop()
    # with the cache lost, the header still says which is which
    for name in glob.glob(m.path(STATE + '/cache.db*')):
        os.unlink(name)
    m.start()
    c.check(ids(m.in_order(c, 'cache lost', n_keys=2)) == ids([r, n]), 'cache lost: both stay')
    m.stop()
    shutil.rmtree(m.root + '.lost', ignore_errors=True)
    shutil.copytree(m.root, m.root + '.lost', ignore=shutil.ignore_patterns('*.sock'))
    m.start()
    courier = enrolled(m, org, c.folder, bundle)  # the server knows the device; its cache forgot
    sync(m, courier, 1_800_000_001)
    c.check(ids(m.in_order(c, 'the outage ends')) == [n['key_id']], 'N has a receipt: R goes')
    code, _, err = m.rotate()
    sync(m, courier, 1_800_000_002, receipts=False)
    c.check(len(m.keys()) == 2, 'a sync without receipts settles nothing')
    m.stop()


def header_token(m, key):
    return [t for t in header(m.disk)['tokens'].values() if t.get('key_id') == key['key_id']][0]


def test_disclosed(c, org, bundle):
    m, courier = enrolled_laptop(c, 'disclosed', org, bundle)
    r = m.keys()[0]
    sync(m, courier, 1_800_000_000)
    m.rotate()
    n = m.in_order(c, 'an outage', n_keys=2)[1]
    courier.batch()
    courier.answer(commands=[rotate_order(org, device_of(m), r['key_id'])])
    keys = m.in_order(c, 'the order to replace R')
    c.check(ids(keys) == [n['key_id']] and not opens(m.disk, r['password'].encode()),
            'R was shown, and N stands: R goes at once, without a person and without a receipt', keys)
    courier.batch()
    courier.answer(commands=[rotate_order(org, device_of(m), n['key_id'])])
    keys = m.in_order(c, 'the order to replace N')
    token = header_token(m, keys[0])
    c.check(keys[0]['key_id'] != n['key_id'] and token['cause'] == 'disclosed' and token['replaces'] == n['key_id'],
            'N was shown: replaced at once, and the header says why', token)
    m.stop()
    told = m.events(ROTATED)
    c.check(r['key_id'] in [e['other_key_id'] for e in told], 'and the server hears it', told)
    c.check(not m.events(EXPOSED), 'the ordinary course exposes nothing')
    m.start()
    courier = Courier(m)
    # the server knows that R is gone, and somebody is shown it all the same
    sync(m, courier, 1_800_000_000)
    courier.batch()
    courier.answer(commands=[rotate_order(org, device_of(m), r['key_id'], when=1_800_000_001)])
    v = m.volume()
    c.check(v['re_encryption'] == 'recommended', 'a removed password shown later: re-encryption is recommended', v)
    m.stop()
    c.check(len(m.events(EXPOSED)) == 1, 'once, as an event')
    m.start()
    c.check(m.volume()['re_encryption'] == 'recommended', 'and stays')
    sh('cryptsetup', 'reencrypt', '-q', '--force-offline-reencrypt', '--resilience', 'none', *FAST[:4], '--key-slot', '0', '-d', '-', m.disk,
       data=PASSPHRASE)
    v = m.volume()
    c.check(v['re_encryption'] is None, 'until the volume key is another one', v)
    m.stop()


def test_used(c, org, bundle):
    """A boot event without a kernel key: the management key rotates at start."""
    m, courier = enrolled_laptop(c, 'used', org, bundle)
    sync(m, courier, 1_800_000_000)
    used = m.keys()[0]
    m.stop()
    put_event(m, used['key_id'], header_uuid(m))
    m.start()
    keys = m.in_order(c, 'used at boot')
    c.check(keys[0]['key_id'] != used['key_id'] and header_token(m, keys[0])['replaces'] == used['key_id'],
            'a used R goes as soon as N stands', keys)
    code, _, err = m.rotate(keys[0]['password'].encode())
    c.check(code == 0 and header_token(m, m.in_order(c, 'authorised by itself')[0])['cause'] == 'used',
            'a recovery password that authorises is used up', err)
    m.stop()


def header_uuid(m):
    return sh('cryptsetup', 'luksUUID', m.disk).stdout.decode().strip()


def test_policy(c, org, bundle):
    m = Laptop(c, 'policy', org, bundle, protect=False)

    def enroll(**policy):
        folder = org.bundle(m.path('/bundle'), version=2)
        if policy:
            org.policy(folder, **policy)
        return m.agent('enroll', '--bundle', folder)
    c.check(m.status()['policy'] == {'version': None, 'escrow': 'sealed', 'key_package': False, 'rotate_days': 180,
                                     'rotate_used_needs_receipt': False, 'verify_hours': 24}, 'the defaults')
    for what, fields, sentence in (
            ('of another key', {'key': 'root'}, 'not signed'), ('of another organisation', {'org': '1' * 8 + org.id[8:]}, 'another'),
            ('of a later format', {'format': 'keyholt-policy-2'}, 'later Keyholt'),
            ('with a wish that is not known', {'retention': '1 year'}, 'does not do'),
            ('with a value out of range', {'verify_hours': 0}, 'out of range')):
        _, _, err = enroll(**fields)
        c.check(sentence in err and m.status()['policy']['version'] is None, f'a policy {what} is refused', err)
    _, _, err = enroll(version=3, rotate_days=90, verify_hours=1, whatever=[1], rotate_used_needs_receipt=True)
    want = {'version': 3, 'escrow': 'sealed', 'key_package': False, 'rotate_days': 90, 'rotate_used_needs_receipt': True,
            'verify_hours': 1}
    c.check('warning' not in err and m.status()['policy'] == want, 'a good one is taken', (err, m.status()['policy']))
    for what, fields in (('older', {'version': 2}), ('other of the same version', {'version': 3, 'rotate_days': 1})):
        _, _, err = enroll(**fields)
        c.check('warning' in err and m.status()['policy'] == want, f'an {what} one is not', err)
    shutil.rmtree(m.path('/bundle'))
    _, _, err = enroll()
    c.check(m.status()['policy'] == want, 'a newer org.json leaves it in place')
    m.stop()
    m.start()
    c.check(m.status()['policy'] == want, 'it holds after a restart')
    m.stop()
    name = m.path('/etc/keyholt/org/policy.json')
    with open(name, 'rb') as f:
        good = f.read()
    with open(name, 'wb') as f:
        f.write(good.replace(b'90', b'91'))
    m.start()
    c.check(m.status()['policy']['version'] is None and 'not signed' in m.log(), 'a stored one that was changed does not hold')
    m.stop()


def test_policy_by_sync(c, org, bundle):
    m, courier = enrolled_laptop(c, 'policysync', org, bundle)

    def answer(text, sig):
        got = courier.batch()['policy']
        courier.answer(policy=text, policy_sig=sig)
        return got, m.status()['policy']
    text, sig = org.policy(m.path('/p'), version=4, verify_hours=2)
    c.check(answer(text, sig[:-1] + bytes([sig[-1] ^ 1]))[1]['version'] is None, 'a policy with a broken signature is none')
    told, got = answer(text, sig)
    c.check(told == 0 and got['version'] == 4 and got['verify_hours'] == 2, 'a good one holds at once', got)
    told, got = answer(*org.policy(m.path('/p'), version=3, verify_hours=9))
    c.check(told == 4 and got['version'] == 4 and got['verify_hours'] == 2, 'an older one does not; ours is told', (told, got))
    c.check('do not verify' in m.status()['last_problem'], 'and status says so', m.status()['last_problem'])
    m.stop()


def test_used_needs_receipt(c, org, bundle):
    m, courier = enrolled_laptop(c, 'wants-receipt', org, bundle)
    r = m.keys()[0]
    sync(m, courier, 1_800_000_000)
    text, sig = org.policy(m.path('/p'), version=1, rotate_used_needs_receipt=True)
    courier.batch()
    courier.answer(policy=text, policy_sig=sig, commands=[rotate_order(org, device_of(m), r['key_id'])])
    keys = m.in_order(c, 'disclosed, and the policy wants a receipt', n_keys=2)
    c.check(ids(keys)[0] == r['key_id'], 'R stays until then', ids(keys))
    sync(m, courier, 1_800_000_001)
    c.check(ids(m.in_order(c, 'which came')) == ids(keys)[1:], 'then it goes')
    m.stop()


def shift_clock(m, days):
    """The keys get that much older, as the cache and the header tell it: the envelope's time is what counts there, so
    only the cache is told; the rule reads it."""
    db = sqlite3.connect(m.path(STATE + '/cache.db'))
    db.execute('UPDATE key SET made=made-?', (days * DAY,))
    db.commit()
    db.close()


def test_schedule(c, org, bundle):
    m, courier = enrolled_laptop(c, 'schedule', org, bundle)
    r = m.keys()[0]
    sync(m, courier, 1_800_000_000)
    v = m.volume()
    c.check(abs(v['rotate_due'] - v['keys'][0]['made'] - 180 * DAY) < 2, 'status says when it is due', v)
    m.stop()
    shift_clock(m, 179)
    m.start()
    c.check(ids(m.keys()) == [r['key_id']], 'not before its time')
    m.stop()
    shift_clock(m, 2)
    m.start()
    keys = m.in_order(c, 'scheduled', n_keys=2)
    n = [k for k in keys if k['key_id'] != r['key_id']][0]
    c.check(header_token(m, n)['cause'] == 'schedule', 'old enough: replaced, without a person', header_token(m, n))
    courier = Courier(m)
    sync(m, courier, 1_800_000_001)
    c.check(len(m.in_order(c, 'N receipted', n_keys=2)) == 2, 'R stays for the outage packs')
    batch = [b for b in records_of(m)]
    courier.batch()
    courier.answer(receipts=[receipt(org, device_of(m), batch, when=1_800_000_002, klass=3)])
    c.check(ids(m.in_order(c, 'packed')) == [n['key_id']], 'until one holds N')
    c.check(m.volume()['keys'][0]['escrow'] == 'packed', 'status says so', m.volume()['keys'])
    m.stop()


def records_of(m):
    """All records, from a copy of the running keeper's cache; one that was made while it wrote may not be whole."""
    copy, end = m.path('/copy'), time.monotonic() + 60
    while True:
        shutil.rmtree(copy, ignore_errors=True)
        os.makedirs(copy)
        try:
            for name in glob.glob(m.path(STATE + '/cache.db*')):
                shutil.copy(name, copy)
            with contextlib.closing(sqlite3.connect(copy + '/cache.db')) as db:
                return [r[0] for r in db.execute('SELECT bytes FROM record')]
        except (FileNotFoundError, sqlite3.DatabaseError):
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def by_itself(m, what):
    """Do something, and wait for a record that nobody asked for."""
    seen, end = len(records_of(m)), time.monotonic() + 150
    what()
    while len(records_of(m)) == seen and time.monotonic() < end:
        time.sleep(0.1)


def test_drift(c, org, bundle):
    m = Laptop(c, 'drift', org, bundle)
    killed = m.keys()[0]
    # nobody has looked at it since protect
    by_itself(m, lambda: sh('cryptsetup', 'luksKillSlot', '-q', m.disk, str(killed['slot'])))
    old = m.in_order(c, 'its keyslot removed')[0]
    c.check(old['key_id'] != killed['key_id'], 'noticed by itself, because somebody wrote the header')
    code, v, err = m.verify()
    c.check(code == 0 and v['verified'] and v['checked'], 'verify: all is well', (code, v, err))
    m.flip(old['slot'])
    code, v, err = m.verify()
    new = m.in_order(c, 'a bit of its key material flipped')[0]
    c.check(code == 0 and new['key_id'] != old['key_id'] and v['verified'] and v['key_id'] == new['key_id'],
            'found, and a new key at once', (code, v, err))
    c.check(header_token(m, new)['cause'] == 'drift', 'the header says why')
    m.stop()
    told = [(e['key_id'], e['result']) for e in m.events(DRIFT)]
    c.check(told == [(killed['key_id'], REMOVED), (old['key_id'], CHANGED)], 'each is told to the servers', told)
    c.check(not m.events(EXPOSED), 'nothing of that exposes a password')


def test_drift_of_the_area(c, org, bundle):
    """Key material lies outside the header's sequence number: whoever writes it is noticed all the same."""
    m = Laptop(c, 'area', org, bundle)
    old = m.keys()[0]
    by_itself(m, lambda: m.flip(old['slot']))
    c.check(m.in_order(c, 'a bit of its key material flipped, and nobody asked')[0]['key_id'] != old['key_id'],
            'noticed by itself')
    m.stop()


def test_verify_alone(c, org, bundle):
    """Without a way in: not verified within one check, and a person is asked for."""
    m = Laptop(c, 'alone', org, bundle, encrypted=False)
    key = m.keys()[0]
    m.flip(key['slot'])
    code, v, err = m.verify()
    c.check(code == 3 and not v['verified'] and v['state'] == 'needs-unlock-secret' and 'changed' in v['note'],
            'verify says no', (code, v, err))
    page = m.agent('verify')
    c.check(page[0] == 3 and '0 of 1' in page[2], 'to people, too', page)
    code, _, err = m.agent('verify', m.path('/nowhere'))
    c.check(code == 1 and 'not protected' in err, 'a volume that is not ours', err)
    m.stop()
    c.check(len(m.events(DRIFT)) == 1, 'one event, however often it is looked at')


def test_header_restored(c, org, bundle):
    m, courier = enrolled_laptop(c, 'restored', org, bundle)
    old = m.keys()[0]
    backup = m.path('/backup')
    sync(m, courier, 1_800_000_000)
    sh('cryptsetup', 'luksHeaderBackup', m.disk, '--header-backup-file', backup)
    courier.batch()
    courier.answer(commands=[rotate_order(org, device_of(m), old['key_id'])])
    new = m.in_order(c, 'disclosed and replaced')[0]
    m.stop()
    sh('cryptsetup', 'luksHeaderRestore', '-q', m.disk, '--header-backup-file', backup)
    c.check(opens(m.disk, old['password'].encode()), 'an old header is written back')
    m.start()
    v = m.volume()
    last = m.in_order(c, 'restored')
    c.check(last[0]['key_id'] not in (old['key_id'], new['key_id']) and not opens(m.disk, old['password'].encode()),
            'the returned key goes, a new one stands', last)
    c.check(v['re_encryption'] == 'recommended', 'its password was shown, and copies of the header exist', v)
    m.stop()
    told = {(e['key_id'], e['result']) for e in m.events(DRIFT)}
    c.check((old['key_id'], RETURNED) in told and len(m.events(EXPOSED)) == 1, 'events', told)


def test_cache_went_back(c, org, bundle):
    """The root file system was restored, the header was not."""
    m = Laptop(c, 'back', org, bundle)
    m.stop()
    shutil.copytree(m.path(STATE), m.root + '.state')
    first = records(m)
    m.start()
    m.rotate()
    later = m.keys()[0]
    m.stop()
    shutil.rmtree(m.path(STATE))
    shutil.copytree(m.root + '.state', m.path(STATE))
    m.start()
    keys = m.in_order(c, 'cache rolled back')
    v = m.volume()
    c.check(v['state'] == 'protected' and v['verified'] and v['key_id'] == keys[0]['key_id'] != later['key_id'],
            'a key that the cache forgot is replaced by one that it knows', v)
    m.stop()
    after = records(m)[len(first):]
    c.check({r['incarnation'] for r in after}.isdisjoint({first[0]['incarnation']}), 'a new incarnation begins')
    c.check([(e['result'], e['key_id']) for e in m.events(WENT_BACK)] == [(2, later['key_id'])], 'and says why')


def test_header_older(c, org, bundle):
    """A header backup of the same keys: an older sequence number, nothing else."""
    m = Laptop(c, 'older', org, bundle)
    key = m.keys()[0]
    m.stop()
    with open(m.disk, 'rb') as f:
        image = f.read()
    sh('cryptsetup', 'config', '--label', 'later', m.disk)
    m.start().status()
    m.stop()
    with open(m.disk, 'wb') as f:
        f.write(image)
    m.start()
    c.check(ids(m.in_order(c, 'an older header with the same keys')) == [key['key_id']], 'the key stays verified')
    m.stop()
    c.check([(e['result']) for e in m.events(DRIFT)] == [OLDER], 'and it is recorded', m.events(DRIFT))


TESTS = (test_management, test_management_lost, test_management_claimed, test_two_devices, test_bound_to_tpm, test_no_place, test_no_room,
         test_escrow_receipt, test_outage, test_disclosed, test_used, test_policy, test_policy_by_sync, test_used_needs_receipt, test_schedule, test_drift, test_drift_of_the_area, test_verify_alone,
         test_header_restored, test_cache_went_back, test_header_older)


def main():
    if not os.path.exists(KEEPER):
        print(f'{KEEPER} is not built: make')
        return 1
    c = Checks(fast_folder())
    org = Organisation(c.folder + '/org')
    bundle = org.bundle(c.folder + '/bundle')
    for test in TESTS:
        if len(sys.argv) < 2 or test.__name__ in sys.argv[1:]:
            test(c, org, bundle)
    return c.close()


if __name__ == '__main__':
    sys.exit(main())
