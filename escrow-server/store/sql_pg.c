/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/store/sql.h"

/* The statements; what they work on is made in sql_pg_schema.c. */

#define RECORD_PUT                                                                                           \
    "INSERT INTO records (name, device, incarnation, sequence, previous, kind, time, received_us, bytes)"    \
    " SELECT $1::bytea, $2::bytea, $3::bytea, $4::bigint, $5::bytea, $6::bigint, $7::bigint, $8::bigint,"    \
    " $9::bytea WHERE NOT EXISTS (SELECT 1 FROM records WHERE name = $1::bytea) ON CONFLICT DO NOTHING"
#define FORKED(device, incarnation, sequence, name, previous)                                                \
    "SELECT 1 FROM records WHERE device = " device " AND incarnation = " incarnation " AND sequence"         \
    " BETWEEN " sequence "::bigint - 1 AND " sequence "::bigint AND name <> CASE WHEN sequence = " sequence  \
    "::bigint THEN " name "::bytea ELSE " previous "::bytea END LIMIT 1"

const struct sql_statement sql_pg[SQL_COUNT] = {
    [SQL_BEGIN] = {SQL_BOTH, "BEGIN"},
    [SQL_COMMIT] = {SQL_BOTH, "COMMIT"},
    [SQL_ROLLBACK] = {SQL_BOTH, "ROLLBACK"},
    [SQL_MARK] = {SQL_BOTH, "SAVEPOINT request"},
    [SQL_UNDO] = {SQL_BOTH, "ROLLBACK TO request"},
    [SQL_RELEASE] = {SQL_BOTH, "RELEASE request"},
    /* Two servers may get one record at once: the second waits for the first one's commit, and its next
     * statement then sees the row. */
    [SQL_RECORD_LOCK] = {SQL_COMPLIANCE,
                         "SELECT pg_advisory_xact_lock(hashtextextended(encode($1, 'hex'), 0)),"
                         " keyholt_months($2)"},
    [SQL_MONTHS] = {SQL_COMPLIANCE, "SELECT keyholt_months($1)"},
    [SQL_RECORD_PUT] = {SQL_BOTH, RECORD_PUT},
    /* Nothing, where it is there already. It sees the moment before it: no record is a fork of itself. */
    [SQL_RECORD_POST] = {SQL_BOTH, RECORD_PUT
                         " RETURNING (SELECT count(*) FROM (" FORKED("$2", "$3", "$4", "$1", "$5") ") AS f)"},
    [SQL_FORKED] = {SQL_BOTH, FORKED("$1", "$2", "$3", "$4", "$5")},
    [SQL_HAS_SEQUENCE] = {SQL_BOTH, "SELECT 1 FROM records WHERE device = $1 AND incarnation = $2 AND"
                                    " sequence BETWEEN $3::bigint AND CASE $3::bigint WHEN 0 THEN"
                                    " 9223372036854775807 ELSE $3::bigint END UNION ALL"
                                    " SELECT 1 FROM forgotten WHERE device = $1 AND incarnation = $2 AND"
                                    " sequence >= $3::bigint LIMIT 1"},
    [SQL_KNOWN] = {SQL_BOTH,
                   "SELECT incarnation, sequence, name, received_us FROM records WHERE device = $1 AND"
                   " incarnation = (SELECT incarnation FROM records WHERE device = $1"
                   " ORDER BY received_us DESC, sequence DESC LIMIT 1) ORDER BY sequence DESC LIMIT 1"},
    [SQL_KNOWN_FORGOTTEN] = {SQL_COMPLIANCE, "SELECT incarnation, sequence, name, received_us FROM forgotten"
                                             " WHERE device = $1 ORDER BY received_us DESC LIMIT 1"},
    [SQL_WAL] = {SQL_BOTH, "SELECT pg_logical_emit_message(true, 'keyholt', '')::text"},
    [SQL_STANDBY] = {SQL_BOTH, "SELECT 1 FROM pg_stat_replication WHERE state = 'streaming' AND"
                               " sync_state IN ('sync', 'quorum') AND flush_lsn > $1::text::pg_lsn LIMIT 1"},
    [SQL_DEVICE_GET] =
        {SQL_RECOVERY,
         "SELECT spki, courier, revoked, computer, enrolled, approved FROM devices WHERE id = $1"},
    [SQL_DEVICE_PUT] = {SQL_RECOVERY, "INSERT INTO devices (id, spki, courier, computer, enrolled, approved)"
                                      " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO UPDATE SET"
                                      " courier = excluded.courier, computer = excluded.computer,"
                                      " enrolled = CASE WHEN devices.approved = 3 THEN excluded.enrolled"
                                      " ELSE devices.enrolled END"},
    [SQL_DEVICE_SEEN] = {SQL_RECOVERY,
                         "UPDATE devices SET seen = $2, audit_head = coalesce($3::bytea, audit_head)"
                         " WHERE id = $1"},
    [SQL_DEVICES] = {SQL_RECOVERY, "SELECT id, computer, approved, revoked, enrolled, coalesce(seen, 0)"
                                   " FROM devices WHERE id > $1 ORDER BY id LIMIT $2"},
    [SQL_DEVICES_WAITING] = {SQL_RECOVERY,
                             "SELECT id, computer, approved, revoked, enrolled, coalesce(seen, 0)"
                             " FROM devices WHERE id > $1 AND approved <> 1 ORDER BY id LIMIT $2"},
    [SQL_DEVICE_APPROVED] = {SQL_RECOVERY, "UPDATE devices SET approved = $2 WHERE id = $1"},
    [SQL_DEVICE_REVOKED] = {SQL_RECOVERY, "UPDATE devices SET revoked = $2 WHERE id = $1"},
    [SQL_TOKEN_PUT] = {SQL_RECOVERY, "INSERT INTO tokens (hash, expires, uses, made) VALUES ($1, $2, $3, $4)"
                                     " ON CONFLICT (hash) DO NOTHING"},
    [SQL_TOKEN_USE] = {SQL_RECOVERY, "UPDATE tokens SET uses = uses - 1 WHERE hash = $1 AND expires > $2 AND"
                                     " uses > 0"},
    [SQL_TOKEN_CHECK] = {SQL_RECOVERY, "SELECT 1 FROM tokens WHERE hash = $1 AND expires > $2"},
    [SQL_ENVELOPE_PUT] = {SQL_RECOVERY,
                          "INSERT INTO envelopes (hash, sender, record, key_id, volume, device, own,"
                          " commitment, computer, label, time, received_us, bytes)"
                          " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
                          " ON CONFLICT (hash, sender) DO NOTHING"},
    [SQL_FLAG_PUT] = {SQL_RECOVERY, "INSERT INTO flags (device, kind, incarnation, sequence, record,"
                                    " received_us) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING"},
    [SQL_FLAGS] = {SQL_RECOVERY,
                   "SELECT f.device, f.kind, f.record, f.sequence, f.received_us, coalesce(d.computer, '')"
                   " FROM flags AS f LEFT JOIN devices AS d ON d.id = f.device WHERE (f.received_us, "
                   "f.device, f.kind, f.record) < ($1, $2, $3, $4)"
                   " ORDER BY f.received_us DESC, f.device DESC, f.kind DESC, f.record DESC LIMIT $5"},
    [SQL_FLAGS_DEVICE] =
        {SQL_RECOVERY,
         "SELECT f.device, f.kind, f.record, f.sequence, f.received_us, coalesce(d.computer, '')"
         " FROM flags AS f LEFT JOIN devices AS d ON d.id = f.device WHERE f.device = $2 AND (f.received_us, "
         "f.kind, f.record) < ($1, $3, $4)"
         " ORDER BY f.received_us DESC, f.kind DESC, f.record DESC LIMIT $5"},
    [SQL_FLAGS_KIND] =
        {SQL_RECOVERY,
         "SELECT f.device, f.kind, f.record, f.sequence, f.received_us, coalesce(d.computer, '')"
         " FROM flags AS f LEFT JOIN devices AS d ON d.id = f.device WHERE f.kind = $3 AND (f.received_us, "
         "f.device, f.record) < ($1, $2, $4)"
         " ORDER BY f.received_us DESC, f.device DESC, f.record DESC LIMIT $5"},
    /* one row, for a row takes longer to send than its hash */
    [SQL_DIGEST] = {SQL_RECOVERY, "SELECT coalesce(string_agg(hash, ''::bytea), ''::bytea)"
                                  " FROM envelopes WHERE sender = $1"},
    [SQL_PACKAGES] = {SQL_RECOVERY, "SELECT name FROM records WHERE device = $1 AND kind = 4"},
    [SQL_HAS_PACKAGE] = {SQL_RECOVERY, "SELECT 1 FROM records WHERE name = $1 AND device = $2 AND kind = 4"},
    [SQL_MISSING] = {SQL_RECOVERY,
                     "SELECT asked.hash FROM (SELECT at, substring($1::bytea FROM at FOR 32) AS hash FROM"
                     " generate_series(1, length($1::bytea) - 31, 32) AS at) AS asked WHERE NOT EXISTS"
                     " (SELECT 1 FROM envelopes AS e WHERE e.hash = asked.hash AND e.sender = $2)"
                     " ORDER BY asked.at"},
    /* As in sql_sqlite.c, where it is explained. */
    [SQL_FIND] =
        {SQL_RECOVERY,
         "SELECT bytes, found.computer, label, own, newest, fits FROM (SELECT d.*, count(*) OVER () AS fits,"
         " row_number() OVER (PARTITION BY sender, key_id ORDER BY newest DESC) AS of_key,"
         " row_number() OVER (PARTITION BY sender ORDER BY newest DESC) AS turn"
         " FROM (SELECT DISTINCT ON (key_id, volume, device, commitment) bytes, computer, label, own, sender,"
         " key_id, received_us AS newest FROM envelopes AS e WHERE key_id >= $1 AND key_id < $2 AND"
         " upper(encode(device, 'hex')) LIKE upper($3) AND (own = 1 OR NOT EXISTS (SELECT 1 FROM envelopes"
         " AS o WHERE o.key_id = e.key_id AND o.sender = e.device AND o.own = 1))"
         " ORDER BY key_id, volume, device, commitment, received_us DESC) AS d) AS found"
         " LEFT JOIN devices ON id = sender WHERE of_key <= 2"
         " ORDER BY own DESC, turn, enrolled NULLS FIRST, newest LIMIT $4"},
    [SQL_DISCLOSED_PUT] =
        {SQL_RECOVERY, "INSERT INTO disclosures (chain, n, time, who, key_id, volume, device)"
                       " VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (chain, n) DO"
                       " UPDATE SET who = excluded.who WHERE excluded.who = '' AND disclosures.who <> '' AND"
                       " disclosures.time = excluded.time AND disclosures.key_id = excluded.key_id AND"
                       " disclosures.volume = excluded.volume AND disclosures.device = excluded.device"},
    [SQL_DISCLOSED_SAME] =
        {SQL_RECOVERY,
         "SELECT 1 FROM disclosures WHERE chain = $1 AND n = $2 AND time = $3 AND (who = $4 OR who = '')"
         " AND key_id = $5 AND volume = $6 AND device = $7"},
    [SQL_COMMAND_PUT] = {SQL_RECOVERY,
                         "INSERT INTO commands (device, key_id, made, bytes, loss)"
                         " VALUES ($1, $2, $3, $4, $6)"
                         " ON CONFLICT (device, key_id) DO UPDATE SET bytes = excluded.bytes,"
                         /* what waits for another reason goes on waiting for that */
                         " loss = CASE WHEN excluded.loss IS NOT NULL AND (commands.done IS NULL"
                         " OR commands.again = 1) THEN commands.loss ELSE excluded.loss END,"
                         " again = CASE WHEN commands.done IS NOT NULL THEN 1 END"
                         " WHERE CAST($7 AS bigint) = 0 AND"
                         " (commands.done IS NULL OR commands.done <= $5)"},
    [SQL_COMMAND_GET] = {SQL_RECOVERY, "SELECT bytes, coalesce(again, 0), coalesce(loss, 0) FROM commands "
                                       "WHERE device = $1 AND key_id = $2 AND"
                                       " (done IS NULL OR again = 1) FOR UPDATE"},
    [SQL_COMMAND_ANSWERED] = {SQL_RECOVERY, "SELECT bytes FROM commands WHERE device = $1 AND key_id = $2 AND"
                                            " done IS NOT NULL AND again IS NULL FOR UPDATE"},
    [SQL_COMMAND_DONE] = {SQL_RECOVERY,
                          "UPDATE commands SET done = $3, again = NULL, loss = NULL WHERE device = $1 AND"
                          " key_id = $2 AND (done IS NULL OR again = 1)"},
    /* done, too, when whoever holds the volume since its owner was last seen has done it */
    [SQL_COMMAND_OPEN] =
        {SQL_RECOVERY,
         "SELECT 1 FROM commands WHERE device = $1 AND key_id = $2 AND done IS NULL AND NOT EXISTS"
         " (SELECT 1 FROM commands AS o JOIN devices AS h ON h.id = o.device JOIN devices AS f ON f.id = $1"
         " WHERE o.key_id = $2 AND o.device <> $1 AND o.done IS NOT NULL AND"
         " coalesce(f.seen, 0) < h.enrolled)"},
    [SQL_COMMAND_FORMER] =
        {SQL_RECOVERY, "SELECT c.device FROM envelopes AS e JOIN commands AS c ON c.device = e.device AND"
                       " c.key_id = e.key_id WHERE e.key_id = $2 AND e.sender = $1 AND e.own = 0 AND"
                       " (c.done IS NULL OR c.again = 1) LIMIT 1"},
    [SQL_LOSS_ORDERS] =
        {SQL_RECOVERY,
         "SELECT c.device, c.key_id, CAST(CASE WHEN d.seen >= c.made THEN 1 ELSE 0 END AS bigint)"
         " FROM commands AS c LEFT JOIN devices AS d ON d.id = c.device WHERE c.loss = $1 AND"
         " (c.done IS NULL OR c.again = 1) LIMIT $2"},
    [SQL_LOSS_COUNT] = {SQL_RECOVERY, "SELECT count(*) FROM commands WHERE loss > $1 AND loss < $2 AND"
                                      " (done IS NULL OR again = 1)"},
    [SQL_COMMAND_FORGET] = {SQL_RECOVERY,
                            "DELETE FROM commands WHERE device = $1 AND key_id = $2 AND done IS NULL"},
    [SQL_COMMAND_LET_BE] = {SQL_RECOVERY, "UPDATE commands SET again = NULL, loss = NULL WHERE device = $1"
                                          " AND key_id = $2 AND done IS NOT NULL"},
    [SQL_HOLDERS] = {SQL_RECOVERY,
                     "SELECT e.sender FROM envelopes AS e JOIN envelopes AS o ON o.volume = e.volume AND"
                     " o.sender = e.sender AND o.own = 1 WHERE e.key_id = $2 AND e.device = $1 AND e.own = 0"
                     " GROUP BY e.sender ORDER BY max(o.received_us) DESC, e.sender LIMIT $3"},
    /* In no order: what a device can never answer (a volume is wiped) must not stand before all else. */
    [SQL_COMMANDS] = {SQL_RECOVERY,
                      "SELECT bytes FROM commands WHERE device = $1 AND (done IS NULL OR again = 1)"
                      " ORDER BY random() LIMIT $2"},
    [SQL_UNCERTAIN] =
        {SQL_RECOVERY,
         "WITH e AS (SELECT o.device, o.key_id, volume, time, received_us, record,"
         " CAST(CASE WHEN c.key_id IS NULL THEN 0 WHEN c.done IS NULL THEN 1 ELSE 2 END AS bigint) AS state,"
         " min(CASE WHEN c.done IS NOT NULL AND c.made > $5 THEN c.made END) OVER"
         " (PARTITION BY o.device, volume) AS rotated"
         " FROM envelopes AS o LEFT JOIN commands AS c ON c.device = o.device AND c.key_id = o.key_id"
         " WHERE o.sender > $1 AND o.sender <= $2 AND own = 1 AND EXISTS"
         " (SELECT 1 FROM devices WHERE id = o.device AND revoked = 0 AND approved IN (1, 3))),"
         " k AS (SELECT device, key_id, volume, min(state) AS state, min(received_us) AS received,"
         " min(CASE WHEN received_us <= $4 OR"
         " (time <= $5 AND (rotated IS NULL OR received_us < (rotated + 1) * 1000000)) OR EXISTS"
         " (SELECT 1 FROM flags WHERE flags.device = e.device AND kind = 'lost' AND flags.record = e.record)"
         " THEN received_us END) AS due FROM e GROUP BY device, key_id, volume),"
         " r AS (SELECT *, max(CASE WHEN received < $3 THEN received END) OVER (PARTITION BY device, volume)"
         " AS newest FROM k),"
         " s AS (SELECT DISTINCT device, key_id, state FROM r"
         " WHERE due IS NOT NULL AND NOT coalesce(due < newest, false)),"
         " t AS (SELECT *, count(*) OVER (PARTITION BY device, state) AS keys,"
         " row_number() OVER (PARTITION BY device, state ORDER BY key_id) AS place FROM s)"
         " SELECT device, key_id, state, CASE WHEN place = 1 THEN keys ELSE 0 END FROM t WHERE place <= $6"
         " ORDER BY device, key_id LIMIT $7"},
    [SQL_EVENT_PUT] = {SQL_COMPLIANCE,
                       "INSERT INTO events (record, device, event, key_id, other_key_id, volume, result,"
                       " reason, time, received_us) SELECT $1::bytea, $2::bytea, $3::bigint, $4::text,"
                       " $5::text, $6::bytea, $7::bigint, $8::bigint, $9::bigint, $10::bigint"
                       " WHERE NOT EXISTS (SELECT 1 FROM events WHERE record = $1::bytea)"},
    [SQL_RETAINED] = {SQL_COMPLIANCE, "SELECT keyholt_drop($1, $2)"},
    [SQL_RETENTION] = {SQL_COMPLIANCE, "SELECT records, events FROM retentions WHERE cutoff_us = $1"},
    [SQL_PATIENT] = {SQL_BOTH, "SELECT set_config('statement_timeout', '0', false),"
                               " set_config('idle_in_transaction_session_timeout', '0', false)"},
    [SQL_BOOTS] = {SQL_COMPLIANCE,
                   "SELECT time, received_us, device, key_id, volume, result, reason FROM events"
                   " WHERE event = 1 AND key_id >= $1 AND key_id < $2 ORDER BY received_us DESC LIMIT $3"},
};
