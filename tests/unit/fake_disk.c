/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/fake_disk.h"
#include "tests/unit/fake_disk_json.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void power_off(void)
{
    fake_disk->is_dead = true;
    if (fake_disk->on_cut)
        fake_disk->on_cut();
}

static enum err begin(const char *name)
{
    struct fake_disk *f = fake_disk;
    if (f->is_dead)
        return ERR_IO;
    if (++f->operations == f->at)
        f->hit = name;
    return f->operations == f->at && f->fault == FAULT_ERROR ? f->error : ERR_OK;
}

/* A write, which may be the one that power does not outlast. */
static enum err begin_write(const char *name, struct operation *o)
{
    struct fake_disk *f = fake_disk;
    *o = (struct operation){0};
    TRY(begin(name));
    f->writes++;
    if (f->rival && f->writes >= f->rival_at && f->rival_times > 0) {
        f->rival_times--;
        f->rival();
    }
    bool hit = f->writes == f->at;
    if (hit)
        f->hit = name;
    o->cut = hit && f->fault == FAULT_CUT;
    o->middle = hit && f->fault == FAULT_CUT_MIDDLE;
    o->cut_after = hit && f->fault == FAULT_CUT_AFTER;
    o->late = (hit || (f->stays && f->writes > f->at)) && f->fault == FAULT_LATE_ERROR;
    if (!o->cut)
        return ERR_OK;
    power_off();
    return ERR_IO;
}

static enum err end_write(const struct operation *o)
{
    if (o->cut_after) {
        power_off();
        return ERR_IO;
    }
    return o->late ? fake_disk->error : ERR_OK;
}

static enum err fake_open(const char *path, struct disk **ret)
{
    TRY(begin("open"));
    if (strcmp(path, FAKE_DISK) != 0)
        return ERR_NOT_FOUND;
    *ret = calloc(1, sizeof **ret);
    fake_disk->opened += *ret != NULL;
    return *ret ? ERR_OK : ERR_NOMEM;
}

static void fake_close(struct disk *d)
{
    if (!d)
        return;
    json_object_put(d->header);
    free(d);
    fake_disk->opened--;
}

static enum err fake_read(struct disk *d, uint64_t off, void *buf, size_t len)
{
    (void)d;
    struct fake_disk *f = fake_disk;
    struct volume_io io = image_io(&f->image);
    if (f->is_dead || (++f->reads == f->at_read && f->fault == FAULT_ERROR))
        return f->is_dead ? ERR_IO : f->error;
    return io.read(io.ctx, off, buf, len);
}

/* Both copies, the first one first. A power cut in the middle leaves it torn and the second one as it was. */
static void write_copies(const char *text, uint64_t seqid, bool torn)
{
    struct image *i = &fake_disk->image;
    for (size_t off = 0; off <= FAKE_HDR; off += FAKE_HDR) {
        image_set_json(i, off, text, strlen(text));
        image_set_seqid(i, off, seqid);
        if (torn) {
            memset(i->p + LUKS2_BIN_HDR + strlen(text) / 2, 0, FAKE_HDR - LUKS2_BIN_HDR - strlen(text) / 2);
            return;
        }
    }
}

enum err fake_disk_parse(struct disk *d)
{
    const struct image *i = &fake_disk->image;
    TRY(image_load(&fake_disk->image, &d->luks));
    json_object_put(d->header);
    d->header =
        json_tokener_parse((const char *)i->p + (d->luks.from_secondary ? FAKE_HDR : 0) + LUKS2_BIN_HDR);
    d->seqid = d->luks.seqid;
    return d->header ? ERR_OK : ERR_FORMAT;
}

static const char *text_of(const struct disk *d)
{
    return json_object_to_json_string_ext(d->header, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
}

static enum err fake_load(struct disk *d)
{
    TRY(begin("load"));
    TRY(fake_disk_parse(d));
    if (d->luks.from_secondary) /* as libcryptsetup does, without asking */
        write_copies(text_of(d), d->seqid, false);
    return ERR_OK;
}

static enum err fake_wait_lock(struct disk *d, char *ret_who, size_t cap)
{
    (void)d;
    TRY(begin("wait_lock"));
    (void)snprintf(ret_who, cap, "a fake (process 1)");
    return fake_disk->is_locked ? ERR_BUSY : ERR_OK;
}

static void fake_find_writer(struct disk *d, char *ret_who, size_t cap)
{
    (void)d;
    (void)snprintf(ret_who, cap, "%s", fake_disk->rival ? "a rival (process 2)" : "another program");
}

static enum err fake_sizes(struct disk *d, struct disk_sizes *ret)
{
    (void)d;
    TRY(begin("sizes"));
    *ret = (struct disk_sizes){FAKE_HDR, IMAGE_SIZE - FAKE_START, FAKE_KEY};
    return ERR_OK;
}

static enum err fake_token(struct disk *d, int token, const char **ret)
{
    char number[12];
    (void)snprintf(number, sizeof number, "%d", token);
    json_object *t = fake_json_get(d->header, "tokens", number);
    if (!t)
        return ERR_NOT_FOUND;
    *ret = json_object_to_json_string_ext(t, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
    return ERR_OK;
}

static enum err fake_unlock(struct disk *d, int slot, const struct secret *passphrase,
                            struct secret *ret_volume_key, int *ret_slot)
{
    TRY(begin("unlock"));
    for (int i = -1; slot != DISK_ANY_SLOT ? i < 0 && (i = slot) >= 0 : luks2_next_slot(&d->luks, &i);)
        if (fake_disk_open_slot(&d->luks, (unsigned)i, passphrase->bytes, passphrase->len, ret_volume_key) ==
            ERR_OK) {
            *ret_slot = i;
            return ERR_OK;
        }
    return ERR_AUTH;
}

static enum err fake_try_slot(struct disk *d, unsigned slot, const struct secret *passphrase)
{
    SECRET(key);
    TRY(begin("try_slot"));
    return fake_disk_open_slot(&d->luks, slot, passphrase->bytes, passphrase->len, &key);
}

static enum err fake_check_volume_key(struct disk *d, const struct secret *key)
{
    (void)d;
    TRY(begin("check_volume_key"));
    return key->len == FAKE_KEY && memcmp(key->bytes, fake_volume_key, FAKE_KEY) == 0 ? ERR_OK : ERR_AUTH;
}

/* Did somebody write since it was loaded? Then a write is refused. */
static bool is_stale(const struct disk *d)
{
    struct luks2 now;
    bool stale = image_load(&fake_disk->image, &now) != ERR_OK || now.seqid != d->seqid;
    fake_disk->refused += stale;
    return stale;
}

/* The header as it is in memory now becomes the disk's, or is refused because somebody wrote since. */
enum err fake_disk_commit(struct disk *d, const struct operation *o)
{
    const char *text = text_of(d);
    if (is_stale(d))
        return ERR_FORMAT; /* libcryptsetup's EINVAL */
    if (strlen(text) >= FAKE_HDR - LUKS2_BIN_HDR)
        return ERR_FULL;
    write_copies(text, d->seqid + 1, o->middle);
    if (o->middle) {
        power_off();
        return ERR_IO;
    }
    d->seqid++;
    return end_write(o);
}

/* Key material first, then the header that names it. */
enum err fake_disk_add_slot(struct disk *d, const struct operation *o, unsigned slot, uint32_t count,
                            const void *p, size_t len)
{
    uint8_t *area = malloc(FAKE_AREA);
    uint64_t off;
    if (!area)
        return ERR_NOMEM;
    enum err e = fake_json_add_slot(d->header, slot, count, fake_volume_key, p, len, area, &off);
    if (e == ERR_OK)
        memcpy(fake_disk->image.p + off, area, o->middle ? FAKE_AREA / 2 : (size_t)LUKS2_STRIPES * FAKE_KEY);
    free(area);
    if (e == ERR_OK && o->middle) {
        power_off();
        return ERR_IO;
    }
    return e == ERR_OK ? fake_disk_commit(d, o) : e;
}

static enum err fake_add_slot(struct disk *d, unsigned slot, uint32_t count, const struct secret *key,
                              const struct secret *passphrase)
{
    struct operation o;
    TRY(begin_write("add_slot", &o));
    if (fake_disk->is_full)
        return ERR_FULL;
    if (key->len != FAKE_KEY || memcmp(key->bytes, fake_volume_key, FAKE_KEY) != 0)
        return ERR_AUTH;
    if (d->luks.slot[slot].used || is_stale(d))
        return ERR_FORMAT;
    return fake_disk_add_slot(d, &o, slot, count, passphrase->bytes, passphrase->len);
}

void fake_disk_wipe_area(struct disk *d, unsigned slot)
{
    char number[12];
    (void)snprintf(number, sizeof number, "%u", slot);
    json_object *area = fake_json_get(fake_json_get(d->header, "keyslots", number), "area", "offset");
    memset(fake_disk->image.p + strtoull(json_object_get_string(area), NULL, 10), 0x5a, FAKE_AREA);
}

/* The key material goes first; a power cut behind it leaves a keyslot that opens with nothing. */
static enum err fake_destroy_slot(struct disk *d, unsigned slot)
{
    struct operation o;
    TRY(begin_write("destroy_slot", &o));
    if (!d->luks.slot[slot].used || is_stale(d))
        return ERR_FORMAT;
    fake_disk_wipe_area(d, slot);
    if (o.middle) {
        power_off();
        return ERR_IO;
    }
    fake_json_remove_slot(d->header, slot);
    return fake_disk_commit(d, &o);
}

enum err fake_disk_put_token(struct disk *d, const struct operation *o, int token, const char *json,
                             int *ret_token)
{
    char number[12];
    int n = token == DISK_TOKEN_NEW ? fake_json_free_token(d->header) : token;
    if (n < 0 || (json && fake_disk->is_full))
        return ERR_FULL;
    (void)snprintf(number, sizeof number, "%d", n);
    json_object *tokens = fake_json_get(d->header, "tokens", NULL),
                *t = json ? json_tokener_parse(json) : NULL;
    if (json && !t)
        return ERR_FORMAT;
    json_object_object_del(tokens, number);
    if (t)
        json_object_object_add(tokens, number, t);
    TRY(fake_disk_commit(d, o));
    *ret_token = n;
    return ERR_OK;
}

static enum err fake_put_token(struct disk *d, int token, const char *json, int *ret_token)
{
    struct operation o;
    TRY(begin_write("put_token", &o));
    return fake_disk_put_token(d, &o, token, json, ret_token);
}

static const char *fake_reason(void)
{
    return "the fake disk says so";
}

const struct disk_ops disk_ops = {
    .open = fake_open,
    .close = fake_close,
    .read = fake_read,
    .load = fake_load,
    .wait_lock = fake_wait_lock,
    .find_writer = fake_find_writer,
    .sizes = fake_sizes,
    .token = fake_token,
    .unlock = fake_unlock,
    .try_slot = fake_try_slot,
    .check_volume_key = fake_check_volume_key,
    .add_slot = fake_add_slot,
    .destroy_slot = fake_destroy_slot,
    .put_token = fake_put_token,
    .reason = fake_reason,
};
