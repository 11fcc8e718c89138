/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/host/file.h"
#include "escrow-server/process/slog.h"
#include "escrow-server/verb/answer.h"
#include "escrow-server/verb/answer_guard.h"
#include "escrow-server/verb/verbs.h"
#include "formats/names.h"
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const struct verb *const verbs[] = {
    &verb_init,   &verb_serve,   &verb_recover, &verb_approve, &verb_audit,  &verb_user,
    &verb_keys,   &verb_token,   &verb_device,  &verb_policy,  &verb_org,    &verb_check_config,
    &verb_backup, &verb_restore, &verb_verify,  &verb_move,    &verb_retain, &verb_import};
#define N_VERBS (sizeof verbs / sizeof verbs[0])

static int help(FILE *f, int code)
{
    fputs("keyholt-server " KEYHOLT_VERSION ": keeps the recovery keys of an organisation's disks\n\n", f);
    for (size_t i = 0; i < N_VERBS; i++)
        fprintf(f, "%s: %s\n%s\n", verbs[i]->name, verbs[i]->does, verbs[i]->usage);
    fputs("Exit codes: 0 done, 1 failed, 2 usage, 3 the answer is no, 4 not now.\n", f);
    return code;
}

static bool has_word(int argc, char *const *argv, const char *word)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], word) == 0)
            return true;
    return false;
}

/* Also where it stands in a command line that is wrong. */
static bool wants_json(int argc, char *const *argv)
{
    return has_word(argc, argv, "--json");
}

/* Whoever was shown nothing must not be told that all went well. Why is known of what is written last only.
 */
static int finish(int code)
{
    bool lost = fflush(stdout) != 0;
    const char *why = lost ? err_text(err_from_errno(errno)) : "";
    if ((!lost && !ferror(stdout)) || code != KH_EXIT_OK)
        return code;
    fprintf(
        stderr,
        "keyholt-server: standard output: %s%sthe answer could not be written; what was done stays done\n",
        why, lost ? ": " : "");
    return KH_EXIT_FAILED;
}

static int run(const struct verb *verb, int argc, char *const *argv)
{
    if (!wants_json(argc, argv))
        return finish(verb->run(argc - 2, argv + 2));
    answer_guard_begin();
    return finish(answer_guard_end(verb->run(argc - 2, argv + 2)));
}

static int no_such_command(int argc, char *const *argv)
{
    bool json = wants_json(argc, argv);
    if (json)
        answer_guard_begin();
    if (strcmp(argv[1], "--json") == 0)
        fputs("keyholt-server: a command is missing\n", stderr);
    else if (argv[1][0] == '-')
        fprintf(stderr, "keyholt-server: the command comes first, and what belongs to it behind it: %s\n",
                argv[1]);
    else
        fprintf(stderr, "keyholt-server: no such command: %s\n", argv[1]);
    fputs("keyholt-server --help shows all of them\n", stderr);
    return json ? answer_guard_end(KH_EXIT_USAGE) : KH_EXIT_USAGE;
}

/* Help is for people: with --json it would be a text where an object is promised. */
static int refuse_json(void)
{
    answer_guard_begin();
    fputs("keyholt-server: help is text and has no --json\n", stderr);
    return answer_guard_end(KH_EXIT_USAGE);
}

static int version(bool json)
{
    if (json)
        ANSWER_JSON({"program", "keyholt-server", 0}, {"version", KEYHOLT_VERSION, 0});
    else
        puts("keyholt-server " KEYHOLT_VERSION);
    return finish(KH_EXIT_OK);
}

static int help_of(const struct verb *verb)
{
    printf("%s: %s\n%s", verb->name, verb->does, verb->usage);
    return finish(KH_EXIT_OK);
}

int main(int argc, char **argv)
{
    slog_open("server");
    umask(022);
    if (argc < 2)
        return help(stderr, KH_EXIT_USAGE);
    const bool json = wants_json(argc, argv);
    const bool helps = strcmp(argv[1], "help") == 0;
    if (json && (helps || has_word(argc, argv, "--help")))
        return refuse_json();
    if (helps || strcmp(argv[1], "--help") == 0)
        return finish(help(stdout, KH_EXIT_OK));
    if (strcmp(argv[1], "--version") == 0)
        return version(json);
    for (size_t i = 0; i < N_VERBS; i++) {
        if (strcmp(argv[1], verbs[i]->name) != 0)
            continue;
        if (argc > 2 && strcmp(argv[argc - 1], "--help") == 0)
            return help_of(verbs[i]);
        return run(verbs[i], argc, argv);
    }
    return no_such_command(argc, argv);
}
