#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Key packages (outage line O8): made by the real keeper where the policy wants them, opened by the real desk, and a
volume whose both headers are destroyed read again. The package is taken from the record that goes to the servers."""
import hashlib
import json
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hand_over import decode as decode_record
from hand_over import records
from machine import FAST, KEEPER, PASSPHRASE, TOP, Checks, Machine, Organisation, fast_folder, make_volume, opens, sh
from play_courier import device_of, enrolled, receipt

DESK = f'{TOP}/build/bin/keyholt-desk'
PACKAGE = 4
NEW = b'a new passphrase'


def packages(records):
    return [decode_record(r) for r in records if decode_record(r)['kind'] == PACKAGE]


def flush(m, org, courier, when):
    records = courier.batch()['records']
    courier.answer(receipts=[receipt(org, device_of(m), records, when=when)] if records else [])
    return records


def test_policy(c, m, org, courier, folder):
    image = make_volume(folder + '/off.img')
    m.json('protect', image, '--passphrase-file', '-', data=PASSPHRASE)
    c.check(not packages(flush(m, org, courier, 1_800_000_000)), 'off by default: no package')
    text, sig = org.policy(folder + '/p', version=1, key_package=True)
    courier.batch()
    courier.answer(policy=text, policy_sig=sig)
    image = make_volume(folder + '/on.img', '--label', 'data', '--sector-size', '4096', '--offset', '8192')
    code, o, err = m.json('protect', image, '--passphrase-file', '-', data=PASSPHRASE)
    records = flush(m, org, courier, 1_800_000_001)
    made = packages(records)
    c.check(code == 0 and len(made) == 1, 'on: protect makes one', (err, len(made)))
    c.check(decode_record(records[0])['kind'] == 1, 'the recovery password goes out first')
    code, _, err = m.json('rotate', image)
    c.check(code == 0 and not packages(flush(m, org, courier, 1_800_000_002)), 'a rotation of the same volume key makes none')
    return image, made[0]['bytes']


def desk(org, bundle, folder, image, package, *more, who='desk clerk', key='desk', data=NEW):
    with open(folder + '/new', 'wb') as f:
        f.write(data)
    with open(folder + '/desk-passphrase', 'wb') as f:
        f.write(b'secret')
    encrypted = f'{folder}/{key}-encrypted.pem'
    sh('openssl', 'pkcs8', '-topk8', '-in', org.key(key), '-out', encrypted, '-passout', 'pass:secret', '-v2', 'aes-256-cbc')
    r = subprocess.run([DESK, 'volume', 'rebuild', image, *more, '--key-package', package, '--new-passphrase-file',
                        folder + '/new', '--key', encrypted, '--key-passphrase-file', folder + '/desk-passphrase', '--org',
                        f'{bundle}/org.json', '--who', who, '--reason', 'header destroyed', '--root', folder + '/deskroot'],
                       capture_output=True, timeout=300)
    return r.returncode, r.stdout.decode(), r.stderr.decode()


def tail_of(image, offset):
    with open(image, 'rb') as f:
        f.seek(offset)
        return hashlib.file_digest(f, 'sha256').hexdigest()


def decrypted(image, passphrase, folder):
    with open(folder + '/open', 'wb') as f:
        f.write(passphrase)
    out = folder + '/plain'
    r = sh(DESK, 'volume', 'decrypt', image, out, '--force', '--passphrase-file', folder + '/open', check=False)
    if r.returncode:
        return r.stderr.decode()[-300:]
    with open(out, 'rb') as f:
        return hashlib.file_digest(f, 'sha256').hexdigest()


def test_rebuild(c, org, bundle, folder, image, package):
    with open(image, 'r+b') as f:  # something to find again; encrypted or not does not matter
        f.seek(8192 * 512)
        f.write(os.urandom(1 << 20))
    want, tail = decrypted(image, PASSPHRASE, folder), tail_of(image, 8192 * 512)
    c.check(len(want) == 64, 'the volume is read before', want)
    broken = shutil.copy(image, folder + '/broken.img')
    with open(broken, 'r+b') as f:
        f.write(b'\xff' * (1 << 20))  # both headers and every keyslot
    c.check(sh('cryptsetup', 'isLuks', broken, check=False).returncode != 0, 'both headers are destroyed')
    before = tail_of(broken, 0)
    name = folder + '/package.record'
    with open(name, 'wb') as f:
        f.write(package)
    log = folder + '/deskroot/var/lib/keyholt/desk/audit.log'

    code, _, err = desk(org, bundle, folder, broken, name, key='vault')
    c.check(code == 3 and 'sealed to other keys' in err and not os.path.exists(broken + '.rebuilt'),
            'the servers\' key opens no package: it is for the offline desk alone', (code, err))
    flipped = bytearray(package)
    flipped[400] ^= 1
    with open(folder + '/flipped', 'wb') as f:
        f.write(flipped)
    code, _, err = desk(org, bundle, folder, broken, folder + '/flipped')
    c.check(code == 3 and 'does not open' in err, 'a changed package opens nothing', (code, err))
    with open(log) as f:
        c.check('refuse' in f.read(), 'a no is on record')
    code, out, err = desk(org, bundle, folder, broken, name)
    rebuilt = broken + '.rebuilt'
    if not c.check(code == 0 and os.path.exists(rebuilt), 'rebuild', (code, err)):
        return
    with open(log) as f:
        entries = [{**json.loads(core), **json.loads(personal)} for core, personal in (line.split('\t') for line in f)]
    c.check(entries[-1]['action'] == 'disclose' and 'key package' in entries[-1]['detail'], 'the disclosure is on record',
            entries[-1])
    c.check(tail_of(broken, 0) == before, 'the image is only read')
    c.check(os.stat(rebuilt).st_mode & 0o777 == 0o600, 'the copy is its owner\'s alone')
    c.check(opens(rebuilt, NEW) and not opens(rebuilt, PASSPHRASE), 'it opens with the new passphrase, and nothing else')
    c.check(tail_of(rebuilt, 8192 * 512) == tail, 'the data are what they were')
    c.check(decrypted(rebuilt, NEW, folder) == want, 'and read the same')
    dump = sh('cryptsetup', 'luksDump', rebuilt).stdout.decode()
    uuid = sh('cryptsetup', 'luksUUID', image).stdout
    c.check(sh('cryptsetup', 'luksUUID', rebuilt).stdout == uuid and 'data' in dump and '4096' in dump and '4194304' in dump,
            'UUID, label, sector size and offset are as before', dump)
    code, _, err = desk(org, bundle, folder, broken, name)
    c.check(code == 1 and '--force' in err, 'an existing copy is not replaced unasked', (code, err))
    code, out, err = desk(org, bundle, folder, broken, name, folder + '/named.img', '--json')
    c.check(code == 0 and json.loads(out)['volume'] == uuid.decode().strip() and opens(folder + '/named.img', NEW),
            'OUT may be named; JSON', (out, err))
    os.truncate(broken, 1 << 20)
    code, _, err = desk(org, bundle, folder, broken, name, folder + '/small.img')
    c.check(code == 1 and 'whole volume' in err and not os.path.exists(folder + '/small.img'), 'an image that is too small',
            (code, err))


def test_new_identity(c, m):
    """A computer that gets another identity brings its packages again under it: they are in no header."""
    m.stop()
    old = {r['envelope'] for r in records(m) if r['kind'] == PACKAGE}
    os.unlink(m.path('/var/lib/keyholt/agent/device.key'))
    new = device_of(m.start())
    m.stop()
    made = [r for r in records(m) if r['device'] == new]
    c.check(old and {r['envelope'] for r in made if r['kind'] == PACKAGE} == old and made[0]['kind'] == 3,
            'a new identity: the packages again, in its name', made)


def main():
    for needed in (KEEPER, DESK):
        if not os.path.exists(needed):
            print(f'{needed} is not built: make')
            return 1
    c = Checks(fast_folder())
    org = Organisation(c.folder + '/org')
    bundle = org.bundle(c.folder + '/bundle')
    m = Machine(c.folder + '/root').start()
    try:
        courier = enrolled(m, org, c.folder, bundle)
        image, package = test_policy(c, m, org, courier, c.folder)
        test_new_identity(c, m)
        test_rebuild(c, org, bundle, c.folder, image, package)
    finally:
        m.stop()
    return c.close()


if __name__ == '__main__':
    sys.exit(main())
