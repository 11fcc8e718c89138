/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/volume/unlock.h"
#include "agent/volume/manage.h"
#include "formats/recovery_password.h"

void unlock_wipe(struct unlock *u)
{
    secret_wipe(&u->secret);
    u->kind = UNLOCK_NONE;
}

/* A recovery password in any spelling becomes the 55 characters that open its keyslot. */
static bool is_recovery_password(const struct secret *s, struct secret *ret_text)
{
    SECRET(bytes);
    unsigned group;
    if (rp_decode_file((const char *)s->bytes, s->len, &bytes, &group) != ERR_OK)
        return false;
    rp_encode(bytes.bytes, ret_text);
    return true;
}

static enum err by_passphrase(struct header *h, const struct secret *s, struct secret *ret_volume_key,
                              int *ret_slot)
{
    SECRET(text);
    bool ours = is_recovery_password(s, &text);
    for (int i = 0; ours && i < LUKS2_TOKENS; i++) {
        const struct luks2_token *t = &h->luks.token[i];
        if (t->used && t->assigned && header_slot_fits(h, t->slot, t->count) &&
            header_unlock(h, t->slot, &text, ret_volume_key, ret_slot) == ERR_OK)
            return ERR_OK;
    }
    return header_unlock(h, HEADER_ANY_SLOT, s, ret_volume_key, ret_slot);
}

enum err unlock_volume(struct agent *a, struct header *h, const struct unlock *u,
                       struct secret *ret_volume_key, int *ret_slot)
{
    *ret_slot = HEADER_ANY_SLOT;
    switch (u->kind) {
    case UNLOCK_PASSPHRASE:
        return by_passphrase(h, &u->secret, ret_volume_key, ret_slot);
    case UNLOCK_VOLUME_KEY:
        TRY(header_check_volume_key(h, &u->secret));
        *ret_volume_key = u->secret;
        return ERR_OK;
    case UNLOCK_MANAGEMENT:
        return manage_unlock(a, h, ret_volume_key);
    default:
        return problem_set(h->why, ERR_NOT_FOUND,
                           "volume %s: nothing opens it now; nothing was changed; give a passphrase",
                           h->device);
    }
}
