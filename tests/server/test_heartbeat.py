#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a heartbeat may carry that needs no person to go away again, each measured with both ends real, and all of it at
once. Beside them, without a bound, one with an order, which ends when it is obeyed."""
import contextlib
import glob
import json
import os
import sqlite3
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from laptop import Laptop, cannot_run, holds, policy_bundle, until  # noqa: E402
from relay import HEARTBEAT_MAX, Relay, body_of, bytes_of, heartbeat  # noqa: E402
from server_fixture import Server, as_root, free_port  # noqa: E402


def quiet(laptop):
    """Every record receipted, and nothing that the two still have to say about it."""
    def said_all():
        laptop.relay.exchanges.clear()
        laptop.run('sync')
        last = laptop.relay.exchanges[-1][1] if len(laptop.relay.exchanges) == 1 else b''
        return laptop.status()['queued'] == 0 and b'missing' not in body_of(last) if last else False
    until('nothing is left to say', said_all, 60)


def measured(laptop, what, *members, absent=(), bound=HEARTBEAT_MAX, before=lambda: None):
    """A row, and whether the answer had what it is about: these members, not those, and receipts nowhere. News are told
    once, and what the courier does of its own may hear them: then they are made again (before), a few times."""
    for _ in range(5):
        before()
        up, down, answer = heartbeat(laptop, laptop.relay)
        got = json.loads(answer)
        wrong = [m for m in members if m not in got] + [m for m in (*absent, 'receipts') if m in got]
        if not wrong:
            break
    good = (bound is None or up + down <= bound) and not wrong
    return 'heartbeat' + what, bytes_of(up, down) + (f'; {wrong} in {answer}?' if wrong else ''), good


def news(s):
    """Somebody is at the audit log: every device hears of its new head, once."""
    s.recover('00000000', code=3)


def lose_cache(laptop):
    """The server knows more from now on: what was retired before is in no header any more."""
    laptop.machine.stop()
    for name in glob.glob(laptop.folder + '/var/lib/keyholt/agent/cache.db*'):
        os.unlink(name)
    laptop.machine.start()


def head_of_another_vault(laptop):
    """As after answers of a server with a vault of its own, whose word was not kept."""
    laptop.machine.stop()
    with contextlib.closing(sqlite3.connect(laptop.folder + '/var/lib/keyholt/agent/cache.db')) as db, db:
        put = 'INSERT INTO meta VALUES(?,?) ON CONFLICT(name) DO UPDATE SET value=excluded.value'
        db.executemany(put, [('audit_hash', os.urandom(32)), ('audit_chain', os.urandom(4))])
        db.execute("DELETE FROM meta WHERE name='audit_word'")
    laptop.machine.start()


def older_reports(s):
    """The server's compliance store goes back to before the device's last record."""
    s.stop()
    path = s.state('writer/compliance.db')
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        holds(db.execute('DELETE FROM records WHERE name = (SELECT name FROM records '
                         'ORDER BY received_us DESC, sequence DESC LIMIT 1)').rowcount == 1, 'one')
    if as_root():
        for name in glob.glob(path + '*'):
            os.chown(name, 64802, 64802)
    s.start()


def rows(s, laptop):
    yield measured(laptop, '')
    yield measured(laptop, ', the audit log grew', 'audit_head', before=lambda: news(s))
    laptop.rotate()
    quiet(laptop)
    lose_cache(laptop)
    quiet(laptop)
    laptop.rotate()  # and with it a key package
    quiet(laptop)
    holds(not laptop.status()['volumes'][0]['note'], 'no key to be replaced')
    yield measured(laptop, ', the server has more envelopes and key packages than we know of', absent=('envelopes', 'packages'))
    def went_back():
        older_reports(s)
        head_of_another_vault(laptop)
    yield measured(laptop, ', it went back to an older report and has not our audit head: the worst', 'known', 'audit_head',
                   before=went_back)
    until('the word on our head is asked for', lambda: b'want_audit_word' in heartbeat(laptop, laptop.relay)[2])
    yield measured(laptop, ', it has another audit log', 'audit_head', 'want_audit_word', absent=('known',), before=lambda: news(s))
    s.recover(laptop.volume()['key_id'])
    yield measured(laptop, ', and an order to rotate', 'commands', bound=None)


def measure():
    """(what, figure as text, good), of an agent and a server of its own, with key packages: the most there is to say."""
    port = free_port()
    s = Server('--web-workers', '1', urls=(f'https://127.0.0.1:{port}',))  # each asks for itself about a head
    laptop = None
    try:
        s.start()
        laptop = Laptop(s.path('laptop'))
        laptop.relay = Relay(s, port, s.path('laptop'))
        laptop.run('enroll', '--bundle', policy_bundle(s, 'bundle-2', key_package=True))
        laptop.protect()
        quiet(laptop)
        yield from rows(s, laptop)
    finally:
        if laptop:
            laptop.stop()
        s.clean()


def main():
    code = cannot_run('test_heartbeat')
    if code is not None:
        return code
    results = []
    for what, figure, good in measure():
        print(f'{what}: {figure}: {"ok" if good else "FAILED"}', flush=True)
        results.append(good)
    print(f'{sum(results)} passed, {len(results) - sum(results)} failed, 0 skipped')
    return 0 if results and all(results) else 1


if __name__ == '__main__':
    sys.exit(main())
