#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does a recovery password occur in these files, in any spelling?

    search(paths, passwords)   -> list of Hit
    spellings(password_text)   -> {name: bytes}

Before search() answers, it searches files that it planted itself and must find every spelling in them. A hit names
file, offset and spelling, and the number of the password, never the password.

    secret_search.py --passwords-file FILE PATH...     one password per line; exit 0 nothing found, 1 found
"""
import argparse
import base64
import os
import re
import stat
import sys
import tempfile
from typing import NamedTuple

CHUNK = 8 << 20
EDGE = 16


class Hit(NamedTuple):
    path: str
    offset: int
    spelling: str
    password: int  # index into the list that was searched for


def password_bytes(text):
    """The 16 bytes of 48 digits."""
    digits = re.sub(r"[\s-]", "", text)
    if not re.fullmatch(r"\d{48}", digits):
        raise ValueError("not 48 digits")
    words = [int(digits[i : i + 6]) for i in range(0, 48, 6)]
    if any(w % 11 or w // 11 > 0xFFFF for w in words):
        raise ValueError("a group is not 11 times a 16-bit word")
    return b"".join((w // 11).to_bytes(2, "little") for w in words)


def base64_inner(data, shift):
    """What is sure to stand in base64 when data begins shift bytes behind a multiple of three."""
    text = base64.b64encode(bytes(shift) + data + bytes(3))
    return text[-(-8 * shift // 6) : 8 * (shift + len(data)) // 6]


def spellings(password_text):
    raw = password_bytes(password_text)
    digits = re.sub(r"[\s-]", "", password_text)
    groups = [digits[i : i + 6] for i in range(0, 48, 6)]
    dashed = "-".join(groups)
    swapped = b"".join(raw[i : i + 2][::-1] for i in range(0, 16, 2))
    found = {
        "55 characters": dashed.encode(),
        "48 digits": digits.encode(),
        "groups with spaces": " ".join(groups).encode(),
        "groups on lines": "\n".join(groups).encode(),
        "16 bytes": raw,
        "16 bytes, big-endian words": swapped,
        "UTF-16LE of 55 characters": dashed.encode("utf-16-le"),
        "UTF-16BE of 55 characters": dashed.encode("utf-16-be"),
        "UTF-16LE of 48 digits": digits.encode("utf-16-le"),
        "UTF-16BE of 48 digits": digits.encode("utf-16-be"),
        "hex of 16 bytes": raw.hex().encode(),
        "hex of 16 bytes, big-endian words": swapped.hex().encode(),
        "hex of 16 bytes with colons": raw.hex(":").encode(),
        "hex of 16 bytes with spaces": raw.hex(" ").encode(),
        "hex of 55 characters": dashed.encode().hex().encode(),
        "hex of 48 digits": digits.encode().hex().encode(),
    }
    for name, data in (("16 bytes", raw), ("55 characters", dashed.encode()), ("48 digits", digits.encode())):
        for shift in range(3):
            text = base64_inner(data, shift)
            found[f"base64 of {name}, shift {shift}"] = text
            safe = text.replace(b"+", b"-").replace(b"/", b"_")
            if safe != text:
                found[f"base64url of {name}, shift {shift}"] = safe
    return found


def any_case(name):
    return name.startswith("hex ")


def walk(paths):
    """Regular files below paths; links are not followed, and what cannot be read is an error."""

    def fail(error):
        raise error

    for path in paths:
        mode = os.lstat(path).st_mode
        if stat.S_ISREG(mode):
            yield os.fspath(path)
        elif stat.S_ISDIR(mode):
            for folder, _, names in os.walk(path, onerror=fail):
                for name in names:
                    full = os.path.join(folder, name)
                    if stat.S_ISREG(os.lstat(full).st_mode):
                        yield full
        else:
            raise ValueError(f"{path}: neither a file nor a folder")


def data_ranges(fd):
    """(start, end) of what a sparse file really holds."""
    end = os.fstat(fd).st_size
    at = 0
    while at < end:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError:  # nothing but a hole behind
            return
        at = os.lseek(fd, start, os.SEEK_HOLE)
        yield max(0, start - EDGE), min(at + EDGE, end)  # the zeros at its ends may belong to a spelling


def search_range(fd, start, end, patterns, chunk):
    """(offset, key) of every pattern; pieces overlap, so that nothing hides across a border."""
    overlap = max(len(p) for _, p, _ in patterns) - 1
    at, kept = start, b""
    while at < end:
        piece = os.pread(fd, min(chunk, end - at), at)
        if not piece:
            return
        data = kept + piece
        lower = data.lower()
        for key, pattern, fold in patterns:
            hay = lower if fold else data
            found = hay.find(pattern)
            while found >= 0:
                # what lies wholly in the kept part was found in the round before
                if found + len(pattern) > len(kept):
                    yield at - len(kept) + found, key
                found = hay.find(pattern, found + 1)
        at += len(piece)
        kept = data[-overlap:]


def search_unchecked(paths, passwords, chunk=CHUNK):
    patterns = [
        ((index, name), value, any_case(name))
        for index, password in enumerate(passwords)
        for name, value in spellings(password).items()
    ]
    hits = []
    for path in walk(paths) if patterns else ():
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            for start, end in data_ranges(fd):
                for offset, (index, name) in search_range(fd, start, end, patterns, chunk):
                    hits.append(Hit(path, offset, name, index))
        finally:
            os.close(fd)
    return hits


def self_check(chunk=512):
    """Plant every spelling, alone, in a big file across borders, in capitals, behind a hole; find them all."""
    password = "-".join(f"{11 * w:06d}" for w in (1, 65535, 4660, 31337, 257, 60001, 12345, 777))
    every = spellings(password)
    with tempfile.TemporaryDirectory(prefix="keyholt-search-") as folder:
        wanted = set()
        for number, (name, value) in enumerate(every.items()):
            path = os.path.join(folder, "sub", f"{number}")
            os.makedirs(os.path.dirname(path), exist_ok=True)
            before = chunk - len(value) // 2  # lies across the border of two pieces
            with open(path, "wb") as f:
                f.write(b"\x5a" * before + (value.upper() if any_case(name) else value) + b"\x5a" * chunk)
            wanted.add((path, before, name))
        sparse = os.path.join(folder, "sparse")
        with open(sparse, "wb") as f:
            f.seek(64 << 20)
            f.write(b"before " + password.encode() + b" behind")
        wanted.add((sparse, (64 << 20) + 7, "55 characters"))
        # as it would stand in longer base64, whatever comes before it
        for shift in range(3):
            path = os.path.join(folder, f"base64-{shift}")
            with open(path, "wb") as f:
                f.write(base64.b64encode(b"xyzzy!"[: 3 + shift] + password_bytes(password) + b"more behind it"))
            wanted.add((path, None, f"base64 of 16 bytes, shift {shift}"))
        hits = search_unchecked([folder], [password], chunk)
        seen = {(h.path, h.offset, h.spelling) for h in hits} | {(h.path, None, h.spelling) for h in hits}
        missing = wanted - seen
        if missing:
            raise AssertionError("the search is blind for: " + ", ".join(sorted(name for _, _, name in missing)))
        other = "-".join(f"{11 * w:06d}" for w in (2, 65534, 4661, 31338, 258, 60002, 12346, 778))
        if search_unchecked([folder], [other], chunk):
            raise AssertionError("the search finds what is not there")
    return len(wanted)


_checked = False


def search(paths, passwords):
    global _checked
    if not _checked:
        self_check()
        _checked = True
    return search_unchecked(paths, passwords)


def main():
    parser = argparse.ArgumentParser(description="search files for recovery passwords in every spelling")
    parser.add_argument("--passwords-file", required=True, help="one password per line, - for standard input")
    parser.add_argument("paths", nargs="+")
    args = parser.parse_args()
    with sys.stdin if args.passwords_file == "-" else open(args.passwords_file, encoding="ascii") as f:
        passwords = [line.strip() for line in f if line.strip()]
    hits = search(args.paths, passwords)
    for hit in hits:
        print(f"{hit.path}: offset {hit.offset}: password {hit.password + 1} as {hit.spelling}")
    return 1 if hits else 0


if __name__ == "__main__":
    sys.exit(main())
