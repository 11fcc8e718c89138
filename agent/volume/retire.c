/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/volume/retire.h"
#include "agent/volume/mirror.h"
#include "agent/volume/owned.h"
#include "agent/volume/seal.h"
#include "agent/volume/token_json.h"
#include "agent/volume/unnamed.h"
#include "formats/envelope.h"
#include <string.h>
#include <time.h>

/* Does another key of ours say that this one's password is spent? */
static bool is_replaced(const struct header *h, const struct guid *key_id)
{
    for (int i = 0; i < LUKS2_TOKENS; i++) {
        const struct luks2_token *t = &h->luks.token[i];
        if (header_is_live(h, t) && t->has_replaces && guid_equal(&t->replaces, key_id))
            return true;
    }
    return false;
}

static struct settle_key describe(struct agent *a, struct header *h, const struct luks2_token *t)
{
    struct cache_key k;
    struct envelope e;
    bool known = owned_is_known(a, h, t, &k),
         sealed = envelope_decode(t->envelope, t->envelope_len, &e) == ERR_OK;
    uint64_t made = sealed && e.time <= SETTLE_TIME_MAX ? e.time : 0;
    return (struct settle_key){.id = t->key_id,
                               .made = made,
                               .since = settle_since(made, k.verified, (uint64_t)time(NULL)),
                               .cause = t->cause ? t->cause : k.cause,
                               .proved = known && k.state != KEY_RETURNED && header_is_proved(h, t),
                               .receipted = k.receipted,
                               .told = t->receipted,
                               .ours = sealed && seal_is_to_us(a, &e),
                               .packed = k.packed,
                               .spent = k.spent || is_replaced(h, &t->key_id),
                               .preferred = owned_is_from_here(a, t)};
}

unsigned retire_list(struct agent *a, struct header *h, struct settle_key *ret, int *ret_number)
{
    unsigned n = 0;
    for (int i = 0; i < LUKS2_TOKENS; i++) {
        const struct luks2_token *t = &h->luks.token[i];
        if (!t->used || t->state == LUKS2_TOKEN_PENDING)
            continue;
        ret[n] = describe(a, h, t);
        ret_number[n++] = i;
    }
    return n;
}

int retire_newest(struct agent *a, struct header *h, int aside)
{
    struct settle_key k[LUKS2_TOKENS];
    int number[LUKS2_TOKENS];
    unsigned n = retire_list(a, h, k, number);
    for (unsigned i = 0; i < n; i++)
        k[i].proved = k[i].proved && number[i] != aside;
    int newest = settle_newest(k, n);
    return newest < 0 ? -1 : number[newest];
}

/* The keyslot goes first: while it exists, its envelope must be in the header (invariant 1). Copied values,
 * because every change reads the header again. */
enum err retire_remove(struct agent *a, struct header *h, int number, const struct guid *keep)
{
    const struct luks2_token t = h->luks.token[number];
    if (owned_slot(a, h, number))
        TRY(header_destroy_slot(h, &t.key_id, keep));
    return header_remove_token(h, number, &t.key_id);
}

static enum err retire_one(struct agent *a, struct header *h, const struct guid *key_id,
                           const struct guid *keep)
{
    char json[TOKEN_JSON_MAX];
    TRY(header_reload(h));
    int number = header_find_token(h, key_id), kept = header_find_token(h, keep);
    if (number < 0 || owned_hands_off(a, h, number))
        return ERR_OK; /* gone already, or not ours */
    if (kept < 0 || !header_is_proved(h, &h->luks.token[kept]))
        return problem_set(h->why, ERR_CONFLICT,
                           "volume %s: another program changed the new recovery key; the old one stays",
                           h->device);
    struct luks2_token t = h->luks.token[number];
    if (t.slot >= 0 &&
        t.state !=
            LUKS2_TOKEN_RETIRED) { /* one whose keyslot somebody removed, and that names none, just goes */
        t.state = LUKS2_TOKEN_RETIRED;
        TRY(token_json_encode(&t, json));
        TRY(header_put_token(h, number, key_id, json, &number));
    }
    return retire_remove(a, h, number, keep);
}

enum err retire_first(struct header *h, enum err first, enum err e, struct problem *said)
{
    if (first == ERR_OK && e != ERR_OK)
        *said = *h->why;
    else
        *h->why = *said;
    return first == ERR_OK ? e : first;
}

/* Unasked, a key that this computer does not know is left to a person. After a repair it may be one that a
 * cache which went backwards forgot, or that came back with an old header: those that were made here go. */
static bool is_allowed(struct agent *a, const struct header *h, const struct luks2_token *t, bool asked,
                       bool repaired)
{
    struct cache_key k;
    return asked || owned_is_known(a, h, t, &k) || (repaired && owned_is_from_here(a, t));
}

/* The keys that go now. ret_keep: what stays in any case; untouched when none goes */
static unsigned choose(struct agent *a, struct header *h, bool asked, struct guid *ret, struct guid *ret_keep)
{
    struct settle_key k[LUKS2_TOKENS];
    int number[LUKS2_TOKENS];
    unsigned n = retire_list(a, h, k, number), chosen = 0;
    int newest = settle_newest(k, n);
    uint32_t go = settle_may_go(k, n, &a->policy, (uint64_t)time(NULL));
    if (newest < 0)
        return 0;
    for (unsigned i = 0; i < n; i++)
        if ((go >> i & 1) != 0 &&
            is_allowed(a, h, &h->luks.token[number[i]], asked, k[newest].cause == KH_CAUSE_DRIFT))
            ret[chosen++] = k[i].id;
    *ret_keep = k[newest].id;
    return chosen;
}

enum err retire_settled(struct agent *a, struct header *h, bool asked)
{
    struct guid gone[LUKS2_TOKENS], keep;
    struct problem said = *h->why;
    enum err first = ERR_OK;
    TRY(header_reload(h));
    unsigned n = choose(a, h, asked, gone, &keep);
    for (unsigned i = 0; i < n; i++)
        first = retire_first(h, first, retire_one(a, h, &gone[i], &keep), &said);
    return retire_first(h, first, unnamed_remove(a, h), &said);
}
