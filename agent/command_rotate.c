/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/command.h"
#include <limits.h>

static int run(int argc, char **argv)
{
    SECRET(unlock);
    char device[PATH_MAX] = "";
    const char *passphrase_file = NULL;
    const struct command_option own[] = {{"passphrase-file", &passphrase_file, NULL}, {NULL, NULL, NULL}};
    struct command_args a;
    struct command_answer answer;
    int code;
    if (!command_parse(&command_rotate, argc, argv, own, &a, &code))
        return code;
    if (a.n_devices > 1)
        return command_usage(&command_rotate, "one device at a time");
    if (a.n_devices)
        command_device(a.device[0], device);
    if (command_secret(passphrase_file, NULL, &unlock) != ERR_OK)
        return KH_EXIT_FAILED;
    const struct msg m = {.type = MSG_ROTATE,
                          .rotate = {.device = msg_text(device), .passphrase = {unlock.bytes, unlock.len}}};
    command_ask(&a, &m, &answer);
    return command_show(&a, &answer, NULL);
}

const struct command command_rotate = {
    "rotate", run, "replace a volume's recovery password",
    "[--passphrase-file FILE] [--json] [DEVICE]\n\n"
    "DEVICE may be left out where there is one protected volume. Something that opens the volume is\n"
    "needed: the used recovery password, which is at hand after a recovery boot (then this happens by\n"
    "itself), or a passphrase from FILE (\"-\" is standard input). Without either nothing is changed.\n\n"
    "Exit codes: 0 replaced; 1 failed; 2 wrong use; 3 the passphrase does not open it; 4 not now (the\n"
    "volume is being re-encrypted, or somebody else is at its header).\n"};
