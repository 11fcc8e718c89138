/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/copy_name.h"
#include "efi/copy_parts.h"
#include <string.h>

#define LINE_MIN 256 /* bytes that a line needs at least; a longer path is cut there */

static void add(struct copy *c, const char *text)
{
    size_t len = strlen(text), room = COPY_NOTES - 1 - c->now.notes_len;
    len = len < room ? len : room;
    memcpy(c->notes + c->now.notes_len, text, len);
    c->now.notes_len += len;
    c->notes[c->now.notes_len] = '\0';
}

static void add_path(struct copy *c, const uint16_t *path)
{
    c->now.notes_len += copy_name_utf8(path, c->notes + c->now.notes_len, COPY_NOTES - c->now.notes_len);
}

static bool begin(struct copy *c)
{
    bool room = COPY_NOTES - c->now.notes_len >= LINE_MIN;
    c->now.notes_cut |= !room;
    return room;
}

void copy_note_failed(struct copy *c, const char *reason, const uint16_t *path)
{
    c->now.failed++;
    if (!begin(c))
        return;
    add(c, reason);
    add(c, ": ");
    add_path(c, path);
    add(c, "\r\n");
}

void copy_note_renamed(struct copy *c, const uint16_t *path, const uint16_t *now)
{
    c->now.renamed++;
    if (!begin(c))
        return;
    add(c, "other name, ");
    add_path(c, now);
    add(c, ": ");
    add_path(c, path);
    add(c, "\r\n");
}

/* What cannot be written is on the screen all the same. */
void copy_notes_write(const struct copy *c)
{
    static const char cut[] = "...and more.\r\n";
    const struct tree *t = c->to;
    uint16_t name[TREE_NAME], free_name[TREE_NAME];
    struct tree_node *file;
    size_t n = 0;
    bool renamed;
    if (c->sure.notes_len == 0)
        return;
    for (; c->base[n] && n < TREE_NAME - 5; n++)
        name[n] = c->base[n];
    copy_name_wide(".txt", name + n, TREE_NAME - n);
    if (copy_free_name(t, NULL, name, free_name, &renamed) != ERR_OK ||
        t->ops->open(t->ctx, NULL, free_name, TREE_NEW_FILE, &file) != ERR_OK)
        return;
    enum err e = t->ops->write(file, c->notes, c->sure.notes_len);
    if (e == ERR_OK && c->sure.notes_cut)
        e = t->ops->write(file, cut, sizeof cut - 1);
    if (e == ERR_OK)
        e = t->ops->flush(file);
    if (e == ERR_OK)
        t->ops->close(file);
    else
        t->ops->remove(file);
}
