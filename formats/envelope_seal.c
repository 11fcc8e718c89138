/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/cursor.h"
#include "crypto/hpke.h"
#include "formats/envelope.h"
#include "formats/names.h"
#include <string.h>

#define INFO_LEN (sizeof KH_INFO_ENVELOPE + 1 + 16) /* text ‖ 0x00 ‖ kind ‖ organisation */

static void make_info(uint8_t kind, const struct guid *org, uint8_t ret[static INFO_LEN])
{
    memcpy(ret, KH_INFO_ENVELOPE, sizeof KH_INFO_ENVELOPE); /* with its zero byte */
    ret[sizeof KH_INFO_ENVELOPE] = kind;
    memcpy(ret + sizeof KH_INFO_ENVELOPE + 1, org->bytes, 16);
}

static enum err write_header(const struct envelope *e, const struct cr_p256_pub *to, unsigned n,
                             const uint8_t password[static RP_BYTES], struct writer *w)
{
    uint8_t commitment[32], id[CR_KEY_ID];
    const uint8_t start[8] = {'K', 'H', 'E', 1, 1, e->kind, (uint8_t)n, 0};
    TRY(envelope_commitment(password, &e->key_id, &e->volume, commitment));
    writer_bytes(w, start, sizeof start);
    writer_bytes(w, e->key_id.bytes, 16);
    writer_bytes(w, e->volume.bytes, 16);
    writer_bytes(w, e->device, 32);
    writer_u64(w, e->time);
    writer_bytes(w, commitment, 32);
    for (unsigned i = 0; i < n; i++) {
        TRY(cr_p256_id(&to[i], id));
        writer_bytes(w, id, sizeof id);
    }
    return w->err;
}

enum err envelope_seal(const struct envelope *e, const struct guid *org, const struct cr_p256_pub *to,
                       unsigned n, const uint8_t password[static RP_BYTES], uint8_t ret[static ENVELOPE_MAX],
                       size_t *ret_len)
{
    uint8_t out[ENVELOPE_MAX], info[INFO_LEN], seal[ENVELOPE_SEAL];
    struct writer w;
    size_t len;
    if (n < 1 || n > ENVELOPE_RECIPIENTS || e->kind != ENVELOPE_RECOVERY_PASSWORD)
        return ERR_RANGE;
    make_info(e->kind, org, info);
    writer_init(&w, out, sizeof out);
    TRY(write_header(e, to, n, password, &w));
    for (unsigned i = 0; i < n; i++) {
        TRY(cr_hpke_seal(&to[i], info, sizeof info, out, ENVELOPE_HEADER(n), password, RP_BYTES, seal,
                         seal + CR_HPKE_ENC));
        writer_bytes(&w, seal, sizeof seal);
    }
    TRY(writer_end(&w, &len));
    memcpy(ret, out, len);
    *ret_len = len;
    return ERR_OK;
}

/* Which seal is for this key? */
static enum err find_seal(const struct envelope *e, const struct cr_p256_key *key, const uint8_t **ret)
{
    struct cr_p256_pub pub;
    uint8_t id[CR_KEY_ID];
    TRY(cr_p256_public(key, &pub));
    TRY(cr_p256_id(&pub, id));
    for (unsigned i = 0; i < e->n_recipients; i++) {
        if (memcmp(e->recipient[i], id, sizeof id) == 0) {
            *ret = e->seal[i];
            return ERR_OK;
        }
    }
    return ERR_NOT_FOUND;
}

enum err envelope_open(const uint8_t *in, size_t len, const struct guid *org, const struct cr_p256_key *key,
                       struct secret *ret_password)
{
    struct envelope e;
    const uint8_t *seal;
    uint8_t info[INFO_LEN], commitment[32];
    SECRET(password);
    TRY(envelope_decode(in, len, &e));
    if (e.kind != ENVELOPE_RECOVERY_PASSWORD)
        return ERR_UNSUPPORTED;
    TRY(find_seal(&e, key, &seal));
    make_info(e.kind, org, info);
    enum err err = cr_hpke_open(key, seal, info, sizeof info, in, e.header_len, seal + CR_HPKE_ENC,
                                RP_BYTES + CR_HPKE_TAG, password.bytes);
    if (err == ERR_FORMAT) /* enc is no point: a changed byte like any other */
        return ERR_AUTH;
    TRY(err);
    password.len = RP_BYTES;
    TRY(envelope_commitment(password.bytes, &e.key_id, &e.volume, commitment));
    if (!cr_equal(commitment, e.commitment, sizeof commitment))
        return ERR_AUTH;
    *ret_password = password;
    return ERR_OK;
}
