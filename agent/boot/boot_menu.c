/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/boot/boot_menu.h"
#include "agent/boot/esp_file.h"
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

bool boot_menu_is_there(const struct agent *a)
{
    char path[PATH_MAX];
    struct stat s;
    return esp_path(a, "\\loader\\entries", path) == ERR_OK && stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

enum err boot_menu_text(const char *title, const char *name, char *ret, size_t cap)
{
    char path[128];
    size_t len = strlen(name);
    if (len >= sizeof path)
        return ERR_RANGE;
    for (size_t i = 0; i <= len; i++)
        path[i] = name[i] == '\\' ? '/' : name[i];
    int n = snprintf(ret, cap, "title %s\nefi %s\n", title, path);
    return n > 0 && (size_t)n < cap ? ERR_OK : ERR_RANGE;
}
