/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/secret.h"

void cr_wipe(void *p, size_t len)
{
    volatile uint8_t *b = p;
    while (len--)
        *b++ = 0;
    /* The barrier keeps a compiler that sees through volatile from calling the stores dead. */
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
