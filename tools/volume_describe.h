#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a format's reader knows of a volume, as volume.h shows it: no I/O, no secret. */

#include "formats/bitlocker.h"
#include "formats/luks2.h"
#include "tools/volume.h"

/* Fill all of ret but what only the data device can tell (for LUKS2: size and why_not).
 * ret: zeroed before; its list of protectors is malloc'ed
 * err: NOMEM */
MUST_CHECK enum err volume_describe_luks2(const struct luks2 *l, struct volume_info *ret);
MUST_CHECK enum err volume_describe_bitlocker(const struct bitlocker *b, struct volume_info *ret);
