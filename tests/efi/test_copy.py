#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copying files of an opened volume to a USB stick, at the recovery screen; what is on the stick is read back here by
other code (mtools) and compared byte for byte. KEYHOLT_LONG=1 adds the scenes that take longer."""
import glob
import hashlib
import os
import re
import subprocess
import sys
import uuid

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
from tests.efi import rig  # noqa: E402
from tests.efi.scene import PLENTY, Bench, Checks, go_to, prompt, sentence, stick  # noqa: E402
from tests.efi.test_volumes import FAT_KEY, Windows, to_go_with_files  # noqa: E402

LONG = os.environ.get('KEYHOLT_LONG') == '1'
KEY = uuid.UUID('0dd0beef-1234-4321-8888-999999999999')
PASSWORD = bytes.fromhex('112233445566778899aabbccddeeff00')
VOLUME = uuid.UUID('b0b1b2b3-c4c5-4678-9a9b-acadaeafb0b1')
SLOW = 3 * PLENTY
bench = None


class Skip(Exception):
    pass


def noise(name, size):
    """Bytes that depend on the name only."""
    return hashlib.shake_128(name.encode()).digest(size)


FILES = {'letter.odt': noise('letter', 12345), 'EMPTY.TXT': b'', 'Photos/2026/A long name, as people like them.jpg':
         noise('photo', 700_001), 'Photos/2026/b.jpg': noise('b', 262_144), 'Photos/c.jpg': noise('c', 1),
         'Work/plan.txt': b'first this, then that\r\n'}


def fill(volume, plain):
    """A volume made by cryptsetup with these bytes in it, encrypted by other code (libcryptsetup, OpenSSL)."""
    key, whole = volume + '.key', volume + '.whole'
    with open(key, 'wb') as f:
        f.write(b'what the user forgot')
    with open(whole, 'wb') as f:
        f.truncate(16 * rig.MIB + os.path.getsize(plain))
    subprocess.run([os.path.join(rig.ROOT, 'build/tests/luks_fill'), key, volume, plain, whole, '0'], check=True)
    return whole


def data_volume(name, files=None, plain=None):
    if plain is None:
        plain = bench.path(name + '.fat')
        rig.disk.make_fat(plain, 40 * rig.MIB, FILES if files is None else files, label='DATA')
    made = rig.make_volume(bench.path(name), label='family data', password=PASSWORD, key_id=KEY, volume=VOLUME)
    return fill(made, plain)


def make_stick(name, mib=64, files=None):
    """A file system on the whole stick, as some are sold. Small ones are FAT16."""
    path = bench.path(name)
    kind = ['-F', '32', '-s', '1'] if mib >= 34 else ['-F', '16', '-s', '1']
    subprocess.run(['mkfs.vfat', *kind, '-n', 'KINGSTON', '-C', path, str(mib * 1024)], check=True, stdout=subprocess.DEVNULL)
    for file, content in (files or {}).items():
        rig.disk.put_fat(path, file, content)
    return path


def tree(path):
    """All files on a stick: {path: bytes}."""
    folder = path + '.out'
    subprocess.run(['rm', '-rf', folder], check=True)
    os.makedirs(folder)
    subprocess.run(['mcopy', '-s', '-m', '-Q', '-n', '-i', path, '::/', folder], check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL)
    found = {}
    for base, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(base, name), 'rb') as f:
                found[os.path.relpath(os.path.join(base, name), folder)] = f.read()
    subprocess.run(['fsck.vfat', '-n', path], check=True, stdout=subprocess.DEVNULL)
    return found


def copies(found):
    """Without the folder's own name: {name of folder: {path: bytes}}."""
    folders = {}
    for path, data in found.items():
        head, _, rest = path.partition('/')
        if head.startswith('KEYHOLT-COPY') and rest:
            folders.setdefault(head, {})[rest] = data
    return folders


def same(t, what, found, wanted):
    names = sorted(found), sorted(wanted)
    t.equal(f'{what}: every name', *names)
    t.equal(f'{what}: every byte', [n for n in wanted if found.get(n) != wanted[n]], [])


def type_digits(laptop, digits):
    """Over the serial line: what an emulated keyboard loses on a busy machine is not asked here."""
    laptop.type_serial(digits)


def open_data(laptop, key=KEY, digits=None):
    go_to(laptop, key)
    type_digits(laptop, digits or ''.join(rig.groups(PASSWORD)))
    laptop.wait_serial(sentence('U copies files to a USB stick'), SLOW)


def copy_all(t, laptop):
    """From the page of an opened volume: U, everything, yes. Gives what was asked."""
    laptop.send_keys(['u'])
    laptop.wait_serial(r'1 of \d+: Copy everything', PLENTY)
    laptop.send_keys(['ret'])
    asked = laptop.wait_serial(r'From ([\s\S]*?)The\s+copies\s+will\s+not\s+be\s+encrypted', PLENTY)
    laptop.send_keys(['ret'])
    return re.sub(r'\s+', ' ', asked.groups[0])


def the_whole_way(t):
    """LUKS2 with FAT in it; the stick has files of its own, which stay."""
    own = {'KEYHOLT-COPY-OLD/mine.txt': b'mine', 'letter.odt': b'another letter'}
    path = make_stick('whole-stick', files=own)
    with bench.laptop(extra=[*disk(data_volume('whole')), *stick(path)], size=(800, 600)) as laptop:
        prompt(laptop)
        go_to(laptop, KEY)
        laptop.send_keys(['u'])
        laptop.wait_serial(sentence('Open this volume first'), PLENTY)
        t.that('before it is open, U says what to do first', True)
        type_digits(laptop, ''.join(rig.groups(PASSWORD)))
        laptop.wait_serial(sentence('U copies files to a USB stick'), SLOW)
        bench.shot(laptop, 'copy-opened-800x600')
        laptop.send_keys(['u'])
        laptop.wait_serial(r'1 of 5: Copy everything', PLENTY)
        laptop.send_keys(['down', 'spc'])
        laptop.wait_serial(sentence('2 of 5: [x] Photos (folder)'), PLENTY)
        bench.shot(laptop, 'copy-list-800x600')
        laptop.send_keys(['spc', 'up', 'ret'])
        asked = laptop.wait_serial(r'From ([\s\S]*?)The\s+copies\s+will\s+not\s+be\s+encrypted', PLENTY)
        said = re.sub(r'\s+', ' ', asked.groups[0])
        t.that('what would be copied is counted', 'family data: 6 files in 3 folders, 974 KB' in said, said)
        t.that('and where to, and what is free there', re.search('the stick "KINGSTON", into the new folder KEYHOLT-COPY-'
               r'\d{4}-\d\d-\d\d; the stick has \d\d MB free', said), said)
        bench.shot(laptop, 'copy-ask-800x600')
        laptop.send_keys(['ret'])
        laptop.wait_serial(sentence('Copied, read back and found equal: 6 files, 974 KB.'), SLOW)
        laptop.wait_serial(sentence('The stick can be pulled out now.'), PLENTY)
        bench.shot(laptop, 'copy-done-800x600')
        laptop.send_keys(['ret'])
        laptop.wait_serial(sentence('U copies files to a USB stick'), PLENTY)
        t.that('then the page of the volume stands again', True)
        laptop.send_keys(['ret'])
        laptop.wait_serial(r'> _', PLENTY)
    found = tree(path)
    folder, = (f for f in copies(found) if f != 'KEYHOLT-COPY-OLD')
    same(t, 'the copy', copies(found)[folder], FILES)
    same(t, 'what was there before', {n: found.get(n) for n in own}, own)


def disk(path, n=1):
    return ['-drive', f'if=none,id=more{n},format=raw,file={path}', '-device', f'virtio-blk-pci,drive=more{n}']


def ext4_driver():
    """The one of Debian's refind package, fetched by apt: a real driver, and none of ours."""
    folder = os.path.join(rig.ROOT, 'build/data/refind')
    found = glob.glob(folder + '/**/drivers_x64/ext4_x64.efi', recursive=True)
    if found:
        return found[0]
    os.makedirs(folder, exist_ok=True)
    subprocess.run(['apt-get', '-o', 'Acquire::Retries=5', 'download', 'refind'], cwd=folder, capture_output=True)
    for deb in glob.glob(folder + '/refind_*.deb'):
        subprocess.run(['dpkg-deb', '-x', deb, folder], check=True)
    found = glob.glob(folder + '/**/drivers_x64/ext4_x64.efi', recursive=True)
    if not found:
        raise Skip("the package refind, which has an ext4 driver, cannot be fetched")
    return found[0]


def ext4_volume(name, files):
    source, plain = bench.path(name + '.source'), bench.path(name + '.ext4')
    for file, data in files.items():
        path = os.path.join(source, file)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'wb') as f:
            f.write(data)
        os.utime(path, (1_700_000_000, 1_700_000_000))
    subprocess.run(['mkfs.ext4', '-q', '-d', source, plain, '40M'], check=True)
    return plain


EXT4 = {'home/me/notes.txt': b'notes', 'home/me/what?.txt': noise('what', 5000), 'home/me/README': b'1',
        'home/me/Readme': b'2', 'home/me/gr\u00fc\u00dfe.txt': b'hallo', 'etc/hostname': b'laptop\n', 'big.bin':
        noise('big', 3_000_000)}


def ext4_system(t):
    """The system's own LUKS2 volume, opened for its files instead of started; ext4 by the organisation's driver."""
    driver = ext4_driver()
    volume = rig.make_volume(bench.path('ext4'), envelope=bench.envelope)
    whole = fill(volume, ext4_volume('ext4', EXT4))
    path = make_stick('ext4-stick')
    with bench.laptop(volume=whole, extra=stick(path), size=(1920, 1080),
                      files={'EFI/keyholt/drivers/ext4_x64.efi': driver, 'EFI/keyholt/drivers/readme.txt': b'x'}) as laptop:
        prompt(laptop)
        laptop.send_keys(['u'])
        laptop.wait_serial(sentence('The digits will open this volume to copy its files to a USB stick'), PLENTY)
        bench.shot(laptop, 'copy-wanted-1920x1080')
        type_digits(laptop, ''.join(rig.groups(rig.PASSWORD)))
        laptop.wait_serial(sentence('The volume is open for reading'), SLOW)
        t.that('a system asked for its files is opened, not started', 'NEXT STAGE' not in laptop.console.text)
        laptop.send_keys(['u'])
        laptop.wait_serial(r'1 of \d+: Copy everything', PLENTY)
        bench.shot(laptop, 'copy-list-1920x1080')
        laptop.send_keys(['ret'])
        laptop.wait_serial(sentence('The copies will not be encrypted'), PLENTY)
        bench.shot(laptop, 'copy-ask-1920x1080')
        laptop.send_keys(['ret'])
        laptop.wait_serial(sentence('The stick can be pulled out now.'), SLOW)
        bench.shot(laptop, 'copy-done-1920x1080')
        said = re.sub(r'\s+', ' ', laptop.console.text[-1500:])
        t.that('names that had to be changed are told of', '2 names had to be changed' in said, said)
    found = tree(path)
    copied = copies(found)
    folder, = copied
    wanted = {n: d for n, d in EXT4.items() if n not in ('home/me/what?.txt', 'home/me/README', 'home/me/Readme')}
    wanted['home/me/what_.txt'] = EXT4['home/me/what?.txt']
    twins = {n: d for n, d in copied[folder].items() if n.lower().startswith('home/me/readme')}
    same(t, 'the copy of ext4', {n: d for n, d in copied[folder].items() if n not in twins}, wanted)
    t.equal('two names that are one on FAT: both are there', sorted(twins.values()), [b'1', b'2'])
    notes = found.get(folder + '.txt', b'').decode()
    t.that('the notes on the stick say it', 'other name, what_.txt: home\\me\\what?.txt' in notes, notes)
    when = os.stat(f'{path}.out/{folder}/home/me/notes.txt').st_mtime
    t.that('times are kept', abs(when - 1_700_000_000) < 86400, when)


def no_driver(t):
    """ext4 without a driver, and an organisation that does not want copies."""
    volume = fill(rig.make_volume(bench.path('none'), label='family data', password=PASSWORD, key_id=KEY, volume=VOLUME),
                  ext4_volume('none', {'a': b'a'}))
    with bench.laptop(extra=disk(volume), size=(800, 600)) as laptop:
        prompt(laptop)
        open_data(laptop)
        laptop.send_keys(['u'])
        laptop.wait_serial(sentence('family data holds a file system (ext4) that cannot be read here.'), PLENTY)
        t.that('without a driver it says so, and what to do', 'keyholt-desk volume decrypt' in
               re.sub(r'\s+', ' ', laptop.console.text[-1200:]))
        bench.shot(laptop, 'copy-no-driver-800x600')
    with bench.laptop(extra=disk(volume), org={**rig.ORG, 'copy_files': False}) as laptop:
        head, _ = prompt(laptop)
        t.that('forbidden: the key is not named', 'U copy' not in head, head)
        laptop.send_keys(['u'])
        laptop.wait_serial(sentence('Your organisation does not want files to be copied here.'), PLENTY)
        t.that('and says so when it is pressed', True)


def full(t):
    """A stick that is too small, then another one."""
    big = {f'film{n}.mp4': noise(f'film{n}', 3_000_000) for n in range(4)}
    first, second = make_stick('first', mib=8), make_stick('second', mib=40)
    extra = [*disk(data_volume('full', big)), *stick(first, 'one'), '-drive',
             f'if=none,id=drive-two,format=raw,file={second}']
    with bench.laptop(extra=extra) as laptop:
        prompt(laptop)
        open_data(laptop)
        said = copy_all(t, laptop)
        t.that('said beforehand', 'Not all of it fits' in said, said)
        laptop.wait_serial(sentence('The stick is full; what was copied stays on it.'), SLOW)
        t.that('the stick is full', True)
        bench.shot(laptop, 'copy-full-1280x800')
        laptop._qmp.command('device_del', id='one')  # the library has no word for unplugging
        laptop._qmp.command('device_add', driver='usb-storage', id='two', bus='xhci-one.0', drive='drive-two', removable=True)
        laptop.send_keys(['ret'])
        laptop.wait_serial(sentence('Copied, read back and found equal: 4 files'), SLOW)
    found = {**list(copies(tree(first)).values())[0], **list(copies(tree(second)).values())[0]}
    same(t, 'both sticks together', found, big)


def pulled_out(t):
    """In the middle of a large file; then plugged in again, or another one."""
    big = {'a.txt': b'small', 'film.mp4': noise('film', 30_000_000)}
    first, second = make_stick('pulled'), make_stick('pulled-second')
    extra = [*disk(data_volume('pulled-data', big)), *stick(first, 'one'), '-drive',
             f'if=none,id=drive-two,format=raw,file={second}']
    with bench.laptop(extra=extra) as laptop:
        prompt(laptop)
        open_data(laptop)
        copy_all(t, laptop)
        laptop.wait_serial(r'Copying: 1\d %', SLOW)
        bench.shot(laptop, 'copy-progress-1280x800')
        laptop._qmp.command('device_del', id='one')
        laptop.wait_serial(sentence('The stick was pulled out or does not answer'), SLOW)
        t.that('pulled out: it says so', True)
        bench.shot(laptop, 'copy-pulled-1280x800')
        laptop.send_keys(['ret'])
        laptop.wait_serial(sentence('Plug in a USB stick.'), PLENTY)
        bench.shot(laptop, 'copy-no-stick-1280x800')
        laptop._qmp.command('device_add', driver='usb-storage', id='two', bus='xhci-one.0', drive='drive-two', removable=True)
        laptop.wait_serial(sentence('Copied, read back and found equal: 2 files'), SLOW)
        t.that('and goes on with another one as soon as it is there', True)
    same(t, 'the second stick', list(copies(tree(second)).values())[0], big)


def bitlocker(t):
    image, digits = to_go_with_files(bench.path('to-go'))
    path = make_stick('togo-stick')
    with bench.laptop(extra=[*disk(image), *stick(path)]) as laptop:
        prompt(laptop)
        open_data(laptop, FAT_KEY, digits)
        copy_all(t, laptop)
        laptop.wait_serial(sentence('Copied, read back and found equal: 1 file, 15 bytes.'), SLOW)
    same(t, 'BitLocker To Go', next(iter(copies(tree(path)).values()), {}), {'LETTER.TXT': b'kept by Windows'})


def broken_file_system(t):
    """Whatever the firmware's driver makes of a FAT that is not whole, as in the volumes that Windows made: the screen
    stays usable."""
    windows, name, path = Windows(bench.dir), 'bitlk-togo-aes-xts-128', make_stick('broken-stick')
    if not windows.there:
        raise Skip('no volumes made by Windows in KEYHOLT_DATA')
    with bench.laptop(extra=[*disk(windows.path(name)), *stick(path)]) as laptop:
        prompt(laptop)
        open_data(laptop, windows.key(name), windows.digits(name))
        laptop.send_keys(['u'])
        laptop.wait_serial(r'1\s+of\s+\d+:\s+Copy\s+everything|cannot\s+be\s+read', PLENTY)
        t.that('a broken FAT: its files are listed, or it is said that they cannot be', True)
        laptop.send_keys(['esc'])
        laptop.wait_serial(sentence('U copies files to a USB stick'), PLENTY)
        t.that('and back', True)
    t.equal('nothing came to the stick', tree(path), {})


def stopped(t):
    """Escape in the middle, then on."""
    big = {'film.mp4': noise('film', 30_000_000)}
    path = make_stick('stopped-stick')
    with bench.laptop(extra=[*disk(data_volume('stopped', big)), *stick(path)]) as laptop:
        prompt(laptop)
        open_data(laptop)
        copy_all(t, laptop)
        laptop.wait_serial(r'Copying: 1\d %', SLOW)
        laptop.send_keys(['esc'])
        laptop.wait_serial(sentence('Stopped; what was copied stays on the stick.'), SLOW)
        laptop.send_keys(['ret'])
        laptop.wait_serial(sentence('Copied, read back and found equal: 1 file'), SLOW)
    found = copies(tree(path))
    t.equal('nothing half is left of the first run', sorted(len(f) for f in found.values()), [1])
    same(t, 'the second run', max(found.values(), key=len), big)


def little_memory(t):
    """All memory is taken but 8 MiB when the app starts: that is too little for the firmware's own FAT driver,
    so there is nothing to copy with, and that is what is said."""
    path = make_stick('little-stick')
    with bench.laptop(extra=[*disk(data_volume('little')), *stick(path)], launch=True, files={'EFI/next/crowded': b'1'}) as laptop:
        laptop.power_on()
        pages = int(laptop.wait_serial(r'CROWDED (\d+) pages free', PLENTY).groups[0])
        t.that(f'{pages} pages are free when it starts, at most 8 MiB', pages <= 2048)
        laptop.wait_serial(r'> _', PLENTY)
        open_data(laptop)
        laptop.send_keys(['u'])
        laptop.wait_serial(sentence('there is too little memory for it, or the file system is damaged'), PLENTY)
        t.that('in little memory it says so', True)
    t.equal('and nothing came to the stick', tree(path), {})


def main():
    global bench
    bench = Bench()
    wanted, t = sys.argv[1:], Checks()
    scenes = [the_whole_way] + ([ext4_system, no_driver, full, pulled_out, bitlocker, broken_file_system, stopped, little_memory] if LONG or wanted else [])
    skipped = 0

    def guarded(scene):
        def run(checks):
            nonlocal skipped
            try:
                scene(checks)
            except Skip as why:
                skipped += 1
                print(f'SKIP: {scene.__name__}: {why}', flush=True)
        run.__name__ = scene.__name__
        return run

    return t.run(*(guarded(s) for s in scenes if not wanted or s.__name__ in wanted))


if __name__ == '__main__':
    sys.exit(main())
