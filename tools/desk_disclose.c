/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tools/desk_disclose.h"
#include "crypto/p256.h"
#include "formats/host/audit_chain.h"
#include "tools/desk.h"
#include "tools/desk_input.h"
#include "tools/desk_print.h"
#include <string.h>

struct opening {
    struct desk_session s;
    uint8_t bytes[ENVELOPE_MAX];
    size_t len;
};

static int load_envelope(struct opening *o)
{
    struct desk_session *s = &o->s;
    const char *path = s->req->qr ? s->req->qr : s->req->envelope;
    enum err err = desk_input_envelope(path, s->req->qr != NULL, o->bytes, &o->len);
    if (err == ERR_NOT_FOUND || err == ERR_DENIED || err == ERR_IO) {
        desk_say("%s cannot be read (%s); nothing was opened", path, err_text(err));
        return KH_EXIT_FAILED;
    }
    if (err == ERR_OK)
        err = envelope_decode(o->bytes, o->len, &s->envelope);
    if (err == ERR_VERSION)
        return desk_refuse(
            s, "the envelope was made by a newer Keyholt; nothing was opened; use a newer keyholt-desk");
    if (err != ERR_OK)
        return desk_refuse(s, "%s (%s); nothing was opened; read it again from the screen, the whole of it",
                           s->req->qr ? "this is not the whole text of a recovery QR code"
                                      : "this file is not an envelope",
                           err_text(err));
    s->has_envelope = true;
    return KH_EXIT_OK;
}

static int check_recipients(struct opening *o)
{
    if (o->s.envelope.kind != ENVELOPE_RECOVERY_PASSWORD)
        return desk_refuse(&o->s,
                           "the envelope holds a key package, not a recovery password; nothing was opened");
    return desk_session_recipients(&o->s, "the envelope");
}

static int disclose(struct opening *o)
{
    SECRET(password);
    struct desk_session *s = &o->s;
    struct audit_head head;
    int code = desk_session_disclose(s, "", &head);
    if (code != KH_EXIT_OK)
        return code;
    enum err err = envelope_open(o->bytes, o->len, &s->org.id, s->key, &password);
    if (err == ERR_AUTH)
        return desk_refuse(
            s,
            "the envelope does not open: it was changed (a misread QR code?) or is not of the organisation "
            "%s; nothing was disclosed; read it again from the screen",
            s->org.name);
    if (err != ERR_OK) {
        (void)desk_refuse(s, "the envelope could not be opened (%s); nothing was disclosed", err_text(err));
        return KH_EXIT_FAILED;
    }
    err = s->req->json ? desk_print_json(&s->envelope, &password, &head)
                       : desk_print_text(&s->envelope, &password);
    if (err != ERR_OK) {
        desk_say("the password could not be printed (%s)", err_text(err));
        return KH_EXIT_FAILED;
    }
    desk_say("note: this disclosure is entry %llu of %s; the laptop replaces the password once it was used "
             "or once a "
             "server tells it to",
             (unsigned long long)head.n, s->log.path);
    desk_say("note: an envelope without the device's signed record proves only that it yields the password "
             "it commits "
             "to, not which device made it");
    return KH_EXIT_OK;
}

int desk_disclose(const struct desk_request *req)
{
    struct opening o = {.s = {.req = req}};
    int code = desk_session_log(&o.s);
    if (code == KH_EXIT_OK)
        code = desk_session_org(&o.s);
    if (code == KH_EXIT_OK)
        code = load_envelope(&o);
    if (code == KH_EXIT_OK)
        code = desk_session_key(&o.s);
    if (code == KH_EXIT_OK)
        code = check_recipients(&o);
    if (code == KH_EXIT_OK)
        code = disclose(&o);
    desk_session_close(&o.s);
    return code;
}
