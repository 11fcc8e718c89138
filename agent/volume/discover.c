/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/volume/discover.h"
#include "crypto/host/file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct search {
    struct agent *a;
    struct cache_volume *known; /* of the cache */
    unsigned n_known;
    struct found *found;
    unsigned n;
};

/* By what is built upon a block device; FOUND_NEW when nothing is. */
static uint8_t rank_of(const struct block_tree *t, unsigned i)
{
    if (block_unlocked(t, i) >= 0)
        return FOUND_OPEN;
    return block_is_part(t, i, NULL) ? FOUND_PART : FOUND_NEW;
}

static bool is_same_device(const char *one, const char *other)
{
    struct stat a, b;
    if (stat(one, &a) < 0 || stat(other, &b) < 0)
        return strcmp(one, other) == 0;
    if (S_ISBLK(a.st_mode) && S_ISBLK(b.st_mode))
        return a.st_rdev == b.st_rdev;
    return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static void add(struct search *s, const char *device, uint8_t rank, const struct guid *uuid, bool token)
{
    struct found f = {.uuid = *uuid, .rank = rank};
    bool known = false;
    if (strlen(device) >= sizeof f.device)
        return;
    for (unsigned i = 0; i < s->n; i++)
        if (is_same_device(s->found[i].device, device))
            return;
    for (unsigned i = 0; i < s->n_known; i++)
        if (guid_equal(&s->known[i].uuid, &f.uuid)) {
            known = true; /* looked at even when its tokens are gone: that is news */
            if (rank == FOUND_NEW && is_same_device(s->known[i].device, device))
                f.rank = FOUND_REMEMBERED;
        }
    if (!token && !known)
        return;
    strcpy(f.device, device);
    s->found[s->n++] = f;
}

/* What the probe saw: nothing is read here, so no device can keep the keeper waiting. */
static void add_block_devices(struct search *s, const struct inventory *v)
{
    char device[PATH_MAX];
    for (unsigned i = 0; i < v->tree.n; i++)
        if (v->probed[i].has_volume_id && inventory_path(s->a->root, &v->tree.device[i], device) == ERR_OK)
            add(s, device, rank_of(&v->tree, i), &v->probed[i].volume_id, v->probed[i].ours);
}

/* Image files, which are in no list of the kernel's. */
static void add_remembered(struct search *s, const char *device)
{
    struct guid uuid;
    struct stat st;
    bool token = false;
    if (stat(device, &st) == 0 && S_ISREG(st.st_mode) && header_look(device, &uuid, &token))
        add(s, device, FOUND_NEW, &uuid, token);
}

static void search(struct search *s, const struct inventory *v)
{
    add_block_devices(s, v);
    for (unsigned i = 0; i < s->n_known; i++)
        add_remembered(s, s->known[i].device);
}

enum err discover_in(struct agent *a, const struct inventory *v, struct found **ret, unsigned *ret_n)
{
    struct search s = {.a = a};
    TRY(cache_volumes(a->cache, &s.known, &s.n_known));
    s.found = calloc(v->tree.n + s.n_known + 1, sizeof *s.found); /* at most */
    if (s.found) {
        search(&s, v);
        *ret = s.found;
        *ret_n = s.n;
    }
    free(s.known);
    return s.found ? ERR_OK : ERR_NOMEM;
}

enum err discover_devices(struct agent *a, struct found **ret, unsigned *ret_n)
{
    struct inventory v;
    TRY(inventory_make(a->root, &v));
    enum err e = discover_in(a, &v, ret, ret_n);
    inventory_free(&v);
    return e;
}

/* The device that is the volume with this UUID. */
static const struct found *volume_of(const struct found *f, unsigned n, const struct guid *uuid)
{
    const struct found *best = NULL;
    for (unsigned i = 0; i < n; i++)
        if (guid_equal(&f[i].uuid, uuid) && (!best || f[i].rank > best->rank))
            best = &f[i];
    return best;
}

enum err discover_volumes(struct agent *a, void (*each)(struct agent *a, struct header *h))
{
    struct inventory v;
    TRY(inventory_make(a->root, &v));
    enum err e = discover_volumes_in(a, &v, each);
    inventory_free(&v);
    return e;
}

enum err discover_volumes_in(struct agent *a, const struct inventory *v,
                             void (*each)(struct agent *a, struct header *h))
{
    struct found *f = NULL;
    struct problem ignored = {""}; /* not there any more, or not ours to judge */
    struct header *h;
    unsigned n = 0;
    enum err e = discover_in(a, v, &f, &n);
    for (unsigned i = 0; e == ERR_OK && i < n; i++)
        if (volume_of(f, n, &f[i].uuid) == &f[i] && header_open(f[i].device, &ignored, &h) == ERR_OK) {
            each(a, h);
            header_close(h);
        }
    free(f);
    return e;
}

enum err discover_original(struct agent *a, const struct header *h, char ret_volume[PATH_MAX])
{
    struct found *f = NULL;
    unsigned n = 0;
    uint8_t own = FOUND_NEW;
    enum err e = discover_devices(a, &f, &n);
    for (unsigned i = 0; e == ERR_OK && i < n; i++)
        if (is_same_device(f[i].device, h->device))
            own = f[i].rank;
    const struct found *volume = e == ERR_OK ? volume_of(f, n, &h->luks.uuid) : NULL;
    if (e == ERR_OK && (!volume || volume->rank <= own))
        e = ERR_NOT_FOUND;
    if (e == ERR_OK)
        strcpy(ret_volume, volume->device);
    free(f);
    return e;
}
