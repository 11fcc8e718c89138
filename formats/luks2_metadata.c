/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/luks2_metadata.h"
#include <string.h>

#define KEYSLOTS_MAX (128u << 20) /* cryptsetup: LUKS2_MAX_KEYSLOTS_SIZE */

static void tell(struct luks2_metadata *m, int node, const char *what)
{
    *m->why = (struct luks2_problem){.what = what, .off = m->json_off + jw_offset(m->json, node)};
}

enum err luks2_fault(struct luks2_metadata *m, int node, const char *what)
{
    tell(m, node, what);
    return ERR_FORMAT;
}

static enum err unsupported(struct luks2_metadata *m, int node, const char *what)
{
    tell(m, node, what);
    jw_excerpt(m->json, node, m->why->name, sizeof m->why->name);
    return ERR_UNSUPPORTED;
}

/* A number beyond those kept, or one written in another way than it is referred to. No tool makes one, but
 * cryptsetup takes keyslots of any number, and segments as long as there is no gap. */
static bool is_far(const struct jw *j, int number, int section)
{
    unsigned id = 0;
    return section == jw_get(j, JW_ROOT, "keyslots")
               ? luks2_is_numbered(j, number)
               : luks2_id(j, number, UINT32_MAX, &id) == ERR_OK && id < jw_count(j, section);
}

/* The numbers of a section's objects, as bits, and their nodes. */
static enum err section_ids(struct luks2_metadata *m, const char *name, uint32_t *ret, int *ret_nodes)
{
    const struct jw *j = m->json;
    int section = jw_get_as(j, JW_ROOT, name, JW_OBJECT), number, value, far = JW_NONE;
    struct luks2_each e;
    if (section == JW_NONE)
        return luks2_fault(m, JW_ROOT, "the JSON text lacks its keyslots or its segments section");
    *ret = 0;
    for (luks2_each(j, section, &e); luks2_each_next(j, &e, &number, &value);) {
        unsigned id;
        if (jw_type(j, value) != JW_OBJECT)
            return luks2_fault(m, number, "a keyslot or segment is no object");
        if (luks2_id(j, number, LUKS2_SLOTS - 1, &id) == ERR_OK) {
            *ret |= UINT32_C(1) << id;
            ret_nodes[id] = value;
        } else if (is_far(j, number, section)) {
            far = number;
        } else {
            return luks2_fault(m, number, "a keyslot or segment has an impossible number");
        }
    }
    if (far != JW_NONE)
        return unsupported(m, far, "it has a keyslot or segment of a number that is not known here");
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
    struct luks2 *l = m->l;
    bool first = jw_is(j, node, "online-reencrypt");
    bool known = first || jw_is(j, node, "online-reencrypt-v2") || jw_is(j, node, "online-reencrypt-v3");
    bool offline = jw_is(j, node, "offline-reencrypt"), candidate = first || is_reencrypt_version(j, node);
    m->online = m->online || known;
    m->n_candidates += candidate;
    if (!known && !offline && m->unknown == JW_NONE)
        m->unknown = node;
    l->reencrypting = l->reencrypting || offline || candidate;
    l->reencrypting_offline = l->reencrypting_offline || offline;
    if (l->n_requirements < LUKS2_NAMES)
        jw_excerpt(j, node, l->requirement[l->n_requirements], LUKS2_NAME);
    l->n_requirements++;
}

static enum err requirements(struct luks2_metadata *m, int config)
{
    int req = jw_get(m->json, config, "requirements"), mandatory = jw_get(m->json, req, "mandatory");
    if (req != JW_NONE && jw_type(m->json, req) != JW_OBJECT)
        return luks2_fault(m, req, "the requirements are no object");
    if (mandatory == JW_NONE)
        return ERR_OK;
    if (!luks2_all_strings(m->json, mandatory))
        return luks2_fault(m, mandatory, "the mandatory requirements are no list of names");
    struct jw_each e;
    for (jw_each(m->json, mandatory, &e); jw_each_next(m->json, &e);)
        requirement(m, e.value);
    return m->n_candidates > 1 ? luks2_fault(m, mandatory, "a re-encryption is required twice") : ERR_OK;
}

static void flags(struct luks2_metadata *m, int array)
{
    struct jw_each e;
    for (jw_each(m->json, array, &e); jw_each_next(m->json, &e); m->l->n_flags++)
        if (m->l->n_flags < LUKS2_NAMES)
            jw_excerpt(m->json, e.value, m->l->flag[m->l->n_flags], LUKS2_NAME);
}

static enum err config(struct luks2_metadata *m)
{
    const struct jw *j = m->json;
    int c = jw_get_as(j, JW_ROOT, "config", JW_OBJECT), flag = jw_get(j, c, "flags");
    uint64_t json_size, keyslots_size;
    if (luks2_decimal(j, c, "json_size", &json_size) != ERR_OK ||
        luks2_decimal(j, c, "keyslots_size", &keyslots_size) != ERR_OK)
        return luks2_fault(m, c, "the config section lacks the sizes of the header's areas");
    if (json_size > LUKS2_HDR_MAX || json_size + LUKS2_BIN_HDR != m->hdr_size)
        return luks2_fault(m, c, "the size of the JSON area is not what the binary header says");
    if (keyslots_size % 4096 != 0 || keyslots_size > KEYSLOTS_MAX)
        return luks2_fault(m, c, "the size of the keyslots area is impossible");
    if (flag != JW_NONE && !luks2_all_strings(j, flag))
        return luks2_fault(m, flag, "the flags are no list of names");
    flags(m, flag);
    m->areas_end = 2 * m->hdr_size + keyslots_size;
    return requirements(m, c);
}

enum err luks2_metadata_decode(struct luks2_metadata *m, uint64_t *ret_areas_end)
{
    m->crypt_segment = -1;
    m->unknown = JW_NONE;
    memset(m->slot_digest, -1, sizeof m->slot_digest);
    memset(m->segment_digest, -1, sizeof m->segment_digest);
    if (jw_type(m->json, JW_ROOT) != JW_OBJECT)
        return luks2_fault(m, JW_ROOT, "the JSON text is no object");
    TRY(section_ids(m, "keyslots", &m->slots, m->slot_node));
    TRY(section_ids(m, "segments", &m->segments, m->segment_node));
    TRY(config(m));
    TRY(luks2_digests_decode(m));
    TRY(luks2_segments_decode(m));
    TRY(luks2_slots_decode(m));
    TRY(luks2_tokens_decode(m));
    if (m->unknown != JW_NONE)
        return unsupported(m, m->unknown, "it requires a feature that is not known here");
    *ret_areas_end = m->areas_end;
    return ERR_OK;
}
