/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/boot/esp_file.h"
#include "crypto/host/file.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum err esp_path(const struct agent *a, const char *name, char *ret)
{
    /* no double slash: it would stand in the boot entry, too, where the firmware does not forgive it */
    TRY(file_join(a->esp, name + (*name == '\\'), ret, PATH_MAX));
    for (char *p = ret + strlen(a->esp); *p; p++)
        if (*p == '\\')
            *p = '/';
    return ERR_OK;
}

enum err esp_read(const struct agent *a, const char *name, uint8_t **ret, size_t *ret_len)
{
    char path[PATH_MAX];
    TRY(esp_path(a, name, path));
    return file_read(path, ESP_FILE_MAX, ret, ret_len);
}

bool esp_holds(const struct agent *a, const char *name, const uint8_t *p, size_t len)
{
    uint8_t *old;
    size_t old_len;
    if (esp_read(a, name, &old, &old_len) != ERR_OK)
        return false;
    bool same = old_len == len && memcmp(old, p, len) == 0;
    free(old);
    return same;
}

enum err esp_put(struct agent *a, const char *name, const uint8_t *p, size_t len, struct problem *why)
{
    char path[PATH_MAX], dir[PATH_MAX];
    TRY(esp_path(a, name, path));
    strcpy(dir, path);
    *strrchr(dir, '/') = 0;
    if (esp_holds(a, name, p, len))
        return ERR_OK;
    enum err e = file_mkdirs(dir, 0755);
    if (e == ERR_OK)
        e = file_write(path, p, len, 0644);
    if (e != ERR_OK)
        return problem_set(why, e, "%s cannot be written: %s", path, err_text(e));
    return ERR_OK;
}

enum err esp_remove(struct agent *a, const char *name, struct problem *why)
{
    char path[PATH_MAX];
    TRY(esp_path(a, name, path));
    if (unlink(path) == 0 || errno == ENOENT)
        return ERR_OK;
    enum err e = err_from_errno(errno);
    return problem_set(why, e, "%s cannot be removed: %s", path, err_text(e));
}
