/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The ways into a BitLocker volume. Each try of a typed secret costs 2^20 rounds, so there are few of them.
 */
#include "crypto/sha256.h"
#include "formats/bitlocker_format.h"
#include "tests/bitlocker/bitlocker_image.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PASSPHRASE "correct horse"

static struct bi image;
static struct bitlocker_volume volume;
static struct bw_options options;
static uint8_t got[1 << 20];

/* One volume with every way in, three recovery passwords among them. */
static int set_up(void **state)
{
    (void)state;
    bw_defaults(&options);
    options.n_recovery = 3;
    options.passphrase = PASSPHRASE;
    options.startup_key = options.clear_key = options.unknown = true;
    options.other[options.n_others++] = 0x0100;
    bi_make(&image, &options);
    return 0;
}

static void load(void)
{
    assert_int_equal(bi_load(&image), ERR_OK);
    assert_int_equal(image.b.n_protectors, 3 + 3 + 1);
}

/* The protector that opened is the right one, and what it gave opens the content. */
static void check(unsigned which, unsigned want, const struct secret *vmk)
{
    struct guid id;
    bw_key_id(want, id.bytes);
    assert_true(which < image.b.n_protectors);
    assert_true(guid_equal(&image.b.protector[which].key_id, &id));
    assert_int_equal(vmk->len, BITLOCKER_VMK);
    uint8_t *shown = bw_shown(&options);
    assert_int_equal(bitlocker_open(&image.b, vmk, &volume, &image.problem), ERR_OK);
    assert_int_equal(bitlocker_read(&volume, 0, got, sizeof got), ERR_OK);
    assert_memory_equal(got, shown, sizeof got);
    bitlocker_wipe(&volume);
    free(shown);
}

static void test_every_recovery_password(void **state)
{
    (void)state;
    load();
    for (unsigned i = 0; i < 3; i++) {
        SECRET(vmk);
        unsigned which = 99;
        assert_int_equal(bitlocker_unlock_recovery(&image.b, options.recovery[i], &which, &vmk), ERR_OK);
        check(which, i, &vmk);
    }
    SECRET(vmk);
    unsigned which = 99;
    assert_int_equal(bitlocker_unlock_recovery(&image.b, options.recovery[3], &which, &vmk), ERR_AUTH);
    assert_int_equal(which, 99); /* untouched */
    assert_int_equal(vmk.len, 0);
}

static void test_one_protector(void **state)
{
    (void)state;
    SECRET(vmk);
    load();
    assert_int_equal(bitlocker_try_recovery(&image.b, 1, options.recovery[0], &vmk), ERR_AUTH);
    assert_int_equal(bitlocker_try_recovery(&image.b, 3, options.recovery[0], &vmk), ERR_NOT_FOUND);
    assert_int_equal(bitlocker_try_recovery(&image.b, 99, options.recovery[0], &vmk), ERR_NOT_FOUND);
    assert_int_equal(bitlocker_try_passphrase(&image.b, 0, PASSPHRASE, 13, &vmk), ERR_NOT_FOUND);
    assert_int_equal(vmk.len, 0);
    assert_int_equal(bitlocker_try_recovery(&image.b, 1, options.recovery[1], &vmk), ERR_OK);
    check(1, 1, &vmk);
}

static void test_shares(void **state)
{
    (void)state;
    SECRET(vmk);
    unsigned which;
    load();
    /* of two threads the first tries passwords 0 and 2, the second 1 */
    assert_int_equal(bitlocker_unlock_recovery_share(&image.b, options.recovery[2], 1, 2, &which, &vmk),
                     ERR_AUTH);
    assert_int_equal(bitlocker_unlock_recovery_share(&image.b, options.recovery[2], 0, 2, &which, &vmk),
                     ERR_OK);
    check(which, 2, &vmk);
    assert_int_equal(bitlocker_unlock_recovery_share(&image.b, options.recovery[2], 3, 4, &which, &vmk),
                     ERR_NOT_FOUND);
    assert_int_equal(bitlocker_unlock_recovery_share(&image.b, options.recovery[2], 2, 2, &which, &vmk),
                     ERR_RANGE);
    assert_int_equal(bitlocker_unlock_recovery_share(&image.b, options.recovery[2], 0, 0, &which, &vmk),
                     ERR_RANGE);
}

static void test_passphrase(void **state)
{
    (void)state;
    SECRET(vmk);
    unsigned which;
    static char longer[SECRET_MAX + 1];
    load();
    assert_int_equal(bitlocker_unlock_passphrase(&image.b, PASSPHRASE, 13, &which, &vmk), ERR_OK);
    check(which, BW_RECOVERY, &vmk);
    assert_int_equal(bitlocker_unlock_passphrase(&image.b, PASSPHRASE, 12, &which, &vmk), ERR_AUTH);
    assert_int_equal(bitlocker_unlock_passphrase(&image.b, "\xff", 1, &which, &vmk), ERR_RANGE);
    memset(longer, 'x', sizeof longer);
    assert_int_equal(bitlocker_unlock_passphrase(&image.b, longer, sizeof longer, &which, &vmk), ERR_RANGE);
}

/* Without SHA-NI protectors are tried one by one. */
static void test_scalar(void **state)
{
    (void)state;
    SECRET(vmk);
    unsigned which;
    enum cr_sha256_path before = cr_sha256_path();
    load();
    assert_int_equal(cr_sha256_force(CR_SHA256_SCALAR), ERR_OK);
    assert_int_equal(bitlocker_unlock_recovery(&image.b, options.recovery[1], &which, &vmk), ERR_OK);
    check(which, 1, &vmk);
    assert_int_equal(cr_sha256_force(before), ERR_OK);
}

static void test_startup_key(void **state)
{
    (void)state;
    SECRET(vmk);
    unsigned which;
    struct guid id, want;
    uint8_t bek[256];
    size_t len = bw_startup_key(bek);
    load();
    bw_key_id(BW_RECOVERY, want.bytes);
    assert_int_equal(bitlocker_startup_key_id(bek, len, &id, &image.problem), ERR_OK);
    assert_true(guid_equal(&id, &want));
    assert_int_equal(bitlocker_unlock_startup_key(&image.b, bek, len, &which, &vmk, &image.problem), ERR_OK);
    check(which, BW_RECOVERY + 1, &vmk); /* the ID of the passphrase: tried all the same */
    bek[len - 1] ^= 1;
    assert_int_equal(bitlocker_unlock_startup_key(&image.b, bek, len, &which, &vmk, &image.problem),
                     ERR_AUTH);
}

/* A startup key file cut at every byte, on the heap, so that one byte too far is seen by valgrind. */
static void test_startup_key_cut(void **state)
{
    (void)state;
    struct guid id;
    uint8_t bek[256];
    size_t len = bw_startup_key(bek);
    for (size_t n = 0; n < len; n++) {
        uint8_t *p = malloc(n + 1);
        memcpy(p, bek, n);
        image.problem.what = NULL;
        assert_int_equal(bitlocker_startup_key_id(p, n, &id, &image.problem), ERR_FORMAT);
        assert_non_null(image.problem.what);
        assert_true(image.problem.off <= n || n < 48);
        free(p);
    }
    static const struct {
        size_t off;
        uint8_t v;
    } rows[] = {{0, 255}, {8, 0}, {8, 255}, {48, 7}, {48, 255}, {52, 8}, {80, 7}, {84, 2}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        len = bw_startup_key(bek);
        bek[rows[i].off] = rows[i].v;
        if (bitlocker_startup_key_id(bek, len, &id, &image.problem) != ERR_FORMAT)
            fail_msg("byte %zu = %u", rows[i].off, rows[i].v);
    }
}

static void test_clear_key(void **state)
{
    (void)state;
    SECRET(vmk);
    unsigned which;
    load();
    assert_true(image.b.suspended);
    assert_int_equal(bitlocker_unlock_clear_key(&image.b, &which, &vmk), ERR_OK);
    check(which, BW_RECOVERY + 2, &vmk);
}

/* What is not there is told apart from what does not open. */
static void test_none_of_the_kind(void **state)
{
    (void)state;
    static struct bi other;
    struct bw_options o;
    SECRET(vmk);
    unsigned which;
    uint8_t bek[256];
    size_t len = bw_startup_key(bek);
    bw_defaults(&o);
    o.n_recovery = 0;
    bi_make(&other, &o);
    assert_int_equal(bi_load(&other), ERR_OK);
    assert_int_equal(bitlocker_unlock_recovery(&other.b, o.recovery[0], &which, &vmk), ERR_NOT_FOUND);
    assert_int_equal(bitlocker_unlock_passphrase(&other.b, "x", 1, &which, &vmk), ERR_NOT_FOUND);
    assert_int_equal(bitlocker_unlock_startup_key(&other.b, bek, len, &which, &vmk, &other.problem),
                     ERR_NOT_FOUND);
    assert_int_equal(bitlocker_unlock_clear_key(&other.b, &which, &vmk), ERR_NOT_FOUND);
    bi_free(&other);
}

/* The volume master key may lie within the stretch; the older block does not know the second password. */
static void test_nested_and_newest(void **state)
{
    (void)state;
    static struct bi other;
    struct bw_options o;
    SECRET(vmk);
    unsigned which;
    bw_defaults(&o);
    o.n_recovery = 2;
    o.nested = true;
    o.lacks[0] = o.lacks[2] = 1;
    bi_make(&other, &o);
    assert_int_equal(bi_load(&other), ERR_OK);
    assert_int_equal(other.b.used, 1);
    assert_int_equal(bitlocker_unlock_recovery(&other.b, o.recovery[1], &which, &vmk), ERR_OK);
    assert_int_equal(which, 1);
    assert_int_equal(bitlocker_open(&other.b, &vmk, &volume, &other.problem), ERR_OK);
    bitlocker_wipe(&volume);
    bi_free(&other);
}

/* What is damaged within the stretch of one protector: cryptsetup does not look there, and the next protector
 * is tried in any case. */
static void test_damaged_within(void **state)
{
    (void)state;
    static struct bi other;
    struct bw_options o;
    SECRET(vmk);
    unsigned which;
    bw_defaults(&o);
    o.n_recovery = 2;
    bi_make(&other, &o);
    for (unsigned i = 0; i < 3; i++) {
        uint64_t stretch = bi_entry(&other, BITLOCKER_TYPE_VMK, BITLOCKER_VALUE_VMK, 0) + 8 + 28 +
                           bw_block_off(i) - bw_block_off(0);
        assert_int_equal(other.p[stretch + 4], BITLOCKER_VALUE_STRETCH);
        bi_poke(&other, stretch + 8 + 20, 0xffff, 2); /* length of the first entry within */
        bw_seal_block(&o, other.p, i);
    }
    assert_int_equal(bi_load(&other), ERR_OK);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(bitlocker_unlock_recovery(&other.b, o.recovery[i], &which, &vmk), ERR_OK);
        assert_int_equal(which, i);
    }
    bi_free(&other);
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
        cmocka_unit_test(test_every_recovery_password),
        cmocka_unit_test(test_one_protector),
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_passphrase),
        cmocka_unit_test(test_scalar),
        cmocka_unit_test(test_startup_key),
        cmocka_unit_test(test_startup_key_cut),
        cmocka_unit_test(test_clear_key),
        cmocka_unit_test(test_none_of_the_kind),
        cmocka_unit_test(test_nested_and_newest),
        cmocka_unit_test(test_damaged_within),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
