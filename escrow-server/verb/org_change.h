#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The next version of an org.json, not signed yet. What this program does not know of it stays as it is. */

#include "crypto/p256.h"
#include "escrow-server/verb/options.h"
#include "escrow-server/verb/org_file.h"
#include <json-c/json.h>

/* As a person said it; NULL and empty lists change nothing. */
struct org_change {
    const char *name, *message, *url, *no_copying;           /* the last one: yes or no */
    struct option_list servers;                              /* in the place of those that there are */
    struct option_list escrow_keys, desk_keys, receipt_keys; /* files, PEM; to add */
    struct option_list drop_escrow, drop_receipt;            /* IDs, or how they begin */
    struct option_words revoke, allow;                       /* IDs of devices */
};

struct org_edit {
    struct json_object *o;    /* the whole file */
    struct json_object *said; /* array of sentences: what becomes of it */
    unsigned n_changes;       /* some sentences say that nothing does */
    char problem[512];        /* why not; may be empty */
};

/* from: decoded, its signature good; ret: set in any case, org_edit_wipe() it
 * err: FORMAT (the change is not one), CONFLICT (it does not fit this file); other ones: it failed */
MUST_CHECK enum err org_change(const struct org_file *from, const struct org_change *c, struct org_edit *ret);
void org_edit_wipe(struct org_edit *x);
#define ORG_EDIT(name) __attribute__((cleanup(org_edit_wipe))) struct org_edit name = {.o = NULL}

/* As the file has it; borrowed from x->o. NULL without memory */
const char *org_edit_text(const struct org_edit *x);

/* For those who change: a sentence on what was changed, on what was not, and why nothing is (returns e). */
void org_edit_say(struct org_edit *x, const char *format, ...) __attribute__((format(printf, 2, 3)));
void org_edit_note(struct org_edit *x, const char *format, ...) __attribute__((format(printf, 2, 3)));
enum err org_edit_refuse(struct org_edit *x, enum err e, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* org_keys.c
 * err: NOMEM */
MUST_CHECK enum err org_add_text(struct json_object *o, const char *name, const char *text);
/* {"id", "use", "spki"} of a public key; use may be NULL. */
MUST_CHECK enum err org_key_object(const struct cr_p256_pub *pub, const char *use, struct json_object **ret);
MUST_CHECK enum err org_change_keys(struct org_edit *x, const struct org_change *c);
