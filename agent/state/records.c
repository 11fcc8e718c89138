/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/state/records.h"
#include "crypto/random.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define INCARNATION "incarnation"
#define SEQUENCE    "sequence"
#define PREVIOUS    "previous"

enum err records_last(struct agent *a, uint8_t ret[static 32])
{
    size_t len;
    return cache_get(a->cache, PREVIOUS, ret, 32, &len);
}

enum err records_position(struct agent *a, uint8_t ret_incarnation[static 16], uint64_t *ret_sequence)
{
    uint8_t incarnation[16];
    uint64_t sequence = 0;
    size_t len;
    TRY(cache_get(a->cache, INCARNATION, incarnation, sizeof incarnation, &len));
    enum err e = cache_get_u64(a->cache, SEQUENCE, &sequence);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    memcpy(ret_incarnation, incarnation, sizeof incarnation);
    *ret_sequence = sequence;
    return ERR_OK;
}

static enum err place_in_chain(struct agent *a, struct record *r)
{
    size_t len;
    memcpy(r->device, a->key.id, sizeof r->device);
    TRY(records_position(a, r->incarnation, &r->sequence));
    r->sequence++;
    enum err e = cache_get(a->cache, PREVIOUS, r->previous, sizeof r->previous, &len);
    if (e == ERR_NOT_FOUND)
        memset(r->previous, 0, sizeof r->previous);
    else if (e != ERR_OK)
        return e;
    return ERR_OK;
}

static enum err keep(struct agent *a, const struct record *r, const uint8_t *bytes, size_t len,
                     const struct guid *escrowed)
{
    uint8_t name[32];
    TRY(record_name(bytes, len, name));
    TRY(cache_add_record(a->cache, r->kind, name, bytes, len, escrowed));
    if (r->kind == RECORD_EVENT && (r->event == EVENT_ROTATED || r->event == EVENT_DONE))
        TRY(cache_put_rotation(a->cache, &r->other_key_id, name));
    TRY(cache_set_u64(a->cache, SEQUENCE, r->sequence));
    return cache_set(a->cache, PREVIOUS, name, sizeof name);
}

/* ret_away: the key is in a TPM that does not sign, for whatever reason; nothing was kept */
static enum err sign_and_keep(struct agent *a, struct record *r, const struct guid *escrowed, bool *ret_away)
{
    size_t len = 0;
    *ret_away = false;
    TRY(place_in_chain(a, r));
    uint8_t *bytes = malloc(RECORD_MAX);
    enum err e = bytes ? record_encode_unsigned(r, bytes, &len) : ERR_NOMEM;
    if (e == ERR_OK && (e = device_key_sign(&a->key, bytes, len, bytes + len)) != ERR_OK)
        *ret_away = a->key.place == DEVICE_KEY_TPM && e != ERR_NOMEM;
    if (e == ERR_OK)
        e = keep(a, r, bytes, len + CR_P256_SIG, escrowed);
    free(bytes);
    return e;
}

enum err records_sign(struct agent *a, struct record *r, const struct guid *escrowed)
{
    bool away;
    r->time = (uint64_t)time(NULL);
    enum err e = sign_and_keep(a, r, escrowed, &away);
    if (away)
        agent_say(a, "the device key cannot sign now: %s", err_text(e));
    return e;
}

/* As a record without a place; of reports the newest is enough. */
static enum err put_off(struct agent *a, struct record *r, const struct guid *escrowed)
{
    size_t len = 0;
    uint8_t *bytes = calloc(1, RECORD_MAX);
    if (!bytes)
        return ERR_NOMEM;
    memcpy(r->device, a->key.id, sizeof r->device);
    r->sequence = 1;
    enum err e = record_encode_unsigned(r, bytes, &len);
    if (e == ERR_OK && r->kind == RECORD_REPORT)
        e = cache_clear_drafts(a->cache, RECORD_REPORT);
    if (e == ERR_OK)
        e = cache_add_draft(a->cache, r->kind, bytes, len + CR_P256_SIG, escrowed);
    free(bytes);
    return e;
}

enum err records_add(struct agent *a, struct record *r, const struct guid *escrowed)
{
    unsigned waiting = 0;
    uint64_t news;
    bool away = true;
    r->time = (uint64_t)time(NULL);
    TRY(cache_drafts(a->cache, &waiting));
    if (cache_get_u64(a->cache, RECORDS_NEWS, &news) == ERR_OK)
        waiting++;
    enum err e = waiting ? ERR_OFFLINE : sign_and_keep(a, r, escrowed, &away);
    if (!away)
        return e;
    if (!waiting)
        agent_say(a, "the device key cannot sign now: %s; records wait until it can", err_text(e));
    return put_off(a, r, escrowed);
}

enum err records_add_rotated(struct agent *a, const struct cache_key *old, const struct guid *successor)
{
    struct record *r = calloc(1, sizeof *r);
    if (!r)
        return ERR_NOMEM;
    r->kind = RECORD_EVENT;
    r->event = EVENT_ROTATED;
    r->key_id = *successor;
    r->other_key_id = old->key_id;
    r->volume = old->volume;
    r->event_time = old->ordered;
    enum err e = records_add(a, r, NULL);
    free(r);
    return e;
}

/* One, with its own time, in a transaction of its own. One that cannot be read must not keep the others for
 * ever.
 */
static enum err make_up_one(struct agent *a, const struct cache_draft *d)
{
    struct record *r = calloc(1, sizeof *r);
    bool away;
    enum err e = r ? cache_begin(a->cache) : ERR_NOMEM;
    bool whole = r && record_decode(d->bytes, d->len, r) == ERR_OK;
    if (r && !whole)
        agent_say(a, "something that waited to be signed is damaged, and dropped");
    if (e == ERR_OK && whole)
        e = sign_and_keep(a, r, d->has_key ? &d->key_id : NULL, &away);
    if (e == ERR_OK)
        e = cache_drop_draft(a->cache, d->id);
    e = cache_end(a->cache, e);
    free(r);
    return e;
}

enum err records_make_up(struct agent *a)
{
    struct cache_draft *d = malloc(sizeof *d);
    enum err e = d ? ERR_OK : ERR_NOMEM;
    while (e == ERR_OK && (e = cache_next_draft(a->cache, d)) == ERR_OK)
        e = make_up_one(a, d);
    free(d);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

enum err records_restart(struct agent *a)
{
    uint8_t id[16];
    TRY(cr_random(id, sizeof id));
    TRY(cache_set(a->cache, INCARNATION, id, sizeof id));
    TRY(cache_set_u64(a->cache, SEQUENCE, 0));
    return cache_unset(a->cache, PREVIOUS);
}
