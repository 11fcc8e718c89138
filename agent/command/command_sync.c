/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/command/command.h"

static int run(int argc, char **argv)
{
    static const struct command_option own[] = {{NULL, NULL, NULL}};
    const struct msg m = {.type = MSG_SYNC};
    struct command_args a;
    struct command_answer answer;
    int code;
    if (!command_parse(&command_sync, argc, argv, own, &a, &code))
        return code;
    if (a.n_devices)
        return command_usage(&command_sync, "sync takes no device");
    command_ask(&a, &m, &answer);
    return command_show(&a, &answer, NULL);
}

const struct command command_sync = {
    "sync", run, "go to a server now, not at the next timer",
    "[--json]\n\n"
    "Exit codes: 0 synced; 1 failed; 2 wrong use; 3 the server said no; 4 no server\n"
    "could be reached, what waits stays queued.\n"};
