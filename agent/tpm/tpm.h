#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The TPM 2.0, in the keeper only: a signing key that never leaves it, small secrets bound to it without any
 * PCR (DESIGN section 4), and how it is doing. Nothing is held while nobody works with it: no connection, no
 * memory, no handle. Wrapped objects lie in files and are loaded each time, so nothing wears out its NV
 * memory and no persistent handle collides with another program's.
 *
 * err of everything that speaks to it:
 *   NOT_FOUND  there is none, or it was switched off
 *   CONFLICT   it was cleared, or it is another one: what it wrapped before is lost for good
 *   BUSY       it asked for another try, more often than we tried
 *   DENIED     locked out after wrong authorisations, or switched off for its owner, or the device may not be
 *              opened
 *   AUTH       its owner set a password; or what it answered does not verify
 *   OFFLINE, IO  it does not answer, or stopped answering in the middle
 *   UNSUPPORTED  it has no P-256 */

#include "agent/tpm/tpm_blob.h"
#include "crypto/err.h"
#include "crypto/secret.h"
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#define TPM_SECRET_MIN 32 /* bytes of a secret that can be bound */
#define TPM_SECRET_MAX 64

struct tpm_state {
    char manufacturer[5];        /* four letters, "IFX" */
    char model[17];              /* vendor string */
    uint16_t firmware[4];        /* printed with dots */
    uint32_t lockout_count;      /* wrong authorisations now; ours never count */
    uint32_t lockout_max;        /* at so many it locks out */
    uint32_t lockout_interval_s; /* one is forgiven after so long; 0 never */
    bool locked_out;
};

/* The hardware edge: one connection and what is done over it. Whatever an operation loads, it also flushes,
 * on every path. Results are untouched on failure. */
struct tpm_ops {
    /* tcti: name and configuration for tpm2-tss, never NULL */
    enum err (*open)(const char *tcti, void **ret_connection);
    void (*close)(void *connection);
    /* Name of the storage key, which is made (from the owner's seed, so always the same) at first use. */
    enum err (*primary)(void *connection, uint8_t ret[static TPM_NAME]);
    /* Fill key, public and private. */
    enum err (*create_key)(void *connection, struct tpm_blob *ret);
    /* r and s, padded to 32 bytes each. The digest was computed in this process. */
    enum err (*sign)(void *connection, const struct tpm_blob *b, const uint8_t digest[static 32],
                     uint8_t ret[static CR_P256_SIG]);
    /* Fill public and private. */
    enum err (*seal)(void *connection, const struct secret *s, struct tpm_blob *ret);
    enum err (*unseal)(void *connection, const struct tpm_blob *b, struct secret *ret);
    enum err (*state)(void *connection, struct tpm_state *ret);
};

/* Where the operations come from: code that is needed for a moment a day need not lie in memory all day. */
struct tpm_edge {
    /* err: UNSUPPORTED (it is not installed) */
    enum err (*load)(const struct tpm_ops **ret);
    void (*unload)(void);
    void (*pause)(unsigned ms);
};

struct tpm {
    const struct tpm_edge *edge;
    const struct tpm_ops *ops; /* NULL outside a batch, like the next */
    char tcti[PATH_MAX + 16];
    void *connection;
    unsigned depth;
};

/* Choose the TPM; speaks to nobody.
 * tcti: "none"; "device:PATH"; another TCTI of tpm2-tss by name ("swtpm:path=…"), for tests. Never NULL: then
 *       tpm2-tss would try every library it finds
 * err: RANGE */
MUST_CHECK enum err tpm_init(struct tpm *t, const struct tpm_edge *edge, const char *tcti);
/* Does this computer seem to have one? Opens nothing. */
bool tpm_is_there(const struct tpm *t);

/* Several operations over one connection. May nest; each begin that succeeded needs its end. Optional:
 * operations outside a batch connect for themselves. */
MUST_CHECK enum err tpm_begin(struct tpm *t);
void tpm_end(struct tpm *t);

/* Make a P-256 signing key, and see that it signs.
 * cost: a real TPM takes about a second */
MUST_CHECK enum err tpm_key_create(struct tpm *t, struct tpm_blob *ret);
/* Sign a whole message; its digest is computed here, and the signature verified before it is given out.
 * ret_sig: raw r ‖ s */
MUST_CHECK enum err tpm_sign(struct tpm *t, const struct tpm_blob *key, const void *msg, size_t len,
                             uint8_t ret_sig[static CR_P256_SIG]);

/* Bind a secret to this TPM: 32 to 64 bytes, no policy, so no update of anything makes it unreadable. Travels
 * encrypted to and from the TPM. err: RANGE, too */
MUST_CHECK enum err tpm_seal(struct tpm *t, const struct secret *s, struct tpm_blob *ret);
MUST_CHECK enum err tpm_unseal(struct tpm *t, const struct tpm_blob *b, struct secret *ret);

/* Would it make and load objects for us? ERR_OK when it would. */
MUST_CHECK enum err tpm_probe(struct tpm *t);
/* Is it still the TPM that wrapped this? ERR_OK when it is. */
MUST_CHECK enum err tpm_check(struct tpm *t, const struct tpm_blob *b);
MUST_CHECK enum err tpm_state(struct tpm *t, struct tpm_state *ret);
