#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What would be copied, how much that is, and whether a stick holds it. Pure: tested hosted. */

#include "efi/walk.h"

#define COPY_FAT_FILE_MAX                                                                                    \
    UINT32_MAX            /* bytes of a file on FAT. source: FAT specification 1.03, section 6.2             \
                           */
#define COPY_NAMED     3  /* files that are named on the screen */
#define COPY_NAME_TEXT 64 /* bytes of a path on the screen, the last ones of a longer one */

/* The place that is copied to, as far as a plan needs it. */
struct copy_room {
    uint64_t free;     /* bytes */
    uint32_t cluster;  /* bytes that files are rounded up to */
    uint64_t file_max; /* of one file */
};

/* What is chosen: a folder, and of what lies in it all or what the function says. */
struct copy_choice {
    const uint16_t *folder;                                /* its path, "" for the root; borrowed */
    bool (*wanted)(void *ctx, const struct tree_entry *e); /* NULL: all */
    void *ctx;
};

struct copy_plan {
    uint64_t files, folders, bytes; /* that would be copied */
    uint64_t need;                  /* bytes on the stick, with what rounding and folders cost */
    unsigned n_large; /* files that the stick's file system cannot hold; not in the figures above */
    char large[COPY_NAMED][COPY_NAME_TEXT];
    uint64_t unreadable; /* folders that cannot be read */
    bool stopped;        /* somebody did not want to wait */
};

/* Count. go_on: asked after every entry; false ends the counting. w: room for the walk
 * err: what opening and reading the chosen folder says
 * cost: reads every folder */
MUST_CHECK enum err copy_plan_make(struct walk *w, const struct tree *from, const struct copy_choice *c,
                                   const struct copy_room *room,
                                   bool (*go_on)(void *ctx, const struct copy_plan *so_far), void *ctx,
                                   struct copy_plan *ret);

/* Is the current entry of a walk one of those that are chosen? Only the start's own entries are asked for. */
bool copy_is_chosen(const struct copy_choice *c, const struct walk *w);
/* Does it fit, as far as can be told beforehand? */
bool copy_plan_fits(const struct copy_plan *p, const struct copy_room *room);
/* The end of a path, with ".." in front when it was cut. */
void copy_short_path(const uint16_t *path, char ret[static COPY_NAME_TEXT]);
