#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Text from elsewhere: is it UTF-8, and is it safe to show? Both worlds. */

#include <stdbool.h>
#include <stddef.h>

/* Length of the well-formed UTF-8 character at text, 1 to 4; 0 when there is none. left: bytes there, at
 * least 1 source: RFC 3629 section 4 */
size_t text_char_len(const char *text, size_t left);
/* Well-formed UTF-8: no overlong forms, no surrogates, nothing beyond U+10FFFF. */
bool text_is_utf8(const char *text, size_t len);
/* UTF-8 without control characters (C0, DEL, C1). */
bool text_is_printable(const char *text, size_t len);
/* Copy at most cap - 1 bytes, ending on a whole character; what is not printable UTF-8 becomes '?'.
 * ret: zero-terminated */
void text_clean(const char *text, size_t len, char *ret, size_t cap);
