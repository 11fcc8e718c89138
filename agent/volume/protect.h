#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Protect a volume: a new recovery password in a keyslot of its own, its envelope durable in the volume's
 * header before that (invariant 1). The order of the steps is a table, because the order is the promise:
 * the crash test also runs a table in a wrong order and must catch it. */

#include "agent/state/agent.h"
#include "agent/volume/header.h"
#include "agent/volume/unlock.h"
#include "crypto/err.h"
#include "crypto/secret.h"

/* One run; the steps hand their results on in it. */
struct protect_run {
    struct agent *agent;
    struct header *header;
    struct problem *why;
    const struct unlock *unlock; /* what opens the volume now; borrowed */
    int opened;                  /* the keyslot that it opened, HEADER_ANY_SLOT none */
    struct secret volume_key;
    struct secret password; /* the 16 bytes that are sealed and from which the passphrase is made */
    struct luks2_token
        token; /* as it is, or will be, in the header; cause and replaces filled by the caller */
    int token_number;
    uint8_t commitment[32];
    uint64_t time;
    bool begun; /* the header was changed */
    bool live;  /* from here on the volume is protected, whatever fails */
};

struct protect_step {
    const char *name;
    enum err (*run)(struct protect_run *r); /* NULL ends the table */
};

/* The steps in their right order (agent/volume/protect_table.c). */
extern const struct protect_step protect_steps[];

/* Each step re-reads the header where it depends on it. */
MUST_CHECK enum err protect_check(struct protect_run *r);     /* org, room, free slot, passphrase */
MUST_CHECK enum err protect_generate(struct protect_run *r);  /* password, key ID, count */
MUST_CHECK enum err protect_seal(struct protect_run *r);      /* to every escrow key of org.json */
MUST_CHECK enum err protect_cache(struct protect_run *r);     /* envelope and plan, durable */
MUST_CHECK enum err protect_token(struct protect_run *r);     /* pending token, no keyslot */
MUST_CHECK enum err protect_keyslot(struct protect_run *r);   /* the keyslot */
MUST_CHECK enum err protect_trial(struct protect_run *r);     /* opens with what was sealed? */
MUST_CHECK enum err protect_assign(struct protect_run *r);    /* token live, with fingerprint */
MUST_CHECK enum err protect_read_back(struct protect_run *r); /* is all that on the disk? */
MUST_CHECK enum err protect_enroll(struct protect_run *r);    /* cache, escrow record in the outbox */

struct protect_result {
    struct guid volume, key_id;
    int slot;
    bool queued; /* the escrow record is in the outbox; else what was done cannot be recorded now (the device
                    key in the TPM cannot sign, the disk is full), and is at the keeper's next look */
};

/* Why a new password is made. */
struct protect_order {
    const struct unlock *unlock; /* borrowed */
    uint8_t cause;               /* enum kh_cause */
    bool has_spent;
    struct guid spent; /* the key whose password was used or shown */
};

/* Run the table on an open volume; undo what was begun when a step fails.
 * ret_volume_key: of the volume, for what else is to be done
 * why:  on failure, what went wrong and whether anything was changed
 * err:  AUTH (passphrase), FULL (header or disk), NOT_FOUND (no organisation), CONFLICT, BUSY, IO, ... */
MUST_CHECK enum err protect_volume(struct agent *a, struct header *h, const struct protect_order *order,
                                   struct secret *ret_volume_key, struct protect_result *ret);
