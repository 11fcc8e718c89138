#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* SQLite behind store.h: what its parts share. Each part is one file: open (and transactions), devices (and
 * tokens, disclosures, commands), records, find. */

#include "escrow-server/sql_sqlite.h"
#include <sqlite3.h>

struct store {
    sqlite3 *db[STORE_HALVES];
    sqlite3_stmt *stmt[STORE_HALVES][SQL_COUNT];
    uint8_t found[MSG_CANDIDATES][ENVELOPE_MAX]; /* what the last find() lent out */
};

extern const char *const half_file[STORE_HALVES];

/* A statement in use; given back clean whatever happens. */
struct query {
    sqlite3_stmt *stmt;
    int at; /* next parameter */
};
#define QUERY(name, s, half, which)                                                                          \
    __attribute__((cleanup(query_end))) struct query name = {.stmt = (s)->stmt[half][which], .at = 1}
void query_end(struct query *q);

/* Bind the next parameter. It fails only without memory; the step then reports it. Blobs are borrowed. */
void query_blob(struct query *q, const void *p, size_t len);
void query_u64(struct query *q, uint64_t v);
void query_text(struct query *q, const char *text);
void query_guid(struct query *q, const struct guid *g);
/* The range of key IDs that begin with a prefix: two parameters. */
void query_prefix(struct query *q, const char *prefix);

/* Run to the end; one log line on failure. */
MUST_CHECK enum err query_run(struct store *s, enum store_half half, struct query *q, const char *doing);
/* The next row. err: NOT_FOUND (no more), and what query_run() says */
MUST_CHECK enum err query_row(struct store *s, enum store_half half, struct query *q, const char *doing);
/* A log line about the last failure, and its error. */
MUST_CHECK enum err query_report(struct store *s, enum store_half half, const char *doing);

/* err: FORMAT (not so many bytes) */
MUST_CHECK enum err column_blob(struct query *q, int column, uint8_t *ret, size_t len);
void column_text(struct query *q, int column, char *ret, size_t cap);
uint64_t column_u64(struct query *q, int column);

/* The operations of the table in store_sqlite.c. */
void store_sqlite_close(struct store *s);
MUST_CHECK enum err store_sqlite_open(const char *dir, struct store **ret);
MUST_CHECK enum err store_sqlite_begin(struct store *s, enum store_half half);
void store_sqlite_abandon(struct store *s, enum store_half half);
MUST_CHECK enum err store_sqlite_commit(struct store *s, enum store_half half);
MUST_CHECK enum err store_sqlite_mark(struct store *s, enum store_half half);
void store_sqlite_undo(struct store *s, enum store_half half);
MUST_CHECK enum err store_sqlite_release(struct store *s, enum store_half half);
MUST_CHECK enum err store_sqlite_device_get(struct store *s, const uint8_t id[static 32],
                                            struct store_device *ret);
MUST_CHECK enum err store_sqlite_device_put(struct store *s, const struct store_device *d);
MUST_CHECK enum err store_sqlite_device_seen(struct store *s, const uint8_t id[static 32], uint64_t now,
                                             const uint8_t *audit_head);
MUST_CHECK enum err store_sqlite_token_put(struct store *s, const struct msg_token *t, uint64_t now);
MUST_CHECK enum err store_sqlite_token_use(struct store *s, const uint8_t hash[static 32], uint64_t now,
                                           bool count);
MUST_CHECK enum err store_sqlite_disclosed_put(struct store *s, const struct msg_entry *e);
MUST_CHECK enum err store_sqlite_command_put(struct store *s, const struct store_command *c);
MUST_CHECK enum err store_sqlite_command_done(struct store *s, const uint8_t device[static 32],
                                              const struct guid *key_id, uint64_t now);
MUST_CHECK enum err store_sqlite_command_open(struct store *s, const uint8_t device[static 32],
                                              const struct guid *key_id, bool *ret);
MUST_CHECK enum err store_sqlite_commands(struct store *s, const uint8_t device[static 32], unsigned max,
                                          uint8_t (*ret)[COMMAND_LEN], unsigned *ret_n);
MUST_CHECK enum err store_sqlite_record_put(struct store *s, enum store_half half,
                                            const struct store_record *r, bool *ret_new);
MUST_CHECK enum err store_sqlite_envelope_put(struct store *s, const struct store_record *r,
                                              const struct envelope *e);
MUST_CHECK enum err store_sqlite_event_put(struct store *s, const struct store_record *r);
MUST_CHECK enum err store_sqlite_forked(struct store *s, enum store_half half, const struct store_record *r,
                                        bool *ret);
MUST_CHECK enum err store_sqlite_flag_put(struct store *s, const char *kind, const struct store_record *r);
MUST_CHECK enum err store_sqlite_has_sequence(struct store *s, enum store_half half,
                                              const uint8_t device[static 32],
                                              const uint8_t incarnation[static 16], uint64_t sequence,
                                              bool *ret);
MUST_CHECK enum err store_sqlite_known(struct store *s, enum store_half half, const uint8_t device[static 32],
                                       struct store_known *ret);
MUST_CHECK enum err store_sqlite_digest(struct store *s, const uint8_t device[static 32],
                                        uint8_t ret[static 32]);
MUST_CHECK enum err store_sqlite_has_envelope(struct store *s, const uint8_t device[static 32],
                                              const uint8_t hash[static 32], bool *ret);
MUST_CHECK enum err store_sqlite_find(struct store *s, const struct msg_find *f, struct msg_found *ret);
MUST_CHECK enum err store_sqlite_boots(struct store *s, const struct msg_find *f, struct msg_boots *ret);
