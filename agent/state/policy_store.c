/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/state/policy_store.h"
#include "crypto/host/file.h"
#include "crypto/p256.h"
#include "formats/names.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JSON_FILE KH_ORG_DIR "/policy.json"
#define SIG_FILE  KH_ORG_DIR "/policy.json.sig"

static enum err decode(const struct agent *a, const uint8_t *json, size_t len, struct policy *ret)
{
    void *scratch = malloc(POLICY_SCRATCH(len));
    if (!scratch)
        return ERR_NOMEM;
    enum err e = policy_decode((const char *)json, len, &a->org->id, scratch, POLICY_SCRATCH(len), ret);
    free(scratch);
    return e;
}

static enum err refuse(struct problem *why, enum err e, const char *what)
{
    return problem_set(why, e, "the policy %s; the one in use stays", what);
}

static enum err check(const struct agent *a, const uint8_t *json, size_t len, const uint8_t *sig,
                      size_t sig_len, struct policy *ret, struct problem *why)
{
    struct cr_p256_pub pub;
    if (!a->org)
        return refuse(why, ERR_NOT_FOUND, "is of no organisation that this computer knows");
    if (sig_len != POLICY_SIG ||
        cr_p256_from_spki(a->org->policy.spki, sizeof a->org->policy.spki, &pub) != ERR_OK ||
        policy_verify(json, len, sig, &pub) != ERR_OK)
        return refuse(why, ERR_AUTH, "is not signed by the organisation's policy key");
    enum err e = decode(a, json, len, ret);
    switch (e) {
    case ERR_OK:
        return e;
    case ERR_VERSION:
        return refuse(why, e, "is in a format of a later Keyholt; install that on this computer");
    case ERR_UNSUPPORTED:
        return refuse(why, e, "wants something that this Keyholt does not do");
    case ERR_CONFLICT:
        return refuse(why, e, "is another organisation's");
    default:
        return refuse(why, e, "cannot be read, or a value in it is out of range");
    }
}

static enum err read_file(const struct agent *a, const char *name, uint8_t **ret, size_t *ret_len)
{
    char path[PATH_MAX];
    TRY(file_join(a->root, name, path, sizeof path));
    return file_read(path, POLICY_MAX, ret, ret_len);
}

static enum err write_file(const struct agent *a, const char *name, const uint8_t *p, size_t len)
{
    char path[PATH_MAX];
    TRY(file_join(a->root, name, path, sizeof path));
    return file_write(path, p, len, 0644);
}

/* The two files are two writes: between them, what is stored does not verify, and the defaults hold until the
 * policy comes again. */
static enum err read_both(const struct agent *a, uint8_t **ret_json, size_t *ret_len, uint8_t **ret_sig,
                          size_t *ret_sig_len)
{
    uint8_t *json;
    size_t len;
    TRY(read_file(a, JSON_FILE, &json, &len));
    enum err e = read_file(a, SIG_FILE, ret_sig, ret_sig_len);
    if (e != ERR_OK) {
        free(json);
        return e;
    }
    *ret_json = json;
    *ret_len = len;
    return ERR_OK;
}

void policy_store_load(struct agent *a)
{
    uint8_t *json = NULL, *sig = NULL;
    size_t len = 0, sig_len = 0;
    struct policy p;
    struct problem why;
    policy_defaults(&a->policy);
    if (!a->org || read_both(a, &json, &len, &sig, &sig_len) != ERR_OK)
        return;
    if (check(a, json, len, sig, sig_len, &p, &why) == ERR_OK)
        a->policy = p;
    else
        (void)fprintf(stderr, "keeper: %s\n", why.text);
    free(json);
    free(sig);
}

static bool is_stored(const struct agent *a, const uint8_t *json, size_t len)
{
    uint8_t *p;
    size_t n;
    if (read_file(a, JSON_FILE, &p, &n) != ERR_OK)
        return false;
    bool same = n == len && memcmp(p, json, len) == 0;
    free(p);
    return same;
}

enum err policy_store_install(struct agent *a, const uint8_t *json, size_t len, const uint8_t *sig,
                              size_t sig_len, struct problem *why)
{
    struct policy p;
    TRY(check(a, json, len, sig, sig_len, &p, why));
    if (p.version < a->policy.version)
        return problem_set(
            why, ERR_CONFLICT,
            "this policy is older (version %llu) than the one in use (version %llu), which stays",
            (unsigned long long)p.version, (unsigned long long)a->policy.version);
    if (p.version == a->policy.version && !is_stored(a, json, len))
        return refuse(why, ERR_CONFLICT, "has the version of the one in use and says something else");
    if (p.version == a->policy.version)
        return ERR_OK;
    enum err e = write_file(a, SIG_FILE, sig, sig_len);
    if (e == ERR_OK)
        e = write_file(a, JSON_FILE, json, len);
    if (e != ERR_OK)
        return problem_set(why, e, "the policy cannot be written to " KH_ORG_DIR ": %s", err_text(e));
    a->policy = p;
    return ERR_OK;
}
