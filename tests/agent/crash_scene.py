# SPDX-License-Identifier: GPL-3.0-or-later
"""Power cuts at the keeper's writes: one operation on a prepared computer, of which every run gets a copy, and
which crash_shim.c counts, logs and kills."""
import collections
import os
import shutil

from crash_log import ESP, LONG
from crash_recovered import mark_on_disk
from machine import MSG_PROTECT, MSG_ROTATE, MSG_STATUS, MSG_VERIFY, NO_ESP, OURS, PASSPHRASE, TOP, Machine, ask, header, \
    judge, opens
from play_courier import Courier, device_of, receipt

SHIM = f'{TOP}/build/tests/crash_shim.so'
KEPT = '/dev/disk.kept'  # of a prepared computer: where its own cache remembers the disk, none may be left


def copy_computer(source, to):
    """A folder tree without the sockets in it."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(source, to, ignore=shutil.ignore_patterns('*.sock'))
    return to


def protect(m, esp=False):
    return ask(m, MSG_PROTECT, m.path('/dev/disk').encode(), PASSPHRASE, 0 if esp else NO_ESP)


def rotate(m, secret=PASSPHRASE):
    return ask(m, MSG_ROTATE, m.path('/dev/disk').encode(), secret, 0)


def verify(m):
    return ask(m, MSG_VERIFY, b'')


class Sync:
    """A server's answer that receipts everything, prepared before the keeper may be killed."""

    def __init__(self, org):
        self.org = org

    def __call__(self, m):
        courier = Courier(m)
        records = courier.batch()['records']
        blob = receipt(self.org, device_of(m), records, when=1_900_000_000)

        def answer():
            try:
                courier.answer(receipts=[blob])
            except OSError:
                return None
            return ask(m, MSG_STATUS)  # answered when what the receipt makes possible is done
        return answer


class Scene:
    """One operation on a prepared computer; every run gets a copy of it."""

    def __init__(self, name, folder, org, operate, prepared, live=(1,), prepare=None, keeper=None, esp=False):
        self.name, self.folder, self.org, self.operate, self.prepared = name, folder, org, operate, prepared
        self.live, self.prepare, self.keeper, self.esp = live, prepare, keeper, esp
        self.whose = 'ic' if not esp else 'ice' if LONG else 'e'  # operations it is killed at
        self.base = prepared + KEPT
        self.before = header(self.base)
        self.keys_before = sum(t['state'] == 'live' for t in judge(self.base, org)['tokens'])
        mine = {k for t in self.before['tokens'].values() if t['type'] in OURS for k in t['keyslots']}
        self.foreign_slots = set(self.before['keyslots']) - mine
        self.foreign_tokens = [t for t in self.before['tokens'].values() if t['type'] not in OURS]
        self.old = {t['key_id'] for t in judge(self.base, org)['tokens']}
        self.states = {}  # by hash: the IDs of the keys that opened it

    def copy(self, tag):
        m = Machine(copy_computer(self.prepared, f'{self.folder}/{self.name}-{tag}'))
        os.rename(m.path(KEPT), m.path('/dev/disk'))
        if self.keeper:
            m.keeper = self.keeper
        return self.place(m)

    def place(self, m):
        """Where the volume lies: here a file as it is."""
        return m

    def remove(self, m):
        shutil.rmtree(m.root)

    def run(self, tag, point=None, log=None, armed=None):
        """armed: a folder for a copy of the computer as it is before its keeper starts; the log begins there, then."""
        m = self.copy(tag)
        image, arm = m.path('/dev/disk'), m.path('/armed')
        env = {'LD_PRELOAD': SHIM, 'SHIM_IMAGE': image, 'SHIM_STATE': m.path('/var/lib/keyholt/agent/'),
               'SHIM_ESP': m.path(ESP + '/'), 'SHIM_ARM': arm}
        env.update({'SHIM_LOG': log} if log else {})
        if point:
            names = {'c': 'SHIM_COUNT_STATE', 'e': 'SHIM_COUNT_ESP', 'torn': 'SHIM_TORN', 'after': 'SHIM_AFTER'}
            env.update({'SHIM_AT': str(point.at)})
            env.update({names[x]: '1' for x in (point.whose, point.how) if x in names})
        if armed:
            copy_computer(m.root, armed)
            open(arm, 'w').close()
        m.start(**env)
        operate = self.prepare(m) if self.prepare else lambda: self.operate(m)
        open(arm, 'w').close()
        answer = operate()
        os.unlink(arm)  # closing the cache at the end is no part of the operation
        m.stop()
        return m, answer

    def note(self, m, j, tag, marks=None):
        """Which state this was, and which keys' passwords opened it; what is wrong when none does, nor the passphrase.
        marks: of all states that this one stands for."""
        ids = [t['key_id'] for t in j['tokens'] if t['opens'] >= 0]
        new = {mark for mark in marks or [mark_on_disk(m)] if mark not in self.states}
        self.states.update(dict.fromkeys(new, ids))
        if new and LONG:
            told = [f'{"old" if i in self.old else "new"} key {i}' for i in ids]
            states = f', {len(new)} states' if len(new) > 1 else ''
            print(f'  {self.name}, {tag}{states}: opened by {" and ".join(told) or "the passphrase alone"}')
        return [] if ids or opens(m.path('/dev/disk'), PASSPHRASE) else ['nothing opens it']

    def how_opened(self):
        """How many states the password of which key opened, by its ID: one from before the operation, or made by it."""
        sides = [{'old' if i in self.old else 'new' for i in ids} for ids in self.states.values()]
        return collections.Counter(' and '.join(sorted(s, reverse=True)) for s in sides)


def summary(scenes):
    n = sum((s.how_opened() for s in scenes), collections.Counter())
    return f'{len(set().union(*(s.states for s in scenes)))} different states of header, cache and ESP judged: opened by ' \
        f'old key {n["old"]}, by new key {n["new"]}, by both {n["old and new"]}, by the passphrase alone {n[""]}'
