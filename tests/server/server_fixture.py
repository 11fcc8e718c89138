# SPDX-License-Identifier: GPL-3.0-or-later
"""A real keyholt-server on loopback, and devices that talk to it, for tests."""
import base64
import contextlib
import gzip
import hashlib
import http.client
import json
import os
import random
import re
import select
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.abspath(os.environ.get('KEYHOLT_BUILD', os.path.join(HERE, '..', '..', 'build')))
SERVER = os.path.join(BUILD, 'bin/keyholt-server')
TOOL = os.path.join(BUILD, 'tests/record_tool')
ZERO = '0' * 64
NO_GUID = '00000000-0000-0000-0000-000000000000'
PASSWORD = 'correct horse battery'
STATE = 'var/lib/keyholt/server'
REPORTS = os.environ.get('KEYHOLT_REPORTS')  # a folder of tests/sanitized
SANITIZED = REPORTS is not None
SANITIZER_WORDS = re.compile(r'ERROR: \w*Sanitizer|runtime error: |DEADLYSIGNAL')


def keep_reports(log):
    """A sanitizer that could not write where it should says so on standard error."""
    if SANITIZED and os.path.exists(log):
        with open(log, encoding='utf-8', errors='replace') as f:
            text = f.read()
        if SANITIZER_WORDS.search(text) or REPORTS in text:
            shutil.copy(log, tempfile.mkstemp(prefix='log-', dir=REPORTS)[1])


def run(*args, code=0, **kw):
    p = subprocess.run(args, capture_output=True, text=True, timeout=180, **kw)
    if code is not None and p.returncode != code:
        raise AssertionError(f'{args[:3]}: exit {p.returncode}, wanted {code}: {p.stdout}{p.stderr}')
    return p


def tool(*args, code=0):
    p = run(TOOL, *map(str, args), code=code)
    return json.loads(p.stdout) if p.returncode == 0 else None


def as_root():
    return os.geteuid() == 0


def free_port():
    """Below those that the kernel gives to whoever connects or asks for any: it is still free later."""
    while True:
        port = random.SystemRandom().randrange(20000, 32000)
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(('127.0.0.1', port))
            return port


def is_gone(pid):
    """Also who is dead and was not asked for his end yet: in a container nobody may do that."""
    try:
        with open(f'/proc/{pid}/stat', encoding='utf-8', errors='replace') as f:
            return f.read().rsplit(')', 1)[1].split()[0] in 'ZX'
    except (FileNotFoundError, ProcessLookupError):
        return True


def kill_family(pid):
    """A process and its children, at once and to the last: it starts no more of them meanwhile. Their IDs."""
    os.kill(pid, signal.SIGSTOP)
    children = run('ps', '-o', 'pid=', '--ppid', str(pid), code=None).stdout.split()
    pids = [pid, *map(int, children)]
    for one in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)
    return pids


def wait_gone(pids):
    end = time.monotonic() + 60
    while not all(map(is_gone, pids)):
        if time.monotonic() > end:
            raise AssertionError(f'not within a minute: {pids} are gone')
        time.sleep(0.01)


class Server:
    """One organisation in a directory of its own, and its server."""

    def __init__(self, *init_args, urls=('https://127.0.0.1:8443', 'https://keys.example.org:8443')):
        self.dir = tempfile.mkdtemp(prefix='keyholt-server-')  # 0700: nobody else may even look in
        self.root = os.path.join(self.dir, 'root')
        self.bundle = os.path.join(self.dir, 'bundle')
        self.process = self.port = None
        self.log = os.path.join(self.dir, 'server.log')
        for name, text in (('user', PASSWORD), ('desk', 'desk passphrase'), ('vault', 'vault passphrase')):
            self.put(name + '.secret', text + '\n')
        self.init = run(SERVER, 'init', '--root', self.root, '--org-name', 'Test Org',
                        *[w for url in urls for w in ('--url', url)], '--recovery-url', 'https://keys.example.org',
                        '--message', 'Call the help desk', '--offline-dir', self.path('offline'), '--desk-dir',
                        self.path('desk'), '--bundle-dir', self.bundle, '--user', 'alice', '--user-password-file',
                        self.path('user.secret'), '--desk-passphrase-file', self.path('desk.secret'),
                        '--vault-passphrase-file', self.path('vault.secret'), *init_args)
        if not as_root():  # everything runs as us, so the offline keys must really be away
            shutil.rmtree(self.path('offline'))
            os.remove(self.path('desk/desk.key'))
        with open(os.path.join(self.bundle, 'org.json'), encoding='utf-8') as f:
            self.org = json.load(f)
        self.ca = self.put('ca.pem', self.org['ca'])

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def state(self, *names):
        return os.path.join(self.root, STATE, *names)

    def put(self, name, text):
        path = self.path(name)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), 'w', encoding='utf-8') as f:
            f.write(text)
        return path

    def start(self, port=0):
        log = open(self.log, 'ab')
        start = os.path.getsize(self.log)
        self.process = subprocess.Popen([SERVER, 'serve', '--root', self.root, '--listen', f'127.0.0.1:{port}'],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True)
        log.close()
        ready, _, _ = select.select([self.process.stdout], [], [], 120)
        line = self.process.stdout.readline() if ready else ''
        if line != 'ready\n':
            self.stop()
            raise AssertionError('the server did not get ready:\n' + self.read_log(start))
        self.port = int(re.findall(r'event=listening address=127\.0\.0\.1:(\d+)', self.read_log(start))[-1])
        return self

    def read_log(self, start=0):
        with open(self.log, encoding='utf-8') as f:
            f.seek(start)
            return f.read()

    def wait_log(self, pattern, start=0, seconds=60):
        """Until a line of the log matches."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if re.search(pattern, self.read_log(start)):
                return
            time.sleep(0.02)
        raise AssertionError(f'the log never said {pattern}')

    def children(self):
        """{name: pid}"""
        out = run('ps', '-o', 'pid=,comm=', '--ppid', str(self.process.pid), code=None).stdout
        return {name: int(pid) for pid, name in (line.split() for line in out.splitlines())}

    def kill(self):
        """As a power cut would: every process at once."""
        pids = kill_family(self.process.pid)
        self.process.wait(60)
        self.process.stdout.close()
        wait_gone(pids[1:])
        self.process = None

    def stop(self):
        if self.process is None:
            return 0
        self.process.terminate()
        try:
            code = self.process.wait(60)
        finally:
            self.process.kill()
            self.process.stdout.close()
            self.process = None
        return code

    def clean(self):
        self.stop()
        keep_reports(self.log)
        shutil.rmtree(self.dir, ignore_errors=True)

    def metric(self, name, **labels):
        """What /metrics says of one series now."""
        with socket.socket(socket.AF_UNIX) as c:
            c.settimeout(60)
            c.connect(os.path.join(self.root, 'run/keyholt/metrics.sock'))
            c.sendall(b'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n')
            text = b''.join(iter(lambda: c.recv(65536), b'')).decode()
        wanted = 'keyholt_' + name + ('{' + ','.join(f'{k}="{v}"' for k, v in labels.items()) + '}' if labels else '')
        return next(float(line.rsplit(' ', 1)[1]) for line in text.splitlines() if line.rsplit(' ', 1)[0] == wanted)

    # ---- people

    def command(self, *args, code=0, stdin=''):
        words = list(args)
        at = 2 if words[0] in ('audit', 'user', 'token', 'keys', 'device', 'policy', 'org', 'import') else 1
        words[at:at] = ['--root', self.root]
        return run(SERVER, *words, code=code, input=stdin)

    def change_org(self, *change, code=0, org=None, key=None, out=None):
        """The next version of org.json (the server's, or another), signed by the root key: its path, and what was said."""
        out = out or tempfile.mkdtemp(prefix='org-', dir=self.dir)
        p = run(SERVER, 'org', 'change', '--org', org or os.path.join(self.root, 'etc/keyholt/org/org.json'), '--root-key',
                key or self.path('offline/root.key'), '--out', out, *change, code=code)
        return os.path.join(out, 'org.json'), p

    def next_org(self, *change):
        """Put in force; the whole of it."""
        path, _ = self.change_org(*change)
        self.command('org', 'set', path)
        with open(path, encoding='utf-8') as f:
            return json.load(f)

    def configure(self, **settings):
        """Change server.conf; names with _ for -."""
        path = os.path.join(self.root, 'etc/keyholt/server.conf')
        with open(path, encoding='utf-8') as f:
            text = f.read()
        for name, value in settings.items():
            text, n = re.subn(f'(?m)^{name.replace("_", "-")} =.*$', lambda _: f'{name.replace("_", "-")} = {value}', text)
            if n != 1:
                raise AssertionError(f'no setting {name}')
        with open(path, 'w', encoding='utf-8') as f:
            f.write(text)

    def recover(self, key, code=0, who='alice', password=PASSWORD, reason='forgot the passphrase', extra=()):
        p = self.command('recover', '--key-id', key, '--reason', reason, '--as', who, '--password-file', '-', '--json',
                         *extra, code=code, stdin=password + '\n')
        return (json.loads(p.stdout) if p.stdout.strip() else {}), p.stderr

    def audit(self, *args, code=0):
        return json.loads(self.command('audit', 'show', '--json', *args, code=code).stdout)['entries']

    def courier_certificate(self, device, start, end):
        """One of the organisation's for the courier of a device, with these dates; its path."""
        name = f'{device.name}-{start}'
        run('openssl', 'req', '-new', '-key', device.cert[1], '-out', self.path(name + '.csr'), '-subj', '/CN=' + device.id)
        os.makedirs(self.path('ca-work'), exist_ok=True)
        self.put('ca-work/index.txt', '')
        conf = self.put('ca-work/ca.conf', f'[ca]\ndefault_ca=x\n[x]\ndatabase={self.path("ca-work/index.txt")}\n'
                        f'new_certs_dir={self.path("ca-work")}\ndefault_md=sha256\npolicy=p\nrand_serial=yes\n'
                        'unique_subject=no\n[p]\ncommonName=supplied\n')
        run('openssl', 'ca', '-batch', '-config', conf, '-in', self.path(name + '.csr'), '-cert', self.ca, '-keyfile',
            self.state('writer/ca.key'), '-startdate', start, '-enddate', end, '-out', self.path(name + '.pem'), '-notext')
        return self.path(name + '.pem')

    # ---- network

    def token(self):
        with open(os.path.join(self.bundle, 'token'), encoding='ascii') as f:
            return f.read().strip()

    def request(self, method, path, body=None, cert=None, headers=None):
        """(status, headers, JSON or None) over verified TLS 1.3."""
        ctx = ssl.create_default_context(cafile=self.ca)
        if cert:
            ctx.load_cert_chain(*cert)
        c = http.client.HTTPSConnection('127.0.0.1', self.port, timeout=60, context=ctx)
        try:
            c.request(method, path, body, headers or {})
            r = c.getresponse()
            data = r.read()
            if r.headers.get('Content-Encoding') == 'gzip':
                data = gzip.decompress(data)
            kind = r.headers.get('Content-Type', 'json')  # a POST without a type gets an answer without one
            return r.status, r.headers, json.loads(data) if 'json' in kind else None
        finally:
            c.close()


class Device:
    """A laptop: device key, courier key and certificate, a chain of records."""

    def __init__(self, server, name):
        self.s, self.name = server, name
        self.key = server.path(name + '.device.key')
        made = tool('key', self.key)
        self.id, self.spki = made['device'], made['spki']
        self.incarnation = os.urandom(16).hex()
        self.sequence, self.previous = 0, ZERO
        self.envelopes = []
        self.new_courier()

    def new_courier(self):
        base = self.s.path(self.name + '.courier')
        run('openssl', 'req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout',
            base + '.key', '-out', base + '.csr', '-subj', '/CN=courier')
        with open(base + '.csr', encoding='ascii') as f:
            self.csr = f.read()
        self.csr_path, self.cert = base + '.csr', (base + '.pem', base + '.key')

    def enroll_body(self, token=None):
        token = token or self.s.token()
        now = int(time.time())
        signature = tool('enroll', self.key, token, self.csr_path, now)['signature']
        return {'token': token, 'device_spki': self.spki, 'courier_csr': self.csr, 'computer': self.name, 'time': now,
                'signature': signature}

    def enroll(self, token=None):
        status, _, answer = self.s.request('POST', '/v1/enroll', json.dumps(self.enroll_body(token)))
        if status == 200:
            with open(self.cert[0], 'w', encoding='ascii') as f:
                f.write(answer['certificate'])
        return status, answer

    def _next(self, made):
        self.previous = made['name']
        return made

    def place(self):
        self.sequence += 1
        return self.incarnation, self.sequence, self.previous

    def escrow(self, key_id=None, volume=None, owner='-'):
        key_id, volume = key_id or str(uuid.uuid4()).upper(), volume or str(uuid.uuid4()).upper()
        made = self._next(tool('escrow', self.key, os.path.join(self.s.bundle, 'org.json'), *self.place(), key_id,
                               volume, os.urandom(16).hex(), owner))
        self.envelopes.append(made['envelope'])
        return {**made, 'key_id': key_id, 'volume': volume}

    def event(self, kind, key_id, other=NO_GUID, volume=NO_GUID, when='-'):
        return self._next(tool('event', self.key, *self.place(), kind, key_id, other, volume, when))

    def report(self, text):
        return self._next(tool('report', self.key, *self.place(), text))

    def digest(self):
        hashes = sorted(bytes.fromhex(h) for h in set(self.envelopes))
        return hashlib.sha256(b''.join(hashes)).hexdigest()[:16]  # its beginning is what a sync tells

    def sync_raw(self, body, cert=None, headers=None):
        return self.s.request('POST', '/v1/sync', body, cert or self.cert, headers)

    def sync(self, *records, cert=None, **fields):
        body = {'device': self.id[:16], 'records': [r['record'] for r in records], 'envelopes': self.digest(),
                **fields}
        packed = gzip.compress(json.dumps(body).encode())
        return self.sync_raw(packed, cert, {'Content-Encoding': 'gzip', 'Accept-Encoding': 'gzip'})

    def set(self):
        return base64.b64encode(b''.join(sorted(bytes.fromhex(h) for h in set(self.envelopes)))).decode()

    def names(self, answer):
        """Names of the records that the (verified) receipts cover."""
        names = []
        for receipt in answer['receipts']:
            r = tool('receipt', os.path.join(self.s.bundle, 'org.json'), receipt)
            if r['device'] != self.id:
                raise AssertionError('a receipt for another device')
            names += r['names']
        return names

    def order_times(self, answer):
        """{key ID: time of its order}"""
        read = [tool('command', os.path.join(self.s.bundle, 'org.json'), c) for c in answer['commands']]
        return {c['key_id']: c['time'] for c in read}

    def orders(self, answer):
        return [tool('command', os.path.join(self.s.bundle, 'org.json'), c)['key_id'] for c in answer['commands']]


def flip(record, at):
    """The same record with one bit changed."""
    data = bytearray(base64.b64decode(record['record']))
    data[at] ^= 1
    return {**record, 'record': base64.b64encode(bytes(data)).decode()}
