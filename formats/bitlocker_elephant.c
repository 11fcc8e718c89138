/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The Elephant diffuser, decrypting: diffuser B, diffuser A, sector key.
 * source: Ferguson, "AES-CBC + Elephant diffuser", 2006, sections 4.3 to 4.5 */
#include "crypto/cursor.h"
#include "formats/bitlocker_format.h"

#define CYCLES_A  5
#define CYCLES_B  3
#define WORDS_MAX (CR_SECTOR_MAX / 4)

static inline uint32_t turn(uint32_t x, unsigned n)
{
    return n == 0 ? x : x << n | x >> (32 - n);
}

/* n is a power of two, so that the mask makes the ring. Each word takes in two before it … */
static void diffuser_a(uint32_t *d, uint32_t n)
{
    for (unsigned cycle = 0; cycle < CYCLES_A; cycle++)
        for (uint32_t i = 0; i < n; i += 4) {
            d[i] += d[(i - 2) & (n - 1)] ^ turn(d[(i - 5) & (n - 1)], 9);
            d[i + 1] += d[(i - 1) & (n - 1)] ^ d[(i - 4) & (n - 1)];
            d[i + 2] += d[i] ^ turn(d[(i - 3) & (n - 1)], 13);
            d[i + 3] += d[i + 1] ^ d[(i - 2) & (n - 1)];
        }
}

/* … and here two behind it. */
static void diffuser_b(uint32_t *d, uint32_t n)
{
    for (unsigned cycle = 0; cycle < CYCLES_B; cycle++)
        for (uint32_t i = 0; i < n; i += 4) {
            d[i] += d[i + 2] ^ d[(i + 5) & (n - 1)];
            d[i + 1] += d[i + 3] ^ turn(d[(i + 6) & (n - 1)], 10);
            d[i + 2] += d[(i + 4) & (n - 1)] ^ d[(i + 7) & (n - 1)];
            d[i + 3] += d[(i + 5) & (n - 1)] ^ turn(d[(i + 8) & (n - 1)], 25);
        }
}

void bitlocker_elephant_decrypt(uint8_t *sector, size_t len, const uint8_t sector_key[static 32])
{
    uint32_t d[WORDS_MAX];
    uint32_t n = (uint32_t)(len / 4);
    for (uint32_t i = 0; i < n; i++)
        d[i] = sector[4 * i] | (uint32_t)sector[4 * i + 1] << 8 | (uint32_t)sector[4 * i + 2] << 16 |
               (uint32_t)sector[4 * i + 3] << 24;
    diffuser_b(d, n);
    diffuser_a(d, n);
    for (uint32_t i = 0; i < n; i++)
        for (unsigned k = 0; k < 4; k++)
            sector[4 * i + k] = (uint8_t)(d[i] >> 8 * k) ^ sector_key[(4 * i + k) % 32];
}
