#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unpack the LUKS2 images of the shared test data, sparsely, for test programs written in C.

usage: tests/luks2/unpack.py FROM TO

Without the data nothing is unpacked, and the tests that want it say SKIP.
"""
import lzma
import os
import shutil
import sys
import tarfile

BLOCK = 65536


def write_sparse(src, path):
    """Copy a file object; blocks of zeros become holes."""
    with open(path + '.part', 'wb') as out:
        while block := src.read(BLOCK):
            if block.count(0) == len(block):
                out.seek(len(block), os.SEEK_CUR)
            else:
                out.write(block)
        out.truncate()
    os.rename(path + '.part', path)


def unpack(source, target, name):
    path = os.path.join(source, name)
    if name.endswith('.tar.xz'):
        with tarfile.open(path) as tar:
            for member in tar:
                if member.isfile():
                    write_sparse(tar.extractfile(member), os.path.join(target, os.path.basename(member.name)))
    elif name.endswith('.xz'):
        with lzma.open(path) as src:
            write_sparse(src, os.path.join(target, name[:-3]))
    else:
        shutil.copy(path, target)


def main(source, target):
    os.makedirs(target, exist_ok=True)
    if not os.path.isdir(source):
        print(f'SKIP: no test data in {source} (KEYHOLT_DATA)')
        return
    for name in sorted(os.listdir(source)):
        unpack(source, target, name)


if __name__ == '__main__':
    main(*sys.argv[1:])
