#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What strangers can make a web worker keep, and that known devices are served meanwhile. Closes with "N passed, N failed".

KEYHOLT_IDLE: strangers at once, 600 if nothing is said."""
import contextlib
import gzip
import json
import os
import resource
import select
import socket
import ssl
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import server_fixture  # noqa: E402
from server_fixture import Server, run  # noqa: E402
from server_suite import Skip, enrolled, eq, holds, judge_memory, main, until  # noqa: E402
from test_operation import value  # noqa: E402
from test_robustness import answer, context, is_problem, raw  # noqa: E402

MIB = 1 << 20
POST = 'POST /v1/sync HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n'


def rss_kib(pid):
    with open(f'/proc/{pid}/status', encoding='ascii') as f:
        return next(int(line.split()[1]) for line in f if line.startswith('VmRSS:'))


def cpu_s(pid):
    with open(f'/proc/{pid}/stat', encoding='ascii') as f:
        user, system = f.read().rsplit(')', 1)[1].split()[11:13]
    return (int(user) + int(system)) / os.sysconf('SC_CLK_TCK')


def self_made(s, device):
    """A certificate that names the device, and that nobody else signed."""
    base = s.path('self-made-' + device.name)
    run('openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', base + '.key',
        '-out', base + '.pem', '-subj', '/CN=' + device.id, '-days', '30')
    return base + '.pem', base + '.key'


def large(device, size=20000):
    """A sync whose body is made that long by white space."""
    body = {'device': device.id[:16], 'records': [], 'envelopes': device.digest()}
    return json.dumps(body).encode().ljust(size)


def send(c, data):
    """As much of it as is taken in a moment."""
    c.settimeout(0.05)
    with contextlib.suppress(OSError):
        c.sendall(data)
    c.settimeout(60)


def test_strangers_hold_little():
    """Slow and greedy ones, with and without a certificate of their own making, all at once: the worker's memory stays
    within 40 MiB and 48 KiB for each, and a device escrows meanwhile."""
    want = int(os.environ.get('KEYHOLT_IDLE', '600'))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, want + 500) if hard != resource.RLIM_INFINITY else want + 500, hard))
    s, kept = Server('--web-workers', '1'), []
    try:
        s.configure(connections_per_address=16384)
        s.start()
        d = enrolled(s, 'amid-strangers')
        contexts = context(s), context(s, *self_made(s, d))
        greedy = (('a long body', (POST % MIB).encode() + b'{' * 100000),
                  ('a body as long as anybody may have', (POST % 8000).encode() + b'{' * 7900),
                  ('many fields', b'GET / HTTP/1.1\r\nHost: x\r\n' + b'a:b\r\n' * 3000),
                  ('a long field', b'GET / HTTP/1.1\r\nHost: x\r\nX: ' + b'a' * 8000),
                  ('more requests than answers are read', b'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n' * 6000))
        start = time.monotonic()
        for i in range(want):
            kept.append(raw(s, contexts[i % 2]))
            send(kept[-1], greedy[i // 2 % len(greedy)][1])
        e = d.escrow()
        eq(d.names(d.sync(e)[2]), [e['name']], 'escrowed meanwhile')
        eq(s.recover(e['key_id'])[0]['recovery_password'], e['digits'], 'disclosed')
        held, kib = value(s, 'connections'), rss_kib(s.children()['web'])
        print(f'    {want} came in {time.monotonic() - start:.1f} s, {held:.0f} held; the worker has {kib / 1024:.1f} MiB')
        judge_memory(kib, 40 * 1024 + 48 * want, f'{want} strangers')
    finally:
        for c in kept:
            c.close()
        s.clean()


def test_who_may_send_much(s):
    """More than 8 KiB is taken from whom the CA certified or the store knows, also in a resumed session; from nobody else,
    neither as it comes nor inflated."""
    d = enrolled(s, 'much')
    theirs, made = context(s, *d.cert), context(s, *self_made(s, d))
    body = large(d)

    def ask(ctx, body, more='', session=None):
        with ctx.wrap_socket(socket.create_connection(('127.0.0.1', s.port), 60), server_hostname='127.0.0.1', session=session) as c:
            head = f'POST /v1/sync HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n{more}\r\n'
            with contextlib.suppress(OSError):  # one that is refused is refused by its head
                c.sendall(head.encode() + body)
            return *answer(c), c.session_reused, c.session
    for name, ctx in (('nobody', context(s)), ('of its own making', made)):
        status, data, *_ = ask(ctx, body)
        eq(status, 413, f'{name}: {data}')
        is_problem(data, 413)
    status, data, *_ = ask(made, gzip.compress(body), 'Content-Encoding: gzip\r\n')
    eq(status, 413, f'small as it comes, large inflated: {data}')
    status, data, _, session = ask(theirs, body)
    eq(status, 200, f'certified: {data}')
    eq(ask(theirs, gzip.compress(body), 'Content-Encoding: gzip\r\n')[0], 200, 'inflated')
    s.configure(tls_sessions='1000')
    s.stop()
    s.start()
    status, data, reused, session = ask(theirs, large(d, 300))
    eq((status, reused), (200, False), f'small, and judged by the store: {data}')
    for n in range(3):
        status, data, reused, session = ask(theirs, body, session=session)
        eq((status, reused), (200, True), f'resumed {n}: {data}')
    with theirs.wrap_socket(socket.create_connection(('127.0.0.1', s.port), 60), server_hostname='127.0.0.1') as c:
        c.sendall(b'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n')
        holds(c.recv(4096).startswith(b'HTTP/1.1 200'), 'a session that nobody judged')
        session = c.session
    status, data, reused, _ = ask(theirs, body, session=session)
    eq((status, reused, b'Retry-After: ' in data), (503, True, True), f'resumed, never judged: {data}')
    eq(ask(theirs, body)[0], 200, 'and again, with a handshake')


def test_large_requests_are_few():
    """All large requests that are under way take 16 MiB together, one of each device. They hold room as they arrive; who
    stopped amid his makes way for one that moves, is told when to come back, and small ones pass."""
    s, kept = Server('--web-workers', '1'), []
    try:
        s.start()
        devices = [enrolled(s, f'large-{n}') for n in range(18)]
        late = devices[17]
        contexts = [context(s, *d.cert) for d in devices]

        def begin(body):
            while kept:
                kept.pop().close()
            for ctx in contexts[:17]:
                kept.append(raw(s, ctx))
                send(kept[-1], (POST % (MIB - 100)).encode())
                kept[-1].sendall(body)

        def refused():
            gone = [answer(c) for c in select.select(kept, [], [], 0)[0]]
            return [data for status, data in gone if status != 0]  # 0: its time was over
        begin(b'{' * 1000)
        eq(late.sync_raw(large(late))[0], 200, 'what was only announced holds nothing')
        eq(refused(), [], 'nobody had to go')
        with raw(s, contexts[0]) as c:  # one of the devices comes again: its own one goes
            send(c, (POST % 30000).encode())
            eq(answer(kept.pop(0))[0], 0, 'given up')
        begin(b'{' * (MIB - 70000))
        tries = []

        def comes_whole():  # while nobody is half a second behind there is no room, and what had to go is gone
            tries.append(late.sync_raw(large(late, MIB - 1000))[0])
            return tries[-1] == 200
        until('one that comes whole has room', comes_whole)
        gone = refused()
        for data in gone:
            is_problem(data, 503)
            holds(b'Retry-After: ' in data, f'that one: {data}')
        holds(1 <= len(gone) <= 4 * len(tries), f'{len(gone)} had to go for one: {tries}')  # 3 MiB: come, and taken apart
        e = late.escrow()
        eq(late.names(late.sync(e)[2]), [e['name']], 'a small one passes')
        judge_memory(rss_kib(s.children()['web']), 40 * 1024, 'large requests')
    finally:
        for c in kept:
            c.close()
        s.clean()


def test_more_than_there_is_room_for():
    """Who was silent for longest goes; whoever comes is served."""
    s, kept = Server('--web-workers', '1'), []
    try:
        s.configure(connections=40, connections_per_address=40)
        s.start()
        ctx = context(s)
        for _ in range(100):
            kept.append(raw(s, ctx))
        until('the others have gone', lambda: value(s, 'connections') <= 40)
        d = enrolled(s, 'comes-late')
        e = d.escrow()
        eq(d.names(d.sync(e)[2]), [e['name']], 'served')
        eq(answer(kept[0])[0], 0, 'the first one went')
        kept[-1].sendall(b'GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
        eq(answer(kept[-1])[0], 200, 'the last one did not')
    finally:
        for c in kept:
            c.close()
        s.clean()


def test_one_address_does_not_take_all():
    """Of those that one address has too many of, the oldest silent one goes, and never one that is being answered; others
    have theirs."""
    s, kept = Server('--web-workers', '1'), []
    try:
        s.configure(connections=200, connections_per_address=10)
        s.start()
        ctx = context(s)
        elsewhere = ctx.wrap_socket(socket.create_connection(('127.0.0.1', s.port), 60, ('127.0.0.2', 0)),
                                    server_hostname='127.0.0.1')
        for _ in range(30):
            kept.append(raw(s, ctx))
        until('ten are left, and the other one', lambda: value(s, 'connections') <= 11)
        s.wait_log('peer=127.0.0.1 warning="it has as many connections as one address may have" most=10')
        eq(answer(kept[0])[0], 0, 'the first one went')
        for name, c in (('the last one', kept[-1]), ('the one from elsewhere', elsewhere)):
            c.sendall(b'GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
            eq(answer(c)[0], 200, f'{name} did not')
        d = enrolled(s, 'comes-late')
        e = d.escrow()
        eq(d.names(d.sync(e)[2]), [e['name']], 'served')
    finally:
        for c in kept:
            c.close()
        s.clean()


def ask_metrics(s, text):
    c = socket.socket(socket.AF_UNIX)
    c.settimeout(60)
    c.connect(os.path.join(s.root, 'run/keyholt/metrics.sock'))
    c.sendall(text)
    return c


def test_metrics_are_asked_for_by_few():
    """At most 16 connections wait at /metrics of a worker; the oldest goes."""
    s, kept = Server('--web-workers', '1'), []
    try:
        s.start()
        for _ in range(40):
            kept.append(ask_metrics(s, b'GET /metrics HTTP/1.1\r\n'))
        for c in kept[:24]:
            eq(answer(c), (0, b''), 'those that came first went')
        holds(value(s, 'connections') == 0, 'who asks properly is answered')
        for text, status in ((b'POST /metrics HTTP/1.1\r\n\r\n', 405), (b'GET / HTTP/1.1\r\n\r\n', 404),
                             (b'GET /metrics HTTP/1.1\r\nx: ' + b'y' * 9000, 431)):
            with ask_metrics(s, text) as c:
                eq(answer(c)[0], status, str(text[:20]))
    finally:
        for c in kept:
            c.close()
        s.clean()


def test_a_drip_at_metrics_ends(s):
    """However busy it looks, a connection there has 10 s."""
    if os.environ.get('KEYHOLT_SECONDS') != 'judged':
        raise Skip('takes 10 s: KEYHOLT_SECONDS=judged')
    with ask_metrics(s, b'GET /metrics HTTP/1.1\r\n') as c:
        start = time.monotonic()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            while not select.select([c], [], [], 0.2)[0] and time.monotonic() < start + 60:
                c.sendall(b'x')
        eq(answer(c), (0, b''), 'it ends')
        holds(8 < time.monotonic() - start < 15, 'after 10 s')


def test_no_descriptor_left():
    """accept() that fails for want of descriptors does not keep the worker busy, and is tried again; nor does that of
    the local socket, where who is silent goes."""
    s, kept, local = Server('--web-workers', '1'), [], []
    few = s.put('few-files', f'#!/bin/sh\nulimit -n 40\nexec {server_fixture.SERVER} "$@"\n')
    os.chmod(few, 0o700)
    whole, server_fixture.SERVER = server_fixture.SERVER, few
    try:
        s.configure(connections_per_address=60)  # else they push each other out
        s.start()
        pid = s.children()['web']
        for _ in range(60):
            kept.append(socket.create_connection(('127.0.0.1', s.port), 60))
        s.wait_log('event=http .*no more connections', seconds=60)
        for _ in range(31):  # LOCAL_OPEN_MAX - 1
            local.append(socket.socket(socket.AF_UNIX))
            local[-1].settimeout(60)
            local[-1].connect(os.path.join(s.root, 'run/keyholt/server.sock'))
        s.wait_log('event=local .*no more connections', seconds=60)
        before = cpu_s(pid)
        time.sleep(2)
        used = cpu_s(pid) - before
        holds(used < 1, f'{used} s of processor time in 2 s')
        holds(b'"BUSY"' in local[0].recv(4096), 'the silent one goes')
        while kept or local:
            (kept or local).pop().close()
        eq(s.request('GET', '/healthz')[0], 200, 'accepted again')
        s.command('token', 'new')
    finally:
        server_fixture.SERVER = whole
        for c in kept:
            c.close()
        s.clean()


if __name__ == '__main__':
    sys.exit(main(globals(), set(sys.argv[1:])))
