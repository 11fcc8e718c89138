/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/device/mounts.h"
#include "crypto/host/file.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOUNTINFO "/proc/self/mountinfo"

static bool is_octal(const char *p)
{
    return p[0] == '\\' && p[1] >= '0' && p[1] <= '3' && p[2] >= '0' && p[2] <= '7' && p[3] >= '0' &&
           p[3] <= '7';
}

/* The kernel writes space, tab, newline and backslash as octal numbers. A longer text is cut. */
static void unescape(const char *from, size_t len, char *ret, size_t cap)
{
    size_t n = 0;
    for (size_t i = 0; i < len && n + 1 < cap; n++)
        if (len - i >= 4 && is_octal(from + i)) {
            ret[n] = (char)((from[i + 1] - '0') << 6 | (from[i + 2] - '0') << 3 | (from[i + 3] - '0'));
            i += 4;
        } else {
            ret[n] = from[i++];
        }
    ret[n] = 0;
}

/* The next field, up to a space; false at the end. */
static bool field(const char **at, const char **ret, size_t *ret_len)
{
    *at += strspn(*at, " ");
    *ret = *at;
    *ret_len = strcspn(*at, " \n");
    *at += *ret_len;
    return *ret_len > 0;
}

static bool has_option(const char *p, size_t len, const char *option)
{
    size_t n = strlen(option);
    for (size_t i = 0; i + n <= len; i++)
        if ((i == 0 || p[i - 1] == ',') && strncmp(p + i, option, n) == 0 &&
            (i + n == len || p[i + n] == ','))
            return true;
    return false;
}

/* 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue */
enum err mount_parse(const char *line, struct mount *ret)
{
    struct mount m = {0};
    const char *at = line, *p;
    size_t len;
    for (int i = 0; i < 6; i++) {
        if (!field(&at, &p, &len))
            return ERR_FORMAT;
        if (i == 2 && sscanf(p, "%u:%u", &m.major, &m.minor) != 2)
            return ERR_FORMAT;
        if (i == 4)
            unescape(p, len, m.point, sizeof m.point);
        if (i == 5)
            m.read_only = has_option(p, len, "ro");
    }
    while (field(&at, &p, &len) && !(len == 1 && *p == '-'))
        ; /* optional fields */
    if (!field(&at, &p, &len))
        return ERR_FORMAT;
    unescape(p, len, m.type, sizeof m.type);
    if (!field(&at, &p, &len))
        return ERR_FORMAT;
    unescape(p, len, m.source, sizeof m.source);
    if (field(&at, &p, &len))
        m.read_only = m.read_only || has_option(p, len, "ro");
    *ret = m;
    return ERR_OK;
}

static void load(FILE *f, struct mount_table *t)
{
    char *line = NULL;
    size_t cap = 0;
    while (t->n < MOUNTS_MAX && getline(&line, &cap, f) > 0)
        if (mount_parse(line, &t->mount[t->n]) == ERR_OK)
            t->n++;
    free(line);
}

enum err mount_table_load(const char *root, struct mount_table *ret)
{
    char path[PATH_MAX];
    struct mount_table t = {.mount = calloc(MOUNTS_MAX, sizeof *t.mount)};
    if (!t.mount)
        return ERR_NOMEM;
    FILE *f = file_join(root, MOUNTINFO, path, sizeof path) == ERR_OK ? fopen(path, "re") : NULL;
    if (f) {
        load(f, &t);
        (void)fclose(f);
    }
    *ret = t;
    return ERR_OK;
}

void mount_table_free(struct mount_table *m)
{
    free(m->mount);
    *m = (struct mount_table){0};
}

int mount_device(const struct mount *m, const struct block_tree *t)
{
    int i = m->major ? block_find_number(t, m->major, m->minor) : -1;
    return i >= 0 ? i : block_find_path(t, m->source);
}

static bool is_below(const char *path, const char *point)
{
    size_t n = strlen(point);
    if (strcmp(point, "/") == 0)
        return path[0] == '/';
    return strncmp(path, point, n) == 0 && (path[n] == '/' || path[n] == 0);
}

const struct mount *mount_of_path(const struct mount_table *m, const char *path)
{
    const struct mount *best = NULL;
    for (unsigned i = 0; i < m->n; i++)
        if (is_below(path, m->mount[i].point) && (!best || strlen(m->mount[i].point) >= strlen(best->point)))
            best = &m->mount[i];
    return best;
}
