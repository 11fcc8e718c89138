#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Power cuts of the whole laptop (outage line O10): QEMU is killed at a random moment of protect and rotate, on its
encrypted root (with the agent's cache in it) and on further disks. After each cut, with the laptop off, every volume
is judged by what can be read with it locked; then the laptop boots again and must have settled. Run by check-long only,
with twenty cuts; by hand, without KEYHOLT_LONG, three. Needs root.

    test_power_cuts.py [SEED]     the seed of a run is printed; it repeats the moments, not what was going on then

The disks are opened without the host's page cache, and the guest sees a write cache that it must flush; of the root's
qcow2 file, blocks that were new and not flushed are lost with QEMU. (Every subset of unsynced writes is lost in
tests/agent/test_crash.py.)
"""
import collections
import json
import os
import random
import shutil
import sys
import time
import types

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
from tests.laptop import image, lab
from tests.laptop.lab import TOP, Checks, agent, luks_disk, not_ours
from tests.laptop.laptop import Drive
from machine import OURS, Organisation, opens
from crash_judge import locked_view

WORK = os.path.join(TOP, 'build/laptop/power-cuts')
CUTS = 20 if lab.LONG else 3
LONGEST = 16  # seconds that the work goes on at most; one protect or rotate takes about three here
ROOT, KEPT = '/dev/vda2', '/dev/vdb'  # rotated in every boot
SPARE = (('/dev/vdc', '/dev/vdd'), ('/dev/vde', '/dev/vdf'))  # every other boot new volumes, to be protected
DISKS = (KEPT, *SPARE[0], *SPARE[1])
# everything on one line each; a login prompt in between would tear them
LOOP = """until keyholt-agent status --json >/run/status; do sleep 0.5; done
for d in %s; do cryptsetup luksDump --dump-json-metadata $d | tr -d '\\n\\t' >/run/header
echo "@@header $d $(cat /run/header)"; done
echo "@@settled $(cat /run/status)"
work() { echo "@@begin $1 $2"; code=0; o=$(keyholt-agent $1 $2 $3 --json 2>/run/said) || code=$?
echo "@@did $1 $2 $code $o $(tr '\\n' ' ' </run/said)"; }
set -- $(tr , ' ' </sys/class/dmi/id/product_serial)
work protect $1 "--passphrase-file /root/pass"; work rotate %s; work protect $2 "--passphrase-file /root/pass"
while :; do for d in %s; do work rotate $d; done; done
""" % (' '.join((ROOT, *DISKS)), ROOT, ' '.join((KEPT, ROOT, *SPARE[0], *SPARE[1])))
UNIT = """[Unit]
Description=Protects and rotates until the plug is pulled
After=keyholt-keeper.service
Wants=keyholt-keeper.service
[Service]
ExecStart=/bin/sh /root/loop
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
[Install]
WantedBy=multi-user.target
"""
c = Checks()
org = None


def path(device):
    return f'{WORK}/{device[5:]}.img'


class Volume:
    """What is known of one volume from before the cut."""

    def __init__(self, device):
        self.device, self.had_key = device, False
        self.foreign = None

    def renew(self):
        """A plain LUKS2 volume, as luksFormat leaves it."""
        luks_disk(path(self.device), 24)
        self.had_key, self.foreign = False, not_ours(lab.header_json(path(self.device)))


def locked_file(made, device):
    """Where the bytes of this volume are, with the laptop off."""
    if device == ROOT:
        return lab.header_copy(made, WORK + '/machine/disk.qcow2', WORK + '/root.header')
    return path(device)


def judge_cut(made, v, acknowledged):
    """What is wrong with this volume after a cut, and which states its keys are in. acknowledged: the key that the last
    command that was answered said is in use."""
    where = locked_file(made, v.device)
    j = lab.judge(where, org.key('desk'), org.id)
    scene = types.SimpleNamespace(org=org, foreign_slots=set(v.foreign[0]), keys_before=v.had_key or acknowledged,
                                  before={'keyslots': v.foreign[0]}, foreign_tokens=list(v.foreign[1].values()))
    wrong = locked_view(scene, where, j)
    keys = {t['key_id']: t for t in j['tokens']}
    if acknowledged and keys.get(acknowledged, {'opens': -1})['opens'] < 0 and not v.unanswered:
        wrong.append(f'key {acknowledged} was answered for, and is not there')
    if not opens(where, lab.PASSPHRASE.encode()):
        wrong.append('the user\'s passphrase does not open it')
    v.had_key = v.had_key or any(t['opens'] >= 0 and t['state'] == 'live' for t in j['tokens'])
    states = sorted(t['state'] + ('' if t['opens'] >= 0 else ', not open yet') for t in j['tokens'])
    n_management = len([t for t in lab.header_json(where)['tokens'].values() if t['type'] == OURS[1]])
    return [f'{v.device}: {w}' for w in wrong], (tuple(states), n_management)


def judge_settled(v, header, told):
    """What is wrong with a volume after the boot that follows a cut: nothing half done may be left."""
    wrong, tokens = [], list(header['tokens'].values())
    ours = [t for t in tokens if t['type'] == OURS[0]]
    managements = [t for t in tokens if t['type'] == OURS[1]]
    slots = {s for t in ours + managements for s in t['keyslots']}
    if not_ours(header) != v.foreign or set(header['keyslots']) != set(v.foreign[0]) | slots:
        wrong.append(f'keyslots {sorted(header["keyslots"])}, tokens {tokens}')
    if any(t['state'] != 'live' or len(t['keyslots']) != 1 for t in ours + managements):
        wrong.append(f'left over: {ours + managements}')
    if len(ours) > 1 or (v.had_key and len(ours) != 1) or len(managements) > 1:
        wrong.append(f'{len(ours)} keys and {len(managements)} management keys')
    if ours and (told.get('state') != 'protected' and managements or not told.get('verified')
                 or told.get('key_id') != ours[0]['key_id']):
        wrong.append(f'status says {told}')
    return [f'{v.device}: {w}' for w in wrong]


def told_lines(laptop):
    """What the loop has printed so far: (word, rest) of each whole line."""
    lines = laptop.console.text.split('\n')[:-1]
    return [line[line.index('@@') + 2:].split(' ', 1) for line in lines if line.startswith('@@')]


def answers(laptop, volumes):
    """{device: key that the last answer of a command named}; which volume was being worked on."""
    keys, busy = {}, None
    for v in volumes:
        v.unanswered = False
    by_name = {v.device: v for v in volumes}
    for word, rest in told_lines(laptop):
        parts = rest.split(' ')
        if word == 'begin':
            busy = parts
            by_name[parts[1]].unanswered = True
        elif word == 'did':
            assert parts[2] == '0', f'{word} {rest}'
            keys[parts[1]] = json.JSONDecoder().raw_decode(rest[rest.index('{'):])[0]['key_id']
            by_name[parts[1]].unanswered, busy = False, None
    return keys, busy


def prepare(made, laptop):
    """The first boot: enrolled without a server, root and one more disk protected, the loop installed."""
    global org
    lab.boot(laptop)
    org = Organisation(WORK + '/org')
    lab.put_bundle(laptop, org.bundle(WORK + '/bundle'))
    code, o = agent(laptop, 'enroll --bundle /root/bundle')
    assert code == 4, (code, o)
    laptop.put('/root/pass', lab.PASSPHRASE.encode())
    foreign = not_ours(lab.header(laptop))
    code, o = agent(laptop, f'protect {ROOT} {KEPT} --passphrase-file /root/pass', 300)
    assert code == 0, (code, o)
    laptop.put('/root/loop', LOOP.encode())
    laptop.put('/etc/systemd/system/loop.service', UNIT.encode())
    laptop.run('systemctl enable loop; systemctl mask serial-getty@ttyS0; sync')
    lab.power_off(laptop)
    return foreign


def one_cut(made, laptop, volumes, n, moments):
    """Boot, look whether all has settled, let it work, pull the plug; what is wrong, and what was cut."""
    fresh = SPARE[n % 2]
    for v in volumes:
        if v.device in fresh:
            v.renew()
    laptop.extra = ['-smbios', f'type=1,serial={fresh[0]},{fresh[1]}'.replace(',/', ',,/')]
    laptop.power_on()
    laptop.wait_serial(r'Please unlock disk root:', 240)
    laptop.type_serial(lab.PASSPHRASE + '\n')
    laptop.wait_serial(r'@@settled .*\n', 240)
    lines = told_lines(laptop)
    headers = {rest.split(' ', 1)[0]: json.loads(rest.split(' ', 1)[1]) for word, rest in lines if word == 'header'}
    told = {o['device']: o for word, rest in lines if word == 'settled' for o in json.loads(rest)['volumes']
            if o['present']}  # the cache remembers volumes that were renewed
    wrong = [w for v in volumes for w in judge_settled(v, headers[v.device], told.get(v.device, {}))]
    if n == CUTS:
        laptop.power_cut()
        return wrong, None, None
    time.sleep(moments.uniform(0, LONGEST))
    text = laptop.console
    laptop.power_cut()
    laptop.console = text
    keys, busy = answers(laptop, volumes)
    states = {}
    for v in volumes:
        bad, states[v.device] = judge_cut(made, v, keys.get(v.device))
        wrong += bad
    return wrong, busy, states


def machine():
    seed = int(sys.argv[1]) if sys.argv[1:] else random.SystemRandom().randrange(1 << 32)
    print(f'  seed {seed}', flush=True)
    moments, seen, during = random.Random(seed), set(), collections.Counter()
    made = lab.build()
    shutil.rmtree(WORK, ignore_errors=True)
    os.makedirs(WORK)
    volumes = [Volume(d) for d in (ROOT, *DISKS)]
    for v in volumes[1:]:
        v.renew()
    drives = [Drive(path(d), 'raw', cache='none') for d in DISKS]
    with image.make_laptop(made, WORK + '/machine', drives=drives) as laptop:
        laptop.drives[0].cache = 'none'
        with c.check('enrolled without a server, protected, switched off'):
            volumes[0].foreign = prepare(made, laptop)
            volumes[0].had_key = volumes[1].had_key = True
        for n in range(CUTS + 1):
            what = f'cut {n + 1} of {CUTS}' if n < CUTS else 'the last boot has settled, too'
            with c.check(what):
                wrong, busy, states = one_cut(made, laptop, volumes, n, moments)
                if busy:
                    during[busy[0]] += 1
                    seen.add((busy[0], states[busy[1]]))
                    print(f'  in the middle of {busy[0]} {busy[1]}: {states[busy[1]]}', flush=True)
                assert not wrong, wrong
    print(f'  {CUTS} cuts: {dict(during)} in the middle; {len(seen)} different states of the volume that was changed')


if __name__ == '__main__':
    sys.exit(c.run(machine))
