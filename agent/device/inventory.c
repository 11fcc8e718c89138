/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/device/inventory.h"
#include "agent/device/prober.h"
#include "crypto/host/file.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum err inventory_path(const char *root, const struct block_device *d, char *ret)
{
    char path[BLOCK_NAME + 8];
    (void)snprintf(path, sizeof path, "/dev/%s", d->name);
    return file_join(root, path, ret, PATH_MAX);
}

void inventory_name(const struct block_device *d, char *ret)
{
    if (d->dm_name[0])
        (void)snprintf(ret, PATH_MAX, "/dev/mapper/%s", d->dm_name);
    else
        (void)snprintf(ret, PATH_MAX, "/dev/%s", d->name);
}

int inventory_find(const struct inventory *v, const char *root, const char *path)
{
    size_t n = strlen(root);
    return strncmp(path, root, n) == 0 ? block_find_path(&v->tree, path + n) : -1;
}

static void look(const char *root, struct inventory *v)
{
    struct prober p = PROBER_CLOSED;
    char path[PATH_MAX];
    const char *why;
    for (unsigned i = 0; i < v->tree.n; i++)
        if (classify_leave_closed(&v->tree, i, &why))
            continue;
        else if (inventory_path(root, &v->tree.device[i], path) != ERR_OK)
            v->probed[i].err = ERR_RANGE;
        else
            prober_ask(&p, path, classify_is_disk(&v->tree, i), &v->probed[i]);
    prober_close(&p);
}

static enum err fill(const char *root, struct inventory *v)
{
    TRY(block_tree_load(root, &v->tree));
    TRY(mount_table_load(root, &v->mounts));
    v->probed = calloc(v->tree.n + 1, sizeof *v->probed);
    v->seen = calloc(v->tree.n + 1, sizeof *v->seen);
    if (!v->probed || !v->seen)
        return ERR_NOMEM;
    look(root, v);
    const struct classify_facts facts = {&v->tree, &v->mounts, v->probed};
    return classify(&facts, v->seen);
}

enum err inventory_make(const char *root, struct inventory *ret)
{
    struct inventory v = {0};
    enum err e = fill(root, &v);
    if (e == ERR_OK)
        *ret = v;
    else
        inventory_free(&v);
    return e;
}

void inventory_free(struct inventory *v)
{
    block_tree_free(&v->tree);
    mount_table_free(&v->mounts);
    free(v->probed);
    free(v->seen);
    *v = (struct inventory){0};
}
