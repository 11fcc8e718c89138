#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Opening a volume on the desk: from a command line to an unlocked volume, or to a sentence that says why
 * not. */

#include "tools/desk_volume.h"

struct desk_volume_session {
    const struct desk_volume_request *req;
    struct volume *v; /* NULL until it is open */
    struct volume_key key;
    /* Why it does not open, for programs: "typing-error" (with group), "not-48-digits", "not-of-this-volume",
     * "not-of-this-keyslot", "none-of-this-kind"; NULL it opens, or something failed */
    const char *reason;
    unsigned group;
};

/* Each returns an enum kh_exit and has said why on standard error where that is not OK. */
int desk_volume_load(struct desk_volume_session *s);   /* the volume alone */
int desk_volume_unlock(struct desk_volume_session *s); /* key, volume, and the two together */
void desk_volume_end(struct desk_volume_session *s);

/* Why protector i was not tried, though it may be one that the key opens; NULL: it was, or it is no such. */
const char *desk_volume_untried(const struct desk_volume_session *s, unsigned i);

/* Is the protector one that this kind of key is for? LUKS2's keyslots for passphrases: only by their type. */
bool desk_volume_is_for(const struct volume_protector *p, enum volume_way way);

/* Say what is wrong, and where. tail: what that means for the person ("nothing was written") */
void desk_volume_say(const struct volume_problem *problem, const char *tail);
