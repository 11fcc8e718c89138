/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/fake_tpm.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <string.h>

struct fake_tpm fake_tpm;

void fake_tpm_reset(uint8_t seed)
{
    fake_tpm = (struct fake_tpm){.seed = seed};
}

static enum err answer(void)
{
    if (fake_tpm.operations++ < fake_tpm.fail_after || fake_tpm.fails == 0)
        return ERR_OK;
    fake_tpm.fails--;
    return fake_tpm.fail;
}

static enum err fake_open(const char *tcti, void **ret)
{
    if (strcmp(tcti, "fake") != 0)
        return ERR_INTERNAL;
    TRY(answer());
    fake_tpm.opened++;
    fake_tpm.open++;
    *ret = &fake_tpm;
    return ERR_OK;
}

static void fake_close(void *connection)
{
    struct fake_tpm *f = connection;
    f->open--;
}

static enum err fake_primary(void *connection, uint8_t ret[static TPM_NAME])
{
    (void)connection;
    TRY(answer());
    memset(ret, fake_tpm.seed, TPM_NAME);
    return ERR_OK;
}

/* private: seed, then the scalar */
static enum err key_of(const struct tpm_blob *b, struct cr_p256_key **ret)
{
    TRY(answer());
    if (b->private[0] != fake_tpm.seed)
        return ERR_CONFLICT;
    return cr_p256_from_scalar(b->private + 1, ret);
}

static enum err fake_create(void *connection, struct tpm_blob *ret)
{
    struct cr_p256_key *key;
    (void)connection;
    ret->private[0] = fake_tpm.seed;
    TRY(cr_random(ret->private + 1, 32));
    TRY(key_of(ret, &key));
    enum err e = cr_p256_public(key, &ret->key);
    cr_p256_free(key);
    ret->private_len = 33;
    ret->public_len = 1;
    return e;
}

/* A digest, as a TPM gets it, and not a message: by OpenSSL itself. */
static enum err sign_digest(const struct cr_p256_key *key, const uint8_t digest[static 32],
                            uint8_t ret[static CR_P256_SIG])
{
    uint8_t der[80];
    const uint8_t *p = der;
    size_t len = sizeof der;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(cr_p256_pkey(key), NULL);
    bool done =
        ctx && EVP_PKEY_sign_init(ctx) == 1 && EVP_PKEY_sign(ctx, der, &len, digest, CR_SHA256_SIZE) == 1;
    EVP_PKEY_CTX_free(ctx);
    ECDSA_SIG *sig = done ? d2i_ECDSA_SIG(NULL, &p, (long)len) : NULL;
    done = sig && BN_bn2binpad(ECDSA_SIG_get0_r(sig), ret, 32) == 32 &&
           BN_bn2binpad(ECDSA_SIG_get0_s(sig), ret + 32, 32) == 32;
    ECDSA_SIG_free(sig);
    return done ? ERR_OK : ERR_INTERNAL;
}

static enum err fake_sign(void *connection, const struct tpm_blob *b, const uint8_t digest[static 32],
                          uint8_t ret[static CR_P256_SIG])
{
    struct cr_p256_key *key;
    uint8_t d[CR_SHA256_SIZE];
    (void)connection;
    memcpy(d, digest, sizeof d);
    d[0] ^= fake_tpm.lies;
    TRY(key_of(b, &key));
    enum err e = sign_digest(key, d, ret);
    cr_p256_free(key);
    return e;
}

static enum err fake_seal(void *connection, const struct secret *s, struct tpm_blob *ret)
{
    (void)connection;
    TRY(answer());
    ret->private[0] = fake_tpm.seed;
    memcpy(ret->private + 1, s->bytes, s->len);
    ret->private_len = 1 + s->len;
    ret->public_len = 1;
    return ERR_OK;
}

static enum err fake_unseal(void *connection, const struct tpm_blob *b, struct secret *ret)
{
    (void)connection;
    TRY(answer());
    if (b->private[0] != fake_tpm.seed)
        return ERR_CONFLICT;
    ret->len = b->private_len - 1;
    memcpy(ret->bytes, b->private + 1, ret->len);
    return ERR_OK;
}

static enum err fake_state(void *connection, struct tpm_state *ret)
{
    (void)connection;
    TRY(answer());
    *ret = (struct tpm_state){.manufacturer = "FAKE", .lockout_max = 32};
    return ERR_OK;
}

static void fake_pause(unsigned ms)
{
    fake_tpm.paused_ms += ms;
}

static const struct tpm_ops fake_tpm_ops = {.open = fake_open,
                                            .close = fake_close,
                                            .primary = fake_primary,
                                            .create_key = fake_create,
                                            .sign = fake_sign,
                                            .seal = fake_seal,
                                            .unseal = fake_unseal,
                                            .state = fake_state};

static enum err fake_load(const struct tpm_ops **ret)
{
    fake_tpm.loaded++;
    *ret = &fake_tpm_ops;
    return ERR_OK;
}

static void fake_unload(void)
{
    fake_tpm.loaded--;
}

const struct tpm_edge fake_tpm_edge = {.load = fake_load, .unload = fake_unload, .pause = fake_pause};
