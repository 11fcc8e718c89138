/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/p256.h"
#include "formats/org.h"

enum err org_verify(const void *json, size_t len, const uint8_t sig[static 64],
                    const struct cr_p256_pub *root)
{
    return cr_p256_verify(root, json, len, sig);
}
