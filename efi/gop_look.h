#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the parts of the graphics look share: colours and places. Lengths are multiples of the scale, so the
 * picture is the same on small and on dense screens. For screen_gop.c, gop_words.c and gop_boxes.c alone. */

#include "efi/canvas.h"
#include <stdbool.h>

#define GOP_LABEL_H   23 /* above a box */
#define GOP_LINE_GAP  3
#define GOP_BOX_SCALE 2 /* of the digits, in scales */
#define GOP_BOX_PAD   8

/* Named by what they are for. Contrast of text on its ground: at least 7 to 1 (usual), 15 to 1 (high; the red
 * 8 to 1).
 */
struct palette {
    struct color night, panel, rim, white, quiet, amber, red, green, blue;
};
extern const struct palette *gop_paint;

/* Where things are, in pixels. */
struct layout {
    int scale, margin;
    struct rect main, boxes, message;
    struct rect below; /* boxes, message and keys together */
    int per_row, box_w, box_h, gap;
};
extern struct layout gop_lay;

/* Find the places for a screen of so many pixels. */
void gop_make_layout(int w, int h);
/* Colours of high contrast, or back. */
void gop_recolor(void);
/* The eight boxes take two rows. */
bool gop_is_narrow(void);
/* Pixels of a scaled length. */
int gop_px(int n);
/* Text of so many scales on the usual ground. */
struct ink gop_ink(struct color c, int scale);
