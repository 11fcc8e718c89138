/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/volume/encrypted_place.h"
#include "agent/device/classify_stack.h"
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* Some file systems (btrfs) have a device number of their own; the mount table says which disk they are on.
 */
static int device_of(const struct classify_facts *f, const char *path, dev_t number)
{
    int i = block_find_number(f->tree, major(number), minor(number));
    const struct mount *m = i < 0 ? mount_of_path(f->mounts, path) : NULL;
    return m ? mount_device(m, f->tree) : i;
}

bool encrypted_place(const char *root, const char *path)
{
    struct block_tree tree = {0};
    struct mount_table mounts = {0};
    const struct classify_facts f = {.tree = &tree, .mounts = &mounts};
    struct stat s;
    bool covered = false;
    if (stat(path, &s) == 0 && block_tree_load(root, &tree) == ERR_OK &&
        mount_table_load(root, &mounts) == ERR_OK) {
        int i = device_of(&f, path, s.st_dev);
        covered = i >= 0 && stack_cover(&f, (unsigned)i) == COVER_FULL;
    }
    block_tree_free(&tree);
    mount_table_free(&mounts);
    return covered;
}
