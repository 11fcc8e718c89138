#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The lines of an audit log, one after another; for the audit_*.c files only. Hosted. */

#include "formats/host/audit_chain.h"
#include <sys/types.h>

struct audit_lines {
    int fd;    /* borrowed, at its beginning */
    off_t off; /* in the file: of the line that was read last */
    size_t start, end, last;
    char buf[2 * AUDIT_LINE_MAX];
};

/* The next line with its newline, borrowed until the next call; ret_len 0 at the end of the file, where
 * *ret_torn bytes are left. err: RANGE (too long a line), IO */
MUST_CHECK enum err audit_lines_next(struct audit_lines *r, const char **ret, size_t *ret_len,
                                     size_t *ret_torn);

/* Only a regular file keeps what is written to it. flags: of open(). err: FORMAT (something else), ... */
MUST_CHECK enum err audit_open_regular(const char *path, int flags, int *ret);

/* Bytes of a line before its tab: what the next line's hash is of. err: FORMAT (there is none) */
MUST_CHECK enum err audit_line_core(const char *line, size_t len, size_t *ret);
