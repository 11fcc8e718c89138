/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What each block device is: computers as tables, a row per device, with the verdict that is right for it. */
#include "agent/device/classify.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// clang-format off
#include <cmocka.h>
// clang-format on

#define LUKS2 "crypto_LUKS", "crypto", "2"
#define LUKS1 "crypto_LUKS", "crypto", "1"
#define BITLK "BitLocker", "crypto", ""
#define EXT4  "ext4", "filesystem", "1.0"
#define VFAT  "vfat", "filesystem", "FAT32"
#define PV    "LVM2_member", "raid", "LVM2 001"
#define RAID  "linux_raid_member", "raid", "1.2"
#define SWAP  "swap", "other", "1"
#define EMPTY "", "", ""
#define GPT   "gpt"

enum {
    RO = 1,
    USB = 2,
    MD = 4,
    NO_MEDIUM = 8,
    TIMEOUT = 16,
    GONE = 32,
    DENIED = 64,
    AMBIGUOUS = 128,
    BITLK_OFF = 256
};

struct row {
    const char *name;
    const char *below; /* names, space between; "disk:sda" a partition of it, "file:/x" a loop device */
    unsigned flags;
    const char *dm_uuid;
    const char *type, *usage, *version;
    const char *table;     /* of a disk */
    const char *part_type; /* of a partition */
    const char *mount;     /* points, space between */
    uint8_t class, kind;
    const char *why; /* part of it */
};

struct computer {
    const char *name;
    struct row row[16];
};

static const struct computer computers[] = {
    {"Debian's usual laptop",
     {{"nvme0n1", "", 0, "", EMPTY, GPT, "", "", SEEN_NONE, KIND_OS, "partitions"},
      {"nvme0n1p1", "disk:nvme0n1", 0, "", VFAT, "", "c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "/boot/efi",
       SEEN_NONE, KIND_FIXED, "EFI system"},
      {"nvme0n1p2", "disk:nvme0n1", 0, "", EXT4, "", "0fc63daf-8483-4772-8e79-3d69d8477de4", "/boot",
       SEEN_UNENCRYPTED, KIND_OS, ""},
      {"nvme0n1p3", "disk:nvme0n1", 0, "", LUKS2, "", "ca7d7ccb-63ed-4c53-861c-1742536059cc", "", SEEN_LUKS2,
       KIND_OS, ""},
      {"dm-0", "nvme0n1p3", 0, "CRYPT-LUKS2-x-root", PV, "", "", "", SEEN_NONE, KIND_OS, "physical volume"},
      {"dm-1", "dm-0", 0, "LVM-ab", EXT4, "", "", "/", SEEN_NONE, KIND_OS, "inside an encrypted"},
      {"dm-2", "dm-0", 0, "LVM-cd", SWAP, "", "", "", SEEN_NONE, KIND_FIXED, "swap space"},
      {"dm-3", "dm-0", 0, "LVM-ef", EXT4, "", "", "/home", SEEN_NONE, KIND_FIXED, "inside an encrypted"}}},
    {"one LVM over two disks, one of them encrypted; LUKS2 above",
     {{"sda", "", 0, "", EMPTY, GPT, "", "", SEEN_NONE, KIND_OS, "partitions"},
      {"sda1", "disk:sda", 0, "", EXT4, "", "", "/", SEEN_UNENCRYPTED, KIND_OS, ""},
      {"sda2", "disk:sda", 0, "", PV, "", "", "", SEEN_NONE, KIND_FIXED, "physical volume"},
      {"sdb", "", 0, "", LUKS2, "", "", "", SEEN_LUKS2, KIND_FIXED, ""},
      {"dm-0", "sdb", 0, "CRYPT-LUKS2-y-pv2", PV, "", "", "", SEEN_NONE, KIND_FIXED, "physical volume"},
      {"dm-1", "sda2 dm-0", 0, "LVM-x", EXT4, "", "", "/data", SEEN_UNENCRYPTED, KIND_FIXED, ""},
      {"dm-2", "sda2 dm-0", 0, "LVM-y", LUKS2, "", "", "", SEEN_LUKS2, KIND_FIXED, ""},
      {"dm-3", "dm-2", 0, "CRYPT-LUKS2-z-safe", EXT4, "", "", "/safe", SEEN_NONE, KIND_FIXED,
       "inside an encrypted"},
      {"dm-4", "dm-0", 0, "LVM-z", EXT4, "", "", "/inner", SEEN_NONE, KIND_FIXED, "inside an encrypted"}}},
    {"sticks and cards",
     {{"sdb", "", USB, "", EMPTY, "dos", "", "", SEEN_NONE, KIND_REMOVABLE, "partitions"},
      {"sdb1", "disk:sdb", 0, "", LUKS2, "", "0x83", "", SEEN_LUKS2, KIND_REMOVABLE, ""},
      {"sdc", "", USB, "", BITLK, "", "", "", SEEN_BITLOCKER, KIND_REMOVABLE, ""},
      {"sdd", "", USB, "", VFAT, "", "", "/media/a", SEEN_UNENCRYPTED, KIND_REMOVABLE, ""},
      {"sde", "", USB | RO, "", VFAT, "", "", "", SEEN_NONE, KIND_REMOVABLE, "read-only"},
      {"sdf", "", USB, "", "iso9660", "filesystem", "", "", "", "", SEEN_NONE, KIND_REMOVABLE, "only read"},
      {"sdg", "", USB | NO_MEDIUM, "", EMPTY, "", "", "", SEEN_NONE, KIND_REMOVABLE, "no medium"}}},
    {"the system itself on a stick is the system",
     {{"sda", "", USB, "", EMPTY, GPT, "", "", SEEN_NONE, KIND_OS, "partitions"},
      {"sda1", "disk:sda", 0, "", LUKS2, "", "", "", SEEN_LUKS2, KIND_OS, ""},
      {"dm-0", "sda1", 0, "CRYPT-LUKS2-x", EXT4, "", "", "/", SEEN_NONE, KIND_OS, "inside"}}},
    {"LUKS1, and encrypted in other ways",
     {{"sda1", "", 0, "", LUKS1, "", "", "", SEEN_LUKS1, KIND_FIXED, ""},
      {"sda2", "", 0, "", EMPTY, "", "", "", SEEN_OTHER_CRYPT, KIND_FIXED, "header is not on it"},
      {"dm-0", "sda2", 0, "CRYPT-PLAIN-swap", SWAP, "", "", "", SEEN_NONE, KIND_FIXED, "swap space"},
      {"sda3", "", 0, "", "cs_fvault2", "crypto", "", "", "", "", SEEN_OTHER_CRYPT, KIND_FIXED, "cs_fvault2"},
      {"sda4", "", BITLK_OFF, "", BITLK, "", "", "", SEEN_UNENCRYPTED, KIND_FIXED, ""}}},
    {"arrays",
     {{"sda1", "", 0, "", RAID, "", "", "", SEEN_NONE, KIND_OS, "member of the array md0"},
      {"sdb1", "", 0, "", RAID, "", "", "", SEEN_NONE, KIND_OS, "member of the array md0"},
      {"md0", "sda1 sdb1", MD, "", LUKS2, "", "", "", SEEN_LUKS2, KIND_OS, ""},
      {"dm-0", "md0", 0, "CRYPT-LUKS2-x", EXT4, "", "", "/", SEEN_NONE, KIND_OS, "inside"},
      {"sdc1", "", 0, "", RAID, "", "", "", SEEN_NONE, KIND_FIXED, "array that is not running"},
      {"sdd", "", 0, "", PV, "", "", "", SEEN_NONE, KIND_FIXED, "group is not active"},
      {"md1", "sde", MD, "", EMPTY, GPT, "", "", SEEN_NONE, KIND_OS, "partitions"},
      {"sde", "", 0, "", LUKS2, "", "", "", SEEN_NONE, KIND_OS, "member of the array md1"},
      {"md1p1", "disk:md1", 0, "", EXT4, "", "", "/usr", SEEN_UNENCRYPTED, KIND_OS, ""}}},
    {"multipath, verity, kpartx",
     {{"sda", "", 0, "", LUKS2, "", "", "", SEEN_NONE, KIND_FIXED, "path of the multipath"},
      {"sdb", "", 0, "", LUKS2, "", "", "", SEEN_NONE, KIND_FIXED, "path of the multipath"},
      {"dm-0", "sda sdb", 0, "mpath-36", LUKS2, "", "", "", SEEN_LUKS2, KIND_FIXED, ""},
      {"sdc1", "", 0, "", "erofs", "filesystem", "", "", "", "", SEEN_NONE, KIND_OS, "a part of"},
      {"sdc2", "", 0, "", EMPTY, "", "", "", SEEN_NONE, KIND_OS, "a part of"},
      {"dm-1", "sdc1 sdc2", RO, "CRYPT-VERITY-x", "erofs", "filesystem", "", "", "", "/usr", SEEN_NONE,
       KIND_OS, "read-only"}}},
    {"loop devices take what their file lies on",
     {{"sda1", "", 0, "", LUKS2, "", "", "", SEEN_LUKS2, KIND_OS, ""},
      {"dm-0", "sda1", 0, "CRYPT-LUKS2-x", EXT4, "", "", "/", SEEN_NONE, KIND_OS, "inside"},
      {"sda2", "", 0, "", EXT4, "", "", "/srv", SEEN_UNENCRYPTED, KIND_FIXED, ""},
      {"loop0", "file:/var/lib/images/a.img", 0, "", EXT4, "", "", "/mnt/a", SEEN_NONE, KIND_FIXED, "inside"},
      {"loop1", "file:/srv/b.img", 0, "", EXT4, "", "", "", SEEN_UNENCRYPTED, KIND_FIXED, ""},
      {"loop2", "file:/srv/c.img", 0, "", LUKS2, "", "", "", SEEN_LUKS2, KIND_FIXED, ""},
      {"loop3", "", NO_MEDIUM, "", EMPTY, "", "", "", SEEN_NONE, KIND_FIXED, "no medium"},
      {"loop4", "file:/var/lib/snap.img", RO, "", "squashfs", "filesystem", "", "", "", "/snap", SEEN_NONE,
       KIND_FIXED, "read-only"}}},
    {"nested, and what stands beside Windows",
     {{"sda", "", 0, "", EMPTY, GPT, "", "", SEEN_NONE, KIND_OS, "partitions"},
      {"sda1", "disk:sda", 0, "", EMPTY, "", "e3c9e316-0b5c-4db8-817d-f92df00215ae", "", SEEN_NONE,
       KIND_FIXED, "MSR"},
      {"sda2", "disk:sda", 0, "", BITLK, "", "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7", "", SEEN_BITLOCKER,
       KIND_FIXED, ""},
      {"sda3", "disk:sda", 0, "", "ntfs", "filesystem", "", "", "DE94BBA4-06D1-4D40-A16A-BFD50179D6AC", "",
       SEEN_NONE, KIND_FIXED, "recovery tools"},
      {"sda4", "disk:sda", 0, "", EMPTY, "", "21686148-6449-6e6f-744e-656564454649", "", SEEN_NONE,
       KIND_FIXED, "BIOS"},
      {"sda5", "disk:sda", 0, "", LUKS2, "", "", "", SEEN_LUKS2, KIND_OS, ""},
      {"dm-0", "sda5", 0, "CRYPT-LUKS2-x-outer", LUKS2, "", "", "", SEEN_LUKS2, KIND_OS, ""},
      {"dm-1", "dm-0", 0, "CRYPT-LUKS2-y-inner", EXT4, "", "", "/", SEEN_NONE, KIND_OS, "inside"},
      {"dm-2", "sda2", 0, "CRYPT-BITLK-z-win", "ntfs", "filesystem", "", "", "", "/win", SEEN_NONE,
       KIND_FIXED, "inside"}}},
    {"no volumes",
     {{"sr0", "", 0, "", EMPTY, "", "", "", SEEN_NONE, KIND_FIXED, "CD"},
      {"fd0", "", 0, "", EMPTY, "", "", "", SEEN_NONE, KIND_FIXED, "floppy"},
      {"ram0", "", 0, "", EMPTY, "", "", "", SEEN_NONE, KIND_FIXED, "memory"},
      {"zram0", "", 0, "", SWAP, "", "", "", SEEN_NONE, KIND_FIXED, "compressed memory"},
      {"sda", "", TIMEOUT, "", EMPTY, "", "", "", SEEN_NONE, KIND_FIXED, "does not answer"},
      {"sdb", "", GONE, "", EMPTY, "", "", "", SEEN_NONE, KIND_FIXED, "went away"},
      {"sdc", "", DENIED, "", EMPTY, "", "", "", SEEN_NONE, KIND_FIXED, "cannot be read"},
      {"sdd", "", 0, "", EMPTY, "", "", "", SEEN_NONE, KIND_FIXED, "empty"},
      {"sde", "", 0, "", EMPTY, GPT, "", "", SEEN_NONE, KIND_FIXED, "empty partition table"},
      {"sdf", "", AMBIGUOUS, "", EMPTY, "", "", "", SEEN_NONE, KIND_FIXED, "contradict"},
      {"sdg", "", 0, "", SWAP, "", "", "", SEEN_NONE, KIND_FIXED, "swap space; it is not encrypted"},
      {"sdh", "", 0, "", "jbd", "other", "", "", "", "", SEEN_NONE, KIND_FIXED, "jbd"},
      {"srv0", "", 0, "", EXT4, "", "", "", SEEN_UNENCRYPTED, KIND_FIXED, ""}}},
    {"btrfs over two disks",
     {{"sda1", "", 0, "", "btrfs", "filesystem", "", "", "", "btrfs:/", SEEN_UNENCRYPTED, KIND_OS, ""},
      {"sdb1", "", 0, "", "btrfs", "filesystem", "", "", "", "", SEEN_UNENCRYPTED, KIND_OS, ""}}},
};

struct facts {
    struct block_tree tree;
    struct mount_table mounts;
    struct probed *probed;
    const char *part_types[16];
};

static unsigned rows_of(const struct computer *c)
{
    unsigned n = 0;
    while (n < 16 && c->row[n].name)
        n++;
    return n;
}

static void stand_on(struct block_tree *t, unsigned i, const char *below)
{
    char text[256], *save = NULL;
    strcpy(text, below);
    for (char *w = strtok_r(text, " ", &save); w; w = strtok_r(NULL, " ", &save))
        if (strncmp(w, "file:", 5) == 0) {
            strcpy(t->device[i].backing_file, w + 5);
        } else if (strncmp(w, "disk:", 5) == 0) {
            t->device[i].partition = true;
            t->device[i].disk = block_find(t, w + 5);
            t->device[i].number =
                (unsigned)atoi(t->device[i].name + strcspn(t->device[i].name, "1234567890"));
            if (strncmp(t->device[i].name, "nvme", 4) == 0 || strncmp(t->device[i].name, "md", 2) == 0)
                t->device[i].number = (unsigned)atoi(strrchr(t->device[i].name, 'p') + 1);
        } else {
            t->link[t->n_links++] = (struct block_link){(uint16_t)i, (uint16_t)block_find(t, w)};
        }
}

static void mount_on(struct facts *f, unsigned i, const char *points)
{
    char text[256], *save = NULL;
    strcpy(text, points);
    for (char *w = strtok_r(text, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
        struct mount *m = &f->mounts.mount[f->mounts.n++];
        bool btrfs = strncmp(w, "btrfs:", 6) == 0; /* a number of its own: only the source tells */
        m->major = btrfs ? 0 : f->tree.device[i].major;
        m->minor = btrfs ? 42 : f->tree.device[i].minor;
        (void)snprintf(m->source, sizeof m->source, "/dev/%s", f->tree.device[i].name);
        strcpy(m->point, btrfs ? w + 6 : w);
    }
}

static void to_device(const struct row *r, unsigned i, struct block_device *d)
{
    *d = (struct block_device){.disk = -1, .major = 8, .minor = i, .has_number = true, .size = 1 << 30};
    strcpy(d->name, r->name);
    strcpy(d->dm_uuid, r->dm_uuid);
    if (r->dm_uuid[0])
        (void)snprintf(d->dm_name, sizeof d->dm_name, "name-%u", i);
    d->read_only = r->flags & RO;
    d->removable = r->flags & USB;
    d->md = r->flags & MD;
    if (r->flags & NO_MEDIUM)
        d->size = 0;
}

static void to_probed(const struct row *r, struct probed *p)
{
    strcpy(p->type, r->type);
    strcpy(p->usage, r->usage);
    strcpy(p->version, r->version);
    strcpy(p->table, r->table);
    if (strcmp(r->type, "btrfs") == 0)
        strcpy(p->uuid, "the same");
    p->ambiguous = r->flags & AMBIGUOUS;
    p->decrypted = r->flags & BITLK_OFF;
    p->err = r->flags & TIMEOUT  ? ERR_TIMEOUT
             : r->flags & GONE   ? ERR_NOT_FOUND
             : r->flags & DENIED ? ERR_DENIED
                                 : ERR_OK;
}

static void build(const struct computer *c, struct facts *f)
{
    unsigned n = rows_of(c);
    memset(f, 0, sizeof *f);
    f->tree = (struct block_tree){
        .n = n, .device = calloc(n, sizeof *f->tree.device), .link = calloc(64, sizeof *f->tree.link)};
    f->mounts.mount = calloc(64, sizeof *f->mounts.mount);
    f->probed = calloc(n, sizeof *f->probed);
    for (unsigned i = 0; i < n; i++) {
        to_device(&c->row[i], i, &f->tree.device[i]);
        to_probed(&c->row[i], &f->probed[i]);
    }
    for (unsigned i = 0; i < n; i++) {
        stand_on(&f->tree, i, c->row[i].below);
        mount_on(f, i, c->row[i].mount);
        int disk = f->tree.device[i].disk;
        if (disk >= 0 && c->row[i].part_type[0]) {
            struct probed_part *part = &f->probed[disk].part[f->probed[disk].n_parts++];
            part->number = f->tree.device[i].number;
            strcpy(part->type, c->row[i].part_type);
        }
    }
}

static void destroy(struct facts *f)
{
    block_tree_free(&f->tree);
    mount_table_free(&f->mounts);
    free(f->probed);
}

static void test_computers(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof computers / sizeof computers[0]; k++) {
        struct facts f;
        struct seen s[16];
        build(&computers[k], &f);
        const struct classify_facts facts = {&f.tree, &f.mounts, f.probed};
        assert_int_equal(classify(&facts, s), ERR_OK);
        for (unsigned i = 0; i < f.tree.n; i++) {
            const struct row *r = &computers[k].row[i];
            if (s[i].class != r->class || s[i].kind != r->kind || !strstr(s[i].why, r->why))
                fail_msg("%s, %s: %s, %s, \"%s\"", computers[k].name, r->name, seen_class_name(s[i].class),
                         volume_kind_name(s[i].kind), s[i].why);
        }
        destroy(&f);
    }
}

/* What is said besides: which computer and device, and the one flag that the row is about. */
static void test_details(void **state)
{
    (void)state;
    static const struct {
        unsigned computer;
        const char *device, *mount;
        bool unlocked, boot, clear_swap, part_clear, no_answer;
    } rows[] = {
        {0, "nvme0n1p2", "/boot", .boot = true},  {0, "nvme0n1p3", "/", .unlocked = true},
        {1, "dm-1", "/data", .part_clear = true}, {1, "sda1", "/", .boot = false},
        {2, "sdc", "", .unlocked = false},        {9, "sdg", "", .clear_swap = true},
        {4, "dm-0", "", .clear_swap = false},     {9, "sda", "", .no_answer = true},
        {10, "sdb1", "/", .boot = false},         {8, "sda5", "/", .unlocked = true},
    };
    for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) {
        struct facts f;
        struct seen s[16];
        build(&computers[rows[k].computer], &f);
        const struct classify_facts facts = {&f.tree, &f.mounts, f.probed};
        assert_int_equal(classify(&facts, s), ERR_OK);
        const struct seen *is = &s[block_find(&f.tree, rows[k].device)];
        if (strcmp(is->mount, rows[k].mount) != 0 || is->unlocked != rows[k].unlocked ||
            is->boot != rows[k].boot || is->clear_swap != rows[k].clear_swap ||
            is->part_clear != rows[k].part_clear || is->no_answer != rows[k].no_answer)
            fail_msg("%s, %s: mount \"%s\", unlocked %d, boot %d, clear swap %d, part clear %d, no answer %d",
                     computers[rows[k].computer].name, rows[k].device, is->mount, is->unlocked, is->boot,
                     is->clear_swap, is->part_clear, is->no_answer);
        destroy(&f);
    }
}

/* sysfs is read piece by piece: links in a circle must end. */
static void test_circle(void **state)
{
    (void)state;
    static const struct computer circle = {"circle",
                                           {{"dm-0", "dm-1", 0, "LVM-a", EXT4, "", "", "/", 0, 0, ""},
                                            {"dm-1", "dm-0", 0, "LVM-b", EXT4, "", "", "", 0, 0, ""}}};
    struct facts f;
    struct seen s[16];
    build(&circle, &f);
    const struct classify_facts facts = {&f.tree, &f.mounts, f.probed};
    assert_int_equal(classify(&facts, s), ERR_OK);
    assert_int_equal(s[0].class, SEEN_NONE);
    destroy(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_computers), cmocka_unit_test(test_details),
                                       cmocka_unit_test(test_circle)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
