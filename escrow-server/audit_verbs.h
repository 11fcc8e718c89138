#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The verbs below `keyholt-server audit` that have a file of their own. */

#include "escrow-server/options.h"
#include <stdbool.h>

struct audit_words {
    const char *root, *key, *as, *chain, *entries, *before, *password_file, *code_file;
    char code[16];
    bool json, without_personal;
    struct option_list rest;
};

/* Each returns an exit code. */
int audit_erase_verb(struct audit_words *w);
int audit_export_verb(const struct audit_words *w);
