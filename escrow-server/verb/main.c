/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/process/slog.h"
#include "escrow-server/verb/answer_guard.h"
#include "escrow-server/verb/verbs.h"
#include "formats/names.h"
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const struct verb *const verbs[] = {
    &verb_init,    &verb_serve,  &verb_recover, &verb_approve, &verb_audit,        &verb_user,
    &verb_keys,    &verb_token,  &verb_device,  &verb_policy,  &verb_check_config, &verb_backup,
    &verb_restore, &verb_verify, &verb_move,    &verb_retain,  &verb_import};
#define N_VERBS (sizeof verbs / sizeof verbs[0])

static int help(FILE *f, int code)
{
    fputs("keyholt-server " KEYHOLT_VERSION ": keeps the recovery keys of an organisation's disks\n\n", f);
    for (size_t i = 0; i < N_VERBS; i++)
        fprintf(f, "%s: %s\n%s\n", verbs[i]->name, verbs[i]->does, verbs[i]->usage);
    fputs("Exit codes: 0 done, 1 failed, 2 usage, 3 the answer is no, 4 not now.\n", f);
    return code;
}

/* Also where it stands in a command line that is wrong. */
static bool wants_json(int argc, char *const *argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--json") == 0)
            return true;
    return false;
}

static int run(const struct verb *verb, int argc, char *const *argv)
{
    if (!wants_json(argc, argv))
        return verb->run(argc - 2, argv + 2);
    answer_guard_begin();
    return answer_guard_end(verb->run(argc - 2, argv + 2));
}

static int no_such_command(int argc, char *const *argv)
{
    bool json = wants_json(argc, argv);
    if (json)
        answer_guard_begin();
    if (strcmp(argv[1], "--json") == 0)
        fprintf(stderr, "keyholt-server: a command is missing\n");
    else
        fprintf(stderr, "keyholt-server: no such command: %s\n", argv[1]);
    int code = help(stderr, KH_EXIT_USAGE);
    return json ? answer_guard_end(code) : code;
}

int main(int argc, char **argv)
{
    slog_open("server");
    umask(022);
    if (argc < 2)
        return help(stderr, KH_EXIT_USAGE);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0)
        return help(stdout, KH_EXIT_OK);
    if (strcmp(argv[1], "--version") == 0) {
        puts("keyholt-server " KEYHOLT_VERSION);
        return KH_EXIT_OK;
    }
    for (size_t i = 0; i < N_VERBS; i++) {
        if (strcmp(argv[1], verbs[i]->name) != 0)
            continue;
        if (argc > 2 && strcmp(argv[argc - 1], "--help") == 0) {
            printf("%s: %s\n%s", verbs[i]->name, verbs[i]->does, verbs[i]->usage);
            return KH_EXIT_OK;
        }
        return run(verbs[i], argc, argv);
    }
    return no_such_command(argc, argv);
}
