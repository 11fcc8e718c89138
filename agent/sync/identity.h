#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The computer's identity over time. Another device key than the one that the cache was written under means:
 * the TPM was cleared or replaced, this is a clone in other hardware, or a person enrolled it anew. Then a
 * new chain of records begins, every envelope is escrowed again in the new name, and the computer must be
 * enrolled again. Records of the earlier identity stay as they are, and are sent in its name for as long as
 * the courier holds its certificate. */

#include "agent/state/agent.h"
#include "crypto/err.h"

/* Load the device key, or make one, and bring the cache in line with it. After the sockets are there: a TPM
 * may take a second.
 * why: filled on failure */
MUST_CHECK enum err identity_open(struct agent *a, struct problem *why);
/* Bring the cache in line with the device key, before any record is made. Signs nothing.
 * err: FULL, IO (of the cache) */
MUST_CHECK enum err identity_adopt(struct agent *a, enum record_identity why);
/* Sign what a new identity has to say: the event, and every envelope again; then what was put off while the
 * key could not sign (records.h). Does nothing when all is said; with a TPM that is away it is done at the
 * next start or status. err: of the TPM, FULL, IO */
MUST_CHECK enum err identity_announce(struct agent *a);
/* A person enrols this computer anew: a TPM that is there takes the identity over from the file, and one that
 * is gone or broken gives way to a file. It is announced, too. err: of the TPM, FULL, IO */
MUST_CHECK enum err identity_for_enrollment(struct agent *a);

/* The identity before this one whose records the courier may still send: until the new one is enrolled.
 * err: NOT_FOUND */
MUST_CHECK enum err identity_former(struct agent *a, uint8_t ret_device[static 32]);
/* Was there another identity, and no server has accepted this one yet? ret_why: borrowed sentence, NULL: no
 */
const char *identity_trouble(struct agent *a);
/* A server accepted this one; the earlier one's certificate is gone with that. */
MUST_CHECK enum err identity_enrolled(struct agent *a);
