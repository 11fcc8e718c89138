#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The vault: the one process that holds escrow private keys and writes the audit log. It checks the person,
 * the role, the reason and the quota itself, makes the entry durable, and only then opens an envelope. */

#include "crypto/p256.h"
#include "escrow-server/chan.h"
#include "escrow-server/child.h"
#include "escrow-server/escrow_key.h"
#include "escrow-server/msg.h"
#include "escrow-server/people.h"
#include "formats/host/audit_chain.h"

#define VAULT_WEBS CONF_WORKERS_MAX
#define VAULT_THROTTLED                                                                                      \
    (PEOPLE_MAX + 1)        /* everybody there is, and one row for all names that are nobody's               \
                             */
#define VAULT_FREE_TRIES 5  /* wrong passwords before waiting begins */
#define VAULT_WAIT_S     10 /* then this, doubling */
#define VAULT_WAIT_MAX_S 900

/* Wrong passwords of all names together: so many at once, then one in so many seconds. Each is an entry of
 * the audit log, so this bounds that, too. */
#define VAULT_BURST   60
#define VAULT_SPACE_S 10

struct throttle {
    char who[MSG_NAME + 1];
    unsigned failures;
    uint64_t until;
};

struct vault {
    struct conf conf;
    struct guid org;
    struct escrow_key key[ESCROW_KEYS]; /* every epoch, also those that cannot be opened */
    unsigned n_keys;
    struct audit_chain *log;     /* NULL: cannot be written now */
    struct audit_head seen;      /* where it stood last; what is opened later must go on from there */
    bool told_log;               /* what the web workers know of it */
    bool goes_on;                /* while it is read back: the entry of seen was met */
    struct msg_entry *disclosed; /* every disclosure in the log, oldest first */
    size_t n_disclosed, cap_disclosed;
    struct throttle throttle[VAULT_THROTTLED]; /* number 0: names that are nobody's */
    uint64_t spent_until;                      /* when all of the burst is there again */
    struct chan web[VAULT_WEBS];
};

uint64_t vault_now(void);

/* vault_keys.c: every epoch in keys/ is opened and proved with its canary; one that cannot be, or that org
 * names and that is not there, is an alarm (a log line, MSG_VAULT_IS), and the others serve.
 * err: IO (the folder), RANGE (more than ESCROW_KEYS) */
MUST_CHECK enum err vault_keys_open(struct vault *v, const struct org *org, const struct secret *passphrase);
unsigned vault_keys_good(const struct vault *v);
/* The key that an envelope is sealed to. err: NOT_FOUND (none of ours), UNSUPPORTED (one of ours that cannot
 * be opened) */
MUST_CHECK enum err vault_key_for(const struct vault *v, const struct msg_blob *envelope,
                                  const struct escrow_key **ret);

/* vault_state.c: how the vault is, for /healthz and `keyholt-server keys`. Unasked, on every change. */
void vault_state_announce(struct vault *v, struct chan *c);
/* After each turn: tell everybody what changed. */
void vault_state_tend(struct vault *v);

/* vault_log.c: the audit log. Opened when needed: a log that cannot be written now may be writable later. */
/* err: what keeps an entry from being written now */
MUST_CHECK enum err vault_log_ready(struct vault *v);
/* Durable on ERR_OK; tells the web workers the new head. ret_n: number of the entry */
MUST_CHECK enum err vault_log_append(struct vault *v, const struct audit_entry *e, uint64_t *ret_n);
/* Remember a disclosure, for quota and replay. err: NOMEM */
MUST_CHECK enum err vault_log_remember(struct vault *v, const struct msg_entry *e);
/* Where the log stands. err: NOT_FOUND (it is not open) */
MUST_CHECK enum err vault_log_head(const struct vault *v, struct msg_head *ret);
void vault_log_announce(struct vault *v, struct chan *c);

/* vault_person.c: who asks, and may he? Refusals say why in ret_detail (MSG_DETAIL bytes and a zero).
 * err: AUTH, DENIED, BUSY (too many tries), IO */
MUST_CHECK enum err vault_person(struct vault *v, const struct msg_disclose *d, enum people_role *ret_role,
                                 char *ret_detail);
/* err: BUSY */
MUST_CHECK enum err vault_quota(const struct vault *v, const char *who, char *ret_detail);

/* vault_disclose.c. err: as said in ret_detail */
MUST_CHECK enum err vault_disclose(struct vault *v, const struct msg_disclose *d, struct msg_opened *ret,
                                   char *ret_detail);
MUST_CHECK enum err vault_imported(struct vault *v, const struct msg_import *i, char *ret_detail);
/* Disclosures behind entry n. */
void vault_since(const struct vault *v, uint64_t n, struct msg_entries *ret);

/* vault_seccomp.c: from here on no socket can be made, no program run, no process traced. err: INTERNAL */
MUST_CHECK enum err vault_confine(void);
