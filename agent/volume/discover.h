#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Find the volumes that carry a token of ours, with the cache lost, too; and tell a volume from its copies: a
 * backup made with dd, plugged in, has the same UUID and the same keys, but is not the disk of this computer.
 */

#include "agent/device/inventory.h"
#include "agent/state/agent.h"
#include "agent/volume/header.h"
#include "crypto/err.h"

/* Which of several devices with one UUID is the volume: the highest. */
enum found_rank {
    FOUND_PART = 1,       /* a part of another device (multipath, RAID): seen there again */
    FOUND_NEW = 2,        /* not seen before */
    FOUND_REMEMBERED = 3, /* where the cache knows the volume to be */
    FOUND_OPEN = 4        /* unlocked now */
};

struct found {
    struct guid uuid;
    char device[PATH_MAX];
    uint8_t rank; /* enum found_rank */
};

/* Every device with a token of ours, or with the UUID of a volume that the cache knows: block devices that
 * the inventory saw, then what the cache remembers (image files). ret: free() it */
MUST_CHECK enum err discover_in(struct agent *a, const struct inventory *v, struct found **ret,
                                unsigned *ret_n);
/* The same with an inventory made for it. */
MUST_CHECK enum err discover_devices(struct agent *a, struct found **ret, unsigned *ret_n);
/* Open each volume once, on the device that it is. Volumes that cannot be opened are skipped.
 * each: borrows h; its result is its own affair */
MUST_CHECK enum err discover_volumes(struct agent *a, void (*each)(struct agent *a, struct header *h));
MUST_CHECK enum err discover_volumes_in(struct agent *a, const struct inventory *v,
                                        void (*each)(struct agent *a, struct header *h));
/* Is this device only a copy of a volume that is elsewhere? ret_volume: where; NOT_FOUND when it is no copy
 */
MUST_CHECK enum err discover_original(struct agent *a, const struct header *h, char ret_volume[PATH_MAX]);
