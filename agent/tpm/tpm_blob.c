/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/tpm/tpm_blob.h"
#include "crypto/cursor.h"
#include <string.h>

#define MAGIC "KHT"

bool tpm_blob_is(const uint8_t *in, size_t len)
{
    return len >= 3 && memcmp(in, MAGIC, 3) == 0;
}

enum err tpm_blob_encode(const struct tpm_blob *b, uint8_t ret[static TPM_BLOB_MAX], size_t *ret_len)
{
    struct writer w;
    if (b->public_len > TPM_PUBLIC_MAX || b->private_len > TPM_PRIVATE_MAX)
        return ERR_RANGE;
    writer_init(&w, ret, TPM_BLOB_MAX);
    writer_bytes(&w, MAGIC "\1", 4);
    writer_u8(&w, b->kind);
    writer_bytes(&w, "\0\0", 3);
    writer_bytes(&w, b->primary, sizeof b->primary);
    if (b->kind == TPM_BLOB_KEY)
        writer_bytes(&w, b->key.point, sizeof b->key.point);
    writer_u16(&w, (uint16_t)b->public_len);
    writer_bytes(&w, b->public, b->public_len);
    writer_u16(&w, (uint16_t)b->private_len);
    writer_bytes(&w, b->private, b->private_len);
    return writer_end(&w, ret_len);
}

static size_t take_part(struct reader *r, uint8_t *ret, size_t max)
{
    size_t len = reader_u16(r);
    if (len == 0 || len > max)
        r->err = r->err == ERR_OK ? ERR_FORMAT : r->err;
    reader_bytes(r, ret, r->err == ERR_OK ? len : 0);
    return len;
}

enum err tpm_blob_decode(const uint8_t *in, size_t len, struct tpm_blob *ret)
{
    struct tpm_blob b = {.kind = 0};
    struct reader r;
    reader_init(&r, in, len);
    reader_expect(&r, MAGIC, 3);
    uint8_t version = reader_u8(&r);
    TRY(r.err);
    if (version != 1)
        return ERR_VERSION;
    b.kind = reader_u8(&r);
    reader_expect(&r, "\0\0", 3);
    reader_bytes(&r, b.primary, sizeof b.primary);
    TRY(r.err);
    if (b.kind != TPM_BLOB_KEY && b.kind != TPM_BLOB_SEALED)
        return ERR_FORMAT;
    if (b.kind == TPM_BLOB_KEY)
        reader_bytes(&r, b.key.point, sizeof b.key.point);
    b.public_len = take_part(&r, b.public, sizeof b.public);
    b.private_len = take_part(&r, b.private, sizeof b.private);
    TRY(reader_end(&r));
    if (b.kind == TPM_BLOB_KEY)
        TRY(cr_p256_check(&b.key));
    *ret = b;
    return ERR_OK;
}
