#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The block devices of this computer and how they stand on one another, from sysfs alone: nothing of a device
 * is read, so nothing here can hang or wake a disk.
 * source: Linux Documentation/ABI/stable/sysfs-block, testing/sysfs-block-dm, testing/sysfs-devices-removable
 */

#include "crypto/err.h"
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BLOCK_NAME         128
#define BLOCK_UUID         160  /* of device-mapper; longer ones are cut */
#define BLOCK_DEVICES_MAX  2048 /* more are not looked at */
#define BLOCK_LINKS_MAX    8192
#define BLOCK_DEPTH_MAX    32 /* of devices that stand on one another */
#define BLOCK_SIZE_UNKNOWN UINT64_MAX

struct block_device {
    char name[BLOCK_NAME]; /* below /dev: "sda2", "dm-0", "cciss/c0d0" */
    unsigned major, minor;
    bool has_number; /* major and minor are known */
    uint64_t size;   /* bytes; 0: no medium, BLOCK_SIZE_UNKNOWN */
    bool read_only, partition, md, hidden;
    bool removable;              /* the disk itself, or what it is plugged into */
    unsigned number;             /* of a partition */
    int disk;                    /* of a partition: index of its disk, -1 not known */
    char dm_name[BLOCK_NAME];    /* of device-mapper, else empty */
    char dm_uuid[BLOCK_UUID];    /* likewise: "CRYPT-LUKS2-…" */
    char backing_file[PATH_MAX]; /* of a loop device */
};

/* upper is made from lower. */
struct block_link {
    uint16_t upper, lower;
};

struct block_tree {
    unsigned n, n_links;
    bool cut; /* there are more devices than are listed */
    struct block_device *device;
    struct block_link *link;
};

/* Read /sys/class/block below root. What vanishes while it is read is left out; an attribute that is not
 * there keeps its default. No such folder is an empty tree. ret: block_tree_free() it. err: NOMEM */
MUST_CHECK enum err block_tree_load(const char *root, struct block_tree *ret);
void block_tree_free(struct block_tree *t);

/* Index by name below /dev; by number; -1 there is none. */
int block_find(const struct block_tree *t, const char *name);
int block_find_number(const struct block_tree *t, unsigned major, unsigned minor);
/* By the path of a node: "/dev/sda2", "/dev/mapper/root"; -1 for other paths. */
int block_find_path(const struct block_tree *t, const char *path);

/* Is this the mapping of an unlocked volume? Encryption only: dm-verity and dm-integrity are none. */
bool block_is_crypt(const struct block_device *d);
/* Does it look like a path, or a member, of a device that has been put together: is something built upon it
 * that is no unlocked volume? ret_upper: index of that device, when not NULL */
bool block_is_part(const struct block_tree *t, unsigned i, unsigned *ret_upper);
/* Index of the mapping that unlocks it, -1 locked. */
int block_unlocked(const struct block_tree *t, unsigned i);
