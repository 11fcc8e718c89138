/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Writing a decrypted volume and trying keys, without any volume: copy, out, try, end. */
#include "tools/volume_copy.h"
#include "tools/volume_end.h"
#include "tools/volume_out.h"
#include "tools/volume_try.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define MIB (1u << 20)

/* --- copy --- */

/* A volume whose bytes tell where they belong, and a place to copy it to. */
struct fake {
    uint64_t fail_read, fail_write; /* offset of the batch, UINT64_MAX none */
    uint8_t *to;
    uint64_t size;
    unsigned stop_after, n_progress;
    uint64_t last_done;
    _Atomic unsigned busy[VOLUME_LANES]; /* readers in a lane at this moment */
    _Atomic bool collided;
};

static void fill(uint64_t off, uint8_t *buf, size_t len)
{
    for (size_t i = 0; i < len; i += 512) {
        uint64_t n = (off + i) / 512 + 1;
        memset(buf + i, 0, 512);
        memcpy(buf + i, &n, sizeof n);
    }
}

static enum err fake_read(void *ctx, unsigned lane, uint64_t off, void *buf, size_t len)
{
    struct fake *f = ctx;
    if (f->busy[lane]++)
        f->collided = true;
    fill(off, buf, len);
    f->busy[lane]--;
    return off == f->fail_read ? ERR_IO : ERR_OK;
}

static enum err fake_write(void *ctx, uint64_t off, const void *buf, size_t len)
{
    struct fake *f = ctx;
    if (off == f->fail_write)
        return ERR_FULL;
    assert_true(off + len <= f->size);
    memcpy(f->to + off, buf, len);
    return ERR_OK;
}

static bool fake_progress(void *ctx, uint64_t done)
{
    struct fake *f = ctx;
    f->n_progress++;
    f->last_done = done;
    return !f->stop_after || f->n_progress < f->stop_after;
}

static enum err copy(struct fake *f, uint64_t size, unsigned lanes, struct volume_copy_failure *failure)
{
    struct volume_copy c = {size, lanes, fake_read, fake_write, fake_progress, f};
    f->size = size;
    f->to = calloc(1, size ? size : 1);
    return volume_copy(&c, failure);
}

static void test_copy(void **unused)
{
    (void)unused;
    static const uint64_t sizes[] = {0, 512, MIB, MIB + 512, 9 * MIB - 512, 20 * MIB};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (unsigned lanes = 1; lanes <= VOLUME_LANES; lanes += 3) {
            struct fake f = {.fail_read = UINT64_MAX, .fail_write = UINT64_MAX};
            struct volume_copy_failure failure = {77, true};
            assert_int_equal(copy(&f, sizes[i], lanes, &failure), ERR_OK);
            uint8_t *want = malloc(sizes[i] + 1);
            fill(0, want, sizes[i]);
            assert_memory_equal(f.to, want, sizes[i]);
            assert_false(f.collided);
            assert_int_equal(failure.off, 77); /* untouched */
            assert_true(f.last_done == sizes[i]);
            free(want);
            free(f.to);
        }
}

static void test_copy_fails(void **unused)
{
    (void)unused;
    static const struct {
        const char *name;
        uint64_t read, write;
        enum err err;
        uint64_t off;
        bool writing;
    } rows[] = {
        {"first read", 0, UINT64_MAX, ERR_IO, 0, false},
        {"a read", 5 * MIB, UINT64_MAX, ERR_IO, 5 * MIB, false},
        {"last read", 19 * MIB, UINT64_MAX, ERR_IO, 19 * MIB, false},
        {"a write", UINT64_MAX, 7 * MIB, ERR_FULL, 7 * MIB, true},
        {"write before read", 4 * MIB, 3 * MIB, ERR_FULL, 3 * MIB, true},
        {"read before write", 3 * MIB, 4 * MIB, ERR_IO, 3 * MIB, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fake f = {.fail_read = rows[i].read, .fail_write = rows[i].write};
        struct volume_copy_failure failure = {0};
        print_message("%s\n", rows[i].name);
        assert_int_equal(copy(&f, 20 * MIB, 4, &failure), rows[i].err);
        assert_int_equal(failure.off, rows[i].off);
        assert_int_equal(failure.writing, rows[i].writing);
        free(f.to);
    }
}

static void test_copy_stops(void **unused)
{
    (void)unused;
    struct fake f = {.fail_read = UINT64_MAX, .fail_write = UINT64_MAX, .stop_after = 1};
    struct volume_copy_failure failure = {77, true};
    assert_int_equal(copy(&f, 20 * MIB, 2, &failure), ERR_BUSY);
    assert_int_equal(failure.off, 77);
    free(f.to);
}

/* --- out --- */

static char folder[] = "/tmp/keyholt-volume-XXXXXX";

static int make_folder(void **unused)
{
    (void)unused;
    return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int remove_folder(void **unused)
{
    (void)unused;
    return chdir("/") == 0 && rmdir(folder) == 0 ? 0 : -1; /* fails when something is left in it */
}

static void put(const char *path, const char *text)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void expect(const char *path, const void *want, size_t len)
{
    uint8_t *got = malloc(len + 1);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(read(fd, got, len + 1), (ssize_t)len);
    assert_memory_equal(got, want, len);
    close(fd);
    free(got);
}

static void test_out_is_sparse(void **unused)
{
    (void)unused;
    static uint8_t content[4 * MIB + 512];
    struct volume_out out;
    struct stat st;
    memset(content + MIB, 0xa5, 8192);
    content[2 * MIB + 4096 + 17] = 1; /* one byte keeps its block */
    content[sizeof content - 1] = 1;  /* in the last, short block */
    assert_int_equal(volume_out_create("sparse", false, sizeof content, &out), ERR_OK);
    assert_int_equal(access("sparse", F_OK), -1);
    for (size_t off = 0; off < sizeof content; off += MIB) {
        size_t len = sizeof content - off < MIB ? sizeof content - off : MIB;
        assert_int_equal(volume_out_write(&out, off, content + off, len), ERR_OK);
    }
    assert_int_equal(access("sparse", F_OK), -1);
    assert_int_equal(volume_out_finish(&out), ERR_OK);
    expect("sparse", content, sizeof content);
    assert_int_equal(out.written, 8192 + 4096 + 512);
    assert_int_equal(stat("sparse", &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_true(st.st_blocks * 512 < MIB);
    assert_int_equal(unlink("sparse"), 0);
}

static void test_out_names(void **unused)
{
    (void)unused;
    struct volume_out out;
    put("old", "old");
    assert_int_equal(volume_out_create("old", false, 512, &out), ERR_CONFLICT);
    assert_int_equal(volume_out_create("no/such", false, 512, &out), ERR_NOT_FOUND);
    assert_int_equal(volume_out_create("old/under", false, 512, &out), ERR_IO); /* ENOTDIR */
    assert_int_equal(volume_out_create("/dev/null", true, 512, &out), ERR_UNSUPPORTED);
    assert_int_equal(volume_out_create(".", true, 512, &out), ERR_UNSUPPORTED);
    assert_int_equal(volume_out_create("old", true, 4096, &out), ERR_OK);
    volume_out_discard(&out);
    expect("old", "old", 3);
    assert_int_equal(volume_out_create("old", true, 3, &out), ERR_OK);
    assert_int_equal(volume_out_write(&out, 0, "new", 3), ERR_OK);
    expect("old", "old", 3);
    assert_int_equal(volume_out_finish(&out), ERR_OK);
    expect("old", "new", 3);
    assert_int_equal(unlink("old"), 0);
}

/* What appeared meanwhile under the name is not ours to replace. */
static void test_out_overtaken(void **unused)
{
    (void)unused;
    struct volume_out out;
    assert_int_equal(volume_out_create("race", false, 3, &out), ERR_OK);
    put("race", "other");
    assert_int_equal(volume_out_finish(&out), ERR_CONFLICT);
    expect("race", "other", 5);
    assert_int_equal(unlink("race"), 0);
}

static void test_out_too_large(void **unused)
{
    (void)unused;
    struct volume_out out;
    struct rlimit old, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = (struct rlimit){MIB, old.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_int_equal(volume_out_create("large", false, 2 * MIB, &out), ERR_RANGE);
    assert_int_equal(volume_out_create("large", false, UINT64_MAX, &out), ERR_RANGE);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
}

/* --- try --- */

struct locks {
    uint64_t opens;         /* bit i: candidate i opens */
    unsigned slow;          /* this one takes a while, UINT_MAX none */
    _Atomic uint64_t tried; /* bit i */
    _Atomic unsigned at_once, most;
};

static enum err attempt(void *ctx, unsigned protector, struct secret *ret)
{
    struct locks *l = ctx;
    unsigned n = ++l->at_once, most = l->most;
    while (n > most && !atomic_compare_exchange_weak(&l->most, &most, n))
        ;
    l->tried |= UINT64_C(1) << protector;
    if (protector == l->slow)
        usleep(20000);
    l->at_once--;
    if (protector == 9)
        return ERR_NOMEM;
    if (!(l->opens >> protector & 1))
        return ERR_AUTH;
    ret->len = 1;
    ret->bytes[0] = (uint8_t)protector;
    return ERR_OK;
}

static void test_try(void **unused)
{
    (void)unused;
    static const struct {
        const char *name;
        unsigned n;
        const char *groups; /* a digit each */
        uint64_t opens;
        unsigned slow;
        enum err err;
        unsigned which;
        uint64_t not_tried;
    } rows[] = {
        {"none there", 0, "", 0, 99, ERR_NOT_FOUND, 0, 0},
        {"one opens", 1, "0", 1, 99, ERR_OK, 0, 0},
        {"one does not", 1, "0", 0, 99, ERR_AUTH, 0, 0},
        {"the last of many", 16, "0000000000000000", 1 << 15, 99, ERR_OK, 15, 0},
        {"the slow first wins over the fast second", 2, "00", 3, 0, ERR_OK, 0, 0},
        {"later groups are not begun", 6, "001122", 2, 99, ERR_OK, 1, 0x3c},
        {"later groups are tried in the end", 6, "001122", 1 << 4, 99, ERR_OK, 4, 0},
        {"a failure does not hide what opens", 12, "000000000011", 1 << 11, 99, ERR_OK, 11, 0},
        {"a failure and nothing opens", 12, "000000000011", 0, 99, ERR_AUTH, 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct volume_candidate c[64];
        struct locks l = {.opens = rows[i].opens, .slow = rows[i].slow};
        struct volume_try t = {c, rows[i].n, attempt, &l};
        SECRET(got);
        unsigned which = 0;
        print_message("%s\n", rows[i].name);
        for (unsigned k = 0; k < rows[i].n; k++)
            c[k] = (struct volume_candidate){k, (unsigned)(rows[i].groups[k] - '0'), ERR_OK};
        assert_int_equal(volume_try(&t, &got, &which), rows[i].err);
        if (rows[i].err == ERR_OK) {
            assert_int_equal(which, rows[i].which);
            assert_int_equal(got.bytes[0], which);
        }
        assert_int_equal(l.tried & rows[i].not_tried, 0);
        for (unsigned k = 0; k < rows[i].n; k++)
            assert_int_equal(c[k].err == ERR_BUSY, !(l.tried >> k & 1));
        if (rows[i].n > 9 && rows[i].err == ERR_AUTH)
            assert_int_equal(c[9].err, ERR_NOMEM);
    }
}

/* Groups of one run one at a time, whatever the number of cores: an Argon2 keyslot may want a gigabyte. */
static void test_try_one_at_a_time(void **unused)
{
    (void)unused;
    struct volume_candidate c[8];
    struct locks l = {.slow = 3};
    struct volume_try t = {c, 8, attempt, &l};
    SECRET(got);
    unsigned which = 0;
    for (unsigned k = 0; k < 8; k++)
        c[k] = (struct volume_candidate){k, k, ERR_OK};
    assert_int_equal(volume_try(&t, &got, &which), ERR_AUTH);
    assert_int_equal(l.most, 1);
}

/* --- end --- */

static void put_number(uint8_t *head, size_t off, unsigned len, uint64_t n, bool big_endian)
{
    for (unsigned i = 0; i < len; i++)
        head[off + (big_endian ? len - 1 - i : i)] = (uint8_t)(n >> 8 * i);
}

static void test_end(void **unused)
{
    (void)unused;
    struct field {
        size_t off;
        unsigned len;
        uint64_t n;
    };
    static const struct {
        const char *name, *magic;
        size_t magic_off;
        struct field field[3];
        enum err err;
        uint64_t size;
    } rows[] = {
        {"NTFS", "NTFS    ", 3, {{40, 8, 204799}, {11, 2, 512}}, ERR_OK, 104857600},
        {"NTFS", "NTFS    ", 3, {{40, 8, 25599}, {11, 2, 4096}}, ERR_OK, 104857600},
        {"NTFS", "NTFS    ", 3, {{40, 8, UINT64_MAX}, {11, 2, 512}}, ERR_FORMAT, 0},
        {"NTFS", "NTFS    ", 3, {{40, 8, UINT64_MAX / 2}, {11, 2, 512}}, ERR_FORMAT, 0},
        {"NTFS", "NTFS    ", 3, {{40, 8, 1000}}, ERR_FORMAT, 0},
        {"exFAT", "EXFAT   ", 3, {{72, 8, 1000}, {108, 1, 12}}, ERR_OK, 4096000},
        {"exFAT", "EXFAT   ", 3, {{72, 8, 1000}, {108, 1, 64}}, ERR_FORMAT, 0},
        {"FAT", "FAT32   ", 82, {{32, 4, 204800}, {11, 2, 512}}, ERR_OK, 104857600},
        {"FAT", "FAT16   ", 54, {{19, 2, 32768}, {32, 4, 7}, {11, 2, 512}}, ERR_OK, 16777216},
        {"FAT", "FAT12   ", 54, {{19, 2, 2880}, {11, 2, 512}}, ERR_OK, 1474560},
        {"ext", "\x53\xef", 1080, {{1028, 4, 25600}, {1048, 4, 2}}, ERR_OK, 104857600},
        {"ext", "\x53\xef", 1080, {{1028, 4, 1}, {1120, 4, 0x80}, {1360, 4, 1}}, ERR_OK, 1024 * 0x100000001},
        {"ext", "\x53\xef", 1080, {{1028, 4, 25600}, {1048, 4, 40}}, ERR_FORMAT, 0},
        {"other", "LABELONE", 512, {{0, 0, 0}}, ERR_NOT_FOUND, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t head[VOLUME_END_HEAD] = {0};
        const char *name = "untouched";
        uint64_t size = 7;
        memcpy(head + rows[i].magic_off, rows[i].magic, strlen(rows[i].magic));
        for (unsigned k = 0; k < 3; k++)
            put_number(head, rows[i].field[k].off, rows[i].field[k].len, rows[i].field[k].n, false);
        print_message("%s, row %zu\n", rows[i].name, i);
        assert_int_equal(volume_end_claimed(head, sizeof head, &name, &size), rows[i].err);
        assert_string_equal(name, rows[i].err == ERR_OK ? rows[i].name : "untouched");
        assert_int_equal(size, rows[i].err == ERR_OK ? rows[i].size : 7);
    }
}

static void test_end_xfs(void **unused)
{
    (void)unused;
    uint8_t head[VOLUME_END_HEAD] = "XFSB";
    const char *name = NULL;
    uint64_t size = 0;
    put_number(head, 4, 4, 4096, true);
    put_number(head, 8, 8, 25600, true);
    assert_int_equal(volume_end_claimed(head, sizeof head, &name, &size), ERR_OK);
    assert_string_equal(name, "XFS");
    assert_int_equal(size, 104857600);
    for (size_t len = 0; len < sizeof head; len++)
        assert_int_equal(volume_end_claimed(head, len, &name, &size), ERR_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_copy_fails),
        cmocka_unit_test(test_copy_stops),
        cmocka_unit_test(test_out_is_sparse),
        cmocka_unit_test(test_out_names),
        cmocka_unit_test(test_out_overtaken),
        cmocka_unit_test(test_out_too_large),
        cmocka_unit_test(test_try),
        cmocka_unit_test(test_try_one_at_a_time),
        cmocka_unit_test(test_end),
        cmocka_unit_test(test_end_xfs),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
