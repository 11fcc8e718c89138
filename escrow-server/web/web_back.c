/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/host/monotonic.h"
#include "escrow-server/process/metrics.h"
#include "escrow-server/process/slog.h"
#include "escrow-server/web/web.h"
#include <string.h>
#include <time.h>
#include <unistd.h>

const char *const back_away[BACK_KINDS] = {
    [BACK_WRITER] = "The store writer is away; the server starts it again, try in a moment.",
    [BACK_READER] =
        "The store reader is away, so nothing can be looked up; the server starts it again, try in a moment.",
    [BACK_VAULT] = "The vault is away, so nothing can be disclosed or put on record; everything else goes "
                   "on. The server's log says why."};

static const char *const back_names[BACK_KINDS] = {"writer", "reader", "vault"};

/* An ID names its place in the table, and the turn, so that a late answer finds nothing. */
static struct back_waiting *find(struct web *w, uint64_t id)
{
    struct back_waiting *b = &w->waiting[id % WEB_WAITING];
    return id != 0 && b->id == id ? b : NULL;
}

static void finish(struct web *w, struct back_waiting *b, enum err e, const struct msg_frame *m)
{
    struct back_waiting was = *b;
    *b = (struct back_waiting){0};
    w->n_waiting--;
    was.done(was.ctx, e, m);
}

static void fail_all(struct web *w, enum back_kind kind, enum err e)
{
    for (unsigned i = 0; i < WEB_WAITING; i++)
        if (w->waiting[i].id != 0 && w->waiting[i].kind == kind)
            finish(w, &w->waiting[i], e, NULL);
}

void back_close(struct web *w, enum back_kind kind)
{
    struct back *b = &w->back[kind];
    if (!chan_is_open(&b->chan))
        return;
    event_free(b->in);
    event_free(b->out);
    b->in = b->out = NULL;
    chan_close(&b->chan);
    if (kind == BACK_VAULT) { /* the next one may have other keys and another log */
        w->vault_said = false;
        memset(w->heads, 0, sizeof w->heads);
    }
    if (!w->stopping)
        slog(SLOG_WARN, "channel", "lost=%s", back_names[kind]);
    fail_all(w, kind, ERR_OFFLINE);
}

static void take_head(struct web *w, const struct msg_frame *m)
{
    struct msg_head h;
    if (msg_get_head(m->body, m->len, &h) != ERR_OK || (h.word.len != 0 && h.word.len != sizeof w->word))
        return;
    w->head = h;
    if (h.word.len > 0)
        memcpy(w->word, h.word.p, h.word.len);
    w->head.word.p = w->word;
    sync_answers_forget(w);
}

static void take_vault(struct web *w, const struct msg_frame *m)
{
    struct msg_vault_is v;
    w->vault_said = msg_get_vault_is(m->body, m->len, &v) == ERR_OK;
    if (w->vault_said)
        w->vault = v;
    w->losses_due = w->losses_due || w->vault_said;
}

static void take_answer(struct web *w, const struct msg_frame *m)
{
    struct back_waiting *b = find(w, m->id);
    struct msg_failed failed;
    enum err e = ERR_OK;
    if (b == NULL)
        return; /* who asked is gone */
    if (m->type == MSG_FAILED) {
        e = msg_get_failed(m->body, m->len, &failed);
        e = e != ERR_OK || failed.err == ERR_OK || failed.err > ERR_INTERNAL ? ERR_INTERNAL
                                                                             : (enum err)failed.err;
    }
    finish(w, b, e, m);
}

static void wait_to_send(struct web *w, enum back_kind kind)
{
    if (chan_waits(&w->back[kind].chan))
        event_add(w->back[kind].out, NULL);
}

static void on_readable(struct web *w, enum back_kind kind)
{
    struct chan *c = &w->back[kind].chan;
    struct msg_frame m;
    enum err gone = chan_fill(c), e = ERR_OK;
    while (chan_is_open(c) && (e = chan_next(c, &m)) == ERR_OK) {
        if (m.type == MSG_HEAD)
            take_head(w, &m);
        else if (m.type == MSG_VAULT_IS)
            take_vault(w, &m);
        else
            take_answer(w, &m);
    }
    if (gone != ERR_OK || e == ERR_FORMAT)
        back_close(w, kind);
}

bool back_vault_said(struct web *w)
{
    if (back_is_up(w, BACK_VAULT) && !w->vault_said)
        on_readable(w, BACK_VAULT);
    return back_is_up(w, BACK_VAULT) && w->vault_said;
}

static void on_in(evutil_socket_t fd, short what, void *ctx)
{
    const struct back *b = ctx;
    (void)fd, (void)what;
    on_readable(b->web, b->kind);
}

static void flush(struct web *w, enum back_kind kind)
{
    if (chan_flush(&w->back[kind].chan) != ERR_OK)
        back_close(w, kind);
    else
        wait_to_send(w, kind);
}

static void on_out(evutil_socket_t fd, short what, void *ctx)
{
    const struct back *b = ctx;
    (void)fd, (void)what;
    flush(b->web, b->kind);
}

/* One that is about to be served now keeps its place. */
void back_hurry(struct web *w, bool hurry)
{
    for (unsigned kind = 0; kind < BACK_KINDS; kind++) {
        if (!back_is_up(w, kind))
            continue;
        (void)event_priority_set(w->back[kind].in, hurry ? WEB_FIRST : WEB_SECOND);
        (void)event_priority_set(w->back[kind].out, hurry ? WEB_FIRST : WEB_SECOND);
    }
}

void back_take(struct web *w, enum back_kind kind, int fd)
{
    struct back *b = &w->back[kind];
    back_close(w, kind);
    if (chan_open(&b->chan, fd, kind == BACK_VAULT ? MSG_VAULT_MAX : MSG_STORE_MAX) != ERR_OK)
        return chan_close(&b->chan);
    w->losses_due = w->losses_due || kind == BACK_WRITER; /* it has no memory of its own for them */
    b->web = w;
    b->kind = kind;
    b->in = event_new(w->base, fd, EV_READ | EV_PERSIST, on_in, b);
    b->out = event_new(w->base, fd, EV_WRITE, on_out, b);
    if (b->in == NULL || b->out == NULL || event_add(b->in, NULL) != 0) {
        slog(SLOG_ERROR, "channel", "failed=\"not enough memory\"");
        _exit(1); /* the supervisor starts another */
    }
}

struct writer *back_begin(struct web *w, enum back_kind kind, uint8_t type, back_done *done, void *ctx,
                          uint64_t *ret_id)
{
    if (!back_is_up(w, kind) || w->n_waiting >= WEB_WAITING / 2)
        return NULL;
    uint64_t id = w->last_id;
    do {
        id++;
    } while (id == 0 || w->waiting[id % WEB_WAITING].id != 0);
    struct writer *body = chan_begin(&w->back[kind].chan, type, id);
    if (body == NULL)
        return NULL;
    w->waiting[id % WEB_WAITING] = (struct back_waiting){
        .id = id, .kind = kind, .done = done, .ctx = ctx, .until_ms = monotonic_ms() + WEB_WAIT_S * 1000};
    w->last_id = id;
    w->n_waiting++;
    *ret_id = id;
    return body;
}

/* It goes at the end of this turn of the event loop, with all others of it: then they are one system call,
 * and the other process wakes up once. Closing calls every question's end, this one's too; so the caller must
 * not touch its context afterwards. */
void back_send(struct web *w, enum back_kind kind)
{
    uint64_t id = w->last_id;
    enum err e = chan_put(&w->back[kind].chan);
    if (e == ERR_OK)
        event_active(w->back[kind].out, EV_WRITE, 0);
    else if (find(w, id) != NULL)
        finish(w, find(w, id), e, NULL);
}

struct writer *back_tell(struct web *w, enum back_kind kind, uint8_t type)
{
    return back_is_up(w, kind) ? chan_begin(&w->back[kind].chan, type, 0) : NULL;
}

void back_told(struct web *w, enum back_kind kind)
{
    if (chan_put(&w->back[kind].chan) == ERR_OK)
        event_active(w->back[kind].out, EV_WRITE, 0);
}

void back_forget(struct web *w, uint64_t id)
{
    struct back_waiting *b = find(w, id);
    if (b == NULL)
        return;
    *b = (struct back_waiting){0};
    w->n_waiting--;
}

/* It runs, and is not seen to be away: the log alone says it. */
static void complain_of_silence(enum back_kind kind)
{
    if (metrics_may_log(back_names[kind], strlen(back_names[kind])))
        slog(SLOG_ERROR, "channel", "silent=%s alarm=\"it runs, and did not answer a question within %d s\"",
             back_names[kind], WEB_WAIT_S);
}

void back_tick(struct web *w)
{
    int64_t now = monotonic_ms();
    for (unsigned i = 0; i < WEB_WAITING && w->n_waiting > 0; i++)
        if (w->waiting[i].id != 0 && w->waiting[i].until_ms < now) {
            complain_of_silence(w->waiting[i].kind);
            finish(w, &w->waiting[i], ERR_TIMEOUT, NULL);
        }
}
