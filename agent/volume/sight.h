#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a look at all devices found of a volume that the cache remembers. "Verified" is said only of one that
 * was there and read; one that is not here is neither yes nor no; one whose device is here and has no header
 * any more is lost, and that is news. */

#include "agent/device/inventory.h"
#include "agent/state/agent.h"
#include "agent/volume/discover.h"
#include "crypto/err.h"

enum sight {
    SIGHT_ABSENT = 1,   /* its device is not here, or holds something else now */
    SIGHT_UNREAD = 2,   /* here, but it does not answer or cannot be read now */
    SIGHT_READ = 3,     /* its header, or BitLocker's metadata, is there */
    SIGHT_DESTROYED = 4 /* its device is here, and neither copy of its LUKS2 header */
};

/* Judge one volume. found: of discover_in() with this inventory
 * cost: reads the header where the inventory did not see it */
uint8_t sight_of(struct agent *a, const struct inventory *v, const struct found *found, unsigned n,
                 const struct cache_volume *k);
/* After a look at every volume: remember what is needed to tell a device from another one of its name, and
 * record every header that is destroyed: state, note, an event. Failures are said. */
void sight_look(struct agent *a, const struct inventory *v);
