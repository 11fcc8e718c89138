#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a sanitizer says fails a test, whoever it says it to (tests/sanitized), and silence does not. Closes with
"N passed, N failed".

usage: test_sanitized.py [KIND]     KIND: as the test that runs on the sanitized build"""
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from server_fixture import BUILD, HERE, keep_reports  # noqa: E402

SANITIZED = os.path.join(HERE, '../sanitized')
# what is done (broken.c), what is told of it; those who start a process again see no failure
KINDS = {'overflow': 'heap-buffer-overflow', 'freed': 'heap-use-after-free', 'undefined': 'signed integer overflow',
         'leak': 'detected memory leaks', 'supervised': 'heap-buffer-overflow', 'shut': "Can't open file", 'nothing': None}


def inner(kind):
    """A test that looks at nothing but keeps a log, as those of the server do."""
    with tempfile.NamedTemporaryFile(prefix='keyholt-broken-') as log:
        subprocess.run([os.path.join(BUILD, 'tests/broken'), kind], stderr=log, timeout=60, check=False)
        keep_reports(log.name)
    print('1 passed, 0 failed')
    return 0


def outer(kind, said):
    """What is wrong with the judgement, or None."""
    p = subprocess.run([SANITIZED, os.path.abspath(__file__), kind], capture_output=True, text=True, timeout=120, check=False)
    reports = re.search(r'(?m)^(\d+) reports? of a sanitizer$', p.stdout)
    good = p.returncode == 0 and not reports if said is None else p.returncode == 1 and reports and said in p.stdout
    return None if good else f'exit {p.returncode}: {p.stdout}{p.stderr}'


def main():
    failed = 0
    for kind, said in KINDS.items():
        wrong = outer(kind, said)
        print(f'{kind}: {"FAILED: " + wrong if wrong else "ok"}')
        failed += bool(wrong)
    print(f'{len(KINDS) - failed} passed, {failed} failed')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(inner(sys.argv[1]) if len(sys.argv) > 1 else main())
