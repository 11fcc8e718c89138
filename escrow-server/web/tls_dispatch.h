#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A function among those that OpenSSL hands over. */

#include <openssl/core.h>

/* The entry of id; where there is none the table's end, whose ID is 0 and whose function is NULL. */
static inline const OSSL_DISPATCH *tls_dispatch_at(const OSSL_DISPATCH *d, int id)
{
    while (d->function_id != 0 && d->function_id != id)
        d++;
    return d;
}
