/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/command/command.h"
#include "agent/command/command_token.h"
#include "agent/command/passphrase.h"
#include <limits.h>
#include <unistd.h>

#define PROMPT "Nothing here opens the volume without a person. Passphrase that opens it now (empty: later): "

static void ask(const struct command_args *a, const char *device, const struct secret *unlock, uint32_t flags,
                struct command_answer *ret)
{
    const struct msg m = {
        .type = MSG_ROTATE,
        .rotate = {.device = msg_text(device), .passphrase = {unlock->bytes, unlock->len}, .flags = flags}};
    command_ask(a, &m, ret);
}

static bool needs_secret(const struct command_answer *answer)
{
    struct json_object *v;
    return answer->json && json_object_object_get_ex(answer->json, "needs_secret", &v) &&
           json_object_get_boolean(v);
}

static int run(int argc, char **argv)
{
    SECRET(unlock);
    char device[PATH_MAX] = "";
    const char *passphrase_file = NULL, *key_file = NULL, *token_text = NULL;
    uint32_t flags = 0;
    int token;
    const struct command_option own[] = {{"passphrase-file", &passphrase_file, NULL},
                                         {"key-file", &key_file, NULL},
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
    if (key_file && (passphrase_file || token_text || !a.n_devices))
        return command_usage(&command_rotate, "--key-file wants a device, and nothing else that opens it");
    if (key_file     ? command_key_file(device, key_file, &unlock, &flags) != ERR_OK
        : token_text ? command_token(device, token, passphrase_file, &unlock, &flags) != ERR_OK
                     : command_secret(passphrase_file, NULL, &unlock) != ERR_OK)
        return key_file || token_text ? KH_EXIT_NO : KH_EXIT_FAILED;
    ask(&a, device, &unlock, flags, &answer);
    if (unlock.len == 0 && needs_secret(&answer) && !a.json && isatty(STDIN_FILENO) &&
        passphrase_ask(PROMPT, &unlock) == ERR_OK) { /* whoever sits here can end it */
        command_answer_free(&answer);
        ask(&a, device, &unlock, 0, &answer);
    }
    return command_show(&a, &answer, NULL);
}

const struct command command_rotate = {
    "rotate", run, "replace a volume's recovery password",
    "[--passphrase-file FILE] [--key-file FILE] [--existing-token N] [--json]\n"
    "                             [DEVICE]\n\n"
    "DEVICE may be left out where there is one protected volume. Usually the\n"
    "management key opens the volume, and nobody is needed. Else give a passphrase\n"
    "from FILE (\"-\" is standard input), a key file, or a token of the volume (its PIN from\n"
    "FILE). With nothing that opens it, it is asked for at a terminal; without an\n"
    "answer nothing is changed, and the rotation stays wanted.\n\n"
    "Exit codes: 0 replaced; 1 failed; 2 wrong use; 3 the passphrase does not open\n"
    "it; 4 not now (nothing opens it, the volume is being re-encrypted, or somebody\n"
    "else is at its header).\n"};
