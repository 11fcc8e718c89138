#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The firmware back end of crypto/ on real firmware: tests/efi/crypto_check.c says, this counts."""
import os
import re
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT)
from tests.laptop import disk  # noqa: E402
from tests.laptop.laptop import Drive, Laptop  # noqa: E402

WANTED = 8
PLENTY = 180  # seconds for anything on a slow machine; nothing waits for it to pass


def said_by_firmware(folder):
    """What the program printed: a machine of 512 MiB starts it as a removable disk's loader."""
    path = os.path.join(folder, 'disk')
    parts = disk.lay_out(('esp', 'esp', 64 << 20))
    with open(path, 'wb') as f:
        f.truncate(disk.disk_size(parts))
    disk.write_gpt(path, parts)
    disk.make_fat(path, parts[0].size, {'EFI/BOOT/BOOTX64.EFI': os.path.join(ROOT, 'build/tests/crypto_check.efi')},
                  offset=parts[0].start)
    with Laptop(os.path.join(folder, 'laptop'), [Drive(path, 'raw')], tpm=False, memory_mb=512, cpus=1,
                vga='none') as laptop:
        laptop.power_on()
        laptop.wait_serial(r'CRYPTO CHECK\n', PLENTY)
        text = laptop.wait_serial(r'CRYPTO CHECK END', PLENTY).before
        laptop.wait_off(PLENTY)
    return re.findall(r'^(good|BAD|skip) (.*)$', text, re.M)


def main():
    with tempfile.TemporaryDirectory(prefix='efi-crypto-') as folder:
        lines = said_by_firmware(folder)
    count = {word: sum(w == word for w, _ in lines) for word in ('good', 'BAD', 'skip')}
    for word, name in lines:
        if word != 'good':
            print(f'{"SKIP" if word == "skip" else "FAILED"}: {name}'
                  f'{": not on this emulated processor" if word == "skip" else ""}')
    if len(lines) != WANTED:
        print(f'FAILED: {len(lines)} lines, not {WANTED}: {lines}')
        count['BAD'] += 1
    print(f'{count["good"]} passed, {count["BAD"]} failed, {count["skip"]} skipped')
    return 1 if count['BAD'] else 0


if __name__ == '__main__':
    sys.exit(main())
