#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* keyholt-agent: the command. One verb per file (command_*.c); the table of verbs stands in keyholt_agent.c.
 * It asks the keeper and shows what it answers; it opens no volume itself. */

#include "agent/msg.h"
#include "crypto/err.h"
#include "crypto/secret.h"
#include "formats/names.h"
#include <json-c/json.h>
#include <stdbool.h>

struct command {
    const char *name;
    int (*run)(int argc, char **argv); /* argv[0] is the verb; returns an enum kh_exit */
    const char *summary;               /* one line */
    const char *help;                  /* what --help of the verb prints behind its name */
};

extern const struct command command_doctor, command_enroll, command_protect, command_rotate, command_status,
    command_sync, command_verify, command_export, command_import, command_recovery, command_unlock;

#define COMMAND_DEVICES 64

/* What a verb was given. */
struct command_args {
    const struct command *self;
    const char *root;
    bool json;
    const char *device[COMMAND_DEVICES]; /* as typed: arguments and --device */
    unsigned n_devices;
};

/* An option of one verb: where its value goes, or the flag that it sets. */
struct command_option {
    const char *name;
    const char **value;
    bool *flag;
};

/* Read the command line: --root, --json, --device and --help, which every verb knows, and the verb's own.
 * own: ends with a NULL name, at most COMMAND_OPTIONS
 * ret_exit: what to exit with when the answer is false (help was printed, or the use is wrong and said) */
#define COMMAND_OPTIONS 8
bool command_parse(const struct command *self, int argc, char **argv, const struct command_option *own,
                   struct command_args *ret, int *ret_exit);

/* One sentence on stderr, behind the program's name. */
void command_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Say what is wrong with the command line and where help is; returns KH_EXIT_USAGE. */
int command_usage(const struct command *self, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The keeper's answer; owned. */
struct command_answer {
    int exit_code; /* enum kh_exit */
    char *text;    /* a sentence */
    struct json_object *json;
};

/* One request: its progress goes to stderr as it comes, then the result. Where the keeper does not answer,
 * the result says so. ret: command_answer_free() it, whatever it is */
void command_ask(const struct command_args *a, const struct msg *request, struct command_answer *ret);
/* The same where the keeper sends pieces of a file, too. take: takes each in turn; what it fails with ends
 * the talk */
void command_ask_pieces(const struct command_args *a, const struct msg *request,
                        enum err (*take)(void *ctx, struct msg_span piece), void *ctx,
                        struct command_answer *ret);
/* Show it: JSON with --json, else the page, or the sentence when page is NULL; failures also on stderr.
 * Returns its exit code and frees it. */
int command_show(const struct command_args *a, struct command_answer *answer,
                 void (*page)(struct json_object *o));
void command_answer_free(struct command_answer *answer);

/* The one device of a verb that takes at most one: absolute and free of links, because the keeper runs
 * elsewhere; empty when none was given. ret: PATH_MAX bytes */
void command_device(const char *given, char *ret);

/* A passphrase from file ("-": standard input), or asked for at the terminal when file is NULL.
 * prompt: NULL: do not ask, *ret stays empty. err: as said on stderr */
MUST_CHECK enum err command_secret(const char *file, const char *prompt, struct secret *ret);

/* Print an object as one line. */
void command_print_json(struct json_object *o);
