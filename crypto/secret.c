/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/secret.h"
#include <string.h>

/* The barrier says that somebody looks at what was written: no compiler can leave it out. Not byte by byte
 * through a volatile pointer: a server wipes 20 KB in a handshake. */
void cr_wipe(void *p, size_t len)
{
    if (len > 0)
        memset(p, 0, len);
    __asm__ volatile("" : : "r"(p) : "memory");
}

bool cr_equal(const void *a, const void *b, size_t len)
{
    const uint8_t *x = a, *y = b;
    uint8_t diff = 0;
    for (size_t i = 0; i < len; i++)
        diff |= (uint8_t)(x[i] ^ y[i]);
    return diff == 0;
}

void secret_wipe(struct secret *s)
{
    cr_wipe(s, sizeof *s);
}
