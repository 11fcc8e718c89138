/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/keeper/startup.h"
#include "agent/boot/boot_event.h"
#include "agent/boot/esp.h"
#include "agent/boot/privileged.h"
#include "agent/boot/used_wait.h"
#include "agent/keeper/notice.h"
#include "agent/sync/identity.h"
#include "agent/volume/rotate.h"
#include "agent/volume/verify.h"
#include <stdio.h>

static void collect_event(struct agent *a)
{
    struct boot_event b;
    char id[9];
    enum err e = boot_event_collect(a, &b);
    if (e == ERR_OK) {
        guid_short(&b.key_id, id);
        (void)fprintf(stderr, "keeper: the recovery app %s a volume with key %s at this boot\n",
                      b.result == BOOT_OPENED ? "opened" : "did not open", id);
    } else if (e != ERR_NOT_FOUND) {
        (void)fprintf(stderr, "keeper: the boot event cannot be kept, or not deleted: %s\n", err_text(e));
    }
}

static enum err hand_off(struct agent *a)
{
    __attribute__((cleanup(used_passwords_wipe))) struct used_passwords used = {.n = 0};
    enum err e = privileged_take_passwords(a, &used);
    if (e != ERR_OK)
        (void)fprintf(stderr, "keeper: the kernel's keyring cannot be looked at: %s\n", err_text(e));
    e = privileged_delete_share(a);
    if (e != ERR_OK)
        (void)fprintf(stderr, "keeper: a share of a used recovery password is still in the firmware: %s\n",
                      err_text(e));
    collect_event(a);
    TRY(privileged_drop());
    used_wait_start(a, &used);
    return ERR_OK;
}

static void replaced_alone(struct agent *a, const struct protect_result *r)
{
    (void)a;
    used_wait_forget(&r->volume);
}

/* Its first record comes before all others. */
static void say_identity(struct agent *a)
{
    const char *trouble = identity_trouble(a);
    if (trouble)
        (void)fprintf(stderr, "keeper: %s\n", trouble);
    if (a->key.trouble != ERR_OK)
        (void)fprintf(stderr, "keeper: the TPM %s: %s\n",
                      a->key.place == DEVICE_KEY_TPM ? "that holds the device key cannot be used now"
                                                     : "cannot hold the device key, which is a file now",
                      err_text(a->key.trouble));
    enum err e = identity_announce(a);
    if (e != ERR_OK)
        (void)fprintf(stderr, "keeper: what waits for the device key cannot be signed yet: %s\n",
                      err_text(e));
}

enum err startup(struct agent *a)
{
    say_identity(a);
    verify_volumes(a);
    TRY(hand_off(a));
    rotate_pending(a, replaced_alone); /* what waits, and the management key opens */
    esp_refresh(a);
    notice_update(a);
    return ERR_OK;
}
