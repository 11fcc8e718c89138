/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/host/file.h"
#include "escrow-server/process/address.h"
#include "escrow-server/process/listen.h"
#include "escrow-server/process/listen_given.h"
#include "escrow-server/process/quiet.h"
#include "escrow-server/process/slog.h"
#include "escrow-server/process/supervise.h"
#include "escrow-server/state.h"
#include "escrow-server/verb/config_check.h"
#include "escrow-server/verb/options.h"
#include "escrow-server/verb/verbs.h"
#include "escrow-server/web/tls_sessions.h"
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static const char usage[] = "  keyholt-server serve [--root DIR] [--listen ADDRESS:PORT]\n";

/* Beside the program: ../libexec/keyholt when installed, ../libexec in the build tree. */
static enum err find_libexec(char ret[static PATH_MAX])
{
    char self[PATH_MAX], path[PATH_MAX];
    static const char *const places[] = {"../libexec/keyholt", "../libexec"};
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    if (len < 0)
        return ERR_IO;
    self[len] = '\0';
    const char *dir = dirname(self);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        int n = snprintf(path, sizeof path, "%s/%s/writer", dir, places[i]);
        if (n > 0 && (size_t)n < sizeof path && access(path, X_OK) == 0) {
            path[(size_t)n - strlen("/writer")] = '\0';
            memcpy(ret, path, strlen(path) + 1);
            return ERR_OK;
        }
    }
    return ERR_NOT_FOUND;
}

static int complain(const char *what, enum err e, const char *next)
{
    fprintf(stderr, "keyholt-server: %s: %s%s\n", what, err_text(e), next);
    return KH_EXIT_FAILED;
}

static enum err open_local(const char *root, const char *place, int *ret)
{
    char path[PATH_MAX], dir[PATH_MAX];
    TRY(file_join(root, KH_RUN, dir, sizeof dir));
    TRY(file_mkdirs(dir, 0755));
    TRY(file_join(root, place, path, sizeof path));
    return listen_local(path, ret);
}

static void remove_socket(const char *root, const char *place)
{
    char path[PATH_MAX];
    if (file_join(root, place, path, sizeof path) == ERR_OK)
        (void)unlink(path);
}

/* Of a server that had no address for /metrics and did not end in order. */
static void remove_stale(const char *root, const char *place)
{
    char path[PATH_MAX];
    int fd;
    if (file_join(root, place, path, sizeof path) != ERR_OK)
        return;
    enum err e = listen_local_connect(path, 1, &fd);
    if (e == ERR_OK)
        close(fd);
    if (e == ERR_OFFLINE)
        (void)unlink(path);
}

static int open_metrics(const char *root, const struct conf *conf, int *ret)
{
    enum err e;
    if (conf->metrics[0] == '\0') {
        e = open_local(root, KH_METRICS_SOCK, ret);
        return e == ERR_OK ? KH_EXIT_OK : complain(KH_METRICS_SOCK, e, "; a shorter --root may help");
    }
    remove_stale(root, KH_METRICS_SOCK);
    e = address_is_good(conf->metrics) ? listen_one(conf->metrics, ret) : ERR_FORMAT;
    if (e == ERR_OK)
        return KH_EXIT_OK;
    fprintf(stderr, "keyholt-server: %s: metrics: %s: %s\n", PLACE_CONF, conf->metrics, listen_why(e));
    return KH_EXIT_FAILED;
}

/* What was handed over, and for the rest our own. */
static int open_sockets(const char *root, const char *address, const struct conf *conf,
                        const struct listen_given *given, struct supervise_sockets *s, char *name)
{
    enum err e;
    memcpy(s->tcp, given->tcp, sizeof s->tcp);
    s->n_tcp = given->n_tcp;
    s->local = given->local;
    s->metrics = given->metrics;
    if (s->n_tcp > 0) {
        e = listen_name(s->tcp[0], name);
    } else {
        e = address == conf->listen && !address_is_good(address)
                ? ERR_FORMAT
                : listen_tcp(address, conf_workers(conf), s->tcp, name);
        s->n_tcp = conf_workers(conf);
    }
    if (e != ERR_OK)
        return state_complain(KH_EXIT_FAILED, address[0] != '\0' ? address : "listen", listen_why(e));
    if (s->local < 0 && (e = open_local(root, KH_SERVER_SOCK, &s->local)) != ERR_OK)
        return complain(KH_SERVER_SOCK, e, "; a shorter --root may help");
    return s->metrics < 0 ? open_metrics(root, conf, &s->metrics) : KH_EXIT_OK;
}

/* Each connection of a device is one; whoever set the hard limit meant it. */
static void raise_files(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
        r.rlim_cur = r.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &r); /* then it stays as it was */
    }
}

_Static_assert(CONF_ENTRIES_MAX == TLS_SESSIONS_MAX && CONF_ENTRIES_MAX == QUIET_DEVICES_MAX,
               "one range is told for both");

/* Another server over the same PostgreSQL may change what a device is to be told. Without the table all goes
 * on as well, and costs more. */
static void make_quiet(const struct conf *conf, struct supervise_sockets *s)
{
    if (conf->quiet_devices == 0 || !state_is_sqlite(conf, STORE_RECOVERY) ||
        !state_is_sqlite(conf, STORE_COMPLIANCE))
        return;
    enum err e = quiet_make(conf->quiet_devices, &s->quiet, &s->quiet_read);
    if (e != ERR_OK)
        slog(SLOG_WARN, "start", "warning=\"every heartbeat is a question to the store\" reason=\"%s\"",
             err_text(e));
}

static int run_with(const char *root, const char *libexec, const struct conf *conf,
                    struct supervise_sockets *sockets)
{
    enum err e = ERR_OK;
    if (conf->tls_sessions > 0)
        e = tls_sessions_make(conf->tls_sessions, &sockets->sessions);
    if (e != ERR_OK)
        return complain("tls-sessions", e, "");
    make_quiet(conf, sockets);
    if (geteuid() != 0)
        slog(SLOG_WARN, "start",
             "warning=\"NOT STARTED AS ROOT: web, writer and vault all run as uid %u; nothing keeps a "
             "taken-over "
             "web worker from the vault's key\"",
             (unsigned)geteuid());
    e = supervise(root, libexec, conf, sockets);
    if (e != ERR_OK)
        return complain("the server did not run", e, "; the lines above say why");
    return KH_EXIT_OK;
}

/* What was handed over is whoever's who holds it. */
static void remove_own(const char *root, const struct conf *conf, const struct listen_given *given,
                       const struct supervise_sockets *s)
{
    if (given->local < 0 && s->local >= 0)
        remove_socket(root, KH_SERVER_SOCK);
    if (given->metrics < 0 && s->metrics >= 0 && conf->metrics[0] == '\0')
        remove_socket(root, KH_METRICS_SOCK);
}

static int serve(const char *root, const char *address, const struct conf *conf)
{
    char libexec[PATH_MAX], name[LISTEN_TEXT];
    struct supervise_sockets sockets = {
        .local = -1, .metrics = -1, .sessions = -1, .quiet = -1, .quiet_read = -1};
    raise_files();
    enum err e = find_libexec(libexec);
    if (e != ERR_OK)
        return complain("the programs web, writer and vault", e, "; reinstall keyholt");
    struct listen_given given;
    e = listen_given(&given);
    if (e != ERR_OK)
        return complain("the sockets of LISTEN_FDS", e, "");
    int code = open_sockets(root, address, conf, &given, &sockets, name);
    if (code == KH_EXIT_OK) {
        slog(SLOG_INFO, "listening", "address=%s workers=%u given=%u", name, conf_workers(conf), given.n_tcp);
        code = run_with(root, libexec, conf, &sockets);
    }
    remove_own(root, conf, &given, &sockets);
    return code;
}

static int run(int argc, char *const *argv)
{
    const char *root = "/", *address = NULL;
    char absolute[PATH_MAX];
    struct conf conf;
    const struct option_def defs[] = {{"root", OPTION_TEXT, false, &root},
                                      {"listen", OPTION_TEXT, false, &address}};
    if (options_parse(argc, argv, defs, 2, usage) != ERR_OK)
        return KH_EXIT_USAGE;
    int code = state_begin(root, absolute, &conf);
    if (code != 0)
        return code;
    if (!state_has_organisation(absolute))
        return state_complain(KH_EXIT_FAILED, root, STATE_NO_SERVER);
    if (geteuid() == 0 && !config_users_differ(&conf))
        return complain(PLACE_CONF, ERR_RANGE,
                        ": web-uid, writer-uid, vault-uid and export-uid must be different numbers above 0");
    enum err e = state_lock(absolute);
    if (e != ERR_OK)
        return e == ERR_BUSY ? state_complain(KH_EXIT_FAILED, root, "a server is running here already")
                             : complain(root, e, "");
    return serve(absolute, address != NULL ? address : conf.listen, &conf);
}

const struct verb verb_serve = {"serve", run, usage, "run the server until it is told to stop (SIGTERM)"};
