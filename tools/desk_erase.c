/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tools/desk_erase.h"
#include "formats/host/number_list.h"
#include "formats/text.h"
#include "tools/desk.h"
#include "tools/desk_log.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ERASE_MAX 40 /* so many numbers fit an order's note */

struct wanted {
    uint64_t n[ERASE_MAX];
    unsigned count, there;
};

static enum err add_range(void *ctx, uint64_t from, uint64_t to)
{
    struct wanted *w = ctx;
    if (from == 0 || to < from || to - from >= ERASE_MAX - w->count)
        return ERR_RANGE;
    while (from <= to)
        w->n[w->count++] = from++;
    return ERR_OK;
}

static enum err look(void *ctx, const struct audit_entry *e, const char *line, size_t len)
{
    struct wanted *w = ctx;
    (void)line, (void)len;
    for (unsigned i = 0; i < w->count; i++)
        w->there += w->n[i] == e->n;
    return ERR_OK;
}

/* The order stands in the log before anything goes. */
static enum err order(struct audit_chain *chain, const struct wanted *w, const char *who)
{
    struct audit_entry a = {.time = (uint64_t)time(NULL), .role = "desk", .action = AUDIT_ERASE};
    struct audit_head head;
    audit_get_head(chain, &head);
    text_clean(who, strlen(who), a.who, sizeof a.who);
    size_t len = (size_t)snprintf(a.note, sizeof a.note, "chain=%s entries=", head.chain);
    for (unsigned i = 0; i < w->count && len < sizeof a.note; i++)
        len += (size_t)snprintf(a.note + len, sizeof a.note - len, "%s%llu", i == 0 ? "" : ",",
                                (unsigned long long)w->n[i]);
    return len < sizeof a.note ? audit_append(chain, &a) : ERR_RANGE;
}

static enum err erase(const struct wanted *w, const char *root, const char *who)
{
    struct desk_log log = {.who = who};
    unsigned n;
    TRY(desk_log_open(&log, root));
    enum err e = order(log.chain, w, who);
    if (e == ERR_OK)
        e = audit_erase(log.path, w->n, w->count, &n);
    desk_log_close(&log);
    return e;
}

int desk_erase(const char *root, const char *entries, const char *who)
{
    struct wanted w = {.count = 0};
    struct audit_head head;
    char path[PATH_MAX];
    size_t torn;
    if (number_list_read(entries, add_range, &w) != ERR_OK)
        return desk_usage(&desk_audit_verb, "--entries wants numbers as 3,7-9, at most %d at once",
                          ERASE_MAX);
    if (desk_log_path(root, path) != ERR_OK)
        return desk_usage(&desk_audit_verb, "--root is too long");
    enum err e = audit_verify(path, look, &w, &head, &torn);
    if (e == ERR_OK && w.there != w.count) {
        desk_say("%s has not every entry that was named; nothing was erased", path);
        return KH_EXIT_NO;
    }
    if (e == ERR_OK)
        e = erase(&w, root, who);
    if (e != ERR_OK) {
        desk_say("%s: nothing is erased, or not all of it (%s); repeat it", path, err_text(e));
        return KH_EXIT_FAILED;
    }
    printf("the personal data of %u entries is erased; the chain verifies as before\n", w.count);
    return KH_EXIT_OK;
}
