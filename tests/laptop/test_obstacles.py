#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""One boot of the virtual laptop, no server anywhere: other people's tokens (clevis and systemd-tpm2, with the laptop's
own TPM) are the way in and stay as they are, byte for byte; and what stands in the way of protect and rotate: a full
metadata area, 32 keyslots, another writer of the header, a read-only EFI partition, a full disk. Needs root.

The volumes' headers are read on the host from the disks' files, after the laptop synced them."""
import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import uuid

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
from tests.laptop import image, lab
from tests.laptop.lab import TOP, Checks, agent, luks_disk, not_ours, opens, status
from tests.laptop.laptop import Drive
from machine import FAST, Organisation

WORK = os.path.join(TOP, 'build/laptop/obstacles')
NAMES = ('clevis', 'systemd', 'full', 'slots', 'rival', 'esp', 'nospace')
DEVICE = {name: f'/dev/vd{chr(ord("b") + n)}' for n, name in enumerate(NAMES)}
c = Checks()
org = None


def path(name):
    return f'{WORK}/{name}.img'


def cryptsetup(*words, data=lab.PASSPHRASE.encode()):
    return subprocess.run(['cryptsetup', *words], input=data, capture_output=True).returncode == 0


def make_disks():
    """Plain LUKS2 volumes, but for one whose metadata area and one whose keyslots others have filled."""
    for name in NAMES:
        luks_disk(path(name), 24, *(('--luks2-metadata-size', '64k') if name == 'slots' else ()))
    filler = json.dumps({'type': 'somebody-else', 'keyslots': [], 'blob': 'A' * 1500}).encode()
    while cryptsetup('token', 'import', path('full'), data=filler):
        pass
    with open(WORK + '/key', 'wb') as f:
        f.write(b'another')
    while cryptsetup('luksAddKey', *FAST, '-d', '-', path('slots'), WORK + '/key'):
        pass


def look(laptop, name):
    """The header in the disk's file, once the laptop has written what it has."""
    laptop.run('sync')
    return lab.header_json(path(name))


def digest(laptop, name):
    laptop.run('sync')
    with open(path(name), 'rb') as f:
        return hashlib.sha256(f.read(lab.HEADER)).hexdigest()


def foreign(laptop, name):
    """Others' keyslots and tokens, and the bytes of their key material."""
    slots, tokens = not_ours(look(laptop, name))
    areas = {}
    with open(path(name), 'rb') as f:
        for n, s in slots.items():
            f.seek(int(s['area']['offset']))
            areas[n] = hashlib.sha256(f.read(int(s['area']['size']))).hexdigest()
    return slots, tokens, areas


def escrowed(laptop, name):
    """The one recovery key that an envelope in the header yields, proved to open; its password."""
    laptop.run('sync')
    keys = lab.judge(path(name), org.key('desk'), org.id)['tokens']
    assert len(keys) == 1 and keys[0]['state'] == 'live' and keys[0]['opens'] == keys[0]['slot'] >= 0, keys
    return keys[0]['password']


@contextlib.contextmanager
def stays(laptop, name):
    """What others made is the same afterwards, byte for byte."""
    before = foreign(laptop, name)
    yield
    assert foreign(laptop, name) == before, (before, foreign(laptop, name))


def enroll(laptop):
    global org
    shutil.rmtree(WORK + '/org', ignore_errors=True)
    org = Organisation(WORK + '/org')
    lab.put_bundle(laptop, org.bundle(WORK + '/bundle'))
    code, o = agent(laptop, 'enroll --bundle /root/bundle')
    assert code == 4, (code, o)  # no server: queued


# ---- tokens of others

def bind_clevis(laptop):
    laptop.run(f"clevis luks bind -y -k /root/pass -d {DEVICE['clevis']} tpm2 '{{}}'", 300)
    return f"clevis luks pass -d {DEVICE['clevis']} -s 1 | cryptsetup open --test-passphrase -S 1 -d - {DEVICE['clevis']}"


def bind_systemd(laptop):
    laptop.run(f'PASSWORD="$(cat /root/pass)" systemd-cryptenroll --tpm2-device=auto --tpm2-pcrs=7 {DEVICE["systemd"]}', 300)
    return f'cryptsetup open --test-passphrase --token-only --token-type systemd-tpm2 {DEVICE["systemd"]}'


def by_token(laptop, name, bind, kind):
    device, still = DEVICE[name], None
    with c.check(f'{name}: a token with the laptop\'s TPM'):
        still = bind(laptop)
        laptop.run(still, 120)
        tokens = look(laptop, name)['tokens']
        assert [t['type'] for t in tokens.values()] == [kind], tokens
    with c.check(f'{name}: protect by that token, no passphrase'), stays(laptop, name):
        code, o = agent(laptop, f'protect {device}')
        assert code == 0, o
        first = escrowed(laptop, name)
    with c.check(f'{name}: rotate by the management key'), stays(laptop, name):
        code, o = agent(laptop, f'rotate {device}')
        assert code == 0, o
        second = escrowed(laptop, name)
        assert second != first and not opens(laptop, first, device)
    with c.check(f'{name}: rotate by that token when it is named'), stays(laptop, name):
        number = next(iter(not_ours(look(laptop, name))[1]))
        code, o = agent(laptop, f'rotate --existing-token {number} {device}')
        assert code == 0, o
        assert escrowed(laptop, name) != second
    with c.check(f'{name}: the token still opens the volume'):
        laptop.run(still, 120)


def test_clevis(laptop):
    if lab.LONG:
        by_token(laptop, 'clevis', bind_clevis, 'clevis')
    else:
        c.skip('a clevis token', 'it takes a minute and a half on an emulated processor: make check-long')


def test_systemd(laptop):
    by_token(laptop, 'systemd', bind_systemd, 'systemd-tpm2')


# ---- obstacles

def refused(laptop, name, sentence):
    with c.check(f'{name}: protect says "{sentence}", and nothing is changed'):
        before = digest(laptop, name)
        code, o = agent(laptop, f'protect {DEVICE[name]} --passphrase-file /root/pass')
        assert code in (1, 3) and sentence in o['said'], (code, o)
        assert digest(laptop, name) == before


def test_full_area(laptop):
    refused(laptop, 'full', 'metadata area is full')


def test_all_slots(laptop):
    refused(laptop, 'slots', 'no free keyslot')
    with c.check('slots: one keyslot freed is enough'):
        laptop.run(f"cryptsetup luksKillSlot -q {DEVICE['slots']} 17 && cryptsetup luksDump {DEVICE['slots']} >/dev/null")
        code, o = agent(laptop, f"protect {DEVICE['slots']} --passphrase-file /root/pass")
        assert code == 0 and o['slot'] == 17, (code, o)
        escrowed(laptop, 'slots')


RIVAL = """n=0; while [ ! -e /run/enough ]; do
echo '{"type":"rival","keyslots":["0"],"n":'$n'}' | cryptsetup token import --token-id 9 --token-replace $1 || continue
n=$((n + 1)); echo $n >/run/rival; done
"""


def test_rival(laptop):
    """Another program writes the same header all the time; so do three of our own commands."""
    device = DEVICE['rival']
    with c.check('rival: protect and rotate beside another writer of the header'):
        laptop.put('/root/rival', RIVAL.encode())
        laptop.run(f'rm -f /run/enough; (sh /root/rival {device} >/dev/null 2>&1 &); sleep 1')
        code, o = agent(laptop, f'protect {device} --passphrase-file /root/pass', 300)
        assert code == 0, (code, o)
        for _ in range(3):
            code, o = agent(laptop, f'rotate {device}', 300)
            assert code == 0, (code, o)
    with c.check('rival: both wrote, and neither lost anything'):
        laptop.run('touch /run/enough; while pgrep -f /root/rival >/dev/null; do sleep 0.2; done', 120)
        n = int(laptop.run('cat /run/rival'))
        tokens = lab.of_type(look(laptop, 'rival'), 'rival')
        assert n > 2 and tokens == [{'type': 'rival', 'keyslots': ['0'], 'n': n - 1}], (n, tokens)
        escrowed(laptop, 'rival')
        print(f'  the other one wrote {n} times', flush=True)
    with c.check('rival: two commands at once both rotate'):
        laptop.run(f'keyholt-agent rotate {device} & keyholt-agent rotate {device} && wait $!', 300)
        escrowed(laptop, 'rival')


def test_read_only_esp(laptop):
    device = DEVICE['esp']
    with c.check('read-only EFI partition: protected all the same, with a sentence'):
        laptop.run('mount -o remount,ro /boot/efi')
        code, o = agent(laptop, f'protect {device} --passphrase-file /root/pass')
        assert code == 0 and re.search('[Rr]ead-only|cannot be written', o['said']), (code, o)
        escrowed(laptop, 'esp')
    with c.check('read-only EFI partition: rotate, too'):
        code, o = agent(laptop, f'rotate {device}')
        assert code == 0, (code, o)
        escrowed(laptop, 'esp')
        key = next(v for v in status(laptop)['volumes'] if v['device'] == device)['key_id']
    with c.check('writable again: the keeper\'s next start brings it up to date'):
        volume = laptop.run(f'cryptsetup luksUUID {device}').strip()
        laptop.run('mount -o remount,rw /boot/efi')
        lab.restart_keeper(laptop)
        data = laptop.get(f'/boot/efi/EFI/keyholt/volumes/{volume}.env')
        assert uuid.UUID(key).bytes_le in data, (key, data[:64])


def test_full_disk(laptop):
    """The disk that the cache lies on is full."""
    device = DEVICE['nospace']
    with c.check('full disk: protect says so, and nothing is changed'):
        before = digest(laptop, 'nospace')
        lab.restart_keeper(laptop, 'fallocate -l $(($(stat -f -c "%a * %S" /) - 1048576)) /var/fill; '
                           'for size in 4k 1k; do dd if=/dev/zero bs=$size of=/var/fill.$size 2>/dev/null; sync; done')
        code, o = agent(laptop, f'protect {device} --passphrase-file /root/pass')
        assert code == 1 and 'full' in o['said'], (code, o, laptop.run('df /; ls -la /var/lib/keyholt/agent'))
        assert digest(laptop, 'nospace') == before
    with c.check('full disk: with room, it works'):
        laptop.run('rm -f /var/fill*; sync')
        code, o = agent(laptop, f'protect {device} --passphrase-file /root/pass')
        assert code == 0, (code, o)
        escrowed(laptop, 'nospace')


def test_no_server(laptop):
    with c.check('with no server all of it: records wait, volumes are protected'):
        o = status(laptop)
        states = {v['device']: v['state'] for v in o['volumes']}
        assert o['queued'] > 10 and o['enrolment'] == 'queued', o
        left = {'full'} if lab.LONG else {'full', 'clevis'}
        assert {n for n in NAMES if states[DEVICE[n]] != 'protected'} == left, states


def machine():
    made = lab.build()
    shutil.rmtree(WORK, ignore_errors=True)
    os.makedirs(WORK)
    make_disks()
    more = [Drive(path(name), 'raw') for name in NAMES]
    with image.make_laptop(made, WORK + '/machine', drives=more) as laptop:
        lab.boot(laptop)
        laptop.put('/root/pass', lab.PASSPHRASE.encode())
        with c.check('enrolled without a server'):
            enroll(laptop)
        for test in TESTS:
            if not sys.argv[1:] or test.__name__ in sys.argv:
                test(laptop)


TESTS = (test_clevis, test_systemd, test_full_area, test_all_slots, test_rival, test_read_only_esp, test_full_disk,
         test_no_server)

if __name__ == '__main__':
    sys.exit(c.run(machine))
