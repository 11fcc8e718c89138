/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Digests and segments. Segment rules: cryptsetup 2.6, hdr_validate_segments(). */
#include "formats/luks2_metadata.h"
#include <string.h>

#define SECTOR  512
#define DYNAMIC UINT64_MAX /* size "dynamic": to the end of the device */

struct range {
    uint64_t off, size;
};

/* Numbers in an array, as bits; all must exist. */
static enum err references(const struct jw *j, int array, uint32_t existing, uint32_t *ret)
{
    uint32_t bits = 0;
    struct jw_each e;
    if (jw_type(j, array) != JW_ARRAY)
        return ERR_FORMAT;
    for (jw_each(j, array, &e); jw_each_next(j, &e);) {
        unsigned id;
        TRY(luks2_id(j, e.value, 31, &id));
        if ((existing >> id & 1) == 0)
            return ERR_FORMAT;
        bits |= UINT32_C(1) << id;
    }
    *ret = bits;
    return ERR_OK;
}

/* A digest that cannot be checked here (another type or hash) keeps hash 0, and no slot of it is supported.
 */
static void digest_values(const struct jw *j, int node, struct luks2_digest *d)
{
    size_t salt, value;
    uint32_t n;
    if (!jw_is(j, jw_get(j, node, "type"), "pbkdf2") ||
        jw_u32(j, jw_get(j, node, "iterations"), JW_NUMBER, &n) != ERR_OK || n == 0 || n > INT32_MAX ||
        jw_base64(j, jw_get(j, node, "salt"), d->salt, sizeof d->salt, &salt) != ERR_OK ||
        jw_base64(j, jw_get(j, node, "digest"), d->value, sizeof d->value, &value) != ERR_OK)
        return;
    uint8_t hash = luks2_hash(j, jw_get(j, node, "hash"));
    /* 20 bytes were LUKS1's, a converted header keeps them; fewer would prove little */
    if (hash == 0 || salt == 0 || (value != 20 && value != cr_hash_size(hash)))
        return;
    d->iterations = n;
    d->salt_len = (uint32_t)salt;
    d->value_len = (uint32_t)value;
    d->hash = hash;
}

/* Part of a re-encryption's state, not of the volume. */
static bool is_backup(const struct jw *j, int segment)
{
    struct jw_each e;
    for (jw_each(j, jw_get(j, segment, "flags"), &e); jw_each_next(j, &e);)
        if (jw_starts(j, e.value, "backup-"))
            return true;
    return false;
}

/* Number of the first segment of type "crypt" that is no backup. */
static int first_crypt_segment(const struct luks2_metadata *m)
{
    for (uint32_t left = m->segments; left != 0; left &= left - 1) {
        int id = __builtin_ctz(left), node = m->segment_node[id];
        if (!is_backup(m->json, node) && jw_is(m->json, jw_get(m->json, node, "type"), "crypt"))
            return id;
    }
    return -1;
}

enum err luks2_digests_decode(struct luks2_metadata *m)
{
    const struct jw *j = m->json;
    int section = jw_get_as(j, JW_ROOT, "digests", JW_OBJECT);
    struct jw_each e;
    if (section == JW_NONE)
        return ERR_FORMAT;
    m->crypt_segment = first_crypt_segment(m);
    bool found = false;
    for (jw_each(j, section, &e); jw_each_next(j, &e);) {
        uint32_t slots, segments;
        uint64_t number;
        if (jw_u64(j, e.name, JW_STRING, UINT64_MAX, &number) != ERR_OK ||
            luks2_string(j, e.value, "type") == JW_NONE)
            return ERR_FORMAT;
        TRY(references(j, jw_get(j, e.value, "keyslots"), m->slots, &slots));
        TRY(references(j, jw_get(j, e.value, "segments"), m->segments, &segments));
        m->slots_often |= m->slots_once & slots;
        m->slots_once |= slots;
        m->digested_segments |= segments;
        if (!found && m->crypt_segment >= 0 && (segments >> m->crypt_segment & 1) != 0) {
            found = true;
            m->l->digest[0].slots = slots;
            digest_values(j, e.value, &m->l->digest[0]);
        }
    }
    return ERR_OK;
}

static enum err integrity(const struct jw *j, int node)
{
    if (node == JW_NONE)
        return ERR_OK;
    bool ok = jw_type(j, node) == JW_OBJECT && luks2_string(j, node, "type") != JW_NONE &&
              luks2_string(j, node, "journal_encryption") != JW_NONE &&
              luks2_string(j, node, "journal_integrity") != JW_NONE;
    return ok ? ERR_OK : ERR_FORMAT;
}

static enum err crypt_segment(struct luks2_metadata *m, unsigned id, const struct range *r)
{
    const struct jw *j = m->json;
    int node = m->segment_node[id], cipher = luks2_string(j, node, "encryption");
    uint64_t tweak;
    uint32_t sector;
    if (cipher == JW_NONE ||
        jw_u64(j, jw_get(j, node, "iv_tweak"), JW_STRING, UINT64_MAX, &tweak) != ERR_OK ||
        jw_u32(j, jw_get(j, node, "sector_size"), JW_NUMBER, &sector) != ERR_OK)
        return ERR_FORMAT;
    TRY(integrity(j, jw_get(j, node, "integrity")));
    if (sector == 0 || sector % SECTOR != 0 || (r->size != DYNAMIC && r->size % sector != 0))
        return ERR_FORMAT;
    if ((m->digested_segments >> id & 1) == 0)
        return ERR_FORMAT;
    if ((int)id == m->crypt_segment) {
        m->l->segment[0].off = r->off;
        m->l->segment[0].sector_size = sector;
        m->l->segment[0].cipher = jw_is(j, cipher, "aes-xts-plain64") ? LUKS2_XTS_PLAIN64 : 0;
    }
    return ERR_OK;
}

static enum err segment(struct luks2_metadata *m, unsigned id, struct range *ret)
{
    const struct jw *j = m->json;
    int node = m->segment_node[id], type = luks2_string(j, node, "type"), size = jw_get(j, node, "size"),
        flags = jw_get(j, node, "flags");
    struct range r = {.size = DYNAMIC};
    if (type == JW_NONE || jw_u64(j, jw_get(j, node, "offset"), JW_STRING, UINT64_MAX, &r.off) != ERR_OK)
        return ERR_FORMAT;
    if (!jw_is(j, size, "dynamic") &&
        (jw_u64(j, size, JW_STRING, UINT64_MAX, &r.size) != ERR_OK || r.size == 0 || r.size % SECTOR != 0))
        return ERR_FORMAT;
    if (r.off % SECTOR != 0 || (flags != JW_NONE && jw_type(j, flags) != JW_ARRAY))
        return ERR_FORMAT;
    struct jw_each e;
    for (jw_each(j, flags, &e); jw_each_next(j, &e);)
        if (jw_type(j, e.value) != JW_STRING)
            return ERR_FORMAT;
    if (jw_is(j, type, "crypt"))
        TRY(crypt_segment(m, id, &r));
    *ret = r;
    return ERR_OK;
}

/* Regular segments do not overlap, and only the last may reach to the end of the device. */
static enum err check_ranges(const struct range *r, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        uint64_t end;
        if (r[i].size == DYNAMIC ? i + 1 < n : n > 1 && __builtin_add_overflow(r[i].off, r[i].size, &end))
            return ERR_FORMAT;
        for (unsigned k = 0; k < n; k++)
            if (k != i && r[k].off >= r[i].off && (r[i].size == DYNAMIC || r[k].off - r[i].off < r[i].size))
                return ERR_FORMAT;
    }
    return ERR_OK;
}

/* Same kind of segment: type, and for encrypted ones cipher and sector size. */
static bool alike(const struct jw *j, int a, int b)
{
    int type = jw_get(j, a, "type");
    if (!jw_same(j, type, jw_get(j, b, "type")))
        return false;
    return !jw_is(j, type, "crypt") || (jw_same(j, jw_get(j, a, "encryption"), jw_get(j, b, "encryption")) &&
                                        jw_same(j, jw_get(j, a, "sector_size"), jw_get(j, b, "sector_size")));
}

static bool has_flag(const struct jw *j, int segment_node, const char *flag)
{
    struct jw_each e;
    for (jw_each(j, jw_get(j, segment_node, "flags"), &e); jw_each_next(j, &e);)
        if (jw_is(j, e.value, flag))
            return true;
    return false;
}

/* While a re-encryption runs, every regular segment is like the state before or the state to come. */
static enum err check_reencryption(const struct luks2_metadata *m, unsigned n_regular, unsigned n)
{
    const struct jw *j = m->json;
    int final = JW_NONE, previous = JW_NONE;
    for (unsigned i = n_regular; i < n; i++) {
        int node = m->segment_node[i];
        if (has_flag(j, node, "backup-final"))
            final = node;
        else if (has_flag(j, node, "backup-previous"))
            previous = node;
    }
    if (final == JW_NONE || previous == JW_NONE)
        return ERR_FORMAT;
    for (unsigned i = 0; i < n_regular; i++) {
        int node = m->segment_node[i];
        if (!alike(j, node, final) && (has_flag(j, node, "in-reencryption") || !alike(j, node, previous)))
            return ERR_FORMAT;
    }
    return ERR_OK;
}

/* The keyslots area ends before the data begins, unless the header is detached (data at 0). */
static enum err check_data_offset(const struct luks2_metadata *m, const struct range *r, unsigned n)
{
    uint64_t min = UINT64_MAX;
    for (unsigned i = 0; i < n; i++)
        min = r[i].off < min ? r[i].off : min;
    return min == 0 || min >= m->areas_end ? ERR_OK : ERR_FORMAT;
}

enum err luks2_segments_decode(struct luks2_metadata *m)
{
    struct range r[LUKS2_SLOTS];
    unsigned n = 0, n_regular = 0;
    while (n < LUKS2_SLOTS && (m->segments >> n & 1) != 0)
        n++;
    /* numbered 0 to n - 1 without a gap, backups last */
    if (n == 0 || (n < LUKS2_SLOTS && m->segments >> n != 0))
        return ERR_FORMAT;
    for (unsigned i = 0; i < n; i++) {
        TRY(segment(m, i, &r[i]));
        if (is_backup(m->json, m->segment_node[i]))
            continue;
        if (n_regular++ < i)
            return ERR_FORMAT;
    }
    if (n_regular == 0)
        return ERR_FORMAT;
    TRY(check_ranges(r, n_regular));
    TRY(check_data_offset(m, r, n_regular));
    return m->online ? check_reencryption(m, n_regular, n) : ERR_OK;
}
