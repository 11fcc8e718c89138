# SPDX-License-Identifier: GPL-3.0-or-later
"""Where this machine gets Debian from: its own apt configuration, one-line and deb822 files."""
import glob
import os
import re

KEYRINGS = ('/usr/share/keyrings/debian-archive-keyring.gpg', '/usr/share/keyrings/debian-archive-bookworm-stable.gpg')


class MirrorError(RuntimeError):
    """The apt configuration names no Debian archive."""


def _one_line(text):
    """(uri, suite, components) of each `deb [options] uri suite component…` line."""
    for line in text.splitlines():
        fields = re.sub(r'\[[^]]*\]', ' ', line.split('#')[0]).split()
        if len(fields) >= 4 and fields[0] == 'deb':
            yield fields[1], fields[2], fields[3:]


def _deb822(text):
    for stanza in re.split(r'\n\s*\n', '\n'.join(line for line in text.splitlines() if not line.startswith('#'))):
        fields, last = {}, None
        for line in stanza.splitlines():
            if line[:1] in ' \t' and last:
                fields[last] += ' ' + line.strip()
            elif ':' in line:
                last, value = line.split(':', 1)
                last = last.strip().lower()
                fields[last] = value.strip()
        if 'deb' not in fields.get('types', '').split() or fields.get('enabled', 'yes').lower() in ('no', 'false'):
            continue
        for uri in fields.get('uris', '').split():
            for suite in fields.get('suites', '').split():
                yield uri, suite, fields.get('components', '').split()


def sources(etc_apt='/etc/apt'):
    """All (uri, suite, components) that apt would use."""
    found = []
    for path in [os.path.join(etc_apt, 'sources.list')] + sorted(glob.glob(f'{etc_apt}/sources.list.d/*')):
        reader = {'.list': _one_line, '.sources': _deb822}.get(os.path.splitext(path)[1])
        if reader and os.path.isfile(path):
            with open(path, encoding='utf-8', errors='replace') as f:
                found += reader(f.read())
    return found


def archive(suite='bookworm', etc_apt='/etc/apt'):
    """The address of the main Debian archive for a suite (not -security, -updates, and no other vendor's)."""
    names = (suite, 'stable') if suite == 'bookworm' else (suite,)
    for uri, name, components in sources(etc_apt):
        if name in names and 'main' in components and uri.split(':')[0] in ('http', 'https', 'file'):
            return uri.rstrip('/')
    raise MirrorError(f'the apt configuration in {etc_apt} names no archive with {suite} main by http, https or file; '
                      f'add one, then try again')


def keyring():
    """Debian's archive keys on this machine."""
    for path in KEYRINGS:
        if os.path.exists(path):
            return path
    raise MirrorError('Debian\'s archive keys are missing; install debian-archive-keyring')
