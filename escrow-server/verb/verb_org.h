#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The parts of the verb org; each returns an exit code, after a word on standard error. */

#include "escrow-server/places.h"
#include <stdbool.h>

/* org_show.c
 * root: NULL where there is no server; file: NULL: the server's own */
int org_show(const char *root, const char *file, bool json);
/* org_set.c */
int org_set(const char *root, const char *file, bool json);
/* verb_org.c */
int org_complain(int code, const char *what, const char *reason);
