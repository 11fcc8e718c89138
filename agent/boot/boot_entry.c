/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/boot/boot_entry.h"
#include "agent/boot/efivar.h"
#include "formats/names.h"
#include <ctype.h>
#include <dirent.h>
#include <efivar/efiboot.h>
#include <efivar/efivar.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ATTRIBUTES   (EFIVAR_NV | EFIVAR_BS | EFIVAR_RT)
#define NUMBERS      65536u
#define ARGUMENT_MAX 128
#define ACTIVE       1u /* LOAD_OPTION_ACTIVE. source: UEFI 2.10 section 3.1.3 */

struct entries {
    uint8_t used[NUMBERS / 8]; /* bit i: Boot<i> exists */
    int ours;                  /* number of our entry, -1 none */
    bool same;                 /* it is as it should be */
};

/* EFI_LOAD_OPTION: active, our description, the path, the argument in UCS-2. source: UEFI 2.10 section 3.1.3
 */
static enum err make_option(const struct boot_option *o, uint8_t ret[static EFIVAR_MAX], size_t *ret_len)
{
    uint8_t description[] = KH_BOOT_ENTRY, copy[EFIVAR_MAX], argument[2 * ARGUMENT_MAX] = {0};
    size_t n_argument = o->argument ? strlen(o->argument) + 1 : 0;
    if (o->len > sizeof copy || n_argument > ARGUMENT_MAX)
        return ERR_RANGE;
    for (size_t i = 0; i < n_argument; i++)
        argument[2 * i] = (uint8_t)o->argument[i];
    memcpy(copy, o->path, o->len);
    ssize_t n = efi_loadopt_create(ret, EFIVAR_MAX, ACTIVE, (efidp)(void *)copy, (ssize_t)o->len, description,
                                   n_argument ? argument : NULL, 2 * n_argument);
    if (n <= 0)
        return ERR_RANGE;
    *ret_len = (size_t)n;
    return ERR_OK;
}

static bool is_ours(uint8_t *option, size_t len)
{
    efi_load_option *o = (efi_load_option *)(void *)option;
    if (!efi_loadopt_is_valid(o, len))
        return false;
    const unsigned char *text = efi_loadopt_desc(o, (ssize_t)len);
    return text && strcmp((const char *)text, KH_BOOT_ENTRY) == 0;
}

/* "Boot01AF-<global GUID>", upper-case digits only: what firmware counts as a boot entry. */
static bool number_of(const char *file, uint16_t *ret)
{
    char want[64];
    unsigned v = 0;
    if (strncmp(file, "Boot", 4) != 0 || strlen(file) < 8)
        return false;
    for (int i = 4; i < 8; i++)
        if (!isxdigit((unsigned char)file[i]) || islower((unsigned char)file[i]))
            return false;
    (void)sscanf(file + 4, "%4X", &v);
    (void)snprintf(want, sizeof want, "Boot%04X-" EFIVAR_GLOBAL, v);
    *ret = (uint16_t)v;
    return strcmp(file, want) == 0;
}

static void look_at(const char *efivars, uint16_t number, const uint8_t *want, size_t want_len,
                    struct entries *s)
{
    char name[16];
    uint8_t option[EFIVAR_MAX];
    size_t len;
    s->used[number / 8] |= (uint8_t)(1u << number % 8);
    (void)snprintf(name, sizeof name, "Boot%04X", number);
    if (efivar_read(efivars, name, EFIVAR_GLOBAL, NULL, option, sizeof option, &len) != ERR_OK)
        return; /* longer than any entry of ours, or unreadable: not ours, but its number is taken */
    if (!is_ours(option, len) || s->ours >= 0)
        return;
    s->ours = number;
    s->same = want && len == want_len && memcmp(option, want, len) == 0;
}

static enum err list(const char *efivars, const uint8_t *want, size_t want_len, struct entries *s)
{
    uint16_t number;
    DIR *d = opendir(efivars);
    if (!d)
        return ERR_IO;
    for (struct dirent *f; (f = readdir(d));)
        if (number_of(f->d_name, &number))
            look_at(efivars, number, want, want_len, s);
    closedir(d);
    return ERR_OK;
}

static enum err lowest_free(const struct entries *s, uint16_t *ret)
{
    for (unsigned i = 0; i < NUMBERS; i++)
        if (!(s->used[i / 8] >> i % 8 & 1)) {
            *ret = (uint16_t)i;
            return ERR_OK;
        }
    return ERR_FULL;
}

static enum err append_to_order(const char *efivars, uint16_t number)
{
    uint8_t order[EFIVAR_MAX];
    size_t len;
    enum err e = efivar_read(efivars, "BootOrder", EFIVAR_GLOBAL, NULL, order, sizeof order - 2, &len);
    if (e != ERR_OK)
        return e == ERR_NOT_FOUND ? ERR_OK : e;
    for (size_t i = 0; i + 1 < len; i += 2)
        if ((order[i] | order[i + 1] << 8) == number)
            return ERR_OK; /* wherever a person has put it */
    order[len] = (uint8_t)number;
    order[len + 1] = (uint8_t)(number >> 8);
    return efivar_write(efivars, "BootOrder", EFIVAR_GLOBAL, ATTRIBUTES, order, len + 2);
}

enum err boot_entry_put(const char *efivars, const struct boot_option *o)
{
    uint8_t option[EFIVAR_MAX];
    size_t option_len;
    uint16_t number;
    char name[16];
    TRY(make_option(o, option, &option_len));
    struct entries *s = calloc(1, sizeof *s);
    if (!s)
        return ERR_NOMEM;
    s->ours = -1;
    enum err e = list(efivars, option, option_len, s);
    number = (uint16_t)s->ours;
    if (e == ERR_OK && s->ours < 0)
        e = lowest_free(s, &number);
    bool same = s->same; /* flash wears out: what is right is not written again */
    free(s);
    (void)snprintf(name, sizeof name, "Boot%04X", number);
    if (e == ERR_OK && !same)
        e = efivar_write(efivars, name, EFIVAR_GLOBAL, ATTRIBUTES, option, option_len);
    return e == ERR_OK ? append_to_order(efivars, number) : e;
}

enum err boot_entry_find(const char *efivars, uint16_t *ret_number, unsigned *ret_place)
{
    uint8_t order[EFIVAR_MAX];
    size_t len = 0;
    struct entries *s = calloc(1, sizeof *s);
    if (!s)
        return ERR_NOMEM;
    s->ours = -1;
    enum err e = list(efivars, NULL, 0, s);
    int number = s->ours;
    free(s);
    TRY(e);
    if (number < 0)
        return ERR_NOT_FOUND;
    if (efivar_read(efivars, "BootOrder", EFIVAR_GLOBAL, NULL, order, sizeof order, &len) != ERR_OK)
        len = 0;
    *ret_number = (uint16_t)number;
    *ret_place = 0;
    for (size_t i = 0; i + 1 < len && *ret_place == 0; i += 2)
        if ((order[i] | order[i + 1] << 8) == number)
            *ret_place = (unsigned)(i / 2 + 1);
    return ERR_OK;
}
