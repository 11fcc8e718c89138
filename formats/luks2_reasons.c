/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Why a keyslot or a segment cannot be used here, in words for people. */
#include "crypto/argon2.h"
#include "formats/luks2_metadata.h"
#include <string.h>

#define SALT_LEN    32        /* cryptsetup opens with no other */
#define END_OF_DISK INT64_MAX /* no device is larger */

static const char *kdf_why_not(const struct luks2_slot *s)
{
    if (s->salt_len != SALT_LEN)
        return "its salt is not 32 bytes";
    if (s->iterations == 0 || s->iterations > INT32_MAX)
        return "its count of iterations is out of range";
    if (s->kdf == LUKS2_PBKDF2)
        return s->hash == 0 ? "the hash of its PBKDF2 is not known here" : NULL;
    if (s->lanes == 0 || s->lanes > CR_ARGON2_LANES_MAX || s->memory_kib < 8 * s->lanes)
        return "its Argon2 parameters are out of range";
    return s->memory_kib > CR_ARGON2_MEMORY_MAX_KIB ? "its Argon2 wants more than 4 GiB of memory" : NULL;
}

const char *luks2_slot_why_not(const struct luks2 *l, const struct luks2_slot *s)
{
    if (s->kdf_name[0] == 0)
        return strcmp(s->type, "reencrypt") == 0 ? "it holds the state of a re-encryption, no key"
                                                 : "its type is not known here";
    if (s->kdf == 0)
        return "its key derivation is not known here";
    const char *kdf = kdf_why_not(s);
    if (kdf != NULL)
        return kdf;
    if (s->af_hash == 0 || s->af_stripes != LUKS2_STRIPES)
        return "the hash or the stripes of its anti-forensic split are not known here";
    if (s->key_size % 16 != 0 || luks2_area_len(s) == 0)
        return "its volume key has an unusual size or does not fit its area";
    if (!luks2_cipher_takes(s->cipher, s->area_key_size))
        return "the cipher of its key material, or that cipher's key size, is not known here";
    return s->digest < 0 || l->digest[s->digest].hash == 0
               ? "the digest of its volume key cannot be checked here"
               : NULL;
}

static bool is_sector_size(uint32_t size)
{
    return size >= CR_SECTOR_MIN && size <= CR_SECTOR_MAX && (size & (size - 1)) == 0;
}

const char *luks2_segment_why_not(const struct luks2_segment *s)
{
    if (s->in_reencryption)
        return "its re-encryption was cut off in the middle; let cryptsetup repair it first";
    if (s->off > END_OF_DISK || (s->size != LUKS2_TO_END && s->size > END_OF_DISK))
        return "its data lies beyond the end of any disk";
    if (!s->crypt)
        return strcmp(s->type, "linear") == 0 ? NULL : "a segment's type is not known here";
    if (s->integrity[0] != 0)
        return "its sectors carry integrity tags (dm-integrity)";
    if (strncmp(s->cipher_name, "cipher_null", 11) == 0)
        return "its data is not encrypted at all";
    if (s->cipher == 0)
        return "its data is encrypted with a cipher that is not known here";
    if (!is_sector_size(s->sector_size))
        return "its sector size is none that dm-crypt has";
    if (s->digest < 0)
        return "it has more volume keys than are kept here";
    return s->key_size != 0 && !luks2_cipher_takes(s->cipher, s->key_size)
               ? "its cipher has a key size that is not known here"
               : NULL;
}
