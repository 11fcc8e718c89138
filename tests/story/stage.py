# SPDX-License-Identifier: GPL-3.0-or-later
"""What the scenes share: the organisation, the laptop, the screens saved, the passwords that were seen."""
import glob
import gzip
import json
import os
import subprocess
import time

from tests import secret_search
from tests.laptop import image
from tests.story.organisation import Organisation, free_port
from tests.story.transcript import mask

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# what a user types at the initramfs prompt; it never leaves the laptop and its disk's recipe
PASSPHRASE = 'correct horse battery staple'
DEVICE = '/dev/vda2'
PROMPT = r'^Please unlock disk root:'


class Stage:
    def __init__(self, directory, script):
        self.dir, self.script = directory, script
        self.bin = os.path.join(TOP, 'build/bin')
        self.org = Organisation(
            os.path.join(directory, 'organisation'), self.bin, free_port(), 'Holt University',
            'Call the help desk, 4711, or scan the code with your phone.', 'HTTPS://KEYS.HOLT.EXAMPLE')
        self.laptop = None
        self.screens = 0
        self.passwords = []  # recovery passwords that a person saw; searched for at the end
        self.first_key = self.second_key = None

    def path(self, name):
        return os.path.join(self.dir, name)

    def deb(self):
        found = glob.glob(os.path.join(TOP, 'build/keyholt-agent_*_amd64.deb'))
        if len(found) != 1:
            raise FileNotFoundError(f'expected one build/keyholt-agent_*.deb, found {found}; run make deb')
        return found[0]

    def new_laptop(self):
        made = image.build([self.deb()], PASSPHRASE, tell=lambda text: self.script.did(text))
        self.laptop = image.make_laptop(made, self.path('laptop'), server_port=self.org.port)
        return made

    def screen(self, name):
        """Save what the screen shows."""
        self.screens += 1
        return self.laptop.screenshot(self.path(f'{self.screens:02d}-{name}.png'))

    def boot_to_prompt(self):
        """Wait for Debian's own passphrase prompt on the screen."""
        self.laptop.wait_screen(PROMPT, 240)

    def agent(self, *args, code=0, timeout=120):
        """keyholt-agent in the laptop; its --json result (the last line that is an object)."""
        got, output = self.laptop.shell(f'keyholt-agent {" ".join(args)} --json', timeout)
        if got != code:
            self.script.check(f'keyholt-agent {args[0]} ends with {code}', False, f'{got}: {mask(output)}')
        rows = [row for row in output.splitlines() if row.startswith('{')]
        return (json.loads(rows[-1]) if rows else {}), output

    def status(self):
        return self.agent('status')[0]

    def opens(self, password):
        """Does this password open the laptop's root volume? Asked in the laptop, of cryptsetup."""
        self.laptop.put('/run/try', password.encode())
        code, _ = self.laptop.shell(f'cryptsetup open --test-passphrase --key-file /run/try {DEVICE}; '
                                    'code=$?; shred -u /run/try; (exit $code)')
        return code == 0

    def token(self):
        """The keyholt tokens in the volume's header, with the number each has."""
        dump = self.laptop.run(f'cryptsetup luksDump --dump-json-metadata {DEVICE}')
        header = json.loads(dump)
        return header, {n: t for n, t in header['tokens'].items() if t['type'] == 'keyholt'}

    def read_qr(self, png):
        done = subprocess.run(['zbarimg', '--quiet', '--raw', '-Sdisable', '-Sqrcode.enable', png],
                              capture_output=True, text=True, timeout=60)
        return done.stdout.strip()

    def wait_for_status(self, good, timeout):
        """Ask the agent until its (only) volume is as wanted; the volume's status."""
        end = time.monotonic() + timeout
        while True:
            volume = self.status()['volumes'][0]
            if good(volume):
                return volume
            if time.monotonic() > end:
                self.script.check('the agent comes to the state that is waited for', False, str(volume))
            time.sleep(1)  # the agent tells nobody when it is done; it is asked once a second

    def password_bytes(self, n):
        return secret_search.password_bytes(self.passwords[n])

    @staticmethod
    def gunzip(data):
        return gzip.decompress(data)

    def search(self, paths):
        """Spellings of any password seen, in any of these files; the search proves itself on planted ones."""
        return secret_search.search(paths, self.passwords)

    def close(self):
        try:
            if self.laptop:
                self.laptop.power_cut()
        finally:
            self.org.stop()


