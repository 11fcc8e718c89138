/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/fake_tree.h"
#include <string.h>
#include <strings.h>

static struct tree_node *child(struct fake *f, const struct tree_node *up, const char *name, size_t len)
{
    for (unsigned i = 1; i < f->n; i++)
        if (f->node[i].used && f->node[i].up == up && strlen(f->node[i].name) == len &&
            (f->case_counts ? strncmp : strncasecmp)(f->node[i].name, name, len) == 0)
            return &f->node[i];
    return NULL;
}

static struct tree_node *make(struct fake *f, struct tree_node *up, const char *name, size_t len, bool folder)
{
    if (f->n == FAKE_NODES || len >= sizeof f->node[0].name)
        return NULL;
    struct tree_node *n = &f->node[f->n++];
    *n = (struct tree_node){.used = true, .folder = folder, .up = up};
    memcpy(n->name, name, len);
    return n;
}

static struct tree_node *way(struct fake *f, const char *path, bool last_folder)
{
    struct tree_node *at = &f->node[0];
    while (*path) {
        size_t len = strcspn(path, "/");
        bool folder = path[len] || last_folder;
        struct tree_node *next = child(f, at, path, len);
        at = next && strncmp(next->name, path, len) == 0 ? next : make(f, at, path, len, folder);
        path += len + (path[len] != 0);
    }
    return at;
}

struct tree_node *fake_add(struct fake *f, const char *path, const char *data)
{
    struct tree_node *n = way(f, path, false);
    n->size = strlen(data);
    memcpy(n->data, data, n->size);
    memset(n->times, 7, sizeof n->times);
    return n;
}

struct tree_node *fake_add_folder(struct fake *f, const char *path)
{
    return way(f, path, true);
}

const struct tree_node *fake_find(const struct fake *f, const char *path)
{
    const struct tree_node *at = &f->node[0];
    while (*path && at) {
        size_t len = strcspn(path, "/");
        const struct tree_node *next = NULL;
        for (unsigned i = 1; i < f->n && !next; i++)
            if (f->node[i].used && f->node[i].up == at && strlen(f->node[i].name) == len &&
                strncmp(f->node[i].name, path, len) == 0)
                next = &f->node[i];
        at = next;
        path += len + (path[len] != 0);
    }
    return at;
}

unsigned fake_files(const struct fake *f)
{
    unsigned n = 0;
    for (unsigned i = 1; i < f->n; i++)
        n += f->node[i].used && !f->node[i].folder;
    return n;
}

/* A handle remembers its file system in the node it belongs to. */
static struct fake *current; /* the one of the call; handles are asked for by address */
static struct fake *all[4];

static struct fake *owner(const struct tree_node *handle)
{
    for (unsigned i = 0; i < 4; i++)
        if (all[i] && handle >= all[i]->handle && handle < all[i]->handle + 64)
            return all[i];
    return current;
}

static enum err open_node(void *ctx, struct tree_node *folder, const uint16_t *name, enum tree_mode mode,
                          struct tree_node **ret)
{
    struct fake *f = ctx;
    struct tree_node *at = folder ? folder->up : &f->node[0];
    char text[512];
    size_t n = 0;
    if (f->gone)
        return ERR_IO;
    for (; n < sizeof text - 1 && name[n]; n++)
        text[n] = (char)(name[n] == '\\' ? '/' : name[n]);
    text[n] = '\0';
    for (const char *p = text; *p;) {
        size_t len = strcspn(p, "/");
        struct tree_node *next = child(f, at, p, len);
        if (!next && !p[len] && (mode == TREE_NEW_FILE || mode == TREE_NEW_FOLDER)) {
            if (f->locked)
                return ERR_DENIED;
            if (f->refused && strchr(p, f->refused))
                return ERR_RANGE;
            next = make(f, at, p, len, mode == TREE_NEW_FOLDER);
            if (!next)
                return ERR_FULL;
        }
        if (!next)
            return ERR_NOT_FOUND;
        at = next;
        p += len + (p[len] != 0);
    }
    for (unsigned i = 0; i < 64; i++)
        if (!f->handle[i].used) {
            f->handle[i] = (struct tree_node){.used = true, .up = at, .at = at->folder ? 1 : 0};
            f->opened++;
            *ret = &f->handle[i];
            return ERR_OK;
        }
    return ERR_NOMEM;
}

static enum err next(struct tree_node *h, struct tree_entry *ret)
{
    struct fake *f = owner(h);
    if (f->gone || h->up->unreadable)
        return ERR_IO;
    for (; h->at < f->n; h->at++) {
        const struct tree_node *n = &f->node[h->at];
        if (!n->used || n->up != h->up)
            continue;
        size_t i = 0;
        for (; n->name[i]; i++)
            ret->name[i] = (unsigned char)n->name[i];
        ret->name[i] = 0;
        ret->size = n->size;
        ret->folder = n->folder;
        memcpy(ret->times, n->times, sizeof ret->times);
        h->at++;
        return ERR_OK;
    }
    return ERR_NOT_FOUND;
}

static uint8_t byte_at(const struct fake *f, const struct tree_node *n, uint64_t at)
{
    uint8_t b = at < FAKE_DATA ? n->data[at] : (uint8_t)at;
    return f->flips && at == 0 && f->refreshed ? b ^ 1 : b;
}

static enum err read_node(struct tree_node *h, void *buf, size_t len, size_t *ret_len)
{
    struct fake *f = owner(h);
    uint8_t *to = buf;
    size_t n = 0;
    if (f->gone || h->up->unreadable)
        return ERR_IO;
    for (; n < len && h->at < h->up->size; n++)
        to[n] = byte_at(f, h->up, h->at++);
    *ret_len = n;
    return ERR_OK;
}

static enum err write_node(struct tree_node *h, const void *buf, size_t len)
{
    struct fake *f = owner(h);
    const uint8_t *from = buf;
    f->written += len;
    f->gone = f->gone || f->written > f->gone_after;
    if (f->gone)
        return ERR_IO;
    if (f->room < len)
        return ERR_FULL;
    f->room -= len;
    for (size_t i = 0; i < len && h->up->size + i < FAKE_DATA; i++)
        h->up->data[h->up->size + i] = from[i];
    h->up->size += len;
    return ERR_OK;
}

static enum err flush(struct tree_node *h)
{
    return owner(h)->gone ? ERR_IO : ERR_OK;
}

static void stamp(struct tree_node *h, const struct tree_entry *like)
{
    memcpy(h->up->times, like->times, sizeof h->up->times);
}

static void close_node(struct tree_node *h)
{
    owner(h)->opened--;
    h->used = false;
}

static void remove_node(struct tree_node *h)
{
    struct fake *f = owner(h);
    if (!f->gone) {
        f->room += h->up->size;
        h->up->used = false;
    }
    close_node(h);
}

static void refresh(void *ctx)
{
    struct fake *f = ctx;
    f->refreshed++;
}

static bool present(void *ctx)
{
    const struct fake *f = ctx;
    return !f->gone;
}

void fake_init(struct fake *f)
{
    static const struct tree_ops ops = {.open = open_node,
                                        .next = next,
                                        .read = read_node,
                                        .write = write_node,
                                        .flush = flush,
                                        .stamp = stamp,
                                        .remove = remove_node,
                                        .close = close_node,
                                        .refresh = refresh,
                                        .present = present};
    memset(f, 0, sizeof *f);
    f->tree = (struct tree){.ops = &ops, .ctx = f};
    f->node[0] = (struct tree_node){.used = true, .folder = true};
    f->n = 1;
    f->room = f->gone_after = UINT64_MAX;
    for (unsigned i = 0; i < 4; i++)
        if (!all[i] || all[i] == f) {
            all[i] = f;
            break;
        }
    current = f;
}
