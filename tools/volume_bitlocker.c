/* SPDX-License-Identifier: GPL-3.0-or-later */
/* BitLocker as a volume: which key protectors are tried, reading through bitlocker_read(). */
#include "formats/bitlocker.h"
#include "tools/volume.h"
#include "tools/volume_copy.h"
#include "tools/volume_describe.h"
#include <stdio.h>
#include <stdlib.h>

/* Behind struct volume's format. */
struct bitlocker_of {
    struct bitlocker b;
    struct secret vmk; /* empty where nothing is encrypted */
    unsigned n_lanes;  /* that are open */
    struct bitlocker_volume lane[VOLUME_LANES];
    uint8_t memory[BITLOCKER_MEMORY];
};

static void set_problem(struct volume_problem *p, enum err err, const struct bitlocker_problem *why)
{
    if (why->what)
        volume_problem_set(p, why->off, "%s", why->what);
    else
        volume_problem_set(p, VOLUME_NO_OFF, "%s", err_text(err));
}

static const struct bitlocker *bitlocker_of(const struct volume *v)
{
    return &((const struct bitlocker_of *)v->format)->b;
}

static enum err open_volume(struct volume *v, struct volume_problem *problem)
{
    struct bitlocker_problem why = {.what = NULL};
    struct bitlocker_of *of = volume_alloc(sizeof *of);
    v->format = of;
    enum err err = of ? bitlocker_load(&v->data_io, v->image.len, of->memory, sizeof of->memory, &of->b, &why)
                      : ERR_NOMEM;
    if (err == ERR_OK)
        err = volume_describe_bitlocker(&of->b, &v->info);
    if (err != ERR_OK)
        set_problem(problem, err, &why);
    return err;
}

static uint8_t kind_of(enum volume_way way)
{
    static const uint8_t kinds[] = {
        0, BITLOCKER_RECOVERY, BITLOCKER_PASSPHRASE, BITLOCKER_STARTUP_KEY, BITLOCKER_CLEAR_KEY, 0};
    return kinds[way];
}

/* Recovery protectors are tried in shares: one share takes two at little more than the cost of one. */
static unsigned n_shares(const struct bitlocker *b)
{
    unsigned n = 0, lanes = volume_lanes();
    for (unsigned i = 0; i < b->n_protectors; i++)
        n += b->protector[i].kind == BITLOCKER_RECOVERY && b->protector[i].opens_here;
    return (n + 1) / 2 < lanes ? (n + 1) / 2 : lanes;
}

/* Is it a startup key file at all? */
static enum err check_file(const struct volume_key *key, struct volume_problem *problem)
{
    struct bitlocker_problem why = {.what = NULL};
    struct guid id;
    enum err err = bitlocker_startup_key_id(key->file, key->file_len, &id, &why);
    if (err != ERR_OK) {
        problem->path = key->path;
        set_problem(problem, err, &why);
    }
    return err;
}

/* A passphrase is tried on each of its kind; elsewhere a candidate stands for several: the first of a share,
 * or the first startup or clear key for all of them, which cost next to nothing. */
static enum err candidates(const struct volume *v, const struct volume_key *key, struct volume_candidate *ret,
                           unsigned *ret_n, struct volume_problem *problem)
{
    const struct bitlocker *b = bitlocker_of(v);
    unsigned n = 0, max = key->way == VOLUME_RECOVERY_PASSWORD ? n_shares(b)
                          : key->way == VOLUME_PASSPHRASE      ? TRY_MAX
                                                               : 1;
    if (key->one_slot) {
        volume_problem_set(problem, VOLUME_NO_OFF, "a BitLocker volume has no keyslots; leave out --keyslot");
        return ERR_RANGE;
    }
    if (key->way == VOLUME_STARTUP_KEY)
        TRY(check_file(key, problem));
    for (unsigned i = 0; i < b->n_protectors && n < max; i++)
        if (b->protector[i].kind == kind_of(key->way) && b->protector[i].opens_here)
            ret[n++] = (struct volume_candidate){.protector = i};
    if (n == 0 && key->way == VOLUME_CLEAR_KEY && b->state == BITLOCKER_DECRYPTED)
        ret[n++] = (struct volume_candidate){.protector = b->n_protectors}; /* in_clear() */
    *ret_n = n;
    return ERR_OK;
}

/* Which share has this one as its first. */
static unsigned share_of(const struct bitlocker *b, unsigned protector)
{
    unsigned n = 0;
    for (unsigned i = 0; i < protector; i++)
        n += b->protector[i].kind == BITLOCKER_RECOVERY && b->protector[i].opens_here;
    return n;
}

static enum err attempt(const struct volume *v, const struct volume_key *key, unsigned candidate,
                        unsigned *ret_protector, struct secret *ret)
{
    const struct bitlocker *b = bitlocker_of(v);
    const uint8_t *bytes = key->secret.bytes;
    struct bitlocker_problem why;
    *ret_protector = candidate;
    switch (key->way) {
    case VOLUME_RECOVERY_PASSWORD:
        return bitlocker_unlock_recovery_share(b, bytes, share_of(b, candidate), n_shares(b), ret_protector,
                                               ret);
    case VOLUME_PASSPHRASE:
        return bitlocker_try_passphrase(b, candidate, (const char *)bytes, key->secret.len, ret);
    case VOLUME_STARTUP_KEY:
        return bitlocker_unlock_startup_key(b, key->file, key->file_len, ret_protector, ret, &why);
    case VOLUME_CLEAR_KEY:
        return candidate == b->n_protectors ? ERR_OK : bitlocker_unlock_clear_key(b, ret_protector, ret);
    case VOLUME_KEY_FILE: /* of LUKS2 only, never a candidate */
        break;
    }
    return ERR_INTERNAL;
}

/* A lane more. */
static enum err open_lane(struct bitlocker_of *of, struct volume_problem *problem)
{
    struct bitlocker_problem why = {.what = NULL};
    enum err err = bitlocker_open(&of->b, of->vmk.len ? &of->vmk : NULL, &of->lane[of->n_lanes], &why);
    if (err == ERR_OK)
        of->n_lanes++;
    else if (err == ERR_AUTH)
        volume_problem_set(problem, VOLUME_NO_OFF,
                           "the key protector opens, but the volume key behind it is damaged");
    else
        set_problem(problem, err, &why);
    return err == ERR_AUTH ? ERR_FORMAT : err; /* the key is right, the volume is not */
}

/* The index of the protector that opened, added where the block that counts now does not list it. */
static enum err find_opener(struct volume_info *info, const struct volume_protector *opener, unsigned *ret)
{
    unsigned i = 0, n = info->n_protectors;
    while (i < n && !guid_equal(&info->protector[i].key_id, &opener->key_id))
        i++;
    if (i == n) {
        struct volume_protector *p = reallocarray(info->protector, n + 1, sizeof *p);
        if (!p)
            return ERR_NOMEM;
        p[n] = *opener;
        p[n].number = n;
        snprintf(p[n].note, sizeof p[n].note, "stands only in a metadata block that is damaged");
        info->protector = p;
        info->n_protectors++;
    }
    *ret = i;
    return ERR_OK;
}

/* Only with the key can a block's hash be checked: now an older block counts than the one that was described.
 */
static enum err describe_again(struct volume *v, struct volume_problem *problem)
{
    struct volume_info info = {.n_protectors = 0};
    unsigned opened_by;
    enum err err = volume_describe_bitlocker(bitlocker_of(v), &info);
    if (err == ERR_OK)
        err = find_opener(&info, &v->info.protector[v->opened_by], &opened_by);
    if (err != ERR_OK) {
        volume_problem_set(problem, VOLUME_NO_OFF, "%s", err_text(err));
        free(info.protector);
        return err;
    }
    free(v->info.protector);
    v->info = info;
    v->opened_by = opened_by;
    return ERR_OK;
}

static enum err unlock(struct volume *v, const struct secret *opened, struct volume_problem *problem)
{
    struct bitlocker_of *of = v->format;
    unsigned used = of->b.used;
    of->vmk = *opened;
    TRY(open_lane(of, problem));
    return of->b.used == used ? ERR_OK : describe_again(v, problem);
}

static enum err prepare(struct volume *v, unsigned lanes, struct volume_problem *problem)
{
    struct bitlocker_of *of = v->format;
    if (v->info.why_not[0]) {
        volume_problem_set(problem, VOLUME_NO_OFF, "%s", v->info.why_not);
        return ERR_UNSUPPORTED;
    }
    while (of->n_lanes < lanes)
        TRY(open_lane(of, problem));
    return ERR_OK;
}

static enum err read_at(const struct volume *v, unsigned lane, uint64_t off, void *buf, size_t len)
{
    struct bitlocker_of *of = v->format;
    return bitlocker_read(&of->lane[lane], off, buf, len);
}

static void close_volume(struct volume *v)
{
    struct bitlocker_of *of = v->format;
    if (!of)
        return;
    for (unsigned i = 0; i < of->n_lanes; i++)
        bitlocker_wipe(&of->lane[i]);
    volume_free(of, sizeof *of);
    v->format = NULL;
}

const struct volume_ops volume_bitlocker_ops = {
    .name = "BitLocker",
    .probe = bitlocker_probe,
    .open = open_volume,
    .candidates = candidates,
    .attempt = attempt,
    .unlock = unlock,
    .prepare = prepare,
    .read = read_at,
    .close = close_volume,
};
