/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/volume/manage_again.h"
#include "agent/volume/header_manage.h"
#include "agent/volume/management_key.h"
#include <string.h>

static bool is_gone_for_good(enum err e)
{
    return e == ERR_NOT_FOUND || e == ERR_FORMAT || e == ERR_DENIED || e == ERR_CONFLICT || e == ERR_VERSION;
}

static enum err write_token(struct agent *a, struct header *h, int slot, const struct guid *id)
{
    struct management m = {.state = MANAGEMENT_LIVE,
                           .slot = slot,
                           .assigned = true,
                           .count = h->luks.slot[slot].iterations,
                           .id = *id,
                           .has_fingerprint = true};
    int token;
    memcpy(m.device, a->key.id, sizeof m.device);
    TRY(header_fingerprint(h, (unsigned)slot, m.fingerprint));
    TRY(header_put_management(h, HEADER_TOKEN_NEW, &m, &token));
    agent_say(
        a,
        "volume %s: the token of the management keyslot %d, which another program removed, is written again",
        h->device, slot);
    return ERR_OK;
}

static enum err try_key(struct agent *a, struct header *h, const struct guid *id)
{
    SECRET(key);
    bool bound;
    enum err e = management_key_load(a, id, &key, &bound);
    if (e != ERR_OK)
        return is_gone_for_good(e) ? ERR_OK : e;
    for (int slot = 1; slot < LUKS2_SLOTS; slot++) {
        if (!header_management_is_unnamed(h, slot))
            continue;
        e = header_try(h, (unsigned)slot, &key);
        if (e == ERR_OK)
            return write_token(a, h, slot, id);
        if (e != ERR_AUTH)
            return e;
    }
    return ERR_OK;
}

static bool has_token(const struct header *h, const struct guid *id)
{
    struct header_management list[LUKS2_TOKENS];
    unsigned n = header_managements(h, list);
    for (unsigned i = 0; i < n; i++)
        if (guid_equal(&list[i].m.id, id))
            return true;
    return false;
}

enum err manage_again(struct agent *a, struct header *h)
{
    struct guid id[LUKS2_SLOTS];
    bool any = false;
    for (int slot = 1; slot < LUKS2_SLOTS; slot++)
        any = any || header_management_is_unnamed(h, slot);
    unsigned n = any ? management_key_list(a, &h->luks.uuid, id, LUKS2_SLOTS) : 0;
    for (unsigned i = 0; i < n; i++)
        if (!has_token(h, &id[i]))
            TRY(try_key(a, h, &id[i]));
    return ERR_OK;
}
