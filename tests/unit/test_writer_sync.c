/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What gets a receipt: an enrolled device's own records, and key packages that are some. */
#include "formats/key_package.h"
#include "tests/unit/writer_fixture.h"
#include <string.h>

static void leave_it(struct signed_record *r)
{
    (void)r;
}
static void spoil_signature(struct signed_record *r)
{
    r->bytes[r->len - 1] ^= 1;
}
static void shorten(struct signed_record *r)
{
    r->len = 7;
}

static void test_only_an_enrolled_devices_own_record_is_receipted(void **state)
{
    struct device stranger;
    (void)state;
    make_device(&stranger);
    const struct {
        const char *name;
        const struct device *signs, *says;
        void (*change)(struct signed_record *r);
        uint64_t sequence;
        bool good;
    } rows[] = {{"as it should be", &device, &device, leave_it, 1, true},
                {"a spoilt signature", &device, &device, spoil_signature, 2, false},
                {"no record at all", &device, &device, shorten, 3, false},
                {"a device that never enrolled", &stranger, &stranger, leave_it, 4, false},
                {"a stranger's record", &stranger, &device, leave_it, 5, false},
                {"the last number that can be stored", &device, &device, leave_it, MSG_SEQUENCE_MAX, true},
                {"a number that cannot be stored", &device, &device, leave_it, UINT64_MAX, false}};
    for (uint64_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct signed_record r;
        struct batch b = {.w = &w};
        uint8_t type;
        make_report(rows[i].signs, rows[i].sequence, &r);
        rows[i].change(&r);
        put_sync(&b, i + 1, rows[i].says->d.id, &r);
        batch_finish(&b);
        bool got = receipted(i + 1, &r, &type);
        if (got != rows[i].good || type != (rows[i].good ? MSG_SYNCED : MSG_FAILED))
            fail_msg("%s: receipt %d, answer %u", rows[i].name, got, type);
    }
    cr_p256_free(stranger.key);
}

/* len: of the package that goes into the record; 0 all of it */
static void make_package(const struct device *d, uint64_t sequence, size_t len, struct signed_record *ret)
{
    struct envelope head = {.time = 1};
    struct key_package p = {.cipher = "aes-xts-plain64", .volume_key = {.len = 64}};
    uint8_t sealed[KEY_PACKAGE_MAX];
    size_t sealed_len;
    struct guid org = {{0}};
    assert_int_equal(key_package_seal(&head, &org, &receipt_pub, 1, &p, sealed, &sealed_len), ERR_OK);
    struct record r = {.kind = RECORD_KEY_PACKAGE, .sequence = sequence, .time = 1, .envelope = sealed};
    r.envelope_len = len ? len : sealed_len;
    memcpy(r.device, d->d.id, 32);
    assert_int_equal(record_encode(&r, d->key, ret->bytes, &ret->len), ERR_OK);
    assert_int_equal(record_name(ret->bytes, ret->len, ret->name), ERR_OK);
}

/* Key packages are kept with the escrows; what is none is refused. */
static void test_key_packages_are_kept(void **state)
{
    struct signed_record r;
    struct record header;
    uint8_t type;
    bool there = false;
    (void)state;
    for (uint64_t i = 1; i <= 2; i++) {
        struct batch b = {.w = &w};
        make_package(&device, i, i == 1 ? 0 : 100, &r);
        put_sync(&b, i, device.d.id, &r);
        batch_finish(&b);
        assert_int_equal(receipted(i, &r, &type), i == 1);
        assert_int_equal(record_decode(r.bytes, r.len, &header), ERR_OK);
        assert_int_equal(
            ops.has_sequence(w.store, STORE_RECOVERY, header.device, header.incarnation, i, &there), ERR_OK);
        assert_int_equal(there, i == 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WRITER_TEST(test_only_an_enrolled_devices_own_record_is_receipted),
        WRITER_TEST(test_key_packages_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
