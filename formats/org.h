#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* org.json: what everybody may know of the organisation, signed by its root. Read in both worlds by jsmn;
 * the signature (hosted) is checked over the exact bytes, never over re-made JSON. */

#include "crypto/err.h"
#include "formats/guid.h"
#include "formats/qr_text.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ORG_MAX          (64u << 10) /* bytes of the file */
#define ORG_TEXT         128
#define ORG_MESSAGE      512
#define ORG_SERVERS      8
#define ORG_ESCROW_KEYS  4
#define ORG_RECEIPT_KEYS 4
#define ORG_CA_MAX       4096
#define ORG_REVOKED_MAX  (ORG_MAX / 64) /* each takes more bytes than its digits */

enum org_escrow_use { ORG_VAULT = 1, ORG_DESK = 2 };

struct org_key {
    uint8_t id[32];
    uint8_t spki[91]; /* DER */
    uint8_t use;      /* enum org_escrow_use, escrow keys only */
};

struct org {
    uint64_t version; /* rising; an older one is refused */
    struct guid id;
    bool no_copying; /* people are not to copy files at the recovery screen; optional, false without */
    char name[ORG_TEXT + 1];
    char message[ORG_MESSAGE + 1]; /* pre-boot message, UTF-8 */
    char url[QR_URL_MAX + 1];      /* self-service address */
    unsigned n_servers, n_escrow, n_receipt;
    char server[ORG_SERVERS][ORG_TEXT + 1];
    struct org_key escrow[ORG_ESCROW_KEYS];
    struct org_key receipt[ORG_RECEIPT_KEYS];
    struct org_key policy;
    char ca[ORG_CA_MAX + 1]; /* PEM certificate, zero-terminated */
};

/* scratch: for jsmn tokens; 16 × len bytes suffice. err: FORMAT, VERSION, FULL, RANGE */
MUST_CHECK enum err org_decode(const char *json, size_t len, void *scratch, size_t scratch_len,
                               struct org *ret);

/* The IDs of the devices that the file revokes, in its order. scratch: as above; ret_n: how many of ret were
 * set; max: ORG_REVOKED_MAX suffices. err: FORMAT, FULL, RANGE */
MUST_CHECK enum err org_revoked(const char *json, size_t len, void *scratch, size_t scratch_len,
                                uint8_t (*ret)[32], size_t max, size_t *ret_n);

struct cr_p256_pub;
/* Hosted: does the 64-byte signature verify under the root key, over the exact bytes? err: AUTH */
MUST_CHECK enum err org_verify(const void *json, size_t len, const uint8_t sig[static 64],
                               const struct cr_p256_pub *root);
/* Hosted: a receipt key, by its place (below n_receipt). err: FORMAT (no point of the curve) */
MUST_CHECK enum err org_receipt_key(const struct org *org, unsigned i, struct cr_p256_pub *ret);
