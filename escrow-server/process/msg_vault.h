#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a web worker and the exporter ask the vault, and what it says unasked. */

#include "escrow-server/process/msg_loss.h"
#include "escrow-server/process/msg_store.h"

#define MSG_USER        128
#define MSG_ENTRIES_MAX 64
#define MSG_ERASE_MAX   40
#define MSG_VAULT_KEYS  16
#define MSG_STEM        60
#define MSG_WORD        180 /* AUDIT_HEAD_LEN */

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

/* A request that waits for a second person, or for its repetition. */
struct msg_wish {
    uint64_t n; /* entry that refused it */
    bool approved;
    char who[MSG_NAME + 1], reason[MSG_REASON + 1], user[MSG_USER + 1];
    char key_id[GUID_TEXT], volume[GUID_TEXT], device[65];
};

struct msg_wanted {
    uint64_t n;                  /* entry to be approved */
    char detail[MSG_DETAIL + 1]; /* a sentence */
};

struct msg_erase {
    char who[MSG_NAME + 1];
    struct msg_blob password; /* whose */
    char code[MSG_CODE + 1];
    char chain[MSG_CHAIN + 1];
    unsigned count;
    uint64_t n[MSG_ERASE_MAX];
};

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

struct msg_head {
    char chain[MSG_CHAIN + 1];
    uint64_t n;
    uint8_t hash[32];
    struct msg_blob word; /* signed (formats/audit_head.h); empty without an audit key */
};

/* err of every get: TRUNCATED, FORMAT, RANGE */
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
void msg_put_wish(struct writer *w, const struct msg_wish *m);
MUST_CHECK enum err msg_get_wish(const uint8_t *p, size_t len, struct msg_wish *ret);
void msg_put_wanted(struct writer *w, const struct msg_wanted *m);
MUST_CHECK enum err msg_get_wanted(const uint8_t *p, size_t len, struct msg_wanted *ret);
void msg_put_erase(struct writer *w, const struct msg_erase *m);
MUST_CHECK enum err msg_get_erase(const uint8_t *p, size_t len, struct msg_erase *ret);
void msg_put_vault_is(struct writer *w, const struct msg_vault_is *m);
MUST_CHECK enum err msg_get_vault_is(const uint8_t *p, size_t len, struct msg_vault_is *ret);
void msg_put_lines(struct writer *w, const struct msg_lines *m);
MUST_CHECK enum err msg_get_lines(const uint8_t *p, size_t len, struct msg_lines *ret);
void msg_put_head(struct writer *w, const struct msg_head *m);
MUST_CHECK enum err msg_get_head(const uint8_t *p, size_t len, struct msg_head *ret);
