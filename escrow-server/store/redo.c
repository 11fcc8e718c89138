/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/store/redo.h"
#include <stdlib.h>
#include <string.h>

/* A statement, and behind it its parameters; behind each parameter its bytes. */
struct redo_statement {
    enum sql which;
    const char *doing;
    unsigned n;
};
struct redo_param {
    enum query_kind kind;
    size_t len;
    uint64_t number;
};

static bool has_room(struct redo *r, size_t n)
{
    if (n <= r->cap - r->len)
        return true;
    size_t cap = 2 * r->cap + n + 4096;
    if (n > REDO_MAX - r->len)
        return false;
    if (cap > REDO_MAX)
        cap = REDO_MAX;
    uint8_t *more = realloc(r->bytes, cap);
    if (more == NULL)
        return false;
    r->bytes = more;
    r->cap = cap;
    return true;
}

static void put(struct redo *r, const void *p, size_t n)
{
    if (n > 0)
        memcpy(r->bytes + r->len, p, n);
    r->len += n;
}

static bool has_bytes(enum query_kind kind)
{
    return kind == QUERY_BLOB || kind == QUERY_STRING;
}

void redo_add(struct redo *r, const struct query *q)
{
    const struct redo_statement s = {.which = q->which, .doing = q->doing, .n = q->n};
    size_t need = sizeof s;
    for (unsigned i = 0; i < q->n; i++)
        need += sizeof(struct redo_param) + (has_bytes(q->param[i].kind) ? q->param[i].len : 0);
    if (r->full || !has_room(r, need)) {
        r->full = true;
        return;
    }
    put(r, &s, sizeof s);
    for (unsigned i = 0; i < q->n; i++) {
        const struct query_param *from = &q->param[i];
        const struct redo_param p = {
            .kind = from->kind, .len = has_bytes(from->kind) ? from->len : 0, .number = from->number};
        put(r, &p, sizeof p);
        put(r, from->p, p.len);
    }
}

static void take(const struct redo *r, size_t *at, void *ret, size_t n)
{
    memcpy(ret, r->bytes + *at, n);
    *at += n;
}

static enum err run_one(const struct redo *r, size_t *at, struct db *d,
                        enum err (*run)(struct query *q, uint64_t *ret_changed))
{
    struct redo_statement s;
    take(r, at, &s, sizeof s);
    __attribute__((cleanup(query_end))) struct query q = {
        .db = d, .which = s.which, .doing = s.doing, .n = s.n};
    for (unsigned i = 0; i < s.n; i++) {
        struct redo_param p;
        take(r, at, &p, sizeof p);
        q.param[i] = (struct query_param){
            .kind = p.kind, .len = p.len, .number = p.number, .p = has_bytes(p.kind) ? r->bytes + *at : NULL};
        *at += p.len;
    }
    return run(&q, NULL);
}

enum err redo_run(const struct redo *r, size_t until, struct db *d,
                  enum err (*run)(struct query *q, uint64_t *ret_changed))
{
    for (size_t at = 0; at < until;)
        TRY(run_one(r, &at, d, run));
    return ERR_OK;
}

void redo_clear(struct redo *r)
{
    r->len = 0;
    r->full = false;
}

void redo_free(struct redo *r)
{
    free(r->bytes);
}
