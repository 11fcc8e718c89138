/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/device_key.h"
#include "crypto/host/file.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PEM_MAX 2048

static enum err from_file(const char *path, struct cr_p256_key **ret)
{
    uint8_t *pem;
    size_t len;
    struct stat s;
    TRY(file_read(path, PEM_MAX, &pem, &len));
    enum err e = ERR_DENIED; /* a key that others could read is no identity */
    if (stat(path, &s) == 0 && (s.st_mode & 077) == 0)
        e = cr_p256_from_pem((const char *)pem, len, NULL, ret);
    cr_wipe(pem, len);
    free(pem);
    return e;
}

static enum err make(const char *path, struct cr_p256_key **ret)
{
    char pem[PEM_MAX];
    size_t len;
    struct cr_p256_key *key;
    TRY(cr_p256_generate(&key));
    enum err e = cr_p256_to_pem(key, NULL, pem, sizeof pem, &len);
    if (e == ERR_OK)
        e = file_write(path, pem, len, 0600);
    cr_wipe(pem, sizeof pem);
    if (e != ERR_OK) {
        cr_p256_free(key);
        return e;
    }
    *ret = key;
    return ERR_OK;
}

static enum err describe(struct cr_p256_key *key, struct device_key *ret)
{
    struct cr_p256_pub pub;
    struct device_key k = {.key = key};
    TRY(cr_p256_public(key, &pub));
    TRY(cr_p256_to_spki(&pub, k.spki));
    TRY(cr_p256_id(&pub, k.id));
    *ret = k;
    return ERR_OK;
}

enum err device_key_load(const char *path, struct device_key *ret)
{
    struct cr_p256_key *key;
    enum err e = from_file(path, &key);
    if (e == ERR_NOT_FOUND)
        e = make(path, &key);
    if (e != ERR_OK)
        return e;
    e = describe(key, ret);
    if (e != ERR_OK)
        cr_p256_free(key);
    return e;
}

void device_key_close(struct device_key *k)
{
    cr_p256_free(k->key);
    k->key = NULL;
}
