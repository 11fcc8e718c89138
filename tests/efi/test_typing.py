#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""How one types on the recovery screen: every key that may stand for a digit, on PS/2 and USB, as fast as it comes."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
from tests.efi import png, rig  # noqa: E402
from tests.efi.scene import PLENTY, Bench, Checks, check_hand_off, next_stage, prompt, sentence, shown  # noqa: E402

bench = None


def keypad(digits):
    return ['kp_' + d for d in digits]


def function_keys(digits):
    return ['f10' if d == '0' else 'f' + d for d in digits]


def shifted(digits):
    """A layout whose digit row needs Shift: what its user presses for digits."""
    return ['shift-' + d for d in digits]


def is_black(path):
    """Every pixel of the first row."""
    row = png.read(path)[2][0]
    return row == bytes(len(row))


def has_words(path, above, below):
    """Is a band of the screen, in parts of its height, more than its ground?"""
    _, height, rows = png.read(path)
    return len(set(rows[int(above * height):int(below * height)])) > 1


def every_way_of_typing(t):
    """PS/2: digit row, keypad, F1 to F10, the shifted row; NumLock pressed by somebody; a burst as fast as it goes."""
    groups = rig.groups(rig.PASSWORD)
    with bench.laptop() as laptop:
        prompt(laptop)
        laptop.send_keys(keypad(groups[0]))  # the firmware starts with NumLock off
        laptop.send_keys(['num_lock'])  # which would switch it off again
        laptop.send_keys(keypad(groups[1]))
        laptop.send_keys(function_keys(groups[2]))
        laptop.send_keys(shifted(groups[3]))
        wrong = str((int(groups[4][5]) + 1) % 10)
        laptop.send_keys(groups[4][:5] + wrong)
        laptop.wait_serial(sentence('Group 5 is not right'), PLENTY)
        bench.shot(laptop, 'every-way-1280x800')
        laptop.send_keys(['left', 'backspace'])
        laptop.send_keys(groups[4][5])
        for digit in ''.join(groups[5:]):
            laptop._qmp.press([digit], 1000, hold_ms=1)  # a burst
        found = next_stage(laptop)
    check_hand_off(t, found)


def usb_on_a_large_screen(t):
    """USB at 20 keys/s on the screen that takes longest to draw; a burst of 40 keys/s."""
    groups = rig.groups(rig.PASSWORD)
    usb = ['-device', 'qemu-xhci', '-device', 'usb-kbd']
    with bench.laptop(size=(3840, 2160), reason=3, launch=True, extra=usb) as laptop:
        prompt(laptop)
        usual = bench.shot(laptop, 'prompt-3840x2160')
        t.equal('the screen is as large', png.read(usual)[:2], (3840, 2160))
        t.equal('3840x2160: the QR is readable', rig.read_qr(usual), rig.ORG['url'] + '/R/' + rig.base32(bench.envelope))
        t.that('the organisation\'s message stands below the boxes', has_words(usual, 0.82, 0.91), '')
        laptop.send_keys(['c'])
        shown(laptop)
        contrast = bench.shot(laptop, 'contrast-3840x2160')
        t.that('C: black ground', is_black(contrast), png.read(contrast)[2][0][:9])
        t.equal('its QR is readable', rig.read_qr(contrast), rig.read_qr(usual))
        laptop.send_keys(keypad(groups[0]))
        laptop.send_keys(''.join(groups[1:5]), looking=False)  # 20 keys/s
        laptop.send_keys(''.join(groups[5:]), per_second=40, looking=False)
        found = next_stage(laptop)
    check_hand_off(t, found)


def main():
    global bench
    bench = Bench()
    wanted = sys.argv[1:]
    return Checks().run(*(s for s in (every_way_of_typing, usb_on_a_large_screen) if not wanted or s.__name__ in wanted))


if __name__ == '__main__':
    sys.exit(main())
