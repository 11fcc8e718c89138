# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the screen as a person does: from its pixels. Knows the Linux console's built-in font (VGA, 8 × 16).

The table holds a checksum per glyph, ASCII 33 to 126; `python3 -m tests.laptop.screen FILE.ppm` on a screen that
shows these characters in the first line, from the second column on, prints it anew.
"""
import re
import sys
import zlib

WIDTH, HEIGHT = 8, 16
BRIGHT = 0x60
GLYPHS = """
850caeaa 35d7c6c9 bf7466b1 44622933 7103645b 058e8607 16711490 caba7e76 d90c557b a86162b9 8b42ac91 16e55f59
9b6ce293 5e962939 3f69a8b3 619b47c3 7590df33 786dec6e 9d457816 2d8487dc bb6be10a 04f4045c 3720559f 01c29db6
62e85ae2 4c54e399 412c0964 393f9c35 1940fe08 058c74d4 2f778ee2 3a0ebcd6 8df929b9 c36ee331 51f65e40 76401efa
7662e04f 6a1519c0 27cf4c56 1c66fbfd 5a4a2ee7 6e998c5d 1a5629f6 8ab11c41 42286de0 ccd2a150 48a41cf9 d686fb3e
8d2c5735 deb844b0 336a9dba 18b62c26 bda6fee5 91118a7f 1721c1a8 21e46c04 ad4b8979 62160bcd 2350469e b22ce14f
9c9af3ee e5d708ac 8a7d548c ddc2c239 193af50f ca881415 d10c48e6 331c5f7a fcfadd94 ac231f30 ed4e60da f1d213ee
704b0fd5 54fcac7d c7aadc2c 1c5324dd f022d96f f5dcec6a 7820e1a1 2d088991 fda06149 7b35e2c3 6486e8c9 d99d23fd
ac037fc4 65ccd17b 8d251b79 bc7837ec fe8b6fc2 61094beb 491857fd e93deebd 823e85e3 ebf57caa
"""
FONT = dict(zip((int(word, 16) for word in GLYPHS.split()), map(chr, range(33, 127))))
UNKNOWN = '\N{REPLACEMENT CHARACTER}'


def read_ppm(data):
    """(width, height, pixels) of a binary PPM with 8 bits per colour, as QEMU writes it."""
    head = re.match(rb'P6\s+(\d+)\s+(\d+)\s+255\s', data)
    if not head or len(data) != head.end() + 3 * int(head[1]) * int(head[2]):
        raise ValueError('not a whole PPM file')
    return int(head[1]), int(head[2]), data[head.end():]


def _cells(data):
    """The 8 × 16 bits of each character cell, row by row of the text; None for an empty cell."""
    width, height, pixels = read_ppm(data)
    green = bytes(0 if g < BRIGHT else 1 for g in range(256))
    lines = [pixels[y * width * 3 + 1:(y + 1) * width * 3:3].translate(green) for y in range(height)]
    for top in range(0, height - HEIGHT + 1, HEIGHT):
        rows = lines[top:top + HEIGHT]
        used = any(1 in row for row in rows)
        yield [b''.join(row[x:x + WIDTH] for row in rows) if used else None for x in range(0, width - WIDTH + 1, WIDTH)]


def text(data):
    """What a console screen (PPM) shows, one line per row, blanks at the end left out."""
    blank = bytes(WIDTH * HEIGHT)
    return '\n'.join(''.join(' ' if cell is None or cell == blank else FONT.get(zlib.crc32(cell), UNKNOWN)
                             for cell in row).rstrip() for row in _cells(data)).rstrip('\n')


def main(path):
    with open(path, 'rb') as f:
        first = next(_cells(f.read()))
    words = [f'{zlib.crc32(cell):08x}' for cell in first[1:1 + 126 - 33 + 1]]
    print('\n'.join(' '.join(words[n:n + 12]) for n in range(0, len(words), 12)))


if __name__ == '__main__':
    main(sys.argv[1])
