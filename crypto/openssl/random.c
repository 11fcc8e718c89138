/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/random.h"
#include <limits.h>
#include <openssl/rand.h>

enum err cr_random(void *ret, size_t len)
{
    if (len > INT_MAX)
        return ERR_RANGE;
    return RAND_priv_bytes(ret, (int)len) == 1 ? ERR_OK : ERR_INTERNAL;
}
