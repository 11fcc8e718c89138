#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""enroll and protect on image files: the real keeper and command, plain LUKS2 files, no device-mapper.

The recovery password is learned only from the envelope in the header and an escrow key; every refusal leaves the
image as it was, byte for byte, and says so in a sentence.
"""
import base64
import ctypes
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from machine import (AGENT, FAST, KEEPER, PASSPHRASE, Checks, Machine, Organisation, fast_folder, header, judge, make_volume,
                     opens, sh)
import secret_search

FOREIGN = b'{"type":"somebody-else","keyslots":["0"],"note":"hands off"}'


def digest(path):
    with open(path, 'rb') as f:
        return hashlib.file_digest(f, 'sha256').hexdigest()


def protect(m, image, passphrase=PASSPHRASE, *more):
    return m.json('protect', image, '--passphrase-file', '-', *more, data=passphrase)


def refused(c, m, image, what, fragment, passphrase=PASSPHRASE, code=None):
    before = digest(image) if os.path.isfile(image) else None
    got, o, err = protect(m, image, passphrase)
    c.check(got != 0 and (code is None or got == code), f'{what}: refused', (got, o))
    c.check(fragment in err and 'nothing was changed' in err and '\n' == err[-1], f'{what}: a clear sentence', err)
    c.check(o.get('message') and o['message'] in err, f'{what}: the same in JSON', o)
    c.check(before is None or digest(image) == before, f'{what}: the image is as it was')


def test_enroll(c, m, org, folder):
    bundle = org.bundle(folder + '/bundle', version=5)
    image = make_volume(folder + '/early.img')
    refused(c, m, image, 'no organisation', 'enroll --bundle')
    org.bundle(folder + '/bad', version=9)
    with open(folder + '/bad/org.json', 'r+b') as f:
        f.seek(60)
        f.write(b'X')
    code, _, err = m.agent('enroll', '--bundle', folder + '/bad')
    c.check(code == 3 and 'signature does not verify' in err, 'org.json with a bad signature', err)
    org.bundle(folder + '/broken')
    with open(folder + '/broken/org.json', 'wb') as f:
        f.write(b'{"format":')
    with open(folder + '/broken/org.json.sig', 'wb') as f:
        f.write(org.sign(b'{"format":'))
    code, _, err = m.agent('enroll', '--bundle', folder + '/broken')
    c.check(code == 1 and 'cannot be read' in err and 'nothing was changed' in err, 'org.json that is no JSON', err)
    code, _, err = m.agent('enroll', '--bundle', folder + '/nowhere')
    c.check(code == 1 and 'org.json' in err, 'a bundle that is not there', err)
    c.check(not os.path.exists(m.path('/etc/keyholt/org/org.json')), 'nothing of these was kept')

    code, _, err = m.agent('enroll', '--bundle', bundle)
    pin = hashlib.sha256(org.root_pub).hexdigest()
    c.check(code == 4 and pin in err and 'queued' in err, 'enrolled without a server: queued', (code, err))
    token = os.stat(m.path('/var/lib/keyholt/agent/token'))
    c.check(token.st_mode & 0o777 == 0o600, 'the token is kept for root alone')
    c.check(m.status()['enrolment'] == 'queued' and m.status()['root_sha256'] == pin, 'status says so')

    code, _, err = m.agent('enroll', '--bundle', org.bundle(folder + '/old', version=4))
    c.check(code != 0 and 'older' in err, 'an older org.json is refused', err)
    other = Organisation(folder + '/other')
    code, _, err = m.agent('enroll', '--bundle', other.bundle(folder + '/otherbundle', version=99))
    c.check(code == 3 and 'another root key' in err, 'another root is refused', err)
    code, _, err = m.agent('enroll', '--bundle', org.bundle(folder + '/new', version=6))
    c.check(code == 4 and m.status()['org_version'] == 6, 'a newer org.json is taken', err)

    name = m.path('/etc/keyholt/org/org.json')
    good = open(name, 'rb').read()
    with open(name, 'wb') as f:
        f.write(good.replace(b'Call', b'Kall'))
    refused(c, m, image, 'stored org.json was changed', 'signature does not verify')
    with open(name, 'wb') as f:
        f.write(good)


def test_protect(c, m, org, folder):
    image = make_volume(folder + '/v.img')
    sh('cryptsetup', 'token', 'import', '--token-id', '0', image, data=FOREIGN)
    before = header(image)
    code, o, err = protect(m, image)
    if not c.check(code == 0, 'protect', err):
        return
    after, j = header(image), judge(image, org)
    token, slot = j['tokens'][0], str(o['slot'])
    c.check(len(j['tokens']) == 1 and token['state'] == 'live' and token['assigned'], 'one live token', j)
    c.check(token['key_id'] == o['key_id'] and o['key_id_short'] == o['key_id'][:8], 'the key ID is the token\'s', o)
    c.check(token['opens'] == o['slot'], 'the password from the header opens its keyslot', token)
    c.check(judge(image, org, 'vault')['tokens'][0]['password'] == token['password'], 'sealed to vault and desk alike')
    c.check(opens(image, token['password'].encode()), 'cryptsetup takes the 55 characters')
    c.check(not opens(image, token['password'].replace('-', '').encode()), 'and nothing but them')
    s = after['keyslots'][slot]
    c.check(s['kdf']['type'] == 'pbkdf2' and s['kdf']['hash'] == 'sha256' and 1001 <= s['kdf']['iterations'] <= 2024 and
            s['area']['encryption'] == 'aes-xts-plain64' and s['area']['key_size'] == 64 and
            s['af'] == {'type': 'luks1', 'stripes': 4000, 'hash': 'sha256'}, 'the keyslot is as docs/formats.md says', s)
    c.check(s['kdf']['iterations'] == token['count'], 'the token names its count')
    c.check(after['keyslots']['0'] == before['keyslots']['0'] and after['tokens']['0'] == before['tokens']['0'],
            'foreign keyslot and token are as they were')
    c.check(opens(image, PASSPHRASE, 0), 'the user\'s passphrase opens as before')
    again = protect(m, image)
    c.check(again[0] == 0 and again[1]['key_id'] == o['key_id'] and header(image) == after, 'protected once is enough', again)

    v = [v for v in m.status()['volumes'] if v['device'] == image][0]
    c.check(v['state'] == 'protected' and v['escrow'] == 'queued' and v['verified'] and v['key_id'] == o['key_id'],
            'status: protected, verified, queued', v)
    tpm = m.status()['tpm']
    c.check(not tpm['present'] and not tpm['identity'] and tpm['text'].startswith('no TPM'), 'status: no TPM', tpm)
    page = m.agent('status')[1]
    c.check(o['key_id_short'] in page and image in page and 'queued' in page, 'the page for people', page)

    m.stop()
    hits = secret_search.search([m.root], [token['password']])
    c.check(not hits, 'the password is in no file of the agent', hits)
    m.start()


def test_other_volumes(c, m, org, folder):
    image = folder + '/argon.img'
    sh('truncate', '-s', '20M', image)
    sh('cryptsetup', 'luksFormat', '--type', 'luks2', '--pbkdf', 'argon2id', '--pbkdf-memory', '65536',
       '--pbkdf-force-iterations', '4', '-q', '--label', 'secret-disk', image, '-', data=PASSPHRASE)
    code, o, err = protect(m, image)
    c.check(code == 0 and judge(image, org)['tokens'][0]['opens'] == o.get('slot'), 'a passphrase by Argon2id', err)
    image = make_volume(folder + '/128.img', '--cipher', 'aes-xts-plain64', '--key-size', '256')
    code, o, err = protect(m, image)
    c.check(code == 0 and judge(image, org)['tokens'][0]['opens'] == o.get('slot'), 'a volume key of 32 bytes', err)
    link = folder + '/link.img'
    os.symlink(image, link)
    code, o, err = protect(m, link)
    c.check(code == 0 and o['device'] == image, 'a link means what it points to', (o, err))


def test_bad_volumes(c, m, folder):
    plain = folder + '/plain.img'
    with open(plain, 'wb') as f:
        f.write(os.urandom(1 << 20))
    refused(c, m, plain, 'not a LUKS volume', 'not a LUKS2 volume')
    open(folder + '/empty.img', 'wb').close()
    refused(c, m, folder + '/empty.img', 'an empty file', 'not a LUKS2 volume')
    refused(c, m, folder + '/missing.img', 'no such file', 'No such file')
    refused(c, m, folder, 'a folder', 'neither a block device nor an image file')
    refused(c, m, make_volume(folder + '/l1.img', kind='luks1', size='4M'), 'LUKS1', 'LUKS1')
    image = make_volume(folder + '/bad.img')
    refused(c, m, image, 'wrong passphrase', 'passphrase does not open it', b'wrong', code=3)
    code, _, err = m.agent('protect', image, '--passphrase-file', '/dev/null')
    c.check(code == 1 and 'no passphrase' in err, 'an empty passphrase', err)
    code, _, err = m.agent('protect', image, '--passphrase-file', folder + '/nothing')
    c.check(code == 1 and 'no passphrase' in err, 'a passphrase file that is not there', err)
    c.check(m.agent('protect')[0] == 2 and m.agent('explode')[0] == 2, 'wrong use: exit 2')
    damaged = make_volume(folder + '/damaged.img')
    with open(damaged, 'r+b') as f:
        f.seek(4096)
        f.write(b'!' * 64)
        f.seek(16384 + 4096)
        f.write(b'!' * 64)
    refused(c, m, damaged, 'both headers damaged', 'damaged.img')


def fill_tokens(image, size):
    """Foreign tokens until no more fit; how many."""
    n = 0
    text = json.dumps({'type': 'somebody-else', 'keyslots': [], 'blob': 'A' * size}).encode()
    while sh('cryptsetup', 'token', 'import', image, data=text, check=False).returncode == 0:
        n += 1
    return n


def test_full_volumes(c, m, org, folder):
    image = make_volume(folder + '/full.img')
    n = fill_tokens(image, 1500)
    c.check(n > 4, 'the metadata area is filled', n)
    refused(c, m, image, 'full metadata area', 'metadata area is full')
    # room for the key, but not for the reserve that a later re-encryption needs
    image = make_volume(folder + '/nearly.img')
    for i in range(6):
        sh('cryptsetup', 'token', 'import', image, data=json.dumps(
            {'type': 'somebody-else', 'keyslots': [], 'blob': 'A' * 1430}).encode())
    refused(c, m, image, 'nearly full metadata area', 'metadata area is full')
    image = make_volume(folder + '/tokens.img', '--luks2-metadata-size', '64k')
    c.check(fill_tokens(image, 8) == 32, '32 foreign tokens')
    refused(c, m, image, 'no free token', 'no free token')

    image = make_volume(folder + '/slots.img', '--luks2-metadata-size', '64k', size='24M')
    key = folder + '/key'
    with open(key, 'wb') as f:
        f.write(b'another')
    while sh('cryptsetup', 'luksAddKey', *FAST, '-d', '-', image, key, data=PASSPHRASE, check=False).returncode == 0:
        pass
    c.check(len(header(image)['keyslots']) == 32, '32 keyslots')
    refused(c, m, image, 'no free keyslot', 'no free keyslot')
    sh('cryptsetup', 'luksKillSlot', '-q', image, '17')
    code, o, err = protect(m, image)
    c.check(code == 0 and o['slot'] == 17, 'one keyslot freed is enough', (o, err))
    image = make_volume(folder + '/area.img', '--luks2-keyslots-size', '512k')
    sh('cryptsetup', 'luksAddKey', *FAST, '-d', '-', image, key, data=PASSPHRASE)
    refused(c, m, image, 'no room for key material', 'keyslot area is full')

    image = make_volume(folder + '/re.img', size='24M')
    r = sh('cryptsetup', 'reencrypt', '--init-only', '--force-offline-reencrypt', '-q', '--resilience', 'checksum',
           *FAST[:4], '-d', '-', image, data=PASSPHRASE, check=False)
    if r.returncode:
        c.skip('re-encryption', r.stderr.decode()[:100])
    else:
        refused(c, m, image, 're-encryption is pending', 're-encryption', code=4)


def test_only_root(c, m):
    """Nobody else may ask the keeper: neither by the socket's mode, nor by who he is when the mode is open."""
    if os.geteuid() != 0:
        c.skip('other users are refused', 'needs root')
        return
    sock = m.path('/run/keyholt/keeper.sock')
    for folder in (os.path.dirname(m.root), m.root):
        os.chmod(folder, 0o755)
    command = shutil.copy(AGENT, os.path.dirname(m.root))  # the checkout may lie where only root can read
    asked = [command, 'status', '--root', m.root]
    for mode, reason in ((0o600, 'only root may ask'), (0o666, 'does not answer')):
        os.chmod(sock, mode)
        r = subprocess.run(asked, capture_output=True, text=True, user=65534, group=65534, extra_groups=[], timeout=30)
        c.check(r.returncode == 1 and reason in r.stderr and not r.stdout, f'another user, socket {mode:o}', r)
    c.check(m.agent('status')[0] == 0, 'root is answered')


def mount_small(path):
    """A file system of 1 MiB over the keeper's state; False where this is not allowed."""
    os.makedirs(path, exist_ok=True)
    libc = ctypes.CDLL(None, use_errno=True)
    return libc.mount(b'tmpfs', path.encode(), b'tmpfs', 0, b'size=1m,mode=0700') == 0


def fill(path):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        while True:
            os.write(fd, bytes(4096))
    except OSError:
        os.close(fd)


def test_disk_full(c, org, folder, bundle):
    m = Machine(folder + '/fullroot')
    state = m.path('/var/lib/keyholt/agent')
    if not mount_small(state):
        c.skip('disk full while writing the cache', 'no file system can be mounted here (needs root)')
        return
    try:
        m.install_org(bundle)
        m.start()
        image = make_volume(folder + '/df.img')
        fill(state + '/ballast')
        refused(c, m, image, 'disk full', 'is full', code=1)
        c.check(list(header(image)['keyslots']) == ['0'] and not header(image)['tokens'], 'no keyslot, no token')
        os.unlink(state + '/ballast')
        code, o, err = protect(m, image)
        c.check(code == 0 and judge(image, org)['tokens'][0]['opens'] == o['slot'], 'with room again it works', err)
    finally:
        m.stop()
        ctypes.CDLL(None).umount(state.encode())


def test_esp(c, org, folder, bundle):
    m = Machine(folder + '/esproot')
    m.install_org(bundle)
    os.makedirs(m.path('/boot/efi/EFI'))
    os.makedirs(m.path('/usr/lib/keyholt'))
    with open(m.path('/usr/lib/keyholt/recovery.efi'), 'wb') as f:
        f.write(b'MZ the app')
    m.start()
    image = make_volume(folder + '/esp.img')
    code, o, err = protect(m, image)
    c.check(code == 0 and 'UEFI' in o.get('warning', '') and 'warning' in err, 'no UEFI: protected, with a warning', (o, err))
    ours = m.path('/boot/efi/EFI/keyholt')
    envelope = open(f'{ours}/volumes/{o["uuid"]}.env', 'rb').read()
    token = [t for t in header(image)['tokens'].values() if t['type'] == 'keyholt'][0]

    c.check(envelope == base64.b64decode(token['envelope']), 'the envelope is on the ESP, too')
    for name in ('org.json', 'org.json.sig'):
        c.check(open(f'{ours}/{name}', 'rb').read() == open(f'{bundle}/{name}', 'rb').read(), f'{name} is on the ESP')
    c.check(open(f'{ours}/recovery.efi', 'rb').read() == b'MZ the app', 'the recovery app is on the ESP')
    c.check(open(f'{ours}/computer', encoding='utf-8').read() == socket.gethostname(), 'so is the computer\'s name')
    m.stop()
    with open(m.path('/usr/lib/keyholt/recovery.efi'), 'wb') as f:
        f.write(b'MZ a newer app')
    shutil.rmtree(ours + '/volumes')
    m.start()
    m.status()
    c.check(open(f'{ours}/recovery.efi', 'rb').read() == b'MZ a newer app' and os.listdir(ours + '/volumes'),
            'the ESP is brought up to date at start')
    code, o, err = protect(m, make_volume(folder + '/noesp.img'), PASSPHRASE, '--no-esp')
    c.check(code == 0 and 'warning' not in o and len(os.listdir(ours + '/volumes')) == 1, '--no-esp leaves it alone', o)

    code, second, err = protect(m, make_volume(folder + '/esp2.img'))
    c.check(code == 0 and len(os.listdir(ours + '/volumes')) == 2, 'a second volume', err)
    m.stop()
    os.unlink(f'{ours}/volumes/{second["uuid"]}.env')
    first = os.listdir(ours + '/volumes')[0]
    os.unlink(f'{ours}/volumes/{first}')
    os.mkdir(f'{ours}/volumes/{first}')  # cannot be replaced by a file
    left = ['org.json.part-aB3dE6', 'org.json.sig.part-000000', 'recovery.efi.part-zzzzzz',
            f'volumes/{second["uuid"]}.env.part-Qq1Qq1']
    theirs = ['org.json.backup', 'notes.part-abcdef', 'org.json.part-1', 'volumes/readme.part-abcdef', 'recovery.efi']
    for name in left + theirs:
        with open(f'{ours}/{name}', 'wb') as f:
            f.write(b'half')
    before = len(m.log())
    m.start()
    m.status()
    said = [line for line in m.log()[before:].splitlines() if 'EFI system partition' in line]
    c.check(open(f'{ours}/recovery.efi', 'rb').read() == b'MZ a newer app' and
            os.path.isfile(f'{ours}/volumes/{second["uuid"]}.env'), 'a volume that fails does not stop the rest')
    c.check(any('esp.img' in line and 'cannot be written' in line for line in said), 'and is named', said)
    c.check([n for n in left if os.path.exists(f'{ours}/{n}')] == [] and
            [n for n in theirs if not os.path.exists(f'{ours}/{n}')] == [],
            'half-written files of ours go, what others put there stays', os.listdir(ours))
    m.stop()


def test_at_terminal(c, m, folder):
    """Three volumes, and whoever sits there is asked twice: once for all, once for the one with another passphrase."""
    other = b'another passphrase'
    images = [make_volume(f'{folder}/{n}.img') for n in ('one', 'two')] + [make_volume(f'{folder}/three.img', key=other)]
    code, said = m.at_terminal('protect', *images, '--no-esp', answers=[
        (b'Passphrase that opens the volume now: ', PASSPHRASE), (b'three.img has another passphrase', other)])
    c.check(code == 0 and said.count('assphrase that opens') == 1 and said.count('another passphrase') == 1,
            'a passphrase is asked for once, and another where it does not open', (code, said))
    c.check(said.count('protected') >= 3 and PASSPHRASE.decode() not in said and other.decode() + '\r' not in said,
            'all are protected, and nothing that was typed is shown', said)
    again = make_volume(f'{folder}/four.img', key=other)
    before = digest(again)
    code, said = m.at_terminal('protect', again, images[0], '--no-esp', answers=[
        (b'Passphrase that opens the volume now: ', PASSPHRASE), (b'four.img has another passphrase', b'')])
    c.check(code == 3 and digest(again) == before and 'refused' in said, 'nothing typed: it is left out, and named', (code, said))


def main():
    if not os.path.exists(KEEPER):
        print(f'{KEEPER} is not built: make')
        return 1
    c = Checks(fast_folder())
    org = Organisation(c.folder + '/org')
    m = Machine(c.folder + '/root').start()
    try:
        test_enroll(c, m, org, c.folder)
        test_protect(c, m, org, c.folder)
        test_other_volumes(c, m, org, c.folder)
        test_bad_volumes(c, m, c.folder)
        test_full_volumes(c, m, org, c.folder)
        test_at_terminal(c, m, c.folder)
        test_only_root(c, m)
        c.check(subprocess.run([KEEPER, '--root', m.root], capture_output=True, timeout=20).returncode == 1,
                'a second keeper on the same cache does not start')
        c.check(m.status()['organisation'] == 'Test Organisation', 'and the first goes on')
        c.check(m.stop() == 0, 'the keeper stops when asked')
        test_disk_full(c, org, c.folder, c.folder + '/bundle')
        test_esp(c, org, c.folder, c.folder + '/bundle')
    finally:
        m.stop()
    return c.close()


if __name__ == '__main__':
    sys.exit(main())
