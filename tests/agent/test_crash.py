#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Power cut at any write of protect, rotate and what follows a receipt or a restored header (outage line O10).

1. The real keeper is killed (SIGKILL) before, in the middle of and after every operation that changes the volume or
   its cache: write, fsync, rename, unlink, ftruncate, mkdir, open that creates or empties, fallocate. What is left is
   judged with the volume locked: header and one escrow key, nothing else.
2. Then a keeper starts again on it, with its cache and with the cache lost, and must leave a clean state.
3. The operations on the volume, the cache and the ESP are also replayed as disks that lose what was not synced: at each
   sync every subset of the unsynced operations, with writes torn (crash_media.py), sorted into classes by what libcryptsetup
   and SQLite recover from it (crash_recovered.py); every class is judged and resumed (crash_losses.py).
Nine scenes: protect a plain volume, which makes the management keyslot, too; rotate by passphrase; rotate unattended;
rotate during an outage, with R and N in place (three recovery keyslots for a moment); a receipt for N, upon which R
goes; an old header that was written back, upon which a new key is made and the returned one goes; rotate by passphrase
while the TPM with device key and management key is away; protect and rotate again, killed at every operation
on the EFI system partition, where each file is whole or not there, and all are there after the next start.
4. A keeper whose table of steps has the token after the keyslot goes through 1 and 3 and must be caught in both; so must,
   in 3, one that would not sync the ESP's files, and one whose database had no WAL.
With KEYHOLT_LONG also every operation on volume and cache where there is an ESP, the moment after each new name and each
sync, in 3 every subset (otherwise of the volume's operations only, and 64 of the others' at each sync) and two states of every
class (otherwise one of each where the volume was written and the cache lost, of the others a few of each scene); and a line for
each state killed at and each class.
"""
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from crash_computers import prepare
from crash_judge import every_point, locked_view
from crash_losses import losses, unjournaled_is_caught, unsynced_is_caught, wrong_images_are_caught
from crash_log import LONG, counted, points_of, read_log
from crash_scene import SHIM, Scene, Sync, protect, rotate, summary, verify
from machine import JUDGE, TOP, Checks, Organisation, fast_folder

WRONG = f'{TOP}/build/tests/keeper-wrong-table'


def play(c, scene, start):
    log = f'{scene.folder}/{scene.name}.log'
    m, answer = scene.run('all', log=log)
    ops = read_log(log, m.root)
    c.check(answer and answer[0] == 0 and not locked_view(scene, m.path('/dev/disk')), f'{scene.name} works', answer)
    kinds = {(o.whose, o.kind) for o in ops}
    needed = {(w, k) for w in ('ice' if scene.esp else 'ic') for k in 'WS'} | ({('e', 'O'), ('e', 'R')} if scene.esp else set())
    c.check(needed <= kinds, f'{scene.name}: the shim sees writes and syncs, and new names', kinds)
    n, wrong = every_point(scene, ops)
    wanted = points_of(ops, scene.whose)
    c.check(not wrong and n > 0.9 * len(wanted), f'{scene.name}: killed at {n} points', wrong[:5])
    print(f'{scene.name}: {counted(ops)}; killed at {n} points, {time.monotonic() - start:.0f} s', flush=True)
    losses(c, scene, 'ce' if scene.esp and not LONG else 'ice')  # without an ESP the volume's writes are the same
    if scene.name == 'esp':
        unsynced_is_caught(c, scene)
    if scene.name == 'rotate':
        unjournaled_is_caught(c, scene)


def main():
    for needed in (JUDGE, SHIM, WRONG):
        if not os.path.exists(needed):
            print(f'{needed} is not built: make')
            return 1
    start = time.monotonic()
    c = Checks(fast_folder())
    org = Organisation(c.folder + '/org')
    at = prepare(c.folder, org, org.bundle(c.folder + '/bundle'))
    scenes = [Scene('protect', c.folder, org, protect, at.plain),
              Scene('rotate', c.folder, org, rotate, at.protected),
              Scene('unattended', c.folder, org, lambda m: rotate(m, b''), at.protected),
              Scene('outage', c.folder, org, lambda m: rotate(m, b''), at.outage, live=(2,)),
              Scene('receipt', c.folder, org, None, at.outage, live=(1, 2), prepare=Sync(org)),
              Scene('restored', c.folder, org, verify, at.restored),
              Scene('esp', c.folder, org, lambda m: protect(m, esp=True), at.esp, esp=True),
              Scene('esp-rotate', c.folder, org, rotate, at.esp_protected, esp=True)]
    if at.away:
        scenes.append(Scene('away', c.folder, org, rotate, at.away))
    else:
        c.skip('a rotation while the TPM is away', 'no swtpm here')
    for scene in scenes:
        if len(sys.argv) < 2 or scene.name in sys.argv[1:]:
            play(c, scene, start)
    states = set().union(*(s.states for s in scenes))
    c.check(len(states) >= 500 or len(sys.argv) > 1, 'at least 500 different states of header, cache and ESP', len(states))
    print(f'{summary(scenes)}; {time.monotonic() - start:.0f} s', flush=True)
    mutant = Scene('wrong-table', c.folder, org, protect, at.plain, keeper=WRONG)
    mutant.whose = 'i'
    log = f'{c.folder}/wrong.log'
    m, answer = mutant.run('all', log=log)
    c.check(answer and answer[0] == 0, 'the wrong table works as long as nothing fails', answer)
    n, wrong = every_point(mutant, read_log(log, m.root), until=None if LONG else 'invariant 1')
    c.check(any('invariant 1' in w for w in wrong), 'the wrong table is caught')
    print(f'wrong table: caught at {len(wrong)} of {n} points, {time.monotonic() - start:.0f} s', flush=True)
    wrong_images_are_caught(c, mutant)
    return c.close()


if __name__ == '__main__':
    sys.exit(main())
