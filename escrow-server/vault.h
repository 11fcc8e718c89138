#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The vault: the one process that holds escrow private keys and writes the audit log. It checks the person,
 * the role, the reason and the quota itself, makes the entry durable, and only then opens an envelope. */

#include "crypto/p256.h"
#include "escrow-server/chan.h"
#include "escrow-server/child.h"
#include "escrow-server/msg.h"
#include "escrow-server/people.h"
#include "formats/host/audit_chain.h"

#define VAULT_WEBS CONF_WORKERS_MAX
#define VAULT_KEYS 8
#define VAULT_THROTTLED                                                                                      \
    (PEOPLE_MAX + 1)        /* everybody there is, and one row for all names that are nobody's               \
                             */
#define VAULT_FREE_TRIES 5  /* wrong passwords before waiting begins */
#define VAULT_WAIT_S     10 /* then this, doubling */
#define VAULT_WAIT_MAX_S 900

struct vault_key {
    uint8_t id[32];
    struct cr_p256_key *key;
};

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
    struct vault_key key[VAULT_KEYS];
    unsigned n_keys;
    struct audit_chain *log;     /* NULL: cannot be written now */
    struct audit_head seen;      /* where it stood last; what is opened later must go on from there */
    bool goes_on;                /* while it is read back: the entry of seen was met */
    struct msg_entry *disclosed; /* every disclosure in the log, oldest first */
    size_t n_disclosed, cap_disclosed;
    struct throttle throttle[VAULT_THROTTLED]; /* number 0: names that are nobody's */
    uint64_t spent_until;                      /* when all of the burst is there again */
    struct chan web[VAULT_WEBS];
};

uint64_t vault_now(void);

/* vault_keys.c: every key in keys/, opened and proved with its canary.
 * err: AUTH (passphrase or canary), NOT_FOUND (no key at all), FORMAT, IO; a log line names the file */
MUST_CHECK enum err vault_keys_open(struct vault *v, const struct secret *passphrase);
/* The key that an envelope is sealed to. err: NOT_FOUND */
MUST_CHECK enum err vault_key_for(const struct vault *v, const struct msg_blob *envelope,
                                  const struct vault_key **ret);

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
