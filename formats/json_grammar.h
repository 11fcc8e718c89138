#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Is a text JSON? jsmn finds tokens but lets missing commas, `{"a"}` or `1x2` pass; a reader of disks that
 * anybody may have written wants to know first. */

#include "crypto/err.h"
#include <stddef.h>

/* Check a whole text against RFC 8259, one value, surrounding white space allowed.
 * max_depth:  values within each other, at most 32, as json-c counts: [[]] and [1] are 2
 * ret_tokens: number of objects, arrays, strings (names included), numbers and literals
 * err:        FORMAT
 * source:     RFC 8259 */
MUST_CHECK enum err json_grammar_check(const char *text, size_t len, unsigned max_depth, size_t *ret_tokens);

/* Where such a text stops being JSON: offset of the byte that cannot stand there or of the one behind it, len
 * when it ends too early or is JSON. For messages. */
size_t json_grammar_fault(const char *text, size_t len, unsigned max_depth);
