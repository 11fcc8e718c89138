/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/host/file.h"
#include "crypto/host/process.h"
#include "crypto/random.h"
#include "escrow-server/places.h"
#include "escrow-server/vault/people.h"
#include "escrow-server/verb/answer.h"
#include "escrow-server/verb/options.h"
#include "escrow-server/verb/verbs.h"
#include "formats/base.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "  keyholt-server user add [--root DIR] --name NAME --role ROLE --password-file FILE [--json]\n"
    "    ROLE: helpdesk, advanced (these may read keys), reader, auditor, administrator\n"
    "  keyholt-server user totp [--root DIR] --name NAME [--json]\n"
    "    from now on a one-time code is wanted of that person, too; the seed is shown once\n";

static int complain(int code, const char *what, const char *reason)
{
    fprintf(stderr, "keyholt-server: %s: %s; nothing was changed\n", what, reason);
    return code;
}

/* The file is the vault's; root writes it and gives it back. The vault reads it at every question. */
static enum err add(const char *root, const char *name, enum people_role role, const struct secret *password)
{
    char path[PATH_MAX];
    struct conf conf;
    TRY(conf_load(root, &conf));
    TRY(file_join(root, PLACE_USERS, path, sizeof path));
    TRY(people_add(path, name, role, password));
    uid_t uid = conf.uid[PROCESS_VAULT];
    return geteuid() != 0 || chown(path, uid, uid) == 0 ? ERR_OK : ERR_IO;
}

/* For an authenticator app; shown once. */
static enum err give_totp(const char *root, const char *name, bool json)
{
    char path[PATH_MAX], text[BASE32_LEN(TOTP_SECRET) + 1];
    uint8_t seed[TOTP_SECRET];
    struct conf conf;
    TRY(conf_load(root, &conf));
    TRY(file_join(root, PLACE_USERS, path, sizeof path));
    TRY(cr_random(seed, sizeof seed));
    TRY(people_set_totp(path, name, seed));
    base32_encode(seed, sizeof seed, text);
    if (json) /* a name has no quotes; json-c would leave the seed in memory */
        printf("{\"name\":\"%s\",\"seed\":\"%s\"}\n", name, text);
    else
        printf("otpauth://totp/Keyholt:%s?secret=%s&issuer=Keyholt\n", name, text);
    cr_wipe(seed, sizeof seed);
    cr_wipe(text, sizeof text);
    uid_t uid = conf.uid[PROCESS_VAULT];
    return geteuid() != 0 || chown(path, uid, uid) == 0 ? ERR_OK : ERR_IO;
}

static int run_totp(int argc, char *const *argv)
{
    const char *root = "/", *name = NULL;
    bool json = false;
    const struct option_def defs[] = {{"root", OPTION_TEXT, false, &root},
                                      {"name", OPTION_TEXT, true, &name},
                                      {"json", OPTION_FLAG, false, &json}};
    if (options_parse(argc, argv, defs, 3, usage) != ERR_OK)
        return KH_EXIT_USAGE;
    enum err e = give_totp(root, name, json);
    return e == ERR_OK ? KH_EXIT_OK
                       : complain(e == ERR_NOT_FOUND ? KH_EXIT_NO : KH_EXIT_FAILED, name,
                                  e == ERR_NOT_FOUND ? "there is nobody of this name" : err_text(e));
}

static int say(enum err e, const char *root, const char *name, const char *role, bool json)
{
    switch (e) {
    case ERR_OK:
        if (json)
            ANSWER_JSON({"name", name, 0}, {"role", role, 0});
        else
            printf("%s\n", name);
        return KH_EXIT_OK;
    case ERR_CONFLICT:
        return complain(KH_EXIT_NO, name, "somebody of this name is there already");
    case ERR_FORMAT:
        return complain(KH_EXIT_USAGE, name,
                        "1 to 64 characters without blanks, quotes, colons and commas are wanted");
    case ERR_RANGE:
        return complain(KH_EXIT_FAILED, name, "the password needs at least 8 characters");
    case ERR_NOT_FOUND:
        return complain(KH_EXIT_FAILED, root, "no server was set up here; run keyholt-server init");
    default:
        return complain(KH_EXIT_FAILED, root, err_text(e));
    }
}

static int run(int argc, char *const *argv)
{
    const char *root = "/", *name = NULL, *role_text = NULL, *file = NULL;
    enum people_role role;
    bool json = false;
    SECRET(password);
    const struct option_def defs[] = {{"root", OPTION_TEXT, false, &root},
                                      {"name", OPTION_TEXT, true, &name},
                                      {"role", OPTION_TEXT, true, &role_text},
                                      {"password-file", OPTION_TEXT, true, &file},
                                      {"json", OPTION_FLAG, false, &json}};
    if (argc >= 1 && strcmp(argv[0], "totp") == 0)
        return process_harden(false) == ERR_OK ? run_totp(argc - 1, argv + 1) : KH_EXIT_FAILED;
    if (argc < 1 || strcmp(argv[0], "add") != 0)
        return options_wrong_words("user", argc, argv, usage);
    if (process_harden(false) != ERR_OK)
        return KH_EXIT_FAILED;
    if (options_parse(argc - 1, argv + 1, defs, 5, usage) != ERR_OK)
        return KH_EXIT_USAGE;
    if (people_role_from_text(role_text, &role) != ERR_OK)
        return complain(KH_EXIT_USAGE, role_text,
                        "a role is helpdesk, advanced, reader, auditor or administrator");
    enum err e = secret_from_file(file, &password);
    if (e != ERR_OK)
        return complain(KH_EXIT_FAILED, file, err_text(e));
    return say(add(root, name, role, &password), root, name, role_text, json);
}

const struct verb verb_user = {"user", run, usage, "add somebody who may ask for keys"};
