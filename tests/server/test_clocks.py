#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server whose clock is wrong, is set while it runs, and is put right. KEYHOLT_LONG: more jumps. Closes with
"N passed, N failed"."""
import contextlib
import mmap
import os
import sqlite3
import struct
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from server_fixture import BUILD, Server  # noqa: E402
from server_suite import enrolled, eq, holds, main  # noqa: E402

SHIM = os.path.join(BUILD, 'tests/clock_shim.so')
HOUR, DAY = 3600, 86400
YEAR = 365 * DAY
JUMPS = (0, DAY, 0, -DAY, YEAR, 30 * YEAR, -YEAR, 0) if os.environ.get('KEYHOLT_LONG') else (DAY, -DAY, 30 * YEAR, 0)


class Clock:
    """Of a server: its wall clock is set, and time passes, at a word. wall, up: how far they are from ours."""

    def __init__(self):
        self.file = tempfile.NamedTemporaryFile(prefix='keyholt-clock-')  # pylint: disable=consider-using-with
        self.file.truncate(16)
        os.chmod(self.file.name, 0o644)  # every process of the server reads it
        self.said = mmap.mmap(self.file.fileno(), 16)
        self.wall = self.up = 0

    def tell(self, wall, up):
        self.wall, self.up = wall, up
        self.said[:] = struct.pack('qq', wall, up)

    def set(self, wrong):
        """So many seconds before or behind the right time, which went on by what passed."""
        self.tell(self.up + wrong, self.up)

    def later(self, seconds):
        self.tell(self.wall + seconds, self.up + seconds)

    def now(self):
        return time.time() + self.wall

    def start(self, server):
        with shifted(CLOCK_FILE=self.file.name):
            server.start()


@contextlib.contextmanager
def shifted(**how):
    """Whoever is started now has a clock of its own."""
    os.environ.update(LD_PRELOAD=SHIM, **how)
    try:
        yield
    finally:
        for name in ('LD_PRELOAD', *how):
            del os.environ[name]


def keeps_and_gives(s, d, now, kept):
    """A record more is stored and receipted, its key disclosed and ordered to rotate; all of them are still known."""
    e = d.escrow()
    answer = d.sync(e)[2]
    eq(d.names(answer), [e['name']], 'receipted')
    holds(abs(answer['time'] - now) < 60, f'the clock says {answer["time"]}, not {now}')
    kept.append(e)
    for old in kept:
        eq(d.names(d.sync(old, attempt=99)[2]), [old['name']], 'again')
    eq(s.recover(e['key_id'])[0]['recovery_password'], e['digits'], 'disclosed')
    holds(e['key_id'] in d.orders(d.sync()[2]), 'ordered')


def is_whole(s, d, kept):
    eq(sorted(d.orders(d.sync()[2])), sorted(k['key_id'] for k in kept), 'every order')
    holds('good' in s.command('audit', 'verify').stdout, 'the chain')
    s.command('verify')
    with contextlib.closing(sqlite3.connect(s.state('writer/recovery.db'))) as db:
        eq(db.execute('SELECT count(*) FROM records').fetchone(), (len(kept),), 'stored once each')


def test_jumps_between_starts():
    """Back by a day and ahead by a year: records are stored and receipted, keys disclosed, tokens judged by the server's own
    clock, and the audit chain stays whole."""
    s, kept, d = Server(), [], None
    try:
        for shift in (0, -DAY, YEAR, -HOUR, 0):
            with shifted(CLOCK_SHIFT=str(shift)):
                s.start()
            d = d or enrolled(s, 'jumps')
            keeps_and_gives(s, d, time.time() + shift, kept)
            s.stop()
        s.start()
        is_whole(s, d, kept)
    finally:
        s.clean()


def test_jumps_of_a_running_server():
    """The same, to and fro, under a server that is not told."""
    s, clock, kept = Server(), Clock(), []
    try:
        clock.start(s)
        d = enrolled(s, 'running')
        for wrong in JUMPS:
            clock.set(wrong)
            keeps_and_gives(s, d, clock.now(), kept)
            is_whole(s, d, kept)
    finally:
        s.clean()


if __name__ == '__main__':
    sys.exit(main(dict(globals()), set(sys.argv[1:])))
