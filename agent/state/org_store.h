#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The organisation's files below /etc/keyholt/org: org.json, its signature, the root's public key, and the
 * pin (SHA-256 of root.pub, as shown at enrolment). Checked again each time they are read. */

#include "agent/problem.h"
#include "crypto/err.h"
#include "formats/org.h"
#include <stddef.h>
#include <stdint.h>

#define ORG_STORE_FILE_MAX ORG_MAX

/* A bundle's files in memory; borrowed. */
struct org_files {
    const uint8_t *json, *sig, *root;
    size_t json_len, sig_len, root_len;
};

/* Verify and read what is stored.
 * why: filled on failure
 * err: NOT_FOUND (not enrolled), AUTH (signature or pin), FORMAT, DENIED, IO */
MUST_CHECK enum err org_store_load(const char *root, struct org *ret, struct problem *why);

/* Verify a bundle without keeping it. ret_pin: SHA-256 of root.pub. err: AUTH, FORMAT */
MUST_CHECK enum err org_store_check(const struct org_files *files, struct org *ret,
                                    uint8_t ret_pin[static 32], struct problem *why);
/* Verify and keep a bundle. Refused: another root than the pinned one, an older version.
 * err: AUTH, DENIED (other root), CONFLICT (older), FORMAT, FULL, IO; what was there stays */
MUST_CHECK enum err org_store_install(const char *root, const struct org_files *files, struct org *ret,
                                      uint8_t ret_pin[static 32], struct problem *why);
/* The stored exact bytes of org.json and of its signature (for the ESP); malloc'ed. */
MUST_CHECK enum err org_store_bytes(const char *root, uint8_t **ret_json, size_t *ret_len, uint8_t **ret_sig,
                                    size_t *ret_sig_len);
MUST_CHECK enum err org_store_pin(const char *root, uint8_t ret[static 32]);
