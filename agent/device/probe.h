#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The probe: the agent's process that looks at block devices for the keeper. What lies on a disk that
 * somebody plugged in is parsed here, not where the secrets are; and a device that does not answer hangs this
 * process, not the keeper, which kills it and goes on. It reads, writes nothing (seccomp), and knows no
 * secret. */

#include "agent/device/probed.h"
#include "crypto/err.h"
#include <stdbool.h>

#define PROBE_FD 3 /* its end of the socket pair */

/* Look at one device (probe_device.c).
 * disk: a whole disk: its partition table is read, too
 * ret:  always filled; ret->err says what kept it from being looked at */
void probe_device(const char *path, bool disk, struct probed *ret);

/* Details of the two formats (probe_luks.c, probe_bitlocker.c). What cannot be read is a sentence in
 * p->problem. False: the device is not of this format, and p is as it was. */
bool probe_luks(const int *fd, struct probed *p);
bool probe_bitlocker(const int *fd, struct probed *p);

/* Give up every system call that this process does not need, and all writing (probe_sandbox.c). err: NOMEM,
 * INTERNAL (the kernel refuses the filter) */
MUST_CHECK enum err probe_sandbox(void);
