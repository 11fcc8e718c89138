#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* json-c, read strictly: what the network or a file brings is parsed here and nowhere else. Hosted. */

#include "crypto/err.h"
#include <json-c/json.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_DEPTH_MAX 16
#define JSON_BYTES_MAX (1u << 20)

/* Parse one JSON object: UTF-8, nothing behind it, depth at most 16, at most 1 MiB, no key twice.
 * ret: owned by the caller, json_object_put() it. err: FORMAT, RANGE (too large or deep), NOMEM */
MUST_CHECK enum err json_strict_parse(const char *text, size_t len, struct json_object **ret);

/* Members of an object. err: NOT_FOUND, FORMAT (another type), RANGE (length or value) */
MUST_CHECK enum err json_get_text(struct json_object *o, const char *key, size_t max, const char **ret);
MUST_CHECK enum err json_get_u64(struct json_object *o, const char *key, uint64_t *ret);
MUST_CHECK enum err json_get_array(struct json_object *o, const char *key, size_t max,
                                   struct json_object **ret);
/* A base64 or hex text, decoded. */
MUST_CHECK enum err json_get_base64(struct json_object *o, const char *key, uint8_t *ret, size_t cap,
                                    size_t *ret_len);
MUST_CHECK enum err json_get_hex(struct json_object *o, const char *key, uint8_t *ret, size_t len);
