/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From the volume master key to the volume key, and what is to be read how. */
#include "crypto/hash.h"
#include "formats/bitlocker_format.h"
#include <string.h>

static enum err wrong(struct bitlocker_problem *ret, enum err e, const char *what, uint64_t off)
{
    *ret = (struct bitlocker_problem){what, off};
    return e;
}

/* Does block i match the SHA-256 that is sealed behind it? A block without one (Vista) has its CRC-32. */
static enum err check_hash(const struct bitlocker *b, unsigned i, const struct secret *vmk)
{
    const struct bitlocker_room *room = b->room;
    uint8_t hash[CR_SHA256_SIZE];
    uint16_t type;
    SECRET(want);
    if (room->seal_len[i] == 0)
        return ERR_OK;
    TRY(bitlocker_unseal(vmk->bytes, room->block[i] + room->seal_off[i], room->seal_len[i], &type, &want));
    TRY(cr_sha256(room->block[i], room->info[i].len, hash));
    return want.len == sizeof hash && cr_equal(want.bytes, hash, sizeof hash) ? ERR_OK : ERR_FORMAT;
}

/* The next block to fall back on: the newest of those that have no problem. */
static bool next_block(const struct bitlocker *b, unsigned *ret)
{
    const struct bitlocker_block *best = NULL;
    for (unsigned i = 0; i < BITLOCKER_BLOCKS; i++) {
        const struct bitlocker_block *x = &b->block[i];
        if (x->problem.what == NULL && (best == NULL || bitlocker_block_newer(x, best))) {
            best = x;
            *ret = i;
        }
    }
    return best != NULL;
}

static enum err settle(struct bitlocker *b, const struct secret *vmk, struct bitlocker_problem *ret_problem)
{
    unsigned i = b->used;
    do {
        enum err e = check_hash(b, i, vmk);
        if (e == ERR_OK && (i == b->used || bitlocker_block_use(b, i) == ERR_OK))
            return ERR_OK;
        if (e != ERR_OK && e != ERR_AUTH && e != ERR_FORMAT)
            return e;
        b->block[i].problem = (struct bitlocker_problem){"the SHA-256 of the metadata block does not match",
                                                         b->block[i].off + b->room->info[i].len + 8};
        *ret_problem = b->block[i].problem;
    } while (next_block(b, &i));
    return ERR_FORMAT;
}

struct search {
    const struct secret *vmk;
    struct secret *key;
    uint16_t type;
    unsigned seen;
    enum err found;
};

static enum err see(void *ctx, const struct bitlocker_entry *e)
{
    struct search *s = ctx;
    if (s->found == ERR_OK || e->type != BITLOCKER_TYPE_FVEK || e->value != BITLOCKER_VALUE_SEALED)
        return ERR_OK;
    s->seen++;
    s->found = bitlocker_unseal(s->vmk->bytes, e->data, e->len, &s->type, s->key);
    return s->found == ERR_AUTH || s->found == ERR_FORMAT ? ERR_OK : s->found;
}

static enum err volume_key(const struct bitlocker *b, const struct secret *vmk, struct secret *ret,
                           uint16_t *ret_method, struct bitlocker_problem *ret_problem)
{
    const struct bitlocker_info *info = &b->room->info[b->used];
    struct search s = {.vmk = vmk, .key = ret, .found = ERR_NOT_FOUND};
    uint64_t at = b->block[b->used].off + info->data_off;
    TRY(bitlocker_entries(b->room->block[b->used] + info->data_off, info->data_len, see, &s));
    if (s.seen == 0)
        return wrong(ret_problem, ERR_FORMAT, "the metadata have no volume key", at);
    if (s.found == ERR_FORMAT)
        return wrong(ret_problem, ERR_FORMAT, "the volume key is malformed", at);
    /* the sealed key says itself what it is for; the header is only as good as its CRC-32 */
    *ret_method = bitlocker_key_bits(s.type) != 0 ? s.type : b->method;
    return s.found;
}

/* Bytes of the sealed key: with the diffuser two keys in 32 bytes each, whatever their length. */
static size_t key_len(uint16_t method)
{
    size_t len = bitlocker_key_bits(method) / 8;
    switch (method) {
    case BITLOCKER_AES128_ELEPHANT:
    case BITLOCKER_AES256_ELEPHANT:
        return 64;
    case BITLOCKER_AES128_XTS:
    case BITLOCKER_AES256_XTS:
        return 2 * len;
    default:
        return len;
    }
}

static enum err take_key(struct bitlocker_volume *v, const struct secret *key,
                         struct bitlocker_problem *ret_problem)
{
    const struct bitlocker *b = v->b;
    size_t len = bitlocker_key_bits(v->method) / 8, size = b->sector_size;
    uint64_t at = b->block[b->used].off;
    bool xts = v->method >= BITLOCKER_AES128_XTS, elephant = v->method <= BITLOCKER_AES256_ELEPHANT;
    if (len == 0)
        return wrong(ret_problem, ERR_UNSUPPORTED, "the encryption method is unknown", at + 100);
    if (key->len < key_len(v->method))
        return wrong(ret_problem, ERR_FORMAT, "the volume key is too short for the encryption method", at);
    if (elephant) {
        memcpy(v->tweak_key, key->bytes + 32, len);
        v->tweak_key_len = (uint8_t)len;
    }
    return cr_sectors_init(&v->sectors, xts ? CR_XTS_PLAIN64 : CR_CBC_EBOIV, key->bytes, xts ? 2 * len : len,
                           size, size);
}

/* The maps are gone when all is encrypted; before that nothing else says what is encrypted and what is not.
 */
static enum err lay_out_maps(struct bitlocker_volume *v, struct bitlocker_problem *ret_problem)
{
    const struct bitlocker *b = v->b;
    enum err e = bitlocker_eow_load(v, ret_problem);
    if (e != ERR_NOT_FOUND)
        return e;
    if (b->state == BITLOCKER_ENCRYPTED || b->state == BITLOCKER_DECRYPTED)
        return ERR_OK;
    return wrong(ret_problem, ERR_FORMAT,
                 "both descriptors of encrypt-on-write are gone, and without them it cannot be told what of "
                 "the volume is encrypted by now",
                 b->eow_off[0]);
}

/* What Windows hides from whoever reads the volume. */
static enum err lay_out(struct bitlocker_volume *v, struct bitlocker_problem *ret_problem)
{
    const struct bitlocker *b = v->b;
    uint64_t block_len = BITLOCKER_BLOCK_MAX, vista = 0x4000 + (uint64_t)b->cluster_size - 1;
    if (b->version == 1) /* 16 KiB in whole clusters */
        block_len = vista - vista % b->cluster_size;
    for (unsigned i = 0; i < BITLOCKER_BLOCKS; i++)
        if (b->block_off[i] != 0)
            bitlocker_ranges_add(v, b->block_off[i], block_len);
    bitlocker_ranges_add(v, b->header_off, b->header_len);
    bitlocker_ranges_add(v, b->encrypted_size, b->log_len);
    if (b->encrypt_on_write)
        TRY(lay_out_maps(v, ret_problem));
    bitlocker_ranges_sort(v);
    return ERR_OK;
}

static enum err open_volume(struct bitlocker *b, const struct secret *vmk, struct bitlocker_volume *v,
                            struct bitlocker_problem *ret_problem)
{
    SECRET(key);
    if (vmk == NULL && b->state != BITLOCKER_DECRYPTED)
        return ERR_AUTH;
    if (vmk != NULL) {
        if (vmk->len != BITLOCKER_VMK)
            return ERR_AUTH;
        TRY(settle(b, vmk, ret_problem));
        TRY(volume_key(b, vmk, &key, &v->method, ret_problem));
        TRY(take_key(v, &key, ret_problem));
    }
    return lay_out(v, ret_problem);
}

enum err bitlocker_open(struct bitlocker *b, const struct secret *vmk, struct bitlocker_volume *ret,
                        struct bitlocker_problem *ret_problem)
{
    memset(ret, 0, sizeof *ret);
    ret->b = b;
    enum err e = open_volume(b, vmk, ret, ret_problem);
    if (e != ERR_OK)
        bitlocker_wipe(ret);
    return e;
}

void bitlocker_wipe(struct bitlocker_volume *v)
{
    cr_sectors_wipe(&v->sectors);
    cr_wipe(v, sizeof *v);
}
