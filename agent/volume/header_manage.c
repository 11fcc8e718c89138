/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/volume/header_manage.h"
#include "agent/volume/header_lib.h"
#include <string.h>

static bool token_at(const struct header *h, int number, struct management *ret)
{
    const char *json;
    if (number < 0 || number >= LUKS2_TOKENS ||
        strcmp(h->luks.token[number].type, KH_TOKEN_MANAGEMENT) != 0 ||
        disk_ops.token(h->disk, number, &json) != ERR_OK)
        return false;
    return management_decode(json, strlen(json), ret) == ERR_OK;
}

unsigned header_managements(const struct header *h, struct header_management *ret)
{
    unsigned n = 0;
    for (int t = 0; t < LUKS2_TOKENS; t++)
        if (token_at(h, t, &ret[n].m))
            ret[n++].token = t;
    return n;
}

bool header_management_fits(const struct header *h, const struct management *m)
{
    return m->count >= KH_PBKDF2_MANAGEMENT_MIN && m->count <= KH_PBKDF2_MANAGEMENT_MAX &&
           header_slot_made(h, m->slot, m->count);
}

bool header_management_is_proved(struct header *h, const struct management *m)
{
    uint8_t now[32];
    return m->state == MANAGEMENT_LIVE && m->assigned && m->has_fingerprint && header_management_fits(h, m) &&
           header_fingerprint(h, (unsigned)m->slot, now) == ERR_OK &&
           cr_equal(now, m->fingerprint, sizeof now);
}

bool header_management_is_unnamed(const struct header *h, int slot)
{
    struct header_management list[LUKS2_TOKENS];
    const struct luks2_slot *s = &h->luks.slot[slot];
    unsigned n = header_managements(h, list);
    bool named = header_foreign_claim(h, slot, -1) >= 0;
    for (unsigned i = 0; i < n; i++)
        named = named || list[i].m.slot == slot;
    return s->used && s->iterations >= KH_PBKDF2_MANAGEMENT_MIN &&
           s->iterations <= KH_PBKDF2_MANAGEMENT_MAX && header_slot_made(h, slot, s->iterations) && !named;
}

static bool is_there(const struct header *h, const struct change *c, struct management *ret)
{
    return token_at(h, c->token, ret) && guid_equal(&ret->id, c->key_id);
}

static int find(const struct header *h, const struct guid *id)
{
    struct management m;
    for (int t = 0; t < LUKS2_TOKENS; t++)
        if (token_at(h, t, &m) && guid_equal(&m.id, id))
            return t;
    return HEADER_TOKEN_NEW;
}

static bool is_put(struct header *h, const struct change *c)
{
    return header_token_says(h, find(h, c->key_id), c->json);
}

static enum err put_once(struct header *h, struct change *c, enum err *r)
{
    struct management m;
    if (c->token != HEADER_TOKEN_NEW && !is_there(h, c, &m))
        return header_someone_else(h, "Keyholt's management token");
    if (c->token == HEADER_TOKEN_NEW) /* as header_put_token() */
        c->token = find(h, c->key_id);
    *r = disk_ops.put_token(h->disk, c->token, c->json, &c->ret_token);
    return ERR_OK;
}

enum err header_put_management(struct header *h, int token, const struct management *m, int *ret_token)
{
    char json[MANAGEMENT_JSON_MAX];
    struct change c = {.token = token, .key_id = &m->id, .json = json, .is_made = is_put};
    TRY(management_encode(m, json));
    TRY(header_run(h, "writing the management token", put_once, &c));
    *ret_token = c.ret_token;
    return ERR_OK;
}

static enum err destroy_once(struct header *h, struct change *c, enum err *r)
{
    struct management m;
    *r = ERR_OK;
    if (c->again && header_slot_gone(h, c))
        return ERR_OK;
    if (!is_there(h, c, &m) || !header_management_fits(h, &m))
        return header_someone_else(h, "the management keyslot");
    int claim = header_foreign_claim(h, m.slot, c->token);
    if (claim >= 0)
        return header_claimed(h, m.slot, claim);
    c->slot = (unsigned)m.slot;
    *r = disk_ops.destroy_slot(h->disk, (unsigned)m.slot);
    return ERR_OK;
}

enum err header_destroy_management(struct header *h, int token, const struct guid *id)
{
    struct change c = {.token = token, .key_id = id, .is_made = header_slot_gone};
    return header_run(h, "removing the management keyslot", destroy_once, &c);
}

static bool is_removed(struct header *h, const struct change *c)
{
    struct management m;
    return !is_there(h, c, &m);
}

static enum err remove_once(struct header *h, struct change *c, enum err *r)
{
    *r = ERR_OK;
    if (c->again && is_removed(h, c))
        return ERR_OK;
    struct management m;
    if (!is_there(h, c, &m))
        return header_someone_else(h, "Keyholt's management token");
    *r = disk_ops.put_token(h->disk, c->token, NULL, &c->ret_token);
    return ERR_OK;
}

enum err header_remove_management(struct header *h, int token, const struct guid *id)
{
    struct change c = {.token = token, .key_id = id, .is_made = is_removed};
    return header_run(h, "removing the management token", remove_once, &c);
}
