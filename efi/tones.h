#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is heard: a few short patterns that tell each other apart by pitch and by rhythm. Pure: tested hosted.
 */

#include <stdbool.h>
#include <stdint.h>

enum sound {
    SOUND_NONE,
    SOUND_GROUP_GOOD, /* one short high */
    SOUND_GROUP_BAD,  /* low twice */
    SOUND_NOT_OPENED, /* falling three */
    SOUND_OPENED      /* rising three */
};

/* A tone of a square wave, or a pause (hz 0). */
struct tone {
    uint16_t hz, ms;
};

#define TONES_MOST_MS 500 /* of a whole pattern */

/* What is being played. All zeros: nothing. */
struct tones {
    const struct tone *next;
    unsigned left;
    enum sound sound;
};

/* Begin a pattern. What matters more is not interrupted by what matters less, nor any by its like: of digits
 * that are pasted at once, a bad group is heard. Returns false when nothing new is to be played. */
bool tones_play(struct tones *t, enum sound sound);
/* The next tone of it; false when it is over. */
bool tones_next(struct tones *t, struct tone *ret);

/* What the timer behind a PC speaker is to count down from. source: Intel 8254: it counts at 1,193,182 Hz
 * hz: 19 to 65535 */
uint16_t tones_divisor(uint16_t hz);
