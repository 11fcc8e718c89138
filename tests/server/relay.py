# SPDX-License-Identifier: GPL-3.0-or-later
"""Between courier and server: a relay that has the organisation's CA, and counts what passes.

A heartbeat is counted as every byte of HTTP that goes through TLS, both ways: request line, headers and body, status
line, headers and body. The name in Host is the server's own, so it is counted as one of HOST_LEN bytes."""
import contextlib
import gzip
import os
import socket
import ssl
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from laptop import holds  # noqa: E402
from server_fixture import run  # noqa: E402

HEARTBEAT_MAX = 600  # bytes. source: issue 4, figures
HOST_LEN = 32        # as keyholt-escrow.example.com:8443


class Relay:
    """Ends TLS on both sides, with the courier's own key towards the server, and keeps what passes."""

    def __init__(self, server, port, folder):
        self.server, self.folder = server, folder
        self.exchanges = []  # (request bytes, answer bytes)
        key, csr, cert = (server.path('relay.' + n) for n in ('key', 'csr', 'pem'))
        run('openssl', 'req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key,
            '-out', csr, '-subj', '/CN=relay')
        extensions = server.put('relay.ext', 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n')
        run('openssl', 'x509', '-req', '-in', csr, '-CA', server.ca, '-CAkey', server.state('writer/ca.key'), '-days', '30',
            '-extfile', extensions, '-out', cert)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(cert, key)
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(('127.0.0.1', port))
        self.listener.listen(16)
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                c, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.one, args=(c,), daemon=True).start()

    def one(self, c):
        courier = self.folder + '/var/lib/keyholt/courier/'
        out = ssl.create_default_context(cafile=self.server.ca)
        with contextlib.suppress(FileNotFoundError):  # enrolment has no certificate yet
            out.load_cert_chain(courier + 'tls.crt', courier + 'tls.key')
        with contextlib.suppress(OSError), self.context.wrap_socket(c, server_side=True) as inside, \
                out.wrap_socket(socket.create_connection(('127.0.0.1', self.server.port)), server_hostname='127.0.0.1') as to:
            request = self.message(inside)
            to.sendall(request)
            answer = self.message(to)
            self.exchanges.append((request, answer))  # before the courier hears
            inside.sendall(answer)

    @staticmethod
    def message(s):
        """One HTTP message, by its Content-Length."""
        data = b''
        while b'\r\n\r\n' not in data:
            more = s.recv(65536)
            if not more:
                raise OSError('closed')
            data += more
        head, body = data.split(b'\r\n\r\n', 1)
        length = [int(line.split(b':')[1]) for line in head.split(b'\r\n') if line.lower().startswith(b'content-length:')]
        while len(body) < length[0]:
            more = s.recv(65536)
            body += more
            data += more
        return data


def body_of(message):
    head, body = message.split(b'\r\n\r\n', 1)
    return gzip.decompress(body) if b'content-encoding: gzip' in head.lower() else body


def heartbeat(laptop, relay):
    """A sync without records: (bytes to the server, bytes back, the answer's JSON). What the courier still had to do of its
    own may come beside it; the largest exchange is the one that counts."""
    relay.exchanges.clear()
    laptop.run('sync')
    request, answer = max(relay.exchanges, key=lambda x: len(x[0]) + len(x[1]))
    holds(answer.startswith(b'HTTP/1.1 200'), str(answer[:80]))
    host = next(line for line in request.split(b'\r\n') if line.startswith(b'Host: '))
    return len(request) + HOST_LEN - len(host[6:]), len(answer), body_of(answer)


def bytes_of(up, down):
    return f'{up} bytes to the server, {down} back, {up + down} in all'
