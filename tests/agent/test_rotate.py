#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rotation and what surrounds it, on image files: by a passphrase, by the used recovery password of a recovery boot,
by nothing; a lost cache; keyslots that somebody changed."""
import hashlib
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hand_over import (NOT_OPENED, add_kernel_key, drop_kernel_key, has_variable, kernel_key, put_event, put_variable,
                       records, variable)
from machine import KEEPER, PASSPHRASE, Checks, Machine, Organisation, fast_folder, header, judge, make_volume, opens, sh

FOREIGN = b'{"type":"somebody-else","keyslots":["0"],"note":"hands off"}'
ESCROW, EVENT = 1, 3
BOOT_RECOVERY, ROTATED = 1, 2


class Laptop(Machine):
    """A computer whose block device is an image below --root, so that it is found without the cache, too."""

    def __init__(self, root, org, bundle):
        super().__init__(root, encrypted=False)  # nothing opens the volume but what a person brings
        self.org = org
        os.makedirs(self.path('/dev'))
        os.makedirs(self.path('/sys/class/block/sda2'))
        self.disk = make_volume(self.path('/dev/sda2'), size='20M')
        sh('cryptsetup', 'token', 'import', '--token-id', '5', self.disk, data=FOREIGN)
        self.install_org(bundle)
        self.foreign = self.not_ours()
        self.start()
        code, o, err = self.json('protect', self.disk, '--passphrase-file', '-', data=PASSPHRASE)
        if code:
            raise RuntimeError(err)
        self.uuid = o['uuid']

    def not_ours(self):
        h = header(self.disk)
        return h['keyslots']['0'], [t for t in h['tokens'].values() if t['type'] != 'keyholt']

    def keys(self):
        return judge(self.disk, self.org)['tokens']

    def volume(self):
        return [v for v in self.status()['volumes'] if v['device'] == self.disk][0]

    def one_good_key(self, c, what, unlike=None):
        """Exactly one live key, which opens, and which status shows; the key."""
        v = self.volume()  # answered when everything of the start is done
        keys = self.keys()
        good = len(keys) == 1 and keys[0]['state'] == 'live' and keys[0]['opens'] == keys[0]['slot']
        c.check(good, f'{what}: one live key that opens', keys)
        c.check(self.not_ours() == self.foreign, f'{what}: foreign keyslot and token are as they were')
        c.check(len(header(self.disk)['keyslots']) == 2, f'{what}: no keyslot is left over', header(self.disk)['keyslots'])
        c.check(v['state'] == 'protected' and v['key_id'] == keys[0]['key_id'], f'{what}: status says so', v)
        if unlike:
            c.check(keys[0]['key_id'] != unlike['key_id'], f'{what}: it is a new key')
            c.check(not opens(self.disk, unlike['password'].encode()), f'{what}: the old password no longer opens')
        return keys[0]

    def rotate(self, secret=PASSPHRASE):
        return self.json('rotate', self.disk, '--passphrase-file', '-', data=secret)


def events(m, kind):
    return [r for r in records(m) if r['kind'] == EVENT and r['event'] == kind]


def test_by_passphrase(c, m):
    old = m.one_good_key(c, 'before')
    code, o, err = m.rotate(b'wrong')
    c.check(code == 3 and 'nothing was changed' in err, 'a wrong passphrase', err)
    c.check(m.one_good_key(c, 'after a wrong one') == old, 'changes nothing')
    code, o, err = m.rotate()
    c.check(code == 0, 'rotate', err)
    new = m.one_good_key(c, 'rotated', unlike=old)
    code, o, err = m.rotate(new['password'].replace('-', ' \u2013 ').encode() + b'\r\n')
    c.check(code == 0, 'a recovery password authorises, too, however it is written', err)
    last = m.one_good_key(c, 'rotated again', unlike=new)
    m.stop()
    told = [(r['key_id'], r['other_key_id']) for r in events(m, ROTATED)]
    c.check(told == [(new['key_id'], old['key_id']), (last['key_id'], new['key_id'])], 'each is told to the servers', told)
    all_records = records(m)
    c.check([r['sequence'] for r in all_records] == list(range(1, len(all_records) + 1)), 'records are numbered')
    c.check(all(b['previous'] == hashlib.sha256(a['bytes']).digest() for a, b in zip(all_records, all_records[1:])),
            'records are chained')
    m.start()


def at_terminal(m, answer):
    return m.at_terminal('rotate', answers=[(b'(empty: later): ', answer)])


def test_by_nothing(c, m):
    before = header(m.disk)
    code, _, err = m.agent('rotate')
    c.check(code == 4 and '--passphrase-file' in err, 'rotate without anything that opens: not now', (code, err))
    v = m.volume()
    c.check(v['state'] == 'needs-unlock-secret' and v['note'], 'status: needs-unlock-secret', v)
    c.check('needs-unlock-secret' in m.agent('status')[1], 'on the page, too')
    with open(m.path('/run/keyholt/notice')) as f:
        c.check(f'sudo keyholt-agent rotate {m.disk}\n' in f.read(), 'the next log-in asks for it')
    code, said = at_terminal(m, b'')
    c.check(code == 4 and 'Passphrase that opens it now' in said, 'at a terminal it is asked for; later is an answer', said)
    c.check(header(m.disk) == before, 'the header is as it was')
    code, said = at_terminal(m, PASSPHRASE)
    c.check(code == 0 and 'is replaced' in said and 'opening it' in said and 'adding the recovery keyslot' in said and PASSPHRASE.decode() not in said, 'then with a passphrase', said)
    m.one_good_key(c, 'done late')
    c.check(not os.path.exists(m.path('/run/keyholt/notice')), 'and the log-in says nothing more')


def test_recovery_boot(c, m):
    used = m.one_good_key(c, 'before the recovery boot')
    m.stop()
    if add_kernel_key(m.uuid, used['password'].encode()) is None:
        c.skip('the used password in a kernel key', 'this kernel gives no keyring')
        m.start()
        return
    put_event(m, used['key_id'], m.uuid)
    put_variable(m, 'KeyholtShare', bytes(72))
    m.start()
    m.one_good_key(c, 'recovery boot', unlike=used)
    c.check(not kernel_key(m.uuid), 'the kernel key is gone')
    c.check(not has_variable(m, 'KeyholtEvent') and not has_variable(m, 'KeyholtShare'), 'event and share are gone')
    m.stop()
    told, rotated = events(m, BOOT_RECOVERY), events(m, ROTATED)
    c.check(len(told) == 1 and told[0]['key_id'] == used['key_id'] and told[0]['volume'] == m.uuid.upper() and
            told[0]['result'] == 1, 'the boot event is a record', told)
    c.check(rotated and rotated[-1]['other_key_id'] == used['key_id'], 'and the rotation')

    key = m.start().one_good_key(c, 'next start')
    m.stop()
    c.check(add_kernel_key(m.uuid, b'000000-' * 7 + b'000000') is not None, 'a kernel key that opens nothing')
    put_event(m, key['key_id'], m.uuid, when=1_700_000_001)
    m.start()
    v = m.volume()
    c.check(v['state'] == 'needs-unlock-secret' and m.keys() == [key], 'it is not believed; the key stays', v)
    c.check(not kernel_key(m.uuid), 'and it is gone all the same')
    code, _, err = m.rotate()
    c.check(code == 0, 'a person ends that', err)
    m.one_good_key(c, 'after that', unlike=key)


def test_event_alone(c, m):
    key = m.one_good_key(c, 'before the event')
    m.stop()
    n = len(events(m, BOOT_RECOVERY))
    put_event(m, key['key_id'], m.uuid, NOT_OPENED, when=1_700_000_002)
    v = m.start().volume()
    c.check(v['state'] == 'protected' and m.keys() == [key], 'a recovery that failed asks for no rotation', v)
    m.stop()
    for boot in (2, 3):  # with a dead clock
        put_event(m, key['key_id'], m.uuid, NOT_OPENED, when=1_700_000_002)
        m.start().status()
        m.stop()
        c.check(len(events(m, BOOT_RECOVERY)) == n + boot, 'two events with the same bytes are two')
    put_event(m, key['key_id'], m.uuid, when=1_700_000_003)
    v = m.start().volume()
    c.check(v['state'] == 'needs-unlock-secret' and m.keys() == [key], 'used, and nothing left to rotate with', v)
    m.rotate()
    key = m.one_good_key(c, 'after the event', unlike=key)
    m.stop()
    put_event(m, key['key_id'], '11111111-2222-3333-4444-555555555555', when=1_700_000_004)
    v = m.start().volume()
    c.check(v['state'] == 'needs-unlock-secret', 'the key says which volume it was, not the event', v)
    m.stop()
    c.check(events(m, BOOT_RECOVERY)[-1]['volume'] == m.uuid.upper(), 'in the record, too')
    m.start().rotate()
    m.one_good_key(c, 'after that event', unlike=key)


def test_event_that_stays(c, m):
    key = m.one_good_key(c, 'before the event that stays')
    m.stop()
    n = len(events(m, BOOT_RECOVERY))
    put_event(m, key['key_id'], m.uuid, NOT_OPENED, when=0)
    name = variable(m, 'KeyholtEvent')
    if sh('mount', '--bind', name, name, check=False).returncode:
        c.skip('an event that cannot be deleted', 'nothing can be mounted here')
        os.unlink(name)
        m.start()
        return
    try:
        for _ in range(2):
            m.start().status()
            m.stop()
        c.check(has_variable(m, 'KeyholtEvent') and len(events(m, BOOT_RECOVERY)) == n + 1,
                'an event that cannot be deleted is one record')
    finally:
        sh('umount', name)
    m.start().status()
    c.check(not has_variable(m, 'KeyholtEvent'), 'it goes when it can')


def test_damaged_event(c, m):
    for what, data in (('too short', b'KHV\1'), ('too long', b'KHV\1' + bytes(200)), ('of another version', b'KHV\2' + bytes(60)),
                       ('garbage', b'\xff' * 64)):
        m.stop()
        n, before = len(events(m, BOOT_RECOVERY)), len(m.log())
        put_variable(m, 'KeyholtEvent', data)
        m.start().status()
        m.stop()
        said = m.log()[before:]
        c.check(not has_variable(m, 'KeyholtEvent') and said.count('boot event') == 1 and
                len(events(m, BOOT_RECOVERY)) == n, f'an event that is {what} is deleted with one sentence', said)
    m.start()


def test_lost_cache(c, m):
    key = m.one_good_key(c, 'before the loss')
    m.stop()
    first = records(m)[0]
    for name in os.listdir(m.path('/var/lib/keyholt/agent')):
        if name.startswith('cache.db'):
            os.unlink(m.path('/var/lib/keyholt/agent/') + name)
    m.start()
    c.check(m.one_good_key(c, 'cache lost') == key, 'the same key, no new keyslot')
    v = m.volume()
    c.check(v['verified'] and v['escrow'] == 'queued', 'it is escrowed again', v)
    m.stop()
    new = records(m)
    c.check(len(new) == 1 and new[0]['kind'] == ESCROW and new[0]['sequence'] == 1 and
            new[0]['incarnation'] != first['incarnation'] and new[0]['device'] == first['device'],
            'under a new incarnation of the same device', new)
    with open(m.path('/var/lib/keyholt/agent/cache.db'), 'r+b') as f:
        f.write(b'!' * 4096)
    m.start()
    m.one_good_key(c, 'cache damaged')
    c.check(any('damaged' in n for n in os.listdir(m.path('/var/lib/keyholt/agent'))), 'the damaged one is kept aside')


def test_changed_behind_our_back(c, m):
    key = m.one_good_key(c, 'before the change')
    sh('cryptsetup', 'config', '--priority', 'ignore', '--key-slot', str(key['slot']), m.disk)
    v = m.volume()
    c.check(v['verified'] and v['state'] == 'protected' and 'boot prompt does not' in v['note'], 'one that a prompt skips is told', v)
    sh('cryptsetup', 'config', '--priority', 'normal', '--key-slot', str(key['slot']), m.disk)
    c.check(m.volume()['verified'] and not m.volume()['note'], 'and back', m.volume())
    area = int(header(m.disk)['keyslots'][str(key['slot'])]['area']['offset'])
    with open(m.disk, 'r+b') as f:
        f.seek(area + 5000)
        byte = f.read(1)
        f.seek(area + 5000)
        f.write(bytes([byte[0] ^ 1]))
    v = m.volume()
    c.check(not v['verified'] and 'changed' in v['note'], 'a bit of its key material flipped: not verified', v)
    with open(m.disk, 'r+b') as f:
        f.seek(area + 5000)
        f.write(byte)
    c.check(m.volume()['verified'], 'and back')
    sh('cryptsetup', 'config', '--priority', 'prefer', '--key-slot', str(key['slot']), m.disk)
    c.check(m.volume()['verified'], 'a priority is no change')

    sh('cryptsetup', 'luksKillSlot', '-q', m.disk, str(key['slot']))
    v = m.volume()
    c.check(v['state'] == 'pending' and v['note'], 'its keyslot removed by somebody: pending', v)
    code, o, err = m.json('protect', m.disk, '--passphrase-file', '-', data=PASSPHRASE)
    c.check(code == 0, 'protect again', err)
    m.one_good_key(c, 'protected again')

    key = m.keys()[0]
    sh('cryptsetup', 'luksKillSlot', '-q', m.disk, str(key['slot']))
    with open(m.path('/key'), 'wb') as f:
        f.write(b'a person\'s own')
    sh('cryptsetup', 'luksAddKey', '--pbkdf', 'pbkdf2', '--pbkdf-force-iterations', str(key['count']), '--key-slot',
       str(key['slot']), '-q', '-d', '-', m.disk, m.path('/key'), data=PASSPHRASE)
    code, o, err = m.json('protect', m.disk, '--passphrase-file', '-', data=PASSPHRASE)
    m.stop()
    m.start().status()
    c.check(code == 0 and opens(m.disk, b'a person\'s own'),
            'a person\'s keyslot with our old number and even our count is not touched', err)


def main():
    if not os.path.exists(KEEPER):
        print(f'{KEEPER} is not built: make')
        return 1
    c = Checks(fast_folder())
    org = Organisation(c.folder + '/org')
    m = Laptop(c.folder + '/root', org, org.bundle(c.folder + '/bundle'))
    try:
        for test in (test_by_passphrase, test_by_nothing, test_recovery_boot, test_event_alone, test_event_that_stays,
                     test_damaged_event, test_lost_cache, test_changed_behind_our_back):
            test(c, m)
    finally:
        drop_kernel_key(m.uuid)
        m.stop()
    return c.close()


if __name__ == '__main__':
    sys.exit(main())
