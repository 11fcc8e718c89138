/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/boot/privileged.h"
#include "agent/boot/efivar.h"
#include "formats/names.h"
#include "formats/recovery_password.h"
#include <keyutils.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>

void used_passwords_wipe(struct used_passwords *u)
{
    cr_wipe(u, sizeof *u);
}

/* The hand-off keeps the 55 characters that opened the volume; the 16 bytes are taken, too. */
static bool as_text(const uint8_t *p, size_t len, struct secret *ret)
{
    SECRET(bytes);
    unsigned group;
    if (len == RP_BYTES) {
        rp_encode(p, ret);
        return true;
    }
    if (rp_decode((const char *)p, len, &bytes, &group) != ERR_OK)
        return false;
    rp_encode(bytes.bytes, ret);
    return true;
}

static bool take(const struct guid *volume, struct secret *ret)
{
    char uuid[GUID_TEXT], name[sizeof KH_KEYRING_PREFIX + GUID_TEXT];
    SECRET(payload);
    guid_encode_lower(volume, uuid);
    (void)snprintf(name, sizeof name, KH_KEYRING_PREFIX "%s", uuid);
    key_serial_t key = (key_serial_t)keyctl_search(KEY_SPEC_USER_KEYRING, "user", name, 0);
    if (key < 0)
        return false;
    long len = keyctl_read(key, (char *)payload.bytes, sizeof payload.bytes);
    bool good = len > 0 && (size_t)len <= sizeof payload.bytes && as_text(payload.bytes, (size_t)len, ret);
    /* revoked, then unlinked: nobody reads it from now on, even with a link elsewhere */
    (void)keyctl_revoke(key);
    (void)keyctl_unlink(key, KEY_SPEC_USER_KEYRING);
    return good;
}

enum err privileged_take_passwords(struct agent *a, struct used_passwords *ret)
{
    unsigned n = 0;
    struct cache_volume *v = NULL;
    used_passwords_wipe(ret);
    enum err e = cache_volumes(a->cache, &v, &n);
    /* With a private session keyring, as a service has, the user keyring is not possessed and its keys cannot
     * be read until it is linked. Where that fails the reading fails, too, and nothing was used. */
    if (e == ERR_OK)
        (void)keyctl_link(KEY_SPEC_USER_KEYRING, KEY_SPEC_SESSION_KEYRING);
    for (unsigned i = 0; e == ERR_OK && i < n && ret->n < USED_PASSWORDS; i++) {
        struct used_password *u = &ret->item[ret->n];
        if (take(&v[i].uuid, &u->text)) {
            u->volume = v[i].uuid;
            ret->n++;
        }
    }
    (void)keyctl_unlink(KEY_SPEC_USER_KEYRING, KEY_SPEC_SESSION_KEYRING);
    free(v);
    return e;
}

enum err privileged_delete_share(struct agent *a)
{
    enum err e = efivar_delete(a->efivars, KH_VAR_SHARE, KH_EFI_GUID_TEXT);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

enum err privileged_drop(void)
{
    static const cap_value_t keep[] = {CAP_IPC_LOCK};
    cap_flag_value_t may_lock = CAP_CLEAR;
    cap_t now = cap_get_proc(), less = cap_init();
    int r = now && less ? cap_get_flag(now, CAP_IPC_LOCK, CAP_PERMITTED, &may_lock) : -1;
    if (r == 0 && may_lock == CAP_SET) {
        r = cap_set_flag(less, CAP_PERMITTED, 1, keep, CAP_SET);
        if (r == 0)
            r = cap_set_flag(less, CAP_EFFECTIVE, 1, keep, CAP_SET);
    }
    if (r == 0)
        r = cap_set_proc(less);
    cap_free(now);
    cap_free(less);
    return r == 0 ? ERR_OK : ERR_DENIED;
}
