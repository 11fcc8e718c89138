/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/process/supervise.h"
#include "escrow-server/process/control.h"
#include "escrow-server/process/listen_given.h"
#include "escrow-server/process/metrics.h"
#include "escrow-server/process/slog.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS   30000
#define HEALTHY_MS       60000 /* a child that lived so long starts again without delay */
#define START_MS         30000
#define SLOT_WRITER      0
#define SLOTS            (CONF_WORKERS_MAX + 4)

struct slot {
    enum process_kind kind;
    unsigned index; /* of a web worker */
    pid_t pid;      /* 0: not running */
    int control;
    bool ready, was_ready, failed;
    int64_t started_ms, again_ms;
    unsigned backoff_ms;
};

struct supervisor {
    const char *root, *libexec;
    struct supervise_sockets *sockets;
    struct slot slot[SLOTS];
    unsigned n;
    int counters; /* shared memory */
    bool refused, stopping, announced;
    int64_t started_ms;
};

static const char *const executables[] = {[PROCESS_WEB] = "web",
                                          [PROCESS_WRITER] = "writer",
                                          [PROCESS_VAULT] = "vault",
                                          [PROCESS_EXPORT] = "export",
                                          [PROCESS_READER] = "reader"};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* In the child, between fork and exec: only async-signal-safe calls. */
static void become(const struct supervisor *s, const char *path, const char *name, int null, int control,
                   pid_t parent)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* the socket's end says it too, to a child that changed its uid */
    if (getppid() != parent)
        _exit(1);
    /* no terminal, neither as input nor by name: nothing that runs in a child may ask anybody */
    if (setsid() < 0 || dup2(null, STDIN_FILENO) != STDIN_FILENO || fcntl(STDIN_FILENO, F_SETFD, 0) != 0)
        _exit(1);
    if (control == CONTROL_FD) {
        if (fcntl(control, F_SETFD, 0) != 0)
            _exit(1);
    } else if (dup2(control, CONTROL_FD) != CONTROL_FD) {
        _exit(1);
    }
    execl(path, name, "--root", s->root, (char *)NULL);
    _exit(127);
}

static enum err spawn(struct supervisor *s, struct slot *slot)
{
    char path[PATH_MAX];
    int pair[2];
    int n = snprintf(path, sizeof path, "%s/%s", s->libexec, executables[slot->kind]);
    if (n < 0 || (size_t)n >= sizeof path)
        return ERR_RANGE;
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null < 0)
        return ERR_IO;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        close(null);
        return ERR_IO;
    }
    pid_t parent = getpid(), pid = fork();
    if (pid == 0)
        become(s, path, executables[slot->kind], null, pair[1], parent);
    close(null);
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        return ERR_NOMEM;
    }
    slot->pid = pid;
    slot->control = pair[0];
    slot->ready = false;
    slot->started_ms = now_ms();
    return ERR_OK;
}

static void hand(const struct slot *to, enum control_what what, int fd)
{
    if (control_send(to->control, what, fd) != ERR_OK)
        slog(SLOG_WARN, "child", "process=%s unreachable=1",
             executables[to->kind]); /* its end will be seen */
}

static enum control_what peer_word(enum process_kind back)
{
    return back == PROCESS_WRITER   ? CONTROL_PEER_WRITER
           : back == PROCESS_READER ? CONTROL_PEER_READER
                                    : CONTROL_PEER_VAULT;
}

/* One channel between a web worker and whom it asks, or between the exporter and the vault. */
static void connect_pair(const struct slot *web, const struct slot *back)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        slog(SLOG_ERROR, "child", "failed=\"make a socketpair\" errno=%d", errno);
        return;
    }
    hand(web, peer_word(back->kind), pair[0]);
    hand(back, web->kind == PROCESS_EXPORT ? CONTROL_PEER_EXPORT : CONTROL_PEER_WEB, pair[1]);
    close(pair[0]);
    close(pair[1]);
}

/* Who asks whom. */
static bool talks_to(enum process_kind from, enum process_kind to)
{
    return from == PROCESS_WEB ? to == PROCESS_WRITER || to == PROCESS_READER || to == PROCESS_VAULT
                               : from == PROCESS_EXPORT && to == PROCESS_VAULT;
}

static void connect_slot(struct supervisor *s, struct slot *slot)
{
    bool web = slot->kind == PROCESS_WEB;
    hand(slot, CONTROL_COUNTERS, s->counters);
    if (web) {
        if (s->sockets->sessions >= 0)
            hand(slot, CONTROL_SESSIONS, s->sockets->sessions);
        hand(slot, CONTROL_LISTEN_TCP, s->sockets->tcp[slot->index % s->sockets->n_tcp]);
        hand(slot, CONTROL_LISTEN_UNIX, s->sockets->local);
        hand(slot, CONTROL_LISTEN_METRICS, s->sockets->metrics);
    }
    for (unsigned i = 0; i < s->n; i++) {
        struct slot *other = &s->slot[i];
        if (other->pid == 0)
            continue;
        if (talks_to(slot->kind, other->kind))
            connect_pair(slot, other);
        else if (talks_to(other->kind, slot->kind))
            connect_pair(other, slot);
    }
}

static void start(struct supervisor *s, struct slot *slot)
{
    if (spawn(s, slot) != ERR_OK) {
        slot->again_ms = now_ms() + BACKOFF_MAX_MS;
        return;
    }
    metrics_add(METRIC_STARTS + slot->kind - PROCESS_WEB, 1);
    connect_slot(s, slot);
}

static void on_exit_of(struct supervisor *s, struct slot *slot, int status)
{
    int64_t lived = now_ms() - slot->started_ms;
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
    slot->again_ms = now_ms() + slot->backoff_ms;
    slog(SLOG_ERROR, "child", "process=%s ended=%s code=%d again-in-ms=%u%s", executables[slot->kind],
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

static void listen_to(struct slot *slot)
{
    enum control_what what;
    int fd;
    while (control_receive(slot->control, &what, &fd) == ERR_OK) {
        if (fd >= 0)
            close(fd); /* children have nothing to hand over */
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
        return now_ms() - s->started_ms > START_MS ? ERR_TIMEOUT : ERR_OK;
    s->announced = true;
    if (puts("ready") < 0 || fflush(stdout) != 0)
        slog(SLOG_WARN, "start", "warning=\"nobody reads standard output\"");
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
    int64_t wait = s->announced ? 60000 : 200, now = now_ms();
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
            listen_to(&s->slot[i]);
    while (read(signals, &info, sizeof info) == (ssize_t)sizeof info)
        if (info.ssi_signo != SIGCHLD)
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
        int64_t until = now_ms() + SUPERVISE_DRAIN_S * 1000;
        signal_all(s, kind, SIGTERM);
        while (any_left(s, kind) && now_ms() < until)
            (void)turn(s, signals, 100);
        if (any_left(s, kind))
            slog(SLOG_WARN, "stop", "process=%s killed=1", executables[kind]);
        signal_all(s, kind, SIGKILL);
        while (any_left(s, kind))
            (void)turn(s, signals, 100);
    }
    slog(SLOG_INFO, "stop", "done=1");
}

static int open_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGCHLD);
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
            if (may_start(s, &s->slot[i]) && now_ms() >= s->slot[i].again_ms)
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
    struct supervisor s = {.root = root, .libexec = libexec, .sockets = sockets, .started_ms = now_ms()};
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
