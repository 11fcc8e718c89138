# SPDX-License-Identifier: GPL-3.0-or-later
"""A real TPM 2.0 (swtpm) behind a socket, and a line to it that can be cut or made to answer no.

There is no resource manager here: what a client leaves in the TPM stays there, so a leak is seen.
"""
import itertools
import os
import shutil
import socket
import struct
import subprocess
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOOL = f'{TOP}/build/tests/tpm_tool'
FLUSH_CONTEXT = 0x165


class Swtpm:
    """One TPM; its state outlives stop() and is another TPM's after forget()."""

    def __init__(self, folder):
        self.folder, self.path, self.process = folder, f'{folder}/tpm', None
        os.makedirs(f'{folder}/state', exist_ok=True)
        self.tcti = f'swtpm:path={self.path}'
        self.start()

    def start(self):
        for name in (self.path, self.path + '.ctrl'):
            if os.path.exists(name):
                os.unlink(name)
        with open(f'{self.folder}/log', 'ab') as log:
            self.process = subprocess.Popen(
                ['swtpm', 'socket', '--tpm2', '--tpmstate', f'dir={self.folder}/state', '--server',
                 f'type=unixio,path={self.path}', '--ctrl', f'type=unixio,path={self.path}.ctrl', '--flags',
                 'not-need-init,startup-clear'], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + 60
        while not (os.path.exists(self.path) and os.path.exists(self.path + '.ctrl')):
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f'swtpm did not start; see {self.folder}/log')
            time.sleep(0.005)
        return self

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
        if self.process:
            self.process.wait(60)
        self.process = None

    def forget(self):
        """Another TPM in the place of this one."""
        self.stop()
        shutil.rmtree(f'{self.folder}/state')
        os.makedirs(f'{self.folder}/state')
        return self.start()

    def tool(self, verb, path='', data=b'', tcti=None):
        """(exit code, standard output, what went wrong)"""
        r = subprocess.run([TOOL, tcti or self.tcti, verb, path], input=data, capture_output=True, timeout=60)
        return r.returncode, r.stdout, r.stderr.decode().split(':')[0]

    def handles(self):
        """Objects, sessions and persistent objects that are in it now."""
        code, out, err = self.tool('handles')
        if code:
            raise RuntimeError(f'handles: {err}')
        return [int(n) for n in out.split()]

    def flush(self):
        if self.tool('flush')[0]:
            raise RuntimeError('flush failed')


class Line:
    """A socket in front of the TPM. fault(number, code) says what becomes of each command: None, a response code
    to answer instead, 'cut' (before it is done) or 'lose' (done, its answer lost)."""

    made = itertools.count()

    def __init__(self, tpm):
        self.tpm, self.path = tpm, f'{tpm.folder}/line{next(Line.made)}'
        self.tcti = f'swtpm:path={self.path}'
        self.fault, self.codes = (lambda number, code: None), []
        os.symlink(tpm.path + '.ctrl', self.path + '.ctrl')
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(8)
        threading.Thread(target=self.serve, daemon=True).start()

    def arm(self, fault=None):
        """Count from here."""
        self.codes, self.fault = [], fault or (lambda number, code: None)

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with client, socket.socket(socket.AF_UNIX) as tpm:
                try:
                    tpm.connect(self.tpm.path)
                    while self.one(client, tpm):
                        pass
                except OSError:
                    pass

    def one(self, client, tpm):
        command = message(client)
        if not command:
            return False
        code = struct.unpack_from('>I', command, 6)[0]
        self.codes.append(code)
        what = self.fault(len(self.codes), code)
        if what == 'cut':
            return False
        if isinstance(what, int):
            client.sendall(struct.pack('>HII', 0x8001, 10, what))
            return True
        tpm.sendall(command)
        answer = message(tpm)
        if what == 'lose' or not answer:
            return False
        client.sendall(answer)
        return True

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def message(s):
    """One command or answer, whole; empty at the end."""
    got = b''
    while len(got) < 10 or len(got) < struct.unpack_from('>I', got, 2)[0]:
        part = s.recv(8192)
        if not part:
            return b''
        got += part
    return got


def missing():
    """Why there is no TPM here, or None."""
    return None if shutil.which('swtpm') else 'swtpm is not installed'
