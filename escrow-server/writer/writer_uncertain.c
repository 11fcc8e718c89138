/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/process/metrics.h"
#include "escrow-server/process/slog.h"
#include "escrow-server/writer/writer.h"
#include <string.h>

/* What the audit log lost may have been a disclosure of any key that there was then, and nobody can name it
 * any more. So all of them rotate, so many an hour. Which windows there are is said by the vault's log, at
 * every start; how far we are is said by the orders in the store. So nothing of this needs a memory of its
 * own, and a device that comes back after months finds its order. */

#define STEP_DEVICES 16  /* looked at in one go, */
#define STEP_MS      100 /* and then a pause, for those who wait */
/* what the store says of them; twice that, as some may enrol just now */
#define STEP_KEYS    (2 * STEP_DEVICES * STORE_ORDERS * STORE_EACH)
#define REST_STEPS   10   /* when all is ordered, a pass is followed by a rest ten times as long, */
#define REST_MIN_MS  1000 /* but at least, and at most: */
#define REST_MAX_MS  3600000
#define REST_MISS_MS 60000 /* where the store took too long for some */

/* A replaced key opens its volume until a pack has its successor, or for 30 days. source: DESIGN section 6.
 * One day more for clocks. */
#define GRACE_S (31 * 86400)

#define DEVICE_ORDERS STORE_EACH /* of one device, then it is the next one's turn */

#define HOUR_MS 3600000

void writer_losses(struct writer_state *w, const struct msg_losses *m)
{
    struct writer_uncertain *u = &w->uncertain;
    if (memcmp(&u->losses, m, sizeof *m) == 0)
        return; /* from another web worker */
    memcpy(&u->losses, m, sizeof u->losses);
    u->amid = false;
    u->again_ms = 0;
    slog(SLOG_INFO, "loss", "windows=%u", m->n);
}

static uint64_t before(uint64_t time, uint64_t seconds)
{
    return time > seconds ? time - seconds : 0;
}

/* How many may be ordered now. Never more than those of ten minutes at once, whatever the pause was. */
static uint64_t allowance(struct writer_uncertain *u, int64_t now)
{
    uint64_t most = u->per_hour / 6 > 0 ? u->per_hour / 6 : 1;
    if (u->filled_ms == 0)
        u->filled_ms = now;
    uint64_t more = (uint64_t)(now - u->filled_ms) * u->per_hour / HOUR_MS;
    if (more == 0)
        return u->allowed;
    u->filled_ms = u->allowed + more < most ? u->filled_ms + (int64_t)(more * HOUR_MS / u->per_hour) : now;
    u->allowed = u->allowed + more < most ? u->allowed + more : most;
    return u->allowed;
}

/* The order speaks of a time before the gap: that the key was shown is no more than possible, and a device
 * that replaced it since need not have its volume re-encrypted for that. */
static enum err order(struct batch *b, const struct store_uncertain *k, const struct msg_loss *l)
{
    TRY(batch_need(b, STORE_RECOVERY));
    const struct order_cause cause = {.disclosed = before(l->rotate_from, GRACE_S), .loss = l->mark};
    return writer_order_rotation(b, k->device, &k->key_id, &cause);
}

/* A device says itself which of its keys are old, so it may have as many of them as it likes: orders go
 * round, in the order of devices. */
static bool has_turn(struct writer_uncertain *u, const uint8_t device[static 32])
{
    int c = memcmp(device, u->turn, sizeof u->turn);
    if (c < 0 || (c == 0 && u->given >= DEVICE_ORDERS))
        return false;
    u->waits = u->waits || (c > 0 && u->allowed == 0);
    return u->allowed > 0;
}

static void count_turn(struct writer_uncertain *u, const uint8_t device[static 32])
{
    u->given = memcmp(device, u->turn, sizeof u->turn) == 0 ? u->given + 1 : 1;
    memcpy(u->turn, device, sizeof u->turn);
    u->allowed--;
    metrics_add(METRIC_LOSS_ORDERS, 1);
}

static void take(struct batch *b, const struct store_uncertain *k, const struct msg_loss *l)
{
    struct writer_uncertain *u = &b->w->uncertain;
    u->count[k->order] += k->n;
    if (k->order != STORE_NO_ORDER || !has_turn(u, k->device) || order(b, k, l) != ERR_OK)
        return;
    count_turn(u, k->device);
    u->count[STORE_NO_ORDER]--;
    u->count[STORE_ORDER_WAITS]++;
}

/* All keys of those devices that fall into the window. err: RANGE (there are more), of the store */
static enum err take_window(struct batch *b, const struct msg_loss *l, const uint8_t last[static 32])
{
    static struct store_uncertain key[STEP_KEYS];
    struct writer_uncertain *u = &b->w->uncertain;
    uint64_t from = l->rotate_from > 0 ? l->rotate_from : l->proved; /* where a whole log was lost */
    const struct store_window window = {before(from, GRACE_S), l->rotate_until};
    unsigned n;
    TRY(b->w->ops->uncertain(b->w->store, &window, u->after, last, STEP_KEYS, key, &n));
    for (unsigned i = 0; i < n; i++)
        take(b, &key[i], l);
    return n < STEP_KEYS ? ERR_OK : ERR_RANGE;
}

static void publish(const struct writer_uncertain *u)
{
    for (unsigned i = 0; i < STORE_ORDERS; i++)
        metrics_set(METRIC_LOSS_KEYS + i, u->count[i]);
}

/* A pass is over: soon again where something is left to be ordered, else rarely: a device may bring keys of
 * that time at any time. Returns when, in ms */
static int64_t rest(struct writer_uncertain *u)
{
    int64_t ms = (int64_t)u->steps * STEP_MS * REST_STEPS;
    if (u->missed) { /* what was counted is not all */
        slog(SLOG_WARN, "loss", "incomplete=1");
        return ms < REST_MISS_MS ? REST_MISS_MS : ms < REST_MAX_MS ? ms : REST_MAX_MS;
    }
    publish(u);
    if (u->count[STORE_NO_ORDER] != u->told_left)
        slog(SLOG_INFO, "loss", "keys-to-order=%llu ordered=%llu rotated=%llu",
             (unsigned long long)u->count[STORE_NO_ORDER], (unsigned long long)u->count[STORE_ORDER_WAITS],
             (unsigned long long)u->count[STORE_ORDER_DONE]);
    u->told_left = u->count[STORE_NO_ORDER];
    if (ms < REST_MIN_MS || u->count[STORE_NO_ORDER] > 0)
        return REST_MIN_MS;
    return ms < REST_MAX_MS ? ms : REST_MAX_MS;
}

/* Whoever got some in the pass before stands back, until nobody behind him wants any. */
static void begin_turn(struct writer_uncertain *u)
{
    if (!u->waits)
        memset(u->turn, 0, sizeof u->turn);
    u->given = DEVICE_ORDERS;
    u->waits = false;
}

static bool begin_pass(struct writer_uncertain *u)
{
    bool any = false;
    begin_turn(u);
    for (unsigned i = 0; i < u->losses.n; i++)
        any = any || !u->losses.item[i].stopped;
    memset(u->after, 0, sizeof u->after);
    memset(u->count, 0, sizeof u->count);
    u->steps = 0;
    u->missed = false;
    u->amid = any;
    return any;
}

static enum err take_windows(struct batch *b, const uint8_t last[static 32])
{
    struct writer_uncertain *u = &b->w->uncertain;
    for (unsigned i = 0; i < u->losses.n; i++)
        if (!u->losses.item[i].stopped)
            TRY(take_window(b, &u->losses.item[i], last));
    return ERR_OK;
}

/* Where devices cannot be judged, those behind them still are: the next pass comes to all again.
 * err: of the store, which says not even who comes next */
static enum err step(struct batch *b)
{
    static struct store_device device[STEP_DEVICES];
    struct writer_uncertain *u = &b->w->uncertain;
    unsigned n = 0;
    TRY(b->w->ops->devices(b->w->store, u->steps > 0 ? u->after : NULL, false, STEP_DEVICES, device, &n));
    u->steps++;
    u->amid = n == STEP_DEVICES;
    if (n == 0)
        return ERR_OK;
    if (take_windows(b, device[n - 1].id) != ERR_OK)
        u->missed = true;
    memcpy(u->after, device[n - 1].id, sizeof u->after);
    return ERR_OK;
}

int writer_uncertain(struct writer_state *w)
{
    struct writer_uncertain *u = &w->uncertain;
    int64_t now = writer_now_ms();
    if (u->losses.n == 0)
        return -1;
    if (now < u->again_ms)
        return (int)(u->again_ms - now);
    if (!u->amid && !begin_pass(u)) {
        publish(u);
        u->again_ms = now + REST_MAX_MS; /* a person stopped it; what he says next wakes us */
        return REST_MAX_MS;
    }
    struct batch b = {.w = w};
    (void)allowance(u, now);
    enum err e = step(&b);
    batch_finish(&b);
    int64_t ms = e != ERR_OK ? REST_MIN_MS : u->amid ? STEP_MS : rest(u);
    u->again_ms = now + ms;
    return (int)ms;
}
