#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The PC speaker: the third way in which the model shows itself. It plays beside everything else, by a timer
 * of the firmware's, so no key waits for it; a computer without one stays silent. */

#include "efi/model.h"

/* Find it. */
void speaker_open(void);
/* Play what the model did since it was asked last; nothing when it is quiet. cost: none, returns at once */
void speaker_follow(const struct model *m);
/* Let a pattern end, TONES_MOST_MS at most, and leave the speaker as it was found: before another program
 * starts. */
void speaker_finish(void);
