#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The virtual laptop itself: stock Debian 12, no Keyholt in it. Needs root; about two minutes.

What Debian's own initramfs says on wrong passphrases is fixed here, because Keyholt's offer comes right after it.
"""
import contextlib
import os
import socketserver
import sys
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, TOP)
from tests.laptop import disk, efivars, image, mirror
from tests.laptop.laptop import LaptopError

PASSPHRASE = 'correct horse 42'
WORK = os.path.join(TOP, 'build/laptop/test')
PROMPT = r'^Please unlock disk root:'
WRONG = 'No key available with this passphrase.'
FAILED = 'cryptsetup: ERROR: root: cryptsetup failed, bad password or options?'
EXCEEDED = 'cryptsetup: ERROR: root: maximum number of tries exceeded'
counts = {'passed': 0, 'failed': 0}


@contextlib.contextmanager
def check(name):
    """One check; what goes wrong in it is shown and counted, and the next one runs."""
    start = time.monotonic()
    try:
        yield
    except Exception as e:  # whatever it was, it failed
        counts['failed'] += 1
        print(f'FAILED {name}: {type(e).__name__}: {e}', flush=True)
    else:
        counts['passed'] += 1
        print(f'ok {name} ({time.monotonic() - start:.1f} s)', flush=True)


class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b'echo ' + self.rfile.readline())


@contextlib.contextmanager
def echo_server():
    with socketserver.ThreadingTCPServer(('127.0.0.1', 0), Echo) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_mirror():
    path = os.path.join(WORK, 'apt/sources.list.d')
    os.makedirs(path, exist_ok=True)
    with check('mirror: one-line sources, options and other vendors'):
        with open(os.path.join(WORK, 'apt/sources.list'), 'w', encoding='ascii') as f:
            f.write('# deb http://no.example/debian bookworm main\n'
                    'deb http://vendor.example/apt bookworm extra\n'
                    'deb http://deb.example/security bookworm-security main\n'
                    'deb [signed-by=/k arch=amd64] https://deb.example/debian/ bookworm main contrib\n')
        assert mirror.archive(etc_apt=os.path.join(WORK, 'apt')) == 'https://deb.example/debian'
        os.unlink(os.path.join(WORK, 'apt/sources.list'))
    with check('mirror: deb822 sources, comments and disabled stanzas'):
        with open(os.path.join(path, 'debian.sources'), 'w', encoding='ascii') as f:
            f.write('Types: deb\nEnabled: no\nURIs: http://off.example\nSuites: bookworm\nComponents: main\n\n'
                    'Types: deb deb-src\n# http://comment.example\nURIs: http://deb.example/debian\n'
                    'Suites: bookworm\n bookworm-updates\nComponents: main\n')
        assert mirror.archive(etc_apt=os.path.join(WORK, 'apt')) == 'http://deb.example/debian'
    with check('mirror: no Debian archive is a clear error'):
        try:
            mirror.archive(etc_apt=os.path.join(WORK, 'nowhere'))
        except mirror.MirrorError as e:
            assert 'bookworm' in str(e)
        else:
            raise AssertionError('an archive was found in an empty directory')


def test_wrong_passphrases(laptop):
    with check('the initramfs asks on the screen, and the picture is saved'):
        laptop.wait_screen(PROMPT, 240)
        assert os.path.getsize(laptop.screenshot(os.path.join(WORK, 'prompt.png'))) > 1000
    with check('three wrong passphrases: Debian says so, and asks again'):
        for n in range(3):
            laptop.wait_screen(PROMPT, 60, count=n + 1)
            laptop.send_keys(f'wrong {n}\n')
        shown = laptop.wait_screen(PROMPT, 60, count=4)
        laptop.screenshot(os.path.join(WORK, 'wrong.png'))
        assert shown.count(WRONG) == 3 and shown.count(FAILED) == 3 and shown.count(EXCEEDED) == 1, shown


def test_inside(laptop):
    with check('Debian 12 with its own kernel runs from the LUKS2 volume'):
        assert 'Debian' in laptop.run('uname -a')
        assert '/dev/mapper/root on / type ext4' in laptop.run('mount')
        assert 'VERSION_ID="12"' in laptop.run('cat /etc/os-release')
    with check('no unit has failed'):
        assert laptop.run('systemctl list-units --failed --no-legend --plain').strip() == ''
    with check('exit codes and output come back exactly'):
        assert laptop.shell('printf "a\\nb"; exit_with() { return 7; }; exit_with') == (7, 'a\nb')
        assert laptop.shell('false') == (1, '')
    with check('files of any bytes go in and out'):
        data = os.urandom(20000)
        laptop.put('/root/it is data', data, 0o640)
        assert laptop.get('/root/it is data') == data
        assert laptop.run('stat -c %a "/root/it is data"') == '640\n'
    with check('a TPM 2.0 with its SHA-256 bank is there'):
        assert laptop.run('ls /dev/tpmrm0; ls -d /sys/class/tpm/tpm0/pcr-*') == \
            '/dev/tpmrm0\n/sys/class/tpm/tpm0/pcr-sha256\n'
    with check('the firmware boots the entry "debian" first, and the ESP is mounted'):
        lines = laptop.run('efibootmgr').splitlines()
        first = next(line for line in lines if line.startswith('BootOrder')).split()[1].split(',')[0]
        assert any(line.startswith(f'Boot{first}* debian') for line in lines), lines
        assert 'BootCurrent: ' + first in lines
        assert 'uki.efi' in laptop.run('ls /boot/efi/EFI/debian')


def test_network(laptop):
    ask = ('timeout 30 bash -c \'exec 3<>/dev/tcp/10.0.2.100/8443 && echo hello over there >&3 && head -n1 <&3\'')
    with check('the guest reaches the server of this machine'):
        assert laptop.run(ask, 60) == 'echo hello over there\n'
        assert laptop.run(ask, 60) == 'echo hello over there\n'
    with check('and nothing else'):
        code, _ = laptop.shell('timeout 5 bash -c "exec 3<>/dev/tcp/10.0.2.2/22"', 60)
        assert code != 0
    with check('what it sent is in the capture'):
        with open(laptop.path('net-1.pcap'), 'rb') as f:
            assert b'hello over there' in f.read()


def test_power(laptop):
    with check('a power cut keeps what was synced, and the laptop boots again'):
        laptop.run('echo kept >/root/kept; sync')
        laptop.power_cut()
        assert not laptop.on
        laptop.power_on()
        laptop.unlock(PASSPHRASE)
        laptop.login('root', 'root')
        assert laptop.run('cat /root/kept') == 'kept\n'
    with check('a boot entry made in Linux is used once by BootNext'):
        laptop.run(r"efibootmgr -q -C -d /dev/vda -p 1 -l '\EFI\BOOT\BOOTX64.EFI' -L spare -b 0042; "
                   'efibootmgr -q -n 0042')
        laptop.type_serial('systemctl reboot\n')
        laptop.wait_serial(r'starting Boot0042 "spare"', 120)
        laptop.wait_screen(PROMPT, 240)
    with check('the variable file shows the same'):
        names = {v.name: v.data for v in efivars.read(laptop.vars)}
        assert 'Boot0042' in names and 'BootNext' not in names and names['BootOrder'][:2] == b'\0\0'
    with check('a machine that is off says so'):
        laptop.power_cut()
        try:
            laptop.wait_screen('anything', 5)
        except LaptopError:
            pass
        else:
            raise AssertionError('a screen was read on a machine that is off')


def test_machine():
    made = image.build([], PASSPHRASE, tell=lambda text: print('  ' + text, flush=True))
    with check('the disk is a GPT with an ESP and a LUKS2 volume'):
        with open(made['disk'], 'rb') as f:
            assert f.read(520)[512:] == b'EFI PART'
            f.seek(made['luks_offset'])
            assert f.read(6) == b'LUKS\xba\xbe'
        assert disk.get_fat(made['disk'], image.UKI, made['esp_offset'])[:2] == b'MZ'
    with echo_server() as port, image.make_laptop(made, os.path.join(WORK, 'machine'), server_port=port) as laptop:
        laptop.power_on()
        test_wrong_passphrases(laptop)
        laptop.send_keys(PASSPHRASE + '\n')
        with check('the right one opens it; log-in at the serial line'):
            laptop.login('root', 'root')
            laptop.screenshot(os.path.join(WORK, 'login.png'))
        test_inside(laptop)
        test_network(laptop)
        test_power(laptop)


def main():
    os.makedirs(WORK, exist_ok=True)
    test_mirror()
    if os.geteuid() != 0:
        print('SKIP the machine: its disk can be built by root only')
    else:
        with check('the machine'):
            test_machine()
    print(f"{counts['passed']} passed, {counts['failed']} failed")
    return 1 if counts['failed'] else 0


if __name__ == '__main__':
    sys.exit(main())
