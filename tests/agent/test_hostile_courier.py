#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A courier that lies, floods and talks out of turn: what nobody signed moves the keeper as little as possible."""
import hashlib
import os
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hand_over import decode as decode_record
from machine import KEEPER, MSG_STATUS, PASSPHRASE, Checks, Machine, Organisation, ask, fast_folder, make_volume
from play_courier import (BATCH_WANTED, CSR, DONE, ENROLLED, SYNC_ANSWER, SYNC_NOW, Asking, Courier, answer_fields,
                          device_of, encode, enroll, enrolled, receipt)


def test_audit_head(c, courier):
    """Nothing signs an audit head: one answer may neither forget a longer log nor pretend an endless one."""
    def head(length, byte):
        """What was held before this answer."""
        got = courier.batch()['audit_head']
        courier.answer(head=(length, bytes([byte]) * 32))
        return got[0] if got else None

    def held():
        got = courier.batch()['audit_head']
        courier.answer()
        return got[0] if got else None
    head(100, 1)
    head(101, 2)
    c.check(held() == 2, 'a longer head is taken')
    for what, length in (('shorter', 99), ('endless', 2**64 - 1), ('too long a jump', 101 + 65537)):
        head(length, 3)
        c.check(held() == 2, f'a head that is {what} is not believed')
    head(102, 4)
    c.check(held() == 4, 'and hinders no true one')
    for _ in range(15):
        head(50, 5)
    c.check(held() == 4, 'nor do fifteen in a row')  # an answer without a head has the same as ours: they do not add up
    for _ in range(15):
        head(50, 5)
    c.check(head(50, 5) == 4, 'nor fifteen more')
    c.check(held() == 5, 'sixteen: the servers have heard of the other one often enough')
    head(51, 6)
    c.check(held() == 6, 'it goes on from there')

    def word(**answer):
        """The signed word that goes with the batch that this answers."""
        got = courier.batch()['audit_word']
        courier.answer(**answer)
        return got
    word(head=(52, bytes([7]) * 32), audit_word=bytes([7]) * 180)
    c.check(word() == b'', 'a signed word is kept, and not sent unasked')
    word(want_audit_word=1)
    c.check(word(want_audit_word=1) == bytes([7]) * 180, 'it comes when a server asks for it')
    c.check(word() == bytes([7]) * 180 and word() == b'', 'as long as it asks')
    word(head=(53, bytes([8]) * 32), want_audit_word=1)
    c.check(word() == bytes([7]) * 180, 'a head without a word leaves the older word')


def test_rolled_back(c, m, org, courier, folder):
    """What the server last saw of this device decides whether this cache is an old copy of another."""
    image, records, causes = make_volume(folder + '/w.img'), [], []

    def cause():
        return next((k['cause'] for v in m.status()['volumes'] if v['device'] == image for k in v['keys']), None)

    def sync(known=(b'', 0, b'')):
        """The newest record after an answer that knows this."""
        batch = courier.batch()['records']
        courier.answer(receipts=[receipt(org, device_of(m), batch)] if batch else [], known=known)
        courier.batch()  # by now the answer was dealt with
        courier.answer()
        causes.append(cause())
        code, _, err = m.json('rotate' if records else 'protect', image, '--passphrase-file', '-', data=PASSPHRASE)
        batch = [decode_record(r) for r in courier.batch()['records']]
        courier.answer(receipts=[receipt(org, device_of(m), [r['bytes'] for r in batch])])
        records.extend(batch)
        return max(batch, key=lambda r: r['sequence']) if c.check(code == 0 and batch, 'a new record', err) else None

    def seen(r, name=None, sequence=None):
        return r['incarnation'], sequence or r['sequence'], name or hashlib.sha256(r['bytes']).digest()
    first = sync()
    second = sync(known=seen(first))
    c.check(second['incarnation'] == first['incarnation'], 'a server that knows our last record: as before')
    third = sync(known=seen(first))
    c.check(third['incarnation'] == first['incarnation'], 'nor does one that is behind change anything')
    fourth = sync(known=seen(third, name=b'\x77' * 32))
    c.check(fourth['incarnation'] != first['incarnation'] and first['sequence'] < third['sequence'],
            'a server that knows another record at a sequence of ours: a new incarnation')
    fifth = sync(known=seen(third, name=b'\x77' * 32))
    c.check(fifth['incarnation'] == fourth['incarnation'], 'once')
    sixth = sync(known=seen(fifth, sequence=fifth['sequence'] + 5, name=b'\x77' * 32))
    c.check(sixth['incarnation'] != fifth['incarnation'], 'a later record: a new incarnation, too')
    c.check(causes == [None, 'protect', 'command', 'drift', 'command', 'command'],
            'the disk may have gone back: a new key at once, without a person, but not more than once a day', causes)


def test_rude_courier(c, m, courier):
    asking = Asking(m, 'sync')
    courier.hear(SYNC_NOW)
    courier.s.sendall(struct.pack('<IH', 0x7fffffff, SYNC_ANSWER))
    got = asking.end()
    c.check(got[0] == 4 and m.status()['courier'] == 'not running', 'a frame that is too large ends the connection', got)
    second = Courier(m)
    second.s.sendall(struct.pack('<IH', 2, 777))
    third = Courier(m)
    c.check(third.batch() is not None, 'an unknown message, too; a new courier is welcome')
    third.tell(BATCH_WANTED)
    c.check(third.hangs_up(), 'a second batch before the first is answered ends the connection')
    for kind, fields in ((SYNC_ANSWER, answer_fields()), (CSR, {'pem': b''}),
                         (ENROLLED, {'status': DONE, 'certificate': b'', 'problem': b''})):
        rude = Courier(m)
        rude.tell(kind, **fields)
        c.check(rude.hangs_up(), f'message {kind} that nobody asked for ends the connection')


def test_flood(c, m):
    """A courier that asks and answers without end, and reads what it gets: people and signals come in between."""
    courier = Courier(m)
    courier.s.settimeout(None)
    pairs = (encode(BATCH_WANTED, {}) + encode(SYNC_ANSWER, answer_fields())) * 2000
    ended = threading.Event()

    def write():
        try:
            while True:
                courier.s.sendall(pairs)
        except OSError:
            ended.set()

    def read():
        try:
            while courier.s.recv(1 << 20):
                pass
        except OSError:
            pass
    threads = [threading.Thread(target=f, daemon=True) for f in (write, read)]
    for t in threads:
        t.start()
    start = time.monotonic()
    said = [ask(m, MSG_STATUS) for _ in range(40)]
    took = time.monotonic() - start
    c.check(all(s and s[0] == 0 for s in said) and took < 120, 'a flooding courier starves no command', took)
    c.check(not ended.is_set() and m.status()['courier'] == 'connected', 'although the flood went on')
    start = time.monotonic()
    m.stop()
    c.check(time.monotonic() - start < 60, 'nor a signal')
    m.start()


def test_late_courier(c, org):
    """At boot, commands can be given before the courier has connected."""
    m = Machine(c.folder + '/late', courier_wait_ms=60000).start()
    try:
        asking = Asking(m, 'enroll', '--bundle', org.bundle(c.folder + '/late-bundle'))
        end = time.monotonic() + 60
        while not os.path.exists(m.path('/var/lib/keyholt/agent/token')) and time.monotonic() < end:
            time.sleep(0.01)  # the keeper tells nobody that a command waits; its file does
        code, out, err = enroll(m, org, c.folder, Courier(m), asking)
        c.check(code == 0 and 'is enrolled' in out, 'a command waits for a courier that connects later', (code, out))
        c.check('waiting for it' in err, 'and says so', err)
    finally:
        m.stop()
    m = Machine(c.folder + '/never', courier_wait_ms=300).start()
    try:
        code, _, err = m.agent('enroll', '--bundle', org.bundle(c.folder + '/late-bundle'))
        c.check(code == 4 and 'not running' in err, 'where none comes: queued', (code, err))
    finally:
        m.stop()


def main():
    if not os.path.exists(KEEPER):
        print(f'{KEEPER} is not built: make')
        return 1
    c = Checks(fast_folder())
    org = Organisation(c.folder + '/org')
    m = Machine(c.folder + '/root').start()
    try:
        courier = enrolled(m, org, c.folder, org.bundle(c.folder + '/bundle'))
        test_audit_head(c, courier)
        test_rolled_back(c, m, org, courier, c.folder)
        test_rude_courier(c, m, courier)
        test_flood(c, m)
        test_late_courier(c, org)
    finally:
        m.stop()
    return c.close()


if __name__ == '__main__':
    sys.exit(main())
