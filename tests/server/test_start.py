#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A start that takes long: it is waited for as long as it goes on, and not when it is stuck. Closes with "N passed, N failed".

KEYHOLT_SECONDS=judged: also a start that goes on for longer than start-seconds."""
import contextlib
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import server_fixture  # noqa: E402
from server_fixture import BUILD, SERVER, Server  # noqa: E402
from server_suite import Skip, enrolled, eq, holds, main  # noqa: E402

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../escrow-server/process/control.h'), encoding='utf-8') as header:
    WORKING = f"\\{re.findall(r'^    (CONTROL_[A-Z_]+)', header.read(), re.M).index('CONTROL_WORKING') + 1:03o}"
ENVELOPES = 60000


@contextlib.contextmanager
def writer_begins_with(script):
    """keyholt-server with a writer that does this first."""
    s = Server('--web-workers', '1')
    whole = server_fixture.SERVER
    try:
        for name in ('bin', 'libexec'):
            os.mkdir(s.path(name))
        for name in os.listdir(os.path.join(BUILD, 'libexec')):
            os.symlink(os.path.join(BUILD, 'libexec', name), s.path('libexec', name))
        os.remove(s.path('libexec/writer'))
        writer = s.put('libexec/writer', f'#!/bin/sh\n{script}\nexec {BUILD}/libexec/writer "$@"\n')
        os.chmod(writer, 0o700)
        server_fixture.SERVER = shutil.copy(SERVER, s.path('bin'))
        yield s
    finally:
        server_fixture.SERVER = whole
        s.clean()


def test_who_is_stuck_is_not_waited_for():
    with writer_begins_with('exec sleep 600') as s:
        s.configure(start_seconds=1)
        done = subprocess.run([server_fixture.SERVER, 'serve', '--root', s.root, '--listen', '127.0.0.1:0'], text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False)
        eq((done.returncode, done.stdout), (1, ''), f'given up: {done.stderr}')
        holds('the server did not run' in done.stderr, done.stderr)


def test_a_file_that_is_missing_is_named():
    s = Server('--web-workers', '1')
    try:
        s.configure(start_seconds=1)
        for name in ('web/tls.key', 'web/tls.pem', 'writer/receipt.key', 'writer/ca.key'):
            os.rename(s.state(name), s.path('away'))
            done = subprocess.run([SERVER, 'serve', '--root', s.root, '--listen', '127.0.0.1:0'], text=True,
                                  stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False)
            eq((done.returncode, done.stdout), (1, ''), done.stderr)
            holds(f'failed="read {name}" reason="not found"' in done.stderr, done.stderr)
            os.rename(s.path('away'), s.state(name))
        eq(os.listdir(os.path.join(s.root, 'run/keyholt')), [], 'no socket is left of a start that failed')
    finally:
        s.clean()


def test_who_goes_on_is_waited_for():
    if os.environ.get('KEYHOLT_SECONDS') != 'judged':
        raise Skip('judges seconds: KEYHOLT_SECONDS=judged')
    with writer_begins_with(f"for i in $(seq 40); do printf '{WORKING}' >&3; sleep 0.2; done") as s:
        s.configure(start_seconds=4)
        s.start()
        eq(enrolled(s, 'after-a-long-start').sync()[0], 200, 'served')


def older(s):
    """The store as an earlier schema had it, and much in it."""
    with contextlib.closing(sqlite3.connect(s.state('writer/recovery.db'))) as db:
        eq(db.execute('PRAGMA user_version').fetchone()[0], 8, 'what this test takes back are the steps from 5 to 8')
        db.executescript(f'''DROP VIEW sightings; DROP INDEX flags_age; DROP INDEX flags_kind; DROP INDEX flags_device;
            CREATE TABLE r (name BLOB PRIMARY KEY, device BLOB NOT NULL, incarnation BLOB NOT NULL, sequence INTEGER NOT NULL,
            previous BLOB NOT NULL, kind INTEGER NOT NULL, time INTEGER NOT NULL, received_us INTEGER NOT NULL,
            bytes BLOB NOT NULL) WITHOUT ROWID;
            INSERT INTO r SELECT * FROM records; DROP TABLE records; ALTER TABLE r RENAME TO records;
            CREATE INDEX records_chain ON records (device, incarnation, sequence);
            CREATE INDEX records_received ON records (device, received_us, sequence);
            CREATE TABLE e (hash BLOB NOT NULL, sender BLOB NOT NULL, record BLOB NOT NULL, key_id TEXT NOT NULL,
            volume BLOB NOT NULL, device BLOB NOT NULL, own INTEGER NOT NULL, commitment BLOB NOT NULL, computer TEXT NOT NULL,
            label TEXT NOT NULL, time INTEGER NOT NULL, received_us INTEGER NOT NULL, bytes BLOB NOT NULL,
            PRIMARY KEY (hash, sender)) WITHOUT ROWID;
            INSERT INTO e SELECT * FROM envelopes; DROP TABLE envelopes; ALTER TABLE e RENAME TO envelopes;
            CREATE INDEX envelopes_sender ON envelopes (sender, volume, hash);
            CREATE INDEX envelopes_key ON envelopes (key_id, sender, own);
            CREATE VIEW sightings AS SELECT key_id, volume, device AS owner, sender AS seen_by, received_us
            FROM envelopes WHERE own = 0;
            PRAGMA user_version=5;
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT {ENVELOPES})
            INSERT INTO envelopes SELECT randomblob(32), randomblob(32), randomblob(32), i, zeroblob(16), zeroblob(32), 1,
            zeroblob(32), '', '', 1, 1, X'00' FROM n;''')


def test_a_migration_goes_on():
    """The writer says it to the supervisor, and that to systemd."""
    s, notify = Server('--web-workers', '1'), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        s.start()
        d = enrolled(s, 'before-it')
        e = d.escrow()
        d.sync(e)
        s.stop()
        older(s)
        notify.bind(s.path('notify'))
        notify.settimeout(60)
        os.environ['NOTIFY_SOCKET'] = s.path('notify')
        s.start()
        eq(notify.recv(4096), b'EXTEND_TIMEOUT_USEC=60000000', 'it takes longer')
        while (said := notify.recv(4096)) != b'READY=1':
            eq(said, b'EXTEND_TIMEOUT_USEC=60000000', 'and longer')
        eq(s.recover(e['key_id'])[0]['recovery_password'], e['digits'], 'and what was there is there')
    finally:
        os.environ.pop('NOTIFY_SOCKET', None)
        notify.close()
        s.clean()


if __name__ == '__main__':
    sys.exit(main(globals(), set(sys.argv[1:])))
