#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How devices stand on one another: for classify.c, and for where a key may be kept (encrypted_place.c). */

#include "agent/device/classify.h"

enum cover {
    COVER_NONE = 1, /* every way down reaches a disk in clear */
    COVER_PART = 2, /* some ways are encrypted */
    COVER_FULL = 3
};

/* What lies between a device and the disks below it. */
enum cover stack_cover(const struct classify_facts *f, unsigned i);
/* Is one of the disks below it plugged in from outside? */
bool stack_is_removable(const struct classify_facts *f, unsigned i);
/* Mark every device that /, /usr and /boot sit on. ret: tree->n elements */
void stack_mark_os(const struct classify_facts *f, bool *ret);
/* The most telling mount point of a device and of what is built upon it: the one nearest to the root. ""
 * none. ret_only_boot: it is used, and for nothing but /boot. ret: SEEN_MOUNT bytes */
void stack_mount(const struct classify_facts *f, unsigned i, char *ret, bool *ret_only_boot);
