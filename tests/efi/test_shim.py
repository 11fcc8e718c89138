#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secure Boot as Debian installs it: Microsoft's keys in the firmware, Debian's shim, and a machine owner's key (MOK) that
signs the recovery app. Debian's packages shim-signed and grub-efi-amd64-signed are unpacked, never installed: that could
change how this computer starts."""
import glob
import os
import shutil
import subprocess
import sys
import uuid

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
from tests.efi import rig  # noqa: E402
from tests.efi.scene import PLENTY, Bench, Checks, check_hand_off, next_stage, prompt, sentence  # noqa: E402
from tests.laptop import efivars  # noqa: E402

MICROSOFT_VARS = '/usr/share/OVMF/OVMF_VARS_4M.ms.fd'
PACKAGES = {'shim-signed': 'usr/lib/shim/shimx64.efi.signed',
            'grub-efi-amd64-signed': 'usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed'}
SHIM_VENDOR = uuid.UUID('605dab50-e046-4300-abb6-3dd810dd8b23')
X509 = uuid.UUID('a5c059a1-94e4-4aa7-87b5-ab155c2bf072')  # EFI_CERT_X509_GUID, UEFI 2.10 section 32.4.1
APP = '\\EFI\\keyholt\\recovery.efi'
bench = None


class Key:
    """A signing key and its self-signed certificate."""

    def __init__(self, name):
        self.key, self.cert, self.der = (bench.path(f'{name}.{end}') for end in ('key', 'pem', 'der'))
        subprocess.run(['openssl', 'req', '-new', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '3650', '-subj',
                        f'/CN={name}/', '-keyout', self.key, '-out', self.cert], check=True, capture_output=True)
        subprocess.run(['openssl', 'x509', '-in', self.cert, '-outform', 'DER', '-out', self.der], check=True)

    def sign(self, program):
        signed = bench.path(f'{os.path.basename(program)}.{os.path.basename(self.key)}.signed')
        subprocess.run(['sbsign', '--key', self.key, '--cert', self.cert, '--output', signed, program], check=True,
                       capture_output=True)
        return signed


def enrolled(key):
    """Firmware variables with Microsoft's keys and, as MokManager leaves it, a machine owner's: one EFI_SIGNATURE_LIST."""
    path = bench.path('mok.fd')
    shutil.copyfile(MICROSOFT_VARS, path)
    with open(key.der, 'rb') as f:
        der = f.read()
    entry = 16 + len(der)
    signatures = X509.bytes_le + b''.join(n.to_bytes(4, 'little') for n in (28 + entry, 0, entry)) + rig.OURS.bytes_le + der
    efivars.append(path, [efivars.Variable('MokList', SHIM_VENDOR, signatures, attributes=3)])
    return path


def from_debian(package):
    """The program out of a package, of this machine or else of Debian's archive; None without both."""
    installed = '/' + PACKAGES[package]
    if os.path.exists(installed):
        return installed
    folder = bench.path(package)
    os.mkdir(folder)
    subprocess.run(['apt-get', 'download', package], cwd=folder, capture_output=True, timeout=300)
    for deb in glob.glob(f'{folder}/*.deb'):
        subprocess.run(['dpkg-deb', '-x', deb, folder], check=True)
    unpacked = f'{folder}/{PACKAGES[package]}'
    return unpacked if os.path.exists(unpacked) else None


def files(app, **more):
    return {'EFI/keyholt/recovery.efi': app, 'EFI/debian/shimx64.efi': shim, 'EFI/debian/grubx64.efi': grub, **more}


BY_SHIM = {'Keyholt recovery': ('\\EFI\\debian\\shimx64.efi', APP)}


def by_the_owners_key(t):
    """Shim starts the app; the app starts what the owner signed, and nothing that is unsigned."""
    disk = files(owner.sign(rig.APP), **{'EFI/next/signed.efi': owner.sign(rig.NEXT_STAGE)})
    entries = {**BY_SHIM, 'Unsigned system': '\\EFI\\next\\next.efi', 'Signed system': '\\EFI\\next\\signed.efi'}
    with bench.laptop(files=disk, entries=entries, vars_from=variables) as laptop:
        prompt(laptop)
        t.that('shim starts the app that the owner signed', True)
        laptop.send_keys(''.join(rig.groups(rig.PASSWORD)))
        laptop.wait_serial(sentence('Secure Boot does not allow "Unsigned system" to start'), PLENTY)
        t.that('which does not start an unsigned system', 'NEXT STAGE' not in laptop.console.text)
        laptop.send_keys(['ret'])
        found = next_stage(laptop)
        t.that('and starts one that the owner signed', True)
    check_hand_off(t, found)


def debian_after_the_app(t):
    """The system's own way, shim and GRUB signed by Debian, comes after the app."""
    disk, entries = files(owner.sign(rig.APP)), {**BY_SHIM, 'debian': '\\EFI\\debian\\shimx64.efi'}
    with bench.laptop(files=disk, entries=entries, vars_from=variables) as laptop:
        prompt(laptop)
        laptop.send_keys(''.join(rig.groups(rig.PASSWORD)))
        laptop.wait_serial(r'grub> ', PLENTY)
        t.that('shim and GRUB start after the app', True)


def by_another_key(t):
    """Signed, but by nobody the owner knows; not signed at all."""
    for what, app in (('signed by another key', Key('stranger').sign(rig.APP)), ('unsigned', rig.APP)):
        with bench.laptop(files=files(app), entries=BY_SHIM, vars_from=variables) as laptop:
            laptop.power_on()
            laptop.wait_serial(r'Verification failed|Security Violation', PLENTY)
            t.that(f'an app {what} is refused by shim', 'ready after' not in laptop.console.text)


def by_the_firmware(t):
    """The owner's key is shim's alone: the firmware itself does not start the app."""
    entries = {'Keyholt recovery': APP, **{'By shim': BY_SHIM['Keyholt recovery']}}
    with bench.laptop(files=files(owner.sign(rig.APP)), entries=entries, vars_from=variables) as laptop:
        head, _ = prompt(laptop)
        t.that('the firmware refuses it, then shim starts it', 'Access Denied' in head, head)


def main():
    global bench, owner, variables, shim, grub
    bench = Bench()
    shim, grub = map(from_debian, PACKAGES)
    if not shim or not grub:
        print(f'SKIP: {" and ".join(PACKAGES)} cannot be had from Debian\n0 passed, 0 failed, 1 skipped')
        return 0
    owner = Key('owner')
    variables = enrolled(owner)
    wanted = sys.argv[1:]
    scenes = (by_the_owners_key, debian_after_the_app, by_another_key, by_the_firmware)
    return Checks().run(*(s for s in scenes if not wanted or s.__name__ in wanted))


if __name__ == '__main__':
    sys.exit(main())
