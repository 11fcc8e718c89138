/* SPDX-License-Identifier: GPL-3.0-or-later */
/* BitLocker's metadata: what is read of them, which block counts, and what is refused. */
#include "tests/bitlocker/bitlocker_image.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct bi image;

static struct bw_options with_clear_key(void)
{
    struct bw_options o;
    bw_defaults(&o);
    o.n_recovery = 0;
    o.clear_key = true;
    return o;
}

static void expect(const char *name, enum err got, enum err want)
{
    if (got != want)
        fail_msg("%s: %s, not %s (%s at %llu)", name, err_name(got), err_name(want),
                 image.problem.what == NULL ? "-" : image.problem.what,
                 (unsigned long long)image.problem.off);
}

static void test_fields(void **state)
{
    (void)state;
    struct bw_options o = with_clear_key();
    o.startup_key = true;
    bi_make(&image, &o);
    expect("load", bi_load(&image), ERR_OK);
    const struct bitlocker *b = &image.b;
    struct guid id;
    bw_key_id(BW_RECOVERY, id.bytes);
    assert_int_equal(b->layout, BITLOCKER_SEVEN);
    assert_int_equal(b->state, BITLOCKER_ENCRYPTED);
    assert_int_equal(b->version, 2);
    assert_int_equal(b->method, BITLOCKER_AES128_XTS);
    assert_int_equal(b->key_bits, 128);
    assert_int_equal(b->sector_size, 512);
    assert_int_equal(b->size, 1 << 20);
    assert_int_equal(b->created, 1609459200); /* 2021-01-01 */
    assert_string_equal(b->description, "WRITER ä 🔑");
    assert_true(b->suspended && !b->paused && !b->encrypt_on_write);
    assert_int_equal(b->n_protectors, 2);
    assert_int_equal(b->protector[0].kind, BITLOCKER_STARTUP_KEY);
    assert_true(guid_equal(&b->protector[0].key_id, &id));
    assert_int_equal(b->protector[0].changed, 1609459200 + BW_RECOVERY);
    assert_string_equal(b->protector[0].description, "ExternalKey");
    assert_int_equal(b->protector[1].kind, BITLOCKER_CLEAR_KEY);
    for (unsigned i = 0; i < b->n_protectors; i++)
        assert_true(b->protector[i].opens_here);
    for (unsigned i = 0; i < BITLOCKER_BLOCKS; i++) {
        assert_int_equal(b->block[i].off, bw_block_off(i));
        assert_null(b->block[i].problem.what);
    }
}

static void test_protectors(void **state)
{
    (void)state;
    static const struct {
        uint16_t protection;
        uint8_t kind;
    } rows[] = {{0x0100, BITLOCKER_TPM},        {0x0300, BITLOCKER_TPM_STARTUP_KEY},
                {0x0500, BITLOCKER_TPM_PIN},    {0x0700, BITLOCKER_TPM_PIN_STARTUP_KEY},
                {0x1000, BITLOCKER_PUBLIC_KEY}, {0x4000, BITLOCKER_OTHER},
                {0x0800, BITLOCKER_RECOVERY}, /* without what it takes */
                {0x0000, BITLOCKER_CLEAR_KEY}};
    struct bw_options o = with_clear_key();
    o.clear_key = false;
    for (o.n_others = 0; o.n_others < sizeof rows / sizeof *rows; o.n_others++)
        o.other[o.n_others] = rows[o.n_others].protection;
    bi_make(&image, &o);
    expect("load", bi_load(&image), ERR_OK);
    assert_int_equal(image.b.n_protectors, o.n_others);
    for (unsigned i = 0; i < o.n_others; i++) {
        assert_int_equal(image.b.protector[i].protection, rows[i].protection);
        assert_int_equal(image.b.protector[i].kind, rows[i].kind);
        assert_false(image.b.protector[i].opens_here);
    }
}

static void test_states(void **state)
{
    (void)state;
    static const struct {
        uint16_t now, next;
        uint64_t written;
        uint8_t state;
        bool paused;
        uint64_t encrypted;
    } rows[] = {{4, 4, 1 << 20, BITLOCKER_ENCRYPTED, false, 1 << 20},
                {4, 4, 0, BITLOCKER_ENCRYPTED, false, 1 << 20},
                {4, 4, 1 << 22, BITLOCKER_ENCRYPTED, false, 1 << 20}, /* was made smaller */
                {2, 4, 0x90000, BITLOCKER_ENCRYPTING, false, 0x90000},
                {5, 4, 0x90000, BITLOCKER_ENCRYPTING, true, 0x90000},
                {2, 1, 0x90000, BITLOCKER_DECRYPTING, false, 0x90000},
                {5, 1, 0x90000, BITLOCKER_DECRYPTING, true, 0x90000},
                {5, 1, 0, BITLOCKER_DECRYPTING, true, 0},
                {1, 4, 0, BITLOCKER_ENCRYPTING, false, 0},
                {1, 1, 0, BITLOCKER_DECRYPTED, false, 0}};
    struct bw_options o = with_clear_key();
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        o.state_now = rows[i].now;
        o.state_next = rows[i].next;
        o.encrypted_size = rows[i].written;
        bi_make(&image, &o);
        expect("load", bi_load(&image), ERR_OK);
        assert_int_equal(image.b.state, rows[i].state);
        assert_int_equal(image.b.paused, rows[i].paused);
        assert_int_equal(image.b.encrypted_size, rows[i].encrypted);
    }
}

static void test_newest(void **state)
{
    (void)state;
    struct bw_options o = with_clear_key();
    for (unsigned newest = 0; newest < 3; newest++) {
        for (unsigned i = 0; i < 3; i++)
            o.lacks[i] = i == newest ? 0 : 1 + i;
        bi_make(&image, &o);
        expect("load", bi_load(&image), ERR_OK);
        assert_int_equal(image.b.used, newest);
    }
}

/* Wherever a block is damaged, another takes its place; where all are, that is told. */
static void test_damage(void **state)
{
    (void)state;
    static const unsigned at[] = {0, 8, 10, 64, 76, 96, 112, 300};
    struct bw_options o = with_clear_key();
    for (unsigned k = 0; k < sizeof at / sizeof *at; k++) {
        bi_make(&image, &o);
        for (unsigned i = 0; i < 3; i++) {
            image.p[bw_block_off(i) + at[k]] ^= 0x10;
            enum err last = at[k] == 10 ? ERR_VERSION : ERR_FORMAT;
            expect("load", bi_load(&image), i < 2 ? ERR_OK : last);
            if (i < 2) {
                assert_int_equal(image.b.used, i + 1);
                assert_non_null(image.b.block[i].problem.what);
                assert_in_range(image.b.block[i].problem.off, bw_block_off(i), bw_block_off(i) + 0xffff);
            }
        }
        assert_non_null(image.problem.what);
    }
}

static void test_unreadable(void **state)
{
    (void)state;
    struct bw_options o = with_clear_key();
    bi_make(&image, &o);
    image.bad_off = bw_block_off(0) + 100;
    image.bad_end = image.bad_off + 1;
    expect("first block", bi_load(&image), ERR_OK);
    assert_int_equal(image.b.used, 1);
    image.bad_end = image.size;
    expect("all blocks", bi_load(&image), ERR_IO);
    image.bad_off = 0;
    expect("boot sector", bi_load(&image), ERR_IO);
}

/* Only block 0 is left, and it ends at every byte. */
static void test_truncated(void **state)
{
    (void)state;
    struct bw_options o = with_clear_key();
    o.size = 1 << 20;
    bi_make(&image, &o);
    uint64_t whole = image.size, off = bw_block_off(0);
    size_t len = 16 * (image.p[off + 8] | (size_t)image.p[off + 9] << 8) + 8;
    for (uint64_t n = 0; n < off + len; n += n < 600 || n >= off ? 1 : 997) {
        image.size = n;
        enum err want = n < 512 ? ERR_NOT_FOUND : ERR_FORMAT;
        expect("cut", bi_load(&image), want);
    }
    image.size = off + len + 0x1000; /* but the first sectors lie behind it */
    expect("header cut", bi_load(&image), ERR_FORMAT);
    image.size = whole;
    expect("whole", bi_load(&image), ERR_OK);
}

/* The list of entries ends at every byte, with sums that are right. */
static void test_short_lists(void **state)
{
    (void)state;
    struct bw_options o = with_clear_key();
    o.unknown = o.startup_key = true;
    bi_make(&image, &o);
    uint64_t off = bw_block_off(0);
    unsigned len = image.p[off + 64] | (unsigned)image.p[off + 65] << 8, taken = 0;
    for (unsigned i = 1; i < 3; i++)
        image.p[bw_block_off(i)] = 0;
    for (unsigned n = 0; n <= len; n++) {
        bi_poke(&image, off + 64, n, 4);
        bw_seal_block(&o, image.p, 0);
        enum err e = bi_load(&image);
        if (e != ERR_OK && e != ERR_FORMAT)
            fail_msg("%u bytes: %s", n, err_name(e));
        taken += e == ERR_OK;
    }
    assert_in_range(taken, 6 * 8, 10 * 8); /* up to 7 bytes behind an entry are no entry */
}

static void test_malformed(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t off, v, n; /* in block 0 */
        enum err want;
        uint64_t at; /* of the problem, in the block */
    } rows[] = {{"length 0", 8, 0, 2, ERR_FORMAT, 8},
                {"length below the header", 8, 6, 2, ERR_FORMAT, 8},
                {"length beyond the area", 8, 0xffff, 2, ERR_FORMAT, 8},
                {"version 0", 10, 0, 2, ERR_VERSION, 10},
                {"version 3", 10, 3, 2, ERR_VERSION, 10},
                {"entries 0 bytes", 64, 0, 4, ERR_FORMAT, 64},
                {"entries beyond the block", 64, 0x10000, 4, ERR_FORMAT, 64},
                {"entries 4 GiB", 64, 0xffffffff, 4, ERR_FORMAT, 64},
                {"entries start early", 72, 47, 4, ERR_FORMAT, 72},
                {"entries start late", 72, 0x1000, 4, ERR_FORMAT, 72},
                {"entry of 7 bytes", 112, 7, 2, ERR_FORMAT, 112},
                {"entry of 64 KiB", 112, 0xffff, 2, ERR_FORMAT, 112},
                {"second entry", 112 + 32, 7, 2, ERR_FORMAT, 112 + 32}};
    struct bw_options o = with_clear_key();
    for (unsigned k = 0; k < sizeof rows / sizeof *rows; k++) {
        bi_make(&image, &o);
        for (unsigned i = 1; i < 3; i++)
            image.p[bw_block_off(i)] = 0;
        bi_poke(&image, bw_block_off(0) + rows[k].off, rows[k].v, rows[k].n);
        if (rows[k].off != 8)
            bw_seal_block(&o, image.p, 0);
        expect(rows[k].name, bi_load(&image), rows[k].want);
        assert_int_equal(image.problem.off, bw_block_off(0) + rows[k].at);
    }
}

/* Numbers in entries that lead astray. */
static void test_astray(void **state)
{
    (void)state;
    struct bw_options o = with_clear_key();
    bi_make(&image, &o);
    uint64_t entry = bi_entry(&image, 15, 15, 0) + 8;
    const uint64_t values[][2] = {{UINT64_MAX, 0x2000}, {1 << 20, 0x2000}, {0x58000, UINT64_MAX},
                                  {0x58001, 0x2000},    {0x58000, 0x2001}, {0x58000, 1 << 20}};
    for (unsigned k = 0; k < sizeof values / sizeof *values; k++) {
        for (unsigned i = 0; i < 3; i++) {
            bi_poke(&image, entry + i * 0x40000, values[k][0], 8);
            bi_poke(&image, entry + i * 0x40000 + 8, values[k][1], 8);
            bw_seal_block(&o, image.p, i);
        }
        expect("moved sectors", bi_load(&image), ERR_FORMAT);
        assert_int_equal(image.problem.off % 0x40000, 56);
    }
    /* an inner length spoils that protector only */
    bi_make(&image, &o);
    bi_poke(&image, bi_entry(&image, 2, 8, 0) + 36, 0xfff, 2);
    bw_seal_block(&o, image.p, 0);
    expect("protector", bi_load(&image), ERR_OK);
    assert_false(image.b.protector[0].opens_here);
}

static void test_not_bitlocker(void **state)
{
    (void)state;
    struct bw_options o = with_clear_key();
    bool is;
    bi_make(&image, &o);
    expect("it is", bi_load(&image), ERR_OK);
    assert_int_equal(bitlocker_probe(&image.b.io, &is), ERR_OK);
    assert_true(is);
    static const char *const names[] = {"NTFS    ", "MSWIN4.1", "        "};
    for (unsigned i = 0; i < 3; i++) {
        memcpy(image.p + 3, names[i], 8);
        expect(names[i], bi_load(&image), ERR_NOT_FOUND);
        assert_int_equal(bitlocker_probe(&image.b.io, &is), ERR_OK);
        assert_false(is);
    }
    memcpy(image.p + 3, "-FVE-FS-", 8);
    bi_poke(&image, 11, 520, 2);
    expect("sector size", bi_load(&image), ERR_UNSUPPORTED);
    assert_int_equal(image.problem.off, 11);
    bi_poke(&image, 11, 0, 2); /* exFAT leaves it 0 */
    expect("sector size 0", bi_load(&image), ERR_OK);
    assert_int_equal(image.b.sector_size, 512);
    static uint8_t small[1000];
    assert_int_equal(bitlocker_load(&image.b.io, image.size, small, sizeof small, &image.b, &image.problem),
                     ERR_FULL);
}

/* UTF-16 as it comes. */
static void test_descriptions(void **state)
{
    (void)state;
    static const struct {
        uint16_t text[8];
        const char *want;
    } rows[] = {{{'a', 0}, "a"},
                {{0}, ""},
                {{0xd83d, 'x', 0}, "?x"},                /* half a pair */
                {{0xdc00, 0}, "?"},                      /* the other half */
                {{'a', 7, 0x85, 0x1b, 'b', 0}, "a???b"}, /* controls */
                {{0x4e2d, 0xfeff, 0}, "中\xef\xbb\xbf"}};
    struct bw_options o = with_clear_key();
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        o.description = rows[i].text;
        bi_make(&image, &o);
        expect("load", bi_load(&image), ERR_OK);
        assert_string_equal(image.b.description, rows[i].want);
    }
    static uint16_t longer[400];
    for (unsigned i = 0; i < 399; i++)
        longer[i] = 0xe4;
    o.description = longer;
    bi_make(&image, &o);
    expect("load", bi_load(&image), ERR_OK);
    assert_int_equal(strlen(image.b.description), BITLOCKER_TEXT - 2); /* whole characters */
}

static int tear_down(void **state)
{
    (void)state;
    bi_free(&image);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),       cmocka_unit_test(test_protectors),
        cmocka_unit_test(test_states),       cmocka_unit_test(test_newest),
        cmocka_unit_test(test_damage),       cmocka_unit_test(test_unreadable),
        cmocka_unit_test(test_truncated),    cmocka_unit_test(test_short_lists),
        cmocka_unit_test(test_malformed),    cmocka_unit_test(test_astray),
        cmocka_unit_test(test_descriptions), cmocka_unit_test(test_not_bitlocker),
    };
    return cmocka_run_group_tests(tests, NULL, tear_down);
}
