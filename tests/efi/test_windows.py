#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A computer with Windows: the digits are checked, Windows asks for them again, what it keeps can be read meanwhile."""
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
from tests.efi import rig, test_volumes  # noqa: E402
from tests.efi.scene import PLENTY, Bench, Checks, check_event, next_stage, prompt, sentence  # noqa: E402

NAME, LOADER = 'bitlk-aes-xts-128', 'EFI/Microsoft/Boot/bootmgfw.efi'
bench = None


def system_volume(t):
    windows = test_volumes.Windows(bench.dir)
    entries = {'Keyholt recovery': '\\EFI\\keyholt\\recovery.efi', 'Windows Boot Manager': '\\' + LOADER.replace('/', '\\')}
    with bench.laptop(volume=windows.path(NAME), files={LOADER: rig.NEXT_STAGE}, entries=entries) as laptop:
        head, _ = prompt(laptop)
        t.that('beside its loader it is a system', 'BitLocker, system' in re.sub(r'\s+', ' ', head), head)
        t.that('said beforehand: Windows will ask once more', re.search(sentence('Windows will ask for them once more'), head), head)
        bench.shot(laptop, 'windows-1280x800')
        laptop.send_keys(windows.digits(NAME))
        laptop.wait_serial(sentence('Windows will ask for the digits again. Enter starts the computer.'), 2 * PLENTY)
        t.that('and afterwards, before it starts', 'NEXT STAGE' not in laptop.console.text)
        bench.shot(laptop, 'windows-opened-1280x800')
        laptop.send_keys(['ret'])
        found = next_stage(laptop)
        plain = test_volumes.plain_volumes(laptop.console.text)
    t.equal('nothing is handed over', (found.get('KeyholtPad'), found.get('KeyholtShare')), (None, None))
    check_event(t, found.get('KeyholtEvent'), result=1, attempts=0, reason=1, key_id=windows.key(NAME), volume=windows.volume(NAME))
    t.equal('it can be read by what starts', plain[windows.volume(NAME)][1][3:7], b'NTFS')


def main():
    global bench
    if not os.path.exists(f'{test_volumes.DATA}/bitlk/bitlk-images.tar.xz'):
        print(f'SKIP: no test data in {test_volumes.DATA}\n0 passed, 0 failed, 1 skipped')
        return 0
    bench = Bench()
    return Checks().run(system_volume)


if __name__ == '__main__':
    sys.exit(main())
