#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* All block devices of this computer, looked at once: what stands where (sysfs), what is on it (the probe),
 * what it is (classify). A device that does not answer costs PROBER_DEVICE_MS, once. */

#include "agent/device/blockdev.h"
#include "agent/device/classify.h"
#include "agent/device/mounts.h"
#include "agent/device/probed.h"
#include "crypto/err.h"

struct inventory {
    struct block_tree tree;
    struct mount_table mounts;
    struct probed *probed; /* one for each device of tree */
    struct seen *seen;     /* likewise */
};

/* root: --root. ret: inventory_free() it. err: NOMEM */
MUST_CHECK enum err inventory_make(const char *root, struct inventory *ret);
void inventory_free(struct inventory *v);

/* Path of a device's node below root ("/dev/sda2"). ret: PATH_MAX bytes. err: RANGE */
MUST_CHECK enum err inventory_path(const char *root, const struct block_device *d, char *ret);
/* The name that people know: "/dev/mapper/root" where there is one. ret: PATH_MAX bytes */
void inventory_name(const struct block_device *d, char *ret);
/* Index of the device with this path below root, -1 none. */
int inventory_find(const struct inventory *v, const char *root, const char *path);
