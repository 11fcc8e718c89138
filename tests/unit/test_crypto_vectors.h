#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Known answers for everything that both back ends provide; the program that links these files decides which
 * back end it is. */

/* Run all as cmocka groups. Each returns the number of failed tests. */
int crypto_vectors_run(const char *backend);
int crypto_hash_vectors_run(void);
int crypto_aes_vectors_run(void);
int crypto_sectors_vectors_run(void);
int crypto_argon2_vectors_run(void);
