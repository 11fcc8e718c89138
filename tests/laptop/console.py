# SPDX-License-Identifier: GPL-3.0-or-later
"""A serial console: a thread reads, stamps and logs; others wait for text and type."""
import codecs
import re
import threading
import time

ESCAPE = re.compile(r'\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[PX^_][^\x1b]*\x1b\\|[ -/]*[0-OQ-WYZ\\`-~])')
LONGEST_ESCAPE = 64


class SerialTimeout(TimeoutError):
    """The awaited text did not come; the message holds the end of what came instead."""


class Seen:
    """What wait() found: text (whole match), groups, before (what came since the last find), at (seconds)."""

    def __init__(self, match, before, at):
        self.text, self.groups, self.before, self.at = match.group(0), match.groups(), before, at


class Console:
    """Text as a person reads it: escape sequences and carriage returns are left out (the log keeps them)."""

    def __init__(self, sock, log_path, started):
        self._sock, self._log, self._started = sock, open(log_path, 'ab'), started
        self._news = threading.Condition()
        self._text, self._pos, self._held, self._stamps, self._open = '', 0, '', [], True
        self._decoder = codecs.getincrementaldecoder('utf-8')('replace')
        self._thread = threading.Thread(target=self._read, name='serial', daemon=True)
        self._thread.start()

    def _read(self):
        try:
            while data := self._sock.recv(65536):
                self._log.write(data)
                self._log.flush()
                self._add(self._decoder.decode(data))
        except (OSError, ValueError):
            pass
        with self._news:
            self._open = False
            self._news.notify_all()

    def _add(self, text):
        text = self._held + text
        cut = text.rfind('\x1b')
        # an escape sequence may come in two pieces: hold its beginning back, but not for ever
        unfinished = cut >= 0 and not ESCAPE.match(text, cut) and len(text) - cut < LONGEST_ESCAPE
        self._held = text[cut:] if unfinished else ''
        text = ESCAPE.sub('', text[:cut] if unfinished else text).replace('\r', '').replace('\0', '')
        if text:
            with self._news:
                self._text += text
                self._stamps.append((len(self._text), time.monotonic() - self._started))
                self._news.notify_all()

    def at(self, position):
        """Seconds after power-on at which the text up to this position had come."""
        return next((t for end, t in self._stamps if end >= position), time.monotonic() - self._started)

    @property
    def text(self):
        """Everything since power-on."""
        with self._news:
            return self._text

    def wait(self, regex, timeout):
        """Wait until regex (multi-line) matches behind the last find, and go on from there."""
        pattern, end = re.compile(regex, re.M), time.monotonic() + timeout
        with self._news:
            while True:
                match = pattern.search(self._text, self._pos)
                if match:
                    before, self._pos = self._text[self._pos:match.start()], match.end()
                    return Seen(match, before, self.at(match.end()))
                left = end - time.monotonic()
                if not self._open or left <= 0:
                    why = f'within {timeout} s' if self._open else 'before the machine went away'
                    raise SerialTimeout(f'no {regex!r} on the serial line {why}; it ended with:\n{self._text[-2000:]}')
                self._news.wait(left)

    def skip(self):
        """Later waits look only at what comes from now on."""
        with self._news:
            self._pos = len(self._text)

    def type(self, text):
        """Type on the serial line; the virtual UART takes it as fast as the guest reads."""
        self._sock.sendall(text.encode())

    def close(self):
        for step in (lambda: self._sock.shutdown(2), self._sock.close):
            try:
                step()
            except OSError:
                pass
        self._thread.join(10)
        self._log.close()
