#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Audit chain: an append-only file of lines of JSON, each naming the hash of the one before. An entry is
 * durable before what it speaks of happens. What is personal in it stands behind a tab and is only committed
 * to, so that it can be erased and the chain still verifies. Layout: docs/formats.md. Hosted. */

#include "crypto/err.h"
#include "formats/guid.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AUDIT_WHO      128
#define AUDIT_TEXT     512
#define AUDIT_WORD     32
#define AUDIT_LINE_MAX 8192 /* one line with its newline */

/* Actions. */
#define AUDIT_DISCLOSE "disclose"
#define AUDIT_REFUSE   "refuse"
#define AUDIT_IMPORT   "import"
#define AUDIT_APPROVE  "approve" /* note: "approves=N" */
#define AUDIT_OPEN_LOG "open-log"
#define AUDIT_CHECK    "checkpoint" /* note: a signed head (formats/audit_head.h), base64 */
#define AUDIT_ERASE    "erase"      /* note: whose personal parts are to go: "chain=HEX entries=N,N,..." */
#define AUDIT_ALARM    "alarm"      /* note: what is wrong */
/* A person's words on an alarm of lost entries (audit_gap.h). */
#define AUDIT_ACKNOWLEDGE "acknowledge"
#define AUDIT_ROTATION    "rotation"

/* Longest list of one audit_erase(). */
#define AUDIT_ERASE_MAX 64
#define AUDIT_SALT      16

/* One entry. The writer fills time, who, role, action and what applies of key_id, volume, device, note,
 * reason and detail ("" where it does not); the rest is the chain's own. */
struct audit_entry {
    uint64_t n;    /* from 1 */
    uint64_t time; /* seconds, UTC */
    char chain[33];
    char role[AUDIT_WORD + 1];
    char action[AUDIT_WORD + 1];
    char key_id[GUID_TEXT];
    char volume[GUID_TEXT];
    char device[65];           /* hex */
    char note[AUDIT_TEXT + 1]; /* for programs; nothing personal */
    char personal[65];         /* hex SHA-256 of the personal part */
    char prev[65];             /* hex */
    /* the personal part; "" when it was erased */
    char salt[2 * AUDIT_SALT + 1];
    char who[AUDIT_WHO + 1];
    char reason[AUDIT_TEXT + 1];
    char detail[AUDIT_TEXT + 1];
    /* filled by readers */
    bool erased;
    uint8_t hash[32]; /* what the next entry names: SHA-256 of the line before its tab */
};

/* Where a chain stands: all zero before its first line. */
struct audit_head {
    uint64_t n;
    uint8_t hash[32]; /* SHA-256 of the last line before its tab; zeros when empty */
    char chain[33];   /* hex ID of the chain, "" when empty */
};

/* Does this line continue the chain? For logs that come from elsewhere, line by line.
 * line:      one line with its newline
 * head:      advanced on ERR_OK, untouched otherwise
 * ret_entry: the entry, filled on ERR_OK; may be NULL
 * err: FORMAT (no entry), AUTH (an entry that does not follow the one before), RANGE (too long) */
MUST_CHECK enum err audit_check_line(struct audit_head *head, const char *line, size_t len,
                                     struct audit_entry *ret_entry);

/* The same line as one JSON object: core and personal part, or "erased": true.
 * ret: AUDIT_LINE_MAX bytes, no zero behind. err: FORMAT (it has no two parts) */
MUST_CHECK enum err audit_line_join(const char *line, size_t len, char ret[static AUDIT_LINE_MAX],
                                    size_t *ret_len);

/* Called for each entry, in order; line has its newline and is borrowed. An error ends the reading. */
typedef enum err audit_visit(void *ctx, const struct audit_entry *entry, const char *line, size_t len);

/* Read a log without changing or locking it and check every link.
 * visit:    may be NULL
 * ret_head: the last good entry, filled also when the chain is broken (AUTH, FORMAT): the next one is bad
 * ret_torn: bytes behind the last newline (what a crash leaves), 0 as a rule
 * err: NOT_FOUND, DENIED, IO, AUTH, FORMAT, RANGE, or what visit said */
MUST_CHECK enum err audit_verify(const char *path, audit_visit *visit, void *ctx, struct audit_head *ret_head,
                                 size_t *ret_torn);

/* Two copies of one chain, whatever was erased in either: how many entries have they in common, from the
 * first on? A copy that is not there has none. ret_a, ret_b: their whole entries err: what audit_verify()
 * says of either, but NOT_FOUND */
MUST_CHECK enum err audit_compare(const char *a, const char *b, uint64_t *ret_a, uint64_t *ret_b,
                                  uint64_t *ret_common);

struct audit_chain;

/* Open a log for appending, for this process alone; made (0600, with an entry that says so) where there is
 * none. Every link is checked; a torn last line is cut off and an entry says so. now: time of such entries
 * err: BUSY (another process has it open), AUTH or FORMAT (the chain is broken: nothing may be appended),
 *      FORMAT also when path is no regular file; DENIED, FULL, IO, NOT_FOUND (no such folder) */
MUST_CHECK enum err audit_open(const char *path, uint64_t now, struct audit_chain **ret);

/* As audit_open(), for a log that somebody else made: where it is missing or has no whole entry, that is a
 * loss and not a beginning. err: also NOT_FOUND (no file), CONFLICT (no entry in it) */
MUST_CHECK enum err audit_open_made(const char *path, uint64_t now, struct audit_chain **ret);

/* Append one entry: one write, then fdatasync; on ERR_OK it is durable. On failure the file is cut back to
 * what it was; where even that fails, or durability is unknown, the chain takes no more entries. err: FORMAT
 * (no UTF-8, control characters, empty who or action), RANGE (too long), FULL, IO,
 *      CONFLICT (the file is not as this process left it: shortened, extended, deleted, or
 *      another one has its name) */
MUST_CHECK enum err audit_append(struct audit_chain *chain, const struct audit_entry *entry);

/* Overwrite the personal parts of up to AUDIT_ERASE_MAX entries with blanks, where they lie; on ERR_OK that
 * is durable. The log may be open for appending. An order to erase (AUDIT_ERASE) is the caller's to write
 * first. ret_n: how many of those entries there are
 * err: as audit_verify(); RANGE (too many), FULL */
MUST_CHECK enum err audit_erase(const char *path, const uint64_t *n, unsigned count, unsigned *ret_n);

/* Bytes of whole entries. */
uint64_t audit_size(const struct audit_chain *chain);
void audit_get_head(const struct audit_chain *chain, struct audit_head *ret);
void audit_close(struct audit_chain *chain); /* takes NULL */
