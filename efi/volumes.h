#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The volumes that may be opened here: LUKS2 and BitLocker, on any disk the firmware can read. */

#include "efi/disk.h"
#include "efi/facts.h"
#include "efi/publish.h"

#define VOLUMES_MAX     32
#define VOLUMES_TIME_MS 15000 /* for looking; whoever waits longer thinks that nothing works */

struct volume {
    struct disk disk;
    struct facts facts;
    struct luks2 *luks;         /* NULL: BitLocker, whose metadata is read again when it is opened */
    unsigned key[LUKS2_TOKENS]; /* LUKS2: tokens whose password may open it, in the order of plan_keys() */
    unsigned n_keys;
    unsigned attempts;         /* wrong passwords; kept when the volume is found again */
    struct publish *published; /* opened, and readable */
};

struct volumes {
    struct volume *at[VOLUMES_MAX];
    unsigned n;
    unsigned n_damaged; /* say that they are LUKS2 or BitLocker, but cannot be read */
    bool more;          /* there are more volumes than are held here */
    bool cut_short;     /* the time was over before every device was looked at */
};

/* Look at every block device, those of the disk that we were loaded from first; volumes found before are
 * forgotten, but for those that are open and still there. Devices that cannot be read are passed over,
 * malformed headers counted. In the order of facts_rank(). cost: about 10 reads for each device;
 * VOLUMES_TIME_MS and one device at most; one BitLocker volume needs 1 MiB of memory for the time of looking,
 * a LUKS2 volume keeps 48 KiB */
void volumes_find(struct volumes *v);
void volumes_close(struct volumes *v);

/* The token that people are shown: the first of key[]; NULL without. */
const struct luks2_token *volume_token(const struct volume *v);
