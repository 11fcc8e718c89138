#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Audit chain: an append-only file of JSON lines, each naming the hash of the line before. An entry is
 * durable before what it speaks of happens. Layout: docs/formats.md. Hosted. */

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
#define AUDIT_OPEN_LOG "open-log"

/* One entry. The writer fills time, who, role, action and what applies of key_id, volume, device, reason and
 * detail ("" where it does not); n, chain and prev are the chain's own. */
struct audit_entry {
    uint64_t n;    /* from 1 */
    uint64_t time; /* seconds, UTC */
    char chain[33];
    char who[AUDIT_WHO + 1];
    char role[AUDIT_WORD + 1];
    char action[AUDIT_WORD + 1];
    char key_id[GUID_TEXT];
    char volume[GUID_TEXT];
    char device[65]; /* hex */
    char reason[AUDIT_TEXT + 1];
    char detail[AUDIT_TEXT + 1];
    char prev[65]; /* hex */
};

/* Where a chain stands: all zero before its first line. */
struct audit_head {
    uint64_t n;
    uint8_t hash[32]; /* SHA-256 of the last line with its newline; zeros when empty */
    char chain[33];   /* hex ID of the chain, "" when empty */
};

/* Does this line continue the chain? For logs that come from elsewhere, line by line.
 * line:      one line with its newline
 * head:      advanced on ERR_OK, untouched otherwise
 * ret_entry: the entry, filled on ERR_OK; may be NULL
 * err: FORMAT (no entry), AUTH (an entry that does not follow the one before), RANGE (too long) */
MUST_CHECK enum err audit_check_line(struct audit_head *head, const char *line, size_t len,
                                     struct audit_entry *ret_entry);

/* Called for each entry, in order; line has its newline and is borrowed. An error ends the reading. */
typedef enum err audit_visit(void *ctx, const struct audit_entry *entry, const char *line, size_t len);

/* Read a log without changing or locking it and check every link.
 * visit:    may be NULL
 * ret_head: the last good entry, filled also when the chain is broken (AUTH, FORMAT): the next one is bad
 * ret_torn: bytes behind the last newline (what a crash leaves), 0 as a rule
 * err: NOT_FOUND, DENIED, IO, AUTH, FORMAT, RANGE, or what visit said */
MUST_CHECK enum err audit_verify(const char *path, audit_visit *visit, void *ctx, struct audit_head *ret_head,
                                 size_t *ret_torn);

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

void audit_get_head(const struct audit_chain *chain, struct audit_head *ret);
void audit_close(struct audit_chain *chain); /* takes NULL */
