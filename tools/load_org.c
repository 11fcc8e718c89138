/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/host/file.h"
#include "tools/load.h"
#include <netdb.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum err read_org(const char *dir, struct org *ret)
{
    char path[4096];
    uint8_t *json = NULL;
    size_t len = 0;
    snprintf(path, sizeof path, "%s/org.json", dir);
    TRY(file_read(path, ORG_MAX, &json, &len));
    void *scratch = malloc(16 * len + 1024);
    enum err e =
        scratch == NULL ? ERR_NOMEM : org_decode((const char *)json, len, scratch, 16 * len + 1024, ret);
    free(scratch);
    free(json);
    return e;
}

static enum err read_token(const char *dir, char ret[static LOAD_TOKEN_MAX])
{
    char path[4096];
    uint8_t *text = NULL;
    size_t len = 0;
    snprintf(path, sizeof path, "%s/token", dir);
    TRY(file_read(path, LOAD_TOKEN_MAX - 1, &text, &len));
    snprintf(ret, LOAD_TOKEN_MAX, "%.*s", (int)strcspn((const char *)text, "\r\n "), (const char *)text);
    free(text);
    return ERR_OK;
}

static enum err read_ca(const char *pem, X509 **ret)
{
    BIO *b = BIO_new_mem_buf(pem, -1);
    X509 *x = b == NULL ? NULL : PEM_read_bio_X509(b, NULL, NULL, NULL);
    BIO_free(b);
    if (x == NULL)
        return ERR_FORMAT;
    *ret = x;
    return ERR_OK;
}

enum err load_org_read(const char *dir, struct load_org *ret)
{
    TRY(read_org(dir, &ret->org));
    TRY(read_token(dir, ret->token));
    TRY(read_ca(ret->org.ca, &ret->ca));
    if (ret->org.n_receipt == 0)
        return ERR_FORMAT;
    TRY(org_receipt_key(&ret->org, 0, &ret->receipt));
    for (unsigned i = 0; i < ret->org.n_escrow; i++)
        TRY(cr_p256_from_spki(ret->org.escrow[i].spki, CR_P256_SPKI, &ret->to[i]));
    return ERR_OK;
}

void load_org_wipe(struct load_org *o)
{
    X509_free(o->ca);
}

enum err load_address(const char *text, struct load_plan *ret)
{
    char host[128];
    struct addrinfo *info = NULL;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    const char *colon = strrchr(text, ':');
    if (colon == NULL || (size_t)(colon - text) >= sizeof host)
        return ERR_FORMAT;
    snprintf(host, sizeof host, "%.*s", (int)(colon - text), text);
    if (getaddrinfo(host, colon + 1, &hints, &info) != 0)
        return ERR_FORMAT;
    memcpy(&ret->to, info->ai_addr, info->ai_addrlen);
    ret->to_len = info->ai_addrlen;
    freeaddrinfo(info);
    return ERR_OK;
}
