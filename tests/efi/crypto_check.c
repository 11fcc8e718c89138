/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The firmware back end of crypto/ where it really runs, with its compiler flags, its C library and the
 * firmware's memory: one known answer for each primitive. Prints a line for each, then switches off. */
#include "crypto/aes.h"
#include "crypto/argon2.h"
#include "crypto/hash.h"
#include "crypto/sectors.h"
#include "crypto/sha256.h"
#include "efi/firmware.h"
#include <string.h>

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st);

static void put(const char *text)
{
    for (; *text; text++) {
        CHAR16 c[2] = {(unsigned char)*text, 0};
        fw.st->ConOut->OutputString(fw.st->ConOut, c);
    }
}

static uint8_t nibble(char c)
{
    return (uint8_t)(c >= 'a' ? c - 'a' + 10 : c - '0');
}

/* The bytes of a hex constant of ours. */
static void from_hex(const char *hex, uint8_t *ret)
{
    for (; *hex; hex += 2)
        *ret++ = (uint8_t)(nibble(hex[0]) << 4 | nibble(hex[1]));
}

static bool is(const uint8_t *got, const char *hex)
{
    uint8_t want[64];
    from_hex(hex, want);
    return memcmp(got, want, strlen(hex) / 2) == 0;
}

/* source: FIPS 180-4's example */
static bool sha256(void)
{
    uint8_t block[CR_SHA256_BLOCK] = {'a', 'b', 'c', 0x80, [63] = 24}, digest[32];
    uint32_t state[CR_SHA256_WORDS];
    cr_sha256_init(state);
    cr_sha256_compress(state, block, 1);
    cr_sha256_store(state, digest);
    return is(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static bool sha256_scalar(void)
{
    return cr_sha256_force(CR_SHA256_SCALAR) == ERR_OK && sha256();
}

static bool sha256_ni(void)
{
    return cr_sha256_force(CR_SHA256_NI) == ERR_OK && sha256();
}

/* source: RFC 7914 section 11 */
static bool pbkdf2(void)
{
    uint8_t key[64];
    return cr_pbkdf2(CR_SHA256, "passwd", 6, "salt", 4, 1, key, sizeof key) == ERR_OK &&
           is(key, "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"
                   "49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783");
}

/* source: Wycheproof, aes_ccm, tcId 160 */
static bool ccm(void)
{
    uint8_t key[32], nonce[CR_CCM_NONCE], ct[16], tag[CR_CCM_TAG], pt[16];
    from_hex("59d4eafb4de0cfc7d3db99a8f54b15d7b39f0acc8da69763b019c1699f87674a", key);
    from_hex("2fcb1b38a99e71b84740ad9b", nonce);
    from_hex("48dd9589a47e638bbbc2aa3e232fa529", ct);
    from_hex("df69fbe1f099f0134fe2869156ab07db", tag);
    bool opens = cr_ccm_open(key, sizeof key, nonce, NULL, 0, ct, sizeof ct, tag, pt) == ERR_OK &&
                 is(pt, "549b365af913f3b081131ccb6b825588");
    tag[15] ^= 1;
    return opens && cr_ccm_open(key, sizeof key, nonce, NULL, 0, ct, sizeof ct, tag, pt) == ERR_AUTH;
}

static bool sectors(enum cr_sectors_mode mode, const char *key_hex, uint64_t number, const char *pt,
                    const char *ct)
{
    uint8_t key[64], buf[CR_SECTOR_MIN] = {0};
    struct cr_sectors s;
    from_hex(key_hex, key);
    from_hex(pt, buf);
    bool ok = cr_sectors_init(&s, mode, key, strlen(key_hex) / 2, CR_SECTOR_MIN, CR_SECTOR_MIN) == ERR_OK &&
              cr_sectors_crypt(&s, CR_ENCRYPT, number, buf, sizeof buf) == ERR_OK && is(buf, ct) &&
              cr_sectors_crypt(&s, CR_DECRYPT, number, buf, sizeof buf) == ERR_OK && is(buf, pt);
    cr_sectors_wipe(&s);
    return ok;
}

/* source: IEEE 1619-2007, annex B, vector 10, its first two blocks */
static bool xts(void)
{
    return sectors(CR_XTS_PLAIN64,
                   "27182818284590452353602874713526624977572470936999595749669676"
                   "273141592653589793238462643383279502884197169399375105820974944592",
                   0xff, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
                   "1c3b3a102f770386e4836c99e370cf9bea00803f5e482357a4ae12d414a3e63b");
}

/* source: Linux, crypto/testmgr.h, essiv(cbc(aes),sha256) */
static bool essiv(void)
{
    return sectors(CR_CBC_ESSIV_SHA256, "c286696d887c9aa0611bbb3e2025a45a", 0x283d096d99172e56,
                   "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
                   "c8599afe79e67b20067d550a5ec7b5a70b9c80d215a1b86dc6ab7b65d9fd88eb");
}

/* source: the reference implementation's test.c */
static bool argon2(void)
{
    uint8_t key[32];
    return cr_argon2(CR_ARGON2ID, "password", 8, "somesalt", 8, 2, 65536, 1, key, sizeof key) == ERR_OK &&
           is(key, "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7");
}

/* More than the machine has. */
static bool argon2_nomem(void)
{
    uint8_t key[32];
    return cr_argon2(CR_ARGON2ID, "password", 8, "somesalt", 8, 1, CR_ARGON2_MEMORY_MAX_KIB, 4, key,
                     sizeof key) == ERR_NOMEM;
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st)
{
    static const struct {
        const char *name;
        bool (*run)(void);
    } rows[] = {
        {"SHA-256, sha-ni", sha256_ni},
        {"SHA-256, scalar", sha256_scalar},
        {"PBKDF2-SHA256", pbkdf2},
        {"AES-CCM", ccm},
        {"XTS sectors", xts},
        {"CBC-ESSIV sectors", essiv},
        {"Argon2id with 64 MiB", argon2},
        {"Argon2id with more than there is", argon2_nomem},
    };
    if (firmware_init(image, st) != ERR_OK)
        return EFI_LOAD_ERROR;
    put("\r\nCRYPTO CHECK\r\n");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool can = rows[i].run != sha256_ni || cr_sha256_path_usable(CR_SHA256_NI);
        put(!can ? "skip " : rows[i].run() ? "good " : "BAD ");
        put(rows[i].name);
        put("\r\n");
    }
    put("CRYPTO CHECK END\r\n");
    firmware_power_off();
}
