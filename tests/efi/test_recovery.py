#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recovery app on real firmware: what it shows, what it takes, what it hands on."""
import hashlib
import json
import os
import re
import struct
import subprocess
import sys
import time
import uuid

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
from tests.efi import png, rig, sound  # noqa: E402
from tests.efi.scene import (PLENTY, Bench, Checks, check_event, check_hand_off, next_stage, prompt,  # noqa: E402
                             sentence, stick)
from tests.laptop.laptop import Laptop  # noqa: E402

RED, AMBER = (0xff, 0x7b, 0x72), (0xff, 0xd1, 0x5c)
OTHER_VOLUME = uuid.UUID('b0b1b2b3-c4c5-4678-9a9b-acadaeafb0b1')
OTHER_KEY = uuid.UUID('0dd0beef-1234-4321-8888-999999999999')
OTHER_PASSWORD = bytes.fromhex('112233445566778899aabbccddeeff00')
LEFT_TO_CHIP = sentence('The security chip will not open "') + r'([^"]*)"'
bench = None


def wrong_third(groups):
    """The same groups with another last digit in the third."""
    third = groups[2][:5] + str((int(groups[2][5]) + 1) % 10)
    return groups[:2] + [third] + groups[3:]


def leaked(log, password):
    """Does a serial log show the password, with or without what terminals add?"""
    text = re.sub(rb'\x1b\[[0-9;]*[A-Za-z]', b'', log)
    digits = ''.join(rig.groups(password)).encode()
    spoken = re.sub(rb'[^0-9]', b'', text)
    return digits in spoken or any(group.encode() in text for group in rig.groups(password) if group != '000000')


def the_whole_way(t):
    groups = rig.groups(rig.PASSWORD)
    wav = bench.path('speaker.wav')
    with bench.laptop(reason=2, stale_share=True, extra=sound.options(wav)) as laptop:
        head, ready_ms = prompt(laptop)
        print(f'        (first prompt after {ready_ms} ms of its own time)')
        for what, text in (('organisation', 'Example Widgets'), ('reason', 'the passphrase was not accepted'),
                           ('key ID', '7C41D9E2'), ('volume', 'laptop root'), ('address', rig.ORG['url']),
                           ('message', '+49 30 1234 5678'), ('UUID', str(rig.VOLUME))):
            t.that(f'the serial line shows the {what}', text in head, head)
        first = bench.shot(laptop, 'prompt-1280x800')
        t.equal('the QR on the screen is the address and the envelope', rig.read_qr(first),
                rig.ORG['url'] + '/R/' + rig.base32(bench.envelope))
        t.equal('nothing is red before anything was typed', png.count(first, RED), 0)
        t.that('the key ID is large', png.count(first, AMBER) > 1000, png.count(first, AMBER))
        laptop.send_keys(''.join(wrong_third(groups)[:4]))
        said = laptop.wait_serial(r'(Groups? [0-9, and]*) (is|are) not right', PLENTY)
        t.equal('a wrong group is named at once', said.groups[0], 'Group 3')
        laptop.send_keys(''.join(groups[4:]))
        wait_for_digits(laptop, 8)
        wrong = bench.shot(laptop, 'wrong-group-1280x800')
        t.that('and shown in red', png.count(wrong, RED) > 500, png.count(wrong, RED))
        laptop.send_keys(['ret'])
        laptop.send_keys(groups[2])  # into the wrong group, the others were kept
        opened = laptop.wait_serial(r'opened after (\d+) ms', PLENTY)
        t.that(f'the right digits open the volume ({opened.groups[0]} ms)', True)
        found = next_stage(laptop)
    check_hand_off(t, found)
    check_sound(t, sound.tones(wav))
    check_event(t, found.get('KeyholtEvent'), result=1, attempts=0, reason=2)
    with open(rig.APP, 'rb') as f:
        t.equal('the system learns which build it was', found.get('KeyholtApp'), (6, hashlib.sha256(f.read()).digest()))
    t.equal('the reason is used up', found.get('KeyholtReason'), None)
    with open(laptop.serial_log, 'rb') as f:
        log = f.read()
    t.that('the serial line never showed the digits', not leaked(log, rig.PASSWORD))
    t.that('(a planted password would have been found)', leaked(log + '-'.join(groups).encode(), rig.PASSWORD)
           and leaked(b'\x1b[01;02H'.join(c.encode() for c in ''.join(groups)), rig.PASSWORD))


def check_sound(t, heard):
    """What a person who cannot see hears of the_whole_way(): a bad group, Enter that leads there, the opening."""
    spelt = re.fullmatch('h+(ll?)h+(ll?)h*123', sound.spell(heard))
    # QEMU takes samples when its host lets it: a pause that it slept through makes one tone of two, but hardly twice
    t.that('good groups are heard high, the bad one and Enter low twice, opening three rising',
           spelt and len(spelt[1] + spelt[2]) >= 3, heard)
    lows = [ms for hz, ms in heard if sound.spell([(hz, ms)]) == 'l']
    least = [100] * 4 if len(lows) == 4 else [100, 100, 200]
    t.that('low tones are long enough to be told', len(lows) == len(least) and
           all(ms >= want for ms, want in zip(sorted(lows), least)), lows)


def wait_for_digits(laptop, groups):
    """Until the line of digits has so many complete groups."""
    end = time.monotonic() + PLENTY
    while laptop.console.text[-400:].count('*') < 6 * (groups - 4) and time.monotonic() < end:
        time.sleep(0.02)  # polls the serial line; the app says nothing when a good group is complete


def a_password_of_something_else(t):
    wav = bench.path('quiet.wav')
    with bench.laptop(reason=4, stale_share=True, size=(800, 600), extra=sound.options(wav)) as laptop:
        prompt(laptop)
        laptop.send_keys(['t'])
        laptop.wait_serial(sentence('Tones are off.'), PLENTY)
        first = bench.shot(laptop, 'prompt-800x600')
        t.equal('800x600: the QR is readable', rig.read_qr(first), rig.ORG['url'] + '/R/' + rig.base32(bench.envelope))
        laptop.send_keys(''.join(rig.groups(OTHER_PASSWORD)))
        said = laptop.wait_serial(sentence('well-formed, but they are not the recovery password of this volume (key ID ')
                                  + r'(\w+)\)', 2 * PLENTY)
        t.equal('48 good digits that do not open: it says so, with the key ID', said.groups[0], '7C41D9E2')
        laptop.wait_serial(r'> (\*{6}-){7}\*{6}', PLENTY)
        t.that('and keeps them', True)
        bench.shot(laptop, 'not-this-volume-800x600')
        laptop.send_keys(['r'])
        laptop.wait_serial(r'> (\*{6}-){7}\*{6}', PLENTY)  # looking again forgets neither digits nor attempts
        laptop.send_keys(['esc'])
        laptop.wait_serial(sentence('without opening the disk?'), PLENTY)
        t.that('Esc only asks', True)
        laptop.send_keys(['n', 'b'])
        laptop.wait_serial(sentence('without opening the disk?'), PLENTY)
        laptop.send_keys(['ret'])
        found = next_stage(laptop)
    t.equal('T: nothing is heard', sound.tones(wav), [])
    t.equal('leaving without opening hands nothing on; the stale share is gone',
            (found.get('KeyholtPad'), found.get('KeyholtShare')), (None, None))
    check_event(t, found.get('KeyholtEvent'), result=2, attempts=1, reason=4)


def a_damaged_org_json(t):
    broken = json.dumps(rig.ORG).encode()[:-40]
    with bench.laptop(org=broken, size=(1920, 1080)) as laptop:
        head, _ = prompt(laptop)
        t.that('org.json damaged: the screen comes up without it', 'Disk recovery' in head and 'Widgets' not in head, head)
        shot = bench.shot(laptop, 'no-org-1920x1080')
        t.equal('and the QR is the envelope alone', rig.read_qr(shot), rig.base32(bench.envelope))


def full_hd(t):
    with bench.laptop(size=(1920, 1080), reason=3) as laptop:
        prompt(laptop)
        shot = bench.shot(laptop, 'prompt-1920x1080')
        t.equal('1920x1080: the QR is readable', rig.read_qr(shot), rig.ORG['url'] + '/R/' + rig.base32(bench.envelope))


def two_disks(t):
    """The second disk has 4096-byte blocks, no partition table, and is not in the firmware's boot order."""
    second = rig.make_volume(bench.path('second'), label='', password=OTHER_PASSWORD, key_id=OTHER_KEY,
                             volume=OTHER_VOLUME, sector_size=4096,
                             envelope=rig.make_envelope(OTHER_KEY, OTHER_VOLUME, recipients=4))
    rig.bind_to_chip(second)
    extra = ['-drive', f'if=none,id=second,format=raw,file={second}', '-device',
             'virtio-blk-pci,drive=second,logical_block_size=4096,physical_block_size=4096']
    with bench.laptop(extra=extra, bootindex=0) as laptop:
        head, ready_ms = prompt(laptop)
        t.that(f'two disks, one not connected by the firmware: both found ({ready_ms} ms)', 'Volume 1 of 2' in head, head)
        shown = re.search(r'Key ID\s+(\w+)', head)[1]
        if shown == '7C41D9E2':
            laptop.send_keys(['tab'])
            head = laptop.wait_serial(r'> _', PLENTY).before
        t.equal('Tab shows the other', re.search(r'Key ID\s+(\w+)', head)[1], '0DD0BEEF')
        t.that('the QR of four recipients is readable', rig.read_qr(bench.shot(laptop, 'second-1280x800'))
               .startswith(rig.ORG['url'] + '/R/'))
        laptop.send_keys(''.join(rig.groups(OTHER_PASSWORD)))
        laptop.wait_serial(sentence('The volume is open for reading, by key 0DD0BEEF'), PLENTY)
        t.that('a data volume is opened for reading', True)
        laptop.wait_serial(sentence('X restarts it, so that the security chip may open the volume.'), PLENTY)
        t.that('one that a chip opens in everyday use: a restart is offered', True)
        laptop.send_keys(['ret'])
        laptop.wait_serial(r'Key ID\s+7C41D9E2', PLENTY)
        laptop.send_keys(''.join(rig.groups(rig.PASSWORD)))  # then the one that is still locked
        laptop.wait_serial(LEFT_TO_CHIP, PLENTY)
        t.that('before the system starts, too', 'NEXT STAGE' not in laptop.console.text)
        bench.shot(laptop, 'left-to-chip-1280x800')
        laptop.send_keys(['ret'])
        found = next_stage(laptop)
    check_hand_off(t, found)


def clean_restart(t):
    """Restarted instead: nothing of the password stays behind, the record of its use does."""
    second = rig.bind_to_chip(rig.make_volume(bench.path('bound'), label='scratch', key_id=OTHER_KEY, volume=OTHER_VOLUME))
    extra = ['-drive', f'if=none,id=second,format=raw,file={second}', '-device', 'virtio-blk-pci,drive=second']
    with bench.laptop(extra=extra) as laptop:
        prompt(laptop)
        laptop.send_keys(''.join(rig.groups(rig.PASSWORD)))
        said = laptop.wait_serial(LEFT_TO_CHIP, PLENTY)
        t.equal('the volume that would stay locked is named', said.groups[0], 'scratch')
        left = {v.name for v in rig.efivars.read(laptop.vars)}
        t.that('the password is handed over by now', 'KeyholtShare' in left, left)
        laptop.send_keys(['x'])
        t.equal('X restarts', laptop._wait_end(PLENTY), 'guest-reset')
        laptop.power_cut()
        left = {v.name for v in rig.efivars.read(laptop.vars)}
        t.that('its share is gone, the boot event stays', 'KeyholtShare' not in left and 'KeyholtEvent' in left, left)
        t.that('and nothing was started', 'NEXT STAGE' not in laptop.console.text)


def unplugged(t):
    """The volume lies on a stick that is gone when the digits are complete; the firmware frees its interface then."""
    second = rig.make_volume(bench.path('unplugged'), password=OTHER_PASSWORD, key_id=OTHER_KEY, volume=OTHER_VOLUME)
    with open(second, 'ab') as f:
        f.truncate(40 * rig.MIB)
    with bench.laptop(extra=stick(second), volume=bench.no_volume) as laptop:
        head, _ = prompt(laptop)
        t.that('a stick alone has the volume', '0DD0BEEF' in head, head)
        laptop._qmp.command('device_del', id='stick')  # the library has no word for unplugging
        time.sleep(4)  # the firmware looks at its USB ports once a second, and nothing tells when it did
        laptop.send_keys(''.join(rig.groups(OTHER_PASSWORD)))
        laptop.wait_serial(sentence('The volume could not be opened'), PLENTY)
        t.that('unplugged: it says so', True)
        laptop.send_keys(['r'])
        laptop.wait_serial(sentence('No locked disk was found'), PLENTY)
        t.that('and goes on', True)
        laptop.send_keys(['l'])
        laptop.wait_serial(sentence('Arrows move'), PLENTY)
        laptop.send_keys(['up'])
        laptop.wait_serial(sentence('Restart the computer, from a clean start   Arrows move'), PLENTY)
        laptop.send_keys(['ret'])
        t.equal('the last line of the list restarts', laptop._wait_end(PLENTY), 'guest-reset')


def foreign_stick(t):
    """Nothing on our disk can be started; a stick that happens to be plugged in can, but must not get the password."""
    parts = rig.disk.lay_out(('esp', 'esp', 64 * rig.MIB), seed='a stick')
    path = bench.path('foreign-stick')
    with open(path, 'wb') as f:
        f.truncate(rig.disk.disk_size(parts))
    rig.disk.write_gpt(path, parts, seed='a stick')
    rig.disk.make_fat(path, parts[0].size, {'EFI/BOOT/BOOTX64.EFI': rig.NEXT_STAGE}, offset=parts[0].start)
    with bench.laptop(extra=stick(path), next_stage=False) as laptop:
        prompt(laptop)
        laptop.send_keys(''.join(rig.groups(rig.PASSWORD)))
        laptop.wait_serial(sentence('is not on the disk that was opened, so the password is not passed on'), PLENTY)
        t.that('a foreign stick is told before it starts', 'NEXT STAGE' not in laptop.console.text)
        bench.shot(laptop, 'foreign-stick-1280x800')
        laptop.send_keys(['ret'])
        found = next_stage(laptop)
    t.equal('and finds no share', (found.get('KeyholtPad'), found.get('KeyholtShare')), (None, None))
    check_event(t, found.get('KeyholtEvent'), result=1, attempts=0, reason=1)


def comes_back(t):
    """The first next stage returns; the second one finds no share."""
    with bench.laptop(leaves=True) as laptop:
        prompt(laptop)
        laptop.send_keys(''.join(rig.groups(rig.PASSWORD)))
        laptop.wait_serial('LEAVES', PLENTY)
        laptop.wait_serial(sentence('did not stay, so the password is no longer passed on'), PLENTY)
        t.that('a next stage that comes back: told that the password is not passed on any more', True)
        bench.shot(laptop, 'comes-back-1280x800')
        laptop.send_keys(['ret'])
        found = next_stage(laptop)
    t.equal('and neither share is left', (found.get('KeyholtPad'), found.get('KeyholtShare')), (None, None))


def unread_event(t):
    """A volume was opened before and no agent ran since: failed attempts do not make that forgotten."""
    opened = struct.pack('<4sBBH16s16sQ', b'KHV\1', 1, 2, 0, OTHER_KEY.bytes_le, rig.VOLUME.bytes_le,
                         int(time.time())).ljust(64, b'\0')
    with bench.laptop(event=opened) as laptop:
        prompt(laptop)
        laptop.send_keys(''.join(rig.groups(OTHER_PASSWORD)))
        laptop.wait_serial(sentence('well-formed, but they are not'), PLENTY)
        laptop.send_keys(['b', 'ret'])
        found = next_stage(laptop)
    t.equal('that a volume was opened outlives failed attempts', (found.get('KeyholtEvent') or (0, b''))[1], opened)


def hours_of_work(t):
    """A header that asks for more than anybody waits for is refused at once."""
    slow = rig.set_digest_iterations(rig.make_volume(bench.path('slow')), 2**31 - 1)
    wav = bench.path('falling.wav')
    with bench.laptop(volume=slow, extra=sound.options(wav)) as laptop:
        prompt(laptop)
        laptop.send_keys(''.join(rig.groups(rig.PASSWORD)))
        laptop.wait_serial(sentence('Left out as too slow: keyslot 0, 1.'), PLENTY)
        t.that('a digest of hours: the screen says what was left out', True)
        bench.shot(laptop, 'too-slow-1280x800')
        laptop.send_keys(['p'])
        laptop.wait_serial(sentence('Turn the computer off?'), PLENTY)
        laptop.send_keys(['n', 'p'])
        laptop.wait_serial(sentence('Turn the computer off?'), PLENTY)
        laptop.send_keys(['ret'])
        t.equal('P asks, and turns the computer off', laptop._wait_end(PLENTY), 'guest-shutdown')
    t.that('what did not open is heard: three falling', re.fullmatch('h+987', sound.spell(sound.tones(wav))), sound.tones(wav))


class WithoutRandomness(Laptop):
    """Neither RDRAND nor a random number device."""

    def _command_line(self):
        line = super()._command_line()
        at = line.index('virtio-rng-pci')
        del line[at - 1:at + 1]
        line[line.index('-cpu') + 1] = 'max,-rdrand,-rdseed'
        return line


def no_randomness(t):
    with bench.laptop(kind=WithoutRandomness) as laptop:
        head, _ = prompt(laptop)
        t.that('no randomness: said beforehand', 'with a dash between' in re.sub(r'\s+', ' ', head), head)
        bench.shot(laptop, 'no-randomness-1280x800')
        laptop.send_keys(''.join(rig.groups(rig.PASSWORD)))
        laptop.wait_serial(sentence('Press Enter to start the computer'), PLENTY)
        laptop.send_keys(['ret'])
        found = next_stage(laptop)
    t.equal('no share is made of a pad that is not random', (found.get('KeyholtPad'), found.get('KeyholtShare')),
            (None, None))
    check_event(t, found.get('KeyholtEvent'), result=1, attempts=0, reason=1)


def clear_screens(laptop):
    with open(laptop.serial_log, 'rb') as f:
        return f.read().count(b'\x1b[2J')


def serial_only(t):
    """No graphics at all, digits by the serial line, next stage at the removable path of our own disk."""
    groups = rig.groups(rig.PASSWORD)
    with bench.laptop(size=None, removable=rig.NEXT_STAGE, next_stage=False) as laptop:
        prompt(laptop)
        laptop.type_serial('s' + groups[0])
        laptop.wait_serial(r'084612', PLENTY)
        t.that('serial line alone: S shows the digits', True)
        cleared = clear_screens(laptop)
        laptop.type_serial('s')
        laptop.wait_serial(r'Key ID', PLENTY)
        t.that('and S again clears them from the whole screen', clear_screens(laptop) > cleared)
        laptop.type_serial('-'.join(groups[1:]))
        found = next_stage(laptop)
    check_hand_off(t, found)


def main():
    global bench
    missing = [f for f in (rig.APP, rig.NEXT_STAGE, rig.LEAVES) if not os.path.exists(f)]
    if missing:
        sys.exit(f'not built: {", ".join(missing)}; run make')
    bench = Bench()
    size = os.path.getsize(rig.APP)
    t = Checks()
    t.that(f'{size} bytes, at most 409600', size <= 409600)
    so = os.path.join(rig.ROOT, 'build/efi/keyholt-recovery.so')
    t.equal('no undefined symbol', subprocess.run(['nm', '-u', so], capture_output=True, text=True, check=True).stdout, '')
    scenes = [the_whole_way, a_password_of_something_else, a_damaged_org_json, full_hd, two_disks, no_randomness,
              serial_only, unplugged, foreign_stick, clean_restart, comes_back, unread_event, hours_of_work]
    wanted = sys.argv[1:]  # names of scenes, all when none is given
    return t.run(*(s for s in scenes if not wanted or s.__name__ in wanted))


if __name__ == '__main__':
    sys.exit(main())
