/* SPDX-License-Identifier: GPL-3.0-or-later */
/* LUKS2 as a volume: which keyslots are tried in which order, reading through luks2_data. */
#include "formats/luks2_data.h"
#include "tools/volume.h"
#include "tools/volume_copy.h"
#include "tools/volume_describe.h"
#include <stdio.h>
#include <stdlib.h>

/* Behind struct volume's format. */
struct luks2_volume {
    struct luks2 l;
    struct secret key;
    unsigned n_lanes; /* initialised */
    struct luks2_data lane[VOLUME_LANES];
};

static enum err probe(const struct volume_io *io, bool *ret)
{
    enum luks2_kind kind = LUKS2_NOT_LUKS;
    TRY(luks2_probe(io, &kind));
    *ret = kind != LUKS2_NOT_LUKS;
    return ERR_OK;
}

static void set_problem(struct volume_problem *p, const struct luks2_problem *why)
{
    volume_problem_set(p, why->off, why->name[0] ? "%s (%s)" : "%s", why->what, why->name);
}

static enum err load_with(const struct volume_io *io, size_t scratch_len, struct luks2_problem *why,
                          struct luks2 *ret)
{
    void *scratch = malloc(scratch_len);
    enum err err = scratch ? luks2_load_why(io, scratch, scratch_len, why, ret) : ERR_NOMEM;
    free(scratch);
    return err;
}

static enum err load(struct volume *v, struct luks2 *l, struct volume_problem *problem)
{
    struct luks2_problem why = {.what = err_text(ERR_NOMEM), .off = LUKS2_NO_OFF};
    enum err err = load_with(&v->header_io, LUKS2_SCRATCH_USUAL, &why, l);
    /* the second copy may want more than the first one said */
    for (size_t len = LUKS2_SCRATCH_USUAL; err == ERR_FULL && why.need > len;) {
        len = why.need;
        err = load_with(&v->header_io, len, &why, l);
    }
    if (err == ERR_VERSION)
        volume_problem_set(
            problem, 0,
            "this is a LUKS1 volume, and only LUKS2 is opened here; open it with 'cryptsetup open', or "
            "back up its header and turn it into LUKS2 with 'cryptsetup convert --type luks2'");
    else if (err != ERR_OK)
        set_problem(problem, &why);
    return err;
}

/* Both keys are in use, and after a crash only a recovery run knows which one where. */
static const char unfinished[] =
    "it is being encrypted anew, and not done; 'cryptsetup reencrypt --resume-only' brings that to its end";

/* Data that begins at 0 lies on another device than the header; cryptsetup refuses to map the header, too. */
static bool lacks_data(const struct volume *v, const struct luks2 *l)
{
    bool one = v->header.fd < 0 || volume_image_is(&v->header, v->image.path);
    for (unsigned i = 0; i < l->n_segments && one; i++)
        if (l->segment[i].off == 0)
            return true;
    return false;
}

static const char detached[] =
    "it is a detached header without its data; name the data's device as IMAGE, and this one with --header";

/* Whether and how much of it can be decrypted is known without the key. */
static void describe_data(struct volume *v, struct luks2_volume *lv)
{
    struct luks2_problem why;
    struct luks2_data *d = &lv->lane[0];
    if (lv->l.reencrypting)
        snprintf(v->info.why_not, sizeof v->info.why_not, "%s", unfinished);
    else if (lacks_data(v, &lv->l))
        snprintf(v->info.why_not, sizeof v->info.why_not, "%s", detached);
    else if (luks2_data_init(&lv->l, &v->data_io, v->image.len, &why, d) == ERR_OK)
        v->info.size = d->size;
    else
        snprintf(v->info.why_not, sizeof v->info.why_not, why.name[0] ? "%s (%s)" : "%s", why.what, why.name);
    luks2_data_wipe(d);
}

static enum err open_volume(struct volume *v, struct volume_problem *problem)
{
    struct luks2_volume *lv = volume_alloc(sizeof *lv);
    if (!lv) {
        volume_problem_set(problem, VOLUME_NO_OFF, "%s", err_text(ERR_NOMEM));
        return ERR_NOMEM;
    }
    v->format = lv;
    TRY(load(v, &lv->l, problem));
    TRY(volume_describe_luks2(&lv->l, &v->info));
    describe_data(v, lv);
    return ERR_OK;
}

static bool is_argon2(const struct luks2_slot *s)
{
    return s->kdf == LUKS2_ARGON2I || s->kdf == LUKS2_ARGON2ID;
}

static unsigned index_of(const struct volume_info *info, unsigned slot)
{
    unsigned i = 0;
    while (i < info->n_protectors && info->protector[i].number != slot)
        i++;
    return i;
}

/* What volume_try() wants, one after another. */
struct list {
    struct volume_candidate *at;
    unsigned n, group;
};

/* All keyslots of a kind in the order of their priority. An Argon2 slot may want a gigabyte: one at a time.
 */
static void add(const struct volume *v, struct list *list, bool keyholt, bool argon2)
{
    const struct luks2_volume *lv = v->format;
    for (int slot = -1; luks2_next_slot(&lv->l, &slot);) {
        unsigned i = index_of(&v->info, (unsigned)slot);
        if (v->info.protector[i].keyholt != keyholt || is_argon2(&lv->l.slot[slot]) != argon2)
            continue;
        list->at[list->n++] = (struct volume_candidate){.protector = i, .group = list->group};
        list->group += argon2;
    }
    list->group++;
}

/* The one that was named: whatever its priority, but nothing that cannot be tried. */
static enum err add_named(const struct volume *v, struct list *list, unsigned slot,
                          struct volume_problem *problem)
{
    const struct luks2_volume *lv = v->format;
    unsigned i = index_of(&v->info, slot);
    if (i == v->info.n_protectors) {
        volume_problem_set(problem, VOLUME_NO_OFF, "it has no keyslot %u; 'volume show' lists them", slot);
        return ERR_RANGE;
    }
    if (lv->l.slot[slot].supported && !lv->l.slot[slot].unbound)
        list->at[list->n++] = (struct volume_candidate){.protector = i};
    return ERR_OK;
}

static bool is_typed(enum volume_way way)
{
    return way == VOLUME_RECOVERY_PASSWORD || way == VOLUME_PASSPHRASE || way == VOLUME_KEY_FILE;
}

/* Cheap before costly, likely before unlikely: a recovery password belongs to a slot that Keyholt made. */
static enum err candidates(const struct volume *v, const struct volume_key *key, struct volume_candidate *ret,
                           unsigned *ret_n, struct volume_problem *problem)
{
    struct list list = {.at = ret};
    if (is_typed(key->way) && key->one_slot) {
        TRY(add_named(v, &list, key->slot, problem));
    } else if (is_typed(key->way)) {
        bool ours = key->way == VOLUME_RECOVERY_PASSWORD;
        add(v, &list, ours, false);
        add(v, &list, ours, true);
        add(v, &list, !ours, false);
        add(v, &list, !ours, true);
    }
    *ret_n = list.n;
    return ERR_OK;
}

static enum err attempt(const struct volume *v, const struct volume_key *key, unsigned candidate,
                        unsigned *ret_protector, struct secret *ret)
{
    const struct luks2_volume *lv = v->format;
    unsigned slot = v->info.protector[candidate].number;
    size_t area_len = luks2_area_len(&lv->l.slot[slot]);
    uint8_t *area = malloc(area_len ? area_len : 1);
    SECRET(text);
    const uint8_t *bytes = key->way == VOLUME_KEY_FILE ? key->file : key->secret.bytes;
    size_t len = key->way == VOLUME_KEY_FILE ? key->file_len : key->secret.len;
    if (!area)
        return ERR_NOMEM;
    if (key->way == VOLUME_RECOVERY_PASSWORD) {
        rp_encode(key->secret.bytes, &text);
        bytes = text.bytes;
        len = text.len;
    }
    enum err err = luks2_open_slot(&v->header_io, &lv->l, slot, bytes, len, area, area_len, ret);
    free(area);
    *ret_protector = candidate;
    return err;
}

static enum err unlock(struct volume *v, const struct secret *opened, struct volume_problem *problem)
{
    struct luks2_volume *lv = v->format;
    (void)problem;
    lv->key = *opened;
    return ERR_OK;
}

/* A segment of a fixed size that the device has no room for. Several segments there are only while it is
 * encrypted anew. */
static void look_for_end(struct volume *v, struct luks2 *l)
{
    struct luks2_segment *s = &l->segment[0];
    uint64_t left = s->off < v->image.len ? v->image.len - s->off : 0;
    if (l->n_segments != 1 || s->size == LUKS2_TO_END || s->size <= left)
        return;
    v->is_cut = true;
    if (!v->cut_short)
        return;
    v->missing = s->size - (left - left % s->sector_size);
    s->size = LUKS2_TO_END;
}

static enum err prepare(struct volume *v, unsigned lanes, struct volume_problem *problem)
{
    struct luks2_volume *lv = v->format;
    unsigned slot = v->info.protector[v->opened_by].number;
    struct luks2_problem why;
    if (lv->l.reencrypting || lacks_data(v, &lv->l)) {
        volume_problem_set(problem, VOLUME_NO_OFF, "%s", lv->l.reencrypting ? unfinished : detached);
        return ERR_UNSUPPORTED;
    }
    look_for_end(v, &lv->l);
    for (; lv->n_lanes < lanes; lv->n_lanes++) {
        struct luks2_data *d = &lv->lane[lv->n_lanes];
        enum err err = luks2_data_init(&lv->l, &v->data_io, v->image.len, &why, d);
        if (err != ERR_OK) {
            set_problem(problem, &why);
            luks2_data_wipe(d);
            return err;
        }
        err = luks2_data_key(d, slot, &lv->key);
        if (err != ERR_OK) {
            volume_problem_set(problem, VOLUME_NO_OFF, "the volume key does not fit its cipher (%s)",
                               err_text(err));
            luks2_data_wipe(d);
            return err;
        }
    }
    v->info.size = lv->lane[0].size;
    v->info.sector_size = lv->lane[0].sector_size;
    return ERR_OK;
}

static enum err read_at(const struct volume *v, unsigned lane, uint64_t off, void *buf, size_t len)
{
    struct luks2_volume *lv = v->format;
    return luks2_read(&lv->lane[lane], off, buf, len);
}

static void close_volume(struct volume *v)
{
    struct luks2_volume *lv = v->format;
    if (!lv)
        return;
    for (unsigned i = 0; i < lv->n_lanes; i++)
        luks2_data_wipe(&lv->lane[i]);
    volume_free(lv, sizeof *lv);
    v->format = NULL;
}

const struct volume_ops volume_luks2_ops = {
    .name = "LUKS2",
    .probe = probe,
    .open = open_volume,
    .candidates = candidates,
    .attempt = attempt,
    .unlock = unlock,
    .prepare = prepare,
    .read = read_at,
    .close = close_volume,
};
