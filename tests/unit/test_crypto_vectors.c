/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/test_crypto_vectors.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

int crypto_vectors_run(const char *backend)
{
    print_message("back end: %s\n", backend);
    return crypto_hash_vectors_run() + crypto_aes_vectors_run() + crypto_sectors_vectors_run() +
           crypto_argon2_vectors_run();
}
