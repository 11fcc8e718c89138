/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/volumes.h"
#include "efi/device_path.h"
#include "efi/partition.h"
#include "efi/plan.h"
#include <string.h>

#define LOADERS        "\\EFI"
#define WINDOWS_LOADER "\\EFI\\Microsoft\\Boot\\bootmgfw.efi"

/* Most headers need LUKS2_SCRATCH_USUAL; one that holds more says how much, and so may its second copy. */
static enum err load_luks2(struct volume *v)
{
    struct luks2_problem why = {.need = LUKS2_SCRATCH_USUAL};
    enum err e = ERR_FULL;
    for (size_t len = 0; e == ERR_FULL && why.need > len;) {
        len = why.need;
        void *scratch = firmware_alloc(len);
        if (!scratch)
            return ERR_NOMEM;
        e = luks2_load_why(&v->disk.io, scratch, len, &why, v->luks);
        firmware_free(scratch);
    }
    return e;
}

static void volume_free(struct volume *v)
{
    if (!v)
        return;
    publish_end(v->published);
    disk_close(&v->disk);
    firmware_free(v->luks);
    firmware_free(v);
}

/* NOT_FOUND: something else. Every other error: it says that it is one, but it cannot be read. */
static enum err look_for_luks2(struct volume *v)
{
    enum luks2_kind kind = LUKS2_NOT_LUKS;
    TRY(luks2_probe(&v->disk.io, &kind));
    if (kind != LUKS2_IS_LUKS2)
        return ERR_NOT_FOUND;
    v->luks = firmware_alloc(sizeof *v->luks);
    if (!v->luks)
        return ERR_NOMEM;
    TRY(load_luks2(v));
    v->n_keys = plan_keys(v->luks, v->key);
    facts_of_luks2(v->luks, v->key, v->n_keys, &v->facts);
    return ERR_OK;
}

/* The metadata is not kept: many volumes would need many times BITLOCKER_MEMORY. */
static enum err look_for_bitlocker(struct volume *v)
{
    struct bitlocker_problem problem;
    struct bitlocker b;
    bool is = false;
    TRY(bitlocker_probe(&v->disk.io, &is));
    if (!is)
        return ERR_NOT_FOUND;
    void *memory = firmware_alloc(BITLOCKER_MEMORY);
    if (!memory)
        return ERR_NOMEM;
    enum err e = bitlocker_load(&v->disk.io, v->disk.size, memory, BITLOCKER_MEMORY, &b, &problem);
    if (e == ERR_OK)
        facts_of_bitlocker(&b, &v->facts);
    cr_wipe(memory, BITLOCKER_MEMORY); /* a clear key may lie open in it */
    firmware_free(memory);
    return e;
}

/* Has the device's disk a file system with this file? */
static bool disk_has(EFI_HANDLE device, const char *file)
{
    const EFI_DEVICE_PATH *path = device_path_of(device);
    EFI_DEVICE_PATH *disk = path ? device_path_disk(path) : NULL;
    bool has = disk && device_path_find_file(disk, file);
    firmware_free(disk);
    return has;
}

/* A security chip opens what a computer starts from; else the disk's loaders tell, and the partition table.
 */
static bool is_os(const struct volume *v)
{
    EFI_HANDLE h = v->disk.handle;
    if (v->facts.format == FACTS_BITLOCKER)
        return v->facts.chip || (!v->disk.removable && disk_has(h, WINDOWS_LOADER));
    if (partition_is_beside(h))
        return false;
    return device_path_on_own_disk(h) || (!v->disk.removable && disk_has(h, LOADERS));
}

/* err: NOT_FOUND (no volume), what reading it says */
static enum err look_at(EFI_HANDLE device, struct volume **ret)
{
    struct volume *v = firmware_alloc(sizeof *v);
    if (!v)
        return ERR_NOMEM;
    enum err e = disk_open(&v->disk, device);
    if (e == ERR_OK) {
        e = look_for_luks2(v);
        if (e == ERR_NOT_FOUND)
            e = look_for_bitlocker(v);
        disk_rest(&v->disk);
    }
    if (e != ERR_OK) {
        volume_free(v);
        return e;
    }
    v->facts.size = v->disk.size;
    v->facts.os = is_os(v);
    *ret = v;
    return ERR_OK;
}

static void add(struct volumes *vs, struct volume *v)
{
    if (vs->n < VOLUMES_MAX) {
        vs->at[vs->n++] = v;
        return;
    }
    vs->more = true;
    volume_free(v);
}

static bool is_known(const struct volumes *vs, EFI_HANDLE device)
{
    for (unsigned i = 0; i < vs->n; i++)
        if (vs->at[i]->disk.handle == device)
            return true;
    return publish_is_ours(device);
}

static void look_and_add(struct volumes *vs, EFI_HANDLE device)
{
    struct volume *v = NULL;
    enum err e = is_known(vs, device) ? ERR_NOT_FOUND : look_at(device, &v);
    if (e == ERR_OK)
        add(vs, v);
    else if (e == ERR_FORMAT || e == ERR_VERSION || e == ERR_UNSUPPORTED || e == ERR_FULL)
        vs->n_damaged++;
}

/* What is open stays open as long as its disk is there. */
static void keep_open(struct volumes *vs, struct volumes *before)
{
    for (unsigned i = 0; i < before->n; i++)
        if (before->at[i]->published && disk_is_there(&before->at[i]->disk)) {
            add(vs, before->at[i]);
            before->at[i] = NULL;
        }
}

/* Looking again does not make wrong passwords unsaid. */
static void keep_attempts(struct volumes *vs, const struct volumes *before)
{
    for (unsigned i = 0; i < vs->n; i++)
        for (unsigned k = 0; k < before->n; k++)
            if (before->at[k] && guid_equal(&vs->at[i]->facts.id, &before->at[k]->facts.id))
                vs->at[i]->attempts = before->at[k]->attempts;
}

/* Where no LUKS2 volume lies beside boot loaders, those on fixed disks are what the computer starts from: the
 * loaders may have a disk of their own. */
static void guess_systems(struct volumes *vs)
{
    for (unsigned i = 0; i < vs->n; i++)
        if (vs->at[i]->luks && vs->at[i]->facts.os)
            return;
    for (unsigned i = 0; i < vs->n; i++)
        if (vs->at[i]->luks && !vs->at[i]->disk.removable && !partition_is_beside(vs->at[i]->disk.handle))
            vs->at[i]->facts.os = true;
}

/* Stable: of equals the first found stays first. */
static void sort(struct volumes *vs)
{
    for (unsigned i = 1; i < vs->n; i++) {
        struct volume *v = vs->at[i];
        unsigned at = i;
        for (; at > 0 && facts_rank(&vs->at[at - 1]->facts) > facts_rank(&v->facts); at--)
            vs->at[at] = vs->at[at - 1];
        vs->at[at] = v;
    }
}

void volumes_find(struct volumes *v)
{
    static const EFI_GUID block_io = EFI_BLOCK_IO_PROTOCOL_GUID;
    UINTN n;
    EFI_HANDLE *h = firmware_handles(&block_io, &n);
    uint64_t until = firmware_uptime_ms() + VOLUMES_TIME_MS;
    struct volumes before = *v;
    memset(v, 0, sizeof *v);
    keep_open(v, &before);
    for (int own = 1; own >= 0; own--)
        for (UINTN i = 0; i < n && !v->more && !v->cut_short; i++) {
            if (device_path_on_own_disk(h[i]) != own)
                continue;
            v->cut_short = firmware_uptime_ms() > until;
            if (!v->cut_short)
                look_and_add(v, h[i]);
        }
    firmware_free(h);
    guess_systems(v);
    sort(v);
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
    return v->n_keys ? &v->luks->token[v->key[0]] : NULL;
}
