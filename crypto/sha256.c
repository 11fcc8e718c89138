/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/sha256_path.h"
#include <string.h>

/* Two threads may both find out and write the same value; relaxed atomics make that no race. */
static int chosen; /* enum cr_sha256_path; 0: not asked yet */

const char *cr_sha256_path_name(enum cr_sha256_path path)
{
    return path == CR_SHA256_NI ? "sha-ni" : "scalar";
}

bool cr_sha256_path_usable(enum cr_sha256_path path)
{
    return path == CR_SHA256_SCALAR || (path == CR_SHA256_NI && sha256_ni_usable());
}

enum cr_sha256_path cr_sha256_path(void)
{
    int path = __atomic_load_n(&chosen, __ATOMIC_RELAXED);
    if (path == 0) {
        path = sha256_ni_usable() ? CR_SHA256_NI : CR_SHA256_SCALAR;
        __atomic_store_n(&chosen, path, __ATOMIC_RELAXED);
    }
    return (enum cr_sha256_path)path;
}

enum err cr_sha256_force(enum cr_sha256_path path)
{
    if (!cr_sha256_path_usable(path))
        return ERR_UNSUPPORTED;
    __atomic_store_n(&chosen, (int)path, __ATOMIC_RELAXED);
    return ERR_OK;
}

void cr_sha256_init(uint32_t ret_state[static CR_SHA256_WORDS])
{
    static const uint32_t initial[CR_SHA256_WORDS] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    memcpy(ret_state, initial, sizeof initial);
}

void cr_sha256_compress(uint32_t state[static CR_SHA256_WORDS], const uint8_t *blocks, size_t n)
{
    if (cr_sha256_path() == CR_SHA256_NI)
        sha256_ni_compress(state, blocks, n);
    else
        sha256_scalar_compress(state, blocks, n);
}

void cr_sha256_words(uint32_t state[static CR_SHA256_WORDS], const uint32_t *blocks, size_t n)
{
    if (cr_sha256_path() == CR_SHA256_NI)
        sha256_ni_words(state, blocks, n);
    else
        sha256_scalar_words(state, blocks, n);
}

void cr_sha256_words2(uint32_t state_a[static CR_SHA256_WORDS], uint32_t state_b[static CR_SHA256_WORDS],
                      const uint32_t *blocks_a, const uint32_t *blocks_b, size_t n)
{
    if (cr_sha256_path() == CR_SHA256_NI) {
        sha256_ni_words2(state_a, state_b, blocks_a, blocks_b, n);
        return;
    }
    sha256_scalar_words(state_a, blocks_a, n);
    sha256_scalar_words(state_b, blocks_b, n);
}

void cr_sha256_store(const uint32_t state[static CR_SHA256_WORDS], uint8_t ret[static 32])
{
    for (size_t i = 0; i < CR_SHA256_WORDS; i++) {
        uint32_t be = __builtin_bswap32(state[i]);
        __builtin_memcpy(ret + 4 * i, &be, 4);
    }
}
