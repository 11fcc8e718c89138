/* SPDX-License-Identifier: GPL-3.0-or-later */
/* SHA-256 by the processor's own instructions. Only XMM registers in their old encoding are used: those are
 * every UEFI program's to use (UEFI 2.10, 2.3.4.2), the wider ones are not.
 * source: Intel SDM volume 2, SHA256RNDS2, SHA256MSG1, SHA256MSG2 */
#include "crypto/sha256_path.h"
#include <cpuid.h>
#include <immintrin.h>

#define NI        __attribute__((target("sha,sse4.1,ssse3")))
#define NI_INLINE NI static inline __attribute__((always_inline))

bool sha256_ni_usable(void)
{
    unsigned a, b, c, d, sha;
    if (!__get_cpuid_count(7, 0, &a, &sha, &c, &d) || !__get_cpuid(1, &a, &b, &c, &d))
        return false;
    return (sha & bit_SHA) && (c & bit_SSSE3) && (c & bit_SSE4_1);
}

/* One chain: the state in the order that SHA256RNDS2 wants (high word first: A B E F, C D G H), and the last
 * sixteen words of the message schedule. */
struct lane {
    uint32_t *state;
    const uint8_t *in;
    __m128i abef, cdgh, w[4];
};

NI_INLINE __m128i load(const void *p)
{
    return _mm_loadu_si128(p);
}

NI_INLINE void lane_start(struct lane *l)
{
    __m128i cdab = _mm_shuffle_epi32(load(l->state), 0xb1);
    __m128i efgh = _mm_shuffle_epi32(load(l->state + 4), 0x1b);
    l->abef = _mm_alignr_epi8(cdab, efgh, 8);
    l->cdgh = _mm_blend_epi16(efgh, cdab, 0xf0);
}

NI_INLINE void lane_finish(struct lane *l, __m128i abef, __m128i cdgh)
{
    __m128i feba = _mm_shuffle_epi32(_mm_add_epi32(l->abef, abef), 0x1b);
    __m128i dchg = _mm_shuffle_epi32(_mm_add_epi32(l->cdgh, cdgh), 0xb1);
    _mm_storeu_si128((__m128i *)l->state, _mm_blend_epi16(feba, dchg, 0xf0));
    _mm_storeu_si128((__m128i *)(l->state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

/* Words 4i to 4i + 3 of the schedule. swap: the input is bytes, not words of ours */
NI_INLINE __m128i next_words(struct lane *l, unsigned i, bool swap)
{
    const __m128i turned = _mm_set_epi64x(0x0c0d0e0f08090a0bll, 0x0405060700010203ll);
    __m128i w;
    if (i < 4) {
        w = load(l->in + 16 * i);
        w = swap ? _mm_shuffle_epi8(w, turned) : w;
    } else {
        __m128i last = l->w[(i + 3) & 3];
        w = _mm_sha256msg1_epu32(l->w[i & 3], l->w[(i + 1) & 3]);
        w = _mm_add_epi32(w, _mm_alignr_epi8(last, l->w[(i + 2) & 3], 4));
        w = _mm_sha256msg2_epu32(w, last);
    }
    return l->w[i & 3] = w;
}

NI_INLINE void four_rounds(struct lane *l, unsigned i, bool swap)
{
    __m128i kw = _mm_add_epi32(next_words(l, i, swap), load(sha256_k + 4 * i));
    l->cdgh = _mm_sha256rnds2_epu32(l->cdgh, l->abef, kw);
    l->abef = _mm_sha256rnds2_epu32(l->abef, l->cdgh, _mm_shuffle_epi32(kw, 0x0e));
}

/* One block of each lane, their steps interleaved; n_lanes and swap are constants at every call. */
NI_INLINE void block(struct lane lane[], unsigned n_lanes, bool swap)
{
    __m128i abef[2], cdgh[2];
#pragma GCC unroll 2
    for (unsigned k = 0; k < n_lanes; k++) {
        lane_start(&lane[k]);
        abef[k] = lane[k].abef;
        cdgh[k] = lane[k].cdgh;
    }
#pragma GCC unroll 16
    for (unsigned i = 0; i < 16; i++)
#pragma GCC unroll 2
        for (unsigned k = 0; k < n_lanes; k++)
            four_rounds(&lane[k], i, swap);
#pragma GCC unroll 2
    for (unsigned k = 0; k < n_lanes; k++) {
        lane_finish(&lane[k], abef[k], cdgh[k]);
        lane[k].in += CR_SHA256_BLOCK;
    }
}

NI void sha256_ni_compress(uint32_t *state, const uint8_t *blocks, size_t n)
{
    struct lane lane[1] = {{.state = state, .in = blocks}};
    while (n--)
        block(lane, 1, true);
}

NI void sha256_ni_words(uint32_t *state, const uint32_t *blocks, size_t n)
{
    struct lane lane[1] = {{.state = state, .in = (const uint8_t *)blocks}};
    while (n--)
        block(lane, 1, false);
}

NI void sha256_ni_words2(uint32_t *state_a, uint32_t *state_b, const uint32_t *blocks_a,
                         const uint32_t *blocks_b, size_t n)
{
    struct lane lane[2] = {{.state = state_a, .in = (const uint8_t *)blocks_a},
                           {.state = state_b, .in = (const uint8_t *)blocks_b}};
    while (n--)
        block(lane, 2, false);
}
