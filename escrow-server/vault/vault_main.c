/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/secret.h"
#include "escrow-server/process/control.h"
#include "escrow-server/process/metrics.h"
#include "escrow-server/process/slog.h"
#include "escrow-server/vault/vault.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define VAULT_LOOK_S 1 /* then the log is looked at, where nobody asks */

static enum err take_web(void *vault, struct chan *c, const struct msg_frame *m)
{
    return vault_take(vault, c, m);
}

static enum err take_export(void *vault, struct chan *c, const struct msg_frame *m)
{
    (void)c;
    return vault_export(vault, m);
}

static void hear(struct vault *v, struct chan *c, const char *who, chan_take *take)
{
    uint8_t type;
    if (chan_hear(c, take, v, &type) == ERR_FORMAT)
        slog(SLOG_ERROR, "channel", "closed=\"%s sent what is no message\" type=%u", who, type);
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
static void count(const struct vault *v)
{
    unsigned good = vault_keys_good(v);
    metrics_set(METRIC_CANARIES, good);
    metrics_set(METRIC_CANARIES + 1, v->n_keys - good);
    metrics_set(METRIC_AUDIT_WRITABLE, v->log != NULL);
    vault_loss_count(v);
}

static void take_control(void *ctx, enum control_what what, int fd)
{
    struct vault *v = ctx;
    if (what == CONTROL_PEER_WEB)
        add_web(v, fd);
    else if (what == CONTROL_PEER_EXPORT)
        add_export(v, fd);
    else if (what == CONTROL_COUNTERS)
        count(v);
    else
        close(fd);
}

static void loop(struct vault *v)
{
    struct pollfd fds[VAULT_WEBS + 2];
    const struct timespec look = {.tv_sec = VAULT_LOOK_S};
    sigset_t none;
    sigemptyset(&none);
    while (!child_stopping) {
        vault_state_look(v);
        vault_state_tend(v);
        for (unsigned i = 0; i < VAULT_WEBS; i++)
            fds[i] = chan_poll(&v->web[i]);
        fds[VAULT_WEBS] = (struct pollfd){CONTROL_FD, POLLIN, 0};
        fds[VAULT_WEBS + 1] = chan_poll(&v->export);
        if (ppoll(fds, VAULT_WEBS + 2, &look, &none) < 0) {
            if (errno != EINTR)
                return;
            continue; /* revents mean nothing */
        }
        for (unsigned i = 0; i < VAULT_WEBS; i++)
            if (chan_polled(&v->web[i], fds[i].revents))
                hear(v, &v->web[i], "a web worker", take_web);
        if (chan_polled(&v->export, fds[VAULT_WEBS + 1].revents))
            hear(v, &v->export, "the exporter", take_export);
        if (fds[VAULT_WEBS].revents != 0 && child_listen(take_control, v) != ERR_OK)
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
    /* a word that is no role would ask for nothing, and nobody would know */
    if (!people_are_roles(v.conf.approval)) {
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
    if (child_listen(take_control, &v) == ERR_OK) { /* who is there already hears of us before we are ready */
        child_ready();
        loop(&v);
    }
    vault_close(&v);
    return 0;
}
