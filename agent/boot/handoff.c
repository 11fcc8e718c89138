/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/boot/handoff.h"
#include "crypto/host/file.h"
#include "crypto/host/process.h"
#include <getopt.h>
#include <libcryptsetup.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OFFER_SECONDS 60 /* then Debian's prompt is back: somebody may wait for it over the network */

static const char usage[] =
    "usage: handoff open --device DEV --name NAME [--header FILE] [--test] [activation flags]\n"
    "       handoff offer --device DEV [--header FILE] [--reason REASON] [--seconds N]\n"
    "                     [--before-shell]\n"
    "       handoff to-recovery --reason passphrase|tpm|user\n"
    "       handoff clean\n"
    "options of all: --root DIR, --efivars DIR\n"
    "activation flags: --discard --readonly --same-cpu-crypt --submit-from-crypt-cpus --no-read-workqueue\n"
    "                  --no-write-workqueue\n"
    "exit: 0 done, 1 failed, 2 usage, 3 nothing handed over, no such boot entry, or declined\n";

enum option_code {
    OPT_DEVICE = 256,
    OPT_HEADER,
    OPT_NAME,
    OPT_TEST,
    OPT_REASON,
    OPT_SECONDS,
    OPT_BEFORE_SHELL,
    OPT_ROOT,
    OPT_EFIVARS,
    OPT_FLAG
};

static const struct option options[] = {
    {"device", required_argument, NULL, OPT_DEVICE},
    {"header", required_argument, NULL, OPT_HEADER},
    {"name", required_argument, NULL, OPT_NAME},
    {"test", no_argument, NULL, OPT_TEST},
    {"reason", required_argument, NULL, OPT_REASON},
    {"seconds", required_argument, NULL, OPT_SECONDS},
    {"before-shell", no_argument, NULL, OPT_BEFORE_SHELL},
    {"root", required_argument, NULL, OPT_ROOT},
    {"efivars", required_argument, NULL, OPT_EFIVARS},
    {"discard", no_argument, NULL, OPT_FLAG},
    {"readonly", no_argument, NULL, OPT_FLAG},
    {"same-cpu-crypt", no_argument, NULL, OPT_FLAG},
    {"submit-from-crypt-cpus", no_argument, NULL, OPT_FLAG},
    {"no-read-workqueue", no_argument, NULL, OPT_FLAG},
    {"no-write-workqueue", no_argument, NULL, OPT_FLAG},
    {NULL, 0, NULL, 0},
};

static const struct {
    const char *name;
    uint32_t flag;
} flags[] = {
    {"discard", CRYPT_ACTIVATE_ALLOW_DISCARDS},
    {"readonly", CRYPT_ACTIVATE_READONLY},
    {"same-cpu-crypt", CRYPT_ACTIVATE_SAME_CPU_CRYPT},
    {"submit-from-crypt-cpus", CRYPT_ACTIVATE_SUBMIT_FROM_CRYPT_CPUS},
    {"no-read-workqueue", CRYPT_ACTIVATE_NO_READ_WORKQUEUE},
    {"no-write-workqueue", CRYPT_ACTIVATE_NO_WRITE_WORKQUEUE},
};

static const struct {
    const char *name;
    enum kh_reason reason;
} reasons[] = {
    {"passphrase", KH_REASON_PASSPHRASE},
    {"tpm", KH_REASON_TPM},
    {"user", KH_REASON_USER},
};

static const struct verb {
    const char *name;
    int (*run)(const struct handoff_args *a);
    bool device, name_or_test, reason; /* what it needs */
} verbs[] = {
    {"open", handoff_open, true, true, false},
    {"offer", handoff_offer, true, false, false},
    {"to-recovery", handoff_to_recovery, false, false, true},
    {"clean", handoff_clean, false, false, false},
};

static uint32_t flag_named(const char *name)
{
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        if (strcmp(name, flags[i].name) == 0)
            return flags[i].flag;
    return 0;
}

static bool parse_reason(const char *text, enum kh_reason *ret)
{
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        if (strcmp(text, reasons[i].name) == 0) {
            *ret = reasons[i].reason;
            return true;
        }
    return false;
}

static bool parse_seconds(const char *text, unsigned *ret)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    if (!*text || *end || n > 3600)
        return false;
    *ret = (unsigned)n;
    return true;
}

/* False when the command line makes no sense. root: PATH_MAX characters */
static bool parse(int argc, char **argv, struct handoff_args *ret, char *efivars)
{
    const char *root = "", *dir = NULL;
    int index;

    for (int c; (c = getopt_long(argc, argv, "", options, &index)) != -1;) {
        bool good = true;
        if (c == OPT_DEVICE)
            ret->device = optarg;
        else if (c == OPT_HEADER)
            ret->header = optarg;
        else if (c == OPT_NAME)
            ret->name = optarg;
        else if (c == OPT_TEST)
            ret->test = true;
        else if (c == OPT_REASON)
            good = parse_reason(optarg, &ret->reason);
        else if (c == OPT_SECONDS)
            good = parse_seconds(optarg, &ret->seconds);
        else if (c == OPT_BEFORE_SHELL)
            ret->before_shell = true;
        else if (c == OPT_ROOT)
            root = optarg;
        else if (c == OPT_EFIVARS)
            dir = optarg;
        else if (c == OPT_FLAG)
            ret->activate |= flag_named(options[index].name);
        else
            good = false;
        if (!good)
            return false;
    }
    return optind == argc && file_join(dir ? "" : root, dir ? dir : KH_EFIVARS, efivars, PATH_MAX) == ERR_OK;
}

static bool complete(const struct verb *v, const struct handoff_args *a)
{
    return (!v->device || a->device) && (!v->name_or_test || a->name || a->test) &&
           (!v->reason || a->reason != KH_REASON_UNKNOWN);
}

int main(int argc, char **argv)
{
    char efivars[PATH_MAX];
    struct handoff_args a = {.efivars = efivars, .reason = KH_REASON_UNKNOWN, .seconds = OFFER_SECONDS};
    const struct verb *v = NULL;

    for (size_t i = 0; argc > 1 && i < sizeof verbs / sizeof verbs[0]; i++)
        if (strcmp(argv[1], verbs[i].name) == 0)
            v = &verbs[i];
    if (!v || !parse(argc - 1, argv + 1, &a, efivars) || !complete(v, &a)) {
        fputs(usage, stderr);
        return KH_EXIT_USAGE;
    }
    if (a.reason == KH_REASON_UNKNOWN)
        a.reason = KH_REASON_PASSPHRASE; /* the offer stands behind a refused passphrase */
    if (process_harden(true) != ERR_OK) {
        fprintf(stderr, "keyholt: this process cannot be protected from others; nothing was done\n");
        return KH_EXIT_FAILED;
    }
    return v->run(&a);
}
