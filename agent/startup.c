/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/startup.h"
#include "agent/boot_event.h"
#include "agent/esp.h"
#include "agent/identity.h"
#include "agent/keeper.h"
#include "agent/notice.h"
#include "agent/privileged.h"
#include "agent/rotate.h"
#include "agent/verify.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* source: invariant 2, ten minutes in all; the kernel key had a part of them */
#define KEEP_MS  (9 * 60 * 1000)
#define RETRY_MS (15 * 1000)

void startup_volumes(struct agent *a)
{
    verify_volumes(a);
}

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

/* Passwords used at this boot whose volume could not be rotated yet, in the keeper's locked memory. After
 * their time only the volume and the reason stay, for status. */
static struct waiting {
    struct used_passwords used;
    struct problem why[USED_PASSWORDS];
    int64_t until_ms, next_ms;
} waiting;

static void keep_note(struct agent *a, const struct guid *volume, const char *why)
{
    if (rotate_want(a, volume, KH_CAUSE_USED, why) != ERR_OK)
        (void)fprintf(stderr, "keeper: nor can that be kept in the cache\n");
}

/* Nothing was changed, and it may go away by itself: a full disk, somebody who is at the header. */
static bool may_pass(enum err e)
{
    return e == ERR_FULL || e == ERR_BUSY || e == ERR_IO || e == ERR_NOMEM;
}

static enum err rotate_device(struct agent *a, const struct used_password *u, struct problem *why,
                              struct protect_result *ret)
{
    struct cache_volume *v = malloc(sizeof *v);
    struct header *h = NULL;
    UNLOCK(unlock);
    unlock.kind = UNLOCK_PASSPHRASE;
    unlock.secret = u->text;
    enum err e = v ? cache_get_volume(a->cache, &u->volume, v) : ERR_NOMEM;
    if (e == ERR_OK)
        e = header_open(v->device, why, &h);
    if (e == ERR_OK)
        e = rotate_volume(a, h, &unlock, KH_CAUSE_USED, ret);
    header_close(h);
    free(v);
    return e;
}

/* The used password authorises its own replacement. */
static enum err rotate_used(struct agent *a, const struct used_password *u, struct problem *why)
{
    struct protect_result r;
    char uuid[GUID_TEXT], id[9];
    guid_encode_lower(&u->volume, uuid);
    *why = (struct problem){"its device is not there"};
    enum err e = rotate_device(a, u, why, &r);
    if (e == ERR_OK) {
        guid_short(&r.key_id, id);
        (void)fprintf(stderr,
                      "keeper: volume %s: the used recovery password is replaced; key %s is in use now\n",
                      uuid, id);
    } else {
        (void)fprintf(stderr, "keeper: the used recovery password cannot be replaced: %s\n", why->text);
        keep_note(a, &u->volume, why->text);
    }
    return e;
}

static void take_out(unsigned i)
{
    secret_wipe(&waiting.used.item[i].text);
    waiting.used.n--;
    waiting.used.item[i] = waiting.used.item[waiting.used.n];
    waiting.why[i] = waiting.why[waiting.used.n];
    secret_wipe(&waiting.used.item[waiting.used.n].text);
}

static void try_one(struct agent *a, unsigned i)
{
    struct used_password *u = &waiting.used.item[i];
    struct problem why;
    enum err e = u->text.len ? rotate_used(a, u, &why) : ERR_BUSY;
    if (e == ERR_OK || e == ERR_AUTH) {
        if (e == ERR_AUTH) /* it was replaced at the last try, and only the cache did not follow */
            startup_volumes(a);
        take_out(i);
        return;
    }
    if (u->text.len)
        waiting.why[i] = why;
    if (!may_pass(e))
        secret_wipe(&u->text);
}

int64_t startup_retry(struct agent *a, bool at_once)
{
    int64_t now = keeper_now_ms();
    bool secrets = false;
    if (waiting.used.n == 0)
        return -1;
    for (unsigned i = 0; now >= waiting.until_ms && i < waiting.used.n; i++)
        secret_wipe(&waiting.used.item[i].text);
    if (at_once || now >= waiting.next_ms) {
        for (unsigned i = waiting.used.n; i-- > 0;)
            try_one(a, i);
        waiting.next_ms = now + RETRY_MS;
    }
    for (unsigned i = 0; i < waiting.used.n; i++)
        secrets = secrets || waiting.used.item[i].text.len;
    return !secrets ? -1 : waiting.next_ms > now ? waiting.next_ms - now : 0;
}

const char *startup_waits(const struct guid *volume)
{
    for (unsigned i = 0; i < waiting.used.n; i++)
        if (guid_equal(&waiting.used.item[i].volume, volume))
            return waiting.why[i].text;
    return NULL;
}

void startup_forget(const struct guid *volume)
{
    for (unsigned i = waiting.used.n; i-- > 0;)
        if (guid_equal(&waiting.used.item[i].volume, volume))
            take_out(i);
}

/* One that cannot be used now is kept for a while: what went wrong may pass. */
static void use_passwords(struct agent *a, const struct used_passwords *used)
{
    struct problem why;
    for (unsigned i = 0; i < used->n; i++)
        if (may_pass(rotate_used(a, &used->item[i], &why))) {
            waiting.used.item[waiting.used.n] = used->item[i];
            waiting.why[waiting.used.n++] = why;
        }
    waiting.until_ms = keeper_now_ms() + KEEP_MS;
    waiting.next_ms = keeper_now_ms() + RETRY_MS;
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
    use_passwords(a, &used);
    return ERR_OK;
}

static void replaced_alone(struct agent *a, const struct protect_result *r)
{
    (void)a;
    startup_forget(&r->volume);
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
    startup_volumes(a);
    TRY(hand_off(a));
    rotate_pending(a, replaced_alone); /* what waits, and the management key opens */
    esp_refresh(a);
    notice_update(a);
    return ERR_OK;
}
