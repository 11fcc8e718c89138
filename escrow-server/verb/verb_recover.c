/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/host/process.h"
#include "escrow-server/places.h"
#include "escrow-server/process/local.h"
#include "escrow-server/verb/ask.h"
#include "escrow-server/verb/options.h"
#include "escrow-server/verb/verbs.h"
#include "formats/host/json_strict.h"
#include "formats/text.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char usage[] =
    "  keyholt-server recover [--root DIR] --key-id ID --reason TEXT --as NAME --password-file FILE\n"
    "      [--user NAME] [--device HEX] [--code-file FILE] [--json]\n"
    "    ID: the 8 digits that the screen shows, or the whole key ID; FILE - is standard input\n";

struct words {
    const char *root, *key, *reason, *as, *password_file, *user, *device, *code_file;
    char code[16];
    bool json;
};

static int complain(int code, const char *what, const char *reason)
{
    fprintf(stderr, "keyholt-server: %s: %s\n", what, reason);
    return code;
}

static const char *member(struct json_object *o, const char *name)
{
    const char *text;
    return json_get_text(o, name, 1024, &text) == ERR_OK ? text : "?";
}

static struct json_object *make_request(const struct words *w)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "op", json_object_new_string("recover"));
    json_object_object_add(o, "key", json_object_new_string(w->key));
    json_object_object_add(o, "reason", json_object_new_string(w->reason));
    json_object_object_add(o, "as", json_object_new_string(w->as));
    json_object_object_add(o, "user", json_object_new_string(w->user));
    json_object_object_add(o, "device", json_object_new_string(w->device));
    json_object_object_add(o, "code", json_object_new_string(w->code));
    return o;
}

static void print_keys(FILE *f, struct json_object *answer)
{
    struct json_object *keys;
    if (json_get_array(answer, "keys", 64, &keys) != ERR_OK)
        return;
    for (size_t i = 0; i < json_object_array_length(keys); i++) {
        struct json_object *k = json_object_array_get_idx(keys, i);
        uint64_t received = 0;
        char when[32] = "?";
        struct tm tm;
        if (json_get_u64(k, "received", &received) == ERR_OK &&
            gmtime_r(&(time_t){(time_t)received}, &tm) != NULL)
            strftime(when, sizeof when, "%Y-%m-%d %H:%M", &tm);
        fprintf(f, "  %s  computer %s  volume %s  device %.16s  since %s UTC\n", member(k, "key_id"),
                member(k, "computer"), member(k, "volume"), member(k, "device"), when);
    }
    struct json_object *more;
    if (json_object_object_get_ex(answer, "more", &more) && json_object_get_boolean(more))
        fputs("  and others; ask for the whole key ID, and name the device (--device)\n", f);
}

static int refused(const struct words *w, struct json_object *answer, enum err e, const char *detail)
{
    if (w->json)
        puts(json_object_to_json_string_ext(answer, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    complain(0, w->key, detail);
    if (e == ERR_CONFLICT)
        print_keys(stderr, answer);
    return ask_exit_refused(e);
}

/* The secret is printed by hand, so that json-c never holds the digits; the rest of the object follows it. */
static void print_json(struct json_object *answer, const struct secret *digits)
{
    json_object_object_del(answer, "status");
    const char *rest =
        json_object_to_json_string_ext(answer, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
    printf("{\"recovery_password\":\"%.*s\",%s\n", (int)digits->len, (const char *)digits->bytes, rest + 1);
}

static int show(const struct words *w, struct json_object *answer, const struct secret *digits)
{
    const char *rotation = member(answer, "rotation");
    if (digits->len == 0)
        return complain(KH_EXIT_FAILED, w->key, "the server's answer is not in its form");
    if (w->json) {
        print_json(answer, digits);
        return KH_EXIT_OK;
    }
    fprintf(stderr, "key %s of %s, volume %s\n", member(answer, "key_id"), member(answer, "computer"),
            member(answer, "volume"));
    printf("%.*s\n", (int)digits->len, (const char *)digits->bytes);
    fprintf(stderr, "on record; %s\n",
            strcmp(rotation, "done") == 0
                ? "the laptop has reported that it replaced this password; when it syncs next "
                  "it hears that somebody was shown it since"
            : strcmp(rotation, "ordered") == 0
                ? "the laptop will replace this password when it syncs next"
                : "the order to replace this password is not stored yet; the server tries again");
    return KH_EXIT_OK;
}

static int unreachable(enum err e)
{
    bool away = e == ERR_OFFLINE || e == ERR_NOT_FOUND;
    fprintf(stderr, "keyholt-server: recover: %s%s\n", local_why(e),
            away ? "; or take the offline desk (keyholt-desk open)" : "");
    return ask_exit_unreachable(e);
}

static int recover(const struct words *w)
{
    SECRET(password);
    SECRET(digits);
    struct json_object *answer = NULL;
    const char *detail = "";
    enum err e = secret_from_file(w->password_file, &password);
    if (e != ERR_OK)
        return complain(KH_EXIT_FAILED, w->password_file, secret_file_text(e));
    struct json_object *request = make_request(w);
    e = local_ask(w->root, request, &password, &answer, &digits);
    json_object_put(request);
    if (e != ERR_OK)
        return unreachable(e);
    e = local_result(answer, &detail);
    int code = e == ERR_OK ? show(w, answer, &digits) : refused(w, answer, e, detail);
    json_object_put(answer);
    if (fflush(stdout) != 0)
        return complain(KH_EXIT_FAILED, "standard output", "cannot be written");
    return code;
}

/* What the server would refuse, or could not even read. */
static int check(const struct words *w)
{
    const struct {
        const char *option, *text;
    } texts[] = {{"--key-id", w->key},
                 {"--reason", w->reason},
                 {"--as", w->as},
                 {"--user", w->user},
                 {"--device", w->device}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (!text_is_utf8(texts[i].text, strlen(texts[i].text)))
            return complain(KH_EXIT_USAGE, texts[i].option,
                            "what was typed is not UTF-8; use a terminal that is set to it");
    if (w->key[0] == '\0')
        return complain(KH_EXIT_USAGE, "--key-id",
                        "the 8 digits that the screen shows, or the whole key ID, are wanted");
    if (w->reason[0] == '\0')
        return complain(KH_EXIT_USAGE, "--reason", "a reason is wanted");
    return KH_EXIT_OK;
}

static int run(int argc, char *const *argv)
{
    struct words w = {.root = "/", .user = "", .device = ""};
    char root[PATH_MAX];
    const struct option_def defs[] = {
        {"root", OPTION_TEXT, false, &w.root},
        {"key-id", OPTION_TEXT, true, &w.key},
        {"reason", OPTION_TEXT, true, &w.reason},
        {"as", OPTION_TEXT, true, &w.as},
        {"password-file", OPTION_TEXT, true, &w.password_file},
        {"user", OPTION_TEXT, false, &w.user},
        {"device", OPTION_TEXT, false, &w.device},
        {"code-file", OPTION_TEXT, false, &w.code_file},
        {"json", OPTION_FLAG, false, &w.json},
    };
    if (process_harden(true) != ERR_OK)
        return KH_EXIT_FAILED;
    if (options_parse(argc, argv, defs, sizeof defs / sizeof defs[0], usage) != ERR_OK)
        return KH_EXIT_USAGE;
    int wrong = check(&w);
    if (wrong != KH_EXIT_OK)
        return wrong;
    if (place_absolute(w.root, root) != ERR_OK)
        return complain(KH_EXIT_FAILED, w.root, "the path is too long");
    w.root = root;
    if (w.code_file != NULL && local_read_code(w.code_file, w.code, sizeof w.code) != ERR_OK)
        return complain(KH_EXIT_FAILED, w.code_file, "a one-time code of 6 digits is wanted");
    return recover(&w);
}

const struct verb verb_recover = {"recover", run, usage, "read a recovery password, on record"};
