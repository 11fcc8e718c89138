/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/outbox.h"
#include "crypto/cursor.h"
#include "formats/text.h"
#include <string.h>

#define VERSION 2 /* 1: without attempt and proofs */

enum flag { FLAG_HEAD = 1, FLAG_ENROLLMENT = 2 };

static bool rises(const uint8_t *hashes, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (memcmp(hashes + 32 * (i - 1), hashes + 32 * i, 32) >= 0)
            return false;
    return true;
}

enum err outbox_length(const uint8_t *in, size_t len, size_t *ret)
{
    struct reader r;
    reader_init(&r, in, len);
    reader_expect(&r, "KHX", 3);
    uint8_t version = reader_u8(&r);
    uint32_t n = reader_u32(&r);
    TRY(r.err);
    if (version < 1 || version > VERSION)
        return ERR_VERSION;
    if (n > OUTBOX_MAX)
        return ERR_RANGE;
    *ret = n;
    return ERR_OK;
}

static void write_enrollment(struct writer *w, const struct outbox *o)
{
    size_t len = strlen(o->computer);
    writer_bytes(w, o->token, sizeof o->token);
    writer_u64(w, o->enrollment_time);
    writer_bytes(w, o->signature, sizeof o->signature);
    writer_u8(w, (uint8_t)len);
    writer_bytes(w, o->computer, len);
    writer_u16(w, (uint16_t)o->csr.len);
    writer_bytes(w, o->csr.p, o->csr.len);
}

static void write_each(struct writer *w, const struct outbox_bytes *item, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        writer_u32(w, (uint32_t)item[i].len);
        writer_bytes(w, item[i].p, item[i].len);
    }
}

static void write_lists(struct writer *w, const struct outbox *o)
{
    writer_u16(w, (uint16_t)(o->set.len / 32));
    writer_bytes(w, o->set.p, o->set.len);
    writer_u16(w, (uint16_t)o->n);
    write_each(w, o->record, o->n);
    if (o->attempt) {
        writer_u8(w, (uint8_t)o->n_proofs);
        write_each(w, o->proof, o->n_proofs);
    }
}

static bool is_bounded(const struct outbox *o)
{
    for (unsigned i = 0; i < o->n && i < OUTBOX_RECORDS; i++)
        if (o->record[i].len > RECORD_MAX)
            return false;
    for (unsigned i = 0; i < o->n_proofs && i < OUTBOX_PROOFS; i++)
        if (o->proof[i].len > RECEIPT_MAX)
            return false;
    return o->n_proofs <= (o->attempt ? OUTBOX_PROOFS : 0) && o->n <= OUTBOX_RECORDS &&
           o->set.len <= 32 * OUTBOX_SET && o->set.len % 32 == 0 && o->csr.len <= OUTBOX_CSR_MAX &&
           strlen(o->computer) <= RECORD_TEXT_MAX && rises(o->set.p, o->set.len / 32);
}

enum err outbox_encode_unsigned(const struct outbox *o, uint8_t *ret, size_t *ret_len)
{
    struct writer w, length;
    size_t len;
    if (!is_bounded(o))
        return ERR_RANGE;
    writer_init(&w, ret, OUTBOX_MAX - CR_P256_SIG);
    writer_bytes(&w, o->attempt ? "KHX\2\0\0\0\0" : "KHX\1\0\0\0\0", 8);
    writer_u8(&w, (uint8_t)((o->has_head ? FLAG_HEAD : 0) | (o->has_enrollment ? FLAG_ENROLLMENT : 0)));
    writer_bytes(&w, "\0\0", 3);
    writer_bytes(&w, o->org.bytes, 16);
    writer_bytes(&w, o->device, sizeof o->device);
    writer_bytes(&w, o->spki, sizeof o->spki);
    writer_u64(&w, o->time);
    writer_bytes(&w, o->envelopes, sizeof o->envelopes);
    writer_bytes(&w, o->audit_head, sizeof o->audit_head);
    if (o->attempt)
        writer_u32(&w, o->attempt);
    if (o->has_enrollment)
        write_enrollment(&w, o);
    write_lists(&w, o);
    TRY(writer_end(&w, &len));
    writer_init(&length, ret + 4, 4);
    writer_u32(&length, (uint32_t)(len + CR_P256_SIG));
    *ret_len = len;
    return length.err;
}

static enum err take_enrollment(struct reader *r, struct outbox *o)
{
    reader_bytes(r, o->token, sizeof o->token);
    o->enrollment_time = reader_u64(r);
    reader_bytes(r, o->signature, sizeof o->signature);
    size_t len = reader_u8(r);
    const uint8_t *name = reader_take(r, len);
    o->csr.len = reader_u16(r);
    o->csr.p = reader_take(r, o->csr.len);
    TRY(r->err);
    if (len > RECORD_TEXT_MAX || o->csr.len > OUTBOX_CSR_MAX)
        return ERR_RANGE;
    text_clean((const char *)name, len, o->computer, sizeof o->computer);
    return ERR_OK;
}

static enum err take_each(struct reader *r, struct outbox_bytes *ret, unsigned n, size_t max)
{
    for (unsigned i = 0; i < n; i++) {
        size_t len = reader_u32(r);
        if (len > max)
            return ERR_RANGE;
        ret[i] = (struct outbox_bytes){reader_take(r, len), len};
    }
    return r->err;
}

static enum err take_lists(struct reader *r, struct outbox *o)
{
    size_t n = reader_u16(r);
    if (n > OUTBOX_SET)
        return ERR_RANGE;
    o->set = (struct outbox_bytes){reader_take(r, 32 * n), 32 * n};
    TRY(r->err);
    if (!rises(o->set.p, n))
        return ERR_FORMAT;
    o->n = reader_u16(r);
    if (o->n > OUTBOX_RECORDS)
        return ERR_RANGE;
    TRY(take_each(r, o->record, o->n, RECORD_MAX));
    if (!o->attempt)
        return r->err;
    o->n_proofs = reader_u8(r);
    if (o->n_proofs > OUTBOX_PROOFS)
        return ERR_RANGE;
    return take_each(r, o->proof, o->n_proofs, RECEIPT_MAX);
}

static enum err decode(const uint8_t *in, size_t len, struct outbox *o)
{
    struct reader r;
    size_t whole;
    TRY(outbox_length(in, len, &whole));
    if (whole != len)
        return len < whole ? ERR_TRUNCATED : ERR_FORMAT;
    reader_init(&r, in, len);
    reader_skip(&r, 3);
    bool numbered = reader_u8(&r) > 1;
    reader_skip(&r, OUTBOX_HEAD - 4);
    uint8_t flags = reader_u8(&r);
    reader_expect(&r, "\0\0", 3);
    reader_bytes(&r, o->org.bytes, 16);
    reader_bytes(&r, o->device, sizeof o->device);
    reader_bytes(&r, o->spki, sizeof o->spki);
    o->time = reader_u64(&r);
    reader_bytes(&r, o->envelopes, sizeof o->envelopes);
    reader_bytes(&r, o->audit_head, sizeof o->audit_head);
    o->attempt = numbered ? reader_u32(&r) : 0;
    TRY(r.err);
    if (flags > (FLAG_HEAD | FLAG_ENROLLMENT) || (numbered && !o->attempt))
        return ERR_FORMAT;
    o->has_head = flags & FLAG_HEAD;
    o->has_enrollment = flags & FLAG_ENROLLMENT;
    if (o->has_enrollment)
        TRY(take_enrollment(&r, o));
    TRY(take_lists(&r, o));
    reader_skip(&r, CR_P256_SIG);
    return reader_end(&r);
}

enum err outbox_decode(const uint8_t *in, size_t len, struct outbox *ret)
{
    struct outbox o = {.n = 0};
    struct cr_p256_pub pub;
    uint8_t id[CR_KEY_ID];
    TRY(decode(in, len, &o));
    TRY(cr_p256_from_spki(o.spki, sizeof o.spki, &pub));
    TRY(cr_p256_id(&pub, id));
    if (memcmp(id, o.device, sizeof id) != 0)
        return ERR_AUTH;
    TRY(cr_p256_verify(&pub, in, len - CR_P256_SIG, in + len - CR_P256_SIG));
    *ret = o;
    return ERR_OK;
}
