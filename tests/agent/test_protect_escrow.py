#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keeper's half of enrolment and sync, with a courier of this test's own that tells it anything it likes: what is
signed by the organisation counts, and nothing else."""
import hashlib
import os
import struct
import subprocess
import sys
import uuid

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hand_over import decode as decode_record
from machine import KEEPER, PASSPHRASE, Checks, Machine, Organisation, fast_folder, header, make_volume, sh
from play_courier import (BATCH_WANTED, CSR, CSR_WANTED, DONE, ENROLL_DO, ENROLLED, IDLE, OFFLINE, REFUSED, SYNC_NOW,
                          UNTRUSTED, Asking, Courier, courier_certificate, courier_request, device_of, receipt,
                          rotate_order)

CERTIFICATE = b'-----BEGIN CERTIFICATE-----\nanything\n-----END CERTIFICATE-----\n'
ESCROW, EVENT = 1, 3
ROTATED, RETIRED, DRIFT, WENT_BACK = 2, 3, 5, 6


def der_signature(raw):
    def integer(b):
        b = b.lstrip(b'\0') or b'\0'
        b = b'\0' + b if b[0] & 0x80 else b
        return b'\2' + bytes([len(b)]) + b
    body = integer(raw[:32]) + integer(raw[32:])
    return b'\x30' + bytes([len(body)]) + body


def verifies(folder, spki, text, signature):
    with open(folder + '/spki.der', 'wb') as f:
        f.write(spki)
    with open(folder + '/sig', 'wb') as f:
        f.write(der_signature(signature))
    r = subprocess.run(['openssl', 'dgst', '-sha256', '-verify', folder + '/spki.der', '-keyform', 'DER', '-signature',
                        folder + '/sig'], input=text, capture_output=True)
    return r.returncode == 0


def test_enrolment(c, m, org, folder):
    courier = Courier(m)
    courier.tell(BATCH_WANTED)
    c.check(courier.hear(IDLE)[0] == IDLE, 'without an organisation there is nothing to carry')
    bundle = org.bundle(folder + '/bundle', servers=('https://one.example:443', 'https://two.example'), token=b'secret-token\n')
    request, device = courier_request(folder), device_of(m)

    def enrol(**answer):
        """One errand; what the keeper asked for on the way, and what the person is told."""
        asking = Asking(m, 'enroll', '--bundle', bundle)
        courier.hear(SYNC_NOW)
        courier.tell(BATCH_WANTED)
        wanted = courier.hear(CSR_WANTED)[1]
        courier.tell(CSR, pem=request)
        do = courier.hear(ENROLL_DO)[1]
        courier.tell(ENROLLED, **{'status': DONE, 'certificate': b'', 'problem': b'', **answer})
        return wanted, do, asking.end()
    for status, code in ((OFFLINE, 4), (UNTRUSTED, 1), (REFUSED, 3)):
        got = enrol(status=status, problem=b'this is what happened')[2]
        c.check(got[0] == code and 'this is what happened' in got[2], f'the errand ends with status {status}', got)
        c.check(m.status()['enrolment'] == 'queued', 'and stays queued')
    stranger = Organisation(folder + '/foreign')
    bad = {'no certificate': b'', 'no real certificate': CERTIFICATE,
           'another CA': courier_certificate(stranger, folder, request, device),
           'another device': courier_certificate(org, folder, request, bytes(32)),
           'another key': courier_certificate(org, folder, courier_request(folder, 'other'), device),
           'a server certificate': courier_certificate(org, folder, request, device, usage='serverAuth')}
    for what, certificate in bad.items():
        got = enrol(certificate=certificate)[2]
        c.check(got[0] == 1 and 'is not the organisation' in got[2] and m.status()['enrolment'] == 'queued' and
                os.path.exists(m.path('/var/lib/keyholt/agent/token')) and courier.hangs_up(),
                f'enrolled with {what}: not believed, the token stays', got)
        courier = Courier(m)
    real = courier_certificate(org, folder, request, device, days='-1')
    wanted, do, got = enrol(certificate=real)
    c.check(do['token'] == b'secret-token' and do['csr'] == request and
            do['servers'] == [b'https://one.example:443', b'https://two.example'], 'what goes out', do)
    c.check(hashlib.sha256(do['spki']).digest() == wanted['device'], 'the device ID is the hash of its key')
    text = b'keyholt enroll v1\0' + hashlib.sha256(b'secret-token').digest() + hashlib.sha256(request).digest() + \
        struct.pack('<Q', do['time'])
    c.check(verifies(folder, do['spki'], text, do['signature']), 'signed by the device key over token, request, time')
    c.check(got[0] == 0 and 'is enrolled' in got[1], 'enrolled, whatever the clock says', got)
    c.check(m.status()['enrolment'] == 'done' and not os.path.exists(m.path('/var/lib/keyholt/agent/token')),
            'the token is deleted after use')
    return courier


def escrow_of(m, image):
    return [v for v in m.status()['volumes'] if v['device'] == image][0]['escrow']


def flipped(data):
    return data[:-1] + bytes([data[-1] ^ 1])


def test_receipts(c, m, org, courier, folder):
    image = make_volume(folder + '/v.img')
    code, o, err = m.json('protect', image, '--passphrase-file', '-', data=PASSPHRASE)
    c.check(code == 0 and courier.hear(SYNC_NOW)[0] == SYNC_NOW, 'a new escrow wakes the courier at once', err)
    device = device_of(m)
    batch = courier.batch()
    envelopes = [decode_record(r)['envelope'] for r in batch['records']]
    c.check(len(envelopes) == 1 and batch['device'] == device, 'the escrow record goes out', batch['records'])
    expect = hashlib.sha256(b''.join(sorted(hashlib.sha256(e).digest() for e in envelopes))).digest()[:8]
    c.check(batch['envelopes'] == expect, 'with the digest of all envelopes')
    courier.answer(status=OFFLINE)
    other = Organisation(folder + '/stranger')
    bad = {'another key': receipt(other, device, batch['records'], organisation=org.id),
           'the policy key': receipt(org, device, batch['records'], key='policy'),
           'another device': receipt(org, bytes(32), batch['records']),
           'another organisation': receipt(org, device, batch['records'], organisation=str(uuid.uuid4())),
           'a flipped bit': flipped(receipt(org, device, batch['records'])),
           'nothing': b''}
    for what, blob in bad.items():
        asking = Asking(m, 'sync')
        courier.hear(SYNC_NOW)
        courier.batch()
        courier.answer(receipts=[blob])
        got = asking.end()
        c.check(got[0] == 1 and 'did not verify' in got[2] and escrow_of(m, image) == 'queued',
                f'a receipt with {what} is no receipt', got)
    for status, code in ((OFFLINE, 4), (UNTRUSTED, 1), (REFUSED, 3)):
        asking = Asking(m, 'sync')
        courier.hear(SYNC_NOW)
        courier.batch()
        courier.answer(status=status, problem=b'this is why')
        got = asking.end()
        c.check(got[0] == code and 'this is why' in got[2], f'a sync that ends with status {status}', got)
    asking = Asking(m, 'sync')
    courier.hear(SYNC_NOW)
    records = courier.batch()['records']
    courier.answer(receipts=[receipt(org, device, records + [b'not ours'])], head=(7, bytes(range(32))))
    got = asking.end()
    c.check(got[0] == 0 and escrow_of(m, image) == 'receipted', 'the real receipt counts', got)
    batch = courier.batch()
    c.check(not batch['records'] and batch['audit_head'] == bytes(range(32)), 'nothing is left; the audit head goes back')
    courier.answer(head=(3, bytes(32)))
    c.check(courier.batch()['audit_head'] == bytes(range(32)), 'a shorter audit log replaces no longer one')
    courier.answer(match=0)
    again = courier.batch()['records']
    c.check(again == records, 'a server that lacks envelopes gets the same bytes again')
    for when in (1_799_999_999, 1_800_000_000):
        courier.answer(receipts=[receipt(org, device, again, when=when)], match=0)
        c.check(courier.batch()['records'] == records and escrow_of(m, image) == 'queued',
                'a receipt of before the loss does not settle them')
    courier.answer(receipts=[receipt(org, device, again, when=1_800_000_001)], match=0)
    c.check(not courier.batch()['records'] and escrow_of(m, image) == 'receipted', 'a new one does, and once is enough')
    courier.answer()
    courier.batch()
    courier.answer(match=0)
    again = courier.batch()['records']
    c.check(again == records, 'a server that lost them a second time gets them a second time')
    courier.answer(receipts=[receipt(org, device, again, when=1_800_000_002)])
    return image, o['key_id'], device


def test_orders(c, m, org, courier, image, key_id, device):
    before = header(image)

    def order(blob):
        courier.batch()
        courier.answer(commands=[blob])
        return [v for v in m.status()['volumes'] if v['device'] == image][0]['state']
    c.check(order(rotate_order(org, device, key_id, key='policy')) == 'protected', 'an order of another key is none')
    c.check(order(rotate_order(org, bytes(32), key_id)) == 'protected', 'nor one for another device')
    c.check(order(rotate_order(org, device, key_id, when=1_750_000_000)) == 'needs-unlock-secret' and header(image) == before,
            'an order waits for something that opens the volume')
    code, o, err = m.json('rotate', image, '--passphrase-file', '-', data=PASSPHRASE)
    c.check(code == 0, 'which a person brings', err)
    records = [decode_record(r) for r in courier.batch()['records']]
    c.check([(r['kind'], r['event']) for r in records] == [(ESCROW, 0), (EVENT, ROTATED)], 'escrow first', records)
    c.check(records[1]['other_key_id'] == key_id and records[1]['key_id'] == o['key_id'], 'then what replaced what')
    courier.answer(receipts=[receipt(org, device, [r['bytes'] for r in records])])
    old = rotate_order(org, device, key_id, when=1_700_000_000)  # of an earlier disclosure
    c.check(order(old) == 'protected', 'the order repeated: nothing to do')
    told = [decode_record(r) for r in courier.batch()['records']]
    c.check([r['bytes'] for r in told] == [records[1]['bytes']], 'but to say it again, in the same bytes', told)
    for i in range(20):
        courier.answer(receipts=[receipt(org, device, [r['bytes'] for r in told])],
                       commands=[old])
        again = courier.batch()['records']
        if not c.check(again == [records[1]['bytes']], 'an old order played again and again makes no new record', again):
            break
    young = rotate_order(org, device, key_id)  # shown once more since
    courier.answer(receipts=[receipt(org, device, again, when=1_800_000_001)], commands=[young])
    told = [decode_record(r) for r in courier.batch()['records']]
    c.check([(r['event'], r['other_key_id']) for r in told] == [(ROTATED, key_id)] and told[0]['bytes'] != records[1]['bytes'],
            'a younger one has an answer of its own', told)
    for i in range(20):
        courier.answer(receipts=[receipt(org, device, [r['bytes'] for r in told], when=1_800_000_002 + i)],
                       commands=[(old, young)[i % 2]])
        again = courier.batch()['records']
        if not c.check(again == [told[0]['bytes']], 'and the two of them in turn make no other', again):
            break
    courier.answer(receipts=[receipt(org, device, again, when=1_800_000_100)])
    order(rotate_order(org, device, str(uuid.uuid4())))
    c.check(not courier.batch()['records'], 'an order for a key never seen is not answered')
    courier.answer(receipts=[receipt(org, device, [r['bytes'] for r in told])],
                   known=(told[0]['incarnation'], told[0]['sequence'] + 5, bytes(32)))
    sh('cryptsetup', 'luksKillSlot', '-q', image, str(o['slot']))
    m.status()
    fresh = [decode_record(r) for r in courier.batch()['records']]
    c.check([r['sequence'] for r in fresh] == list(range(1, len(fresh) + 1)) and
            {r['incarnation'] for r in fresh}.isdisjoint({told[0]['incarnation']}),
            'a server that knows later records than we do: a new incarnation', fresh)
    c.check([(r['event'], r['result']) for r in fresh] == [(WENT_BACK, 1), (RETIRED, 0), (DRIFT, 2)],
            'which it says, and then that a keyslot was removed', fresh)
    courier.answer(receipts=[receipt(org, device, [r['bytes'] for r in fresh])])
    order(rotate_order(org, device, o['key_id']))
    c.check(not courier.batch()['records'], 'an order for a key that is gone without a successor is not answered')
    courier.answer()


def main():
    if not os.path.exists(KEEPER):
        print(f'{KEEPER} is not built: make')
        return 1
    c = Checks(fast_folder())
    org = Organisation(c.folder + '/org')
    m = Machine(c.folder + '/root', encrypted=False).start()
    try:
        courier = test_enrolment(c, m, org, c.folder)
        image, key_id, device = test_receipts(c, m, org, courier, c.folder)
        test_orders(c, m, org, courier, image, key_id, device)
    finally:
        m.stop()
    return c.close()


if __name__ == '__main__':
    sys.exit(main())
