# SPDX-License-Identifier: GPL-3.0-or-later
"""A web worker that was taken over: speaks to the vault or the writer as one does (escrow-server/process/msg.h)."""
import array
import os
import re
import socket
import struct
import subprocess

from server_fixture import BUILD

HERE = os.path.dirname(os.path.abspath(__file__))


def numbers(header, enum, *names):
    """Values of a C enum whose first is 1."""
    with open(os.path.join(HERE, '../../escrow-server/process', header), encoding='utf-8') as f:
        body = re.search(rf'enum {enum} {{(.*?)}};', f.read(), re.S)[1]
    listed = re.findall(r'^\s*(\w+)', re.sub(r'/\*.*?\*/', '', body, flags=re.S), re.M)
    return [listed.index(name) + 1 for name in names]


CONTROL_FD = 3
PEER_WEB, READY = numbers('control.h', 'control_what', 'CONTROL_PEER_WEB', 'CONTROL_READY')
DISCLOSE, OPENED, HEAD = numbers('msg.h', 'msg_type', 'MSG_DISCLOSE', 'MSG_OPENED', 'MSG_HEAD')


def text(t):
    return struct.pack('<H', len(t.encode())) + t.encode()


def blob(b):
    return struct.pack('<I', len(b)) + b


class Process:
    """One process of the server, started as the supervisor would, and a channel to it."""

    def __init__(self, root, name, log):
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.settimeout(60)

        def in_child():
            os.dup2(theirs.fileno(), CONTROL_FD)
            os.set_inheritable(CONTROL_FD, True)
        self.process = subprocess.Popen([os.path.join(BUILD, 'libexec', name), '--root', root], preexec_fn=in_child,
                                        close_fds=False, stdin=subprocess.DEVNULL, stderr=log)
        theirs.close()
        ready = self.control.recv(1)
        if ready != bytes([READY]):
            self.stop()
            raise AssertionError(f'{name} did not get ready: {ready!r}')
        self.channel, far = socket.socketpair()
        self.channel.settimeout(60)
        self.control.sendmsg([bytes([PEER_WEB])],
                             [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [far.fileno()]))])
        far.close()
        self.id = 0

    def _take(self, n):
        data = b''
        while len(data) < n:
            more = self.channel.recv(n - len(data))
            if not more:
                raise AssertionError('the channel was closed')
            data += more
        return data

    def ask(self, kind, body):
        """(type, body) of the answer."""
        self.id += 1
        self.channel.sendall(struct.pack('<IBQ', 9 + len(body), kind, self.id) + body)
        while True:
            got = self._take(struct.unpack('<I', self._take(4))[0])
            if got[1:9] != bytes(8):  # what nobody asked for has no number
                return got[0], got[9:]

    def disclose(self, asked, envelope, who, password):
        found = blob(envelope) + text('pc') + text('disk') + b'\1' + struct.pack('<Q', 1)
        return self.ask(DISCLOSE, text(who) + text('a reason') + text('') + text(asked) + blob(password.encode()) + text('') + b'\0' +
                        struct.pack('<H', 1) + found)

    def stop(self):
        self.process.kill()
        self.process.wait(60)
        self.control.close()
