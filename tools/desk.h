#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* keyholt-desk: the offline help desk. One verb per file; the table of verbs stands in desk.c. */

#include "formats/names.h"

struct desk_verb {
    const char *name;
    int (*run)(int argc, char **argv); /* argv[0] is the verb; returns an enum kh_exit */
    const char *summary;               /* one line */
    const char *help;                  /* what --help of the verb prints behind its name */
};

extern const struct desk_verb desk_open_verb, desk_volume_verb, desk_audit_verb;

/* One sentence on stderr, behind the program's name; a newline is added. */
void desk_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Print the help of one verb on stdout; returns KH_EXIT_OK. */
int desk_help(const struct desk_verb *verb);
/* Say what is wrong with the command line and where help is; returns KH_EXIT_USAGE. */
int desk_usage(const struct desk_verb *verb, const char *format, ...) __attribute__((format(printf, 2, 3)));
