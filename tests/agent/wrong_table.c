/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The mutant: the same keeper with the token written after the keyslot. A power cut between the two leaves a
 * recovery keyslot whose envelope is nowhere that can be read while the volume is locked. tests/agent/
 * test_crash.py must catch it; nothing but that test is linked with this table. */
#include "agent/volume/protect.h"

const struct protect_step protect_steps[] = {
    {"check", protect_check},
    {"generate", protect_generate},
    {"seal", protect_seal},
    {"cache", protect_cache},
    {"keyslot", protect_keyslot},
    {"trial opening", protect_trial},
    {"token", protect_token},
    {"assign", protect_assign},
    {"read back", protect_read_back},
    {"enroll", protect_enroll},
    {NULL, NULL},
};
