/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/device/classify_stack.h"
#include <stdlib.h>
#include <string.h>

static bool is_system_path(const char *point)
{
    return strcmp(point, "/") == 0 || strcmp(point, "/usr") == 0 || strcmp(point, "/boot") == 0;
}

static int backing_device(const struct classify_facts *f, unsigned i)
{
    const struct block_device *d = &f->tree->device[i];
    const struct mount *m = d->backing_file[0] ? mount_of_path(f->mounts, d->backing_file) : NULL;
    return m ? mount_device(m, f->tree) : -1;
}

typedef void visit(const struct classify_facts *f, unsigned i, void *ctx);

/* Is b directly below a: a link, the disk of a partition, or the file system with a loop device's file? */
static bool is_below(const struct classify_facts *f, unsigned a, unsigned b, int backing)
{
    for (unsigned k = 0; k < f->tree->n_links; k++)
        if (f->tree->link[k].upper == a && f->tree->link[k].lower == b)
            return true;
    return f->tree->device[a].disk == (int)b || backing == (int)b;
}

static void each_below(const struct classify_facts *f, unsigned i, visit *v, void *ctx)
{
    int backing = backing_device(f, i);
    for (unsigned b = 0; b < f->tree->n; b++)
        if (b != i && is_below(f, i, b, backing))
            v(f, b, ctx);
}

/* One walk downwards; a loop device on a file system on itself cannot be, but sysfs changes while it is read.
 */
struct walk {
    unsigned depth;
    bool leaf, clear, crypt, removable;
    bool *mark;
};

static void go_down(const struct classify_facts *f, unsigned i, void *ctx);

static void look(const struct classify_facts *f, unsigned i, struct walk *w)
{
    struct walk below = {.depth = w->depth + 1, .leaf = true, .mark = w->mark};
    if (w->depth < BLOCK_DEPTH_MAX)
        each_below(f, i, go_down, &below);
    w->removable = w->removable || below.removable || f->tree->device[i].removable;
    if (block_is_crypt(&f->tree->device[i])) {
        w->crypt = true;
    } else if (below.leaf) {
        w->clear = true;
    } else {
        w->clear = w->clear || below.clear;
        w->crypt = w->crypt || below.crypt;
    }
}

static void go_down(const struct classify_facts *f, unsigned i, void *ctx)
{
    struct walk *w = ctx;
    w->leaf = false;
    if (w->mark && w->mark[i])
        return; /* was here */
    if (w->mark)
        w->mark[i] = true;
    look(f, i, w);
}

enum cover stack_cover(const struct classify_facts *f, unsigned i)
{
    struct walk w = {.depth = 0};
    look(f, i, &w);
    return !w.crypt ? COVER_NONE : w.clear ? COVER_PART : COVER_FULL;
}

bool stack_is_removable(const struct classify_facts *f, unsigned i)
{
    struct walk w = {.depth = 0};
    look(f, i, &w);
    return w.removable;
}

/* btrfs lies on several devices, of which a mount names one; they have its UUID in common. */
static bool is_sibling(const struct classify_facts *f, unsigned a, unsigned b)
{
    const struct probed *x = &f->probed[a], *y = &f->probed[b];
    return strcmp(x->type, "btrfs") == 0 && strcmp(y->type, "btrfs") == 0 && x->uuid[0] &&
           strcmp(x->uuid, y->uuid) == 0;
}

void stack_mark_os(const struct classify_facts *f, bool *ret)
{
    memset(ret, 0, f->tree->n * sizeof *ret);
    for (unsigned m = 0; m < f->mounts->n; m++) {
        struct walk w = {.mark = ret};
        int i = is_system_path(f->mounts->mount[m].point) ? mount_device(&f->mounts->mount[m], f->tree) : -1;
        for (unsigned k = 0; i >= 0 && k < f->tree->n; k++)
            if (k == (unsigned)i || is_sibling(f, (unsigned)i, k))
                go_down(f, k, &w);
    }
}

/* Does a device stand, at whatever height, on i? */
static bool stands_on(const struct classify_facts *f, unsigned upper, unsigned i, unsigned depth)
{
    if (upper == i)
        return true;
    if (depth == BLOCK_DEPTH_MAX)
        return false;
    for (unsigned k = 0; k < f->tree->n_links; k++)
        if (f->tree->link[k].upper == upper && stands_on(f, f->tree->link[k].lower, i, depth + 1))
            return true;
    int disk = f->tree->device[upper].disk;
    return disk >= 0 && stands_on(f, (unsigned)disk, i, depth + 1);
}

void stack_mount(const struct classify_facts *f, unsigned i, char *ret, bool *ret_only_boot)
{
    bool boot = false, other = false;
    ret[0] = 0;
    for (unsigned m = 0; m < f->mounts->n; m++) {
        const char *point = f->mounts->mount[m].point;
        int d = mount_device(&f->mounts->mount[m], f->tree);
        if (d < 0 || !(stands_on(f, (unsigned)d, i, 0) || is_sibling(f, (unsigned)d, i)))
            continue;
        boot = boot || strcmp(point, "/boot") == 0;
        other = other || strcmp(point, "/boot") != 0;
        if (strlen(point) < SEEN_MOUNT && (!ret[0] || strlen(point) < strlen(ret)))
            strcpy(ret, point);
    }
    *ret_only_boot = boot && !other;
}
