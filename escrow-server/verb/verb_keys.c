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
#include "formats/base.h"
#include "formats/host/json_strict.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

static const char usage[] =
    "  keyholt-server keys check [--root DIR] [--json]\n"
    "  keyholt-server keys new [--root DIR] [--json]\n"
    "  keyholt-server keys import [--root DIR] [--passphrase-file FILE] KEY.pem | --pkcs11 URI [--json]\n"
    "    check: does the running vault open the canary of every epoch of the escrow key? Exit code 3 if not\n"
    "    new: make the next epoch's key; its public half is printed, for org change, and its ID on standard "
    "error\n"
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

/* A key's files have the beginning of its ID, if nobody renamed them. */
static void print_key(struct json_object *k)
{
    const char *id = member(k, "id"), *file = member(k, "file");
    bool opened = is_true(k, "opened"), renamed = strncasecmp(file, id, strlen(file)) != 0;
    printf("%.16s  %s", id, opened ? "canary opened" : "NOT OPENED");
    if (!opened)
        printf("  %s", member(k, "reason"));
    else if (renamed)
        printf("  %s", file);
    putchar('\n');
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
    for (size_t i = 0; i < json_object_array_length(keys); i++)
        print_key(json_object_array_get_idx(keys, i));
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

static int not_written(const char *dir, enum err e)
{
    switch (e) {
    case ERR_CONFLICT:
        return state_complain(KH_EXIT_NO, "keys", "the vault has this key already");
    case ERR_DENIED:
        return state_complain(KH_EXIT_FAILED, dir, "it cannot be written by this user; run this as root");
    default:
        return state_complain(KH_EXIT_FAILED, dir, err_text(e));
    }
}

/* Below the vault's own passphrase, whatever it came with. Returns an exit code. */
static int put(const struct words *w, const struct cr_p256_key *key)
{
    char root[PATH_MAX], dir[PATH_MAX];
    struct conf conf;
    static struct org org;
    SECRET(passphrase);
    int code = state_begin(w->root, root, &conf);
    if (code != 0)
        return code;
    enum err e = state_org(root, &org, NULL, NULL);
    if (e != ERR_OK)
        return state_no_org(root, e);
    e = passphrase_load(conf.passphrase_file, &passphrase);
    if (e != ERR_OK)
        return state_complain(KH_EXIT_FAILED, conf.passphrase_file, secret_file_text(e));
    e = file_join(root, PLACE_VAULT "/" NAME_ESCROW_KEYS, dir, sizeof dir);
    if (e != ERR_OK)
        return state_complain(KH_EXIT_FAILED, w->root, "the path is too long");
    if (w->pkcs11 != NULL)
        e = escrow_key_put_token(dir, w->pkcs11, key, &org.id, (uint64_t)time(NULL), conf.uid[PROCESS_VAULT]);
    else
        e = escrow_key_put(dir, key, &org.id, &passphrase, (uint64_t)time(NULL), conf.uid[PROCESS_VAULT]);
    return e == ERR_OK ? KH_EXIT_OK : not_written(dir, e);
}

/* The public half alone on standard output, for a file. */
static enum err show(const struct words *w, const struct cr_p256_key *key)
{
    char pem[513], hex[BASE16_LEN(32) + 1];
    uint8_t id[32];
    size_t len;
    struct cr_p256_pub pub;
    TRY(cr_p256_public(key, &pub));
    TRY(cr_p256_id(&pub, id));
    TRY(cr_p256_pub_to_pem(&pub, pem, sizeof pem - 1, &len));
    pem[len] = '\0';
    base16_encode(id, sizeof id, hex);
    if (w->json)
        ANSWER_JSON({"id", hex, 0}, {"public_key", pem, 0});
    else
        printf("%s", pem);
    fprintf(stderr, "keyholt-server: key %s: the vault takes it in when it starts next\n", hex);
    return ERR_OK;
}

static int put_and_show(const struct words *w, const struct cr_p256_key *key)
{
    int code = put(w, key);
    if (code != KH_EXIT_OK)
        return code;
    enum err e = show(w, key);
    return e == ERR_OK ? KH_EXIT_OK : state_complain(KH_EXIT_FAILED, "keys", err_text(e));
}

static int make(const struct words *w)
{
    struct cr_p256_key *key = NULL;
    enum err e = cr_p256_generate(&key);
    int code = e == ERR_OK ? put_and_show(w, key) : state_complain(KH_EXIT_FAILED, "keys", err_text(e));
    cr_p256_free(key);
    return code;
}

static const char *why_no_key(enum err e, bool has_passphrase)
{
    switch (e) {
    case ERR_AUTH:
        return has_passphrase ? "the passphrase does not open it"
                              : "it is encrypted; name a file with its passphrase: --passphrase-file";
    case ERR_FORMAT:
    case ERR_RANGE:
        return "a P-256 private key in PEM (PKCS#8, BEGIN PRIVATE KEY) is wanted";
    default:
        return err_text(e);
    }
}

/* Returns an exit code. */
static int load(const struct words *w, struct cr_p256_key **ret)
{
    uint8_t *pem = NULL;
    size_t len;
    bool has_passphrase = w->passphrase_file != NULL;
    SECRET(passphrase);
    enum err e = has_passphrase ? secret_from_file(w->passphrase_file, &passphrase) : ERR_OK;
    if (e != ERR_OK)
        return state_complain(KH_EXIT_FAILED, w->passphrase_file, secret_file_text(e));
    e = file_read(w->rest.item[0], PEM_MAX, &pem, &len);
    if (e == ERR_OK) {
        e = cr_p256_from_pem((const char *)pem, len, has_passphrase ? &passphrase : NULL, ret);
        cr_wipe(pem, len);
        free(pem);
    }
    return e == ERR_OK ? KH_EXIT_OK
                       : state_complain(KH_EXIT_FAILED, w->rest.item[0], why_no_key(e, has_passphrase));
}

/* The PIN is the vault's passphrase. Returns an exit code. */
static int open_token(const struct words *w, struct cr_p256_key **ret)
{
    char root[PATH_MAX];
    struct conf conf;
    SECRET(pin);
    int code = state_begin(w->root, root, &conf);
    if (code != 0)
        return code;
    enum err e = passphrase_load(conf.passphrase_file, &pin);
    if (e != ERR_OK)
        return state_complain(KH_EXIT_FAILED, conf.passphrase_file, secret_file_text(e));
    e = cr_p256_token_open(w->pkcs11, &pin, ret);
    return e == ERR_OK ? KH_EXIT_OK : state_complain(KH_EXIT_FAILED, w->pkcs11, err_text(e));
}

static int import(const struct words *w)
{
    struct cr_p256_key *key = NULL;
    int code = w->pkcs11 != NULL ? open_token(w, &key) : load(w, &key);
    if (code == KH_EXIT_OK)
        code = put_and_show(w, key);
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
