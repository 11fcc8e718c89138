#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a verb did, as one JSON object on standard output. */

#include <stdint.h>

struct answer_member {
    const char *name;
    const char *text; /* NULL: the number counts */
    uint64_t number;
};

/* Up to the member whose name is NULL. */
void answer_json(const struct answer_member *m);
#define ANSWER_JSON(...) answer_json((const struct answer_member[]){__VA_ARGS__, {0}})
