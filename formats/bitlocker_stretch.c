/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The stretch of recovery passwords and passphrases: 2^20 times SHA-256 over
 *     last digest (32, zeros at first) | first digest (32) | salt (16) | counter (8, little-endian)
 * 88 bytes and their padding are two blocks, kept as words: the last digest is then the state as it stands,
 * and all the rest but the counter is laid out once. */
#include "formats/bitlocker_stretch.h"
#include "crypto/hash.h"
#include "crypto/sha256.h"
#include <string.h>

#define ROUNDS      0x100000u
#define WORDS       32 /* of two blocks */
#define FIRST       8
#define SALT        16
#define COUNTER     20 /* its low word; the high one stays zero */
#define PADDING     22
#define MESSAGE_LEN 88

/* Digest so far, then what does not change. */
struct chain {
    uint32_t words[WORDS];
};

static void chain_wipe(struct chain *c)
{
    cr_wipe(c, sizeof *c);
}

static void put_words(uint32_t *words, const uint8_t *p, size_t len)
{
    struct reader r;
    reader_init(&r, p, len);
    for (size_t i = 0; i < len / 4; i++)
        words[i] = reader_u32be(&r);
}

static void chain_init(struct chain *c, const uint8_t first[static 32],
                       const uint8_t salt[static BITLOCKER_SALT])
{
    memset(c, 0, sizeof *c);
    put_words(c->words + FIRST, first, 32);
    put_words(c->words + SALT, salt, BITLOCKER_SALT);
    c->words[PADDING] = UINT32_C(0x80000000);
    c->words[WORDS - 1] = MESSAGE_LEN * 8;
}

void bitlocker_stretch(const uint8_t first[static 32], const uint8_t salt[static BITLOCKER_SALT],
                       uint8_t ret[static 32])
{
    __attribute__((cleanup(chain_wipe))) struct chain c;
    uint32_t start[CR_SHA256_WORDS], state[CR_SHA256_WORDS];
    cr_sha256_init(start);
    chain_init(&c, first, salt);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        c.words[COUNTER] = __builtin_bswap32(i);
        memcpy(state, start, sizeof state);
        cr_sha256_words(state, c.words, 2);
        memcpy(c.words, state, sizeof state);
    }
    cr_sha256_store(c.words, ret);
    cr_wipe(state, sizeof state);
}

void bitlocker_stretch2(const uint8_t first[static 32], const uint8_t salt_a[static BITLOCKER_SALT],
                        const uint8_t salt_b[static BITLOCKER_SALT], uint8_t ret_a[static 32],
                        uint8_t ret_b[static 32])
{
    __attribute__((cleanup(chain_wipe))) struct chain a, b;
    uint32_t start[CR_SHA256_WORDS], state_a[CR_SHA256_WORDS], state_b[CR_SHA256_WORDS];
    cr_sha256_init(start);
    chain_init(&a, first, salt_a);
    chain_init(&b, first, salt_b);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        a.words[COUNTER] = b.words[COUNTER] = __builtin_bswap32(i);
        memcpy(state_a, start, sizeof state_a);
        memcpy(state_b, start, sizeof state_b);
        cr_sha256_words2(state_a, state_b, a.words, b.words, 2);
        memcpy(a.words, state_a, sizeof state_a);
        memcpy(b.words, state_b, sizeof state_b);
    }
    cr_sha256_store(a.words, ret_a);
    cr_sha256_store(b.words, ret_b);
    cr_wipe(state_a, sizeof state_a);
    cr_wipe(state_b, sizeof state_b);
}

enum err bitlocker_first_recovery(const uint8_t password[static RP_BYTES], uint8_t ret[static 32])
{
    return cr_sha256(password, RP_BYTES, ret);
}

/* SHA-256 of SHA-256 of the text in UTF-16 little-endian, without a zero at its end. */
enum err bitlocker_first_passphrase(const char *text, size_t len, uint8_t ret[static 32])
{
    uint8_t wide[2 * SECRET_MAX], once[32];
    size_t wide_len;
    enum err e = bitlocker_utf16(text, len, wide, sizeof wide, &wide_len);
    if (e == ERR_OK)
        e = cr_sha256(wide, wide_len, once);
    if (e == ERR_OK)
        e = cr_sha256(once, sizeof once, ret);
    cr_wipe(wide, sizeof wide);
    cr_wipe(once, sizeof once);
    return e;
}
