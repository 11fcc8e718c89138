/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/web/enroll_read.h"
#include "crypto/hash.h"
#include "crypto/p256.h"
#include "formats/host/json_strict.h"
#include "formats/text.h"
#include <string.h>

#define TOKEN_MAX 256

static enum err read_fields(struct json_object *o, struct msg_enroll *ret)
{
    const char *token, *csr, *computer;
    size_t len;
    TRY(json_get_text(o, "token", TOKEN_MAX, &token));
    TRY(cr_sha256(token, strlen(token), ret->token));
    TRY(json_get_base64(o, "device_spki", ret->spki, sizeof ret->spki, &len));
    if (len != sizeof ret->spki)
        return ERR_FORMAT;
    TRY(json_get_base64(o, "signature", ret->sig, sizeof ret->sig, &len));
    if (len != sizeof ret->sig)
        return ERR_FORMAT;
    TRY(json_get_u64(o, "time", &ret->time));
    TRY(json_get_text(o, "courier_csr", MSG_CSR, &csr));
    ret->csr = (struct msg_blob){(const uint8_t *)csr, strlen(csr)};
    TRY(json_get_text(o, "computer", MSG_NAME, &computer));
    text_clean(computer, strlen(computer), ret->computer, sizeof ret->computer);
    return ERR_OK;
}

static enum err device_of(const struct msg_enroll *m, uint8_t ret[static 32])
{
    struct cr_p256_pub pub;
    TRY(cr_p256_from_spki(m->spki, sizeof m->spki, &pub));
    return cr_p256_id(&pub, ret);
}

enum err enroll_read(struct json_object *o, struct msg_enroll *ret, uint8_t ret_device[static 32])
{
    TRY(read_fields(o, ret));
    return device_of(ret, ret_device);
}
