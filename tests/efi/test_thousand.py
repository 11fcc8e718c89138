#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wrong digits a thousand times: no memory is lost, and the last attempts take as long as the first."""
import os
import statistics
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
from tests.efi import test_start  # noqa: E402
from tests.efi.scene import Bench, Checks  # noqa: E402


def a_thousand_times(t):
    took = test_start.escape_hatches(t, 1000)
    first, last = statistics.median(took[:100]), statistics.median(took[-100:])
    t.that(f'attempts 1 to 100 took {first:.0f} ms, 901 to 1,000 {last:.0f} ms, at most 1.5 x', last <= 1.5 * max(first, 10))


def main():
    test_start.bench = Bench()
    return Checks().run(a_thousand_times)


if __name__ == '__main__':
    sys.exit(main())
