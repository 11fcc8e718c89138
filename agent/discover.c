/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/discover.h"
#include "crypto/host/file.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define BLOCK_CLASS "/sys/class/block"
/* How device-mapper's UUID of an unlocked volume begins. source: cryptsetup lib/utils_devpath.c, libdevmapper
 */
#define CRYPT_UUID "CRYPT-"

struct search {
    struct agent *a;
    struct cache_volume *known; /* of the cache */
    unsigned n_known;
    struct found *found;
    unsigned n;
};

static bool is_crypt(const char *holders, const char *name)
{
    char path[PATH_MAX], uuid[sizeof CRYPT_UUID] = "";
    int n = snprintf(path, sizeof path, "%s/%s/dm/uuid", holders, name);
    FILE *f = n > 0 && (size_t)n < sizeof path ? fopen(path, "re") : NULL;
    if (!f)
        return false;
    bool yes = fgets(uuid, sizeof uuid, f) && strcmp(uuid, CRYPT_UUID) == 0;
    (void)fclose(f);
    return yes;
}

/* What is built upon a block device; FOUND_NEW when nothing is. */
static uint8_t rank_by_holders(const char *root, const char *name)
{
    char place[512], path[PATH_MAX];
    uint8_t rank = FOUND_NEW;
    int n = snprintf(place, sizeof place, BLOCK_CLASS "/%s/holders", name);
    if (n < 0 || (size_t)n >= sizeof place || file_join(root, place, path, sizeof path) != ERR_OK)
        return rank;
    DIR *d = opendir(path);
    for (struct dirent *f; d && rank != FOUND_OPEN && (f = readdir(d));)
        if (f->d_name[0] != '.')
            rank = is_crypt(path, f->d_name) ? FOUND_OPEN : FOUND_PART;
    if (d)
        closedir(d);
    return rank;
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

static void add(struct search *s, const char *device, uint8_t rank)
{
    struct found f = {.rank = rank};
    bool token = false, known = false;
    if (s->n == DISCOVER_MAX || strlen(device) >= sizeof f.device || !header_look(device, &f.uuid, &token))
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

static void add_block_devices(struct search *s)
{
    char dir[PATH_MAX], device[PATH_MAX], name[300] = "/dev/";
    if (file_join(s->a->root, BLOCK_CLASS, dir, sizeof dir) != ERR_OK)
        return;
    DIR *d = opendir(dir);
    for (struct dirent *f; d && (f = readdir(d));) {
        if (f->d_name[0] == '.' || strlen(f->d_name) >= sizeof name - 5)
            continue;
        strcpy(name + 5, f->d_name);
        for (char *p = name + 5; *p; p++)
            if (*p == '!') /* how sysfs writes a slash */
                *p = '/';
        if (file_join(s->a->root, name, device, sizeof device) == ERR_OK)
            add(s, device, rank_by_holders(s->a->root, f->d_name));
    }
    if (d)
        closedir(d);
}

enum err discover_devices(struct agent *a, struct found *ret, unsigned *ret_n)
{
    struct search s = {.a = a, .found = ret, .known = calloc(CACHE_VOLUMES, sizeof *s.known)};
    if (!s.known)
        return ERR_NOMEM;
    enum err e = cache_volumes(a->cache, s.known, &s.n_known);
    if (e == ERR_OK) {
        add_block_devices(&s);
        for (unsigned i = 0; i < s.n_known; i++)
            add(&s, s.known[i].device, FOUND_NEW);
        *ret_n = s.n;
    }
    free(s.known);
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
    struct found *f = calloc(DISCOVER_MAX, sizeof *f);
    struct problem ignored; /* not there any more, or not ours to judge */
    struct header *h;
    unsigned n = 0;
    enum err e = f ? discover_devices(a, f, &n) : ERR_NOMEM;
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
    struct found *f = calloc(DISCOVER_MAX, sizeof *f);
    unsigned n = 0;
    uint8_t own = FOUND_NEW;
    enum err e = f ? discover_devices(a, f, &n) : ERR_NOMEM;
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
