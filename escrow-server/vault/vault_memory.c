/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/process/slog.h"
#include "escrow-server/vault/vault.h"
#include "formats/base.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the vault keeps of its logs and of imported ones: each entry's hash, and every disclosure. */

enum err vault_memory_grow(void **p, size_t *cap, size_t n, size_t size)
{
    if (n < *cap)
        return ERR_OK;
    size_t want = *cap == 0 ? 64 : *cap * 2;
    void *q = reallocarray(*p, want, size);
    if (q == NULL)
        return ERR_NOMEM;
    *p = q;
    *cap = want;
    return ERR_OK;
}

static void clear_copies(struct vault *v)
{
    while (v->n_copies > 0)
        free(v->copy[--v->n_copies].mark);
}

void vault_memory_clear(struct vault *v)
{
    clear_copies(v);
    if (v->n_known < v->n_marks)
        v->n_known = v->n_marks;
    v->n_disclosed = v->n_marks = v->n_orders = 0;
    v->last_check = v->lost = v->size = v->latest = 0;
    vault_steps_sort(v); /* stay: not every code that was used came into the log */
    v->losses.n = 0;
    memset(v->wish, 0, sizeof v->wish);
}

void vault_memory_free(struct vault *v)
{
    clear_copies(v);
    free(v->copy);
    free(v->disclosed);
    free(v->mark);
    free(v->order);
    free(v->step);
}

enum err vault_memory_reserve(struct vault *v)
{
    void *p = v->mark;
    enum err e = vault_memory_grow(&p, &v->cap_marks, v->n_marks, sizeof *v->mark);
    v->mark = p;
    return e;
}

static struct vault_mark mark_of(const struct audit_entry *a, uint64_t off)
{
    struct vault_mark m = {.time = a->time, .off = off, .erased = a->erased};
    memcpy(m.hash, a->hash, sizeof m.hash);
    return m;
}

void vault_memory_mark(struct vault *v, const struct audit_entry *a, uint64_t off)
{
    struct vault_mark m = mark_of(a, off);
    m.since = vault_up();
    v->mark[v->n_marks++] = m;
}

/* Of an entry that this vault read or wrote before, it knows better than the entry's time does. */
static void mark_read(struct vault *v, const struct audit_entry *a)
{
    struct vault_mark m = mark_of(a, v->size);
    vault_age_read(&m, &v->latest);
    const struct vault_mark *was = &v->mark[v->n_marks];
    if (v->n_marks < v->n_known && memcmp(was->hash, m.hash, sizeof m.hash) == 0) {
        m.since = was->since;
        m.ahead = was->ahead;
    }
    v->mark[v->n_marks++] = m;
}

static struct vault_copy *find_copy(const struct vault *v, const uint8_t chain[static 16])
{
    for (size_t i = v->n_copies; i-- > 0;)
        if (memcmp(v->copy[i].chain, chain, 16) == 0)
            return &v->copy[i];
    return NULL;
}

static enum err add_copy(struct vault *v, const uint8_t chain[static 16], struct vault_copy **ret)
{
    void *p = v->copy;
    enum err e = vault_memory_grow(&p, &v->cap_copies, v->n_copies, sizeof *v->copy);
    v->copy = p;
    TRY(e);
    struct vault_copy *c = &v->copy[v->n_copies++];
    *c = (struct vault_copy){.n = 0};
    memcpy(c->chain, chain, sizeof c->chain);
    *ret = c;
    return ERR_OK;
}

enum err vault_memory_copy(struct vault *v, const struct audit_entry *a)
{
    uint8_t chain[16];
    size_t len;
    TRY(base16_decode(a->chain, strlen(a->chain), chain, sizeof chain, &len));
    struct vault_copy *c = find_copy(v, chain);
    if (c == NULL)
        TRY(add_copy(v, chain, &c));
    if (a->n == 0 || a->n > c->n + 1)
        return ERR_FORMAT;
    if (a->n <= c->n) /* an import broke off behind it, and was repeated */
        return ERR_OK;
    void *p = c->mark;
    enum err e = vault_memory_grow(&p, &c->cap, c->n, sizeof *c->mark);
    c->mark = p;
    TRY(e);
    struct vault_mark m = mark_of(a, 0);
    vault_age_read(&m, &c->latest);
    c->mark[c->n++] = m;
    return ERR_OK;
}

const struct vault_copy *vault_memory_copy_of(const struct vault *v, const uint8_t chain[static 16])
{
    return find_copy(v, chain);
}

const struct vault_mark *vault_memory_mark_of(const struct vault *v, const char *chain, uint64_t n)
{
    uint8_t id[16];
    size_t len;
    if (strcmp(chain, v->seen.chain) == 0)
        return n > 0 && n <= v->n_marks ? &v->mark[n - 1] : NULL;
    if (base16_decode(chain, strlen(chain), id, sizeof id, &len) != ERR_OK || len != sizeof id)
        return NULL;
    const struct vault_copy *c = find_copy(v, id);
    return c != NULL && n > 0 && n <= c->n ? &c->mark[n - 1] : NULL;
}

bool vault_copy_has(const struct vault_copy *copy, uint64_t n, const uint8_t hash[static 32])
{
    return n == 0 || (n <= copy->n && memcmp(copy->mark[n - 1].hash, hash, sizeof copy->mark->hash) == 0);
}

enum err vault_memory_disclosed(struct vault *v, const struct msg_entry *e)
{
    void *p = v->disclosed;
    enum err err = vault_memory_grow(&p, &v->cap_disclosed, v->n_disclosed, sizeof *v->disclosed);
    v->disclosed = p;
    TRY(err);
    v->disclosed[v->n_disclosed++] = *e;
    return ERR_OK;
}

enum err vault_memory_order(struct vault *v, const char *chain, uint64_t n)
{
    void *p = v->order;
    enum err err = vault_memory_grow(&p, &v->cap_orders, v->n_orders, sizeof *v->order);
    v->order = p;
    TRY(err);
    struct vault_order *o = &v->order[v->n_orders++];
    *o = (struct vault_order){.n = n};
    snprintf(o->chain, sizeof o->chain, "%s", chain);
    return ERR_OK;
}

enum err vault_memory_entry(struct vault *v, const struct audit_entry *a)
{
    struct msg_entry e = {.n = a->n, .time = a->time};
    size_t got;
    if (strcmp(a->action, AUDIT_DISCLOSE) != 0)
        return ERR_OK;
    TRY(guid_decode(a->key_id, strlen(a->key_id), &e.key_id));
    TRY(guid_decode(a->volume, strlen(a->volume), &e.volume));
    TRY(base16_decode(a->device, strlen(a->device), e.device, sizeof e.device, &got));
    if (got != sizeof e.device)
        return ERR_FORMAT;
    snprintf(e.chain, sizeof e.chain, "%s", a->chain);
    snprintf(e.who, sizeof e.who, "%.*s", MSG_NAME, a->who);
    return vault_memory_disclosed(v, &e);
}

enum err vault_memory_take(void *ctx, const struct audit_entry *a, const char *line, size_t len)
{
    struct vault *v = ctx;
    (void)line;
    if (a->n == v->seen.n)
        v->goes_on = memcmp(a->hash, v->seen.hash, sizeof a->hash) == 0;
    TRY(vault_head_judge(v, a));
    TRY(vault_memory_reserve(v));
    mark_read(v, a);
    v->size += len;
    vault_loss_take(v, a);
    TRY(vault_step_take(v, a));
    vault_approval_take(v, a);
    TRY(vault_erase_take(v, a));
    return vault_memory_entry(v, a);
}

bool vault_memory_has(const struct vault *v, const uint8_t hash[static 32])
{
    for (size_t i = v->n_marks; i-- > 0;)
        if (memcmp(v->mark[i].hash, hash, sizeof v->mark[i].hash) == 0)
            return true;
    return false;
}
