#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""One encrypted disk, several computers and a real server (outage lines O6, O7, O9): the agent's cache is deleted, an old
header and then a whole old image of the disk come back, a clone runs at the same time in a computer of its own, the TPM
is cleared, the disk moves to another computer. Each time the server reads back a recovery password by the key ID, and
the laptop goes on with an identity, a management key and a recovery key of its own. Needs root."""
import concurrent.futures
import contextlib
import os
import re
import shutil
import sqlite3
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
from tests.laptop import disk, efivars, image, lab
from tests.laptop.lab import TOP, Checks, agent, root_volume, status, until_status
from tests.laptop.laptop import Drive, Laptop
from server_fixture import Server, free_port

WORK = os.path.join(TOP, 'build/laptop/computers')
SNAPSHOT = 'machine/disk.qcow2'
DRIFT_EVENT, WENT_BACK, IDENTITY = 5, 6, 4  # source: docs/formats.md#record
RETURNED, BY_SERVER, BY_TPM = 4, 1, 1
c = Checks()


def path(name):
    return os.path.join(WORK, name)


# ---- the server's view

def rows(s, half, sql, *args):
    with contextlib.closing(sqlite3.connect(f'file:{s.state(f"writer/{half}.db")}?mode=ro', uri=True)) as db:
        return db.execute(sql, args).fetchall()


def events(s, device, kind):
    """[(result, key ID)] of a device's events."""
    return rows(s, 'compliance', 'SELECT result, key_id FROM events WHERE device = ? AND event = ? ORDER BY received_us',
                bytes.fromhex(device), kind)


def incarnations(s, device):
    return len({r[0] for half in ('recovery', 'compliance') for r in
                rows(s, half, 'SELECT DISTINCT incarnation FROM records WHERE device = ?', bytes.fromhex(device))})


def flags(s, device):
    return {kind for kind, in rows(s, 'recovery', 'SELECT kind FROM flags WHERE device = ?', bytes.fromhex(device))}


def owners(s, key_id):
    """{device that sent the key: it is the one that made it}"""
    return {d.hex(): bool(own) for d, own in
            rows(s, 'recovery', 'SELECT sender, own FROM envelopes WHERE key_id = ?', key_id.upper())}


# ---- the laptop's view

def receipted(laptop):
    """Sync until nothing waits; the root volume."""
    agent(laptop, 'sync')
    o = until_status(laptop, 'everything is receipted', lambda o: o['queued'] == 0 and o['queued_former'] == 0 and
                     root_volume(o)['escrow'] == 'receipted')
    return root_volume(o)


def keys(laptop):
    """Key IDs in the header; every keyslot there is accounted for: the user's, one for each key, the agent's own."""
    h = lab.header(laptop)
    ours, own = lab.of_type(h, 'keyholt'), lab.of_type(h, 'keyholt-management')
    assert all(t['state'] == 'live' and len(t['keyslots']) == 1 for t in ours + own), (ours, own)
    assert len(h['keyslots']) == 1 + len(ours) + len(own) and len(own) == 1, h['keyslots']
    return {t['key_id'] for t in ours}


def in_order(laptop, o, without=()):
    """Is the root volume protected by one verified key (two while one of them waits for its receipt) that is none of
    those, opened by a management key that this TPM holds?"""
    v, there = root_volume(o), keys(laptop)
    assert v['state'] == 'protected' and v['verified'] and v['management'] == 'tpm', v
    assert v['key_id'] in there and not there & set(without), (v, there)
    own = lab.of_type(lab.header(laptop), 'keyholt-management')[0]
    assert own['device'] == o['device_id'], (own, o['device_id'])
    return v


def enroll_again(s, laptop):
    """A virtual network card may lose its first packets for seconds: then it waits, and is tried again."""
    lab.put_bundle(laptop, s.bundle)
    code, o = agent(laptop, 'enroll --bundle /root/bundle')
    assert code in (0, 4), (code, o)
    until_status(laptop, 'enrolled', lambda o: o['enrolment'] == 'done')


def by_recovery_app(s, laptop, key_id):
    """The user reads the key ID off the screen, the help desk finds the password by it, and Debian comes up."""
    def ask(shown):
        assert lab.short(key_id) in shown, shown
        got, _ = s.recover(lab.short(key_id))
        assert got['key_id'] == key_id, got
        return got['recovery_password']
    return lab.recover(laptop, ask, path('recovery.png'))


# ---- first computer

def test_first(s, laptop):
    with c.check('enrolled, protected, receipted'):
        lab.boot(laptop)
        enroll_again(s, laptop)
        laptop.put('/root/pass', lab.PASSPHRASE.encode())
        code, o = agent(laptop, 'protect /dev/vda2 --passphrase-file /root/pass')
        assert code == 0, (code, o)
        receipted(laptop)
        in_order(laptop, status(laptop))


def test_cache_deleted(s, laptop):
    before, header = status(laptop), lab.header(laptop)
    n = incarnations(s, before['device_id'])
    with c.check('cache deleted: the state is built again from the tokens, the header stays as it is'):
        o = lab.restart_keeper(laptop, 'rm /var/lib/keyholt/agent/cache.db*')
        assert o['device_id'] == before['device_id'], o
        assert root_volume(o)['key_id'] == root_volume(before)['key_id']
        in_order(laptop, o)
        assert lab.header(laptop) == header
    with c.check('cache deleted: a new incarnation, and the server takes its records'):
        receipted(laptop)
        assert n == 1 and incarnations(s, o['device_id']) == 2, n
        assert status(laptop)['enrolment'] == 'done'


def test_header_restored(s, laptop):
    first = root_volume(status(laptop))['key_id']
    with c.check('an old header: rotated and receipted first, without a person'):
        laptop.run('cryptsetup luksHeaderBackup /dev/vda2 --header-backup-file /root/header')
        code, o = agent(laptop, 'rotate /dev/vda2')
        assert code == 0, (code, o)
        second = receipted(laptop)['key_id']
        assert keys(laptop) == {second}
    with c.check('an old header: the key that was retired is drift, and a third one takes its place at once'):
        laptop.run('cryptsetup luksHeaderRestore -q /dev/vda2 --header-backup-file /root/header')
        o = until_status(laptop, 'a third key', lambda o: root_volume(o)['key_id'] not in (first, second, None) and
                         root_volume(o)['state'] == 'protected')
        in_order(laptop, o, without=(first, second))
        receipted(laptop)
        assert (RETURNED, first) in events(s, o['device_id'], DRIFT_EVENT)


def test_snapshot(s, laptop):
    """What a backup of the whole disk holds; then time goes on. The key of the backup and the one after it."""
    with c.check('a snapshot of the disk is taken; after it the key is rotated, and that is receipted'):
        old = receipted(laptop)['key_id']
        laptop.run('rm /root/header; sync')
        laptop.snapshot(path('machine/now.qcow2'))
        code, o = agent(laptop, 'rotate /dev/vda2')
        assert code == 0, (code, o)
        new = receipted(laptop)['key_id']
        assert new != old and keys(laptop) == {new}
        device = status(laptop)['device_id']
        laptop.power_cut()
    return device, old, new


# ---- the old image, in the same computer and at the same time in another one

def test_rolled_back(s, laptop, device, old, new, n):
    with c.check('the old image is back: the server says so, and a new incarnation begins'):
        agent(laptop, 'sync')
        lab.until('it is reported', lambda: [r for r, _ in events(s, device, WENT_BACK)] == [BY_SERVER])
        assert incarnations(s, device) == n + 1, (n, incarnations(s, device))
    with c.check('the old image is back: the key that was replaced is in use again, so another one is made'):
        o = until_status(laptop, 'another key', lambda o: root_volume(o)['key_id'] not in (old, new) and
                         root_volume(o)['state'] == 'protected')
        receipted(laptop)
        o = until_status(laptop, 'the old one goes', lambda o: len(root_volume(o)['keys']) == 1)
        v = in_order(laptop, o, without=(old, new))
        assert o['device_id'] == device and o['enrolment'] == 'done', o
        assert owners(s, v['key_id']) == {device: True}
    with c.check('the old image is back: the server flags it, and refuses nothing'):
        assert flags(s, device) == {'restored'}, flags(s, device)


def test_clone(s, clone, device, old):
    with c.check('a clone with a TPM of its own has an identity of its own, and says what to do'):
        o = status(clone)
        assert o['device_id'] != device and o['tpm']['identity'] and not o['tpm']['problem'], o
        assert o['enrolment'] == 'again' and 'another computer' in o['identity'], o
    with c.check('a clone: a person enrols it and rotates, with a passphrase that its own management key replaces'):
        v = root_volume(o)
        assert v['key_id'] == old and v['state'] == 'needs-unlock-secret', v
        enroll_again(s, clone)
        code, o = agent(clone, 'rotate /dev/vda2 --passphrase-file /root/pass')
        assert code == 0, (code, o)
        receipted(clone)
        o = status(clone)
        v = in_order(clone, o)
        assert o['enrolment'] == 'done' and not o['identity'], o
    with c.check('a clone: the server saw the other one\'s key there, flags it, and gives it only the key that it made'):
        assert owners(s, old) == {device: True, o['device_id']: False}, owners(s, old)
        assert owners(s, v['key_id']) == {o['device_id']: True}
        assert 'identity' in flags(s, o['device_id']), flags(s, o['device_id'])
        assert [r for r, _ in events(s, o['device_id'], IDENTITY)] == [BY_TPM]
    return o['device_id'], v['key_id']


def test_both(s, first, second):
    """Two computers with the same volume: each has its own key there, and both can be read back."""
    with c.check('both run on: each is in order with a key of its own, and each can be read back'):
        seen = []
        for laptop in (first, second):
            o = status(laptop)
            v = in_order(laptop, o)
            got, _ = s.recover(v['key_id'])
            assert lab.opens(laptop, got['recovery_password']), 'it opens'
            seen.append((o['device_id'], v['key_id'], v['uuid'], got['recovery_password']))
        assert seen[0][0] != seen[1][0] and seen[0][1] != seen[1][1] and seen[0][2] == seen[1][2], seen
        assert not lab.opens(second, seen[0][3]) and not lab.opens(first, seen[1][3])


def run_both(s, made, laptop, clone, device, old, new):
    """Boot both at once; they share two processors."""
    n = incarnations(s, device)
    with c.check('both boot from the old image, in which the key that was replaced since is the only one'):
        there = lab.header_json(lab.header_copy(made, laptop.drives[0].path, path('header')))
        assert [t['key_id'] for t in lab.of_type(there, 'keyholt')] == [old], there['tokens']
        for one in (laptop, clone):
            one.power_on()  # in this thread: QEMU goes when the thread goes that started it
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            list(pool.map(lab.boot, (laptop, clone)))
    test_rolled_back(s, laptop, device, old, new, n)
    test_clone(s, clone, device, old)
    test_both(s, laptop, clone)
    clone.power_cut()


def old_image(s, made, laptop):
    device, old, new = test_snapshot(s, laptop)
    laptop.drives[0].path = disk.make_overlay(path('machine/restored.qcow2'), path(SNAPSHOT), 'qcow2')
    other = disk.make_overlay(path('clone.qcow2'), path(SNAPSHOT), 'qcow2')
    with Laptop(path('clone'), [Drive(other)], server_port=s.port, vars_from=laptop.vars, extra=SERIALS[1]) as clone:
        run_both(s, made, laptop, clone, device, old, new)


# ---- another TPM

def next_start_is_recovery(laptop):
    """As a person chooses the entry in the firmware's boot menu."""
    number = re.search(r'^Boot([0-9A-F]{4})\*? Keyholt recovery', laptop.run('efibootmgr'), re.M)[1]
    laptop.run(f'efibootmgr -q -n {number}')
    lab.power_off(laptop)


def test_tpm_cleared(s, laptop):
    before = status(laptop)
    key = receipted(laptop)['key_id']
    with c.check('TPM cleared: the recovery password boots through the app, found by its key ID'):
        next_start_is_recovery(laptop)
        lab.clear_tpm(laptop)
        laptop.power_on()
        by_recovery_app(s, laptop, key)
    return after_another_tpm(s, laptop, 'TPM cleared', before['device_id'], key)


def after_another_tpm(s, laptop, what, former, key):
    with c.check(f'{what}: the used password is replaced, identity and management key are made anew'):
        o = until_status(laptop, 'another key', lambda o: root_volume(o)['key_id'] not in (key, None) and
                         root_volume(o)['state'] == 'protected')
        v = in_order(laptop, o, without=(key,))
        assert o['device_id'] != former and o['tpm']['identity'] and not o['tpm']['problem'], o
    with c.check(f'{what}: status says it, and what to do'):
        assert o['enrolment'] == 'again' and 'cleared or replaced' in o['identity'], o
        text = laptop.run('keyholt-agent status')
        assert 'cleared or replaced' in text and 'enroll' in text, text
    with c.check(f'{what}: rotated by the new management key, without a person'):
        code, o = agent(laptop, 'rotate /dev/vda2')
        assert code == 0, (code, o)
    with c.check(f'{what}: enrolled again; the server has its keys, and it owns those that it made'):
        enroll_again(s, laptop)
        last = receipted(laptop)
        o = status(laptop)
        in_order(laptop, o, without=(key,))
        assert o['enrolment'] == 'done' and not o['identity'], o
        assert owners(s, key) == {former: True, o['device_id']: False}, owners(s, key)
        assert owners(s, v['key_id']) == owners(s, last['key_id']) == {o['device_id']: True}
        assert 'identity' in flags(s, o['device_id']) and [r for r, _ in events(s, o['device_id'], IDENTITY)] == [BY_TPM]
        boots = rows(s, 'compliance', 'SELECT key_id FROM events WHERE device = ? AND event = 1', bytes.fromhex(o['device_id']))
        assert (key,) in boots, boots
    return o['device_id'], last['key_id']


def move(made, laptop, port):
    """The disk is taken out and put into another computer: firmware that knows nothing of it and starts Debian by its
    name alone (\\EFI\\BOOT), with an entry for the app on the disk that was in it before, another TPM, another serial
    number."""
    laptop.power_cut()
    folder = path('second')
    os.makedirs(folder)
    variables = shutil.copyfile(image.EMPTY_VARS, folder + '/start.fd')
    gone, _ = disk.lay_out(('ESP', 'esp', image.ESP_SIZE), ('root', 'linux', image.ROOT_SIZE), seed='another disk')
    efivars.append(variables, [efivars.Variable('Boot0100', efivars.GLOBAL,
                                                efivars.load_option('Keyholt recovery', 1, gone, lab.APP))])
    return Laptop(folder, laptop.drives, server_port=port, vars_from=variables, extra=SERIALS[2])


def refuse(laptop):
    """Three wrong passphrases, and the offer: nobody could know the one that the TPM or a person had."""
    laptop.power_on()
    for _ in range(3):
        laptop.wait_serial(r'Please unlock disk root:', 240)
        laptop.type_serial('not this one\n')
    laptop.wait_serial(r'Press r and Enter', 120)


def test_moved(s, made, laptop, former, key):
    with move(made, laptop, s.port) as second:
        with c.check('moved: the recovery app finds the key on the disk, and the password boots the other computer'):
            refuse(second)
            second.type_serial('r\n')
            by_recovery_app(s, second, key)
            assert second.run('cat /sys/class/dmi/id/product_serial').strip() == 'SECOND'
        after_another_tpm(s, second, 'moved', former, key)
        with c.check('moved: the other computer\'s firmware has one boot entry, for this disk'):
            entry, = re.findall(r'^Boot[0-9A-F]{4}\*? Keyholt recovery\s.*$', second.run('efibootmgr -v'), re.M)
            assert second.run('blkid -o value -s PARTUUID /dev/vda1').strip() in entry.lower(), entry
        with c.check('moved: a key of the first computer is still read back'):
            got, _ = s.recover(key)
            assert got['key_id'] == key and not lab.opens(second, got['recovery_password'])


SERIALS = [['-smbios', f'type=1,serial={name},uuid=0000000{n}-1111-2222-3333-444444444444']
           for n, name in enumerate(('FIRST', 'CLONE', 'SECOND'))]


def chain(s, made):
    with image.make_laptop(made, path('machine'), server_port=s.port, extra=SERIALS[0]) as laptop:
        test_first(s, laptop)
        test_cache_deleted(s, laptop)
        test_header_restored(s, laptop)
        if lab.LONG:
            old_image(s, made, laptop)
        else:
            c.skip('an old image of the disk, and a clone', 'two more boots: make check-long')
        device, key = test_tpm_cleared(s, laptop)
        if lab.LONG:
            test_moved(s, made, laptop, device, key)
        else:
            c.skip('the disk in another computer', 'two more boots: make check-long')


def machine():
    made = lab.build()
    shutil.rmtree(WORK, ignore_errors=True)
    os.makedirs(WORK)
    port = free_port()
    s = Server('--token-uses', '10', urls=('https://10.0.2.100:8443', f'https://127.0.0.1:{port}'))
    try:
        s.start(port)
        chain(s, made)
    finally:
        s.clean()


if __name__ == '__main__':
    sys.exit(c.run(machine))
