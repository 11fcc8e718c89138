/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Segments: where the data lies and how it is encrypted. Rules: cryptsetup 2.6, hdr_validate_segments(). */
#include "formats/luks2_metadata.h"
#include <string.h>

#define SECTOR  512
#define DYNAMIC LUKS2_TO_END /* size "dynamic": to the end of the device */

static enum err integrity(struct luks2_metadata *m, int segment, struct luks2_segment *s)
{
    const struct jw *j = m->json;
    int node = jw_get(j, segment, "integrity");
    if (node == JW_NONE)
        return ERR_OK;
    if (jw_type(j, node) != JW_OBJECT || luks2_string(j, node, "type") == JW_NONE ||
        luks2_string(j, node, "journal_encryption") == JW_NONE ||
        luks2_string(j, node, "journal_integrity") == JW_NONE)
        return luks2_fault(m, node, "a segment's integrity protection lacks its parameters");
    jw_excerpt(j, jw_get(j, node, "type"), s->integrity, sizeof s->integrity);
    return ERR_OK;
}

static enum err crypt_segment(struct luks2_metadata *m, unsigned id, struct luks2_segment *s)
{
    const struct jw *j = m->json;
    int node = m->segment_node[id], cipher = luks2_string(j, node, "encryption");
    if (cipher == JW_NONE || luks2_decimal(j, node, "iv_tweak", &s->iv_offset) != ERR_OK ||
        jw_u32(j, jw_get(j, node, "sector_size"), JW_NUMBER, &s->sector_size) != ERR_OK)
        return luks2_fault(m, node, "a segment lacks its cipher, IV offset or sector size");
    TRY(integrity(m, node, s));
    if (s->sector_size == 0 || s->sector_size % SECTOR != 0 ||
        (s->size != DYNAMIC && s->size % s->sector_size != 0))
        return luks2_fault(m, node, "a segment's sector size is impossible");
    if ((m->digested_segments >> id & 1) == 0)
        return luks2_fault(m, node, "no digest says which key a segment has");
    s->crypt = true;
    s->cipher = luks2_cipher(j, cipher);
    jw_excerpt(j, cipher, s->cipher_name, sizeof s->cipher_name);
    return ERR_OK;
}

static bool has_flag(const struct jw *j, int segment_node, const char *flag)
{
    struct jw_each e;
    for (jw_each(j, jw_get(j, segment_node, "flags"), &e); jw_each_next(j, &e);)
        if (jw_is(j, e.value, flag))
            return true;
    return false;
}

static enum err segment(struct luks2_metadata *m, unsigned id, struct luks2_segment *ret)
{
    const struct jw *j = m->json;
    int node = m->segment_node[id], type = luks2_string(j, node, "type"), flags = jw_get(j, node, "flags");
    struct luks2_segment s = {.size = DYNAMIC, .digest = m->segment_digest[id], .sector_size = SECTOR};
    if (type == JW_NONE || luks2_decimal(j, node, "offset", &s.off) != ERR_OK || s.off % SECTOR != 0)
        return luks2_fault(m, node, "a segment lacks its type or has no possible offset");
    if (!jw_is(j, jw_get(j, node, "size"), "dynamic") &&
        (luks2_decimal(j, node, "size", &s.size) != ERR_OK || s.size == 0 || s.size % SECTOR != 0))
        return luks2_fault(m, node, "a segment has no possible size");
    if (flags != JW_NONE && !luks2_all_strings(j, flags))
        return luks2_fault(m, flags, "a segment's flags are no list of names");
    jw_excerpt(j, type, s.type, sizeof s.type);
    s.in_reencryption = has_flag(j, node, "in-reencryption");
    if (jw_is(j, type, "crypt"))
        TRY(crypt_segment(m, id, &s));
    *ret = s;
    return ERR_OK;
}

/* Regular segments do not overlap, and only the last may reach to the end of the device. */
static enum err check_ranges(const struct luks2_segment *r, unsigned n)
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

/* While a re-encryption runs, every regular segment is like the state before or the state to come. */
static enum err check_reencryption(struct luks2_metadata *m, unsigned n_regular, unsigned n)
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
        return luks2_fault(m, m->segment_node[0], "a state of the re-encryption is missing");
    for (unsigned i = 0; i < n_regular; i++) {
        int node = m->segment_node[i];
        if (!alike(j, node, final) && (has_flag(j, node, "in-reencryption") || !alike(j, node, previous)))
            return luks2_fault(m, node, "a segment is like neither state of the re-encryption");
    }
    return ERR_OK;
}

/* The keyslots area ends before the data begins, unless the header is detached (data at 0). */
static enum err check_data_offset(const struct luks2_metadata *m)
{
    uint64_t min = UINT64_MAX;
    for (unsigned i = 0; i < m->l->n_segments; i++)
        min = m->l->segment[i].off < min ? m->l->segment[i].off : min;
    return min == 0 || min >= m->areas_end ? ERR_OK : ERR_FORMAT;
}

/* All of them, backups checked too; they come last. */
static enum err decode_all(struct luks2_metadata *m, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct luks2_segment s;
        TRY(segment(m, i, &s));
        if (luks2_is_backup(m->json, m->segment_node[i]))
            continue;
        if (m->l->n_segments < i)
            return luks2_fault(m, m->segment_node[i], "a regular segment comes behind a backup");
        m->l->segment[m->l->n_segments++] = s;
    }
    return ERR_OK;
}

enum err luks2_segments_decode(struct luks2_metadata *m)
{
    unsigned n = 0;
    while (n < LUKS2_SEGMENTS && (m->segments >> n & 1) != 0)
        n++;
    if (n == 0 || (n < LUKS2_SEGMENTS && m->segments >> n != 0))
        return luks2_fault(m, jw_get(m->json, JW_ROOT, "segments"),
                           "the segments are not numbered from 0 without a gap");
    TRY(decode_all(m, n));
    int first = m->segment_node[0];
    if (m->l->n_segments == 0)
        return luks2_fault(m, first, "there is no regular segment");
    if (check_ranges(m->l->segment, m->l->n_segments) != ERR_OK)
        return luks2_fault(m, first, "segments overlap, or one before the last has no end");
    if (check_data_offset(m) != ERR_OK)
        return luks2_fault(m, first, "the data begins within the keyslots area");
    return m->online ? check_reencryption(m, m->l->n_segments, n) : ERR_OK;
}
