/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/sha256_sum.h"
#include "efi/copy_parts.h"
#include <string.h>

/* One file on its way. */
struct transfer {
    struct tree_node *from, *to;
    uint16_t path[WALK_PATH]; /* on the stick */
    bool renamed;
    const uint16_t *name; /* on the stick, the end of path */
    uint64_t size;
    struct cr_sha256_sum sum;
};

/* A reading failed: the file alone, or the whole disk? */
static void source_failed(struct copy *c, const struct walk *w, const char *why)
{
    if (c->from->ops->present(c->from->ctx))
        copy_note_failed(c, why, w->path);
    else
        c->end = COPY_SOURCE_GONE;
}

static void stick_refused(struct copy *c, const struct walk *w, enum err e)
{
    if (copy_is_end(e))
        copy_end_by_stick(c, e);
    else
        copy_note_failed(c, "has a name or path that the stick does not take", w->path);
}

/* Where it will lie: the folder's path and a name that is free. */
static enum err choose_place(struct copy *c, const struct walk *w, struct transfer *t)
{
    uint16_t name[TREE_NAME];
    TRY(copy_folders(c, w, w->depth));
    TRY(copy_free_name(c->to, c->folder[w->depth], w->entry.name, name, &t->renamed));
    size_t n = c->path_len[w->depth], len = tree_len(name);
    if (n + 1 + len + 1 > WALK_PATH)
        return ERR_RANGE;
    memcpy(t->path, c->path, n * sizeof *t->path);
    t->path[n] = '\\';
    memcpy(t->path + n + 1, name, (len + 1) * sizeof *name);
    t->name = t->path + n + 1;
    return ERR_OK;
}

/* All blocks. False when the file is not to be kept; then it was noted, or the run is over. */
static bool carry(struct copy *c, const struct walk *w, struct transfer *t)
{
    for (;;) {
        size_t n = 0;
        if (c->from->ops->read(t->from, c->buffer, COPY_BUFFER, &n) != ERR_OK) {
            source_failed(c, w, "could not be read");
            return false;
        }
        if (n == 0)
            break;
        cr_sha256_sum_add(&t->sum, c->buffer, n);
        enum err e = c->to->ops->write(t->to, c->buffer, n);
        if (e != ERR_OK) {
            copy_end_by_stick(c, e);
            return false;
        }
        t->size += n;
        if (!copy_step(c, "Copying", n)) {
            c->end = COPY_STOPPED;
            return false;
        }
    }
    if (t->size == w->entry.size)
        return true;
    source_failed(c, w, "has another length than its folder says");
    return false;
}

/* Flushed before the times are set, so that writing does not set them again. */
static void finish(struct copy *c, const struct walk *w, struct transfer *t)
{
    uint8_t sum[32];
    enum err e = c->to->ops->flush(t->to);
    if (e != ERR_OK) {
        copy_end_by_stick(c, e);
        c->to->ops->remove(t->to);
        return;
    }
    c->to->ops->stamp(t->to, &w->entry);
    c->to->ops->close(t->to);
    cr_sha256_sum_end(&t->sum, sum);
    copy_batch_add(c->batch, t->path, t->size, sum);
    c->now.files++;
    c->now.bytes += t->size;
    if (t->renamed)
        copy_note_renamed(c, w->path, t->name);
}

static void write_to(struct copy *c, const struct walk *w, struct transfer *t)
{
    enum err e = c->to->ops->open(c->to->ctx, c->folder[w->depth], t->name, TREE_NEW_FILE, &t->to);
    if (e != ERR_OK) {
        stick_refused(c, w, e);
        return;
    }
    cr_sha256_sum_init(&t->sum);
    if (carry(c, w, t))
        finish(c, w, t);
    else
        c->to->ops->remove(t->to);
}

void copy_file(struct copy *c, const struct walk *w)
{
    struct transfer t = {.size = 0};
    if (w->entry.size > c->room->file_max) {
        copy_note_failed(c, "too large for this stick's file system (4 GiB and more)", w->path);
        return;
    }
    if (copy_batch_is_full(c->batch, WALK_PATH))
        copy_check(c);
    if (c->end)
        return;
    enum err e = choose_place(c, w, &t);
    if (e != ERR_OK) {
        stick_refused(c, w, e);
        return;
    }
    if (c->from->ops->open(c->from->ctx, w->folder[w->depth], w->entry.name, TREE_READ, &t.from) != ERR_OK) {
        source_failed(c, w, "could not be opened");
        return;
    }
    write_to(c, w, &t);
    c->from->ops->close(t.from);
}
