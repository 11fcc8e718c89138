/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tokens: all are checked and listed, those of type "keyholt" are decoded. */
#include "formats/luks2_metadata.h"
#include "formats/names.h"
#include <string.h>

static enum err token_state(const struct jw *j, int node, uint8_t *ret)
{
    if (jw_is(j, node, "pending"))
        *ret = LUKS2_TOKEN_PENDING;
    else if (jw_is(j, node, "live"))
        *ret = LUKS2_TOKEN_LIVE;
    else if (jw_is(j, node, "retired"))
        *ret = LUKS2_TOKEN_RETIRED;
    else
        return ERR_FORMAT;
    return ERR_OK;
}

/* What is known of the key beyond opening: members that came later. One that is missing or malformed says
 * nothing; the volume's key is no worse for it. */
static void token_life(const struct jw *j, int node, struct luks2_token *t)
{
    static const char *const cause[] = {"", "protect", "used", "disclosed", "command", "schedule", "drift"};
    int why = jw_get(j, node, "cause"), replaces = jw_get(j, node, "replaces");
    char text[GUID_TEXT + 2];
    size_t len;
    for (uint8_t i = KH_CAUSE_PROTECT; i < sizeof cause / sizeof cause[0]; i++)
        if (jw_is(j, why, cause[i]))
            t->cause = i;
    if (jw_bool(j, jw_get(j, node, "receipted"), &t->receipted) != ERR_OK)
        t->receipted = false;
    t->has_replaces = jw_text(j, replaces, text, sizeof text, &len) == ERR_OK &&
                      guid_decode(text, len, &t->replaces) == ERR_OK;
}

/* Members of a token of ours. err: FORMAT, and the like; the token is then left alone */
static enum err keyholt_token(const struct jw *j, int node, struct luks2_token *t)
{
    char text[GUID_TEXT + 2];
    size_t len;
    uint32_t version, slot;
    TRY(jw_u32(j, jw_get(j, node, "version"), JW_NUMBER, &version));
    if (version != 1)
        return ERR_VERSION;
    TRY(token_state(j, jw_get(j, node, "state"), &t->state));
    TRY(jw_u32(j, jw_get(j, node, "count"), JW_NUMBER, &t->count));
    TRY(jw_text(j, jw_get(j, node, "key_id"), text, sizeof text, &len));
    TRY(guid_decode(text, len, &t->key_id));
    TRY(jw_base64(j, jw_get(j, node, "envelope"), t->envelope, sizeof t->envelope, &t->envelope_len));
    if (t->slot < 0 && jw_u32(j, jw_get(j, node, "slot"), JW_NUMBER, &slot) == ERR_OK && slot < LUKS2_SLOTS)
        t->slot = (int)slot;
    token_life(j, node, t);
    int fingerprint = jw_get(j, node, "fingerprint");
    if (fingerprint == JW_NONE)
        return ERR_OK;
    TRY(jw_base64(j, fingerprint, t->fingerprint, sizeof t->fingerprint, &len));
    t->has_fingerprint = len == sizeof t->fingerprint;
    return t->has_fingerprint ? ERR_OK : ERR_FORMAT;
}

/* Every token has a type and names keyslots that exist. */
static enum err any_token(struct luks2_metadata *m, int node, struct luks2_token *t)
{
    const struct jw *j = m->json;
    int array = jw_get_as(j, node, "keyslots", JW_ARRAY);
    struct jw_each e;
    if (luks2_string(j, node, "type") == JW_NONE || array == JW_NONE)
        return luks2_fault(m, node, "a token lacks its type or its list of keyslots");
    for (jw_each(j, array, &e); jw_each_next(j, &e);) {
        unsigned id;
        if (luks2_id(j, e.value, LUKS2_SLOTS - 1, &id) != ERR_OK || (m->slots >> id & 1) == 0)
            return luks2_fault(m, e.value, "a token names a keyslot that does not exist");
        if (!t->assigned)
            t->slot = (int)id;
        t->assigned = true;
        t->slots |= UINT32_C(1) << id;
    }
    t->there = true;
    jw_excerpt(j, jw_get(j, node, "type"), t->type, sizeof t->type);
    return ERR_OK;
}

/* One of ours that is malformed counts as somebody else's: the volume must open all the same. */
static enum err token(struct luks2_metadata *m, int node, struct luks2_token *ret)
{
    const struct jw *j = m->json;
    struct luks2_token t = {.slot = -1};
    TRY(any_token(m, node, &t));
    struct luks2_token ours = t;
    if (jw_is(j, jw_get(j, node, "type"), KH_TOKEN_TYPE) && keyholt_token(j, node, &ours) == ERR_OK) {
        ours.used = true;
        t = ours;
    }
    if (ret != NULL)
        *ret = t;
    return ERR_OK;
}

enum err luks2_tokens_decode(struct luks2_metadata *m)
{
    const struct jw *j = m->json;
    int section = jw_get_as(j, JW_ROOT, "tokens", JW_OBJECT), number, value;
    struct luks2_each e;
    if (section == JW_NONE)
        return luks2_fault(m, JW_ROOT, "there is no tokens section");
    for (luks2_each(j, section, &e); luks2_each_next(j, &e, &number, &value);) {
        unsigned id;
        if (!luks2_is_numbered(j, number))
            return luks2_fault(m, number, "a token has no number");
        /* a number beyond 31 cannot be made by libcryptsetup; it is checked, not kept */
        bool kept = luks2_id(j, number, LUKS2_TOKENS - 1, &id) == ERR_OK;
        TRY(token(m, value, kept ? &m->l->token[id] : NULL));
        m->l->n_tokens++;
    }
    return ERR_OK;
}
