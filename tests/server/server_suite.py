# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the server say and how they are run: those that take a server share one."""
import os
import signal
import time
import traceback

from server_fixture import SANITIZED, Device, Server

WAIT_S = 60


class Skip(Exception):
    """Cannot be checked here; the reason is printed."""


def eq(got, want, what=''):
    if got != want:
        raise AssertionError(f'{what}: got {got!r}, wanted {want!r}')


def holds(condition, what):
    if not condition:
        raise AssertionError(what)


def judge_memory(kib, at_most, what):
    """Of a process of the plain build; under a sanitizer it is mostly the sanitizer's."""
    if SANITIZED:
        print(f'    SKIP: {what}: {kib:.0f} KiB, {at_most} allowed: not judged under a sanitizer')
    else:
        holds(kib <= at_most, f'{what}: {kib:.0f} KiB, {at_most} allowed')


def problem(answer, status):
    """The sentence of a problem+json."""
    got, headers, body = answer
    eq(got, status, 'status')
    eq(headers.get('Content-Type'), 'application/problem+json', 'type')
    eq(body['status'], status, 'status in the body')
    holds(len(body['detail']) > 10, 'a sentence')
    return body['detail']


def enrolled(s, name):
    d = Device(s, name)
    eq(d.enroll()[0], 200, 'enrol')
    return d


def until(what, condition, seconds=WAIT_S):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f'{what}: not within {seconds} s')
        time.sleep(0.05)


def main(names, wanted, limit_s=900):
    signal.alarm(max(limit_s, int(os.environ.get('KEYHOLT_TEST_LIMIT', '0'))))  # as tests/check
    results = {'passed': 0, 'failed': 0, 'skipped': 0}
    s = None
    for name, test in [(n, t) for n, t in names.items() if n.startswith('test_') and (not wanted or n in wanted)]:
        start = time.monotonic()
        try:
            if test.__code__.co_argcount and s is None:
                s = Server().start()
            test(*([s] if test.__code__.co_argcount else []))
            said, count = 'ok', 'passed'
        except Skip as e:
            said, count = f'SKIP: {e}', 'skipped'
        except Exception:  # pylint: disable=broad-except
            traceback.print_exc()
            said, count = 'FAILED', 'failed'
            if s is not None:
                print(s.read_log()[-1500:])
        results[count] += 1
        print(f'{name}: {said} ({time.monotonic() - start:.1f} s)', flush=True)
    if s is not None:
        s.clean()
    print('{passed} passed, {failed} failed, {skipped} skipped'.format(**results))
    return 1 if results['failed'] else 0
