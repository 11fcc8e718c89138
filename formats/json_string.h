#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What stands between the quotation marks of a JSON string, character by character. */

#include <stddef.h>

/* Next character, escapes resolved; a surrogate pair is one.
 * p:      within a string that json_grammar_check() let pass, before end; moved behind the character
 * ret:    the character, 1 to 4 bytes of UTF-8
 * return: how many; 0 when it may not stand in text (zero, half a surrogate pair, malformed UTF-8)
 * source: RFC 8259 section 7 */
size_t json_string_next(const char **p, const char *end, char ret[static 4]);
