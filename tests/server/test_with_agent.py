#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Both ends real: keeper, courier and command of the agent against the server, on an image file."""
import contextlib
import os
import sqlite3
import subprocess
import sys
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from laptop import Laptop, cannot_run, holds, machine, until  # noqa: E402
from server_fixture import Server, free_port  # noqa: E402


def orders(s):
    """Key IDs that are to be replaced, and whether that was done."""
    with contextlib.closing(sqlite3.connect(f'file:{s.state("writer/recovery.db")}?mode=ro', uri=True)) as db:
        return [(key, done is not None) for key, done in db.execute('SELECT key_id, done FROM commands ORDER BY made')]


def story(s, laptop):
    """Enrol, protect while the server is away, sync, read back, rotate as ordered."""
    laptop.run('enroll', '--bundle', s.bundle)
    s.stop()
    laptop.run('protect', '--passphrase-file', '-', '--no-esp', laptop.image, data=machine.PASSPHRASE)
    first = laptop.volume()
    holds(first['escrow'] == 'queued', str(first))
    s.start(s.port)
    laptop.machine.agent('sync')
    first = until('a receipt', lambda: (v := laptop.volume())['escrow'] == 'receipted' and v)
    got, _ = s.recover(first['key_id'][:8])
    holds(got['key_id'] == first['key_id'], str(got))
    opened = subprocess.run(['cryptsetup', 'open', '--test-passphrase', laptop.image, '--key-file', '-'],
                            input=got['recovery_password'].encode(), capture_output=True, timeout=60)
    holds(opened.returncode == 0, 'the password that was read back opens the volume')
    laptop.machine.agent('sync')
    holds(orders(s) == [(first['key_id'], False)], 'the order to rotate waits')
    laptop.run('rotate', '--passphrase-file', '-', laptop.image, data=machine.PASSPHRASE)
    laptop.machine.agent('sync')
    until('its receipt', lambda: laptop.volume()['escrow'] == 'receipted')
    second = laptop.volume()
    until('the order is done', lambda: orders(s) == [(first['key_id'], True)])
    again, _ = s.recover(second['key_id'])
    for password, opens in ((again['recovery_password'], 0), (got['recovery_password'], 2)):
        p = subprocess.run(['cryptsetup', 'open', '--test-passphrase', laptop.image, '--key-file', '-'],
                           input=password.encode(), capture_output=True, timeout=60)
        holds(p.returncode == opens, f'cryptsetup: {p.returncode}, wanted {opens}')


def main():
    code = cannot_run('test_agent_and_server')
    if code is not None:
        return code
    port = free_port()
    s = Server(urls=(f'https://127.0.0.1:{port}',))
    laptop = None
    failed = 0
    try:
        s.start(port)
        laptop = Laptop(s.path('laptop'))
        story(s, laptop)
        print('test_agent_and_server: ok')
    except Exception:
        traceback.print_exc(file=sys.stdout)
        print(s.read_log()[-2000:])
        if laptop:
            print(laptop.logs())
        failed = 1
    finally:
        if laptop:
            laptop.stop()
        s.clean()
    print(f'{1 - failed} passed, {failed} failed, 0 skipped')
    return failed


if __name__ == '__main__':
    sys.exit(main())
