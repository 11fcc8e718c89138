#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A bar on a terminal, nothing elsewhere. */

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct desk_progress {
    uint64_t total; /* bytes */
    struct timespec begin;
    bool terminal, shown;
};

/* Standard error is where it goes, when that is a terminal. */
void desk_progress_begin(uint64_t total, struct desk_progress *ret);
/* Draw it anew; nothing in the first half second, for what is done by then needs no bar. */
void desk_progress_draw(struct desk_progress *p, uint64_t done);
/* All is read and written; what is left is the disk's. */
void desk_progress_sync(struct desk_progress *p);
/* Take it away again. */
void desk_progress_end(struct desk_progress *p);
