#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Certificates of the organisation's own CA: itself, the server's, the couriers'. All keys are P-256. */

#include "crypto/err.h"
#include "crypto/p256.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PKI_PEM_MAX      4096
#define PKI_HOSTS_MAX    8
#define PKI_HOST_MAX     128
#define PKI_CA_DAYS      (20 * 365)
#define PKI_SERVER_DAYS  (10 * 365)
#define PKI_COURIER_DAYS 365

struct x509_st;

/* Who signs: the CA's key, borrowed, and its certificate in PEM (NULL while making that itself). */
struct pki_ca {
    const struct cr_p256_key *key;
    const char *pem;
};

/* ret: to be freed by X509_free(). err: FORMAT, NOMEM */
MUST_CHECK enum err pki_load_cert(const char *pem, struct x509_st **ret);
/* Self-signed, CA:TRUE with path length 0. */
MUST_CHECK enum err pki_make_ca(const struct cr_p256_key *key, const char *name,
                                char ret[static PKI_PEM_MAX]);
/* hosts: DNS names or IP addresses for subjectAltName; key: the server's own */
MUST_CHECK enum err pki_make_server(const struct pki_ca *ca, const struct cr_p256_key *key,
                                    const char (*hosts)[PKI_HOST_MAX], unsigned n,
                                    char ret[static PKI_PEM_MAX]);
/* Checks the request's own signature and that its key is P-256; names inside the request are ignored.
 * device:     becomes the subject's common name, in hex
 * ret_key_id: SHA-256 of the SPKI that was certified
 * err: FORMAT (no such request), AUTH (its signature does not verify) */
MUST_CHECK enum err pki_make_courier(const struct pki_ca *ca, const char *csr, size_t len,
                                     const uint8_t device[static 32], char ret[static PKI_PEM_MAX],
                                     uint8_t ret_key_id[static 32]);
/* The key of a request whose own signature verifies. err: FORMAT, AUTH */
MUST_CHECK enum err pki_csr_spki(const char *csr, size_t len, uint8_t ret[static CR_P256_SPKI]);
/* The same for a key that was certified before. spki: DER. err: FORMAT (not P-256) */
MUST_CHECK enum err pki_renew_courier(const struct pki_ca *ca, const uint8_t *spki, size_t len,
                                      const uint8_t device[static 32], char ret[static PKI_PEM_MAX]);
/* Is less than a third of its life left, by the clock of this machine? It may have expired long ago.
 * ret_spki: its key, when ret_due
 * err: FORMAT */
MUST_CHECK enum err pki_courier_due(const struct x509_st *cert, bool *ret_due,
                                    uint8_t ret_spki[static CR_P256_SPKI]);
/* A courier's certificate that this CA signed, whatever its dates say. der: borrowed
 * ret_since: seconds since 1970 from which it is good
 * err: AUTH (not of this CA), FORMAT, NOMEM */
MUST_CHECK enum err pki_check_courier(const char *ca_pem, const uint8_t *der, size_t len,
                                      uint8_t ret_device[static 32], uint8_t ret_key_id[static 32],
                                      uint64_t *ret_since);
/* What a verified client certificate says. err: FORMAT (not a courier's certificate) */
MUST_CHECK enum err pki_read_courier(const struct x509_st *cert, uint8_t ret_device[static 32],
                                     uint8_t ret_key_id[static 32]);
