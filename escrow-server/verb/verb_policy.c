/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/host/file.h"
#include "crypto/p256.h"
#include "escrow-server/state.h"
#include "escrow-server/verb/options.h"
#include "escrow-server/verb/verbs.h"
#include "formats/policy.h"
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] = "  keyholt-server policy set [--root DIR] [--strict] [--json] FILE\n";

static int complain(int code, const char *what, const char *reason)
{
    fprintf(stderr, "keyholt-server: policy: %s: %s; nothing was changed\n", what, reason);
    return code;
}

/* 0 where there is none that can be read. */
static uint64_t version_in_use(const char *root, const struct org *org)
{
    char path[PATH_MAX];
    uint8_t *json = NULL;
    size_t len = 0;
    struct policy p;
    if (file_join(root, PLACE_POLICY_JSON, path, sizeof path) != ERR_OK ||
        file_read(path, POLICY_MAX, &json, &len) != ERR_OK)
        return 0;
    void *scratch = malloc(POLICY_SCRATCH(len));
    bool good = scratch != NULL &&
                policy_decode((const char *)json, len, &org->id, scratch, POLICY_SCRATCH(len), &p) == ERR_OK;
    free(scratch);
    free(json);
    return good ? p.version : 0;
}

static enum err sign(const char *root, const uint8_t *json, size_t len, uint8_t ret[static POLICY_SIG])
{
    char path[PATH_MAX];
    uint8_t *pem = NULL;
    size_t pem_len = 0;
    struct cr_p256_key *key = NULL;
    TRY(file_join(root, PLACE_POLICY, path, sizeof path));
    TRY(file_read(path, 4096, &pem, &pem_len));
    enum err e = cr_p256_from_pem((const char *)pem, pem_len, NULL, &key);
    cr_wipe(pem, pem_len);
    free(pem);
    TRY(e);
    e = cr_p256_sign(key, json, len, ret);
    cr_p256_free(key);
    return e;
}

/* A server that looks in between finds a signature that does not verify, keeps what it has, and looks again.
 */
static enum err install(const char *root, const uint8_t *json, size_t len)
{
    char path[PATH_MAX];
    uint8_t sig[POLICY_SIG];
    TRY(sign(root, json, len, sig));
    TRY(file_join(root, PLACE_POLICY_JSON, path, sizeof path));
    TRY(file_write(path, json, len, 0644));
    TRY(file_join(root, PLACE_POLICY_SIG, path, sizeof path));
    return file_write(path, sig, sizeof sig, 0644);
}

/* What is wrong with a policy, and where. at: as policy_check() has it */
static int refuse(const char *file, enum err e, const char *at)
{
    char reason[160];
    const char *what = e == ERR_FORMAT        ? "is missing or not in its form"
                       : e == ERR_UNSUPPORTED ? "demands what this version cannot do"
                                              : err_text(e);
    if (e == ERR_CONFLICT)
        return complain(KH_EXIT_NO, file, "it is another organisation's: its org is not the id of org.json");
    if (at == NULL)
        return complain(KH_EXIT_NO, file, e == ERR_FORMAT ? "it is not JSON" : err_text(e));
    snprintf(reason, sizeof reason, "its member \"%s\": %s", at, what);
    return complain(KH_EXIT_NO, file, reason);
}

struct words {
    const char *root, *file;
    bool json, strict;
};

struct set {
    const struct words *w;
    struct org org;
    struct policy policy;
    uint8_t *json;
    size_t len;
    void *scratch;
    struct json_object *unknown;
};

static int read_policy(struct set *s)
{
    const char *at = NULL;
    enum err e = file_read(s->w->file, POLICY_MAX, &s->json, &s->len);
    if (e != ERR_OK)
        return complain(KH_EXIT_FAILED, s->w->file, e == ERR_RANGE ? "it is too long" : err_text(e));
    s->scratch = malloc(POLICY_SCRATCH(s->len));
    if (s->scratch == NULL)
        return complain(KH_EXIT_FAILED, s->w->file, err_text(ERR_NOMEM));
    e = policy_check((const char *)s->json, s->len, &s->org.id, s->scratch, POLICY_SCRATCH(s->len),
                     &s->policy, &at);
    return e == ERR_OK ? KH_EXIT_OK : refuse(s->w->file, e, at);
}

static void warn(void *arg, const char *name)
{
    struct set *s = arg;
    json_object_array_add(s->unknown, json_object_new_string(name));
    fprintf(stderr, "keyholt-server: policy: %s: unknown member, which laptops skip: %s\n", s->w->file, name);
}

/* A typing mistake goes to every laptop, and each skips it; so may what a newer version knows. */
static int look_for_unknown(struct set *s)
{
    s->unknown = json_object_new_array();
    enum err e = policy_unknown((const char *)s->json, s->len, s->scratch, POLICY_SCRATCH(s->len), warn, s);
    if (e != ERR_OK)
        return refuse(s->w->file, e, NULL);
    return s->w->strict && json_object_array_length(s->unknown) > 0
               ? complain(KH_EXIT_NO, s->w->file, "it has unknown members, and --strict was given")
               : KH_EXIT_OK;
}

static void report(struct set *s)
{
    if (!s->w->json) {
        printf("policy version %" PRIu64 " goes out with the next syncs\n", s->policy.version);
        return;
    }
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "version", json_object_new_uint64(s->policy.version));
    json_object_object_add(o, "unknown", json_object_get(s->unknown));
    puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(o);
}

static int check_and_install(struct set *s)
{
    int code = read_policy(s);
    if (code == KH_EXIT_OK && s->policy.version <= version_in_use(s->w->root, &s->org))
        code = complain(KH_EXIT_NO, s->w->file, "its version must be higher than that of the policy in use");
    if (code == KH_EXIT_OK)
        code = look_for_unknown(s);
    if (code != KH_EXIT_OK)
        return code;
    enum err e = install(s->w->root, s->json, s->len);
    if (e != ERR_OK)
        return complain(KH_EXIT_FAILED, s->w->file, err_text(e));
    report(s);
    return KH_EXIT_OK;
}

static int set(const struct words *w)
{
    static struct set s;
    s = (struct set){.w = w};
    enum err e = state_org(w->root, &s.org, NULL, NULL);
    if (e != ERR_OK)
        return state_no_org(w->root, e);
    int code = check_and_install(&s);
    json_object_put(s.unknown);
    free(s.scratch);
    free(s.json);
    return code;
}

static int run(int argc, char *const *argv)
{
    const char *root = "/";
    char absolute[PATH_MAX];
    struct words w = {.root = absolute};
    struct option_list files = {.n = 0};
    const struct option_def defs[] = {{"root", OPTION_TEXT, false, &root},
                                      {"json", OPTION_FLAG, false, &w.json},
                                      {"strict", OPTION_FLAG, false, &w.strict},
                                      {NULL, OPTION_REST, false, &files}};
    if (argc < 1 || strcmp(argv[0], "set") != 0)
        return options_wrong_words("policy", argc, argv, usage);
    if (options_parse(argc - 1, argv + 1, defs, 4, usage) != ERR_OK)
        return KH_EXIT_USAGE;
    if (files.n != 1)
        return options_wrong_words("policy", argc, argv, usage);
    if (place_absolute(root, absolute) != ERR_OK)
        return complain(KH_EXIT_FAILED, root, "the path is too long");
    w.file = files.item[0];
    return set(&w);
}

const struct verb verb_policy = {"policy", run, usage, "sign a policy for all laptops"};
