#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What only the plain build can judge, in make check: what connections cost a web worker (under a sanitizer memory is mostly
the sanitizer's), and how long a passphrase is stretched (there it is for a moment). Closes with "N passed, N failed"."""
import glob
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from server_fixture import SANITIZED, Server, run  # noqa: E402
from server_suite import Skip, holds, main  # noqa: E402
from test_robustness import test_idle_connections  # noqa: E402,F401
from test_strangers import test_large_requests_are_few, test_strangers_hold_little  # noqa: E402,F401


def test_passphrases_are_stretched():
    """source: OWASP's count of 2023 for PBKDF2 with SHA-256"""
    if SANITIZED:
        raise Skip('the sanitized build takes fewer iterations')
    s = Server()
    try:
        for key in (s.state('vault/audit.key'), *glob.glob(s.path('desk/*.key'))):
            done = run('openssl', 'asn1parse', '-in', key).stdout
            counts = [int(n, 16) for n in re.findall(r'INTEGER +:([0-9A-F]+)', done)]
            holds(600000 in counts, f'{key}: {done}')
    finally:
        s.clean()


if __name__ == '__main__':
    sys.exit(main(globals(), set(sys.argv[1:])))
