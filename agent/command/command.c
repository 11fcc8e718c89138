/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/command/command.h"
#include "agent/command/passphrase.h"
#include "crypto/host/process.h"
#include "formats/text.h"
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPT_ROOT = 1, OPT_JSON, OPT_DEVICE, OPT_HELP, OPT_OWN };

/* Names in a sentence come from files and arguments: a terminal shall get nothing but text. */
static void say(const char *format, va_list args)
{
    char raw[2048], clean[2048];
    (void)vsnprintf(raw, sizeof raw, format, args);
    text_clean(raw, strlen(raw), clean, sizeof clean);
    (void)fprintf(stderr, "keyholt-agent: %s\n", clean);
}

void command_say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(format, args);
    va_end(args);
}

int command_usage(const struct command *self, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(format, args);
    va_end(args);
    (void)fprintf(stderr, "Nothing was done. 'keyholt-agent %s --help' says what is needed.\n", self->name);
    return KH_EXIT_USAGE;
}

static unsigned count(const struct command_option *own)
{
    unsigned n = 0;
    while (n < COMMAND_OPTIONS && own[n].name)
        n++;
    return n;
}

static void fill_options(const struct command_option *own, struct option *ret)
{
    static const struct option common[] = {{"root", required_argument, NULL, OPT_ROOT},
                                           {"json", no_argument, NULL, OPT_JSON},
                                           {"device", required_argument, NULL, OPT_DEVICE},
                                           {"help", no_argument, NULL, OPT_HELP}};
    unsigned n = sizeof common / sizeof common[0];
    memcpy(ret, common, sizeof common);
    for (unsigned i = 0; i < count(own); i++)
        ret[n++] = (struct option){own[i].name, own[i].value ? required_argument : no_argument, NULL,
                                   OPT_OWN + (int)i};
    ret[n] = (struct option){0};
}

static bool add_device(struct command_args *a, const char *device)
{
    if (a->n_devices == COMMAND_DEVICES)
        return false;
    a->device[a->n_devices++] = device;
    return true;
}

/* False: not known. */
static bool take_option(int o, const struct command_option *own, struct command_args *a, bool *help)
{
    switch (o) {
    case OPT_ROOT:
        a->root = optarg;
        return true;
    case OPT_JSON:
        a->json = true;
        return true;
    case OPT_DEVICE:
        return add_device(a, optarg);
    case OPT_HELP:
        *help = true;
        return true;
    default:
        break;
    }
    if (o < OPT_OWN || o >= OPT_OWN + (int)count(own))
        return false;
    if (own[o - OPT_OWN].value)
        *own[o - OPT_OWN].value = optarg;
    else
        *own[o - OPT_OWN].flag = true;
    return true;
}

bool command_parse(const struct command *self, int argc, char **argv, const struct command_option *own,
                   struct command_args *ret, int *ret_exit)
{
    struct option options[4 + COMMAND_OPTIONS + 1];
    bool help = false, good = true;
    *ret = (struct command_args){.self = self, .root = ""};
    fill_options(own, options);
    opterr = 0; /* what is wrong is said once, below */
    for (int o; good && (o = getopt_long(argc, argv, "", options, NULL)) != -1;)
        good = take_option(o, own, ret, &help);
    const char *bad = good || optind < 1 ? NULL : argv[optind - 1];
    for (; good && optind < argc; optind++)
        good = add_device(ret, argv[optind]);
    if (help) {
        printf("usage: keyholt-agent %s %s", self->name, self->help);
        *ret_exit = KH_EXIT_OK;
        return false;
    }
    if (!good)
        *ret_exit = bad ? command_usage(self, "option '%s' is not known, or lacks its value", bad)
                        : command_usage(self, "more than %u devices", (unsigned)COMMAND_DEVICES);
    return good;
}

void command_device(const char *given, char *ret)
{
    if (!realpath(given, ret)) /* not there: the keeper says so */
        (void)snprintf(ret, PATH_MAX, "%s", given);
}

enum err command_secret(const char *file, const char *prompt, struct secret *ret)
{
    if (!file && !prompt)
        return ERR_OK;
    enum err e = file ? secret_from_file(file, ret) : passphrase_ask(prompt, ret);
    if (e != ERR_OK)
        command_say("%s: no passphrase: %s; nothing was changed", file ? file : "terminal", err_text(e));
    return e;
}

void command_print_json(struct json_object *o)
{
    puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
}
