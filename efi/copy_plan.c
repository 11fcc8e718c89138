/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/copy_plan.h"
#include "efi/copy_name.h"
#include <string.h>

#define ENTRY_BYTES 32 /* of a folder, for each file one, and one for each 13 units of its name */
#define ENTRY_UNITS 13 /* source: FAT specification 1.03, section 7 */

struct planning {
    struct copy_plan plan;
    const struct copy_choice *choice;
    const struct copy_room *room;
    bool (*go_on)(void *ctx, const struct copy_plan *so_far);
    void *ctx;
};

/* A sum that stays at the top rather than beginning anew: sizes are the file system's word. */
static uint64_t sum(uint64_t a, uint64_t b)
{
    uint64_t s;
    return __builtin_add_overflow(a, b, &s) ? UINT64_MAX : s;
}

static uint64_t rounded(uint64_t size, uint32_t cluster)
{
    uint64_t over = cluster ? size % cluster : 0;
    return over ? sum(size, cluster - over) : size;
}

static uint64_t entry_bytes(const uint16_t *name)
{
    uint64_t units = tree_len(name);
    return ENTRY_BYTES * (1 + (units + ENTRY_UNITS - 1) / ENTRY_UNITS);
}

void copy_short_path(const uint16_t *path, char ret[static COPY_NAME_TEXT])
{
    size_t units = tree_len(path);
    /* a unit takes three bytes at most; what is left of the path is shortened until it fits */
    for (size_t from = units > COPY_NAME_TEXT ? units - COPY_NAME_TEXT : 0;; from++) {
        char text[3 * COPY_NAME_TEXT + 1];
        size_t len = copy_name_utf8(path + from, text, sizeof text), dots = from > 0 ? 2 : 0;
        if (len + dots >= COPY_NAME_TEXT)
            continue;
        memcpy(ret, "..", dots);
        memcpy(ret + dots, text, len + 1);
        return;
    }
}

bool copy_is_chosen(const struct copy_choice *c, const struct walk *w)
{
    return w->depth > 0 || !c->wanted || c->wanted(c->ctx, &w->entry);
}

static void add_large(struct copy_plan *p, const struct walk *w)
{
    if (p->n_large < COPY_NAMED)
        copy_short_path(w->path, p->large[p->n_large]);
    p->n_large += p->n_large < UINT32_MAX;
}

static enum walk_next count(void *ctx, const struct walk *w)
{
    struct planning *p = ctx;
    struct copy_plan *plan = &p->plan;
    const struct tree_entry *e = &w->entry;
    if (!copy_is_chosen(p->choice, w))
        return WALK_PAST;
    if (!p->go_on(p->ctx, plan)) {
        plan->stopped = true;
        return WALK_STOP;
    }
    if (!e->folder && e->size > p->room->file_max) {
        add_large(plan, w);
        return WALK_ON;
    }
    plan->need = sum(plan->need, entry_bytes(e->name));
    plan->need = sum(plan->need, e->folder ? p->room->cluster : rounded(e->size, p->room->cluster));
    plan->folders += e->folder;
    plan->files += !e->folder;
    plan->bytes = sum(plan->bytes, e->folder ? 0 : e->size);
    return WALK_ON;
}

static void left(void *ctx, unsigned depth)
{
    (void)ctx;
    (void)depth;
}

static void unreadable(void *ctx, const struct walk *w, enum err e)
{
    struct planning *p = ctx;
    (void)w;
    (void)e;
    p->plan.unreadable++;
}

enum err copy_plan_make(struct walk *w, const struct tree *from, const struct copy_choice *c,
                        const struct copy_room *room,
                        bool (*go_on)(void *ctx, const struct copy_plan *so_far), void *ctx,
                        struct copy_plan *ret)
{
    struct planning p = {.choice = c, .room = room, .go_on = go_on, .ctx = ctx};
    const struct walk_visit v = {.entry = count, .leave = left, .failed = unreadable, .ctx = &p};
    bool stopped;
    TRY(walk_tree(w, from, c->folder, &v, &stopped));
    *ret = p.plan;
    return ERR_OK;
}

bool copy_plan_fits(const struct copy_plan *p, const struct copy_room *room)
{
    return p->need <= room->free;
}
