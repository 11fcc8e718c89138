#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a person has to open a volume with. */

#include "crypto/err.h"
#include "crypto/secret.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum volume_way {
    VOLUME_RECOVERY_PASSWORD = 1,
    VOLUME_PASSPHRASE = 2,
    VOLUME_STARTUP_KEY = 3,
    VOLUME_KEY_FILE = 5, /* LUKS2: bytes of a file, just as they are */
    VOLUME_CLEAR_KEY = 4 /* nothing: the key lies open in the volume */
};

struct volume_key {
    enum volume_way way;
    const char *path;     /* borrowed: where it came from */
    struct secret secret; /* recovery password: its 16 bytes; passphrase: as typed */
    uint8_t *file;        /* startup key, key file: the whole file, malloc'ed */
    size_t file_len, file_cap;
    bool one_slot; /* LUKS2: only keyslot slot is tried, also one that is tried only when it is named */
    unsigned slot;
};

#define VOLUME_KEY_FILE_MAX (8u << 20) /* bytes; as cryptsetup takes by default */

/* "recovery password", "passphrase", "startup key", "clear key", "key file". */
const char *volume_way_name(enum volume_way way);

/* Read it from a file (of a passphrase, one newline at its end is left out; that alone is the empty one), or
 * from standard input when path is "-" (not for a clear key: path is not used). ret:       wipe it with
 * volume_key_wipe(), whatever the result ret_group: a recovery password that is none: the first wrong group,
 * 1 to 8, or 0 when there are not 48 digits; only on AUTH err: AUTH (no recovery password can look like
 * this), NOT_FOUND, DENIED, IO, RANGE (longer than volume_key_max()), FORMAT (empty; a key file may be) */
MUST_CHECK enum err volume_key_load(enum volume_way way, const char *path, struct volume_key *ret,
                                    unsigned *ret_group);
/* Bytes that a file of it may have, 0: any. */
size_t volume_key_max(enum volume_way way);
void volume_key_wipe(struct volume_key *key);
