#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Joining an organisation: its files first, which is all that protecting a volume needs; then, whenever a
 * server can be reached, the courier's certificate in exchange for the token. */

#include "agent/msg.h"
#include "agent/state/agent.h"
#include "agent/state/org_store.h"
#include "crypto/err.h"
#include <stdbool.h>

#define ENROLLMENT_TOKEN_MAX 4096
#define ENROLLMENT_SINCE     "enrolled" /* in the cache: when a server accepted this identity */

/* Verify the bundle, keep it, keep the token (0600) until it was used.
 * ret_pin: SHA-256 of root.pub, to be shown
 * err: as org_store_install(); RANGE (token too long) */
MUST_CHECK enum err enrollment_begin(struct agent *a, const struct org_files *files, struct msg_span token,
                                     uint8_t ret_pin[static 32], struct problem *why);
/* Has a server accepted this device? */
bool enrollment_done(struct agent *a);
/* Is there an organisation and a token, and no answer of a server yet? */
bool enrollment_waits(struct agent *a);

/* What goes to the server: the device key's signature over token, CSR and time (docs/formats.md#enrolment).
 * The message borrows from *buf and from csr. */
struct enrollment_request {
    uint8_t token[ENROLLMENT_TOKEN_MAX];
    size_t token_len;
    uint8_t signature[64];
};
MUST_CHECK enum err enrollment_request(struct agent *a, struct msg_span csr, struct enrollment_request *buf,
                                       struct msg *ret);
void enrollment_request_wipe(struct enrollment_request *buf);

/* The courier's key, as its certificate request showed it: what a certificate that comes must be for. */
MUST_CHECK enum err enrollment_keep_key(struct agent *a, const uint8_t key[static 32]);
/* A certificate of the organisation's CA for this device and the courier's key? err: AUTH, CONFLICT, FORMAT
 */
MUST_CHECK enum err enrollment_certificate_check(struct agent *a, struct msg_span pem);
/* In the cache: one that verified and that the courier does not have yet. */
#define ENROLLMENT_CERTIFICATE "courier_certificate"
#define ENROLLMENT_PEM_MAX     8192

/* A server accepted: remember it and delete the token. */
MUST_CHECK enum err enrollment_finish(struct agent *a);
