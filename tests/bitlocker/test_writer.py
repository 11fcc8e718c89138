#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests' own writer makes opens with cryptsetup too, and with Keyholt in every way it has.

usage: tests/bitlocker/test_writer.py     (from the repository's root, after make)
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile

WRITE, TOOL = 'build/tests/bitlocker_write', 'build/tests/bitlocker_tool'


def run(*args):
    return subprocess.run(args, capture_output=True, text=True, timeout=180)


def put(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, 'w', encoding='utf-8') as f:
        f.write(text)
    return path


def ways(folder, bek, seen):
    """(name, arguments of the tool, file of the secret where a person types it)"""
    for i, password in enumerate(seen['recovery']):
        path = put(folder, f'recovery-{i}', password)
        yield f'recovery password {i}', ['recovery', path], path
    path = put(folder, 'passphrase', seen['passphrase'])
    yield 'passphrase', ['passphrase', path], path
    if seen['startup_key']:
        yield 'startup key', ['startup-key', bek], None
    if seen['clear_key']:
        yield 'clear key', ['clear-key'], None


def cryptsetup(image, secret):
    """None when it opens, else what it says."""
    p = run('cryptsetup', 'open', '--type', 'bitlk', '--test-passphrase', '--key-file', secret, image)
    return None if p.returncode == 0 else p.stderr.strip() or f'exit {p.returncode}'


def check(name, folder, result):
    image, bek = os.path.join(folder, 'image'), os.path.join(folder, 'key.bek')
    p = run(WRITE, name, image, bek)
    assert p.returncode == 0, f'{name}: the writer failed'
    seen = json.loads(p.stdout)
    for way, args, secret in ways(folder, bek, seen):
        got = run(TOOL, 'hash', image, *args)
        result(f'{name}: {way}', got.stdout.strip() == 'OK ' + seen['sha256'], got.stdout + got.stderr)
        if secret and seen['cryptsetup'] and shutil.which('cryptsetup'):
            said = cryptsetup(image, secret)
            result(f'{name}: {way} by cryptsetup', said is None, said)
    wrong = put(folder, 'wrong', '000000-' * 7 + '000011')
    got = run(TOOL, 'open', image, 'recovery', wrong)
    result(f'{name}: wrong password', got.returncode == 1 and got.stderr.startswith('AUTH'), got.stderr)


def main():
    counts = [0, 0]

    def result(what, good, said):
        counts[not good] += 1
        if not good:
            print(f'FAILED {what}: {said}')

    if not shutil.which('cryptsetup'):
        print('SKIP: no cryptsetup; the writer has no second opinion')
    for name in run(WRITE, 'list').stdout.split():
        with tempfile.TemporaryDirectory(prefix='keyholt-') as folder:
            check(name, folder, result)
    print(f'{counts[0]} passed, {counts[1]} failed')
    return 1 if counts[1] or not counts[0] else 0


if __name__ == '__main__':
    sys.exit(main())
