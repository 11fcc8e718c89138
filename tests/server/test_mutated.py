#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server against requests with mistakes in them: HTTP at the wire, the JSON of syncs and enrolments, and what people of
this machine ask at the local socket. Closes with "N passed, N failed".

KEYHOLT_FUZZ: so many of each kind, 400 if nothing is said."""
import contextlib
import gzip
import json
import os
import random
import re
import socket
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from mutation import exchanges, json_mutate, mutate  # noqa: E402
from server_fixture import Device, Server  # noqa: E402
from server_suite import enrolled, eq, holds, main  # noqa: E402
from test_operation import processes  # noqa: E402
from test_robustness import context, is_problem, raw  # noqa: E402


def first_answer(data):
    """(status, itself) of the first answer; (0, b'') where there is none."""
    if data.startswith(b'HTTP/1.1 100 Continue\r\n\r\n'):
        data = data.split(b'\r\n\r\n', 1)[1]
    head, _, rest = data.partition(b'\r\n\r\n')
    length = re.search(rb'(?i)\r\ncontent-length: (\d+)', head)
    if not head.startswith(b'HTTP/1.') or not length:
        return 0, b''
    return int(head.split(b' ', 2)[1]), head + b'\r\n\r\n' + rest[:int(length[1])]


def judge_requests(s, ctx, requests):
    """{status: how many}; each is a good one or a 4xx with a problem."""
    codes = {}
    for request, data in exchanges(lambda: raw(s, ctx), requests):
        status, said = first_answer(data)
        codes[status] = codes.get(status, 0) + 1
        holds(status < 500, f'{request}: {data}')
        holds(status or not data, f'{request}: no answer, but {data}')
        holds(b'text/html' not in said, f'{request}: evhttp itself has answered')
        if status >= 400:
            is_problem(said, status)
    print('    ' + ', '.join(f'{k or "no answer"}: {v}' for k, v in sorted(codes.items())))
    return codes


def mutated(rng, path, body, n, more=(), gzipped=False):
    """HTTP at the wire and the JSON in it, by turns."""
    for i in range(n):
        whole = i % 2 == 0
        text = json.dumps(body).encode() if whole else json_mutate(rng, body, more)
        packed = gzip.compress(text) if gzipped and rng.randrange(3) == 0 else text
        head = b'POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n%s\r\n' % (
            path, len(packed), b'Content-Encoding: gzip\r\n' if packed is not text else b'')
        at = len(head) if rng.randrange(2) else len(head + packed)
        yield mutate(rng, (head + packed)[:at]) + (head + packed)[at:] if whole else head + packed


def judge_requests_of_the_local_socket(s, requests):
    """{err: how many}; each is done, or not with a sentence."""
    said = {}

    def connect():
        c = socket.socket(socket.AF_UNIX)
        c.settimeout(60)
        c.connect(os.path.join(s.root, 'run/keyholt/server.sock'))
        return c
    for request, data in exchanges(connect, requests):
        answer_ = json.loads(data.split(b'\n')[0]) if data else {'err': 'no answer', 'status': 'failed', 'detail': 'it waits for more'}
        holds(answer_['status'] == 'ok' or (answer_['status'] == 'failed' and len(answer_['detail']) > 10), f'{request}: {data}')
        why = answer_.get('err', 'ok')
        said[why] = said.get(why, 0) + 1
    print('    ' + ', '.join(f'{k}: {v}' for k, v in sorted(said.items())))
    return said


@contextlib.contextmanager
def under_fire():
    """A server with a device that has a key, and how many mutations it shall meet; afterwards no process has died, and
    what was stored before is still there."""
    s, n = Server('--token-uses', '100000'), int(os.environ.get('KEYHOLT_FUZZ', '400'))
    try:
        s.start()
        d = enrolled(s, 'fuzzed')
        e = d.escrow()
        eq(d.sync(e)[0], 200, 'before')
        pids = processes(s)
        yield s, d, e, n
        eq(processes(s), pids, 'no process died')
        eq(d.names(d.sync(e)[2]), [e['name']], 'afterwards')
        eq(s.recover(e['key_id'])[0]['recovery_password'], e['digits'], 'and its key')
        holds('sanitizer' not in s.read_log().lower() and 'runtime error' not in s.read_log(), 'no word of a sanitizer')
    finally:
        s.clean()


def test_mutated_requests():
    with under_fire() as (s, d, e, n):
        rng, body = random.Random(5), {
            'device': d.id[:16], 'records': [e['record'], d.report('{}')['record']], 'envelopes': d.digest(),
            'set': d.set(), 'last': '00' * 8, 'attempt': 3, 'proofs': [], 'policy': 1}
        codes = judge_requests(s, context(s, *d.cert), mutated(rng, b'/v1/sync', body, n, ('new',), gzipped=True))
        holds(codes.get(200, 0) > n / 50 and codes.get(400, 0) > n / 10 and codes.get(422, 0) > n / 10, codes)
        another = Device(s, 'fuzzed-2')
        codes = judge_requests(s, context(s), mutated(rng, b'/v1/enroll', another.enroll_body(), n, ('new',)))
        holds(codes.get(200, 0) > n / 50 and codes.get(400, 0) > n / 10 and codes.get(422, 0) > n / 10, codes)
        said = judge_requests_of_the_local_socket(s, local_requests(rng, d, e, n))
        holds(said.get('ok', 0) > n / 20 and said.get('FORMAT', 0) > n / 10, said)


def local_requests(rng, d, e, n):
    """Of every kind that web_local.c knows; none of them may carry a password that opens anything, or change the device
    that is looked at afterwards."""
    person = {'as': 'mallory', 'code': '', 'secret': True}
    kinds = ({'op': 'recover', 'key': e['key_id'][:8], 'reason': 'fuzzed', 'user': '', 'device': d.id[:8], **person},
             {'op': 'boots', 'key': e['key_id']}, {'op': 'vault'}, {'op': 'losses'}, {'op': 'devices', 'waiting': True},
             {'op': 'flags', 'kind': 'lost', 'behind': {'received_us': 5, 'record': 'ab' * 32, 'device': d.id, 'kind': 'lost'}},
             {'op': 'token', 'hash': 'ab' * 32, 'expires': 4102444800, 'uses': 2},
             {'op': 'import', 'chain': '0' * 32, 'as': 'mallory'}, {'op': 'approve', 'entry': 1, **person},
             {'op': 'wish', 'entry': 1},
             {'op': 'erase', 'chain': '0' * 32, 'entries': [1, 2], **person},
             {'op': 'outbox', 'bytes': 40}, {'op': 'device', 'device': '01' * 32, 'change': 'approve'},
             {'op': 'loss', 'word': 'expected', 'entry': 1, 'reason': 'fuzzed', **person}, {'op': 'take_back', 'mark': 1, **person})
    for i in range(n):
        kind = kinds[i % len(kinds)]
        line = json_mutate(rng, kind, ('bytes', 'secret', 'new')) if rng.randrange(2) else json.dumps(kind).encode()
        whole = line + b'\n' + (b'no password\n' if 'secret' in kind else b'A' * kind.get('bytes', 0))
        yield mutate(rng, whole, (b'\n', b'"', b'{', b'}', b'[', b'\0', b'\\u0000', b'"bytes":99,', b'"secret":true,', b'\xff')) \
            if rng.randrange(2) else whole


if __name__ == '__main__':
    sys.exit(main(globals(), set(sys.argv[1:])))
