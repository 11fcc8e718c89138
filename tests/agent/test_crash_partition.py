#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Power cut at any write of protect and rotate on a partition (outage line O10): there libcryptsetup overwrites a
keyslot's area forty times rather than once, because a partition has no rotational flag of its own.

The same scenes as in test_crash.py, on a real block device: the keeper is killed before and in the middle of every
write and before every fsync on the partition, and at those on its cache; after each, the volume is judged with one
escrow key while locked, and resumed on a partition, with the cache and without. With KEYHOLT_LONG every point, and every
subset of the volume's unsynced writes (2^40 before one sync, but only the last of forty writes to the same bytes counts);
otherwise a few points of each scene.
"""
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from crash_computers import prepare
from crash_judge import every_point, locked_view
from crash_losses import losses
from crash_log import LONG, points_of, read_log
from crash_scene import SHIM, Scene, protect, rotate, summary
from machine import JUDGE, Checks, Organisation, fast_folder
from partition import Partition, why_not

SHORT = 5  # points of a scene in the short form


class OnPartition(Scene):
    def place(self, m):
        m.partition = Partition(m.path('/dev/disk'))
        return m

    def remove(self, m):
        m.partition.close()
        super().remove(m)


def play(c, scene, start):
    log = f'{scene.folder}/{scene.name}.log'
    m, answer = scene.run('all', log=log)
    c.check(answer and answer[0] == 0 and not locked_view(scene, m.path('/dev/disk')), f'{scene.name} works', answer)
    scene.remove(m)
    ops = read_log(log, m.root)
    writes, syncs = (sum((o.whose, o.kind) == ('i', kind) for o in ops) for kind in 'WS')
    wanted = points_of(ops, scene.whose)
    chosen = wanted if LONG else wanted[len(wanted) // SHORT // 2::max(1, len(wanted) // SHORT)]
    n, wrong = every_point(scene, ops, points=chosen)
    c.check(not wrong and n > 0.9 * len(chosen), f'{scene.name}: killed at {n} points', wrong[:5])
    print(f'{scene.name}: {writes} writes and {syncs} fsyncs on the partition, killed at {n} of {len(wanted)} points, '
          f'{time.monotonic() - start:.0f} s', flush=True)
    if LONG:
        losses(c, scene, 'i')
    return writes + syncs


def main():
    for needed in (JUDGE, SHIM):
        if not os.path.exists(needed):
            print(f'{needed} is not built: make')
            return 1
    start = time.monotonic()
    c = Checks(fast_folder())
    why = why_not(c.folder)
    if why:
        c.skip('power cuts on a partition', why)
        c.close()
        return 0
    org = Organisation(c.folder + '/org')
    at = prepare(c.folder, org, org.bundle(c.folder + '/bundle'), with_tpm=False)
    scenes = [OnPartition('protect', c.folder, org, protect, at.plain),
              OnPartition('rotate', c.folder, org, rotate, at.protected),
              OnPartition('unattended', c.folder, org, lambda m: rotate(m, b''), at.protected),
              OnPartition('outage', c.folder, org, lambda m: rotate(m, b''), at.outage, live=(2,))]
    names = sys.argv[1:] or [s.name for s in scenes if LONG or s.name != 'unattended']  # which writes what an outage does
    scenes = [s for s in scenes if s.name in names]
    counted = {s.name: play(c, s, start) for s in scenes}
    c.check(max(counted.values()) >= 75, 'a keyslot that goes is overwritten as on a partition', counted)
    print(f'{summary(scenes)}; {time.monotonic() - start:.0f} s')
    return c.close()


if __name__ == '__main__':
    sys.exit(main())
