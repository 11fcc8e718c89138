/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/stick.h"
#include "efi/device_path.h"
#include "efi/files.h"
#include <string.h>

#define FOLDER "\\KEYHOLT"

static EFI_GUID file_system = EFI_SIMPLE_FILE_SYSTEM_PROTOCOL_GUID;
static EFI_EVENT appeared;
static bool asked;
static volatile bool news; /* set by the firmware's event */

static VOID EFIAPI note(EFI_EVENT event, VOID *context)
{
    (void)event;
    (void)context;
    news = true;
}

void stick_open(void)
{
    void *registration = NULL;
    news = true;
    if (!asked && fw.bs->CreateEvent(EVT_NOTIFY_SIGNAL, TPL_CALLBACK, note, NULL, &appeared) == EFI_SUCCESS)
        asked = fw.bs->RegisterProtocolNotify(&file_system, appeared, &registration) == EFI_SUCCESS;
}

bool stick_news(void)
{
    bool was = news;
    news = false;
    return was;
}

/* What a walk over folders carries along. */
struct search {
    const struct volumes *volumes;
    EFI_HANDLE device;
    struct stick_key *found;
    bool done;
};

static void keep(struct search *s, unsigned volume, const char *folder, const char *name)
{
    s->found->device = s->device;
    s->found->volume = volume;
    files_join(folder, name, s->found->path);
    s->done = true;
}

/* <key-id>.txt of a locked volume; false ends the walk. */
static bool take_answer(void *ctx, const struct files_entry *e)
{
    struct search *s = ctx;
    size_t len = strlen(e->name);
    struct guid id;
    if (e->folder || !files_name_ends(e->name, ".txt") || guid_decode(e->name, len - 4, &id) != ERR_OK)
        return true;
    for (unsigned i = 0; i < s->volumes->n && !s->done; i++) {
        const struct facts *f = &s->volumes->at[i]->facts;
        if (f->open || !facts_have_key(f, &id))
            continue;
        keep(s, i, FOLDER, e->name);
        s->found->startup_key = false;
        s->found->key_id = id;
    }
    return !s->done;
}

/* The file's own bytes say which key it is; its name may have been changed. */
static bool take_startup_key(void *ctx, const struct files_entry *e)
{
    struct search *s = ctx;
    struct bitlocker_problem problem;
    struct guid id;
    char *bytes = NULL;
    size_t len = 0;
    if (e->folder || !files_name_ends(e->name, ".bek"))
        return true;
    keep(s, 0, "", e->name);
    s->done = false;
    if (files_read(s->device, s->found->path, STICK_FILE_MAX, &bytes, &len) != ERR_OK)
        return true;
    enum err e2 = bitlocker_startup_key_id(bytes, len, &id, &problem);
    cr_wipe(bytes, len);
    firmware_free(bytes);
    for (unsigned i = 0; e2 == ERR_OK && i < s->volumes->n && !s->done; i++) {
        const struct facts *f = &s->volumes->at[i]->facts;
        if (f->open || !facts_have_startup_key(f, &id))
            continue;
        keep(s, i, "", e->name);
        s->found->startup_key = true;
        s->found->key_id = id;
    }
    return !s->done;
}

enum err stick_find(const struct volumes *v, struct stick_key *ret)
{
    struct stick_key found = {.volume = 0};
    struct search s = {.volumes = v, .found = &found};
    UINTN n;
    EFI_HANDLE *h = firmware_handles(&file_system, &n);
    for (UINTN i = 0; i < n && !s.done; i++) {
        if (device_path_on_own_disk(h[i]) || publish_is_ours(h[i]))
            continue;
        s.device = h[i];
        files_list(h[i], FOLDER, take_answer, &s);
        if (!s.done)
            files_list(h[i], "\\", take_startup_key, &s);
    }
    firmware_free(h);
    if (!s.done)
        return ERR_NOT_FOUND;
    *ret = found;
    return ERR_OK;
}

enum err stick_read(const struct stick_key *k, char **ret, size_t *ret_len)
{
    return files_read(k->device, k->path, STICK_FILE_MAX, ret, ret_len);
}
