/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/management.h"
#include "formats/json_walk.h"
#include "formats/luks2.h"

static const char *const state_name[] = {"", "pending", "live"};

static enum err take_state(const struct jw *j, int node, uint8_t *ret)
{
    for (uint8_t i = MANAGEMENT_PENDING; i <= MANAGEMENT_LIVE; i++)
        if (jw_is(j, node, state_name[i])) {
            *ret = i;
            return ERR_OK;
        }
    return ERR_FORMAT;
}

/* At most one keyslot, and the one that "slot" says. */
static enum err take_slots(const struct jw *j, struct management *m)
{
    uint64_t named;
    uint32_t slot;
    struct jw_each e;
    int array = jw_get_as(j, JW_ROOT, "keyslots", JW_ARRAY);
    TRY(jw_u32(j, jw_get(j, JW_ROOT, "slot"), JW_NUMBER, &slot));
    if (array == JW_NONE || jw_count(j, array) > 1 || slot >= LUKS2_SLOTS)
        return ERR_FORMAT;
    for (jw_each(j, array, &e); jw_each_next(j, &e);) {
        TRY(jw_u64(j, e.value, JW_STRING, LUKS2_SLOTS - 1, &named));
        if (named != slot)
            return ERR_FORMAT;
        m->assigned = true;
    }
    m->slot = (int)slot;
    return ERR_OK;
}

static enum err take_names(const struct jw *j, struct management *m)
{
    char text[BASE16_LEN(32) + 1];
    size_t len;
    if (jw_text(j, jw_get(j, JW_ROOT, "id"), text, sizeof text, &len) != ERR_OK)
        return ERR_FORMAT;
    TRY(guid_decode(text, len, &m->id));
    if (jw_text(j, jw_get(j, JW_ROOT, "device"), text, sizeof text, &len) != ERR_OK ||
        base16_decode(text, len, m->device, sizeof m->device, &len) != ERR_OK)
        return ERR_FORMAT;
    return len == sizeof m->device ? ERR_OK : ERR_FORMAT;
}

static enum err take_fingerprint(const struct jw *j, struct management *m)
{
    int node = jw_get(j, JW_ROOT, "fingerprint");
    size_t len;
    if (node == JW_NONE)
        return m->state == MANAGEMENT_LIVE ? ERR_FORMAT : ERR_OK;
    if (jw_base64(j, node, m->fingerprint, sizeof m->fingerprint, &len) != ERR_OK)
        return ERR_FORMAT;
    m->has_fingerprint = true;
    return len == sizeof m->fingerprint ? ERR_OK : ERR_FORMAT;
}

enum err management_decode(const char *json, size_t len, struct management *ret)
{
    uint8_t scratch[JW_SCRATCH(MANAGEMENT_JSON_MAX)];
    struct management m = {.slot = -1};
    uint32_t version;
    struct jw j;
    if (len >= MANAGEMENT_JSON_MAX)
        return ERR_RANGE;
    TRY(jw_parse(json, len, scratch, sizeof scratch, &j));
    if (!jw_is(&j, jw_get(&j, JW_ROOT, "type"), KH_TOKEN_MANAGEMENT))
        return ERR_FORMAT;
    TRY(jw_u32(&j, jw_get(&j, JW_ROOT, "version"), JW_NUMBER, &version));
    if (version != 1)
        return ERR_VERSION;
    TRY(take_state(&j, jw_get(&j, JW_ROOT, "state"), &m.state));
    TRY(jw_u32(&j, jw_get(&j, JW_ROOT, "count"), JW_NUMBER, &m.count));
    TRY(take_slots(&j, &m));
    TRY(take_names(&j, &m));
    TRY(take_fingerprint(&j, &m));
    *ret = m;
    return ERR_OK;
}
