#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""keyholt-desk volume when something is wrong: damaged and cut images, no room, signals, files in the way; what it
leaves behind, how much memory it takes, and that it only ever reads IMAGE.

usage: tests/desk/test_volume_hostile.py     Needs build/bin/keyholt-desk, cryptsetup, strace. 'N passed, N failed'."""
import contextlib
import os
import pty
import re
import resource
import select
import shutil
import signal
import subprocess
import sys
import time

import volume_lab
from volume_lab import DESK, KEY_ID, MIB, bitlocker_images, check, lab, new_password, no, run_tests, sha256, skip, why

GIB = 1 << 30
RSS_MAX_KIB = 32 << 10


def large(w, size=200 * MIB):
    """A volume that takes a while: its holes decrypt to what is no zero."""
    image = w.new("large", "--sector-size", "4096")
    os.truncate(image, size)
    password = new_password()
    w.protect(image, password)
    return image, ["--recovery-password-file", w.password_file(password)]


class Running:
    """A decrypt on its way, in a folder of its own."""

    def __init__(self, w, image, way, folder=None, **more):
        self.folder = folder or w.name(f"running-{w.n}")
        os.makedirs(self.folder, exist_ok=True)
        w.n += 1
        self.out = os.path.join(self.folder, "out")
        self.said = open(w.name(f"said/running-{w.n}"), "wb+")
        self.p = subprocess.Popen([DESK, "volume", "decrypt", image, self.out, *way], stdout=self.said, stderr=self.said,
                                  **more)

    def written(self):
        """Bytes that its file holds by now; it has no name yet."""
        with contextlib.suppress(OSError):
            for fd in os.listdir(f"/proc/{self.p.pid}/fd"):
                path = f"/proc/{self.p.pid}/fd/{fd}"
                if os.readlink(path).startswith(os.path.realpath(self.folder)):
                    return os.stat(path).st_blocks * 512
        return 0

    def half_way(self, at=32 * MIB):
        """Stops it there; does it still have to do?"""
        end = time.monotonic() + 60
        while self.p.poll() is None and self.written() < at and time.monotonic() < end:
            time.sleep(0.001)
        self.p.send_signal(signal.SIGSTOP)
        while self.p.poll() is None and not self.stopped():
            time.sleep(0.001)
        return self.p.poll() is None and not os.path.exists(self.out)

    def stopped(self):
        """Each of its threads."""
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{self.p.pid}/task"):
                with open(f"/proc/{self.p.pid}/task/{task}/stat", encoding="ascii", errors="replace") as f:
                    if f.read().rsplit(")", 1)[1].split()[0] != "T":
                        return False
        return True

    def go_on_with(self, number):
        """What it gets when it goes on."""
        self.p.send_signal(number)
        self.p.send_signal(signal.SIGCONT)

    def end(self):
        code = self.p.wait(timeout=300)
        self.said.seek(0)
        text = self.said.read().decode()
        self.said.close()
        return code, text


def caught_half_way(w, image, way, **more):
    """One that is stopped half-way; on a busy machine it may be done before it is looked at, and another one is begun."""
    for _ in range(20):
        r = Running(w, image, way, **more)
        if r.half_way():
            break
        r.end()
        os.unlink(r.out)
    return r


def test_signals(w):
    image, way = large(w)
    for name, number, code in (("SIGKILL", signal.SIGKILL, -signal.SIGKILL), ("SIGINT", signal.SIGINT, 1),
                               ("SIGTERM", signal.SIGTERM, 1), ("SIGHUP", signal.SIGHUP, 1)):
        r = caught_half_way(w, image, way)
        r.go_on_with(number)
        got, text = r.end()
        check(f"{name} half-way ends it", got == code, f"exit {got}: {text}")
        check(f"{name} leaves nothing at all", os.listdir(r.folder) == [], os.listdir(r.folder))
        check(f"{name} is told, where it can be", "nothing" in text if code == 1 else text == "", text)


def peak_kib(r):
    """The most memory that it took, looked at half-way and from there until it ends."""
    most = 0
    while r.p.poll() is None:
        with contextlib.suppress(OSError, TypeError):
            with open(f"/proc/{r.p.pid}/status", encoding="ascii") as f:
                most = max(most, int(re.search(r"VmHWM:\s+(\d+)", f.read())[1]))
        r.p.send_signal(signal.SIGCONT)
        time.sleep(0.002)
    return most


def test_memory(w):
    image, way = large(w, GIB)
    r = caught_half_way(w, image, way)
    most = peak_kib(r)
    code, text = r.end()
    check("1 GiB decrypts", code == 0 and os.path.getsize(r.out) == GIB - (16 << 20), text)
    check(f"and takes at most {RSS_MAX_KIB >> 10} MiB of memory (VmHWM {most / 1024:.1f} MiB)", 0 < most <= RSS_MAX_KIB, most)


def test_memory_of_key_file(w):
    """A key file is held once, however many keyslots it is tried on."""
    image, _ = large(w)
    key = w.write("given/key", os.urandom(8 * MIB))
    lab.cryptsetup("luksAddKey", *lab.FAST, "-d", w.passes[0], "-S", "9", image, key)
    r = caught_half_way(w, image, ["--key-file", key])
    most = peak_kib(r)
    code, text = r.end()
    check("a key file of 8 MiB decrypts", code == 0, text)
    check(f"and takes little more memory than itself (VmHWM {most / 1024:.1f} MiB)", 8 << 10 < most <= 24 << 10, most)


def test_progress(w):
    """A bar on a terminal; nothing of it elsewhere. The disk is a slow one: a fast one needs no bar."""
    if not shutil.which("strace"):
        return skip("the bar", "no strace")
    image, way = large(w, GIB)
    slow = ["strace", "-f", "-o", "/dev/null", "-e", "trace=pread64", "-e", "inject=pread64:delay_exit=4000"]
    folder = w.name("terminal")
    os.mkdir(folder)
    pid, fd = pty.fork()
    if pid == 0:
        command = (*slow, DESK, "volume", "decrypt", image, os.path.join(folder, "out"), *way)
        os.execvp(command[0], [str(a) for a in command])
    text = b""
    while select.select([fd], [], [], 60)[0]:
        try:
            text += os.read(fd, 65536)
        except OSError:  # the other end is closed
            break
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(fd)
    w.write("said/terminal", text)
    shown = [int(n) for n in re.findall(rb"(\d+) % of", text)]
    check("a terminal shows how far it is", code == 0 and len(shown) > 2 and shown == sorted(shown) and b"left" in text, text[-300:])
    check("and at the end only the result", b"decrypted: 1008 MiB" in text.rsplit(b"\r\x1b[K", 1)[-1], text[-300:])
    os.unlink(os.path.join(folder, "out"))
    r = Running(w, image, way)
    r.half_way(256 * MIB)
    r.go_on_with(signal.SIGTERM)
    _, text = r.end()
    check("no bar in a file", text.count("\n") == 1 and "%" not in text and "\r" not in text, text)
    return None


def test_secrets(w):
    """Nothing but the file that it was given in holds the password: no core, no output, no argument."""
    image, way = large(w)
    folder = w.name("crash")
    os.mkdir(folder)
    r = caught_half_way(w, image, way, folder=folder, cwd=folder, preexec_fn=any_core)
    with open(f"/proc/{r.p.pid}/cmdline", "rb") as f:
        w.write("said/cmdline", f.read())
    with open(f"/proc/{r.p.pid}/limits", encoding="ascii") as f:
        check("no core is wanted", re.search(r"Max core file size\s+0 ", f.read()))
    r.go_on_with(signal.SIGSEGV)
    code, _ = r.end()
    check("a crash half-way leaves no core and no OUT", code == -signal.SIGSEGV and os.listdir(folder) == [],
          f"exit {code}, {os.listdir(folder)}")
    out = w.name("out")
    done = w.run("decrypt", image, out, "--json", *way)
    check("the whole run", done.returncode == 0, why(done))
    os.unlink(out)
    hits = volume_lab.secret_search.search([w.name(n) for n in os.listdir(w.path) if n not in ("given", "large")],
                                           w.secrets)
    check("no recovery password in anything that was written", w.secrets and not hits, hits)


def any_core():
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def broken(w, name, image, way, *words):
    """Bad input: exit 1, one sentence, nothing of OUT."""
    out = w.name("out")
    for verb in (["show", image], ["decrypt", image, out, *way]):
        done = w.run(*verb)
        if verb[0] == "show" and done.returncode == 0:
            continue  # what is damaged lies behind the header
        if not no(done, 1, *words):
            check(f"{name}, {verb[0]}", False, why(done))
    check(f"{name}: nothing of OUT", not os.path.exists(out))
    check(f"{name}: exit 1 and one sentence", no(done, 1, *words), why(done))


def test_cut_luks2(w):
    password = new_password()
    whole = w.new("whole")
    w.protect(whole, password)
    way = ["--recovery-password-file", w.password_file(password)]
    for size in (0, 1, 100, 511, 512, 4095, 4096, 5000, 16383, 16384, 20000, 32768, 100000, 1 << 20, 16 << 20):
        image = w.copy(whole, "cut")
        os.truncate(image, size)
        broken(w, f"LUKS2 cut to {size} bytes", image, way, "offset")
    fs = w.write("fs", size=4 * MIB)
    subprocess.run(["mkfs.ext4", "-q", fs], check=True)
    image = w.copy(whole, "cut")
    with open(fs, "rb") as f:
        w.fill(image, f.read(64 << 10))
    done = w.run("decrypt", image, w.name("fits"), *way)
    check("an ext4 file system that fits", done.returncode == 0, why(done))
    os.truncate(image, (19 << 20))
    broken(w, "an ext4 file system whose end is missing", image, way, "4194304 bytes", f"offset {19 << 20}", "--cut-short")
    cut_short(w, "an ext4 file system", image, way, w.name("fits"), 3 << 20, MIB)
    done = w.run("decrypt", whole, w.name("out"), *way, "--cut-short", "--json")
    check("--cut-short where nothing is missing", done.returncode == 0 and not done.err and "missing" not in done.out, why(done))
    os.unlink(w.name("out"))
    image = w.copy(whole, "fixed")
    lab.rewrite_json(image, lambda meta: meta["segments"]["0"].update(size=str(6 << 20)))
    broken(w, "a segment of fixed size whose end is missing", image, way, "ends before its data", "--cut-short")
    w.run("decrypt", whole, w.name("plain"), *way)
    cut_short(w, "a segment of fixed size", image, way, w.name("plain"), 4 << 20, 2 << 20)
    image = w.copy(whole, "cut")
    os.truncate(image, (16 << 20) + 10 * 512 + 100)
    done = w.run("decrypt", image, w.name("out"), *way)
    check("a part of a sector at the end is left out", done.returncode == 0 and
          os.path.getsize(w.name("out")) % 512 == 0, why(done))


def cut_short(w, name, image, way, whole, size, missing):
    """What is there, with a warning; whole: a file that it is the beginning of."""
    out = w.name("out")
    done = w.run("decrypt", image, out, *way, "--cut-short", "--json")
    with open(whole, "rb") as f:
        want = f.read(size)
    good = done.returncode == 0 and open(out, "rb").read() == want
    check(f"--cut-short: {name}", good and lab.json.loads(done.out)["missing"] == missing and
          "end is missing" in done.err and done.err.count("\n") == 1, why(done))
    if os.path.exists(out):
        os.unlink(out)


def test_large_copies(w):
    """Both copies need more memory than usual, the second, newer one more than the first."""
    image, size = w.new("large-copies", "--luks2-metadata-size", "1m", size=40 << 20), MIB
    with open(image, "r+b") as f:
        data = bytearray(f.read(2 * size))
        for off, newer, n in ((0, 0, 300000), (size, 1, 600000)):
            meta = lab.json.loads(data[off + 4096:off + size].split(b"\0")[0])
            meta["tokens"]["0"] = {"type": "of-others", "keyslots": [], "text": "x" * n}
            data[off + 23] += newer  # the last byte of the sequence number
            lab.set_text(data, off, lab.json.dumps(meta, separators=(",", ":")).encode(), size)
        f.seek(0)
        f.write(data)
    done = w.run("test", image, "--passphrase-file", w.passes[0])
    check("a newer, larger second copy is read", done.returncode == 0, why(done))
    lab.cryptsetup("open", "--test-passphrase", "-d", w.passes[0], image)  # this makes the first like the second


def test_damaged_luks2(w):
    password = new_password()
    whole = w.new("whole")
    w.protect(whole, password)
    way = ["--recovery-password-file", w.password_file(password)]
    image = w.copy(whole, "both")
    for off in (4096 + 10, 16384 + 4096 + 10):
        lab.flip(image, off)
    broken(w, "both headers damaged", image, way, "offset")
    image = w.copy(whole, "json")
    lab.rewrite_json(image, lambda meta: meta.pop("segments"))
    broken(w, "no segments", image, way)
    image = w.copy(whole, "requirement")
    lab.rewrite_json(image, lambda meta: meta["config"].update(requirements={"mandatory": ["time-travel"]}))
    broken(w, "an unknown requirement", image, way, "time-travel")
    image = w.copy(whole, "short")
    lab.rewrite_json(image, lambda meta: meta["segments"]["0"].update(size=str(1 << 40)))
    broken(w, "a segment larger than the device", image, way)
    image = w.copy(whole, "area")
    area = lab.metadata(image)["keyslots"]["1"]["area"]
    lab.overwrite(image, int(area["offset"]), bytes(4096))
    done = w.run("test", image, *way)
    check("a wiped keyslot does not open", no(done, 3, KEY_ID), why(done))


def test_other_input(w):
    way = ["--passphrase-file", w.passes[0]]
    broken(w, "random bytes", w.write("random", os.urandom(MIB)), way, "neither a LUKS2 nor a BitLocker volume")
    broken(w, "no such file", w.name("none"), way, "not found")
    broken(w, "a folder", w.name("said"), way)
    os.mkfifo(w.name("fifo"))
    broken(w, "a FIFO", w.name("fifo"), way, "neither a file nor a block device")
    broken(w, "a terminal's device", "/dev/null", way, "neither a file nor a block device")
    broken(w, "a whole disk", w.write("disk", bytes(512) + b"EFI PART" + bytes(2048)), way, "name the partition")
    image = w.new("image")
    for name, path in (("a missing password file", w.name("none")), ("an empty password file", w.write("empty")),
                       ("a folder as password file", w.name("said"))):
        for option in ("--recovery-password-file", "--passphrase-file", "--startup-key"):
            done = w.run("test", image, option, path)
            check(f"{name}, {option}", no(done, 1, "cannot be read"), why(done))


def test_broken_bitlocker(w):
    images = [(c, i) for c, i in bitlocker_images() if c.name == "bitlk-aes-xts-128"]
    if not images:
        return skip("broken BitLocker volumes", f"no {volume_lab.DATA}/bitlk")
    conf, whole = images[0]
    way = ["--recovery-password-file", w.password_file(conf["RP"])]
    for size in (0, 8, 100, 511, 512, 4096, 1 << 20, 34 << 20, (100 << 20) - 512):
        image = w.name("cut")
        subprocess.run(["cp", "--sparse=always", whole, image], check=True)
        os.truncate(image, size)
        broken(w, f"BitLocker cut to {size} bytes", image, way, "offset")
    w.run("decrypt", whole, w.name("plain"), *way)  # image: still the one that lacks a sector
    cut_short(w, "BitLocker", image, way, w.name("plain"), (100 << 20) - 512, 512)
    with open(whole, "rb") as f:
        head = f.read(512)
    blocks = [int.from_bytes(head[176 + 8 * i:184 + 8 * i], "little") for i in range(3)]
    subprocess.run(["cp", "--sparse=always", whole, w.name("bad")], check=True)
    for n, off in enumerate(blocks):
        lab.overwrite(w.name("bad"), off + 70, b"\xff" * 100)
        if n < 2:
            done = w.run("show", w.name("bad"))
            check(f"{n + 1} of 3 metadata blocks damaged: shown, and told", done.returncode == 0 and
                  f"{2 - n} of 3 metadata blocks are good" in done.out and "offset" in done.out, why(done))
            done = w.run("test", w.name("bad"), *way)
            check(f"{n + 1} of 3 metadata blocks damaged: opens", done.returncode == 0, why(done))
    broken(w, "3 of 3 metadata blocks damaged", w.name("bad"), way, "offset")


def test_out_in_the_way(w):
    image = w.new("image")
    way = ["--passphrase-file", w.passes[0]]
    before, old = sha256(image), w.write("old", b"old")
    rows = [("exists", old, [], "--force"), ("is a folder", w.name("said"), ["--force"], "no regular file"),
            ("is a device", "/dev/null", ["--force"], "no regular file"), ("is IMAGE", image, ["--force"], "never written"),
            ("is the passphrase file", w.passes[0], ["--force"], "never written"),
            ("is a link that leads nowhere", w.name("nowhere"), [], "leads to none"),
            ("is a link that leads nowhere, --force", w.name("nowhere"), ["--force"], "leads to none"),
            ("lies in no folder", w.name("none/out"), [], "not found")]
    os.symlink(image, w.name("link"))
    os.symlink(w.name("no such file"), w.name("nowhere"))
    os.link(image, w.name("hard"))
    rows += [("leads to IMAGE", w.name("link"), ["--force"], "never written"),
             ("is IMAGE by another name", w.name("hard"), ["--force"], "never written")]
    for name, out, more, words in rows:
        done = w.run("decrypt", image, out, *way, *more)
        check(f"OUT {name}", no(done, 1, words), why(done))
    check("what was there is there", open(old, "rb").read() == b"old" and sha256(image) == before)
    done = w.run("decrypt", image, old, *way, "--force")
    check("--force replaces a file", done.returncode == 0 and os.path.getsize(old) == 4 << 20, why(done))
    left = set(os.listdir(w.path)) - {"said", "given", "image", "old", "link", "hard", "nowhere", *(f"pass{i}" for i in range(4))}
    check("no other file appeared", not left, left)


def test_where_reading_failed(w):
    """What cannot be read in the header, and has a second copy, is not where the data fails."""
    if not shutil.which("strace"):
        return skip("where reading failed", "no strace")
    (image, way), folder = large(w, 128 * MIB), w.name("folder")
    injected(w, image, way, folder)
    os.unlink(os.path.join(folder, "out"))
    with open(w.name("trace"), encoding="utf-8", errors="replace") as f:
        reads = [x for x in f if "pread64(" in x]
    nth = 1 + next(i for i, x in enumerate(reads) if ", 16384) = 512" in x)  # the secondary header: not needed
    done, left = injected(w, image, way, folder, f"pread64:error=EIO:when={nth}")  # and as many reads later in each thread
    with open(w.name("trace"), encoding="utf-8", errors="replace") as f:
        hit = [x for x in f if "INJECTED" in x]
    said = re.search(r"at offset (\d+)", done.err)
    check("a read of the header and one of the data failed", len(hit) > 1 and ", 16384)" in hit[0], hit)
    check("the offset that is told is the one of the data", no(done, 1, "cannot be read") and said and
          int(said[1]) >= 16 * MIB and left == [], (why(done), left))


def test_no_answer(w):
    """Where standard output is full, OUT is there, and that is said."""
    image, way = w.new("image"), ["--passphrase-file", w.passes[0]]
    for more in ([], ["--json"]):
        with open("/dev/full", "wb") as full:
            out = w.name("out")
            for verb in (["test", image], ["decrypt", image, out, "--force"]):
                done = subprocess.run([DESK, "volume", *verb, *way, *more], stdout=full, stderr=subprocess.PIPE, timeout=60)
                words = [b"answer cannot be written"] + ([b"is complete"] if verb[0] == "decrypt" else [])
                check(f"no room for the answer of {verb[0]} {more}", done.returncode == 1 and
                      all(x in done.stderr for x in words), done)
        check("OUT is there", os.path.getsize(out) == 4 << 20)


@contextlib.contextmanager
def mounted(w, *options):
    """A folder with a small file system in it, None where that cannot be had."""
    folder = w.name("mount")
    os.makedirs(folder, exist_ok=True)
    done = subprocess.run(["mount", *map(str, options), folder], capture_output=True, text=True)
    try:
        yield folder if done.returncode == 0 else None
    finally:
        if done.returncode == 0:
            subprocess.run(["umount", folder], check=True)


def test_no_room(w):
    if os.geteuid() != 0:
        return skip("a full file system", "mounting one needs root")
    image, way = large(w)
    with mounted(w, "-t", "tmpfs", "-o", "size=16M", "tmpfs") as folder:
        if not folder:
            return skip("a full file system", "tmpfs cannot be mounted")
        done = w.run("decrypt", image, os.path.join(folder, "out"), *way)
        check("a full file system", no(done, 1, "no room"), why(done))
        check("nothing is left on it", os.listdir(folder) == [] and shutil.disk_usage(folder).used < MIB)


def test_no_nameless_files(w):
    """FAT has no O_TMPFILE, no links, no permissions: the file lies beside, and goes when it fails."""
    fat = w.write("fat", size=48 << 20)
    if os.geteuid() != 0 or not shutil.which("mkfs.vfat"):
        return skip("FAT", "needs root and mkfs.vfat")
    subprocess.run(["mkfs.vfat", fat], check=True, capture_output=True)
    with mounted(w, "-o", "loop", fat) as folder:
        if not folder:
            return skip("FAT", "it cannot be mounted here")
        out, image, way = os.path.join(folder, "out"), w.new("small"), ["--passphrase-file", w.passes[0]]
        done = w.run("decrypt", image, out, *way)
        check("FAT: decrypts", done.returncode == 0 and os.listdir(folder) == ["out"], why(done))
        done = w.run("decrypt", image, out, *way)
        check("FAT: exists", no(done, 1, "--force"), why(done))
        done = w.run("decrypt", image, out, *way, "--force")
        check("FAT: --force", done.returncode == 0 and os.listdir(folder) == ["out"], why(done))
        os.unlink(out)
        image, way = large(w)
        done = w.run("decrypt", image, out, *way)
        check("FAT: no room, nothing left", no(done, 1, "no room") and os.listdir(folder) == [], why(done))


def injected(w, image, way, folder, *faults):
    """decrypt with system calls that fail: (what it said, names in the folder of OUT)"""
    os.makedirs(folder, exist_ok=True)
    command = ["strace", "-f", "-o", w.name("trace"), "-e", "trace=openat,pread64,pwrite64,fsync,linkat,renameat2"]
    for fault in faults:
        command += ["-e", f"inject={fault}"]
    done = subprocess.run([*command, DESK, "volume", "decrypt", image, os.path.join(folder, "out"), *way],
                          capture_output=True, timeout=120)
    done.out, done.err = done.stdout.decode(), done.stderr.decode()
    return done, sorted(os.listdir(folder))


def test_faults(w):
    """What a disk, a file system and a kernel can do, injected by strace."""
    if not shutil.which("strace"):
        return skip("failing system calls", "no strace")
    (image, way), folder = large(w, 128 * MIB), w.name("folder")
    injected(w, image, way, folder)
    with open(w.name("trace"), encoding="utf-8", errors="replace") as f:
        lines = f.readlines()
    nth = 1 + next(i for i, line in enumerate([x for x in lines if "openat(" in x]) if "O_TMPFILE" in line)
    main = lines[0].split()[0]
    reads = sum("pread64(" in x and x.split()[0] == main for x in lines)  # of the header
    check("the 30th read of a thread is one of data", reads < 30, reads)
    os.unlink(os.path.join(folder, "out"))
    old = f"openat:error=EOPNOTSUPP:when={nth}"
    for name, first in (("nameless", []), ("named", [old])):
        for fault, words in (("pwrite64:error=ENOSPC:when=2", "no room"), ("pwrite64:error=EIO:when=1", "nothing of it was kept"),
                             ("fsync:error=EIO", "nothing of it was kept"), ("fsync:error=ENOSPC", "no room"),
                             ("pread64:error=EIO:when=30", "offset")):
            done, left = injected(w, image, way, folder, *first, fault)
            check(f"{name} file, {fault.rsplit(':when', 1)[0]}: told, nothing left", no(done, 1, words) and left == [], (why(done), left))
    done, left = injected(w, image, way, folder, old)
    check("without O_TMPFILE", done.returncode == 0 and left == ["out"], why(done))
    done, left = injected(w, image, [*way, "--force"], folder, old)
    check("without O_TMPFILE, --force", done.returncode == 0 and left == ["out"], why(done))
    os.unlink(os.path.join(folder, "out"))
    done, left = injected(w, image, way, folder, old, "renameat2:error=EINVAL")
    check("without O_TMPFILE and RENAME_NOREPLACE", done.returncode == 0 and left == ["out"], why(done))


def test_block_device(w):
    image = w.new("image")
    loop = subprocess.run(["losetup", "--read-only", "--find", "--show", image], capture_output=True, text=True) \
        if os.geteuid() == 0 and shutil.which("losetup") else None
    if not loop or loop.returncode != 0:
        return skip("a block device", "no loop device can be had here")
    device = loop.stdout.strip()
    try:
        done = w.run("decrypt", device, w.name("out"), "--passphrase-file", w.passes[0])
        check("a read-only block device", done.returncode == 0 and os.path.getsize(w.name("out")) == 4 << 20, why(done))
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)


def test_only_reads(w):
    """As the kernel sees it."""
    if not shutil.which("strace"):
        return skip("how IMAGE is opened", "no strace")
    image, trace = w.new("image"), w.name("trace")
    for verb in (["show", image], ["test", image], ["decrypt", image, w.name("out")]):
        way = [] if verb[0] == "show" else ["--passphrase-file", w.passes[0]]
        done = subprocess.run(["strace", "-f", "-o", trace, "-e", "trace=open,openat,openat2,creat,truncate,rename,unlink",
                               DESK, "volume", *verb, *way], capture_output=True)
        with open(trace, encoding="utf-8", errors="replace") as f:
            lines = [line for line in f if f'"{image}"' in line]
        check(f"{verb[0]} opens IMAGE for reading only", done.returncode == 0 and lines and
              all("O_RDONLY" in line for line in lines), lines or done.stderr)


if __name__ == "__main__":
    sys.exit(run_tests(sys.argv[1:], globals()))
