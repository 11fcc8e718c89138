#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server killed (-9) under load: web, writer, reader, vault, all of it; half of the times between a record that the writer
has and the receipt that it owes (kill_shim.c stops it there). Where the vault goes, somebody is reading a key. No record
with a receipt may be lost, no key be shown without its entry, and the audit chain must hold. 20 times here, 200 times in killed_often.py. Closes with "N passed, N failed"."""
import concurrent.futures
import http.client
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from server_fixture import BUILD, Device, Server, as_root, free_port  # noqa: E402

LOAD = os.path.join(BUILD, 'bin/keyholt-load')
SHIM = os.path.join(BUILD, 'tests/kill_shim.so')
DEVICES = 16
WAIT_S = 60
# (who is killed, where the writer was stopped before); a killed child is started again more slowly each time, so every
# third time all of it goes
ROUNDS = (('writer', 'before'), ('web', ''), ('all', 'after'),
          ('writer', 'after'), ('vault', ''), ('all', 'before'),
          ('web', ''), ('writer', 'after'), ('all', ''),
          ('vault', ''), ('reader', ''), ('all', 'after'))


def until(what, question):
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        got = question()
        if got:
            return got
        time.sleep(0.01)
    raise AssertionError(f'not within {WAIT_S} s: {what}')


def is_stopped(pid):
    try:
        with open(f'/proc/{pid}/stat', encoding='ascii') as f:
            return f.read().rsplit(')', 1)[1].split()[0] == 'T'
    except FileNotFoundError:
        return False


class Killed:
    def __init__(self):
        self.server = Server('--web-workers', '2')
        conf = os.path.join(self.server.root, 'etc/keyholt/server.conf')
        with open(conf, encoding='utf-8') as f:
            text = f.read()
        with open(conf, 'w', encoding='utf-8') as f:
            f.write(re.sub(r'(?m)^disclosures-per-hour = .*$', 'disclosures-per-hour = 1000', text))
        self.port = free_port()
        self.arm_dir = self.server.path('arm')
        os.mkdir(self.arm_dir)
        os.chmod(self.server.dir, 0o711)
        os.chmod(self.arm_dir, 0o777)  # the writer, another user, takes the file away
        self.arm = os.path.join(self.arm_dir, 'where')
        self.start()
        self.names_path = self.server.path('names')
        self.disclosed = []
        self.shown = self.asked = 0
        self.racing, self.pool = None, concurrent.futures.ThreadPoolExecutor(1)
        self.device = Device(self.server, 'desk')
        if self.device.enroll()[0] != 200:
            raise AssertionError('a device could not enrol')
        self.load = subprocess.Popen([LOAD, '--bundle', self.server.bundle, '--enroll', f'127.0.0.1:{self.port}', '--devices',
                                      str(DEVICES), '--names', self.names_path],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if not self.load.stdout.readline():
            raise AssertionError('keyholt-load could not enrol')
        self.load.stdin.write(f'escrow full 127.0.0.1:{self.port} {DEVICES} 9000000 3600\n')
        self.load.stdin.flush()

    def start(self):
        shim = {'LD_PRELOAD': SHIM, 'KILL_SHIM_ARM': self.arm}
        os.environ.update(shim)  # for the server's processes and nobody else
        try:
            self.server.start(self.port)
        finally:
            for name in shim:
                del os.environ[name]

    def names(self):
        """Of all records whose receipts were verified."""
        with open(self.names_path, encoding='ascii') as f:
            return f.read().split()[::2]

    def goes_on(self):
        before = len(self.names())
        until('receipts come again', lambda: len(self.names()) >= before + 5)

    def stop_writer(self, where):
        """Let the writer run into the stop; it has records then whose receipts it still owes."""
        with open(self.arm + '.new', 'w', encoding='ascii') as f:
            f.write(where)
        os.chmod(self.arm + '.new', 0o666)
        os.rename(self.arm + '.new', self.arm)
        writer = self.server.children()['writer']
        until(f'the writer stops {where} its commit is durable', lambda: is_stopped(writer))

    def kill(self, who):
        if who == 'all':
            self.server.kill()
            self.start()
            return
        pid = until(f'{who} runs', lambda: self.server.children().get(who))
        os.kill(pid, signal.SIGKILL)
        until(f'{who} is another', lambda: self.server.children().get(who, pid) != pid)

    def check_records(self):
        names = self.names()
        db = sqlite3.connect(f'file:{self.server.state("writer/recovery.db")}?mode=ro', uri=True, timeout=30)
        have = {row[0] for row in db.execute('SELECT hex(name) FROM records')}
        db.close()
        lost = [name for name in names if name.upper() not in have]
        if lost:
            raise AssertionError(f'of {len(names)} records with a receipt {len(lost)} are lost: {lost[:3]}')
        return len(names)

    def disclose(self):
        """One more entry in the audit log; the vault may just have been killed."""
        record = self.device.escrow()

        def sent():
            try:
                return self.device.sync(record)[0] == 200
            except (OSError, http.client.HTTPException):
                return False
        until('the device syncs', sent)
        until('disclosed', lambda: self.server.recover(record['key_id'], code=None)[0].get('recovery_password') == record['digits'])
        self.disclosed.append(record['key_id'])

    def begin_disclosure(self):
        """One that the kill meets at any point; whether it is shown is told later."""
        self.asked += 1
        self.racing = self.pool.submit(self.server.recover, self.disclosed[0], code=None)
        time.sleep(random.random() * 0.2)

    def end_disclosure(self):
        if self.racing:
            self.shown += 'recovery_password' in self.racing.result(WAIT_S)[0]
        self.racing = None

    def check_audit(self):
        keys = [e.get('key_id') for e in self.server.audit() if e.get('action') == 'disclose']
        missing = [key for key in self.disclosed if key not in keys]
        if missing:
            raise AssertionError(f'disclosures that the audit does not know: {missing}')
        if keys.count(self.disclosed[0]) < self.shown + 1:
            raise AssertionError(f'shown {self.shown} times, and {keys.count(self.disclosed[0]) - 1} times on record')

    def finish(self):
        self.load.stdin.close()
        self.load.terminate()
        self.load.wait(60)
        if self.server.stop() != 0:
            raise AssertionError('the server did not stop in order')
        self.check_records()
        self.check_audit()
        if 'good' not in self.server.command('audit', 'verify').stdout:
            raise AssertionError('the audit chain does not hold')
        self.server.command('verify')

    def clean(self):
        self.pool.shutdown()
        self.load.kill()
        self.load.wait(30)
        self.load.stdout.close()
        self.server.clean()


def play(rounds):
    k, at_receipt, done = Killed(), 0, 0
    try:
        k.goes_on()
        k.disclose()
        for i in range(rounds):
            who, where = ROUNDS[i % len(ROUNDS)]
            if where:
                k.stop_writer(where)
                at_receipt += 1
            else:
                time.sleep(random.random() * 0.2)
            if who in ('vault', 'all'):
                k.begin_disclosure()
            k.kill(who)
            k.goes_on()
            k.end_disclosure()
            if i % 5 == 0:
                k.disclose()
            k.check_records()
            done += 1
        k.finish()
        print(f'killed {done} times, {at_receipt} of them between a record and its receipt: {len(k.names())} records had a '
              f'receipt, {len(k.disclosed)} keys were disclosed, and of {k.asked} in the middle of it {k.shown}; all are there')
        if at_receipt < rounds / 4:
            raise AssertionError(f'too few between a record and its receipt: {at_receipt}')
    except Exception:
        print(k.server.read_log()[-2000:])
        raise
    finally:
        k.clean()


def main(rounds):
    start = time.monotonic()
    if not as_root():
        print('SKIP: not root; the server\'s processes are to be different users')
        print('0 passed, 0 failed, 1 skipped')
        return 0
    random.seed(7)
    play(rounds)
    print(f'test_killed: ok ({time.monotonic() - start:.1f} s)')
    print('1 passed, 0 failed')
    return 0


if __name__ == '__main__':
    sys.exit(main(20))
