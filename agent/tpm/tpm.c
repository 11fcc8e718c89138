/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/tpm/tpm.h"
#include "crypto/hash.h"
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define NONE     "none"
#define DEVICE   "device:"
#define TRIES    5  /* tpm2-tss tries a few times, too, but without waiting */
#define PAUSE_MS 20 /* before the second try; doubled each time: 0.3 s in all */

enum err tpm_init(struct tpm *t, const struct tpm_edge *edge, const char *tcti)
{
    memset(t, 0, sizeof *t);
    t->edge = edge;
    int n = snprintf(t->tcti, sizeof t->tcti, "%s", tcti);
    return n > 0 && (size_t)n < sizeof t->tcti ? ERR_OK : ERR_RANGE;
}

bool tpm_is_there(const struct tpm *t)
{
    struct stat s;
    if (strncmp(t->tcti, DEVICE, strlen(DEVICE)) == 0)
        return stat(t->tcti + strlen(DEVICE), &s) == 0 && S_ISCHR(s.st_mode);
    return strcmp(t->tcti, NONE) != 0;
}

static enum err call(struct tpm *t)
{
    if (!tpm_is_there(t))
        return ERR_NOT_FOUND;
    TRY(t->edge->load(&t->ops));
    enum err e = t->ops->open(t->tcti, &t->connection);
    if (e != ERR_OK) {
        t->edge->unload();
        t->ops = NULL;
    }
    return e;
}

static void hang_up(struct tpm *t)
{
    if (!t->ops)
        return;
    t->ops->close(t->connection);
    t->edge->unload();
    t->connection = NULL;
    t->ops = NULL;
}

enum err tpm_begin(struct tpm *t)
{
    if (!t->ops)
        TRY(call(t));
    t->depth++;
    return ERR_OK;
}

void tpm_end(struct tpm *t)
{
    if (--t->depth == 0)
        hang_up(t);
}

/* One operation: what it works on, whichever it needs. */
struct job {
    enum err (*work)(struct tpm *t, const struct job *j);
    const struct tpm_blob *blob;
    struct tpm_blob *ret_blob;
    const uint8_t *digest;
    uint8_t *ret_sig;
    const struct secret *secret;
    struct secret *ret_secret;
    struct tpm_state *ret_state;
};

static enum err once(struct tpm *t, const struct job *j)
{
    TRY(tpm_begin(t));
    enum err e = j->work(t, j);
    if (e == ERR_IO || e == ERR_OFFLINE) /* the rest of a batch gets a new connection */
        hang_up(t);
    tpm_end(t);
    return e;
}

static enum err run(struct tpm *t, const struct job *j)
{
    enum err e = once(t, j);
    for (unsigned i = 1; e == ERR_BUSY && i < TRIES; i++) {
        t->edge->pause(PAUSE_MS << (i - 1));
        e = once(t, j);
    }
    return e;
}

/* The storage key is derived from the owner's seed, which a clear replaces. Looked at before anything is
 * loaded or unsealed: who sits between us and the TPM cannot put a storage key of his own in its place. */
static enum err same_tpm(struct tpm *t, const struct tpm_blob *b)
{
    uint8_t name[TPM_NAME];
    TRY(t->ops->primary(t->connection, name));
    return memcmp(name, b->primary, sizeof name) == 0 ? ERR_OK : ERR_CONFLICT;
}

static enum err do_sign(struct tpm *t, const struct job *j)
{
    TRY(same_tpm(t, j->blob));
    return t->ops->sign(t->connection, j->blob, j->digest, j->ret_sig);
}

enum err tpm_sign(struct tpm *t, const struct tpm_blob *key, const void *msg, size_t len,
                  uint8_t ret_sig[static CR_P256_SIG])
{
    uint8_t digest[CR_SHA256_SIZE], sig[CR_P256_SIG];
    const struct job j = {.work = do_sign, .blob = key, .digest = digest, .ret_sig = sig};
    if (key->kind != TPM_BLOB_KEY)
        return ERR_FORMAT;
    TRY(cr_sha256(msg, len, digest));
    TRY(run(t, &j));
    TRY(cr_p256_verify(&key->key, msg, len, sig));
    memcpy(ret_sig, sig, sizeof sig);
    return ERR_OK;
}

static enum err do_create(struct tpm *t, const struct job *j)
{
    struct tpm_blob b = {.kind = TPM_BLOB_KEY};
    TRY(t->ops->primary(t->connection, b.primary));
    TRY(t->ops->create_key(t->connection, &b));
    TRY(cr_p256_check(&b.key));
    *j->ret_blob = b;
    return ERR_OK;
}

static enum err create_and_try(struct tpm *t, struct tpm_blob *ret)
{
    uint8_t sig[CR_P256_SIG];
    const struct job j = {.work = do_create, .ret_blob = ret};
    TRY(run(t, &j));
    return tpm_sign(t, ret, ret->primary, sizeof ret->primary, sig);
}

enum err tpm_key_create(struct tpm *t, struct tpm_blob *ret)
{
    struct tpm_blob b;
    TRY(tpm_begin(t)); /* the storage key is made once */
    enum err e = create_and_try(t, &b);
    tpm_end(t);
    if (e == ERR_OK)
        *ret = b;
    return e;
}

static enum err do_seal(struct tpm *t, const struct job *j)
{
    struct tpm_blob b = {.kind = TPM_BLOB_SEALED};
    TRY(t->ops->primary(t->connection, b.primary));
    TRY(t->ops->seal(t->connection, j->secret, &b));
    *j->ret_blob = b;
    return ERR_OK;
}

enum err tpm_seal(struct tpm *t, const struct secret *s, struct tpm_blob *ret)
{
    const struct job j = {.work = do_seal, .secret = s, .ret_blob = ret};
    if (s->len < TPM_SECRET_MIN || s->len > TPM_SECRET_MAX)
        return ERR_RANGE;
    return run(t, &j);
}

static enum err do_unseal(struct tpm *t, const struct job *j)
{
    TRY(same_tpm(t, j->blob));
    return t->ops->unseal(t->connection, j->blob, j->ret_secret);
}

enum err tpm_unseal(struct tpm *t, const struct tpm_blob *b, struct secret *ret)
{
    const struct job j = {.work = do_unseal, .blob = b, .ret_secret = ret};
    return b->kind == TPM_BLOB_SEALED ? run(t, &j) : ERR_FORMAT;
}

static enum err do_check(struct tpm *t, const struct job *j)
{
    return same_tpm(t, j->blob);
}

enum err tpm_check(struct tpm *t, const struct tpm_blob *b)
{
    return run(t, &(const struct job){.work = do_check, .blob = b});
}

static enum err do_probe(struct tpm *t, const struct job *j)
{
    uint8_t name[TPM_NAME];
    (void)j;
    return t->ops->primary(t->connection, name);
}

enum err tpm_probe(struct tpm *t)
{
    return run(t, &(const struct job){.work = do_probe});
}

static enum err do_state(struct tpm *t, const struct job *j)
{
    return t->ops->state(t->connection, j->ret_state);
}

enum err tpm_state(struct tpm *t, struct tpm_state *ret)
{
    return run(t, &(const struct job){.work = do_state, .ret_state = ret});
}
