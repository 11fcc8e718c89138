/* SPDX-License-Identifier: GPL-3.0-or-later */
/* LUKS2 images from outside: cryptsetup's verdicts on 43 headers, and keyslots made by cryptsetup in nine
 * sizes of metadata. The build unpacks them (tests/luks2/unpack.py) into the folder below. */
#include "formats/base.h"
#include "formats/luks2.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define DIR "build/data/luks2/"

static uint8_t scratch[LUKS2_SCRATCH(LUKS2_HDR_MAX)];
static uint8_t area[LUKS2_AREA_MAX];
static struct luks2 l;

static enum err read_fd(void *ctx, uint64_t off, void *buf, size_t len)
{
    const int *fd = ctx;
    ssize_t n = pread(*fd, buf, len, (off_t)off);
    if (n < 0)
        return ERR_IO;
    return (size_t)n == len ? ERR_OK : ERR_TRUNCATED;
}

static enum err load(const char *name, int *ret_fd, struct volume_io *ret_io)
{
    char path[256];
    snprintf(path, sizeof path, DIR "%s", name);
    *ret_fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*ret_fd < 0)
        return ERR_NOT_FOUND;
    *ret_io = (struct volume_io){.read = read_fd, .ctx = ret_fd};
    return luks2_load(ret_io, scratch, sizeof scratch, &l);
}

static void need_data(void)
{
    if (access(DIR "header-cases.txt", R_OK) == 0)
        return;
    print_message("SKIP: no LUKS2 images in " DIR "; KEYHOLT_DATA names no folder with them\n");
    skip();
}

static void test_cases(void **state)
{
    (void)state;
    char name[128], verdict[16];
    unsigned n = 0, failed = 0;
    need_data();
    FILE *f = fopen(DIR "header-cases.txt", "re");
    assert_non_null(f);
    for (; fscanf(f, "%127s %15s", name, verdict) == 2; n++) {
        int fd;
        struct volume_io io;
        enum err e = load(name, &fd, &io);
        if ((e == ERR_OK) != (strcmp(verdict, "accept") == 0) || (e != ERR_OK && e != ERR_FORMAT)) {
            print_error("%s: %s, cryptsetup's verdict is %s\n", name, err_name(e), verdict);
            failed++;
        }
        close(fd);
    }
    fclose(f);
    assert_int_equal(failed, 0);
    assert_true(n >= 43);
}

/* Passphrase: cryptsetup 2.6.1, tests/compat-test2. Hash of the volume key: `cryptsetup luksDump
 * --dump-volume-key --volume-key-file`. Fingerprint: the fields of docs/formats.md hashed by Python from
 * `cryptsetup luksDump --dump-json-metadata`. */
static const char passphrase[] = "Qx3qn46vq0v";
static const char key_hash[] = "932240bb4753e845ca4c75bc7605b58f1bac4ceee70a26329e5cb51d00cdc2ff";
static const char key_fingerprint[] = "dc5b6b167b5ef197e0aa83cb2cb0595c9a1aab3bcf7999922825def780ebfb99";

static void expect_hex(const char *what, const uint8_t *p, const char *want)
{
    char hex[BASE16_LEN(32) + 1];
    base16_encode(p, 32, hex);
    if (strcmp(hex, want) != 0)
        fail_msg("%s: %s, not %s", what, hex, want);
}

static void open_one(const char *name, unsigned kib)
{
    int fd;
    struct volume_io io;
    uint8_t hash[32];
    SECRET(key);
    assert_int_equal(load(name, &fd, &io), ERR_OK);
    assert_int_equal(l.hdr_size, kib << 10);
    assert_int_equal(luks2_open_slot(&io, &l, 0, passphrase, strlen(passphrase), area, sizeof area, &key),
                     ERR_OK);
    assert_int_equal(key.len, 32);
    assert_int_equal(cr_sha256(key.bytes, key.len, hash), ERR_OK);
    expect_hex(name, hash, key_hash);
    for (size_t i = 0; i < luks2_area_len(&l.slot[0]); i++)
        assert_int_equal(area[i], 0); /* wiped */
    assert_int_equal(luks2_fingerprint(&io, &l, 0, area, sizeof area, hash), ERR_OK);
    expect_hex(name, hash, key_fingerprint);
    close(fd);
}

static void test_sizes(void **state)
{
    (void)state;
    need_data();
    for (unsigned kib = 16; kib <= 4096; kib *= 2) {
        char name[32];
        snprintf(name, sizeof name, "test_image_%u", kib);
        open_one(name, kib);
    }
}

static void test_not_opened(void **state)
{
    (void)state;
    int fd;
    struct volume_io io;
    SECRET(key);
    need_data();
    assert_int_equal(load("test_image_16", &fd, &io), ERR_OK);
    assert_int_equal(luks2_open_slot(&io, &l, 0, "Qx3qn46vq0w", 11, area, sizeof area, &key), ERR_AUTH);
    assert_int_equal(luks2_open_slot(&io, &l, 0, passphrase, 10, area, sizeof area, &key), ERR_AUTH);
    assert_int_equal(luks2_open_slot(&io, &l, 1, passphrase, 11, area, sizeof area, &key), ERR_NOT_FOUND);
    assert_int_equal(luks2_open_slot(&io, &l, 32, passphrase, 11, area, sizeof area, &key), ERR_NOT_FOUND);
    assert_int_equal(luks2_open_slot(&io, &l, 0, passphrase, 11, area, 127999, &key), ERR_FULL);
    l.digest[0].value[31] ^= 1;
    assert_int_equal(luks2_open_slot(&io, &l, 0, passphrase, 11, area, sizeof area, &key), ERR_AUTH);
    assert_int_equal(key.len, 0); /* untouched */
    close(fd);
    assert_int_equal(load("valid_header_file", &fd, &io), ERR_VERSION);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_not_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
