#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every volume of a computer: the real keeper, probe and command on a folder that looks like /sys, with image files
made by cryptsetup, mkfs and Windows as devices. Whatever is looked at stays as it was, byte for byte."""
import configparser
import contextlib
import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import time
import uuid

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from fake_sys import USB, VIRTUAL, FakeSys
from machine import FAST, KEEPER, PASSPHRASE, TOP, Checks, Machine, Organisation, fast_folder, judge, make_volume, sh
from play_courier import Courier, device_of, enrolled, rotate_order

DATA = os.path.join(os.environ.get('KEYHOLT_DATA', os.path.join(TOP, '../shared/data')), 'bitlk')
IMAGES = os.path.join(TOP, 'build/data/bitlk')


def digest(path):
    """Of 8 MiB from each end: headers, and the secondary ones of arrays."""
    h = hashlib.sha256()
    with open(path, 'rb') as f:
        h.update(f.read(8 << 20))
        f.seek(max(0, os.path.getsize(path) - (8 << 20)))
        h.update(f.read())
    return h.hexdigest()


def digests(m):
    return {n: digest(m.path('/dev/' + n)) for n in os.listdir(m.path('/dev')) if os.path.isfile(m.path('/dev/' + n))}


def bitlocker(name):
    """(image of Windows, its facts), or None where there is no test data."""
    if not os.path.exists(f'{DATA}/images.conf'):
        return None
    done = f'{IMAGES}/unpacked'
    if not os.path.exists(done):
        os.makedirs(IMAGES, exist_ok=True)
        subprocess.run(['tar', '--sparse', '--no-same-owner', '-xJf', f'{DATA}/bitlk-images.tar.xz', '-C', IMAGES], check=True)
        open(done, 'w', encoding='ascii').close()
    conf = configparser.ConfigParser()
    conf.optionxform = str
    conf.read(f'{DATA}/images.conf')
    found = [os.path.join(d, f) for d, _, files in os.walk(IMAGES) for f in files if f.lower() == name + '.img']
    return found[0], conf[name]


def sparse_copy(source, target):
    sh('cp', '--sparse=always', source, target)
    return target


def make_fs(path, kind, *options):
    sh('truncate', '-s', '40M', path)
    sh('mkfs.' + kind, *options, path)
    return path


def make_computer(m, folder):
    """A laptop with two disks under one LVM, an array, sticks; gives the names of what is no volume."""
    s = FakeSys(m.root)
    tmp = folder + '/new.img'
    sh('truncate', '-s', '1M', tmp)
    s.add('sda', tmp)
    s.add('sda1', make_fs(tmp, 'vfat'), disk='sda', partition=1)
    s.mount('sda1', '/boot/efi', 'vfat')
    s.add('sda2', make_fs(tmp, 'ext4', '-q'), disk='sda', partition=2)
    s.mount('sda2', '/boot')
    s.add('sda3', make_volume(tmp), disk='sda', partition=3)
    s.mapping('dm-0', 'sda3_crypt', 'CRYPT-LUKS2-1-sda3_crypt', ['sda3'])
    s.add('sdb', make_volume(tmp))
    s.mapping('dm-1', 'sdb_crypt', 'CRYPT-LUKS2-2-sdb_crypt', ['sdb'])
    s.mapping('dm-2', 'vg-root', 'LVM-1', ['dm-0', 'dm-1'], make_fs(tmp, 'ext4', '-q'))
    s.mount('dm-2', '/')
    s.add('sdc', make_volume(tmp, kind='luks1', size='4M'))
    s.add('sdd', make_fs(tmp, 'ext4', '-q', '-L', 'archive'))
    s.mount('sdd', '/srv')
    s.mapping('dm-3', 'vg-safe', 'LVM-2', ['dm-0', 'dm-1'], make_volume(tmp))
    for name in ('sde1', 'sdf1'):
        sh('truncate', '-s', '1M', tmp)
        s.add(name, tmp)
    s.add('md0', make_volume(tmp), VIRTUAL, below=['sde1', 'sdf1'], md__level='raid1')
    s.add('sdg', make_volume(tmp), USB)
    s.add('sdh', make_fs(tmp, 'vfat'), USB)
    sh('truncate', '-s', '4M', tmp)
    sh('mkswap', '-q', tmp, check=False)
    s.add('sdi', tmp)
    s.add('sr0', size=0)
    s.add('sdj')  # no node in /dev: it went away
    os.mkfifo(s.add('sdk'))
    s.add('ram0', VIRTUAL and None, VIRTUAL)
    return s


def by_name(o, key='volumes'):
    return {os.path.basename(v['name']): v for v in o[key]}


def test_list(c, m):
    o = m.status()
    v, others = by_name(o), by_name(o, 'others')
    want = {'sda2': ('os', 'unencrypted', True), 'sda3': ('os', 'not-protected', False), 'sdb': ('os', 'not-protected', False),
            'sdc': ('fixed', 'not-protected', False), 'sdd': ('fixed', 'unencrypted', False),
            'vg-safe': ('fixed', 'not-protected', False), 'md0': ('fixed', 'not-protected', False),
            'sdg': ('removable', 'not-protected', True), 'sdh': ('removable', 'unencrypted', True)}
    c.check(set(want) <= set(v), 'every volume is listed', sorted(v))
    for name, (kind, state, compliant) in want.items():
        got = v.get(name, {})
        c.check((got.get('kind'), got.get('state'), got.get('compliant')) == (kind, state, compliant), f'{name}: {kind}, {state}', got)
    c.check(v['sdd']['file_system'] == 'ext4' and v['sdd']['mount'] == '/srv' and v['sdd']['size'] == 40 << 20 and
            v['sdd']['label'] == 'archive' and v['sdd']['reasons'] == ['unencrypted'], 'an unencrypted one in detail', v['sdd'])
    c.check(v['sda3']['unlocked'] and v['sda3']['mount'] == '/' and v['sda3']['cipher'] == 'aes-xts-plain64' and
            v['sda3']['key_bits'] == 512 and v['sda3']['protectors'] == [{'type': 'passphrase', 'n': 1}], 'a LUKS2 one in detail', v['sda3'])
    c.check(v['sdc']['format'] == 'luks1' and 'cryptsetup convert /dev/sdc --type luks2' in v['sdc']['note'] and
            v['sdc']['reasons'] == ['luks1'], 'LUKS1 by name, with the way out', v['sdc'])
    reasons = {'sda1': 'EFI system', 'dm-0': '', 'vg-root': 'inside', 'sde1': 'array md0', 'sdi': 'not encrypted',
               'sr0': 'CD', 'sdj': 'went away', 'sdk': 'no block device', 'ram0': 'memory', 'sda': 'partitions'}
    for name, why in reasons.items():
        name = {'dm-0': 'sda3_crypt'}.get(name, name)
        c.check(why in others.get(name, {'reason': 'not listed'})['reason'], f'{name}: no volume', others.get(name))
    page = m.agent('status')[1]
    c.check('/dev/mapper/vg-safe' in page and '40.0 MiB' in page and 'are no volumes' in page, 'the page', page)
    page = m.agent('status', '--all')[1]
    c.check('a member of the array md0' in page, 'the page of all', page)


def test_protect_many(c, m, org):
    dev = {n: m.path('/dev/' + n) for n in ('sda3', 'sdb', 'sdc', 'dm-3', 'md0', 'sdg')}
    code, o, err = m.json('protect', dev['sdb'], dev['sdc'], dev['dm-3'], '--passphrase-file', '-', data=PASSPHRASE)
    r = o.get('volumes', [])
    c.check(code == 1 and [v.get('exit_code') for v in r] == [0, 1, 0], 'one that fails does not stop the others', (code, o))
    c.check('LUKS1' in r[1]['message'] and r[1]['device'] == dev['sdc'], 'and says why', r[1])
    for i, name in ((0, 'sdb'), (2, 'dm-3')):
        c.check(judge(dev[name], org)['tokens'][0]['opens'] == r[i]['slot'], f'{name} has a key that opens', r[i])
    code, o, err = m.json('protect', '--all', '--passphrase-file', '-', data=PASSPHRASE)
    c.check(code == 0 and sorted(v['device'] for v in o['volumes']) == sorted([dev['md0'], dev['sda3']]),
            '--all: what is built in and not protected', (code, o, err))
    c.check('volume 1 of 2' in err, 'progress', err)
    code, out, _ = m.agent('protect', '--all', '--passphrase-file', '-', data=PASSPHRASE)
    c.check(code == 0 and 'protected already' in out, '--all again: nothing to do', out)
    code, out, _ = m.agent('protect', dev['sdb'], dev['sdg'], '--passphrase-file', '-', data=PASSPHRASE)
    lines = out.splitlines()
    c.check(code == 0 and lines[0].split() == ['VOLUME', 'RESULT', 'KEY', 'ID', 'DETAILS'] and
            lines[1].index('protected') == lines[2].index('protected') == lines[0].index('RESULT'), 'the table', out)
    v = by_name(m.status())
    c.check(all(v[n]['state'] == 'protected' and v[n]['verified'] for n in ('sda3', 'sdb', 'vg-safe', 'md0', 'sdg')), 'status says so')
    c.check({p['type'] for p in v['sdb']['protectors']} >= {'passphrase', 'recovery-password'}, 'protectors', v['sdb'])
    c.check(m.agent('protect')[0] == 2 and m.agent('protect', '--all', dev['sdb'])[0] == 2 and
            m.agent('protect', '--recovery-password-file', '/dev/null', '--all')[0] == 2, 'wrong use: exit 2')
    code, _, err = m.agent('protect', dev['sdb'], dev['sda3'], '--passphrase-file', '-', data=b'wrong')
    c.check(code == 0, 'protected already: no passphrase is tried', err)


def test_members(c, m):
    """A part of something else is not protected in its place."""
    node = m.path('/dev/sde1')
    sh('cp', m.path('/dev/md0'), node)  # as a mirror's half with its superblock at the end looks
    before = digest(node)
    code, o, err = m.json('protect', node, '--passphrase-file', '-', data=PASSPHRASE)
    c.check(code == 1 and 'md0' in err and digest(node) == before, 'a member of an array', (code, err))
    c.check('sde1' not in by_name(m.status()) and by_name(m.status())['md0']['state'] == 'protected', 'and the array is what counts')


def envelope_of(m, org, key_id, folder):
    with contextlib.closing(sqlite3.connect(f'file:{m.path("/var/lib/keyholt/agent/cache.db")}?mode=ro', uri=True)) as db:
        row = db.execute('SELECT bytes FROM envelope WHERE key_id = ?', (uuid.UUID(key_id).bytes_le,)).fetchone()
    with open(folder + '/envelope', 'wb') as f:
        f.write(row[0])
    return judge(folder + '/envelope', org)['password']


def test_bitlocker(c, m, org, s, folder):
    made = bitlocker('bitlk-aes-xts-128')
    if not made:
        c.skip('BitLocker', f'no {DATA}')
        return
    image, conf = made
    node = s.add('sdl', sparse_copy(image, folder + '/b.img'), USB)
    before, password = digest(node), conf['RP'].encode()
    v = by_name(m.status())['sdl']
    kinds = {p['type']: p['id'].lower() for p in v['protectors']}
    c.check((v['format'], v['kind'], v['state']) == ('bitlocker', 'removable', 'not-escrowed'), 'BitLocker on a stick', v)
    c.check(kinds == {'passphrase': conf['PW_VMK_GUID'], 'recovery-password': conf['RP_VMK_GUID']} and
            v['uuid'] == conf['GUID'] and v['cipher'].startswith('AES-XTS'), 'its protectors', v)
    code, _, err = m.agent('protect', node, '--passphrase-file', '-', data=PASSPHRASE)
    c.check(code == 1 and '--recovery-password-file' in err and 'nothing was changed' in err, 'it wants its own password', err)
    code, _, err = m.agent('protect', m.path('/dev/sdb'), '--recovery-password-file', '-', data=password)
    c.check(code == 1 and 'no BitLocker volume' in err, 'which is not for others', err)
    wrong = b'-'.join([b'000011'] * 8)
    code, _, err = m.agent('protect', node, '--recovery-password-file', '-', data=wrong)
    c.check(code == 3 and conf['RP_VMK_GUID'][:8].upper() in err and 'nothing was changed' in err, 'a wrong one names the right key ID', err)
    code, _, err = m.agent('protect', node, '--recovery-password-file', '-', data=password[:-1] + b'9')
    c.check(code == 1 and 'group 8' in err, 'a typing mistake names the group', err)
    code, o, err = m.json('protect', node, '--recovery-password-file', '-', data=password.replace(b'-', b' ') + b'\n')
    c.check(code == 0 and o['key_id'].lower() == conf['RP_VMK_GUID'] and o['state'] == 'escrowed' and o['uuid'] == conf['GUID'],
            'escrowed under its own key ID', (o, err))
    queued = m.status()['queued']
    code, again, _ = m.json('protect', node, '--recovery-password-file', '-', data=password)
    c.check(code == 0 and m.status()['queued'] == queued, 'escrowed once is enough', again)
    v = by_name(m.status())['sdl']
    c.check(v['state'] == 'escrowed' and v['key_id'].lower() == conf['RP_VMK_GUID'] and v['escrow'] == 'queued', 'status says so', v)
    c.check(digest(node) == before, 'nothing is written to the volume')
    m.stop()
    c.check(envelope_of(m, org, o['key_id'], folder) == conf['RP'], 'the envelope yields the password')
    m.start()
    v = by_name(m.status())['sdl']
    c.check(v['state'] == 'escrowed', 'after a restart, too', v)
    other, conf2 = bitlocker('bitlk-aes-cbc-128')
    os.unlink(node)
    sparse_copy(other, node)
    v = [v for v in m.status()['volumes'] if v['device'] == node]
    c.check([x['present'] for x in v] == [True, False], 'the old one is not here now', v)
    v = v[0]
    c.check(v.get('state') == 'not-escrowed' and v.get('uuid') == conf2['GUID'], 'another volume in the same place', v)


def test_bitlocker_kinds(c, m, s, folder):
    if not bitlocker('bitlk-aes-xts-128'):
        return
    for name, state, reasons in (('bitlk-aes-xts-128-clearkey-only', 'not-escrowed', {'suspended', 'not-protected'}),):
        try:
            image, _ = bitlocker(name)
        except (IndexError, KeyError):
            c.skip(name, 'not in the test data')
            continue
        s.add('sdm', sparse_copy(image, folder + '/k.img'))
        v = by_name(m.status())['sdm']
        c.check(v['state'] == state and set(v['reasons']) == reasons and v['suspended'], name, v)


def test_bitlocker_disclosed(c, org, folder):
    """A password that a server showed to somebody: only Windows can make a new one, and the old one must go."""
    made = bitlocker('bitlk-aes-xts-128-two-recovery')
    if not made:
        return
    image, conf = made
    m = Machine(folder + '/disclosed')
    node = FakeSys(m.root).add('sda', sparse_copy(image, folder + '/two.img'))
    m.start()
    courier = enrolled(m, org, folder, folder + '/bundle')
    try:
        code, o, err = m.json('protect', node, '--recovery-password-file', '-', data=conf['RP'].encode())
        c.check(code == 0 and o['key_id'].lower() == conf['RP_VMK_GUID'], 'one of two recovery passwords', (o, err))
        courier.batch()
        courier.answer(commands=[rotate_order(org, device_of(m), o['key_id'])])
        v = by_name(m.status())['sda']
        c.check(v['state'] == 'needs-unlock-secret' and 'manage-bde' in v['note'] and v['reasons'] == ['needs-unlock-secret'],
                'shown to somebody: it waits for Windows', v)
        code, o, err = m.json('protect', node, '--recovery-password-file', '-', data=conf['RP2'].encode())
        c.check(code == 0 and o['key_id'].lower() == conf['RP2_VMK_GUID'], 'the other one is escrowed, too', (o, err))
        v = by_name(m.status())['sda']
        c.check(v['state'] == 'needs-unlock-secret', 'but the one that somebody knows still opens it', v)
        # Windows replaces it: as if the cache's key had been another one, which is not on the volume any more
        m.stop()
        gone = uuid.uuid4()
        with contextlib.closing(sqlite3.connect(m.path('/var/lib/keyholt/agent/cache.db'))) as db:
            db.execute('UPDATE key SET key_id = ? WHERE key_id = ?', (gone.bytes_le, uuid.UUID(conf['RP_VMK_GUID']).bytes_le))
            db.commit()
        m.start()
        code, o, err = m.json('protect', node, '--recovery-password-file', '-', data=conf['RP2'].encode())
        v = by_name(m.status())['sda']
        c.check(m.agent('verify')[0] == 0, 'verified: its protector is there')
        c.check(code == 0 and v['state'] == 'escrowed' and not v['reasons'], 'once it is gone, all is well', (err, v))
        courier = Courier(m)
        events = [r for r in courier.batch()['records'] if r[4] == 3 and gone.bytes_le in r]
        c.check(len(events) == 1 and uuid.UUID(conf['RP2_VMK_GUID']).bytes_le in events[0], 'and the server hears what replaced it')
    finally:
        m.stop()


def test_hanging(c, folder, org):
    """A device that does not answer costs eight seconds, once; the keeper and the others go on."""
    programs = folder + '/programs'
    os.makedirs(programs)
    shutil.copy(KEEPER, programs + '/keeper')
    probe = os.path.join(os.path.dirname(KEEPER), 'probe')
    with open(programs + '/probe', 'w', encoding='ascii') as f:
        # the first probe is the one that hangs; the next is the real one
        f.write(f'#!/bin/sh\nif mkdir {folder}/hung 2>/dev/null; then exec /bin/sleep 100; fi\nexec {probe}\n')
    os.chmod(programs + '/probe', 0o755)
    m = Machine(folder + '/hanging', keeper=programs + '/keeper')
    s = FakeSys(m.root)
    s.add('sda', make_volume(folder + '/h.img'))
    s.add('sdb', make_volume(folder + '/h.img'))
    start = time.monotonic()
    m.start()
    try:
        o = m.status()
        first = time.monotonic() - start
        c.check(8 <= first < 60, 'the first look gives up after eight seconds', first)
        c.check(by_name(o, 'others')['sda']['reason'] == 'it does not answer' and 'sdb' in by_name(o), 'and names the device', o)
        start = time.monotonic()
        m.status()
        c.check(time.monotonic() - start < 8, 'the next one does not wait again')
    finally:
        m.stop()


def test_no_probe(c, folder):
    programs = folder + '/alone'
    os.makedirs(programs)
    shutil.copy(KEEPER, programs + '/keeper')
    if os.path.exists('/usr/libexec/keyholt/probe'):
        c.skip('no probe', 'one is installed here')
        return
    m = Machine(folder + '/alone-root', keeper=programs + '/keeper')
    FakeSys(m.root).add('sda', make_volume(folder + '/a.img'))
    m.start()
    o = m.status()
    m.stop()
    c.check('could not look' in by_name(o, 'others')['sda']['reason'], 'without a probe the keeper works and says so', o)


def test_hostile(c, m, s, folder):
    """Noise, and damaged headers, on every device: each is named, nothing falls over."""
    image = make_volume(folder + '/n.img')
    with open(image, 'r+b') as f:
        for at in (4096, 16384 + 4096):
            f.seek(at)
            f.write(os.urandom(300))
    s.add('sdn', image)
    sh('truncate', '-s', '1M', folder + '/n.img')
    with open(folder + '/n.img', 'r+b') as f:
        f.write(b'-FVE-FS-' * 600)
    s.add('sdo', folder + '/n.img')
    with open(folder + '/n.img', 'wb') as f:
        f.write(os.urandom(1 << 20))
    s.add('sdp', folder + '/n.img')
    luks2 = os.path.join(DATA, '../luks2/blkid-luks2-pv.img.xz')
    if os.path.exists(luks2):
        with open(folder + '/n.img', 'wb') as f:
            f.write(sh('xz', '-dc', luks2).stdout)
        s.add('sdq', folder + '/n.img')
    o = m.status()
    v, others = by_name(o), by_name(o, 'others')
    c.check(v.get('sdn', {}).get('state') == 'not-protected' and v['sdn']['problem'] and not v['sdn']['compliant'],
            'a LUKS2 header that cannot be read', v.get('sdn'))
    c.check('sdo' in v or 'sdo' in others, 'half a BitLocker volume', (v.get('sdo'), others.get('sdo')))
    c.check('nothing that is known' in others.get('sdp', {}).get('reason', ''), 'noise', others.get('sdp'))
    if os.path.exists(luks2):
        # of the LUKS2 header only the second copy is left: cryptsetup takes it for a physical volume, and so do we
        c.check('physical volume' in others.get('sdq', {}).get('reason', ''), 'LVM over a former LUKS2', (v.get('sdq'), others.get('sdq')))



def test_time(c, m, folder):
    """How much protect takes beyond what libcryptsetup takes for the same keyslot work."""
    images = [make_volume(f'{folder}/t{i}.img') for i in range(5)]
    key = folder + '/key'
    with open(key, 'wb') as f:
        f.write(b'x' * 55)
    spent = {'agent': [], 'cryptsetup': []}
    for image in images:
        start = time.monotonic()
        sh('cryptsetup', 'luksAddKey', *FAST, '-d', '-', image, key, data=PASSPHRASE)
        sh('cryptsetup', 'open', '--test-passphrase', '-d', key, image)
        spent['cryptsetup'].append(time.monotonic() - start)
        start = time.monotonic()
        code, _, err = m.json('protect', image, '--passphrase-file', '-', data=PASSPHRASE)
        spent['agent'].append(time.monotonic() - start)
        c.check(code == 0, 'protect', err)
    median = {k: sorted(v)[len(v) // 2] for k, v in spent.items()}
    print(f'protect {median["agent"]:.3f} s, cryptsetup luksAddKey and a trial {median["cryptsetup"]:.3f} s', flush=True)
    return median


def test_bitlocker_replaced(c, org, folder):
    """Windows made another recovery password: what was escrowed is not on the volume any more."""
    made = bitlocker('bitlk-aes-xts-128-two-recovery')
    if not made:
        return
    m = Machine(folder + '/replaced')
    m.install_org(org.bundle(folder + '/replaced-bundle'))
    node = FakeSys(m.root).add('sda', sparse_copy(made[0], folder + '/replaced.img'))
    m.start()
    try:
        m.json('protect', node, '--recovery-password-file', '-', data=made[1]['RP'].encode())
        code, o, err = m.json('verify')
        c.check(code == 0 and o['verified'], 'BitLocker, verified', (o, err))
        m.stop()
        with contextlib.closing(sqlite3.connect(m.path('/var/lib/keyholt/agent/cache.db'))) as db:
            db.execute('UPDATE key SET key_id = ?', (uuid.uuid4().bytes_le,))
            db.commit()
        m.start()
        code, o, err = m.json('verify')
        c.check(code == 3 and not o['verified'] and o['volumes'][0]['state'] == 'not-escrowed' and
                o['volumes'][0]['verified'] is False, 'replaced: verify says no', (o, err))
        v = by_name(m.status())['sda']
        c.check(v['state'] == 'not-escrowed' and v['verified'] is False, 'status, too', v)
        os.unlink(node)
        code, _, err = m.agent('verify', node)
        c.check(code == 1, 'and of one that is not here, nothing', err)
    finally:
        m.stop()


def test_destroyed(c, org, folder):
    """A header that is gone from a device that is here is news; a device that is elsewhere is neither yes nor no."""
    m = Machine(folder + '/destroyed')
    m.install_org(org.bundle(folder + '/destroyed-bundle'))
    s = FakeSys(m.root)
    nodes = {name: s.add(name, make_volume(f'{folder}/{name}.img', size='20M')) for name in ('sda', 'sdb')}
    nodes['stick'] = s.add('sdc', make_volume(folder + '/sdc.img', size='20M'), bus=USB)
    nodes['file'] = make_volume(folder + '/file.img', size='20M')
    m.start()
    try:
        for node in nodes.values():
            m.json('protect', node, '--no-esp', '--passphrase-file', '-', data=PASSPHRASE)
        code, o, err = m.json('verify')
        c.check(code == 0 and o['verified'] and o['not_looked_at'] == 0 and len(o['volumes']) == 4, 'all verified', (o, err))
        saved = {}
        for name in ('sda', 'file'):
            with open(nodes[name], 'r+b') as f:
                saved[name] = f.read(1 << 20)
                f.seek(0)
                f.write(b'\xff' * (1 << 20))
        with open(nodes['stick'], 'r+b') as f:  # another stick in the same place, with something else on it
            f.write(bytes(1 << 20))
        sh('mkfs.vfat', '-I', nodes['stick'])
        for look in range(2):
            code, o, err = m.json('verify')
            v = {x['device']: x for x in o['volumes']}
            c.check(code == 3 and not o['verified'] and o['not_looked_at'] == 1, 'two without a header, one not here', (code, o, err))
            for name in ('sda', 'file'):
                x = v[nodes[name]]
                c.check(x['state'] == 'header-destroyed' and x['verified'] is False and x['present'] and x['looked_at'],
                        f'{name} is destroyed', x)
            c.check(v[nodes['sdb']]['verified'] is True, 'one is as it was', v)
            x = v[nodes['stick']]
            c.check(x['verified'] is None and not x['looked_at'] and x['checked'], 'one is not looked at, and when it was', x)
        lost = [x for x in m.status()['volumes'] if x['device'] == nodes['sda']]
        c.check(len(lost) == 1 and lost[0]['kind'] == 'fixed' and lost[0]['reasons'] == ['header-destroyed'] and
                not lost[0]['compliant'], 'one row, for the report, too', lost)
        code, _, err = m.agent('verify', nodes['stick'])
        c.check(code == 1 and 'not looked at' in err, 'verify of what is not here', err)
        code, o, err = m.agent('doctor')
        c.check('luksHeaderRestore ' + nodes['sda'] in o and 'keyholt-desk volume rebuild' in o, 'the ways back', o)
        for name, content in saved.items():
            with open(nodes[name], 'r+b') as f:
                f.write(content)
        code, o, err = m.json('verify')
        c.check(code == 0 and {x['state'] for x in o['volumes'] if x['present']} == {'protected'}, 'written back, all is well', o)
        m.stop()
        rows = contextlib.closing(sqlite3.connect(m.path('/var/lib/keyholt/agent/cache.db')))
        with rows as db:
            events = [r[0] for r in db.execute('SELECT bytes FROM record WHERE kind = 3')]
        told = [r for r in events if b'\x10\1\0\5' in r and b'\x14\1\0\7' in r]
        c.check(len(told) == 2, 'an event for each, once', events)
    finally:
        m.stop()


def main():
    if not os.path.exists(KEEPER):
        print(f'{KEEPER} is not built: make')
        return 1
    c = Checks(fast_folder())
    org = Organisation(c.folder + '/org')
    m = Machine(c.folder + '/root')
    m.install_org(org.bundle(c.folder + '/bundle'))
    s = make_computer(m, c.folder)
    m.start()
    try:
        before = digests(m)
        test_list(c, m)
        c.check(digests(m) == before, 'looking changes nothing')
        test_protect_many(c, m, org)
        after = digests(m)
        c.check({n for n in before if after[n] != before[n]} == {'sda3', 'sdb', 'dm-3', 'md0', 'sdg'},
                'protecting changes these volumes and nothing else', sorted(n for n in before if after[n] != before[n]))
        test_members(c, m)
        test_bitlocker(c, m, org, s, c.folder)
        test_bitlocker_kinds(c, m, s, c.folder)
        test_hostile(c, m, s, c.folder)
        test_time(c, m, c.folder)
        m.stop()
        test_hanging(c, c.folder, org)
        test_no_probe(c, c.folder)
        test_bitlocker_disclosed(c, org, c.folder)
        test_bitlocker_replaced(c, org, c.folder)
        test_destroyed(c, org, c.folder)
    finally:
        m.stop()
    return c.close()


if __name__ == '__main__':
    sys.exit(main())
