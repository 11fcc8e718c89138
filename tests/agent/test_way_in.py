#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether somebody who is locked out gets to the recovery app: the ways that the keeper makes on the EFI system
partition, the app that a new one replaces, and Secure Boot's verdict on the real app signed by sbsign.

usage: tests/agent/test_way_in.py     Needs build/libexec/keeper, build/bin/keyholt-recovery.efi, sbsign, openssl."""
import hashlib
import os
import shutil
import struct
import sys
import uuid

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from fake_sys import FakeSys
from machine import KEEPER, PASSPHRASE, TOP, Checks, Machine, Organisation, fast_folder, sh
from play_courier import enrolled
from test_doctor import doctor, make_well, put, says

APP = f'{TOP}/build/bin/keyholt-recovery.efi'
EFIVARS = '/sys/firmware/efi/efivars/'
GLOBAL, SECURITY = '8be4df61-93ca-11d2-aa0d-00e098032b8c', 'd719b2cb-3d3a-4596-a3bc-dad00e67656f'
SHIM, OURS = '605dab50-e046-4300-abb6-3dd810dd8b23', '6d2f1c8e-4b7a-4e0d-9b53-2a8e5f90c7d1'
X509 = 'a5c059a1-94e4-4aa7-87b5-ab155c2bf072'
SHA256 = 'c1c41626-504c-4092-aca9-41f936934328'
TBS_SHA256 = '3bd2a492-96c0-4079-b420-fcf98ef103ed'
PACKAGE, ESP = '/usr/lib/keyholt/recovery.efi', '/boot/efi'


def read(path):
    with open(path, 'rb') as f:
        return f.read()


def signature_list(kind, *entries):
    body = b''.join(bytes(16) + e for e in entries)
    return uuid.UUID(kind).bytes_le + struct.pack('<III', 28 + len(body), 0, 16 + len(entries[0])) + body


class Signer:
    """A key with its certificate (DER), of its own or by a CA."""

    def __init__(self, folder, name, by=None, days=30):
        self.key, self.pem, der = (f'{folder}/{name}.{x}' for x in ('key', 'pem', 'der'))
        issuer = ['-CA', by.pem, '-CAkey', by.key] if by else []
        extensions = ['-addext', 'basicConstraints=critical,CA:' + ('FALSE' if by else 'TRUE')]
        sh('openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', self.key, '-out', self.pem,
           '-subj', f'/CN={name}', '-days', str(days), *issuer, *extensions)
        sh('openssl', 'x509', '-in', self.pem, '-outform', 'DER', '-out', der)
        self.der = read(der)

    def sign(self, image, out):
        sh('sbsign', '--key', self.key, '--cert', self.pem, '--output', out, image)
        return out

    def tbs_sha256(self):
        """Of the certificate's first member, header included."""
        def head(at):
            n = self.der[at + 1]
            return (at + 2, n) if n < 128 else (at + 2 + (n & 127), int.from_bytes(self.der[at + 2:at + 2 + (n & 127)], 'big'))
        start, _ = head(0)
        body, n = head(start)
        return hashlib.sha256(self.der[start:body + n]).digest()


def image_sha256(path):
    """As the firmware counts it: all but checksum, the table's address, and the table."""
    image = read(path)
    optional = struct.unpack_from('<I', image, 0x3c)[0] + 24
    table, size = struct.unpack_from('<II', image, optional + 144)
    end = table if size else len(image)
    return hashlib.sha256(image[:optional + 64] + image[optional + 68:optional + 144] + image[optional + 152:end]).digest()


def set_variables(m, **lists):
    """Secure Boot on, with these lists: None takes one away."""
    put(m.path(f'{EFIVARS}SecureBoot-{GLOBAL}'), b'\6\0\0\0\1')
    for name, guid in (('db', SECURITY), ('dbx', SECURITY), ('MokListRT', SHIM), ('MokListXRT', SHIM)):
        path = m.path(f'{EFIVARS}{name}-{guid}')
        if lists.get(name) is not None:
            put(path, b'\7\0\0\0' + lists[name])
        elif os.path.exists(path):
            os.unlink(path)


def verdict(m, app, **lists):
    set_variables(m, **lists)
    shutil.copyfile(app, m.path(PACKAGE))
    return m.json('status')[1]['boot']['secure_boot']


def test_secure_boot(c, m, folder):
    ca = Signer(folder, 'ca')
    signer, other = Signer(folder, 'signer', by=ca), Signer(folder, 'other')
    signed = signer.sign(APP, folder + '/signed.efi')
    twice = other.sign(signed, folder + '/twice.efi')
    broken = folder + '/broken.efi'
    image = bytearray(read(signed))
    image[0x1100] ^= 1
    put(broken, bytes(image))
    certificate = {s: signature_list(X509, s.der) for s in (ca, signer, other)}
    digest = {p: signature_list(SHA256, bytes(32), image_sha256(p)) for p in (APP, signed)}
    tbs = signature_list(TBS_SHA256, signer.tbs_sha256() + bytes(16))
    unknown_kind = signature_list('26dc4851-195f-4ae1-9a19-fbf883bbb35e', b'?' * 40)
    rows = (
        ('no signature', APP, {'db': certificate[signer]}, 'unsigned'),
        ('the certificate is in db', signed, {'db': certificate[signer]}, 'trusted'),
        ('its issuer is in db', signed, {'db': unknown_kind + certificate[other] + certificate[ca]}, 'trusted'),
        ('the image itself is in db', APP, {'db': digest[APP]}, 'trusted'),
        ('another is in db', signed, {'db': certificate[other]}, 'unknown-signer'),
        ('nothing is in db', signed, {}, 'unknown-signer'),
        ('the second of two signatures', twice, {'db': certificate[other]}, 'trusted'),
        ('a key of the owner', signed, {'db': certificate[other], 'MokListRT': certificate[signer]}, 'trusted-by-shim'),
        ('both', signed, {'db': certificate[signer], 'MokListRT': certificate[signer]}, 'trusted'),
        ('in db and dbx', signed, {'db': certificate[ca], 'dbx': certificate[signer]}, 'revoked'),
        ('the issuer in dbx', signed, {'db': certificate[signer], 'dbx': certificate[ca]}, 'revoked'),
        ('the image in dbx', signed, {'db': certificate[signer], 'dbx': digest[signed]}, 'revoked'),
        ('the hash of the certificate in dbx', signed, {'db': certificate[signer], 'dbx': tbs}, 'revoked'),
        ('another in dbx', signed, {'db': certificate[signer], 'dbx': certificate[other]}, 'trusted'),
        ('in MOK and its dbx', signed, {'MokListRT': certificate[signer], 'MokListXRT': certificate[signer]}, 'revoked'),
        ('changed after it was signed', broken, {'db': certificate[signer]}, 'damaged'),
        ('db cut', signed, {'db': certificate[signer][:-1]}, 'unknown'),
        ('dbx cut', signed, {'db': certificate[signer], 'dbx': certificate[other][:40]}, 'unknown'),
    )
    for what, app, lists, want in rows:
        got = verdict(m, app, **lists)
        c.check(got == want, f'Secure Boot, {what}: {want}', got)
    put(folder + '/text.efi', b'MZ this is no program')
    c.check(verdict(m, folder + '/text.efi', db=certificate[signer]) == 'damaged', 'Secure Boot, no program at all')
    put(m.path(f'{EFIVARS}SecureBoot-{GLOBAL}'), b'\6\0\0\0\0')
    c.check(m.json('status')[1]['boot']['secure_boot'] == 'off', 'Secure Boot, switched off')
    return signed, certificate[signer]


def test_sentences(c, m, signed, db):
    """What protect, status and doctor say of a way that is closed."""
    set_variables(m, db=db)
    shutil.copyfile(APP, m.path(PACKAGE))
    shutil.copyfile(APP, m.path(ESP + '/EFI/keyholt/recovery.efi'))
    code, out, _ = m.agent('status')
    c.check('no way in: Secure Boot is on and the recovery app is not signed' in ' '.join(out.split()), 'status says it', out)
    code, found = doctor(m)
    c.check(code == 3 and says(found, 'Secure Boot', 'bad', 'not signed'), 'doctor says it', found.get('Secure Boot'))
    code, out, err = m.agent('rotate', m.path('/dev/sda'), '--passphrase-file', '-', data=PASSPHRASE)
    c.check(code in (0, 4) and 'Secure Boot is on' in out + err, 'rotate warns', out + err)
    shutil.copyfile(signed, m.path(PACKAGE))
    shutil.copyfile(signed, m.path(ESP + '/EFI/keyholt/recovery.efi'))
    boot = m.json('status')[1]['boot']
    c.check(boot['recoverable'] and boot['not_recoverable'] is None, 'signed, it is a way in', boot)
    os.unlink(m.path(f'{EFIVARS}SecureBoot-{GLOBAL}'))


def restart(m, app, started=None):
    """The keeper anew, with this app in the package; started: the one that says that it ran in this boot."""
    put(m.path(PACKAGE), app)
    variable = m.path(f'{EFIVARS}KeyholtApp-{OURS}')
    if started:
        put(variable, b'\6\0\0\0' + hashlib.sha256(started).digest())
    elif os.path.exists(variable):
        os.unlink(variable)
    m.stop()
    m.start()
    m.json('status')  # answered when the start is over
    return {n: os.path.exists(p) and read(p) for n, p in
            (('app', m.path(ESP + '/EFI/keyholt/recovery.efi')), ('previous', m.path(ESP + '/EFI/keyholt/recovery-previous.efi')),
             ('fallback', m.path(ESP + '/EFI/BOOT/BOOTX64.EFI')), ('menu', m.path(ESP + '/loader/entries/~keyholt-recovery.conf')),
             ('menu of previous', m.path(ESP + '/loader/entries/~keyholt-recovery-previous.conf')))}


def test_update(c, m):
    one, two, three = (b'MZ ,keyholt-recovery, build %d' % n for n in (1, 2, 3))
    for old in ('keyholt', 'BOOT'):
        shutil.rmtree(m.path(f'{ESP}/EFI/{old}'), ignore_errors=True)
    is_there = restart(m, one)
    c.check(is_there['app'] == one and not is_there['previous'], 'the first app', is_there)
    c.check(is_there['fallback'] == one, 'where firmware looks when it knows no entry', is_there)
    c.check(not is_there['menu'], 'no menu without systemd-boot')
    os.makedirs(m.path(ESP + '/loader/entries'))
    is_there = restart(m, one)
    c.check(is_there['menu'] == b'title Keyholt recovery\nefi /EFI/keyholt/recovery.efi\n', 'an entry in its menu', is_there)
    boot = m.json('status')[1]['boot']
    c.check(boot['menu_entry'] is True, 'status knows it', boot)
    is_there = restart(m, two)
    c.check(is_there['app'] == two and is_there['previous'] == one, 'a new app; the one before is kept', is_there)
    c.check(b'recovery-previous.efi' in is_there['menu of previous'], 'and has an entry', is_there)
    c.check(is_there['fallback'] == two, 'the fallback follows', is_there)
    is_there = restart(m, three)
    c.check(is_there['app'] == three and is_there['previous'] == one, 'one that never started is not what is kept', is_there)
    is_there = restart(m, three, started=one)
    c.check(is_there['previous'] == one, 'that the one before was started says nothing of the new one', is_there)
    is_there = restart(m, three, started=three)
    c.check(is_there['app'] == three and not is_there['previous'] and not is_there['menu of previous'],
            'the new one has started: the one before goes', is_there)
    is_there = restart(m, two, started=three)
    c.check(is_there['app'] == two and is_there['previous'] == three, 'one that has started is kept', is_there)
    put(m.path(ESP + '/EFI/BOOT/BOOTX64.EFI'), b'MZ of another system')
    is_there = restart(m, one)
    c.check(is_there['fallback'] == b'MZ of another system', "another system's fallback is left alone", is_there)
    names = sorted(os.listdir(m.path(ESP + '/loader/entries')) + ['debian.conf'])
    c.check(names[0] == 'debian.conf', 'the entries sort behind a system', names)


def test_next(c, m):
    """The next start is the app's, when somebody asks for it."""
    boot_next = m.path(f'{EFIVARS}BootNext-{GLOBAL}')
    reason = m.path(f'{EFIVARS}KeyholtReason-{OURS}')
    code, o, err = m.json('recovery')
    c.check(code == 3 and 'no boot entry' in err and not os.path.exists(boot_next), 'no entry, no next start', err)
    path = '\\EFI\\keyholt\\recovery.efi'.encode('utf-16-le') + b'\0\0'
    path = b'\4\4' + struct.pack('<H', 4 + len(path)) + path + b'\x7f\xff\4\0'
    put(m.path(f'{EFIVARS}Boot0009-{GLOBAL}'),
        b'\7\0\0\0' + struct.pack('<IH', 1, len(path)) + 'Keyholt recovery'.encode('utf-16-le') + b'\0\0' + path)
    for option, want in (((), 4), (('--for-help-desk',), 5)):
        code, o, err = m.json('recovery', *option)
        c.check(code == 0 and o['entry'] == 9 and read(boot_next) == b'\7\0\0\0\x09\0' and read(reason)[8] == want,
                f'recovery {option}', (code, o, err))


def main():
    missing = [p for p in (KEEPER, APP) if not os.path.exists(p)] + [p for p in ('sbsign',) if not shutil.which(p)]
    if missing:
        print(f'{missing} is not there: make, ./run')
        return 1
    c = Checks(fast_folder())
    org = Organisation(c.folder + '/org')
    m = Machine(c.folder + '/root')
    make_well(m, FakeSys(m.root), c.folder)
    try:
        c.check(b',keyholt-recovery,' in read(APP), 'the app holds the mark by which the fallback is known as ours')
        m.start()
        courier = enrolled(m, org, c.folder, org.bundle(c.folder + '/bundle'))
        code, _, err = m.agent('protect', m.path('/dev/sda'), '--passphrase-file', '-', data=PASSPHRASE)
        c.check(code in (0, 4), 'protect', err)
        signed, db = test_secure_boot(c, m, c.folder)
        test_sentences(c, m, signed, db)
        test_update(c, m)
        test_next(c, m)
        courier.s.close()
    finally:
        m.stop()
    return c.close()


if __name__ == '__main__':
    sys.exit(main())
