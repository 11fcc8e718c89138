/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/load_option.h"
#include "efi/variables.h"

#define ACTIVE        0x00000001u
#define CATEGORY      0x00001f00u
#define CATEGORY_BOOT 0x00000000u
#define HEADER        6u

/* Shim was told to start us: its argument is our file. */
static bool asks_for_us(const uint8_t *data, size_t len)
{
    static const char app[] = KH_ESP_APP;
    size_t i = 0;
    while (app[i] && 2 * i + 1 < len && data[2 * i] == (unsigned char)app[i] && data[2 * i + 1] == 0)
        i++;
    return !app[i];
}

static enum err decode(const uint8_t *p, size_t len, struct load_option *ret)
{
    if (len < HEADER + 2)
        return ERR_FORMAT;
    size_t path_len = p[4] | (size_t)p[5] << 8, off = HEADER;
    while (off + 2 <= len && (p[off] || p[off + 1]))
        off += 2;
    off += 2;
    if (off > len || path_len > len - off)
        return ERR_FORMAT;
    uint32_t attributes = p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    ret->description = p + HEADER;
    ret->path = (const EFI_DEVICE_PATH *)(p + off);
    ret->data = p + off + path_len;
    ret->data_len = len - off - path_len;
    if (device_path_len(ret->path, path_len) == 0)
        return ERR_FORMAT;
    ret->kind = device_path_kind(ret->path);
    ret->wanted = (attributes & ACTIVE) && (attributes & CATEGORY) == CATEGORY_BOOT &&
                  !device_path_is_ours(ret->path) && !asks_for_us(ret->data, ret->data_len) &&
                  ret->kind != DEVICE_PATH_NETWORK;
    return ERR_OK;
}

enum err load_option_read(uint16_t number, void **ret_memory, struct load_option *ret)
{
    static const char hex[] = "0123456789ABCDEF";
    CHAR16 name[] = L"Boot0000";
    UINTN len = 0;
    for (int i = 0; i < 4; i++)
        name[7 - i] = (CHAR16)(unsigned char)hex[number >> (4 * i) & 15];
    uint8_t *p = variables_firmware(name, &len);
    if (!p)
        return ERR_NOT_FOUND;
    enum err e = decode(p, len, ret);
    if (e != ERR_OK)
        firmware_free(p);
    else
        *ret_memory = p;
    return e;
}

void load_option_name(const struct load_option *o, char *ret, size_t cap)
{
    const uint8_t *utf16 = o->description;
    size_t i = 0;
    for (; i < cap - 1 && (utf16[2 * i] || utf16[2 * i + 1]); i++)
        ret[i] = utf16[2 * i + 1] || utf16[2 * i] < 0x20 || utf16[2 * i] > 0x7e ? '?' : (char)utf16[2 * i];
    ret[i] = '\0';
}

uint8_t *load_option_order(size_t *ret_n)
{
    UINTN len = 0;
    uint8_t *order = variables_firmware(L"BootOrder", &len);
    *ret_n = len / 2;
    return order;
}

uint16_t load_option_number(const uint8_t *order, size_t i)
{
    return (uint16_t)(order[2 * i] | order[2 * i + 1] << 8);
}
