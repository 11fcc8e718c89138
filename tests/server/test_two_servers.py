#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two live servers of one organisation over one PostgreSQL with a synchronous standby. Closes with "N passed, N failed"."""
import copy
import json
import os
import random
import re
import signal
import sys
import threading
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import postgres  # noqa: E402
from server_fixture import Server  # noqa: E402
from server_suite import enrolled, eq, holds, until  # noqa: E402
from test_postgres import REPLICATED, classes, count, has, pair  # noqa: E402
from test_standby import second_server  # noqa: E402

LIMIT_S = 400


def at(server, device):
    """The same laptop, talking to that server."""
    there = copy.copy(device)
    there.s = server
    return there


def both(work, *servers):
    """At the same moment."""
    failed = []

    def one(x):
        try:
            work(x)
        except Exception as e:  # pylint: disable=broad-except
            failed.append(e)
    threads = [threading.Thread(target=one, args=(x,)) for x in servers]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for e in failed:
        raise e


def they_migrate_once(p, s, b):
    """Both find an empty database at the same moment."""
    both(lambda x: x.start(), s, b)
    steps = re.findall(r'half=(\S+) migrated-to=(\d+)', s.read_log() + b.read_log())
    eq(sorted(steps), sorted(set(steps)), 'each step of each half by one of them')
    holds({half for half, _ in steps} == {'keyholt_recovery', 'keyholt_compliance'}, steps)
    eq(count(p, 'pg_namespace', "nspname IN ('keyholt_recovery', 'keyholt_compliance')"), 2, 'the stores')


def they_say_the_same(s, b, d):
    """Whoever took a record: digest, chain and receipts are those of both."""
    records = [d.escrow() for _ in range(3)] + [d.report('{"n":1}')]
    for n, record in enumerate(records):
        x = at((s, b)[n % 2], d)
        eq(x.names(x.sync(record)[2]), [record['name']], f'record {n}')
    one, other = (at(x, d).sync(*records)[2] for x in (s, b))
    eq((one['envelopes_match'], other['envelopes_match']), (True, True), 'digests')
    eq(one['known'], other['known'], 'the end of its chain')
    eq(sorted(d.names(one)), sorted(d.names(other)), 'receipts of both for all of them')
    eq(set(classes(d, one) + classes(d, other)), {REPLICATED}, 'their class')
    return records[:3]


def limits_are_divided(s, b, keys):
    """Two an hour at each; the orders of either are handed out by the other."""
    for x, key in ((s, keys[0]), (s, keys[1]), (b, keys[1]), (b, keys[2])):
        eq(x.recover(key['key_id'])[0]['recovery_password'], key['digits'], 'disclosed')
    for x in (s, b):
        holds('has read 2 keys' in x.recover(keys[0]['key_id'], code=4)[1], 'no third one')


def orders_go_everywhere(s, b, d, keys):
    for x in (s, b):
        until('ordered here, too', lambda x=x: sorted(d.orders(at(x, d).sync()[2])) == sorted(k['key_id'] for k in keys))


def revocation_is_in_force(s, b):
    """What one was told the other does at the next question."""
    d = enrolled(s, 'stolen')
    eq(at(b, d).sync(d.escrow())[0], 200, 'before')
    s.command('device', 'revoke', d.id)
    eq([at(x, d).sync(d.escrow())[0] for x in (b, s)], [403, 403], 'at once')
    s.command('device', 'allow', d.id)
    eq(at(b, d).sync()[0], 200, 'taken back')


class Busy:
    """A laptop that escrows at either server and tries the other where one does not answer."""

    def __init__(self, servers, device):
        self.servers, self.device, self.safe = servers, device, []
        self.stop, self.after = threading.Event(), threading.Event()
        self.late = 0  # receipted after one of the servers died
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def send(self, record):
        for server in random.sample(self.servers, len(self.servers)):
            try:
                x = at(server, self.device)
                status, _, answer = x.sync(record)
            except OSError:
                continue
            if status == 200 and x.names(answer) == [record['name']]:
                return True
        return False

    def run(self):
        while not self.stop.is_set():
            record = self.device.escrow()
            died = self.after.is_set()
            while not self.send(record) and not self.stop.is_set():
                time.sleep(0.1)
            else:
                self.safe.append(record)
                self.late += died


def one_dies_under_load(p, standby, s, b):
    devices = [enrolled(s, f'busy-{n}') for n in range(3)]
    busy = [Busy((s, b), d) for d in devices]
    try:
        until('all are busy', lambda: all(len(x.safe) >= 5 for x in busy))
        b.kill()
        for x in busy:
            x.after.set()
        until('they go on at the other', lambda: all(x.late >= 3 for x in busy))
    finally:
        for x in busy:
            x.stop.set()
        for x in busy:
            x.thread.join()
    safe = [r for x in busy for r in x.safe[:-1]]  # the last one may have been given up
    eq([r['name'] for r in safe if not has(p, r) or not has(standby, r)], [], f'of {len(safe)} receipted, lost')
    print(f'    {len(safe)} receipted while one died, {sum(x.late for x in busy)} of them afterwards')
    b.start()
    for d in devices:
        eq(at(b, d).sync()[2]['envelopes_match'], True, 'it knows what came meanwhile')
    return devices


def test_two_live_servers():
    with pair() as (p, standby):
        s = b = None
        url = p.url + ',' + standby.dir.replace('/', '%2F')
        try:
            s = Server()
            s.configure(recovery=url, compliance=url, vaults=2, disclosures_per_hour=4)
            b = second_server(s)
            they_migrate_once(p, s, b)
            d = enrolled(s, 'laptop')
            keys = they_say_the_same(s, b, d)
            limits_are_divided(s, b, keys)
            orders_go_everywhere(s, b, d, keys)
            revocation_is_in_force(s, b)
            one_dies_under_load(p, standby, s, b)
            for x in (s, b):
                holds('good' in x.command('audit', 'verify').stdout, 'its chain')
                eq(json.loads(x.command('audit', 'losses', '--json').stdout)['losses'], [], 'no loss')
                eq(json.loads(x.command('verify', '--json').stdout)['wrong'], 0, 'its store')
            holds('has read 2 keys' in b.recover(keys[0]['key_id'], code=4)[1], 'it remembers whom it told what')
            until('told to both', lambda: count(p, 'keyholt_recovery.disclosures') == 4)
        except Exception:
            for x in (s, b):
                print(x.read_log()[-2500:] if x is not None and os.path.exists(x.log) else '')
            raise
        finally:
            if b is not None:
                b.stop()
            if s is not None:
                s.clean()


def main():
    signal.alarm(LIMIT_S)
    why = postgres.missing()
    if why:
        print(f'SKIP: {why}')
        print('0 passed, 0 failed, 1 skipped')
        return 0
    try:
        start = time.monotonic()
        test_two_live_servers()
    except Exception:  # pylint: disable=broad-except
        traceback.print_exc(file=sys.stdout)
        print('0 passed, 1 failed')
        return 1
    print(f'test_two_live_servers: ok ({time.monotonic() - start:.1f} s)')
    print('1 passed, 0 failed')
    return 0


if __name__ == '__main__':
    sys.exit(main())
