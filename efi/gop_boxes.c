/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/gop_boxes.h"
#include "efi/gop_look.h"
#include "efi/sentence.h"
#include <string.h>

struct box {
    char digit[MODEL_DIGITS];
    unsigned n, cursor; /* cursor: place + 1, 0 when it is elsewhere */
    enum group_state state;
};

static struct box drawn[RP_GROUPS];

static struct rect box_rect(unsigned g)
{
    int column = (int)g % gop_lay.per_row, row = (int)g / gop_lay.per_row;
    return (struct rect){gop_lay.boxes.x + column * (gop_lay.box_w + gop_lay.gap),
                         gop_lay.boxes.y + gop_px(GOP_LABEL_H) +
                             row * (gop_lay.box_h + gop_px(GOP_LABEL_H) + gop_lay.gap),
                         gop_lay.box_w, gop_lay.box_h};
}

/* Colour never stands alone: the label says it in a word, too. */
static void draw_label(unsigned g, struct rect r, const struct box *b)
{
    struct sentence s;
    char label[16];
    struct color c = b->state == GROUP_WRONG  ? gop_paint->red
                     : b->state == GROUP_GOOD ? gop_paint->green
                     : b->cursor              ? gop_paint->white
                                              : gop_paint->quiet;
    sentence_init(&s, label, sizeof label);
    sentence_add_u64(&s, g + 1);
    sentence_add(&s, b->state == GROUP_WRONG ? " not right" : b->state == GROUP_GOOD ? " ok" : "");
    canvas_fill((struct rect){r.x, r.y - gop_px(GOP_LABEL_H), r.w, gop_px(CANVAS_CELL_H)}, gop_paint->night);
    canvas_text(r.x + gop_px(2), r.y - gop_px(GOP_LABEL_H), r.w, label, gop_ink(c, 1));
}

static void draw_box(unsigned g, const struct box *b)
{
    struct rect r = box_rect(g);
    int cell = gop_px(CANVAS_CELL_W * GOP_BOX_SCALE), y = r.y + gop_px(GOP_BOX_PAD);
    int x = r.x + (r.w - MODEL_DIGITS * cell) / 2;
    struct color edge = b->state == GROUP_WRONG  ? gop_paint->red
                        : b->cursor              ? gop_paint->white
                        : b->state == GROUP_GOOD ? gop_paint->green
                                                 : gop_paint->rim;
    struct ink digits = {
        .text = gop_paint->white, .ground = gop_paint->panel, .scale = gop_px(GOP_BOX_SCALE)};
    char text[MODEL_DIGITS + 1];
    canvas_fill(r, gop_paint->panel);
    canvas_frame(r, gop_px(b->cursor || b->state == GROUP_WRONG ? 2 : 1), edge);
    memcpy(text, b->digit, b->n);
    text[b->n] = '\0';
    canvas_text(x, y, r.w, text, digits);
    for (unsigned i = b->n; i < MODEL_DIGITS; i++)
        canvas_fill((struct rect){x + (int)i * cell + cell / 2 - gop_px(1), y + gop_px(CANVAS_CELL_H),
                                  gop_px(2), gop_px(2)},
                    gop_paint->rim);
    if (b->cursor) {
        unsigned at = b->cursor - 1 < MODEL_DIGITS ? b->cursor - 1 : MODEL_DIGITS - 1;
        canvas_fill(
            (struct rect){x + (int)at * cell + gop_px(2), r.y + r.h - gop_px(7), cell - gop_px(4), gop_px(3)},
            gop_paint->amber);
    }
    cr_wipe(text, sizeof text);
    draw_label(g, r, b);
}

static void make_box(const struct model *m, unsigned g, struct box *ret)
{
    memset(ret, 0, sizeof *ret); /* compared as bytes */
    memcpy(ret->digit, m->group[g].digit, m->group[g].n);
    ret->n = m->group[g].n;
    ret->state = model_group_state(m, g);
    if (m->at == g && m->phase == MODEL_ENTRY)
        ret->cursor = m->pos + 1;
}

void gop_boxes_draw(const struct model *m, bool all)
{
    struct box b;
    for (unsigned g = 0; g < RP_GROUPS; g++) {
        make_box(m, g, &b);
        if (all || memcmp(&b, &drawn[g], sizeof b) != 0)
            draw_box(g, &b);
        drawn[g] = b;
    }
    cr_wipe(&b, sizeof b);
}

void gop_boxes_wipe(void)
{
    cr_wipe(drawn, sizeof drawn);
}
