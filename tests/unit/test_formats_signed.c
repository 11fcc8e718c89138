/* SPDX-License-Identifier: GPL-3.0-or-later */
/* record, receipt, command and audit head: what is signed. */
#include "crypto/p256.h"
#include "formats/audit_head.h"
#include "formats/command.h"
#include "formats/receipt.h"
#include "formats/record.h"
#include "formats_vectors.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
/* after setjmp.h and stdarg.h, as cmocka wants */
#include <cmocka.h>

enum { DEVICE = 0x11, VAULT = 0x22, RECEIPT_KEY = 0x44, AUDIT_KEY = 0x55 };

static struct cr_p256_key *test_key(uint8_t fill)
{
    uint8_t scalar[CR_P256_SCALAR];
    struct cr_p256_key *key = NULL;
    memset(scalar, fill, sizeof scalar);
    assert_int_equal(cr_p256_from_scalar(scalar, &key), ERR_OK);
    return key;
}

static struct cr_p256_pub test_pub(uint8_t fill)
{
    struct cr_p256_key *key = test_key(fill);
    struct cr_p256_pub pub;
    assert_int_equal(cr_p256_public(key, &pub), ERR_OK);
    cr_p256_free(key);
    return pub;
}

/* One kind of signed message behind one face, so that truncation and bit flips are one test for all. */
static enum err read_record(const uint8_t *in, size_t len, const struct cr_p256_pub *pub)
{
    return record_verify(in, len, pub);
}

static enum err read_receipt(const uint8_t *in, size_t len, const struct cr_p256_pub *pub)
{
    struct receipt r;
    return receipt_decode(in, len, pub, &r);
}

static enum err read_command(const uint8_t *in, size_t len, const struct cr_p256_pub *pub)
{
    struct command c;
    return command_decode(in, len, pub, &c);
}

static enum err read_audit_head(const uint8_t *in, size_t len, const struct cr_p256_pub *pub)
{
    struct audit_head_word w;
    return audit_head_decode(in, len, pub, &w);
}

static const struct signed_row {
    const char *name;
    enum err (*read)(const uint8_t *in, size_t len, const struct cr_p256_pub *pub);
    const uint8_t *bytes;
    size_t len;
    uint8_t signer;
} signed_rows[] = {
    {"escrow record", read_record, vector_escrow, sizeof vector_escrow, DEVICE},
    {"event record", read_record, vector_event, sizeof vector_event, DEVICE},
    {"receipt", read_receipt, vector_receipt, sizeof vector_receipt, RECEIPT_KEY},
    {"command", read_command, vector_command, sizeof vector_command, RECEIPT_KEY},
    {"audit head", read_audit_head, vector_audit_head, sizeof vector_audit_head, AUDIT_KEY},
};
#define N_SIGNED (sizeof signed_rows / sizeof *signed_rows)

static void signer_only(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_SIGNED; i++) {
        const struct signed_row *row = &signed_rows[i];
        struct cr_p256_pub signer = test_pub(row->signer), other = test_pub(VAULT);
        if (row->read(row->bytes, row->len, &signer) != ERR_OK)
            fail_msg("%s: does not verify", row->name);
        if (row->read(row->bytes, row->len, &other) != ERR_AUTH)
            fail_msg("%s: verifies under another key", row->name);
    }
}

static void truncations(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_SIGNED; i++) {
        const struct signed_row *row = &signed_rows[i];
        struct cr_p256_pub signer = test_pub(row->signer);
        for (size_t len = 0; len <= row->len + 1; len++) {
            uint8_t *in = malloc(len + 1); /* of exact size for the sanitizer */
            assert_non_null(in);
            memset(in, 0, len + 1);
            memcpy(in, row->bytes, len < row->len ? len : row->len);
            enum err err = row->read(in, len, &signer);
            free(in);
            if (err != (len < row->len ? ERR_TRUNCATED : len == row->len ? ERR_OK : ERR_FORMAT))
                fail_msg("%s, %zu bytes: %s", row->name, len, err_name(err));
        }
    }
}

static void bit_flips(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_SIGNED; i++) {
        const struct signed_row *row = &signed_rows[i];
        struct cr_p256_pub signer = test_pub(row->signer);
        uint8_t in[RECEIPT_MAX];
        for (size_t bit = 0; bit < 8 * row->len;
             bit += 3) { /* 3 and 8 share no factor: each byte, most bits */
            memcpy(in, row->bytes, row->len);
            in[bit / 8] ^= (uint8_t)(1u << bit % 8);
            if (row->read(in, row->len, &signer) == ERR_OK)
                fail_msg("%s: bit %zu of byte %zu", row->name, bit % 8, bit / 8);
        }
    }
}

static void record_fields(void **state)
{
    (void)state;
    struct record r;
    uint8_t name[32];
    assert_int_equal(record_decode(vector_escrow, sizeof vector_escrow, &r), ERR_OK);
    assert_int_equal(r.kind, RECORD_ESCROW);
    assert_memory_equal(r.device, vector_device, 32);
    assert_int_equal(r.incarnation[15], 15);
    assert_int_equal(r.sequence, 1);
    assert_int_equal(r.time, VECTOR_TIME);
    assert_int_equal(r.envelope_len, sizeof vector_envelope);
    assert_memory_equal(r.envelope, vector_envelope, r.envelope_len);
    assert_string_equal(r.computer, "laptop-7");
    assert_string_equal(r.label, "gr\xc3\xb6\xc3\x9f"
                                 "e");
    assert_int_equal(record_name(vector_escrow, sizeof vector_escrow, name), ERR_OK);
    assert_int_equal(record_decode(vector_event, sizeof vector_event, &r), ERR_OK);
    assert_memory_equal(r.previous, name, 32);
    assert_int_equal(r.event, EVENT_ROTATED);
    assert_memory_equal(r.key_id.bytes, vector_key_id, 16);
    assert_memory_equal(r.other_key_id.bytes, vector_other_key_id, 16);
    assert_memory_equal(r.volume.bytes, vector_volume, 16);
    assert_int_equal(r.result, 1);
    assert_int_equal(r.reason, KH_REASON_TPM);
    assert_int_equal(r.event_time, VECTOR_TIME + 5);
}

static struct record sample(uint8_t kind)
{
    static uint8_t report[RECORD_BODY_MAX - 3];
    struct record r = {.kind = kind,
                       .sequence = 9,
                       .time = VECTOR_TIME,
                       .envelope = vector_envelope,
                       .envelope_len = sizeof vector_envelope,
                       .computer = "pc",
                       .event = EVENT_BOOT_RECOVERY,
                       .result = 1,
                       .reason = KH_REASON_USER,
                       .event_time = 5,
                       .report = report,
                       .report_len = sizeof report};
    memset(report, 'x', sizeof report);
    memcpy(r.device, vector_device, 32);
    memset(r.previous, 0x77, 32);
    return r;
}

static void record_round_trip(void **state)
{
    (void)state;
    struct cr_p256_key *key = test_key(DEVICE);
    struct cr_p256_pub pub = test_pub(DEVICE);
    for (uint8_t kind = RECORD_ESCROW; kind <= RECORD_EVENT; kind++) {
        struct record in = sample(kind), out;
        uint8_t bytes[RECORD_MAX];
        size_t len = 0;
        assert_int_equal(record_encode(&in, key, bytes, &len), ERR_OK);
        assert_int_equal(record_verify(bytes, len, &pub), ERR_OK);
        assert_int_equal(record_decode(bytes, len, &out), ERR_OK);
        assert_int_equal(out.kind, kind);
        assert_int_equal(out.sequence, 9);
        assert_memory_equal(out.previous, in.previous, 32);
        assert_int_equal(out.envelope_len, kind == RECORD_ESCROW ? in.envelope_len : 0);
        assert_int_equal(out.report_len, kind == RECORD_REPORT ? in.report_len : 0);
        assert_int_equal(out.event_time, kind == RECORD_EVENT ? 5 : 0);
    }
    cr_p256_free(key);
}

/* A key that lives elsewhere signs what is encoded without a signature. */
static void record_signed_elsewhere(void **state)
{
    (void)state;
    struct cr_p256_key *key = test_key(DEVICE);
    struct cr_p256_pub pub = test_pub(DEVICE);
    struct record in = sample(RECORD_EVENT), out;
    uint8_t bytes[RECORD_MAX], whole[RECORD_MAX];
    size_t len = 0, whole_len = 0;
    in.event = EVENT_IDENTITY;
    in.result = IDENTITY_TPM;
    memset(in.former, 0x5a, sizeof in.former);
    assert_int_equal(record_encode_unsigned(&in, bytes, &len), ERR_OK);
    assert_int_equal(record_encode(&in, key, whole, &whole_len), ERR_OK);
    assert_int_equal(whole_len, len + CR_P256_SIG);
    assert_memory_equal(bytes, whole, len);
    assert_int_equal(cr_p256_sign(key, bytes, len, bytes + len), ERR_OK);
    assert_int_equal(record_verify(bytes, len + CR_P256_SIG, &pub), ERR_OK);
    assert_int_equal(record_decode(bytes, len + CR_P256_SIG, &out), ERR_OK);
    assert_int_equal(out.event, EVENT_IDENTITY);
    assert_int_equal(out.result, IDENTITY_TPM);
    assert_memory_equal(out.former, in.former, sizeof in.former);
    cr_p256_free(key);
}

static void record_refusals(void **state)
{
    (void)state;
    struct cr_p256_key *key = test_key(DEVICE);
    struct record r;
    uint8_t bytes[RECORD_MAX];
    size_t len = 99;
    r = sample(RECORD_REPORT);
    r.report_len++;
    assert_int_equal(record_encode(&r, key, bytes, &len), ERR_FULL);
    r = sample(RECORD_REPORT);
    r.report_len = 65536 + 10; /* its low 16 bits alone would fit */
    assert_int_equal(record_encode(&r, key, bytes, &len), ERR_FULL);
    r = sample(RECORD_EVENT);
    r.sequence = 0;
    assert_int_equal(record_encode(&r, key, bytes, &len), ERR_RANGE);
    r = sample(5);
    assert_int_equal(record_encode(&r, key, bytes, &len), ERR_RANGE);
    assert_int_equal(len, 99);
    cr_p256_free(key);
}

/* A host name is whatever root set; it shall neither stop an escrow nor reach a terminal as it is. */
static void record_cleans_text(void **state)
{
    (void)state;
    struct cr_p256_key *key = test_key(DEVICE);
    struct record in = sample(RECORD_ESCROW), out;
    uint8_t bytes[RECORD_MAX];
    size_t len;
    strcpy(in.computer, "a\x1b[2J\xff"
                        "b");
    assert_int_equal(record_encode(&in, key, bytes, &len), ERR_OK);
    assert_int_equal(record_decode(bytes, len, &out), ERR_OK);
    assert_string_equal(out.computer, "a?[2J?b");
    uint8_t *text = memchr(bytes + RECORD_HEADER + 3 + sizeof vector_envelope, '?', 16);
    assert_non_null(text);
    *text = 0x1b; /* a device with code of its own; decoding does not look at the signature */
    assert_int_equal(record_decode(bytes, len, &out), ERR_OK);
    assert_string_equal(out.computer, "a?[2J?b");
    cr_p256_free(key);
}

/* Bodies, put into an otherwise good record without its signature being made anew. */
static const struct body_row {
    const char *name;
    uint8_t kind;
    const char *body;
    size_t len;
    enum err err;
} body_rows[] = {
#define BODY(text) text, sizeof text - 1
    {"event alone", 3, BODY("\20\1\0\1"), ERR_OK},
    {"unknown tag behind", 3, BODY("\20\1\0\1\310\2\0xx"), ERR_OK},
    {"unknown tag before", 3, BODY("\5\0\0\20\1\0\1"), ERR_OK},
    {"empty", 3, BODY(""), ERR_FORMAT},
    {"no event", 3, BODY("\25\1\0\1"), ERR_FORMAT},
    {"event 0", 3, BODY("\20\1\0\0"), ERR_FORMAT},
    {"event of two bytes", 3, BODY("\20\2\0\1\1"), ERR_FORMAT},
    {"event of no byte", 3, BODY("\20\0\0"), ERR_FORMAT},
    {"twice", 3, BODY("\20\1\0\1\20\1\0\1"), ERR_FORMAT},
    {"falling tags", 3, BODY("\25\1\0\1\20\1\0\1"), ERR_FORMAT},
    {"tag 0", 3, BODY("\0\0\0\20\1\0\1"), ERR_FORMAT},
    {"length beyond", 3, BODY("\20\2\0\1"), ERR_FORMAT},
    {"half a length", 3, BODY("\20\1\0\1\25\1"), ERR_FORMAT},
    {"short time", 3, BODY("\20\1\0\1\26\4\0\1\1\1\1"), ERR_FORMAT},
    {"escrow without envelope", 1, BODY("\2\1\0a"), ERR_FORMAT},
    {"empty computer name", 1, BODY("\1\1\0e\2\0\0"), ERR_FORMAT},
    {"escrow", 1, BODY("\1\1\0e\2\1\0a"), ERR_OK},
    {"report without text", 2, BODY("\20\1\0\1"), ERR_FORMAT},
    {"kind 0", 0, BODY("\20\1\0\1"), ERR_FORMAT},
    {"kind 4", 4, BODY("\20\1\0\1"), ERR_FORMAT},
#undef BODY
};

static void record_bodies(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof body_rows / sizeof *body_rows; i++) {
        const struct body_row *row = &body_rows[i];
        uint8_t in[RECORD_HEADER + 32 + CR_P256_SIG] = {0};
        struct record out;
        memcpy(in, vector_event, RECORD_HEADER);
        in[4] = row->kind;
        in[104] = (uint8_t)row->len;
        memcpy(in + RECORD_HEADER, row->body, row->len);
        enum err err = record_decode(in, RECORD_HEADER + row->len + CR_P256_SIG, &out);
        if (err != row->err)
            fail_msg("%s: %s", row->name, err_name(err));
    }
}

static void receipt_known(void **state)
{
    (void)state;
    struct cr_p256_pub pub = test_pub(RECEIPT_KEY);
    struct receipt r;
    uint8_t name[32];
    assert_int_equal(receipt_decode(vector_receipt, sizeof vector_receipt, &pub, &r), ERR_OK);
    assert_int_equal(r.class, RECEIPT_LOCAL);
    assert_int_equal(r.n, 2);
    assert_int_equal(r.time, VECTOR_TIME);
    assert_memory_equal(r.org.bytes, vector_org, 16);
    assert_memory_equal(r.device, vector_device, 32);
    assert_int_equal(record_name(vector_escrow, sizeof vector_escrow, name), ERR_OK);
    assert_true(receipt_covers(&r, name));
    name[31] ^= 1;
    assert_false(receipt_covers(&r, name));
    assert_int_equal(record_name(vector_event, sizeof vector_event, name), ERR_OK);
    assert_true(receipt_covers(&r, name));
}

static void receipt_sizes(void **state)
{
    (void)state;
    static uint8_t names[(RECEIPT_RECORDS + 1) * 32], out[RECEIPT_MAX];
    struct cr_p256_key *key = test_key(RECEIPT_KEY);
    struct cr_p256_pub pub = test_pub(RECEIPT_KEY);
    for (unsigned i = 0; i <= RECEIPT_RECORDS; i++) {
        names[32 * i] = (uint8_t)(i >> 8);
        names[32 * i + 1] = (uint8_t)i;
    }
    for (unsigned n = 0; n <= RECEIPT_RECORDS + 1; n += n == 2 ? RECEIPT_RECORDS - 3 : 1) {
        struct receipt in = {.class = RECEIPT_REPLICATED, .n = n, .names = names}, back;
        size_t len = 0;
        enum err err = receipt_encode(&in, key, out, &len);
        if (err != (n >= 1 && n <= RECEIPT_RECORDS ? ERR_OK : ERR_RANGE))
            fail_msg("%u names: %s", n, err_name(err));
        if (err != ERR_OK)
            continue;
        assert_int_equal(len, RECEIPT_HEADER + 32 * n + 64);
        assert_int_equal(receipt_decode(out, len, &pub, &back), ERR_OK);
        for (unsigned i = 0; i < n; i++)
            assert_true(receipt_covers(&back, names + 32 * i));
        if (n < RECEIPT_RECORDS)
            assert_false(receipt_covers(&back, names + 32 * n));
    }
    cr_p256_free(key);
}

static void receipt_refusals(void **state)
{
    (void)state;
    struct cr_p256_key *key = test_key(RECEIPT_KEY);
    uint8_t twice[64] = {0}, falling[64] = {1}, out[RECEIPT_MAX];
    size_t len;
    struct receipt r = {.class = RECEIPT_LOCAL, .n = 2, .names = twice};
    assert_int_equal(receipt_encode(&r, key, out, &len), ERR_RANGE);
    r.names = falling;
    assert_int_equal(receipt_encode(&r, key, out, &len), ERR_RANGE);
    r = (struct receipt){.class = 4, .n = 1, .names = twice};
    assert_int_equal(receipt_encode(&r, key, out, &len), ERR_RANGE);
    cr_p256_free(key);
}

static void commands(void **state)
{
    (void)state;
    struct cr_p256_key *key = test_key(RECEIPT_KEY);
    struct cr_p256_pub pub = test_pub(RECEIPT_KEY);
    struct command c, back;
    uint8_t out[COMMAND_LEN];
    assert_int_equal(command_decode(vector_command, sizeof vector_command, &pub, &c), ERR_OK);
    assert_int_equal(c.order, COMMAND_ROTATE);
    assert_memory_equal(c.org.bytes, vector_org, 16);
    assert_memory_equal(c.device, vector_device, 32);
    assert_memory_equal(c.key_id.bytes, vector_key_id, 16);
    assert_int_equal(c.time, VECTOR_TIME);
    memset(c.key, 0, sizeof c.key); /* the encoder names the key that signs */
    assert_int_equal(command_encode(&c, key, out), ERR_OK);
    assert_memory_equal(out, vector_command, COMMAND_LEN - 64);
    assert_int_equal(command_decode(out, sizeof out, &pub, &back), ERR_OK);
    c.order = 3;
    assert_int_equal(command_encode(&c, key, out), ERR_RANGE);
    /* an order of a later version, rightly signed */
    uint8_t later[COMMAND_LEN];
    memcpy(later, vector_command, sizeof later);
    later[4] = 3;
    assert_int_equal(cr_p256_sign(key, later, COMMAND_LEN - 64, later + COMMAND_LEN - 64), ERR_OK);
    assert_int_equal(command_decode(later, sizeof later, &pub, &back), ERR_UNSUPPORTED);
    cr_p256_free(key);
}

static void audit_heads(void **state)
{
    (void)state;
    struct cr_p256_key *key = test_key(AUDIT_KEY);
    struct cr_p256_pub pub = test_pub(AUDIT_KEY), other = test_pub(RECEIPT_KEY);
    struct audit_head_word w, back;
    uint8_t out[AUDIT_HEAD_LEN];
    assert_int_equal(audit_head_decode(vector_audit_head, sizeof vector_audit_head, &pub, &w), ERR_OK);
    assert_memory_equal(w.org.bytes, vector_org, 16);
    assert_int_equal(w.n, 57);
    assert_int_equal(w.time, VECTOR_TIME);
    assert_int_equal(w.chain[15], 15);
    assert_int_equal(audit_head_encode(&w, key, out), ERR_OK);
    assert_memory_equal(out, vector_audit_head, AUDIT_HEAD_LEN - 64);
    assert_int_equal(audit_head_decode(out, sizeof out, &pub, &back), ERR_OK);
    assert_int_equal(audit_head_decode(out, sizeof out, &other, &back), ERR_AUTH);
    out[3] = 2;
    assert_int_equal(audit_head_decode(out, sizeof out, &pub, &back), ERR_VERSION);
    cr_p256_free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signer_only),       cmocka_unit_test(truncations),
        cmocka_unit_test(bit_flips),         cmocka_unit_test(record_fields),
        cmocka_unit_test(record_round_trip), cmocka_unit_test(record_signed_elsewhere),
        cmocka_unit_test(record_refusals),   cmocka_unit_test(record_cleans_text),
        cmocka_unit_test(record_bodies),     cmocka_unit_test(receipt_known),
        cmocka_unit_test(receipt_sizes),     cmocka_unit_test(receipt_refusals),
        cmocka_unit_test(commands),          cmocka_unit_test(audit_heads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
