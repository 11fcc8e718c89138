/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/boot/handoff.h"
#include "formats/host/json_strict.h"
#include <errno.h>
#include <libcryptsetup.h>
#include <string.h>

/* One place for libcryptsetup's codes as this helper meets them. */
static enum err from_cryptsetup(int r)
{
    switch (r) {
    case -EPERM:
        return ERR_AUTH;
    case -ENOENT:
        return ERR_NOT_FOUND;
    case -EINVAL:
        return ERR_FORMAT;
    case -ENOMEM:
        return ERR_NOMEM;
    case -EBUSY:
    case -EEXIST:
        return ERR_BUSY;
    default:
        return r < 0 ? ERR_IO : ERR_OK;
    }
}

enum err handoff_volume_load(const struct handoff_args *a, struct crypt_device **ret, struct guid *ret_uuid)
{
    struct crypt_device *cd = NULL;
    struct guid uuid;

    /* No token plug-ins: nothing is to be loaded into this process by a name found on a disk. */
    crypt_token_external_disable();
    int r = a->header ? crypt_init_data_device(&cd, a->header, a->device) : crypt_init(&cd, a->device);
    if (r == 0)
        r = crypt_load(cd, CRYPT_LUKS2, NULL);
    enum err e = from_cryptsetup(r);
    const char *text = e == ERR_OK ? crypt_get_uuid(cd) : NULL;
    if (e == ERR_OK)
        e = text ? guid_decode(text, strlen(text), &uuid) : ERR_FORMAT;
    if (e != ERR_OK) {
        crypt_free(cd);
        return e;
    }
    *ret = cd;
    *ret_uuid = uuid;
    return ERR_OK;
}

static bool token_is_ours(struct crypt_device *cd, int token)
{
    const char *type = NULL;
    crypt_token_info info = crypt_token_status(cd, token, &type);
    return info != CRYPT_TOKEN_INVALID && info != CRYPT_TOKEN_INACTIVE && type &&
           strcmp(type, KH_TOKEN_TYPE) == 0;
}

bool handoff_volume_is_ours(struct crypt_device *cd)
{
    for (int token = 0; token < crypt_token_max(CRYPT_LUKS2); token++)
        if (token_is_ours(cd, token))
            return true;
    return false;
}

static bool token_names_key(struct crypt_device *cd, int token, const struct guid *key_id)
{
    const char *json, *text;
    struct json_object *o;
    struct guid found;

    if (crypt_token_json_get(cd, token, &json) < 0 || json_strict_parse(json, strlen(json), &o) != ERR_OK)
        return false;
    bool same = json_get_text(o, "key_id", GUID_TEXT, &text) == ERR_OK &&
                guid_decode(text, strlen(text), &found) == ERR_OK && guid_equal(&found, key_id);
    json_object_put(o);
    return same;
}

/* Bit i: keyslot i belongs to a token with this key ID. */
static uint32_t slots_of_key(struct crypt_device *cd, const struct guid *key_id)
{
    uint32_t slots = 0;
    for (int token = 0; token < crypt_token_max(CRYPT_LUKS2); token++) {
        if (!token_is_ours(cd, token) || !token_names_key(cd, token, key_id))
            continue;
        for (int slot = 0; slot < crypt_keyslot_max(CRYPT_LUKS2); slot++)
            if (crypt_token_is_assigned(cd, token, slot) == 0)
                slots |= 1u << slot;
    }
    return slots;
}

/* Bit i: keyslot i has a PBKDF2 count that only recovery slots have. source: docs/formats.md#luks2-token */
static uint32_t slots_by_count(struct crypt_device *cd)
{
    uint32_t slots = 0;
    for (int slot = 0; slot < crypt_keyslot_max(CRYPT_LUKS2); slot++) {
        struct crypt_pbkdf_type kdf;
        crypt_keyslot_info info = crypt_keyslot_status(cd, slot);
        if ((info == CRYPT_SLOT_ACTIVE || info == CRYPT_SLOT_ACTIVE_LAST) &&
            crypt_keyslot_get_pbkdf(cd, slot, &kdf) == 0 && strcmp(kdf.type, CRYPT_KDF_PBKDF2) == 0 &&
            kdf.iterations >= KH_PBKDF2_MIN && kdf.iterations <= KH_PBKDF2_MAX)
            slots |= 1u << slot;
    }
    return slots;
}

static enum err try_slots(struct crypt_device *cd, uint32_t slots, const char *name,
                          const struct secret *passphrase, uint32_t activate)
{
    enum err e = ERR_AUTH;
    for (int slot = 0; slots && e == ERR_AUTH; slot++, slots >>= 1)
        if (slots & 1)
            e = from_cryptsetup(crypt_activate_by_passphrase(cd, name, slot, (const char *)passphrase->bytes,
                                                             passphrase->len, activate));
    return e;
}

enum err handoff_volume_open(struct crypt_device *cd, const struct guid *key_id, const char *name,
                             const struct secret *passphrase, uint32_t activate)
{
    uint32_t first = slots_of_key(cd, key_id);
    enum err e = try_slots(cd, first, name, passphrase, activate);
    return e == ERR_AUTH ? try_slots(cd, slots_by_count(cd) & ~first, name, passphrase, activate) : e;
}
