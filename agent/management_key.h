#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The keys of management keyslots, one file each below /var/lib/keyholt/agent/management: bound to the TPM
 * where there is one, else readable by root alone; in both cases only on an encrypted root (DESIGN section
 * 4). source: docs/formats.md#management-key-file */

#include "agent/agent.h"
#include "crypto/err.h"
#include "crypto/secret.h"
#include "formats/guid.h"

#define MANAGEMENT_KEY 32 /* bytes */

/* Keep a key, durable when this returns.
 * ret_bound: it is bound to the TPM
 * err: UNSUPPORTED (the root is not encrypted: nothing was written), FULL, IO, DENIED */
MUST_CHECK enum err management_key_save(struct agent *a, const struct guid *id, const struct guid *volume,
                                        const struct secret *key, bool *ret_bound);
/* err: NOT_FOUND (no such file), FORMAT, and what tpm_unseal() says: CONFLICT (the TPM was cleared or is
 * another one: the key is lost for good), DENIED, BUSY, ... */
MUST_CHECK enum err management_key_load(struct agent *a, const struct guid *id, struct secret *ret_key,
                                        bool *ret_bound);
bool management_key_exists(struct agent *a, const struct guid *id);
/* Delete every key of this volume but these. What cannot be deleted stays. */
void management_key_forget(struct agent *a, const struct guid *volume, const struct guid *keep,
                           unsigned n_keep);
