/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/sha256_hmac.h"
#include "crypto/secret.h"
#include "crypto/sha256_sum.h"
#include <string.h>

#define INNER 0x36
#define OUTER 0x5c

static void begin(struct cr_sha256_sum *s, const uint8_t key[static CR_SHA256_BLOCK], uint8_t pad)
{
    uint8_t block[CR_SHA256_BLOCK];
    for (unsigned i = 0; i < sizeof block; i++)
        block[i] = key[i] ^ pad;
    cr_sha256_sum_init(s);
    cr_sha256_sum_add(s, block, sizeof block);
    cr_wipe(block, sizeof block);
}

/* A longer key is hashed. */
static void key_block(struct cr_sha256_sum *s, const void *key, size_t len,
                      uint8_t ret[static CR_SHA256_BLOCK])
{
    memset(ret, 0, CR_SHA256_BLOCK);
    if (len <= CR_SHA256_BLOCK) {
        if (len > 0)
            memcpy(ret, key, len);
        return;
    }
    cr_sha256_sum_init(s);
    cr_sha256_sum_add(s, key, len);
    cr_sha256_sum_end(s, ret);
}

void cr_sha256_hmac(const void *key, size_t key_len, const struct cr_part *parts, size_t n,
                    uint8_t ret[static CR_SHA256_SIZE])
{
    struct cr_sha256_sum s;
    uint8_t block[CR_SHA256_BLOCK], inner[CR_SHA256_SIZE];
    key_block(&s, key, key_len, block);
    begin(&s, block, INNER);
    for (size_t i = 0; i < n; i++)
        if (parts[i].len > 0) /* an empty one may have no address */
            cr_sha256_sum_add(&s, parts[i].p, parts[i].len);
    cr_sha256_sum_end(&s, inner);
    begin(&s, block, OUTER);
    cr_sha256_sum_add(&s, inner, sizeof inner);
    cr_sha256_sum_end(&s, ret);
    cr_wipe(block, sizeof block);
    cr_wipe(inner, sizeof inner);
    cr_wipe(&s, sizeof s);
}
