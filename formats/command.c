/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/command.h"
#include "crypto/cursor.h"
#include "crypto/p256.h"
#include <stdbool.h>
#include <string.h>

static bool is_known(uint8_t order)
{
    return order == COMMAND_ROTATE || order == COMMAND_REPORT;
}

enum err command_encode(const struct command *c, const struct cr_p256_key *key,
                        uint8_t ret[static COMMAND_LEN])
{
    uint8_t out[COMMAND_LEN], id[CR_KEY_ID], sig[CR_P256_SIG];
    struct cr_p256_pub pub;
    struct writer w;
    size_t len;
    if (!is_known(c->order))
        return ERR_RANGE;
    /* The ID of the key that signs, whatever c says. */
    TRY(cr_p256_public(key, &pub));
    TRY(cr_p256_id(&pub, id));
    writer_init(&w, out, sizeof out);
    writer_bytes(&w, "KHO\1", 4);
    writer_u8(&w, c->order);
    writer_bytes(&w, "\0\0", 3);
    writer_bytes(&w, c->org.bytes, 16);
    writer_bytes(&w, c->device, 32);
    writer_bytes(&w, c->key_id.bytes, 16);
    writer_u64(&w, c->time);
    writer_bytes(&w, id, sizeof id);
    TRY(cr_p256_sign(key, out, w.off, sig));
    writer_bytes(&w, sig, sizeof sig);
    TRY(writer_end(&w, &len));
    memcpy(ret, out, len);
    return ERR_OK;
}

static enum err decode(const uint8_t *in, size_t len, struct command *ret)
{
    struct reader r;
    reader_init(&r, in, len);
    reader_expect(&r, "KHO", 3);
    uint8_t version = reader_u8(&r);
    TRY(r.err);
    if (version != 1)
        return ERR_VERSION;
    ret->order = reader_u8(&r);
    reader_expect(&r, "\0\0", 3);
    reader_bytes(&r, ret->org.bytes, 16);
    reader_bytes(&r, ret->device, 32);
    reader_bytes(&r, ret->key_id.bytes, 16);
    ret->time = reader_u64(&r);
    reader_bytes(&r, ret->key, 32);
    reader_skip(&r, CR_P256_SIG);
    return reader_end(&r);
}

enum err command_decode(const uint8_t *in, size_t len, const struct cr_p256_pub *pub, struct command *ret)
{
    struct command c;
    uint8_t id[CR_KEY_ID];
    TRY(decode(in, len, &c));
    TRY(cr_p256_id(pub, id));
    if (memcmp(id, c.key, sizeof id) != 0)
        return ERR_AUTH;
    TRY(cr_p256_verify(pub, in, COMMAND_LEN - CR_P256_SIG, in + COMMAND_LEN - CR_P256_SIG));
    if (!is_known(c.order))
        return ERR_UNSUPPORTED;
    *ret = c;
    return ERR_OK;
}
