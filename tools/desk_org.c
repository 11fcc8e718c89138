/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tools/desk_org.h"
#include "crypto/host/file.h"
#include "crypto/p256.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PEM_MAX 4096

static void free_bytes(uint8_t **p)
{
    free(*p);
}
#define BYTES(name) __attribute__((cleanup(free_bytes))) uint8_t *name = NULL

static enum err load_root(const char *path, struct cr_p256_pub *ret)
{
    BYTES(pem);
    size_t len = 0;
    TRY(file_read(path, PEM_MAX, &pem, &len));
    return cr_p256_pub_from_pem((const char *)pem, len, ret);
}

static enum err check_signature(const char *path, const uint8_t *json, size_t len,
                                const struct cr_p256_pub *root)
{
    BYTES(sig);
    size_t sig_len = 0;
    enum err err = file_read(path, CR_P256_SIG, &sig, &sig_len);
    if (err == ERR_NOT_FOUND || err == ERR_RANGE || (err == ERR_OK && sig_len != CR_P256_SIG))
        return ERR_AUTH;
    TRY(err);
    return org_verify(json, len, sig, root);
}

static enum err decode(const uint8_t *json, size_t len, struct org *ret)
{
    size_t scratch_len = 16 * len + 1;
    BYTES(scratch);
    scratch = malloc(scratch_len);
    if (!scratch)
        return ERR_NOMEM;
    return org_decode((const char *)json, len, scratch, scratch_len, ret);
}

/* root.pub in the folder of org.json; "" when there is none. */
static void find_root(const char *path, char *ret, size_t cap)
{
    const char *slash = strrchr(path, '/');
    int n = snprintf(ret, cap, "%.*sroot.pub", slash ? (int)(slash - path) + 1 : 0, path);
    /* One that cannot be read is not one that is absent: reading it will fail, and that is the answer. */
    if (n < 0 || (size_t)n >= cap || (access(ret, F_OK) != 0 && errno == ENOENT))
        ret[0] = 0;
}

enum err desk_org_load(const char *path, const char *root_key, struct org *ret, bool *ret_checked,
                       char *ret_problem, size_t cap)
{
    char root_path[PATH_MAX], sig_path[PATH_MAX + sizeof ".sig"];
    struct cr_p256_pub root;
    size_t len = 0;
    BYTES(json);
    snprintf(ret_problem, cap, "%s", path);
    TRY(file_read(path, ORG_MAX, &json, &len));
    if (root_key)
        snprintf(root_path, sizeof root_path, "%s", root_key);
    else
        find_root(path, root_path, sizeof root_path);
    if (root_path[0]) {
        snprintf(ret_problem, cap, "%s", root_path);
        TRY(load_root(root_path, &root));
        snprintf(ret_problem, cap, "%s", path);
        snprintf(sig_path, sizeof sig_path, "%s.sig", path);
        TRY(check_signature(sig_path, json, len, &root));
    }
    TRY(decode(json, len, ret));
    *ret_checked = root_path[0] != 0;
    return ERR_OK;
}
