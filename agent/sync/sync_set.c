/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/sync/sync_set.h"
#include <string.h>

#define RESENT_FOR "resent_for"         /* in the cache */
#define PAIR_LEN   (32 + SYNC_SET_TOLD) /* our digest, and the beginning of the server's */
#define DONE_LEN   (PAIR_LEN + 1)       /* and whether it lacked something of ours */

/* What is compared, and its names in the cache. */
struct kind {
    const char *asked; /* an exchange is under way */
    const char *after; /* the last hash that a server has judged */
    const char *done;  /* for this pair of digests, ours and the server's, all was said */
    enum err (*digest)(struct agent *a, uint8_t ret[static 32]);
    enum err (*page)(struct cache *c, const uint8_t *device, const uint8_t *after, unsigned max,
                     uint8_t (*ret)[32], unsigned *ret_n);
    enum err (*resend)(struct cache *c, const uint8_t *device, const uint8_t *hash, uint32_t attempt);
};

static enum err envelopes(struct agent *a, uint8_t ret[static 32])
{
    return cache_envelopes_digest(a->cache, ret);
}

static enum err packages(struct agent *a, uint8_t ret[static 32])
{
    return cache_packages_digest(a->cache, a->key.id, ret);
}

static const struct kind kinds[SYNC_SETS] = {
    [SYNC_ENVELOPES] = {"set_asked", "set_after", "set_done", envelopes, cache_envelope_page,
                        cache_resend_envelope},
    [SYNC_PACKAGES] = {"packages_asked", "packages_after", "packages_done", packages, cache_package_page,
                       cache_resend_package}};

/* What an answer says of one kind. */
struct said {
    bool match, want, has_missing;
    struct msg_span digest, missing;
};

static struct said said_of(enum sync_set which, const struct msg *m)
{
    bool differs = m->sync_answer.server_packages.len != 0; /* older servers, too, say nothing */
    if (which == SYNC_PACKAGES)
        return (struct said){!differs, m->sync_answer.want_packages, m->sync_answer.has_missing_packages,
                             m->sync_answer.server_packages, m->sync_answer.missing_packages};
    return (struct said){m->sync_answer.envelopes_match, m->sync_answer.want_set, m->sync_answer.has_missing,
                         m->sync_answer.server_envelopes, m->sync_answer.missing};
}

static enum err get_32(struct agent *a, const char *name, uint8_t ret[static 32])
{
    size_t len = 0;
    TRY(cache_get(a->cache, name, ret, 32, &len));
    return len == 32 ? ERR_OK : ERR_NOT_FOUND;
}

/* What was said to the end, of whatever set. err: NOT_FOUND (nothing, or in another version's form) */
static enum err get_done(struct agent *a, const struct kind *k, uint8_t ret[static DONE_LEN])
{
    size_t len = 0;
    enum err e = cache_get(a->cache, k->done, ret, DONE_LEN, &len);
    if (e == ERR_RANGE || (e == ERR_OK && len != DONE_LEN))
        return ERR_NOT_FOUND;
    return e;
}

/* err: NOT_FOUND (nothing, of what we have now) */
static enum err judged(struct agent *a, const struct kind *k, const uint8_t own[static 32],
                       uint8_t ret[static DONE_LEN])
{
    uint8_t done[DONE_LEN];
    TRY(get_done(a, k, done));
    if (memcmp(done, own, 32) != 0)
        return ERR_NOT_FOUND;
    memcpy(ret, done, sizeof done);
    return ERR_OK;
}

enum err sync_set_digest(struct agent *a, enum sync_set which, uint8_t ret[static SYNC_SET_TOLD])
{
    uint8_t own[32], done[DONE_LEN];
    TRY(kinds[which].digest(a, own));
    enum err e = judged(a, &kinds[which], own, done);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    memcpy(ret, e == ERR_OK && !done[PAIR_LEN] ? done + 32 : own, SYNC_SET_TOLD);
    return ERR_OK;
}

enum err sync_set_page(struct agent *a, enum sync_set which, uint8_t (*ret)[32], unsigned *ret_n)
{
    const struct kind *k = &kinds[which];
    uint8_t after[32];
    uint64_t since;
    unsigned n = 0;
    a->set_page[which].n = 0;
    enum err e = cache_get_u64(a->cache, k->asked, &since);
    if (e != ERR_OK) {
        *ret_n = 0;
        return e == ERR_NOT_FOUND ? ERR_OK : e;
    }
    e = get_32(a, k->after, after);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    TRY(k->page(a->cache, a->key.id, e == ERR_OK ? after : NULL, SYNC_SET_PAGE, ret, &n));
    if (n > 0) { /* an answer must be about this page, whatever is escrowed meanwhile */
        memcpy(a->set_page[which].last, ret[n - 1], 32);
        a->set_page[which].n = n;
    } else {
        TRY(cache_unset(a->cache, k->asked));
    }
    *ret_n = n;
    return ERR_OK;
}

static enum err forget(struct agent *a, const struct kind *k)
{
    TRY(cache_unset(a->cache, k->asked));
    return cache_unset(a->cache, k->after);
}

static enum err pair(struct agent *a, const struct kind *k, const struct said *s,
                     uint8_t ret[static PAIR_LEN])
{
    if (s->digest.len != SYNC_SET_TOLD)
        return ERR_NOT_FOUND;
    TRY(k->digest(a, ret));
    memcpy(ret + 32, s->digest.p, SYNC_SET_TOLD);
    return ERR_OK;
}

/* When it has more than we do, which sending cannot mend, it would ask for ever. */
static enum err is_answered(struct agent *a, const struct kind *k, const struct said *s, bool *ret)
{
    uint8_t now[PAIR_LEN], done[DONE_LEN] = {0};
    *ret = false;
    enum err e = pair(a, k, s, now);
    if (e == ERR_OK)
        e = judged(a, k, now, done);
    *ret = e == ERR_OK && memcmp(now, done, sizeof now) == 0;
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

static enum err begin(struct agent *a, const struct kind *k, const struct said *s, bool *more)
{
    bool answered = false;
    TRY(is_answered(a, k, s, &answered));
    if (answered)
        return ERR_OK;
    TRY(cache_unset(a->cache, k->after));
    *more = true;
    return cache_set_u64(a->cache, k->asked, 1);
}

static enum err resend(struct agent *a, const struct kind *k, const struct msg_span *missing)
{
    for (size_t off = 0; off + 32 <= missing->len; off += 32)
        TRY(k->resend(a->cache, a->key.id, missing->p + off, CACHE_NOW));
    return ERR_OK;
}

/* The last page was judged: the digests of now are what the next answers are compared with. Those that it
 * lacks change its digest when they arrive; then it may ask once more. While it lacks any, its digest is not
 * told as if it were ours. */
static enum err finish(struct agent *a, const struct kind *k, const struct said *s, bool lacks)
{
    uint8_t now[DONE_LEN];
    enum err e = pair(a, k, s, now);
    now[PAIR_LEN] = lacks;
    if (e == ERR_OK)
        e = cache_set(a->cache, k->done, now, sizeof now);
    TRY(e == ERR_NOT_FOUND ? ERR_OK : e);
    return forget(a, k);
}

static enum err take_page(struct agent *a, enum sync_set which, const struct said *s, unsigned waiting,
                          bool *more)
{
    const struct kind *k = &kinds[which];
    bool lacks = waiting > 0 || s->missing.len > 0, last = a->set_page[which].n < SYNC_SET_PAGE;
    *more = !last || s->missing.len > 0;
    TRY(cache_begin(a->cache));
    enum err e = resend(a, k, &s->missing);
    if (e == ERR_OK)
        e = last ? finish(a, k, s, lacks) : cache_set(a->cache, k->after, a->set_page[which].last, 32);
    return cache_end(a->cache, e);
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

/* Does it tell the very digest that is ours, because we told it what it had before? */
static enum err is_ours(struct agent *a, const struct kind *k, const struct said *s, bool *ret)
{
    uint8_t now[PAIR_LEN];
    enum err e = pair(a, k, s, now);
    *ret = e == ERR_OK && memcmp(now, now + 32, SYNC_SET_TOLD) == 0;
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

/* It has what we told: all of ours and more; or it is mended, and the next loss of the same set is a new one.
 */
static enum err matches(struct agent *a, enum sync_set which, bool ours)
{
    uint8_t own[32], done[DONE_LEN];
    TRY(forget(a, &kinds[which]));
    enum err e = kinds[which].digest(a, own);
    if (e == ERR_OK)
        e = judged(a, &kinds[which], own, done);
    if (e == ERR_OK && !ours)
        return ERR_OK;
    TRY(e == ERR_NOT_FOUND ? ERR_OK : e);
    TRY(cache_unset(a->cache, kinds[which].done));
    return which == SYNC_ENVELOPES ? cache_unset(a->cache, RESENT_FOR) : ERR_OK;
}

/* It lacked something, and now it has another digest: what was sent arrived, or more is gone. Should it come
 * to that digest once more, it lacks the same again. */
static enum err drop_other(struct agent *a, const struct kind *k, const struct said *s)
{
    uint8_t done[DONE_LEN];
    enum err e = get_done(a, k, done);
    if (e != ERR_OK)
        return e == ERR_NOT_FOUND ? ERR_OK : e;
    bool other =
        s->match || (s->digest.len == SYNC_SET_TOLD && memcmp(s->digest.p, done + 32, SYNC_SET_TOLD) != 0);
    return done[PAIR_LEN] && other ? cache_unset(a->cache, k->done) : ERR_OK;
}

enum err sync_set_forget(struct agent *a)
{
    for (unsigned i = 0; i < SYNC_SETS; i++)
        TRY(cache_unset(a->cache, kinds[i].done));
    return ERR_OK;
}

enum err sync_set_take(struct agent *a, enum sync_set which, const struct msg *m, unsigned waiting,
                       bool *ret_more)
{
    const struct said s = said_of(which, m);
    unsigned sent = a->set_page[which].n;
    bool more = false, ours = false;
    TRY(is_ours(a, &kinds[which], &s, &ours));
    TRY(drop_other(a, &kinds[which], &s));
    if ((s.match || ours) && s.missing.len == 0)
        TRY(matches(a, which, ours));
    else if (sent > 0 && s.has_missing)
        TRY(take_page(a, which, &s, waiting, &more));
    else if (waiting == 0 && s.want)
        TRY(begin(a, &kinds[which], &s, &more));
    else if (waiting == 0 && !s.has_missing && which == SYNC_ENVELOPES &&
             m->sync_answer.server_envelopes.len == 0)
        TRY(resend_all(a, &more));
    a->set_page[which].n = 0;
    *ret_more = more;
    return ERR_OK;
}
