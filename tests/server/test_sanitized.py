#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unit tests and the server's tests on a build under AddressSanitizer and UBSan (make sanitized): test_server.py and the
units whole, of the others a selection; KEYHOLT_SANITIZED=all runs all of these and of more. Closes with "N passed, N failed"
of each program."""
import glob
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.abspath(os.environ.get('KEYHOLT_BUILD', os.path.join(HERE, '..', '..', 'build')))
SHORT = {'test_server.py': [],
         'test_operation.py': ['test_each_process_may_die', 'test_drain_finishes_what_has_begun', 'test_escrow_goes_first',
                               'test_metrics_are_summed_and_well_formed', 'test_revocation_is_in_force_at_once',
                               'test_policy_goes_out_with_answers', 'test_lost_records_are_proved_by_their_receipts',
                               'test_enrolment_that_a_person_approves', 'test_check_config'],
         'test_strangers.py': ['test_who_may_send_much', 'test_more_than_there_is_room_for'],
         'test_robustness.py': ['test_request_smuggling', 'test_mutated_requests']}
# they judge the worker's memory, which here is mostly the sanitizer's
MEMORY = ('test_strangers.py',)
# units that take many seconds of a processor here
LONG_UNITS = ('test_disk_faults', 'test_disk_kept', 'test_bitlocker_unlock')
# others, whole or not at all: those that need no agent and shift no clock
ALL = ('test_loss.py', 'test_stores.py', 'test_standby.py', 'test_two_servers.py')


def main():
    san = os.path.join(BUILD, 'san')
    if not os.path.exists(os.path.join(san, 'libexec/web')):
        print('SKIP: no sanitized build; `make sanitized` makes it')
        print('0 passed, 0 failed, 1 skipped')
        return 0
    with open(os.path.join(san, 'libexec/web'), 'rb') as f:
        if b'__asan_report_load1' not in f.read():
            print('0 passed, 1 failed: build/san/libexec/web has no sanitizer in it')
            return 1
    # leaks: the processes end by exit with everything they had; the vault's filter knows no ptrace
    env = {**os.environ, 'KEYHOLT_BUILD': san, 'ASAN_OPTIONS': 'detect_leaks=0:abort_on_error=1', 'KEYHOLT_FUZZ': os.environ.get('KEYHOLT_FUZZ', '150'),
           'UBSAN_OPTIONS': 'print_stacktrace=1'}
    code = 0
    whole = os.environ.get('KEYHOLT_SANITIZED') == 'all'
    for unit in sorted(glob.glob(os.path.join(san, 'tests/test_*'))):
        name = os.path.basename(unit)
        if whole or name not in LONG_UNITS:
            print(f'-- {name}', flush=True)
            one = subprocess.run([unit], env=env, check=False).returncode
            if one < 0:
                print(f'0 passed, 1 failed: {name} ended by signal {-one}', flush=True)
            code |= one
    for name, tests in {**SHORT, **(dict.fromkeys(ALL, []) if whole else {})}.items():
        args = [] if whole and name not in MEMORY else tests
        print(f'-- {name}', flush=True)
        code |= subprocess.run([os.path.join(HERE, name), *args], env=env, check=False).returncode
    return code


if __name__ == '__main__':
    sys.exit(main())
