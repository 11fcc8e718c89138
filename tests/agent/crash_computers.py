# SPDX-License-Identifier: GPL-3.0-or-later
"""Power cuts at the keeper's writes: the computers that the scenes begin with."""
import os
import shutil
import types

from crash_log import ESP
from crash_scene import KEPT, copy_computer, protect, rotate
from machine import MSG_STATUS, Machine, ask, make_volume, sh
from play_courier import device_of, enrolled, receipt
from swtpm import Swtpm

FOREIGN = b'{"type":"somebody-else","keyslots":["0"],"note":"hands off"}'


def new_computer(folder, bundle):
    m = Machine(folder)
    os.makedirs(m.path('/dev'))
    os.makedirs(m.path('/sys/class/block/disk'))
    image = make_volume(m.path('/dev/disk'), '--luks2-keyslots-size', '1536k', '--offset', '4096', size='3M')
    sh('cryptsetup', 'token', 'import', '--token-id', '7', image, data=FOREIGN)
    m.install_org(bundle)
    return m


def must(answer):
    if not answer or answer[0]:
        raise RuntimeError(f'preparing: {answer}')


def then(m, folder, work):
    """A copy of this computer, and something done on it; its disk is kept aside then, as the source's is."""
    n = Machine(copy_computer(m.root, folder))
    os.rename(n.path(KEPT), n.path('/dev/disk'))
    n.start()
    work(n)
    n.stop()
    os.rename(n.path('/dev/disk'), n.path(KEPT))
    return n


def prepare(folder, org, bundle, with_tpm=True):
    """Computers whose volume has a passphrase and a token of somebody else: plain; protected; protected and receipted;
    in an outage, with R and N; with an old header written back; plain and protected, with an EFI system partition."""
    def join(m):
        m.courier = enrolled(m, org, folder, bundle)
        must(protect(m))
        records = m.courier.batch()['records']
        m.courier.answer(receipts=[receipt(org, device_of(m), records)])
        must(ask(m, MSG_STATUS))

    def restore(m):
        with open(m.path('/dev/disk'), 'rb') as f:
            old = f.read()
        must(rotate(m))
        m.stop()
        with open(m.path('/dev/disk'), 'wb') as f:
            f.write(old)
    plain = new_computer(folder + '/plain', bundle).start()
    plain.stop()
    os.rename(plain.path('/dev/disk'), plain.path(KEPT))
    protected = then(plain, folder + '/protected', lambda m: must(protect(m)))
    receipted = then(plain, folder + '/receipted', join)
    outage = then(receipted, folder + '/outage', lambda m: must(rotate(m)))
    restored = then(protected, folder + '/restored', restore)
    away = with_tpm and shutil.which('swtpm') and bound(plain, folder)
    esp = with_esp(plain, folder)
    esp_protected = then(esp, folder + '/esp-protected', lambda m: must(protect(m, esp=True)))
    return types.SimpleNamespace(plain=plain.root, protected=protected.root, outage=outage.root, restored=restored.root,
                                 esp=esp.root, esp_protected=esp_protected.root, away=away)


def with_esp(plain, folder):
    """The plain computer with an EFI system partition and the package's app."""
    n = Machine(copy_computer(plain.root, folder + '/with-esp'))
    for path, data in ((ESP + '/EFI/debian/shimx64.efi', b'MZ'), ('/usr/lib/keyholt/recovery.efi', os.urandom(200_000))):
        os.makedirs(os.path.dirname(n.path(path)))
        with open(n.path(path), 'wb') as f:
            f.write(data)
    return n


def bound(plain, folder):
    """A protected computer with its device key and management key in a TPM, which is not there in the scene."""
    os.makedirs(folder + '/tpm')
    tpm = Swtpm(folder + '/tpm')
    n = Machine(copy_computer(plain.root, folder + '/bound'))
    n.options += ['--tpm', tpm.tcti]
    shutil.rmtree(n.path('/var/lib/keyholt/agent'))
    os.rename(n.path(KEPT), n.path('/dev/disk'))
    n.start()
    must(protect(n))
    n.stop()
    tpm.stop()
    os.rename(n.path('/dev/disk'), n.path(KEPT))
    return n.root
