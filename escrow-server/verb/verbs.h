#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The verbs of keyholt-server, one file each; the table stands in main.c. */

#include "crypto/err.h"

struct verb {
    const char *name;
    /* argv: the words after the verb; returns an exit code of formats/names.h */
    int (*run)(int argc, char *const *argv);
    const char *usage; /* with its newline */
    const char *does;  /* half a sentence */
};

/* config_page.c: the manual page on server.conf, to standard output. err: NOMEM, IO */
MUST_CHECK enum err config_page(void);

extern const struct verb verb_init, verb_serve, verb_recover, verb_audit, verb_user, verb_token, verb_backup,
    verb_restore, verb_verify, verb_check_config, verb_device, verb_policy, verb_move, verb_retain,
    verb_import, verb_keys, verb_approve, verb_org;
