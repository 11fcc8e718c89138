/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/boot/esp_app.h"
#include "agent/boot/boot_entry.h"
#include "agent/boot/boot_menu.h"
#include "agent/boot/efivar.h"
#include "agent/boot/esp.h"
#include "agent/boot/esp_file.h"
#include "agent/boot/secure_boot.h"
#include "crypto/hash.h"
#include "crypto/host/file.h"
#include <dirent.h>
#include <efivar/efiboot.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A whole program in memory. */
struct app {
    uint8_t *p;
    size_t len;
};

static enum err read_app(const struct agent *a, struct app *ret, struct problem *why)
{
    char path[PATH_MAX];
    TRY(file_join(a->root, ESP_APP_SOURCE, path, sizeof path));
    enum err e = file_read(path, ESP_FILE_MAX, &ret->p, &ret->len);
    if (e != ERR_OK)
        return problem_set(why, e, "the recovery app %s cannot be read: %s; it is not installed", path,
                           err_text(e));
    return ERR_OK;
}

/* Did this very program run before the system that runs now? */
static bool has_started(const struct agent *a, const struct app *app)
{
    uint8_t said[CR_SHA256_SIZE], hash[CR_SHA256_SIZE];
    size_t len;
    return efivar_read(a->efivars, KH_VAR_APP, KH_EFI_GUID_TEXT, NULL, said, sizeof said, &len) == ERR_OK &&
           len == sizeof said && cr_sha256(app->p, app->len, hash) == ERR_OK &&
           memcmp(said, hash, sizeof hash) == 0;
}

/* One that is there already outranks the app that never started. */
static enum err keep_previous(struct agent *a, struct problem *why)
{
    struct app old;
    uint8_t *kept;
    size_t len;
    if (esp_read(a, KH_ESP_APP, &old.p, &old.len) != ERR_OK)
        return ERR_OK;
    enum err e = ERR_OK;
    if (has_started(a, &old) || esp_read(a, KH_ESP_APP_PREVIOUS, &kept, &len) != ERR_OK)
        e = esp_put(a, KH_ESP_APP_PREVIOUS, old.p, old.len, why);
    else
        free(kept);
    free(old.p);
    return e;
}

static enum err put_app(struct agent *a, const struct app *app, struct problem *why)
{
    if (!esp_holds(a, KH_ESP_APP, app->p, app->len)) {
        TRY(keep_previous(a, why));
        return esp_put(a, KH_ESP_APP, app->p, app->len, why);
    }
    return has_started(a, app) ? esp_remove(a, KH_ESP_APP_PREVIOUS, why) : ERR_OK;
}

/* Is this program one of ours, of whatever version? */
static bool is_ours(const uint8_t *p, size_t len)
{
    return memmem(p, len, KH_APP_MARK, strlen(KH_APP_MARK)) != NULL;
}

/* Where nobody else's program is. */
static enum err put_fallback(struct agent *a, const struct app *app, struct problem *why)
{
    uint8_t *p;
    size_t len;
    enum err e = esp_read(a, KH_ESP_FALLBACK, &p, &len);
    bool free_place = e == ERR_NOT_FOUND || (e == ERR_OK && is_ours(p, len));
    if (e == ERR_OK)
        free(p);
    return free_place ? esp_put(a, KH_ESP_FALLBACK, app->p, app->len, why) : ERR_OK;
}

static enum err put_menu_entry(struct agent *a, const char *entry, const char *title, const char *program,
                               struct problem *why)
{
    char text[256];
    TRY(boot_menu_text(title, program, text, sizeof text));
    return esp_put(a, entry, (const uint8_t *)text, strlen(text), why);
}

static enum err put_menu(struct agent *a, struct problem *why)
{
    uint8_t *p;
    size_t len;
    if (!boot_menu_is_there(a))
        return ERR_OK;
    TRY(put_menu_entry(a, BOOT_MENU_ENTRY, KH_BOOT_ENTRY, KH_ESP_APP, why));
    if (esp_read(a, KH_ESP_APP_PREVIOUS, &p, &len) != ERR_OK)
        return esp_remove(a, BOOT_MENU_PREVIOUS, why);
    free(p);
    return put_menu_entry(a, BOOT_MENU_PREVIOUS, KH_BOOT_ENTRY " (the version before)", KH_ESP_APP_PREVIOUS,
                          why);
}

/* \EFI\<vendor>\shimx64.efi of the system that is installed. ret: PATH_MAX bytes, on the mounted partition
 * err: NOT_FOUND */
static enum err find_shim(const struct agent *a, char *ret)
{
    char folder[PATH_MAX];
    enum err e = ERR_NOT_FOUND;
    DIR *d = esp_path(a, "\\EFI", folder) == ERR_OK ? opendir(folder) : NULL;
    for (struct dirent *f; d && e != ERR_OK && (f = readdir(d));) {
        int n = snprintf(ret, PATH_MAX, "%s/%s/shimx64.efi", folder, f->d_name);
        if (f->d_name[0] != '.' && strcasecmp(f->d_name, "BOOT") != 0 && n > 0 && n < PATH_MAX &&
            access(ret, R_OK) == 0)
            e = ERR_OK;
    }
    if (d)
        (void)closedir(d);
    return e;
}

/* Shim starts what its owner trusts when it is told so; the firmware would refuse the app itself. */
static enum err put_entry(struct agent *a, bool by_shim, struct problem *why)
{
    char path[PATH_MAX];
    uint8_t node[EFIVAR_MAX];
    if (!efivar_available(a->efivars))
        return problem_set(why, ERR_UNSUPPORTED,
                           "this computer did not start by UEFI (no variables in %s): there is no boot entry "
                           "for the recovery app",
                           a->efivars);
    if (by_shim && find_shim(a, path) != ERR_OK)
        return problem_set(
            why, ERR_NOT_FOUND,
            "only a machine owner's key (MOK) trusts the recovery app, and no shim is there to start "
            "it: there is no boot entry for it");
    if (!by_shim)
        TRY(esp_path(a, KH_ESP_APP, path));
    ssize_t len = efi_generate_file_device_path(node, sizeof node, path, EFIBOOT_ABBREV_HD);
    if (len <= 0)
        return problem_set(why, ERR_IO,
                           "the partition of %s was not found: there is no boot entry for the recovery app",
                           path);
    const struct boot_option option = {node, (size_t)len, by_shim ? KH_ESP_APP : NULL};
    enum err e = boot_entry_put(a->efivars, &option);
    if (e != ERR_OK)
        return problem_set(why, e, "the firmware did not take the boot entry for the recovery app: %s",
                           err_text(e));
    return ERR_OK;
}

/* Every way is tried; the first failure is what is told. */
static void also(enum err e, const struct problem *why, enum err *first, struct problem *ret)
{
    if (e != ERR_OK && *first == ERR_OK) {
        *first = e;
        *ret = *why;
    }
}

enum err esp_app_install(struct agent *a, struct problem *why)
{
    struct app app;
    struct problem p = {""};
    enum err first = ERR_OK;
    TRY(read_app(a, &app, why));
    enum secure_boot secure = secure_boot_judge(a->efivars, app.p, app.len);
    if (secure_boot_trouble(secure))
        also(problem_set(&p, ERR_AUTH, "%s", secure_boot_trouble(secure)), &p, &first, why);
    also(put_app(a, &app, &p), &p, &first, why);
    also(put_menu(a, &p), &p, &first, why);
    also(put_fallback(a, &app, &p), &p, &first, why);
    also(put_entry(a, secure == SECURE_BOOT_BY_SHIM, &p), &p, &first, why);
    free(app.p);
    return first;
}
