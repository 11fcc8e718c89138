#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The local socket when there is no room: who is silent goes, who asks is answered, and a command says what is in its
way. Closes with "N passed, N failed"."""
import contextlib
import json
import os
import signal
import socket
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from server_fixture import Server  # noqa: E402
from server_suite import eq, holds, main, until  # noqa: E402

ROOM = 32  # LOCAL_OPEN_MAX


def socket_path(s):
    return os.path.join(s.root, 'run/keyholt/server.sock')


def connect(s, said=b''):
    c = socket.socket(socket.AF_UNIX)
    c.settimeout(60)
    c.connect(socket_path(s))
    if said:
        c.sendall(said)
    return c


def answer(c):
    data = b''
    with contextlib.suppress(ConnectionResetError):
        while piece := c.recv(65536):
            data += piece
    return json.loads(data)


def close(clients):
    for c in clients:
        c.close()


def silent_clients_make_room(s):
    clients = [connect(s) for _ in range(2 * ROOM)]
    try:
        made = json.loads(s.command('token', 'new', '--json').stdout)
        holds(len(made['token']) > 20, made)
        eq(answer(clients[0])['err'], 'BUSY', 'the oldest one is told why it goes')
        clients[-1].sendall(b'{"op":"vault"}\n')
        eq(answer(clients[-1])['status'], 'ok', 'the newest one is still there')
    finally:
        close(clients)


def all_wait_for_an_answer(s):
    """The reader hangs, and as many as there may be ask it: the next one is told so at once."""
    reader = s.children()['reader']
    os.kill(reader, signal.SIGSTOP)
    try:
        clients = [connect(s, b'{"op":"boots","key":""}\n') for _ in range(ROOM)]
        p = s.command('token', 'new', '--json', code=4)
        said = json.loads(p.stdout)['error']
        holds(said['exit'] == 4 and 'busy' in said['message'] and 'try again' in said['message'], said)
    finally:
        os.kill(reader, signal.SIGCONT)
    holds(all('status' in answer(c) for c in clients), 'those that were there have their answers')
    close(clients)
    until('there is room', lambda: s.command('token', 'new', code=None).returncode == 0)


def nobody_answers(s):
    """No socket, one that nobody listens at, one whose backlog is full, and one who hangs up."""
    def refused(word):
        for words in (('token', 'new'), ('device', 'list'), ('keys', 'check'), ('audit', 'losses')):
            p = s.command(*words, code=4)
            holds(word in p.stderr, f'{words}: {p.stderr}')
    refused('no socket')
    os.makedirs(os.path.dirname(socket_path(s)), exist_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(socket_path(s))
        refused('not running')
        listener.listen(0)
        waiting = connect(s)
        holds('busy' in s.command('token', 'new', code=4).stderr, 'a full backlog')
        waiting.close()
        over = threading.Event()

        def hang_up():
            while not over.is_set():
                listener.accept()[0].close()
        thread = threading.Thread(target=hang_up, daemon=True)
        thread.start()
        refused('without an answer')
        over.set()
        connect(s).close()
        thread.join(60)
    recover = s.recover('12345678', code=4)[1]
    holds('not running' in recover and 'keyholt-desk open' in recover, recover)


def test_who_waits_at_the_socket():
    s = Server('--web-workers', '1')  # each worker has room of its own
    try:
        nobody_answers(s)
        s.start()
        silent_clients_make_room(s)
        all_wait_for_an_answer(s)
    finally:
        s.clean()


if __name__ == '__main__':
    sys.exit(main(globals(), set(sys.argv[1:])))
