/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/report/report.h"
#include "agent/state/records.h"
#include "agent/sync/sync_parts.h"
#include "agent/volume/mirror.h"
#include "agent/volume/rotate.h"
#include "crypto/p256.h"
#include "formats/command.h"
#include "formats/receipt.h"
#include <stdlib.h>
#include <string.h>

static bool is_for(const struct agent *a, const uint8_t us[static 32], const struct guid *org,
                   const uint8_t device[static 32])
{
    return guid_equal(org, &a->org->id) && memcmp(device, us, 32) == 0;
}

enum err sync_take_receipt(struct agent *a, const uint8_t device[static 32], struct msg_span s,
                           struct sync_outcome *o)
{
    struct cr_p256_pub pub;
    struct receipt r;
    for (unsigned i = 0; i < a->org->n_receipt; i++)
        if (org_receipt_key(a->org, i, &pub) == ERR_OK && receipt_decode(s.p, s.len, &pub, &r) == ERR_OK &&
            is_for(a, device, &r.org, r.device)) {
            unsigned n = 0;
            TRY(cache_add_receipt(a->cache, s.p, s.len, &r, &n));
            o->receipted += n;
            a->wanted = a->wanted || n; /* a key that waited for it may go */
            return ERR_OK;
        }
    o->refused++;
    return ERR_OK;
}

static enum err add_rotated(struct agent *a, const struct cache_key *old, const struct guid *successor)
{
    enum err e = cache_begin(a->cache);
    if (e == ERR_OK)
        e = records_add_rotated(a, old, successor);
    return cache_end(a->cache, e);
}

/* The ordered key is retired, but no record says of this order what replaced it: say so if something did. */
static enum err say_rotated(struct agent *a, const struct cache_key *old, struct sync_outcome *o)
{
    unsigned n = 0, i = 0;
    TRY(cache_drafts(a->cache, &n));
    if (n) /* it may be among what waits for the device key */
        return ERR_OK;
    struct cache_key *keys = calloc(CACHE_KEYS, sizeof *keys);
    enum err e = keys ? cache_keys(a->cache, &old->volume, keys, &n) : ERR_NOMEM;
    while (i < n && keys[i].state != KEY_LIVE) /* newest first */
        i++;
    if (e == ERR_OK && i < n) {
        e = add_rotated(a, old, &keys[i].key_id);
        o->more = o->more || e == ERR_OK;
    }
    free(keys);
    return e;
}

/* A password was shown to somebody although the server knew that it was replaced: he may have a copy of the
 * header from before. Both times are the server's. */
static enum err note_late_disclosure(struct agent *a, const struct command *c, const struct cache_key *k)
{
    if (k->known == 0 || c->time <= k->known)
        return ERR_OK;
    return mirror_note_exposed(a, &k->volume, &k->key_id);
}

/* Is this order younger than what we said last of its key? What answered no order says less than any of them;
 * our own clock has no say, though records of before may have its time. An older order, or the one that was
 * answered, never is: however often they are played again, in whatever turn, they make no new record, and
 * expose no volume that was re-encrypted since.
 */
static enum err is_younger(struct agent *a, const struct command *c, uint64_t ordered, bool *ret)
{
    struct record r;
    size_t len = 0;
    uint8_t *bytes = malloc(RECORD_MAX);
    enum err e = bytes ? cache_rotation_record(a->cache, &c->key_id, bytes, &len) : ERR_NOMEM;
    if (e == ERR_OK)
        e = record_decode(bytes, len, &r);
    if (e == ERR_OK)
        *ret = c->time > r.event_time || c->time > ordered;
    free(bytes);
    if (e != ERR_NOT_FOUND)
        return e;
    *ret = true;
    return ERR_OK;
}

/* Heard is heard: whatever says from now on that the key was replaced answers this order, too. */
static enum err note_order(struct agent *a, const struct command *c, struct cache_key *k)
{
    if (c->time <= k->ordered)
        return ERR_OK;
    TRY(cache_key_ordered(a->cache, &k->key_id, c->time));
    k->ordered = c->time;
    return ERR_OK;
}

/* An order stays open, and is repeated, until it can be answered truthfully: not for a key that we do not
 * know and not without a successor. The answer is one record for ever: an order that comes again, even an old
 * one, gets the same bytes (invariant 7). An order that speaks of a later disclosure is another one, and what
 * answered the one before does not: whoever sends that once more has not heard of this. */
static enum err do_rotate(struct agent *a, const struct command *c, struct sync_outcome *o)
{
    struct cache_key k;
    bool younger = false;
    enum err e = cache_get_key(a->cache, &c->key_id, &k);
    if (e != ERR_OK)
        return e == ERR_NOT_FOUND ? ERR_OK : e;
    if (k.state != KEY_RETIRED) {
        TRY(note_order(a, c, &k));
        e = rotate_spend(a, &k.key_id, KH_CAUSE_DISCLOSED,
                         "the organisation wants its recovery password replaced");
        return e == ERR_NOT_FOUND ? ERR_OK : e;
    }
    TRY(is_younger(a, c, k.ordered, &younger));
    if (!younger)
        return cache_resend_rotation(a->cache, &c->key_id);
    if (c->time > k.ordered) /* once, also where it cannot be answered yet */
        TRY(note_late_disclosure(a, c, &k));
    TRY(note_order(a, c, &k));
    return say_rotated(a, &k, o);
}

/* The same order again gets the same answer, and no second report. */
static enum err do_report(struct agent *a, const struct command *c, struct sync_outcome *o)
{
    bool made = false;
    enum err e = cache_resend_rotation(a->cache, &c->key_id);
    if (e != ERR_NOT_FOUND)
        return e;
    TRY(report_order(a, &c->key_id, &made));
    o->more = o->more || made;
    return ERR_OK;
}

enum err sync_take_command(struct agent *a, struct msg_span s, struct sync_outcome *o)
{
    struct cr_p256_pub pub;
    struct command c;
    for (unsigned i = 0; i < a->org->n_receipt; i++)
        if (org_receipt_key(a->org, i, &pub) == ERR_OK && command_decode(s.p, s.len, &pub, &c) == ERR_OK &&
            is_for(a, a->key.id, &c.org, c.device))
            return c.order == COMMAND_ROTATE ? do_rotate(a, &c, o) : do_report(a, &c, o);
    o->refused++;
    return ERR_OK;
}
