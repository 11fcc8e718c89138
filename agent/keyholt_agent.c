/* SPDX-License-Identifier: GPL-3.0-or-later */
/* keyholt-agent: the command. It asks the keeper and shows what it answers; it opens no volume itself. */
#include "agent/channel.h"
#include "agent/passphrase.h"
#include "agent/status_text.h"
#include "crypto/host/file.h"
#include "crypto/host/process.h"
#include "formats/names.h"
#include "formats/org.h"
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MS 120000 /* longer than the keeper waits for the courier */
#define TOKEN_MAX 4096

struct args {
    const char *root, *bundle, *passphrase_file;
    char device[PATH_MAX];
    bool json, no_esp;
};

static void explain(FILE *to)
{
    fputs("usage: keyholt-agent enroll  --bundle DIR\n"
          "       keyholt-agent protect [--passphrase-file FILE] [--no-esp] DEVICE\n"
          "       keyholt-agent rotate  [--passphrase-file FILE] [DEVICE]\n"
          "       keyholt-agent status\n"
          "       keyholt-agent sync\n"
          "options: --json  --root DIR  (FILE \"-\" is standard input; --device DEVICE says the same as "
          "DEVICE)\n",
          to);
}

static int usage(void)
{
    explain(stderr);
    return KH_EXIT_USAGE;
}

static void show(const struct msg *m, bool json, bool status)
{
    char *text = strndup((const char *)m->result.text.p, m->result.text.len);
    char *object = strndup((const char *)m->result.json.p, m->result.json.len);
    if (!text || !object)
        fputs("keyholt-agent: not enough memory\n", stderr);
    else if (json)
        puts(object);
    else if (m->result.exit_code == KH_EXIT_OK && status)
        status_text_print(object);
    else if (m->result.exit_code == KH_EXIT_OK)
        puts(text);
    if (text && m->result.exit_code != KH_EXIT_OK)
        (void)fprintf(stderr, "keyholt-agent: %s\n", text);
    free(text);
    free(object);
}

static int no_keeper(const char *path, enum err e)
{
    (void)fprintf(stderr, "keyholt-agent: the keeper does not answer at %s (%s); %s\n", path, err_text(e),
                  e == ERR_DENIED ? "only root may ask it"
                                  : "is it running? systemctl status keyholt-keeper");
    return KH_EXIT_FAILED;
}

/* One request, its progress, its result. */
static int ask(const struct args *a, const struct msg *request)
{
    char path[PATH_MAX];
    struct channel c;
    struct msg m;
    enum err e = file_join(a->root, KH_KEEPER_SOCK, path, sizeof path);
    if (e == ERR_OK)
        e = channel_connect(path, &c);
    if (e != ERR_OK)
        return no_keeper(path, e);
    e = channel_send(&c, request, ANSWER_MS);
    while (e == ERR_OK && (e = channel_recv(&c, ANSWER_MS, &m)) == ERR_OK && m.type == MSG_PROGRESS)
        (void)fprintf(stderr, "%.*s\n", (int)m.progress.text.len, (const char *)m.progress.text.p);
    int code = KH_EXIT_FAILED;
    if (e == ERR_OK && m.type == MSG_RESULT) {
        code = (int)m.result.exit_code;
        show(&m, a->json, request->type == MSG_STATUS);
    } else {
        (void)no_keeper(path, e);
    }
    channel_close(&c);
    return code;
}

static enum err read_bundle(const char *dir, const char *name, size_t max, struct msg_span *ret)
{
    char path[PATH_MAX];
    uint8_t *p;
    size_t len;
    if (snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path)
        return ERR_RANGE;
    enum err e = file_read(path, max, &p, &len);
    if (e != ERR_OK) {
        (void)fprintf(stderr, "keyholt-agent: %s: %s; nothing was changed\n", path, err_text(e));
        return e;
    }
    *ret = (struct msg_span){p, len};
    return ERR_OK;
}

static int enroll(struct args *a)
{
    static const char *const name[] = {"org.json", "org.json.sig", "root.pub", "token"};
    static const size_t max[] = {ORG_MAX, 64, 4096, TOKEN_MAX};
    struct msg m = {.type = MSG_ENROLL};
    struct msg_span *const to[] = {&m.enroll.org, &m.enroll.sig, &m.enroll.root, &m.enroll.token};
    if (!a->bundle)
        return usage();
    for (int i = 0; i < 4; i++)
        if (read_bundle(a->bundle, name[i], max[i], to[i]) != ERR_OK)
            return KH_EXIT_FAILED;
    return ask(a, &m); /* the process ends: the bytes of the bundle go with it */
}

/* ret: empty when none was given and none is asked for */
static enum err unlock_secret(const struct args *a, bool must, struct secret *ret)
{
    if (!a->passphrase_file && !must)
        return ERR_OK;
    enum err e = a->passphrase_file ? secret_from_file(a->passphrase_file, ret)
                                    : passphrase_ask("Passphrase that opens the volume now: ", ret);
    if (e != ERR_OK)
        (void)fprintf(stderr, "keyholt-agent: %s: no passphrase: %s; nothing was changed\n",
                      a->passphrase_file ? a->passphrase_file : "terminal", err_text(e));
    return e;
}

static int protect(struct args *a)
{
    SECRET(unlock);
    if (!a->device[0])
        return usage();
    if (unlock_secret(a, true, &unlock) != ERR_OK)
        return KH_EXIT_FAILED;
    const struct msg m = {.type = MSG_PROTECT,
                          .protect = {.device = msg_text(a->device),
                                      .passphrase = {unlock.bytes, unlock.len},
                                      .flags = a->no_esp ? MSG_PROTECT_NO_ESP : 0}};
    return ask(a, &m);
}

static int rotate(struct args *a)
{
    SECRET(unlock);
    if (unlock_secret(a, false, &unlock) != ERR_OK)
        return KH_EXIT_FAILED;
    const struct msg m = {
        .type = MSG_ROTATE,
        .rotate = {.device = msg_text(a->device), .passphrase = {unlock.bytes, unlock.len}}};
    return ask(a, &m);
}

static int status(struct args *a)
{
    const struct msg m = {.type = MSG_STATUS};
    return ask(a, &m);
}

static int sync_now(struct args *a)
{
    const struct msg m = {.type = MSG_SYNC};
    return ask(a, &m);
}

static const struct verb {
    const char *name;
    int (*run)(struct args *a);
} verbs[] = {
    {"enroll", enroll}, {"protect", protect}, {"rotate", rotate}, {"status", status}, {"sync", sync_now}};

/* The keeper runs elsewhere: a relative path, or a link under /dev/disk, must mean the same there. */
static bool take_device(const char *given, struct args *a)
{
    if (a->device[0])
        return false;
    if (!realpath(given, a->device)) /* not there: the keeper says so */
        (void)snprintf(a->device, sizeof a->device, "%s", given);
    return true;
}

static bool parse(int argc, char **argv, struct args *a)
{
    static const struct option options[] = {{"bundle", required_argument, NULL, 'b'},
                                            {"device", required_argument, NULL, 'd'},
                                            {"passphrase-file", required_argument, NULL, 'p'},
                                            {"root", required_argument, NULL, 'r'},
                                            {"no-esp", no_argument, NULL, 'n'},
                                            {"json", no_argument, NULL, 'j'},
                                            {NULL, 0, NULL, 0}};
    bool good = true;
    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;)
        switch (o) {
        case 'b':
            a->bundle = optarg;
            break;
        case 'd':
            good = take_device(optarg, a) && good;
            break;
        case 'p':
            a->passphrase_file = optarg;
            break;
        case 'r':
            a->root = optarg;
            break;
        case 'n':
            a->no_esp = true;
            break;
        case 'j':
            a->json = true;
            break;
        default:
            good = false;
        }
    for (; optind < argc; optind++)
        good = take_device(argv[optind], a) && good;
    return good;
}

int main(int argc, char **argv)
{
    static struct args a = {.root = ""};
    if (argc < 2 || process_harden(true) != ERR_OK)
        return usage();
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        explain(stdout);
        return KH_EXIT_OK;
    }
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (strcmp(argv[1], verbs[i].name) == 0)
            return parse(argc - 1, argv + 1, &a) ? verbs[i].run(&a) : usage();
    return usage();
}
