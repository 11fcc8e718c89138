/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a person carries: outbox and answer. */
#include "crypto/hash.h"
#include "formats/outbox.h"
#include "formats/outbox_answer.h"
#include "outbox_vectors.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
/* after setjmp.h and stdarg.h, as cmocka wants */
#include <cmocka.h>

static enum err read_outbox(const uint8_t *in, size_t len)
{
    struct outbox o;
    return outbox_decode(in, len, &o);
}

static enum err read_answer(const uint8_t *in, size_t len)
{
    struct outbox_answer a;
    return outbox_answer_decode(in, len, &a);
}

static const struct {
    const char *name;
    enum err (*read)(const uint8_t *in, size_t len);
    enum err (*length)(const uint8_t *in, size_t len, size_t *ret);
    const uint8_t *bytes;
    size_t len;
    bool is_signed;
} rows[] = {
    {"outbox", read_outbox, outbox_length, vector_outbox, sizeof vector_outbox, true},
    {"answer", read_answer, outbox_answer_length, vector_outbox_answer, sizeof vector_outbox_answer, false},
    {"outbox 1", read_outbox, outbox_length, vector_outbox_1, sizeof vector_outbox_1, true},
    {"answer 1", read_answer, outbox_answer_length, vector_outbox_answer_1, sizeof vector_outbox_answer_1,
     false},
};
#define N_ROWS (sizeof rows / sizeof rows[0])

static bool is_hash_of(const uint8_t hash[static 32], const char *text)
{
    uint8_t want[32];
    assert_int_equal(cr_sha256(text, strlen(text), want), ERR_OK);
    return memcmp(hash, want, sizeof want) == 0;
}

static void outbox_says_all(const uint8_t *in, size_t len, uint32_t attempt)
{
    struct outbox o;
    struct record r;
    assert_int_equal(outbox_decode(in, len, &o), ERR_OK);
    assert_int_equal(o.attempt, attempt);
    assert_int_equal(o.n_proofs, attempt ? 1 : 0);
    assert_true(!attempt || memcmp(o.proof[0].p, "KHC\1", 4) == 0);
    assert_int_equal(o.org.bytes[0], 0x44);
    assert_int_equal(o.time, OUTBOX_TIME);
    assert_true(o.has_head && is_hash_of(o.audit_head, "head") && is_hash_of(o.envelopes, "envelopes"));
    assert_true(o.has_enrollment && is_hash_of(o.token, "the token"));
    assert_int_equal(o.enrollment_time, OUTBOX_TIME + 1);
    assert_int_equal(o.signature[63], 63);
    assert_string_equal(o.computer, "laptop-7");
    assert_memory_equal(o.csr.p, "-----BEGIN CERTIFICATE REQUEST", 30);
    assert_int_equal(o.set.len, 96);
    assert_int_equal(o.n, 2);
    assert_int_equal(record_decode(o.record[1].p, o.record[1].len, &r), ERR_OK);
    assert_int_equal(r.sequence, 2);
    assert_memory_equal(r.device, o.device, 32);
}

static void outbox_says(void **state)
{
    (void)state;
    outbox_says_all(vector_outbox, sizeof vector_outbox, OUTBOX_ATTEMPT);
    outbox_says_all(vector_outbox_1, sizeof vector_outbox_1, 0);
}

static void answer_says_all(const uint8_t *in, size_t len, uint32_t attempt)
{
    struct outbox_answer a;
    assert_int_equal(outbox_answer_decode(in, len, &a), ERR_OK);
    assert_int_equal(a.attempt, attempt);
    assert_int_equal(a.time, OUTBOX_TIME + 2);
    assert_true(a.has_known && !a.match && a.has_head);
    assert_int_equal(a.audit_length, 7);
    assert_true(is_hash_of(a.audit_hash, "audit") && is_hash_of(a.envelopes, "server"));
    assert_int_equal(a.incarnation[15], 15);
    assert_int_equal(a.sequence, 2);
    assert_memory_equal(a.certificate.p, "-----BEGIN CERTIFICATE-----", 27);
    assert_int_equal(a.n_receipts, 1);
    assert_memory_equal(a.receipt[0].p, "KHC\1", 4);
    assert_int_equal(a.n_commands, 1);
    assert_memory_equal(a.command[0].p, "KHO\1", 4);
    assert_true(a.missing.len == 32 && is_hash_of(a.missing.p, "\1"));
}

static void answer_says(void **state)
{
    (void)state;
    answer_says_all(vector_outbox_answer, sizeof vector_outbox_answer, OUTBOX_ATTEMPT);
    answer_says_all(vector_outbox_answer_1, sizeof vector_outbox_answer_1, 0);
}

static void truncations(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ROWS; i++)
        for (size_t len = 0; len <= rows[i].len + 1; len++) {
            uint8_t *in = calloc(1, len + 1); /* of exact size for the sanitizer */
            size_t whole = 0;
            assert_non_null(in);
            memcpy(in, rows[i].bytes, len < rows[i].len ? len : rows[i].len);
            enum err e = rows[i].read(in, len);
            if (e != (len < rows[i].len ? ERR_TRUNCATED : len == rows[i].len ? ERR_OK : ERR_FORMAT))
                fail_msg("%s, %zu bytes: %s", rows[i].name, len, err_name(e));
            assert_int_equal(rows[i].length(in, len, &whole), len < OUTBOX_HEAD ? ERR_TRUNCATED : ERR_OK);
            assert_int_equal(whole, len < OUTBOX_HEAD ? 0 : rows[i].len);
            free(in);
        }
}

static void bit_flips(void **state)
{
    (void)state;
    static uint8_t in[sizeof vector_outbox > sizeof vector_outbox_answer ? sizeof vector_outbox
                                                                         : sizeof vector_outbox_answer];
    for (size_t i = 0; i < N_ROWS; i++)
        for (size_t bit = 0; bit < 8 * rows[i].len; bit += 3) {
            memcpy(in, rows[i].bytes, rows[i].len);
            in[bit / 8] ^= (uint8_t)(1u << bit % 8);
            if (rows[i].read(in, rows[i].len) == ERR_OK && (rows[i].is_signed || bit / 8 < OUTBOX_HEAD))
                fail_msg("%s: bit %zu of byte %zu", rows[i].name, bit % 8, bit / 8);
        }
}

static void round_trips(void **state)
{
    (void)state;
    struct outbox o;
    struct outbox_answer a;
    static uint8_t buf[OUTBOX_MAX];
    size_t len;
    for (size_t i = 0; i < N_ROWS; i++) {
        if (rows[i].is_signed) {
            assert_int_equal(outbox_decode(rows[i].bytes, rows[i].len, &o), ERR_OK);
            assert_int_equal(outbox_encode_unsigned(&o, buf, &len), ERR_OK);
            assert_int_equal(len, rows[i].len - CR_P256_SIG);
        } else {
            assert_int_equal(outbox_answer_decode(rows[i].bytes, rows[i].len, &a), ERR_OK);
            assert_int_equal(outbox_answer_encode(&a, buf, &len), ERR_OK);
            assert_int_equal(len, rows[i].len);
        }
        assert_memory_equal(buf, rows[i].bytes, len);
    }
}

/* The largest there is goes through; more does not begin. */
static void bounds(void **state)
{
    (void)state;
    static uint8_t buf[OUTBOX_MAX], record[RECORD_MAX], set[OUTBOX_SET][32];
    struct outbox o, back;
    size_t len;
    assert_int_equal(outbox_decode(vector_outbox, sizeof vector_outbox, &o), ERR_OK);
    for (unsigned i = 0; i < OUTBOX_SET; i++)
        set[i][0] = (uint8_t)(i >> 8), set[i][1] = (uint8_t)i;
    memset(o.computer, 'x', RECORD_TEXT_MAX);
    o.computer[RECORD_TEXT_MAX] = 0;
    static uint8_t csr[OUTBOX_CSR_MAX];
    o.csr = (struct outbox_bytes){csr, sizeof csr};
    o.set = (struct outbox_bytes){set[0], sizeof set};
    o.n = OUTBOX_RECORDS;
    for (unsigned i = 0; i < o.n; i++)
        o.record[i] = (struct outbox_bytes){record, sizeof record};
    static uint8_t proof[RECEIPT_MAX];
    o.n_proofs = OUTBOX_PROOFS;
    for (unsigned i = 0; i < o.n_proofs; i++)
        o.proof[i] = (struct outbox_bytes){proof, sizeof proof};
    assert_int_equal(outbox_encode_unsigned(&o, buf, &len), ERR_OK);
    assert_int_equal(len, OUTBOX_MAX - CR_P256_SIG);
    assert_int_equal(outbox_decode(buf, OUTBOX_MAX, &back), ERR_AUTH); /* whole, but not signed */
    o.n++;
    assert_int_equal(outbox_encode_unsigned(&o, buf, &len), ERR_RANGE);
    o.n = 1;
    o.n_proofs++;
    assert_int_equal(outbox_encode_unsigned(&o, buf, &len), ERR_RANGE);
    o.n_proofs = 1;
    o.proof[0].len++;
    assert_int_equal(outbox_encode_unsigned(&o, buf, &len), ERR_RANGE);
    o.proof[0].len--;
    o.attempt = 0; /* version 1 has no place for proofs */
    assert_int_equal(outbox_encode_unsigned(&o, buf, &len), ERR_RANGE);
    o.n_proofs = 0;
    o.record[0].len++;
    assert_int_equal(outbox_encode_unsigned(&o, buf, &len), ERR_RANGE);
    o.record[0].len--;
    o.set.len -= 1;
    assert_int_equal(outbox_encode_unsigned(&o, buf, &len), ERR_RANGE);
    memset(set[1], 0, 32); /* not rising */
    o.set.len = 64;
    assert_int_equal(outbox_encode_unsigned(&o, buf, &len), ERR_RANGE);
    memcpy(buf, "KHX\3\0\0\0\0", 8);
    assert_int_equal(outbox_length(buf, 8, &len), ERR_VERSION);
    memcpy(buf, "KHX\1\xff\xff\xff\x7f", 8);
    assert_int_equal(outbox_length(buf, 8, &len), ERR_RANGE);
    memcpy(buf, "KHY\1\xff\xff\xff\x7f", 8);
    assert_int_equal(outbox_length(buf, 8, &len), ERR_FORMAT);
    assert_int_equal(outbox_answer_length(buf, 8, &len), ERR_RANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outbox_says), cmocka_unit_test(answer_says), cmocka_unit_test(truncations),
        cmocka_unit_test(bit_flips),   cmocka_unit_test(round_trips), cmocka_unit_test(bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
