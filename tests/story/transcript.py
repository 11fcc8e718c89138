# SPDX-License-Identifier: GPL-3.0-or-later
"""What the story prints: a line per step, a line per check, never a recovery password.

Recovery passwords are masked but for their first group, whatever program printed them.
"""
import re
import sys
import time

PASSWORD = re.compile(r'(\d{6})(?:[- ]?\d{6}){7}')


def mask(text):
    """The same text with every recovery password cut to its first group."""
    return PASSWORD.sub(lambda m: m[1] + '-' + '-'.join(['······'] * 7), text)


class Transcript:
    """Numbered steps with their seconds, and the checks made within them."""

    def __init__(self, path, tell):
        self.file = open(path, 'w', encoding='utf-8')
        self.tell, self.passed, self.failed = tell, 0, 0
        self.start = time.monotonic()
        self.step_number, self.step_name, self.step_start = 0, '', self.start

    def line(self, text):
        text = mask(text)
        for out in (sys.stdout, self.file):
            out.write(text + '\n')
            out.flush()

    def step(self, name):
        """Begin a step of the story."""
        self.step_number += 1
        self.step_name, self.step_start = name, time.monotonic()
        if self.tell:
            self.line(f'\n{self.step_number}. {name}')

    def did(self, what, result=''):
        """One thing that happened, with the seconds since the last one."""
        now = time.monotonic()
        self.line(f'   {now - self.start:6.1f} s  +{now - self.step_start:5.1f}  {what}'
                  + (f': {result}' if result else ''))
        self.step_start = now

    def quote(self, text):
        """What a program or screen said, indented."""
        if self.tell:
            for row in text.strip().splitlines():
                self.line('             | ' + row)

    def check(self, what, good, evidence=''):
        """An assertion; the story goes on only while all hold."""
        self.passed, self.failed = self.passed + bool(good), self.failed + (not good)
        if not good or not self.tell:
            self.line(f'   {"ok    " if good else "FAILED"} {self.step_number}. {what}'
                      + (f' ({evidence})' if evidence and not good else ''))
        if not good:
            raise StoryFailed(what + (f': {evidence}' if evidence else ''))

    def close(self):
        self.line(f'\n{time.monotonic() - self.start:.0f} s in all; screens and this transcript: build/demo/')
        self.line(f'{self.passed} passed, {self.failed} failed')
        self.file.close()


class StoryFailed(Exception):
    """A check of the story does not hold."""
