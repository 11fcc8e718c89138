#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A renewed certificate on its way from an answer to the courier: verified by the keeper, lost in no crash."""
import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from machine import KEEPER, Checks, Machine, Organisation, fast_folder
from play_courier import (BATCH_WANTED, CERTIFICATE, CERTIFICATE_KEPT, DONE, OFFLINE, REFUSED, SYNC_BATCH, SYNC_NOW,
                          Asking, Courier, courier_certificate, courier_request, device_of, enroll)


def ask(courier):
    """What the keeper answers to BATCH_WANTED."""
    courier.tell(BATCH_WANTED)
    kind = SYNC_NOW
    while kind == SYNC_NOW:
        kind, fields = courier.hear(SYNC_NOW, SYNC_BATCH, CERTIFICATE)
    return kind, fields


def answer(courier, certificate=b''):
    """One whole sync, whose answer brings this."""
    kind, _ = ask(courier)
    if kind != SYNC_BATCH:
        raise RuntimeError(f'message {kind} instead of a batch')
    courier.answer(certificate=certificate)


def kept(courier, status):
    courier.tell(CERTIFICATE_KEPT, status=status, problem=b'because')
    return courier.hear(SYNC_BATCH)


def test_renewal(c, m, org, request, courier):
    device = device_of(m)
    other = Organisation(c.folder + '/other')

    def made(days='30', by=org, device=device, request=request, usage='clientAuth'):
        return courier_certificate(by, c.folder, request, device, days, usage)
    for row, pem in (('of another CA', made(by=other)), ('for another device', made(device=bytes(32))),
                     ('for another key', made(request=courier_request(c.folder, 'stranger'))),
                     ('of a server', made(usage='serverAuth')), ('that is none', b'-----BEGIN CERTIFICATE-----\n'),
                     ('far too long', b'A' * 9000)):
        answer(courier, pem)
        kind, _ = ask(courier)
        c.check(kind == SYNC_BATCH, f'a certificate {row} goes no further', kind)
        c.check('do not verify' in (m.status()['last_problem'] or ''), 'and status says so', m.status())
        courier.answer()
    good = made()
    answer(courier, good)
    courier.hear(SYNC_NOW)
    c.check(True, 'a good one: the courier is called at once')
    kind, fields = ask(courier)
    c.check(kind == CERTIFICATE and fields['pem'] == good, 'and gets it before the next batch', kind)
    m.stop(signal.SIGKILL)  # nobody knows whether the courier kept it
    m.start()
    courier = Courier(m)
    kind, fields = ask(courier)
    c.check(kind == CERTIFICATE and fields['pem'] == good, 'after a crash it comes again', kind)
    kept(courier, OFFLINE)
    courier.answer(certificate=made('31'))
    kind, fields = ask(courier)
    c.check(kind == CERTIFICATE and fields['pem'] != good, 'one that could not be kept makes room for a newer one', kind)
    kept(courier, OFFLINE)
    courier.answer()
    kind, fields = ask(courier)
    c.check(kind == CERTIFICATE, 'and is tried again with each batch', kind)
    kept(courier, DONE)
    courier.answer()
    kind, _ = ask(courier)
    c.check(kind == SYNC_BATCH, 'until it is kept', kind)
    courier.answer(certificate=good)
    courier.hear(SYNC_NOW)
    ask(courier)
    kept(courier, REFUSED)
    courier.answer()
    kind, _ = ask(courier)
    c.check(kind == SYNC_BATCH, 'one that the courier cannot use is dropped', kind)
    courier.answer()
    c.check(m.status()['last_problem'] is None, 'no problem is left', m.status())


def main():
    if not os.path.exists(KEEPER):
        print(f'{KEEPER} is not built: make')
        return 1
    c = Checks(fast_folder())
    org = Organisation(c.folder + '/org')
    m = Machine(c.folder + '/root').start()
    try:
        courier = Courier(m)
        asking = Asking(m, 'enroll', '--bundle', org.bundle(c.folder + '/bundle'))
        courier.hear(SYNC_NOW)
        request = courier_request(c.folder)
        result = enroll(m, org, c.folder, courier, asking, request)
        c.check(result[0] == 0, 'enrolled', result)
        test_renewal(c, m, org, request, courier)
    finally:
        m.stop()
    return c.close()


if __name__ == '__main__':
    sys.exit(main())
