/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/boot/device_path.h"
#include "agent/boot/efivar.h"
#include "agent/boot/handoff.h"
#include "crypto/cursor.h"
#include "crypto/host/file.h"
#include "formats/handoff.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define ENTRY_TEXT 256

/* UCS-2 up to its zero or to the end, as ASCII; what is not ASCII becomes '?', which no name of ours has. */
static void read_ucs2(struct reader *r, char *ret, size_t cap)
{
    size_t n = 0;
    while (reader_left(r) >= 2) {
        uint16_t c = reader_u16(r);
        if (c == 0)
            break;
        if (n + 1 < cap)
            ret[n++] = c < 0x80 ? (char)c : '?';
    }
    ret[n] = 0;
}

/* The body of the path's next node of this kind. err: NOT_FOUND */
static enum err find_node(struct reader *path, uint8_t want, struct reader *ret)
{
    while (reader_left(path) >= 4) {
        uint8_t type = reader_u8(path), subtype = reader_u8(path);
        uint16_t node_len = reader_u16(path);
        if (type == NODE_END || node_len < 4)
            return ERR_NOT_FOUND;
        const uint8_t *node = reader_take(path, node_len - 4u);
        if (!node)
            return ERR_NOT_FOUND;
        if (type == NODE_MEDIA && subtype == want) {
            reader_init(ret, node, node_len - 4u);
            return ERR_OK;
        }
    }
    return ERR_NOT_FOUND;
}

/* Device path: the last file path node's text, empty when there is none. */
static void read_file_path(struct reader *r, size_t len, char *ret, size_t cap)
{
    const uint8_t *base = reader_take(r, len);
    struct reader path, text;
    ret[0] = 0;
    if (!base)
        return;
    reader_init(&path, base, len);
    while (find_node(&path, NODE_FILE_PATH, &text) == ERR_OK)
        read_ucs2(&text, ret, cap);
}

static bool ends_with(const char *path, const char *end)
{
    size_t n = strlen(path), want = strlen(end);
    return n >= want && strcasecmp(path + n - want, end) == 0;
}

/* EFI_LOAD_OPTION: the app itself, or shim told to start it. source: UEFI 2.10 section 3.1.3 */
static bool is_ours(const uint8_t *option, size_t len)
{
    struct reader r;
    char description[ENTRY_TEXT], path[ENTRY_TEXT], argument[ENTRY_TEXT] = "";

    reader_init(&r, option, len);
    reader_skip(&r, 4); /* attributes: an inactive entry still answers to BootNext */
    uint16_t path_len = reader_u16(&r);
    read_ucs2(&r, description, sizeof description);
    read_file_path(&r, path_len, path, sizeof path);
    if (r.err != ERR_OK || strcmp(description, KH_BOOT_ENTRY) != 0)
        return false;
    if (ends_with(path, KH_ESP_APP))
        return true;
    if (reader_left(&r) > 0)
        read_ucs2(&r, argument, sizeof argument);
    return r.err == ERR_OK && ends_with(path, "\\shimx64.efi") && strcasecmp(argument, KH_ESP_APP) == 0;
}

/* "Boot01AF-<global GUID>": four upper-case hex digits, nothing else. */
static bool entry_number(const char *file, uint16_t *ret)
{
    unsigned number = 0;
    if (strncmp(file, "Boot", 4) != 0 || strcmp(file + strnlen(file, 8), "-" EFIVAR_GLOBAL) != 0)
        return false;
    for (const char *p = file + 4; p < file + 8; p++) {
        if (!isxdigit((unsigned char)*p) || islower((unsigned char)*p))
            return false;
        number = number << 4 | (unsigned)(isdigit((unsigned char)*p) ? *p - '0' : *p - 'A' + 10);
    }
    *ret = (uint16_t)number;
    return true;
}

enum err handoff_entry_find(const char *efivars, uint16_t *ret_number)
{
    uint8_t option[EFIVAR_MAX];
    size_t len;
    uint16_t number;
    char name[16];

    DIR *d = opendir(efivars);
    if (!d)
        return errno == ENOENT ? ERR_NOT_FOUND : err_from_errno(errno);
    enum err e = ERR_NOT_FOUND;
    for (struct dirent *entry; e != ERR_OK && (entry = readdir(d));) {
        if (!entry_number(entry->d_name, &number))
            continue;
        (void)snprintf(name, sizeof name, "Boot%04X", number);
        if (efivar_read(efivars, name, EFIVAR_GLOBAL, NULL, option, sizeof option, &len) == ERR_OK &&
            is_ours(option, len)) {
            *ret_number = number;
            e = ERR_OK;
        }
    }
    (void)closedir(d);
    return e;
}

enum err handoff_entry_partition(const char *efivars, uint16_t number, struct guid *ret)
{
    uint8_t option[EFIVAR_MAX];
    char name[16], description[ENTRY_TEXT];
    struct reader r, path, disk;
    struct guid guid;
    size_t len;
    (void)snprintf(name, sizeof name, "Boot%04X", number);
    TRY(efivar_read(efivars, name, EFIVAR_GLOBAL, NULL, option, sizeof option, &len));
    reader_init(&r, option, len);
    reader_skip(&r, 4);
    uint16_t path_len = reader_u16(&r);
    read_ucs2(&r, description, sizeof description);
    const uint8_t *base = reader_take(&r, path_len);
    if (!base)
        return ERR_NOT_FOUND;
    reader_init(&path, base, path_len);
    TRY(find_node(&path, NODE_HARD_DISK, &disk));
    reader_skip(&disk, 4 + 8 + 8); /* number, first sector, sectors */
    reader_bytes(&disk, guid.bytes, sizeof guid.bytes);
    bool gpt = reader_u8(&disk) == BY_GPT && reader_u8(&disk) == BY_GPT;
    if (disk.err != ERR_OK || !gpt)
        return ERR_NOT_FOUND;
    *ret = guid;
    return ERR_OK;
}

enum err handoff_entry_next(const char *efivars, uint16_t number, enum kh_reason reason)
{
    const uint32_t attributes = EFIVAR_NV | EFIVAR_BS | EFIVAR_RT;
    const time_t trusted_from = 1577836800; /* 2020-01-01: an earlier clock was never set */
    const uint8_t next[2] = {(uint8_t)number, (uint8_t)(number >> 8)};
    uint8_t bytes[HANDOFF_REASON_LEN];
    time_t now = time(NULL);
    struct handoff_reason r = {.reason = (uint8_t)reason, .time = now >= trusted_from ? (uint64_t)now : 0};

    handoff_reason_encode(&r, bytes);
    TRY(efivar_write(efivars, KH_VAR_REASON, KH_EFI_GUID_TEXT, attributes, bytes, sizeof bytes));
    enum err e = efivar_write(efivars, "BootNext", EFIVAR_GLOBAL, attributes, next, sizeof next);
    /* a later start of the recovery app must not be told a reason that was not its own */
    if (e != ERR_OK && efivar_delete(efivars, KH_VAR_REASON, KH_EFI_GUID_TEXT) != ERR_OK)
        fprintf(stderr, "keyholt: the variable " KH_VAR_REASON " could not be deleted again\n");
    return e;
}
