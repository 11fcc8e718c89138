#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""protect and rotate by an existing way in that is no passphrase: a systemd-tpm2 token through libcryptsetup's plugin
interface (a plugin of the tests' own in its place: the real one wants a TPM device of the kernel's), with and without a
PIN; a clevis token with the real clevis and a real TPM (swtpm). Tokens and keyslots of others stay as they are."""
import json
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from machine import AGENT, FAST, KEEPER, OURS, PASSPHRASE, TOP, Checks, Machine, Organisation, fast_folder, header, judge, \
    make_volume, opens, sh
from swtpm import Swtpm

PLUGIN = f'{TOP}/build/tests/libcryptsetup-token-systemd-tpm2.so'
SECRET = 'the token knows this'


def agent(m, *argv, data=None, before=(), **env):
    """keyholt-agent in an environment of its own."""
    r = subprocess.run([*before, AGENT, argv[0], '--root', m.root, *argv[1:]], input=data, capture_output=True, timeout=90,
                       env={**os.environ, **env}, start_new_session=True)  # no terminal to ask at
    return r.returncode, r.stdout.decode(), r.stderr.decode()


def not_ours(image):
    h = header(image)
    mine = {s for t in h['tokens'].values() if t['type'] in OURS for s in t['keyslots']}
    return ({n: s for n, s in h['keyslots'].items() if n not in mine},
            {n: t for n, t in h['tokens'].items() if t['type'] not in OURS})


def test_plugin(c, m, org, folder):
    place = sh('pkg-config', '--variable=tokensdir', 'libcryptsetup', check=False).stdout.decode().strip() or \
        '/lib/x86_64-linux-gnu/cryptsetup'
    inside = ['unshare', '-m', 'sh', '-c', f'mount --bind {folder}/plugins {place} && exec "$@"', 'sh']
    os.makedirs(folder + '/plugins')
    shutil.copy(PLUGIN, folder + '/plugins')
    if sh(*inside, 'true', check=False).returncode:
        c.skip('a token by a plugin of libcryptsetup', 'nothing can be mounted here (needs root)')
        return
    for pin in (None, '4711'):
        image, what = make_volume(f'{folder}/plugin{pin}.img'), f'a token {"with a PIN" if pin else "without a PIN"}'
        with open(folder + '/key', 'w') as f:
            f.write(SECRET)
        sh('cryptsetup', 'luksAddKey', *FAST, '--key-slot', '4', '-d', '-', image, folder + '/key', data=PASSPHRASE)
        token = {'type': 'systemd-tpm2', 'keyslots': ['4'], 'passphrase': SECRET, **({'pin': pin} if pin else {})}
        sh(*inside, 'cryptsetup', 'token', 'import', '--token-id', '3', image, data=json.dumps(token).encode())
        before = not_ours(image)
        code, _, err = agent(m, 'protect', '--existing-token', '5', image, before=inside)
        c.check(code == 3 and 'not there' in err and 'nothing was changed' in err, f'{what}: no such token', (code, err))
        code, _, err = agent(m, 'protect', image, before=inside)
        if pin:
            c.check(code != 0 and not judge(image, org)['tokens'], f'{what} is not asked unless it is named', (code, err))
            code, _, err = agent(m, 'protect', '--existing-token', '3', '--passphrase-file', '-', image, data=b'1234',
                                 before=inside)
            c.check(code == 3 and 'PIN' in err and not judge(image, org)['tokens'], f'{what}: a wrong PIN', (code, err))
            code, _, err = agent(m, 'protect', '--existing-token', '3', '--passphrase-file', '-', image,
                                 data=pin.encode(), before=inside)
        c.check(code == 0, f'{what} protects', (code, err))
        keys = judge(image, org)['tokens']
        c.check(len(keys) == 1 and keys[0]['opens'] == keys[0]['slot'] and not_ours(image) == before,
                f'{what} and its keyslot stay as they are', keys)
        code, _, err = agent(m, 'rotate', '--existing-token', '3', *(('--passphrase-file', '-') if pin else ()), image,
                             data=pin.encode() if pin else None, before=inside)
        c.check(code == 0 and not opens(image, keys[0]['password'].encode()) and not_ours(image) == before,
                f'{what} rotates, too', (code, err))
    code, _, err = agent(m, 'protect', '--existing-token', 'x', image)
    c.check(code == 2, 'a token is a number', (code, err))


def test_key_file(c, m, org, folder):
    """As people have them: larger than any passphrase, and any byte may be the last one."""
    name = folder + '/key.bin'
    for what, data in (('4 KiB of key file', os.urandom(4095) + b'\n'), ('a key file with zero bytes', bytes(40) + b'\n\0\n')):
        image = make_volume(f'{folder}/{len(data)}.img')
        with open(name, 'wb') as f:
            f.write(data)
        sh('cryptsetup', 'luksAddKey', *FAST, '--key-slot', '4', '-d', '-', image, name, data=PASSPHRASE)
        before = not_ours(image)
        code, o, err = m.json('protect', '--no-esp', '--key-file', name, image)
        keys = judge(image, org)['tokens']
        c.check(code == 0 and len(keys) == 1 and keys[0]['opens'] == keys[0]['slot'] and not_ours(image) == before,
                f'{what} protects', (code, err))
        code, o, err = m.json('rotate', '--key-file', name, image)
        c.check(code == 0 and not opens(image, keys[0]['password'].encode()) and not_ours(image) == before,
                f'{what} rotates', (code, err))
        keys = judge(image, org)['tokens']
        with open(name, 'wb') as f:
            f.write(data[:-1])
        code, o, err = m.json('rotate', '--key-file', name, image)
        c.check(code == 3 and 'does not open it' in err and judge(image, org)['tokens'] == keys,
                f'{what}: without its last byte it opens nothing', (code, err))
    other = make_volume(folder + '/other.img')
    code, o, err = m.json('protect', '--no-esp', '--key-file', name, image, other)
    c.check(code == 3 and [v['exit_code'] for v in o['volumes']] == [3, 3] and not judge(other, org)['tokens'],
            'several: what became of each', (code, o, err))
    code, o, err = m.json('protect', '--no-esp', '--key-file', folder + '/nowhere', other)
    c.check(code == 3 and 'cannot be used' in err, 'no such file', (code, err))
    c.check(m.agent('protect', '--key-file', name, '--passphrase-file', name, other)[0] == 2, 'one of them')


def test_clevis(c, m, org, folder):
    if not shutil.which('clevis-luks-pass') or not shutil.which('clevis-decrypt-tpm2'):
        c.skip('a clevis token', 'no clevis with tpm2 here (clevis-luks, clevis-tpm2)')
        return
    tpm = Swtpm(folder + '/tpm')
    tcti = {'TPM2TOOLS_TCTI': tpm.tcti}
    os.makedirs(folder + '/bin')  # the command forgets where root's environment says a TPM is; this one does not
    with open(folder + '/bin/clevis', 'w') as f:
        f.write(f'#!/bin/sh\nTPM2TOOLS_TCTI={tpm.tcti} exec {shutil.which("clevis")} "$@"\n')
    os.chmod(folder + '/bin/clevis', 0o755)
    path = {'PATH': f'{folder}/bin:{os.environ["PATH"]}'}
    try:
        image = make_volume(folder + '/clevis.img')
        with open(folder + '/key', 'wb') as f:
            f.write(PASSPHRASE)
        r = subprocess.run(['clevis', 'luks', 'bind', '-y', '-k', folder + '/key', '-d', image, 'tpm2', '{}'],
                           capture_output=True, env={**os.environ, **tcti})
        if r.returncode:
            c.skip('a clevis token', 'clevis cannot bind here: ' + r.stderr.decode(errors='replace')[-200:])
            return
        before = not_ours(image)
        code, _, err = agent(m, 'protect', image)
        c.check(code != 0 and not judge(image, org)['tokens'], 'a TPM that is away opens nothing', (code, err))
        code, _, err = agent(m, 'protect', image, **path)
        keys = judge(image, org)['tokens']
        c.check(code == 0 and len(keys) == 1 and keys[0]['opens'] == keys[0]['slot'], 'a clevis token protects', (code, err))
        c.check(not_ours(image) == before, 'it and its keyslot stay as they are')
        r = subprocess.run(['clevis', 'luks', 'pass', '-d', image, '-s', '1'], capture_output=True,
                           env={**os.environ, **tcti})
        c.check(r.returncode == 0 and opens(image, r.stdout), 'and still open')
        code, _, err = agent(m, 'rotate', image)
        c.check(code == 0, 'from then on the management key does', err)
    finally:
        tpm.stop()


def main():
    for needed in (KEEPER, PLUGIN):
        if not os.path.exists(needed):
            print(f'{needed} is not built: make')
            return 1
    c = Checks(fast_folder())
    org = Organisation(c.folder + '/org')
    m = Machine(c.folder + '/root')
    m.install_org(org.bundle(c.folder + '/bundle'))
    m.start()
    try:
        test_key_file(c, m, org, c.folder)
        test_plugin(c, m, org, c.folder)
        test_clevis(c, m, org, c.folder)
    finally:
        m.stop()
    return c.close()


if __name__ == '__main__':
    sys.exit(main())
