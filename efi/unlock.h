#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The digits are complete: open the volume, leave word and hand the password on. */

#include "efi/content.h"
#include "efi/model.h"
#include "efi/volumes.h"

enum unlocked {
    UNLOCK_NOT = 1,
    UNLOCK_START, /* the system's volume is open, or its password right: time to start it */
    UNLOCK_STAY   /* a volume can be read; the others are still locked */
};

/* Try the model's digits on a volume, telling the screen each step. An operating system's LUKS2 volume: the
 * hand-off and the boot event are written, the digits are wiped, and the model says what comes next:
 * MODEL_OPENED, or MODEL_UNLOCKED when the system will ask again. Every other volume is published to be read,
 * with a page (MODEL_UNLOCKED) that says what it holds. On failure the model says why and keeps the digits.
 */
enum unlocked unlock_try(struct volume *v, struct model *m, uint8_t reason);

/* The same with the bytes of a BitLocker startup key file, or, with bek NULL, of a volume that needs none. */
enum unlocked unlock_with_file(struct volume *v, const void *bek, size_t len, struct model *m,
                               uint8_t reason);

/* Leave word that somebody tried a volume and did not get in. */
void unlock_gave_up(const struct volume *v, uint8_t reason);
