/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/host/file.h"
#include "crypto/p256.h"
#include "escrow-server/state.h"
#include "escrow-server/verb/options.h"
#include "escrow-server/verb/verbs.h"
#include "formats/policy.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] = "  keyholt-server policy set [--root DIR] [--json] FILE\n";

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

static int set(const char *root, const char *file, bool json_out)
{
    static struct org org;
    struct policy p;
    uint8_t *json = NULL;
    size_t len = 0;
    enum err e = state_org(root, &org, NULL, NULL);
    if (e != ERR_OK)
        return complain(KH_EXIT_FAILED, PLACE_ORG, err_text(e));
    e = file_read(file, POLICY_MAX, &json, &len);
    if (e != ERR_OK)
        return complain(KH_EXIT_FAILED, file, err_text(e));
    void *scratch = malloc(POLICY_SCRATCH(len));
    e = scratch == NULL ? ERR_NOMEM
                        : policy_decode((const char *)json, len, &org.id, scratch, POLICY_SCRATCH(len), &p);
    free(scratch);
    int code = KH_EXIT_OK;
    if (e != ERR_OK)
        code = complain(KH_EXIT_NO, file, err_text(e));
    else if (p.version <= version_in_use(root, &org))
        code = complain(KH_EXIT_NO, file, "its version must be higher than that of the policy in use");
    else if ((e = install(root, json, len)) != ERR_OK)
        code = complain(KH_EXIT_FAILED, file, err_text(e));
    free(json);
    if (code == KH_EXIT_OK)
        printf(json_out ? "{\"version\":%" PRIu64 "}\n"
                        : "policy version %" PRIu64 " goes out with the next syncs\n",
               p.version);
    return code;
}

static int run(int argc, char *const *argv)
{
    const char *root = "/";
    char absolute[PATH_MAX];
    bool json = false;
    struct option_list files = {.n = 0};
    const struct option_def defs[] = {{"root", OPTION_TEXT, false, &root},
                                      {"json", OPTION_FLAG, false, &json},
                                      {NULL, OPTION_REST, false, &files}};
    if (argc < 1 || strcmp(argv[0], "set") != 0)
        return options_wrong_words("policy", argc, argv, usage);
    if (options_parse(argc - 1, argv + 1, defs, 3, usage) != ERR_OK)
        return KH_EXIT_USAGE;
    if (files.n != 1)
        return options_wrong_words("policy", argc, argv, usage);
    if (place_absolute(root, absolute) != ERR_OK)
        return complain(KH_EXIT_FAILED, root, "the path is too long");
    return set(absolute, files.item[0], json);
}

const struct verb verb_policy = {"policy", run, usage, "sign a policy for all laptops"};
