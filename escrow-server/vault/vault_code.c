/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/hash.h"
#include "escrow-server/vault/vault.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One-time codes. A code is refused where it, or a later one of the same person, was used; but a later one
 * than can be used now was used when the clock was ahead, and stands aside until its time comes. So all of
 * them are kept, not only the last: whatever the clock does, none works twice. */

static const uint8_t anybody[sizeof((struct vault_step *)0)->who];

/* Before anything is asked, so that what was used can be kept. */
static enum err reserve(struct vault *v)
{
    void *p = v->step;
    enum err e = vault_memory_grow(&p, &v->cap_steps, v->n_steps, sizeof *v->step);
    v->step = p;
    return e;
}

static enum err begin(const char *who, struct vault_step *ret)
{
    uint8_t hash[32];
    *ret = (struct vault_step){.step = 0};
    if (who[0] == '\0')
        return ERR_OK;
    TRY(cr_sha256(who, strlen(who), hash));
    memcpy(ret->who, hash, sizeof ret->who);
    return ERR_OK;
}

static uint64_t last_used(const struct vault *v, const struct vault_step *of, uint64_t not_after)
{
    uint64_t last = 0;
    for (size_t i = 0; i < v->n_steps; i++) {
        const struct vault_step *s = &v->step[i];
        if (s->step > last && s->step <= not_after &&
            (memcmp(s->who, of->who, sizeof s->who) == 0 || memcmp(s->who, anybody, sizeof s->who) == 0))
            last = s->step;
    }
    return last;
}

enum err vault_code_check(struct vault *v, const char *who, const struct person *p, const char *code,
                          uint64_t *ret_step)
{
    struct vault_step s;
    uint64_t now = vault_now();
    if (!p->has_totp)
        return ERR_OK;
    TRY(reserve(v));
    TRY(begin(who, &s));
    uint64_t last = last_used(v, &s, now / TOTP_STEP_S + TOTP_STEPS_OFF);
    TRY(totp_check(p->totp, code, now, last, &s.step));
    v->step[v->n_steps++] = s;
    *ret_step = s.step;
    return ERR_OK;
}

void vault_note_step(struct audit_entry *a, const struct vault_asker *asker)
{
    size_t len = strlen(a->note);
    if (asker->step != 0)
        snprintf(a->note + len, sizeof a->note - len, "%s" NOTE_STEP "%llu", len > 0 ? " " : "",
                 (unsigned long long)asker->step);
}

enum err vault_step_take(struct vault *v, const struct audit_entry *a)
{
    struct vault_step s;
    unsigned long long n;
    char who[MSG_NAME + 1];
    const char *at = strstr(a->note, NOTE_STEP);
    if (at == NULL || sscanf(at + strlen(NOTE_STEP), "%llu", &n) != 1)
        return ERR_OK;
    snprintf(who, sizeof who, "%.*s", MSG_NAME, a->who);
    TRY(reserve(v));
    TRY(begin(who, &s));
    s.step = n;
    v->step[v->n_steps++] = s;
    return ERR_OK;
}

static int compare(const void *a, const void *b)
{
    const struct vault_step *x = a, *y = b;
    int by_name = memcmp(x->who, y->who, sizeof x->who);
    return by_name != 0 ? by_name : (x->step > y->step) - (x->step < y->step);
}

void vault_steps_sort(struct vault *v)
{
    size_t n = 0;
    if (v->n_steps > 0)
        qsort(v->step, v->n_steps, sizeof *v->step, compare);
    for (size_t i = 0; i < v->n_steps; i++)
        if (n == 0 || compare(&v->step[n - 1], &v->step[i]) != 0)
            v->step[n++] = v->step[i];
    v->n_steps = n;
}
