/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tools/desk_disclose.h"
#include "crypto/host/process.h"
#include "crypto/p256.h"
#include "tools/desk.h"
#include "tools/desk_input.h"
#include "tools/desk_log.h"
#include "tools/desk_org.h"
#include "tools/desk_print.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* All that becomes known on the way. */
struct session {
    const struct desk_request *req;
    struct desk_log log;
    struct org org;
    uint8_t bytes[ENVELOPE_MAX];
    size_t len;
    struct envelope envelope;
    bool has_envelope;
    struct cr_p256_key *key;
};

/* The answer is no: say why, and leave that in the log, too. */
__attribute__((format(printf, 2, 3))) static int refuse(struct session *s, const char *format, ...)
{
    char why[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    desk_say("%s", why);
    enum err err = desk_log_write(&s->log, AUDIT_REFUSE, s->has_envelope ? &s->envelope : NULL, why);
    if (err != ERR_OK)
        desk_say("%s: this refusal could not be written down (%s)", s->log.path, err_text(err));
    return KH_EXIT_NO;
}

static int open_log(struct session *s)
{
    const struct desk_request *r = s->req;
    s->log = (struct desk_log){.who = r->who, .user = r->user, .reason = r->reason};
    enum err err = desk_log_open(&s->log, r->root);
    if (err == ERR_OK)
        return KH_EXIT_OK;
    if (err == ERR_BUSY) {
        desk_say("%s is in use by another keyholt-desk; nothing was opened; try again when that is done",
                 s->log.path);
        return KH_EXIT_QUEUED;
    }
    if (err == ERR_AUTH || err == ERR_FORMAT)
        desk_say(
            "%s is no whole audit log; nothing was opened; 'keyholt-desk audit verify' says where it breaks; "
            "keep the file for whoever looks into it, move it away, and try again",
            s->log.path);
    else
        desk_say("%s cannot be written (%s); without an audit entry nothing is opened; make it writable and "
                 "try again",
                 s->log.path, err_text(err));
    return KH_EXIT_NO;
}

static int load_org(struct session *s)
{
    char problem[PATH_MAX];
    bool checked = false;
    enum err err = desk_org_load(s->req->org, s->req->root_key, &s->org, &checked, problem, sizeof problem);
    if (err == ERR_NOT_FOUND || err == ERR_DENIED || err == ERR_IO || err == ERR_NOMEM) {
        desk_say("%s cannot be read (%s); nothing was opened", problem, err_text(err));
        return KH_EXIT_FAILED;
    }
    if (err == ERR_AUTH)
        return refuse(
            s,
            "%s is not signed by the organisation's root key; nothing was opened; get the bundle anew from "
            "who keeps the root key",
            problem);
    if (err != ERR_OK)
        return refuse(s, "%s cannot be used (%s); nothing was opened; get the bundle anew", problem,
                      err_text(err));
    if (!checked)
        desk_say("note: %s was not checked: there is no root.pub beside it and no --root-key", s->req->org);
    return KH_EXIT_OK;
}

static int load_envelope(struct session *s)
{
    const char *path = s->req->qr ? s->req->qr : s->req->envelope;
    enum err err = desk_input_envelope(path, s->req->qr != NULL, s->bytes, &s->len);
    if (err == ERR_NOT_FOUND || err == ERR_DENIED || err == ERR_IO) {
        desk_say("%s cannot be read (%s); nothing was opened", path, err_text(err));
        return KH_EXIT_FAILED;
    }
    if (err == ERR_OK)
        err = envelope_decode(s->bytes, s->len, &s->envelope);
    if (err == ERR_VERSION)
        return refuse(
            s, "the envelope was made by a newer Keyholt; nothing was opened; use a newer keyholt-desk");
    if (err != ERR_OK)
        return refuse(s, "%s (%s); nothing was opened; read it again from the screen, the whole of it",
                      s->req->qr ? "this is not the whole text of a recovery QR code"
                                 : "this file is not an envelope",
                      err_text(err));
    s->has_envelope = true;
    return KH_EXIT_OK;
}

static int load_key(struct session *s)
{
    uint8_t *pem = NULL;
    size_t len = 0;
    SECRET(passphrase);
    enum err err = secret_from_file(s->req->passphrase, &passphrase);
    if (err != ERR_OK) {
        desk_say("the passphrase file %s cannot be used (%s); nothing was opened", s->req->passphrase,
                 err_text(err));
        return KH_EXIT_FAILED;
    }
    err = desk_input_file(s->req->key, &pem, &len);
    if (err != ERR_OK) {
        desk_say("the key %s cannot be read (%s); nothing was opened", s->req->key, err_text(err));
        return KH_EXIT_FAILED;
    }
    err = cr_p256_from_pem((const char *)pem, len, &passphrase, &s->key);
    desk_input_free(pem, len);
    if (err == ERR_AUTH)
        return refuse(s, "the passphrase does not open the key %s; nothing was opened", s->req->key);
    if (err != ERR_OK)
        return refuse(s, "%s holds no P-256 private key (%s); nothing was opened", s->req->key,
                      err_text(err));
    return KH_EXIT_OK;
}

static bool is_recipient(const struct envelope *e, const uint8_t id[static CR_KEY_ID])
{
    for (unsigned i = 0; i < e->n_recipients; i++)
        if (memcmp(e->recipient[i], id, CR_KEY_ID) == 0)
            return true;
    return false;
}

static bool is_of_org(const struct session *s)
{
    for (unsigned i = 0; i < s->org.n_escrow; i++)
        if (is_recipient(&s->envelope, s->org.escrow[i].id))
            return true;
    return false;
}

/* What can be told before anything is opened. A key that org.json no longer lists may still open old
 * envelopes. */
static int check_recipients(struct session *s)
{
    struct cr_p256_pub pub;
    uint8_t id[CR_KEY_ID];
    enum err err = cr_p256_public(s->key, &pub);
    if (err == ERR_OK)
        err = cr_p256_id(&pub, id);
    if (err != ERR_OK) {
        desk_say("the key %s cannot be used (%s); nothing was opened", s->req->key, err_text(err));
        return KH_EXIT_FAILED;
    }
    if (s->envelope.kind != ENVELOPE_RECOVERY_PASSWORD)
        return refuse(s, "the envelope holds a key package, not a recovery password; nothing was opened");
    if (is_recipient(&s->envelope, id))
        return KH_EXIT_OK;
    if (!is_of_org(s))
        return refuse(
            s,
            "the envelope is not of the organisation %s: it is sealed to none of its escrow keys; nothing "
            "was opened",
            s->org.name);
    return refuse(
        s,
        "the envelope is sealed to other keys of %s, not to %s; nothing was opened; use the key it was "
        "sealed to",
        s->org.name, s->req->key);
}

static int disclose(struct session *s)
{
    SECRET(password);
    struct audit_head head;
    enum err err = desk_log_write(&s->log, AUDIT_DISCLOSE, &s->envelope, "");
    if (err != ERR_OK) {
        desk_say("%s cannot be written (%s); without an audit entry nothing is opened; make room for it and "
                 "try again",
                 s->log.path, err_text(err));
        return KH_EXIT_NO;
    }
    audit_get_head(s->log.chain, &head);
    err = envelope_open(s->bytes, s->len, &s->org.id, s->key, &password);
    if (err == ERR_AUTH)
        return refuse(
            s,
            "the envelope does not open: it was changed (a misread QR code?) or is not of the organisation "
            "%s; nothing was disclosed; read it again from the screen",
            s->org.name);
    if (err != ERR_OK) {
        (void)refuse(s, "the envelope could not be opened (%s); nothing was disclosed", err_text(err));
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
    static int (*const steps[])(struct session *) = {open_log, load_org,         load_envelope,
                                                     load_key, check_recipients, disclose};
    struct session session = {.req = req};
    int code = KH_EXIT_OK;
    for (size_t i = 0; i < sizeof steps / sizeof *steps && code == KH_EXIT_OK; i++)
        code = steps[i](&session);
    cr_p256_free(session.key);
    desk_log_close(&session.log);
    return code;
}
