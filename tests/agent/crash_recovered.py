# SPDX-License-Identifier: GPL-3.0-or-later
"""Which states left by a power cut are one and the same to whoever starts on them: told by the libraries that recover them.

A state's mark is the hash of all its names and bytes. Its class is that of the bytes after recovery: of the cache the
database as SQLite reads it, having recovered a copy from the WAL, and whether there is a WAL; of the volume the image
after libcryptsetup loaded it and repaired a header from the other; of everything else the bytes. States of one class
differ only in what SQLite, or libcryptsetup, threw away.
"""
import hashlib
import os
import re
import sqlite3
import struct

from crash_media import DISK, FOLDERS

DB = FOLDERS['c'] + '/cache.db'
WAL = DB + '-wal'
# fields of a LUKS2 binary header that are drawn or computed anew when one header is written from the other; source: the
# LUKS2 on-disk format, section 2.1
SALT, CHECKSUM = slice(104, 168), slice(448, 512)


class Digests:
    """SHA-256, of contents that many states share once."""

    def __init__(self, contents):
        self.known = {id(data): (data, hashlib.sha256(data).digest()) for data in contents if data is not None}

    def of(self, data):
        return self.known[id(data)][1] if id(data) in self.known else hashlib.sha256(data).digest()

    def all(self, files):
        return {n: None if data is None else self.of(data) for n, data in files.items()}


def mark_of(digests):
    """Of a state: {name: SHA-256 of its bytes, None of a folder}."""
    mark = hashlib.sha256()
    for name, digest in sorted(digests.items()):
        name = re.sub(r'\.part-\w{6}$', '.part', name) if '.part-' in name else name
        mark.update(name.encode() + b'\0' + (digest or b''))
    return mark.digest()


def mark_on_disk(m):
    names = [DISK] + [f'{at}/{f}'.removeprefix(m.root) for w in 'ce' for at, folders, files in os.walk(m.path(FOLDERS[w]))
                      for f in folders + files]
    digests = dict.fromkeys(names)
    for name in names:
        if not os.path.isdir(m.path(name)):
            with open(m.path(name), 'rb') as f:
                digests[name] = hashlib.sha256(f.read()).digest()
    return mark_of(digests)


class Recovery:
    """SQLite on copies in a folder of its own."""

    def __init__(self, folder):
        self.path = folder + '/copy.db'
        self.checked = {}  # by hash: what integrity_check says
        os.makedirs(folder, exist_ok=True)

    def read(self, db, wal):
        """The database as SQLite reads it, and what integrity_check says of it."""
        for end, data in (('', db), ('-wal', wal)):
            if os.path.exists(self.path + end):
                os.unlink(self.path + end)
            if data is not None:
                with open(self.path + end, 'wb') as f:
                    f.write(data)
        c = sqlite3.connect(self.path, isolation_level=None)
        try:
            c.execute('PRAGMA locking_mode=EXCLUSIVE')  # as the keeper's
            content = c.serialize()
            mark = hashlib.sha256(content).digest()
            if mark not in self.checked:
                self.checked[mark] = c.execute('PRAGMA integrity_check').fetchone()[0]
            return content, mark, self.checked[mark]
        except sqlite3.DatabaseError as e:
            return None, hashlib.sha256(repr((str(e), db, wal)).encode()).digest(), str(e)
        finally:
            c.close()

    def classify(self, files, digests):
        """The digests with the database's and its WAL's replaced by its content; that, and what is wrong with it."""
        if DB not in files:
            return digests, None, None
        _, mark, verdict = self.read(files[DB], files.get(WAL))
        return {**digests, DB: mark, **({WAL: b''} if WAL in files else {})}, mark, verdict


def volume_class(left, loaded):
    """left: the image as the cut left it; loaded: after libcryptsetup loaded it. A header that it wrote anew has another
    salt, and so checksum, each time; that it did so counts, those two do not."""
    size, = struct.unpack('>Q', loaded[8:16])
    image, repaired = bytearray(loaded), []
    for at in (0, size):
        repaired.append(left[at:at + size] != loaded[at:at + size])
        for field in (SALT, CHECKSUM) if repaired[-1] else ():
            image[at + field.start:at + field.stop] = bytes(64)
    return hashlib.sha256(bytes(repaired) + image).digest()
