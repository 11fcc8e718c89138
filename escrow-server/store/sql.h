#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The statements of the stores, by name. Each dialect has its own text for them, in one file: sql_sqlite.c
 * and sql_pg.c (the schemas: sql_sqlite_schema.c, sql_pg_schema.c) hold all SQL, and nothing else. Parameters
 * stand in the same order in both. */

#include "escrow-server/store/store.h"

enum sql {
    SQL_LOOK, /* begin to read; ended by SQL_COMMIT */
    SQL_BEGIN,
    SQL_COMMIT,
    SQL_ROLLBACK,
    SQL_MARK,
    SQL_UNDO,
    SQL_RELEASE,
    SQL_RECORD_PUT,
    SQL_RECORD_POST, /* PostgreSQL only: a row says that it was new, and whether it is a fork */
    SQL_FORKED,
    SQL_HAS_SEQUENCE,
    SQL_KNOWN,
    SQL_PROBE, /* SQLite only: PostgreSQL writes something in every commit */
    /* PostgreSQL only, around COMMIT: write something to the WAL; is there a synchronous standby that has it
     * (parameter: what the first one gave)? */
    SQL_WAL,
    SQL_STANDBY,
    /* recovery only */
    SQL_DEVICE_GET,
    SQL_DEVICE_PUT,
    SQL_DEVICE_SEEN,
    SQL_DEVICES,
    SQL_DEVICES_WAITING, /* for a person, or refused by one */
    SQL_DEVICE_APPROVED,
    SQL_DEVICE_REVOKED,
    SQL_TOKEN_PUT,
    SQL_TOKEN_USE,
    SQL_TOKEN_CHECK,
    SQL_ENVELOPE_PUT,
    SQL_FLAG_PUT,
    SQL_FLAGS,        /* behind one: received_us, device, kind, record, limit; newest first */
    SQL_FLAGS_DEVICE, /* the same, of that device */
    SQL_FLAGS_KIND,   /* of that kind */
    SQL_DIGEST,
    SQL_PACKAGES,
    SQL_HAS_PACKAGE,
    SQL_MISSING, /* of hashes, one behind the other: those that are not here */
    SQL_FIND,
    SQL_DISCLOSED_PUT,
    SQL_DISCLOSED_SAME,
    SQL_COMMAND_PUT,
    SQL_COMMAND_GET,      /* while it is to be done, or once more; the writer's, as the next one */
    SQL_COMMAND_ANSWERED, /* when it is not */
    SQL_COMMAND_DONE,
    SQL_COMMAND_OPEN,
    SQL_COMMAND_FORMER,
    SQL_LOSS_ORDERS, /* that a loss made and that wait: device, key ID, could the device have it already? */
    SQL_LOSS_COUNT,  /* those of losses between two marks */
    SQL_COMMAND_FORGET,
    SQL_COMMAND_LET_BE, /* one that was done before: it is given out no more */
    SQL_HOLDERS,
    SQL_COMMANDS,
    SQL_UNCERTAIN, /* after, last, from and until in microseconds, until in seconds, keys of each device and
                      state, limit */
    /* compliance only */
    /* PostgreSQL only: before SQL_RECORD_PUT, of a name, and the moment of arrival; the month's partitions */
    SQL_RECORD_LOCK,
    SQL_MONTHS,
    SQL_KNOWN_FORGOTTEN, /* where SQL_KNOWN finds nothing */
    SQL_EVENT_PUT,
    SQL_BOOTS,
    /* retention: before the moment of the first parameter */
    SQL_RETAINED, /* second parameter: now */
    SQL_FORGET,
    SQL_RETAIN,
    SQL_RETAIN_EVENTS,
    SQL_RETENTION,
    SQL_PATIENT, /* PostgreSQL only: no limit to how long a statement takes */
    /* no text of their own: db_ops.prepare() */
    SQL_FREE_1,
    SQL_FREE_2,
    SQL_FREE_3,
    SQL_COUNT
};

struct sql_statement {
    unsigned halves; /* bit of each enum store_half it is for; 0: this dialect can do without it */
    const char *text;
};

#define SQL_RETAIN_STEP 200 /* as sql_sqlite.c has it */

#define SQL_RECOVERY   (1u << STORE_RECOVERY)
#define SQL_COMPLIANCE (1u << STORE_COMPLIANCE)
#define SQL_BOTH       (SQL_RECOVERY | SQL_COMPLIANCE)

/* Migrations are numbered from 1 and only go forward; each runs in a transaction of its own with the new
 * number. Where the number is kept: SQLite, PRAGMA user_version; PostgreSQL, the table keyholt_schema. */
#define SQL_SQLITE_VERSION 8
extern const struct sql_statement sql_sqlite[SQL_COUNT];
extern const char *const sql_sqlite_schema[STORE_HALVES][SQL_SQLITE_VERSION];
/* Run on every open, before the schema. */
extern const char *const sql_sqlite_open, *const sql_sqlite_read; /* the second: to read only */
extern const char *const sql_sqlite_alone; /* before a large migration; sql_sqlite_open takes it back */

/* The tables as both dialects have them, for copying and checking (sql_tables.c): portable texts for
 * db_ops.prepare(). Pages are in the order of the key, which is the first n_key columns. */
#define SQL_PAGE        500
#define SQL_COLUMNS_MAX 13
struct sql_table {
    enum store_half half;
    const char *name;
    const char *kinds; /* of each column: b bytes, n number, t text */
    unsigned n_key;
    const char *first, *next, *add; /* page; page behind a key; one row, unless it is there */
    /* The same in SQLite, where the table has row numbers: page behind a number, which is one more column;
     * else NULL */
    const char *numbered;
};
enum sql_table_name {
    TABLE_RECORDS, /* name, received_us, device, incarnation, sequence, previous, kind, time, bytes */
    TABLE_DEVICES, /* id, spki, courier, revoked, computer, enrolled, seen, audit_head, approved */
    TABLE_TOKENS,
    TABLE_ENVELOPES, /* hash, sender, record, key_id, volume, device, own, commitment, computer, label, time,
                        received_us, bytes */
    TABLE_DISCLOSURES, /* chain, n, time, who, key_id, volume, device */
    TABLE_COMMANDS,    /* device, key_id, made, done, bytes, again, loss */
    TABLE_FLAGS,
    TABLE_FORGOTTEN,
    TABLE_COMPLIANCE_RECORDS, /* as records */
    TABLE_EVENTS,
    TABLE_COMPLIANCE_FORGOTTEN,
    TABLE_RETENTIONS,
    TABLE_COUNT
};
extern const struct sql_table sql_tables[TABLE_COUNT];
/* Is there such a row? Parameters: the columns named. */
extern const char *const sql_has_envelope;   /* hash, sender, volume */
extern const char *const sql_has_record;     /* name, device, received_us */
extern const char *const sql_has_event;      /* record, device, time */
extern const char *const sql_has_disclosure; /* chain, n */

#define SQL_PG_VERSION 5
extern const struct sql_statement sql_pg[SQL_COUNT];
extern const char *const sql_pg_schema[STORE_HALVES][SQL_PG_VERSION];
/* Each half has a schema of its own, so that both may be in one database. */
extern const char *const sql_pg_name[STORE_HALVES];
/* What a new connection runs, in this order. */
extern const char *const sql_pg_server; /* version, encoding, in recovery, fsync */
extern const char *const sql_pg_has_schema, *const sql_pg_make_schema[STORE_HALVES];
extern const char *const sql_pg_session, *const sql_pg_read_only, *const sql_pg_path; /* $1: the schema */
extern const char *const sql_pg_lock, *const sql_pg_version_table, *const sql_pg_version_get;
extern const char *const sql_pg_no_limit;    /* of a transaction: its statements take what they take */
extern const char *const sql_pg_version_set; /* $1: the number */
