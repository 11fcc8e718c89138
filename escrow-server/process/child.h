#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The start that web, writer and vault share: configuration and organisation are read, privileges dropped,
 * and only what is left afterwards meets input. */

#include "crypto/err.h"
#include "crypto/secret.h"
#include "escrow-server/places.h"
#include "escrow-server/process/control.h"
#include "formats/org.h"
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct child {
    enum process_kind kind;
    struct conf conf;
    struct org org;
    uint8_t *org_json; /* the file, verified; for what struct org leaves out */
    size_t org_json_len;
    char root[64];            /* a way to --root that no folder above it can bar */
    struct secret passphrase; /* of the vault's keys; empty in the others */
    bool locked;              /* all memory, present and future, is locked */
};

/* argv: PROGRAM --root DIR, as the supervisor calls it. On return the working directory is the process's
 * own folder, the uid its own, and the offline keys were tried in vain.
 * The process ends itself, with a sentence, on any failure. */
void child_start(int argc, char *const *argv, enum process_kind kind, struct child *ret);
/* SIGTERM and SIGINT were seen. */
extern volatile sig_atomic_t child_stopping;
/* Block both until ppoll() lets them in, so that none is missed between looking and waiting. */
void child_hold_signals(void);
/* Tell the supervisor that requests can come. */
void child_ready(void);
/* Tell it that what comes before takes long and goes on; said once a second however often it is called. */
void child_working(void);
/* What the supervisor hands over: fd is the callee's, to be closed where it is not wanted. Shared counters
 * (CONTROL_COUNTERS) are attached already; then fd is -1. */
typedef void child_take(void *ctx, enum control_what what, int fd);
/* Everything that it has handed over since. err: OFFLINE: no supervisor, no work */
MUST_CHECK enum err child_listen(child_take *take, void *ctx);
