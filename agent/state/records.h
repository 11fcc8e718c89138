#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Records: the device's signed statements, chained by incarnation and sequence, put into the outbox. */

#include "agent/state/agent.h"
#include "crypto/err.h"
#include "formats/record.h"

/* Sign one and queue it; while the key is in a TPM that does not sign, put it off: what the cache says of
 * volumes and keys must stay true meanwhile. Call it inside a transaction of the cache: sequence, chain and
 * record must become durable together with what the record tells of. r: kind and content filled by the
 * caller; the rest is filled here escrowed: the key whose envelope it carries, else NULL */
MUST_CHECK enum err records_add(struct agent *a, struct record *r, const struct guid *escrowed);

/* That a key was replaced: the record names the time of the latest order to do so, which says that this
 * computer has heard of all disclosures up to then; 0 where none came. Its own clock would say nothing that a
 * server can rely on. Inside a transaction, as above.
 * old: as the cache has it */
MUST_CHECK enum err records_add_rotated(struct agent *a, const struct cache_key *old,
                                        const struct guid *successor);

/* In the cache: present while a new identity has not announced itself, which comes before all else it says.
 */
#define RECORDS_NEWS "identity_news"
/* The same, now or not at all: for what must come before everything that was put off. err: of the TPM, too */
MUST_CHECK enum err records_sign(struct agent *a, struct record *r, const struct guid *escrowed);
/* Sign what was put off, in its order. Outside a transaction. err: of the TPM (the rest waits), FULL, IO */
MUST_CHECK enum err records_make_up(struct agent *a);

/* The server knows a later record of this incarnation than we do: the cache is an old copy. Start a new
 * incarnation, so that no sequence number is ever used twice. Inside a transaction of the caller's. */
MUST_CHECK enum err records_restart(struct agent *a);
/* Name of the last record of this incarnation. err: NOT_FOUND (it has none yet) */
MUST_CHECK enum err records_last(struct agent *a, uint8_t ret[static 32]);
/* ret_incarnation: 16 bytes */
MUST_CHECK enum err records_position(struct agent *a, uint8_t ret_incarnation[static 16],
                                     uint64_t *ret_sequence);
