#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* policy.json: what an organisation wants of its devices, signed by the policy key that org.json certifies. A
 * policy cannot touch escrow keys, and none is needed: the defaults are the policy of whoever has none.
 * Hosted. source: docs/formats.md#policyjson */

#include "crypto/err.h"
#include "formats/guid.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POLICY_MAX          (16u << 10) /* bytes of the file */
#define POLICY_SIG          64
#define POLICY_ROTATE_MAX   3650 /* days */
#define POLICY_VERIFY_MAX   720  /* hours */
#define POLICY_ROTATE_DAYS  180
#define POLICY_VERIFY_HOURS 24
#define POLICY_PACK_DAYS    30 /* how long a scheduled rotation waits for a pack. source: DESIGN section 6 */
#define POLICY_SCRATCH(len) ((len)*16 + 4096)

enum policy_escrow {
    POLICY_SEALED = 1, /* a volume is protected when its password is sealed into its header */
    POLICY_RECEIPT = 2 /* a volume counts as protected, and encrypting a disk starts, only when a server has
                          receipted its first key */
};

/* Kinds of volumes; bits. */
enum policy_encrypt { POLICY_ENCRYPT_OS = 1, POLICY_ENCRYPT_FIXED = 2, POLICY_ENCRYPT_REMOVABLE = 4 };

struct policy {
    uint64_t version; /* rising; 0: the defaults, no policy was ever given */
    uint8_t escrow;   /* enum policy_escrow */
    uint8_t encrypt;  /* enum policy_encrypt: what must be encrypted and escrowed to be compliant */
    bool key_package; /* seal the volume key to the offline desk, too */
    bool rotate_used_needs_receipt; /* a used password stays until its successor has a receipt */
    uint32_t rotate_days;           /* age at which a password is replaced; 0 never */
    uint32_t verify_hours;          /* between two looks at every keyslot of ours; at least 1 */
};

/* What holds where the organisation says nothing. */
void policy_defaults(struct policy *ret);

/* Read it; members that are missing are the defaults, unknown ones are skipped.
 * org:     whose policy it must be
 * scratch: POLICY_SCRATCH(len) bytes suffice
 * err: FORMAT, VERSION (another format than ours), RANGE (a value out of its bounds, or too long), CONFLICT
 *      (another organisation's), UNSUPPORTED (it demands what this version cannot do), FULL */
MUST_CHECK enum err policy_decode(const char *json, size_t len, const struct guid *org, void *scratch,
                                  size_t scratch_len, struct policy *ret);

/* The same, for whoever writes one. ret_at: the member that is wrong or missing; NULL where it is the whole
 */
MUST_CHECK enum err policy_check(const char *json, size_t len, const struct guid *org, void *scratch,
                                 size_t scratch_len, struct policy *ret, const char **ret_at);
/* Go through the members that this version does not know, those within them, too. name: as
 * "later.list[1].days", what is not plain ASCII as '?', cut where it is long; borrowed during the call
 * err: as jw_parse() */
#define POLICY_MEMBER 256
MUST_CHECK enum err policy_unknown(const char *json, size_t len, void *scratch, size_t scratch_len,
                                   void (*each)(void *arg, const char *name), void *arg);

struct cr_p256_pub;
/* Does the signature verify under the policy key, over the exact bytes? err: AUTH */
MUST_CHECK enum err policy_verify(const void *json, size_t len, const uint8_t sig[static POLICY_SIG],
                                  const struct cr_p256_pub *policy_key);
