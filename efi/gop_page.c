/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Title above, lines, a bar, the message, the keys below; as much as fits at 800 × 600. */
#include "efi/gop_page.h"
#include "efi/gop_look.h"
#include <string.h>

#define HEAD_H    56 /* title and rule, scaled */
#define MESSAGE_H 66 /* three lines */
#define ROW_H     24
#define BAR_H     22

static struct page drawn;

/* Where the parts of a page are. */
struct places {
    struct rect body, bar, message, keys;
};

static struct places find_places(void)
{
    struct places r;
    int w = canvas_width() - 2 * gop_lay.margin, x = gop_lay.margin, h = canvas_height();
    r.keys = (struct rect){x, h - gop_lay.margin - gop_px(CANVAS_CELL_H), w, gop_px(CANVAS_CELL_H)};
    r.message = (struct rect){x, r.keys.y - gop_px(MESSAGE_H + 8), w, gop_px(MESSAGE_H)};
    r.bar = (struct rect){x, r.message.y - gop_px(BAR_H + 14), w, gop_px(BAR_H)};
    int top = gop_lay.margin + gop_px(HEAD_H);
    r.body = (struct rect){x, top, w, r.bar.y - top - gop_px(8)};
    return r;
}

static void draw_head(const struct page *p)
{
    int w = canvas_width() - 2 * gop_lay.margin, y = gop_lay.margin;
    bool large = canvas_text_width(p->title, 2 * gop_lay.scale) <= w;
    canvas_text(gop_lay.margin, y + (large ? 0 : gop_px(17)), w, p->title,
                gop_ink(gop_paint->white, large ? 2 : 1));
    canvas_fill((struct rect){gop_lay.margin, y + gop_px(46), w, gop_px(1)}, gop_paint->rim);
}

static struct rect row_rect(const struct places *r, unsigned i)
{
    return (struct rect){r->body.x, r->body.y + (int)i * gop_px(ROW_H), r->body.w, gop_px(ROW_H - 2)};
}

static void draw_row(const struct page *p, const struct places *r, unsigned i)
{
    struct rect row = row_rect(r, i);
    bool meant = i == p->at;
    canvas_fill(row, gop_paint->night);
    if (i >= p->n)
        return;
    if (meant)
        canvas_frame(row, gop_px(1), gop_paint->amber);
    canvas_text(row.x + gop_px(8), row.y + gop_px(1), row.w - gop_px(16), p->line[i],
                gop_ink(meant ? gop_paint->amber : gop_paint->white, 1));
}

static void draw_paragraphs(const struct page *p, const struct places *r)
{
    struct rect room = r->body;
    for (unsigned i = 0; i < p->n; i++) {
        int h = canvas_paragraph(room, p->line[i], gop_ink(gop_paint->white, 1)) + gop_px(8);
        room.y += h;
        room.h -= h;
    }
}

static void draw_body(const struct page *p, const struct places *r, bool all)
{
    if (p->list) {
        for (unsigned i = 0; i < PAGE_LINES; i++)
            if (all || strcmp(p->line[i], drawn.line[i]) != 0 || (i == p->at) != (i == drawn.at) ||
                (i < p->n) != (i < drawn.n))
                draw_row(p, r, i);
        return;
    }
    if (!all && p->n == drawn.n && memcmp(p->line, drawn.line, sizeof p->line) == 0)
        return;
    canvas_fill(r->body, gop_paint->night);
    draw_paragraphs(p, r);
}

/* Only what grew: the rest would flicker. */
static void draw_bar(const struct page *p, const struct places *r, bool all)
{
    int inner = r->bar.w - gop_px(8), now = (int)((int64_t)inner * p->permille / 1000);
    struct rect full = {r->bar.x + gop_px(4), r->bar.y + gop_px(4), now, r->bar.h - gop_px(8)};
    if (!p->bar || (!all && drawn.bar && p->permille == drawn.permille))
        return;
    if (all || !drawn.bar || p->permille < drawn.permille) {
        canvas_fill(r->bar, gop_paint->panel);
        canvas_frame(r->bar, gop_px(1), gop_paint->rim);
    }
    canvas_fill(full, gop_paint->green);
}

static void draw_message(const struct page *p, const struct places *r)
{
    struct color c = p->tone == TONE_BAD    ? gop_paint->red
                     : p->tone == TONE_GOOD ? gop_paint->green
                     : p->tone == TONE_ASK  ? gop_paint->amber
                                            : gop_paint->quiet;
    canvas_fill(r->message, gop_paint->night);
    canvas_paragraph(r->message, p->message, gop_ink(c, 1));
}

void gop_page_draw(const struct page *p, bool all)
{
    struct places r = find_places();
    all = all || strcmp(p->title, drawn.title) != 0 || strcmp(p->keys, drawn.keys) != 0 ||
          p->list != drawn.list || p->bar != drawn.bar;
    if (all) {
        canvas_fill((struct rect){0, 0, canvas_width(), canvas_height()}, gop_paint->night);
        draw_head(p);
        canvas_text(r.keys.x, r.keys.y, r.keys.w, p->keys, gop_ink(gop_paint->quiet, 1));
    }
    draw_body(p, &r, all);
    draw_bar(p, &r, all);
    if (all || p->tone != drawn.tone || strcmp(p->message, drawn.message) != 0)
        draw_message(p, &r);
    drawn = *p;
}
