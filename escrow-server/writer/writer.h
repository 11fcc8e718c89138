#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The writer: the one process that writes the stores. Requests that wait together share one commit; every
 * sync answer gets one receipt, signed after that commit. */

#include "crypto/p256.h"
#include "escrow-server/process/child.h"
#include "escrow-server/process/webs.h"
#include "escrow-server/store/store.h"

#define WRITER_BATCH 256 /* requests in one commit */

#define WRITER_TURN_FIRST 16
#define WRITER_TURN_MAX   128 /* more save nothing */

#define WRITER_SEEN    512  /* heartbeats that wait for a commit */
#define WRITER_SEEN_MS 1000 /* at most so long */

struct writer_state {
    const struct store_ops *ops;
    struct store *store;
    struct org org;
    struct cr_p256_key *receipt_key, *ca_key;
    uint8_t receipt_id[32];
    bool has_first_token;          /* init's was taken in */
    bool approval;                 /* a person approves new devices */
    bool fresh[STORE_HALVES];      /* it was opened, and nothing was committed yet */
    int64_t good_ms[STORE_HALVES]; /* when its last commit was carried out, monotonic; 0: it was not */
    bool replicated[STORE_HALVES]; /* that one */
    unsigned turn[STORE_HALVES];   /* records of a turn, 0: as at first */
    struct writer_uncertain {
        struct msg_losses losses;
        uint64_t per_hour; /* keys that may be ordered to rotate */
        uint64_t allowed;  /* now */
        int64_t filled_ms, again_ms;
        bool amid; /* a pass through the devices, behind this one: */
        uint8_t after[32];
        unsigned steps;
        bool missed;                             /* the store could not say it of some */
        uint64_t count[STORE_ORDERS], told_left; /* keys of this pass */
        uint8_t turn[32];                        /* the device that was given orders last, */
        unsigned given;                          /* and how many; those behind it are next, */
        bool waits;                              /* and there is one that would like some */
    } uncertain;
    struct webs webs;
    struct {
        unsigned n;
        int64_t since_ms;
        struct msg_seen_one item[WRITER_SEEN];
    } seen;
};

/* What each half knows of a device, as far as it was read and nothing came since. */
struct known_halves {
    bool read[STORE_HALVES];
    enum err err[STORE_HALVES];
    struct store_known of[STORE_HALVES];
};

/* One request, between being carried out and being answered. */
struct pending {
    struct chan *chan;
    uint64_t id;
    uint8_t type; /* enum msg_type of the request */
    enum err err;
    char detail[MSG_DETAIL + 1];
    /* sync */
    uint8_t device[32], courier[32], envelopes[8];
    bool approved;           /* by a person, or nobody has to */
    uint32_t attempt, drops; /* drops: quiet.h, after it was carried out */
    struct known_halves known;
    unsigned n_proofs;
    struct msg_blob proof[MSG_PROOFS]; /* only while it is carried out */
    unsigned n[STORE_HALVES];
    enum err half_err[STORE_HALVES];
    bool replicated[STORE_HALVES]; /* a synchronous standby has that half's records too */
    bool both;             /* an event that closes an order: receipted only when both halves have it */
    struct waiting *waits; /* records that are stored with those of others, heap; NULL: they were */
    bool order_open;       /* disclosure: the device still has to replace the key */
    struct msg_taken_back taken_back;
    unsigned n_set, n_package_set;
    bool has_packages;
    uint8_t packages[8];
    /* From here on nothing is set at first but the certificate's end: it is 50 KiB, and most of it stays
     * unused. */
    char certificate[4096];                      /* enrolment, or a sync whose courier is to be renewed */
    uint8_t name[STORE_HALVES][MSG_RECORDS][32]; /* of the records that are in that half */
    uint8_t set[MSG_SET][32];                    /* at first all that was asked about, then what is missing */
    uint8_t package_set[MSG_SET][32];            /* likewise */
};

/* One turn of the loop: which halves are open for writing, and what waits for the commit. */
struct batch {
    struct writer_state *w;
    bool begun[STORE_HALVES];
    enum err err[STORE_HALVES]; /* of the transaction; everything in it shares its fate */
    unsigned n;
    struct pending *item[WRITER_BATCH];
};

/* The records of one request, and what the store says of them. */
struct taken {
    unsigned n;
    struct store_record *r;
    struct store_put *put;
    bool is_put[STORE_HALVES];
};

struct order_cause {
    uint64_t disclosed; /* when the key was, or may have been */
    uint64_t loss;      /* of audit, by its mark; 0: it was disclosed */
};

/* Seconds and microseconds, UTC. */
uint64_t writer_now(void);
uint64_t writer_now_us(void);
int64_t writer_now_ms(void); /* monotonic */

/* Carry out one message; its answer waits in the batch.
 * err: FORMAT (the web worker talks nonsense: its channel is to be closed), NOMEM */
MUST_CHECK enum err writer_take(struct batch *b, struct chan *c, const struct msg_frame *m);
/* Say what the messages that wait will ask the store about their devices. */
void writer_ahead(const struct batch *b, const struct chan *c);
/* Begin a half if that was not done yet. */
MUST_CHECK enum err batch_need(struct batch *b, enum store_half half);
/* What was done since the mark of a half stays, or, where that failed, nothing of it: then the locks that it
 * took are given up, too. Returns e, or why the mark could not be released */
MUST_CHECK enum err batch_unmark(struct batch *b, enum store_half half, enum err e);
/* Commit, then answer everything that waited. */
void batch_finish(struct batch *b);

/* writer_store.c: store the records of a request. Where one turn to the database serves many of them, they
 * wait in the batch. */
void writer_store(struct batch *b, struct pending *p, const struct taken *t);
/* Those that wait. */
void writer_store_waiting(struct batch *b);
/* writer_records.c: where it belongs, and does it say that an order was carried out? */
enum store_half writer_half_of(const struct record *r);
bool writer_closes_order(const struct record *r);
/* How many of them are that half's? */
unsigned writer_count_of(const struct taken *t, enum store_half half);
/* After they were put: and how many are new? */
unsigned writer_new_of(const struct taken *t, enum store_half half);
/* Put those of one half; what the store says of them is in t->put. writer_post() and then writer_posted(), in
 * the same order: the same for those of several requests (store.h, post).
 * err: of the store; what was done since the mark is then to be undone */
MUST_CHECK enum err writer_put(struct writer_state *w, const struct taken *t, enum store_half half);
MUST_CHECK enum err writer_post(const struct writer_state *w, const struct taken *t, enum store_half half);
MUST_CHECK enum err writer_posted(const struct writer_state *w, const struct taken *t, enum store_half half);
/* writer_turn.c: so many records go in one turn to the database, about: requests go whole. */
unsigned writer_turn(const struct writer_state *w, enum store_half half);
/* After a turn with n new ones, which began then (what is there already takes no time), or, where it failed,
 * with n at all: the next one shall take 2 s at most. */
void writer_turned(struct writer_state *w, enum store_half half, unsigned n, int64_t from_ms, enum err e);
unsigned writer_turn_next(unsigned size, unsigned n, int64_t took_ms, bool failed);
/* What one of them means, after it was put: counted, flagged, an order closed. err: of the store */
MUST_CHECK enum err writer_record_put(struct batch *b, struct pending *p, const struct store_record *r,
                                      const struct store_put *put);
/* It shows what is wrong with the device: stored once for each record and kind, and logged. */
void writer_flag(struct batch *b, const char *kind, const struct store_record *r);
/* writer_chain.c: does a request go on with a chain that another one had followed (a clone)? Before it is
 * stored. before: what was known */
void writer_check_clone(struct batch *b, const struct taken *t, const struct store_known *before);
/* Are records missing before those of the request? After it was stored. last: what was known before, all
 * zero: nothing. As a rule that says it, without a look. */
void writer_check_gaps(struct batch *b, const struct pending *p, const struct taken *t,
                       struct store_known last);

/* The parts that write; each leaves its outcome in p. */
void writer_enroll(struct batch *b, struct pending *p, const struct msg_enroll *m);
void writer_sync(struct batch *b, struct pending *p, const struct msg_sync *m);
/* An order to replace a key, for the device that made it, and for those that have its volume now: a computer
 * that got another identity answers for the earlier one. In a transaction of the recovery store.
 * err: of the store */
MUST_CHECK enum err writer_order_rotation(struct batch *b, const uint8_t device[static 32],
                                          const struct guid *key_id, const struct order_cause *cause);
/* This device's record says that it did what was ordered, also as who has the volume now of a device that was
 * told. It closes an order to rotate whose time, or a later order's, it names, and no other. */
MUST_CHECK enum err writer_order_done(struct batch *b, const struct record *r);
void writer_disclosed(struct batch *b, struct pending *p, const struct msg_entry *m);
void writer_change(struct batch *b, struct pending *p, const struct msg_change *m);
void writer_adopt(struct batch *b, struct pending *p, const struct msg_adopt *m);
void writer_probe(struct batch *b, struct pending *p);
/* writer_uncertain.c: all losses of the audit log, as the vault has them. */
void writer_losses(struct writer_state *w, const struct msg_losses *m);
/* One step towards the rotation of the keys that may have been disclosed in them, in a batch of its own.
 * Returns after how many milliseconds the next one is due, -1: there is no loss */
int writer_uncertain(struct writer_state *w);
/* writer_take_back.c: some of the orders that a loss made, whose rotation a person stopped. loss: its mark */
void writer_take_back(struct batch *b, struct pending *p, uint64_t loss);
/* writer_loss.c: one of the keys whose receipts and orders count: ours, and behind it the w->org.n_receipt
 * ones of org.json, which may be ours, too. false: it is none */
bool writer_receipt_key(const struct writer_state *w, unsigned i, struct cr_p256_pub *ret);
/* Was this record, which is new to the store, receipted before? Then the store lost it. */
bool writer_was_receipted(const struct writer_state *w, const struct pending *p,
                          const struct store_record *r);
/* Remember the receipts that a request brings, of those that verify. */
void writer_take_proofs(const struct writer_state *w, struct pending *p, const struct msg_sync *m);
/* May a line about this device be logged now? (metrics.h) */
bool writer_may_log(const uint8_t device[static 32]);

/* writer_seen.c: remember that a device was here, and when, which was not later than now. What is remembered
 * already is written down first if there is no room, in the batch. */
void writer_seen(struct batch *b, const struct msg_seen_one *one);
/* Write it down with a batch that commits, or when it waited long enough, or now. */
void writer_seen_store(struct batch *b, bool now);
/* After how many milliseconds that is, -1: nothing waits. */
int writer_seen_wait_ms(const struct writer_state *w);
/* writer_synced.c: the highest record of the device, over both halves. err: of the store, NOT_FOUND (none) */
MUST_CHECK enum err writer_known(struct writer_state *w, struct pending *p, struct store_known *ret);
/* A record was stored: what is known after it, without asking again, where it goes on from what was known
 * before. Where it does not, that is read when somebody needs it. */
void writer_goes_on(struct known_halves *k, enum store_half half, const struct store_record *r);
/* After the commit: the receipt and what else the device must know. */
MUST_CHECK enum err writer_synced(struct writer_state *w, struct pending *p, uint8_t *receipt,
                                  struct msg_synced *ret);
