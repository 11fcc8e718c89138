/* SPDX-License-Identifier: GPL-3.0-or-later */
/* export and import: the way to a server for a machine that sees no network. */
#include "agent/keeper/keeper.h"
#include "agent/sync/enrollment.h"
#include "agent/sync/export.h"
#include "agent/sync/identity.h"
#include <stdio.h>
#include <stdlib.h>

#define PIECE_MS 10000 /* a command that does not take what it asked for */

static enum err send_piece(void *ctx, const uint8_t *p, size_t len)
{
    struct client *c = ctx;
    const struct msg m = {.type = MSG_PIECE, .piece.bytes = {p, len}};
    return channel_send(&c->channel, &m, PIECE_MS);
}

static void export_to(struct keeper *k, struct client *c, const struct msg *enrollment)
{
    struct export_totals t;
    char text[200];
    enum err e = export_all(&k->agent, enrollment, send_piece, c, &t);
    if (e != ERR_OK) {
        (void)snprintf(text, sizeof text, "what waits cannot be exported: %s; nothing was changed",
                       err_text(e));
        keeper_reply_error(c, e, text);
        return;
    }
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "records", json_object_new_int64(t.records));
    json_object_object_add(o, "enrolment", json_object_new_boolean(enrollment != NULL));
    (void)snprintf(text, sizeof text, "%u records%s; they stay queued until the answer is imported",
                   t.records, enrollment ? " and the request to enrol this computer" : "");
    keeper_reply(c, KH_EXIT_OK, text, o);
}

void verb_export(struct keeper *k, struct client *c, const struct msg *m)
{
    struct agent *a = &k->agent;
    (void)m;
    if (!a->org)
        keeper_reply_error(
            c, ERR_NOT_FOUND,
            "this computer knows no organisation yet; first: keyholt-agent enroll --bundle DIR");
    else if (enrollment_done(a) || (!enrollment_waits(a) && !identity_trouble(a)))
        export_to(k, c, NULL);
    else if (!enrollment_waits(a))
        keeper_reply_error(
            c, ERR_NOT_FOUND,
            "this computer is not enrolled and has no enrolment token; enrol it again with a new "
            "bundle");
    else /* its TLS key is the courier's: for the case that it sees a network some day */
        keeper_await(
            k, c, ERRAND_EXPORT,
            "the courier is not running, whose certificate request goes along while this computer is "
            "not enrolled; systemctl start keyholt-courier, and export again");
}

void keeper_export_waiting(struct keeper *k, const struct msg *enrollment)
{
    for (int i = 0; i < KEEPER_CLIENTS; i++) {
        struct client *c = &k->client[i];
        if (channel_is_open(&c->channel) && c->waits == ERRAND_EXPORT)
            export_to(k, c, enrollment);
    }
}

static void import_reply(struct client *c, const struct sync_outcome *o)
{
    char text[200];
    struct json_object *json = json_object_new_object();
    json_object_object_add(json, "receipted", json_object_new_int64(o->receipted));
    json_object_object_add(json, "waiting", json_object_new_int64(o->waiting));
    json_object_object_add(json, "refused", json_object_new_int64(o->refused));
    (void)snprintf(text, sizeof text, "%u records receipted, %u waiting%s", o->receipted, o->waiting,
                   o->refused ? "; some receipts, commands or certificates did not verify" : "");
    keeper_reply(c, o->refused ? KH_EXIT_NO : KH_EXIT_OK, text, json);
}

void verb_import(struct keeper *k, struct client *c, const struct msg *m)
{
    struct sync_outcome o;
    struct problem why;
    enum err e = import_answer(&k->agent, m->import.bytes.p, m->import.bytes.len, &o, &why);
    if (e != ERR_OK) {
        keeper_reply_error(c, e, why.text);
        return;
    }
    import_reply(c, &o);
    if (o.more)
        (void)keeper_wake_courier(k);
}
