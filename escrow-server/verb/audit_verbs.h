#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The verbs below `keyholt-server audit` that have a file of their own. */

#include "escrow-server/verb/options.h"
#include <stdbool.h>
#include <stdint.h>

struct audit_words {
    const char *root, *key, *as, *chain, *entries, *before, *password_file, *code_file;
    const char *reason, *from, *until;
    uint64_t entry;
    char code[16];
    bool json, without_personal, stop;
    struct option_list rest;
};

/* Each returns an exit code. */
int audit_erase_verb(struct audit_words *w);
int audit_export_verb(const struct audit_words *w);
int audit_begin_verb(const struct audit_words *w);
int audit_losses_verb(const struct audit_words *w);
int audit_acknowledge_verb(struct audit_words *w);
int audit_rotation_verb(struct audit_words *w);
