#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is judged on the plain build: what connections cost a web worker, those of strangers above all (under a sanitizer memory
is mostly the sanitizer's), and how long a passphrase is stretched (there it is for a moment). Closes with "N passed, N failed".

KEYHOLT_IDLE: idle connections, 1,000 if nothing is said; strangers at once, 600."""
import glob
import os
import re
import resource
import select
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from server_fixture import SANITIZED, Server, run  # noqa: E402
from server_suite import Skip, enrolled, eq, holds, main, problem, until  # noqa: E402
from test_operation import processes, value  # noqa: E402
from test_robustness import answer, context, raw  # noqa: E402
from test_strangers import MIB, POST, large, self_made, send  # noqa: E402


def memory_kib(s):
    total = 0
    for name, pid in processes(s):
        if name == 'web':
            with open(f'/proc/{pid}/smaps_rollup', encoding='ascii') as f:
                total += sum(int(line.split()[1]) for line in f if line.startswith('Pss:'))
    return total


def rss_kib(pid):
    with open(f'/proc/{pid}/status', encoding='ascii') as f:
        return next(int(line.split()[1]) for line in f if line.startswith('VmRSS:'))


def judge(kib, at_most, what):
    """Memory of a process of the plain build."""
    if SANITIZED:
        print(f'    SKIP: {what}: {kib:.0f} KiB, {at_most:.0f} allowed: not judged under a sanitizer')
    else:
        holds(kib <= at_most, f'{what}: {kib:.0f} KiB, {at_most:.0f} allowed')


def test_passphrases_are_stretched():
    """source: OWASP's count of 2023 for PBKDF2 with SHA-256"""
    if SANITIZED:
        raise Skip('the sanitized build takes fewer iterations')
    s = Server()
    try:
        for key in (s.state('vault/audit.key'), *glob.glob(s.path('desk/*.key'))):
            done = run('openssl', 'asn1parse', '-in', key).stdout
            counts = [int(n, 16) for n in re.findall(r'INTEGER +:([0-9A-F]+)', done)]
            holds(600000 in counts, f'{key}: {done}')
    finally:
        s.clean()


def test_idle_connections():
    """Idle TLS connections, all open at once; who comes then is served. What one of them costs is told."""
    want = int(os.environ.get('KEYHOLT_IDLE', '1000'))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, want + 500) if hard != resource.RLIM_INFINITY else want + 500, hard))
    s, open_now = Server(), []
    try:
        s.start()
        ctx = context(s)
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
            c = raw(s, ctx)
            open_now.append(c)
            said[c] = time.monotonic()
            if len(open_now) % 200 == 0:
                stay(8)
        took = time.monotonic() - start
        held, after = value(s, 'connections'), memory_kib(s)
        print(f'    {held:.0f} held after {took:.1f} s; {(after - before) / max(held, 1):.1f} KiB of the web workers (PSS) each')
        eq(held, want, 'held at once')
        eq(s.request('GET', '/healthz')[0], 200, 'served')
        d = enrolled(s, 'amid-many')
        eq(d.sync(d.escrow())[0], 200, 'escrowed')
        judge((after - before) / max(held, 1), 60, 'one connection')
    finally:
        for c in open_now:
            c.close()
        s.clean()


def test_strangers_hold_little():
    """Slow and greedy ones, with and without a certificate of their own making, all at once: the worker's memory stays
    within 40 MiB and 48 KiB for each, and a device escrows meanwhile."""
    want = int(os.environ.get('KEYHOLT_IDLE', '600'))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, want + 500) if hard != resource.RLIM_INFINITY else want + 500, hard))
    s, kept = Server('--web-workers', '1'), []
    try:
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
        judge(kib, 40 * 1024 + 48 * want, f'{want} strangers')
    finally:
        for c in kept:
            c.close()
        s.clean()


def test_large_requests_are_few():
    """All large requests that are under way take 16 MiB together, one of each device; who is not taken is told when to come
    back, and small ones pass."""
    s, kept = Server('--web-workers', '1'), []
    try:
        s.start()
        devices = [enrolled(s, f'large-{n}') for n in range(18)]
        contexts = [context(s, *d.cert) for d in devices]
        for ctx in contexts[:17]:
            kept.append(raw(s, ctx))
            send(kept[-1], (POST % (MIB - 100)).encode() + b'{' * 1000)
        refused = select.select(kept, [], [], 15)[0]
        eq(len(refused), 1, 'one of 17')
        status, data = answer(refused[0])
        eq((status, b'Retry-After: ' in data), (503, True), f'that one: {data}')
        status, headers, _ = answer_ = devices[17].sync_raw(large(devices[17]))
        problem(answer_, 503)
        holds(int(headers['Retry-After']) >= 5, 'later')
        e = devices[17].escrow()
        eq(devices[17].names(devices[17].sync(e)[2]), [e['name']], 'a small one passes')
        first = 0 if kept[0] is not refused[0] else 1
        with raw(s, contexts[first]) as c:  # one of the devices comes again: its own one goes, and makes room
            send(c, (POST % 30000).encode())
            eq(answer(kept[first])[0], 0, 'given up')
        until('room again', lambda: devices[17].sync_raw(large(devices[17]))[0] == 200)
        judge(rss_kib(s.children()['web']), 40 * 1024, 'large requests')
    finally:
        for c in kept:
            c.close()
        s.clean()


if __name__ == '__main__':
    sys.exit(main(globals(), set(sys.argv[1:])))
