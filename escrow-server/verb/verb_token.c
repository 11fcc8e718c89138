/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/verb/answer.h"
#include "escrow-server/verb/ask.h"
#include "escrow-server/verb/options.h"
#include "escrow-server/verb/setup.h"
#include "escrow-server/verb/verbs.h"
#include "formats/base.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char usage[] = "  keyholt-server token new [--root DIR] [--days N] [--uses N] [--json]\n";

static int complain(int code, const char *reason)
{
    fprintf(stderr, "keyholt-server: token: %s; no token was made\n", reason);
    return code;
}

static int make(const char *root, uint64_t days, uint64_t uses, bool json)
{
    char text[TOKEN_TEXT], hex[BASE16_LEN(32) + 1];
    uint8_t hash[32];
    struct json_object *answer = NULL, *o = json_object_new_object();
    enum err e = setup_token(text, hash);
    if (e != ERR_OK)
        return complain(KH_EXIT_FAILED, err_text(e));
    base16_encode(hash, sizeof hash, hex);
    json_object_object_add(o, "op", json_object_new_string("token"));
    json_object_object_add(o, "hash", json_object_new_string(hex));
    json_object_object_add(o, "expires", json_object_new_int64((int64_t)time(NULL) + (int64_t)days * 86400));
    json_object_object_add(o, "uses", json_object_new_int64((int64_t)uses));
    int code = ask_server(root, "token", o, NULL, &answer);
    json_object_put(answer);
    if (code == KH_EXIT_OK && json)
        ANSWER_JSON({"token", text, 0}, {"days", NULL, days}, {"uses", NULL, uses});
    else if (code == KH_EXIT_OK)
        printf("%s\n", text);
    return code;
}

static int run(int argc, char *const *argv)
{
    const char *root = "/";
    char absolute[PATH_MAX];
    uint64_t days = 7, uses = 1;
    bool json = false;
    const struct option_def defs[] = {{"root", OPTION_TEXT, false, &root},
                                      {"days", OPTION_NUMBER, false, &days},
                                      {"uses", OPTION_NUMBER, false, &uses},
                                      {"json", OPTION_FLAG, false, &json}};
    if (argc < 1 || strcmp(argv[0], "new") != 0)
        return options_wrong_words("token", argc, argv, usage);
    if (options_parse(argc - 1, argv + 1, defs, 4, usage) != ERR_OK)
        return KH_EXIT_USAGE;
    if (days < 1 || days > 3650 || uses < 1 || uses > 10000000)
        return complain(KH_EXIT_USAGE, "1 to 3650 days and 1 to 10,000,000 uses are wanted");
    if (place_absolute(root, absolute) != ERR_OK)
        return complain(KH_EXIT_FAILED, "the path of --root is too long");
    return make(absolute, days, uses, json);
}

const struct verb verb_token = {"token", run, usage, "make another enrolment token (shown once)"};
