#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the agent costs while it has nothing to say: bytes of a heartbeat, memory and wake-ups at rest. Both ends real.

test_heartbeat.py measures what else a heartbeat may carry.
KEYHOLT_IDLE_SECONDS (60): how long the two processes are watched. It all runs in a network namespace of its own, where
nobody else makes addresses come and go, which the courier would look at."""
import ctypes
import fcntl
import os
import socket
import struct
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from laptop import Laptop, cannot_run, until  # noqa: E402
from relay import HEARTBEAT_MAX, Relay, bytes_of, heartbeat  # noqa: E402
from server_fixture import SANITIZED, Server, free_port  # noqa: E402

PSS_MAX_KB = 12 * 1024    # both processes together. source: DESIGN section 9
CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS, IFF_UP = 0x8914, 1  # netdevice(7)
IDLE_S = int(os.environ.get('KEYHOLT_IDLE_SECONDS', '60'))


def pss_kb(pid):
    with open(f'/proc/{pid}/smaps_rollup', encoding='ascii') as f:
        return int([line for line in f if line.startswith('Pss:')][0].split()[1])


def switches(pid):
    """How often the process was put on a processor, for each of its tasks."""
    n = 0
    for task in os.listdir(f'/proc/{pid}/task'):
        with open(f'/proc/{pid}/task/{task}/status', encoding='ascii') as f:
            n += sum(int(line.split()[1]) for line in f if 'ctxt_switches' in line)
    return n


def measure():
    """(what, figure as text, good), of an agent and a server of its own."""
    port = free_port()
    s = Server(urls=(f'https://127.0.0.1:{port}',))
    laptop = None
    try:
        s.start()
        relay = Relay(s, port, s.path('laptop'))
        laptop = Laptop(s.path('laptop'))
        laptop.run('enroll', '--bundle', s.bundle)
        laptop.protect()
        laptop.run('sync')
        until('all receipted', lambda: laptop.status()['queued'] == 0)
        up, down, _ = heartbeat(laptop, relay)
        yield 'heartbeat', bytes_of(up, down), up + down <= HEARTBEAT_MAX
        yield from at_rest(s, laptop)
    finally:
        if laptop:
            laptop.stop()
        s.clean()


def quiet(pids):
    """Until nothing moved for two seconds: the command's connection has ended, the errand is reaped. What was counted."""
    seen = []

    def same():
        time.sleep(1)
        seen.append({name: switches(pid) for name, pid in pids.items()})
        return len(seen) > 2 and seen[-1] == seen[-3]
    until('both have nothing to do', same)
    return seen[-1]


def at_rest(s, laptop):
    pids = {'keeper': laptop.machine.process.pid, 'courier': laptop.courier.pid}
    before = quiet(pids)
    time.sleep(IDLE_S)
    woken = {name: switches(pid) - before[name] for name, pid in pids.items()}
    yield f'wake-ups in {IDLE_S} s at rest', str(woken), not any(woken.values())
    s.stop()  # what it shares with the agent must not make the agent look smaller
    pss = {name: pss_kb(pid) for name, pid in pids.items()}
    yield 'PSS at rest', f'{pss} kB, together {sum(pss.values())}', sum(pss.values()) <= PSS_MAX_KB


def main():
    code = cannot_run('test_rest')
    if code is not None:
        return code
    if SANITIZED:
        print('test_rest: SKIP: memory at rest is mostly the sanitizer\'s here')
        print('0 passed, 0 failed, 1 skipped')
        return 0
    if ctypes.CDLL(None).unshare(CLONE_NEWNET) == 0:
        with socket.socket() as any_socket:
            fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack('16sh', b'lo', IFF_UP))
    results = []
    for what, figure, good in measure():
        print(f'{what}: {figure}: {"ok" if good else "FAILED"}', flush=True)
        results.append(good)
    print(f'{sum(results)} passed, {len(results) - sum(results)} failed, 0 skipped')
    return 0 if all(results) else 1


if __name__ == '__main__':
    sys.exit(main())
