#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The two stores, recovery and compliance, behind one table of operations; each is a SQLite file or a
 * PostgreSQL database. While the server runs only the writer and the reader open them. */

#include "crypto/err.h"
#include "escrow-server/process/msg.h"
#include "formats/record.h"
#include <stdbool.h>
#include <stdint.h>

enum store_half { STORE_RECOVERY = 0, STORE_COMPLIANCE = 1, STORE_HALVES = 2 };

#define STORE_OPEN_MS 5000

struct store; /* both halves, opened */

struct store_device {
    uint8_t id[32], spki[91];
    uint8_t courier[32]; /* SHA-256 of the SPKI of its courier's certificate */
    bool revoked;
    uint8_t approved; /* enum device_approval */
    char computer[RECORD_TEXT_MAX + 1];
    uint64_t enrolled, seen; /* seen: only in a list */
};

/* A record as it came, with what its header says. */
struct store_record {
    const uint8_t *bytes; /* borrowed */
    size_t len;
    uint8_t name[32];
    struct record r; /* decoded, borrows bytes */
    uint64_t received_us;
};

struct store_put {
    bool is_new; /* it was not there before */
    bool fork;   /* and `forked` says so */
};

struct store_known {
    uint8_t incarnation[16], name[32];
    uint64_t sequence, received_us;
};

struct store_command {
    uint8_t device[32];
    struct guid key_id;
    uint64_t made;      /* seconds: when the first one was, whatever time they speak of */
    uint64_t disclosed; /* when the key was, or may have been; or STORE_UNHEARD */
    uint64_t loss;      /* of audit, that it is made for, by its mark; 0: the key was disclosed */
    bool fresh;         /* only where there is none yet */
    uint8_t bytes[COMMAND_LEN];
};

#define STORE_UNHEARD INT64_MAX /* one that was done, whenever that was, did not speak of this disclosure */

struct store_waiting {
    uint8_t bytes[COMMAND_LEN];
    bool again;    /* it was done before */
    uint64_t loss; /* that it waits for, and for nothing else; 0: none */
};

struct store_loss_order {
    uint8_t device[32];
    struct guid key_id;
    bool gone; /* the device was here since it was made, and may have it */
};

/* Keys that a volume had at some time between these two, seconds. */
struct store_window {
    uint64_t from, until;
};

enum store_order { STORE_NO_ORDER = 0, STORE_ORDER_WAITS, STORE_ORDER_DONE, STORE_ORDERS };

#define STORE_EACH 4 /* of one device's keys with the same state of their order; all of them are counted */

struct store_uncertain {
    uint8_t device[32];
    struct guid key_id;
    enum store_order order; /* to replace it */
    uint64_t n;             /* so many keys of the device have that state; 0: another one says it */
};

/* Where the halves are. */
struct store_place {
    const char *dir; /* folder of the SQLite files, "." without walking there; NULL: in memory (tests) */
    const char *url[STORE_HALVES]; /* libpq connection string, borrowed while open; NULL or "": SQLite */
    bool patient; /* a command's, not the writer's: statements may take long; a server must be reached */
    bool reads;   /* the reader's: nothing is made, migrated or changed */
    bool as_is;   /* no SQLite file is migrated: a server of before may be writing to it */
    /* Told of a device before anything that concerns it is committed; or NULL. */
    void (*concerns)(const uint8_t device[static 32]);
    /* NULL: nobody waits. Called now and then while a SQLite file is being migrated, as long as that goes
     * on; PostgreSQL's migrations go on behind the writer's back, which says OFFLINE meanwhile. */
    void (*working)(void);
};

enum store_ahead {
    STORE_AHEAD_DEVICE = 1,   /* device_get */
    STORE_AHEAD_RECOVERY = 2, /* known */
    STORE_AHEAD_COMPLIANCE = 4,
    STORE_AHEAD_TOLD = 8 /* digest, commands */
};

struct store_ops {
    /* Creates and migrates. A PostgreSQL server that cannot be reached is no failure: its half is OFFLINE
     * until tend() has found it.
     * err: VERSION (made by a newer program; to be read, or taken as it is: by another one), UNSUPPORTED (the
     * log says why), IO, FULL, DENIED cost: waits at most STORE_OPEN_MS for each half, but for a SQLite
     * migration to its end */
    enum err (*open)(const struct store_place *place, struct store **ret);
    void (*close)(struct store *s);
    /* Between two batches: notice a lost connection, take up a new one. Never waits.
     * Returns after how many milliseconds to call again, -1: no need */
    int (*tend)(struct store *s);
    /* Is there a connection to write through, as far as is known? Asks nobody. */
    bool (*is_up)(const struct store *s, enum store_half half);

    /* One transaction per half serves many requests; each of them is bracketed by mark
     * and then either undo or release, so that an undo never reaches another request's mark.
     * err of begin and commit: IO, FULL, BUSY, OFFLINE, as of all operations. After a failed commit nothing
     * in it is durable: as a rule it is gone; where durability is unknown it may be there. A failure of what
     * stands between two marks may be reported by a later operation of the same half, at last by commit.
     * ret_replicated: a synchronous standby has it too */
    enum err (*begin)(struct store *s, enum store_half half);
    enum err (*commit)(struct store *s, enum store_half half, bool *ret_replicated);
    void (*abandon)(struct store *s, enum store_half half);
    enum err (*mark)(struct store *s, enum store_half half);
    void (*undo)(struct store *s, enum store_half half);
    enum err (*release)(struct store *s, enum store_half half);

    /* Say what will be asked about a device, so that many questions share one turn to the database: those
     * that the bits of enum store_ahead name. An answer is of the time when that was said, and used once. */
    void (*ahead)(struct store *s, const uint8_t device[static 32], unsigned what);
    void (*ahead_end)(struct store *s); /* the batch is over: what was not asked after all is forgotten */

    /* Write something, to see whether that half can. In a transaction. */
    enum err (*probe)(struct store *s, enum store_half half, uint64_t now);

    /* err: NOT_FOUND */
    enum err (*device_get)(struct store *s, const uint8_t id[static 32], struct store_device *ret);
    /* Adds, or takes the new courier key and computer name of one that is there; approval stays as it is. */
    enum err (*device_put)(struct store *s, const struct store_device *d);
    enum err (*device_seen)(struct store *s, const uint8_t id[static 32], uint64_t now,
                            const uint8_t *audit_head);

    /* The devices behind one (NULL: from the first on), in the order of their IDs, at most max. waiting: only
     * those that no person approved */
    enum err (*devices)(struct store *s, const uint8_t *after, bool waiting, unsigned max,
                        struct store_device *ret, unsigned *ret_n);
    /* err: NOT_FOUND */
    enum err (*device_approve)(struct store *s, const uint8_t id[static 32], enum device_approval approved);
    enum err (*device_revoke)(struct store *s, const uint8_t id[static 32], bool revoked);

    enum err (*token_put)(struct store *s, const struct msg_token *t, uint64_t now);
    /* Counts one use. err: DENIED (unknown, expired or used up) */
    enum err (*token_use)(struct store *s, const uint8_t hash[static 32], uint64_t now, bool count);

    /* Idempotent by name. ret_new: it was not there before */
    enum err (*record_put)(struct store *s, enum store_half half, const struct store_record *r,
                           bool *ret_new);
    /* The same for many records at once, where waiting for each is what takes the time (PostgreSQL): put one
     * with what it carries, the event or an escrow record's envelope (e, else NULL), and do not wait. The
     * answers come in the same order; the first waits for all, and after a failure there are none: then
     * everything since the mark is to be undone. room: of how many more the answers are kept, 0 where
     * nothing is gained. err: BUSY (no room) */
    unsigned (*room)(const struct store *s, enum store_half half);
    enum err (*post)(struct store *s, enum store_half half, const struct store_record *r,
                     const struct envelope *e);
    enum err (*posted)(struct store *s, enum store_half half, const struct store_record *r,
                       struct store_put *ret);
    /* What an escrow record carries, indexed. sender: the device that signed the record */
    enum err (*envelope_put)(struct store *s, const struct store_record *r, const struct envelope *e);
    enum err (*event_put)(struct store *s, const struct store_record *r);
    /* Is there a record with this place in the device's chain, and another name? (a fork) */
    enum err (*forked)(struct store *s, enum store_half half, const struct store_record *r, bool *ret);
    enum err (*flag_put)(struct store *s, const char *kind, const struct store_record *r);
    /* The flags behind one, newest first, at most MSG_FLAGS_MAX. */
    enum err (*flags)(struct store *s, const struct msg_flags *after, struct msg_flags_are *ret);
    /* Is there a record with this number (0: any) of the device's incarnation? */
    enum err (*has_sequence)(struct store *s, enum store_half half, const uint8_t device[static 32],
                             const uint8_t incarnation[static 16], uint64_t sequence, bool *ret);
    /* err: NOT_FOUND */
    enum err (*known)(struct store *s, enum store_half half, const uint8_t device[static 32],
                      struct store_known *ret);
    /* SHA-256 over the sorted hashes of all envelopes that the device made. */
    enum err (*digest)(struct store *s, const uint8_t device[static 32], uint8_t ret[static 32]);
    /* Which of these envelopes did the device not bring here? hashes: n × 32 bytes; ret may be the same
     * place. cost: one statement, whatever n is */
    enum err (*missing)(struct store *s, const uint8_t device[static 32], const uint8_t *hashes, unsigned n,
                        uint8_t (*ret)[32], unsigned *ret_n);
    /* Key packages by the names of their records: SHA-256 over the sorted names, and is one here? */
    enum err (*packages)(struct store *s, const uint8_t device[static 32], uint8_t ret[static 32]);
    enum err (*has_package)(struct store *s, const uint8_t device[static 32], const uint8_t name[static 32],
                            bool *ret);

    /* The newest envelope of each password that fits, those that came from their own device first,
     * and at most two of one sender for one key ID. more: not all that fit are there.
     * ret's pointers are good until the next call. */
    enum err (*find)(struct store *s, const struct msg_find *f, struct msg_found *ret);
    enum err (*boots)(struct store *s, const struct msg_find *f, struct msg_boots *ret);
    /* The only deletion there is: one step of taking away what the compliance store got before cutoff_us, the
     * beginning of a month, with an entry in its table `retentions`. The last record of each chain leaves its
     * number behind. In a transaction. ret_more: another step is needed */
    enum err (*retain)(struct store *s, uint64_t cutoff_us, uint64_t now, bool *ret_more);
    /* What the retention of that moment took away, in all. err: NOT_FOUND (nothing) */
    enum err (*retained)(struct store *s, uint64_t cutoff_us, uint64_t *ret_records, uint64_t *ret_events);

    /* Idempotent. An entry whose personal part was erased (who is "") erases it here, too.
     * ret_new: it was not there
     * err: CONFLICT (another disclosure has this place in the chain; it stays) */
    enum err (*disclosed_put)(struct store *s, const struct msg_entry *e, bool *ret_new);
    /* One order for a key of a device, for ever: while it is not done, these bytes take the place of those
     * that are there; `made` stays, and so does the loss that wanted it first: where that does not want it
     * any more, the other one orders it again. Where it was done before the key was disclosed, it is given
     * out once more, and counts as done all the same: what was shown may open a copy of the header that was
     * made before, or the header itself that somebody put back, and the device has to know.
     * err: CONFLICT (it had to be fresh, and another writer was first) */
    enum err (*command_put)(struct store *s, const struct store_command *c);
    /* What was put last. Nobody else changes it until this transaction ends, so that what is done is what was
     * read. err: NOT_FOUND (no order, or nothing is to be done) */
    enum err (*command_get)(struct store *s, const uint8_t device[static 32], const struct guid *key_id,
                            struct store_waiting *ret);
    /* The same of one that is done, and is not given out. err: NOT_FOUND */
    enum err (*command_answered)(struct store *s, const uint8_t device[static 32], const struct guid *key_id,
                                 uint8_t ret[static COMMAND_LEN]);
    enum err (*command_done)(struct store *s, const uint8_t device[static 32], const struct guid *key_id,
                             uint64_t now);
    /* Is there an order that waits to be done? No more once another device did it that was enrolled after
     * this one was seen last: the computer got another identity, or the disk is elsewhere. When this one is
     * seen again after all, it waits as before. */
    enum err (*command_open)(struct store *s, const uint8_t device[static 32], const struct guid *key_id,
                             bool *ret);
    /* Does one wait for the owner of a key that this device, which is another one, brought? ret_owner: who
     * that is. err: NOT_FOUND */
    enum err (*command_former)(struct store *s, const uint8_t device[static 32], const struct guid *key_id,
                               uint8_t ret_owner[static 32]);
    /* Who else has the volume of a key of this device: brought that key, and made one of its own for it.
     * Those whose own key is the newest come first. */
    enum err (*holders)(struct store *s, const uint8_t device[static 32], const struct guid *key_id,
                        unsigned max, uint8_t (*ret)[32], unsigned *ret_n);
    /* The keys of the window, of devices behind one up to another, in the order of devices, and of each
     * device no more than STORE_EACH of each state: those made before its end, by when they came, or by the
     * proof that we had them, or by what their device says (until the volume's key was replaced by an order
     * that is younger than the window); without those that had a successor before it began, and without those
     * of devices that nobody approved or that are revoked. */
    enum err (*uncertain)(struct store *s, const struct store_window *w, const uint8_t after[static 32],
                          const uint8_t last[static 32], unsigned max, struct store_uncertain *ret,
                          unsigned *ret_n);
    /* Orders that wait for that loss, and for nothing else, in no order. */
    enum err (*loss_orders)(struct store *s, uint64_t loss, unsigned max, struct store_loss_order *ret,
                            unsigned *ret_n);
    /* How many wait for losses whose marks lie between these two, and for nothing else? */
    enum err (*loss_count)(struct store *s, uint64_t after, uint64_t before, uint64_t *ret);
    /* As if that one had never been made; one that was done before stays done. */
    enum err (*take_back)(struct store *s, const struct store_loss_order *o);
    enum err (*commands)(struct store *s, const uint8_t device[static 32], unsigned max,
                         uint8_t (*ret)[COMMAND_LEN], unsigned *ret_n);
};

extern const struct store_ops store_sql;
