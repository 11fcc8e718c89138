/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/store/sql.h"

const char *const sql_sqlite_open =
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
    "PRAGMA busy_timeout=5000; PRAGMA temp_store=MEMORY;"
    /* what was erased is nowhere in the file (Debian's default) */
    "PRAGMA secure_delete=ON;"
    /* a batch changes some hundred pages, most of them again in the next: 16 MiB of them in memory, 32 in the
       log, which once longer is cut to that when it begins anew */
    "PRAGMA cache_size=-16384; PRAGMA wal_autocheckpoint=8192; PRAGMA journal_size_limit=33554432;";

const char *const sql_sqlite_read =
    "PRAGMA busy_timeout=5000; PRAGMA temp_store=MEMORY; PRAGMA cache_size=-16384;";

const char *const sql_sqlite_alone = "PRAGMA temp_store=FILE; PRAGMA secure_delete=FAST;"
                                     "PRAGMA journal_mode=DELETE;";

const struct sql_statement sql_sqlite[SQL_COUNT] = {
    [SQL_LOOK] = {SQL_BOTH, "BEGIN"},
    [SQL_BEGIN] = {SQL_BOTH, "BEGIN IMMEDIATE"},
    [SQL_COMMIT] = {SQL_BOTH, "COMMIT"},
    [SQL_ROLLBACK] = {SQL_BOTH, "ROLLBACK"},
    [SQL_MARK] = {SQL_BOTH, "SAVEPOINT request"},
    [SQL_UNDO] = {SQL_BOTH, "ROLLBACK TO request"},
    [SQL_RELEASE] = {SQL_BOTH, "RELEASE request"},
    [SQL_RECORD_PUT] = {SQL_BOTH, "INSERT INTO records (name, device, incarnation, sequence, previous, kind,"
                                  " time, received_us, bytes) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
                                  " ON CONFLICT (device, incarnation, sequence, name) DO NOTHING"},
    [SQL_FORKED] = {SQL_BOTH,
                    /* a range first: with the OR alone a whole chain would be read */
                    "SELECT 1 FROM records WHERE device = ?1 AND incarnation = ?2 AND"
                    " sequence BETWEEN ?3 - 1 AND ?3 AND"
                    " name <> CASE WHEN sequence = ?3 THEN ?4 ELSE ?5 END LIMIT 1"},
    [SQL_HAS_SEQUENCE] = {SQL_BOTH, "SELECT 1 FROM records WHERE device = ?1 AND incarnation = ?2 AND"
                                    " sequence BETWEEN ?3 AND CASE ?3 WHEN 0 THEN 9223372036854775807 ELSE ?3"
                                    " END UNION ALL SELECT 1 FROM forgotten WHERE"
                                    " device = ?1 AND incarnation = ?2 AND sequence >= ?3 LIMIT 1"},
    /* the incarnation that spoke last, and the highest number it reached */
    [SQL_KNOWN] = {SQL_BOTH,
                   "SELECT incarnation, sequence, name, received_us FROM records WHERE device = ?1 AND"
                   " incarnation = (SELECT incarnation FROM records WHERE device = ?1"
                   " ORDER BY received_us DESC, sequence DESC LIMIT 1) ORDER BY sequence DESC LIMIT 1"},
    /* the row of max() (SQLite's "bare columns"); to sort them, SQLite would set up a table, also for none */
    [SQL_KNOWN_FORGOTTEN] = {SQL_COMPLIANCE,
                             "SELECT incarnation, sequence, name, max(received_us) FROM forgotten"
                             " WHERE device = ?1 GROUP BY device"},
    [SQL_PROBE] = {SQL_BOTH, "INSERT INTO health (one, time) VALUES (1, ?1)"
                             " ON CONFLICT (one) DO UPDATE SET time = excluded.time"},
    [SQL_DEVICE_GET] =
        {SQL_RECOVERY,
         "SELECT spki, courier, revoked, computer, enrolled, approved FROM devices WHERE id = ?1"},
    [SQL_DEVICE_PUT] = {SQL_RECOVERY, "INSERT INTO devices (id, spki, courier, computer, enrolled, approved)"
                                      " VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (id) DO UPDATE SET"
                                      " courier = excluded.courier, computer = excluded.computer,"
                                      " enrolled = CASE WHEN devices.approved = 3 THEN excluded.enrolled"
                                      " ELSE devices.enrolled END"},
    [SQL_DEVICE_SEEN] = {SQL_RECOVERY, "UPDATE devices SET seen = ?2, audit_head = coalesce(?3, audit_head)"
                                       " WHERE id = ?1"},
    [SQL_DEVICES] = {SQL_RECOVERY, "SELECT id, computer, approved, revoked, enrolled, coalesce(seen, 0)"
                                   " FROM devices WHERE id > ?1 ORDER BY id LIMIT ?2"},
    [SQL_DEVICES_WAITING] = {SQL_RECOVERY,
                             "SELECT id, computer, approved, revoked, enrolled, coalesce(seen, 0)"
                             " FROM devices WHERE id > ?1 AND approved <> 1 ORDER BY id LIMIT ?2"},
    [SQL_DEVICE_APPROVED] = {SQL_RECOVERY, "UPDATE devices SET approved = ?2 WHERE id = ?1"},
    [SQL_DEVICE_REVOKED] = {SQL_RECOVERY, "UPDATE devices SET revoked = ?2 WHERE id = ?1"},
    [SQL_TOKEN_PUT] = {SQL_RECOVERY, "INSERT INTO tokens (hash, expires, uses, made) VALUES (?1, ?2, ?3, ?4)"
                                     " ON CONFLICT (hash) DO NOTHING"},
    [SQL_TOKEN_USE] = {SQL_RECOVERY, "UPDATE tokens SET uses = uses - 1 WHERE hash = ?1 AND expires > ?2 AND"
                                     " uses > 0"},
    [SQL_TOKEN_CHECK] = {SQL_RECOVERY, "SELECT 1 FROM tokens WHERE hash = ?1 AND expires > ?2"},
    [SQL_ENVELOPE_PUT] = {SQL_RECOVERY,
                          "INSERT INTO envelopes (hash, sender, record, key_id, volume, device, own,"
                          " commitment, computer, label, time, received_us, bytes)"
                          " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)"
                          " ON CONFLICT (sender, volume, hash) DO NOTHING"},
    [SQL_FLAG_PUT] = {SQL_RECOVERY,
                      "INSERT INTO flags (device, kind, incarnation, sequence, record, received_us)"
                      " VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING"},
    [SQL_FLAGS] = {SQL_RECOVERY,
                   "SELECT f.device, f.kind, f.record, f.sequence, f.received_us, coalesce(d.computer, '')"
                   " FROM flags AS f LEFT JOIN devices AS d ON d.id = f.device WHERE (f.received_us, "
                   "f.device, f.kind, f.record) < (?1, ?2, ?3, ?4)"
                   " ORDER BY f.received_us DESC, f.device DESC, f.kind DESC, f.record DESC LIMIT ?5"},
    [SQL_FLAGS_DEVICE] =
        {SQL_RECOVERY,
         "SELECT f.device, f.kind, f.record, f.sequence, f.received_us, coalesce(d.computer, '')"
         " FROM flags AS f LEFT JOIN devices AS d ON d.id = f.device WHERE f.device = ?2 AND (f.received_us, "
         "f.kind, f.record) < (?1, ?3, ?4)"
         " ORDER BY f.received_us DESC, f.kind DESC, f.record DESC LIMIT ?5"},
    [SQL_FLAGS_KIND] =
        {SQL_RECOVERY,
         "SELECT f.device, f.kind, f.record, f.sequence, f.received_us, coalesce(d.computer, '')"
         " FROM flags AS f LEFT JOIN devices AS d ON d.id = f.device WHERE f.kind = ?3 AND (f.received_us, "
         "f.device, f.record) < (?1, ?2, ?4)"
         " ORDER BY f.received_us DESC, f.device DESC, f.record DESC LIMIT ?5"},
    /* each once: what is a device's own, it sent itself, and a hash has one volume */
    [SQL_DIGEST] = {SQL_RECOVERY, "SELECT hash FROM envelopes WHERE sender = ?1"},
    /* kind 4 is the key package */
    [SQL_PACKAGES] = {SQL_RECOVERY, "SELECT name FROM records WHERE device = ?1 AND kind = 4"},
    [SQL_HAS_PACKAGE] = {SQL_RECOVERY, "SELECT 1 FROM records WHERE name = ?1 AND device = ?2 AND kind = 4"},
    /* The device's hashes are gone through once, however many are asked about. */
    [SQL_MISSING] = {SQL_RECOVERY,
                     "WITH RECURSIVE asked (at, hash) AS (SELECT 1, substr(?1, 1, 32) WHERE length(?1) >= 32"
                     " UNION ALL SELECT at + 32, substr(?1, at + 32, 32) FROM asked"
                     " WHERE at + 63 <= length(?1))"
                     " SELECT hash FROM asked WHERE hash IN (SELECT hash FROM asked EXCEPT"
                     " SELECT hash FROM envelopes WHERE sender = ?2) ORDER BY at"},
    /* A key that came with its own device's signature shadows the same key brought by others, so that
     * nobody can put another envelope in its place; among one password's envelopes the newest is enough.
     * No device can crowd the others out of the list: two rows of each for one key ID, everybody's first row
     * before anybody's second, and those who enrolled first in front. */
    [SQL_FIND] =
        {SQL_RECOVERY,
         "SELECT bytes, found.computer, label, own, newest, fits FROM (SELECT *, count(*) OVER () AS fits,"
         " row_number() OVER (PARTITION BY sender, key_id ORDER BY newest DESC) AS of_key,"
         " row_number() OVER (PARTITION BY sender ORDER BY newest DESC) AS turn"
         " FROM (SELECT bytes, computer, label, own, sender, key_id, max(received_us) AS newest"
         " FROM envelopes AS e WHERE key_id >= ?1 AND key_id < ?2 AND hex(device) LIKE ?3 AND"
         " (own = 1 OR NOT EXISTS (SELECT 1 FROM envelopes WHERE key_id = e.key_id AND"
         " sender = e.device AND own = 1)) GROUP BY key_id, volume, device, commitment)) AS found"
         " LEFT JOIN devices ON id = sender WHERE of_key <= 2"
         " ORDER BY own DESC, turn, enrolled, newest LIMIT ?4"},
    [SQL_DISCLOSED_PUT] =
        {SQL_RECOVERY, "INSERT INTO disclosures (chain, n, time, who, key_id, volume, device)"
                       " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (chain, n) DO"
                       " UPDATE SET who = excluded.who WHERE excluded.who = '' AND disclosures.who <> '' AND"
                       " disclosures.time = excluded.time AND disclosures.key_id = excluded.key_id AND"
                       " disclosures.volume = excluded.volume AND disclosures.device = excluded.device"},
    [SQL_DISCLOSED_SAME] =
        {SQL_RECOVERY,
         "SELECT 1 FROM disclosures WHERE chain = ?1 AND n = ?2 AND time = ?3 AND (who = ?4 OR who = '')"
         " AND key_id = ?5 AND volume = ?6 AND device = ?7"},
    [SQL_COMMAND_PUT] = {SQL_RECOVERY,
                         "INSERT INTO commands (device, key_id, made, bytes, loss)"
                         " VALUES (?1, ?2, ?3, ?4, ?6)"
                         " ON CONFLICT (device, key_id) DO UPDATE SET bytes = excluded.bytes,"
                         /* what waits for another reason goes on waiting for that */
                         " loss = CASE WHEN excluded.loss IS NOT NULL AND (commands.done IS NULL"
                         " OR commands.again = 1) THEN commands.loss ELSE excluded.loss END,"
                         " again = CASE WHEN commands.done IS NOT NULL THEN 1 END"
                         " WHERE ?7 = 0 AND (commands.done IS NULL OR commands.done <= ?5)"},
    [SQL_COMMAND_GET] = {SQL_RECOVERY, "SELECT bytes, coalesce(again, 0), coalesce(loss, 0) FROM commands "
                                       "WHERE device = ?1 AND key_id = ?2 AND"
                                       " (done IS NULL OR again = 1)"},
    [SQL_COMMAND_ANSWERED] = {SQL_RECOVERY, "SELECT bytes FROM commands WHERE device = ?1 AND key_id = ?2 AND"
                                            " done IS NOT NULL AND again IS NULL"},
    [SQL_COMMAND_DONE] = {SQL_RECOVERY,
                          "UPDATE commands SET done = ?3, again = NULL, loss = NULL WHERE device = ?1 AND"
                          " key_id = ?2 AND (done IS NULL OR again = 1)"},
    /* done, too, when whoever holds the volume since its owner was last seen has done it */
    [SQL_COMMAND_OPEN] =
        {SQL_RECOVERY,
         "SELECT 1 FROM commands WHERE device = ?1 AND key_id = ?2 AND done IS NULL AND NOT EXISTS"
         " (SELECT 1 FROM commands AS o JOIN devices AS h ON h.id = o.device JOIN devices AS f ON f.id = ?1"
         " WHERE o.key_id = ?2 AND o.device <> ?1 AND o.done IS NOT NULL AND"
         " coalesce(f.seen, 0) < h.enrolled)"},
    [SQL_COMMAND_FORMER] =
        {SQL_RECOVERY, "SELECT c.device FROM envelopes AS e JOIN commands AS c ON c.device = e.device AND"
                       " c.key_id = e.key_id WHERE e.key_id = ?2 AND e.sender = ?1 AND e.own = 0 AND"
                       " (c.done IS NULL OR c.again = 1) LIMIT 1"},
    [SQL_LOSS_ORDERS] = {SQL_RECOVERY,
                         "SELECT c.device, c.key_id, CASE WHEN d.seen >= c.made THEN 1 ELSE 0 END"
                         " FROM commands AS c LEFT JOIN devices AS d ON d.id = c.device WHERE c.loss = ?1 AND"
                         " (c.done IS NULL OR c.again = 1) LIMIT ?2"},
    [SQL_LOSS_COUNT] = {SQL_RECOVERY, "SELECT count(*) FROM commands WHERE loss > ?1 AND loss < ?2 AND"
                                      " (done IS NULL OR again = 1)"},
    [SQL_COMMAND_FORGET] = {SQL_RECOVERY,
                            "DELETE FROM commands WHERE device = ?1 AND key_id = ?2 AND done IS NULL"},
    [SQL_COMMAND_LET_BE] = {SQL_RECOVERY, "UPDATE commands SET again = NULL, loss = NULL WHERE device = ?1"
                                          " AND key_id = ?2 AND done IS NOT NULL"},
    [SQL_HOLDERS] = {SQL_RECOVERY,
                     "SELECT e.sender FROM envelopes AS e JOIN envelopes AS o ON o.volume = e.volume AND"
                     " o.sender = e.sender AND o.own = 1 WHERE e.key_id = ?2 AND e.device = ?1 AND e.own = 0"
                     " GROUP BY e.sender ORDER BY max(o.received_us) DESC, e.sender LIMIT ?3"},
    /* In no order: what a device can never answer (a volume is wiped) must not stand before all else. */
    [SQL_COMMANDS] = {SQL_RECOVERY,
                      "SELECT bytes FROM commands WHERE device = ?1 AND (done IS NULL OR again = 1)"
                      " ORDER BY random() LIMIT ?2"},
    /* A replaced key is of the window when its successor came after the window began. What came after an
     * order that replaced its volume's key is not of it merely because the device says so: its clock may be
     * behind for ever. Each envelope of a device is read once: it may bring as many as it likes. */
    [SQL_UNCERTAIN] =
        {SQL_RECOVERY,
         "WITH e AS (SELECT o.device, o.key_id, volume, time, received_us, record,"
         " CASE WHEN c.key_id IS NULL THEN 0 WHEN c.done IS NULL THEN 1 ELSE 2 END AS state,"
         " min(CASE WHEN c.done IS NOT NULL AND c.made > ?5 THEN c.made END) OVER"
         " (PARTITION BY o.device, volume) AS rotated"
         " FROM envelopes AS o LEFT JOIN commands AS c ON c.device = o.device AND c.key_id = o.key_id"
         " WHERE o.sender > ?1 AND o.sender <= ?2 AND own = 1 AND EXISTS"
         " (SELECT 1 FROM devices WHERE id = o.device AND revoked = 0 AND approved IN (1, 3))),"
         " k AS (SELECT device, key_id, volume, min(state) AS state, min(received_us) AS received,"
         " min(CASE WHEN received_us <= ?4 OR"
         " (time <= ?5 AND (rotated IS NULL OR received_us < (rotated + 1) * 1000000)) OR EXISTS"
         " (SELECT 1 FROM flags WHERE flags.device = e.device AND kind = 'lost' AND flags.record = e.record)"
         " THEN received_us END) AS due FROM e GROUP BY device, key_id, volume),"
         " r AS (SELECT *, max(CASE WHEN received < ?3 THEN received END) OVER (PARTITION BY device, volume)"
         " AS newest FROM k),"
         " s AS (SELECT DISTINCT device, key_id, state FROM r"
         " WHERE due IS NOT NULL AND NOT coalesce(due < newest, 0)),"
         " t AS (SELECT *, count(*) OVER (PARTITION BY device, state) AS keys,"
         " row_number() OVER (PARTITION BY device, state ORDER BY key_id) AS place FROM s)"
         " SELECT device, key_id, state, CASE WHEN place = 1 THEN keys ELSE 0 END FROM t WHERE place <= ?6"
         " ORDER BY device, key_id LIMIT ?7"},
    [SQL_EVENT_PUT] = {SQL_COMPLIANCE,
                       "INSERT INTO events (record, device, event, key_id, other_key_id, volume,"
                       " result, reason, time, received_us)"
                       " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
                       " ON CONFLICT (device, time, record) DO NOTHING"},
    /* One step of retention, in this order, of at most SQL_RETAIN_STEP rows each. */
    [SQL_RETAINED] = {SQL_COMPLIANCE,
                      "INSERT INTO retentions (cutoff_us, time, records, events) SELECT ?1, ?2,"
                      " (SELECT count(*) FROM (SELECT 1 FROM records WHERE received_us < ?1 LIMIT 200)),"
                      " (SELECT count(*) FROM (SELECT 1 FROM events WHERE received_us < ?1 LIMIT 200))"
                      " WHERE EXISTS (SELECT 1 FROM records WHERE received_us < ?1)"
                      " OR EXISTS (SELECT 1 FROM events WHERE received_us < ?1)"
                      " ON CONFLICT (cutoff_us) DO UPDATE SET time = excluded.time,"
                      " records = records + excluded.records, events = events + excluded.events"},
    [SQL_FORGET] =
        {SQL_COMPLIANCE,
         "INSERT INTO forgotten (device, incarnation, sequence, name, received_us)"
         " SELECT device, incarnation, max(sequence), name, received_us FROM (SELECT * FROM records"
         " WHERE received_us < ?1 ORDER BY received_us, rowid LIMIT 200) WHERE true"
         " GROUP BY device, incarnation ON CONFLICT (device, incarnation) DO UPDATE SET"
         " sequence = excluded.sequence, name = excluded.name, received_us = excluded.received_us"
         " WHERE excluded.sequence > sequence"},
    [SQL_RETAIN] = {SQL_COMPLIANCE, "DELETE FROM records WHERE rowid IN (SELECT rowid FROM records WHERE"
                                    " received_us < ?1 ORDER BY received_us, rowid LIMIT 200)"},
    [SQL_RETAIN_EVENTS] = {SQL_COMPLIANCE, "DELETE FROM events WHERE rowid IN (SELECT rowid FROM events WHERE"
                                           " received_us < ?1 ORDER BY received_us, rowid LIMIT 200)"},
    [SQL_RETENTION] = {SQL_COMPLIANCE, "SELECT records, events FROM retentions WHERE cutoff_us = ?1"},
    [SQL_BOOTS] = {SQL_COMPLIANCE,
                   "SELECT time, received_us, device, key_id, volume, result, reason FROM events"
                   " WHERE event = 1 AND key_id >= ?1 AND key_id < ?2 ORDER BY received_us DESC"
                   " LIMIT ?3"},
};
