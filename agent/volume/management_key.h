#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The keys of management keyslots, one file each below /var/lib/keyholt/agent/management: bound to the TPM
 * where there is one, else readable by root alone; in both cases only on an encrypted root (DESIGN section
 * 4). source: docs/formats.md#management-key-file */

#include "agent/state/agent.h"
#include "crypto/err.h"
#include "crypto/secret.h"
#include "formats/guid.h"

#define MANAGEMENT_KEY 32 /* bytes */

/* Keep a key, durable when this returns. Where the device key is in the TPM, so is this one, or it is not
 * kept: a TPM that is only away makes no file.
 * ret_bound: it is bound to the TPM
 * err: UNSUPPORTED (the root is not encrypted: nothing was written), OFFLINE (it would have to be in the TPM,
 *      which does not take it now), FULL, IO, DENIED */
MUST_CHECK enum err management_key_save(struct agent *a, const struct guid *id, const struct guid *volume,
                                        const struct secret *key, bool *ret_bound);
/* err: NOT_FOUND (no such file), FORMAT, DENIED (others may read it); CONFLICT (the TPM was cleared or is
 * another one: the key is lost for good); OFFLINE (the TPM cannot be asked now, for whatever reason: it may
 * be back at any time); NOMEM */
MUST_CHECK enum err management_key_load(struct agent *a, const struct guid *id, struct secret *ret_key,
                                        bool *ret_bound);
/* The keys of this volume. ret: max elements. Returns how many */
unsigned management_key_list(struct agent *a, const struct guid *volume, struct guid *ret, unsigned max);
bool management_key_exists(struct agent *a, const struct guid *id);
/* Delete every key of this volume but these. What cannot be deleted stays. */
void management_key_forget(struct agent *a, const struct guid *volume, const struct guid *keep,
                           unsigned n_keep);
/* A person enrols this computer anew while its TPM does not answer, and its device key is a file: nobody
 * waits for that TPM any more, so the keys that are bound to it go. Does nothing else. */
void management_key_give_up(struct agent *a);
