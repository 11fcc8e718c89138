# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the 8-bit RGB(A) PNG files that QEMU writes, to count colours. source: RFC 2083"""
import functools
import struct
import zlib


def _paeth(a, b, c):
    p = a + b - c
    da, db, dc = abs(p - a), abs(p - b), abs(p - c)
    return a if da <= db and da <= dc else b if db <= dc else c


def _unfilter(kind, line, above, step):
    for i in range(len(line)):
        left = line[i - step] if i >= step else 0
        corner = above[i - step] if i >= step else 0
        if kind == 1:
            line[i] = (line[i] + left) & 255
        elif kind == 2:
            line[i] = (line[i] + above[i]) & 255
        elif kind == 3:
            line[i] = (line[i] + (left + above[i]) // 2) & 255
        elif kind == 4:
            line[i] = (line[i] + _paeth(left, above[i], corner)) & 255


@functools.lru_cache(maxsize=4)
def read(path):
    """(width, height, rows): rows of bytes, three for each pixel."""
    with open(path, 'rb') as f:
        data = f.read()
    at, packed, width, height, depth, colour = 8, b'', 0, 0, 0, 0
    while at < len(data):
        size, kind = struct.unpack_from('>I4s', data, at)
        body = data[at + 8:at + 8 + size]
        if kind == b'IHDR':
            width, height, depth, colour = struct.unpack_from('>IIBB', body)
        elif kind == b'IDAT':
            packed += body
        at += 12 + size
    if depth != 8 or colour not in (2, 6):
        raise ValueError(f'{path}: not an 8-bit RGB PNG')
    step = 3 if colour == 2 else 4
    raw, rows, above = zlib.decompress(packed), [], bytes(width * step)
    for y in range(height):
        start = y * (width * step + 1)
        line = bytearray(raw[start + 1:start + 1 + width * step])
        if raw[start]:
            _unfilter(raw[start], line, above, step)
        above = line
        rows.append(bytes(line) if step == 3 else bytes(b for i, b in enumerate(line) if i % 4 < 3))
    return width, height, rows


def count(path, colour):
    """Pixels of exactly this colour."""
    want = bytes(colour)
    return sum(row[i:i + 3] == want for row in read(path)[2] for i in range(0, len(row), 3))
