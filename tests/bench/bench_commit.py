# SPDX-License-Identifier: GPL-3.0-or-later
"""Group commit: durable escrows of 64 devices at once beside one commit for each record on the same store. How much that
saves depends on what a sync of the disk takes beside writing the record, whose key ID is at a random place of an index,
as is its device: in a batch, too, two pages for each. A disk whose cache is protected, or a virtual one, hardly waits for
a sync, and then rows with nothing but these two indexes gain little (bench_bare.h: the limit of any store of keys). So each
is measured on this disk beside that limit, and judged with syncs that take 1 ms longer (sync_shim.c), as on a disk that has
to write what it was given."""
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, 'tests/server'))
import postgres  # noqa: E402
import server_rig as rig  # noqa: E402
from bench_server import STORE, running  # noqa: E402

SHIM = os.path.join(TOP, 'build/tests/sync_shim.so')
SLOW_US = 1000
SLOW = ', with a sync of 1 ms (a shim waits)'


@contextlib.contextmanager
def slow_syncs(slow):
    """What is started meanwhile waits longer for its syncs, where that is wanted."""
    mine = {'LD_PRELOAD': SHIM, 'SYNC_SHIM_US': str(SLOW_US)} if slow else {}
    before = {name: os.environ.get(name) for name in mine}
    os.environ.update(mine)
    try:
        yield SLOW if slow else ''
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def cluster():
    pg = postgres.Postgres()
    try:
        yield pg.start().url
    finally:
        pg.clean()


def fdatasync_ms(folder):
    path, took = os.path.join(folder, 'sync'), []
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    os.pwrite(fd, bytes(1 << 20), 0)
    os.fsync(fd)
    for i in range(100):
        os.pwrite(fd, os.urandom(4096), 4096 * i)
        start = time.monotonic()
        os.fdatasync(fd)
        took.append((time.monotonic() - start) * 1000)
    os.close(fd)
    return statistics.median(took)


def rate(what, place, batch):
    out = subprocess.run([STORE, what, place, '2', str(batch)], capture_output=True, text=True, check=True)
    return json.loads(out.stdout)


def gain(b, what, place):
    """How many times more rows a second 64 to a commit are, beside one: median, and all the runs."""
    got = [(rate(what, place, 1), rate(what, place, 64)) for _ in range(b.runs)]
    return statistics.median(y['per_second'] / x['per_second'] for x, y in got), got


def store_alone(b, name, place, want):
    """One record, one transaction, one sync; beside 64 of them."""
    ratio, got = gain(b, 'commit', place)
    alone, together = (statistics.median(run['per_second'] for run in side) for side in zip(*got))
    cpu1, cpu64 = (statistics.median(run['cpu_us'] for run in side) for side in zip(*got))
    b.row(f'{name}: 64 records to a commit, beside one',
          f'{ratio:.1f} x ({together:.0f} and {alone:.0f} records/s; {cpu64:.0f} and {cpu1:.0f} us CPU each)',
          ratio >= want, f'>= {want} x' if want else 'reported only')


def bare_rows(b, name, folder):
    ratio, _ = gain(b, 'bare', folder)
    b.row(f'{name}: rows with two indexes and nothing else, 64 to a commit, beside one', f'{ratio:.1f} x', True, 'reported only')


def whole_server(b, name, **stores):
    """Durable escrows of 64 devices at once through the whole server, beside one device alone on the same store, whose
    every record waits for a commit of its own. Records are signed before the clock runs; receipts are verified while it does."""
    got = []
    with running(**stores) as s:
        ours, writer = rig.family(s.process.pid), [s.children()['writer']]
        for _ in range(b.runs):
            load = rig.Load(s.bundle, s.port, 64)  # new devices: nobody has as many keys as these would have in the end
            alone = load.run('escrow kept', 1, 300)
            before = rig.cpu_ms(writer)
            ms, many = load.cost(ours, 'escrow kept', 64, 3000)
            got.append((alone, many, ms, (rig.cpu_ms(writer) - before) / many['ok']))
            load.close()
    ratio = statistics.median(many['per_second'] / alone['per_second'] for alone, many, _, _ in got)
    one, all64 = (statistics.median(run['per_second'] for run in side) for side in list(zip(*got))[:2])
    ms, writer_ms = (statistics.median(side) for side in list(zip(*got))[2:])
    b.row(f'the whole server, {name}, escrow syncs on kept connections, 64 devices at once, beside one',
          f'{ratio:.1f} x ({all64:.0f} and {one:.0f} receipts/s; ours {ms:.3f} ms CPU each, the writer\'s {writer_ms:.3f})',
          True, 'reported only')


def bench_commit(b):
    """Durable escrows: 64 devices at once beside one commit per record, same store."""
    b.row('fdatasync of 4 KiB on this disk', f'{fdatasync_ms(b.folder):.2f} ms (median of 100)', True, 'reported only')
    why = postgres.missing()
    if why:
        print(f'  SKIP PostgreSQL: {why}')
    for slow in (False, True):
        with slow_syncs(slow) as how:
            folder = b.path(f'commit{slow:d}')
            os.makedirs(folder, exist_ok=True)
            store_alone(b, 'SQLite' + how, folder, 8 * slow)
            bare_rows(b, 'SQLite' + how, folder)
            whole_server(b, 'SQLite' + how)
        if why:
            continue
        with slow_syncs(slow) as how, cluster() as url:
            store_alone(b, 'PostgreSQL' + how, url, 8 * slow)
        with slow_syncs(slow) as how, cluster() as url:
            whole_server(b, 'PostgreSQL' + how, recovery=url, compliance=url)
