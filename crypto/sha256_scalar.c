/* SPDX-License-Identifier: GPL-3.0-or-later */
/* SHA-256 in plain C, unrolled: no table is indexed by data and nothing branches on it. */
#include "crypto/sha256_path.h"

/* clang-format off */
const uint32_t sha256_k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
/* clang-format on */

#define ROUNDS 64

static inline uint32_t ror(uint32_t v, unsigned n)
{
    return v >> n | v << (32 - n);
}

/* Word i of the message schedule; w holds the last sixteen. source: FIPS 180-4 sections 4.1.2, 6.2.2 */
static inline uint32_t schedule(uint32_t w[static 16], unsigned i)
{
    uint32_t x = w[(i + 1) & 15], y = w[(i + 14) & 15];
    return w[i & 15] +=
           (ror(x, 7) ^ ror(x, 18) ^ x >> 3) + w[(i + 9) & 15] + (ror(y, 17) ^ ror(y, 19) ^ y >> 10);
}

/* The letters move down one place each round; here they stay, and their names move. */
#define LETTER(s, k, i) ((s)[((k) - (i)) & 7])

static inline void round_step(uint32_t s[static 8], unsigned i, uint32_t w)
{
    uint32_t a = LETTER(s, 0, i), b = LETTER(s, 1, i), c = LETTER(s, 2, i);
    uint32_t e = LETTER(s, 4, i), f = LETTER(s, 5, i), g = LETTER(s, 6, i);
    uint32_t t = LETTER(s, 7, i) + (ror(e, 6) ^ ror(e, 11) ^ ror(e, 25)) + (g ^ (e & (f ^ g))) + w;
    LETTER(s, 3, i) += t;
    LETTER(s, 7, i) = t + (ror(a, 2) ^ ror(a, 13) ^ ror(a, 22)) + ((a & b) | (c & (a | b)));
}

static inline void block(uint32_t *state, uint32_t w[static 16])
{
    uint32_t s[8];
    for (unsigned i = 0; i < 8; i++)
        s[i] = state[i];
#pragma GCC unroll 64
    for (unsigned i = 0; i < ROUNDS; i++)
        round_step(s, i, sha256_k[i] + (i < 16 ? w[i] : schedule(w, i)));
    for (unsigned i = 0; i < 8; i++)
        state[i] += s[i];
}

void sha256_scalar_words(uint32_t *state, const uint32_t *blocks, size_t n)
{
    for (; n > 0; n--, blocks += 16) {
        uint32_t w[16];
        __builtin_memcpy(w, blocks, sizeof w);
        block(state, w);
    }
}

void sha256_scalar_compress(uint32_t *state, const uint8_t *blocks, size_t n)
{
    for (; n > 0; n--, blocks += CR_SHA256_BLOCK) {
        uint32_t w[16];
        __builtin_memcpy(w, blocks, sizeof w);
        for (unsigned i = 0; i < 16; i++)
            w[i] = __builtin_bswap32(w[i]);
        sha256_scalar_words(state, w, 1);
    }
}
