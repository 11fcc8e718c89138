/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/process/child.h"
#include "crypto/host/file.h"
#include "crypto/host/monotonic.h"
#include "crypto/host/process.h"
#include "escrow-server/process/control.h"
#include "escrow-server/process/passphrase.h"
#include "escrow-server/process/slog.h"
#include "escrow-server/state.h"
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define READER_NICE 10 /* so much before the others */
#define KEPT_FREE   (8 << 20)
#define WORKING_MS  1000

volatile sig_atomic_t child_stopping;

static const char *const process_names[] = {[PROCESS_WEB] = "web",
                                            [PROCESS_WRITER] = "writer",
                                            [PROCESS_VAULT] = "vault",
                                            [PROCESS_EXPORT] = "export",
                                            [PROCESS_READER] = "reader"};
static const char *const process_places[] = {[PROCESS_WEB] = PLACE_WEB,
                                             [PROCESS_WRITER] = PLACE_WRITER,
                                             [PROCESS_VAULT] = PLACE_VAULT,
                                             [PROCESS_EXPORT] = PLACE_EXPORT,
                                             [PROCESS_READER] = PLACE_WRITER};

static void on_stop(int sig)
{
    (void)sig;
    child_stopping = 1;
}

static void die(int code, const char *what, enum err e)
{
    slog(SLOG_ERROR, "start", "failed=\"%s\" reason=\"%s\"", what, err_text(e));
    exit(code);
}

static enum err enter_place(const char *root, enum process_kind kind)
{
    char path[PATH_MAX];
    TRY(file_join(root, process_places[kind], path, sizeof path));
    return chdir(path) == 0 ? ERR_OK : ERR_NOT_FOUND;
}

/* May everything be locked, also what yescrypt takes later? Under a limit MCL_FUTURE would make that fail. */
static bool raise_lock_limit(void)
{
    const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
    struct rlimit is;
    (void)setrlimit(RLIMIT_MEMLOCK, &all); /* some containers forbid it even to root */
    return getrlimit(RLIMIT_MEMLOCK, &is) == 0 && is.rlim_cur == RLIM_INFINITY;
}

static void refuse_offline_key(const char *path, const char *name)
{
    int fd = path[0] == '\0' ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    close(fd);
    slog(SLOG_ERROR, "start",
         "refused=\"this process can read the offline %s key %s; take it off this machine, or to a folder "
         "that only root can open\"",
         name, path);
    exit(CONTROL_REFUSED);
}

static void watch_signals(void)
{
    struct sigaction stop = {.sa_handler = on_stop}, ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGPIPE, &ignore, NULL);
    sigaction(SIGXFSZ, &ignore, NULL); /* a full store is an answer, not a death */
    sigaction(SIGHUP, &ignore, NULL);
}

/* People wait for the reader's answers, which take little; it goes before those who work off a storm. Where
 * that is not allowed, it waits its turn. */
static void raise_priority(const struct child *c)
{
    if (c->kind == PROCESS_READER)
        (void)setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) - READER_NICE);
}

/* A request's memory is for the next one: given back to the kernel, and asked for again, it costs a request
 * two system calls and some page faults. What is larger than all that a request needs goes back. */
static void keep_memory(void)
{
    (void)mallopt(M_TRIM_THRESHOLD, KEPT_FREE);
    (void)mallopt(M_TOP_PAD, KEPT_FREE / 8);
    (void)mallopt(M_MMAP_THRESHOLD, KEPT_FREE / 2);
}

static void drop(struct child *c)
{
    bool lock = c->kind == PROCESS_VAULT && raise_lock_limit();
    c->locked = lock;
    raise_priority(c);
    if (c->kind != PROCESS_VAULT) /* its memory is locked, and little */
        keep_memory();
    enum err e = process_harden(lock);
    if (e != ERR_OK)
        die(1, "harden the process", e);
    if (geteuid() == 0) {
        uid_t uid = c->conf.uid[c->kind == PROCESS_READER ? PROCESS_WRITER : c->kind];
        e = process_drop(uid, uid);
        if (e != ERR_OK)
            die(CONTROL_REFUSED, "drop privileges", e);
    }
    refuse_offline_key(c->conf.root_key, "root");
    refuse_offline_key(c->conf.desk_key, "desk");
    if (c->kind != PROCESS_VAULT && geteuid() != 0 && access(c->conf.passphrase_file, R_OK) == 0)
        slog(SLOG_WARN, "start", "warning=\"this process can read the vault's passphrase file %s\"",
             c->conf.passphrase_file);
}

/* The folders above may be closed to our user; what is below is not. */
static enum err keep_root(const char *root, struct child *c)
{
    int fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return ERR_NOT_FOUND;
    snprintf(c->root, sizeof c->root, "/proc/self/fd/%d", fd); /* kept open on purpose */
    return ERR_OK;
}

void child_start(int argc, char *const *argv, enum process_kind kind, struct child *ret)
{
    slog_open(process_names[kind]);
    umask(077);
    if (argc != 3 || strcmp(argv[1], "--root") != 0) {
        slog(SLOG_ERROR, "start", "failed=\"keyholt-server starts this program; it is no command\"");
        exit(KH_EXIT_USAGE);
    }
    watch_signals();
    *ret = (struct child){.kind = kind};
    enum err e = conf_load(argv[2], &ret->conf);
    if (e != ERR_OK)
        die(CONTROL_REFUSED, "read server.conf", e);
    /* The organisation's file must still be what the root signed: an attacker who changes it could add an
     * escrow key, though agents would refuse that too. */
    e = state_org(argv[2], &ret->org, &ret->org_json, &ret->org_json_len);
    if (e != ERR_OK)
        die(CONTROL_REFUSED, "read org.json and check the root's signature", e);
    if (kind == PROCESS_VAULT) {
        e = passphrase_load(ret->conf.passphrase_file, &ret->passphrase);
        if (e != ERR_OK)
            die(1, "read the vault's passphrase", e);
    }
    e = keep_root(argv[2], ret);
    if (e != ERR_OK)
        die(1, "open --root", e);
    e = enter_place(argv[2], kind);
    if (e != ERR_OK)
        die(1, "enter its folder", e);
    drop(ret);
}

void child_hold_signals(void)
{
    sigset_t held;
    sigemptyset(&held);
    sigaddset(&held, SIGTERM);
    sigaddset(&held, SIGINT);
    sigprocmask(SIG_BLOCK, &held, NULL);
}

void child_working(void)
{
    static int64_t said_ms;
    int64_t now = monotonic_ms();
    if (said_ms != 0 && now - said_ms < WORKING_MS)
        return;
    said_ms = now;
    if (control_send(CONTROL_FD, CONTROL_WORKING, -1) != ERR_OK)
        exit(1); /* no supervisor; what was not committed is undone */
}

void child_ready(void)
{
    if (control_send(CONTROL_FD, CONTROL_READY, -1) != ERR_OK)
        exit(1); /* no supervisor */
}
