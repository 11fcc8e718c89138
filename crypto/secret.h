#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Secrets: one type, wiped when it leaves scope, compared in constant time, never printed. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Longest secret: a LUKS2 volume key is at most 64 bytes, a user's passphrase is taken up to 512. */
#define SECRET_MAX 512

struct secret {
    size_t len; /* bytes in use */
    uint8_t bytes[SECRET_MAX];
};

/* Overwrite len bytes at p; the compiler may not drop it. */
void cr_wipe(void *p, size_t len);
/* True when both ranges of len bytes are equal; time depends on len only. */
bool cr_equal(const void *a, const void *b, size_t len);
/* Wipe the whole secret and set len to 0. */
void secret_wipe(struct secret *s);

/* Declare a secret that wipes itself when it leaves scope. Hosted processes lock their memory as a whole
 * (crypto/host/process.h), so no page of it is ever written to swap. */
#define SECRET(name) __attribute__((cleanup(secret_wipe))) struct secret name = {.len = 0}
