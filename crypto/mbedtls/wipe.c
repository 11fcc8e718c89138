/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <mbedtls/platform_util.h>
#include <stdint.h>

/* mbedTLS wipes some 300 bytes after every compression, twice per PBKDF2 iteration; its own way, a call
 * through a volatile pointer to a memset that goes byte by byte, would take as long as the hash. */
void mbedtls_platform_zeroize(void *buf, size_t len)
{
    uint8_t *b = buf;
    for (; len >= 8; len -= 8, b += 8)
        __builtin_memcpy(b, &(uint64_t){0}, 8); /* one store, whatever the alignment */
    while (len--)
        *b++ = 0;
    __asm__ volatile("" : : "r"(buf) : "memory");
}
