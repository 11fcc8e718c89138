/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/audit_head.h"
#include "crypto/cursor.h"
#include "crypto/p256.h"
#include <string.h>

enum err audit_head_encode(const struct audit_head_word *word, const struct cr_p256_key *key,
                           uint8_t ret[static AUDIT_HEAD_LEN])
{
    uint8_t out[AUDIT_HEAD_LEN], id[CR_KEY_ID], sig[CR_P256_SIG];
    struct cr_p256_pub pub;
    struct writer w;
    size_t len;
    TRY(cr_p256_public(key, &pub));
    TRY(cr_p256_id(&pub, id));
    writer_init(&w, out, sizeof out);
    writer_bytes(&w, "KHH\1", 4);
    writer_bytes(&w, word->org.bytes, 16);
    writer_bytes(&w, word->chain, 16);
    writer_u64(&w, word->n);
    writer_bytes(&w, word->hash, 32);
    writer_u64(&w, word->time);
    writer_bytes(&w, id, sizeof id);
    TRY(w.err);
    TRY(cr_p256_sign(key, out, w.off, sig));
    writer_bytes(&w, sig, sizeof sig);
    TRY(writer_end(&w, &len));
    memcpy(ret, out, sizeof out);
    return len == sizeof out ? ERR_OK : ERR_INTERNAL;
}

static enum err begin(const uint8_t *in, size_t len, struct reader *ret)
{
    reader_init(ret, in, len);
    reader_expect(ret, "KHH", 3);
    uint8_t version = reader_u8(ret);
    TRY(ret->err);
    return version == 1 ? ERR_OK : ERR_VERSION;
}

/* ret_signed: bytes that the signature behind them is over */
static enum err read(const uint8_t *in, size_t len, struct audit_head_word *ret, size_t *ret_signed)
{
    struct audit_head_word word = {.n = 0};
    struct reader r;
    TRY(begin(in, len, &r));
    reader_bytes(&r, word.org.bytes, 16);
    reader_bytes(&r, word.chain, 16);
    word.n = reader_u64(&r);
    reader_bytes(&r, word.hash, 32);
    word.time = reader_u64(&r);
    reader_bytes(&r, word.key, 32);
    *ret_signed = r.off;
    reader_skip(&r, CR_P256_SIG);
    TRY(reader_end(&r));
    *ret = word;
    return ERR_OK;
}

enum err audit_head_decode(const uint8_t *in, size_t len, const struct cr_p256_pub *pub,
                           struct audit_head_word *ret)
{
    struct audit_head_word word;
    uint8_t id[CR_KEY_ID];
    size_t off;
    TRY(read(in, len, &word, &off));
    TRY(cr_p256_id(pub, id));
    if (memcmp(id, word.key, sizeof id) != 0)
        return ERR_AUTH;
    TRY(cr_p256_verify(pub, in, off, in + off));
    *ret = word;
    return ERR_OK;
}

enum err audit_head_read(const uint8_t *in, size_t len, struct audit_head_word *ret)
{
    size_t off;
    return read(in, len, ret, &off);
}

enum err audit_head_chain(const uint8_t *in, size_t len, uint8_t ret[static 16])
{
    struct reader r;
    uint8_t chain[16];
    TRY(begin(in, len, &r));
    reader_skip(&r, 16);
    reader_bytes(&r, chain, sizeof chain);
    reader_skip(&r, AUDIT_HEAD_LEN - 36);
    TRY(reader_end(&r));
    memcpy(ret, chain, sizeof chain);
    return ERR_OK;
}
