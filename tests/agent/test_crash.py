#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Power cut at any write of protect and rotate (outage line O10).

1. The real keeper is killed (SIGKILL) before and in the middle of every write and fsync on the volume and on its
   cache. What is left is judged with the volume locked: header and one escrow key, nothing else.
2. Then a keeper starts again on it, with its cache and with the cache lost, and must leave a clean state.
3. The volume's writes are also replayed as a disk that loses what was not synced: every subset of the writes
   between two fsyncs, each also torn.
4. A keeper whose table of steps has the token after the keyslot goes through 1 and must be caught.
"""
import concurrent.futures
import itertools
import os
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from machine import (FAST, JUDGE, MSG_PROTECT, MSG_ROTATE, MSG_STATUS, NO_ESP, PASSPHRASE, TOP, Checks, Machine, Organisation,
                     ask, fast_folder, header, judge, make_volume, sh)

SHIM = f'{TOP}/build/tests/crash_shim.so'
WRONG = f'{TOP}/build/tests/keeper-wrong-table'
FOREIGN = b'{"type":"somebody-else","keyslots":["0"],"note":"hands off"}'
WORKERS = 2
KEPT = '/dev/disk.kept'  # of a prepared computer: where its own cache remembers the disk, none may be left


def copy_computer(source, to):
    """A folder tree without the sockets in it."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(source, to, ignore=shutil.ignore_patterns('*.sock'))
    return to


class Scene:
    """One operation on a prepared computer; every run gets a copy of it."""

    def __init__(self, name, folder, org, message, prepared, keeper=None):
        self.name, self.folder, self.org, self.message, self.prepared = name, folder, org, message, prepared
        self.keeper = keeper
        self.base = prepared + KEPT
        self.before = header(self.base)
        self.keys_before = sum(t['state'] == 'live' for t in judge(self.base, org)['tokens'])

    def copy(self, tag):
        m = Machine(copy_computer(self.prepared, f'{self.folder}/{self.name}-{tag}'))
        os.rename(m.path(KEPT), m.path('/dev/disk'))
        if self.keeper:
            m.keeper = self.keeper
        return m

    def run(self, tag, at=None, torn=False, state=False, log=None):
        m = self.copy(tag)
        image, arm = m.path('/dev/disk'), m.path('/armed')
        env = {'LD_PRELOAD': SHIM, 'SHIM_IMAGE': image, 'SHIM_STATE': m.path('/var/lib/keyholt/agent/'), 'SHIM_ARM': arm}
        env.update({'SHIM_AT': str(at)} if at else {})
        env.update({'SHIM_TORN': '1'} if torn else {})
        env.update({'SHIM_COUNT_STATE': '1'} if state else {})
        env.update({'SHIM_LOG': log} if log else {})
        m.start(**env)
        open(arm, 'w').close()
        fields = [image.encode(), PASSPHRASE] + ([NO_ESP] if self.message == MSG_PROTECT else [0])
        answer = ask(m, self.message, *fields)
        os.unlink(arm)  # closing the cache at the end is no part of the operation
        m.stop()
        return m, answer


def locked_view(scene, image, j=None):
    """What is wrong with this image, judged with the volume locked; empty when nothing is."""
    j = j or judge(image, scene.org)
    if not j['loads']:
        return ['the header does not load']
    wrong = []
    kept = {t['slot'] for t in j['tokens'] if t['envelope']}
    for s in j['slots']:
        if str(s['slot']) not in scene.foreign_slots and s['slot'] not in kept:
            wrong.append(f'invariant 1: keyslot {s["slot"]} has no envelope in the header')
    if scene.keys_before and not any(t['opens'] >= 0 for t in j['tokens']):
        wrong.append('invariant 3: no envelope yields a password that opens')
    wrong += [f'a live key does not open: {t}' for t in j['tokens'] if t['state'] == 'live' and t['opens'] != t['slot']]
    now = header(image) if not wrong else None
    if now:
        if any(now['keyslots'].get(n) != scene.before['keyslots'][n] for n in scene.foreign_slots):
            wrong.append('a foreign keyslot was changed')
        if [t for t in now['tokens'].values() if t['type'] != 'keyholt'] != scene.foreign_tokens:
            wrong.append('a foreign token was changed')
    return wrong


def clean_state(scene, m, how):
    """Start a keeper on it: nothing half done may be left, and status must say what the header says."""
    m.start()
    volumes = ask(m, MSG_STATUS)[2]['volumes']  # answered after resuming
    status = {v['device']: v for v in volumes}.get(m.path('/dev/disk'))
    j = judge(m.path('/dev/disk'), scene.org)
    wrong = locked_view(scene, m.path('/dev/disk'), j)
    live = [t for t in j['tokens'] if t['state'] == 'live' and t['assigned'] and t['opens'] == t['slot']]
    if len(live) != len(j['tokens']):
        wrong.append(f'{how}: left over: {[t for t in j["tokens"] if t not in live]}')
    if len(live) > 1 or (scene.keys_before and not live):
        wrong.append(f'{how}: {len(live)} live keys')
    if len(j['slots']) != len(scene.foreign_slots) + len(live):
        wrong.append(f'{how}: keyslots {j["slots"]}')
    if live and (not status or status['state'] != 'protected' or status['key_id'] != live[0]['key_id']):
        wrong.append(f'{how}: status says {status}')
    m.stop()
    return wrong


def lose_cache(m, copy_to):
    """The same computer with its cache gone (and its device key, as after a new installation of the OS)."""
    copy_computer(m.root, copy_to)
    shutil.rmtree(copy_to + '/var/lib/keyholt/agent')
    return Machine(copy_to)


def kill_point(scene, kind, at, torn):
    """What is wrong after this point; None when the operation ended before it (SQLite does not write the same
    number of pages each time; the volume's operations are always the same)."""
    tag = f'{kind}{at}{"t" if torn else ""}'
    m, answer = scene.run(tag, at=at, torn=torn, state=kind == 'cache')
    where = f'{scene.name}, {tag}'
    if answer is not None:
        return None if kind == 'cache' and answer[0] == 0 else [f'{where}: the keeper was not killed: {answer}']
    wrong = locked_view(scene, m.path('/dev/disk'))
    if not scene.keeper:
        lost = lose_cache(m, f'{m.root}-lost')
        wrong += clean_state(scene, m, 'resumed') + clean_state(scene, lost, 'resumed without cache')
        shutil.rmtree(lost.root)
    shutil.rmtree(m.root)
    return [f'{where}: {w}' for w in wrong]


def read_log(path):
    """Operations of the shim's log, in order: ('W', off, data), ('S',), ('w',), ('s',)."""
    with open(path, 'rb') as f:
        data = f.read()
    ops, at = [], 0
    while at < len(data):
        end = data.index(b'\n', at)
        line, at = data[at:end].split(), end + 1
        if line[0] == b'W':
            n = int(line[2])
            ops.append(('W', int(line[1]), data[at:at + n]))
            at += n
        else:
            ops.append((line[0].decode(),))
    return ops


def power_cut_images(base, ops):
    """Every image that a disk may hold which loses any unsynced writes, one of them perhaps torn."""
    disk, pending = bytearray(base), []
    for op in [o for o in ops if o[0] in 'WS'] + [('S',)]:
        if op[0] == 'W':
            pending.append(op)
            continue
        for n in range(len(pending) + 1):
            for some in itertools.combinations(pending, n):
                for torn in [None, *some]:
                    image = bytearray(disk)
                    for w in some:
                        part = w[2][:len(w[2]) // 2 // 512 * 512] if w is torn else w[2]
                        image[w[1]:w[1] + len(part)] = part
                    yield image
        for w in pending:
            disk[w[1]:w[1] + len(w[2])] = w[2]
        pending = []


def power_cuts(c, scene, ops):
    with open(scene.base, 'rb') as f:
        base = f.read()
    n, wrong, seen = 0, [], set()
    m = scene.copy('cut')
    for image in power_cut_images(base, ops):
        mark = hash(bytes(image[:1 << 20]))
        if mark in seen:
            continue
        seen.add(mark)
        with open(m.path('/dev/disk'), 'wb') as f:
            f.write(image)
        n += 1
        wrong += locked_view(scene, m.path('/dev/disk'))
        shutil.rmtree(m.path('/var/lib/keyholt/agent'), ignore_errors=True)  # it was inside the volume
        wrong += clean_state(scene, m, 'resumed after a power cut')
    c.check(not wrong, f'{scene.name}: {n} images after a power cut', wrong[:3])
    print(f'{scene.name}: {n} different images after a power cut judged and resumed', flush=True)


def points_of(ops, image_only):
    """(kind, number, torn) of every point. Of the cache's writes between two syncs, SQLite makes one transaction:
    killed before the first, or in the middle of the last, stands for all of them."""
    points, image, cache = [], 0, 0
    for i, op in enumerate(ops):
        if op[0] in 'WS':
            image += 1
            points += [('image', image, torn) for torn in ((False, True) if op[0] == 'W' else (False,))]
            continue
        cache += 1
        if op[0] == 's' or i == 0 or ops[i - 1][0] != 'w':
            points.append(('cache', cache, False))
        if op[0] == 'w' and (i + 1 == len(ops) or ops[i + 1][0] != 'w'):
            points.append(('cache', cache, True))
    return [p for p in points if p[0] == 'image' or not image_only]


def every_point(scene, ops, image_only=False):
    points = points_of(ops, image_only)
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        found = list(pool.map(lambda p: kill_point(scene, *p), points))
    return sum(f is not None for f in found), [w for f in found for w in f or []]


def prepare(folder, org, bundle):
    """A computer with a volume that has a passphrase and a token of somebody else; and one protected already."""
    m = Machine(folder + '/plain')
    os.makedirs(m.path('/dev'))
    os.makedirs(m.path('/sys/class/block/disk'))
    image = make_volume(m.path('/dev/disk'), '--luks2-keyslots-size', '1536k', '--offset', '4096', size='3M')
    sh('cryptsetup', 'token', 'import', '--token-id', '7', image, data=FOREIGN)
    m.install_org(bundle)
    m.start()
    m.stop()
    p = Machine(copy_computer(m.root, folder + '/protected'))
    p.start()
    answer = ask(p, MSG_PROTECT, p.path('/dev/disk').encode(), PASSPHRASE, NO_ESP)
    p.stop()
    if not answer or answer[0]:
        raise RuntimeError(f'preparing: {answer}')
    for prepared in (m, p):
        os.rename(prepared.path('/dev/disk'), prepared.path(KEPT))
    return m.root, p.root


def with_foreign(scene):
    mine = {k for t in scene.before['tokens'].values() if t['type'] == 'keyholt' for k in t['keyslots']}
    scene.foreign_slots = set(scene.before['keyslots']) - mine
    scene.foreign_tokens = [t for t in scene.before['tokens'].values() if t['type'] != 'keyholt']
    return scene


def main():
    for needed in (JUDGE, SHIM, WRONG):
        if not os.path.exists(needed):
            print(f'{needed} is not built: make')
            return 1
    start = time.monotonic()
    c = Checks(fast_folder())
    org = Organisation(c.folder + '/org')
    plain, protected = prepare(c.folder, org, org.bundle(c.folder + '/bundle'))
    for name, message, prepared in (('protect', MSG_PROTECT, plain), ('rotate', MSG_ROTATE, protected)):
        scene = with_foreign(Scene(name, c.folder, org, message, prepared))
        log = f'{c.folder}/{name}.log'
        m, answer = scene.run('all', log=log)
        ops = read_log(log)
        c.check(answer and answer[0] == 0 and not locked_view(scene, m.path('/dev/disk')), f'{name} works', answer)
        kinds = ''.join(o[0] for o in ops)
        c.check('WW' in kinds and 'S' in kinds and 's' in kinds, f'{name}: the shim sees writes and syncs', kinds)
        n, wrong = every_point(scene, ops)
        c.check(not wrong and n > 0.9 * len(points_of(ops, False)), f'{name}: killed at {n} points', wrong[:5])
        print(f'{name}: {len(ops)} operations, killed at {n} points, {time.monotonic() - start:.0f} s', flush=True)
        power_cuts(c, scene, ops)
    mutant = with_foreign(Scene('wrong-table', c.folder, org, MSG_PROTECT, plain, keeper=WRONG))
    log = f'{c.folder}/wrong.log'
    _, answer = mutant.run('all', log=log)
    c.check(answer and answer[0] == 0, 'the wrong table works as long as nothing fails', answer)
    n, wrong = every_point(mutant, read_log(log), image_only=True)
    c.check(any('invariant 1' in w for w in wrong), 'the wrong table is caught')
    print(f'wrong table: caught at {len(wrong)} of {n} points, {time.monotonic() - start:.0f} s', flush=True)
    return c.close()


if __name__ == '__main__':
    sys.exit(main())
