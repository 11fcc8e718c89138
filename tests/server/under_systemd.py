#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""keyholt-server under a real systemd, in namespaces and an overlay of this machine's files: its units start it, its
sockets outlive restarts, and no request of a device is lost. Closes with "N passed, N failed"."""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from server_fixture import BUILD, PASSWORD, Device, Server, run  # noqa: E402
from server_suite import Skip, eq, holds, until  # noqa: E402

REPO = os.path.abspath(os.path.join(HERE, '../..'))
SYSTEMD = '/lib/systemd/systemd'
CGROUP = '/sys/fs/cgroup'
BOOT = r'''set -e
mount --make-rprivate /
mount -t proc proc "$R/proc"; mount -t tmpfs tmpfs "$R/run"; mount -t tmpfs tmpfs "$R/tmp"
mount --rbind /dev "$R/dev"; mount --bind /sys "$R/sys"
if [ "$V" = 2 ]; then mount -t cgroup2 cgroup2 "$R/sys/fs/cgroup"
else
    mount -t tmpfs tmpfs "$R/sys/fs/cgroup"; mkdir "$R/sys/fs/cgroup/systemd"
    mount -t cgroup -o none,name=systemd systemd "$R/sys/fs/cgroup/systemd"
fi
mkdir -p "$R$REPO" "$R$BUILD"; mount --rbind "$REPO" "$R$REPO"; mount --rbind "$BUILD" "$R$BUILD"
ip link set lo up
exec chroot "$R" /usr/bin/env -i container=lxc PATH=/usr/sbin:/usr/bin:/sbin:/bin "$S" --log-target=console --show-status=no
'''
TARGET = '[Unit]\nRequires=systemd-journald.service\nAfter=systemd-journald.service\nAllowIsolate=yes\n'


class Machine:
    """This machine's files, and a systemd that is nobody's first process but its own."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix='keyholt-systemd-')
        self.root, self.process, self.init = self.dir + '/root', None, None
        self.v2 = os.path.exists(CGROUP + '/cgroup.controllers')
        self.group = f'{CGROUP if self.v2 else CGROUP + "/systemd"}/{os.path.basename(self.dir)}'
        for name in ('over', 'root'):
            os.mkdir(f'{self.dir}/{name}')
        run('mount', '-t', 'tmpfs', 'tmpfs', self.dir + '/over')
        os.makedirs(self.dir + '/over/up')
        os.makedirs(self.dir + '/over/work')
        if run('mount', '-t', 'overlay', 'overlay', '-o', f'lowerdir=/,upperdir={self.dir}/over/up,workdir={self.dir}/over/work',
               self.root, code=None).returncode:
            raise Skip('no overlay of this file system')

    def install(self):
        for name in ('keyholt-server.service', 'keyholt-server.socket', 'keyholt-server-retain.service', 'keyholt-server-retain.timer'):
            shutil.copy(f'{REPO}/packaging/systemd/{name}', self.root + '/etc/systemd/system/')
        with open(self.root + '/etc/systemd/system/keyholt-test.target', 'w', encoding='ascii') as f:
            f.write(TARGET)
        shutil.copy(BUILD + '/bin/keyholt-server', self.root + '/usr/bin/')
        os.makedirs(self.root + '/usr/libexec/keyholt', exist_ok=True)
        for name in os.listdir(BUILD + '/libexec'):
            shutil.copy(f'{BUILD}/libexec/{name}', self.root + '/usr/libexec/keyholt/')

    def boot(self):
        link = self.root + '/etc/systemd/system/default.target'
        if os.path.lexists(link):
            os.remove(link)
        os.symlink('/etc/systemd/system/keyholt-test.target', link)
        try:
            os.mkdir(self.group)
        except OSError as e:
            raise Skip(f'no control group can be made: {e}') from e
        env = {**os.environ, 'R': self.root, 'S': SYSTEMD, 'V': '2' if self.v2 else '1', 'REPO': REPO, 'BUILD': BUILD}
        log = open(self.dir + '/boot.log', 'wb')
        self.process = subprocess.Popen(['sh', '-c', f'echo $$ > {self.group}/cgroup.procs && exec unshare -pmunCi --fork sh -c "$0"',
                                         BOOT], env=env, stdout=log, stderr=log)
        log.close()
        until('systemd starts', lambda: self.up() or self.process.poll() is not None, 60)
        if not self.up():
            with open(self.dir + '/boot.log', encoding='utf-8', errors='replace') as f:
                raise Skip('systemd does not start here: ' + f.read()[-300:])

    def up(self):
        pids = run('ps', '-o', 'pid=', '--ppid', str(self.process.pid), code=None).stdout.split()
        self.init = pids[0] if pids else None
        return self.init and self.run('systemctl', 'is-system-running', code=None).stdout.strip() in ('running', 'degraded')

    def run(self, *words, code=0):
        return run('nsenter', '-t', self.init, '-a', '-r', '-w', *words, code=code)

    def clean(self):
        if self.init:
            os.kill(int(self.init), signal.SIGKILL)
        if self.process:
            self.process.wait(30)
        for place in (self.root, self.dir + '/over'):
            run('umount', '-l', place, code=None)
        for folder, _, _ in os.walk(self.group, topdown=False):
            run('rmdir', folder, code=None)
        shutil.rmtree(self.dir, ignore_errors=True)


class Unit(Server):
    """The server that systemd started, from within its network."""

    def __init__(self):  # pylint: disable=super-init-not-called
        self.dir, self.root, self.bundle, self.port = tempfile.mkdtemp(), '/', '/root/keyholt-bundle', 8443
        with open(self.bundle + '/org.json', encoding='utf-8') as f:
            self.org = __import__('json').load(f)
        self.ca = self.put('ca.pem', self.org['ca'])


def inside():
    """Two devices escrow while the service is restarted three times; prints what happened."""
    s = Unit()
    devices, stop, failed, done = [Device(s, f'd{i}') for i in range(2)], threading.Event(), [], [0, 0]
    for d in devices:
        eq(d.enroll()[0], 200, 'enrol')

    def escrow(i):
        while not stop.is_set():
            record = devices[i].escrow()
            try:
                status, _, answer = devices[i].sync(record)
                if status != 200 or record['name'] not in devices[i].names(answer):
                    failed.append((status, answer))
            except Exception as e:  # pylint: disable=broad-except
                failed.append(repr(e))
            done[i] += 1
    threads = [threading.Thread(target=escrow, args=(i,)) for i in range(2)]
    for t in threads:
        t.start()
    for _ in range(3):
        time.sleep(1)
        run('systemctl', 'restart', 'keyholt-server.service')
    time.sleep(1)
    stop.set()
    for t in threads:
        t.join(60)
    print(f'{sum(done)} syncs, {len(failed)} failed {failed[:2]}')
    return 1 if failed or min(done) < 10 else 0


def lines(m, unit, priority):
    return m.run('journalctl', '-u', unit, '--no-pager', '-o', 'cat', '-p', priority).stdout


def journal(m):
    """A vault that dies is an error, and found as one; a stricter question does not find it, a milder one does."""
    main_pid = m.run('systemctl', 'show', 'keyholt-server', '-p', 'MainPID', '--value').stdout.strip()
    m.run('kill', '-KILL', m.run('pgrep', '-P', main_pid, '-x', 'vault').stdout.strip())
    until('an error in the journal', lambda: 'level=error' in lines(m, 'keyholt-server', 'err'), 60)
    holds('level=error' not in lines(m, 'keyholt-server', 'crit'), 'not as critical')
    holds('level=info' in lines(m, 'keyholt-server', 'info') and 'level=info' not in lines(m, 'keyholt-server', 'notice'), 'info')


def retain(m):
    """Beside the running server, as the writer's user: nothing without compliance-months, then a step."""
    unit = 'keyholt-server-retain.service'
    m.run('systemctl', 'start', unit)
    holds('everything is kept' in lines(m, unit, 'info'), lines(m, unit, 'info'))
    m.run('sed', '-i', 's/^compliance-months =.*/compliance-months = 2/', '/etc/keyholt/server.conf')
    m.run('systemctl', 'start', unit)
    holds('taken away' in lines(m, unit, 'info'), lines(m, unit, 'info'))
    eq(m.run('systemctl', 'is-active', 'keyholt-server.service').stdout.strip(), 'active', 'beside it')
    m.run('systemctl', 'enable', '--now', 'keyholt-server-retain.timer')
    eq(m.run('systemctl', 'is-active', 'keyholt-server-retain.timer').stdout.strip(), 'active', 'the timer waits')


def test_units(m):
    m.install()
    m.boot()
    for name in ('user', 'desk'):
        with open(f'{m.root}/root/{name}.secret', 'w', encoding='ascii') as f:
            f.write(PASSWORD + '\n')
    m.run('keyholt-server', 'init', '--org-name', 'Test', '--url', 'https://127.0.0.1:8443', '--recovery-url',
          'https://keys.example.org', '--message', 'hi', '--offline-dir', '/root/keyholt-offline', '--desk-dir',
          '/root/keyholt-desk', '--bundle-dir', '/root/keyholt-bundle', '--user', 'alice', '--user-password-file',
          '/root/user.secret', '--desk-passphrase-file', '/root/desk.secret')
    m.run('systemctl', 'enable', '--now', 'keyholt-server.socket')
    eq(m.run('systemctl', 'is-active', 'keyholt-server.service', code=None).stdout.strip(), 'inactive', 'nobody asked yet')
    print(m.run(sys.executable, os.path.abspath(__file__), 'inside').stdout.strip())
    eq(m.run('systemctl', 'is-active', 'keyholt-server.service').stdout.strip(), 'active', 'started by its socket')
    said = m.run('journalctl', '-u', 'keyholt-server', '--no-pager', '-p', 'err').stdout
    holds('level=error' not in said, said)
    journal(m)
    retain(m)
    until('the vault again', lambda: m.run('keyholt-server', 'keys', 'check', code=None).returncode == 0, 60)
    m.run('keyholt-server', 'keys', 'check')
    m.run('systemctl', 'kill', '-s', 'KILL', 'keyholt-server.service')
    until('started again', lambda: m.run('systemctl', 'show', 'keyholt-server', '-p', 'NRestarts', '--value').stdout.strip() == '1' and
          m.run('keyholt-server', 'keys', 'check', code=None).returncode == 0, 60)
    m.run('systemctl', 'stop', 'keyholt-server.service', 'keyholt-server.socket')
    eq(m.run('systemctl', 'show', 'keyholt-server', '-p', 'Result', '--value').stdout.strip(), 'success', 'ended in order')


def main():
    if sys.argv[1:] == ['inside']:
        return inside()
    if os.geteuid() != 0 or not os.path.exists(SYSTEMD):
        print('under_systemd: SKIP: it wants root and systemd\n0 passed, 0 failed, 1 skipped')
        return 0
    signal.alarm(300)
    m = None
    try:
        m = Machine()
        test_units(m)
        print('1 passed, 0 failed, 0 skipped')
    except Skip as e:
        print(f'under_systemd: SKIP: {e}\n0 passed, 0 failed, 1 skipped')
    except Exception:
        traceback.print_exc(file=sys.stdout)
        print('0 passed, 1 failed, 0 skipped')
        return 1
    finally:
        if m is not None:
            m.clean()
    return 0


if __name__ == '__main__':
    sys.exit(main())
