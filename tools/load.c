/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tools/load.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static const char usage[] =
    "usage: keyholt-load --bundle DIR --enroll HOST:PORT --devices N [--names FILE]\n"
    "  Enrols N devices at a keyholt-server and prints one JSON object. Then each line of standard input,\n"
    "    heartbeat|escrow|static|idle  full|resumed|kept  HOST:PORT  CONNECTIONS  REQUESTS  SECONDS\n"
    "  is carried out, at most that long, and ends with one JSON object: counts, latencies, errors.\n"
    "  static: GET /sync.json. resumed: a device offers the newest ticket that it got. kept: connections "
    "stay\n"
    "  open between exchanges. FILE gets name and receipt class of each record as soon as its receipt was "
    "verified.\n";

static const char *const kinds[] = {"heartbeat", "escrow", "static", "idle"};
static const char *const handshakes[] = {"full", "resumed", "kept"};

static int fail(const char *what, enum err e)
{
    fprintf(stderr, "keyholt-load: %s: %s\n", what, err_text(e));
    return 1;
}

static int place_of(const char *word, const char *const *list, int n)
{
    for (int i = 0; i < n; i++)
        if (strcmp(word, list[i]) == 0)
            return i + 1;
    return 0;
}

static enum err read_plan(const char *line, struct load_plan *ret)
{
    char kind[16], handshake[16], to[128];
    *ret = (struct load_plan){0};
    if (sscanf(line, "%15s %15s %127s %u %u %lf", kind, handshake, to, &ret->connections, &ret->requests,
               &ret->seconds) != 6)
        return ERR_FORMAT;
    ret->kind = (enum load_kind)place_of(kind, kinds, 4);
    ret->handshake = (enum load_handshake)place_of(handshake, handshakes, 3);
    if (ret->kind == 0 || ret->handshake == 0 || ret->connections < 1 ||
        ret->connections > LOAD_CONNECTIONS || ret->requests < 1 || ret->requests > 10000000 ||
        ret->seconds <= 0 || ret->seconds > 3600)
        return ERR_RANGE;
    return load_address(to, ret);
}

static enum err enroll(struct load_fleet *f, const char *bundle, const char *at)
{
    struct load_plan to = {.kind = LOAD_HEARTBEAT, .handshake = LOAD_FULL, .seconds = 30};
    TRY(load_org_read(bundle, &f->org));
    TRY(load_address(at, &to));
    f->device = calloc(f->n, sizeof *f->device);
    return f->device == NULL ? ERR_NOMEM : load_enroll_all(f, &to);
}

static int serve_lines(struct load_fleet *f)
{
    char line[512];
    while (fgets(line, sizeof line, stdin) != NULL) {
        struct load_plan plan;
        enum err e = read_plan(line, &plan);
        if (e == ERR_OK)
            e = load_run(f, &plan);
        if (e != ERR_OK)
            return fail(line, e);
    }
    return 0;
}

static void raise_limits(void)
{
    struct rlimit files;
    signal(SIGPIPE, SIG_IGN);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

int main(int argc, char **argv)
{
    struct load_fleet f = {.names = -1};
    const char *bundle = NULL, *at = NULL, *names = NULL;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--bundle") == 0)
            bundle = argv[i + 1];
        else if (strcmp(argv[i], "--enroll") == 0)
            at = argv[i + 1];
        else if (strcmp(argv[i], "--names") == 0)
            names = argv[i + 1];
        else if (strcmp(argv[i], "--devices") == 0)
            f.n = (unsigned)strtoul(argv[i + 1], NULL, 10);
        else
            bundle = at = NULL;
    }
    if (bundle == NULL || at == NULL || argc % 2 == 0 || f.n < 1 || f.n > LOAD_DEVICES) {
        fputs(usage, stderr);
        return 2;
    }
    raise_limits();
    if (names != NULL && (f.names = open(names, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) < 0)
        return fail(names, ERR_IO);
    enum err e = enroll(&f, bundle, at);
    if (e != ERR_OK)
        return fail("enrol", e);
    printf("{\"enrolled\":%u}\n", f.n);
    fflush(stdout);
    int code = serve_lines(&f);
    for (unsigned i = 0; i < f.n; i++)
        load_device_wipe(&f.device[i]);
    free(f.device);
    load_org_wipe(&f.org);
    return code;
}
