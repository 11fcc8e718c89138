/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/process/slog.h"
#include "escrow-server/writer/writer.h"

/* That a device was here need not be durable before it is answered: it waits for a commit that somebody
 * needs, a second at most (and before that, where it was no question to the writer, another second). So a
 * heartbeat costs no commit of its own. */

int writer_seen_wait_ms(const struct writer_state *w)
{
    if (w->seen.n == 0)
        return -1;
    int64_t left = w->seen.since_ms + WRITER_SEEN_MS - writer_now_ms();
    return left < 0 || w->seen.n == WRITER_SEEN ? 0 : (int)left;
}

void writer_seen(struct batch *b, const struct msg_seen_one *one)
{
    struct writer_state *w = b->w;
    uint64_t now = writer_now();
    if (w->seen.n == WRITER_SEEN)
        writer_seen_store(b, true);
    if (w->seen.n == 0)
        w->seen.since_ms = writer_now_ms();
    struct msg_seen_one *s = &w->seen.item[w->seen.n++];
    *s = *one;
    if (s->time > now) /* a web worker may lie */
        s->time = now;
}

void writer_seen_store(struct batch *b, bool now)
{
    struct writer_state *w = b->w;
    if (w->seen.n == 0 || !(now || b->begun[STORE_RECOVERY] || writer_seen_wait_ms(w) == 0))
        return;
    enum err e = batch_need(b, STORE_RECOVERY);
    for (unsigned i = 0; i < w->seen.n && e == ERR_OK; i++) {
        const struct msg_seen_one *s = &w->seen.item[i];
        e = w->ops->device_seen(w->store, s->device, s->time, s->has_head ? s->audit_head : NULL);
    }
    if (e != ERR_OK && e != ERR_OFFLINE)
        slog(SLOG_WARN, "sync", "last-sync-not-stored=%u", w->seen.n);
    w->seen.n = 0; /* also when that failed: the devices come again */
}
