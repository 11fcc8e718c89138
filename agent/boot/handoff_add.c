/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/boot/device_path.h"
#include "agent/boot/efivar.h"
#include "agent/boot/handoff.h"
#include "crypto/cursor.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ACTIVE  1u /* LOAD_OPTION_ACTIVE. source: UEFI 2.10 section 3.1.3 */
#define NUMBERS 0x10000u

static void put_ucs2(struct writer *w, const char *ascii)
{
    do
        writer_u16(w, (uint8_t)*ascii);
    while (*ascii++);
}

static void put_node(struct writer *w, uint8_t type, uint8_t subtype, size_t len)
{
    writer_u8(w, type);
    writer_u8(w, subtype);
    writer_u16(w, (uint16_t)len);
}

void handoff_option_encode(const struct handoff_esp *esp, uint8_t *ret, size_t *ret_len)
{
    const size_t file_len = NODE_HEAD + 2 * sizeof KH_ESP_APP;
    struct writer w;
    writer_init(&w, ret, EFIVAR_MAX);
    writer_u32(&w, ACTIVE);
    writer_u16(&w, (uint16_t)(HARD_DISK_LEN + file_len + NODE_HEAD));
    put_ucs2(&w, KH_BOOT_ENTRY);
    put_node(&w, NODE_MEDIA, NODE_HARD_DISK, HARD_DISK_LEN);
    writer_u32(&w, esp->number);
    writer_u64(&w, esp->first);
    writer_u64(&w, esp->n);
    writer_bytes(&w, esp->guid.bytes, sizeof esp->guid.bytes);
    writer_u8(&w, BY_GPT);
    writer_u8(&w, BY_GPT);
    put_node(&w, NODE_MEDIA, NODE_FILE_PATH, file_len);
    put_ucs2(&w, KH_ESP_APP);
    put_node(&w, NODE_END, END_WHOLE, NODE_HEAD);
    if (writer_end(&w, ret_len) != ERR_OK)
        *ret_len = 0; /* cannot be: all lengths are fixed */
}

/* A number is free when no file has it: whatever cannot be read is somebody's. */
static enum err lowest_free(const char *efivars, uint16_t *ret)
{
    char path[512];
    for (unsigned i = 0; i < NUMBERS; i++) {
        int n = snprintf(path, sizeof path, "%s/Boot%04X-" EFIVAR_GLOBAL, efivars, i);
        if (n < 0 || (size_t)n >= sizeof path)
            return ERR_RANGE;
        if (access(path, F_OK) != 0 && errno == ENOENT) {
            *ret = (uint16_t)i;
            return ERR_OK;
        }
    }
    return ERR_FULL;
}

enum err handoff_entry_put(const char *efivars, const struct handoff_esp *esp, uint16_t number)
{
    uint8_t option[EFIVAR_MAX];
    size_t len;
    char name[16];
    handoff_option_encode(esp, option, &len);
    (void)snprintf(name, sizeof name, "Boot%04X", number);
    return efivar_write(efivars, name, EFIVAR_GLOBAL, EFIVAR_NV | EFIVAR_BS | EFIVAR_RT, option, len);
}

enum err handoff_entry_add(const char *efivars, const struct handoff_esp *esp, uint16_t *ret_number)
{
    uint16_t number;
    TRY(lowest_free(efivars, &number));
    TRY(handoff_entry_put(efivars, esp, number));
    *ret_number = number;
    return ERR_OK;
}
