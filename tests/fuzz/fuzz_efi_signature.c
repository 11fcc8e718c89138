/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Changes to a small signed program and to a firmware's list of keys, both cut anywhere. First byte: 'p' the
 * program, else the list; two bytes how much is left of it; then changes of three bytes: where (16 bits),
 * what. */
#include "crypto/cursor.h"
#include "formats/efi_signature.h"
#include "formats/pe_signature.h"
#include "tests/fuzz/fuzz.h"
#include <stdlib.h>
#include <string.h>

const char *const fuzz_seeds[] = {
    "p\xff\xff", "l\xff\xff", "p\xff\xff\xd8\x01\x10\xdc\x01\x08", "l\xff\xff\x10\x01\x20", "p\x40\x02",
    "l\x40\x01", NULL};
const char *const fuzz_words[] = {"\x3c\x01\x80", "\xd8\x01\x01", "\x14\x01\xff", "\x01\x02\x04\x08", NULL};

#define LEN   0x240
#define PE    0x40
#define TABLE 0x200

static void program(uint8_t *p)
{
    static const uint8_t table[] = {0x18, 0, 0, 0, 0, 2, 2, 0, 0x30, 0x82};
    memcpy(p, "MZ", 2);
    p[0x3c] = PE;
    memcpy(p + PE, "PE\0\0", 4);
    p[PE + 24] = 0x0b;
    p[PE + 25] = 2;
    p[PE + 24 + 144 + 1] = TABLE >> 8;
    p[PE + 24 + 148] = LEN - TABLE;
    memcpy(p + TABLE, table, sizeof table);
    p[TABLE + 24] = LEN - TABLE - 24;
}

/* Two lists: a digest, then two entries of a kind that nobody knows. */
static void lists(uint8_t *p)
{
    static const uint8_t sha256[] = {0x26, 0x16, 0xc4, 0xc1, 0x4c, 0x50, 0x92, 0x40, 0xac,
                                     0xa9, 0x41, 0xf9, 0x36, 0x93, 0x43, 0x28, 76,   0,
                                     0,    0,    0,    0,    0,    0,    48};
    memcpy(p, sha256, sizeof sha256);
    p[76 + 16] = 28 + 4 + 2 * 20;
    p[76 + 20] = 4;
    p[76 + 24] = 20;
}

static void within(const uint8_t *p, size_t n, const uint8_t *in, size_t len)
{
    if (p < in || n > len || p > in + len - n)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct reader r;
    struct pe_signatures pe;
    struct efi_signatures s;
    struct efi_signature one;
    uint8_t image[LEN] = {0};
    reader_init(&r, data, len);
    bool is_program = reader_u8(&r) == 'p';
    size_t left = reader_u16(&r), n = left < LEN ? left : LEN;
    is_program ? program(image) : lists(image);
    while (reader_left(&r) >= 3) {
        uint16_t at = reader_u16(&r);
        image[at % LEN] = reader_u8(&r);
    }
    if (!is_program && n > 148)
        n = 148;
    uint8_t *exact = malloc(n > 0 ? n : 1);
    if (!exact)
        abort();
    memcpy(exact, image, n);
    if (pe_signatures_read(exact, n, &pe) == ERR_OK)
        for (unsigned i = 0; i < pe.n; i++)
            within(pe.signature[i].p, pe.signature[i].len, exact, n);
    efi_signatures_begin(exact, n, &s);
    while (efi_signatures_next(&s, &one))
        within(one.p, one.len, exact, n);
    /* unchanged, both are as they should be */
    if (len == 3 && left >= LEN &&
        (is_program ? pe_signatures_read(exact, n, &pe) != ERR_OK || pe.n != 1 : !efi_signatures_whole(&s)))
        abort();
    free(exact);
    return 0;
}
