# SPDX-License-Identifier: GPL-3.0-or-later
"""Counting for the tests of this folder: each check has a name, a failed one says what it saw."""
import os
import sys
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("KEYHOLT_BUILD", os.path.join(ROOT, "build")))
LIBEXEC = os.path.join(BUILD, "libexec")

# "make check-long", on a machine that does nothing else, judges the seconds; elsewhere they only have to be far from
# the minute that all servers together may take.
JUDGED = os.environ.get("KEYHOLT_SECONDS") == "judged"


class Checks:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def that(self, name, good, seen=""):
        if good:
            self.passed += 1
            print(f"ok      {name}")
        else:
            self.failed += 1
            print(f"FAILED  {name}: {seen!r}")

    def skip(self, name, why):
        self.skipped += 1
        print(f"SKIP    {name}: {why}")

    def run(self, *functions):
        for f in functions:
            try:
                f(self)
            except Exception:
                self.failed += 1
                print(f"FAILED  {f.__name__}:\n{traceback.format_exc()}")
        if self.skipped:
            print(f"{self.skipped} skipped")
        print(f"{self.passed} passed, {self.failed} failed")
        sys.exit(1 if self.failed else 0)
