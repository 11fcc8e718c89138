#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The words of the graphics look, and the code to scan. */

#include "efi/content.h"
#include "efi/model.h"

/* Name, computer, reason above; the keys below. */
void gop_words_head(const struct content *c);
void gop_words_footer(const struct content *c);
/* What stands between head and boxes. ret_resting: what found no room there and stands where messages stand
 * when there is none; borrowed from c */
void gop_words_main(const struct content *c, const char **ret_resting);
/* In its place: the lines of which one is chosen. */
void gop_words_list(const struct model *m);
