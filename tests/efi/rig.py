# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks and laptops for the recovery app: an ESP with the app, a next stage and org.json, a LUKS2 volume with a
recovery keyslot and its token. Everything a test compares with is made here, on the host, by other code."""
import base64
import hashlib
import json
import os
import shutil
import struct
import subprocess
import time
import uuid

from tests.laptop import disk, efivars
from tests.laptop.laptop import EMPTY_VARS, Drive, Laptop

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
APP = os.path.join(ROOT, 'build/bin/keyholt-recovery.efi')
LEAVES = os.path.join(ROOT, 'build/tests/leaves.efi')
LAUNCH = os.path.join(ROOT, 'build/tests/launch.efi')
NEXT_STAGE = os.path.join(ROOT, 'build/tests/next_stage.efi')
OURS = uuid.UUID('6d2f1c8e-4b7a-4e0d-9b53-2a8e5f90c7d1')
MIB = 1 << 20

VOLUME = uuid.UUID('3f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0')
KEY_ID = uuid.UUID('7c41d9e2-5b36-4f08-9a1d-0e2f3c4b5a69')
PASSWORD = bytes.fromhex('0c1e9a7747d36cf5281b00ff5566a1b2')
def public_key(use=None):
    """A key as org.json has it: the ID is the SHA-256 of its SPKI; nobody here checks that it is on the curve."""
    spki = bytes.fromhex('3059301306072a8648ce3d020106082a8648ce3d03010703420004') + os.urandom(64)
    key = {'id': hashlib.sha256(spki).hexdigest(), 'spki': base64.b64encode(spki).decode()}
    return {**key, 'use': use} if use else key


ORG = {'format': 'keyholt-org', 'version': 1, 'id': '11112222-3333-4444-8555-666677778888',
       'name': 'Example Widgets', 'url': 'HTTPS://KEYS.EXAMPLE.ORG',
       'message': 'You are not alone: the help desk is there day and night, +49 30 1234 5678. '
                  'Have your staff number ready. Nobody from the help desk will ever ask for your passphrase.',
       'servers': ['https://keys.example.org:8443'], 'ca': '-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n',
       'escrow_keys': [public_key('vault'), public_key('desk')], 'receipt_keys': [public_key()],
       'policy_key': public_key(), 'revoked': []}


def groups(password):
    """Eight groups of six digits."""
    return [f'{word * 11:06d}' for word in struct.unpack('<8H', password)]


def make_envelope(key_id=KEY_ID, volume=VOLUME, made=1_700_000_000, recipients=2):
    """An envelope in form (docs/formats.md); the app never opens one, so its seals are random."""
    head = b'KHE\x01' + bytes([1, 1, recipients, 0]) + key_id.bytes_le + volume.bytes_le + os.urandom(32)
    return head + struct.pack('<Q', made) + os.urandom(32) + os.urandom(recipients * (32 + 97))


def base32(data):
    return base64.b32encode(data).decode().rstrip('=')


def cryptsetup(*args, key=None):
    done = subprocess.run(['cryptsetup', '-q', *args], input=key, capture_output=True, timeout=120)
    if done.returncode:
        raise RuntimeError(f'cryptsetup {args[0]}: {done.stderr.decode()}')


def make_volume(path, *, label='laptop root', password=PASSWORD, key_id=KEY_ID, volume=VOLUME, envelope=None,
                token=True, sector_size=512, pbkdf_memory_kib=None, pbkdf=None):
    """A volume made by plain `cryptsetup luksFormat`, with a recovery keyslot 1 and its token."""
    with open(path, 'wb') as f:
        f.truncate(24 * MIB)
    kdf = ['--pbkdf', pbkdf, '--pbkdf-force-iterations', '1000'] if pbkdf else []
    memory = ['--pbkdf-memory', str(pbkdf_memory_kib), '--pbkdf-force-iterations', '4'] if pbkdf_memory_kib else []
    cryptsetup('luksFormat', '--type', 'luks2', '--uuid', str(volume), '--label', label, '--sector-size',
               str(sector_size), *memory, *kdf, '--key-file=-', path, key=b'what the user forgot')
    digits, count = path + '.digits', 1234
    with open(digits, 'w') as f:
        f.write('-'.join(groups(password)))
    cryptsetup('luksAddKey', '--pbkdf', 'pbkdf2', '--pbkdf-force-iterations', str(count), '--key-slot', '0',
               '--new-key-slot', '1', '--key-file=-', path, digits, key=b'what the user forgot')
    os.unlink(digits)
    if token:
        text = {'type': 'keyholt', 'keyslots': ['1'], 'version': 1, 'state': 'live', 'slot': 1, 'count': count,
                'key_id': str(key_id).upper(), 'envelope': base64.b64encode(envelope or make_envelope()).decode(),
                'fingerprint': base64.b64encode(bytes(32)).decode()}
        cryptsetup('token', 'import', path, key=json.dumps(text).encode())
    return path


def bind_to_chip(path):
    """A token as systemd-cryptenroll --tpm2-device leaves one; nothing here opens it."""
    token = {'type': 'systemd-tpm2', 'keyslots': ['0'], 'tpm2-blob': '', 'tpm2-pcrs': [4, 7], 'tpm2-policy-hash': '00'}
    cryptsetup('token', 'import', '--disable-external-tokens', path, key=json.dumps(token).encode())
    return path


def set_digest_iterations(path, iterations):
    """Change the header of a volume, both copies, with good checksums: LUKS2 specification 1.1.1, section 2."""
    with open(path, 'r+b') as f:
        size = struct.unpack_from('>Q', f.read(16), 8)[0]
        for off in (0, size):
            f.seek(off)
            header = bytearray(f.read(size))
            text = json.loads(header[4096:header.index(0, 4096)])
            text['digests']['0']['iterations'] = iterations
            header[4096:] = json.dumps(text, separators=(',', ':')).encode().ljust(size - 4096, b'\0')
            header[448:512] = bytes(64)
            header[448:480] = hashlib.sha256(header).digest()
            f.seek(off)
            f.write(header)
    return path


def make_disk(path, volume, *, org=ORG, removable=None, files=None):
    """GPT with an ESP and the volume's bytes in a second partition; gives the partitions."""
    parts = disk.lay_out(('esp', 'esp', 64 * MIB), ('root', 'linux', os.path.getsize(volume)))
    with open(path, 'wb') as f:
        f.truncate(disk.disk_size(parts))
    content = {'EFI/keyholt/recovery.efi': APP, 'EFI/next/next.efi': NEXT_STAGE,
               'EFI/next/leaves.efi': LEAVES, 'EFI/next/launch.efi': LAUNCH, **(files or {})}
    if org is not None:
        content['EFI/keyholt/org.json'] = org if isinstance(org, bytes) else json.dumps(org).encode()
    if removable:
        content['EFI/BOOT/BOOTX64.EFI'] = removable
    disk.write_gpt(path, parts)
    disk.make_fat(path, parts[0].size, content, offset=parts[0].start)
    with open(volume, 'rb') as source, open(path, 'r+b') as target:
        target.seek(parts[1].start)
        shutil.copyfileobj(source, target)
    return parts


def make_vars(path, parts, *, next_stage=True, leaves=False, launch=False, reason=None, stale_share=False, event=None,
              entries=None, vars_from=EMPTY_VARS):
    """Firmware variables with our entry first, as if BootNext had chosen it. entries: other ones, {name: file}, or
    {name: (file, options)}."""
    shutil.copyfile(vars_from, path)
    app = '\\EFI\\next\\launch.efi' if launch else '\\EFI\\keyholt\\recovery.efi'
    options = [efivars.load_option('Keyholt recovery', 1, parts[0], app)]
    if entries:
        pairs = [(name, *(of if isinstance(of, tuple) else (of, ''))) for name, of in entries.items()]
        options = [efivars.load_option(name, 1, parts[0], file) + (given + '\0').encode('utf-16le') * bool(given)
                   for name, file, given in pairs]
        next_stage = False
    if leaves:
        options.append(efivars.load_option('Leaves', 1, parts[0], '\\EFI\\next\\leaves.efi'))
    if next_stage:
        options.append(efivars.load_option('Next stage', 1, parts[0], '\\EFI\\next\\next.efi'))
    made = efivars.boot_entries(options)
    if launch:  # not what comes next once more
        made[-1] = efivars.Variable('BootOrder', efivars.GLOBAL, made[-1].data[2:])
        made.append(efivars.Variable('BootNext', efivars.GLOBAL, b'\0\0'))
    for old in efivars.read(path):  # those that a file with keys brings along
        if old.guid == efivars.GLOBAL and old.name.startswith('Boot'):
            efivars.remove(path, old.name)
    if reason:
        made.append(efivars.Variable('KeyholtReason', OURS, b'KHQ\x01' + bytes([reason, 0, 0, 0])
                                     + struct.pack('<Q', int(time.time()))))
    if stale_share:
        made.append(efivars.Variable('KeyholtShare', OURS, b'KHS\x01\x02' + os.urandom(67)))
    if event:
        made.append(efivars.Variable('KeyholtEvent', OURS, event))
    efivars.append(path, made)
    return path


def screen(width, height):
    """The QEMU options of a screen that starts in this mode."""
    return ['-device', f'VGA,vgamem_mb=64,xres={width},yres={height}']


def read_qr(png):
    done = subprocess.run(['zbarimg', '-q', '--raw', '-Sdisable', '-Sqrcode.enable', png], capture_output=True,
                          text=True, timeout=180)
    return done.stdout.strip()


__all__ = ['Drive', 'Laptop']
