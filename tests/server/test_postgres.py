#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server on a real PostgreSQL 15, which the tests run themselves. Closes with "N passed, N failed"."""
import contextlib
import http.client
import glob
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import postgres  # noqa: E402
from server_fixture import BUILD, NO_GUID, SERVER, Device, Server, run, tool  # noqa: E402
from server_suite import Skip  # noqa: E402
from test_operation import value  # noqa: E402

LIMIT_S = 1200
UNIT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'unit')
LOCAL, REPLICATED = 1, 2
results = {'passed': 0, 'failed': 0, 'skipped': 0}


def eq(got, want, what=''):
    if got != want:
        raise AssertionError(f'{what}: got {got!r}, wanted {want!r}')


def holds(condition, what):
    if not condition:
        raise AssertionError(what)


def until(what, question, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        got = question()
        if got:
            return got
        time.sleep(0.1)
    raise AssertionError(f'not within {seconds} s: {what}')


@contextlib.contextmanager
def cluster(**kw):
    p = postgres.Postgres(**kw)
    try:
        yield p.start()
    finally:
        p.clean()


def configure(s, **settings):
    """Change server.conf."""
    path = os.path.join(s.root, 'etc/keyholt/server.conf')
    text = open(path, encoding='utf-8').read()
    for name, value in settings.items():
        name = name.replace('_', '-')
        text, n = re.subn(rf'^{name} = .*$', lambda _, name=name, value=value: f'{name} = {value}', text, flags=re.M)
        eq(n, 1, f'{name} in server.conf')
    with open(path, 'w', encoding='utf-8') as f:
        f.write(text)


@contextlib.contextmanager
def server(recovery='', compliance='', start=True):
    s = Server()
    try:
        configure(s, recovery=recovery, compliance=compliance)
        if start:
            s.start()
        yield s
    except Exception:
        if os.path.exists(s.log):
            print(s.read_log()[-2500:])
        raise
    finally:
        s.clean()


def enrolled(s, name):
    d = Device(s, name)
    eq(d.enroll()[0], 200, 'enrol')
    return d


def receipted(d, records):
    """Send until everything has its receipt, as a device does."""
    names = {r['name'] for r in records}

    def sent():
        status, _, answer = d.sync(*records)
        return status == 200 and names <= set(d.names(answer))
    until('everything receipted', sent)


def classes(d, answer):
    return [tool('receipt', os.path.join(d.s.bundle, 'org.json'), r)['class'] for r in answer['receipts']]


def store_up(s):
    return [value(s, 'store_up', store=half) for half in ('recovery', 'compliance')]


def count(p, table, where='true'):
    return int(p.sql(f'SELECT count(*) FROM {table} WHERE {where}'))


# ---- the store alone

def test_store_suite():
    """Every program of the suite, as its sources name them."""
    programs = sorted(os.path.basename(path)[:-2] for path in glob.glob(os.path.join(UNIT, 'test_store_*.c')))
    holds(programs, f'no test_store_*.c in {UNIT}')
    with cluster() as p:
        for program in programs:
            done = run(os.path.join(BUILD, 'tests', program), p.url, code=None)
            text = done.stdout + done.stderr
            holds(done.returncode == 0 and re.search(r'^\[  PASSED  \] (postgres: )?[1-9]\d* test', text, re.M),
                  f'{program}: {text[-3000:]}')


# ---- one database

def test_enrol_sync_recover():
    with cluster() as p, server(p.url, p.url) as s:
        before = time.gmtime()
        d = enrolled(s, 'one')
        a, b, c = d.escrow(), d.report('{"os":"Debian"}'), d.event(1, NO_GUID)
        for _ in range(2):  # told twice, there once
            status, _, answer = d.sync(a, b, c)
            eq(status, 200, str(answer))
            eq(sorted(d.names(answer)), sorted(r['name'] for r in (a, b, c)), 'receipted')
            eq(classes(d, answer), [LOCAL], 'no standby')
            eq(answer['known']['sequence'], 3, 'known')
            eq(answer['envelopes_match'], True, 'digest')
        eq(s.recover(a['key_id'][:8])[0]['recovery_password'], a['digits'], 'digits')
        eq(d.orders(d.sync()[2]), [a['key_id']], 'the order to rotate')
        eq((count(p, 'keyholt_recovery.records'), count(p, 'keyholt_compliance.records'),
            count(p, 'keyholt_compliance.events'), count(p, 'keyholt_recovery.disclosures')), (1, 2, 1, 1), 'rows')
        for name in ('recovery.db', 'compliance.db'):
            holds(not os.path.exists(s.state('writer', name)), f'{name} was made')
        months = [f"'keyholt_compliance.records_{time.strftime('%Y_%m', t)}'" for t in (before, time.gmtime())]
        eq(count(p, 'keyholt_compliance.records', f'tableoid::regclass::text IN ({", ".join(months)})'), 2,
           'in the partition of the month')  # or in two, when one ends just now


SCHEMA = '5'  # as it is now
COLUMNS = ("SELECT string_agg(table_name || '.' || column_name, ' ' ORDER BY table_name, column_name) FROM"
           " information_schema.columns WHERE table_schema = 'keyholt_recovery'")


def to_version_1(p):
    p.sql('ALTER TABLE keyholt_recovery.devices DROP COLUMN approved')
    for half in ('recovery', 'compliance'):
        p.sql(f'DELETE FROM keyholt_{half}.keyholt_schema WHERE version > 1')
    p.sql('ALTER TABLE keyholt_recovery.commands DROP COLUMN again, DROP COLUMN loss')
    p.sql('DROP INDEX keyholt_recovery.envelopes_sender, keyholt_recovery.commands_key, keyholt_recovery.flags_age,'
          ' keyholt_recovery.flags_kind, keyholt_recovery.flags_device')


def test_an_older_schema_is_brought_forward():
    """What version 1 had made, with a device in it."""
    with cluster() as p, server(p.url, p.url) as s:
        d = enrolled(s, 'v1')
        e = d.escrow()
        d.sync(e)
        s.stop()
        to_version_1(p)
        s.start()
        eq(d.names(d.sync(e)[2]), [e['name']], 'it syncs on')
        eq([r['state'] for r in json.loads(s.command('device', 'list', '--json').stdout)['devices']], ['approved'], 'and is approved')
        eq(p.sql('SELECT max(version) FROM keyholt_recovery.keyholt_schema').strip(), SCHEMA, 'version')
        eq(p.sql("SELECT indexname FROM pg_indexes WHERE tablename = 'envelopes' ORDER BY indexname").split(),
           ['envelopes_key', 'envelopes_pkey', 'envelopes_sender'], 'the indexes')
        status, _, body = s.request('GET', '/readyz')
        eq((status, body['recovery']), (200, {'writable': True, 'replicated': False}), 'ready')


def test_killed_and_back():
    """PostgreSQL dies and comes back: nothing receipted is lost, nothing is receipted meanwhile, people are told."""
    with cluster() as p, server(p.url, p.url) as s:
        d = enrolled(s, 'two')
        before = [d.escrow(), d.report('{}')]
        receipted(d, before)
        p.kill()
        queued = [d.escrow(), d.report('{}')]
        status, headers, answer = d.sync(*queued)
        eq(status, 503, str(answer))
        holds(int(headers['Retry-After']) > 0, 'when to come back')
        got, said = s.recover(before[0]['key_id'], code=None)
        holds('recovery_password' not in got and 'now' in said, f'{got} {said}')
        eq(s.request('GET', '/healthz')[0] in (200, 503), True, 'the web workers live')
        p.start()
        receipted(d, queued)
        eq(s.recover(before[0]['key_id'])[0]['recovery_password'], before[0]['digits'], 'from before')
        eq(s.recover(queued[0]['key_id'])[0]['recovery_password'], queued[0]['digits'], 'from the queue')
        eq(count(p, 'keyholt_recovery.records'), 2, 'escrow records')
        p.stop()  # an orderly restart is the same to the server
        p.start()
        receipted(d, [d.escrow()])


def test_one_half_goes_on_without_the_other():
    for name in ('recovery', 'compliance'):
        with cluster() as p, server(**{name: p.url}) as s:
            d = enrolled(s, 'three')
            receipted(d, [d.escrow(), d.report('{}')])
            p.stop('immediate')
            escrow, report = d.escrow(), d.report('{}')
            status, _, answer = d.sync(escrow, report)
            if name == 'recovery':  # who a device is stands there: nothing can be taken
                eq(status, 503, str(answer))
            else:
                eq(status, 200, str(answer))
                eq(d.names(answer), [escrow['name']], 'the escrow record is safe, the report waits')
                eq(s.recover(escrow['key_id'])[0]['recovery_password'], escrow['digits'], 'disclosure goes on')
            p.start()
            receipted(d, [escrow, report])


def test_starts_without_its_database():
    with cluster() as p:
        p.stop()
        with server(p.url, p.url) as s:
            eq(s.request('GET', '/readyz')[0], 503, 'nothing can be written, nor read')
            eq(store_up(s), [0, 0], 'nor was either half')
            eq(Device(s, 'early').enroll()[0], 503, 'not now')
            p.start()
            d = Device(s, 'late')
            until('enrolled, with the token that init made', lambda: d.enroll()[0] == 200)
            receipted(d, [d.escrow()])
            s.stop()
            s.start()
            until('up, before anything is stored', lambda: store_up(s) == [1, 1])
            p.stop('immediate')
            until('down, without a transaction that failed', lambda: store_up(s) == [0, 0])
            p.start()
            until('up again', lambda: store_up(s) == [1, 1])


def refused(s, said):
    """It does not start, and says why."""
    done = subprocess.run([SERVER, 'serve', '--root', s.root, '--listen', '127.0.0.1:0'], capture_output=True, text=True, timeout=100)
    eq(done.returncode, 1, done.stderr[-500:])
    holds(said in done.stderr and 'ready' not in done.stdout, done.stderr[-500:])


def test_what_is_refused_at_start():
    with cluster() as p, server(p.url, p.url) as s:
        s.stop()
        for schema in ('keyholt_recovery', 'keyholt_compliance'):
            p.sql(f'INSERT INTO {schema}.keyholt_schema VALUES (999)')
            refused(s, 'newer keyholt-server')
            p.sql(f'DELETE FROM {schema}.keyholt_schema WHERE version = 999')
        for name, encoding in (('latin', 'LATIN1'), ('bytes', 'SQL_ASCII')):
            p.sql(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}'")
            other = p.url.replace('/postgres?', f'/{name}?')
            for half in ({'recovery': other}, {'compliance': other}):
                configure(s, **{'recovery': p.url, 'compliance': p.url, **half})
                refused(s, 'encoding must be UTF8')
            eq(p.sql("SELECT to_regnamespace('keyholt_recovery') IS NULL AND to_regnamespace('keyholt_compliance') IS NULL",
                     database=name), 't', f'nothing was made in {name}')
        configure(s, recovery=p.url, compliance=p.url)
        s.start()


def test_a_database_that_syncs_nothing():
    """fsync = off: not at start, and no receipt from one that comes back like that."""
    with cluster() as p, server(p.url, p.url) as s:
        d = enrolled(s, 'unsynced')
        first, second = [d.escrow(), d.report('{}')], [d.escrow(), d.report('{}')]
        receipted(d, first)
        p.stop('immediate')
        p.configure(fsync='off')
        at = os.path.getsize(s.log)
        p.start()
        for half in ('recovery', 'compliance'):
            s.wait_log(f'half=keyholt_{half} reason="fsync is off there: nothing in it is durable"', at)
        eq(d.sync(*second)[0], 503, 'no receipt')
        eq((count(p, 'keyholt_recovery.records'), count(p, 'keyholt_compliance.records')), (1, 1), 'nor anything stored')
        s.stop()
        refused(s, 'fsync is off')
        p.reload(fsync='on')
        s.start()
        receipted(d, second)


class Reading:
    """Somebody who reads a table in a transaction that does not end, so that nobody can alter it."""

    def __init__(self, p, table):
        self.process = subprocess.Popen(
            [f'{postgres.BIN}/psql', '-X', '-q', '-d', p.url, '-c', f'BEGIN; SELECT FROM {table} LIMIT 0; SELECT pg_sleep(300)'],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(f'{table} is read', lambda: count(p, 'pg_locks', f"relation = '{table}'::regclass AND granted") > 0)

    def stop(self):
        self.process.kill()
        self.process.wait(30)


def waiting(p, table):
    """Who waits to alter it: his process, or nothing."""
    return p.sql(f"SELECT pid FROM pg_locks WHERE relation = '{table}'::regclass AND NOT granted")


def test_a_migration_that_is_killed_half_way():
    """Its backend is ended, then all of PostgreSQL, after its second step: nothing of it stays, and it is made later."""
    table = 'keyholt_recovery.commands'
    with cluster() as p, server(p.url, p.url) as s:
        d = enrolled(s, 'half-way')
        e = d.escrow()
        receipted(d, [e])
        s.stop()
        to_version_1(p)
        tables = p.sql(COLUMNS)
        reading = Reading(p, table)
        starts = threading.Thread(target=s.start)
        starts.start()
        try:
            pid = until('the migration stands still', lambda: waiting(p, table))
            eq(p.sql(COLUMNS), tables, 'nobody else sees any of it')
            p.sql(f'SELECT pg_terminate_backend({pid})')
            until('its backend is gone', lambda: pid not in (waiting(p, table) or '').split())
            eq((p.sql(COLUMNS), p.sql('SELECT max(version) FROM keyholt_recovery.keyholt_schema')), (tables, '1'), 'nothing stays')
            until('it is tried again', lambda: waiting(p, table))
            p.stop('immediate')
        finally:
            reading.stop()
            starts.join(120)
        p.start()
        until('it is made', lambda: p.sql('SELECT max(version) FROM keyholt_recovery.keyholt_schema') == SCHEMA)
        until('it syncs on', lambda: d.sync()[0] == 200)
        eq(d.names(d.sync(e)[2]), [e['name']], 'what was there is there')
        eq(count(p, 'keyholt_recovery.keyholt_schema'), int(SCHEMA), 'each step once')
        eq(s.recover(e['key_id'])[0]['recovery_password'], e['digits'], 'and yields its key')


# ---- a primary and its standby

@contextlib.contextmanager
def pair(synchronous=True):
    """A primary with a standby that has caught up; `synchronous`: the primary waits for it."""
    with cluster() as p, cluster(primary=p) as standby:
        if synchronous:
            p.reload(synchronous_standby_names='standby1')
        want = 'sync' if synchronous else 'async'
        until(f'an {want} standby', lambda: p.sql('SELECT sync_state FROM pg_stat_replication') == want)
        yield p, standby


def hold(pg, sig):
    """Stop a server's processes where they are, or let them go on."""
    with open(os.path.join(pg.data, 'postmaster.pid'), encoding='ascii') as f:
        pid = f.readline().strip()
    for one_pid in subprocess.run(['ps', '-o', 'pid=', '--ppid', pid], capture_output=True, text=True).stdout.split():
        with contextlib.suppress(ProcessLookupError):  # somebody's connection that has just ended
            os.kill(int(one_pid), sig)


def has(p, record, half='recovery'):
    return count(p, f'keyholt_{half}.records', f"name = '\\x{record['name']}'") == 1


def arrived(standby, record, half='recovery'):
    """Is it in what the standby has on disk by now? It may take a moment more to show it."""
    here = standby.sql('SELECT pg_last_wal_receive_lsn()')
    until('what it has is shown', lambda: standby.sql(f"SELECT pg_last_wal_replay_lsn() >= '{here}'") == 't')
    return has(standby, record, half)


def test_receipt_classes():
    with pair(synchronous=False) as (p, standby), server(p.url, p.url) as s:
        d = enrolled(s, 'four')
        eq(classes(d, d.sync(d.escrow(), d.report('{}'))[2]), [LOCAL], 'an asynchronous standby promises nothing')
        p.reload(synchronous_standby_names='standby1')
        until('a sync standby', lambda: p.sql('SELECT sync_state FROM pg_stat_replication') == 'sync')
        for records in ([d.escrow()], [d.report('{}')], [d.escrow(), d.report('{}')]):
            eq(classes(d, d.sync(*records)[2]), [REPLICATED], 'a synchronous one does')
            for r, half in zip(records, ('recovery', 'compliance') if len(records) == 2 else
                               (('recovery',) if records[0].get('key_id') else ('compliance',))):
                holds(arrived(standby, r, half), f'on the standby, in {half}, when the receipt comes')
            eq(classes(d, d.sync(*records)[2]), [REPLICATED], 'the same again: that commit, too, waited')
        eq([value(s, 'store_replicated', store=half) for half in ('recovery', 'compliance')], [1, 1], 'metrics')
        both = {'writable': True, 'replicated': True}
        status, _, body = s.request('GET', '/readyz')
        eq((status, body['recovery'], body['compliance']), (200, both, both), 'ready')
        p.reload(synchronous_standby_names='')
        until('an async standby', lambda: p.sql('SELECT sync_state FROM pg_stat_replication') == 'async')
        eq(classes(d, d.sync(d.escrow())[2]), [LOCAL], 'and no more')
        eq(value(s, 'store_replicated', store='recovery'), 0, 'metrics')


def test_an_ordinary_role():
    """No superuser: everything works; what it may not see, it does not promise."""
    with pair() as (p, standby):
        p.sql('CREATE ROLE app LOGIN; GRANT CREATE ON DATABASE postgres TO app')
        url = p.url.replace('keyholt@', 'app@')
        with server(url, '') as s:
            d = enrolled(s, 'seven')
            eq(classes(d, d.sync(d.escrow())[2]), [LOCAL], 'it cannot see the standby')
            p.sql('GRANT pg_monitor TO app')
            eq(classes(d, d.sync(d.escrow())[2]), [REPLICATED], 'now it can')
            eq(classes(d, d.sync(d.report('{}'))[2]), [LOCAL], 'a file has no standby')
            eq(classes(d, d.sync(d.escrow(), d.report('{}'))[2]), [LOCAL], 'one receipt promises what holds for all of it')


def test_no_password_in_the_configuration():
    with server('postgres://a:secret@127.0.0.1:1/x', start=False) as s:
        done = subprocess.run([SERVER, 'serve', '--root', s.root, '--listen', '127.0.0.1:0'], capture_output=True, text=True,
                              timeout=100)
        eq(done.returncode, 1, done.stderr)
        holds('passfile' in done.stderr and 'secret' not in done.stderr, done.stderr)
    with server('sqlite:x', start=False) as s:
        done = subprocess.run([SERVER, 'serve', '--root', s.root, '--listen', '127.0.0.1:0'], capture_output=True, text=True,
                              timeout=100)
        holds(done.returncode == 1 and 'a PostgreSQL connection string is wanted' in done.stderr, done.stderr)


def test_cancelled_wait_gives_no_receipt():
    with pair() as (p, standby), server(p.url, p.url) as s:
        d = enrolled(s, 'five')
        receipted(d, [d.escrow()])
        for name, cancel in (('pg_cancel_backend', 'SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity'),
                             ('pg_terminate_backend', 'SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity'),
                             ('nobody, until the server gives up waiting', None)):
            record, answer = d.escrow(), []
            hold(standby, signal.SIGSTOP)
            try:
                sender = threading.Thread(target=lambda record=record, answer=answer: answer.append(d.sync(record)))
                sender.start()
                until('the commit waits', lambda: count(p, 'pg_stat_activity', "wait_event = 'SyncRep'") > 0)
                if cancel:
                    holds(int(p.sql(cancel + " WHERE wait_event = 'SyncRep'")) > 0, 'a backend was cancelled')
                sender.join(120)
                status, headers, body = answer[0]
                eq(status, 503, f'{name}: {body}')
                holds('receipts' not in body and int(headers['Retry-After']) > 0, f'{name}: no receipt: {body}')
                holds(has(p, record), f'{name}: though the row is there')
            finally:
                hold(standby, signal.SIGCONT)
            receipted(d, [record])
            answer = d.sync(record)[2]
            eq(classes(d, answer), [REPLICATED], f'{name}: told again, it waits again')
            holds(arrived(standby, record), f'{name}: on the standby')
            eq(s.recover(record['key_id'])[0]['recovery_password'], record['digits'], 'disclosed')


def test_reading_goes_on_while_no_standby_answers():
    with pair() as (p, standby), server(p.url, p.url) as s:
        d = enrolled(s, 'six')
        known = d.escrow()
        receipted(d, [known])
        standby.stop('immediate')
        eq(d.sync(d.escrow())[0], 503, 'not replicated')
        eq(s.recover(known['key_id'])[0]['recovery_password'], known['digits'], 'disclosed all the same')


def test_failover_loses_nothing_receipted():
    """Primary killed under load, standby promoted: whatever had a `replicated` receipt is there."""
    with pair() as (p, standby):
        both = p.url + ',' + standby.dir.replace('/', '%2F')
        with server(both, both) as s:
            devices = [enrolled(s, f'load{i}') for i in range(4)]
            safe, stop = [], threading.Event()

            def load(d):
                while not stop.is_set():
                    record = d.escrow()
                    try:
                        status, _, answer = d.sync(record)
                    except OSError:
                        continue
                    if status == 200 and classes(d, answer) == [REPLICATED]:
                        safe.append((d, record))
            threads = [threading.Thread(target=load, args=(d,)) for d in devices]
            for t in threads:
                t.start()
            until('some records are safe', lambda: len(safe) > 30, 60)
            p.kill()
            time.sleep(0.5)
            stop.set()
            for t in threads:
                t.join(60)
            standby.promote()
            lost = [r['name'] for _, r in safe if not has(standby, r)]
            eq(lost, [], f'of {len(safe)} records with a receipt, lost')
            d, record = safe[-1]
            until('enrolled devices go on', lambda: d.sync()[0] == 200)
            eq(s.recover(record['key_id'])[0]['recovery_password'], record['digits'], 'disclosed from the new primary')
            print(f'    {len(safe)} records had a replicated receipt, all are there')


class Load:
    """keyholt-load: escrow syncs of 16 devices, until it is stopped."""

    def __init__(self, s):
        self.names = s.path('names')
        self.process = subprocess.Popen([os.path.join(BUILD, 'bin/keyholt-load'), '--bundle', s.bundle, '--enroll',
                                         f'127.0.0.1:{s.port}', '--devices', '16', '--names', self.names],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        holds(self.process.stdout.readline(), 'keyholt-load enrolled its devices')
        self.process.stdin.write(f'escrow full 127.0.0.1:{s.port} 16 9000000 600\n')
        self.process.stdin.flush()

    def receipted(self, end=''):
        with open(self.names, encoding='ascii') as f:
            return [line.split()[0] for line in f.read().splitlines() if line.endswith(end)]

    def replicated(self):
        return self.receipted(f' {REPLICATED}')

    def stop(self):
        self.process.kill()
        self.process.wait(30)
        self.process.stdin.close()
        self.process.stdout.close()


class Reports(threading.Thread):
    """One more device, which brings report after report meanwhile; the names of those with a `replicated` receipt."""

    def __init__(self, s):
        super().__init__()
        self.device, self.over, self.safe = enrolled(s, 'reports'), False, []
        self.start()

    def run(self):
        while not self.over:
            report = self.device.report('{}')
            try:
                status, _, answer = self.device.sync(report)
            except (OSError, http.client.HTTPException):
                continue
            if status == 200 and classes(self.device, answer) == [REPLICATED]:
                self.safe.append(report['name'])

    def stop(self):
        self.over = True
        self.join(60)


# Asked from outside, nobody may be busy at the moment of the look, many times in a row.
END_WHO_IS_BUSY = (
    "DO $$ BEGIN FOR i IN 1..60000 LOOP IF (SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE"
    " state <> 'idle' AND backend_type = 'client backend' AND pid <> pg_backend_pid()) > 0 THEN RETURN; END IF;"
    " PERFORM pg_sleep(0.001), pg_stat_clear_snapshot(); END LOOP; RAISE 'nobody was busy'; END $$")


def test_batches_with_a_bad_record_and_a_lost_connection():
    """Syncs share a transaction and a turn to the database. One insert in 7 is refused by a trigger (at random: who
    brings that record brings it again), and the connection goes amid batches: what was receipted is there, whole."""
    with cluster() as p, server(p.url, p.url) as s:
        p.sql("CREATE FUNCTION keyholt_recovery.bad() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not this one'; END $$;"
              'CREATE TRIGGER bad BEFORE INSERT ON keyholt_recovery.records FOR EACH ROW WHEN (random() < 0.15)'
              ' EXECUTE FUNCTION keyholt_recovery.bad()')
        load = Load(s)
        try:
            until('receipts beside bad records', lambda: len(load.receipted()) > 60, 60)
            for _ in range(3):
                before = len(load.receipted())
                p.sql(END_WHO_IS_BUSY)
                until('receipts come again', lambda before=before: len(load.receipted()) > before + 10, 60)
        finally:
            load.stop()
        holds('not this one' in s.read_log(), 'there were bad records')
        safe = load.receipted()
        have = set(p.sql("SELECT encode(name, 'hex') FROM keyholt_recovery.records").split())
        eq([name for name in safe if name not in have], [], f'of {len(safe)} records with a receipt, lost')
        eq(count(p, 'keyholt_recovery.envelopes e', 'NOT EXISTS (SELECT 1 FROM keyholt_recovery.records WHERE name = e.record)'),
           0, 'envelopes of requests that were undone')
        print(f'    {len(safe)} records had a receipt, all are there')


def test_a_slow_database_gets_small_turns():
    """100 ms for each record: 144 of them in one turn would be cancelled after 10 s."""
    if not os.environ.get('KEYHOLT_LONG'):
        raise Skip('20 s: for make check-long')
    with cluster() as p, server(p.url, p.url) as s:
        p.sql("CREATE FUNCTION keyholt_compliance.slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.1);"
              ' RETURN NEW; END $$; CREATE TRIGGER slow BEFORE INSERT ON keyholt_compliance.records FOR EACH ROW'
              ' EXECUTE FUNCTION keyholt_compliance.slow()')
        devices = [enrolled(s, f'slow-{i}') for i in range(12)]
        start = os.path.getsize(s.log)
        with contextlib.ExitStack() as stack:
            writer = s.children()['writer']
            os.kill(writer, signal.SIGSTOP)  # so that they share a batch
            stack.callback(os.kill, writer, signal.SIGCONT)
            threads = [threading.Thread(target=receipted, args=(d, [d.report('{}') for _ in range(12)])) for d in devices]
            for t in threads:
                t.start()
            time.sleep(3)
        for t in threads:
            t.join(120)
        eq(count(p, 'keyholt_compliance.records'), 144, 'records')
        one = enrolled(s, 'slow-alone')
        receipted(one, [one.report('{}') for _ in range(120)])  # one request
        log = s.read_log(start)
        holds('57014' not in log and 'no answer in time' not in log, log[-2000:])


def settled(load):
    """How many have a replicated receipt, when what was on its way has arrived: four looks in a row are the same."""
    seen = []

    def same():
        time.sleep(0.4)
        seen.append(len(load.replicated()))
        return len(seen) > 3 and len(set(seen[-4:])) == 1
    until('what was on its way has arrived', same)
    return seen[-1]


def cancel_waits(p, standby, load):
    """The standby falls silent, commits wait for it, somebody cancels their waits: they are local only."""
    for cancel in ('pg_cancel_backend', 'pg_terminate_backend', 'pg_cancel_backend'):
        before = len(load.replicated())
        hold(standby, signal.SIGSTOP)
        try:
            until('a commit waits', lambda: count(p, 'pg_stat_activity', "wait_event = 'SyncRep'") > 0)
            silent = settled(load)
            until('a wait is cancelled', lambda cancel=cancel: int(p.sql(
                f"SELECT count({cancel}(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")) > 0)
            time.sleep(0.5)
            eq(len(load.replicated()), silent, 'no replicated receipt while the standby is silent')
        finally:
            hold(standby, signal.SIGCONT)
        until('receipts come again', lambda before=before: len(load.replicated()) > before + 10, 60)


def test_failover_under_load_with_cancelled_waits():
    """Waits are cancelled under load, then the primary dies while one has just been: the standby, promoted, has every
    record that ever got a `replicated` receipt."""
    with pair() as (p, standby):
        both = p.url + ',' + standby.dir.replace('/', '%2F')
        with server(both, both) as s:
            load, reports = Load(s), Reports(s)
            try:
                until('receipts', lambda: len(load.replicated()) > 30 and len(reports.safe) > 3, 60)
                cancel_waits(p, standby, load)
                hold(standby, signal.SIGSTOP)
                until('a commit waits', lambda: count(p, 'pg_stat_activity', "wait_event = 'SyncRep'") > 0)
                p.sql("SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
                p.kill()
                hold(standby, signal.SIGCONT)
                standby.promote()
                safe, told = load.replicated(), list(reports.safe)
                have = {name for half in ('recovery', 'compliance')
                        for name in standby.sql(f"SELECT encode(name, 'hex') FROM keyholt_{half}.records").split()}
                eq([name for name in told if name not in have], [], f'of {len(told)} reports with a replicated receipt, lost')
                eq([name for name in safe if name not in have], [], f'of {len(safe)} records with a replicated receipt, lost')
                total = len(load.replicated())

                def all_names():
                    with open(load.names, encoding='ascii') as f:
                        return len(f.read().splitlines())
                before = all_names()
                until('the devices go on at the new primary', lambda: all_names() > before + 20, 60)
                eq(len(load.replicated()), total, 'it has no standby, so it promises none')
            finally:
                reports.stop()
                load.stop()
            print(f'    {len(safe)} records and {len(told)} reports had a replicated receipt, all are there')


def one(name, test):
    start = time.monotonic()
    try:
        test()
        results['passed'] += 1
        said = 'ok'
    except Skip as why:
        results['skipped'] += 1
        said = f'SKIP: {why}'
    except Exception:
        results['failed'] += 1
        traceback.print_exc(file=sys.stdout)
        said = 'FAILED'
    print(f'{name}: {said} ({time.monotonic() - start:.1f} s)', flush=True)


def main(wanted):
    signal.alarm(LIMIT_S)
    tests = [(n, t) for n, t in globals().items() if n.startswith('test_') and (not wanted or n in wanted)]
    why = postgres.missing()
    if why:
        print(f'SKIP: {why}')
        results['skipped'] = len(tests)
        tests = []
    for name, test in tests:
        one(name, test)
    print(f"{results['passed']} passed, {results['failed']} failed, {results['skipped']} skipped")
    return 1 if results['failed'] else 0


if __name__ == '__main__':
    sys.exit(main(set(sys.argv[1:])))
