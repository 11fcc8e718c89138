/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Block devices out of a folder that looks like /sys, and the table of mounts. */
#include "agent/device/blockdev.h"
#include "agent/device/mounts.h"
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
// clang-format off
#include <cmocka.h>
// clang-format on

static char root[] = "/tmp/test_blockdev.XXXXXX";

/* A file with all folders above it. */
static void put(const char *path, const char *content)
{
    char full[512];
    assert_true(snprintf(full, sizeof full, "%s%s", root, path) < (int)sizeof full);
    for (char *p = full + strlen(root) + 1; (p = strchr(p, '/')); p++) {
        *p = 0;
        (void)mkdir(full, 0755);
        *p = '/';
    }
    FILE *f = fopen(full, "w");
    assert_non_null(f);
    assert_true(fputs(content, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

/* A device: its folder below /sys/devices, its attributes, its link in the class. */
static void device(const char *folder, const char *attributes)
{
    char path[512], text[512], target[512], *save = NULL;
    strcpy(text, attributes);
    for (char *a = strtok_r(text, " ", &save); a; a = strtok_r(NULL, " ", &save)) {
        char *value = strchr(a, '=');
        *value++ = 0;
        (void)snprintf(path, sizeof path, "/sys/devices/%s/%s", folder, a);
        (void)snprintf(target, sizeof target, "%s\n", value);
        put(path, target);
    }
    (void)snprintf(path, sizeof path, "%s/sys/class/block/%s", root, strrchr(folder, '/') + 1);
    (void)snprintf(target, sizeof target, "../../devices/%s", folder);
    assert_int_equal(symlink(target, path), 0);
}

static void make(void)
{
    put("/sys/class/block/.keep", "");
    device("pci0000:00/0000:00:17.0/ata1/host0/block/sda", "dev=8:0 size=2048 ro=0 removable=0 slaves/.k=");
    device("pci0000:00/0000:00:17.0/ata1/host0/block/sda/sda1",
           "dev=8:1 size=1024 partition=1 holders/dm-0=");
    device("pci0000:00/0000:00:14.0/usb1/1-2/host5/block/sdb", "dev=8:16 size=100 removable=0");
    device("pci0000:00/0000:00:14.0/host6/block/sdc", "dev=8:32 size=0 removable=1 ro=1");
    device("pci0000:00/0000:00:1a.0/mmc_host/mmc0/mmc0:0001/block/mmcblk0", "dev=179:0 size=7");
    put("/sys/devices/pci0000:00/0000:00:1a.0/mmc_host/mmc0/mmc0:0001/type", "MMC\n");
    device("pci0000:00/0000:00:1b.0/mmc_host/mmc1/mmc1:0001/block/mmcblk1", "dev=179:8 size=7");
    put("/sys/devices/pci0000:00/0000:00:1b.0/mmc_host/mmc1/mmc1:0001/type", "SD\n");
    device("pci0000:00/0000:05:00.0/nvme/nvme0/nvme0n1", "dev=259:0 size=7");
    put("/sys/devices/pci0000:00/0000:05:00.0/removable", "removable\n");
    device("pci0000:00/0000:06:00.0/nvme/nvme1/nvme1c0n1", "dev=259:9 size=7 hidden=1");
    device("virtual/block/dm-0",
           "dev=254:0 size=1000 dm/name=root dm/uuid=CRYPT-LUKS2-0123-root slaves/sda1=");
    device("virtual/block/dm-10",
           "dev=254:10 size=1000 dm/name=vg-data dm/uuid=LVM-x slaves/dm-0= slaves/sdb=");
    device("virtual/block/dm-2", "dev=254:2 dm/name=usr dm/uuid=CRYPT-VERITY-y slaves/mmcblk0=");
    device("virtual/block/md0", "dev=9:0 size=9 md/level=raid1 slaves/sda1=");
    device("virtual/block/loop0", "dev=7:0 size=9 loop/backing_file=/srv/a.img");
    device("virtual/block/cciss!c0d0", "dev=104:0 size=9");
}

static void test_tree(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t size;
        bool removable, read_only, partition, md;
        const char *dm_name;
    } rows[] = {{"cciss/c0d0", 9 * 512, 0, 0, 0, 0, ""},
                {"dm-0", 512000, 0, 0, 0, 0, "root"},
                {"dm-2", BLOCK_SIZE_UNKNOWN, 0, 0, 0, 0, "usr"},
                {"dm-10", 512000, 0, 0, 0, 0, "vg-data"},
                {"loop0", 9 * 512, 0, 0, 0, 0, ""},
                {"md0", 9 * 512, 0, 0, 0, 1, ""},
                {"mmcblk0", 7 * 512, 0, 0, 0, 0, ""},
                {"mmcblk1", 7 * 512, 1, 0, 0, 0, ""},
                {"nvme0n1", 7 * 512, 1, 0, 0, 0, ""},
                {"sda", 2048 * 512, 0, 0, 0, 0, ""},
                {"sda1", 1024 * 512, 0, 0, 1, 0, ""},
                {"sdb", 51200, 1, 0, 0, 0, ""},
                {"sdc", 0, 1, 1, 0, 0, ""}};
    struct block_tree t;
    assert_int_equal(block_tree_load(root, &t), ERR_OK);
    assert_int_equal(t.n, sizeof rows / sizeof rows[0]);
    for (unsigned i = 0; i < t.n; i++) {
        const struct block_device *d = &t.device[i];
        if (strcmp(d->name, rows[i].name) != 0 || d->size != rows[i].size ||
            d->removable != rows[i].removable || d->read_only != rows[i].read_only ||
            d->partition != rows[i].partition || d->md != rows[i].md ||
            strcmp(d->dm_name, rows[i].dm_name) != 0)
            fail_msg("%s: is %s, %llu bytes, removable %d, read-only %d, partition %d, md %d, \"%s\"",
                     rows[i].name, d->name, (unsigned long long)d->size, d->removable, d->read_only,
                     d->partition, d->md, d->dm_name);
    }
    int sda1 = block_find(&t, "sda1"), data = block_find_path(&t, "/dev/mapper/vg-data");
    assert_int_equal(t.device[sda1].disk, block_find(&t, "sda"));
    assert_int_equal(t.device[sda1].number, 1);
    assert_int_equal(data, block_find(&t, "dm-10"));
    assert_int_equal(block_find_number(&t, 254, 10), data);
    assert_int_equal(block_find_number(&t, 254, 11), -1);
    assert_string_equal(t.device[block_find(&t, "loop0")].backing_file, "/srv/a.img");
    block_tree_free(&t);
}

static void test_links(void **state)
{
    (void)state;
    struct block_tree t;
    unsigned upper = 0;
    assert_int_equal(block_tree_load(root, &t), ERR_OK);
    assert_int_equal(t.n_links, 5); /* sda1 ← dm-0 is named on both sides, and counted once */
    unsigned sda1 = (unsigned)block_find(&t, "sda1"), sdb = (unsigned)block_find(&t, "sdb");
    assert_int_equal(block_unlocked(&t, sda1), block_find(&t, "dm-0"));
    assert_int_equal(block_unlocked(&t, sdb), -1);
    assert_true(block_is_part(&t, sda1, &upper) && t.device[upper].md);
    assert_true(block_is_part(&t, sdb, &upper));
    assert_int_equal((int)upper, block_find(&t, "dm-10"));
    assert_int_equal(block_unlocked(&t, (unsigned)block_find(&t, "mmcblk0")),
                     -1); /* verity does not encrypt */
    assert_false(block_is_part(&t, (unsigned)block_find(&t, "sdc"), NULL));
    block_tree_free(&t);
}

static void test_nothing_there(void **state)
{
    (void)state;
    struct block_tree t;
    struct mount_table m;
    assert_int_equal(block_tree_load("/nowhere", &t), ERR_OK);
    assert_int_equal(t.n, 0);
    block_tree_free(&t);
    assert_int_equal(mount_table_load("/nowhere", &m), ERR_OK);
    assert_int_equal(m.n, 0);
    mount_table_free(&m);
}

static void test_mounts(void **state)
{
    (void)state;
    put("/proc/self/mountinfo",
        "24 1 254:0 / / rw,relatime shared:1 - ext4 /dev/mapper/root rw,errors=remount-ro\n"
        "25 24 0:22 /@home /home rw - btrfs /dev/sdb rw\n"
        "nonsense\n"
        "26 24 8:1 / /media/my\\040stick ro,nosuid master:5 propagate_from:2 - vfat /dev/sda1 rw\n"
        "27 24 0:40 / /run rw - tmpfs tmpfs rw\n"
        "28 24 254:10 / /srv rw - xfs /dev/mapper/vg-data ro,noquota");
    static const struct {
        const char *point, *device, *type;
        bool read_only;
    } rows[] = {{"/", "dm-0", "ext4", false},
                {"/home", "sdb", "btrfs", false},
                {"/media/my stick", "sda1", "vfat", true},
                {"/run", NULL, "tmpfs", false},
                {"/srv", "dm-10", "xfs", true}};
    struct block_tree t;
    struct mount_table m;
    assert_int_equal(block_tree_load(root, &t), ERR_OK);
    assert_int_equal(mount_table_load(root, &m), ERR_OK);
    assert_int_equal(m.n, sizeof rows / sizeof rows[0]);
    for (unsigned i = 0; i < m.n; i++) {
        int d = mount_device(&m.mount[i], &t);
        if (strcmp(m.mount[i].point, rows[i].point) != 0 || strcmp(m.mount[i].type, rows[i].type) != 0 ||
            m.mount[i].read_only != rows[i].read_only ||
            d != (rows[i].device ? block_find(&t, rows[i].device) : -1))
            fail_msg("%s: is %s, %s, read-only %d, device %d", rows[i].point, m.mount[i].point,
                     m.mount[i].type, m.mount[i].read_only, d);
    }
    assert_string_equal(mount_of_path(&m, "/srv/b/c.img")->point, "/srv");
    assert_string_equal(mount_of_path(&m, "/srvx")->point, "/");
    mount_table_free(&m);
    block_tree_free(&t);
}

/* Every beginning of a line: an error or a mount, never a crash. */
static void test_mount_truncated(void **state)
{
    (void)state;
    static const char line[] = "26 24 8:1 / /media/my\\040stick ro,nosuid master:5 - vfat /dev/sda1 rw";
    char part[sizeof line];
    struct mount m;
    for (size_t n = 0; n < sizeof line; n++) {
        memcpy(part, line, n);
        part[n] = 0;
        enum err e = mount_parse(part, &m);
        assert_int_equal(e, n > strcspn(line, "-") + strlen("- vfat ") ? ERR_OK : ERR_FORMAT);
    }
}

static int remove_one(const char *path, const struct stat *s, int type, struct FTW *f)
{
    (void)s;
    (void)type;
    (void)f;
    return remove(path);
}

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(root))
        return -1;
    make();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tree), cmocka_unit_test(test_links),
                                       cmocka_unit_test(test_nothing_there), cmocka_unit_test(test_mounts),
                                       cmocka_unit_test(test_mount_truncated)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
