/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/p256.h"
#include "formats/org.h"

enum err org_verify(const void *json, size_t len, const uint8_t sig[static 64],
                    const struct cr_p256_pub *root)
{
    return cr_p256_verify(root, json, len, sig);
}

enum err org_receipt_key(const struct org *org, unsigned i, struct cr_p256_pub *ret)
{
    const struct org_key *k = &org->receipt[i];
    return cr_p256_from_spki(k->spki, sizeof k->spki, ret);
}
