#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Known answers for everything that both back ends provide; the program that links this file decides which
 * back end it is. */

/* Run all as one cmocka group. Returns the number of failed tests. */
int crypto_vectors_run(const char *backend);
