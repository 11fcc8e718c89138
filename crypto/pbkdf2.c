/* SPDX-License-Identifier: GPL-3.0-or-later */
/* PBKDF2. With SHA-256, what nearly every LUKS2 slot has, it runs here on the bare compression function:
 * every HMAC of one derivation has the same key, so the states behind its two padded keys are made once;
 * every message but the first is one digest long, so its padding is written once. That leaves two
 * compressions an iteration and no turning of bytes, and two output blocks go side by side. */
#include "crypto/pbkdf2.h"
#include "crypto/secret.h"
#include "crypto/sha256.h"
#include <string.h>

#define LENGTH_MAX INT32_MAX /* OpenSSL's type for all of them */

struct prf {
    uint32_t inner[CR_SHA256_WORDS], outer[CR_SHA256_WORDS]; /* behind the padded keys */
};

/* One output block under way: a digest with its padding behind it, twice, so that each is the other's next
 * input; and the sum so far. */
struct lane {
    uint32_t u[16], v[16];
    uint32_t sum[CR_SHA256_WORDS];
};

static void padded_key(const uint8_t key[static CR_SHA256_BLOCK], uint8_t mask, uint32_t *ret_state)
{
    uint8_t pad[CR_SHA256_BLOCK];
    for (size_t i = 0; i < sizeof pad; i++)
        pad[i] = key[i] ^ mask;
    cr_sha256_init(ret_state);
    cr_sha256_compress(ret_state, pad, 1);
    cr_wipe(pad, sizeof pad);
}

/* source: RFC 2104 section 2 */
static enum err prf_init(struct prf *p, const void *password, size_t len)
{
    uint8_t key[CR_SHA256_BLOCK] = {0};
    enum err e = ERR_OK;
    if (len > sizeof key)
        e = cr_sha256(password, len, key);
    else if (len > 0)
        memcpy(key, password, len);
    padded_key(key, 0x36, p->inner);
    padded_key(key, 0x5c, p->outer);
    cr_wipe(key, sizeof key);
    return e;
}

/* Padding of a message of one key block and one digest. source: FIPS 180-4 section 5.1.1 */
static void pad_digest(uint32_t block[static 16])
{
    memset(block, 0, 16 * sizeof *block);
    block[CR_SHA256_WORDS] = 0x80000000;
    block[15] = (CR_SHA256_BLOCK + CR_SHA256_SIZE) * 8;
}

/* U(1) = HMAC(password, salt ‖ number). */
static enum err lane_start(struct lane *l, const struct cr_part *password, const struct cr_part *salt,
                           uint32_t number)
{
    uint8_t u[CR_SHA256_SIZE];
    const uint32_t be = __builtin_bswap32(number);
    const struct cr_part parts[] = {*salt, {&be, sizeof be}};
    TRY(cr_hmac(CR_SHA256, password->p, password->len, parts, 2, u));
    pad_digest(l->u);
    pad_digest(l->v);
    memcpy(l->u, u, sizeof u);
    for (size_t i = 0; i < CR_SHA256_WORDS; i++)
        l->u[i] = __builtin_bswap32(l->u[i]);
    memcpy(l->sum, l->u, sizeof l->sum);
    cr_wipe(u, sizeof u);
    return ERR_OK;
}

/* Firmware code is built without builtins; these few bytes are worth one. */
static inline void start_from(uint32_t *block, const uint32_t *state)
{
    __builtin_memcpy(block, state, CR_SHA256_WORDS * sizeof *state);
}

static inline void add_up(struct lane *l)
{
    for (size_t i = 0; i < CR_SHA256_WORDS; i++)
        l->sum[i] ^= l->u[i];
}

static void iterate(const struct prf *p, struct lane *l, uint32_t n)
{
    while (n--) {
        start_from(l->v, p->inner);
        cr_sha256_words(l->v, l->u, 1);
        start_from(l->u, p->outer);
        cr_sha256_words(l->u, l->v, 1);
        add_up(l);
    }
}

static void iterate2(const struct prf *p, struct lane l[static 2], uint32_t n)
{
    while (n--) {
        start_from(l[0].v, p->inner);
        start_from(l[1].v, p->inner);
        cr_sha256_words2(l[0].v, l[1].v, l[0].u, l[1].u, 1);
        start_from(l[0].u, p->outer);
        start_from(l[1].u, p->outer);
        cr_sha256_words2(l[0].u, l[1].u, l[0].v, l[1].v, 1);
        add_up(&l[0]);
        add_up(&l[1]);
    }
}

/* One or two digest-sized blocks of output, from block number on; ret: len bytes of them */
static enum err derive(const struct prf *p, const struct cr_part *password, const struct cr_part *salt,
                       uint32_t iterations, uint32_t number, uint8_t *ret, size_t len)
{
    struct lane lane[2];
    uint8_t out[2 * CR_SHA256_SIZE];
    enum err e = lane_start(&lane[0], password, salt, number);
    if (e == ERR_OK && len > CR_SHA256_SIZE)
        e = lane_start(&lane[1], password, salt, number + 1);
    if (e == ERR_OK && len > CR_SHA256_SIZE) {
        iterate2(p, lane, iterations - 1);
        cr_sha256_store(lane[1].sum, out + CR_SHA256_SIZE);
    } else if (e == ERR_OK) {
        iterate(p, &lane[0], iterations - 1);
    }
    if (e == ERR_OK) {
        cr_sha256_store(lane[0].sum, out);
        memcpy(ret, out, len);
    }
    cr_wipe(lane, sizeof lane);
    cr_wipe(out, sizeof out);
    return e;
}

static enum err with_sha256(const struct cr_part *password, const struct cr_part *salt, uint32_t iterations,
                            uint8_t *ret, size_t len)
{
    struct prf p;
    enum err e = prf_init(&p, password->p, password->len);
    for (uint32_t number = 1; e == ERR_OK && len > 0; number += 2) {
        size_t n = len < 2 * CR_SHA256_SIZE ? len : 2 * CR_SHA256_SIZE;
        e = derive(&p, password, salt, iterations, number, ret, n);
        ret += n;
        len -= n;
    }
    cr_wipe(&p, sizeof p);
    return e;
}

struct short_key {
    struct cr_part part;
    uint8_t hash[CR_HASH_MAX];
};

/* HMAC takes the hash of a key longer than a block. Done once: libraries copy a key file of megabytes several
 * times, and hash it for every block of output. source: RFC 2104 section 2 */
static enum err shorten(enum cr_hash alg, const struct cr_part *password, struct short_key *ret)
{
    const size_t block = alg == CR_SHA512 ? 128 : 64;
    ret->part = *password;
    if (password->len <= block)
        return ERR_OK;
    TRY(cr_hash_parts(alg, password, 1, ret->hash));
    ret->part = (struct cr_part){ret->hash, cr_hash_size(alg)};
    return ERR_OK;
}

enum err cr_pbkdf2(enum cr_hash alg, const void *password, size_t password_len, const void *salt,
                   size_t salt_len, uint32_t iterations, uint8_t *ret, size_t ret_len)
{
    const struct cr_part p = {password, password_len}, s = {salt, salt_len};
    if (cr_hash_size(alg) == 0)
        return ERR_UNSUPPORTED;
    if (iterations == 0 || iterations > LENGTH_MAX || ret_len == 0 || ret_len > LENGTH_MAX ||
        password_len > LENGTH_MAX || salt_len > LENGTH_MAX)
        return ERR_RANGE;
    struct short_key k;
    TRY(shorten(alg, &p, &k));
    enum err e = alg == CR_SHA256 ? with_sha256(&k.part, &s, iterations, ret, ret_len)
                                  : pbkdf2_library(alg, &k.part, &s, iterations, ret, ret_len);
    cr_wipe(&k, sizeof k);
    return e;
}
