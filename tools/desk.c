/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tools/desk.h"
#include "crypto/host/process.h"
#include "formats/text.h"
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct desk_verb *const verbs[] = {&desk_open_verb, &desk_volume_verb, &desk_audit_verb};
#define N_VERBS (sizeof verbs / sizeof *verbs)

/* Names in a sentence come from files and arguments: a terminal shall get nothing but text. */
static void say(const char *format, va_list args)
{
    char raw[2048], clean[2048];
    vsnprintf(raw, sizeof raw, format, args);
    text_clean(raw, strlen(raw), clean, sizeof clean);
    fprintf(stderr, "keyholt-desk: %s\n", clean);
}

void desk_say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(format, args);
    va_end(args);
}

int desk_help(const struct desk_verb *verb)
{
    printf("usage: keyholt-desk %s %s", verb->name, verb->help);
    return KH_EXIT_OK;
}

int desk_usage(const struct desk_verb *verb, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(format, args);
    va_end(args);
    fprintf(stderr, "Nothing was done. 'keyholt-desk %s --help' says what is needed.\n", verb->name);
    return KH_EXIT_USAGE;
}

static int help(void)
{
    puts("usage: keyholt-desk VERB [OPTION...]\n\n"
         "The offline help desk: reads a disk's recovery password back when no server answers, and opens\n"
         "encrypted volumes with it.\n");
    for (size_t i = 0; i < N_VERBS; i++)
        printf("  %-8s %s\n", verbs[i]->name, verbs[i]->summary);
    puts("\n'keyholt-desk VERB --help' explains one of them.\n"
         "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the answer is no, 4 not now.");
    return KH_EXIT_OK;
}

int main(int argc, char **argv)
{
    /* A reader that goes away shall not end us between two sentences; the failed write is noticed. */
    signal(SIGPIPE, SIG_IGN);
    enum err err = process_harden(true);
    if (err != ERR_OK) {
        desk_say("this process could not be protected (%s); nothing was done", err_text(err));
        return KH_EXIT_FAILED;
    }
    const char *verb = argc > 1 ? argv[1] : "";
    if (strcmp(verb, "--help") == 0 || strcmp(verb, "-h") == 0 || strcmp(verb, "help") == 0)
        return help();
    if (strcmp(verb, "--version") == 0)
        return puts("keyholt-desk " KEYHOLT_VERSION) < 0 ? KH_EXIT_FAILED : KH_EXIT_OK;
    for (size_t i = 0; i < N_VERBS; i++)
        if (strcmp(verb, verbs[i]->name) == 0)
            return verbs[i]->run(argc - 1, argv + 1);
    desk_say(verb[0] ? "there is no verb '%s'; 'keyholt-desk --help' lists them"
                     : "a verb is missing%s; 'keyholt-desk --help' lists them",
             verb);
    return KH_EXIT_USAGE;
}
