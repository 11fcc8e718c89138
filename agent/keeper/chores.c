/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/keeper/chores.h"
#include "agent/boot/esp.h"
#include "agent/boot/used_wait.h"
#include "agent/keeper/notice.h"
#include "agent/volume/discover.h"
#include "agent/volume/mirror.h"
#include "agent/volume/recover.h"
#include "agent/volume/rotate.h"
#include "agent/volume/verify.h"
#include "crypto/host/file.h"
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define QUIET_MS 1000  /* after a write: one command of cryptsetup writes several times */
#define AGAIN_MS 60000 /* between two looks because of writes, where somebody writes all the time */

static void set_timer(struct chores *c, const struct agent *a)
{
    c->hours = a->policy.verify_hours;
    const struct itimerspec t = {.it_value.tv_sec = (time_t)a->policy.verify_hours * 3600};
    (void)timerfd_settime(c->timer_fd, 0, &t, NULL);
}

/* One watch for each inode, however often it is asked for. A volume that is not there has none. */
void chores_watch(const struct chores *c, struct agent *a)
{
    struct cache_volume *v = NULL;
    unsigned n = 0;
    if (cache_volumes(a->cache, &v, &n) != ERR_OK)
        n = 0;
    for (unsigned i = 0; i < n; i++)
        (void)inotify_add_watch(c->watch_fd, v[i].device, IN_CLOSE_WRITE);
    free(v);
}

enum err chores_open(struct chores *c, struct agent *a)
{
    c->look_ms = -1;
    c->looked_ms = INT64_MIN / 2;
    c->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    c->watch_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (c->timer_fd < 0 || c->watch_fd < 0)
        return err_from_errno(errno);
    set_timer(c, a);
    chores_watch(c, a);
    return ERR_OK;
}

void chores_close(struct chores *c)
{
    if (c->timer_fd >= 0)
        close(c->timer_fd);
    if (c->watch_fd >= 0)
        close(c->watch_fd);
    c->timer_fd = c->watch_fd = -1;
}

void chores_fds(const struct chores *c, int ret[static CHORES_FDS])
{
    ret[0] = c->timer_fd;
    ret[1] = c->watch_fd;
}

int64_t chores_wait_ms(const struct chores *c, int64_t now_ms)
{
    return c->look_ms < 0 ? -1 : c->look_ms > now_ms ? c->look_ms - now_ms : 0;
}

static void publish(struct agent *a, const struct protect_result *r)
{
    struct problem warning = {""};
    char uuid[GUID_TEXT], id[9];
    used_wait_forget(&r->volume);
    guid_encode_lower(&r->volume, uuid);
    guid_short(&r->key_id, id);
    agent_say(a, "volume %s: its recovery password is replaced; key %s is in use now%s", uuid, id,
              r->queued ? "" : "; that cannot be recorded yet");
    if (esp_publish(a, &r->volume, &r->key_id, &warning) != ERR_OK)
        agent_say(a, "warning: %s", warning.text);
}

/* A receipt came: its key's header says so, and one that waited for it goes. */
static void settle(struct agent *a, struct header *h)
{
    h->why->text[0] = 0;
    enum err e = recover_volume(a, h);
    if (e == ERR_OK)
        e = mirror_volume(a, h);
    if (e != ERR_OK)
        agent_say(a, "volume %s: what a receipt makes possible is done later: %s", h->device,
                  h->why->text[0] ? h->why->text : err_text(e));
}

static void do_wanted(struct chores *c, struct agent *a)
{
    if (!a->wanted)
        return;
    a->wanted = false;
    if (discover_volumes(a, settle) != ERR_OK)
        agent_say(a, "the volumes cannot be listed");
    rotate_pending(a, publish);
    a->wanted = false; /* what could not be done is tried again at the next look */
    notice_update(a);
    chores_watch(c, a);
    if (c->done)
        c->done(c->ctx);
}

void chores_look(struct chores *c, struct agent *a)
{
    verify_volumes(a);
    a->wanted = true;
    do_wanted(c, a);
    set_timer(c, a);
}

static bool key_differs(struct header *h, const struct cache_key *k)
{
    uint8_t now[32];
    int n = header_find_token(h, &k->key_id);
    return n < 0 || header_fingerprint(h, (unsigned)k->slot, now) != ERR_OK ||
           !cr_equal(now, k->fingerprint, sizeof now);
}

/* Is a volume not as it was when it was looked at last? By our own reader, which locks and writes nothing:
 * its own look must not wake it again. */
static bool differs(struct agent *a, const struct cache_volume *v)
{
    struct cache_key *keys = calloc(CACHE_KEYS, sizeof *keys);
    struct cache_life l;
    struct header *h = NULL;
    unsigned n = 0;
    enum err e = keys ? header_peek(v->device, &h) : ERR_NOMEM;
    bool read = e == ERR_OK && guid_equal(&h->luks.uuid, &v->uuid);
    bool gone = (e == ERR_NOT_FOUND || e == ERR_FORMAT || e == ERR_TRUNCATED) && access(v->device, F_OK) == 0;
    bool other = read ? v->state == VOLUME_DESTROYED : gone && v->state != VOLUME_DESTROYED;
    if (read && !other) {
        other = cache_get_life(a->cache, &v->uuid, &l) != ERR_OK || l.seqid != h->luks.seqid ||
                cache_keys(a->cache, &v->uuid, keys, &n) != ERR_OK;
        for (unsigned i = 0; !other && i < n; i++)
            other = keys[i].state == KEY_LIVE && key_differs(h, &keys[i]);
    }
    header_close(h);
    free(keys);
    return other;
}

static bool any_differs(struct agent *a)
{
    struct cache_volume *v = NULL;
    unsigned n = 0;
    bool any = false;
    if (cache_volumes(a->cache, &v, &n) != ERR_OK)
        n = 0;
    for (unsigned i = 0; !any && i < n; i++)
        any = differs(a, &v[i]);
    free(v);
    return any;
}

/* Has something been read? What it says does not matter. */
static bool drain(int fd)
{
    _Alignas(struct inotify_event) char buf[4096];
    bool some = false;
    while (read(fd, buf, sizeof buf) > 0)
        some = true;
    return some;
}

void chores_run(struct chores *c, struct agent *a, int64_t now_ms)
{
    if (drain(c->watch_fd)) {
        int64_t quiet = now_ms + QUIET_MS, again = c->looked_ms + AGAIN_MS;
        c->look_ms = quiet > again ? quiet : again;
    }
    if (drain(c->timer_fd)) {
        chores_look(c, a);
    } else if (c->look_ms >= 0 && now_ms >= c->look_ms) {
        c->look_ms = -1;
        if (any_differs(a)) {
            c->looked_ms = now_ms;
            chores_look(c, a);
        }
    }
    do_wanted(c, a);
    if (c->hours != a->policy.verify_hours) /* a new policy */
        set_timer(c, a);
}
