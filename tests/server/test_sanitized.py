#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server's tests once more, on a build under AddressSanitizer and UBSan (make sanitized). A short selection if
nothing else is said; KEYHOLT_SANITIZED=all runs every test of these and of others. Closes with "N passed, N failed" of each program."""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.abspath(os.environ.get('KEYHOLT_BUILD', os.path.join(HERE, '..', '..', 'build')))
SHORT = {'test_server.py': ['test_health_and_problems', 'test_enroll_refusals', 'test_sync_receipts', 'test_sync_refuses_bad_records',
                            'test_certificates_are_renewed', 'test_missing_envelopes_are_named', 'test_recover',
                            'test_recover_refusals', 'test_audit_import', 'test_forks_gaps_and_clones_are_stored_and_flagged'],
         'test_operation.py': ['test_each_process_may_die', 'test_drain_finishes_what_has_begun', 'test_escrow_goes_first',
                               'test_metrics_are_summed_and_well_formed', 'test_revocation_is_in_force_at_once',
                               'test_policy_goes_out_with_answers', 'test_lost_records_are_proved_by_their_receipts',
                               'test_enrolment_that_a_person_approves', 'test_check_config'],
         'test_robustness.py': ['test_request_smuggling', 'test_mutated_requests']}
# others, whole or not at all: those that need no agent and shift no clock
ALL = ('test_loss.py', 'test_stores.py', 'test_standby.py')


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
    for name, tests in {**SHORT, **(dict.fromkeys(ALL, []) if whole else {})}.items():
        args = [] if whole else tests
        print(f'-- {name}', flush=True)
        code |= subprocess.run([os.path.join(HERE, name), *args], env=env, check=False).returncode
    return code


if __name__ == '__main__':
    sys.exit(main())
