/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/sync/sync_parts.h"
#include <string.h>

#define AUDIT_DOUBTS "audit_doubts"
#define AUDIT_ASKED  "audit_asked" /* the last answer asked for the word */

#define HEAD_GROWTH 65536 /* entries; more than an organisation discloses between two syncs of a device */
#define HEAD_DOUBTS 16

enum err sync_audit_word(struct agent *a, struct sync_batch *b, struct msg *ret)
{
    uint64_t asked;
    size_t len;
    enum err e = cache_get_u64(a->cache, AUDIT_ASKED, &asked);
    if (e == ERR_OK)
        e = cache_get(a->cache, SYNC_AUDIT_WORD, b->audit_word, sizeof b->audit_word, &len);
    if (e == ERR_OK)
        ret->sync_batch.audit_word = (struct msg_span){b->audit_word, len};
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

/* Count an answer that contradicts the head we hold; true when enough have, one after the other. */
static enum err doubt_head(struct agent *a, bool contradicts, bool *ret_enough)
{
    uint64_t n = 0;
    if (!contradicts) {
        *ret_enough = false;
        return cache_unset(a->cache, AUDIT_DOUBTS);
    }
    enum err e = cache_get_u64(a->cache, AUDIT_DOUBTS, &n);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    *ret_enough = ++n >= HEAD_DOUBTS;
    return *ret_enough ? cache_unset(a->cache, AUDIT_DOUBTS) : cache_set_u64(a->cache, AUDIT_DOUBTS, n);
}

/* Of which chain an answer speaks. err: NOT_FOUND (it does not say) */
static enum err chain_of(const struct msg *m, uint8_t ret[static SYNC_CHAIN])
{
    const struct msg_span *told = &m->sync_answer.audit_chain, *word = &m->sync_answer.audit_word;
    uint8_t chain[16];
    if (told->len == SYNC_CHAIN)
        memcpy(ret, told->p, SYNC_CHAIN);
    else if (audit_head_chain(word->p, word->len, chain) == ERR_OK)
        memcpy(ret, chain, SYNC_CHAIN);
    else
        return ERR_NOT_FOUND;
    return ERR_OK;
}

static enum err keep_head(struct agent *a, const struct msg *m, const uint8_t *chain)
{
    const struct msg_span *word = &m->sync_answer.audit_word;
    if (chain)
        TRY(cache_set(a->cache, SYNC_AUDIT_CHAIN, chain, SYNC_CHAIN));
    TRY(cache_set_u64(a->cache, SYNC_AUDIT_LENGTH, m->sync_answer.audit_length));
    TRY(cache_set(a->cache, SYNC_AUDIT_HASH, m->sync_answer.audit_hash.p, 32));
    if (word->len != AUDIT_HEAD_LEN) /* a heartbeat has none: the older one still proves */
        return ERR_OK;
    return cache_set(a->cache, SYNC_AUDIT_WORD, word->p, AUDIT_HEAD_LEN);
}

/* Is it shorter than the current one, or longer than a log grows? */
static enum err is_odd(struct agent *a, const struct msg *m, bool *ret)
{
    uint64_t known = 0, length = m->sync_answer.audit_length;
    enum err e = cache_get_u64(a->cache, SYNC_AUDIT_LENGTH, &known);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    *ret = e == ERR_OK && (length < known || length - known > HEAD_GROWTH);
    return ERR_OK;
}

/* Heads come back to the servers with every sync, so a log that was cut off is noticed by the fleet: a
 * shorter head does not replace a longer one. This device does not judge who signed a head, so one answer
 * must not be able to blind this device for ever: a head that is shorter, or longer than a log grows, is
 * taken once HEAD_DOUBTS answers in a row said something of the kind. By then the old one was sent back that
 * many times. A chain that is new may be another vault's, or a log that was begun anew instead of the old
 * one: it takes as many answers, and the old head is parked, not forgotten. */
enum err sync_take_audit_head(struct agent *a, const struct msg *m)
{
    uint8_t chain[SYNC_CHAIN];
    enum sync_chain is = SYNC_CHAIN_UNTOLD;
    bool enough, odd = false;
    if (m->sync_answer.audit_hash.len != 32) /* the one that we sent is its own */
        return cache_unset(a->cache, AUDIT_DOUBTS);
    bool told = chain_of(m, chain) == ERR_OK;
    if (told)
        TRY(sync_chain_is(a, chain, &is));
    if (is == SYNC_CHAIN_PARKED) {
        TRY(sync_chain_swap(a, chain));
        TRY(cache_unset(a->cache, AUDIT_DOUBTS));
    }
    TRY(is_odd(a, m, &odd));
    odd = odd || is == SYNC_CHAIN_NEW;
    TRY(doubt_head(a, odd, &enough));
    if (odd && !enough)
        return ERR_OK;
    if (is == SYNC_CHAIN_NEW)
        TRY(sync_chain_swap(a, chain));
    return keep_head(a, m, told ? chain : NULL);
}

/* It is brought at once, and then no sooner than anything else, however often it is asked for. */
enum err sync_take_asked(struct agent *a, const struct msg *m, struct sync_outcome *o)
{
    uint64_t asked = 0;
    uint8_t word[AUDIT_HEAD_LEN];
    size_t len;
    if (!m->sync_answer.want_audit_word)
        return cache_unset(a->cache, AUDIT_ASKED);
    enum err e = cache_get_u64(a->cache, AUDIT_ASKED, &asked);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    o->more = o->more ||
              (e == ERR_NOT_FOUND && cache_get(a->cache, SYNC_AUDIT_WORD, word, sizeof word, &len) == ERR_OK);
    return cache_set_u64(a->cache, AUDIT_ASKED, 1);
}
