#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A file system in memory that can be full, pulled out, write-protected, unreadable or lying: what copying is
 * tested with. Names are kept as ASCII and compared without case, as FAT does. */

#include "efi/tree.h"

#define FAKE_NODES 700
#define FAKE_DATA  64 /* bytes of a file that are kept; longer ones are made of their own offset */

struct tree_node {
    bool used, folder, open_for_change;
    char name[96];
    struct tree_node *up;
    uint64_t size, at; /* at: of reading, or the next child */
    uint8_t data[FAKE_DATA];
    uint8_t times[TREE_TIMES];
    bool unreadable; /* reading it fails */
};

struct fake {
    struct tree tree;
    struct tree_node node[FAKE_NODES]; /* node[0]: the root */
    unsigned n, opened;                /* opened: handles that are not closed */
    struct tree_node handle[64];       /* what is open: a copy with its own place, up: the node itself */
    uint64_t room;                     /* bytes that can still be written */
    uint64_t gone_after;               /* bytes after which it is pulled out */
    uint64_t written;
    unsigned refreshed;
    bool locked, gone;
    char refused;     /* names with this character are not taken; 0 all are */
    bool case_counts; /* as on Linux */
    bool flips;       /* one bit of each file is another one once it is on the medium */
};

void fake_init(struct fake *f);
/* path: "a/b/c", folders are made; a name may hold what FAT may not. */
struct tree_node *fake_add(struct fake *f, const char *path, const char *data);
struct tree_node *fake_add_folder(struct fake *f, const char *path);
/* NULL when it is not there. */
const struct tree_node *fake_find(const struct fake *f, const char *path);
/* Files, without folders. */
unsigned fake_files(const struct fake *f);
