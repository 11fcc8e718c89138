# SPDX-License-Identifier: GPL-3.0-or-later
"""A courier of the tests' own, which tells the keeper anything it likes, and what an organisation signs for it."""
import hashlib
import os
import socket
import struct
import sys
import threading
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'courier'))
from keeper import (BATCH_WANTED, CERTIFICATE, CERTIFICATE_KEPT, CSR, CSR_WANTED, DONE, ENROLL_DO, ENROLLED, IDLE, OFFLINE,
                    REFUSED, SYNC_ANSWER, SYNC_BATCH, SYNC_NOW, UNTRUSTED, decode, encode)
from machine import sh


def answer_fields(status=DONE, problem=b'', receipts=(), commands=(), match=1, known=(b'', 0, b''), head=(0, b''),
                  **more):
    return {'status': status, 'problem': problem, 'receipts': list(receipts), 'commands': list(commands),
            'audit_length': head[0], 'audit_hash': head[1], 'known_incarnation': known[0], 'known_sequence': known[1],
            'known_name': known[2], 'envelopes_match': match, 'retry_after_s': 60, 'time': 0, 'want_set': 0,
            'server_envelopes': b'', 'has_missing': 0, 'missing': b'', 'certificate': b'',
            'policy': b'', 'policy_sig': b'', 'want_packages': 0, 'server_packages': b'', 'has_missing_packages': 0,
            'missing_packages': b'', 'audit_word': b'', 'want_audit_word': 0, 'audit_chain': b'', **more}


class Courier:
    def __init__(self, m):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.settimeout(60)
        self.s.connect(m.path('/run/keyholt/courier.sock'))

    def tell(self, kind, **fields):
        self.s.sendall(encode(kind, fields))

    def exact(self, n):
        got = b''
        while len(got) < n:
            part = self.s.recv(n - len(got))
            if not part:
                raise ConnectionError('the keeper hung up')
            got += part
        return got

    def hear(self, *kinds):
        """The next message, which is one of these."""
        kind, fields = decode(self.exact(struct.unpack('<I', self.exact(4))[0]))
        if kind not in kinds:
            raise RuntimeError(f'message {kind} instead of {kinds}')
        return kind, fields

    def batch(self):
        self.tell(BATCH_WANTED)
        kind = None
        while kind != SYNC_BATCH:
            kind, fields = self.hear(SYNC_BATCH, SYNC_NOW)
        return fields

    def answer(self, **fields):
        self.tell(SYNC_ANSWER, **answer_fields(**fields))

    def hangs_up(self):
        """Does the keeper close the connection?"""
        try:
            while self.s.recv(65536):
                pass
        except ConnectionResetError:
            pass
        except TimeoutError:
            return False
        return True


class Asking(threading.Thread):
    """keyholt-agent VERB, while this test plays the courier."""

    def __init__(self, m, *argv, data=None):
        super().__init__()
        self.m, self.argv, self.data, self.result = m, argv, data, None
        self.start()

    def run(self):
        self.result = self.m.agent(*self.argv, data=self.data)

    def end(self):
        self.join(120)
        return self.result


def courier_request(folder, name='courier'):
    """A TLS key of the courier's and its certificate request."""
    return sh('openssl', 'req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout',
              f'{folder}/{name}.key', '-subj', '/CN=whatever').stdout


def courier_certificate(org, folder, request, device, days='30', usage='clientAuth'):
    with open(folder + '/usage', 'w') as f:
        f.write(f'extendedKeyUsage={usage}\n')
    return sh('openssl', 'x509', '-req', '-CA', f'{org.folder}/ca.pem', '-CAkey', org.key('ca'), '-days', days,
              '-subj', '/CN=' + device.hex(), '-extfile', folder + '/usage', data=request).stdout


def device_of(m):
    return bytes.fromhex(m.status()['device_id'])


def receipt(org, device, records, key='receipt', organisation=None, when=1_800_000_000, klass=1):
    names = sorted({hashlib.sha256(r).digest() for r in records})
    b = b'KHC\1' + struct.pack('<BBHI', klass, 0, len(names), 0) + uuid.UUID(organisation or org.id).bytes_le + device + \
        struct.pack('<Q', when) + bytes.fromhex(org.public(key)['id']) + b''.join(names)
    return b + org.sign(b, key)


def rotate_order(org, device, key_id, key='receipt', when=1_800_000_000):
    b = b'KHO\1\1\0\0\0' + uuid.UUID(org.id).bytes_le + device + uuid.UUID(key_id).bytes_le + \
        struct.pack('<Q', when) + bytes.fromhex(org.public(key)['id'])
    return b + org.sign(b, key)


def enroll(m, org, folder, courier, asking, request=None):
    """Accept the keeper whose command is asking; the command's result."""
    request = request or courier_request(folder)
    courier.tell(BATCH_WANTED)
    courier.hear(CSR_WANTED)
    courier.tell(CSR, pem=request)
    courier.hear(ENROLL_DO)
    courier.tell(ENROLLED, status=DONE, certificate=courier_certificate(org, folder, request, device_of(m)), problem=b'')
    return asking.end()


def enrolled(m, org, folder, bundle):
    """A courier whose keeper was accepted by a server."""
    courier = Courier(m)
    asking = Asking(m, 'enroll', '--bundle', bundle)
    courier.hear(SYNC_NOW)
    result = enroll(m, org, folder, courier, asking)
    if result[0]:
        raise RuntimeError(result)
    return courier
