/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/verb/org_file.h"
#include "crypto/host/file.h"
#include <stdlib.h>
#include <string.h>

#define PEM_MAX 4096

void org_file_wipe(struct org_file *f)
{
    free(f->json);
    free(f->revoked);
    *f = (struct org_file){.json = NULL};
}

static enum err decode(struct org_file *f, void *scratch, size_t scratch_len)
{
    const char *json = (const char *)f->json;
    TRY(org_decode(json, f->len, scratch, scratch_len, &f->org));
    f->revoked = calloc(ORG_REVOKED_MAX, sizeof f->revoked[0]);
    if (f->revoked == NULL)
        return ERR_NOMEM;
    return org_revoked(json, f->len, scratch, scratch_len, f->revoked, ORG_REVOKED_MAX, &f->n_revoked);
}

/* Nothing is kept of one that is not in its form. */
static enum err decode_all(struct org_file *ret)
{
    size_t scratch_len = 16 * ret->len + 1024;
    void *scratch = malloc(scratch_len);
    enum err e = scratch == NULL ? ERR_NOMEM : decode(ret, scratch, scratch_len);
    free(scratch);
    if (e != ERR_OK)
        org_file_wipe(ret);
    return e;
}

enum err org_file_decode(const char *json, size_t len, struct org_file *ret)
{
    *ret = (struct org_file){.json = malloc(len + 1), .len = len};
    if (ret->json == NULL)
        return ERR_NOMEM;
    memcpy(ret->json, json, len);
    ret->json[len] = '\0';
    return decode_all(ret);
}

enum err org_file_load(const char *path, struct org_file *ret)
{
    *ret = (struct org_file){.json = NULL};
    TRY(file_read(path, ORG_MAX, &ret->json, &ret->len));
    return decode_all(ret);
}

enum err org_file_pub(const char *path, struct cr_p256_pub *ret)
{
    uint8_t *pem = NULL;
    size_t len;
    TRY(file_read(path, PEM_MAX, &pem, &len));
    enum err e = cr_p256_pub_from_pem((const char *)pem, len, ret);
    free(pem);
    return e;
}
