#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine that never sees a network: its outbox goes to the server in a file, and the answer comes back in one.
Both ends real. The server of the story does not listen where org.json says, so that nothing else gets through."""
import contextlib
import json
import os
import sqlite3
import stat
import subprocess
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from laptop import Laptop, cannot_run, holds, machine, policy_bundle, until  # noqa: E402
from server_fixture import SERVER, Server, free_port, run  # noqa: E402


def rows(s, sql, *args):
    with contextlib.closing(sqlite3.connect(f'file:{s.state("writer/recovery.db")}?mode=ro', uri=True)) as db:
        return db.execute(sql, args).fetchall()


class Story:
    """One organisation whose server is reached by nobody, and laptops."""

    def __init__(self):
        self.port = free_port()
        self.s = Server(urls=(f'https://127.0.0.1:{self.port}',))
        self.s.start()  # on another port
        self.laptops = []

    def laptop(self, name, bundle=None):
        laptop = Laptop(self.s.path(name))
        self.laptops.append(laptop)
        laptop.run('enroll', '--bundle', bundle or self.s.bundle, code=4)
        return laptop

    def export(self, laptop, name='outbox'):
        path = self.s.path(name)
        out = laptop.run('export', path)
        return path, out

    def take_in(self, path, code=0, **kw):
        p = run(SERVER, 'import', 'outbox', '--root', self.s.root, path, '--json', code=None, **kw)
        holds(p.returncode == code, f'exit {p.returncode}: {p.stdout}{p.stderr}')
        return p

    def round(self, laptop, name='outbox'):
        path, out = self.export(laptop, name)
        self.take_in(path)
        return out, laptop.run('import', path + '.answer')

    def clean(self):
        for laptop in self.laptops:
            laptop.stop()
        self.s.clean()


def test_never_online(story):
    s, laptop = story.s, story.laptop('island')
    laptop.protect()
    path, out = story.export(laptop)
    holds(out == {'records': out['records'], 'enrolment': True} and out['records'] >= 1, str(out))
    holds(stat.S_IMODE(os.stat(path).st_mode) == 0o600, 'only its owner reads it')
    with open(path, 'rb') as f:
        data = f.read()
    holds(s.token().encode() not in data, 'the token does not travel')
    holds(laptop.status()['queued'] == out['records'], 'everything stays queued')
    p = story.take_in(path)
    holds('is enrolled now' in p.stderr and '"enrolled":true' in p.stdout, p.stdout + p.stderr)
    holds(stat.S_IMODE(os.stat(path + '.answer').st_mode) == 0o600, 'nor the answer')
    holds(not os.path.exists(laptop.machine.path('/var/lib/keyholt/courier/tls.crt')), 'no certificate yet')
    got = laptop.run('import', path + '.answer')
    holds(got == {'receipted': out['records'], 'waiting': 0}, str(got))
    status = laptop.status()
    holds((status['enrolment'], status['volumes'][0]['escrow']) == ('done', 'receipted'), str(status))
    holds('clock_off_s' not in status, 'how long a file was under way says nothing about clocks')
    key = status['volumes'][0]['key_id']
    answer, _ = s.recover(key)
    opened = subprocess.run(['cryptsetup', 'open', '--test-passphrase', laptop.image, '--key-file', '-'],
                            input=answer['recovery_password'].encode(), capture_output=True, timeout=60)
    holds(opened.returncode == 0, 'what the server gives out opens the volume')
    # the disclosure orders a rotation; the order and its answer travel the same way
    out, got = story.round(laptop)
    holds(out['enrolment'] is False, str(out))
    if laptop.volume()['key_id'] == key:  # a management key may have replaced it at once
        laptop.rotate()
    out, got = story.round(laptop)
    holds(got['waiting'] == 0 and got['receipted'] == out['records'] >= 2, str(got))
    holds(rows(s, 'SELECT done IS NOT NULL FROM commands WHERE key_id = ?', key) == [(1,)], 'the order is done')
    until('the courier has its certificate',
          lambda: os.path.exists(laptop.machine.path('/var/lib/keyholt/courier/tls.crt')), 40)
    # and one day it sees a network
    s.stop()
    s.start(story.port)
    laptop.rotate()
    laptop.run('sync')
    until('online, with the certificate that came in a file', lambda: laptop.volume()['escrow'] == 'receipted')
    s.stop()
    s.start()


def test_again_and_again(story):
    """Any file may be brought any number of times, in any order (invariant 7)."""
    s, laptop = story.s, story.laptop('twice')
    laptop.protect()
    path, out = story.export(laptop, 'first')
    laptop.rotate()
    second, more = story.export(laptop, 'second')
    for f in (second, path, second, path, path):
        story.take_in(f)
    device = bytes.fromhex(laptop.status()['device_id'])
    holds(rows(s, 'SELECT count(*) FROM envelopes WHERE sender = ?', device) == [(2,)], 'stored once')
    for f in (path, second, path):
        laptop.run('import', f + '.answer')
    status = laptop.status()
    holds(status['queued'] == 0 and status['enrolment'] == 'done', str(status))
    out, got = story.round(laptop, 'third')
    holds(out['records'] == 0 and got == {'receipted': 0, 'waiting': 0}, f'{out} {got}')
    # the answer to the enrolment was lost, and the token is used up or too old
    other = story.laptop('late')
    other.protect()
    path, _ = story.export(other, 'late-outbox')
    story.take_in(path)
    os.unlink(path + '.answer')
    with contextlib.closing(sqlite3.connect(s.state('writer/recovery.db'))) as db, db:
        db.execute('UPDATE tokens SET expires = 1')
    story.take_in(path)
    other.run('import', path + '.answer')
    holds(other.status()['enrolment'] == 'done' and other.status()['queued'] == 0, str(other.status()))
    stranger = story.laptop('stranger')
    path, _ = story.export(stranger, 'stranger-outbox')
    p = story.take_in(path, code=3)
    holds('token' in p.stderr and not os.path.exists(path + '.answer'), p.stderr)
    with contextlib.closing(sqlite3.connect(s.state('writer/recovery.db'))) as db, db:
        db.execute('UPDATE tokens SET expires = ?', (int(time.time()) + 86400,))


def test_lost_by_the_server(story):
    s = story.s
    laptop = story.laptop('loss', policy_bundle(s, 'with-packages', key_package=True))
    laptop.protect()
    for _ in range(3):
        laptop.rotate()
    story.round(laptop)
    holds(laptop.status()['queued'] == 0, str(laptop.status()))
    device = bytes.fromhex(laptop.status()['device_id'])
    lost = [h for h, in rows(s, 'SELECT hash FROM envelopes WHERE sender = ? ORDER BY hash', device)][:2]
    packages = 'SELECT name FROM records WHERE device = ? AND kind = 4 ORDER BY name'
    package = rows(s, packages, device)
    holds(len(package) > 0, 'key packages are here')
    s.stop()
    with contextlib.closing(sqlite3.connect(s.state('writer/recovery.db'))) as db, db:
        db.execute('DELETE FROM records WHERE name = ?', package[0])
        for h in lost:
            db.execute('DELETE FROM records WHERE name IN (SELECT record FROM envelopes WHERE hash = ?)', (h,))
            db.execute('DELETE FROM envelopes WHERE hash = ?', (h,))
    s.start()
    out, got = story.round(laptop)
    holds(out['records'] == 0 and got['waiting'] == 3, f'exactly what is missing is queued again: {got}')
    out, got = story.round(laptop)
    holds(out['records'] == 3 and got == {'receipted': 3, 'waiting': 0}, f'{out} {got}')
    holds(len(rows(s, 'SELECT hash FROM envelopes WHERE sender = ?', device)) == 4, 'all are back')
    holds(rows(s, packages, device) == package, 'key packages, too')


def test_refusals(story):
    s, laptop = story.s, story.laptop('refused')
    laptop.protect()
    path, _ = story.export(laptop)
    with open(path, 'rb') as f:
        data = f.read()
    count = rows(s, 'SELECT count(*) FROM records')
    for what, bad in (('cut off', data[:-1]), ('one bit', data[:300] + bytes([data[300] ^ 1]) + data[301:]),
                      ('another device in its place', data[:30] + bytes(2) + data[32:]), ('empty', b''),
                      ('something else', b'KHR\x01' + data[4:]), ('a newer version', data[:3] + b'\x03' + data[4:]),
                      ('a byte behind it', data + b'K')):
        other = s.path('bad')
        with open(other, 'wb') as f:
            f.write(bad)
        p = run(SERVER, 'import', 'outbox', '--root', s.root, other, code=None)
        holds(p.returncode in (1, 3) and p.stderr.startswith('keyholt-server: import: '), f'{what}: {p}')
        if what != 'a byte behind it':  # what stands before it was good
            holds(rows(s, 'SELECT count(*) FROM records') == count, f'{what}: something was stored')
    story.take_in(path)
    with open(path + '.answer', 'rb') as f:
        answer = f.read()
    for what, bad in (('cut off', answer[:-1]), ('an outbox', data), ('empty', b''), ('a byte behind it', answer + b'K')):
        other = s.path('bad')
        with open(other, 'wb') as f:
            f.write(bad)
        code, _, err = laptop.machine.agent('import', other)
        holds(code == 1 and err, f'{what}: {code} {err}')
    other = story.laptop('other')
    code, _, err = other.machine.agent('import', path + '.answer')
    holds(code == 3 and 'another computer' in err, f'{code} {err}')
    # receipts and certificates of nobody: every byte counts that is signed
    at = answer.index(b'KHC\x01') + 130
    with open(s.path('bad'), 'wb') as f:
        f.write(answer[:at] + bytes([answer[at] ^ 1]) + answer[at + 1:])
    story_laptop = story.laptop('again')
    path2, _ = story.export(story_laptop, 'again-outbox')
    story.take_in(path2)
    with open(path2 + '.answer', 'rb') as f:
        answer = f.read()
    at = answer.index(b'-----BEGIN CERT') + 200
    with open(s.path('bad'), 'wb') as f:
        f.write(answer[:at] + (b'A' if answer[at:at + 1] != b'A' else b'B') + answer[at + 1:])
    code, _, err = story_laptop.machine.agent('import', s.path('bad'))
    holds(code == 3 and story_laptop.status()['enrolment'] == 'queued', f'a changed certificate: {code} {err}')
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path + '.answer')
    with Foreign() as foreign:
        p = run(SERVER, 'import', 'outbox', '--root', foreign.s.root, path, code=3)
        holds('another organisation' in p.stderr, p.stderr)
    code, _, err = laptop.machine.agent('export', '/nonexistent/folder/file')
    holds(code == 1 and 'nothing was written' in err, err)
    # the socket belongs to people on the server's machine; this request to root and the server's user only
    ask = ['python3', '-c', 'import os, socket, sys\nos.setgid(65534); os.setuid(65534)\ns = socket.socket(socket.AF_UNIX)\n'
           's.connect(sys.argv[1])\ns.sendall(b\'{"op":"outbox","bytes":4}\\nKHX\\x01\')\nprint(s.recv(999).decode())',
           os.path.join(s.root, 'run/keyholt/server.sock')]
    for folder in (s.dir, s.root, os.path.join(s.root, 'run'), os.path.join(s.root, 'run/keyholt')):
        os.chmod(folder, os.stat(folder).st_mode | 0o711)
    p = subprocess.run(ask, capture_output=True, text=True, timeout=20)
    holds('DENIED' in p.stdout or 'Permission denied' in p.stderr, f'{p.stdout} {p.stderr}')
    s.stop()
    p = run(SERVER, 'import', 'outbox', '--root', s.root, path, code=4)
    holds('not running' in p.stderr, p.stderr)
    s.start()


class Foreign:
    def __enter__(self):
        self.s = Server(urls=('https://127.0.0.1:1',)).start()
        return self

    def __exit__(self, *_):
        self.s.clean()


def test_identity_changed(story):
    """Keys that an earlier identity made and never sent, and their key packages, go out in the new one's name."""
    s = story.s
    laptop = story.laptop('renamed', policy_bundle(s, 'bundle-packages', key_package=True))
    keys = [laptop.protect()['key_id']]
    for _ in range(2):
        laptop.rotate()
        keys.append(laptop.volume()['key_id'])
    before = laptop.status()['device_id']
    holds(len(set(keys)) == 3 and laptop.status()['queued'] >= 6, str(keys))
    laptop.stop_courier()
    laptop.machine.stop()
    os.unlink(laptop.machine.path('/var/lib/keyholt/agent/device.key'))
    laptop.machine.start()
    laptop.start_courier()
    after = laptop.status()['device_id']
    holds(after != before, 'a new identity')
    out, got = story.round(laptop, 'renamed-outbox')
    holds(out['enrolment'] and got['waiting'] == 0 and got['receipted'] == out['records'], f'{out} {got}')
    device = bytes.fromhex(after)
    holds(rows(s, 'SELECT count(*) FROM envelopes WHERE sender = ?', bytes.fromhex(before)) == [(0,)], 'the earlier one sent none')
    holds(rows(s, 'SELECT count(*) FROM records WHERE device = ? AND kind = 4', device) == [(1,)], 'the key package')
    given = [s.recover(key)[0]['recovery_password'] for key in keys]
    opened = [subprocess.run(['cryptsetup', 'open', '--test-passphrase', laptop.image, '--key-file', '-'], input=digits.encode(),
                             capture_output=True, timeout=60).returncode == 0 for digits in given]
    holds(opened == [False, False, True], f'each key is given out, and the newest opens: {opened}')
    holds(laptop.volume()['escrow'] == 'receipted' and laptop.volume()['key_id'] == keys[-1], str(laptop.volume()))


def verify(s, *files, code=0):
    """`keyholt-server verify` with receipts: its figures, and what it said of single things."""
    p = run(SERVER, 'verify', '--root', s.root, '--json', *files, code=code)
    return json.loads(p.stdout) if p.stdout else {}, p.stderr


def compliance(s, *statements):
    with contextlib.closing(sqlite3.connect(s.state('writer/compliance.db'))) as db, db:
        for sql in statements:
            db.execute(sql)


def retention_until(s, seconds_from_now):
    compliance(s, f'INSERT INTO retentions (cutoff_us, time, records, events) VALUES ({int(time.time() + seconds_from_now) * 1000000}, 1, 1, 1)')


def test_verify_takes_receipts(story):
    """A restored store lacks what came after its backup: receipts that a person has say so, and that it came back."""
    lost, names = 'a record that was receipted and is not in the store', 'that no receipt key of this organisation signed'
    s, laptop = story.s, story.laptop('receipts')
    laptop.protect()
    story.round(laptop, 'joined')
    run(SERVER, 'device', 'report', '--root', s.root, laptop.status()['device_id'])
    for name in ('ordered', 'before'):
        story.round(laptop, name)
    before, after, again, backup = (s.path(name) for name in ('before.answer', 'after.answer', 'receipts-again', 'backup-receipts'))
    run(SERVER, 'backup', '--root', s.root, backup)
    laptop.rotate()
    receipted = story.round(laptop, 'after')[1]['receipted']
    got, _ = verify(s, before, after)
    holds(got['receipts'] == 2 and got['receipted'] > receipted and got['wrong'] == got['too_old'] == 0, str(got))
    s.stop()
    run(SERVER, 'restore', '--root', s.root, backup)
    holds(verify(s, before)[0]['wrong'] == 0, 'what the backup has')
    got, said = verify(s, before, after, code=3)
    holds(got['wrong'] == said.count(lost) == receipted and got['too_old'] == 0, f'{got} {said}')
    with open(before, 'rb') as f, open(after, 'rb') as g, open(s.path('both'), 'wb') as both:
        both.write(f.read() + g.read())
    holds(verify(s, s.path('both'), code=3) == (got, said), 'several in one file')
    s.start()
    story.round(laptop, 'asked')  # the answer says what is missing
    story.export(laptop, 'receipts-again')
    got, said = verify(s, again, code=3)
    holds(got['receipts'] >= 1 and 0 < got['wrong'] == said.count(lost), f'receipts of records that come again: {got} {said}')
    retention_until(s, 100)
    holds(verify(s, again, code=3) == (got, said), 'keys, which the outbox has: no retention took them')
    compliance(s, 'DELETE FROM retentions')
    story.take_in(again)
    got, _ = verify(s, again)
    holds(got['receipts'] >= 1 and got['wrong'] == 0, f'they came: {got}')
    s.stop()
    compliance(s, 'DELETE FROM records', 'DELETE FROM events')
    reports = verify(s, before, code=3)[0]['wrong']
    holds(reports >= 1, 'reports that nothing took away')
    retention_until(s, -86400)
    holds(verify(s, before, code=3)[0]['wrong'] == reports, 'retention took what is older')
    retention_until(s, 100)
    got, said = verify(s, before)
    holds((got['too_old'], got['wrong'], said) == (reports, 0, ''), f'{got} {said}')
    with open(before, 'rb') as f:
        answer = f.read()
    at = answer.index(b'KHC\x01') + 130
    for what, content, word in (('cut off', answer[:-1], 'not whole'), ('empty', b'', 'not whole'), ('text', b'hello', 'neither'),
                                ('a byte behind it', answer + b'K', 'not whole'),
                                ('forged', answer[:at] + bytes([answer[at] ^ 1]) + answer[at + 1:], names),
                                ('another version', answer[:at - 127] + b'\2' + answer[at - 126:], 'cannot be read')):
        with open(s.path('bad'), 'wb') as f:
            f.write(content)
        got, said = verify(s, s.path('bad'), after, s.path('bad.none'), code=3)
        holds(word in said and 'bad.none' in said and got['wrong'] >= 2 and got['receipts'] >= 1, f'{what}: the others are checked: {got} {said}')
    with Foreign() as foreign:
        got, said = verify(foreign.s, before, code=3)
        holds(got['wrong'] == 1 and names in said, f'another organisation: {got} {said}')
    s.start()


def test_without_a_courier(story):
    laptop = story.laptop('alone')
    laptop.stop_courier()
    code, _, err = laptop.machine.agent('export', story.s.path('alone-outbox'))
    holds(code == 4 and 'keyholt-courier' in err, f'{code} {err}')
    laptop.start_courier()
    story.round(laptop, 'alone-outbox')
    laptop.stop_courier()
    out, _ = story.round(laptop, 'alone-outbox')
    holds(out['enrolment'] is False, 'once enrolled it needs none')
    laptop.start_courier()


def main(wanted):
    code = cannot_run('test_outbox')
    if code is not None:
        return code
    story = Story()
    passed = failed = 0
    try:
        for name, test in list(globals().items()):
            if not name.startswith('test_') or (wanted and name not in wanted):
                continue
            start = time.monotonic()
            try:
                test(story)
                passed += 1
                print(f'{name}: ok ({time.monotonic() - start:.1f} s)')
            except Exception:
                failed += 1
                traceback.print_exc(file=sys.stdout)
                print(f'{name}: FAILED\n{story.s.read_log()[-2000:]}')
    finally:
        story.clean()
    print(f'{passed} passed, {failed} failed, 0 skipped')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main(set(sys.argv[1:])))
