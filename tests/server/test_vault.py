#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The vault on real parts: epochs of the escrow key. Closes with "N passed, N failed"."""
import contextlib
import json
import os
import signal
import sys
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
import secret_search  # noqa: E402
from server_fixture import Device, Server, run, tool

LIMIT_S = 600
results = {'passed': 0, 'failed': 0, 'skipped': 0}


class Skip(Exception):
    """Cannot be checked here; the reason is printed."""


def eq(got, want, what=''):
    if got != want:
        raise AssertionError(f'{what}: got {got!r}, wanted {want!r}')


def holds(condition, what):
    if not condition:
        raise AssertionError(what)


def enrolled(s, name):
    d = Device(s, name)
    eq(d.enroll()[0], 200, 'enrol')
    return d


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
    return json.loads(s.command('keys', 'check', '--json', code=code).stdout)


def health(s):
    return s.request('GET', '/healthz')[2]


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


def one(name, test):
    start = time.monotonic()
    try:
        test()
        results['passed'] += 1
        said = 'ok'
    except Skip as e:
        results['skipped'] += 1
        said = f'SKIP: {e}'
    except Exception:
        results['failed'] += 1
        traceback.print_exc(file=sys.stdout)
        said = 'FAILED'
    print(f'{name}: {said} ({time.monotonic() - start:.1f} s)', flush=True)


def main(wanted):
    signal.alarm(LIMIT_S)
    for name, test in list(globals().items()):
        if name.startswith('test_') and (not wanted or name in wanted):
            one(name, test)
    print(f"{results['passed']} passed, {results['failed']} failed, {results['skipped']} skipped")
    return 1 if results['failed'] else 0


if __name__ == '__main__':
    sys.exit(main(set(sys.argv[1:])))
