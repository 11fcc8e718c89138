#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An org.json with all that it says, for the verb org. */

#include "crypto/p256.h"
#include "formats/org.h"

struct org_file {
    uint8_t *json; /* heap, zero-terminated */
    size_t len;
    struct org org;
    uint8_t (*revoked)[32]; /* heap */
    size_t n_revoked;
};

/* Who signed it is asked apart. err: FORMAT, VERSION, RANGE, NOT_FOUND, DENIED, IO, NOMEM */
MUST_CHECK enum err org_file_load(const char *path, struct org_file *ret);
/* json: borrowed. err: FORMAT, VERSION, FULL, RANGE, NOMEM */
MUST_CHECK enum err org_file_decode(const char *json, size_t len, struct org_file *ret);
void org_file_wipe(struct org_file *f);
#define ORG_FILE(name) __attribute__((cleanup(org_file_wipe))) struct org_file name = {.json = NULL}

/* PEM of a public key. err: NOT_FOUND, FORMAT, DENIED, IO */
MUST_CHECK enum err org_file_pub(const char *path, struct cr_p256_pub *ret);
