/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/command.h"
#include <limits.h>

static int run(int argc, char **argv)
{
    SECRET(unlock);
    char device[PATH_MAX];
    const char *passphrase_file = NULL;
    bool no_esp = false;
    const struct command_option own[] = {
        {"passphrase-file", &passphrase_file, NULL}, {"no-esp", NULL, &no_esp}, {NULL, NULL, NULL}};
    struct command_args a;
    struct command_answer answer;
    int code;
    if (!command_parse(&command_protect, argc, argv, own, &a, &code))
        return code;
    if (a.n_devices != 1)
        return command_usage(&command_protect, a.n_devices ? "one device at a time" : "a device is missing");
    command_device(a.device[0], device);
    if (command_secret(passphrase_file, "Passphrase that opens the volume now: ", &unlock) != ERR_OK)
        return KH_EXIT_FAILED;
    const struct msg m = {.type = MSG_PROTECT,
                          .protect = {.device = msg_text(device),
                                      .passphrase = {unlock.bytes, unlock.len},
                                      .flags = no_esp ? MSG_PROTECT_NO_ESP : 0}};
    command_ask(&a, &m, &answer);
    return command_show(&a, &answer, NULL);
}

const struct command command_protect = {
    "protect", run, "make and escrow a recovery password for a volume",
    "[--passphrase-file FILE] [--no-esp] [--json] DEVICE\n\n"
    "A passphrase that opens the volume is asked for, or read from FILE (\"-\" is standard input).\n"
    "--no-esp leaves the EFI system partition and the boot entries alone this time.\n\n"
    "Exit codes: 0 protected; 1 failed; 2 wrong use; 3 the passphrase does not open it; 4 not now (the\n"
    "volume is being re-encrypted, or somebody else is at its header).\n"};
