# SPDX-License-Identifier: GPL-3.0-or-later
"""A laptop in a folder, with every process of the agent: keeper, courier and a LUKS2 image."""
import json
import os
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, '../agent')]
from server_fixture import BUILD, keep_reports  # noqa: E402
import machine  # noqa: E402

COURIER = os.path.join(BUILD, 'libexec/courier')
NEEDED = (COURIER, os.path.join(BUILD, 'libexec/errand'), machine.KEEPER, machine.AGENT)


def cannot_run(name):
    """The exit code of a test that cannot run here, said on standard output; None where it can."""
    for needed in NEEDED:
        if not os.path.exists(needed):
            print(f'{needed} was not built')
            print('0 passed, 1 failed, 0 skipped')
            return 1
    if os.geteuid() != 0:
        print(f'{name}: SKIP: the keeper needs root')
        print('0 passed, 0 failed, 1 skipped')
        return 0
    return None


def holds(condition, what):
    if not condition:
        raise AssertionError(what)


def until(what, question, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        got = question()
        if got:
            return got
        time.sleep(0.1)
    raise AssertionError(f'not within {seconds} s: {what}')


def policy_bundle(s, folder, **fields):
    """The server's bundle, and a policy that its policy key signed."""
    bundle = shutil.copytree(s.bundle, s.path(folder))
    with open(bundle + '/org.json', 'rb') as f:
        org = json.load(f)['id']
    text = json.dumps({'format': 'keyholt-policy', 'version': 1, 'org': org, **fields}).encode()
    signed = subprocess.run(['openssl', 'dgst', '-sha256', '-sign', s.state('policy/policy.key')], input=text,
                            capture_output=True, check=True).stdout
    for name, data in (('policy.json', text), ('policy.json.sig', machine.raw_signature(signed))):
        with open(f'{bundle}/{name}', 'wb') as f:
            f.write(data)
    return bundle


class Laptop:
    def __init__(self, folder, **env):
        self.folder, self.env = folder, env
        self.machine = machine.Machine(folder, courier_wait_ms=20000, **env)  # as the keeper does
        self.machine.start()
        self.courier = None
        self.start_courier()
        self.image = folder + '/disk.img'
        machine.sh('truncate', '-s', '32M', self.image)
        machine.sh('cryptsetup', 'luksFormat', '--type', 'luks2', *machine.FAST, self.image, '-', data=machine.PASSPHRASE)

    def start_courier(self):
        with open(self.folder + '/courier.log', 'ab') as log:
            self.courier = subprocess.Popen([COURIER, '--root', self.folder], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, env={**os.environ, **self.env})

    def stop_courier(self):
        self.courier.terminate()
        self.courier.wait(60)

    def run(self, *words, data=None, code=0):
        got, out, err = self.machine.json(*words, data=data)
        holds(code is None or got == code, f'{words}: exit {got}: {out} {err} {self.logs()}')
        return out

    def status(self):
        return self.run('status')

    def volume(self):
        return self.status()['volumes'][0]

    def protect(self):
        return self.run('protect', '--passphrase-file', '-', '--no-esp', self.image, data=machine.PASSPHRASE)

    def rotate(self):
        return self.run('rotate', '--passphrase-file', '-', self.image, data=machine.PASSPHRASE)

    def logs(self):
        with open(self.folder + '/courier.log', encoding='utf-8', errors='replace') as f:
            return self.machine.log()[-1500:] + f.read()[-1500:]

    def stop(self):
        self.stop_courier()
        self.machine.stop()
        keep_reports(self.folder + '/courier.log')
        keep_reports(self.machine.path('/keeper.log'))
