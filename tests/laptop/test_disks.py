#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many disks in the virtual laptop, one boot: two under one LVM with LUKS2 below and above, LUKS1, plain ext4, an MD
RAID1, two removable ones (LUKS2, BitLocker of Windows). The installed agent, in its sandbox, lists all of them right,
protects several at once, and changes nothing of anybody else's. Needs root.

The removable ones are SCSI disks that say so: Debian's cloud kernel has no driver for USB storage."""
import os
import re
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
from tests.laptop import disk, image, lab
from tests.laptop.lab import PASSPHRASE, TOP, Checks, agent
from tests.laptop.laptop import Drive
from machine import FAST, Organisation
from test_volumes import bitlocker

WORK = os.path.join(TOP, 'build/laptop/disks')
LUKS = ' '.join(FAST) + ' --type luks2'
checks = Checks()
check = checks.check


def raw(name, mib):
    return lab.raw_disk(os.path.join(WORK, name), mib)


def luks(name, kind, mib):
    return lab.luks_disk(os.path.join(WORK, name), mib, kind=kind)


def drives(windows):
    ext4 = raw('ext4.img', 32)
    subprocess.run(['mkfs.ext4', '-q', '-L', 'archive', ext4], check=True)
    made = [('pv1', luks('pv1.img', 'luks2', 80), 'virtio'), ('pv2', luks('pv2.img', 'luks2', 80), 'virtio'),
            ('luks1', luks('luks1.img', 'luks1', 16), 'virtio'), ('ext4', ext4, 'virtio'),
            ('md1', raw('md1.img', 48), 'virtio'), ('md2', raw('md2.img', 48), 'virtio'),
            ('stick', luks('stick.img', 'luks2', 32), 'removable')]
    if windows:
        copy = os.path.join(WORK, 'windows.qcow2')
        made.append(('windows', disk.make_overlay(copy, windows[0]), 'removable'))
    return made


def set_up(laptop):
    """What a guest's own kernel must do: LVM over two unlocked volumes, LUKS2 on it, an array with LUKS2 on it."""
    laptop.put('/root/pass', PASSPHRASE.encode())
    laptop.run(f"""( set -e
modprobe -a virtio_scsi sd_mod raid1 dm-crypt
cd /dev
cryptsetup open --key-file /root/pass vdb pv1 & cryptsetup open --key-file /root/pass vdc pv2; wait
pvcreate -qq /dev/mapper/pv1 /dev/mapper/pv2 && vgcreate -qq vg /dev/mapper/pv1 /dev/mapper/pv2
lvcreate -qq -Wn -Zn --type striped -i 2 -L 24m -n data vg && mkfs.ext4 -q /dev/vg/data
lvcreate -qq -Wn -Zn --type striped -i 2 -L 32m -n safe vg
cryptsetup luksFormat {LUKS} /dev/vg/safe /root/pass
mdadm --create /dev/md0 --run --level=1 --raid-devices=2 --metadata=1.0 --bitmap=none --assume-clean /dev/vdf /dev/vdg
cryptsetup luksFormat {LUKS} /dev/md0 /root/pass
mkdir -p /srv/data /srv/archive && mount /dev/vg/data /srv/data && mount /dev/vde /srv/archive
udevadm settle )""", 300)


def hashes(laptop):
    """Of each device the headers and the first keyslots, and what lies at its end (an array's superblock)."""
    text = laptop.run('for d in /dev/vd[b-z] /dev/sd? /dev/md0 /dev/vg/data /dev/vg/safe; do [ -b $d ] || continue; '
                      'echo $d $( { head -c 1048576 $d; tail -c 65536 $d; } | cksum); done', 120)
    return {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.startswith('/dev/')}


def names(o, key='volumes'):
    return {re.sub('^/dev/(mapper/)?', '', v['name']): v for v in o[key]}


def test_list(laptop, windows):
    code, o = agent(laptop, 'status')
    v, others = names(o), names(o, 'others')
    want = {'vda2': ('luks2', 'os', 'not-protected', '/'), 'vdb': ('luks2', 'fixed', 'not-protected', '/srv/data'),
            'vdc': ('luks2', 'fixed', 'not-protected', '/srv/data'), 'vg-safe': ('luks2', 'fixed', 'not-protected', None),
            'vdd': ('luks1', 'fixed', 'not-protected', None), 'vde': ('unencrypted', 'fixed', 'unencrypted', '/srv/archive'),
            'md0': ('luks2', 'fixed', 'not-protected', None), 'sda': ('luks2', 'removable', 'not-protected', None)}
    if windows:
        want['sdb'] = ('bitlocker', 'removable', 'not-escrowed', None)
    for name, facts in want.items():
        with check(f'status: {name} is {facts[0]}, {facts[1]}'):
            got = v[name]
            assert (got['format'], got['kind'], got['state'], got['mount']) == facts, got
    with check('status: nothing else is a volume'):
        assert code == 0 and set(v) == set(want), sorted(v)
    for name, why in {'vda': 'partitions', 'vda1': 'EFI', 'vg-data': 'inside', 'pv1': 'physical volume', 'vdf': 'array md0',
                      'vdg': 'array md0', 'root': 'inside'}.items():
        with check(f'status: {name} is no volume ({why})'):
            assert why in others[name]['reason'], others[name]
    with check('doctor: LUKS1 and the unencrypted one need a person, the initramfs has the hand-off'):
        code, o = agent(laptop, 'doctor')
        bad = [f['text'] for f in o['findings'] if f['level'] == 'bad']
        good = [f['check'] for f in o['findings'] if f['level'] == 'good']
        assert code == 3 and any('/dev/vdd is LUKS1' in t for t in bad) and any('/dev/vde (fixed, ext4' in t for t in bad), bad
        assert 'initramfs' in good and 'keeper' in good and 'EFI partition' in good, o
    return v


def test_protect(laptop, windows, before):
    with check('several at once: one that fails does not stop the others'):
        code, o = agent(laptop, 'protect /dev/vdb /dev/vdd /dev/mapper/vg-safe /dev/sda --passphrase-file /root/pass', 300)
        assert code == 1 and [v['exit_code'] for v in o['volumes']] == [0, 1, 0, 0], o
    with check('--all: the rest of what is built in'):
        code, o = agent(laptop, 'protect --all --passphrase-file /root/pass', 300)
        assert code == 0 and len(o['volumes']) == 3, o
    if windows:
        with check('BitLocker: unlocked with its recovery password, which is escrowed by that'):
            laptop.put('/root/digits', windows[1]['RP'].encode())
            laptop.put('/root/wrong', b'-'.join([b'000011'] * 8))
            code, o = agent(laptop, 'unlock --read-only /dev/sdb --recovery-password-file /root/wrong')
            assert code == 3, (code, o)
            assert laptop.run('ls /dev/mapper').count('unlocked') == 0
            code, o = agent(laptop, 'unlock --read-only /dev/sdb --recovery-password-file /root/digits')
            assert code == 0 and o['key_id'].lower() == windows[1]['RP_VMK_GUID'], (code, o)
            assert o['mapping'] == '/dev/mapper/unlocked-sdb', o
            assert laptop.run('blkid -o value -s TYPE /dev/mapper/unlocked-sdb').strip() == 'ntfs'
            assert names(agent(laptop, 'status')[1])['sdb']['state'] == 'escrowed'
            laptop.run('cryptsetup close unlocked-sdb')
        with check('BitLocker: and once more by protect'):
            code, o = agent(laptop, 'protect /dev/sdb --recovery-password-file /root/digits')
            assert code == 0 and o['key_id'].lower() == windows[1]['RP_VMK_GUID'], o
    with check('status: all protected, proved to open'):
        _, o = agent(laptop, 'status')
        v = names(o)
        for name in ('vda2', 'vdb', 'vdc', 'vg-safe', 'md0', 'sda'):
            assert v[name]['state'] == 'protected' and v[name]['verified'], v[name]
        assert not windows or v['sdb']['state'] == 'escrowed', v.get('sdb')
    with check('the volumes\' headers have changed, and nothing of anybody else\'s'):
        after = hashes(laptop)
        changed = {n for n in before if before[n] != after[n]}
        # of the array its two halves with it; the mounted file systems are their owner's to change
        assert changed - {'/dev/vdf', '/dev/vdg', '/dev/vde', '/dev/vg/data'} == {'/dev/vdb', '/dev/vdc', '/dev/vg/safe', '/dev/md0', '/dev/sda'}, changed
    with check('they open as before'):
        laptop.run('for d in /dev/vda2 /dev/vdb /dev/vdc /dev/vg/safe /dev/md0 /dev/sda /dev/vdd; do '
                   'cryptsetup open --test-passphrase --key-file /root/pass $d || exit 1; done', 120)


def enroll(laptop):
    org = Organisation(WORK + '/org')
    lab.put_bundle(laptop, org.bundle(WORK + '/bundle'))
    code, _ = agent(laptop, 'enroll --bundle /root/bundle')
    assert code == 4, code  # no server: queued


def test_machine():
    shutil.rmtree(os.path.join(WORK, 'org'), ignore_errors=True)
    os.makedirs(WORK, exist_ok=True)
    windows = bitlocker('bitlk-aes-xts-128')
    if not windows:
        checks.skip('BitLocker', 'no shared test data')
    made = lab.build()
    start = time.monotonic()
    more = [Drive(path, 'qcow2' if path.endswith('qcow2') else 'raw', bus) for _, path, bus in drives(windows)]
    with image.make_laptop(made, os.path.join(WORK, 'machine'), drives=more) as laptop:
        lab.boot(laptop)
        with check('disks under LVM and an array'):
            set_up(laptop)
        with check('enrolled without a server'):
            enroll(laptop)
        before = hashes(laptop)
        test_list(laptop, windows)
        with check('looking changes nothing'):
            now = hashes(laptop)
            # the two mounted file systems are their owner's to change
            assert set(now) == set(before) and all(
                before[n] == now[n] for n in before if n not in ('/dev/vde', '/dev/vg/data')), (before, now)
        test_protect(laptop, windows, before)
    print(f'  one boot, {time.monotonic() - start:.0f} s', flush=True)


if __name__ == '__main__':
    sys.exit(checks.run(test_machine))
