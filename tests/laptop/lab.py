# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests in the virtual laptop share: one disk image for all of them (so it is built once), counted checks,
the agent's commands on the serial line, and the volume as it is seen with the laptop off.

What is said about a locked volume comes from the host: header and envelopes read from the disk's file, opened by
build/tests/judge with an escrow key of the organisation and libcryptsetup; nothing of the laptop's memory or cache.
"""
import contextlib
import glob
import hashlib
import json
import os
import re
import struct
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [TOP, os.path.join(TOP, 'tests/agent'), os.path.join(TOP, 'tests/server')]
from machine import JUDGE, OURS
from swtpm import Swtpm
from tests.laptop import disk, image

PASSPHRASE = 'correct horse 42'
# for all tests the same, so that they share one disk
PACKAGES = ('lvm2', 'mdadm', 'clevis-luks', 'clevis-tpm2', 'libtss2-rc0')
HEADER = 17 << 20  # of a LUKS2 volume: all of its header, and a sector of data behind it
LONG = os.environ.get('KEYHOLT_LONG') == '1'  # make check-long
APP = '\\EFI\\keyholt\\recovery.efi'


class Checks:
    """Counted checks; what goes wrong in one is shown, and the next one runs."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.start = time.monotonic()

    @contextlib.contextmanager
    def check(self, name):
        start = time.monotonic()
        try:
            yield
        except Exception as e:  # whatever it was, it failed
            self.failed += 1
            print(f'FAILED {name}: {type(e).__name__}: {e}', flush=True)
        else:
            self.passed += 1
            print(f'ok {name} ({time.monotonic() - start:.1f} s)', flush=True)

    def skip(self, what, why):
        self.skipped += 1
        print(f'SKIP: {what}: {why}', flush=True)

    def close(self):
        """The line that tests/check adds up; the exit code."""
        print(f'{time.monotonic() - self.start:.0f} s in all')
        print(f'{self.passed} passed, {self.failed} failed, {self.skipped} skipped')
        return 1 if self.failed or not self.passed + self.skipped else 0

    def run(self, machine):
        """The whole of a test file: machine() on a host that can build the laptop's disk; the exit code."""
        if os.geteuid() != 0:
            self.skip('the machine', 'its disk can be built by root only')
        else:
            with self.check('the machine'):
                machine()
        return self.close()


# ---- the disk

def packages(folder, *names):
    """Debian packages and what they need beyond the laptop's Debian, as .deb files; fetched once."""
    folder = os.path.join(folder, 'debs-' + hashlib.sha256(' '.join(names).encode()).hexdigest()[:8])
    if not os.path.exists(folder + '/done'):
        os.makedirs(folder + '/partial', exist_ok=True)
        with open(folder + '/status', 'wb') as f:
            f.write(image.base_status())
        subprocess.run(['apt-get', '-qq', '-y', '-o', 'Acquire::Retries=5', '-o', f'Dir::State::status={folder}/status', '-o',
                        f'Dir::Cache::archives={folder}', '--download-only', '--no-install-recommends', 'install', *names],
                       check=True, capture_output=True)
        open(folder + '/done', 'w', encoding='ascii').close()
    return sorted(glob.glob(folder + '/*.deb'))


def build(names=PACKAGES, initrd='initramfs-tools'):
    """image.build() of a laptop with the agent's package, others by name, and PASSPHRASE asked for on the serial line."""
    deb = glob.glob(os.path.join(TOP, 'build/keyholt-agent_*_amd64.deb'))
    if len(deb) != 1:
        raise FileNotFoundError(f'expected one build/keyholt-agent_*.deb, found {deb}; run make deb')
    os.makedirs(image.OUT, exist_ok=True)
    return image.build(deb + packages(image.OUT, *names), PASSPHRASE, console='serial', initrd=initrd,
                       tell=lambda t: print('  ' + t, flush=True))


def raw_disk(path, mib):
    with open(path, 'wb') as f:
        f.truncate(mib << 20)
    return path


def luks_disk(path, mib, *options, kind='luks2'):
    raw_disk(path, mib)
    subprocess.run(['cryptsetup', 'luksFormat', '--type', kind, '-q', '--pbkdf', 'pbkdf2', '--pbkdf-force-iterations',
                    '1000', *options, path, '-'], input=PASSPHRASE.encode(), check=True)
    return path


# ---- the laptop from inside

def await_keeper(laptop):
    until('the keeper answers', lambda: agent(laptop, 'status')[0] == 0)


def log_in(laptop):
    """To a shell, and to a keeper that answers: nothing orders the log-in after it."""
    laptop.login('root', 'root')
    await_keeper(laptop)


def boot(laptop, passphrase=PASSPHRASE):
    """From power-on, or a restart, to a shell, by the user's passphrase."""
    if not laptop.on:
        laptop.power_on()
    laptop.wait_serial(r'Please unlock disk root:', 240)
    laptop.type_serial(passphrase + '\n')
    log_in(laptop)


def power_off(laptop):
    laptop.type_serial(' systemctl poweroff\n')
    laptop.wait_off(120)


def agent(laptop, arguments, timeout=180):
    """(exit code, object) of keyholt-agent … --json; what it said besides is in the object's 'said'."""
    code, output = laptop.shell(f'keyholt-agent {arguments} --json', timeout)
    lines = [line for line in output.splitlines() if line.startswith('{')]
    said = '\n'.join(line for line in output.splitlines() if not line.startswith('{'))
    return code, {**(json.loads(lines[-1]) if lines else {}), 'said': said}


def status(laptop):
    """Of a keeper that runs."""
    code, o = agent(laptop, 'status')
    assert code == 0, (code, o)
    return o


def restart_keeper(laptop, before='true'):
    """Stop it, run something, start it, and wait until it answers; status."""
    laptop.run(f'systemctl stop keyholt-keeper; {before}; systemctl start keyholt-keeper', 300)
    await_keeper(laptop)
    return status(laptop)


def root_volume(o):
    return next(v for v in o['volumes'] if v['device'] == '/dev/vda2')


def until(what, question, seconds=240):
    """Ask until the answer is true; gives it. The agent tells nobody when it is done."""
    end = time.monotonic() + seconds
    while True:
        got = question()
        if got:
            return got
        assert time.monotonic() < end, f'not within {seconds} s: {what}'
        time.sleep(0.5)


def until_status(laptop, what, good, seconds=240):
    """The first status that is good."""
    last = {}

    def ask():
        last['status'] = status(laptop)
        return last['status'] if good(last['status']) else None
    try:
        return until(what, ask, seconds)
    except AssertionError as e:
        raise AssertionError(f'{e}; the last status: {last["status"]}') from None


def put_bundle(laptop, folder, to='/root/bundle'):
    laptop.run(f'mkdir -p {to}')
    for name in ('org.json', 'org.json.sig', 'root.pub', 'token'):
        with open(f'{folder}/{name}', 'rb') as f:
            laptop.put(f'{to}/{name}', f.read())
    return to


def header(laptop, device='/dev/vda2'):
    """The JSON of a volume's header, as cryptsetup gives it."""
    return json.loads(laptop.run(f'cryptsetup luksDump --dump-json-metadata {device}'))


def not_ours(h):
    """(keyslots, tokens) of a header that Keyholt did not make."""
    mine = {s for t in h['tokens'].values() if t['type'] in OURS for s in t['keyslots']}
    return ({n: s for n, s in h['keyslots'].items() if n not in mine},
            {n: t for n, t in h['tokens'].items() if t['type'] not in OURS})


def of_type(h, kind):
    return [t for t in h['tokens'].values() if t['type'] == kind]


def opens(laptop, secret, device='/dev/vda2', slot=None):
    laptop.put('/run/try', secret.encode())
    where = f'-S {slot}' if slot is not None else ''  # and not by a token that opens it whatever is typed
    code, _ = laptop.shell(f'cryptsetup open --test-passphrase --disable-external-tokens {where} '
                           f'--key-file /run/try {device}; code=$?; shred -u /run/try; (exit $code)')
    return code == 0


# ---- the laptop from outside

def recover(laptop, password, shot=None):
    """In the recovery app: wait for its prompt, type the 48 digits, and come to a shell. password: the text, or a
    function that gets what the app shows and gives it. No passphrase may be asked for on the way."""
    seen = laptop.wait_serial(r'ready after \d+ ms', 240)
    if shot:
        laptop.screenshot(shot)
    digits = password if isinstance(password, str) else password(seen.before)
    laptop.send_keys(digits.replace('-', ''))
    laptop.send_keys(['ret'])
    laptop.wait_serial(r'The disk is opened', 90)
    log_in(laptop)
    assert 'Please unlock disk' not in laptop.console.text, 'a passphrase was asked for'
    return seen.before


def clear_tpm(laptop):
    """TPM2_Clear, as the firmware's set-up does it, while the laptop is off."""
    folder = laptop.path('tpm-bench')
    os.makedirs(folder, exist_ok=True)
    if not os.path.lexists(folder + '/state'):
        os.symlink(laptop.path('tpm'), folder + '/state')
    tpm = Swtpm(folder)
    try:
        code, _, err = tpm.tool('clear')
        assert code == 0, f'the TPM was not cleared: {err}'
    finally:
        tpm.stop()


def header_copy(made, overlay, to):
    """The first HEADER bytes of the root volume, as the disk's file has them while the laptop is off."""
    assert made['luks_offset'] % disk.MIB == 0
    if os.path.exists(to):
        os.unlink(to)
    subprocess.run(['qemu-img', 'dd', '-f', 'qcow2', '-O', 'raw', 'bs=1M', f'skip={made["luks_offset"] // disk.MIB}',
                    f'count={(made["luks_offset"] + HEADER) // disk.MIB}', f'if={overlay}', f'of={to}'], check=True,
                   stdout=subprocess.DEVNULL)
    return to


def judge(volume, key, org_id):
    """What somebody with the locked volume and one escrow key can do (tests/agent/judge.c)."""
    r = subprocess.run([JUDGE, volume, key, org_id], capture_output=True, timeout=180)
    if r.returncode:
        raise RuntimeError(f'judge: {r.stderr.decode()[-300:]}')
    return json.loads(r.stdout)


def header_json(path):
    """The JSON of the first header in a file."""
    with open(path, 'rb') as f:
        size = struct.unpack('>Q', f.read(16)[8:])[0]
        f.seek(4096)
        return json.loads(f.read(size - 4096).split(b'\0', 1)[0])


def short(key_id):
    return re.sub('-.*', '', key_id)
