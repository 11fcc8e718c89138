#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""O5: a server is put back to an old backup and nobody tells it. The fleet proves what the audit log lost; the keys of
that time rotate by themselves, so many an hour; a person acknowledges the loss, narrows or stops the rotation. Closes
with "N passed, N failed"."""
import base64
import contextlib
import json
import os
import re
import shutil
import socket
import sqlite3
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from server_fixture import PASSWORD, Server, run  # noqa: E402
from server_suite import enrolled, eq, holds, main, until  # noqa: E402


def health(s):
    return s.request('GET', '/healthz')[2]


def metric(s, line):
    """The value of one line of /metrics."""
    with socket.socket(socket.AF_UNIX) as c:
        c.connect(os.path.join(s.root, 'run/keyholt/metrics.sock'))
        c.sendall(b'GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
        text = b''.join(iter(lambda: c.recv(65536), b'')).decode()
    return int(re.search(f'(?m)^keyholt_{re.escape(line)} (\\d+)$', text)[1])


def losses(s):
    return json.loads(s.command('audit', 'losses', '--json').stdout)


def say(s, verb, entry, who='root1', code=0, words=()):
    return s.command('audit', verb, '--entry', str(entry), '--reason', 'the disk array went back', '--as', who,
                     '--password-file', '-', *words, code=code, stdin=PASSWORD + '\n')


def next_second():
    """Times in the log have seconds."""
    time.sleep(1.1)


class Backup:
    """What `keyholt-server backup` keeps; put back as a snapshot of the disk would be, without a word."""

    def __init__(self, s):
        self.s, self.dir = s, s.path('yesterday')
        s.command('backup', self.dir)

    def put_back(self):
        self.s.stop()
        for name in os.listdir(self.s.state('writer')):
            if '.db' in name:
                os.remove(self.s.state('writer', name))
        for half in ('recovery', 'compliance'):
            shutil.copy(f'{self.dir}/{half}.db', self.s.state('writer'))
        with open(f'{self.dir}/audit.log', 'rb') as old, open(self.s.state('vault/audit.log'), 'r+b') as log:
            log.truncate(0)
            log.write(old.read())
        for name in os.listdir(self.s.state('writer')):
            os.chown(self.s.state('writer', name), 64802, 64802)
        self.s.start(self.s.port)


def people(s):
    """An administrator, root1, and an auditor, root2."""
    for name, role in (('root1', 'administrator'), ('root2', 'auditor')):
        s.command('user', 'add', '--name', name, '--role', role, '--password-file', s.path('user.secret'))


def bring_head(d, head):
    """The device has a head that the log does not: it is asked for the word on it and gives it."""
    until('the head is asked for', lambda: d.sync(audit_head=head['hash'])[2].get('want_audit_word'), 60)
    d.sync(audit_head=head['hash'], audit_word=head['word'])


def lose(s, d):
    """Yesterday's backup; since then a new key, and a disclosure of an old one. Returns the device's records and the
    head that it saw last; nothing of that is in the server any more."""
    old, other = d.escrow(), d.escrow()
    d.sync(old, other)
    backup = Backup(s)
    new = d.escrow()
    d.sync(new)
    s.recover(old['key_id'])
    head = d.sync()[2]['audit_head']
    next_second()
    backup.put_back()
    return backup, (old, other, new), head


def test_keys_of_the_lost_time_rotate():
    s = Server()
    try:
        s.configure(loss_rotations_per_hour=1)
        people(s)
        s.start()
        d = enrolled(s, 'o5')
        backup, (old, other, new), head = lose(s, d)
        eq(losses(s)['losses'], [], 'nothing is proved yet')
        eq(d.orders(d.sync()[2]), [], 'and nobody knows of the disclosure')
        bring_head(d, head)
        until('the loss is known', lambda: health(s).get('audit_lost') == head['length'], 60)
        eq(health(s)['audit_lost_acknowledged'], False, 'health')
        loss, = losses(s)['losses']
        eq((loss['lost'], loss['rotates'], loss['acknowledged']), (head['length'], True, 0), 'the loss')
        holds(loss['have'] < loss['lost'] and loss['from'] <= loss['to'] <= loss['until'], f'bounded: {loss}')
        # what came since is no key of that time; what was lost is, as soon as it is back
        next_second()
        later = d.escrow()
        d.sync(later, new)
        until('all three are known', lambda: losses(s)['keys'] == {'to_order': 3, 'ordered': 0, 'rotated': 0}, 60)
        eq(d.orders(d.sync()[2]), [], 'one an hour is none now')
        eq((metric(s, 'audit_losses{state="open"}'), metric(s, 'loss_keys{state="to_order"}')), (1, 3), 'metrics')
        s.stop()
        s.configure(loss_rotations_per_hour=36000)
        s.start(s.port)
        want = sorted(r['key_id'] for r in (old, other, new))
        until('all are ordered', lambda: sorted(d.orders(d.sync()[2])) == want, 60)
        s.wait_log('event=loss keys-to-order=', 0)
        made = [d.escrow(volume=r['volume']) for r in (old, other, new)]
        done = [d.event(2, m['key_id'], r['key_id'], r['volume']) for m, r in zip(made, (old, other, new))]
        eq(d.orders(d.sync(*made, *done)[2]), [], 'the answers close them')
        until('all rotated', lambda: losses(s)['keys'] == {'to_order': 0, 'ordered': 0, 'rotated': 3}, 60)
        eq([s.metric('loss_orders_total'), s.metric('audit_losses', state='open'), s.metric('loss_keys', state='rotated')], [3, 1, 3],
           'metrics')
        eq(d.orders(d.sync()[2]), [], 'once for ever')
        eq(metric(s, 'loss_keys{state="rotated"}'), 3, 'metrics')

        # a gap that is acknowledged, and one that is not
        holds('ENTRIES WERE LOST' in s.command('audit', 'verify', code=3).stdout, 'verify')
        say(s, 'acknowledge', loss['entry'], who='alice', code=3)
        say(s, 'acknowledge', loss['entry'] + 1, code=3)
        say(s, 'acknowledge', loss['entry'], who='root2')
        holds('complete except for the acknowledged gap' in s.command('audit', 'verify').stdout, 'verify')
        s.command('verify')
        gap, = json.loads(s.command('audit', 'verify', '--json').stdout)['gaps']
        eq((gap['acknowledged'], gap['who'], gap['reason'], gap['lost']),
           (True, 'root2', 'the disk array went back', head['length']), 'who, why, which')
        until('health', lambda: health(s)['audit_lost_acknowledged'], 60)
        eq([s.metric('audit_losses', state=x) for x in ('open', 'acknowledged')], [0, 1], 'metrics')
        word, check = s.audit()[-2:]
        eq((word['action'], check['action']), ('acknowledge', 'checkpoint'), 'signed at once')
        shutil.copy(s.state('vault/audit.log'), backup.dir)  # the next loss is another one
        s.recover(later['key_id'])
        head = d.sync()[2]['audit_head']
        next_second()
        backup.put_back()
        bring_head(d, head)
        until('another loss', lambda: len(losses(s)['losses']) == 2, 60)
        holds('ENTRIES WERE LOST' in s.command('audit', 'verify', code=3).stdout, 'a second gap')
        eq([g['acknowledged'] for g in json.loads(s.command('audit', 'verify', '--json', code=3).stdout)['gaps']],
           [True, False], 'the first is still acknowledged')
    except Exception:
        print(s.read_log()[-3000:])
        raise
    finally:
        s.clean()


def test_an_old_copy_of_a_lost_log_hides_nothing():
    """The log is gone, and a copy from the day before is imported: what came behind it is lost all the same."""
    s = Server('--web-workers', '1')
    try:
        people(s)
        s.start()
        d, other = enrolled(s, 'o5'), enrolled(s, 'other')
        old = d.escrow()
        d.sync(old)
        early = other.sync(other.escrow())[2]['audit_head']
        s.stop()
        shutil.copy(s.state('vault/audit.log'), s.path('yesterday.log'))
        s.start(s.port)
        s.recover(old['key_id'])
        head = d.sync(d.escrow())[2]['audit_head']
        next_second()
        s.stop()
        os.remove(s.state('vault/audit.log'))
        s.command('audit', 'begin')
        s.start(s.port)
        s.command('audit', 'import', s.path('yesterday.log'))
        copied = len(open(s.path('yesterday.log'), 'rb').read().splitlines())
        for i in range(2):
            bring_head(other, early)
            bring_head(d, head)
            until('the rest is lost', lambda: [(x['lost'], x['have']) for x in losses(s)['losses']] ==
                  [(head['length'], copied)], 60)
            s.stop()  # read back, it says the same
            s.start(s.port)
    except Exception:
        print(s.read_log()[-3000:])
        raise
    finally:
        s.clean()


def stranger(s):
    """A device ID and a certificate for it that nobody here made."""
    device, key, cert = os.urandom(32).hex(), s.path('stranger.key'), s.path('stranger.pem')
    run('openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key, '-out',
        cert, '-subj', '/CN=' + device)
    return device, (cert, key)


def test_one_word_does_not_blind_the_fleet():
    """A stranger's word is heard by nobody; a word that proves nothing keeps nobody else's from being heard."""
    s = Server('--web-workers', '1')
    try:
        people(s)
        s.start()
        d, other = enrolled(s, 'o5'), enrolled(s, 'other')
        early = other.sync(other.escrow())[2]['audit_head']['word']
        _, _, head = lose(s, d)
        device, cert = stranger(s)
        body = {'device': device[:16], 'envelopes': '00' * 8, 'audit_head': head['hash'], 'audit_word': head['word']}
        eq(s.request('POST', '/v1/sync', json.dumps(body), cert)[0], 403, 'a stranger')
        for word in (early, base64.b64encode(b'x' * 180).decode()):  # on an earlier head, which is there; of nobody
            eq(other.sync(audit_head=head['hash'], audit_word=word)[0], 200, 'taken')
        until('it is asked for', lambda: d.sync(audit_head=head['hash'])[2].get('want_audit_word'), 60)
        eq(losses(s)['losses'], [], 'nobody proved anything')
        d.sync(audit_head=head['hash'], audit_word=head['word'])
        until('the loss is known', lambda: [x['lost'] for x in losses(s)['losses']] == [head['length']], 60)
    except Exception:
        print(s.read_log()[-3000:])
        raise
    finally:
        s.clean()


NUMBERS = range(2, 4)


def number_orders(s):
    """Orders as an earlier version wrote them: by the entry's number, in whatever log. One keeps its mark."""
    with contextlib.closing(sqlite3.connect(s.state('writer/recovery.db'))) as db, db:
        keys = db.execute('SELECT key_id FROM commands WHERE loss IS NOT NULL ORDER BY key_id').fetchall()
        eq(len(keys), 3, 'orders')
        db.executemany('UPDATE commands SET loss = ? WHERE key_id = ?', [(n, *k) for n, k in zip(NUMBERS, keys)])


def test_a_person_narrows_and_stops_it():
    s = Server()
    try:
        s.configure(loss_rotations_per_hour=1)
        people(s)
        s.start()
        d = enrolled(s, 'o5')
        next_second()  # the new key is from after the last entry that is left
        _, (old, other, new), head = lose(s, d)
        bring_head(d, head)
        d.sync(old, other, new)
        until('known', lambda: losses(s)['keys']['to_order'] == 3, 60)
        loss, = losses(s)['losses']
        words = ['--until', time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(loss['from']))]
        say(s, 'rotation', loss['entry'], who='root2', code=3, words=words)  # an administrator's decision
        say(s, 'rotation', loss['entry'], code=3, words=['--until', '2099-01-01T00:00:00Z'])  # wider than proved
        say(s, 'rotation', loss['entry'], words=words)
        until('the new key is out of it', lambda: losses(s)['keys']['to_order'] < 3, 60)
        say(s, 'rotation', loss['entry'], words=['--stop'])
        until('none', lambda: losses(s)['keys']['to_order'] == 0 and not losses(s)['losses'][0]['rotates'], 60)
        s.stop()
        s.configure(loss_rotations_per_hour=36000)
        s.start(s.port)
        until('still stopped', lambda: losses(s)['losses'], 60)
        eq(losses(s)['losses'][0]['rotates'], False, 'after a start')
        s.wait_log('event=loss windows=1', 0)
        eq(d.orders(d.sync()[2]), [], 'nothing is ordered')
        say(s, 'rotation', loss['entry'])  # as it was proved
        until('all are ordered', lambda: len(d.orders(d.sync()[2])) == 3, 60)
        eq([e['action'] for e in s.audit(code=3) if e['action'] == 'rotation'], ['rotation'] * 3, 'on record')
        holds('3 ordered' in s.command('audit', 'losses').stdout, 'for people')
        # a stop takes back what waits: the device has heard of it, and need not do it
        eq(json.loads(say(s, 'rotation', loss['entry'], words=['--stop', '--json']).stdout),
           {'entry': loss['entry'], 'word': 'stop', 'taken_back': 3, 'gone_out': 3, 'of_unknown_losses': 0,
            'orders': 'taken-back'}, 'taken back')
        eq(d.orders(d.sync()[2]), [], 'asked for no more')
        said = say(s, 'rotation', loss['entry'], words=['--stop']).stdout
        holds('taken back: 0' in said and 'stay' not in said, f'nothing is left: {said}')
        say(s, 'rotation', loss['entry'])
        until('all are ordered once more', lambda: len(d.orders(d.sync()[2])) == 3, 60)

        # a log that somebody replaced whole by a fresh one, without an entry in it
        head = d.sync()[2]['audit_head']
        s.stop()
        os.remove(s.state('vault/audit.log'))
        s.command('audit', 'begin')
        number_orders(s)
        s.start(s.port)
        bring_head(d, head)
        until('all of it', lambda: [(x['lost'], x['have']) for x in losses(s)['losses']] == [(head['length'], 0)], 60)
        until('the keys of all time', lambda: losses(s)['keys']['ordered'] == 3, 60)
        s.command('audit', 'verify', code=3)
        # its entry has the number of another log's loss, whose orders are not taken back for it
        loss, = losses(s)['losses']
        holds(loss['entry'] in NUMBERS, f'one number for two: {loss}')
        holds('orders that stay: 3,' in say(s, 'rotation', loss['entry'], words=['--stop']).stdout, 'for people')
        got = json.loads(say(s, 'rotation', loss['entry'], words=['--stop', '--json']).stdout)
        eq((got['taken_back'], got['of_unknown_losses'], got['orders']), (0, 3, 'taken-back'), 'not ours')
        eq(len(d.orders(d.sync()[2])), 3, 'the device is asked all the same')
    except Exception:
        print(s.read_log()[-3000:])
        raise
    finally:
        s.clean()


if __name__ == '__main__':
    sys.exit(main(globals(), sys.argv[1:], 1200))
