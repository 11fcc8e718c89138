#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is compiled of mbedTLS 2.28: hashes and AES. No libc but memory functions and, for CCM's
 * key schedule, calloc and free. */

#define MBEDTLS_SHA1_C /* old LUKS slots only */
#define MBEDTLS_SHA256_C
#define MBEDTLS_SHA512_C
#define MBEDTLS_SHA512_NO_SHA384
#define MBEDTLS_AES_C
#define MBEDTLS_CIPHER_MODE_XTS
#define MBEDTLS_CIPHER_MODE_CBC
#define MBEDTLS_CCM_C
#define MBEDTLS_CIPHER_C
#define MBEDTLS_AES_ROM_TABLES /* no start-up work, no writable tables */
#define MBEDTLS_HAVE_ASM
#define MBEDTLS_AESNI_C              /* asks the processor first; tables otherwise */
#define MBEDTLS_PLATFORM_ZEROIZE_ALT /* crypto/mbedtls/wipe.c */
