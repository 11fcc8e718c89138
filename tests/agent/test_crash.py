#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Power cut at any write of protect, rotate and what follows a receipt or a restored header (outage line O10).

1. The real keeper is killed (SIGKILL) before and in the middle of every write and fsync on the volume and on its
   cache. What is left is judged with the volume locked: header and one escrow key, nothing else.
2. Then a keeper starts again on it, with its cache and with the cache lost, and must leave a clean state.
3. The volume's writes are also replayed as a disk that loses what was not synced: every subset of the writes
   between two fsyncs, each also torn.
Eight scenes: protect a plain volume, which makes the management keyslot, too; rotate by passphrase; rotate unattended;
rotate during an outage, with R and N in place (three recovery keyslots for a moment); a receipt for N, upon which R
goes; an old header that was written back, upon which a new key is made and the returned one goes; rotate by passphrase
while the TPM with device key and management key is away; protect again, killed at every write and fsync on the EFI
system partition, where each file is whole or not there, and all are there after the next start.
4. A keeper whose table of steps has the token after the keyslot goes through 1 and must be caught.
"""
import base64
import concurrent.futures
import glob
import hashlib
import itertools
import os
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from machine import (FAST, JUDGE, MSG_PROTECT, MSG_ROTATE, MSG_STATUS, MSG_VERIFY, NO_ESP, OURS, PASSPHRASE, TOP, Checks,
                     Machine, Organisation, ask, fast_folder, header, judge, make_volume, opens, sh)
from play_courier import Courier, device_of, enrolled, receipt
from swtpm import Swtpm

SHIM = f'{TOP}/build/tests/crash_shim.so'
WRONG = f'{TOP}/build/tests/keeper-wrong-table'
FOREIGN = b'{"type":"somebody-else","keyslots":["0"],"note":"hands off"}'
WORKERS = 2
BOUND = b'KHM\1\2'
ESP = '/boot/efi'
KEPT = '/dev/disk.kept'  # of a prepared computer: where its own cache remembers the disk, none may be left


def copy_computer(source, to):
    """A folder tree without the sockets in it."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(source, to, ignore=shutil.ignore_patterns('*.sock'))
    return to


def protect(m):
    return ask(m, MSG_PROTECT, m.path('/dev/disk').encode(), PASSPHRASE, NO_ESP)


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
        self.base = prepared + KEPT
        self.before = header(self.base)
        self.keys_before = sum(t['state'] == 'live' for t in judge(self.base, org)['tokens'])
        mine = {k for t in self.before['tokens'].values() if t['type'] in OURS for k in t['keyslots']}
        self.foreign_slots = set(self.before['keyslots']) - mine
        self.foreign_tokens = [t for t in self.before['tokens'].values() if t['type'] not in OURS]
        self.states, self.opened = set(), {}

    def copy(self, tag):
        m = Machine(copy_computer(self.prepared, f'{self.folder}/{self.name}-{tag}'))
        os.rename(m.path(KEPT), m.path('/dev/disk'))
        if self.keeper:
            m.keeper = self.keeper
        return m

    def run(self, tag, at=None, torn=False, state=False, log=None):
        m = self.copy(tag)
        image, arm = m.path('/dev/disk'), m.path('/armed')
        beside = m.path(ESP + '/' if self.esp else '/var/lib/keyholt/agent/')
        env = {'LD_PRELOAD': SHIM, 'SHIM_IMAGE': image, 'SHIM_STATE': beside, 'SHIM_ARM': arm}
        env.update({'SHIM_AT': str(at)} if at else {})
        env.update({'SHIM_TORN': '1'} if torn else {})
        env.update({'SHIM_COUNT_STATE': '1'} if state else {})
        env.update({'SHIM_LOG': log} if log else {})
        m.start(**env)
        operate = self.prepare(m) if self.prepare else lambda: self.operate(m)
        open(arm, 'w').close()
        answer = operate()
        os.unlink(arm)  # closing the cache at the end is no part of the operation
        m.stop()
        return m, answer

    def note(self, m, j):
        """Which state this was, and which keys opened it."""
        mark = hashlib.sha256()
        for name in [m.path('/dev/disk'), *sorted(glob.glob(m.path('/var/lib/keyholt/agent/**'), recursive=True))]:
            if os.path.isfile(name):
                with open(name, 'rb') as f:
                    mark.update(f.read())
        if mark.digest() in self.states:
            return
        self.states.add(mark.digest())
        by = ', '.join(sorted(t['state'] for t in j['tokens'] if t['opens'] >= 0)) or 'the passphrase alone'
        self.opened[by] = self.opened.get(by, 0) + 1


def esp_files(m):
    """What there is on the EFI system partition below our folder: {name: bytes}."""
    top = m.path(ESP + '/EFI/keyholt')
    found = {}
    for folder, _, names in os.walk(top):
        for name in names:
            with open(f'{folder}/{name}', 'rb') as f:
                found[os.path.relpath(f'{folder}/{name}', top)] = f.read()
    return found


def esp_view(m, j, after_start):
    """What is wrong there: a file under its own name that is not whole; after a start with a live key, also what is
    missing or left over."""
    with open(m.path('/usr/lib/keyholt/recovery.efi'), 'rb') as f:
        want = {'recovery.efi': f.read()}
    for name in ('org.json', 'org.json.sig'):
        with open(m.path('/etc/keyholt/org/' + name), 'rb') as f:
            want[name] = f.read()
    live = [t for t in j['tokens'] if t['state'] == 'live']
    tokens = [t for t in header(m.path('/dev/disk'))['tokens'].values() if t['type'] == 'keyholt' and t['state'] == 'live']
    envelopes = {base64.b64decode(t['envelope']) for t in tokens}
    there = esp_files(m)
    wrong = [f'{n} is not whole' for n, data in want.items() if n in there and there[n] != data]
    wrong += [f'{n} is no envelope of the header' for n, data in there.items() if n.endswith('.env') and data not in envelopes]
    if live and after_start:
        wrong += [f'{n} is missing' for n in want if n not in there]
        wrong += [f'{n} is left over' for n in there if '.part-' in n]
        wrong += [] if any(n.endswith('.env') for n in there) else ['the envelope is missing']
    return wrong


def managements(image):
    return [t for t in header(image)['tokens'].values() if t['type'] == 'keyholt-management']


def locked_view(scene, image, j=None):
    """What is wrong with this image, judged with the volume locked; empty when nothing is."""
    j = j or judge(image, scene.org)
    management = {t['slot'] for t in managements(image)} if j['loads'] else set()
    if not j['loads']:
        return ['the header does not load']
    wrong = []
    kept = {t['slot'] for t in j['tokens'] if t['envelope']}
    for s in j['slots']:
        if str(s['slot']) not in scene.foreign_slots and s['slot'] not in kept | management:
            wrong.append(f'invariant 1: keyslot {s["slot"]} has no envelope in the header')
    if scene.keys_before and not any(t['opens'] >= 0 for t in j['tokens']):
        wrong.append('invariant 3: no envelope yields a password that opens')
    wrong += [f'a live key does not open: {t}' for t in j['tokens'] if t['state'] == 'live' and t['opens'] != t['slot']]
    n_recovery = len(j['slots']) - len(scene.foreign_slots) - len(management & {s['slot'] for s in j['slots']})
    if n_recovery > 3:
        wrong.append(f'{n_recovery} recovery keyslots at once')
    now = header(image) if not wrong else None
    if now:
        if any(now['keyslots'].get(n) != scene.before['keyslots'][n] for n in scene.foreign_slots):
            wrong.append('a foreign keyslot was changed')
        if [t for t in now['tokens'].values() if t['type'] not in OURS] != scene.foreign_tokens:
            wrong.append('a foreign token was changed')
    return wrong


def way_in(m, image):
    """What is wrong with the management keyslots and their keys; and how many work."""
    wrong, works = [], 0
    for t in managements(image):
        name = m.path(f'/var/lib/keyholt/agent/management/{t["id"].lower()}.key')
        if t['state'] != 'live' or not t['keyslots']:
            wrong.append(f'management token left over: {t}')
        elif os.path.exists(name):
            with open(name, 'rb') as f:
                key = f.read()
            works += key[:5] == BOUND or opens(image, key[24:], t['slot'])  # its TPM is away: it waits
    return wrong, works


def clean_state(scene, m, how, lost=False):
    """Start a keeper on it: nothing half done may be left, and status must say what the header says."""
    m.start()
    volumes = ask(m, MSG_STATUS)[2]['volumes']  # answered after resuming
    image = m.path('/dev/disk')
    status = {v['device']: v for v in volumes}.get(image)
    j = judge(image, scene.org)
    wrong = locked_view(scene, image, j)
    live = [t for t in j['tokens'] if t['state'] == 'live' and t['assigned'] and t['opens'] == t['slot']]
    if len(live) != len(j['tokens']):
        wrong.append(f'{how}: left over: {[t for t in j["tokens"] if t not in live]}')
    if len(live) not in ({0, *scene.live} if not scene.keys_before else scene.live):
        wrong.append(f'{how}: {len(live)} live keys')
    left, works = way_in(m, image)
    wrong += [f'{how}: {x}' for x in left]
    n_management = len(managements(image))
    if works > 1 or (n_management != works and not lost):  # with device key and key lost, it may be another computer's
        wrong.append(f'{how}: of {n_management} management keyslots, {works} work')
    if len(j['slots']) != len(scene.foreign_slots) + len(live) + n_management:
        wrong.append(f'{how}: keyslots {j["slots"]}')
    want = 'protected' if works else 'needs-unlock-secret'
    if live and (not status or status['state'] not in ('protected', want) or
                 status['key_id'] not in [t['key_id'] for t in live] or not status['verified']):
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
    j = judge(m.path('/dev/disk'), scene.org)
    wrong = locked_view(scene, m.path('/dev/disk'), j)
    if not scene.keeper:
        scene.note(m, j)
        wrong += esp_view(m, j, False) if scene.esp else []
        lost = lose_cache(m, f'{m.root}-lost')
        wrong += clean_state(scene, m, 'resumed') + clean_state(scene, lost, 'resumed without cache', lost=True)
        for n in (m, lost) if scene.esp else ():
            wrong += esp_view(n, judge(n.path('/dev/disk'), scene.org), True)
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
        shutil.rmtree(m.path('/var/lib/keyholt/agent'), ignore_errors=True)  # it was inside the volume
        j = judge(m.path('/dev/disk'), scene.org)
        scene.note(m, j)
        wrong += locked_view(scene, m.path('/dev/disk'), j)
        wrong += clean_state(scene, m, 'resumed after a power cut', lost=True)
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
    points = [p for p in points_of(ops, image_only) if p[0] == 'cache' or not scene.esp]
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        found = list(pool.map(lambda p: kill_point(scene, *p), points))
    return sum(f is not None for f in found), [w for f in found for w in f or []]


def new_computer(folder, bundle):
    m = Machine(folder)
    os.makedirs(m.path('/dev'))
    os.makedirs(m.path('/sys/class/block/disk'))
    image = make_volume(m.path('/dev/disk'), '--luks2-keyslots-size', '1536k', '--offset', '4096', size='3M')
    sh('cryptsetup', 'token', 'import', '--token-id', '7', image, data=FOREIGN)
    m.install_org(bundle)
    return m


def must(answer):
    if not answer or answer[0]:
        raise RuntimeError(f'preparing: {answer}')


def then(m, folder, work):
    """A copy of this computer, and something done on it; its disk is kept aside then, as the source's is."""
    n = Machine(copy_computer(m.root, folder))
    os.rename(n.path(KEPT), n.path('/dev/disk'))
    n.start()
    work(n)
    n.stop()
    os.rename(n.path('/dev/disk'), n.path(KEPT))
    return n


def prepare(folder, org, bundle):
    """Computers whose volume has a passphrase and a token of somebody else: plain; protected; protected and receipted;
    in an outage, with R and N; with an old header written back."""
    def join(m):
        m.courier = enrolled(m, org, folder, bundle)
        must(protect(m))
        records = m.courier.batch()['records']
        m.courier.answer(receipts=[receipt(org, device_of(m), records)])
        must(ask(m, MSG_STATUS))

    def restore(m):
        with open(m.path('/dev/disk'), 'rb') as f:
            old = f.read()
        must(rotate(m))
        m.stop()
        with open(m.path('/dev/disk'), 'wb') as f:
            f.write(old)
    plain = new_computer(folder + '/plain', bundle).start()
    plain.stop()
    os.rename(plain.path('/dev/disk'), plain.path(KEPT))
    protected = then(plain, folder + '/protected', lambda m: must(protect(m)))
    receipted = then(plain, folder + '/receipted', join)
    outage = then(receipted, folder + '/outage', lambda m: must(rotate(m)))
    restored = then(protected, folder + '/restored', restore)
    away = shutil.which('swtpm') and bound(plain, folder)
    return plain.root, protected.root, outage.root, restored.root, with_esp(plain, folder), away


def with_esp(plain, folder):
    """The plain computer with an EFI system partition and the package's app."""
    n = Machine(copy_computer(plain.root, folder + '/with-esp'))
    for path, data in ((ESP + '/EFI/debian/shimx64.efi', b'MZ'), ('/usr/lib/keyholt/recovery.efi', os.urandom(200_000))):
        os.makedirs(os.path.dirname(n.path(path)))
        with open(n.path(path), 'wb') as f:
            f.write(data)
    return n.root


def bound(plain, folder):
    """A protected computer with its device key and management key in a TPM, which is not there in the scene."""
    os.makedirs(folder + '/tpm')
    tpm = Swtpm(folder + '/tpm')
    n = Machine(copy_computer(plain.root, folder + '/bound'))
    n.options += ['--tpm', tpm.tcti]
    shutil.rmtree(n.path('/var/lib/keyholt/agent'))
    os.rename(n.path(KEPT), n.path('/dev/disk'))
    n.start()
    must(protect(n))
    n.stop()
    tpm.stop()
    os.rename(n.path('/dev/disk'), n.path(KEPT))
    return n.root


def play(c, scene, start):
    log = f'{scene.folder}/{scene.name}.log'
    m, answer = scene.run('all', log=log)
    ops = read_log(log)
    c.check(answer and answer[0] == 0 and not locked_view(scene, m.path('/dev/disk')), f'{scene.name} works', answer)
    kinds = ''.join(o[0] for o in ops)
    c.check('WW' in kinds and 'S' in kinds and 's' in kinds, f'{scene.name}: the shim sees writes and syncs', kinds)
    n, wrong = every_point(scene, ops)
    wanted = [p for p in points_of(ops, False) if p[0] == 'cache' or not scene.esp]
    c.check(not wrong and n > 0.9 * len(wanted), f'{scene.name}: killed at {n} points', wrong[:5])
    print(f'{scene.name}: {len(ops)} operations, killed at {n} points, {time.monotonic() - start:.0f} s', flush=True)
    if not scene.esp:
        power_cuts(c, scene, ops)


def main():
    for needed in (JUDGE, SHIM, WRONG):
        if not os.path.exists(needed):
            print(f'{needed} is not built: make')
            return 1
    start = time.monotonic()
    c = Checks(fast_folder())
    org = Organisation(c.folder + '/org')
    plain, protected, outage, restored, esp, away = prepare(c.folder, org, org.bundle(c.folder + '/bundle'))
    scenes = [Scene('protect', c.folder, org, protect, plain),
              Scene('rotate', c.folder, org, rotate, protected),
              Scene('unattended', c.folder, org, lambda m: rotate(m, b''), protected),
              Scene('outage', c.folder, org, lambda m: rotate(m, b''), outage, live=(2,)),
              Scene('receipt', c.folder, org, None, outage, live=(1, 2), prepare=Sync(org)),
              Scene('restored', c.folder, org, verify, restored),
              Scene('esp', c.folder, org, lambda m: ask(m, MSG_PROTECT, m.path('/dev/disk').encode(), PASSPHRASE, 0), esp, esp=True)]
    if away:
        scenes.append(Scene('away', c.folder, org, rotate, away))
    else:
        c.skip('a rotation while the TPM is away', 'no swtpm here')
    for scene in scenes:
        if len(sys.argv) < 2 or scene.name in sys.argv[1:]:
            play(c, scene, start)
    states = set().union(*(s.states for s in scenes))
    opened = {}
    for s in scenes:
        for by, n in s.opened.items():
            opened[by] = opened.get(by, 0) + n
    for by, n in sorted(opened.items()):
        print(f'opened by {by}: {n} states')
    c.check(len(states) >= 500 or len(sys.argv) > 1, 'at least 500 different states of header and cache', len(states))
    print(f'{len(states)} different states of header and cache judged, {time.monotonic() - start:.0f} s', flush=True)
    mutant = Scene('wrong-table', c.folder, org, protect, plain, keeper=WRONG)
    log = f'{c.folder}/wrong.log'
    _, answer = mutant.run('all', log=log)
    c.check(answer and answer[0] == 0, 'the wrong table works as long as nothing fails', answer)
    n, wrong = every_point(mutant, read_log(log), image_only=True)
    c.check(any('invariant 1' in w for w in wrong), 'the wrong table is caught')
    print(f'wrong table: caught at {len(wrong)} of {n} points, {time.monotonic() - start:.0f} s', flush=True)
    return c.close()


if __name__ == '__main__':
    sys.exit(main())
