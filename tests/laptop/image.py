#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The virtual laptop's disk: GPT, ESP with a unified kernel image, LUKS2 root with Debian 12; no loop devices,
no device-mapper, no mounts. Three stages, each cached under a hash of what it is made from:

    base-HASH.tar    Debian by debootstrap                           (packages, recipe)
    tree-HASH/       the laptop's Debian with packages under test    (base, .deb files, recipe)
    disk-HASH/       disk.raw, vars.fd, info.json                    (tree, passphrase, recipe)

Needs root, because the files in the image belong to many users (no other privilege: no /dev, no mounts).

    python3 -m tests.laptop.image --deb build/keyholt.deb --passphrase-file P
"""
import argparse
import contextlib
import fcntl
import hashlib
import inspect
import json
import os
import shutil
import subprocess
import sys
import time
import uuid

if __name__ == '__main__':
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
from tests.laptop import disk, efivars, mirror, rootfs
from tests.laptop.laptop import EMPTY_VARS, Drive, Laptop

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OUT = os.path.join(TOP, 'build/laptop')
LUKS_FILL = os.path.join(TOP, 'build/tests/luks_fill')
STUB = '/usr/lib/systemd/boot/efi/linuxx64.efi.stub'
LUKS_UUID = '4b65796c-6f70-4f6c-8c75-6b7332000001'
FS_UUID = '4b65796c-6f70-4f6c-8c75-6b7332000002'
UKI = 'EFI/debian/uki.efi'
ESP_SIZE, ROOT_SIZE, HEADER_SIZE = 160 * disk.MIB, 1200 * disk.MIB, 16 * disk.MIB
# The second line saves seconds on an emulated processor: no crypto self-tests, no Spectre mitigations, one UART.
COMMAND_LINE = 'root=/dev/mapper/root ro quiet loglevel=3 net.ifnames=0 ' \
               'cryptomgr.notests mitigations=off 8250.nr_uarts=1'
# The last console is /dev/console: there the initramfs asks for the passphrase, there the user types it. Kernel
# messages and a login prompt are on both.
CONSOLES = {'screen': ' console=ttyS0 console=tty0', 'serial': ' console=tty0 console=ttyS0'}


class ImageError(RuntimeError):
    """The image cannot be built here; the message says what is missing."""


def _hash(*parts):
    """16 hex digits over texts, bytes, functions and modules (their source)."""
    h = hashlib.sha256()
    for part in parts:
        if callable(part) or inspect.ismodule(part):
            part = inspect.getsource(part)
        h.update(part if isinstance(part, bytes) else str(part).encode())
        h.update(b'\0')
    return h.hexdigest()[:16]


def _hash_file(path):
    with open(path, 'rb') as f:
        return hashlib.file_digest(f, 'sha256').hexdigest()


def _drop_old(out, prefix, keep=3):
    """Old results of a stage: they are large, and made again in seconds."""
    made = [os.path.join(out, name) for name in os.listdir(out) if name.startswith(prefix)]
    for path in sorted(made, key=os.path.getmtime, reverse=True)[keep:]:
        shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)


@contextlib.contextmanager
def _made_once(out, name, tell):
    """Yields the path to make, or None when it exists; a half-made one is never taken for whole."""
    final, part = os.path.join(out, name), os.path.join(out, 'part-' + name)
    if os.path.exists(final):
        yield None
        return
    start = time.monotonic()
    if os.path.isdir(part):
        shutil.rmtree(part)
    yield part
    os.rename(part, final)
    _drop_old(out, name.split('-')[0] + '-')
    tell(f'{name}: made in {time.monotonic() - start:.1f} s')


def _base(out, tell):
    """Stage 1; gives the tarball's path."""
    name = f'base-{_hash(rootfs.SUITE, rootfs.PACKAGES, rootfs.WITHOUT, rootfs.debootstrap)}.tar'
    with _made_once(out, name, tell) as part:
        if part:
            tree = os.path.join(out, 'base-tree')
            shutil.rmtree(tree, ignore_errors=True)
            os.mkdir(tree)
            rootfs.debootstrap(tree, os.path.join(out, 'debootstrap.log'))
            rootfs.run(['tar', '--numeric-owner', '--xattrs', '-cf', part, '-C', tree, '.'])
            shutil.rmtree(tree)
    return os.path.join(out, name)


def _tree(out, base, debs, initrd, tell):
    """Stage 2; gives the directory with root/, vmlinuz and initrd."""
    name = f'tree-{_hash(base, rootfs, initrd, *[_hash_file(d) for d in debs])}'
    with _made_once(out, name, tell) as part:
        if part:
            root = os.path.join(part, 'root')
            os.makedirs(root)
            rootfs.run(['tar', '--numeric-owner', '--xattrs', '-xpf', base, '-C', root])
            rootfs.configure(root, LUKS_UUID)
            rootfs.install(root, debs)
            for path, short in zip(rootfs.build_initrd(root, initrd), ('vmlinuz', 'initrd')):
                shutil.copyfile(path, os.path.join(part, short))
    return os.path.join(out, name)


def make_uki(path, kernel, initrd, command_line, os_release):
    """A unified kernel image: systemd's stub with kernel, initrd and command line as sections."""
    text = path + '.cmdline'
    with open(text, 'w', encoding='ascii') as f:
        f.write(command_line)
    sections = [('.osrel', os_release, 0x20000), ('.cmdline', text, 0x30000), ('.linux', kernel, 0x2000000),
                ('.initrd', initrd, 0x4000000)]
    options = [o for name, file, at in sections
               for o in ('--add-section', f'{name}={file}', '--change-section-vma', f'{name}={at:#x}')]
    rootfs.run(['objcopy'] + options + [STUB, path])
    os.unlink(text)


def _luks_header(path, passphrase):
    """A LUKS2 header in a file. PBKDF2 with few rounds: the emulated processor is slow, and the user's passphrase
    is not what these tests are about; sectors of 4096 bytes as cryptsetup chooses on today's disks."""
    with open(path, 'wb') as f:
        f.truncate(HEADER_SIZE + disk.MIB)
    done = subprocess.run(['cryptsetup', 'luksFormat', '--batch-mode', '--type', 'luks2', '--uuid', LUKS_UUID,
                           '--cipher', 'aes-xts-plain64', '--key-size', '512', '--pbkdf', 'pbkdf2', '--hash', 'sha256',
                           '--pbkdf-force-iterations', '1000', '--sector-size', '4096', '--key-file', '-', path],
                          input=passphrase.encode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        raise ImageError(f'cryptsetup luksFormat: {done.stdout.decode(errors="replace")}')


def _fill_root(work, tree, image, offset, passphrase):
    header, fs, key = [os.path.join(work, name) for name in ('header', 'fs', 'key')]
    _luks_header(header, passphrase)
    # nothing may rely on holes that read as zeros: under encryption they would read as noise
    rootfs.run(['mkfs.ext4', '-q', '-F', '-U', FS_UUID, '-L', 'root', '-m', '1', '-E',
                'nodiscard,lazy_itable_init=0,lazy_journal_init=0,hash_seed=' + FS_UUID, '-d', tree, fs,
                str((ROOT_SIZE - HEADER_SIZE) // 1024)])
    with open(os.open(key, os.O_WRONLY | os.O_CREAT, 0o600), 'w', encoding='utf-8') as f:
        f.write(passphrase)
    rootfs.run([LUKS_FILL, key, header, fs, image, str(offset)])
    for path in (header, fs, key):
        os.unlink(path)


def _disk(out, tree, passphrase, console, tell):
    """Stage 3; gives its directory."""
    name = f'disk-{_hash(tree, passphrase, console, sys.modules[__name__], disk, efivars, _hash_file(LUKS_FILL))}'
    with _made_once(out, name, tell) as part:
        if part:
            os.makedirs(part)
            image, uki = os.path.join(part, 'disk.raw'), os.path.join(part, 'uki.efi')
            root = os.path.join(tree, 'root')
            make_uki(uki, os.path.join(tree, 'vmlinuz'), os.path.join(tree, 'initrd'),
                     COMMAND_LINE + CONSOLES[console], os.path.join(root, 'usr/lib/os-release'))
            esp, luks = disk.lay_out(('ESP', 'esp', ESP_SIZE), ('root', 'linux', ROOT_SIZE))
            disk.make_fat(image, esp.size, {UKI: uki, 'EFI/BOOT/BOOTX64.EFI': uki}, offset=esp.start)
            os.truncate(image, disk.disk_size([esp, luks]))
            disk.write_gpt(image, [esp, luks])
            _fill_root(part, root, image, luks.start, passphrase)
            variables = os.path.join(part, 'vars.fd')
            shutil.copyfile(EMPTY_VARS, variables)
            efivars.append(variables, efivars.boot_entries(
                [efivars.load_option('debian', 1, esp, '\\' + UKI.replace('/', '\\'))]))
            with open(os.path.join(part, 'info.json'), 'w', encoding='ascii') as f:
                json.dump({'luks_uuid': LUKS_UUID, 'fs_uuid': FS_UUID, 'esp_offset': esp.start, 'esp_size': esp.size,
                           'luks_offset': luks.start, 'luks_size': luks.size,
                           'kernel': rootfs.kernel_version(root)}, f)
    return os.path.join(out, name)


def _check_host():
    if os.geteuid() != 0:
        raise ImageError('building the laptop\'s disk needs root (files of many owners); run it as root or with sudo')
    for tool, package in (('debootstrap', 'debootstrap'), ('mkfs.vfat', 'dosfstools'), ('mcopy', 'mtools'),
                          ('mkfs.ext4', 'e2fsprogs'), ('cryptsetup', 'cryptsetup-bin'), ('objcopy', 'binutils')):
        if not shutil.which(tool):
            raise ImageError(f'{tool} is missing; install {package}')
    for path, hint in ((STUB, 'install systemd-boot-efi'), (LUKS_FILL, 'run make build/tests/luks_fill')):
        if not os.path.exists(path):
            raise ImageError(f'{path} is missing; {hint}')


def build(debs, passphrase, out=OUT, console='screen', initrd='initramfs-tools', tell=lambda text: None):
    """Build, or take from the cache, a laptop with these packages, opened by this passphrase. console: where the
    initramfs asks for it, 'screen' (typed by send_keys) or 'serial' (typed by type_serial). initrd: what makes it, 'initramfs-tools' or 'dracut' (one of
    the packages then).

    Gives {'disk': raw image, never to be written (make_laptop puts an overlay on it), 'vars': variable file with the
    boot entry "debian", 'luks_uuid', 'fs_uuid', 'esp_offset', 'esp_size', 'luks_offset', 'luks_size', 'kernel'}."""
    _check_host()
    os.makedirs(out, exist_ok=True)
    with open(os.path.join(out, 'lock'), 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        base = _base(out, tell)
        tree = _tree(out, base, [os.path.abspath(d) for d in debs], initrd, tell)
        made = _disk(out, tree, passphrase, console, tell)
    with open(os.path.join(made, 'info.json'), encoding='ascii') as f:
        return {'disk': os.path.join(made, 'disk.raw'), 'vars': os.path.join(made, 'vars.fd'), **json.load(f)}


def base_status(out=OUT, tell=lambda text: None):
    """dpkg's list of what the laptop's Debian has before packages are added, for apt to judge what is missing."""
    os.makedirs(out, exist_ok=True)
    with open(os.path.join(out, 'lock'), 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        base = _base(out, tell)
    return subprocess.run(['tar', '-xOf', base, './var/lib/dpkg/status'], check=True, capture_output=True).stdout


def make_laptop(image, directory, drives=(), **options):
    """A new laptop (everything in directory is replaced) with an overlay on the image, and further drives; options as
    Laptop's."""
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    overlay = disk.make_overlay(os.path.join(directory, 'disk.qcow2'), image['disk'])
    return Laptop(directory, [Drive(overlay), *drives], vars_from=image['vars'], **options)


def main():
    parser = argparse.ArgumentParser(description='Build the virtual laptop\'s disk and say where it is.')
    parser.add_argument('--deb', action='append', default=[], help='package to install (may be repeated)')
    parser.add_argument('--passphrase-file', help='the user\'s passphrase, without newline (default: "correct horse")')
    parser.add_argument('--console', choices=CONSOLES, default='screen')
    parser.add_argument('--out', default=OUT)
    options = parser.parse_args()
    passphrase = 'correct horse'
    if options.passphrase_file:
        with open(options.passphrase_file, encoding='utf-8') as f:
            passphrase = f.read()
    try:
        made = build(options.deb, passphrase, options.out, options.console, lambda text: print(text, file=sys.stderr))
    except (ImageError, mirror.MirrorError, rootfs.RootfsError, OSError) as e:
        print(f'image: {e}', file=sys.stderr)
        return 1
    print(json.dumps(made, indent=1))
    return 0


if __name__ == '__main__':
    sys.exit(main())
