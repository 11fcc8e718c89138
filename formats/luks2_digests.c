/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Digests: which keyslots open which volume key, which segments it encrypts, and how it is recognised. */
#include "formats/luks2_metadata.h"

#define SALT_LEN 32 /* cryptsetup verifies with no other */

/* Numbers in an array, as bits; all must exist. */
static enum err references(struct luks2_metadata *m, int array, uint32_t existing, uint32_t *ret)
{
    uint32_t bits = 0;
    struct jw_each e;
    if (jw_type(m->json, array) != JW_ARRAY)
        return luks2_fault(m, array, "a digest lacks the list of its keyslots or segments");
    for (jw_each(m->json, array, &e); jw_each_next(m->json, &e);) {
        unsigned id;
        if (luks2_id(m->json, e.value, 31, &id) != ERR_OK || (existing >> id & 1) == 0)
            return luks2_fault(m, e.value, "a digest names a keyslot or segment that does not exist");
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
    if (hash == 0 || salt != SALT_LEN || (value != 20 && value != cr_hash_size(hash)))
        return;
    d->iterations = n;
    d->salt_len = (uint32_t)salt;
    d->value_len = (uint32_t)value;
    d->hash = hash;
}

bool luks2_is_backup(const struct jw *j, int segment)
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
        if (!luks2_is_backup(m->json, node) && jw_is(m->json, jw_get(m->json, node, "type"), "crypt"))
            return id;
    }
    return -1;
}

static void mark(int8_t *of, uint32_t bits, int index)
{
    for (; bits != 0; bits &= bits - 1)
        of[__builtin_ctz(bits)] = (int8_t)index;
}

/* The first place is that of the first crypt segment's digest. The others are kept in their order as long as
 * there is room and they are of use. */
static void keep(struct luks2_metadata *m, int node, uint32_t slots, uint32_t segments)
{
    struct luks2 *l = m->l;
    uint32_t fresh = segments & ~m->digested_segments;
    unsigned i = m->crypt_segment >= 0 && (fresh >> m->crypt_segment & 1) != 0 ? 0 : l->n_digests;
    if (i >= LUKS2_DIGESTS || (slots == 0 && segments == 0))
        return;
    l->n_digests += i > 0;
    l->digest[i].slots = slots;
    l->digest[i].segments = segments;
    digest_values(m->json, node, &l->digest[i]);
    mark(m->slot_digest, slots, (int)i);
    mark(m->segment_digest, fresh, (int)i);
}

static enum err digest(struct luks2_metadata *m, int number, int node)
{
    const struct jw *j = m->json;
    uint32_t slots, segments;
    if (!luks2_is_numbered(j, number) || luks2_string(j, node, "type") == JW_NONE)
        return luks2_fault(m, number, "a digest has no number or no type");
    TRY(references(m, jw_get(j, node, "keyslots"), m->slots, &slots));
    TRY(references(m, jw_get(j, node, "segments"), m->segments, &segments));
    keep(m, node, slots, segments);
    m->slots_often |= m->slots_once & slots;
    m->slots_once |= slots;
    m->digested_segments |= segments;
    return ERR_OK;
}

enum err luks2_digests_decode(struct luks2_metadata *m)
{
    int section = jw_get_as(m->json, JW_ROOT, "digests", JW_OBJECT), number, value;
    struct luks2_each e;
    if (section == JW_NONE)
        return luks2_fault(m, JW_ROOT, "there is no digests section");
    m->crypt_segment = first_crypt_segment(m);
    m->l->n_digests = 1;
    for (luks2_each(m->json, section, &e); luks2_each_next(m->json, &e, &number, &value);)
        TRY(digest(m, number, value));
    return ERR_OK;
}
