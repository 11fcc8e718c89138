/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/host/monotonic.h"
#include "escrow-server/process/listen_given.h"
#include "escrow-server/process/metrics.h"
#include "escrow-server/process/quiet.h"
#include "escrow-server/process/slog.h"
#include "escrow-server/process/supervise_slot.h"
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS   30000
#define HEALTHY_MS       60000 /* a child that lived so long starts again without delay */
#define WORKING          "EXTEND_TIMEOUT_USEC=60000000" /* to systemd: not within a minute, then */
#define SLOT_WRITER      0

static void start(struct supervisor *s, struct slot *slot)
{
    bool clear =
        slot->kind != PROCESS_WRITER || s->sockets->quiet < 0 || quiet_clear(s->sockets->quiet) == ERR_OK;
    if (!clear || slot_spawn(s, slot) != ERR_OK) {
        slot->again_ms = monotonic_ms() + BACKOFF_MAX_MS;
        return;
    }
    metrics_add(METRIC_STARTS + slot->kind - PROCESS_WEB, 1);
    slot_connect(s, slot);
}

static void on_exit_of(struct supervisor *s, struct slot *slot, int status)
{
    int64_t lived = monotonic_ms() - slot->started_ms;
    metrics_release(slot->pid);
    close(slot->control);
    slot->pid = 0;
    slot->ready = false;
    slot->failed = true;
    if (WIFEXITED(status) && WEXITSTATUS(status) == CONTROL_REFUSED)
        s->refused = true;
    if (s->stopping || s->refused)
        return;
    slot->backoff_ms = lived > HEALTHY_MS || slot->backoff_ms == 0 ? BACKOFF_FIRST_MS : slot->backoff_ms * 2;
    if (slot->backoff_ms > BACKOFF_MAX_MS)
        slot->backoff_ms = BACKOFF_MAX_MS;
    slot->again_ms = monotonic_ms() + slot->backoff_ms;
    slog(SLOG_ERROR, "child", "process=%s ended=%s code=%d again-in-ms=%u%s", slot_name(slot),
         WIFSIGNALED(status) ? "signal" : "exit",
         WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), slot->backoff_ms,
         slot->kind == PROCESS_VAULT ? " warning=\"no disclosures until it runs\"" : "");
}

static void reap(struct supervisor *s)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (unsigned i = 0; i < s->n; i++)
            if (s->slot[i].pid == pid)
                on_exit_of(s, &s->slot[i], status);
}

/* A store that is being migrated takes as long as it takes; only who says nothing any more has failed. */
static void goes_on(struct supervisor *s, enum control_what what)
{
    s->moved_ms = monotonic_ms();
    if (what == CONTROL_WORKING && !s->announced)
        listen_notify(WORKING);
}

static void listen_to(struct supervisor *s, struct slot *slot)
{
    enum control_what what;
    int fd;
    while (control_receive(slot->control, &what, &fd) == ERR_OK) {
        if (fd >= 0)
            close(fd); /* children have nothing to hand over */
        /* one that died and begins anew moves nothing: else a start that fails again and again had no end */
        if ((what == CONTROL_READY && !slot->was_ready) || (what == CONTROL_WORKING && !slot->failed))
            goes_on(s, what);
        if (what == CONTROL_READY)
            slot->ready = slot->was_ready = true;
    }
}

/* Without a vault everything but disclosure works, and without the exporter all of it, so their failure does
 * not keep the rest from starting. */
static bool is_needed(enum process_kind kind)
{
    return kind != PROCESS_VAULT && kind != PROCESS_EXPORT;
}

static bool all_ready(const struct supervisor *s)
{
    for (unsigned i = 0; i < s->n; i++) {
        const struct slot *slot = &s->slot[i];
        if (!slot->was_ready && (is_needed(slot->kind) || !slot->failed))
            return false;
    }
    return true;
}

static enum err announce(struct supervisor *s)
{
    if (s->announced)
        return ERR_OK;
    if (!all_ready(s))
        return monotonic_ms() - s->moved_ms > s->patience_ms ? ERR_TIMEOUT : ERR_OK;
    s->announced = true;
    if (puts("ready") < 0 || fflush(stdout) != 0) {
        slog(SLOG_WARN, "start", "warning=\"nobody reads standard output\"");
        clearerr(stdout); /* it was said; the server runs all the same */
    }
    listen_notify("READY=1");
    slog(SLOG_INFO, "ready", "processes=%u", s->n);
    return ERR_OK;
}

/* The writer makes the stores; the reader finds them made. */
static bool may_start(const struct supervisor *s, const struct slot *slot)
{
    return slot->pid == 0 && (slot->kind != PROCESS_READER || s->slot[SLOT_WRITER].was_ready);
}

static int wait_ms(const struct supervisor *s)
{
    int64_t wait = s->announced ? 60000 : 200, now = monotonic_ms();
    for (unsigned i = 0; i < s->n; i++)
        if (may_start(s, &s->slot[i]) && s->slot[i].again_ms - now < wait)
            wait = s->slot[i].again_ms - now;
    return wait < 0 ? 0 : (int)wait;
}

static void count_up(const struct supervisor *s)
{
    uint64_t up[PROCESS_KINDS] = {0};
    for (unsigned i = 0; i < s->n; i++)
        up[s->slot[i].kind] += s->slot[i].ready;
    for (unsigned kind = PROCESS_WEB; kind < PROCESS_KINDS; kind++)
        metrics_set(METRIC_UP + kind - PROCESS_WEB, up[kind]);
}

static bool asks_to_stop(int sig)
{
    return sig == SIGTERM || sig == SIGINT || sig == SIGHUP;
}

/* One turn: wait for a signal or a child's word. Returns the signal that asks to stop, or 0. */
static int turn(struct supervisor *s, int signals, int timeout_ms)
{
    struct pollfd fds[SLOTS + 1];
    struct signalfd_siginfo info;
    int stop = 0;
    for (unsigned i = 0; i < s->n; i++)
        fds[i] =
            (struct pollfd){s->slot[i].pid != 0 && !s->slot[i].ready ? s->slot[i].control : -1, POLLIN, 0};
    fds[s->n] = (struct pollfd){signals, POLLIN, 0};
    if (poll(fds, s->n + 1, timeout_ms) <= 0)
        return 0;
    for (unsigned i = 0; i < s->n; i++)
        if ((fds[i].revents & POLLIN) != 0)
            listen_to(s, &s->slot[i]);
    while (read(signals, &info, sizeof info) == (ssize_t)sizeof info)
        if (asks_to_stop((int)info.ssi_signo))
            stop = (int)info.ssi_signo;
    reap(s);
    count_up(s);
    return stop;
}

static bool any_left(const struct supervisor *s, enum process_kind kind)
{
    for (unsigned i = 0; i < s->n; i++)
        if (s->slot[i].kind == kind && s->slot[i].pid != 0)
            return true;
    return false;
}

static void signal_all(const struct supervisor *s, enum process_kind kind, int sig)
{
    for (unsigned i = 0; i < s->n; i++)
        if (s->slot[i].kind == kind && s->slot[i].pid != 0)
            kill(s->slot[i].pid, sig);
}

/* Ours; a worker that drains has closed its own. Who must not be lost meanwhile waits in a socket that was
 * handed to us, and whoever holds that. */
static void close_sockets(struct supervise_sockets *sockets)
{
    for (unsigned i = 0; i < sockets->n_tcp; i++)
        close(sockets->tcp[i]);
    close(sockets->local);
    close(sockets->metrics);
    sockets->n_tcp = 0;
}

/* First the web workers, which finish what they have begun, then those that they need for it; the reader
 * before the writer, so that the writer closes the stores last and tidies their logs up. */
static void stop_all(struct supervisor *s, int signals)
{
    static const enum process_kind order[] = {PROCESS_WEB, PROCESS_READER, PROCESS_WRITER, PROCESS_VAULT,
                                              PROCESS_EXPORT};
    s->stopping = true;
    listen_notify("STOPPING=1");
    close_sockets(s->sockets);
    for (unsigned i = 0; i < sizeof order / sizeof order[0]; i++) {
        enum process_kind kind = order[i];
        int64_t until = monotonic_ms() + SUPERVISE_DRAIN_S * 1000;
        signal_all(s, kind, SIGTERM);
        while (any_left(s, kind) && monotonic_ms() < until)
            (void)turn(s, signals, 100);
        if (any_left(s, kind))
            slog(SLOG_WARN, "stop", "process=%s killed=1", slot_name(&(struct slot){.kind = kind}));
        signal_all(s, kind, SIGKILL);
        while (any_left(s, kind))
            (void)turn(s, signals, 100);
    }
    slog(SLOG_INFO, "stop", "done=1");
}

/* SIGUSR1, SIGUSR2 and SIGPIPE are taken and mean nothing: none may end this process with the others at work.
 * Whoever began us with nohup(1) means to close his terminal. */
static int open_signals(void)
{
    static const int all[] = {SIGTERM, SIGINT, SIGCHLD, SIGUSR1, SIGUSR2, SIGPIPE};
    struct sigaction hup;
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        sigaddset(&set, all[i]);
    if (sigaction(SIGHUP, NULL, &hup) == 0 && hup.sa_handler != SIG_IGN)
        sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void add_slot(struct supervisor *s, enum process_kind kind, unsigned index)
{
    s->slot[s->n++] = (struct slot){.kind = kind, .index = index};
}

static enum err watch(struct supervisor *s, int signals)
{
    for (;;) {
        for (unsigned i = 0; i < s->n; i++)
            if (may_start(s, &s->slot[i]) && monotonic_ms() >= s->slot[i].again_ms)
                start(s, &s->slot[i]);
        if (turn(s, signals, wait_ms(s)) != 0)
            return ERR_OK;
        if (s->refused)
            return ERR_DENIED;
        TRY(announce(s));
    }
}

enum err supervise(const char *root, const char *libexec, const struct conf *conf,
                   struct supervise_sockets *sockets)
{
    struct supervisor s = {.root = root,
                           .libexec = libexec,
                           .sockets = sockets,
                           .moved_ms = monotonic_ms(),
                           .patience_ms = (int64_t)conf->start_s * 1000};
    TRY(metrics_create(&s.counters));
    int signals = open_signals();
    if (signals < 0)
        return ERR_IO;
    add_slot(&s, PROCESS_WRITER, 0); /* SLOT_WRITER */
    add_slot(&s, PROCESS_READER, 0);
    add_slot(&s, PROCESS_VAULT, 0);
    if (conf->audit_file[0] != '\0' || conf->audit_syslog[0] != '\0')
        add_slot(&s, PROCESS_EXPORT, 0);
    for (unsigned i = 0; i < conf_workers(conf); i++)
        add_slot(&s, PROCESS_WEB, i);
    enum err e = watch(&s, signals);
    stop_all(&s, signals);
    close(signals);
    close(s.counters);
    return e;
}
