#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""org.json after init: the next version, signed where the root key is, and what servers and laptops make of it. Closes with
"N passed, N failed"."""
import contextlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from server_fixture import SERVER, Server, as_root, free_port, run, tool  # noqa: E402
from server_suite import Skip, enrolled, eq, holds, main, problem, until  # noqa: E402
import laptop as real  # noqa: E402

NAMES = ('org.json', 'org.json.sig', 'org.json.sig.next')


def org_path(s, name='org.json'):
    return os.path.join(s.root, 'etc/keyholt/org', name)


def read(path):
    with open(path, 'rb') as f:
        return f.read()


def files(s):
    """What lies in the server's folder of the organisation."""
    return {name: read(org_path(s, name)) for name in os.listdir(os.path.dirname(org_path(s)))}


def show(s, *words, code=0):
    return json.loads(s.command('org', 'show', *words, '--json', code=code).stdout)


@contextlib.contextmanager
def organisation(start=False):
    if not as_root():
        raise Skip('needs root: without it the root key was taken away before')
    s = Server()
    try:
        yield s.start() if start else s
    finally:
        s.clean()


def new_key(s, name):
    """A key pair: path of its public half."""
    run('openssl', 'genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', s.path(name + '.key'))
    run('openssl', 'pkey', '-in', s.path(name + '.key'), '-pubout', '-out', s.path(name + '.pub'))
    return s.path(name + '.pub')


def sign_as(s, name, org, key=None):
    """Any text as an org.json, signed; its path."""
    os.makedirs(s.path(name))
    path = s.put(name + '/org.json', org if isinstance(org, str) else json.dumps(org))
    tool('sign', key or s.path('offline/root.key'), path)
    return path


def into_bundle(s, path):
    for name in NAMES[:2]:
        shutil.copy(path[:-len('org.json')] + name, s.bundle)


def test_a_new_escrow_key():
    """Made by the vault, added, and the old one dropped: what is sealed from then on opens with the new one."""
    with organisation(start=True) as s:
        old = s.org['escrow_keys'][0]['id']
        s.put('new.pub', json.loads(s.command('keys', 'new', '--json').stdout)['public_key'])
        path, p = s.change_org('--escrow-key', s.path('new.pub'))
        holds('is added, for the vault' in p.stdout and 'version 2' in p.stdout, p.stdout)
        s.command('org', 'set', path)
        keys = show(s)['escrow_keys']
        eq([k['use'] for k in keys], ['vault', 'desk', 'vault'], 'uses')
        holds(old == keys[0]['id'], 'the old one is still there')
        path, p = s.change_org('--drop-escrow', old[:8].upper())
        holds(f'escrow key {old} of the vault is dropped' in p.stdout, p.stdout)
        s.command('org', 'set', path)
        s.stop()
        s.start()
        s.command('keys', 'check')
        into_bundle(s, path)
        d = enrolled(s, 'newer')
        key = d.escrow()
        eq(d.sync(key)[0], 200, 'synced')
        eq(s.recover(key['key_id'])[0]['key_id'], key['key_id'], 'opened')


def test_a_stolen_laptop():
    """Refused by the running server, also after a restart; taken back in the same way."""
    with organisation(start=True) as s:
        d, other = enrolled(s, 'stolen'), enrolled(s, 'kept')
        path, p = s.change_org('--revoke', d.id.upper(), '--json')
        eq(json.loads(p.stdout), {'version': 2, 'changes': [f'device {d.id} is revoked']}, 'answer')
        eq(json.loads(s.command('org', 'set', path, '--json').stdout), {'version': 2, 'revoked': 1}, 'answer')
        until('in force', lambda: d.sync()[0] == 403)
        holds('revoked' in problem(d.sync(), 403), 'why')
        eq(other.sync()[0], 200, 'another device')
        s.stop()
        s.start()
        problem(d.sync(), 403)
        _, p = s.change_org('--revoke', d.id, code=3)
        holds('changes nothing' in p.stderr, p.stderr)
        path, p = s.change_org('--revoke', d.id, '--revoke', other.id)
        holds(f'{d.id} was revoked already' in p.stdout and f'{other.id} is revoked' in p.stdout, p.stdout)
        s.command('org', 'set', path)
        until('both', lambda: other.sync()[0] == 403)
        eq(s.next_org('--allow', d.id, '--allow', other.id)['revoked'], [], 'nobody')
        until('taken back', lambda: (d.sync()[0], other.sync()[0]) == (200, 200))
        d.enroll()
        eq(d.sync(d.escrow())[0], 200, 'as before')


def test_texts_servers_and_receipt_keys():
    with organisation() as s:
        pub = new_key(s, 'receipt2')
        urls = ['https://new.example.org:443', 'https://[2001:db8::1]:65535']
        org = s.next_org('--name', 'Zweite Gesellschaft für Ä', '--message', 'Ring 112', '--url', 'HTTPS://KEYS.EXAMPLE.ORG/X',
                         '--no-copying', 'yes', '--receipt-key', pub, *[w for u in urls for w in ('--server', u)])
        got = show(s)
        eq([got[k] for k in ('signature', 'version', 'name', 'message', 'url', 'copy_files', 'servers', 'revoked')],
           ['good', 2, 'Zweite Gesellschaft für Ä', 'Ring 112', 'HTTPS://KEYS.EXAMPLE.ORG/X', False, urls, []], 'shown')
        eq(len(got['receipt_keys']), 2, 'receipt keys')
        for k in ('id', 'ca', 'policy_key', 'escrow_keys', 'format'):
            eq(org[k], s.org[k], k)
        text = s.command('org', 'show').stdout
        holds('verifies under the root key' in text and urls[1] in text, text)
        org = s.next_org('--no-copying', 'no', '--drop-receipt', got['receipt_keys'][1]['id'])
        holds('copy_files' not in org and len(org['receipt_keys']) == 1, org)
        s.start()


def test_what_we_do_not_know_stays():
    with organisation() as s:
        org = {**s.org, 'of_tomorrow': {'a': [1, 2.75, None, {'b': 'ü/\u2028'}], 'c': -7, 'd': True}, 'zero': 0.0}
        org['escrow_keys'][0]['since'] = 'Monday'
        text = json.dumps(org, ensure_ascii=False).replace('2.75', '2.750')
        path = sign_as(s, 'tomorrow', text)
        made, _ = s.change_org('--revoke', 'ab' * 32, org=path)
        got = json.loads(read(made))
        eq(got, {**org, 'version': 2, 'revoked': ['ab' * 32]}, 'members')
        eq(list(got), list(org), 'in their order')
        holds(b'2.750' in read(made), 'a number is written as it was')
        org['version'] = 2**64 - 1
        _, p = s.change_org('--revoke', 'ab' * 32, org=sign_as(s, 'last', org), code=3)
        holds('no higher version' in p.stderr, p.stderr)


def refused(s, code, words, *change, **kw):
    out = s.path('refused')
    before = files(s)
    _, p = s.change_org(*change, code=code, out=out, **kw)
    holds(words in p.stderr and p.stdout == '', p.stderr)
    holds(not os.path.exists(out) and files(s) == before, f'something was written: {change}')
    _, p = s.change_org(*change, '--json', code=code, out=out, **kw)
    eq(json.loads(p.stdout)['error']['exit'], code, 'as JSON')


def test_refused_changes():
    with organisation() as s:
        ids = {k: [one['id'] for one in s.org[k]] for k in ('escrow_keys', 'receipt_keys')}
        one, two = new_key(s, 'one'), new_key(s, 'two')
        refused(s, 3, 'changes nothing')
        refused(s, 3, 'changes nothing', '--name', 'Test Org', '--no-copying', 'no')
        for url in ('http://x:1', 'https://x', 'https://x:0', 'https://x:65536', 'https://x:1/y', 'https://x\n:1', 'https://:1',
                    'https://' + 'x' * 120 + ':1'):
            refused(s, 2, 'an address like', '--server', url)
        refused(s, 2, 'given twice', '--server', 'https://x:1', '--server', 'https://x:1')
        refused(s, 2, 'no good value', *['--server', 'https://x:1'] * 9)
        refused(s, 2, '1 to 128', '--name', '')
        refused(s, 2, '1 to 128', '--name', 'x' * 129)
        refused(s, 2, 'at most 512', '--message', 'x' * 513)
        refused(s, 2, 'QR code', '--url', 'https://x/?y')
        refused(s, 2, 'yes or no', '--no-copying', 'perhaps')
        refused(s, 2, 'whole ID', '--revoke', 'ab' * 31)
        refused(s, 2, 'whole ID', '--revoke', 'xy' * 32)
        refused(s, 2, 'not both', '--revoke', 'ab' * 32, '--allow', 'AB' * 32)
        refused(s, 3, 'does not revoke', '--allow', 'ab' * 32)
        refused(s, 2, 'first 8 digits', '--drop-escrow', ids['escrow_keys'][0][:7])
        refused(s, 3, 'no escrow key', '--drop-escrow', '00' * 32)
        refused(s, 3, 'no escrow key', '--drop-escrow', ids['receipt_keys'][0])
        for key in s.org['escrow_keys']:
            refused(s, 3, f'at least one escrow key of the {key["use"]} must stay', '--drop-escrow', key['id'])
        refused(s, 3, 'at least one escrow', *[w for k in ids['escrow_keys'] for w in ('--drop-escrow', k)])
        refused(s, 3, 'at least one receipt', '--drop-receipt', ids['receipt_keys'][0])
        refused(s, 3, 'already', '--escrow-key', one, '--desk-key', one)
        refused(s, 3, 'not a public P-256 key', '--escrow-key', s.path('one.key'))
        refused(s, 1, 'not found', '--escrow-key', s.path('nowhere'))
        more = [w for n in range(3) for w in ('--receipt-key', new_key(s, f'more{n}'))]
        refused(s, 3, 'the most', *more, '--receipt-key', one)
        refused(s, 3, 'the most', '--escrow-key', one, '--escrow-key', two, '--desk-key', more[1])
        path, _ = s.change_org('--drop-receipt', ids['receipt_keys'][0], '--receipt-key', one, *more)
        eq(len(json.loads(read(path))['receipt_keys']), 4, 'a full list')
        refused(s, 3, 'larger than 64 KiB', *[w for n in range(1000) for w in ('--revoke', f'{n:064x}')])
        path, _ = s.change_org(*[w for n in range(700) for w in ('--revoke', f'{n:064x}')])
        eq(json.loads(run(SERVER, 'org', 'show', path, '--json').stdout)['signature'], 'unchecked', 'no root.pub there')


def test_root_key_and_signature():
    with organisation() as s:
        change = ('--revoke', 'ab' * 32)
        s.put('pass.secret', 'right\n')
        s.put('wrong.secret', 'wrong\n')
        locked, plain = s.path('locked.key'), s.path('offline/root.key')
        run('openssl', 'pkcs8', '-topk8', '-v2', 'aes-256-cbc', '-in', plain, '-passout', 'file:' + s.path('pass.secret'), '-out',
            locked)
        new_key(s, 'other')
        refused(s, 3, 'did not sign it', *change, key=s.path('other.key'))
        refused(s, 3, 'does not open it', *change, '--passphrase-file', s.path('wrong.secret'), key=locked)
        refused(s, 3, '--passphrase-file is wanted', *change, key=locked)
        refused(s, 1, 'not in the expected form', *change, key=s.path('other.pub'))
        refused(s, 1, 'not found', *change, key=s.path('nowhere'))
        refused(s, 1, 'not found', *change, '--passphrase-file', s.path('nowhere'), key=locked)
        path, _ = s.change_org(*change, '--passphrase-file', s.path('pass.secret'), key=locked)
        s.command('org', 'set', path)
        before = [read(path), read(path + '.sig')]
        _, p = s.change_org(*change[:1], 'cd' * 32, out=os.path.dirname(path), code=3)
        holds('already' in p.stderr and [read(path), read(path + '.sig')] == before, 'never over one that is there')
        os.remove(path)
        s.change_org(*change[:1], 'cd' * 32, out=os.path.dirname(path), code=3)
        os.remove(path + '.sig')
        s.change_org(*change[:1], 'cd' * 32, out=os.path.dirname(path))
        s.put('damaged.json', before[0].decode().replace('Test Org', 'Best Org'))
        refused(s, 3, 'did not sign it', *change, org=s.path('damaged.json'))
        s.put('damaged.json.sig', '')
        refused(s, 3, 'did not sign it', *change, org=s.path('damaged.json'))
        refused(s, 1, 'not in the expected form', *change, org=plain)
        twice = before[0].decode().replace('"name"', '"x": 1, "x": 2, "name"')
        refused(s, 3, 'not strict JSON', *change, org=sign_as(s, 'twice', twice))


def test_set_refuses():
    with organisation(start=True) as s, organisation() as strange:
        first = sign_as(s, 'first', read(org_path(s)).decode())
        second, _ = s.change_org('--revoke', 'ab' * 32)
        third, _ = s.change_org('--revoke', 'cd' * 32, org=second)
        s.command('org', 'set', second)
        s.command('org', 'set', second)  # the same again
        before, start = files(s), os.path.getsize(s.log)

        def no(path, words, code=3):
            p = s.command('org', 'set', path, code=code)
            holds(words in p.stderr and 'nothing was changed' in p.stderr and p.stdout == '', p.stderr)
            eq(json.loads(s.command('org', 'set', path, '--json', code=code).stdout)['error']['exit'], code, 'as JSON')
            eq(files(s), before, 'nothing was changed')
        no(first, 'version must be higher')
        no(sign_as(s, 'same', json.loads(read(second))), 'version must be higher')
        no(strange.change_org('--revoke', 'ab' * 32)[0], 'signature does not verify')
        stolen = {**json.loads(read(third)), 'id': strange.org['id']}
        no(sign_as(s, 'stolen', stolen), 'another organisation')
        no(s.put('unsigned.json', read(third).decode()), 'signature does not verify')
        no(sign_as(s, 'damaged', {**json.loads(read(third)), 'revoked': ['x']}), 'expected form')
        no(s.path('nowhere'), 'not found', 1)
        receipt = s.org['receipt_keys'][0]['id']
        path, _ = s.change_org('--drop-receipt', receipt, '--receipt-key', new_key(s, 'foreign'))
        no(path, 'receipt key that this server signs with')
        holds('refused=' not in s.read_log(start), 'and the server noticed nothing')
        for words in (('set',), ('set', 'a', 'b'), ('show', 'a', 'b'), ('change',), ('other',), ()):
            run(SERVER, 'org', *words, code=2)
        s.command('org', 'set', third)
        s.wait_log('version=3 revoked=2')


def test_show():
    with organisation() as s:
        path, _ = s.change_org('--revoke', 'ab' * 32)
        eq(show(s, path)['signature'], 'good', 'by the server\'s root.pub')
        holds('NOT CHECKED' in run(SERVER, 'org', 'show', path).stdout, 'nobody to judge it by')
        shutil.copy(org_path(s, 'root.pub'), os.path.dirname(path))
        holds('verifies' in run(SERVER, 'org', 'show', path).stdout, 'beside it')
        os.chdir(os.path.dirname(path))
        holds('verifies' in run(SERVER, 'org', 'show', 'org.json').stdout, 'here')
        s.put('x.json', read(path).decode() + ' ')
        shutil.copy(path + '.sig', s.path('x.json.sig'))
        got = show(s, s.path('x.json'), code=3)
        eq((got['signature'], got['revoked']), ('bad', ['ab' * 32]), 'shown all the same')
        run(SERVER, 'org', 'show', s.path('ca.pem'), code=1)
        os.remove(org_path(s, 'root.pub'))
        s.command('org', 'show', code=1)
        os.chdir('/')


def test_cut_off_while_it_is_set():
    """After each of its four steps the server starts, with the old one or the new one, and the next attempt ends it."""
    with organisation() as s:
        path, _ = s.change_org('--revoke', 'ab' * 32)
        old, new = read(org_path(s)), read(path)
        steps = (('org.json.sig.next', path + '.sig', old), ('org.json', path, new), ('org.json.sig', path + '.sig', new))
        for name, source, in_force in steps:
            shutil.copy(source, org_path(s, name))
            got = show(s)
            eq((got['signature'], got['version']), ('good', 2 if in_force == new else 1), name)
            s.start()
            s.command('backup', s.path('backup-' + name))
            saved = s.path('backup-' + name, 'org.json')
            eq((read(saved), show(s, saved)['signature']), (in_force, 'good'), 'in the backup')
            s.stop()
        s.command('org', 'set', path)
        holds('org.json.sig.next' not in files(s) and show(s)['version'] == 2, 'ended')


def set_without_room(s, path):
    """As on a disk that has room for a signature and not for org.json."""
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
    p = subprocess.run([SERVER, 'org', 'set', '--root', s.root, path], capture_output=True, text=True, preexec_fn=limit, timeout=60)
    eq(p.returncode, 1, p.stderr)
    return p.stderr


def test_the_next_one_behind_one_that_was_cut_off():
    """Its signature takes the place of the only one that the version in force has; that one is put where it belongs first."""
    with organisation() as s:
        first = files(s)
        path, _ = s.change_org('--revoke', 'ab' * 32)
        s.command('org', 'set', path)
        second = files(s)
        third, _ = s.change_org('--revoke', 'cd' * 32)
        for name, of in (('org.json', second), ('org.json.sig', first)):
            with open(org_path(s, name), 'wb') as f:
                f.write(of[name])
        with open(org_path(s, 'org.json.sig.next'), 'wb') as f:
            f.write(second['org.json.sig'])
        eq(show(s)['version'], 2, 'cut off before')
        holds('nothing was changed' in set_without_room(s, third), 'said')
        eq((show(s)['signature'], show(s)['version']), ('good', 2), 'and cut off again')
        s.start()
        s.command('org', 'set', third)
        eq((show(s)['signature'], show(s)['version']), ('good', 3), 'then')


def test_several_at_once():
    """They take turns: the highest version is in place, with its own signature."""
    with organisation() as s:
        paths = []
        for i in range(4):
            paths.append(s.change_org('--name', f'Name {i}', org=paths[-1] if paths else None)[0])
        running = [subprocess.Popen([SERVER, 'org', 'set', '--root', s.root, p], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                   for p in paths[::-1] for _ in range(3)]
        holds(all(p.wait(60) in (0, 3) for p in running), 'set, or too old')
        eq((show(s)['signature'], show(s)['version'], set(files(s)) & set(NAMES)), ('good', 5, set(NAMES[:2])), 'the last')


def test_real_laptop():
    """It takes the new version as a bundle without a token, seals its next key to the new escrow key, and knows no old one."""
    if real.cannot_run('test_real_laptop') is not None:
        raise Skip('needs the agent and root')
    if not as_root():
        raise Skip('needs root')
    port = free_port()
    s = Server(urls=(f'https://127.0.0.1:{port}',))
    laptop = None
    try:
        s.start(port)
        laptop = real.Laptop(s.path('laptop'))
        laptop.run('enroll', '--bundle', s.bundle)
        laptop.protect()
        old = laptop.volume()['key_id']
        laptop.run('sync')
        s.put('new.pub', json.loads(s.command('keys', 'new', '--json').stdout)['public_key'])
        path, _ = s.change_org('--escrow-key', s.path('new.pub'), '--drop-escrow', s.org['escrow_keys'][0]['id'])
        s.command('org', 'set', path)
        s.stop()
        s.start(port)
        eq(laptop.status()['org_version'], 1, 'a sync does not bring it')
        into_bundle(s, path)
        s.put('bundle/token', '')
        laptop.run('enroll', '--bundle', s.bundle)
        eq(laptop.status()['org_version'], 2, 'taken')
        laptop.rotate()
        laptop.run('sync')
        real.until('synced', lambda: laptop.status()['queued'] == 0)
        new = laptop.volume()['key_id']
        holds(new != old, 'another key')
        eq(s.recover(new)[0]['key_id'], new, 'opened by the new escrow key')
        eq(s.recover(old)[0]['key_id'], old, 'and the old one by the old one')
    finally:
        if laptop is not None:
            laptop.stop()
        s.clean()


if __name__ == '__main__':
    sys.exit(main(globals(), set(sys.argv[1:])))
