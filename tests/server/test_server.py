#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server on real parts: TLS on loopback, its stores, its vault, its people. Closes with "N passed, N failed"."""
import base64
import contextlib
import errno
import gzip
import hashlib
import http.client
import json
import os
import resource
import shutil
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import threading
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
import secret_search  # noqa: E402
import web_channel  # noqa: E402
from server_fixture import NO_GUID, PASSWORD, SERVER, Device, Server, as_root, flip, free_port, run, tool
from server_suite import Skip, enrolled, eq, holds, problem

LIMIT_S = 1200
JUDGED = os.environ.get('KEYHOLT_SECONDS') == 'judged'  # as in tests/courier/test_dead_servers.py
results = {'passed': 0, 'failed': 0, 'skipped': 0}


# ---- setting up

def test_init_refuses_bad_input(s):
    secret = s.path('user.secret')

    def init(root, *change):
        words = {'--org-name': 'x', '--url': 'https://a:1', '--recovery-url': 'https://a', '--message': 'm',
                 '--offline-dir': s.path('o2'), '--desk-dir': s.path('d2'), '--bundle-dir': s.path('b2'), '--user': 'bob',
                 '--user-password-file': secret, '--desk-passphrase-file': secret}
        words.update(dict(zip(change[::2], change[1::2])))
        return run(SERVER, 'init', '--root', root, *[w for pair in words.items() for w in pair], code=None)
    os.symlink(s.dir, s.path('link'))
    os.mkdir(s.path('full'))
    s.put('full/of.something', '')
    for change, code, said in ((('--recovery-url', 'https://a/?k=1'), 2, 'QR code'),
                               (('--recovery-url', 'https://ä'), 2, 'QR code'),
                               (('--url', 'http://a:1'), 2, 'https://keys'),
                               (('--url', 'https://a'), 2, 'https://keys'),
                               (('--url', 'https://a:99999'), 2, '1 to 65535'),
                               (('--url', 'https://a:0'), 2, '1 to 65535'),
                               (('--url', 'https://a:65536'), 2, 'https://keys'),
                               (('--user', 'a b'), 2, 'blanks'),
                               (('--desk-dir', s.path('o2')), 2, '--desk-dir: --offline-dir, --desk-dir and --bundle-dir must be three'),
                               (('--desk-dir', s.path('o2/a/../desk')), 2, 'none lies in another'),
                               (('--bundle-dir', s.path('x/../d2/')), 2, '--bundle-dir: '),
                               (('--bundle-dir', s.path('link/d2')), 2, '--bundle-dir: '),
                               (('--bundle-dir', s.dir), 2, '--bundle-dir: '),
                               (('--bundle-dir', '/'), 2, '--bundle-dir: '),
                               (('--bundle-dir', s.path('full')), 3, s.path('full') + ': the bundle goes to every laptop'),
                               (('--offline-dir', '/proc/x'), 1, 'keyholt-server: /proc/x: '),
                               (('--bundle-dir', secret + '/x'), 1, f'keyholt-server: {secret}/x: '),
                               (('--desk-passphrase-file', '/dev/null'), 1, '--desk-passphrase-file: it is empty'),
                               (('--org-name', ''), 2, 'UTF-8'),
                               (('--user-password-file', '/nonexistent'), 1, 'not found')):
        p = init(s.path('r2'), *change)
        eq(p.returncode, code, f'{change}: {p.stderr}')
        holds(said in p.stderr, f'{change}: {p.stderr}')
        holds(not os.path.exists(s.path('r2', 'etc/keyholt/org/org.json')), 'an organisation was made')
    if as_root():
        holds('--export-uid: a number above 0' in init(s.path('r2'), '--export-uid', '0').stderr, 'no root')
        holds('--export-uid: four different' in init(s.path('r2'), '--export-uid', '5', '--web-uid', '5').stderr, 'four')
    os.makedirs(s.path('r3'))
    os.makedirs(s.path('r3/etc/keyholt/org/org.json.sig'))  # so that it fails at the very end
    eq(init(s.path('r3')).returncode, 1, 'half-way')
    eq([os.listdir(s.path(n)) for n in ('o2', 'b2')], [[], []], 'nothing is left of it')
    os.rmdir(s.path('r3/etc/keyholt/org/org.json.sig'))
    eq(init(s.path('r3')).returncode, 0, 'and again')
    shutil.rmtree(s.path('o2'))
    before = open(os.path.join(s.root, 'etc/keyholt/org/org.json'), 'rb').read()
    p = init(s.root)
    eq(p.returncode, 3, p.stderr)
    holds('already' in p.stderr, p.stderr)
    eq(open(os.path.join(s.root, 'etc/keyholt/org/org.json'), 'rb').read(), before, 'org.json')
    holds(not os.path.exists(s.path('o2', 'root.key')), 'no key was left behind')


def test_init_layout(s):
    for name in ('org.json', 'org.json.sig', 'root.pub', 'token'):
        holds(os.path.exists(os.path.join(s.bundle, name)), name)
    eq(os.path.getsize(os.path.join(s.bundle, 'org.json.sig')), 64, 'signature')
    pin = hashlib.sha256(open(os.path.join(s.bundle, 'root.pub'), 'rb').read()).hexdigest()
    holds(pin in s.init.stdout, s.init.stdout)
    eq([k['use'] for k in s.org['escrow_keys']], ['vault', 'desk'], 'escrow keys')
    token = s.token()
    for folder, _, files in os.walk(s.root):
        for name in files:
            data = open(os.path.join(folder, name), 'rb').read()
            holds(token.encode() not in data, f'the token stands in {name}')
            holds(PASSWORD.encode() not in data, f'a password stands in {name}')
    text = run('openssl', 'ec', '-in', s.state('vault/keys', os.listdir(s.state('vault/keys'))[0].split('.')[0] + '.key'),
               '-passin', 'pass:wrong', '-noout', code=None)
    holds(text.returncode != 0, 'the vault key is encrypted')


def test_refuses_to_run_with_readable_offline_keys(s):
    if not as_root():
        raise Skip('needs root: without it the keys were taken away before')
    root_key = s.path('offline/root.key')
    os.chmod(s.dir, 0o755)
    os.chmod(s.path('offline'), 0o755)
    os.chmod(root_key, 0o644)
    try:
        p = subprocess.run([SERVER, 'serve', '--root', s.root, '--listen', '127.0.0.1:0'], capture_output=True, text=True,
                           timeout=60)
    finally:
        os.chmod(root_key, 0o600)
        os.chmod(s.path('offline'), 0o700)
        os.chmod(s.dir, 0o700)
    eq(p.returncode, 1, p.stderr)
    holds('offline root key' in p.stderr and 'ready' not in p.stdout, p.stderr)


def test_three_users_or_none():
    if not as_root():
        raise Skip('needs root: without it all run as the caller')
    s = Server()
    try:
        conf = os.path.join(s.root, 'etc/keyholt/server.conf')
        text = open(conf, encoding='utf-8').read()
        for old, new in (('vault-uid = 64803', 'vault-uid = 64801'), ('web-uid = 64801', 'web-uid = 64802'),
                         ('writer-uid = 64802', 'writer-uid = 0')):
            holds(old in text, old)
            open(conf, 'w', encoding='utf-8').write(text.replace(old, new))
            p = run(SERVER, 'serve', '--root', s.root, '--listen', '127.0.0.1:0', code=1)
            holds('must be different' in p.stderr, f'{new}: {p.stderr}')
    finally:
        s.clean()


def test_second_server_is_refused(s):
    p = run(SERVER, 'serve', '--root', s.root, '--listen', '127.0.0.1:0', code=1)
    eq(p.stderr, f'keyholt-server: {s.root}: a server is running here already\n', 'said')
    p = run(SERVER, 'serve', '--root', s.path('nowhere'), '--listen', '127.0.0.1:0', code=1)
    holds('keyholt-server init' in p.stderr, p.stderr)


def test_address_in_use():
    s = Server()
    try:
        with socket.socket() as other:
            other.bind(('127.0.0.1', 0))
            other.listen()
            taken, number = f'127.0.0.1:{other.getsockname()[1]}', 'port from 1 to 65535'
            for address, said in ((taken, 'in use'), ('192.0.2.1:8443', "none of this machine's"), ('localhost:1', number),
                                  ('x', number), ('127.0.0.1:99999', number), ('[::1]:65536', number)):
                p = run(SERVER, 'serve', '--root', s.root, '--listen', address, code=1)
                holds(p.stderr.startswith(f'keyholt-server: {address}: ') and said in p.stderr and p.stderr.count('\n') == 1,
                      p.stderr)
            for name, address, said in (('metrics', taken, 'in use'), ('metrics', '127.0.0.1:99999', number),
                                        ('metrics', '127.0.0.1:0', number), ('listen', '[::1]:99999', number),
                                        ('listen', '127.0.0.1:0', number), ('listen', '', number)):
                s.configure(metrics='', listen=f'127.0.0.1:{free_port()}')
                s.configure(**{name: address})
                p = run(SERVER, 'serve', '--root', s.root, code=1)
                holds(said in p.stderr and (address or 'listen') in p.stderr, f'{name} = {address}: {p.stderr}')
    finally:
        s.clean()


# ---- HTTP and TLS

def test_health_and_problems(s):
    status, headers, body = s.request('GET', '/healthz')
    eq(headers['Cache-Control'], 'no-store', 'cache')
    eq((status, body), (200, {'status': 'ok', 'disclosure': True, 'escrow_keys': {'opened': 1, 'failed': 0}}), 'health')
    problem(s.request('GET', '/nothing'), 404)
    got = s.request('GET', '/v1/sync')
    problem(got, 405)
    eq(got[1]['Allow'], 'POST', 'Allow')
    problem(s.request('POST', '/v1/sync', '{}'), 401)
    for body, status in (('', 400), ('[]', 400), ('{"token":"a","token":"b"}', 400), ('{}', 422), ('{"token":1}', 422)):
        problem(s.request('POST', '/v1/enroll', body), status)
    problem(s.request('POST', '/v1/enroll', 'x', headers={'Content-Encoding': 'br'}), 415)
    problem(s.request('POST', '/v1/enroll', 'no gzip', headers={'Content-Encoding': 'gzip'}), 400)


def test_only_tls_1_3(s):
    ctx = ssl.create_default_context(cafile=s.ca)
    ctx.maximum_version = ssl.TLSVersion.TLSv1_2
    try:
        with socket.create_connection(('127.0.0.1', s.port), 60) as raw, ctx.wrap_socket(raw, server_hostname='127.0.0.1'):
            raise AssertionError('TLS 1.2 was spoken')
    except ssl.SSLError:
        pass


def test_server_certificate_names(s):
    ctx = ssl.create_default_context(cafile=s.ca)
    for name in ('127.0.0.1', 'keys.example.org'):
        with socket.create_connection(('127.0.0.1', s.port), 60) as raw, ctx.wrap_socket(raw, server_hostname=name):
            pass
    try:
        with socket.create_connection(('127.0.0.1', s.port), 60) as raw, ctx.wrap_socket(raw, server_hostname='x.example.org'):
            raise AssertionError('a wrong name was accepted')
    except ssl.SSLCertVerificationError:
        pass


def test_deadlines(s):
    """A handshake that never comes ends after 10 s, a header that drips after 20 s; both at once, in 21 s."""
    ctx, late = ssl.create_default_context(cafile=s.ca), 3 if JUDGED else 40
    begin = time.monotonic()
    with socket.create_connection(('127.0.0.1', s.port), 60) as silent, \
            socket.create_connection(('127.0.0.1', s.port), 60) as raw, \
            ctx.wrap_socket(raw, server_hostname='127.0.0.1') as tls:
        start = time.monotonic()
        tls.sendall(b'POST /v1/sync HTTP/1.1\r\nHost: x\r\n')
        silent.settimeout(60)
        eq(silent.recv(1), b'', 'the silent one is closed')
        took = time.monotonic() - begin
        holds(8 < took < 10 + late, f'handshake deadline: {took:.1f} s')
        tls.settimeout(1)
        closed = None
        while closed is None and time.monotonic() - start < 90:
            try:
                tls.sendall(b'X-Drip: 1\r\n')
                closed = time.monotonic() - start if tls.recv(1) == b'' else None
            except TimeoutError:
                pass
            except OSError:
                closed = time.monotonic() - start
        holds(closed is not None and 17 < closed < 22 + late, f'request deadline: {closed}')


def test_silent_connections_keep_nobody_out(s):
    """More silent connections than handshakes may be under way: the oldest go, and who speaks is served."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # before its deadline of 10 s; a machine that is slower than that at the rest may try again
    holds(any(many_silent(s) < 9 for _ in range(3)), 'the oldest is closed')
    eq(s.request('GET', '/healthz')[0], 200, 'afterwards')


def many_silent(s):
    """How many seconds the first of many silent connections was open."""
    silent, start = [], time.monotonic()
    try:
        for _ in range(600 * os.cpu_count()):  # a worker per core, each takes 512
            silent.append(socket.create_connection(('127.0.0.1', s.port), 60))
        for _ in range(3):
            eq(s.request('GET', '/healthz')[0], 200, 'served')
        silent[0].settimeout(60)
        eq(silent[0].recv(1), b'', 'the oldest is closed')
        took = time.monotonic() - start
        silent[-1].setblocking(False)
        try:
            raise AssertionError(f'the newest got {silent[-1].recv(1)!r}')
        except BlockingIOError:
            pass
    finally:
        for one_of_them in silent:
            one_of_them.close()
    return took


def test_large_bodies(s):
    d = enrolled(s, 'large')
    huge = json.dumps({'device': d.id[:16], 'records': [], 'envelopes': d.digest(), 'x': 'y' * (2 << 20)})
    problem(d.sync_raw(gzip.compress(huge.encode()), headers={'Content-Encoding': 'gzip'}), 413)
    try:
        status = d.sync_raw(huge)[0]
        eq(status, 413, 'plain')
    except (ConnectionError, ssl.SSLError):
        pass  # the server closed before it had read it all
    eq(s.request('GET', '/healthz')[0], 200, 'still there')


# ---- enrolment

def test_enroll(s):
    d = Device(s, 'first')
    status, answer = d.enroll()
    eq(status, 200, 'status')
    eq(answer['device'], d.id, 'device ID is the hash of its key')
    text = run('openssl', 'x509', '-noout', '-subject', '-ext', 'extendedKeyUsage', '-in', d.cert[0]).stdout
    holds(d.id in text.replace(' ', '') and 'TLS Web Client' in text, text)
    run('openssl', 'verify', '-CAfile', s.ca, d.cert[0])


def test_enroll_refusals(s):
    d = Device(s, 'refused')
    body = d.enroll_body('A' * 32)
    problem(s.request('POST', '/v1/enroll', json.dumps(body)), 403)
    body = d.enroll_body()
    for field, value in (('time', body['time'] + 1), ('courier_csr', Device(s, 'other').csr)):
        detail = problem(s.request('POST', '/v1/enroll', json.dumps({**body, field: value})), 403)
        holds('signature' in detail, detail)
    problem(s.request('POST', '/v1/enroll', json.dumps({**body, 'device_spki': 'AAAA'})), 422)
    problem(s.request('POST', '/v1/enroll', json.dumps({**body, 'courier_csr': 'x' * 5000})), 422)


def test_token_is_use_counted_and_expires(s):
    token = s.command('token', 'new', '--uses', '1').stdout.strip()
    a, b = Device(s, 'tok-a'), Device(s, 'tok-b')
    eq(a.enroll(token)[0], 200, 'first use')
    eq(a.enroll(token)[0], 200, 'the same device again costs nothing')
    eq(b.enroll(token)[0], 403, 'used up')
    db = sqlite3.connect(s.state('writer/recovery.db'))
    with db:
        db.execute('UPDATE tokens SET expires = 1 WHERE hash = ?', (hashlib.sha256(s.token().encode()).digest(),))
    try:
        eq(b.enroll()[0], 403, 'expired')
    finally:
        with db:
            db.execute('UPDATE tokens SET expires = 9999999999 WHERE hash = ?', (hashlib.sha256(s.token().encode()).digest(),))
        db.close()
    eq(b.enroll()[0], 200, 'valid again')


# ---- sync

def test_sync_receipts(s):
    d = enrolled(s, 'sync')
    status, headers, answer = d.sync()
    eq(status, 200, 'empty sync')
    eq((answer['receipts'], answer['known'], answer['commands'], answer['envelopes_match']), ([], None, [], True), 'empty')
    holds(answer['audit_head']['length'] >= 1 and answer['retry_after'] > 0, 'head')
    a, b, c = d.escrow(), d.report('{"os":"Debian"}'), d.event(1, NO_GUID)
    status, headers, answer = d.sync(a, b, c)
    eq(status, 200, str(answer))
    eq(headers['Cache-Control'], None, 'a POST')
    eq(sorted(d.names(answer)), sorted(r['name'] for r in (a, b, c)), 'receipted')
    eq(len(answer['receipts']), 1, 'one receipt per answer')
    eq(answer['known'], {'incarnation': d.incarnation[:16], 'sequence': 3, 'name': c['name'][:16]}, 'known')
    eq(answer['envelopes_match'], True, 'digest')
    eq(d.sync(envelopes='00' * 8)[2]['envelopes_match'], False, 'another digest')


def test_sync_is_idempotent(s):
    d = enrolled(s, 'again')
    a, b = d.escrow(), d.report('{}')
    for records in ((a, b), (b, a), (a, a, b)):
        eq(sorted(d.names(d.sync(*records)[2])), sorted((a['name'], b['name'])), 'receipted each time')
    with contextlib.closing(sqlite3.connect(s.state('writer/recovery.db'))) as db:
        n = db.execute('SELECT count(*) FROM records WHERE device = ?', (bytes.fromhex(d.id),)).fetchone()[0]
    eq(n, 1, 'stored once')


def test_sync_refuses_bad_records(s):
    d, other = enrolled(s, 'bad'), enrolled(s, 'bad-other')
    good, foreign = d.escrow(), other.escrow()
    size = len(good['record']) // 4 * 3 - good['record'].count('=')
    for record, what in ((flip(good, size - 1), 'signature'), (flip(good, 70), 'previous hash'), (flip(good, 200), 'envelope'),
                         (foreign, 'another device'), ({'record': 'AAAA'}, 'too short'), ({'record': '!'}, 'no base64'),
                         ({'record': 'QUFB' * 2000}, 'too long')):
        detail = problem(d.sync(record), 422)
        holds('ecord' in detail, f'{what}: {detail}')
    problem(d.sync(good, flip(good, size - 1)), 422)
    with contextlib.closing(sqlite3.connect(s.state('writer/recovery.db'))) as db:
        n = db.execute('SELECT count(*) FROM records WHERE device = ?', (bytes.fromhex(d.id),)).fetchone()[0]
    eq(n, 0, 'a refused sync stores nothing')
    place, d.sequence = d.sequence, 2**64 - 2
    problem(d.sync(d.report('{}')), 422)
    d.sequence = place
    problem(d.sync(device=other.id[:16]), 403)
    problem(d.sync(good, records=[good['record']] * 257), 422)
    eq(d.sync(good)[0], 200, 'the good one')


def test_certificates(s):
    d = enrolled(s, 'cert')
    own_ca, key = s.path('own-ca'), s.path('own.key')
    run('openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', own_ca + '.key',
        '-out', own_ca + '.pem', '-subj', '/CN=' + s.org['name'])
    run('openssl', 'x509', '-req', '-in', d.csr_path, '-CA', own_ca + '.pem', '-CAkey', own_ca + '.key', '-CAcreateserial',
        '-out', s.path('foreign.pem'))
    try:
        status = d.sync(cert=(s.path('foreign.pem'), d.cert[1]))[0]
        raise AssertionError(f'a foreign certificate got {status}')
    except (ssl.SSLError, ConnectionError):
        pass
    # a certificate of the right CA for the same device, but a key that was not enrolled
    run('openssl', 'req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key, '-out',
        s.path('own.csr'), '-subj', '/CN=' + d.id)

    def issue(csr, out, *more):
        run('openssl', 'x509', '-req', '-in', csr, '-CA', s.ca, '-CAkey', s.state('writer/ca.key'), '-CAcreateserial', '-out',
            out, *more)
    issue(s.path('own.csr'), s.path('own.pem'))
    problem(d.sync(cert=(s.path('own.pem'), key)), 403)


def test_certificates_are_renewed(s):
    """In the answer to a sync, for the same key, when less than a third of the life is left or none at all."""
    d = enrolled(s, 'expired')

    def dated(days_before, days_after):
        now = time.time()
        start, end = (time.strftime('%Y%m%d%H%M%SZ', time.gmtime(now + 86400 * n)) for n in (-days_before, days_after))
        return s.courier_certificate(d, start, end), d.cert[1]
    for row, cert, due in (('fresh', d.cert, False), ('two thirds gone, nearly', dated(659, 341), False),
                           ('two thirds gone', dated(670, 330), True), ('expired long ago', dated(9000, -8000), True)):
        status, _, answer = d.sync(d.escrow(), cert=cert)
        eq(status, 200, row)
        eq('certificate' in answer, due, row)
    new = s.put('renewed.pem', answer['certificate'])
    run('openssl', 'verify', '-CAfile', s.ca, '-purpose', 'sslclient', new)
    key, old = (run('openssl', 'x509', '-noout', '-pubkey', '-in', c).stdout for c in (new, d.cert[0]))
    eq(key, old, 'the key stays')
    holds(d.id in run('openssl', 'x509', '-noout', '-subject', '-in', new).stdout, 'so does the device')
    eq('certificate' in d.sync(cert=(new, d.cert[1]))[2], False, 'the new one is good for a while')


def test_brief_answers(s):
    """A device that says its last record hears only what it does not know."""
    d = enrolled(s, 'brief')
    e = d.escrow()
    answer = d.sync(e)[2]
    head, last = answer['audit_head']['hash'], e['name'][:16]
    answer = d.sync(last=last, audit_head=head)[2]
    eq(set(answer), {'retry_after'}, 'nothing to say')
    answer = d.sync(last='00' * 8, audit_head=head)[2]
    eq((set(answer), answer['known']['name']), ({'retry_after', 'known'}, e['name'][:16]), 'another last record')
    answer = d.sync(last=last, audit_head='00' * 32)[2]
    eq(answer['audit_head']['hash'], head, 'another head')
    answer = d.sync(last=last, envelopes='00' * 8)[2]
    eq(('envelopes_match' in answer, answer['want_set'], answer['envelopes']), (False, True, d.digest()), 'another set')
    f = d.escrow()
    eq(d.names(d.sync(f, last=f['name'][:16])[2]), [f['name']], 'a receipt')
    for bad in ('', '00', 7, '0' * 15 + 'x'):
        problem(d.sync(last=bad), 422)


def test_missing_envelopes_are_named(s):
    """Where the digests differ the server asks for the set, and then for what it lacks of it."""
    d = enrolled(s, 'set')
    made = [d.escrow() for _ in range(5)]
    before = time.time()
    answer = d.sync(*made)[2]
    eq((answer['envelopes_match'], 'want_set' in answer, 'missing' in answer, 'envelopes' in answer),
       (True, False, False, False), 'nothing to ask')
    holds(before - 2 < answer['time'] < time.time() + 1, 'the time of the server')
    seen = d.digest()
    lost = [d.escrow(), d.escrow()]
    answer = d.sync()[2]
    eq((answer['envelopes_match'], answer.get('want_set'), answer.get('envelopes')), (False, True, seen), 'a question')
    answer = d.sync(set=d.set())[2]
    eq((answer.get('want_set'), answer['envelopes_match']), (None, False), 'one question at a time')
    want = sorted(bytes.fromhex(m['envelope']) for m in lost)
    eq(base64.b64decode(answer['missing']), b''.join(want), 'what it lacks')
    answer = d.sync(lost[0], set=d.set())[2]
    eq(base64.b64decode(answer['missing']), bytes.fromhex(lost[1]['envelope']), 'what came along is not missing')
    answer = d.sync(lost[1], set=d.set())[2]
    eq((answer['missing'], answer['envelopes_match']), ('', True), 'nothing')
    other = enrolled(s, 'set-other')
    answer = other.sync(set=d.set())[2]
    eq(len(base64.b64decode(answer['missing'])), 7 * 32, "another device's are no help")
    for bad in ('!', base64.b64encode(bytes(33)).decode(), base64.b64encode(bytes(32 * 513)).decode(), 7):
        problem(d.sync(set=bad), 422)
    eq(d.sync(set=base64.b64encode(bytes(32 * 512)).decode())[0], 200, 'a full page')


def test_what_another_identity_brought_is_missed_too(s):
    """The keys of an earlier identity stand under the one that brought them, and are asked for like its own."""
    before, after = enrolled(s, 'made-it'), enrolled(s, 'brought-it')
    made = [before.escrow() for _ in range(2)]
    before.sync(*made)
    brought = [after.escrow(m['key_id'], m['volume'], before.id) for m in made]
    eq(after.sync(brought[0])[2]['envelopes_match'], False, 'one of two')
    answer = after.sync(set=after.set())[2]
    eq(base64.b64decode(answer['missing']), bytes.fromhex(brought[1]['envelope']), 'the other')
    eq(after.sync(brought[1])[2]['envelopes_match'], True, 'all')
    eq(before.sync()[2]['envelopes_match'], True, 'and those are no matter of who made them')


def test_key_packages_are_compared(s):
    """As envelopes, where a device speaks of them; others hear nothing."""
    d = enrolled(s, 'packages')
    d.sync(d.escrow())
    holds('packages' not in d.sync()[2], 'nobody spoke of them')
    nothing, name = hashlib.sha256().hexdigest()[:16], os.urandom(32)
    holds('packages' not in d.sync(packages=nothing)[2], 'none, and none here')
    eq(d.sync(packages='11' * 8)[2]['packages'], {'digest': nothing, 'want_set': True}, 'a question')
    asked = base64.b64encode(name).decode()
    eq(d.sync(packages='11' * 8, package_set=asked)[2]['packages'], {'digest': nothing, 'missing': asked}, 'what it lacks')
    eq(d.sync(packages=nothing, package_set='')[2]['packages'], {'missing': ''}, 'nothing')
    for bad in (7, '', {}, '11' * 7, '11' * 32, 'x' * 16):
        problem(d.sync(packages=bad), 422)
    for bad in ('AA==', 7, base64.b64encode(bytes(32 * 513)).decode()):
        problem(d.sync(packages='11' * 8, package_set=bad), 422)


def test_revoked_device(s):
    d = enrolled(s, 'revoked')
    eq(d.sync()[0], 200, 'before')
    db = sqlite3.connect(s.state('writer/recovery.db'))
    with db:
        db.execute('UPDATE devices SET revoked = 1 WHERE id = ?', (bytes.fromhex(d.id),))
    db.close()
    holds('revoked' in problem(d.sync(), 403), 'sync')
    holds('revoked' in problem(s.request('POST', '/v1/enroll', json.dumps(d.enroll_body())), 403), 'enrol')


def test_revocation_list_of_the_organisation():
    """Signed by the root, in force at the next start; a changed org.json that is not signed stops the server."""
    if not as_root():
        raise Skip('needs root: without it the root key was taken away before')
    s = Server()
    try:
        s.start()
        d, other = enrolled(s, 'listed'), enrolled(s, 'not-listed')
        s.stop()
        path = os.path.join(s.root, 'etc/keyholt/org/org.json')
        s.org['revoked'] = ['00' * 32, d.id, 'ff' * 32]
        with open(path, 'w', encoding='utf-8') as f:
            json.dump(s.org, f)
        p = run(SERVER, 'serve', '--root', s.root, '--listen', '127.0.0.1:0', code=1)
        holds('root\'s signature' in p.stderr, p.stderr)
        tool('sign', s.path('offline/root.key'), path)
        s.start()
        holds('revoked' in problem(d.sync(), 403), 'sync')
        holds('revoked' in problem(s.request('POST', '/v1/enroll', json.dumps(d.enroll_body())), 403), 'enrol')
        eq(other.sync()[0], 200, 'another device')
    finally:
        s.clean()


def test_forks_gaps_and_clones_are_stored_and_flagged(s):
    d = enrolled(s, 'fork')
    kinds = ('fork', 'gap', 'clone', 'restored', 'identity')
    before = [s.metric('flags_total', kind=kind) for kind in kinds]
    first = d.escrow()
    d.sync(first)
    second = d.escrow()
    d.sync(second)
    # a fork: the snapshot was put back, number 2 is said again with another content
    d.sequence, d.previous = 1, first['name']
    fork = d.escrow()
    eq(d.names(d.sync(fork)[2]), [fork['name']], 'a fork is receipted')
    d.sequence += 5
    gap = d.escrow()
    eq(d.names(d.sync(gap)[2]), [gap['name']], 'a gap is receipted')
    old = (d.incarnation, d.sequence, d.previous)
    d.incarnation, d.sequence, d.previous = os.urandom(16).hex(), 0, '0' * 64
    d.sync(d.escrow())
    d.incarnation, d.sequence, d.previous = old
    clone = d.escrow()
    eq(d.names(d.sync(clone)[2]), [clone['name']], 'a clone is receipted')
    d.sync(d.event(6, NO_GUID))  # the device says itself that its records went back
    with contextlib.closing(sqlite3.connect(s.state('writer/recovery.db'))) as db:
        flags = {k for k, in db.execute('SELECT DISTINCT kind FROM flags WHERE device = ?', (bytes.fromhex(d.id),))}
    eq(flags, {'fork', 'gap', 'clone', 'restored'}, 'flags')
    eq([s.metric('flags_total', kind=kind) - n for kind, n in zip(kinds, before)], [1, 1, 1, 1, 0], 'each is counted')


def test_killed_server_keeps_what_it_receipted(s):
    d = enrolled(s, 'killed')
    records = [d.escrow() for _ in range(3)]
    names = d.names(d.sync(*records)[2])
    s.kill()
    s.start()
    with contextlib.closing(sqlite3.connect(s.state('writer/recovery.db'))) as db:
        there = {n.hex() for n, in db.execute('SELECT name FROM records WHERE device = ?', (bytes.fromhex(d.id),))}
    eq(there, set(names), 'every receipted record is there')
    eq(d.sync()[2]['known']['sequence'], 3, 'and known')


def test_dead_children_are_started_again(s):
    d = enrolled(s, 'child')
    for name in ('writer', 'reader', 'vault', 'web'):
        size = os.path.getsize(s.log)
        os.kill(s.children()[name], signal.SIGKILL)
        s.wait_log(f'process=server event=child process={name} ended=signal', size)
        until = time.monotonic() + 60
        status = disclosure = None
        while time.monotonic() < until and (status, disclosure) != (200, True):
            try:
                status, _, body = s.request('GET', '/healthz')
                disclosure = (body or {}).get('disclosure')
            except OSError:
                pass
            time.sleep(0.05)
        eq((status, disclosure), (200, True), f'after the death of {name}')
        eq(d.sync(d.escrow())[0], 200, f'sync after the death of {name}')


@contextlib.contextmanager
def small_disk(s, folder, owner, size):
    """A folder of the server's on a file system of its own; yields what fills it to the last byte."""
    if not as_root():
        raise Skip('needs root to mount a small tmpfs')
    path, copy = s.state(folder), s.path(folder + '-copy')
    run('cp', '-a', path, copy)
    if run('mount', '-t', 'tmpfs', '-o', f'size={size},mode=0700,uid={owner},gid={owner}', 'keyholt-test', path, code=None).returncode:
        raise Skip('a tmpfs cannot be mounted here')

    def fill():
        with open(os.path.join(path, 'junk'), 'wb', 0) as f:
            try:
                while True:
                    f.write(b'x' * 4096)
            except OSError as e:
                eq(e.errno, errno.ENOSPC, 'the disk is full')
    try:
        run('cp', '-a', copy + '/.', path)
        yield fill
    finally:
        s.stop()
        run('umount', path)


def test_full_disk_gives_no_receipt():
    """The writer's folder on a small file system of its own, filled to the last block."""
    s = Server()
    try:
        with small_disk(s, 'writer', 64802, '2m') as fill:
            s.start()
            d = enrolled(s, 'full')
            kept = d.names(d.sync(d.escrow())[2])
            fill()
            lost = [d.escrow() for _ in range(20)]
            got = d.sync(*lost)
            holds(int(got[1]['Retry-After']) > 0, problem(got, 503))
            with contextlib.closing(sqlite3.connect(f'file:{s.state("writer/recovery.db")}?mode=ro', uri=True)) as db:
                there = [n.hex() for n, in db.execute('SELECT name FROM records')]
            eq(there, kept, 'nothing but what was receipted')
            os.remove(s.state('writer/junk'))
            eq(sorted(d.names(d.sync(*lost)[2])), sorted(r['name'] for r in lost), 'afterwards')
    finally:
        s.clean()


def test_full_disk_gives_no_password():
    """The vault's folder, filled: the log takes no entry, so nothing is disclosed; with room it goes on, its chain good."""
    s = Server()
    try:
        with small_disk(s, 'vault', 64803, '256k') as fill:
            s.start()
            d = enrolled(s, 'full')
            e = d.escrow()
            d.sync(e)
            fill()
            refused, log = 0, s.state('vault/audit.log')
            for _ in range(40):  # what is left of the log's last block takes a few
                whole = open(log, 'rb').read()
                got, err = s.recover(e['key_id'], code=None)
                refused = refused + 1 if 'audit log cannot be written' in err else 0
                if refused:
                    holds('recovery_password' not in got and e['digits'][:13] not in err, f'nothing disclosed: {err}')
                    eq(open(log, 'rb').read(), whole, 'nothing of the entry stays')
                if refused == 3:
                    break
            eq(refused, 3, 'refused, and again')
            holds('good' in s.command('audit', 'verify').stdout, 'the chain')
            eq(d.sync(d.escrow())[0], 200, 'escrow goes on')
            os.remove(s.state('vault/junk'))
            eq(s.recover(e['key_id'])[0]['recovery_password'], e['digits'], 'with room')
            holds('good' in s.command('audit', 'verify').stdout, 'the chain afterwards')
    finally:
        s.clean()


def test_two_workers_and_a_storm():
    """Two web workers, 16 devices at once, a worker killed in between: no receipted record is missing."""
    s = Server('--web-workers', '2')
    try:
        s.start()
        devices = [enrolled(s, f'storm-{i}') for i in range(16)]
        batches = [[[d.escrow() for _ in range(2)] for _ in range(4)] for d in devices]
        receipted, unanswered = set(), []

        def storm(d, mine):
            for records in mine:
                end = time.monotonic() + 60
                while time.monotonic() < end:
                    try:
                        status, _, answer = d.sync(*records)
                        if status == 200:
                            receipted.update(d.names(answer))
                            break
                    except (OSError, http.client.HTTPException):
                        pass  # its worker died; say it again
                else:
                    unanswered.append(d.name)
        threads = [threading.Thread(target=storm, args=pair) for pair in zip(devices, batches)]
        for t in threads:
            t.start()
        webs = [int(pid) for pid in run('pgrep', '-f', f'^web --root {s.root}').stdout.split()]
        eq(len(webs), 2, 'two workers')
        os.kill(webs[0], signal.SIGKILL)
        for t in threads:
            t.join(300)
        eq(unanswered, [], 'every device was served')
        want = {r['name'] for mine in batches for records in mine for r in records}
        eq(receipted, want, 'everything is receipted')
        s.kill()
        s.start()
        with contextlib.closing(sqlite3.connect(s.state('writer/recovery.db'))) as db:
            there = {n.hex() for n, in db.execute('SELECT name FROM records')}
        eq(there, want, 'and there after a power cut')
        for d, mine in zip(devices[:4], batches):
            eq(s.recover(mine[0][0]['key_id'])[0]['recovery_password'], mine[0][0]['digits'], 'recover')
            eq(d.orders(d.sync()[2]), [mine[0][0]['key_id']], 'the order arrives through any worker')
    finally:
        s.clean()


# ---- disclosure

def test_recover(s):
    d = enrolled(s, 'recover')
    e = d.escrow()
    d.sync(e)
    got, _ = s.recover(e['key_id'][:8].lower())
    eq(got['recovery_password'], e['digits'], 'the very password')
    eq((got['key_id'], got['volume'], got['device'], got['computer']), (e['key_id'], e['volume'], d.id, 'laptop-1'), 'whose')
    entry = [a for a in s.audit('--key-id', e['key_id']) if a['action'] == 'disclose']
    eq(len(entry), 1, 'one entry')
    eq((entry[0]['who'], entry[0]['role'], entry[0]['reason'], entry[0]['device']),
       ('alice', 'advanced', 'forgot the passphrase', d.id), 'entry')
    # plain output: nothing but the digits on standard output
    p = s.command('recover', '--key-id', e['key_id'], '--reason', 'again', '--as', 'alice', '--password-file', '-',
                  stdin=PASSWORD)
    eq(p.stdout, e['digits'] + '\n', 'stdout')
    holds(e['digits'][:13] not in p.stderr, 'not on stderr')
    answer = d.sync()[2]
    eq(d.orders(answer), [e['key_id']], 'the order to rotate')
    eq(answer['commands'], d.sync()[2]['commands'], 'the same bytes until it is done')
    new = d.escrow(volume=e['volume'])
    event = d.event(2, new['key_id'], e['key_id'], e['volume'])
    eq(d.orders(d.sync(new, event)[2]), [], 'done')
    eq(s.recover(new['key_id'])[0]['recovery_password'], new['digits'], 'the new key')


def test_recover_without_a_server():
    s = Server()
    try:
        p = s.command('recover', '--key-id', '00000000', '--reason', 'x', '--as', 'alice', '--password-file', '-', '--json', code=4, stdin='x')
        message = json.loads(p.stdout)['error']['message']
        holds('keyholt-desk open' in message and '\n' not in message, message)
    finally:
        s.clean()


def test_recover_refusals(s):
    d = enrolled(s, 'refusals')
    e = d.escrow()
    d.sync(e)
    before = len(s.audit())
    for change, code, said in (({'password': 'wrong password'}, 3, 'Wrong name, password'),
                               ({'who': 'nobody'}, 3, 'Wrong name, password'),
                               ({'reason': ' '}, 3, 'reason is needed'),
                               ({'key': '00000000'}, 3, 'No key'),
                               ({'key': e['key_id'][:5]}, 3, 'too short'),
                               ({'key': 'xyz'}, 2, 'hexadecimal'), ({'key': ''}, 2, '--key-id'), ({'key': '{}'}, 2, '--key-id'), ({'reason': ''}, 2, '--reason'),
                               ({'reason': 'caf\udce9'}, 2, '--reason: what was typed is not UTF-8'), ({'reason': 'x' * 257}, 2, '(--reason)'),
                               ({'extra': ('--device', 'xyz')}, 2, '(--device)'), ({'extra': ('--user', 'x' * 129)}, 2, '(--user)'),
                               ({'extra': ('--device', 'ffff')}, 3, 'of a device that begins with FFFF')):
        got, err = s.recover(change.pop('key', e['key_id']), code=code, **change)
        holds(said in err, err)
        holds('recovery_password' not in got and e['digits'][:13] not in json.dumps(got) + err, 'nothing disclosed')
    refused = [a for a in s.audit()[before:] if a['action'] == 'refuse']
    eq([x['detail'].split(' asked=')[0] for x in refused],
       ['wrong name, password or code'] * 2 + ['no reason', 'unknown key', 'several keys fit', 'unknown key'], 'on record')
    eq(d.orders(d.sync()[2]), [], 'nothing to rotate')


def test_help_desk_must_name_the_user(s):
    d = enrolled(s, 'desk-role')
    e = d.escrow()
    d.sync(e)
    s.command('user', 'add', '--name', 'bob', '--role', 'helpdesk', '--password-file', '-', stdin='bobs password\n')
    s.command('user', 'add', '--name', 'bob', '--role', 'advanced', '--password-file', '-', stdin='bobs password\n', code=3)
    s.command('user', 'add', '--name', 'eve', '--role', 'admin', '--password-file', '-', stdin='eves password\n', code=2)
    _, err = s.recover(e['key_id'], code=3, who='bob', password='bobs password')
    holds('--user' in err, err)
    for nobody in (' ', '\u00a0', '\u2003\u3000', '\ufeff\t'):
        _, err = s.recover(e['key_id'], code=3, who='bob', password='bobs password', extra=('--user', nobody))
        holds('--user' in err, f'{nobody!r}: {err}')
    got, _ = s.recover(e['key_id'], who='bob', password='bobs password', extra=('--user', 'carol'))
    eq(got['recovery_password'], e['digits'], 'with a user')
    entry = [a for a in s.audit('--key-id', e['key_id']) if a['action'] == 'disclose'][0]
    holds(entry['role'] == 'helpdesk' and 'user=carol' in entry['detail'], str(entry))


def test_ambiguous_prefix_discloses_nothing(s):
    d, other = enrolled(s, 'prefix-a'), enrolled(s, 'prefix-b')
    a = d.escrow('ABCDEF01-0000-4000-8000-000000000001')
    b = d.escrow('ABCDEF01-0000-4000-8000-000000000002')
    d.sync(a, b)
    got, err = s.recover('ABCDEF01', code=3)
    eq(sorted(k['key_id'] for k in got['keys']), [a['key_id'], b['key_id']], 'listed')
    holds(a['key_id'] in err and b['key_id'] in err, err)
    holds(a['digits'][:13] not in json.dumps(got) + err, 'nothing disclosed')
    got, _ = s.recover('ABCDEF01', code=3, password='wrong password')
    holds('keys' not in got, 'a stranger gets no list')
    got, _ = s.recover('A', code=3)
    holds(len(got['keys']) >= 2, 'a short one lists')
    eq(s.recover(b['key_id'])[0]['recovery_password'], b['digits'], 'the whole ID')
    # the same key ID from another device: not unique by constraint, so named by device
    c = other.escrow(a['key_id'])
    other.sync(c)
    eq(len(s.recover(a['key_id'], code=3)[0]['keys']), 2, 'two devices, one key ID')
    eq(s.recover(a['key_id'], extra=('--device', other.id[:16]))[0]['recovery_password'], c['digits'], 'by device')


def test_a_flood_hides_no_key(s):
    owner, thief = enrolled(s, 'flooded'), enrolled(s, 'flood')
    e = owner.escrow()
    owner.sync(e)
    thief.sync(*[thief.escrow(e['key_id']) for _ in range(20)])
    got, err = s.recover(e['key_id'], code=3)
    eq((len(got['keys']), got['more'], got['keys'][0]['device']), (3, True, owner.id), 'listed')
    holds('others' in err and '--device' in err, err)
    eq(s.recover(e['key_id'], extra=('--device', owner.id))[0]['recovery_password'], e['digits'], 'by device')


def test_brought_envelope_cannot_replace_the_owners(s):
    owner, thief = enrolled(s, 'owner'), enrolled(s, 'thief')
    e = owner.escrow()
    owner.sync(e)
    false = thief.escrow(e['key_id'], e['volume'], owner.id)
    eq(thief.names(thief.sync(false)[2]), [false['name']], 'a sighting is receipted')
    eq(s.recover(e['key_id'])[0]['recovery_password'], e['digits'], 'the owner\'s own')
    with contextlib.closing(sqlite3.connect(s.state('writer/recovery.db'))) as db:
        seen = db.execute('SELECT owner, seen_by FROM sightings WHERE key_id = ?', (e['key_id'],)).fetchall()
    eq(seen, [(bytes.fromhex(owner.id), bytes.fromhex(thief.id))], 'a sighting')


def test_another_identity_answers_for_the_earlier_one(s):
    """A computer got another identity (its TPM was cleared): what was disclosed of the earlier one is its to replace."""
    before = enrolled(s, 'before')
    early, late = before.escrow(), before.escrow()
    before.sync(early, late)
    eq(s.recover(early['key_id'])[0]['rotation'], 'ordered', 'disclosed before there was another identity')
    time.sleep(1.1)  # enrolled is a whole second after the last word of the earlier one
    after = enrolled(s, 'after')
    brought = [after.escrow(e['key_id'], e['volume'], before.id) for e in (early, late)]
    after.sync(*brought)
    new = [after.escrow(volume=e['volume']) for e in (early, late)]
    said = after.event(2, new[0]['key_id'], early['key_id'], early['volume'])
    after.sync(*new, said)
    eq(s.recover(early['key_id'])[0]['rotation'], 'done', 'what it did unasked counts')
    eq(s.recover(late['key_id'])[0]['rotation'], 'ordered', 'not done yet')
    times = after.order_times(after.sync()[2])
    eq(sorted(times), sorted([early['key_id'], late['key_id']]), 'it is asked, and told what was shown since')
    heard = after.event(2, new[0]['key_id'], early['key_id'], early['volume'], when=times[early['key_id']])
    eq(after.orders(after.sync(heard)[2]), [late['key_id']], 'and is asked only for what it did not do')
    eq(after.orders(after.sync(after.event(2, new[1]['key_id'], late['key_id'], late['volume']))[2]), [], 'answered')
    eq(s.recover(late['key_id'])[0]['rotation'], 'done', 'closed')
    eq(sorted(before.orders(before.sync()[2])), sorted([early['key_id'], late['key_id']]), 'a clone has its own to do')
    stranger = enrolled(s, 'stranger')
    stranger.sync(stranger.escrow(late['key_id'], late['volume'], before.id))  # and what waits to be stored is
    eq(s.recover(late['key_id'])[0]['rotation'], 'ordered', 'the earlier one was seen again')
    eq(stranger.orders(stranger.sync()[2]), [], 'who only saw the key is not asked')


def test_quota_and_throttle():
    s = Server()
    try:
        conf = os.path.join(s.root, 'etc/keyholt/server.conf')
        text = open(conf, encoding='utf-8').read().replace('disclosures-per-hour = 20', 'disclosures-per-hour = 2')
        open(conf, 'w', encoding='utf-8').write(text)
        s.start()
        d = enrolled(s, 'quota')
        e = d.escrow()
        d.sync(e)
        s.recover(e['key_id'])
        s.recover(e['key_id'])
        holds('limit' in s.recover(e['key_id'], code=4)[1], 'the third is refused')
        s.stop()
        s.start()
        holds('limit' in s.recover(e['key_id'], code=4)[1], 'also after a restart: the log counts')
        for _ in range(5):
            s.recover(e['key_id'], code=3, password='guess')
        _, err = s.recover(e['key_id'], code=4)
        holds('Too many wrong passwords' in err, err)
        eq(s.recover(e['key_id'], code=3, who='mallory')[1].count('Wrong name'), 1, 'others are not held up')
        # names that are nobody's share one count, so they neither push alice's out nor fill the log
        before = os.path.getsize(s.state('vault/audit.log'))
        said = [s.recover(e['key_id'], code=None, who=f'nobody{i}')[1] for i in range(10)]
        eq([('Wrong name' in t, 'Too many' in t) for t in said], [(True, False)] * 4 + [(False, True)] * 6, 'nobodies')
        holds(os.path.getsize(s.state('vault/audit.log')) < before + 5 * 1000, 'the log is bounded')
        s.command('user', 'add', '--name', 'bob', '--role', 'advanced', '--password-file', '-', stdin='bobs password')
        s.recover(e['key_id'], who='bob', password='bobs password')
    finally:
        s.clean()


def test_unwritable_log_means_no(s):
    if not as_root():
        raise Skip('needs root: the vault must be another user than the owner of the log')
    d = enrolled(s, 'log')
    e = d.escrow()
    d.sync(e)
    log, folder = s.state('vault/audit.log'), s.state('vault')
    before = open(log, 'rb').read()

    def refuse(what):
        got, err = s.recover(e['key_id'], code=1)
        holds('audit log cannot be written' in err, f'{what}: {err}')
        holds(e['digits'][:13] not in json.dumps(got) + err, f'{what}: nothing disclosed')
    was = os.stat(log)
    os.chown(log, 0, was.st_gid)
    os.chmod(log, 0o444)
    refuse('read-only log')
    for words in (('approve', '--entry', '1'), ('audit', 'acknowledge', '--entry', '1', '--reason', 'x'), ('audit', 'erase', '--entries', '1')):
        err = s.command(*words, '--as', 'alice', '--password-file', '-', code=1, stdin='x').stderr
        holds('audit log cannot be written' in err, f'{words}: {err}')
    os.chown(log, was.st_uid, was.st_gid)
    os.chmod(log, 0o600)
    os.rename(log, log + '.away')
    os.mkdir(log)
    refuse('a folder in its place')
    os.rmdir(log)
    os.rename(log + '.away', log)
    was = os.stat(folder)
    os.chmod(log, 0o000)
    refuse('no rights at all')
    os.chmod(log, 0o600)
    eq(open(log, 'rb').read(), before, 'the log is as it was')
    eq(d.sync(d.escrow())[0], 200, 'everything else works')
    eq(s.recover(e['key_id'])[0]['recovery_password'], e['digits'], 'and afterwards disclosure too')
    people = s.state('vault/users.json')
    os.rename(people, people + '.away')
    os.mkdir(people)
    holds('file of users' in s.recover(e['key_id'], code=1)[1], 'nobody is known')
    os.rmdir(people)
    os.rename(people + '.away', people)


def test_replaced_log_means_no():
    """Moved, emptied, or an older copy put in its place: no digits, no new chain, and verify says so."""
    s = Server()
    try:
        s.start()
        d = enrolled(s, 'replaced')
        e = d.escrow()
        d.sync(e)
        log = s.state('vault/audit.log')
        old = open(log, 'rb').read()
        s.recover(e['key_id'])
        was = os.stat(log)

        def put(data):
            with open(log, 'wb') as f:
                f.write(data)
            os.chown(log, was.st_uid, was.st_gid)
            os.chmod(log, 0o600)

        def refuse(what):
            for turn in (1, 2):
                got, err = s.recover(e['key_id'], code=1)
                holds('audit log cannot be written' in err, f'{what}, {turn}: {err}')
                holds(e['digits'][:13] not in json.dumps(got) + err, f'{what}: nothing disclosed')
        os.rename(log, log + '.1')
        refuse('moved away')
        holds(not os.path.exists(log), 'no new chain was begun')
        holds('no log' in s.command('audit', 'verify', code=3).stdout, 'a missing log')
        put(b'')
        refuse('an empty one')
        eq(os.path.getsize(log), 0, 'nothing was written there')
        holds('EMPTY' in s.command('audit', 'verify', code=3).stdout, 'an empty log')
        put(old)
        refuse('an older copy')
        os.remove(log)
        os.rename(log + '.1', log)
        eq(s.recover(e['key_id'])[0]['recovery_password'], e['digits'], 'the right one again')
        s.stop()
        os.rename(log, log + '.1')
        s.start()
        refuse('missing at start')
        holds(not os.path.exists(log), 'no new chain at start')
        s.stop()
        os.rename(log + '.1', log)
        if as_root():
            os.chown(log, 0, 0)
            os.chmod(log, 0o444)
            s.start()
            refuse('read-only at start')
            os.chown(log, was.st_uid, was.st_gid)
            os.chmod(log, 0o600)
        else:
            s.start()
        eq(s.recover(e['key_id'])[0]['recovery_password'], e['digits'], 'the right one again, after a start')
    finally:
        s.clean()


def test_vault_down_and_server_down():
    s = Server()
    try:
        _, err = s.recover('12345678', code=4)
        holds('not running' in err, err)
        p = s.command('token', 'new', code=4)
        holds('not running' in p.stderr, p.stderr)
        os.rename(s.path('vault.secret'), s.path('away.secret'))
        s.start()
        d = enrolled(s, 'down')
        e = d.escrow()
        eq(d.names(d.sync(e)[2]), [e['name']], 'syncs without a vault')
        eq(s.request('GET', '/healthz')[2], {'status': 'ok', 'disclosure': False}, 'health says so')
        _, err = s.recover(e['key_id'], code=4)
        holds('vault is away' in err, err)
        os.rename(s.path('away.secret'), s.path('vault.secret'))
        s.wait_log('process=vault event=audit open=1')
        until = time.monotonic() + 60
        while not s.request('GET', '/healthz')[2]['disclosure'] and time.monotonic() < until:
            time.sleep(0.05)
        eq(s.recover(e['key_id'])[0]['recovery_password'], e['digits'], 'the vault came by itself')
        eq(s.stop(), 0, 'SIGTERM ends it well')
        for name in ('web', 'writer', 'reader', 'vault'):
            holds(not run('pgrep', '-f', f'{name} --root {s.root}', code=None).stdout, f'{name} is gone')
    finally:
        s.clean()


def test_orders_follow_from_the_log(s):
    """The writer was away when a key was disclosed: the order to rotate comes from the vault's log."""
    d = enrolled(s, 'replay')
    e = d.escrow()
    d.sync(e)
    s.recover(e['key_id'])
    s.stop()
    db = sqlite3.connect(s.state('writer/recovery.db'))
    with db:
        db.execute('DELETE FROM disclosures')
        db.execute('DELETE FROM commands')
    db.close()
    if as_root():
        for name in os.listdir(s.state('writer')):
            shutil.chown(s.state('writer', name), 64802, 64802)
    s.start()
    until = time.monotonic() + 60
    orders = []
    while not orders and time.monotonic() < until:
        orders = d.orders(d.sync()[2])
    eq(orders, [e['key_id']], 'ordered again')


def test_vault_opens_only_what_was_asked_for():
    """A taken-over web worker brings another key's envelope than the one the person asked for."""
    s = Server()
    try:
        s.start()
        d = enrolled(s, 'swap')
        e, other = d.escrow(), d.escrow()
        d.sync(e, other)
        s.stop()
        with contextlib.closing(sqlite3.connect(s.state('writer/recovery.db'))) as db:
            envelope = dict(db.execute('SELECT key_id, bytes FROM envelopes'))
        with open(s.log, 'ab') as log:
            vault = web_channel.Process(s.root, 'vault', log)
        try:
            for asked in (e['key_id'], e['key_id'][:8]):
                kind, body = vault.disclose(asked, envelope[other['key_id']], 'alice', PASSWORD)
                holds(kind != web_channel.OPENED and other['digits'][:13].encode() not in body, f'{asked}: {kind}')
                kind, body = vault.disclose(asked, envelope[e['key_id']], 'alice', PASSWORD)
                holds(kind == web_channel.OPENED and e['digits'].encode() in body, f'{asked}: {kind}')
        finally:
            vault.stop()
        refused = [a for a in s.audit() if a['action'] == 'refuse']
        eq([a['key_id'] for a in refused], [other['key_id']] * 2, 'on record')
    finally:
        s.clean()


def test_orders_survive_an_older_log():
    """A log put back from a backup gives numbers a second time: ordered all the same, and told."""
    s = Server()
    try:
        s.start()
        d = enrolled(s, 'older')
        e, e2 = d.escrow(), d.escrow()
        d.sync(e, e2)
        eq(s.recover(e['key_id'])[0]['rotation'], 'ordered', 'the first')
        s.stop()
        log = s.state('vault/audit.log')
        first = open(log, 'rb').read().splitlines(True)[0]
        with open(log, 'r+b') as f:
            f.truncate(len(first))
        s.start()
        eq(s.recover(e2['key_id'])[0]['rotation'], 'ordered', 'the second, under the number of the first')
        eq(sorted(d.orders(d.sync()[2])), sorted((e['key_id'], e2['key_id'])), 'both ordered')
        s.wait_log('level=error process=writer event=audit contradiction=1')
        with contextlib.closing(sqlite3.connect(s.state('writer/recovery.db'))) as db:
            flags = db.execute('SELECT kind, sequence FROM flags').fetchall()
        eq(flags, [('audit', 3)], 'flags')  # behind the checkpoint of the start
        holds(s.metric('flags_total', kind='audit') >= 1, 'counted')
        early = d.event(2, e2['key_id'], e['key_id'], when=d.order_times(d.sync()[2])[e['key_id']] - 1)
        eq(sorted(d.orders(d.sync(early)[2])), sorted((e['key_id'], e2['key_id'])), 'replaced before it was shown')
        replaced = d.event(2, e2['key_id'], e['key_id'])
        time.sleep(1.1)  # what is shown next is later
        eq(d.orders(d.sync(replaced)[2]), [e2['key_id']], 'one is done')
        shown = s.command('recover', '--key-id', e['key_id'], '--reason', 'again', '--as', 'alice', '--password-file', '-',
                          stdin=PASSWORD)
        holds('it hears that somebody was shown it since' in shown.stderr, shown.stderr)
        eq(s.recover(e['key_id'])[0]['rotation'], 'done', 'a key that was replaced')
        times = d.order_times(d.sync()[2])
        eq(sorted(times), sorted((e['key_id'], e2['key_id'])), 'the device hears that it was shown since')
        eq(sorted(d.orders(d.sync(replaced)[2])), sorted(times), 'what it said before is no answer to that, sent again')
        other = d.event(2, e2['key_id'], e['key_id'], when=times[e['key_id']] - 1)
        eq(sorted(d.orders(d.sync(other)[2])), sorted(times), 'nor is one that speaks of another order')
        heard = d.event(2, e2['key_id'], e['key_id'], when=times[e['key_id']])
        eq(d.orders(d.sync(heard)[2]), [e2['key_id']], 'this one is')
        # a key that was replaced before anybody saw it: what said so is no answer, sent again
        old, new = d.escrow(), d.escrow()
        said = d.event(2, new['key_id'], old['key_id'], when=1000)
        d.sync(old, new, said)
        s.recover(old['key_id'])
        times = d.order_times(d.sync()[2])
        eq(sorted(times), sorted([e2['key_id'], old['key_id']]), 'the device is asked all the same')
        eq(sorted(d.orders(d.sync(said)[2])), sorted(times), 'it may not have heard of it')
        heard = d.event(2, new['key_id'], old['key_id'], when=times[old['key_id']])
        eq(d.orders(d.sync(heard)[2]), [e2['key_id']], 'and says so')
    finally:
        s.clean()


# ---- audit

def test_audit_shows_disclosures_and_boot_events(s):
    d = enrolled(s, 'boot')
    e = d.escrow()
    boot = d.event(1, e['key_id'], volume=e['volume'])
    d.sync(e, boot)
    s.recover(e['key_id'])
    rows = s.audit('--key-id', e['key_id'][:8])
    eq(sorted(r['action'] for r in rows), ['boot', 'disclose'], 'both')
    holds(rows == sorted(rows, key=lambda r: r['time']), 'by time')
    text = s.command('audit', 'show', '--key-id', e['key_id'][:8]).stdout
    holds('volume opened' in text and 'wrong passphrases' in text and e['digits'][:13] not in text, text)
    heads = {r['n']: r['note'] for r in s.audit() if r['action'] == 'checkpoint'}
    lines = [line for line in s.command('audit', 'show').stdout.splitlines() if ' checkpoint ' in line]
    holds(heads and all(len(note) == 240 for note in heads.values()), heads)
    eq(len(lines), len(heads), 'checkpoints')
    for line, n in zip(lines, sorted(heads)):
        holds(f'[signed head of #{n - 1};' in line and len(line) < 160 and heads[n][:40] not in line, line)


def compact(o):
    return json.dumps(o, separators=(',', ':')).encode()


def make_chain(path, n, who='desk', start=None):
    """A foreign chain, written by hand after docs/formats.md."""
    lines, prev, chain = [], '0' * 64, 'ab' * 16
    if start:
        lines = start
        prev = hashlib.sha256(lines[-1].split(b'\t')[0]).hexdigest()
    for i in range(len(lines) + 1, n + 1):
        personal = compact({'salt': os.urandom(16).hex(), 'who': who, 'reason': 'no server', 'detail': ''})
        core = compact({'n': i, 'time': int(time.time()) - 100 + i, 'chain': chain, 'role': 'desk',
                        'action': 'open-log' if i == 1 else 'disclose', 'key_id': '' if i == 1 else 'FEDCBA98-0000-4000-8000-000000000001',
                        'volume': '', 'device': '', 'note': '', 'personal': hashlib.sha256(personal).hexdigest(), 'prev': prev})
        prev = hashlib.sha256(core).hexdigest()
        lines.append(core + b'\t' + personal + b'\n')
    with open(path, 'wb') as f:
        f.writelines(lines)
    return lines


def test_audit_import(s):
    file = s.path('desk.log')
    lines = make_chain(file, 2)
    p = s.command('audit', 'import', file)
    holds('2 entries, 2 of them new' in p.stdout, p.stdout)
    eq(open(s.state('vault/foreign', 'ab' * 16 + '.log'), 'rb').read(), b''.join(lines), 'copied whole')
    holds('0 of them new' in s.command('audit', 'import', file).stdout, 'again')
    lines = make_chain(file, 3, start=lines)
    holds('1 of them new' in s.command('audit', 'import', file).stdout, 'continued')
    rows = s.audit('--key-id', 'FEDCBA98')
    eq([(r['source'], r['action'], r['n']) for r in rows], [('imported', 'disclose', 2), ('imported', 'disclose', 3)], 'shown')
    eq(sum(r['action'] == 'import' for r in s.audit()), 2, 'imports are on record')
    other = make_chain(s.path('other.log'), 3, who='mallory')
    holds('contradicts' in s.command('audit', 'import', s.path('other.log'), code=3).stderr, 'rewritten')
    broken = b''.join(other).replace(b'no server', b'no reason')
    open(s.path('broken.log'), 'wb').write(broken)
    holds('broken' in s.command('audit', 'import', s.path('broken.log'), code=3).stderr, 'a changed entry')
    open(s.path('none.log'), 'wb').write(b'')
    s.command('audit', 'import', s.path('none.log'), code=3)
    s.command('audit', 'import', s.path('missing.log'), code=1)
    s.command('audit', 'import', s.state('vault/audit.log'), code=3)
    holds('good' in s.command('audit', 'verify').stdout, 'verify')
    eq(os.listdir(s.state('vault/foreign')), ['ab' * 16 + '.log'], 'nothing half imported stays')


def test_audit_verify_sees_changes(s):
    make_chain(s.path('desk.log'), 4)
    chain = s.state('vault/foreign', 'ab' * 16 + '.log')
    log = s.state('vault/audit.log')
    for path, change, said in ((log, lambda t: t.replace(b'alice', b'alicf', 1), 'BROKEN'),
                               (log, lambda t: b''.join(t.splitlines(True)[1:]), 'BROKEN'),
                               (chain, lambda t: b''.join(t.splitlines(True)[:-1]), 'NOT AS IMPORTED')):
        if not os.path.exists(path):
            raise AssertionError(path)
        good = open(path, 'rb').read()
        try:
            with open(path, 'r+b') as f:
                f.truncate(0)
                f.write(change(good))
            p = s.command('audit', 'verify', code=3)
            holds(said in p.stdout, p.stdout)
        finally:
            with open(path, 'r+b') as f:
                f.truncate(0)
                f.write(good)
    s.command('audit', 'verify')


# ---- walls

def test_web_user_reads_neither_key_nor_log(s):
    if not as_root():
        raise Skip('needs root to become the web user')
    os.chmod(s.dir, 0o755)  # so that only the server's own modes decide
    try:
        for uid, forbidden in ((64804, ('vault/audit.log', 'vault/users.json', 'vault/keys', 'vault/audit.key', 'writer/recovery.db',
                                        'writer/ca.key', 'web/tls.key', 'policy/policy.key')),
                               (64801, ('vault/audit.log', 'vault/audit.key', 'vault/foreign', 'export', 'vault/users.json', 'vault/keys', 'writer/recovery.db',
                                        'writer/ca.key', 'writer/receipt.key', 'policy/policy.key')),
                               (64802, ('vault/audit.log', 'vault/keys', 'web/tls.key', 'policy/policy.key')),
                               (64803, ('writer/recovery.db', 'web/tls.key', 'policy/policy.key'))):
            for name in forbidden:
                path = s.state(name)
                holds(os.path.exists(path), path)
                code = ('import os,sys\n'
                        f'os.setgroups([]); os.setgid({uid}); os.setuid({uid})\n'
                        'try:\n os.listdir(sys.argv[1]) if os.path.isdir(sys.argv[1]) else open(sys.argv[1], "rb").read(1)\n'
                        'except PermissionError: sys.exit(7)\n')
                eq(run(sys.executable, '-c', code, path, code=None).returncode, 7, f'uid {uid} reads {name}')
        vault = s.children()['vault']
        code = ('import os,sys\n'
                'os.setgroups([]); os.setgid(64801); os.setuid(64801)\n'
                'try:\n open(f"/proc/{sys.argv[1]}/mem", "rb").read(1)\n'
                'except (PermissionError, FileNotFoundError): sys.exit(7)\n')
        eq(run(sys.executable, '-c', code, str(vault), code=None).returncode, 7, 'web reads the vault\'s memory')
    finally:
        os.chmod(s.dir, 0o700)


def test_processes_are_confined(s):
    want = {'web': 64801, 'writer': 64802, 'reader': 64802, 'vault': 64803}
    if not as_root():
        want = dict.fromkeys(want, os.getuid())
    for name, pid in s.children().items():
        status = dict(line.split(':\t', 1) for line in open(f'/proc/{pid}/status', encoding='ascii').read().splitlines() if ':\t' in line)
        eq(set(status['Uid'].split()), {str(want[name])}, f'uid of {name}')
        if as_root():
            eq(int(status['CapEff'], 16), 0, f'capabilities of {name}')
        if name == 'vault':
            eq(status.get('Seccomp'), '2', 'seccomp of the vault')


def test_nothing_secret_on_disk_or_in_logs(s):
    d = enrolled(s, 'search')
    records = [d.escrow() for _ in range(3)]
    d.sync(*records)
    for e in records:
        s.recover(e['key_id'], who='searcher', password='searchers password')
    everywhere = [s.root, s.log]
    hits = secret_search.search(everywhere, [e['digits'] for e in records])
    eq(hits, [], 'recovery passwords')
    planted = s.path('planted')
    s.put('planted', records[0]['digits'])
    holds(secret_search.search([planted], [records[0]['digits']]), 'the search finds what is there')
    for folder, _, files in os.walk(s.root):
        for name in (n for n in files if not n.endswith('.sock')):
            holds(b'searchers password' not in open(os.path.join(folder, name), 'rb').read(), f'a person\'s password in {name}')
    holds('searchers password' not in s.read_log(), 'a person\'s password in the log')


def one(name, test, *args):
    start = time.monotonic()
    try:
        test(*args)
        results['passed'] += 1
        said = 'ok'
    except Skip as e:
        results['skipped'] += 1
        said = f'SKIP: {e}'
    except Exception:
        results['failed'] += 1
        traceback.print_exc(file=sys.stdout)
        said = 'FAILED'
    print(f'{name}: {said} ({time.monotonic() - start:.1f} s)', flush=True)


def main(wanted):
    signal.alarm(LIMIT_S)
    tests = [(n, t) for n, t in globals().items() if n.startswith('test_') and (not wanted or n in wanted)]
    fresh = {'test_init_refuses_bad_input', 'test_init_layout', 'test_refuses_to_run_with_readable_offline_keys'}
    s = Server()
    try:
        for name, test in tests:
            if name in fresh:
                one(name, test, s)
        s.start()
        s.command('user', 'add', '--name', 'searcher', '--role', 'advanced', '--password-file', '-', stdin='searchers password')
        for name, test in tests:
            if name in fresh:
                continue
            failed = results['failed']
            one(name, test, *([s] if test.__code__.co_argcount else []))
            if results['failed'] > failed:
                print(s.read_log()[-1500:])
    finally:
        s.clean()
    print(f"{results['passed']} passed, {results['failed']} failed, {results['skipped']} skipped")
    return 1 if results['failed'] else 0


def test_audit_begin_keeps_the_key_of_the_old_log():
    s = Server()
    try:
        key = s.state('vault/audit.key')
        with open(key, 'rb') as f:
            old = f.read()
        before = json.loads(s.command('audit', 'begin', '--json').stdout)['before']
        aside = key + '.of-' + before.rsplit('-', 1)[1]
        with open(aside, 'rb') as kept, open(key, 'rb') as new:
            eq(kept.read(), old, 'kept')
            holds(new.read() != old, 'another one signs')
        eq([os.stat(p).st_mode & 0o777 for p in (aside, key)], [0o600] * 2, 'nobody else reads them')
        os.remove(s.path('vault.secret'))  # no key can be made: nothing has changed
        with open(key, 'rb') as f:
            old = f.read()
        s.command('audit', 'begin', code=1)
        with open(key, 'rb') as f:
            eq(f.read(), old, 'put back')
        s.put('vault.secret', 'vault passphrase\n')
        s.start()
    finally:
        s.clean()


if __name__ == '__main__':
    sys.exit(main(set(sys.argv[1:])))
