#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The desk's own audit log: where it lies and what every entry of it says. */

#include "formats/envelope.h"
#include "formats/host/audit_chain.h"
#include <limits.h>

struct desk_log {
    struct audit_chain *chain;
    char path[PATH_MAX];
    const char *who, *user; /* borrowed; user may be NULL */
    const char *reason;     /* borrowed */
};

/* Where the log lies below root ("" for the running system). err: RANGE */
MUST_CHECK enum err desk_log_path(const char *root, char ret[static PATH_MAX]);
/* Open it for writing, with its folder. log->who, user and reason are the caller's.
 * err: what audit_open() and file_mkdirs() say */
MUST_CHECK enum err desk_log_open(struct desk_log *log, const char *root);
/* Write one entry; on ERR_OK it is durable.
 * envelope: what it is about; NULL when that could not be read
 * detail:   what there is to say beyond it; cleaned and cut to fit */
MUST_CHECK enum err desk_log_write(struct desk_log *log, const char *action, const struct envelope *envelope,
                                   const char *detail);
void desk_log_close(struct desk_log *log);
