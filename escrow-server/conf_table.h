#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The settings of server.conf, in the order of the file: what reads it, writes it, and its manual page go by
 * this table. */

#include "escrow-server/places.h"
#include <stddef.h>

enum value_kind {
    VALUE_UID = 1,
    VALUE_WORKERS,
    VALUE_U64,
    VALUE_MONTHS,
    VALUE_YES,
    VALUE_ENTRIES,
    VALUE_TEXT
};

struct conf_setting {
    const char *name;
    enum value_kind kind;
    size_t off;          /* in struct conf */
    const char *comment; /* lines begin with "# ", but the first; NULL: the one before speaks of this, too */
};
#define CONF_SETTINGS 29
extern const struct conf_setting conf_settings[CONF_SETTINGS];

/* By enum value_kind: what may stand there, and what is said of anything else. */
struct conf_value {
    const char *range, *wanted;
};
extern const struct conf_value conf_values[VALUE_TEXT + 1];
