/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/host/monotonic.h"
#include "escrow-server/process/control.h"
#include "escrow-server/process/slog.h"
#include "escrow-server/writer/reader.h"
#include <time.h>

static enum err take(void *reader, struct chan *c, const struct msg_frame *m)
{
    TRY(reader_answer(reader, c, m));
    webs_send(c); /* people wait for it */
    return ERR_OK;
}

/* SQLite looks at one moment of the store until tend(): it must be no earlier than the questions that are
 * taken in now, because what was receipted before them must be found. */
static void serve_web(struct reader_state *r, struct chan *c)
{
    uint8_t type;
    (void)r->ops->tend(r->store);
    if (chan_hear(c, take, r, &type) == ERR_FORMAT)
        webs_nonsense(c, type);
}

/* Returns how long to sleep, in ms. */
static int tend(struct reader_state *r)
{
    int sweep_ms = reader_sweep(r, monotonic_ms());
    int ms = r->ops->tend(r->store); /* afterwards: nothing is held while it sleeps */
    return ms < 0 || sweep_ms < ms ? sweep_ms : ms;
}

static void loop(struct reader_state *r)
{
    bool ready[WEBS];
    while (!child_stopping && webs_wait(&r->webs, tend(r), ready) == ERR_OK)
        for (unsigned i = 0; i < WEBS; i++)
            if (ready[i])
                serve_web(r, &r->webs.chan[i]);
}

int main(int argc, char **argv)
{
    static struct child child; /* what it holds is held for life */
    child_start(argc, argv, PROCESS_READER, &child);
    static struct reader_state r;
    r = (struct reader_state){
        .ops = &store_sql,
        .sweep = {.silent_s = child.conf.silent_days * 86400},
        .revoked = {.root = child.root, .org = child.org.id, .version = child.org.version}};
    const struct store_place place = {
        .dir = ".",
        .url = {child.conf.store[STORE_RECOVERY], child.conf.store[STORE_COMPLIANCE]},
        .reads = true};
    webs_init(&r.webs);
    enum err e = r.ops->open(&place, &r.store);
    if (e != ERR_OK) {
        slog(SLOG_ERROR, "start", "failed=\"open the stores\" reason=\"%s\"", err_text(e));
        return 1; /* the writer refuses where that is due */
    }
    child_hold_signals();
    child_ready();
    loop(&r);
    webs_close(&r.webs);
    r.ops->close(r.store);
    return 0;
}
