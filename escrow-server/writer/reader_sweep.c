/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/process/metrics.h"
#include "escrow-server/writer/reader.h"
#include <string.h>
#include <time.h>

#define SWEEP_STEP_MS  25
#define SWEEP_AGAIN_MS 60000
#define SWEEP_RETRY_MS 5000

static void count(struct reader_sweep *s, const struct store_device *d, bool revoked, uint64_t now)
{
    uint64_t last = d->seen > d->enrolled ? d->seen : d->enrolled;
    s->all++;
    s->silent += last + s->silent_s < now;
    s->waiting += d->approved != DEVICE_APPROVED;
    s->revoked += d->revoked || revoked;
}

static void publish(const struct reader_sweep *s)
{
    metrics_set(METRIC_DEVICES, s->all);
    metrics_set(METRIC_DEVICES + 1, s->silent);
    metrics_set(METRIC_DEVICES + 2, s->waiting);
    metrics_set(METRIC_DEVICES + 3, s->revoked);
}

/* A million rows at once would hold up those who look something up, half a thousand for two milliseconds; so
 * a few, and then the next ones. */
static int step(struct reader_state *r)
{
    static struct store_device row[MSG_DEVICES_MAX * 2];
    struct reader_sweep *s = &r->sweep;
    uint64_t now = (uint64_t)time(NULL);
    unsigned n = 0, max = sizeof row / sizeof row[0];
    if (r->ops->devices(r->store, s->amid ? s->after : NULL, false, max, row, &n) != ERR_OK)
        return SWEEP_RETRY_MS;
    if (!s->amid) {
        reader_revoked_load(&r->revoked);
        s->all = s->silent = s->waiting = s->revoked = 0;
    }
    for (unsigned i = 0; i < n; i++)
        count(s, &row[i], revoked_has(&r->revoked.list, row[i].id), now);
    if (n > 0)
        memcpy(s->after, row[n - 1].id, sizeof s->after);
    s->amid = n == max;
    if (!s->amid)
        publish(s);
    return s->amid ? SWEEP_STEP_MS : SWEEP_AGAIN_MS;
}

int reader_sweep(struct reader_state *r, int64_t now_ms)
{
    if (!metrics_on()) /* nobody would hear of it, and the next time is a minute away */
        return SWEEP_STEP_MS;
    if (now_ms >= r->sweep.again_ms)
        r->sweep.again_ms = now_ms + step(r);
    return (int)(r->sweep.again_ms - now_ms);
}
