#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a server.conf whose lines are all good can still get wrong as a whole. */

#include "escrow-server/places.h"

/* Walls between processes stand only between different users above 0; that of the exporter counts where audit
 * is exported. */
bool config_users_differ(const struct conf *c);
/* The first key that would stop the server, its vault or its exporter.
 * ret_key: its name, where there is one. Returns a sentence, or NULL. */
const char *config_wrong(const struct conf *c, const char **ret_key);
