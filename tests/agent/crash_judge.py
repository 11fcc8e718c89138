# SPDX-License-Identifier: GPL-3.0-or-later
"""Power cuts at the keeper's writes: what is left after one, judged with the volume locked (header and one escrow
key, nothing else), and after another start; and every point of an operation."""
import base64
import concurrent.futures
import os
import shutil

from crash_log import ESP, points_of
from crash_scene import copy_computer
from machine import MSG_STATUS, OURS, Machine, ask, header, judge, opens

WORKERS = 2
BOUND = b'KHM\1\2'


def esp_files(m):
    """What there is on the EFI system partition below our folder: {name: bytes}."""
    top = m.path(ESP + '/EFI/keyholt')
    found = {}
    for folder, _, names in os.walk(top):
        for name in names:
            with open(f'{folder}/{name}', 'rb') as f:
                found[os.path.relpath(f'{folder}/{name}', top)] = f.read()
    return found


def envelopes_of(h, states=('live',)):
    return {base64.b64decode(t['envelope']) for t in h['tokens'].values() if t['type'] == 'keyholt' and t['state'] in states}


def esp_view(scene, m, j, after_start):
    """What is wrong there: a file under its own name that is not whole, or an envelope of neither before nor after; after
    a start with a live key, also what is missing, left over or of before (the header comes first, this copy follows)."""
    with open(m.path('/usr/lib/keyholt/recovery.efi'), 'rb') as f:
        want = {'recovery.efi': f.read()}
    for name in ('org.json', 'org.json.sig'):
        with open(m.path('/etc/keyholt/org/' + name), 'rb') as f:
            want[name] = f.read()
    live = [t for t in j['tokens'] if t['state'] == 'live']
    envelopes = envelopes_of(header(m.path('/dev/disk')))
    envelopes |= set() if after_start else envelopes_of(scene.before)
    there = esp_files(m)
    wrong = [f'{n} is not whole' for n, data in want.items() if n in there and there[n] != data]
    wrong += [f'{n} is no envelope of a live key' for n, data in there.items() if n.endswith('.env') and data not in envelopes]
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


def kill_point(scene, point):
    """What is wrong after this point; None when the operation ended before it (SQLite does not write the same
    number of pages each time; the volume's operations are always the same)."""
    tag = '{}{}-{}'.format(*point)
    m, answer = scene.run(tag, point)
    where = f'{scene.name}, {tag}'
    if answer is not None:
        return None if point.whose == 'c' and answer[0] == 0 else [f'{where}: the keeper was not killed: {answer}']
    j = judge(m.path('/dev/disk'), scene.org)
    wrong = locked_view(scene, m.path('/dev/disk'), j)
    if not scene.keeper:
        wrong += scene.note(m, j, tag)
        wrong += esp_view(scene, m, j, False) if scene.esp else []
        lost = scene.place(lose_cache(m, f'{m.root}-lost'))
        wrong += clean_state(scene, m, 'resumed') + clean_state(scene, lost, 'resumed without cache', lost=True)
        for n in (m, lost) if scene.esp else ():
            wrong += esp_view(scene, n, judge(n.path('/dev/disk'), scene.org), True)
        scene.remove(lost)
    scene.remove(m)
    return [f'{where}: {w}' for w in wrong]


def every_point(scene, ops, points=None, until=None):
    """How many the keeper was killed at, and what was wrong; until: words, after which no other point is begun."""
    points, found = points or points_of(ops, scene.whose), []
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        for i in range(0, len(points), 2 * WORKERS if until else len(points)):
            found += pool.map(lambda p: kill_point(scene, p), points[i:i + 2 * WORKERS] if until else points)
            if until and any(until in w for f in found for w in f or []):
                break
    return sum(f is not None for f in found), [w for f in found for w in f or []]
