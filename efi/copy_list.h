#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A folder on the screen, in which a person chooses what to copy. Its first line means all of it, or what is
 * marked; then what is in it, folders first. Pure: tested hosted. */

#include "efi/copy_plan.h"
#include "efi/page.h"

#define COPY_LIST_MAX 512 /* entries that can be marked one by one; the first line means all */

struct copy_list {
    uint16_t folder[WALK_PATH]; /* "" for the root */
    unsigned n;
    bool more; /* there are more than are listed */
    struct tree_entry entry[COPY_LIST_MAX];
    uint16_t order[COPY_LIST_MAX]; /* as they are shown */
    bool marked[COPY_LIST_MAX];    /* by number in entry[] */
    unsigned n_marked;
    unsigned at;  /* the line that is meant: 0 the first, then "up" but for the root, then entries */
    unsigned top; /* the first line that is shown */
};

enum copy_list_action {
    COPY_LIST_NOTHING = 1,
    COPY_LIST_COPY, /* what copy_list_wanted() says */
    COPY_LIST_LOAD, /* l->folder is another one: copy_list_load() */
    COPY_LIST_LEAVE
};

/* Read the folder l->folder; marks are forgotten. err: what opening it says, IO */
MUST_CHECK enum err copy_list_load(struct copy_list *l, const struct tree *t);
enum copy_list_action copy_list_key(struct copy_list *l, enum key key);
/* struct copy_choice's question. ctx: the list */
bool copy_list_wanted(void *ctx, const struct tree_entry *e);
/* name: of the volume */
void copy_list_page(const struct copy_list *l, const char *name, struct page *ret);
