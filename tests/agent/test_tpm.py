#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The device key and small secrets in a real TPM 2.0 (swtpm): every command refused, cut off or lost in turn, the
keeper killed at each of them; a TPM that is absent, busy, locked out, cleared, replaced, or goes away."""
import os
import shutil
import signal
import stat
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import swtpm
from hand_over import decode, records
from machine import (MSG_STATUS, PASSPHRASE, TOP, Checks, Machine, Organisation, ask, fast_folder, make_volume, sh)
from play_courier import (CSR, CSR_WANTED, ENROLL_DO, Asking, Courier, courier_certificate, courier_request,
                          receipt)
from swtpm import FLUSH_CONTEXT, Line, Swtpm

STATE = '/var/lib/keyholt/agent'
KEY = STATE + '/device.key'
IDENTITY, BY_TPM, BY_ENROLMENT = 4, 1, 2  # event and its results. source: docs/formats.md#record
SHIM = f'{TOP}/build/tests/crash_shim.so'


def der_signature(raw):
    def integer(b):
        b = b.lstrip(b'\0') or b'\0'
        b = (b'\0' if b[0] & 0x80 else b'') + b
        return b'\2' + bytes([len(b)]) + b
    body = integer(raw[:32]) + integer(raw[32:])
    return b'\x30' + bytes([len(body)]) + body


def verifies(folder, spki, message, raw):
    """By the openssl program."""
    for name, data in (('spki', spki), ('msg', message), ('sig', der_signature(raw))):
        with open(f'{folder}/v.{name}', 'wb') as f:
            f.write(data)
    sh('openssl', 'pkey', '-pubin', '-inform', 'DER', '-in', f'{folder}/v.spki', '-out', f'{folder}/v.pem')
    r = sh('openssl', 'dgst', '-sha256', '-verify', f'{folder}/v.pem', '-signature', f'{folder}/v.sig',
           f'{folder}/v.msg', check=False)
    return r.returncode == 0


class Computer(Machine):
    """A Machine with a TPM, or a line to one."""

    def __init__(self, root, tpm, **more):
        super().__init__(root, **more)
        self.use(tpm)

    def use(self, tpm):
        self.options = ['--root', self.root, '--courier-wait', '0', '--tpm', tpm if isinstance(tpm, str) else tpm.tcti]
        return self

    def again(self, tpm=None):
        """Restart, perhaps with another TPM; status."""
        self.stop()
        if tpm:
            self.use(tpm)
        return self.start().status()

    def key_is_in_tpm(self):
        with open(self.path(KEY), 'rb') as f:
            return f.read(4) == b'KHT\1'


# The module alone.

def test_operations(c, tpm, folder):
    key, sealed = folder + '/key', folder + '/sealed'
    code, spki, err = tpm.tool('create', key)
    if not c.check(code == 0, 'a key is made', err):
        return
    spki = bytes.fromhex(spki.decode())
    for message in (b'', b'hello', bytes(range(256)) * 16):
        code, sig, err = tpm.tool('sign', key, message)
        c.check(code == 0 and verifies(folder, spki, message, bytes.fromhex(sig.decode())),
                f'openssl verifies a signature over {len(message)} bytes', err)
    c.check(not verifies(folder, spki, b'another', bytes.fromhex(sig.decode())), 'and not over something else')
    with open(key, 'rb') as f:
        c.check(f.read(4) == b'KHT\1' and stat.S_IMODE(os.stat(key).st_mode) == 0o600, 'the blob: KHT, 0600')
    for size, want in ((31, 'RANGE'), (32, ''), (47, ''), (64, ''), (65, 'RANGE')):
        secret = os.urandom(size)
        code, _, err = tpm.tool('seal', sealed, secret)
        c.check(err == want, f'{size} bytes are sealed, or refused', err)
        if code == 0:
            c.check(tpm.tool('unseal', sealed)[1] == secret, f'{size} bytes come back')
    with open(sealed, 'rb') as f:
        c.check(secret[8:24] not in f.read(), 'the file does not show the secret')
    code, out, err = tpm.tool('remains', sealed)
    c.check(out.split() == [b'1', b'1', b'0'], 'no copy of the secret is left in memory but the caller\'s own', (out, err))
    start = time.monotonic()
    code, _, err = tpm.tool('churn', key)
    c.check(code == 0, '600 operations', err)
    print(f'600 operations, half of them in a batch: {time.monotonic() - start:.1f} s', flush=True)
    c.check(tpm.handles() == [0, 0, 0], 'nothing is left in the TPM', tpm.handles())
    for what, at in (('public', 120), ('private', -10)):
        with open(key, 'rb') as f:
            b = bytearray(f.read())
        b[at] ^= 1
        with open(folder + '/damaged', 'wb') as f:
            f.write(b)
        code, _, err = tpm.tool('sign', folder + '/damaged', b'x')
        c.check(code != 0, f'a damaged {what} part does not sign', err)
        c.check(tpm.handles() == [0, 0, 0], 'and leaves nothing', tpm.handles())


def every_fault(c, tpm, line, verb, path, data):
    """Each command of one operation fails in each way. What is left in the TPM of a broken connection is the
    resource manager's to flush; after a plain no, nothing may be left but what could not be flushed."""
    line.arm()
    code, _, err = tpm.tool(verb, path, data, line.tcti)
    if not c.check(code == 0, verb, err):
        return 0
    codes, n = line.codes, 0
    faults = (('cut', ('IO', 'OFFLINE')), ('lose', ('IO', 'OFFLINE')), (0x101, ('IO',)), (0x921, ('DENIED',)),
              (0x1df, ('CONFLICT',)), (0x9a2, ('AUTH',)), (0x902, ('BUSY',)))
    for number, command in enumerate(codes, 1):
        for fault, want in faults:
            always = fault == 0x902  # once is only another try
            line.arm(lambda k, _: fault if k == number or (always and k > number) else None)
            code, _, err = tpm.tool(verb, path + '.x' if verb in ('create', 'seal') else path, data, line.tcti)
            what = f'{verb}: command {number} ({command:#x}) answers {fault if isinstance(fault, str) else hex(fault)}'
            n += 1
            if command == FLUSH_CONTEXT:  # the work was done; the rest is the resource manager's
                c.check(code == 0 or err in want, what, (code, err))
            else:
                c.check(code != 0 and err in want, what, (code, err))
                if isinstance(fault, int) and not always:
                    c.check(tpm.handles() == [0, 0, 0], what + ': nothing is left', tpm.handles())
            line.arm()
            tpm.flush()
    c.check(tpm.tool(verb, path, data, line.tcti)[0] == 0, f'{verb} works again')
    return n


def test_faults(c, tpm, folder):
    line, key, sealed = Line(tpm), folder + '/key', folder + '/sealed'
    tpm.tool('create', key)
    tpm.tool('seal', sealed, b's' * 32)
    n = sum(every_fault(c, tpm, line, verb, path, data) for verb, path, data in (
        ('create', folder + '/new', b''), ('sign', key, b'x'), ('seal', folder + '/new2', b's' * 48),
        ('unseal', sealed, b''), ('check', key, b''), ('state', '', b'')))
    print(f'{n} faults, one in each command', flush=True)
    for code in (0x922, 0x908, 0x90a, 0x902):
        line.arm(lambda k, _: code if k == 2 else None)
        c.check(tpm.tool('sign', key, b'x', line.tcti)[0] == 0, f'one {code:#x} is only another try')
        tpm.flush()
    line.close()


def test_other_tpm(c, tpm, folder):
    key, sealed = folder + '/key', folder + '/sealed'

    def all_say(want):
        return [tpm.tool(v, p, b'x')[2] for v, p in (('sign', key), ('unseal', sealed), ('check', key))] == [want] * 3
    for what, change in (('cleared', lambda: tpm.tool('clear')), ('replaced', tpm.forget)):
        tpm.tool('create', key)
        tpm.tool('seal', sealed, b's' * 32)
        c.check(all_say(''), 'as it was')
        change()
        c.check(all_say('CONFLICT'), f'a TPM that was {what} says so')
        c.check(tpm.handles() == [0, 0, 0], 'and leaves nothing', tpm.handles())
    tpm.tool('create', key)
    tpm.tool('seal', sealed, b's' * 32)
    tpm.tool('lockout')
    code, out, _ = tpm.tool('state')
    c.check(b'"locked": true' in out and b'"count": 3' in out, 'it is locked out', out)
    c.check(all_say(''), 'which does not stop us')
    tpm.tool('owner-password', 'x')
    c.check(all_say('AUTH'), 'an owner with a password does')
    tpm.stop()
    c.check(all_say('OFFLINE'), 'one that is not there')
    c.check(tpm.tool('sign', key, b'x', 'none')[2] == 'NOT_FOUND', 'none')
    c.check(tpm.tool('sign', key, b'x', 'device:/dev/no-such-tpm')[2] == 'NOT_FOUND', 'no such device')
    tpm.forget()


# The keeper.

def signed_by(c, folder, m, spki, what):
    """The newest records of a stopped keeper verify, by openssl, under this key."""
    made = [r for r in records(m) if r['device'] == bytes.fromhex(m.id)]
    c.check(made and all(verifies(folder, spki, r['bytes'][:-64], r['bytes'][-64:]) for r in made),
            f'{what}: openssl verifies {len(made)} records')
    return made


def enrol(m, org, folder, bundle):
    """As play_courier.enrolled(), and what the device key signed on the way."""
    courier, request = Courier(m), courier_request(folder)
    asking = Asking(m, 'enroll', '--bundle', bundle)
    courier.hear(35)
    courier.tell(50)
    courier.hear(CSR_WANTED)
    courier.tell(CSR, pem=request)
    _, fields = courier.hear(ENROLL_DO)
    m.id = m.status()['device_id']
    certificate = courier_certificate(org, folder, request, bytes.fromhex(m.id))
    courier.tell(49, status=1, certificate=certificate, problem=b'')
    asking.end()
    return courier, fields


def test_identity(c, tpm, org, folder, bundle):
    m = Computer(folder + '/pc', tpm)
    s = m.start().status()
    c.check(s['tpm']['present'] and s['tpm']['identity'] and s['tpm']['manufacturer'] == 'IBM' and
            s['tpm']['firmware'].count('.') == 3 and not s['tpm']['lockout']['locked'] and not s['tpm']['problem'],
            'status: the key is in the TPM', s['tpm'])
    c.check('the device key is in it' in m.agent('status')[1], 'and says so to people')
    c.check(m.key_is_in_tpm() and stat.S_IMODE(os.stat(m.path(KEY)).st_mode) == 0o600, 'the file holds what it wrapped')
    c.check(tpm.handles() == [0, 0, 0], 'nothing is held', tpm.handles())
    with open(f'/proc/{m.process.pid}/maps') as maps:
        c.check('tcti-swtpm' not in maps.read(), 'no connection, no library for one')
    courier, fields = enrol(m, org, folder, bundle)
    c.check(m.status()['enrolment'] == 'done' and m.status()['device_id'] == s['device_id'],
            'enrolled, with the key that it had')
    code, o, err = m.json('protect', make_volume(folder + '/v.img'), '--passphrase-file', '-', data=PASSPHRASE)
    c.check(code == 0, 'protect', err)
    c.check(m.again()['device_id'] == s['device_id'], 'the same after a restart')
    m.stop()
    made = signed_by(c, folder, m, fields['spki'], 'the TPM\'s key')
    c.check(made[0]['kind'] == 1, 'an escrow record among them', made)
    return m, fields['spki']


def test_locked_out(c, m, tpm):
    tpm.tool('lockout')
    s = m.again()
    c.check(s['tpm']['lockout'] == {'count': 3, 'max': 3, 'interval_s': 600, 'locked': True} and s['tpm']['identity'] and
            'locked out after 3' in s['tpm']['text'], 'a lock-out is shown, and stops nobody', s['tpm'])
    code, _, err = m.json('rotate', '--passphrase-file', '-', data=PASSPHRASE)
    c.check(code == 0, 'rotate while locked out', err)
    said = m.agent('doctor')[1]
    c.check('locked out after 3' in said, 'doctor says so', said)
    m.stop()
    m.options += ['--report-after', '50']
    reports, end = [], time.monotonic() + 60
    while not reports and time.monotonic() < end:
        m.start()
        time.sleep(0.5)
        m.stop()
        reports = [r['bytes'] for r in records(m) if r['kind'] == 2]
    m.use(tpm).start()
    text = reports[-1] if reports else b''
    c.check(b'"lockout":{"count":3,"max":3,"interval_s":600,"locked":true}' in text, 'and so does the report', text)


def test_away(c, m, tpm, spki, folder):
    """The TPM is gone for now: nothing is made up, nothing is lost."""
    before = m.status()
    for how, tcti in (('none', 'none'), ('no such device', 'device:/dev/no-such-tpm'), ('it does not answer', None)):
        if tcti is None:
            tpm.stop()
        s = m.again(tcti or tpm)
        c.check(s['device_id'] == before['device_id'] and s['tpm']['identity'] and s['tpm']['problem'] and
                'cannot be used now' in s['tpm']['text'], f'{how}: the identity waits', s['tpm'])
        c.check(s['enrolment'] == 'done' and s['queued'] == before['queued'], 'and is still enrolled', s)
    code, o, err = m.json('rotate', '--passphrase-file', '-', data=PASSPHRASE)
    waits = m.status()
    away = waits['volumes']
    c.check(away[0]['key_id'] == o['key_id'] and waits['unsigned'] > 0 and waits['queued'] == before['queued'] and
            'wait for the TPM' in m.agent('status')[1], 'status tells the new key, and what waits for the TPM', waits)
    m.again()
    c.check(m.status()['volumes'][0]['key_id'] == o['key_id'] and m.status()['unsigned'] == waits['unsigned'],
            'after a restart, too', m.status())
    c.check(code == 0 and 'cannot sign now' in err, 'a rotation is done, and tells that its records have to wait', (code, err))
    tpm.start()
    s = m.status()  # the same keeper: the TPM is back
    c.check(not s['tpm']['problem'] and s['queued'] == before['queued'] + waits['unsigned'] and s['unsigned'] == 0 and s['volumes'][0]['verified'],
            'they are made when it is back', (before['queued'], s))
    c.check(s['volumes'][0]['key_id'] != before['volumes'][0]['key_id'] and
            s['volumes'][0]['state'] == 'protected', 'of the new key', s['volumes'])
    c.check(len(away) == 1 and away[0]['management'] == 'away' and away[0]['state'] == 'protected' and away[0]['verified'] and
            'cannot be asked now' in away[0]['note'],
            'meanwhile it says that the management key, which is in the TPM, cannot be asked', away)
    m.stop()
    made = signed_by(c, folder, m, spki, 'after it was away')
    numbers = [r['sequence'] for r in made]
    c.check(numbers == list(range(1, len(numbers) + 1)), 'without a gap', numbers)
    m.start()


def told_of(c, m, former, why, what):
    """The new identity's chain: the event first, then every envelope again."""
    new = m.status()['device_id']
    m.stop()
    made = [r for r in records(m) if r['device'].hex() == new]
    old = [r for r in records(m) if r['device'].hex() == former]
    m.start()
    c.check(made and made[0]['event'] == IDENTITY and made[0]['result'] == why and former in made[0]['bytes'].hex(),
            f'{what}: its first record says so', made[:1])
    c.check([r['sequence'] for r in made] == list(range(1, len(made) + 1)) and made[0]['previous'] == bytes(32) and
            not {r['incarnation'] for r in made} & {r['incarnation'] for r in old}, f'{what}: a new incarnation')
    again = {r['envelope'] for r in made if r['envelope']}
    c.check(again == {r['envelope'] for r in old if r['envelope']}, f'{what}: every envelope is escrowed in the new name')
    return made


def test_replaced(c, m, tpm, org, folder, bundle):
    before = m.status()
    m.stop()
    tpm.forget()
    m.start()
    s = m.status()
    c.check(s['device_id'] != before['device_id'] and m.key_is_in_tpm() and not s['tpm']['problem'],
            'another TPM: a new identity in it', s)
    c.check(s['enrolment'] == 'again' and 'cleared or replaced' in s['identity'], 'status says what to do', s)
    page = m.agent('status')[1]
    c.check('cleared or replaced' in page and 'earlier identity' in page, 'and says it to people', page)
    c.check(s['queued_former'] == before['queued'] and s['volumes'][0]['verified'], 'nothing is lost', s)
    told_of(c, m, before['device_id'], BY_TPM, 'another TPM')
    c.check(m.again()['device_id'] == s['device_id'], 'it stays')
    former, new = bytes.fromhex(before['device_id']), bytes.fromhex(s['device_id'])

    courier = Courier(m)
    batch = courier.batch()
    sent = [decode(r) for r in batch['records']]
    c.check(batch['device'] == former and sent and all(r['device'] == former for r in sent),
            'its records go out in its own name', batch['device'])
    courier.answer(receipts=[receipt(org, new, batch['records'])], known=(sent[0]['incarnation'], 99, b'\7' * 32), match=0)
    c.check(m.status()['queued_former'] == len(sent), 'a receipt for somebody else counts nothing')
    courier.batch()
    courier.answer(receipts=[receipt(org, former, batch['records'])])
    after = m.status()
    c.check(after['queued_former'] == 0 and after['queued'] == s['queued'], 'one for it does', after)
    courier.s.close()

    courier, fields = enrol(m, org, folder, bundle)
    done = m.status()
    c.check(done['enrolment'] == 'done' and not done['identity'] and done['device_id'] == s['device_id'], 'enrolled again',
            done)
    batch = courier.batch()
    sent = [decode(r) for r in batch['records']]
    c.check(batch['device'] == new and sent and all(r['device'] == new for r in sent), 'now in the new name')
    c.check(all(verifies(folder, fields['spki'], r['bytes'][:-64], r['bytes'][-64:]) for r in sent), 'and signed by it')
    courier.answer(receipts=[receipt(org, new, batch['records'])], match=0)
    c.check(m.status()['queued'] > 0 and m.status()['queued_former'] == 0, 'a server that lost all gets it in the new name')
    courier.s.close()
    code, _, err = m.json('rotate', '--passphrase-file', '-', data=PASSPHRASE)
    c.check(code == 0 and m.status()['volumes'][0]['verified'], 'and rotates', err)


def test_unanswered_former(c, m, tpm, org, folder, bundle):
    """A server that will not have the old records does not stand in the way of the new enrolment."""
    m.stop()
    tpm.tool('clear')
    before = m.start().status()
    c.check(before['queued_former'] > 0, 'records of an earlier identity wait', before)
    courier, request = Courier(m), courier_request(folder)
    asking = Asking(m, 'enroll', '--bundle', bundle)
    courier.hear(35)
    former = courier.batch()['device']
    c.check(former.hex() != before['device_id'], 'the earlier identity\'s turn')
    courier.answer(status=4, problem=b'this device was revoked')
    courier.hear(35)
    courier.tell(50)
    courier.hear(CSR_WANTED)
    courier.tell(CSR, pem=request)
    courier.hear(ENROLL_DO)
    courier.tell(49, status=1, problem=b'',
                 certificate=courier_certificate(org, folder, request, bytes.fromhex(before['device_id'])))
    code, _, err = asking.end()
    s = m.status()
    c.check(code == 0 and s['enrolment'] == 'done' and s['queued_former'] == before['queued_former'],
            'then the enrolment\'s; what could not be sent is still counted', (err, s))
    c.check(courier.batch()['device'].hex() == s['device_id'], 'and the sync goes on in the new name')


def test_clone(c, m, tpm, folder):
    m.stop()
    shutil.copytree(m.root, folder + '/clone', ignore=shutil.ignore_patterns('*.sock'))
    os.makedirs(folder + '/tpm2', exist_ok=True)
    other = Swtpm(folder + '/tpm2')
    first, clone = m.start(), Computer(folder + '/clone', other).start()
    a, b = first.status(), clone.status()
    c.check(a['device_id'] != b['device_id'] and a['enrolment'] == 'done' and b['enrolment'] == 'again',
            'a clone with a TPM of its own gets an identity of its own', b)
    told_of(c, clone, a['device_id'], BY_TPM, 'a clone')
    clone.stop()
    other.stop()


def test_file_first(c, tpm, org, folder, bundle):
    """A computer with a software identity keeps it, and says so, until somebody enrols it anew."""
    m = Computer(folder + '/soft', 'none')
    s = m.start().status()
    c.check(not s['tpm']['present'] and not s['tpm']['problem'] and s['tpm']['text'].startswith('no TPM'), 'no TPM', s['tpm'])
    enrol(m, org, folder, bundle)[0].s.close()
    code, _, err = m.json('protect', make_volume(folder + '/s.img'), '--passphrase-file', '-', data=PASSPHRASE)
    c.check(code == 0, 'protect', err)
    t = m.again(tpm)
    c.check(t['device_id'] == s['device_id'] and not m.key_is_in_tpm() and t['enrolment'] == 'done' and
            'in a file; TPM present' in t['tpm']['text'], 'it keeps the identity', t['tpm'])
    courier = Courier(m)
    asking = Asking(m, 'enroll', '--bundle', bundle)
    courier.hear(35)
    batch = courier.batch()
    c.check(batch['device'].hex() == s['device_id'], 'enrolled anew: first the old records')
    courier.answer(receipts=[receipt(org, batch['device'], batch['records'])])
    courier.s.close()
    asking.end()
    u = m.status()
    c.check(u['device_id'] != s['device_id'] and m.key_is_in_tpm() and u['enrolment'] == 'queued' and not u['identity'],
            'the identity is in the TPM now', u)
    with open(m.path(KEY), 'rb') as f:
        c.check(b'PRIVATE' not in f.read() and os.listdir(m.path(STATE)).count('device.key') == 1, 'the old key is gone')
    told_of(c, m, s['device_id'], BY_ENROLMENT, 'enrolled anew')
    v = m.again('none')
    c.check(v['device_id'] == u['device_id'] and v['tpm']['problem'], 'without it the identity waits', v['tpm'])
    m.agent('enroll', '--bundle', bundle)
    w = m.status()
    c.check(w['device_id'] != u['device_id'] and not w['tpm']['identity'] and not w['tpm']['problem'],
            'until somebody enrols it anew: a file again', w)
    m.stop()
    tpm.tool('owner-password', 'secret')
    m = Computer(folder + '/owned', tpm)
    s = m.start().status()
    c.check(not s['tpm']['identity'] and 'its owner set a password' in s['tpm']['text'],
            'a TPM that does not let us in: a file, and the reason', s['tpm'])
    c.check(s['tpm']['lockout']['count'] == 0, 'what it tells everybody is shown', s['tpm'])
    m.stop()
    tpm.forget()


def test_killed_at_each_command(c, tpm, folder):
    """SIGKILL while the TPM works on its k-th command, for all k of the start of a new computer."""
    line = Line(tpm)
    line.arm()
    Computer(folder + '/k0', line).start().stop()
    total = len(line.codes)
    c.check(total > 5, 'the line sees the commands', line.codes)
    for k in range(1, total + 1):
        m, root = None, f'{folder}/k{k}'

        def kill(number, _):
            if number == k:
                m.process.send_signal(signal.SIGKILL)
                m.process.wait(60)
                return 'cut'
            return None
        m = Computer(root, line)
        line.arm(kill)
        with open(root + '/keeper.log', 'ab') as log:
            m.process = subprocess.Popen([m.keeper, *m.options], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        m.process.wait(60)
        m.process = None
        line.arm()
        tpm.flush()  # as the kernel does for a client that died
        s = m.start().status()
        c.check(m.key_is_in_tpm() and not s['tpm']['problem'] and m.again()['device_id'] == s['device_id'],
                f'killed at command {k} of {total}: a usable identity', s)
        m.stop()
        shutil.rmtree(root)
    print(f'killed at {total} commands', flush=True)
    line.close()


def test_killed_at_each_write(c, tpm, folder):
    """SIGKILL before, and in the middle of, each write and fsync on the keeper's own files, while a computer gets its
    first identity and while a cleared TPM gives it another."""
    base = Computer(folder + '/base', tpm)
    base.install_org(folder + '/bundle')
    base.start()
    code, _, err = base.json('protect', make_volume(folder + '/b.img'), '--no-esp', '--passphrase-file', '-', data=PASSPHRASE)
    c.check(code == 0, 'protect', err)
    first, key_id = base.status()['device_id'], base.status()['volumes'][0]['key_id']
    base.stop()
    tpm.tool('clear')
    points = 0
    for name, prepared in (('first', None), ('cleared', base.root)):
        for torn in (False, True):
            at = 0
            while True:
                at += 1
                root = f'{folder}/w-{name}-{at}{torn}'
                if prepared:
                    shutil.copytree(prepared, root, ignore=shutil.ignore_patterns('*.sock'))
                m = Computer(root, tpm)
                arm = m.path('/armed')
                open(arm, 'w').close()
                env = {'LD_PRELOAD': SHIM, 'SHIM_IMAGE': '/none', 'SHIM_STATE': m.path(STATE) + '/', 'SHIM_ARM': arm,
                       'SHIM_COUNT_STATE': '1', 'SHIM_AT': str(at), **({'SHIM_TORN': '1'} if torn else {})}
                m.start(**env)
                died = ask(m, MSG_STATUS) is None  # answered after the start, or not at all
                if died:
                    m.process.wait(60)
                os.unlink(arm)
                m.stop()
                tpm.flush()
                s = m.start().status()
                news = [r for r in all_records(m) if r['event'] == IDENTITY]
                good = m.key_is_in_tpm() and not s['tpm']['problem'] and m.again()['device_id'] == s['device_id']
                if prepared:
                    good = good and s['device_id'] != first and s['enrolment'] == 'again' and len(news) == 1 and \
                        news[0]['device'].hex() == s['device_id'] and s['volumes'][0]['key_id'] == key_id
                else:
                    good = good and not news
                c.check(good, f'{name}: killed at write {at}{" (torn)" if torn else ""}: a whole identity', (s, news))
                m.stop()
                shutil.rmtree(root)
                if not died:
                    break
                points += 1
    c.check(points > 20, 'the shim sees the writes', points)
    print(f'killed at {points} writes and fsyncs', flush=True)


def all_records(m):
    """Of a keeper that runs: it is stopped for that."""
    m.stop()
    found = records(m)
    m.start()
    return found


def main():
    c = Checks(fast_folder())
    why = swtpm.missing()
    if why:
        c.skip('all tests with a TPM', why)
        return c.close()
    org = Organisation(c.folder + '/org')
    bundle = org.bundle(c.folder + '/bundle')
    tpm = Swtpm(c.folder + '/tpm')
    try:
        test_operations(c, tpm, c.folder)
        test_faults(c, tpm, c.folder)
        test_other_tpm(c, tpm, c.folder)
        m, spki = test_identity(c, tpm, org, c.folder, bundle)
        m.start()
        test_locked_out(c, m, tpm)
        test_away(c, m, tpm, spki, c.folder)
        test_replaced(c, m, tpm, org, c.folder, bundle)
        test_unanswered_former(c, m, tpm, org, c.folder, bundle)
        test_clone(c, m, tpm, c.folder)
        m.stop()
        test_file_first(c, tpm, org, c.folder, bundle)
        test_killed_at_each_command(c, tpm, c.folder)
        test_killed_at_each_write(c, tpm, c.folder)
    finally:
        tpm.stop()
    return c.close()


if __name__ == '__main__':
    sys.exit(main())
