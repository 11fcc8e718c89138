#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Syncing with both ends real: what a server lost comes back, certificates are renewed, clocks are wrong by years,
a proxy stands in between."""
import contextlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, '../courier')]
from laptop import Laptop, cannot_run, holds, machine, policy_bundle, until  # noqa: E402
from proxy import Proxy  # noqa: E402
from server_fixture import BUILD, Server, free_port, run  # noqa: E402

YEAR = 31557600


def rows(s, sql, *args):
    with contextlib.closing(sqlite3.connect(f'file:{s.state("writer/recovery.db")}?mode=ro', uri=True)) as db:
        return db.execute(sql, args).fetchall()


def envelopes(s):
    """{hash: when it came}"""
    return dict(rows(s, 'SELECT hash, received_us FROM envelopes WHERE own = 1'))


def enrolled(s, folder, **env):
    laptop = Laptop(s.path(folder), **env)
    laptop.run('enroll', '--bundle', s.bundle)
    return laptop


def synced_records(s, start):
    """Records of each sync since then, from the server's log."""
    return [int(n) for n in re.findall(r'event=sync status=200 \S+ records=(\d+)', s.read_log(start))]


def quiet(s):
    """Until no sync came for two seconds: whatever the courier had to do of its own is done. The end of the log."""
    end = time.monotonic() + 60
    while True:
        size = os.path.getsize(s.log)
        time.sleep(2)
        if not synced_records(s, size):
            return os.path.getsize(s.log)
        holds(time.monotonic() < end, 'a courier that never rests')


@contextlib.contextmanager
def shifted_clock(seconds):
    """Of what is started meanwhile."""
    os.environ.update(LD_PRELOAD=os.path.join(BUILD, 'tests/clock_shim.so'), CLOCK_SHIFT=str(seconds))
    try:
        yield
    finally:
        del os.environ['LD_PRELOAD'], os.environ['CLOCK_SHIFT']


def give_back(s):
    """The writer's files, to its user."""
    for name in os.listdir(s.state('writer')):
        os.chown(s.state('writer', name), 64802, 64802)


def test_half_of_the_envelopes_lost(s):
    laptop = enrolled(s, 'lossy')
    try:
        laptop.protect()
        for _ in range(7):
            laptop.rotate()
        laptop.run('sync')
        until('all receipted', lambda: laptop.status()['queued'] == 0)
        before = envelopes(s)
        holds(len(before) == 8, f'{len(before)} envelopes')
        laptop.stop_courier()
        s.stop()
        lost = sorted(before)[::2]
        with contextlib.closing(sqlite3.connect(s.state('writer/recovery.db'))) as db, db:
            for h in lost:
                db.execute('DELETE FROM records WHERE name IN (SELECT record FROM envelopes WHERE hash = ?)', (h,))
                db.execute('DELETE FROM envelopes WHERE hash = ?', (h,))
        start = os.path.getsize(s.log)
        with shifted_clock(-1800):  # receipts are counted by batch: a clock that goes back settles them all the same
            s.start(s.port)
        laptop.start_courier()
        until('they are back', lambda: set(envelopes(s)) == set(before))
        until('receipted again', lambda: laptop.status()['queued'] == 0)
        after = envelopes(s)
        holds({h for h in after if after[h] != before[h]} == set(lost), 'exactly what was lost came again')
        proved = {h for h, in rows(s, "SELECT e.hash FROM flags f JOIN envelopes e ON e.record = f.record WHERE kind = 'lost'")}
        holds(proved == set(lost), 'each loss is proved by the receipt that the record had')
        laptop.run('sync')
        holds(sum(synced_records(s, start)) == len(lost), f'records sent: {synced_records(s, start)}')
        start = os.path.getsize(s.log)
        for _ in range(3):
            laptop.run('sync')
        holds(set(synced_records(s, start)) == {0}, f'and then there is silence: {synced_records(s, start)}')
        got, _ = s.recover(laptop.volume()['key_id'])
        holds(got['key_id'] == laptop.volume()['key_id'], 'the key in use can be read back')
    finally:
        laptop.stop()
        s.stop()
        s.start(s.port)


def escrowed(s, device):
    """Names of a device's escrow records and key packages."""
    return [{row[0] for row in rows(s, 'SELECT name FROM records WHERE kind = ? AND device = ?', kind, device)}
            for kind in (1, 4)]


def test_key_packages_lost(s):
    """A store that lost everything gets the key packages again, too, which are in no volume's header."""
    laptop = Laptop(s.path('packages'))
    try:
        laptop.run('enroll', '--bundle', policy_bundle(s, 'packages-bundle', key_package=True))
        laptop.protect()
        laptop.run('sync')
        until('all receipted', lambda: laptop.status()['queued'] == 0)
        receipted = int(time.time())
        device = bytes.fromhex(laptop.status()['device_id'])
        before = escrowed(s, device)
        holds([len(b) for b in before] == [1, 1], before)
        start = os.path.getsize(s.log)
        for _ in range(2):
            laptop.run('sync')
        holds(set(synced_records(s, start)) == {0}, f'and then there is silence: {synced_records(s, start)}')
        for what, kinds in (('the package alone', (4,)), ('every record', (1, 4))):
            laptop.stop_courier()
            s.stop()
            with contextlib.closing(sqlite3.connect(s.state('writer/recovery.db'))) as db, db:
                for kind in kinds:
                    db.execute('DELETE FROM records WHERE kind = ? AND device = ?', (kind, device))
                if 1 in kinds:
                    db.execute('DELETE FROM envelopes WHERE sender = ?', (device,))
            start = os.path.getsize(s.log)
            until('a later second', lambda: int(time.time()) > receipted)
            s.start(s.port)
            laptop.start_courier()
            until(f'{what} is back', lambda: escrowed(s, device) == before)
            until('receipted again', lambda: laptop.status()['queued'] == 0)
            receipted = int(time.time())
            laptop.run('sync')
            holds(sum(synced_records(s, start)) == len(kinds), f'{what}: records sent: {synced_records(s, start)}')
            start = os.path.getsize(s.log)
            for _ in range(2):
                laptop.run('sync')
            holds(set(synced_records(s, start)) == {0}, f'{what}: and then there is silence')
    finally:
        laptop.stop()


def test_policy_escrow_receipt(s):
    """escrow = receipt: "protected" waits for a server's word, and nothing else does: the key opens the volume, and
    rotation goes on. One that counted once is not taken back."""
    laptop = Laptop(s.path('receipt'))
    m = laptop.machine

    def header():
        h = machine.header(laptop.image)
        tokens = [t for t in h['tokens'].values() if t['type'] == 'keyholt']
        return [(t['state'], t['keyslots'][0] in h['keyslots']) for t in tokens], {t['key_id'] for t in tokens}

    def protect(code):
        return laptop.run('protect', '--passphrase-file', '-', '--no-esp', laptop.image, data=machine.PASSPHRASE, code=code)

    def waits(what):
        v = laptop.volume()
        holds(v['state'] == 'waits-for-receipt' and v['verified'] and 'receipt' in v['note'], f'{what}: {v}')
    try:
        laptop.run('enroll', '--bundle', policy_bundle(s, 'receipt-bundle', escrow='receipt'))
        laptop.run('sync')
        s.stop()
        o = protect(4)
        key = o['key_id']
        holds(o['state'] == 'waits-for-receipt' and 'queued' in o['message'] and 'not reachable' in o['message'], o)
        holds(header() == ([('live', True)], {key}), f'the key is made, and opens the volume: {header()}')
        waits('no server')
        found = [f for f in m.json('doctor')[1]['findings'] if 'escrow: receipt' in f['text']]
        holds(found and found[0]['level'] == 'note', found)
        holds(protect(4)['key_id'] == key and header()[1] == {key}, 'asked again: no second key')
        key = laptop.run('rotate', laptop.image)['key_id']
        holds(header() == ([('live', True)], {key}), f'a rotation is not stopped: {header()}')
        waits('rotated')
        laptop.stop_courier()
        m.stop()
        m.options[m.options.index('--courier-wait') + 1] = '5000'
        m.start()
        waits('a restart')
        holds('courier is not running' in protect(4)['message'], 'no courier')
        s.start(s.port)
        laptop.start_courier()
        laptop.run('sync')
        v = until('receipted', lambda: laptop.volume()['state'] == 'protected' and laptop.volume())
        holds(v['key_id'] == key and not v['note'] and protect(0)['state'] == 'protected', v)
        got, _ = s.recover(key)
        holds(got['key_id'] == key, 'the key that was waited for can be read back')
        second = laptop.folder + '/second.img'
        machine.sh('truncate', '-s', '32M', second)
        machine.sh('cryptsetup', 'luksFormat', '--type', 'luks2', *machine.FAST, second, '-', data=machine.PASSPHRASE)
        o = laptop.run('protect', '--passphrase-file', '-', '--no-esp', second, data=machine.PASSPHRASE)
        there = [v for v in laptop.status()['volumes'] if v['device'] == second]
        holds(o['state'] == 'protected' and there[0]['state'] == 'protected' and there[0]['escrow'] == 'receipted',
              f'with a server, the command waits for its word: {o} {there}')
        s.stop()
        laptop.run('rotate', laptop.image)
        v = [v for v in laptop.status()['volumes'] if v['device'] == laptop.image][0]
        holds(v['state'] == 'protected' and v['escrow'] == 'queued', f'what counted once goes on without a server: {v}')
        s.start(s.port)
    finally:
        laptop.stop()


def test_cache_lost(s):
    """The device remembers less than the server: it syncs on, is asked for its set once, and then there is silence:
    it tells the digest that the server has."""
    laptop = enrolled(s, 'forgetful')
    try:
        laptop.protect()
        for _ in range(3):
            laptop.rotate()
        laptop.run('sync')
        until('all receipted', lambda: laptop.status()['queued'] == 0)
        laptop.machine.stop()
        for name in ('cache.db', 'cache.db-wal', 'cache.db-shm'):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(laptop.machine.path('/var/lib/keyholt/agent/' + name))
        laptop.machine.start()
        laptop.run('rotate', '--passphrase-file', '-', laptop.image, data=machine.PASSPHRASE)
        laptop.run('sync')
        until('receipted', lambda: laptop.status()['queued'] == 0)
        holds(laptop.status()['enrolment'] == 'done', 'receipts say that it is enrolled')
        start = quiet(s)  # the set that is asked for goes out
        for _ in range(3):
            laptop.run('sync')
        quiet(s)
        log = s.read_log(start)
        holds(synced_records(s, start) == [0, 0, 0] and log.count('match=1') == 3, log)
    finally:
        laptop.stop()


def certificate(laptop, field='-enddate'):
    path = laptop.machine.path('/var/lib/keyholt/courier/tls.crt')
    return run('openssl', 'x509', '-noout', field, '-in', path).stdout


def test_certificate_is_renewed(s):
    laptop = enrolled(s, 'renewed')
    try:
        laptop.protect()
        laptop.run('sync')
        laptop.stop_courier()
        folder = laptop.machine.path('/var/lib/keyholt/courier/')

        class Courier:
            name, id, cert = 'renewed', laptop.status()['device_id'], (None, folder + 'tls.key')
        expired = s.courier_certificate(Courier, '20010101000000Z', '20020101000000Z')
        with open(expired, 'rb') as f, open(folder + 'tls.crt', 'wb') as to:
            to.write(f.read())
        holds('2002' in certificate(laptop), 'it expired long ago')
        key = certificate(laptop, '-pubkey')
        laptop.start_courier()
        until('renewed', lambda: '2002' not in certificate(laptop))
        holds(certificate(laptop, '-pubkey') == key, 'for the same key')
        serial = certificate(laptop, '-serial')
        out = laptop.run('sync')
        holds(out['done'], str(out))
        holds(certificate(laptop, '-serial') == serial, 'once')
        laptop.rotate()
        until('it works', lambda: laptop.volume()['escrow'] == 'receipted')
    finally:
        laptop.stop()


def test_wrong_clocks(s):
    """Enrolment, escrow, disclosure's order and receipts do not depend on the device's clock; it is reported."""
    shim = os.path.join(BUILD, 'tests/clock_shim.so')
    for name, shift in (('behind', -20 * YEAR), ('ahead', 30 * YEAR)):
        laptop = enrolled(s, name, LD_PRELOAD=shim, CLOCK_SHIFT=str(shift))
        try:
            laptop.protect()
            laptop.run('sync')
            until('receipted', lambda: laptop.status()['queued'] == 0)
            status = laptop.status()
            holds(status['volumes'][0]['escrow'] == 'receipted', str(status))
            holds(abs(status['clock_off_s'] + shift) < 60, f'{name}: {status["clock_off_s"]}')
            text = laptop.machine.agent('status')[1]
            word = 'behind' if shift < 0 else 'ahead of'
            holds(f"{word} the server's" in text, text)
            device = bytes.fromhex(status['device_id'])
            holds(rows(s, "SELECT count(*) FROM flags WHERE device = ? AND kind = 'clock'", device) == [(1,)],
                  'reported once')
            stamped, received = rows(s, 'SELECT time, received_us FROM records WHERE device = ? AND kind = 1', device)[0]
            holds(abs(stamped - (time.time() + shift)) < 120, 'the record has the time of the device')
            holds(abs(received / 1e6 - time.time()) < 120, 'the server has its own')
            laptop.run('sync')
            holds(laptop.status()['queued'] == 0, 'nothing more is said about it')
        finally:
            laptop.stop()
    laptop = enrolled(s, 'right')
    try:
        laptop.run('sync')
        holds('clock_off_s' not in laptop.status(), 'a right clock is no news')
    finally:
        laptop.stop()


def without_a_word(s, change):
    """The server stops, something happens to its stores, it starts again."""
    s.stop()
    change()
    give_back(s)
    s.start(s.port)


def test_database_lost(s):
    """O4: both stores are gone. The fleet refills them, unasked by any person; keys are disclosed again; a person
    sees who came back, and a revoked device does not."""
    laptop, other = enrolled(s, 'o4'), enrolled(s, 'o4-revoked')
    try:
        for one in (laptop, other):
            one.protect()
            one.run('sync')
        laptop.rotate()
        laptop.run('sync')
        until('receipted', lambda: laptop.status()['queued'] == 0 and other.status()['queued'] == 0)
        mine = bytes.fromhex(laptop.status()['device_id'])
        before = {h for h, in rows(s, 'SELECT hash FROM envelopes WHERE device = ?', mine)}
        key = laptop.volume()['key_id']
        s.recover(key)
        start = os.path.getsize(s.log)
        stolen = other.status()['device_id']

        def lose():
            for name in os.listdir(s.state('writer')):
                if '.db' in name:
                    os.remove(s.state('writer', name))
            s.next_org('--revoke', stolen)
        without_a_word(s, lose)
        holds(rows(s, 'SELECT count(*) FROM devices') == [(0,)], 'nothing is left')
        laptop.run('sync', code=None)
        until('they are back', lambda: {h for h, in rows(s, 'SELECT hash FROM envelopes WHERE device = ?', mine)} >= before, 60)
        until('receipted again', lambda: laptop.status()['queued'] == 0)
        holds('back=1' in s.read_log(start), 'told in the log')
        got, _ = s.recover(laptop.volume()['key_id'])
        holds(got['key_id'] == laptop.volume()['key_id'], 'disclosed again')
        orders = {k for k, in rows(s, 'SELECT key_id FROM commands')}
        holds(key in orders, 'what was disclosed before the loss is still to be rotated')
        lost = rows(s, "SELECT count(*) FROM flags WHERE kind = 'lost' AND device = ?", mine)[0][0]
        holds(lost >= len(before), f'{lost} losses proved')
        other.run('sync', code=None)
        devices = {r['device']: r['state'] for r in json.loads(s.command('device', 'list', '--json').stdout)['devices']}
        holds(devices.get(mine.hex()) == 'back', f'a person sees it: {devices}')
        holds(other.status()['device_id'] not in devices, 'the revoked one stays out')
        s.command('device', 'approve', mine.hex())
        s.command('verify')
    finally:
        laptop.stop()
        other.stop()


def test_old_backup_put_back_silently(s):
    """O5: the stores are those of yesterday, and nobody tells the server. Newer envelopes come back by themselves, and
    each loss is proved by its receipt."""
    laptop = enrolled(s, 'o5')
    try:
        laptop.protect()
        laptop.run('sync')
        until('receipted', lambda: laptop.status()['queued'] == 0)
        s.stop()
        old = s.path('yesterday')
        os.makedirs(old)
        for name in ('recovery.db', 'compliance.db'):
            with contextlib.closing(sqlite3.connect(s.state('writer', name))) as db, \
                    contextlib.closing(sqlite3.connect(os.path.join(old, name))) as copy:
                db.backup(copy)
        give_back(s)
        s.start(s.port)
        for _ in range(3):
            laptop.rotate()
        laptop.run('sync')
        until('receipted', lambda: laptop.status()['queued'] == 0)
        mine = bytes.fromhex(laptop.status()['device_id'])
        before = {h for h, in rows(s, 'SELECT hash FROM envelopes WHERE device = ?', mine)}
        key = laptop.volume()['key_id']
        s.recover(key)

        def put_back():
            for name in os.listdir(s.state('writer')):
                if '.db' in name:
                    os.remove(s.state('writer', name))
            for name in os.listdir(old):
                shutil.copy(os.path.join(old, name), s.state('writer'))
        without_a_word(s, put_back)
        holds(len(rows(s, 'SELECT hash FROM envelopes WHERE device = ?', mine)) == len(before) - 3, 'an old store')
        laptop.run('sync')
        until('they are back', lambda: {h for h, in rows(s, 'SELECT hash FROM envelopes WHERE device = ?', mine)} >= before, 60)
        until('receipted again', lambda: laptop.status()['queued'] == 0)
        lost = rows(s, "SELECT count(*) FROM flags WHERE kind = 'lost' AND device = ?", mine)[0][0]
        holds(lost >= 3, f'{lost} losses proved')
        until('what was disclosed since is ordered again, from the log',
              lambda: key in {k for k, in rows(s, 'SELECT key_id FROM commands')})
        s.command('verify')
    finally:
        laptop.stop()


def test_old_backup_of_all_put_back_silently(s):
    """O5 with the audit log: the laptop proves what the log lost, and its key, which may have been disclosed then, is
    replaced by itself."""
    laptop = enrolled(s, 'o5-audit')
    log = s.state('vault/audit.log')

    def key():
        return laptop.volume()['key_id']

    def synced(condition):
        laptop.run('sync', code=None)
        return condition()
    try:
        laptop.protect()
        laptop.run('sync')
        until('receipted', lambda: laptop.status()['queued'] == 0)
        mine = bytes.fromhex(laptop.status()['device_id'])
        s.stop()
        s.configure(loss_rotations_per_hour=36000)
        old = {}
        for path in [log, *(s.state('writer', n) for n in os.listdir(s.state('writer')) if '.db' in n)]:
            with open(path, 'rb') as f:
                old[path] = f.read()
        s.start(s.port)
        first = key()
        s.recover(first)
        until('replaced as ordered', lambda: synced(lambda: key() != first and laptop.status()['queued'] == 0), 60)
        second = key()

        def put_back():
            for path, data in old.items():
                with open(path, 'r+b') as f:
                    f.truncate(0)
                    f.write(data)
        without_a_word(s, put_back)
        holds(rows(s, 'SELECT count(*) FROM commands WHERE key_id = ?', first) == [(0,)], 'nobody knows of the disclosure')
        until('replaced by itself', lambda: synced(lambda: key() not in (first, second)), 60)
        until('both orders are answered', lambda: synced(lambda: rows(
            s, 'SELECT count(*), sum(done IS NULL) FROM commands WHERE device = ?', mine) == [(2, 0)]), 60)
        loss, = json.loads(s.command('audit', 'losses', '--json').stdout)['losses']
        holds(loss['lost'] > loss['have'], f'{loss}')
        third = key()
        laptop.run('sync')
        holds(key() == third, 'once')
    finally:
        laptop.stop()


def test_policy_and_report_orders(s):
    """A policy of the organisation arrives with a sync and holds; a report that is ordered is made and the order ends."""
    laptop = enrolled(s, 'policy')
    try:
        laptop.run('sync')
        holds(not laptop.status()['policy']['version'], f"{laptop.status()['policy']}")
        file = s.put('policy.json', json.dumps({'format': 'keyholt-policy', 'version': 5, 'org': s.org['id'], 'rotate_days': 77}))
        s.command('policy', 'set', file)
        until('it holds', lambda: laptop.run('sync') is not None and laptop.status()['policy'].get('version') == 5)
        holds(laptop.status()['policy']['rotate_days'] == 77, 'and says what it says')
        device = laptop.status()['device_id']

        def reports():
            with contextlib.closing(sqlite3.connect(f'file:{s.state("writer/compliance.db")}?mode=ro', uri=True)) as db:
                return db.execute('SELECT count(*) FROM records WHERE kind = 2 AND device = ?', (bytes.fromhex(device),)).fetchone()[0]
        until('what it had to say of its own is said', lambda: laptop.status()['queued'] == 0)
        quiet(s)
        before = reports()
        s.command('device', 'report', device)
        laptop.run('sync')
        until('reported', lambda: reports() == before + 1)
        until('answered', lambda: rows(s, 'SELECT count(*) FROM commands WHERE device = ? AND done IS NULL', bytes.fromhex(device)) == [(0,)])
        laptop.run('sync')
        holds(reports() == before + 1, 'one order, one report')
    finally:
        laptop.stop()


def test_proxy_of_agent_conf(s):
    """The server's name is known to nobody but the proxy."""
    port = free_port()
    name = 'keys.example.invalid'
    hidden = Server(urls=(f'https://{name}:{port}',))
    laptop = None
    try:
        hidden.start(port)
        with Proxy('Basic', names={name: ('127.0.0.1', port)}) as p:
            laptop = Laptop(hidden.path('laptop'))
            conf = laptop.machine.path('/etc/keyholt/agent.conf')
            os.makedirs(os.path.dirname(conf), exist_ok=True)

            def configure(text):
                with open(os.open(conf, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), 'w', encoding='utf-8') as f:
                    f.write(text)
            laptop.run('enroll', '--bundle', hidden.bundle, code=4)
            configure('# the way out\nproxi = http://x\n')
            laptop.run('sync', code=4)
            holds('agent.conf: line 2' in laptop.status()['last_problem'], 'a line that is not understood is named')
            configure(f'proxy = {p.url("laptop:pass%20word%3A1@")}\n')
            laptop.protect()
            laptop.run('sync')
            until('receipted', lambda: laptop.status()['queued'] == 0)
            holds(laptop.status()['last_problem'] is None, 'no problem is left')
            holds({r[1] for r in p.asked} == {f'{name}:{port}'}, str(p.asked))
            configure(f'proxy = {p.url("laptop:pass%20word%3A1@")}\nno_proxy = {name}\n')
            asked = len(p.asked)
            laptop.run('sync', code=4)
            holds(len(p.asked) == asked, 'no_proxy counts at once')
            said = subprocess.run(['grep', '-rl', 'word%3A1', laptop.folder], capture_output=True, text=True, check=False)
            holds(said.stdout.split() == [conf], f'the password stands where it was put only: {said.stdout}')
    finally:
        if laptop:
            laptop.stop()
        hidden.clean()


def main(wanted):
    code = cannot_run('test_sync_with_agent')
    if code is not None:
        return code
    port = free_port()
    s = Server(urls=(f'https://127.0.0.1:{port}',))
    passed = failed = 0
    try:
        s.start(port)
        for name, test in list(globals().items()):
            if not name.startswith('test_') or (wanted and name not in wanted):
                continue
            start = time.monotonic()
            try:
                test(s)
                passed += 1
                print(f'{name}: ok ({time.monotonic() - start:.1f} s)')
            except Exception:
                failed += 1
                traceback.print_exc(file=sys.stdout)
                print(f'{name}: FAILED\n{s.read_log()[-2000:]}')
    finally:
        s.clean()
    print(f'{passed} passed, {failed} failed, 0 skipped')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main(set(sys.argv[1:])))
