#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Inside agent/header*.c only: the edge to libcryptsetup and the I/O of our own reader. */

#include "agent/header.h"

/* A fresh libcryptsetup context for h->device, loaded. A second copy of the header that is damaged is
 * repaired by that (libcryptsetup does it without asking). */
MUST_CHECK enum err lib_open(struct header *h);
/* The one place where libcryptsetup's results become ours; r is negative. */
enum err err_from_crypt(int r);
/* What libcryptsetup said last, without its line break; empty when it said nothing. */
const char *lib_last_message(void);

struct volume_io header_io(struct header *h);
