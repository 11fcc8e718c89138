/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/gop_look.h"
#include "formats/recovery_password.h"

#define BOX_MAX 150 /* width, scaled */
#define NARROW  900 /* scaled width below which boxes take two rows */

static const struct palette usual = {.night = {0x0d, 0x17, 0x26},
                                     .panel = {0x1c, 0x2b, 0x42},
                                     .rim = {0x4a, 0x5f, 0x80},
                                     .white = {0xff, 0xff, 0xff},
                                     .quiet = {0xb4, 0xc2, 0xd6},
                                     .amber = {0xff, 0xd1, 0x5c},
                                     .red = {0xff, 0x7b, 0x72},
                                     .green = {0x7e, 0xe2, 0xa8},
                                     .blue = {0x8a, 0xc4, 0xff}},
                            high = {.night = {0, 0, 0},
                                    .panel = {0, 0, 0},
                                    .rim = {0xff, 0xff, 0xff},
                                    .white = {0xff, 0xff, 0xff},
                                    .quiet = {0xff, 0xff, 0xff},
                                    .amber = {0xff, 0xff, 0},
                                    .red = {0xff, 0x80, 0x80},
                                    .green = {0x80, 0xff, 0x80},
                                    .blue = {0x80, 0xff, 0xff}};

const struct palette *gop_paint = &usual;
struct layout gop_lay;

struct ink gop_ink(struct color c, int scale)
{
    return (struct ink){.text = c, .ground = gop_paint->night, .scale = scale * gop_lay.scale};
}

int gop_px(int n)
{
    return n * gop_lay.scale;
}

/* The largest whole factor that still leaves room for everything. */
static int choose_scale(int w, int h)
{
    int by_w = w / 800, by_h = h / 540, s = by_w < by_h ? by_w : by_h;
    return s < 1 ? 1 : s;
}

void gop_make_layout(int w, int h)
{
    gop_lay.scale = choose_scale(w, h);
    bool narrow = w / gop_lay.scale < NARROW;
    gop_lay.margin = gop_px(w / gop_lay.scale < 1100 ? 28 : 48);
    gop_lay.per_row = narrow ? RP_GROUPS / 2 : RP_GROUPS;
    gop_lay.gap = gop_px(8);
    int room = (narrow ? gop_px(472) : w - 2 * gop_lay.margin) - (gop_lay.per_row - 1) * gop_lay.gap;
    gop_lay.box_w = room / gop_lay.per_row < gop_px(BOX_MAX) ? room / gop_lay.per_row : gop_px(BOX_MAX);
    gop_lay.box_h = gop_px(CANVAS_CELL_H * GOP_BOX_SCALE + 2 * GOP_BOX_PAD);
    int rows = RP_GROUPS / gop_lay.per_row, row_h = gop_lay.box_h + gop_px(GOP_LABEL_H);
    int boxes_w = gop_lay.per_row * gop_lay.box_w + (gop_lay.per_row - 1) * gop_lay.gap;
    int message_h = narrow ? 0 : gop_px(2 * 22 + 6);
    int bottom = h - gop_lay.margin - gop_px(CANVAS_CELL_H + 10) - message_h;
    int boxes_h = rows * row_h + (rows - 1) * gop_lay.gap;
    gop_lay.boxes = (struct rect){gop_lay.margin, bottom - boxes_h, boxes_w, boxes_h};
    gop_lay.message =
        narrow ? (struct rect){gop_lay.margin + boxes_w + gop_px(24), gop_lay.boxes.y,
                               w - 2 * gop_lay.margin - boxes_w - gop_px(24), boxes_h}
               : (struct rect){gop_lay.margin, bottom + gop_px(10), w - 2 * gop_lay.margin, message_h};
    gop_lay.below = (struct rect){gop_lay.margin, gop_lay.boxes.y, w - 2 * gop_lay.margin,
                                  h - gop_lay.margin - gop_lay.boxes.y};
    int top = gop_lay.margin + gop_px(h / gop_lay.scale < 700 ? 86 : 100);
    gop_lay.main =
        (struct rect){gop_lay.margin, top, w - 2 * gop_lay.margin, gop_lay.boxes.y - top - gop_px(14)};
}

bool gop_is_narrow(void)
{
    return canvas_width() / gop_lay.scale < NARROW;
}

void gop_recolor(void)
{
    gop_paint = gop_paint == &usual ? &high : &usual;
}
