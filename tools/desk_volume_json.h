#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The answers of keyholt-desk volume for programs. Their fields are listed in keyholt-desk(1). */

#include "tools/desk_volume_open.h"

/* Print one JSON object and a newline; return an enum kh_exit. */
int desk_volume_json_show(const struct volume *v);
/* opens: desk_volume_unlock() said yes; otherwise the session says why not. */
int desk_volume_json_test(const struct desk_volume_session *s, bool opens);
/* holes: bytes of OUT that were zero */
int desk_volume_json_decrypt(const struct desk_volume_session *s, uint64_t holes);
