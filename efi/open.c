/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/open.h"
#include "efi/plan.h"

#define TOGETHER 2 /* recovery protectors are tried two by two (formats/bitlocker.h) */

/* One attempt at a LUKS2 volume: everything needed. */
struct attempt {
    struct volume *v;
    const struct secret *passphrase;
    struct open_progress *progress;
    uint8_t *area;
    size_t area_len;
    struct secret *key; /* of the keyslot that opened */
};

static enum err try_slot(const struct attempt *a, unsigned slot)
{
    return luks2_open_slot(&a->v->disk.io, a->v->luks, slot, a->passphrase->bytes, a->passphrase->len,
                           a->area, a->area_len, a->key);
}

/* Zeros when no token names the slot. */
static struct guid key_id_of(const struct volume *v, unsigned slot)
{
    for (unsigned i = 0; i < v->n_keys; i++)
        if (v->luks->token[v->key[i]].slot == (int)slot)
            return v->luks->token[v->key[i]].key_id;
    return (struct guid){{0}};
}

/* Too little memory says nothing about the digits; it is told beside the result. */
static void note_memory(struct open_progress *p, const struct luks2_slot *s, unsigned slot)
{
    p->no_memory |= 1u << slot;
    if (p->memory_kib == 0 || s->memory_kib < p->memory_kib)
        p->memory_kib = s->memory_kib;
}

/* The first failure that is not "does not open" is what to tell. */
static enum err try_slots(struct attempt *a, unsigned *ret_slot)
{
    struct plan plan;
    unsigned slot;
    bool recovery;
    enum err result = ERR_UNSUPPORTED; /* until something could be tried */
    plan_init(&plan, a->v->luks, a->v->key, a->v->n_keys);
    while (plan_next(&plan, &slot, &recovery)) {
        if (!a->progress->step(a->progress->ctx, slot, recovery))
            return ERR_BUSY;
        enum err e = try_slot(a, slot);
        if (e == ERR_OK) {
            *ret_slot = slot;
            return ERR_OK;
        }
        if (e == ERR_NOMEM)
            note_memory(a->progress, &a->v->luks->slot[slot], slot);
        else if (result == ERR_UNSUPPORTED || result == ERR_AUTH)
            result = e;
    }
    a->progress->too_slow = plan.too_slow;
    return result == ERR_UNSUPPORTED && a->progress->no_memory ? ERR_NOMEM : result;
}

static size_t largest_area(const struct luks2 *l)
{
    size_t most = 0;
    for (unsigned i = 0; i < LUKS2_SLOTS; i++) {
        size_t len = l->slot[i].used ? luks2_area_len(&l->slot[i]) : 0;
        most = len > most ? len : most;
    }
    return most;
}

/* A volume that opens but cannot be read is still opened: the operating system may know more ciphers. */
static enum err open_luks2(struct volume *v, const uint8_t password[static RP_BYTES], bool keep,
                           struct open_progress *progress, struct guid *ret_key_id, struct plain **ret_plain)
{
    SECRET(passphrase);
    SECRET(key);
    unsigned slot = 0;
    struct attempt a = {.v = v, .passphrase = &passphrase, .progress = progress, .key = &key};
    a.area_len = largest_area(v->luks);
    a.area = firmware_alloc(a.area_len);
    if (!a.area)
        return ERR_NOMEM;
    rp_encode(password, &passphrase);
    enum err e = try_slots(&a, &slot);
    cr_wipe(a.area, a.area_len);
    firmware_free(a.area);
    TRY(e);
    *ret_key_id = key_id_of(v, slot);
    *ret_plain = NULL;
    if (keep && plain_of_luks2(&v->disk, v->luks, slot, &key, &progress->why, ret_plain) != ERR_OK &&
        !progress->why)
        progress->why = "it could not be read";
    return ERR_OK;
}

/* Esc is heard between two pairs of protectors. */
static enum err try_protectors(const struct bitlocker *b, const uint8_t password[static RP_BYTES],
                               struct open_progress *progress, unsigned *ret_protector,
                               struct secret *ret_vmk)
{
    enum err result = ERR_NOT_FOUND;
    unsigned n = 0;
    for (unsigned i = 0; i < b->n_protectors; i++)
        n += b->protector[i].kind == BITLOCKER_RECOVERY;
    unsigned shares = (n + TOGETHER - 1) / TOGETHER;
    for (unsigned share = 0; share < shares; share++) {
        if (!progress->step(progress->ctx, share * TOGETHER, share == 0))
            return ERR_BUSY;
        enum err e = bitlocker_unlock_recovery_share(b, password, share, shares, ret_protector, ret_vmk);
        if (e == ERR_OK)
            return ERR_OK;
        if (result == ERR_NOT_FOUND || result == ERR_AUTH)
            result = e;
    }
    return result == ERR_NOT_FOUND ? ERR_UNSUPPORTED : result;
}

/* How a BitLocker volume is unlocked: by digits, by a file, or, without both, by the key that lies open on
 * it. */
struct with {
    const uint8_t *password; /* or NULL */
    const void *bek;
    size_t len;
};

static enum err unlock(const struct bitlocker *b, const struct with *w, struct open_progress *progress,
                       unsigned *ret_protector, struct secret *ret_vmk)
{
    struct bitlocker_problem problem = {.what = NULL};
    if (w->password)
        return try_protectors(b, w->password, progress, ret_protector, ret_vmk);
    enum err e = !w->bek ? bitlocker_unlock_clear_key(b, ret_protector, ret_vmk)
                         : bitlocker_unlock_startup_key(b, w->bek, w->len, ret_protector, ret_vmk, &problem);
    if (e == ERR_FORMAT)
        progress->why = problem.what;
    return e == ERR_NOT_FOUND ? ERR_UNSUPPORTED : e;
}

static enum err open_bitlocker(struct volume *v, const struct with *w, struct open_progress *progress,
                               struct guid *ret_key_id, struct plain **ret_plain)
{
    SECRET(vmk);
    unsigned protector = 0;
    struct plain *p = NULL;
    TRY(plain_of_bitlocker(&v->disk, &progress->why, &p));
    enum err e = unlock(&p->bitlocker, w, progress, &protector, &vmk);
    if (e == ERR_OK) {
        *ret_key_id = p->bitlocker.protector[protector].key_id;
        e = plain_unlock_bitlocker(p, &vmk, &progress->why);
    }
    if (e != ERR_OK) {
        plain_free(p);
        return e;
    }
    *ret_plain = p;
    return ERR_OK;
}

enum err open_volume(struct volume *v, const uint8_t password[static RP_BYTES], bool keep,
                     struct open_progress *progress, struct guid *ret_key_id, struct plain **ret_plain)
{
    struct plain *plain = NULL;
    enum err e = v->luks
                     ? open_luks2(v, password, keep, progress, ret_key_id, &plain)
                     : open_bitlocker(v, &(struct with){.password = password}, progress, ret_key_id, &plain);
    if (!plain)
        disk_rest(&v->disk);
    if (e == ERR_OK)
        *ret_plain = plain;
    return e;
}

enum err open_with_file(struct volume *v, const void *bek, size_t len, struct open_progress *progress,
                        struct guid *ret_key_id, struct plain **ret_plain)
{
    enum err e =
        v->luks ? ERR_UNSUPPORTED
                : open_bitlocker(v, &(struct with){.bek = bek, .len = len}, progress, ret_key_id, ret_plain);
    if (e != ERR_OK)
        disk_rest(&v->disk);
    return e;
}
