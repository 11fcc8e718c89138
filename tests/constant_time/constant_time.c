/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Does a branch or an address depend on a secret? Secrets are marked as undefined memory; valgrind's memcheck
 * then counts every jump and every address that depends on them (the method is Adam Langley's ctgrind). What
 * code reveals on purpose it says by cr_reveal(). Run directly, the program runs itself under valgrind.
 *
 * A library reveals its verdict on a tag by a branch of its own that no line of ours can mark: there the
 * count must be exactly one for each call, wherever the tag differs. The planted leaks show that the check
 * sees one. Argon2 is not here: Argon2id reads memory where the password says, by design. */
#include "crypto/aes.h"
#include "crypto/hash.h"
#include "crypto/reveal.h"
#include "crypto/secret.h"
#include "crypto/sectors.h"
#include "crypto/sha256.h"
#include "formats/envelope.h"
#include "formats/recovery_password.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <valgrind/memcheck.h>

#define KNOWN "042647-302313-590458-071500-554323-116567-412181-516978"

/* The compiler must not see what the leaks do with their secret. */
static volatile unsigned sink;

static void hide(void *p, size_t len)
{
    (void)VALGRIND_MAKE_MEM_UNDEFINED(p, len);
}

/* A secret of len bytes that the compiler does not know. */
static void any(uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        p[i] = (uint8_t)(37 * i + 11);
    hide(p, len);
}

/* Results are looked at once they are revealed: code that does nothing leaks nothing either. */
static bool same(const void *got, const void *want, size_t len)
{
    cr_reveal(got, len);
    return memcmp(got, want, len) == 0;
}

static bool equal(void)
{
    uint8_t a[32], b[32];
    bool ok = true;
    for (size_t i = 0; i <= sizeof a; i++) { /* the last round: no difference */
        any(a, sizeof a);
        any(b, sizeof b);
        if (i < sizeof a)
            b[i] ^= 0x40;
        bool is = cr_equal(a, b, sizeof a);
        cr_reveal(&is, sizeof is);
        ok = ok && is == (i == sizeof a);
    }
    return ok;
}

/* Every digit, wrong in one group or in none; each spelling. */
static bool decode(void)
{
    static const struct {
        const char *text;
        enum err want;
        unsigned group;
    } rows[] = {
        {KNOWN, ERR_OK, 0},
        {"042647302313590458071500554323116567412181516978", ERR_OK, 0},
        {" 042647 302313\t590458 071500 554323-116567 412181 516978 ", ERR_OK, 0},
        {"042647\xe2\x80\x93"
         "302313\xe2\x80\x94"
         "590458\xc2\xa0"
         "071500\xe2\x80\x92"
         "554323\xe2\x88\x92"
         "116567 \xe2\x80\x93 412181\xc2\xa0\xc2\xa0"
         "516978",
         ERR_OK, 0},
        {"\xef\xbb\xbf" KNOWN "\r\n", ERR_OK, 0},
        {"042648-302313-590458-071500-554323-116567-412181-516978", ERR_RANGE, 1},
        {"042647-302313-590458-071500-999999-116567-412181-516978", ERR_RANGE, 5},
        {"042647-302313-590458-071500-554323-116567-412181-516979", ERR_RANGE, 8},
        {"042647-302313-590458-071500-554323-116567-412181-51697", ERR_FORMAT, 0},
        {"042647-302313x590458-071500-554323-116567-412181-516978", ERR_FORMAT, 3},
    };
    bool ok = true;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        SECRET(bytes);
        SECRET(again);
        char text[96];
        size_t len = strlen(rows[i].text);
        unsigned group = 0;
        memcpy(text, rows[i].text, len);
        hide(text, len);
        enum err e = rp_decode_file(text, len, &bytes, &group);
        ok = ok && e == rows[i].want && group == rows[i].group;
        if (e == ERR_OK) {
            rp_encode(bytes.bytes, &again);
            ok = ok && again.len == RP_TEXT && same(again.bytes, KNOWN, RP_TEXT);
        }
    }
    return ok;
}

/* As PowerShell writes it, with en dashes. */
static bool decode_wide(void)
{
    SECRET(bytes);
    SECRET(again);
    char wide[2 + 2 * RP_TEXT] = {'\xff', '\xfe'};
    unsigned group;
    for (size_t i = 0; i < RP_TEXT; i++) {
        wide[2 + 2 * i] = KNOWN[i] == '-' ? '\x13' : KNOWN[i];
        wide[3 + 2 * i] = KNOWN[i] == '-' ? '\x20' : 0;
    }
    hide(wide, sizeof wide);
    if (rp_decode_file(wide, sizeof wide, &bytes, &group) != ERR_OK)
        return false;
    rp_encode(bytes.bytes, &again);
    return again.len == RP_TEXT && same(again.bytes, KNOWN, RP_TEXT);
}

/* Bytes, words, and two chains side by side give one another's states. */
static bool compress(void)
{
    uint8_t block[CR_SHA256_BLOCK];
    uint32_t a[CR_SHA256_WORDS], b[CR_SHA256_WORDS], c[CR_SHA256_WORDS], words[16];
    cr_sha256_init(a);
    hide(a, sizeof a);
    memcpy(b, a, sizeof b);
    memcpy(c, a, sizeof c);
    any(block, sizeof block);
    cr_sha256_compress(a, block, 1);
    for (size_t i = 0; i < 16; i++) {
        memcpy(&words[i], block + 4 * i, 4);
        words[i] = __builtin_bswap32(words[i]);
    }
    cr_sha256_words2(b, c, words, words, 1);
    cr_reveal(a, sizeof a);
    return same(b, a, sizeof a) && same(c, a, sizeof a);
}

static bool pbkdf2(void)
{
    bool ok = true;
    for (enum cr_hash alg = CR_SHA1; alg <= CR_SHA512; alg++)
        for (size_t len = 20; len <= 200; len += 180) { /* one and more than one block of key */
            uint8_t password[200], key[96];
            any(password, len);
            ok = ok && cr_pbkdf2(alg, password, len, "salt", 4, 3, key, sizeof key) == ERR_OK;
        }
    return ok;
}

static bool commitment(void)
{
    static const struct guid id = {{1}}, volume = {{2}};
    uint8_t password[RP_BYTES], got[32], again[32];
    any(password, sizeof password);
    if (envelope_commitment(password, &id, &volume, got) != ERR_OK ||
        envelope_commitment(password, &id, &volume, again) != ERR_OK)
        return false;
    bool is = cr_equal(got, again, sizeof got);
    cr_reveal(&is, sizeof is);
    return is;
}

static bool sectors(enum cr_sectors_mode mode, size_t key_len)
{
    uint8_t key[64], buf[4 * CR_SECTOR_MIN];
    struct cr_sectors s;
    any(key, sizeof key);
    any(buf, sizeof buf);
    bool ok = cr_sectors_init(&s, mode, key, key_len, CR_SECTOR_MIN, CR_SECTOR_MIN) == ERR_OK &&
              cr_sectors_crypt(&s, CR_ENCRYPT, 7, buf, sizeof buf) == ERR_OK &&
              cr_sectors_crypt(&s, CR_DECRYPT, 7, buf, sizeof buf) == ERR_OK;
    cr_sectors_wipe(&s);
    return ok;
}

static bool cbc_sectors(void)
{
    return sectors(CR_CBC_ESSIV_SHA256, 32) && sectors(CR_CBC_EBOIV, 16);
}

static bool xts_sectors(void)
{
    return sectors(CR_XTS_PLAIN64, 64);
}

/* source: Wycheproof, aes_ccm, tcId 160 */
static const uint8_t ccm_key[] = {0x59, 0xd4, 0xea, 0xfb, 0x4d, 0xe0, 0xcf, 0xc7, 0xd3, 0xdb, 0x99,
                                  0xa8, 0xf5, 0x4b, 0x15, 0xd7, 0xb3, 0x9f, 0x0a, 0xcc, 0x8d, 0xa6,
                                  0x97, 0x63, 0xb0, 0x19, 0xc1, 0x69, 0x9f, 0x87, 0x67, 0x4a};
static const uint8_t ccm_nonce[] = {0x2f, 0xcb, 0x1b, 0x38, 0xa9, 0x9e, 0x71, 0xb8, 0x47, 0x40, 0xad, 0x9b};
static const uint8_t ccm_ct[] = {0x48, 0xdd, 0x95, 0x89, 0xa4, 0x7e, 0x63, 0x8b,
                                 0xbb, 0xc2, 0xaa, 0x3e, 0x23, 0x2f, 0xa5, 0x29};
static const uint8_t ccm_tag[] = {0xdf, 0x69, 0xfb, 0xe1, 0xf0, 0x99, 0xf0, 0x13,
                                  0x4f, 0xe2, 0x86, 0x91, 0x56, 0xab, 0x07, 0xdb};

/* The right tag, then one wrong in each byte: CCM_CALLS verdicts. */
#define CCM_CALLS (CR_CCM_TAG + 1)
static bool ccm(void)
{
    bool ok = true;
    for (size_t i = 0; i < CCM_CALLS; i++) {
        uint8_t key[sizeof ccm_key], tag[CR_CCM_TAG], pt[sizeof ccm_ct];
        memcpy(key, ccm_key, sizeof key);
        memcpy(tag, ccm_tag, sizeof tag);
        if (i < CR_CCM_TAG)
            tag[i] ^= 1;
        hide(key, sizeof key);
        enum err e = cr_ccm_open(key, sizeof key, ccm_nonce, NULL, 0, ccm_ct, sizeof ccm_ct, tag, pt);
        ok = ok && e == (i < CR_CCM_TAG ? ERR_AUTH : ERR_OK);
    }
    return ok;
}

static bool planted_memcmp(void)
{
    uint8_t a[16], b[16];
    volatile size_t len = sizeof a; /* or the compiler would put something better in its place */
    any(a, sizeof a);
    any(b, sizeof b);
    sink = memcmp(a, b, len) == 0;
    return true;
}

static bool planted_early_exit(void)
{
    uint8_t a[16], b[16] = {11};
    any(a, sizeof a);
    for (size_t i = 0; i < sizeof a && a[i] == b[i]; i++)
        sink = (unsigned)i;
    return true;
}

static bool planted_table(void)
{
    static const uint8_t table[256] = {1, 2, 3};
    uint8_t a[1];
    any(a, sizeof a);
    sink = table[a[0]];
    return true;
}

/* A recovery password's group whose verdict nobody revealed. */
static bool planted_verdict(void)
{
    uint8_t a[4];
    uint32_t v;
    any(a, sizeof a);
    memcpy(&v, a, sizeof v);
    if (v % 11 != 0)
        sink = 1;
    return true;
}

#define MANY 1000000u
static const struct row {
    const char *name;
    bool (*run)(void);    /* did it do what it should? */
    unsigned least, most; /* jumps and addresses that depend on a secret */
} rows[] = {
    {"cr_equal", equal, 0, 0},
    {"recovery password, typed text to 16 bytes and back", decode, 0, 0},
    {"recovery password in UTF-16", decode_wide, 0, 0},
    {"SHA-256 compression", compress, 0, 0},
    {"PBKDF2 with each hash", pbkdf2, 0, 0},
    {"commitment of an envelope", commitment, 0, 0},
    {"CBC sectors", cbc_sectors, 0, 0},
    {"XTS sectors (a library may compare the key's halves)", xts_sectors, 0, 1},
    {"AES-CCM, one verdict a call", ccm, CCM_CALLS, CCM_CALLS},
    {"planted: memcmp of a secret", planted_memcmp, 1, MANY},
    {"planted: a comparison that stops early", planted_early_exit, 1, MANY},
    {"planted: a table indexed by a secret", planted_table, 1, MANY},
    {"planted: a verdict not revealed", planted_verdict, 1, MANY},
};

static bool passes(const struct row *r)
{
    unsigned before = (unsigned)VALGRIND_COUNT_ERRORS;
    bool ok = r->run();
    cr_reveal(&ok, sizeof ok);
    unsigned n = (unsigned)VALGRIND_COUNT_ERRORS - before;
    if (ok && n >= r->least && n <= r->most)
        return true;
    printf("constant_time: %s: %u jumps or addresses depend on a secret, not %u to %u%s\n", r->name, n,
           r->least, r->most, ok ? "" : "; and it gave a wrong result");
    return false;
}

/* Only returns when valgrind could not be started. */
static void run_under_valgrind(void)
{
    char self[4096], log[4200];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0)
        return;
    self[n] = 0;
    (void)snprintf(log, sizeof log, "--log-file=%s.log", self);
    const char *const argv[] = {"valgrind", "--error-limit=no", log, self, NULL};
    fflush(stdout);
    execvp(argv[0], (char *const *)(uintptr_t)argv);
}

int main(void)
{
    unsigned passed = 0, failed = 0;
    if (!RUNNING_ON_VALGRIND) {
        run_under_valgrind();
        printf("SKIP: valgrind cannot be started; nothing was checked\n0 passed, 0 failed, 1 skipped\n");
        return 0;
    }
    printf("SHA-256 path: %s (valgrind knows no SHA-NI)\n", cr_sha256_path_name(cr_sha256_path()));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (passes(&rows[i]))
            passed++;
        else
            failed++;
    if (failed)
        printf("where: see the .log beside this program\n");
    printf("%u passed, %u failed\n", passed, failed);
    return failed != 0;
}
