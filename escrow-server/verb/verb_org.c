/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/verb/verb_org.h"
#include "crypto/host/file.h"
#include "crypto/host/process.h"
#include "escrow-server/state.h"
#include "escrow-server/verb/org_change.h"
#include "escrow-server/verb/verbs.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char usage[] =
    "  keyholt-server org show [--root DIR] [FILE] [--json]\n"
    "  keyholt-server org change --org FILE --root-key FILE [--passphrase-file FILE] --out DIR [--json]\n"
    "      [--revoke DEVICE ...] [--allow DEVICE ...]\n"
    "      [--escrow-key PUB.pem ...] [--desk-key PUB.pem ...] [--drop-escrow ID ...]\n"
    "      [--receipt-key PUB.pem ...] [--drop-receipt ID ...] [--server https://HOST:PORT ...]\n"
    "      [--name TEXT] [--message TEXT] [--url HTTPS://HOST/PATH] [--no-copying yes|no]\n"
    "  keyholt-server org set [--root DIR] FILE [--json]\n"
    "    change: sign the next version with the root key, where that is; needs no server\n"
    "    set: the server takes that version\n";

#define PEM_MAX 4096

int org_complain(int code, const char *what, const char *reason)
{
    fprintf(stderr, "keyholt-server: org: %s: %s; nothing was changed\n", what, reason);
    return code;
}

struct words {
    const char *org, *root_key, *passphrase_file, *out;
    struct org_change change;
    bool json;
};

/* ret_what: the file that is spoken of on failure */
static enum err load_root_key(const struct words *w, struct cr_p256_key **ret, const char **ret_what)
{
    *ret_what = w->root_key;
    uint8_t *pem = NULL;
    size_t len;
    SECRET(passphrase);
    if (w->passphrase_file != NULL) {
        *ret_what = w->passphrase_file;
        TRY(secret_from_file(w->passphrase_file, &passphrase));
        *ret_what = w->root_key;
    }
    TRY(file_read(w->root_key, PEM_MAX, &pem, &len));
    enum err e =
        cr_p256_from_pem((const char *)pem, len, w->passphrase_file != NULL ? &passphrase : NULL, ret);
    cr_wipe(pem, len);
    free(pem);
    return e;
}

/* What there is, and that the key is the one which signed it. */
static int load(const struct words *w, const struct cr_p256_key *key, struct org_file *ret)
{
    uint8_t sig[CR_P256_SIG];
    struct cr_p256_pub pub;
    enum err e = org_file_load(w->org, ret);
    if (e == ERR_OK)
        e = cr_p256_public(key, &pub);
    if (e != ERR_OK)
        return org_complain(KH_EXIT_FAILED, w->org, err_text(e));
    if (state_org_signed(w->org, ret->json, ret->len, &pub, sig) == ERR_OK)
        return KH_EXIT_OK;
    return org_complain(KH_EXIT_NO, w->org,
                        "this root key did not sign it (its signature, .sig, must lie beside it)");
}

/* Neither file may be there: also what another run wrote is kept. */
static enum err write_out(const char *dir, const char *json, const uint8_t sig[static CR_P256_SIG])
{
    char path[PATH_MAX], sig_path[PATH_MAX];
    struct stat st;
    TRY(file_join(dir, "/org.json", path, sizeof path));
    TRY(file_join(dir, "/org.json.sig", sig_path, sizeof sig_path));
    if (lstat(path, &st) == 0 || lstat(sig_path, &st) == 0)
        return ERR_CONFLICT;
    TRY(file_mkdirs(dir, 0755));
    TRY(file_write(sig_path, sig, CR_P256_SIG, 0644));
    enum err e = file_write(path, json, strlen(json), 0644);
    if (e != ERR_OK)
        (void)unlink(sig_path);
    return e;
}

static int sign(const struct words *w, const struct cr_p256_key *key, const struct org_edit *x)
{
    uint8_t sig[CR_P256_SIG];
    const char *json = org_edit_text(x);
    enum err e = json == NULL ? ERR_NOMEM : cr_p256_sign(key, json, strlen(json), sig);
    if (e == ERR_OK)
        e = write_out(w->out, json, sig);
    if (e == ERR_CONFLICT)
        return org_complain(KH_EXIT_NO, w->out, "there is an org.json in this folder already");
    return e == ERR_OK ? KH_EXIT_OK : org_complain(KH_EXIT_FAILED, w->out, err_text(e));
}

static void tell(const struct words *w, const struct org_edit *x)
{
    const uint64_t version = json_object_get_uint64(json_object_object_get(x->o, "version"));
    if (w->json) {
        struct json_object *o = json_object_new_object();
        json_object_object_add(o, "version", json_object_new_uint64(version));
        json_object_object_add(o, "changes", json_object_get(x->said));
        puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
        json_object_put(o);
        return;
    }
    for (size_t i = 0; i < json_object_array_length(x->said); i++)
        puts(json_object_get_string(json_object_array_get_idx(x->said, i)));
    printf("org.json version %llu and its signature are in %s; on each server: keyholt-server org set\n",
           (unsigned long long)version, w->out);
}

static int change_with(const struct words *w, const struct cr_p256_key *key)
{
    ORG_FILE(from);
    ORG_EDIT(x);
    int code = load(w, key, &from);
    if (code != KH_EXIT_OK)
        return code;
    enum err e = org_change(&from, &w->change, &x);
    if (e != ERR_OK) {
        fprintf(stderr, "keyholt-server: org: %s; nothing was changed\n",
                x.problem[0] != '\0' ? x.problem : err_text(e));
        return e == ERR_FORMAT ? KH_EXIT_USAGE : e == ERR_CONFLICT ? KH_EXIT_NO : KH_EXIT_FAILED;
    }
    code = sign(w, key, &x);
    if (code == KH_EXIT_OK)
        tell(w, &x);
    return code;
}

static int change_file(const struct words *w)
{
    struct cr_p256_key *key = NULL;
    if (process_harden(false) != ERR_OK)
        return KH_EXIT_FAILED;
    const char *what;
    enum err e = load_root_key(w, &key, &what);
    if (e != ERR_OK && what == w->passphrase_file)
        return org_complain(KH_EXIT_FAILED, what, secret_file_text(e));
    if (e == ERR_AUTH)
        return org_complain(KH_EXIT_NO, w->root_key,
                            w->passphrase_file != NULL ? "the passphrase does not open it"
                                                       : "it has a passphrase; --passphrase-file is wanted");
    if (e != ERR_OK)
        return org_complain(KH_EXIT_FAILED, what, err_text(e));
    int code = change_with(w, key);
    cr_p256_free(key);
    return code;
}

static int change(int argc, char *const *argv)
{
    const size_t room = (size_t)argc;
    const char **ids = calloc(2 * room + 1, sizeof *ids);
    struct words w = {
        .change = {.revoke = {ids, 0, (unsigned)argc}, .allow = {ids + room, 0, (unsigned)argc}}};
    struct org_change *c = &w.change;
    const struct option_def defs[] = {{"org", OPTION_TEXT, true, &w.org},
                                      {"root-key", OPTION_TEXT, true, &w.root_key},
                                      {"passphrase-file", OPTION_TEXT, false, &w.passphrase_file},
                                      {"out", OPTION_TEXT, true, &w.out},
                                      {"json", OPTION_FLAG, false, &w.json},
                                      {"revoke", OPTION_WORDS, false, &c->revoke},
                                      {"allow", OPTION_WORDS, false, &c->allow},
                                      {"escrow-key", OPTION_LIST, false, &c->escrow_keys},
                                      {"desk-key", OPTION_LIST, false, &c->desk_keys},
                                      {"drop-escrow", OPTION_LIST, false, &c->drop_escrow},
                                      {"receipt-key", OPTION_LIST, false, &c->receipt_keys},
                                      {"drop-receipt", OPTION_LIST, false, &c->drop_receipt},
                                      {"server", OPTION_LIST, false, &c->servers},
                                      {"name", OPTION_TEXT, false, &c->name},
                                      {"message", OPTION_TEXT, false, &c->message},
                                      {"url", OPTION_TEXT, false, &c->url},
                                      {"no-copying", OPTION_TEXT, false, &c->no_copying}};
    int code = ids == NULL ? org_complain(KH_EXIT_FAILED, "change", err_text(ERR_NOMEM)) : KH_EXIT_USAGE;
    if (ids != NULL && options_parse(argc, argv, defs, sizeof defs / sizeof defs[0], usage) == ERR_OK)
        code = change_file(&w);
    free(ids);
    return code;
}

static int on_server(int argc, char *const *argv, bool shows)
{
    const char *root = NULL, *file;
    char absolute[PATH_MAX];
    bool json = false;
    struct option_list files = {.n = 0};
    const struct option_def defs[] = {{"root", OPTION_TEXT, false, &root},
                                      {"json", OPTION_FLAG, false, &json},
                                      {NULL, OPTION_REST, false, &files}};
    if (options_parse(argc - 1, argv + 1, defs, sizeof defs / sizeof defs[0], usage) != ERR_OK)
        return KH_EXIT_USAGE;
    if (files.n > 1 || (!shows && files.n != 1))
        return options_wrong_words("org", argc, argv, usage);
    file = files.n == 1 ? files.item[0] : NULL;
    if (shows && root == NULL && file != NULL)
        return org_show(NULL, file, json);
    if (place_absolute(root != NULL ? root : "/", absolute) != ERR_OK)
        return org_complain(KH_EXIT_FAILED, root, "the path is too long");
    return shows ? org_show(absolute, file, json) : org_set(absolute, file, json);
}

static int run(int argc, char *const *argv)
{
    const char *what = argc > 0 ? argv[0] : "";
    if (strcmp(what, "change") == 0)
        return change(argc - 1, argv + 1);
    if (strcmp(what, "show") == 0 || strcmp(what, "set") == 0)
        return on_server(argc, argv, strcmp(what, "show") == 0);
    return options_wrong_words("org", argc, argv, usage);
}

const struct verb verb_org = {"org", run, usage, "show org.json; sign its next version; put that in force"};
