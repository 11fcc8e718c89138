/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/store/sql.h"

/* Both stores keep the records that are theirs, whole; all other tables can be made again from them. */
#define SCHEMA_RECORDS                                                                                       \
    "CREATE TABLE records (name BLOB PRIMARY KEY, device BLOB NOT NULL, incarnation BLOB NOT NULL,"          \
    " sequence INTEGER NOT NULL, previous BLOB NOT NULL, kind INTEGER NOT NULL, time INTEGER NOT NULL,"      \
    " received_us INTEGER NOT NULL, bytes BLOB NOT NULL) WITHOUT ROWID;"                                     \
    "CREATE INDEX records_chain ON records (device, incarnation, sequence);"                                 \
    "CREATE INDEX records_received ON records (device, received_us, sequence);"

/* What retention took away, as far as the chain of a device needs it: the last record of each incarnation, so
 * that what follows it is no gap. */
#define SCHEMA_FORGOTTEN                                                                                     \
    "CREATE TABLE forgotten (device BLOB NOT NULL, incarnation BLOB NOT NULL, sequence INTEGER NOT NULL,"    \
    " name BLOB NOT NULL, received_us INTEGER NOT NULL, PRIMARY KEY (device, incarnation)) WITHOUT ROWID;"

/* One row that is written to see whether the disk takes it. */
#define SCHEMA_HEALTH "CREATE TABLE health (one INTEGER PRIMARY KEY, time INTEGER NOT NULL);"

/* A device's digest is read from this index alone: a few pages of hashes, not a row somewhere in the table
 * for each of its envelopes. No digest is kept with the device: what is no longer here must not be counted.
 */
#define SCHEMA_SENDER "CREATE INDEX envelopes_sender ON envelopes (sender, hash);"

/* One index for three: every index is another page to write for each record, somewhere in the table's order.
 * A device's own envelopes (own = 1: device and sender are the same) are found by their sender, and those of
 * a volume among them. The digest sorts the hashes itself. Of a key ID, sender and own are told, too: what
 * some senders brought for one is never walked through for each of it. */
#define SCHEMA_ONE_INDEX                                                                                     \
    "DROP INDEX envelopes_sender; DROP INDEX envelopes_device; DROP INDEX envelopes_volume;"                 \
    "CREATE INDEX envelopes_sender ON envelopes (sender, volume, hash);"                                     \
    "DROP INDEX envelopes_key; CREATE INDEX envelopes_key ON envelopes (key_id, sender, own);"               \
    "CREATE INDEX commands_key ON commands (key_id);"

/* 1: the order was done, and the key disclosed once more. */
#define SCHEMA_AGAIN "ALTER TABLE commands ADD COLUMN again INTEGER;"

/* Which loss of the audit log made the order, and nothing else did: a person may take it back. */
#define SCHEMA_LOSS                                                                                          \
    "ALTER TABLE commands ADD COLUMN loss INTEGER;"                                                          \
    "CREATE INDEX commands_loss ON commands (loss) WHERE loss IS NOT NULL;"

/* another device brought the key of this owner */
#define SCHEMA_SIGHTINGS                                                                                     \
    "CREATE VIEW sightings AS SELECT key_id, volume, device AS owner, sender AS seen_by, received_us"        \
    " FROM envelopes WHERE own = 0;"

/* Rows of some hundred bytes stand one behind the other, in the order of their arrival: in a tree by name
 * (WITHOUT ROWID) the inner pages hold whole rows, few of them, and each new row moves others. A name
 * determines device, incarnation and sequence, a hash its volume, for they are among the bytes hashed: what
 * was unique by name, or by hash and sender, is unique by these, and the other way round. So what keeps out a
 * row that is there already is an index that is needed anyway. Indexes have names of their own, and the old
 * tables go at the very end: until all is committed no page of theirs is written to, so that taking it back
 * after a crash is cutting the file, however large it is. */
#define SCHEMA_RECORD_ROWS                                                                                   \
    "CREATE TABLE new_records (name BLOB NOT NULL, device BLOB NOT NULL, incarnation BLOB NOT NULL,"         \
    " sequence INTEGER NOT NULL, previous BLOB NOT NULL, kind INTEGER NOT NULL, time INTEGER NOT NULL,"      \
    " received_us INTEGER NOT NULL, bytes BLOB NOT NULL);"                                                   \
    "INSERT INTO new_records SELECT name, device, incarnation, sequence, previous, kind, time, received_us," \
    " bytes FROM records;"                                                                                   \
    "CREATE UNIQUE INDEX records_once ON new_records (device, incarnation, sequence, name);"                 \
    "CREATE INDEX records_last ON new_records (device, received_us, sequence);"
#define SCHEMA_RECORDS_GO "DROP TABLE records; ALTER TABLE new_records RENAME TO records;"

/* A view of a table that is renamed stops that. Key packages (kind 4) are few, and asked for by name. */
#define SCHEMA_RECOVERY_ROWS                                                                                 \
    "DROP VIEW sightings;" SCHEMA_RECORD_ROWS                                                                \
    "CREATE INDEX records_packages ON new_records (device, name) WHERE kind = 4;"                            \
    "CREATE TABLE new_envelopes (hash BLOB NOT NULL, sender BLOB NOT NULL, record BLOB NOT NULL,"            \
    " key_id TEXT NOT NULL, volume BLOB NOT NULL, device BLOB NOT NULL, own INTEGER NOT NULL,"               \
    " commitment BLOB NOT NULL, computer TEXT NOT NULL, label TEXT NOT NULL, time INTEGER NOT NULL,"         \
    " received_us INTEGER NOT NULL, bytes BLOB NOT NULL);"                                                   \
    "INSERT INTO new_envelopes SELECT hash, sender, record, key_id, volume, device, own, commitment,"        \
    " computer, label, time, received_us, bytes FROM envelopes;"                                             \
    "CREATE UNIQUE INDEX envelopes_once ON new_envelopes (sender, volume, hash);"                            \
    "CREATE INDEX envelopes_by_key ON new_envelopes (key_id, sender, own);" SCHEMA_RECORDS_GO                \
    "DROP TABLE envelopes; ALTER TABLE new_envelopes RENAME TO envelopes;" SCHEMA_SIGHTINGS

#define SCHEMA_COMPLIANCE_ROWS                                                                               \
    SCHEMA_RECORD_ROWS                                                                                       \
    "CREATE INDEX records_old ON new_records (received_us);"                                                 \
    "CREATE TABLE new_events (record BLOB NOT NULL, device BLOB NOT NULL, event INTEGER NOT NULL,"           \
    " key_id TEXT NOT NULL, other_key_id TEXT NOT NULL, volume BLOB NOT NULL, result INTEGER NOT NULL,"      \
    " reason INTEGER NOT NULL, time INTEGER NOT NULL, received_us INTEGER NOT NULL);"                        \
    "INSERT INTO new_events SELECT record, device, event, key_id, other_key_id, volume, result, reason,"     \
    " time, received_us FROM events;"                                                                        \
    "CREATE UNIQUE INDEX events_once ON new_events (device, time, record);"                                  \
    "CREATE INDEX events_by_key ON new_events (event, key_id);"                                              \
    "CREATE INDEX events_old ON new_events (received_us);" SCHEMA_RECORDS_GO                                 \
    "DROP TABLE events; ALTER TABLE new_events RENAME TO events;"

/* What retention takes away is to be nowhere in the file, nor may it stay behind in pages of the tables as
 * they were: those are written over once, and are free. */
#define SCHEMA_WIPE                                                                                          \
    "CREATE TABLE filler (bytes BLOB);"                                                                      \
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) INSERT INTO filler"                    \
    " SELECT zeroblob(4092000) FROM n LIMIT (SELECT freelist_count / 1000 FROM pragma_freelist_count);"      \
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) INSERT INTO filler"                    \
    " SELECT zeroblob(4000) FROM n LIMIT (SELECT freelist_count FROM pragma_freelist_count);"                \
    "DROP TABLE filler;"

const char *const sql_sqlite_schema[STORE_HALVES][SQL_SQLITE_VERSION] = {
    [STORE_RECOVERY] =
        {SCHEMA_RECORDS
         "CREATE TABLE devices (id BLOB PRIMARY KEY, spki BLOB NOT NULL, courier BLOB NOT NULL,"
         " revoked INTEGER NOT NULL DEFAULT 0, computer TEXT NOT NULL, enrolled INTEGER NOT NULL,"
         " seen INTEGER, audit_head BLOB) WITHOUT ROWID;"
         "CREATE TABLE tokens (hash BLOB PRIMARY KEY, expires INTEGER NOT NULL, uses INTEGER NOT NULL,"
         " made INTEGER NOT NULL) WITHOUT ROWID;"
         /* key_id is text as people read it, so that a prefix is a range; not unique (DESIGN section 4) */
         "CREATE TABLE envelopes (hash BLOB NOT NULL, sender BLOB NOT NULL, record BLOB NOT NULL,"
         " key_id TEXT NOT NULL, volume BLOB NOT NULL, device BLOB NOT NULL, own INTEGER NOT NULL,"
         " commitment BLOB NOT NULL, computer TEXT NOT NULL, label TEXT NOT NULL, time INTEGER NOT NULL,"
         " received_us INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (hash, sender)) WITHOUT ROWID;"
         "CREATE INDEX envelopes_key ON envelopes (key_id);"
         "CREATE INDEX envelopes_device ON envelopes (device, hash);"
         "CREATE INDEX envelopes_volume ON envelopes (volume);" SCHEMA_SIGHTINGS
         "CREATE TABLE disclosures (chain TEXT NOT NULL, n INTEGER NOT NULL, time INTEGER NOT NULL,"
         " who TEXT NOT NULL, key_id TEXT NOT NULL, volume BLOB NOT NULL, device BLOB NOT NULL,"
         " PRIMARY KEY (chain, n)) WITHOUT ROWID;"
         "CREATE INDEX disclosures_key ON disclosures (key_id);"
         "CREATE TABLE commands (device BLOB NOT NULL, key_id TEXT NOT NULL, made INTEGER NOT NULL,"
         " done INTEGER, bytes BLOB NOT NULL, PRIMARY KEY (device, key_id)) WITHOUT ROWID;"
         "CREATE TABLE flags (device BLOB NOT NULL, kind TEXT NOT NULL, incarnation BLOB NOT NULL,"
         " sequence INTEGER NOT NULL, record BLOB NOT NULL, received_us INTEGER NOT NULL,"
         " PRIMARY KEY (device, kind, record)) WITHOUT ROWID;",
         SCHEMA_FORGOTTEN,
         SCHEMA_HEALTH "ALTER TABLE devices ADD COLUMN approved INTEGER NOT NULL DEFAULT 1;"
                       "CREATE INDEX devices_waiting ON devices (id) WHERE approved <> 1;",
         SCHEMA_SENDER SCHEMA_AGAIN, SCHEMA_LOSS SCHEMA_ONE_INDEX, SCHEMA_RECOVERY_ROWS, "",
         /* the newest first, of all kinds and of one */
         "CREATE INDEX flags_age ON flags (received_us, device, kind, record);"
         "CREATE INDEX flags_kind ON flags (kind, received_us, device, record);"
         "CREATE INDEX flags_device ON flags (device, received_us, kind, record);"},
    [STORE_COMPLIANCE] =
        {SCHEMA_RECORDS
         "CREATE TABLE events (record BLOB PRIMARY KEY, device BLOB NOT NULL, event INTEGER NOT NULL,"
         " key_id TEXT NOT NULL, other_key_id TEXT NOT NULL, volume BLOB NOT NULL, result INTEGER NOT NULL,"
         " reason INTEGER NOT NULL, time INTEGER NOT NULL, received_us INTEGER NOT NULL) WITHOUT ROWID;"
         "CREATE INDEX events_key ON events (event, key_id);"
         "CREATE INDEX events_device ON events (device, time);",
         /* No table for each month, as in PostgreSQL: a statement names its tables, so every one would be
          * made anew each month and join dozens of them. Retention deletes by these indexes, some rows at a
          * time; the pages are used again. */
         SCHEMA_FORGOTTEN "CREATE INDEX records_age ON records (received_us, name);"
                          "CREATE INDEX events_age ON events (received_us, record);"
                          "CREATE TABLE retentions (cutoff_us INTEGER PRIMARY KEY, time INTEGER NOT NULL,"
                          " records INTEGER NOT NULL, events INTEGER NOT NULL);",
         SCHEMA_HEALTH, "", "", SCHEMA_COMPLIANCE_ROWS, SCHEMA_WIPE, ""},
};
