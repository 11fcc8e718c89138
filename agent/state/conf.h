#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* agent.conf: what this machine needs and the organisation cannot know. Lines "key = value"; a line that
 * begins with # is a comment. docs/formats.md#agentconf */

#include "agent/problem.h"
#include "crypto/err.h"
#include <stddef.h>

#define CONF_FILE_MAX  (64u << 10)
#define CONF_VALUE_MAX 500

struct conf {
    char proxy[CONF_VALUE_MAX + 1];    /* URL, perhaps with a password; empty: none */
    char no_proxy[CONF_VALUE_MAX + 1]; /* hosts that are reached without it, comma between */
};

/* err: FORMAT (unknown key, a key twice, a value that is none), RANGE (too long); ret_line: where, from 1 */
MUST_CHECK enum err conf_decode(const char *text, size_t len, struct conf *ret, unsigned *ret_line);
/* Read the file below root; a missing one is empty.
 * why: filled on failure. err: as conf_decode(); DENIED, IO, NOMEM */
MUST_CHECK enum err conf_load(const char *root, struct conf *ret, struct problem *why);
