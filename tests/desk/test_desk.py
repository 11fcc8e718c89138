#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""keyholt-desk from end to end: keys by the openssl command, an envelope as an agent seals it, opened offline.
Prints one line per check and 'N passed, N failed'. Needs build/bin/keyholt-desk, build/tests/seal_tool, openssl."""
import base64
import fcntl
import hashlib
import json
import os
import resource
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import secret_search  # noqa: E402

BUILD = Path(os.environ.get("KEYHOLT_BUILD", Path(__file__).resolve().parents[2] / "build")).absolute()
ORG_ID = "11223344-5566-4788-99AA-BBCCDDEEFF00"
KEY_ID = "3FD763F9-74C7-4E90-8FA2-1F6A2E2B4E0C"
VOLUME = "E9726FAB-7656-4BC5-BB9E-ADF115953328"
NOBODY = 65534

passed = failed = 0


def check(name, good, detail=""):
    global passed, failed
    passed, failed = passed + bool(good), failed + (not good)
    print(f"{'ok' if good else 'FAILED'}: {name}" + (f": {detail}" if detail and not good else ""), flush=True)


def openssl(*args, data=None):
    return subprocess.run(["openssl", *map(str, args)], input=data, capture_output=True, check=True, timeout=120).stdout


def new_password():
    return "-".join(f"{11 * secrets.randbelow(65536):06d}" for _ in range(8))


def raw_signature(der):
    """r ‖ s from openssl's DER SEQUENCE of two INTEGERs."""
    at, out = 2, b""
    for _ in range(2):
        length = der[at + 1]
        out += int.from_bytes(der[at + 2 : at + 2 + length], "big").to_bytes(32, "big")
        at += 2 + length
    return out


class Key:
    """A P-256 key pair in files: NAME.pem (encrypted when a passphrase is given), NAME.pub, and its DER public key."""

    def __init__(self, folder, name, passphrase=None):
        self.pem, self.pub = folder / f"{name}.pem", folder / f"{name}.pub"
        plain = openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
        if passphrase:
            openssl("pkcs8", "-topk8", "-v2", "aes-256-cbc", "-passout", f"pass:{passphrase}", "-out", self.pem, data=plain)
        else:
            self.pem.write_bytes(plain)
        self.pem.chmod(0o644)  # one check reads it as an ordinary user
        self.spki = openssl("pkey", "-pubout", "-outform", "DER", data=plain)
        openssl("pkey", "-pubout", "-out", self.pub, data=plain)

    def id(self):
        return hashlib.sha256(self.spki).hexdigest()

    def entry(self, **more):
        return {"id": self.id(), **more, "spki": base64.b64encode(self.spki).decode()}


class World:
    """Everything one organisation has, in one folder."""

    def __init__(self, folder, org_id=ORG_ID, name="Example Ltd", keys=None):
        folder.mkdir(mode=0o755)
        self.folder, self.org_id = folder, org_id
        self.passphrase_file = folder / "passphrase"
        self.passphrase_file.write_text("a long passphrase\n")
        self.root = Key(folder, "root-key")
        self.vault, self.desk = keys or (Key(folder, "vault"), Key(folder, "desk", "a long passphrase"))
        self.receipt = Key(folder, "receipt")
        self.org = folder / "org.json"
        self.org.write_text(json.dumps({
            "format": "keyholt-org", "version": 1, "id": org_id, "name": name, "message": "Call 555.",
            "url": "https://keys.example.org", "servers": ["https://localhost:8443"],
            "ca": "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
            "escrow_keys": [self.vault.entry(use="vault"), self.desk.entry(use="desk")],
            "receipt_keys": [self.receipt.entry()], "policy_key": self.root.entry(), "revoked": [],
        }))
        shutil.copy(self.root.pub, folder / "root.pub")
        self.sign()

    def sign(self):
        der = openssl("dgst", "-sha256", "-sign", self.root.pem, self.org)
        (self.folder / "org.json.sig").write_bytes(raw_signature(der))

    def seal(self, password, name="envelope"):
        """Returns (file with the envelope, its base32)."""
        out = self.folder / name
        run = subprocess.run(
            [BUILD / "tests/seal_tool", self.org_id, KEY_ID, VOLUME, out, self.vault.pub, self.desk.pub],
            input=password.encode(), capture_output=True, check=True, timeout=120,
        )
        return out, run.stdout.decode().strip()


def joined(line):
    """An entry: its core and, behind a tab, what is personal."""
    core, personal = line.split("\t")
    return {**json.loads(core), **json.loads(personal)}


class Desk:
    """keyholt-desk with a root folder of its own; what it says is kept in files, to be searched at the end."""

    def __init__(self, folder, name, program):
        self.root, self.said, self.program, self.n = folder / name, folder / f"{name}-said", program, 0
        self.root.mkdir(mode=0o755)
        self.said.mkdir()
        self.log = self.root / "var/lib/keyholt/desk/audit.log"

    def run(self, *args, data=b"", **more):
        done = subprocess.run(
            [self.program, *map(str, args), "--root", str(self.root)],
            input=data, capture_output=True, timeout=180, **more,
        )
        self.n += 1
        (self.said / str(self.n)).write_bytes(done.stderr)
        return done

    def open(self, world, *source, key=None, passphrase=None, org=None, more=(), **how):
        return self.run(
            "open", *source, "--key", key or world.desk.pem, "--key-passphrase-file",
            passphrase or world.passphrase_file, "--org", org or world.org, "--who", "Ada Example",
            "--reason", "forgot \"it\" on Monday", "--user", "bob", *more, **how,
        )

    def entries(self):
        return [joined(line) for line in self.log.read_text().splitlines()] if self.log.is_file() else []

    def verify(self):
        return self.run("audit", "verify").returncode


def no_digits(done, password):
    """Neither output holds any group of the password that is worth something."""
    groups = password.split("-")
    return not any(group.encode() in done.stdout + done.stderr for group in groups) and not done.stdout


def refused(name, desk, done, password, word, code=3, logged=True):
    """The answer is no: exit code, one sentence with its word, no digits, and a refusal as the last entry."""
    error = done.stderr.decode()
    check(f"{name}: exit {code}", done.returncode == code, f"exit {done.returncode}: {error}")
    check(f"{name}: a sentence says why", word in error and error.count("\n") == 1, error)
    check(f"{name}: no digits", no_digits(done, password))
    if logged:
        last = (desk.entries() or [{}])[-1]
        check(f"{name}: refusal on record", last.get("action") == "refuse" and last.get("who") == "Ada Example", str(last))


def opens(name, done, password):
    check(f"{name}: exit 0", done.returncode == 0, done.stderr.decode())
    check(f"{name}: the 48 digits", password.encode() in done.stdout, "other output")
    check(f"{name}: digits on standard output only", password.encode() not in done.stderr)


def test_open(world, desk, password, envelope, qr, tmp):
    address = f"HTTPS://KEYS.EXAMPLE.ORG/R/{qr}"
    text = tmp / "qr.txt"
    text.write_text(address + "\n")
    done = desk.open(world, "--qr", text)
    opens("QR text in a file", done, password)
    check("key ID and volume are shown", KEY_ID.encode() in done.stdout and VOLUME.encode() in done.stdout)
    check("it warns what an envelope proves", b"proves only" in done.stderr and b"replaces the password" in done.stderr)
    first, last = desk.entries()[0], desk.entries()[-1]
    check("the log begins with its making", first["action"] == "open-log" and first["n"] == 1)
    check("the disclosure is on record", last["action"] == "disclose" and last["key_id"] == KEY_ID
          and last["volume"] == VOLUME and last["reason"] == 'forgot "it" on Monday' and "bob" in last["detail"], str(last))
    check("the log is its owner's", desk.log.stat().st_mode & 0o777 == 0o600)
    broken = "\n".join(address.lower()[i : i + 40] for i in range(0, len(address), 40))
    opens("QR text on standard input, lower case, broken lines",
          desk.open(world, "--qr", "-", data=broken.encode()), password)
    opens("QR text without the address", desk.open(world, "--qr", "-", data=qr.encode()), password)
    done = desk.open(world, "--envelope", envelope, more=["--json"])
    opens("envelope file, JSON", done, password)
    answer = json.loads(done.stdout)
    head = hashlib.sha256(desk.log.read_bytes().splitlines()[-1].split(b"\t")[0]).hexdigest()
    check("JSON says all", answer["recovery_password"] == password and answer["key_id"] == KEY_ID
          and answer["volume"] == VOLUME and answer["audit"] == {"n": len(desk.entries()), "hash": head}, "fields")
    opens("passphrase from standard input",
          desk.open(world, "--envelope", envelope, passphrase="-", data=b"a long passphrase\n"), password)
    check("audit verify", desk.verify() == 0)
    show = desk.run("audit", "show")
    check("audit show", show.returncode == 0 and show.stdout.count(b"disclose") == 5 and b"Ada Example" in show.stdout)
    as_json = json.loads(desk.run("audit", "show", "--json").stdout)
    check("audit show --json", as_json["whole"] is True and as_json["entries"] == desk.entries())


def test_flips(world, desk, password, qr):
    """Every seventh character changed. Only the vault's own seal may change unseen by the desk."""
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
    wrong, opened = [], 0
    for at in range(0, len(qr), 7):
        flipped = qr[:at] + digits[digits.index(qr[at]) ^ 16] + qr[at + 1 :]
        byte = 5 * at // 8  # the character's first bit was flipped
        done = desk.open(world, "--qr", "-", data=flipped.encode())
        if 112 + 64 <= byte < 112 + 64 + 97:
            opened += 1
            good = done.returncode == 0 and password.encode() in done.stdout
        else:
            good = done.returncode == 3 and no_digits(done, password) and desk.entries()[-1]["action"] == "refuse"
        if not good:
            wrong.append(at)
    check(f"flipped QR characters ({len(range(0, len(qr), 7))} places)", not wrong and opened > 5, f"at {wrong}")
    at = 900 % len(qr)
    flipped = qr[:-8] + digits[digits.index(qr[-8]) ^ 16] + qr[-7:]
    refused("one flipped character", desk, desk.open(world, "--qr", "-", data=flipped.encode()), password, "does not open")
    refused("half a QR text", desk, desk.open(world, "--qr", "-", data=qr[:at].encode()), password, "not the whole text")
    refused("some other text", desk, desk.open(world, "--qr", "-", data=b"https://example.org/"), password, "not the whole")


def test_strangers(world, desk, password, envelope, qr, tmp):
    other = World(tmp / "other", "99999999-5566-4788-99AA-BBCCDDEEFF00", "Other GmbH")
    foreign, _ = other.seal(password)
    refused("envelope of another organisation", desk, desk.open(world, "--envelope", foreign), password,
            "not of the organisation Example Ltd")
    twin = World(tmp / "twin", "88888888-5566-4788-99AA-BBCCDDEEFF00", "Twin Inc", (world.vault, world.desk))
    refused("the same keys under another organisation", desk, desk.open(twin, "--envelope", envelope), password,
            "not of the organisation Twin Inc")
    refused("another key", desk, desk.open(world, "--envelope", envelope, key=other.desk.pem), password,
            "sealed to other keys")
    wrong = tmp / "wrong-passphrase"
    wrong.write_text("not this one\n")
    refused("wrong passphrase", desk, desk.open(world, "--envelope", envelope, passphrase=wrong), password,
            "passphrase does not open")
    refused("no key in the key file", desk, desk.open(world, "--envelope", envelope, key=world.org), password,
            "no P-256 private key")
    refused("the raw envelope given as QR text", desk, desk.open(world, "--qr", envelope), password, "not the whole")
    refused("QR text given as envelope", desk, desk.open(world, "--envelope", "-", data=qr.encode()), password,
            "not an envelope")


def test_org(world, desk, password, envelope, tmp):
    bundle = tmp / "bundle"
    shutil.copytree(world.folder, bundle)
    org, sig = bundle / "org.json", bundle / "org.json.sig"
    good = org.read_text()
    org.write_text(good.replace("Example Ltd", "Example Ltb"))
    refused("changed org.json", desk, desk.open(world, "--envelope", envelope, org=org), password, "not signed")
    org.write_text(good)
    sig.unlink()
    refused("org.json without its signature", desk, desk.open(world, "--envelope", envelope, org=org), password, "not signed")
    (bundle / "root.pub").unlink()
    done = desk.open(world, "--envelope", envelope, org=org)
    opens("org.json without a root key", done, password)
    check("and it says that nothing vouches for it", b"was not checked" in done.stderr)
    stranger = Key(tmp, "stranger")
    refused("org.json under another root key", desk,
            desk.open(world, "--envelope", envelope, more=["--root-key", stranger.pub]), password, "not signed")
    opens("org.json under the right --root-key",
          desk.open(world, "--envelope", envelope, more=["--root-key", world.root.pub]), password)
    org.write_text("{")
    refused("org.json that is none", desk, desk.open(world, "--envelope", envelope, org=org), password, "cannot be used")
    refused("org.json that is not there", desk, desk.open(world, "--envelope", envelope, org=tmp / "no.json"), password,
            "cannot be read", code=1, logged=False)


def no_room():
    """The log may not grow: a full disk, as the program sees it."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400, 400))


def test_no_audit(world, password, envelope, tmp, program):
    def fresh(name):
        desk = Desk(tmp, name, program)
        desk.log.parent.mkdir(parents=True)
        return desk

    desk = fresh("log-is-folder")
    desk.log.mkdir()
    refused("a folder where the log should be", desk, desk.open(world, "--envelope", envelope), password, "no whole audit log",
            logged=False)
    desk = fresh("log-is-full-device")
    desk.log.symlink_to("/dev/full")
    refused("the log leads to /dev/full", desk, desk.open(world, "--envelope", envelope), password, "no whole audit log",
            logged=False)
    desk = fresh("state-is-file")
    desk.log.parent.rmdir()
    desk.log.parent.write_text("")
    refused("a file where the log's folder should be", desk, desk.open(world, "--envelope", envelope), password,
            "cannot be written", logged=False)

    desk = fresh("read-only")
    desk.log.parent.chmod(0o555)
    user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    refused("read-only folder, ordinary user", desk, desk.open(world, "--envelope", envelope, **user), password,
            "cannot be written", logged=False)
    desk.log.parent.chmod(0o777)
    opens("the same user with a writable folder", desk.open(world, "--envelope", envelope, **user), password)
    desk.log.chmod(0o444)
    desk.log.parent.chmod(0o555)
    refused("read-only log, ordinary user", desk, desk.open(world, "--envelope", envelope, **user), password,
            "cannot be written", logged=False)
    check("and the log is as it was", len(desk.entries()) == 2)

    desk = fresh("full-disk")
    refused("disk full", desk, desk.open(world, "--envelope", envelope, preexec_fn=no_room), password,
            "cannot be written", logged=False)
    check("no half entry stays", all(e["action"] == "open-log" for e in desk.entries()))
    opens("room again", desk.open(world, "--envelope", envelope), password)
    check("the chain is whole", desk.verify() == 0)

    before = len(desk.entries())
    with open(desk.log) as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        refused("the log is in use", desk, desk.open(world, "--envelope", envelope), password, "in use", code=4, logged=False)
    check("nothing was added", len(desk.entries()) == before)


def test_erase(world, desk, password, envelope):
    opens("one to erase", desk.open(world, "--envelope", envelope, more=("--user", "bob.to.forget")), password)
    n, before = desk.entries()[-1]["n"], desk.log.read_bytes()
    check("it names him", b"bob.to.forget" in before)
    for name, args in (("no entries", ("--who", "Ada")), ("nobody's word", ("--entries", str(n))), ("no number", ("--entries", "x", "--who", "Ada")),
                       ("a log from elsewhere", ("--entries", str(n), "--who", "Ada", "--log", str(desk.log)))):
        check(f"erase with {name}: usage", desk.run("audit", "erase", *args).returncode == 2)
    check("an entry that is not there", desk.run("audit", "erase", "--entries", f"{n}-{n + 1}", "--who", "Ada").returncode == 3)
    check("nothing happened", desk.log.read_bytes() == before)
    check("erase", desk.run("audit", "erase", "--entries", str(n), "--who", "Ada").returncode == 0)
    after = desk.log.read_bytes()
    check("he is gone, the entry is not", b"bob.to.forget" not in after and f'"n":{n},'.encode() in after)
    check("the chain verifies", desk.verify() == 0)
    check("the order is on record", b'"action":"erase"' in after and f"entries={n}\"".encode() in after)
    shown = json.loads(desk.run("audit", "show", "--json").stdout)["entries"]
    check("shown as erased", shown[n - 1]["erased"] is True and shown[n]["action"] == "erase" and shown[n]["who"] == "Ada", str(shown[n - 1:]))
    check("and for people", b"[erased]" in desk.run("audit", "show").stdout)
    desk.log.write_bytes(before)


def test_crash_and_tampering(world, desk, password, envelope):
    n = len(desk.entries())
    with desk.log.open("ab") as f:
        f.write(b'{"n":99,"time":1')
    check("a torn last line still verifies", desk.verify() == 0)
    opens("after a crash", desk.open(world, "--envelope", envelope), password)
    told, last = desk.entries()[-2:]
    check("an entry tells of the torn line", told["action"] == "open-log" and "16 bytes" in told["note"], str(told))
    check("only the torn line is gone", told["n"] == n + 1 and last["n"] == n + 2 and desk.verify() == 0)
    good = desk.log.read_bytes()
    for name, bad in (
        ("a changed name", good.replace(b"Ada Example", b"Eve Example", 1)),
        ("an entry left out", b"".join(good.splitlines(keepends=True)[:2] + good.splitlines(keepends=True)[3:])),
        ("the first entry left out", b"".join(good.splitlines(keepends=True)[1:])),
    ):
        desk.log.write_bytes(bad)
        check(f"{name}: audit verify says no", desk.verify() == 3)
        refused(name, desk, desk.open(world, "--envelope", envelope), password, "no whole audit log", logged=False)
        check(f"{name}: the log is left alone", desk.log.read_bytes() == bad)
    desk.log.write_bytes(good)


def test_usage(world, desk, password, envelope):
    n = len(desk.entries())
    full = ["--envelope", envelope, "--key", world.desk.pem, "--key-passphrase-file", world.passphrase_file,
            "--org", world.org, "--who", "Ada", "--reason", "x"]
    for at in range(0, len(full), 2):
        done = desk.run("open", *full[:at], *full[at + 2 :])
        check(f"without {full[at]}: exit 2", done.returncode == 2 and no_digits(done, password), done.stderr.decode())
    for name, args in (
        ("both sources", full + ["--qr", envelope]),
        ("empty reason", full[:-1] + [""]),
        ("line break in the reason", full[:-1] + ["a\nb"]),
        ("escape sequence in a name", full + ["--user", "\x1b[2J"]),
        ("reason too long", full[:-1] + ["x" * 513]),
        ("standard input for two things", full + ["--key-passphrase-file", "-", "--envelope", "-"]),
        ("unknown option", full + ["--force"]),
        ("option without its value", full[:-1]),
        ("surplus argument", full + ["now"]),
    ):
        done = desk.run("open", *args)
        check(f"{name}: exit 2", done.returncode == 2 and no_digits(done, password), f"{done.returncode} {done.stderr}")
    check("usage errors leave no entry", len(desk.entries()) == n)
    for args in ((), ("nonsense",), ("audit",), ("audit", "delete")):
        code = subprocess.run([desk.program, *args], capture_output=True, timeout=120).returncode
        check(f"keyholt-desk {' '.join(args)}: exit 2", code == 2)
    for args, words in (
        ((), ("open", "audit")),
        (("open",), ("--qr", "--envelope", "--key", "--key-passphrase-file", "--org", "--root-key", "--who", "--reason",
                     "--user", "--json", "--root")),
        (("audit",), ("show", "verify", "--json", "--root", "--log")),
    ):
        done = subprocess.run([desk.program, *args, "--help"], capture_output=True, text=True, timeout=120)
        missing = [w for w in words if w not in done.stdout]
        check(f"keyholt-desk {' '.join(args)} --help", done.returncode == 0 and not missing, str(missing))


def section(test, *args):
    """A test that breaks off is a failure, and the others still run."""
    try:
        test(*args)
    except (OSError, ValueError, LookupError, subprocess.SubprocessError) as e:
        check(test.__name__, False, repr(e))


def main():
    for needed in (BUILD / "bin/keyholt-desk", BUILD / "tests/seal_tool"):
        if not needed.exists():
            print(f"{needed} is not there: run make first\n0 passed, 1 failed")
            return 1
    check("the search for secrets finds what is planted", secret_search.self_check() > 0)
    with tempfile.TemporaryDirectory(prefix="keyholt-desk-") as folder:
        tmp = Path(folder)
        tmp.chmod(0o755)
        program = tmp / "keyholt-desk"  # an ordinary user can reach this copy
        shutil.copy(BUILD / "bin/keyholt-desk", program)
        world, desk, password = World(tmp / "org"), Desk(tmp, "desk", program), new_password()
        envelope, qr = world.seal(password)
        section(test_open, world, desk, password, envelope, qr, tmp)
        section(test_flips, world, desk, password, qr)
        section(test_strangers, world, desk, password, envelope, qr, tmp)
        section(test_org, world, desk, password, envelope, tmp)
        section(test_no_audit, world, password, envelope, tmp, program)
        section(test_erase, world, desk, password, envelope)
        section(test_crash_and_tampering, world, desk, password, envelope)
        section(test_usage, world, desk, password, envelope)
        hits = secret_search.search([tmp], [password])
        check("no file holds the password in any spelling", not hits, str(hits))
        planted = tmp / "planted"
        planted.write_bytes(b"log: " + password.encode())
        check("the search would have found it", len(secret_search.search([tmp], [password])) == 1)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
