#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The vault: the one process that holds escrow private keys and writes the audit log. It checks the person,
 * the role, the reason and the quota itself, makes the entry durable, and only then opens an envelope. */

#include "crypto/p256.h"
#include "escrow-server/process/chan.h"
#include "escrow-server/process/child.h"
#include "escrow-server/process/msg.h"
#include "escrow-server/vault/escrow_key.h"
#include "escrow-server/vault/people.h"
#include "formats/audit_head.h"
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

#define VAULT_CHECK_EVERY   32    /* entries; also at start and end */
#define VAULT_ERASE_AFTER_S 86400 /* personal data of younger entries is not erased */
#define VAULT_FOREIGN_PATH  64

/* What the vault keeps of an entry of its own log: 16 bytes of the hash are enough to find it by. */
struct vault_mark {
    uint8_t hash[16];
    uint64_t time, off; /* where it begins in the file */
    int64_t since;      /* when it was written, by vault_up(); vault_age.c */
    bool ahead;         /* read back, later than now or before an earlier one: when, nobody knows */
    bool erased;
};

/* An imported chain: it may be an older copy of a log of ours. Entry n is mark n - 1; off is not kept. */
struct vault_copy {
    uint8_t chain[16];
    struct vault_mark *mark;
    uint64_t latest; /* for vault_age_read() */
    size_t n, cap;
};

/* Whose personal part is to go. */
struct vault_order {
    char chain[33];
    uint64_t n;
    bool done;
};

/* Parts of an entry's note: a one-time code's step, which is used with it; a wish for approval, and its end.
 */
#define NOTE_STEP     "totp="
#define NOTE_WANTED   "wanted=approval"
#define NOTE_APPROVES "approves="
#define NOTE_APPROVAL "approval="

/* In the detail of a disclosure and of its refusal, up to its end: whose laptop. */
#define DETAIL_USER " user="

#define VAULT_APPROVAL_S 3600
#define VAULT_WISHES     64

struct vault_wish {
    struct msg_wish is;
    uint64_t at; /* its entry, or that of the approval: its hour is counted from there */
};

/* Why a person was refused, for /metrics and the log of the process; the order is that of metrics_text.c. */
enum vault_refusal {
    REFUSAL_PASSWORD, /* or name, or code */
    REFUSAL_THROTTLED,
    REFUSAL_ROLE,
    REFUSAL_QUOTA,
    REFUSAL_APPROVAL,
    REFUSAL_OTHER
};

/* Who asks, after step-up. */
struct vault_asker {
    enum people_role role;
    uint64_t step; /* of the one-time code; 0: none was needed */
};

/* A one-time code that was used. */
struct vault_step {
    uint8_t who[8]; /* of the name's SHA-256; zeros: whose, was erased */
    uint64_t step;
};

/* Which file, and as what: while nobody writes, it stays the same. */
struct vault_stamp {
    ino_t ino; /* 0: none */
    off_t size;
    int64_t ns;
};

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
    struct audit_chain *log;          /* NULL: cannot be written now */
    uint64_t size;                    /* bytes of the log that were read back */
    struct audit_head seen;           /* where it stood last; what is opened later must go on from there */
    uint64_t opened;                  /* when that was, last */
    bool told_log;                    /* what the web workers know of it */
    struct vault_stamp looked, tried; /* the log's file when it was looked at, and was to be opened */
    int64_t tried_at;
    uint64_t told_loss_words;
    bool goes_on;                  /* while it is read back: the entry of seen was met */
    struct cr_p256_key *audit_key; /* NULL: nothing is signed */
    uint8_t word[AUDIT_HEAD_LEN];  /* signed, on seen */
    bool has_word;
    uint64_t last_check;         /* entry with the last checkpoint */
    uint64_t lost;               /* entries that the fleet proved the log once had, when it has not */
    struct msg_losses losses;    /* each such gap */
    uint64_t loss_words;         /* entries about them that were taken; told when it changes */
    struct vault_mark *mark;     /* of every entry */
    size_t n_known;              /* marks of an earlier reading that still lie there */
    uint64_t latest;             /* for vault_age_read() */
    struct vault_copy *copy;     /* every imported chain */
    struct msg_entry *disclosed; /* every disclosure: of our log, oldest first, then of imported chains */
    struct vault_order *order;   /* every order to erase */
    struct vault_step *step;     /* every code that was used; vault_code.c */
    struct vault_wish wish[VAULT_WISHES];
    size_t n_marks, cap_marks, n_copies, cap_copies, n_disclosed, cap_disclosed, n_orders, cap_orders;
    size_t n_steps, cap_steps;
    struct throttle throttle[VAULT_THROTTLED]; /* number 0: names that are nobody's */
    uint64_t spent_until;                      /* when all of the burst is there again */
    enum vault_refusal refusal;                /* of the question at hand, if it is refused */
    struct chan web[VAULT_WEBS], export;
};

uint64_t vault_now(void);
/* Seconds of a clock that nobody sets, and that goes on while the computer sleeps. */
int64_t vault_up(void);

/* vault_keys.c: every epoch in keys/ is opened and proved with its canary; one that cannot be, or that org
 * names and that is not there, is an alarm (a log line, MSG_VAULT_IS), and the others serve.
 * err: IO (the folder), RANGE (more than ESCROW_KEYS) */
MUST_CHECK enum err vault_keys_open(struct vault *v, const struct org *org, const struct secret *passphrase);
unsigned vault_keys_good(const struct vault *v);
/* Is any of them in a token? */
bool vault_keys_in_token(const struct vault *v);
/* Is there none, only because a token does not answer? */
bool vault_keys_wait(const struct vault *v);
/* The key that an envelope is sealed to. err: NOT_FOUND (none of ours), UNSUPPORTED (one of ours that cannot
 * be opened) */
MUST_CHECK enum err vault_key_for(const struct vault *v, const struct msg_blob *envelope,
                                  const struct escrow_key **ret);

/* vault_state.c: how the vault is, for /healthz and `keyholt-server keys`. Unasked, on every change. */
void vault_state_announce(struct vault *v, struct chan *c);
/* The log may have become one that cannot be written, or can again, while nobody asked. */
void vault_state_look(struct vault *v);
/* After each turn: tell everybody what changed. */
void vault_state_tend(struct vault *v);

/* vault_log.c: the audit log. Opened when needed: a log that cannot be written now may be writable later. */
/* err: what keeps an entry from being written now */
MUST_CHECK enum err vault_log_ready(struct vault *v);
/* The same for a person's word. err: IO, with a sentence */
MUST_CHECK enum err vault_log_wanted(struct vault *v, char *ret_detail);
/* Durable on ERR_OK; tells the web workers the new head. ret_n: number of the entry */
MUST_CHECK enum err vault_log_append(struct vault *v, const struct audit_entry *e, uint64_t *ret_n);
/* The same into an open log, and nobody is told: for vault_head.c. */
MUST_CHECK enum err vault_log_write(struct vault *v, const struct audit_entry *e);
void vault_log_announce(struct vault *v, struct chan *c);
void vault_log_announce_all(struct vault *v);

/* vault_memory.c: what is kept of the logs, for quota, orders and the fleet's heads. err: NOMEM, FORMAT */
/* Room for one item more. p: the array */
MUST_CHECK enum err vault_memory_grow(void **p, size_t *cap, size_t n, size_t size);
void vault_memory_clear(struct vault *v);
void vault_memory_free(struct vault *v);
/* Room for one mark more. */
MUST_CHECK enum err vault_memory_reserve(struct vault *v);
/* Of an entry that was written just now. */
void vault_memory_mark(struct vault *v, const struct audit_entry *a, uint64_t off);
/* Entry n of our log or of an imported chain (hex ID). NULL: there is none. */
const struct vault_mark *vault_memory_mark_of(const struct vault *v, const char *chain, uint64_t n);
MUST_CHECK enum err vault_memory_disclosed(struct vault *v, const struct msg_entry *e);
MUST_CHECK enum err vault_memory_order(struct vault *v, const char *chain, uint64_t n);
/* An entry of any chain: kept if it is a disclosure. err: FORMAT (it names no key of a device) */
MUST_CHECK enum err vault_memory_entry(struct vault *v, const struct audit_entry *a);
/* An audit_visit for our own log. ctx: the vault */
MUST_CHECK enum err vault_memory_take(void *ctx, const struct audit_entry *a, const char *line, size_t len);
/* An entry of an imported chain. err: NOMEM, FORMAT (it does not follow what is there) */
MUST_CHECK enum err vault_memory_copy(struct vault *v, const struct audit_entry *a);
/* NULL: none was imported. */
const struct vault_copy *vault_memory_copy_of(const struct vault *v, const uint8_t chain[static 16]);
/* Is entry n of it that one? */
bool vault_copy_has(const struct vault_copy *copy, uint64_t n, const uint8_t hash[static 32]);
bool vault_memory_has(const struct vault *v, const uint8_t hash[static 32]);

/* vault_head.c: signed words on where the log stands: checkpoints within it, heads in sync answers. */
void vault_head_open(struct vault *v, const struct secret *passphrase);
void vault_head_sign(struct vault *v);
/* Where so many entries came since the last one. */
void vault_head_checkpoint(struct vault *v, uint64_t after);
/* A checkpoint read back. err: CONFLICT (its signature is none, or it tells another story) */
MUST_CHECK enum err vault_head_judge(struct vault *v, const struct audit_entry *a);
/* A checkpoint of a chain from elsewhere; it is signed by a key of its own, which is not known here unless it
 * is ours. err: AUTH (it is none, or tells another story), CONFLICT (it is another organisation's) */
MUST_CHECK enum err vault_head_judge_foreign(const struct vault *v, const struct audit_entry *a);
/* A head that a device brings. One that the log had and has not is put on record. err: of vault_log_ready()
 */
MUST_CHECK enum err vault_heard(struct vault *v, const struct msg_heard *h, enum msg_heard_is *ret);

/* vault_loss.c: what the log lost. */
/* A head of ours that the log has not: it is put on record, once. err: of vault_log_append() */
MUST_CHECK enum err vault_loss_prove(struct vault *v, const uint8_t device[static 32],
                                     const struct audit_head_word *w);
/* An entry of our own log: kept if it is about a loss. */
void vault_loss_take(struct vault *v, const struct audit_entry *a);
void vault_loss_count(const struct vault *v); /* for /metrics */
/* What a person says of a loss. ret_mark: the loss's; err: as said in ret_detail */
MUST_CHECK enum err vault_loss_word(struct vault *v, const struct msg_loss_word *m, char *ret_detail,
                                    uint64_t *ret_mark);

/* vault_foreign.c: chains of desks and other vaults. */
void vault_foreign_read(struct vault *v);
MUST_CHECK enum err vault_foreign_path(const char *chain, char ret[static VAULT_FOREIGN_PATH]);
/* err: as said in ret_detail: FORMAT, AUTH (broken), CONFLICT (contradicts), IO, FULL */
MUST_CHECK enum err vault_import(struct vault *v, const struct msg_import *i, struct msg_imported *ret,
                                 char *ret_detail);

/* vault_erase.c: personal data. */
/* Our own entry, read back: is it an order? err: NOMEM */
MUST_CHECK enum err vault_erase_take(struct vault *v, const struct audit_entry *a);
void vault_erase_seen(struct vault *v, const struct audit_entry *a);
void vault_erase_finish(struct vault *v);
/* err: as said in ret_detail */
MUST_CHECK enum err vault_erase(struct vault *v, const struct msg_erase *e, unsigned *ret_n,
                                char *ret_detail);

/* vault_person.c: who asks, and may he? Refusals say why in ret_detail (MSG_DETAIL bytes and a zero). */
/* Password and, where the person has a seed, a one-time code that was not used before. err: AUTH, BUSY (too
 * many tries), IO */
MUST_CHECK enum err vault_step_up(struct vault *v, const char *who, const struct msg_blob *password,
                                  const char *code, struct vault_asker *ret, char *ret_detail);
/* Does the text show nothing? */
bool vault_is_blank(const char *text);
/* ret_why: the same in a word or two, for the entry. err: also DENIED */
MUST_CHECK enum err vault_person(struct vault *v, const struct msg_disclose *d, struct vault_asker *ret,
                                 const char **ret_why, char *ret_detail);

/* vault_age.c: how long ago entries were written, whatever was done to the wall clock. */
/* A mark of an entry that is read back, in the chain's order. latest: of that chain; 0 before its first */
void vault_age_read(struct vault_mark *m, uint64_t *latest);
/* When all of the chain is read. */
void vault_age_settle(struct vault_mark *m, size_t n);
/* Seconds since then. */
uint64_t vault_age(const struct vault_mark *m);
/* The limit of this vault is its part of the whole. err: BUSY */
MUST_CHECK enum err vault_quota(const struct vault *v, const char *who, char *ret_detail);

/* vault_code.c: one-time codes; each counts once. */
/* Is it the right one for now, and was neither it nor a later one used? From here on it was.
 * ret_step: its step; untouched where the person needs none. err: AUTH, NOMEM */
MUST_CHECK enum err vault_code_check(struct vault *v, const char *who, const struct person *p,
                                     const char *code, uint64_t *ret_step);
/* The code that was used goes into the entry's note, and is read back from there. err: NOMEM */
void vault_note_step(struct audit_entry *a, const struct vault_asker *asker);
MUST_CHECK enum err vault_step_take(struct vault *v, const struct audit_entry *a);
/* Sorted, and each once. */
void vault_steps_sort(struct vault *v);

/* vault_refuse.c */
/* A person's question was answered with e: a refusal is counted, and logged once a second, by v->refusal. */
void vault_refuse_count(const struct vault *v, enum err e);
/* A refusal is put on record where that is possible, with the one-time code that it used up; it stays a
 * refusal, e, where it is not. entry: all but the action; why: for the log of the process, nothing personal
 */
MUST_CHECK enum err vault_refuse(struct vault *v, struct audit_entry *entry, enum err e, const char *why);
/* The same of a person's word that is no disclosure: behind a good password and code, where entry has a role,
 * and behind wrong ones; not where nobody looked at them. what: of the word; why: a sentence, for the entry
 */
MUST_CHECK enum err vault_refuse_word(struct vault *v, struct audit_entry *entry, enum err e,
                                      const char *what, const char *why);

/* vault_approval.c */
bool vault_needs_approval(const struct vault *v, enum people_role role);
void vault_wish_add(struct vault *v, const struct audit_entry *refused, uint64_t n);
/* The wish of this person for this key, with these words, that was approved and not used; 0: none.
 * ret_other: one that was approved with other words; 0: none */
uint64_t vault_approved(const struct vault *v, const struct audit_entry *a, uint64_t *ret_other);
void vault_wish_end(struct vault *v, uint64_t n);
/* Our own entry, read back. */
void vault_approval_take(struct vault *v, const struct audit_entry *a);
/* err: as said in ret_detail */
MUST_CHECK enum err vault_approve(struct vault *v, const struct msg_approve *m, struct msg_wish *ret,
                                  char *ret_detail);
/* The request that entry n refused, while it can be approved or used. err: NOT_FOUND,
 * IO */
MUST_CHECK enum err vault_wish_show(struct vault *v, uint64_t n, struct msg_wish *ret, char *ret_detail);

/* vault_take.c: a question of a web worker, answered. err: FORMAT (it is none), NOMEM */
MUST_CHECK enum err vault_take(struct vault *v, struct chan *c, const struct msg_frame *m);

/* vault_export.c: a request of the exporter; the log itself is the spool. err: FORMAT */
MUST_CHECK enum err vault_export(struct vault *v, const struct msg_frame *m);

/* vault_disclose.c. err: as said in ret_detail; BUSY with ret->entry.n: a second person has to approve that
 * entry */
MUST_CHECK enum err vault_disclose(struct vault *v, const struct msg_disclose *d, struct msg_opened *ret,
                                   char *ret_detail);
/* Disclosures from that place of the list on. */
void vault_since(const struct vault *v, uint64_t from, struct msg_entries *ret);

/* vault_seccomp.c: has_module: a PKCS#11 module was loaded. From here on no socket can be made, no program
 * run, no process traced. err: INTERNAL */
MUST_CHECK enum err vault_confine(bool has_module);
