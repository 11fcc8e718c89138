# SPDX-License-Identifier: GPL-3.0-or-later
"""The recovery app in firmware: how long until the prompt, until a keyslot is open, beside GRUB on the same volume.

Used by bench.py. Every figure comes from one and the same kind of virtual laptop (OVMF, one processor, no KVM)."""
import json
import os
import statistics
import subprocess
import time

from tests.efi import rig
from tests.efi.scene import PLENTY, Bench, prompt

SPEED = os.path.join(rig.ROOT, 'build/tests/speed.efi')
GRUB_MODULES = 'luks2 cryptodisk gcry_rijndael gcry_sha256 pbkdf2 afsplitter part_gpt echo search'
ITERATIONS = 100_000
DISKS = 8
RUNS = 3


class App:
    """Volumes and firmware programs, made once."""

    def __init__(self):
        self.scene = Bench()
        self.password = '-'.join(rig.groups(rig.PASSWORD))

    def volume(self, name, iterations):
        """The only keyslot: PBKDF2, opened by the 48 digits with dashes."""
        path = self.scene.path(name)
        with open(path, 'wb') as f:
            f.truncate(24 * rig.MIB)
        rig.cryptsetup('luksFormat', '--type', 'luks2', '--pbkdf', 'pbkdf2', '--pbkdf-force-iterations', str(iterations),
                       '--hash', 'sha256', '--key-file=-', path, key=self.password.encode())
        return path

    def grub(self):
        """A GRUB that asks for the passphrase of the second partition, and says when it is open."""
        config, image = self.scene.path('grub.cfg'), self.scene.path('grub.efi')
        with open(config, 'w', encoding='ascii') as f:
            f.write('cryptomount (hd0,gpt2)\necho GRUB-OPENED\nhalt\n')
        subprocess.run(['grub-mkstandalone', '-O', 'x86_64-efi', '-o', image, '--modules', GRUB_MODULES,
                        f'boot/grub/grub.cfg={config}'], check=True, capture_output=True)
        return image

    def entry_ms(self, laptop, text, done):
        """From Enter until it is said that the volume is open."""
        laptop.type_serial(text)
        time.sleep(1)  # what was typed is taken in before the time runs
        start = time.monotonic()
        laptop.type_serial('\r')
        laptop.wait_serial(done, PLENTY)
        return 1000 * (time.monotonic() - start)

    def grub_ms(self, volume, image):
        with self.scene.laptop(volume=volume, files={'EFI/next/grub.efi': image},
                               entries={'GRUB': '\\EFI\\next\\grub.efi'}, size=None) as laptop:
            laptop.power_on()
            laptop.wait_serial(r'Enter passphrase for [^:]*: ', PLENTY)
            return self.entry_ms(laptop, self.password, 'GRUB-OPENED')

    def app_ms(self, volume, opens=True):
        """(from the last digit on as a person sees it, the app's own figure)"""
        with self.scene.laptop(volume=volume, size=None) as laptop:
            prompt(laptop)
            digits = self.password.replace('-', '')
            laptop.type_serial(digits[:-1])
            time.sleep(1)  # as above
            start = time.monotonic()
            laptop.type_serial(digits[-1])
            said = laptop.wait_serial(r'(?<!not )opened after (\d+) ms' if opens else r'not opened after (\d+) ms', PLENTY)
            return 1000 * (time.monotonic() - start), int(said.groups[0])

    def bare_ms(self):
        """100,000 iterations of PBKDF2-HMAC-SHA256 by the same code in the same firmware."""
        with self.scene.laptop(removable=SPEED, entries={'Speed': '\\EFI\\BOOT\\BOOTX64.EFI'}, size=None) as laptop:
            laptop.power_on()
            return int(laptop.wait_serial(r'PBKDF2 100000 iterations in (\d+) ms', PLENTY).groups[0])

    def prompt_ms(self):
        """With eight disks that hold a volume each."""
        extra = []
        for n in range(1, DISKS):
            path = rig.make_volume(self.scene.path(f'disk-{n}'), volume=rig.uuid.uuid4(), key_id=rig.uuid.uuid4())
            kind = f'nvme,drive=d{n},serial=d{n}' if n % 2 else f'virtio-blk-pci,drive=d{n}'
            extra += ['-drive', f'if=none,id=d{n},format=raw,file={path}', '-device', kind]
        got = []
        for _ in range(RUNS):
            with self.scene.laptop(extra=extra) as laptop:
                head, ms = prompt(laptop)
                assert f'Volume 1 of {DISKS}' in head, head
                got.append(ms)
        return statistics.median(got)


def digest_iterations(volume):
    done = subprocess.run(['cryptsetup', 'luksDump', '--dump-json-metadata', volume], capture_output=True, check=True)
    return json.loads(done.stdout)['digests']['0']['iterations']


def beside_grub(b):
    app = App()
    volume, image = app.volume('pbkdf2', ITERATIONS), app.grub()
    mine, theirs = [statistics.median(column) for column in
                    zip(*((app.app_ms(volume)[0], app.grub_ms(volume, image)) for _ in range(RUNS)))]
    b.faster(f'Enter to slot opened, PBKDF2 of {ITERATIONS:,} iterations, beside GRUB', mine / 1000, theirs / 1000, 5)


def recovery_slot(b):
    """A plain luksFormat volume; with its digest made cheap, what is left is the keyslot's own time."""
    app = App()
    usual = app.scene.volume
    cheap = rig.make_volume(app.scene.path('cheap'))
    rig.cryptsetup('luksKillSlot', '--key-file=-', cheap, '0', key=app.password.encode())
    rig.set_digest_iterations(cheap, 1000)  # no key matches it any more: the app says "not opened"
    got = [(app.app_ms(usual)[1], app.app_ms(cheap, opens=False)[1], app.bare_ms()) for _ in range(RUNS)]
    whole, slot, bare = [statistics.median(column) for column in zip(*got)]
    n = digest_iterations(usual)
    b.row('a recovery keyslot\'s own PBKDF2 and area', f'{slot:.0f} ms', slot <= 300, '<= 300 ms')
    b.within(f'the digest of a plain luksFormat volume ({n:,} iterations), beside bare PBKDF2',
             (whole - slot) / 1000, bare * n / 100_000 / 1000, 1.1)


def first_prompt(b):
    ms = App().prompt_ms()
    b.row(f'first prompt with {DISKS} disks', f'{ms:.0f} ms after the start', ms <= 500, '<= 500 ms')
