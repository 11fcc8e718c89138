#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes made by Windows: each way in of images.conf, the SHA-256 of the whole decrypted volume, what is listed.

usage: tests/bitlocker/test_windows.py     (from the repository's root, after make)

KEYHOLT_DATA (default ../shared/data) names the folder with bitlk/bitlk-images.tar.xz and bitlk/images.conf.
"""
import configparser
import json
import os
import subprocess
import sys
import tempfile

DATA = os.path.join(os.environ.get('KEYHOLT_DATA', '../shared/data'), 'bitlk')
IMAGES = 'build/data/bitlk'
TOOL = 'build/tests/bitlocker_tool'
METHODS = {'aes-xts-plain64': 'AES-XTS', 'aes-cbc-eboiv': 'AES-CBC', 'aes-cbc-elephant': 'AES-CBC'}


def unpack():
    """The images, sparse; once."""
    done = os.path.join(IMAGES, 'unpacked')
    if not os.path.exists(done):
        os.makedirs(IMAGES, exist_ok=True)
        subprocess.run(['tar', '--sparse', '--no-same-owner', '-xJf', os.path.join(DATA, 'bitlk-images.tar.xz'), '-C',
                        IMAGES], check=True)
        with open(done, 'w', encoding='ascii'):
            pass


def find(name):
    """A file of the archive, whatever folder and case it has there."""
    for folder, _, files in os.walk(IMAGES):
        for file in files:
            if file.lower() == name.lower():
                return os.path.join(folder, file)
    raise FileNotFoundError(name)


def tool(*args):
    p = subprocess.run([TOOL, *args], capture_output=True, text=True, timeout=120)
    return p.stdout.strip() if p.returncode == 0 else p.stderr.strip()


def ways(conf):
    """(way, key ID, secret as bytes) for each one that the configuration names."""
    for prefix, way in (('PW', 'passphrase'), ('RP', 'recovery'), ('RP2', 'recovery')):
        if conf.get(prefix):
            yield way, conf[prefix + '_VMK_GUID'], conf[prefix].encode()
    if conf.get('SK_VMK_GUID'):
        with open(find(conf['SK_VMK_GUID'] + '.BEK'), 'rb') as f:
            yield 'startup-key', conf['SK_VMK_GUID'], f.read()
    if conf.get('CLEARKEY_VMK_GUID'):
        yield 'clear-key', conf['CLEARKEY_VMK_GUID'], b''


def check(name, conf, secret, result):
    image = find(name + '.img')
    seen = json.loads(tool('show', image))
    listed = {p['id'] for p in seen['protectors'] if p['opens']}
    result('volume ID', seen['volume'], conf['GUID'])
    result('method', seen['method'].split()[0], METHODS[conf['CIPHER']])
    result('suspended', seen['suspended'], bool(conf.get('CLEARKEY_VMK_GUID')))
    result('block problems', [b['problem'] for b in seen['blocks']], [''] * 3)
    for way, key_id, content in ways(conf):
        with open(secret, 'wb') as f:
            f.write(content)
        result(f'{way} listed', key_id in listed, True)
        result(f'{way} opens', tool('open', image, way, secret), f'OK {key_id}')
        result(f'{way} content', tool('hash', image, way, secret), f"OK {conf['SHA256SUM']}")
    with open(secret, 'wb') as f:
        f.write(b'000000-' * 7 + b'000011')
    if conf.get('RP'):
        result('wrong password', tool('open', image, 'recovery', secret).split()[0], 'AUTH')


def main():
    counts = [0, 0]
    if not os.path.exists(os.path.join(DATA, 'images.conf')):
        print(f'SKIP: no volumes made by Windows in {DATA} (KEYHOLT_DATA)')
        print('0 passed, 0 failed, 1 skipped')
        return 0
    unpack()
    images = configparser.ConfigParser()
    images.optionxform = str
    images.read(os.path.join(DATA, 'images.conf'))
    for name in images.sections():
        def result(what, got, want):
            counts[got != want] += 1
            if got != want:
                print(f'FAILED {name}: {what}: {got}, not {want}')

        with tempfile.NamedTemporaryFile(prefix='keyholt-') as secret:
            check(name, images[name], secret.name, result)
    print(f'{counts[0]} passed, {counts[1]} failed')
    return 1 if counts[1] or not counts[0] else 0


if __name__ == '__main__':
    sys.exit(main())
