#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A keeper's agent for tests over the fake edges: a folder as its root with a signed organisation, a real
 * cache (SQLite), a fake TPM, and the one fake disk as its volume. What an escrow key opens is asked here,
 * too.
 */

#include "agent/state/agent.h"
#include "agent/volume/header.h"
#include "agent/volume/protect.h"
#include "formats/recovery_password.h"
#include "tests/unit/fake_disk.h"

extern struct agent fake_agent;     /* between start and stop */
extern struct problem fake_problem; /* the sentence of the last failure */

/* Once for a program: the folder and the organisation. Removed by fake_keeper_remove(). */
void fake_keeper_make(void);
void fake_keeper_remove(void);
/* As installed, never started: no cache, no device key, no management keys. */
void fake_keeper_forget(void);
/* The cache was deleted, and nothing else. */
void fake_keeper_forget_cache(void);
/* Keep the state folder, and put it back. */
void fake_keeper_save(void);
void fake_keeper_restore(void);
/* The process starts, and ends. The identity is in the TPM (with_tpm) or a file. */
void fake_keeper_start(bool with_tpm);
void fake_keeper_stop(void);
/* For setup and teardown: a new volume, a new installation on a computer with a TPM, started; and their end.
 */
void fake_keeper_begin(void);
void fake_keeper_end(void);
/* Is the root encrypted, so that management keys may lie there? Yes, unless told otherwise. */
extern bool fake_keeper_encrypted;

/* Open the volume and do what the keeper does. err: as of the function of that name */
MUST_CHECK enum err fake_protect(struct protect_result *ret);      /* with somebody's passphrase */
MUST_CHECK enum err fake_rotate_alone(struct protect_result *ret); /* with the management key */
MUST_CHECK enum err fake_verify(void);                             /* what start-up does, too */
/* Does what a person reads of the volume end with this command, as it is to be typed? */
bool fake_note_says(const struct guid *volume, const char *verb);
/* The same, in a process of its own, which ends when power is cut. True: it was cut */
bool fake_in_process(enum err (*what)(void));

/* What the locked volume gives to somebody with the escrow key and nothing else. */
struct fake_way_in {
    unsigned tokens;  /* of ours, whatever their state */
    unsigned opens;   /* passwords of their envelopes that open a keyslot */
    unsigned slots;   /* keyslots of recovery passwords, by their count */
    unsigned unnamed; /* of those, keyslots that no token of ours names or promises */
    unsigned live;    /* tokens in use whose password opens the keyslot that they name */
    unsigned management_slots, management_tokens;
};
void fake_look_from_outside(struct fake_way_in *ret);
/* The password of a key ID, from its envelope in the header. False: there is none that this key opens */
bool fake_password(const struct guid *key_id, struct secret *ret_text);
/* Events in the outbox. result: of one, 0 any. about: the key that went or changed, NULL any */
unsigned fake_events(uint8_t event, uint8_t result, const struct guid *about);
/* Let the cache think that a receipt covers this key. */
void fake_receipt(const struct guid *key_id);
