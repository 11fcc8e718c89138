/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/boot/esp.h"
#include "agent/boot/esp_app.h"
#include "agent/boot/esp_file.h"
#include "agent/state/org_store.h"
#include "crypto/host/file.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define VOLUMES_DIR KH_ESP_DIR "\\volumes"

/* A mount point without anything mounted is an empty folder; an EFI system partition has a folder EFI. */
static enum err find_esp(const struct agent *a, struct problem *why)
{
    char path[PATH_MAX];
    struct stat s;
    TRY(esp_path(a, "\\EFI", path));
    if (stat(path, &s) == 0 && S_ISDIR(s.st_mode))
        return ERR_OK;
    return problem_set(
        why, ERR_UNSUPPORTED,
        "no EFI system partition is mounted at %s: the recovery app is not installed; Debian's "
        "own prompt takes the 48 digits, with their dashes, as a passphrase",
        a->esp);
}

static enum err put_org(struct agent *a, struct problem *why)
{
    uint8_t *json, *sig;
    size_t len, sig_len;
    enum err e = org_store_bytes(a->root, &json, &len, &sig, &sig_len);
    if (e != ERR_OK)
        return problem_set(why, e, "org.json cannot be read: %s", err_text(e));
    e = esp_put(a, KH_ESP_ORG ".sig", sig, sig_len, why);
    if (e == ERR_OK)
        e = esp_put(a, KH_ESP_ORG, json, len, why);
    free(json);
    free(sig);
    return e;
}

/* The recovery screen says which computer it stands before. */
static enum err put_computer(struct agent *a, struct problem *why)
{
    return esp_put(a, KH_ESP_COMPUTER, (const uint8_t *)a->computer, strlen(a->computer), why);
}

static bool is_file_of_ours(const char *name, size_t len)
{
    static const char *const ours[] = {"recovery.efi", "recovery-previous.efi", "org.json", "org.json.sig",
                                       "computer"};
    struct guid id;
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        if (strlen(ours[i]) == len && memcmp(ours[i], name, len) == 0)
            return true;
    return len == GUID_TEXT - 1 + 4 && memcmp(name + len - 4, ".env", 4) == 0 &&
           guid_decode(name, GUID_TEXT - 1, &id) == ERR_OK;
}

static bool is_half_written(const char *name)
{
    const char *part = strstr(name, FILE_PART);
    return part && strlen(part) == strlen(FILE_PART) + 6 && is_file_of_ours(name, (size_t)(part - name));
}

/* Left by a power cut; the space on this partition is scarce. A failure shows when something is written. */
static void remove_half_written(struct agent *a, const char *folder)
{
    char path[PATH_MAX];
    DIR *d = esp_path(a, folder, path) == ERR_OK ? opendir(path) : NULL;
    for (struct dirent *f; d && (f = readdir(d));)
        if (is_half_written(f->d_name))
            (void)unlinkat(dirfd(d), f->d_name, 0);
    if (d)
        (void)closedir(d);
}

enum err esp_install(struct agent *a, struct problem *why)
{
    TRY(find_esp(a, why));
    remove_half_written(a, KH_ESP_DIR);
    remove_half_written(a, VOLUMES_DIR);
    TRY(put_org(a, why));
    TRY(put_computer(a, why));
    return esp_app_install(a, why);
}

enum err esp_put_envelope(struct agent *a, const struct guid *volume, const uint8_t *envelope, size_t len,
                          struct problem *why)
{
    char uuid[GUID_TEXT], name[128];
    TRY(find_esp(a, why));
    guid_encode_lower(volume, uuid);
    (void)snprintf(name, sizeof name, VOLUMES_DIR "\\%s.env", uuid);
    return esp_put(a, name, envelope, len, why);
}

static enum err put_envelope_of(struct agent *a, const struct guid *volume, const struct guid *key_id,
                                struct problem *why)
{
    uint8_t envelope[ENVELOPE_MAX];
    size_t len;
    enum err e = cache_get_envelope(a->cache, key_id, envelope, &len);
    if (e != ERR_OK)
        return problem_set(why, e, "the envelope is not in the cache: %s", err_text(e));
    return esp_put_envelope(a, volume, envelope, len, why);
}

enum err esp_publish(struct agent *a, const struct guid *volume, const struct guid *key_id,
                     struct problem *why)
{
    TRY(put_envelope_of(a, volume, key_id, why));
    return esp_install(a, why);
}

static void complain(enum err e, const char *what, const struct problem *why)
{
    if (e != ERR_OK && e != ERR_UNSUPPORTED) /* no such partition: protect has said so once */
        (void)fprintf(stderr, "keeper: the EFI system partition is not up to date: %s: %s\n", what,
                      why->text);
}

/* ret_any: it has a key that is in use */
static void refresh_volume(struct agent *a, const struct cache_volume *v, struct cache_key *keys,
                           bool *ret_any)
{
    struct problem why;
    unsigned n = 0, i = 0;
    enum err e = cache_keys(a->cache, &v->uuid, keys, &n);
    if (e != ERR_OK)
        e = problem_set(&why, e, "its keys are not in the cache: %s", err_text(e));
    while (e == ERR_OK && i < n && keys[i].state != KEY_LIVE) /* newest first */
        i++;
    if (i < n) {
        *ret_any = true;
        e = put_envelope_of(a, &v->uuid, &keys[i].key_id, &why);
    }
    complain(e, v->device, &why);
}

void esp_refresh(struct agent *a)
{
    struct cache_volume *v = NULL;
    struct cache_key *keys = calloc(CACHE_KEYS, sizeof *keys);
    struct problem why;
    bool any = false;
    unsigned n = 0;
    enum err e = keys ? cache_volumes(a->cache, &v, &n) : ERR_NOMEM;
    if (e != ERR_OK)
        e = problem_set(&why, e, "the volumes are not in the cache: %s", err_text(e));
    for (unsigned i = 0; e == ERR_OK && a->org && i < n; i++)
        if (v[i].state != VOLUME_PENDING)
            refresh_volume(a, &v[i], keys, &any);
    if (any)
        e = esp_install(a, &why);
    complain(e, a->esp, &why);
    free(v);
    free(keys);
}
