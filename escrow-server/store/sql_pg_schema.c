/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/store/sql.h"

/* Bytes are bytea, numbers and truth values bigint (so that every result is 8 bytes in binary form), texts
 * text; key IDs compare as bytes, whatever the database's collation, so that a prefix is a range. */

const char *const sql_pg_name[STORE_HALVES] = {"keyholt_recovery", "keyholt_compliance"};

const char *const sql_pg_server = "SELECT current_setting('server_version_num')::int >= 130000, "
                                  "current_setting('server_encoding') = 'UTF8',"
                                  " NOT pg_is_in_recovery(), current_setting('fsync') = 'on'";
const char *const sql_pg_has_schema = "SELECT 1 WHERE to_regnamespace($1) IS NOT NULL";
const char *const sql_pg_make_schema[STORE_HALVES] = {"CREATE SCHEMA IF NOT EXISTS keyholt_recovery",
                                                      "CREATE SCHEMA IF NOT EXISTS keyholt_compliance"};
const char *const sql_pg_path = "SELECT set_config('search_path', $1, false)";
/* Durable before it is said, whatever the database's default; nothing waits longer than the writer does; a
 * writer that is cut off keeps no lock. Plans are made once: parameters hardly change them. */
const char *const sql_pg_read_only = "SET default_transaction_read_only = on";
const char *const sql_pg_session =
    "SELECT set_config('synchronous_commit', CASE current_setting('synchronous_commit')"
    " WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, false),"
    " set_config('statement_timeout', '8s', false), set_config('lock_timeout', '5s', false),"
    " set_config('idle_in_transaction_session_timeout', '30s', false),"
    " set_config('plan_cache_mode', 'force_generic_plan', false), set_config('jit', 'off', false),"
    " set_config('bytea_output', 'hex', false), set_config('TimeZone', 'UTC', false)";
/* One server migrates at a time. */
const char *const sql_pg_lock = "SELECT pg_advisory_xact_lock(hashtext('keyholt migration'))";
const char *const sql_pg_no_limit = "SET LOCAL statement_timeout = 0";
const char *const sql_pg_version_table =
    "CREATE TABLE IF NOT EXISTS keyholt_schema (version bigint NOT NULL)";
const char *const sql_pg_version_get = "SELECT coalesce(max(version), 0) FROM keyholt_schema";
const char *const sql_pg_version_set = "INSERT INTO keyholt_schema (version) VALUES ($1)";

/* What retention took away, as far as the chain of a device needs it: see sql_sqlite.c. */
#define SCHEMA_FORGOTTEN                                                                                     \
    "CREATE TABLE forgotten (device bytea NOT NULL, incarnation bytea NOT NULL, sequence bigint NOT NULL,"   \
    " name bytea NOT NULL, received_us bigint NOT NULL, PRIMARY KEY (device, incarnation));"

#define RECORD_COLUMNS                                                                                       \
    " (name bytea NOT NULL, device bytea NOT NULL, incarnation bytea NOT NULL, sequence bigint NOT NULL,"    \
    " previous bytea NOT NULL, kind bigint NOT NULL, time bigint NOT NULL, received_us bigint NOT NULL,"     \
    " bytes bytea NOT NULL, PRIMARY KEY "

#define RECORD_INDEXES                                                                                       \
    "CREATE INDEX records_chain ON records (device, incarnation, sequence);"                                 \
    "CREATE INDEX records_received ON records (device, received_us, sequence);"

const char *const sql_pg_schema[STORE_HALVES][SQL_PG_VERSION] = {
    [STORE_RECOVERY] =
        {"CREATE TABLE records" RECORD_COLUMNS "(name));" RECORD_INDEXES SCHEMA_FORGOTTEN
         "CREATE TABLE devices (id bytea PRIMARY KEY, spki bytea NOT NULL, courier bytea NOT NULL,"
         " revoked bigint NOT NULL DEFAULT 0, computer text NOT NULL, enrolled bigint NOT NULL,"
         " seen bigint, audit_head bytea) WITH (fillfactor = 70);"
         "CREATE TABLE tokens (hash bytea PRIMARY KEY, expires bigint NOT NULL, uses bigint NOT NULL,"
         " made bigint NOT NULL);"
         "CREATE TABLE envelopes (hash bytea NOT NULL, sender bytea NOT NULL, record bytea NOT NULL,"
         " key_id text COLLATE \"C\" NOT NULL, volume bytea NOT NULL, device bytea NOT NULL,"
         " own bigint NOT NULL, commitment bytea NOT NULL, computer text NOT NULL, label text NOT NULL,"
         " time bigint NOT NULL, received_us bigint NOT NULL, bytes bytea NOT NULL,"
         " PRIMARY KEY (hash, sender));"
         "CREATE INDEX envelopes_key ON envelopes (key_id);"
         "CREATE INDEX envelopes_device ON envelopes (device, hash);"
         "CREATE INDEX envelopes_volume ON envelopes (volume);"
         "CREATE VIEW sightings AS SELECT key_id, volume, device AS owner, sender AS seen_by, received_us"
         " FROM envelopes WHERE own = 0;"
         "CREATE TABLE disclosures (chain text NOT NULL, n bigint NOT NULL, time bigint NOT NULL,"
         " who text NOT NULL, key_id text COLLATE \"C\" NOT NULL, volume bytea NOT NULL,"
         " device bytea NOT NULL, PRIMARY KEY (chain, n));"
         "CREATE INDEX disclosures_key ON disclosures (key_id);"
         "CREATE TABLE commands (device bytea NOT NULL, key_id text COLLATE \"C\" NOT NULL,"
         " made bigint NOT NULL, done bigint, bytes bytea NOT NULL, PRIMARY KEY (device, key_id));"
         "CREATE TABLE flags (device bytea NOT NULL, kind text NOT NULL, incarnation bytea NOT NULL,"
         " sequence bigint NOT NULL, record bytea NOT NULL, received_us bigint NOT NULL,"
         " PRIMARY KEY (device, kind, record));",
         "ALTER TABLE devices ADD COLUMN approved bigint NOT NULL DEFAULT 1;"
         "CREATE INDEX devices_waiting ON devices (id) WHERE approved <> 1;",
         /* as in sql_sqlite.c */
         "CREATE INDEX envelopes_sender ON envelopes (sender, hash); ALTER TABLE commands ADD COLUMN again "
         "bigint;",
         "ALTER TABLE commands ADD COLUMN loss bigint;"
         "CREATE INDEX commands_loss ON commands (loss) WHERE loss IS NOT NULL;"
         "DROP INDEX IF EXISTS envelopes_sender, envelopes_device, envelopes_volume;"
         "CREATE INDEX envelopes_sender ON envelopes (sender, volume, hash);"
         "DROP INDEX envelopes_key; CREATE INDEX envelopes_key ON envelopes (key_id, sender, own);"
         "CREATE INDEX commands_key ON commands (key_id);",
         "CREATE INDEX flags_age ON flags (received_us, device, kind, record);"
         "CREATE INDEX flags_kind ON flags (kind, received_us, device, record);"
         "CREATE INDEX flags_device ON flags (device, received_us, kind, record);"},
    [STORE_COMPLIANCE] =
        /* One partition for each month of arrival (UTC), so that retention drops a table and deletes no row.
         * A key that is unique over all of them cannot be had: see SQL_RECORD_LOCK. */
    {"CREATE TABLE records" RECORD_COLUMNS
     "(name, received_us)) PARTITION BY RANGE (received_us);" RECORD_INDEXES SCHEMA_FORGOTTEN
     "CREATE TABLE events (record bytea NOT NULL, device bytea NOT NULL, event bigint NOT NULL,"
     " key_id text COLLATE \"C\" NOT NULL, other_key_id text COLLATE \"C\" NOT NULL,"
     " volume bytea NOT NULL, result bigint NOT NULL, reason bigint NOT NULL, time bigint NOT NULL,"
     " received_us bigint NOT NULL, PRIMARY KEY (record, received_us)) PARTITION BY RANGE (received_us);"
     "CREATE INDEX events_key ON events (event, key_id);"
     "CREATE INDEX events_device ON events (device, time);"
     "CREATE TABLE retentions (cutoff_us bigint PRIMARY KEY, time bigint NOT NULL,"
     " records bigint NOT NULL, events bigint NOT NULL);"
     /* drops the months that end at the moment or before it; what is dropped is on record */
     "CREATE FUNCTION keyholt_drop(cutoff bigint, now bigint) RETURNS void LANGUAGE plpgsql AS $$ DECLARE"
     " p record; n bigint; sums bigint[] := ARRAY[0, 0]; BEGIN"
     " PERFORM pg_advisory_xact_lock(hashtext('keyholt months'));"
     " FOR p IN SELECT c.oid::regclass AS part, i.inhparent = 'records'::regclass AS is_record"
     " FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
     " WHERE i.inhparent IN ('records'::regclass, 'events'::regclass) AND c.relkind = 'r' AND"
     " extract(epoch FROM (to_date(right(c.relname, 7), 'YYYY_MM') + interval '1 month')) * 1000000"
     " <= cutoff ORDER BY c.relname LOOP"
     " IF p.is_record THEN EXECUTE format('INSERT INTO forgotten AS f (device, incarnation, sequence,"
     " name, received_us) SELECT DISTINCT ON (device, incarnation) device, incarnation, sequence, name,"
     " received_us FROM %s ORDER BY device, incarnation, sequence DESC"
     " ON CONFLICT (device, incarnation) DO UPDATE SET sequence = excluded.sequence,"
     " name = excluded.name, received_us = excluded.received_us WHERE excluded.sequence > f.sequence',"
     " p.part); END IF;"
     " EXECUTE format('SELECT count(*) FROM %s', p.part) INTO n;"
     " sums[CASE WHEN p.is_record THEN 1 ELSE 2 END] :="
     " sums[CASE WHEN p.is_record THEN 1 ELSE 2 END] + n;"
     " EXECUTE format('DROP TABLE %s', p.part); END LOOP;"
     " IF sums[1] > 0 OR sums[2] > 0 THEN INSERT INTO retentions AS r (cutoff_us, time, records, events)"
     " VALUES (cutoff, now, sums[1], sums[2]) ON CONFLICT (cutoff_us) DO UPDATE SET"
     " time = excluded.time, records = r.records + excluded.records,"
     " events = r.events + excluded.events; END IF; END $$;"
     /* makes the partitions of a moment's month and of the one after it */
     "CREATE FUNCTION keyholt_months(us bigint) RETURNS void LANGUAGE plpgsql AS $$ DECLARE"
     " m timestamp := date_trunc('month', to_timestamp(us / 1000000) AT TIME ZONE 'UTC'); t text;"
     " BEGIN FOR i IN 0..1 LOOP FOREACH t IN ARRAY ARRAY['records', 'events'] LOOP"
     " IF to_regclass(t || to_char(m, '_YYYY_MM')) IS NULL THEN"
     " PERFORM pg_advisory_xact_lock(hashtext('keyholt months'));"
     " EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF %I FOR VALUES FROM (%s) TO (%s)',"
     " t || to_char(m, '_YYYY_MM'), t, (extract(epoch FROM m) * 1000000)::bigint,"
     " (extract(epoch FROM m + interval '1 month') * 1000000)::bigint);"
     " END IF; END LOOP; m := m + interval '1 month'; END LOOP; END $$;",
     "SELECT 1;", "SELECT 1;", "SELECT 1;", "SELECT 1;"},
};
