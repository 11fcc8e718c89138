/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sealed keys, and the properties of a protector that lead to the volume master key. */
#include "crypto/aes.h"
#include "formats/bitlocker_format.h"

/* What was sealed is an entry again: a key with two bytes of kind and two of flags before it. */
static enum err decode_key(const uint8_t *p, size_t len, uint16_t *ret_type, struct secret *ret)
{
    struct reader r;
    struct bitlocker_entry e;
    bool more;
    reader_init(&r, p, len);
    TRY(bitlocker_entry_next(&r, &e, &more));
    if (!more || e.value != BITLOCKER_VALUE_KEY || e.len < 4)
        return ERR_FORMAT;
    reader_init(&r, e.data, e.len);
    *ret_type = reader_u16(&r);
    reader_skip(&r, 2);
    ret->len = e.len - 4;
    reader_bytes(&r, ret->bytes, ret->len);
    return r.err;
}

enum err bitlocker_unseal(const uint8_t key[static 32], const uint8_t *data, size_t len, uint16_t *ret_type,
                          struct secret *ret)
{
    SECRET(plain);
    uint8_t nonce[CR_CCM_NONCE] = {0}, tag[CR_CCM_TAG] = {0};
    struct reader r;
    if (len <= BITLOCKER_SEALED_LEN || len - BITLOCKER_SEALED_LEN > BITLOCKER_KEY_MAX)
        return ERR_FORMAT;
    reader_init(&r, data, len);
    reader_bytes(&r, nonce, sizeof nonce);
    reader_bytes(&r, tag, sizeof tag);
    plain.len = reader_left(&r);
    TRY(cr_ccm_open(key, 32, nonce, NULL, 0, reader_take(&r, plain.len), plain.len, tag, plain.bytes));
    return decode_key(plain.bytes, plain.len, ret_type, ret);
}

/* Search for a sealed volume master key that opens. */
struct search {
    const uint8_t *key;
    bool nested;
    struct secret *vmk;
    bool found;
};

static enum err try_sealed(void *ctx, const struct bitlocker_entry *e)
{
    struct search *s = ctx;
    uint16_t type;
    SECRET(vmk);
    if (s->found)
        return ERR_OK;
    if (e->value == BITLOCKER_VALUE_SEALED) {
        enum err got = bitlocker_unseal(s->key, e->data, e->len, &type, &vmk);
        if (got == ERR_OK && vmk.len == BITLOCKER_VMK) {
            *s->vmk = vmk;
            s->found = true;
        }
        return got == ERR_AUTH || got == ERR_FORMAT ? ERR_OK : got;
    }
    size_t skip = e->value == BITLOCKER_VALUE_STRETCH   ? 4 + BITLOCKER_SALT
                  : e->value == BITLOCKER_VALUE_USE_KEY ? 4
                                                        : e->len;
    if (s->nested || skip >= e->len)
        return ERR_OK;
    struct search inner = *s;
    inner.nested = true;
    /* what lies within and does not fit says nothing of what stands behind */
    enum err got = bitlocker_entries(e->data + skip, e->len - skip, try_sealed, &inner);
    s->found = inner.found;
    return got == ERR_FORMAT ? ERR_OK : got;
}

static const uint8_t *properties(const struct bitlocker *b, const struct bitlocker_protector *p)
{
    return b->room->block[b->used] + p->off;
}

enum err bitlocker_protector_open(const struct bitlocker *b, const struct bitlocker_protector *p,
                                  const uint8_t key[static 32], struct secret *ret_vmk)
{
    struct search s = {.key = key, .vmk = ret_vmk};
    TRY(bitlocker_entries(properties(b, p), p->len, try_sealed, &s));
    return s.found ? ERR_OK : ERR_AUTH;
}

struct pick {
    uint16_t value;
    size_t len; /* at least */
    const uint8_t *data;
};

static enum err pick_first(void *ctx, const struct bitlocker_entry *e)
{
    struct pick *p = ctx;
    if (p->data == NULL && e->value == p->value && e->len >= p->len)
        p->data = e->data;
    return ERR_OK;
}

/* Data of the first property of a value type behind its 4 bytes of kind and flags; NULL when there is none.
 */
static const uint8_t *first(const uint8_t *p, size_t len, uint16_t value, size_t want)
{
    struct pick pick = {.value = value, .len = 4 + want};
    if (bitlocker_entries(p, len, pick_first, &pick) != ERR_OK || pick.data == NULL)
        return NULL;
    return pick.data + 4;
}

const uint8_t *bitlocker_protector_salt(const struct bitlocker *b, const struct bitlocker_protector *p)
{
    return first(properties(b, p), p->len, BITLOCKER_VALUE_STRETCH, BITLOCKER_SALT);
}

const uint8_t *bitlocker_key_in(const uint8_t *p, size_t len)
{
    return first(p, len, BITLOCKER_VALUE_KEY, 32);
}

enum err bitlocker_unlock_clear_key(const struct bitlocker *b, unsigned *ret_protector,
                                    struct secret *ret_vmk)
{
    enum err worst = ERR_NOT_FOUND;
    for (unsigned i = 0; i < b->n_protectors; i++) {
        const struct bitlocker_protector *p = &b->protector[i];
        if (p->kind != BITLOCKER_CLEAR_KEY)
            continue;
        const uint8_t *key = bitlocker_key_in(properties(b, p), p->len);
        enum err e = key == NULL ? ERR_FORMAT : bitlocker_protector_open(b, p, key, ret_vmk);
        if (e == ERR_OK)
            *ret_protector = i;
        if (e == ERR_OK || (e != ERR_AUTH && e != ERR_FORMAT))
            return e;
        worst = ERR_AUTH;
    }
    return worst;
}
