#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Key package: what is needed to make a destroyed LUKS2 header anew, the volume key and its parameters,
 * sealed to offline desk keys. Whoever opens it can read the volume for ever, whatever passwords are rotated:
 * off unless the policy wants it. Hosted. source: docs/formats.md#key-package */

#include "crypto/err.h"
#include "crypto/secret.h"
#include "formats/envelope.h"
#include "formats/guid.h"
#include "formats/luks2.h"

#define KEY_PACKAGE_CIPHER    32
#define KEY_PACKAGE_PLAIN     384 /* bytes; more than the longest fields take */
#define KEY_PACKAGE_SEAL(len) (65 + (size_t)(len) + 16)
#define KEY_PACKAGE_MAX                                                                                      \
    (ENVELOPE_HEADER(ENVELOPE_RECIPIENTS) + 2 + ENVELOPE_RECIPIENTS * KEY_PACKAGE_SEAL(KEY_PACKAGE_PLAIN))

struct key_package {
    char cipher[KEY_PACKAGE_CIPHER + 1]; /* as cryptsetup writes it, "aes-xts-plain64" */
    uint32_t sector_size;
    uint64_t offset, size, iv_offset; /* of the data segment, bytes; size LUKS2_TO_END: to the device's end */
    uint32_t hdr_size;                /* of one header, binary and JSON */
    uint64_t keyslots_size;           /* bytes of the keyslots area */
    uint8_t digest_hash;              /* enum cr_hash */
    uint32_t digest_iterations;
    char label[LUKS2_LABEL + 1], subsystem[LUKS2_LABEL + 1];
    struct secret volume_key;
};

void key_package_wipe(struct key_package *p);
#define KEY_PACKAGE(name) __attribute__((cleanup(key_package_wipe))) struct key_package name = {.cipher = ""}

struct cr_p256_pub;
struct cr_p256_key;

/* Seal one. head: key_id (of the package), volume, device and time filled by the caller
 * to, n: public desk keys, 1 to ENVELOPE_RECIPIENTS. err: RANGE (n, or fields that are too long) */
MUST_CHECK enum err key_package_seal(const struct envelope *head, const struct guid *org,
                                     const struct cr_p256_pub *to, unsigned n, const struct key_package *p,
                                     uint8_t ret[static KEY_PACKAGE_MAX], size_t *ret_len);
/* Its header; seal[] is not filled. err: TRUNCATED, FORMAT, VERSION, RANGE */
MUST_CHECK enum err key_package_decode(const uint8_t *in, size_t len, struct envelope *ret);
/* Open with one private key and check the commitment. err: NOT_FOUND (not sealed to this key), AUTH (changed
 * bytes, other organisation), and what key_package_decode() says */
MUST_CHECK enum err key_package_open(const uint8_t *in, size_t len, const struct guid *org,
                                     const struct cr_p256_key *key, struct key_package *ret);
