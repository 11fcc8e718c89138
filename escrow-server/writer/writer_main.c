/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/host/file.h"
#include "escrow-server/process/control.h"
#include "escrow-server/process/metrics.h"
#include "escrow-server/process/quiet.h"
#include "escrow-server/process/slog.h"
#include "escrow-server/writer/writer.h"
#include "formats/base.h"
#include <stdio.h>
#include <stdlib.h>

#define KEY_FILE_MAX 4096

/* ret_what: what is being done now, for whoever reads why it failed */
static enum err load_key(const char *name, const char *what, struct cr_p256_key **ret, const char **ret_what)
{
    uint8_t *pem = NULL;
    size_t len;
    *ret_what = what;
    TRY(file_read(name, KEY_FILE_MAX, &pem, &len));
    enum err e = cr_p256_from_pem((const char *)pem, len, NULL, ret);
    cr_wipe(pem, len);
    free(pem);
    return e;
}

/* The token that init made: "HASH EXPIRES USES". Kept where it is; a token that is known is not put twice. */
static enum err take_first_token(struct writer_state *w)
{
    uint8_t *text = NULL;
    size_t len, hash_len;
    bool replicated;
    struct msg_token t;
    unsigned long long expires, uses;
    enum err e = file_read(NAME_FIRST_TOKEN, 256, &text, &len);
    w->has_first_token = e == ERR_NOT_FOUND;
    if (e == ERR_NOT_FOUND)
        return ERR_OK;
    TRY(e);
    e = ERR_FORMAT;
    if (len > 64 && sscanf((const char *)text + 64, "%20llu %20llu", &expires, &uses) == 2)
        e = base16_decode((const char *)text, 64, t.hash, sizeof t.hash, &hash_len);
    free(text);
    TRY(e);
    t.expires = expires;
    t.uses = uses;
    TRY(w->ops->begin(w->store, STORE_RECOVERY));
    e = w->ops->token_put(w->store, &t, writer_now());
    if (e == ERR_OK)
        e = w->ops->commit(w->store, STORE_RECOVERY, &replicated);
    else
        w->ops->abandon(w->store, STORE_RECOVERY);
    w->has_first_token = e == ERR_OK;
    return e;
}

static void take_quiet(int fd)
{
    enum err e = quiet_open(fd, true);
    if (e != ERR_OK)
        slog(SLOG_WARN, "start", "warning=\"every heartbeat is a question to the store\" reason=\"%s\"",
             err_text(e));
}

static enum err prepare(struct writer_state *w, const struct store_place *place, const char **ret_what)
{
    struct cr_p256_pub pub;
    webs_init(&w->webs);
    if (place->url[STORE_RECOVERY][0] == '\0' && place->url[STORE_COMPLIANCE][0] == '\0')
        w->webs.take_quiet = take_quiet; /* the supervisor may have read its configuration long before */
    TRY(load_key(NAME_RECEIPT_KEY, "read writer/" NAME_RECEIPT_KEY, &w->receipt_key, ret_what));
    TRY(load_key(NAME_CA_KEY, "read writer/" NAME_CA_KEY, &w->ca_key, ret_what));
    *ret_what = "open the stores";
    TRY(cr_p256_public(w->receipt_key, &pub));
    TRY(cr_p256_id(&pub, w->receipt_id));
    TRY(w->ops->open(place, &w->store));
    for (unsigned half = 0; half < STORE_HALVES; half++)
        w->fresh[half] = true;
    *ret_what = "take in writer/" NAME_FIRST_TOKEN;
    enum err e = take_first_token(w);
    return e == ERR_OFFLINE ? ERR_OK : e; /* later then */
}

/* Everything that waits now goes into one batch. */
static void serve_web(struct batch *b, struct chan *c)
{
    struct msg_frame m;
    enum err e = chan_fill(c);
    bool gone = e != ERR_OK;
    writer_ahead(b, c);
    while (b->n < WRITER_BATCH && chan_is_open(c) && (e = chan_next(c, &m)) == ERR_OK)
        if (writer_take(b, c, &m) != ERR_OK)
            return webs_nonsense(c, m.type);
    if (gone || e == ERR_FORMAT)
        chan_close(c);
}

/* More than a batch holds may be waiting in memory, of which poll() knows nothing. */
static bool serve_all(struct writer_state *w, const bool ready[static WEBS])
{
    struct batch b = {.w = w};
    bool more = false;
    for (unsigned i = 0; i < WEBS; i++) {
        struct chan *c = &w->webs.chan[i];
        if (!chan_is_open(c) || (!ready[i] && c->in.len == 0))
            continue;
        serve_web(&b, c);
        more = more || b.n == WRITER_BATCH;
    }
    batch_finish(&b);
    return more;
}

/* Returns how long to sleep, in ms; -1: until something comes. */
static int tend(struct writer_state *w)
{
    int ms = w->ops->tend(w->store);
    if (!w->has_first_token && ms >= 0 && take_first_token(w) != ERR_OK)
        w->has_first_token = false; /* the store is still away */
    const int due_ms[] = {writer_uncertain(w), writer_seen_wait_ms(w)};
    for (unsigned i = 0; i < sizeof due_ms / sizeof due_ms[0]; i++)
        if (due_ms[i] >= 0 && (ms < 0 || due_ms[i] < ms))
            ms = due_ms[i];
    return ms;
}

/* Can a half be written? There is a connection, and the last transaction, if there was one, was carried out.
 * Each turn says it: what a commit changed, and the counters come after the start. */
static void say_up(const struct writer_state *w)
{
    for (unsigned half = 0; half < STORE_HALVES; half++) {
        bool good = w->fresh[half] || w->good_ms[half] > 0;
        metrics_set(METRIC_STORE_UP + half, good && w->ops->is_up(w->store, half));
    }
}

static void loop(struct writer_state *w)
{
    bool more = false, ready[WEBS];
    while (!child_stopping && webs_wait(&w->webs, more ? 0 : tend(w), ready) == ERR_OK) {
        more = serve_all(w, ready);
        say_up(w);
    }
}

/* Also what a start that failed has. */
static void let_go(struct writer_state *w)
{
    webs_close(&w->webs);
    if (w->store != NULL)
        w->ops->close(w->store);
    cr_p256_free(w->receipt_key);
    cr_p256_free(w->ca_key);
}

int main(int argc, char **argv)
{
    static struct child child; /* what it holds is held for life */
    child_start(argc, argv, PROCESS_WRITER, &child);
    struct writer_state w = {
        .ops = &store_sql,
        .org = child.org,
        .approval = child.conf.enrol_approval != 0,
        .uncertain = {.per_hour = (child.conf.loss_rotations + child.conf.vaults - 1) / child.conf.vaults}};
    const struct store_place place = {
        .dir = ".",
        .url = {child.conf.store[STORE_RECOVERY], child.conf.store[STORE_COMPLIANCE]},
        .concerns = quiet_drop,
        .working = child_working};
    const char *what = "";
    enum err e = prepare(&w, &place, &what);
    if (e != ERR_OK) {
        slog(SLOG_ERROR, "start", "failed=\"%s\" reason=\"%s\"", what,
             e == ERR_UNSUPPORTED ? "as the store says above" : err_text(e));
        let_go(&w);
        return e == ERR_VERSION || e == ERR_UNSUPPORTED ? CONTROL_REFUSED : 1;
    }
    child_hold_signals();
    child_ready();
    loop(&w);
    struct batch last = {.w = &w};
    writer_seen_store(&last, true);
    batch_finish(&last);
    let_go(&w);
    return 0;
}
