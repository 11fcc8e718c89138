/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/host/file.h"
#include "crypto/host/process.h"
#include "crypto/p256.h"
#include "crypto/pkcs11/p256_token.h"
#include "escrow-server/process/passphrase.h"
#include "escrow-server/state.h"
#include "escrow-server/vault/escrow_key.h"
#include "escrow-server/verb/answer.h"
#include "escrow-server/verb/ask.h"
#include "escrow-server/verb/options.h"
#include "escrow-server/verb/verbs.h"
#include "formats/host/json_strict.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char usage[] =
    "  keyholt-server keys check [--root DIR] [--json]\n"
    "  keyholt-server keys new [--root DIR] [--json]\n"
    "  keyholt-server keys import [--root DIR] [--passphrase-file FILE] KEY.pem | --pkcs11 URI [--json]\n"
    "    check: does the running vault open the canary of every epoch of the escrow key? Exit code 3 if not\n"
    "    new: make the next epoch's key; its public half is printed, for the bundle\n"
    "    import: bring the private half of an older epoch, for older envelopes, or name one that stays in a\n"
    "    PKCS#11 token (RFC 7512; its PIN is the vault's passphrase)\n";

#define PEM_MAX 4096

struct words {
    const char *root, *passphrase_file, *pkcs11;
    bool json;
    struct option_list rest;
};

static const char *member(struct json_object *o, const char *name)
{
    const char *text;
    return json_get_text(o, name, 1024, &text) == ERR_OK ? text : "?";
}

static bool is_true(struct json_object *o, const char *name)
{
    struct json_object *v;
    return json_object_object_get_ex(o, name, &v) && json_object_get_boolean(v);
}

static int report(const struct words *w, struct json_object *answer)
{
    struct json_object *keys;
    if (json_get_array(answer, "keys", ESCROW_KEYS, &keys) != ERR_OK)
        return state_complain(KH_EXIT_FAILED, "keys", "the server's answer is not in its form");
    bool good = is_true(answer, "log") && json_object_array_length(keys) > 0;
    for (size_t i = 0; i < json_object_array_length(keys); i++)
        good = good && is_true(json_object_array_get_idx(keys, i), "opened");
    json_object_object_del(answer, "status");
    json_object_object_add(answer, "good", json_object_new_boolean(good));
    if (w->json) {
        puts(json_object_to_json_string_ext(answer, JSON_C_TO_STRING_PLAIN));
        return good ? KH_EXIT_OK : KH_EXIT_NO;
    }
    for (size_t i = 0; i < json_object_array_length(keys); i++) {
        struct json_object *k = json_object_array_get_idx(keys, i);
        printf("%.16s  %s  %s\n", member(k, "id"), is_true(k, "opened") ? "canary opened" : "NOT OPENED",
               is_true(k, "opened") ? member(k, "file") : member(k, "reason"));
    }
    if (!is_true(answer, "log"))
        puts("audit log  CANNOT BE WRITTEN, so nothing is disclosed");
    return good ? KH_EXIT_OK : KH_EXIT_NO;
}

static int check(const struct words *w)
{
    char root[PATH_MAX];
    struct conf conf;
    int code = state_begin(w->root, root, &conf);
    if (code != 0)
        return code;
    struct json_object *answer = NULL, *o = json_object_new_object();
    json_object_object_add(o, "op", json_object_new_string("vault"));
    code = ask_server(root, "keys", o, NULL, &answer);
    if (code == KH_EXIT_OK)
        code = report(w, answer);
    json_object_put(answer);
    return code;
}

/* Below the vault's own passphrase, whatever it came with. */
static enum err put(const struct words *w, const struct cr_p256_key *key, const char **ret_detail)
{
    static char root[PATH_MAX];
    char dir[PATH_MAX];
    struct conf conf;
    struct org org;
    SECRET(passphrase);
    *ret_detail = "no server was set up here";
    TRY(place_absolute(w->root, root));
    TRY(conf_load(root, &conf));
    TRY(state_org(root, &org, NULL, NULL));
    *ret_detail = "the vault's passphrase cannot be read";
    TRY(passphrase_load(conf.passphrase_file, &passphrase));
    TRY(file_join(root, PLACE_VAULT "/" NAME_ESCROW_KEYS, dir, sizeof dir));
    *ret_detail = "the vault has this key already, or its folder cannot be written";
    if (w->pkcs11 != NULL)
        return escrow_key_put_token(dir, w->pkcs11, key, &org.id, (uint64_t)time(NULL),
                                    conf.uid[PROCESS_VAULT]);
    return escrow_key_put(dir, key, &org.id, &passphrase, (uint64_t)time(NULL), conf.uid[PROCESS_VAULT]);
}

static int put_and_show(const struct words *w, const struct cr_p256_key *key)
{
    char pem[513];
    size_t len;
    struct cr_p256_pub pub;
    const char *detail = "";
    enum err e = put(w, key, &detail);
    if (e != ERR_OK)
        return state_complain(e == ERR_CONFLICT ? KH_EXIT_NO : KH_EXIT_FAILED, "keys", detail);
    if (cr_p256_public(key, &pub) != ERR_OK || cr_p256_pub_to_pem(&pub, pem, sizeof pem - 1, &len) != ERR_OK)
        return state_complain(KH_EXIT_FAILED, "keys", err_text(ERR_INTERNAL));
    pem[len] = '\0';
    if (w->json)
        ANSWER_JSON({"public_key", pem, 0});
    else
        printf("%s", pem);
    fputs("keyholt-server: the vault takes it in when it starts next\n", stderr);
    return KH_EXIT_OK;
}

static int make(const struct words *w)
{
    struct cr_p256_key *key = NULL;
    enum err e = cr_p256_generate(&key);
    int code = e == ERR_OK ? put_and_show(w, key) : state_complain(KH_EXIT_FAILED, "keys", err_text(e));
    cr_p256_free(key);
    return code;
}

static enum err load(const struct words *w, struct cr_p256_key **ret)
{
    uint8_t *pem = NULL;
    size_t len;
    SECRET(passphrase);
    if (w->passphrase_file != NULL)
        TRY(secret_from_file(w->passphrase_file, &passphrase));
    TRY(file_read(w->rest.item[0], PEM_MAX, &pem, &len));
    enum err e =
        cr_p256_from_pem((const char *)pem, len, w->passphrase_file != NULL ? &passphrase : NULL, ret);
    cr_wipe(pem, len);
    free(pem);
    return e;
}

/* The PIN is the vault's passphrase. */
static enum err open_token(const struct words *w, struct cr_p256_key **ret)
{
    char root[PATH_MAX];
    struct conf conf;
    SECRET(pin);
    TRY(place_absolute(w->root, root));
    TRY(conf_load(root, &conf));
    TRY(passphrase_load(conf.passphrase_file, &pin));
    return cr_p256_token_open(w->pkcs11, &pin, ret);
}

static int import(const struct words *w)
{
    struct cr_p256_key *key = NULL;
    const char *what = w->pkcs11 != NULL ? w->pkcs11 : w->rest.item[0];
    enum err e = w->pkcs11 != NULL ? open_token(w, &key) : load(w, &key);
    int code = e == ERR_OK ? put_and_show(w, key) : state_complain(KH_EXIT_FAILED, what, err_text(e));
    cr_p256_free(key);
    return code;
}

static int run(int argc, char *const *argv)
{
    struct words w = {.root = "/"};
    const struct option_def defs[] = {{"root", OPTION_TEXT, false, &w.root},
                                      {"passphrase-file", OPTION_TEXT, false, &w.passphrase_file},
                                      {"pkcs11", OPTION_TEXT, false, &w.pkcs11},
                                      {"json", OPTION_FLAG, false, &w.json},
                                      {NULL, OPTION_REST, false, &w.rest}};
    const char *what = argc > 0 ? argv[0] : "";
    if (process_harden(false) != ERR_OK)
        return KH_EXIT_FAILED;
    if (argc > 0 && options_parse(argc - 1, argv + 1, defs, sizeof defs / sizeof defs[0], usage) != ERR_OK)
        return KH_EXIT_USAGE;
    if (strcmp(what, "check") == 0 && w.rest.n == 0)
        return check(&w);
    if (strcmp(what, "new") == 0 && w.rest.n == 0)
        return make(&w);
    if (strcmp(what, "import") == 0 && w.rest.n == (w.pkcs11 == NULL))
        return import(&w);
    return options_wrong_words("keys", argc, argv, usage);
}

const struct verb verb_keys = {"keys", run, usage, "check the vault's escrow keys; add an epoch"};
