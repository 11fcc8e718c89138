/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/command.h"
#include "agent/command_token.h"
#include <limits.h>

static int run(int argc, char **argv)
{
    SECRET(unlock);
    char device[PATH_MAX] = "";
    const char *passphrase_file = NULL, *token_text = NULL;
    uint32_t flags = 0;
    int token;
    const struct command_option own[] = {{"passphrase-file", &passphrase_file, NULL},
                                         {"existing-token", &token_text, NULL},
                                         {NULL, NULL, NULL}};
    struct command_args a;
    struct command_answer answer;
    int code;
    if (!command_parse(&command_rotate, argc, argv, own, &a, &code))
        return code;
    if (a.n_devices > 1)
        return command_usage(&command_rotate, "one device at a time");
    if (a.n_devices)
        command_device(a.device[0], device);
    if (token_text && (!command_token_number(token_text, &token) || !a.n_devices))
        return command_usage(&command_rotate, "--existing-token wants a number from 0 to 31, and a device");
    if (token_text ? command_token(device, token, passphrase_file, &unlock, &flags) != ERR_OK
                   : command_secret(passphrase_file, NULL, &unlock) != ERR_OK)
        return token_text ? KH_EXIT_NO : KH_EXIT_FAILED;
    const struct msg m = {
        .type = MSG_ROTATE,
        .rotate = {.device = msg_text(device), .passphrase = {unlock.bytes, unlock.len}, .flags = flags}};
    command_ask(&a, &m, &answer);
    return command_show(&a, &answer, NULL);
}

const struct command command_rotate = {
    "rotate", run, "replace a volume's recovery password",
    "[--passphrase-file FILE] [--existing-token N] [--json] [DEVICE]\n\n"
    "DEVICE may be left out where there is one protected volume. Usually the\n"
    "management key opens the volume, and nobody is needed. Else give a passphrase\n"
    "from FILE (\"-\" is standard input), or a token of the volume (its PIN from\n"
    "FILE). With nothing that opens it, nothing is changed, and status says so.\n\n"
    "Exit codes: 0 replaced; 1 failed; 2 wrong use; 3 the passphrase does not open\n"
    "it; 4 not now (the volume is being re-encrypted, or somebody else is at its\n"
    "header).\n"};
