/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tools/desk_session.h"
#include "crypto/host/process.h"
#include "crypto/p256.h"
#include "formats/host/audit_chain.h"
#include "formats/text.h"
#include "tools/desk.h"
#include "tools/desk_input.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The answer is no: say why, and leave that in the log, too. */
int desk_refuse(struct desk_session *s, const char *format, ...)
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

int desk_session_log(struct desk_session *s)
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

int desk_session_org(struct desk_session *s)
{
    char problem[PATH_MAX];
    bool checked = false;
    enum err err = desk_org_load(s->req->org, s->req->root_key, &s->org, &checked, problem, sizeof problem);
    if (err == ERR_NOT_FOUND || err == ERR_DENIED || err == ERR_IO || err == ERR_NOMEM) {
        desk_say("%s cannot be read (%s); nothing was opened", problem, err_text(err));
        return KH_EXIT_FAILED;
    }
    if (err == ERR_AUTH)
        return desk_refuse(
            s,
            "%s is not signed by the organisation's root key; nothing was opened; get the bundle anew from "
            "who keeps the root key",
            problem);
    if (err != ERR_OK)
        return desk_refuse(s, "%s cannot be used (%s); nothing was opened; get the bundle anew", problem,
                           err_text(err));
    if (!checked)
        desk_say("note: %s was not checked: there is no root.pub beside it and no --root-key", s->req->org);
    return KH_EXIT_OK;
}

int desk_session_key(struct desk_session *s)
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
        return desk_refuse(s, "the passphrase does not open the key %s; nothing was opened", s->req->key);
    if (err != ERR_OK)
        return desk_refuse(s, "%s holds no P-256 private key (%s); nothing was opened", s->req->key,
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

static bool is_of_org(const struct desk_session *s)
{
    for (unsigned i = 0; i < s->org.n_escrow; i++)
        if (is_recipient(&s->envelope, s->org.escrow[i].id))
            return true;
    return false;
}

/* What can be told before anything is opened. A key that org.json no longer lists may still open old
 * envelopes. */
int desk_session_recipients(struct desk_session *s, const char *what)
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
    if (is_recipient(&s->envelope, id))
        return KH_EXIT_OK;
    if (!is_of_org(s))
        return desk_refuse(
            s,
            "%s is not of the organisation %s: it is sealed to none of its escrow keys; nothing "
            "was opened",
            what, s->org.name);
    return desk_refuse(s,
                       "%s is sealed to other keys of %s, not to %s; nothing was opened; use the key it was "
                       "sealed to",
                       what, s->org.name, s->req->key);
}

int desk_session_disclose(struct desk_session *s, const char *detail, struct audit_head *ret_head)
{
    enum err err = desk_log_write(&s->log, AUDIT_DISCLOSE, &s->envelope, detail);
    if (err != ERR_OK) {
        desk_say("%s cannot be written (%s); without an audit entry nothing is opened; make room for it and "
                 "try again",
                 s->log.path, err_text(err));
        return KH_EXIT_NO;
    }
    audit_get_head(s->log.chain, ret_head);
    return KH_EXIT_OK;
}

void desk_session_close(struct desk_session *s)
{
    cr_p256_free(s->key);
    desk_log_close(&s->log);
    s->key = NULL;
}

static int check_text(const struct desk_verb *verb, const char *option, const char *text, size_t max)
{
    if (!text || !text[0])
        return desk_usage(verb, "%s is missing: the audit log has to say it", option);
    if (strlen(text) > max)
        return desk_usage(verb, "%s is longer than %zu bytes", option, max);
    if (!text_is_printable(text, strlen(text)))
        return desk_usage(verb, "%s holds control characters or is no UTF-8", option);
    return KH_EXIT_OK;
}

int desk_session_check(const struct desk_verb *verb, const struct desk_request *r)
{
    if (!r->key || !r->passphrase || !r->org)
        return desk_usage(verb, "%s is missing",
                          !r->key          ? "--key"
                          : !r->passphrase ? "--key-passphrase-file"
                                           : "--org");
    int code = check_text(verb, "--who", r->who, AUDIT_WHO);
    if (code == KH_EXIT_OK)
        code = check_text(verb, "--reason", r->reason, AUDIT_TEXT);
    if (code == KH_EXIT_OK && r->user)
        code = check_text(verb, "--user", r->user, AUDIT_WHO);
    return code;
}

const char **desk_session_place(struct desk_request *r, int option)
{
    switch (option) {
    case 'k':
        return &r->key;
    case 'p':
        return &r->passphrase;
    case 'o':
        return &r->org;
    case 'R':
        return &r->root_key;
    case 'w':
        return &r->who;
    case 'r':
        return &r->reason;
    case 'u':
        return &r->user;
    case 'd':
        return &r->root;
    default:
        return NULL;
    }
}
