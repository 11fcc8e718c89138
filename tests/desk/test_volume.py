#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""keyholt-desk volume on LUKS2 volumes made by cryptsetup and BitLocker volumes made by Windows: what it shows,
every way in, what it writes, and what it says to a key that does not open. test_volume_hostile.py has the rest.

usage: tests/desk/test_volume.py     Needs build/bin/keyholt-desk and cryptsetup. Prints 'N passed, N failed'."""
import json
import os
import stat
import subprocess
import sys

import volume_lab
from volume_lab import KEY_ID, MIB, ROOT, bitlocker_images, check, lab, new_password, no, run_tests, sha256, skip, why


def opens(w, name, image, *way, says=""):
    done = w.run("test", image, *way)
    check(f"{name}: opens", done.returncode == 0 and done.out.startswith("opens: ") and says in done.out and not done.err,
          why(done))


def decrypts(w, name, image, want, *way):
    """want: SHA-256 of the decrypted volume. The image is untouched, OUT is its owner's."""
    out = w.name("out")
    before = (sha256(image), os.stat(image).st_mtime_ns)
    done = w.run("decrypt", image, out, *way)
    good = done.returncode == 0 and os.path.isfile(out)
    check(f"{name}: decrypts to the right content", good and sha256(out) == want, why(done))
    if good:
        check(f"{name}: OUT is its owner's only", stat.S_IMODE(os.stat(out).st_mode) == 0o600)
        os.unlink(out)
    check(f"{name}: IMAGE is only read", (sha256(image), os.stat(image).st_mtime_ns) == before)
    return done


def ways(image, conf):
    """[(name, options, secret on standard input, its key ID)]"""
    found = []
    for option, name, key_id in (("--recovery-password-file", "RP", "RP_VMK_GUID"),
                                 ("--recovery-password-file", "RP2", "RP2_VMK_GUID"),
                                 ("--passphrase-file", "PW", "PW_VMK_GUID")):
        if conf.get(name):
            found.append((name, [option, "-"], conf[name].encode(), conf[key_id]))
    if conf.get("SK_VMK_GUID"):
        found.append(("startup key", ["--startup-key", image.parent / f"{conf['SK_VMK_GUID'].upper()}.BEK"], b"",
                      conf["SK_VMK_GUID"]))
    if conf.get("CLEARKEY_VMK_GUID"):
        found.append(("clear key", ["--clear-key"], b"", conf["CLEARKEY_VMK_GUID"]))
    return found


def test_bitlocker(w):
    images = bitlocker_images()
    if not images:
        skip("BitLocker volumes", f"no {volume_lab.DATA}/bitlk")
    for conf, image in images:
        bitlocker_shown(w, conf, image)
        for name, options, secret, key_id in ways(image, conf):
            done = w.run("test", image, *options, data=secret)
            check(f"{conf.name}: {name} opens", done.returncode == 0 and key_id.upper() in done.out, why(done))
        name, options, secret, _ = ways(image, conf)[-1]
        out = w.name("out")
        done = w.run("decrypt", image, out, *options, "--json", data=secret)
        check(f"{conf.name}: {name} decrypts to the right content", done.returncode == 0 and
              sha256(out) == conf["SHA256SUM"], why(done))
        check(f"{conf.name}: JSON says how much", json.loads(done.out)["size"] == os.path.getsize(out))
        os.unlink(out)
    for conf, image in images:
        bitlocker_refuses(w, conf, image)


def bitlocker_shown(w, conf, image):
    done = w.run("show", image, "--json")
    shown = json.loads(done.out)
    ids = {p["key_id"] for p in shown["protectors"]}
    check(f"{conf.name}: shown", done.returncode == 0 and shown["format"] == "BitLocker" and
          shown["id"] == conf["GUID"].upper() and shown["cipher"] == conf["CIPHER"] and
          {k.upper() for n, k in conf.items() if n.endswith("vmk_guid") and k} <= ids, why(done))
    text = w.run("show", image)
    check(f"{conf.name}: shown to people", text.returncode == 0 and shown["id"] in text.out and
          all(i in text.out for i in ids) and max(map(len, text.out.splitlines())) <= 110, why(text))
    suspended = bool(conf.get("CLEARKEY_VMK_GUID"))
    check(f"{conf.name}: suspended or not", shown["suspended"] == suspended and ("suspended" in text.out) == suspended)


def bitlocker_refuses(w, conf, image):
    ids = [conf[n].upper() for n in ("RP_VMK_GUID", "RP2_VMK_GUID") if conf.get(n)]
    done = w.run("test", image, "--recovery-password-file", "-", data=new_password().encode())
    if ids:
        check(f"{conf.name}: another volume's recovery password", no(done, 3, "not of this volume", *ids), why(done))
    else:
        check(f"{conf.name}: no recovery password at all", no(done, 3, "has no recovery password", "clear key"), why(done))
    if not conf.get("CLEARKEY_VMK_GUID"):
        done = w.run("test", image, "--clear-key")
        check(f"{conf.name}: not suspended", no(done, 3, "not suspended"), why(done))


def test_bitlocker_written(w):
    """Volumes of the tests' own writer: more kinds than there are images of, and there without any data."""
    write = ROOT / "build/tests/bitlocker_write"
    image, bek, out = w.name("image"), w.name("bek"), w.name("out")
    for kind in subprocess.run([write, "list"], capture_output=True, text=True, check=True).stdout.split():
        made = json.loads(subprocess.run([write, kind, image, bek], capture_output=True, check=True).stdout)
        rows = [(f"recovery password {i + 1}", ["--recovery-password-file", w.password_file(p)])
                for i, p in enumerate(made["recovery"])]
        if made["passphrase"]:
            rows.append(("passphrase", ["--passphrase-file", w.write("given/passphrase", made["passphrase"].encode())]))
        if made["startup_key"]:
            rows.append(("startup key", ["--startup-key", bek]))
        if made["clear_key"]:
            rows.append(("clear key", ["--clear-key"]))
        for name, way in rows:
            done = w.run("decrypt", image, out, "--force", *way)
            check(f"{kind}: {name}", done.returncode == 0 and sha256(out) == made["sha256"], why(done))
        if made["startup_key"]:
            wrong = bytearray(open(bek, "rb").read())
            wrong[-1] ^= 1
            done = w.run("test", image, "--json", "--startup-key", "-", data=bytes(wrong))
            said = json.loads(done.out)
            check(f"{kind}: JSON names the startup key, not the recovery password", done.returncode == 3 and
                  len(said["key_ids"]) == 1 and said["key_ids"][0] in done.err, why(done))
        shown = json.loads(w.run("show", image, "--json").out)
        check(f"{kind}: shown", shown["format"] == "BitLocker" and len(shown["protectors"]) >= len(rows), shown)


def test_bitlocker_older_block(w):
    """The newest block's seal is only seen to be broken with the key: then an older one counts, and is what is told."""
    image = w.name("image")
    made = json.loads(subprocess.run([ROOT / "build/tests/bitlocker_write", "newer-block", image, w.name("bek")],
                                     capture_output=True, check=True).stdout)
    first, second = (w.password_file(p) for p in made["recovery"])
    passphrase = w.write("given/passphrase", made["passphrase"].encode())
    whole = json.loads(w.run("test", image, "--json", "--passphrase-file", passphrase).out)["protector"]
    with open(image, "rb") as f:
        f.seek(0x40000)
        lab.flip(image, 0x40000 + 16 * int.from_bytes(f.read(10)[8:], "little") + 8 + 50)
    rows = [("a passphrase that stands elsewhere", "--passphrase-file", passphrase, whole["number"] - 1, ""),
            ("the first recovery password", "--recovery-password-file", first, 0, ""),
            ("the recovery password that only the broken block has", "--recovery-password-file", second, whole["number"],
             "only in a metadata block that is damaged")]
    for name, option, path, number, note in rows:
        done = w.run("test", image, "--json", option, path)
        p = json.loads(done.out)["protector"] if done.returncode == 0 else {}
        check(f"older block: {name}", p.get("number") == number and note in p.get("note", "") and
              (option != "--passphrase-file" or p["key_id"] == whole["key_id"]), why(done))
        done = w.run("decrypt", image, w.name("out"), "--force", option, path)
        check(f"older block: {name}, content", done.returncode == 0 and sha256(w.name("out")) == made["sha256"], why(done))


def test_bitlocker_startup_key(w):
    images = [(c, i) for c, i in bitlocker_images() if c.get("SK_VMK_GUID")]
    if not images:
        return skip("startup key", f"no {volume_lab.DATA}/bitlk")
    conf, image = images[0]
    bek = (image.parent / f"{conf['SK_VMK_GUID'].upper()}.BEK").read_bytes()
    done = w.run("test", image, "--startup-key", "-", data=bek)
    check("startup key from standard input", done.returncode == 0, why(done))
    flipped = bytearray(bek)
    flipped[-1] ^= 1  # the key itself
    done = w.run("test", image, "--startup-key", "-", data=bytes(flipped))
    check("another startup key", no(done, 3, "not of this volume", conf["SK_VMK_GUID"].upper()), why(done))
    done = w.run("test", image, "--startup-key", "-", data=bek[:100])
    check("a part of a startup key", no(done, 1, "offset"), why(done))
    done = w.run("test", image, "--startup-key", image)
    check("a volume as startup key", done.returncode == 1 and done.err.count("\n") == 1, why(done))
    for other, path in bitlocker_images():
        if not other.get("SK_VMK_GUID"):
            done = w.run("test", path, "--startup-key", "-", data=bek)
            return check("a volume without startup key", no(done, 3, "has no startup key"), why(done))


def test_luks2(w):
    """Content with holes: what is zero is a hole, what is not is there."""
    content = os.urandom(MIB) + bytes(MIB) + os.urandom(512) + bytes(MIB - 512)
    for sector in ("512", "4096"):
        image = w.new("luks2", "--sector-size", sector)
        password = new_password()
        w.protect(image, password)
        w.fill(image, content, sector=int(sector))
        os.truncate(image, (16 << 20) + len(content))
        lab.cryptsetup("luksAddKey", *lab.FAST, "-d", w.passes[0], "-S", "4", image, w.passes[1])
        want = lab.hashlib.sha256(content).hexdigest()
        rows = [("recovery password", "--recovery-password-file", w.password_file(password), KEY_ID),
                ("recovery password, spaces, CR LF", "--recovery-password-file",
                 w.password_file(" " + password.replace("-", " "), "\r\n"), KEY_ID),
                ("recovery password from Notepad", "--recovery-password-file",
                 w.write("given/notepad", b"\xef\xbb\xbf" + password.encode() + b"\r\n"), KEY_ID),
                ("recovery password from PowerShell", "--recovery-password-file",
                 w.write("given/powershell", (password + "\r\n").encode("utf-16")), KEY_ID),
                ("recovery password, dashes of a word processor", "--recovery-password-file",
                 w.write("given/dashes", password.replace("-", "\u2013", 4).replace("-", "\u00a0\u2014 ").encode() + b"\n"), KEY_ID),
                ("recovery password as a passphrase", "--passphrase-file", w.password_file(password), "keyslot 1"),
                ("passphrase", "--passphrase-file", w.passes[1], "keyslot 4")]
        for name, option, path, says in rows:
            opens(w, f"LUKS2 {sector}, {name}", image, option, path, says=says)
        done = decrypts(w, f"LUKS2 {sector}", image, want, "--passphrase-file", w.passes[0])
        check(f"LUKS2 {sector}: zeros are told", "holes" in done.out)
        w.run("decrypt", image, w.name("out"), "--passphrase-file", w.passes[0])
        used = os.stat(w.name("out")).st_blocks * 512
        check(f"LUKS2 {sector}: OUT is sparse", used <= MIB + 8192, f"{used} bytes used")
        os.unlink(w.name("out"))


def test_luks2_shown(w):
    image = w.new("shown", "--label", "Ada's \x1b[31m laptop")
    w.protect(image, new_password())
    w.token(image, {"type": "clevis", "keyslots": ["0"], "jwe": {}})
    done = w.run("show", image)
    check("LUKS2 shown", done.returncode == 0 and KEY_ID in done.out and "made by Keyholt" in done.out and
          "PBKDF2-SHA256, 1,234 iterations" in done.out and "Clevis" in done.out, why(done))
    check("no colours but on a terminal, no control characters ever", "\x1b" not in done.out)
    shown = json.loads(w.run("show", image, "--json").out)
    by_number = {p["number"]: p for p in shown["protectors"]}
    check("LUKS2 shown as JSON", shown["format"] == "LUKS2" and shown["cipher"] == "aes-xts-plain64" and
          by_number[1]["keyholt"] and by_number[1]["key_id"] == KEY_ID and by_number[1]["kdf"] ==
          {"name": "pbkdf2", "hash": "sha256", "iterations": 1234} and not by_number[0]["keyholt"] and
          {t["type"] for t in shown["tokens"]} == {"keyholt", "clevis"}, shown)
    foreign = w.copy(image, "foreign-uuid")
    with open(foreign, "r+b") as f:
        data = bytearray(f.read(2 * lab.HDR))
        for off in (0, lab.HDR):
            data[off + 168:off + 208] = b"\x1b]0;title\x07\x1b[2Jid".ljust(40, b"\0")
            lab.seal(data, off)
        f.seek(0)
        f.write(data)
    done = w.run("show", foreign)
    check("a UUID that is none reaches no terminal", done.returncode == 0 and "?]0;title??[2Jid" in done.out, repr(done.out))
    lab.flip(image, 4096 + 20)
    done = w.run("show", image)
    check("a damaged primary header is told", done.returncode == 0 and "primary header is damaged" in done.out, why(done))


def test_luks2_detached(w):
    header, data = w.write("header", size=16 << 20), w.write("data", size=2 * MIB)
    lab.cryptsetup("luksFormat", "--type", "luks2", *lab.FAST, "--header", header, data, w.passes[0])
    content = os.urandom(2 * MIB)
    w.fill(data, content, header=header)
    decrypts(w, "detached header", data, lab.hashlib.sha256(content).hexdigest(), "--header", header,
             "--passphrase-file", w.passes[0])
    done = w.run("show", data)
    check("data without its header", no(done, 1, "neither a LUKS2 nor a BitLocker volume"), why(done))
    for name, more in (("as IMAGE", []), ("as its own data", ["--header", header])):
        out = w.name("out")
        done = w.run("decrypt", header, out, *more, "--passphrase-file", w.passes[0])
        check(f"a detached header {name}", no(done, 1, "without its data", "--header") and not os.path.exists(out), why(done))
    done = w.run("show", header)
    check("a detached header, shown", done.returncode == 0 and "without its data" in done.out, why(done))
    done = w.run("decrypt", data, header, "--force", "--header", header, "--passphrase-file", w.passes[0])
    check("OUT is the header", no(done, 1, "never written"), why(done))


def test_wrong_passwords(w):
    image = w.new("wrong")
    password = new_password()
    groups = password.split("-")
    w.protect(image, password)
    for number in range(1, 9):
        bad = groups[:]
        bad[number - 1] = f"{(int(bad[number - 1]) + 1) % 1000000:06d}"
        done = w.run("test", image, "--recovery-password-file", "-", data="-".join(bad).encode())
        check(f"a typing error in group {number}", no(done, 3, f"group {number} of 8"), why(done))
    done = w.run("test", image, "--json", "--recovery-password-file", "-", data="-".join(bad).encode())
    check("and as JSON", done.returncode == 3 and json.loads(done.out) ==
          {"opens": False, "reason": "typing-error", "group": 8, "key_ids": [KEY_ID]}, why(done))
    for name, text in (("47 digits", password[:-1]), ("49 digits", password + "1"), ("no digits", "mellon"),
                       ("two passwords", password + "\n" + password)):
        done = w.run("test", image, "--recovery-password-file", "-", data=text.encode())
        check(f"{name}", no(done, 3, "48 digits"), why(done))
    other = new_password()
    done = w.run("test", image, "--recovery-password-file", "-", data=other.encode())
    check("well-formed, another volume's", no(done, 3, "no typing error", "not of this volume", KEY_ID), why(done))
    out = w.name("out")
    done = w.run("decrypt", image, out, "--json", "--recovery-password-file", "-", data=other.encode())
    check("decrypt does not open either, and says so as JSON", done.returncode == 3 and json.loads(done.out) ==
          {"opens": False, "reason": "not-of-this-volume", "key_ids": [KEY_ID]} and not os.path.exists(out), why(done))
    done = w.run("test", image, "--passphrase-file", "-", data=b"mellon")
    check("a wrong passphrase", no(done, 3, "does not open"), why(done))
    for way in (["--startup-key", w.passes[0]], ["--clear-key"]):
        done = w.run("test", image, *way)
        check(f"LUKS2 has no {way[0][2:]}", no(done, 3, "has no", "recovery password"), why(done))


def test_luks2_others(w):
    """What is not opened here is named, with what to do."""
    image = w.write("luks1", size=8 << 20)
    lab.cryptsetup("luksFormat", "--type", "luks1", "-q", "--pbkdf-force-iterations", "1000", image, w.passes[0])
    for verb in (["show", image], ["test", image, "--passphrase-file", w.passes[0]]):
        done = w.run(*verb)
        check(f"LUKS1, {verb[0]}", no(done, 1, "LUKS1", "cryptsetup convert"), why(done))
    image = w.new("reencrypt", size=40 << 20)
    lab.cryptsetup("reencrypt", "--init-only", *lab.FAST, "-d", w.passes[0], "-S", "0", image)
    done = w.run("show", image)
    check("re-encryption under way, show", done.returncode == 0 and "cryptsetup reencrypt" in done.out, why(done))
    done = w.run("decrypt", image, w.name("out"), "--passphrase-file", w.passes[0])
    check("re-encryption under way, decrypt", no(done, 1, "being encrypted anew", "cryptsetup reencrypt") and not os.path.exists(w.name("out")), why(done))


def test_nothing_to_try(w):
    """What only we cannot open is not called the wrong key, and not called absent."""
    out = w.name("out")
    image = w.new("sha384", "--hash", "sha384")
    ignored = w.new("ignored")
    lab.cryptsetup("config", "--priority", "ignore", "-S", "0", ignored)
    for name, volume, words in (("an unknown hash", image, "hash"), ("a keyslot to be ignored", ignored, "not tried unless")):
        for verb in (["test", volume], ["decrypt", volume, out]):
            done = w.run(*verb, "--json", "--passphrase-file", w.passes[0])
            check(f"{name}, {verb[0]}", no(done, 1, "nothing could be tried", "keyslot 0", words), why(done))
    done = w.run("test", image, "--recovery-password-file", "-", data=new_password().encode())
    check("an unknown hash, recovery password", no(done, 1, "nothing could be tried", "keyslot 0"), why(done))


def test_key_files(w):
    """Bytes as they are, and as cryptsetup takes them; the limits are told by name."""
    image, last = w.new("key-files"), w.passes[0]
    rows = [("a newline at its end", b"mellon\n"), ("zeros and newlines", b"\0\n\0\r\n\n"), ("513 bytes", os.urandom(513)),
            ("8 MiB", os.urandom(8 * MIB)), ("nothing", b"")]
    for name, key in rows:
        path = w.write("given/key", key)
        if name != rows[0][0]:
            lab.cryptsetup("luksKillSlot", "-q", "-d", last, image, "4")
        lab.cryptsetup("luksAddKey", *lab.FAST, "-d", last, "-S", "4", image, path)
        opens(w, f"key file: {name}", image, "--key-file", path, says="keyslot 4")
        done = w.run("test", image, "--key-file", "-", data=key)
        check(f"key file: {name}, standard input", done.returncode == 0, why(done))
        done = w.run("test", image, "--key-file", "-", data=key + b"\n")
        code, words = (1, "8388608 bytes") if len(key) == 8 * MIB else (3, "does not open")
        check(f"key file: {name}, and a newline", no(done, code, words), why(done))
    done = w.run("test", image, "--passphrase-file", "-", data=b"\n")
    check("an empty line is the empty passphrase", done.returncode == 0 and "keyslot 4" in done.out, why(done))
    done = w.run("test", image, "--passphrase-file", "-")
    check("an empty file is none", no(done, 1, "empty"), why(done))
    done = w.run("test", image, "--passphrase-file", "-", data=b"x" * 513)
    check("a long passphrase", no(done, 1, "more than 512 bytes", "--key-file"), why(done))
    done = w.run("test", image, "--passphrase-file", "-", data=b"x" * 512 + b"\n")
    check("the longest passphrase", no(done, 3, "does not open"), why(done))
    out = w.name("out")
    done = w.run("decrypt", image, out, "--json", "--key-file", w.passes[1])
    check("another key file", no(w.run("test", image, "--key-file", w.passes[1]), 3, "key file does not open") and
          done.returncode == 3 and not os.path.exists(out), why(done))
    done = w.run("decrypt", image, path, "--force", "--key-file", path)
    check("OUT is the key file", no(done, 1, "never written"), why(done))


def test_keyslot(w):
    """The keyslot that is named and no other, whatever its priority."""
    image = w.new("keyslot")
    lab.cryptsetup("luksAddKey", *lab.FAST, "-d", w.passes[0], "-S", "4", image, w.passes[1])
    lab.cryptsetup("config", "--priority", "ignore", "-S", "4", image)
    w.protect(image, password := new_password())
    key = ["--passphrase-file", w.passes[1]]
    check("an ignored keyslot is not tried", w.run("test", image, *key).returncode == 3)
    opens(w, "an ignored keyslot that is named", image, *key, "--keyslot", "4", says="keyslot 4")
    opens(w, "a key file and a keyslot", image, "--key-file", w.passes[1], "--keyslot", "4", says="keyslot 4")
    opens(w, "a recovery password and its keyslot", image, "--recovery-password-file", w.password_file(password),
          "--keyslot", "1", says="keyslot 1")
    for number in ("0", "1"):
        done = w.run("test", image, *key, "--keyslot", number)
        check(f"another keyslot, {number}", no(done, 3, f"does not open keyslot {number}"), why(done))
    done = w.run("test", image, *key, "--keyslot", "0", "--json")
    check("and as JSON", json.loads(done.out)["reason"] == "not-of-this-keyslot", why(done))
    done = w.run("test", image, *key, "--keyslot", "7")
    check("a keyslot that is not there", no(done, 1, "no keyslot 7"), why(done))
    for bad in ("32", "-1", "x", "", "4x", "99999999999999999999"):
        done = w.run("test", image, *key, "--keyslot", bad)
        check(f"keyslot '{bad}'", done.returncode == 2 and "0 to 31" in done.err, why(done))
    done = w.run("test", image, "--clear-key", "--keyslot", "4")
    check("a clear key has no keyslot", done.returncode == 2 and "goes with" in done.err, why(done))
    unknown = w.new("sha384", "--hash", "sha384")
    done = w.run("test", unknown, "--passphrase-file", w.passes[0], "--keyslot", "0")
    check("a keyslot that cannot be tried", no(done, 1, "nothing could be tried", "keyslot 0", "hash"), why(done))
    bitlocker = w.name("bitlocker")
    subprocess.run([ROOT / "build/tests/bitlocker_write", "xts", bitlocker, w.name("bek")], capture_output=True, check=True)
    done = w.run("test", bitlocker, *key, "--keyslot", "4")
    check("BitLocker has no keyslots", no(done, 1, "no keyslots"), why(done))
    done = w.run("test", bitlocker, "--key-file", w.passes[1])
    check("BitLocker has no key file", no(done, 3, "has no key file", "passphrase"), why(done))


def test_some_untried(w):
    """One keyslot failed, others could not be tried: text and JSON say so alike."""
    image = w.new("some")
    lab.cryptsetup("luksAddKey", *lab.FAST, "-d", w.passes[0], "-S", "4", image, w.passes[1])
    done = w.run("test", image, "--json", "--passphrase-file", "-", data=b"mellon")
    check("all were tried: nothing is untried", done.returncode == 3 and "untried" not in json.loads(done.out), why(done))
    lab.cryptsetup("config", "--priority", "ignore", "-S", "4", image)
    for way, secret in (("--passphrase-file", b"mellon"), ("--recovery-password-file", new_password().encode())):
        done = w.run("test", image, "--json", way, "-", data=secret)
        said = json.loads(done.out)
        check(f"a keyslot to be ignored, {way}", done.returncode == 3 and said["reason"] == "not-of-this-volume" and
              [(p["number"], p["reason"]) for p in said.get("untried", [])] == [(4, "it is not tried unless it is named by --keyslot")] and
              "keyslot 4" in done.err and "was not tried" in done.err, why(done))


def test_unknown_kdf(w):
    image = w.new("kdf")
    lab.rewrite_json(image, lambda meta: meta["keyslots"]["0"]["kdf"].update(type="argon2d"))
    done = w.run("show", image)
    check("an unknown KDF is shown by its name", done.returncode == 0 and "keyslot 0, argon2d\n" in done.out, why(done))
    shown = json.loads(w.run("show", image, "--json").out)
    check("and in JSON without numbers", shown["protectors"][0]["kdf"] == {"name": "argon2d"}, shown)


def test_argon2(w):
    image = w.new("argon2")
    lab.cryptsetup("luksAddKey", "-q", "--pbkdf", "argon2id", "--pbkdf-force-iterations", "4", "--pbkdf-memory",
                   1 << 17, "-d", w.passes[0], "-S", "2", image, w.passes[1])
    opens(w, "Argon2id", image, "--passphrase-file", w.passes[1], says="keyslot 2")
    done = w.run("test", image, "--passphrase-file", w.passes[1], preexec_fn=little_memory)
    check("Argon2id without its memory is not called wrong",
          no(done, 1, "keyslot 2", "128 MiB", "memory"), why(done))
    done = w.run("test", image, "--passphrase-file", w.passes[0], preexec_fn=little_memory)
    check("and does not stand in the way of another keyslot", done.returncode == 0, why(done))


def little_memory():
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (100 << 20, 100 << 20))


def test_command_line(w):
    image, key = w.new("usage"), ["--passphrase-file", w.passes[0]]
    rows = [([], "show, test, decrypt or rebuild"), (["open"], "no 'volume open'"), (["show"], "IMAGE is missing"),
            (["show", image, *key], "needs nothing"), (["show", image, "more"], "not expected"),
            (["show", image, "--force"], "not an option"), (["test", image], "one of"),
            (["test", image, *key, "--clear-key"], "only one of"), (["test", image, "--passphrase-file"], "needs a value"),
            (["test", image, *key, *key], "only one of"), (["decrypt", image, *key], "OUT is missing"),
            (["decrypt", image, "a", "b", *key], "not expected"), (["test", image, "--key", "x"], "not an option")]
    for args, words in rows:
        done = w.run(*args)
        check(f"usage: {' '.join(a for a in args if '/' not in a)}", done.returncode == 2 and words in done.err and
              not done.out, why(done))
    for args in (["--help"], ["show", "--help"], ["test", "-h"], ["decrypt", "--help"]):
        done = w.run(*args)
        check(f"help: {' '.join(args)}", done.returncode == 0 and "usage: keyholt-desk volume" in done.out and not done.err
              and max(map(len, done.out.splitlines())) <= 110)


if __name__ == "__main__":
    sys.exit(run_tests(sys.argv[1:], globals()))
