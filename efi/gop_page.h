#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A page in the graphics look. */

#include "efi/page.h"

/* Draw it: what differs from the page before, everything when all is set. */
void gop_page_draw(const struct page *p, bool all);
