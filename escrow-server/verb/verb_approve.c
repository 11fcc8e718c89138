/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/host/process.h"
#include "escrow-server/process/local.h"
#include "escrow-server/state.h"
#include "escrow-server/verb/ask.h"
#include "escrow-server/verb/options.h"
#include "escrow-server/verb/verbs.h"
#include "formats/host/json_strict.h"
#include <stdio.h>
#include <stdlib.h>

static const char usage[] =
    "  keyholt-server approve [--root DIR] --entry N [--as NAME --password-file FILE] [--code-file FILE]\n"
    "      [--json]\n"
    "    N: the number that the refused request named; without --as it is shown, and nothing else happens "
    "(root\n"
    "    only); once it is approved, whoever asked has an hour to ask again with the same words\n";

struct words {
    const char *root, *as, *password_file, *code_file;
    uint64_t n;
    bool json;
    char code[16];
};

static const char *member(struct json_object *o, const char *name)
{
    const char *text;
    return json_get_text(o, name, 1024, &text) == ERR_OK ? text : "";
}

static void print_request(FILE *f, struct json_object *answer)
{
    const char *computer = member(answer, "computer"), *user = member(answer, "user");
    fprintf(f, "asked by %s\nkey      %s\nlaptop   %s%sdevice %s\nvolume   %s\nuser     %s\nreason   %s\n",
            member(answer, "who"), member(answer, "key_id"), computer, computer[0] != '\0' ? ", " : "",
            member(answer, "device"), member(answer, "volume"), user[0] != '\0' ? user : "(none was named)",
            member(answer, "reason"));
}

static bool is_approved(struct json_object *answer)
{
    struct json_object *approved;
    return json_object_object_get_ex(answer, "approved", &approved) && json_object_get_boolean(approved);
}

static void print_json(const struct words *w, struct json_object *answer)
{
    bool waits = !is_approved(answer);
    json_object_object_del(answer, "status");
    json_object_object_del(answer, "approved");
    if (w->as != NULL)
        json_object_object_add(answer, "approved", json_object_new_uint64(w->n));
    else
        json_object_object_add(answer, "waits", json_object_new_boolean(waits));
    puts(json_object_to_json_string_ext(answer, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
}

static int ask(const struct words *w, struct json_object *request, const struct secret *password)
{
    struct json_object *answer = NULL;
    json_object_object_add(request, "entry", json_object_new_uint64(w->n));
    int exit_code = ask_server(w->root, "approve", request, password, &answer);
    if (exit_code != KH_EXIT_OK)
        return exit_code;
    if (w->json) {
        print_json(w, answer);
    } else {
        print_request(stdout, answer);
        fputs(w->as != NULL         ? "keyholt-server: approved, on record\n"
              : is_approved(answer) ? "keyholt-server: it is approved already, and was not repeated yet\n"
                                    : "keyholt-server: it waits for an approval; nothing was changed\n",
              stderr);
    }
    json_object_put(answer);
    return KH_EXIT_OK;
}

static int show(const struct words *w)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "op", json_object_new_string("wish"));
    return ask(w, o, NULL);
}

static int approve(struct words *w)
{
    SECRET(password);
    enum err e = secret_from_file(w->password_file, &password);
    if (e != ERR_OK)
        return state_complain(KH_EXIT_FAILED, w->password_file, secret_file_text(e));
    if (w->code_file != NULL && local_read_code(w->code_file, w->code, sizeof w->code) != ERR_OK)
        return state_complain(KH_EXIT_FAILED, w->code_file, "a one-time code of 6 digits is wanted");
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "op", json_object_new_string("approve"));
    json_object_object_add(o, "as", json_object_new_string(w->as));
    json_object_object_add(o, "code", json_object_new_string(w->code));
    return ask(w, o, &password);
}

static int run(int argc, char *const *argv)
{
    struct words w = {.root = "/"};
    char root[PATH_MAX];
    const struct option_def defs[] = {{"root", OPTION_TEXT, false, &w.root},
                                      {"entry", OPTION_NUMBER, true, &w.n},
                                      {"as", OPTION_TEXT, false, &w.as},
                                      {"password-file", OPTION_TEXT, false, &w.password_file},
                                      {"code-file", OPTION_TEXT, false, &w.code_file},
                                      {"json", OPTION_FLAG, false, &w.json}};
    if (process_harden(false) != ERR_OK)
        return KH_EXIT_FAILED;
    if (options_parse(argc, argv, defs, sizeof defs / sizeof defs[0], usage) != ERR_OK)
        return KH_EXIT_USAGE;
    if ((w.as == NULL) != (w.password_file == NULL) || (w.as == NULL && w.code_file != NULL))
        return state_complain(KH_EXIT_USAGE, "approve",
                              "--as and --password-file go together; without both the request is shown");
    if (place_absolute(w.root, root) != ERR_OK)
        return state_complain(KH_EXIT_FAILED, w.root, "the path is too long");
    w.root = root;
    return w.as != NULL ? approve(&w) : show(&w);
}

const struct verb verb_approve = {"approve", run, usage, "a second person's word for a disclosure"};
