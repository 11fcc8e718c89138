/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/command/command.h"
#include "agent/command/status_text.h"

static void page(struct json_object *o)
{
    status_text_print(o, false);
}

static void page_of_all(struct json_object *o)
{
    status_text_print(o, true);
}

static int run(int argc, char **argv)
{
    bool all = false;
    const struct command_option own[] = {{"all", NULL, &all}, {NULL, NULL, NULL}};
    const struct msg m = {.type = MSG_STATUS};
    struct command_args a;
    struct command_answer answer;
    int code;
    if (!command_parse(&command_status, argc, argv, own, &a, &code))
        return code;
    if (a.n_devices)
        return command_usage(&command_status, "status takes no device; it shows them all");
    command_ask(&a, &m, &answer);
    return command_show(&a, &answer, all ? page_of_all : page);
}

const struct command command_status = {
    "status", run, "show organisation, volumes, keys and what still waits for a server",
    "[--all] [--json]\n\n"
    "Every volume with its state: LUKS2, LUKS1, BitLocker, and what is not\n"
    "encrypted. --all: the devices that are no volumes, too, each with its reason.\n\n"
    "Exit codes: 0 shown; 1 the keeper does not answer; 2 wrong use.\n"};
