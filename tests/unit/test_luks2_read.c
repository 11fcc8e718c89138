/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The plaintext device over segments that are laid out here. Known answers: the openssl command decrypting
 * block by block (AES-ECB), modes and IVs by tests/luks2/lab.py, second_opinion(). */
#include "formats/base.h"
#include "formats/luks2_data.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define N(a) (sizeof(a) / sizeof(a)[0])
#define OFF  4096u /* of the data on the device */
#define LEN  16384u

static const struct {
    enum luks2_cipher cipher;
    uint32_t key_len, sector_size;
    uint64_t iv_offset;
    const char *sha256; /* of the plaintext */
} answers[] = {
    {LUKS2_XTS_PLAIN64, 32, 512, UINT64_C(0),
     "2c0c117fed879f7011313dca18ad4ffd0b846b86449ca2aae78a42ec0edbe924"},
    {LUKS2_XTS_PLAIN64, 32, 1024, UINT64_C(5),
     "e9d3a7ddbba74df62bbcf84e4f0100c193eadf42499c72a30f6497247e8abc78"},
    {LUKS2_XTS_PLAIN64, 32, 2048, UINT64_C(4294967293),
     "9546a8b7b596c7aa2e46301ac10b471c6d3d25b625f75dad5118efd107fa68d5"},
    {LUKS2_XTS_PLAIN64, 32, 4096, UINT64_C(18446744073709551607),
     "23b98aa4d1bfc846e5dac2cd0a9ecdfca2bed8b7d6a16b67cf814524def24d33"},
    {LUKS2_XTS_PLAIN64, 64, 512, UINT64_C(0),
     "4f85487d072b02d613f6c2b193c69bfa8e3a3d0fe873afaf4bf318150e5c77e6"},
    {LUKS2_XTS_PLAIN64, 64, 1024, UINT64_C(5),
     "6ba11a8862f49359c2a04040e0ba96ab7812e6aa10aca5ac9a0a65cf55f7be45"},
    {LUKS2_XTS_PLAIN64, 64, 2048, UINT64_C(4294967293),
     "df73791fc1e9158d7b1c2409f3c1461cc49b28eedeb43160f929f964bf1c72a2"},
    {LUKS2_XTS_PLAIN64, 64, 4096, UINT64_C(18446744073709551607),
     "57c10f33442078a9b37e58a67c728280f29935d41b199fc90813d905530dd075"},
    {LUKS2_XTS_PLAIN, 64, 512, UINT64_C(0),
     "4f85487d072b02d613f6c2b193c69bfa8e3a3d0fe873afaf4bf318150e5c77e6"},
    {LUKS2_XTS_PLAIN, 64, 1024, UINT64_C(5),
     "6ba11a8862f49359c2a04040e0ba96ab7812e6aa10aca5ac9a0a65cf55f7be45"},
    {LUKS2_XTS_PLAIN, 64, 2048, UINT64_C(4294967293),
     "9e6b00ce1892833a2c5fea8e0f3efdab1b321a60e31e5a2358f42d35ee68390f"},
    {LUKS2_XTS_PLAIN, 64, 4096, UINT64_C(18446744073709551607),
     "1a5a2cd6955bbc3741cd2af8af8841fa6fd0e2b4f7b60600830ba96781d713ba"},
    {LUKS2_CBC_ESSIV, 16, 512, UINT64_C(0),
     "a420c49c1bb0f960c7ad5758a39ebc7080e313bf97f4d9c3ed09b77b659ae6d3"},
    {LUKS2_CBC_ESSIV, 16, 1024, UINT64_C(5),
     "c4903e2cdd136a0ba1e679eb0c197c8b5c27496054accbd33f9455715cff3ce4"},
    {LUKS2_CBC_ESSIV, 16, 2048, UINT64_C(4294967293),
     "056cb06c8df03abb774d7d0f6aef33460d8d524d2aed70f4f88a7459077b334a"},
    {LUKS2_CBC_ESSIV, 16, 4096, UINT64_C(18446744073709551607),
     "cf5fa49f3e01f6e292053914902374b9bb6fb8c5edfccce12e132b5d2932e26f"},
    {LUKS2_CBC_ESSIV, 32, 512, UINT64_C(0),
     "b74143ff16f666be47f96cacede7952c45ad8d623ce2e315b5575bc5ee2021bd"},
    {LUKS2_CBC_ESSIV, 32, 1024, UINT64_C(5),
     "897db82a18b11a979c1f5e492558b050d1db6dc7a09af6086153f19ad218f8fa"},
    {LUKS2_CBC_ESSIV, 32, 2048, UINT64_C(4294967293),
     "25d45c036ab2d651bc7dff3afbdb5906a688867f0cc1ab9ff530be14deb14665"},
    {LUKS2_CBC_ESSIV, 32, 4096, UINT64_C(18446744073709551607),
     "cf305b8b6b6bc92ec950a15935d77f28c555db0eb1d6e29053e823871ae54622"},
    {LUKS2_CBC_PLAIN64, 32, 512, UINT64_C(0),
     "b5f594aa1b52949900cf6f1371bc12baa2b76b903a2cb171f7a79ad155790bfc"},
    {LUKS2_CBC_PLAIN64, 32, 1024, UINT64_C(5),
     "8bde64206844c23f7bec6280fc7d6a32a930de42e2d46dbd7f422037d888b9dc"},
    {LUKS2_CBC_PLAIN64, 32, 2048, UINT64_C(4294967293),
     "60244755e86408c839b1063e81dadc5835a57104dba0fa8d70ba31eab2c0e07c"},
    {LUKS2_CBC_PLAIN64, 32, 4096, UINT64_C(18446744073709551607),
     "2b00df5281d8464c9817c666f1fa7b8bf0502e0dba83ebc0b884c81dc044d608"},
    {LUKS2_CBC_PLAIN, 16, 512, UINT64_C(0),
     "bc4e87fc3fd674845454fd4256556c36cab4ccb97e950cc705137c3915680728"},
    {LUKS2_CBC_PLAIN, 16, 1024, UINT64_C(5),
     "0ed635a8de2b5109567653af3508d1ecde811efa99b12f016ea318084f927b40"},
    {LUKS2_CBC_PLAIN, 16, 2048, UINT64_C(4294967293),
     "aec3304f7920409ae97a4424361f7d2c178da451649bd804a4247d993fe833ac"},
    {LUKS2_CBC_PLAIN, 16, 4096, UINT64_C(18446744073709551607),
     "059e38d02f47e07c433d9b9dff7217322fabeb995a17b9a65297159b19f586a1"},
};

/* A device of OFF + LEN bytes, the data as the known answers have it. */
struct device {
    uint8_t p[OFF + LEN];
    unsigned reads;
    enum err fail;
};

static enum err read_device(void *ctx, uint64_t off, void *buf, size_t len)
{
    struct device *d = ctx;
    d->reads++;
    if (d->fail != ERR_OK)
        return d->fail;
    if (off > sizeof d->p || len > sizeof d->p - off)
        return ERR_TRUNCATED;
    memcpy(buf, d->p + off, len);
    return ERR_OK;
}

static struct device device;
static struct luks2 l;
static struct luks2_data d;
static struct luks2_problem why;
static const struct volume_io io = {.read = read_device, .ctx = &device};

static void key_of(size_t len, struct secret *ret)
{
    ret->len = len;
    for (size_t i = 0; i < len; i++)
        ret->bytes[i] = (uint8_t)i;
}

/* One segment to the end of the device; keyslot 3 opens its key. */
static void lay_out(enum luks2_cipher cipher, uint32_t sector_size, uint64_t iv_offset)
{
    memset(&l, 0, sizeof l);
    memset(&device, 0, sizeof device);
    for (unsigned i = 0; i < LEN; i++)
        device.p[OFF + i] = (uint8_t)(i * 7 + (i >> 8) * 13);
    l.n_segments = 1;
    l.n_digests = 1;
    l.slot[3].used = true;
    l.segment[0] = (struct luks2_segment){.crypt = true,
                                          .cipher = (uint8_t)cipher,
                                          .off = OFF,
                                          .size = LUKS2_TO_END,
                                          .iv_offset = iv_offset,
                                          .sector_size = sector_size};
}

static void start(size_t key_len)
{
    SECRET(key);
    key_of(key_len, &key);
    assert_int_equal(luks2_data_init(&l, &io, sizeof device.p, &why, &d), ERR_OK);
    assert_true(luks2_data_lacks_key(&d));
    assert_int_equal(luks2_data_key(&d, 3, &key), ERR_OK);
    assert_false(luks2_data_lacks_key(&d));
}

static void test_answers(void **state)
{
    (void)state;
    static uint8_t buf[LEN];
    for (size_t i = 0; i < N(answers); i++) {
        uint8_t hash[32];
        char hex[BASE16_LEN(32) + 1];
        lay_out(answers[i].cipher, answers[i].sector_size, answers[i].iv_offset);
        start(answers[i].key_len);
        assert_int_equal(d.size, LEN);
        assert_int_equal(d.sector_size, answers[i].sector_size);
        assert_int_equal(luks2_read(&d, 0, buf, LEN), ERR_OK);
        assert_int_equal(device.reads, 1); /* in one batch */
        assert_int_equal(cr_sha256(buf, LEN, hash), ERR_OK);
        base16_encode(hash, sizeof hash, hex);
        if (strcmp(hex, answers[i].sha256) != 0)
            fail_msg("row %zu: %s", i, hex);
        luks2_data_wipe(&d);
    }
}

static void test_any_range(void **state)
{
    (void)state;
    static uint8_t whole[LEN], part[LEN];
    lay_out(LUKS2_XTS_PLAIN64, 4096, 0);
    start(64);
    assert_int_equal(luks2_read(&d, 0, whole, LEN), ERR_OK);
    for (size_t off = 0; off <= LEN; off += 517)
        for (size_t len = 0; len <= LEN - off; len += len < 32 ? 1 : 1023) {
            memset(part, 0xa5, sizeof part);
            assert_int_equal(luks2_read(&d, off, part, len), ERR_OK);
            assert_memory_equal(part, whole + off, len);
            assert_true(len == LEN || part[len] == 0xa5);
        }
    assert_int_equal(luks2_read(&d, LEN, part, 1), ERR_RANGE);
    assert_int_equal(luks2_read(&d, LEN + 1, part, 0), ERR_RANGE);
    assert_int_equal(luks2_read(&d, UINT64_MAX, part, 2), ERR_RANGE);
    assert_int_equal(luks2_read(&d, 1, part, SIZE_MAX), ERR_RANGE);
    luks2_data_wipe(&d);
}

/* Of a failed read nothing remains, not even what was decrypted before it. */
static void test_failures(void **state)
{
    (void)state;
    static uint8_t buf[LEN], zeros[LEN];
    lay_out(LUKS2_XTS_PLAIN64, 512, 0);
    start(64);
    memset(buf, 0xa5, sizeof buf);
    device.fail = ERR_IO;
    assert_int_equal(luks2_read(&d, 100, buf, LEN - 100), ERR_IO);
    assert_memory_equal(buf, zeros, LEN - 100);
    device.fail = ERR_TRUNCATED; /* it got shorter meanwhile */
    assert_int_equal(luks2_read(&d, 0, buf, LEN), ERR_IO);
    luks2_data_wipe(&d);
    luks2_data_wipe(&d);
}

static void test_keys(void **state)
{
    (void)state;
    uint8_t buf[512];
    SECRET(key);
    lay_out(LUKS2_XTS_PLAIN64, 512, 0);
    l.slot[4] = (struct luks2_slot){.used = true, .digest = 1}; /* of a key that is no segment's */
    l.slot[5] = (struct luks2_slot){.used = true, .digest = -1};
    assert_int_equal(luks2_data_init(&l, &io, sizeof device.p, &why, &d), ERR_OK);
    assert_int_equal(luks2_read(&d, 0, buf, sizeof buf), ERR_NOT_FOUND);
    key_of(64, &key);
    assert_int_equal(luks2_data_key(&d, 2, &key), ERR_NOT_FOUND);
    assert_int_equal(luks2_data_key(&d, 4, &key), ERR_NOT_FOUND);
    assert_int_equal(luks2_data_key(&d, 5, &key), ERR_NOT_FOUND);
    assert_int_equal(luks2_data_key(&d, 32, &key), ERR_NOT_FOUND);
    for (size_t len = 0; len <= 128; len++) {
        key_of(len, &key);
        enum err e = luks2_data_key(&d, 3, &key);
        assert_int_equal(e, len == 32 || len == 64 ? ERR_OK : ERR_UNSUPPORTED);
    }
    assert_int_equal(luks2_read(&d, 0, buf, sizeof buf), ERR_OK);
    luks2_data_wipe(&d);
}

/* One segment changed, the device cut: what luks2_data_init() says. */
static const struct {
    const char *name;
    uint64_t off, size;
    uint32_t sector_size;
    uint64_t device_len;
    enum err want;
    uint64_t size_want;
} layouts[] = {
    {"to the end", OFF, LUKS2_TO_END, 512, OFF + LEN, ERR_OK, LEN},
    {"a part of a sector", OFF, LUKS2_TO_END, 4096, OFF + LEN - 1, ERR_OK, LEN - 4096},
    {"one sector", OFF, LUKS2_TO_END, 4096, OFF + 4096, ERR_OK, 4096},
    {"not one sector", OFF, LUKS2_TO_END, 4096, OFF + 4095, ERR_FORMAT, 0},
    {"no data", OFF, LUKS2_TO_END, 512, OFF, ERR_FORMAT, 0},
    {"ends before", OFF, LUKS2_TO_END, 512, OFF - 1, ERR_FORMAT, 0},
    {"empty device", OFF, LUKS2_TO_END, 512, 0, ERR_FORMAT, 0},
    {"fixed", OFF, 1024, 512, OFF + LEN, ERR_OK, 1024},
    {"fixed to the end", OFF, LEN, 512, OFF + LEN, ERR_OK, LEN},
    {"fixed beyond", OFF, LEN + 512, 512, OFF + LEN, ERR_FORMAT, 0},
    {"far away", INT64_MAX, 512, 512, OFF + LEN, ERR_FORMAT, 0},
    {"largest device", 0, LUKS2_TO_END, 512, UINT64_MAX, ERR_OK, UINT64_MAX - 511},
};

static void test_layouts(void **state)
{
    (void)state;
    for (size_t i = 0; i < N(layouts); i++) {
        lay_out(LUKS2_XTS_PLAIN64, layouts[i].sector_size, 0);
        l.segment[0].off = layouts[i].off;
        l.segment[0].size = layouts[i].size;
        memset(&why, 0, sizeof why);
        enum err e = luks2_data_init(&l, &io, layouts[i].device_len, &why, &d);
        if (e != layouts[i].want || (e == ERR_OK ? d.size != layouts[i].size_want : why.what == NULL))
            fail_msg("%s: %s", layouts[i].name, err_name(e));
        luks2_data_wipe(&d);
    }
}

static void test_refused(void **state)
{
    (void)state;
    lay_out(LUKS2_XTS_PLAIN64, 512, 0);
    strcpy(l.segment[0].cipher_name, "serpent-xts-plain64");
    l.segment[0].why_not = "words";
    assert_int_equal(luks2_data_init(&l, &io, sizeof device.p, &why, &d), ERR_UNSUPPORTED);
    assert_string_equal(why.what, "words");
    assert_string_equal(why.name, "serpent-xts-plain64");
    l.segment[0].why_not = NULL;
    l.reencrypting_offline = true;
    assert_int_equal(luks2_data_init(&l, &io, sizeof device.p, &why, &d), ERR_UNSUPPORTED);
    /* more kinds than are kept: each sector size is one */
    lay_out(LUKS2_XTS_PLAIN64, 512, 0);
    l.n_segments = LUKS2_DATA_CIPHERS + 1;
    for (unsigned i = 0; i < l.n_segments; i++) {
        l.segment[i] = l.segment[0];
        l.segment[i].size = 512;
        l.segment[i].digest = (int8_t)i;
    }
    assert_int_equal(luks2_data_init(&l, &io, sizeof device.p, &why, &d), ERR_UNSUPPORTED);
    l.n_segments--;
    assert_int_equal(luks2_data_init(&l, &io, sizeof device.p, &why, &d), ERR_OK);
    luks2_data_wipe(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers), cmocka_unit_test(test_any_range), cmocka_unit_test(test_failures),
        cmocka_unit_test(test_keys),    cmocka_unit_test(test_layouts),   cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
