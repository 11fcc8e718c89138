#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Walk a JSON text without allocating: jsmn makes the tokens in the caller's memory, this module checks the
 * grammar that jsmn leaves open, finds members and turns values into numbers, text and bytes.
 * Both worlds; used for LUKS2 headers and org.json. A node is an index; JW_NONE means "not there", and
 * every function takes it and finds nothing. */

#include "crypto/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JW_NONE  (-1)
#define JW_ROOT  0
#define JW_DEPTH 32         /* values within each other, as in json-c */
#define JW_MAX   (8u << 20) /* bytes of one text */
/* Scratch for a text of len bytes: 20 bytes for each token, and a token takes two characters at least
 * (`[0,0,0]`). */
#define JW_SCRATCH(len) JW_TOKENS((size_t)(len) / 2 + 1)
/* and for a text of n objects, arrays, strings (names included), numbers and literals */
#define JW_TOKENS(n) ((size_t)(n)*20 + 8)

struct jw {
    const char *text; /* borrowed */
    size_t len;
    void *tokens; /* borrowed, within the caller's scratch */
    int n;
};

/* JW_NUMBER is an integer; one with a fraction or an exponent is JW_REAL. */
enum jw_type { JW_MISSING = 0, JW_OBJECT, JW_ARRAY, JW_STRING, JW_NUMBER, JW_REAL, JW_LITERAL };

/* Check and tokenise a whole text; JW_ROOT is its one value. Stricter than jsmn (RFC 8259), but member
 * names may repeat: the last one counts, as in json-c, which is what libcryptsetup reads the same bytes with.
 * text:    borrowed as long as ret is used
 * scratch: borrowed too; JW_SCRATCH(len) bytes suffice for every text
 * err:     FORMAT (not JSON, too deep), FULL (scratch), RANGE (longer than JW_MAX)
 * cost:    linear in len, whatever the text */
MUST_CHECK enum err jw_parse(const char *text, size_t len, void *scratch, size_t scratch_len, struct jw *ret);

enum jw_type jw_type(const struct jw *j, int node);
/* Member of an object, JW_NONE when there is none. cost: linear in the number of members */
int jw_get(const struct jw *j, int object, const char *name);
/* The same, but JW_NONE when it is not of that type. */
int jw_get_as(const struct jw *j, int object, const char *name, enum jw_type type);
/* Number of members or elements; 0 for everything else. */
unsigned jw_count(const struct jw *j, int node);

/* Go through an object or array:
 *     struct jw_each e;
 *     for (jw_each(j, node, &e); jw_each_next(j, &e);) … e.name, e.value … */
struct jw_each {
    int name;  /* node of the member's name, JW_NONE in an array */
    int value; /* node */
    int next;  /* private */
    unsigned left;
    bool object;
};
void jw_each(const struct jw *j, int node, struct jw_each *ret);
bool jw_each_next(const struct jw *j, struct jw_each *e);

/* Is the node a string with exactly this content (escapes resolved)? */
bool jw_is(const struct jw *j, int node, const char *text);
/* Does the string start with this? */
bool jw_starts(const struct jw *j, int node, const char *prefix);
/* Are two values written with the same bytes? */
bool jw_same(const struct jw *j, int a, int b);
/* Where the value begins in the text; 0 for JW_NONE. For messages. */
size_t jw_offset(const struct jw *j, int node);
/* A string as it is written, for people: printable ASCII, '?' for all else, zero-terminated; one longer than
 * cap - 1 ends in "...". Empty for what is no string. cap at least 4 */
void jw_excerpt(const struct jw *j, int node, char *ret, size_t cap);
/* Content of a string, escapes resolved, zero-terminated; cap includes the zero byte.
 * err: FORMAT (no string; zero characters, half surrogate pairs or malformed UTF-8 in it), FULL */
MUST_CHECK enum err jw_text(const struct jw *j, int node, char *ret, size_t cap, size_t *ret_len);
/* Unsigned decimal integer, given as a number (type JW_NUMBER) or in a string (JW_STRING).
 * err: FORMAT (another type, sign, fraction, exponent, no digits), RANGE (beyond max) */
MUST_CHECK enum err jw_u64(const struct jw *j, int node, enum jw_type type, uint64_t max, uint64_t *ret);
MUST_CHECK enum err jw_u32(const struct jw *j, int node, enum jw_type type, uint32_t *ret);
/* err: FORMAT (neither true nor false) */
MUST_CHECK enum err jw_bool(const struct jw *j, int node, bool *ret);
/* Bytes of a base64 string of at most JW_BYTES_MAX bytes. err: FORMAT, FULL (longer than cap) */
#define JW_BYTES_MAX 1024
MUST_CHECK enum err jw_base64(const struct jw *j, int node, uint8_t *ret, size_t cap, size_t *ret_len);
