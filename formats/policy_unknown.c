/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/json_walk.h"
#include "formats/policy.h"
#include <stdio.h>
#include <string.h>

/* Whatever policy.c reads; none of them has members of its own. */
static const char *const known[] = {"format",      "version",     "org",
                                    "escrow",      "encrypt",     "retention",
                                    "key_package", "rotate_days", "rotate_used_needs_receipt",
                                    "verify_hours"};

struct walk {
    const struct jw *j;
    void (*each)(void *arg, const char *name);
    void *arg;
    char path[POLICY_MEMBER];
};

static bool is_known(const struct jw *j, int name)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (jw_is(j, name, known[i]))
            return true;
    return false;
}

static void append_name(struct walk *w, size_t at, int name)
{
    char text[64];
    jw_excerpt(w->j, name, text, sizeof text);
    snprintf(w->path + at, sizeof w->path - at, "%s%s", at > 0 ? "." : "", text);
}

/* What stands in a value; its own path has been written. The depth is JW_DEPTH at most. */
static void walk(struct walk *w, int node)
{
    size_t at = strlen(w->path);
    unsigned i = 0;
    struct jw_each e;
    for (jw_each(w->j, node, &e); jw_each_next(w->j, &e); w->path[at] = '\0') {
        if (e.object && node == JW_ROOT && is_known(w->j, e.name))
            continue;
        if (e.object)
            append_name(w, at, e.name);
        else
            snprintf(w->path + at, sizeof w->path - at, "[%u]", i++);
        if (e.object)
            w->each(w->arg, w->path);
        walk(w, e.value);
    }
}

enum err policy_unknown(const char *json, size_t len, void *scratch, size_t scratch_len,
                        void (*each)(void *arg, const char *name), void *arg)
{
    struct jw j;
    struct walk w = {.j = &j, .each = each, .arg = arg};
    TRY(jw_parse(json, len, scratch, scratch_len, &j));
    walk(&w, JW_ROOT);
    return ERR_OK;
}
