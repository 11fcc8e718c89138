/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/host/process.h"
#include "escrow-server/audit/audit_reading.h"
#include "escrow-server/process/local.h"
#include "escrow-server/process/msg.h"
#include "escrow-server/state.h"
#include "escrow-server/verb/ask.h"
#include "escrow-server/verb/audit_verbs.h"
#include "formats/host/json_strict.h"
#include "formats/host/number_list.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Which entries: by number ("3,7-9"), or all of the chain from before a day. */
struct wanted {
    uint64_t *n;
    size_t count;
    const char *chain;
};

static enum err add(struct wanted *w, uint64_t n)
{
    uint64_t *p = reallocarray(w->n, w->count + 1, sizeof *p);
    if (p == NULL)
        return ERR_NOMEM;
    w->n = p;
    w->n[w->count++] = n;
    return ERR_OK;
}

static enum err add_range(void *ctx, uint64_t from, uint64_t to)
{
    struct wanted *w = ctx;
    if (from == 0 || to < from || to - from > 1000000)
        return ERR_RANGE;
    for (uint64_t n = from; n <= to; n++)
        TRY(add(w, n));
    return ERR_OK;
}

static enum err read_day(const char *text, uint64_t *ret)
{
    struct tm tm = {0};
    const char *end = strptime(text, "%Y-%m-%d", &tm);
    if (end == NULL || *end != '\0')
        return ERR_FORMAT;
    *ret = (uint64_t)timegm(&tm);
    return ERR_OK;
}

/* Of the chain, what is there and not erased yet; entries of the system name nobody. */
static enum err take_before(struct wanted *w, const struct audit_reading *r, uint64_t before)
{
    for (size_t i = 0; i < r->view.n; i++) {
        const struct audit_entry *e = &r->view.line[i].entry;
        if (strcmp(e->chain, w->chain) == 0 && e->time < before && !e->erased &&
            strcmp(e->role, "system") != 0)
            TRY(add(w, e->n));
    }
    return ERR_OK;
}

static int ask(const struct audit_words *a, const struct wanted *w, size_t from, size_t count,
               const struct secret *password)
{
    struct json_object *answer = NULL, *o = json_object_new_object(), *list = json_object_new_array();
    for (size_t i = 0; i < count; i++)
        json_object_array_add(list, json_object_new_uint64(w->n[from + i]));
    json_object_object_add(o, "op", json_object_new_string("erase"));
    json_object_object_add(o, "as", json_object_new_string(a->as));
    json_object_object_add(o, "chain", json_object_new_string(w->chain));
    json_object_object_add(o, "entries", list);
    json_object_object_add(o, "code", json_object_new_string(a->code));
    int code = ask_server(a->root, "audit erase", o, password, &answer);
    json_object_put(answer);
    return code;
}

static int erase(const struct audit_words *a, const struct wanted *w)
{
    SECRET(password);
    size_t done = 0;
    if (a->code_file != NULL && w->count > MSG_ERASE_MAX)
        return state_complain(KH_EXIT_USAGE, "audit erase",
                              "with a one-time code at most 40 entries go at once");
    enum err e = secret_from_file(a->password_file, &password);
    if (e != ERR_OK)
        return state_complain(KH_EXIT_FAILED, a->password_file, secret_file_text(e));
    while (done < w->count) {
        size_t count = w->count - done < MSG_ERASE_MAX ? w->count - done : MSG_ERASE_MAX;
        int code = ask(a, w, done, count, &password);
        if (code != KH_EXIT_OK)
            return code;
        done += count;
    }
    if (a->json)
        printf("{\"chain\":\"%s\",\"erased\":%zu}\n", w->chain, done);
    else
        printf("chain %s: the personal data of %zu entries is erased; the chain verifies as before\n",
               w->chain, done);
    return KH_EXIT_OK;
}

static int choose(const struct audit_words *a, struct wanted *w, const struct audit_reading *r)
{
    uint64_t before = 0;
    w->chain = a->chain != NULL ? a->chain : r->source[0].head.chain;
    enum err e =
        a->entries != NULL ? number_list_read(a->entries, add_range, w) : read_day(a->before, &before);
    if (e == ERR_FORMAT || e == ERR_RANGE)
        return state_complain(KH_EXIT_USAGE, "audit erase",
                              "--entries wants numbers as 3,7-9 and --before a day as 2026-01-31");
    if (e == ERR_OK && a->entries == NULL)
        e = take_before(w, r, before);
    return e == ERR_OK ? erase(a, w) : state_complain(KH_EXIT_FAILED, "audit erase", err_text(e));
}

int audit_erase_verb(struct audit_words *a)
{
    struct wanted w = {.n = NULL};
    if (a->code_file != NULL && local_read_code(a->code_file, a->code, sizeof a->code) != ERR_OK)
        return state_complain(KH_EXIT_FAILED, a->code_file, "a one-time code of 6 digits is wanted");
    if ((a->entries == NULL) == (a->before == NULL) || a->password_file == NULL)
        return state_complain(KH_EXIT_USAGE, "audit erase",
                              "--entries or --before, --as and --password-file are wanted");
    struct audit_reading *r = calloc(1, sizeof *r);
    if (r == NULL)
        return state_complain(KH_EXIT_FAILED, "audit erase", err_text(ERR_NOMEM));
    r->view.key = "";
    enum err e = audit_read_all(r, a->root);
    int code = e == ERR_OK ? choose(a, &w, r) : state_complain(KH_EXIT_FAILED, a->root, err_text(e));
    free(w.n);
    audit_view_free(&r->view);
    free(r);
    return code;
}
