/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/process/slog.h"
#include "escrow-server/web/web.h"

/* The vault's logs, its own and the imported ones, are the truth; the store's table of disclosures, and the
 * orders to rotate that follow from it, are filled from there: from the beginning when a worker starts, and
 * again whenever the writer could not take one. Both sides are idempotent. */

static void ask(struct web *w);

static void stop(struct web *w, bool again)
{
    w->replay.running = false;
    w->replay.again = again; /* at the next tick */
}

static void on_stored(void *ctx, enum err e, const struct msg_frame *m)
{
    struct web *w = ctx;
    (void)m;
    if (e != ERR_OK)
        w->replay.again = true;
}

static bool pass_on(struct web *w, const struct msg_entry *entry)
{
    uint64_t id;
    struct writer *body = back_begin(w, BACK_WRITER, MSG_DISCLOSED, on_stored, w, &id);
    if (body == NULL)
        return false;
    msg_put_entry(body, entry);
    back_send(w, BACK_WRITER);
    return true;
}

static void on_entries(void *ctx, enum err e, const struct msg_frame *m)
{
    struct web *w = ctx;
    struct msg_entries entries;
    if (e == ERR_OK)
        e = msg_get_entries(m->body, m->len, &entries);
    if (e != ERR_OK)
        return stop(w, true);
    for (unsigned i = 0; i < entries.n; i++)
        if (!pass_on(w, &entries.item[i]))
            return stop(w, true);
    if (w->replay.again) /* the writer takes none now */
        return stop(w, true);
    if (!entries.more || entries.n == 0)
        return stop(w, w->replay.again);
    w->replay.since = entries.next;
    ask(w);
}

static void ask(struct web *w)
{
    uint64_t id;
    struct writer *body = back_begin(w, BACK_VAULT, MSG_SINCE, on_entries, w, &id);
    if (body == NULL)
        return stop(w, true);
    msg_put_u64(body, w->replay.since);
    back_send(w, BACK_VAULT);
}

void replay_start(struct web *w, uint64_t since)
{
    if (w->replay.running)
        return;
    w->replay.running = true;
    w->replay.again = false;
    w->replay.since = since;
    ask(w);
}
