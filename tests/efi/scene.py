# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the recovery app share: counted checks, laptops to start, what they print read back."""
import functools
import os
import re
import struct
import tempfile
import time
import traceback
import uuid

from tests.efi import rig
from tests.laptop.laptop import Drive, Laptop

PLENTY = 90  # seconds for anything on a slow machine; nothing waits for it to pass


class Checks:
    def __init__(self):
        self.passed = self.failed = 0

    def that(self, name, good, seen=''):
        self.passed, self.failed = self.passed + bool(good), self.failed + (not good)
        print(f'ok      {name}' if good else f'FAILED  {name}: {seen!r}', flush=True)

    def equal(self, name, seen, wanted):
        self.that(name, seen == wanted, f'{seen!r}, not {wanted!r}')

    def run(self, *scenes):
        for scene in scenes:
            try:
                scene(self)
            except Exception:
                self.failed += 1
                print(f'FAILED  {scene.__name__}:\n{traceback.format_exc()}', flush=True)
        print(f'{self.passed} passed, {self.failed} failed')
        return 1 if self.failed else 0


class Bench:
    """Volumes made once; disks and laptops made for each scene."""

    def __init__(self):
        self._dir = tempfile.TemporaryDirectory(prefix='efi-')
        self.dir = self._dir.name
        self.envelope = rig.make_envelope()
        self.volume = rig.make_volume(self.path('volume'), envelope=self.envelope)
        self.shots = os.path.join(rig.ROOT, 'build/tests/efi')
        self._n = 0

    def path(self, name):
        return os.path.join(self.dir, name)

    @functools.cached_property
    def no_volume(self):
        """Bytes that are no volume."""
        path = self.path('nothing')
        with open(path, 'wb') as f:
            f.truncate(rig.MIB)
        return path

    def laptop(self, *, size=(1280, 800), org=rig.ORG, removable=None, kind=Laptop, extra=(), bootindex=None,
               volume=None, memory_mb=512, bus='virtio', files=None, **firmware):
        self._n += 1
        disk = self.path(f'disk{self._n}')
        parts = rig.make_disk(disk, volume or self.volume, org=org, removable=removable, files=files)
        firmware_vars = rig.make_vars(self.path(f'vars{self._n}'), parts, **firmware)
        screen = rig.screen(*size) if size else []
        return kind(self.path(f'laptop{self._n}'), [Drive(disk, format='raw', bus=bus, bootindex=bootindex)],
                    tpm=False, memory_mb=memory_mb, cpus=1, vga='none', vars_from=firmware_vars, extra=[*screen, *extra])

    def shot(self, laptop, name):
        return laptop.screenshot(os.path.join(self.shots, name + '.png'))


def go_to(laptop, key):
    """Tab until the volume with this key ID is in front; gives its screen."""
    for _ in range(40):
        laptop.send_keys(['tab'])
        head = shown(laptop)
        if key_shown(head) == str(key)[:8].upper():
            return head
    raise AssertionError(f'no volume with key {key}')


def key_shown(head):
    found = re.search(r'Key ID\s+(\w+)', head)
    return found and found[1]


def shown(laptop):
    """The next whole screen of a volume, up to its line of digits."""
    seen = laptop.wait_serial(r'Disk\s+[^\n]*\n[\s\S]*?P power off\s+(?:[^>]*\n)?> [_*\d]', PLENTY)
    return seen.before[-400:] + seen.text


def sentence(text):
    """A regular expression for text that the app may have wrapped anywhere."""
    return re.escape(text).replace('\\ ', r'\s+')


def prompt(laptop):
    """Switch on and wait for the line of digits; gives what was printed, and the app's own milliseconds."""
    laptop.power_on()
    # on a busy host OVMF's terminal sometimes sends a character twice, when the first was taken in late
    seen = laptop.wait_serial(r'r+e+a+d+y+ +a+f+t+e+r+ +(\d+) +m+s', PLENTY)
    laptop.wait_serial(r'> _', PLENTY)
    return seen.before, int(seen.groups[0])


def next_stage(laptop):
    """The variables that the next stage found: {name: (attributes, data) or None}."""
    laptop.wait_serial(r'NEXT STAGE\n', PLENTY)
    text = laptop.wait_serial(r'NEXT STAGE END', PLENTY).before
    found = {}
    for name, rest in re.findall(r'(Keyholt\w+) (absent|attributes=\d\s+[0-9a-f\s]+)', text):
        match = re.match(r'attributes=(\d)([0-9a-f\s]+)', rest)
        found[name] = (int(match[1]), bytes.fromhex(re.sub(r'\s', '', match[2]))) if match else None
    laptop.wait_off(PLENTY)
    return found


def check_event(t, event, *, result, attempts, reason, key_id=rig.KEY_ID, volume=rig.VOLUME):
    t.that('a boot event is left behind', event and event[0] == 7 and len(event[1]) == 64, event)
    magic, got_result, got_reason, got_attempts, got_key, got_volume, when = struct.unpack_from('<4sBBH16s16sQ', event[1])
    t.equal('it tells what happened', (magic, got_result, got_reason, got_attempts), (b'KHV\1', result, reason, attempts))
    t.equal('and which key and volume', (uuid.UUID(bytes_le=got_key), uuid.UUID(bytes_le=got_volume)), (key_id, volume))
    t.that('and when', abs(when - time.time()) < 86400, when)


def join_shares(found):
    """The password out of two shares, by docs/formats.md; header fields for comparison."""
    pad, share = found['KeyholtPad'], found['KeyholtShare']
    same = pad[1][8:56] == share[1][8:56]
    return bytes(a ^ b for a, b in zip(pad[1][56:72], share[1][56:72])), same, pad, share


def check_hand_off(t, found, password=rig.PASSWORD, key_id=rig.KEY_ID, volume=rig.VOLUME):
    t.that('both shares are there', found.get('KeyholtPad') and found.get('KeyholtShare'), found)
    joined, same, pad, share = join_shares(found)
    t.equal('pad volatile, share non-volatile', (pad[0], share[0]), (6, 7))
    t.equal('each in form', (pad[1][:8], share[1][:8]), (b'KHS\1\1\0\0\0', b'KHS\1\2\0\0\0'))
    t.that('bound to each other', same)
    t.equal('and to volume and key', share[1][24:56], volume.bytes_le + key_id.bytes_le)
    t.equal('joined they are the password', joined, password)
    t.that('neither share alone shows it', password not in pad[1] + share[1])


def stick(path, name='stick'):
    """QEMU options of a USB stick with the bytes of a file."""
    return ['-device', f'qemu-xhci,id=xhci-{name}', '-drive', f'if=none,id=drive-{name},format=raw,file={path}', '-device',
            f'usb-storage,id={name},bus=xhci-{name}.0,drive=drive-{name},removable=on']
