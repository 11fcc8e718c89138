/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/vault/escrow_key.h"
#include "crypto/host/file.h"
#include "crypto/pkcs11/p256_token.h"
#include "crypto/random.h"
#include "formats/base.h"
#include "formats/envelope.h"
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEY_FILE_MAX  4096
#define SUFFIX_KEY    ".key"
#define SUFFIX_TOKEN  ".p11"
#define SUFFIX_CANARY ".canary"

static enum err path_of(const char *dir, const char *stem, const char *suffix, char ret[static PATH_MAX])
{
    int n = snprintf(ret, PATH_MAX, "%s/%s%s", dir, stem, suffix);
    return n > 0 && n < PATH_MAX ? ERR_OK : ERR_RANGE;
}

static enum err load_pem(const char *dir, struct escrow_key *k, const struct secret *passphrase)
{
    char path[PATH_MAX];
    uint8_t *pem = NULL;
    size_t len;
    TRY(path_of(dir, k->stem, SUFFIX_KEY, path));
    TRY(file_read(path, KEY_FILE_MAX, &pem, &len));
    enum err e = cr_p256_from_pem((const char *)pem, len, passphrase->len > 0 ? passphrase : NULL, &k->key);
    cr_wipe(pem, len);
    free(pem);
    return e;
}

static enum err load_token(const char *dir, struct escrow_key *k, const struct secret *pin)
{
    char path[PATH_MAX];
    uint8_t *uri = NULL;
    size_t len;
    TRY(path_of(dir, k->stem, SUFFIX_TOKEN, path));
    TRY(file_read(path, CR_TOKEN_URI, &uri, &len));
    uri[strcspn((const char *)uri, "\r\n")] = '\0';
    enum err e = cr_p256_token_open((const char *)uri, pin, &k->key);
    free(uri);
    return e;
}

static enum err load(const char *dir, struct escrow_key *k, const struct secret *passphrase)
{
    struct cr_p256_pub pub;
    enum err e = load_pem(dir, k, passphrase);
    if (e == ERR_NOT_FOUND)
        e = load_token(dir, k, passphrase);
    TRY(e);
    TRY(cr_p256_public(k->key, &pub));
    return cr_p256_id(&pub, k->id);
}

static enum err open_canary(const struct escrow_key *k, const uint8_t *sealed, size_t len,
                            const struct guid *org)
{
    SECRET(password);
    return envelope_open(sealed, len, org, k->key, &password);
}

/* The canary names its key, also when the key itself is away. */
static enum err open_both(const char *dir, struct escrow_key *k, const struct guid *org,
                          const struct secret *passphrase)
{
    char path[PATH_MAX];
    uint8_t *sealed = NULL;
    size_t len = 0;
    struct envelope envelope;
    TRY(path_of(dir, k->stem, SUFFIX_CANARY, path));
    enum err read = file_read(path, ENVELOPE_MAX, &sealed, &len);
    if (read == ERR_OK && envelope_decode(sealed, len, &envelope) == ERR_OK)
        memcpy(k->id, envelope.recipient[0], sizeof k->id);
    enum err e = load(dir, k, passphrase);
    if (e == ERR_OK)
        e = read == ERR_OK ? open_canary(k, sealed, len, org) : read;
    free(sealed);
    return e;
}

void escrow_key_open(const char *dir, const char *stem, const struct guid *org,
                     const struct secret *passphrase, struct escrow_key *ret)
{
    *ret = (struct escrow_key){.state = ERR_OK};
    snprintf(ret->stem, sizeof ret->stem, "%s", stem);
    ret->state = open_both(dir, ret, org, passphrase);
    if (ret->state != ERR_OK)
        escrow_key_close(ret);
}

void escrow_key_close(struct escrow_key *k)
{
    cr_p256_free(k->key);
    k->key = NULL;
}

/* err: NOT_FOUND (no file of ours) */
static enum err stem_of(const char *name, char ret[static ESCROW_STEM + 1])
{
    static const char *const suffixes[] = {SUFFIX_KEY, SUFFIX_TOKEN, SUFFIX_CANARY};
    size_t len = strlen(name);
    for (unsigned i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        size_t suffix = strlen(suffixes[i]);
        if (len <= suffix || len - suffix > ESCROW_STEM || strcmp(name + len - suffix, suffixes[i]) != 0)
            continue;
        memcpy(ret, name, len - suffix);
        ret[len - suffix] = '\0';
        return ERR_OK;
    }
    return ERR_NOT_FOUND;
}

static enum err add_stem(const char *stem, char (*all)[ESCROW_STEM + 1], unsigned *n)
{
    for (unsigned i = 0; i < *n; i++)
        if (strcmp(all[i], stem) == 0)
            return ERR_OK;
    if (*n == ESCROW_KEYS)
        return ERR_RANGE;
    memcpy(all[(*n)++], stem, strlen(stem) + 1);
    return ERR_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

enum err escrow_key_list(const char *dir, char (*ret)[ESCROW_STEM + 1], unsigned *ret_n)
{
    enum err e = ERR_OK;
    char stem[ESCROW_STEM + 1];
    unsigned n = 0;
    DIR *d = opendir(dir);
    if (d == NULL)
        return ERR_IO;
    for (const struct dirent *item; e == ERR_OK && (item = readdir(d)) != NULL;)
        if (stem_of(item->d_name, stem) == ERR_OK)
            e = add_stem(stem, ret, &n);
    closedir(d);
    TRY(e);
    qsort(ret, n, sizeof ret[0], by_name);
    *ret_n = n;
    return ERR_OK;
}

static enum err put_file(const char *path, const void *p, size_t len, uid_t uid)
{
    if (access(path, F_OK) == 0)
        return ERR_CONFLICT;
    TRY(file_write(path, p, len, 0600));
    if (uid == geteuid() || chown(path, uid, uid) == 0)
        return ERR_OK;
    (void)unlink(path);
    return ERR_DENIED;
}

/* A random password, sealed to this key alone. */
static enum err seal_canary(const struct cr_p256_pub *pub, const struct guid *org, uint64_t now,
                            uint8_t ret[static ENVELOPE_MAX], size_t *ret_len)
{
    uint8_t password[RP_BYTES], random[16];
    struct envelope e = {.kind = ENVELOPE_RECOVERY_PASSWORD, .time = now};
    TRY(cr_random(password, sizeof password));
    TRY(cr_random(random, sizeof random));
    guid_from_random(random, &e.key_id);
    enum err err = envelope_seal(&e, org, pub, 1, password, ret, ret_len);
    cr_wipe(password, sizeof password);
    return err;
}

static enum err put_pem(const char *path, const struct cr_p256_key *key, const struct secret *passphrase,
                        uid_t uid)
{
    char pem[KEY_FILE_MAX];
    size_t len;
    enum err e = cr_p256_to_pem(key, passphrase->len > 0 ? passphrase : NULL, pem, sizeof pem, &len);
    if (e == ERR_OK)
        e = put_file(path, pem, len, uid);
    cr_wipe(pem, sizeof pem);
    return e;
}

/* What both kinds of keys have: a name and a canary. */
struct place {
    char key[PATH_MAX], canary[PATH_MAX];
    uint8_t sealed[ENVELOPE_MAX];
    size_t len;
};

static enum err prepare(const char *dir, const char *suffix, const struct cr_p256_key *key,
                        const struct guid *org, uint64_t now, struct place *ret)
{
    char hex[BASE16_LEN(32) + 1];
    uint8_t id[32];
    struct cr_p256_pub pub;
    TRY(cr_p256_public(key, &pub));
    TRY(cr_p256_id(&pub, id));
    base16_encode(id, sizeof id, hex);
    hex[16] = '\0';
    TRY(seal_canary(&pub, org, now, ret->sealed, &ret->len));
    TRY(path_of(dir, hex, SUFFIX_CANARY, ret->canary));
    return path_of(dir, hex, suffix, ret->key);
}

/* A key without its canary would be an alarm for ever. One that stayed when its key was lost is as good. */
static enum err put_canary(const struct place *p, uid_t uid)
{
    enum err e = put_file(p->canary, p->sealed, p->len, uid);
    if (e == ERR_CONFLICT)
        return ERR_OK;
    if (e != ERR_OK)
        (void)unlink(p->key);
    return e;
}

enum err escrow_key_put_token(const char *dir, const char *uri, const struct cr_p256_key *key,
                              const struct guid *org, uint64_t now, uid_t uid)
{
    struct place p;
    if (strlen(uri) >= CR_TOKEN_URI)
        return ERR_RANGE;
    TRY(prepare(dir, SUFFIX_TOKEN, key, org, now, &p));
    TRY(put_file(p.key, uri, strlen(uri), uid));
    return put_canary(&p, uid);
}

enum err escrow_key_put(const char *dir, const struct cr_p256_key *key, const struct guid *org,
                        const struct secret *passphrase, uint64_t now, uid_t uid)
{
    struct place p;
    TRY(prepare(dir, SUFFIX_KEY, key, org, now, &p));
    TRY(put_pem(p.key, key, passphrase, uid));
    return put_canary(&p, uid);
}
