#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Everything that web, writer, reader and vault say to each other. A message is a frame (chan.h) whose body
 * is one of the structures below; put and get stand side by side in msg_store.c and msg_vault.c. */

#include "crypto/cursor.h"
#include "crypto/err.h"
#include "formats/command.h"
#include "formats/guid.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum msg_type {
    /* web → writer, or reader */
    MSG_ENROLL = 1, /* msg_enroll → MSG_ENROLLED with the certificate, PEM */
    MSG_DEVICE,     /* to the reader: msg_device → MSG_DEVICE_IS with msg_device_is */
    MSG_SYNC,       /* msg_sync → MSG_SYNCED with msg_synced */
    MSG_FIND,       /* to the reader: msg_find → MSG_FOUND with msg_found */
    MSG_DISCLOSED,  /* msg_entry → MSG_DONE with u64: index it, order the rotation; 1: the order waits */
    MSG_BOOTS,      /* to the reader: msg_find → MSG_BOOTS_ARE with msg_boots */
    MSG_TOKEN,      /* msg_token → MSG_DONE */
    /* writer, reader → web */
    MSG_ENROLLED,
    MSG_DEVICE_IS,
    MSG_SYNCED,
    MSG_FOUND,
    MSG_BOOTS_ARE,
    /* web → vault */
    MSG_DISCLOSE, /* msg_disclose → MSG_OPENED with msg_opened */
    MSG_IMPORT,   /* msg_import → MSG_IMPORTED with msg_imported: a foreign chain lies in foreign/HEX.new */
    MSG_SINCE,    /* u64 → MSG_ENTRIES with msg_entries: disclosures from that place on, of every chain */
    MSG_HEARD,    /* msg_heard → MSG_HEARD_IS with u64, enum msg_heard_is: a device's audit head */
    MSG_APPROVE,  /* msg_approve → MSG_DONE */
    MSG_ERASE,    /* msg_erase → MSG_DONE with u64: entries whose personal parts are gone */
    /* exporter → vault */
    MSG_EXPORT, /* u64 → MSG_LINES with msg_lines: the log from that entry on */
    /* vault → exporter, which gets MSG_HEAD, too */
    MSG_LINES,
    /* vault → web */
    MSG_OPENED,
    MSG_ENTRIES,
    MSG_IMPORTED,
    MSG_HEARD_IS,
    MSG_HEAD,     /* msg_head, unasked: the audit log grew */
    MSG_VAULT_IS, /* msg_vault_is, unasked: when a channel begins, and on change */
    /* all → web */
    MSG_DONE,
    MSG_FAILED, /* msg_failed */
    /* web → writer, or reader */
    MSG_DEVICES,   /* to the reader: msg_devices → MSG_DEVICES_ARE with msg_devices_are */
    MSG_CHANGE,    /* msg_change → MSG_DONE: what a person decides about a device */
    MSG_ADOPT,     /* msg_adopt → MSG_DONE: a device that the store lost */
    MSG_PROBE,     /* → MSG_PROBED with msg_probed: can the stores be written? */
    MSG_TAKE_BACK, /* u64, a loss's mark → MSG_DONE with msg_taken_back: orders that it made, some at once */
    MSG_LOSSES,    /* msg_losses → MSG_DONE: the windows whose keys are to rotate; all there are */
    /* web → vault */
    MSG_LOSS_WORD, /* msg_loss_word → MSG_DONE with the loss's mark (u64): what a person says of a loss */
    /* writer, reader → web */
    MSG_DEVICES_ARE,
    MSG_PROBED,
    /* web → writer */
    MSG_SEEN /* msg_seen, unanswered: devices that were here and were told nothing (quiet.h) */
};

#define MSG_STORE_MAX (2u << 20)   /* body, web ↔ writer, reader: 256 records of the largest size */
#define MSG_VAULT_MAX (128u << 10) /* body, web ↔ vault */

#define MSG_NAME         64
#define MSG_REASON       256
#define MSG_USER         128
#define MSG_DETAIL       400
#define MSG_CHAIN        64
#define MSG_CODE         8
#define MSG_CSR          4096
#define MSG_RECORDS      256
#define MSG_SEQUENCE_MAX INT64_MAX /* the stores and JSON hold no more */
#define MSG_COMMANDS     16
#define MSG_SET          512 /* hashes of envelopes in one page. source: docs/formats.md#sync */
#define MSG_CANDIDATES   16
#define MSG_ENTRIES_MAX  64
#define MSG_BOOTS_MAX    64
#define MSG_PROOFS       4 /* receipts of records that come again */
#define MSG_DEVICES_MAX  64
#define MSG_SEEN_MAX     128

struct msg_blob {
    const uint8_t *p; /* borrowed */
    size_t len;
};

struct msg_failed {
    uint8_t err;                 /* enum err */
    char detail[MSG_DETAIL + 1]; /* a sentence */
};

struct msg_enroll {
    uint8_t token[32]; /* SHA-256 of the text */
    uint8_t spki[91], sig[64];
    uint64_t time;
    char computer[MSG_NAME + 1];
    struct msg_blob csr; /* PEM */
};

struct msg_device {
    uint8_t device[32];
    uint8_t courier[32]; /* SHA-256 of the SPKI in the client certificate */
};

/* Wire values, also of the store. */
enum device_approval {
    DEVICE_WAITING = 0, /* for a person; it escrows, and that is all */
    DEVICE_APPROVED = 1,
    DEVICE_REFUSED = 2, /* nothing more is taken from it */
    DEVICE_BACK = 3     /* the store had lost it, and its certificate brought it back; it escrows */
};

struct msg_device_is {
    bool revoked;
    bool pinned;      /* the certificate carries the key that was enrolled last */
    uint8_t approved; /* enum device_approval */
    uint8_t spki[91];
};

struct msg_adopt {
    uint8_t spki[91];     /* of the device */
    struct msg_blob cert; /* of its courier, DER */
};

struct msg_devices {
    bool has_after, waiting; /* waiting: only those that no person approved */
    uint8_t after[32];
};

struct msg_device_row {
    uint8_t device[32];
    uint8_t approved; /* enum device_approval */
    bool revoked;
    uint64_t enrolled, seen;
    char computer[MSG_NAME + 1];
};

struct msg_devices_are {
    unsigned n; /* MSG_DEVICES_MAX: there may be more */
    struct msg_device_row item[MSG_DEVICES_MAX];
};

enum device_change {
    CHANGE_APPROVE = 1,
    CHANGE_REFUSE,
    CHANGE_REVOKE,
    CHANGE_ALLOW, /* takes a revocation back */
    CHANGE_REPORT /* orders a report */
};

struct msg_change {
    uint8_t device[32];
    uint8_t change; /* enum device_change */
};

struct msg_sync {
    uint8_t device[32];
    uint8_t courier[32];  /* as in msg_device; the writer compares it itself */
    bool has_courier;     /* not in a file from a computer without a network */
    uint8_t envelopes[8]; /* the beginning of the device's digest */
    uint8_t audit_head[32];
    bool has_head;
    uint32_t attempt; /* the device's number of this batch, for the receipt; 0: none */
    unsigned n_proofs;
    struct msg_blob
        proof[MSG_PROOFS]; /* receipts that records of this batch had before; judged by the writer */
    struct msg_blob renew; /* SPKI of the courier's key, when its certificate is due; else empty */
    bool has_set;
    struct msg_blob set; /* hashes of envelopes that the device made, 32 bytes each */
    /* the same for key packages, by the names of their records; most devices have none */
    bool has_packages, has_package_set;
    uint8_t packages[8]; /* the digest's beginning */
    struct msg_blob package_set;
    unsigned n;
    struct msg_blob record[MSG_RECORDS]; /* verified by the writer; UNSUPPORTED: one is refused */
};

struct msg_seen {
    unsigned n;
    struct msg_seen_one {
        uint64_t time;
        uint8_t device[32], audit_head[32];
        bool has_head;
    } item[MSG_SEEN_MAX];
};

struct msg_synced {
    struct msg_blob receipt; /* empty when no record was stored */
    bool incomplete;         /* a store is away: what is in no receipt must come again */
    bool has_known, match;
    uint8_t incarnation[16], name[32];
    uint64_t sequence;
    unsigned n_commands;
    uint8_t command[MSG_COMMANDS][COMMAND_LEN];
    uint8_t digest[32];          /* over the envelopes of the device that are here */
    struct msg_blob missing;     /* of the set: what is not here */
    struct msg_blob certificate; /* PEM, renewed; or empty */
    bool packages_match;         /* also when the device said nothing of key packages */
    uint8_t packages[32];
    struct msg_blob missing_packages;
};

struct msg_find {
    char key[GUID_TEXT];       /* key ID or its beginning, upper case */
    char device[MSG_NAME + 1]; /* hex device ID or its beginning; may be empty */
};

/* One key that fits: the newest envelope of one password. */
struct msg_candidate {
    struct msg_blob envelope;
    char computer[MSG_NAME + 1], label[MSG_NAME + 1];
    bool own; /* it came with a record of the device that sealed it */
    uint64_t received;
};

struct msg_found {
    unsigned n;
    bool more;
    struct msg_candidate item[MSG_CANDIDATES];
};

struct msg_boot {
    uint64_t time, received;
    uint8_t device[32];
    struct guid key_id, volume;
    uint8_t result, reason;
};

struct msg_boots {
    unsigned n;
    struct msg_boot item[MSG_BOOTS_MAX];
};

struct msg_probed {
    uint8_t err[2]; /* enum err, by enum store_half */
    bool replicated[2];
};

struct msg_token {
    uint8_t hash[32];
    uint64_t expires, uses;
};

/* A disclosure in the audit log. */
struct msg_entry {
    char chain[MSG_CHAIN + 1];
    uint64_t n, time;
    char who[MSG_NAME + 1];
    struct guid key_id, volume;
    uint8_t device[32];
};

struct msg_entries {
    unsigned n;
    bool more;
    uint64_t next; /* the place to go on from */
    struct msg_entry item[MSG_ENTRIES_MAX];
};

struct msg_disclose {
    char who[MSG_NAME + 1], reason[MSG_REASON + 1];
    char user[MSG_USER + 1]; /* whose laptop; may be empty */
    char asked[GUID_TEXT];   /* what was typed */
    struct msg_blob password;
    char code[MSG_CODE + 1]; /* one-time; may be empty */
    struct msg_found found;  /* only n of 1 can be opened; the vault checks the person first all the same */
};

struct msg_opened {
    uint8_t digits[55];
    struct msg_entry entry;
};

struct msg_import {
    char who[MSG_NAME + 1], chain[MSG_CHAIN + 1];
};

struct msg_imported {
    uint64_t n, added; /* entries of the chain; those that were not here before */
};

/* A device's highest head, and, where it was asked for it, the vault's own signed word on it. */
struct msg_heard {
    uint8_t device[32], hash[32];
    struct msg_blob word; /* AUDIT_HEAD_LEN bytes, or empty */
};

enum msg_heard_is {
    HEARD_KNOWN = 1, /* the log has it */
    HEARD_UNKNOWN,   /* it has not: the signed word is wanted */
    HEARD_LOST,      /* it had, and has not any more: proved, and on record */
    HEARD_ELSEWHERE  /* another vault's, or a word that is none */
};

/* A second person's word on the request that was refused with entry n. */
struct msg_approve {
    char who[MSG_NAME + 1];
    struct msg_blob password;
    char code[MSG_CODE + 1];
    uint64_t n;
};

#define MSG_ERASE_MAX 40

struct msg_erase {
    char who[MSG_NAME + 1];
    struct msg_blob password; /* whose */
    char code[MSG_CODE + 1];
    char chain[MSG_CHAIN + 1];
    unsigned count;
    uint64_t n[MSG_ERASE_MAX];
};

#define MSG_LOSSES_MAX 16

/* Entries that the vault's log had and has not: a device proved it. Entry n is the alarm that says so. Its
 * number means something in this log only: one that was replaced or put back has it a second time, and so has
 * another server's. So what is ordered for a loss carries the mark: made of the alarm's hash, MSG_LOSS_MARK
 * or more and less than 2^63; below that are the numbers that servers of before wrote. */
#define MSG_LOSS_MARK (UINT64_C(1) << 62)

struct msg_loss {
    uint64_t n, proved; /* proved: when */
    uint64_t mark;
    uint64_t lost, have;
    uint64_t from, to;     /* time of the last entry before the gap; of the head that proves it */
    uint64_t until;        /* when the gap was over: later, nothing was lost */
    uint64_t acknowledged; /* entry with a person's word on it; 0: none */
    bool stopped;          /* its keys are not to rotate any more */
    uint64_t rotate_from, rotate_until; /* which keys do: from and until, or what a person narrowed it to */
};

struct msg_losses {
    unsigned n;
    struct msg_loss item[MSG_LOSSES_MAX];
};

/* Orders of a loss that its stop took back. */
struct msg_taken_back {
    uint64_t n;
    uint64_t gone;  /* of them: the device may have it already */
    uint64_t alien; /* where there are no more: orders that wait for losses which our log does not have */
    bool more;
};

enum loss_word { LOSS_ACKNOWLEDGE = 1, LOSS_STOP, LOSS_NARROW };

struct msg_loss_word {
    char who[MSG_NAME + 1];
    struct msg_blob password;
    char code[MSG_CODE + 1];
    char reason[MSG_REASON + 1];
    uint8_t word;         /* enum loss_word */
    uint64_t n;           /* the loss, by its alarm's entry */
    uint64_t from, until; /* of LOSS_NARROW; 0: as it was proved */
};

#define MSG_VAULT_KEYS 16
#define MSG_STEM       60

struct msg_vault_key {
    char name[MSG_STEM + 1]; /* of its file */
    uint8_t id[32];
    uint8_t err; /* enum err; OK: its canary was opened */
};

struct msg_vault_is {
    bool log; /* the audit log can be written */
    uint64_t
        lost; /* the fleet proved that the log once had so many entries, and it has not; 0: no such thing */
    unsigned n;
    struct msg_vault_key key[MSG_VAULT_KEYS];
    struct msg_losses losses;
};

/* Whole lines of the audit log, as they stand there; none where there are no more. */
struct msg_lines {
    uint64_t first; /* number of the first one */
    struct msg_blob bytes;
};

#define MSG_WORD 180 /* AUDIT_HEAD_LEN */

struct msg_head {
    char chain[MSG_CHAIN + 1];
    uint64_t n;
    uint8_t hash[32];
    struct msg_blob word; /* signed (formats/audit_head.h); empty without an audit key */
};

/* Writers remember their first failure (cursor.h); getters borrow the frame's body.
 * err of every get: TRUNCATED, FORMAT, RANGE */
void msg_put_failed(struct writer *w, enum err e, const char *detail);
MUST_CHECK enum err msg_get_failed(const uint8_t *p, size_t len, struct msg_failed *ret);
void msg_put_enroll(struct writer *w, const struct msg_enroll *m);
MUST_CHECK enum err msg_get_enroll(const uint8_t *p, size_t len, struct msg_enroll *ret);
void msg_put_device(struct writer *w, const struct msg_device *m);
MUST_CHECK enum err msg_get_device(const uint8_t *p, size_t len, struct msg_device *ret);
void msg_put_device_is(struct writer *w, const struct msg_device_is *m);
MUST_CHECK enum err msg_get_device_is(const uint8_t *p, size_t len, struct msg_device_is *ret);
void msg_put_sync(struct writer *w, const struct msg_sync *m);
MUST_CHECK enum err msg_get_sync(const uint8_t *p, size_t len, struct msg_sync *ret);
void msg_put_seen(struct writer *w, const struct msg_seen *m);
MUST_CHECK enum err msg_get_seen(const uint8_t *p, size_t len, struct msg_seen *ret);
void msg_put_synced(struct writer *w, const struct msg_synced *m);
MUST_CHECK enum err msg_get_synced(const uint8_t *p, size_t len, struct msg_synced *ret);
void msg_put_find(struct writer *w, const struct msg_find *m);
MUST_CHECK enum err msg_get_find(const uint8_t *p, size_t len, struct msg_find *ret);
void msg_put_found(struct writer *w, const struct msg_found *m);
MUST_CHECK enum err msg_get_found(const uint8_t *p, size_t len, struct msg_found *ret);
void msg_put_boots(struct writer *w, const struct msg_boots *m);
MUST_CHECK enum err msg_get_boots(const uint8_t *p, size_t len, struct msg_boots *ret);
void msg_put_token(struct writer *w, const struct msg_token *m);
MUST_CHECK enum err msg_get_token(const uint8_t *p, size_t len, struct msg_token *ret);
void msg_put_adopt(struct writer *w, const struct msg_adopt *m);
MUST_CHECK enum err msg_get_adopt(const uint8_t *p, size_t len, struct msg_adopt *ret);
void msg_put_devices(struct writer *w, const struct msg_devices *m);
MUST_CHECK enum err msg_get_devices(const uint8_t *p, size_t len, struct msg_devices *ret);
void msg_put_devices_are(struct writer *w, const struct msg_devices_are *m);
MUST_CHECK enum err msg_get_devices_are(const uint8_t *p, size_t len, struct msg_devices_are *ret);
void msg_put_change(struct writer *w, const struct msg_change *m);
MUST_CHECK enum err msg_get_change(const uint8_t *p, size_t len, struct msg_change *ret);
void msg_put_probed(struct writer *w, const struct msg_probed *m);
MUST_CHECK enum err msg_get_probed(const uint8_t *p, size_t len, struct msg_probed *ret);
void msg_put_entry(struct writer *w, const struct msg_entry *m);
MUST_CHECK enum err msg_get_entry(const uint8_t *p, size_t len, struct msg_entry *ret);
void msg_put_entries(struct writer *w, const struct msg_entries *m);
MUST_CHECK enum err msg_get_entries(const uint8_t *p, size_t len, struct msg_entries *ret);
void msg_put_disclose(struct writer *w, const struct msg_disclose *m);
MUST_CHECK enum err msg_get_disclose(const uint8_t *p, size_t len, struct msg_disclose *ret);
void msg_put_opened(struct writer *w, const struct msg_opened *m);
MUST_CHECK enum err msg_get_opened(const uint8_t *p, size_t len, struct msg_opened *ret);
void msg_put_import(struct writer *w, const struct msg_import *m);
MUST_CHECK enum err msg_get_import(const uint8_t *p, size_t len, struct msg_import *ret);
void msg_put_imported(struct writer *w, const struct msg_imported *m);
MUST_CHECK enum err msg_get_imported(const uint8_t *p, size_t len, struct msg_imported *ret);
void msg_put_heard(struct writer *w, const struct msg_heard *m);
MUST_CHECK enum err msg_get_heard(const uint8_t *p, size_t len, struct msg_heard *ret);
void msg_put_approve(struct writer *w, const struct msg_approve *m);
MUST_CHECK enum err msg_get_approve(const uint8_t *p, size_t len, struct msg_approve *ret);
void msg_put_taken_back(struct writer *w, const struct msg_taken_back *m);
MUST_CHECK enum err msg_get_taken_back(const uint8_t *p, size_t len, struct msg_taken_back *ret);
void msg_put_losses(struct writer *w, const struct msg_losses *m);
MUST_CHECK enum err msg_get_losses(const uint8_t *p, size_t len, struct msg_losses *ret);
void msg_put_loss_word(struct writer *w, const struct msg_loss_word *m);
MUST_CHECK enum err msg_get_loss_word(const uint8_t *p, size_t len, struct msg_loss_word *ret);
void msg_put_lines(struct writer *w, const struct msg_lines *m);
MUST_CHECK enum err msg_get_lines(const uint8_t *p, size_t len, struct msg_lines *ret);
void msg_put_erase(struct writer *w, const struct msg_erase *m);
MUST_CHECK enum err msg_get_erase(const uint8_t *p, size_t len, struct msg_erase *ret);
void msg_put_head(struct writer *w, const struct msg_head *m);
MUST_CHECK enum err msg_get_head(const uint8_t *p, size_t len, struct msg_head *ret);
void msg_put_vault_is(struct writer *w, const struct msg_vault_is *m);
MUST_CHECK enum err msg_get_vault_is(const uint8_t *p, size_t len, struct msg_vault_is *ret);
void msg_put_u64(struct writer *w, uint64_t v);
MUST_CHECK enum err msg_get_u64(const uint8_t *p, size_t len, uint64_t *ret);
