/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/keeper.h"
#include "agent/identity.h"
#include "agent/notice.h"
#include "agent/receipt_wait.h"
#include "agent/startup.h"
#include "crypto/host/file.h"
#include "crypto/host/process.h"
#include "formats/names.h"
#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define COURIER_USER "_keyholt"
#define LARGE_BLOCK  (32 * 1024)
#define ERRAND_MS    90000 /* longer than the courier tries all servers */
#define REQUEST_MS   10000 /* a command that connects and says nothing */
#define WAIT_MAX_MS  60000 /* commands give up after two minutes */
#define COURIER_MS   20000 /* longer than the courier pauses between two tries to connect */

int64_t keeper_now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void say_progress(void *ctx, const char *sentence, bool step)
{
    struct client *c = ctx;
    const struct msg m = {.type = MSG_PROGRESS, .progress = {.text = msg_text(sentence), .step = step}};
    if (channel_queue(&c->channel, &m) != ERR_OK)
        channel_close(&c->channel); /* nobody listens any more; the work goes on */
}

static const struct verb {
    uint16_t type;
    void (*run)(struct keeper *k, struct client *c, const struct msg *m);
} verbs[] = {
    {MSG_ENROLL, verb_enroll}, {MSG_PROTECT, verb_protect}, {MSG_ROTATE, verb_rotate},
    {MSG_STATUS, verb_status}, {MSG_SYNC, verb_sync},       {MSG_VERIFY, verb_verify},
    {MSG_EXPORT, verb_export}, {MSG_IMPORT, verb_import},
};

static void run_verb(struct keeper *k, struct client *c, const struct msg *m)
{
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (verbs[i].type == m->type) {
            c->deadline_ms = keeper_now_ms() + ERRAND_MS;
            k->agent.progress = say_progress;
            k->agent.progress_ctx = c;
            verbs[i].run(k, c, m);
            k->agent.progress = NULL;
            notice_update(&k->agent);
            if (m->type != MSG_STATUS)
                reporter_soon(&k->reporter, keeper_now_ms());
            (void)malloc_trim(0); /* what is kept here is locked memory */
            return;
        }
    keeper_reply_error(c, ERR_UNSUPPORTED, "the keeper does not know this command; is it an older version?");
}

static void read_client(struct keeper *k, struct client *c)
{
    struct msg m;
    enum err filled = channel_fill(&c->channel);
    enum err e = c->waits == ERRAND_NONE ? channel_next(&c->channel, &m) : ERR_NOT_FOUND;
    if (e == ERR_OK)
        run_verb(k, c, &m);
    else if (e != ERR_NOT_FOUND || filled != ERR_OK)
        channel_close(&c->channel);
}

static void lose_courier(struct keeper *k)
{
    channel_close(&k->courier);
    courier_gone(k);
}

/* One message a turn: whatever the courier sends, commands and signals come in between. */
static void read_courier(struct keeper *k)
{
    struct msg m;
    enum err filled = channel_has_message(&k->courier) ? ERR_OK : channel_fill(&k->courier);
    enum err e = channel_next(&k->courier, &m);
    if (e == ERR_NOT_FOUND ? filled != ERR_OK : e != ERR_OK || courier_message(k, &m) != ERR_OK)
        lose_courier(k);
}

static void accept_client(struct keeper *k)
{
    struct channel ch;
    uid_t uid;
    if (channel_accept(k->command_fd, &ch, &uid) != ERR_OK)
        return;
    for (int i = 0; i < KEEPER_CLIENTS && (uid == 0 || uid == geteuid()); i++)
        if (!channel_is_open(&k->client[i].channel)) {
            json_object_put(k->client[i].made); /* of one that went away before its answer */
            k->client[i] = (struct client){.channel = ch, .deadline_ms = keeper_now_ms() + REQUEST_MS};
            return;
        }
    channel_close(&ch);
}

static void accept_courier(struct keeper *k)
{
    struct channel ch;
    uid_t uid;
    if (channel_accept(k->courier_fd, &ch, &uid) != ERR_OK)
        return;
    if (uid != 0 && uid != geteuid() && uid != k->courier_uid) {
        channel_close(&ch);
        return;
    }
    if (channel_is_open(&k->courier)) /* the newer one: the older may hang */
        lose_courier(k);
    k->courier = ch;
    for (int i = 0; i < KEEPER_CLIENTS; i++) { /* it asks for a batch at once: nobody needs to wake it */
        struct client *c = &k->client[i];
        if (c->no_courier)
            c->deadline_ms = keeper_now_ms() + ERRAND_MS;
        c->no_courier = NULL;
    }
}

void keeper_await(struct keeper *k, struct client *c, enum keeper_errand which, const char *no_courier)
{
    c->waits = which;
    agent_step(&k->agent, "asking a server; a dead one costs some seconds");
    if (keeper_hurry_courier(k))
        return;
    agent_say(&k->agent, "the courier is not connected yet; waiting for it");
    c->no_courier = no_courier;
    c->deadline_ms = keeper_now_ms() + k->courier_wait_ms;
}

static void close_late_clients(struct keeper *k)
{
    for (int i = 0; i < KEEPER_CLIENTS; i++) {
        struct client *c = &k->client[i];
        if (!channel_is_open(&c->channel) || keeper_now_ms() < c->deadline_ms)
            continue;
        if (c->waits == ERRAND_NONE) {
            channel_close(&c->channel);
            continue;
        }
        if (c->waits == ERRAND_RECEIPT)
            receipt_wait_failed(c, c->no_courier ? c->no_courier : "no server has answered yet");
        else if (c->no_courier)
            keeper_finish_one(c, KH_EXIT_QUEUED, c->no_courier);
        else
            keeper_reply_error(c, ERR_TIMEOUT, "no answer yet; it is queued and tried again");
        c->deadline_ms = keeper_now_ms() + REQUEST_MS; /* to take its answer */
    }
}

static int wait_ms(struct keeper *k)
{
    int64_t least = startup_retry(&k->agent, false), now = keeper_now_ms();
    int64_t look = chores_wait_ms(&k->chores, now);
    least = least < 0 || (look >= 0 && look < least) ? look : least;
    for (int i = 0; i < KEEPER_CLIENTS; i++)
        if (channel_is_open(&k->client[i].channel)) {
            int64_t left = k->client[i].deadline_ms > now ? k->client[i].deadline_ms - now : 0;
            least = least < 0 || left < least ? left : least;
        }
    return (int)least;
}

static void handle_events(struct keeper *k, const struct pollfd *p)
{
    for (int i = 0; i < KEEPER_CLIENTS; i++) {
        struct client *c = &k->client[i];
        if (p[4 + i].revents & POLLOUT && channel_flush(&c->channel) != ERR_OK)
            channel_close(&c->channel);
        if (p[4 + i].revents & (POLLIN | POLLHUP | POLLERR) && channel_is_open(&c->channel))
            read_client(k, c);
    }
    if (p[1].revents)
        accept_client(k);
    if (p[3].revents & POLLOUT && channel_flush(&k->courier) != ERR_OK)
        lose_courier(k);
    if ((p[3].revents & (POLLIN | POLLHUP | POLLERR) || channel_has_message(&k->courier)) &&
        channel_is_open(&k->courier))
        read_courier(k);
    if (p[2].revents)
        accept_courier(k);
}

/* Where the reporter's descriptors begin among those that are waited for. */
#define REPORTS (4 + KEEPER_CLIENTS + CHORES_FDS)

static enum err serve(struct keeper *k)
{
    (void)malloc_trim(0); /* of the start */
    for (;;) {
        int chore[CHORES_FDS];
        chores_run(&k->chores, &k->agent, keeper_now_ms());
        chores_fds(&k->chores, chore);
        struct pollfd p[REPORTS + REPORTER_FDS] = {
            {.fd = k->signal_fd, .events = POLLIN},
            {.fd = k->command_fd, .events = POLLIN},
            {.fd = k->courier_fd, .events = POLLIN},
            {.fd = k->courier.fd, .events = channel_events(&k->courier)}};
        for (int i = 0; i < KEEPER_CLIENTS; i++)
            p[4 + i] = (struct pollfd){.fd = k->client[i].channel.fd,
                                       .events = channel_events(&k->client[i].channel)};
        for (int i = 0; i < CHORES_FDS; i++)
            p[4 + KEEPER_CLIENTS + i] = (struct pollfd){.fd = chore[i], .events = POLLIN};
        reporter_poll(&k->reporter, p + REPORTS);
        bool more = channel_has_message(&k->courier); /* in our buffer, where poll() does not see it */
        if (more)
            p[3].events &= (short)~POLLIN;
        int n = poll(p, REPORTS + REPORTER_FDS, more ? 0 : wait_ms(k));
        if (n < 0 && errno != EINTR)
            return err_from_errno(errno);
        if (n > 0 && p[0].revents)
            return ERR_OK; /* asked to stop; nothing is ever half done here */
        if (n > 0 || (n == 0 && more))
            handle_events(k, p);
        if (n > 0)
            reporter_run(&k->reporter, &k->agent, p + REPORTS, keeper_now_ms());
        close_late_clients(k);
    }
}

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
    reporter_soon(&k->reporter, keeper_now_ms());
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
        e = problem_set(&why, serve(k), "waiting for messages failed");
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
