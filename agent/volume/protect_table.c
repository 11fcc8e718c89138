/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/volume/protect.h"

/* Sealed before used: the token with the envelope stands before the keyslot; the trial opening before
 * "live". Everything up to the cache can fail and leave the volume as it was. */
const struct protect_step protect_steps[] = {
    {"check", protect_check},
    {"generate", protect_generate},
    {"seal", protect_seal},
    {"cache", protect_cache},
    {"token", protect_token},
    {"keyslot", protect_keyslot},
    {"trial opening", protect_trial},
    {"assign", protect_assign},
    {"read back", protect_read_back},
    {"enroll", protect_enroll},
    {NULL, NULL},
};
