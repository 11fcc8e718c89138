/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/p256.h"
#include "formats/envelope.h"
#include "formats/handoff.h"
#include "formats_vectors.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
/* after setjmp.h and stdarg.h, as cmocka wants */
#include <cmocka.h>

static struct cr_p256_key *test_key(uint8_t fill)
{
    uint8_t scalar[CR_P256_SCALAR];
    struct cr_p256_key *key = NULL;
    memset(scalar, fill, sizeof scalar);
    assert_int_equal(cr_p256_from_scalar(scalar, &key), ERR_OK);
    return key;
}

static struct guid test_guid(const uint8_t bytes[static 16])
{
    struct guid g;
    memcpy(g.bytes, bytes, 16);
    return g;
}

static void decode_known(void **state)
{
    (void)state;
    struct envelope e;
    assert_int_equal(envelope_decode(vector_envelope, sizeof vector_envelope, &e), ERR_OK);
    assert_int_equal(e.kind, ENVELOPE_RECOVERY_PASSWORD);
    assert_memory_equal(e.key_id.bytes, vector_key_id, 16);
    assert_memory_equal(e.volume.bytes, vector_volume, 16);
    assert_memory_equal(e.device, vector_device, 32);
    assert_int_equal(e.time, VECTOR_TIME);
    assert_int_equal(e.n_recipients, 2);
    assert_int_equal(e.header_len, ENVELOPE_HEADER(2));
    assert_ptr_equal(e.seal[0], vector_envelope + 176);
    assert_ptr_equal(e.seal[1], vector_envelope + 176 + 97);
    assert_int_equal(ENVELOPE_LEN(2), 370);
}

/* An envelope made by another implementation of HPKE opens with either key, and with no other. */
static void open_known(void **state)
{
    (void)state;
    static const struct {
        uint8_t key;
        enum err err;
    } rows[] = {{0x22, ERR_OK}, {0x33, ERR_OK}, {0x44, ERR_NOT_FOUND}};
    struct guid org = test_guid(vector_org);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct cr_p256_key *key = test_key(rows[i].key);
        SECRET(got);
        enum err err = envelope_open(vector_envelope, sizeof vector_envelope, &org, key, &got);
        if (err != rows[i].err)
            fail_msg("key 0x%02x: %s", rows[i].key, err_name(err));
        assert_int_equal(got.len, err == ERR_OK ? RP_BYTES : 0);
        if (err == ERR_OK)
            assert_memory_equal(got.bytes, vector_password, RP_BYTES);
        cr_p256_free(key);
    }
}

static void other_organisation(void **state)
{
    (void)state;
    struct guid org = test_guid(vector_org);
    struct cr_p256_key *key = test_key(0x33);
    SECRET(got);
    org.bytes[0] ^= 1;
    assert_int_equal(envelope_open(vector_envelope, sizeof vector_envelope, &org, key, &got), ERR_AUTH);
    assert_int_equal(got.len, 0);
    cr_p256_free(key);
}

/* The seal for the other recipient may change unseen by this one; everything else may not. */
static void every_bit_flip(void **state)
{
    (void)state;
    struct guid org = test_guid(vector_org);
    struct cr_p256_key *key = test_key(0x22);
    uint8_t in[sizeof vector_envelope];
    for (size_t bit = 0; bit < 8 * sizeof in; bit++) {
        SECRET(got);
        memcpy(in, vector_envelope, sizeof in);
        in[bit / 8] ^= (uint8_t)(1u << bit % 8);
        enum err err = envelope_open(in, sizeof in, &org, key, &got);
        bool others = bit / 8 >= ENVELOPE_HEADER(2) + ENVELOPE_SEAL;
        if ((err == ERR_OK) != others || (err != ERR_OK && got.len != 0))
            fail_msg("bit %zu of byte %zu: %s", bit % 8, bit / 8, err_name(err));
    }
    cr_p256_free(key);
}

static void truncations(void **state)
{
    (void)state;
    for (size_t len = 0; len <= sizeof vector_envelope + 1; len++) {
        struct envelope e;
        uint8_t *in = malloc(len + 1); /* of exact size for the sanitizer */
        assert_non_null(in);
        memset(in, 0, len + 1);
        memcpy(in, vector_envelope, len < sizeof vector_envelope ? len : sizeof vector_envelope);
        enum err err = envelope_decode(in, len, &e);
        enum err want = len < sizeof vector_envelope    ? ERR_TRUNCATED
                        : len == sizeof vector_envelope ? ERR_OK
                                                        : ERR_FORMAT;
        free(in);
        if (err != want)
            fail_msg("%zu bytes: %s", len, err_name(err));
    }
}

static void bad_starts(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t off;
        uint8_t value;
        enum err err;
    } rows[] = {
        {"magic", 0, 'X', ERR_FORMAT},  {"version", 3, 2, ERR_VERSION}, {"suite", 4, 2, ERR_VERSION},
        {"kind 0", 5, 0, ERR_FORMAT},   {"kind 3", 5, 3, ERR_FORMAT},   {"no recipient", 6, 0, ERR_RANGE},
        {"five", 6, 5, ERR_RANGE},      {"too few", 6, 1, ERR_FORMAT},  {"too many", 6, 3, ERR_TRUNCATED},
        {"reserved", 7, 1, ERR_FORMAT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t in[sizeof vector_envelope];
        struct envelope e;
        memcpy(in, vector_envelope, sizeof in);
        in[rows[i].off] = rows[i].value;
        enum err err = envelope_decode(in, sizeof in, &e);
        if (err != rows[i].err)
            fail_msg("%s: %s", rows[i].name, err_name(err));
    }
}

static void seal_and_open(void **state)
{
    (void)state;
    struct envelope e = {.kind = ENVELOPE_RECOVERY_PASSWORD,
                         .key_id = test_guid(vector_key_id),
                         .volume = test_guid(vector_volume),
                         .time = 7};
    struct guid org = test_guid(vector_org);
    struct cr_p256_key *keys[ENVELOPE_RECIPIENTS];
    struct cr_p256_pub pubs[ENVELOPE_RECIPIENTS];
    for (unsigned i = 0; i < ENVELOPE_RECIPIENTS; i++) {
        keys[i] = test_key((uint8_t)(i + 1));
        assert_int_equal(cr_p256_public(keys[i], &pubs[i]), ERR_OK);
    }
    for (unsigned n = 1; n <= ENVELOPE_RECIPIENTS; n++) {
        uint8_t out[ENVELOPE_MAX], again[ENVELOPE_MAX];
        size_t len = 0;
        assert_int_equal(envelope_seal(&e, &org, pubs, n, vector_password, out, &len), ERR_OK);
        assert_int_equal(len, ENVELOPE_LEN(n));
        for (unsigned i = 0; i < n; i++) {
            SECRET(got);
            assert_int_equal(envelope_open(out, len, &org, keys[i], &got), ERR_OK);
            assert_memory_equal(got.bytes, vector_password, RP_BYTES);
        }
        assert_int_equal(envelope_seal(&e, &org, pubs, n, vector_password, again, &len), ERR_OK);
        assert_memory_not_equal(out + ENVELOPE_HEADER(n), again + ENVELOPE_HEADER(n), ENVELOPE_SEAL);
    }
    uint8_t out[ENVELOPE_MAX];
    size_t len = 99;
    assert_int_equal(envelope_seal(&e, &org, pubs, 0, vector_password, out, &len), ERR_RANGE);
    assert_int_equal(envelope_seal(&e, &org, pubs, ENVELOPE_RECIPIENTS + 1, vector_password, out, &len),
                     ERR_RANGE);
    assert_int_equal(len, 99);
    for (unsigned i = 0; i < ENVELOPE_RECIPIENTS; i++)
        cr_p256_free(keys[i]);
}

/* A sealer that commits to one password and seals another is found out. */
static void commitment_is_checked(void **state)
{
    (void)state;
    struct envelope e;
    uint8_t want[32], other[RP_BYTES];
    struct guid key_id = test_guid(vector_key_id), volume = test_guid(vector_volume);
    assert_int_equal(envelope_decode(vector_envelope, sizeof vector_envelope, &e), ERR_OK);
    assert_int_equal(envelope_commitment(vector_password, &key_id, &volume, want), ERR_OK);
    assert_memory_equal(e.commitment, want, 32);
    memcpy(other, vector_password, sizeof other);
    other[0] ^= 1;
    assert_int_equal(envelope_commitment(other, &key_id, &volume, want), ERR_OK);
    assert_memory_not_equal(e.commitment, want, 32);
    assert_int_equal(envelope_commitment(vector_password, &volume, &key_id, want), ERR_OK);
    assert_memory_not_equal(e.commitment, want, 32);
}

struct shares {
    uint8_t pad[HANDOFF_SHARE_LEN], share[HANDOFF_SHARE_LEN];
};

static struct shares make_shares(uint8_t nonce_fill)
{
    struct shares s = {{0}, {0}};
    struct guid volume = test_guid(vector_volume), key_id = test_guid(vector_key_id);
    uint8_t nonce[16], pad[RP_BYTES];
    memset(nonce, nonce_fill, sizeof nonce);
    memset(pad, 0xa5, sizeof pad);
    handoff_split(&volume, &key_id, nonce, pad, vector_password, s.pad, s.share);
    return s;
}

static enum err join(const uint8_t *pad, size_t pad_len, const uint8_t *share, size_t share_len)
{
    struct guid volume, key_id;
    SECRET(got);
    enum err err = handoff_join(pad, pad_len, share, share_len, &volume, &key_id, &got);
    if (err != ERR_OK) {
        assert_int_equal(got.len, 0);
        return err;
    }
    assert_memory_equal(volume.bytes, vector_volume, 16);
    assert_memory_equal(key_id.bytes, vector_key_id, 16);
    assert_int_equal(got.len, RP_BYTES);
    assert_memory_equal(got.bytes, vector_password, RP_BYTES);
    return err;
}

static void shares_join(void **state)
{
    (void)state;
    struct shares s = make_shares(1), other = make_shares(2);
    assert_memory_equal(s.pad, "KHS\1\1\0\0\0", 8);
    assert_memory_equal(s.share, "KHS\1\2\0\0\0", 8);
    assert_int_equal(s.share[56], 0xa5 ^ vector_password[0]);
    assert_int_equal(join(s.pad, sizeof s.pad, s.share, sizeof s.share), ERR_OK);
    assert_int_equal(join(s.share, sizeof s.share, s.pad, sizeof s.pad), ERR_FORMAT);
    assert_int_equal(join(s.pad, sizeof s.pad, s.pad, sizeof s.pad), ERR_FORMAT);
    assert_int_equal(join(s.pad, sizeof s.pad, other.share, sizeof s.share), ERR_CONFLICT);
    for (size_t len = 0; len < HANDOFF_SHARE_LEN; len++) {
        if (join(s.pad, len, s.share, sizeof s.share) != ERR_TRUNCATED ||
            join(s.pad, sizeof s.pad, s.share, len) != ERR_TRUNCATED)
            fail_msg("cut to %zu bytes", len);
    }
    for (size_t bit = 0; bit < 8 * 56; bit++) { /* header, nonce, volume, key ID */
        struct shares flipped = s;
        flipped.share[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (join(s.pad, sizeof s.pad, flipped.share, sizeof s.share) == ERR_OK)
            fail_msg("bit %zu", bit);
    }
}

static void reasons(void **state)
{
    (void)state;
    const struct handoff_reason in = {KH_REASON_TPM, 0x0102030405060708u};
    struct handoff_reason out = {0};
    uint8_t bytes[HANDOFF_REASON_LEN];
    handoff_reason_encode(&in, bytes);
    assert_memory_equal(bytes, "KHQ\1\3\0\0\0\10\7\6\5\4\3\2\1", 16);
    assert_int_equal(handoff_reason_decode(bytes, sizeof bytes, &out), ERR_OK);
    assert_int_equal(out.reason, in.reason);
    assert_int_equal(out.time, in.time);
    for (size_t len = 0; len < sizeof bytes; len++)
        assert_int_equal(handoff_reason_decode(bytes, len, &out), ERR_TRUNCATED);
    for (unsigned reason = 0; reason < 256; reason++) {
        bytes[4] = (uint8_t)reason;
        enum err want = reason >= KH_REASON_UNKNOWN && reason <= KH_REASON_HELPDESK ? ERR_OK : ERR_FORMAT;
        if (handoff_reason_decode(bytes, sizeof bytes, &out) != want)
            fail_msg("reason %u", reason);
    }
    bytes[3] = 2;
    assert_int_equal(handoff_reason_decode(bytes, sizeof bytes, &out), ERR_VERSION);
}

static void boot_events(void **state)
{
    (void)state;
    const struct boot_event in = {.key_id = test_guid(vector_key_id),
                                  .volume = test_guid(vector_volume),
                                  .time = VECTOR_TIME,
                                  .result = BOOT_OPENED,
                                  .reason = KH_REASON_PASSPHRASE,
                                  .attempts = 0x0203};
    struct boot_event out;
    uint8_t bytes[HANDOFF_EVENT_LEN];
    boot_event_encode(&in, bytes);
    assert_memory_equal(bytes, "KHV\1\1\2\3\2", 8);
    assert_memory_equal(bytes + 8, vector_key_id, 16);
    assert_memory_equal(bytes + 24, vector_volume, 16);
    assert_int_equal(boot_event_decode(bytes, sizeof bytes, &out), ERR_OK);
    assert_true(guid_equal(&out.key_id, &in.key_id) && guid_equal(&out.volume, &in.volume));
    assert_int_equal(out.time, in.time);
    assert_int_equal(out.attempts, in.attempts);
    for (size_t len = 0; len < sizeof bytes; len++)
        assert_int_equal(boot_event_decode(bytes, len, &out), ERR_TRUNCATED);
    bytes[63] = 1;
    assert_int_equal(boot_event_decode(bytes, sizeof bytes, &out), ERR_FORMAT);
    bytes[63] = 0;
    bytes[4] = 3;
    assert_int_equal(boot_event_decode(bytes, sizeof bytes, &out), ERR_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decode_known),       cmocka_unit_test(open_known),
        cmocka_unit_test(other_organisation), cmocka_unit_test(truncations),
        cmocka_unit_test(every_bit_flip),     cmocka_unit_test(bad_starts),
        cmocka_unit_test(seal_and_open),      cmocka_unit_test(commitment_is_checked),
        cmocka_unit_test(shares_join),        cmocka_unit_test(reasons),
        cmocka_unit_test(boot_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
