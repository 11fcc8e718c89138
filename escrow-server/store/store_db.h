#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Between the operations of store.h and the two engines: each half is one database behind struct db_ops.
 * The operations (store_records.c, store_devices.c, store_find.c) are written once, over struct query. */

#include "escrow-server/store/sql.h"

#define QUERY_PARAMS 13
#define QUERY_TEXT   136 /* room for a text that the query makes itself */

struct db;
struct query;

struct db_column {
    const uint8_t *p; /* NULL for SQL's NULL; good until the next row or the query's end */
    size_t len;
    uint64_t number; /* of an integer column */
    bool null;
};

/* The engine of one half. Transactions as in struct store_ops. */
struct db_ops {
    bool numbered; /* tables may have row numbers: struct sql_table */
    void (*close)(struct db *d);
    int (*tend)(struct db *d);
    bool (*is_up)(struct db *d); /* NULL: always */
    enum err (*begin)(struct db *d);
    enum err (*commit)(struct db *d, bool *ret_replicated);
    void (*abandon)(struct db *d);
    enum err (*mark)(struct db *d);
    void (*undo)(struct db *d);
    enum err (*release)(struct db *d);
    /* Give one of SQL_FREE_1 to 3 a text: portable SQL, parameters $1, $2, ... in the order they first
     * appear. */
    enum err (*prepare)(struct db *d, enum sql which, const char *text);
    /* Ask without waiting; the next row() of the same statement with the same first parameter, 32 bytes, gets
     * this answer, unless a commit or something undone comes first. NULL: asking takes no time here */
    void (*ahead)(struct db *d, const struct query *q);
    /* Run without waiting; the answers are had by row() of queries with `posted` set, in this order, and the
     * first of them waits for all. NULL: nothing is gained by it here. err: BUSY (no room), OFFLINE */
    enum err (*post)(struct db *d, const struct query *q);
    unsigned (*room)(struct db *d);  /* for so many */
    void (*ahead_end)(struct db *d); /* forget what nobody asked for */
    /* Run to the end. ret_changed: number of rows; NULL: nobody waits, and inside a transaction a failure
     * may be reported only by what comes next, at the latest by release or commit. Nothing to do where the
     * dialect has no such statement */
    enum err (*run)(struct query *q, uint64_t *ret_changed);
    /* err: NOT_FOUND (no more rows) */
    enum err (*row)(struct query *q);
    void (*column)(const struct query *q, int column, struct db_column *ret);
    void (*end)(struct query *q);
};

struct db {
    const struct db_ops *ops;
    enum store_half half;
};

struct store {
    struct db *db[STORE_HALVES];
    void (*concerns)(const uint8_t device[static 32]); /* as in struct store_place */
    uint8_t found[MSG_CANDIDATES][ENVELOPE_MAX];       /* what the last find() lent out */
};

/* Called by whatever changes what a device is told. */
static inline void store_concerns(const struct store *s, const uint8_t device[static 32])
{
    if (s->concerns != NULL)
        s->concerns(device);
}

extern const char *const store_sqlite_file[STORE_HALVES]; /* names */

/* place: as open's in struct store_ops */
MUST_CHECK enum err store_sqlite_open(const struct store_place *place, enum store_half half, struct db **ret);
/* place->url: a connection string of libpq. ret is there also when the server cannot be reached now.
 * err: VERSION, UNSUPPORTED, NOMEM */
MUST_CHECK enum err store_pg_open(const struct store_place *place, enum store_half half, struct db **ret);
/* Why a connection string of server.conf is refused, as a sentence; NULL where it is not, or is empty. */
const char *store_pg_wrong(const char *url);

enum query_kind { QUERY_NULL, QUERY_BLOB, QUERY_U64, QUERY_STRING };

struct query_param {
    enum query_kind kind;
    const void *p; /* borrowed, or own */
    size_t len;
    uint64_t number;
    char own[QUERY_TEXT];
};

/* A statement in use; given back clean whatever happens. */
struct query {
    struct db *db;
    enum sql which;
    const char *doing; /* for the log */
    unsigned n;
    struct query_param param[QUERY_PARAMS];
    bool posted; /* its answer is had, and it is not run again */
    bool sent;
    void *result; /* the engine's */
    int row;
};
#define QUERY(name, s, half, which_, doing_)                                                                 \
    __attribute__((cleanup(query_end))) struct query name = {                                                \
        .db = (s)->db[half], .which = (which_), .doing = (doing_)}
void query_end(struct query *q);

/* Bind the next parameter; blobs and texts are borrowed. A NULL blob is SQL's NULL. */
void query_blob(struct query *q, const void *p, size_t len);
void query_u64(struct query *q, uint64_t v);
void query_text(struct query *q, const char *text);
void query_guid(struct query *q, const struct guid *g);
/* The range of key IDs that begin with a prefix: two parameters. */
void query_prefix(struct query *q, const char *prefix);

/* PostgreSQL takes no text that is not UTF-8, and a record is never refused for its sender's bad taste: the
 * record has the bytes as they came; what is indexed of them gets question marks. Returns p, or scratch. */
const void *query_utf8(const void *p, size_t *len, char scratch[static QUERY_TEXT]);

/* As in struct db_ops; one log line on failure. */
MUST_CHECK enum err query_run(struct query *q);
MUST_CHECK enum err query_changed(struct query *q, uint64_t *ret_changed);
MUST_CHECK enum err query_row(struct query *q);
/* Is there a row? */
MUST_CHECK enum err query_any(struct query *q, bool *ret);

/* err: FORMAT (not so many bytes) */
MUST_CHECK enum err column_blob(const struct query *q, int column, uint8_t *ret, size_t len);
void column_text(const struct query *q, int column, char *ret, size_t cap);
uint64_t column_u64(const struct query *q, int column);

/* The operations of the table in store.c. */
MUST_CHECK enum err store_retain(struct store *s, uint64_t cutoff_us, uint64_t now, bool *ret_more);
MUST_CHECK enum err store_retained(struct store *s, uint64_t cutoff_us, uint64_t *ret_records,
                                   uint64_t *ret_events);
MUST_CHECK enum err store_probe(struct store *s, enum store_half half, uint64_t now);
MUST_CHECK enum err store_devices(struct store *s, const uint8_t *after, bool waiting, unsigned max,
                                  struct store_device *ret, unsigned *ret_n);
void store_ahead(struct store *s, const uint8_t device[static 32], unsigned what);
void store_ahead_end(struct store *s);
MUST_CHECK enum err store_device_approve(struct store *s, const uint8_t id[static 32],
                                         enum device_approval approved);
MUST_CHECK enum err store_device_revoke(struct store *s, const uint8_t id[static 32], bool revoked);
MUST_CHECK enum err store_device_get(struct store *s, const uint8_t id[static 32], struct store_device *ret);
MUST_CHECK enum err store_device_put(struct store *s, const struct store_device *d);
MUST_CHECK enum err store_device_seen(struct store *s, const uint8_t id[static 32], uint64_t now,
                                      const uint8_t *audit_head);
MUST_CHECK enum err store_token_put(struct store *s, const struct msg_token *t, uint64_t now);
MUST_CHECK enum err store_token_use(struct store *s, const uint8_t hash[static 32], uint64_t now, bool count);
MUST_CHECK enum err store_disclosed_put(struct store *s, const struct msg_entry *e, bool *ret_new);
MUST_CHECK enum err store_uncertain(struct store *s, const struct store_window *w,
                                    const uint8_t after[static 32], const uint8_t last[static 32],
                                    unsigned max, struct store_uncertain *ret, unsigned *ret_n);
MUST_CHECK enum err store_command_put(struct store *s, const struct store_command *c);
MUST_CHECK enum err store_command_get(struct store *s, const uint8_t device[static 32],
                                      const struct guid *key_id, struct store_waiting *ret);
MUST_CHECK enum err store_command_answered(struct store *s, const uint8_t device[static 32],
                                           const struct guid *key_id, uint8_t ret[static COMMAND_LEN]);
MUST_CHECK enum err store_loss_orders(struct store *s, uint64_t loss, unsigned max,
                                      struct store_loss_order *ret, unsigned *ret_n);
MUST_CHECK enum err store_loss_count(struct store *s, uint64_t after, uint64_t before, uint64_t *ret);
MUST_CHECK enum err store_take_back(struct store *s, const struct store_loss_order *o);
MUST_CHECK enum err store_command_done(struct store *s, const uint8_t device[static 32],
                                       const struct guid *key_id, uint64_t now);
MUST_CHECK enum err store_command_open(struct store *s, const uint8_t device[static 32],
                                       const struct guid *key_id, bool *ret);
enum err store_command_former(struct store *s, const uint8_t device[static 32], const struct guid *key_id,
                              uint8_t ret_owner[static 32]);
enum err store_holders(struct store *s, const uint8_t device[static 32], const struct guid *key_id,
                       unsigned max, uint8_t (*ret)[32], unsigned *ret_n);
MUST_CHECK enum err store_commands(struct store *s, const uint8_t device[static 32], unsigned max,
                                   uint8_t (*ret)[COMMAND_LEN], unsigned *ret_n);
MUST_CHECK enum err store_record_put(struct store *s, enum store_half half, const struct store_record *r,
                                     bool *ret_new);
unsigned store_room(const struct store *s, enum store_half half);
MUST_CHECK enum err store_post(struct store *s, enum store_half half, const struct store_record *r,
                               const struct envelope *e);
MUST_CHECK enum err store_posted(struct store *s, enum store_half half, const struct store_record *r,
                                 struct store_put *ret);
MUST_CHECK enum err store_envelope_put(struct store *s, const struct store_record *r,
                                       const struct envelope *e);
MUST_CHECK enum err store_event_put(struct store *s, const struct store_record *r);
MUST_CHECK enum err store_forked(struct store *s, enum store_half half, const struct store_record *r,
                                 bool *ret);
MUST_CHECK enum err store_flag_put(struct store *s, const char *kind, const struct store_record *r);
MUST_CHECK enum err store_flags(struct store *s, const struct msg_flags *after, struct msg_flags_are *ret);
MUST_CHECK enum err store_has_sequence(struct store *s, enum store_half half, const uint8_t device[static 32],
                                       const uint8_t incarnation[static 16], uint64_t sequence, bool *ret);
MUST_CHECK enum err store_known(struct store *s, enum store_half half, const uint8_t device[static 32],
                                struct store_known *ret);
MUST_CHECK enum err store_digest(struct store *s, const uint8_t device[static 32], uint8_t ret[static 32]);
MUST_CHECK enum err store_packages(struct store *s, const uint8_t device[static 32], uint8_t ret[static 32]);
MUST_CHECK enum err store_has_package(struct store *s, const uint8_t device[static 32],
                                      const uint8_t name[static 32], bool *ret);
MUST_CHECK enum err store_missing(struct store *s, const uint8_t device[static 32], const uint8_t *hashes,
                                  unsigned n, uint8_t (*ret)[32], unsigned *ret_n);
MUST_CHECK enum err store_find(struct store *s, const struct msg_find *f, struct msg_found *ret);
MUST_CHECK enum err store_boots(struct store *s, const struct msg_find *f, struct msg_boots *ret);
