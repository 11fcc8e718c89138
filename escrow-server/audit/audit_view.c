/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/audit/audit_view.h"
#include "formats/host/json_strict.h"
#include "formats/names.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static enum err add(struct audit_view *v, const struct audit_entry *e, bool foreign)
{
    if (strncmp(e->key_id, v->key, strlen(v->key)) != 0)
        return ERR_OK;
    if (v->n == v->cap) {
        size_t cap = v->cap == 0 ? 64 : v->cap * 2;
        struct audit_line *p = realloc(v->line, cap * sizeof *p);
        if (p == NULL)
            return ERR_NOMEM;
        v->line = p;
        v->cap = cap;
    }
    v->line[v->n++] = (struct audit_line){*e, foreign};
    return ERR_OK;
}

struct visit {
    struct audit_view *view;
    bool foreign;
};

static enum err visit(void *ctx, const struct audit_entry *e, const char *line, size_t len)
{
    const struct visit *v = ctx;
    (void)line, (void)len;
    return add(v->view, e, v->foreign);
}

enum err audit_view_chain(struct audit_view *v, const char *path, bool foreign, struct audit_source *ret)
{
    struct visit ctx = {v, foreign};
    struct audit_source s = {.torn = 0};
    snprintf(s.path, sizeof s.path, "%s", path);
    s.err = audit_verify(path, visit, &ctx, &s.head, &s.torn);
    *ret = s;
    return s.err == ERR_NOMEM ? ERR_NOMEM : ERR_OK;
}

static const char *reason_text(uint64_t reason)
{
    switch (reason) {
    case KH_REASON_PASSPHRASE:
        return "wrong passphrases at the prompt";
    case KH_REASON_TPM:
        return "the TPM did not release the key";
    case KH_REASON_USER:
        return "the user asked for it";
    case KH_REASON_HELPDESK:
        return "the help desk asked for it";
    default:
        return "reason unknown";
    }
}

static enum err copy(struct json_object *o, const char *name, char *ret, size_t cap)
{
    const char *text;
    TRY(json_get_text(o, name, cap - 1, &text));
    snprintf(ret, cap, "%s", text);
    return ERR_OK;
}

static enum err add_boot(struct audit_view *v, struct json_object *o)
{
    struct audit_entry e = {.who = "laptop", .role = "-", .action = AUDIT_BOOT};
    uint64_t result, reason;
    TRY(json_get_u64(o, "time", &e.time));
    TRY(copy(o, "key_id", e.key_id, sizeof e.key_id));
    TRY(copy(o, "volume", e.volume, sizeof e.volume));
    TRY(copy(o, "device", e.device, sizeof e.device));
    TRY(json_get_u64(o, "result", &result));
    TRY(json_get_u64(o, "reason", &reason));
    snprintf(e.reason, sizeof e.reason, "%s", reason_text(reason));
    snprintf(e.detail, sizeof e.detail, "recovery screen: %s",
             result == 1 ? "volume opened" : "volume not opened");
    return add(v, &e, false);
}

enum err audit_view_boots(struct audit_view *v, struct json_object *answer)
{
    struct json_object *boots;
    TRY(json_get_array(answer, "boots", 1024, &boots));
    for (size_t i = 0; i < json_object_array_length(boots); i++)
        TRY(add_boot(v, json_object_array_get_idx(boots, i)));
    return ERR_OK;
}

static int by_time(const void *a, const void *b)
{
    const struct audit_entry *x = &((const struct audit_line *)a)->entry,
                             *y = &((const struct audit_line *)b)->entry;
    if (x->time != y->time)
        return x->time < y->time ? -1 : 1;
    int chain = strcmp(x->chain, y->chain);
    return chain != 0 ? chain : (x->n > y->n) - (x->n < y->n);
}

void audit_view_sort(struct audit_view *v)
{
    if (v->n > 0)
        qsort(v->line, v->n, sizeof v->line[0], by_time);
}

static void print_line(const struct audit_line *l)
{
    const struct audit_entry *e = &l->entry;
    char when[32] = "?";
    struct tm tm;
    if (gmtime_r(&(time_t){(time_t)e->time}, &tm) != NULL)
        strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
    bool boot = strcmp(e->action, AUDIT_BOOT) == 0;
    printf("%s %-8s %s%.8s%s", when, e->action,
           boot         ? "device "
           : l->foreign ? "desk "
                        : "vault ",
           boot ? e->device : e->chain, boot ? "" : " ");
    if (!boot)
        printf("#%llu", (unsigned long long)e->n);
    if (e->key_id[0] != '\0')
        printf("  key %s", e->key_id);
    printf("  by %s", e->erased ? "[erased]" : e->who);
    if (e->role[0] != '\0' && strcmp(e->role, "-") != 0)
        printf(" (%s)", e->role);
    if (e->reason[0] != '\0')
        printf("  reason: %s", e->reason);
    if (strcmp(e->action, AUDIT_CHECK) == 0) /* 240 characters that nobody can read */
        printf("  [signed head of #%llu; --json shows it]", (unsigned long long)e->n - 1);
    else if (e->note[0] != '\0')
        printf("  [%s]", e->note);
    if (e->detail[0] != '\0')
        printf("  [%s]", e->detail);
    putchar('\n');
}

void audit_view_print(const struct audit_view *v)
{
    for (size_t i = 0; i < v->n; i++)
        print_line(&v->line[i]);
}

static void add_text(struct json_object *o, const char *name, const char *text)
{
    if (text[0] != '\0')
        json_object_object_add(o, name, json_object_new_string(text));
}

struct json_object *audit_view_json(const struct audit_view *v)
{
    struct json_object *list = json_object_new_array();
    for (size_t i = 0; i < v->n; i++) {
        const struct audit_entry *e = &v->line[i].entry;
        struct json_object *o = json_object_new_object();
        bool boot = strcmp(e->action, AUDIT_BOOT) == 0;
        add_text(o, "source", boot ? "boot-event" : v->line[i].foreign ? "imported" : "vault");
        json_object_object_add(o, "time", json_object_new_int64((int64_t)e->time));
        if (!boot)
            json_object_object_add(o, "n", json_object_new_int64((int64_t)e->n));
        add_text(o, "chain", e->chain);
        add_text(o, "who", e->who);
        add_text(o, "role", e->role);
        add_text(o, "action", e->action);
        add_text(o, "key_id", e->key_id);
        add_text(o, "volume", e->volume);
        add_text(o, "device", e->device);
        add_text(o, "reason", e->reason);
        add_text(o, "detail", e->detail);
        add_text(o, "note", e->note);
        if (e->erased)
            json_object_object_add(o, "erased", json_object_new_boolean(true));
        json_object_array_add(list, o);
    }
    return list;
}

void audit_view_free(struct audit_view *v)
{
    free(v->line);
    *v = (struct audit_view){.key = ""};
}
