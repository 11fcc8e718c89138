/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/walk.h"

/* Put the current entry's name behind its folder's path. False: it does not fit. */
static bool make_path(struct walk *w)
{
    size_t at = w->path_len[w->depth];
    if (at > 0)
        w->path[at++] = '\\';
    for (size_t i = 0; i < TREE_NAME; i++) {
        if (at == WALK_PATH)
            break;
        w->path[at++] = w->entry.name[i];
        if (w->entry.name[i] == 0)
            return true;
    }
    w->path[WALK_PATH - 1] = 0;
    return false;
}

/* Into the folder that is the current entry. err: RANGE (too deep), what opening says */
static enum err descend(struct walk *w)
{
    if (w->depth + 1 == WALK_DEPTH)
        return ERR_RANGE;
    TRY(w->tree.ops->open(w->tree.ctx, w->folder[w->depth], w->entry.name, TREE_READ,
                          &w->folder[w->depth + 1]));
    w->depth++;
    w->path_len[w->depth] = tree_len(w->path);
    return ERR_OK;
}

static void enter(struct walk *w, const struct walk_visit *v)
{
    unsigned depth = w->depth;
    enum err e = descend(w);
    if (e == ERR_OK)
        return;
    v->failed(v->ctx, w, e);
    v->leave(v->ctx, depth + 1);
}

static enum walk_next visit(struct walk *w, const struct walk_visit *v)
{
    if (tree_is_dots(w->entry.name))
        return WALK_ON;
    if (!make_path(w)) {
        v->failed(v->ctx, w, ERR_RANGE);
        return WALK_ON;
    }
    enum walk_next next = v->entry(v->ctx, w);
    if (next == WALK_ON && w->entry.folder)
        enter(w, v);
    return next;
}

/* Back to the folder above. */
static void ascend(struct walk *w, const struct walk_visit *v)
{
    w->tree.ops->close(w->folder[w->depth]);
    w->path[w->path_len[w->depth]] = 0;
    v->leave(v->ctx, w->depth);
    w->depth--;
}

/* err: of the folder that the walk began in; every other one is told to the visitor */
static enum err walk_on(struct walk *w, const struct walk_visit *v, bool *stopped)
{
    for (;;) {
        enum err e = w->tree.ops->next(w->folder[w->depth], &w->entry);
        if (e == ERR_OK) {
            *stopped = visit(w, v) == WALK_STOP;
            if (*stopped)
                return ERR_OK;
            continue;
        }
        if (w->depth == 0)
            return e == ERR_NOT_FOUND ? ERR_OK : e;
        if (e != ERR_NOT_FOUND) {
            w->path[w->path_len[w->depth]] = 0;
            v->failed(v->ctx, w, e);
        }
        ascend(w, v);
    }
}

enum err walk_tree(struct walk *w, const struct tree *t, const uint16_t *from, const struct walk_visit *v,
                   bool *ret_stopped)
{
    bool stopped = false;
    w->tree = *t;
    w->depth = 0;
    w->path_len[0] = 0;
    w->path[0] = 0;
    TRY(t->ops->open(t->ctx, NULL, from, TREE_READ, &w->folder[0]));
    enum err e = walk_on(w, v, &stopped);
    for (unsigned i = w->depth + 1; i-- > 0;)
        t->ops->close(w->folder[i]);
    TRY(e);
    *ret_stopped = stopped;
    return ERR_OK;
}
