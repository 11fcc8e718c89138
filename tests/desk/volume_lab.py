# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of keyholt-desk volume share: the program, checks, and volumes to try it on."""
import base64
import configparser
import hashlib
import json
import os
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True
ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/luks2")]
import lab  # noqa: E402  cryptsetup on plain files, and a second opinion on what it encrypts
import secret_search  # noqa: E402

DESK = ROOT / "build/bin/keyholt-desk"
DATA = Path(os.environ.get("KEYHOLT_DATA", ROOT / "../shared/data"))
KEY_ID = "3FD763F9-74C7-4E90-8FA2-1F6A2E2B4E0C"
MIB = 1 << 20

passed = failed = skipped = 0


def check(name, good, detail=""):
    global passed, failed
    passed, failed = passed + bool(good), failed + (not good)
    print(f"{'ok' if good else 'FAILED'}: {name}" + (f": {detail}" if detail and not good else ""), flush=True)


def skip(name, why):
    global skipped
    skipped += 1
    print(f"SKIP: {name}: {why}", flush=True)


def sha256(path):
    h = hashlib.sha256()
    with open(path, "rb") as f:
        while block := f.read(MIB):
            h.update(block)
    return h.hexdigest()


def new_password():
    return "-".join(f"{11 * secrets.randbelow(65536):06d}" for _ in range(8))


class Lab(lab.Work):
    """A folder with images; runs the program, and keeps what it says, to be searched at the end. Secrets are
    below given/, and nowhere else."""

    def __init__(self, path):
        super().__init__(str(path))
        self.n = 0
        self.secrets = []  # every recovery password that was given to the program
        os.mkdir(self.name("said"))
        os.mkdir(self.name("given"))

    def remember(self, password):
        """So that it is searched for; what is no recovery password cannot be."""
        try:
            secret_search.password_bytes(password)
            self.secrets.append(password)
        except ValueError:
            pass

    def run(self, *args, data=b"", **more):
        self.remember(data.decode("latin-1"))
        done = subprocess.run([DESK, "volume", *map(str, args)], input=data, capture_output=True, timeout=120, **more)
        self.n += 1
        self.write(f"said/{self.n}", done.stdout + done.stderr)
        done.out, done.err = done.stdout.decode(), done.stderr.decode()
        return done

    def password_file(self, password, end="\n"):
        self.n += 1
        self.remember(password)
        return self.write(f"given/{self.n}", (password + end).encode())

    def protect(self, image, password, slot=1, count=1234, key_id=KEY_ID, state="live"):
        """A keyslot and a token as Keyholt makes them; the envelope is not looked at."""
        lab.cryptsetup("luksAddKey", "-q", "--pbkdf", "pbkdf2", "--hash", "sha256", "--pbkdf-force-iterations", count,
                       "-d", self.passes[0], "-S", slot, image, self.password_file(password, ""))
        self.token(image, {"type": "keyholt", "keyslots": [str(slot)], "version": 1, "state": state, "slot": slot,
                           "count": count, "key_id": key_id, "envelope": "AAAA",
                           "fingerprint": base64.b64encode(bytes(32)).decode()})

    def token(self, image, token):
        lab.cryptsetup("token", "import", "--json-file", "-", image, stdin=json.dumps(token).encode())

    def fill(self, image, content, header=None, cipher="aes-xts-plain64", sector=None):
        """Make content the beginning of the decrypted volume: encrypted by openssl's AES-ECB and modes in Python."""
        segment = lab.metadata(header or image)["segments"]["0"]
        data = lab.second_opinion(cipher, self.key(header or image), sector or segment["sector_size"], content,
                                  decrypt=False)
        lab.overwrite(image, int(segment["offset"]), data)


def no(done, code, *words):
    """A refusal: exit code, nothing on standard output, one sentence with these words."""
    return done.returncode == code and not done.stdout and done.err.startswith("keyholt-desk: ") and \
        done.err.count("\n") == 1 and all(w in done.err for w in words)


def why(done):
    return f"exit {done.returncode}: {done.out}{done.err}"


def bitlocker_images():
    """[(section of images.conf, path)], unpacked once below build/; empty where the data is absent."""
    source, target = DATA / "bitlk", ROOT / "build/data/bitlk"
    if not (source / "images.conf").is_file():
        return []
    done = target / "unpacked"  # tests/bitlocker/test_windows.py says the same
    if not done.is_file():
        os.makedirs(target, exist_ok=True)
        subprocess.run(["tar", "--sparse", "--no-same-owner", "-xJf", source / "bitlk-images.tar.xz", "-C", target],
                       check=True)
        done.touch()
    conf = configparser.ConfigParser()
    conf.read(source / "images.conf")
    return [(conf[name], target / f"{name}.img") for name in conf.sections()]


def run_tests(names, namespace):
    """Run the functions test_* of a module, each in a folder of its own; nothing that was said holds a secret."""
    tests = {n[5:]: t for n, t in namespace.items() if n.startswith("test_")}
    for name in names or tests:
        with tempfile.TemporaryDirectory() as path:
            w = Lab(path)
            tests[name](w)
            hits = secret_search.search([w.name("said")], w.secrets) if w.secrets else []
            if w.secrets:
                check(f"{name}: no recovery password in what was said", not hits, hits)
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed else 0
