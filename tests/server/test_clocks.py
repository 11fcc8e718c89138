#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server whose clock is wrong, is set while it runs, and is put right. KEYHOLT_LONG: more jumps. Closes with
"N passed, N failed"."""
import contextlib
import mmap
import os
import re
import sqlite3
import struct
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from server_fixture import BUILD, PASSWORD, Server  # noqa: E402
from server_suite import enrolled, eq, holds, main  # noqa: E402
from test_vault import code_at  # noqa: E402

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


# ---- limits and windows: an hour is an hour, whatever the clock says

class Desk:
    """A server with people, who ask for keys of one laptop."""

    def __init__(self):
        self.s, self.clock = Server(), Clock()
        self.s.configure(disclosures_per_hour=2, approval='helpdesk')
        self.clock.start(self.s)
        for name, role in (('helen', 'helpdesk'), ('tom', 'advanced'), ('adam', 'administrator')):
            self.s.command('user', 'add', '--name', name, '--role', role, '--password-file', '-', stdin=PASSWORD)
        self.seed = re.search(r'secret=([A-Z2-7]{32})&', self.s.command('user', 'totp', '--name', 'tom').stdout)[1]
        d = enrolled(self.s, 'desk')
        self.e = d.escrow()
        d.sync(self.e)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.s.clean()

    def asks(self, who='alice', code=0, extra=()):
        got, err = self.s.recover(self.e['key_id'], who=who, code=code, extra=('--user', 'carol', *extra))
        eq(got.get('recovery_password'), None if code else self.e['digits'], f'{who}: {err}')
        return err

    def is_at_the_limit(self, what):
        holds('has read 2 keys within the last hour' in self.asks(code=4), what)

    def uses(self, code, exit_code=0):
        err = self.asks('tom', exit_code, ('--code-file', self.s.put('code', code + '\n')))
        holds(not exit_code or 'one-time code' in err, err)

    def wishes(self):
        err = self.asks('helen', 4)
        return re.search(r'second person.*--entry (\d+)', err)[1]

    def approve(self, n, code=0):
        return self.s.command('approve', '--entry', n, '--as', 'alice', '--password-file', '-', code=code, stdin=PASSWORD)

    def erase(self, code=0):
        """The entry of the last disclosure."""
        n = [x['n'] for x in self.s.audit() if x['action'] == 'disclose'][-1]
        err = self.s.command('audit', 'erase', '--entries', str(n), '--as', 'adam', '--password-file', '-', code=code, stdin=PASSWORD).stderr
        holds(not code or 'Entries of the last 24 hours' in err, err)

    def again(self):
        eq(self.s.stop(), 0, 'ended')
        self.clock.start(self.s)


def test_limits_of_a_running_server():
    with Desk() as desk:
        desk.clock.set(YEAR)
        desk.asks()
        desk.asks()
        for wrong in (YEAR, YEAR + 2 * HOUR, 0, -2 * HOUR, 2 * HOUR, 0):
            desk.clock.set(wrong)
            desk.is_at_the_limit(f'the clock was set to {wrong}')
        desk.clock.later(HOUR)
        desk.asks()
        # a second person's hour
        desk.clock.set(YEAR)
        n, late = desk.wishes(), desk.wishes()
        desk.clock.set(0)
        desk.approve(n)
        desk.clock.set(2 * HOUR)
        desk.asks('helen')
        desk.clock.set(0)
        desk.clock.later(HOUR)
        holds('no request of the last hour' in desk.approve(late, 3).stderr, 'the hour was over')
        # a day, for erasing
        desk.clock.set(YEAR)
        desk.asks()
        for wrong in (YEAR + DAY, 0):
            desk.clock.set(wrong)
            desk.erase(3)
        desk.clock.later(DAY)
        desk.erase()
        desk.s.command('audit', 'verify')


def test_a_clock_that_was_ahead_is_put_right():
    """Over a start, which knows of an entry only its time."""
    with Desk() as desk:
        clock = desk.clock
        clock.set(YEAR + 31 - int(time.time()) % 30)  # so that a step has just begun
        desk.asks()
        desk.asks()
        desk.approve(desk.wishes())
        early = code_at(desk.seed, clock.now())
        desk.uses(early)
        clock.set(clock.wall - YEAR)
        desk.is_at_the_limit('before a start')
        right = code_at(desk.seed, clock.now())
        desk.uses(right)
        desk.again()
        desk.is_at_the_limit('the clock that was put right opens nothing')
        desk.wishes()  # nobody knows when the other one was approved
        desk.uses(right, 3)
        clock.later(HOUR)
        desk.asks()  # and closes nothing for long
        desk.uses(code_at(desk.seed, clock.now()))
        desk.uses(code_at(desk.seed, clock.now()), 3)
        clock.later(YEAR - HOUR)
        desk.uses(early, 3)  # its time has come, and it was used
        desk.uses(code_at(desk.seed, clock.now() + 30))
        holds('good' in desk.s.command('audit', 'verify').stdout, 'the chain')


if __name__ == '__main__':
    sys.exit(main(dict(globals()), set(sys.argv[1:])))
