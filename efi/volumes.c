/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/volumes.h"
#include "efi/device_path.h"
#include "efi/plan.h"
#include "formats/recovery_password.h"
#include <string.h>

/* Most headers need LUKS2_SCRATCH_USUAL; one that holds more says how much, and so may its second copy. */
static enum err load_header(struct volume *v)
{
    struct luks2_problem why = {.need = LUKS2_SCRATCH_USUAL};
    enum err e = ERR_FULL;
    for (size_t len = 0; e == ERR_FULL && why.need > len;) {
        len = why.need;
        void *scratch = firmware_alloc(len);
        if (!scratch)
            return ERR_NOMEM;
        e = luks2_load_why(&v->disk.io, scratch, len, &why, &v->luks);
        firmware_free(scratch);
    }
    return e;
}

static void volume_free(struct volume *v)
{
    if (v)
        disk_close(&v->disk);
    firmware_free(v);
}

static bool is_retired(const struct volume *v)
{
    return plan_is_retired(&v->luks, v->key, v->n_keys);
}

/* In the order of finding, but retired ones behind all others. */
static void add(struct volumes *vs, struct volume *v)
{
    if (vs->n == VOLUMES_MAX) {
        vs->more = true;
        volume_free(v);
        return;
    }
    unsigned at = vs->n++;
    for (; at > 0 && is_retired(vs->at[at - 1]) && !is_retired(v); at--)
        vs->at[at] = vs->at[at - 1];
    vs->at[at] = v;
}

/* Add the device when it is a volume of ours; count it when it is only LUKS. */
static void look_at(struct volumes *vs, EFI_HANDLE device)
{
    enum luks2_kind kind = LUKS2_NOT_LUKS;
    struct volume *v = firmware_alloc(sizeof *v);
    if (!v)
        return;
    if (disk_open(&v->disk, device) != ERR_OK || luks2_probe(&v->disk.io, &kind) != ERR_OK ||
        kind == LUKS2_NOT_LUKS) {
        volume_free(v);
        return;
    }
    if (kind == LUKS2_IS_LUKS2 && load_header(v) == ERR_OK)
        v->n_keys = plan_keys(&v->luks, v->key);
    if (v->n_keys > 0) {
        add(vs, v);
        return;
    }
    vs->n_other++;
    volume_free(v);
}

static bool on_own_disk(EFI_HANDLE device)
{
    const EFI_DEVICE_PATH *a = device_path_of(device), *b = device_path_of(fw.self->DeviceHandle);
    return a && b && device_path_same_disk(a, b);
}

/* Looking again does not make wrong passwords unsaid. */
static void keep_attempts(struct volumes *vs, const struct volumes *before)
{
    for (unsigned i = 0; i < vs->n; i++)
        for (unsigned k = 0; k < before->n; k++)
            if (guid_equal(&vs->at[i]->luks.uuid, &before->at[k]->luks.uuid))
                vs->at[i]->attempts = before->at[k]->attempts;
}

void volumes_find(struct volumes *v)
{
    static const EFI_GUID block_io = EFI_BLOCK_IO_PROTOCOL_GUID;
    UINTN n;
    EFI_HANDLE *h = firmware_handles(&block_io, &n);
    uint64_t until = firmware_uptime_ms() + VOLUMES_TIME_MS;
    struct volumes before = *v;
    memset(v, 0, sizeof *v);
    for (int own = 1; own >= 0; own--)
        for (UINTN i = 0; i < n && !v->more && !v->cut_short; i++) {
            if (on_own_disk(h[i]) != own)
                continue;
            v->cut_short = firmware_uptime_ms() > until;
            if (!v->cut_short)
                look_at(v, h[i]);
        }
    firmware_free(h);
    keep_attempts(v, &before);
    volumes_close(&before);
}

void volumes_close(struct volumes *v)
{
    for (unsigned i = 0; i < v->n; i++)
        volume_free(v->at[i]);
    memset(v, 0, sizeof *v);
}

const struct luks2_token *volume_token(const struct volume *v)
{
    return &v->luks.token[v->key[0]];
}

/* One attempt: everything needed. */
struct attempt {
    struct volume *v;
    const struct secret *passphrase;
    struct volume_progress *progress;
    uint8_t *area;
    size_t area_len;
};

static enum err try_slot(struct attempt *a, unsigned slot)
{
    SECRET(key);
    return luks2_open_slot(&a->v->disk.io, &a->v->luks, slot, a->passphrase->bytes, a->passphrase->len,
                           a->area, a->area_len, &key);
}

/* Zeros when no token names the slot. */
static struct guid key_id_of(const struct volume *v, unsigned slot)
{
    for (unsigned i = 0; i < v->n_keys; i++)
        if (v->luks.token[v->key[i]].slot == (int)slot)
            return v->luks.token[v->key[i]].key_id;
    return (struct guid){{0}};
}

static enum err try_all(struct attempt *a, struct guid *ret_key_id)
{
    struct plan plan;
    unsigned slot;
    bool recovery;
    enum err result = ERR_UNSUPPORTED; /* until something could be tried */
    plan_init(&plan, &a->v->luks, a->v->key, a->v->n_keys);
    while (plan_next(&plan, &slot, &recovery)) {
        if (!a->progress->step(a->progress->ctx, slot, recovery))
            return ERR_BUSY;
        enum err e = try_slot(a, slot);
        if (e == ERR_OK) {
            *ret_key_id = key_id_of(a->v, slot);
            return ERR_OK;
        }
        /* the first failure that is not "does not open" is what to tell */
        if (result == ERR_UNSUPPORTED || result == ERR_AUTH)
            result = e;
    }
    a->progress->too_slow = plan.too_slow;
    return result;
}

enum err volume_open(struct volume *v, const uint8_t password[static RP_BYTES],
                     struct volume_progress *progress, struct guid *ret_key_id)
{
    SECRET(passphrase);
    struct attempt a = {.v = v, .passphrase = &passphrase, .progress = progress};
    for (unsigned i = 0; i < LUKS2_SLOTS; i++) {
        size_t len = v->luks.slot[i].used ? luks2_area_len(&v->luks.slot[i]) : 0;
        a.area_len = len > a.area_len ? len : a.area_len;
    }
    a.area = firmware_alloc(a.area_len);
    if (!a.area)
        return ERR_NOMEM;
    rp_encode(password, &passphrase);
    enum err e = try_all(&a, ret_key_id);
    cr_wipe(a.area, a.area_len);
    firmware_free(a.area);
    return e;
}
