/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/secret.h"
#include "escrow-server/control.h"
#include "escrow-server/metrics.h"
#include "escrow-server/slog.h"
#include "escrow-server/vault.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void end(struct chan *c)
{
    if (chan_end(c) != ERR_OK)
        chan_close(c);
}

static void answer_failed(struct chan *c, uint64_t id, enum err e, const char *detail)
{
    struct writer *w = chan_begin(c, MSG_FAILED, id);
    if (w == NULL)
        return chan_close(c);
    msg_put_failed(w, e, detail);
    end(c);
}

static enum err take_disclose(struct vault *v, struct chan *c, const struct msg_frame *m)
{
    struct msg_disclose d;
    struct msg_opened opened = {0};
    char detail[MSG_DETAIL + 1] = "The vault cannot do this now.";
    TRY(msg_get_disclose(m->body, m->len, &d));
    enum err e = vault_disclose(v, &d, &opened, detail);
    struct writer *w = e == ERR_OK ? chan_begin(c, MSG_OPENED, m->id) : NULL;
    if (w != NULL) {
        msg_put_opened(w, &opened);
        end(c);
    } else {
        answer_failed(c, m->id, e == ERR_OK ? ERR_NOMEM : e, detail);
    }
    cr_wipe(&opened, sizeof opened);
    return ERR_OK;
}

static enum err take_import(struct vault *v, struct chan *c, const struct msg_frame *m)
{
    struct msg_import i;
    struct msg_imported imported = {0};
    char detail[MSG_DETAIL + 1] = "The vault cannot do this now.";
    TRY(msg_get_import(m->body, m->len, &i));
    enum err e = vault_import(v, &i, &imported, detail);
    struct writer *w = e == ERR_OK ? chan_begin(c, MSG_IMPORTED, m->id) : NULL;
    if (w == NULL) {
        answer_failed(c, m->id, e == ERR_OK ? ERR_NOMEM : e, detail);
        return ERR_OK;
    }
    msg_put_imported(w, &imported);
    end(c);
    return ERR_OK;
}

static enum err answer_number(struct chan *c, uint8_t type, uint64_t id, uint64_t n)
{
    struct writer *w = chan_begin(c, type, id);
    if (w == NULL)
        return ERR_NOMEM;
    msg_put_u64(w, n);
    end(c);
    return ERR_OK;
}

static enum err take_heard(struct vault *v, struct chan *c, const struct msg_frame *m)
{
    struct msg_heard h;
    enum msg_heard_is is;
    TRY(msg_get_heard(m->body, m->len, &h));
    enum err e = vault_heard(v, &h, &is);
    if (e == ERR_OK)
        return answer_number(c, MSG_HEARD_IS, m->id, is);
    answer_failed(c, m->id, e, "The vault's log cannot be compared now.");
    return ERR_OK;
}

static enum err take_approve(struct vault *v, struct chan *c, const struct msg_frame *m)
{
    struct msg_approve a;
    char detail[MSG_DETAIL + 1] = "The vault cannot do this now.";
    TRY(msg_get_approve(m->body, m->len, &a));
    enum err e = vault_approve(v, &a, detail);
    if (e == ERR_OK)
        return answer_number(c, MSG_DONE, m->id, 0);
    answer_failed(c, m->id, e, detail);
    return ERR_OK;
}

static enum err take_erase(struct vault *v, struct chan *c, const struct msg_frame *m)
{
    struct msg_erase e;
    unsigned n = 0;
    char detail[MSG_DETAIL + 1] = "The vault cannot do this now.";
    TRY(msg_get_erase(m->body, m->len, &e));
    enum err err = vault_erase(v, &e, &n, detail);
    if (err == ERR_OK)
        return answer_number(c, MSG_DONE, m->id, n);
    answer_failed(c, m->id, err, detail);
    return ERR_OK;
}

static enum err take_loss_word(struct vault *v, struct chan *c, const struct msg_frame *m)
{
    struct msg_loss_word l;
    char detail[MSG_DETAIL + 1] = "The vault cannot do this now.";
    TRY(msg_get_loss_word(m->body, m->len, &l));
    enum err e = vault_loss_word(v, &l, detail);
    if (e == ERR_OK)
        return answer_number(c, MSG_DONE, m->id, 0);
    answer_failed(c, m->id, e, detail);
    return ERR_OK;
}

static enum err take_since(struct vault *v, struct chan *c, const struct msg_frame *m)
{
    static struct msg_entries entries; /* 20 KB, in one thread */
    uint64_t n;
    TRY(msg_get_u64(m->body, m->len, &n));
    vault_since(v, n, &entries);
    struct writer *w = chan_begin(c, MSG_ENTRIES, m->id);
    if (w == NULL)
        return ERR_NOMEM;
    msg_put_entries(w, &entries);
    end(c);
    return ERR_OK;
}

static enum err take(struct vault *v, struct chan *c, const struct msg_frame *m)
{
    switch (m->type) {
    case MSG_DISCLOSE:
        return take_disclose(v, c, m);
    case MSG_IMPORT:
        return take_import(v, c, m);
    case MSG_HEARD:
        return take_heard(v, c, m);
    case MSG_APPROVE:
        return take_approve(v, c, m);
    case MSG_ERASE:
        return take_erase(v, c, m);
    case MSG_LOSS_WORD:
        return take_loss_word(v, c, m);
    case MSG_SINCE:
        return take_since(v, c, m);
    default:
        return ERR_FORMAT;
    }
}

static void serve_web(struct vault *v, struct chan *c)
{
    struct msg_frame m;
    enum err gone = chan_fill(c), e = ERR_OK;
    while (chan_is_open(c) && (e = chan_next(c, &m)) == ERR_OK)
        if (take(v, c, &m) != ERR_OK) {
            slog(SLOG_ERROR, "channel", "closed=\"a web worker sent what is no message\" type=%u", m.type);
            return chan_close(c);
        }
    if (gone != ERR_OK || e == ERR_FORMAT)
        chan_close(c);
}

static void serve_export(struct vault *v)
{
    struct msg_frame m;
    enum err gone = chan_fill(&v->export), e = ERR_OK;
    while (chan_is_open(&v->export) && (e = chan_next(&v->export, &m)) == ERR_OK)
        if (vault_export(v, &m) != ERR_OK) {
            slog(SLOG_ERROR, "channel", "closed=\"the exporter sent what is no message of his\" type=%u",
                 m.type);
            return chan_close(&v->export);
        }
    if (gone != ERR_OK || e == ERR_FORMAT)
        chan_close(&v->export);
}

static void add_export(struct vault *v, int fd)
{
    chan_close(&v->export);
    if (chan_open(&v->export, fd, MSG_VAULT_MAX) != ERR_OK)
        return chan_close(&v->export);
    vault_log_announce(v, &v->export);
}

static void add_web(struct vault *v, int fd)
{
    for (unsigned i = 0; i < VAULT_WEBS; i++) {
        if (chan_is_open(&v->web[i]))
            continue;
        if (chan_open(&v->web[i], fd, MSG_VAULT_MAX) != ERR_OK)
            return chan_close(&v->web[i]);
        vault_state_announce(v, &v->web[i]);
        return vault_log_announce(v, &v->web[i]);
    }
    close(fd);
}

/* Those that cannot be opened are an alarm, and the others serve. */
static void count(const struct vault *v, int fd)
{
    unsigned good = vault_keys_good(v);
    if (metrics_attach(fd) != ERR_OK)
        return;
    metrics_set(METRIC_CANARIES, good);
    metrics_set(METRIC_CANARIES + 1, v->n_keys - good);
    vault_loss_count(v);
}

static enum err listen_to_supervisor(struct vault *v)
{
    enum control_what what;
    int fd;
    for (;;) {
        enum err e = control_receive(CONTROL_FD, &what, &fd);
        if (e == ERR_NOT_FOUND)
            return ERR_OK;
        if (e != ERR_OK)
            return ERR_OFFLINE;
        if (what == CONTROL_PEER_WEB && fd >= 0)
            add_web(v, fd);
        else if (what == CONTROL_COUNTERS && fd >= 0)
            count(v, fd);
        else if (what == CONTROL_PEER_EXPORT && fd >= 0)
            add_export(v, fd);
        else if (fd >= 0)
            close(fd);
    }
}

static void loop(struct vault *v)
{
    struct pollfd fds[VAULT_WEBS + 2];
    sigset_t none;
    sigemptyset(&none);
    while (!child_stopping) {
        for (unsigned i = 0; i < VAULT_WEBS; i++)
            fds[i] =
                (struct pollfd){v->web[i].fd, (short)(chan_waits(&v->web[i]) ? POLLIN | POLLOUT : POLLIN), 0};
        fds[VAULT_WEBS] = (struct pollfd){CONTROL_FD, POLLIN, 0};
        fds[VAULT_WEBS + 1] =
            (struct pollfd){v->export.fd, (short)(chan_waits(&v->export) ? POLLIN | POLLOUT : POLLIN), 0};
        if (ppoll(fds, VAULT_WEBS + 2, NULL, &none) < 0) {
            if (errno != EINTR)
                return;
            continue; /* revents mean nothing */
        }
        for (unsigned i = 0; i < VAULT_WEBS; i++) {
            struct chan *c = &v->web[i];
            if ((fds[i].revents & POLLOUT) != 0 && chan_is_open(c) && chan_flush(c) != ERR_OK)
                chan_close(c);
            if ((fds[i].revents & ~POLLOUT) != 0 && chan_is_open(c))
                serve_web(v, c);
        }
        if ((fds[VAULT_WEBS + 1].revents & POLLOUT) != 0 && chan_flush(&v->export) != ERR_OK)
            chan_close(&v->export);
        if ((fds[VAULT_WEBS + 1].revents & ~POLLOUT) != 0 && chan_is_open(&v->export))
            serve_export(v);
        vault_state_tend(v);
        if (fds[VAULT_WEBS].revents != 0 && listen_to_supervisor(v) != ERR_OK)
            return;
    }
}

static void vault_close(struct vault *v)
{
    for (unsigned i = 0; i < VAULT_WEBS; i++)
        chan_close(&v->web[i]);
    chan_close(&v->export);
    for (unsigned i = 0; i < v->n_keys; i++)
        escrow_key_close(&v->key[i]);
    vault_head_checkpoint(v, 1);
    audit_close(v->log);
    cr_p256_free(v->audit_key);
    vault_memory_free(v);
}

/* Where a limit forbids locking whatever comes, at least what is there now, the keys among it. */
static void lock_what_is_there(void)
{
    if (mlockall(MCL_CURRENT) != 0)
        slog(SLOG_WARN, "start", "warning=\"memory cannot be locked (errno %d); raise the memlock limit\"",
             errno);
}

int main(int argc, char **argv)
{
    static struct child child;
    static struct vault v;
    child_start(argc, argv, PROCESS_VAULT, &child);
    v.conf = child.conf;
    v.org = child.org.id;
    for (unsigned i = 0; i < VAULT_WEBS; i++)
        v.web[i].fd = -1;
    v.export.fd = -1;
    enum err e = vault_keys_open(&v, &child.org, &child.passphrase);
    if (vault_approval_check(&v) != ERR_OK) {
        slog(SLOG_ERROR, "start", "failed=\"approval in server.conf names what is no role\"");
        return 1;
    }
    if (e == ERR_OK && vault_keys_wait(&v)) {
        slog(SLOG_ERROR, "start", "failed=\"the token that has the only escrow key does not answer\"");
        return 1; /* the supervisor starts another: a confined process opens no token */
    }
    vault_head_open(&v, &child.passphrase);
    secret_wipe(&child.passphrase);
    if (!child.locked)
        lock_what_is_there();
    if (e == ERR_OK)
        e = vault_confine(vault_keys_in_token(&v));
    if (e != ERR_OK) {
        slog(SLOG_ERROR, "start",
             "failed=\"read the folder of escrow keys, and confine the process\" reason=\"%s\"", err_text(e));
        return 1;
    }
    e = vault_log_ready(&v);
    if (e != ERR_OK) /* it runs on, and says so to everybody who asks */
        slog(SLOG_ERROR, "audit",
             "failed=\"the audit log cannot be opened; nothing is disclosed\" reason=\"%s\"", err_text(e));
    child_hold_signals();
    child_ready();
    loop(&v);
    vault_close(&v);
    return 0;
}
