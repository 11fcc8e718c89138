/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/boot/boot_event.h"
#include "agent/boot/efivar.h"
#include "agent/state/records.h"
#include "agent/volume/rotate.h"
#include "crypto/hash.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LAST_EVENT "last_event"

static enum err queue_record(struct agent *a, const struct boot_event *b)
{
    struct record *r = calloc(1, sizeof *r);
    if (!r)
        return ERR_NOMEM;
    r->kind = RECORD_EVENT;
    r->event = EVENT_BOOT_RECOVERY;
    r->key_id = b->key_id;
    r->volume = b->volume;
    r->result = b->result;
    r->reason = b->reason;
    r->event_time = b->time;
    enum err e = records_add(a, r, NULL);
    free(r);
    return e;
}

/* The key knows its volume; what the event says of it may be wrong or made up. A password that somebody typed
 * is used up, unless it was replaced already. */
static enum err want_rotation(struct agent *a, const struct boot_event *b, const struct cache_key *k)
{
    if (b->result != BOOT_OPENED || k->state == KEY_RETIRED)
        return ERR_OK;
    enum err e = rotate_spend(a, &b->key_id, KH_CAUSE_USED,
                              "its recovery password was used at boot and is to be replaced");
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

static enum err keep(struct agent *a, struct boot_event *b, const uint8_t hash[static 32])
{
    struct cache_key k;
    enum err known = cache_get_key(a->cache, &b->key_id, &k);
    if (known == ERR_OK)
        b->volume = k.volume;
    else if (known != ERR_NOT_FOUND)
        return known;
    TRY(queue_record(a, b));
    if (known == ERR_OK)
        TRY(want_rotation(a, b, &k));
    return cache_set(a->cache, LAST_EVENT, hash, 32);
}

static enum err keep_once(struct agent *a, struct boot_event *b, const uint8_t *raw, size_t len)
{
    uint8_t hash[32], last[32];
    size_t last_len = 0;
    TRY(cr_sha256(raw, len, hash));
    enum err e = cache_get(a->cache, LAST_EVENT, last, sizeof last, &last_len);
    if (e == ERR_OK && last_len == sizeof last && memcmp(last, hash, sizeof hash) == 0)
        return ERR_OK;
    TRY(cache_begin(a->cache));
    e = keep(a, b, hash);
    return cache_end(a->cache, e);
}

/* Bytes that are no event tell nothing, and would stand in the way of the next one. */
static enum err drop_damaged(struct agent *a, enum err why)
{
    TRY(efivar_delete(a->efivars, KH_VAR_EVENT, KH_EFI_GUID_TEXT));
    (void)fprintf(stderr, "keeper: the boot event in the firmware could not be read (%s); it was deleted\n",
                  err_text(why));
    return cache_unset(a->cache, LAST_EVENT);
}

enum err boot_event_collect(struct agent *a, struct boot_event *ret)
{
    uint8_t raw[HANDOFF_EVENT_LEN];
    size_t len;
    struct boot_event b;
    enum err e = efivar_read(a->efivars, KH_VAR_EVENT, KH_EFI_GUID_TEXT, NULL, raw, sizeof raw, &len);
    bool damaged = e == ERR_TRUNCATED || e == ERR_FULL; /* too short, too long */
    if (e == ERR_OK)
        damaged = (e = boot_event_decode(raw, len, &b)) != ERR_OK;
    if (damaged || e == ERR_NOT_FOUND) {
        TRY(damaged ? drop_damaged(a, e) : cache_unset(a->cache, LAST_EVENT));
        return ERR_NOT_FOUND;
    }
    if (e == ERR_OK)
        e = keep_once(a, &b, raw, len);
    if (e != ERR_OK)
        return e; /* it stays for the next start */
    TRY(efivar_delete(a->efivars, KH_VAR_EVENT, KH_EFI_GUID_TEXT));
    *ret = b;
    return cache_unset(a->cache, LAST_EVENT); /* with a dead clock the next one may have the same bytes */
}
