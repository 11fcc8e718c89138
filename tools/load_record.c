/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/hash.h"
#include "crypto/random.h"
#include "formats/base.h"
#include "formats/envelope.h"
#include "formats/host/json_strict.h"
#include "formats/receipt.h"
#include "formats/record.h"
#include "tools/load.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BEGINS_LEN 8 /* bytes of what only has to be told from another. source: docs/formats.md#sync */

static int by_hash(const void *a, const void *b)
{
    return memcmp(a, b, 32);
}

static enum err add_envelope(struct load_device *d, const uint8_t *sealed, size_t len)
{
    uint8_t(*grown)[32] = realloc(d->envelope, (d->n_envelopes + 1) * sizeof *grown);
    if (grown == NULL)
        return ERR_NOMEM;
    d->envelope = grown;
    TRY(cr_sha256(sealed, len, grown[d->n_envelopes]));
    d->n_envelopes++;
    qsort(grown, d->n_envelopes, sizeof *grown, by_hash);
    return ERR_OK;
}

/* The whole body, as the agent's courier makes it (docs/formats.md#sync). */
static enum err make_sync(const struct load_device *d, const uint8_t *record, size_t len,
                          struct load_request *ret)
{
    char json[BASE64_LEN(RECORD_MAX) + 512], id[BASE16_LEN(BEGINS_LEN) + 1];
    char digest[BASE16_LEN(BEGINS_LEN) + 1], last[BASE16_LEN(BEGINS_LEN) + 1];
    char records[BASE64_LEN(RECORD_MAX) + 32] = "", base64[BASE64_LEN(RECORD_MAX) + 1] = "";
    uint8_t hash[32];
    TRY(cr_sha256(d->envelope, 32 * d->n_envelopes, hash));
    base16_encode(d->id, BEGINS_LEN, id);
    base16_encode(hash, BEGINS_LEN, digest);
    base16_encode(d->previous, BEGINS_LEN, last);
    base64_encode(record, len, base64);
    if (len > 0)
        snprintf(records, sizeof records, "\"records\":[\"%s\"],", base64);
    snprintf(json, sizeof json, "{\"device\":\"%s\",%s\"envelopes\":\"%s\",\"last\":\"%s\"}", id, records,
             digest, last);
    return load_post("/v1/sync", json, true, ret);
}

enum err load_heartbeat(const struct load_device *d, struct load_request *ret)
{
    return make_sync(d, NULL, 0, ret);
}

static enum err seal(const struct load_org *o, const struct load_device *d, uint8_t ret[static ENVELOPE_MAX],
                     size_t *ret_len)
{
    uint8_t random[48];
    struct envelope e = {.kind = ENVELOPE_RECOVERY_PASSWORD, .time = (uint64_t)time(NULL)};
    TRY(cr_random(random, sizeof random));
    guid_from_random(random, &e.key_id);
    guid_from_random(random + 16, &e.volume);
    memcpy(e.device, d->id, 32);
    return envelope_seal(&e, &o->org.id, o->to, o->org.n_escrow, random + 32, ret, ret_len);
}

enum err load_escrow(const struct load_org *o, struct load_device *d, struct load_request *ret)
{
    uint8_t sealed[ENVELOPE_MAX], bytes[RECORD_MAX];
    size_t len;
    struct record r = {.kind = RECORD_ESCROW, .sequence = d->sequence + 1, .time = (uint64_t)time(NULL)};
    TRY(seal(o, d, sealed, &r.envelope_len));
    r.envelope = sealed;
    memcpy(r.device, d->id, 32);
    memcpy(r.incarnation, d->incarnation, 16);
    memcpy(r.previous, d->previous, 32);
    snprintf(r.computer, sizeof r.computer, "load");
    snprintf(r.label, sizeof r.label, "root");
    TRY(record_encode(&r, d->key, bytes, &len));
    TRY(add_envelope(d, sealed, r.envelope_len));
    d->sequence++;
    TRY(record_name(bytes, len, d->previous));
    TRY(make_sync(d, bytes, len, ret));
    memcpy(ret->name, d->previous, 32);
    ret->has_record = true;
    return ERR_OK;
}

static enum err covers(const struct load_org *o, const struct load_device *d, const uint8_t name[static 32],
                       const char *text, uint8_t *ret_class)
{
    uint8_t bytes[RECEIPT_MAX];
    size_t len;
    struct receipt r;
    TRY(base64_decode(text, strlen(text), bytes, sizeof bytes, &len));
    TRY(receipt_decode(bytes, len, &o->receipt, &r));
    if (memcmp(r.device, d->id, 32) != 0 || !guid_equal(&r.org, &o->org.id))
        return ERR_AUTH;
    if (!receipt_covers(&r, name))
        return ERR_NOT_FOUND;
    *ret_class = r.class;
    return ERR_OK;
}

enum err load_receipted(const struct load_org *o, const struct load_device *d, const uint8_t name[static 32],
                        const char *body, size_t len, uint8_t *ret_class)
{
    struct json_object *answer = NULL, *receipts;
    TRY(json_strict_parse(body, len, &answer));
    enum err e = json_get_array(answer, "receipts", 16, &receipts);
    size_t n = e == ERR_OK ? json_object_array_length(receipts) : 0;
    if (e == ERR_OK)
        e = ERR_NOT_FOUND;
    for (size_t i = 0; i < n && e == ERR_NOT_FOUND; i++) {
        const char *text = json_object_get_string(json_object_array_get_idx(receipts, i));
        e = text == NULL ? ERR_FORMAT : covers(o, d, name, text, ret_class);
    }
    json_object_put(answer);
    return e;
}
