/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The EFI back end, built hosted. */
#include "tests/unit/test_crypto_vectors.h"

int main(void)
{
    return crypto_vectors_run("mbedTLS");
}
