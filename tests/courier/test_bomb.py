#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a gzip bomb costs the courier: judged on the plain build, where its memory is its own."""
from checks import Checks
from keeper import REFUSED, Keeper
from scene import OURS, enrolled
from server import Server, packed


def peak_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmHWM"))


def bomb(t):
    with enrolled(Keeper()) as k, Server(OURS, lambda *_: packed(b" " * (64 << 20))) as s:
        a = k.sync([s.url], OURS.pem)
        t.that("a gzip bomb is refused with a sentence", a["status"] == REFUSED and a["problem"], a)
        kib = peak_kib(k.process.pid)
        t.that("the bomb did not fill the memory", kib < 64 << 10, kib)


if __name__ == "__main__":
    Checks().run(bomb)
