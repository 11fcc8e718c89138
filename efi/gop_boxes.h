#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The eight boxes of the graphics look. */

#include "efi/model.h"
#include <stdbool.h>

/* Draw the boxes that differ from what was drawn last, or all. */
void gop_boxes_draw(const struct model *m, bool all);
/* Forget the digits that were drawn. */
void gop_boxes_wipe(void);
