#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a server.conf whose lines are all good can still get wrong as a whole. */

#include "escrow-server/places.h"

/* Walls between processes stand only between different users above 0; that of the exporter counts where audit
 * is exported. */
bool config_users_differ(const struct conf *c);
/* The first key that would stop the server or one of its processes, or mean nothing.
 * lines: of conf_read(). err: FORMAT (ret_mistake is filled) */
MUST_CHECK enum err config_check(const struct conf *c, const unsigned *lines,
                                 struct conf_mistake *ret_mistake);
