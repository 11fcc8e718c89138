#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server against bad company: slow, smuggled and many. Closes with "N passed, N failed".

Seconds that pass anyway (the absolute deadlines) are waited for all at once. KEYHOLT_IDLE: idle connections, 1,000
if nothing is said."""
import contextlib
import json
import os
import resource
import socket
import sqlite3
import ssl
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from server_fixture import Server  # noqa: E402
from server_suite import enrolled, eq, holds, judge_memory, main  # noqa: E402
from test_operation import metrics_text, parse_metrics, processes, value  # noqa: E402


def context(s, *cert):
    ctx = ssl.create_default_context(cafile=s.ca)
    if cert:
        ctx.load_cert_chain(*cert)
    return ctx


def raw(s, ctx=None, seconds=60):
    plain = socket.create_connection(('127.0.0.1', s.port), seconds)
    return (ctx or context(s)).wrap_socket(plain, server_hostname='127.0.0.1')


def answer(c):
    """(status, whole answer) of what comes until the end; (0, ...) when nothing does."""
    data = b''
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while piece := c.recv(65536):
            data += piece
    return (int(data.split(b' ', 2)[1]) if data.startswith(b'HTTP/1.') else 0), data


def is_problem(data, status):
    head, body = data.split(b'\r\n\r\n', 1)
    holds(b'Content-Type: application/problem+json' in head, data)
    got = json.loads(body)
    eq((got['status'], got['type']), (status, 'about:blank'), str(data))
    holds(len(got['detail']) > 10 and got['title'], data)


# ---- slow

def test_slow_loris():
    """Drips by handshake, request line, header and body: each connection ends at its absolute deadline (handshake
    10 s, request 20 s), however busy it looks; meanwhile others are served."""
    s = Server()
    try:
        s.start()
        ctx, start = context(s), time.monotonic()
        hello = ssl.MemoryBIO()
        tls = ctx.wrap_bio(ssl.MemoryBIO(), hello, server_hostname='127.0.0.1')
        with contextlib.suppress(ssl.SSLWantReadError):
            tls.do_handshake()
        drips = {'handshake': (socket.create_connection(('127.0.0.1', s.port), 30), hello.read()),
                 'line': (raw(s, ctx), b'GET /' + b'a' * 2000),
                 'header': (raw(s, ctx), b'POST /v1/sync HTTP/1.1\r\nHost: x\r\n' + b'X: y\r\n' * 900),
                 'body': (raw(s, ctx), b'POST /v1/enroll HTTP/1.1\r\nHost: x\r\nContent-Length: 7000\r\n\r\n' + b'{' * 7000)}
        at, closed = dict.fromkeys(drips, 0), {}
        while len(closed) < len(drips) and time.monotonic() - start < 90:
            for name, (c, data) in drips.items():
                if name in closed:
                    continue
                try:
                    c.sendall(data[at[name]:at[name] + 1])
                    at[name] += 1
                    c.settimeout(0.01)
                    if c.recv(1) == b'':
                        closed[name] = time.monotonic() - start
                except (TimeoutError, ssl.SSLWantReadError):
                    pass
                except OSError:
                    closed[name] = time.monotonic() - start
                c.settimeout(60)
            time.sleep(0.2)
            eq(s.request('GET', '/healthz')[0], 200, 'others are served') if int(time.monotonic() * 5) % 10 == 0 else None
        eq(set(closed), set(drips), 'every one is closed')
        for name, want in (('handshake', 10), ('line', 20), ('header', 20), ('body', 20)):
            holds(want - 2 < closed[name] < want + 50, f'{name}: closed after {closed[name]:.1f} s')
            drips[name][0].close()
        eq(value(s, 'tls_handshakes_total', result='failed'), 1, 'the handshake that never was')
    finally:
        s.clean()


# ---- many records in one packet

def shake_and_say(s, records, seconds=60):
    """What comes when the end of the handshake and all these records are one packet, until the server closes."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context(s).wrap_bio(incoming, outgoing, server_hostname='127.0.0.1')
    data = b''
    with socket.create_connection(('127.0.0.1', s.port), seconds) as c:
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                c.sendall(outgoing.read())
                incoming.write(c.recv(65536))
        for record in records:
            tls.write(record)
        c.sendall(outgoing.read())
        with contextlib.suppress(ssl.SSLZeroReturnError, ssl.SSLEOFError):
            while True:
                try:
                    data += (piece := tls.read(65536))
                    if not piece:
                        break
                except ssl.SSLWantReadError:
                    piece = c.recv(65536)
                    incoming.write(piece) if piece else incoming.write_eof()
    return data


def test_records_read_ahead(s):
    """The server reads what a handshake's last packet brings at once; of no request in it is it silent, however it is cut
    into records, and however many there are."""
    get, last = (f'GET /healthz HTTP/1.1\r\nHost: x\r\n{more}\r\n'.encode() for more in ('', 'Connection: close\r\n'))
    body = b'{"no":"token"}'
    head = f'POST /v1/enroll HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n'
    post, only = (f'{head}{more}\r\n'.encode() for more in ('Content-Type: application/json\r\n', ''))
    for name, records, want in (
            ('one', [last], [200]),
            ('cut in two', [last[:9], last[9:]], [200]),
            ('each byte a record', [bytes([x]) for x in last], [200]),
            ('two in one record', [get + last], [200, 200]),
            ('three', [get, get, last], [200, 200, 200]),
            ('across records', [get + get[:7], get[7:] + last[:3], last[3:]], [200, 200, 200]),
            ('head and body', [post, body, last], [422, 200]),
            ('a device\'s, behind which nothing counts', [get, only, body], [200, 422]),
            ('what is refused', [get, b'no HTTP\r\n\r\n'], [200, 405])):
        start = time.monotonic()
        data = shake_and_say(s, records)
        got = [int(part.split(b' ', 1)[0]) for part in data.split(b'HTTP/1.1 ')[1:]]
        eq(got, want, f'{name}: {data}')
        holds(b'text/html' not in data, f'{name}: evhttp itself has answered')
        holds(time.monotonic() - start < 15, f'{name}: no deadline was waited for')


# ---- smuggling

def test_request_smuggling(s):
    """Two readers of one stream must not disagree about where a request ends: whatever could be read in two ways is
    refused with a sentence, and nothing behind it is answered."""
    post = 'POST /v1/enroll HTTP/1.1\r\nHost: x\r\n'
    behind = 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n'
    for name, text, status in (
            ('CL.TE', post + 'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n' + behind, 400),
            ('TE.CL', post + 'Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n' + behind, 400),
            ('TE.TE', post + 'Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n' + behind, 411),
            ('chunk extension', post + 'Transfer-Encoding: chunked\r\n\r\n2;a="\r\n\r\n"\r\n{}\r\n0\r\n\r\n' + behind, 411),
            ('two lengths', post + 'Content-Length: 2\r\nContent-Length: 40\r\n\r\n{}' + behind, 400),
            ('one length twice', post + 'Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}' + behind, 400),
            ('list of lengths', post + 'Content-Length: 2, 2\r\n\r\n{}' + behind, 400),
            ('sign', post + 'Content-Length: +2\r\n\r\n{}' + behind, 400),
            ('negative', post + 'Content-Length: -1\r\n\r\n{}' + behind, 400),
            ('blank before the colon', post + 'Content-Length : 2\r\n\r\n{}' + behind, 400),
            ('folded length', post + 'Content-Length:\r\n 2\r\n\r\n{}' + behind, 400),
            ('folded', post + 'X: a\r\n b\r\nContent-Length: 2\r\n\r\n{}' + behind, 400),
            ('bare LF', (post + 'Content-Length: 2\r\n\r\n{}' + behind).replace('\r\n', '\n'), 400),
            ('bare LF in a field', post + 'X: a\nContent-Length: 40\r\nContent-Length: 2\r\n\r\n{}' + behind, 400),
            ('bare CR', post + 'X: a\rContent-Length: 2\r\n\r\n{}' + behind, 400),
            ('zero byte', post + 'X: a\0b\r\nContent-Length: 2\r\n\r\n{}' + behind, 400),
            ('GET with a body', 'GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 35\r\n\r\n' + behind, 400),
            ('two hosts', 'GET /healthz HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n' + behind, 400),
            ('no host', 'GET /healthz HTTP/1.1\r\n\r\n' + behind, 400),
            ('absolute', 'GET http://y/healthz HTTP/1.1\r\nHost: x\r\n\r\n' + behind, 400),
            ('host in the address', 'GET //y:z/healthz HTTP/1.1\r\nHost: x\r\n\r\n' + behind, 400),
            ('upgrade to HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 405),
            ('unknown method', 'SMUGGLE / HTTP/1.1\r\nHost: x\r\n\r\n' + behind, 405),
            ('CONNECT', 'CONNECT y:1 HTTP/1.1\r\nHost: x\r\n\r\n' + behind, 405),
            ('huge length', post + 'Content-Length: 99999999999999999999\r\n\r\n' + behind, 413),
            ('huge header', 'GET / HTTP/1.1\r\nHost: x\r\nX: ' + 'a' * 20000 + '\r\n\r\n', 431),
            ('huge address', 'GET /' + 'a' * 4000 + ' HTTP/1.1\r\nHost: x\r\n\r\n', 414),
            ('no length', post + '\r\n' + behind, 411),
            ('expectation', post + 'Expect: the-worst\r\nContent-Length: 2\r\n\r\n{}', 417)):
        with raw(s) as c:
            c.sendall(text.encode('latin-1'))
            got, data = answer(c)
            eq(got, status, f'{name}: {data}')
            is_problem(data, status)
            eq(data.count(b'HTTP/1.1 '), 1, f'{name}: one answer, and nothing behind it')
    with raw(s) as c:  # behind a good request: that one is answered, and the connection ends
        c.sendall(behind.encode())
        first = c.recv(65536)
        while not first.endswith(b'}'):
            first += c.recv(65536)
        holds(first.startswith(b'HTTP/1.1 200'), first)
        c.sendall(b'GET /healthz HTTP/1.1\nHost: x\n\n')
        eq(answer(c)[0], 400, 'a bad one later on the connection')
    with raw(s) as c:  # two good ones at once are two answers, in order
        c.sendall((behind + behind.replace('healthz', 'nothing').replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n')).encode())
        data = answer(c)[1]
        eq([data.count(b'HTTP/1.1 200'), data.count(b'HTTP/1.1 404')], [1, 1], str(data))
    with raw(s) as c:  # curl does this with large bodies
        c.sendall((post + 'Expect: 100-continue\r\nContent-Length: 2\r\n\r\n').encode())
        holds(c.recv(65536).startswith(b'HTTP/1.1 100 Continue\r\n\r\n'), 'asked to go on')
        c.sendall(b'{}')
        holds(c.recv(65536).startswith(b'HTTP/1.1 422 '), 'and answered')


# ---- many

def memory_kib(s):
    total = 0
    for name, pid in processes(s):
        if name == 'web':
            with open(f'/proc/{pid}/smaps_rollup', encoding='ascii') as f:
                total += sum(int(line.split()[1]) for line in f if line.startswith('Pss:'))
    return total


def test_idle_connections():
    """Idle TLS connections, all open at once, every other with a device's certificate; who comes then is served. What one of
    them costs the web workers is judged: their PSS, because pages that a worker shares with others are not a connection's."""
    want = int(os.environ.get('KEYHOLT_IDLE', '1000'))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, want + 500) if hard != resource.RLIM_INFINITY else want + 500, hard))
    s, open_now = Server(), []
    try:
        s.configure(connections_per_address=16384)
        s.start()
        d = enrolled(s, 'amid-many')
        ctx, device = context(s), context(s, *d.cert)
        request = b'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n'
        for _ in range(8):
            s.request('GET', '/healthz')
        before, start = memory_kib(s), time.monotonic()

        def stay(age):
            """One that said nothing lives for 20 s; a request begins its time anew."""
            now = time.monotonic()
            for c in open_now:
                if now - said[c] > age:
                    c.sendall(request)
                    while not c.recv(4096).endswith(b'}'):
                        pass
                    said[c] = time.monotonic()
        said = {}
        while len(open_now) < want and time.monotonic() - start < 300:
            c = raw(s, device if len(open_now) % 2 else ctx)
            open_now.append(c)
            said[c] = time.monotonic()
            if len(open_now) % 200 == 0:
                stay(8)
        took = time.monotonic() - start
        held, after = value(s, 'connections'), memory_kib(s)
        print(f'    {held:.0f} held after {took:.1f} s; {(after - before) / max(held, 1):.1f} KiB of the web workers (PSS) each')
        eq(held, want, 'held at once')
        eq(s.request('GET', '/healthz')[0], 200, 'served')
        eq(d.sync(d.escrow())[0], 200, 'escrowed')
        judge_memory((after - before) / max(held, 1), 30, 'one connection')
    finally:
        for c in open_now:
            c.close()
        s.clean()


# ---- stores that are away or went back

def test_compliance_store_away_for_days():
    """O13: reports wait and keep their order; escrows are receipted meanwhile; how old they are is seen."""
    s = Server('--web-workers', '1')
    try:
        s.start()
        d = enrolled(s, 'o13')
        first = d.report('{"n":0}')
        eq(d.names(d.sync(first)[2]), [first['name']], 'before')
        db = sqlite3.connect(s.state('writer/compliance.db'), isolation_level=None)
        db.execute('BEGIN IMMEDIATE')  # nobody else can write it now
        escrow, reports = d.escrow(), [d.report('{"n":%d}' % n) for n in range(1, 9)]
        answer_ = d.sync(escrow, *reports)[2]
        eq(d.names(answer_), [escrow['name']], 'the escrow is receipted, the reports are not')
        holds(answer_['retry_after'] <= 60, 'soon again')
        ready = s.request('GET', '/readyz')
        eq((ready[0], ready[2]['compliance']['writable'], ready[2]['recovery']['writable']), (200, False, True), 'readyz')
        eq(value(s, 'store_up', store='compliance'), 0, 'metrics')
        eq(s.recover(escrow['key_id'])[0]['recovery_password'], escrow['digits'], 'disclosure goes on')
        db.execute('ROLLBACK')
        db.close()
        eq(sorted(d.names(d.sync(*reports)[2])), sorted(r['name'] for r in reports), 'afterwards all of them')
        with contextlib.closing(sqlite3.connect(s.state('writer/compliance.db'))) as db, db:
            rows = db.execute('SELECT name FROM records ORDER BY received_us, sequence').fetchall()
        eq([n.hex() for n, in rows], [r['name'] for r in (first, *reports)], 'in order')
        with contextlib.closing(sqlite3.connect(s.state('writer/recovery.db'))) as db:
            eq(db.execute("SELECT count(*) FROM flags WHERE kind IN ('gap', 'fork', 'clone', 'lost')").fetchone(), (0,), 'no alarm')
        holds(parse_metrics(metrics_text(s))[('keyholt_record_age_seconds_count', ())] == 10, 'ages were seen')
    finally:
        s.clean()


if __name__ == '__main__':
    sys.exit(main(globals(), set(sys.argv[1:])))
