# SPDX-License-Identifier: GPL-3.0-or-later
"""The server's lines of `make bench`: CPU per sync beside nginx, group commit, look-ups, memory."""
import contextlib
import hashlib
import json
import os
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, 'tests/server'))
import server_rig as rig  # noqa: E402
import web_channel  # noqa: E402

STORE = 'build/tests/bench_store'
FIND, FOUND = web_channel.numbers('msg.h', 'msg_type', 'MSG_FIND', 'MSG_FOUND')
EXCHANGES, CONNECTIONS = 400, 8
SIZES = {'small': (100_000, 500_000), 'large': (1_000_000, 5_000_000)}
BASE = (10_000, 50_000)


@contextlib.contextmanager
def running(*args, **settings):
    s = rig.Server(*args, **settings)
    try:
        yield s.start()
    finally:
        s.clean()


def rounds(b, sides):
    """Medians of the ratios of the first side's cost to each side's, and of the costs; sides take turns."""
    got = []
    for one in range(6 * b.runs + 1):
        order = sides if one % 2 == 0 else sides[::-1]
        cost = {name: measure() for name, measure in order}
        got.append([cost[name] for name, _ in sides])
    columns = list(zip(*got))
    ratios = [statistics.median(first / x for first, x in zip(columns[0], column)) for column in columns]
    return ratios, [statistics.median(column) for column in columns]


def bench_sync(b):
    """Server CPU per sync, of all our processes, with one worker beside nginx with one; resumed at any of two workers
    beside nginx with two. nginx builds a chain for the client's certificate; we compare its key in the store."""
    if not os.path.exists('/usr/sbin/nginx'):
        raise b.skip('nginx is not installed (packaging/packages.bench)')
    with running('--web-workers', '1', tls_sessions=0) as plain, \
            running('--web-workers', '1', tls_sessions=4096) as resuming, \
            running('--web-workers', '2', tls_sessions=4096) as any_of_two, \
            running('--web-workers', '1', tls_sessions=0) as full, \
            running('--web-workers', '1', tls_sessions=0, quiet_devices=0) as asking:
        nginx, nginx2 = rig.Nginx(plain), rig.Nginx(plain, workers=2)
        one, two, any2, three, four = loads = [rig.Load(p.bundle, p.port, 64) for p in (plain, resuming, any_of_two, full, asking)]
        ours, theirs, theirs2, ours2, ours_any, ours3, ours4 = (
            rig.family(p.process.pid) for p in (plain, nginx, nginx2, resuming, any_of_two, full, asking))

        def cost(load, pids, what, port=None):
            value, r = load.cost(pids, what, CONNECTIONS, EXCHANGES, port=port)
            if 'resumed' in what and r['resumed'] < 0.99 * r['ok']:  # of the places for a session four may be taken
                raise RuntimeError(f'not resumed at every worker: {r}')
            return value
        try:
            for load in loads:  # a key for each device, as every device has one
                load.run('escrow full', CONNECTIONS, 64)
            cost(one, ours, 'heartbeat full')
            cost(one, theirs, 'static full', nginx.port)
            cost(two, ours2, 'heartbeat full')
            cost(any2, ours_any, 'heartbeat full')
            sides = [('nginx', lambda: cost(one, theirs, 'static full', nginx.port)),
                     ('full', lambda: cost(one, ours, 'heartbeat full')),
                     ('resumed', lambda: cost(two, ours2, 'heartbeat resumed')),
                     ('kept', lambda: cost(one, ours, 'heartbeat kept')),
                     ('escrow', lambda: cost(three, ours3, 'escrow full')),  # in the end hundreds of keys for each device, as none has
                     ('asking', lambda: cost(four, ours4, 'heartbeat full'))]
            pair = [('nginx', lambda: cost(one, theirs2, 'static full', nginx2.port)),
                    ('any', lambda: cost(any2, ours_any, 'heartbeat resumed'))]
            ratios, ms = rounds(b, sides)
            ratios2, ms2 = rounds(b, pair)
        finally:
            for each in (*loads, nginx, nginx2):
                each.close()
    for at, what, want in ((1, 'full-handshake heartbeat', 1.5), (2, 'resumed heartbeat', 2.5), (3, 'heartbeat on a kept connection', 0),
                           (4, 'full-handshake sync with an escrow record', 0),
                           (5, 'full-handshake heartbeat that is a question to the store (quiet-devices = 0)', 0)):
        b.row(f'server CPU, {what}, beside nginx\'s full handshake', f'{ratios[at]:.2f} x cheaper ({ms[at]:.3f} ms against {ms[0]:.3f} ms)',
              ratios[at] >= want, f'>= {want} x' if want else 'reported only')
    b.row('server CPU, resumed heartbeat, any of two workers, beside nginx\'s full handshake with two',
          f'{ratios2[1]:.2f} x cheaper ({ms2[1]:.3f} ms against {ms2[0]:.3f} ms)', ratios2[1] >= 2.5, '>= 2.5 x')


def bench_heartbeat(b):
    """The writer's CPU for a heartbeat of a device that has so many envelopes."""
    with running() as s:
        writer, load, have, costs = [s.children()['writer']], rig.Load(s.bundle, s.port, 1), 0, []
        for n in (1, 100, 1000):
            load.run('escrow kept', 1, n - have)
            have = n
            costs.append(statistics.median(load.cost(writer, 'heartbeat kept', 1, EXCHANGES)[0] for _ in range(b.runs)))
        load.close()
    b.row('heartbeat of a device with 1, 100, 1000 envelopes, CPU of the writer',
          ', '.join(f'{ms * 1000:.0f}' for ms in costs) + ' us', True, 'reported only')


def key_id(i):
    """As tests/bench/bench_fill.c makes it."""
    h = hashlib.sha256(struct.pack('<Qc', i, b'k')).digest()[:16].hex().upper()
    return f'{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}'


class Store:
    """A server whose recovery store has so many devices and keys."""

    def __init__(self, devices, keys):
        self.keys = keys
        self.server = rig.Server()
        folder = self.server.path('fill')
        os.makedirs(folder)
        out = subprocess.run([STORE, 'fill', folder, str(devices), str(keys)], capture_output=True, text=True, check=True)
        self.seconds = json.loads(out.stdout)['seconds']
        for name in os.listdir(folder):
            path = shutil.move(os.path.join(folder, name), self.server.state('writer', name))
            own = os.stat(self.server.state('writer'))
            os.chown(path, own.st_uid, own.st_gid)
        self.gib = os.path.getsize(self.server.state('writer/recovery.db')) / (1 << 30)
        with open(self.server.state('writer/recovery.db'), 'rb', buffering=0) as f:
            while f.read(1 << 24):  # into the page cache, as far as it fits: a server that has run for a while
                pass
        self.pair = rig.Pair(self.server)
        self.at = 0

    def look(self, n):
        """Milliseconds of n look-ups, by the first 8 digits."""
        took = []
        for _ in range(n):
            self.at = (self.at + 7919) % self.keys
            start = time.monotonic()
            kind, body = self.pair.reader.ask(FIND, web_channel.text(key_id(self.at)[:8]) + web_channel.text(''))
            took.append((time.monotonic() - start) * 1000)
            if kind != FOUND or struct.unpack('<H', body[:2])[0] < 1:
                raise RuntimeError(f'key {self.at} was not found: {kind} {body[:40]}')
        return took

    def look_local(self, n):
        """Milliseconds of n look-ups as the help desk's command asks for them: at the local socket, through a web worker.
        Its next question is the vault's, and there is none: what would follow is no look-up."""
        took = []
        for _ in range(n):
            self.at = (self.at + 7919) % self.keys
            start = time.monotonic()
            with socket.socket(socket.AF_UNIX) as c:
                c.connect(os.path.join(self.server.dir, 'bench.sock'))
                c.sendall(json.dumps({'op': 'recover', 'key': key_id(self.at)[:8], 'as': 'alice', 'user': '', 'device': '',
                                      'reason': 'locked out'}).encode() + b'\n')
                answer = json.loads(c.recv(65536))
            took.append((time.monotonic() - start) * 1000)
            if answer.get('err') != 'OFFLINE' or 'vault' not in answer['detail']:
                raise RuntimeError(f'the local socket: {answer}')
        return took

    def close(self):
        self.pair.close()
        self.server.clean()


def p99(values):
    return sorted(values)[int(len(values) * 0.99)]


def look_during_storm(store):
    """Look-ups while 64 connections sync with full handshakes, every fourth with an escrow record: at the reader, and at
    the local socket, through the only web worker, which does the handshakes."""
    took, local, stop = [], [], threading.Event()
    heart, escrow = (rig.Load(store.server.bundle, store.pair.port, 64) for _ in range(2))
    heart.begin('heartbeat full', 48, 1000000, 12)
    escrow.begin('escrow full', 16, 1000000, 12)
    timer = threading.Timer(10, stop.set)
    timer.start()
    while not stop.is_set():
        took += store.look(1)
        local += store.look_local(1)
        time.sleep(0.005)
    answers = [load.answer() for load in (heart, escrow)]
    for load in (heart, escrow):
        load.close()
    return took, local, sum(a['ok'] for a in answers) / 12


def storm_beside(b, small, large):
    """Medians of three; the two stores take turns, because what else runs on the machine comes and goes."""
    got = [(look_during_storm(small), look_during_storm(large)) for _ in range(3)]
    rate = statistics.median(rate for pair in got for _, _, rate in pair)
    few, many = (statistics.median(p99(took) for took, _, _ in side) for side in zip(*got))
    p50 = statistics.median(statistics.median(took) for _, (took, _, _) in got)
    b.row(f'look-up while a storm runs ({rate:.0f} syncs/s)', f'p50 {p50:.1f} ms, p99 {many:.1f} ms', many <= 20, 'p99 <= 20 ms')
    ratio = statistics.median(p99(one) / p99(other) for (other, _, _), (one, _, _) in got)
    b.row(f'its p99 beside that among {BASE[1]:,} keys', f'{ratio:.2f} x ({few:.1f} ms)', ratio <= 1.2, '<= 1.2 x')
    through = [statistics.median(f(local) for pair in got for _, local, _ in pair) for f in (statistics.median, p99)]
    b.row('the same from the local socket, through the web worker that shakes hands',
          f'p50 {through[0]:.1f} ms, p99 {through[1]:.1f} ms', through[1] <= 20, 'p99 <= 20 ms')


def bench_lookup(b):
    """A key by its ID among very many: idle, beside a small store, and while a storm runs."""
    size = SIZES[b.size]
    small, large = Store(*BASE), Store(*size)
    try:
        small.look(300), large.look(3000)  # what is read first comes from the disk
        got = [(small.look(20), large.look(20)) for _ in range(50 * b.runs)]  # in short turns: what else runs meets both
        few, many = ([x for column in pair for x in column] for pair in zip(*got))
        what = f'{size[1]:,} keys of {size[0]:,} devices ({large.gib:.1f} GiB, filled in {large.seconds:.0f} s)'
        b.row(f'look-up, {what}', f'p50 {statistics.median(many):.2f} ms, p99 {p99(many):.2f} ms', p99(many) <= 5, 'p99 <= 5 ms')
        ratio = statistics.median(many) / statistics.median(few)
        b.row(f'the same beside {BASE[1]:,} keys', f'{ratio:.2f} x ({statistics.median(few):.3f} ms)', ratio <= 1.2, '<= 1.2 x')
        small.look_local(100), large.look_local(100)
        got = [(small.look_local(20), large.look_local(20)) for _ in range(25 * b.runs)]
        few, many = ([x for column in pair for x in column] for pair in zip(*got))
        b.row('the same from the local socket, through a web worker',
              f'p50 {statistics.median(many):.2f} ms, p99 {p99(many):.2f} ms', p99(many) <= 5, 'p99 <= 5 ms')
        b.row(f'the same beside {BASE[1]:,} keys', f'{statistics.median(many) / statistics.median(few):.2f} x '
              f'({statistics.median(few):.3f} ms)', True, 'reported only')
        storm_beside(b, small, large)
        pair = large.pair
        mib = {name: rig.rss_kib(p.pid) / 1024 for name, p in (('web', pair.web), ('writer', pair.writer.process), ('reader', pair.reader.process))}
        b.row('resident memory after it', ', '.join(f'{name} {one:.1f} MiB' for name, one in mib.items()), max(mib.values()) <= 40, '<= 40 MiB each')
    finally:
        small.close()
        large.close()


def bench_connections(b):
    """Memory of a server, all its processes, without connections and with many idle TLS connections of devices."""
    n, workers = 2000, 2
    with running('--web-workers', str(workers)) as s:
        load = rig.Load(s.bundle, s.port, 64)
        load.run('heartbeat full', 8, 200)
        before = rig.memory(s.process.pid)
        for _ in range(n // 250):  # more handshakes at once push one another out
            load.run('idle full', 250, 250, 15)
        held, after = s.metric('connections'), rig.memory(s.process.pid)
        load.close()
    webs = [pid for pid, one in before.items() if one.name == 'web']
    if held != n or len(webs) != workers or set(after) != set(before):
        raise RuntimeError(f'{held:.0f} connections are held, by {after}')
    rss, pss = (sum(getattr(one, kind) for one in before.values()) / 1024 for kind in ('rss', 'pss'))
    most = max(one.rss for one in before.values()) / 1024
    said = ', '.join(f'{one.name} {one.rss / 1024:.1f} MiB' for one in sorted(before.values()))
    b.row('resident memory of each process without connections', said, most <= 40, '<= 40 MiB each')
    b.row(f'resident memory of the server without connections: {len(before)} processes, pages that they share counted once',
          f'{pss:.1f} MiB (counted in each: {rss:.1f} MiB)', pss <= 40, '<= 40 MiB')
    each = sum(after[pid].rss - one.rss for pid, one in before.items()) / n
    grown = ' and '.join(f'{(after[pid].rss - before[pid].rss) / 1024:.1f} MiB' for pid in webs)
    b.row(f'resident memory for each of {n} idle connections, all processes together',
          f'{each:.1f} KiB (the web workers grew by {grown})', each <= 30, '<= 30 KiB')
