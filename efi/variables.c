/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/variables.h"
#include "crypto/random.h"
#include <string.h>

#define ATTR_RAM     (EFI_VARIABLE_BOOTSERVICE_ACCESS | EFI_VARIABLE_RUNTIME_ACCESS)
#define ATTR_FLASH   (ATTR_RAM | EFI_VARIABLE_NON_VOLATILE)
#define NAME_MAX_LEN 24

static EFI_GUID vendor = KH_EFI_GUID_INIT;
static bool handed_off;

/* The names are ASCII in formats/names.h. */
static void widen(const char *name, CHAR16 ret[static NAME_MAX_LEN])
{
    size_t i = 0;
    for (; i < NAME_MAX_LEN - 1 && name[i]; i++)
        ret[i] = (unsigned char)name[i];
    ret[i] = 0;
}

static enum err set(const char *name, UINT32 attributes, const void *data, size_t len)
{
    CHAR16 wide[NAME_MAX_LEN];
    uint8_t copy[HANDOFF_SHARE_LEN]; /* the longest; firmware wants it writable */
    if (len > sizeof copy)
        return ERR_INTERNAL;
    widen(name, wide);
    memcpy(copy, data, len);
    enum err e = err_from_efi(fw.rt->SetVariable(wide, &vendor, attributes, len, copy));
    cr_wipe(copy, sizeof copy);
    return e;
}

/* Deleting needs the attributes a variable has only where firmware is strict; length 0 is what deletes. */
static void delete (const char *name, UINT32 attributes)
{
    CHAR16 wide[NAME_MAX_LEN];
    widen(name, wide);
    fw.rt->SetVariable(wide, &vendor, attributes, 0, NULL);
}

/* What no firmware takes is no loss: then the build before stays longer. */
void variables_tell_app(const uint8_t hash[static 32])
{
    (void)!set(KH_VAR_APP, ATTR_RAM, hash, 32);
}

void variables_start(struct handoff_reason *ret)
{
    CHAR16 wide[NAME_MAX_LEN];
    uint8_t data[HANDOFF_REASON_LEN];
    UINTN len = sizeof data;
    *ret = (struct handoff_reason){.reason = KH_REASON_UNKNOWN};
    widen(KH_VAR_REASON, wide);
    EFI_STATUS s = fw.rt->GetVariable(wide, &vendor, NULL, &len, data);
    if (s == EFI_SUCCESS && handoff_reason_decode(data, len, ret) != ERR_OK)
        *ret = (struct handoff_reason){.reason = KH_REASON_UNKNOWN};
    if (s == EFI_SUCCESS || s == EFI_BUFFER_TOO_SMALL)
        delete (KH_VAR_REASON, ATTR_FLASH);
    delete (KH_VAR_SHARE, ATTR_FLASH);
    delete (KH_VAR_PAD, ATTR_RAM);
}

static enum err set_shares(const uint8_t pad[static HANDOFF_SHARE_LEN],
                           const uint8_t share[static HANDOFF_SHARE_LEN])
{
    TRY(set(KH_VAR_PAD, ATTR_RAM, pad, HANDOFF_SHARE_LEN));
    TRY(set(KH_VAR_SHARE, ATTR_FLASH, share, HANDOFF_SHARE_LEN));
    return ERR_OK;
}

enum err variables_hand_off(const struct guid *volume, const struct guid *key_id,
                            const uint8_t password[static RP_BYTES])
{
    uint8_t fresh[16 + RP_BYTES]; /* nonce, pad */
    uint8_t pad[HANDOFF_SHARE_LEN], share[HANDOFF_SHARE_LEN];
    TRY(cr_random(fresh, sizeof fresh));
    handoff_split(volume, key_id, fresh, fresh + 16, password, pad, share);
    enum err e = set_shares(pad, share);
    handed_off = e == ERR_OK;
    if (e != ERR_OK) {
        delete (KH_VAR_SHARE, ATTR_FLASH);
        delete (KH_VAR_PAD, ATTR_RAM);
    }
    cr_wipe(fresh, sizeof fresh);
    cr_wipe(pad, sizeof pad);
    cr_wipe(share, sizeof share);
    return e;
}

bool variables_handed_off(void)
{
    return handed_off;
}

static bool exists(const char *name)
{
    CHAR16 wide[NAME_MAX_LEN];
    UINTN len = 0;
    widen(name, wide);
    return fw.rt->GetVariable(wide, &vendor, NULL, &len, NULL) != EFI_NOT_FOUND;
}

enum err variables_withdraw(void)
{
    delete (KH_VAR_SHARE, ATTR_FLASH);
    delete (KH_VAR_PAD, ATTR_RAM);
    if (exists(KH_VAR_SHARE) || exists(KH_VAR_PAD))
        return ERR_IO;
    handed_off = false;
    return ERR_OK;
}

/* An agent that has read it deletes it. */
static bool opening_is_unread(void)
{
    CHAR16 wide[NAME_MAX_LEN];
    uint8_t data[HANDOFF_EVENT_LEN];
    UINTN len = sizeof data;
    struct boot_event old;
    widen(KH_VAR_EVENT, wide);
    return fw.rt->GetVariable(wide, &vendor, NULL, &len, data) == EFI_SUCCESS &&
           boot_event_decode(data, len, &old) == ERR_OK && old.result == BOOT_OPENED;
}

enum err variables_event(const struct boot_event *e)
{
    uint8_t data[HANDOFF_EVENT_LEN];
    if (e->result != BOOT_OPENED && opening_is_unread())
        return ERR_OK;
    boot_event_encode(e, data);
    return set(KH_VAR_EVENT, ATTR_FLASH, data, sizeof data);
}

void *variables_firmware(const CHAR16 *name, UINTN *ret_len)
{
    static EFI_GUID global = EFI_GLOBAL_VARIABLE;
    CHAR16 copy[NAME_MAX_LEN];
    UINTN len = 0;
    size_t i = 0;
    for (; i < NAME_MAX_LEN - 1 && name[i]; i++)
        copy[i] = name[i];
    copy[i] = 0;
    if (fw.rt->GetVariable(copy, &global, NULL, &len, NULL) != EFI_BUFFER_TOO_SMALL)
        return NULL;
    void *p = firmware_alloc(len + 2); /* a zero character behind what may be a text */
    if (p && fw.rt->GetVariable(copy, &global, NULL, &len, p) == EFI_SUCCESS) {
        *ret_len = len;
        return p;
    }
    firmware_free(p);
    return NULL;
}

/* source: UEFI 2.10, 8.5.4 */
#define BOOT_TO_FIRMWARE_UI 1u

static uint64_t indications(const CHAR16 *name)
{
    UINTN len = 0;
    uint64_t v = 0;
    void *p = variables_firmware(name, &len);
    if (p)
        memcpy(&v, p, len < sizeof v ? len : sizeof v);
    firmware_free(p);
    return v;
}

bool variables_can_setup(void)
{
    return indications(L"OsIndicationsSupported") & BOOT_TO_FIRMWARE_UI;
}

enum err variables_ask_setup(void)
{
    static EFI_GUID global = EFI_GLOBAL_VARIABLE;
    CHAR16 name[] = L"OsIndications";
    uint64_t v = indications(name) | BOOT_TO_FIRMWARE_UI;
    return err_from_efi(fw.rt->SetVariable(name, &global, ATTR_FLASH, sizeof v, &v));
}
