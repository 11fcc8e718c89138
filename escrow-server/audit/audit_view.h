#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What an auditor sees: the vault's chain, the chains that were imported, and boot events, in one list. */

#include "crypto/err.h"
#include "formats/host/audit_chain.h"
#include <json-c/json.h>
#include <stdbool.h>

#define AUDIT_BOOT "boot" /* action of a line that is a boot event, not an entry */

struct audit_line {
    struct audit_entry entry;
    bool foreign; /* from an imported chain */
};

struct audit_view {
    const char *key; /* only lines of key IDs that begin so, upper case; "" for all */
    struct audit_line *line;
    size_t n, cap;
};

/* One chain that was read. */
struct audit_source {
    char path[4096];
    struct audit_head head;
    size_t torn;
    enum err err; /* of its verification; entries up to a break are in the view */
};

/* Read and verify one chain into the view. err: NOMEM; what is wrong with the chain is in ret->err */
MUST_CHECK enum err audit_view_chain(struct audit_view *v, const char *path, bool foreign,
                                     struct audit_source *ret);
/* The "boots" of the running server's answer. */
MUST_CHECK enum err audit_view_boots(struct audit_view *v, struct json_object *answer);
void audit_view_sort(struct audit_view *v);
void audit_view_print(const struct audit_view *v);
struct json_object *audit_view_json(const struct audit_view *v);
void audit_view_free(struct audit_view *v);
