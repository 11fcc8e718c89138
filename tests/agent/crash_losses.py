# SPDX-License-Identifier: GPL-3.0-or-later
"""Power cuts that lose what was not synced of the keeper's own files (the cache's database and its WAL, key files) and of
the EFI system partition, replayed from a log of crash_shim.c.

The model: what is written to a file may be lost or torn until the file is synced, and what is done to a name (create,
rename, unlink, mkdir) until its folder is; any of these may be lost whichever came first, as vfat has no journal. The
power goes before each sync ends, and at the end; everything before that on the other two media is there, or of the
volume only what was synced. Of more than four unsynced operations, not every subset is taken: none; each prefix that
ends or begins in a quarter; all but the first, the last, or every other.
"""
import concurrent.futures
import hashlib
import itertools
import os
import shutil

from crash_judge import WORKERS, clean_state, esp_view, locked_view
from crash_log import LONG, read_log
from crash_scene import ESP, copy_computer
from machine import Machine, judge

FOLDERS = {'c': '/var/lib/keyholt/agent', 'e': ESP}
SHORT = 4  # states of a scene in the short form
SECTOR = 512


class Medium:
    """Files by number (contents) and by name; number 0 is a folder. An operation: its kind, its
    arguments, what must be synced for it to last (a file's number or a folder's name)."""

    def __init__(self, contents, names, serial=0):
        self.contents, self.names, self.serial = contents, names, serial

    @classmethod
    def read(cls, root, folder):
        contents, names = {}, {}
        for at, folders, files in os.walk(root + folder):
            names.update({f'{at}/{f}'.removeprefix(root): 0 for f in folders})
            for f in files:
                contents[len(contents) + 1] = open(f'{at}/{f}', 'rb').read()
                names[f'{at}/{f}'.removeprefix(root)] = len(contents)
        return cls(contents, names, len(contents))

    def copy(self):
        return Medium(dict(self.contents), dict(self.names), self.serial)

    def write(self, number, off, data):
        old = self.contents.get(number, b'').ljust(off, b'\0')
        self.contents[number] = old[:off] + data + old[off + len(data):]

    def apply(self, op):
        kind, *of, _ = op
        if kind == 'W':
            self.write(*of)
        elif kind == 'T':
            self.contents[of[0]] = self.contents.get(of[0], b'').ljust(of[1], b'\0')[:of[1]]
        elif kind == 'O':
            self.names[of[0]] = of[1]
        elif kind == 'U':
            self.names.pop(of[0], None)
        elif kind == 'R' and of[0] in self.names:
            self.names[of[1]] = self.names.pop(of[0])

    def files(self):
        """{name: bytes, None of a folder}: whose folder is not there, is not there."""
        def there(name):
            above = os.path.dirname(name)
            return above in FOLDERS.values() or (above in self.names and there(above))
        return {n: self.contents.get(k, b'') if k else None for n, k in sorted(self.names.items()) if there(n)}


class Disk:
    """One of the two media as the keeper sees it (now) and as it is on the disk (kept)."""

    def __init__(self, root, whose):
        self.now = Medium.read(root, FOLDERS[whose])
        self.kept, self.pending = self.now.copy(), []

    def do(self, o):
        number, above = self.now.names.get(o.path), os.path.dirname(o.path)
        if o.kind in 'OM':
            self.now.serial += 1
            op = ('O', o.path, self.now.serial if o.kind == 'O' else 0, above)
        elif o.kind == 'R':
            op = ('R', o.path, o.to, os.path.dirname(o.to))
        elif o.kind == 'U':
            op = ('U', o.path, above)
        elif number and o.kind in 'WT':
            op = ('W', number, o.off, o.data, number) if o.kind == 'W' else ('T', number, o.off, number)
        else:
            return
        self.now.apply(op)
        self.pending.append(op)

    def sync(self, path):
        by = (self.now.names.get(path) or path, path)
        for op in self.pending:
            if op[-1] in by:
                self.kept.apply(op)
        self.pending = [op for op in self.pending if op[-1] not in by]

    def losses(self):
        """What the disk may hold when the power goes now."""
        for some in subsets(self.pending):
            last = [op for op in some if op[0] == 'W'][-1:]
            for torn in [None, *last]:
                m = self.kept.copy()
                for op in some:
                    if op is torn:
                        op = (*op[:3], op[3][:max(SECTOR, len(op[3]) // 2 // SECTOR * SECTOR)], op[4])
                    m.apply(op)
                yield m.files()


def subsets(ops):
    n = len(ops)
    if n <= 4:
        yield from (list(s) for k in range(n + 1) for s in itertools.combinations(ops, k))
        return
    for k in range(0, n + 1, max(1, n // 4)):
        yield from (ops[:k], ops[k:])
    yield from (ops[1:], ops[:-1], ops[::2], ops[1::2])


def states(root, ops):
    """(name, bytes of the volume, files of the other two) of each different state."""
    disks = {w: Disk(root, w) for w in FOLDERS}
    with open(root + '/dev/disk', 'rb') as f:
        volume = synced = f.read()
    seen = set()
    for i, o in enumerate([*ops, None]):
        for w in FOLDERS if o is None else o.whose if o.kind == 'S' and o.whose != 'i' else '':
            others = {n: data for v, d in disks.items() if v != w for n, data in d.now.files().items()}
            for files, image in itertools.product(disks[w].losses(), {volume, synced}):
                mark = hashlib.sha256(repr(sorted({**others, **files}.items())).encode() + image).digest()
                if mark not in seen:
                    seen.add(mark)
                    yield f'{w} lost at {i}', image, {**others, **files}
        if o is None:
            return
        if o.whose == 'i' and o.kind == 'W':
            volume = volume[:o.off] + o.data + volume[o.off + len(o.data):]
        elif o.whose == 'i':
            synced = volume if o.kind == 'S' else synced
        elif o.kind == 'S':
            disks[o.whose].sync(o.path)
        else:
            disks[o.whose].do(o)


def put(m, image, files):
    with open(m.path('/dev/disk'), 'wb') as f:
        f.write(image)
    for whose, folder in FOLDERS.items():
        if os.path.isdir(m.path(folder)):
            shutil.rmtree(m.path(folder))
            os.mkdir(m.path(folder), 0o700 if whose == 'c' else 0o755)
    for name, data in files.items():
        if data is None:
            os.mkdir(m.path(name), 0o700)
            continue
        with open(os.open(m.path(name), os.O_WRONLY | os.O_CREAT, 0o600), 'wb') as f:
            f.write(data)


def judge_loss(scene, armed, number, name, image, files):
    m = Machine(copy_computer(armed, f'{scene.folder}/{scene.name}-loss{number}'))
    put(m, image, files)
    j = judge(m.path('/dev/disk'), scene.org)
    wrong = locked_view(scene, m.path('/dev/disk'), j) + scene.note(m, j, name)
    wrong += esp_view(scene, m, j, False) if scene.esp else []
    wrong += clean_state(scene, m, 'resumed')
    wrong += esp_view(scene, m, judge(m.path('/dev/disk'), scene.org), True) if scene.esp else []
    scene.remove(m)
    return [f'{scene.name}, {name}: {w}' for w in wrong]


def losses(c, scene):
    armed, log = f'{scene.folder}/{scene.name}-armed', f'{scene.folder}/{scene.name}-armed.log'
    m, answer = scene.run('losses', log=log, armed=armed)
    found = list(states(armed, read_log(log, m.root)))
    scene.remove(m)  # its cache remembers this one
    chosen = found if LONG else found[len(found) // SHORT // 2::max(1, len(found) // SHORT)]
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        wrong = [w for ws in pool.map(lambda x: judge_loss(scene, armed, x[0], *x[1]), enumerate(chosen)) for w in ws]
    what = f'{len(chosen)} of {len(found)} losses of unsynced writes to the cache{" and the ESP" if scene.esp else ""}'
    c.check(answer and answer[0] == 0 and chosen and not wrong, f'{scene.name}: {what}', wrong[:3])
    print(f'{scene.name}: {what} judged and resumed', flush=True)


def unsynced_is_caught(c, scene):
    """The same log as of a keeper that does not sync the ESP's files: their new names come before their bytes."""
    armed, log = f'{scene.folder}/{scene.name}-armed', f'{scene.folder}/{scene.name}-armed.log'
    ops = [o for o in read_log(log, f'{scene.folder}/{scene.name}-losses') if o.whose != 'e' or o.kind != 'S']
    m, wrong = Machine(copy_computer(armed, f'{scene.folder}/{scene.name}-unsynced')), []
    for _, image, files in (s for s in states(armed, ops) if s[0].startswith('e')):
        put(m, image, files)
        wrong += esp_view(scene, m, judge(m.path('/dev/disk'), scene.org), False)
    c.check(any('not whole' in w for w in wrong), 'files on the ESP that are not synced are caught')
