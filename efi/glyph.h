#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Enlarging a glyph of the firmware's font by whole factors, with its steps cut to slopes. */

#include "efi/font.h"

struct glyph_target {
    EFI_GRAPHICS_OUTPUT_BLT_PIXEL *at; /* top left */
    size_t stride;                     /* pixels from row to row */
    EFI_GRAPHICS_OUTPUT_BLT_PIXEL on, off;
};

/* Draws scale × width by scale × FONT_HEIGHT pixels. */
void glyph_draw(const struct font_glyph *g, int scale, const struct glyph_target *to);
