#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Management keyslots and their tokens in a volume's header (agent/volume/header.h). The same rules: each
 * change reads the header again first, and touches only what Keyholt made. */

#include "agent/volume/header.h"
#include "formats/management.h"

struct header_management {
    int token; /* its number */
    struct management m;
};

/* Those of the header as it was read last, of this device or of another. ret: LUKS2_TOKENS elements */
unsigned header_managements(const struct header *h, struct header_management *ret);
/* Is its keyslot there, and made as its token says? */
bool header_management_fits(const struct header *h, const struct management *m);
/* And everything that opening depends on what it was when it was proved to open? */
bool header_management_is_proved(struct header *h, const struct management *m);
/* Is this keyslot made as a management keyslot is, while no token of ours, and none of anybody's alone, names
 * it? */
bool header_management_is_unnamed(const struct header *h, int slot);

/* Write one: a new token (HEADER_TOKEN_NEW), or in place of the one of this number, which must hold m->id.
 * err: CONFLICT, FULL, IO */
MUST_CHECK enum err header_put_management(struct header *h, int token, const struct management *m,
                                          int *ret_token);
/* Wipe and remove its keyslot. err: CONFLICT (not ours any more, or somebody's token names it alone), IO */
MUST_CHECK enum err header_destroy_management(struct header *h, int token, const struct guid *id);
MUST_CHECK enum err header_remove_management(struct header *h, int token, const struct guid *id);
