#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The organisation's bundle as the desk reads it: org.json, checked under the root key where there is one. */

#include "crypto/err.h"
#include "formats/org.h"
#include <stdbool.h>

/* Load org.json. The root key is root_key, or root.pub beside org.json when root_key is NULL; where there is
 * one, org.json.sig must verify under it. ret_checked: false when there is no root key, so that nothing
 * vouches for the file ret_problem: on failure, the file that is the reason; room for cap characters err:
 * AUTH (bad signature, or none beside a root key), NOT_FOUND, FORMAT, ... */
MUST_CHECK enum err desk_org_load(const char *path, const char *root_key, struct org *ret, bool *ret_checked,
                                  char *ret_problem, size_t cap);
