#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A page in the text look: printed line by line, then what changes in words. */

#include "efi/page.h"

/* Print what is news: everything of another page, of a list only which line is meant, of a bar each tenth.
 * all: as another page */
void text_page_print(const struct page *p, bool all);
