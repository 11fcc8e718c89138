/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/host/process.h"
#include "escrow-server/process/local.h"
#include "escrow-server/state.h"
#include "escrow-server/verb/answer.h"
#include "escrow-server/verb/ask.h"
#include "escrow-server/verb/options.h"
#include "escrow-server/verb/verbs.h"
#include <stdio.h>
#include <stdlib.h>

static const char usage[] =
    "  keyholt-server approve [--root DIR] --entry N --as NAME --password-file FILE [--code-file FILE]\n"
    "      [--json]\n"
    "    N: the number that the refused request named; whoever asked has an hour to ask again\n";

static int approve(const char *root, const char *as, uint64_t n, const struct secret *password,
                   const char *code, bool json)
{
    struct json_object *answer = NULL, *o = json_object_new_object();
    json_object_object_add(o, "op", json_object_new_string("approve"));
    json_object_object_add(o, "as", json_object_new_string(as));
    json_object_object_add(o, "entry", json_object_new_uint64(n));
    json_object_object_add(o, "code", json_object_new_string(code));
    int exit_code = ask_server(root, "approve", o, password, &answer);
    json_object_put(answer);
    if (exit_code == KH_EXIT_OK && json)
        ANSWER_JSON({"approved", NULL, n});
    else if (exit_code == KH_EXIT_OK)
        fputs("keyholt-server: approved, on record\n", stderr);
    return exit_code;
}

static int run(int argc, char *const *argv)
{
    const char *root = "/", *as = NULL, *password_file = NULL, *code_file = NULL;
    char absolute[PATH_MAX], code[16] = "";
    uint64_t n = 0;
    bool json = false;
    SECRET(password);
    const struct option_def defs[] = {{"root", OPTION_TEXT, false, &root},
                                      {"entry", OPTION_NUMBER, true, &n},
                                      {"as", OPTION_TEXT, true, &as},
                                      {"password-file", OPTION_TEXT, true, &password_file},
                                      {"code-file", OPTION_TEXT, false, &code_file},
                                      {"json", OPTION_FLAG, false, &json}};
    if (process_harden(false) != ERR_OK)
        return KH_EXIT_FAILED;
    if (options_parse(argc, argv, defs, sizeof defs / sizeof defs[0], usage) != ERR_OK)
        return KH_EXIT_USAGE;
    if (place_absolute(root, absolute) != ERR_OK)
        return state_complain(KH_EXIT_FAILED, root, "the path is too long");
    enum err e = secret_from_file(password_file, &password);
    if (e != ERR_OK)
        return state_complain(KH_EXIT_FAILED, password_file, secret_file_text(e));
    if (code_file != NULL && local_read_code(code_file, code, sizeof code) != ERR_OK)
        return state_complain(KH_EXIT_FAILED, code_file, "a one-time code of 6 digits is wanted");
    return approve(absolute, as, n, &password, code, json);
}

const struct verb verb_approve = {"approve", run, usage, "a second person's word for a disclosure"};
