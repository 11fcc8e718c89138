/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tools/desk_volume_text.h"
#include <ctype.h>
#include <string.h>
#include <time.h>

void desk_text_size(uint64_t bytes, char ret[static SIZE_TEXT])
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    unsigned unit = 0;
    uint64_t whole = bytes, tenths = 0;
    while (whole >= 1024) {
        tenths = whole % 1024 * 10 / 1024;
        whole /= 1024;
        unit++;
    }
    if (tenths && whole < 100)
        snprintf(ret, SIZE_TEXT, "%llu.%llu %s", (unsigned long long)whole, (unsigned long long)tenths,
                 units[unit]);
    else
        snprintf(ret, SIZE_TEXT, "%llu %s", (unsigned long long)whole, units[unit]);
}

void desk_text_number(uint64_t n, char ret[static SIZE_TEXT])
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%llu", (unsigned long long)n);
    size_t out = 0;
    for (int i = 0; i < len && out + 2 < SIZE_TEXT; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            ret[out++] = ',';
        ret[out++] = digits[i];
    }
    ret[out] = 0;
}

void desk_text_time(uint64_t t, char ret[static SIZE_TEXT])
{
    struct tm tm;
    time_t seconds = (time_t)t;
    ret[0] = 0;
    if (t && gmtime_r(&seconds, &tm) && strftime(ret, SIZE_TEXT, "%Y-%m-%d %H:%M UTC", &tm) == 0)
        ret[0] = 0;
}

void desk_text_kdf(const struct volume_kdf *kdf, char *ret, size_t cap)
{
    char count[SIZE_TEXT], memory[SIZE_TEXT], hash[sizeof kdf->hash];
    desk_text_number(kdf->iterations, count);
    desk_text_size((uint64_t)kdf->memory_kib << 10, memory);
    for (size_t i = 0; i < sizeof hash; i++)
        hash[i] = (char)toupper((unsigned char)kdf->hash[i]);
    if (strcmp(kdf->name, "pbkdf2") == 0)
        snprintf(ret, cap, "PBKDF2-%s, %s iterations", hash, count);
    else if (strcmp(kdf->name, "sha256-chain") == 0)
        snprintf(ret, cap, "SHA-256, %s rounds", count);
    else if (strcmp(kdf->name, "argon2i") == 0 || strcmp(kdf->name, "argon2id") == 0)
        snprintf(ret, cap, "Argon2%s, %s, %s passes, %u lanes", kdf->name + 6, memory, count, kdf->lanes);
    else
        snprintf(ret, cap, "%s", kdf->name);
}

void desk_text_protector(const struct volume_info *info, unsigned which, char *ret, size_t cap)
{
    const struct volume_protector *p = &info->protector[which];
    char id[GUID_TEXT] = "", slot[32] = "";
    if (p->has_key_id)
        guid_encode(&p->key_id, id);
    if (strcmp(info->format, "LUKS2") == 0)
        snprintf(slot, sizeof slot, " (keyslot %u%s)", p->number, p->keyholt ? ", made by Keyholt" : "");
    snprintf(ret, cap, "%s%s%s%s", p->type, id[0] ? " " : "", id, slot);
}
