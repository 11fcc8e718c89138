/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/receipt.h"
#include "crypto/cursor.h"
#include "crypto/p256.h"
#include <string.h>

static bool class_is_known(uint8_t class)
{
    return class >= RECEIPT_LOCAL && class <= RECEIPT_PACKED;
}

/* Sorted ascending, so without doubles. */
static bool names_rise(const uint8_t *names, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (memcmp(names + 32 * (i - 1), names + 32 * i, 32) >= 0)
            return false;
    return true;
}

enum err receipt_encode(const struct receipt *r, const struct cr_p256_key *key, uint8_t *ret, size_t *ret_len)
{
    uint8_t out[RECEIPT_MAX], id[CR_KEY_ID], sig[CR_P256_SIG];
    struct cr_p256_pub pub;
    struct writer w;
    size_t len;
    if (!class_is_known(r->class) || r->n < 1 || r->n > RECEIPT_RECORDS || !names_rise(r->names, r->n))
        return ERR_RANGE;
    /* The ID of the key that signs, whatever r says. */
    TRY(cr_p256_public(key, &pub));
    TRY(cr_p256_id(&pub, id));
    writer_init(&w, out, sizeof out);
    writer_bytes(&w, "KHC\1", 4);
    writer_u8(&w, r->class);
    writer_u8(&w, 0);
    writer_u16(&w, (uint16_t)r->n);
    writer_u32(&w, r->attempt);
    writer_bytes(&w, r->org.bytes, 16);
    writer_bytes(&w, r->device, 32);
    writer_u64(&w, r->time);
    writer_bytes(&w, id, sizeof id);
    writer_bytes(&w, r->names, 32 * (size_t)r->n);
    TRY(w.err);
    TRY(cr_p256_sign(key, out, w.off, sig));
    writer_bytes(&w, sig, sizeof sig);
    TRY(writer_end(&w, &len));
    memcpy(ret, out, len);
    *ret_len = len;
    return ERR_OK;
}

static enum err decode(const uint8_t *in, size_t len, struct receipt *ret)
{
    struct reader r;
    reader_init(&r, in, len);
    reader_expect(&r, "KHC", 3);
    uint8_t version = reader_u8(&r);
    TRY(r.err);
    if (version != 1)
        return ERR_VERSION;
    ret->class = reader_u8(&r);
    reader_expect(&r, "\0", 1);
    ret->n = reader_u16(&r);
    ret->attempt = reader_u32(&r);
    reader_bytes(&r, ret->org.bytes, 16);
    reader_bytes(&r, ret->device, 32);
    ret->time = reader_u64(&r);
    reader_bytes(&r, ret->key, 32);
    TRY(r.err);
    if (!class_is_known(ret->class) || ret->n < 1 || ret->n > RECEIPT_RECORDS)
        return ERR_FORMAT;
    ret->names = reader_take(&r, 32 * (size_t)ret->n);
    reader_skip(&r, CR_P256_SIG);
    TRY(reader_end(&r));
    return names_rise(ret->names, ret->n) ? ERR_OK : ERR_FORMAT;
}

enum err receipt_decode(const uint8_t *in, size_t len, const struct cr_p256_pub *pub, struct receipt *ret)
{
    struct receipt r = {.class = 0};
    uint8_t id[CR_KEY_ID];
    TRY(decode(in, len, &r));
    TRY(cr_p256_id(pub, id));
    if (memcmp(id, r.key, sizeof id) != 0)
        return ERR_AUTH;
    TRY(cr_p256_verify(pub, in, len - CR_P256_SIG, in + len - CR_P256_SIG));
    *ret = r;
    return ERR_OK;
}

bool receipt_covers(const struct receipt *r, const uint8_t name[static 32])
{
    size_t low = 0, high = r->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = memcmp(r->names + 32 * mid, name, 32);
        if (order == 0)
            return true;
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return false;
}
