/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/device/blockdev.h"
#include <string.h>

int block_find(const struct block_tree *t, const char *name)
{
    for (unsigned i = 0; i < t->n; i++)
        if (strcmp(t->device[i].name, name) == 0)
            return (int)i;
    return -1;
}

int block_find_number(const struct block_tree *t, unsigned major, unsigned minor)
{
    for (unsigned i = 0; i < t->n; i++)
        if (t->device[i].has_number && t->device[i].major == major && t->device[i].minor == minor)
            return (int)i;
    return -1;
}

int block_find_path(const struct block_tree *t, const char *path)
{
    if (strncmp(path, "/dev/", 5) != 0)
        return -1;
    if (strncmp(path, "/dev/mapper/", 12) != 0)
        return block_find(t, path + 5);
    for (unsigned i = 0; i < t->n; i++)
        if (t->device[i].dm_name[0] && strcmp(t->device[i].dm_name, path + 12) == 0)
            return (int)i;
    return -1;
}

/* Prefixes of what encrypts; a sub-device stands below such a mapping and holds what it has encrypted already
 * (LUKS2 with integrity protection). source: cryptsetup 2.6 lib/utils_dm.h, lib/utils_devpath.c
 * (dm_prepare_uuid) */
bool block_is_crypt(const struct block_device *d)
{
    static const char *const kind[] = {"LUKS1-",  "LUKS2-", "PLAIN-",   "LOOPAES-",
                                       "TCRYPT-", "BITLK-", "FVAULT2-", "SUBDEV-"};
    if (strncmp(d->dm_uuid, "CRYPT-", 6) != 0)
        return false;
    for (size_t i = 0; i < sizeof kind / sizeof kind[0]; i++)
        if (strncmp(d->dm_uuid + 6, kind[i], strlen(kind[i])) == 0)
            return true;
    return false;
}

bool block_is_part(const struct block_tree *t, unsigned i, unsigned *ret_upper)
{
    for (unsigned k = 0; k < t->n_links; k++)
        if (t->link[k].lower == i && !block_is_crypt(&t->device[t->link[k].upper])) {
            if (ret_upper)
                *ret_upper = t->link[k].upper;
            return true;
        }
    return false;
}

int block_unlocked(const struct block_tree *t, unsigned i)
{
    for (unsigned k = 0; k < t->n_links; k++)
        if (t->link[k].lower == i && block_is_crypt(&t->device[t->link[k].upper]))
            return t->link[k].upper;
    return -1;
}
