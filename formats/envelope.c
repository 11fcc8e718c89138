/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/envelope.h"
#include "crypto/cursor.h"
#include "crypto/hash.h"
#include "formats/names.h"

#define SUITE_P256_SHA256_AES256GCM 1

static enum err decode_start(struct reader *r, struct envelope *e)
{
    reader_expect(r, "KHE", 3);
    uint8_t version = reader_u8(r), suite = reader_u8(r);
    e->kind = reader_u8(r);
    e->n_recipients = reader_u8(r);
    reader_expect(r, "\0", 1);
    TRY(r->err);
    if (version != 1 || suite != SUITE_P256_SHA256_AES256GCM)
        return ERR_VERSION;
    if (e->kind != ENVELOPE_RECOVERY_PASSWORD && e->kind != ENVELOPE_KEY_PACKAGE)
        return ERR_FORMAT;
    return e->n_recipients >= 1 && e->n_recipients <= ENVELOPE_RECIPIENTS ? ERR_OK : ERR_RANGE;
}

enum err envelope_decode(const uint8_t *in, size_t len, struct envelope *ret)
{
    struct reader r;
    struct envelope e = {.kind = 0};
    reader_init(&r, in, len);
    TRY(decode_start(&r, &e));
    reader_bytes(&r, e.key_id.bytes, 16);
    reader_bytes(&r, e.volume.bytes, 16);
    reader_bytes(&r, e.device, 32);
    e.time = reader_u64(&r);
    reader_bytes(&r, e.commitment, 32);
    for (unsigned i = 0; i < e.n_recipients; i++)
        reader_bytes(&r, e.recipient[i], 32);
    e.header_len = r.off;
    for (unsigned i = 0; i < e.n_recipients; i++)
        e.seal[i] = reader_take(&r, ENVELOPE_SEAL);
    TRY(reader_end(&r));
    *ret = e;
    return ERR_OK;
}

enum err envelope_commitment(const uint8_t password[static RP_BYTES], const struct guid *key_id,
                             const struct guid *volume, uint8_t ret[static 32])
{
    uint8_t salt[32], prk[CR_SHA256_SIZE];
    const struct cr_part ikm = {password, RP_BYTES};
    const struct cr_part info = {KH_INFO_COMMITMENT, sizeof KH_INFO_COMMITMENT - 1};
    for (unsigned i = 0; i < 16; i++) {
        salt[i] = key_id->bytes[i];
        salt[16 + i] = volume->bytes[i];
    }
    enum err err = cr_hkdf_extract(CR_SHA256, salt, sizeof salt, &ikm, 1, prk);
    if (err == ERR_OK)
        err = cr_hkdf_expand(CR_SHA256, prk, &info, 1, ret, 32);
    cr_wipe(prk, sizeof prk);
    return err;
}
