#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is mounted where: /proc/self/mountinfo. source: proc_pid_mountinfo(5) */

#include "agent/device/blockdev.h"
#include "crypto/err.h"

#define MOUNTS_MAX 1024 /* more are not looked at */
#define MOUNT_TEXT 512
#define MOUNT_TYPE 32

struct mount {
    unsigned major, minor;
    char point[MOUNT_TEXT], source[MOUNT_TEXT], type[MOUNT_TYPE];
    bool read_only; /* this mount or the file system below it */
};

struct mount_table {
    unsigned n;
    struct mount *mount;
};

/* Read the table below root. A line that is not understood is left out; no such file is an empty table.
 * ret: mount_table_free() it. err: NOMEM */
MUST_CHECK enum err mount_table_load(const char *root, struct mount_table *ret);
void mount_table_free(struct mount_table *m);

/* One line of the file. err: FORMAT */
MUST_CHECK enum err mount_parse(const char *line, struct mount *ret);

/* Index of the device that a file system lies on, -1 none (tmpfs, network). By number; btrfs and the like
 * have numbers of their own, there the source counts. */
int mount_device(const struct mount *m, const struct block_tree *t);
/* The file system that a path is on: the last mount with the longest fitting point. NULL: none */
const struct mount *mount_of_path(const struct mount_table *m, const char *path);
