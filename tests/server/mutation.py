# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests with mistakes in them, the same ones every time, and many of them under way at once."""
import contextlib
import json
import select
import ssl
import time

WORDS = (b'\r\n', b'\n', b'\r', b' ', b'\t', b':', b'\0', b'Content-Length: 5\r\n', b'Transfer-Encoding: chunked\r\n',
         b'HTTP/1.1', b'\xff', b'Expect: 100-continue\r\n', b'0\r\n\r\n', b'GET / HTTP/1.1\r\nHost: a\r\n\r\n')
ODD = (None, True, -1, 2**63, 2**64, 1.5, '', 'x' * 300, 'AAAA', '\ud83d', [], [[]], {}, {'a': {}}, ['!'] * 3, 'ff' * 32)
AT_ONCE = 16  # fewer than the local socket has room for
SILENT_S = 0.3  # who waits for more would wait 20 s; and the end of a connection that is kept is not waited for either


def mutate(rng, data, words=WORDS):
    data = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) + 1)
        what = rng.randrange(5)
        if what == 0 and data:
            data[at % len(data)] = rng.randrange(256)
        elif what == 1:
            data[at:at] = rng.choice(words)
        elif what == 2:
            del data[at:at + rng.randint(1, 12)]
        elif what == 3:
            other = rng.randrange(len(data) + 1)
            data[at:at] = data[min(at, other):max(at, other)][:300]
        else:
            del data[at:]
    return bytes(data)


def json_mutate(rng, body, more=()):
    """Another value somewhere in it, of fields that it has or of more."""
    body = dict(body)
    for _ in range(rng.randint(1, 2)):
        key = rng.choice([*body, *more])
        body[key] = rng.choice(ODD)
        if rng.randrange(5) == 0:
            del body[key]
    text = json.dumps(body)
    return (mutate(rng, text.encode()) if rng.randrange(3) == 0 else text.encode())


class Exchange:
    """One connection, what was sent on it and what came."""

    def __init__(self, connect, request):
        self.request, self.got, self.heard, self.over = request, b'', time.monotonic(), False
        self.c = connect()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            self.c.sendall(request)
        self.c.setblocking(False)

    def hear(self):
        try:
            while piece := self.c.recv(65536):
                self.got, self.heard = self.got + piece, time.monotonic()
            self.over = True
        except (ssl.SSLWantReadError, BlockingIOError):
            self.over = time.monotonic() - self.heard > SILENT_S
        except (ConnectionError, ssl.SSLError):
            self.over = True
        if self.over:
            self.c.close()
        return self.over


def exchanges(connect, requests):
    """(request, all that was answered) of each, on a connection of its own, until that ends or is silent."""
    under_way, requests = [], iter(requests)
    while True:
        while len(under_way) < AT_ONCE and (request := next(requests, None)) is not None:
            under_way.append(Exchange(connect, request))
        if not under_way:
            return
        select.select([x.c for x in under_way], [], [], SILENT_S / 4)
        for x in [x for x in under_way if x.hear()]:
            under_way.remove(x)
            yield x.request, x.got
