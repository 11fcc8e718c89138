#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The other ways to the recovery app, on real firmware that knows no boot entry: GRUB's menu as update-grub makes it,
systemd-boot's, and the fallback. In both menus the system comes first and the app is only ever chosen.

usage: tests/efi/test_menus.py     Needs build/bin/keyholt-recovery.efi, GRUB's and systemd-boot's EFI programs."""
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
from tests.efi import rig  # noqa: E402
from tests.efi.test_recovery import PLENTY, Checks  # noqa: E402
from tests.laptop.laptop import EMPTY_VARS, Drive, Laptop  # noqa: E402

SYSTEMD_BOOT = '/usr/lib/systemd/boot/efi/systemd-bootx64.efi'
GRUB_SCRIPT = f'{rig.ROOT}/packaging/grub/keyholt'
MODULES = 'part_gpt fat chain normal search search_fs_uuid search_label configfile test echo halt terminal serial'.split()
APP_READY, SYSTEM_READY = r'ready after \d+ ms', r'NEXT STAGE END'
UUID_OF_ESP = '2B1C-7A40'


def grub_entries(folder):
    """What the script prints on a computer with UEFI whose ESP is mounted at /boot/efi; what a folder cannot have, a
    mount and a device, is said by programs in its place."""
    os.makedirs(folder + '/bin')
    for name, text in (('mountpoint', 'exit 0'),
                       ('grub-probe', f'[ "$1" = --target=fs_uuid ] && echo {UUID_OF_ESP} || echo /dev/sda1')):
        with open(f'{folder}/bin/{name}', 'w') as f:
            f.write(f'#!/bin/sh\n{text}\n')
        os.chmod(f'{folder}/bin/{name}', 0o755)
    for path in ('boot/efi/EFI', 'sys/firmware/efi'):
        os.makedirs(f'{folder}/root/{path}')
    done = subprocess.run([GRUB_SCRIPT], capture_output=True, text=True, timeout=60,
                          env={**os.environ, 'PATH': f'{folder}/bin:{os.environ["PATH"]}', 'KEYHOLT_GRUB_ROOT': folder + '/root'})
    return done.stdout, done.stderr


def laptop(folder, name, volume, files):
    disk = f'{folder}/{name}.disk'
    rig.make_disk(disk, volume, files=files)
    return Laptop(f'{folder}/{name}', [Drive(disk, format='raw')], tpm=False, memory_mb=512, cpus=1, vga='none',
                  vars_from=EMPTY_VARS, extra=rig.screen(1280, 800))


def test_grub(t, folder, volume):
    entries, said = grub_entries(folder)
    t.that('the script makes an entry', "menuentry 'Keyholt recovery'" in entries and 'Found Keyholt recovery' in said, entries + said)
    cfg = f'{folder}/grub.cfg'
    grub = f'{folder}/grub.efi'
    early = f'{folder}/early.cfg'
    with open(early, 'w') as f:
        f.write('search --file --set=root /grub.cfg\nconfigfile ($root)/grub.cfg\n')
    subprocess.run(['grub-mkimage', '-O', 'x86_64-efi', '-p', '/', '-c', early, '-o', grub, *MODULES], check=True, timeout=60)
    # in this test the partition is found by the app on it: mkfs gives it another UUID than the script was told
    entries = entries.replace(f'--fs-uuid --set=keyholt_esp {UUID_OF_ESP}', '--file --set=keyholt_esp /EFI/keyholt/recovery.efi')
    for what, default, want in (('GRUB starts the system by itself', '0', SYSTEM_READY),
                                ('and the app when it is chosen', 'keyholt-recovery', APP_READY)):
        with open(cfg, 'w') as f:
            f.write(f"set default={default}\nset timeout=0\nmenuentry System {{\n\tchainloader /EFI/next/next.efi\n}}\n{entries}")
        checked = subprocess.run(['grub-script-check', cfg], capture_output=True, text=True, timeout=60)
        t.equal('GRUB reads what the script made', (checked.returncode, checked.stderr), (0, ''))
        with laptop(folder, f'grub-{default}', volume, {'EFI/BOOT/BOOTX64.EFI': grub, 'grub.cfg': cfg}) as m:
            m.power_on()
            t.that(what, m.wait_serial(want, PLENTY))


def entry(title, program):
    return f'title {title}\nefi {program}\n'.encode()


def test_systemd_boot(t, folder, volume):
    ours = entry('Keyholt recovery', '/EFI/keyholt/recovery.efi')
    for what, default, want in (('systemd-boot starts the system by itself', b'', SYSTEM_READY),
                                ('and the app when it is chosen', b'default ~keyholt-recovery.conf\n', APP_READY)):
        files = {'EFI/BOOT/BOOTX64.EFI': SYSTEMD_BOOT, 'loader/loader.conf': b'timeout 0\n' + default,
                 'loader/entries/~keyholt-recovery.conf': ours,
                 'loader/entries/debian.conf': entry('Debian', '/EFI/next/next.efi')}
        with laptop(folder, f'sd-{len(default)}', volume, files) as m:
            m.power_on()
            t.that(what, m.wait_serial(want, PLENTY))


def test_fallback(t, folder, volume):
    with laptop(folder, 'fallback', volume, {'EFI/BOOT/BOOTX64.EFI': rig.APP}) as m:
        m.power_on()
        t.that('firmware that has forgotten everything starts the app', m.wait_serial(APP_READY, PLENTY))


def main():
    missing = [p for p in (rig.APP, SYSTEMD_BOOT, '/usr/lib/grub/x86_64-efi/chain.mod') if not os.path.exists(p)]
    missing += [p for p in ('grub-mkimage', 'grub-script-check') if not shutil.which(p)]
    if missing:
        print(f'{missing} is not there: make, ./run')
        return 1
    t = Checks()
    with tempfile.TemporaryDirectory(prefix='menus-') as folder:
        volume = rig.make_volume(folder + '/volume')
        return t.run(*(lambda t, f=f: f(t, folder, volume) for f in (test_grub, test_systemd_boot, test_fallback)))


if __name__ == '__main__':
    sys.exit(main())
