#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Drawing on the screen: filled rectangles and text, through the graphics output protocol. */

#include "efi/firmware.h"

struct color {
    uint8_t red, green, blue;
};

struct rect {
    int x, y, w, h; /* pixels */
};

/* How text is drawn: on a ground that is known, because it is filled at the same time. */
struct ink {
    struct color text, ground;
    int scale; /* whole factor of the 8 × 19 font */
};

#define CANVAS_CELL_W 8
#define CANVAS_CELL_H 19

/* Take over the screen; modes below 800 × 600 are left for a larger one.
 * err: UNSUPPORTED (no graphics, no font, or too small), NOMEM */
MUST_CHECK enum err canvas_open(void);
/* Give the screen back, black; what was drawn is wiped from memory. */
void canvas_close(void);
int canvas_width(void);
int canvas_height(void);

void canvas_fill(struct rect r, struct color c);
/* A frame of the given thickness inside r. */
void canvas_frame(struct rect r, int thickness, struct color c);

/* One line, cut at max_w; returns the width drawn. */
int canvas_text(int x, int y, int max_w, const char *utf8, struct ink ink);
/* Width that a line needs. */
int canvas_text_width(const char *utf8, int scale);
/* Wrapped at spaces within r; lines that do not fit are left out, and dots say so. Returns the height used,
 * line gaps included. */
int canvas_paragraph(struct rect r, const char *utf8, struct ink ink);
/* Height that canvas_paragraph would use with room enough. */
int canvas_paragraph_height(int w, const char *utf8, int scale);
