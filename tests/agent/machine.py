# SPDX-License-Identifier: GPL-3.0-or-later
"""A computer in a folder, for tests of the real keeper: --root, an organisation, image files, no device-mapper.

Everything a test knows about a recovery password comes from the volume's header and an escrow private key,
through build/tests/judge; nothing is taken from the keeper's memory or cache.
"""
import base64
import hashlib
import json
import os
import pty
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get('KEYHOLT_BUILD', f'{TOP}/build'))
KEEPER = os.environ.get('KEYHOLT_KEEPER', f'{BUILD}/libexec/keeper')
AGENT = f'{BUILD}/bin/keyholt-agent'
JUDGE = f'{BUILD}/tests/judge'
PASSPHRASE = b'correct horse battery staple'
FAST = ['--pbkdf', 'pbkdf2', '--pbkdf-force-iterations', '1000', '-q']


def sh(*argv, data=None, check=True):
    r = subprocess.run(argv, input=data, capture_output=True, timeout=120)
    if check and r.returncode:
        raise RuntimeError(f'{argv[0]} {argv[1:3]}: exit {r.returncode}: {r.stderr.decode(errors="replace")[-400:]}')
    return r


def raw_signature(der):
    """ECDSA-Sig-Value as r and s of 32 bytes each."""
    def integer(at):
        n = der[at + 1]
        return int.from_bytes(der[at + 2:at + 2 + n], 'big').to_bytes(32, 'big'), at + 2 + n
    r, at = integer(2)
    s, _ = integer(at)
    return r + s


class Organisation:
    """Root, CA, two escrow keys and a receipt key, made with the openssl program."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        for name in ('root', 'desk', 'vault', 'receipt', 'policy'):
            sh('openssl', 'genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', self.key(name))
        sh('openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout',
           self.key('ca'), '-subj', '/CN=test CA', '-days', '30', '-out', f'{folder}/ca.pem')
        self.id = '7F3A2C10-5B44-4E0E-9D7C-2A1B3C4D5E6F'
        self.root_pub = sh('openssl', 'pkey', '-in', self.key('root'), '-pubout').stdout

    def key(self, name):
        return f'{self.folder}/{name}.pem'

    def public(self, name, **more):
        spki = sh('openssl', 'pkey', '-in', self.key(name), '-pubout', '-outform', 'DER').stdout
        return {'id': hashlib.sha256(spki).hexdigest(), 'spki': base64.b64encode(spki).decode(), **more}

    def sign(self, data, name='root'):
        r = subprocess.run(['openssl', 'dgst', '-sha256', '-sign', self.key(name)], input=data, capture_output=True,
                           check=True)
        return raw_signature(r.stdout)

    def bundle(self, folder, version=1, servers=('https://localhost:1',), token=b'a-token'):
        """Write org.json, its signature, root.pub and token into folder."""
        text = json.dumps({
            'format': 'keyholt-org', 'version': version, 'id': self.id, 'name': 'Test Organisation',
            'message': 'Call the help desk.', 'url': 'HTTPS://KEYS.EXAMPLE/R', 'servers': list(servers),
            'ca': open(f'{self.folder}/ca.pem').read(),
            'escrow_keys': [self.public('vault', use='vault'), self.public('desk', use='desk')],
            'receipt_keys': [self.public('receipt')], 'policy_key': self.public('policy'), 'revoked': []}).encode()
        os.makedirs(folder, exist_ok=True)
        for name, data in (('org.json', text), ('org.json.sig', self.sign(text)), ('root.pub', self.root_pub),
                           ('token', token)):
            with open(f'{folder}/{name}', 'wb') as f:
                f.write(data)
        return folder


    def policy(self, folder, version=1, key='policy', **fields):
        """Write a policy and its signature into folder; the two as bytes."""
        text = json.dumps({'format': 'keyholt-policy', 'version': version, 'org': self.id, **fields}).encode()
        os.makedirs(folder, exist_ok=True)
        for name, data in (('policy.json', text), ('policy.json.sig', self.sign(text, key))):
            with open(f'{folder}/{name}', 'wb') as f:
                f.write(data)
        return text, self.sign(text, key)


class Machine:
    """One --root with a keeper that can be started, killed and started again. Its sysfs says whether the root is
    encrypted: only there does the keeper keep a key of its own that opens volumes."""

    def __init__(self, root, keeper=KEEPER, courier_wait_ms=0, encrypted=True, report_after_ms=86400000, **env):
        self.root, self.keeper, self.env = root, keeper, env
        self.options = ['--root', root, '--courier-wait', str(courier_wait_ms), '--report-after', str(report_after_ms)]
        self.process = None
        os.makedirs(root, exist_ok=True)
        if encrypted:
            self.encrypt_root()

    def encrypt_root(self):
        self.block_device('root-disk', 'CRYPT-LUKS2-00000000000000000000000000000000-root', os.stat(self.root).st_dev)

    def block_device(self, name, dm_uuid=None, number=None, below=()):
        """What sysfs says of one, which stands on others. Without a medium, so that nobody opens it."""
        folder = self.path(f'/sys/class/block/{name}')
        os.makedirs(folder + '/dm', exist_ok=True)
        for attribute, text in (('size', '0'), ('dm/uuid', dm_uuid),
                                ('dev', number and f'{os.major(number)}:{os.minor(number)}')):
            if text:
                with open(f'{folder}/{attribute}', 'w') as f:
                    f.write(text + '\n')
        for other in below:
            os.makedirs(f'{folder}/slaves/{other}', exist_ok=True)

    def path(self, name):
        return self.root + name

    def log(self):
        with open(self.path('/keeper.log'), errors='replace') as f:
            return f.read()

    def start(self, **env):
        sock = self.path('/run/keyholt/keeper.sock')
        if os.path.exists(sock):
            os.unlink(sock)
        with open(self.path('/keeper.log'), 'ab') as log:
            self.process = subprocess.Popen([self.keeper, *self.options], stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, env={**os.environ, **self.env, **env})
        end = time.monotonic() + 60
        while not self.listens(sock) and self.process.poll() is None:
            if time.monotonic() > end:
                raise RuntimeError('the keeper does not listen: ' + self.log()[-300:])
            time.sleep(0.002)
        return self

    @staticmethod
    def listens(path):
        with socket.socket(socket.AF_UNIX) as s:
            return s.connect_ex(path) == 0

    def stop(self, how=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
        code = self.process.wait(timeout=60) if self.process else None
        self.process = None
        return code

    def agent(self, *argv, data=None):
        """Run keyholt-agent; (exit code, standard output, standard error)."""
        r = subprocess.run([AGENT, argv[0], '--root', self.root, *argv[1:]], input=data, capture_output=True, timeout=180)
        return r.returncode, r.stdout.decode(), r.stderr.decode()

    def at_terminal(self, *argv, answers):
        """The same where somebody sits, who answers each prompt once; (exit code, what he sees)."""
        pid, fd = pty.fork()
        if pid == 0:
            os.execv(AGENT, [AGENT, argv[0], '--root', self.root, *argv[1:]])
        said, seen = b'', 0
        try:
            for prompt, answer in answers:
                while prompt not in said[seen:]:
                    said += os.read(fd, 4096)
                seen = len(said)
                os.write(fd, answer + b'\n')
            while True:
                said += os.read(fd, 4096)
        except OSError:  # it ended
            pass
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said.decode()

    def json(self, *argv, data=None):
        code, out, err = self.agent(*argv, '--json', data=data)
        try:
            return code, json.loads(out or '{}'), err
        except ValueError:
            return code, {'not json': out}, err

    def status(self):
        code, o, err = self.json('status')
        if code:
            raise RuntimeError(err)
        return o

    def install_org(self, bundle):
        """What enroll leaves behind, without a keeper: for tests that start many of them."""
        folder = self.path('/etc/keyholt/org')
        os.makedirs(folder)
        for name in ('org.json', 'org.json.sig', 'root.pub'):
            shutil.copy(f'{bundle}/{name}', folder)
        with open(f'{bundle}/root.pub', 'rb') as f, open(f'{folder}/pin', 'w') as pin:
            pin.write(hashlib.sha256(f.read()).hexdigest() + '\n')


def fast_folder():
    """Memory where there is any: the tests sync a lot, and what they check is the order, not the disk."""
    return '/dev/shm' if os.access('/dev/shm', os.W_OK) else None


def ask(machine, kind, *fields, timeout=120):
    """Speak agent/msg.h directly (a process less per question); (exit code, text, JSON), or None when the keeper
    died."""
    body = struct.pack('<H', kind) + b''.join(
        struct.pack('<I', f) if isinstance(f, int) else struct.pack('<I', len(f)) + f for f in fields)
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(timeout)
    try:
        s.connect(machine.path('/run/keyholt/keeper.sock'))
        s.sendall(struct.pack('<I', len(body)) + body)
        got = b''
        while True:
            while len(got) >= 4 and len(got) >= 4 + struct.unpack_from('<I', got)[0]:
                n = struct.unpack_from('<I', got)[0]
                frame, got = got[4:4 + n], got[4 + n:]
                if struct.unpack_from('<H', frame)[0] == 17:
                    code, size = struct.unpack_from('<II', frame, 2)
                    return code, frame[10:10 + size].decode(), json.loads(frame[14 + size:])
            part = s.recv(65536)
            if not part:
                return None
            got += part
    except (ConnectionError, FileNotFoundError):
        return None
    finally:
        s.close()


MSG_PROTECT, MSG_STATUS, MSG_ROTATE, MSG_VERIFY = 2, 3, 4, 6
OURS = ('keyholt', 'keyholt-management')  # types of token
NO_ESP = 1


def make_volume(path, *options, kind='luks2', size='20M', key=PASSPHRASE):
    sh('truncate', '-s', size, path)
    sh('cryptsetup', 'luksFormat', '--type', kind, *FAST, *options, path, '-', data=key)
    return path


def header(image):
    """The JSON of the first header, read by nobody's code but this."""
    with open(image, 'rb') as f:
        size = struct.unpack('>Q', f.read(16)[8:])[0]
        f.seek(4096)
        return json.loads(f.read(size - 4096).split(b'\0', 1)[0])


def judge(image, org, name='desk'):
    """What can be read with the volume locked, and with one escrow key: see tests/agent/judge.c."""
    r = subprocess.run([JUDGE, image, org.key(name), org.id], capture_output=True, timeout=60)
    if r.returncode:
        raise RuntimeError(f'judge: {r.stderr.decode()[-300:]}')
    return json.loads(r.stdout)


def opens(image, passphrase, slot=None):
    where = ['-S', str(slot)] if slot is not None else []
    return sh('cryptsetup', 'open', '--test-passphrase', *where, '-d', '-', image, data=passphrase,
              check=False).returncode == 0


class Checks:
    """Count checks; the closing line is what tests/check adds up."""

    def __init__(self, folder=None):
        self.passed = self.failed = self.skipped = 0
        self.folder = tempfile.mkdtemp(prefix='keyholt-agent-', dir=folder)

    def check(self, good, what, detail=''):
        if good:
            self.passed += 1
        else:
            self.failed += 1
            print(f'FAILED: {what} {detail}', flush=True)
        return bool(good)

    def skip(self, what, why):
        self.skipped += 1
        print(f'SKIP: {what}: {why}', flush=True)

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        skipped = f', {self.skipped} skipped' if self.skipped else ''
        print(f'{self.passed} passed, {self.failed} failed{skipped}')
        return 1 if self.failed or not self.passed else 0
