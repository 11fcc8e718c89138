#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A strict look at HTTP/1.1 as it comes, before evhttp reads it. evhttp is generous (a bare LF ends a line, a
 * line may go on in the next, of two lengths the first counts), and where two readers of one stream may
 * differ, requests are smuggled. What passes here has one meaning: CRLF, no folding, one length, no transfer
 * coding. Pure: no I/O, no memory of its own. source: RFC 9112 sections 2.2, 3, 5, 6; RFC 9110 section 5.6.2
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_GUARD_HEAD   8192 /* bytes of request line and header fields */
#define HTTP_GUARD_FIELDS 64   /* evhttp keeps each in memory of its own, a hundred bytes for four */
#define HTTP_GUARD_TARGET 2048
#define HTTP_GUARD_BODY   (1u << 20)
#define HTTP_GUARD_NAME   24 /* what is kept of a field's name; longer ones are none that matter */
#define HTTP_GUARD_VALUE  24

struct http_guard {
    uint8_t state;  /* of http_guard.c */
    uint8_t method; /* number in its table */
    uint8_t n_hosts;
    uint8_t old; /* HTTP/1.0 */
    bool has_length, has_coding;
    uint16_t n_head, n_fields, n_target, n_name, n_value;
    uint32_t body; /* bytes to come */
    uint32_t size; /* of head and body together, while the body comes; else 0 */
    char name[HTTP_GUARD_NAME], value[HTTP_GUARD_VALUE];
};

struct http_refusal {
    int status;
    const char *sentence;
};

void http_guard_init(struct http_guard *g);
/* The next bytes of the stream, in pieces of any size. Returns NULL as long as all is well, or why not; then
 * and ever after. */
const struct http_refusal *http_guard_feed(struct http_guard *g, const uint8_t *p, size_t len);
/* Has a request begun that is not whole yet? */
bool http_guard_is_amid(const struct http_guard *g);
