#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Speed beside a peer or a limit, in one run: `make bench`.

usage: tests/bench/bench.py [--runs N] [--json FILE] [NAME...]     (from the repository's root, after make)

Ours and the peer's runs alternate, so that a machine that is busy for a while slows both; what is compared are the
medians. A figure that is not reached is said and ends the program with 1; a peer that is not installed, or data that
is not there, is a SKIP.
"""
import argparse
import json
import os
import resource
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, TOP)
import bench_commit  # noqa: E402
import bench_server  # noqa: E402

DESK = 'build/bin/keyholt-desk'
DATA = os.environ.get('KEYHOLT_DATA', '../shared/data')
MIB = 1 << 20


class Skip(Exception):
    pass


def seconds(argv, stdin=None):
    """One run of a whole process; (wall-clock seconds, peak resident KiB)."""
    with open(stdin or os.devnull, 'rb') as source:
        start = time.monotonic()
        p = subprocess.Popen(argv, stdin=source, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        said = p.stderr.read()
        _, status, usage = os.wait4(p.pid, 0)
        took = time.monotonic() - start
    p.returncode = os.waitstatus_to_exitcode(status)
    if p.returncode:
        raise RuntimeError(f'{argv[0]}: exit {p.returncode}: {said.decode(errors="replace").strip()[-300:]}')
    return took, usage.ru_maxrss


def pairs(topic, rounds):
    """The lines of build/tests/bench_TOPIC, which times both sides itself, in turns."""
    argv = [f'build/tests/bench_{topic}', '--json', '--rounds', str(rounds)]
    out = subprocess.run(argv, capture_output=True, text=True, check=False)
    if out.returncode not in (0, 1):
        raise RuntimeError(f'{argv[0]}: exit {out.returncode}: {out.stderr.strip()[-300:]}')
    return [json.loads(line) for line in out.stdout.splitlines()]


def need(program):
    if not shutil.which(program):
        raise Skip(f'{program} is not installed (packaging/packages.bench)')


class Bench:
    skip = Skip

    def __init__(self, runs, folder, size='small'):
        self.runs, self.folder, self.size, self.rows = runs, folder, size, []

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), 'w', encoding='ascii') as f:
            f.write(text)
        return self.path(name)

    def medians(self, *measures):
        """Call each in turn, several times; their medians."""
        got = [[m() for m in measures] for _ in range(self.runs)]
        return [statistics.median(column) for column in zip(*got)]

    def in_process(self, topic):
        """The rows of a C program of ours (tests/bench/bench.h)."""
        for p in pairs(topic, 4 * self.runs + 1):
            if 'skipped' in p:
                print(f'  SKIP {p["name"]}: {p["skipped"]}')
                continue
            ours, peer = [f'{p["bytes"] / s / 1e6:.0f} MB/s' if 'bytes' in p else f'{s * 1000:.1f} ms'
                          for s in (p['ours_s'], p['peer_s'])]
            self.row(p['name'], f'{p["ratio"]:.2f} x the time of: {p["peer"]} ({ours} against {peer})',
                     p.get('reached', True), f'<= {p["most"]} x' if 'most' in p else 'reported only')

    def row(self, what, value, good, wanted):
        self.rows.append({'what': what, 'figure': value, 'wanted': wanted, 'reached': bool(good)})
        print(f'  {"ok  " if good else "MISS"} {what}: {value} (wanted: {wanted})', flush=True)

    def faster(self, what, ours, theirs, factor):
        self.row(what, f'{theirs / ours:.2f} x faster ({ours * 1000:.0f} ms against {theirs * 1000:.0f} ms)',
                 theirs / ours >= factor, f'>= {factor} x')

    def within(self, what, ours, limit, factor):
        self.row(what, f'{ours / limit:.2f} x ({ours * 1000:.0f} ms, limit {limit * 1000:.0f} ms)',
                 ours / limit <= factor, f'<= {factor} x')


def bitlocker(b, name):
    """A volume made by Windows, unpacked, and its recovery password in a file."""
    archive = f'{DATA}/bitlk/bitlk-images.tar.xz'
    if not os.path.exists(archive):
        raise Skip(f'{archive} is not there')
    image = b.path(name + '.img')
    if not os.path.exists(image):
        subprocess.run(['tar', '--sparse', '-xJf', archive, '-C', b.folder, '--wildcards', f'*{name}.img',
                        '--transform', 's,.*/,,'], check=True)
    with open(f'{DATA}/bitlk/images.conf', encoding='ascii') as f:
        section = f.read().split(f'[{name}]')[1].split('[')[0]
    password = section.split('\nRP=')[1].split('\n')[0]
    return image, password, b.write(name + '.password', password)


def bench_sha256(b):
    """SHA-256 compressions: each path of this processor beside OpenSSL, two chains beside one."""
    b.in_process('sha256')


def bench_pbkdf2(b):
    """PBKDF2-HMAC-SHA256, 100,000 iterations, beside OpenSSL's, which cryptsetup uses."""
    b.in_process('pbkdf2')


def bench_stretch(b):
    """BitLocker's stretch beside its bare compressions."""
    b.in_process('stretch')


def bench_sectors(b):
    """Decrypting sectors, beside OpenSSL on the whole buffer as one message."""
    b.in_process('sectors')


def bench_recovery_password(b):
    """BitLocker: recovery password to volume key, whole processes."""
    need('cryptsetup')
    image, password, file = bitlocker(b, 'bitlk-aes-xts-128')
    ours = [DESK, 'volume', 'test', image, '--recovery-password-file', file]
    cryptsetup = ['cryptsetup', 'open', '--type', 'bitlk', '--test-passphrase', '--key-file', file, image]
    mine, theirs, bare = b.medians(lambda: seconds(ours)[0], lambda: seconds(cryptsetup)[0],
                                   lambda: pairs('stretch', 1)[0]['peer_s'])
    b.faster('BitLocker recovery password beside cryptsetup', mine, theirs, 3)
    b.within('the same beside 2 x 1,048,576 bare compressions', mine, bare, 1.3)
    need('bdeinfo')
    mine, theirs = b.medians(lambda: seconds(ours)[0], lambda: seconds(['bdeinfo', '-r', password, image])[0])
    b.faster('the same beside bdeinfo', mine, theirs, 6)


def bench_decrypt(b):
    """BitLocker: a 100 MiB XTS volume decrypted into a file, whole processes."""
    need('dislocker-file')
    image, password, file = bitlocker(b, 'bitlk-aes-xts-128')
    out = b.path('out')

    def fresh(argv):
        if os.path.exists(out):
            os.unlink(out)
        return seconds(argv)
    ours = [DESK, 'volume', 'decrypt', image, out, '--recovery-password-file', file]
    peer = ['dislocker-file', '-V', image, f'--recovery-password={password}', '--', out]
    mine, theirs = b.medians(lambda: fresh(ours)[0], lambda: fresh(peer)[0])
    b.faster('BitLocker, 100 MiB decrypted, beside dislocker-file', mine, theirs, 3)
    os.unlink(out)


def luks2(b, name, size, *options):
    image, file = b.path(name), b.write(name + '.passphrase', 'correct horse battery staple')
    if not os.path.exists(image):
        with open(image, 'wb') as f:
            f.truncate(size)
        subprocess.run(['cryptsetup', 'luksFormat', '-q', '--type', 'luks2', '--pbkdf', 'pbkdf2', *options, image, file],
                       check=True)
    return image, file


def bench_luks2(b):
    """LUKS2: a PBKDF2 keyslot of 100,000 iterations, whole processes."""
    need('cryptsetup')
    image, file = luks2(b, 'luks2', 20 * MIB, '--pbkdf-force-iterations', '100000')
    mine, theirs = b.medians(
        lambda: seconds([DESK, 'volume', 'test', image, '--passphrase-file', file])[0],
        lambda: seconds(['cryptsetup', 'open', '--test-passphrase', '--key-file', file, image])[0])
    b.within('LUKS2 keyslot beside cryptsetup', mine, theirs, 1.1)


def bench_luks2_area(b):
    """LUKS2: a 4 MiB metadata area beside one of 16 KiB with the same content, header only, whole processes."""
    need('cryptsetup')
    usual = ['--pbkdf-force-iterations', '1000', '--luks2-keyslots-size', '1m']
    small, _ = luks2(b, 'area-16k', 20 * MIB, *usual)
    large, _ = luks2(b, 'area-4m', 20 * MIB, *usual, '--luks2-metadata-size', '4m')
    tool = 'build/tests/luks2_tool'
    kib = [int(subprocess.run([tool, 'cost', i], capture_output=True, check=True).stdout.split()[0]) / 1024
           for i in (small, large)]
    b.row('scratch for the header, 16 KiB and 4 MiB areas', ' and '.join(f'{k:.0f} KiB' for k in kib), kib[0] == kib[1],
          'the same')
    mine, theirs = b.medians(lambda: seconds([tool, 'show', large])[0],
                             lambda: seconds(['cryptsetup', 'luksDump', large])[0])
    b.within('4 MiB area read, beside cryptsetup luksDump', mine, theirs, 1.0)


def bench_memory(b):
    """Peak memory while decrypting, whatever the volume's size."""
    need('cryptsetup')
    peak = []
    for size in (64 * MIB, 1024 * MIB):
        image, file = luks2(b, f'luks2-{size}', size, '--pbkdf-force-iterations', '1000')
        out = b.path('out')
        took, kib = seconds([DESK, 'volume', 'decrypt', image, out, '--passphrase-file', file])
        peak.append(kib)
        os.unlink(out)
        os.unlink(image)
    b.row('peak memory, 64 MiB and 1 GiB volumes', ' and '.join(f'{k / 1024:.1f} MiB' for k in peak),
          max(peak) <= 32 * 1024, '<= 32 MiB')
    b.row('1 GiB decrypted', f'{1024 / took:.0f} MiB/s', True, 'reported only')


def protected(b, m, i, shim):
    """protect of a new volume by a running keeper; (seconds of the command, seconds in libcryptsetup)."""
    image = luks2(b, f'protect-{i}', 20 * MIB, '--pbkdf-force-iterations', '1000')
    with open(shim, 'r+b') as f:
        f.write(bytes(8))
    with open(image[1], 'rb') as f:
        passphrase = f.read()
    start = time.monotonic()
    code, _, err = m.agent('protect', image[0], '--no-esp', '--passphrase-file', '-', data=passphrase)
    took = time.monotonic() - start
    if code:
        raise RuntimeError(err)
    os.unlink(image[0])
    with open(shim, 'rb') as f:
        return took, struct.unpack('<Q', f.read(8))[0] / 1e9


def bench_protect(b):
    """protect: the whole command, beside the time that libcryptsetup works for it in the keeper."""
    need('cryptsetup')
    sys.path.insert(0, f'{TOP}/tests/agent')
    import machine
    org = machine.Organisation(b.path('org'))
    shim = b.path('cryptsetup-time')
    with open(shim, 'wb') as f:
        f.write(bytes(8))
    m = machine.Machine(b.path('laptop'), LD_PRELOAD=f'{TOP}/build/tests/cryptsetup_shim.so', CRYPTSETUP_TIME=shim)
    m.options += ['--tpm', 'none']
    m.install_org(org.bundle(b.path('bundle')))
    m.start()
    try:
        got = [protected(b, m, i, shim) for i in range(2 * b.runs + 1)]
    finally:
        m.stop()
    beyond = statistics.median(took - theirs for took, theirs in got)
    theirs = statistics.median(t for _, t in got)
    if theirs < 0.001:
        raise RuntimeError('the shim saw nothing of libcryptsetup')
    b.row('protect beyond libcryptsetup\'s own time', f'{beyond * 1000:.0f} ms (best {min(t - c for t, c in got) * 1000:.0f}, '
          f'libcryptsetup {theirs * 1000:.0f} ms)', beyond <= 0.3, '<= 300 ms')


def bench_rest(b):
    """What the agent costs while it has nothing to say: heartbeat, wake-ups, memory; both ends real."""
    sys.path.insert(0, f'{TOP}/tests/server')
    import relay
    import test_heartbeat
    import test_rest
    if os.geteuid() != 0:
        raise Skip('the keeper needs root')
    wanted = {'heart': f'<= {relay.HEARTBEAT_MAX} bytes of HTTP', 'wake-': 'none',
              'PSS a': f'<= {test_rest.PSS_MAX_KB} kB for keeper and courier'}
    for what, figure, good in (*test_rest.measure(), *test_heartbeat.measure()):
        b.row(what, figure, good, wanted[what[:5]])


def bench_app(b):
    """The recovery app in firmware: first prompt, keyslots, beside GRUB. Wants a machine that does nothing else."""
    from tests.bench import bench_app as app
    app.first_prompt(b)
    app.recovery_slot(b)
    need('grub-mkstandalone')
    app.beside_grub(b)


ALL = {name[6:]: f for names in (globals(), vars(bench_server), vars(bench_commit)) for name, f in list(names.items())
       if name.startswith('bench_') and callable(f)}


def main():
    parser = argparse.ArgumentParser(description='speed beside a peer or a limit')
    parser.add_argument('--runs', type=int, default=5)
    parser.add_argument('--json')
    parser.add_argument('--size', choices=list(bench_server.SIZES), default='small', help='of the store that is looked into')
    parser.add_argument('names', nargs='*', metavar='NAME', help=', '.join(ALL))
    args = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    skipped = 0
    with tempfile.TemporaryDirectory(prefix='keyholt-bench-') as folder:
        b = Bench(args.runs, folder, args.size)
        for name in args.names or ALL:
            print(f'{name}: {ALL[name].__doc__.splitlines()[0]}', flush=True)
            try:
                ALL[name](b)
            except Skip as why:
                skipped += 1
                print(f'  SKIP {why}')
    if args.json:
        with open(args.json, 'w', encoding='ascii') as f:
            json.dump(b.rows, f, indent=1)
    missed = sum(not r['reached'] for r in b.rows)
    print(f'{len(b.rows) - missed} passed, {missed} failed, {skipped} skipped')
    return 1 if missed or not b.rows else 0


if __name__ == '__main__':
    sys.exit(main())
