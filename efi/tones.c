/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/tones.h"

#define PIT_HZ 1193182u

static const struct tone good[] = {{1760, 70}}, bad[] = {{330, 150}, {0, 80}, {330, 150}},
                         opened[] = {{880, 100}, {1175, 100}, {1568, 140}},
                         not_opened[] = {{784, 110}, {587, 110}, {440, 160}};

#define PATTERN(p)                                                                                           \
    {                                                                                                        \
        .next = (p), .left = sizeof(p) / sizeof *(p)                                                         \
    }

static const struct tones pattern[] = {[SOUND_NONE] = {.left = 0},
                                       [SOUND_GROUP_GOOD] = PATTERN(good),
                                       [SOUND_GROUP_BAD] = PATTERN(bad),
                                       [SOUND_NOT_OPENED] = PATTERN(not_opened),
                                       [SOUND_OPENED] = PATTERN(opened)};

bool tones_play(struct tones *t, enum sound sound)
{
    if (sound <= t->sound)
        return false;
    *t = pattern[sound];
    t->sound = sound;
    return true;
}

bool tones_next(struct tones *t, struct tone *ret)
{
    if (t->left == 0) {
        t->sound = SOUND_NONE;
        return false;
    }
    *ret = *t->next++;
    t->left--;
    return true;
}

uint16_t tones_divisor(uint16_t hz)
{
    return (uint16_t)(PIT_HZ / hz);
}
