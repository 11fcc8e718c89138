/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tools/desk.h"
#include "crypto/host/process.h"
#include "formats/text.h"
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
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

static bool has_word(int argc, char *const *argv, const char *word)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], word) == 0)
            return true;
    return false;
}

static int version(bool json)
{
    puts(json ? "{\"program\":\"keyholt-desk\",\"version\":\"" KEYHOLT_VERSION "\"}"
              : "keyholt-desk " KEYHOLT_VERSION);
    return fflush(stdout) == 0 ? KH_EXIT_OK : KH_EXIT_FAILED;
}

/* Help is for people: with --json it would be a text where an object is promised. */
static int refuse_json(void)
{
    desk_say("help is text and has no --json");
    return KH_EXIT_USAGE;
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
    desk_say(verb[0] ? "there is no verb '%s'; 'keyholt-desk --help' lists them"
                     : "a verb is missing%s; 'keyholt-desk --help' lists them",
             verb);
    return KH_EXIT_USAGE;
}
