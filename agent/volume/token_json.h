#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The JSON text of our LUKS2 token, from the struct that formats/luks2.h decodes it to. */

#include "crypto/err.h"
#include "formats/base.h"
#include "formats/luks2.h"

/* Longest text: the envelope in base64 and about 400 characters around it. */
#define TOKEN_JSON_MAX (BASE64_LEN(ENVELOPE_MAX) + 500)

/* ret: zero-terminated. err: RANGE (fields that no token of ours has) */
MUST_CHECK enum err token_json_encode(const struct luks2_token *t, char ret[static TOKEN_JSON_MAX]);
