/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Keyslots. One that this reader cannot open is no defect of the header: it is listed with the reason, and
 * the others still open. */
#include "formats/luks2_metadata.h"
#include <string.h>

#define SECTOR 512

/* "area" of every keyslot, whatever its type: within the keyslots area and behind both headers. */
static enum err slot_area(struct luks2_metadata *m, int node, struct luks2_slot *s)
{
    const struct jw *j = m->json;
    int area = jw_get_as(j, node, "area", JW_OBJECT);
    uint64_t end;
    if (luks2_string(j, area, "type") == JW_NONE ||
        luks2_decimal(j, area, "offset", &s->area_off) != ERR_OK ||
        luks2_decimal(j, area, "size", &s->area_size) != ERR_OK)
        return luks2_fault(m, node, "a keyslot lacks the type, offset or size of its area");
    if (s->area_size == 0 || s->area_off < 2 * m->hdr_size ||
        __builtin_add_overflow(s->area_off, s->area_size, &end) || end > m->areas_end)
        return luks2_fault(m, area, "a keyslot's area lies outside the keyslots area");
    return ERR_OK;
}

static enum err check_overlaps(struct luks2_metadata *m)
{
    const struct luks2_slot *s = m->l->slot;
    for (unsigned i = 0; i < LUKS2_SLOTS; i++)
        for (unsigned k = 0; k < LUKS2_SLOTS; k++)
            if (i != k && s[i].used && s[k].used && s[k].area_off >= s[i].area_off &&
                s[k].area_off - s[i].area_off < s[i].area_size)
                return luks2_fault(m, m->slot_node[k], "the areas of two keyslots overlap");
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

static enum err pbkdf2(struct luks2_metadata *m, int kdf, struct luks2_slot *s)
{
    const struct jw *j = m->json;
    int hash = luks2_string(j, kdf, "hash");
    if (hash == JW_NONE || !is_number(j, kdf, "iterations"))
        return luks2_fault(m, kdf, "a keyslot's PBKDF2 lacks its hash or its iterations");
    s->kdf = LUKS2_PBKDF2;
    s->hash = luks2_hash(j, hash);
    jw_excerpt(j, hash, s->hash_name, sizeof s->hash_name);
    s->iterations = number(j, kdf, "iterations");
    return ERR_OK;
}

static enum err argon2(struct luks2_metadata *m, int kdf, struct luks2_slot *s)
{
    const struct jw *j = m->json;
    if (!is_number(j, kdf, "time") || !is_number(j, kdf, "memory") || !is_number(j, kdf, "cpus"))
        return luks2_fault(m, kdf, "a keyslot's Argon2 lacks its time, memory or lanes");
    s->kdf = jw_is(j, jw_get(j, kdf, "type"), "argon2i") ? LUKS2_ARGON2I : LUKS2_ARGON2ID;
    s->iterations = number(j, kdf, "time");
    s->memory_kib = number(j, kdf, "memory");
    s->lanes = number(j, kdf, "cpus");
    return ERR_OK;
}

/* The members that the type wants; others are left-overs of old releases, which cryptsetup removes. */
static enum err slot_kdf(struct luks2_metadata *m, int node, struct luks2_slot *s)
{
    const struct jw *j = m->json;
    int kdf = jw_get_as(j, node, "kdf", JW_OBJECT), type = luks2_string(j, kdf, "type");
    if (type == JW_NONE)
        return luks2_fault(m, node, "a keyslot lacks its key derivation");
    jw_excerpt(j, type, s->kdf_name, sizeof s->kdf_name);
    bool is_pbkdf2 = jw_is(j, type, "pbkdf2");
    if (!is_pbkdf2 && !jw_is(j, type, "argon2i") && !jw_is(j, type, "argon2id"))
        return ERR_OK; /* kdf stays 0 */
    size_t len;
    if (luks2_string(j, kdf, "salt") == JW_NONE)
        return luks2_fault(m, kdf, "a keyslot's key derivation lacks its salt");
    if (jw_base64(j, jw_get(j, kdf, "salt"), s->salt, sizeof s->salt, &len) == ERR_OK)
        s->salt_len = (uint32_t)len;
    return is_pbkdf2 ? pbkdf2(m, kdf, s) : argon2(m, kdf, s);
}

static enum err slot_af(struct luks2_metadata *m, int node, struct luks2_slot *s)
{
    const struct jw *j = m->json;
    int af = jw_get_as(j, node, "af", JW_OBJECT), hash = luks2_string(j, af, "hash");
    if (!jw_is(j, jw_get(j, af, "type"), "luks1") || hash == JW_NONE || !is_number(j, af, "stripes"))
        return luks2_fault(m, node, "a keyslot lacks its anti-forensic parameters");
    s->af_hash = luks2_hash(j, hash);
    jw_excerpt(j, hash, s->af_hash_name, sizeof s->af_hash_name);
    s->af_stripes = number(j, af, "stripes");
    return ERR_OK;
}

static enum err slot_cipher(struct luks2_metadata *m, int node, struct luks2_slot *s)
{
    const struct jw *j = m->json;
    int area = jw_get(j, node, "area"), cipher = luks2_string(j, area, "encryption");
    if (!jw_is(j, jw_get(j, area, "type"), "raw") || cipher == JW_NONE || !is_number(j, area, "key_size"))
        return luks2_fault(m, area, "a keyslot's area lacks its cipher");
    s->cipher = luks2_cipher(j, cipher);
    jw_excerpt(j, cipher, s->cipher_name, sizeof s->cipher_name);
    s->area_key_size = number(j, area, "key_size");
    return ERR_OK;
}

static uint8_t priority(const struct jw *j, int node)
{
    uint64_t v;
    if (jw_u64(j, jw_get(j, node, "priority"), JW_NUMBER, 2, &v) != ERR_OK)
        return LUKS2_NORMAL;
    return v == 0 ? LUKS2_IGNORE : v == 2 ? LUKS2_PREFER : LUKS2_NORMAL;
}

static enum err passphrase_slot(struct luks2_metadata *m, unsigned id, int node, struct luks2_slot *s)
{
    TRY(slot_kdf(m, node, s));
    TRY(slot_af(m, node, s));
    TRY(slot_cipher(m, node, s));
    if ((m->slots_once >> id & 1) == 0 || (m->slots_often >> id & 1) != 0)
        return luks2_fault(m, node, "not exactly one digest says which volume key a keyslot opens");
    s->unbound = s->digest >= 0 && m->l->digest[s->digest].segments == 0;
    return ERR_OK;
}

static bool is_one_of(const struct jw *j, int node, const char *a, const char *b, const char *c)
{
    return jw_is(j, node, a) || jw_is(j, node, b) || jw_is(j, node, c);
}

/* Where the re-encryption keeps what it needs after a crash. */
static bool is_resilience(const struct jw *j, int area)
{
    int type = jw_get(j, area, "type");
    if (is_one_of(j, type, "checksum", "datashift-checksum", "datashift-checksum")) {
        uint32_t size;
        return luks2_string(j, area, "hash") != JW_NONE &&
               jw_u32(j, jw_get(j, area, "sector_size"), JW_NUMBER, &size) == ERR_OK && size >= SECTOR &&
               (size & (size - 1)) == 0;
    }
    uint64_t shift;
    return !is_one_of(j, type, "datashift", "datashift-journal", "datashift-journal") ||
           (luks2_decimal(j, area, "shift_size", &shift) == ERR_OK && shift != 0 && shift % SECTOR == 0);
}

/* The keyslot that keeps the state of a re-encryption. cryptsetup 2.6, reenc_keyslot_validate() */
static enum err reencrypt_slot(struct luks2_metadata *m, int node, const struct luks2_slot *s)
{
    const struct jw *j = m->json;
    if (s->key_size != 1 || !is_one_of(j, jw_get(j, node, "mode"), "reencrypt", "encrypt", "decrypt") ||
        !is_one_of(j, jw_get(j, node, "direction"), "forward", "backward", "backward") ||
        !is_resilience(j, jw_get(j, node, "area")))
        return luks2_fault(m, node, "the keyslot of a re-encryption is malformed");
    return ERR_OK;
}

static enum err slot(struct luks2_metadata *m, unsigned id, unsigned *n_reencrypt)
{
    const struct jw *j = m->json;
    struct luks2_slot *s = &m->l->slot[id];
    int node = m->slot_node[id], type = luks2_string(j, node, "type");
    if (type == JW_NONE || jw_u32(j, jw_get(j, node, "key_size"), JW_NUMBER, &s->key_size) != ERR_OK)
        return luks2_fault(m, node, "a keyslot lacks its type or has no possible key size");
    TRY(slot_area(m, node, s));
    s->used = true;
    s->digest = m->slot_digest[id];
    s->priority = priority(j, node);
    jw_excerpt(j, type, s->type, sizeof s->type);
    m->l->n_slots++;
    if (jw_is(j, type, "luks2"))
        return passphrase_slot(m, id, node, s);
    if (!jw_is(j, type, "reencrypt"))
        return ERR_OK;
    ++*n_reencrypt;
    m->l->reencrypting = true;
    return reencrypt_slot(m, node, s);
}

/* The segments' key size is what their digest's first keyslot says. */
static void segment_keys(struct luks2 *l)
{
    for (unsigned i = 0; i < l->n_segments; i++) {
        struct luks2_segment *g = &l->segment[i];
        uint32_t slots = g->digest < 0 ? 0 : l->digest[g->digest].slots;
        g->key_size = slots == 0 ? 0 : l->slot[__builtin_ctz(slots)].key_size;
        g->why_not = luks2_segment_why_not(g);
    }
}

enum err luks2_slots_decode(struct luks2_metadata *m)
{
    unsigned n_reencrypt = 0;
    for (unsigned id = 0; id < LUKS2_SLOTS; id++)
        if ((m->slots >> id & 1) != 0)
            TRY(slot(m, id, &n_reencrypt));
    TRY(check_overlaps(m));
    /* the re-encryption's keyslot and its requirement come together */
    if (n_reencrypt > 1 || (m->online && n_reencrypt == 0) || (n_reencrypt > 0 && m->n_candidates == 0))
        return luks2_fault(m, jw_get(m->json, JW_ROOT, "keyslots"),
                           "the keyslot of a re-encryption and its requirement do not come together");
    for (unsigned id = 0; id < LUKS2_SLOTS; id++) {
        struct luks2_slot *s = &m->l->slot[id];
        s->why_not = s->used ? luks2_slot_why_not(m->l, s) : NULL;
        s->supported = s->used && s->why_not == NULL;
    }
    segment_keys(m->l);
    return ERR_OK;
}
