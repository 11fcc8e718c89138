#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several servers over one PostgreSQL; disclosure and reports while only a standby answers. Closes with "N passed, N failed"."""
import copy
import json
import os
import signal
import sys
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
import postgres  # noqa: E402
import secret_search  # noqa: E402
from server_fixture import NO_GUID, Device, Server, run  # noqa: E402
from server_suite import eq, holds  # noqa: E402

LIMIT_S = 1200


def until(what, question):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        got = question()
        if got:
            return got
        time.sleep(0.1)
    raise AssertionError(f'not within a minute: {what}')


def boots(s, key):
    """What `audit show` says of the laptops' own reports, which lie in the compliance store."""
    p = s.command('audit', 'show', '--key-id', key, '--json', code=None)
    return [e['source'] for e in json.loads(p.stdout)['entries']] if p.stdout else []


def scene(s, primary, standby, url):
    s.configure(recovery=url, compliance=url, disclosures_per_hour=4)
    s.start()
    d = Device(s, 'laptop')
    eq(d.enroll()[0], 200, 'enrol')
    first, second, third = (d.escrow() for _ in range(3))
    boot = d.event(1, second['key_id'], volume=second['volume'])
    eq(len(d.names(d.sync(first, second, third, boot)[2])), 4, 'receipted')
    d.sync(d.event(6, NO_GUID))
    eq(s.recover(first['key_id'])[0]['rotation'], 'ordered', 'with the primary')
    until('the standby has it all', lambda: [standby.sql(f'SELECT count(*) FROM keyholt_recovery.{table}')
                                             for table in ('commands', 'disclosures')] == ['1', '1'])

    at = os.path.getsize(s.log)
    primary.kill()
    s.wait_log('half=keyholt_recovery connected=1 standby=1', at, 60)
    s.wait_log('half=keyholt_compliance connected=1 standby=1', at, 60)
    status, headers, answer = d.sync(d.escrow())
    eq(status, 503, f'no receipt from a standby: {answer}')
    holds(int(headers['Retry-After']) > 0, 'when to come back')
    status, _, ready = s.request('GET', '/readyz')
    eq((status, ready['status'], ready['writes'], ready['recovery']['writable'], ready['disclosure']),
       (200, 'ready', False, False, True), 'a balancer keeps who can still disclose')
    got, _ = s.recover(second['key_id'])
    eq((got['recovery_password'], got['rotation']), (second['digits'], 'pending'), 'disclosed from the standby')
    eq(sorted(boots(s, second['key_id'])), ['boot-event', 'vault'], 'reports go on')
    eq([f['kind'] for f in json.loads(s.command('device', 'flags', '--json').stdout)['flags']], ['restored'], 'what was noticed, too')
    s.stop()
    s.start()  # quota and orders are in the vault's log, not in the process
    until('a standby will do for a start', lambda: 'disclosure' in s.request('GET', '/healthz')[2])
    until('disclosed after a start', lambda: s.recover(third['key_id'], code=None)[0].get('recovery_password') == third['digits'])
    s.recover(first['key_id'])
    holds('has read 4 keys' in s.recover(second['key_id'], code=4)[1], 'the quota holds')
    eq(standby.sql('SELECT count(*) FROM keyholt_recovery.disclosures'), '1', 'nothing was written there')

    standby.promote()
    orders = until('the orders follow', lambda: (lambda o: len(o) == 3 and o)(d.orders(d.sync()[2]) if d.sync()[0] == 200 else []))
    eq(sorted(orders), sorted(e['key_id'] for e in (first, second, third)), 'orders')
    until('the table is filled from the log', lambda: standby.sql('SELECT count(*) FROM keyholt_recovery.disclosures') == '4')
    until('receipts come again', lambda: (lambda r: r[0] == 200 and r[2]['receipts'])(d.sync(d.escrow())))
    eq(s.request('GET', '/readyz')[2]['writes'], True, 'and are promised')
    s.command('audit', 'verify')
    eq(secret_search.search([s.root, s.log], [e['digits'] for e in (first, second, third)]), [], 'passwords on disk')


def second_server(s):
    """As the manual says: a copy of the first, with a log of its own."""
    b = copy.copy(s)
    b.root, b.log, b.process = s.path('second'), s.path('second.log'), None
    run('cp', '-a', s.root, b.root)
    holds('begins' in b.command('audit', 'begin').stdout, 'a log of its own')
    return b


def test_two_servers_over_one_database():
    """What one takes the other has; neither takes the other's heads for a loss; orders and revocation reach both."""
    primary = postgres.Postgres().start()
    s = b = None
    try:
        url = f'postgres://keyholt@/postgres?host={primary.dir.replace("/", "%2F")}'
        s = Server()
        s.configure(recovery=url, compliance=url, vaults=2)
        b = second_server(s)
        s.start()
        s.command('audit', 'begin', code=1)  # not while it runs
        b.start()
        d = Device(s, 'laptop')
        there = copy.copy(d)  # the same laptop at the other server
        there.s = b
        eq(d.enroll()[0], 200, 'enrol')
        first, second = d.escrow(), d.escrow()
        eq(len(d.names(d.sync(first)[2])), 1, 'receipted by one')
        eq(len(there.names(there.sync(second)[2])), 1, 'and by the other')
        eq(b.recover(first['key_id'])[0]['recovery_password'], first['digits'], 'disclosed there')
        eq(s.recover(second['key_id'])[0]['recovery_password'], second['digits'], 'and here')
        eq(sorted(d.orders(d.sync()[2])), sorted((first['key_id'], second['key_id'])), 'the orders of both')
        heads = {x.s.root: x.sync()[2]['audit_head'] for x in (d, there)}
        for here, elsewhere in ((d, heads[b.root]), (there, heads[s.root])):
            until('a head of the other is asked for', lambda: here.sync(audit_head=elsewhere['hash'])[2].get('want_audit_word'))
            until('and is no loss', lambda: 'want_audit_word' not in
                  here.sync(audit_head=elsewhere['hash'], audit_word=elsewhere['word'])[2])
            eq(json.loads(here.s.command('audit', 'losses', '--json').stdout)['losses'], [], 'no loss')
        chain = b.path('second-chain.log')
        b.command('audit', 'export', chain)
        s.command('audit', 'import', chain)
        eq(sorted(e['source'] for e in s.audit() if e['action'] == 'disclose'), ['imported', 'vault'], 'merged')
        for x in (s, b):
            x.command('audit', 'verify')
    except Exception:
        for x in (s, b):
            print(x.read_log()[-2000:] if x is not None and os.path.exists(x.log) else '')
        raise
    finally:
        if b is not None:
            b.stop()
        for thing in (s, primary):
            if thing is not None:
                thing.clean()


def test_only_a_standby_answers():
    primary = postgres.Postgres().start()
    standby = s = None
    try:
        standby = postgres.Postgres(primary=primary).start()
        one, two = (p.dir.replace('/', '%2F') for p in (primary, standby))
        s = Server()
        scene(s, primary, standby, f'postgres://keyholt@/postgres?host={one},{two}')
    except Exception:
        if s is not None and os.path.exists(s.log):
            print(s.read_log()[-4000:])
        raise
    finally:
        for thing in (s, standby, primary):
            if thing is not None:
                thing.clean()


def main():
    signal.alarm(LIMIT_S)
    why = postgres.missing()
    if why:
        print(f'SKIP: {why}')
        print('0 passed, 0 failed, 1 skipped')
        return 0
    tests = [t for name, t in globals().items() if name.startswith('test_') and (not sys.argv[1:] or name in sys.argv[1:])]
    failed = 0
    for test in tests:
        try:
            test()
        except Exception:
            traceback.print_exc(file=sys.stdout)
            failed += 1
    print(f'{len(tests) - failed} passed, {failed} failed')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
