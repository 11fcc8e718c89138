# SPDX-License-Identifier: GPL-3.0-or-later
"""What the LUKS2 tests on real parts share: cryptsetup on plain files, our reader, and a second opinion.

No root, no device mapper. The second opinion decrypts with the openssl command, block by block (AES-ECB), and does
the modes itself, so that neither our code nor our choice of library calls is asked about itself.
"""
import hashlib
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile

TOOL = 'build/tests/luks2_tool'
FAST = ['-q', '--pbkdf', 'pbkdf2', '--pbkdf-force-iterations', '1000']
HASHES = {'sha1': 1, 'sha256': 2, 'sha512': 3}
HDR = 16384


def cryptsetup(*args, stdin=None):
    p = subprocess.run(['cryptsetup', *map(str, args)], input=stdin, capture_output=True, timeout=180)
    assert p.returncode == 0, f"cryptsetup {' '.join(map(str, args))}: {p.stderr.decode()}"
    return p.stdout


def tool(*args):
    """(exit code, last line of what it says)"""
    p = subprocess.run([TOOL, *map(str, args)], capture_output=True, text=True, timeout=180)
    assert p.returncode in (0, 1), f'{args}: exit {p.returncode}: {p.stderr}'
    lines = (p.stdout or p.stderr).strip().splitlines()
    return p.returncode, lines[-1] if lines else ''


def reason(image):
    """Why our reader refuses an image: the error's name and the words in brackets."""
    p = subprocess.run([TOOL, 'show', image], capture_output=True, text=True, timeout=180)
    assert p.returncode == 1, f'{image}: exit {p.returncode}'
    lines = p.stderr.strip().splitlines()
    return lines[-1], lines[0]


def show(image):
    code, text = tool('show', image)
    assert code == 0, text
    return json.loads(text)


def metadata(image):
    return json.loads(cryptsetup('luksDump', '--dump-json-metadata', image))


def flip(image, off, bit=1):
    with open(image, 'r+b') as f:
        f.seek(off)
        byte = f.read(1)[0]
        f.seek(off)
        f.write(bytes([byte ^ bit]))


def overwrite(image, off, data):
    with open(image, 'r+b') as f:
        f.seek(off)
        f.write(data)


def seal(data, off, size=HDR):
    """Make the checksum of the copy at off right."""
    data[off + 448:off + 512] = bytes(64)
    data[off + 448:off + 480] = hashlib.sha256(data[off:off + size]).digest()


def set_text(data, off, text, size=HDR):
    data[off + 4096:off + size] = text[:size - 4096].ljust(size - 4096, b'\0')
    seal(data, off, size)


def rewrite_json(image, change):
    """Apply change to the JSON of both copies and make their checksums right."""
    with open(image, 'r+b') as f:
        data = bytearray(f.read(2 * HDR))
        for off in (0, HDR):
            meta = json.loads(data[off + 4096:off + HDR].split(b'\0')[0])
            change(meta)
            set_text(data, off, json.dumps(meta, separators=(',', ':')).encode())
        f.seek(0)
        f.write(data)


class Work:
    """A folder with pass phrase files and images."""

    def __init__(self, path):
        self.path = path
        self.passes = [self.write(f'pass{i}', p) for i, p in
                       enumerate([b'first', b'second \xc3\xa4', b'x' * 500, b'fourth'])]

    def name(self, name):
        return os.path.join(self.path, name)

    def write(self, name, content=b'', size=None):
        path = self.name(name)
        with open(path, 'wb') as f:
            f.write(content)
        if size is not None:
            os.truncate(path, size)
        return path

    def new(self, name, *options, size=20 << 20):
        """An image with pass phrase 0 in slot 0."""
        image = self.write(name, size=size)
        cryptsetup('luksFormat', '--type', 'luks2', *FAST, *options, image, self.passes[0])
        return image

    def copy(self, image, name):
        return shutil.copy(image, self.name(name))

    def key(self, image, passfile=None):
        """The volume key, as cryptsetup gives it."""
        path = self.name('volume-key')
        if os.path.exists(path):
            os.unlink(path)
        cryptsetup('luksDump', '--dump-volume-key', '-q', '-d', passfile or self.passes[0], '--volume-key-file',
                   path, image)
        with open(path, 'rb') as f:
            return f.read()

    def key_hash(self, image, passfile=None):
        return hashlib.sha256(self.key(image, passfile)).hexdigest()

    def decrypted(self, image, data=None, passfile=None, step=1 << 20, expect=b''):
        """The plaintext device, as our reader gives it; begins with what is expected."""
        out = self.name('decrypted')
        got = tool('decrypt', image, passfile or self.passes[0], data or image, out, step)
        assert got == (0, ''), got
        with open(out, 'rb') as f:
            content = f.read()
        assert content.startswith(expect), f'{image}: other content than expected'
        return content


def ecb(key, data, decrypt=False):
    p = subprocess.run(['openssl', 'enc', f'-aes-{len(key) * 8}-ecb', '-nopad', '-K', key.hex(),
                        *(['-d'] if decrypt else [])], input=data, capture_output=True, timeout=180)
    assert p.returncode == 0, p.stderr
    return p.stdout


def xor(a, b):
    return (int.from_bytes(a, 'little') ^ int.from_bytes(b, 'little')).to_bytes(len(a), 'little')


def ivs(mode, key, numbers):
    """One block for each sector. source: Linux, dm-crypt.rst"""
    if mode == 'plain':
        numbers = [n & 0xffffffff for n in numbers]
    blocks = b''.join(struct.pack('<QQ', n, 0) for n in numbers)
    return ecb(hashlib.sha256(key).digest(), blocks) if mode == 'essiv:sha256' else blocks


def xts_tweaks(first, n):
    """IEEE 1619: each block's tweak is the one before, times x."""
    out, t = [], int.from_bytes(first, 'little')
    for _ in range(n):
        out.append(t.to_bytes(16, 'little'))
        t = (t << 1) ^ (0x87 if t >> 127 else 0)
        t &= (1 << 128) - 1
    return b''.join(out)


def second_opinion(cipher, key, sector_size, data, iv_offset=0, decrypt=True):
    """Decrypt whole sectors as dm-crypt does; IV numbers count units of 512 bytes."""
    _, chaining, iv_mode = cipher.split('-', 2)
    numbers = [(iv_offset + off // 512) % 2**64 for off in range(0, len(data), sector_size)]
    per = sector_size // 16
    if chaining == 'xts':
        half = len(key) // 2
        first = ecb(key[half:], ivs(iv_mode, key, numbers))
        tweaks = b''.join(xts_tweaks(first[i * 16:i * 16 + 16], per) for i in range(len(numbers)))
        return xor(ecb(key[:half], xor(data, tweaks), decrypt), tweaks)
    assert chaining == 'cbc' and decrypt
    iv = ivs(iv_mode, key, numbers)
    before = b''.join(iv[i * 16:i * 16 + 16] + data[i * sector_size:(i + 1) * sector_size - 16]
                      for i in range(len(numbers)))
    return xor(ecb(key, data, True), before)


def main(names, namespace):
    """Run the functions test_* of a module; each gets a folder of its own."""
    tests = {n[5:]: t for n, t in namespace.items() if n.startswith('test_')}
    failed = skipped = 0
    for name in names or tests:
        with tempfile.TemporaryDirectory() as path:
            try:
                why = tests[name](Work(path))
                skipped += isinstance(why, str)
                print(f'SKIP    {name}: {why}' if isinstance(why, str) else f'ok      {name}', flush=True)
            except (AssertionError, subprocess.TimeoutExpired) as e:
                failed += 1
                print(f'FAILED  {name}: {e!r}', flush=True)
    print(f'{len(names or tests) - failed - skipped} passed, {failed} failed' +
          (f', {skipped} skipped' if skipped else ''))
    sys.exit(1 if failed else 0)
