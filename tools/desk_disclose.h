#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One disclosure at the desk, from the bundle to the printed digits. */

#include "tools/desk_session.h"

/* Load everything, write the audit entry, open the envelope, print. What goes wrong is said on stderr and,
 * where the answer is no, left in the log. Returns an enum kh_exit. */
int desk_disclose(const struct desk_request *req);
