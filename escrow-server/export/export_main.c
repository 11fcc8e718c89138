/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/host/monotonic.h"
#include "escrow-server/export/export.h"
#include "escrow-server/process/child.h"
#include "escrow-server/process/control.h"
#include "escrow-server/process/metrics.h"
#include "escrow-server/process/slog.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void add_target(struct exporter *x, enum export_kind kind, const char *address, const char *place)
{
    if (address[0] == '\0')
        return;
    struct export_target *t = &x->target[x->n++];
    *t = (struct export_target){.kind = kind, .address = address, .place = place, .fd = -1};
    if (export_load(t) != ERR_OK)
        slog(SLOG_WARN, "export", "place=%s lost=1 reason=\"every entry goes out again\"", place);
}

static void take_control(void *ctx, enum control_what what, int fd)
{
    struct exporter *x = ctx;
    if (what != CONTROL_PEER_VAULT) {
        if (fd >= 0)
            close(fd);
        return;
    }
    chan_close(&x->vault);
    x->head = (struct msg_head){.n = 0};
    for (unsigned i = 0; i < x->n; i++)
        x->target[i].asked = false;
    if (chan_open(&x->vault, fd, MSG_VAULT_MAX) != ERR_OK)
        chan_close(&x->vault);
}

static enum err take(void *ctx, struct chan *c, const struct msg_frame *m)
{
    struct exporter *x = ctx;
    struct msg_lines lines;
    (void)c;
    if (m->type == MSG_HEAD)
        return msg_get_head(m->body, m->len, &x->head);
    if (m->type != MSG_LINES || m->id == 0 || m->id > x->n)
        return ERR_FORMAT;
    TRY(msg_get_lines(m->body, m->len, &lines));
    return export_take(x, &x->target[m->id - 1], &lines);
}

static void hear_vault(struct exporter *x) /* where it is gone, the supervisor brings another */
{
    uint8_t type;
    if (chan_hear(&x->vault, take, x, &type) == ERR_FORMAT)
        slog(SLOG_ERROR, "channel", "closed=\"the vault sent what is no message\" type=%u", type);
}

static void look_at_head(struct exporter *x, struct export_target *t)
{
    bool other = t->chain[0] != '\0' && strcmp(x->head.chain, t->chain) != 0;
    if (other || t->done > x->head.n) {
        slog(SLOG_ERROR, "export",
             "to=\"%s\" alarm=\"the log is another one, or shorter than what was exported\"", t->address);
        t->done = other ? 0 : x->head.n;
    }
    snprintf(t->chain, sizeof t->chain, "%.32s", x->head.chain);
}

static void ask(struct exporter *x, unsigned i)
{
    struct export_target *t = &x->target[i];
    if (!chan_is_open(&x->vault) || x->head.n == 0 || t->asked || t->len > 0 || monotonic_ms() < t->again_ms)
        return;
    look_at_head(x, t);
    if (t->done >= x->head.n)
        return;
    struct writer *w = chan_begin(&x->vault, MSG_EXPORT, i + 1);
    if (w == NULL)
        return;
    msg_put_u64(w, t->done + 1);
    t->asked = chan_end(&x->vault) == ERR_OK;
    if (!t->asked)
        chan_close(&x->vault);
}

/* Of a log that was not heard of nothing is known; it counts as before. */
static void count(const struct exporter *x)
{
    for (unsigned i = 0; i < x->n; i++) {
        const struct export_target *t = &x->target[i];
        if (x->head.n >= t->done)
            metrics_set(METRIC_BACKLOG + t->kind - EXPORT_FILE, x->head.n - t->done);
    }
}

static int wait_ms(const struct exporter *x)
{
    int64_t wait = 60000, now = monotonic_ms();
    for (unsigned i = 0; i < x->n; i++)
        if (x->target[i].again_ms > now && x->target[i].again_ms - now < wait)
            wait = x->target[i].again_ms - now;
    return (int)wait + 1;
}

static short wanted(const struct export_target *t)
{
    return (short)(t->connecting || t->len > 0 ? POLLIN | POLLOUT : POLLIN);
}

static void loop(struct exporter *x)
{
    sigset_t none;
    sigemptyset(&none);
    while (!child_stopping) {
        struct pollfd fds[4] = {{CONTROL_FD, POLLIN, 0}, chan_poll(&x->vault)};
        for (unsigned i = 0; i < x->n; i++)
            fds[2 + i] = (struct pollfd){x->target[i].fd, wanted(&x->target[i]), 0};
        const struct timespec wait = {wait_ms(x) / 1000, wait_ms(x) % 1000 * 1000000l};
        if (ppoll(fds, 2 + x->n, &wait, &none) < 0) {
            if (errno != EINTR)
                return;
            continue;
        }
        if (fds[0].revents != 0 && child_listen(take_control, x) != ERR_OK)
            return;
        if (chan_polled(&x->vault, fds[1].revents))
            hear_vault(x);
        for (unsigned i = 0; i < x->n; i++) {
            export_turn(&x->target[i], fds[2 + i].revents);
            export_push(&x->target[i]);
            ask(x, i);
        }
        count(x);
    }
}

int main(int argc, char **argv)
{
    static struct child child;
    static struct exporter x;
    child_start(argc, argv, PROCESS_EXPORT, &child);
    x.vault.fd = -1;
    if (gethostname(x.host, sizeof x.host - 1) != 0 || x.host[0] == '\0')
        snprintf(x.host, sizeof x.host, "-");
    add_target(&x, EXPORT_FILE, child.conf.audit_file, "file.position");
    add_target(&x, EXPORT_SYSLOG, child.conf.audit_syslog, "syslog.position");
    child_hold_signals();
    child_ready();
    loop(&x);
    chan_close(&x.vault);
    for (unsigned i = 0; i < x.n; i++)
        export_close(&x.target[i]);
    return 0;
}
