#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a person has to open a volume with. */

#include "crypto/err.h"
#include "crypto/secret.h"
#include <stddef.h>
#include <stdint.h>

enum volume_way {
    VOLUME_RECOVERY_PASSWORD = 1,
    VOLUME_PASSPHRASE = 2,
    VOLUME_STARTUP_KEY = 3,
    VOLUME_CLEAR_KEY = 4 /* nothing: the key lies open in the volume */
};

struct volume_key {
    enum volume_way way;
    const char *path;     /* borrowed: where it came from */
    struct secret secret; /* recovery password: its 16 bytes; passphrase: as typed */
    uint8_t *file;        /* startup key: the whole file, malloc'ed */
    size_t file_len;
};

/* "recovery password", "passphrase", "startup key", "clear key". */
const char *volume_way_name(enum volume_way way);

/* Read it from a file, or from standard input when path is "-" (not for a clear key: path is not used).
 * ret:       wipe it with volume_key_wipe(), whatever the result
 * ret_group: a recovery password that is none: the first wrong group, 1 to 8, or 0 when there are not 48
 *            digits; only on AUTH
 * err: AUTH (no recovery password can look like this), NOT_FOUND, DENIED, IO, RANGE (too long), FORMAT
 * (empty)
 */
MUST_CHECK enum err volume_key_load(enum volume_way way, const char *path, struct volume_key *ret,
                                    unsigned *ret_group);
void volume_key_wipe(struct volume_key *key);
