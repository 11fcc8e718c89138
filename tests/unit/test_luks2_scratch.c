/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What loading a LUKS2 header costs: memory by what its JSON holds, time in proportion to its length. */
#include "tests/unit/luks2_image.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define N(a) (sizeof(a) / sizeof(a)[0])

/* A header of that size whose JSON holds fill more bytes of unit, e.g. ",0": valid all the same. */
static void image_filled(struct image *i, size_t hdr_size, const char *unit, size_t fill)
{
    char json_size[24];
    snprintf(json_size, sizeof json_size, "%zu", hdr_size - LUKS2_BIN_HDR);
    static const char text[] = "{\"keyslots\":{},\"tokens\":{\"0\":{\"type\":\"x\",\"keyslots\":[],\"y\":[0@]"
                               "}},\"segments\":{\"0\":{"
                               "\"type\":\"linear\",\"offset\":\"0\",\"size\":\"dynamic\"}},\"digests\":{},"
                               "\"config\":{\"json_size\":\"J\","
                               "\"keyslots_size\":\"0\"}}";
    const char *head = image_edit(text, "J", json_size), *at = strchr(head, '@');
    size_t n = (size_t)(at - head), unit_len = strlen(unit), len = n;
    char *json = malloc(n + fill + strlen(at));
    assert_non_null(json);
    memcpy(json, head, n);
    for (; len + unit_len <= n + fill; len += unit_len)
        memcpy(json + len, unit, unit_len);
    memcpy(json + len, at + 1, strlen(at + 1));
    len += strlen(at + 1);
    assert_true(len < hdr_size - LUKS2_BIN_HDR);
    image_make(i, json, len, hdr_size);
    free(json);
}

/* Load with what it asks for, nothing written behind that. ret_need: bytes that sufficed */
static enum err load_as_asked(struct image *i, size_t len, struct luks2 *ret, size_t *ret_need)
{
    struct volume_io io = image_io(i);
    struct luks2_problem why = {.need = len};
    enum err e = ERR_FULL;
    /* with less than LUKS2_SCRATCH_USUAL not even the first answer is sure to be enough */
    for (unsigned tries = 0; e == ERR_FULL && tries < (len < LUKS2_SCRATCH_USUAL ? 3 : 2); tries++) {
        size_t n = why.need;
        uint8_t *scratch = malloc(n + 1);
        assert_non_null(scratch);
        scratch[n] = 0xa5;
        e = luks2_load_why(&io, scratch, n, &why, ret);
        assert_int_equal(scratch[n], 0xa5);
        assert_true(e != ERR_FULL || why.need > n);
        free(scratch);
        *ret_need = n;
    }
    return e;
}

static void test_scratch(void **state)
{
    (void)state;
    static struct luks2 l;
    struct image i;
    size_t need = 0;
    /* the densest JSON */
    image_filled(&i, LUKS2_HDR_MIN, ",0", 11900);
    struct volume_io io = image_io(&i);
    for (size_t len = 0; len < 70000; len += len < 60000 ? 4999 : 61)
        assert_int_equal(load_as_asked(&i, len, &l, &need), ERR_OK);
    assert_in_range(need, 150000, LUKS2_SCRATCH(LUKS2_HDR_MIN));
    /* what was asked for is about what is needed */
    uint8_t *scratch = malloc(need);
    assert_int_equal(luks2_load(&io, scratch, need, &l), ERR_OK);
    assert_int_equal(luks2_load(&io, scratch, need - 6000, &l), ERR_FULL);
    free(scratch);
    image_free(&i);
}

/* A large area costs what its JSON holds, not what it could hold. */
static void test_large_areas(void **state)
{
    (void)state;
    static struct luks2 l;
    for (size_t size = LUKS2_HDR_MIN; size <= LUKS2_HDR_MAX; size *= 2) {
        struct image i;
        size_t need;
        image_filled(&i, size, ",0", 5000);
        assert_int_equal(load_as_asked(&i, LUKS2_SCRATCH_USUAL, &l, &need), ERR_OK);
        assert_int_equal(need, LUKS2_SCRATCH_USUAL);
        assert_int_equal(l.hdr_size, size);
        assert_in_range(l.json_len, 5000, 5500);
        image_free(&i);
        /* full: of many tokens, of few */
        for (unsigned dense = 0; dense < 2; dense++) {
            static const char few[] =
                ",\"01234567890123456789012345678901234567890123456789012345678901234567890123\"";
            image_filled(&i, size, dense ? ",0" : few, size - LUKS2_BIN_HDR - 512);
            assert_int_equal(load_as_asked(&i, LUKS2_SCRATCH_USUAL, &l, &need), ERR_OK);
            assert_true(need <= LUKS2_SCRATCH(size) || need == LUKS2_SCRATCH_USUAL);
            assert_true(dense || need <= LUKS2_SCRATCH_USUAL + size + size / 2);
            image_free(&i);
        }
    }
}

/* 4 MiB of members, each as short as can be: linear, or this test would take hours. */
static void test_linear_time(void **state)
{
    (void)state;
    static const char *const units[] = {"\"\":0,", "\"\":{},", "\"\":[[]],"};
    for (size_t u = 0; u < N(units); u++) {
        struct image i;
        static struct luks2 l;
        size_t max = LUKS2_HDR_MAX - LUKS2_BIN_HDR - 1, len = 0, n = strlen(units[u]);
        char *json = malloc(max);
        assert_non_null(json);
        json[len++] = '{';
        while (len + n + 1 < max) {
            memcpy(json + len, units[u], n);
            len += n;
        }
        json[len - 1] = '}';
        image_make(&i, json, len, LUKS2_HDR_MAX);
        clock_t start = clock();
        assert_int_equal(image_load(&i, &l), ERR_FORMAT);
        assert_true((clock() - start) / CLOCKS_PER_SEC < 5);
        image_free(&i);
        free(json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scratch),
        cmocka_unit_test(test_large_areas),
        cmocka_unit_test(test_linear_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
