#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* UTF-8 text, character by character, as firmware can show it. */

#include <stdint.h>

/* Next character of UTF-8 text; *p moves on and stays at the zero byte. Malformed bytes and characters
 * outside the basic plane give '?'. */
uint16_t characters_next(const char **p);
/* The character to draw in its place: firmware fonts lack typographic quotes, dashes and bullets. */
uint16_t characters_plain(uint16_t c);
