#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Text from elsewhere: is it UTF-8, and is it safe to show? Both worlds. */

#include <stdbool.h>
#include <stddef.h>

/* Well-formed UTF-8: no overlong forms, no surrogates, nothing beyond U+10FFFF. */
bool text_is_utf8(const char *text, size_t len);
/* UTF-8 without control characters (C0, DEL, C1). */
bool text_is_printable(const char *text, size_t len);
/* Copy at most cap - 1 bytes, ending on a whole character; what is not printable UTF-8 becomes '?'.
 * ret: zero-terminated */
void text_clean(const char *text, size_t len, char *ret, size_t cap);
