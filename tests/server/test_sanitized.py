#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a sanitizer says fails a test, whoever it says it to (tests/sanitized), and silence does not; and the vault leaks
nothing, which only one without its filter can show: in check some of its tests, all with KEYHOLT_LONG. Closes with
"N passed, N failed".

usage: test_sanitized.py [KIND]     KIND: as the test that runs on the sanitized build"""
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from server_fixture import BUILD, HERE, Server, keep_reports  # noqa: E402

SANITIZED = os.path.join(HERE, '../sanitized')
# what is done (broken.c), what is told of it; those who start a process again see no failure
KINDS = {'overflow': 'heap-buffer-overflow', 'freed': 'heap-use-after-free', 'undefined': 'signed integer overflow',
         'leak': 'detected memory leaks', 'supervised': 'heap-buffer-overflow', 'shut': "Can't open file", 'nothing': None}


# of a server each of whose processes loses memory
LEAKING = ('keyholt-server', 'web', 'web', 'writer', 'reader', 'vault', 'export')
SHORT = ('test_one_time_codes', 'test_entries_are_exported')


def leaking_server():
    s = Server('--web-workers', '2')
    try:
        s.configure(audit_file=s.path('audit.jsonl'))
        os.environ['LD_PRELOAD'] = os.path.join(BUILD, 'tests/leak_shim.so')
        s.start()
    finally:
        os.environ.pop('LD_PRELOAD', None)
        s.clean()


def inner(kind):
    """A test that looks at nothing but keeps a log, as those of the server do."""
    if kind == 'server':
        leaking_server()
    else:
        with tempfile.NamedTemporaryFile(prefix='keyholt-broken-') as log:
            subprocess.run([os.path.join(BUILD, 'tests/broken'), kind], stderr=log, timeout=60, check=False)
            keep_reports(log.name)
    print('1 passed, 0 failed')
    return 0


def sanitized(*words):
    p = subprocess.run([SANITIZED, *words], capture_output=True, text=True, timeout=600, check=False)
    return p.returncode, p.stdout, f'exit {p.returncode}: {p.stdout}{p.stderr}'


def outer(kind, said):
    """What is wrong with the judgement, or None."""
    code, out, told = sanitized(os.path.abspath(__file__), kind)
    reports = re.search(r'(?m)^(\d+) reports? of a sanitizer$', out)
    good = code == 0 and not reports if said is None else code == 1 and reports and said in out
    return None if good else told


def leaks_are_seen():
    """In each process of a server."""
    _, out, told = sanitized('--unconfined', os.path.abspath(__file__), 'server')
    leaks = re.findall(r'==([\w-]+)==\d+==ERROR: LeakSanitizer', out)
    return None if sorted(leaks) == sorted(LEAKING) and out.count('4321 byte(s) leaked') == len(LEAKING) else told


def vault_leaks_nothing():
    some = () if os.environ.get('KEYHOLT_LONG') else SHORT
    code, out, told = sanitized('--unconfined', os.path.join(HERE, 'test_vault.py'), *some)
    return None if code == 0 and re.search(r'(?m)^[1-9]\d* passed, 0 failed', out) else told


def main():
    failed, tests = 0, {kind: lambda kind=kind, said=said: outer(kind, said) for kind, said in KINDS.items()}
    tests.update(leaks_are_seen=leaks_are_seen, vault_leaks_nothing=vault_leaks_nothing)
    for name, test in tests.items():
        wrong = test()
        print(f'{name}: {"FAILED: " + wrong if wrong else "ok"}', flush=True)
        failed += bool(wrong)
    print(f'{len(tests) - failed} passed, {failed} failed')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(inner(sys.argv[1]) if len(sys.argv) > 1 else main())
