#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backup, restore, verify, move and retention of a real server's stores. Closes with "N passed, N failed"."""
import base64
import contextlib
import glob
import hashlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import postgres  # noqa: E402
import test_postgres as pg  # noqa: E402
from test_postgres import enrolled, eq, holds, receipted, server  # noqa: E402
from server_fixture import HERE, NO_GUID, SERVER, as_root, tool  # noqa: E402

CHECKS = os.path.join(HERE, '../../escrow-server/store/store_check.c')
SIGNED = 'an order that no receipt key of this organisation signed'
NO_ENVELOPE = 'a record whose envelope is none'


def filled(s):
    """A device with all kinds of records, and one disclosure."""
    d = enrolled(s, 'filled')
    records = [d.escrow(), d.report('{"os":"Debian"}'), d.event(1, NO_GUID), d.escrow()]
    receipted(d, records)
    eq(s.recover(records[0]['key_id'])[0]['recovery_password'], records[0]['digits'], 'disclosed')
    return d, records


def verify(s, code=0):
    p = s.command('verify', '--json', code=code)
    return json.loads(p.stdout), p.stderr


def change(s, name, sql, *values):
    """SQL that may say sha256(x), and flipped(x): the last byte is another."""
    with contextlib.closing(sqlite3.connect(s.state('writer', name))) as db, db:
        db.create_function('sha256', 1, lambda b: hashlib.sha256(b).digest(), deterministic=True)
        db.create_function('flipped', 1, lambda b: b[:-1] + bytes([b[-1] ^ 1]), deterministic=True)
        n = db.execute(sql, values).rowcount
    holds(n > 0, f'nothing changed by {sql}')


def put_sums(folder, change_name=None):
    path = os.path.join(folder, 'SHA256SUMS')
    return open(path, encoding='ascii').read().splitlines()


# What is done to a store, and what `verify` says of it, that alone and once for each row; other sentences may follow from it
# where no number is given.
BYTES_AND_NAME = 'bytes = flipped(bytes), name = sha256(flipped(bytes))'
WRONGS = [
    ('recovery.db', 'UPDATE records SET bytes = flipped(bytes)', 'a record whose bytes changed', 2),
    ('compliance.db', f'UPDATE records SET {BYTES_AND_NAME} WHERE kind = 2', 'a record whose signature does not verify', 1),
    ('recovery.db', 'UPDATE envelopes SET record = (SELECT sha256(flipped(r.bytes)) FROM records r WHERE r.name = envelopes.record);'
                    f'UPDATE records SET {BYTES_AND_NAME}', 'a record whose signature does not verify', 2),
    ('recovery.db', "UPDATE records SET bytes = X'00', name = sha256(X'00') WHERE sequence = 1", 'a record that is none', None),
    ('recovery.db', 'DELETE FROM envelopes', 'a record that is not indexed', 2),
    ('compliance.db', 'DELETE FROM events', 'a record that is not indexed', 1),
    ('recovery.db', 'UPDATE envelopes SET bytes = flipped(bytes)', 'an envelope whose bytes changed', 2),
    ('recovery.db', "UPDATE envelopes SET bytes = X'00', hash = sha256(X'00') WHERE rowid = 1",
     'an envelope that is none', None),
    ('recovery.db', 'DELETE FROM records', 'an envelope without its record', 2),
    ('recovery.db', "UPDATE envelopes SET record = X'00'", 'an envelope without its record', 2),
    ('recovery.db', 'DELETE FROM devices', 'a record of a device that is not enrolled', 4),
    ('recovery.db', 'UPDATE devices SET id = zeroblob(32)', "a device whose key is another's", None),
    ('recovery.db', 'UPDATE commands SET device = zeroblob(32)', SIGNED, 1),
    ('recovery.db', 'UPDATE commands SET bytes = flipped(bytes)', SIGNED, 1),
    ('recovery.db', 'UPDATE disclosures SET n = 999', 'the store knows a disclosure that the audit log lost', 1),
    # each column that repeats what stands in the bytes
    *(('compliance.db', f'UPDATE records SET {c} = {c} + 1', 'a record that is filed wrongly', 2) for c in ('sequence', 'kind', 'time')),
    *(('compliance.db', f'UPDATE records SET {c} = zeroblob({n})', 'a record that is filed wrongly', 2)
      for c, n in (('device', 32), ('incarnation', 16), ('previous', 31))),
    ('recovery.db', f"UPDATE envelopes SET key_id = '{NO_GUID}'", 'an envelope that is filed wrongly', 2),
    ('recovery.db', 'UPDATE envelopes SET own = 1 - own', 'an envelope that is filed wrongly', 2),
    *(('recovery.db', f'UPDATE envelopes SET {c} = flipped({c})', 'an envelope that is filed wrongly', None)
      for c in ('volume', 'device', 'commitment'))]


def sentences(err):
    """What `verify` said of single rows: "keyholt-server: SENTENCE: ID"."""
    return [line.split(': ')[1] for line in err.splitlines()]


def verified_wrong(s, said, n):
    """Exactly that, or that among what follows from it."""
    got, err = verify(s, code=3)
    lines = sentences(err)
    eq(got['wrong'], len(lines), f'counted: {err}')
    holds(said in lines and (n is None or lines == [said] * n), f'{said}, {n}: {got} {err}')


def put_back(s, keep):
    for file in glob.glob(s.state('writer', '*.db*')):
        os.remove(file)
    for file in glob.glob(os.path.join(keep, '*.db*')):
        shutil.copy2(file, s.state('writer'))


def test_verify_sees_what_is_wrong():
    with server() as s:
        d, records = filled(s)
        got, _ = verify(s)
        eq((got['devices'], got['records'], got['envelopes'], got['orders'], got['wrong']), (1, 4, 2, 1, 0), 'while it runs')
        s.stop()
        keep = s.path('keep')
        shutil.copytree(s.state('writer'), keep)
        for name, sql, said, n in WRONGS:
            for one in sql.split(';'):
                change(s, name, one)
            verified_wrong(s, said, n)
            put_back(s, keep)
            eq(verify(s)[0]['wrong'], 0, 'as before')
        spoilt = tool('spoil', d.key, records[0]['record'])
        old, new = (bytes.fromhex(r['name']) for r in (records[0], spoilt))
        change(s, 'recovery.db', 'UPDATE records SET bytes = ?, name = ? WHERE name = ?', base64.b64decode(spoilt['record']), new, old)
        change(s, 'recovery.db', 'UPDATE envelopes SET record = ? WHERE record = ?', new, old)
        verified_wrong(s, NO_ENVELOPE, 1)
        put_back(s, keep)
        log = s.state('vault/audit.log')
        text = open(log, 'rb').read()
        with open(log, 'r+b') as f:
            f.truncate(text.index(b'\n') + 1)
        verified_wrong(s, 'the store knows a disclosure that the audit log lost', 1)


def test_verify_says_nothing_that_is_not_provoked():
    """Every sentence of store_check.c stands in the test above; of receipts, in test_outbox.py."""
    with open(CHECKS, encoding='ascii') as f:
        said = set(re.findall(r'wrong\(\w+, "([^"]+)"', f.read()))
    holds(len(said) > 8, f'sentences of {CHECKS}: {said}')
    eq(said - {w[2] for w in WRONGS} - {NO_ENVELOPE}, {'a record that was receipted and is not in the store'}, 'never provoked')


def test_backup_and_restore():
    with server() as s:
        d, records = filled(s)
        folder, without = s.path('backup'), s.path('backup-without-policy')
        s.command('backup', without)

        def policy(version):
            s.command('policy', 'set', s.put('policy.json', json.dumps(
                {'format': 'keyholt-policy', 'version': version, 'org': s.org['id'], 'rotate_days': 90})))
        policy(2)
        s.command('backup', folder)  # while it runs
        holds('there already' in s.command('backup', folder, code=1).stderr, 'never over another one')
        place = os.path.join(s.root, 'etc/keyholt/org/policy.json')
        os.rename(place + '.sig', place + '.away')
        half = s.path('backup-half-policy')
        holds('left out' in s.command('backup', half).stdout, 'a policy that would not be put back keeps nothing else out')
        eq([f for f in os.listdir(half) if 'policy' in f], [], 'and is not there')
        os.rename(place + '.away', place + '.sig')
        names = {line.split('  ')[1] for line in put_sums(folder)}
        eq(names, {'recovery.db', 'compliance.db', 'audit.log', 'org.json', 'org.json.sig', 'root.pub', 'audit.pub',
                   'policy.json', 'policy.json.sig', 'server.conf'}, 'files')
        eq(names - {line.split('  ')[1] for line in put_sums(without)}, {'policy.json', 'policy.json.sig'}, 'only where there is one')
        eq(set(os.listdir(folder)), names | {'SHA256SUMS'}, 'and nothing else: no key')
        later = [d.escrow(), d.escrow()]
        receipted(d, later)
        s.recover(later[0]['key_id'])
        holds('runs' in s.command('restore', folder, code=1).stderr, 'not while it runs')
        s.stop()
        log = open(s.state('vault/audit.log'), 'rb').read()
        spoiled = s.path('spoiled')
        shutil.copytree(folder, spoiled)
        with open(os.path.join(spoiled, 'recovery.db'), 'r+b') as f:
            f.seek(5000)
            f.write(b'x')
        holds('not as it was' in s.command('restore', spoiled, code=3).stderr, 'a changed file')
        os.remove(os.path.join(spoiled, 'SHA256SUMS'))
        for given, said in ((spoiled, 'no SHA256SUMS'), (s.path('nowhere'), 'no such folder'), (s.path('ca.pem'), 'no folder')):
            holds(f'{given}: ' in (p := s.command('restore', given, code=1)).stderr and said in p.stderr, p.stderr)
        got, _ = verify(s)
        eq((got['records'], got['wrong']), (6, 0), 'refusing changed nothing')
        with open(s.state('writer/recovery.db-journal'), 'wb') as f:
            f.write(b'of a migration that was cut off: another file is meant')
        os.remove(place)
        os.remove(place + '.sig')
        s.command('restore', folder)
        eq([open(place + end, 'rb').read() for end in ('', '.sig')],
           [open(os.path.join(folder, 'policy.json' + end), 'rb').read() for end in ('', '.sig')], 'the policy is back')
        policy(3)
        newer = open(place, 'rb').read()
        for older in (folder, without):
            told = s.command('restore', older).stdout
            eq(('policy.json stays: it is version 3, and the backup\'s is 2\n' in told, 'audit.log stays: it has ' in told),
               (older == folder, True), told)
            eq(open(place, 'rb').read(), newer, 'a newer policy stays')
        holds(not os.path.exists(s.state('writer/recovery.db-journal')), 'no journal of another file stays beside it')
        eq(open(s.state('vault/audit.log'), 'rb').read(), log, 'the longer log stays')
        got, _ = verify(s)
        eq((got['records'], got['untold'], got['wrong']), (4, 1, 0), 'the store is old')
        s.start()
        holds(not d.sync()[2]['envelopes_match'], 'the server sees that envelopes are missing')
        receipted(d, later)  # as the device does then
        eq(d.sync()[2]['envelopes_match'], True, 'back')
        eq(s.recover(later[1]['key_id'])[0]['recovery_password'], later[1]['digits'], 'and disclosed')
        eq(s.recover(records[0]['key_id'])[0]['recovery_password'], records[0]['digits'], 'as the old ones')
        s.stop()
        with contextlib.closing(sqlite3.connect(s.state('writer/recovery.db'))) as db:
            version = db.execute('PRAGMA user_version').fetchone()[0]
            db.execute('PRAGMA user_version = 5')
        for words in (('verify',), ('move', '--to', 'postgres://localhost/x')):
            holds('start' in s.command(*words, code=1).stderr, f'{words[0]} says what helps')
        with contextlib.closing(sqlite3.connect(s.state('writer/recovery.db'))) as db:
            eq(db.execute('PRAGMA user_version').fetchone()[0], 5, 'no command migrates what a server of before may write to')
            db.execute(f'PRAGMA user_version = {version}')
        with server(start=False) as other:
            other.start()
            other.stop()
            holds('another organisation' in other.command('restore', folder, code=3).stderr, 'not of this one')


def test_backup_says_what_is_in_its_way():
    with server(start=False) as s:
        s.start()
        s.stop()
        folder, org = s.path('whole'), os.path.join(s.root, 'etc/keyholt/org/org.json')
        s.command('backup', folder)
        eq({oct(os.stat(os.path.join(folder, f)).st_mode & 0o777) for f in os.listdir(folder)}, {'0o600'}, 'for nobody else')

        def refused(place, named, said):
            p = s.command('backup', place, code=1)
            holds(p.stderr.startswith(f'keyholt-server: {named}: ') and said in p.stderr and p.stderr.count('\n') == 1, p.stderr)
        refused(folder, folder, 'there already')
        refused(s.path('no/folder'), s.path('no/folder'), 'the folder above it is not there')
        if not as_root():
            refused('/keyholt-backup', '/keyholt-backup', 'you may not')
        new = s.path('new')
        for path, named, said in ((org + '.sig', org, 'does not verify'), (s.state('writer/recovery.db'), None, 'damaged'),
                                  (s.state('vault/audit.log'), None, 'not found'), (org, org, 'not there')):
            shutil.move(path, s.path('away'))
            if said not in ('not found', 'not there'):
                with open(path, 'wb') as f:
                    f.write(b'x' * (64 if path.endswith('.sig') else 8192))
            refused(new, named or path, said)
            holds(not os.path.exists(new), f'{said}: nothing is left of it')
            if path == org:
                holds(org in s.command('restore', folder, code=1).stderr, 'restore names it, too')
            shutil.move(s.path('away'), path)
        s.command('backup', new)


def test_restores_keep_what_stood_there():
    """However many there are within one second."""
    with server() as s:
        filled(s)
        s.command('backup', s.path('backup'))
        s.stop()
        endings = [json.loads(s.command('restore', s.path('backup'), '--json').stdout)['before'] for _ in range(12)]
        eq(len(set(endings)), 12, endings)
        for half in ('recovery.db', 'compliance.db'):
            eq({f for f in os.listdir(s.state('writer')) if f.startswith(half + '.before-') and f[-4:] not in ('-wal', '-shm')},
               {half + ending for ending in endings}, 'each kept its own')


def test_retention():
    with server() as s:
        d = enrolled(s, 'old')
        old, new = [d.report('{"n":1}'), d.event(1, NO_GUID)], [d.report('{"n":2}')]
        receipted(d, [*old, *new])
        holds('everything is kept' in s.command('retain').stdout, 'nothing is deleted unless somebody says so')
        pg.configure(s, compliance_months=2)
        past = (int(time.time()) - 150 * 86400) * 1000000
        for r in old:
            change(s, 'compliance.db', 'UPDATE records SET received_us = ? WHERE name = ?', past, bytes.fromhex(r['name']))
        change(s, 'compliance.db', 'UPDATE events SET received_us = ?', past)
        said = s.command('retain').stdout  # while it runs
        if os.geteuid() == 0:
            owners = {os.stat(f).st_uid for f in glob.glob(s.state('writer', 'compliance.db*'))}
            eq(owners, {os.stat(s.state('writer')).st_uid}, 'no file became another user\'s')
            eq(s.command('retain', '--json').returncode, 0, 'again')
        holds('2 records, 1 events' in said, said)
        with contextlib.closing(sqlite3.connect(s.state('writer/compliance.db'))) as db:
            eq(db.execute('SELECT count(*) FROM records').fetchone()[0], 1, 'what is young stays')
            eq(db.execute('SELECT records, events FROM retentions').fetchall(), [(2, 1)], 'on record')
        flags = s.read_log().count('kind=gap')
        receipted(d, [d.report('{"n":3}')])
        eq(s.read_log().count('kind=gap'), flags, 'no gap is seen where retention was')
        eq(verify(s)[0]['wrong'], 0, 'verify')
        s.stop()
        os.rename(s.state('writer/compliance.db'), s.path('away.db'))
        holds('not there' in s.command('retain', code=1).stderr, 'a store that cannot be reached is no empty one')


def test_retention_holds_nobody_up():
    """It goes in steps: while thousands of old records are taken away, devices' reports are receipted."""
    many = 3000
    with server() as s:
        d = enrolled(s, 'meanwhile')
        receipted(d, [d.report('{"n":0}')])
        pg.configure(s, compliance_months=1)
        past = (int(time.time()) - 90 * 86400) * 1000000
        with contextlib.closing(sqlite3.connect(s.state('writer/compliance.db'), timeout=60)) as db, db:
            columns = [row[1] for row in db.execute('PRAGMA table_info(records)')]
            old = dict(zip(columns, db.execute('SELECT * FROM records').fetchone()), device=os.urandom(32), incarnation=os.urandom(16))
            db.executemany(f'INSERT INTO records VALUES ({", ".join("?" * len(columns))})',
                           ([{**old, 'name': os.urandom(32), 'sequence': n, 'received_us': past + n}[c] for c in columns] for n in range(many)))
        p = subprocess.Popen([SERVER, 'retain', '--root', s.root], stdout=subprocess.PIPE, text=True)
        amid = 0
        while p.poll() is None:
            report = d.report('{"n":1}')
            receipted(d, [report])
            amid += p.poll() is None
        said = p.stdout.read()
        p.stdout.close()
        print(f'    {amid} reports receipted meanwhile')
        holds(f'{many} records, 0 events' in said, said)
        holds(amid > 0, 'between two steps')
        with contextlib.closing(sqlite3.connect(s.state('writer/compliance.db'))) as db:
            eq(db.execute('SELECT records FROM retentions').fetchall(), [(many,)], 'on record')
            eq(db.execute('SELECT sequence FROM forgotten').fetchall(), [(many - 1,)], 'where its chain stood')
            plan = str(db.execute('EXPLAIN QUERY PLAN DELETE FROM records WHERE rowid IN (SELECT rowid FROM records WHERE'
                                  ' received_us < ?1 ORDER BY received_us, rowid LIMIT 200)', (past,)).fetchall())
            holds('records_old' in plan and 'TEMP B-TREE' not in plan, plan)


def test_move_to_postgres():
    with pg.cluster() as p, server() as s:
        d, records = filled(s)
        bad = enrolled(s, 'caf\udce9'.encode('utf-8', 'surrogateescape').decode('latin-1'))
        receipted(bad, [bad.escrow() for _ in range(3)])
        holds('runs' in s.command('move', '--to', p.url, code=1).stderr, 'not while it runs')
        s.stop()
        many = 1200  # more than two pages; months of years
        with contextlib.closing(sqlite3.connect(s.state('writer/compliance.db'))) as db, db:
            for i in range(many):
                db.execute('INSERT INTO forgotten VALUES (?, ?, ?, ?, ?)', (os.urandom(32), os.urandom(16), i, os.urandom(32), i))
            db.execute('UPDATE records SET received_us = received_us - 400 * 86400 * 1000000')
            db.execute('UPDATE events SET received_us = received_us - 400 * 86400 * 1000000')
        said = s.command('move', '--to', p.url).stdout
        eq(said.count('the same on both sides'), 12, said)
        holds('NOT THE SAME' not in said and f'compliance.forgotten: {many} rows' in said, said)
        s.command('move', '--to', p.url)  # again: nothing is there twice
        p.sql("UPDATE keyholt_recovery.records SET time = time + 1")
        holds('NOT THE SAME' in s.command('move', '--to', p.url, code=3).stdout, 'a difference is seen')
        p.sql("UPDATE keyholt_recovery.records SET time = time - 1")
        p.sql("INSERT INTO keyholt_recovery.tokens VALUES ('\\x01', 1, 1, 1)")
        holds('NOT THE SAME' in s.command('move', '--to', p.url, code=3).stdout, 'one too many is seen')
        p.sql("DELETE FROM keyholt_recovery.tokens WHERE hash = '\\x01'")
        pg.configure(s, recovery=p.url, compliance=p.url)
        s.start()
        eq(d.sync()[2]['envelopes_match'], True, 'envelopes')
        receipted(d, [d.escrow(), d.report('{}')])
        eq(s.recover(records[3]['key_id'])[0]['recovery_password'], records[3]['digits'], 'disclosed')
        got, err = verify(s)
        eq((got['records'], got['wrong']), (9, 0), f'verify on PostgreSQL: {err}')
        holds('pg_dump' in s.command('backup', s.path('backup')).stdout, 'says how')
        for name in ('audit.log', 'org.json', 'server.conf', 'SHA256SUMS'):
            holds(os.path.getsize(s.path('backup', name)) > 0, f'{name} is in it all the same')
        pg.configure(s, compliance_months=2)
        holds('2 records, 1 events' in s.command('retain').stdout, 'retention by dropping months')
        s.stop()
        s.command('move', '--to', p.url, code=3)  # it is there already
    with server() as s:
        s.stop()
        s.command('move', '--to', 'postgres://keyholt@/postgres?host=%2Fnonexistent', code=4)


def main(wanted):
    signal.alarm(pg.LIMIT_S)
    tests = [(n, t) for n, t in globals().items() if n.startswith('test_') and callable(t) and (not wanted or n in wanted)]
    for name, test in tests:
        why = postgres.missing() if 'postgres' in name else None
        if why:
            print(f'{name}: SKIP: {why}')
            pg.results['skipped'] += 1
        else:
            pg.one(name, test)
    print('{passed} passed, {failed} failed, {skipped} skipped'.format(**pg.results))
    return 1 if pg.results['failed'] else 0


if __name__ == '__main__':
    sys.exit(main(set(sys.argv[1:])))
