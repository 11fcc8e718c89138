# SPDX-License-Identifier: GPL-3.0-or-later
"""Power cuts that lose what was not synced, replayed from a log of crash_shim.c: the volume, the keeper's own files (the
cache's database and its WAL, key files) and the EFI system partition, and every subset of what was not synced there.

The model: what is written to a file may be lost or torn until the file is synced, and what is done to a name (create,
rename, unlink, mkdir) until its folder is; any of these may be lost whichever came first, as vfat has no journal. A
medium's unsynced operations only grow between two syncs, so the moments before each sync ends, and the end, have every
subset that any moment has.
"""
import collections
import os

from crash_log import ESP

FOLDERS = {'i': '/dev', 'c': '/var/lib/keyholt/agent', 'e': ESP}
DISK = '/dev/disk'
SECTOR = 512

# at: number of the sync's line in the log; whose: the medium that it is on, kept and pending: what is there for sure and what
# may be lost; others: files of the other media as the keeper sees them; alone: nothing of theirs is unsynced
Moment = collections.namedtuple('Moment', 'at whose kept pending others alone')


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
                with open(f'{at}/{f}', 'rb') as h:
                    contents[len(contents) + 1] = h.read()
                names[f'{at}/{f}'.removeprefix(root)] = len(contents)
        return cls(contents, names, len(contents))

    def copy(self):
        return Medium(dict(self.contents), dict(self.names), self.serial)

    def after(self, ops):
        m = self.copy()
        for op in ops:
            m.apply(op)
        return m.files()

    def write(self, number, off, data):
        old = self.contents.get(number, b'').ljust(off, b'\0')
        self.contents[number] = b''.join((old[:off], data, old[off + len(data):]))

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
    """One of the media as the keeper sees it (now) and as it is on the disk (kept)."""

    def __init__(self, now):
        self.now, self.kept, self.pending = now, now.copy(), []

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


def disks_of(root, image):
    """The media of a computer in a folder whose volume is this image."""
    with open(image, 'rb') as f:
        volume = Medium({1: f.read()}, {DISK: 1}, 1)
    return {'i': Disk(volume), **{w: Disk(Medium.read(root, FOLDERS[w])) for w in 'ce'}}


def moments(disks, ops):
    """Each at which the power may go."""
    for i, o in enumerate([*ops, None]):
        for w in disks if o is None else o.whose if o.kind == 'S' else '':
            others = [d for v, d in disks.items() if v != w]
            files = {n: data for d in others for n, data in d.now.files().items()}
            yield Moment(i, w, disks[w].kept.copy(), list(disks[w].pending), files, not any(d.pending for d in others))
        if o is None:
            return
        if o.kind == 'S':
            disks[o.whose].sync(o.path)
        else:
            disks[o.whose].do(o)


class Losses:
    """Every subset of one moment's unsynced operations by what it leads to. Of writes that follow each other to the very
    same bytes (as when a keyslot's area is overwritten forty times) only the last kept counts, so the subsets that agree
    there are one outcome, of known number; all others are outcomes of their own. They are numbered from 0, all lost."""

    def __init__(self, moment):
        self.moment, self.runs = moment, []
        for op in moment.pending:
            last = self.runs[-1][-1] if self.runs else None
            if last and op[0] == last[0] == 'W' and (*op[1:3], len(op[3])) == (*last[1:3], len(last[3])):
                self.runs[-1].append(op)
            else:
                self.runs.append([op])
        self.n = 1
        for run in self.runs:
            self.n *= len(run) + 1

    def outcome(self, number):
        """How many subsets it is, and the lists of operations that reached the disk: as they are; then with the last write
        torn, of the volume any write, upon what was there before or the write before it to the same bytes."""
        kept, n = [], 1
        for run in self.runs:
            number, k = divmod(number, len(run) + 1)
            n <<= max(0, k - 1)
            kept += [run[max(0, k - 2):k]] if k else []
        whole = [run[-1] for run in kept]
        return n, [whole, *self.torn(kept, whole)]

    def torn(self, kept, whole):
        writes = [i for i, op in enumerate(whole) if op[0] == 'W']
        for i in writes if self.moment.whose == 'i' else writes[-1:]:
            op = whole[i]
            half = (*op[:3], op[3][:max(SECTOR, len(op[3]) // 2 // SECTOR * SECTOR)], op[4])
            for under in [[], kept[i][:-1]][:len(kept[i])] if len(op[3]) > SECTOR else ():
                yield [*whole[:i], *under, half, *whole[i + 1:]]
