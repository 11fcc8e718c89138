/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Keyslots and tokens. A keyslot that this reader cannot open is no defect of the header: it is listed with
 * supported = false, and the others still open. */
#include "formats/luks2_metadata.h"
#include "formats/names.h"
#include <string.h>

#define SECTOR 512

/* "area" of every keyslot, whatever its type: within the keyslots area and behind both headers. */
static enum err slot_area(const struct luks2_metadata *m, int node, struct luks2_slot *s)
{
    const struct jw *j = m->json;
    int area = jw_get_as(j, node, "area", JW_OBJECT);
    uint64_t end;
    if (luks2_string(j, area, "type") == JW_NONE ||
        jw_u64(j, jw_get(j, area, "offset"), JW_STRING, UINT64_MAX, &s->area_off) != ERR_OK ||
        jw_u64(j, jw_get(j, area, "size"), JW_STRING, UINT64_MAX, &s->area_size) != ERR_OK)
        return ERR_FORMAT;
    if (s->area_size == 0 || s->area_off < 2 * m->hdr_size ||
        __builtin_add_overflow(s->area_off, s->area_size, &end) || end > m->areas_end)
        return ERR_FORMAT;
    return ERR_OK;
}

static enum err check_overlaps(const struct luks2 *l)
{
    for (unsigned i = 0; i < LUKS2_SLOTS; i++)
        for (unsigned k = 0; k < LUKS2_SLOTS; k++)
            if (i != k && l->slot[i].used && l->slot[k].used && l->slot[k].area_off >= l->slot[i].area_off &&
                l->slot[k].area_off - l->slot[i].area_off < l->slot[i].area_size)
                return ERR_FORMAT;
    return ERR_OK;
}

static bool is_number(const struct jw *j, int object, const char *name)
{
    return jw_get_as(j, object, name, JW_NUMBER) != JW_NONE;
}

/* A number that is out of range leaves 0: a value that nothing opens with. */
static uint32_t number(const struct jw *j, int object, const char *name)
{
    uint32_t v;
    return jw_u32(j, jw_get(j, object, name), JW_NUMBER, &v) == ERR_OK ? v : 0;
}

/* The members that the type wants; others are left-overs of old releases, which cryptsetup removes. */
static enum err slot_kdf(const struct jw *j, int node, struct luks2_slot *s)
{
    int kdf = jw_get_as(j, node, "kdf", JW_OBJECT), type = luks2_string(j, kdf, "type");
    if (type == JW_NONE)
        return ERR_FORMAT;
    bool pbkdf2 = jw_is(j, type, "pbkdf2"), argon2i = jw_is(j, type, "argon2i");
    if (!pbkdf2 && !argon2i && !jw_is(j, type, "argon2id"))
        return ERR_OK; /* kdf stays 0 */
    if (luks2_string(j, kdf, "salt") == JW_NONE)
        return ERR_FORMAT;
    size_t len;
    if (jw_base64(j, jw_get(j, kdf, "salt"), s->salt, sizeof s->salt, &len) == ERR_OK)
        s->salt_len = (uint32_t)len;
    if (pbkdf2) {
        if (luks2_string(j, kdf, "hash") == JW_NONE || !is_number(j, kdf, "iterations"))
            return ERR_FORMAT;
        s->kdf = LUKS2_PBKDF2;
        s->hash = luks2_hash(j, jw_get(j, kdf, "hash"));
        s->iterations = number(j, kdf, "iterations");
        return ERR_OK;
    }
    if (!is_number(j, kdf, "time") || !is_number(j, kdf, "memory") || !is_number(j, kdf, "cpus"))
        return ERR_FORMAT;
    s->kdf = argon2i ? LUKS2_ARGON2I : LUKS2_ARGON2ID;
    s->iterations = number(j, kdf, "time");
    s->memory_kib = number(j, kdf, "memory");
    s->lanes = number(j, kdf, "cpus");
    return ERR_OK;
}

static enum err slot_af(const struct jw *j, int node, struct luks2_slot *s)
{
    int af = jw_get_as(j, node, "af", JW_OBJECT);
    if (!jw_is(j, jw_get(j, af, "type"), "luks1") || luks2_string(j, af, "hash") == JW_NONE ||
        !is_number(j, af, "stripes"))
        return ERR_FORMAT;
    s->af_hash = luks2_hash(j, jw_get(j, af, "hash"));
    s->af_stripes = number(j, af, "stripes");
    return ERR_OK;
}

/* ret_xts: the area is encrypted with the one cipher that is opened here */
static enum err slot_cipher(const struct jw *j, int node, struct luks2_slot *s, bool *ret_xts)
{
    int area = jw_get(j, node, "area");
    if (!jw_is(j, jw_get(j, area, "type"), "raw") || luks2_string(j, area, "encryption") == JW_NONE ||
        !is_number(j, area, "key_size"))
        return ERR_FORMAT;
    s->area_key_size = number(j, area, "key_size");
    *ret_xts = jw_is(j, jw_get(j, area, "encryption"), "aes-xts-plain64");
    return ERR_OK;
}

static bool can_open(const struct luks2_metadata *m, unsigned id, const struct luks2_slot *s)
{
    const struct luks2_digest *d = &m->l->digest[0];
    return s->kdf == LUKS2_PBKDF2 && s->hash != 0 && s->iterations > 0 && s->iterations <= INT32_MAX &&
           s->salt_len > 0 && s->af_hash != 0 && s->key_size % 16 == 0 && luks2_area_len(s) > 0 &&
           (s->area_key_size == 32 || s->area_key_size == 64) && d->hash != 0 && (d->slots >> id & 1) != 0;
}

static enum err passphrase_slot(struct luks2_metadata *m, unsigned id, int node, struct luks2_slot *s)
{
    bool xts;
    TRY(slot_kdf(m->json, node, s));
    TRY(slot_af(m->json, node, s));
    TRY(slot_cipher(m->json, node, s, &xts));
    /* exactly one digest says which volume key it opens */
    if ((m->slots_once >> id & 1) == 0 || (m->slots_often >> id & 1) != 0)
        return ERR_FORMAT;
    s->supported = xts && can_open(m, id, s);
    return ERR_OK;
}

static bool is_one_of(const struct jw *j, int node, const char *a, const char *b, const char *c)
{
    return jw_is(j, node, a) || jw_is(j, node, b) || jw_is(j, node, c);
}

/* The keyslot that keeps the state of a re-encryption. cryptsetup 2.6, reenc_keyslot_validate() */
static enum err reencrypt_slot(const struct jw *j, int node, const struct luks2_slot *s)
{
    int area = jw_get(j, node, "area"), type = jw_get(j, area, "type");
    if (s->key_size != 1 || !is_one_of(j, jw_get(j, node, "mode"), "reencrypt", "encrypt", "decrypt") ||
        !is_one_of(j, jw_get(j, node, "direction"), "forward", "backward", "backward"))
        return ERR_FORMAT;
    if (is_one_of(j, type, "checksum", "datashift-checksum", "datashift-checksum")) {
        uint32_t size;
        if (luks2_string(j, area, "hash") == JW_NONE ||
            jw_u32(j, jw_get(j, area, "sector_size"), JW_NUMBER, &size) != ERR_OK || size < SECTOR ||
            (size & (size - 1)) != 0)
            return ERR_FORMAT;
    } else if (jw_is(j, type, "datashift") || jw_is(j, type, "datashift-journal")) {
        uint64_t shift;
        if (jw_u64(j, jw_get(j, area, "shift_size"), JW_STRING, UINT64_MAX, &shift) != ERR_OK || shift == 0 ||
            shift % SECTOR != 0)
            return ERR_FORMAT;
    }
    return ERR_OK;
}

static enum err slot(struct luks2_metadata *m, unsigned id, int node, unsigned *n_reencrypt)
{
    struct luks2_slot *s = &m->l->slot[id];
    int type = luks2_string(m->json, node, "type");
    if (type == JW_NONE ||
        jw_u32(m->json, jw_get(m->json, node, "key_size"), JW_NUMBER, &s->key_size) != ERR_OK)
        return ERR_FORMAT;
    TRY(slot_area(m, node, s));
    s->used = true;
    m->l->n_slots++;
    if (jw_is(m->json, type, "luks2"))
        return passphrase_slot(m, id, node, s);
    if (!jw_is(m->json, type, "reencrypt"))
        return ERR_OK;
    ++*n_reencrypt;
    m->l->reencrypting = true;
    return reencrypt_slot(m->json, node, s);
}

enum err luks2_slots_decode(struct luks2_metadata *m)
{
    unsigned n_reencrypt = 0, first = LUKS2_SLOTS;
    struct jw_each e;
    for (jw_each(m->json, jw_get(m->json, JW_ROOT, "keyslots"), &e); jw_each_next(m->json, &e);) {
        unsigned id;
        TRY(luks2_id(m->json, e.name, LUKS2_SLOTS - 1, &id));
        TRY(slot(m, id, e.value, &n_reencrypt));
        if ((m->l->digest[0].slots >> id & 1) != 0 && id < first)
            first = id;
    }
    TRY(check_overlaps(m->l));
    /* the re-encryption's keyslot and its requirement come together */
    if (n_reencrypt > 1 || (m->online && n_reencrypt == 0) || (n_reencrypt > 0 && !m->candidate))
        return ERR_FORMAT;
    if (first < LUKS2_SLOTS)
        m->l->segment[0].key_size = m->l->slot[first].key_size;
    return ERR_OK;
}

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
    int fingerprint = jw_get(j, node, "fingerprint");
    if (fingerprint == JW_NONE)
        return ERR_OK;
    TRY(jw_base64(j, fingerprint, t->fingerprint, sizeof t->fingerprint, &len));
    t->has_fingerprint = len == sizeof t->fingerprint;
    return t->has_fingerprint ? ERR_OK : ERR_FORMAT;
}

/* A token of any type: its keyslots exist. One of ours that is malformed counts as somebody else's: the
 * volume must open all the same. */
static enum err token(struct luks2_metadata *m, int node, struct luks2_token *ret)
{
    const struct jw *j = m->json;
    struct luks2_token t = {.slot = -1};
    int array = jw_get_as(j, node, "keyslots", JW_ARRAY);
    struct jw_each e;
    if (luks2_string(j, node, "type") == JW_NONE || array == JW_NONE)
        return ERR_FORMAT;
    for (jw_each(j, array, &e); jw_each_next(j, &e);) {
        unsigned id;
        TRY(luks2_id(j, e.value, LUKS2_SLOTS - 1, &id));
        if ((m->slots >> id & 1) == 0)
            return ERR_FORMAT;
        if (!t.assigned)
            t.slot = (int)id;
        t.assigned = true;
    }
    if (ret == NULL || !jw_is(j, jw_get(j, node, "type"), KH_TOKEN_TYPE) ||
        keyholt_token(j, node, &t) != ERR_OK)
        return ERR_OK;
    t.used = true;
    *ret = t;
    return ERR_OK;
}

enum err luks2_tokens_decode(struct luks2_metadata *m)
{
    const struct jw *j = m->json;
    int section = jw_get_as(j, JW_ROOT, "tokens", JW_OBJECT);
    struct jw_each e;
    if (section == JW_NONE)
        return ERR_FORMAT;
    for (jw_each(j, section, &e); jw_each_next(j, &e);) {
        uint64_t number;
        if (jw_u64(j, e.name, JW_STRING, UINT64_MAX, &number) != ERR_OK)
            return ERR_FORMAT;
        /* a number beyond 31 cannot be made by libcryptsetup; it is checked, not kept */
        TRY(token(m, e.value, number < LUKS2_TOKENS ? &m->l->token[number] : NULL));
        m->l->n_tokens++;
    }
    return ERR_OK;
}
