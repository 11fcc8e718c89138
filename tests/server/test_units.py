#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The units of the packages, as systemd reads them. Closes with "N passed, N failed"."""
import glob
import os
import re
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from server_fixture import HERE, run  # noqa: E402
from server_suite import Skip, eq, holds, main  # noqa: E402

UNITS = sorted(glob.glob(os.path.join(HERE, '../../packaging/systemd/keyholt-*')))
# exposure at most, from 0 to 10. The server starts as root, because each of its processes has a user of its own.
EXPOSURE = {'keyholt-courier.service': 2.0, 'keyholt-keeper.service': 2.0, 'keyholt-server.service': 3.2,
            'keyholt-server-retain.service': 3.0}


def analyze(*args, code=0):
    if shutil.which('systemd-analyze') is None:
        raise Skip('systemd-analyze is not there: install systemd')
    return run('systemd-analyze', *args, code=code)


def test_units_are_understood():
    """Nothing is complained of, but that programs and manual pages are not installed here."""
    folder = tempfile.mkdtemp(prefix='keyholt-units-')
    try:
        for unit in UNITS:
            with open(unit, encoding='utf-8') as f:
                text = re.sub(r'(?m)^(Exec\w+=[-+!:@]*)/usr/\S+', r'\1/bin/true', f.read())
            text = re.sub(r'(?m)^Documentation=.*\n', '', text)
            with open(os.path.join(folder, os.path.basename(unit)), 'w', encoding='utf-8') as f:
                f.write(text)
        done = analyze('verify', *(os.path.join(folder, os.path.basename(u)) for u in UNITS))
        eq(done.stderr + done.stdout, '', 'systemd-analyze verify')
    finally:
        shutil.rmtree(folder)


def test_units_are_confined():
    services = [u for u in UNITS if u.endswith('.service')]
    eq(sorted(map(os.path.basename, services)), sorted(EXPOSURE), 'services')
    for unit in services:
        said = analyze('security', '--offline=yes', unit).stdout
        got = float(re.search(r'Overall exposure level for \S+: ([\d.]+)', said)[1])
        holds(got <= EXPOSURE[os.path.basename(unit)], f'{os.path.basename(unit)}: {got}')


if __name__ == '__main__':
    sys.exit(main(globals(), sys.argv[1:], 600))
