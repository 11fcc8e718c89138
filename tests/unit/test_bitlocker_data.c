/* SPDX-License-Identifier: GPL-3.0-or-later */
/* BitLocker's content: every layout, method and state, byte for byte what Windows would show. */
#include "tests/bitlocker/bitlocker_image.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct bi image;
static struct bitlocker_volume volume;
static uint8_t got[2 << 20];

static struct bw_options with_clear_key(void)
{
    struct bw_options o;
    bw_defaults(&o);
    o.n_recovery = 0;
    o.clear_key = true;
    return o;
}

static void expect(const char *name, enum err e, enum err want)
{
    if (e != want)
        fail_msg("%s: %s, not %s (%s at %llu)", name, err_name(e), err_name(want),
                 image.problem.what == NULL ? "-" : image.problem.what,
                 (unsigned long long)image.problem.off);
}

static enum err open_image(void)
{
    SECRET(vmk);
    unsigned which;
    bitlocker_wipe(&volume);
    TRY(bi_load(&image));
    TRY(bitlocker_unlock_clear_key(&image.b, &which, &vmk));
    return bitlocker_open(&image.b, &vmk, &volume, &image.problem);
}

static void compare(const char *name, const uint8_t *want, uint64_t off, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (got[i] != want[off + i])
            fail_msg("%s: byte %llu is %02x, not %02x", name, (unsigned long long)(off + i), got[i],
                     want[off + i]);
}

/* All at once, then in steps that fall anywhere. */
static void check_content(const char *name, const struct bw_options *o)
{
    uint8_t *want = bw_shown(o);
    size_t sector = o->sector_size;
    assert_int_equal(image.b.size, o->size);
    expect(name, bitlocker_read(&volume, 0, got, o->size), ERR_OK);
    compare(name, want, 0, o->size);
    for (uint64_t off = 0, n = 1; off < o->size; off += n, n = (n / sector * 7 % 11 + 1) * sector) {
        n = n < sector ? sector : n;
        n = n < o->size - off ? n : o->size - off;
        expect(name, bitlocker_read(&volume, off, got, n), ERR_OK);
        compare(name, want, off, n);
    }
    free(want);
}

/* The extents cover the volume; what they call zeros is zeros, what they call clear stands on the disk. */
static void check_extents(const char *name, const struct bw_options *o)
{
    uint8_t *want = bw_shown(o);
    uint64_t len, n_zeros = 0;
    for (uint64_t off = 0; off < o->size; off += len) {
        enum bitlocker_extent kind;
        expect(name, bitlocker_extent_at(&volume, off, &kind, &len), ERR_OK);
        assert_true(len > 0 && len % o->sector_size == 0 && len <= o->size - off);
        if (kind == BITLOCKER_ZEROS)
            n_zeros += len;
        for (uint64_t i = 0; kind == BITLOCKER_ZEROS && i < len; i++)
            assert_int_equal(want[off + i], 0);
    }
    assert_true(n_zeros >= 3 * (o->layout == BW_VISTA ? 0x4000 : 0x10000));
    free(want);
}

struct row {
    const char *name;
    void (*change)(struct bw_options *o);
};

static void vista(struct bw_options *o)
{
    o->layout = BW_VISTA;
    o->method = 0x8000;
    o->header_entry = false;
    o->seal = false;
}
static void vista_1k(struct bw_options *o)
{
    vista(o);
    o->cluster_size = 1024;
}
static void vista_2k(struct bw_options *o)
{
    vista(o);
    o->cluster_size = 2048;
}
static void vista_64k(struct bw_options *o)
{
    vista(o);
    o->cluster_size = 65536; /* 128 sectors */
}
static void vista_spare(struct bw_options *o)
{
    vista(o);
    o->method = 0x8001;
    o->spare = true;
}
static void to_go(struct bw_options *o)
{
    o->layout = BW_TO_GO;
    o->header_len = 0x8000;
}
static void big_header(struct bw_options *o)
{
    o->header_len = 0xa000;
}
static void small_header(struct bw_options *o)
{
    o->header_len = 512;
}
static void header_by_entry(struct bw_options *o)
{
    o->header_field = false;
}
static void header_by_field(struct bw_options *o)
{
    o->header_entry = false;
}
static void not_sealed(struct bw_options *o)
{
    o->seal = false;
}
static void unknown(struct bw_options *o)
{
    o->unknown = true;
}
static void encrypting(struct bw_options *o)
{
    o->state_now = 5;
    o->encrypted_size = 0x5a000; /* within the moved sectors */
}
static void decrypting(struct bw_options *o)
{
    o->state_now = 2;
    o->state_next = 1;
    o->encrypted_size = 0x9a000;
    o->log_len = 0x3000;
}
static void hardly(struct bw_options *o)
{
    o->state_now = 5;
    o->encrypted_size = 0x8000;
}
static void on_write(struct bw_options *o)
{
    o->on_write = true;
}
static void on_write_4k(struct bw_options *o)
{
    o->on_write = true;
    o->sector_size = 4096;
}
static void sectors_1k(struct bw_options *o)
{
    o->sector_size = 1024;
}
static void sectors_2k(struct bw_options *o)
{
    o->sector_size = 2048;
    o->method = 0x8002;
}

static void test_layouts(void **state)
{
    (void)state;
    static const struct row rows[] = {{"vista", vista},
                                      {"vista, 1 KiB clusters", vista_1k},
                                      {"vista, 2 KiB clusters", vista_2k},
                                      {"vista, 64 KiB clusters", vista_64k},
                                      {"vista, spare boot sector", vista_spare},
                                      {"to go", to_go},
                                      {"40 KiB moved", big_header},
                                      {"one sector moved", small_header},
                                      {"moved sectors in the entry only", header_by_entry},
                                      {"moved sectors in the header only", header_by_field},
                                      {"not sealed", not_sealed},
                                      {"unknown entries", unknown},
                                      {"encrypting", encrypting},
                                      {"decrypting, not at rest", decrypting},
                                      {"hardly encrypted", hardly},
                                      {"encrypt-on-write", on_write},
                                      {"encrypt-on-write, 4 KiB sectors", on_write_4k},
                                      {"1 KiB sectors", sectors_1k},
                                      {"2 KiB sectors", sectors_2k}};
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct bw_options o = with_clear_key();
        rows[i].change(&o);
        bi_make(&image, &o);
        expect(rows[i].name, open_image(), ERR_OK);
        check_content(rows[i].name, &o);
        check_extents(rows[i].name, &o);
    }
}

static void test_methods(void **state)
{
    (void)state;
    for (unsigned method = 0x8000; method <= 0x8005; method++)
        for (uint32_t sector = 512; sector <= 4096; sector *= 8) {
            struct bw_options o = with_clear_key();
            o.method = (uint16_t)method;
            o.sector_size = sector;
            bi_make(&image, &o);
            expect(bitlocker_method_name((uint16_t)method), open_image(), ERR_OK);
            assert_int_equal(volume.method, method);
            assert_int_equal(image.b.key_bits, method % 2 == 0 ? 128 : 256);
            check_content(bitlocker_method_name((uint16_t)method), &o);
        }
}

/* The volume ends within a sector; the rest of it is not shown. */
static void test_odd_size(void **state)
{
    (void)state;
    struct bw_options o = with_clear_key();
    bi_make(&image, &o);
    image.size -= 100;
    expect("odd", open_image(), ERR_OK);
    assert_int_equal(image.b.size, o.size - 512);
    uint8_t *want = bw_shown(&o);
    expect("odd", bitlocker_read(&volume, 0, got, o.size - 512), ERR_OK);
    compare("odd", want, 0, o.size - 512);
    free(want);
}

/* Around exFAT the boot sector does not tell the size of a sector. */
static void test_no_sector_size(void **state)
{
    (void)state;
    struct bw_options o = with_clear_key();
    for (o.sector_size = 512; o.sector_size <= 4096; o.sector_size *= 8) {
        bi_make(&image, &o);
        bi_poke(&image, 11, 0, 3);
        expect("no sector size", open_image(), ERR_OK);
        assert_int_equal(image.b.sector_size, o.sector_size);
        check_content("no sector size", &o);
    }
}

/* Nor does it count what a block said of it that turned out to be broken. */
static void test_no_sector_size_twice(void **state)
{
    (void)state;
    struct bw_options o = with_clear_key();
    bi_make(&image, &o);
    bi_poke(&image, 11, 0, 3);
    uint8_t *p = image.p + bw_block_off(0);
    uint32_t moved = p[28] | (uint32_t)p[29] << 8;
    bi_poke(&image, bw_block_off(0) + 28, moved / 8, 4);
    bw_seal_block(&o, image.p, 0);
    p[16 * (p[8] | (size_t)p[9] << 8) + 8 + 50] ^= 1;
    image.size -= 512;
    expect("load", bi_load(&image), ERR_OK);
    assert_int_equal(image.b.sector_size, 4096);
    expect("open", open_image(), ERR_OK);
    assert_int_equal(image.b.used, 1);
    assert_int_equal(image.b.sector_size, 512);
    assert_int_equal(image.b.size, o.size - 512);
    uint8_t *want = bw_shown(&o);
    expect("read", bitlocker_read(&volume, 0, got, o.size - 512), ERR_OK);
    compare("no sector size, twice", want, 0, o.size - 512);
    free(want);
}

/* Nothing encrypted any more, and no key either. */
static void test_decrypted(void **state)
{
    (void)state;
    struct bw_options o = with_clear_key();
    o.clear_key = false;
    o.state_now = o.state_next = 1;
    o.encrypted_size = 0;
    bi_make(&image, &o);
    expect("load", bi_load(&image), ERR_OK);
    bitlocker_wipe(&volume);
    expect("open", bitlocker_open(&image.b, NULL, &volume, &image.problem), ERR_OK);
    check_content("decrypted", &o);
    o.state_now = o.state_next = 4;
    bi_make(&image, &o);
    expect("load", bi_load(&image), ERR_OK);
    expect("open", bitlocker_open(&image.b, NULL, &volume, &image.problem), ERR_AUTH);
}

/* The sum behind a block can be right while its seal is not: then the next block counts. */
static void test_hash(void **state)
{
    (void)state;
    struct bw_options o = with_clear_key();
    bi_make(&image, &o);
    for (unsigned i = 0; i < 3; i++) {
        uint8_t *p = image.p + bw_block_off(i);
        p[16 * (p[8] | (size_t)p[9] << 8) + 8 + 50] ^= 1;
        expect("seal", open_image(), i < 2 ? ERR_OK : ERR_FORMAT);
        if (i == 2)
            break;
        assert_int_equal(image.b.used, i + 1);
        assert_non_null(image.b.block[i].problem.what);
        check_content("seal", &o);
    }
    assert_non_null(image.problem.what);
    assert_null(volume.b);
    assert_int_equal(bitlocker_read(&volume, 0, got, 512), ERR_RANGE);
}

static void test_keys(void **state)
{
    (void)state;
    struct bw_options o = with_clear_key();
    SECRET(vmk);
    unsigned which;
    bi_make(&image, &o);
    expect("load", bi_load(&image), ERR_OK);
    expect("unlock", bitlocker_unlock_clear_key(&image.b, &which, &vmk), ERR_OK);
    vmk.bytes[31] ^= 1;
    expect("other key", bitlocker_open(&image.b, &vmk, &volume, &image.problem), ERR_FORMAT);
    o.seal = false;
    bi_make(&image, &o);
    expect("load", bi_load(&image), ERR_OK);
    expect("other key, no seal", bitlocker_open(&image.b, &vmk, &volume, &image.problem), ERR_AUTH);
    vmk.len = 31;
    expect("short key", bitlocker_open(&image.b, &vmk, &volume, &image.problem), ERR_AUTH);
    /* no volume key at all */
    for (unsigned i = 0; i < 3; i++) {
        bi_poke(&image, bi_entry(&image, i == 0 ? 3 : 0x33, 5, 0) + i * 0x40000 + 2, 0x33, 2);
        bw_seal_block(&o, image.p, i);
    }
    expect("no volume key", open_image(), ERR_FORMAT);
    assert_non_null(image.problem.what);
}

static void test_range(void **state)
{
    (void)state;
    struct bw_options o = with_clear_key();
    enum bitlocker_extent kind;
    uint64_t len;
    bi_make(&image, &o);
    expect("open", open_image(), ERR_OK);
    const uint64_t bad[][2] = {
        {1, 512}, {0, 511}, {o.size, 512}, {o.size - 512, 1024}, {UINT64_MAX - 511, 512}};
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(bitlocker_read(&volume, bad[i][0], got, bad[i][1]), ERR_RANGE);
    assert_int_equal(bitlocker_read(&volume, o.size, got, 0), ERR_OK);
    assert_int_equal(bitlocker_extent_at(&volume, o.size, &kind, &len), ERR_RANGE);
    assert_int_equal(bitlocker_extent_at(&volume, 100, &kind, &len), ERR_RANGE);
    image.bad_off = 0x30000;
    image.bad_end = 0x30001;
    assert_int_equal(bitlocker_read(&volume, 0x2f000, got, 0x2000), ERR_IO);
    assert_int_equal(bitlocker_read(&volume, 0x30200, got, 0x200), ERR_OK);
    bitlocker_wipe(&volume);
    static const struct bitlocker_volume empty;
    assert_memory_equal(&volume, &empty, sizeof empty);
}

/* Maps of encrypt-on-write: damage is told, an older record stands in for a newer one that is damaged. */
static void test_maps(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t off; /* from the first descriptor */
        enum err want;
    } rows[] = {{"first descriptor", 20, ERR_OK},
                {"first map", 0x2000 + 20, ERR_FORMAT},
                {"second map", 0x4000 + 100, ERR_FORMAT},
                {"signature of a map", 0x2000, ERR_FORMAT},
                {"older record", 0x2200 + 40, ERR_OK}};
    struct bw_options o = with_clear_key();
    o.on_write = true;
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        bi_make(&image, &o);
        image.p[BW_EOW_OFF + rows[i].off] ^= 1;
        expect(rows[i].name, open_image(), rows[i].want);
        if (rows[i].want != ERR_OK)
            assert_in_range(image.problem.off, BW_EOW_OFF, BW_EOW_OFF + 0x4000);
    }
    bi_make(&image, &o);
    image.p[BW_EOW_OFF + 0x2400 + 40] ^= 1;
    expect("newer record", open_image(), ERR_OK);
    image.p[BW_EOW_OFF + 0x2200 + 40] ^= 1;
    expect("both records", open_image(), ERR_FORMAT);
    bi_make(&image, &o);
    image.p[BW_EOW_OFF] = image.p[BW_EOW_OFF + 0x1000] = 0;
    expect("no descriptor: all is encrypted", open_image(), ERR_OK);
    bi_make(&image, &o);
    image.p[BW_EOW_OFF + 20] ^= 1;
    image.p[BW_EOW_OFF + 0x1000 + 20] ^= 1;
    expect("both descriptors", open_image(), ERR_FORMAT);
}

/* Without a descriptor only a volume that is done with can be read. */
static void test_maps_gone(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint16_t now, next;
        unsigned gone; /* descriptors */
        enum err want;
    } rows[] = {{"encrypted, both gone", 4, 4, 2, ERR_OK},
                {"encrypting, one gone", 5, 4, 1, ERR_OK},
                {"encrypting, both gone", 5, 4, 2, ERR_FORMAT},
                {"encrypting, not at rest, both gone", 2, 4, 2, ERR_FORMAT},
                {"decrypting, both gone", 2, 1, 2, ERR_FORMAT}};
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct bw_options o = with_clear_key();
        o.on_write = true;
        o.state_now = rows[i].now;
        o.state_next = rows[i].next;
        bi_make(&image, &o);
        for (unsigned k = 0; k < rows[i].gone; k++)
            image.p[BW_EOW_OFF + 0x1000 * k] = 0;
        expect(rows[i].name, open_image(), rows[i].want);
        if (rows[i].want == ERR_OK)
            continue;
        assert_non_null(strstr(image.problem.what, "encrypt-on-write are gone"));
        assert_int_equal(image.problem.off, BW_EOW_OFF);
        assert_int_equal(bitlocker_read(&volume, 0, got, 512), ERR_RANGE);
    }
}

/* Numbers in the maps that lead astray, with right sums. */
static void test_maps_astray(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t off, n, v; /* from the first descriptor */
        uint64_t sum_off, sum_len, sum_field;
    } rows[] = {{"chunk 0", 20, 4, 0, 0, 72, 36},
                {"chunk of 100 bytes", 20, 4, 100, 0, 72, 36},
                {"more maps than there is room", 32, 4, 3, 0, 72, 36},
                {"4 G maps", 32, 4, 0xffffffff, 0, 72, 36},
                {"descriptor of 55 bytes", 10, 2, 55, 0, 72, 36},
                {"map beyond the end", 56, 8, UINT64_MAX - 100, 0, 72, 36},
                {"maps swapped", 64, 8, BW_EOW_OFF + 0x2000, 0, 72, 36},
                {"region overflows", 0x2000 + 28, 8, UINT64_MAX, 0x2000, 0x200, 56},
                {"region larger than its bits", 0x2000 + 28, 8, 1 << 30, 0x2000, 0x200, 56},
                {"region begins within a sector", 0x2000 + 20, 8, 0x2100, 0x2000, 0x200, 56},
                {"region ends within a sector", 0x2000 + 28, 8, 0x70100, 0x2000, 0x200, 56},
                {"records beyond the end", 0x2000 + 44, 8, UINT64_MAX, 0x2000, 0x200, 56},
                {"bits beyond the record", 0x2400 + 16, 4, 0xffffffff, 0x2400, 0x200, 32}};
    struct bw_options o = with_clear_key();
    o.on_write = true;
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        bi_make(&image, &o);
        image.p[BW_EOW_OFF + 0x1000 + 20] ^= 1; /* the second descriptor is no help */
        image.p[BW_EOW_OFF + 0x2200 + 40] ^= 1; /* nor the older record */
        bi_poke(&image, BW_EOW_OFF + rows[i].off, rows[i].v, rows[i].n);
        bw_crc(image.p + BW_EOW_OFF + rows[i].sum_off, rows[i].sum_len, rows[i].sum_field);
        expect(rows[i].name, open_image(), ERR_FORMAT);
        assert_non_null(image.problem.what);
    }
}

static int tear_down(void **state)
{
    (void)state;
    bitlocker_wipe(&volume);
    bi_free(&image);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layouts),
        cmocka_unit_test(test_methods),
        cmocka_unit_test(test_odd_size),
        cmocka_unit_test(test_no_sector_size),
        cmocka_unit_test(test_decrypted),
        cmocka_unit_test(test_hash),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_range),
        cmocka_unit_test(test_maps),
        cmocka_unit_test(test_maps_gone),
        cmocka_unit_test(test_no_sector_size_twice),
        cmocka_unit_test(test_maps_astray),
    };
    return cmocka_run_group_tests(tests, NULL, tear_down);
}
