/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/host/file.h"
#include "crypto/host/process.h"
#include "crypto/random.h"
#include "escrow-server/state.h"
#include "escrow-server/vault/people.h"
#include "escrow-server/verb/answer.h"
#include "escrow-server/verb/options.h"
#include "escrow-server/verb/verbs.h"
#include "formats/base.h"
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "  keyholt-server user list [--root DIR] [--json]\n"
    "  keyholt-server user add [--root DIR] --name NAME --role ROLE --password-file FILE [--json]\n"
    "    ROLE: helpdesk, advanced (these may read keys), reader, auditor, administrator\n"
    "  keyholt-server user remove [--root DIR] --name NAME [--json]\n"
    "  keyholt-server user role [--root DIR] --name NAME --role ROLE [--json]\n"
    "  keyholt-server user password [--root DIR] --name NAME --password-file FILE [--json]\n"
    "  keyholt-server user totp [--root DIR] --name NAME [--again | --off] [--json]\n"
    "    from now on a one-time code is wanted of that person, too; the seed is shown once\n"
    "    again: another seed in place of the one that is there; off: no code is wanted any more\n";

/* The words of one command, and what the file says. */
struct words {
    const char *root, *name, *role_text, *password_file;
    bool json, again, off;
    enum people_role role;
    struct secret password;

    char path[PATH_MAX]; /* of the file */
    struct people_row *rows;
    size_t n;
};

static int complain(int code, const char *what, const char *reason)
{
    fprintf(stderr, "keyholt-server: %s: %s; nothing was changed\n", what, reason);
    return code;
}

/* Nobody makes the file anew but init: whoever is in it must not be forgotten unseen. */
static const char *why_not_read(enum err e)
{
    switch (e) {
    case ERR_NOT_FOUND:
        return "the file of people is missing, which init made; put it back from where you keep it";
    case ERR_FORMAT:
    case ERR_RANGE:
        return "the file of people is damaged; put it back from where you keep it";
    default:
        return err_text(e);
    }
}

static int read_people(struct words *w)
{
    char root[PATH_MAX];
    struct conf conf;
    int code = state_begin(w->root, root, &conf);
    if (code != 0)
        return code;
    if (!state_has_organisation(root))
        return state_complain(KH_EXIT_FAILED, w->root, STATE_NO_SERVER);
    if (file_join(root, PLACE_USERS, w->path, sizeof w->path) != ERR_OK)
        return complain(KH_EXIT_FAILED, w->root, "the path is too long");
    enum err e = people_list(w->path, &w->rows, &w->n);
    return e == ERR_OK ? KH_EXIT_OK : complain(KH_EXIT_FAILED, w->path, why_not_read(e));
}

/* NULL: nobody of this name. */
static const struct people_row *row_of(const struct words *w)
{
    for (size_t i = 0; i < w->n; i++)
        if (strcmp(w->rows[i].name, w->name) == 0)
            return &w->rows[i];
    return NULL;
}

/* The outcome of a change. what: the member of the answer that names it */
static int say(enum err e, const struct words *w, const char *what, const char *value)
{
    switch (e) {
    case ERR_OK:
        if (w->json)
            ANSWER_JSON({"name", w->name, 0}, {what, value, 0});
        else
            printf("%s\n", w->name);
        return KH_EXIT_OK;
    case ERR_CONFLICT:
        return complain(KH_EXIT_NO, w->name, "somebody of this name is there already");
    case ERR_NOT_FOUND:
        return complain(KH_EXIT_NO, w->name, "there is nobody of this name");
    case ERR_RANGE:
        return complain(KH_EXIT_FAILED, w->name, "the password needs at least 8 characters");
    default:
        return complain(KH_EXIT_FAILED, w->path, err_text(e));
    }
}

static void add_row(struct json_object *people, const struct people_row *row)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "name", json_object_new_string(row->name));
    json_object_object_add(o, "role", json_object_new_string(people_role_text(row->role)));
    json_object_object_add(o, "one_time_code", json_object_new_boolean(row->has_totp));
    json_object_array_add(people, o);
}

static int list(struct words *w)
{
    struct json_object *o = json_object_new_object(), *people = json_object_new_array();
    for (size_t i = 0; i < w->n; i++) {
        add_row(people, &w->rows[i]);
        if (!w->json)
            printf("%-20s  %-13s  %s\n", w->rows[i].name, people_role_text(w->rows[i].role),
                   w->rows[i].has_totp ? "one-time code" : "-");
    }
    json_object_object_add(o, "people", people);
    if (w->json)
        puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(o);
    return KH_EXIT_OK;
}

static int add(struct words *w)
{
    if (!people_name_is_good(w->name))
        return complain(KH_EXIT_USAGE, w->name,
                        "1 to 64 characters without blanks, quotes, colons and commas are wanted");
    return say(people_add(w->path, w->name, w->role, &w->password), w, "role", w->role_text);
}

static int take_away(struct words *w)
{
    return say(people_remove(w->path, w->name), w, "change", "removed");
}

static int set_role(struct words *w)
{
    return say(people_set_role(w->path, w->name, w->role), w, "role", w->role_text);
}

static int set_password(struct words *w)
{
    return say(people_set_password(w->path, w->name, &w->password), w, "change", "password");
}

/* For an authenticator app; shown once. */
static enum err give_totp(const struct words *w)
{
    char text[BASE32_LEN(TOTP_SECRET) + 1];
    uint8_t seed[TOTP_SECRET];
    TRY(cr_random(seed, sizeof seed));
    enum err e = people_set_totp(w->path, w->name, seed);
    base32_encode(seed, sizeof seed, text);
    if (e == ERR_OK && w->json) /* a name has no quotes; json-c would leave the seed in memory */
        printf("{\"name\":\"%s\",\"seed\":\"%s\"}\n", w->name, text);
    else if (e == ERR_OK)
        printf("otpauth://totp/Keyholt:%s?secret=%s&issuer=Keyholt\n", w->name, text);
    cr_wipe(seed, sizeof seed);
    cr_wipe(text, sizeof text);
    return e;
}

/* A name that was mistyped must not lock somebody out who has an app already. */
static int totp(struct words *w)
{
    const struct people_row *row = row_of(w);
    if (w->again && w->off)
        return complain(KH_EXIT_USAGE, w->name, "--again or --off is wanted, not both");
    if (row == NULL)
        return say(ERR_NOT_FOUND, w, NULL, NULL);
    if (w->off && !row->has_totp)
        return complain(KH_EXIT_NO, w->name, "no one-time code is wanted of this person");
    if (w->off)
        return say(people_set_totp(w->path, w->name, NULL), w, "change", "totp off");
    if (row->has_totp && !w->again)
        return complain(
            KH_EXIT_NO, w->name,
            "this person has a one-time code already; --again gives another seed, which makes the "
            "app of today useless");
    enum err e = give_totp(w);
    return e == ERR_OK ? KH_EXIT_OK : say(e, w, NULL, NULL);
}

static const struct deed {
    const char *word;
    int (*run)(struct words *w);
    bool name, role, password, totp; /* which options it takes; all but those of totp are needed */
} deeds[] = {
    {"list", list, false, false, false, false},           {"add", add, true, true, true, false},
    {"remove", take_away, true, false, false, false},     {"role", set_role, true, true, false, false},
    {"password", set_password, true, false, true, false}, {"totp", totp, true, false, false, true}};

static const struct deed *deed_of(const char *word)
{
    for (size_t i = 0; i < sizeof deeds / sizeof deeds[0]; i++)
        if (strcmp(deeds[i].word, word) == 0)
            return &deeds[i];
    return NULL;
}

static enum err parse(const struct deed *d, int argc, char *const *argv, struct words *w)
{
    struct option_def defs[7] = {{"root", OPTION_TEXT, false, &w->root},
                                 {"json", OPTION_FLAG, false, &w->json}};
    unsigned n = 2;
    if (d->name)
        defs[n++] = (struct option_def){"name", OPTION_TEXT, true, &w->name};
    if (d->role)
        defs[n++] = (struct option_def){"role", OPTION_TEXT, true, &w->role_text};
    if (d->password)
        defs[n++] = (struct option_def){"password-file", OPTION_TEXT, true, &w->password_file};
    if (d->totp) {
        defs[n++] = (struct option_def){"again", OPTION_FLAG, false, &w->again};
        defs[n++] = (struct option_def){"off", OPTION_FLAG, false, &w->off};
    }
    return options_parse(argc, argv, defs, n, usage);
}

static int read_words(struct words *w)
{
    if (w->role_text != NULL && people_role_from_text(w->role_text, &w->role) != ERR_OK)
        return complain(KH_EXIT_USAGE, w->role_text,
                        "a role is helpdesk, advanced, reader, auditor or administrator");
    enum err e = w->password_file == NULL ? ERR_OK : secret_from_file(w->password_file, &w->password);
    if (e != ERR_OK)
        return complain(KH_EXIT_FAILED, w->password_file, secret_file_text(e));
    return read_people(w);
}

static int run(int argc, char *const *argv)
{
    struct words w = {.root = "/"};
    const struct deed *d = argc < 1 ? NULL : deed_of(argv[0]);
    if (d == NULL)
        return options_wrong_words("user", argc, argv, usage);
    if (process_harden(false) != ERR_OK)
        return KH_EXIT_FAILED;
    if (parse(d, argc - 1, argv + 1, &w) != ERR_OK)
        return KH_EXIT_USAGE;
    int code = read_words(&w);
    if (code == KH_EXIT_OK)
        code = d->run(&w);
    free(w.rows);
    secret_wipe(&w.password);
    return code;
}

const struct verb verb_user = {"user", run, usage,
                               "the people who may ask for keys: list, add, change, remove"};
