#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The volumes that can be opened here: LUKS2 with a token of ours, on any disk the firmware can read. */

#include "efi/disk.h"

#define VOLUMES_MAX     16
#define VOLUMES_TIME_MS 15000 /* for looking; whoever waits longer thinks that nothing works */

struct volume {
    struct disk disk;
    struct luks2 luks;
    unsigned key[LUKS2_TOKENS]; /* tokens whose password may open it, in the order of plan_keys() */
    unsigned n_keys;
    unsigned attempts; /* wrong passwords; kept when the volume is found again */
};

struct volumes {
    struct volume *at[VOLUMES_MAX];
    unsigned n;
    unsigned n_other; /* LUKS volumes without a token of ours */
    bool more;        /* there are more volumes than are held here */
    bool cut_short;   /* the time was over before every device was looked at */
};

/* Look at every block device, those of the disk that we were loaded from first; volumes found before are
 * forgotten. Devices that cannot be read and headers that are malformed are passed over; volumes whose keys
 * are all retired come last. cost: about 10 reads for each device; VOLUMES_TIME_MS and one device at most */
void volumes_find(struct volumes *v);
void volumes_close(struct volumes *v);

/* The token that people are shown: the first of key[]. */
const struct luks2_token *volume_token(const struct volume *v);

/* Where opening stands, for the screen. */
struct volume_progress {
    bool (*step)(void *ctx, unsigned slot, bool recovery); /* false stops */
    void *ctx;                                             /* borrowed */
    uint32_t too_slow; /* afterwards, bit i: keyslot i was left out, it would take too long */
};

/* Try a recovery password on its own keyslots, then on other PBKDF2 keyslots, as plan.h orders and bounds it;
 * the volume key is checked against the digest and wiped.
 * ret_key_id: the key ID of the token whose slot opened; zeros when no token names the slot
 * err: AUTH (opens none of them), UNSUPPORTED (no slot that this program can try), BUSY (stopped), NOMEM,
 *      IO */
MUST_CHECK enum err volume_open(struct volume *v, const uint8_t password[static RP_BYTES],
                                struct volume_progress *progress, struct guid *ret_key_id);
