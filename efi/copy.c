/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/copy.h"
#include "efi/copy_parts.h"
#include <string.h>

bool copy_step(struct copy *c, const char *doing, size_t n)
{
    c->done += n;
    const struct copy_progress p = {.doing = doing, .done = c->done, .walk = c->walk};
    c->stop = !c->go_on(c->ctx, &p) || c->stop;
    return !c->stop;
}

bool copy_is_end(enum err e)
{
    return e == ERR_FULL || e == ERR_DENIED || e == ERR_IO || e == ERR_NOMEM;
}

void copy_end_by_stick(struct copy *c, enum err e)
{
    c->end = !c->to->ops->present(c->to->ctx) ? COPY_STICK_GONE
             : e == ERR_FULL                  ? COPY_STICK_FULL
             : e == ERR_DENIED                ? COPY_STICK_LOCKED
                                              : COPY_STICK_FAULT;
}

static void checked(void *ctx, size_t n)
{
    struct copy *c = ctx;
    if (!copy_step(c, "Checking", n))
        c->stop = true; /* heard, and obeyed when what was written is compared */
}

/* It is there, but it is not what was written: a copy that nobody should trust. */
static void drop_bad(struct copy *c, unsigned i)
{
    const struct copy_written *f = &c->batch->file[i];
    const uint16_t *path = c->batch->paths + f->path;
    struct tree_node *file;
    c->now.files--;
    c->now.bytes -= f->size;
    copy_note_failed(c, "did not read back from the stick as it was written, so the copy was deleted", path);
    if (c->to->ops->open(c->to->ctx, NULL, path, TREE_CHANGE, &file) == ERR_OK)
        c->to->ops->remove(file);
}

void copy_check(struct copy *c)
{
    copy_folders_close(c);
    c->to->ops->refresh(c->to->ctx);
    for (unsigned i = 0; i < c->batch->n; i++) {
        enum err e = copy_batch_compare(c->batch, i, c->to, c->buffer, COPY_BUFFER, checked, c);
        if (e == ERR_OK)
            continue;
        if (!c->to->ops->present(c->to->ctx)) {
            c->end = COPY_STICK_GONE;
            break;
        }
        drop_bad(c, i);
    }
    copy_batch_clear(c->batch);
    if (c->end == COPY_STICK_GONE)
        c->now = c->sure;
    else
        c->sure = c->now;
}

static void make_folder(struct copy *c, const struct walk *w)
{
    enum err e = copy_folders(c, w, w->depth + 1);
    if (e != ERR_OK && copy_is_end(e))
        copy_end_by_stick(c, e);
}

static enum walk_next take(void *ctx, const struct walk *w)
{
    struct copy *c = ctx;
    if (!copy_is_chosen(c->choice, w))
        return WALK_PAST;
    if (c->seen++ < c->sure.items)
        return WALK_ON;
    if (!copy_step(c, "Copying", 0))
        c->end = COPY_STOPPED;
    else if (!w->entry.folder)
        copy_file(c, w);
    else if (w->depth + 1 < WALK_DEPTH)
        make_folder(c, w);
    if (c->end)
        return WALK_STOP;
    c->now.items = c->seen;
    return WALK_ON;
}

static void left(void *ctx, unsigned depth)
{
    copy_folders_leave(ctx, depth);
}

static void unreadable(void *ctx, const struct walk *w, enum err e)
{
    struct copy *c = ctx;
    if (c->seen < c->sure.items || c->end)
        return;
    if (!c->from->ops->present(c->from->ctx))
        c->end = COPY_SOURCE_GONE;
    else
        copy_note_failed(
            c, e == ERR_RANGE ? "folder lies too deep" : "folder could not be read, or not whole", w->path);
}

/* Everything that was written counts only when it has been read back. */
static void settle(struct copy *c)
{
    if (c->end == COPY_STICK_GONE || !c->to->ops->present(c->to->ctx)) {
        copy_folders_close(c);
        copy_batch_clear(c->batch);
        c->now = c->sure;
        c->end = COPY_STICK_GONE;
        return;
    }
    copy_check(c);
    if (c->end != COPY_STICK_GONE && c->end != COPY_STICK_LOCKED)
        copy_notes_write(c);
}

enum copy_end copy_run(struct copy *c)
{
    const struct walk_visit v = {.entry = take, .leave = left, .failed = unreadable, .ctx = c};
    bool stopped = false;
    memset(c->folder, 0, sizeof c->folder);
    memset(c->made, 0, sizeof c->made);
    c->seen = 0;
    c->stop = false;
    c->done = 2 * c->sure.bytes;
    c->end = 0;
    c->now = c->sure;
    copy_batch_clear(c->batch);
    enum err e = walk_tree(c->walk, c->from, c->choice->folder, &v, &stopped);
    if (e != ERR_OK && !c->end)
        c->end = COPY_SOURCE_GONE;
    settle(c);
    if (!c->end)
        c->end = COPY_DONE;
    return c->end;
}
