#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A backup: a folder with the SQLite stores, the audit chains, the organisation's files and server.conf; no
 * private key. SHA256SUMS names every file, as sha256sum(1) would. */

#include "escrow-server/state.h"

#define BACKUP_SUMS "SHA256SUMS"
#define BACKUP_LOG  "audit.log"
/* Not in one of a server without a policy, nor in older backups. */
#define BACKUP_POLICY     "policy.json"
#define BACKUP_POLICY_SIG "policy.json.sig"

/* A consistent copy of a SQLite store that others may write to meanwhile, mode 0600; to must not be there.
 * err: CONFLICT (the copy is damaged, or to is there), NOT_FOUND, FULL, IO, BUSY */
MUST_CHECK enum err backup_sqlite(const char *from, const char *to);
/* SHA-256 of a file, of any size. err: NOT_FOUND, DENIED, IO */
MUST_CHECK enum err backup_digest(const char *path, uint8_t ret[static 32]);
/* Copy a whole file, mode 0600; to must not be there. err: CONFLICT, FULL, IO, ... */
MUST_CHECK enum err backup_copy(const char *from, const char *to);
/* err: AUTH (a file is not as it was), FORMAT, NOT_FOUND */
MUST_CHECK enum err backup_check(const char *dir);

/* What a file holds, on the heap. */
struct backup_bytes {
    uint8_t *p;
    size_t len;
};
void backup_bytes_free(struct backup_bytes *b);
#define BYTES(name) __attribute__((cleanup(backup_bytes_free))) struct backup_bytes name = {.p = NULL}

/* A policy that is signed by the policy key of an org.json, by its two files.
 * err: AUTH, FORMAT, NOT_FOUND, ... */
MUST_CHECK enum err backup_policy(const struct org *org, const char *json, const char *sig,
                                  uint64_t *ret_version);

/* What backup and restore are told. */
struct backup_words {
    char root[PATH_MAX], dir[PATH_MAX]; /* absolute */
    struct conf conf;
    bool json;
};
/* Returns 0, or an exit code after a word on standard error. */
int backup_begin(int argc, char *const *argv, const char *usage, struct backup_words *ret);
/* Before anything is made or changed: is org.json here, and signed? Returns 0, or an exit code after a word
 * on standard error. */
int backup_check_org(const char *root);
