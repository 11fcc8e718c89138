#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Durable before it is said: no receipt leaves the writer before its records are synced, and no password the vault before its
audit entry is (durable_shim.c looks at both). Closes with "N passed, N failed"."""
import contextlib
import http.client
import json
import os
import re
import subprocess
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from server_fixture import BUILD, NO_GUID, Server  # noqa: E402
from server_suite import enrolled, eq, holds, main, until  # noqa: E402

LOAD = os.path.join(BUILD, 'bin/keyholt-load')
SHIM = os.path.join(BUILD, 'tests/durable_shim.so')
DEVICES, ESCROWS, DISCLOSURES = 16, 320, 6


def start(s, **env):
    """With the shim in the server's processes and in nobody else."""
    env['LD_PRELOAD'] = SHIM
    os.environ.update(env)
    try:
        s.start()
    finally:
        for name in env:
            del os.environ[name]


def looked_at(s, process):
    """(receipts, passwords) that left a process until it ended in order."""
    said = re.findall(rf'durable_shim: {process}: (\d+) receipts, (\d+) passwords', s.read_log())
    eq(len(said), 1, f'the {process} said what left it')
    return tuple(map(int, said[0]))


def under_load(s):
    """Escrows of many devices, reports and disclosures, all at once; the number of receipts and of passwords."""
    d = enrolled(s, 'desk')
    load = subprocess.Popen([LOAD, '--bundle', s.bundle, '--enroll', f'127.0.0.1:{s.port}', '--devices', str(DEVICES)],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with load:
        holds(load.stdout.readline(), 'keyholt-load enrolled its devices')
        load.stdin.write(f'escrow full 127.0.0.1:{s.port} {DEVICES} {ESCROWS} 60\n')
        load.stdin.close()
        answers, wrong = [], []
        t = threading.Thread(target=lambda: answers.append(load.stdout.read()))
        t.start()
        own = 0
        for _ in range(DISCLOSURES):
            records = [d.escrow(), d.report('{}'), d.event(1, NO_GUID)]
            answer = d.sync(*records)[2]
            eq(len(d.names(answer)), 3, 'receipted')
            own += len(answer['receipts'])
            if s.recover(records[0]['key_id'])[0].get('recovery_password') != records[0]['digits']:
                wrong.append(records[0]['key_id'])
        t.join(120)
    eq(wrong, [], 'not disclosed')
    got = json.loads(answers[0])
    eq(got['receipts'], ESCROWS, f'receipts of the load: {got}')
    return own + got['receipts'], DISCLOSURES


def caught(s, said, ask):
    """What leaves too early is seen, and ends the process; one that was ended may not be back yet."""
    at = os.path.getsize(s.log)

    def is_seen():
        with contextlib.suppress(OSError, http.client.HTTPException):
            ask()
        return f'durable_shim: WRONG: {said}' in s.read_log(at)
    until(said, is_seen)


def test_durable_before_it_is_said():
    s = Server('--web-workers', '2')
    try:
        start(s)
        receipts, passwords = under_load(s)
        eq(s.stop(), 0, 'the server stops in order')
        eq(re.findall('durable_shim: WRONG.*', s.read_log()), [], 'what left too early')
        eq(looked_at(s, 'writer'), (receipts, 0), 'of the writer')
        eq(looked_at(s, 'vault'), (0, passwords), 'of the vault')
        s.start()
        d = enrolled(s, 'control')
        record = d.escrow()
        eq(len(d.names(d.sync(record)[2])), 1, 'receipted')
        s.stop()
        start(s, DURABLE_SHIM_SWALLOW='1')  # as with PRAGMA synchronous=NORMAL, and an audit log that is not synced
        caught(s, 'a password leaves before', lambda: s.recover(record['key_id'], code=None))
        caught(s, 'a receipt leaves before', lambda: d.sync(d.escrow()))
        caught(s, 'a receipt leaves before', lambda: d.sync(d.report('{}')))
    except Exception:
        print(s.read_log()[-3000:])
        raise
    finally:
        s.clean()


if __name__ == '__main__':
    sys.exit(main(globals(), set(sys.argv[1:])))
