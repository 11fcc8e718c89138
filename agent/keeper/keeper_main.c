/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The keeper process: its arguments, and what it opens before it serves. */
#include "agent/keeper/keeper_loop.h"
#include "agent/keeper/startup.h"
#include "agent/sync/identity.h"
#include "crypto/host/file.h"
#include "crypto/host/monotonic.h"
#include "crypto/host/process.h"
#include "formats/names.h"
#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define COURIER_USER "_keyholt"
#define LARGE_BLOCK  (32 * 1024)
#define WAIT_MAX_MS  60000 /* commands give up after two minutes */
#define COURIER_MS   20000 /* longer than the courier pauses between two tries to connect */

static enum err listen_all(struct keeper *k, const char *root)
{
    char path[PATH_MAX];
    TRY(file_join(root, KH_RUN, path, sizeof path));
    TRY(file_mkdirs(path, 0755));
    TRY(file_join(root, KH_COURIER_SOCK, path, sizeof path));
    TRY(channel_listen(path, 0600, &k->courier_fd));
    if (k->courier_uid != geteuid() && chown(path, k->courier_uid, (gid_t)-1) < 0)
        return err_from_errno(errno);
    TRY(file_join(root, KH_KEEPER_SOCK, path, sizeof path));
    return channel_listen(path, 0600, &k->command_fd);
}

/* A socket that nobody listens on makes "not running" look like "refused". */
static void close_sockets(const char *root)
{
    static const char *const name[] = {KH_COURIER_SOCK, KH_KEEPER_SOCK};
    char path[PATH_MAX];
    for (int i = 0; i < 2; i++)
        if (file_join(root, name[i], path, sizeof path) == ERR_OK)
            (void)unlink(path);
}

/* After work that nobody asked for. */
static void chores_done(void *ctx)
{
    unsigned n = 0;
    struct keeper *k = ctx;
    if (cache_outbox_count(k->agent.cache, k->agent.key.id, &n) == ERR_OK && n)
        (void)keeper_wake_courier(k);
    reporter_soon(&k->reporter, monotonic_ms());
}

static void report_made(void *ctx)
{
    (void)keeper_wake_courier(ctx);
}

static enum err open_signals(struct keeper *k)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    (void)signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return err_from_errno(errno);
    k->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return k->signal_fd < 0 ? err_from_errno(errno) : ERR_OK;
}

static int run(struct keeper *k, const struct agent_places *places)
{
    struct problem why = {"it cannot be hardened"};
    enum err e = process_harden(true);
    if (e == ERR_OK)
        e = agent_open(&k->agent, places, &why);
    if (e == ERR_OK)
        e = problem_set(&why, listen_all(k, places->root), "%s" KH_RUN ": no socket can be made there",
                        places->root);
    if (e == ERR_OK)
        e = problem_set(&why, open_signals(k), "signals cannot be set up");
    if (e == ERR_OK)
        e = identity_open(&k->agent, &why);
    if (e == ERR_OK)
        e = problem_set(&why, startup(&k->agent), "privileges cannot be dropped");
    if (e == ERR_OK)
        e = problem_set(&why, chores_open(&k->chores, &k->agent), "volumes cannot be watched");
    if (e == ERR_OK)
        e = problem_set(&why, reporter_open(&k->reporter, &k->agent), "devices cannot be watched");
    if (e == ERR_OK)
        e = problem_set(&why, keeper_serve(k), "waiting for messages failed");
    chores_close(&k->chores);
    reporter_close(&k->reporter);
    agent_close(&k->agent);
    if (k->command_fd >= 0) /* else they may be another keeper's */
        close_sockets(places->root);
    if (e == ERR_OK)
        return KH_EXIT_OK;
    (void)fprintf(stderr, "keeper: %s (%s)\n", why.text, err_text(e));
    return KH_EXIT_FAILED;
}

static bool take_wait(const char *text, long max_ms, long *ret_ms)
{
    char *end;
    long ms = strtol(text, &end, 10);
    if (end == text || *end || ms < 0 || ms > max_ms)
        return false;
    *ret_ms = ms;
    return true;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"root", required_argument, NULL, 'r'},
                                            {"esp", required_argument, NULL, 'e'},
                                            {"efivars", required_argument, NULL, 'v'},
                                            {"tpm", required_argument, NULL, 't'},
                                            {"courier-wait", required_argument, NULL, 'w'},
                                            {"report-after", required_argument, NULL, 'a'},
                                            {NULL, 0, NULL, 0}};
    static struct keeper k = {.reporter = {.timer_fd = -1,
                                           .dev_fd = -1,
                                           .mount_fd = -1,
                                           .start_ms = REPORTER_START_MS,
                                           .made = report_made},
                              .chores = {.timer_fd = -1, .watch_fd = -1, .done = chores_done},
                              .command_fd = -1,
                              .courier_fd = -1,
                              .signal_fd = -1,
                              .courier.fd = -1,
                              .courier_wait_ms = COURIER_MS};
    struct agent_places places = {.root = ""};
    bool good = true;
    for (int o; good && (o = getopt_long(argc, argv, "", options, NULL)) != -1;)
        switch (o) {
        case 'r':
            places.root = optarg;
            break;
        case 'e':
            places.esp = optarg;
            break;
        case 'v':
            places.efivars = optarg;
            break;
        case 't':
            places.tpm = optarg;
            break;
        case 'a':
            good = take_wait(optarg, REPORTER_DAY_MS, &k.reporter.start_ms);
            break;
        case 'w':
            good = take_wait(optarg, WAIT_MAX_MS, &k.courier_wait_ms);
            break;
        default:
            good = false;
        }
    if (!good || optind != argc) {
        fputs("usage: keeper [--root DIR] [--esp DIR] [--efivars DIR] [--tpm TCTI|none]\n"
              "              [--courier-wait MILLISECONDS] [--report-after MILLISECONDS]\n",
              stderr);
        return KH_EXIT_USAGE;
    }
    k.chores.ctx = k.reporter.ctx = &k;
    /* Large blocks outside the heap: malloc_trim() cannot give back the middle of a heap that is locked. */
    (void)mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK);
    for (int i = 0; i < KEEPER_CLIENTS; i++)
        k.client[i].channel.fd = -1;
    struct passwd *pw = getpwnam(COURIER_USER);
    k.courier_uid = pw ? pw->pw_uid : geteuid();
    return run(&k, &places);
}
