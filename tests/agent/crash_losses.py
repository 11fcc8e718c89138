# SPDX-License-Identifier: GPL-3.0-or-later
"""Power cuts that lose what was not synced: each state that crash_media.py finds is classified (crash_recovered.py), and
every class is judged and resumed.

Each different image of the volume is judged with the volume locked; each state of the cache is recovered by SQLite, and
must hold what the database held before the commit or after it, whole. Then a keeper starts on the first and the last
state found of each class, and where the volume was written, also without its cache. In the short form of no more than
64 outcomes of a moment, and of few classes of each scene, except those without the cache.
"""
import concurrent.futures
import os
import queue
import random
import shutil

from crash_judge import WORKERS, clean_state, esp_view, locked_view
from crash_log import LONG, read_log
from crash_media import DISK, FOLDERS, Losses, Moment, disks_of, moments
from crash_recovered import DB, WAL, Digests, Recovery, mark_of, volume_class
from crash_scene import copy_computer
from machine import Machine, judge

SHORT, FEW = 4, 64  # classes of a scene, outcomes of a moment, in the short form
CHUNK = 2048
WORDS = {'c': 'cache', 'e': 'ESP'}


class Class:
    """States that are one to whoever starts on them; which: of the first and the last one, their moment and the
    operations that reached the disk."""

    def __init__(self, what, lost=False):
        self.what, self.lost, self.subsets, self.marks, self.which = what, lost, 0, set(), []

    def add(self, subsets, marks, which):
        self.subsets += subsets
        self.marks.update(marks)
        self.which = [*self.which[:1], *which[-1:]] if self.which else which


class Tally:
    def __init__(self):
        self.subsets, self.states, self.wrong, self.classes = 0, set(), [], {}

    def add(self, key, what, subsets, marks, which, lost=False):
        self.states.update(marks)
        self.classes.setdefault((lost, key), Class(what, lost)).add(subsets, marks, which)


def some(losses):
    """Numbers of outcomes: nothing and everything there, and others by chance, the same each time."""
    return [0, losses.n - 1, *random.Random(1).sample(range(1, losses.n - 1), FEW - 2)]


def classify(moment, of, folder):
    """The outcomes of these numbers by class: {key: [subsets, marks, [operations of the first and the last]]}; wrong."""
    recovery, losses = Recovery(f'{folder}/recovery-{os.getpid()}'), Losses(moment)
    shared = Digests([*moment.kept.contents.values(), *moment.others.values()])
    others, _, _ = recovery.classify(moment.others, shared.all(moment.others))
    raw, found, wrong = shared.all(moment.others), {}, []
    allowed = [recovery.classify(moment.kept.after(ops), {})[1] for ops in ([], moment.pending)]
    for number in of:
        n, lists = losses.outcome(number)
        for subsets, ops in zip([n] + [0] * len(lists), lists):
            files = moment.kept.after(ops)
            digests = shared.all(files)
            kind, database, verdict = recovery.classify(files, digests)
            if database not in allowed or verdict not in (None, 'ok'):
                wrong.append(f'{WORDS[moment.whose]} lost at {moment.at}, outcome {number}: the database holds neither what it '
                             f'did before nor after; {verdict}')
            entry = found.setdefault(mark_of({**others, **kind}), [0, set(), []])
            entry[0] += subsets
            entry[1].add(mark_of({**raw, **digests}))
            entry[2] = [*entry[2][:1], ops]
    return found, wrong


def files_lost(scene, tally, moment):
    """Of the cache or the ESP."""
    folder, outcomes = f'{scene.folder}/{scene.name}-sqlite', Losses(moment)
    of = range(outcomes.n) if LONG or outcomes.n <= FEW else some(outcomes)
    parts = [of[i:i + CHUNK] for i in range(0, len(of), CHUNK)]
    if len(parts) == 1:
        answers = [classify(moment, of, folder)]
    else:
        with concurrent.futures.ProcessPoolExecutor(WORKERS) as pool:
            answers = list(pool.map(classify, *zip(*((moment, part, folder) for part in parts))))
    for found, wrong in answers:
        tally.wrong += wrong
        for key, (n, marks, lists) in found.items():
            tally.subsets += n
            tally.add(key, f'{WORDS[moment.whose]} lost at {moment.at}', n, marks, [(moment, ops) for ops in lists])


class Images:
    """Images of the volume, each judged once; a computer for each worker."""

    def __init__(self, scene):
        self.scene, self.judged, self.free = scene, {}, queue.Queue()
        for i in range(WORKERS):
            self.free.put(scene.copy(f'image{i}'))

    def judge(self, moment, ops):
        image, m = moment.kept.after(ops)[DISK], self.free.get()
        try:
            with open(m.path(DISK), 'wb') as f:
                f.write(image)
            j = judge(m.path(DISK), self.scene.org)
            wrong = locked_view(self.scene, m.path(DISK), j)
            with open(m.path(DISK), 'rb') as f:
                return volume_class(image, f.read()), j, wrong
        finally:
            self.free.put(m)

    def all(self, wanted):
        """wanted: {SHA-256 of an image: its moment and operations}"""
        new = {d: w for d, w in wanted.items() if d not in self.judged}
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            self.judged.update(zip(new, pool.map(lambda w: self.judge(*w), new.values())))
        return self.judged

    def close(self):
        while not self.free.empty():
            self.scene.remove(self.free.get())


def volume_lost(scene, tally, moment, images):
    """Each image with the cache as it is at that moment, and without."""
    losses, what = Losses(moment), f'volume lost at {moment.at}'
    with_files = Digests(moment.others.values()).all(moment.others)
    recovery = Recovery(f'{scene.folder}/{scene.name}-sqlite/recovery')
    others, _, _ = recovery.classify(moment.others, with_files)
    outcomes = [(n if i == 0 else 0, ops, Digests(()).of(moment.kept.after(ops)[DISK]))
                for number in range(losses.n) for n, lists in [losses.outcome(number)] for i, ops in enumerate(lists)]
    judged = images.all({digest: (moment, ops) for _, ops, digest in outcomes})
    for n, ops, digest in outcomes:
        kind, _, wrong = judged[digest]
        tally.wrong += [f'{what}: {w}' for w in wrong]
        tally.subsets += n
        tally.add(mark_of({**others, DISK: kind}), what, n, [mark_of({**with_files, DISK: digest})], [(moment, ops)])
        tally.add(kind, what, n, [mark_of({DISK: digest})], [(moment, ops)], lost=True)


def put(m, files, lost):
    """lost: without the cache, which was inside the volume."""
    for whose in 'ce':
        if os.path.isdir(m.path(FOLDERS[whose])):
            shutil.rmtree(m.path(FOLDERS[whose]))
            if whose == 'e' or not lost:
                os.mkdir(m.path(FOLDERS[whose]), 0o700 if whose == 'c' else 0o755)
    for name, data in files.items():
        if lost and name.startswith(FOLDERS['c']):
            continue
        if data is None:
            os.mkdir(m.path(name), 0o700)
            continue
        with open(os.open(m.path(name), os.O_WRONLY | os.O_CREAT, 0o600), 'wb') as f:
            f.write(data)


def resume(scene, armed, tag, one, which):
    """What is wrong with a state of a class, and after a start on it; which password opened it."""
    moment, ops = which
    m = scene.place(Machine(copy_computer(armed, f'{scene.folder}/{scene.name}-{tag}')))
    put(m, {**moment.others, **moment.kept.after(ops)}, one.lost)
    j = judge(m.path(DISK), scene.org)
    wrong = locked_view(scene, m.path(DISK), j)
    wrong += esp_view(scene, m, j, False) if scene.esp else []
    told = f'{one.what}{" and all of the cache" if one.lost else ""}, {one.subsets} subsets'
    wrong += scene.note(m, j, told, one.marks)
    wrong += clean_state(scene, m, 'resumed', lost=one.lost)
    wrong += esp_view(scene, m, judge(m.path(DISK), scene.org), True) if scene.esp else []
    scene.remove(m)
    return [f'{scene.name}, {told}: {w}' for w in wrong]


def chosen(tally):
    """Which classes; in the short form each has one state."""
    kept = [c for c in tally.classes.values() if not c.lost]
    lost = [c for c in tally.classes.values() if c.lost]
    if LONG:
        return [(c, w) for c in lost + kept for w in c.which]
    return [(c, c.which[0]) for c in lost + kept[len(kept) // SHORT // 2::max(1, len(kept) // SHORT)]]


def find(c, scene, armed, log, root, media):
    """Every state of these media, classified."""
    tally, images = Tally(), Images(scene)
    every = list(moments(disks_of(armed, scene.base), read_log(log, root)))
    c.check(all(m.alone for m in every), f'{scene.name}: never are two media unsynced at once')
    for m in every:
        if m.whose == 'i' and m.whose in media:
            volume_lost(scene, tally, m, images)
        elif m.whose in media:
            files_lost(scene, tally, m)
    images.close()
    unsynced = [len(m.pending) for m in every if m.whose in media]
    needed = sum(2 ** n for n in unsynced)
    c.check(tally.subsets == needed or (not LONG and tally.subsets), f'{scene.name}: every subset', [tally.subsets, needed])
    print(f'{scene.name}: {len(unsynced)} moments, up to {max(unsynced)} unsynced operations: '
          f'{tally.subsets} of {needed} subsets, {len(images.judged)} images of the volume, {len(tally.states)} different '
          f'states in {len(tally.classes)} classes', flush=True)
    return tally


def losses(c, scene, media='ice'):
    armed, log = f'{scene.folder}/{scene.name}-armed', f'{scene.folder}/{scene.name}-armed.log'
    m, answer = scene.run('losses', log=log, armed=armed)
    root = m.root
    scene.remove(m)  # its cache remembers this one
    tally = find(c, scene, armed, log, root, media)
    c.check(answer and answer[0] == 0 and tally.classes and not tally.wrong, f'{scene.name}: what is left of unsynced writes',
            tally.wrong[:3])
    todo = chosen(tally)
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        wrong = [w for ws in pool.map(lambda x: resume(scene, armed, f'loss{x[0]}', *x[1]), enumerate(todo)) for w in ws]
    c.check(todo and not wrong, f'{scene.name}: resumed after losses', wrong[:3])
    print(f'{scene.name}: {len(todo)} states of {len({id(x) for x, _ in todo})} of the classes judged and resumed', flush=True)


def unsynced_is_caught(c, scene):
    """The same log as of a keeper that does not sync the ESP's files: their new names come before their bytes."""
    armed, log = f'{scene.folder}/{scene.name}-armed', f'{scene.folder}/{scene.name}-armed.log'
    ops = [o for o in read_log(log, f'{scene.folder}/{scene.name}-losses') if o.whose != 'e' or o.kind != 'S']
    last = [m for m in moments(disks_of(armed, scene.base), ops) if m.whose == 'e'][-1]
    m, outcomes = Machine(copy_computer(armed, f'{scene.folder}/{scene.name}-unsynced')), Losses(last)
    put(m, last.others, False)
    j = judge(m.path(DISK), scene.org)

    def view(number):
        put(m, {**last.others, **last.kept.after(outcomes.outcome(number)[1][0])}, False)
        return esp_view(scene, m, j, False)
    caught = any('not whole' in w for number in some(outcomes) for w in view(number))
    c.check(caught, f'files on the ESP that are not synced are caught among 2^{len(last.pending)} subsets')


def unjournaled_is_caught(c, scene):
    """The same pages as of a database without a WAL: each is written to its place in the file itself, and some come before
    others."""
    armed, log = f'{scene.folder}/{scene.name}-armed', f'{scene.folder}/{scene.name}-armed.log'
    every = moments(disks_of(armed, scene.base), read_log(log, f'{scene.folder}/{scene.name}-losses'))
    longest = max((m for m in every if m.whose == 'c'), key=lambda m: len(m.pending))
    files = longest.kept.files()
    content, _, _ = Recovery(f'{scene.folder}/unjournaled').read(files[DB], files.get(WAL))
    kept, writes = longest.kept.copy(), [op for op in longest.pending if op[0] == 'W' and op[1] == longest.kept.names[WAL]]
    number = kept.names[DB]
    kept.contents[number] = content
    del kept.names[WAL]
    pages = [('W', number, (int.from_bytes(frame[3][:4], 'big') - 1) * len(page[3]), page[3], number)
             for frame, page in zip(writes[::2], writes[1::2])]
    moment = Moment(longest.at, 'c', kept, pages, longest.others, True)
    found, wrong = classify(moment, range(Losses(moment).n), f'{scene.folder}/unjournaled')
    c.check(len(pages) > 3 and len(wrong) > len(pages), f'a database without a WAL is caught ({len(pages)} pages)', len(wrong))
    c.check(sum(n > 0 for n, _, _ in found.values()) == 2 ** len(pages), 'and its subsets are told apart', len(found))
    print(f'{scene.name}: without a WAL {len(wrong)} torn databases of {2 ** len(pages)} subsets, and with a torn page, caught',
          flush=True)


def wrong_images_are_caught(c, scene):
    """A scene whose keeper has a wrong table of steps."""
    armed, log = f'{scene.folder}/{scene.name}-armed', f'{scene.folder}/{scene.name}-armed.log'
    m, _ = scene.run('losses', log=log, armed=armed)
    wrong = find(c, scene, armed, log, m.root, 'i').wrong
    c.check(any('invariant 1' in w for w in wrong), 'the wrong table is caught in what is left of unsynced writes', wrong[:3])
