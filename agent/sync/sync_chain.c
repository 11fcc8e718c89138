/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Heads of the audit chains of other vaults than the one whose server answers now. */
#include "agent/sync/sync_parts.h"
#include "crypto/cursor.h"
#include <string.h>

#define PARKED     "audit_parked"
#define PARKED_MAX 3 /* with the current one, four vaults; what was parked first is forgotten first */
#define ENTRY_LEN  (SYNC_CHAIN + 8 + 32 + 1 + AUDIT_HEAD_LEN)

struct entry {
    uint8_t chain[SYNC_CHAIN], hash[32], word[AUDIT_HEAD_LEN];
    uint64_t length;
    bool has_word;
};

struct parked {
    struct entry entry[PARKED_MAX + 1]; /* newest first; one more than is kept */
    unsigned n;
};

static enum err optional(enum err e)
{
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

static enum err decode(const uint8_t *in, size_t len, struct parked *ret)
{
    struct reader r;
    reader_init(&r, in, len);
    while (reader_left(&r) > 0 && ret->n < PARKED_MAX) {
        struct entry *e = &ret->entry[ret->n++];
        reader_bytes(&r, e->chain, sizeof e->chain);
        e->length = reader_u64(&r);
        reader_bytes(&r, e->hash, sizeof e->hash);
        e->has_word = reader_u8(&r) != 0;
        reader_bytes(&r, e->word, sizeof e->word);
    }
    return reader_end(&r);
}

/* What cannot be read was not written by this version: none is parked then. */
static enum err load(struct agent *a, struct parked *ret)
{
    uint8_t bytes[PARKED_MAX * ENTRY_LEN];
    size_t len;
    *ret = (struct parked){.n = 0};
    enum err e = cache_get(a->cache, PARKED, bytes, sizeof bytes, &len);
    if (e == ERR_OK && decode(bytes, len, ret) != ERR_OK)
        ret->n = 0;
    return optional(e);
}

static enum err save(struct agent *a, const struct parked *p)
{
    uint8_t bytes[PARKED_MAX * ENTRY_LEN];
    struct writer w;
    size_t len;
    writer_init(&w, bytes, sizeof bytes);
    for (unsigned i = 0; i < p->n && i < PARKED_MAX; i++) {
        const struct entry *e = &p->entry[i];
        writer_bytes(&w, e->chain, sizeof e->chain);
        writer_u64(&w, e->length);
        writer_bytes(&w, e->hash, sizeof e->hash);
        writer_u8(&w, e->has_word);
        writer_bytes(&w, e->word, sizeof e->word);
    }
    TRY(writer_end(&w, &len));
    return cache_set(a->cache, PARKED, bytes, len);
}

static int find(const struct parked *p, const uint8_t chain[static SYNC_CHAIN])
{
    for (unsigned i = 0; i < p->n; i++)
        if (memcmp(p->entry[i].chain, chain, SYNC_CHAIN) == 0)
            return (int)i;
    return -1;
}

/* err: NOT_FOUND (there is no head, or nobody said of which chain) */
static enum err take_current(struct agent *a, struct entry *ret)
{
    struct entry e = {.has_word = false};
    size_t len;
    TRY(cache_get(a->cache, SYNC_AUDIT_CHAIN, e.chain, sizeof e.chain, &len));
    TRY(cache_get_u64(a->cache, SYNC_AUDIT_LENGTH, &e.length));
    TRY(cache_get(a->cache, SYNC_AUDIT_HASH, e.hash, sizeof e.hash, &len));
    enum err word = cache_get(a->cache, SYNC_AUDIT_WORD, e.word, sizeof e.word, &len);
    e.has_word = word == ERR_OK && len == sizeof e.word;
    TRY(optional(word));
    *ret = e;
    return ERR_OK;
}

static enum err put_current(struct agent *a, const struct entry *e)
{
    TRY(cache_set(a->cache, SYNC_AUDIT_CHAIN, e->chain, sizeof e->chain));
    TRY(cache_set_u64(a->cache, SYNC_AUDIT_LENGTH, e->length));
    TRY(cache_set(a->cache, SYNC_AUDIT_HASH, e->hash, sizeof e->hash));
    return e->has_word ? cache_set(a->cache, SYNC_AUDIT_WORD, e->word, sizeof e->word)
                       : cache_unset(a->cache, SYNC_AUDIT_WORD);
}

static enum err clear_current(struct agent *a)
{
    static const char *const names[] = {SYNC_AUDIT_CHAIN, SYNC_AUDIT_LENGTH, SYNC_AUDIT_HASH,
                                        SYNC_AUDIT_WORD};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        TRY(cache_unset(a->cache, names[i]));
    return ERR_OK;
}

static void remove_at(struct parked *p, unsigned i)
{
    p->n--;
    memmove(&p->entry[i], &p->entry[i + 1], (p->n - i) * sizeof p->entry[0]);
}

static void put_first(struct parked *p, const struct entry *e)
{
    memmove(&p->entry[1], &p->entry[0], p->n * sizeof p->entry[0]);
    p->entry[0] = *e;
    p->n = p->n < PARKED_MAX ? p->n + 1 : PARKED_MAX;
}

static enum err swap(struct agent *a, const uint8_t chain[static SYNC_CHAIN])
{
    struct parked p;
    struct entry current, next;
    TRY(load(a, &p));
    enum err e = take_current(a, &current);
    TRY(optional(e));
    int i = find(&p, chain);
    if (i >= 0) {
        next = p.entry[i];
        remove_at(&p, (unsigned)i);
    }
    if (e == ERR_OK)
        put_first(&p, &current);
    TRY(save(a, &p));
    return i >= 0 ? put_current(a, &next) : clear_current(a);
}

enum err sync_chain_swap(struct agent *a, const uint8_t chain[static SYNC_CHAIN])
{
    TRY(cache_begin(a->cache));
    return cache_end(a->cache, swap(a, chain));
}

enum err sync_chain_is(struct agent *a, const uint8_t chain[static SYNC_CHAIN], enum sync_chain *ret)
{
    uint8_t current[SYNC_CHAIN];
    struct parked p;
    size_t len;
    enum err e = cache_get(a->cache, SYNC_AUDIT_CHAIN, current, sizeof current, &len);
    if (e == ERR_NOT_FOUND || (e == ERR_OK && memcmp(current, chain, sizeof current) == 0)) {
        *ret = e == ERR_OK ? SYNC_CHAIN_SAME : SYNC_CHAIN_UNTOLD;
        return ERR_OK;
    }
    TRY(e);
    TRY(load(a, &p));
    *ret = find(&p, chain) >= 0 ? SYNC_CHAIN_PARKED : SYNC_CHAIN_NEW;
    return ERR_OK;
}
