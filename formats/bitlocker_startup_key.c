/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Startup key files (.BEK): a dataset of their own, with one external key in it. */
#include "formats/bitlocker_format.h"

#define EXTERNAL_LEN 24 /* key ID, time */

/* What a file holds. The key borrows the file's bytes. */
struct bek {
    struct guid id;
    const uint8_t *key; /* 32 bytes; NULL none so far */
};

static enum err see(void *ctx, const struct bitlocker_entry *e)
{
    struct bek *bek = ctx;
    struct reader r;
    if (bek->key != NULL || e->value != BITLOCKER_VALUE_EXTERNAL_KEY || e->len < EXTERNAL_LEN)
        return ERR_OK;
    reader_init(&r, e->data, e->len);
    reader_bytes(&r, bek->id.bytes, sizeof bek->id.bytes);
    bek->key = bitlocker_key_in(e->data + EXTERNAL_LEN, e->len - EXTERNAL_LEN);
    return ERR_OK;
}

static enum err decode(const uint8_t *p, size_t file_len, struct bek *ret,
                       struct bitlocker_problem *ret_problem)
{
    struct reader r;
    struct bek bek = {.key = NULL};
    reader_init(&r, p, file_len);
    uint32_t len = reader_u32(&r);
    reader_skip(&r, 4);
    uint32_t start = reader_u32(&r);
    *ret_problem = (struct bitlocker_problem){"this is no startup key file", 0};
    if (r.err != ERR_OK || file_len > BITLOCKER_BEK_MAX || len > file_len || start < BITLOCKER_DATASET_LEN ||
        start > len)
        return ERR_FORMAT;
    *ret_problem = (struct bitlocker_problem){"an entry of the startup key file does not fit", start};
    TRY(bitlocker_entries(p + start, len - start, see, &bek));
    *ret_problem = (struct bitlocker_problem){"there is no key in the startup key file", start};
    if (bek.key == NULL)
        return ERR_FORMAT;
    *ret = bek;
    return ERR_OK;
}

enum err bitlocker_startup_key_id(const void *bek, size_t len, struct guid *ret,
                                  struct bitlocker_problem *ret_problem)
{
    struct bek file;
    TRY(decode(bek, len, &file, ret_problem));
    *ret = file.id;
    return ERR_OK;
}

/* Protectors with the file's key ID, or those without it. */
static enum err try_all(const struct bitlocker *b, const struct bek *bek, bool same_id,
                        unsigned *ret_protector, struct secret *ret_vmk)
{
    enum err worst = ERR_NOT_FOUND;
    for (unsigned i = 0; i < b->n_protectors; i++) {
        const struct bitlocker_protector *p = &b->protector[i];
        if (p->kind != BITLOCKER_STARTUP_KEY || !p->opens_here || guid_equal(&p->key_id, &bek->id) != same_id)
            continue;
        enum err e = bitlocker_protector_open(b, p, bek->key, ret_vmk);
        if (e == ERR_OK)
            *ret_protector = i;
        if (e != ERR_AUTH)
            return e;
        worst = ERR_AUTH;
    }
    return worst;
}

enum err bitlocker_unlock_startup_key(const struct bitlocker *b, const void *bek, size_t len,
                                      unsigned *ret_protector, struct secret *ret_vmk,
                                      struct bitlocker_problem *ret_problem)
{
    struct bek file;
    TRY(decode(bek, len, &file, ret_problem));
    enum err own = try_all(b, &file, true, ret_protector, ret_vmk);
    if (own != ERR_AUTH && own != ERR_NOT_FOUND)
        return own;
    enum err other = try_all(b, &file, false, ret_protector, ret_vmk);
    return other == ERR_NOT_FOUND ? own : other;
}
