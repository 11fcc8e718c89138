#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""keyholt-agent doctor on a computer in a folder: what is broken on purpose is named, with the way out; and every
verb's help and wrong use."""
import os
import shutil
import struct
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from fake_sys import FakeSys
from machine import AGENT, FAST, KEEPER, PASSPHRASE, Checks, Machine, Organisation, fast_folder, header, make_volume, sh
from play_courier import enrolled

GLOBAL = '8be4df61-93ca-11d2-aa0d-00e098032b8c'
VERBS = ('status', 'enroll', 'protect', 'verify', 'rotate', 'sync', 'export', 'import', 'recovery', 'unlock', 'doctor')
KERNEL = os.uname().release


def put(path, data, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'wb') as f:
        f.write(data)
    os.chmod(path, mode)


def doctor(m):
    """Findings by check, and the exit code."""
    code, o, err = m.json('doctor')
    found = {}
    for f in o.get('findings', []):
        found.setdefault(f['check'], []).append((f['level'], f['text']))
    return code, found


def says(found, check, level, fragment):
    return any(lv == level and fragment in text for lv, text in found.get(check, []))


def entry(m, number, description='Keyholt recovery'):
    text = description.encode('utf-16-le') + b'\0\0'
    path = b'\x04\x04' + struct.pack('<H', 4 + 4) + b'x\0\0\0' + b'\x7f\xff\x04\0'
    put(m.path(f'/sys/firmware/efi/efivars/Boot{number:04X}-{GLOBAL}'),
        b'\7\0\0\0' + struct.pack('<IH', 1, len(path)) + text + path)


def order(m, *numbers):
    put(m.path(f'/sys/firmware/efi/efivars/BootOrder-{GLOBAL}'), b'\7\0\0\0' + struct.pack(f'<{len(numbers)}H', *numbers))


def make_well(m, s, folder):
    """What a laptop has when all is well."""
    tmp = folder + '/new.img'
    s.add('sda', make_volume(tmp))
    sh('truncate', '-s', '20M', tmp)
    sh('mkfs.ext4', '-q', tmp)
    s.mapping('dm-0', 'root', 'CRYPT-LUKS2-x-root', ['sda'], tmp)
    s.mount('dm-0', '/')
    os.makedirs(m.path('/boot/efi/EFI'))
    put(m.path('/usr/lib/keyholt/recovery.efi'), b'MZ the app')
    put(m.path('/usr/share/initramfs-tools/hooks/keyholt'), b'#!/bin/sh\n', 0o755)
    put(m.path('/usr/sbin/update-initramfs'), b'#!/bin/sh\n', 0o755)
    put(m.path(f'/boot/initrd.img-{KERNEL}'), b'cpio')
    put(m.path('/usr/bin/lsinitramfs'), b'#!/bin/sh\nhead -c 4 "$1" >/dev/null && echo usr/libexec/keyholt/handoff\n', 0o755)
    entry(m, 7)
    order(m, 1, 7)


def test_well(c, m, org, folder):
    code, found = doctor(m)
    bad = {k: v for k, v in found.items() if any(level == 'bad' for level, _ in v)}
    # in a folder the firmware's entry cannot be made by the keeper itself, and no courier stays connected
    c.check(set(bad) <= {'certificate'}, 'all is well but what a folder cannot have', bad)
    for check in ('keeper', 'organisation', 'enrolment', 'EFI partition', 'recovery app', 'boot entry', 'initramfs', 'volumes', 'headers', 'disk space'):
        c.check(all(level == 'good' for level, _ in found.get(check, [('none', '')])), f'{check}: good', found.get(check))


def test_broken(c, m, s, folder):
    put(m.path('/boot/efi/EFI/keyholt/recovery.efi'), b'MZ another')
    order(m, 7, 1)
    put(m.path('/usr/bin/lsinitramfs'), b'#!/bin/sh\necho usr/bin/other\n', 0o755)
    tmp = folder + '/new.img'
    s.add('sdb', make_volume(tmp, kind='luks1', size='4M'))
    sh('truncate', '-s', '20M', tmp)
    sh('mkfs.ext4', '-q', tmp)
    s.add('sdc', tmp)
    image = make_volume(tmp, '--luks2-metadata-size', '64k', size='24M')
    with open(folder + '/key', 'wb') as f:
        f.write(b'another')
    while sh('cryptsetup', 'luksAddKey', *FAST, '-d', '-', image, folder + '/key', data=PASSPHRASE, check=False).returncode == 0:
        pass
    s.add('sdd', image)
    image = make_volume(tmp)
    while sh('cryptsetup', 'token', 'import', image, check=False,
             data=b'{"type":"somebody-else","keyslots":[],"blob":"' + b'A' * 1500 + b'"}').returncode == 0:
        pass
    s.add('sde', image)
    sh('truncate', '-s', '4M', tmp)
    sh('mkswap', '-q', tmp, check=False)
    s.add('sdf', tmp)
    code, found = doctor(m)
    c.check(code == 3, 'something needs a person: exit 3', code)
    for check, fragment in (('recovery app', 'is not the installed one'), ('boot entry', 'comes first'), ('initramfs', 'update-initramfs -u'),
                            ('volumes', '/dev/sdb is LUKS1'), ('volumes', '/dev/sdc (fixed, ext4) is not encrypted'),
                            ('headers', '/dev/sdd: all 32 keyslots'), ('headers', '/dev/sde: only'), ('other devices', '/dev/sdf is swap space')):
        c.check(says(found, check, 'bad', fragment), f'doctor says: {fragment}', found.get(check))
    code, out, _ = m.agent('doctor')
    lines = out.splitlines()
    c.check(code == 3 and 'TO DO' in out and 'need a person' in lines[-1] and ' ok ' not in out, 'the page', out)
    c.check('the keeper runs' in m.agent('doctor', '--all')[1], 'the page of all')
    shutil.rmtree(m.path('/boot/efi/EFI'))
    c.check(says(doctor(m)[1], 'EFI partition', 'bad', '/etc/fstab'), 'no EFI system partition')


def test_drift(c, m):
    """A keyslot that was changed behind the agent leaves "verified", and doctor says so."""
    node = m.path('/dev/sda')
    slot = [n for t in header(node)['tokens'].values() if t['type'] == 'keyholt' for n in t['keyslots']][0]
    area = header(node)['keyslots'][slot]['area']
    with open(node, 'r+b') as f:
        f.seek(int(area['offset']))
        f.write(os.urandom(64))
    code, found = doctor(m)
    c.check(says(found, 'volumes', 'bad', '/dev/sda: its recovery key is not any more what was proved'), 'drift is named', found['volumes'])


def test_no_keeper(c, m):
    code, found = doctor(m)
    c.check(code == 3 and says(found, 'keeper', 'bad', 'systemctl status keyholt-keeper') and len(found) == 3, 'without a keeper', found)


def test_help(c, m):
    for verb in VERBS:
        code, out, err = m.agent(verb, '--help')
        c.check(code == 0 and out.startswith(f'usage: keyholt-agent {verb} ') and 'Exit codes: 0' in out and not err, f'{verb} --help', (code, out))
        c.check(all(len(line) <= 100 for line in out.splitlines()), f'{verb} --help: lines fit')
        code, out, err = m.agent(verb, '--explode')
        c.check(code == 2 and not out and f"'keyholt-agent {verb} --help'" in err and 'Nothing was done' in err, f'{verb}: an unknown option', err)
    r = subprocess.run([AGENT, '--help'], capture_output=True, text=True, timeout=120)
    c.check(r.returncode == 0 and all(f'  {v} ' in r.stdout for v in VERBS), 'the list of verbs', r.stdout)
    c.check(subprocess.run([AGENT, 'explode'], capture_output=True, timeout=120).returncode == 2, 'an unknown verb: exit 2')
    c.check(subprocess.run([AGENT], capture_output=True, timeout=120).returncode == 2, 'no verb: exit 2')


def main():
    if not os.path.exists(KEEPER):
        print(f'{KEEPER} is not built: make')
        return 1
    c = Checks(fast_folder())
    org = Organisation(c.folder + '/org')
    m = Machine(c.folder + '/root')
    s = FakeSys(m.root)
    make_well(m, s, c.folder)
    try:
        test_help(c, m)
        m.start()
        courier = enrolled(m, org, c.folder, org.bundle(c.folder + '/bundle'))
        code, _, err = m.agent('protect', m.path('/dev/sda'), '--passphrase-file', '-', data=PASSPHRASE)
        c.check(code == 0, 'protect', err)
        test_well(c, m, org, c.folder)
        test_broken(c, m, s, c.folder)
        test_drift(c, m)
        courier.s.close()
        m.stop()
        test_no_keeper(c, m)
    finally:
        m.stop()
    return c.close()


if __name__ == '__main__':
    sys.exit(main())
