/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/process/slog.h"
#include "escrow-server/web/enroll_read.h"
#include "escrow-server/web/web_call.h"
#include "formats/base.h"
#include "formats/host/json_strict.h"

/* The device ID is the hash of its key, so we know it as well as the writer does. */
static void on_enrolled(void *ctx, enum err e, const struct msg_frame *m)
{
    struct call *c = ctx;
    char device[BASE16_LEN(32) + 1];
    c->waiting = 0;
    if (e != ERR_OK)
        return call_failed(c, e, m);
    struct json_object *o = json_object_new_object();
    base16_encode(c->device, sizeof c->device, device);
    json_object_object_add(o, "device", json_object_new_string(device));
    json_object_object_add(o, "certificate", json_object_new_string_len((const char *)m->body, (int)m->len));
    slog(SLOG_INFO, "enroll", "status=200 device=%s", device);
    call_json(c, o);
}

void web_enroll(struct call *c)
{
    struct json_object *o = NULL;
    struct msg_enroll m;
    enum err e = json_strict_parse((const char *)c->body, c->body_len, &o);
    if (e != ERR_OK)
        return call_problem(c, 400, 0, "The body is not one strict JSON object.");
    e = enroll_read(o, &m, c->device);
    if (e != ERR_OK) {
        json_object_put(o);
        return call_problem(c, 422, 0,
                            "A field of the enrolment is missing or not in its form (docs/formats.md).");
    }
    if (web_revoked(c->web, c->device)) {
        json_object_put(o);
        return call_problem(c, 403, 0, "This device was revoked.");
    }
    struct writer *body = back_begin(c->web, BACK_WRITER, MSG_ENROLL, on_enrolled, c, &c->waiting);
    if (body != NULL)
        msg_put_enroll(body, &m);
    json_object_put(o);
    if (body == NULL)
        return call_failed(c, ERR_OFFLINE, NULL);
    back_send(c->web, BACK_WRITER);
}
