/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Cursor, secrets and the error type: code of both worlds. */
#include "crypto/cursor.h"
#include "crypto/secret.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t data[] = {0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a,
                               0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x10, 0x11, 0x12, 0x13, 0x14,
                               0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d};

/* Read everything there is in data; the sum shows what came through. */
static enum err read_all(const uint8_t *p, size_t len, uint64_t *ret)
{
    struct reader r;
    uint8_t two[2];
    reader_init(&r, p, len);
    uint64_t v = reader_u8(&r);
    v += reader_u16(&r) + reader_u32(&r);
    v += reader_u64(&r) + reader_u16be(&r) + reader_u32be(&r);
    reader_bytes(&r, two, 2);
    reader_skip(&r, 1);
    reader_expect(&r, "\x19\x1a\x1b\x1c\x1d", 5);
    TRY(reader_end(&r));
    *ret = v + two[0] + two[1];
    return ERR_OK;
}

static void test_reader(void **state)
{
    (void)state;
    uint64_t v = 0;
    assert_int_equal(read_all(data, sizeof data, &v), ERR_OK);
    assert_true(v ==
                0x01 + 0x0302 + 0x07060504ull + 0x0f0e0d0c0b0a0908ull + 0x1011 + 0x12131415ull + 0x16 + 0x17);
}

/* Truncation at every byte; the copy is of exactly that size, so a tool sees any read behind it. */
static void test_reader_truncated(void **state)
{
    (void)state;
    for (size_t n = 0; n < sizeof data; n++) {
        uint64_t v = 77;
        uint8_t *copy = malloc(n + !n);
        assert_non_null(copy);
        memcpy(copy, data, n);
        assert_int_equal(read_all(copy, n, &v), ERR_TRUNCATED);
        assert_true(v == 77);
        free(copy);
    }
}

static void test_reader_u64be(void **state)
{
    (void)state;
    struct reader r;
    reader_init(&r, data, 8);
    assert_true(reader_u64be(&r) == 0x0102030405060708ull);
    assert_int_equal(reader_end(&r), ERR_OK);
}

/* The first failure stays, and what is read after it is zero. */
static void test_reader_sticks(void **state)
{
    (void)state;
    struct reader r;
    uint8_t buf[4] = {9, 9, 9, 9};
    reader_init(&r, data, 8);
    reader_expect(&r, "\x01\x03", 2);
    assert_int_equal(r.err, ERR_FORMAT);
    assert_int_equal(reader_u8(&r), 0);
    reader_bytes(&r, buf, 4);
    assert_memory_equal(buf, "\0\0\0\0", 4);
    reader_skip(&r, 100);
    reader_seek(&r, 0);
    assert_null(reader_take(&r, 1));
    assert_int_equal(reader_left(&r), 0);
    assert_int_equal(reader_end(&r), ERR_FORMAT);
}

static void test_reader_bounds(void **state)
{
    (void)state;
    struct reader r;
    reader_init(&r, data, 8);
    reader_seek(&r, 8);
    assert_int_equal(r.err, ERR_OK);
    assert_int_equal(reader_left(&r), 0);
    assert_non_null(reader_take(&r, 0));
    reader_seek(&r, 3);
    assert_int_equal(reader_left(&r), 5);
    assert_int_equal(reader_end(&r), ERR_FORMAT); /* bytes are left over */
    assert_null(reader_take(&r, SIZE_MAX));       /* off + len would wrap */
    assert_int_equal(r.err, ERR_TRUNCATED);
    reader_init(&r, data, 8);
    reader_seek(&r, 9);
    assert_int_equal(r.err, ERR_TRUNCATED);
}

static enum err write_all(uint8_t *p, size_t cap, size_t *ret_len)
{
    struct writer w;
    writer_init(&w, p, cap);
    writer_u8(&w, 1);
    writer_u16(&w, 0x0302);
    writer_u32(&w, 0x07060504);
    writer_u64(&w, 0x0f0e0d0c0b0a0908ull);
    writer_bytes(&w, data + 15, sizeof data - 15);
    return writer_end(&w, ret_len);
}

static void test_writer(void **state)
{
    (void)state;
    size_t len = 77;
    for (size_t cap = 0; cap < sizeof data; cap++) {
        uint8_t *p = malloc(cap + !cap);
        assert_non_null(p);
        assert_int_equal(write_all(p, cap, &len), ERR_FULL);
        assert_int_equal(len, 77);
        free(p);
    }
    uint8_t buf[sizeof data + 1] = {0};
    assert_int_equal(write_all(buf, sizeof buf, &len), ERR_OK);
    assert_int_equal(len, sizeof data);
    assert_memory_equal(buf, data, sizeof data);
    assert_int_equal(buf[sizeof data], 0);
}

static void test_secret(void **state)
{
    (void)state;
    struct secret s = {.len = 3, .bytes = "abc"}, zero = {.len = 0};
    s.bytes[SECRET_MAX - 1] = 0xff; /* beyond len is wiped as well */
    secret_wipe(&s);
    assert_memory_equal(&s, &zero, sizeof s);
}

static struct secret watched;
static void look(struct secret **s)
{
    watched = **s;
}

/* Cleanups run in reverse order of declaration, so the first declared looks at what the second left. */
static void test_scope(void **state)
{
    (void)state;
    struct secret zero = {.len = 0};
    memset(&watched, 0xff, sizeof watched);
    {
        struct secret *inner_at __attribute__((cleanup(look))) = NULL;
        SECRET(inner);
        inner_at = &inner;
        memcpy(inner.bytes, "hidden", 6);
        inner.len = 6;
    }
    assert_memory_equal(&watched, &zero, sizeof zero);
}

static void test_wipe(void **state)
{
    (void)state;
    uint8_t buf[40];
    memset(buf, 0xaa, sizeof buf);
    cr_wipe(buf + 1, 33);
    for (size_t i = 0; i < sizeof buf; i++)
        assert_int_equal(buf[i], i >= 1 && i < 34 ? 0 : 0xaa);
}

static void test_equal(void **state)
{
    (void)state;
    uint8_t a[33] = {0}, b[33] = {0};
    assert_true(cr_equal(a, b, sizeof a));
    assert_true(cr_equal(a, b, 0));
    for (size_t i = 0; i < sizeof a * 8; i++) {
        b[i / 8] ^= (uint8_t)(1 << i % 8);
        assert_false(cr_equal(a, b, sizeof a));
        b[i / 8] = 0;
    }
}

static void test_errors(void **state)
{
    (void)state;
    assert_string_equal(err_name(ERR_OK), "OK");
    assert_string_equal(err_name(ERR_AUTH), "AUTH");
    assert_string_equal(err_name((enum err)1000), "UNKNOWN");
    for (int e = ERR_OK; e <= ERR_INTERNAL; e++)
        assert_true(strlen(err_text((enum err)e)) > 3);
    assert_non_null(err_text((enum err) - 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reader),        cmocka_unit_test(test_reader_truncated),
        cmocka_unit_test(test_reader_u64be),  cmocka_unit_test(test_reader_sticks),
        cmocka_unit_test(test_reader_bounds), cmocka_unit_test(test_writer),
        cmocka_unit_test(test_secret),        cmocka_unit_test(test_scope),
        cmocka_unit_test(test_wipe),          cmocka_unit_test(test_equal),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
