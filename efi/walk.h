#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every file and folder below one, one after the other, within bounds: no recursion, because a firmware's
 * stack is small, and no depth without end, because a driver may follow links in circles. Pure. */

#include "efi/tree.h"

#define WALK_DEPTH 32
#define WALK_PATH  2048 /* units of a path with the zero */

struct walk {
    struct tree tree;
    struct tree_node *folder[WALK_DEPTH]; /* open, from the start to where the walk is */
    unsigned depth;                       /* of the current entry: it lies in folder[depth] */
    uint16_t path[WALK_PATH];             /* of the current entry, from the start, with backslashes between */
    size_t path_len[WALK_DEPTH];          /* units of the path of folder[i] */
    struct tree_entry entry;              /* the current one */
};

enum walk_next { WALK_ON = 1, WALK_PAST, WALK_STOP }; /* PAST: not into this folder */

struct walk_visit {
    /* The current entry; a folder before what is in it. */
    enum walk_next (*entry)(void *ctx, const struct walk *w);
    /* All of the folder at this depth (1 and more) was visited; also when it could not be opened. */
    void (*leave)(void *ctx, unsigned depth);
    /* The current entry is a folder that cannot be read (whole), or, RANGE, lies too deep or has too long a
     * path. */
    void (*failed)(void *ctx, const struct walk *w, enum err e);
    void *ctx; /* borrowed */
};

/* w: room for the walk, about 6 KiB; the caller's, because a stack is small. from: path of the folder to
 * start in, "" for the root.
 * ret_stopped: a visit said so
 * err: what opening that folder says, IO (it could not be read whole) */
MUST_CHECK enum err walk_tree(struct walk *w, const struct tree *t, const uint16_t *from,
                              const struct walk_visit *v, bool *ret_stopped);
