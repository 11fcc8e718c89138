#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What each block device is: a volume, and of what kind, or no volume, and why not. Pure: judges by facts
 * that others collected (sysfs, mounts, the probe), so every case is a row of a table in its test. */

#include "agent/device/blockdev.h"
#include "agent/device/mounts.h"
#include "agent/device/probed.h"
#include <stdbool.h>
#include <stdint.h>

#define SEEN_WHY   240
#define SEEN_MOUNT 256

enum seen_class {
    SEEN_NONE = 1, /* no volume; why says what it is */
    SEEN_LUKS2 = 2,
    SEEN_LUKS1 = 3,
    SEEN_BITLOCKER = 4,
    SEEN_OTHER_CRYPT = 5, /* encrypted in a way that Keyholt has no keys for */
    SEEN_UNENCRYPTED = 6
};

enum volume_kind {
    KIND_OS = 1,       /* what /, /usr and /boot sit on */
    KIND_FIXED = 2,    /* built in */
    KIND_REMOVABLE = 3 /* goes elsewhere: USB, memory card, what the firmware calls so */
};

struct seen {
    uint8_t class;          /* enum seen_class */
    uint8_t kind;           /* enum volume_kind */
    bool unlocked;          /* an encrypted volume that is open now */
    bool boot;              /* clear on purpose: the boot loader reads it */
    bool clear_swap;        /* swap space that is not encrypted: memory is written there */
    bool part_clear;        /* an unencrypted file system, of which some of the disks below are encrypted */
    bool no_answer;         /* it could not be looked at */
    char why[SEEN_WHY];     /* of SEEN_NONE and SEEN_OTHER_CRYPT: a half sentence */
    char mount[SEEN_MOUNT]; /* the most telling mount point of what is on it; empty: not in use */
};

struct classify_facts {
    const struct block_tree *tree;
    const struct mount_table *mounts;
    const struct probed *probed; /* one for each device */
};

/* Must this device be left closed? Opening a drive moves its tray, a floppy drive grinds, memory is no disk.
 * ret_why: then, half a sentence, static */
bool classify_leave_closed(const struct block_tree *t, unsigned i, const char **ret_why);
/* Is it a whole disk, as far as its partition table goes? */
bool classify_is_disk(const struct block_tree *t, unsigned i);

/* All devices. ret: tree->n elements. err: NOMEM */
MUST_CHECK enum err classify(const struct classify_facts *f, struct seen *ret);

/* "os", "fixed", "removable"; "luks2", "luks1", "bitlocker", "other", "unencrypted", "none". Never NULL. */
const char *volume_kind_name(uint8_t kind);
const char *seen_class_name(uint8_t class);
