/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/volume/bitlocker_escrow.h"
#include "agent/device/device_io.h"
#include "agent/state/records.h"
#include "agent/volume/seal.h"
#include "formats/bitlocker.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NO_SLOT (-1)

struct run {
    struct agent *a;
    const char *device;
    struct problem *why;
    int fd;
    struct volume_io io;
    struct bitlocker *b;
    void *memory;
    struct secret password; /* 16 bytes */
    unsigned which;         /* protector that it opens */
    struct sealed sealed;
    char label[RECORD_TEXT_MAX + 1];
};

bool bitlocker_escrow_is(const char *device)
{
    int fd;
    bool yes = false;
    if (device_open(device, &fd) != ERR_OK)
        return false;
    struct volume_io io = device_io(&fd);
    if (bitlocker_probe(&io, &yes) != ERR_OK)
        yes = false;
    close(fd);
    return yes;
}

static const struct guid *key_id(const struct run *r)
{
    return &r->b->protector[r->which].key_id;
}

static enum err load(struct run *r)
{
    struct bitlocker_problem p = {NULL, 0};
    uint64_t size = 0;
    enum err e = device_open(r->device, &r->fd);
    if (e == ERR_OK)
        e = device_size(r->fd, &size);
    if (e == ERR_OK)
        e = bitlocker_load(&r->io, size, r->memory, BITLOCKER_MEMORY, r->b, &p);
    if (e != ERR_OK)
        return problem_set(r->why, e,
                           "volume %s: its BitLocker metadata cannot be read: %s; nothing was changed",
                           r->device, p.what ? p.what : err_text(e));
    return ERR_OK;
}

static enum err take_password(struct run *r, const struct secret *typed)
{
    unsigned group = 0;
    enum err e = rp_decode_file((const char *)typed->bytes, typed->len, &r->password, &group);
    if (e != ERR_OK && group == 0)
        return problem_set(r->why, ERR_FORMAT,
                           "volume %s: this is no recovery password: it has 48 digits; nothing was changed",
                           r->device);
    if (e != ERR_OK)
        return problem_set(
            r->why, ERR_FORMAT,
            "volume %s: this is no recovery password of 48 digits: group %u is wrong; nothing was "
            "changed",
            r->device, group);
    return ERR_OK;
}

/* The key IDs that the volume has, for the person who brought another one. */
static void list_ids(const struct run *r, char *ret, size_t cap)
{
    size_t n = 0;
    ret[0] = 0;
    for (unsigned i = 0; i < r->b->n_protectors && n + 12 < cap; i++) {
        char id[9];
        if (r->b->protector[i].kind != BITLOCKER_RECOVERY)
            continue;
        guid_short(&r->b->protector[i].key_id, id);
        n += (size_t)snprintf(ret + n, cap - n, "%s%s", n ? ", " : "", id);
    }
}

/* Opens a protector, and what that gives opens the volume key. */
static enum err prove(struct run *r)
{
    SECRET(vmk);
    struct bitlocker_problem p = {NULL, 0};
    char ids[120];
    struct bitlocker_volume *v = calloc(1, sizeof *v);
    list_ids(r, ids, sizeof ids);
    enum err e = v ? bitlocker_unlock_recovery(r->b, r->password.bytes, &r->which, &vmk) : ERR_NOMEM;
    if (e == ERR_NOT_FOUND)
        e = problem_set(r->why, e,
                        "volume %s has no recovery password; nothing was changed; Windows adds one: "
                        "manage-bde -protectors -add DRIVE: -RecoveryPassword",
                        r->device);
    else if (e == ERR_AUTH)
        e = problem_set(
            r->why, e,
            "volume %s: this recovery password does not open it; nothing was changed; it wants that of "
            "key ID %s",
            r->device, ids);
    else if (e == ERR_OK && (e = bitlocker_open(r->b, &vmk, v, &p)) != ERR_OK)
        e = problem_set(r->why, e,
                        "volume %s: the recovery password opens its protector, but not the volume: %s; "
                        "nothing was changed",
                        r->device, p.what ? p.what : err_text(e));
    else if (e != ERR_OK)
        e = problem_set(r->why, e, "volume %s: %s; nothing was changed", r->device, err_text(e));
    if (v)
        bitlocker_wipe(v);
    free(v);
    return e;
}

static enum err add_escrow(struct run *r)
{
    struct record *rec = calloc(1, sizeof *rec);
    if (!rec)
        return ERR_NOMEM;
    rec->kind = RECORD_ESCROW;
    rec->envelope = r->sealed.envelope;
    rec->envelope_len = r->sealed.len;
    memcpy(rec->computer, r->a->computer, sizeof rec->computer);
    memcpy(rec->label, r->label, sizeof rec->label);
    enum err e = records_add(r->a, rec, key_id(r));
    free(rec);
    return e;
}

static bool is_protector(const struct bitlocker *b, const struct guid *id)
{
    for (unsigned i = 0; i < b->n_protectors; i++)
        if (guid_equal(&b->protector[i].key_id, id))
            return true;
    return false;
}

static enum err add_replaced(struct run *r, struct cache_key *old)
{
    old->state = KEY_RETIRED;
    TRY(cache_put_key(r->a->cache, old));
    return records_add_rotated(r->a, old, key_id(r));
}

/* Windows makes the new ones: what is not there any more was replaced. ret_spent: a password that somebody
 * knows is still in use */
static enum err retire_replaced(struct run *r, bool *ret_spent)
{
    struct cache_key *keys = calloc(CACHE_KEYS, sizeof *keys);
    unsigned n = 0;
    *ret_spent = false;
    enum err e = keys ? cache_keys(r->a->cache, &r->b->volume_id, keys, &n) : ERR_NOMEM;
    for (unsigned i = 0; e == ERR_OK && i < n; i++)
        if (keys[i].state == KEY_LIVE && !is_protector(r->b, &keys[i].key_id))
            e = add_replaced(r, &keys[i]);
        else if (keys[i].state == KEY_LIVE && keys[i].spent)
            *ret_spent = true;
    free(keys);
    return e;
}

static void fill_volume(const struct run *r, struct cache_volume *v)
{
    const char *slash = strrchr(r->device, '/');
    v->uuid = r->b->volume_id;
    (void)snprintf(v->device, sizeof v->device, "%s", r->device);
    (void)snprintf(v->label, sizeof v->label, "%.*s", RECORD_TEXT_MAX,
                   r->b->description[0] ? r->b->description
                   : slash              ? slash + 1
                                        : r->device);
}

static enum err put_volume(struct run *r, bool spent)
{
    struct cache_volume *v = calloc(1, sizeof *v);
    enum err e = v ? cache_get_volume(r->a->cache, &r->b->volume_id, v) : ERR_NOMEM;
    if (e == ERR_OK || e == ERR_NOT_FOUND) {
        fill_volume(r, v);
        v->state = spent ? VOLUME_NEEDS_SECRET : VOLUME_PROTECTED;
        if (!spent) {
            v->rotate = 0;
            v->note[0] = 0;
        }
        memcpy(r->label, v->label, sizeof r->label);
        e = cache_put_volume(r->a->cache, v);
    }
    free(v);
    return e;
}

/* k: as the cache has it, or empty */
static enum err put_key(struct run *r, struct cache_key *k, bool fresh)
{
    uint64_t now = (uint64_t)time(NULL);
    k->key_id = *key_id(r);
    k->volume = r->b->volume_id;
    k->slot = NO_SLOT;
    k->state = KEY_LIVE;
    k->verified = now;
    k->made = k->made ? k->made : now;
    if (fresh) {
        memcpy(k->commitment, r->sealed.commitment, sizeof k->commitment);
        TRY(cache_put_envelope(r->a->cache, key_id(r), r->sealed.envelope, r->sealed.len));
    }
    TRY(cache_put_key(r->a->cache, k));
    return fresh ? add_escrow(r) : ERR_OK;
}

static enum err keep(struct run *r, bool *ret_fresh)
{
    struct cache_key k = {0};
    bool spent;
    enum err e = cache_get_key(r->a->cache, key_id(r), &k);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    *ret_fresh = !k.recorded;
    TRY(retire_replaced(r, &spent));
    TRY(put_volume(r, spent));
    return put_key(r, &k, *ret_fresh);
}

static enum err escrow(struct run *r, struct protect_result *ret)
{
    bool fresh = false;
    enum err e =
        seal_password(r->a, key_id(r), &r->b->volume_id, (uint64_t)time(NULL), r->password.bytes, &r->sealed);
    if (e != ERR_OK)
        return problem_set(
            r->why, e, "sealing to the escrow keys of org.json failed: %s; nothing was changed", err_text(e));
    e = cache_begin(r->a->cache);
    if (e == ERR_OK)
        e = keep(r, &fresh);
    e = cache_end(r->a->cache, e);
    if (e != ERR_OK)
        return problem_set(r->why, e, "volume %s: the cache cannot be written: %s; nothing was changed",
                           r->device, err_text(e));
    *ret = (struct protect_result){r->b->volume_id, *key_id(r), NO_SLOT, fresh};
    return ERR_OK;
}

enum err bitlocker_escrow(struct agent *a, const char *device, const struct secret *password,
                          struct problem *why, struct protect_result *ret)
{
    struct run r = {.a = a,
                    .device = device,
                    .why = why,
                    .fd = -1,
                    .b = calloc(1, sizeof *r.b),
                    .memory = malloc(BITLOCKER_MEMORY)};
    r.io = device_io(&r.fd);
    enum err e = r.b && r.memory ? seal_load_org(a, why) : problem_set(why, ERR_NOMEM, "not enough memory");
    if (e == ERR_OK)
        e = take_password(&r, password);
    if (e == ERR_OK)
        e = load(&r);
    if (e == ERR_OK)
        e = prove(&r);
    if (e == ERR_OK)
        e = escrow(&r, ret);
    secret_wipe(&r.password);
    if (r.fd >= 0)
        close(r.fd);
    if (r.memory)
        cr_wipe(r.memory, BITLOCKER_MEMORY);
    free(r.memory);
    free(r.b);
    return e;
}
