/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/gop_words.h"
#include "efi/gop_look.h"
#include "efi/qr.h"
#include "efi/sentence.h"
#include <string.h>

void gop_words_head(const struct content *c)
{
    int w = canvas_width() - 2 * gop_lay.margin, y = gop_lay.margin;
    const char *title = c->org[0] ? c->org : "Disk recovery";
    int scale = canvas_text_width(title, 2 * gop_lay.scale) <= w ? 2 : 1;
    int used = canvas_text(gop_lay.margin, y + (scale == 1 ? gop_px(17) : 0), w, title,
                           gop_ink(gop_paint->white, scale));
    const char *label = c->computer[0] ? c->computer : c->org[0] ? "Disk recovery" : "";
    int label_w = canvas_text_width(label, gop_lay.scale);
    if (label_w && used + label_w + gop_px(24) <= w)
        canvas_text(gop_lay.margin + w - label_w, y + gop_px(17), label_w, label,
                    gop_ink(gop_paint->quiet, 1));
    canvas_fill((struct rect){gop_lay.margin, y + gop_px(46), w, gop_px(1)}, gop_paint->rim);
    canvas_paragraph((struct rect){gop_lay.margin, y + gop_px(56), w, gop_px(CANVAS_CELL_H)}, c->reason,
                     gop_ink(gop_paint->white, 1));
}

/* Paragraphs one below the other within a rectangle that shrinks. */
static void add(struct rect *room, const char *text, struct ink i, int space_after)
{
    int h = text[0] ? canvas_paragraph(*room, text, i) + gop_px(space_after) : 0;
    room->y += h;
    room->h -= h;
}

static void add_step(struct rect *room, unsigned n, const char *text)
{
    const char number[] = {(char)('1' + n), '.', '\0'};
    struct rect body = {room->x + gop_px(28), room->y, room->w - gop_px(28), room->h};
    if (room->h < gop_px(CANVAS_CELL_H))
        return;
    canvas_text(room->x, room->y, gop_px(28), number, gop_ink(gop_paint->quiet, 1));
    int h = canvas_paragraph(body, text, gop_ink(gop_paint->white, 1));
    room->y += h;
    room->h -= h;
}

/* In two halves of four, as people read it out. */
static void show_key(struct rect *room, const struct content *c)
{
    int large = canvas_width() / gop_lay.scale >= 1100 ? 4 : 3, w = 0;
    char half[5] = "";
    if (!c->has_volume)
        return;
    if (!c->key_id[0]) {
        add(room, "No key ID is known for this volume.", gop_ink(gop_paint->amber, 1), 4);
        return;
    }
    add(room, "Key ID", gop_ink(gop_paint->quiet, 1), -2);
    for (int i = 0; i < 2; i++) {
        memcpy(half, c->key_id + 4 * i, 4);
        w += canvas_text(room->x + w, room->y, room->w - w, half, gop_ink(gop_paint->amber, large)) +
             gop_px(4 * large);
    }
    canvas_text(room->x + w + gop_px(16), room->y + gop_px(CANVAS_CELL_H * (large - 1) - 4),
                room->w - w - gop_px(16), c->also, gop_ink(gop_paint->quiet, 1));
    room->y += gop_px(CANVAS_CELL_H * large + 2);
    room->h -= gop_px(CANVAS_CELL_H * large + 2);
}

/* One line each, as many as there is room for around the current one. */
static void show_list_of_volumes(struct rect *room, const struct content *c, unsigned rows)
{
    unsigned first = c->list_at < rows ? 0 : c->list_at - rows + 1;
    for (unsigned i = first; i < c->n_list && i < first + rows; i++) {
        bool current = i == c->list_at;
        if (current)
            canvas_fill((struct rect){room->x - gop_px(8), room->y, gop_px(4), gop_px(CANVAS_CELL_H)},
                        gop_paint->amber);
        canvas_text(room->x, room->y, room->w, c->list[i],
                    gop_ink(current ? gop_paint->white : gop_paint->quiet, 1));
        room->y += gop_px(CANVAS_CELL_H + 1);
        room->h -= gop_px(CANVAS_CELL_H + 1);
    }
}

/* On a narrow screen the list stands for the line about the current volume, too. */
static void show_volumes(struct rect *room, const struct content *c)
{
    unsigned rows = gop_is_narrow() ? 3 : CONTENT_VOLUMES;
    if (!gop_is_narrow() || c->n_list == 0)
        add(room, c->volume, gop_ink(gop_paint->quiet, 1), c->count[0] ? 2 : 10);
    else if (c->mended[0])
        add(room, c->mended, gop_ink(gop_paint->quiet, 1), 2);
    show_list_of_volumes(room, c, rows);
    if (!gop_is_narrow() || c->n_list > rows || c->n_list == 0)
        add(room, c->count, gop_ink(gop_paint->blue, 1), gop_is_narrow() ? 4 : 10);
}

static void show_address(struct rect *room, const struct content *c)
{
    static const char check[] = "Check that this is your organisation's address.";
    if (!c->url[0])
        return;
    add(room, c->url, gop_ink(gop_paint->blue, 1), 0);
    add(room, check, gop_ink(gop_paint->quiet, 1), 10);
}

/* What does not fit stands beside or below the boxes as long as there is no message; the note before the
 * rest. */
static const char *show_words(struct rect room, const struct content *c)
{
    show_key(&room, c);
    show_volumes(&room, c);
    for (unsigned i = 0; c->has_volume && i < CONTENT_STEPS; i++)
        add_step(&room, i, content_step(c, i, c->qr[0]));
    room.y += gop_px(gop_is_narrow() ? 4 : 10);
    room.h -= gop_px(gop_is_narrow() ? 4 : 10);
    show_address(&room, c);
    /* none fits also where the lines before it took all the room and more */
    bool note_fits = !c->note[0] ||
                     canvas_paragraph_height(room.w, c->note, gop_lay.scale) <= room.h + gop_px(GOP_LINE_GAP);
    add(&room, note_fits ? c->note : "", gop_ink(gop_paint->amber, 1), 10);
    bool fits = canvas_paragraph_height(room.w, c->message, gop_lay.scale) <= room.h + gop_px(GOP_LINE_GAP);
    add(&room, fits && note_fits ? c->message : "", gop_ink(gop_paint->white, 1), 0);
    return !note_fits ? c->note : fits ? "" : c->message;
}

void gop_words_footer(const struct content *c)
{
    int y = canvas_height() - gop_lay.margin - gop_px(CANVAS_CELL_H);
    canvas_text(gop_lay.margin, y, canvas_width() - 2 * gop_lay.margin, content_keys(c, true),
                gop_ink(gop_paint->quiet, 1));
}

void gop_words_main(const struct content *c, const char **ret_resting)
{
    int side = 0;
    struct rect words = gop_lay.main,
                square = {gop_lay.main.x, gop_lay.main.y, gop_lay.main.w * 2 / 5, gop_lay.main.h};
    /* without a code the words take the whole width */
    if (c->qr[0] && qr_draw(c->qr, square, &side) == ERR_OK) {
        words.x += side + gop_px(28);
        words.w -= side + gop_px(28);
    }
    *ret_resting = show_words(words, c);
}

/* As many lines as there is room for, around the one that is chosen. */
void gop_words_list(const struct model *m)
{
    struct rect r = gop_lay.main;
    int pitch = gop_px(CANVAS_CELL_H + 5);
    unsigned rows = (unsigned)((r.h - pitch) / pitch), n = m->menu->n;
    unsigned first = m->menu_at < rows ? 0 : m->menu_at - rows + 1;
    canvas_text(r.x, r.y, r.w, "What to start", gop_ink(gop_paint->quiet, 1));
    for (unsigned i = first; i < n && i < first + rows; i++) {
        char line[MENU_LINE + 8];
        struct sentence s;
        struct rect bar = {r.x, r.y + (int)(i - first + 1) * pitch, r.w, gop_px(CANVAS_CELL_H + 2)};
        struct ink how = gop_ink(i == m->menu_at ? gop_paint->amber : gop_paint->white, 1);
        sentence_init(&s, line, sizeof line);
        sentence_add_u64(&s, i + 1);
        sentence_add(&s, ". ");
        sentence_add(&s, m->menu->line[i]);
        if (i == m->menu_at)
            canvas_frame(bar, gop_px(1), gop_paint->amber);
        canvas_text(bar.x + gop_px(8), bar.y + gop_px(1), bar.w - gop_px(16), line, how);
    }
}
