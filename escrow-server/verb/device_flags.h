#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `keyholt-server device flags`: what the server noticed about devices. */

#include <stdbool.h>

/* Newest first. device, kind: of that one alone; NULL: of all. Returns an exit code. */
int device_flags(const char *root, const char *device, const char *kind, bool json);
