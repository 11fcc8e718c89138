#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every SQL statement of the keeper. Inside agent/state/cache*.c only. */

/* Schema by version: element i brings version i to version i + 1. Never change one that was released. */
static const char *const cache_migrations[] = {
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE receipt(id INTEGER PRIMARY KEY, bytes BLOB NOT NULL);"
    "CREATE TABLE record(id INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE, kind INTEGER NOT NULL,"
    " bytes BLOB NOT NULL, receipt INTEGER REFERENCES receipt(id));"
    "CREATE INDEX outbox ON record(kind, id) WHERE receipt IS NULL;"
    "CREATE TABLE envelope(key_id BLOB PRIMARY KEY, hash BLOB NOT NULL, bytes BLOB NOT NULL,"
    " record BLOB REFERENCES record(name)) WITHOUT ROWID;"
    "CREATE TABLE volume(uuid BLOB PRIMARY KEY, device TEXT NOT NULL, label TEXT NOT NULL,"
    " state INTEGER NOT NULL, rotate INTEGER NOT NULL, note TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE key(key_id BLOB PRIMARY KEY, volume BLOB NOT NULL, slot INTEGER NOT NULL,"
    " count INTEGER NOT NULL, state INTEGER NOT NULL, fingerprint BLOB NOT NULL, commitment BLOB NOT NULL,"
    " verified INTEGER NOT NULL, made INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX key_volume ON key(volume, made);",
    "CREATE TABLE rotation(key_id BLOB PRIMARY KEY, record BLOB NOT NULL REFERENCES record(name))"
    " WITHOUT ROWID;",
    "ALTER TABLE record ADD COLUMN settled INTEGER NOT NULL DEFAULT -1;", /* time of its newest receipt */
    "ALTER TABLE key ADD COLUMN cause INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE key ADD COLUMN spent INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE record ADD COLUMN class INTEGER NOT NULL DEFAULT 0;" /* of that receipt */
    "CREATE TABLE life(uuid BLOB PRIMARY KEY, seqid INTEGER NOT NULL, checked INTEGER NOT NULL,"
    " management INTEGER NOT NULL, exposed INTEGER NOT NULL, digest BLOB NOT NULL) WITHOUT ROWID;",
    /* of a record that goes out again: the receipt it had, and the last batch before that */
    "ALTER TABLE record ADD COLUMN proof INTEGER;"
    "ALTER TABLE record ADD COLUMN after INTEGER NOT NULL DEFAULT 0;",
    "CREATE TABLE draft(id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, bytes BLOB NOT NULL, key_id BLOB);",
    /* the batch that its newest receipt answers */
    "ALTER TABLE record ADD COLUMN answered INTEGER NOT NULL DEFAULT 0;",
    /* of a key: the latest order that came, and when a server first had it that the key was replaced; of a
     * record that says so: the key */
    "ALTER TABLE key ADD COLUMN ordered INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE key ADD COLUMN known INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE record ADD COLUMN replaced BLOB;"
    "UPDATE record SET replaced=(SELECT o.key_id FROM rotation o WHERE o.record=record.name)"
    " WHERE name IN (SELECT record FROM rotation);"
    "UPDATE key SET known=coalesce((SELECT r.settled FROM rotation o JOIN record r ON r.name=o.record"
    " WHERE o.key_id=key.key_id AND r.settled>0),0);",
};

/* locking_mode before journal_mode: with EXCLUSIVE there is no shared memory file, which a full disk could
 * make fail in its own way; the keeper is the only reader. */
#define SQL_PRAGMAS                                                                                          \
    "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"                       \
    "PRAGMA foreign_keys=ON; PRAGMA secure_delete=ON; PRAGMA trusted_schema=OFF; PRAGMA temp_store=MEMORY;"
#define SQL_CHECK       "PRAGMA quick_check(1)"
#define SQL_VERSION_GET "PRAGMA user_version"
#define SQL_VERSION_SET "PRAGMA user_version=%u" /* a PRAGMA takes no parameters; the number is ours */

#define SQL_BEGIN    "BEGIN IMMEDIATE"
#define SQL_COMMIT   "COMMIT"
#define SQL_ROLLBACK "ROLLBACK"

#define SQL_META_GET   "SELECT value FROM meta WHERE name=?1"
#define SQL_META_SET   "INSERT INTO meta VALUES(?1,?2) ON CONFLICT(name) DO UPDATE SET value=?2"
#define SQL_META_UNSET "DELETE FROM meta WHERE name=?1"

#define SQL_VOLUME_PUT                                                                                       \
    "INSERT INTO volume VALUES(?1,?2,?3,?4,?5,?6) ON CONFLICT(uuid) DO UPDATE SET device=?2,label=?3,"       \
    "state=?4,rotate=?5,note=?6"
#define SQL_VOLUME_COLUMNS "SELECT uuid,device,label,state,rotate,note FROM volume "
#define SQL_VOLUME_GET     SQL_VOLUME_COLUMNS "WHERE uuid=?1"
#define SQL_VOLUMES        SQL_VOLUME_COLUMNS "ORDER BY device,uuid"

#define SQL_ENVELOPE_PUT "INSERT OR IGNORE INTO envelope VALUES(?1,?2,?3,NULL)"
#define SQL_ENVELOPE_GET "SELECT bytes FROM envelope WHERE key_id=?1"
#define SQL_ENVELOPE_REC "UPDATE envelope SET record=?2 WHERE key_id=?1"
#define SQL_ENVELOPE_NEXT                                                                                    \
    "SELECT key_id,bytes FROM envelope WHERE record IS NOT NULL AND key_id>?1 ORDER BY key_id LIMIT 1"
#define SQL_ENVELOPES "SELECT hash FROM envelope WHERE record IS NOT NULL ORDER BY hash"

#define SQL_KEY_PUT                                                                                          \
    "INSERT INTO key(key_id,volume,slot,count,state,fingerprint,commitment,verified,made,cause,spent) "      \
    "VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11) ON CONFLICT(key_id) DO UPDATE SET "                          \
    "slot=?3,count=?4,state=?5,fingerprint=?6,commitment=?7,verified=?8,cause=?10,spent=?11"
#define SQL_KEY_COLUMNS                                                                                      \
    "SELECT k.key_id,k.volume,k.slot,k.count,k.state,k.fingerprint,k.commitment,k.verified,k.made,"          \
    "e.record IS NOT NULL OR EXISTS(SELECT 1 FROM draft d WHERE d.key_id=k.key_id),r.receipt IS NOT NULL,"   \
    "k.cause,k.spent,r.class,k.ordered,k.known FROM key k LEFT JOIN "                                        \
    "envelope e ON e.key_id=k.key_id "                                                                       \
    "LEFT JOIN record r ON r.name=e.record "
#define SQL_KEY_GET SQL_KEY_COLUMNS "WHERE k.key_id=?1"
#define SQL_KEYS    SQL_KEY_COLUMNS "WHERE k.volume=?1 ORDER BY k.made DESC,k.key_id LIMIT ?2"

#define SQL_KEY_ORDERED "UPDATE key SET ordered=?2 WHERE key_id=?1 AND ordered<?2"
#define SQL_KEY_KNOWN                                                                                        \
    "UPDATE key SET known=?2 WHERE key_id=(SELECT replaced FROM record WHERE name=?1) AND "                  \
    "(known=0 OR known>?2)"
#define SQL_KEY_NEWEST "SELECT coalesce(max(made),0) FROM key WHERE volume=?1 AND verified<>0"
#define SQL_LIFE_GET   "SELECT seqid,checked,management,exposed,digest FROM life WHERE uuid=?1"
#define SQL_LIFE_PUT                                                                                         \
    "INSERT INTO life VALUES(?1,?2,?3,?4,?5,?6) ON CONFLICT(uuid) DO UPDATE SET seqid=?2,checked=?3,"        \
    "management=?4,exposed=?5,digest=?6"

#define SQL_RECORD_ADD  "INSERT OR IGNORE INTO record(name,kind,bytes) VALUES(?1,?2,?3)"
#define SQL_RECORD_FIND "SELECT 1 FROM record WHERE name BETWEEN ?1 AND ?2"
/* kind 1 is the escrow record; its device stands in every record. source: docs/formats.md#record */
#define SQL_SIGNED_BY "substr(bytes,9,32)="
#define SQL_OUTBOX                                                                                           \
    "SELECT name,bytes FROM record WHERE receipt IS NULL AND " SQL_SIGNED_BY "?2 ORDER BY kind<>1,id LIMIT " \
    "?1 OFFSET ?3"
#define SQL_OUTBOX_COUNT "SELECT count(*) FROM record WHERE receipt IS NULL AND " SQL_SIGNED_BY "?1"
#define SQL_OUTBOX_OTHER "SELECT count(*) FROM record WHERE receipt IS NULL AND NOT " SQL_SIGNED_BY "?1"
#define SQL_RECEIPT_ADD  "INSERT INTO receipt(bytes) VALUES(?1)"
/* one that answers a batch of ours counts by the batch's number, another one (?5 is 0) by the server's clock;
 * a number that we never gave must not stand above those that we shall give */
#define SQL_ATTEMPT "coalesce((SELECT value FROM meta WHERE name='attempt'),0)"
#define SQL_RECEIPTED                                                                                        \
    "UPDATE record SET receipt=?2,settled=?3,class=?4,proof=NULL,"                                           \
    "answered=max(answered,min(?5," SQL_ATTEMPT ")) WHERE name=?1 AND "                                      \
    "CASE WHEN receipt IS NOT NULL THEN class<?4 WHEN ?5>0 THEN after<?5 ELSE settled<?3 END"
#define SQL_AGAIN                                                                                            \
    "UPDATE record SET proof=coalesce(receipt,proof),receipt=NULL,class=0,"                                  \
    "after=" SQL_ATTEMPT " WHERE "
#define SQL_RESEND SQL_AGAIN "kind=1 AND " SQL_SIGNED_BY "?1"
/* an integer, unlike what cache_set_u64() keeps, so that the statement above can take it */
#define SQL_ATTEMPT_NEXT                                                                                     \
    "INSERT INTO meta VALUES('attempt',1) ON CONFLICT(name) DO UPDATE SET "                                  \
    "value=CASE WHEN value<4294967295 THEN value+1 ELSE 1 END"
#define SQL_ATTEMPT_GET "SELECT value FROM meta WHERE name='attempt'"
#define SQL_PROOFS                                                                                           \
    "SELECT bytes FROM receipt WHERE id IN (SELECT proof FROM record WHERE receipt IS NULL AND "             \
    "proof IS NOT NULL AND " SQL_SIGNED_BY "?1 ORDER BY kind<>1,id LIMIT 256) LIMIT ?2"
#define SQL_ROTATION_PUT   "INSERT OR REPLACE INTO rotation VALUES(?1,?2)"
#define SQL_ROTATION_OF    "UPDATE record SET replaced=?1 WHERE name=?2"
#define SQL_ROTATION_GET   "SELECT record FROM rotation WHERE key_id=?1"
#define SQL_ROTATION_BYTES "SELECT r.bytes FROM rotation o JOIN record r ON r.name=o.record WHERE o.key_id=?1"
#define SQL_ROTATION_CLEAR "DELETE FROM rotation"
#define SQL_ENVELOPE_PAGE                                                                                    \
    "SELECT e.hash FROM envelope e JOIN record r ON r.name=e.record WHERE r.receipt IS NOT NULL AND "        \
    "substr(r.bytes,9,32)=?1 AND e.hash>?2 ORDER BY e.hash LIMIT ?3"
/* what was receipted since batch ?3 went out, or waits already, is not what a server lacked then */
#define SQL_LACKED          "receipt IS NOT NULL AND answered<?3 AND " SQL_SIGNED_BY "?1 AND "
#define SQL_RESEND_ENVELOPE SQL_AGAIN SQL_LACKED "name=(SELECT record FROM envelope WHERE hash=?2)"
#define SQL_OUTBOX_ESCROWS                                                                                   \
    "SELECT count(*) FROM record WHERE receipt IS NULL AND kind=1 AND " SQL_SIGNED_BY "?1"
#define SQL_DRAFT_ADD   "INSERT INTO draft(kind,bytes,key_id) VALUES(?1,?2,?3)"
#define SQL_DRAFT_NEXT  "SELECT id,bytes,key_id FROM draft ORDER BY id LIMIT 1"
#define SQL_DRAFT_DROP  "DELETE FROM draft WHERE id=?1"
#define SQL_DRAFT_CLEAR "DELETE FROM draft WHERE kind=?1"
#define SQL_DRAFT_COUNT "SELECT count(*) FROM draft"

/* kind 4 is the key package */
#define SQL_PACKAGES "SELECT name FROM record WHERE kind=4 AND " SQL_SIGNED_BY "?1 ORDER BY name"
#define SQL_PACKAGE_PAGE                                                                                     \
    "SELECT name FROM record WHERE kind=4 AND receipt IS NOT NULL AND " SQL_SIGNED_BY                        \
    "?1 AND name>?2 ORDER BY name LIMIT ?3"
#define SQL_PACKAGE_NEXT                                                                                     \
    "SELECT name,bytes FROM record WHERE kind=4 AND " SQL_SIGNED_BY "?1 AND name>?2 ORDER BY name LIMIT 1"
#define SQL_RESEND_PACKAGE SQL_AGAIN "kind=4 AND " SQL_LACKED "name=?2"
#define SQL_OUTBOX_PACKAGES                                                                                  \
    "SELECT count(*) FROM record WHERE receipt IS NULL AND kind=4 AND " SQL_SIGNED_BY "?1"
#define SQL_RESEND_ONE SQL_AGAIN "name=?1"
#define SQL_RECEIPTS_PRUNE                                                                                   \
    "DELETE FROM receipt WHERE id NOT IN (SELECT receipt FROM record WHERE receipt NOT NULL UNION ALL "      \
    "SELECT proof FROM record WHERE proof NOT NULL)"
