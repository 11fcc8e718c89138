#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The firmware's font (HII font protocol), glyph by glyph, kept as bits. */

#include "efi/firmware.h"

#define FONT_HEIGHT 19 /* of every narrow and wide glyph. source: UEFI 2.10, 33.3.1.5 */

struct font_glyph {
    uint16_t character;        /* 0 free */
    uint8_t width;             /* 8 or 16; 0 when the firmware has no such glyph */
    uint16_t row[FONT_HEIGHT]; /* bit 15 is the left-most pixel */
};

/* err: UNSUPPORTED (firmware without fonts) */
MUST_CHECK enum err font_open(void);
/* Never NULL; characters without a glyph give the one of '?'. Valid until the next call. */
const struct font_glyph *font_glyph(uint16_t character);
