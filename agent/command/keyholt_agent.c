/* SPDX-License-Identifier: GPL-3.0-or-later */
/* keyholt-agent: the table of verbs. */
#include "agent/command/command.h"
#include "crypto/host/process.h"
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const struct command *const verbs[] = {
    &command_status, &command_enroll, &command_protect,  &command_verify, &command_rotate, &command_sync,
    &command_export, &command_import, &command_recovery, &command_unlock, &command_doctor};
#define N_VERBS (sizeof verbs / sizeof *verbs)

static int help(void)
{
    puts("usage: keyholt-agent VERB [OPTION...]\n\n"
         "Recovery passwords of this computer's disks, kept where the organisation can reach them.\n");
    for (size_t i = 0; i < N_VERBS; i++)
        printf("  %-8s %s\n", verbs[i]->name, verbs[i]->summary);
    puts("\n'keyholt-agent VERB --help' explains one of them. Every verb takes --json (one JSON object on\n"
         "standard output) and --root DIR (in front of every path).\n"
         "Exit codes: 0 done, 1 failed, 2 wrong use, 3 the answer is no or a person is needed, 4 not now,\n"
         "it is queued.");
    return KH_EXIT_OK;
}

static bool has_word(int argc, char *const *argv, const char *word)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], word) == 0)
            return true;
    return false;
}

static int version(bool json)
{
    puts(json ? "{\"program\":\"keyholt-agent\",\"version\":\"" KEYHOLT_VERSION "\"}"
              : "keyholt-agent " KEYHOLT_VERSION);
    return fflush(stdout) == 0 ? KH_EXIT_OK : KH_EXIT_FAILED;
}

/* Help is for people: with --json it would be a text where an object is promised. */
static int refuse_json(void)
{
    command_say("help is text and has no --json");
    return KH_EXIT_USAGE;
}

int main(int argc, char **argv)
{
    if (process_harden(true) != ERR_OK) {
        command_say("this process could not be protected; nothing was done");
        return KH_EXIT_FAILED;
    }
    const char *verb = argc > 1 ? argv[1] : "";
    const bool json = has_word(argc, argv, "--json");
    if (strcmp(verb, "--version") == 0)
        return version(json);
    const bool helps = strcmp(verb, "-h") == 0 || strcmp(verb, "help") == 0;
    if (json && (helps || has_word(argc, argv, "--help")))
        return refuse_json();
    if (helps || strcmp(verb, "--help") == 0)
        return help();
    for (size_t i = 0; i < N_VERBS; i++)
        if (strcmp(verb, verbs[i]->name) == 0)
            return verbs[i]->run(argc - 1, argv + 1);
    command_say(verb[0] ? "there is no verb '%s'; 'keyholt-agent --help' lists them"
                        : "a verb is missing%s; 'keyholt-agent --help' lists them",
                verb);
    return KH_EXIT_USAGE;
}
