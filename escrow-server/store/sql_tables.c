/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/store/sql.h"

/* keys and bounds: the columns of the key, and as many parameters */
#define BOTH(half_, name_, kinds_, n_key_, keys, bounds, columns, values)                                    \
    .half = STORE_##half_, .name = name_, .kinds = kinds_, .n_key = n_key_,                                  \
    .first = "SELECT " columns " FROM " name_ " ORDER BY " keys " LIMIT 500",                                \
    .next = "SELECT " columns " FROM " name_ " WHERE (" keys ") > (" bounds ") ORDER BY " keys " LIMIT 500", \
    .add = "INSERT INTO " name_ " (" columns ") VALUES (" values ") ON CONFLICT DO NOTHING"
#define TABLE(...)                                                                                           \
    {                                                                                                        \
        BOTH(__VA_ARGS__)                                                                                    \
    }
#define NUMBERED(half_, name_, kinds_, n_key_, keys, bounds, columns, values)                                \
    {                                                                                                        \
        BOTH(half_, name_, kinds_, n_key_, keys, bounds, columns, values),                                   \
            .numbered =                                                                                      \
                "SELECT " columns ", rowid FROM " name_ " WHERE rowid > $1 ORDER BY rowid LIMIT 500",        \
    }

#define RECORDS(half_)                                                                                       \
    NUMBERED(half_, "records", "bnbbnbnnb", 2, "name, received_us", "$1, $2",                                \
             "name, received_us, device, incarnation, sequence, previous, kind, time, bytes",                \
             "$1, $2, $3, $4, $5, $6, $7, $8, $9")
#define FORGOTTEN(half_)                                                                                     \
    TABLE(half_, "forgotten", "bbnbn", 2, "device, incarnation", "$1, $2",                                   \
          "device, incarnation, sequence, name, received_us", "$1, $2, $3, $4, $5")

const struct sql_table sql_tables[TABLE_COUNT] = {
    [TABLE_RECORDS] = RECORDS(RECOVERY),
    [TABLE_DEVICES] = TABLE(RECOVERY, "devices", "bbbntnnbn", 1, "id", "$1",
                            "id, spki, courier, revoked, computer, enrolled, seen, audit_head, approved",
                            "$1, $2, $3, $4, $5, $6, $7, $8, $9"),
    [TABLE_TOKENS] =
        TABLE(RECOVERY, "tokens", "bnnn", 1, "hash", "$1", "hash, expires, uses, made", "$1, $2, $3, $4"),
    [TABLE_ENVELOPES] =
        NUMBERED(RECOVERY, "envelopes", "bbbtbbnbttnnb", 2, "hash, sender", "$1, $2",
                 "hash, sender, record, key_id, volume, device, own, commitment, computer, label,"
                 " time, received_us, bytes",
                 "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13"),
    [TABLE_DISCLOSURES] = TABLE(RECOVERY, "disclosures", "tnnttbb", 2, "chain, n", "$1, $2",
                                "chain, n, time, who, key_id, volume, device", "$1, $2, $3, $4, $5, $6, $7"),
    [TABLE_COMMANDS] = TABLE(RECOVERY, "commands", "btnnbnn", 2, "device, key_id", "$1, $2",
                             "device, key_id, made, done, bytes, again, loss", "$1, $2, $3, $4, $5, $6, $7"),
    [TABLE_FLAGS] =
        TABLE(RECOVERY, "flags", "btbbnn", 3, "device, kind, record", "$1, $2, $3",
              "device, kind, record, incarnation, sequence, received_us", "$1, $2, $3, $4, $5, $6"),
    [TABLE_FORGOTTEN] = FORGOTTEN(RECOVERY),
    [TABLE_COMPLIANCE_RECORDS] = RECORDS(COMPLIANCE),
    [TABLE_EVENTS] =
        NUMBERED(COMPLIANCE, "events", "bnbnttbnnn", 2, "record, received_us", "$1, $2",
                 "record, received_us, device, event, key_id, other_key_id, volume, result, reason,"
                 " time",
                 "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10"),
    [TABLE_COMPLIANCE_FORGOTTEN] = FORGOTTEN(COMPLIANCE),
    [TABLE_RETENTIONS] = TABLE(COMPLIANCE, "retentions", "nnnn", 1, "cutoff_us", "$1",
                               "cutoff_us, time, records, events", "$1, $2, $3, $4"),
};

const char *const sql_has_envelope = "SELECT 1 FROM envelopes WHERE hash = $1 AND sender = $2"
                                     " AND volume = $3";
/* Both came in one transaction; where the record was there and the envelope was not, it came later. */
const char *const sql_has_record =
    "SELECT 1 FROM records WHERE name = $1 AND device = $2 AND received_us = $3"
    " UNION ALL SELECT 1 FROM records WHERE name = $1 AND device = $2 LIMIT 1";
const char *const sql_has_event = "SELECT 1 FROM events WHERE record = $1 AND device = $2 AND time = $3";
const char *const sql_has_disclosure = "SELECT 1 FROM disclosures WHERE chain = $1 AND n = $2";
