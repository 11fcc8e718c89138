/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/luks2_metadata.h"
#include <string.h>

#define KEYSLOTS_MAX (128u << 20) /* cryptsetup: LUKS2_MAX_KEYSLOTS_SIZE */

enum err luks2_id(const struct jw *j, int node, unsigned max, unsigned *ret)
{
    uint64_t v;
    if (jw_u64(j, node, JW_STRING, max, &v) != ERR_OK)
        return ERR_FORMAT;
    /* "07" and "7" would be two objects for one number. */
    char text[21];
    char *p = text + sizeof text - 1;
    *p = 0;
    uint64_t rest = v;
    do
        *--p = (char)('0' + rest % 10);
    while ((rest /= 10) > 0);
    if (!jw_is(j, node, p))
        return ERR_FORMAT;
    *ret = (unsigned)v;
    return ERR_OK;
}

int luks2_string(const struct jw *j, int object, const char *name)
{
    int node = jw_get_as(j, object, name, JW_STRING);
    return jw_is(j, node, "") ? JW_NONE : node;
}

uint8_t luks2_hash(const struct jw *j, int node)
{
    if (jw_is(j, node, "sha256"))
        return CR_SHA256;
    if (jw_is(j, node, "sha512"))
        return CR_SHA512;
    return jw_is(j, node, "sha1") ? CR_SHA1 : 0;
}

/* The numbers of a section's objects, as bits; the objects' nodes too where the caller wants them. */
static enum err section_ids(const struct jw *j, const char *name, uint32_t *ret, int *ret_nodes)
{
    int section = jw_get_as(j, JW_ROOT, name, JW_OBJECT);
    if (section == JW_NONE)
        return ERR_FORMAT;
    uint32_t bits = 0;
    struct jw_each e;
    for (jw_each(j, section, &e); jw_each_next(j, &e);) {
        unsigned id;
        TRY(luks2_id(j, e.name, 31, &id));
        if ((bits >> id & 1) != 0 || jw_type(j, e.value) != JW_OBJECT)
            return ERR_FORMAT;
        bits |= UINT32_C(1) << id;
        if (ret_nodes != NULL)
            ret_nodes[id] = e.value;
    }
    *ret = bits;
    return ERR_OK;
}

static enum err all_strings(const struct jw *j, int array)
{
    struct jw_each e;
    if (jw_type(j, array) != JW_ARRAY)
        return ERR_FORMAT;
    for (jw_each(j, array, &e); jw_each_next(j, &e);)
        if (jw_type(j, e.value) != JW_STRING)
            return ERR_FORMAT;
    return ERR_OK;
}

/* "online-reencrypt-v4" of a later cryptsetup: re-encryption all the same, but not for us to understand. */
static bool is_reencrypt_version(const struct jw *j, int node)
{
    char text[40];
    size_t len, prefix = sizeof "online-reencrypt-v" - 1;
    if (!jw_starts(j, node, "online-reencrypt-v") || jw_text(j, node, text, sizeof text, &len) != ERR_OK)
        return false;
    for (size_t i = prefix; i < len; i++)
        if (text[i] < '0' || text[i] > '9')
            return false;
    return len > prefix;
}

static void requirement(struct luks2_metadata *m, int node)
{
    const struct jw *j = m->json;
    bool first = jw_is(j, node, "online-reencrypt");
    bool known = first || jw_is(j, node, "online-reencrypt-v2") || jw_is(j, node, "online-reencrypt-v3");
    bool offline = jw_is(j, node, "offline-reencrypt");
    m->online = m->online || known;
    m->candidate = m->candidate || first || is_reencrypt_version(j, node);
    m->unknown = m->unknown || !(known || offline);
    m->l->reencrypting = m->l->reencrypting || offline || m->candidate;
}

static enum err requirements(struct luks2_metadata *m, int config)
{
    int req = jw_get(m->json, config, "requirements");
    if (req == JW_NONE)
        return ERR_OK;
    if (jw_type(m->json, req) != JW_OBJECT)
        return ERR_FORMAT;
    int mandatory = jw_get(m->json, req, "mandatory");
    if (mandatory == JW_NONE)
        return ERR_OK;
    TRY(all_strings(m->json, mandatory));
    struct jw_each e;
    for (jw_each(m->json, mandatory, &e); jw_each_next(m->json, &e);)
        requirement(m, e.value);
    return ERR_OK;
}

static enum err config(struct luks2_metadata *m)
{
    const struct jw *j = m->json;
    int c = jw_get_as(j, JW_ROOT, "config", JW_OBJECT), flags = jw_get(j, c, "flags");
    uint64_t json_size, keyslots_size;
    if (jw_u64(j, jw_get(j, c, "json_size"), JW_STRING, LUKS2_HDR_MAX, &json_size) != ERR_OK ||
        jw_u64(j, jw_get(j, c, "keyslots_size"), JW_STRING, KEYSLOTS_MAX, &keyslots_size) != ERR_OK)
        return ERR_FORMAT;
    if (json_size + LUKS2_BIN_HDR != m->hdr_size || keyslots_size % 4096 != 0)
        return ERR_FORMAT;
    if (flags != JW_NONE)
        TRY(all_strings(j, flags));
    m->areas_end = 2 * m->hdr_size + keyslots_size;
    return requirements(m, c);
}

enum err luks2_metadata_decode(const struct jw *j, uint64_t hdr_size, struct luks2 *l,
                               uint64_t *ret_areas_end)
{
    struct luks2_metadata m = {.json = j, .l = l, .hdr_size = hdr_size, .crypt_segment = -1};
    if (jw_type(j, JW_ROOT) != JW_OBJECT)
        return ERR_FORMAT;
    TRY(section_ids(j, "keyslots", &m.slots, NULL));
    TRY(section_ids(j, "segments", &m.segments, m.segment_node));
    TRY(config(&m));
    TRY(luks2_digests_decode(&m));
    TRY(luks2_segments_decode(&m));
    TRY(luks2_slots_decode(&m));
    TRY(luks2_tokens_decode(&m));
    if (m.unknown)
        return ERR_UNSUPPORTED;
    *ret_areas_end = m.areas_end;
    return ERR_OK;
}
