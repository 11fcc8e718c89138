# SPDX-License-Identifier: GPL-3.0-or-later
"""A virtual laptop: QEMU (q35, TCG) with OVMF, a TPM 2.0 (swtpm), disks, a screen and a keyboard.

    with Laptop('build/x', [Drive('disk.qcow2')], server_port=8443) as laptop:
        laptop.power_on()
        laptop.wait_screen(r'unlock disk root:', 240)
        laptop.send_keys('passphrase\n')
        laptop.login('root', 'root')  # on the serial line
        code, output = laptop.shell('uname -a')

What outlives a power cycle lies in the laptop's directory: vars.fd (firmware variables), tpm/, and the logs
(serial.log, qemu.log, net-N.pcap, one per power-on). Everything waits for what it needs, never for a guessed
time, and gives up with the end of the serial log or with what the screen shows. A guest's reset ends QEMU, and
the next wait starts it again: firmware that starts in an old QEMU process takes 25 s instead of 8 (measured).

Start a laptop from the thread that lives longest: the kernel kills QEMU and swtpm when that thread goes, so
nothing is left behind even by `kill -9`.
"""
import base64
import ctypes
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass

from tests.laptop import screen
from tests.laptop.console import Console, SerialTimeout
from tests.laptop.qmp import Qmp, QmpError, keys_of

FIRMWARE = '/usr/share/OVMF/OVMF_CODE_4M.fd'
EMPTY_VARS = '/usr/share/OVMF/OVMF_VARS_4M.fd'
SERVER_IN_GUEST = '10.0.2.100'
PR_SET_PDEATHSIG = 1
LONGEST_LINE = 3500  # a terminal line in canonical mode holds 4095 bytes
PATIENCE = 3  # a time limit is given for a machine like ours; a slower one may take so many times as long
_libc = ctypes.CDLL(None)


class LaptopError(RuntimeError):
    """The laptop cannot be started or does not answer."""


@dataclass
class Drive:
    """A disk image. bootindex None leaves the firmware's BootOrder in charge, as on a real laptop;
    as soon as one drive has a bootindex, OVMF connects and boots only the drives that have one."""
    path: str
    format: str = 'qcow2'
    bus: str = 'virtio'  # nvme, or removable: a SCSI disk that says so (Debian's cloud kernel has no USB storage)
    bootindex: int = None
    readonly: bool = False
    cache: str = 'unsafe'  # spares the host's fsync only: what the guest wrote survives power_cut()


def _die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _stop(process, timeout=60):
    if process is None or process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(timeout)


class Laptop:
    def __init__(self, directory, drives, *, tpm=True, server_port=None, memory_mb=1024, cpus=2, vga='std',
                 vars_from=EMPTY_VARS, extra=()):
        """server_port: a loopback port of this machine that the guest reaches as 10.0.2.100:8443 (and nothing
        else of the world); None: no network card. vars_from: the variable file a new laptop starts with."""
        self.directory = os.path.abspath(directory)
        os.makedirs(self.directory, exist_ok=True)
        self.drives, self.tpm, self.server_port = list(drives), tpm, server_port
        self.memory_mb, self.cpus, self.vga, self.extra = memory_mb, cpus, vga, list(extra)
        self.vars = self.path('vars.fd')
        if not os.path.exists(self.vars):
            shutil.copyfile(vars_from, self.vars)
        self.serial_log = self.path('serial.log')
        self.powered_on = 0
        self.console = self._qmp = self._qemu = self._swtpm = self._sockets = self._qemu_log = None
        self._commands, self._started = 0, 0.0

    def path(self, name):
        return os.path.join(self.directory, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.power_cut()

    # ---- power

    def power_on(self):
        if self._qemu:
            raise LaptopError('the laptop is already on')
        self.powered_on += 1
        self._sockets = tempfile.mkdtemp(prefix='laptop-')  # short: a UNIX socket's path has at most 107 bytes
        listeners = []
        try:
            listeners = [self._listen(name) for name in ('serial', 'qmp')]
            if self.tpm:
                self._start_swtpm()
            self._qemu_log = open(self.path('qemu.log'), 'ab')
            self._started = time.monotonic()
            self._qemu = subprocess.Popen(self._command_line(), stdin=subprocess.DEVNULL, stdout=self._qemu_log,
                                          stderr=self._qemu_log, preexec_fn=_die_with_parent)
            serial, qmp = [self._accept(listener) for listener in listeners]
            self.console = Console(serial, self.serial_log, self._started)
            self._qmp = Qmp(qmp)
        except BaseException:
            self.power_cut()
            raise
        finally:
            for listener in listeners:
                listener.close()

    def _listen(self, name):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(os.path.join(self._sockets, name))
        listener.listen(1)
        listener.settimeout(0.5)
        return listener

    def _accept(self, listener, timeout=180):
        """QEMU connects to us: so no byte of the serial line is lost and nothing has to be waited for."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            try:
                connection = listener.accept()[0]
                connection.setblocking(True)
                return connection
            except socket.timeout:
                if self._qemu.poll() is not None:
                    raise LaptopError(f'QEMU ended at once (exit {self._qemu.returncode}): {self._qemu_says()}')
        raise LaptopError(f'QEMU did not come up within {timeout} s: {self._qemu_says()}')

    def _qemu_says(self):
        with open(self.path('qemu.log'), 'rb') as log:
            return log.read()[-1000:].decode(errors='replace').strip()

    def _start_swtpm(self):
        state, control = self.path('tpm'), os.path.join(self._sockets, 'tpm')
        with open(self.path('swtpm.log'), 'ab') as log:
            if not os.path.isdir(state):
                os.makedirs(state)
                # one bank, as most laptops have: each further one makes the firmware hash all code once more
                subprocess.run(['swtpm_setup', '--tpm2', '--tpmstate', state, '--pcr-banks', 'sha256'], check=True,
                               stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=180)
            self._swtpm = subprocess.Popen(
                ['swtpm', 'socket', '--tpm2', '--tpmstate', f'dir={state}', '--ctrl', f'type=unixio,path={control}',
                 '--flags', 'startup-clear', '--terminate'],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=_die_with_parent)
        end = time.monotonic() + 90
        while not os.path.exists(control):
            if self._swtpm.poll() is not None or time.monotonic() > end:
                raise LaptopError(f'swtpm did not start; see {self.path("swtpm.log")}')
            time.sleep(0.01)  # polls for the socket; swtpm tells nobody when it is there

    def _command_line(self):
        sockets = self._sockets
        line = ['qemu-system-x86_64', '-machine', 'q35', '-accel', 'tcg,thread=multi', '-cpu', 'max',
                '-smp', str(self.cpus), '-m', str(self.memory_mb), '-nodefaults', '-no-user-config',
                '-display', 'none', '-action', 'reboot=shutdown', '-vga', self.vga, '-device', 'virtio-rng-pci',
                '-drive', f'if=pflash,format=raw,unit=0,readonly=on,file={FIRMWARE}',
                '-drive', f'if=pflash,format=raw,unit=1,file={self.vars}',
                '-chardev', f'socket,id=serial,path={sockets}/serial', '-serial', 'chardev:serial',
                '-chardev', f'socket,id=qmp,path={sockets}/qmp', '-mon', 'chardev=qmp,mode=control']
        if self.tpm:
            line += ['-chardev', f'socket,id=tpm,path={sockets}/tpm', '-tpmdev', 'emulator,id=tpm0,chardev=tpm',
                     '-device', 'tpm-crb,tpmdev=tpm0']
        if any(drive.bus == 'removable' for drive in self.drives):
            line += ['-device', 'virtio-scsi-pci']
        for n, drive in enumerate(self.drives):
            line += self._drive_options(n, drive)
        if self.server_port:
            line += self._network_options()
        return line + self.extra

    def _drive_options(self, n, drive):
        options = f'if=none,id=disk{n},format={drive.format},cache={drive.cache},discard=unmap,file={drive.path}'
        device = {'virtio': f'virtio-blk-pci,drive=disk{n}', 'nvme': f'nvme,drive=disk{n},serial=disk{n}',
                  'removable': f'scsi-hd,drive=disk{n},removable=on'}[drive.bus]
        if drive.readonly:
            options += ',readonly=on'
        if drive.bootindex is not None:
            device += f',bootindex={drive.bootindex}'
        return ['-drive', options, '-device', device]

    def _network_options(self):
        bridge = f'socat - TCP:127.0.0.1:{self.server_port}'
        return ['-netdev', f'user,id=net0,restrict=on,ipv6=off,guestfwd=tcp:{SERVER_IN_GUEST}:8443-cmd:{bridge}',
                '-device', 'virtio-net-pci,netdev=net0,romfile=',
                '-object', f'filter-dump,id=dump0,netdev=net0,file={self.path(f"net-{self.powered_on}.pcap")}']

    def power_cut(self):
        """The plug is pulled: QEMU is killed, nothing is flushed or shut down. Also the clean-up after errors."""
        if self._qemu and self._qemu.poll() is None:
            self._qemu.kill()
            self._qemu.wait(30)
        for end in (self._qmp, self.console, self._qemu_log):
            if end:
                end.close()
        _stop(self._swtpm)
        if self._sockets:
            shutil.rmtree(self._sockets, ignore_errors=True)
        self._qemu = self._swtpm = self._qmp = self._sockets = self._qemu_log = None

    def snapshot(self, path):
        """Freeze what the first disk holds now in its file; what is written from now on goes to path (qcow2)."""
        self._need_power()
        self._qmp.command('blockdev-snapshot-sync', device='disk0', **{'snapshot-file': os.path.abspath(path),
                                                                        'format': 'qcow2'})
        self.drives[0].path = path

    def wait_off(self, timeout=120):
        """Wait until the guest has switched itself off (poweroff)."""
        reason = self._wait_end(timeout)
        self.power_cut()
        if reason != 'guest-shutdown':
            raise LaptopError(f'the laptop did not switch itself off (QEMU: {reason})')

    def _wait_end(self, timeout):
        """Wait until QEMU has ended; gives the reason it told."""
        timeout *= PATIENCE
        try:
            self._qemu.wait(timeout)
        except subprocess.TimeoutExpired:
            raise LaptopError(f'still on after {timeout} s; the serial line ended with:\n'
                              f'{self.console.text[-2000:]}') from None
        return self._qmp.ending()

    @property
    def on(self):
        return bool(self._qemu and self._qemu.poll() is None)

    @property
    def seconds(self):
        """Seconds since power-on."""
        return time.monotonic() - self._started

    def _need_power(self):
        if not self._qemu:
            raise LaptopError('the laptop is off')

    # ---- screen and keyboard

    def send_keys(self, text, per_second=20, looking=True):
        """Type text on the PS/2 keyboard (US layout); a list is qcodes instead: ['f2'], ['shift-tab', 'ret'].
        looking: digits are typed by somebody who sees that each is taken, as the recovery app shows on the serial line:
        on a busy host the keyboard's 16 bytes would overflow."""
        self._need_power()
        digits = looking and isinstance(text, str) and text.isdigit()
        for key in text:
            qcodes = keys_of(key) if isinstance(text, str) else key.split('-')
            shown = len(self.console.text)
            self._qmp.press(qcodes, per_second)
            end = time.monotonic() + 1
            while digits and len(self.console.text) == shown and time.monotonic() < end:
                time.sleep(0.005)  # polls; where no digit is awaited, nothing is answered

    def screenshot(self, path):
        """Save what the screen shows as PNG."""
        self._need_power()
        path = os.path.abspath(path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        part = path + '.part'
        self._qmp.command('screendump', filename=part, format='png')
        end = time.monotonic() + 90
        while not _is_whole_png(part):
            if time.monotonic() > end:
                raise LaptopError(f'QEMU did not finish the screenshot {path}')
            time.sleep(0.01)  # polls for the file's last bytes; QMP answers before they are written
        os.replace(part, path)
        return path

    def screen_text(self):
        """What the screen shows in the font of the Linux console; other fonts and pictures read as U+FFFD."""
        self._need_power()
        path = os.path.join(self._sockets, 'screen.ppm')
        self._qmp.command('screendump', filename=path)
        with open(path, 'rb') as f:
            return screen.text(f.read())

    def wait_screen(self, regex, timeout, count=1):
        """Wait until regex (multi-line) is found count times on the screen, also across reboots; gives the text."""
        timeout *= PATIENCE
        pattern, end, text = re.compile(regex, re.M), time.monotonic() + timeout, ''
        while time.monotonic() < end:
            try:
                text = self.screen_text()
            except (QmpError, OSError):  # QEMU has gone
                if not self._restarted():
                    raise LaptopError(f'the laptop went off while {regex!r} was awaited; {self._qemu_says()}') from None
            except ValueError:  # the picture is not written to its end yet
                pass
            if len(pattern.findall(text)) >= count:
                return text
            time.sleep(0.2)  # polls: a screen tells nobody when it changes
        raise LaptopError(f'no {regex!r} ({count} times) on the screen within {timeout} s; it shows:\n{text}\n'
                          f'the serial line ended with:\n{self.console.text[-1000:]}')

    def unlock(self, passphrase, timeout=240):
        """Wait for Debian's own prompt on the screen and answer it on the keyboard."""
        self.wait_screen(r'Please unlock disk', timeout)
        self.send_keys(passphrase + '\n')

    # ---- serial line

    def wait_serial(self, regex, timeout):
        """Wait for text, also across reboots of the guest; see console.Seen for the result."""
        self._need_power()
        end = time.monotonic() + timeout * PATIENCE
        while True:
            try:
                return self.console.wait(regex, max(0, end - time.monotonic()))
            except SerialTimeout as e:
                if time.monotonic() >= end or not self._restarted():
                    raise LaptopError(f'{e}\nQEMU: {self._qemu_says()}') from None

    def _restarted(self):
        """After the serial line has closed: if the guest asked for a reset, switch the laptop on again."""
        reason = self._wait_end(30)
        self.power_cut()
        if reason == 'guest-reset':
            self.power_on()
        return reason == 'guest-reset'

    def type_serial(self, text):
        self.console.type(text)

    def login(self, user, password, timeout=240):
        """Log in at the serial console and make the shell quiet, so that shell() sees output only."""
        self.wait_serial(r'login: ?$', timeout)
        self.type_serial(user + '\n')
        self.wait_serial(r'Password: ?$', 60)
        self.type_serial(password + '\n')
        seen = self.wait_serial(r'Login incorrect|[#$] $', 90)
        if seen.text == 'Login incorrect':
            raise LaptopError(f'login as {user}: the password is not accepted')
        self.type_serial(" bind 'set enable-bracketed-paste off' 2>/dev/null; stty -echo; dmesg -n 1; set +m; "
                         "export TERM=dumb PAGER=cat SYSTEMD_COLORS=0; PS1= PS2= PROMPT_COMMAND=; unset HISTFILE\n")
        self.shell('true', 60)
        if self.server_port:  # on a busy host the card may lose what it sends first; what needs the network says so
            self.shell('for i in $(seq 100); do echo >/dev/udp/10.0.2.2/9; '
                       'ip neigh show 10.0.2.2 | grep -q lladdr && break; sleep 0.3; done', 120)
        return seen.at

    def shell(self, command, timeout=120):
        """Run a command in the logged-in shell: (exit code, standard output and error together)."""
        self._commands += 1
        n = self._commands
        # quoted apart, so that even an echoed line does not contain the mark
        wrapped = (f" echo '@@be''gin {n}@@'\n {{ {command}\n }} </dev/null 2>&1; "
                   f"printf '\\n@@%s {n} %d@@\\n' end $?\n")
        if max(len(line) for line in wrapped.encode().split(b'\n')) > LONGEST_LINE:
            raise ValueError(f'a line of the command is longer than {LONGEST_LINE} bytes; use put() and run the file')
        self.type_serial(wrapped)
        self.wait_serial(rf'@@begin {n}@@\n', timeout)
        seen = self.wait_serial(rf'\n?@@end {n} (\d+)@@\n', timeout)
        return int(seen.groups[0]), seen.before

    def run(self, command, timeout=120):
        """shell(), but a failing command raises; gives the output."""
        code, output = self.shell(command, timeout)
        if code:
            raise LaptopError(f'in the laptop, exit {code}: {command}\n{output}')
        return output

    def put(self, path, data, mode=0o600, timeout=120):
        """Write a small file in the laptop over the serial line (about 40 KB/s)."""
        text = base64.encodebytes(data).decode()
        target = shlex.quote(path)
        self.run(f"base64 -d >{target}.part <<'@@EOF'\n{text}@@EOF\nchmod {mode:o} {target}.part && "
                 f"mv {target}.part {target}", timeout)

    def get(self, path, timeout=120):
        """Read a small file of the laptop."""
        text = self.run(f'base64 {shlex.quote(path)}', timeout)
        return base64.b64decode(re.sub(r'\s', '', text), validate=True)


def _is_whole_png(path):
    try:
        with open(path, 'rb') as f:
            data = f.read()
    except OSError:
        return False
    return data.startswith(b'\x89PNG') and data.endswith(b'IEND\xaeB`\x82')


__all__ = ['Laptop', 'Drive', 'LaptopError', 'SerialTimeout', 'QmpError', 'SERVER_IN_GUEST']
