# SPDX-License-Identifier: GPL-3.0-or-later
"""QEMU's machine protocol: commands, keys, screenshots. One connection, one command at a time."""
import json
import time

PLAIN = {' ': 'spc', '\n': 'ret', '\t': 'tab', '\b': 'backspace', '\x1b': 'esc', '-': 'minus', '=': 'equal',
         '[': 'bracket_left', ']': 'bracket_right', ';': 'semicolon', "'": 'apostrophe', '`': 'grave_accent',
         '\\': 'backslash', ',': 'comma', '.': 'dot', '/': 'slash'}
SHIFTED = dict(zip('!@#$%^&*()_+{}:"~|<>?', '1234567890-=[];\'`\\,./'))


class QmpError(RuntimeError):
    """QEMU refused a command, or closed the connection."""


def keys_of(char):
    """The qcodes to press together, on a US keyboard, for one character."""
    if char in PLAIN:
        return [PLAIN[char]]
    if char in SHIFTED:
        return ['shift'] + keys_of(SHIFTED[char])
    if char.isascii() and char.isalnum():
        return ['shift', char.lower()] if char.isupper() else [char]
    raise ValueError(f'no key on a US keyboard for {char!r}')


class Qmp:
    """A connection that QEMU has opened to us (an accepted socket)."""

    def __init__(self, sock, timeout=180):
        sock.settimeout(timeout)
        self._sock, self._file = sock, sock.makefile('rw', encoding='utf-8')
        self._next_key = 0.0
        self._reason = None  # of the end that QEMU told
        if 'QMP' not in self._read():
            raise QmpError('no QMP greeting')
        self.command('qmp_capabilities')

    def _read(self):
        line = self._file.readline()
        if not line:
            raise QmpError('QEMU closed the QMP connection')
        message = json.loads(line)
        if message.get('event') == 'SHUTDOWN':
            self._reason = message['data'].get('reason')
        return message

    def command(self, name, **arguments):
        """Run one command and give its return value; of events in between only an end is remembered."""
        self._file.write(json.dumps({'execute': name, 'arguments': arguments}) + '\n')
        self._file.flush()
        while True:
            answer = self._read()
            if 'error' in answer:
                raise QmpError(f"{name}: {answer['error'].get('desc')}")
            if 'return' in answer:
                return answer['return']

    def ending(self):
        """Why QEMU ended ('guest-reset', 'guest-shutdown', …), None if it did not say. Call it after the end."""
        try:
            while True:
                self._read()
        except (QmpError, OSError, ValueError):
            return self._reason

    def press(self, qcodes, per_second, hold_ms=20):
        """Press keys together, not before the last press is 1/per_second old (faster ones may get lost)."""
        wait = self._next_key - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        self._next_key = time.monotonic() + 1.0 / per_second
        self.command('send-key', keys=[{'type': 'qcode', 'data': q} for q in qcodes], **{'hold-time': hold_ms})

    def close(self):
        for end in (self._file, self._sock):
            try:
                end.close()
            except OSError:
                pass
