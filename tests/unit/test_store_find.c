/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is found under a key, and what a device has brought: nobody's envelope takes another's place. */
#include "crypto/hash.h"
#include "tests/unit/store_fixture.h"
#include <stdio.h>
#include <string.h>

static unsigned found(struct store *s, const char *key, const char *device, struct msg_found *ret)
{
    struct msg_find f = {0};
    snprintf(f.key, sizeof f.key, "%s", key);
    snprintf(f.device, sizeof f.device, "%s", device);
    assert_int_equal(ops->find(s, &f, ret), ERR_OK);
    return ret->n;
}

static void test_find(void **state)
{
    struct store *s = *state;
    struct msg_found f;
    struct made m[5];
    struct store_record r[] = {make_record(1, 1, 1, 1), make_record(1, 1, 2, 2), make_record(2, 1, 3, 3),
                               make_record(2, 1, 4, 4), make_record(1, 1, 5, 5)};
    put_envelope(s, &r[0], "ABCDEF01-0000-4000-8000-000000000001", 1, 1, &m[0]);
    put_envelope(s, &r[1], "ABCDEF01-0000-4000-8000-000000000002", 1, 2, &m[1]);
    put_envelope(s, &r[2], "ABCDEF01-0000-4000-8000-000000000001", 1, 9,
                 &m[2]); /* 2 brings what it calls 1's */
    put_envelope(s, &r[3], "ABCDEF01-0000-4000-8000-000000000003", 7, 3,
                 &m[3]); /* a sighting; 7 never spoke */
    put_envelope(s, &r[4], "ABCDEF01-0000-4000-8000-000000000001", 1, 1,
                 &m[4]); /* sealed again, same password */
    const struct {
        const char *name, *key, *device;
        unsigned n;
    } rows[] = {{"eight digits", "ABCDEF01", "", 3},
                {"nobody", "ABCDEF02", "", 0},
                {"the whole ID: the owner's alone", "ABCDEF01-0000-4000-8000-000000000001", "", 1},
                {"a sighting is better than nothing", "ABCDEF01-0000-4000-8000-000000000003", "", 1},
                {"by device", "ABCDEF01", "0707", 1},
                {"nothing named", "", "", 3}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (found(s, rows[i].key, rows[i].device, &f) != rows[i].n)
            fail_msg("%s: %u instead of %u", rows[i].name, f.n, rows[i].n);
    assert_int_equal(found(s, "ABCDEF01-0000-4000-8000-000000000001", "", &f), 1);
    assert_memory_equal(f.item[0].envelope.p, m[4].bytes,
                        sizeof m[4].bytes); /* the newest, and not number 2's */
    assert_true(f.item[0].own);
    assert_string_equal(f.item[0].computer, "pc-1");
}

static void test_find_says_when_there_is_more(void **state)
{
    struct store *s = *state;
    struct msg_found f;
    struct made m;
    for (uint8_t i = 0; i <= MSG_CANDIDATES; i++) {
        char key[GUID_TEXT];
        struct store_record r = make_record(1, 1, i + 1u, i + 1);
        snprintf(key, sizeof key, "ABCDEF01-0000-4000-8000-0000000000%02X", i);
        put_envelope(s, &r, key, 1, i, &m);
    }
    assert_int_equal(found(s, "ABCDEF01", "", &f), MSG_CANDIDATES);
    assert_true(f.more);
}

/* Whatever another device sends under somebody's key ID, his envelope is in the list. */
static void test_nobody_is_crowded_out(void **state)
{
    struct store *s = *state;
    struct msg_found f;
    struct made m;
    static const char asked[] = "ABCDEF01-0000-4000-8000-000000000001";
    struct store_device owner = {.enrolled = 5}, thief = {.enrolled = 6};
    memset(owner.id, 1, sizeof owner.id);
    memset(thief.id, 2, sizeof thief.id);
    assert_int_equal(ops->device_put(s, &owner), ERR_OK);
    assert_int_equal(ops->device_put(s, &thief), ERR_OK);
    struct store_record r = make_record(1, 1, 1, 1);
    put_envelope(s, &r, asked, 1, 1, &m);
    for (uint8_t i = 0; i < 60; i++) { /* his own envelopes, with this key ID and with its beginning */
        char key[GUID_TEXT];
        r = make_record(2, 1, 10u + i, 10 + i);
        snprintf(key, sizeof key, "ABCDEF01-0000-4000-8000-0000000000%02X", i < 30 ? 1 : i);
        put_envelope(s, &r, key, 2, 10 + i, &m);
    }
    const struct {
        const char *name, *key, *device;
        unsigned n;
        bool more;
    } rows[] = {{"the whole ID", asked, "", 3, true},
                {"its beginning", "ABCDEF01", "", MSG_CANDIDATES, true},
                {"the owner's", asked, "0101", 1, false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unsigned n = found(s, rows[i].key, rows[i].device, &f);
        if (n != rows[i].n || f.more != rows[i].more || strcmp(f.item[0].computer, "pc-1") != 0)
            fail_msg("%s: %u keys, more %d, first %s", rows[i].name, n, f.more, f.item[0].computer);
    }
}

static void test_digest_counts_what_the_device_brought(void **state)
{
    struct store *s = *state;
    struct made m[4];
    uint8_t hashes[2][32], want[32], got[32], all[4][32];
    struct store_record r[] = {make_record(1, 1, 1, 1), make_record(1, 1, 2, 2), make_record(2, 1, 1, 3),
                               make_record(2, 1, 2, 4)};
    assert_int_equal(ops->digest(s, r[0].r.device, got), ERR_OK);
    assert_int_equal(cr_sha256(NULL, 0, want), ERR_OK);
    assert_memory_equal(got, want, 32);
    put_envelope(s, &r[0], "ABCDEF01-0000-4000-8000-000000000001", 1, 1, &m[0]);
    put_envelope(s, &r[1], "ABCDEF01-0000-4000-8000-000000000002", 1, 1, &m[1]);
    put_envelope(s, &r[2], "ABCDEF01-0000-4000-8000-000000000003", 2, 1, &m[2]);
    put_envelope(s, &r[3], "ABCDEF01-0000-4000-8000-000000000004", 1, 1, &m[3]); /* number 2 says: 1's */
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(cr_sha256(m[i].bytes, sizeof m[i].bytes, hashes[i]), ERR_OK);
    if (memcmp(hashes[0], hashes[1], 32) > 0) {
        memcpy(want, hashes[0], 32);
        memcpy(hashes[0], hashes[1], 32);
        memcpy(hashes[1], want, 32);
    }
    assert_int_equal(cr_sha256(hashes, sizeof hashes, want), ERR_OK);
    assert_int_equal(ops->digest(s, r[0].r.device, got), ERR_OK);
    assert_memory_equal(got, want, 32);
    put_envelope(s, &r[0], "ABCDEF01-0000-4000-8000-000000000001", 1, 1, &m[0]); /* told again */
    assert_int_equal(ops->digest(s, r[0].r.device, got), ERR_OK);
    assert_memory_equal(got, want, 32);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(cr_sha256(m[2 + i].bytes, sizeof m[i].bytes, all[i]), ERR_OK);
    if (memcmp(all[0], all[1], 32) > 0) {
        memcpy(all[2], all[0], 32);
        memmove(all[0], all[1], 32);
        memcpy(all[1], all[2], 32);
    }
    assert_int_equal(cr_sha256(all, 64, want), ERR_OK);
    assert_int_equal(ops->digest(s, r[2].r.device, got), ERR_OK); /* another's that it brought, too */
    assert_memory_equal(got, want, 32);
    for (size_t i = 0; i < 4; i++) { /* of the set it lacks what the digest does not count */
        uint8_t missing[1][32];
        unsigned lacks = 9;
        assert_int_equal(cr_sha256(m[i].bytes, sizeof m[i].bytes, got), ERR_OK);
        assert_int_equal(ops->missing(s, r[0].r.device, got, 1, missing, &lacks), ERR_OK);
        assert_int_equal(lacks, i < 2 ? 0 : 1);
        memcpy(all[i], got, 32);
    }
    unsigned n = 9; /* all in one statement, in the order of the question, onto the question itself */
    memcpy(want, all[3], 32);
    memcpy(all[3], all[0], 32);
    memcpy(all[0], want, 32);
    memcpy(want, all[2], 32);
    memcpy(got, all[0], 32);
    assert_int_equal(ops->missing(s, r[0].r.device, all[0], 4, all, &n), ERR_OK);
    assert_int_equal(n, 2);
    assert_memory_equal(all[0], got, 32);
    assert_memory_equal(all[1], want, 32);
    assert_int_equal(ops->missing(s, r[0].r.device, all[0], 0, all, &n), ERR_OK);
    assert_int_equal(n, 0);
}

static void test_boot_events(void **state)
{
    struct store *s = *state;
    struct msg_boots boots;
    struct msg_find f = {.key = "01000000"};
    bool is_new;
    struct store_record r = make_record(1, 1, 1, 1);
    r.r.event = EVENT_BOOT_RECOVERY;
    r.r.result = 1;
    r.r.reason = KH_REASON_TPM;
    r.r.event_time = 77;
    assert_int_equal(guid_decode("01000000-0000-4000-8000-000000000001", 36, &r.r.key_id), ERR_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ops->record_put(s, STORE_COMPLIANCE, &r, &is_new), ERR_OK);
        assert_int_equal(ops->event_put(s, &r), ERR_OK);
    }
    assert_int_equal(ops->boots(s, &f, &boots), ERR_OK);
    assert_int_equal(boots.n, 1);
    assert_int_equal(boots.item[0].time, 77);
    assert_int_equal(boots.item[0].reason, KH_REASON_TPM);
    f.key[0] = '2';
    assert_int_equal(ops->boots(s, &f, &boots), ERR_OK);
    assert_int_equal(boots.n, 0);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        STORE_TEST(test_find),
        STORE_TEST(test_find_says_when_there_is_more),
        STORE_TEST(test_nobody_is_crowded_out),
        STORE_TEST(test_digest_counts_what_the_device_brought),
        STORE_TEST(test_boot_events),
    };
    return run_suite(argc, argv, &(struct store_suite){.test = tests, .n = sizeof tests / sizeof tests[0]});
}
