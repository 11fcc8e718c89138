#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A verb's question to the running server (process/local.h). */

#include "crypto/err.h"
#include "crypto/secret.h"
#include <json-c/json.h>

/* Ask, and say on standard error what is in the way.
 * what:    the verb, for that sentence
 * request: taken
 * secret:  NULL where there is none
 * ret:     on KH_EXIT_OK the answer, to be put; untouched otherwise
 * Returns an exit code: USAGE (the server could not make sense of it), FAILED, NO, or QUEUED where the same
 * may go another time. */
int ask_server(const char *root, const char *what, struct json_object *request, const struct secret *secret,
               struct json_object **ret);
/* The exit code where there was no answer, and where the answer was a refusal. */
int ask_exit_unreachable(enum err e);
int ask_exit_refused(enum err e);
