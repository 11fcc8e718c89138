/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/tpm/device_key.h"
#include "crypto/host/file.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_MAX 2048
#define TRIAL    "keyholt device key trial v1"

static enum err describe(struct device_key *k)
{
    TRY(cr_p256_to_spki(&k->pub, k->spki));
    return cr_p256_id(&k->pub, k->id);
}

static enum err decode(const uint8_t *p, size_t len, struct device_key *k)
{
    if (tpm_blob_is(p, len)) {
        TRY(tpm_blob_decode(p, len, &k->blob));
        if (k->blob.kind != TPM_BLOB_KEY)
            return ERR_FORMAT;
        k->place = DEVICE_KEY_TPM;
        k->pub = k->blob.key;
    } else {
        k->place = DEVICE_KEY_FILE;
        TRY(cr_p256_from_pem((const char *)p, len, NULL, &k->key));
        TRY(cr_p256_public(k->key, &k->pub));
    }
    return describe(k);
}

static enum err from_file(const char *path, struct device_key *k)
{
    uint8_t *p;
    size_t len;
    struct stat s;
    TRY(file_read(path, FILE_MAX, &p, &len));
    enum err e = ERR_DENIED; /* a key that others could read is no identity */
    if (stat(path, &s) == 0 && (s.st_mode & 077) == 0)
        e = decode(p, len, k);
    cr_wipe(p, len);
    free(p);
    return e;
}

static enum err make_in_tpm(const char *path, struct device_key *k)
{
    uint8_t bytes[TPM_BLOB_MAX];
    size_t len;
    TRY(tpm_key_create(k->tpm, &k->blob));
    TRY(tpm_blob_encode(&k->blob, bytes, &len));
    k->place = DEVICE_KEY_TPM;
    k->pub = k->blob.key;
    TRY(describe(k));
    return file_write(path, bytes, len, 0600);
}

static enum err make_in_file(const char *path, struct device_key *k)
{
    char pem[FILE_MAX];
    size_t len;
    k->place = DEVICE_KEY_FILE;
    TRY(cr_p256_generate(&k->key));
    TRY(cr_p256_public(k->key, &k->pub));
    TRY(describe(k));
    enum err e = cr_p256_to_pem(k->key, NULL, pem, sizeof pem, &len);
    if (e == ERR_OK)
        e = file_write(path, pem, len, 0600);
    cr_wipe(pem, sizeof pem);
    return e;
}

/* A disk that is full or broken is no reason to try the other place. */
static bool is_of_the_tpm(enum err e)
{
    return e != ERR_OK && e != ERR_FULL && e != ERR_NOMEM;
}

static enum err make(const char *path, struct device_key *k)
{
    enum err e = tpm_is_there(k->tpm) ? make_in_tpm(path, k) : ERR_NOT_FOUND;
    if (!is_of_the_tpm(e))
        return e;
    k->trouble = e == ERR_NOT_FOUND ? ERR_OK : e; /* "none" is no trouble */
    return make_in_file(path, k);
}

/* The trial tells a TPM that will not sign for this key any more from one that cannot now. */
static bool is_lost(struct device_key *k)
{
    uint8_t sig[CR_P256_SIG];
    if (k->place == DEVICE_KEY_TPM)
        k->trouble = device_key_sign(k, TRIAL, sizeof TRIAL, sig);
    return k->trouble == ERR_CONFLICT || k->trouble == ERR_FORMAT;
}

static enum err take(enum err e, struct device_key *k, struct device_key *ret)
{
    if (e == ERR_OK)
        *ret = *k;
    else
        device_key_close(k);
    return e;
}

enum err device_key_load(const char *path, struct tpm *tpm, struct device_key *ret)
{
    struct device_key k = {.tpm = tpm};
    enum err e = from_file(path, &k);
    if (e == ERR_NOT_FOUND || (e == ERR_OK && is_lost(&k))) {
        k = (struct device_key){.tpm = tpm, .is_new = e == ERR_OK};
        e = make(path, &k);
    }
    return take(e, &k, ret);
}

enum err device_key_renew(const char *path, enum device_key_place place, struct device_key *k)
{
    struct device_key fresh = {.tpm = k->tpm}, old = *k;
    enum err e = place == DEVICE_KEY_TPM ? make_in_tpm(path, &fresh) : make_in_file(path, &fresh);
    TRY(take(e, &fresh, k));
    device_key_close(&old);
    return ERR_OK;
}

void device_key_close(struct device_key *k)
{
    cr_p256_free(k->key);
    k->key = NULL;
}

enum err device_key_sign(const struct device_key *k, const void *msg, size_t len,
                         uint8_t ret_sig[static CR_P256_SIG])
{
    if (k->place == DEVICE_KEY_FILE)
        return cr_p256_sign(k->key, msg, len, ret_sig);
    enum err e = tpm_sign(k->tpm, &k->blob, msg, len, ret_sig);
    return e == ERR_NOT_FOUND ? ERR_OFFLINE : e; /* "not found" would mean the record, to who asks for one */
}
