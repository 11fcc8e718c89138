/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/boot/efivar.h"
#include "agent/boot/handoff.h"
#include "formats/handoff.h"
#include <keyutils.h>
#include <libcryptsetup.h>
#include <stdio.h>

/* What was found in the two variables. */
struct found {
    struct guid volume, key_id;
    struct secret password; /* 16 bytes */
};

static void found_wipe(struct found *f)
{
    secret_wipe(&f->password);
}

static enum err read_shares(const char *efivars, struct found *ret)
{
    uint8_t pad[HANDOFF_SHARE_LEN], share[HANDOFF_SHARE_LEN];
    size_t pad_len, share_len;

    enum err e = efivar_read(efivars, KH_VAR_PAD, KH_EFI_GUID_TEXT, NULL, pad, sizeof pad, &pad_len);
    if (e == ERR_OK)
        e = efivar_read(efivars, KH_VAR_SHARE, KH_EFI_GUID_TEXT, NULL, share, sizeof share, &share_len);
    if (e == ERR_OK)
        e = handoff_join(pad, pad_len, share, share_len, &ret->volume, &ret->key_id, &ret->password);
    cr_wipe(pad, sizeof pad);
    cr_wipe(share, sizeof share);
    return e;
}

/* Leave the 16 bytes for the keeper, which rotates the password that was used. In a session keyring of this
 * process alone that links the user keyring: only a possessor may set timeout and permissions. */
static bool leave_key(const struct guid *volume, const struct secret *password)
{
    const key_perm_t perm = KEY_POS_VIEW | KEY_POS_READ | KEY_POS_SEARCH | KEY_POS_SETATTR | KEY_USR_VIEW |
                            KEY_USR_READ | KEY_USR_SEARCH;
    char description[sizeof KH_KEYRING_PREFIX + GUID_TEXT], uuid[GUID_TEXT];

    guid_encode_lower(volume, uuid);
    (void)snprintf(description, sizeof description, "%s%s", KH_KEYRING_PREFIX, uuid);
    if (keyctl_join_session_keyring(NULL) < 0 ||
        keyctl_link(KEY_SPEC_USER_KEYRING, KEY_SPEC_SESSION_KEYRING) < 0)
        return false;
    key_serial_t key = add_key("user", description, password->bytes, password->len, KEY_SPEC_USER_KEYRING);
    if (key < 0)
        return false;
    if (keyctl_set_timeout(key, KH_KEYRING_SECONDS) == 0 && keyctl_setperm(key, perm) == 0)
        return true;
    /* A key that never expires is worse than none. */
    (void)keyctl_unlink(key, KEY_SPEC_USER_KEYRING);
    return false;
}

static int open_volume(const struct handoff_args *a, struct crypt_device *cd, const struct found *f)
{
    SECRET(passphrase);
    rp_encode(f->password.bytes, &passphrase);
    enum err e = handoff_volume_open(cd, &f->key_id, a->test ? NULL : a->name, &passphrase, a->activate);
    if (e == ERR_AUTH)
        fprintf(stderr,
                "keyholt: %s: the recovery password that was handed over opens no keyslot; type it at the "
                "prompt or restart into recovery\n",
                a->device);
    else if (e != ERR_OK)
        fprintf(stderr, "keyholt: %s: setting up %s failed: %s; type the passphrase at the prompt\n",
                a->device, a->name ? a->name : "the mapping", err_text(e));
    if (e != ERR_OK)
        return KH_EXIT_FAILED;
    if (!leave_key(&f->volume, &f->password))
        fprintf(stderr,
                "keyholt: %s: opened, but the kernel keeps no key for the agent; the used recovery password "
                "stays valid until it is rotated by hand: keyholt-agent rotate\n",
                a->device);
    return KH_EXIT_OK;
}

/* The volume is checked before the share is deleted, so that a share for the second of two volumes outlives
 * the look at the first; and the share is gone before anything is opened, so that no crash can leave both. */
static int delete_and_open(const struct handoff_args *a, struct crypt_device *cd, const struct found *f)
{
    enum err e = efivar_delete(a->efivars, KH_VAR_SHARE, KH_EFI_GUID_TEXT);
    if (e != ERR_OK) {
        fprintf(stderr,
                "keyholt: the variable " KH_VAR_SHARE
                " could not be deleted (%s), so the volume is not opened "
                "with it; type the recovery password at the prompt\n",
                err_text(e));
        return KH_EXIT_FAILED;
    }
    return open_volume(a, cd, f);
}

int handoff_open(const struct handoff_args *a)
{
    __attribute__((cleanup(found_wipe))) struct found f = {0};
    struct crypt_device *cd;
    struct guid uuid;

    enum err e = read_shares(a->efivars, &f);
    if (e == ERR_NOT_FOUND)
        return KH_EXIT_NO;
    if (e != ERR_OK) {
        fprintf(
            stderr,
            "keyholt: what the recovery app handed over cannot be used (%s); type the recovery password at "
            "the prompt\n",
            err_text(e));
        return KH_EXIT_FAILED;
    }
    e = handoff_volume_load(a, &cd, &uuid);
    if (e == ERR_FORMAT)
        return KH_EXIT_NO; /* not LUKS2: nothing is ever handed over for such a volume */
    if (e != ERR_OK) {
        fprintf(stderr, "keyholt: %s: the LUKS2 header cannot be read: %s\n", a->device, err_text(e));
        return KH_EXIT_FAILED;
    }
    int code = guid_equal(&uuid, &f.volume) ? delete_and_open(a, cd, &f) : KH_EXIT_NO;
    crypt_free(cd);
    return code;
}

int handoff_clean(const struct handoff_args *a)
{
    enum err e = efivar_delete(a->efivars, KH_VAR_SHARE, KH_EFI_GUID_TEXT);
    if (e == ERR_OK || e == ERR_NOT_FOUND)
        return KH_EXIT_OK;
    fprintf(stderr, "keyholt: the variable " KH_VAR_SHARE " could not be deleted: %s\n", err_text(e));
    return KH_EXIT_FAILED;
}
