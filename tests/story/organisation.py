# SPDX-License-Identifier: GPL-3.0-or-later
"""The organisation of the story: its server, its offline desk, its people's passwords.

Everything is one of Keyholt's own commands, run as a person would; secrets go in by files.
"""
import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import threading

PERSON = 'amber'


class CommandFailed(Exception):
    """A command of Keyholt did not end as the story needs."""


def free_port():
    """Below those that the kernel gives to whoever asks for any: it stays free while nobody listens there."""
    while True:
        port = secrets.choice(range(20000, 32000))
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(('127.0.0.1', port))
            return port


class Organisation:
    """Directories: server/ is the server's --root; offline/root and offline/desk are in a drawer."""

    def __init__(self, directory, bin_dir, port, name, message, recovery_url):
        self.dir, self.bin, self.port = os.path.abspath(directory), os.path.abspath(bin_dir), port
        self.name, self.message, self.recovery_url = name, message, recovery_url
        self.server_root, self.desk_root = self.path('server'), self.path('desk')
        self.bundle, self.root_dir, self.desk_dir = self.path('bundle'), self.path('offline/root'), self.path('offline/desk')
        self.server = None
        shutil.rmtree(self.dir, ignore_errors=True)
        os.makedirs(self.path('people'), mode=0o700)
        self.secret_files = {who: self._new_secret(who) for who in (PERSON, 'desk', 'vault')}

    def path(self, name):
        return os.path.join(self.dir, name)

    def _new_secret(self, who):
        path = self.path(f'people/{who}.secret')
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), 'w', encoding='ascii') as f:
            f.write(secrets.token_urlsafe(18) + '\n')
        return path

    def command(self, program, *args, code=0, stdin=None):
        """Run one command; (stdout, stderr). Another exit code than expected is a failure of the story."""
        p = subprocess.run([os.path.join(self.bin, program), *args], input=stdin, capture_output=True, text=True,
                           timeout=300, stdin=subprocess.DEVNULL if stdin is None else None)
        if p.returncode != code:
            raise CommandFailed(f'{program} {args[0]}: exit {p.returncode}, expected {code}\n{p.stdout}{p.stderr}')
        return p.stdout, p.stderr

    # ---- server

    def init(self):
        return self.command(
            'keyholt-server', 'init', '--root', self.server_root, '--org-name', self.name,
            '--url', 'https://10.0.2.100:8443', '--url', f'https://127.0.0.1:{self.port}',
            '--recovery-url', self.recovery_url, '--message', self.message,
            '--offline-dir', self.root_dir, '--desk-dir', self.desk_dir, '--bundle-dir', self.bundle,
            '--user', PERSON, '--user-password-file', self.secret_files[PERSON],
            '--desk-passphrase-file', self.secret_files['desk'],
            '--vault-passphrase-file', self.secret_files['vault'])

    def start(self):
        """Start the server and wait until it says that it is ready."""
        log = open(self.path('server.log'), 'ab')
        self.server = subprocess.Popen(
            [os.path.join(self.bin, 'keyholt-server'), 'serve', '--root', self.server_root, '--listen',
             f'127.0.0.1:{self.port}'], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True)
        watchdog = threading.Timer(180, self.server.kill)
        watchdog.start()
        try:
            for line in self.server.stdout:
                if line.strip() == 'ready':
                    return
        finally:
            watchdog.cancel()
        raise CommandFailed(f'keyholt-server serve ended before it was ready; see {self.path("server.log")}')

    def process_users(self):
        """{program: user ID} of the server's children."""
        with open(f'/proc/{self.server.pid}/task/{self.server.pid}/children', encoding='ascii') as f:
            children = f.read().split()
        users = {}
        for pid in children:
            with open(f'/proc/{pid}/status', encoding='utf-8') as f:
                status = dict(line.split(':', 1) for line in f)
            users[status['Name'].strip()] = int(status['Uid'].split()[1])
        return users

    def stop(self):
        if self.server:
            self.server.terminate()
            try:
                self.server.wait(90)
            finally:
                self.server.kill()
                self.server.stdout.close()
            self.server = None

    def listens(self):
        """Does anything answer on the server's port?"""
        with socket.socket() as s:
            s.settimeout(2)
            return s.connect_ex(('127.0.0.1', self.port)) == 0

    @contextlib.contextmanager
    def read_only_audit_log(self):
        """While it lasts, the vault's user may read its audit log and not write it."""
        folder = os.path.dirname(self.vault_log)
        owners = {path: os.stat(path) for path in (folder, self.vault_log)}
        for path in owners:
            os.chown(path, 0, owners[path].st_gid)
        os.chmod(folder, 0o555)
        os.chmod(self.vault_log, 0o444)
        try:
            yield
        finally:
            for path, was in owners.items():
                os.chown(path, was.st_uid, was.st_gid)
                os.chmod(path, was.st_mode & 0o7777)

    @property
    def vault_log(self):
        return os.path.join(self.server_root, 'var/lib/keyholt/server/vault/audit.log')

    def recover(self, key_id, reason, code=0):
        out, err = self.command('keyholt-server', 'recover', '--root', self.server_root, '--key-id', key_id,
                                '--reason', reason, '--as', PERSON, '--password-file', '-', '--json', code=code,
                                stdin=self._secret(PERSON))
        return (json.loads(out) if code == 0 else out), err

    def _secret(self, who):
        with open(self.secret_files[who], encoding='ascii') as f:
            return f.read()

    # ---- desk

    def desk_open(self, qr_text, who, reason, code=0):
        """Open the QR's text with the offline key; nothing here talks to a server."""
        out, err = self.command(
            'keyholt-desk', 'open', '--root', self.desk_root, '--qr', '-', '--key',
            os.path.join(self.desk_dir, 'desk.key'), '--key-passphrase-file', self.secret_files['desk'],
            '--org', os.path.join(self.bundle, 'org.json'), '--root-key', os.path.join(self.bundle, 'root.pub'),
            '--who', who, '--reason', reason, '--json', code=code, stdin=qr_text)
        return (json.loads(out) if code == 0 else out), err

    @property
    def desk_log(self):
        return os.path.join(self.desk_root, 'var/lib/keyholt/desk/audit.log')
