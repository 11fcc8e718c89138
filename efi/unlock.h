#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The digits are complete: open the volume, leave word and hand the password on. */

#include "efi/content.h"
#include "efi/model.h"
#include "efi/volumes.h"

/* Try the model's digits on a volume, telling the screen each step. On success the hand-off and the boot
 * event are written, the digits are wiped, and the model says what comes next: MODEL_OPENED, or MODEL_NOTICE
 * when the operating system will ask again. On failure the model says why and keeps the digits. */
void unlock_try(struct volume *v, struct model *m, uint8_t reason);

/* Leave word that somebody tried a volume and did not get in. */
void unlock_gave_up(const struct volume *v, uint8_t reason);
