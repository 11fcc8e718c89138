/* SPDX-License-Identifier: GPL-3.0-or-later */
/* keyholt-agent: the table of verbs. */
#include "agent/command/command.h"
#include "crypto/host/process.h"
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

int main(int argc, char **argv)
{
    if (process_harden(true) != ERR_OK) {
        command_say("this process could not be protected; nothing was done");
        return KH_EXIT_FAILED;
    }
    const char *verb = argc > 1 ? argv[1] : "";
    if (strcmp(verb, "--help") == 0 || strcmp(verb, "-h") == 0 || strcmp(verb, "help") == 0)
        return help();
    if (strcmp(verb, "--version") == 0)
        return puts("keyholt-agent " KEYHOLT_VERSION) < 0 ? KH_EXIT_FAILED : KH_EXIT_OK;
    for (size_t i = 0; i < N_VERBS; i++)
        if (strcmp(verb, verbs[i]->name) == 0)
            return verbs[i]->run(argc - 1, argv + 1);
    command_say(verb[0] ? "there is no verb '%s'; 'keyholt-agent --help' lists them"
                        : "a verb is missing%s; 'keyholt-agent --help' lists them",
                verb);
    return KH_EXIT_USAGE;
}
