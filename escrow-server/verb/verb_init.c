/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/hash.h"
#include "crypto/host/file.h"
#include "crypto/host/process.h"
#include "escrow-server/process/passphrase.h"
#include "escrow-server/vault/people.h"
#include "escrow-server/verb/answer.h"
#include "escrow-server/verb/org_text.h"
#include "escrow-server/verb/setup.h"
#include "escrow-server/verb/verbs.h"
#include "formats/base.h"
#include "formats/names.h"
#include "formats/org.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TOKEN_DAYS 7
#define TOKEN_USES 1000

static const char usage[] =
    "  keyholt-server init [--root DIR] --org-name NAME --url https://HOST:PORT [--url ...]\n"
    "      --recovery-url HTTPS://HOST/PATH --message TEXT\n"
    "      --offline-dir DIR --desk-dir DIR --bundle-dir DIR\n"
    "      --user NAME --user-password-file FILE --desk-passphrase-file FILE\n"
    "      [--vault-passphrase-file FILE] [--root-passphrase-file FILE]\n"
    "      [--web-uid N] [--writer-uid N] [--vault-uid N] [--export-uid N]\n"
    "      [--web-workers N] [--no-copying]\n"
    "      [--token-days N] [--token-uses N] [--json]\n";

struct words {
    const char *root, *offline_dir, *desk_dir;
    const char *user_file, *desk_file, *vault_file, *root_file;
    struct option_list urls;
    uint64_t uid[PROCESS_USERS], workers;
    bool json;
};

static enum err parse(int argc, char *const *argv, struct setup *s, struct words *w)
{
    const struct option_def defs[] = {
        {"root", OPTION_TEXT, false, &w->root},
        {"org-name", OPTION_TEXT, true, &s->org_name},
        {"url", OPTION_LIST, true, &w->urls},
        {"recovery-url", OPTION_TEXT, true, &s->recovery_url},
        {"message", OPTION_TEXT, true, &s->message},
        {"offline-dir", OPTION_TEXT, true, &w->offline_dir},
        {"desk-dir", OPTION_TEXT, true, &w->desk_dir},
        {"bundle-dir", OPTION_TEXT, true, &s->bundle_dir},
        {"user", OPTION_TEXT, true, &s->user},
        {"user-password-file", OPTION_TEXT, true, &w->user_file},
        {"desk-passphrase-file", OPTION_TEXT, true, &w->desk_file},
        {"vault-passphrase-file", OPTION_TEXT, false, &w->vault_file},
        {"root-passphrase-file", OPTION_TEXT, false, &w->root_file},
        {"web-uid", OPTION_NUMBER, false, &w->uid[PROCESS_WEB]},
        {"writer-uid", OPTION_NUMBER, false, &w->uid[PROCESS_WRITER]},
        {"vault-uid", OPTION_NUMBER, false, &w->uid[PROCESS_VAULT]},
        {"export-uid", OPTION_NUMBER, false, &w->uid[PROCESS_EXPORT]},
        {"web-workers", OPTION_NUMBER, false, &w->workers},
        {"token-days", OPTION_NUMBER, false, &s->token_days},
        {"token-uses", OPTION_NUMBER, false, &s->token_uses},
        {"no-copying", OPTION_FLAG, false, &s->no_copying},
        {"json", OPTION_FLAG, false, &w->json},
    };
    return options_parse(argc, argv, defs, sizeof defs / sizeof defs[0], usage);
}

static int check_texts(const struct setup *s)
{
    const char *wrong;
    if ((wrong = org_url_wrong(s->recovery_url)) != NULL)
        return setup_complain(KH_EXIT_USAGE, s->recovery_url, wrong);
    if ((wrong = org_name_wrong(s->org_name)) != NULL)
        return setup_complain(KH_EXIT_USAGE, "--org-name", wrong);
    if ((wrong = org_message_wrong(s->message)) != NULL)
        return setup_complain(KH_EXIT_USAGE, "--message", wrong);
    if (!people_name_is_good(s->user))
        return setup_complain(KH_EXIT_USAGE, "--user",
                              "1 to 64 characters without blanks, quotes, colons and commas");
    if (s->token_days < 1 || s->token_days > 3650 || s->token_uses < 1 || s->token_uses > 10000000)
        return setup_complain(KH_EXIT_USAGE, "--token-days, --token-uses",
                              "1 to 3650 days and 1 to 10,000,000 uses");
    return KH_EXIT_OK;
}

static bool users_differ(const uid_t *uid)
{
    for (unsigned i = PROCESS_WEB; i <= PROCESS_EXPORT; i++)
        for (unsigned k = PROCESS_WEB; k < i; k++)
            if (uid[i] == uid[k])
                return false;
    return true;
}

/* Different unprivileged users, or, without root, the caller for each. */
static int set_users(struct setup *s, const struct words *w)
{
    static const char *const option[] = {[PROCESS_WEB] = "--web-uid",
                                         [PROCESS_WRITER] = "--writer-uid",
                                         [PROCESS_VAULT] = "--vault-uid",
                                         [PROCESS_EXPORT] = "--export-uid"};
    for (unsigned kind = PROCESS_WEB; kind <= PROCESS_EXPORT; kind++) {
        if (w->uid[kind] == UINT64_MAX && s->as_root)
            continue; /* as the file has it */
        if (s->as_root && (w->uid[kind] >= UINT32_MAX || w->uid[kind] == 0))
            return setup_complain(KH_EXIT_USAGE, option[kind], "a number above 0 is wanted");
        s->conf.uid[kind] = s->as_root ? (uid_t)w->uid[kind] : geteuid();
    }
    if (s->as_root && !users_differ(s->conf.uid))
        return setup_complain(KH_EXIT_USAGE, "--web-uid, --writer-uid, --vault-uid, --export-uid",
                              "four different numbers are wanted");
    if (!s->as_root)
        fputs(
            "keyholt-server: NOT RUN AS ROOT: web, writer and vault will all run as you; nothing will keep a "
            "taken-over web worker from the vault's key\n",
            stderr);
    if (w->workers > CONF_WORKERS_MAX)
        return setup_complain(KH_EXIT_USAGE, "--web-workers", "1 to 16 are wanted");
    if (w->workers > 0)
        s->conf.web_workers = (unsigned)w->workers;
    return KH_EXIT_OK;
}

static int read_secret(const char *path, const char *name, struct secret *ret)
{
    if (path == NULL)
        return KH_EXIT_OK;
    enum err e = secret_from_file(path, ret);
    return e == ERR_OK ? KH_EXIT_OK : setup_complain(KH_EXIT_FAILED, name, secret_file_text(e));
}

static int read_vault_secret(struct setup *s, const char *source)
{
    enum err e = source == NULL ? ERR_OK : passphrase_load(source, &s->vault_passphrase);
    return e == ERR_OK ? KH_EXIT_OK
                       : setup_complain(KH_EXIT_FAILED, "--vault-passphrase-file", secret_file_text(e));
}

static int read_secrets(struct setup *s, const struct words *w)
{
    if (read_secret(w->user_file, "--user-password-file", &s->user_password) != KH_EXIT_OK ||
        read_secret(w->desk_file, "--desk-passphrase-file", &s->desk_passphrase) != KH_EXIT_OK ||
        read_vault_secret(s, w->vault_file) != KH_EXIT_OK ||
        read_secret(w->root_file, "--root-passphrase-file", &s->root_passphrase) != KH_EXIT_OK)
        return KH_EXIT_FAILED;
    if (s->user_password.len < 8)
        return setup_complain(KH_EXIT_FAILED, "--user-password-file", "at least 8 characters are wanted");
    if (w->vault_file != NULL && strcmp(w->vault_file, "-") == 0)
        return setup_complain(KH_EXIT_USAGE, "--vault-passphrase-file",
                              "a file that stays is wanted; the vault reads it at every start");
    return KH_EXIT_OK;
}

static enum err set_passphrase_file(struct setup *s, const char *source)
{
    if (source == NULL)
        return ERR_OK;
    if (strncmp(source, PASSPHRASE_CREDENTIAL, strlen(PASSPHRASE_CREDENTIAL)) != 0)
        return place_absolute(source, s->conf.passphrase_file);
    snprintf(s->conf.passphrase_file, sizeof s->conf.passphrase_file, "%s", source);
    return ERR_OK;
}

/* A key that was written for another organisation is never overwritten. */
static int check_new(const struct setup *s)
{
    char path[PATH_MAX];
    if (file_join(s->root, PLACE_ORG, path, sizeof path) != ERR_OK)
        return setup_complain(KH_EXIT_FAILED, "--root", "the path is too long");
    if (access(path, F_OK) == 0)
        return setup_complain(KH_EXIT_NO, path, "there is an organisation already, and it stays as it is");
    return KH_EXIT_OK;
}

static void report_text(const struct setup *s, const char *id, const char *hex)
{
    printf("organisation  %s %s\nroot pin      %s\n", s->org_name, id, hex);
    printf("offline root  %s\ndesk key      %s\n", s->conf.root_key, s->conf.desk_key);
    printf("bundle        %s (for laptops; its token is secret and ends in %llu days)\n", s->bundle_dir,
           (unsigned long long)s->token_days);
}

static int report(const struct setup *s, bool json)
{
    char id[GUID_TEXT], hex[BASE16_LEN(32) + 1];
    struct cr_p256_pub pub;
    uint8_t pin[32];
    char pem[512];
    size_t len;
    guid_encode(&s->id, id);
    /* the pin that every laptop shows and keeps when it enrols: of the file root.pub */
    if (cr_p256_public(s->key[SETUP_ROOT], &pub) != ERR_OK ||
        cr_p256_pub_to_pem(&pub, pem, sizeof pem, &len) != ERR_OK || cr_sha256(pem, len, pin) != ERR_OK)
        return KH_EXIT_FAILED;
    base16_encode(pin, sizeof pin, hex);
    if (json)
        ANSWER_JSON({"organisation", s->org_name, 0}, {"id", id, 0}, {"root_pin", hex, 0},
                    {"offline_root_key", s->conf.root_key, 0}, {"desk_key", s->conf.desk_key, 0},
                    {"bundle", s->bundle_dir, 0}, {"token_days", NULL, s->token_days});
    else
        report_text(s, id, hex);
    fprintf(stderr,
            "keyholt-server: take the offline root and desk keys off this machine, to two safe places\n");
    return KH_EXIT_OK;
}

static int make(struct setup *s, const struct words *w)
{
    int code = check_texts(s);
    if (code == KH_EXIT_OK)
        code = set_users(s, w);
    if (code == KH_EXIT_OK && setup_hosts(s) != ERR_OK)
        code = KH_EXIT_USAGE;
    if (code == KH_EXIT_OK)
        code = check_new(s);
    if (code == KH_EXIT_OK)
        code = read_secrets(s, w);
    if (code == KH_EXIT_OK)
        code = setup_places(s, w->offline_dir, w->desk_dir);
    if (code != KH_EXIT_OK)
        return code;
    enum err e = set_passphrase_file(s, w->vault_file);
    if (e == ERR_OK)
        e = setup_make_keys(s);
    if (e == ERR_OK)
        e = setup_write_state(s);
    if (e == ERR_OK)
        e = setup_write_org(s);
    if (e == ERR_OK)
        return report(s, w->json);
    setup_take_back(s);
    return setup_complain(KH_EXIT_FAILED, w->root, err_text(e));
}

static int run(int argc, char *const *argv)
{
    char root[PATH_MAX];
    struct words w = {.root = "/"};
    struct setup s = {.token_days = TOKEN_DAYS, .token_uses = TOKEN_USES, .as_root = geteuid() == 0};
    conf_init(&s.conf);
    for (unsigned kind = PROCESS_WEB; kind <= PROCESS_EXPORT; kind++)
        w.uid[kind] = UINT64_MAX; /* not given */
    if (process_harden(false) != ERR_OK)
        return KH_EXIT_FAILED;
    if (parse(argc, argv, &s, &w) != ERR_OK)
        return KH_EXIT_USAGE;
    if (place_absolute(w.root, root) != ERR_OK)
        return setup_complain(KH_EXIT_FAILED, w.root, "the path is too long");
    enum err e = conf_load(root, &s.conf); /* the package's, perhaps with changes by a person */
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return setup_complain(KH_EXIT_FAILED, PLACE_CONF, err_text(e));
    s.root = root;
    s.urls = &w.urls;
    int code = make(&s, &w);
    setup_wipe(&s);
    return code;
}

const struct verb verb_init = {"init", run, usage,
                               "make an organisation: keys, certificates, bundle, first user"};
