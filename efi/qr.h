#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The QR of the envelope, drawn on the canvas. */

#include "efi/canvas.h"

/* Draw a QR with its quiet zone of four modules into a white square at the top left of r, as large as whole
 * pixels per module allow; correction level M where its modules are as large as those of L, else L.
 * ret_side: the square's side in pixels
 * err: RANGE (does not fit at two pixels per module), NOMEM */
MUST_CHECK enum err qr_draw(const char *text, struct rect r, int *ret_side);
