/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/boot/boot_check.h"
#include "agent/boot/boot_entry.h"
#include "agent/boot/boot_menu.h"
#include "agent/boot/efivar.h"
#include "agent/boot/esp.h"
#include "agent/boot/esp_file.h"
#include "agent/boot/secure_boot.h"
#include "agent/state/org_store.h"
#include "crypto/host/file.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

/* What a locked-out user has. */
struct ways {
    bool uefi, esp, entry, menu;
    const char *app; /* as compare() says */
    enum secure_boot secure_boot;
};

static void add_flag(struct json_object *o, const char *name, bool v)
{
    json_object_object_add(o, name, json_object_new_boolean(v));
}

/* A file of the partition against what it should be; want: NULL when there is nothing to compare with. */
static const char *compare(const struct agent *a, const char *name, const uint8_t *want, size_t len)
{
    char path[PATH_MAX];
    struct stat s;
    if (!want)
        return "not-installed";
    if (esp_path(a, name, path) != ERR_OK || stat(path, &s) < 0)
        return "missing";
    return esp_holds(a, name, want, len) ? "whole" : "differs";
}

/* The app of the package is what is judged: one on the partition that differs is no way in as it is. */
static void add_app(const struct agent *a, struct json_object *o, struct ways *w)
{
    char path[PATH_MAX];
    uint8_t *want = NULL;
    size_t len = 0;
    if (file_join(a->root, ESP_APP_SOURCE, path, sizeof path) != ERR_OK ||
        file_read(path, ESP_FILE_MAX, &want, &len) != ERR_OK)
        want = NULL;
    w->app = compare(a, KH_ESP_APP, want, len);
    w->secure_boot = secure_boot_judge(a->efivars, want ? want : (const uint8_t *)"", len);
    json_object_object_add(o, "app", json_object_new_string(w->app));
    json_object_object_add(o, "secure_boot", json_object_new_string(secure_boot_text(w->secure_boot)));
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

static void add_partition(const struct agent *a, struct json_object *o, struct ways *w)
{
    char path[PATH_MAX];
    struct stat s;
    struct statvfs v;
    bool there = esp_path(a, "\\EFI", path) == ERR_OK && stat(path, &s) == 0 && S_ISDIR(s.st_mode);
    w->esp = there;
    json_object_object_add(o, "esp", json_object_new_string(a->esp));
    add_flag(o, "esp_there", there);
    if (!there || statvfs(a->esp, &v) < 0)
        return;
    add_flag(o, "esp_read_only", v.f_flag & ST_RDONLY);
    json_object_object_add(o, "esp_free", json_object_new_uint64((uint64_t)v.f_bavail * v.f_frsize));
}

static void add_entry(const struct agent *a, struct json_object *o, struct ways *w)
{
    uint16_t number;
    unsigned place = 0;
    w->uefi = efivar_available(a->efivars);
    w->entry = w->uefi && boot_entry_find(a->efivars, &number, &place) == ERR_OK;
    add_flag(o, "uefi", w->uefi);
    json_object_object_add(o, "entry", w->entry ? json_object_new_int(number) : NULL);
    json_object_object_add(o, "entry_place", json_object_new_int((int)place));
}

/* In systemd-boot's menu; null where there is no systemd-boot. */
static void add_menu(const struct agent *a, struct json_object *o, struct ways *w)
{
    char text[256];
    bool there = boot_menu_is_there(a);
    w->menu = there && boot_menu_text(KH_BOOT_ENTRY, KH_ESP_APP, text, sizeof text) == ERR_OK &&
              esp_holds(a, BOOT_MENU_ENTRY, (const uint8_t *)text, strlen(text));
    json_object_object_add(o, "menu_entry", there ? json_object_new_boolean(w->menu) : NULL);
}

/* NULL: nothing stands between a locked-out user and the app. */
static const char *obstacle(const struct ways *w)
{
    if (!w->uefi)
        return "this computer did not start by UEFI";
    if (!w->esp)
        return "no EFI system partition is mounted";
    if (strcmp(w->app, "whole") != 0)
        return "the recovery app is not whole on the EFI system partition";
    if (secure_boot_trouble(w->secure_boot))
        return secure_boot_trouble(w->secure_boot);
    return w->entry || w->menu ? NULL
                               : "neither the firmware nor the boot menu has an entry for the recovery app";
}

struct json_object *boot_check_json(const struct agent *a)
{
    struct json_object *o = json_object_new_object();
    struct ways w = {.app = "missing"};
    add_partition(a, o, &w);
    add_app(a, o, &w);
    add_org(a, o);
    add_entry(a, o, &w);
    add_menu(a, o, &w);
    const char *why_not = obstacle(&w);
    add_flag(o, "recoverable", !why_not);
    json_object_object_add(o, "not_recoverable", why_not ? json_object_new_string(why_not) : NULL);
    return o;
}
