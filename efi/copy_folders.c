/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/copy_name.h"
#include "efi/copy_parts.h"
#include <string.h>

#define OTHERS_MAX 1000 /* names tried before giving up */

static enum err is_free(const struct tree *t, struct tree_node *folder, const uint16_t *name)
{
    struct tree_node *there;
    enum err e = t->ops->open(t->ctx, folder, name, TREE_READ, &there);
    if (e == ERR_OK) {
        t->ops->close(there);
        return ERR_CONFLICT;
    }
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

enum err copy_free_name(const struct tree *t, struct tree_node *folder, const uint16_t *name,
                        uint16_t ret[static TREE_NAME], bool *ret_renamed)
{
    uint16_t mended[TREE_NAME], safe[TREE_NAME];
    copy_name_mend(name, mended);
    bool renamed = copy_name_make_safe(mended, safe);
    memcpy(ret, safe, sizeof safe);
    enum err e = is_free(t, folder, ret);
    for (unsigned n = 2; e == ERR_CONFLICT && n < OTHERS_MAX; n++) {
        copy_name_other(safe, n, ret);
        renamed = true;
        e = is_free(t, folder, ret);
    }
    *ret_renamed = renamed;
    return e;
}

/* The name of the source's folder at this depth, from the walk's path; at depth 0 it is ours. */
static void name_at(const struct copy *c, const struct walk *w, unsigned depth,
                    uint16_t ret[static TREE_NAME])
{
    const uint16_t *from = c->base;
    size_t n = 0;
    if (depth > 0) {
        size_t at = w->path_len[depth - 1];
        from = w->path + (at > 0 ? at + 1 : 0);
    }
    for (; n < TREE_NAME - 1 && from[n] && from[n] != '\\'; n++)
        ret[n] = from[n];
    ret[n] = 0;
}

/* Put a name behind the path of the folder above. */
static enum err extend_path(struct copy *c, unsigned depth, const uint16_t *name)
{
    size_t at = depth > 0 ? c->path_len[depth - 1] : 0;
    if (at > 0)
        c->path[at++] = '\\';
    for (size_t i = 0; at < WALK_PATH; i++, at++) {
        c->path[at] = name[i];
        if (name[i] == 0) {
            c->path_len[depth] = at;
            return ERR_OK;
        }
    }
    return ERR_RANGE;
}

static enum err make(struct copy *c, const struct walk *w, unsigned depth)
{
    uint16_t name[TREE_NAME], safe[TREE_NAME];
    struct tree_node *above = depth > 0 ? c->folder[depth - 1] : NULL;
    bool renamed;
    name_at(c, w, depth, name);
    TRY(copy_free_name(c->to, above, name, safe, &renamed));
    TRY(extend_path(c, depth, safe));
    TRY(c->to->ops->open(c->to->ctx, above, safe, TREE_NEW_FOLDER, &c->folder[depth]));
    c->made[depth] = true;
    if (renamed && depth > w->depth) /* those above were told of when they were made first */
        copy_note_renamed(c, w->path, safe);
    return ERR_OK;
}

enum err copy_folders(struct copy *c, const struct walk *w, unsigned depth)
{
    for (unsigned i = 0; i <= depth; i++) {
        if (c->folder[i])
            continue;
        if (!c->made[i]) {
            TRY(make(c, w, i));
            continue;
        }
        uint16_t end = c->path[c->path_len[i]];
        c->path[c->path_len[i]] = 0;
        enum err e = c->to->ops->open(c->to->ctx, NULL, c->path, TREE_CHANGE, &c->folder[i]);
        c->path[c->path_len[i]] = end;
        TRY(e);
    }
    return ERR_OK;
}

void copy_folders_close(struct copy *c)
{
    for (unsigned i = 0; i < WALK_DEPTH; i++) {
        if (c->folder[i])
            c->to->ops->close(c->folder[i]);
        c->folder[i] = NULL;
    }
}

void copy_folders_leave(struct copy *c, unsigned depth)
{
    if (depth >= WALK_DEPTH)
        return;
    if (c->folder[depth])
        c->to->ops->close(c->folder[depth]);
    c->folder[depth] = NULL;
    c->made[depth] = false;
}
