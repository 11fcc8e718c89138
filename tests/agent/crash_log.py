# SPDX-License-Identifier: GPL-3.0-or-later
"""Power cuts at the keeper's writes: what crash_shim.c logs, and the points of it to kill at."""
import collections
import os

LONG = 'KEYHOLT_LONG' in os.environ
ESP = '/boot/efi'
NAMES = {'W': 'writes', 'S': 'fsyncs', 'R': 'renames', 'U': 'unlinks', 'T': 'truncations', 'M': 'mkdirs', 'O': 'creations',
         'A': 'fallocates'}
# kind: a key of NAMES; whose: i (image), c (cache) or e (ESP); path and to (R) below the computer's folder; off: of W, of
# T the size; data: of W
Op = collections.namedtuple('Op', 'kind whose path off data to')
Point = collections.namedtuple('Point', 'whose at how')  # how: before, torn or after


def read_log(path, root):
    with open(path, 'rb') as f:
        data = f.read()
    ops, at = [], 0
    while at < len(data):
        end = data.index(b'\n', at)
        kind, whose, name, *more = data[at:end].decode().split(' ')
        at, n = end + 1, int(more[1]) if kind == 'W' else 0
        ops.append(Op(kind, whose, name.removeprefix(root), int(more[0]) if kind in 'WT' else 0, data[at:at + n],
                      more[0].removeprefix(root) if kind == 'R' else ''))
        at += n
    return ops


def counted(ops):
    """For people: how many of each."""
    n = collections.Counter(o.kind for o in ops)
    return ', '.join(f'{n[kind]} {name}' for kind, name in NAMES.items() if n[kind])


def points_of(ops, whose):
    """Every point. Of the cache's and ESP's writes between two other operations one file is made: killed before the
    first, or in the middle of the last, stands for all of them (what other cuts there leave is among the subsets that
    crash_losses.py replays). After an operation is before the next one, so that is asked for once, at the end; in the
    long form at all that change names. A process that is killed leaves the same bytes before a sync and after it: in the
    short form it is killed before only."""
    points, n = [], collections.Counter()
    chosen = [o for o in ops if o.whose in whose]
    after_sync = {id(o) for sync, o in zip(ops, ops[1:]) if sync.kind == 'S' and sync.whose in whose}
    for i, op in enumerate(chosen):
        n[op.whose] += 1
        writes = [0 <= k < len(chosen) and op.whose != 'i' and chosen[k].kind == 'W' and chosen[k].whose == op.whose
                  for k in (i - 1, i + 1)]
        hows = [] if op.kind == 'W' and writes[0] or (not LONG and id(op) in after_sync) else ['before']
        hows += ['torn'] if op.kind == 'W' and not writes[1] else []
        hows += ['after'] if i + 1 == len(chosen) or (LONG and op.kind not in 'WS') else []
        points += [Point(op.whose, n[op.whose], how) for how in hows]
    return points
