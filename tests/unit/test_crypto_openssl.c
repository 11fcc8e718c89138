/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The hosted back end, on the vectors that both back ends run. */
#include "tests/unit/test_crypto_vectors.h"

int main(void)
{
    return crypto_vectors_run("OpenSSL");
}
