#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The vault on real parts: epochs of the escrow key, heads of its log, imported chains, personal data. Closes with "N passed, N failed"."""
import base64
import contextlib
import hashlib
import hmac
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
import secret_search  # noqa: E402
from server_fixture import BUILD, SERVER, Server, run
from server_suite import Skip, enrolled, eq, holds, main

LIMIT_S = 1200


@contextlib.contextmanager
def server(*args):
    s = Server(*args)
    try:
        yield s
    except Exception:
        print(s.read_log()[-3000:] if os.path.exists(s.log) else '')
        raise
    finally:
        s.clean()


# ---- epochs of the escrow key

def old_epoch(s):
    """A key that the organisation used earlier; a copy of org.json as it was then."""
    pem = s.path('old.pem')
    run('openssl', 'genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', pem)
    spki = run('openssl', 'pkey', '-in', pem, '-pubout').stdout
    org = json.loads(json.dumps(s.org))
    org['escrow_keys'] = [{**org['escrow_keys'][0], 'spki': ''.join(spki.splitlines()[1:-1])}]
    org['escrow_keys'][0]['id'] = run('sh', '-c', f'openssl pkey -in {pem} -pubout -outform DER | sha256sum').stdout.split()[0]
    s.put('old-org.json', json.dumps(org))
    return pem, s.path('old-org.json')


def until(condition, what):
    """Wait for it, a minute at most; what it said last."""
    end = time.monotonic() + 60
    while not (got := condition()):
        if time.monotonic() > end:
            raise AssertionError(f'never: {what}')
        time.sleep(0.05)
    return got


def escrow_for(d, org):
    """One that is sealed to another organisation file's keys."""
    bundle, d.s.bundle = d.s.bundle, os.path.dirname(org)
    os.rename(org, os.path.join(d.s.bundle, 'org.json'))
    try:
        return d.escrow()
    finally:
        os.rename(os.path.join(d.s.bundle, 'org.json'), org)
        d.s.bundle = bundle


def keys(s, code=0):
    health(s)  # and the vault is heard of
    return json.loads(s.command('keys', 'check', '--json', code=code).stdout)


def health(s):
    """As soon as the web worker has heard of the vault, which comes a moment after the start."""
    until = time.monotonic() + 60
    while True:
        said = s.request('GET', '/healthz')[2]
        if said['disclosure'] or time.monotonic() > until:
            return said
        time.sleep(0.05)


def test_epochs_of_the_escrow_key():
    with server() as s:
        pem, org = old_epoch(s)
        p = s.command('keys', 'import', pem)
        holds('BEGIN PUBLIC KEY' in p.stdout, p.stdout)
        s.command('keys', 'import', pem, code=3)
        s.command('keys', 'check', code=4)
        s.start()
        d = enrolled(s, 'epochs')
        old, new = escrow_for(d, org), d.escrow()
        d.sync(old, new)
        eq(s.recover(old['key_id'])[0]['recovery_password'], old['digits'], 'sealed to the old epoch')
        eq(s.recover(new['key_id'])[0]['recovery_password'], new['digits'], 'sealed to the new one')
        eq([k['opened'] for k in keys(s)['keys']], [True, True], 'canaries')
        eq(health(s)['escrow_keys'], {'opened': 2, 'failed': 0}, 'health')
        stems = sorted({n.split('.')[0] for n in os.listdir(s.state('vault/keys'))})
        current = s.org['escrow_keys'][0]['id'].lower()
        stem = next(n for n in stems if not current.startswith(n))
        eq(secret_search.search([s.root, s.log], [old['digits'], new['digits']]), [], 'passwords on disk')
        good = {n: open(s.state('vault/keys', stem + n), 'rb').read() for n in ('.key', '.canary')}
        for name, change in (('.key', b'nonsense'), ('.canary', bytes(len(good['.canary']))), ('.key', None), ('.canary', None)):
            s.stop()
            path = s.state('vault/keys', stem + name)
            at = os.path.getsize(s.log)
            if change is None:
                os.remove(path)
            else:
                with open(path, 'r+b') as f:
                    f.truncate(0)
                    f.write(change)
            s.start()
            s.wait_log(f'level=error process=vault event=canary key=[0-9A-Fa-f]* file={stem} .*alarm=', at)
            eq(sorted(k['opened'] for k in keys(s, 3)['keys']), [False, True], f'{name} {change}')
            eq(health(s)['escrow_keys'], {'opened': 1, 'failed': 1}, 'health')
            eq([s.metric('canaries', state=x) for x in ('opened', 'not_opened')], [1, 1], 'metrics')
            eq(s.recover(new['key_id'])[0]['recovery_password'], new['digits'], 'the others serve')
            _, err = s.recover(old['key_id'], code=3)
            holds('escrow key' in err or 'not sealed to a key of this vault' in err, err)
            with open(path, 'wb') as f:
                f.write(good[name])
            if os.geteuid() == 0:
                os.chown(path, 64803, 64803)
                os.chmod(path, 0o600)
        s.stop()
        s.start()
        eq(keys(s)['good'], True, 'as it was')


def test_keys_say_what_is_wrong():
    with server() as s:
        def refused(*words, code=1, said, **kw):
            p = s.command('keys', *words, code=code, **kw)
            holds(said in p.stderr and not p.stdout, f'{words}: {p}')
        pem, sealed, rsa = s.path('p256.pem'), s.path('sealed.pem'), s.path('rsa.pem')
        run('openssl', 'genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', pem)
        run('openssl', 'pkcs8', '-topk8', '-in', pem, '-out', sealed, '-passout', 'pass:its own')
        run('openssl', 'genpkey', '-algorithm', 'RSA', '-out', rsa)
        refused('import', sealed, said=sealed + ': it is encrypted; name a file with its passphrase: --passphrase-file')
        refused('import', sealed, '--passphrase-file', '-', stdin='wrong', said='the passphrase does not open it')
        refused('import', rsa, said='P-256 private key')
        refused('import', s.put('none.pem', 'x' * 5000), said='P-256 private key')
        refused('import', s.path('absent'), said='not found')
        made = json.loads(s.command('keys', 'import', sealed, '--passphrase-file', '-', '--json', stdin='its own').stdout)
        der = base64.b64decode(''.join(made['public_key'].splitlines()[1:-1]))
        eq(made['id'].lower(), hashlib.sha256(der).hexdigest(), 'the ID')
        refused('import', pem, code=3, said='the vault has this key already')
        stem = made['id'].lower()[:16]
        key = next(s.state('vault/keys', n) for n in os.listdir(s.state('vault/keys')) if n.lower() == stem + '.key')
        os.remove(key)
        p = s.command('keys', 'import', pem)  # lost, and its canary stayed
        holds(made['id'] in p.stderr and os.path.exists(key), p)
        s.start()
        health(s)
        table = s.command('keys', 'check').stdout
        eq(table.lower().count(stem), 1, table)
        s.stop()
        sig = os.path.join(s.root, 'etc/keyholt/org/org.json.sig')
        with open(sig, 'r+b') as f:
            f.write(bytes(64))
        refused('new', said='do not belong together')
        os.remove(sig)
        refused('new', said='do not belong together')
        os.remove(os.path.join(s.root, 'etc/keyholt/org/org.json'))
        refused('new', said='no server was set up here; run keyholt-server init')


def test_a_key_that_cannot_be_written_is_told_why():
    with server() as s:
        folder = s.state('vault/keys')
        s.configure(vault_passphrase_file='')
        for path in (s.dir, s.state('vault')):
            os.chmod(path, 0o755)
        os.chmod(folder, 0o500)
        p = subprocess.run([SERVER, 'keys', 'new', '--root', s.root], capture_output=True, text=True, check=False,
                           **({'user': 65534} if os.geteuid() == 0 else {}))
        os.chmod(folder, 0o700)
        holds(p.returncode == 1 and f'{folder}: it cannot be written by this user' in p.stderr, p)
        if os.geteuid() != 0 or run('unshare', '-m', 'true', code=None).returncode != 0:
            raise Skip('needs a mount namespace for a full disk')
        p = run('unshare', '-m', 'sh', '-c', 'mount -t tmpfs -o size=4k none "$1" && "$0" keys new --root "$2"; echo "$?"; ls "$1"',
                SERVER, folder, s.root)
        eq(p.stdout, '1\n', 'nothing is left of it')
        holds(f'{folder}: no room left' in p.stderr, p)


def test_an_empty_password_file_is_called_empty():
    with server() as s:
        empty = s.put('empty', '\n')
        says = ('--as', 'alice', '--password-file', empty)
        for words in (('user', 'add', '--name', 'bob', '--role', 'reader', '--password-file', empty),
                      ('user', 'password', '--name', 'alice', '--password-file', empty),
                      ('recover', '--key-id', '0' * 8, '--reason', 'x', *says), ('approve', '--entry', '1', *says),
                      ('audit', 'erase', '--entries', '1', *says), ('audit', 'acknowledge', '--entry', '1', '--reason', 'x', *says),
                      ('keys', 'import', 'x', '--passphrase-file', empty)):
            p = s.command(*words, code=1)
            holds(f'{empty}: it is empty' in p.stderr, f'{words}: {p}')
        s.put('vault.secret', '')
        holds('vault.secret: it is empty' in s.command('keys', 'new', code=1).stderr, 'of the vault')


def test_a_key_that_the_organisation_names_is_missed():
    with server() as s:
        s.command('keys', 'new')
        stem = s.org['escrow_keys'][0]['id'].lower()[:16]
        for name in os.listdir(s.state('vault/keys')):
            if name.lower().startswith(stem):
                os.rename(s.state('vault/keys', name), s.path(name))
        s.start()
        eq([(k['file'], k['opened']) for k in keys(s, 3)['keys']][1:], [('(none)', False)], 'missed')
        d = enrolled(s, 'missed')
        e = d.escrow()
        d.sync(e)
        _, err = s.recover(e['key_id'], code=3)
        holds('cannot be opened by this vault' in err, err)


# ---- people: quota, one-time codes, a second person

def code_at(seed, when):
    """RFC 6238, as an authenticator app does it."""
    mac = hmac.digest(base64.b32decode(seed), struct.pack('>Q', int(when) // 30), 'sha1')
    at = mac[19] & 15
    return '%06d' % ((struct.unpack('>I', mac[at:at + 4])[0] & 0x7fffffff) % 1000000)


def add_user(s, name, role, password='a good password'):
    s.command('user', 'add', '--name', name, '--role', role, '--password-file', '-', stdin=password)


def test_limits_are_divided_among_vaults():
    with server() as s:
        s.configure(disclosures_per_hour=5, vaults=2)
        s.start()
        add_user(s, 'other', 'advanced')
        d = enrolled(s, 'quota')
        records = [d.escrow() for _ in range(3)]
        d.sync(*records)
        for e in records[:2]:
            s.recover(e['key_id'])
        _, err = s.recover(records[2]['key_id'], code=4)
        holds('has read 2 keys' in err, err)
        s.stop()
        s.start()
        s.recover(records[2]['key_id'], code=4)  # the log remembers
        s.recover(records[2]['key_id'], who='other', password='a good password')


def test_one_time_codes():
    with server() as s:
        s.start()
        uri = s.command('user', 'totp', '--name', 'alice').stdout
        s.command('user', 'totp', '--name', 'nobody', code=3)
        seed = re.search(r'secret=([A-Z2-7]{32})&', uri)[1]
        d = enrolled(s, 'code')
        records = [d.escrow() for _ in range(3)]
        d.sync(*records)

        def ask(e, code, exit_code=0):
            s.put('code', code + '\n')
            return s.recover(e['key_id'], code=exit_code, extra=('--code-file', s.path('code')) if code else ())
        while time.time() % 30 > 20:  # so that a step does not end in the middle
            time.sleep(0.2)
        now = time.time()
        for bad in ('', '000000' if code_at(seed, now) != '000000' else '111111', code_at(seed, now - 300)):
            holds('one-time code' in ask(records[0], bad, 3)[1], f'{bad}')
        eq(ask(records[0], code_at(seed, now))[0]['recovery_password'], records[0]['digits'], 'the right one')
        ask(records[1], code_at(seed, now), 3)  # not twice
        s.stop()
        s.start()
        ask(records[1], code_at(seed, now), 3)  # nor after a start: the mark is in the log
        s.stop()
        s.start()
        eq(ask(records[1], code_at(seed, now + 30))[0]['recovery_password'], records[1]['digits'], 'the next one')
        eq(secret_search.search([s.root, s.log], [e['digits'] for e in records]), [], 'passwords on disk')


def test_people_are_added_at_once():
    with server() as s:
        names = [f'p{i}' for i in range(12)]
        s.put('word', 'a good password\n')
        running = [subprocess.Popen([SERVER, 'user', 'add', '--root', s.root, '--name', n, '--role', 'reader', '--password-file', s.path('word')],
                                    stdout=subprocess.DEVNULL) for n in names]
        eq([p.wait(60) for p in running], [0] * len(names), 'added')
        holds(set(names) <= {p['name'] for p in json.loads(s.command('user', 'list', '--json').stdout)['people']}, 'all are there')


def test_people_are_managed():
    """What `user` changes holds with the next question; a code that was used works for nobody of that name again."""
    with server() as s:
        s.start()
        d = enrolled(s, 'people')
        e = d.escrow()
        d.sync(e)
        users = s.state('vault/users.json')
        before = os.stat(users)

        def people():
            return {p.pop('name'): p for p in json.loads(s.command('user', 'list', '--json').stdout)['people']}

        def ask(code=0, said='', **words):
            holds(said in s.recover(e['key_id'], code=code, who='bob', **words)[1], said)
        add_user(s, 'bob', 'reader')
        eq(people(), {'alice': {'role': 'advanced', 'one_time_code': False}, 'bob': {'role': 'reader', 'one_time_code': False}}, 'list')
        ask(3, 'The role reader may not', password='a good password')
        s.command('user', 'role', '--name', 'bob', '--role', 'advanced')
        ask(password='a good password')
        holds('8 characters' in s.command('user', 'password', '--name', 'bob', '--password-file', '-', code=1, stdin='short').stderr, 'rules')
        eq(s.command('user', 'password', '--name', 'bob', '--password-file', '-', stdin='another password').stdout, 'bob\n', 'password')
        ask(3, 'Wrong name', password='a good password')
        ask(password='another password')
        seed = json.loads(s.command('user', 'totp', '--name', 'bob', '--json').stdout)['seed']
        p = s.command('user', 'totp', '--name', 'bob', code=3)
        holds('--again' in p.stderr and people()['bob']['one_time_code'], p)
        s.command('user', 'totp', '--name', 'bob', '--again', '--off', code=2)
        now = time.time()  # should the next step begin meanwhile: a code is good for one longer
        s.put('code', code_at(seed, now))
        coded = {'password': 'another password', 'extra': ('--code-file', s.path('code'))}
        ask(**coded)
        again = json.loads(s.command('user', 'totp', '--name', 'bob', '--again', '--json').stdout)['seed']
        holds(again != seed, 'another seed')
        s.command('user', 'totp', '--name', 'bob', '--off')
        s.command('user', 'totp', '--name', 'bob', '--off', code=3)
        ask(password='another password')
        eq(s.command('user', 'remove', '--name', 'bob').stdout, 'bob\n', 'remove')
        for words in (('remove',), ('role', '--role', 'reader'), ('totp',), ('totp', '--off')):
            holds('nobody of this name' in s.command('user', *words, '--name', 'bob', code=3).stderr, f'{words}')
        ask(3, 'Wrong name', password='another password')
        add_user(s, 'bob', 'advanced', 'another password')
        with open(users, encoding='utf-8') as f:
            text = json.load(f)
        text['users'][1]['totp'] = seed  # the same code, as if the seed had been given once more
        with open(users, 'w', encoding='utf-8') as f:
            json.dump(text, f)
        ask(3, 'Wrong name', **coded)
        s.put('code', code_at(seed, now + 30))
        ask(**coded)
        after = os.stat(users)
        eq((after.st_uid, after.st_gid, after.st_mode), (before.st_uid, before.st_gid, before.st_mode), 'owner and mode')
        table = s.command('user', 'list').stdout
        holds(re.search(r'(?m)^bob +advanced +one-time code$', table) and not any(x in table for x in (seed, '$y$')), table)
        holds('$y$' not in s.command('user', 'list', '--json').stdout, 'no hashes')


def test_the_file_of_people_is_never_made_anew():
    with server() as s:
        users = s.state('vault/users.json')
        words = (('list',), ('remove', '--name', 'alice'), ('totp', '--name', 'alice'),
                 ('add', '--name', 'bob', '--role', 'reader', '--password-file', s.path('user.secret')))
        with open(users, 'w', encoding='utf-8') as f:
            f.write('{"users": [')
        for w in words:
            holds('is damaged' in s.command('user', *w, code=1).stderr, f'{w}')
        os.remove(users)
        for w in words:
            holds('is missing' in s.command('user', *w, code=1).stderr, f'{w}')
        holds(not os.path.exists(users), 'made anew')
        os.remove(os.path.join(s.root, 'etc/keyholt/org/org.json'))
        holds('run keyholt-server init' in s.command('user', 'list', code=1).stderr, 'nothing here')


def test_a_refused_word_is_on_record():
    """Approvals, erasures and words on losses that are refused: who, why, and the one-time code, which is used up."""
    with server() as s:
        s.start()
        seed = re.search(r'secret=([A-Z2-7]{32})&', s.command('user', 'totp', '--name', 'alice').stdout)[1]
        while time.time() % 30 > 20:  # so that a step does not end in the middle
            time.sleep(0.2)
        now = time.time()
        chain = '0' * 32
        words = [('approval of entry 4711', ('approve', '--entry', '4711'), 'no request'),
                 ('erasure', ('audit', 'erase', '--chain', chain, '--entries', '1'), 'administrator'),
                 ('word on the loss of entry 4711', ('audit', 'acknowledge', '--entry', '4711', '--reason', 'x'), 'decide')]

        def say(words, code, password='correct horse battery'):
            s.put('code', code + '\n')
            return s.command(*words, '--as', 'alice', '--password-file', '-', '--code-file', s.path('code'), code=3, stdin=password).stderr
        codes = [code_at(seed, now + after) for after in (-30, 0, 30)]
        for (what, words_, said), code in zip(words, codes):
            holds('Wrong' in say(words_, code, 'wrong'), f'{what}: a wrong password')
            err = say(words_, code)
            holds(said in err, f'{what}: {err}')
        s.stop()
        entries = entries_of(s.state('vault/audit.log'))
        details = [e['detail'] for e in entries if e.get('action') == 'refuse']
        eq(details[::2], [f'{what} refused: wrong name, password or code' for what, _, _ in words], 'on record')
        holds(all(d.startswith(f'{what} refused: ') and said in d for d, (what, _, said) in zip(details[1::2], words)), f'and why: {details}')
        eq(sum('totp=' in e.get('note', '') for e in entries), 3, 'with their codes')
        s.start()
        for code in codes:
            holds('Wrong' in say(words[0][1], code), 'and after a start no code works again')
        holds('Wrong' in s.command(*words[0][1], '--as', '', '--password-file', '-', code=3, stdin='x').stderr, 'nobody')
        eq(entries_of(s.state('vault/audit.log'))[-1]['who'], '?', 'is on record, too')
        eq('audited=0' in s.read_log(), False, 'all of it')


def test_a_second_person_approves():
    with server() as s:
        s.configure(approval='advanced')
        s.start()
        for name, role in (('bob', 'advanced'), ('helen', 'helpdesk')):
            add_user(s, name, role)
        d = enrolled(s, 'approve')
        e, other = d.escrow(), d.escrow()
        d.sync(e, other)
        got, err = s.recover(e['key_id'], code=4)
        holds('The role advanced needs a second person' in err and 'recovery_password' not in got, err)
        n = re.search(r'--entry (\d+)', err)[1]
        eq((got['err'], got['entry']), ('APPROVAL', int(n)), 'and for programs')
        request = {'who': 'alice', 'key_id': e['key_id'], 'volume': e['volume'], 'device': d.id.lower(), 'computer': 'laptop-1', 'user': '',
                   'reason': 'forgot the passphrase'}

        def show():
            return json.loads(s.command('approve', '--entry', n, '--json').stdout)
        eq(show(), {**request, 'entry': int(n), 'waits': True}, 'is shown')
        holds('waits' in s.command('approve', '--entry', n).stderr, 'to people, too')
        s.command('approve', '--entry', '4711', code=3)
        s.command('approve', '--entry', n, '--as', 'bob', code=2)

        def approve(number, who='bob', password='a good password', code=0):
            return s.command('approve', '--entry', str(number), '--as', who, '--password-file', '-', code=code, stdin=password).stderr
        holds('of his own' in approve(n, 'alice', 'correct horse battery', 3), 'not by himself')
        holds('may not approve' in approve(n, 'helen', code=3), 'nor by the help desk')
        holds('Wrong' in approve(n, password='wrong', code=3), 'nor with a wrong password')
        holds('no request' in approve(4711, code=3), 'nor what nobody asked')
        s.recover(e['key_id'], code=4)
        approved = s.command('approve', '--entry', n, '--as', 'bob', '--password-file', '-', '--json', stdin='a good password')
        eq(json.loads(approved.stdout), {**request, 'entry': int(n), 'approved': int(n)}, 'the answer says what')
        s.stop()
        s.start()  # it stands in the log
        eq(show(), {**request, 'entry': int(n), 'waits': False}, 'with its words')
        for words in ({'reason': 'another reason'}, {'extra': ('--user', 'carol')}):
            got, err = s.recover(e['key_id'], code=4, **words)
            holds(f'Entry {n} was approved for another reason or user' in err and got['entry'] != int(n), f'{words}: {err}')
        waiting = [(r['reason'], 'user=carol' in r['detail']) for r in s.audit() if 'approval needed' in r.get('detail', '')]
        holds(('another reason', False) in waiting and ('forgot the passphrase', True) in waiting, f'each on record: {waiting}')
        s.recover(other['key_id'], code=4)  # another key was not approved
        eq(s.recover(e['key_id'], who='bob', password='a good password', code=4)[0].get('recovery_password'), None, 'nor another person')
        eq(s.recover(e['key_id'])[0]['recovery_password'], e['digits'], 'approved')
        s.recover(e['key_id'], code=4)  # once
        rows = s.audit('--key-id', e['key_id'])
        eq([(r['who'], r['note']) for r in rows if r['action'] == 'approve'], [('bob', f'approves={n}')], 'on record')
        eq([r['note'] for r in rows if r['action'] == 'disclose'], [f'approval={n}'], 'and what for')
        helen, _ = s.recover(other['key_id'], who='helen', password='a good password', extra=('--user', 'carol'))
        eq(helen['recovery_password'], other['digits'], 'other roles need nobody')
        s.stop()
        s.configure(approval='helpdsk')
        at = os.path.getsize(s.log)
        s.start()
        s.wait_log('approval in server.conf names what is no role', at)


def test_monitoring_sees_what_the_vault_does():
    with server() as s:
        s.configure(approval='advanced', disclosures_per_hour=1)
        s.start()
        add_user(s, 'helen', 'helpdesk')
        add_user(s, 'otto', 'auditor')
        d = enrolled(s, 'monitored')
        e = d.escrow()
        d.sync(e)
        for _ in range(5):
            s.recover(e['key_id'], who='otto', password='guess', code=3)
        s.recover(e['key_id'], who='otto', password='a good password', code=4)
        s.recover(e['key_id'], who='helen', password='a good password', code=3)  # no user
        carol = ('--user', 'carol')
        s.recover(e['key_id'], who='helen', password='a good password', extra=carol)
        s.recover(e['key_id'], who='helen', password='a good password', extra=carol, code=4)
        add_user(s, 'ada', 'auditor')
        s.recover(e['key_id'], who='ada', password='a good password', code=3)
        got, _ = s.recover(e['key_id'], reason='personal words', code=4)
        add_user(s, 'bob', 'advanced')
        s.command('approve', '--entry', str(got['entry']), '--as', 'bob', '--password-file', '-', stdin='a good password')
        reasons = ('password', 'throttled', 'role', 'quota', 'approval', 'other')
        eq([s.metric('refusals_total', reason=x) for x in reasons], [5, 1, 1, 1, 1, 1], 'refused')
        eq([s.metric('disclosures_total'), s.metric('approvals_total'), s.metric('audit_log_writable')], [1, 1, 1], 'done')
        log = s.read_log()
        refused = re.findall(r'event=refuse (.*)', log)
        eq({re.search(r'reason=(\w+)$', x)[1] for x in refused}, set(reasons), f'in the log: {refused}')
        holds(refused.count('refused=1 reason=password') <= 6, 'at most one line a second')
        holds(not re.search('otto|helen|carol|personal words', log), 'nothing personal')
        os.rename(s.state('vault/audit.log'), s.state('vault/audit.log.away'))
        until(lambda: s.metric('audit_log_writable') == 0, 'nobody asked, and the gauge tells it')
        until(lambda: s.request('GET', '/healthz')[2]['disclosure'] is False, 'as does /healthz')
        s.wait_log('audit log is gone or cannot be written')
        os.rename(s.state('vault/audit.log.away'), s.state('vault/audit.log'))
        until(lambda: s.metric('audit_log_writable') == 1, 'put back')


def test_a_log_that_is_being_copied_back():
    """Nobody cuts its end off while it is written: what is half there is not opened, and what is whole is, unasked."""
    with server() as s:
        s.start()
        log, away = s.state('vault/audit.log'), s.state('vault/audit.log.away')
        for _ in range(3):
            s.recover('00000000', code=3)
        os.rename(log, away)
        until(lambda: s.metric('audit_log_writable') == 0, 'gone')
        with open(away, 'rb') as f:
            whole = f.read()
        half = len(whole) - 40
        own = os.stat(away)
        with open(log, 'xb') as f:
            os.fchmod(f.fileno(), 0o600)
            os.fchown(f.fileno(), own.st_uid, own.st_gid)
            f.write(whole[:half])
            f.flush()
            looks = s.metric('audit_log_writable')
            end = time.monotonic() + 4  # three looks, so that it rested
            while time.monotonic() < end:
                eq((looks, os.path.getsize(log)), (0, half), 'left alone')
                time.sleep(0.2)
                looks = s.metric('audit_log_writable')
            f.write(whole[half:])
        until(lambda: s.metric('audit_log_writable') == 1, 'whole, and taken up')
        s.stop()
        eq(open(log, 'rb').read()[:len(whole)], whole, 'as it was')
        holds('good' in s.command('audit', 'verify').stdout, 'and goes on')


# ---- the audit log, its heads and the fleet

def compact(o):
    return json.dumps(o, separators=(',', ':')).encode()


def relink(entries, chain=None):
    """A log of these entries, hashed anew: what somebody makes who can write the file. Salts stay."""
    lines, prev = [], '0' * 64
    for i, e in enumerate(entries, 1):
        personal = compact({k: e[k] for k in ('salt', 'who', 'reason', 'detail')})
        core = compact({'n': i, 'time': e['time'], 'chain': chain or e['chain'], 'role': e['role'], 'action': e['action'],
                        'key_id': e['key_id'], 'volume': e['volume'], 'device': e['device'], 'note': e['note'],
                        'personal': hashlib.sha256(personal).hexdigest(), 'prev': prev})
        prev = hashlib.sha256(core).hexdigest()
        lines.append(core + b'\t' + personal + b'\n')
    return b''.join(lines)


def entries_of(path):
    with open(path, encoding='utf-8') as f:
        return [{**json.loads(c), **json.loads(p)} for c, p in (line.split('\t') for line in f)]


def rows_of(s, sql):
    with contextlib.closing(sqlite3.connect('file:' + s.state('writer/recovery.db') + '?mode=ro', uri=True)) as db:
        return db.execute(sql).fetchall()


def put(path, data):
    """In place: owner and mode stay."""
    with open(path, 'r+b') as f:
        f.truncate(0)
        f.write(data)


def disclosed(s, name, n=2):
    d = enrolled(s, name)
    records = [d.escrow() for _ in range(n)]
    d.sync(*records)
    for e in records:
        s.recover(e['key_id'])
    return d, records


def test_heads_come_back_and_prove_what_was_lost():
    with server() as s:
        s.start()
        d, _ = disclosed(s, 'heads', 1)
        log = s.state('vault/audit.log')
        early = open(log, 'rb').read()
        e = d.escrow()
        d.sync(e)
        s.recover(e['key_id'])
        head = d.sync()[2]['audit_head']
        eq(head['length'], len(entries_of(log)), 'length')
        eq(d.sync(audit_head=head['hash'], last='0' * 16)[2].get('audit_head'), None, 'what the device has is not said again')
        holds('want_audit_word' not in d.sync(audit_head=head['hash'])[2], 'a head that the log has is asked for nothing')
        s.stop()
        put(log, early)
        s.start()
        other = enrolled(s, 'liar')
        # the vault's judgement may come behind the answer: then it counts the next time
        until(lambda: other.sync(audit_head='77' * 32)[2].get('want_audit_word'), 'an invented head is asked for')
        told = other.sync(audit_head='77' * 32, last='0' * 16)[2]['audit_head']
        eq(told.get('chain'), base64.b64decode(head['word'])[20:24].hex(), 'whose head that is, for a device of another vault')
        until(lambda: 'want_audit_word' not in other.sync(audit_head='77' * 32, audit_word='AAAA')[2], 'nonsense is asked for once')
        until(lambda: d.sync(audit_head=head['hash'])[2].get('want_audit_word'), 'a lost head is asked for')
        eq(health(s).get('audit_lost'), None, 'nothing is proved by a claim')
        s.command('audit', 'verify')
        at = os.path.getsize(s.log)
        d.sync(audit_head=head['hash'], audit_word=head['word'])
        s.wait_log('level=error process=vault event=audit alarm=', at)
        alarm = entries_of(log)[-1]
        eq((alarm['action'], alarm['device']), ('alarm', d.id), 'on record')
        holds(f'lost={head["length"]} ' in alarm['note'] and head['hash'] in alarm['note'], alarm['note'])
        until(lambda: health(s).get('audit_lost') == head['length'], 'health, once this worker has heard of it')
        holds('ENTRIES WERE LOST' in s.command('audit', 'verify', code=3).stdout, 'verify')
        for _ in range(3):
            d.sync(audit_head=head['hash'], audit_word=head['word'])
        eq(sum(x['action'] == 'alarm' for x in entries_of(log)), 1, 'once')
        s.stop()
        s.start()
        until(lambda: health(s).get('audit_lost') == head['length'], 'after a start, too')


def test_a_rewritten_log_is_refused():
    """Whoever can write the file can make a chain that verifies, but not its checkpoints."""
    with server() as s:
        s.start()
        d, _ = disclosed(s, 'rewrite')
        e = d.escrow()
        d.sync(e)
        s.stop()
        log = s.state('vault/audit.log')
        good, entries = open(log, 'rb').read(), entries_of(log)
        holds(sum(x['action'] == 'checkpoint' for x in entries) >= 2, 'checkpoints at start and end')
        eq(relink(entries), good, 'the test writes what the vault writes')
        put(log, relink([{**x, 'who': 'mallory'} if x['who'] == 'alice' else x for x in entries]))
        eq(run(SERVER, 'audit', 'show', '--root', s.root, code=None).stdout.count('mallory'), 2, 'the chain alone is good')
        holds('FALSE CHECKPOINT' in s.command('audit', 'verify', code=3).stdout, 'verify')
        at = os.path.getsize(s.log)
        s.start()
        s.wait_log('false-checkpoint=', at)
        _, err = s.recover(e['key_id'], code=1)
        holds('audit log cannot be written' in err, err)
        put(log, good)
        eq(s.recover(e['key_id'])[0]['recovery_password'], e['digits'], 'the right file')


def test_disclosures_of_a_desk_are_ordered_to_rotate():
    with server() as s:
        s.start()
        d = enrolled(s, 'desk')
        e = d.escrow()
        d.sync(e)
        base = {'time': int(time.time()) - 50, 'role': 'desk', 'note': '', 'salt': '00' * 16, 'who': 'Ada', 'reason': 'no server',
                'detail': 'for user bob', 'key_id': '', 'volume': '', 'device': ''}
        rows = [{**base, 'action': 'open-log'}, {**base, 'action': 'disclose', 'key_id': e['key_id'], 'volume': e['volume'], 'device': d.id}]
        with open(s.path('desk.log'), 'wb') as f:
            f.write(relink(rows, 'cd' * 16))
        s.command('audit', 'import', s.path('desk.log'))
        eq(until(lambda: d.orders(d.sync()[2]), 'an order'), [e['key_id']], 'ordered')
        s.stop()
        with contextlib.closing(sqlite3.connect(s.state('writer/recovery.db'))) as db, db:
            eq(db.execute('SELECT chain, n, who FROM disclosures').fetchall(), [('cd' * 16, 2, 'Ada')], 'in the store')
            db.execute('DELETE FROM disclosures')
        s.start()
        eq(until(lambda: rows_of(s, 'SELECT chain, n FROM disclosures'), 'rows'), [('cd' * 16, 2)], 'rebuilt from the logs')
        out = s.path('out.log')
        s.command('audit', 'export', '--chain', 'cd' * 16, out)
        eq(open(out, 'rb').read(), open(s.path('desk.log'), 'rb').read(), 'exported as it came')


def put_as(s, path, data):
    """A file of the vault's own."""
    was = os.stat(s.state('vault/audit.log'))
    with open(path, 'wb') as f:
        f.write(data)
    os.chmod(path, 0o600)
    os.chown(path, was.st_uid, was.st_gid)


def test_logs_of_other_servers():
    with server() as s, server() as other:
        for x in (s, other):
            x.start()
            x.recover('00000000', code=3)
            x.stop()
        foreign, old = other.path('foreign.log'), s.path('old.log')
        other.command('audit', 'export', foreign)
        eq(os.stat(foreign).st_mode & 0o777, 0o600, 'names and reasons are not for everybody')
        s.command('audit', 'export', old)
        s.command('audit', 'begin')  # now this server is another vault of the organisation, with a key of its own
        s.start()
        p = s.command('audit', 'import', foreign, code=3)
        holds('log of another organisation' in p.stderr, p.stderr)
        entries = entries_of(old)
        with open(s.path('false.log'), 'wb') as f:
            f.write(relink([{**e, 'role': 'x'} if e['action'] == 'refuse' else e for e in entries] + entries[1:2]))
        p = s.command('audit', 'import', s.path('false.log'), code=3)
        holds('checkpoint in it is false' in p.stderr, p.stderr)
        s.command('audit', 'import', '--as', 'alice', old)
        record = [e for e in s.audit() if e['action'] == 'import']
        eq([(e['who'], e['role']) for e in record], [('alice', '-')], 'who')
        holds('only given' in record[0]['detail'], 'and that nobody looked')
        p = s.command('audit', 'verify')
        holds(p.stdout.count('good') == 2 and 'another vault\'s key' in p.stdout, p.stdout)
        # one that an older version took in
        s.stop()
        log, rows = s.state('vault/audit.log'), entries_of(foreign)
        with open(foreign, 'rb') as f:
            data = f.read()
        head = hashlib.sha256(data.splitlines()[-1].split(b'\t')[0]).hexdigest()
        put_as(s, s.state('vault/foreign', rows[0]['chain'] + '.log'), data)
        note = f'chain={rows[0]["chain"]} entries={len(rows)} head={head}'
        put(log, relink(entries_of(log) + [{**rows[0], 'action': 'import', 'note': note}], entries_of(log)[0]['chain']))
        p = s.command('audit', 'verify', code=3)
        holds('ANOTHER ORGANISATION' in p.stdout and p.stdout.count('good') == 2, p.stdout)


def test_an_export_that_does_not_fit():
    with server() as s:
        s.start()
        s.recover('00000000', code=3)
        s.recover('00000000', code=3)
        target = s.path('export.log')
        words = [SERVER, 'audit', 'export', '--root', s.root]
        p = run('bash', '-c', 'trap "" XFSZ; ulimit -f 1; exec "$@"', 'bash', *words, target, code=1)
        holds(target in p.stderr and 'audit.log' not in p.stderr, p.stderr)
        holds(not os.path.exists(target), 'nothing stays of it')
        with open('/dev/full', 'wb') as full:
            p = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
        holds(p.returncode == 1 and 'standard output' in p.stderr, p.stderr)
        s.command('audit', 'export', target)
        with open(target, 'rb') as f, open(s.state('vault/audit.log'), 'rb') as log:
            holds(log.read().startswith(f.read()), 'with room it is whole')


@contextlib.contextmanager
def days_ago(n):
    """Processes that are started now believe in another day."""
    os.environ.update(LD_PRELOAD=os.path.join(BUILD, 'tests/clock_shim.so'), CLOCK_SHIFT=str(-86400 * n))
    try:
        yield
    finally:
        del os.environ['LD_PRELOAD'], os.environ['CLOCK_SHIFT']


def test_personal_data_is_erased():
    with contextlib.ExitStack() as stack:
        with days_ago(3):  # also the log's first entry: none is older than one before it
            s = stack.enter_context(server())
            s.start()
        d = enrolled(s, 'erase')
        e, later = d.escrow(), d.escrow()
        d.sync(e, later)
        s.recover(e['key_id'], reason='Bobs Passwort', extra=('--user', 'bob.baker'))
        s.stop()
        s.start()
        s.recover(later['key_id'], reason='later', extra=('--user', 'carol'))
        for who, role in (('root-of-all', 'administrator'), ('nosy', 'advanced')):
            s.command('user', 'add', '--name', who, '--role', role, '--password-file', '-', stdin='a good password')
        log = s.state('vault/audit.log')
        rows = entries_of(log)
        n, young = (next(x['n'] for x in rows if x['reason'] == r) for r in ('Bobs Passwort', 'later'))
        before = s.path('before.log')
        s.command('audit', 'export', before)

        def erase(n, who='root-of-all', password='a good password', code=0):
            return s.command('audit', 'erase', '--entries', str(n), '--as', who, '--password-file', '-', code=code, stdin=password)
        holds('Only an administrator' in erase(n, 'nosy', code=3).stderr, 'role')
        holds('Wrong name, password' in erase(n, password='wrong', code=3).stderr, 'password')
        holds('not erased' in erase(young, code=3).stderr, 'young entries stay')
        holds('not every entry' in erase(4711, code=3).stderr, 'no such entry')
        _, err = s.recover(later['key_id'], who='root-of-all', password='a good password', code=3)
        holds('may not read keys' in err, 'administrators disclose nothing')
        holds(b'bob.baker' in open(log, 'rb').read(), 'still there')
        size = os.path.getsize(log)
        erase(n)
        text = open(log, 'rb').read()
        holds(b'bob.baker' not in text and b'Bobs Passwort' not in text and b'carol' in text, 'gone')
        holds(size < len(text) < size + 3000, 'only the order was added')
        s.command('audit', 'verify')
        eq([x.get('erased') for x in s.audit('--key-id', e['key_id'])], [True], 'shown as such')
        until(lambda: rows_of(s, 'SELECT who FROM disclosures ORDER BY n') == [('',), ('alice',)], 'gone in the store, too')
        out = s.path('out.log')
        s.command('audit', 'export', '--without-personal', out)
        holds(b'alice' not in open(out, 'rb').read(), 'exported without')
        run(os.path.join(BUILD, 'bin/keyholt-desk'), 'audit', 'verify', '--log', out)
        run(os.path.join(BUILD, 'bin/keyholt-desk'), 'audit', 'verify', '--log', before)
        s.stop()
        # a crash between order and erasure: the personal part is there again, and goes at the next start
        line = next(x for x in open(before, 'rb').read().splitlines(True) if b'Bobs Passwort' in x)
        at = text.index(line.split(b'\t')[0])
        with open(log, 'r+b') as f:
            f.seek(at)
            f.write(line)
        holds(b'bob.baker' in open(log, 'rb').read(), 'put back')
        s.start()
        holds(b'bob.baker' not in open(log, 'rb').read(), 'finished at start')
        # without an order it is a finding
        text = open(log, 'rb').read()
        at = text.index(b'\t', text.index(b'"n":%d,' % young)) + 1
        with open(log, 'r+b') as f:
            f.seek(at)
            f.write(b' ')
        holds('ERASED WITHOUT ORDER' in s.command('audit', 'verify', code=3).stdout, 'no order')
        eq(secret_search.search([s.root, s.log], [e['digits'], later['digits']]), [], 'passwords on disk')
        for folder, _, files in os.walk(s.root):
            for name in (x for x in files if not x.endswith('.sock')):
                holds(b'a good password' not in open(os.path.join(folder, name), 'rb').read(), f'a password in {name}')


# ---- export

def bound_socket():
    """A port that is nobody else's, and refuses connections as long as nobody listens."""
    s = socket.socket()
    s.bind(('127.0.0.1', 0))
    return s


def syslog_message(data):
    """(pri, app, msgid, object) of one message (RFC 5424)."""
    m = re.fullmatch(r'<(\d+)>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ \S+ (\S+) - (\S+) - \ufeff(\{.*\})', data.decode())
    return int(m[1]), m[2], m[3], json.loads(m[4])


class Receiver(threading.Thread):
    """A syslog receiver on a stream (RFC 6587, octet counting); slow: reads nothing until it is told to."""

    def __init__(self, bound=None, slow=False):
        """bound: one that nobody could connect to until now."""
        super().__init__(daemon=True)
        self.listener = bound or bound_socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.listener.listen()
        self.listener.settimeout(0.2)
        self.port, self.go, self.data, self.closed = self.listener.getsockname()[1], threading.Event(), b'', False
        if not slow:
            self.go.set()
        self.start()

    def run(self):
        while not self.closed:
            try:
                c, _ = self.listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            c.settimeout(0.2)
            while not self.closed:
                if not self.go.wait(0.2):
                    continue
                try:
                    got = c.recv(65536)
                except TimeoutError:
                    continue
                if not got:
                    break
                self.data += got
            c.close()

    def messages(self):
        """(pri, app, msgid, object) of each whole message."""
        out, data = [], self.data
        while b' ' in data[:8]:
            n, rest = data.split(b' ', 1)
            if len(rest) < int(n):
                break
            out.append(syslog_message(rest[:int(n)]))
            data = rest[int(n):]
        return out

    def close(self):
        self.closed = True
        self.listener.close()
        self.join(60)


def export_dir(s):
    if os.geteuid() == 0:  # the folder of the test is root's alone
        for path in (s.dir, s.root):
            os.chmod(path, 0o711)
    return s.state('export')


def test_entries_are_exported():
    with server() as s:
        r = Receiver()
        file = os.path.join(export_dir(s), 'audit.jsonl')
        s.configure(audit_file=file, audit_syslog=f'tcp://127.0.0.1:{r.port}')
        s.start()
        d, records = disclosed(s, 'export')
        s.recover('00000000', code=3)
        want = entries_of(s.state('vault/audit.log'))
        until(lambda: len(r.messages()) >= len(want), 'syslog')
        until(lambda: [s.metric('audit_export_backlog', target=x) for x in ('file', 'syslog')] == [0, 0], 'nothing is left')
        eq([m[3] for m in r.messages()], want, 'every entry, whole')
        eq({(m[1]) for m in r.messages()}, {'keyholt-vault'}, 'name')
        eq([(m[0], m[2]) for m in r.messages() if m[2] in ('disclose', 'refuse')], [(109, 'disclose')] * 2 + [(108, 'refuse')], 'priority')
        until(lambda: os.path.exists(file) and open(file, encoding='utf-8').read().count('\n') >= len(want), 'file')
        eq([json.loads(x) for x in open(file, encoding='utf-8')], want, 'JSON lines')
        eq(secret_search.search([s.root, s.log], [e['digits'] for e in records]), [], 'passwords on disk')
        holds(not any(e['digits'].encode() in r.data for e in records), 'passwords on the wire')
        if os.geteuid() == 0:
            status = open(f'/proc/{s.children()["export"]}/status', encoding='ascii').read()
            holds('Uid:\t64804\t64804' in status and 'CapEff:\t0000000000000000' in status, status)
        r.close()
        s.stop()


def test_entries_go_as_datagrams():
    """To a UDP port, and to a socket of the machine's own as /dev/log is one: each message is one datagram."""
    with server() as s, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as local:
        udp.bind(('127.0.0.1', 0))
        path = os.path.join(export_dir(s), 'log')
        local.bind(path)
        os.chmod(path, 0o666)
        d = None
        for to, at in ((udp, f'udp://127.0.0.1:{udp.getsockname()[1]}'), (local, path)):
            to.settimeout(60)
            s.configure(audit_syslog=at)
            s.start()
            d = d or disclosed(s, 'datagrams')[0]
            s.recover('00000000', code=3)
            want, got = entries_of(s.state('vault/audit.log')), {}
            while want[-1]['n'] not in got:
                message = syslog_message(to.recv(65536))
                got[message[3]['n']] = message[3]
            eq([got[n] for n in sorted(got)], want[-len(got):], f'{at}: whole, and none between is missing')
            s.stop()


def test_a_receiver_that_is_dead_or_slow_holds_up_nothing():
    with server() as s:
        dead = bound_socket()
        number = dead.getsockname()[1]
        s.configure(audit_file=os.path.join(export_dir(s), 'audit.jsonl'), audit_syslog=f'tcp://127.0.0.1:{number}')
        s.start()
        d, _ = disclosed(s, 'dead', 3)
        s.wait_log(f'process=export event=export to="tcp://127.0.0.1:{number}" waits=1')
        s.stop()
        log = s.state('vault/audit.log')
        rows = entries_of(log)
        holds(sum(x['action'] == 'disclose' for x in rows) == 3, 'disclosed with a dead receiver')
        more = {**rows[0], 'role': '-', 'action': 'refuse', 'who': 'mallory', 'reason': 'r' * 500, 'note': ''}
        put(log, relink(rows + [more] * 800))  # more than sockets hold
        slow = Receiver(dead, slow=True)
        s.start()
        e = d.escrow()
        d.sync(e)
        for _ in range(8):
            began = time.monotonic()
            s.recover(e['key_id'])
            holds(time.monotonic() - began < 60, 'a slow receiver holds up a disclosure')
        saved = s.state('export/syslog.position')
        position = int(open(saved, encoding='ascii').read().split()[1]) if os.path.exists(saved) else 0
        want = entries_of(log)
        holds(s.metric('audit_export_backlog', target='syslog') >= len(want) - 800, 'the backlog is told')
        holds(slow.data == b'' and position < 800, f'it is slow: {position} of {len(want)}')
        slow.go.set()
        until(lambda: len(slow.data) > 800 * 900 and {m[3]['n'] for m in slow.messages()} >= {x['n'] for x in want}, 'all of it, in the end')
        eq({m[3]['n']: m[3] for m in slow.messages()}, {x['n']: x for x in want}, 'at least once, and whole')
        os.kill(s.children()['export'], signal.SIGKILL)
        s.recover(e['key_id'])
        n = len(entries_of(log))
        until(lambda: slow.messages()[-1][3]['n'] == n, 'another exporter goes on')
        slow.close()
        s.stop()


# ---- where the key and its passphrase come from

SOFTHSM = '/usr/lib/softhsm/libsofthsm2.so'
PIN = 'vault passphrase'


def listens(path):
    with socket.socket(socket.AF_UNIX) as s:
        return s.connect_ex(path) == 0


class Token:
    """A SoftHSM token of the test's own with one P-256 key, and p11-kit's server before it."""

    def __init__(self, s):
        for path, what in ((SOFTHSM, 'softhsm2'), ('/usr/bin/p11-kit', 'p11-kit'), ('/usr/bin/pkcs11-tool', 'opensc')):
            if not os.path.exists(path):
                raise Skip(f'{path} is not there: install {what}')
        self.dir = tempfile.mkdtemp(prefix='keyholt-hsm-')
        os.mkdir(self.dir + '/tokens')
        self.conf, self.socket, self.server = self.dir + '/softhsm2.conf', self.dir + '/p11.sock', None
        with open(self.conf, 'w', encoding='ascii') as f:
            f.write(f'directories.tokendir = {self.dir}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n')
        self.env = {**os.environ, 'SOFTHSM2_CONF': self.conf}
        run('softhsm2-util', '--init-token', '--free', '--label', 'keyholt', '--so-pin', '12345678', '--pin', PIN, env=self.env)
        run('pkcs11-tool', '--module', SOFTHSM, '--login', '--pin', PIN, '--token-label', 'keyholt', '--keypairgen', '--key-type',
            'EC:prime256v1', '--label', 'escrow', '--id', '01', '--usage-derive', env=self.env)
        der = run('sh', '-c', f'pkcs11-tool --module {SOFTHSM} --token-label keyholt --read-object --type pubkey --id 01 -o {self.dir}/pub.der && '
                  f'openssl pkey -pubin -inform DER -in {self.dir}/pub.der -outform DER | base64 -w0', env=self.env)
        self.spki = der.stdout.splitlines()[-1].strip()
        if os.geteuid() == 0:
            run('chown', '-R', '64803:64803', self.dir)

    def serve(self):
        def drop():
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(64803)
                os.setuid(64803)
        self.server = subprocess.Popen(['p11-kit', 'server', '-f', '-n', self.socket, '--provider', SOFTHSM, 'pkcs11:token=keyholt'],
                                       env=self.env, preexec_fn=drop, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda: listens(self.socket), 'the socket of p11-kit')

    def stop(self):
        if self.server is not None:
            self.server.kill()
            self.server.wait(20)
            self.server = None
            run('sh', '-c', f'for p in $(pgrep -f {self.socket}); do kill $p; done; rm -f {self.socket}', code=None)

    def vanish(self):
        self.stop()
        os.rename(self.dir + '/tokens', self.dir + '/away')

    def clean(self):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)


@contextlib.contextmanager
def environment(**more):
    os.environ.update(more)
    try:
        yield
    finally:
        for name in more:
            del os.environ[name]


def with_token(query, **env):
    """An epoch whose key is in the token: proved, used, and nothing of it on disk."""
    with server() as s:
        token = Token(s)
        try:
            if 'P11_KIT_SERVER_ADDRESS' in env:
                token.serve()
            env = {k: v.format(conf=token.conf, socket=token.socket) for k, v in env.items()}
            with environment(**env):
                uri = f'pkcs11:token=keyholt;object=escrow{query}'
                holds(token.spki[:60] in s.command('keys', 'import', '--pkcs11', uri).stdout.replace('\n', ''), 'the public half')
                s.command('keys', 'import', '--pkcs11', uri.replace('escrow', 'other'), code=1)
                s.start()
                if token.server is not None and 'result="not supported" alarm=' in s.read_log():
                    eq(sorted(k['opened'] for k in keys(s, 3)['keys']), [False, True], 'an alarm')
                    raise Skip('this p11-kit does not carry the parameters of CKM_ECDH1_DERIVE over its socket')
                eq([k['opened'] for k in keys(s)['keys']], [True, True], 'canaries')
                org = json.loads(json.dumps(s.org))
                digest = hashlib.sha256(base64.b64decode(token.spki)).hexdigest()
                org['escrow_keys'] = [{**org['escrow_keys'][0], 'spki': token.spki, 'id': digest}]
                s.put('token-org.json', json.dumps(org))
                d = enrolled(s, 'token')
                e, other = escrow_for(d, s.path('token-org.json')), d.escrow()
                d.sync(e, other)
                eq(s.recover(e['key_id'])[0]['recovery_password'], e['digits'], 'opened by the token')
                eq(s.recover(other['key_id'])[0]['recovery_password'], other['digits'], 'and the other epoch by its file')
                files = os.listdir(s.state('vault/keys'))
                holds(sum(f.endswith('.p11') for f in files) == 1 and sum(f.endswith('.key') for f in files) == 1, files)
                eq(secret_search.search([s.root, s.log], [e['digits'], other['digits']]), [], 'passwords on disk')
                token.vanish()
                at = os.path.getsize(s.log)
                _, err = s.recover(e['key_id'], code=4)
                holds('token' in err, err)
                s.wait_log('level=error process=vault event=canary .*alarm=', at, 60)
                eq(s.recover(other['key_id'])[0]['recovery_password'], other['digits'], 'the other epoch serves')
                eq(sorted(k['opened'] for k in keys(s, 3)['keys']), [False, True], 'and it is an alarm')
                s.stop()
        finally:
            token.clean()


def test_key_in_a_token():
    """By p11-kit's list of modules, as Debian's softhsm2 enters itself there."""
    if not os.path.exists('/usr/share/p11-kit/modules/softhsm2.module'):
        raise Skip('softhsm2 is not in the list of p11-kit')
    with_token('', SOFTHSM2_CONF='{conf}')


def test_how_a_token_is_named():
    """By the module's path or its name in p11-kit's list; another module's name finds nothing."""
    with server() as s:
        token = Token(s)
        try:
            with environment(SOFTHSM2_CONF=token.conf):
                for query, code in ((f'?module-path={SOFTHSM}', 0), ('?module-name=softhsm2', 3), ('?module-name=none', 1),
                                    (f'?module-path={SOFTHSM}x', 1)):
                    done = s.command('keys', 'import', '--pkcs11', f'pkcs11:token=keyholt;object=escrow{query}', code=None)
                    eq(done.returncode, code, f'{query}: {done.stderr}')
                    if code == 3:
                        holds('this key already' in done.stderr, done.stderr)
        finally:
            token.clean()


def test_key_in_a_token_behind_a_socket():
    with_token('?module-path=p11-kit-client.so', P11_KIT_SERVER_ADDRESS='unix:path={socket}')


def test_passphrase_from_a_credential():
    with server() as s:
        os.mkdir(s.path('credentials'), 0o700)
        os.rename(s.path('vault.secret'), s.path('credentials/vault-passphrase'))
        s.configure(vault_passphrase_file='credential:vault-passphrase')
        at = os.path.getsize(s.log) if os.path.exists(s.log) else 0
        s.start()  # without systemd there is none: everything runs but the vault
        s.wait_log('process=vault event=start failed="read the vault\'s passphrase"', at)
        s.stop()
        with environment(CREDENTIALS_DIRECTORY=s.path('credentials')):
            s.start()
            eq(keys(s)['good'], True, 'opened')
            if os.geteuid() == 0:
                for name in ('web', 'writer'):
                    uid = {'web': 64801, 'writer': 64802}[name]
                    code = f'import os,sys\nos.setgroups([]); os.setgid({uid}); os.setuid({uid})\ntry:\n open(sys.argv[1])\nexcept PermissionError: sys.exit(7)\n'
                    eq(run(sys.executable, '-c', code, s.path('credentials/vault-passphrase'), code=None).returncode, 7, f'{name} reads it')
            s.stop()
        with environment(CREDENTIALS_DIRECTORY=s.path('credentials')):
            s.configure(vault_passphrase_file='credential:../vault-passphrase')
            at = os.path.getsize(s.log)
            s.start()
            s.wait_log('process=vault event=start failed="read the vault\'s passphrase"', at)


if __name__ == '__main__':
    sys.exit(main(dict(globals()), set(sys.argv[1:]), LIMIT_S))
