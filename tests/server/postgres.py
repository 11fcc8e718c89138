# SPDX-License-Identifier: GPL-3.0-or-later
"""A PostgreSQL 15 of the tests' own, run by an ordinary user in a folder of its own, and its standby."""
import atexit
import functools
import os
import pwd
import shutil
import subprocess
import tempfile

from server_fixture import kill_family, wait_gone

BIN = '/usr/lib/postgresql/15/bin'
USER = 'nobody'  # what root becomes: PostgreSQL refuses to run as root


def missing():
    """Why there can be no PostgreSQL here, or None."""
    for name in ('initdb', 'pg_ctl', 'postgres', 'psql', 'pg_basebackup'):
        if not os.access(os.path.join(BIN, name), os.X_OK):
            return f'{BIN}/{name} is not there: install postgresql-15'
    return None


def _demote():
    os.nice(5)
    if os.geteuid() == 0:
        user = pwd.getpwnam(USER)
        os.setgroups([])
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)


def run(*args, code=0, timeout=300):
    # pg_ctl leaves its server behind, which would keep a pipe open: output goes to a file
    with tempfile.TemporaryFile('w+') as out:
        p = subprocess.run(args, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, timeout=timeout,
                           preexec_fn=_demote, cwd='/', env={**os.environ, 'LC_ALL': 'C', 'PGTZ': 'UTC'})
        out.seek(0)
        text = out.read()
    if code is not None and p.returncode != code:
        raise AssertionError(f'{args[:3]}: exit {p.returncode}: {text}')
    return text


@functools.cache
def pristine():
    """A cluster as initdb makes it; once for all tests of a program, which copy it."""
    folder = tempfile.mkdtemp(prefix='keyholt-pg-')
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    if os.geteuid() == 0:
        shutil.chown(folder, USER)
    data = os.path.join(folder, 'data')
    run(f'{BIN}/initdb', '-D', data, '-U', 'keyholt', '-A', 'trust', '-E', 'UTF8', '--no-locale', '--no-sync')
    return data


class Postgres:
    """One cluster on a UNIX socket; `primary`: another one to be a standby of."""

    def __init__(self, primary=None, name='standby1', **settings):
        self.dir = tempfile.mkdtemp(prefix='keyholt-pg-')
        if os.geteuid() == 0:
            shutil.chown(self.dir, USER)
        os.chmod(self.dir, 0o755)  # the server's processes are other users and need the socket
        self.data = os.path.join(self.dir, 'data')
        if primary is None:
            run('cp', '-a', '--reflink=auto', pristine(), self.data)
        else:
            run(f'{BIN}/pg_basebackup', '-D', self.data, '-d', primary.url + f'&application_name={name}', '-R', '-c', 'fast', '--no-sync')
        self.configure(listen_addresses='', unix_socket_directories=self.dir, unix_socket_permissions='0777',
                       shared_buffers='16MB', max_connections=30, max_wal_senders=4, autovacuum='off', **settings)

    @property
    def url(self):
        return f'postgres://keyholt@/postgres?host={self.dir.replace("/", "%2F")}'

    def configure(self, **settings):
        with open(os.path.join(self.data, 'postgresql.auto.conf'), 'a', encoding='ascii') as f:
            for key, value in settings.items():
                f.write(f"{key} = '{value}'\n")

    def start(self):
        run(f'{BIN}/pg_ctl', '-D', self.data, '-w', '-t', '240', '-l', os.path.join(self.dir, 'log'), 'start')
        return self

    def reload(self, **settings):
        """In force when this returns: whether commits wait for a standby is decided by the checkpointer, which reads its
        settings before it does what it is asked for."""
        self.configure(**settings)
        run(f'{BIN}/pg_ctl', '-D', self.data, 'reload')
        self.sql('CHECKPOINT')

    def stop(self, mode='fast'):
        run(f'{BIN}/pg_ctl', '-D', self.data, '-w', '-t', '240', '-m', mode, 'stop', code=None)

    def promote(self):
        run(f'{BIN}/pg_ctl', '-D', self.data, '-w', '-t', '240', 'promote')

    def kill(self):
        """As a power cut would: the postmaster and all that it started, at once."""
        with open(os.path.join(self.data, 'postmaster.pid'), encoding='ascii') as f:
            pid = int(f.readline())
        wait_gone(kill_family(pid))

    def sql(self, text, code=0, database='postgres'):
        return run(f'{BIN}/psql', '-X', '-A', '-t', '-q', '-v', 'ON_ERROR_STOP=1', '-d', self.url.replace('/postgres?', f'/{database}?'),
                   '-c', text, code=code).strip()

    def clean(self):
        self.stop('immediate')
        shutil.rmtree(self.dir, ignore_errors=True)
