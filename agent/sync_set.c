/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/sync_set.h"
#include <string.h>

/* Names in the cache. */
#define ASKED      "set_asked" /* an exchange is under way */
#define AFTER      "set_after" /* the last hash that a server has judged */
#define DONE       "set_done"  /* for this pair of digests, ours and the server's, all was said */
#define RESENT_FOR "resent_for"

static enum err get_32(struct agent *a, const char *name, uint8_t ret[static 32])
{
    size_t len = 0;
    TRY(cache_get(a->cache, name, ret, 32, &len));
    return len == 32 ? ERR_OK : ERR_NOT_FOUND;
}

enum err sync_set_page(struct agent *a, uint8_t (*ret)[32], unsigned *ret_n)
{
    uint8_t after[32];
    uint64_t since;
    unsigned n = 0;
    a->set_page.n = 0;
    enum err e = cache_get_u64(a->cache, ASKED, &since);
    if (e != ERR_OK) {
        *ret_n = 0;
        return e == ERR_NOT_FOUND ? ERR_OK : e;
    }
    e = get_32(a, AFTER, after);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    TRY(cache_envelope_page(a->cache, a->key.id, e == ERR_OK ? after : NULL, SYNC_SET_PAGE, ret, &n));
    if (n > 0) { /* an answer must be about this page, whatever is escrowed meanwhile */
        memcpy(a->set_page.last, ret[n - 1], 32);
        a->set_page.n = n;
    } else {
        TRY(cache_unset(a->cache, ASKED));
    }
    *ret_n = n;
    return ERR_OK;
}

static enum err forget(struct agent *a)
{
    TRY(cache_unset(a->cache, ASKED));
    return cache_unset(a->cache, AFTER);
}

static enum err pair(struct agent *a, const struct msg *m, uint8_t ret[static 64])
{
    TRY(cache_envelopes_digest(a->cache, ret));
    if (m->sync_answer.server_envelopes.len != 32)
        return ERR_NOT_FOUND;
    memcpy(ret + 32, m->sync_answer.server_envelopes.p, 32);
    return ERR_OK;
}

/* When it has more than we do, which sending cannot mend, it would ask for ever. */
static enum err is_answered(struct agent *a, const struct msg *m, bool *ret)
{
    uint8_t now[64], done[64] = {0};
    size_t len = 0;
    *ret = false;
    enum err e = pair(a, m, now);
    if (e == ERR_OK)
        e = cache_get(a->cache, DONE, done, sizeof done, &len);
    *ret = e == ERR_OK && len == sizeof done && memcmp(now, done, sizeof now) == 0;
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

static enum err begin(struct agent *a, const struct msg *m, bool *more)
{
    bool answered = false;
    TRY(is_answered(a, m, &answered));
    if (answered)
        return ERR_OK;
    TRY(cache_unset(a->cache, AFTER));
    *more = true;
    return cache_set_u64(a->cache, ASKED, 1);
}

static enum err resend(struct agent *a, const struct msg_span *missing)
{
    for (size_t off = 0; off + 32 <= missing->len; off += 32)
        TRY(cache_resend_envelope(a->cache, a->key.id, missing->p + off));
    return ERR_OK;
}

/* The last page was judged: the digests of now are what the next answers are compared with. Those that it
 * lacks change its digest when they arrive; then it may ask once more. */
static enum err finish(struct agent *a, const struct msg *m)
{
    uint8_t now[64];
    enum err e = pair(a, m, now);
    if (e == ERR_OK)
        e = cache_set(a->cache, DONE, now, sizeof now);
    TRY(e == ERR_NOT_FOUND ? ERR_OK : e);
    return forget(a);
}

static enum err take_page(struct agent *a, const struct msg *m, bool *more)
{
    bool last = a->set_page.n < SYNC_SET_PAGE;
    *more = !last || m->sync_answer.missing.len > 0;
    TRY(cache_begin(a->cache));
    enum err e = resend(a, &m->sync_answer.missing);
    if (e == ERR_OK)
        e = last ? finish(a, m) : cache_set(a->cache, AFTER, a->set_page.last, 32);
    if (e == ERR_OK)
        return cache_commit(a->cache);
    cache_rollback(a->cache);
    return e;
}

/* A server that does not know the exchange says only that the digests differ: send all again, once for each
 * set of envelopes. (One that tells its digest and asks for nothing has too much to do; it asks later.) */
static enum err resend_all(struct agent *a, bool *more)
{
    uint8_t now[32], last[32];
    TRY(cache_envelopes_digest(a->cache, now));
    enum err e = get_32(a, RESENT_FOR, last);
    if (e == ERR_OK && memcmp(last, now, sizeof now) == 0)
        return ERR_OK;
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    TRY(cache_resend_escrows(a->cache, a->key.id));
    *more = true;
    return cache_set(a->cache, RESENT_FOR, now, sizeof now);
}

enum err sync_set_take(struct agent *a, const struct msg *m, unsigned escrows, bool *ret_more)
{
    unsigned sent = a->set_page.n;
    bool more = false;
    if (m->sync_answer.envelopes_match) { /* mended; the next loss of the same set is a new one */
        TRY(forget(a));
        TRY(cache_unset(a->cache, DONE));
        TRY(cache_unset(a->cache, RESENT_FOR));
    } else if (sent > 0 && m->sync_answer.has_missing) {
        TRY(take_page(a, m, &more));
    } else if (escrows == 0 && m->sync_answer.want_set) {
        TRY(begin(a, m, &more));
    } else if (escrows == 0 && !m->sync_answer.has_missing && m->sync_answer.server_envelopes.len == 0) {
        TRY(resend_all(a, &more));
    }
    a->set_page.n = 0;
    *ret_more = more;
    return ERR_OK;
}
