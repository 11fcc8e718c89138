#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the server is run: its processes, drain and restart, configuration, metrics, load. Closes with
"N passed, N failed"."""
import base64
import contextlib
import http.client
import json
import os
import re
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from server_fixture import BUILD, NO_GUID, SERVER, Device, Server, as_root, flip, free_port, run, tool  # noqa: E402
from server_suite import Skip, enrolled, eq, holds, main, problem, until  # noqa: E402


def configure(s, **settings):
    """Change settings of server.conf; underscores are dashes."""
    path = os.path.join(s.root, 'etc/keyholt/server.conf')
    text = open(path, encoding='utf-8').read()
    for name, value in settings.items():
        name = name.replace('_', '-')
        text, n = re.subn(rf'(?m)^{name} =.*$', f'{name} = {value}', text)
        eq(n, 1, name)
    with open(path, 'w', encoding='utf-8') as f:
        f.write(text)


def processes(s):
    """[(name, pid)] of all children."""
    out = run('ps', '-o', 'comm=,pid=', '--ppid', str(s.process.pid), code=None).stdout
    return sorted((name, int(pid)) for name, pid in (line.split() for line in out.splitlines()))


def metrics_text(s):
    with socket.socket(socket.AF_UNIX) as c:
        c.settimeout(60)
        c.connect(os.path.join(s.root, 'run/keyholt/metrics.sock'))
        c.sendall(b'GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
        data = b''
        while piece := c.recv(65536):
            data += piece
    head, body = data.split(b'\r\n\r\n', 1)
    holds(head.startswith(b'HTTP/1.1 200') and b'text/plain; version=0.0.4' in head, head)
    return body.decode()


NAME = r'[a-zA-Z_:][a-zA-Z0-9_:]*'
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)')
SAMPLE = re.compile(rf'({NAME})(?:\{{(.*)\}})? (\S+)$')


def parse_metrics(text):
    """{(name, sorted labels): value}, and every rule of the text format that Prometheus and promtool hold to."""
    holds(text.endswith('\n'), 'the last line ends')
    types, helps, samples, family, done = {}, set(), {}, None, set()
    for line in text.splitlines():
        holds(line == line.strip() and line, f'no blanks around: {line!r}')
        if line.startswith('# HELP '):
            name = line.split(' ', 3)[2]
            holds(name not in helps and len(line.split(' ', 3)) == 4, line)
            helps.add(name)
            continue
        if line.startswith('# TYPE '):
            _, _, name, kind = line.split(' ')
            holds(name in helps and name not in types and kind in ('counter', 'gauge', 'histogram'), line)
            holds(re.fullmatch(NAME, name), line)
            holds((kind == 'counter') == name.endswith('_total'), f'{name}: counters, and only they, end with _total')
            types[name], family = kind, name
            done.add(name)
            continue
        m = SAMPLE.match(line)
        holds(m, f'no sample: {line!r}')
        name, labels, value = m[1], m[2], float(m[3])
        base = re.sub(r'_(bucket|sum|count)$', '', name) if types[family] == 'histogram' else name
        eq(base, family, 'a sample stands below its TYPE')
        pairs, rest = [], labels or ''
        while rest:
            p = LABEL.match(rest)
            holds(p, f'labels: {line!r}')
            pairs.append((p[1], p[2]))
            rest = rest[p.end():]
        key = (name, tuple(sorted(pairs)))
        holds(key not in samples and value >= 0, f'twice, or negative: {line}')
        samples[key] = value
    eq(set(types), helps, 'every family has both')
    for name in (n for n, kind in types.items() if kind == 'histogram'):
        check_histogram(name, samples)
    return samples


def check_histogram(name, samples):
    series = {}
    for (n, labels), value in samples.items():
        if n == name + '_bucket':
            le = dict(labels)['le']
            rest = tuple(p for p in labels if p[0] != 'le')
            series.setdefault(rest, []).append((float(le.replace('+Inf', 'inf')), value))
    holds(series, name)
    for labels, buckets in series.items():
        eq(buckets, sorted(buckets), f'{name}: bounds rise')
        eq([v for _, v in buckets], sorted(v for _, v in buckets), f'{name}: counts rise')
        eq(buckets[-1][0], float('inf'), name)
        eq(samples[(name + '_count', labels)], buckets[-1][1], f'{name}: count')
        holds((name + '_sum', labels) in samples, f'{name}: sum')


def value(s, name, **labels):
    return parse_metrics(metrics_text(s))[('keyholt_' + name, tuple(sorted(labels.items())))]


# ---- processes

def test_one_worker_per_core(s):
    cores = min(os.cpu_count(), 16)
    names = [n for n, _ in processes(s)]
    eq(names, ['reader', 'vault'] + ['web'] * cores + ['writer'], 'processes')
    eq(value(s, 'processes_up', process='web'), cores, 'up')


def test_each_process_may_die(s):
    """A dead worker is started again while the other serves; a dead writer comes back; without a vault nothing is
    disclosed and everything else works."""
    d = enrolled(s, 'mortal')
    for name in ('web', 'writer', 'reader', 'vault'):
        before = value(s, 'process_starts_total', process=name)
        victim = [pid for n, pid in processes(s) if n == name][0]
        os.kill(victim, signal.SIGKILL)
        if name == 'vault':
            eq(d.sync(d.escrow())[0], 200, 'a sync without a vault')
        until(f'{name} is back', lambda: value(s, 'process_starts_total', process=name) == before + 1 and
              value(s, 'processes_up', process=name) >= 1 and victim not in [p for _, p in processes(s)])
        e = d.escrow()

        def stored():
            try:
                return d.sync(e)[0] == 200
            except (OSError, http.client.HTTPException):
                return False
        until(f'synced after the death of {name}', stored)
    until('disclosed', lambda: s.recover(e['key_id'], code=None)[0].get('recovery_password') == e['digits'])


def test_a_vault_that_cannot_start_stops_nothing_else():
    s = Server()
    try:
        os.rename(s.path('vault.secret'), s.path('away.secret'))
        s.start()
        d = enrolled(s, 'no-vault')
        e = d.escrow()
        eq(d.names(d.sync(e)[2]), [e['name']], 'receipted')
        status, _, body = s.request('GET', '/readyz')
        eq((status, body['disclosure'], body['recovery']['writable']), (200, False, True), 'ready, without disclosure')
        eq(value(s, 'processes_up', process='vault'), 0, 'metrics say so')
        eq(value(s, 'canaries', state='opened'), 0, 'no canary')
        with contextlib.closing(sqlite3.connect(s.state('writer/recovery.db'), isolation_level=None)) as db:
            db.execute('BEGIN IMMEDIATE')
            until('nor when nothing is written either', lambda: s.request('GET', '/readyz')[0] == 503)
            db.execute('ROLLBACK')
        until('written again', lambda: s.request('GET', '/readyz')[0] == 200)
        s.recover(e['key_id'], code=4)
        os.rename(s.path('away.secret'), s.path('vault.secret'))
        until('the vault is there', lambda: s.request('GET', '/readyz')[2]['disclosure'])
        until('its canary', lambda: value(s, 'canaries', state='opened') == 1)
    finally:
        s.clean()


def test_a_reader_that_hangs_stops_no_escrow():
    s = Server('--web-workers', '1')
    try:
        s.start()
        d, other = enrolled(s, 'no-reader'), enrolled(s, 'no-reader-too')
        old = d.escrow()
        d.sync(old)
        reader, said = s.children()['reader'], {}
        records = [other.escrow(), d.escrow()]
        os.kill(reader, signal.SIGSTOP)
        try:
            tasks = {'sync': lambda: other.sync(records[0]), 'ready': lambda: s.request('GET', '/readyz'),
                     'recover': lambda: s.recover(old['key_id'], code=None),
                     'list': lambda: s.command('device', 'list', code=4).stderr}
            threads = [threading.Thread(target=lambda k=k, f=f: said.update({k: f()})) for k, f in tasks.items()]
            for t in threads:
                t.start()
            for t in threads:
                t.join(60)
            eq(other.names(said['sync'][2]), [records[0]['name']], 'receipted')
            holds('reader' in problem(said['ready'], 503), 'not ready, and why')
            holds('store reader is away' in said['recover'][1], f'who is away: {said["recover"]}')
            holds('store reader is away' in said['list'], f'who is away: {said["list"]}')
            eq(d.names(d.sync(records[1])[2]), [records[1]['name']], 'the next one, too')
            d.new_courier()
            run('openssl', 'req', '-x509', '-key', d.cert[1], '-out', d.cert[0], '-subj', '/CN=' + d.id, '-days', '9')
            eq(d.sync(d.escrow())[0], 403, 'the writer looks at the pin')
        finally:
            os.kill(reader, signal.SIGCONT)
        until('ready', lambda: s.request('GET', '/readyz')[0] == 200)
    finally:
        s.clean()


def test_a_vault_that_hangs_is_told(s):
    vault, at = s.children()['vault'], os.path.getsize(s.log)
    os.kill(vault, signal.SIGSTOP)
    try:
        holds('vault is away' in s.recover('00000000', code=4)[1], 'the answer')
        holds('silent=vault' in s.read_log(at), 'and the log')
    finally:
        os.kill(vault, signal.SIGCONT)


# ---- health

def test_readyz_tells_the_truth(s):
    status, headers, body = s.request('GET', '/readyz')
    eq((status, headers['Cache-Control']), (200, 'no-store'), 'ready')
    eq(body, {'status': 'ready', 'writes': True, 'recovery': {'writable': True, 'replicated': False},
              'compliance': {'writable': True, 'replicated': False}, 'disclosure': True}, 'body')
    # a lock that another process holds: the store can be read, and not written
    db = sqlite3.connect(s.state('writer/recovery.db'), isolation_level=None)
    db.execute('BEGIN IMMEDIATE')
    try:
        until('nothing can be written', lambda: not s.request('GET', '/readyz')[2].get('writes', True))
        status, _, body = s.request('GET', '/readyz')
        eq((status, body['recovery']['writable'], body['disclosure']), (200, False, True), 'ready to disclose')
        eq(s.request('GET', '/healthz')[0], 200, 'alive all the same')
        log, away = s.state('vault/audit.log'), s.state('vault/away.log')
        os.rename(log, away)
        try:
            holds('audit log' in s.recover('00000000', code=None)[1], 'nothing is disclosed without an entry')
            until('it can neither write nor disclose', lambda: s.request('GET', '/readyz')[0] == 503)
        finally:
            os.rename(away, log)
        holds('audit log' not in s.recover('00000000', code=None)[1], 'the log is opened again')
        until('ready to disclose again', lambda: s.request('GET', '/readyz')[0] == 200)
        eq(value(s, 'store_up', store='recovery'), 0, 'metrics')
        holds(value(s, 'commits_total', store='recovery', result='failed') >= 1, 'counted')
    finally:
        db.execute('ROLLBACK')
        db.close()
    until('as before', lambda: s.request('GET', '/readyz')[2].get('writes'))


def test_drain_finishes_what_has_begun():
    """SIGTERM: who is shaking hands, sending, or waiting for the store gets his answer; nobody new gets in."""
    s = Server()
    try:
        s.start()
        d = enrolled(s, 'drained')
        ctx = ssl.create_default_context(cafile=s.ca)
        ctx.load_cert_chain(*d.cert)
        body = json.dumps({'device': d.id[:16], 'records': [], 'envelopes': d.digest()}).encode()
        request = b'POST /v1/sync HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\nContent-Length: %d\r\n\r\n' % len(body) + body

        def connect():
            return ctx.wrap_socket(socket.create_connection(('127.0.0.1', s.port), 60), server_hostname='127.0.0.1')
        half, idle = connect(), connect()
        half.sendall(request[:60])
        idle.sendall(request)
        holds(idle.recv(4096).startswith(b'HTTP/1.1 200'), 'answered, and idle now')
        accepted = socket.create_connection(('127.0.0.1', s.port), 60)
        until('accepted', lambda: value(s, 'connections') >= 3)
        s.process.send_signal(signal.SIGTERM)

        def refused():
            try:
                socket.create_connection(('127.0.0.1', s.port), 5).close()
                return False
            except ConnectionError:
                return True
        until('nobody new', refused)
        late = ctx.wrap_socket(accepted, server_hostname='127.0.0.1')
        half.sendall(request[60:])
        late.sendall(request)
        for c, name in ((half, 'half sent'), (late, 'shaking hands')):
            answer = b''
            while piece := c.recv(65536):
                answer += piece
            holds(answer.startswith(b'HTTP/1.1 200') and b'Connection: close' in answer, f'{name}: {answer[:200]}')
            c.close()
        eq(s.process.wait(60), 0, 'exit')
        idle.close()
        s.process.stdout.close()
        s.process = None
    finally:
        s.clean()


class Activated:
    """As systemd does it: holds the sockets, starts the server with them, and again."""

    def __init__(self, s, sockets=1):
        self.s = s
        self.sockets = [socket.socket() for _ in range(sockets)]
        for one in self.sockets:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self.sockets[0].bind(('127.0.0.1', 0))
        s.port = self.sockets[0].getsockname()[1]
        for one in self.sockets[1:]:
            one.bind(('127.0.0.1', s.port))
        self.local = socket.socket(socket.AF_UNIX)
        os.makedirs(os.path.join(s.root, 'run/keyholt'), exist_ok=True)
        self.local.bind(os.path.join(s.root, 'run/keyholt/server.sock'))
        for one in (*self.sockets, self.local):
            one.listen(1024)
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(s.path('notify'))
        self.notify.settimeout(60)

    def start(self):
        given = [one.fileno() for one in (*self.sockets, self.local)]

        def in_child():
            spare = [os.dup2(fd, 100 + i) for i, fd in enumerate(given)]
            for i, fd in enumerate(spare):
                os.dup2(fd, 3 + i)
                os.set_inheritable(3 + i, True)
                os.close(fd)
        script = f'LISTEN_PID=$$ LISTEN_FDS={len(given)} exec "$0" serve --root "$1" --listen 127.0.0.1:1'
        with open(self.s.log, 'ab') as log:
            self.s.process = subprocess.Popen(['sh', '-c', script, SERVER, self.s.root], stdin=subprocess.DEVNULL,
                                              stdout=subprocess.PIPE, stderr=log, text=True, preexec_fn=in_child,
                                              close_fds=False, env={**os.environ, 'NOTIFY_SOCKET': self.s.path('notify')})
        while self.notify.recv(100) != b'READY=1':
            pass

    def close(self):
        for one in (*self.sockets, self.local, self.notify):
            one.close()


def test_restart_without_a_failed_request():
    """Socket activation: four devices sync as fast as they can while the server is restarted three times."""
    s = Server('--web-workers', '2')
    systemd = Activated(s)
    try:
        systemd.start()
        devices = [enrolled(s, f'steady-{i}') for i in range(4)]
        failed, done, over = [], [0] * 4, threading.Event()

        def steady(i):
            while not over.is_set():
                try:
                    status = devices[i].sync()[0]
                    if status != 200:
                        failed.append(status)
                except Exception as e:  # pylint: disable=broad-except
                    failed.append(repr(e))
                done[i] += 1
        threads = [threading.Thread(target=steady, args=(i,)) for i in range(4)]
        for t in threads:
            t.start()
        for _ in range(3):
            was = list(done)
            until('all of them go on', lambda w=was: all(n > b + 5 for n, b in zip(done, w)))
            eq(s.stop(), 0, 'stopped well')
            systemd.start()
        was = list(done)
        until('and afterwards', lambda: all(n > b + 5 for n, b in zip(done, was)))
        over.set()
        for t in threads:
            t.join(60)
        eq(failed, [], f'of {sum(done)} requests')
        holds('given=1' in s.read_log(), 'the sockets were used')
        s.command('token', 'new')  # the local socket that was handed over
    finally:
        systemd.close()
        s.clean()


def verbs_with_json():
    """[words] of every verb whose usage takes --json, and of each of its own verbs."""
    found = []
    for part in re.split(r'(?m)^  keyholt-server ', run(SERVER, 'help').stdout)[1:]:
        words = part.split()
        second = words[1].split('|') if re.fullmatch(r'[a-z]+(\|[a-z]+)*', words[1]) else ['']
        if '--json' in part.split('\n\n')[0]:
            found += [[words[0], word] if word else [words[0]] for word in second]
    return found


def as_object(done, words):
    """Standard output is one JSON object, and one line."""
    holds(done.stdout.count('\n') == 1, f'{words}: {done.stdout!r} {done.stderr}')
    got = json.loads(done.stdout)
    holds(isinstance(got, dict), words)
    return got


def as_error(done, code, words):
    error = as_object(done, words)['error']
    eq((done.returncode, error['exit']), (code, code), f'{words}: {error}')
    holds(len(error['message']) > 5 and not error['message'].startswith('keyholt-server'), f'{words}: {error}')
    holds(error['message'].splitlines()[0] in done.stderr, f'people are told the same: {done.stderr}')


def test_version_and_help_as_json():
    """The three programs agree: the version is an object, help is text for people and refuses."""
    for name in ('keyholt-server', 'keyholt-agent', 'keyholt-desk'):
        program, verb = os.path.join(BUILD, 'bin', name), 'audit' if name != 'keyholt-agent' else 'status'
        plain = run(program, '--version').stdout.split()
        eq(as_object(run(program, '--version', '--json'), name), dict(zip(('program', 'version'), plain)), name)
        for words in (('help',), ('--help',), (verb, '--help')):
            holds(len(run(program, *words).stdout) > 100, f'{name} {words}: for people')
            done = run(program, *words, '--json', code=2)
            holds('no --json' in done.stderr, f'{name} {words}: {done}')
            if name == 'keyholt-server':
                as_error(done, 2, words)
            else:
                eq(done.stdout, '', f'{name} {words}')


def test_every_answer_as_json():
    """What a verb says on standard output with --json is one JSON object, and nothing else, whether it can or not."""
    s = Server()
    try:
        secret = s.path('user.secret')
        says = ('--as', 'alice', '--password-file', secret)
        root1 = ('--as', 'root1', '--password-file', secret)
        s.start()
        d = enrolled(s, 'json')
        e = d.escrow()
        d.sync(e)
        log = s.path('exported.log')
        other = s.command('audit', 'export', log, '--json')
        eq(as_object(other, 'export')['file'], log, 'export')
        policy = s.put('policy.json', json.dumps({}))
        rows = ((0, 'user', 'add', '--name', 'root1', '--role', 'administrator', '--password-file', secret),
                (3, 'user', 'totp', '--name', 'nobody'), (0, 'user', 'list'),
                (0, 'user', 'add', '--name', 'gone', '--role', 'reader', '--password-file', secret),
                (0, 'user', 'role', '--name', 'gone', '--role', 'auditor'),
                (0, 'user', 'password', '--name', 'gone', '--password-file', secret), (0, 'user', 'remove', '--name', 'gone'),
                (0, 'keys', 'new'), (0, 'keys', 'check'), (1, 'keys', 'import', '/nonexistent'),
                (0, 'token', 'new'), (0, 'device', 'list'), (0, 'device', 'flags'), (0, 'device', 'report', d.id), (2, 'device', 'approve', 'ffff'),
                (0, 'device', 'refuse', d.id), (0, 'device', 'approve', d.id), (0, 'device', 'revoke', d.id),
                (0, 'device', 'allow', d.id), (3, 'policy', 'set', policy), (0, 'check-config'),
                (0, 'backup', s.path('json-backup')), (1, 'backup', s.path('json-backup')), (0, 'verify'), (0, 'retain'),
                (0, 'org', 'show'), (1, 'org', 'set', '/nonexistent'),
                (2, 'org', 'change'),  # it knows no --root; test_org.py has the rest
                (0, 'recover', '--key-id', e['key_id'], '--reason', 'forgot it', *says),
                (3, 'recover', '--key-id', '00000000', '--reason', 'forgot it', *says),
                (3, 'approve', '--entry', '1', *says), (1, 'import', 'outbox', '/nonexistent'),
                (1, 'restore', s.path('json-backup')), (1, 'move', '--to', 'postgres:///nothing?host=/nonexistent'),
                (0, 'user', 'totp', '--name', 'alice'), (0, 'audit', 'show'), (0, 'audit', 'verify'), (0, 'audit', 'losses'), (1, 'audit', 'export', log),
                (2, 'audit', 'export'), (3, 'audit', 'import', log), (3, 'audit', 'acknowledge', '--entry', '1', '--reason', 'x', *root1),
                (3, 'audit', 'rotation', '--entry', '1', '--stop', '--reason', 'x', *root1),
                (3, 'audit', 'erase', '--entries', '2', *root1), (1, 'audit', 'begin'),
                (3, 'init', '--org-name', 'x', '--url', 'https://a:1', '--recovery-url', 'https://a', '--message', 'x',
                 '--offline-dir', s.path('o'), '--desk-dir', s.path('d'), '--bundle-dir', s.path('b'), '--user', 'a',
                 '--user-password-file', secret, '--desk-passphrase-file', secret))
        for code, *words in rows:
            done = s.command(*words, '--json', code=None)
            eq(done.returncode, code, f'{words}: {done.stderr}')
            got = as_object(done, words)
            if 'error' in got:
                as_error(done, done.returncode, words)
            else:
                holds(got, f'{words}')
        tried = {tuple(words[:2]) for _, *words in rows} | {(words[0],) for _, *words in rows}
        every = verbs_with_json()
        holds(len(every) > 25 and all(tuple(words) in tried for words in every), f'{every}')
        for words in every:
            as_error(run(SERVER, *words, '--json', '--nonsense', code=None), 2, words)
        for words in (('device', 'approve', '00' * 32), ('device', 'approve', 'ffff'), ('import', 'outbox', policy),
                      ('audit', 'nosuch'), ('device',), ('backup',), ('verify', '--root', '/nonexistent')):
            p = run(SERVER, *words, *(() if '--root' in words else ('--root', s.root)), '--json', code=None)
            as_error(p, p.returncode, words)
            holds(p.returncode != 0 and not as_object(p, words)['error']['message'].startswith('keyholt'), p.stdout)
        p = s.command('device', 'report', d.id, '00' * 32, '--json', code=3)
        eq(as_object(p, 'in part'), {'change': 'report', 'done': [d.id], 'failed': '00' * 32}, 'in part')
        p = run(SERVER, 'device', 'approve', '--help')
        holds('keyholt-server device' in p.stdout and not p.stderr, p)
        for words in ((), ('nosuch',), ('check-config', '--defaults'), ('check-config', '--manual')):
            as_error(run(SERVER, *words, '--json', code=None), 2, words)
        for path in ('/no\udcff', '/' + 'x' * 800 + '\u00e4' * 400):  # no UTF-8; cut amid a character
            done = subprocess.run([SERVER, 'backup', path, '--root', path, '--json'], capture_output=True, check=False)
            holds(json.loads(done.stdout.decode())['error']['exit'] == done.returncode != 0, f'{path[:9]}: {done}')
    finally:
        s.clean()


def test_an_answer_that_is_lost_is_no_success():
    """Standard output on a full disk: one sentence, and not exit code 0."""
    s = Server('--web-workers', '1').start()
    try:
        d = enrolled(s, 'lost-answer')
        d.sync(d.escrow())
        there, said = ('--root', s.root), 'the answer could not be written; what was done stays done\n'
        rows = (('token', 'new', *there), ('device', 'list', *there), ('keys', 'new', *there), ('keys', 'check', *there),
                ('audit', 'show', *there), ('audit', 'verify', *there), ('check-config', *there), ('check-config', '--manual'),
                ('check-config', '--defaults'), ('user', 'totp', '--name', 'alice', *there), ('verify', *there),
                ('backup', *there, s.path('backup')), ('--version',), ('help',), ('backup', '--help'),
                ('token', 'new', *there, '--json'), ('audit', 'show', *there, '--json'), ('--version', '--json'))
        with open('/dev/full', 'wb') as full:
            def lost(words):
                return subprocess.run([SERVER, *words], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
            for words in rows:
                p = lost(words)
                holds(p.returncode == 1 and 'standard output' in p.stderr and p.stderr.endswith(said), f'{words}: {p}')
                holds(words[:2] != ('token', 'new') or '--json' in words or 'no room left' in p.stderr, f'{words}: {p.stderr}')
            p = lost(('backup', *there, s.path('backup')))
            holds(p.returncode == 1 and 'standard output' not in p.stderr, f'a failure has its own sentence: {p.stderr}')
    finally:
        s.clean()


def test_what_is_no_command():
    for words, said in ((('bogus',), 'bogus'), (('--root', '/x', 'token', 'new'), 'the command comes first')):
        p = run(SERVER, *words, code=2)
        lines = p.stderr.splitlines()
        holds(len(lines) == 2 and said in lines[0] and '--help' in lines[1] and not p.stdout, p)
        as_error(run(SERVER, *words, '--json', code=2), 2, words)


def test_signals_and_an_orderly_stop():
    """SIGHUP ends it as SIGTERM does, and not where nohup(1) began it; SIGUSR1 and SIGUSR2 never do."""
    s = Server('--web-workers', '1')
    try:
        for ignored in (False, True):
            before = signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
            try:
                s.start()
            finally:
                signal.signal(signal.SIGHUP, before)
            start, there = os.path.getsize(s.log), s.children()
            for sig in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE, *([signal.SIGHUP] if ignored else [])):
                s.process.send_signal(sig)
            eq(s.request('GET', '/healthz')[0], 200, 'it goes on')
            eq(s.children(), there, 'with all of them')
            s.process.send_signal(signal.SIGTERM if ignored else signal.SIGHUP)
            eq(s.process.wait(60), 0, 'in order')
            holds('event=stop done=1' in s.read_log(start), s.read_log(start))
            eq(s.stop(), 0, 'and it was the end')
    finally:
        s.clean()


def test_sockets_go_with_the_server():
    """Those that it made; one that it cannot have made now, too, if nobody is there."""
    s = Server('--web-workers', '1')
    run_dir = os.path.join(s.root, 'run/keyholt')
    try:
        s.start()
        eq(sorted(os.listdir(run_dir)), ['metrics.sock', 'server.sock'], 'made')
        eq(s.stop(), 0, 'in order')
        eq(os.listdir(run_dir), [], 'and gone')
        s.start()
        s.kill()
        eq(sorted(os.listdir(run_dir)), ['metrics.sock', 'server.sock'], 'nobody removed them')
        s.configure(metrics=f'127.0.0.1:{free_port()}')
        s.start()
        eq(os.listdir(run_dir), ['server.sock'], 'metrics are elsewhere')
        s.stop()
        with socket.socket(socket.AF_UNIX) as held, socket.socket(socket.AF_UNIX) as local:
            for c, name in ((held, 'metrics.sock'), (local, 'server.sock')):
                c.bind(os.path.join(run_dir, name))
                c.listen()
            script = 'exec 3<&%d; LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" serve --root "$1" --listen 127.0.0.1:0' % local.fileno()
            p = subprocess.Popen(['sh', '-c', script, SERVER, s.root], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                 text=True, pass_fds=(local.fileno(),))
            with p:
                eq(p.stdout.readline(), 'ready\n', 'with a socket that was handed over')
                p.terminate()
            eq((p.returncode, sorted(os.listdir(run_dir))), (0, ['metrics.sock', 'server.sock']), "others' stay")
    finally:
        s.clean()


def test_sockets_that_are_none(s):
    del s
    other = Server()
    try:
        read_end, write_end = os.pipe()
        script = 'exec 3<&%d; LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" serve --root "$1"' % read_end
        p = subprocess.run(['sh', '-c', script, SERVER, other.root], capture_output=True, text=True, timeout=60,
                           pass_fds=(read_end,))
        eq(p.returncode, 1, p.stderr)
        holds('fd=3' in p.stderr, p.stderr)
        os.close(read_end)
        os.close(write_end)
    finally:
        other.clean()


# ---- configuration

def test_check_config():
    good = run(SERVER, 'check-config', '--defaults').stdout
    s = Server()
    try:
        path = s.put('server.conf', good)
        got = json.loads(run(SERVER, 'check-config', '--file', path, '--json').stdout)
        eq(got, {'file': path, 'good': True}, 'the defaults')
        holds(all(f'\n{key} =' in good for key in ('listen', 'metrics', 'enrol-approval', 'recovery')), good)
        for change, line, key, said in (
                ('web-workers = auto\n', None, None, None), ('web-workers = 17\n', 1, 'web-workers', '1 to 16'),
                ('# x\n\nwebworkers = 1\n', 3, 'webworkers', 'no such key'),
                ('listen = a\nlisten = b\n', 2, 'listen', 'second time'), ('what\n', 1, None, 'KEY = VALUE'),
                ('enrol-approval = maybe\n', 1, 'enrol-approval', 'yes or no'), ('silent-days = 0\n', 1, 'silent-days', 'number'),
                ('shed-waiting = 9x\n', 1, 'shed-waiting', 'number'), ('listen = \0\n', 1, None, 'zero bytes')):
            path = s.put('server.conf', change)
            p = run(SERVER, 'check-config', '--file', path, '--json', code=3 if line else 0)
            got = json.loads(p.stdout)
            eq((got['good'], got.get('line'), got.get('key')), (line is None, line, key), change)
            holds(said is None or said in got['reason'], f'{change}: {got}')
            if line:
                p = run(SERVER, 'check-config', '--file', path, code=3)
                holds(f'line {line}' in p.stderr and (key or '') in p.stderr, p.stderr)
        for key, values, bad in (  # what a line alone does not show
                ('listen', ('0.0.0.0:8443', '[::]:8443', ''), ('everywhere:8443', '10.0.0.1', '[::1]:99999', '127.0.0.1:0')),
                ('metrics', ('127.0.0.1:9464', ''), ('localhost:9464', '127.0.0.1:99999')),
                ('approval', ('helpdesk, advanced', 'helpdesk', ''), ('helpdsk', 'helpdesk; advanced', 'reader', 'helpdesk, auditor')),
                ('audit-file', ('/var/log/keyholt.json', ''), ('audit.json',)),
                ('audit-syslog', ('udp://192.0.2.7:514', 'tcp://[::1]:601', '/dev/log', ''),
                 ('http://192.0.2.7:1', 'tcp://log:601', 'udp://192.0.2.7:77777', 'dev/log', '/' + 'x' * 200)),
                *((half, ('', 'postgres://keyholt@db1,db2/keyholt?sslmode=verify-full&passfile=/x', 'host=db1 user=keyholt'),
                   ('postgres://u:hunter2@h/x', 'host=h password=hunter2', 'sqlite:x', '/var/lib/x.db', 'postgres://h?sslpassword=hunter2'))
                  for half in ('recovery', 'compliance')),
                *((file, ('/x', ''), ('x', './x')) for file in ('offline-root-key', 'offline-desk-key')),
                ('vault-passphrase-file', ('/x', 'credential:vault', ''), ('x', '-', 'credential:', 'credential:../x'))):
            for value_ in values:
                run(SERVER, 'check-config', '--file', s.put('server.conf', f'{key} = {value_}\n'))
            for value_ in bad:
                path = s.put('server.conf', f'# x\n{key} = {value_}\n')
                p = run(SERVER, 'check-config', '--file', path, '--json', code=3)
                got = json.loads(p.stdout)
                eq((got['good'], got['key'], got['line']), (False, key, 2), value_)
                p = run(SERVER, 'check-config', '--file', path, code=3)
                holds(p.stderr.startswith(f'keyholt-server: {path}: line 2: {key}: ') and 'hunter2' not in p.stderr, p.stderr)
        if as_root():
            for text, line, key in (('\nweb-uid = 64803\n', 2, 'web-uid'), ('audit-file = /x\nexport-uid = 64801\n', 2, 'export-uid'),
                                    ('vault-uid = 0\n', 1, 'vault-uid'), ('vault-uid = 5\nwriter-uid = 5\n', 2, 'writer-uid')):
                p = run(SERVER, 'check-config', '--file', s.put('server.conf', text), code=3)
                holds('different users' in p.stderr and f': line {line}: {key}: ' in p.stderr, p.stderr)
            run(SERVER, 'check-config', '--file', s.put('server.conf', 'export-uid = 64801\n'))
        holds('it is a folder' in run(SERVER, 'check-config', '--file', s.dir, code=1).stderr, 'a folder')
        run(SERVER, 'check-config', '--file', '/nonexistent', code=1)
        as_error(run(SERVER, 'check-config', '--file', '/nonexistent', '--json', code=1), 1, 'no such file')
        configure(s, sync_every_seconds='soon')
        p = run(SERVER, 'serve', '--root', s.root, '--listen', '127.0.0.1:0', code=1)
        holds('sync-every-seconds' in p.stderr and 'line' in p.stderr, p.stderr)
        for words in (('serve', '--root', s.root), ('backup', '--root', s.root, s.path('never'))):
            eq(run(SERVER, *words, code=1).stderr.count('\n'), 1, 'said once')
    finally:
        s.clean()


def test_init_keeps_what_the_package_brought():
    """A server.conf that is there before init: its values stay, init adds its own."""
    s = Server.__new__(Server)
    first = Server()
    try:
        s.__dict__.update(first.__dict__)
        root = first.path('second')
        os.makedirs(os.path.join(root, 'etc/keyholt'))
        text = run(SERVER, 'check-config', '--defaults').stdout.replace('silent-days = 14', 'silent-days = 3')
        with open(os.path.join(root, 'etc/keyholt/server.conf'), 'w', encoding='utf-8') as f:
            f.write(text)
        secret = first.path('user.secret')
        run(SERVER, 'init', '--root', root, '--org-name', 'x', '--url', 'https://a:1234', '--recovery-url', 'https://a', '--message',
            'm', '--offline-dir', first.path('o'), '--desk-dir', first.path('d'), '--bundle-dir', first.path('b'), '--user', 'bob',
            '--user-password-file', secret, '--desk-passphrase-file', secret)
        text = open(os.path.join(root, 'etc/keyholt/server.conf'), encoding='utf-8').read()
        holds('silent-days = 3' in text and ':1234' in text and '# ' in text, text)
    finally:
        first.clean()


def test_manual_of_the_configuration():
    """keyholt-server.conf(5) has every key with its default, what may stand there and what it means, and is installed."""
    page = run(SERVER, 'check-config', '--manual').stdout
    defaults = dict(re.findall(r'(?m)^([a-z-]+) = ?(.*)$', run(SERVER, 'check-config', '--defaults').stdout))
    holds(len(defaults) > 20, defaults)
    said = {}
    for part in re.split(r'(?m)^\.TP\n', page.split('.SH KEYS\n')[1].split('.SH FILES\n')[0])[1:]:
        lines = part.splitlines()
        text = ' '.join(line for line in lines if not line.startswith('.'))
        for line in lines:
            if line.startswith('.B "'):
                key, value = line[4:-1].replace('\\-', '-').split(' =', 1)
                said[key] = value.strip()
        holds(re.match(r'Value: \S.{3,}?\. \S.{20,}', text), f'range and meaning: {part}')
        holds(not any(line.startswith("'") or '\t' in line for line in lines), part)
    eq(said, defaults, 'keys and defaults')
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../packaging/server/install'), encoding='utf-8') as f:
        holds('$B/keyholt-server.conf.5' in f.read(), 'in the package')


def test_manual_has_every_option():
    """What `help` lists stands in keyholt-server(8), too."""
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../packaging/man/keyholt-server.8'), encoding='utf-8') as f:
        page = f.read().replace('\\-', '-')
    options = set(re.findall(r'--[a-z0-9][a-z0-9-]*', run(SERVER, 'help').stdout))
    holds(len(options) > 40, options)
    eq([o for o in sorted(options) if not re.search(re.escape(o) + r'(?![a-z0-9-])', page)], [], 'not in the manual')


# ---- metrics

def test_metrics_are_summed_and_well_formed(s):
    d = enrolled(s, 'counted')
    before = parse_metrics(metrics_text(s))

    def grew(after, name, **labels):
        key = ('keyholt_' + name, tuple(sorted(labels.items())))
        return after[key] - before[key]
    for _ in range(24):  # over both workers
        eq(d.sync()[0], 200, 'sync')
    e = d.escrow()
    d.sync(e, d.report('{}'))
    d.sync(e)
    problem(d.sync(device='00' * 8), 403)
    s.request('GET', '/nothing')
    after = parse_metrics(metrics_text(s))
    eq(grew(after, 'http_requests_total', route='sync', code='200'), 26, 'syncs')
    eq(grew(after, 'http_requests_total', route='sync', code='403'), 1, 'refused')
    eq(grew(after, 'http_requests_total', route='other', code='404'), 1, 'nothing there')
    eq(grew(after, 'tls_handshakes_total', result='done'), 28, 'handshakes')
    eq(grew(after, 'records_total', kind='escrow'), 1, 'new once')
    eq(grew(after, 'records_total', kind='report'), 1, 'reports')
    eq(grew(after, 'receipts_total', **{'class': 'local'}), 2, 'receipts')
    holds(1 <= grew(after, 'commits_total', store='recovery', result='done') <= 26, 'commits')
    eq(grew(after, 'record_age_seconds_count'), 2, 'ages')
    eq(grew(after, 'commit_seconds_count', store='compliance'), grew(after, 'commits_total', store='compliance', result='done'), 'times')
    eq(grew(after, 'commits_total', store='recovery', result='failed'), 0, 'none failed')
    holds(grew(after, 'commit_requests_count') >= 1 and grew(after, 'commit_requests_sum') >= 2, 'requests of commits')
    eq(after[('keyholt_store_up', (('store', 'recovery'),))], 1, 'store')
    eq(after[('keyholt_canaries', (('state', 'opened'),))], 1, 'canaries')
    # counters do not go back when their worker dies
    for name, pid in processes(s):
        if name == 'web':
            os.kill(pid, signal.SIGKILL)
    until('workers are back', lambda: up(s))
    now = parse_metrics(metrics_text(s))
    holds(all(now[k] >= v for k, v in after.items() if k[0].endswith('_total')), 'never less')


def up(s):
    """Are all workers there, and do they answer? One that has just been killed may still take a connection with it."""
    try:
        return value(s, 'processes_up', process='web') == min(os.cpu_count(), 16) and s.request('GET', '/healthz')[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def test_connections_are_counted(s):
    failed = value(s, 'tls_handshakes_total', result='failed')
    with socket.create_connection(('127.0.0.1', s.port), 60) as c:
        until('open', lambda: value(s, 'connections') >= 1)
        c.sendall(b'GET / HTTP/1.1\r\n\r\n')
        with contextlib.suppress(ConnectionResetError):
            while c.recv(4096):
                pass
    until('it was no handshake', lambda: value(s, 'tls_handshakes_total', result='failed') == failed + 1)
    until('closed', lambda: value(s, 'connections') == 0)


def test_metrics_are_not_for_everybody(s):
    problem(s.request('GET', '/metrics'), 404)
    mode = os.stat(os.path.join(s.root, 'run/keyholt/metrics.sock')).st_mode & 0o777
    eq(mode, 0o600, 'mode of the socket')


def test_metrics_on_an_address():
    s = Server()
    try:
        port = free_port()
        configure(s, metrics=f'127.0.0.1:{port}')
        s.start()
        c = http.client.HTTPConnection('127.0.0.1', port, timeout=30)
        c.request('GET', '/metrics')
        r = c.getresponse()
        fresh = parse_metrics(r.read().decode())
        holds(r.status == 200 and fresh, 'metrics')
        eq([fresh[('keyholt_store_up', (('store', half),))] for half in ('recovery', 'compliance')], [1, 1], 'nothing was stored yet')
        c.request('GET', '/v1/sync')
        eq(c.getresponse().status, 404, 'nothing else is there')
        c.close()
    finally:
        s.clean()


def test_silent_devices_are_counted():
    s = Server()
    try:
        s.start()
        devices = [enrolled(s, f'silent-{i}') for i in range(3)]
        for d in devices:
            d.sync()
        s.command('device', 'revoke', devices[1].id)
        s.command('device', 'refuse', devices[2].id)
        s.stop()
        with contextlib.closing(sqlite3.connect(s.state('writer/recovery.db'))) as db, db:
            db.execute('UPDATE devices SET seen = 1000, enrolled = 1000 WHERE id = ?', (bytes.fromhex(devices[0].id),))
            # more than one step of the sweep
            db.executemany('INSERT INTO devices (id, spki, courier, computer, enrolled, seen) VALUES (?, ?, ?, ?, 1, 2)',
                           [(os.urandom(32), b'', b'', '') for _ in range(1500)])
        if as_root():
            for name in os.listdir(s.state('writer')):
                os.chown(s.state('writer', name), 64802, 64802)
        s.start()
        until('counted', lambda: value(s, 'devices', state='all') == 1503)
        eq([value(s, 'devices', state=x) for x in ('silent', 'revoked', 'not_approved')], [1501, 1, 1], 'of them')
    finally:
        s.clean()


# ---- load

def test_escrow_goes_first():
    """While the store is slow, syncs without a recovery password are sent away, and those with one are kept."""
    s = Server('--web-workers', '1')
    try:
        configure(s, shed_waiting='3')
        s.start()
        d = [enrolled(s, f'busy-{i}') for i in range(9)]
        records = [x.escrow() for x in d]
        writer, answers = s.children()['writer'], [None] * 6
        os.kill(writer, signal.SIGSTOP)
        try:
            def sync(i):
                answers[i] = d[i].sync(records[i])
            threads = [threading.Thread(target=sync, args=(i,)) for i in range(6)]
            for t in threads:
                t.start()
            until('they wait', lambda: value(s, 'waiting_questions') >= 6)
            got = d[6].sync()
            holds('too much' in problem(got, 503), 'a heartbeat')
            holds(30 <= int(got[1]['Retry-After']) <= 300, 'comes back later')
            got = d[7].sync(d[7].report('{}'))
            problem(got, 503)
            eq(value(s, 'shed_requests_total', load='heartbeat'), 2, 'counted')
            eq(s.request('GET', '/healthz')[0], 200, 'health is not shed')
        finally:
            os.kill(writer, signal.SIGCONT)
        for t in threads:
            t.join(60)
        for i in range(6):
            eq(d[i].names(answers[i][2]), [records[i]['name']], 'escrowed')
        eq(d[6].sync()[0], 200, 'afterwards')
        eq(value(s, 'shed_requests_total', load='escrow'), 0, 'none of these')
    finally:
        s.clean()


def test_log_lines_of_one_device_are_limited(s):
    """At most one in a second for one device, whatever worker it meets; another device has its own."""
    d, others = enrolled(s, 'noisy'), [enrolled(s, f'noisy-{i}') for i in range(3)]
    start, begin = os.path.getsize(s.log), time.monotonic()
    for _ in range(60):
        problem(d.sync(records=['!']), 422)
    took = time.monotonic() - begin
    for other in others:
        problem(other.sync(records=['!']), 422)
    times = [float(t) for t in re.findall(rf'time=(\S+) level=warn \S+ \S+ status=422 device={d.id}', s.read_log(start))]
    holds(1 <= len(times) <= took + 1, (took, times))
    holds(all(b - a > 0.5 for a, b in zip(times, times[1:])), times)  # a line is stamped a moment after it is allowed
    said = [len(re.findall(rf'status=422 device={other.id}', s.read_log(start))) for other in others]
    # two devices in 4,096 share a place in the table; all of these hardly ever do
    holds(max(said) == 1, f'the other ones: {said}')
    holds(value(s, 'log_lines_suppressed_total') >= 60 - len(times), 'counted')


def test_requests_that_wait_share_a_commit(s):
    """Nobody can write while they come; once the writer can, what came meanwhile is one commit."""
    d = [enrolled(s, f'together-{i}') for i in range(16)]
    records, answers = [x.escrow() for x in d], [None] * len(d)

    def sync(i):
        answers[i] = d[i].sync(records[i])
    threads = [threading.Thread(target=sync, args=(i,)) for i in range(len(d))]
    before = value(s, 'commits_total', store='recovery', result='done')
    with contextlib.closing(sqlite3.connect(s.state('writer/recovery.db'), isolation_level=None)) as db:
        db.execute('BEGIN IMMEDIATE')
        for t in threads:
            t.start()
        until('all wait', lambda: value(s, 'waiting_questions') >= len(d))
        db.execute('ROLLBACK')
    for t in threads:
        t.join(60)
    for x, r, answer in zip(d, records, answers):
        eq(x.names(answer[2]), [r['name']], 'receipted')
    # the first one alone, what came behind it, and what a web worker had not sent yet
    holds(1 <= value(s, 'commits_total', store='recovery', result='done') - before <= 4, 'commits')


def test_a_forged_record_is_told_with_its_sender(s):
    """What only the writer finds wrong: the line names the device and where it called from, once in a second."""
    d = enrolled(s, 'forger')
    start, begin = os.path.getsize(s.log), time.monotonic()
    for _ in range(30):
        holds('Record 1 of 1 is refused' in problem(d.sync(flip(d.report('{}'), -1)), 422), 'refused')
    took = time.monotonic() - begin
    lines = [line for line in s.read_log(start).splitlines() if 'is refused' in line]
    holds(1 <= len(lines) <= took + 1, (took, lines))
    for line in lines:
        holds(re.search(rf'process=web event=sync status=422 device={d.id} peer=127\.0\.0\.1 detail="Record 1 of 1', line), line)


# ---- people and devices

def test_enrolment_that_a_person_approves():
    s = Server()
    try:
        configure(s, enrol_approval='yes')
        s.start()
        a, b = enrolled(s, 'wait-a'), enrolled(s, 'wait-b')
        e = a.escrow()
        eq(a.names(a.sync(e)[2]), [e['name']], 'it escrows at once')
        eq(s.recover(e['key_id'])[0]['recovery_password'], e['digits'], 'for the help desk')

        def states(*more):
            rows = json.loads(s.command('device', 'list', '--json', *more).stdout)['devices']
            return {r['device']: r['state'] for r in rows}
        eq(states('--waiting'), {a.id: 'waiting', b.id: 'waiting'}, 'both wait')
        eq(a.orders(a.sync()[2]), [e['key_id']], 'and one that waits replaces what was shown')
        eq(json.loads(s.command('device', 'approve', '--json', a.id).stdout), {'change': 'approve', 'done': [a.id]}, 'approve')
        s.command('device', 'refuse', b.id)
        eq(states(), {a.id: 'approved', b.id: 'refused'}, 'decided')
        eq(states('--waiting'), {b.id: 'refused'}, 'what is not approved')
        holds('refused' in problem(b.sync(), 403), 'nothing more is taken')
        problem(s.request('POST', '/v1/enroll', json.dumps(b.enroll_body())), 403)
        a.new_courier()
        eq(a.enroll()[0], 200, 'a second enrolment')
        eq(states()[a.id], 'approved', 'stays approved')
        s.command('device', 'approve', '00' * 32, code=3)
        s.command('device', 'approve', 'xyz', code=2)
        s.command('device', 'approve', code=2)
        s.command('device', 'marry', a.id, code=2)
        many = [a.id, b.id] * 6
        eq(json.loads(s.command('device', 'report', '--json', *many).stdout)['done'], many, 'any number')
        eq(json.loads(s.command('device', 'report', '--json', '-', stdin='\n'.join(many) + '\n\n').stdout)['done'], many, 'from a list')
        two = many[:2]
        eq(json.loads(s.command('device', 'report', '--json', '-', stdin=f'{two[0]}\n \t{two[1]} \r\n').stdout)['done'], two, 'with blanks')
        told = s.command('device', 'report', '-', stdin=f'{two[0]} {two[1]}\n', code=2).stderr
        holds('not done: ' + two[0] in told, f'two in a line are no ID: {told}')
        s.command('device', 'report', '-', stdin='\n', code=2)
        for words, stdin in (((a.id, b.id, '00' * 32, a.id), ''), (('-',), f'{a.id}\n{b.id}\n{"00" * 32}\n{a.id}\n')):
            p = s.command('device', 'approve', '--json', *words, stdin=stdin, code=3)
            eq(json.loads(p.stdout), {'change': 'approve', 'done': [a.id, b.id], 'failed': '00' * 32}, 'the third')
            holds(f'not done: {"00" * 32}; done: the 2 before it; not tried' in s.command(
                'device', 'approve', *words, stdin=stdin, code=3).stderr, 'said')
        for words, said in (((a.id,), f'approved: {a.id}\n'), ((a.id, a.id), 'approved: 2 devices\n')):
            eq(s.command('device', 'approve', *words).stdout, said, 'people are told, too')
        c = enrolled(s, 'never-here')
        rows = dict(re.findall(r'(?m)^([0-9a-f]{64})  \w+ +  ?(\S+) +\S+$', s.command('device', 'list').stdout))
        holds(re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ', rows[a.id]), f'a time for people: {rows}')
        holds(rows[c.id], rows)
    finally:
        s.clean()


def test_revocation_is_in_force_at_once(s):
    """By the store: with the next request, also on a connection that is open. By org.json: within a second or so."""
    d = enrolled(s, 'revoked-now')
    ctx = ssl.create_default_context(cafile=s.ca)
    ctx.load_cert_chain(*d.cert)
    c = http.client.HTTPSConnection('127.0.0.1', s.port, timeout=30, context=ctx)

    def sync():
        body = {'device': d.id[:16], 'records': [], 'envelopes': d.digest()}
        c.request('POST', '/v1/sync', json.dumps(body), {'Connection': 'keep-alive'})
        r = c.getresponse()
        r.read()
        return r.status
    eq(sync(), 200, 'before')
    s.command('device', 'revoke', d.id)
    eq(sync(), 403, 'on the same connection')
    s.command('device', 'allow', d.id)
    eq(sync(), 200, 'taken back')
    if not as_root():
        raise Skip('needs root: without it the root key was taken away before')
    path = os.path.join(s.root, 'etc/keyholt/org/org.json')
    with open(path, 'rb') as f:
        before = f.read()
    try:
        with open(path, 'w', encoding='utf-8') as f:
            json.dump({**s.org, 'version': s.org['version'] + 1, 'revoked': [d.id]}, f)
        s.wait_log('refused=org.json')
        eq(sync(), 200, 'what is not signed does not count')
    finally:
        with open(path, 'wb') as f:
            f.write(before)
    s.next_org('--revoke', d.id)
    try:
        until('in force', lambda: sync() == 403)

        def told():  # by any web worker: each looks for itself
            rows = json.loads(s.command('device', 'list', '--json').stdout)['devices']
            return [r['state'] for r in rows if r['device'] == d.id] == ['revoked']
        until('and told', told)
        os.kill(dict(processes(s))['reader'], signal.SIGKILL)  # one that begins counts at once
        until('counted', lambda: value(s, 'processes_up', process='reader') == 1 and value(s, 'devices', state='revoked') == 1)
    finally:
        s.next_org('--allow', d.id)
    until('taken back', lambda: sync() == 200)
    c.close()


def seen_of(s, device):
    rows = json.loads(s.command('device', 'list', '--json').stdout)['devices']
    return [row['seen'] for row in rows if row['device'] == device][0]


def test_quiet_heartbeats_hear_of_everything(s):
    """A device that is up to date costs the store no question; whatever concerns it, its next heartbeat tells."""
    d = enrolled(s, 'quiet')

    def beat(last=None):
        before = value(s, 'heartbeats_quiet_total')
        status, _, answer = d.sync(last=(last or d.previous)[:16])
        return status, sorted(answer), value(s, 'heartbeats_quiet_total') - before

    def fresh():
        status, _, answer = d.sync(d.escrow(), last=d.previous[:16])
        eq((status, answer.get('commands')), (200, None), 'a key escrowed')
    quiet = (200, ['audit_head', 'retry_after'], 1)
    eq(beat('00' * 8)[::2], (200, 0), 'before its first record')
    seen = seen_of(s, d.id)
    fresh()
    for _ in range(3):  # with one worker and with all of them
        eq(beat(), quiet, 'nothing is to be told')
    until('seen', lambda: seen_of(s, d.id) > seen)
    eq(beat('11' * 8)[1:], (['audit_head', 'known', 'retry_after'], 0), 'another last record')
    lost = d.envelopes.pop()
    status, names, asked = beat()
    holds(status == 200 and asked == 0 and 'envelopes' in names, 'other envelopes')
    d.envelopes.append(lost)
    eq(beat(), quiet, 'as before')
    s.command('device', 'report', d.id)
    eq(beat()[1:], (['audit_head', 'commands', 'retry_after'], 0), 'an order')
    order = tool('command', os.path.join(s.bundle, 'org.json'), d.sync(last=d.previous[:16])[2]['commands'][0])
    done = d.event(9, '00000000-0000-0000-0000-000000000000', order['key_id'])
    eq(d.sync(done, last=d.previous[:16])[0], 200, 'done')
    eq(beat(), quiet, 'after the order')
    s.command('device', 'revoke', d.id)
    status, _, asked = beat()
    eq((status, asked), (403, 0), 'revoked')
    s.command('device', 'allow', d.id)
    eq((beat()[2], beat()), (0, quiet), 'asked about once more')
    key = d.escrow()
    d.sync(key)
    eq(beat(), quiet, 'a second key')
    s.recover(key['key_id'])
    until('the order to rotate', lambda: 'commands' in beat()[1])
    victim = [pid for n, pid in processes(s) if n == 'writer'][0]
    starts = value(s, 'process_starts_total', process='writer')
    d = enrolled(s, 'quiet-too')
    fresh()
    eq(beat(), quiet, 'another one')
    os.kill(victim, signal.SIGKILL)
    until('the writer is back', lambda: value(s, 'process_starts_total', process='writer') == starts + 1)
    until('asked, and told', lambda: beat()[0] == 200)
    eq(beat(), quiet, 'with the new writer')


def test_without_quiet_devices_each_heartbeat_asks():
    s = Server()
    try:
        configure(s, quiet_devices=0)
        s.start()
        d = enrolled(s, 'asks')
        eq(d.sync(d.escrow())[0], 200, 'a key')
        for _ in range(2):
            eq(sorted(d.sync(last=d.previous[:16])[2]), ['audit_head', 'retry_after'], 'told')
        eq(value(s, 'heartbeats_quiet_total'), 0, 'asked')
    finally:
        s.clean()


def test_policy_goes_out_with_answers(s):
    d = enrolled(s, 'policy')
    holds('policy' not in d.sync()[2], 'there is none')
    text = json.dumps({'format': 'keyholt-policy', 'version': 3, 'org': s.org['id'], 'rotate_days': 90})
    file = s.put('policy.json', text)
    eq(json.loads(s.command('policy', 'set', file, '--json').stdout), {'version': 3, 'unknown': []}, 'set')
    answers = []
    until('sent', lambda: answers.append(d.sync()[2]) or 'policy' in answers[-1])  # by the worker that looked first
    got = answers[-1]['policy']
    eq(base64.b64decode(got['json']).decode(), text, 'the exact bytes')
    eq(len(base64.b64decode(got['sig'])), 64, 'signed')
    until('by every worker', lambda: all('policy' in d.sync(policy=2)[2] for _ in range(40)))  # which one answers is chance
    holds('policy' not in d.sync(policy=3)[2], 'not to who has it')
    s.command('policy', 'set', file, code=3)
    s.command('policy', 'set', s.put('p2.json', text.replace('3', '4').replace('90', '99999')), code=3)
    with open(os.path.join(s.root, 'etc/keyholt/org/policy.json'), 'a', encoding='utf-8') as f:
        f.write(' ')
    s.wait_log('refused=policy.json')
    eq(base64.b64decode(d.sync()[2]['policy']['json']).decode(), text, 'a changed file does not count')
    os.remove(os.path.join(s.root, 'etc/keyholt/org/policy.json'))


def test_policy_that_is_wrong_is_named():
    """Before it goes to every laptop: what is wrong, where; and what no laptop will read."""
    s = Server()
    try:
        base = {'format': 'keyholt-policy', 'version': 1, 'org': s.org['id']}

        def put(*words, code=0, **change):
            text = {k: v for k, v in {**base, **change}.items() if v is not None}
            return s.command('policy', 'set', s.put('policy.json', json.dumps(text)), *words, code=code)
        for change, said in (({'org': NO_GUID}, 'another organisation'), ({'version': None}, '"version": is missing'),
                             ({'org': None}, '"org": is missing'), ({'rotate_days': 99999}, '"rotate_days": a value is out of range'),
                             ({'rotate_days': '90'}, '"rotate_days": is missing or not in its form'),
                             ({'escrow': 'later'}, '"escrow": demands what this version cannot')):
            holds(said in put(code=3, **change).stderr, f'{change}')
        holds('not JSON' in s.command('policy', 'set', s.put('policy.json', '{'), code=3).stderr, 'broken')
        typos = {'rotate_day': 90, 'later': {'a': 1}}
        p = put('--strict', code=3, **typos)
        holds('--strict' in p.stderr and not os.path.exists(os.path.join(s.root, 'etc/keyholt/org/policy.json')), p)
        p = put('--json', **typos)
        eq(json.loads(p.stdout), {'version': 1, 'unknown': ['rotate_day', 'later', 'later.a']}, 'listed')
        eq([line.rsplit(' ', 1)[1] for line in p.stderr.splitlines()], ['rotate_day', 'later', 'later.a'], 'a line for each')
        eq(put('--strict', version=2).stderr, '', 'nothing to say')
        p = run(SERVER, 'policy', 'set', '--root', s.path('nothing'), s.path('policy.json'), code=1)
        holds(s.path('nothing') + ': no server was set up here; run keyholt-server init' in p.stderr, p)
    finally:
        s.clean()


def test_a_report_that_was_ordered(s):
    d = enrolled(s, 'ordered')
    s.command('device', 'report', d.id)
    answer = d.sync()[2]
    eq(len(answer['commands']), 1, 'an order')
    order = tool('command', os.path.join(s.bundle, 'org.json'), answer['commands'][0])
    eq(d.sync()[2]['commands'], answer['commands'], 'until it is answered')
    eq(d.sync(d.report('{}'))[2]['commands'], answer['commands'], 'a report alone does not answer it')
    eq(d.sync(d.event(9, '00000000-0000-0000-0000-000000000000', order['key_id']))[2]['commands'], [], 'done')


def test_lost_records_are_proved_by_their_receipts(s):
    """The store loses a record; the device brings it again with the receipt that it had."""
    d, other = enrolled(s, 'loser'), enrolled(s, 'loser-too')
    e, kept = d.escrow(), d.escrow()
    receipts = d.sync(e, kept, attempt=7)[2]['receipts']
    foreign = other.sync(other.escrow())[2]['receipts']
    eq(tool('receipt', os.path.join(s.bundle, 'org.json'), receipts[0])['attempt'], 7, 'the number comes back')

    def flags():
        with contextlib.closing(sqlite3.connect(s.state('writer/recovery.db'))) as db:
            return [n.hex() for n, in db.execute("SELECT record FROM flags WHERE kind = 'lost'")]
    eq(d.sync(e, proofs=receipts)[0], 200, 'nothing is missing')
    eq(flags(), [], 'no loss')
    new = d.escrow()
    forged = bytearray(base64.b64decode(receipts[0]))
    forged[70] ^= 1
    d.sync(new, proofs=[*receipts, *foreign, base64.b64encode(forged).decode()])
    eq(flags(), [], 'none that says so of this record')
    db = sqlite3.connect(s.state('writer/recovery.db'))
    with db:
        db.execute('DELETE FROM records WHERE name = ?', (bytes.fromhex(e['name']),))
        db.execute('DELETE FROM envelopes WHERE record = ?', (bytes.fromhex(e['name']),))
    db.close()
    eq(d.sync()[2]['envelopes_match'], False, 'noticed')
    missing = base64.b64decode(d.sync(set=d.set())[2]['missing']).hex()
    eq(missing, e['envelope'], 'asked for')
    eq(d.names(d.sync(e, proofs=receipts)[2]), [e['name']], 'stored again')
    eq(flags(), [e['name']], 'and the loss is on record')
    eq(value(s, 'flags_total', kind='lost'), 1, 'and counted')
    other.sync(*(other.event(6, NO_GUID) for _ in range(70)))  # more than a page
    told = json.loads(s.command('device', 'flags', '--json').stdout)['flags']
    holds([f['time'] for f in told] == sorted((f['time'] for f in told), reverse=True), 'newest first')
    lost = [f for f in told if f['device'] == d.id]
    eq([(f['kind'], f['computer'], f['sequence'], f['record']) for f in lost], [('lost', 'loser', 1, e['name'])], 'told')
    holds(abs(lost[0]['time'] - time.time()) < 600, 'and when')
    eq(json.loads(s.command('device', 'flags', '--json', d.id).stdout)['flags'], lost, 'of the device')
    eq(json.loads(s.command('device', 'flags', '--json', '--kind', 'lost').stdout)['flags'], lost, 'of the kind')
    eq([(f['kind'], f['device']) for f in json.loads(s.command('device', 'flags', '--json', other.id).stdout)['flags']],
       [('restored', other.id)] * 70, 'page by page')
    holds(re.fullmatch(rf'\d{{4}}-\d\d-\d\dT[\d:]{{8}}Z  lost      {d.id}  1  loser\n', s.command('device', 'flags', d.id).stdout), 'plain')
    holds('restored' in s.command('device', 'flags', '--kind', 'odd', code=2).stderr, 'the kinds there are')
    for words in (('--kind', 'lost', d.id), (d.id, other.id), ('xyz',), ('--waiting',)):
        s.command('device', 'flags', *words, code=2)
    s.command('device', 'list', '--kind', 'lost', code=2)
    for bad in (['!'], [7], 'x', receipts * 5, ['QUFB' * 4000]):
        problem(d.sync(proofs=bad), 422)
    for bad in (-1, 2**32, 'x'):
        problem(d.sync(attempt=bad), 422)


def test_lacks_are_asked_for_at_a_bounded_rate():
    s = Server('--web-workers', '1')
    try:
        configure(s, asks_per_second='2')
        s.start()
        d = enrolled(s, 'asked')
        start = time.monotonic()
        answers = [d.sync(envelopes='11' * 8)[2] for _ in range(40)]
        seconds = time.monotonic() - start
        asked = sum(a.get('want_set', False) for a in answers)
        holds(all(not a['envelopes_match'] and 'envelopes' in a for a in answers), 'all are told')
        took = value(s, 'envelope_sets_total', result='asked')
        eq(took, asked, 'counted')
        holds(asked <= 2 * (seconds + 2), f'{asked} of 40 in {seconds:.1f} s')
    finally:
        s.clean()


if __name__ == '__main__':
    sys.exit(main(globals(), set(sys.argv[1:])))
