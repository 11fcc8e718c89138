/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/host/monotonic.h"
#include "escrow-server/process/slog.h"
#include "escrow-server/web/sync_answer.h"
#include "escrow-server/web/web_call.h"
#include "escrow-server/web/web_quiet.h"
#include "formats/audit_head.h"
#include "formats/base.h"
#include "formats/host/json_strict.h"
#include "formats/receipt.h"
#include "formats/record.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void free_sync(void *p)
{
    sync_free(p);
}

static void note(struct call *c, const struct sync *s, const struct msg_synced *m)
{
    char device[BASE16_LEN(32) + 1];
    base16_encode(c->device, sizeof c->device, device);
    slog(SLOG_INFO, "sync", "status=200 device=%s records=%u commands=%u incomplete=%d match=%d", device,
         s->m.n, m->n_commands, m->incomplete, m->match);
    web_conn_known(evhttp_request_get_connection(c->req));
}

static void answer(struct call *c, struct sync *s, const struct msg_synced *m)
{
    if (s->m.has_head) /* the vault has answered by now, as a rule */
        s->head_is = web_heads_get(c->web, s->m.audit_head);
    note(c, s, m);
    call_json(c, sync_answer(c->web, s, m));
}

static void answer_nothing(struct call *c, struct sync *s)
{
    static const struct msg_synced nothing = {.match = true};
    s->head_is = s->m.has_head ? HEARD_KNOWN : 0;
    note(c, s, &nothing);
    call_text(c, sync_answer_nothing(c->web, s));
}

static void on_synced(void *ctx, enum err e, const struct msg_frame *m)
{
    struct call *c = ctx;
    struct sync *s = c->state;
    struct msg_synced synced;
    c->waiting = 0;
    if (e == ERR_OK)
        e = msg_get_synced(m->body, m->len, &synced);
    if (e == ERR_AUTH || e == ERR_UNSUPPORTED) /* unknown, revoked, another certificate; a record of no use */
        return call_failed(c, e, m);
    if (e != ERR_OK) /* whatever the store says, it is not the device's fault: come back */
        return call_failed(c, e == ERR_OFFLINE || e == ERR_TIMEOUT ? e : ERR_FULL, m);
    answer(c, s, &synced);
}

static void ask_device(struct call *c);

static void on_adopted(void *ctx, enum err e, const struct msg_frame *m)
{
    struct call *c = ctx;
    char device[BASE16_LEN(32) + 1];
    c->waiting = 0;
    if (e != ERR_OK)
        return call_failed(c, e, m);
    base16_encode(c->device, sizeof c->device, device);
    slog(SLOG_WARN, "sync", "device=%s back=1 reason=\"the store did not know it; its certificate does\"",
         device);
    ask_device(c);
}

/* The store does not know the device, or another courier of it, and the device says who it is. */
static bool may_adopt(const struct call *c, enum err e, const struct msg_device_is *is)
{
    const struct sync *s = c->state;
    return s->has_spki && !s->adopted && !web_revoked(c->web, c->device) &&
           (e == ERR_NOT_FOUND || (e == ERR_OK && !is->pinned && is->approved == DEVICE_BACK));
}

static void adopt(struct call *c)
{
    struct sync *s = c->state;
    struct msg_adopt m;
    uint8_t *der = NULL;
    s->adopted = true;
    memcpy(m.spki, s->spki, sizeof m.spki);
    enum err e = web_conn_certificate(evhttp_request_get_connection(c->req), &der, &m.cert.len);
    m.cert.p = der;
    struct writer *body =
        e != ERR_OK ? NULL : back_begin(c->web, BACK_WRITER, MSG_ADOPT, on_adopted, c, &c->waiting);
    if (body != NULL)
        msg_put_adopt(body, &m);
    free(der);
    if (body == NULL)
        return call_failed(c, e == ERR_NOT_FOUND ? ERR_AUTH : ERR_OFFLINE, NULL);
    back_send(c->web, BACK_WRITER);
}

static void send_sync(struct call *c)
{
    struct sync *s = c->state;
    s->m.has_courier = true;
    memcpy(s->m.courier, c->courier_key, sizeof s->m.courier);
    if (c->renew)
        s->m.renew = (struct msg_blob){c->courier_spki, sizeof c->courier_spki};
    struct writer *body = back_begin(c->web, BACK_WRITER, MSG_SYNC, on_synced, c, &c->waiting);
    if (body == NULL)
        return call_failed(c, ERR_OFFLINE, NULL);
    msg_put_sync(body, &s->m);
    back_send(c->web, BACK_WRITER);
}

/* The writer judges every record itself, so an escrow needs no reader; who a stranger is, only that one says.
 */
static void go_past_reader(struct call *c)
{
    const struct sync *s = c->state;
    if (s->has_spki)
        return call_failed(c, ERR_OFFLINE, NULL);
    send_sync(c);
}

static void note_reader(struct web *w, enum err e)
{
    w->reader_late = e == ERR_TIMEOUT;
    w->reader_due_ms = monotonic_ms() + WEB_WAIT_S * 1000;
}

static void on_device(void *ctx, enum err e, const struct msg_frame *m)
{
    struct call *c = ctx;
    struct sync *s = c->state;
    struct msg_device_is is;
    c->waiting = 0;
    note_reader(c->web, e);
    if (e == ERR_OFFLINE || e == ERR_TIMEOUT || e == ERR_IO || e == ERR_BUSY)
        return go_past_reader(c);
    if (e == ERR_OK)
        e = msg_get_device_is(m->body, m->len, &is);
    if (may_adopt(c, e, &is))
        return adopt(c);
    if (e != ERR_OK)
        return call_failed(c, e, m);
    if (is.revoked)
        return call_problem(c, 403, 0, "This device was revoked.");
    if (is.approved == DEVICE_REFUSED)
        return call_problem(c, 403, 0, "A person refused this device.");
    if (!is.pinned)
        return call_problem(c, 403, 0, "The certificate is not the one that the device enrolled with last.");
    if (s->m.has_head)
        web_heads_take(c->web, c->device, s->m.audit_head, (struct msg_blob){s->word, s->word_len});
    send_sync(c);
}

/* A recovery password, or what rebuilds a header, among the records? They say their kind in their fifth byte.
 */
static bool has_escrow(const struct msg_sync *m)
{
    for (unsigned i = 0; i < m->n; i++)
        if (m->record[i].len > 4 &&
            (m->record[i].p[4] == RECORD_ESCROW || m->record[i].p[4] == RECORD_KEY_PACKAGE))
            return true;
    return false;
}

static void ask_device(struct call *c)
{
    struct msg_device ask;
    struct web *w = c->web;
    int64_t now = monotonic_ms();
    if (w->reader_late && now < w->reader_due_ms)
        return go_past_reader(c);
    w->reader_due_ms = now + WEB_WAIT_S * 1000;
    memcpy(ask.device, c->device, sizeof ask.device);
    memcpy(ask.courier, c->courier_key, sizeof ask.courier);
    struct writer *body = back_begin(w, BACK_READER, MSG_DEVICE, on_device, c, &c->waiting);
    if (body == NULL)
        return go_past_reader(c);
    msg_put_device(body, &ask);
    back_send(w, BACK_READER);
}

void web_sync(struct call *c)
{
    struct sync *s = calloc(1, sizeof *s);
    if (s == NULL)
        return call_problem(c, 503, 10, "The server has no memory for this now.");
    c->state = s;
    c->free_state = free_sync;
    enum err e = sync_read((const char *)c->body, c->body_len, s);
    if (e != ERR_OK)
        return call_problem(c, e == ERR_TRUNCATED ? 400 : 422, 0, s->detail);
    if (memcmp(s->device, c->device, sizeof s->device) != 0)
        return call_problem(c, 403, 0, "The certificate names another device than the body.");
    memcpy(s->m.device, c->device, sizeof s->m.device);
    if (web_revoked(c->web, c->device))
        return call_problem(c, 403, 0, "This device was revoked.");
    if (web_quiet(c->web, c->courier_key, c->renew, s))
        return answer_nothing(c, s);
    bool escrow = has_escrow(&s->m);
    if (web_shed(c->web, escrow))
        return call_problem(c, 503, web_shed_retry_s(escrow),
                            "The server has too much to do now; come back later.");
    bool is_news = s->m.has_head && web_heads_get(c->web, s->m.audit_head) != HEARD_KNOWN;
    bool stranger = !web_conn_is_known(evhttp_request_get_connection(c->req));
    if (s->has_spki || is_news || (s->m.n > 0 && stranger))
        return ask_device(c); /* who is it at all? There is one writer for all, and records cost it most */
    send_sync(c);
}
