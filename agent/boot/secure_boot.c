/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/boot/secure_boot.h"
#include "agent/boot/efivar.h"
#include "crypto/host/authenticode.h"
#include "crypto/host/file.h"
#include "formats/efi_signature.h"
#include "formats/pe_signature.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Vendor GUIDs. source: UEFI 2.10 section 32.6.1; shim, MokVars.txt */
#define EFIVAR_SECURITY "d719b2cb-3d3a-4596-a3bc-dad00e67656f"
#define EFIVAR_SHIM     "605dab50-e046-4300-abb6-3dd810dd8b23"
#define ATTRIBUTES      4
#define LIST_MAX        (1u << 20)

const char *secure_boot_text(enum secure_boot s)
{
#define SECURE_BOOT_TEXT(name, text) text,
    static const char *const texts[] = {SECURE_BOOT_LIST(SECURE_BOOT_TEXT)};
#undef SECURE_BOOT_TEXT
    return texts[s];
}

const char *secure_boot_trouble(enum secure_boot s)
{
    static const char *const sentences[] = {
        [SECURE_BOOT_UNSIGNED] = "Secure Boot is on and the recovery app is not signed, so this computer "
                                 "will not start it. Sign it with a "
                                 "key that the computer trusts (SECURITY.md, \"Secure Boot\")",
        [SECURE_BOOT_DAMAGED] = "Secure Boot is on and the recovery app was changed after it was signed, so "
                                "this computer will not start "
                                "it. Install the package again, or sign it again",
        [SECURE_BOOT_STRANGER] =
            "Secure Boot is on and this computer does not know who signed the recovery app, so it will not "
            "start it. "
            "Enrol the certificate: mokutil --import, or in the firmware's db (SECURITY.md, \"Secure Boot\")",
        [SECURE_BOOT_REVOKED] = "Secure Boot is on and the recovery app or who signed it is on the "
                                "firmware's list of what may not start "
                                "(dbx). Install a newer package, or sign it with another key",
        [SECURE_BOOT_UNKNOWN] = "Secure Boot is on and the firmware's lists of trusted keys cannot be read, "
                                "so it is not known whether "
                                "this computer will start the recovery app. Start it once from the boot menu",
    };
    return s < sizeof sentences / sizeof sentences[0] ? sentences[s] : NULL;
}

static bool is_on(const char *efivars)
{
    uint8_t on;
    size_t len;
    return efivar_read(efivars, "SecureBoot", EFIVAR_GLOBAL, NULL, &on, sizeof on, &len) == ERR_OK &&
           len == 1 && on == 1;
}

/* One list variable, longer than efivar_read() reads; a missing one is an empty list. ret: malloc'ed */
static enum err read_list(const char *efivars, const char *name, const char *guid, uint8_t **ret,
                          size_t *ret_len)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/%s-%s", efivars, name, guid);
    enum err e = n > 0 && n < (int)sizeof path ? file_read(path, LIST_MAX, ret, ret_len) : ERR_RANGE;
    if (e == ERR_NOT_FOUND) {
        *ret = NULL;
        *ret_len = 0;
        return ERR_OK;
    }
    return e;
}

/* Does this entry speak of the program, by its digest or by who signed it? */
static bool names(const struct efi_signature *entry, const struct pe_signatures *app)
{
    if (entry->kind == EFI_SIGNATURE_SHA256)
        return memcmp(entry->p, app->sha256, sizeof app->sha256) == 0;
    for (unsigned i = 0; i < app->n; i++) {
        const struct cr_part *s = &app->signature[i];
        if (entry->kind == EFI_SIGNATURE_X509 &&
            authenticode_chains_to(s->p, s->len, &(struct cr_part){entry->p, entry->len}) == ERR_OK)
            return true;
        if (entry->kind == EFI_SIGNATURE_TBS_SHA256 && authenticode_brings(s->p, s->len, entry->p))
            return true;
    }
    return false;
}

/* Is the program named in this list? err: of a list that cannot be read: FORMAT, DENIED, IO */
static enum err look_up(const char *efivars, const char *name, const char *guid,
                        const struct pe_signatures *app, bool *ret)
{
    uint8_t *list;
    size_t len;
    struct efi_signatures s;
    struct efi_signature entry;
    TRY(read_list(efivars, name, guid, &list, &len));
    size_t head = len < ATTRIBUTES ? len : ATTRIBUTES;
    efi_signatures_begin(list ? list + head : (const uint8_t *)"", len - head, &s);
    *ret = false;
    while (!*ret && efi_signatures_next(&s, &entry))
        *ret = names(&entry, app);
    free(list);
    return efi_signatures_whole(&s) ? ERR_OK : ERR_FORMAT;
}

/* Is what was signed what is there? One signature that fits is enough. */
static bool is_whole(const struct pe_signatures *app)
{
    uint8_t digest[CR_SHA256_SIZE];
    for (unsigned i = 0; i < app->n; i++)
        if (authenticode_digest(app->signature[i].p, app->signature[i].len, digest) == ERR_OK &&
            memcmp(digest, app->sha256, sizeof digest) == 0)
            return true;
    return false;
}

static enum err judge(const char *efivars, const struct pe_signatures *app, enum secure_boot *ret)
{
    bool denied, by_shim_denied, by_db, by_shim;
    TRY(look_up(efivars, "dbx", EFIVAR_SECURITY, app, &denied));
    TRY(look_up(efivars, "MokListXRT", EFIVAR_SHIM, app, &by_shim_denied));
    TRY(look_up(efivars, "db", EFIVAR_SECURITY, app, &by_db));
    TRY(look_up(efivars, "MokListRT", EFIVAR_SHIM, app, &by_shim));
    *ret = denied                       ? SECURE_BOOT_REVOKED
           : by_db                      ? SECURE_BOOT_TRUSTED
           : by_shim && !by_shim_denied ? SECURE_BOOT_BY_SHIM
           : by_shim                    ? SECURE_BOOT_REVOKED
           : app->n == 0                ? SECURE_BOOT_UNSIGNED
                                        : SECURE_BOOT_STRANGER;
    return ERR_OK;
}

enum secure_boot secure_boot_judge(const char *efivars, const uint8_t *app, size_t len)
{
    struct pe_signatures s;
    enum secure_boot verdict = SECURE_BOOT_UNKNOWN;
    if (!is_on(efivars))
        return SECURE_BOOT_OFF;
    if (pe_signatures_read(app, len, &s) != ERR_OK || (s.n > 0 && !is_whole(&s)))
        return SECURE_BOOT_DAMAGED;
    return judge(efivars, &s, &verdict) == ERR_OK ? verdict : SECURE_BOOT_UNKNOWN;
}
