/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/host/file.h"
#include "escrow-server/slog.h"
#include "escrow-server/vault.h"
#include "formats/envelope.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_FILE_MAX 4096
#define NAME_LEN     64

static enum err load_key(const char *path, const struct secret *passphrase, struct vault_key *ret)
{
    uint8_t *pem = NULL;
    size_t len;
    struct cr_p256_pub pub;
    TRY(file_read(path, KEY_FILE_MAX, &pem, &len));
    enum err e = cr_p256_from_pem((const char *)pem, len, passphrase->len > 0 ? passphrase : NULL, &ret->key);
    cr_wipe(pem, len);
    free(pem);
    TRY(e);
    TRY(cr_p256_public(ret->key, &pub));
    return cr_p256_id(&pub, ret->id);
}

static enum err open_canary(const struct vault *v, const char *path, const struct cr_p256_key *key)
{
    uint8_t *sealed = NULL;
    size_t len;
    SECRET(password);
    TRY(file_read(path, ENVELOPE_MAX, &sealed, &len));
    enum err e = envelope_open(sealed, len, &v->org, key, &password);
    free(sealed);
    return e;
}

static enum err take_key(struct vault *v, const char *stem, const struct secret *passphrase)
{
    char path[NAME_LEN + 32];
    if (v->n_keys == VAULT_KEYS)
        return ERR_RANGE;
    struct vault_key *k = &v->key[v->n_keys];
    snprintf(path, sizeof path, NAME_ESCROW_KEYS "/%s.key", stem);
    enum err e = load_key(path, passphrase, k);
    if (e == ERR_OK) {
        v->n_keys++;
        snprintf(path, sizeof path, NAME_ESCROW_KEYS "/%s.canary", stem);
        e = open_canary(v, path, k->key);
    }
    slog(e == ERR_OK ? SLOG_INFO : SLOG_ERROR, "canary", "file=%s result=\"%s\"", path, err_text(e));
    return e;
}

enum err vault_keys_open(struct vault *v, const struct secret *passphrase)
{
    DIR *dir = opendir(NAME_ESCROW_KEYS);
    enum err e = ERR_OK;
    if (dir == NULL) {
        slog(SLOG_ERROR, "canary", "folder=" NAME_ESCROW_KEYS " result=\"cannot be read\"");
        return ERR_IO;
    }
    for (const struct dirent *d; e == ERR_OK && (d = readdir(dir)) != NULL;) {
        char stem[NAME_LEN];
        size_t len = strlen(d->d_name);
        if (len < 5 || len >= sizeof stem || strcmp(d->d_name + len - 4, ".key") != 0)
            continue;
        memcpy(stem, d->d_name, len - 4);
        stem[len - 4] = '\0';
        e = take_key(v, stem, passphrase);
    }
    closedir(dir);
    return e == ERR_OK && v->n_keys == 0 ? ERR_NOT_FOUND : e;
}

enum err vault_key_for(const struct vault *v, const struct msg_blob *envelope, const struct vault_key **ret)
{
    struct envelope e;
    TRY(envelope_decode(envelope->p, envelope->len, &e));
    for (unsigned i = 0; i < e.n_recipients; i++)
        for (unsigned j = 0; j < v->n_keys; j++)
            if (memcmp(e.recipient[i], v->key[j].id, 32) == 0) {
                *ret = &v->key[j];
                return ERR_OK;
            }
    return ERR_NOT_FOUND;
}
