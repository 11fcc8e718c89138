#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hand-off helper on a real LUKS2 header in a file and a folder that stands for efivarfs."""
import ctypes
import ctypes.util
import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import sys
import tempfile
import time
import uuid

from checks import LIBEXEC, Checks

HANDOFF = os.path.join(LIBEXEC, "handoff")
OURS = "6d2f1c8e-4b7a-4e0d-9b53-2a8e5f90c7d1"
GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
VOLUME = uuid.UUID("3f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0")
KEY_ID = uuid.UUID("0a1b2c3d-1111-2222-3333-444455556666")
PASSWORD = bytes(range(0x10, 0x20))
FS_IMMUTABLE, GETFLAGS, SETFLAGS = 0x10, 0x80086601, 0x40086602


def digits(password):
    return "-".join(f"{word * 11:06d}" for word in struct.unpack("<8H", password))


def share(role, nonce, volume, secret):
    return b"KHS\x01" + bytes([role, 0, 0, 0]) + nonce + volume.bytes_le + KEY_ID.bytes_le + secret


class Laptop:
    """A folder of EFI variables and a volume with one keyslot of a user and one for recovery."""

    image = None  # made once; no check writes to it

    def __init__(self):
        self.dir = tempfile.TemporaryDirectory()
        self.efivars = os.path.join(self.dir.name, "efivars")
        os.mkdir(self.efivars)
        self.var("SecureBoot", GLOBAL, b"\0", 6)

    def var(self, name, guid, data, attributes=7):
        with open(self.path(name, guid), "wb") as f:
            f.write(struct.pack("<I", attributes) + data)

    def path(self, name, guid=OURS):
        return os.path.join(self.efivars, f"{name}-{guid}")

    def get(self, name, guid=OURS):
        try:
            with open(self.path(name, guid), "rb") as f:
                return f.read()
        except FileNotFoundError:
            return None

    def hand_over(self, password=PASSWORD, volume=VOLUME, share_nonce=None):
        pad, nonce = os.urandom(16), os.urandom(16)
        self.var("KeyholtPad", OURS, share(1, nonce, volume, pad), 6)
        mixed = bytes(a ^ b for a, b in zip(password, pad))
        self.var("KeyholtShare", OURS, share(2, share_nonce or nonce, volume, mixed))

    def run(self, verb, *more):
        p = subprocess.run([HANDOFF, verb, "--efivars", self.efivars, *more], stdin=subprocess.DEVNULL,
                           capture_output=True, text=True, timeout=60)
        return p.returncode, p.stderr

    def open(self, *more):
        return self.run("open", "--device", volume_image(), "--test", *more)


def cryptsetup(*args, key=None):
    subprocess.run(["cryptsetup", "-q", *args], input=key, check=True, timeout=60, stdout=subprocess.DEVNULL)


def make_image(path, token, recovery=True):
    with open(path, "wb") as f:
        f.truncate(20 << 20)
    pbkdf = ["--pbkdf", "pbkdf2", "--pbkdf-force-iterations"]
    cryptsetup("luksFormat", "--type", "luks2", "--uuid", str(VOLUME), *pbkdf, "1000", "--key-file=-", path,
               key=b"the user's own")
    keyfile = path + ".key"
    with open(keyfile, "w") as f:
        f.write(digits(PASSWORD))
    if recovery:
        cryptsetup("luksAddKey", *pbkdf, "1234", "--key-file=-", "--new-key-slot", "5", path, keyfile,
                   key=b"the user's own")
    os.unlink(keyfile)
    if token:
        text = {"type": "keyholt", "keyslots": ["5"], "version": 1, "state": "live", "slot": 5, "count": 1234,
                "key_id": str(KEY_ID).upper(), "envelope": ""}
        cryptsetup("token", "import", path, key=json.dumps(text).encode())


images = tempfile.TemporaryDirectory()


def volume_image(token=True):
    path = os.path.join(images.name, f"volume-{token}")
    if not os.path.exists(path):
        make_image(path, token)
    return path


def opens(t):
    l = Laptop()
    l.hand_over()
    code, said = l.open()
    t.that("right shares open the volume", code == 0, (code, said))
    t.that("the non-volatile share is gone", l.get("KeyholtShare") is None)
    code, said = l.open()
    t.that("a second time there is nothing to hand over", code == 3, (code, said))

    l = Laptop()
    l.hand_over()
    code, said = l.run("open", "--test", "--device", volume_image(token=False))
    t.that("without a token the keyslot is found by its PBKDF2 count", code == 0, (code, said))


def refuses(t):
    l = Laptop()
    t.that("no shares: nothing was handed over, no word", l.open() == (3, ""), l.open())

    l = Laptop()
    l.hand_over(share_nonce=os.urandom(16))
    code, said = l.open()
    t.that("shares of two hand-offs open nothing", code == 1 and "cannot be used" in said, (code, said))

    l = Laptop()
    l.hand_over(volume=uuid.uuid4())
    code, said = l.open()
    t.that("a share for another volume opens nothing", code == 3, (code, said))
    t.that("and is left for that volume", l.get("KeyholtShare") is not None)
    code, said = l.run("clean")
    t.that("clean deletes it", code == 0 and l.get("KeyholtShare") is None, (code, said))
    t.that("clean without a share is fine", l.run("clean") == (0, ""))

    l = Laptop()
    l.hand_over(password=bytes(16))
    code, said = l.open()
    t.that("a wrong password opens nothing, and says so", code == 1 and "no keyslot" in said, (code, said))
    t.that("its share is gone all the same", l.get("KeyholtShare") is None)

    for name, change in (("truncated", lambda b: b[:-1]), ("longer", lambda b: b + b"\0"),
                         ("of a newer version", lambda b: b[:7] + b"\2" + b[8:]), ("empty", lambda b: b"")):
        l = Laptop()
        l.hand_over()
        with open(l.path("KeyholtShare"), "rb") as f:
            whole = f.read()
        with open(l.path("KeyholtShare"), "wb") as f:
            f.write(change(whole))
        code, said = l.open()
        t.that(f"a share that is {name} opens nothing", code == 1 and said, (code, said))

    l = Laptop()
    l.hand_over()
    plain = os.path.join(l.dir.name, "plain")
    with open(plain, "wb") as f:
        f.truncate(1 << 20)
    code, said = l.run("open", "--test", "--device", plain)
    t.that("a device without LUKS2 is none of ours", code == 3, (code, said))
    code, said = l.run("open", "--test", "--device", plain + ".absent")
    t.that("a device that is not there is named", code == 1 and "plain.absent" in said, (code, said))
    t.that("the share waits for the right device", l.get("KeyholtShare") is not None)


def set_immutable(path, on):
    fd = os.open(path, os.O_RDONLY)
    try:
        flags = struct.unpack("q", fcntl.ioctl(fd, GETFLAGS, struct.pack("q", 0)))[0]
        flags = flags | FS_IMMUTABLE if on else flags & ~FS_IMMUTABLE
        fcntl.ioctl(fd, SETFLAGS, struct.pack("q", flags))
        return True
    except OSError:
        return False
    finally:
        os.close(fd)


def stubborn_share(t):
    l = Laptop()
    l.hand_over()
    # root deletes from a folder without write permission, but not from an immutable one
    if os.geteuid() != 0:
        os.chmod(l.efivars, 0o555)
    elif not set_immutable(l.efivars, True):
        t.skip("a share that cannot be deleted", "this file system has no immutable flag")
        return
    try:
        code, said = l.open()
        cleaned = l.run("clean")
    finally:
        set_immutable(l.efivars, False)
        os.chmod(l.efivars, 0o755)
    t.that("a share that cannot be deleted: the volume stays closed", code == 1, (code, said))
    t.that("and it says why", "could not be deleted" in said and "not opened" in said, said)
    t.that("clean says so, too", cleaned[0] == 1 and "could not be deleted" in cleaned[1], cleaned)

    if not set_immutable(l.path("KeyholtShare"), True):
        t.skip("clearing the immutable flag", "needs root and a file system that has one")
        return
    code, said = l.open()
    t.that("an immutable share, as efivarfs makes them, is deleted", code == 0 and not l.get("KeyholtShare"),
           (code, said))


def kernel_key(t):
    try:
        lib = ctypes.CDLL(ctypes.util.find_library("keyutils") or "libkeyutils.so.1", use_errno=True)
        user, session = -4, -3
        lib.keyctl_join_session_keyring(None)
        if lib.keyctl_link(user, session) < 0:
            raise OSError(ctypes.get_errno(), "keyctl_link")
    except OSError as e:
        t.skip("the password as a kernel key", f"no kernel keyring here: {e}")
        return
    l = Laptop()
    l.hand_over()
    code, said = l.open()
    name = f"keyholt:{VOLUME}".encode()
    key = lib.keyctl_search(user, b"user", name, 0)
    t.that("the kernel keeps a key for the agent", code == 0 and key > 0, (code, said, key))
    if key <= 0:
        return
    buf = ctypes.create_string_buffer(64)
    n = lib.keyctl_read(key, buf, 64)
    t.that("it holds the 16 bytes", buf.raw[:n] == PASSWORD, n)
    n = lib.keyctl_describe(key, buf, 64)
    perm = int(buf.value.split(b";")[3], 16)
    t.that("nobody but the owner may read it", perm & 0xffff == 0 and perm & 0x030000 == 0x030000, hex(perm))
    with open("/proc/keys") as f:
        line = [x for x in f if name.decode() in x]
    t.that("it expires within ten minutes", line and line[0].split()[3] in ("9m", "10m"), line)
    lib.keyctl_unlink(key, user)


def boot_entry(description="Keyholt recovery", path="\\EFI\\keyholt\\recovery.efi", argument=""):
    text = path.encode("utf-16-le") + b"\0\0"
    drive = struct.pack("<BBHIQQ16sBB", 4, 1, 42, 1, 2048, 204800, uuid.uuid4().bytes_le, 2, 2)
    nodes = drive + struct.pack("<BBH", 4, 4, 4 + len(text)) + text + struct.pack("<BBH", 0x7f, 0xff, 4)
    return struct.pack("<IH", 1, len(nodes)) + description.encode("utf-16-le") + b"\0\0" + nodes + argument.encode("utf-16-le")


def to_recovery(t):
    l = Laptop()
    code, said = l.run("to-recovery", "--reason", "passphrase")
    t.that("no boot entry: the answer is no", code == 3 and "boot menu" in said, (code, said))
    l.var("Boot0000", GLOBAL, boot_entry("debian", "\\EFI\\debian\\shimx64.efi"))
    l.var("Boot0001", GLOBAL, boot_entry(path="\\EFI\\other\\recovery.efi"))
    l.var("Boot0002", GLOBAL, boot_entry(description="Keyholt"))
    l.var("Boot0003", GLOBAL, boot_entry(path="\\EFI\\debian\\shimx64.efi"))
    l.var("Boot0004", GLOBAL, boot_entry(path="\\EFI\\debian\\shimx64.efi", argument="\\EFI\\other\\recovery.efi"))
    for cut in range(0, 60, 7):  # damaged entries of other people
        l.var(f"Boot01{cut:02X}", GLOBAL, boot_entry()[:cut])
    code, said = l.run("to-recovery", "--reason", "tpm")
    t.that("entries that are not ours are left alone", code == 3 and l.get("BootNext", GLOBAL) is None, (code, said))
    l.var("Boot0A1F", GLOBAL, boot_entry(path="\\EFI\\KEYHOLT\\RECOVERY.EFI"))
    for reason, value in (("passphrase", 2), ("tpm", 3), ("user", 4)):
        before = int(time.time()) - 1  # time(2) may be a tick behind
        code, said = l.run("to-recovery", "--reason", reason)
        t.that(f"reason {reason}: the next start is recovery",
               code == 0 and l.get("BootNext", GLOBAL) == struct.pack("<IH", 7, 0x0a1f), (code, said))
        got = l.get("KeyholtReason") or b""
        t.that(f"reason {reason} is written", got[:12] == b"\7\0\0\0KHQ\1" + bytes([value, 0, 0, 0]) and
               before <= struct.unpack("<Q", got[12:])[0] <= time.time(), got)
    l.var("Boot0A1F", GLOBAL, boot_entry("debian"))
    l.var("Boot0B00", GLOBAL, boot_entry(path="\\EFI\\debian\\shimx64.efi", argument="\\EFI\\keyholt\\recovery.efi\0"))
    code, said = l.run("to-recovery", "--reason", "user")
    t.that("shim that is told to start the app is as good", code == 0 and l.get("BootNext", GLOBAL) == struct.pack("<IH", 7, 0x0b00), (code, said))
    code, said = l.run("to-recovery", "--reason", "boredom")
    t.that("an unknown reason is a wrong command", code == 2, code)
    os.unlink(l.path("BootNext", GLOBAL))
    os.mkdir(l.path("BootNext", GLOBAL))  # what the firmware refuses
    code, said = l.run("to-recovery", "--reason", "tpm")
    t.that("a firmware that takes no next start is named", code == 1 and "does not take the next start" in said, (code, said))
    t.that("and no reason is left behind", l.get("KeyholtReason") is None, l.get("KeyholtReason"))
    l.efivars += "/absent"
    t.that("a machine without UEFI: the answer is no", l.run("to-recovery", "--reason", "user")[0] == 3)
    t.that("a machine without UEFI: nothing to clean", l.run("clean") == (0, ""))


def offer(laptop, answer, device, *more, seconds="60"):
    """Ask on a terminal of its own; answer when the question is there."""
    leader, follower = pty.openpty()
    p = subprocess.Popen([HANDOFF, "offer", "--efivars", laptop.efivars, "--device", device, "--seconds", seconds,
                          *more],
                         stdin=follower, stdout=follower, stderr=follower, start_new_session=True)
    os.close(follower)
    seen, until = b"", time.monotonic() + 90
    while time.monotonic() < until:
        if select.select([leader], [], [], 0.2)[0]:
            try:
                seen += os.read(leader, 4096)
            except OSError:
                break
        if answer and b"or Enter to" in seen and seen.endswith(b": "):
            os.write(leader, answer)
            answer = None
    code = p.wait(60)
    os.close(leader)
    return code, seen.decode(errors="replace")


def offers(t):
    question = "The passphrase was not accepted. Press r and Enter to restart into Keyholt recovery, or Enter"
    l = Laptop()
    code, seen = offer(l, b"r\n", volume_image())
    t.that("no boot entry: nobody is asked", code == 3 and seen == "", (code, seen))
    l.var("Boot0003", GLOBAL, boot_entry())
    code, seen = offer(l, b"r\n", volume_image(token=False))
    t.that("not our volume: nobody is asked", code == 3 and seen == "", (code, seen))
    code, seen = offer(l, b"\n", volume_image())
    t.that("Enter goes on as before", code == 3 and question in seen, (code, seen))
    code, seen = offer(l, b"rather not\n", volume_image())
    t.that("another answer goes on as before", code == 3, (code, seen))
    code, seen = offer(l, None, volume_image(), seconds="1")
    t.that("silence goes on as before", code == 3 and question in seen, (code, seen))
    code, seen = offer(l, b"\n", volume_image(), "--before-shell")
    t.that("before Debian's shell, the offer names the shell", code == 3 and "emergency shell: " in seen, (code, seen))
    t.that("until then nothing was written", l.get("BootNext", GLOBAL) is None)
    code, seen = offer(l, b"r\n", volume_image())
    t.that("r leads to recovery", code == 0 and l.get("BootNext", GLOBAL) == struct.pack("<IH", 7, 3), (code, seen))
    t.that("with the reason", (l.get("KeyholtReason") or b"")[8:9] == b"\2", l.get("KeyholtReason"))


def command_line(t):
    for args in ([], ["dance"], ["open"], ["open", "--device", "x"], ["offer"], ["to-recovery"],
                 ["clean", "more"], ["offer", "--device", "x", "--seconds", "soon"]):
        p = subprocess.run([HANDOFF, *args], capture_output=True, text=True, timeout=60)
        t.that(f"usage for {args}", p.returncode == 2 and p.stderr.startswith("usage:"), (p.returncode, p.stderr))


if not os.path.exists(HANDOFF):
    sys.exit(f"{HANDOFF} is missing: make")
Checks().run(opens, refuses, stubborn_share, kernel_key, to_recovery, offers, command_line)
