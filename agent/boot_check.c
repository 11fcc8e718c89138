/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/boot_check.h"
#include "agent/boot_entry.h"
#include "agent/efivar.h"
#include "agent/esp.h"
#include "agent/org_store.h"
#include "crypto/host/file.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define APP_MAX (4u << 20)

static void add_flag(struct json_object *o, const char *name, bool v)
{
    json_object_object_add(o, name, json_object_new_boolean(v));
}

/* A file of the partition against what it should be; want: NULL when there is nothing to compare with. */
static const char *compare(const struct agent *a, const char *name, const uint8_t *want, size_t len)
{
    char path[PATH_MAX];
    uint8_t *is;
    size_t is_len;
    if (!want)
        return "not-installed";
    if (esp_path(a, name, path) != ERR_OK || file_read(path, APP_MAX, &is, &is_len) != ERR_OK)
        return "missing";
    bool same = is_len == len && memcmp(is, want, len) == 0;
    free(is);
    return same ? "whole" : "differs";
}

static void add_app(const struct agent *a, struct json_object *o)
{
    char path[PATH_MAX];
    uint8_t *want = NULL;
    size_t len = 0;
    if (file_join(a->root, ESP_APP_SOURCE, path, sizeof path) != ERR_OK ||
        file_read(path, APP_MAX, &want, &len) != ERR_OK)
        want = NULL;
    json_object_object_add(o, "app", json_object_new_string(compare(a, KH_ESP_APP, want, len)));
    free(want);
}

static void add_org(const struct agent *a, struct json_object *o)
{
    uint8_t *json = NULL, *sig = NULL;
    size_t len = 0, sig_len;
    if (org_store_bytes(a->root, &json, &len, &sig, &sig_len) != ERR_OK)
        json = sig = NULL;
    json_object_object_add(o, "org", json_object_new_string(compare(a, KH_ESP_ORG, json, len)));
    free(json);
    free(sig);
}

static void add_partition(const struct agent *a, struct json_object *o)
{
    char path[PATH_MAX];
    struct stat s;
    struct statvfs v;
    bool there = esp_path(a, "\\EFI", path) == ERR_OK && stat(path, &s) == 0 && S_ISDIR(s.st_mode);
    json_object_object_add(o, "esp", json_object_new_string(a->esp));
    add_flag(o, "esp_there", there);
    if (!there || statvfs(a->esp, &v) < 0)
        return;
    add_flag(o, "esp_read_only", v.f_flag & ST_RDONLY);
    json_object_object_add(o, "esp_free", json_object_new_uint64((uint64_t)v.f_bavail * v.f_frsize));
}

static void add_entry(const struct agent *a, struct json_object *o)
{
    uint16_t number;
    unsigned place = 0;
    add_flag(o, "uefi", efivar_available(a->efivars));
    bool there = efivar_available(a->efivars) && boot_entry_find(a->efivars, &number, &place) == ERR_OK;
    json_object_object_add(o, "entry", there ? json_object_new_int(number) : NULL);
    json_object_object_add(o, "entry_place", json_object_new_int((int)place));
}

struct json_object *boot_check_json(const struct agent *a)
{
    struct json_object *o = json_object_new_object();
    add_partition(a, o);
    add_app(a, o);
    add_org(a, o);
    add_entry(a, o);
    return o;
}
