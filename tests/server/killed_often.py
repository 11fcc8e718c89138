#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""test_killed.py, 200 times: for `make check-long`."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import test_killed  # noqa: E402

sys.exit(test_killed.main(200))
