#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The compliance report: made some time after start, when something changes and each day, carried by a sync, and
never longer than a record takes. The real keeper on a folder that looks like /sys; this test is the courier."""
import concurrent.futures
import json
import os
import struct
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from fake_sys import USB, FakeSys
from machine import KEEPER, PASSPHRASE, TOP, Checks, Machine, Organisation, fast_folder, make_volume, sh
from play_courier import SYNC_NOW, Courier, enrolled, receipt

BODY_MAX, REPORT = 4096, 32


def decode(record):
    """(kind, {tag: bytes}) of a record, by docs/formats.md."""
    size, = struct.unpack_from('<I', record, 104)
    body, fields = record[108:108 + size], {}
    if record[:4] != b'KHR\1' or len(record) != 108 + size + 64:
        raise ValueError('no record')
    while body:
        tag, n = struct.unpack_from('<BH', body)
        fields[tag], body = body[3:3 + n], body[3 + n:]
    return record[4], fields


def reports(batch):
    found = [(record, decode(record)) for record in batch['records']]
    return [(record, json.loads(fields[REPORT])) for record, (kind, fields) in found if kind == 2]


def settle(courier, org, m, batch):
    device = bytes(batch['device'])
    settle.time += 1
    courier.answer(receipts=[receipt(org, device, batch['records'], when=settle.time)] if batch['records'] else [])


settle.time = 1_800_000_000


def take(courier, org, m):
    """Fetch and receipt what is queued, until nothing is (so the receipts have been taken in); the reports in it."""
    got = []
    while True:
        batch = courier.batch()
        settle(courier, org, m, batch)
        if not batch['records']:
            return got
        got += reports(batch)


def called(courier, seconds):
    """Does the keeper call within that time?"""
    courier.s.settimeout(seconds)
    try:
        courier.hear(SYNC_NOW)
    except TimeoutError:
        return False
    finally:
        courier.s.settimeout(60)
    return True


def next_report(courier, org, m, seconds=120):
    """What is queued, and then what the keeper calls for, until there is a report."""
    end, got = time.monotonic() + seconds, take(courier, org, m)
    while not got and time.monotonic() < end and called(courier, end - time.monotonic()):
        got = take(courier, org, m)
    return got


def enrolled_with(m, org, folder, bundle, report_after_ms):
    """The courier of a keeper that is enrolled, and then starts anew with this: no report comes in between."""
    m.start()
    enrolled(m, org, folder, bundle).s.close()
    m.stop()
    m.options[-1] = str(report_after_ms)
    m.start()
    return Courier(m)


def check_first(c, r):
    c.check(r['format'] == 'keyholt-report' and r['agent'] and r['os'] == 'Test OS 1' and r['kernel'], 'who says it', r)
    c.check(r['tpm'] == {} and r['policy'] == 0 and r['org'] == 1 and r['left_out'] == 0, 'TPM, organisation, policy', r)
    v = {x['device']: x for x in r['volumes']}
    c.check(set(v) == {'sda1', 'sda2', 'sdb', 'sdc'} and r['compliant'] is False, 'every volume, and the verdict', r)
    c.check(list(v)[0] in ('sda2', 'sdb'), 'what is wrong comes first', list(v))
    c.check(v['sda1'] == {'device': 'sda1', 'format': 'unencrypted', 'kind': 'os', 'state': 'unencrypted', 'size': 40 << 20,
                          'uuid': v['sda1']['uuid'], 'file_system': 'ext4', 'boot': True, 'mount': '/boot', 'protectors': {}},
            'the boot partition', v['sda1'])
    c.check(v['sda2']['reasons'] == ['not-protected'] and v['sda2']['unlocked'] and v['sda2']['cipher'] == 'aes-xts-plain64' and
            v['sda2']['protectors'] == {'passphrase': 1} and 'verified' not in v['sda2'], 'a volume without a key', v['sda2'])
    c.check(v['sdb']['reasons'] == ['unencrypted'] and v['sdb']['kind'] == 'fixed', 'an unencrypted one', v['sdb'])
    c.check('mount' not in v['sdc'] and v['sdc']['kind'] == 'removable' and 'reasons' not in v['sdc'], 'a stick: where it is mounted stays private', v['sdc'])


def test_reports(c, org, folder):
    m = Machine(folder + '/root')
    s = FakeSys(m.root)
    tmp = folder + '/new.img'

    def ext4():
        sh('truncate', '-s', '40M', tmp)
        sh('mkfs.ext4', '-q', tmp)
        return tmp
    s.add('sda', size=1 << 30)
    s.add('sda1', ext4(), disk='sda', partition=1)
    s.mount('sda1', '/boot')
    s.add('sda2', make_volume(tmp), disk='sda', partition=2)
    s.mapping('dm-0', 'root', 'CRYPT-LUKS2-x-root', ['sda2'], ext4())
    s.mount('dm-0', '/')
    s.add('sdb', ext4())
    s.add('sdc', ext4(), USB)
    s.mount('sdc', '/media/alice/holiday')
    os.makedirs(m.path('/etc'), exist_ok=True)
    with open(m.path('/etc/os-release'), 'w', encoding='utf-8') as f:
        f.write('NAME=x\nPRETTY_NAME="Test OS 1"\nVERSION_ID=1\n')
    courier = enrolled_with(m, org, folder, folder + '/bundle', report_after_ms=1500)
    try:
        got = next_report(courier, org, m)
        if not c.check(len(got) == 1, 'a report some time after start', got):
            return
        start = time.monotonic()
        check_first(c, got[0][1])
        c.check(not take(courier, org, m), 'one, not two')

        code, _, err = m.agent('protect', m.path('/dev/sda2'), '--passphrase-file', '-', data=PASSPHRASE)
        c.check(code == 0, 'protect', err)
        courier.hear(SYNC_NOW)
        take(courier, org, m)
        s.add('sdd', ext4(), USB)
        # both changes are told at once, not before a minute has gone by since the last look
        got = next_report(courier, org, m, 180)
        waited = time.monotonic() - start
        c.check(len(got) == 1 and waited > 40, 'changes are reported, at most once a minute', (waited, got))
        v = {x['device']: x for x in got[0][1]['volumes']} if got else {}
        c.check(v.get('sda2', {}).get('state') == 'protected' and v['sda2'].get('verified') and v['sda2'].get('key_id') and
                'sdd' in v and v['sda2']['protectors'].get('recovery-password') == 1, 'with what is new', v.get('sda2'))
        m.stop()
        test_restart(c, org, m)
    finally:
        m.stop()


def test_restart(c, org, m):
    """What was said today is not said again, yesterday's is."""
    m.options[-1] = '500'
    m.start()
    got = next_report(Courier(m), org, m, 5)
    c.check(got == [], 'after a restart nothing new: no report', got)
    m.stop()
    m.start(LD_PRELOAD=f'{TOP}/build/tests/clock_shim.so', CLOCK_SHIFT='90000')
    got = next_report(Courier(m), org, m)
    c.check(len(got) == 1, 'a day later there is one', got)
    m.stop()


def test_many(c, org, folder):
    """More volumes than a record has room for."""
    m = Machine(folder + '/many')
    s = FakeSys(m.root)
    tmp = folder + '/many.img'
    for i in range(60):
        sh('truncate', '-s', '2M', tmp)
        sh('mkfs.ext4', '-q', '-F', tmp) if i % 2 else make_volume(tmp, '--label', f'a label of some length {i}', size='20M')
        s.add(f'sd{chr(97 + i // 26)}{chr(97 + i % 26)}', tmp)
    courier = enrolled_with(m, org, folder, folder + '/bundle', report_after_ms=500)
    try:
        got = next_report(courier, org, m)
        record, r = got[0]
        c.check(len(record) <= 108 + BODY_MAX + 64 and r['left_out'] > 0 and len(r['volumes']) + r['left_out'] == 60,
                'what finds no room is counted', (len(record), r['left_out'], len(r['volumes'])))
        c.check(len(r['volumes']) >= 12 and not r['compliant'], 'a dozen volumes fit', len(r['volumes']))
    finally:
        m.stop()


def main():
    if not os.path.exists(KEEPER):
        print(f'{KEEPER} is not built: make')
        return 1
    c = Checks(fast_folder())
    org = Organisation(c.folder + '/org')
    org.bundle(c.folder + '/bundle')
    try:
        with concurrent.futures.ThreadPoolExecutor(1) as pool:  # while the other one waits for a minute to go by
            many = pool.submit(test_many, c, org, c.folder)
            test_reports(c, org, c.folder)
            many.result()
    finally:
        code = c.close()
    return code


if __name__ == '__main__':
    sys.exit(main())
