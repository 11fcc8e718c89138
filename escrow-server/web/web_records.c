/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/p256.h"
#include "escrow-server/web/web.h"
#include "formats/key_package.h"
#include "formats/record.h"
#include <stdio.h>
#include <string.h>

/* Everything about a record that can be judged without the store. */
static enum err check_record(const struct msg_blob *b, const uint8_t device[static 32],
                             const struct cr_p256_pub *pub)
{
    struct record r;
    struct envelope e;
    TRY(record_decode(b->p, b->len, &r));
    if (memcmp(r.device, device, 32) != 0)
        return ERR_DENIED;
    if (r.sequence > MSG_SEQUENCE_MAX)
        return ERR_RANGE;
    if (r.kind == RECORD_ESCROW)
        TRY(envelope_decode(r.envelope, r.envelope_len, &e));
    if (r.kind == RECORD_KEY_PACKAGE)
        TRY(key_package_decode(r.envelope, r.envelope_len, &e));
    return record_verify(b->p, b->len, pub);
}

enum err web_records_check(const struct msg_sync *m, const uint8_t spki[static 91], char *ret_detail,
                           size_t cap)
{
    struct cr_p256_pub pub;
    if (m->n == 0)
        return ERR_OK;
    TRY(cr_p256_from_spki(spki, CR_P256_SPKI, &pub));
    for (unsigned i = 0; i < m->n; i++) {
        enum err e = check_record(&m->record[i], m->device, &pub);
        if (e == ERR_OK)
            continue;
        snprintf(ret_detail, cap, "Record %u of %u is refused (%s); nothing was stored.", i + 1, m->n,
                 err_text(e));
        return e;
    }
    return ERR_OK;
}
