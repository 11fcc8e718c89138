/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/argon2.h"
#include "tests/unit/test_crypto_json.h"
#include "tests/unit/test_crypto_vectors.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#define TAG 32

/* source: RFC 9106 sections 5.2, 5.3; 32 KiB, 3 passes, 4 lanes, with secret and associated data */
static const struct {
    const char *name;
    enum cr_argon2_type type;
    const char *tag;
} rfc[] = {
    {"RFC 9106, 5.2, Argon2i", CR_ARGON2I,
     "c814d9d1dc7f37aa13f0d77f2494bda1c8de6b016dd388d29952a4c4672b6ce8"},
    {"RFC 9106, 5.3, Argon2id", CR_ARGON2ID,
     "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659"},
};

static void test_rfc(void **state)
{
    (void)state;
    uint8_t password[32], salt[16], secret[8], data[12];
    memset(password, 1, sizeof password);
    memset(salt, 2, sizeof salt);
    memset(secret, 3, sizeof secret);
    memset(data, 4, sizeof data);
    const struct cr_part p = {password, sizeof password}, s = {salt, sizeof salt},
                         k = {secret, sizeof secret}, x = {data, sizeof data};
    for (size_t i = 0; i < sizeof rfc / sizeof rfc[0]; i++) {
        static struct bytes want;
        uint8_t got[TAG];
        bytes_from_hex(rfc[i].tag, &want);
        assert_int_equal(cr_argon2_with(rfc[i].type, &p, &s, &k, &x, 3, 32, 4, got, sizeof got), ERR_OK);
        assert_true(same_bytes(rfc[i].name, got, want.b, TAG));
    }
}

/* Without secret and data, as LUKS2 uses it. source: the reference implementation's test.c, version 0x13;
 * password "password", salt "somesalt" */
static const struct row {
    const char *name;
    enum cr_argon2_type type;
    uint32_t time, memory_kib, lanes;
    const char *tag;
} rows[] = {
    {"i, 64 MiB", CR_ARGON2I, 2, 65536, 1,
     "c1628832147d9720c5bd1cfd61367078729f6dfb6f8fea9ff98158e0d7816ed0"},
    {"i, 256 KiB", CR_ARGON2I, 2, 256, 1, "89e9029f4637b295beb027056a7336c414fadd43f6b208645281cb214a56452f"},
    {"i, 2 lanes", CR_ARGON2I, 2, 256, 2, "4ff5ce2769a1d7f4c8a491df09d41a9fbe90e5eb02155a13e4c01e20cd4eab61"},
    {"id, 64 MiB", CR_ARGON2ID, 2, 65536, 1,
     "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7"},
    {"id, 256 KiB", CR_ARGON2ID, 2, 256, 1,
     "9dfeb910e80bad0311fee20f9c0e2b12c17987b4cac90c2ef54d5b3021c68bfe"},
    {"id, 2 lanes", CR_ARGON2ID, 2, 256, 2,
     "6d093c501fd5999645e0ea3bf620d7b8be7fd2db59c20d9fff9539da2bf57037"},
};
#define TWO_LANES (&rows[5])

static enum err run(const struct row *r, uint8_t *ret)
{
    return cr_argon2(r->type, "password", 8, "somesalt", 8, r->time, r->memory_kib, r->lanes, ret, TAG);
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        static struct bytes want;
        uint8_t got[TAG];
        bytes_from_hex(rows[i].tag, &want);
        assert_int_equal(run(&rows[i], got), ERR_OK);
        assert_true(same_bytes(rows[i].name, got, want.b, TAG));
    }
}

/* Address space that is left to this process while f runs: what it has now, and more. */
static enum err in_little_memory(size_t more, const struct row *r, uint8_t *ret)
{
    struct rlimit before, now;
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%lu", &pages), 1);
    (void)fclose(f);
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    now = before;
    now.rlim_cur = pages * (unsigned long)sysconf(_SC_PAGESIZE) + more;
    assert_int_equal(setrlimit(RLIMIT_AS, &now), 0);
    enum err e = run(r, ret);
    assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
    return e;
}

/* Memory that cannot be had is no wrong password. */
static void test_nomem(void **state)
{
    (void)state;
    const struct row gigabyte = {"1 GiB", CR_ARGON2ID, 1, 1u << 20, 4, NULL};
    uint8_t got[TAG], want[TAG];
    memset(got, 0x5a, sizeof got);
    memset(want, 0x5a, sizeof want);
    assert_int_equal(in_little_memory(64u << 20, &gigabyte, got), ERR_NOMEM);
    assert_memory_equal(got, want, sizeof got);
}

/* Room for the algorithm's 256 KiB and not for a thread's stack: one thread does it all. Runs first, because
 * the C library keeps the stacks of threads that ended. */
static void test_no_threads(void **state)
{
    (void)state;
    static struct bytes want;
    uint8_t got[TAG];
    bytes_from_hex(TWO_LANES->tag, &want);
    assert_int_equal(in_little_memory(4u << 20, TWO_LANES, got), ERR_OK);
    assert_true(same_bytes("no threads", got, want.b, TAG));
}

static const struct {
    const char *name;
    int type;
    size_t salt_len;
    uint32_t time, memory_kib, lanes;
    size_t ret_len;
    enum err want;
} limits[] = {
    {"type 0", 0, 8, 1, 64, 1, TAG, ERR_UNSUPPORTED},
    {"Argon2d", 3, 8, 1, 64, 1, TAG, ERR_UNSUPPORTED},
    {"short salt", CR_ARGON2ID, 7, 1, 64, 1, TAG, ERR_RANGE},
    {"no pass", CR_ARGON2ID, 8, 0, 64, 1, TAG, ERR_RANGE},
    {"no lane", CR_ARGON2ID, 8, 1, 64, 0, TAG, ERR_RANGE},
    {"too many lanes", CR_ARGON2ID, 8, 1, 1u << 20, CR_ARGON2_LANES_MAX + 1, TAG, ERR_RANGE},
    {"less than 8 blocks a lane", CR_ARGON2ID, 8, 1, 31, 4, TAG, ERR_RANGE},
    {"too much memory", CR_ARGON2ID, 8, 1, CR_ARGON2_MEMORY_MAX_KIB + 1, 1, TAG, ERR_RANGE},
    {"all the memory there is", CR_ARGON2ID, 8, 1, UINT32_MAX, 1, TAG, ERR_RANGE},
    {"tag of 3 bytes", CR_ARGON2ID, 8, 1, 64, 1, 3, ERR_RANGE},
    {"tag of 2 GiB", CR_ARGON2ID, 8, 1, 64, 1, 2u << 30, ERR_RANGE},
    {"smallest", CR_ARGON2ID, 8, 1, 8, 1, 4, ERR_OK},
};

static void test_limits(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        uint8_t got[TAG];
        enum err e = cr_argon2((enum cr_argon2_type)limits[i].type, "p", 1, "somesalt", limits[i].salt_len,
                               limits[i].time, limits[i].memory_kib, limits[i].lanes, got, limits[i].ret_len);
        if (e != limits[i].want)
            fail_msg("%s: %s", limits[i].name, err_name(e));
    }
}

int crypto_argon2_vectors_run(void)
{
    const struct CMUnitTest vectors[] = {
        cmocka_unit_test(test_no_threads), cmocka_unit_test(test_rfc),    cmocka_unit_test(test_rows),
        cmocka_unit_test(test_nomem),      cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests_name("argon2", vectors, NULL, NULL);
}
