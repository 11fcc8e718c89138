#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways out of the recovery screen: what can be started, the firmware's settings, sticks with keys, Secure Boot."""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
from tests.efi import rig  # noqa: E402
from tests.efi.scene import PLENTY, Bench, Checks, check_hand_off, next_stage, prompt, sentence  # noqa: E402
from tests.efi.test_volumes import DATA, Windows, nvme  # noqa: E402
from tests.laptop import efivars  # noqa: E402

SNAKEOIL = '/usr/share/ovmf/PkKek-1-snakeoil'
SNAKEOIL_VARS = '/usr/share/OVMF/OVMF_VARS_4M.snakeoil.fd'
ENTRY = b'title Debian by its entry\nversion 6.1\nefi /EFI/next/next.efi\noptions root=/dev/x quiet\n'
bench = None


def fast_volume(path):
    """Wrong digits are found wrong at once: few iterations everywhere. The right ones do not open it any more."""
    rig.make_volume(path, envelope=bench.envelope, pbkdf='pbkdf2')
    return rig.set_digest_iterations(path, 1000)


def free_pages(laptop, name):
    """Start the program that says how much memory is free, and come back."""
    laptop.send_keys(['l'])
    listed = laptop.wait_serial(r'Arrows move', PLENTY).before
    number = re.findall(rf'(\d+)\. {name}', listed)[-1]
    laptop.send_keys(number)
    if number != '1':  # the first line is chosen already
        laptop.wait_serial(sentence(f'{number} of ') + r'\d+:\s+' + name, PLENTY)
    laptop.send_keys(['ret'])
    laptop.wait_serial(sentence(f'Start "{name}" without opening the disk?'), PLENTY)
    laptop.send_keys(['ret'])
    pages = int(laptop.wait_serial(r'LEAVES with (\d+) pages', PLENTY).groups[0])
    laptop.wait_serial(sentence('comes back to the recovery screen'), PLENTY)
    laptop.send_keys(['ret'])
    laptop.wait_serial(r'> _', PLENTY)
    return listed, pages


def wrong_digits(laptop, times):
    """So many attempts with well-formed digits, by two last groups in turn; milliseconds of each."""
    groups = rig.groups(bytes.fromhex('112233445566778899aabbccddee0100'))
    other = f'{int(groups[7]) + 11:06d}'
    took = []
    laptop.type_serial(''.join(groups[:7]) + groups[7])
    for n in range(times):
        took.append(int(laptop.wait_serial(r'not opened after (\d+) ms', PLENTY).groups[0]))
        laptop.wait_serial(r'> (\*{6}-){7}\*{6}', PLENTY)
        if n < times - 1:
            laptop.type_serial('\b\b' + (other if n % 2 == 0 else groups[7])[4:])
    return took


def escape_hatches(t, times=40):
    """Everything that can be started is listed; what ends comes back; wrong digits leak nothing; firmware settings."""
    files = {'loader/entries/debian.conf': ENTRY, 'EFI/Linux/uki.efi': rig.LEAVES, 'EFI/debian/shimx64.efi': rig.LEAVES,
             'EFI/debian/grubx64.efi': rig.LEAVES, 'EFI/systemd/systemd-bootx64.efi': rig.LEAVES}
    with bench.laptop(leaves=True, files=files, removable=rig.LEAVES, volume=fast_volume(bench.path('fast'))) as laptop:
        prompt(laptop)
        listed, _ = free_pages(laptop, 'Leaves')
        for what in ('Leaves', 'Next stage', 'Debian by its entry 6.1', 'uki.efi', 'debian (shimx64.efi)',
                     'debian (grubx64.efi)', 'systemd (systemd-bootx64.efi)', 'Restart the computer'):
            t.that(f'listed: {what}', what.lower() in re.sub(r'\s+', ' ', listed).lower(), listed)
        t.that('we are not listed ourselves', 'Keyholt recovery' not in listed and 'recovery.efi' not in listed, listed)
        laptop.send_keys(['l'])
        laptop.wait_serial(r'Arrows move', PLENTY)
        bench.shot(laptop, 'list-1280x800')
        laptop.send_keys(['esc'])
        laptop.wait_serial(r'> _', PLENTY)  # digits that come by another line could be there before
        wrong_digits(laptop, 3)
        laptop.send_keys(['backspace'] * 48)
        _, before = free_pages(laptop, 'uki.efi')
        took = wrong_digits(laptop, times)
        laptop.send_keys(['backspace'] * 48)
        _, after = free_pages(laptop, 'uki.efi')
        t.that(f'{times} wrong passwords take no memory: {before} pages free, then {after}', before - after <= 16)
        laptop.send_keys(['f'])
        laptop.wait_serial(sentence("Restart into the firmware's settings?"), PLENTY)
        laptop.send_keys(['ret'])
        t.equal('F restarts', laptop._wait_end(PLENTY), 'guest-reset')
        laptop.power_cut()
        asked = [v for v in efivars.read(laptop.vars) if v.name == 'OsIndications' and v.guid == efivars.GLOBAL]
        t.that('into the settings', asked and asked[0].data[0] & 1, asked)
    return took


def push_in(laptop, name):
    laptop._qmp.command('device_add', driver='usb-storage', id=name, bus='xhci.0', drive=f'drive-{name}', removable=True)


def stick_image(name, files):
    path = bench.path(name)
    rig.disk.make_fat(path, 64 * rig.MIB, files)
    return path


def sticks(t):
    """Pushed in while the screen waits: a BitLocker startup key, then a desk's answer. One boot."""
    windows, name = Windows(bench.dir), 'bitlk-aes-xts-128-startup-key'
    bek = '4381F759-C4F8-4DE0-BB61-FC33A831BDA5.BEK'
    answer = ('\ufeff' + '-'.join(rig.groups(rig.PASSWORD)) + '\r\n').encode('utf-16-le')  # as Notepad saves it
    images = {'bek': stick_image('bek-stick', {bek: os.path.join(bench.dir, bek)}),
              'answer': stick_image('answer-stick', {f'KEYHOLT/{str(rig.KEY_ID).upper()}.txt': answer})}
    extra = ['-device', 'qemu-xhci,id=xhci', *nvme(windows.path(name), 1)]
    for stick, image in images.items():
        extra += ['-drive', f'if=none,id=drive-{stick},format=raw,file={image}']
    with bench.laptop(extra=extra, bus='nvme', size=(800, 600)) as laptop:
        prompt(laptop)
        push_in(laptop, 'bek')
        said = laptop.wait_serial(sentence('A stick has a startup key (') + r'(\w+)\)', PLENTY)
        t.equal('a startup key is offered when it is pushed in', said.groups[0], bek[:8])
        bench.shot(laptop, 'stick-800x600')
        laptop.send_keys(['ret'])
        laptop.wait_serial(sentence('The volume is open for reading, by key 4381F759'), PLENTY)
        t.that('and opens the volume', True)
        bench.shot(laptop, 'opened-800x600')
        laptop.send_keys(['ret'])
        laptop.wait_serial(r'> _', PLENTY)
        push_in(laptop, 'answer')
        said = laptop.wait_serial(sentence('A stick has the recovery password (') + r'(\w+)\)', PLENTY)
        t.equal('so is the answer of a desk', said.groups[0], str(rig.KEY_ID)[:8].upper())
        laptop.send_keys(['ret'])
        found = next_stage(laptop)
    check_hand_off(t, found)


def secure_boot(t):
    """OVMF with its own test keys: an unsigned app does not start, a signed one does, and it starts nothing unsigned."""
    key = bench.path('snakeoil.key')
    subprocess.run(['openssl', 'rsa', '-in', SNAKEOIL + '.key', '-passin', 'pass:snakeoil', '-out', key], check=True,
                   capture_output=True)
    subprocess.run(['make', '-s', 'sign', f'KEY={key}', f'CERT={SNAKEOIL}.pem'], cwd=rig.ROOT, check=True, capture_output=True)
    next_signed = bench.path('next.signed')
    subprocess.run(['sbsign', '--key', key, '--cert', SNAKEOIL + '.pem', '--output', next_signed, rig.NEXT_STAGE], check=True,
                   capture_output=True)
    files = {'EFI/keyholt/recovery.efi': os.path.join(rig.ROOT, 'build/bin/keyholt-recovery.signed.efi'),
             'EFI/keyholt/unsigned.efi': rig.APP, 'EFI/next/signed.efi': next_signed}
    entries = {'Unsigned app': '\\EFI\\keyholt\\unsigned.efi', 'Keyholt recovery': '\\EFI\\keyholt\\recovery.efi',
               'Unsigned system': '\\EFI\\next\\next.efi', 'Signed system': '\\EFI\\next\\signed.efi'}
    with bench.laptop(files=files, entries=entries, vars_from=SNAKEOIL_VARS) as laptop:
        head, _ = prompt(laptop)
        t.that('the firmware does not start an unsigned app', re.search(r'failed to load[^\n]*Unsigned app[^\n]*: Access Denied', head), head)
        laptop.send_keys(''.join(rig.groups(rig.PASSWORD)))
        laptop.wait_serial(sentence('Secure Boot does not allow "Unsigned system" to start'), PLENTY)
        t.that('the signed one runs, and does not start an unsigned system', 'NEXT STAGE' not in laptop.console.text)
        bench.shot(laptop, 'secure-boot-1280x800')
        laptop.send_keys(['ret'])
        found = next_stage(laptop)
    check_hand_off(t, found)


def pe_sections(path):
    """{name: (address, characteristics)}, and the image's flags. source: PE format"""
    with open(path, 'rb') as f:
        image = f.read()
    pe = int.from_bytes(image[60:64], 'little')
    count, optional = int.from_bytes(image[pe + 6:pe + 8], 'little'), int.from_bytes(image[pe + 20:pe + 22], 'little')
    flags = int.from_bytes(image[pe + 24 + 70:pe + 24 + 72], 'little')
    table = pe + 24 + optional
    return {image[at:at + 8].rstrip(b'\0').decode(): (int.from_bytes(image[at + 12:at + 16], 'little'),
                                                    int.from_bytes(image[at + 36:at + 40], 'little'))
            for at in range(table, table + 40 * count, 40)}, flags, image


def what_secure_boot_wants(t):
    """NX_COMPAT, no section both writable and executable, each on its own pages; SBAT."""
    sections, flags, image = pe_sections(rig.APP)
    t.that('NX_COMPAT', flags & 0x100, hex(flags))
    t.that('nothing is both writable and executable', not any(c & 0x20000000 and c & 0x80000000 for _, c in sections.values()))
    t.that('each section begins a page', all(at % 4096 == 0 for at, _ in sections.values()), sections)
    t.that('SBAT', '.sbat' in sections and b'\nkeyholt,1,' in image, sections)


def main():
    global bench
    bench = Bench()
    scenes = [what_secure_boot_wants, escape_hatches, secure_boot]
    if os.path.exists(f'{DATA}/bitlk/bitlk-images.tar.xz'):
        scenes.append(sticks)
    else:
        print(f'SKIP: sticks: no test data in {DATA}')
    wanted = sys.argv[1:]
    return Checks().run(*(s for s in scenes if not wanted or s.__name__ in wanted))


if __name__ == '__main__':
    sys.exit(main())
