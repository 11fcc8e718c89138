/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/boot/used_wait.h"
#include "agent/boot/esp.h"
#include "agent/volume/rotate.h"
#include "agent/volume/verify.h"
#include "crypto/host/monotonic.h"
#include <stdio.h>
#include <stdlib.h>

/* source: invariant 2, ten minutes in all; the kernel key had a part of them */
#define KEEP_MS  (9 * 60 * 1000)
#define RETRY_MS (15 * 1000)

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
    if (e == ERR_OK && !guid_equal(&h->luks.uuid, &u->volume)) /* its device has another name now */
        e = problem_set(why, ERR_BUSY, "its device is not where it was");
    if (e == ERR_OK)
        e = rotate_volume(a, h, &unlock, KH_CAUSE_USED, ret);
    header_close(h);
    free(v);
    return e;
}

/* The used password authorises its own replacement. */
static enum err rotate_used(struct agent *a, const struct used_password *u, struct problem *why,
                            struct protect_result *ret)
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
        *ret = r;
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

/* The start is over: what it would have done now is left to do. */
static void announce(struct agent *a, const struct protect_result *r)
{
    struct problem warning = {""};
    if (esp_publish(a, &r->volume, &r->key_id, &warning) != ERR_OK)
        agent_say(a, "warning: %s", warning.text);
    a->wanted = true; /* the chores wake the courier */
}

static void try_one(struct agent *a, unsigned i)
{
    struct used_password *u = &waiting.used.item[i];
    struct protect_result r;
    struct problem why;
    enum err e = u->text.len ? rotate_used(a, u, &why, &r) : ERR_BUSY;
    if (e == ERR_OK)
        announce(a, &r);
    if (e == ERR_OK || e == ERR_AUTH) {
        if (e == ERR_AUTH) /* it was replaced at the last try, and only the cache did not follow */
            verify_volumes(a);
        take_out(i);
        return;
    }
    if (u->text.len)
        waiting.why[i] = why;
    if (!may_pass(e))
        secret_wipe(&u->text);
}

int64_t used_wait_retry(struct agent *a, bool at_once)
{
    int64_t now = monotonic_ms();
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

const char *used_wait_why(const struct guid *volume)
{
    for (unsigned i = 0; i < waiting.used.n; i++)
        if (guid_equal(&waiting.used.item[i].volume, volume))
            return waiting.why[i].text;
    return NULL;
}

void used_wait_forget(const struct guid *volume)
{
    for (unsigned i = waiting.used.n; i-- > 0;)
        if (guid_equal(&waiting.used.item[i].volume, volume))
            take_out(i);
}

void used_wait_start(struct agent *a, const struct used_passwords *used)
{
    struct protect_result r;
    struct problem why;
    for (unsigned i = 0; i < used->n; i++)
        if (may_pass(rotate_used(a, &used->item[i], &why, &r))) {
            waiting.used.item[waiting.used.n] = used->item[i];
            waiting.why[waiting.used.n++] = why;
        }
    waiting.until_ms = monotonic_ms() + KEEP_MS;
    waiting.next_ms = monotonic_ms() + RETRY_MS;
}
