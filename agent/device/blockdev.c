/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/device/blockdev.h"
#include "crypto/host/file.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK_CLASS "/sys/class/block"
#define SECTOR      512 /* of every size in sysfs, whatever the device's own */

static void text_copy(char *ret, size_t cap, const char *from)
{
    size_t len = strnlen(from, cap - 1);
    memcpy(ret, from, len);
    ret[len] = 0;
}

/* One attribute without its newline; false when it is not there. */
static bool attribute(int dir, const char *name, char *ret, size_t cap)
{
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, ret, cap - 1);
    close(fd);
    if (n < 0)
        return false;
    ret[n] = 0;
    ret[strcspn(ret, "\n")] = 0;
    return true;
}

static bool number(int dir, const char *name, uint64_t *ret)
{
    char text[32], *end;
    if (!attribute(dir, name, text, sizeof text))
        return false;
    *ret = strtoull(text, &end, 10);
    return end != text && *end == 0;
}

static bool flag(int dir, const char *name)
{
    uint64_t v = 0;
    return number(dir, name, &v) && v != 0;
}

/* Plugged in from outside: a bus for that, or a port that the firmware calls so. The path is that of the
 * device behind the class's link, from the root of sysfs down to it. */
static bool is_plugged_in(const char *real)
{
    char path[PATH_MAX], text[32];
    if (strstr(real, "/usb"))
        return true;
    text_copy(path, sizeof path, real);
    for (char *slash; (slash = strrchr(path, '/')) && slash != path && strstr(path, "/devices/");
         *slash = 0) {
        int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        bool yes =
            dir >= 0 && attribute(dir, "removable", text, sizeof text) && strcmp(text, "removable") == 0;
        /* an eMMC chip is soldered in, a card is not */
        yes = yes || (dir >= 0 && strstr(path, "/mmc_host/") && attribute(dir, "type", text, sizeof text) &&
                      strcmp(text, "SD") == 0);
        if (dir >= 0)
            close(dir);
        if (yes)
            return true;
    }
    return false;
}

static void read_numbers(int dir, struct block_device *d)
{
    char text[32];
    uint64_t v;
    d->size = number(dir, "size", &v) && v <= UINT64_MAX / SECTOR - 1 ? v * SECTOR : BLOCK_SIZE_UNKNOWN;
    d->read_only = flag(dir, "ro");
    d->hidden = flag(dir, "hidden");
    d->removable = flag(dir, "removable");
    d->partition = number(dir, "partition", &v);
    d->number = d->partition ? (unsigned)v : 0;
    d->has_number =
        attribute(dir, "dev", text, sizeof text) && sscanf(text, "%u:%u", &d->major, &d->minor) == 2;
}

static bool read_device(const char *class, const char *entry, struct block_device *d)
{
    char path[PATH_MAX], real[PATH_MAX];
    *d = (struct block_device){.disk = -1};
    if (snprintf(path, sizeof path, "%s/%s", class, entry) >= (int)sizeof path || strlen(entry) >= BLOCK_NAME)
        return false;
    int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return false;
    text_copy(d->name, sizeof d->name, entry);
    read_numbers(dir, d);
    d->md = faccessat(dir, "md", F_OK, 0) == 0;
    (void)attribute(dir, "dm/name", d->dm_name, sizeof d->dm_name);
    (void)attribute(dir, "dm/uuid", d->dm_uuid, sizeof d->dm_uuid);
    (void)attribute(dir, "loop/backing_file", d->backing_file, sizeof d->backing_file);
    d->removable = d->removable || (realpath(path, real) && is_plugged_in(real));
    close(dir);
    return true;
}

static enum err add_device(struct block_tree *t, const char *class, const char *entry)
{
    if (t->n == BLOCK_DEVICES_MAX) {
        t->cut = true;
        return ERR_OK;
    }
    if ((t->n & (t->n - 1)) == 0) { /* 0, 1, 2, 4, 8, …: room for twice as many */
        struct block_device *more = realloc(t->device, (t->n ? 2 * t->n : 1) * sizeof *more);
        if (!more)
            return ERR_NOMEM;
        t->device = more;
    }
    if (read_device(class, entry, &t->device[t->n]) && !t->device[t->n].hidden)
        t->n++;
    return ERR_OK;
}

static bool has_link(const struct block_tree *t, unsigned upper, unsigned lower)
{
    for (unsigned i = 0; i < t->n_links; i++)
        if (t->link[i].upper == upper && t->link[i].lower == lower)
            return true;
    return false;
}

static void add_link(struct block_tree *t, int upper, int lower)
{
    if (upper < 0 || lower < 0 || upper == lower || t->n_links == BLOCK_LINKS_MAX ||
        has_link(t, (unsigned)upper, (unsigned)lower))
        return;
    t->link[t->n_links++] = (struct block_link){(uint16_t)upper, (uint16_t)lower};
}

/* The entries of "slaves" or of "holders"; the kernel makes both, and either will do. */
static void add_links(struct block_tree *t, const char *class, unsigned i, const char *folder)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s/%s", class, t->device[i].name, folder) >= (int)sizeof path)
        return;
    DIR *d = opendir(path);
    for (struct dirent *f; d && (f = readdir(d));) {
        int other = f->d_name[0] == '.' ? -1 : block_find(t, f->d_name);
        if (strcmp(folder, "slaves") == 0)
            add_link(t, (int)i, other);
        else
            add_link(t, other, (int)i);
    }
    if (d)
        closedir(d);
}

/* A holder may have no entry of its own (it came just now, or sysfs is only half there): then it is read
 * through the link, so that an unlocked volume is never taken for a locked one. */
static enum err add_holders(struct block_tree *t, const char *class, unsigned i)
{
    char path[PATH_MAX];
    enum err e = ERR_OK;
    if (snprintf(path, sizeof path, "%s/%s/holders", class, t->device[i].name) >= (int)sizeof path)
        return ERR_OK;
    DIR *d = opendir(path);
    for (struct dirent *f; d && e == ERR_OK && (f = readdir(d));)
        if (f->d_name[0] != '.' && block_find(t, f->d_name) < 0)
            e = add_device(t, path, f->d_name);
    if (d)
        closedir(d);
    return e;
}

/* A partition's folder lies in that of its disk. */
static void find_disk(struct block_tree *t, const char *class, struct block_device *d)
{
    char path[PATH_MAX], real[PATH_MAX];
    if (!d->partition || snprintf(path, sizeof path, "%s/%s", class, d->name) >= (int)sizeof path ||
        !realpath(path, real))
        return;
    char *slash = strrchr(real, '/');
    if (!slash || slash == real)
        return;
    *slash = 0;
    d->disk = block_find(t, strrchr(real, '/') + 1);
}

/* sysfs writes a slash as "!". */
static void names_of_nodes(struct block_tree *t)
{
    for (unsigned i = 0; i < t->n; i++)
        for (char *p = t->device[i].name; *p; p++)
            if (*p == '!')
                *p = '/';
}

static enum err load_devices(struct block_tree *t, const char *class)
{
    enum err e = ERR_OK;
    DIR *d = opendir(class);
    for (struct dirent *f; d && e == ERR_OK && (f = readdir(d));)
        if (f->d_name[0] != '.')
            e = add_device(t, class, f->d_name);
    if (d)
        closedir(d);
    for (unsigned i = 0; e == ERR_OK && i < t->n; i++)
        e = add_holders(t, class, i);
    return e;
}

/* In the order of their names, numbers as numbers: what people see must not depend on the kernel's lists. */
static int by_name(const void *a, const void *b)
{
    const struct block_device *x = a, *y = b;
    return strverscmp(x->name, y->name);
}

static enum err load(struct block_tree *t, const char *class)
{
    TRY(load_devices(t, class));
    if (t->n) /* before there are links, which are indices */
        qsort(t->device, t->n, sizeof *t->device, by_name);
    for (unsigned i = 0; i < t->n; i++) {
        add_links(t, class, i, "slaves");
        add_links(t, class, i, "holders");
        find_disk(t, class, &t->device[i]);
    }
    names_of_nodes(t);
    return ERR_OK;
}

enum err block_tree_load(const char *root, struct block_tree *ret)
{
    char class[PATH_MAX];
    struct block_tree t = {.link = calloc(BLOCK_LINKS_MAX, sizeof *t.link)};
    enum err e = t.link ? file_join(root, BLOCK_CLASS, class, sizeof class) : ERR_NOMEM;
    if (e == ERR_OK)
        e = load(&t, class);
    if (e != ERR_OK) {
        block_tree_free(&t);
        return e;
    }
    *ret = t;
    return ERR_OK;
}

void block_tree_free(struct block_tree *t)
{
    free(t->device);
    free(t->link);
    *t = (struct block_tree){0};
}
